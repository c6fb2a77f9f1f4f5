//! The messages to an order: from the gateway, from the machine, and from people.

use super::{Asker, AtBank, Charge, DeliveryReport, Parties, RefundEnding};
use crate::order::ids::{OrderId, TransactionId};
use crate::order::money::Rupiah;
use crate::order::promise::Promise;
use crate::order::proof::RelayKey;
use crate::order::request::Payment;
use crate::order::time::{Span, Wall};
use crate::order::tries::{TryNumber, TwoDigits};
use serde::{Deserialize, Serialize};

/// What may happen to an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The charge was made and its QR is known.
    Charged(Charge),
    /// The charge was made, and its QR cannot be read.
    ChargedUnreadable(Charge, Box<str>),
    /// The answer has no charge.
    NotCharged(NoCharge),
    /// Get-status answered.
    Status(StatusReport),
    /// Get-status answered that there is no such transaction.
    StatusUnknown,
    /// Get-status was answered, and the answer cannot be understood: why.
    StatusUnclear(Box<str>),
    /// Get-status was not answered.
    StatusUnanswered,
    /// The cancel was answered.
    CancelDone(StatusReport),
    /// The gateway cannot cancel it any more: get-status says why.
    CancelRefused,
    /// There is nothing to cancel.
    CancelUnknown,
    /// The cancel was not answered.
    CancelUnanswered,
    /// A notification whose signature verifies says this.
    Notified(Said),
    /// Its machine asks whether it is paid: a customer may wait there.
    StatusRequested,
    /// The machine says that it was paid. That is worth a question, and no more.
    PaymentReported,
    /// The caller that made a call for it is gone.
    Abandoned,
    /// The backend was started. Nobody waits for a charge any more.
    Restarted,
    /// Nobody ended the charge in time (from [`super::duty`]).
    TimedOut,
    /// Nobody waits for the charge any more (from [`super::duty`]).
    GaveUp,
    /// The machine posted its request again and waits.
    Awaited,
    /// The machine wants it ended.
    CancelRequested,
    /// The machine told what became of it.
    Delivered(DeliveryReport),
    /// The machine told another outcome than before.
    Contradicted {
        /// The outcome.
        told: DeliveryReport,
        /// The gateway is being asked for a refund.
        refund_on_its_way: bool,
    },
    /// A device that names its slots says that the goods of this try came, after their end was signed.
    CameLate {
        number: TryNumber,
        /// The gateway is being asked for a refund.
        refund_on_its_way: bool,
    },
    /// Its machine asks for the receipt of another try, on the relay's signed promise.
    TryAgain {
        /// The promise. Its signature was verified with the order's own key.
        promise: Box<Promise>,
        /// The key of the machine's relay now.
        key: Option<RelayKey>,
    },
    /// Somebody asks for another try at the machine: its customer on the page, or a person by this name.
    TryWanted {
        /// `None`: the customer.
        by: Option<Box<str>>,
        /// The number that the machine shows then, drawn at random.
        drawn: TwoDigits,
    },
    /// Somebody tells the number that the machine shows: its customer on the page, or a person by this name.
    NumberTold {
        number: TwoDigits,
        /// `None`: the customer.
        by: Option<Box<str>>,
    },
    /// The customer does not stand at the machine any more (from [`super::duty`]).
    TryWishEnds,
    /// No other try is offered any more: its time is over (from [`super::duty`]), or the customer wants the money.
    TryOfferEnds,
    /// No outcome came in time (from [`super::duty`]).
    Unreported,
    /// For five minutes get-status has not confirmed what was told as paid (from [`super::duty`]).
    Unconfirmed,
    /// The money is to go back through the gateway.
    RefundRequested(RefundWish),
    /// The gateway's answer to that.
    RefundAnswered(RefundAnswer),
    /// A person gave the money back in another way.
    SettledByHand {
        note: Box<str>,
        by: Option<Box<str>>,
        /// Although the machine told no outcome.
        no_report: bool,
        /// Although [the goods of another try came](super::Order::may_have_been_anothers).
        goods_and_money: bool,
    },
    /// An attendant handed the goods over.
    Given {
        by: Box<str>,
        /// Although [the goods of another try came](super::Order::may_have_been_anothers).
        goods_and_money: bool,
        /// They were taken out of the machine's slot, and nobody has counted it since.
        from_slot: bool,
    },
    /// The gateway's time for its refund comes to an end (from [`super::duty`]).
    RefundEnds(RefundEnding),
    /// A person has seen the reasons on the list that no refund can settle.
    SeenBy(Box<str>),
}

impl Event {
    /// The word of get-status about the transaction. No other word settles an order.
    #[must_use]
    pub const fn status(&self) -> Option<&StatusReport> {
        match self {
            Self::Status(report) => Some(report),
            Self::Charged(_) | Self::ChargedUnreadable(..) | Self::NotCharged(_) => None,
            Self::StatusUnknown | Self::StatusUnclear(_) | Self::StatusUnanswered => None,
            Self::CancelDone(_) | Self::CancelRefused | Self::CancelUnknown | Self::CancelUnanswered => None,
            Self::Notified(_) | Self::StatusRequested | Self::PaymentReported => None,
            Self::Abandoned | Self::Restarted | Self::TimedOut | Self::GaveUp | Self::Awaited | Self::CancelRequested => None,
            Self::Delivered(_) | Self::Contradicted { .. } | Self::CameLate { .. } | Self::Unreported | Self::Unconfirmed => None,
            Self::TryAgain { .. } | Self::TryWanted { .. } | Self::NumberTold { .. } | Self::TryWishEnds | Self::TryOfferEnds => None,
            Self::RefundRequested(_) | Self::RefundAnswered(_) | Self::RefundEnds(_) => None,
            Self::SettledByHand { .. } | Self::Given { .. } | Self::SeenBy(_) => None,
        }
    }
}

/// The gateway's word for a transaction, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// It can be paid.
    Pending,
    /// The money is the merchant's.
    Settled,
    /// Paid, but fraud detection does not accept it.
    Suspect,
    /// Nobody paid in time.
    Expired,
    /// It was ended before it was paid.
    Cancelled,
    /// Refused.
    Denied,
    /// Broken.
    Failed,
    /// All of it went back.
    Refunded,
    /// Part of it went back.
    PartlyRefunded,
    /// The customer's bank took it, or a part of it.
    ChargedBack,
    /// A word for something that does not happen to a QR.
    Other,
}

/// A transaction, as the gateway tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatusReport {
    /// The order that it names; `None` if no order of ours can have such a name. [`StatusReport::is_about`] judges it.
    pub order_id: Option<OrderId>,
    /// The gateway's name of it.
    pub transaction_id: TransactionId,
    /// The amount; `None` if it is not whole rupiah.
    pub gross_amount: Option<Rupiah>,
    /// The same, as the gateway writes it, for people.
    pub gross_amount_text: Box<str>,
    /// `IDR` in capitals; `None` if the answer does not tell.
    pub currency: Option<Box<str>>,
    /// The gateway's word for the way in which it was paid: `gopay`, `qris`, …
    pub payment_type: Option<Box<str>>,
    /// Who moved the money.
    pub parties: Parties,
    /// How it was to be paid.
    pub payment: Payment,
    /// The gateway's word for it.
    pub said: Said,
    /// The gateway's own text of that word, for people.
    pub word: Box<str>,
    /// The words of the gateway in it that its documents do not have, for people.
    pub unknown: Option<Box<str>>,
    /// When it was paid.
    pub settled_at: Option<Wall>,
    /// The texts of its [`Metadata`](super::Metadata), as far as the answer has them.
    pub metadata: [Option<Box<str>>; 3],
    /// The counter, if it is paid at one.
    pub store: Option<Box<str>>,
    /// The code that the customer says there.
    pub payment_code: Option<Box<str>>,
    /// The sum of the money that went back; `None` if none did.
    pub refund_amount: Option<Rupiah>,
    /// What the bank says of a refund; `None` if the answer does not tell.
    pub refund_at_bank: Option<AtBank>,
    /// How long after the payment the gateway refunds it; `None`: it never does, or sets no limit.
    pub refund_within: Option<Span>,
    /// Whether the gateway gives back a part of the payment, too.
    pub refunds_parts: bool,
}

impl StatusReport {
    /// Whether this is an answer about the order of this name, which is known to have these transactions. It has one of them, whatever
    /// order it names: a gateway may put a name of its own in the place of ours. Only where none is known, our name decides. It is the
    /// first part of [`Order::judge`](super::Order::judge).
    #[must_use]
    pub fn is_about<'a>(&self, id: &OrderId, transactions: impl IntoIterator<Item = &'a TransactionId>) -> bool {
        let mut known = transactions.into_iter().peekable();
        if known.peek().is_none() {
            return self.order_id.as_ref() == Some(id);
        }
        known.any(|known| *known == self.transaction_id)
    }

    /// Whether less went back than was paid, whatever its word is.
    #[must_use]
    pub fn is_of_a_part(&self) -> bool {
        self.refund_amount.is_some_and(|back| self.gross_amount.is_some_and(|paid| back < paid))
    }
}

/// Why an answer does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Differs {
    /// It is about another transaction.
    #[error("that is another transaction")]
    Transaction,
    /// It is in another currency, or a settlement tells none.
    #[error("that is another currency")]
    Currency,
    /// Its sum is another one, or not whole rupiah.
    #[error("that is another sum")]
    Sum,
    /// The sum that went back is another one, or is not told.
    #[error("that is another sum than was to go back")]
    RefundAmount,
    /// Its metadata are those of another sale.
    #[error("custom_field1 to custom_field3 are those of another order")]
    Metadata,
    /// Its metadata are missing, and no charge of the order is known.
    #[error("custom_field1 to custom_field3 are missing, and no charge of the order is known")]
    NoMetadata,
    /// It answers a call for a refund, and does not say that one was made.
    #[error("that is no refund")]
    NoRefund,
}

/// Why a call for a charge brought no charge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoCharge {
    /// Nothing was charged. The same call may do better later.
    Passing(Box<str>),
    /// Nobody knows whether it was charged. The same call tells.
    Unsure(Box<str>),
    /// It was charged before, and its QR cannot be had any more.
    Exists,
    /// Nothing was charged under this order_id.
    NotMade {
        /// Whether another order_id may do better.
        again: bool,
        /// The gateway's words.
        why: Box<str>,
    },
}

/// The wish that the money goes back through the gateway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefundWish {
    /// Who wants it.
    pub by: Asker,
    /// Although the machine told no outcome.
    pub no_report: bool,
    /// Refund it although the relay has not signed that nothing came out.
    pub no_proof: bool,
    /// Refund it although [the goods of another try came](super::Order::may_have_been_anothers).
    pub goods_and_money: bool,
}

impl RefundWish {
    /// A person's wish, where the machine's report and the relay's proof are there.
    #[must_use]
    pub const fn of_a_person(name: Option<Box<str>>) -> Self {
        Self::of(Asker::Person(name))
    }

    /// The wish of this one, where nothing is missing.
    #[must_use]
    pub const fn of(by: Asker) -> Self {
        Self { by, no_report: false, no_proof: false, goods_and_money: false }
    }
}

/// The gateway's answer to a refund.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RefundAnswer {
    /// The gateway says that all of the money went back. [`Order::judge_refund`](super::Order::judge_refund) judges it.
    Approved(Box<StatusReport>),
    /// Nobody knows whether it did. The same call, with the same key, tells.
    Unsure(Box<str>),
    /// Nothing was done. The same call may do better later.
    Passing(Box<str>),
    /// The gateway made no refund, because the key of this call was used before: perhaps by a call that made one. Get-status decides.
    KeyUsed(Box<str>),
    /// The gateway says that it did not. Get-status decides, because an earlier call may have made the refund.
    Refused(Box<str>),
}
