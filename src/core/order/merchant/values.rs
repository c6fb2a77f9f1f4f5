//! The parts of an order, and the facts that can be read off it.

use super::{Attention, DeliveryReport, Doubt, PersonsEnd, Repaying, Repayment, Reported, Said, Sale};
use crate::order::ids::{OrderId, TransactionId};
use crate::order::money::Rupiah;
use crate::order::outcome::Delivery;
use crate::order::receipt::Receipt;
use crate::order::time::{Span, Wall};
use serde::{Deserialize, Serialize};

/// One attempt at charging a sale, under one order_id.
///
/// Its [`State`] says how far the payment is. The facts beside it come from the machine, the gateway and people, in any order
/// and any state of the payment. In a thousand random lives 769 combinations of them occur: a state for each
/// would say less than the facts do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Its name at the gateway and here.
    pub id: OrderId,
    /// 1, 2, …
    pub attempt: u32,
    /// The sale.
    pub sale: Sale,
    /// When this attempt began.
    pub created_at: Wall,
    /// Somebody waits for the charge until then.
    pub answer_by: Wall,
    /// Its present state.
    pub state: State,
    /// When the gateway is asked for its status.
    pub polling: Polling,
    /// What is not certain about its payment.
    pub doubt: Doubt,
    /// What its machine told.
    pub reported: Option<Reported>,
    /// How the money of an undelivered order goes back.
    pub repaying: Repaying,
    /// The gateway took the money back, or a part of it, after it was the merchant's.
    pub taken_back: Option<TakenBack>,
    /// The time at which it was listed because no outcome came.
    pub unreported_at: Option<Wall>,
    /// Something came after the matter was settled: an outcome after the money went back, or the money a second time.
    pub late_fact: bool,
    /// Over the counter, once there is a receipt: the customer can collect until then.
    pub collect_by: Option<Wall>,
    /// The reasons that a person has seen and need not be told again.
    pub seen: Vec<Attention>,
    /// The books had lost it. It may have had a receipt that they do not know.
    pub rebuilt: bool,
    /// The time at which the gateway first said that its charge ended unpaid; `None`: it did not say so, or took it back.
    pub ended_at: Option<Wall>,
}

/// The state of an order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum State {
    /// The gateway is asked for a charge.
    Charging {
        /// The number of calls so far.
        tries: u32,
        /// Whether one of them may have made the charge.
        unsure: bool,
        /// The time of the next call, at the earliest.
        retry_at: Wall,
    },
    /// It can be paid.
    Pending {
        /// The gateway's answer.
        charge: Charge,
        /// The time at which it is cancelled if nobody ended it. A payment code is left to the gateway's expiry.
        cancel_at: Option<Wall>,
    },
    /// The gateway is asked to end it.
    Cancelling {
        /// The gateway's answer, if there was one.
        charge: Option<Charge>,
        /// Why.
        why: Ending,
        /// The next question is get-status (the cancel was refused), and not the cancel.
        get_status: bool,
        /// The number of calls so far.
        tries: u32,
        /// The time of the next call, at the earliest.
        retry_at: Wall,
    },
    /// It ended, and nobody paid as far as anybody knows.
    Closed {
        /// The gateway's answer, if there was one.
        charge: Option<Charge>,
        /// The word for it.
        how: Closing,
        /// Our reason, if we wanted it.
        why: Option<Ending>,
    },
    /// It is paid at a counter that may take the settlement back within minutes. There is no receipt before `until`,
    /// and none without another question.
    Held {
        /// The charge.
        charge: Option<Charge>,
        /// The payment.
        by: Settlement,
        /// It may be taken back until then.
        until: Wall,
    },
    /// Paid; there is a receipt.
    Settled {
        /// The charge.
        charge: Option<Charge>,
        /// The payment.
        by: Settlement,
        /// The receipt, which opens the relay.
        receipt: Receipt,
    },
    /// It is paid, and has no receipt: a refund is due.
    Withheld {
        /// The charge.
        charge: Option<Charge>,
        /// The payment.
        by: Settlement,
        /// Why there is no receipt.
        why: Withheld,
    },
    /// The money went back.
    Refunded {
        /// The charge.
        charge: Option<Charge>,
        /// The receipt, if there was one.
        receipt: Option<Receipt>,
        /// The payment; `None` if only the refund was ever seen.
        by: Option<Settlement>,
    },
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
    /// When.
    pub settled_at: Wall,
    /// Who moved the money.
    #[serde(default, skip_serializing_if = "Parties::is_unknown")]
    pub parties: Parties,
    /// The gateway refunds it until then; `None` if it never does, or does not say.
    pub refund_until: Option<Wall>,
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

/// How an order ended unpaid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Closing {
    /// The gateway expired it.
    Expire,
    /// It was cancelled.
    Cancel,
    /// The gateway denied it.
    Deny,
    /// It was never charged, or broke.
    Failure,
}

/// Why a paid order has no receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Withheld {
    /// The settlement does not match the charge.
    Mismatch,
    /// The request has a receipt already.
    PaidTwice,
    /// A person ended the order before anybody confirmed the payment.
    Ended,
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

/// The times at which the gateway is asked for an order's status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Polling {
    /// The next question.
    pub at: Option<Wall>,
    /// The last time that a notification began a round of quick questions.
    pub hot_from: Option<Wall>,
    /// The number of questions in this round.
    pub tries: u32,
    /// The last time that a question ended, with an answer or without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Wall>,
    /// Whether the gateway answered that question.
    pub answered: bool,
    /// The last time that a notification brought news. An answer to an older question does not answer it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noted_at: Option<Wall>,
    /// The word of that news, if it said that money goes back. An answer that says otherwise does not answer the news.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noted_back: Option<Said>,
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
        match &self.state {
            State::Charging { .. } => None,
            State::Pending { .. } | State::Held { .. } | State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {
                Some(Ok(()))
            }
            State::Closed { charge, why: None, .. } => charge.as_ref().map(|_| Ok(())),
            State::Cancelling { charge, why, .. } | State::Closed { charge, why: Some(why), .. } => match why {
                Ending::NotMade { why, .. } => failed(ChargeTrouble::Refused, why),
                Ending::Unreadable(why) => failed(ChargeTrouble::Unreadable, why),
                Ending::GrossAmount => failed(ChargeTrouble::Sum, "the gateway asks for another sum than the price"),
                Ending::GaveUp => failed(ChargeTrouble::Unanswered, "the gateway did not answer in time"),
                Ending::Requested | Ending::Timeout | Ending::Leftover => charge.as_ref().map(|_| Ok(())),
            },
        }
    }

    /// The gateway's answer to the charge, if there was one.
    #[must_use]
    pub fn charge(&self) -> Option<&Charge> {
        match &self.state {
            State::Charging { .. } => None,
            State::Pending { charge, .. } => Some(charge),
            State::Cancelling { charge, .. }
            | State::Held { charge, .. }
            | State::Closed { charge, .. }
            | State::Settled { charge, .. }
            | State::Withheld { charge, .. }
            | State::Refunded { charge, .. } => charge.as_ref(),
        }
    }

    /// The payment, as far as it is known.
    #[must_use]
    pub fn settlement(&self) -> Option<&Settlement> {
        match &self.state {
            State::Held { by, .. } | State::Settled { by, .. } | State::Withheld { by, .. } => Some(by),
            State::Refunded { by, .. } => by.as_ref(),
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Closed { .. } => None,
        }
    }

    /// The receipt, which opens the relay.
    #[must_use]
    pub fn receipt(&self) -> Option<&Receipt> {
        match &self.state {
            State::Settled { receipt, .. } => Some(receipt),
            State::Refunded { receipt, .. } => receipt.as_ref(),
            State::Charging { .. }
            | State::Pending { .. }
            | State::Held { .. }
            | State::Cancelling { .. }
            | State::Closed { .. }
            | State::Withheld { .. } => None,
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

    /// What is not certain about its payment; `None` once it is paid.
    #[must_use]
    pub fn doubt(&self) -> Option<&Doubt> {
        Some(&self.doubt)
    }

    /// Whether it is listed because nobody confirms whether it is paid.
    #[must_use]
    pub fn is_unconfirmed(&self) -> bool {
        self.doubt().is_some_and(|doubt| doubt.listed_at.is_some())
    }

    /// Whether the gateway's last word may mean money, or not.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.doubt().is_some_and(|doubt| doubt.suspect)
    }

    /// The person who ended it while nobody could say whether it is paid.
    #[must_use]
    pub fn ended_by(&self) -> Option<&PersonsEnd> {
        self.doubt().and_then(|doubt| doubt.ended_by.as_ref())
    }

    /// Whether it is paid at a shop's counter, with a code.
    #[must_use]
    pub fn is_over_the_counter(&self) -> bool {
        self.sale.purchase.payment.is_over_the_counter()
    }

    /// Whether its receipt is void: the counter took the payment back before anybody collected.
    #[must_use]
    pub fn is_void(&self) -> bool {
        matches!(self.state, State::Settled { .. }) && self.reported.is_none() && self.taken_back == Some(TakenBack::Reversal)
    }

    /// Whether the machine still waits for something: the order has not ended, or it is paid and without outcome.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match &self.state {
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Held { .. } => true,
            State::Settled { .. } => self.reported.is_none() && !self.is_void(),
            State::Closed { .. } | State::Withheld { .. } | State::Refunded { .. } => false,
        }
    }

    /// Whether nobody can pay it any more: it is paid, or the gateway has ended its charge and was asked once more after that; or a
    /// person has ended it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match &self.state {
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Held { .. } => false,
            State::Closed { .. } if self.doubt.ended_by.is_some() => true,
            State::Closed { .. } => {
                let may_be_money = self.doubt.suspect && !self.is_decided() && !self.seen.contains(&Attention::Suspect);
                self.polling.at.is_none() && !may_be_money
            }
            State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => true,
        }
    }

    /// For an order that can be paid: the time at which the gateway or the backend ends it, whichever comes first. For an
    /// order that waits for its customer: the end of the time to collect.
    #[must_use]
    pub fn ends_at(&self) -> Option<Wall> {
        match &self.state {
            State::Pending { charge, cancel_at } => Some(cancel_at.map_or(charge.expires_at, |at| at.min(charge.expires_at))),
            // It is paid, and the gateway is asked about it at `until`. The answer comes a little later.
            State::Held { charge, until, .. } => {
                let known = *until + Span::secs(60);
                Some(charge.as_ref().map_or(known, |charge| charge.expires_at.max(known)))
            }
            State::Settled { .. } if self.is_open() => self.collect_by,
            State::Charging { .. }
            | State::Cancelling { .. }
            | State::Closed { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => None,
        }
    }
}

#[cfg(any(test, feature = "testing"))]
impl super::StatusReport {
    /// The get-status of an order that was charged as it should be. An order without a charge has the transaction `t1`.
    #[must_use]
    pub fn of(order: &Order, said: Said) -> Self {
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
            settled_at: (said == Said::Settled).then_some(order.created_at),
            metadata: order.sale.metadata().to_texts().map(|text| Some(text.into())),
            store: None,
            payment_code: None,
            refund_amount: None,
            refund_at_bank: None,
            refund_within: None,
        }
    }
}
