//! What is said to an order: by the gateway, by the machine, and by people.

use super::{Asker, Charge, Told};
use crate::order::ids::{OrderId, TransactionId};
use crate::order::money::Rupiah;
use crate::order::request::Payment;
use crate::order::time::Wall;
use serde::{Deserialize, Serialize};

/// What may happen to an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The charge was made and its QR is known.
    Charged(Charge),
    /// The charge was made and its QR cannot be had.
    ChargedUnreadable(Charge, Box<str>),
    /// No charge was answered.
    NotCharged(NoCharge),
    /// Get-status answered.
    Status(Report),
    /// Get-status answered that there is no such transaction.
    StatusUnknown,
    /// Get-status was not answered.
    StatusUnanswered,
    /// The cancel was answered.
    CancelDone(Report),
    /// The gateway cannot cancel it any more: get-status says why.
    CancelRefused,
    /// There is nothing to cancel.
    CancelUnknown,
    /// The cancel was not answered.
    CancelUnanswered,
    /// A notification whose signature verifies says this.
    Notified(Said),
    /// Whoever made a call for it is gone.
    Abandoned,
    /// The backend was started: nobody waits for a charge any more.
    Restarted,
    /// Nobody ended the charge in time (from [`duty`]).
    TimedOut,
    /// Nobody waits for the charge any more (from [`duty`]).
    GaveUp,
    /// The machine posted its request again and waits.
    Awaited,
    /// The machine wants it ended.
    CancelAsked,
    /// The machine told what became of it.
    Delivered(Told),
    /// The machine told another outcome than before.
    Contradicted {
        /// Which.
        told: Told,
        /// A refund is being asked for at the gateway.
        refund_on_its_way: bool,
    },
    /// No outcome came in time (from [`super::duty`]).
    Unreported,
    /// The money is to go back through the gateway.
    RefundAsked(RefundWish),
    /// What the gateway answered to that.
    RefundAnswered(RefundAnswer),
    /// A person gave the money back otherwise.
    SettledByHand {
        /// How.
        note: Box<str>,
        /// Who.
        by: Option<Box<str>>,
        /// Although the machine told no outcome.
        no_report: bool,
    },
    /// An attendant handed the goods over.
    Given {
        /// Who.
        by: Box<str>,
    },
    /// A person has seen what is listed and cannot be decided by a refund.
    SeenBy(Box<str>),
}

/// The gateway's word for a transaction, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// It can be paid.
    Pending,
    /// The money is the merchant's.
    Settled,
    /// Paid, and fraud detection does not accept it.
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

/// A transaction as the gateway tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Whose it is.
    pub order_id: OrderId,
    /// The gateway's name of it.
    pub transaction_id: TransactionId,
    /// `None` where it is not whole rupiah.
    pub gross_amount: Option<Rupiah>,
    /// The same as the gateway writes it, for people.
    pub gross_amount_text: Box<str>,
    /// Must be `IDR`.
    pub currency: Option<Box<str>>,
    /// The gateway's word for what it was paid with: `gopay`, `qris`, …
    pub payment_type: Option<Box<str>>,
    /// How it was to be paid.
    pub payment: Payment,
    /// What it is.
    pub said: Said,
    /// The gateway's own word for that, for people.
    pub word: Box<str>,
    /// When it was paid.
    pub settled_at: Option<Wall>,
    /// The texts of its [`Metadata`](super::Metadata), each where the answer has it.
    pub metadata: [Option<Box<str>>; 3],
    /// The counter, of a payment over one.
    pub store: Option<Box<str>>,
    /// What the customer says there.
    pub payment_code: Option<Box<str>>,
    /// What went back in sum; `None` where nothing did.
    pub refund_amount: Option<Rupiah>,
}

/// Why a call for a charge brought none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoCharge {
    /// Nothing was charged; the same call may do better later.
    Passing(Box<str>),
    /// Nobody knows whether it was charged; the same call tells.
    Unsure(Box<str>),
    /// It was charged before and its QR cannot be had any more.
    Exists,
    /// Nothing was charged under this order_id.
    NotMade {
        /// Whether another order_id may do better.
        again: bool,
        /// The gateway's words.
        why: Box<str>,
    },
}

/// That the money is to go back through the gateway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefundWish {
    /// Who wants it.
    pub by: Asker,
    /// Although the machine told no outcome.
    pub no_report: bool,
    /// Although the relay has not signed that nothing came out.
    pub no_proof: bool,
}

impl RefundWish {
    /// A person's, where the machine's report and the relay's proof are there.
    #[must_use]
    pub const fn of_a_person(name: Option<Box<str>>) -> Self {
        Self { by: Asker::Person(name), no_report: false, no_proof: false }
    }
}

/// What the gateway answered to a refund.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RefundAnswer {
    /// It went back.
    Approved,
    /// Nobody knows whether it did; the same call, with the same `refund_key`, tells.
    Unsure(Box<str>),
    /// Nothing was done; the same call may do better later.
    Passing(Box<str>),
    /// It did not, says the gateway; get-status decides, because a call before this one may have.
    Refused(Box<str>),
}
