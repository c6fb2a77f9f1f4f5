//! The place of one call at a time: it is under way, or the next one waits until it may begin.

use super::outbox::Outbox;
use crate::words::CallId;
use qris_core::order::time::{Boot, Span};

/// The first wait before a call is repeated; it doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Span = Span::millis(250);
pub(super) const RETRY_MAX: Span = Span::secs(30);
/// The longest wait while somebody may have paid: the goods, or another try at them, wait for that call.
const RETRY_MAX_IF_PAID: Span = Span::secs(10);
/// After this many failures the wait is the longest.
const DOUBLINGS: u32 = 7;
/// After this many failures, about ten minutes, a call for an order that nobody waits for is repeated rarely.
const PATIENT_AFTER: u32 = 64;
const RETRY_RARELY: Span = Span::secs(900);

/// `W` is what a call keeps of its beginning.
#[derive(Debug)]
pub(super) struct Slot<C, W = ()> {
    turn: Turn<C, W>,
    /// How often it failed since it last went well.
    failures: u32,
}

#[derive(Debug)]
enum Turn<C, W> {
    /// The next call may begin from then on.
    FreeAt(Boot),
    Running {
        call: (CallId, C),
        with: W,
    },
}

impl<C, W> Default for Slot<C, W> {
    fn default() -> Self {
        Self { turn: Turn::AT_ONCE, failures: 0 }
    }
}

impl<C, W> Turn<C, W> {
    const AT_ONCE: Self = Self::FreeAt(Boot(i64::MIN));
}

impl<C, W> Slot<C, W> {
    pub(super) fn begin(&mut self, call: C, with: W, out: &mut Outbox) -> CallId {
        let id = out.next_call();
        self.turn = Turn::Running { call: (id, call), with };
        id
    }

    /// The call with this number, if it runs. It has ended.
    pub(super) fn end(&mut self, id: CallId) -> Option<(C, W)> {
        if self.running().is_none_or(|(running, _)| *running != id) {
            return None;
        }
        self.take().map(|((_, call), with)| (call, with))
    }

    /// Nobody waits for the call that runs any more, if there is one.
    pub(super) fn give_up(&mut self) -> Option<CallId> {
        self.take().map(|((id, _), _)| id)
    }

    fn take(&mut self) -> Option<((CallId, C), W)> {
        match std::mem::replace(&mut self.turn, Turn::AT_ONCE) {
            Turn::Running { call, with } => Some((call, with)),
            free @ Turn::FreeAt(_) => {
                self.turn = free;
                None
            }
        }
    }

    pub(super) fn running(&self) -> Option<&(CallId, C)> {
        match &self.turn {
            Turn::Running { call, .. } => Some(call),
            Turn::FreeAt(_) => None,
        }
    }

    pub(super) fn call(&self) -> Option<&C> {
        self.running().map(|(_, call)| call)
    }

    pub(super) fn free_at(&self) -> Option<Boot> {
        match self.turn {
            Turn::FreeAt(at) => Some(at),
            Turn::Running { .. } => None,
        }
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn is_free(&self, now: Boot) -> bool {
        self.free_at().is_some_and(|at| now >= at)
    }

    /// The call ended and brought the order on.
    pub(super) fn done(&mut self) {
        *self = Self::default();
    }

    /// The call ended and must be repeated: not before `least`, and later after every failure.
    pub(super) fn again(&mut self, least: Span, now: Boot) {
        self.again_within(RETRY_MAX, least, now);
    }

    /// The same for a call to the backend while somebody may have paid. It is not put off for longer, whatever the backend asks for.
    pub(super) fn again_if_paid(&mut self, least: Span, now: Boot) {
        self.again_within(RETRY_MAX_IF_PAID, least.min(RETRY_MAX_IF_PAID), now);
    }

    fn again_within(&mut self, most: Span, least: Span, now: Boot) {
        let doubled = RETRY_FIRST.0 << self.failures.min(DOUBLINGS);
        self.failures = self.failures.saturating_add(1);
        self.turn = Turn::FreeAt(now + Span(doubled.min(most.0).max(least.0)));
    }

    /// The same for a call for an order that has ended. Its customer may stand there for a while, and wait for another try. After many
    /// failures it is rare.
    pub(super) fn again_in_background(&mut self, least: Span, now: Boot) {
        if self.failures >= PATIENT_AFTER {
            self.again(least.max(RETRY_RARELY), now);
        } else {
            self.again_if_paid(least, now);
        }
    }

    /// The other side is back: the call waits no longer.
    pub(super) fn wake(&mut self) {
        if self.running().is_none() {
            self.done();
        }
    }

    /// The other side has answered something. The call is repeated once at once, and then no sooner than before, unless its wait
    /// was a rare one.
    pub(super) fn nudge(&mut self) {
        if self.running().is_none() {
            self.failures = self.failures.min(DOUBLINGS);
            self.turn = Turn::AT_ONCE;
        }
    }

    /// The call ended, and it did not fail. It is repeated after this time.
    pub(super) fn pause(&mut self, pause: Span, now: Boot) {
        *self = Self { turn: Turn::FreeAt(now + pause), failures: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The waits after one failure after the other, in milliseconds.
    fn waits(again: impl Fn(&mut Slot<()>)) -> Vec<i64> {
        let mut slot = Slot::<()>::default();
        (0..10)
            .map(|_| {
                again(&mut slot);
                slot.free_at().expect("no call runs").0
            })
            .collect()
    }

    #[test]
    fn the_wait_doubles_and_is_shorter_while_somebody_may_have_paid() {
        let now = Boot(0);
        assert_eq!(waits(|slot| slot.again(Span::ZERO, now)), [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(waits(|slot| slot.again_if_paid(Span::ZERO, now)), [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000, 10_000]);
        let ended = |failures, least| {
            let mut slot = Slot::<()> { failures, ..Slot::default() };
            slot.again_in_background(least, now);
            slot.free_at().map(|at| (at - now).0)
        };
        assert_eq!([30, 63, 64].map(|failures| ended(failures, Span::ZERO)), [10_000, 10_000, 900_000].map(Some));
        // The other side is there, and has asked for that.
        assert_eq!(waits(|slot| slot.again(Span::secs(60), now)), [60_000; 10]);
        assert_eq!(waits(|slot| slot.again_if_paid(Span::secs(60), now)), [10_000; 10]);
    }
}
