//! The plot of a story: the customer's acts, and the failure: whose and how.

use crate::disk::Op;
use crate::middlebox::Foreign;
use std::collections::BTreeMap;

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// Somebody asks, pays, and gets the item.
    Sale,
    /// A customer gives up before paying.
    Cancel,
    /// The payment comes long after the machine gave up.
    TooLate,
    /// The payment comes while the cancel is on its way.
    Race,
    /// Paid at a store, and collected.
    Counter,
    /// The power goes for a while, between the payment and its delivery.
    Reboot,
    /// The line jams, and the money goes back by itself.
    Refund,
    /// A sale on the databases of an earlier release.
    OldDatabase,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Sale, Self::Cancel, Self::TooLate, Self::Race, Self::Counter, Self::Reboot, Self::Refund, Self::OldDatabase];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Cancel => "cancel",
            Self::TooLate => "too-late",
            Self::Race => "race",
            Self::Counter => "counter",
            Self::Reboot => "reboot",
            Self::Refund => "refund",
            Self::OldDatabase => "old-database",
        }
    }
}

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
            Self::Machine => "qrisd.db",
            Self::Relay => "ledger.db",
            Self::Backend => "orders.db",
        }
    }
}

/// A kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// SQLite's, on the disk.
    Disk(Op),
    /// A message for the broker.
    Publish,
    /// A call over HTTP between machine and backend: at its caller, or at its server.
    Http,
    /// The backend's call to Midtrans.
    Midtrans,
    /// Midtrans' notification at the backend.
    Notice,
    /// A call over D-Bus: at its caller, or at its server.
    Bus,
    /// The line is driven.
    Gpio,
}

impl Kind {
    /// Those of a program.
    #[must_use]
    pub fn of(who: Who) -> Vec<Self> {
        let others: &[Self] = match who {
            Who::Machine => &[Self::Publish, Self::Http, Self::Bus],
            Who::Relay => &[Self::Bus, Self::Gpio],
            Who::Backend => &[Self::Publish, Self::Http, Self::Midtrans, Self::Notice],
        };
        Op::ALL.into_iter().map(Self::Disk).chain(others.iter().copied()).collect()
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disk(op) => op.word(),
            Self::Publish => "publish",
            Self::Http => "http",
            Self::Midtrans => "midtrans",
            Self::Notice => "notification",
            Self::Bus => "bus",
            Self::Gpio => "gpio",
        }
    }

    /// How it can fail at this program.
    pub fn fails(self, who: Who) -> impl Iterator<Item = How> {
        use How::{After, Crash, Error, Full, PowerCut, Silent, ThenCrash};
        let ways: &[How] = match self {
            Self::Disk(Op::Write) => &[Error, Full, Crash, PowerCut],
            Self::Disk(Op::Commit) => &[Error, Full, Crash, PowerCut, ThenCrash],
            Self::Disk(Op::Sync) => &[Error, Crash, PowerCut, ThenCrash],
            Self::Disk(Op::Delete) => &[Error, Crash, PowerCut],
            Self::Disk(Op::Open | Op::Truncate) => &[Error, Crash],
            Self::Disk(Op::Read) => &[Error],
            Self::Disk(Op::Share) => &[Error, Full],
            Self::Publish | Self::Notice => &[Error, Crash, After, PowerCut],
            Self::Midtrans | Self::Gpio => &[Error, Silent, Crash, After, PowerCut],
            Self::Http | Self::Bus => match who {
                Who::Machine => &[Error, Silent, Crash, After, PowerCut],
                // A call that is lost or stays unanswered is the trouble of its caller.
                Who::Relay | Who::Backend => &[Crash, After, PowerCut],
            },
        };
        let passes_others = self == Self::Midtrans || self == Self::Http && who == Who::Machine;
        let foreign = Foreign::ALL.into_iter().filter(move |_| passes_others).map(How::Foreign);
        ways.iter().copied().chain(foreign)
    }
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It is not done, and says so.
    Error,
    /// No room.
    Full,
    /// It is done, and nobody hears of it.
    Silent,
    /// The program is killed before it.
    Crash,
    /// The program is killed right after it.
    After,
    /// It is not done and says so, and the program is killed a moment later.
    ThenCrash,
    /// The power goes before it: what was not synced is lost, or torn.
    PowerCut,
    /// Somebody else answers this, and it is not done.
    Foreign(Foreign),
}

impl How {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Full => "full",
            Self::Silent => "silent",
            Self::Crash => "crash",
            Self::After => "after",
            Self::ThenCrash => "then-crash",
            Self::PowerCut => "power-cut",
            Self::Foreign(foreign) => foreign.name(),
        }
    }
}

/// The failure of a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// An operation, counted from the start.
    Operation {
        /// The program.
        who: Who,
        /// The kind of operation.
        kind: Kind,
        /// The way to fail.
        how: How,
        /// Its number, from 1.
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

/// An event of a story.
#[derive(Debug)]
pub enum Turn {
    /// A controller asks, or repeats its request.
    Asks,
    /// The payment code is typed in.
    Collects(Box<str>),
    /// The program is killed.
    Dies(Who),
    /// The bit flips.
    Flips,
    /// Nothing fails from now on.
    Well,
    /// The merchant compares the books with Midtrans', as every night.
    Reconciles,
}

/// The results of a story.
pub(super) struct Story {
    pub(super) scenario: Scenario,
    pub(super) strike: Option<Strike>,
    /// How many of each kind were done.
    pub(super) counts: Counts,
    pub(super) struck: bool,
    pub(super) has_rebooted: bool,
    pub(super) has_jammed: bool,
    /// The file's length when the bit flipped.
    pub(super) length: usize,
}

impl Story {
    pub(super) const fn new(scenario: Scenario, strike: Option<Strike>) -> Self {
        Self { scenario, strike, counts: Counts::new(), struck: false, has_rebooted: false, has_jammed: false, length: 0 }
    }
}

/// How many operations of each kind there were that could fail.
pub type Counts = BTreeMap<(Who, Kind), u64>;
