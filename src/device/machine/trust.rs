//! The time by which certificates are judged: when it becomes another one, and when the backend is asked for the time.

use super::{Effect, Machine};
use qris_core::order::time::{Boot, Now, Span, Wall};
use qris_host::trust::{ServerTime, new_floor, stands_in_the_way};

/// While the dates of a certificate are refused, it is looked this often whether a time that was trusted stands in the way.
const LOOK_EVERY: Span = Span::secs(15);

/// When that is looked for.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// `None`: no dates are refused.
    next: Option<Boot>,
}

impl Machine {
    /// The last trusted time, by which the dates of certificates are judged. Without a backend that tells the time there is none.
    #[must_use]
    pub fn last_trusted(&self) -> Wall {
        let store = self.storage.store().filter(|_| self.settings.tells_time);
        store.and_then(|store| store.last_trusted().ok()).unwrap_or_default()
    }

    /// The backend told the time. If all agree, the present time is trusted, and stored before anything is judged by it.
    pub(super) fn time_told(&mut self, told: ServerTime, now: Now) {
        let floor = new_floor(self.last_trusted(), now.wall, told, self.settings.released);
        let Some((trusted, store)) = floor.zip(self.storage.store_mut()).filter(|_| self.settings.tells_time) else { return };
        match store.trust(trusted) {
            Ok(()) => {
                self.outbox.push(Effect::Trust(trusted));
                self.are_not_over_after(trusted, now);
                if self.links.dates_are_refused() {
                    self.wake_backend(now.boot);
                }
            }
            Err(error) => self.store_failed(&error, now),
        }
    }

    /// Asks for the time while a time that was trusted once may keep a good certificate from being good.
    pub(super) fn ask_time(&mut self, now: Now) {
        if !self.links.dates_are_refused() {
            self.trust.next = None;
        } else if self.trust.next.is_none_or(|at| now.boot >= at) {
            self.trust.next = Some(now.boot + LOOK_EVERY);
            if stands_in_the_way(self.last_trusted(), now.wall, self.settings.released) {
                self.outbox.push(Effect::AskTime);
            }
        }
    }

    pub(super) fn time_deadline(&self) -> Option<Boot> {
        self.trust.next
    }
}
