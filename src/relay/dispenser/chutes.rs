//! The lines that drop into one chute have one sensor. One of them is driven at a time, and where two of them miss, the sensor is the suspect.

use super::{Dispenser, Effect, Line, Work};
use crate::config::LineSettings;
use qris_core::order::late_sign::LateSign;
use qris_core::order::ledger::{Condition, Misses};
use qris_core::order::outcome::Outcome;
use qris_host::events::Event;

/// The lines of one sensor or board, and what it missed. A line that shares none has a chute to itself.
#[derive(Default)]
pub(super) struct Chute {
    lines: Vec<usize>,
    pub(super) misses: Misses,
}

impl Chute {
    /// All chutes, and the chute of each line.
    pub(super) fn all(lines: &[LineSettings]) -> (Vec<Self>, Vec<usize>) {
        let mut chutes: Vec<Self> = Vec::new();
        let of_line = lines.iter().enumerate().map(|(index, line)| {
            let shared = line.shared();
            let is_it = |chute: &Self| lines[chute.lines[0]].shared() == shared;
            let known = shared.and_then(|_| chutes.iter().position(is_it));
            let chute = known.unwrap_or_else(|| {
                chutes.push(Self::default());
                chutes.len() - 1
            });
            chutes[chute].lines.push(index);
            chute
        });
        let of_line = of_line.collect();
        (chutes, of_line)
    }
}

impl Dispenser {
    pub(super) fn chute(&self, index: usize) -> &Chute {
        &self.chutes[self.lines[index].chute]
    }

    pub(super) fn lines_beside(&self, index: usize) -> impl Iterator<Item = &Line> {
        self.chute(index).lines.iter().map(|line| &self.lines[*line])
    }

    pub(super) fn condition(&self, index: usize) -> Condition {
        let is_driven = |line: &Line| match &line.work {
            Work::Driving(_) | Work::Unwritten(_) => true,
            Work::Idle => false,
        };
        if self.lines_beside(index).any(is_driven) {
            return Condition::Busy;
        }
        let Line { broken, blocked, .. } = &self.lines[index];
        if broken.is_some() {
            Condition::Broken
        } else if blocked.is_some() || self.chute(index).misses.suspects_sensor() {
            Condition::Blocked
        } else {
            Condition::Ready
        }
    }

    /// How many more misses block a line.
    pub(super) fn misses_left(&self, index: usize) -> u32 {
        let settings = &self.lines[index].settings;
        settings.misses.saturating_sub(self.chute(index).misses.of(&settings.name))
    }

    /// The ledger has this end.
    pub(super) fn note_misses(&mut self, index: usize, outcome: Outcome) {
        let line = self.lines[index].settings.name.clone();
        let misses = &mut self.chutes[self.lines[index].chute].misses;
        let was_suspect = misses.suspects_sensor();
        misses.ended(&line, outcome);
        if misses.suspects_sensor() && !was_suspect {
            self.journal(Event::SensorSuspect { line: line.into() });
        }
    }

    /// The time for the goods of a line is over, and it goes on looking for late ones.
    pub fn unseen(&mut self, index: usize) {
        if let Work::Driving(pulse) = &self.lines[index].work {
            self.effects.push(Effect::Unseen(pulse.cause.clone()));
        }
    }

    /// There is a sign of goods of which was told that they did not come. The proof of that is signed, so it decides nothing.
    pub fn came_late(&mut self, index: usize, sign: LateSign) {
        let missed = self.lines[index].missed.take();
        match (sign, &missed) {
            (LateSign::Passed, None) => {}
            (LateSign::Passed, Some(pulse)) => {
                let (order, item, line) = (pulse.order().cloned(), pulse.item.clone(), pulse.line.clone().into());
                self.journal(Event::PassedLate { order, item, line });
            }
            // After a start nobody remembers whose they are. A person hears of them all the same.
            (LateSign::Came, _) => {
                let line = self.lines[index].settings.name.clone().into();
                let order = missed.as_ref().and_then(|pulse| pulse.order().cloned());
                self.journal(Event::CameLate { order, line });
            }
        }
        self.effects.extend(missed.map(|pulse| Effect::LateSign(pulse.cause, sign)));
    }
}
