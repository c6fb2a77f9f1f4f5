use super::state::State;
use super::{Attention, DeliveryReport, NoReceipt, PersonsEnd, Polling, Repaying, Repayment, Reported, Rules, Sale, Tries};
use crate::order::ids::{OrderId, TransactionId};
use crate::order::money::Rupiah;
use crate::order::outcome::Delivery;
use crate::order::time::Wall;
use serde::{Deserialize, Serialize};

/// One attempt at charging a sale, under one order_id.
///
/// Its [`State`] says how far the payment is, and has what belongs to it alone. What stands beside the state goes with several of them:
/// - `answer_by` counts while it is charged, and for the next attempt, after this one has ended;
/// - `polling` are the questions of every state;
/// - `tries` outlive each receipt: those that came to nothing, and the offer of another one;
/// - `reported` is told of the present try, and comes before or after the payment is known: the books may have lost the receipt;
/// - `repaying` outlives a payment: a person may give back what is never confirmed;
/// - `taken_back`, `late` and `seen` are told by the gateway, the machine and people whenever they know it, and stay for people to read;
/// - `rebuilt` is where the order comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Its name at the gateway and here.
    pub id: OrderId,
    /// 1, 2, …
    pub attempt: u32,
    pub sale: Sale,
    /// When this attempt began.
    pub created_at: Wall,
    /// Somebody waits for the charge until then.
    pub answer_by: Wall,
    /// Its present state.
    pub state: State,
    /// When the gateway is asked for its status.
    pub polling: Polling,
    /// What its machine told of the present try.
    pub reported: Option<Reported>,
    /// The other tries at handing it out.
    #[serde(default, skip_serializing_if = "Tries::is_none")]
    pub tries: Tries,
    /// How the money of an undelivered order goes back.
    pub repaying: Repaying,
    /// The gateway took the money back, or a part of it, after it was the merchant's.
    pub taken_back: Option<TakenBack>,
    /// What came after the matter was settled.
    pub late: Vec<LateFact>,
    /// The reasons that a person has seen and need not be told again.
    pub seen: Vec<Attention>,
    /// The books had lost it, or are a copy of before its end. It may have had a receipt that they do not know.
    pub rebuilt: bool,
}

/// What came after the matter was settled. A person is told of each, also if he has seen another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LateFact {
    /// The money moved again: it went back a second time, or the bank refused to give it back.
    Money,
    /// The customer may have the goods, though the money went back.
    Goods,
    /// The machine says that nothing came, and had said otherwise.
    NoGoods,
}

/// A charge, as the gateway answered it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Charge {
    /// Its name at the gateway.
    pub transaction_id: TransactionId,
    /// The sum that the customer is asked for.
    pub gross_amount: Rupiah,
    /// The string in the QR; a rebuilt order has none.
    pub qr_payload: Option<Box<str>>,
    /// The address of its image at the gateway.
    pub qr_url: Option<Box<str>>,
    /// An address that opens GoPay on a phone.
    pub deeplink_url: Option<Box<str>>,
    /// The code that the customer says at the counter.
    pub payment_code: Option<Box<str>>,
    /// The counter: `alfamart`, `indomaret`.
    pub store: Option<Box<str>>,
    /// The time of the answer.
    pub charged_at: Wall,
    /// The time at which the gateway ends it, by our clock.
    pub expires_at: Wall,
}

/// A payment, as get-status told it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Settlement {
    /// Its name at the gateway.
    pub transaction_id: TransactionId,
    /// Whole rupiah; `None` if the gateway said something else.
    pub gross_amount: Option<Rupiah>,
    /// As the gateway reported it. It is `IDR` wherever there is a receipt.
    pub currency: Option<Box<str>>,
    /// As the gateway reported it.
    pub payment_type: Box<str>,
    pub settled_at: Wall,
    /// Who moved the money.
    #[serde(default, skip_serializing_if = "Parties::is_unknown")]
    pub parties: Parties,
    /// The gateway refunds it until then; `None` if it never does, or does not say.
    pub refund_until: Option<Wall>,
    /// Whether the gateway gives back a part of it, too.
    pub refunds_parts: bool,
}

/// The two sides of a payment by QRIS, as the gateway names them, for the merchant's accounts. No decision depends on them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Parties {
    /// The merchant's side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acquirer: Option<Box<str>>,
    /// The customer's side: the app that paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Box<str>>,
}

impl Parties {
    /// Whether the gateway named nobody.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// Why we end a charge.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ending {
    /// The machine asked for it.
    Requested,
    /// Nobody ended it in time.
    Timeout,
    /// The gateway asks for another sum than the price and the fee allowed.
    GrossAmount,
    /// Its QR cannot be read.
    Unreadable(Box<str>),
    /// Its answer did not come, or came too late. Nobody was told of it.
    GaveUp,
    /// It was found after its order had ended.
    Leftover,
    /// The gateway did not make it.
    NotMade {
        /// Whether another attempt may do better.
        again: bool,
        /// The gateway's words.
        why: Box<str>,
    },
}

/// How the gateway took money back that was the merchant's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum TakenBack {
    /// A refund of a part of it, made at the gateway.
    Partly {
        /// The sum that went back.
        amount: Option<Rupiah>,
    },
    /// The customer's bank took it.
    Chargeback,
    /// A shop's counter took its settlement back after the receipt was signed.
    Reversal,
}

/// Why a charge failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChargeTrouble {
    /// The gateway refused it.
    Refused,
    /// It was made, and its QR or code cannot be shown.
    Unreadable,
    /// It is for another sum.
    Sum,
    /// It was not answered in time.
    Unanswered,
}

/// The end of a charge that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChargeFailure {
    /// The kind of the reason.
    pub kind: ChargeTrouble,
    /// For people.
    pub why: Box<str>,
}

impl Order {
    /// Whether its charge was made, or why not. `None`: it is not known yet, or nobody wanted it any more.
    #[must_use]
    pub fn charge_end(&self) -> Option<Result<(), ChargeFailure>> {
        let failed = |kind, why: &str| Some(Err(ChargeFailure { kind, why: why.into() }));
        match self.why() {
            Some(Ending::NotMade { why, .. }) => failed(ChargeTrouble::Refused, why),
            Some(Ending::Unreadable(why)) => failed(ChargeTrouble::Unreadable, why),
            Some(Ending::GrossAmount) => failed(ChargeTrouble::Sum, "the gateway asks for another sum than the price"),
            Some(Ending::GaveUp) => failed(ChargeTrouble::Unanswered, "the gateway did not answer in time"),
            Some(Ending::Requested | Ending::Timeout | Ending::Leftover) | None => {
                (self.charge().is_some() || self.settlement().is_some()).then_some(Ok(()))
            }
        }
    }

    /// The time at which the receipt was signed, by our clock.
    #[must_use]
    pub fn receipt_at(&self) -> Option<Wall> {
        self.receipt().map(|receipt| Wall(receipt.claims().iat.saturating_mul(1000)))
    }

    /// What its machine told.
    #[must_use]
    pub fn delivery(&self) -> Option<&DeliveryReport> {
        self.reported.as_ref().map(|told| &told.report)
    }

    /// The outcome that its machine told.
    #[must_use]
    pub fn outcome(&self) -> Option<Delivery> {
        self.delivery().map(|told| told.outcome)
    }

    /// The time at which its machine told that.
    #[must_use]
    pub fn reported_at(&self) -> Option<Wall> {
        self.reported.as_ref().map(|told| told.at)
    }

    /// Whether its machine told two different outcomes.
    #[must_use]
    pub fn has_conflict(&self) -> bool {
        self.reported.as_ref().is_some_and(|told| told.conflict)
    }

    /// How its money goes back, once somebody or something sees to it.
    #[must_use]
    pub const fn repayment(&self) -> Option<&Repayment> {
        self.repaying.step.as_ref()
    }

    /// Whether it is listed because nobody confirms whether it is paid.
    #[must_use]
    pub fn is_unconfirmed(&self) -> bool {
        self.doubt().is_some_and(|doubt| doubt.listed_at.is_some())
    }

    /// Whether its payment is in doubt: somebody told of one, or an answer was not understood. Nobody has cleared that up.
    #[must_use]
    pub fn is_doubted(&self) -> bool {
        self.doubt().is_some_and(|doubt| doubt.suspect || doubt.listed_at.is_some() || doubt.since().is_some())
    }

    /// Whether the gateway's last word may mean money, or not.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.doubt().is_some_and(|doubt| doubt.suspect)
    }

    /// The person who ended it while nobody could say whether it is paid.
    #[must_use]
    pub fn ended_by(&self) -> Option<&PersonsEnd> {
        match self.no_receipt() {
            Some(NoReceipt::Ended(end)) => Some(end),
            Some(NoReceipt::Mismatch | NoReceipt::PaidTwice) | None => self.doubt()?.ended_by.as_ref(),
        }
    }

    /// The time at which it was listed because its machine told no outcome.
    #[must_use]
    pub const fn unreported_at(&self) -> Option<Wall> {
        if let State::Settled(settled) = &self.state { settled.unreported_at } else { None }
    }

    /// Whether it is paid at a shop's counter, with a code.
    #[must_use]
    pub fn is_over_the_counter(&self) -> bool {
        self.sale.purchase.payment.is_over_the_counter()
    }

    /// Whether a customer may be asked for this sum: the price, and at most the extra that the merchant allows.
    pub(super) fn may_be_asked(&self, gross_amount: Rupiah, rules: &Rules) -> bool {
        let price = self.sale.purchase.amount.get();
        (price..=price.saturating_add(rules.max_imposed_fee)).contains(&gross_amount.get())
    }
}

#[cfg(any(test, feature = "testing"))]
impl super::StatusReport {
    /// The get-status of an order that was charged as it should be. An order without a charge has the transaction `t1`.
    #[must_use]
    pub fn of(order: &Order, said: super::Said) -> Self {
        let charge = order.charge();
        let gross_amount = charge.map_or(order.sale.purchase.amount, |charge| charge.gross_amount);
        let unnamed = || TransactionId::new("t1").expect("a name");
        Self {
            order_id: Some(order.id.clone()),
            transaction_id: charge.map_or_else(unnamed, |charge| charge.transaction_id.clone()),
            gross_amount: Some(gross_amount),
            gross_amount_text: gross_amount.to_gross_amount().into(),
            currency: Some("IDR".into()),
            payment_type: Some("gopay".into()),
            parties: Parties::default(),
            payment: order.sale.purchase.payment,
            said,
            word: format!("{said:?}").to_lowercase().into(),
            unknown: None,
            settled_at: (said == super::Said::Settled).then_some(order.created_at),
            metadata: order.sale.metadata().to_texts().map(|text| Some(text.into())),
            store: None,
            payment_code: None,
            refund_amount: None,
            refund_at_bank: None,
            refund_within: None,
            refunds_parts: true,
        }
    }
}
