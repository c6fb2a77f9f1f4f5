//! Every operation of a disk fails once. For each [`Play`], each program, each kind of operation and each way to fail, the
//! first operation fails, then the second, then the third, until a run has no such operation left. Also, bits flip in each page
//! of the three databases and their logs, while a customer is at the machine. The whole product runs, as in the simulation.

#[cfg(test)]
mod tests;

use super::disk::Op;
use super::rng::Rng;
use super::world::{self, Kind, NoDirectory, Play, RunReport};
pub use super::world::{How, Strike, Struck, Who};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use tempfile::TempDir;

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
/// When bits flip, in milliseconds: while the QR is up, in mid-pulse, and after the sale. Its request is repeated later still.
const MOMENTS: [i64; 3] = [5_000, MID_PULSE, 30_000];
const MID_PULSE: i64 = 7_300;
/// A sample has one in so many of the sale's operations that are no commits.
const SALE_ONE_IN: u64 = 4;
/// … and bits flip in all pages of the relay's ledger, which alone knows of a pulse, and in one of so many others.
const PAGES_ONE_IN: u64 = 4;

/// Databases that were used before.
#[derive(Debug)]
pub struct Template {
    directory: TempDir,
}

impl Template {
    /// Makes them in a directory of their own below `place`.
    pub fn new(place: &Path) -> Result<Self, NoDirectory> {
        let prefix = format!("qris-nth-{}-", std::process::id());
        let own = tempfile::Builder::new().prefix(&prefix).tempdir_in(place).map_err(|source| NoDirectory::new(place, source))?;
        world::begin_databases(&own.path().join("used"))?;
        Ok(Self { directory: own })
    }

    /// Plays a play, while this happens to a disk. In a sale the databases are new.
    pub fn play(&self, play: Play, strike: Option<Strike>) -> Result<(RunReport, Struck), NoDirectory> {
        let own = self.directory.path();
        let from = (play != Play::Sale).then(|| own.join("used"));
        world::strike(play, strike, from.as_deref(), own)
    }
}

/// How an operation can fail. What makes no difference is left out.
const fn ways(op: Op) -> &'static [How] {
    use How::{Crash, Error, Full, PowerCut, ThenCrash};
    match op {
        Op::Write => &[Error, Full, Crash, PowerCut],
        Op::Commit => &[Error, Full, Crash, PowerCut, ThenCrash],
        Op::Sync => &[Error, Crash, PowerCut, ThenCrash],
        Op::Delete => &[Error, Crash, PowerCut],
        Op::Open | Op::Truncate => &[Error, Crash],
        Op::Read => &[Error],
        Op::Share => &[Error, Full],
    }
}

/// One row: an operation of this kind fails in this way, at each place where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    pub play: Play,
    pub who: Who,
    pub op: Op,
    pub how: How,
}

impl Case {
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for play in Play::ALL {
            for (who, op) in Who::ALL.into_iter().flat_map(|who| Op::ALL.map(|op| (who, op))) {
                all.extend(ways(op).iter().map(|how| Self { play, who, op, how: *how }));
            }
        }
        all
    }

    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {} {} {}", self.play.name(), self.who.name(), self.op.word(), self.how.name())
    }

    #[must_use]
    pub const fn strike(&self, nth: u64) -> Strike {
        Strike::Operation { who: self.who, op: self.op, how: self.how, nth }
    }

    /// One run for each operation that there is. In one more run nothing is left to fail, which shows that there were no more
    /// operations. A `sample` has one operation, and of the sale all commits and a quarter of the others.
    fn runs(self, counts: &BTreeMap<(Who, Op), u64>, sample: bool, rng: &mut Rng) -> Vec<Run> {
        let run = |nth, exists| Run { row: Row::Case(self), strike: self.strike(nth), exists };
        let count = counts.get(&(self.who, self.op)).copied().unwrap_or(0);
        let drawn = 1 + rng.below(count);
        let is_sale = self.play == Play::Sale;
        let is_drawn = |nth: u64| nth == drawn || is_sale && (self.op == Op::Commit || nth % SALE_ONE_IN == drawn % SALE_ONE_IN);
        let last = (!sample || is_sale).then(|| run(count + 1, false));
        (1..=count).filter(|nth| !sample || is_drawn(*nth)).map(|nth| run(nth, true)).chain(last).collect()
    }
}

/// A play that did not end well.
#[derive(Debug)]
pub struct Broken {
    pub run: Run,
    /// The rule that does not hold.
    pub why: String,
}

#[derive(Debug, Default)]
pub struct Found {
    /// The number of failed operations or flipped bits, one in each play.
    pub operations: u64,
    /// How the orders ended: dispensed, refund, uncertain, unpaid.
    pub ends: [u64; 4],
    /// Plays in which a database was set aside.
    pub set_aside: u64,
    /// Plays in which a program refused to work on its database.
    pub refused: u64,
    pub broken: Vec<Broken>,
}

impl Found {
    pub fn add(&mut self, run: Run, report: RunReport, struck: &Struck) {
        self.operations += u64::from(struck.happened);
        for (sum, more) in self.ends.iter_mut().zip(ends(&report)) {
            *sum += more;
        }
        self.set_aside += u64::from(struck.set_aside > 0);
        self.refused += u64::from(struck.refused);
        let why = match (run.exists, struck.happened) {
            (true, false) => Some("nothing was there to fail".into()),
            (false, true) => Some("there was one more than was counted".into()),
            (true, true) | (false, false) => None,
        };
        if let Some(why) = report.failure.or(why) {
            self.broken.push(Broken { run, why });
        }
    }
}

fn ends(report: &RunReport) -> [u64; 4] {
    let of = |kinds: &[Kind]| kinds.iter().map(|kind| report.counts.of(*kind)).sum();
    [of(&[Kind::Sales]), of(&[Kind::RefundsDue, Kind::Refunded]), of(&[Kind::Uncertain]), of(&[Kind::Unpaid, Kind::Unreported])]
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
    #[must_use]
    pub fn all() -> Vec<Self> {
        let of = |who| MOMENTS.into_iter().flat_map(move |at| [false, true].map(|log| Self { who, log, at }));
        Who::ALL.into_iter().flat_map(of).collect()
    }

    #[must_use]
    pub fn name(&self) -> String {
        format!("bits {} {} at {} ms", self.who.name(), if self.log { "log" } else { "database" }, self.at)
    }

    /// One run for each bit: in the fields of the file's header, in those of each page, and at random places. With `sample`,
    /// those of the file's header, and one bit in each page of the relay's and in each fourth page of the others'.
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
                true if self.who != Who::Relay && rng.below(PAGES_ONE_IN) > 0 => {}
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    Case(Case),
    Bits(Bits),
}

impl Row {
    #[must_use]
    pub fn all() -> Vec<Self> {
        Case::all().into_iter().map(Self::Case).chain(Bits::all().into_iter().map(Self::Bits)).collect()
    }

    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Case(case) => case.name(),
            Self::Bits(bits) => bits.name(),
        }
    }
}

/// One play, and what happens to a disk in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub row: Row,
    pub strike: Strike,
    /// Does such an operation, or byte, exist?
    exists: bool,
}

impl Run {
    pub fn play(&self, template: &Template) -> Result<(RunReport, Struck), NoDirectory> {
        let play = match self.row {
            Row::Case(case) => case.play,
            Row::Bits(_) => Play::Sale,
        };
        template.play(play, Some(self.strike))
    }
}

/// The runs of these rows: all of them, or a `sample`, in which the seed chooses the operation or the bit.
pub fn plan(template: &Template, rows: &[Row], sample: bool, seed: u64) -> Result<Vec<Run>, NoDirectory> {
    let mut rng = Rng::new(seed);
    // Up to its failure a play is equal to the one without a disturbance. So this one counts the operations.
    let mut counts = BTreeMap::new();
    let mut runs = Vec::new();
    for row in rows {
        match row {
            Row::Case(case) => {
                let counts = match counts.entry(case.play) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => place.insert(template.play(case.play, None)?.1.counts),
                };
                runs.extend(case.runs(counts, sample, &mut rng));
            }
            Row::Bits(bits) => {
                let length = bits.run(0, 0).play(template)?.1.length;
                runs.extend(bits.runs(length, sample, &mut rng));
            }
        }
    }
    Ok(runs)
}
