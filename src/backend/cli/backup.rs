//! `qris-backend backup`: a copy of the books and of the machines, while `serve` runs.

use super::print::{Out, counted};
use super::progress::{growing, size};
use crate::config::Config;
use crate::keeping::copies;
use crate::keeping::databases::StoreLocation;
use clap::Args;
use qris_host::Failure;
use serde_json::json;
use std::path::PathBuf;

/// Where to.
#[derive(Debug, Args)]
pub struct Backup {
    /// The file to write, which must not exist yet; the machines go to FILE.devices. Neither holds the signing keys
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print what it holds as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(config: &Config, wanted: Backup) -> Result<(), Failure> {
    let Backup { file, json } = wanted;
    let books = match &config.store {
        StoreLocation::File(path) => path,
        StoreLocation::Server(server) => {
            return Err(Failure::failed(format!("the books are in PostgreSQL ({}): copy them with pg_dump", server.name())));
        }
    };
    let copies::Backup { orders, machines, damaged } =
        growing(&copies::part_of(&file), size(books), || copies::back_up(books, &file)).map_err(Failure::failed)?;
    let beside = copies::machines_of(&file);
    let mut out = Out::default();
    if json {
        out.line(&json!({ "file": file, "orders": orders, "devices_file": beside, "machines": machines, "damaged": damaged }).to_string())?;
    } else {
        let number = |count: i64| u64::try_from(count).unwrap_or(0);
        out.line(&format!("{}: {}", file.display(), counted(number(orders), "order")))?;
        out.line(&format!("{}: {}", beside.display(), counted(number(machines), "machine")))?;
    }
    if damaged.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format!("damaged in the books and in this backup: {}; `doctor` says what to do", damaged.join(", "))))
}
