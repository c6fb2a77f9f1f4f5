//! Opening a database: settings, whose it is, which version, and what is done about one that is damaged.

use super::clock;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

mod schema;

pub use schema::Schema;
use schema::{Step, step, strange};

/// An open database.
#[derive(Debug)]
pub struct Opened {
    /// Ready for use: WAL, `synchronous=FULL`, foreign keys, recursive triggers, a statement cache.
    pub connection: Connection,
    /// The database is new: there was none, or what there was is set aside.
    pub created: bool,
    /// Where a damaged database was put, if there was one.
    pub set_aside: Option<PathBuf>,
}

/// Why a database cannot be used. In each case the file is untouched and still in its place.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It was written by a later release.
    #[error("the database {} has version {found}, this program knows {known}: install the newer release", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// The version of this program.
        known: i32,
    },
    /// It was written by an earlier release, and was not opened by the program that brings it up to date.
    #[error("the database {} has version {found}, this program needs {known}: start its service again, which brings it up to date", path.display())]
    Older {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// The version of this program.
        known: i32,
    },
    /// It is a good database of another program.
    #[error("the database {} belongs to another program (application_id {found:#x}): correct the path", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
        /// Its `application_id`.
        found: i32,
    },
    /// The directory that it should be in does not exist.
    #[error("the directory of the database {} does not exist: make it, writable for this program", path.display())]
    NoDirectory {
        /// The database.
        path: PathBuf,
    },
    /// The file or its directory may not be written.
    #[error("the database {} cannot be written: look at its owner, its directory and how its disk is mounted", path.display())]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// The disk has no room for it, or for the file through which its users share it.
    #[error("the database {} has no room: make some on its disk", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// Another process has it: a second copy of the program, most likely.
    #[error("the database {} is in use: another process has it; end one of the two", path.display())]
    Held {
        /// The database.
        path: PathBuf,
    },
    /// A file beside it cannot be had, such as the lock that keeps a second process away.
    #[error("the file {} cannot be had: {source}", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is damaged, and was not opened by the program that may set it aside.
    #[error("the database {} is damaged ({why}): `serve` sets it aside when it starts, or put a backup in its place", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is none, and whoever opened it makes none.
    #[error("there is no database {}: is the path right?", path.display())]
    Missing {
        /// The database.
        path: PathBuf,
    },
    /// A damaged database could not be renamed, and it is not ours to delete.
    #[error("the damaged database {} cannot be set aside", path.display())]
    SetAside {
        /// The database.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Anything else, such as a lock that somebody holds.
    #[error("the database {} cannot be opened", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
}

/// Opens the database at `path`, or makes it (never its directory). A damaged one is renamed to
/// `NAME.corrupt-UNIXTIME`, together with its `-wal` and `-shm`, and a new one is begun.
///
/// # Errors
/// [`OpenError`]; what is not damaged is never set aside.
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

/// Opens the database at `path` beside the program that it belongs to, which may run: a damaged one stays where it is,
/// since setting it aside would take it from under that program's feet. One that is missing is made only with `make`.
///
/// # Errors
/// [`OpenError`]; [`OpenError::Damaged`], [`OpenError::Missing`] and [`OpenError::Older`] beside those of [`open`].
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

/// Who opens a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The program that it belongs to: it alone brings it up to date.
    Yes,
    /// Somebody beside that program, which may run and be of an earlier release.
    Beside,
}

/// Claims the database at `path` for this process until the answer is dropped, by a lock on `NAME.lock` beside it. SQLite
/// itself lets a second process write, of which the first learns nothing. The lock's file stays: whoever deletes it lets a
/// second process in.
///
/// # Errors
/// [`OpenError::Held`] when another process has it, else what the lock's file or its directory lack.
pub fn claim(path: &Path) -> Result<Lock, OpenError> {
    let lock = lock_file(path)?;
    match lock.0.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Held { path: path.into() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Lock { path: with_suffix(path, ".lock"), source }),
    }
}

/// Opens the file whose lock says who has the database at `path`, or makes it.
fn lock_file(path: &Path) -> Result<Lock, OpenError> {
    there(path)?;
    let lock = with_suffix(path, ".lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(MODE).open(&lock);
    file.map(Lock).map_err(|source| beside(path, lock, source))
}

/// Why there is no such file beside the database at `path`.
fn beside(path: &Path, file: PathBuf, source: std::io::Error) -> OpenError {
    match source.kind() {
        // Its directory is there; only the kernel's own file systems say so then.
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => OpenError::ReadOnly { path: path.into() },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => OpenError::Full { path: path.into() },
        _ => OpenError::Lock { path: file, source },
    }
}

/// Looks whether the disk of the database at `path` has room for a sale. It writes as much into a file beside the database, which
/// is gone when this returns, and after a power cut, too. A full disk still takes something small: in the last block of a file, or
/// in an old part of the log. A program that wrote only that would find the database well now, and ill again at the next sale.
///
/// # Errors
/// [`OpenError::Full`], or what else is wrong there.
pub fn find_room(path: &Path) -> Result<(), OpenError> {
    let room = with_suffix(path, ".room");
    let write = || {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(MODE).open(&room)?;
        std::fs::remove_file(&room)?;
        file.write_all(&[0; SALE_BYTES])?;
        // A disk may promise more than it has, until it is asked to keep it.
        file.sync_all()
    };
    write().map_err(|source| beside(path, room.clone(), source))
}

/// More than a sale writes: its frames in the log, 40 KB at a machine, and what the database grows by when they are copied.
const SALE_BYTES: usize = 64 * 1024;

/// A lock on a file, until it is dropped.
#[derive(Debug)]
pub struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // A child that was forked and has not yet begun its own program has the file open too, and would keep the lock.
        drop(self.0.unlock());
    }
}

/// A part in a database that several processes of one program may use at once.
#[derive(Debug)]
pub struct Share {
    lock: Lock,
    alone: bool,
}

impl Share {
    /// Whether nobody else had a part when this one was taken; nobody gets one before [`Share::let_others_in`].
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.alone
    }

    /// What only one process may do is done.
    ///
    /// # Errors
    /// The system's reason.
    pub fn let_others_in(&self) -> std::io::Result<()> {
        // flock(2) takes the one kind of lock away before it gives the other. Who looks just then finds nobody, and begins as
        // if it were alone, as it did before there was this lock: charges of that moment are given up, and nothing is lost.
        if self.alone { self.lock.0.lock_shared() } else { Ok(()) }
    }
}

/// Takes part in the database at `path` until the answer is dropped, by a lock on `NAME.lock` beside it. Waits for who is
/// alone there to let others in.
///
/// # Errors
/// What the lock's file or its directory lack.
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

/// Looks at every page (`PRAGMA quick_check`): slow on a large database, and blind for a value that changed within its
/// column, for which rows carry a checksum.
///
/// # Errors
/// SQLite's reason when the check cannot be run. What it found is `Some(text)`, at most its first line.
pub fn check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    found_by(connection, "PRAGMA quick_check(1)")
}

/// The same, and compares every index with its table (`PRAGMA integrity_check`): slower still. An index that lost a row hides
/// it from whoever asks by that index, and from nobody else.
///
/// # Errors
/// As [`check`].
pub fn check_indexes(connection: &Connection) -> rusqlite::Result<Option<String>> {
    found_by(connection, "PRAGMA integrity_check(1)")
}

fn found_by(connection: &Connection, check: &str) -> rusqlite::Result<Option<String>> {
    let found: String = connection.query_row(check, [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// Does this error say that the file is damaged, and not that it cannot be reached? A value of another type than its column's
/// does too, and a text that is no UTF-8: nobody could write it into a STRICT table, but a bit that flips can.
#[must_use]
pub fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..))
        || matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Renames a database with its `-wal` and `-shm` to `NAME.corrupt-UNIXTIME` (`…-wal`, `…-shm`) beside it, and says where
/// it went. Every connection to it must be dropped before.
///
/// # Errors
/// The system's reason. The main file goes last, so that a second call does the rest.
pub fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    let seconds = clock::now().wall.0.div_euclid(1000);
    // A name is never used twice: an older file that was set aside is not overwritten.
    let names = (seconds..).map(|seconds| with_suffix(path, &format!(".corrupt-{seconds}")));
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
    match path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        Some(directory) if !directory.is_dir() => Err(OpenError::NoDirectory { path: path.into() }),
        Some(_) | None => Ok(()),
    }
}

/// What is left where a database was lost: less than the smallest page (512 bytes) can be, or a log without it. SQLite
/// takes both for an empty database; it would overwrite the one and delete the other.
fn is_lost(path: &Path) -> bool {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| if metadata.is_file() { metadata.len() } else { 0 });
    match size(path) {
        // Looked at once more: another process may just have begun it, and its log comes after its first page.
        0 => size(&with_suffix(path, "-wal")) > 0 && size(path) == 0,
        bytes => bytes < 512,
    }
}

/// Opens without any setting aside. Tells whether the database is new.
fn attempt(path: &Path, schema: &Schema, owner: Owner) -> Result<(Connection, bool), OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // SQLite would make it for everybody whom the umask lets, and gives its log the mode of the file. What prevents this
    // prevents SQLite too, which says why.
    drop(OpenOptions::new().create_new(true).write(true).mode(MODE).open(path));
    let until = Instant::now() + BUSY;
    loop {
        let mut connection = Connection::open_with_flags(path, flags).map_err(|error| explain(path, error))?;
        match prepare(&mut connection, path, schema, owner) {
            Ok(Ok(created)) => return Ok((connection, created)),
            Ok(Err(error)) => return Err(error),
            // Two that make one database at once want to change its journal both while they read it: SQLite lets neither wait.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < until => {
                std::thread::sleep(BUSY_PAUSE);
            }
            Err(error) if is_damage(&error) => return Err(OpenError::Damaged { path: path.into(), why: error.to_string() }),
            Err(error) => return Err(explain(path, error)),
        }
    }
}

fn prepare(connection: &mut Connection, path: &Path, schema: &Schema, owner: Owner) -> rusqlite::Result<Result<bool, OpenError>> {
    // Should it turn out to be damaged or not ours, then closing must leave its log where it is.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Without it a statement with a parameter at LIMIT, or compared with an indexed column, is parsed anew at each use.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(BUSY)?;
    // SQLite opens what it may not write for reading, without a word.
    if connection.is_readonly("main")? {
        return Ok(Err(OpenError::ReadOnly { path: path.into() }));
    }
    // All of one moment: another process may just begin it. The first read; a file that is no database or shorter than it
    // says fails here.
    let moment = connection.transaction()?;
    let number = |pragma: &str| moment.query_row(pragma, [], |row| row.get::<_, i32>(0));
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let (application_id, found) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    moment.commit()?;
    let known = schema.version();
    // A power cut before the first commit leaves an empty database, which nobody has written yet.
    let mut created = application_id == 0 && found == 0 && tables == 0;
    if !created && application_id != schema.application_id {
        return Ok(Err(OpenError::Foreign { path: path.into(), found: application_id }));
    }
    if !created && found > known {
        return Ok(Err(OpenError::Newer { path: path.into(), found, known }));
    }
    if !created && found < known && owner == Owner::Beside {
        return Ok(Err(OpenError::Older { path: path.into(), found, known }));
    }
    if created {
        // Before WAL, after which it cannot be changed. A sale writes a third of what it does with the default of 4096.
        connection.pragma_update(None, "page_size", 1024)?;
    }
    // Before anything is written.
    if found == known
        && let Some(why) = strange(connection, schema)?
    {
        return Ok(Err(OpenError::Damaged { path: path.into(), why }));
    }
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    empty_log(connection)?;
    connection.pragma_update(None, "foreign_keys", false)?;
    for from in found..known {
        match step(connection, schema, from)? {
            Step::Gone => {}
            Step::GoneBefore => created = false,
            Step::Strange(why) => return Ok(Err(OpenError::Damaged { path: path.into(), why })),
        }
    }
    if found < known
        && let Some(why) = strange(connection, schema)?
    {
        return Ok(Err(OpenError::Damaged { path: path.into(), why }));
    }
    connection.pragma_update(None, "foreign_keys", true)?;
    // Without it INSERT OR REPLACE slips past DELETE triggers.
    connection.pragma_update(None, "recursive_triggers", true)?;
    // Damage within a page is found when the page is read, and not by what it makes of the answers.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.query_row(&format!("PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}"), [], |_| Ok(()))?;
    connection.query_row(&format!("PRAGMA journal_size_limit = {LOG_BYTES_MAX}"), [], |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(Ok(created))
}

/// Copies what the log holds into the database, and makes the log empty. A sync that failed has lost what it was to keep, but
/// the kernel still shows it, and counts it as written: a program that is started then finds a commit in the log that it was
/// told had failed, and appends to it. Should the power go later, the log ends at the gap, and all that was committed after
/// it is lost with it: in a ledger, a pulse. What is copied is synced once more, in the database.
fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    let result = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    match result.as_ref().err().and_then(rusqlite::Error::sqlite_error_code) {
        // Others may be reading, or the disk be full: then what is there is as good as it was, and the next opening tries again.
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::DiskFull | ErrorCode::ReadOnly) => Ok(()),
        Some(_) | None => result,
    }
}

/// What is made here is for its owner alone, whatever the umask: orders, receipts and hashes of tokens.
const MODE: u32 = 0o600;
/// How long a lock of somebody else is waited for. Readers take none in WAL; a backup or a second process does.
const BUSY: Duration = Duration::from_millis(500);
/// Before another try where SQLite does not wait by itself.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// The log is copied into the database every 2 MB, about fifty sales: each copying costs two more fsyncs and writes the
/// pages again. A longer one would be read at the next start, which has 20 ms.
const CHECKPOINT_PAGES: u32 = 2000;
/// A log that grew because of a long reader is cut back to this.
const LOG_BYTES_MAX: u32 = 4 * 1024 * 1024;
/// Prepared statements that are kept; no program has more.
const STATEMENTS_MAX: usize = 64;

fn explain(path: &Path, source: rusqlite::Error) -> OpenError {
    let is_file = !path.is_dir();
    let path = path.to_path_buf();
    let Some(code) = source.sqlite_error_code() else { return OpenError::Sqlite { path, source } };
    match code {
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => OpenError::ReadOnly { path },
        // SQLite says so of a file that it may not make.
        ErrorCode::CannotOpen if is_file => OpenError::ReadOnly { path },
        ErrorCode::DiskFull => OpenError::Full { path },
        // What a full disk looks like before the first page is written.
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

/// For tests of the databases.
#[cfg(any(test, feature = "testing"))]
pub mod testing {
    use rusqlite::Connection;

    /// Changes rows as no program of ours would: past the triggers, which stand there again afterwards. A schema that is another
    /// one would be damage by itself.
    ///
    /// # Panics
    /// Where it cannot be changed.
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
