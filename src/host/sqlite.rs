//! Opening a database: settings, whose it is, which version, and what is done about one that is damaged.

use super::clock;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a program expects of its database.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Whose file it is (`PRAGMA application_id`): a number of its own for each program, not 0.
    pub application_id: i32,
    /// The version of the schema (`PRAGMA user_version`), from 1. Changes are additive.
    pub version: i32,
    /// The statements that make an empty database of this version; run in one transaction.
    pub sql: &'static str,
}

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
    /// It was written by an earlier release, and there is no way from its version to ours.
    #[error("the database {} has version {found}, this program needs {known}", path.display())]
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
    /// The file that keeps a second process away cannot be had.
    #[error("the lock {} cannot be had: {source}", path.display())]
    Lock {
        /// The lock.
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
    match attempt(path, schema) {
        Ok((connection, created)) => Ok(Opened { connection, created, set_aside: before }),
        Err(OpenError::Sqlite { source, .. }) if is_damage(&source) => {
            let aside = moved(path)?;
            let (connection, created) = attempt(path, schema)?;
            Ok(Opened { connection, created, set_aside: Some(aside) })
        }
        Err(error) => Err(error),
    }
}

/// Opens the database at `path` beside the program that it belongs to, which may run: a damaged one stays where it is,
/// since setting it aside would take it from under that program's feet. One that is missing is made only with `make`.
///
/// # Errors
/// [`OpenError`]; [`OpenError::Damaged`] and [`OpenError::Missing`] beside those of [`open`].
pub fn open_beside(path: &Path, schema: &Schema, make: bool) -> Result<Opened, OpenError> {
    there(path)?;
    if is_lost(path) {
        return Err(OpenError::Damaged { path: path.into(), why: "what it held is lost".into() });
    }
    if !make && !path.exists() {
        return Err(OpenError::Missing { path: path.into() });
    }
    match attempt(path, schema) {
        Ok((connection, created)) => Ok(Opened { connection, created, set_aside: None }),
        Err(OpenError::Sqlite { path, source }) if is_damage(&source) => Err(OpenError::Damaged { path, why: source.to_string() }),
        Err(error) => Err(error),
    }
}

/// Claims the database at `path` for this process until the answer is dropped, by a lock on `NAME.lock` beside it. SQLite
/// itself lets a second process write, of which the first learns nothing. The lock's file stays: whoever deletes it lets a
/// second process in.
///
/// # Errors
/// [`OpenError::Held`] when another process has it, else what the lock's file or its directory lack.
pub fn claim(path: &Path) -> Result<File, OpenError> {
    let file = lock_file(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Held { path: path.into() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Lock { path: with_suffix(path, ".lock"), source }),
    }
}

/// Opens the file whose lock says who has the database at `path`, or makes it.
fn lock_file(path: &Path) -> Result<File, OpenError> {
    there(path)?;
    let lock = with_suffix(path, ".lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(MODE).open(&lock);
    file.map_err(|source| match source.kind() {
        // Its directory is there; only the kernel's own file systems say so then.
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => OpenError::ReadOnly { path: path.into() },
        ErrorKind::StorageFull => OpenError::Full { path: path.into() },
        _ => OpenError::Lock { path: lock, source },
    })
}

/// A part in a database that several processes of one program may use at once.
#[derive(Debug)]
pub struct Share {
    lock: File,
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
        if self.alone { self.lock.lock_shared() } else { Ok(()) }
    }
}

/// Takes part in the database at `path` until the answer is dropped, by a lock on `NAME.lock` beside it. Waits for who is
/// alone there to let others in.
///
/// # Errors
/// What the lock's file or its directory lack.
pub fn share(path: &Path) -> Result<Share, OpenError> {
    let lock = lock_file(path)?;
    let locked = match lock.try_lock() {
        Ok(()) => return Ok(Share { lock, alone: true }),
        Err(TryLockError::WouldBlock) => lock.lock_shared(),
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
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// Does this error say that the file is damaged, and not that it cannot be reached?
#[must_use]
pub fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
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
        0 => size(&with_suffix(path, "-wal")) > 0,
        bytes => bytes < 512,
    }
}

/// Opens without any setting aside. Tells whether the database is new.
fn attempt(path: &Path, schema: &Schema) -> Result<(Connection, bool), OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // SQLite would make it for everybody whom the umask lets, and gives its log the mode of the file. What prevents this
    // prevents SQLite too, which says why.
    drop(OpenOptions::new().create_new(true).write(true).mode(MODE).open(path));
    let mut connection = Connection::open_with_flags(path, flags).map_err(|error| explain(path, error))?;
    match prepare(&mut connection, path, schema) {
        Ok(Ok(created)) => Ok((connection, created)),
        Ok(Err(error)) => Err(error),
        Err(error) => Err(explain(path, error)),
    }
}

fn prepare(connection: &mut Connection, path: &Path, schema: &Schema) -> rusqlite::Result<Result<bool, OpenError>> {
    // Should it turn out to be damaged or not ours, then closing must leave its log where it is.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(BUSY)?;
    // SQLite opens what it may not write for reading, without a word.
    if connection.is_readonly("main")? {
        return Ok(Err(OpenError::ReadOnly { path: path.into() }));
    }
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i32>(0));
    // The first read; a file that is no database or shorter than it says fails here.
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let (application_id, found) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    let known = schema.version;
    // A power cut before the first commit leaves an empty database, which nobody has written yet.
    let created = application_id == 0 && found == 0 && tables == 0;
    if !created && application_id != schema.application_id {
        return Ok(Err(OpenError::Foreign { path: path.into(), found: application_id }));
    }
    if !created && found > known {
        return Ok(Err(OpenError::Newer { path: path.into(), found, known }));
    }
    if !created && found < known {
        return Ok(Err(OpenError::Older { path: path.into(), found, known }));
    }
    if created {
        // Before WAL, after which it cannot be changed. A sale writes a third of what it does with the default of 4096.
        connection.pragma_update(None, "page_size", 1024)?;
    }
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Without it INSERT OR REPLACE slips past DELETE triggers.
    connection.pragma_update(None, "recursive_triggers", true)?;
    // Damage within a page is found when the page is read, and not by what it makes of the answers.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.query_row(&format!("PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}"), [], |_| Ok(()))?;
    connection.query_row(&format!("PRAGMA journal_size_limit = {LOG_BYTES_MAX}"), [], |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    if created {
        let transaction = connection.transaction()?;
        transaction.execute_batch(schema.sql)?;
        transaction.pragma_update(None, "application_id", schema.application_id)?;
        transaction.pragma_update(None, "user_version", schema.version)?;
        transaction.commit()?;
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(Ok(created))
}

/// What is made here is for its owner alone, whatever the umask: orders, receipts and hashes of tokens.
const MODE: u32 = 0o600;
/// How long a lock of somebody else is waited for. Readers take none in WAL; a backup or a second process does.
const BUSY: Duration = Duration::from_millis(500);
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

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: Schema = Schema { application_id: 0x7172_6973, version: 1, sql: "CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT;" };

    struct Rig(tempfile::TempDir);

    impl Rig {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a directory"))
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("a.db")
        }

        /// A good database of a few hundred pages, closed.
        fn filled(&self) {
            let opened = open(&self.path(), &SCHEMA).expect("new");
            let sql = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 20000) INSERT INTO t SELECT n FROM c";
            opened.connection.execute_batch(sql).expect("filled");
        }

        fn rows(&self) -> i64 {
            let opened = open(&self.path(), &SCHEMA).expect("opens");
            opened.connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("a count")
        }

        fn names(&self) -> Vec<String> {
            let entries = std::fs::read_dir(self.0.path()).expect("readable");
            let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
            names.sort();
            names
        }
    }

    fn pragma(connection: &Connection, name: &str) -> String {
        let value: rusqlite::types::Value = connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).expect("a value");
        match value {
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Integer(number) => number.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_database_has_all_settings_and_reopens_with_them() {
        let rig = Rig::new();
        for created in [true, false] {
            let opened = open(&rig.path(), &SCHEMA).expect("opens");
            assert_eq!((opened.created, &opened.set_aside), (created, &None));
            let table = [
                ("page_size", "1024"),
                ("journal_mode", "wal"),
                ("synchronous", "2"),
                ("foreign_keys", "1"),
                ("recursive_triggers", "1"),
                ("wal_autocheckpoint", "2000"),
                ("journal_size_limit", "4194304"),
                ("application_id", "1903323507"),
                ("user_version", "1"),
            ];
            for (name, value) in table {
                assert_eq!(pragma(&opened.connection, name), value, "{name}");
            }
            assert_eq!(check(&opened.connection), Ok(None));
            opened.connection.execute("INSERT INTO t VALUES (NULL)", []).expect("writes");
        }
        assert_eq!(rig.rows(), 2);
        assert_eq!(rig.names(), ["a.db"], "closing leaves no log behind");
    }

    #[test]
    fn a_newer_an_older_and_a_foreign_one_are_left_untouched() {
        let rig = Rig::new();
        rig.filled();
        let before = std::fs::read(rig.path()).expect("read");
        let newer = Schema { version: 0, ..SCHEMA };
        assert!(matches!(open(&rig.path(), &newer), Err(OpenError::Newer { found: 1, known: 0, .. })));
        let older = Schema { version: 2, ..SCHEMA };
        assert!(matches!(open(&rig.path(), &older), Err(OpenError::Older { found: 1, known: 2, .. })));
        let foreign = Schema { application_id: 7, ..SCHEMA };
        assert!(matches!(open(&rig.path(), &foreign), Err(OpenError::Foreign { found: 0x7172_6973, .. })));
        assert!(std::fs::read(rig.path()).expect("read") == before);
        assert_eq!(rig.names().iter().filter(|name| name.contains("corrupt")).count(), 0);
    }

    #[test]
    fn damage_is_set_aside_and_a_new_one_begun() {
        type Harm = fn(&Path);
        let table: [(&str, Harm); 7] = [
            ("garbage", |path| std::fs::write(path, b"this is not a database, whatever its name says ".repeat(50)).expect("written")),
            ("one byte", |path| std::fs::write(path, b"x").expect("written")),
            ("a few bytes", |path| std::fs::write(path, b"x".repeat(400)).expect("written")),
            ("a header and nothing else", |path| std::fs::write(path, &std::fs::read(path).expect("read")[..600]).expect("written")),
            ("truncated", |path| {
                let file = std::fs::File::options().write(true).open(path).expect("opened");
                file.set_len(file.metadata().expect("metadata").len() / 2).expect("cut");
            }),
            ("its schema overwritten", |path| {
                let mut bytes = std::fs::read(path).expect("read");
                bytes[100..1024].fill(0xff);
                std::fs::write(path, bytes).expect("written");
            }),
            ("emptied under its log", |path| {
                std::fs::write(path, b"").expect("written");
                std::fs::write(with_suffix(path, "-wal"), b"what was committed last").expect("written");
            }),
        ];
        for (what, harm) in table {
            let rig = Rig::new();
            rig.filled();
            harm(&rig.path());
            let harmed = std::fs::read(rig.path()).expect("read");
            let opened = open(&rig.path(), &SCHEMA).expect(what);
            assert!(opened.created, "{what}");
            let aside = opened.set_aside.expect(what);
            assert!(aside.file_name().is_some_and(|name| name.to_string_lossy().starts_with("a.db.corrupt-")), "{what}: {aside:?}");
            assert!(std::fs::read(&aside).expect(what) == harmed, "{what}: nothing of it is changed");
            drop(opened.connection);
            assert_eq!(rig.rows(), 0, "{what}");
        }
    }

    #[test]
    fn who_opens_beside_the_owner_sets_nothing_aside() {
        let rig = Rig::new();
        assert!(matches!(open_beside(&rig.path(), &SCHEMA, false), Err(OpenError::Missing { .. })));
        assert!(rig.names().is_empty(), "nothing is made");
        assert!(open_beside(&rig.path(), &SCHEMA, true).expect("made").created);
        rig.filled();
        for harm in [b"x".to_vec(), b"this is not a database ".repeat(100)] {
            std::fs::write(rig.path(), &harm).expect("written");
            for make in [false, true] {
                let told = open_beside(&rig.path(), &SCHEMA, make).expect_err("damaged");
                assert!(matches!(told, OpenError::Damaged { .. }), "{told}");
            }
            assert!(std::fs::read(rig.path()).expect("read") == harm);
            assert_eq!(rig.names().iter().filter(|name| name.contains("corrupt")).count(), 0);
        }
    }

    #[test]
    fn a_log_is_set_aside_with_its_database() {
        let rig = Rig::new();
        std::fs::write(rig.path(), b"garbage ".repeat(200)).expect("written");
        std::fs::write(with_suffix(&rig.path(), "-wal"), b"log").expect("written");
        let opened = open(&rig.path(), &SCHEMA).expect("a new one");
        let aside = opened.set_aside.expect("set aside");
        assert_eq!(std::fs::read(with_suffix(&aside, "-wal")).expect("kept"), b"log");
    }

    #[test]
    fn nothing_that_was_set_aside_is_overwritten() {
        let rig = Rig::new();
        for n in 1..=3 {
            std::fs::write(rig.path(), b"garbage ".repeat(200)).expect("written");
            assert!(open(&rig.path(), &SCHEMA).expect("a new one").set_aside.is_some());
            assert_eq!(rig.names().iter().filter(|name| name.contains("corrupt")).count(), n);
        }
    }

    #[test]
    fn a_database_that_was_killed_keeps_what_was_committed() {
        let (rig, after) = (Rig::new(), Rig::new());
        let opened = open(&rig.path(), &SCHEMA).expect("new");
        opened.connection.execute("INSERT INTO t VALUES (NULL)", []).expect("committed");
        // What a kill leaves: the files as they are while the connection is open.
        for suffix in ["", "-wal"] {
            std::fs::copy(with_suffix(&rig.path(), suffix), with_suffix(&after.path(), suffix)).expect("copied");
        }
        assert_eq!(after.rows(), 1);
    }

    #[test]
    fn what_cannot_be_reached_is_not_set_aside() {
        let rig = Rig::new();
        let missing = rig.0.path().join("nowhere/a.db");
        assert!(matches!(open(&missing, &SCHEMA), Err(OpenError::NoDirectory { .. })));
        // A directory in place of the file: not openable, whoever asks.
        std::fs::create_dir(rig.path()).expect("made");
        assert!(matches!(open(&rig.path(), &SCHEMA), Err(OpenError::Sqlite { .. })));
        assert_eq!(rig.names(), ["a.db"]);
        // A file system that nobody may write to.
        assert!(matches!(open(Path::new("/proc/self/qris.db"), &SCHEMA), Err(OpenError::ReadOnly { .. })));
    }

    #[test]
    fn the_systems_reasons_are_told_apart_and_none_is_damage() {
        let told = |code| explain(Path::new("/x/a.db"), rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)).to_string();
        use rusqlite::ffi;
        let table = [
            (ffi::SQLITE_READONLY, "cannot be written"),
            (ffi::SQLITE_READONLY_DIRECTORY, "cannot be written"),
            (ffi::SQLITE_PERM, "cannot be written"),
            (ffi::SQLITE_CANTOPEN, "cannot be written"),
            (ffi::SQLITE_FULL, "has no room"),
            (ffi::SQLITE_IOERR_SHMSIZE, "has no room"),
            (ffi::SQLITE_IOERR, "cannot be opened"),
            (ffi::SQLITE_BUSY, "cannot be opened"),
        ];
        for (code, text) in table {
            assert!(told(code).contains(text), "{code}: {}", told(code));
            assert!(!is_damage(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)), "{code}");
        }
    }

    #[test]
    fn a_locked_database_is_neither_damaged_nor_waited_for_long() {
        let rig = Rig::new();
        rig.filled();
        let holder = Connection::open(rig.path()).expect("opens");
        holder.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; INSERT INTO t VALUES (NULL);").expect("locked");
        assert!(matches!(open(&rig.path(), &SCHEMA), Err(OpenError::Sqlite { .. })));
        drop(holder);
        assert_eq!(rig.rows(), 20_000);
    }

    #[test]
    fn what_is_made_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let rig = Rig::new();
        let _lock = claim(&rig.path()).expect("free");
        let _opened = open(&rig.path(), &SCHEMA).expect("new");
        assert_eq!(rig.names(), ["a.db", "a.db-shm", "a.db-wal", "a.db.lock"]);
        for name in rig.names() {
            let mode = std::fs::metadata(rig.0.path().join(&name)).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_database_is_claimed_by_one_at_a_time() {
        let rig = Rig::new();
        let held = claim(&rig.path()).expect("free");
        let told = claim(&rig.path()).expect_err("held").to_string();
        assert!(told.contains("another process has it"), "{told}");
        drop(held);
        drop(claim(&rig.path()).expect("free again"));
        assert!(matches!(claim(&rig.0.path().join("nowhere/a.db")), Err(OpenError::NoDirectory { .. })));
        assert!(matches!(claim(Path::new("/proc/self/qris.db")), Err(OpenError::ReadOnly { .. })));
    }

    #[test]
    fn several_share_a_database_once_the_first_lets_them() {
        let rig = Rig::new();
        let first = share(&rig.path()).expect("free");
        assert!(first.is_alone());
        let path = rig.path();
        let waits = std::thread::spawn(move || share(&path).expect("shared"));
        assert!(!waits.is_finished());
        first.let_others_in().expect("shared");
        let second = waits.join().expect("joined");
        assert!(!second.is_alone());
        drop(first);
        assert!(!share(&rig.path()).expect("shared").is_alone(), "the second is still there");
        drop(second);
        assert!(share(&rig.path()).expect("free").is_alone());
    }

    #[test]
    fn a_schema_that_fails_leaves_nothing_behind() {
        let rig = Rig::new();
        let wrong = Schema { sql: "CREATE TABLE a (n) STRICT; nonsense", ..SCHEMA };
        assert!(open(&rig.path(), &wrong).is_err());
        assert!(open(&rig.path(), &SCHEMA).expect("still empty").created);
    }
}
