//! The entry of an order in the books, what a change of it brings, and why the books refuse.

use crate::store::{JobError, StoreError};
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{Call, Doubt, NoTry, Order, Refused, Rules};
use qris_core::order::time::Wall;
use qris_host::checksum::checksum;
use qris_host::speech::orders;
use serde::Serialize;

#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No order has that name, or it is another machine's.
    #[error("no such order")]
    Unknown,
    #[error("this request_id was used with another body")]
    ReusedId,
    #[error("this ticket belongs to another request")]
    ReusedTicket,
    #[error("too many orders wait to be looked up at the gateway")]
    Full,
    #[error("more than {0} orders a minute")]
    RateLimited(u32),
    #[error("{}", orders::no_try(*.0).line.en())]
    NoTry(NoTry),
    #[error("{}", orders::refused(*.0).line.en())]
    Refused(Refused),
}

impl From<NoTry> for BooksError {
    fn from(why: NoTry) -> Self {
        Self::NoTry(why)
    }
}

impl From<Refused> for BooksError {
    fn from(why: Refused) -> Self {
        Self::Refused(why)
    }
}

impl BooksError {
    /// Whether only one row cannot be read. Work on the other rows goes on.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Store(StoreError::Damaged { .. }))
    }
}

impl JobError for BooksError {
    fn of_store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::Unknown | Self::ReusedId | Self::ReusedTicket | Self::Full | Self::RateLimited(_) | Self::NoTry(_) | Self::Refused(_) => {
                None
            }
        }
    }
}

/// The merchant's decisions, as far as the books need them.
#[derive(Debug, Clone)]
pub struct Policy {
    pub rules: Rules,
    /// Whether news goes to the broker.
    pub push: bool,
    /// The most orders of one machine in a minute; 0: no limit.
    pub orders_per_minute: u32,
    /// The most refunds of one machine in a day that the backend begins by itself; 0: none.
    pub auto_refund_per_day: u32,
    /// The most tries after a first one that one machine begins in a day.
    pub tries_per_day: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub order: Order,
    /// Counts the changes that its machine can see.
    pub rev: u64,
    /// Counts what was written, so that no other program's write is lost.
    pub(super) version: i64,
    pub(super) digest: Option<String>,
    pub(super) claimed_until: Option<Wall>,
}

impl Stored {
    /// Another number as soon as [the facts for a person's decision](decides) are not the same. It is another one, too, when
    /// somebody who must know first tells that it is paid. Questions to the gateway that bring nothing leave it, and so does a machine that
    /// says something again and again.
    #[must_use]
    pub fn seen_as(&self) -> u64 {
        u64::from_be_bytes(checksum(&(decides(&self.order), self.order.doubt().and_then(|doubt| doubt.notified_at))))
    }
}

/// The facts that a person decides by. The history has a line of a notification, and of answers that nobody understands. Neither decides
/// anything.
pub(super) fn decides(order: &Order) -> impl PartialEq + Serialize {
    let doubt = order.doubt().map(|doubt| Doubt { notified_at: None, unclear_since: None, ..doubt.clone() });
    let Order { reported, tries, repaying, taken_back, late, seen, .. } = order;
    (order.state.word(), reported, tries, repaying, taken_back, late, order.unreported_at(), seen, doubt)
}

/// The result of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    pub now: Stored,
    /// Whether its machine can see a difference.
    pub news: bool,
    /// Whether the outbox has something new for its machine.
    pub posted: bool,
    /// The question to the gateway. It is claimed for the caller, who must ask.
    pub call: Option<Call>,
    /// The attempt that replaced it, if there is one.
    pub next: Option<OrderId>,
    /// A person must hear of something new.
    pub alert: bool,
    /// The order before, for the journal.
    pub was: Order,
}
