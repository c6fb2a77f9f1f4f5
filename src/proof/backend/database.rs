//! A database of the program without a thread of its own: its jobs run in the thread of the world, in virtual time.

use qris_backend::store::{Job, Runner, StoreError, Tx, answer_all, read_on, together};
use rusqlite::Connection;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

pub(super) trait Watch: Send + Sync {
    /// Jobs are over. If they wrote, their changes are committed, unless that failed. Tells whether the caller of their answers
    /// still runs.
    fn done(&self, tx: &mut dyn Tx, writes: bool) -> bool;
}

impl Watch for () {
    fn done(&self, _: &mut dyn Tx, _: bool) -> bool {
        true
    }
}

pub(super) struct Database {
    connection: Mutex<Connection>,
    watch: Box<dyn Watch>,
    /// Jobs that will be committed together.
    waiting: Mutex<Vec<Box<dyn Job>>>,
    /// Jobs whose answer nobody will ever hear: their caller stands still.
    unheard: Mutex<Vec<Box<dyn Job>>>,
    itself: Weak<Self>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Database")
    }
}

impl Database {
    pub(super) fn over(connection: Connection, watch: Box<dyn Watch>) -> Arc<Self> {
        Arc::new_cyclic(|itself| Self {
            connection: Mutex::new(connection),
            watch,
            waiting: Mutex::default(),
            unheard: Mutex::default(),
            itself: Weak::clone(itself),
        })
    }

    /// The database itself, for work beside the program.
    pub(super) fn connection(&self) -> MutexGuard<'_, Connection> {
        lock(&self.connection)
    }

    fn carry_out(&self, mut batch: Vec<Box<dyn Job>>, writes: bool) {
        let mut connection = self.connection();
        let result = together(&mut connection, &mut batch, writes);
        let lives = read_on(&connection, |tx| Ok::<_, StoreError>(self.watch.done(tx, writes)));
        if lives.unwrap_or(false) { answer_all(batch, result) } else { lock(&self.unheard).append(&mut batch) }
    }
}

impl Runner for Database {
    /// As the threads of a [`qris_backend::store::Store`] do: all writes of one moment are committed together.
    fn take(&self, job: Box<dyn Job>, writes: bool) -> Result<(), StoreError> {
        if !writes {
            self.carry_out(vec![job], false);
            return Ok(());
        }
        let is_first = {
            let mut waiting = lock(&self.waiting);
            waiting.push(job);
            waiting.len() == 1
        };
        if let (true, Some(books)) = (is_first, self.itself.upgrade()) {
            // It runs in a task of its own: the others wait for it, too.
            tokio::spawn(async move {
                let batch = std::mem::take(&mut *lock(&books.waiting));
                books.carry_out(batch, true);
            });
        }
        Ok(())
    }

    fn file(&self) -> Option<&Path> {
        None
    }
}

/// Runs a job in a transaction of its own. It is committed when this returns without an error.
pub(crate) fn run<T, E: From<StoreError>>(connection: &Connection, job: impl FnOnce(&mut dyn Tx) -> Result<T, E>) -> Result<T, E> {
    let transaction = connection.unchecked_transaction().map_err(StoreError::from)?;
    let value = read_on(&transaction, job)?;
    transaction.commit().map_err(StoreError::from)?;
    Ok(value)
}

/// A job that panics under the lock was rolled back.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
