//! The places at which something may go wrong. In the simulation chance decides there, from the seed. In the search a plan does:
//! it names the places, by their number in the run, at which it does go wrong.

use super::World;
use super::counts::Kind;
use super::play::Play;
use super::strike::Struck;

/// What decides at a place whether something goes wrong.
#[derive(Debug)]
pub(super) enum Fate {
    Chance,
    Plan(Plan),
}

/// The places of a run so far, and those at which something goes wrong.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) play: Play,
    /// What the play is about has happened.
    pub(super) twisted: bool,
    /// The numbers of these, in order. The first place of a run is 0.
    pub(super) wrong: Vec<usize>,
    /// What may go wrong at each place that was passed.
    pub(super) places: Vec<Kind>,
    pub(super) disks: Struck,
}

impl Fate {
    pub(super) const fn play(&self) -> Option<Play> {
        match self {
            Self::Chance => None,
            Self::Plan(plan) => Some(plan.play),
        }
    }
}

impl Plan {
    pub(super) fn of(play: Play) -> Self {
        Self { play, twisted: false, wrong: Vec::new(), places: Vec::new(), disks: Struck::default() }
    }
}

impl World {
    /// Does something go wrong here? `one_in`: how often it does by chance.
    pub(super) fn may(&mut self, one_in: u64, what: Kind) -> bool {
        if !self.storm {
            return false;
        }
        match &mut self.fate {
            Fate::Chance => self.rng.below(one_in) == 0,
            Fate::Plan(plan) => {
                plan.places.push(what);
                let wrong = plan.wrong.binary_search(&(plan.places.len() - 1)).is_ok();
                if wrong {
                    self.note(|| format!("IT GOES WRONG: {}", what.name()));
                }
                wrong
            }
        }
    }

    /// The same, counted.
    pub(super) fn goes_wrong(&mut self, one_in: u64, what: Kind) -> bool {
        let wrong = self.may(one_in, what);
        self.counts.more(what, wrong.into());
        wrong
    }

    /// A delay that chance draws, up to `most` milliseconds, or the one of a plan.
    pub(super) fn delay(&mut self, most: i64, planned: i64) -> i64 {
        match self.fate {
            Fate::Chance => self.below(most),
            Fate::Plan(_) => planned,
        }
    }

    /// Does a plan say that this goes wrong here? By chance it happens otherwise: see [`World::mischief`].
    pub(super) fn is_to(&mut self, what: Kind) -> bool {
        self.is_planned() && self.may(1, what)
    }

    /// Has nothing gone wrong yet, where a plan decides? Then the places are many. Of two things that go wrong, the second
    /// is of each kind, and not in each form.
    pub(super) fn is_well_so_far(&self) -> bool {
        matches!(&self.fate, Fate::Plan(plan) if plan.wrong.first().is_none_or(|first| *first >= plan.places.len()))
    }

    pub(super) const fn is_planned(&self) -> bool {
        matches!(self.fate, Fate::Plan(_))
    }
}
