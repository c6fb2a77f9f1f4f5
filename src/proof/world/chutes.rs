//! The chutes. In some seeds a machine has two trays that drop into one chute, with one sensor. Goods fall late, hands reach into the chute
//! after the end, and something stands in the beam. All these chances are drawn apart.

use super::counts::Kind;
use super::events::relay::Arrival;
use super::{Event, World, large, price, small};
use crate::rng::Rng;
use qris_core::order::ids::{ItemId, OrderId};
use qris_core::order::late_sign::LateSign;
use qris_core::order::outcome::Outcome;
use qris_core::order::time::Span;
use qris_core::order::tries::TryNumber;
use qris_relay::config::{Items, LineSettings};
use qris_relay::outlet::line::{PulsedLine, Sensor};
use qris_relay::pin::{Chip, Pin};
use qris_relay::threads::Trouble;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One pulse, in milliseconds.
pub(super) const PULSE: i64 = 500;
/// The time for late goods, in milliseconds.
const LATE: i64 = 3_000;

#[derive(Debug)]
pub(super) struct Chutes {
    rng: Rng,
    is_by_chance: bool,
    /// Both trays have the same sensor.
    two_trays: bool,
    misses: u32,
    of: [Chute; 2],
}

/// That of one machine.
#[derive(Debug, Default)]
struct Chute {
    /// The tray that is driven, until the time of its sensor is over.
    driven: Option<usize>,
    /// The trays that missed since their sensor saw something.
    unseen: BTreeSet<usize>,
    is_broken: bool,
    /// Nothing came of this try.
    missed: Option<(OrderId, TryNumber)>,
}

impl Chute {
    fn looked(&mut self, line: usize) {
        if self.unseen.len() > 1 {
            self.unseen.clear();
        } else {
            self.unseen.remove(&line);
        }
    }
}

impl Chutes {
    pub(super) fn new(seed: u64, is_by_chance: bool, are_counted: bool) -> Self {
        let mut rng = Rng::new(seed ^ 0xc4_07e5);
        let two_trays = is_by_chance && !are_counted && rng.below(2) == 0;
        let misses = if is_by_chance { 1 + u32::try_from(rng.below(2)).unwrap_or(0) } else { 1 };
        Self { rng, is_by_chance, two_trays, misses, of: Default::default() }
    }

    /// The trays of a relay service with their items.
    pub(super) fn lines(&self, items: impl Iterator<Item = ItemId>) -> Vec<LineSettings> {
        let sensor = || Sensor {
            pin: Pin::of(Chip::Sim("/nowhere/sensor".into()), false),
            within: Span::millis(PULSE),
            late_within: Span::millis(LATE),
        };
        let line = |name: &str, items: Vec<ItemId>| LineSettings {
            name: name.into(),
            items: Items::These(items),
            min_amount: price(&small()),
            outlet: Arc::new(PulsedLine {
                sensor: self.two_trays.then(sensor),
                ..PulsedLine::single(Pin::of(Chip::Sim("/nowhere".into()), false), Span::millis(PULSE))
            }),
            block_on_uncertain: false,
            misses: self.misses,
            clear_button: None,
        };
        let (dear, others): (Vec<_>, Vec<_>) = items.partition(|item| self.two_trays && *item == large());
        let trays = [("tray 1", others), ("tray 2", dear)];
        trays.into_iter().filter(|(_, items)| !items.is_empty()).map(|(name, items)| line(name, items)).collect()
    }

    /// A person has looked at a line of this machine, and its ledger has that.
    pub(super) fn looked(&mut self, m: usize, line: usize) {
        self.of[m].looked(line);
    }

    fn draw(&mut self, n: i64) -> i64 {
        i64::try_from(self.rng.below(u64::try_from(n).unwrap_or(1))).unwrap_or(0)
    }
}

impl World {
    /// Its program was ended. Of a pulse that ran then nobody knows the end.
    pub(super) fn chute_stops(&mut self, m: usize) {
        let chute = &mut self.chutes.of[m];
        if chute.driven.take().is_some() {
            chute.unseen.clear();
        }
    }

    pub(super) fn chute_is_forgotten(&mut self, m: usize) {
        self.chutes.of[m].unseen.clear();
    }

    /// A tray is driven now. Is it the only one of its chute, and can its sensor be believed?
    pub(super) fn judge_chute(&mut self, m: usize, line: usize) {
        let chute = &mut self.chutes.of[m];
        let wrong = match chute {
            Chute { driven: Some(_), .. } => Some("while another tray of its chute is, or its sensor looks for late goods"),
            Chute { is_broken: true, .. } => Some("while its beam is broken"),
            Chute { unseen, .. } if unseen.len() > 1 => Some("while its sensor is the suspect"),
            Chute { .. } => None,
        };
        (chute.driven, chute.missed) = (Some(line), None);
        if let Some(wrong) = wrong {
            self.fail(format!("tray {} of {m} is driven {wrong}", line + 1));
        }
    }

    /// How seldom a tray misses. What hid the goods of the other tray of its chute from the sensor a moment ago may be there still.
    pub(super) fn misses_one_in(&self, m: usize, line: usize) -> u64 {
        let is_hidden = self.chutes.of[m].unseen.iter().any(|missed| *missed != line);
        match (self.chutes.two_trays, is_hidden) {
            (true, true) => 1,
            // Two in a row are seldom, and each run must have some.
            (true, false) => 4,
            (false, _) => 12,
        }
    }

    /// How long at most until somebody comes to a line that missed, in milliseconds. Where another tray has the same sensor, this one may miss
    /// before that, too.
    pub(super) const fn nobody_looks_for(&self) -> i64 {
        if self.chutes.two_trays { 600_000 } else { 60_000 }
    }

    /// The end of a pulse, as the relay tells it.
    pub(super) fn chute_ends(&mut self, m: usize, outcome: Outcome) {
        let chute = &mut self.chutes.of[m];
        let Some(line) = chute.driven.take() else { return };
        match outcome {
            Outcome::Dispensed => chute.unseen.clear(),
            Outcome::Failed => {
                chute.unseen.insert(line);
                if chute.unseen.len() > 1 {
                    self.count(Kind::SensorSuspect, "two trays missed, one after the other");
                }
            }
            Outcome::NotDriven | Outcome::Uncertain => {}
        }
    }

    /// The pulse is over and the sensor saw nothing yet. When it is told how it ended: after the time for late goods, or as they fall. `None`: now.
    pub(super) fn waits_for_late_goods(&mut self, jammed: bool) -> Option<i64> {
        if !self.chutes.is_by_chance || !(jammed || self.chutes.draw(6) == 0) {
            return None;
        }
        if jammed {
            return Some(LATE);
        }
        self.count(Kind::LateGoods, "the goods fall late");
        Some(self.chutes.draw(LATE))
    }

    /// Nothing came of this try, and somebody reaches into the chute.
    pub(super) fn reaches_into_chute(&mut self, m: usize, missed: Option<(OrderId, TryNumber)>) {
        self.chutes.of[m].missed = missed;
        if self.chutes.is_by_chance && self.chutes.draw(2) == 0 {
            let (run, after) = (self.relays[m].run(), 200 + self.chutes.draw(30_000));
            self.after(after, Event::Relay(m, Arrival::Hand { run }));
        }
    }

    pub(super) fn hand_in_chute(&mut self, m: usize) {
        let Some((order, number)) = self.chutes.of[m].missed.clone() else { return };
        let lines = self.relays[m].lines();
        let before = self.relays[m].query(&order, number);
        for line in 0..lines {
            if let Some(dispenser) = self.relays[m].dispenser() {
                dispenser.came_late(line, LateSign::Passed);
            }
        }
        self.count(Kind::HandInChute, "something passes the sensor after the end");
        self.relay_effects(m);
        if self.relays[m].query(&order, number) != before {
            self.fail(format!("a hand in the chute has changed the end of {order}"));
        }
    }

    /// Something comes into the beam, and goes again. The threads of the lines look every second.
    pub(super) fn breaks_beam(&mut self, m: usize) {
        let chute = &self.chutes.of[m];
        if !self.chutes.is_by_chance || chute.is_broken || chute.driven.is_some() || self.chutes.draw(60) > 0 {
            return;
        }
        self.chutes.of[m].is_broken = true;
        self.count(Kind::BrokenBeam, "something is in the beam");
        self.check_line(m);
        let after = 3_000 + self.chutes.draw(30_000);
        self.after(after, Event::Relay(m, Arrival::BeamFree));
    }

    pub(super) fn frees_beam(&mut self, m: usize) {
        self.chutes.of[m].is_broken = false;
        self.check_line(m);
    }

    pub(super) fn is_beam_broken(&self, m: usize) -> bool {
        self.chutes.of[m].is_broken
    }

    /// What the threads of the lines say of their hardware.
    pub(super) fn hardware_of(&self, m: usize) -> Result<(), Trouble> {
        if self.machines[m].computer.is_without_line() {
            Err(Trouble::Hardware("no such line".into()))
        } else if self.is_beam_broken(m) {
            Err(Trouble::SensorActive("something is in the beam".into()))
        } else {
            Ok(())
        }
    }
}
