//! The files that are to be written.

use super::present::USER;
use qris_host::Failure;
use qris_host::config::Places;
use qris_host::setup::site::Site;
use qris_host::setup::staging::Staging;
use qris_host::setup::write::{Planned, Rights};
use std::path::Path;

pub(super) const PUBLIC: Rights = Rights { owner: "root", group: "root", mode: 0o644 };
pub(super) const SECRET: Rights = Rights { owner: "root", group: USER, mode: 0o640 };
pub(super) const OWN: Rights = Rights { owner: USER, group: USER, mode: 0o600 };
pub(super) const ROOTS: Rights = Rights { owner: "root", group: "root", mode: 0o600 };

/// Files, and where they are for now.
pub(super) struct Draft<'a> {
    staging: &'a Staging,
    places: Places,
    pub(super) files: Vec<Planned>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(site: &Site, staging: &'a Staging) -> Self {
        Self { staging, places: site.places(), files: Vec::new() }
    }

    pub(super) fn into_parts(self) -> (Places, Vec<Planned>) {
        (self.places, self.files)
    }

    /// A file that the configuration names. It is looked at before it is in its place.
    pub(super) fn named(&mut self, path: &str, rights: Rights, content: &str) -> Result<(), Failure> {
        let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
        self.places.put_for_now(path, self.staging.put(&format!("{}-{name}", self.files.len()), content.as_bytes())?);
        self.files.push(Planned::new(path, rights, content));
        Ok(())
    }
}
