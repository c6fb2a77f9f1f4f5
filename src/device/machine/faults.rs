//! The faults, as `status` and the screen tell them.

use qris_core::order::reason::Reason;
use qris_core::order::request::{Refusal, cut};
use qris_core::order::state::EventState;
use qris_core::order::time::{Now, Wall};
use qris_core::text;
use qris_core::wire::status::{Fault, FaultCode};
use qris_core::wire::vend::VendEvent;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Faults {
    present: BTreeMap<FaultCode, Fault>,
    /// Those that came, and that the journal has not heard of.
    begun: Vec<(FaultCode, Box<str>)>,
    /// A wall clock before this time is wrong.
    released: Wall,
    /// How many requests failed one after the other because of their charge.
    failed: u32,
}

/// The longest detail of a fault, in characters.
const DETAIL_MAX: usize = 300;
/// So many requests that fail one after the other because of their charge are a fault, whoever refused it.
const CHARGES_FAIL: u32 = 3;

impl Faults {
    pub(super) fn new(released: Wall) -> Self {
        Self { present: BTreeMap::new(), begun: Vec::new(), released, failed: 0 }
    }

    /// Notes or lifts a fault. `true`: that is news.
    pub(super) fn set(&mut self, code: FaultCode, detail: Option<&str>, now: Now) -> bool {
        // Others have said it, at any length, and it goes to everybody with the status.
        let detail = detail.map(|detail| cut(text::plain(detail, ' ').into(), DETAIL_MAX));
        match (detail, self.present.get_mut(&code)) {
            (Some(detail), None) => {
                let since = (now.wall >= self.released).then(|| now.wall.to_rfc3339().into());
                self.begun.extend((!has_own_line(code)).then(|| (code, detail.clone())));
                self.present.insert(code, Fault { code, detail, since });
                true
            }
            (Some(detail), Some(fault)) => {
                fault.detail = detail;
                false
            }
            (None, _) => self.present.remove(&code).is_some(),
        }
    }

    /// The faults that came since the last call, for the journal.
    pub(super) fn take_begun(&mut self) -> Vec<(FaultCode, Box<str>)> {
        std::mem::take(&mut self.begun)
    }

    /// Notes whether a charge could be shown, as an event tells it.
    pub(super) fn charged(&mut self, event: &VendEvent, now: Now) {
        match (event.state, event.reason) {
            (EventState::AwaitingPayment, _) => {
                self.failed = 0;
                self.set(FaultCode::Charges, None, now);
            }
            (EventState::Failed, Some(reason)) if is_of_the_charge(reason) => {
                self.failed = self.failed.saturating_add(1);
                if self.failed >= CHARGES_FAIL {
                    let why = event.detail.as_deref().unwrap_or(reason.as_str());
                    self.set(FaultCode::Charges, Some(&format!("the last {} requests failed: {why}", self.failed)), now);
                }
            }
            (_, _) => {}
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

/// Whether a request that failed for this failed because of its charge. What has a fault of its own, or was the customer's, is none.
const fn is_of_the_charge(reason: Reason) -> bool {
    match reason {
        Reason::Gateway | Reason::GrossAmount | Reason::Malformed | Reason::TooLarge | Reason::WrongAmount => true,
        Reason::UnknownItem | Reason::UnknownKey | Reason::ReusedId | Reason::RateLimited | Reason::Other(_) => true,
        Reason::Backend | Reason::Store | Reason::NewerDatabase | Reason::Relay | Reason::LineBlocked | Reason::Screen => false,
        Reason::Retained | Reason::Busy | Reason::SoldOut | Reason::Updating | Reason::Timeout | Reason::Customer => false,
        Reason::Late | Reason::NotCollected | Reason::RelayRefused | Reason::Failed | Reason::Uncertain => false,
        Reason::Mismatch | Reason::WrongCode | Reason::UnknownRequest => false,
    }
}

/// Whether an event of its own tells the journal of it: of this program, or of the relay service.
const fn has_own_line(code: FaultCode) -> bool {
    match code {
        FaultCode::Store | FaultCode::StoreReset | FaultCode::NewerDatabase | FaultCode::Relay | FaultCode::Screen => true,
        FaultCode::Backend | FaultCode::Clock | FaultCode::TakenOver | FaultCode::Settings => true,
        FaultCode::LineBlocked | FaultCode::Config | FaultCode::Charges | FaultCode::Unconfirmed => false,
        FaultCode::Stock | FaultCode::Prices | FaultCode::Other(_) => false,
    }
}
