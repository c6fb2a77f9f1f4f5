//! The commands of operators that were carried out. None is carried out twice.

use super::row::{same, sum};
use super::{Once, StoreError};
use qris_core::order::ids::CommandId;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

fn what(row: &Row<'_>) -> Result<String, StoreError> {
    let (jti, what, exp, sum): (String, String, i64, String) = (row.get("jti")?, row.get("what")?, row.get("exp")?, row.get("sum")?);
    same(&sum, &["command", &jti, &what, &exp.to_string()], "command", &jti)?;
    Ok(what)
}

pub(super) fn over(connection: &Connection) -> Result<i64, StoreError> {
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>("at")?, row.get::<_, String>("sum")?));
    let found = connection.prepare_cached("SELECT at, sum FROM commands_over")?.query_row([], read).optional()?;
    let Some((at, written)) = found else { return Ok(i64::MIN) };
    same(&written, &["over", &at.to_string()], "commands_over", "1")?;
    Ok(at)
}

/// Remembers that a command is carried out, and forgets those that are over.
pub(super) fn keep(connection: &Connection, once: &Once<'_>) -> Result<(), StoreError> {
    let Once { jti, what, exp, over } = once;
    keep_over(connection, *over)?;
    connection.prepare_cached("DELETE FROM commands WHERE exp <= ?1")?.execute([over])?;
    let sum = sum(&["command", jti.as_str(), what, &exp.to_string()]);
    connection.prepare_cached("INSERT INTO commands (jti, what, exp, sum) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        jti.as_str(),
        what,
        exp,
        sum
    ])?;
    Ok(())
}

pub(super) fn keep_over(connection: &Connection, over: i64) -> Result<(), StoreError> {
    let set = "INSERT INTO commands_over (id, at, sum) VALUES (1, ?1, ?2) ON CONFLICT DO UPDATE SET at = excluded.at, sum = excluded.sum";
    connection.prepare_cached(set)?.execute(params![over, sum(&["over", &over.to_string()])])?;
    Ok(())
}

pub(super) fn find(connection: &Connection, jti: &CommandId) -> Result<Option<String>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT * FROM commands WHERE jti = ?1")?;
    statement.query_and_then([jti.as_str()], what)?.next().transpose()
}

pub(super) fn check(connection: &Connection) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT * FROM commands")?;
    statement.query_and_then([], what)?.try_for_each(|row| row.map(drop))?;
    over(connection).map(drop)
}
