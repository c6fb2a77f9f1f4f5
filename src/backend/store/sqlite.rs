//! The books and the machines in SQLite, a file for each. A file has two connections: one writes, one reads. Each has a thread of
//! its own.
//!
//! Short commands (`device add`, `refund`) write beside `serve`, and a second `serve` may do so; see [`Store::open_beside`].

use super::{GROUP_MAX, Job, Queue, Row, Runner, Store, StoreError, Tx, Value};
use qris_host::mark::Mark;
use qris_host::sqlite::{self, OpenFiles, Schema};
use rusqlite::types::{Null, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The mark of the books is written no more often than this. The loss of what is newer is not noticed by it.
const MARK_EVERY: Duration = Duration::from_secs(10);
/// The reader checks its files no more often than this.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// The writer's settings. They differ from those of a machine, which sells once a minute. Orders that follow each other
/// write the same pages. So the log may grow longer before it is copied back (in pages of 1 KiB): copying costs two
/// fsyncs, and everybody waits for it. Afterwards the file of the log keeps its size (in bytes).
const WRITER: [(&str, i64); 2] = [("wal_autocheckpoint", 8192), ("journal_size_limit", 32 << 20)];
pub const BOOKS: Schema = Schema { application_id: 0x7172_6201, steps: &[include_str!("../schema/books/1.sql")], adding: &[] };
pub const MACHINES: Schema = Schema { application_id: 0x7172_6402, steps: &[include_str!("../schema/devices/1.sql")], adding: &[] };
/// The number of entries that the books ever had, also those that are archived. Their mark counts them.
pub const ENTRIES: &str = "SELECT coalesce(max(seq), 0) AS entries FROM sqlite_sequence WHERE name = 'history'";
/// Their file, in the directory of the books.
pub const MACHINES_FILE: &str = "devices.db";

#[derive(Debug)]
struct Threads {
    writer: Queue,
    reader: Queue,
    path: PathBuf,
}

impl Runner for Threads {
    fn take(&self, job: Box<dyn Job>, writes: bool) -> Result<(), StoreError> {
        if writes { self.writer.take(job) } else { self.reader.take(job) }
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.path)
    }
}

/// The path of the machines whose orders are in these books.
#[must_use]
pub fn machines_beside(books: &Path) -> PathBuf {
    books.with_file_name(MACHINES_FILE)
}

impl Store {
    /// Starts the two threads of an open database. They end when the last handle is dropped. The `mark` of the books counts their
    /// entries.
    pub fn over(path: &Path, schema: &Schema, writing: Connection, mut mark: Option<Mark>) -> Result<Self, StoreError> {
        for (name, value) in WRITER {
            writing.pragma_update_and_check(None, name, value, |_| Ok(()))?;
        }
        let (mut writing, mut reading) = (writing, sqlite::open_to_read(path, schema)?);
        let files = OpenFiles::of(path);
        let (of_reader, mut checked, mut marked) = (files.clone(), Instant::now(), None::<Instant>);
        let writer = Queue::start("store-writer", GROUP_MAX, move |batch| {
            // What is written into a file without a name is forgotten.
            files.are_in_place()?;
            together(&mut writing, batch, true)?;
            // What was committed stays so. A mark that cannot be written lags behind, and is written next time.
            if let Some(mark) = mark.as_mut().filter(|_| marked.is_none_or(|at| at.elapsed() >= MARK_EVERY))
                && let Ok(entries) = entries(&writing)
                && entries > mark.counted()
            {
                marked = Some(Instant::now());
                drop(mark.write(entries));
            }
            Ok::<_, StoreError>(())
        })?;
        let reader = Queue::start("store-reader", 1, move |batch| {
            if checked.elapsed() >= CHECK_EVERY {
                of_reader.are_in_place()?;
                checked = Instant::now();
            }
            together(&mut reading, batch, false).map_err(StoreError::from)
        })?;
        Ok(Self::with(Arc::new(Threads { writer, reader, path: path.into() })))
    }

    /// Opens a database beside its owner, for short commands. A damaged one stays in its place. A missing one is made only
    /// with `make`.
    pub fn open_beside(path: &Path, schema: &Schema, make: bool) -> Result<Self, StoreError> {
        Self::over(path, schema, sqlite::open_beside(path, schema, make)?.connection, None)
    }
}

pub fn entries(books: &Connection) -> rusqlite::Result<i64> {
    books.prepare_cached(ENTRIES)?.query_row([], |row| row.get(0))
}

/// Runs jobs in one transaction. A job that fails has changed nothing.
///
/// # Errors
/// SQLite's. It undoes all of them.
pub fn together(connection: &mut Connection, batch: &mut [Box<dyn Job>], writes: bool) -> Result<(), rusqlite::Error> {
    // IMMEDIATE: this waits now for a second writer, and does not run into it half-way.
    let begin = if writes { "BEGIN IMMEDIATE" } else { "BEGIN" };
    say(connection, begin)?;
    let done = jobs(connection, batch).and_then(|()| say(connection, "COMMIT"));
    if done.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    done
}

fn jobs(connection: &mut Connection, batch: &mut [Box<dyn Job>]) -> Result<(), rusqlite::Error> {
    for job in batch {
        say(connection, "SAVEPOINT job")?;
        let good = job.run(&mut SqliteTx { connection });
        // A full disk rolls everything back by itself. Then there is no savepoint, and this says so.
        if !good {
            say(connection, "ROLLBACK TO job")?;
        }
        say(connection, "RELEASE job")?;
    }
    Ok(())
}

/// A statement without parameters and rows. It is parsed only once, and not for each job.
pub(crate) fn say(connection: &Connection, sql: &'static str) -> Result<(), rusqlite::Error> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// Looks at an open database.
pub fn read_on<T, E: From<StoreError>>(connection: &Connection, job: impl FnOnce(&mut dyn Tx) -> Result<T, E>) -> Result<T, E> {
    job(&mut SqliteTx { connection })
}

/// One transaction of whoever has just opened a database.
pub fn alone_on<T, E: From<StoreError>>(connection: &Connection, job: impl FnOnce(&mut dyn Tx) -> Result<T, E>) -> Result<T, E> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate).map_err(StoreError::Sqlite)?;
    let done = job(&mut SqliteTx { connection: &transaction })?;
    transaction.commit().map_err(StoreError::Sqlite)?;
    Ok(done)
}

pub(crate) struct SqliteTx<'a> {
    pub(crate) connection: &'a Connection,
}

impl Tx for SqliteTx<'_> {
    fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let columns: Arc<[Box<str>]> = statement.column_names().map(Box::from).collect();
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut answer = Vec::new();
        while let Some(row) = rows.next()? {
            let value = |index| match row.get_ref(index)? {
                ValueRef::Null => Ok(Value::Null),
                ValueRef::Integer(number) => Ok(Value::Int(number)),
                // A flipped bit can turn it into bytes that are not text. The reader of the row sees that by its checksum, or
                // by the rules of its ids. The other rows of the answer stay good.
                ValueRef::Text(text) => Ok(Value::Text(String::from_utf8_lossy(text).into_owned())),
                ValueRef::Real(_) | ValueRef::Blob(_) => Err(StoreError::Damaged { what: sql.into(), why: "a strange value".into() }),
            };
            answer.push(Row::new(&columns, (0..columns.len()).map(value).collect::<Result<_, StoreError>>()?));
        }
        Ok(answer)
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Null => Ok(ToSqlOutput::from(Null)),
            Self::Int(number) => Ok(ToSqlOutput::from(*number)),
            Self::Text(text) => Ok(ToSqlOutput::from(text.as_str())),
        }
    }
}
