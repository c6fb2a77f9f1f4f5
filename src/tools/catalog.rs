//! `qris-tools catalog`: what the journal knows of each event, made from the table of events.

use qris_host::{catalog, parse};
use std::ffi::OsString;
use std::process::ExitCode;

/// Prints the catalogue of events for the journal of a machine.
#[derive(clap::Parser, Debug)]
#[command(name = "catalog", bin_name = "qris-tools catalog")]
struct Arguments {
    /// For the journal of a merchant's server.
    #[arg(long)]
    merchant: bool,
    /// The document of all events.
    #[arg(long, conflicts_with = "merchant")]
    page: bool,
}

pub(super) fn definition() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

pub(super) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let made = match parse::<Arguments>(super::definition_of("catalog"), arguments) {
        Ok(Arguments { page: true, .. }) => catalog::page(),
        Ok(Arguments { merchant: true, .. }) => catalog::merchants_text(),
        Ok(_) => catalog::text(),
        Err(status) => return status,
    };
    print!("{made}");
    ExitCode::SUCCESS
}
