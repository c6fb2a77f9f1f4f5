//! The disks of a run: the [strike](super::strike) that a plan has for one, and what a program does whose disk kills it.

use super::fate::Fate;
use super::strike::{How, Strike, Struck, Who};
use super::{Event, Kind, World};
use crate::disk::{Op, Trouble};

impl World {
    pub(super) const fn strike(&self) -> Option<Strike> {
        match &self.fate {
            Fate::Chance => None,
            Fate::Plan(plan) => plan.disks.strike,
        }
    }

    /// Does a bit of this program's files flip in this run?
    pub(super) fn flips(&self, of: Who) -> bool {
        matches!(self.strike(), Some(Strike::Flip { who, .. }) if who == of)
    }

    pub(super) fn note_struck(&mut self, note: impl FnOnce(&mut Struck)) {
        if let Fate::Plan(plan) = &mut self.fate {
            note(&mut plan.disks);
        }
    }

    pub(super) fn begin_strike(&mut self) {
        match self.strike() {
            Some(Strike::Operation { who, op, how, nth }) => self.disks[who.place()].fail(who.database(), op, nth, how.trouble()),
            Some(Strike::Flip { at, .. }) => self.at(at, Event::Flips),
            None => {}
        }
    }

    /// Has the operation failed that was to fail? The audit excuses nothing for it but a sync that has lost its data.
    pub(super) fn check_disks(&mut self) {
        let Some(Strike::Operation { who, op, how, nth }) = self.strike() else { return };
        let Fate::Plan(plan) = &mut self.fate else { return };
        if self.disks[who.place()].struck() == 0 || std::mem::replace(&mut plan.disks.happened, true) {
            return;
        }
        self.note(|| format!("STRIKE: {} {} {nth}: {}", who.name(), op.word(), how.name()));
        if op == Op::Sync && how.trouble() == Trouble::Io {
            self.losses.harmed(who.database(), self.now);
        }
        if how == How::ThenCrash {
            self.after(50, Event::Falls(who));
        }
    }

    /// The disk has killed a program in the middle of its work: the power goes, or the program alone is killed.
    pub(super) fn falls(&mut self, who: Who, m: usize) {
        self.check_disks();
        let power = !matches!(self.strike(), Some(Strike::Operation { how: How::Crash | How::ThenCrash, .. }));
        if power {
            self.count(Kind::MidCommit, &format!("the power goes in the middle of a commit of {}", who.name()));
        }
        match who {
            Who::Machine if !power => self.start_machine(m, true),
            Who::Relay if !power => self.start_relay(m),
            Who::Backend if !power => self.start_merchant(),
            Who::Machine | Who::Relay => self.cut_power(m),
            Who::Backend => self.cut_merchants_power(),
        }
    }

    /// What a power cut takes is drawn anew for each operation.
    pub(super) fn seed_of_cut(&mut self) -> u64 {
        let nth = match self.strike() {
            Some(Strike::Operation { nth, .. }) => nth,
            Some(Strike::Flip { .. }) | None => 0,
        };
        self.rng.number() ^ nth
    }

    pub(super) fn count_operations(&mut self) {
        for (who, op) in Who::ALL.into_iter().flat_map(|who| Op::ALL.map(|op| (who, op))) {
            let count = self.disks[who.place()].count(who.database(), op);
            self.note_struck(|disks| {
                disks.counts.insert((who, op), count);
            });
        }
    }
}
