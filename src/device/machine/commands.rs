//! The commands that operators have signed: those that are known, and how far each is.

use crate::words::Address;
use qris_core::order::ids::{CommandId, KeyId};
use qris_core::order::time::{Boot, BootId, Span, Wall};
use qris_core::wire::command::{Command, Response, SignedCommand, VALID_MAX_S};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// The most that are answered in a second, if only to say that these were too many.
pub(super) const ANSWERED_MAX: usize = 20;
const SECOND: Span = Span::secs(1);

#[derive(Debug)]
pub(super) struct Commands {
    pub(super) known: BTreeMap<CommandId, Kept>,
    /// Nobody knows whether they were carried out, so they are not.
    pub(super) damaged: BTreeMap<CommandId, Damaged>,
    /// The question about the computer that is being answered.
    pub(super) reading: Option<Reading>,
    /// The tries of this process at those that have no end yet.
    pub(super) tries: BTreeMap<CommandId, Try>,
    /// All that ended (`exp`) until then may be forgotten: it is over for good, in seconds since 1970.
    pub(super) forgotten: i64,
    /// When commands came, within the last second.
    came: VecDeque<Boot>,
}

/// One that the database has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) signed: SignedCommand,
    pub(super) kid: KeyId,
    pub(super) jws: Box<str>,
    pub(super) to: Address,
    pub(super) step: CommandStage,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum CommandStage {
    /// Nothing was done yet.
    Accepted,
    /// It is being done, from this boot on.
    Begun(BootId),
    /// Another system is being installed beside the one of this slot, which runs in this boot.
    Installing { boot: BootId, slot: Box<str> },
    /// Another system is installed beside the one of this slot, which ran in this boot. It is started for the so many-th time.
    Installed { boot: BootId, slot: Box<str>, starts: u8 },
    /// It has its end; the asker was told, or not yet.
    Ended { answer: Response, notified: bool },
}

/// What this process did about a command. Nothing of this is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Try {
    /// It is given up then.
    pub(super) until: Boot,
    pub(super) turn: Turn,
    pub(super) hand: Hand,
    /// How many times the asker heard that it is under way. It goes on over all steps.
    pub(super) notices: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// The machine's: it is carried on.
    Here,
    /// Somebody is doing it.
    Outside,
    AgainAt(Boot),
}

/// Who began the step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hand {
    /// Nobody, or another process of this program: the database has told of it.
    Before,
    /// This process. What it ordered did not happen so many times.
    Here { in_vain: u8 },
    /// Another slot runs than before, and is to prove itself.
    OtherSlot,
}

impl Try {
    pub(super) const fn new(until: Boot) -> Self {
        Self { until, turn: Turn::Here, hand: Hand::Before, notices: 0 }
    }

    pub(super) const fn is_begun_here(self) -> bool {
        match self.hand {
            Hand::Here { .. } => true,
            Hand::Before | Hand::OtherSlot => false,
        }
    }

    pub(super) const fn in_vain(self) -> u8 {
        match self.hand {
            Hand::Here { in_vain } => in_vain,
            Hand::Before | Hand::OtherSlot => 0,
        }
    }

    fn deadlines(&self) -> impl Iterator<Item = Boot> {
        let again_at = match self.turn {
            Turn::Here | Turn::Outside => None,
            Turn::AgainAt(at) => Some(at),
        };
        std::iter::once(self.until).chain(again_at)
    }
}

impl CommandStage {
    pub(super) fn is_under_way(&self) -> bool {
        match self {
            Self::Begun(_) | Self::Installing { .. } | Self::Installed { .. } => true,
            Self::Accepted | Self::Ended { .. } => false,
        }
    }
}

/// One whose row in the database is damaged, or was written by a later release.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Damaged {
    /// When that was seen, in seconds since 1970, by a clock that was trusted.
    pub(super) seen: Option<i64>,
    /// Who is still to be told.
    pub(super) tell: Option<Address>,
}

impl Damaged {
    /// Nobody signs a command for a later time.
    pub(super) fn over_at(&self) -> Option<i64> {
        self.seen.map(|seen| seen.saturating_add(VALID_MAX_S))
    }
}

#[derive(Debug)]
pub(super) struct Reading {
    pub(super) signed: SignedCommand,
    pub(super) kid: KeyId,
    pub(super) to: Vec<Address>,
    pub(super) until: Boot,
}

impl Kept {
    pub(super) fn is_ended(&self) -> bool {
        matches!(self.step, CommandStage::Ended { .. })
    }

    /// Nothing else may be done to the machine meanwhile.
    fn is_disturbing(&self) -> bool {
        self.step.is_under_way() && matches!(&self.signed.command, Command::Action(action) if action.is_alone())
    }
}

impl Default for Commands {
    fn default() -> Self {
        let (known, damaged, reading, tries, came) = Default::default();
        Self { known, damaged, reading, tries, forgotten: i64::MIN, came }
    }
}

impl Commands {
    /// What is due already waits for something else: a customer, mostly.
    pub(super) fn deadline(&self, now: Boot) -> Option<Boot> {
        self.tries.values().flat_map(Try::deadlines).filter(|at| *at > now).min()
    }

    pub(super) fn is_another_under_way(&self, id: &CommandId) -> bool {
        self.known.iter().any(|(other, kept)| other != id && kept.is_disturbing())
    }

    pub(super) fn is_any_under_way(&self) -> bool {
        self.known.values().any(Kept::is_disturbing)
    }

    /// Whether its time was over before then.
    pub(super) fn is_over_since(&self, id: &CommandId, now: Wall, span: Span) -> bool {
        self.known.get(id).is_some_and(|kept| kept.signed.is_over(Wall(now.0 - span.0)))
    }

    /// Counts a command. Answers with how many came within a second.
    pub(super) fn count(&mut self, now: Boot) -> usize {
        self.came.retain(|at| now < *at + SECOND);
        if self.came.len() <= ANSWERED_MAX {
            self.came.push_back(now);
        }
        self.came.len()
    }

    pub(super) fn open(&self) -> Vec<CommandId> {
        self.known.iter().filter(|(_, kept)| !kept.is_ended()).map(|(id, _)| id.clone()).collect()
    }
}
