//! Reports of what was sold, and of how the machine is: now and then, and when a fault comes or goes.

use super::faults::Faults;
use super::outbox::Outbox;
use super::storage::Storage;
use crate::words::{Effect, Notice, Settings, id_of_report};
use qris_core::order::ids::RequestId;
use qris_core::order::time::{Boot, Now, Span};
use qris_core::wire::status::FaultCode;
use qris_core::wire::telemetry::{Measured, Telemetry, VERSION, bucket};
use qris_core::wire::vend::EventState;
use serde_json::Value;
use std::collections::BTreeMap;

/// Two reports are apart by this, however many faults come and go.
const LEAST: Span = Span::secs(10);

/// The counts of what was sold are in the database.
#[derive(Debug, Default)]
pub(super) struct Reports {
    began_at: Boot,
    last_at: Option<Boot>,
    /// The number of the last report that this process has published.
    last: u64,
    /// The broker has it.
    is_taken: bool,
    /// A new connection: the broker may not have it.
    is_due: bool,
    faults: Vec<FaultCode>,
    pub(super) measures: Measures,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Measures {
    /// This is not stored yet: it goes with the next commit of an order, or the next report.
    pub(super) fresh: Measured,
    /// When the orders that are on their way were requested, and paid.
    begun: BTreeMap<(RequestId, EventState), Boot>,
}

impl Measures {
    /// The same after an order has passed these states. It counts how long they took.
    pub(super) fn after(&self, id: &RequestId, passed: impl Iterator<Item = EventState>, now: Boot) -> Self {
        let mut after = self.clone();
        for state in passed {
            let (from, waits) = match state {
                EventState::Requested | EventState::Paid => {
                    after.begun.insert((id.clone(), state), now);
                    continue;
                }
                EventState::AwaitingPayment => (EventState::Requested, Some(&mut after.fresh.qr_ms)),
                EventState::Dispensed => (EventState::Paid, Some(&mut after.fresh.delivery_ms)),
                EventState::Dispensing | EventState::AwaitingCollection | EventState::TryingAgain => continue,
                EventState::Cancelling
                | EventState::Refused
                | EventState::Cancelled
                | EventState::Expired
                | EventState::Denied
                | EventState::Failed
                | EventState::RefundDue
                | EventState::Refunded
                | EventState::Other(_) => (EventState::Paid, None),
            };
            if let (Some(at), Some(waits)) = (after.begun.remove(&(id.clone(), from)), waits) {
                waits[bucket(now - at)] += 1;
            }
            if state.is_end() {
                after.begun.retain(|(known, _), _| known != id);
            }
        }
        after
    }

    pub(super) fn stored(self) -> Self {
        Self { fresh: Measured::default(), ..self }
    }
}

impl Reports {
    pub(super) fn new(now: Boot) -> Self {
        Self { began_at: now, ..Self::default() }
    }

    pub(super) fn connected(&mut self) {
        self.measures.fresh.connections += 1;
        self.is_due = true;
    }

    pub(super) fn delivered(&mut self, number: u64) {
        self.is_taken |= number == self.last;
    }

    fn next_at(&self, every: Span) -> Option<Boot> {
        (every > Span::ZERO).then(|| match self.last_at {
            None => self.began_at,
            Some(last) => last + if self.is_due { LEAST } else { every },
        })
    }

    pub(super) fn deadline(&self, settings: &Settings, out: &Outbox) -> Option<Boot> {
        if out.is_connected() { self.next_at(settings.report_every) } else { None }
    }

    /// Publishes a report when it is time. `vitals`: what the machine itself knows of the computer's condition.
    pub(super) fn report(
        &mut self,
        vitals: Value,
        settings: &Settings,
        storage: &mut Storage,
        faults: &mut Faults,
        out: &mut Outbox,
        now: Now,
    ) {
        let present: Vec<FaultCode> = faults.all().map(|fault| fault.code).collect();
        if present != self.faults {
            self.faults = present;
            self.is_due = true;
        }
        let is_time = self.deadline(settings, out).is_some_and(|at| now.boot >= at);
        if !is_time || storage.is_failing() {
            return;
        }
        let Some(store) = storage.store_mut() else { return };
        // A report that the broker may not have is published again, as it was: each counts once.
        let fresh = &mut self.measures.fresh;
        if (self.is_taken || store.tally().number == 0) && (store.tally().has_news() || *fresh != Measured::default()) {
            if let Err(error) = store.begin_report(fresh) {
                return storage.failed(&error, faults, out, now);
            }
            *fresh = Measured::default();
        }
        let is_more = store.tally().has_news();
        let tally = store.tally();
        let telemetry = Telemetry {
            v: VERSION,
            number: tally.number,
            stream: store.stream().into(),
            at: settings.time_of_day(now.wall),
            ended: tally.reported.clone(),
            sums: tally.sums,
            waiting: store.waiting(),
            measured: tally.reported_measured,
            running_s: (now.boot - self.began_at).0 / 1000,
            vitals: Some(vitals),
        };
        out.push(Effect::Publish {
            id: id_of_report(tally.number),
            notice: Notice::Telemetry,
            payload: serde_json::to_vec(&telemetry).expect("a report is plain data"),
        });
        (self.last, self.last_at) = (telemetry.number, Some(now.boot));
        // What had no room follows soon.
        (self.is_due, self.is_taken) = (is_more && self.is_taken, false);
    }
}
