//! What is stored of operators' commands.

use super::StoreError;
use super::database::Database;
use qris_core::order::ids::CommandId;
use rusqlite::Connection;

impl Database {
    /// Everything that is stored of operators' commands, as it was given to [`Database::keep_command`].
    pub fn commands(&self) -> Result<Vec<(CommandId, String)>, StoreError> {
        let mut select = self.connection.prepare_cached("SELECT jti, record FROM commands ORDER BY jti")?;
        let rows = select.query_map([], |row| Ok((row.get::<_, String>("jti")?, row.get("record")?)))?;
        let named = rows.filter_map(|row| row.map(|(jti, record)| Some((CommandId::new(&jti).ok()?, record))).transpose());
        Ok(named.collect::<Result<_, _>>()?)
    }

    /// Stores what is known of a command, in place of what was known before.
    pub fn keep_command(&mut self, jti: &CommandId, record: &str) -> Result<(), StoreError> {
        Ok(write(&self.connection, jti, record)?)
    }

    pub fn forget_command(&mut self, jti: &CommandId) -> Result<(), StoreError> {
        self.connection.prepare_cached("DELETE FROM commands WHERE jti = ?1")?.execute([jti.as_str()])?;
        Ok(())
    }
}

pub(super) fn write(connection: &Connection, jti: &CommandId, record: &str) -> rusqlite::Result<()> {
    let sql = "INSERT INTO commands (jti, record) VALUES (?1, ?2) ON CONFLICT (jti) DO UPDATE SET record = excluded.record";
    connection.prepare_cached(sql)?.execute([jti.as_str(), record]).map(drop)
}
