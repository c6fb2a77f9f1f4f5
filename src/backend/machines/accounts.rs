//! The machines' accounts at the broker. A machine that uses its code gets one; a revoked machine's is ended. Mosquitto's dynamic
//! security plugin is told. What is to be done stands in the machines' database, and is done until the broker has it.

pub mod passwords;
pub mod plugin;

use crate::sale::books::BooksError;
use crate::store::Tx;
pub use plugin::AccountError;
use qris_core::order::ids::DeviceId;
use qris_core::order::time::Wall;
use qris_host::config::MqttSettings;

/// An administrator of the plugin, as which the backend talks to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Administrator(pub MqttSettings);

impl Administrator {
    /// Lets a machine in with this password, and with no other one.
    ///
    /// # Errors
    /// [`AccountError`]
    pub async fn open(&self, device: &DeviceId, password: &str) -> Result<(), AccountError> {
        plugin::tell(&self.0, plugin::opening(device, password)).await
    }

    /// Whether accounts can be made and ended now. Nothing is changed.
    ///
    /// # Errors
    /// [`AccountError`]
    pub async fn check(&self) -> Result<(), AccountError> {
        plugin::tell(&self.0, vec![plugin::checking()]).await
    }

    /// Lets a machine in no more. The broker also ends its connection at once.
    ///
    /// # Errors
    /// [`AccountError`]
    pub async fn end(&self, device: &DeviceId) -> Result<(), AccountError> {
        plugin::tell(&self.0, plugin::ending(device)).await
    }
}

/// Notes that a machine is about to have an account.
///
/// # Errors
/// The database's.
pub fn note(tx: &mut dyn Tx, device: &DeviceId) -> Result<(), BooksError> {
    let sql = "INSERT INTO accounts (device) VALUES ($1) ON CONFLICT (device) DO UPDATE SET ended_ms = NULL";
    tx.rows(sql, &[device.as_str().into()])?;
    Ok(())
}

/// The revoked machines whose accounts are not ended yet.
///
/// # Errors
/// The database's.
pub fn to_end(tx: &mut dyn Tx) -> Result<Vec<DeviceId>, BooksError> {
    let sql = "SELECT device FROM accounts JOIN devices ON devices.id = accounts.device
        WHERE devices.revoked_ms IS NOT NULL AND accounts.ended_ms IS NULL ORDER BY device";
    let rows = tx.rows(sql, &[])?;
    // A name that is none was never an account.
    Ok(rows.iter().filter_map(|row| DeviceId::new(row.text("device").ok()?).ok()).collect())
}

/// The account of a machine that is still revoked is over.
///
/// # Errors
/// The database's.
pub fn ended(tx: &mut dyn Tx, device: &DeviceId, now: Wall) -> Result<(), BooksError> {
    let sql = "UPDATE accounts SET ended_ms = $1
        WHERE device = $2 AND EXISTS (SELECT 1 FROM devices WHERE id = $2 AND revoked_ms IS NOT NULL)";
    tx.rows(sql, &[now.into(), device.as_str().into()])?;
    Ok(())
}
