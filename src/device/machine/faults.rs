//! The things that the machine depends on (relay, screen, broker, backend), and its faults, as `status` tells them.

use super::calls::RETRY_MAX;
use super::{Effect, Machine, Notice, PREPARE_WAIT, RelayFacts, text};
use crate::store::{Disk, Store};
use qris_core::order::reason::Reason;
use qris_core::order::request::Refusal;
use qris_core::order::time::{Boot, Now, Span, Wall};
use qris_core::wire::status::{Fault, FaultCode, Presence, Status};
use qris_host::events::Event as Journal;
use qris_host::mqtt::PublishId;
use qris_screen::ScreenState;

/// The stored trusted time is raised at most this often: it is one more write.
const TRUST_EVERY: Span = Span::secs(24 * 3600);

/// The present state of these things.
#[derive(Clone, Debug)]
pub(super) struct Links {
    relay_up: bool,
    /// Counts the relay's owners. The last one is present if `relay_up`.
    pub(super) owner: u64,
    pub(super) relay_changed_at: Boot,
    pub(super) relay: RelayFacts,
    /// The relay refused a receipt, and no `Prepare` passed since.
    pub(super) relay_refused: bool,
    pub(super) screen_gone_since: Option<Boot>,
    pub(super) broker: bool,
    broker_told: bool,
    broker_dates: bool,
    backend_dates: bool,
    /// The time at which calls that waited for the backend were last begun at once, because it was back.
    backend_woken: Option<Boot>,
    status: Option<Status>,
}

/// The trouble of the last call to the backend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    None,
    Gone { why: Box<str>, date_refusal: bool },
}

impl Links {
    pub(super) fn new(now: Boot) -> Self {
        Self {
            relay_up: false,
            owner: 0,
            relay_changed_at: now,
            relay: RelayFacts::default(),
            relay_refused: false,
            screen_gone_since: Some(now),
            broker: false,
            broker_told: false,
            broker_dates: false,
            backend_dates: false,
            backend_woken: None,
            status: None,
        }
    }

    pub(super) fn relay_up(&self) -> bool {
        self.relay_up
    }

    /// The broker was there and is gone, or could not be reached.
    pub(super) fn broker_lost(&self) -> bool {
        self.broker_told
    }

    pub(super) fn relay_owner(&self) -> Option<u64> {
        self.relay_up.then_some(self.owner)
    }
}

impl<D: Disk> Machine<D> {
    /// Notes or lifts a fault. `true`: that is news.
    pub(super) fn fault(&mut self, code: FaultCode, detail: Option<&str>, now: Now) -> bool {
        match (detail, self.faults.get_mut(&code)) {
            (Some(detail), None) => {
                let since = self.trusted(now.wall).map(|wall: Wall| wall.to_rfc3339().into());
                self.faults.insert(code, Fault { code, detail: detail.into(), since });
                true
            }
            (Some(detail), Some(fault)) => {
                if *fault.detail != *detail {
                    fault.detail = detail.into();
                }
                false
            }
            (None, _) => self.faults.remove(&code).is_some(),
        }
    }

    /// Why the machine sells nothing at all now, if so.
    pub(super) fn trouble(&self) -> Option<Refusal> {
        for fault in self.faults.values() {
            match fault.code.refuses() {
                Some(Reason::Screen) if !self.settings.screen_required => {}
                Some(reason) => return Some(Refusal::new(reason, fault.detail.clone())),
                None => {}
            }
        }
        if self.live.len() >= super::UNFINISHED_MAX {
            return Some(Refusal::new(Reason::Backend, "too many orders are unfinished"));
        }
        match &self.store {
            None => return Some(Refusal::new(Reason::Store, "the database is not open")),
            Some(store) if !store.has_room() => return Some(Refusal::new(Reason::Store, "too many events wait for the broker")),
            Some(_) => {}
        }
        None
    }

    /// Whether the relay service is gone for longer than `Prepare` would wait for it.
    pub(super) fn relay_missing(&self, now: Boot) -> bool {
        !self.links.relay_up && now >= self.links.relay_changed_at + PREPARE_WAIT
    }

    /// Why the relay service is not this machine's, if so. It would give no ticket and believe no receipt.
    pub(super) fn relay_foreign(&self) -> Option<String> {
        let device = self.links.relay.device.as_deref()?;
        (device != self.settings.device.as_str()).then(|| format!("it is of another machine, {device}"))
    }

    /// Why the relay service cannot hand out anything now, if so.
    pub(super) fn relay_unfit(&self) -> Option<Refusal> {
        let why = self.relay_foreign().map(|why| format!("the relay service: {why}"));
        let why = why.or_else(|| (!self.links.relay_up).then(|| "the relay service does not answer".into()));
        why.map(|why| Refusal::new(Reason::Relay, why))
    }

    pub(super) fn relay_up(&mut self, facts: RelayFacts, now: Now) {
        if self.links.relay_up {
            self.links.relay_changed_at = now.boot;
        } else {
            self.effects.push(Effect::Journal(Journal::RelayBack {}));
        }
        self.links.relay_up = true;
        self.links.owner += 1;
        for live in self.live.values_mut() {
            live.relay.wake();
        }
        self.relay_told(facts, now);
        // Another machine's tickets are not ours to close.
        if self.relay_foreign().is_none() {
            self.reconciliation.suspect(self.links.relay.tickets.clone());
        }
    }

    pub(super) fn relay_told(&mut self, facts: RelayFacts, now: Now) {
        let before = self.relay_foreign().is_some();
        self.links.relay = facts;
        let foreign = self.relay_foreign().is_some();
        if self.reconciliation.wants_tickets() && !foreign {
            self.reconciliation.suspect(self.links.relay.tickets.clone());
        }
        if before != foreign {
            self.links.relay_changed_at = now.boot;
        }
        self.relay_faults(now);
    }

    /// The faults that follow from the relay's facts.
    pub(super) fn relay_faults(&mut self, now: Now) {
        if !self.links.relay_up {
            return;
        }
        let own = self.links.relay.faults.join(", ");
        let refused = self.links.relay_refused.then_some("it refused a receipt");
        let own = if own.is_empty() { refused.map(str::to_owned) } else { Some(own) };
        let detail = self.relay_foreign().or(own);
        self.fault(FaultCode::Relay, detail.as_deref(), now);
        let blocked = self.links.relay.blocked.join(", ");
        self.fault(FaultCode::LineBlocked, Some(blocked.as_str()).filter(|b| !b.is_empty()), now);
    }

    pub(super) fn relay_down(&mut self, why: &str, now: Now) {
        if self.links.relay_up {
            self.links.relay_changed_at = now.boot;
        }
        self.links.relay_up = false;
        if self.fault(FaultCode::Relay, Some(why), now) {
            self.effects.push(Effect::Journal(Journal::RelayGone { why: text(why) }));
        }
        self.collection_without_relay(now);
    }

    pub(super) fn screen_state(&mut self, state: &ScreenState, now: Now) {
        match state {
            ScreenState::Working => {
                self.links.screen_gone_since = None;
                if self.fault(FaultCode::Screen, None, now) {
                    self.effects.push(Effect::Journal(Journal::ScreenBack {}));
                }
            }
            ScreenState::Gone(why) => {
                self.links.screen_gone_since.get_or_insert(now.boot);
                if self.fault(FaultCode::Screen, Some(why), now) {
                    self.effects.push(Effect::Journal(Journal::ScreenGone { why: text(why) }));
                }
            }
        }
    }

    pub(super) fn broker_up(&mut self, refused: &[String], now: Now) {
        self.links.broker = true;
        self.links.broker_told = false;
        self.links.broker_dates = false;
        self.links.status = None;
        self.outbox.connected();
        self.wake_backend(now.boot);
        self.reconciliation.ask_open();
        self.effects.push(Effect::Journal(Journal::BrokerConnected { broker: text(&self.settings.broker) }));
        let detail = (!refused.is_empty()).then(|| format!("the broker refuses {}", refused.join(", ")));
        self.fault(FaultCode::Config, detail.as_deref(), now);
        self.clock_fault(None, now);
        if let (Some(store), Some(wall)) = (&mut self.store, (now.wall >= self.settings.released).then_some(now.wall))
            && store.last_trusted().is_ok_and(|last| wall >= last + TRUST_EVERY)
            && let Err(error) = store.trust(wall)
        {
            self.store_failed(&error, now);
        }
    }

    pub(super) fn broker_down(&mut self, reason: &str, date_refusal: bool, now: Now) {
        self.links.broker = false;
        self.links.broker_dates = date_refusal;
        if !self.links.broker_told {
            self.links.broker_told = true;
            self.effects.push(Effect::Journal(Journal::BrokerLost { broker: text(&self.settings.broker), why: text(reason) }));
        }
        self.clock_fault(Some(reason), now);
    }

    /// Makes the waiting calls at once, but not again and again. The backend may answer one call while a proxy answers another
    /// with an error. Then the backend would seem to come and go for as long as both happen.
    fn wake_backend(&mut self, now: Boot) {
        if self.links.backend_woken.is_some_and(|woken| now < woken + RETRY_MAX) {
            return;
        }
        self.links.backend_woken = Some(now);
        for live in self.live.values_mut() {
            live.backend.nudge();
        }
        self.reconciliation.nudge();
    }

    pub(super) fn backend_state(&mut self, trouble: Trouble, now: Now) {
        match trouble {
            Trouble::None => {
                self.links.backend_dates = false;
                if self.fault(FaultCode::Backend, None, now) {
                    self.wake_backend(now.boot);
                    self.effects.push(Effect::Journal(Journal::BackendBack {}));
                }
                self.clock_fault(None, now);
            }
            Trouble::Gone { why, date_refusal } => {
                self.links.backend_dates = date_refusal;
                if self.fault(FaultCode::Backend, Some(&why), now) {
                    self.effects.push(Effect::Journal(Journal::BackendUnreachable { why: text(&why) }));
                }
                self.clock_fault(Some(&why), now);
            }
        }
    }

    fn clock_fault(&mut self, why: Option<&str>, now: Now) {
        if self.links.broker_dates || self.links.backend_dates {
            let why = why.unwrap_or("TLS refuses the dates of a certificate");
            if self.fault(FaultCode::Clock, Some(why), now) {
                self.effects.push(Effect::Journal(Journal::ClockTrouble { why: text(why) }));
            }
        } else {
            self.fault(FaultCode::Clock, None, now);
        }
    }

    /// Publishes `status` when it has changed.
    pub(super) fn pump_status(&mut self, now: Now) {
        if !self.links.broker || self.outbox.holds_status() {
            return;
        }
        let status = Status {
            state: Presence::Online,
            version: Some(env!("CARGO_PKG_VERSION").into()),
            boot_id: Some(self.settings.boot_id.0.clone()),
            stream: self.store.as_ref().map(|store| store.stream().into()),
            at: None,
            busy: Some(
                self.candidate.is_some() || self.collection.is_some() || self.live.values().any(|live| live.stored.order.holds_machine()),
            ),
            faults: Some(self.faults.values().cloned().collect()),
        };
        if self.links.status.as_ref() == Some(&status) {
            return;
        }
        let at = self.trusted(now.wall).map(|wall| wall.to_rfc3339().into());
        let payload = serde_json::to_vec(&Status { at, ..status.clone() }).expect("a status is plain data");
        self.links.status = Some(status);
        let id = self.news_id();
        self.effects.push(Effect::Publish { id, notice: Notice::Status, payload });
    }

    /// A number for a message that is not in the outbox.
    pub(super) fn news_id(&mut self) -> PublishId {
        PublishId(self.next_call_id().0 | super::outbox::NEWS)
    }

    /// The status must be published again: the broker does not have it.
    pub(super) fn status_lost(&mut self) {
        self.links.status = None;
    }
}
