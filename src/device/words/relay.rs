//! What the relay service answers.

use qris_core::order::outcome::{CloseAnswer, DispenseAnswer};
use qris_core::order::reason::Reason;
use qris_core::order::time::Span;
use qris_core::wire::dbus::RelayError;

/// How long a request waits for its ticket, and for a relay service that is not there yet.
pub const PREPARE_WAIT: Span = Span::secs(2);

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PrepareError {
    Refused(RelayError, Box<str>),
    NoAnswer(Box<str>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RelayAnswer {
    /// To `Check`: it could deliver, or why not.
    Checked(Result<(), Reason>),
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
