//! The list of lines that this run of the service holds. It is written beside the ledger before the first line is taken.
//!
//! After a crash `--safe` sets these lines inactive, whatever happened to the configuration meanwhile. The configuration may
//! be unreadable or name other pins, and its pins may now be wired for something else. So the list holds only outlets. It is
//! removed when they are safe.

use super::config::LineSettings;
use super::outlet;
use super::pin::HardwareError;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub name: String,
    /// What its outlet needs to be brought to rest.
    #[serde(flatten)]
    outlet: serde_json::Value,
}

impl Held {
    #[must_use]
    pub fn of(line: &LineSettings) -> Self {
        Self { name: line.name.clone(), outlet: line.outlet.held() }
    }

    /// Sets it inactive, and does nothing else.
    pub fn make_safe(&self) -> Result<(), HardwareError> {
        outlet::make_safe(&self.name, self.outlet.clone())
    }
}

/// The lines that the last run held and nobody has made safe since. `None`: there are none, as far as the list can be read.
#[must_use]
pub fn read(ledger: &Path) -> Option<Vec<Held>> {
    serde_json::from_slice(&fs::read(file(ledger)).ok()?).ok()
}

/// Writes the list and waits for the disk. After an error the older list stands.
pub fn write(ledger: &Path, lines: &[Held]) -> io::Result<()> {
    let (path, new) = (file(ledger), with_suffix(ledger, ".lines.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(lines)?)?;
    file.sync_all()?;
    fs::rename(new, path)
}

/// All of them are safe.
pub fn forget(ledger: &Path) {
    // If the list is still there, its lines are made safe once more, which does no harm.
    drop(fs::remove_file(file(ledger)));
}

fn file(ledger: &Path) -> PathBuf {
    with_suffix(ledger, ".lines")
}

fn with_suffix(ledger: &Path, suffix: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
