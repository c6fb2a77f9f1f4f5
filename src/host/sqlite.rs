//! Opens a database: its settings, its owner, its version, and the treatment of a damaged one.

use super::{clock, owner};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

mod files;
mod log;
mod schema;

pub use files::OpenFiles;
pub use schema::Schema;
use schema::{MigrationOutcome, step, strange};

#[derive(Debug)]
pub struct Opened {
    /// Ready for use: WAL, `synchronous=FULL`, foreign keys, recursive triggers, a statement cache.
    pub connection: Connection,
    /// The database is new: there was no file, or a damaged one was set aside.
    pub created: bool,
    /// The new name of a damaged database, if there was one.
    pub set_aside: Option<PathBuf>,
}

/// Why a database cannot be used. In each case the file is untouched and still in its place.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It was written by a later release, and does not say that this one can go on with it.
    #[error("the database {} has version {found}, this program knows {known}: install the newer release", path.display())]
    Newer { path: PathBuf, found: i32, known: i32 },
    /// It was written by an earlier release. Only the service that it belongs to brings it up to date, and another
    /// process opened it.
    #[error("the database {} has version {found}, this program needs {known}: start its service again, which brings it up to date", path.display())]
    Older { path: PathBuf, found: i32, known: i32 },
    /// It is a good database of another program.
    #[error("the database {} belongs to another program (application_id {found:#x}): correct the path", path.display())]
    Foreign { path: PathBuf, found: i32 },
    #[error("the directory of the database {} does not exist: make it, writable for this program", path.display())]
    NoDirectory { path: PathBuf },
    #[error("the database {} is on a network share ({kind}), where no lock and no sync can be relied on: name a directory on a disk of this computer", path.display())]
    Share { path: PathBuf, kind: &'static str },
    #[error("the file {} is not the one that this program has open: somebody removed, moved or replaced it. Put it back, or stop the program and see to what is there now", path.display())]
    Replaced { path: PathBuf },
    #[error("the database {} cannot be written: look at its owner, its directory and how its disk is mounted", path.display())]
    ReadOnly { path: PathBuf },
    /// The disk has no room for it, or for the file that its users share.
    #[error("the database {} has no room: make some on its disk", path.display())]
    Full { path: PathBuf },
    /// SQLite could not begin its log, for a disk that was full or failed for a moment. Without the log a power cut takes
    /// commits back.
    #[error("the database {} cannot begin its log: make room on its disk, or look at the disk's health", path.display())]
    NoLog { path: PathBuf },
    /// Another process has it. Most likely this is a second copy of the program.
    #[error("the database {} is in use: another process has it; end one of the two", path.display())]
    Held { path: PathBuf },
    /// A file beside it cannot be used, such as the lock that keeps a second process away.
    #[error("the file {} cannot be used: {source}", path.display())]
    Lock { path: PathBuf, source: std::io::Error },
    /// It is damaged. Only the service that it belongs to may set it aside, and another process opened it.
    #[error("the database {} is damaged ({why}): `serve` sets it aside when it starts, or put a backup in its place", path.display())]
    Damaged { path: PathBuf, why: String },
    /// There is no database, and this caller does not make one.
    #[error("there is no database {}: is the path right? The service makes it at its first start", path.display())]
    Missing { path: PathBuf },
    /// A damaged database could not be renamed, and it is not ours to delete.
    #[error("the damaged database {} cannot be set aside", path.display())]
    SetAside { path: PathBuf, source: std::io::Error },
    /// Another error, such as a lock that another process holds.
    #[error("the database {} cannot be opened", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

/// Opens the database at `path`, or makes it (but not its directory). A damaged one is renamed to
/// `NAME.corrupt-UNIXTIME`, together with its `-wal` and `-shm`, and a new one is begun.
/// Only a damaged database is set aside.
pub fn open(path: &Path, schema: &Schema) -> Result<Opened, OpenError> {
    there(path)?;
    let moved = |path: &Path| set_aside(path).map_err(|source| OpenError::SetAside { path: path.into(), source });
    let before = if is_lost(path) { Some(moved(path)?) } else { None };
    match attempt(path, schema, Owner::Yes) {
        Ok((connection, created)) => Ok(Opened { connection, created, set_aside: before }),
        Err(OpenError::Damaged { .. }) => {
            let aside = moved(path)?;
            let (connection, created) = attempt(path, schema, Owner::Yes)?;
            Ok(Opened { connection, created, set_aside: Some(aside) })
        }
        Err(error) => Err(error),
    }
}

/// Opens the database at `path` beside the service that it belongs to. The service may be running. So a damaged
/// database stays in its place: to set it aside would take it away from the service. A missing one is made only with
/// `make`.
/// Beside the errors of [`open`] there are [`OpenError::Damaged`], [`OpenError::Missing`] and [`OpenError::Older`].
pub fn open_beside(path: &Path, schema: &Schema, make: bool) -> Result<Opened, OpenError> {
    there(path)?;
    if is_lost(path) {
        return Err(OpenError::Damaged { path: path.into(), why: "what it held is lost".into() });
    }
    if !make && !path.exists() {
        return Err(OpenError::Missing { path: path.into() });
    }
    let (connection, created) = attempt(path, schema, Owner::Beside)?;
    Ok(Opened { connection, created, set_aside: None })
}

/// Opens the database at `path` beside a connection that is there already, only to read. It takes no lock of a writer and copies
/// nothing out of the log: whoever sells goes on meanwhile. The errors are those of [`open_beside`] without `make`.
pub fn open_to_read(path: &Path, schema: &Schema) -> Result<Connection, OpenError> {
    there(path)?;
    if !path.exists() {
        return Err(OpenError::Missing { path: path.into() });
    }
    let (connection, _) = attempt(path, schema, Owner::Reader)?;
    connection.pragma_update(None, "query_only", true).map_err(|error| explain(path, error))?;
    Ok(connection)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The service that it belongs to. Only the service brings it up to date.
    Yes,
    /// Another process. The service may run at the same time and be of an earlier release.
    Beside,
    /// A process that has the database open, and reads it on one more connection.
    Reader,
}

/// Claims the database at `path` for this process until the answer is dropped, with a lock on `NAME.lock` beside it.
/// SQLite itself lets a second process write, and the first process does not notice. The lock's file stays: deleting it
/// lets a second process in.
/// It fails with [`OpenError::Held`] when another process has it.
pub fn claim(path: &Path) -> Result<Lock, OpenError> {
    let lock = lock_file(path)?;
    match lock.0.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Held { path: path.into() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Lock { path: with_suffix(path, ".lock"), source }),
    }
}

/// Opens the lock file of the database at `path`, or makes it. The lock says which process has the database.
fn lock_file(path: &Path) -> Result<Lock, OpenError> {
    there(path)?;
    let lock = with_suffix(path, ".lock");
    // If this fails, the next line says why.
    drop(owner::create(&lock, MODE, path));
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(MODE).open(&lock);
    file.map(Lock).map_err(|source| beside(path, lock, source))
}

fn beside(path: &Path, file: PathBuf, source: std::io::Error) -> OpenError {
    match source.kind() {
        // The directory exists. Only the kernel's own file systems answer so then.
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => OpenError::ReadOnly { path: path.into() },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => OpenError::Full { path: path.into() },
        _ => OpenError::Lock { path: file, source },
    }
}

/// Looks whether the disk of the database at `path` has room for a sale. It writes that much into a file beside the database. The
/// file is gone when this returns, and after a power cut too. A full disk still takes a small write: in the last block of a file,
/// or in an old part of the log. After only such a write, a program would call the database well now, and fail again at the next
/// sale.
pub fn find_room(path: &Path) -> Result<(), OpenError> {
    let room = with_suffix(path, ".room");
    let write = || {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(MODE).open(&room)?;
        std::fs::remove_file(&room)?;
        file.write_all(&[0; SALE_BYTES])?;
        // A disk may promise more than it has, until a sync.
        file.sync_all()
    };
    write().map_err(|source| beside(path, room.clone(), source))
}

/// More than a sale writes: 40 KB of frames in the log at a machine, and the growth of the database when they are copied.
const SALE_BYTES: usize = 64 * 1024;

/// A lock on a file, until it is dropped.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // A forked child that has not started its own program yet has the file open too, and would keep the lock.
        drop(self.0.unlock());
    }
}

/// One process's part in a database that several processes of one program may use at once.
#[derive(Debug)]
pub struct Share {
    lock: Lock,
    alone: bool,
}

impl Share {
    /// Whether no other process had a part when this one was taken. Nobody gets a part before [`Share::let_others_in`].
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.alone
    }

    /// The work that only one process may do is done.
    pub fn let_others_in(&self) -> std::io::Result<()> {
        // flock(2) drops the one kind of lock before it takes the other. A process that looks at that moment finds nobody,
        // and begins as if it were alone. It did the same before there was this lock: charges of that moment are given up,
        // and nothing is lost.
        if self.alone { self.lock.0.lock_shared() } else { Ok(()) }
    }
}

/// Takes part in the database at `path` until the answer is dropped, with a lock on `NAME.lock` beside it. While another
/// process is alone there, it waits until that process lets others in.
pub fn share(path: &Path) -> Result<Share, OpenError> {
    let lock = lock_file(path)?;
    let locked = match lock.0.try_lock() {
        Ok(()) => return Ok(Share { lock, alone: true }),
        Err(TryLockError::WouldBlock) => lock.0.lock_shared(),
        Err(TryLockError::Error(source)) => Err(source),
    };
    match locked {
        Ok(()) => Ok(Share { lock, alone: false }),
        Err(source) => Err(OpenError::Lock { path: with_suffix(path, ".lock"), source }),
    }
}

/// Looks at every page (`PRAGMA quick_check`). It is slow on a large database, and does not see a value that changed
/// within its column. Rows carry a checksum for that.
/// The error is SQLite's, when the check cannot be run. A fault that it found is `Some(text)`, at most its first line.
pub fn check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    found_by(connection, "PRAGMA quick_check(1)")
}

/// The same, and compares every index with its table (`PRAGMA integrity_check`). It is slower still. An index that lost a row
/// hides the row from a query by that index, and from no other query.
pub fn check_indexes(connection: &Connection) -> rusqlite::Result<Option<String>> {
    found_by(connection, "PRAGMA integrity_check(1)")
}

fn found_by(connection: &Connection, check: &str) -> rusqlite::Result<Option<String>> {
    let found: String = connection.query_row(check, [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// Does this error say that the file is damaged, and not that it cannot be reached? A value with another type than its column
/// also says so, and so does a text that is not UTF-8. Nobody could write such a value into a STRICT table, but a flipped bit
/// can.
#[must_use]
pub fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..))
        || matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Moves a damaged database aside, to `NAME.corrupt-UNIXTIME`; see [`move_aside`].
pub fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    move_aside(path, "corrupt")
}

/// Renames a database with its `-wal` and `-shm` to `NAME.WHY-UNIXTIME` (`…-wal`, `…-shm`) beside it, and answers
/// the new name. First every connection to it must be dropped.
/// The main file goes last, so a second call after an error does the rest.
pub fn move_aside(path: &Path, why: &str) -> std::io::Result<PathBuf> {
    let seconds = clock::now().wall.0.div_euclid(1000);
    // A name is never used twice: no earlier file that was set aside is overwritten.
    let names = (seconds..).map(|seconds| with_suffix(path, &format!(".{why}-{seconds}")));
    let taken = |aside: &PathBuf| ["", "-wal", "-shm"].iter().any(|suffix| with_suffix(aside, suffix).symlink_metadata().is_ok());
    let aside = names.into_iter().find(|aside| !taken(aside)).expect("one of endlessly many names is free");
    for suffix in ["-shm", "-wal", ""] {
        match std::fs::rename(with_suffix(path, suffix), with_suffix(&aside, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    if let Some(directory) = path.parent() {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        std::fs::File::open(directory)?.sync_all()?;
    }
    Ok(aside)
}

fn there(path: &Path) -> Result<(), OpenError> {
    files::refuse_share(path)?;
    match path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        Some(directory) if !directory.is_dir() => Err(OpenError::NoDirectory { path: path.into() }),
        Some(_) | None => Ok(()),
    }
}

/// Whether a database was lost, and only a remnant is there: less than the smallest page (512 bytes), or a log without
/// a database. SQLite takes both for an empty database. It would overwrite the one and delete the other.
fn is_lost(path: &Path) -> bool {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| if metadata.is_file() { metadata.len() } else { 0 });
    match size(path) {
        // It looks once more: another process may just have begun the database, and its log comes after its first page.
        0 => size(&with_suffix(path, "-wal")) > 0 && size(path) == 0,
        bytes => bytes < 512,
    }
}

/// Opens the database and sets nothing aside. Tells whether the database is new.
fn attempt(path: &Path, schema: &Schema, owner: Owner) -> Result<(Connection, bool), OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // SQLite would let everybody read it whom the umask allows, and gives its log the mode of the file. If this fails,
    // SQLite fails too, and says why.
    drop(owner::create(path, MODE, path));
    let until = Instant::now() + BUSY;
    loop {
        let mut connection = Connection::open_with_flags(path, flags).map_err(|error| explain(path, error))?;
        match prepare(&mut connection, path, schema, owner) {
            Ok(Ok(created)) => return Ok((connection, created)),
            Ok(Err(error)) => return Err(error),
            // Two processes that make one database at once both want to change its journal while they read it. SQLite
            // does not let either wait.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < until => {
                std::thread::sleep(BUSY_PAUSE);
            }
            Err(error) if is_damage(&error) => return Err(OpenError::Damaged { path: path.into(), why: error.to_string() }),
            Err(error) => return Err(explain(path, error)),
        }
    }
}

fn prepare(connection: &mut Connection, path: &Path, schema: &Schema, owner: Owner) -> rusqlite::Result<Result<bool, OpenError>> {
    // If the database is damaged or not ours, closing it must leave its log in place.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Without this, a statement with a parameter at LIMIT is parsed anew at each use. So is one with a parameter that
    // is compared with an indexed column.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(BUSY)?;
    // SQLite opens a file that it may not write only for reading, and does not say so.
    if connection.is_readonly("main")? {
        return Ok(Err(OpenError::ReadOnly { path: path.into() }));
    }
    // Everything is read at one moment: another process may just begin the database. This is the first read. It fails on
    // a file that is not a database, or is shorter than its header says.
    let moment = connection.transaction()?;
    let number = |pragma: &str| moment.query_row(pragma, [], |row| row.get::<_, i32>(0));
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let (application_id, found) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    moment.commit()?;
    let known = schema.version();
    // A power cut before the first commit leaves an empty database. Nobody has written to it yet.
    let mut created = application_id == 0 && found == 0 && tables == 0;
    if !created && application_id != schema.application_id {
        return Ok(Err(OpenError::Foreign { path: path.into(), found: application_id }));
    }
    if !created && found > known && !schema.goes_on_with(connection)? {
        return Ok(Err(OpenError::Newer { path: path.into(), found, known }));
    }
    if found < known && (owner == Owner::Reader || !created && owner == Owner::Beside) {
        return Ok(Err(OpenError::Older { path: path.into(), found, known }));
    }
    if created {
        // This comes before WAL, because the page size cannot change after that. A sale writes a third of the bytes that it
        // writes with the default of 4096.
        connection.pragma_update(None, "page_size", 1024)?;
    }
    // This comes before anything is written.
    if found == known
        && let Some(why) = strange(connection, schema)?
    {
        return Ok(Err(OpenError::Damaged { path: path.into(), why }));
    }
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Whoever was here first did this. It would keep sales out while it waits for those who read.
    if owner != Owner::Reader {
        log::empty(connection)?;
    }
    connection.pragma_update(None, "foreign_keys", false)?;
    for from in found..known {
        match step(connection, schema, from)? {
            MigrationOutcome::Gone => {}
            MigrationOutcome::GoneBefore => created = false,
            MigrationOutcome::Strange(why) => return Ok(Err(OpenError::Damaged { path: path.into(), why })),
        }
    }
    if found < known
        && let Some(why) = strange(connection, schema)?
    {
        return Ok(Err(OpenError::Damaged { path: path.into(), why }));
    }
    tune(connection)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    // SQLite keeps the mode that it had if the disk fails for a moment while it begins the log, and this is no error to it.
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    Ok(if mode == "wal" { Ok(created) } else { Err(OpenError::NoLog { path: path.into() }) })
}

fn tune(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "foreign_keys", true)?;
    // Without this, INSERT OR REPLACE slips past DELETE triggers.
    connection.pragma_update(None, "recursive_triggers", true)?;
    // Damage within a page is found when the page is read, and not only by a wrong answer.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.query_row(&format!("PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}"), [], |_| Ok(()))?;
    connection.query_row(&format!("PRAGMA journal_size_limit = {LOG_BYTES_MAX}"), [], |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(())
}

/// A file that is made here is for its owner alone, whatever the umask is. It holds orders, receipts and hashes of tokens.
const MODE: u32 = 0o600;
/// How long we wait for another process's lock. In WAL, readers take no lock; a backup or a second process does.
const BUSY: Duration = Duration::from_millis(500);
/// The pause before another try where SQLite does not wait by itself.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// The log is copied into the database every 2 MB, about fifty sales. Each copying costs two more fsyncs and writes the
/// pages again. A longer log would have to be read at the next start, which has 20 ms.
const CHECKPOINT_PAGES: u32 = 2000;
/// A log that grew because of a long reader is cut back to this size.
const LOG_BYTES_MAX: u32 = 4 * 1024 * 1024;
/// The most prepared statements that are kept. No program has more.
const STATEMENTS_MAX: usize = 64;

fn explain(path: &Path, source: rusqlite::Error) -> OpenError {
    let is_file = !path.is_dir();
    let path = path.to_path_buf();
    let Some(code) = source.sqlite_error_code() else { return OpenError::Sqlite { path, source } };
    match code {
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => OpenError::ReadOnly { path },
        // SQLite answers so for a file that it may not make.
        ErrorCode::CannotOpen if is_file => OpenError::ReadOnly { path },
        ErrorCode::DiskFull => OpenError::Full { path },
        // The error of a full disk before the first page is written.
        ErrorCode::SystemIoFailure if source.sqlite_extended_error_code() == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) => {
            OpenError::Full { path }
        }
        _ => OpenError::Sqlite { path, source },
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(any(test, feature = "testing"))]
pub mod testing {
    use super::Schema;
    use rusqlite::Connection;
    use std::path::Path;

    /// A later release takes this step with the database at `path`, if it `adds` only or not.
    pub fn take_later_step(path: &Path, schema: &Schema, step: String, adds: bool) {
        let step: &'static str = Box::leak(step.into_boxed_str());
        let steps: &'static [&'static str] = Box::leak([schema.steps, &[step]].concat().into_boxed_slice());
        let version = schema.version() + 1;
        let adding: &'static [i32] = if adds { Box::leak([schema.adding, &[version]].concat().into_boxed_slice()) } else { schema.adding };
        let opened = super::open(path, &Schema { steps, adding, ..*schema }).expect("a later release opens it");
        assert!(opened.set_aside.is_none());
        assert_eq!(version_of(&opened.connection), version);
    }

    /// A later release adds a column to each table, and a table. A program that names its columns goes on with that.
    pub fn grow(path: &Path, schema: &Schema) {
        let connection = Connection::open(path).expect("a database");
        let mut select =
            connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").expect("a schema");
        let tables = select.query_map([], |row| row.get::<_, String>(0)).expect("tables").map(|name| name.expect("a name"));
        let tables: Vec<String> = tables.collect();
        drop(select);
        drop(connection);
        let columns = tables.iter().enumerate().map(|(n, table)| {
            let column = if n % 2 == 0 { "TEXT" } else { "INTEGER NOT NULL DEFAULT 7" };
            format!("ALTER TABLE {table} ADD COLUMN of_later {column};")
        });
        take_later_step(path, schema, columns.chain(["CREATE TABLE of_later (n INTEGER PRIMARY KEY) STRICT;".into()]).collect(), true);
    }

    /// Checks that a program of before goes on with each step that says so, in a database that is made in this directory.
    pub fn programs_of_before_go_on(directory: &Path, schema: &Schema) {
        for version in schema.adding {
            let before = usize::try_from(*version - 1).expect("not the first step");
            let (path, steps) = (directory.join(format!("{version}.db")), &schema.steps[..=before]);
            drop(super::open(&path, &Schema { steps, ..*schema }).expect("made"));
            let opened = super::open(&path, &Schema { steps: &schema.steps[..before], ..*schema });
            let opened = opened.unwrap_or_else(|why| panic!("step {version} does not only add: {why}"));
            assert!(opened.set_aside.is_none());
        }
    }

    #[must_use]
    pub fn version_of(connection: &Connection) -> i32 {
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a version")
    }

    /// Changes rows as no program of ours would: without the triggers, which are there again afterwards. A changed schema would
    /// be damage by itself.
    pub fn damage(connection: &Connection, sql: &str) -> usize {
        let mut select = connection.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").expect("a schema");
        let triggers = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("triggers");
        let triggers: Vec<(String, String)> = triggers.map(|trigger| trigger.expect("a trigger")).collect();
        for (name, _) in &triggers {
            connection.execute_batch(&format!("DROP TRIGGER {name}")).expect("dropped");
        }
        let changed = connection.execute(sql, []).expect(sql);
        for (_, trigger) in &triggers {
            connection.execute_batch(trigger).expect("made again");
        }
        changed
    }
}

#[cfg(test)]
mod tests;
