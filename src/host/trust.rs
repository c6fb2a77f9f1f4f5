//! Which time certificates are judged by, and which time is trusted. It only decides: it reads no clock and asks nobody.
//!
//! A clock may be at 1970, or ahead by months. So there is a *floor*, the last time that was trusted, and certificates are never judged by an
//! earlier one. A clock that was ahead must not raise it. So a time is trusted only if everybody who can know agrees ([`ServerTime`]).
//! The same agreement sets a floor back that is ahead: nothing is stopped for good.

use crate::clock::RELEASED;
use qris_core::order::time::{Span, Wall};

/// Clocks that differ by no more than this agree.
pub const AGREES: Span = Span::secs(60);
/// The floor is raised at most this often: it is stored, and a write costs.
const RAISED_EVERY: Span = Span::secs(24 * 3600);

/// What the servers said about the present time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerTime {
    /// The backend's `Date`. It came over TLS, and from another computer.
    pub date: Wall,
    /// Whether the certificate of every TLS server that the program asks is good by our clock. False where the answer would change nothing.
    pub is_good: bool,
}

/// The time to judge a certificate by when the clock says `clock`. It is never before the release or the floor.
#[must_use]
pub fn certificate_time(clock: Wall, floor: Wall) -> Wall {
    clock.max(RELEASED).max(floor)
}

/// Judges a certificate: `check` says whether it is good at a time. `None`: it is good. `Some`: it is refused, by the floor alone, and is
/// good by the clock.
/// `Err`: it is refused by the clock, too.
pub fn judge<E>(clock: Wall, floor: Wall, check: impl Fn(Wall) -> Result<(), E>) -> Result<Option<E>, E> {
    match check(certificate_time(clock, floor)) {
        Ok(()) => Ok(None),
        Err(why) => check(certificate_time(clock, Wall(0))).map(|()| Some(why)),
    }
}

/// Whether a floor stands in the way of a clock that may be right: `released` is the day on which the program was made.
#[must_use]
pub fn stands_in_the_way(floor: Wall, clock: Wall, released: Wall) -> bool {
    clock >= released && floor > clock + AGREES
}

/// Whether the floor would become another one if the clock were trusted now.
#[must_use]
pub fn matters(floor: Wall, clock: Wall, released: Wall) -> bool {
    stands_in_the_way(floor, clock, released) || clock >= floor + RAISED_EVERY
}

/// The new floor, if it is to become another one.
#[must_use]
pub fn new_floor(floor: Wall, clock: Wall, told: ServerTime, released: Wall) -> Option<Wall> {
    let agrees = clock.0.abs_diff(told.date.0) <= AGREES.0.unsigned_abs();
    (clock >= released && told.is_good && agrees && matters(floor, clock, released)).then_some(clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Span = Span::secs(24 * 3600);

    #[test]
    fn the_certificate_time_is_the_latest_of_clock_release_and_stored() {
        let later = Wall(RELEASED.0 + 1);
        let latest = Wall(RELEASED.0 + 2);
        for (clock, stored, expected) in [
            (Wall(0), Wall(0), RELEASED),
            (later, Wall(0), later),
            (Wall(0), later, later),
            (later, latest, latest),
            (latest, later, latest),
        ] {
            assert_eq!(certificate_time(clock, stored), expected, "clock {clock:?}, stored {stored:?}");
        }
    }

    #[test]
    fn a_certificate_that_the_floor_alone_refuses_is_told_apart() {
        let check = |at: Wall| if (RELEASED..RELEASED + DAY).contains(&at) { Ok(()) } else { Err(at) };
        let (now, then) = (RELEASED + Span::secs(60), RELEASED + DAY);
        for (clock, floor, expected) in [
            (now, Wall(0), Ok(None)),
            (Wall(0), Wall(0), Ok(None)),
            (now, then, Ok(Some(then))),
            (Wall(0), then, Ok(Some(then))),
            (then, now, Err(then)),
            (then, then + DAY, Err(then)),
        ] {
            assert_eq!(judge(clock, floor, check), expected, "clock {clock:?}, floor {floor:?}");
        }
    }

    /// From 1970 to 2050.
    #[test]
    fn a_time_is_trusted_if_all_agree_and_then_the_floor_is_that() {
        let now = RELEASED + DAY + DAY;
        let told = |date| ServerTime { date, is_good: true };
        let (none, year_2050) = (Wall(0), Wall(2_524_608_000_000));
        for (what, floor, clock, said, expected) in [
            ("the first", none, now, told(now), Some(now)),
            ("a minute off", none, now, told(now + AGREES), Some(now)),
            ("behind by more", none, now, told(now + AGREES + Span(1)), None),
            ("ahead by more", none, now, told(now - AGREES - Span(1)), None),
            ("a certificate is not good", none, now, ServerTime { date: now, is_good: false }, None),
            ("both are at 1970", none, Wall(0), told(Wall(0)), None),
            ("the clock is at 1970", none, Wall(0), told(now), None),
            ("the clock is at 2050", none, year_2050, told(now), None),
            ("both are at 2050", none, year_2050, told(year_2050), Some(year_2050)),
            ("that is set back", year_2050, now, told(now), Some(now)),
            ("not by a certificate that is not good", year_2050, now, ServerTime { date: now, is_good: false }, None),
            ("not by a clock at 1970", year_2050, Wall(0), told(Wall(0)), None),
            ("not by a clock that the backend does not know", year_2050, now, told(year_2050), None),
            ("it is new", now, now + DAY - Span(1), told(now + DAY), None),
            ("it is a day old", now, now + DAY, told(now + DAY), Some(now + DAY)),
            ("it is ahead by a blink", now + AGREES, now, told(now), None),
            ("it is ahead by a minute", now + AGREES + Span(1), now, told(now), Some(now)),
        ] {
            assert_eq!(new_floor(floor, clock, said, RELEASED), expected, "{what}");
        }
    }
}
