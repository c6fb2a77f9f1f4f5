//! `qris-backend restore`: puts a copy of the books in their place, and says what it cannot know.

use super::desk::{links, user};
use super::opening::apart;
use super::print::{Out, counted};
use super::progress::{growing, size};
use crate::config::Config;
use crate::desk::people::{Person, word};
use crate::desk::restored::{self, begin_anew};
use crate::keeping::copies;
use crate::keeping::databases::StoreLocation;
use crate::keeping::restoring::{self, Restored};
use crate::sale::books::{BooksError, of_a_copy};
use crate::store::postgres::{self, Server};
use clap::Args;
use qris_core::order::time::Told;
use qris_host::{Failure, clock};
use serde_json::{Value, json};
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

const RECONCILE: &str = "run `reconcile` for each day since then: it takes up what the gateway knows of the orders of the copy";
/// The gateway is asked about an order by its number, and has no list.
const LOOK_FOR_MISSING: &str =
    "compare each of these days with the gateway's dashboard, and run `reconcile --order ORDER` for each order that is missing here";

/// PostgreSQL's own tools have put these books back.
fn taken_up(config: &Config, server: &Server, file: Option<&Path>, json: bool) -> Result<(), Failure> {
    let name = server.name();
    if file.is_some() {
        let how = "put them back with pg_restore, or to a point in time; then run `restore` without a file";
        return Err(Failure::failed(format!("the books are in PostgreSQL ({name}): {how}")));
    }
    let taken = apart(|| {
        postgres::alone(server, true, |tx| {
            // However the books came here, a person says what they are: nobody need be told of it.
            postgres::are_here(tx)?;
            let orders = of_a_copy(tx, Told::unknown(clock::now().wall))?;
            // No tool of PostgreSQL leaves the books of before.
            Ok::<_, BooksError>((orders, begin_anew(tx, &links(&user()))?))
        })
    });
    let (orders, desk) = taken.map_err(Failure::failed)?;
    let mut out = Out::default();
    if json {
        return out.line(&json!({ "books": name, "orders": orders, "people": people(config, &desk) }).to_string());
    }
    tell_people(&mut out, config, &desk)?;
    out.line(&format!(
        "{name}: {} for a person, since nobody knows what became of them after the copy was made",
        counted(orders, "order")
    ))?;
    out.line(RECONCILE)?;
    out.line(LOOK_FOR_MISSING)
}

/// The people of the desk as an object, with the links of its owners.
fn people(config: &Config, desk: &restored::Restored) -> Value {
    let one = |person: &Person| json!({ "name": person.name, "role": word(person.role), "link": link(config, desk, person) });
    json!({ "of_before": desk.is_of_before, "all": desk.people.iter().map(one).collect::<Vec<_>>() })
}

/// The address by which an owner comes in again.
fn link(config: &Config, desk: &restored::Restored, person: &Person) -> Option<String> {
    let (_, code) = desk.links.iter().find(|(name, _)| *name == person.name)?;
    Some(format!("{}/join/{code}", config.desk.as_ref()?.url.as_ref()?))
}

fn tell_people(out: &mut Out, config: &Config, desk: &restored::Restored) -> Result<(), Failure> {
    if desk.people.is_empty() {
        return Ok(());
    }
    out.line(if desk.is_of_before {
        "the people of the desk are those of the books of before; all must log in again:"
    } else {
        "nobody knows which people of the desk were changed after the copy was made, so all passwords are over. Remove whoever has left, and \
         send everybody a new link: desk list, desk remove NAME, desk link NAME"
    })?;
    for person in &desk.people {
        let link = link(config, desk, person).map_or_else(String::new, |link| format!("  {link}"));
        out.line(&format!("  {}  {}{link}", person.name, word(person.role)))?;
    }
    Ok(())
}

pub fn run(config: &Config, wanted: Restore) -> Result<(), Failure> {
    let Restore { file, json } = wanted;
    let books = match &config.store {
        StoreLocation::File(path) => path,
        StoreLocation::Server(server) => return taken_up(config, server, file.as_deref(), json),
    };
    let Some(file) = file else {
        return Err(Failure::usage(format!("{}: name the copy that takes its place: restore FILE", books.display())));
    };
    let (by, now) = (user(), clock::now().wall);
    let of_desk = restoring::People { of_before: &restored::of_before, anew: &|tx| begin_anew(tx, &links(&by)) };
    let restored = growing(&copies::part_of(books), size(&file), || restoring::restore(books, &file, now, &of_desk));
    let Restored { orders, until, aside, missing, changed, has_machines, desk } = restored.map_err(Failure::failed)?;
    let mut out = Out::default();
    if json {
        let lost = |order: &restoring::Changed| json!({ "order_id": order.order_id, "device": order.device, "state": order.state, "amount": order.amount, "missing": order.is_missing });
        let changed = changed.as_ref().map(|changed| changed.iter().map(lost).collect::<Vec<_>>());
        let object = json!({
            "file": file, "orders": orders, "until": until.map(|at| at.to_rfc3339_wib()), "aside": aside, "missing": missing,
            "changed": changed, "machines": has_machines, "people": people(config, &desk),
        });
        return out.line(&object.to_string());
    }
    let number = |count: i64| u64::try_from(count).unwrap_or(0);
    out.line(&format!("{}: {}, from {}", books.display(), counted(number(orders), "order"), file.display()))?;
    if has_machines {
        out.line("the machines were gone or damaged, and are from the copy, too: revoke once more whoever was revoked since")?;
    }
    tell_people(&mut out, config, &desk)?;
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
            for restoring::Changed { order_id, device, state, amount, is_missing } in changed {
                let missing = if *is_missing { ", and missing in the copy" } else { "" };
                out.line(&format!("  {order_id}  {device}  Rp{amount}  {state} in the books of before{missing}"))?;
            }
        }
    }
    out.line("start `serve`. Then:")?;
    out.line(RECONCILE)?;
    let missing =
        changed.map(|changed| changed.into_iter().filter(|order| order.is_missing).map(|order| order.order_id).collect::<Vec<_>>());
    match missing {
        None => out.line(LOOK_FOR_MISSING)?,
        Some(missing) if missing.is_empty() => {}
        Some(missing) => {
            out.line(&format!("take up the orders that are missing in the copy: `reconcile --order {}`", missing.join(" --order ")))?
        }
    }
    out.line("tell it once more what only you know: refunds by hand, goods that were handed over, orders that were seen")
}
