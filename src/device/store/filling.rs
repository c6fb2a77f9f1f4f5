//! A person's change of a slot is written with the end of the command that ordered it, so that it is done once.

use super::database::{CHANGES, Database};
use super::{StoreError, commands, stock};
use qris_core::order::ids::{CommandId, ItemId};
use qris_core::order::stock::Shelf;
use std::collections::{BTreeMap, BTreeSet};

impl Database {
    /// The slot of an item. `None`: nobody has counted its goods, or the row is damaged.
    pub fn shelf(&self, item: &ItemId) -> Option<&Shelf> {
        self.shelves.get(item).filter(|shelf| !shelf.is_unknown)
    }

    /// From now on one more miss is no reason to look into these slots: their lines would go on selling.
    pub fn tolerate(&mut self, slots: BTreeSet<ItemId>) {
        self.tolerant = slots;
    }

    /// All of them, with what remains of those that have other goods now.
    pub fn shelves(&self) -> &BTreeMap<ItemId, Shelf> {
        &self.shelves
    }

    /// Writes slots in place of what they were: all or nothing.
    pub fn keep_shelves(&mut self, shelves: BTreeMap<ItemId, Shelf>) -> Result<(), StoreError> {
        self.files.are_in_place()?;
        let transaction = self.connection.transaction()?;
        for (item, shelf) in &shelves {
            stock::write(&transaction, item, shelf)?;
        }
        transaction.commit()?;
        self.shelves.extend(shelves);
        Ok(())
    }

    /// Writes a slot that a person has changed, and with it the record of the command for that: all or nothing. The mark counts it, too: an
    /// older image of this database is known by that.
    pub fn change_shelf(&mut self, item: &ItemId, shelf: Shelf, command: Option<(CommandId, String)>) -> Result<(), StoreError> {
        self.files.are_in_place()?;
        let transaction = self.connection.transaction()?;
        stock::write(&transaction, item, &shelf)?;
        CHANGES.write(&transaction, &(self.changes + 1))?;
        if let Some((id, record)) = &command {
            commands::write(&transaction, id, record)?;
        }
        transaction.commit()?;
        self.changes += 1;
        self.shelves.insert(item.clone(), shelf);
        // It is done, whatever becomes of the mark. That is written again in half a minute.
        drop(self.write_mark());
        Ok(())
    }
}
