//! Outlets: what hands out the goods of a line. An outlet delivers a [`Job`], or stops, and tells how it ended; nothing else
//! of the service knows more of it. To add another kind of them: docs/developing/add-an-outlet.md.

pub mod line;
#[cfg(test)]
mod tried;

use crate::pin::HardwareError;
use line::PulsedLine;
use qris_core::order::ids::ItemId;
use qris_core::order::ledger::Refused;
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Outcome;
use qris_core::order::time::Span;
use qris_host::config::{Checker, Rest};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

/// The kinds there are. Where a `[[line]]` names none, its faults are told as of the first.
const KINDS: &[Kind] = &[
    line::KIND,
    #[cfg(test)]
    tried::KIND,
];

/// Who waits for hardware looks for a stop so often.
pub const STEP: Span = Span::millis(10);

/// One kind of outlet.
struct Kind {
    /// The key of a `[[line]]` that asks for it. What it [holds](Settings::held) has it, too.
    key: &'static str,
    /// Reads and checks all keys of a `[[line]]` that are its own.
    read: fn(Rest<'_>, &mut Checker<'_>) -> Option<Arc<dyn Settings>>,
    /// Brings one to rest of which only the name and what it held is known: for after a crash.
    make_safe: fn(&str, serde_json::Value) -> Result<(), HardwareError>,
}

/// What an outlet is to deliver for one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What was bought.
    pub item: ItemId,
    /// For how much.
    pub amount: Rupiah,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// What the ledger will say.
    pub outcome: Outcome,
    /// More, for people.
    pub detail: String,
}

/// An outlet that is open, and at rest between two jobs.
pub trait Outlet: Send {
    /// Delivers once, or stops within [`STEP`] when it is told so, and is at rest again when this returns, also by a panic.
    /// It takes no longer than its [settings](Settings::takes) said. `Failed` is for what certainly did not come: all else
    /// that is not delivered is `Uncertain`. After an error it is dropped and opened anew before the next job.
    fn deliver(&mut self, job: &Job, stop: &Stop<'_>) -> (Ending, Option<HardwareError>);
}

/// What `relay.toml` says of an outlet.
pub trait Settings: fmt::Debug + Send + Sync {
    /// The key by which it says so.
    fn key(&self) -> &'static str;

    /// How long a job for this amount takes at the most.
    ///
    /// # Errors
    /// It has no job for this amount.
    fn takes(&self, amount: Rupiah) -> Result<Span, Refused>;

    /// The amount with which it is tried; `min_amount` is the least that its line takes.
    fn least(&self, min_amount: Rupiah) -> Rupiah {
        min_amount
    }

    /// Takes the hardware and brings it to rest, first of all. `name` is that of its line.
    ///
    /// # Errors
    /// What refuses.
    fn open(&self, name: &str) -> Result<Box<dyn Outlet>, HardwareError>;

    /// Whether its hardware is there. Nothing is driven.
    ///
    /// # Errors
    /// What refuses.
    fn look_at(&self) -> Result<(), HardwareError> {
        self.device().map_or(Ok(()), |path| std::fs::metadata(path).map(drop).map_err(HardwareError::io(path)))
    }

    /// All that it takes to bring it to rest after a crash, whatever became of the configuration: an object.
    fn held(&self) -> serde_json::Value;

    /// The device through which it is driven: whoever may open it gets the goods without a payment.
    fn device(&self) -> Option<&Path> {
        None
    }

    /// The line that it is, for whoever looks after pins; none if it is of another kind.
    fn line(&self) -> Option<&PulsedLine> {
        None
    }
}

/// What a line's thread is told. The dispenser sees to it that there is one job at a time.
#[derive(Debug)]
pub enum Command {
    /// Deliver this.
    Deliver(Job),
    /// Be at rest at once, whatever is delivered.
    Stop,
}

/// Tells an outlet to stop.
#[derive(Debug)]
pub struct Stop<'a>(&'a Receiver<Command>);

impl<'a> Stop<'a> {
    pub(crate) const fn new(commands: &'a Receiver<Command>) -> Self {
        Self(commands)
    }

    /// Lets so much time pass. Whether a stop came, which ends it at once: then this is asked no more.
    #[must_use]
    pub fn came_within(&self, span: Span) -> bool {
        match self.0.recv_timeout(span.to_duration()) {
            Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => true,
            // The dispenser sees to it that there is one job at a time.
            Ok(Command::Deliver(_)) | Err(RecvTimeoutError::Timeout) => false,
        }
    }

    /// Whether a stop came.
    #[must_use]
    pub fn came(&self) -> bool {
        self.came_within(Span::ZERO)
    }
}

impl Ending {
    /// It came.
    #[must_use]
    pub const fn dispensed(detail: String) -> Self {
        Self { outcome: Outcome::Dispensed, detail }
    }

    /// It did not come.
    #[must_use]
    pub const fn failed(detail: String) -> Self {
        Self { outcome: Outcome::Failed, detail }
    }

    /// Nobody knows.
    #[must_use]
    pub const fn uncertain(detail: String) -> Self {
        Self { outcome: Outcome::Uncertain, detail }
    }
}

/// Reads what a `[[line]]` says of its outlet.
pub(crate) fn read(rest: Rest<'_>, checker: &mut Checker<'_>) -> Option<Arc<dyn Settings>> {
    let kind = KINDS.iter().find(|kind| rest.has(kind.key)).or(KINDS.first())?;
    (kind.read)(rest, checker)
}

/// Brings an outlet to rest, and no more: for after a crash.
///
/// # Errors
/// What refuses.
pub(crate) fn make_safe(name: &str, held: serde_json::Value) -> Result<(), HardwareError> {
    match KINDS.iter().find(|kind| held.get(kind.key).is_some()) {
        Some(kind) => (kind.make_safe)(name, held),
        None => Err(HardwareError::List("it is of a kind that this release does not know".into())),
    }
}
