//! What the ledger keeps: tickets, pulses and blocked lines, across power cuts.
//!
//! The ledger knows a [`Store`] and the [`Disk`] that it is on. [`database`] is the one that is installed. A search of all that the
//! relay service can do has one in memory, and copies it with the dispenser.

pub mod database;

use qris_core::order::ids::{ItemId, OrderId, RequestId, Ticket};
use qris_core::order::ledger::{Entry, TicketEntry};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Outcome;
use qris_core::order::receipt::{Receipt, SigningKey};
use qris_host::sqlite::{self, OpenError};
use std::path::PathBuf;

/// How a pulse ends that was being driven when the program ended, and the words for people.
pub const INTERRUPTED: (Outcome, &str) = (Outcome::Uncertain, "the program ended while the line was driven");
/// Why such a pulse blocks its line.
pub const INTERRUPTED_BLOCKS: &str = "nobody knows whether its last order came out";

/// Where a store is.
pub trait Disk {
    /// What is on it.
    type Store: Store;

    /// What people call it.
    fn name(&self) -> String;

    /// Opens the ledger, or begins one with a key of its own. It is read whole; one that is damaged, or has forgotten a ticket that
    /// was used or closed, is set aside. A pulse that was being driven ends as [`INTERRUPTED`], in one commit with the block of its
    /// line if `blocks` says so.
    ///
    /// # Errors
    /// What is wrong with it or with the disk.
    fn open(&mut self, blocks: &dyn Fn(&str) -> bool) -> Result<Found<Self::Store>, StoreError>;

    /// Takes its store back: a ledger has one owner, and is opened anew only then.
    fn take_back(&mut self, store: Self::Store) {
        drop(store);
    }

    /// Looks whether all that a sale writes has room.
    ///
    /// # Errors
    /// It has not, or the disk is not well.
    fn find_room(&self) -> Result<(), StoreError>;
}

/// What was found when a ledger was opened.
#[derive(Debug)]
pub struct Found<S> {
    /// The ledger; nothing in it is being driven.
    pub store: S,
    /// Where a damaged one was put.
    pub set_aside: Option<PathBuf>,
    /// What was being driven when the program last ended: uncertain from now on, and written so.
    pub interrupted: Vec<Pulse>,
    /// The open tickets.
    pub open: Vec<Ticket>,
    /// The blocked lines.
    pub blocked: Vec<Block>,
}

/// One entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pulse {
    /// The order.
    pub order: OrderId,
    /// Its request.
    pub request: RequestId,
    /// What it bought.
    pub item: ItemId,
    /// Its price.
    pub amount: Rupiah,
    /// The line by its name.
    pub line: String,
    /// Driving, or how it ended.
    pub entry: Entry,
    /// More about the outcome, for people.
    pub detail: String,
}

/// A line that takes no order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// The line by its name.
    pub line: String,
    /// Why, for people.
    pub why: String,
    /// The order that blocked it.
    pub order: OrderId,
}

/// Why the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened, or another process has it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// SQLite's reason.
    #[error("the ledger cannot be read or written: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row is not as it was written.
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
    /// The file beside it, which says how many pulses it has begun.
    #[error("the ledger's mark cannot be read or written: {0}")]
    Mark(#[source] std::io::Error),
}

impl StoreError {
    /// Is the file itself no good, so that it must be set aside?
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Open(_) | Self::Mark(_) => false,
            Self::Sqlite(error) => sqlite::is_damage(error),
            Self::Damaged(_) => true,
        }
    }
}

/// The open ledger. What a call wrote is kept once it has returned, and is kept whole or not at all.
pub trait Store {
    /// What is held of a ticket.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    fn ticket(&self, ticket: &Ticket) -> Result<Option<TicketEntry>, StoreError>;

    /// The number with which a ticket left `open`; `None` while it is open, and of one that left before tickets were counted.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    fn number(&self, ticket: &Ticket) -> Result<Option<u64>, StoreError>;

    /// What is held of an order.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    fn pulse(&self, order: &OrderId) -> Result<Option<Pulse>, StoreError>;

    /// Was the request or the transaction of this receipt driven for another order? One request gets one receipt.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn is_second(&self, receipt: &Receipt) -> Result<bool, StoreError>;

    /// What it signs with. It is never told, only used.
    fn key(&self) -> &SigningKey;

    /// Writes a new open ticket.
    ///
    /// # Errors
    /// It was given before, or the file cannot be written.
    fn add_ticket(&mut self, ticket: &Ticket, item: &ItemId, amount: Rupiah) -> Result<(), StoreError>;

    /// Closes an open ticket.
    ///
    /// # Errors
    /// It is not open, or the file cannot be written.
    fn close(&mut self, ticket: &Ticket) -> Result<(), StoreError>;

    /// Writes that the line is driven for this receipt, with its ticket used: after this commit, and only then, it may be.
    ///
    /// # Errors
    /// The receipt does not fit what is held, or the file cannot be written.
    fn begin(&mut self, receipt: &Receipt, line: &str) -> Result<(), StoreError>;

    /// Writes how an order ended, and in the same commit that its line is blocked, if it is.
    ///
    /// # Errors
    /// It is not being driven, or the file cannot be written.
    fn end(&mut self, order: &OrderId, outcome: Outcome, detail: &str, why_blocked: Option<&str>) -> Result<(), StoreError>;

    /// Unblocks a line.
    ///
    /// # Errors
    /// When the file cannot be written.
    fn clear(&mut self, line: &str) -> Result<(), StoreError>;

    /// Writes beside the ledger how many of its tickets were used or closed, so that it cannot forget one unnoticed.
    ///
    /// # Errors
    /// When the file beside it cannot be written.
    fn mark(&mut self) -> Result<(), StoreError>;

    /// Can the ledger be written?
    ///
    /// # Errors
    /// Why it cannot.
    fn probe(&mut self) -> Result<(), StoreError>;
}
