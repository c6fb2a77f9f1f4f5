//! Outlets: they hand out the goods of a line. An outlet delivers a [`Job`], or stops, and tells how the job ended. Nothing
//! else of the service knows more of it. To add another kind: docs/developing/add-an-outlet.md.

#![warn(missing_docs)]

pub mod line;
#[cfg(test)]
mod tried;
mod vmc;

use crate::pin::HardwareError;
use line::PulsedLine;
use qris_core::order::ids::ItemId;
use qris_core::order::late_sign::LateSign;
use qris_core::order::ledger::{LedgerRefusal, Limits};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Outcome;
use qris_core::order::time::Span;
use qris_host::config::{Checker, OtherKeys};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

/// All kinds of outlets. Where a `[[line]]` names no kind, its faults are told for the first kind.
const KINDS: &[OutletKind] = &[
    line::KIND,
    vmc::KIND,
    #[cfg(test)]
    tried::KIND,
];

/// Code that waits for hardware looks for a stop this often.
pub const STEP: Span = Span::millis(10);
/// An outlet that waits for a job is looked at this often.
pub const LOOK: Span = Span::secs(1);

struct OutletKind {
    /// The key of a `[[line]]` that asks for this kind. The list of what it [holds](Settings::held) has the same key.
    key: &'static str,
    /// Reads and checks all keys of a `[[line]]` that belong to this kind.
    read: fn(OtherKeys<'_>, &mut Checker<'_>) -> Option<Arc<dyn Settings>>,
    /// Brings an outlet to rest of which only the name and the held settings are known. This is for after a crash.
    make_safe: fn(&str, serde_json::Value) -> Result<(), HardwareError>,
}

/// One order for an outlet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The item that was bought.
    pub item: ItemId,
    /// Its price.
    pub amount: Rupiah,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The outcome for the ledger.
    pub outcome: Outcome,
    /// More, for people.
    pub detail: String,
}

/// An outlet that is open, and at rest between two jobs.
pub trait Outlet: Send {
    /// Delivers once, or stops within [`STEP`] when it is told so. It is at rest again when this returns, also after a panic. It takes no longer
    /// than its [settings](Settings::takes) said. `Failed` means that the item certainly did not come, `NotDriven` that nothing was tried; any
    /// other end without a delivery is `Uncertain`. After an error the outlet is dropped, and opened anew before the next job.
    ///
    /// It calls `unseen` when the time for the goods is over and it goes on looking for late ones. The customer reads that.
    fn deliver(&mut self, job: &Job, stop: &Stop<'_>, unseen: &dyn Fn()) -> (Ending, Option<HardwareError>);

    /// Looks at the hardware between two jobs, about every [`LOOK`]: whether it could deliver now, and whether something came after the end of
    /// the last job. It is quick.
    ///
    /// # Errors
    /// It could not deliver now. It is opened anew until it can.
    fn look(&mut self) -> Result<Option<LateSign>, HardwareError> {
        Ok(None)
    }
}

/// The settings of an outlet in `relay.toml`.
pub trait Settings: fmt::Debug + Send + Sync {
    /// The key that asks for this kind.
    fn key(&self) -> &'static str;

    /// The longest time that a job for this amount takes.
    ///
    /// # Errors
    /// It has no job for this amount.
    fn takes(&self, amount: Rupiah) -> Result<Span, LedgerRefusal>;

    /// The prices that it takes, by the same rules as [`Settings::takes`]; `min` is the least that its line takes.
    fn limits(&self, min: Rupiah) -> Limits {
        Limits { min, step: None, max: None }
    }

    /// The amount for a trial; `min_amount` is the least that its line takes.
    fn least(&self, min_amount: Rupiah) -> Rupiah {
        min_amount
    }

    /// Takes the hardware, and first of all brings it to rest. `name` is the name of its line.
    fn open(&self, name: &str) -> Result<Box<dyn Outlet>, HardwareError>;

    /// Can it be driven now? This is asked before a ticket is promised. `None`: it asks its device, so ask again after [`STEP`]. It is quick,
    /// since nothing else is answered meanwhile.
    ///
    /// # Errors
    /// It cannot, and why.
    fn ready(&self) -> Option<Result<(), String>> {
        Some(Ok(()))
    }

    /// A person has looked at it, and its line is no longer blocked. It is quick.
    fn looked(&self) {}

    /// Looks whether its hardware is there. Nothing is driven.
    fn check(&self) -> Result<(), HardwareError> {
        self.device().map_or(Ok(()), |path| std::fs::metadata(path).map(drop).map_err(HardwareError::io(path)))
    }

    /// All that is needed to bring it to rest after a crash, whatever happened to the configuration. It is an object.
    fn held(&self) -> serde_json::Value;

    /// The device that drives it: anybody who may open this device gets the goods without a payment.
    fn device(&self) -> Option<&Path> {
        None
    }

    /// Which part of its device drives it, where several lines share that. They have one job at a time, like the lines of one sensor.
    fn part(&self) -> Option<u16> {
        None
    }

    /// Whether it must be looked at between two jobs.
    fn is_looked_at(&self) -> bool {
        false
    }

    /// Its pin, for the code that looks after pins; none if it is of another kind.
    fn line(&self) -> Option<&PulsedLine> {
        None
    }
}

/// A command to a line's thread. The dispenser makes sure that there is one job at a time.
#[derive(Debug)]
pub enum OutletCommand {
    /// Deliver this job.
    Deliver(Job),
    /// Come to rest at once, even in mid-delivery.
    Stop,
}

/// Tells an outlet to stop.
#[derive(Debug)]
pub struct Stop<'a>(&'a Receiver<OutletCommand>);

impl<'a> Stop<'a> {
    pub(crate) const fn new(commands: &'a Receiver<OutletCommand>) -> Self {
        Self(commands)
    }

    /// Lets this time pass, and answers whether a stop came. A stop ends it at once; after one, do not call it again.
    #[must_use]
    pub fn came_within(&self, span: Span) -> bool {
        match self.0.recv_timeout(span.to_duration()) {
            Ok(OutletCommand::Stop) | Err(RecvTimeoutError::Disconnected) => true,
            // The dispenser makes sure that there is one job at a time.
            Ok(OutletCommand::Deliver(_)) | Err(RecvTimeoutError::Timeout) => false,
        }
    }

    /// Did a stop come?
    #[must_use]
    pub fn came(&self) -> bool {
        self.came_within(Span::ZERO)
    }
}

impl Ending {
    /// Yes.
    #[must_use]
    pub const fn dispensed(detail: String) -> Self {
        Self { outcome: Outcome::Dispensed, detail }
    }

    /// No, and something saw that.
    #[must_use]
    pub const fn failed(detail: String) -> Self {
        Self { outcome: Outcome::Failed, detail }
    }

    /// No: the line was not driven. The detail is why.
    #[must_use]
    pub fn not_driven(why: impl fmt::Display) -> Self {
        Self { outcome: Outcome::NotDriven, detail: format!("nothing was driven: {why}") }
    }

    /// Nobody knows.
    #[must_use]
    pub const fn uncertain(detail: String) -> Self {
        Self { outcome: Outcome::Uncertain, detail }
    }
}

pub(crate) fn read(rest: OtherKeys<'_>, checker: &mut Checker<'_>) -> Option<Arc<dyn Settings>> {
    let kind = KINDS.iter().find(|kind| rest.has(kind.key)).or(KINDS.first())?;
    (kind.read)(rest, checker)
}

/// Brings an outlet to rest, and does nothing else. This is for after a crash.
pub(crate) fn make_safe(name: &str, held: serde_json::Value) -> Result<(), HardwareError> {
    match KINDS.iter().find(|kind| held.get(kind.key).is_some()) {
        Some(kind) => (kind.make_safe)(name, held),
        None => Err(HardwareError::List("it is of a kind that this release does not know".into())),
    }
}
