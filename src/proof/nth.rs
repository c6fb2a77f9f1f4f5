//! Every operation fails once. For each [`Scenario`], each program, each kind of operation and each way to fail, the first
//! operation fails, then the second, then the third, until a run has no such operation left. Also, bits flip in each page of
//! the three databases and their logs, while a customer is at the machine.
//!
//! The stories themselves are in [`story`], and their plots in [`plot`].

mod audit;
mod plot;
mod stage;
mod story;
#[cfg(test)]
mod tests;

pub use super::middlebox::Foreign;
use super::rng::Rng;
pub use plot::{Counts, How, Kind, Scenario, Strike, Who};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
pub use story::{StoryError, Template, Told, tell};

/// The size of a page in all three databases, in bytes.
const PAGE: usize = 1024;
/// The headers of a log and of each frame in it, in bytes.
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// A bit flips in this many bytes of a page, at random places, beside those of its header.
const BY_CHANCE: usize = 6;
/// The fields of a database's header: versions of its format, counters, the schema's, the program's.
const DATABASE_FIELDS: [usize; 6] = [18, 24, 31, 60, 68, 92];
/// The fields of a log's header: its kind, version, page size, number, salt, checksum.
const LOG_FIELDS: [usize; 6] = [0, 5, 9, 13, 17, 25];
/// When bits flip, in milliseconds: while the QR is up, in mid-pulse, and after the sale.
const MOMENTS: [i64; 3] = [5_000, 7_600, 60_000];

/// One row: an operation of this kind fails in this way, at each place where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// The scenario.
    pub scenario: Scenario,
    /// The program.
    pub who: Who,
    /// The kind of operation.
    pub kind: Kind,
    /// The way to fail.
    pub how: How,
}

impl Case {
    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for scenario in Scenario::ALL {
            for who in Who::ALL {
                for kind in Kind::of(who) {
                    all.extend(kind.fails(who).map(|how| Self { scenario, who, kind, how }));
                }
            }
        }
        all
    }

    /// In words.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {} {} {}", self.scenario.name(), self.who.name(), self.kind.name(), self.how.name())
    }

    /// The failure of the N-th.
    #[must_use]
    pub const fn strike(&self, nth: u64) -> Strike {
        Strike::Operation { who: self.who, kind: self.kind, how: self.how, nth }
    }

    /// One run for each operation that there is; with `sample`, for only one of them. The sale always has all of them. In one
    /// more run nothing is left to fail, which shows that there were no more operations.
    fn runs(self, counts: &Counts, sample: bool, rng: &mut Rng) -> Vec<Run> {
        let run = |nth, exists| Run { row: Row::Case(self), strike: self.strike(nth), exists };
        let count = counts.get(&(self.who, self.kind)).copied().unwrap_or(0);
        let drawn = 1 + rng.below(count);
        let all = (1..=count).filter(|nth| !sample || self.scenario == Scenario::Sale || *nth == drawn);
        all.map(|nth| run(nth, true)).chain([run(count + 1, false)]).collect()
    }
}

/// A story that did not end well.
#[derive(Debug)]
pub struct Broken {
    /// The failure in it.
    pub run: Run,
    /// The rule that does not hold.
    pub why: String,
}

/// The results of many stories.
#[derive(Debug, Default)]
pub struct Found {
    /// The number of failed operations or flipped bits, one in each story.
    pub operations: u64,
    /// How the stories ended: dispensed, refund, uncertain, unpaid.
    pub ends: [u64; 4],
    /// Stories in which a database was set aside.
    pub set_aside: u64,
    /// Stories in which a program refused to work on its database.
    pub refused: u64,
    /// The stories that did not end well.
    pub broken: Vec<Broken>,
}

impl Found {
    /// Adds the result of one story.
    pub fn add(&mut self, run: Run, told: Told) {
        self.operations += u64::from(told.struck);
        for (sum, more) in self.ends.iter_mut().zip(told.ends) {
            *sum += more;
        }
        self.set_aside += u64::from(told.set_aside > 0);
        self.refused += u64::from(told.refused);
        let why = match (run.exists, told.struck) {
            (true, false) => Some("nothing was there to fail".into()),
            (false, true) => Some("there was one more than was counted".into()),
            (true, true) | (false, false) => None,
        };
        if let Some(why) = told.failure.or(why) {
            self.broken.push(Broken { run, why });
        }
    }
}

/// One file in which bits flip, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bits {
    /// The program whose database it is.
    pub who: Who,
    /// Its log.
    pub log: bool,
    /// The moment, in milliseconds.
    pub at: i64,
}

impl Bits {
    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let of = |who| MOMENTS.into_iter().flat_map(move |at| [false, true].map(|log| Self { who, log, at }));
        Who::ALL.into_iter().flat_map(of).collect()
    }

    /// In words.
    #[must_use]
    pub fn name(&self) -> String {
        format!("bits {} {} at {} ms", self.who.name(), if self.log { "log" } else { "database" }, self.at)
    }

    /// One run for each bit: in the fields of the file's header, in those of each page, and at random places. With `sample`,
    /// one bit in each page.
    fn runs(self, length: usize, sample: bool, rng: &mut Rng) -> Vec<Run> {
        let (header, each) = if self.log { (LOG_HEADER, PAGE + FRAME_HEADER) } else { (0, PAGE) };
        let mut wanted: Vec<usize> = if self.log { LOG_FIELDS.into() } else { DATABASE_FIELDS.into() };
        for page in (header..length).step_by(each) {
            // A database's first page begins with an additional header of 100 bytes; a frame begins with a header of 24.
            let tree = if page == 0 && !self.log { 100 } else { page + each - PAGE };
            let mut there = vec![tree, tree + 1, tree + 3, tree + 5, tree + 7, tree + 9];
            if self.log {
                there.extend([page, page + 3, page + 7, page + 9, page + 17]);
            }
            let chance = || usize::try_from(rng.below(PAGE as u64)).unwrap_or(0);
            there.extend(std::iter::repeat_with(chance).take(BY_CHANCE).map(|at| page + each - PAGE + at));
            match sample {
                true => wanted.extend(there.get(usize::try_from(rng.below(there.len() as u64)).unwrap_or(0))),
                false => wanted.extend(there),
            }
        }
        let wanted = wanted.into_iter().filter(|byte| *byte < length);
        wanted.map(|byte| self.run(byte, u8::try_from(rng.below(8)).unwrap_or(0))).collect()
    }

    const fn run(self, byte: usize, bit: u8) -> Run {
        let Self { who, log, at } = self;
        Run { row: Row::Bits(self), strike: Strike::Flip { who, log, at, byte, bit }, exists: true }
    }
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// Operations of one kind.
    Case(Case),
    /// Bits of one file.
    Bits(Bits),
}

impl Row {
    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        Case::all().into_iter().map(Self::Case).chain(Bits::all().into_iter().map(Self::Bits)).collect()
    }

    /// In words.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Case(case) => case.name(),
            Self::Bits(bits) => bits.name(),
        }
    }
}

/// One story with its failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The row.
    pub row: Row,
    /// The failure.
    pub strike: Strike,
    /// Does such an operation, or byte, exist?
    exists: bool,
}

impl Run {
    /// Runs the story.
    ///
    /// # Errors
    /// When there is no disk for it.
    pub fn tell(&self, template: &Template) -> Result<Told, StoryError> {
        let scenario = match self.row {
            Row::Case(case) => case.scenario,
            Row::Bits(_) => Scenario::Sale,
        };
        tell(template, scenario, Some(self.strike))
    }
}

/// The runs of these rows: all of them, or a `sample`, in which the seed chooses the operation or the bit.
///
/// # Errors
/// When a story cannot be told.
pub fn plan(template: &Template, rows: &[Row], sample: bool, seed: u64) -> Result<Vec<Run>, StoryError> {
    let mut rng = Rng::new(seed);
    // Up to its failure a story is equal to the one without a disturbance. So this one counts the operations.
    let mut counts: BTreeMap<Scenario, Counts> = BTreeMap::new();
    let mut runs = Vec::new();
    for row in rows {
        match row {
            Row::Case(case) => {
                let counts = match counts.entry(case.scenario) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => place.insert(tell(template, case.scenario, None)?.counts),
                };
                runs.extend(case.runs(counts, sample, &mut rng));
            }
            Row::Bits(bits) => {
                let length = bits.run(0, 0).tell(template)?.length;
                runs.extend(bits.runs(length, sample, &mut rng));
            }
        }
    }
    Ok(runs)
}
