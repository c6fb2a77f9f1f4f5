//! Databases of earlier releases, in `tests/databases/VERSION`, each with five sales of the demo. This release goes on with them,
//! whenever the power goes.

use super::{Disk, Op, Trouble};
use crate::backend::run;
use qris_backend::databases::open_both;
use qris_backend::store::{MACHINES_FILE, look};
use qris_backend::{books, devices};
use qris_core::order::ids::OrderId;
use qris_core::order::time::{BootId, Wall};
use qris_device::store::database::Database;
use qris_relay::store::database::Database as Ledger;
use rusqlite::Connection;
use rusqlite::types::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A database's name, the files that belong to it, another database that its program has now, and the way to open them. Every row
/// is looked at.
type Program = (&'static str, &'static [&'static str], Option<&'static str>, fn(&Path) -> Result<(), String>);

const PROGRAMS: [Program; 3] =
    [("qrisd.db", &[], None, machine), ("ledger.db", &["ledger.db.mark"], None, ledger), ("orders.db", &[], Some(MACHINES_FILE), merchant)];

fn machine(path: &Path) -> Result<(), String> {
    let opened = Database::open(path, &BootId("another".into()), true).map_err(|error| error.to_string())?;
    opened.set_aside.map_or(Ok(()), |aside| Err(format!("set aside as {}", aside.display())))
}

fn ledger(path: &Path) -> Result<(), String> {
    let found = Ledger::open(path, &|_| false, &mut qris_host::random::fill).map_err(|error| error.to_string())?;
    found.set_aside.map_or(Ok(()), |aside| Err(format!("set aside as {}", aside.display())))
}

fn merchant(path: &Path) -> Result<(), String> {
    let both = open_both(path, true, true).map_err(|error| error.to_string())?;
    if !both.set_aside.is_empty() {
        return Err(format!("set aside: {:?}", both.set_aside));
    }
    let listed = look(&both.machines, devices::list).map_err(|error| error.to_string())?;
    if !listed.damaged.is_empty() {
        return Err(format!("damaged: {:?}", listed.damaged));
    }
    let all = look(&both.books, |tx| {
        let rows = tx.rows("SELECT order_id FROM orders", &[])?;
        let ids = rows.iter().map(|row| Ok(OrderId::new(row.text(0)?).expect("an id"))).collect::<Result<Vec<_>, books::BooksError>>()?;
        ids.iter().map(|id| books::load(tx, id)).collect::<Result<Vec<_>, _>>()
    });
    all.map(drop).map_err(|error: books::BooksError| error.to_string())
}

/// Each table's rows, as its columns and values.
type Content = BTreeMap<String, Vec<BTreeMap<String, String>>>;

/// The contents of a program's databases.
fn content(directory: &Path, program: &Program) -> Content {
    let names = [Some(program.0), program.2];
    let paths = names.into_iter().flatten().map(|name| directory.join(name)).filter(|path| path.exists());
    paths.flat_map(|path| tables(&path)).collect()
}

fn tables(path: &Path) -> Content {
    let connection = Connection::open(path).expect("opens");
    let mut tables =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'").expect("a schema");
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).expect("names").map(|name| name.expect("a name")).collect();
    let rows_of = |table: &str| {
        let mut select = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).expect("a table");
        let names: Vec<String> = select.column_names().map(str::to_owned).collect();
        let row = |row: &rusqlite::Row<'_>| {
            names.iter().enumerate().map(|(at, name)| Ok((name.clone(), format!("{:?}", row.get::<_, Value>(at)?)))).collect()
        };
        select.query_map([], row).expect("rows").map(|row| row.expect("a row")).collect()
    };
    tables.into_iter().map(|table| (table.clone(), rows_of(&table))).collect()
}

/// The rows of the one that are missing in the other. At its start a program may write notes of its own.
fn missing(before: &Content, after: &Content) -> Vec<String> {
    let has =
        |row: &BTreeMap<String, String>, other: &BTreeMap<String, String>| row.iter().all(|(name, value)| other.get(name) == Some(value));
    let of_table = |(table, rows): (&String, &Vec<BTreeMap<String, String>>)| {
        let others = after.get(table).cloned().unwrap_or_default();
        let lost: Vec<_> = rows.iter().filter(|row| !others.iter().any(|other| has(row, other))).collect();
        lost.into_iter().map(|row| format!("{table}: {row:?}")).collect::<Vec<_>>()
    };
    before.iter().filter(|(table, _)| *table != "facts").flat_map(of_table).collect()
}

/// The directories of all earlier versions.
fn releases() -> Vec<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/databases");
    let found: Vec<_> = std::fs::read_dir(place).expect("there").map(|entry| entry.expect("an entry").path()).collect();
    assert!(!found.is_empty());
    found
}

/// A copy of a release's database, on a disk that can be told to fail.
fn copy(release: &Path, program: &Program) -> (tempfile::TempDir, Disk, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    for name in [program.0].iter().chain(program.1) {
        std::fs::copy(release.join(name), directory.path().join(name)).expect("copied");
    }
    let disk = Disk::at(directory.path()).expect("a disk");
    let path = directory.path().join(program.0);
    (directory, disk, path)
}

#[test]
fn a_database_of_each_release_is_taken_up_with_all_that_is_in_it() {
    for release in releases() {
        for program in &PROGRAMS {
            let (_directory, _disk, path) = copy(&release, program);
            let before = content(&release, program);
            assert!(before.values().map(Vec::len).sum::<usize>() > 5, "{}: there is something to lose", program.0);
            (program.3)(&path).unwrap_or_else(|why| panic!("{}: {why}", program.0));
            assert_eq!(missing(&before, &content(path.parent().expect("a directory"), program)), [""; 0], "{}", program.0);
        }
    }
}

#[test]
fn an_update_that_is_cut_off_anywhere_is_finished_at_the_next_start() {
    for release in releases() {
        for program in &PROGRAMS {
            let before = content(&release, program);
            let databases: Vec<&str> = [Some(program.0), program.2].into_iter().flatten().collect();
            let mut cut = 0;
            let places = databases.iter().flat_map(|name| [Op::Write, Op::Commit, Op::Sync].map(|op| (*name, op)));
            for (name, op) in places {
                for nth in 1.. {
                    let (_directory, disk, path) = copy(&release, program);
                    disk.fail(name, op, nth, Trouble::Dies);
                    let first = (program.3)(&path);
                    if disk.struck() == 0 {
                        first.unwrap_or_else(|why| panic!("{}: {why}", program.0));
                        break;
                    }
                    cut += 1;
                    disk.power_cut(&databases, nth).expect("written");
                    disk.forgive();
                    disk.revive(name);
                    let what = format!("{name}, {} {nth}", op.word());
                    (program.3)(&path).unwrap_or_else(|why| panic!("{what}: {why}"));
                    assert_eq!(missing(&before, &content(path.parent().expect("a directory"), program)), [""; 0], "{what}");
                }
            }
            println!("{}: cut off at {cut} places", program.0);
            assert!(cut > 2, "{}: {cut}", program.0);
        }
    }
}

#[test]
fn a_machine_that_was_revoked_does_not_come_back_with_the_books_of_an_earlier_release() {
    let release = releases().remove(0);
    let (_directory, _disk, path) = copy(&release, &PROGRAMS[2]);
    let machines = || open_both(&path, true, true).expect("opens").machines;
    let list = || look(&machines(), devices::list).expect("read").machines;
    let before = list();
    assert!(!before.is_empty() && before.iter().all(|device| device.revoked.is_none()), "{before:?}");
    let id = before[0].id.clone();
    assert!(run(&machines(), |tx| devices::revoke(tx, &id, Wall(1))).expect("written"));
    // The power went after the machines were copied and before they left the books; or a backup from that time is put back.
    std::fs::copy(release.join("orders.db"), &path).expect("copied");
    let after = list();
    assert_eq!(after.iter().map(|device| device.revoked).collect::<Vec<_>>()[0], Some(Wall(1)), "{after:?}");
    assert_eq!(after.len(), before.len());
}
