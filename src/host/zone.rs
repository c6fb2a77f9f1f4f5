//! The zone of this computer, or that of the merchant, for times that a person reads. Objects for programs have UTC.

use qris_core::order::time::{Span, Wall, Zone};
use std::sync::{LazyLock, OnceLock};
use tz::TimeZone;

/// The variable `TZ` says it, else the administrator (`/etc/localtime`). Without a word of either it is UTC.
static ZONE: LazyLock<TimeZone> = LazyLock::new(|| {
    let said = std::env::var("TZ").ok().filter(|said| !said.is_empty());
    said.map_or_else(TimeZone::local, |said| TimeZone::from_posix_tz(&said)).unwrap_or_else(|_| TimeZone::utc())
});

/// The merchant's, if a person has said so for this computer.
static MERCHANTS: OnceLock<Zone> = OnceLock::new();

/// Times are told in the merchant's zone from now on. The first word counts.
pub fn tell_in(zone: Zone) {
    MERCHANTS.get_or_init(|| zone);
}

/// A time on the clock of this computer, with the word of its zone, or its distance to UTC where it has no word:
/// `2026-11-20 15:00:00 WIB`, `2026-11-20 05:00:00 -03`.
#[must_use]
pub fn told(at: Wall) -> String {
    let (ahead, zone) = here(at);
    format!("{} {zone}", at.to_clock(ahead))
}

/// How far the clock of this computer is ahead of UTC at that time, and the word of its zone.
#[must_use]
pub fn here(at: Wall) -> (Span, String) {
    MERCHANTS.get().map_or_else(|| in_zone(&ZONE, at), |zone| (zone.ahead(), zone.as_str().to_owned()))
}

fn in_zone(zone: &TimeZone, at: Wall) -> (Span, String) {
    match zone.find_local_time_type(at.0.div_euclid(1000)) {
        Ok(kind) if !kind.time_zone_designation().is_empty() => {
            (Span::secs(kind.ut_offset().into()), kind.time_zone_designation().to_owned())
        }
        Ok(_) | Err(_) => (Span::ZERO, "UTC".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 November 2026, 07:00 UTC.
    const WINTER: Wall = Wall(1_795_158_000_000);
    /// 20 July 2026, 07:00 UTC.
    const SUMMER: Wall = Wall(1_784_530_800_000);

    #[test]
    fn a_time_has_the_distance_that_holds_then_and_the_word_for_it() {
        for (rule, at, hours, word) in [
            ("WIB-7", WINTER, 7, "WIB"),
            ("<-03>3", WINTER, -3, "-03"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", WINTER, 1, "CET"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", SUMMER, 2, "CEST"),
        ] {
            let zone = TimeZone::from_posix_tz(rule).expect("a rule");
            assert_eq!(in_zone(&zone, at), (Span::secs(hours * 3600), word.to_owned()), "{rule}");
        }
        assert_eq!(in_zone(&TimeZone::utc(), WINTER), (Span::ZERO, "UTC".to_owned()));
        // This test may run in any zone.
        let (ahead, zone) = here(WINTER);
        assert_eq!(told(WINTER), format!("{} {zone}", WINTER.to_clock(ahead)));
    }
}
