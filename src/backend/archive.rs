//! Orders that are over go into a file of their own. First the file is made, checked and named. Only then are orders taken out
//! of the books, and only those whose rows are all in the file as they stand. Wherever this is cut off, each order is in the
//! books or in the file.

use super::books::{self, BooksError};
use super::copies::{self, CopyError};
use super::store::{BOOKS, StoreError, Tx, look};
use qris_core::order::ids::OrderId;
use qris_core::order::time::{Span, Wall};
use qris_host::sqlite;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};
use std::path::Path;

/// Younger orders stay: machines tell an outcome for a day, and the gateway repeats a notification for hours.
pub const KEPT: Span = Span::secs(7 * 24 * 3600);
/// The requests that are taken out in one transaction. A sale waits for this.
const AT_ONCE: usize = 50;
/// How often it waits for another writer.
const TRIES: usize = 60;
/// The tables with rows of an order. A table that refers to others comes first.
const TABLES: [(&str, &str); 5] =
    [("automatic_refunds", "order_id"), ("alerts", "subject"), ("history", "order_id"), ("receipts", "order_id"), ("orders", "order_id")];

/// The fate of the orders before a day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Archive {
    /// Taken out of the books.
    pub orders: u64,
    /// They are in the file, and in the books as well: news of them came meanwhile.
    pub stayed: u64,
    /// They are damaged, and still in the books.
    pub damaged: Vec<String>,
    /// The free room went back to the disk; else new orders use it.
    pub shrunk: bool,
}

/// Takes orders out of the books that are over, and were settled before that moment, or begun before it and never paid. If
/// there are none, no file is made.
///
/// # Errors
/// [`CopyError`]
pub fn archive(books: &Path, before: Wall, to: &Path, now: Wall) -> Result<Archive, CopyError> {
    let of_books = |source| CopyError::Sqlite { path: books.into(), source };
    let mut connection = sqlite::open_beside(books, &BOOKS, false)?.connection;
    let damaged = choose(&connection, before)?;
    let wanted = count(&connection, "temp.wanted").map_err(of_books)?;
    if wanted == 0 {
        return Ok(Archive { damaged, ..Archive::default() });
    }
    let part = copies::begin(to)?;
    let written = write(&connection, &part, wanted).and_then(|()| copies::publish(&part, to));
    if let Err(error) = written {
        copies::abandon(&part);
        return Err(error);
    }
    attach(&connection, to)?;
    let orders = take_out(&mut connection, to, now).map_err(of_books)?;
    connection.execute_batch("DETACH archive").map_err(of_books)?;
    // Beside `serve` this would hold `serve` up for as long as it takes.
    let shrunk = sqlite::claim(books).is_ok_and(|_alone| connection.execute_batch("VACUUM").is_ok());
    Ok(Archive { orders, stayed: wanted - orders, damaged, shrunk })
}

/// Notes in `temp.wanted` which orders go. All attempts at a request go, or none, since the newest one says whether it may be
/// charged once more. Gives the names of unreadable orders, which stay.
fn choose(connection: &Connection, before: Wall) -> Result<Vec<String>, CopyError> {
    let over = |o: &str| {
        format!(
            "{o}.is_open = 0 AND {o}.refund_due = 0 AND {o}.attention = 0 AND {o}.due_ms IS NULL
            AND {o}.state IN ('closed', 'settled', 'withheld', 'refunded') AND coalesce({o}.settled_ms, {o}.created_ms) < ?1
            AND NOT EXISTS (SELECT 1 FROM main.alerts WHERE subject = {o}.order_id AND ended_ms IS NULL)"
        )
    };
    let make = "CREATE TEMP TABLE wanted (order_id TEXT PRIMARY KEY, device TEXT NOT NULL, request_id TEXT NOT NULL) STRICT;
        CREATE INDEX temp.wanted_request ON wanted (device, request_id);";
    let fill = format!(
        "INSERT INTO temp.wanted SELECT order_id, device, request_id FROM main.orders AS o WHERE {} AND NOT EXISTS (
            SELECT 1 FROM main.orders AS n WHERE n.device = o.device AND n.request_id = o.request_id AND NOT ({}))",
        over("o"),
        over("n")
    );
    let sqlite = |error| CopyError::from(StoreError::Sqlite(error));
    connection.execute_batch(make).map_err(sqlite)?;
    connection.execute(&fill, [before.0]).map_err(sqlite)?;
    let mut damaged = Vec::new();
    for name in copies::damaged_orders(connection)? {
        let stays =
            "DELETE FROM temp.wanted WHERE (device, request_id) IN (SELECT device, request_id FROM temp.wanted WHERE order_id = ?1)";
        if connection.execute(stays, [&name]).map_err(sqlite)? > 0 {
            damaged.push(name);
        }
    }
    Ok(damaged)
}

/// Copies them into a file, and checks it.
fn write(connection: &Connection, part: &Path, wanted: u64) -> Result<(), CopyError> {
    let of_part = |source| CopyError::Sqlite { path: part.into(), source };
    // It is one file, without a log beside it.
    let fresh = sqlite::open(part, &BOOKS)?.connection;
    fresh.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())).map_err(of_part)?;
    drop(fresh);
    attach(connection, part)?;
    let copied = || {
        let moment = connection.unchecked_transaction()?;
        for (table, id) in TABLES.iter().rev() {
            let sql = format!("INSERT INTO archive.{table} SELECT * FROM main.{table} WHERE {id} IN (SELECT order_id FROM temp.wanted)");
            moment.execute(&sql, [])?;
        }
        moment.commit()
    };
    copied().map_err(of_part)?;
    connection.execute_batch("DETACH archive").map_err(of_part)?;
    let archive = copies::look_at(part)?;
    let bad = |why: String| CopyError::Bad { path: part.into(), why };
    let damaged = copies::damaged_orders(&archive)?;
    let has = count(&archive, "main.orders").map_err(of_part)?;
    match (has == wanted, damaged.as_slice()) {
        (true, []) => Ok(()),
        (false, _) => Err(bad(format!("it should hold {wanted} orders, and it holds {has}"))),
        (true, damaged) => Err(bad(format!("damaged orders in it: {}", damaged.join(", ")))),
    }
}

fn count(connection: &Connection, table: &str) -> rusqlite::Result<u64> {
    let count: i64 = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn attach(connection: &Connection, file: &Path) -> Result<(), CopyError> {
    let name = copies::name(file)?;
    let attached = connection.execute("ATTACH DATABASE ?1 AS archive", [name]);
    attached.map(drop).map_err(|source| CopyError::Sqlite { path: file.into(), source })
}

/// Takes the orders of the file out of the books, and leaves a guard for each.
fn take_out(connection: &mut Connection, to: &Path, now: Wall) -> rusqlite::Result<u64> {
    let file = std::path::absolute(to).unwrap_or_else(|_| to.into()).display().to_string();
    let mut requests: Vec<(String, String)> = {
        let mut select = connection.prepare("SELECT DISTINCT device, request_id FROM temp.wanted ORDER BY device, request_id")?;
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?
    };
    let (mut archive, mut orders) = (None, 0);
    while !requests.is_empty() {
        let some = requests.split_off(requests.len().saturating_sub(AT_ONCE));
        let transaction = begin(connection)?;
        let archive = match archive {
            Some(archive) => archive,
            None => {
                let insert = "INSERT INTO main.archives (file, at_ms) VALUES (?1, ?2) RETURNING archive";
                *archive.insert(transaction.query_row(insert, params![file, now.0], |row| row.get::<_, i64>(0))?)
            }
        };
        for (device, request) in &some {
            orders += take_out_request(&transaction, device, request, archive)?;
        }
        transaction.commit()?;
    }
    Ok(orders)
}

/// Where much is sold, `serve` has the database most of the time.
fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    for _ in 1..TRIES {
        match connection.execute_batch("BEGIN IMMEDIATE") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
            Err(error) => return Err(error),
            Ok(()) => {
                connection.execute_batch("ROLLBACK")?;
                break;
            }
        }
    }
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Takes out all attempts at a request, if the file has every row of each as it stands. Gives their number.
fn take_out_request(transaction: &Transaction<'_>, device: &str, request: &str, archive: i64) -> rusqlite::Result<u64> {
    let ids: Vec<String> = {
        let mut select = transaction.prepare_cached("SELECT order_id FROM main.orders WHERE device = ?1 AND request_id = ?2")?;
        select.query_map([device, request], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for id in &ids {
        for (table, column) in TABLES {
            let differs = format!(
                "SELECT 1 FROM (SELECT * FROM main.{table} WHERE {column} = ?1 EXCEPT SELECT * FROM archive.{table} WHERE {column} = ?1)"
            );
            if transaction.prepare_cached(&differs)?.exists([id])? {
                return Ok(0);
            }
        }
    }
    for id in &ids {
        let guard = "INSERT INTO main.archived (order_id, device, request_id, ticket, transaction_id, settled_ms, proof, archive)
            SELECT o.order_id, o.device, o.request_id, o.ticket, r.transaction_id, o.settled_ms, o.proof, ?2
            FROM main.orders AS o LEFT JOIN main.receipts AS r ON r.order_id = o.order_id WHERE o.order_id = ?1";
        transaction.prepare_cached(guard)?.execute(params![id, archive])?;
        for (table, column) in TABLES {
            transaction.prepare_cached(&format!("DELETE FROM main.{table} WHERE {column} = ?1"))?.execute([id])?;
        }
    }
    Ok(u64::try_from(ids.len()).unwrap_or(0))
}

/// An order, with the names of its attempts and its history.
pub type Whole = (Vec<OrderId>, Vec<books::HistoryLine>, books::Stored);

/// An order of an archive.
///
/// # Errors
/// [`CopyError`]
pub fn find(archive: &Path, id: &OrderId) -> Result<Option<Whole>, CopyError> {
    Ok(look(&copies::open(archive)?, |tx| whole(tx, id))?)
}

/// An order of the books.
///
/// # Errors
/// The database's.
pub fn whole(tx: &mut dyn Tx, id: &OrderId) -> Result<Option<Whole>, BooksError> {
    let Some(stored) = books::load(tx, id)? else { return Ok(None) };
    let sale = &stored.order.sale;
    let attempts = books::attempts(tx, &sale.device, &sale.request_id)?;
    Ok(Some((attempts, books::history(tx, id)?, stored)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::databases::open_both;

    #[test]
    fn what_changed_since_it_was_copied_stays_in_the_books() {
        let directory = tempfile::tempdir().expect("a directory");
        let (books, part) = (directory.path().join("orders.db"), directory.path().join("archive.db"));
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/databases/1/orders.db");
        std::fs::copy(sample, &books).expect("copied");
        drop(open_both(&books, true, true).expect("brought up to date"));
        let mut connection = sqlite::open_beside(&books, &BOOKS, false).expect("opens").connection;
        connection.execute("UPDATE main.orders SET proof = 'key:' || order_id", []).expect("written");
        assert_eq!(choose(&connection, Wall(i64::MAX)).expect("read"), [""; 0]);
        let wanted = count(&connection, "temp.wanted").expect("read");
        assert!(wanted >= 2, "{wanted}");
        write(&connection, &part, wanted).expect("written");
        // News of one of them comes, and a line of history for another.
        let sql = "UPDATE main.orders SET rev = rev + 1 WHERE order_id = (SELECT min(order_id) FROM temp.wanted)";
        assert_eq!(connection.execute(sql, []).expect("written"), 1);
        let sql = "INSERT INTO main.history (order_id, at_ms, event) SELECT max(order_id), 0, 'something' FROM temp.wanted";
        assert_eq!(connection.execute(sql, []).expect("written"), 1);
        attach(&connection, &part).expect("attached");
        assert_eq!(take_out(&mut connection, &part, Wall(0)).expect("written"), wanted - 2);
        // The number of its ticket stays used for good.
        let kept = "SELECT count(*) FROM main.archived WHERE proof = 'key:' || order_id";
        assert_eq!(u64::try_from(connection.query_row(kept, [], |row| row.get::<_, i64>(0)).expect("read")), Ok(wanted - 2));
        let left = "SELECT count(*) FROM main.orders WHERE order_id IN (SELECT order_id FROM temp.wanted)";
        assert_eq!(connection.query_row(left, [], |row| row.get::<_, i64>(0)).expect("read"), 2);
    }
}
