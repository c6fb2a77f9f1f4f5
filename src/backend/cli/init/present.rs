//! What is there already.

use super::text::{fill, texts};
use qris_host::Failure;
use qris_host::setup::edit::{self, Text};
use qris_host::setup::site::Site;
use std::path::PathBuf;

/// The user of the service, and its group.
pub(super) const USER: &str = "qris-backend";
pub(super) const BACKEND_TOML: &str = "/etc/qris-backend/backend.toml";

#[derive(Debug, Default)]
pub(super) struct Present {
    pub(super) backend: Option<Text>,
    pub(super) public_url: Option<String>,
    pub(super) has_server_key: bool,
    pub(super) has_public_url: bool,
    pub(super) has_merchant: bool,
    pub(super) has_contact: bool,
    pub(super) has_fees: bool,
    pub(super) has_desk: bool,
    pub(super) has_home: bool,
    pub(super) has_broker: bool,
}

impl Present {
    pub(super) fn read(site: &Site) -> Result<Self, Failure> {
        let path = site.at(BACKEND_TOML);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Failure::failed(format!("{}: {error}", path.display()))),
        };
        let table = edit::parse(&text).map_err(|why| Failure::usage(format!("{BACKEND_TOML}: {why}")))?;
        let [has_broker, has_fees] = ["mqtt", "fees"].map(|section| table.get(section).is_some());
        let backend = Text { file: BACKEND_TOML, text };
        let is_there = |section, key| {
            // A plain name is a credential of systemd.
            let named = backend.value(section, key).map(PathBuf::from);
            named.is_some_and(|file| file.components().count() == 1 || site.at(&file).exists())
        };
        let public_url = backend.value("http", "public_url");
        Ok(Self {
            has_server_key: is_there("midtrans", "server_key_file"),
            has_public_url: public_url.is_some(),
            has_merchant: backend.value("customer", "merchant").is_some(),
            has_contact: backend.value("customer", "contact").is_some(),
            has_fees,
            has_desk: backend.value("desk", "url").is_some(),
            has_home: backend.value("desk", "home").is_some(),
            has_broker,
            public_url,
            backend: Some(backend),
        })
    }
}

pub(super) fn no_user() -> String {
    fill(texts().no_user, &[&USER])
}

pub(super) fn hostname(site: &Site) -> String {
    let name = std::fs::read_to_string(site.at("/etc/hostname")).unwrap_or_default();
    match name.trim() {
        "" => "localhost".into(),
        name => name.to_lowercase(),
    }
}
