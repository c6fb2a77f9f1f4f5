//! Orders go from the books into a file. If the power goes meanwhile, each order is in one of the two, unchanged, and a second try
//! finishes the move.

use super::{Disk, Op, Trouble};
use crate::backend::run;
use qris_backend::keeping::archive::{archive, look_into, whole};
use qris_backend::keeping::databases::{StoreLocation, open_both};
use qris_backend::sale::books::testing::sell;
use qris_backend::sale::books::{self, BooksError, Stored};
use qris_backend::store::read_on;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::next_deadline;
use qris_core::order::time::Wall;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const FILES: [&str; 3] = ["orders.db", "archive.db.part", "archive.db"];
const NOW: Wall = Wall(1_795_161_600_000);
const ALL: Wall = Wall(i64::MAX);

/// The books of five sales.
fn template() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let books = open_both(&directory.path().join("orders.db"), true, true).expect("opens").books;
    let sold = run(&books, |tx| {
        sell(tx, NOW);
        Ok::<_, BooksError>(())
    });
    sold.expect("sold");
    directory
}

fn copy(template: &Path) -> (tempfile::TempDir, Disk, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::copy(template.join("orders.db"), directory.path().join("orders.db")).expect("copied");
    let disk = Disk::at(directory.path()).expect("a disk");
    let path = directory.path().join("orders.db");
    (directory, disk, path)
}

fn books(path: &Path) -> Connection {
    let both = open_both(path, true, true).expect("opens");
    assert!(both.set_aside.is_empty(), "{:?}", both.set_aside);
    both.books
}

fn orders(connection: &Connection) -> BTreeMap<OrderId, Stored> {
    let all = read_on(connection, |tx| {
        let rows = tx.rows("SELECT order_id FROM orders", &[])?;
        let ids: Vec<OrderId> = rows.iter().map(|row| OrderId::new(row.text("order_id").expect("text")).expect("an id")).collect();
        ids.into_iter().map(|id| Ok((id.clone(), books::load(tx, &id)?.expect("there")))).collect()
    });
    all.map_err(|error: BooksError| error.to_string()).expect("read")
}

fn archived(connection: &Connection, id: &OrderId) -> bool {
    read_on(connection, |tx| books::archived(tx, id)).expect("read").is_some()
}

#[test]
fn what_is_over_goes_with_all_its_rows_and_what_is_not_stays() {
    let template = template();
    let (directory, _disk, path) = copy(template.path());
    let before = orders(&books(&path));
    let lines = |id: &OrderId| read_on(&books(&path), |tx| books::history(tx, id)).expect("read");
    let histories: BTreeMap<_, _> = before.keys().map(|id| (id.clone(), lines(id))).collect();
    let file = directory.path().join("archive.db");
    let none = archive(&StoreLocation::File(path.clone()), Wall(0), &file, NOW).expect("read");
    assert!(none.orders == 0 && !file.exists(), "{none:?}");
    let over = |stored: &Stored| {
        let order = &stored.order;
        !order.is_open() && !order.is_refund_due() && !order.needs_attention() && next_deadline(order).is_none()
    };
    let done = archive(&StoreLocation::File(path.clone()), ALL, &file, NOW).expect("archived");
    let gone = before.values().filter(|stored| over(stored)).count() as u64;
    assert!(gone > 0, "{before:#?}");
    assert_eq!((done.orders, done.stayed, done.damaged.len()), (gone, 0, 0));
    let direct = books(&path);
    let after = orders(&direct);
    for (id, stored) in &before {
        assert_eq!(over(stored), archived(&direct, id), "{id}");
        assert_eq!(over(stored), !after.contains_key(id), "{id}");
        if over(stored) {
            let (attempts, history, there) = look_into(&file, |tx| whole(tx, id)).expect("read").expect("there");
            assert_eq!((&there, &history), (stored, &histories[id]));
            assert!(attempts.contains(id));
        }
    }
    // Nothing comes back, and no guard changes.
    let id = before.iter().find(|(_, stored)| over(stored)).expect("one").0.clone();
    let harm =
        ["DELETE FROM archived", "UPDATE archived SET ticket = 'x'", "DELETE FROM orders", "DELETE FROM history", "DELETE FROM receipts"];
    for sql in harm {
        let done = run(&direct, |tx| Ok::<_, BooksError>(tx.rows(sql, &[])?.len()));
        assert!(done.is_err(), "{sql}: {done:?}");
    }
    assert!(archived(&direct, &id));
}

#[test]
fn wherever_it_is_cut_off_an_order_is_in_one_of_the_two() {
    let template = template();
    let mut cut = 0;
    for (name, op) in FILES.iter().flat_map(|name| [Op::Write, Op::Commit, Op::Sync, Op::Delete].map(|op| (*name, op))) {
        // Every third of the many writes. The disk may keep any part of a commit.
        let (every, seeds) = if op == Op::Write { (3, 1) } else { (1, 6) };
        for (nth, seed) in (1..).step_by(every).flat_map(|nth| (0..seeds).map(move |seed| (nth, seed))) {
            let (directory, disk, path) = copy(template.path());
            let before = orders(&books(&path));
            let file = directory.path().join("archive.db");
            disk.fail(name, op, nth, Trouble::Dies);
            let first = archive(&StoreLocation::File(path.clone()), ALL, &file, NOW);
            let what = format!("{name}, {} {nth}, seed {seed}: {first:?}", op.word());
            if disk.struck() == 0 {
                first.unwrap_or_else(|why| panic!("{what}: {why}"));
                break;
            }
            cut += 1;
            disk.power_cut(&FILES, nth + 100 * seed).expect("written");
            disk.forgive();
            FILES.iter().for_each(|name| disk.revive(name));
            let direct = books(&path);
            let here = orders(&direct);
            let in_file = |file: &Path, id: &OrderId| look_into(file, |tx| whole(tx, id)).ok().flatten().map(|(_, _, stored)| stored);
            for (id, stored) in &before {
                let there = in_file(&file, id);
                assert!(here.get(id) == Some(stored) || there.as_ref() == Some(stored), "{id} is lost: {what}");
                assert_eq!(!here.contains_key(id), archived(&direct, id), "{id}: {what}");
            }
            drop(direct);
            // A person who tries again names another file if there is one.
            let again = directory.path().join("again.db");
            archive(&StoreLocation::File(path.clone()), ALL, &again, NOW).unwrap_or_else(|why| panic!("{what}: {why}"));
            let direct = books(&path);
            for (id, stored) in before {
                let there = in_file(&file, &id).or_else(|| in_file(&again, &id));
                assert_eq!(archived(&direct, &id), there.is_some_and(|there| there == stored), "{id}: {what}");
            }
        }
    }
    println!("cut off at {cut} places");
    assert!(cut > 20, "{cut}");
}
