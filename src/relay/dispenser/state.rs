//! The state of the lines, the buttons and the door's switch, and how others see it.

use super::{Dispenser, Line};
use crate::config::Items;
use crate::threads::Trouble;
use qris_core::order::ids::Ticket;
use qris_core::order::ledger::Condition;
use qris_core::wire::relay::{LineCondition, ProofKey, RelayFacts, RelayFault, RelayLine, RelayStatus};
use qris_host::events::Event;

impl Dispenser {
    pub fn hardware(&mut self, index: usize, state: Result<(), Trouble>) {
        let trouble = state.err();
        let before = std::mem::replace(&mut self.lines[index].broken, trouble.clone());
        let Some(trouble) = trouble.filter(|trouble| before.as_ref() != Some(trouble)) else { return };
        let line = self.lines[index].settings.name.clone().into();
        match trouble {
            Trouble::Hardware(why) => self.journal(Event::HardwareFault { line, why: why.into() }),
            // It is told once for all lines that have this sensor.
            Trouble::SensorActive(why) if self.lines_beside(index).filter(|line| line.is_sensor_active()).count() == 1 => {
                self.journal(Event::SensorActive { line, why: why.into() });
            }
            Trouble::SensorActive(_) => {}
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
        let of = |(index, line): (usize, &Line)| RelayLine {
            name: line.settings.name.as_str().into(),
            items: match &line.settings.items {
                Items::Any => vec!["*".into()],
                Items::These(items) => items.iter().map(|item| item.as_str().into()).collect(),
            },
            state: match self.condition(index) {
                Condition::Ready => LineCondition::Ready,
                Condition::Busy => LineCondition::Busy,
                Condition::Blocked | Condition::Broken => LineCondition::Blocked,
            },
            limits: line.settings.limits(),
            misses_left: self.misses_left(index),
        };
        self.lines.iter().enumerate().map(of).collect()
    }

    #[must_use]
    pub fn tickets(&self) -> Vec<Ticket> {
        self.ledger.tickets()
    }

    #[must_use]
    pub fn faults(&self) -> Vec<RelayFault> {
        let is_failing = self.ledger.usable().is_err();
        let is_broken = self.lines.iter().any(|line| matches!(line.broken, Some(Trouble::Hardware(_)))) || !self.broken_buttons.is_empty();
        let all = [
            (self.ledger.was_reset(), RelayFault::LedgerReset),
            (is_failing, RelayFault::Ledger),
            (is_broken, RelayFault::Gpio),
            (self.lines.iter().any(Line::is_sensor_active), RelayFault::SensorActive),
            (self.chutes.iter().any(|chute| chute.misses.suspects_sensor()), RelayFault::SensorSuspect),
        ];
        all.into_iter().filter(|(is, _)| *is).map(|(_, fault)| fault).collect()
    }
}

impl Line {
    pub(super) fn is_sensor_active(&self) -> bool {
        matches!(self.broken, Some(Trouble::SensorActive(_)))
    }
}
