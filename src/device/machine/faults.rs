//! The faults, as `status` and the screen tell them.

use qris_core::order::reason::Reason;
use qris_core::order::request::Refusal;
use qris_core::order::time::{Now, Wall};
use qris_core::wire::status::{Fault, FaultCode};
use std::collections::BTreeMap;

/// The present faults.
#[derive(Debug)]
pub(super) struct Faults {
    present: BTreeMap<FaultCode, Fault>,
    /// A wall clock before this time is wrong.
    released: Wall,
}

impl Faults {
    pub(super) fn new(released: Wall) -> Self {
        Self { present: BTreeMap::new(), released }
    }

    /// Notes or lifts a fault. `true`: that is news.
    pub(super) fn set(&mut self, code: FaultCode, detail: Option<&str>, now: Now) -> bool {
        match (detail, self.present.get_mut(&code)) {
            (Some(detail), None) => {
                let since = (now.wall >= self.released).then(|| now.wall.to_rfc3339().into());
                self.present.insert(code, Fault { code, detail: detail.into(), since });
                true
            }
            (Some(detail), Some(fault)) => {
                if *fault.detail != *detail {
                    fault.detail = detail.into();
                }
                false
            }
            (None, _) => self.present.remove(&code).is_some(),
        }
    }

    pub(super) fn has(&self, code: FaultCode) -> bool {
        self.present.contains_key(&code)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Fault> {
        self.present.values()
    }

    /// Why the machine sells nothing, as far as its faults say.
    pub(super) fn refusal(&self, screen_required: bool) -> Option<Refusal> {
        self.all().find_map(|fault| match fault.code.refuses() {
            Some(Reason::Screen) if !screen_required => None,
            reason => Some(Refusal::new(reason?, fault.detail.clone())),
        })
    }
}
