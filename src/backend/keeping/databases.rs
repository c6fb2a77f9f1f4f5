//! Where the merchant's books and machines are. In SQLite these are two files, so that who loses one does not lose the other. In PostgreSQL
//! they are one database.

use crate::sale::books::{BooksError, of_a_copy, on_another_primary, taken_up};
use crate::store::postgres::{CameBack, Server};
use crate::store::{BOOKS, MACHINES, Store, StoreError, Tx, alone_on, entries, machines_beside};
use qris_core::order::time::Told;
use qris_host::clock;
use qris_host::events::Event as Journal;
use qris_host::journal::emit;
use qris_host::mark::Mark;
use qris_host::sqlite::{self, Schema, Share};
use rusqlite::Connection;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub enum StoreLocation {
    /// The books are in this file of SQLite, and the machines beside it.
    File(PathBuf),
    /// Both are in this database of PostgreSQL.
    Server(Box<Server>),
}

/// The books and the machines, opened for `serve`.
#[derive(Debug)]
pub struct Open {
    pub books: Store,
    pub machines: Store,
    /// Nobody else has the books open: nobody asks the gateway for anything.
    pub is_alone: bool,
    /// Each damaged database, and its new place.
    pub set_aside: Vec<(PathBuf, PathBuf)>,
    /// The books are older than they were, or new where there were some.
    pub behind: Option<Behind>,
    /// Nobody else may have the books while this value lives: `serve` keeps it to its end.
    shares: Vec<Share>,
}

/// Books that have less than their mark says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    pub path: PathBuf,
    /// The number of their entries.
    pub has: i64,
    /// The number that they had once.
    pub had: i64,
}

impl Behind {
    /// Whether the books at `path`, with so many entries, have less than their mark says.
    #[must_use]
    pub fn found(path: &Path, has: i64, had: i64) -> Option<Self> {
        (has < had).then(|| Self { path: path.into(), has, had })
    }

    #[must_use]
    pub fn told(&self) -> Journal {
        Journal::StoreBehind { path: self.path.display().to_string().into(), has: self.has, had: self.had }
    }
}

impl StoreLocation {
    /// Opens both for `serve`, or makes them. A process that is alone at a file may set it aside when it is damaged. Beside another
    /// `serve` it stays.
    pub fn open(&self) -> Result<Open, StoreError> {
        let path = match self {
            Self::File(path) => path,
            Self::Server(server) => {
                let books = Store::at(server, true, came_back)?;
                return Ok(Open {
                    machines: books.clone(),
                    books,
                    is_alone: false,
                    set_aside: Vec::new(),
                    behind: None,
                    shares: Vec::new(),
                });
            }
        };
        let beside = machines_beside(path);
        let shares = [sqlite::share(path)?, sqlite::share(&beside)?];
        let Both { books, machines, set_aside } = open_both(path, shares[0].is_alone(), shares[1].is_alone())?;
        let mut mark = Mark::open(path).map_err(StoreError::Mark)?;
        let behind = counted(path, &books, &mut mark)?;
        Ok(Open {
            books: Store::over(path, &BOOKS, books, Some(mark))?,
            machines: Store::over(&beside, &MACHINES, machines, None)?,
            behind,
            is_alone: shares[0].is_alone(),
            set_aside,
            shares: shares.into(),
        })
    }

    /// `serve` or a command ends: the mark says all that is there.
    pub fn closes(&self) {
        if let Self::File(path) = self
            && let Ok(open) = sqlite::open_beside(path, &BOOKS, false)
            && let Ok(has) = entries(&open.connection)
            && let Ok(mut mark) = Mark::open(path)
        {
            // If this fails, the next start writes it.
            let _ = mark.write(has);
        }
    }

    /// The books, which must be there. For a command beside `serve`.
    pub fn books(&self) -> Result<Store, StoreError> {
        match self {
            Self::File(path) => {
                let books = sqlite::open_beside(path, &BOOKS, false)?.connection;
                // Whoever may not write here cannot do anything about an order either.
                if let Ok(mut mark) = Mark::open(path)
                    && let Some(behind) = counted(path, &books, &mut mark)?
                {
                    emit(&behind.told());
                }
                Store::over(path, &BOOKS, books, None)
            }
            Self::Server(server) => Store::at(server, false, came_back),
        }
    }

    /// The machines. With `make` a missing database is made.
    pub fn machines(&self, make: bool) -> Result<Store, StoreError> {
        match self {
            Self::File(path) => Store::open_beside(&machines_beside(path), &MACHINES, make),
            Self::Server(server) => Store::at(server, make, came_back),
        }
    }
}

/// Counts the entries of the books. If their mark says that there were more, they are a copy: it is done with their orders as `restore` does it, and
/// the mark counts from here. People and sessions stay: a disk that lost what it had told to be written looks the same.
fn counted(path: &Path, books: &Connection, mark: &mut Mark) -> Result<Option<Behind>, StoreError> {
    let has = entries(books)?;
    let behind = Behind::found(path, has, mark.counted());
    if behind.is_some() {
        alone_on(books, |tx| taken_up(tx, Told::unknown(clock::now().wall)).map_err(of_books))?;
        mark.begin_at(entries(books)?).map_err(StoreError::Mark)?;
    } else {
        mark.write(has).map_err(StoreError::Mark)?;
    }
    Ok(behind)
}

/// The work to do with books that came back.
fn came_back(tx: &mut dyn Tx, how: CameBack) -> Result<(), StoreError> {
    let now = Told::unknown(clock::now().wall);
    let done = match how {
        CameBack::Restored => of_a_copy(tx, now).map(drop),
        CameBack::OnAnotherPrimary => on_another_primary(tx, now),
    };
    done.map_err(of_books)
}

fn of_books(error: BooksError) -> StoreError {
    match error {
        BooksError::Store(error) => error,
        error => StoreError::Taken(error.to_string()),
    }
}

impl Open {
    /// The work of a process that is alone is done. Others may open the books, too.
    pub fn let_others_in(&self) -> io::Result<()> {
        self.shares.iter().try_for_each(Share::let_others_in)
    }
}

/// Both databases, opened by their owner.
#[derive(Debug)]
pub struct Both {
    pub books: Connection,
    pub machines: Connection,
    pub set_aside: Vec<(PathBuf, PathBuf)>,
}

/// Opens both databases, or makes them. A process that is `alone` at a database may set it aside when it is damaged,
/// and bring it up to date.
pub fn open_both(books: &Path, alone_at_books: bool, alone_at_machines: bool) -> Result<Both, StoreError> {
    let mut set_aside = Vec::new();
    let mut open = |path: &Path, schema: &Schema, alone: bool| {
        let opened = if alone { sqlite::open(path, schema)? } else { sqlite::open_beside(path, schema, true)? };
        set_aside.extend(opened.set_aside.map(|aside| (path.to_path_buf(), aside)));
        Ok::<_, StoreError>(opened.connection)
    };
    let machines = open(&machines_beside(books), &MACHINES, alone_at_machines)?;
    let books = open(books, &BOOKS, alone_at_books)?;
    Ok(Both { books, machines, set_aside })
}
