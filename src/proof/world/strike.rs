//! One thing that happens to a disk in a play: an operation fails, or a [bit flips](super::bits). [`crate::nth`] asks for it.

use super::fate::Fate;
use super::machine::STORE;
use super::merchant::BOOKS;
use super::relay::LEDGER;
use super::{Event, Kind, MERCHANT, World};
use crate::disk::{Op, Trouble};
use std::collections::BTreeMap;

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// `qrisd`
    Machine,
    /// `qris-relayd`
    Relay,
    /// `qris-backend`
    Backend,
}

impl Who {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Machine, Self::Relay, Self::Backend];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Machine => "qrisd",
            Self::Relay => "qris-relayd",
            Self::Backend => "qris-backend",
        }
    }

    /// Its database.
    #[must_use]
    pub const fn database(self) -> &'static str {
        match self {
            Self::Machine => STORE,
            Self::Relay => LEDGER,
            Self::Backend => BOOKS,
        }
    }

    /// The number of its disk, in a play.
    pub(super) const fn place(self) -> usize {
        match self {
            Self::Machine | Self::Relay => 0,
            Self::Backend => MERCHANT,
        }
    }
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It is not done, and says so.
    Error,
    /// No room.
    Full,
    /// The program is killed before it.
    Crash,
    /// It is not done and says so, and the program is killed a moment later.
    ThenCrash,
    /// The power goes before it: what was not synced is lost, or torn.
    PowerCut,
}

impl How {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Full => "full",
            Self::Crash => "crash",
            Self::ThenCrash => "then-crash",
            Self::PowerCut => "power-cut",
        }
    }

    const fn trouble(self) -> Trouble {
        match self {
            Self::Error | Self::ThenCrash => Trouble::Io,
            Self::Full => Trouble::Full,
            Self::Crash | Self::PowerCut => Trouble::Dies,
        }
    }
}

/// What happens to a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// An operation fails.
    Operation {
        /// The program.
        who: Who,
        /// The kind of operation.
        op: Op,
        /// The way to fail.
        how: How,
        /// Its number, from 1, counted from the start.
        nth: u64,
    },
    /// A bit flips while the program is down for a moment.
    Flip {
        /// The program whose database it is.
        who: Who,
        /// In its log, which a killed program leaves; else in the database, which has everything after an orderly end.
        log: bool,
        /// The moment, in milliseconds.
        at: i64,
        /// The byte.
        byte: usize,
        /// The bit of it.
        bit: u8,
    },
}

/// What became of a strike.
#[derive(Debug, Default)]
pub struct Struck {
    pub(super) strike: Option<Strike>,
    /// Was there anything to fail?
    pub happened: bool,
    /// How many operations of each kind there were, until all was well.
    pub counts: BTreeMap<(Who, Op), u64>,
    /// The length of the file whose bit flips, in bytes, at that moment.
    pub length: usize,
    /// How many databases were set aside.
    pub set_aside: usize,
    /// A program refuses to work on its database, and waits for a person.
    pub refused: bool,
}

impl Struck {
    /// This is to happen.
    pub(super) fn by(strike: Option<Strike>) -> Self {
        Self { strike, ..Self::default() }
    }
}

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
    pub(super) fn look_at_disks(&mut self) {
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
        self.look_at_disks();
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
