//! Until which pulse a person has looked at a line. Misses until then do not count any more.

use super::StoreError;
use super::row::{same, sum};
use rusqlite::{Connection, Row, params};
use std::collections::BTreeMap;

pub(super) fn looked(connection: &Connection, line: &str, pulse: i64) -> Result<(), StoreError> {
    let set = "INSERT INTO looked (line, pulse, sum) VALUES (?1, ?2, ?3)
        ON CONFLICT (line) DO UPDATE SET pulse = excluded.pulse, sum = excluded.sum";
    connection.prepare_cached(set)?.execute(params![line, pulse, sum(&["looked", line, &pulse.to_string()])])?;
    Ok(())
}

pub(super) fn all(connection: &Connection) -> Result<BTreeMap<String, i64>, StoreError> {
    let mut statement = connection.prepare("SELECT * FROM looked")?;
    let read = |row: &Row<'_>| {
        let (line, pulse, sum): (String, i64, String) = (row.get("line")?, row.get("pulse")?, row.get("sum")?);
        same(&sum, &["looked", &line, &pulse.to_string()], "looked", &line)?;
        Ok((line, pulse))
    };
    statement.query_and_then([], read)?.collect()
}
