//! The two databases of the merchant, opened together: the books, and the machines that were in the books of an earlier release.

use super::devices;
use super::store::{BOOKS, MACHINES, SqliteTx, StoreError, Tx as _, WITH_MACHINES, machines_beside, say};
use qris_host::sqlite::{self, Schema};
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// Both databases, opened by their owner.
#[derive(Debug)]
pub struct Both {
    /// The books.
    pub books: Connection,
    /// The machines.
    pub machines: Connection,
    /// Each damaged database, and its new place.
    pub set_aside: Vec<(PathBuf, PathBuf)>,
}

/// Opens both databases, or makes them. A process that is `alone` at a database may set it aside when it is damaged,
/// and bring it up to date.
///
/// # Errors
/// [`StoreError`]
pub fn open_both(books: &Path, alone_at_books: bool, alone_at_machines: bool) -> Result<Both, StoreError> {
    let mut set_aside = Vec::new();
    let mut open = |path: &Path, schema: &Schema, alone: bool| {
        let opened = if alone { sqlite::open(path, schema)? } else { sqlite::open_beside(path, schema, true)? };
        set_aside.extend(opened.set_aside.map(|aside| (path.to_path_buf(), aside)));
        Ok::<_, StoreError>((opened.connection, opened.created))
    };
    let (mut machines, _) = open(&machines_beside(books), &MACHINES, alone_at_machines)?;
    if alone_at_books && books.exists() {
        let before = Schema { steps: &BOOKS.steps[..WITH_MACHINES], ..BOOKS };
        match open(books, &before, true) {
            Ok((mut earlier, false)) => hand_over(&mut earlier, &mut machines)?,
            // The books are new, or the machines were handed over long ago.
            Ok((_, true)) | Err(StoreError::Open(sqlite::OpenError::Newer { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    let (books, _) = open(books, &BOOKS, alone_at_books)?;
    Ok(Both { books, machines, set_aside })
}

/// Copies the machines out of the books of an earlier release. The next step of the books drops them. If the power goes in
/// between, both databases have them, and this is done once more. Machines that are copied already stay as they are, revoked
/// ones too.
fn hand_over(books: &mut Connection, machines: &mut Connection) -> Result<(), StoreError> {
    let rows = SqliteTx { connection: books }.rows("SELECT id, token_hash, added_ms, revoked_ms FROM devices", &[])?;
    say(machines, "BEGIN IMMEDIATE")?;
    let done = rows.iter().try_for_each(|row| devices::take_over(&mut SqliteTx { connection: machines }, row));
    let done = done.and_then(|()| Ok(say(machines, "COMMIT")?));
    if !machines.is_autocommit() {
        machines.execute_batch("ROLLBACK")?;
    }
    done
}
