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
    pub async fn open(&self, device: &DeviceId, password: &str) -> Result<(), AccountError> {
        if is_anothers(device.as_str()) || self.0.username.as_deref() == Some(device.as_str()) {
            return Err(AccountError::Anothers(device.clone()));
        }
        plugin::tell(&self.0, plugin::opening(device, password)).await?;
        let missing = || AccountError::Refused("it says yes, and has no such account".into());
        plugin::has(&self.0, device.as_str()).await?.then_some(()).ok_or_else(missing)
    }

    /// Lets the controller of a machine in with this password, and with no other one. Answers with the name of its user.
    pub async fn open_controller(&self, device: &DeviceId, password: &str) -> Result<String, AccountError> {
        let user = controller(device);
        plugin::tell(&self.0, plugin::opening_controller(device, &user, password)).await?;
        let missing = || AccountError::Refused("it says yes, and has no such account".into());
        plugin::has(&self.0, &user).await?.then_some(user).ok_or_else(missing)
    }

    /// Whether accounts can be made and ended now. Nothing is changed.
    pub async fn check(&self) -> Result<(), AccountError> {
        plugin::tell(&self.0, vec![plugin::checking()]).await.map(drop)
    }

    /// Those of these machines whose accounts are not as the plugin was told: it could not write its file, and has forgotten what it was
    /// told when it was started anew.
    pub async fn forgotten(&self, told: BrokerAccounts) -> Result<BrokerAccounts, AccountError> {
        let let_in = plugin::let_in(&self.0).await?;
        let is_in = |device: &DeviceId| let_in.contains(device.as_str());
        let BrokerAccounts { mut made, mut ended } = told;
        made.retain(|device| !is_in(device));
        ended.retain(is_in);
        Ok(BrokerAccounts { made, ended })
    }

    /// Lets a machine in no more. The broker also ends its connection at once.
    pub async fn end(&self, device: &DeviceId) -> Result<(), AccountError> {
        plugin::tell(&self.0, plugin::ending(device, &controller(device))).await.map(drop)
    }
}

/// What the broker was told of machines' accounts.
#[derive(Debug, Default)]
pub struct BrokerAccounts {
    /// They are let in.
    pub made: Vec<DeviceId>,
    /// They are let in no more.
    pub ended: Vec<DeviceId>,
}

/// The users of the shipped access list, and of the guide to several brokers, that are no machines.
const OTHERS: [&str; 4] = ["backend", "fleet", "qris-accounts", "bridge"];
/// The user of a machine's controller ends so.
const CONTROLLER: &str = "-controller";

fn controller(device: &DeviceId) -> String {
    format!("{device}{CONTROLLER}")
}

/// Whether this is the name of another user of the broker. The access list gives rights by the name: a machine of that name would have
/// those of the other user.
#[must_use]
pub fn is_anothers(name: &str) -> bool {
    OTHERS.contains(&name) || name.ends_with(CONTROLLER)
}

/// Notes that a machine is about to have an account.
pub fn note(tx: &mut dyn Tx, device: &DeviceId) -> Result<(), BooksError> {
    let sql = "INSERT INTO accounts (device) VALUES ($1) ON CONFLICT (device) DO UPDATE SET ended_ms = NULL";
    tx.rows(sql, &[device.as_str().into()])?;
    Ok(())
}

pub fn told(tx: &mut dyn Tx) -> Result<BrokerAccounts, BooksError> {
    let made = devices(tx, "devices.revoked_ms IS NULL AND accounts.ended_ms IS NULL")?;
    Ok(BrokerAccounts { made, ended: devices(tx, "devices.revoked_ms IS NOT NULL AND accounts.ended_ms IS NOT NULL")? })
}

/// The revoked machines whose accounts are not ended yet.
pub fn to_end(tx: &mut dyn Tx) -> Result<Vec<DeviceId>, BooksError> {
    devices(tx, "devices.revoked_ms IS NOT NULL AND accounts.ended_ms IS NULL")
}

/// The account of a machine that is revoked is to be ended, once more if it was ended already.
pub fn end_again(tx: &mut dyn Tx, device: &DeviceId) -> Result<(), BooksError> {
    tx.rows("UPDATE accounts SET ended_ms = NULL WHERE device = $1", &[device.as_str().into()])?;
    Ok(())
}

fn devices(tx: &mut dyn Tx, are: &str) -> Result<Vec<DeviceId>, BooksError> {
    let rows =
        tx.rows(&format!("SELECT device FROM accounts JOIN devices ON devices.id = accounts.device WHERE {are} ORDER BY device"), &[])?;
    // A name that is none was never an account.
    Ok(rows.iter().filter_map(|row| DeviceId::new(row.text("device").ok()?).ok()).collect())
}

/// The account of a machine that is still revoked is over.
pub fn ended(tx: &mut dyn Tx, device: &DeviceId, now: Wall) -> Result<(), BooksError> {
    let sql = "UPDATE accounts SET ended_ms = $1
        WHERE device = $2 AND EXISTS (SELECT 1 FROM devices WHERE id = $2 AND revoked_ms IS NOT NULL)";
    tx.rows(sql, &[now.into(), device.as_str().into()])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_machine_has_the_name_of_a_user_of_the_shipped_access_list() {
        let list = include_str!("../../../config/mosquitto.acl");
        let users: Vec<_> = list.lines().filter_map(|line| line.strip_prefix("user ")).collect();
        assert_eq!(users, ["backend", "fleet", "vm-001-controller"]);
        assert!(users.iter().all(|user| is_anothers(user)));
        assert!(["qris-accounts", "bridge", "x-controller"].iter().all(|user| is_anothers(user)));
        assert!(!["vm-001", "controller", "fleet-1", "backend-2"].iter().any(|machine| is_anothers(machine)));
    }

    #[tokio::test]
    async fn the_plugin_is_never_asked_for_such_an_account() {
        let nobody = MqttSettings {
            host: "127.0.0.1".into(),
            port: 9,
            tls: false,
            username: Some("office".into()),
            password: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
        };
        for name in ["fleet", "vm-001-controller", "office"] {
            let device = DeviceId::new(name).expect("an id");
            let refused = Administrator(nobody.clone()).open(&device, "a password").await.expect_err("refused");
            assert!(matches!(refused, AccountError::Anothers(_)), "{name}: {refused}");
        }
    }
}
