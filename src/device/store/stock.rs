//! The table of what lies in the slots. All of it is in memory, too.

use super::sealed;
use qris_core::order::ids::ItemId;
use qris_core::order::stock::Shelf;
use rusqlite::{Connection, params};
use std::collections::BTreeMap;

pub(super) fn write(connection: &Connection, item: &ItemId, shelf: &Shelf) -> rusqlite::Result<()> {
    let sql = "INSERT INTO stock (item, shelf) VALUES (?1, ?2) ON CONFLICT (item) DO UPDATE SET shelf = excluded.shelf";
    connection.prepare_cached(sql)?.execute(params![item.as_str(), sealed::seal(shelf)]).map(drop)
}

/// All of them. A row that is not as it was written is left out: somebody must count then.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<BTreeMap<ItemId, Shelf>> {
    let mut select = connection.prepare("SELECT item, shelf FROM stock")?;
    let rows = select.query_map([], |row| Ok((row.get::<_, String>("item")?, row.get::<_, String>("shelf")?)))?;
    let mut all = BTreeMap::new();
    for row in rows {
        let (item, shelf) = row?;
        all.extend(ItemId::new(&item).ok().zip(sealed::open(&shelf)));
    }
    Ok(all)
}
