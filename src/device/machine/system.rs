//! The known facts of the system that runs, if RAUC has installed it. The bootloader counts the starts of one that nobody has called good,
//! and goes back.

use crate::store::fact::Fact;
use crate::words::System;
use qris_core::order::time::{Boot, BootId, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// An installation that comes no further has this time.
pub(super) const INSTALLED_WITHIN: Span = Span::secs(3600);
/// A system has proven itself by then.
pub(super) const PROVEN_WITHIN: Span = Span::secs(600);
pub(super) const STARTS_MAX: u8 = 3;
pub(super) const KEPT: Fact<Kept> = Fact::new("system");

#[derive(Debug)]
pub(super) struct Systems {
    pub(super) kept: Kept,
    /// The one that runs; `None`: RAUC has not told yet.
    pub(super) runs: Option<System>,
    /// This program began then.
    pub(super) began: Boot,
    pub(super) turn: Turn,
}

/// What the database has.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The last one that was called good.
    pub(super) good: Option<System>,
    /// What a person had to mend when it ran last.
    pub(super) stood: BTreeSet<Box<str>>,
    /// Another one has run since.
    pub(super) trial: Option<Trial>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Trial {
    pub(super) system: System,
    /// It was started for the so many-th time in this boot.
    pub(super) boot: BootId,
    pub(super) starts: u8,
}

/// Why nothing is installed now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trying {
    /// Nobody knows yet which system runs.
    Unknown,
    /// A new system runs, and has not proven itself. The other slot has the last good one.
    New,
}

impl Trying {
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::Unknown => "RAUC has not told yet which system runs",
            Self::New => {
                "a new system runs and has not proven itself yet; the other slot has the last good one, and is not overwritten now"
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// It is looked after from then on.
    At(Boot),
    Waits,
    /// Nothing is to be done until the next start.
    Over,
}

impl Systems {
    pub(super) fn new(now: Boot) -> Self {
        Self { kept: Kept::default(), runs: None, began: now, turn: Turn::At(now) }
    }

    pub(super) fn slot(&self) -> Option<&str> {
        self.runs.as_ref().map(|runs| &*runs.slot)
    }

    pub(super) fn good_slot(&self) -> Option<&str> {
        self.runs.as_ref().filter(|runs| self.kept.good.as_ref() == Some(runs)).map(|runs| &*runs.slot)
    }

    /// How often the system that runs was started, if there is another one to go back to.
    pub(super) fn starts(&self) -> Option<u8> {
        self.kept.good.as_ref().and(self.kept.trial.as_ref()).map(|trial| trial.starts)
    }

    /// Whether an installation now could overwrite the last good system while another one is still tried.
    pub(super) fn protects_good(&self) -> Option<Trying> {
        let good = self.kept.good.as_ref()?;
        match &self.runs {
            None => (self.turn != Turn::Over).then_some(Trying::Unknown),
            Some(runs) => (runs != good && self.starts()? <= STARTS_MAX).then_some(Trying::New),
        }
    }

    pub(super) fn deadline(&self, now: Boot) -> Option<Boot> {
        match self.turn {
            Turn::At(at) if at > now => Some(at),
            Turn::At(_) => Some(self.began + PROVEN_WITHIN).filter(|at| *at > now),
            Turn::Waits | Turn::Over => None,
        }
    }
}
