//! The contents of the ledger across power cuts: tickets, pulses and blocked lines.
//!
//! The ledger knows a [`Store`] and the [`Disk`] that the store is on. [`database`] is the installed one.

pub mod database;

use qris_core::order::ids::{ItemId, OrderId, RequestId, Ticket};
use qris_core::order::ledger::{Entry, TicketEntry};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Outcome;
use qris_core::order::receipt::{Receipt, SigningKey};
use qris_host::sqlite::{self, OpenError};
use std::path::PathBuf;

/// The outcome of a pulse that was being driven when the program ended, with the words for people.
pub const INTERRUPTED: (Outcome, &str) = (Outcome::Uncertain, "the program ended while the line was driven");
/// The reason why such a pulse blocks its line.
pub const INTERRUPTED_BLOCKS: &str = "nobody knows whether its last order came out";

/// Where a store is.
pub trait Disk {
    /// The store on it.
    type Store: Store;

    /// Its name for people.
    fn name(&self) -> String;

    /// Opens the ledger, or begins one with a key of its own. The whole ledger is read. It is set aside if it is damaged, or has
    /// forgotten a ticket that was used or closed. A pulse that was being driven ends as [`INTERRUPTED`]. The same commit blocks
    /// its line if `blocks` says so.
    ///
    /// # Errors
    /// What is wrong with it or with the disk.
    fn open(&mut self, blocks: &dyn Fn(&str) -> bool) -> Result<Found<Self::Store>, StoreError>;

    /// Looks whether there is room for all that a sale writes.
    ///
    /// # Errors
    /// There is no room, or the disk is not well.
    fn find_room(&self) -> Result<(), StoreError>;
}

/// The findings when a ledger was opened.
#[derive(Debug)]
pub struct Found<S> {
    /// The ledger; it has no order that is being driven.
    pub store: S,
    /// The new place of a damaged one.
    pub set_aside: Option<PathBuf>,
    /// The orders that were being driven when the program last ended. They are uncertain from now on, and that is written.
    pub interrupted: Vec<Pulse>,
    /// The open tickets.
    pub open: Vec<Ticket>,
    /// The blocked lines.
    pub blocked: Vec<Block>,
}

/// An order in the ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pulse {
    /// The order.
    pub order: OrderId,
    /// Its request.
    pub request: RequestId,
    /// The item that it bought.
    pub item: ItemId,
    /// Its price.
    pub amount: Rupiah,
    /// The name of its line.
    pub line: String,
    /// The outcome, or that it is being driven.
    pub entry: Entry,
    /// More about the outcome, for people.
    pub detail: String,
}

/// A line that takes no order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// The name of the line.
    pub line: String,
    /// The reason, for people.
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
    /// The file beside it, which holds the number of tickets that were used or closed.
    #[error("the ledger's mark cannot be read or written: {0}")]
    Mark(#[source] std::io::Error),
}

impl StoreError {
    /// Is the file itself damaged, so that it must be set aside?
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Open(_) | Self::Mark(_) => false,
            Self::Sqlite(error) => sqlite::is_damage(error),
            Self::Damaged(_) => true,
        }
    }
}

/// The open ledger. A write is kept once its call has returned. It is kept whole or not at all.
pub trait Store {
    /// The record of a ticket.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    fn ticket(&self, ticket: &Ticket) -> Result<Option<TicketEntry>, StoreError>;

    /// The number with which a ticket left `open`. `None` while it is open, or if it left before tickets were counted.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    fn number(&self, ticket: &Ticket) -> Result<Option<u64>, StoreError>;

    /// The record of an order.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    fn pulse(&self, order: &OrderId) -> Result<Option<Pulse>, StoreError>;

    /// Was the request or the transaction of this receipt driven for another order? One request gets one receipt.
    ///
    /// # Errors
    /// When the file cannot be read.
    fn is_second(&self, receipt: &Receipt) -> Result<bool, StoreError>;

    /// The key that it signs with. It is used, and never shown.
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

    /// Writes that the line is driven for this receipt, with its ticket used. The line may be driven after this commit, and only
    /// then.
    ///
    /// # Errors
    /// The receipt does not fit what is held, or the file cannot be written.
    fn begin(&mut self, receipt: &Receipt, line: &str) -> Result<(), StoreError>;

    /// Writes how an order ended. The same commit writes whether its line is blocked.
    ///
    /// # Errors
    /// It is not being driven, or the file cannot be written.
    fn end(&mut self, order: &OrderId, outcome: Outcome, detail: &str, why_blocked: Option<&str>) -> Result<(), StoreError>;

    /// Unblocks a line.
    ///
    /// # Errors
    /// When the file cannot be written.
    fn clear(&mut self, line: &str) -> Result<(), StoreError>;

    /// Writes beside the ledger how many of its tickets were used or closed. So the ledger cannot forget a ticket unnoticed.
    ///
    /// # Errors
    /// When the file beside it cannot be written.
    fn mark(&mut self) -> Result<(), StoreError>;

    /// Can the ledger be written?
    ///
    /// # Errors
    /// The reason why it cannot.
    fn probe(&mut self) -> Result<(), StoreError>;
}
