//! The contents of the ledger across power cuts: tickets, pulses and blocked lines.
//!
//! [`database`] writes them; here stand the words that it shares with the ledger.

pub mod database;

use qris_core::order::ids::{CommandId, ItemId, OrderId, RequestId, Ticket, TransactionId};
use qris_core::order::ledger::Entry;
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Outcome;
use qris_core::order::receipt::Receipt;
use qris_host::sqlite::{self, OpenError};

/// The outcome of a pulse that was being driven when the program ended, with the words for people.
pub const INTERRUPTED: (Outcome, &str) = (Outcome::Uncertain, "the program ended while the line was driven");
/// The reason why such a pulse blocks its line.
pub const INTERRUPTED_BLOCKS: &str = "nobody knows whether its last order came out";

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

/// A pulse that begins.
#[derive(Clone, Copy, Debug)]
pub struct Begun<'a> {
    /// The order.
    pub order: &'a OrderId,
    /// Its request.
    pub request: &'a RequestId,
    /// The gateway's transaction.
    pub transaction: &'a TransactionId,
    /// The ticket that it uses.
    pub ticket: &'a Ticket,
    /// The item that it bought.
    pub item: &'a ItemId,
    /// Its price.
    pub amount: Rupiah,
    /// The command of an operator that it is for. An order has none.
    pub once: Option<Once<'a>>,
}

/// A command of an operator, which is carried out once.
#[derive(Clone, Copy, Debug)]
pub struct Once<'a> {
    /// Its name.
    pub jti: &'a CommandId,
    /// What it asks for.
    pub what: &'a str,
    /// Its end, in seconds since 1970.
    pub exp: i64,
    /// What had ended by then is over for good, in seconds since 1970.
    pub over: i64,
}

impl<'a> Begun<'a> {
    /// That of a receipt.
    #[must_use]
    pub fn of(receipt: &'a Receipt) -> Self {
        let claims = receipt.claims();
        let (order, request, transaction) = (&claims.sub, &claims.jti, &claims.transaction_id);
        Self { order, request, transaction, ticket: &claims.ticket, item: &claims.item, amount: claims.amount, once: None }
    }
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
