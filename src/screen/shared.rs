//! What the callers, the screen's thread and the camera share.

use super::geometry::Geometry;
use super::paint::Mark;
use super::picture::Picture;
use super::settings::Settings;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// The state between the callers of `show` and the thread. It is a slot and not a queue, because only the latest
/// picture is true.
pub(super) struct Shared {
    pub(super) slot: Mutex<Slot>,
    pub(super) changed: Condvar,
    pub(super) film: Mutex<Film>,
}

pub(super) struct Slot {
    pub(super) latest: Picture,
    pub(super) dress: Option<Settings>,
    /// The receiver of a view of the panel, if a view is wanted.
    pub(super) wanted: Option<ViewSender>,
    pub(super) stop: bool,
    pub(super) stopped: bool,
}

impl Shared {
    /// A slot is whole at any moment, so it stays usable after a panic elsewhere.
    pub(super) fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until another picture, or no picture, is to be shown, but no longer than `at_most`.
    pub(super) fn wait<'a>(&self, slot: MutexGuard<'a, Slot>, at_most: Duration, shown: &Picture) -> MutexGuard<'a, Slot> {
        let nothing_new = |slot: &mut Slot| !slot.stop && slot.wanted.is_none() && slot.dress.is_none() && slot.latest == *shown;
        let waited = self.changed.wait_timeout_while(slot, at_most, nothing_new);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Takes a PNG, or `None` if there is no picture.
pub(super) type Reply = Box<dyn FnOnce(Option<Vec<u8>>) + Send>;

/// The requests that wait for a picture, and whether a thread works on it.
#[derive(Default)]
pub(super) struct Film {
    pub(super) waiting: Vec<Reply>,
    pub(super) at_work: bool,
    pub(super) last: Option<Instant>,
}

/// The page on the panel, upright.
pub(super) struct View {
    pub(super) marks: Vec<Mark>,
    pub(super) geometry: Geometry,
}

/// The screen's thread puts a view here; `None`: the panel shows nothing.
pub(super) type ViewSender = mpsc::Sender<Option<View>>;
