//! Books and machines go from SQLite to PostgreSQL: every row of one moment, in one transaction, read again and compared before it
//! counts. Nobody may serve from either place meanwhile.

use super::store::postgres::{self, Server};
use super::store::{BOOKS, MACHINES, Row, SqliteTx, StoreError, Tx, Value, machines_beside, say};
use qris_host::sqlite;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The rows that are read together.
const PAGE: i64 = 500;
/// A connection of a process that has just ended is still there for a moment.
const ENDS: Duration = Duration::from_secs(2);
/// It is looked for this often.
const LOOK: Duration = Duration::from_millis(50);

/// A table, its columns, and how many of the first ones are its key. Whose turn it is to tell or to publish is not copied.
struct Table {
    name: &'static str,
    key: usize,
    columns: &'static str,
    of: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Books,
    Machines,
}

/// A table comes after those to which its rows refer, and before those that forbid its rows.
const TABLES: [Table; 13] = [
    books(
        "orders",
        1,
        "order_id, device, request_id, attempt, digest, ticket, item, amount, payment, state, body, rev, version, due_ms, \
        claimed_until_ms, created_ms, settled_ms, delivery, is_open, refund_due, attention, sum, proof",
    ),
    books("receipts", 1, "order_id, device, request_id, transaction_id, jws"),
    books("history", 1, "seq, order_id, at_ms, event"),
    books("outbox", 1, "seq, topic, payload, created_ms"),
    books("alerts", 2, "subject, kind, device, since_ms, ended_ms, tries, next_ms, told_ms, taken"),
    books("automatic_refunds", 1, "order_id, device, asked_ms"),
    books("strangers", 1, "order_id, since_ms, due_ms, tries"),
    books("archives", 1, "archive, file, at_ms"),
    books("archived", 1, "order_id, device, request_id, ticket, transaction_id, settled_ms, archive, proof"),
    machines("devices", 1, "id, token_hash, added_ms, revoked_ms, relay_key, relay_key_ms, relay_key_by, other_key, other_key_ms, sum"),
    machines("invitations", 1, "device, code_hash, until_ms, terms, token_hash, used_ms"),
    machines("accounts", 1, "device, ended_ms"),
    machines("twins", 1, "device, known, sum"),
];

const fn books(name: &'static str, key: usize, columns: &'static str) -> Table {
    Table { name, key, columns, of: Part::Books }
}

const fn machines(name: &'static str, key: usize, columns: &'static str) -> Table {
    Table { name, key, columns, of: Part::Machines }
}

/// The columns of a table of the books or the machines.
pub(super) fn columns(table: &str) -> &'static str {
    TABLES.iter().find(|known| known.name == table).expect("a table of these").columns
}

/// Why nothing was copied. The target is as it was.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// Rows would be written meanwhile, and lost.
    #[error("something works with {0}: stop every `serve` there, and wait for commands to end")]
    Busy(String),
    /// Two sets of books do not become one.
    #[error("{0} has rows already ({1}): name a database without any")]
    NotEmpty(String, &'static str),
    /// A row is not as it was in the source.
    #[error("a row of {0} is not the same in the copy: {1}")]
    Differs(&'static str, String),
    /// A database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The rows of each table that were copied.
pub type Counts = Vec<(&'static str, u64)>;

/// The two databases that are read.
struct Source<'a> {
    books: SqliteTx<'a>,
    machines: SqliteTx<'a>,
}

impl<'a> Source<'a> {
    fn of(&mut self, table: &Table) -> &mut SqliteTx<'a> {
        match table.of {
            Part::Books => &mut self.books,
            Part::Machines => &mut self.machines,
        }
    }
}

/// Copies all rows of the books in this file, and of the machines beside it. `begins` is told each table that begins. Not for the
/// thread of a runtime.
///
/// # Errors
/// [`MoveError`]
pub fn copy(from: &Path, to: &Server, mut begins: impl FnMut(&'static str)) -> Result<Counts, MoveError> {
    let beside = machines_beside(from);
    let _alone = [claim(from)?, claim(&beside)?];
    let open = |path, schema| {
        let connection = sqlite::open_beside(path, schema, false).map_err(StoreError::from)?.connection;
        say(&connection, "BEGIN").map_err(StoreError::Sqlite)?;
        Ok::<_, StoreError>(connection)
    };
    let (books, machines) = (open(from, &BOOKS)?, open(&beside, &MACHINES)?);
    let mut source = Source { books: SqliteTx { connection: &books }, machines: SqliteTx { connection: &machines } };
    postgres::alone(to, true, |tx| {
        refuse_if_busy(tx, to)?;
        for table in &TABLES {
            if !tx.rows(text(format!("SELECT 1 FROM {} LIMIT 1", table.name)), &[])?.is_empty() {
                return Err(MoveError::NotEmpty(to.name(), table.name));
            }
        }
        let counts = fill(&mut source, tx, &mut begins)?;
        // What is numbered goes on behind the last number.
        for (table, column) in [("history", "seq"), ("outbox", "seq"), ("archives", "archive")] {
            let next =
                format!("SELECT setval(pg_get_serial_sequence('{table}', '{column}'), coalesce(max({column}), 0) + 1, false) FROM {table}");
            tx.rows(text(next), &[])?;
        }
        Ok(counts)
    })
}

/// Nobody may serve from it meanwhile.
fn claim(path: &Path) -> Result<sqlite::Lock, MoveError> {
    sqlite::claim(path).map_err(|error| match error {
        sqlite::OpenError::Held { path } => MoveError::Busy(path.display().to_string()),
        error => StoreError::from(error).into(),
    })
}

fn refuse_if_busy(tx: &mut dyn Tx, server: &Server) -> Result<(), MoveError> {
    let others = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'qris-backend' AND pid <> pg_backend_pid()";
    let end = Instant::now() + ENDS;
    loop {
        // It would answer the same within a transaction.
        tx.rows("SELECT 1 FROM pg_stat_clear_snapshot()", &[])?;
        if tx.rows(others, &[])?.first().map_or(Ok(0), |row| row.int(0))? == 0 {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(MoveError::Busy(server.name()));
        }
        thread::sleep(LOOK);
    }
}

/// Writes every row of the source, and reads it again.
fn fill(source: &mut Source<'_>, target: &mut dyn Tx, begins: &mut dyn FnMut(&'static str)) -> Result<Counts, MoveError> {
    let mut counts = Counts::new();
    for table in &TABLES {
        begins(table.name);
        let places: Vec<String> = (1..=table.columns.split(", ").count()).map(|number| format!("${number}")).collect();
        let insert = text(format!("INSERT INTO {} ({}) VALUES ({})", table.name, table.columns, places.join(", ")));
        let pages = Pages::of(table);
        let (mut behind, mut count) = (None, 0);
        loop {
            let rows = pages.read(source.of(table), behind.as_ref())?;
            for row in &rows {
                target.rows(insert, row.values())?;
            }
            count += rows.len() as u64;
            behind = rows.into_iter().next_back();
            if behind.is_none() {
                break;
            }
        }
        compare(table, &pages, source.of(table), target)?;
        counts.push((table.name, count));
    }
    Ok(counts)
}

/// Both have the same rows, each with the same values.
fn compare(table: &Table, pages: &Pages, source: &mut dyn Tx, target: &mut dyn Tx) -> Result<(), MoveError> {
    let mut behind = None;
    loop {
        let (had, has) = (pages.read(source, behind.as_ref())?, pages.read(target, behind.as_ref())?);
        if had != has {
            let key = |row: &Row| format!("{:?}", &row.values()[..table.key]);
            let other = had.iter().zip(&has).find(|(had, has)| had != has).map(|(had, _)| key(had));
            return Err(MoveError::Differs(table.name, other.unwrap_or_else(|| format!("{} rows became {}", had.len(), has.len()))));
        }
        behind = had.into_iter().next_back();
        if behind.is_none() {
            return Ok(());
        }
    }
}

/// How a table is read, a page at a time, in the order of its key.
struct Pages {
    first: &'static str,
    next: &'static str,
    key: usize,
}

impl Pages {
    fn of(table: &Table) -> Self {
        let Table { name, key, columns, .. } = table;
        let keys: Vec<&str> = columns.split(", ").take(*key).collect();
        let keys = keys.join(", ");
        let places: Vec<String> = (1..=*key).map(|number| format!("${number}")).collect();
        Self {
            first: text(format!("SELECT {columns} FROM {name} ORDER BY {keys} LIMIT $1")),
            next: text(format!("SELECT {columns} FROM {name} WHERE ({keys}) > ({}) ORDER BY {keys} LIMIT ${}", places.join(", "), key + 1)),
            key: *key,
        }
    }

    fn read(&self, tx: &mut dyn Tx, behind: Option<&Row>) -> Result<Vec<Row>, StoreError> {
        let limit = Value::Int(PAGE);
        match behind {
            None => tx.rows(self.first, &[limit]),
            Some(row) => tx.rows(self.next, &[&row.values()[..self.key], &[limit]].concat()),
        }
    }
}

/// Statements live as long as the program: there are a few for each table, once.
fn text(sql: String) -> &'static str {
    sql.leak()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::databases::open_both;
    use std::collections::BTreeSet;

    #[test]
    fn every_column_of_every_table_is_copied_but_whose_turn_it_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = open_both(&directory.path().join("orders.db"), true, true).expect("opens");
        for (connection, of) in [(&open.books, Part::Books), (&open.machines, Part::Machines)] {
            let sql = "SELECT tables.name || '.' || columns.name FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
                WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%' AND tables.name NOT LIKE '%_turn'";
            let mut statement = connection.prepare(sql).expect("SQL");
            let there: BTreeSet<String> =
                statement.query_map([], |row| row.get(0)).expect("rows").map(|name| name.expect("text")).collect();
            let of_it = TABLES.iter().filter(|table| table.of == of);
            let copied: BTreeSet<String> =
                of_it.flat_map(|table| table.columns.split(", ").map(move |column| format!("{}.{column}", table.name))).collect();
            assert_eq!(there, copied);
        }
    }
}
