//! The machines that are let in. A token is 256 random bits; the books hold its SHA-256, so that who reads them gets in
//! nowhere.

use super::books::BooksError;
use super::store::{StoreError, Tx};
use crate::order::ids::DeviceId;
use crate::order::time::Wall;

/// A machine in the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub id: DeviceId,
    /// When its token was made.
    pub added: Wall,
    /// When it was revoked.
    pub revoked: Option<Wall>,
}

/// The hash under which a token is kept, in lower-case hex.
#[must_use]
pub fn hash(token: &str) -> String {
    super::hex(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref())
}

/// Lets a machine in with a new token. One that it had is good no more; without `replace` it stays, and false is said.
///
/// # Errors
/// The database's.
pub fn add(tx: &mut dyn Tx, device: &DeviceId, token_hash: &str, replace: bool, now: Wall) -> Result<bool, BooksError> {
    let sql = "INSERT INTO devices (id, token_hash, added_ms) VALUES ($1, $2, $3)
        ON CONFLICT (id) DO UPDATE SET token_hash = excluded.token_hash, added_ms = excluded.added_ms, revoked_ms = NULL WHERE $4 = 1
        RETURNING 1";
    Ok(!tx.rows(sql, &[device.as_str().into(), token_hash.into(), now.0.into(), replace.into()])?.is_empty())
}

/// Lets a machine in no more. False: there is none of that name.
///
/// # Errors
/// The database's.
pub fn revoke(tx: &mut dyn Tx, device: &DeviceId, now: Wall) -> Result<bool, BooksError> {
    let sql = "UPDATE devices SET revoked_ms = coalesce(revoked_ms, $1) WHERE id = $2 RETURNING 1";
    Ok(!tx.rows(sql, &[now.0.into(), device.as_str().into()])?.is_empty())
}

/// Every machine, by name.
///
/// # Errors
/// The database's.
pub fn list(tx: &mut dyn Tx) -> Result<Vec<Device>, BooksError> {
    let rows = tx.rows("SELECT id, added_ms, revoked_ms FROM devices ORDER BY id", &[])?;
    rows.iter().map(|row| Ok(Device { id: id(row.text(0)?)?, added: Wall(row.int(1)?), revoked: row.maybe_int(2)?.map(Wall) })).collect()
}

/// Whose token it is, if it is anybody's and good.
///
/// # Errors
/// The database's.
pub fn by_token(tx: &mut dyn Tx, token_hash: &str) -> Result<Option<DeviceId>, BooksError> {
    // Found by the hash of 256 random bits, about which the time of a look-up tells nothing that helps to guess them;
    // the comparison that counts takes the same time for every hash.
    let rows = tx.rows("SELECT id, token_hash FROM devices WHERE token_hash = $1 AND revoked_ms IS NULL", &[token_hash.into()])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let same = super::same_in_constant_time(row.text(1)?.as_bytes(), token_hash.as_bytes());
    if same { id(row.text(0)?).map(Some) } else { Ok(None) }
}

fn id(text: &str) -> Result<DeviceId, BooksError> {
    DeviceId::new(text).map_err(|error| StoreError::Damaged { what: text.into(), why: error.to_string() }.into())
}
