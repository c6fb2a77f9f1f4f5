//! The files that are to be written.

use qris_host::Failure;
use qris_host::config::Places;
use qris_host::setup::site::Site;
use qris_host::setup::staging::Staging;
use qris_host::setup::write::{Planned, Rights};
use std::path::Path;

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

    /// Where the files are for now, and the files.
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
