//! The contents of the ledger across power cuts: tickets, pulses, blocked lines, operators' commands and the signing key.
//!
//! [`database`] writes them; here stand the words that it shares with the ledger.

mod blocked;
mod commands;
pub mod database;
mod driven;
mod looked;
mod pulses;
mod row;
mod signer;
mod tickets;

use qris_core::order::ids::{CommandId, ItemId};
use qris_core::order::ledger::{Cause, Entry};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Outcome;
use qris_core::order::receipt::Receipt;
use qris_host::sqlite::{self, OpenError};

/// The outcome of a pulse that was being driven when the program ended, with the words for people.
pub const INTERRUPTED: (Outcome, &str) = (Outcome::Uncertain, "the program ended while the line was driven");
/// The reason why such a pulse blocks its line.
pub const INTERRUPTED_BLOCKS: &str = "nobody knows whether its last order came out";

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pulse {
    pub cause: Cause,
    pub item: ItemId,
    /// Its price; of a test, the least that the line takes.
    pub amount: Rupiah,
    pub line: String,
    /// The outcome, or that it is being driven.
    pub entry: Entry,
    /// More about the outcome, for people.
    pub detail: String,
}

#[derive(Clone, Copy, Debug)]
pub enum Begun<'a> {
    /// For a paid order. It uses the ticket of the receipt.
    Order(&'a Receipt),
    Test {
        once: Once<'a>,
        item: &'a ItemId,
        /// The amount that the line is driven for, as if somebody had paid this.
        amount: Rupiah,
    },
}

/// A command of an operator, which is carried out once.
#[derive(Clone, Copy, Debug)]
pub struct Once<'a> {
    pub jti: &'a CommandId,
    pub what: &'a str,
    /// Its end, in seconds since 1970.
    pub exp: i64,
    /// What had ended by then is over for good, in seconds since 1970.
    pub over: i64,
}

/// A line that takes no order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    pub line: String,
    /// The reason, for people.
    pub why: String,
    /// The item that was driven last.
    pub item: ItemId,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened, or another process has it.
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the ledger cannot be read or written: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A row is not as it was written.
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
    /// The file beside it, which holds the number of its tickets that were used or closed, and of its pulses.
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
