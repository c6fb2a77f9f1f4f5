//! What proves the promise without a process: the exhaustive search.

use crate::host::{Failure, exit, parse};
use crate::sim::model;
use std::ffi::OsString;
use std::process::ExitCode;

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
    if unfinished > 0 { Err(Failure::failed(format!("{unfinished} searches were not finished"))) } else { Ok(()) }
}
