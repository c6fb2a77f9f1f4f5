//! The backend's view of a payment gateway. The backend asks it for a charge, its state, its cancel and its refund. The gateway
//! tells by notifications that something happened. All of it is in the words of [`merchant`](qris_core::order::merchant).
//!
//! [`midtrans`](crate::midtrans) is one of them. `docs/developing/add-a-gateway.md` says how to add another.

#![warn(missing_docs)]

mod watched;

pub use watched::{CHARGES_FAIL, SERVING, Turn, WatchedGateway};

use axum::http::HeaderMap;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{Charge, Event, NoCharge, Order, RefundAnswer, Said, StatusReport};
use qris_core::order::request::Payment;
use qris_core::order::time::Wall;
use qris_host::Failure;
use qris_host::config::Source;
use qris_host::finding::Finding;
use std::fmt::Debug;
use std::ops::RangeInclusive;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

/// A question that is on its way.
pub type Asking<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A payment gateway, for one merchant. Each call is made once and ends within 10 s. The owner of the order decides whether it is
/// made again. The same charge, cancel or refund of one order may be asked for again, and must not happen twice.
pub trait Gateway: Debug + Send + Sync {
    /// Its name in the configuration, and in the path of its notifications: `/NAME/notifications`.
    fn name(&self) -> &'static str;
    /// The sums that it charges in this way, in whole rupiah.
    fn amounts(&self, payment: Payment) -> RangeInclusive<u64> {
        payment.amounts()
    }
    /// Asks, at this moment, for a charge of exactly the order's price, which carries its sale's metadata.
    fn charge<'a>(&'a self, order: &'a Order, now: Wall) -> Asking<'a, Answered<Charged>>;
    /// Asks what became of it.
    fn status<'a>(&'a self, id: &'a OrderId) -> Asking<'a, Answered<StatusAnswer>>;
    /// Ends an unpaid charge.
    fn cancel<'a>(&'a self, id: &'a OrderId) -> Asking<'a, Answered<Cancelled>>;
    /// Gives back [`Order::to_refund`]: the payment, or what is left of it after a part went back.
    fn refund<'a>(&'a self, order: &'a Order) -> Asking<'a, Answered<RefundAnswer>>;
    /// Reads a notification, and checks whether the gateway has made it.
    fn notification(&self, headers: &HeaderMap, body: &[u8]) -> Result<Notice, NoNotice>;
    /// Looks whether it can be reached with this key, and what its clock says: for `doctor`.
    fn examine(&self) -> Asking<'_, Vec<Finding>>;
    /// Makes a charge for this way to pay that nobody is to pay, looks whether all of its answers can be read, and ends it: for `doctor
    /// --charge`. `max_fee` is the most that may be put on a price, in rupiah.
    fn try_charge(&self, payment: Payment, max_fee: u64) -> Asking<'_, Finding>;
    /// Asks for nothing but the time, so that [`reported_time`](Self::reported_time) has it. The answer is why it could not be asked.
    fn ask_time(&self) -> Asking<'_, Option<Problem>>;
    /// What its clock said in its last answer, once for each answer. It counts only if nobody on the way can have
    /// made it: over TLS that was verified, or from this computer. By a gateway that tells no time nothing ends.
    fn reported_time(&self) -> Option<Wall> {
        None
    }
}

/// A gateway's part of the configuration.
pub trait Configured: Debug + Send + Sync {
    /// See [`Gateway::name`].
    fn name(&self) -> &'static str;
    /// Whether the money is not real.
    fn is_sandbox(&self) -> bool;
    /// Its address.
    fn address(&self) -> &str;
    /// How much more than the price it may ask for, in rupiah.
    fn max_imposed_fee(&self) -> u64;
    /// The address for its notifications, if it can reach this backend.
    fn notification_url(&self) -> Option<&str>;
    /// Another way to ask it, if customers have no page (`http.public_url`); `None`: there is none.
    fn without_a_page(&self) -> Option<Finding> {
        None
    }
    /// Its secret.
    fn secret(&self) -> SecretFile<'_>;
    /// Opens the way to it.
    ///
    /// # Errors
    /// Its secret cannot be read, or a certificate cannot be.
    fn open(&self, source: &Source) -> Result<Arc<dyn Gateway>, Failure>;
}

/// A file with a secret, for the check of the rights of such files.
#[derive(Debug, Clone, Copy)]
pub struct SecretFile<'a> {
    /// Its content, for people.
    pub title: &'static str,
    /// The key of the configuration that names it.
    pub key: &'static str,
    /// Its path.
    pub path: &'a Path,
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered<T> {
    /// Its meaning for the order.
    pub says: T,
    /// Why the answer is not the expected one.
    pub problem: Option<Problem>,
}

/// Why the answer to a call is not the expected one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Problem {
    /// Its kind.
    pub kind: TroubleKind,
    /// For people.
    pub why: String,
}

/// The trouble with a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleKind {
    /// It cannot be reached, or its answers make no sense.
    Gone,
    /// It does not take our key.
    Locked,
    /// It wants to be asked later.
    Busy,
    /// There is no trouble: it refuses.
    Refusal,
}

impl TroubleKind {
    /// Whether the gateway cannot be asked at all. A refusal, or a wish to be asked later, is an answer.
    #[must_use]
    pub const fn is_trouble(self) -> bool {
        match self {
            Self::Gone | Self::Locked => true,
            Self::Busy | Self::Refusal => false,
        }
    }
}

/// The result of asking for a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Charged {
    /// It can be paid.
    Made(Charge),
    /// It was made, and its QR or payment code cannot be had.
    Unreadable(Charge, Box<str>),
    /// There is no charge, as far as anybody knows.
    No(NoCharge),
}

/// The gateway's word on an order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "it lives for the moment in which it is read")]
pub enum StatusAnswer {
    /// It knows the order.
    Found(StatusReport),
    /// It does not know the order.
    Unknown,
    /// It answered, and the answer says nothing of the order: why.
    Unclear(Box<str>),
    /// It could not be asked.
    Unanswered,
}

/// The result of a cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "it lives for the moment in which it is read")]
pub enum Cancelled {
    /// It was taken.
    Done(StatusReport),
    /// It cannot be cancelled any more; perhaps somebody paid. Or the answer does not tell. The gateway is asked what became of it.
    Refused,
    /// There is nothing to cancel.
    Unknown,
    /// It could not be asked.
    Unanswered,
}

/// The content of a notification. It proves only that the gateway has made it. Only a question to the gateway tells
/// whether the order is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its order; `None` if no order of ours can have such a name.
    pub order: Option<OrderId>,
    /// What happened.
    pub said: Said,
    /// As in [`StatusReport`].
    pub unknown: Option<Box<str>>,
}

/// Why a message is not a notification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoNotice {
    /// It has another form.
    #[error("{0}")]
    Malformed(String),
    /// The gateway has not made it.
    #[error("the signature is wrong")]
    Forged(Option<OrderId>),
}

impl From<Charged> for Event {
    fn from(charged: Charged) -> Self {
        match charged {
            Charged::Made(charge) => Self::Charged(charge),
            Charged::Unreadable(charge, why) => Self::ChargedUnreadable(charge, why),
            Charged::No(why) => Self::NotCharged(why),
        }
    }
}

impl From<StatusAnswer> for Event {
    fn from(looked: StatusAnswer) -> Self {
        match looked {
            StatusAnswer::Found(report) => Self::Status(report),
            StatusAnswer::Unknown => Self::StatusUnknown,
            StatusAnswer::Unclear(why) => Self::StatusUnclear(why),
            StatusAnswer::Unanswered => Self::StatusUnanswered,
        }
    }
}

impl From<Cancelled> for Event {
    fn from(cancelled: Cancelled) -> Self {
        match cancelled {
            Cancelled::Done(report) => Self::CancelDone(report),
            Cancelled::Refused => Self::CancelRefused,
            Cancelled::Unknown => Self::CancelUnknown,
            Cancelled::Unanswered => Self::CancelUnanswered,
        }
    }
}
