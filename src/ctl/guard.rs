//! The rights to the files of a machine. The code that looks at a file and the code that mends it both ask here what is wrong
//! with it.

use super::found::texts;
use super::site::{CREDENTIALS, DEVICE_USER, ETC, Site, User};
use super::staging::{SECRETS, credential, credential_files};
use qris_host::setup::write::Rights;
use qris_host::speech::fill;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The settings that name a secret. Each has the name of the secret where no path says otherwise.
const SETTINGS: [(&str, &str, &str); 3] =
    [("mqtt", "password_file", "mqtt-password"), ("mqtt", "key_file", "device.key"), ("backend", "token_file", "backend-token")];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileRole {
    /// It says what is sold and whose receipts are believed. It belongs to root, and nobody else may write it.
    Trusted,
    /// Only the device service may read it.
    Secret,
    /// It belongs to the service manager, which hands it to the service.
    Credential,
}

impl FileRole {
    pub(super) const fn is_secret(self) -> bool {
        match self {
            Self::Trusted => false,
            Self::Secret | Self::Credential => true,
        }
    }

    /// The group and the mode that it should have. Its owner is root.
    pub(super) const fn rights(self) -> (&'static str, u32) {
        match self {
            Self::Trusted => ("root", 0o644),
            Self::Secret => (DEVICE_USER, 0o640),
            Self::Credential => ("root", 0o600),
        }
    }
}

impl From<FileRole> for Rights {
    fn from(kind: FileRole) -> Self {
        let (group, mode) = kind.rights();
        Self { owner: "root", group, mode }
    }
}

/// A file with a secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Guarded {
    /// Its path on that system.
    pub(super) path: PathBuf,
    pub(super) kind: FileRole,
    /// The configuration names it. The other secrets lie beside it, or where another set-up put them. Mostly they are as
    /// good.
    pub(super) is_in_use: bool,
}

/// The secrets that a configuration of the device service names, there or not; and all secrets at the places where they may
/// have been before.
pub(super) fn secrets(site: &Site, qrisd: &toml::Table) -> Vec<Guarded> {
    let mut found: Vec<Guarded> = Vec::new();
    let mut places = Vec::new();
    for (section, key, name) in SETTINGS {
        if let Some(path) = text(qrisd, section, key).map(Path::new) {
            let (path, kind) = match path.components().count() {
                0 | 1 => (found_credential(site, path), FileRole::Credential),
                _ => (path.to_path_buf(), FileRole::Secret),
            };
            places.push((path.clone(), kind));
            found.push(Guarded { path, kind, is_in_use: true });
        }
        places.push((Path::new(ETC).join(name), FileRole::Secret));
        if SECRETS.contains(&name) {
            places.extend(credential_files(name).map(|file| (file, FileRole::Credential)));
        }
    }
    for (place, kind) in places {
        for path in site.with_copies(&place) {
            if !found.iter().any(|other| other.path == path) {
                found.push(Guarded { path, kind, is_in_use: false });
            }
        }
    }
    found
}

/// The names of the secrets for systemd.
pub(super) fn credentials(qrisd: &toml::Table) -> Vec<&str> {
    let named = SETTINGS.iter().filter_map(|(section, key, _)| text(qrisd, section, key));
    named.filter(|name| Path::new(name).components().count() <= 1).collect()
}

fn text<'a>(table: &'a toml::Table, section: &str, key: &str) -> Option<&'a str> {
    table.get(section)?.get(key)?.as_str()
}

/// The place of a credential that has only a name. If it is nowhere, the place where it should be.
fn found_credential(site: &Site, name: &Path) -> PathBuf {
    let name = name.to_string_lossy();
    let file = if SECRETS.contains(&&*name) { credential(&name) } else { name.into_owned() };
    let places = CREDENTIALS.map(|directory| Path::new(directory).join(&file));
    places.iter().find(|path| site.at(path).exists()).unwrap_or(&places[0]).clone()
}

/// `readers` must be able to read it.
pub(super) fn objection(site: &Site, metadata: &Metadata, kind: FileRole, readers: &[&User]) -> Option<String> {
    // A secret may also belong to its service: a service that can change it can read it anyway.
    let is_owner_good =
        metadata.uid() == 0 || (kind == FileRole::Secret && site.user(DEVICE_USER).is_some_and(|user| user.uid == metadata.uid()));
    if !is_owner_good || metadata.mode() & 0o022 != 0 {
        return Some(texts().others_write.into());
    }
    if kind.is_secret() && metadata.mode() & 0o007 != 0 {
        return Some(texts().others_read.into());
    }
    let reader = readers.iter().find(|user| !site.may(user, metadata, 4))?;
    Some(fill(texts().cannot_read, &[&reader.name]))
}

#[cfg(test)]
mod tests {
    use super::super::site::put;
    use super::*;

    #[test]
    fn secrets_are_what_is_named_and_what_lies_beside_it_or_elsewhere() {
        let root = tempfile::tempdir().expect("a directory");
        for path in [
            "data/token",
            "data/token.before-1",
            "data/tokens",
            "etc/qrisd/backend-token.before-2",
            "etc/qrisd/mqtt-password",
            "etc/credstore/qrisd.mqtt-password",
            "etc/credstore.encrypted/qrisd.mqtt-password.before-3",
            "etc/qrisd/qrisd.toml.before-4",
        ] {
            put(root.path(), path, "s\n");
        }
        let site = Site::below(root.path()).expect("there");
        let text =
            "[mqtt]\npassword_file = \"mqtt-password\"\nkey_file = \"/etc/qrisd/device.key\"\n[backend]\ntoken_file = \"/data/token\"\n";
        let found = secrets(&site, &text.parse().expect("TOML"));
        let mut told: Vec<_> = found.iter().map(|one| (one.path.to_str().expect("text"), one.kind, one.is_in_use)).collect();
        told.sort_by_key(|(path, ..)| *path);
        assert_eq!(
            told,
            [
                ("/data/token", FileRole::Secret, true),
                ("/data/token.before-1", FileRole::Secret, false),
                ("/etc/credstore.encrypted/qrisd.mqtt-password.before-3", FileRole::Credential, false),
                ("/etc/credstore/qrisd.mqtt-password", FileRole::Credential, true),
                ("/etc/qrisd/backend-token.before-2", FileRole::Secret, false),
                // This one is named, and is not there.
                ("/etc/qrisd/device.key", FileRole::Secret, true),
                ("/etc/qrisd/mqtt-password", FileRole::Secret, false),
            ]
        );
    }
}
