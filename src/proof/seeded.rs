//! A relay's disk on which a new ledger draws its key from a seed, like everything else in a run.

use crate::rng::Rng;
use qris_host::sqlite;
use qris_relay::store::database::Database;
use qris_relay::store::{Disk, Found, StoreError};
use std::cell::RefCell;
use std::path::PathBuf;

/// The file of the ledger.
#[derive(Debug)]
pub(crate) struct Seeded {
    path: PathBuf,
    rng: RefCell<Rng>,
}

impl Seeded {
    pub(crate) const fn new(path: PathBuf, seed: u64) -> Self {
        Self { path, rng: RefCell::new(Rng::new(seed)) }
    }
}

impl Disk for Seeded {
    type Store = Database;

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn open(&mut self, blocks: &dyn Fn(&str) -> bool) -> Result<Found<Database>, StoreError> {
        let draw = |bytes: &mut [u8]| bytes.fill_with(|| self.rng.borrow_mut().number().to_le_bytes()[0]);
        Database::open(&self.path, blocks, &draw)
    }

    fn find_room(&self) -> Result<(), StoreError> {
        Ok(sqlite::find_room(&self.path)?)
    }
}
