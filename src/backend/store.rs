//! The books and the machines, wherever they are kept: [`sqlite`] has a file for each, [`postgres`] one database for both.
//!
//! Jobs use a [`Tx`], which knows numbered parameters (`$1`, written in order) and rows with three kinds of value. So a statement
//! runs on both ([`row`]; [`table`] writes whole rows). A writer takes up to [`GROUP_MAX`] waiting jobs. It runs each in a savepoint, commits once, and then answers all.
//! With one fsync for many jobs, a disk that syncs six hundred times a second takes four thousand notifications.

pub mod postgres;
mod row;
pub mod sqlite;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod watched;

pub use row::{Columns, Row, Value};
pub use sqlite::{BOOKS, ENTRIES, MACHINES, MACHINES_FILE, alone_on, entries, machines_beside, read_on, together};
pub(crate) use sqlite::{SqliteTx, say};
pub(crate) use table::{insert, put, update};
pub use watched::{JobError, WatchedStore};

use qris_core::order::time::{Span, Told, Wall};
use qris_host::sqlite::{OpenError, find_room};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread;
use tokio::sync::oneshot;

const GROUP_MAX: usize = 64;
/// The most jobs that may wait for a thread. Further jobs are refused.
const WAITING_MAX: usize = 4096;

/// Why the books could not be read or written. The job changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file beside the books, which holds the number of their entries.
    #[error("the mark of the books cannot be read or written: {0}")]
    Mark(#[source] std::io::Error),
    #[error("no thread for the database: {0}")]
    Thread(#[source] std::io::Error),
    #[error("the database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("PostgreSQL: {0}")]
    Postgres(String),
    /// The commit failed, and with it every job of its group. PostgreSQL may have committed all the same, if the connection was lost
    /// then. So it is for the caller as if its process had crashed just after the commit.
    #[error("the database could not commit: {0}")]
    Commit(String),
    /// There are [`WAITING_MAX`] waiting jobs already.
    #[error("too many tasks wait for the database")]
    Overloaded,
    #[error("the books that came back cannot be taken up: {0}")]
    Taken(String),
    #[error("the row of {what} is damaged: {why}")]
    Damaged {
        /// The owner of the row.
        what: String,
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
            Self::Open(_) | Self::Mark(_) | Self::Thread(_) | Self::Postgres(_) | Self::Commit(_) => false,
            Self::Taken(_) | Self::Overloaded | Self::Gone => false,
        }
    }
}

/// One transaction.
pub trait Tx {
    /// Runs one statement and gives its rows. Parameters are `$1`, `$2`, …, in the order of their first use. A statement is parsed once and
    /// kept, so its text has no values in it.
    fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError>;
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

    /// How far the clock of the database is ahead of this computer's. A file has no other one.
    fn ahead(&self) -> Span {
        Span(0)
    }
}

impl Store {
    #[must_use]
    pub fn with(runner: Arc<dyn Runner>) -> Self {
        Self(runner)
    }

    #[cfg(test)]
    pub(crate) fn runner(&self) -> &dyn Runner {
        &*self.0
    }

    /// The time of day by the clock of the database, which all processes share. `own` is that of this computer.
    #[must_use]
    pub fn now(&self, own: Wall) -> Wall {
        own + self.0.ahead()
    }

    /// Runs a job like [`run`](Self::run), and tells it the time at which it runs. `told` is the time if the clock of the database is so far ahead of this computer's.
    pub async fn run_at<T, E>(
        &self,
        told: impl FnOnce(Span) -> Told + Send + 'static,
        job: impl FnOnce(&mut dyn Tx, Told) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        // A job that is never run must not keep its own database open.
        let database = Arc::downgrade(&self.0);
        let ahead = move || database.upgrade().map_or(Span(0), |database| database.ahead());
        self.run(move |tx| job(tx, told(ahead()))).await
    }

    /// Runs a job in a transaction and answers when it is committed. If the job answers with an error, its changes are
    /// not written.
    pub async fn run<T, E>(&self, job: impl FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.hand(job, true).await
    }

    /// The file of the database, if it is in one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.0.file()
    }

    /// Looks whether the disk has room for a sale.
    pub async fn find_room(&self) -> Result<(), StoreError> {
        let Some(path) = self.0.file().map(PathBuf::from) else { return Ok(()) };
        let looked = tokio::task::spawn_blocking(move || find_room(&path)).await;
        Ok(looked.map_err(|_| StoreError::Gone)??)
    }

    /// Runs a job that only reads, beside the writer.
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
        self.0.take(Box::new(Work { job: Some(job), result: None, reply, writes }), writes)?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Gone.into()))
    }
}

/// A job without its types.
pub trait Job: Send {
    /// Nobody waits any more for what it would read. What it would write is still wanted.
    fn is_left(&self) -> bool;
    /// Runs the job. Answers whether its changes may be committed.
    fn run(&mut self, tx: &mut dyn Tx) -> bool;
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Work<T, E, F> {
    job: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
    writes: bool,
}

impl<T, E, F> Job for Work<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: FnOnce(&mut dyn Tx) -> Result<T, E> + Send,
{
    fn is_left(&self) -> bool {
        !self.writes && self.reply.is_closed()
    }

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

pub fn answer_all(batch: Vec<Box<dyn Job>>, result: Result<(), impl Display>) {
    let why = result.err().map(|error| error.to_string());
    for job in batch {
        job.answer(why.clone().map_or(Ok(()), |why| Err(StoreError::Commit(why))));
    }
}

/// The jobs that wait for a thread with a connection of its own.
#[derive(Debug)]
struct Queue(SyncSender<Box<dyn Job>>);

impl Queue {
    /// Starts the thread. It does as many jobs `together` as wait, at most `group`, and ends with the last handle.
    fn start<E: Display>(
        name: &str,
        group: usize,
        mut together: impl FnMut(&mut [Box<dyn Job>]) -> Result<(), E> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (sender, jobs) = sync_channel::<Box<dyn Job>>(WAITING_MAX);
        let run = move || {
            while let Ok(first) = jobs.recv() {
                let mut batch = vec![first];
                while batch.len() < group
                    && let Ok(next) = jobs.try_recv()
                {
                    batch.push(next);
                }
                // Readings of people who went away pile up before those of machines. Even an empty transaction is too slow for each.
                batch.retain(|job| !job.is_left());
                if batch.is_empty() {
                    continue;
                }
                let result = together(&mut batch);
                answer_all(batch, result);
            }
        };
        thread::Builder::new().name(name.into()).stack_size(512 << 10).spawn(run).map_err(StoreError::Thread)?;
        Ok(Self(sender))
    }

    fn take(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        self.0.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => StoreError::Gone,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    /// A person looks, and goes away before it is their turn.
    #[tokio::test]
    async fn what_nobody_waits_for_is_not_read_but_is_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open_beside(&directory.path().join("orders.db"), &BOOKS, true).expect("opens");
        let ran = Arc::new(AtomicUsize::new(0));
        for writes in [false, true] {
            let (go, gate) = channel::<()>();
            let other = store.clone();
            let held = tokio::spawn(async move {
                other
                    .hand(
                        move |_| {
                            gate.recv().expect("it opens");
                            Ok::<_, StoreError>(())
                        },
                        writes,
                    )
                    .await
            });
            tokio::task::yield_now().await;
            let counted = Arc::clone(&ran);
            let left = store.hand(move |_| Ok::<_, StoreError>(counted.fetch_add(1, Ordering::Relaxed)), writes);
            tokio::select! {
                biased;
                done = left => panic!("it did not wait for its turn: {done:?}"),
                () = ready(()) => {}
            }
            go.send(()).expect("it waits");
            held.await.expect("no panic").expect("done");
            store.hand(|_| Ok::<_, StoreError>(()), writes).await.expect("done");
            assert_eq!(ran.load(Ordering::Relaxed), usize::from(writes), "writes: {writes}");
        }
    }
}
