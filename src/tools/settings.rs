//! `qris-tools settings FILE`: the tables of `docs/using/configuration.md`, made from the settings of the programs.

use qris_host::config::settings::{MQTT, Setting, document};
use qris_host::{Failure, exit, parse};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The files of configuration, and the section that several have, each with its settings.
pub const TABLES: [(&str, &[Setting]); 4] = [
    ("qrisd.toml", qris_device::config::settings::SETTINGS),
    ("relay.toml", qris_relay::settings::SETTINGS),
    ("backend.toml", qris_backend::settings::SETTINGS),
    ("MQTT", MQTT),
];

/// Writes the tables of the settings into their document.
#[derive(clap::Parser, Debug)]
#[command(name = "settings", bin_name = "qris-tools settings")]
struct Arguments {
    /// The document
    file: PathBuf,
}

pub(super) fn definition() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

pub(super) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match parse::<Arguments>(super::definition_of("settings"), arguments) {
        Ok(Arguments { file }) => exit("settings", write(&file)),
        Err(status) => status,
    }
}

fn write(file: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file).map_err(Failure::failed)?;
    let made = document(&text, &TABLES).map_err(Failure::failed)?;
    std::fs::write(file, made).map_err(Failure::failed)
}
