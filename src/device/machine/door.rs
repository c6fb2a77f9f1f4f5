//! The open door: its switch, and the button that is pressed there. A button that is held counts by one.

use qris_core::order::ids::ItemId;
use qris_core::order::time::{Boot, Span};

/// A button that is held for this time begins to count.
const COUNTS_AFTER: Span = Span::secs(1);
/// And goes on by one after this time.
const STEP: Span = Span::millis(500);

/// The door. It is not stored: a restart finds the switch as it stands, and forgets a button that was held.
#[derive(Debug, Default)]
pub(super) struct Door {
    /// The service switch is on, by the relay's last word.
    pub(super) is_on: bool,
    /// It was turned on, and the page could not be opened for it yet, or had to be closed.
    pub(super) is_awaited: bool,
    /// The button that was pressed last, while the page is open.
    pub(super) last: Option<Button>,
}

#[derive(Debug)]
pub(super) struct Button {
    pub(super) item: ItemId,
    /// `None`: it was let go.
    pub(super) down: Option<Down>,
    /// It was let go, and its slot could not be changed.
    pub(super) is_refused: bool,
}

#[derive(Debug)]
pub(super) struct Down {
    pub(super) since: Boot,
    /// It counts from here, and after the capacity from 0.
    pub(super) from: u32,
    pub(super) capacity: u32,
    /// The number that the panel shows; `None`: it was not held for long enough.
    pub(super) shown: Option<u32>,
}

impl Down {
    fn counts_from(&self) -> Boot {
        self.since + COUNTS_AFTER
    }

    pub(super) fn at(&self, now: Boot) -> Option<u32> {
        let steps = u64::try_from((now - self.counts_from()).0).ok()? / STEP.0.unsigned_abs();
        u32::try_from((u64::from(self.from) + steps) % (u64::from(self.capacity) + 1)).ok()
    }

    fn next(&self, now: Boot) -> Boot {
        let steps = (now - self.counts_from()).0.div_euclid(STEP.0) + 1;
        self.counts_from() + Span(STEP.0 * steps.max(0))
    }
}

impl Door {
    fn down(&self) -> Option<&Down> {
        self.last.as_ref()?.down.as_ref()
    }

    /// Nobody hears the relay's buttons any more. One that is down now would count for ever.
    pub(super) fn buttons_lost(&mut self) {
        if let Some(button) = &mut self.last {
            button.down = None;
        }
    }

    pub(super) fn deadline(&self, now: Boot) -> Option<Boot> {
        self.down().map(|down| down.next(now))
    }
}
