//! The key that the ledger signs with.

use super::StoreError;
use super::row::{same, sum};
use qris_core::order::keys::SigningKey;
use rusqlite::{Connection, OptionalExtension as _, Row};

/// A ledger without a key draws one now.
pub(super) fn key(connection: &Connection, draw: &mut dyn FnMut(&mut [u8])) -> Result<SigningKey, StoreError> {
    let read = |row: &Row<'_>| Ok((row.get::<_, String>("seed")?, row.get::<_, String>("sum")?));
    if let Some((seed, written)) = connection.query_row("SELECT seed, sum FROM signer", [], read).optional()? {
        same(&written, &["signer", &seed], "signer", "1")?;
        return SigningKey::from_seed_text(&seed).ok_or_else(|| StoreError::Damaged("its key has a wrong form".into()));
    }
    let mut seed = [0; 32];
    draw(&mut seed);
    let key = SigningKey::from_seed(seed);
    let seed = key.seed_text();
    connection.execute("INSERT INTO signer (id, seed, sum) VALUES (1, ?1, ?2)", [&seed, &sum(&["signer", &seed])])?;
    Ok(key)
}
