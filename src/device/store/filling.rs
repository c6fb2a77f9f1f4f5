//! A person's change of a slot is written with the end of the command that ordered it, so that it is done once.

use super::database::Database;
use super::{StoreError, commands, stock};
use qris_core::order::ids::{CommandId, ItemId};
use qris_core::order::stock::Shelf;
use std::collections::BTreeMap;

impl Database {
    /// The slot of an item. `None`: nobody has counted, or the row is damaged.
    pub fn shelf(&self, item: &ItemId) -> Option<&Shelf> {
        self.shelves.get(item)
    }

    /// Writes slots in place of what they were, and with them the record of the command for that: all or nothing.
    pub fn keep_shelves(&mut self, shelves: BTreeMap<ItemId, Shelf>, command: Option<(CommandId, String)>) -> Result<(), StoreError> {
        self.files.are_in_place()?;
        let transaction = self.connection.transaction()?;
        for (item, shelf) in &shelves {
            stock::write(&transaction, item, shelf)?;
        }
        if let Some((id, record)) = &command {
            commands::write(&transaction, id, record)?;
        }
        transaction.commit()?;
        self.shelves.extend(shelves);
        Ok(())
    }
}
