//! `qris-backend archive`: takes orders that are over out of the books, into a file.

use super::opening::{apart, books};
use super::print::{Out, counted};
use super::progress::growing;
use super::time::{Day, day};
use crate::config::Config;
use crate::keeping::archive::{self, KEPT};
use crate::keeping::copies;
use crate::keeping::databases::StoreLocation;
use crate::sale::books::stored_time;
use crate::store::BOOKS;
use clap::Args;
use qris_host::{Failure, clock, sqlite};
use serde_json::json;
use std::path::PathBuf;

/// Which, and where to.
#[derive(Debug, Args)]
pub struct Archive {
    /// Take orders that are over, and that were settled (or begun and never paid) before this day, at least a week ago
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    before: Day,
    /// The file to write, which must not exist yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, wanted: Archive) -> Result<(), Failure> {
    let Archive { before, file, json } = wanted;
    let (now, before) = (clock::now().wall, before.start(config.zone));
    let stored = books(config)?.read(stored_time).await.map_err(Failure::failed)?;
    // Our own clock may be ahead. What is taken out of the books too early would be missed.
    let Some(trusted) = stored.map(|stored| stored.at) else {
        return Err(Failure::failed("nothing is archived while no time is trusted: start `serve`, and see that it reaches the gateway"));
    };
    if before > trusted - KEPT {
        let last = trusted.to_local_named(config.zone);
        let why = "machines and the gateway may still report on younger orders";
        return Err(Failure::usage(format!(
            "--before must be at least a week ago: {why}. The last time that `serve` has trusted is {last}"
        )));
    }
    let archived = growing(&copies::part_of(&file), None, || apart(|| archive::archive(&config.store, before, &file, now)));
    let archived = archived.map_err(Failure::failed)?;
    let archive::Archive { orders, stayed, damaged } = archived;
    let room = if orders > 0 { room(&config.store)? } else { None };
    let mut out = Out::default();
    if json {
        let object = json!({ "file": file, "orders": orders, "stayed": stayed, "damaged": damaged, "shrunk": room == Some(true) });
        out.line(&object.to_string())?;
    } else if orders + stayed == 0 {
        out.line("nothing to archive: no order before that day is over; no file was written")?;
    } else {
        out.line(&format!("{}: {} taken out of the books", file.display(), counted(orders, "order")))?;
        if stayed > 0 {
            out.line(&format!("{} changed meanwhile: in the file, and still in the books, too", counted(stayed, "order")))?;
        }
        let room = match room {
            Some(true) => "is given back to the disk",
            Some(false) => "is used by new orders; to give it back to the disk, run this while `serve` does not run",
            None => "is used by new orders",
        };
        out.line(&format!("their room {room}"))?;
    }
    if damaged.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format!("damaged orders, left in the books: {}; `doctor` says what to do", damaged.join(", "))))
}

/// Gives the room back to the disk, if that holds nobody up. `None`: PostgreSQL sees to it by itself.
fn room(store: &StoreLocation) -> Result<Option<bool>, Failure> {
    let StoreLocation::File(path) = store else { return Ok(None) };
    let Ok(_alone) = sqlite::claim(path) else { return Ok(Some(false)) };
    let connection = sqlite::open_beside(path, &BOOKS, false).map_err(Failure::failed)?.connection;
    Ok(Some(connection.execute_batch("VACUUM").is_ok()))
}
