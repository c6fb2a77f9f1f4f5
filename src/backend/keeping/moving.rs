//! Books and machines go from SQLite to PostgreSQL: every row of one moment, in one transaction, read again and compared before it
//! counts. Nobody may serve from either place meanwhile.

use crate::store::postgres::{self, Server};
use crate::store::{self, BOOKS, MACHINES, Row, SqliteTx, StoreError, Tx, Value, machines_beside, say};
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

/// A table and its key. Whose turn it is to tell or to publish is not copied.
struct Table {
    name: &'static str,
    key: &'static [&'static str],
    of: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Books,
    Machines,
}

/// A table comes after those to which its rows refer, and before those that forbid its rows.
const TABLES: [Table; 25] = [
    books("orders", &["order_id"]),
    books("day_sums", &["until_ms", "from_ms", "grouped"]),
    books("receipts", &["order_id", "try"]),
    books("tries", &["order_id", "try"]),
    books("history", &["seq"]),
    books("outbox", &["seq"]),
    books("alerts", &["subject", "kind"]),
    books("auto_refund", &["one"]),
    books("automatic_refunds", &["order_id"]),
    books("strangers", &["order_id"]),
    books("archives", &["archive"]),
    books("archived", &["order_id"]),
    books("archived_tries", &["order_id", "try"]),
    books("people", &["person"]),
    books("people_invited", &["person", "door"]),
    books("sessions", &["session"]),
    books("desk_devices", &["device_hash"]),
    books("desk_log", &["seq"]),
    machines("devices", &["id"]),
    machines("invitations", &["device"]),
    machines("accounts", &["device"]),
    machines("twins", &["device"]),
    machines("presence", &["device"]),
    machines("stock", &["device"]),
    machines("refused", &["day", "device", "item"]),
];

const fn books(name: &'static str, key: &'static [&'static str]) -> Table {
    Table { name, key, of: Part::Books }
}

const fn machines(name: &'static str, key: &'static [&'static str]) -> Table {
    Table { name, key, of: Part::Machines }
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
    #[error("a row of {0} is not the same in the copy: {1}")]
    Differs(&'static str, String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The rows of each table that were copied.
pub type Counts = Vec<(&'static str, u64)>;

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

/// How far the copy of a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub table: &'static str,
    /// The rows that are read again and compared already, or else written.
    pub rows: u64,
    /// All rows of it.
    pub of: u64,
    pub compares: bool,
}

/// Copies all rows of the books in this file, and of the machines beside it. `says` is told after each page how far it is. Not for the
/// thread of a runtime.
pub fn copy(from: &Path, to: &Server, mut says: impl FnMut(Step)) -> Result<Counts, MoveError> {
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
            if !tx.rows(&format!("SELECT 1 FROM {} LIMIT 1", table.name), &[])?.is_empty() {
                return Err(MoveError::NotEmpty(to.name(), table.name));
            }
        }
        let counts = fill(&mut source, tx, &mut says)?;
        // What is numbered goes on behind the last number.
        let numbered = "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM information_schema.columns
            WHERE is_identity = 'YES' AND table_schema = current_schema()";
        for row in tx.rows(numbered, &[])? {
            let (table, column) = (row.text("table_name")?, row.text("column_name")?);
            let next =
                format!("SELECT setval(pg_get_serial_sequence('{table}', '{column}'), coalesce(max({column}), 0) + 1, false) FROM {table}");
            tx.rows(&next, &[])?;
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
        if Row::number(&tx.rows(others, &[])?)? == 0 {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(MoveError::Busy(server.name()));
        }
        thread::sleep(LOOK);
    }
}

/// Writes every row of the source, and reads it again.
fn fill(source: &mut Source<'_>, target: &mut dyn Tx, says: &mut dyn FnMut(Step)) -> Result<Counts, MoveError> {
    let mut counts = Counts::new();
    for table in &TABLES {
        let all = Row::number(&source.of(table).rows(&format!("SELECT count(*) FROM {}", table.name), &[])?)?;
        let of = u64::try_from(all).unwrap_or(0);
        let (mut behind, mut count) = (None, 0);
        loop {
            says(Step { table: table.name, rows: count, of, compares: false });
            let rows = table.page(source.of(table), behind.as_ref())?;
            for row in &rows {
                store::insert(target, table.name, row.columns())?;
            }
            count += rows.len() as u64;
            behind = rows.into_iter().next_back();
            if behind.is_none() {
                break;
            }
        }
        compare(table, source.of(table), target, &mut |rows| says(Step { table: table.name, rows, of, compares: true }))?;
        counts.push((table.name, count));
    }
    Ok(counts)
}

/// Both have the same rows, each with the same values.
fn compare(table: &Table, source: &mut dyn Tx, target: &mut dyn Tx, says: &mut dyn FnMut(u64)) -> Result<(), MoveError> {
    let (mut behind, mut compared) = (None, 0);
    loop {
        says(compared);
        let (had, has) = (table.page(source, behind.as_ref())?, table.page(target, behind.as_ref())?);
        if had != has {
            let other = had.iter().zip(&has).find(|(had, has)| had != has).map(|(had, _)| format!("{:?}", table.key_of(had)));
            return Err(MoveError::Differs(table.name, other.unwrap_or_else(|| format!("{} rows became {}", had.len(), has.len()))));
        }
        compared += had.len() as u64;
        behind = had.into_iter().next_back();
        if behind.is_none() {
            return Ok(());
        }
    }
}

impl Table {
    /// The next rows behind one, in the order of the key.
    fn page(&self, tx: &mut dyn Tx, behind: Option<&Row>) -> Result<Vec<Row>, StoreError> {
        let (name, keys) = (self.name, self.key.join(", "));
        let limit = Value::Int(PAGE);
        let Some(behind) = behind else { return tx.rows(&format!("SELECT * FROM {name} ORDER BY {keys} LIMIT $1"), &[limit]) };
        let places: Vec<String> = (1..=self.key.len()).map(|number| format!("${number}")).collect();
        let last = self.key.len() + 1;
        let sql = format!("SELECT * FROM {name} WHERE ({keys}) > ({}) ORDER BY {keys} LIMIT ${last}", places.join(", "));
        let mut values = self.key_of(behind);
        values.push(limit);
        tx.rows(&sql, &values)
    }

    fn key_of(&self, row: &Row) -> Vec<Value> {
        row.columns().into_iter().filter(|(name, _)| self.key.contains(name)).map(|(_, value)| value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeping::databases::open_both;
    use std::collections::BTreeSet;

    #[test]
    fn every_table_is_copied_by_its_key_but_whose_turn_it_is_and_the_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = open_both(&directory.path().join("orders.db"), true, true).expect("opens");
        for (connection, of) in [(&open.books, Part::Books), (&open.machines, Part::Machines)] {
            let sql = "SELECT tables.name, group_concat(columns.name, ' ') FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
                WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%' AND tables.name NOT LIKE '%_turn'
                AND tables.name <> 'trusted_time' AND columns.pk > 0
                GROUP BY tables.name";
            let mut statement = connection.prepare(sql).expect("SQL");
            let keys = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
            let there: BTreeSet<(String, String)> = keys.map(|key| key.expect("texts")).collect();
            let copied = TABLES.iter().filter(|table| table.of == of).map(|table| (table.name.to_owned(), table.key.join(" ")));
            assert_eq!(there, copied.collect());
        }
    }

    #[test]
    fn it_says_after_each_page_how_many_rows_are_compared() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = |name: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir(&path).expect("made");
            let machines = open_both(&path.join("orders.db"), true, true).expect("opens").machines;
            for at in 0..=PAGE {
                let device = qris_core::order::ids::DeviceId::new(&format!("vm-{at}")).expect("an id");
                let now = qris_core::order::time::Wall(5);
                store::read_on(&machines, |tx| crate::machines::devices::add(tx, &device, &format!("hash {at}"), false, now))
                    .expect("let in");
            }
            machines
        };
        let (from, to) = (open("from"), open("to"));
        let table = TABLES.iter().find(|table| table.name == "devices").expect("a table");
        let mut said = Vec::new();
        let (mut source, mut target) = (SqliteTx { connection: &from }, SqliteTx { connection: &to });
        compare(table, &mut source, &mut target, &mut |rows| said.push(rows)).expect("they are the same");
        assert_eq!(said, [0, 500, 501]);
    }
}
