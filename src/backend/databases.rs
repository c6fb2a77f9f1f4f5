//! Where the merchant's books and machines are. In SQLite these are two files, opened together: the machines were in the books of an
//! earlier release. In PostgreSQL they are one database.

use super::devices;
use super::store::postgres::Server;
use super::store::{BOOKS, MACHINES, SqliteTx, Store, StoreError, Tx as _, WITH_MACHINES, machines_beside, say};
use qris_host::sqlite::{self, OpenError, Schema, Share};
use rusqlite::Connection;
use std::io;
use std::path::{Path, PathBuf};

/// Where the books and the machines are.
#[derive(Debug, Clone)]
pub enum Place {
    /// The books are in this file of SQLite, and the machines beside it.
    File(PathBuf),
    /// Both are in this database of PostgreSQL.
    Server(Box<Server>),
}

/// The books and the machines, opened for `serve`.
#[derive(Debug)]
pub struct Open {
    /// The books.
    pub books: Store,
    /// The machines.
    pub machines: Store,
    /// Nobody else has the books open: nobody asks the gateway for anything.
    pub is_alone: bool,
    /// Each damaged database, and its new place.
    pub set_aside: Vec<(PathBuf, PathBuf)>,
    shares: Vec<Share>,
}

impl Place {
    /// Opens both for `serve`, or makes them. A process that is alone at a file may set it aside when it is damaged. Beside another
    /// `serve` it stays.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn open(&self) -> Result<Open, StoreError> {
        let path = match self {
            Self::File(path) => path,
            Self::Server(server) => {
                let books = Store::at(server, true)?;
                return Ok(Open { machines: books.clone(), books, is_alone: false, set_aside: Vec::new(), shares: Vec::new() });
            }
        };
        let beside = machines_beside(path);
        let shares = [sqlite::share(path)?, sqlite::share(&beside)?];
        let Both { books, machines, set_aside } = open_both(path, shares[0].is_alone(), shares[1].is_alone())?;
        Ok(Open {
            books: Store::over(path, &BOOKS, books)?,
            machines: Store::over(&beside, &MACHINES, machines)?,
            is_alone: shares[0].is_alone(),
            set_aside,
            shares: shares.into(),
        })
    }

    /// The books, which must be there. For a command beside `serve`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn books(&self) -> Result<Store, StoreError> {
        match self {
            Self::File(path) => Store::open_beside(path, &BOOKS, false),
            Self::Server(server) => Store::at(server, false),
        }
    }

    /// The machines. With `make` a missing database is made, but not while books of an earlier release still have the machines.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn machines(&self, make: bool) -> Result<Store, StoreError> {
        match self {
            Self::File(path) => {
                if let Err(error @ OpenError::Older { .. }) = sqlite::open_beside(path, &BOOKS, false) {
                    return Err(error.into());
                }
                Store::open_beside(&machines_beside(path), &MACHINES, make)
            }
            Self::Server(server) => Store::at(server, make),
        }
    }
}

impl Open {
    /// What only the one who is alone may do is done: others may open the books, too.
    ///
    /// # Errors
    /// The lock of a file.
    pub fn let_others_in(&self) -> io::Result<()> {
        self.shares.iter().try_for_each(Share::let_others_in)
    }
}

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
