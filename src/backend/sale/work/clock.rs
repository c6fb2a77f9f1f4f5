//! Whether the time of day can be trusted: the gateway is asked for it, people are told, and the last trusted time is stored.

use super::Work;
use crate::gateway::SERVING;
use crate::sale::books::{self, STORED_EVERY, TrustedTime};
use crate::sale::handle::Bell;
use qris_core::order::time::{Boot, Span, Wall};
use qris_host::events::Event as Journal;
use qris_host::reckoning::Standing;
use qris_host::service;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

/// How often the clock is looked at: people hear of it within a second.
const LOOK: Duration = Duration::from_millis(500);
/// While no time is trusted, the gateway is asked for it so often.
const ASK_EVERY: Span = Span::secs(10);
/// The start waits so long for the first time that the gateway tells.
const FIRST: Duration = Duration::from_secs(3);
/// A gateway that has told no time is asked some times more before an alert says so.
const PATIENCE: Span = Span::secs(30);

#[derive(Debug, Default)]
pub(super) struct Watch(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// People were told that nothing ends by time.
    told: bool,
    /// What the alert says; `None`: nobody has looked since the start.
    alerted: Option<bool>,
    looked_since: Option<Boot>,
    asked_at: Option<Boot>,
    stored_at: Option<Boot>,
}

impl Seen {
    /// Whether it is time to ask the gateway. The next time is later then.
    fn is_due(&mut self, now: Boot) -> bool {
        let is_due = self.asked_at.is_none_or(|at| now >= at + ASK_EVERY);
        if is_due {
            self.asked_at = Some(now);
        }
        is_due
    }
}

fn ticks() -> Interval {
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

/// So many seconds, and in which direction.
#[must_use]
pub const fn apart(off: Span) -> (i64, &'static str) {
    (off.0.abs() / 1000, if off.0 > 0 { "ahead of" } else { "behind" })
}

/// Whether an alert says so; `None`: it is too early for that. It was looked at for so long.
const fn is_told(standing: Standing, waited: Span) -> Option<bool> {
    match standing {
        Standing::Trusted => Some(false),
        Standing::Differs(_) => Some(true),
        Standing::Unknown if waited.0 < PATIENCE.0 => None,
        Standing::Unknown => Some(true),
    }
}

impl Work {
    /// Looks at the clock, for ever. A database that hangs delays no word about it.
    pub async fn watch_clock(self: Arc<Self>) {
        let looks = async {
            let mut tick = ticks();
            loop {
                tick.tick().await;
                self.look_at_clock();
                if self.is_to_ask() {
                    tokio::spawn(Arc::clone(&self).ask_time());
                }
            }
        };
        let writes = async {
            let mut tick = ticks();
            loop {
                tick.tick().await;
                self.alert().await;
                self.store_time().await;
            }
        };
        tokio::join!(looks, writes);
    }

    /// Asks for the time before anybody is served. A gateway that does not answer holds up nobody for long.
    pub async fn learn_time(&self) {
        let stored = self.books.read(books::stored_time).await;
        // The journal was told of an error.
        if let Ok(Some(TrustedTime { at, boot, since_boot })) = stored {
            self.around.reckoning().stored(at, &boot, since_boot, self.books.clocks());
        }
        self.seen().asked_at = Some(self.books.clocks().boot);
        let asked = self.books.clocks();
        if timeout(FIRST, self.gateway.ask().ask_time()).await.is_ok() {
            self.note_clock(asked.wall);
        }
        self.look_at_clock();
    }

    /// Asks the gateway for nothing but the time.
    pub async fn ask_time(self: Arc<Self>) {
        let asked = self.books.clocks();
        let problem = self.gateway.ask().ask_time().await;
        self.note_clock(asked.wall);
        self.gateway.note_trouble(problem.filter(|problem| problem.kind.is_trouble()));
    }

    /// The gateway answered. It was asked when our clock said `asked`.
    pub(super) fn note_clock(&self, asked: Wall) {
        if let Some(theirs) = self.gateway.reported_time() {
            self.around.reckoning().heard(theirs, asked, self.books.clocks());
            self.look_at_clock();
        }
    }

    /// Tells people when the clock is trusted no more, and when it is again.
    fn look_at_clock(&self) {
        let standing = self.clock();
        let is_trusted = standing == Standing::Trusted;
        if std::mem::replace(&mut self.seen().told, !is_trusted) != is_trusted {
            return;
        }
        self.around.emit(&match standing {
            Standing::Trusted => Journal::ClockAgrees {},
            Standing::Unknown => Journal::ClockUnknown {},
            Standing::Differs(off) => {
                let (seconds, word) = apart(off);
                Journal::ClockDiffers { seconds, word: word.into() }
            }
        });
        service::status(if is_trusted { SERVING } else { "nothing ends by time: the clock cannot be trusted" });
        if is_trusted {
            // What could not end by time may end now.
            self.books.ring(Bell::Due);
        }
    }

    /// Whether anything ends by the time now, and why not.
    #[must_use]
    pub fn clock(&self) -> Standing {
        self.around.reckoning().standing(self.books.clocks())
    }

    /// Begins an alert when the clock is trusted no more, and ends it when it is again. A run before may have begun it.
    pub async fn alert(&self) {
        let now = self.books.clocks().boot;
        let waited = now - *self.seen().looked_since.get_or_insert(now);
        let Some(is_so) = is_told(self.clock(), waited).filter(|is_so| self.seen().alerted != Some(*is_so)) else { return };
        // The journal was told of an error. The next look tries again.
        if self.books.write(move |tx, _, now| books::clock_wants(tx, is_so, now)).await.is_ok() {
            self.seen().alerted = Some(is_so);
            self.books.ring(Bell::Alerts);
        }
    }

    /// Whether the gateway is to be asked for the time now.
    pub fn is_to_ask(&self) -> bool {
        let now = self.books.clocks();
        !self.around.reckoning().told(now).is_trusted() && self.seen().is_due(now.boot)
    }

    async fn store_time(&self) {
        let (now, told) = (self.books.clocks(), self.books.now());
        let Some(boot) = self.around.reckoning().boot().cloned().filter(|_| told.is_trusted()) else { return };
        if self.seen().stored_at.is_some_and(|at| now.boot < at + STORED_EVERY) {
            return;
        }
        let time = TrustedTime { at: told.wall, boot, since_boot: now.boot };
        // The journal was told of an error. The next look tries again.
        if self.books.write(move |tx, _, _| books::store_time(tx, &time)).await.is_ok() {
            self.seen().stored_at = Some(now.boot);
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.clock.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_hear_at_once_of_a_clock_that_differs_and_later_of_a_gateway_that_is_silent() {
        let soon = Span(PATIENCE.0 - 1);
        for (standing, waited, told) in [
            (Standing::Differs(Span::secs(61)), Span::ZERO, Some(true)),
            (Standing::Differs(Span::secs(-61)), Span::ZERO, Some(true)),
            (Standing::Unknown, Span::ZERO, None),
            (Standing::Unknown, soon, None),
            (Standing::Unknown, PATIENCE, Some(true)),
            (Standing::Trusted, Span::ZERO, Some(false)),
            (Standing::Trusted, PATIENCE, Some(false)),
        ] {
            assert_eq!(is_told(standing, waited), told, "{standing:?} {waited:?}");
        }
    }

    #[test]
    fn the_gateway_is_asked_every_ten_seconds() {
        let mut seen = Seen::default();
        let asked: Vec<_> = (0..=300).map(|tenth| Boot(tenth * 100)).filter(|now| seen.is_due(*now)).collect();
        assert_eq!(asked, [0, 10_000, 20_000, 30_000].map(Boot));
    }
}
