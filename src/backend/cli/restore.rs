//! `qris-backend restore`: puts a copy of the books in their place, and says what it cannot know.

use super::opening::apart;
use super::print::{Out, counted};
use super::progress::{growing, size};
use crate::config::Config;
use crate::keeping::copies;
use crate::keeping::databases::StoreLocation;
use crate::keeping::restoring::{self, Restored};
use crate::sale::books::of_a_copy;
use crate::store::postgres::{self, Server};
use clap::Args;
use qris_core::order::time::Told;
use qris_host::{Failure, clock};
use serde_json::json;
use std::path::{Path, PathBuf};

/// From where.
#[derive(Debug, Args)]
pub struct Restore {
    /// A file that `backup` wrote; the machines are taken from FILE.devices only if theirs are gone or damaged. None for PostgreSQL, whose
    /// own tools have put its books back
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// PostgreSQL's own tools have put these books back.
fn taken_up(server: &Server, file: Option<&Path>, json: bool) -> Result<(), Failure> {
    let name = server.name();
    if file.is_some() {
        let how = "put them back with pg_restore, or to a point in time; then run `restore` without a file";
        return Err(Failure::failed(format!("the books are in PostgreSQL ({name}): {how}")));
    }
    let taken = apart(|| {
        postgres::alone(server, true, |tx| {
            // However the books came here, a person says what they are: nobody need be told of it.
            postgres::are_here(tx)?;
            of_a_copy(tx, Told::unknown(clock::now().wall))
        })
    });
    let orders = taken.map_err(Failure::failed)?;
    let mut out = Out::default();
    if json {
        return out.line(&json!({ "books": name, "orders": orders }).to_string());
    }
    out.line(&format!(
        "{name}: {} for a person, since nobody knows what became of them after the copy was made",
        counted(orders, "order")
    ))?;
    out.line("run `reconcile` for each day since then: it takes up what the gateway knows")
}

pub fn run(config: &Config, wanted: Restore) -> Result<(), Failure> {
    let Restore { file, json } = wanted;
    let books = match &config.store {
        StoreLocation::File(path) => path,
        StoreLocation::Server(server) => return taken_up(server, file.as_deref(), json),
    };
    let Some(file) = file else {
        return Err(Failure::usage(format!("{}: name the copy that takes its place: restore FILE", books.display())));
    };
    let Restored { orders, until, aside, missing, changed, has_machines } =
        growing(&copies::part_of(books), size(&file), || restoring::restore(books, &file, clock::now().wall)).map_err(Failure::failed)?;
    let mut out = Out::default();
    if json {
        let lost = |order: &restoring::Changed| json!({ "order_id": order.order_id, "device": order.device, "state": order.state, "amount": order.amount });
        let changed = changed.as_ref().map(|changed| changed.iter().map(lost).collect::<Vec<_>>());
        let object = json!({
            "file": file, "orders": orders, "until": until.map(|at| at.to_rfc3339_wib()), "aside": aside, "missing": missing,
            "changed": changed, "machines": has_machines,
        });
        return out.line(&object.to_string());
    }
    let number = |count: i64| u64::try_from(count).unwrap_or(0);
    out.line(&format!("{}: {}, from {}", books.display(), counted(number(orders), "order"), file.display()))?;
    if has_machines {
        out.line("the machines were gone or damaged, and are from the copy, too: revoke once more whoever was revoked since")?;
    }
    if let Some(aside) = aside {
        out.line(&format!("the books of before are {}", aside.display()))?;
    }
    let Some(until) = until else { return Ok(()) };
    out.line(&format!(
        "it knows nothing that came after {}: at least {} are missing",
        until.to_local_named(config.zone),
        if missing == 1 { "1 entry".into() } else { format!("{missing} entries") }
    ))?;
    match &changed {
        None => out.line("nobody knows of which orders: the books of before are gone or cannot be read")?,
        Some(changed) => {
            for restoring::Changed { order_id, device, state, amount } in changed {
                out.line(&format!("  {order_id}  {device}  Rp{amount}  {state} in the books of before"))?;
            }
        }
    }
    out.line("start `serve`, then run `reconcile` for each day since then: it takes up what the gateway knows")?;
    out.line("tell it once more what only you know: refunds by hand, goods that were handed over, orders that were seen")
}
