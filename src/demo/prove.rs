//! What proves the promise without a process: the exhaustive search, and the simulation out of a seed.

use crate::host::{Failure, exit, parse};
use crate::sim::{model, world};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Looks at every order of events that a small world allows, and says whether the promise holds in each.
#[derive(clap::Parser, Debug)]
#[command(name = "model")]
struct Model {
    /// Also the searches that take minutes.
    #[arg(long)]
    long: bool,
    /// Only those whose name has this in it.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// `qris-demo model`
pub(super) fn model(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match parse::<Model>(arguments) {
        Ok(arguments) => exit("model", search(&arguments)),
        Err(status) => status,
    }
}

fn search(arguments: &Model) -> Result<(), Failure> {
    let (mut worlds, mut seen, mut unfinished) = (0, model::Counts::default(), 0);
    for scenario in model::scenarios(arguments.long) {
        if arguments.only.as_ref().is_some_and(|only| !scenario.name.contains(only.as_str())) {
            continue;
        }
        let found = model::search(&scenario);
        println!("{}", found.told(&scenario));
        worlds += found.worlds;
        seen.add(&found.counts);
        match &found.verdict {
            model::Verdict::Holds => {}
            model::Verdict::Unfinished => unfinished += 1,
            model::Verdict::Broken { what, trace } => {
                println!("{}", trace.join("\n"));
                return Err(Failure::failed(format!("{}: {what:?}", scenario.name)));
            }
        }
    }
    println!("{worlds} worlds in all; their ends: {seen:?}");
    if unfinished > 0 {
        println!("{unfinished} searches ended at their bound: every world that was looked at is well, and there are more");
    }
    Ok(())
}

/// Runs the whole product in virtual time, out of one seed after the other.
#[derive(clap::Parser, Debug)]
#[command(name = "simulate")]
struct Simulate {
    /// So many seeds, from `--first` on.
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "seed")]
    seeds: u64,
    /// The first of them.
    #[arg(long, value_name = "N", default_value_t = 1)]
    first: u64,
    /// Begin no other seed after so many seconds.
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// This one only, and tell everything that happens in it.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// `qris-demo simulate`
pub(super) fn simulate(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match parse::<Simulate>(arguments) {
        Ok(arguments) => exit("simulate", run(&arguments)),
        Err(status) => status,
    }
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
    let work = || -> Result<(), world::NoDirectory> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= last || until.is_some_and(|until| begun.elapsed() > until) {
                return Ok(());
            }
            let report = world::run(seed, &place())?;
            ran.fetch_add(1, Ordering::Relaxed);
            counts.lock().expect("nobody panics with it").add(&report.counts);
            if let Some(why) = report.failure {
                println!("seed {seed}: {why}");
                broken.lock().expect("nobody panics with it").push(seed);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let all: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all.into_iter().map(|thread| thread.join().expect("a run panics only where the product does")).collect()
    });
    all.into_iter().collect::<Result<Vec<()>, _>>().map_err(Failure::failed)?;
    let ran = ran.into_inner();
    println!("{ran} seeds in {} s", begun.elapsed().as_secs());
    let counts = counts.into_inner().expect("nobody panics with it");
    for (kind, count) in counts.all() {
        println!("{count:>9} {kind}");
    }
    let missing: Vec<&str> = counts.all().filter(|(_, count)| *count == 0).map(|(kind, _)| kind).collect();
    let broken = broken.into_inner().expect("nobody panics with it");
    if let Some(seed) = broken.first() {
        return Err(Failure::failed(format!("{} of {ran} seeds failed; replay one with --seed {seed}", broken.len())));
    }
    if ran >= 100 && !missing.is_empty() {
        return Err(Failure::failed(format!("it never happened: {}", missing.join(", "))));
    }
    Ok(())
}
