//! The time by which certificates are judged, and when the backend is asked for the time.

use super::outbox::Outbox;
use super::storage::Storage;
use crate::words::{Effect, Settings};
use qris_core::order::time::{Boot, Now, Span, Wall};
use qris_host::trust::stands_in_the_way;

/// While the dates of a certificate are refused, it is looked this often whether a time that was trusted stands in the way.
const LOOK_EVERY: Span = Span::secs(15);

#[derive(Debug, Default)]
pub(super) struct Trust {
    /// `None`: no dates are refused.
    next: Option<Boot>,
}

impl Trust {
    /// Asks for the time while a time that was trusted once may keep a good certificate from being good.
    pub(super) fn ask(&mut self, dates_are_refused: bool, storage: &Storage, own: &Settings, out: &mut Outbox, now: Now) {
        if !dates_are_refused {
            self.next = None;
        } else if self.next.is_none_or(|at| now.boot >= at) {
            self.next = Some(now.boot + LOOK_EVERY);
            if stands_in_the_way(last_trusted(storage, own), now.wall, own.released) {
                out.push(Effect::AskTime);
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Boot> {
        self.next
    }
}

/// The last trusted time. Without a backend that tells the time there is none.
pub(super) fn last_trusted(storage: &Storage, own: &Settings) -> Wall {
    let store = storage.store().filter(|_| own.tells_time);
    store.and_then(|store| store.last_trusted().ok()).unwrap_or_default()
}
