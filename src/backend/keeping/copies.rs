//! Copies of the databases. They are made beside the writers, checked before they count, and never put over an existing file.

use crate::machines::devices;
use crate::sale::books::{self, BooksError};
use crate::store::{self, BOOKS, MACHINES, StoreError, machines_beside};
use qris_host::owner;
use qris_host::sqlite::{self, OpenError, Schema};
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Why there is no copy. The earlier files are as they were.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("{} is there already: name another file", path.display())]
    Exists { path: PathBuf },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be read, or the copy cannot be written.
    #[error("{}: {source}", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    #[error(transparent)]
    Books(#[from] BooksError),
    #[error("the copy {} is not good: {why}; look at the disk, or name another copy", path.display())]
    Bad { path: PathBuf, why: String },
}

impl From<StoreError> for CopyError {
    fn from(error: StoreError) -> Self {
        Self::Books(error.into())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    pub orders: i64,
    pub machines: i64,
    /// Orders and machines whose rows are damaged, in the copy as in the original.
    pub damaged: Vec<String>,
}

/// The place of the machines beside a backup of the books.
#[must_use]
pub fn machines_of(backup: &Path) -> PathBuf {
    with_suffix(backup, ".devices")
}

/// Copies the books to a file, and the machines to another beside it.
pub fn back_up(books: &Path, to: &Path) -> Result<Backup, CopyError> {
    let with_machines = machines_of(to);
    let parts = [begin(to)?, begin(&with_machines)?];
    let result = copy_both(books, &parts, to);
    // The books come last: where they are, the machines are too.
    let result = result.and_then(|backup| {
        publish(&parts[1], &with_machines)?;
        publish(&parts[0], to)?;
        Ok(backup)
    });
    if result.is_err() {
        parts.iter().for_each(|part| abandon(part));
    }
    result
}

fn copy_both(books: &Path, parts: &[PathBuf; 2], to: &Path) -> Result<Backup, CopyError> {
    let orders = copy(books, &BOOKS, "SELECT count(*) FROM orders", &parts[0])?;
    let machines = copy(&machines_beside(books), &MACHINES, "SELECT count(*) FROM devices", &parts[1])?;
    let mut damaged = damaged_orders(&check(&parts[0])?)?;
    damaged.extend(store::read_on(&check(&parts[1])?, devices::list)?.damaged.into_iter().map(String::from));
    for (had, has) in [orders, machines] {
        // Meanwhile rows leave the books only for an archive.
        if has < had {
            return Err(CopyError::Bad { path: to.into(), why: format!("the database had {had} rows, and the copy has {has}") });
        }
    }
    Ok(Backup { orders: orders.1, machines: machines.1, damaged })
}

/// The number of rows in the original, and the number in the copy.
fn copy(from: &Path, schema: &Schema, count: &str, part: &Path) -> Result<(i64, i64), CopyError> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| CopyError::Sqlite { path, source }
    };
    let connection = sqlite::open_beside(from, schema, false)?.connection;
    let number = |connection: &Connection| connection.query_row(count, [], |row| row.get(0));
    let had = number(&connection).map_err(failed(from))?;
    // It copies one moment of the database, while others write on.
    connection.execute("VACUUM INTO ?1", [name(part)?]).map_err(failed(part))?;
    File::open(part).and_then(|file| file.sync_all()).map_err(io_error(part))?;
    Ok((had, number(&check(part)?).map_err(failed(part))?))
}

/// The names of orders that cannot be read.
pub(super) fn damaged_orders(connection: &Connection) -> Result<Vec<String>, CopyError> {
    let (mut all, mut behind) = (Vec::new(), String::new());
    loop {
        let (damaged, last) = store::read_on(connection, |tx| books::damaged(tx, &behind))?;
        all.extend(damaged);
        let Some(last) = last else { return Ok(all) };
        behind = last;
    }
}

/// Begins a copy under a name of its own, readable by its owner alone.
pub(super) fn begin(to: &Path) -> Result<PathBuf, CopyError> {
    free(to)?;
    begin_over(to)
}

/// The same for a copy whose name is still taken.
pub(super) fn begin_over(to: &Path) -> Result<PathBuf, CopyError> {
    let part = part_of(to);
    // A command that was cut off left this. It is not a copy of anything.
    abandon(&part);
    owner::create(&part, 0o600, to).map_err(io_error(&part))?;
    Ok(part)
}

/// The name under which a copy is made.
#[must_use]
pub fn part_of(to: &Path) -> PathBuf {
    with_suffix(to, ".part")
}

/// Deletes a failed copy, and the files of SQLite beside it.
pub(super) fn abandon(part: &Path) {
    ["", "-wal", "-shm", "-journal"].iter().for_each(|suffix| drop(fs::remove_file(with_suffix(part, suffix))));
}

/// Opens a copy, or an archive of orders, and changes nothing in it. An archive of an earlier release is read as it is: no step changes
/// the columns of an order that are read here.
pub fn open(path: &Path, schema: &Schema) -> Result<Connection, CopyError> {
    let failed = |source| CopyError::Sqlite { path: path.into(), source };
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(failed)?;
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i32>(0)).map_err(failed);
    let (application, found, known) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?, schema.version());
    if application != schema.application_id {
        return Err(OpenError::Foreign { path: path.into(), found: application }.into());
    }
    if found > known && !schema.goes_on_with(&connection).map_err(failed)? {
        return Err(OpenError::Newer { path: path.into(), found, known }.into());
    }
    Ok(connection)
}

/// Opens a copy, changes nothing in it, and checks every page, index and reference.
pub(super) fn check(path: &Path) -> Result<Connection, CopyError> {
    let bad = |why: String| CopyError::Bad { path: path.into(), why };
    let look = || {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        let wrong = sqlite::check_indexes(&connection)?;
        let dangling = connection.prepare("PRAGMA foreign_key_check")?.exists([])?;
        Ok::<_, rusqlite::Error>((connection, wrong, dangling))
    };
    match look() {
        Ok((connection, None, false)) => Ok(connection),
        Ok((_, Some(why), _)) => Err(bad(why)),
        Ok((_, None, true)) => Err(bad("a row names an order that is not there".into())),
        Err(error) => Err(bad(error.to_string())),
    }
}

/// Gives a good copy its name.
pub(super) fn publish(part: &Path, to: &Path) -> Result<(), CopyError> {
    free(to)?;
    let done = || {
        File::open(part)?.sync_all()?;
        fs::rename(part, to)?;
        let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    };
    done().map_err(io_error(to))
}

fn free(path: &Path) -> Result<(), CopyError> {
    match path.symlink_metadata() {
        Ok(_) => Err(CopyError::Exists { path: path.into() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error(path)(error)),
    }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> CopyError + use<> {
    let path = path.to_path_buf();
    move |source| CopyError::Io { path: path.clone(), source }
}

pub(super) fn name(path: &Path) -> Result<&str, CopyError> {
    path.to_str().ok_or_else(|| io_error(path)(ErrorKind::InvalidFilename.into()))
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
