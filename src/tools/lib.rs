//! What developers run, and no visitor and no machine: the proofs that need no process, a fleet under load, and what is made from
//! the definitions of commands and events.

mod catalog;
mod examples;
mod fleet;
mod manuals;
mod prove;
pub mod settings;

use qris_host::commands::with_examples;
use std::ffi::OsString;
use std::process::ExitCode;

/// The tools of qrisd's developers.
#[derive(clap::Parser, Debug)]
#[command(name = "qris-tools", subcommand_required = true, arg_required_else_help = true)]
struct Arguments {}

/// Runs the program: arguments, work, exit status. If its first argument is the name of another program, it runs as that
/// program: the load is on real ones.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut arguments: Vec<OsString> = arguments.collect();
    let name = arguments.get(1).and_then(|name| name.to_str());
    if let Some(main) = name.and_then(|name| tool(name).or_else(|| qris_demo::program(name))) {
        arguments.remove(0);
        return main(arguments);
    }
    match qris_host::parse::<Arguments>(definition(), arguments.into_iter()) {
        Ok(Arguments {}) => unreachable!("a command is required, and each is run above"),
        Err(status) => status,
    }
}

#[must_use]
pub fn definition() -> clap::Command {
    let [search, nth, simulate] = prove::definitions();
    let commands = [search, nth, simulate, fleet::definition(), manuals::definition(), catalog::definition(), settings::definition()];
    let own = <Arguments as clap::CommandFactory>::command().version(env!("CARGO_PKG_VERSION")).subcommands(commands);
    with_examples(own, examples::EXAMPLES)
}

fn definition_of(name: &str) -> clap::Command {
    definition().find_subcommand(name).expect("a command of the tools").clone().version(env!("CARGO_PKG_VERSION"))
}

fn tool(name: &str) -> Option<fn(Vec<OsString>) -> ExitCode> {
    match name {
        "search" => Some(|arguments| prove::search(arguments.into_iter())),
        "nth" => Some(|arguments| prove::nth(arguments.into_iter())),
        "simulate" => Some(|arguments| prove::simulate(arguments.into_iter())),
        "fleet" => Some(|arguments| fleet::main(arguments.into_iter())),
        "manuals" => Some(|arguments| manuals::main(arguments.into_iter())),
        "catalog" => Some(|arguments| catalog::main(arguments.into_iter())),
        "settings" => Some(|arguments| settings::main(arguments.into_iter())),
        _ => None,
    }
}
