//! What the relay service tells of itself, and answers.

use qris_core::order::ids::{KeyId, Ticket};
use qris_core::order::ledger::Limits;
use qris_core::order::outcome::{CloseAnswer, DispenseAnswer};
use qris_core::order::proof::RelayKey;
use qris_core::order::time::Span;
use qris_core::wire::dbus::RelayError;

/// How long a request waits for its ticket, and for a relay service that is not there yet.
pub const PREPARE_WAIT: Span = Span::secs(2);

/// Why there is no ticket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PrepareError {
    /// The relay refuses.
    Refused(RelayError, Box<str>),
    /// The relay does not answer.
    NoAnswer(Box<str>),
}

/// The relay service's facts about itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RelayFacts {
    /// The machine that it says it belongs to; `None` before it said so.
    pub device: Option<Box<str>>,
    /// The receipt keys that it believes.
    pub kids: Vec<KeyId>,
    /// The key with which it signs its proofs.
    pub proof_key: Option<RelayKey>,
    /// Its open tickets.
    pub tickets: Vec<Ticket>,
    /// Its faults: `ledger_reset`, `ledger`, `gpio`.
    pub faults: Box<[Box<str>]>,
    /// The lines that are blocked.
    pub blocked: Box<[Box<str>]>,
    /// Its lines, with the prices that they take.
    pub lines: Box<[RelayLine]>,
    /// Its release; `None` before it told it.
    pub version: Option<Box<str>>,
}

/// A line of the relay service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayLine {
    /// Its name.
    pub name: Box<str>,
    /// The items that it hands out; `*`: all that no other line has.
    pub items: Vec<Box<str>>,
    /// The prices that it takes.
    pub limits: Limits,
}

/// The answer of the relay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RelayAnswer {
    /// To `Check`.
    Checked {
        /// Whether it could deliver.
        deliverable: bool,
        /// Why not.
        reason: Box<str>,
    },
    /// To `Dispense` and `Query`.
    Dispense(DispenseAnswer),
    /// To `Close`.
    Close(CloseAnswer),
    /// To `Prove`: a proof, or `None` if there is none.
    Proof(Option<Box<str>>),
    /// One of its errors: it recorded nothing and drove nothing.
    Refused(RelayError, Box<str>),
    /// Nobody knows what the relay did.
    NoAnswer(Box<str>),
}
