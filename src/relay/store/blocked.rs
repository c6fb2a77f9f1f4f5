//! The blocked lines.

use super::row::{id, same, sum};
use super::{Block, StoreError};
use rusqlite::{Connection, Row};

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
    let read = |row: &Row<'_>| {
        let (line, why, item, sum): (String, String, String, String) =
            (row.get("line")?, row.get("why")?, row.get("item")?, row.get("sum")?);
        same(&sum, &["blocked", &line, &why, &item], "blocked", &line)?;
        Ok(Block { line, why, item: id(&item)? })
    };
    statement.query_and_then([], read)?.collect()
}
