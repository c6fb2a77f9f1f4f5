//! What the books say of an order against what Midtrans says of it: pure comparison.

use super::midtrans::{Transaction, TransactionStatus};
use qris_core::order::merchant::{Closing, Order, Repayment, Said, State, TakenBack};
use qris_core::order::time::{Span, Wall};

/// A difference between the books and Midtrans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Paid at Midtrans, and not in the books: a notification and every question were lost.
    MissedSettlement,
    /// Paid in the books, and not at Midtrans.
    NotSettled(String),
    /// Midtrans' word may be money and may not: `capture`, or a settlement that fraud detection does not accept.
    Suspect(String),
    /// Ended in the books, and it can still be paid at Midtrans.
    StillPayable,
    /// Given back at Midtrans, and not in the books.
    UnknownRefund(String),
    /// Given back in part at Midtrans, and not, or not as much, in the books.
    UnknownPartialRefund(String),
    /// Given back through Midtrans in the books, and not at Midtrans.
    RefundNotMade,
    /// Given back at Midtrans, and by hand or by handing the goods over besides.
    RefundedTwice,
    /// Taken back by the customer's bank, which the books do not know.
    UnknownChargeback(String),
    /// Taken back at the store's counter, which the books do not know.
    UnknownReversal,
    /// Another amount than was charged.
    Amount {
        /// In the books, whole rupiah.
        books: u64,
        /// At Midtrans, byte for byte.
        midtrans: String,
    },
    /// Another currency than rupiah.
    Currency(String),
    /// Another transaction than was charged.
    Transaction {
        /// In the books.
        books: String,
        /// At Midtrans.
        midtrans: String,
    },
    /// Charged in the books, and unknown at Midtrans.
    UnknownAtMidtrans,
    /// Not ended, and nobody has asked Midtrans for long.
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
            Self::UnknownAtMidtrans => "unknown_at_midtrans",
            Self::NobodyAsks(_) => "nobody_asks",
            Self::Rebuilt => "rebuilt",
        }
    }

    /// What is different, in words.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::MissedSettlement => "Midtrans says that it is paid; the books do not know it".into(),
            Self::NotSettled(word) => format!("the books say that it is paid; Midtrans says {word}"),
            Self::Suspect(word) => format!("Midtrans says {word}, which may be money and may not"),
            Self::StillPayable => "it has ended in the books; at Midtrans it can still be paid".into(),
            Self::UnknownRefund(amount) => format!("Midtrans gave {amount} back; the books do not know it"),
            Self::UnknownPartialRefund(amount) => format!("Midtrans gave a part back, {amount}; the books do not know it"),
            Self::RefundNotMade => "the books say that it was refunded through Midtrans; Midtrans does not".into(),
            Self::RefundedTwice => "Midtrans gave it back, and in the books it was settled by hand or handed over".into(),
            Self::UnknownChargeback(word) => format!("Midtrans says {word}; the books do not know it"),
            Self::UnknownReversal => "the store took the payment back; the books do not know it".into(),
            Self::Amount { books, midtrans } => format!("the charge was {books}; Midtrans says {midtrans}"),
            Self::Currency(currency) => format!("Midtrans says {currency}, not IDR"),
            Self::Transaction { books, midtrans } => format!("the charge was {books}; Midtrans has {midtrans} under this order"),
            Self::UnknownAtMidtrans => "it was charged; Midtrans knows no such transaction".into(),
            Self::NobodyAsks(ago) => format!("it has not ended, and a question is due for {} min", ago.0 / 60_000),
            Self::Rebuilt => "the books did not have it".into(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn to_do(&self) -> &'static str {
        match self {
            Self::MissedSettlement => "handed to the books like a notification",
            Self::NotSettled(_) => "look at it in Midtrans' dashboard, and ask Midtrans: a settlement should stay",
            Self::Suspect(_) => "look at it in Midtrans' dashboard: accept or deny it there",
            Self::StillPayable => "cancel it in Midtrans' dashboard; the books take a late payment as refund due",
            Self::UnknownRefund(_) | Self::UnknownPartialRefund(_) => "handed to the books like a notification",
            Self::RefundNotMade => "look at it in Midtrans' dashboard: has the customer the money?",
            Self::RefundedTwice => "the customer has both: settle it with the customer",
            Self::UnknownChargeback(_) | Self::UnknownReversal => "handed to the books like a notification",
            Self::Amount { .. } => "compare it in Midtrans' dashboard, and look at max_imposed_fee",
            Self::Currency(_) => "ask Midtrans",
            Self::Transaction { .. } => "ask Midtrans; nothing that is paid under another transaction opens the relay",
            Self::UnknownAtMidtrans => "is base_url the environment (sandbox, production) in which it was charged?",
            Self::NobodyAsks(_) => "does `serve` run, and does it reach Midtrans?",
            Self::Rebuilt => "rebuilt from Midtrans",
        }
    }

    /// Whether the books take it up as if Midtrans had told it by a notification.
    #[must_use]
    pub const fn is_news(&self) -> bool {
        self.as_notified().is_some()
    }

    /// What a notification of it would have said.
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
            | Self::UnknownAtMidtrans
            | Self::NobodyAsks(_)
            | Self::Rebuilt => None,
        }
    }
}

/// A question that is due for longer shows that nobody asks.
const OVERDUE: Span = Span::secs(120);

/// Whether the running backend asks about this order by itself: then nobody else needs to, and Midtrans is not asked more
/// often than it wants to be.
#[must_use]
pub fn is_live(order: &Order) -> bool {
    match &order.state {
        State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Held { .. } => true,
        State::Closed { .. } | State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {
            matches!(order.repayment, Some(Repayment::Asked { .. }))
        }
    }
}

/// What is wrong with an order that has not ended, of which nothing is asked here.
#[must_use]
pub fn live(due: Option<Wall>, now: Wall) -> Option<Difference> {
    due.map(|due| now - due).filter(|ago| *ago > OVERDUE).map(Difference::NobodyAsks)
}

/// What is different about an order that is not [`is_live`]. `None` of the transaction: Midtrans says that there is none.
#[must_use]
pub fn compare(order: &Order, transaction: Option<&Transaction>) -> Vec<Difference> {
    let charge = order.charge();
    let Some(theirs) = transaction else {
        // What was never charged is known to nobody.
        let charged = charge.is_some() || order.settlement().is_some();
        return if charged { vec![Difference::UnknownAtMidtrans] } else { Vec::new() };
    };
    let mut found = Vec::new();
    if let Some(charge) = charge {
        if charge.transaction_id != theirs.transaction_id {
            found.push(Difference::Transaction { books: charge.transaction_id.to_string(), midtrans: theirs.transaction_id.to_string() });
        }
        if Some(charge.gross_amount) != theirs.gross_amount {
            let midtrans = theirs.gross_amount_text.clone();
            found.push(Difference::Amount { books: charge.gross_amount.get(), midtrans });
        }
    }
    found.extend(theirs.currency.as_ref().filter(|currency| *currency != "IDR").map(|currency| Difference::Currency(currency.clone())));
    found.extend(of_status(order, theirs));
    found
}

fn of_status(order: &Order, theirs: &Transaction) -> Option<Difference> {
    let word = theirs.transaction_status.as_str();
    let paid = match &order.state {
        State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } | State::Held { .. } => true,
        State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Closed { .. } => false,
    };
    let (refunded, otherwise) = match &order.repayment {
        Some(Repayment::Done { .. }) => (true, false),
        Some(Repayment::ByHand { .. } | Repayment::Given { .. }) => (false, true),
        Some(Repayment::Asked { .. } | Repayment::Refused { .. }) | None => (matches!(order.state, State::Refunded { .. }), false),
    };
    let back = || theirs.refund_amount.map_or_else(|| "an unknown amount".into(), |amount| amount.to_string());
    match &theirs.transaction_status {
        TransactionStatus::Settlement if !theirs.is_settled() => {
            let fraud = theirs.fraud_status.as_ref().map_or("", |fraud| fraud.as_str());
            (paid || !order.suspect).then(|| Difference::Suspect(format!("settlement with fraud_status {fraud}")))
        }
        TransactionStatus::Settlement if !paid => Some(Difference::MissedSettlement),
        TransactionStatus::Settlement if refunded => Some(Difference::RefundNotMade),
        TransactionStatus::Settlement => None,
        TransactionStatus::Refund if otherwise => Some(Difference::RefundedTwice),
        TransactionStatus::Refund if refunded => None,
        TransactionStatus::Refund => Some(Difference::UnknownRefund(back())),
        TransactionStatus::PartialRefund => match &order.taken_back {
            Some(TakenBack::Partly { amount }) if *amount == theirs.refund_amount => None,
            Some(TakenBack::Partly { .. } | TakenBack::Chargeback | TakenBack::Reversal) | None => {
                Some(Difference::UnknownPartialRefund(back()))
            }
        },
        TransactionStatus::Chargeback | TransactionStatus::PartialChargeback => {
            (order.taken_back != Some(TakenBack::Chargeback)).then(|| Difference::UnknownChargeback(word.into()))
        }
        TransactionStatus::Pending => match &order.state {
            State::Closed { how: Closing::Cancel | Closing::Expire | Closing::Deny | Closing::Failure, .. } => {
                Some(Difference::StillPayable)
            }
            State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } | State::Held { .. } => {
                Some(Difference::NotSettled(word.into()))
            }
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } => None,
        },
        // That one says cancelled and the other expired makes nobody richer: not paid is not paid.
        TransactionStatus::Expire | TransactionStatus::Cancel | TransactionStatus::Deny | TransactionStatus::Failure => {
            let known = order.taken_back == Some(TakenBack::Reversal);
            let at_counter = theirs.transaction_status == TransactionStatus::Deny && order.is_over_the_counter();
            let difference = || if at_counter { Difference::UnknownReversal } else { Difference::NotSettled(word.into()) };
            (paid && !known).then(difference)
        }
        TransactionStatus::Capture | TransactionStatus::Authorize | TransactionStatus::Unknown(_) => {
            (paid || !order.suspect).then(|| Difference::Suspect(word.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::midtrans::FraudStatus;
    use crate::samples::{T0, after, order, paid, pending, report, told};
    use qris_core::order::merchant::{Event, NoCharge, Sale};
    use qris_core::order::money::Rupiah;
    use qris_core::order::outcome::Delivery;
    use qris_core::order::request::Payment;

    /// What Midtrans says of an order of 5,000 rupiah.
    fn theirs(order: &Order, status: &str) -> Transaction {
        Transaction {
            order_id: order.id.clone(),
            transaction_id: order.charge().expect("charged").transaction_id.clone(),
            gross_amount_text: "5000.00".into(),
            gross_amount: Rupiah::new(5000).ok(),
            currency: Some("IDR".into()),
            payment_type: Some("qris".into()),
            transaction_status: TransactionStatus::read(status),
            fraud_status: Some(FraudStatus::Accept),
            transaction_time: None,
            settlement_time: None,
            expiry_time: None,
            custom_fields: [None, None, None],
            merchant_id: None,
            actions: Vec::new(),
            qr_string: None,
            payment_code: None,
            store: None,
            refund_amount: Rupiah::new(5000).ok(),
        }
    }

    #[test]
    fn each_difference_has_its_word() {
        let unpaid = || {
            let order = pending("o", "vm-001", 5000, 5000);
            let report = report(&order, Said::Cancelled);
            after(order, Event::Status(report), T0)
        };
        let sold = || told("o", "vm-001", 5000, 5000, Delivery::Dispensed);
        let failed = || told("o", "vm-001", 5000, 5000, Delivery::Failed);
        let refunded = || {
            let order = failed();
            let report = report(&order, Said::Refunded);
            after(order, Event::Status(report), T0)
        };
        let given = || after(failed(), Event::Given { by: "Budi".into() }, T0);
        let at_store = || {
            let order = sold();
            Order { sale: Sale { payment: Payment::Alfamart, ..order.sale.clone() }, ..order }
        };
        let reversed = || {
            let order = at_store();
            let report = report(&order, Said::Denied);
            after(order, Event::Status(report), T0)
        };
        let table: [(&str, Order, &str, &[&str]); 24] = [
            ("sold", sold(), "settlement", &[]),
            ("not reported yet", paid("o", "vm-001", 5000, 5000), "settlement", &[]),
            ("refund due", failed(), "settlement", &[]),
            ("nobody paid", unpaid(), "cancel", &[]),
            ("nobody paid, otherwise", unpaid(), "expire", &[]),
            ("nobody paid, denied", unpaid(), "deny", &[]),
            ("refunded", refunded(), "refund", &[]),
            ("handed over", given(), "settlement", &[]),
            ("missed", unpaid(), "settlement", &["missed_settlement"]),
            ("can still be paid", unpaid(), "pending", &["still_payable"]),
            ("paid here only", sold(), "pending", &["not_settled"]),
            ("taken away", sold(), "expire", &["not_settled"]),
            ("refund unknown", sold(), "refund", &["unknown_refund"]),
            ("refund of what was cancelled", unpaid(), "refund", &["unknown_refund"]),
            ("a part", sold(), "partial_refund", &["unknown_partial_refund"]),
            ("chargeback", sold(), "chargeback", &["unknown_chargeback"]),
            ("taken back by the store", at_store(), "deny", &["unknown_reversal"]),
            ("taken back by the store, as is known", reversed(), "deny", &[]),
            ("denied after it was settled, by no store", sold(), "deny", &["not_settled"]),
            ("at a store, and expired", at_store(), "expire", &["not_settled"]),
            ("refunded here only", refunded(), "settlement", &["refund_not_made"]),
            ("goods and money", given(), "refund", &["refunded_twice"]),
            ("a strange word", sold(), "capture", &["suspect"]),
            ("a new word", unpaid(), "blocked", &["suspect"]),
        ];
        for (what, order, status, expected) in table {
            let found = compare(&order, Some(&theirs(&order, status)));
            assert_eq!(found.iter().map(Difference::as_str).collect::<Vec<_>>(), expected, "{what}");
            assert!(found.iter().all(|difference| !difference.told().is_empty() && !difference.to_do().is_empty()));
        }
    }

    #[test]
    fn what_was_charged_is_compared_too() {
        let order = told("o", "vm-001", 5000, 5000, Delivery::Dispensed);
        let mut other = theirs(&order, "settlement");
        other.transaction_id = "t-other".parse().expect("an id");
        other.gross_amount = Rupiah::new(4000).ok();
        other.gross_amount_text = "4000.00".into();
        other.currency = Some("USD".into());
        other.fraud_status = Some(FraudStatus::Challenge);
        let words: Vec<_> = compare(&order, Some(&other)).iter().map(Difference::as_str).collect();
        assert_eq!(words, ["transaction", "amount", "currency", "suspect"]);
        assert_eq!(compare(&order, None), [Difference::UnknownAtMidtrans]);
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
