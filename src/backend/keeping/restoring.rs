//! Puts a copy of the books in their place, while no `serve` runs. Only this moves their mark back. Nothing is deleted: the books of before
//! stand beside the new ones.

use super::copies::{self, CopyError};
use crate::sale::books::{BooksError, of_a_copy};
use crate::store::{BOOKS, MACHINES, Row, Tx, alone_on, entries, machines_beside, read_on};
use qris_core::order::time::{Told, Wall};
use qris_host::mark::Mark;
use qris_host::sqlite::{self, OpenError, Schema};
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// The result, and what the copy cannot know.
#[derive(Debug)]
pub struct Restored<T> {
    /// Orders in the copy.
    pub orders: i64,
    /// The time of the last entry in the copy.
    pub until: Option<Wall>,
    /// Where the books of before stand now, if there were any.
    pub aside: Option<PathBuf>,
    /// How many entries the books had beyond the copy, as far as anybody has counted.
    pub missing: i64,
    /// The orders that the books of before have in another state than the copy. `None`: they cannot be read.
    pub changed: Option<Vec<Changed>>,
    /// The machines were gone or damaged, so the copy of them was restored, too.
    pub has_machines: bool,
    /// What was done about the people of the desk.
    pub desk: T,
}

type Deed<'a, T> = &'a dyn Fn(&mut dyn Tx) -> Result<T, BooksError>;

/// What is done about the people of the desk, in a transaction of the copy.
pub struct People<'a, T> {
    /// The books of before are attached as `before`. `None`: they do not know these people.
    pub of_before: Deed<'a, Option<T>>,
    /// There are none, or they cannot be read.
    pub anew: Deed<'a, T>,
}

/// An order of the books of before.
#[derive(Debug, PartialEq, Eq)]
pub struct Changed {
    pub order_id: String,
    pub device: String,
    /// Its state in the books of before.
    pub state: String,
    /// Its price, in rupiah.
    pub amount: i64,
    /// The copy does not know it at all.
    pub is_missing: bool,
}

/// Puts the copy `from`, and that of the machines beside it if theirs are not good, in the place of these books. Machines may have
/// begun other tries until `now` that the copy does not know.
///
/// # Errors
/// [`CopyError`]: a `serve` has the books, or the copy is not good. Then nothing was changed.
pub fn restore<T>(books: &Path, from: &Path, now: Wall, of_desk: &People<'_, T>) -> Result<Restored<T>, CopyError> {
    let _alone = sqlite::claim(books)?;
    drop(copies::check(from)?);
    let copy = copies::open(from, &BOOKS)?;
    let of_copy = |source| CopyError::Sqlite { path: from.into(), source };
    let (orders, has) = (number(&copy, "SELECT count(*) FROM orders").map_err(of_copy)?, entries(&copy).map_err(of_copy)?);
    let until: Option<i64> = copy.query_row("SELECT max(at_ms) FROM history", [], |row| row.get(0)).map_err(of_copy)?;
    let had =
        Mark::beside(books).max(sqlite::open_beside(books, &BOOKS, false).ok().and_then(|old| entries(&old.connection).ok()).unwrap_or(0));
    let changed = changed(&copy, books).ok();
    drop(copy);
    let machines = machines_beside(books);
    // Machines that only cannot be opened now may be good: theirs are not replaced.
    let has_machines = match sqlite::open_beside(&machines, &MACHINES, false) {
        Ok(_) => false,
        Err(OpenError::Missing { .. } | OpenError::Damaged { .. }) => true,
        Err(error) => return Err(error.into()),
    };
    if has_machines {
        put(&copies::machines_of(from), &machines, &MACHINES, |_| Ok(()))?;
    }
    let (aside, desk) = put(from, books, &BOOKS, |copy| {
        read_on(copy, |tx| of_a_copy(tx, Told::unknown(now)).map(drop))?;
        people(copy, books, of_desk)
    })?;
    let of_mark = |source| CopyError::Io { path: books.into(), source };
    Mark::open(books).and_then(|mut mark| mark.begin_at(has)).map_err(of_mark)?;
    Ok(Restored { orders, until: until.map(Wall), aside, missing: (had - has).max(0), changed, has_machines, desk })
}

/// The orders that the books of before have, and the copy has not, or as they were earlier.
fn changed(copy: &Connection, books: &Path) -> Result<Vec<Changed>, CopyError> {
    drop(sqlite::open_beside(books, &BOOKS, false)?);
    let of_books = |source| CopyError::Sqlite { path: books.into(), source };
    copy.execute("ATTACH ?1 AS before", [copies::name(books)?]).map_err(of_books)?;
    let sql =
        "SELECT old.order_id, old.device, old.state, old.amount, new.version IS NULL AS is_missing FROM before.orders AS old LEFT JOIN main.orders AS new USING (order_id)
        WHERE new.version IS NULL OR new.version < old.version ORDER BY old.created_ms, old.order_id";
    let rows = read_on(copy, |tx| tx.rows(sql, &[]))?;
    let changed = |row: &Row| {
        Ok(Changed {
            order_id: row.text("order_id")?.into(),
            device: row.text("device")?.into(),
            state: row.text("state")?.into(),
            amount: row.int("amount")?,
            is_missing: row.int("is_missing")? != 0,
        })
    };
    rows.iter().map(changed).collect()
}

fn people<T>(copy: &Connection, books: &Path, of_desk: &People<'_, T>) -> Result<T, CopyError> {
    match of_before(copy, books, of_desk) {
        Ok(Some(done)) => Ok(done),
        Ok(None) | Err(_) => Ok(alone_on(copy, |tx| (of_desk.anew)(tx))?),
    }
}

fn of_before<T>(copy: &Connection, books: &Path, of_desk: &People<'_, T>) -> Result<Option<T>, CopyError> {
    drop(sqlite::open_beside(books, &BOOKS, false)?);
    let of_books = |source| CopyError::Sqlite { path: books.into(), source };
    copy.execute("ATTACH ?1 AS before", [copies::name(books)?]).map_err(of_books)?;
    let done = alone_on(copy, |tx| (of_desk.of_before)(tx));
    copy.execute_batch("DETACH before").map_err(of_books)?;
    Ok(done?)
}

/// Puts a copy in the place of a database, which is set aside, after a `mend`. Answers where that stands now.
fn put<T>(
    from: &Path,
    to: &Path,
    schema: &Schema,
    mend: impl FnOnce(&Connection) -> Result<T, CopyError>,
) -> Result<(Option<PathBuf>, T), CopyError> {
    drop(copies::check(from)?);
    let copy = copies::open(from, schema)?;
    let part = copies::begin_over(to)?;
    copy.execute("VACUUM INTO ?1", [copies::name(&part)?]).map_err(|source| CopyError::Sqlite { path: part.clone(), source })?;
    let mended = mend(&Connection::open(&part).map_err(|source| CopyError::Sqlite { path: part.clone(), source })?)?;
    let io = |source| CopyError::Io { path: to.into(), source };
    let is_there = ["", "-wal", "-shm"].iter().any(|suffix| copies::with_suffix(to, suffix).exists());
    let aside = if is_there { Some(sqlite::move_aside(to, "before").map_err(io)?) } else { None };
    copies::publish(&part, to)?;
    Ok((aside, mended))
}

fn number(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.query_row(sql, [], |row| row.get(0))
}
