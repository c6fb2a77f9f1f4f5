//! The machine: its parts side by side, and the short questions that need several of them.

use super::afar::{self, Afar};
use super::boot::Start;
use super::commands::Commands;
use super::door::Door;
use super::faults::Faults;
use super::front::Front;
use super::hold::Hold;
use super::links::Links;
use super::orders::Orders;
use super::outbox::Outbox;
use super::place::BrokerPlace;
use super::reconcile::Reconciliation;
use super::rights::Rights;
use super::second_tries::SecondTries;
use super::stock::Stock;
use super::storage::Storage;
use super::system::Systems;
use super::telemetry::Reports;
use super::trust::{Trust, last_trusted};
use crate::store::StoreError;
use crate::words::{BackendAnswer, Settings};
use qris_core::order::ids::{ItemId, RequestId};
use qris_core::order::machine::Context;
use qris_core::order::time::{Boot, Now, Wall};
use qris_core::wire::command::Command;
use qris_core::wire::status::{Presence, Status};
use serde_json::{Value, json};

#[derive(Debug)]
pub struct Machine {
    /// Those of the machine's own file.
    pub(super) own: Settings,
    /// Those in force: with what came from afar.
    pub(super) settings: Settings,
    pub(super) afar: Afar,
    pub(super) commands: Commands,
    pub(super) reports: Reports,
    pub(super) start: Start,
    pub(super) systems: Systems,
    pub(super) hold: Hold,
    pub(super) door: Door,
    pub(super) place: BrokerPlace,
    pub(super) rights: Rights,
    pub(super) storage: Storage,
    pub(super) orders: Orders,
    pub(super) front: Front,
    pub(super) links: Links,
    pub(super) faults: Faults,
    pub(super) outbox: Outbox,
    pub(super) reconciliation: Reconciliation,
    pub(super) stock: Stock,
    pub(super) trust: Trust,
    pub(super) second_tries: SecondTries,
}

impl Machine {
    #[must_use]
    pub fn last_trusted(&self) -> Wall {
        last_trusted(&self.storage, &self.own)
    }

    pub(super) fn afar(&mut self) -> (&mut Afar, afar::Around<'_>) {
        // Somebody reads what the next press takes. It stays that.
        let is_busy = self.is_busy() || self.second_tries.pressed.is_some();
        let Self { afar, own, settings, links, storage, faults, outbox, .. } = self;
        let (lines, charges) = (links.known_lines(own), &links.charges);
        (afar, afar::Around { lines, charges, own, in_force: settings, is_busy, storage, faults, out: outbox })
    }

    pub(super) fn known_vitals(&self) -> Value {
        json!({ "booted": self.start.booted(), "slot": self.systems.slot() })
    }

    /// The machine's `status`, without its time.
    pub(super) fn status(&self, sold_out: Vec<ItemId>) -> Status {
        Status {
            state: Presence::Online,
            name: Some(self.settings.appearance.name.as_str().into()),
            version: Some(env!("CARGO_PKG_VERSION").into()),
            relay: self.links.relay_status().cloned(),
            boot_id: Some(self.settings.boot_id.0.clone()),
            stream: self.storage.store().map(|store| store.stream().into()),
            at: None,
            number: None,
            busy: Some(self.is_busy()),
            sold_out: Some(sold_out),
            try_offer: self.second_tries.told().map(|(offer, _)| offer.clone()),
            faults: Some(self.faults.all().cloned().collect()),
            report_every_s: u32::try_from(self.settings.report_every.0 / 1000).ok(),
            commands: Some(Command::NAMES.map(Into::into).to_vec()),
        }
    }

    /// Whether a customer is there.
    pub(super) fn is_busy(&self) -> bool {
        self.customer().is_some()
    }

    pub(super) fn customer(&self) -> Option<&RequestId> {
        self.orders.held_by().or_else(|| self.front.request())
    }

    pub(super) fn context(&self, of: &RequestId) -> Context<'_> {
        let with = self.orders.around(of, self.links.context(&self.settings, self.outbox.is_connected(), self.hold.is_held()));
        let empty = self.orders.get(of).is_some_and(|live| self.has_none_for(&live.stored));
        Context { empty, ..with }
    }

    pub(super) fn lookers(&self, now: Now) -> Vec<RequestId> {
        self.orders.lookers(now.boot, self.links.context(&self.settings, self.outbox.is_connected(), self.hold.is_held()))
    }

    pub(super) fn store_failed(&mut self, error: &StoreError, now: Now) {
        self.storage.failed(error, &mut self.faults, &mut self.outbox, now);
    }

    pub(super) fn note_backend(&mut self, answer: &BackendAnswer, now: Now) {
        if self.links.backend(answer, &mut self.faults, &mut self.outbox, now) {
            self.wake_backend(now.boot);
        }
    }

    pub(super) fn wake_backend(&mut self, now: Boot) {
        if self.links.may_wake(now) {
            self.orders.all_mut().for_each(|(_, live)| live.backend.nudge());
            self.reconciliation.nudge();
        }
    }
}
