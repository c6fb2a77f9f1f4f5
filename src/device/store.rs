//! The data that the machine keeps: orders across power cuts, and events until the broker has them.
//!
//! [`database`] has them, a file for each kind of what is kept; here stand the words that it shares with the machine.

mod commands;
pub mod database;
pub mod fact;
mod filling;
mod orders;
mod outbox;
pub mod sealed;
mod stock;

use qris_core::order::ids::ItemId;
use qris_core::order::machine::Order;
use qris_core::order::stock::Taken;
use qris_core::wire::vend::VendEvent;
use qris_host::sqlite::{self, OpenError};
use rusqlite::ErrorCode;

/// This many of the last requests are known, so that none is sold twice.
pub const KNOWN_REQUESTS: i64 = 10_000;
/// The most events that wait for the broker. With so many, nothing new is sold.
pub const OUTBOX_MAX: i64 = 10_000;

#[derive(Clone, Debug)]
pub struct Stored {
    pub order: Order,
    /// Counts its versions.
    pub rev: i64,
    /// Whether its deadlines are of the present boot.
    pub same_boot: bool,
    /// The last event that was published about it.
    pub last_event: Box<str>,
    /// Where its item is, once it has left its slot.
    pub taken: Option<Taken>,
}

impl Stored {
    /// Whether one of this item lies in its slot, and is kept for it.
    #[must_use]
    pub fn keeps(&self, item: &ItemId) -> bool {
        self.order.keeps(item, self.taken.is_some())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row is not as it was written.
    #[error("the database is damaged: {0}")]
    Damaged(Box<str>),
    /// The file beside it, which holds the number of its last event.
    #[error("the mark of the database cannot be read or written: {0}")]
    Mark(#[source] std::io::Error),
    #[error("the database is not open")]
    Shut,
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
            Self::Open(_) | Self::Mark(_) | Self::Shut | Self::Random => false,
        }
    }

    /// Whether a write failed because the database differs from this program's memory: another program wrote to it. Then
    /// it must be read anew.
    #[must_use]
    pub fn is_surprise(&self) -> bool {
        match self {
            Self::Sqlite(rusqlite::Error::StatementChangedRows(_) | rusqlite::Error::QueryReturnedNoRows) => true,
            Self::Sqlite(error) => error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation),
            Self::Open(_) | Self::Damaged(_) | Self::Mark(_) | Self::Shut | Self::Random => false,
        }
    }
}

/// One event to be stored with its order. The store gives it its number and its name.
pub type Draft = Box<dyn FnOnce(u64, &str) -> VendEvent>;
