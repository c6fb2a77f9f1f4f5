//! The books and the machines in one database of PostgreSQL, for any number of processes.
//!
//! A writer takes one lock of the database for its transaction ([`LOCK`]). So a job sees what all jobs before it wrote, and nobody
//! writes meanwhile, as in SQLite: what is proven there holds here. Who hangs in a transaction is thrown out by the server
//! ([`PATIENCE`]), and the lock is free again. A connection that is lost is made anew at the next job, at [the primary](primary) of the
//! servers: after a fail-over that is another one. A server that may not be written to any more is left at once ([`Session::ask`],
//! [`Session::begin`]).
//!
//! A process whose clock is wrong must not take what another one has just begun for given up. So all go by the clock of the server,
//! which each transaction asks for at its begin ([`CLOCK`]).

mod hearing;
mod listening;
mod primary;
mod reaching;
mod schema;
mod values;

pub use hearing::ListenEvent;
pub use primary::Role;
pub use reaching::{Looked, Reached};

use super::{BOOKS, GROUP_MAX, Job, MACHINES, Queue, Row, Runner, Store, StoreError, Tx, Value};
use qris_core::order::time::Span;
use qris_host::causes;
use qris_host::clock;
use qris_host::tls::{LastTrusted, TlsError, client_config};
use reaching::Opened;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::{Client, Config, SimpleQueryMessage, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;
use values::{query, read};

/// The lock of the database that its writer holds: `qris`.
const LOCK: i64 = 0x7172_6973;
/// A server that is silent for longer is given up. Itself it gives up a statement, a wait for the lock or a silent owner of the lock
/// ([`SETTINGS`]) a little sooner.
const PATIENCE: Duration = Duration::from_secs(10);
/// Each connection begins with these. A commit that was answered is on the disk of the server, and of its synchronous standby if it
/// has one, whatever the server's own settings say.
const SETTINGS: &str = "SET statement_timeout = '8s'; SET lock_timeout = '8s'; SET idle_in_transaction_session_timeout = '5s'; \
    SET client_min_messages = 'warning'; \
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')";
/// The server's time of day, in milliseconds since 1970, and whether this transaction may write.
const CLOCK: &str = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT), current_setting('transaction_read_only')";
const READERS: usize = 2;
/// The connections of one `serve`: its writer, its readers, and the one that listens.
pub const CONNECTIONS: usize = 1 + READERS + 1;
/// The steps to the tables of today: those of SQLite [in PostgreSQL's words](schema), and what only PostgreSQL has.
static STEPS: LazyLock<[String; 1]> = LazyLock::new(|| [[BOOKS.steps[0], MACHINES.steps[0]].map(schema::translated).concat() + TELLS]);
/// Each one that waits for a request, at whichever backend, hears of each change that its machine can see.
const TELLS: &str = include_str!("../schema/tells.sql");
/// The advice if connections share sessions.
const POOLER: &str = "Is a pooler in between, such as PgBouncer? It must give each connection a session of its own: pool_mode = session";

/// A database of one server or of several, of which one is written to, and how to get in.
#[derive(Debug, Clone)]
pub struct Server {
    config: Config,
    tls: Option<MakeTls>,
    /// The newest timeline of a server that this process has asked; 0: none yet.
    newest: Arc<watch::Sender<u32>>,
}

#[derive(Clone)]
struct MakeTls(MakeRustlsConnect);

impl std::fmt::Debug for MakeTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MakeTls")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("must be postgres://USER@HOST[,HOST…]/DATABASE: {0}")]
    Url(String),
    #[error("must not have the password in it, where many can read it: put it into a file, and name that in store.password_file")]
    Password,
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Server {
    /// Reads an address. Over a network the server must show a certificate that `ca_file`, or the system's authorities, sign for the
    /// name of its host. On this computer (a directory of sockets, or a loopback address) TLS is used only with a `ca_file`.
    pub fn new(url: &str, password: Option<&str>, ca_file: Option<&Path>) -> Result<Self, ServerError> {
        let mut config: Config = url.parse().map_err(|error| ServerError::Url(why(&error)))?;
        if config.get_password().is_some() {
            return Err(ServerError::Password);
        }
        let missing = [("the user", config.get_user().is_none()), ("the database", config.get_dbname().is_none())];
        if let Some((what, _)) = missing.iter().find(|(_, is_missing)| *is_missing) {
            return Err(ServerError::Url(format!("{what} is missing")));
        }
        if config.get_hosts().is_empty() {
            return Err(ServerError::Url("the host is missing".into()));
        }
        if let Some(password) = password {
            config.password(password);
        }
        let is_far = config.get_hosts().iter().any(|host| match host {
            Host::Unix(_) => false,
            Host::Tcp(name) => name != "localhost" && !name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
        });
        let tls = if is_far || ca_file.is_some() {
            config.ssl_mode(SslMode::Require);
            let client = client_config(ca_file, None, &LastTrusted::default())?;
            Some(MakeTls(MakeRustlsConnect::new(Arc::unwrap_or_clone(client))))
        } else {
            config.ssl_mode(SslMode::Disable);
            None
        };
        Ok(Self { config, tls, newest: Arc::new(watch::Sender::new(0)) })
    }

    /// The same, but for tables in a schema of their own, which is made.
    #[cfg(test)]
    pub(super) fn within(mut self, schema: &str) -> Self {
        self.config.options(format!("-c search_path={schema}"));
        let mut session = Session::new(self.clone(), Arc::default()).expect("a runtime");
        let made = move || session.connect().and_then(|()| session.say(&format!("CREATE SCHEMA IF NOT EXISTS {schema}")));
        thread::scope(|scope| scope.spawn(made).join()).expect("no panic").expect("a server");
        self
    }

    /// Whether there is more than one server: a standby that may take over.
    #[must_use]
    pub fn has_standby(&self) -> bool {
        self.config.get_hosts().len() > 1
    }

    /// Where it is, for people.
    #[must_use]
    pub fn name(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        format!("{} at {}", self.config.get_dbname().unwrap_or("-"), hosts.collect::<Vec<_>>().join(", "))
    }
}

#[derive(Debug)]
struct Threads {
    writer: Queue,
    readers: Vec<Queue>,
    turn: AtomicUsize,
    ahead: Arc<AtomicI64>,
}

impl Runner for Threads {
    fn take(&self, job: Box<dyn Job>, writes: bool) -> Result<(), StoreError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.readers.len();
        if writes { self.writer.take(job) } else { self.readers[turn].take(job) }
    }

    fn file(&self) -> Option<&Path> {
        None
    }

    fn ahead(&self) -> Span {
        Span(self.ahead.load(Ordering::Relaxed))
    }
}

impl Store {
    /// Connects, and brings the tables up to date. Without `make` missing tables are an error. `take_up` is done in tables that came
    /// back, once.
    pub fn at(server: &Server, make: bool, take_up: TakeUp) -> Result<Self, StoreError> {
        let ahead = Arc::new(AtomicI64::new(0));
        let session = || Session::new(server.clone(), Arc::clone(&ahead));
        // In a thread of its own, since this one may be that of a runtime.
        let ready = thread::scope(|scope| {
            let first = scope.spawn(move || {
                let mut first = session()?;
                first.bring_up_to_date(make, &*STEPS, Some(take_up))?;
                Ok::<_, StoreError>(first)
            });
            first.join().unwrap_or(Err(StoreError::Gone))
        });
        let mut writing = ready?;
        writing.take_up = Some(take_up);
        writing.timeline = writing.live.as_ref().map(|live| live.timeline);
        let writer = Queue::start("store-writer", GROUP_MAX, move |batch| writing.together(batch, true))?;
        let mut readers = Vec::new();
        for _ in 0..READERS {
            let mut reading = session()?;
            readers.push(Queue::start("store-reader", 1, move |batch| reading.together(batch, false))?);
        }
        Ok(Self::with(Arc::new(Threads { writer, readers, turn: AtomicUsize::new(0), ahead })))
    }
}

/// One transaction on a connection of its own. One that `writes` makes the tables, if they are missing. Not for the thread of a runtime.
pub fn alone<T, E: From<StoreError>>(server: &Server, writes: bool, job: impl FnOnce(&mut dyn Tx) -> Result<T, E>) -> Result<T, E> {
    let mut session = Session::new(server.clone(), Arc::default())?;
    session.bring_up_to_date(writes, &*STEPS, None)?;
    session.begin(writes)?;
    let done = job(&mut session).and_then(|value| Ok(session.say("RELEASE job; COMMIT").map(|()| value)?));
    if done.is_err() {
        session.give_up();
    }
    done
}

/// How tables that were written elsewhere before came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CameBack {
    /// From a dump.
    Restored,
    /// With a server that was promoted, or went back to a point in time.
    OnAnotherPrimary,
}

/// The work in tables that came back.
type TakeUp = fn(&mut dyn Tx, CameBack) -> Result<(), StoreError>;

/// Where the tables are, in SQL: the cluster and the table. A table that is made anew has another number.
const PLACE: &str = "(pg_control_system()).system_identifier || ':' || 'qris_steps'::regclass::oid";
/// The timeline that is written, which is another one after each promotion: the beginning of the name of its file.
const TIMELINE: &str = "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)";

/// The tables are here now, for whoever looks next. Whether they were elsewhere before.
pub fn are_here(tx: &mut dyn Tx) -> Result<bool, StoreError> {
    let here = format!(
        "UPDATE qris_steps SET place = {PLACE}, timeline = {TIMELINE} WHERE place <> {PLACE} OR timeline <> {TIMELINE} RETURNING 1"
    );
    Ok(!tx.rows(&here, &[])?.is_empty())
}

/// A connection, which is made when it is needed.
struct Session {
    server: Server,
    runtime: Runtime,
    live: Option<Live>,
    /// How far the server's clock is ahead of ours, in milliseconds.
    ahead: Arc<AtomicI64>,
    /// A writer's work in tables that came back, also while it runs.
    take_up: Option<TakeUp>,
    /// The timeline on which the writer has looked for that.
    timeline: Option<u32>,
}

struct Live {
    client: Client,
    timeline: u32,
    statements: HashMap<Box<str>, Statement>,
}

impl Session {
    fn new(server: Server, ahead: Arc<AtomicI64>) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StoreError::Thread)?;
        Ok(Self { server, runtime, live: None, ahead, take_up: None, timeline: None })
    }

    /// Does something with the connection, which must be there. One that does not answer is given up, and one whose server is not the primary
    /// any more.
    fn ask<T>(&mut self, question: impl AsyncFnOnce(&mut Live) -> Result<T, tokio_postgres::Error>) -> Result<T, StoreError> {
        let lost = || StoreError::Postgres("the connection is lost".into());
        let live = self.live.as_mut().ok_or_else(lost)?;
        let overtaken = self.server.overtaken(live.timeline);
        let answer = self.runtime.block_on(async {
            tokio::select! {
                // Nothing more is said to it, once that is known.
                biased;
                () = overtaken => None,
                answer = tokio::time::timeout(PATIENCE, question(live)) => Some(answer),
            }
        });
        let error = match answer {
            None => {
                self.live = None;
                StoreError::Postgres("another server was promoted".into())
            }
            Some(Ok(Ok(value))) => return Ok(value),
            Some(Ok(Err(error))) => {
                // The server ends the session with some errors: when it stops, or after a time that it gave.
                if live.client.is_closed() || error.as_db_error().is_none() || is_over(&error) {
                    self.live = None;
                }
                StoreError::Postgres(why(&error))
            }
            Some(Err(_)) => {
                self.live = None;
                StoreError::Postgres(reaching::silent_for(PATIENCE))
            }
        };
        Err(error)
    }

    /// Some statements without parameters, in one message.
    fn say(&mut self, sql: &str) -> Result<(), StoreError> {
        self.ask(async |live| live.client.batch_execute(sql).await)
    }

    fn connect(&mut self) -> Result<(), StoreError> {
        let server = &self.server;
        let opening = async {
            let Opened { client, timeline, .. } = server.open(|_| {}).await?;
            client.batch_execute(SETTINGS).await.map_err(|error| server.failed(&why(&error)))?;
            Ok(Live { client, timeline, statements: HashMap::new() })
        };
        let opened = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, opening).await });
        self.live = Some(opened.unwrap_or_else(|_| Err(server.silent()))?);
        Ok(())
    }

    /// Begins a transaction, at a new connection if the last one is lost, or does not let us write any more: nothing was done on it yet.
    fn begin(&mut self, writes: bool) -> Result<(), StoreError> {
        let begin = if writes {
            format!("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({LOCK}); {CLOCK}; SAVEPOINT job")
        } else {
            format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {CLOCK}; SAVEPOINT job")
        };
        if self.live.is_some() {
            match self.say_and_look_at_the_clock(&begin, writes) {
                Err(_) if self.live.is_none() => {}
                done => return done.inspect_err(|_| self.give_up()),
            }
        }
        self.connect()?;
        self.say_and_look_at_the_clock(&begin, writes).inspect_err(|_| self.give_up())
    }

    /// Statements of which [`CLOCK`] is the last one with an answer.
    fn say_and_look_at_the_clock(&mut self, sql: &str, writes: bool) -> Result<(), StoreError> {
        let told = self.ask(async |live| live.client.simple_query(sql).await)?;
        let last = told.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((row.get(0).and_then(|text| text.parse::<i64>().ok()), row.get(1) == Some("on"))),
            _ => None,
        });
        let (theirs, read_only) = last.unwrap_or_default();
        if writes && read_only {
            self.live = None;
            return Err(self.server.failed("it is read only"));
        }
        let theirs = theirs.ok_or_else(|| StoreError::Postgres("the server does not tell its time".into()))?;
        self.ahead.store(theirs.saturating_sub(clock::now().wall.0), Ordering::Relaxed);
        Ok(())
    }

    /// Ends a transaction that went wrong. A connection that cannot do this is no good.
    fn give_up(&mut self) {
        if self.live.is_some() && self.say("ROLLBACK").is_err() {
            self.live = None;
        }
    }

    /// Does jobs in one transaction. A job that fails has changed nothing.
    fn together(&mut self, batch: &mut [Box<dyn Job>], writes: bool) -> Result<(), StoreError> {
        self.begin(writes)?;
        let timeline = self.live.as_ref().map(|live| live.timeline);
        if let Some(take_up) = self.take_up.filter(|_| writes && timeline != self.timeline) {
            let taken = self.take_up(take_up).and_then(|()| self.say("RELEASE job; COMMIT"));
            taken.inspect_err(|_| self.give_up())?;
            self.timeline = timeline;
            self.begin(writes)?;
        }
        self.jobs(batch).inspect_err(|_| self.give_up())
    }

    /// The savepoint is released before a commit, too: PostgreSQL answers a COMMIT without an error where there is nothing to commit
    /// any more.
    fn jobs(&mut self, batch: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        let last = batch.len() - 1;
        for (number, job) in batch.iter_mut().enumerate() {
            let end = match (job.run(self), number == last) {
                (true, true) => "RELEASE job; COMMIT",
                (true, false) => "RELEASE job; SAVEPOINT job",
                (false, true) => "ROLLBACK TO job; RELEASE job; COMMIT",
                (false, false) => "ROLLBACK TO job; RELEASE job; SAVEPOINT job",
            };
            self.say(end)?;
        }
        Ok(())
    }

    /// Takes the steps that the database has not taken: all of them, or none.
    fn bring_up_to_date(&mut self, make: bool, steps: &[String], take_up: Option<TakeUp>) -> Result<(), StoreError> {
        self.begin(true)?;
        let taken = self.take_steps(make, steps).and_then(|()| take_up.map_or(Ok(()), |take_up| self.take_up(take_up)));
        let done = taken.and_then(|()| self.say("RELEASE job; COMMIT"));
        done.inspect_err(|_| self.give_up())
    }

    fn take_steps(&mut self, make: bool, steps: &[String]) -> Result<(), StoreError> {
        let name = self.server.name();
        let missing = self.rows("SELECT 1 WHERE to_regclass('qris_steps') IS NULL", &[])?.len() == 1;
        if missing && !make {
            return Err(StoreError::Postgres(format!("{name} has no books: `serve` makes them")));
        }
        if missing {
            self.say(
                "CREATE TABLE qris_steps (step BIGINT PRIMARY KEY, at TIMESTAMPTZ NOT NULL DEFAULT now(), \
                 place TEXT NOT NULL, timeline TEXT NOT NULL)",
            )?;
        }
        let taken = self.rows("SELECT coalesce(max(step), 0) FROM qris_steps", &[])?;
        let taken = usize::try_from(Row::number(&taken)?).unwrap_or(usize::MAX);
        if taken > steps.len() {
            let why = format!("{name} is of a newer release (step {taken}; this one knows {}): run that one", steps.len());
            return Err(StoreError::Postgres(why));
        }
        for (number, step) in (1_i64..).zip(steps).skip(taken) {
            self.say(step)?;
            self.rows(&format!("INSERT INTO qris_steps (step, place, timeline) VALUES ($1, {PLACE}, {TIMELINE})"), &[number.into()])?;
        }
        Ok(())
    }

    /// A dump that was restored has the place of the tables that it was made from, and a promoted server the timeline of the one before. The first who
    /// opens them sees that, and nobody after it.
    fn take_up(&mut self, take_up: TakeUp) -> Result<(), StoreError> {
        let is_elsewhere = !self.rows(&format!("SELECT 1 FROM qris_steps WHERE place <> {PLACE}"), &[])?.is_empty();
        match are_here(self)? {
            false => Ok(()),
            true => take_up(self, if is_elsewhere { CameBack::Restored } else { CameBack::OnAnotherPrimary }),
        }
    }
}

impl Tx for Session {
    fn rows(&mut self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let (statement, rows) = self.ask(async |live| {
            let statement = match live.statements.get(sql) {
                Some(known) => known.clone(),
                None => {
                    let made = live.client.prepare(sql).await?;
                    live.statements.insert(sql.into(), made.clone());
                    made
                }
            };
            let rows = query(&live.client, &statement, values).await?;
            Ok((statement, rows))
        })?;
        read(&statement, &rows, sql)
    }
}

/// Whether the session is over with this error: it was ended by an operator, after a silent transaction, or at a pooler that lost its server.
/// Or the server takes nothing any more.
fn is_over(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|told| {
        let is_ended = match told.parsed_severity() {
            Some(severity) => matches!(severity, Severity::Fatal | Severity::Panic),
            // A pooler tells it in one way only, and in English.
            None => matches!(told.severity(), "FATAL" | "PANIC"),
        };
        is_ended || *told.code() == SqlState::READ_ONLY_SQL_TRANSACTION
    })
}

/// An error with its causes. The library's own text names only the first.
fn why(error: &tokio_postgres::Error) -> String {
    if let Some(told) = error.as_db_error() {
        let code = told.code();
        // A statement that this session prepared is unknown, or one that it did not prepare is there.
        let is_shared = [SqlState::DUPLICATE_PSTATEMENT, SqlState::INVALID_SQL_STATEMENT_NAME].contains(code);
        return format!("{} ({}){}", told.message(), code.code(), if is_shared { format!(". {POOLER}") } else { String::new() });
    }
    causes::in_one_line(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;

    #[test]
    #[ignore = "it needs PostgreSQL: tests/books-in-postgres runs it"]
    fn a_server_that_takes_nothing_any_more_is_left_at_the_first_error() {
        let directory = tempfile::tempdir().expect("a directory");
        let server = testing::server(directory.path()).expect("a server");
        let mut session = Session::new(server, Arc::default()).expect("a runtime");
        let tried = move || {
            session.begin(true)?;
            let wrong = session.say("SELECT 1 / 0").map_err(|why| why.to_string());
            let stays = session.live.is_some();
            session.give_up();
            session.begin(true)?;
            session.say("SET TRANSACTION READ ONLY")?;
            let refused = session.say("CREATE TABLE first (n BIGINT)").map_err(|why| why.to_string());
            let still = session.live.is_some();
            // Whoever begins on such a connection loses nothing: a new one takes it.
            session.begin(true)?;
            session.give_up();
            session.say("SET default_transaction_read_only = on")?;
            session.begin(true)?;
            session.say("CREATE TABLE first (n BIGINT)")?;
            Ok::<_, StoreError>((wrong, stays, refused, still))
        };
        let (wrong, stays, refused, still) = thread::scope(|scope| scope.spawn(tried).join()).expect("no panic").expect("a server");
        assert!(wrong.is_err_and(|why| why.contains("22012")) && stays, "any error ends the connection");
        assert!(refused.is_err_and(|why| why.contains("25006")) && !still, "it is kept");
    }

    #[test]
    #[ignore = "it needs PostgreSQL: tests/books-in-postgres runs it"]
    fn a_step_that_is_cut_off_is_taken_again_and_a_newer_database_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let server = testing::server(directory.path()).expect("a server");
        let take = |steps: &[&str]| {
            let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
            let mut session = Session::new(server.clone(), Arc::default()).expect("a runtime");
            let taken = move || {
                session.connect()?;
                let done = session.bring_up_to_date(true, &steps, None);
                session.begin(false)?;
                let rows = session.rows("SELECT (SELECT max(step) FROM qris_steps) AS step WHERE to_regclass('second') IS NULL", &[])?;
                Ok::<_, StoreError>((done, rows.len()))
            };
            thread::scope(|scope| scope.spawn(taken).join()).expect("no panic").expect("a server")
        };
        let (first, second) = ("CREATE TABLE first (n BIGINT)", "CREATE TABLE second (n BIGINT)");
        assert!(matches!(take(&[first]), (Ok(()), 1)));
        // It fails behind its first half.
        assert!(matches!(take(&[first, &format!("{second}; SELECT 1 / 0")]), (Err(_), 1)), "half a step stays");
        assert!(matches!(take(&[first, second]), (Ok(()), 0)));
        assert!(matches!(take(&[first, second]), (Ok(()), 0)), "a step is taken twice");
        let (refused, _) = take(&[first]);
        assert!(refused.is_err_and(|why| why.to_string().contains("is of a newer release (step 2; this one knows 1)")));
    }
}
