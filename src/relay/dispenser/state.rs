//! The state of the lines, the buttons and the door's switch, and how others see it.

use super::{Dispenser, Line, Work};
use crate::config::Items;
use qris_core::order::ids::Ticket;
use qris_core::order::ledger::Condition;
use qris_core::wire::relay::{LineCondition, ProofKey, RelayFacts, RelayFault, RelayLine, RelayStatus};
use qris_host::events::Event;

impl Dispenser {
    pub fn hardware(&mut self, index: usize, state: Result<(), String>) {
        let line = &mut self.lines[index];
        let why = state.err();
        if let Some(why) = why.as_ref().filter(|why| line.broken.as_ref() != Some(why)) {
            let name = line.settings.name.clone().into();
            let event = Event::HardwareFault { line: name, why: why.clone().into() };
            line.broken = Some(why.clone());
            self.journal(event);
        } else {
            line.broken = why;
        }
    }

    /// A button works, or it does not, with the reason. Perhaps nobody is there who would miss it, so this is a fault
    /// that is seen from afar.
    pub fn button(&mut self, name: String, state: Result<(), String>) {
        let Err(why) = state else {
            self.broken_buttons.remove(&name);
            return;
        };
        if self.broken_buttons.get(&name) != Some(&why) {
            self.journal(Event::HardwareFault { line: name.clone().into(), why: why.clone().into() });
            self.broken_buttons.insert(name, why);
        }
    }

    /// The service switch is on or off. Who fills the machine is another program's business.
    pub const fn switched(&mut self, is_on: bool) {
        self.service_switch = Some(is_on);
    }

    #[must_use]
    pub fn facts(&self) -> RelayFacts {
        RelayFacts {
            device: Some(self.me.clone()),
            lines: self.lines(),
            keys: self.keys.receipt_kids(),
            proof_key: self.key().map(ProofKey::from),
            tickets: self.tickets(),
            driven: self.ledger.driven(),
            faults: self.faults(),
            service_switch: self.service_switch,
            status: RelayStatus { version: env!("CARGO_PKG_VERSION").into() },
        }
    }

    #[must_use]
    pub fn lines(&self) -> Vec<RelayLine> {
        let of = |line: &Line| RelayLine {
            name: line.settings.name.as_str().into(),
            items: match &line.settings.items {
                Items::Any => vec!["*".into()],
                Items::These(items) => items.iter().map(|item| item.as_str().into()).collect(),
            },
            state: match line.condition() {
                Condition::Ready => LineCondition::Ready,
                Condition::Busy => LineCondition::Busy,
                Condition::Blocked | Condition::Broken => LineCondition::Blocked,
            },
            limits: line.settings.limits(),
        };
        self.lines.iter().map(of).collect()
    }

    #[must_use]
    pub fn tickets(&self) -> Vec<Ticket> {
        self.ledger.tickets()
    }

    #[must_use]
    pub fn faults(&self) -> Vec<RelayFault> {
        let is_failing = self.ledger.usable().is_err();
        let is_broken = self.lines.iter().any(|line| line.broken.is_some()) || !self.broken_buttons.is_empty();
        let all = [(self.ledger.was_reset(), RelayFault::LedgerReset), (is_failing, RelayFault::Ledger), (is_broken, RelayFault::Gpio)];
        all.into_iter().filter(|(is, _)| *is).map(|(_, fault)| fault).collect()
    }
}

impl Line {
    pub(super) fn condition(&self) -> Condition {
        match (&self.work, &self.blocked, &self.broken) {
            (Work::Driving(_) | Work::Unwritten(_), _, _) => Condition::Busy,
            (Work::Idle, _, Some(_)) => Condition::Broken,
            (Work::Idle, Some(_), None) => Condition::Blocked,
            (Work::Idle, None, None) => Condition::Ready,
        }
    }
}
