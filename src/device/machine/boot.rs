//! Why the computer started: did the run before this one end properly?

use super::Machine;
use crate::store::StoreError;
use crate::store::fact::Fact;
use qris_core::order::time::BootId;
use qris_core::wire::telemetry::Booted;
use serde::{Deserialize, Serialize};

/// The boot in which this program ran last.
const RAN: Fact<Ran> = Fact::new("boot");

#[derive(PartialEq, Serialize, Deserialize)]
struct Ran {
    boot_id: BootId,
    booted: Booted,
    /// The program was stopped properly, and has not started since.
    is_stopped: bool,
}

impl Machine {
    /// Finds out why this boot began, and takes the proper stop out again.
    pub(super) fn take_up_boot(&mut self) -> Result<(), StoreError> {
        let Some(store) = self.storage.store() else { return Ok(()) };
        let ran = store.known(&RAN)?.good();
        self.booted = match &ran {
            Some(ran) if ran.boot_id == self.settings.boot_id => ran.booted,
            Some(ran) if ran.is_stopped => Booted::Restart,
            Some(_) => Booted::Power,
            None => Booted::Unknown,
        };
        if ran.is_none_or(|ran| ran != self.ran(false)) { self.note_boot(false) } else { Ok(()) }
    }

    /// Stores whether this run has ended properly.
    pub(super) fn note_boot(&mut self, is_stopped: bool) -> Result<(), StoreError> {
        let ran = self.ran(is_stopped);
        self.storage.store_mut().map_or(Ok(()), |store| store.keep(&RAN, &ran))
    }

    /// What the machine itself knows of the computer's condition.
    pub(super) fn known_vitals(&self) -> serde_json::Value {
        serde_json::json!({ "booted": self.booted, "slot": self.systems.slot() })
    }

    fn ran(&self, is_stopped: bool) -> Ran {
        Ran { boot_id: self.settings.boot_id.clone(), booted: self.booted, is_stopped }
    }
}
