//! Which time of day a merchant's program goes by. It only reckons: it reads no clock and asks nobody.
//!
//! The clock of its computer may be set while it runs. What ended by a time that was wrong stays ended. So the program takes the time from its
//! gateway, and counts on from there by the boot clock, which nobody sets. The time of day is *trusted* while it agrees with that count. What ends by
//! time ends by a trusted one only ([`Told`]).

use crate::trust::AGREES;
use qris_core::order::time::{Boot, BootId, Now, Span, Told, Wall};
use std::sync::{Mutex, PoisonError};

/// A count that is no further from the gateway's time goes on as it is: the gateway counts whole seconds.
const SAME: Span = Span::secs(2);

/// A moment on both clocks.
#[derive(Debug, Clone, Copy)]
struct Moment {
    wall: Wall,
    boot: Boot,
}

impl Moment {
    fn counted(self, boot: Boot) -> Wall {
        self.wall + (boot - self.boot)
    }
}

#[derive(Debug, Default)]
struct Known {
    /// The last trusted time of a run before, and whether that was in this boot.
    floor: Option<(Moment, bool)>,
    /// The gateway's time in this run.
    heard: Option<Moment>,
    /// Its last word was another time than clock and count have. So far our clock was ahead of it then.
    disputed: Option<Span>,
}

/// What the time of day is, as far as a program knows.
#[derive(Debug, Default)]
pub struct Reckoning {
    known: Mutex<Known>,
    /// `None`: nobody knows. Then no time of a run before counts as one of this boot.
    boot: Option<BootId>,
}

/// How the clock and the count compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Trusted,
    /// The gateway has told no time since the start.
    Unknown,
    /// The clock is ahead of the count by this span, or behind (negative).
    Differs(Span),
}

impl Reckoning {
    /// That of this boot.
    #[must_use]
    pub fn of(boot: Option<BootId>) -> Self {
        Self { boot, ..Self::default() }
    }

    /// The boot in which it counts.
    #[must_use]
    pub const fn boot(&self) -> Option<&BootId> {
        self.boot.as_ref()
    }

    /// The time, if the clocks say so now.
    #[must_use]
    pub fn told(&self, now: Now) -> Told {
        let known = self.known();
        match (known.heard, known.floor) {
            (Some(heard), _) => {
                let count = heard.counted(now.boot);
                if is_near(now.wall, count) && known.disputed.is_none() { Told::trusted(count) } else { Told::counted(count) }
            }
            // It is not later than that, so nothing that is stamped by it waits for too long.
            (None, Some((floor, true))) => Told::counted(floor.counted(now.boot)),
            (None, Some((floor, false))) => Told::unknown(floor.counted(now.boot)),
            (None, None) => Told::unknown(now.wall),
        }
    }

    #[must_use]
    pub fn standing(&self, now: Now) -> Standing {
        let known = self.known();
        match (known.heard.map(|heard| now.wall - heard.counted(now.boot)), known.disputed) {
            (_, Some(off)) => Standing::Differs(off),
            (None, None) => Standing::Unknown,
            (Some(off), None) if off.0.abs() <= AGREES.0 => Standing::Trusted,
            (Some(off), None) => Standing::Differs(off),
        }
    }

    /// The latest that it may be now, for a code or a link that nobody may use after its end. While nobody has told the time, that is the
    /// later one of the clock and the last trusted time. A code that a wrong clock refuses is good again by a right one.
    #[must_use]
    pub fn latest(&self, now: Now) -> Wall {
        let told = self.told(now);
        if told.until(told.wall).is_some() { told.wall } else { told.wall.max(now.wall) }
    }

    /// The time that a run before has stored as trusted. If that was within this boot, the count goes on from there. It is no agreement.
    pub fn stored(&self, wall: Wall, boot: &BootId, at: Boot, now: Now) {
        let is_same = self.boot.as_ref() == Some(boot) && at <= now.boot;
        self.known().floor = Some((Moment { wall, boot: if is_same { at } else { now.boot } }, is_same));
    }

    /// The gateway said this time, over a way that is verified. It was asked at the time `asked`.
    pub fn heard(&self, date: Wall, asked: Wall, now: Now) {
        let mut known = self.known();
        let count = known.heard.map(|heard| heard.counted(now.boot));
        let off = off(date, asked, now.wall);
        let with_clock = off.0.abs() <= AGREES.0;
        let is_new = match (count, known.floor) {
            // Nobody was heard yet: it is taken, but for one that is over for certain.
            (None, Some((floor, _))) => with_clock || date + AGREES >= floor.counted(now.boot),
            (None, None) => true,
            (Some(count), _) => with_clock || is_near(date, count),
        };
        known.disputed = (!is_new).then_some(off);
        if is_new {
            // A clock that is right to the second knows the part of it besides, and what it has stamped so far stays earlier.
            let date = if off == Span::ZERO { now.wall } else { date };
            let goes_on = count.filter(|count| (*count - date).0.abs() <= SAME.0);
            known.heard = Some(Moment { wall: goes_on.map_or(date, |count| count.max(date)), boot: now.boot });
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn is_near(one: Wall, other: Wall) -> bool {
    one.0.abs_diff(other.0) <= AGREES.0.unsigned_abs()
}

/// How far our clock is ahead of another computer's, or behind (negative). Ours was read before that told its time, and after. Its header
/// counts whole seconds, rounded down.
#[must_use]
pub fn off(theirs: Wall, before: Wall, after: Wall) -> Span {
    match theirs {
        theirs if before > theirs + Span::secs(1) => before - (theirs + Span::secs(1)),
        theirs if theirs > after => after - theirs,
        _ => Span::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Wall = Wall(1_800_000_000_000);
    const YEARS: Span = Span::secs(63_072_000);

    fn at(wall: Wall, boot: i64) -> Now {
        Now { wall, boot: Boot(boot * 1000) }
    }

    /// The clock, seconds since the boot, and what is told.
    #[test]
    fn the_time_goes_on_by_the_boot_clock_whatever_the_clock_says() {
        let reckoning = Reckoning::default();
        assert_eq!(reckoning.told(at(T, 5)), Told::unknown(T), "nobody was heard");
        assert_eq!(reckoning.standing(at(T, 5)), Standing::Unknown);
        reckoning.heard(T, T - Span(300), at(T, 10));
        let second = |s: i64| T + Span::secs(s);
        for (what, clock, boot, told) in [
            ("right", second(20), 30, Told::trusted(second(20))),
            ("a minute ahead", second(80), 30, Told::trusted(second(20))),
            ("more", second(81), 30, Told::counted(second(20))),
            ("a minute behind", second(-40), 30, Told::trusted(second(20))),
            ("two years ahead", second(20) + YEARS, 30, Told::counted(second(20))),
            ("two years behind", second(20) - YEARS, 30, Told::counted(second(20))),
            ("right again", second(50), 60, Told::trusted(second(50))),
        ] {
            assert_eq!(reckoning.told(at(clock, boot)), told, "{what}");
        }
        assert_eq!(reckoning.standing(at(second(20) + YEARS, 30)), Standing::Differs(YEARS));
    }

    #[test]
    fn who_disagrees_with_clock_and_count_is_not_believed() {
        let second = |s: i64| T + Span::secs(s);
        for (what, date, clock, told) in [
            ("it confirms the count", second(50), second(50) + YEARS, Told::counted(second(50))),
            ("one of the two is wrong, and nobody knows which", second(50) + YEARS, second(50), Told::counted(second(50))),
            ("all three differ", second(50) + YEARS, second(50) - YEARS, Told::counted(second(50))),
            ("it confirms the clock", second(50) + YEARS, second(50) + YEARS, Told::trusted(second(50) + YEARS)),
        ] {
            let reckoning = Reckoning::default();
            reckoning.heard(T, T, at(T, 10));
            let now = at(clock, 60);
            reckoning.heard(date, clock, now);
            assert_eq!(reckoning.told(now), told, "{what}");
        }
        let reckoning = Reckoning::default();
        reckoning.heard(T, T, at(T, 10));
        reckoning.heard(T + YEARS, T, at(T, 10));
        assert_eq!(reckoning.standing(at(T, 10)), Standing::Differs(Span(-YEARS.0)));
        reckoning.heard(T, T, at(T, 10));
        assert_eq!(reckoning.standing(at(T, 10)), Standing::Trusted, "its next word is right");
    }

    #[test]
    fn the_stored_time_is_the_lower_bound_and_no_agreement() {
        let (this, other) = (BootId("this".into()), BootId("other".into()));
        let stale = |told: Wall| if told == T { Told::unknown(told) } else { Told::counted(told) };
        let start = at(T + YEARS, 100);
        for (what, boot, told) in [("of this boot", &this, T + Span::secs(40)), ("of another", &other, T)] {
            let reckoning = Reckoning::of(Some(this.clone()));
            reckoning.stored(T, boot, Boot(60_000), start);
            assert_eq!(reckoning.told(start), stale(told), "{what}");
            assert_eq!(reckoning.told(at(told, 100)), stale(told), "{what}: a right clock is none, either");
            reckoning.heard(told - YEARS, start.wall, start);
            assert_eq!(reckoning.told(start), stale(told), "{what}: an earlier one is not believed");
            reckoning.heard(told + Span::secs(90), start.wall, start);
            assert_eq!(reckoning.told(start), Told::counted(told + Span::secs(90)), "{what}: the gateway's, against the clock");
            assert_eq!(reckoning.told(at(told + Span::secs(91), 101)), Told::trusted(told + Span::secs(91)), "{what}: it is set right");
        }
    }

    #[test]
    fn a_code_ends_by_the_count_or_by_the_later_one_of_clock_and_last_trusted_time() {
        let (this, other) = (BootId("this".into()), BootId("other".into()));
        let second = |s: i64| T + Span::secs(s);
        for (what, boot, clock, latest) in [
            ("of this boot, the clock is ahead", &this, T + YEARS, second(40)),
            ("of this boot, the clock is behind", &this, T - YEARS, second(40)),
            ("of another, the clock is ahead", &other, T + YEARS, T + YEARS),
            ("of another, the clock is behind", &other, T - YEARS, T),
        ] {
            let reckoning = Reckoning::of(Some(this.clone()));
            reckoning.stored(T, boot, Boot(60_000), at(clock, 100));
            assert_eq!(reckoning.latest(at(clock, 100)), latest, "{what}");
            // Nothing was written by it: as soon as the gateway tells the time, that counts.
            reckoning.heard(second(50), clock, at(clock, 100));
            assert_eq!(reckoning.latest(at(clock, 100)), second(50), "{what}");
        }
    }

    /// The gateway counts whole seconds.
    #[test]
    fn the_count_does_not_go_back_by_a_second() {
        let reckoning = Reckoning::default();
        reckoning.heard(T, T, at(T, 10));
        reckoning.heard(T, T, at(T + Span(900), 11));
        assert_eq!(reckoning.told(at(T, 11)), Told::trusted(T + Span::secs(1)));
    }

    #[test]
    fn clocks_are_compared_with_the_time_between_question_and_answer() {
        let theirs = Wall(1_000_000);
        for (before, after, expected) in [
            (1_000_000, 1_000_100, 0),
            (1_001_000, 1_001_100, 0),
            (999_000, 1_000_000, 0),
            (999_000, 999_900, -100),
            (1_062_000, 1_062_100, 61_000),
        ] {
            assert_eq!(off(theirs, Wall(before), Wall(after)), Span(expected), "{before} to {after}");
        }
    }
}
