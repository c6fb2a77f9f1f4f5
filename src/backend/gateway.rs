//! What a payment gateway is to the backend: it is asked for a charge, what became of it, its cancel and its refund, and it tells
//! by notifications that something happened. All of it is in the words of [`merchant`](qris_core::order::merchant).
//!
//! [`midtrans`](super::midtrans) is one of them. `docs/developing/add-a-gateway.md` says how to add another.

use axum::http::HeaderMap;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{Charge, Event, NoCharge, Order, RefundAnswer, Report, Said};
use qris_host::Failure;
use qris_host::config::Source;
use qris_host::finding::Finding;
use std::fmt::Debug;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

/// A question that is on its way.
pub type Asking<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A payment gateway, as one merchant. Each call is made once and ends within 15 s: who owns the order decides whether it is made
/// again. The same charge, cancel or refund of one order may be asked for again, and must not happen twice.
pub trait Gateway: Debug + Send + Sync {
    /// Its name in the configuration, and in the path of its notifications: `/NAME/notifications`.
    fn name(&self) -> &'static str;
    /// Asks for a charge of exactly the order's price, which carries its sale's metadata.
    fn charge<'a>(&'a self, order: &'a Order) -> Asking<'a, Answered<Charged>>;
    /// Asks what became of it.
    fn status<'a>(&'a self, id: &'a OrderId) -> Asking<'a, Answered<Looked>>;
    /// Ends what nobody paid.
    fn cancel<'a>(&'a self, id: &'a OrderId) -> Asking<'a, Answered<Cancelled>>;
    /// Gives all that was paid back.
    fn refund<'a>(&'a self, order: &'a Order) -> Asking<'a, Answered<RefundAnswer>>;
    /// Reads a notification, and whether the gateway has made it.
    ///
    /// # Errors
    /// It is none, or somebody else's.
    fn notification(&self, headers: &HeaderMap, body: &[u8]) -> Result<Notice, NoNotice>;
    /// Looks whether it can be reached with this key, and what its clock says: for `doctor`.
    fn examine(&self) -> Asking<'_, Vec<Finding>>;
}

/// What the configuration says of a gateway.
pub trait Configured: Debug + Send + Sync {
    /// See [`Gateway::name`].
    fn name(&self) -> &'static str;
    /// Whether the money is not real.
    fn is_sandbox(&self) -> bool;
    /// Its address.
    fn address(&self) -> &str;
    /// What it may ask above the price, in rupiah.
    fn max_imposed_fee(&self) -> u64;
    /// Where it sends notifications.
    fn notification_url(&self) -> &str;
    /// Its secret.
    fn secret(&self) -> SecretFile<'_>;
    /// The way to it.
    ///
    /// # Errors
    /// Its secret cannot be read, or a certificate.
    fn open(&self, source: &Source) -> Result<Arc<dyn Gateway>, Failure>;
}

/// A file with a secret, for who looks at the rights of such files.
#[derive(Debug, Clone, Copy)]
pub struct SecretFile<'a> {
    /// What is in it, for people.
    pub title: &'static str,
    /// The key of the configuration that names it.
    pub key: &'static str,
    /// Where it is.
    pub path: &'a Path,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered<T> {
    /// What it means for the order.
    pub says: T,
    /// Why it was not answered with what was asked for.
    pub problem: Option<Problem>,
}

/// Why a call was not answered with what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Problem {
    /// Of which kind.
    pub kind: Kind,
    /// For people.
    pub why: String,
}

/// What is wrong with a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It cannot be reached, or answers with nothing of sense.
    Gone,
    /// It does not take our key.
    Locked,
    /// It wants to be asked later.
    Busy,
    /// Nothing: it says no.
    Refusal,
}

impl Kind {
    /// Whether the gateway cannot be asked at all; that it says no, or later, is an answer.
    #[must_use]
    pub const fn is_trouble(self) -> bool {
        match self {
            Self::Gone | Self::Locked => true,
            Self::Busy | Self::Refusal => false,
        }
    }
}

/// What came of asking for a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Charged {
    /// It can be paid.
    Made(Charge),
    /// It was made, and its QR or payment code cannot be had.
    Unreadable(Charge, Box<str>),
    /// There is none, as far as anybody knows.
    No(NoCharge),
}

/// What the gateway says of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "it lives for the moment in which it is read")]
pub enum Looked {
    /// It knows it.
    Found(Report),
    /// It knows no such order.
    Unknown,
    /// It could not be asked.
    Unanswered,
}

/// What came of a cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "it lives for the moment in which it is read")]
pub enum Cancelled {
    /// It was taken.
    Done(Report),
    /// It cannot be cancelled any more: somebody paid, perhaps.
    Refused,
    /// There is nothing to cancel.
    Unknown,
    /// It could not be asked.
    Unanswered,
}

/// What a notification says. It proves nothing but that the gateway has made it: whether it is paid, the gateway is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whose; `None` where no order of ours can have such a name.
    pub order: Option<OrderId>,
    /// What happened.
    pub said: Said,
}

/// Why a message is no notification.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoNotice {
    /// It is of another form.
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

impl From<Looked> for Event {
    fn from(looked: Looked) -> Self {
        match looked {
            Looked::Found(report) => Self::Status(report),
            Looked::Unknown => Self::StatusUnknown,
            Looked::Unanswered => Self::StatusUnanswered,
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
