//! Compares an order in the books with the gateway's word on it. It is a pure comparison.

use qris_core::order::merchant::{Money, Order, Repayment, Said, Standing, StatusReport, TakenBack};
use qris_core::order::time::{Span, Wall};
use qris_host::speech::fill;
use qris_host::texts;

texts! {
    missed_settlement: "gateway menyatakan sudah dibayar; pembukuan tidak mengetahuinya", "the gateway says that it is paid; the books do not know it";
    not_settled: "pembukuan menyatakan sudah dibayar; gateway menyatakan {0}", "the books say that it is paid; the gateway says {0}";
    suspect: "gateway menyatakan {0}, dan dari situ tidak jelas apakah sudah dibayar", "the gateway says {0}, which does not tell whether it was paid";
    still_payable: "di pembukuan sudah berakhir; di gateway masih bisa dibayar", "it has ended in the books; at the gateway it can still be paid";
    unknown_refund: "gateway mengembalikan {0}; pembukuan tidak mengetahuinya", "the gateway gave {0} back; the books do not know it";
    unknown_partial_refund: "gateway mengembalikan sebagian, {0}; pembukuan tidak mengetahuinya", "the gateway gave a part back, {0}; the books do not know it";
    refund_not_made: "pembukuan menyatakan sudah dikembalikan lewat gateway; gateway tidak", "the books say that it was refunded through the gateway; the gateway does not";
    refunded_twice: "gateway mengembalikan uangnya; pembukuan menyatakan sudah dikembalikan secara langsung atau barang diserahkan", "the gateway gave the money back; the books say that it was settled by hand or handed over";
    unknown_chargeback: "gateway menyatakan {0}; pembukuan tidak mengetahuinya", "the gateway says {0}; the books do not know it";
    unknown_reversal: "kasir toko menarik kembali pembayarannya; pembukuan tidak mengetahuinya", "the store took the payment back; the books do not know it";
    amount: "tagihannya {0}; gateway menyatakan {1}", "the charge was {0}; the gateway says {1}";
    currency: "gateway menyatakan {0}, bukan IDR", "the gateway says {0}, not IDR";
    transaction: "tagihannya {0}; untuk pesanan ini di gateway ada {1}", "the charge was {0}; the gateway has {1} under this order";
    unknown_at_gateway: "sudah ditagih; gateway tidak mengenal transaksinya", "it was charged; the gateway knows no such transaction";
    nobody_asks: "belum berakhir, dan pertanyaan berikutnya tentangnya terlambat {0} menit", "it has not ended, and the next question about it is {0} min late";
    rebuilt: "tidak ada di pembukuan", "the books did not have it";
    do_hand_over: "diteruskan ke pembukuan seperti notifikasi", "handed to the books like a notification";
    do_not_settled: "lihat di dashboard gateway, dan tanyakan kepada gateway: pembayaran yang lunas seharusnya tetap", "look at it in the gateway's dashboard, and ask the gateway: a settlement should stay";
    do_suspect: "lihat di dashboard gateway: terima atau tolak di sana", "look at it in the gateway's dashboard: accept or deny it there";
    do_still_payable: "batalkan di dashboard gateway; pembayaran yang terlambat dicatat pembukuan sebagai dana yang harus dikembalikan", "cancel it in the gateway's dashboard; the books take a late payment as refund due";
    do_refund_not_made: "lihat di dashboard gateway: apakah pelanggan sudah menerima uangnya?", "look at it in the gateway's dashboard: does the customer have the money?";
    do_refunded_twice: "pelanggan mendapat keduanya: selesaikan dengan pelanggan", "the customer has both: settle it with the customer";
    do_amount: "cocokkan di dashboard gateway, dan periksa `max_imposed_fee`", "compare it in the gateway's dashboard, and look at `max_imposed_fee`";
    do_ask: "tanyakan kepada gateway", "ask the gateway";
    do_transaction: "tanyakan kepada gateway; pembayaran lewat transaksi lain tidak membuka relainya", "ask the gateway; a payment under another transaction does not open the relay";
    do_unknown_at_gateway: "apakah `base_url` milik environment (sandbox, production) tempat pesanan ditagih?", "does `base_url` belong to the environment (sandbox, production) in which it was charged?";
    do_nobody_asks: "apakah `serve` berjalan, dan apakah bisa menghubungi gateway?", "does `serve` run, and does it reach the gateway?";
    do_rebuilt: "disusun kembali dari gateway", "rebuilt from the gateway";
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Paid at the gateway, and not in the books: a notification and every question were lost.
    MissedSettlement,
    /// Paid in the books, and not at the gateway.
    NotSettled(String),
    /// The gateway's word may mean money, or not: `capture`, or a settlement that fraud detection does not accept.
    Suspect(String),
    /// It ended in the books, and can still be paid at the gateway.
    StillPayable,
    /// Given back at the gateway, and not in the books.
    UnknownRefund(String),
    /// A part was given back at the gateway. The books have no such part, or a smaller one.
    UnknownPartialRefund(String),
    /// The books say that it was given back through the gateway. The gateway says that it was not.
    RefundNotMade,
    /// Given back at the gateway, and besides by hand, or the goods were handed over.
    RefundedTwice,
    /// The customer's bank took it back, and the books do not know that.
    UnknownChargeback(String),
    /// The store's counter took it back, and the books do not know that.
    UnknownReversal,
    Amount {
        /// In the books, whole rupiah.
        books: u64,
        /// At the gateway, byte for byte.
        theirs: Box<str>,
    },
    Currency(String),
    Transaction {
        books: String,
        theirs: String,
    },
    /// Charged in the books, and unknown at the gateway.
    UnknownAtGateway,
    /// It has not ended, and nobody has asked the gateway for a long time.
    NobodyAsks(Span),
    /// The books did not have it, and have it again.
    Rebuilt,
}

impl Difference {
    /// Its word in JSON.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::MissedSettlement => "missed_settlement",
            Self::NotSettled(_) => "not_settled",
            Self::Suspect(_) => "suspect",
            Self::StillPayable => "still_payable",
            Self::UnknownRefund(_) => "unknown_refund",
            Self::UnknownPartialRefund(_) => "unknown_partial_refund",
            Self::RefundNotMade => "refund_not_made",
            Self::RefundedTwice => "refunded_twice",
            Self::UnknownChargeback(_) => "unknown_chargeback",
            Self::UnknownReversal => "unknown_reversal",
            Self::Amount { .. } => "amount",
            Self::Currency(_) => "currency",
            Self::Transaction { .. } => "transaction",
            Self::UnknownAtGateway => "unknown_at_gateway",
            Self::NobodyAsks(_) => "nobody_asks",
            Self::Rebuilt => "rebuilt",
        }
    }

    #[must_use]
    pub fn sentence(&self) -> String {
        let texts = texts();
        match self {
            Self::MissedSettlement => texts.missed_settlement.into(),
            Self::NotSettled(word) => fill(texts.not_settled, &[word]),
            Self::Suspect(word) => fill(texts.suspect, &[word]),
            Self::StillPayable => texts.still_payable.into(),
            Self::UnknownRefund(amount) => fill(texts.unknown_refund, &[amount]),
            Self::UnknownPartialRefund(amount) => fill(texts.unknown_partial_refund, &[amount]),
            Self::RefundNotMade => texts.refund_not_made.into(),
            Self::RefundedTwice => texts.refunded_twice.into(),
            Self::UnknownChargeback(word) => fill(texts.unknown_chargeback, &[word]),
            Self::UnknownReversal => texts.unknown_reversal.into(),
            Self::Amount { books, theirs } => fill(texts.amount, &[books, theirs]),
            Self::Currency(currency) => fill(texts.currency, &[currency]),
            Self::Transaction { books, theirs } => fill(texts.transaction, &[books, theirs]),
            Self::UnknownAtGateway => texts.unknown_at_gateway.into(),
            Self::NobodyAsks(ago) => fill(texts.nobody_asks, &[&(ago.0 / 60_000)]),
            Self::Rebuilt => texts.rebuilt.into(),
        }
    }

    #[must_use]
    pub fn to_do(&self) -> &'static str {
        let texts = texts();
        match self {
            Self::NotSettled(_) => texts.do_not_settled,
            Self::Suspect(_) => texts.do_suspect,
            Self::StillPayable => texts.do_still_payable,
            Self::RefundNotMade => texts.do_refund_not_made,
            Self::RefundedTwice => texts.do_refunded_twice,
            Self::MissedSettlement
            | Self::UnknownRefund(_)
            | Self::UnknownPartialRefund(_)
            | Self::UnknownChargeback(_)
            | Self::UnknownReversal => texts.do_hand_over,
            Self::Amount { .. } => texts.do_amount,
            Self::Currency(_) => texts.do_ask,
            Self::Transaction { .. } => texts.do_transaction,
            Self::UnknownAtGateway => texts.do_unknown_at_gateway,
            Self::NobodyAsks(_) => texts.do_nobody_asks,
            Self::Rebuilt => texts.do_rebuilt,
        }
    }

    /// Whether the books treat it as if the gateway had told it by a notification.
    #[must_use]
    pub const fn is_news(&self) -> bool {
        self.as_notified().is_some()
    }

    /// The word of such a notification.
    #[must_use]
    pub const fn as_notified(&self) -> Option<Said> {
        match self {
            Self::MissedSettlement => Some(Said::Settled),
            Self::UnknownRefund(_) => Some(Said::Refunded),
            Self::UnknownPartialRefund(_) => Some(Said::PartlyRefunded),
            Self::UnknownChargeback(_) => Some(Said::ChargedBack),
            Self::UnknownReversal => Some(Said::Denied),
            Self::NotSettled(_)
            | Self::Suspect(_)
            | Self::StillPayable
            | Self::RefundNotMade
            | Self::RefundedTwice
            | Self::Amount { .. }
            | Self::Currency(_)
            | Self::Transaction { .. }
            | Self::UnknownAtGateway
            | Self::NobodyAsks(_)
            | Self::Rebuilt => None,
        }
    }
}

/// If a question is due for longer, nobody asks.
const OVERDUE: Span = Span::secs(120);

/// Whether the running backend asks about this order by itself. Then nobody else needs to, and the gateway is not asked more
/// often than it wants.
#[must_use]
pub fn is_live(order: &Order) -> bool {
    order.standing() != Standing::Over || matches!(order.repayment(), Some(Repayment::Requested { .. }))
}

/// The fault of an order that has not ended, and about which nothing is asked here.
#[must_use]
pub fn live(due: Option<Wall>, now: Wall) -> Option<Difference> {
    due.map(|due| now - due).filter(|ago| *ago > OVERDUE).map(Difference::NobodyAsks)
}

/// The difference of an order that is not [`is_live`]. A report of `None`: the gateway says that it has no such order.
#[must_use]
pub fn compare(order: &Order, report: Option<&StatusReport>) -> Vec<Difference> {
    let charge = order.charge();
    let Some(theirs) = report else {
        // Nobody knows an order that was never charged.
        let charged = charge.is_some() || order.settlement().is_some();
        return if charged { vec![Difference::UnknownAtGateway] } else { Vec::new() };
    };
    let mut found = Vec::new();
    if let Some(charge) = charge {
        if charge.transaction_id != theirs.transaction_id {
            // What it says besides is not about this order.
            return vec![Difference::Transaction { books: charge.transaction_id.to_string(), theirs: theirs.transaction_id.to_string() }];
        }
        // A fee may come only with the payment.
        let books = order.settlement().and_then(|by| by.gross_amount).unwrap_or(charge.gross_amount);
        if Some(books) != theirs.gross_amount {
            found.push(Difference::Amount { books: books.get(), theirs: theirs.gross_amount_text.clone() });
        }
    }
    found.extend(theirs.currency.as_deref().filter(|currency| *currency != "IDR").map(|currency| Difference::Currency(currency.into())));
    found.extend(of_status(order, theirs));
    found
}

fn of_status(order: &Order, theirs: &StatusReport) -> Option<Difference> {
    let word = &*theirs.word;
    let paid = order.money() != Money::Unpaid;
    let (refunded, otherwise) = match order.repayment() {
        Some(Repayment::Done { .. }) => (true, false),
        Some(Repayment::ByHand { .. } | Repayment::Given { .. }) => (false, true),
        Some(Repayment::Requested { .. } | Repayment::Refused { .. }) | None => (order.money() == Money::Refunded, false),
    };
    let back = || theirs.refund_amount.map_or_else(|| "an unknown amount".into(), |amount| amount.to_string());
    let part = || match &order.taken_back {
        Some(TakenBack::Partly { amount }) if *amount == theirs.refund_amount => None,
        Some(TakenBack::Partly { .. } | TakenBack::Chargeback | TakenBack::Reversal) | None => {
            Some(Difference::UnknownPartialRefund(back()))
        }
    };
    match theirs.said {
        Said::Settled if !paid => Some(Difference::MissedSettlement),
        Said::Settled if refunded => Some(Difference::RefundNotMade),
        Said::Settled => None,
        Said::Refunded if theirs.is_of_a_part() => part(),
        Said::Refunded if otherwise => Some(Difference::RefundedTwice),
        Said::Refunded if refunded => None,
        Said::Refunded => Some(Difference::UnknownRefund(back())),
        Said::PartlyRefunded => part(),
        Said::ChargedBack => (order.taken_back != Some(TakenBack::Chargeback)).then(|| Difference::UnknownChargeback(word.into())),
        Said::Pending if paid => Some(Difference::NotSettled(word.into())),
        Said::Pending => (order.standing() == Standing::Over).then_some(Difference::StillPayable),
        // One says cancelled and the other expired. This makes nobody richer: unpaid is unpaid.
        Said::Expired | Said::Cancelled | Said::Denied | Said::Failed => {
            let known = order.taken_back == Some(TakenBack::Reversal);
            let at_counter = theirs.said == Said::Denied && order.is_over_the_counter();
            let difference = || if at_counter { Difference::UnknownReversal } else { Difference::NotSettled(word.into()) };
            (paid && !known).then(difference)
        }
        Said::Suspect | Said::Other => (paid || !order.is_suspect()).then(|| Difference::Suspect(word.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{T0, after, order, paid, pending, report, reported_order};
    use qris_core::order::merchant::{Event, NoCharge};
    use qris_core::order::money::Rupiah;
    use qris_core::order::outcome::Delivery;
    use qris_core::order::request::Payment;

    /// The gateway's word on an order of 5,000 rupiah.
    fn theirs(order: &Order, said: Said) -> StatusReport {
        StatusReport { refund_amount: Rupiah::new(5000).ok(), ..StatusReport::of(order, said) }
    }

    #[test]
    fn each_difference_has_its_word() {
        let unpaid = || {
            let order = pending("o", "vm-001", 5000, 5000);
            let report = report(&order, Said::Cancelled);
            after(order, Event::Status(report), T0)
        };
        let sold = || reported_order("o", "vm-001", 5000, 5000, Delivery::Dispensed);
        let failed = || reported_order("o", "vm-001", 5000, 5000, Delivery::Failed);
        let refunded = || {
            let order = failed();
            let report = report(&order, Said::Refunded);
            after(order, Event::Status(report), T0)
        };
        let given = || after(failed(), Event::Given { by: "Budi".into(), goods_and_money: false, from_slot: false }, T0);
        let at_store = || {
            let order = sold();
            Order { sale: order.sale.clone().paid_by(Payment::Alfamart), ..order }
        };
        let reversed = || {
            let order = at_store();
            let report = report(&order, Said::Denied);
            after(order, Event::Status(report), T0)
        };
        let table: [(&str, Order, Said, &[&str]); 24] = [
            ("sold", sold(), Said::Settled, &[]),
            ("not reported yet", paid("o", "vm-001", 5000, 5000), Said::Settled, &[]),
            ("refund due", failed(), Said::Settled, &[]),
            ("nobody paid", unpaid(), Said::Cancelled, &[]),
            ("nobody paid, otherwise", unpaid(), Said::Expired, &[]),
            ("nobody paid, denied", unpaid(), Said::Denied, &[]),
            ("refunded", refunded(), Said::Refunded, &[]),
            ("handed over", given(), Said::Settled, &[]),
            ("missed", unpaid(), Said::Settled, &["missed_settlement"]),
            ("can still be paid", unpaid(), Said::Pending, &["still_payable"]),
            ("paid here only", sold(), Said::Pending, &["not_settled"]),
            ("taken away", sold(), Said::Expired, &["not_settled"]),
            ("refund unknown", sold(), Said::Refunded, &["unknown_refund"]),
            ("refund of what was cancelled", unpaid(), Said::Refunded, &["unknown_refund"]),
            ("a part", sold(), Said::PartlyRefunded, &["unknown_partial_refund"]),
            ("chargeback", sold(), Said::ChargedBack, &["unknown_chargeback"]),
            ("taken back by the store", at_store(), Said::Denied, &["unknown_reversal"]),
            ("taken back by the store, as is known", reversed(), Said::Denied, &[]),
            ("denied after it was settled, by no store", sold(), Said::Denied, &["not_settled"]),
            ("at a store, and expired", at_store(), Said::Expired, &["not_settled"]),
            ("refunded here only", refunded(), Said::Settled, &["refund_not_made"]),
            ("goods and money", given(), Said::Refunded, &["refunded_twice"]),
            ("a strange word", sold(), Said::Other, &["suspect"]),
            ("a new word", unpaid(), Said::Suspect, &["suspect"]),
        ];
        for (what, order, said, expected) in table {
            let found = compare(&order, Some(&theirs(&order, said)));
            assert_eq!(found.iter().map(Difference::as_str).collect::<Vec<_>>(), expected, "{what}");
            assert!(found.iter().all(|difference| !difference.sentence().is_empty() && !difference.to_do().is_empty()));
        }
    }

    #[test]
    fn what_was_charged_is_compared_too() {
        let order = reported_order("o", "vm-001", 5000, 5000, Delivery::Dispensed);
        let mut other = theirs(&order, Said::Suspect);
        other.gross_amount = Rupiah::new(4000).ok();
        other.gross_amount_text = "4000.00".into();
        other.currency = Some("USD".into());
        let words: Vec<_> = compare(&order, Some(&other)).iter().map(Difference::as_str).collect();
        assert_eq!(words, ["amount", "currency", "suspect"]);
        other.transaction_id = "t-other".parse().expect("an id");
        let words: Vec<_> = compare(&order, Some(&other)).iter().map(Difference::as_str).collect();
        assert_eq!(words, ["transaction"]);
        let part = StatusReport { refund_amount: Rupiah::new(3000).ok(), ..theirs(&order, Said::Refunded) };
        assert_eq!(compare(&order, Some(&part)).iter().map(Difference::as_str).collect::<Vec<_>>(), ["unknown_partial_refund"]);
        assert_eq!(compare(&order, None), [Difference::UnknownAtGateway]);
        let never =
            after(super::tests::order("o", "vm-001", 5000), Event::NotCharged(NoCharge::NotMade { again: false, why: "no".into() }), T0);
        assert_eq!(compare(&never, None), [], "what was never charged is known to nobody");
    }

    #[test]
    fn what_has_not_ended_is_asked_about_by_serve() {
        let order = pending("o", "vm-001", 5000, 5000);
        assert!(is_live(&order) && !is_live(&paid("p", "vm-001", 5000, 5000)));
        assert_eq!(live(Some(T0), T0 + Span::secs(119)), None);
        assert_eq!(live(None, T0), None);
        assert!(matches!(live(Some(T0), T0 + Span::secs(600)), Some(Difference::NobodyAsks(ago)) if ago == Span::secs(600)));
    }
}
