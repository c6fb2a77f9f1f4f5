//! The connections to the database. There are two: one writes, one reads. Each has a thread of its own.
//!
//! The writer takes up to [`GROUP_MAX`] waiting jobs. It runs each in a savepoint, commits once, and then answers all.
//! With one fsync for many jobs, a disk that syncs six hundred times a second takes four thousand notifications. Jobs use
//! a [`Tx`], which knows numbered parameters (`$1`, written in order) and rows with three kinds of value. So a statement
//! for SQLite can run on PostgreSQL too.
//!
//! Short commands (`device add`, `refund`) write beside `serve`, and a second `serve` may do so; see [`Store::open_beside`].

use qris_host::sqlite::{self, Schema};
use rusqlite::Connection;
use rusqlite::types::{Null, ToSqlOutput, ValueRef};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use tokio::sync::oneshot;

/// The most jobs that are committed together.
const GROUP_MAX: usize = 64;
/// The most jobs that may wait for a thread. Further jobs are refused.
const WAITING_MAX: usize = 4096;

/// The writer's settings. They differ from those of a machine, which sells once a minute. Orders that follow each other
/// write the same pages. So the log may grow longer before it is copied back (in pages of 1 KiB): copying costs two
/// fsyncs, and everybody waits for it. Afterwards the file of the log keeps its size (in bytes).
const WRITER: [(&str, i64); 2] = [("wal_autocheckpoint", 8192), ("journal_size_limit", 32 << 20)];
/// The books.
pub const BOOKS: Schema = Schema {
    application_id: 0x7172_6201,
    steps: &[
        include_str!("schema/1.sql"),
        include_str!("schema/2.sql"),
        include_str!("schema/3.sql"),
        include_str!("schema/4.sql"),
        include_str!("schema/5.sql"),
        include_str!("schema/6.sql"),
        include_str!("schema/7.sql"),
    ],
};
/// The last version of the books that still had the machines.
pub(super) const WITH_MACHINES: usize = 3;
/// The machines.
pub const MACHINES: Schema =
    Schema { application_id: 0x7172_6402, steps: &[include_str!("schema/devices/1.sql"), include_str!("schema/devices/2.sql")] };
/// Their file, in the directory of the books.
pub const MACHINES_FILE: &str = "devices.db";

/// Why the books could not be read or written. The job changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] sqlite::OpenError),
    /// A thread could not be started.
    #[error("no thread for the database: {0}")]
    Thread(#[source] std::io::Error),
    /// SQLite's reason.
    #[error("the database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The commit failed, and with it every job of its group.
    #[error("the database could not commit: {0}")]
    Commit(String),
    /// There are [`WAITING_MAX`] waiting jobs already.
    #[error("too many tasks wait for the database")]
    Overloaded,
    /// A row is not as it was written.
    #[error("the row of {what} is damaged: {why}")]
    Damaged {
        /// The owner of the row.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The thread of the connection is gone, or the job panicked.
    #[error("the database's thread failed")]
    Gone,
}

impl StoreError {
    /// Whether a row or a page is not as it was written. A job that needs it fails each time, and all others work.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Sqlite(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt),
            Self::Open(_) | Self::Thread(_) | Self::Commit(_) | Self::Overloaded | Self::Gone => false,
        }
    }
}

/// A value in a row or a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// NULL
    Null,
    /// INTEGER
    Int(i64),
    /// TEXT
    Text(String),
}

/// A row of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(Vec<Value>);

/// One transaction.
pub trait Tx {
    /// Runs one statement and gives its rows. Parameters are `$1`, `$2`, …, in the order of their first use.
    ///
    /// # Errors
    /// The database's reason.
    fn rows(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError>;
}

/// The handle of the database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store(Arc<dyn Runner>);

/// What does the jobs of a [`Store`]. Jobs that wait at the same time may be committed together, see [`together`].
pub trait Runner: std::fmt::Debug + Send + Sync {
    /// Takes a job. It is answered when its changes are committed.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`], [`StoreError::Gone`]: the job is not done.
    fn take(&self, job: Box<dyn Job>, writes: bool) -> Result<(), StoreError>;

    /// The file of the database, if its disk may be full.
    fn file(&self) -> Option<&Path>;
}

/// The two threads of a database.
#[derive(Debug)]
struct Threads {
    writer: SyncSender<Box<dyn Job>>,
    reader: SyncSender<Box<dyn Job>>,
    path: PathBuf,
}

impl Runner for Threads {
    fn take(&self, job: Box<dyn Job>, writes: bool) -> Result<(), StoreError> {
        let thread = if writes { &self.writer } else { &self.reader };
        thread.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => StoreError::Gone,
        })
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
    /// The handle of a database that this does the jobs of.
    #[must_use]
    pub fn with(runner: Arc<dyn Runner>) -> Self {
        Self(runner)
    }

    /// Starts the two threads of an open database. They end when the last handle is dropped.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Thread`].
    pub fn over(path: &Path, schema: &Schema, writing: Connection) -> Result<Self, StoreError> {
        for (name, value) in WRITER {
            writing.pragma_update_and_check(None, name, value, |_| Ok(()))?;
        }
        let reading = sqlite::open_beside(path, schema, false)?;
        let writer = start("store-writer", writing, GROUP_MAX)?;
        let reader = start("store-reader", reading.connection, 1)?;
        Ok(Self::with(Arc::new(Threads { writer, reader, path: path.into() })))
    }

    /// Opens a database beside its owner, for short commands. A damaged one stays in its place. A missing one is made only
    /// with `make`.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Thread`].
    pub fn open_beside(path: &Path, schema: &Schema, make: bool) -> Result<Self, StoreError> {
        Self::over(path, schema, sqlite::open_beside(path, schema, make)?.connection)
    }

    /// Runs a job in a transaction and answers when it is committed. If the job answers with an error, its changes are
    /// not written.
    ///
    /// # Errors
    /// The job's own, or the database's.
    pub async fn run<T, E>(&self, job: impl FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.hand(job, true).await
    }

    /// Looks whether the disk has room for a sale.
    ///
    /// # Errors
    /// [`StoreError::Open`]
    pub async fn find_room(&self) -> Result<(), StoreError> {
        let Some(path) = self.0.file().map(PathBuf::from) else { return Ok(()) };
        let looked = tokio::task::spawn_blocking(move || sqlite::find_room(&path)).await;
        Ok(looked.map_err(|_| StoreError::Gone)??)
    }

    /// Runs a job that only reads, beside the writer.
    ///
    /// # Errors
    /// The job's own, or the database's.
    pub async fn read<T, E>(&self, job: impl FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.hand(job, false).await
    }

    async fn hand<T, E>(&self, job: impl FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static, writes: bool) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.0.take(Box::new(Work { job: Some(job), result: None, reply }), writes)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Gone.into()))
    }
}

/// A job without its types.
pub trait Job: Send {
    /// Runs the job. Answers whether its changes may be committed.
    fn run(&mut self, tx: &mut dyn Tx) -> bool;
    /// Answers the caller.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Work<T, E, F> {
    job: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job for Work<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: FnOnce(&mut dyn Tx) -> Result<T, E> + Send,
{
    fn run(&mut self, tx: &mut dyn Tx) -> bool {
        let job = self.job.take().expect("a job is run once");
        // A job that panics has changed nothing: its savepoint is rolled back.
        let result = catch_unwind(AssertUnwindSafe(|| job(tx))).unwrap_or_else(|_| Err(StoreError::Gone.into()));
        let good = result.is_ok();
        self.result = Some(result);
        good
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { result, reply, .. } = *self;
        let answer = match (result, committed) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Ok(_)) | None, Err(error)) => Err(error.into()),
            (None, Ok(())) => Err(StoreError::Gone.into()),
        };
        // The caller may have gone. The committed changes stay.
        let _ = reply.send(answer);
    }
}

fn start(name: &str, connection: Connection, group: usize) -> Result<SyncSender<Box<dyn Job>>, StoreError> {
    let (sender, receiver) = sync_channel(WAITING_MAX);
    let run = move || serve(connection, &receiver, group);
    thread::Builder::new().name(name.into()).stack_size(512 << 10).spawn(run).map_err(StoreError::Thread)?;
    Ok(sender)
}

fn serve(mut connection: Connection, jobs: &Receiver<Box<dyn Job>>, group: usize) {
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        while batch.len() < group
            && let Ok(next) = jobs.try_recv()
        {
            batch.push(next);
        }
        let result = together(&mut connection, &mut batch, group > 1);
        answer_all(batch, result);
    }
}

/// Answers the callers of jobs that were done together.
pub fn answer_all(batch: Vec<Box<dyn Job>>, result: Result<(), rusqlite::Error>) {
    let why = result.err().map(|error| error.to_string());
    for job in batch {
        job.answer(why.clone().map_or(Ok(()), |why| Err(StoreError::Commit(why))));
    }
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
pub(super) fn say(connection: &Connection, sql: &'static str) -> Result<(), rusqlite::Error> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// Looks at an open database.
///
/// # Errors
/// The job's own, or the database's.
pub fn look<T, E: From<StoreError>>(connection: &Connection, job: impl FnOnce(&mut dyn Tx) -> Result<T, E>) -> Result<T, E> {
    job(&mut SqliteTx { connection })
}

pub(super) struct SqliteTx<'a> {
    pub(super) connection: &'a Connection,
}

impl Tx for SqliteTx<'_> {
    fn rows(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let columns = statement.column_count();
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
            answer.push(Row((0..columns).map(value).collect::<Result<_, StoreError>>()?));
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

impl Row {
    /// A number.
    ///
    /// # Errors
    /// Another kind of value.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        self.maybe_int(column)?.ok_or_else(|| wrong(column))
    }

    /// A number or NULL.
    ///
    /// # Errors
    /// Another kind of value.
    pub fn maybe_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.0.get(column) {
            Some(Value::Int(number)) => Ok(Some(*number)),
            Some(Value::Null) => Ok(None),
            Some(Value::Text(_)) | None => Err(wrong(column)),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// Another kind of value.
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        self.maybe_text(column)?.ok_or_else(|| wrong(column))
    }

    /// A text or NULL.
    ///
    /// # Errors
    /// Another kind of value.
    pub fn maybe_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            Some(Value::Int(_)) | None => Err(wrong(column)),
        }
    }
}

fn wrong(column: usize) -> StoreError {
    StoreError::Damaged { what: format!("column {column}"), why: "another kind of value than was written".into() }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Int(yes.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
