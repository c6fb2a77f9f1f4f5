//! Orders that are over go into a file of their own. First the file is made, checked and named. Only then are orders taken out
//! of the books, and only those whose rows are all in the file as they stand. Wherever this is cut off, each order is in the
//! books or in the file.

use crate::keeping::copies::{self, CopyError};
use crate::keeping::databases::StoreLocation;
use crate::sale::books::{self, BooksError};
use crate::store::{self, BOOKS, Row, SqliteTx, StoreError, Tx, postgres, read_on, say};
use qris_core::order::ids::OrderId;
use qris_core::order::time::{Span, Wall};
use qris_host::sqlite;
use rusqlite::ErrorCode;
use std::path::Path;

/// Younger orders stay: machines tell an outcome for a day, and the gateway repeats a notification for hours.
pub const KEPT: Span = Span::secs(7 * 24 * 3600);
/// The requests that are read, or taken out, in one transaction. A sale waits for this.
const AT_ONCE: i64 = 50;
/// How often it waits for another writer. Where much is sold, `serve` has a file most of the time.
const TRIES: usize = 60;
/// The tables with rows of an order, and the column that has its name. A table comes behind those to which its rows refer.
const TABLES: [(&str, &str); 6] = [
    ("orders", "order_id"),
    ("receipts", "order_id"),
    ("tries", "order_id"),
    ("history", "order_id"),
    ("alerts", "subject"),
    ("automatic_refunds", "order_id"),
];

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Archive {
    /// Taken out of the books.
    pub orders: u64,
    /// They are in the file, and in the books as well: news of them came meanwhile.
    pub stayed: u64,
    /// They are damaged, and still in the books.
    pub damaged: Vec<String>,
}

/// A request: its machine and its name.
type Key = (String, String);

/// A request with the names and the rows of all its orders, for each table. All attempts go, or none, since the newest one says
/// whether it may be charged once more.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    key: Key,
    orders: Vec<String>,
    rows: Vec<Vec<Row>>,
}

/// Takes orders out of the books that are over, and were settled before that moment, or begun before it and never paid. If
/// there are none, no file is made. Not for the thread of a runtime.
pub fn archive(books: &StoreLocation, before: Wall, to: &Path, now: Wall) -> Result<Archive, CopyError> {
    let (wanted, damaged) = match books {
        StoreLocation::File(path) => {
            let connection = sqlite::open_beside(path, &BOOKS, false)?.connection;
            say(&connection, "BEGIN").map_err(StoreError::Sqlite)?;
            make(&mut SqliteTx { connection: &connection }, before, to)?
        }
        StoreLocation::Server(server) => postgres::alone(server, false, |tx| make(tx, before, to))?,
    };
    let stayed = if wanted > 0 { take_out(books, to, now)? } else { 0 };
    Ok(Archive { orders: wanted - stayed, stayed, damaged })
}

/// Makes the file of what is over, if there is any. Gives the number of orders in it, and the names of unreadable ones, which stay.
fn make(tx: &mut dyn Tx, before: Wall, to: &Path) -> Result<(u64, Vec<String>), CopyError> {
    if over(tx, before, &Key::default())?.last.is_none() {
        return Ok((0, Vec::new()));
    }
    let part = copies::begin(to)?;
    let written = write(tx, before, &part);
    match written {
        Ok((wanted, _)) if wanted > 0 => copies::publish(&part, to)?,
        _ => copies::abandon(&part),
    }
    written
}

/// Copies what is over into a file, and checks it.
fn write(tx: &mut dyn Tx, before: Wall, part: &Path) -> Result<(u64, Vec<String>), CopyError> {
    let of_part = |source| CopyError::Sqlite { path: part.into(), source };
    // It is one file, without a log beside it.
    let connection = sqlite::open(part, &BOOKS)?.connection;
    connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())).map_err(of_part)?;
    say(&connection, "BEGIN").map_err(of_part)?;
    let (mut wanted, mut bad, mut behind) = (0, Vec::new(), Key::default());
    loop {
        let page = over(tx, before, &behind)?;
        for request in &page.requests {
            for ((table, _), rows) in TABLES.iter().zip(&request.rows) {
                for row in rows {
                    store::insert(&mut SqliteTx { connection: &connection }, table, row.columns())?;
                }
            }
            wanted += request.orders.len() as u64;
        }
        bad.extend(page.damaged);
        let Some(last) = page.last else { break };
        behind = last;
    }
    say(&connection, "COMMIT").map_err(of_part)?;
    drop(connection);
    let archive = copies::check(part)?;
    let has = Row::number(&read_on(&archive, |tx| tx.rows("SELECT count(*) FROM orders", &[]))?)?;
    let why = match copies::damaged_orders(&archive)?.as_slice() {
        [] if u64::try_from(has) == Ok(wanted) => return Ok((wanted, bad)),
        [] => format!("it should hold {wanted} orders, and it holds {has}"),
        damaged => format!("damaged orders in it: {}", damaged.join(", ")),
    };
    Err(CopyError::Bad { path: part.into(), why })
}

/// Some requests of which every order is over.
#[derive(Default)]
struct RequestPage {
    requests: Vec<Request>,
    /// Their unreadable orders. Such a request is not among these.
    damaged: Vec<String>,
    /// `None`: there is no other one.
    last: Option<Key>,
}

/// The next ones behind that request.
fn over(tx: &mut dyn Tx, before: Wall, behind: &Key) -> Result<RequestPage, BooksError> {
    const OVER: &str = "SELECT DISTINCT o.device, o.request_id FROM orders AS o
        WHERE (o.device, o.request_id) > ($1, $2) AND coalesce(o.settled_ms, o.created_ms) < $3 AND NOT EXISTS (
            SELECT 1 FROM orders AS n WHERE n.device = o.device AND n.request_id = o.request_id AND NOT (
                n.is_open = 0 AND n.refund_due = 0 AND n.attention = 0 AND n.due_ms IS NULL
                AND coalesce(n.settled_ms, n.created_ms) < $3
                AND NOT EXISTS (SELECT 1 FROM alerts AS a WHERE a.subject = n.order_id AND a.ended_ms IS NULL)))
        ORDER BY o.device, o.request_id LIMIT $4";
    let values = [behind.0.as_str().into(), behind.1.as_str().into(), before.0.into(), AT_ONCE.into()];
    let mut page = RequestPage::default();
    for row in tx.rows(OVER, &values)? {
        let key = key(&row)?;
        let request = read(tx, &key)?;
        let damaged = page.damaged.len();
        for order in &request.orders {
            let id = OrderId::new(order.as_str());
            match id.map(|id| books::load(tx, &id)) {
                Ok(Err(error)) if !error.is_damage() => return Err(error),
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => page.damaged.push(order.clone()),
            }
        }
        if page.damaged.len() == damaged {
            page.requests.push(request);
        }
        page.last = Some(key);
    }
    Ok(page)
}

fn key(row: &Row) -> Result<Key, StoreError> {
    Ok((row.text("device")?.to_owned(), row.text("request_id")?.to_owned()))
}

/// A request as it stands there. Without an order it has no rows.
fn read(tx: &mut dyn Tx, key: &Key) -> Result<Request, StoreError> {
    let sql = "SELECT order_id FROM orders WHERE device = $1 AND request_id = $2 ORDER BY order_id";
    let orders = tx.rows(sql, &[key.0.as_str().into(), key.1.as_str().into()])?;
    let orders = orders.iter().map(|row| row.text("order_id").map(str::to_owned)).collect::<Result<Vec<_>, _>>()?;
    let mut rows = Vec::with_capacity(TABLES.len());
    for (table, column) in TABLES {
        let mut of_table = Vec::new();
        for order in &orders {
            of_table.extend(tx.rows(&format!("SELECT * FROM {table} WHERE {column} = $1 ORDER BY 1, 2"), &[order.as_str().into()])?);
        }
        rows.push(of_table);
    }
    Ok(Request { key: key.clone(), orders, rows })
}

/// Takes the orders of the file out of the books, and leaves a guard for each. Gives the number of those that stayed.
fn take_out(books: &StoreLocation, to: &Path, now: Wall) -> Result<u64, CopyError> {
    let file = std::path::absolute(to).unwrap_or_else(|_| to.into()).display().to_string();
    let archive = copies::check(to)?;
    let all = "SELECT DISTINCT device, request_id FROM orders WHERE (device, request_id) > ($1, $2) ORDER BY device, request_id LIMIT $3";
    let (mut number, mut stayed, mut behind) = (None, 0, Key::default());
    loop {
        let some = read_on(&archive, |tx| {
            let keys = tx.rows(all, &[behind.0.as_str().into(), behind.1.as_str().into(), AT_ONCE.into()])?;
            keys.iter().map(|row| read(tx, &key(row)?)).collect::<Result<Vec<_>, _>>()
        })?;
        let Some(last) = some.last() else { return Ok(stayed) };
        behind = last.key.clone();
        let mut take = |tx: &mut dyn Tx| take_out_some(tx, &file, number, &some, now);
        let (is, left) = match books {
            StoreLocation::File(path) => beside(path, &mut take)?,
            StoreLocation::Server(server) => postgres::alone(server, true, take)?,
        };
        number = Some(is);
        stayed += left;
    }
}

/// One transaction on a file, beside `serve`.
fn beside<T>(path: &Path, job: &mut dyn FnMut(&mut dyn Tx) -> Result<T, StoreError>) -> Result<T, CopyError> {
    let connection = sqlite::open_beside(path, &BOOKS, false)?.connection;
    let of_books = |source| CopyError::Sqlite { path: path.into(), source };
    let mut tries = 1;
    loop {
        match say(&connection, "BEGIN IMMEDIATE") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && tries < TRIES => tries += 1,
            begun => break begun.map_err(of_books)?,
        }
    }
    let done = job(&mut SqliteTx { connection: &connection })?;
    say(&connection, "COMMIT").map_err(of_books)?;
    Ok(done)
}

/// Gives the number of the archive in the books, and how many orders stayed.
fn take_out_some(tx: &mut dyn Tx, file: &str, archive: Option<i64>, some: &[Request], now: Wall) -> Result<(i64, u64), StoreError> {
    let archive = match archive {
        Some(archive) => archive,
        None => {
            let insert = "INSERT INTO archives (file, at_ms) VALUES ($1, $2) RETURNING archive";
            Row::number(&tx.rows(insert, &[file.into(), now.into()])?)?
        }
    };
    let mut stayed = 0;
    for request in some {
        let here = read(tx, &request.key)?;
        if here != *request {
            stayed += here.orders.len() as u64;
            continue;
        }
        for order in &request.orders {
            let guard = "INSERT INTO archived (order_id, device, request_id, ticket, transaction_id, settled_ms, proof, archive)
                SELECT o.order_id, o.device, o.request_id, o.ticket, r.transaction_id, o.settled_ms, o.proof, CAST($1 AS BIGINT)
                FROM orders AS o LEFT JOIN receipts AS r ON r.order_id = o.order_id AND r.try = 1 WHERE o.order_id = $2";
            tx.rows(guard, &[archive.into(), order.as_str().into()])?;
            let guard = "INSERT INTO archived_tries (order_id, try, device, ticket, proof_before)
                SELECT order_id, try, device, ticket, proof_before FROM tries WHERE order_id = $1";
            tx.rows(guard, &[order.as_str().into()])?;
            for (table, column) in TABLES.iter().rev() {
                tx.rows(&format!("DELETE FROM {table} WHERE {column} = $1"), &[order.as_str().into()])?;
            }
        }
    }
    Ok((archive, stayed))
}

/// An order, with the names of its attempts and its history.
pub type Whole = (Vec<OrderId>, Vec<books::HistoryLine>, books::Stored);

pub fn look_into<T>(archive: &Path, look: impl FnOnce(&mut dyn Tx) -> Result<T, BooksError>) -> Result<T, CopyError> {
    Ok(read_on(&copies::open(archive, &BOOKS)?, look)?)
}

pub fn whole(tx: &mut dyn Tx, id: &OrderId) -> Result<Option<Whole>, BooksError> {
    let Some(stored) = books::load(tx, id)? else { return Ok(None) };
    let sale = &stored.order.sale;
    let attempts = books::attempts(tx, &sale.device, &sale.purchase.request_id)?;
    Ok(Some((attempts, books::history(tx, id)?, stored)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sale::books::testing::sell;

    #[test]
    fn what_changed_since_it_was_copied_stays_in_the_books() {
        let directory = tempfile::tempdir().expect("a directory");
        let (books, part) = (directory.path().join("orders.db"), directory.path().join("archive.db"));
        let connection = sqlite::open(&books, &BOOKS).expect("new").connection;
        sell(&mut SqliteTx { connection: &connection }, Wall(0));
        let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("read") as u64;
        let (wanted, damaged) = write(&mut SqliteTx { connection: &connection }, Wall(i64::MAX), &part).expect("written");
        assert!(wanted == 3 && damaged.is_empty(), "{wanted} {damaged:?}");
        // News of one of them comes, and a line of history for another.
        connection.execute("ATTACH DATABASE ?1 AS archive", [part.to_str().expect("text")]).expect("attached");
        let sql = "UPDATE main.orders SET rev = rev + 1 WHERE order_id = (SELECT min(order_id) FROM archive.orders)";
        assert_eq!(connection.execute(sql, []).expect("written"), 1);
        let sql = "INSERT INTO main.history (order_id, at_ms, event) SELECT max(order_id), 0, 'something' FROM archive.orders";
        assert_eq!(connection.execute(sql, []).expect("written"), 1);
        connection.execute("DETACH archive", []).expect("detached");
        assert_eq!(take_out(&StoreLocation::File(books), &part, Wall(0)).expect("written"), 2);
        // The number of its ticket stays used for good.
        assert_eq!(count("SELECT count(*) FROM archived WHERE proof IS NOT NULL"), wanted - 2);
        connection.execute("ATTACH DATABASE ?1 AS archive", [part.to_str().expect("text")]).expect("attached");
        assert_eq!(count("SELECT count(*) FROM main.orders WHERE order_id IN (SELECT order_id FROM archive.orders)"), 2);
    }
}
