//! One thing that happens to a disk in a play: an operation fails, or a [bit flips](super::bits). [`crate::nth`] asks for it.

use super::{BOOKS, LEDGER, MERCHANT, STORE};
use crate::disk::{Op, Trouble};
use std::collections::BTreeMap;

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
    pub const ALL: [Self; 3] = [Self::Machine, Self::Relay, Self::Backend];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Machine => "qrisd",
            Self::Relay => "qris-relayd",
            Self::Backend => "qris-backend",
        }
    }

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
    Full,
    /// The program is killed before it.
    Crash,
    /// It is not done and says so, and the program is killed a moment later.
    ThenCrash,
    /// The power goes before it: what was not synced is lost, or torn.
    PowerCut,
}

impl How {
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

    pub(super) const fn trouble(self) -> Trouble {
        match self {
            Self::Error | Self::ThenCrash => Trouble::Io,
            Self::Full => Trouble::Full,
            Self::Crash | Self::PowerCut => Trouble::Dies,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    Operation {
        who: Who,
        op: Op,
        how: How,
        /// Its number, from 1, counted from the start.
        nth: u64,
    },
    /// A bit flips while the program is down for a moment.
    Flip {
        who: Who,
        /// In its log, which a killed program leaves; else in the database, which has everything after an orderly end.
        log: bool,
        /// The moment, in milliseconds.
        at: i64,
        byte: usize,
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
    pub set_aside: usize,
    /// A program refuses to work on its database, and waits for a person.
    pub refused: bool,
}

impl Struck {
    pub(super) fn by(strike: Option<Strike>) -> Self {
        Self { strike, ..Self::default() }
    }
}
