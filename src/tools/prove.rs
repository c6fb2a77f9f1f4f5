//! The proofs of the promise that need no process: the search, the operations that fail one by one, and the simulation from a
//! seed.

mod pool;

use super::definition_of;
use clap::CommandFactory as _;
use qris_host::{Failure, exit, parse};
use qris_proof::{nth, search, world};
use qris_sim::rng::Rng;
use std::ffi::OsString;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Performs small plays in which something goes wrong: at each place where it may, and in a sale at each two places.
#[derive(clap::Parser, Debug)]
#[command(name = "search", bin_name = "qris-tools search")]
struct Search {
    /// Only this play: sale, cancel, too-late, race, counter, reboot, refund, two, filled or second-try.
    #[arg(long, value_name = "PLAY")]
    only: Option<String>,
    /// In every play things go wrong at so many places of one performance, at the most.
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
    /// Of the performances with the most of them only one in so many, as the seed chooses.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "depth")]
    one_in: u64,
    /// The seed of that choice.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "one_in")]
    seed: u64,
    /// Only this performance, such as sale:17,42, and tell everything that happens in it.
    #[arg(long, value_name = "NAME")]
    at: Option<String>,
}

pub(super) fn definitions() -> [clap::Command; 3] {
    [Search::command(), Nth::command(), Simulate::command()]
}

pub(super) fn search(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match parse::<Search>(definition_of("search"), arguments) {
        Ok(arguments) => exit("search", look_everywhere(&arguments)),
        Err(status) => status,
    }
}

fn look_everywhere(arguments: &Search) -> Result<(), Failure> {
    if let Some(name) = &arguments.at {
        let case =
            search::Case::named(name).ok_or_else(|| Failure::failed(format!("{name} is no performance: say for example sale:17,42")))?;
        let performed = case.perform(&place()).map_err(Failure::failed)?;
        print!("{}", performed.trace);
        return performed.failure.map_or(Ok(()), |why| Err(Failure::failed(why)));
    }
    let (counts, broken, begun) = (Mutex::new(world::Counts::default()), Mutex::new(Vec::new()), Instant::now());
    let mut cases: Vec<search::Case> = world::Play::ALL.into_iter().map(search::Case::calm).collect();
    cases.retain(|case| arguments.only.as_ref().is_none_or(|only| case.play.name() == only.as_str()));
    if cases.is_empty() {
        return Err(Failure::failed("no play has this name"));
    }
    let depth_of = |case: &search::Case| arguments.depth.unwrap_or(if case.play == world::Play::Sale { 2 } else { 1 });
    let mut chosen = Rng::new(arguments.seed);
    for depth in 0.. {
        cases.retain(|case| depth == 0 || depth < depth_of(case) || chosen.below(arguments.one_in) == 0);
        if cases.is_empty() {
            break;
        }
        let (next, deeper) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let wanted = || cases.get(next.fetch_add(1, Ordering::Relaxed));
        let run = |case: &&search::Case| {
            let performed = case.perform(&place()).map_err(Failure::failed)?;
            counts.lock().expect("nobody panics with it").add(&performed.counts);
            if let Some(why) = &performed.failure {
                println!("{case}: {why} ({})", case.describe(&performed));
                broken.lock().expect("nobody panics with it").push(case.to_string());
            } else if depth < depth_of(case) {
                deeper.lock().expect("nobody panics with it").extend(case.with_one_more(&performed));
            }
            Ok(())
        };
        let panicked = pool::each(pool::LONGEST, wanted, run, hangs)?;
        panicked.iter().for_each(|name| println!("{name}: it panics"));
        broken.lock().expect("nobody panics with it").extend(panicked);
        println!("{} performances in which things go wrong at {depth} places, after {} s", cases.len(), begun.elapsed().as_secs());
        cases = deeper.into_inner().expect("nobody panics with it");
        // Each thread finds its own, and the choice is to be the same again.
        cases.sort_unstable();
    }
    for (kind, count) in counts.into_inner().expect("nobody panics with it").all().filter(|(_, count)| *count > 0) {
        println!("{count:>9} {kind}");
    }
    let broken = broken.into_inner().expect("nobody panics with it");
    match broken.first() {
        Some(first) => Err(Failure::failed(format!("{} performances failed; repeat one with --at {first}", broken.len()))),
        None => Ok(()),
    }
}

/// Runs the whole product in virtual time, out of one seed after the other.
#[derive(clap::Parser, Debug)]
#[command(name = "simulate", bin_name = "qris-tools simulate")]
struct Simulate {
    /// So many seeds, from `--first` on.
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them.
    #[arg(long, value_name = "N", default_value_t = 1)]
    first: u64,
    /// Begin no other seed after so many seconds, but run at least five hundred.
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// Run only this seed, and tell everything that happens in it.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

pub(super) fn simulate(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match parse::<Simulate>(definition_of("simulate"), arguments) {
        Ok(arguments) => exit("simulate", run(&arguments)),
        Err(status) => status,
    }
}

/// After this many seeds each kind of fault must have happened. A run without one of them proves nothing about it.
const ALL_KINDS_AFTER: u64 = 500;

/// As it is told, and as it is asked for again.
struct Seed(u64);

impl Display for Seed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}", self.0)
    }
}

/// A run that does not end can be ended only with the program.
fn hangs(name: &str) {
    println!("{name}: it has not ended after {} s", pool::LONGEST.as_secs());
    std::process::exit(1);
}

/// Where databases cost no disk.
fn place() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.into() } else { std::env::temp_dir() }
}

fn run(arguments: &Simulate) -> Result<(), Failure> {
    if let Some(seed) = arguments.seed {
        let report = world::run(seed, &place()).map_err(Failure::failed)?;
        print!("{}", report.trace);
        return match report.failure {
            None => Ok(()),
            Some(why) => Err(Failure::failed(format!("seed {seed}: {why}"))),
        };
    }
    let begun = Instant::now();
    let until = arguments.seconds.map(Duration::from_secs);
    let next = AtomicU64::new(arguments.first);
    let last = arguments.first.saturating_add(arguments.seeds);
    let (ran, counts, broken) = (AtomicU64::new(0), Mutex::new(world::Counts::default()), Mutex::new(Vec::new()));
    let wanted = || {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let is_over = until.is_some_and(|until| begun.elapsed() > until) && seed - arguments.first >= ALL_KINDS_AFTER;
        (seed < last && !is_over).then_some(Seed(seed))
    };
    let run = |seed: &Seed| {
        let report = world::run(seed.0, &place()).map_err(Failure::failed)?;
        ran.fetch_add(1, Ordering::Relaxed);
        counts.lock().expect("nobody panics with it").add(&report.counts);
        if let Some(why) = report.failure {
            println!("{seed}: {why}");
            broken.lock().expect("nobody panics with it").push(seed.to_string());
        }
        Ok(())
    };
    let panicked = pool::each(pool::LONGEST, wanted, run, hangs)?;
    let ran = ran.into_inner();
    println!("{ran} seeds in {} s", begun.elapsed().as_secs());
    let counts = counts.into_inner().expect("nobody panics with it");
    for (kind, count) in counts.all() {
        println!("{count:>9} {kind}");
    }
    let missing: Vec<&str> = counts.missing().collect();
    let mut broken = broken.into_inner().expect("nobody panics with it");
    panicked.iter().for_each(|seed| println!("{seed}: it panics"));
    broken.extend(panicked);
    if let Some(seed) = broken.first() {
        return Err(Failure::failed(format!("{} seeds failed; replay one with --{seed}", broken.len())));
    }
    if ran < ALL_KINDS_AFTER {
        println!("too few seeds to ask that every kind of fault was there: that takes {ALL_KINDS_AFTER}");
    }
    if ran >= ALL_KINDS_AFTER && !missing.is_empty() {
        return Err(Failure::failed(format!("it never happened: {}", missing.join(", "))));
    }
    Ok(())
}

/// Lets every operation of a disk fail once, and bits flip in every page of the databases.
#[derive(clap::Parser, Debug)]
#[command(name = "nth", bin_name = "qris-tools nth")]
struct Nth {
    /// Only rows whose name contains this, such as `sale`, `qris-relayd commit` or `bits`.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// In one row, only this operation, and tell everything that happens.
    #[arg(long, value_name = "N", requires = "only")]
    at: Option<u64>,
    /// Be quick. Of the sale all commits fail and a quarter of the other operations, in the other plays one of each kind for each way.
    /// One bit flips in each page of the ledger, and in each fourth page of the others.
    #[arg(long, conflicts_with = "at")]
    sample: bool,
    /// Which operations a sample has, and where in a page bits flip.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Tell everything that happens when this bit flips: `qrisd|qris-relayd|qris-backend`, `database|log`, milliseconds,
    /// byte, bit, with commas between.
    #[arg(long, value_name = "BIT", conflicts_with_all = ["only", "at"])]
    flip: Option<String>,
}

pub(super) fn nth(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match parse::<Nth>(definition_of("nth"), arguments) {
        Ok(arguments) => exit("nth", fail_each(&arguments)),
        Err(status) => status,
    }
}

fn fail_each(arguments: &Nth) -> Result<(), Failure> {
    let template = nth::Template::new(&place()).map_err(Failure::failed)?;
    let mut rows = nth::Row::all();
    rows.retain(|row| arguments.only.as_ref().is_none_or(|only| row.name().contains(only.as_str())));
    if rows.is_empty() {
        return Err(Failure::failed("no row has this in its name"));
    }
    if let Some(flip) = &arguments.flip {
        return tell_one(&template, world::Play::Sale, read_flip(flip)?);
    }
    if let Some(at) = arguments.at {
        let [nth::Row::Case(case)] = rows[..] else {
            return Err(Failure::failed(format!("--at needs one row, and {} have this name", rows.len())));
        };
        return tell_one(&template, case.play, case.strike(at));
    }
    let begun = Instant::now();
    let runs = nth::plan(&template, &rows, arguments.sample, arguments.seed).map_err(Failure::failed)?;
    let (next, found) = (AtomicUsize::new(0), Mutex::new([nth::Found::default(), nth::Found::default()]));
    let wanted = || runs.get(next.fetch_add(1, Ordering::Relaxed)).map(Named);
    let run = |Named(run): &Named<'_>| {
        let (report, struck) = run.play(&template).map_err(Failure::failed)?;
        let mut found = found.lock().expect("nobody panics with it");
        let found = &mut found[usize::from(matches!(run.row, nth::Row::Bits(_)))];
        let broken = found.broken.len();
        found.add(**run, report, &struck);
        for broken in &found.broken[broken..] {
            println!("{}: {}", Named(run), broken.why);
        }
        Ok(())
    };
    let panicked = pool::each(pool::LONGEST, wanted, run, hangs)?;
    panicked.iter().for_each(|run| println!("{run}: it panics"));
    let [operations, bits] = found.into_inner().expect("nobody panics with it");
    println!("{} rows, {} runs in {} s", rows.len(), runs.len(), begun.elapsed().as_secs());
    let told = |found: &nth::Found| {
        let [sold, back, uncertain, unpaid] = found.ends;
        let (aside, refused) = (found.set_aside, found.refused);
        format!(
            "{sold} dispensed, {back} refunds, {uncertain} uncertain, {unpaid} unpaid; a database was set aside in {aside}, left for a person in {refused}"
        )
    };
    println!("{} operations failed, one a run: {}", operations.operations, told(&operations));
    println!("{} bits flipped, one a run: {}", bits.operations, told(&bits));
    let broken = operations.broken.len() + bits.broken.len() + panicked.len();
    if broken > 0 {
        return Err(Failure::failed(format!("{broken} runs did not end well; replay one with --only ROW --at N, or --flip")));
    }
    Ok(())
}

struct Named<'a>(&'a nth::Run);

impl Display for Named<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.0.row.name(), self.0.strike)
    }
}

fn tell_one(template: &nth::Template, play: world::Play, strike: nth::Strike) -> Result<(), Failure> {
    let (report, struck) = template.play(play, Some(strike)).map_err(Failure::failed)?;
    print!("{}", report.trace);
    if !struck.happened {
        println!("nothing was there to fail");
    }
    report.failure.map_or(Ok(()), |why| Err(Failure::failed(why)))
}

fn read_flip(text: &str) -> Result<nth::Strike, Failure> {
    let wrong = || Failure::failed(format!("{text} is no bit: say for example qris-relayd,log,7600,1234,5"));
    let parts: Vec<&str> = text.split(',').collect();
    let [who, file, at, byte, bit] = parts[..] else { return Err(wrong()) };
    let who = nth::Who::ALL.into_iter().find(|known| known.name() == who).ok_or_else(wrong)?;
    let log = ["database", "log"].iter().position(|known| *known == file).ok_or_else(wrong)? == 1;
    let (at, byte, bit) = (at.parse(), byte.parse(), bit.parse());
    match (at, byte, bit) {
        (Ok(at), Ok(byte), Ok(bit @ 0..=7)) => Ok(nth::Strike::Flip { who, log, at, byte, bit }),
        _ => Err(wrong()),
    }
}
