//! The data that the machine keeps: orders across power cuts, and events until the broker has them.
//!
//! The machine knows a [`Store`], and the [`Disk`] that it is on. An installation has [`database`].

pub mod database;

use qris_core::order::ids::{OrderId, PaymentCode, RequestId, Ticket};
use qris_core::order::machine::Order;
use qris_core::order::time::{BootId, Wall};
use qris_core::wire::vend::VendEvent;
use qris_host::sqlite::{self, OpenError};
use rusqlite::ErrorCode;
use std::path::PathBuf;

/// This many of the last requests are known, so that none is sold twice.
pub const KNOWN_REQUESTS: i64 = 10_000;
/// The most events that wait for the broker. With so many, nothing new is sold.
pub const OUTBOX_MAX: i64 = 10_000;
/// The fact that holds the last trusted time, in milliseconds since 1970.
const TRUSTED: &str = "trusted_ms";

/// The place of a store.
pub trait Disk {
    /// The store on it.
    type Store: Store;

    /// Its name for people.
    fn name(&self) -> String;

    /// Opens the store. A damaged one is set aside and a new one begun. If it is `suspect`, it is checked from end to
    /// end first.
    ///
    /// # Errors
    /// The fault of the store or of the disk. Then nothing was changed.
    fn open(&mut self, boot_id: &BootId, suspect: bool) -> Result<Opened<Self::Store>, StoreError>;

    /// Looks whether there is room for everything that a sale writes.
    ///
    /// # Errors
    /// There is no room, or the disk is not well.
    fn find_room(&self) -> Result<(), StoreError>;
}

/// The result of opening it.
#[derive(Debug, Clone)]
pub struct Opened<S> {
    /// Ready for use.
    pub store: S,
    /// The new place of a damaged one. Then orders are missing.
    pub set_aside: Option<PathBuf>,
}

/// An order as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The order.
    pub order: Order,
    /// Counts its versions.
    pub rev: i64,
    /// Whether its deadlines are of the present boot.
    pub same_boot: bool,
    /// The last event that was published about it.
    pub last_event: Box<str>,
}

/// Why the database does not work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// SQLite's error.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row is not as it was written.
    #[error("the database is damaged: {0}")]
    Damaged(Box<str>),
    /// It is not open at present.
    #[error("the database is not open")]
    Shut,
    /// The kernel gives no random numbers.
    #[error("no random numbers")]
    Random,
}

impl StoreError {
    /// Whether the database itself is damaged, and not only out of reach.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Sqlite(error) => sqlite::is_damage(error),
            Self::Open(_) | Self::Shut | Self::Random => false,
        }
    }

    /// Whether a write failed because the database differs from this program's memory: another program wrote to it. Then
    /// it must be read anew.
    #[must_use]
    pub fn is_surprise(&self) -> bool {
        match self {
            Self::Sqlite(rusqlite::Error::StatementChangedRows(_) | rusqlite::Error::QueryReturnedNoRows) => true,
            Self::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation),
            Self::Open(_) | Self::Damaged(_) | Self::Shut | Self::Random => false,
        }
    }
}

/// One event to be stored with its order. The store gives it its number and its name.
pub type Draft = Box<dyn FnOnce(u64, &str) -> VendEvent>;

/// The open store. After a call has returned, its writes are kept.
pub trait Store {
    /// Names the life of this store.
    fn stream(&self) -> &str;

    /// Whether there is room for another order's events.
    fn has_room(&self) -> bool;

    /// Writes without a change, to see whether the store can be written.
    ///
    /// # Errors
    /// Why it cannot be written.
    fn probe(&mut self) -> Result<(), StoreError>;

    /// All orders with something to do or to await, oldest first.
    ///
    /// # Errors
    /// When a row is damaged, or the file cannot be read.
    fn live(&self) -> Result<Vec<Stored>, StoreError>;

    /// The order of a request, finished or not.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    fn by_request(&self, request_id: &RequestId) -> Result<Option<Stored>, StoreError>;

    /// The order with that name, finished or not.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    fn by_order(&self, order_id: &OrderId) -> Result<Option<Stored>, StoreError>;

    /// The order with this payment code, finished or not. Of several it is the newest.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    fn by_code(&self, code: &PaymentCode) -> Result<Option<Stored>, StoreError>;

    /// Whether an order has this ticket.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn has_ticket(&self, ticket: &Ticket) -> Result<bool, StoreError>;

    /// Writes a new version of an order and its events, all or nothing. Forgets the events `sent`, which the broker
    /// has. Answers with the events as they were stored.
    ///
    /// # Errors
    /// Then nothing was changed.
    fn commit(
        &mut self,
        order: &Order,
        before: Option<i64>,
        drafts: Vec<Draft>,
        sent: &[u64],
    ) -> Result<(Vec<VendEvent>, Stored), StoreError>;

    /// Forgets events that the broker has.
    ///
    /// # Errors
    /// Then they are published again after the next start. Their `event_id` makes that harmless.
    fn forget(&mut self, sent: &[u64]) -> Result<(), StoreError>;

    /// The oldest event after `seq` that the broker does not have.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn next_event(&self, seq: u64) -> Result<Option<(u64, String)>, StoreError>;

    /// The last trusted time, by which the dates of certificates are judged.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn last_trusted(&self) -> Result<Wall, StoreError> {
        let text = self.remembered(TRUSTED)?;
        Ok(Wall(text.and_then(|text| text.parse().ok()).unwrap_or(0)))
    }

    /// The fact that was stored under this name.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn remembered(&self, key: &str) -> Result<Option<String>, StoreError>;

    /// Stores a fact under a name, in place of the earlier one.
    ///
    /// # Errors
    /// When the file cannot be written.
    fn remember(&mut self, key: &str, value: &str) -> Result<(), StoreError>;

    /// Stores a trusted time.
    ///
    /// # Errors
    /// When the file cannot be written.
    fn trust(&mut self, now: Wall) -> Result<(), StoreError> {
        self.remember(TRUSTED, &now.0.to_string())
    }
}
