//! The databases, for a command.

use crate::config::Config;
use crate::store::Store;
use qris_host::Failure;
use std::thread;

/// The books, which must be there.
pub(super) fn books(config: &Config) -> Result<Store, Failure> {
    config.store.books().map_err(Failure::failed)
}

/// The machines. With `make` a missing database is made.
pub(super) fn machines(config: &Config, make: bool) -> Result<Store, Failure> {
    config.store.machines(make).map_err(Failure::failed)
}

/// Does something for which PostgreSQL's connections have runtimes of their own.
pub(super) fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join().expect("no panic"))
}
