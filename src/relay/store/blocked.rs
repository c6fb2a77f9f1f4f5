//! The blocked lines.

use super::row::{id, same, sum};
use super::{Block, StoreError};
use rusqlite::Connection;

pub(super) fn block(connection: &Connection, line: &str, why: &str, item: &str) -> Result<(), StoreError> {
    connection.prepare_cached("INSERT OR REPLACE INTO blocked (line, why, item, sum) VALUES (?1, ?2, ?3, ?4)")?.execute([
        line,
        why,
        item,
        &sum(&["blocked", line, why, item]),
    ])?;
    Ok(())
}

pub(super) fn all(connection: &Connection) -> Result<Vec<Block>, StoreError> {
    let mut statement = connection.prepare("SELECT * FROM blocked")?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let (line, why, item, sum): (String, String, String, String) =
            (row.get("line")?, row.get("why")?, row.get("item")?, row.get("sum")?);
        same(&sum, &["blocked", &line, &why, &item], "blocked", &line)?;
        all.push(Block { line, why, item: id(&item)? });
    }
    Ok(all)
}
