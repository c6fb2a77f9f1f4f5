//! `qris-backend archive`: takes orders that are over out of the books, into a file.

use super::print::{Out, counted};
use super::time::day;
use crate::archive::{self, KEPT};
use crate::config::Config;
use clap::Args;
use qris_core::order::time::Wall;
use qris_host::{Failure, clock};
use serde_json::json;
use std::path::PathBuf;

/// Which, and where to.
#[derive(Debug, Args)]
pub struct Archive {
    /// Orders that are over and were settled, or begun and never paid, before this day (+07:00), a week ago at least
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    before: Wall,
    /// A file that is not there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What came of it as one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(config: &Config, wanted: Archive) -> Result<(), Failure> {
    let Archive { before, file, json } = wanted;
    let now = clock::now().wall;
    if before > now - KEPT {
        return Err(Failure::usage("--before must be a week ago at least: machines and the gateway may still tell of what is younger"));
    }
    let archive::Archive { orders, stayed, damaged, shrunk } =
        archive::archive(&config.store, before, &file, now).map_err(Failure::failed)?;
    let mut out = Out::default();
    if json {
        let object = json!({ "file": file, "orders": orders, "stayed": stayed, "damaged": damaged, "shrunk": shrunk });
        out.line(&object.to_string())?;
    } else if orders + stayed == 0 {
        out.line("no order before that day is over: there is nothing to archive, and no file")?;
    } else {
        out.line(&format!("{}: {} taken out of the books", file.display(), counted(orders, "order")))?;
        if stayed > 0 {
            out.line(&format!("{} changed meanwhile: in the file, and in the books still", counted(stayed, "order")))?;
        }
        let room = if shrunk { "is given back" } else { "is used by new orders; it is given back where this runs while `serve` does not" };
        out.line(&format!("their room {room}"))?;
    }
    if damaged.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format!("damaged, and left in the books: {}; `doctor` says what to do", damaged.join(", "))))
}
