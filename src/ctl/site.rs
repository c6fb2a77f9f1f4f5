//! The machine on its disk: the names of its files, users and services.

use std::path::PathBuf;

pub(super) use qris_host::setup::site::*;

pub(super) const DEVICE_USER: &str = "qrisd";
pub(super) const RELAY_USER: &str = "qris-relay";
pub(super) const SCREEN_GROUP: &str = "video";
pub(super) const GPIO_GROUP: &str = "gpio";
/// The group of users who may ask this machine to sell.
pub(super) const CONTROL_GROUP: &str = "qrisd-control";
/// The services, in the order of their start.
pub(super) const SERVICES: [&str; 2] = ["qris-relayd.service", QRISD_SERVICE];
/// The device service, which has secrets.
pub(super) const QRISD_SERVICE: &str = "qrisd.service";
pub(super) const ETC: &str = "/etc/qrisd";
pub(super) const QRISD_TOML: &str = "/etc/qrisd/qrisd.toml";
pub(super) const RELAY_TOML: &str = "/etc/qrisd/relay.toml";
/// The keys whose receipts are believed, if the configuration names no other file.
pub(super) const KEYS_JSON: &str = "/etc/qrisd/keys.json";
/// Where systemd finds credentials: first those that only root may read, then those that are encrypted for this computer.
pub(super) const CREDENTIALS: [&str; 2] = ["/etc/credstore", "/etc/credstore.encrypted"];

/// Tells systemd which credentials of the device service are encrypted. The unit itself names the others.
pub(super) const SECRETS_DROP_IN: &str = "/etc/systemd/system/qrisd.service.d/50-secrets.conf";

/// Where the files of whoever runs a command are, if there is a home: `~/.config/qrisctl` (XDG Base Directory Specification).
pub(super) fn of_user() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    Some(variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")))?.join("qrisctl"))
}

/// Would systemd decrypt this credential of the device service? The service does not start if such a credential is
/// plain.
pub(super) fn is_decrypted(site: &Site, name: &str) -> bool {
    let text = std::fs::read_to_string(site.at(SECRETS_DROP_IN)).unwrap_or_default();
    text.lines().any(|line| line.trim().strip_prefix("LoadCredentialEncrypted=").is_some_and(|rest| rest.split(':').next() == Some(name)))
}
