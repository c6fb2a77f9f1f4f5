//! Why the computer started: did the run before this one end properly?

use crate::store::StoreError;
use crate::store::database::Database;
use crate::store::fact::Fact;
use qris_core::order::time::BootId;
use qris_core::wire::telemetry::Booted;
use serde::{Deserialize, Serialize};

/// The boot in which this program ran last.
const RAN: Fact<Ran> = Fact::new("boot");

#[derive(Debug)]
pub(super) struct Start {
    here: BootId,
    booted: Booted,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct Ran {
    boot_id: BootId,
    booted: Booted,
    /// The program was stopped properly, and has not started since.
    is_stopped: bool,
}

impl Start {
    pub(super) fn new(here: BootId) -> Self {
        Self { here, booted: Booted::Unknown }
    }

    pub(super) fn booted(&self) -> Booted {
        self.booted
    }

    /// Finds out why this boot began, and takes the proper stop out again.
    pub(super) fn take_up(&mut self, store: &mut Database) -> Result<(), StoreError> {
        let ran = store.known(&RAN)?.good();
        self.booted = match &ran {
            Some(ran) if ran.boot_id == self.here => ran.booted,
            Some(ran) if ran.is_stopped => Booted::Restart,
            Some(_) => Booted::Power,
            None => Booted::Unknown,
        };
        if ran.is_none_or(|ran| ran != self.ran(false)) { self.note(false, store) } else { Ok(()) }
    }

    pub(super) fn note(&self, is_stopped: bool, store: &mut Database) -> Result<(), StoreError> {
        store.keep(&RAN, &self.ran(is_stopped))
    }

    fn ran(&self, is_stopped: bool) -> Ran {
        Ran { boot_id: self.here.clone(), booted: self.booted, is_stopped }
    }
}
