//! What the machine keeps: orders across power cuts, and events until the broker has them.
//!
//! The machine knows a [`Store`] and the [`Disk`] that it is on. [`database`] is the one that is installed. Whoever explores what a
//! machine can do has one in memory, which can be copied with the machine.

pub mod database;

use qris_core::order::ids::{OrderId, PaymentCode, RequestId, Ticket};
use qris_core::order::machine::Order;
use qris_core::order::time::{BootId, Wall};
use qris_core::wire::vend::VendEvent;
use qris_host::sqlite::{self, OpenError};
use rusqlite::ErrorCode;
use std::path::PathBuf;

/// The last so many requests are known, so that none is sold twice.
pub const KNOWN_REQUESTS: i64 = 10_000;
/// So many events wait for the broker at most; then nothing new is sold.
pub const OUTBOX_MAX: i64 = 10_000;

/// Where a store is.
pub trait Disk {
    /// What is on it.
    type Store: Store;

    /// What people call it.
    fn name(&self) -> String;

    /// Opens the store. A damaged one is set aside and a new one begun. One that is `suspect` is looked at from end to end first.
    ///
    /// # Errors
    /// What is wrong with it or with the disk; nothing was changed then.
    fn open(&mut self, boot_id: &BootId, suspect: bool) -> Result<Opened<Self::Store>, StoreError>;

    /// Takes the store back: nobody uses it any more.
    fn close(&mut self, store: Self::Store);

    /// Looks whether all that a sale writes has room.
    ///
    /// # Errors
    /// It has not, or the disk is not well.
    fn find_room(&self) -> Result<(), StoreError>;
}

/// What came of opening it.
#[derive(Debug, Clone)]
pub struct Opened<S> {
    /// Ready for use.
    pub store: S,
    /// Where a damaged one was put; orders are missing then.
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
    /// The last event that was published of it.
    pub last_event: Box<str>,
}

/// Why the database does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// SQLite says no.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row is not what was written.
    #[error("the database is damaged: {0}")]
    Damaged(Box<str>),
    /// There is none at present.
    #[error("the database is not open")]
    Shut,
    /// The kernel gives no random numbers.
    #[error("no random numbers")]
    Random,
}

impl StoreError {
    /// Whether the database itself is damaged, and not merely out of reach.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Sqlite(error) => sqlite::is_damage(error),
            Self::Open(_) | Self::Shut | Self::Random => false,
        }
    }

    /// Whether a write failed because the database holds something else than this program remembers: somebody else wrote
    /// it. It must be read anew then.
    #[must_use]
    pub fn is_surprise(&self) -> bool {
        match self {
            Self::Sqlite(rusqlite::Error::StatementChangedRows(_) | rusqlite::Error::QueryReturnedNoRows) => true,
            Self::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation),
            Self::Open(_) | Self::Damaged(_) | Self::Shut | Self::Random => false,
        }
    }
}

/// One event to be stored with its order: the number and the name are the store's to give.
pub type Draft = Box<dyn FnOnce(u64, &str) -> VendEvent>;

/// The open store. What a call wrote is kept once it has returned.
pub trait Store {
    /// Names the life of this store.
    fn stream(&self) -> &str;

    /// Whether another order's events still find room.
    fn has_room(&self) -> bool;

    /// Writes what changes nothing: whether it can be written.
    ///
    /// # Errors
    /// Why it cannot.
    fn probe(&mut self) -> Result<(), StoreError>;

    /// All orders of which something is still to be done or awaited, oldest first.
    ///
    /// # Errors
    /// When a row is damaged, or the file cannot be read.
    fn live(&self) -> Result<Vec<Stored>, StoreError>;

    /// The order of a request, finished or not.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    fn by_request(&self, request_id: &RequestId) -> Result<Option<Stored>, StoreError>;

    /// The order of that name, finished or not.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    fn by_order(&self, order_id: &OrderId) -> Result<Option<Stored>, StoreError>;

    /// The order that has this payment code, finished or not; of several the newest.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    fn by_code(&self, code: &PaymentCode) -> Result<Option<Stored>, StoreError>;

    /// Whether an order carries this ticket.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn has_ticket(&self, ticket: &Ticket) -> Result<bool, StoreError>;

    /// Writes a new version of an order and its events, all or nothing; and forgets the events `sent`, which the broker
    /// has. Answers the events as they were stored.
    ///
    /// # Errors
    /// Nothing was changed then.
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
    /// They are published again after the next start then; their `event_id` makes that harmless.
    fn forget(&mut self, sent: &[u64]) -> Result<(), StoreError>;

    /// The oldest event after `seq` that the broker does not have.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn next_event(&self, seq: u64) -> Result<Option<(u64, String)>, StoreError>;

    /// The last time that was trusted, for judging the dates of certificates.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn last_trusted(&self) -> Result<Wall, StoreError>;

    /// A fact that was stored under a name.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn remembered(&self, key: &str) -> Result<Option<String>, StoreError>;

    /// Stores a fact under a name, in place of what was there.
    ///
    /// # Errors
    /// When the file cannot be written.
    fn remember(&mut self, key: &str, value: &str) -> Result<(), StoreError>;

    /// Stores a time that was trusted.
    ///
    /// # Errors
    /// When the file cannot be written.
    fn trust(&mut self, now: Wall) -> Result<(), StoreError>;
}
