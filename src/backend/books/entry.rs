//! What stands in the books of an order, what a change of it brings, and why the books refuse.

use crate::store::{Row, StoreError, Value};
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{Call, Order, Refused, Rules};
use qris_core::order::time::Wall;

/// Why the books refuse.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No order of that name, or none of this machine.
    #[error("no such order")]
    Unknown,
    /// The request_id was used with another body.
    #[error("this request_id was used with another body")]
    ReusedId,
    /// The ticket belongs to another request.
    #[error("this ticket belongs to another request")]
    ReusedTicket,
    /// So many orders that the books do not have are to be asked about already.
    #[error("too many orders wait to be looked up at the gateway")]
    Full,
    /// More than `orders_per_minute`.
    #[error("more than {0} orders a minute")]
    RateLimited(u32),
    /// The core's reason.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl BooksError {
    /// Whether it is one row that cannot be read: what concerns others goes on without it.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Store(StoreError::Damaged { .. }))
    }
}

/// What the merchant decided, as far as the books need it.
#[derive(Debug, Clone)]
pub struct Desk {
    /// For the core.
    pub rules: Rules,
    /// News go to the broker.
    pub push: bool,
    /// Orders of one machine in a minute; 0: no limit.
    pub orders_per_minute: u32,
    /// Refunds that the backend begins by itself, of one machine in a day; 0: none.
    pub auto_refund_per_day: u32,
}

/// An order as it stands in the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The order.
    pub order: Order,
    /// Counts what its machine can see.
    pub rev: u64,
    pub(super) version: i64,
    pub(super) digest: Option<String>,
    pub(super) claimed_until: Option<Wall>,
}

/// What a transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The order now.
    pub now: Stored,
    /// Whether its machine can see a difference.
    pub news: bool,
    /// What the gateway must be asked for it: claimed for the caller, who must.
    pub call: Option<Call>,
    /// The attempt that replaces it, if it was replaced.
    pub next: Option<OrderId>,
    /// A person must be told of something new.
    pub alert: bool,
    /// What it was before, for the journal.
    pub was: Order,
}

/// The number that a query counts.
///
/// # Errors
/// It is none.
pub(super) fn first_int(rows: &[Row]) -> Result<i64, StoreError> {
    rows.first().map_or(Ok(0), |row| row.int(0))
}

/// A value that a query may leave out.
pub(super) fn text(value: Option<&str>) -> Value {
    value.into()
}
