//! When the message of a day is told, and how it is asked for.

use crate::sale::books::BooksError;
use qris_core::order::time::{Span, Wall, Zone};
use serde_json::Value;
use std::pin::Pin;
use std::str::FromStr;

/// What a message is about: the time before it.
pub const DAY: Span = Span::secs(24 * 3600);

/// A day that ended: in one sentence for a phone, and for programs.
pub type DayTold = (String, Value);

/// Reads the day that ended at a time. Its sums are another room's.
pub type ReadDay = Box<dyn Fn(Wall) -> Pin<Box<dyn Future<Output = Result<DayTold, BooksError>> + Send>> + Send + Sync>;

/// A time of day: `21:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Daily {
    minutes: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time of day, as \"21:00\"")]
pub struct NoTime;

impl FromStr for Daily {
    type Err = NoTime;

    fn from_str(text: &str) -> Result<Self, NoTime> {
        let two = |digits: &str| {
            let plain = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
            plain.then(|| digits.parse::<i64>().ok()).flatten()
        };
        let (hours, minutes) = text.split_once(':').and_then(|(hours, minutes)| Some((two(hours)?, two(minutes)?))).ok_or(NoTime)?;
        if hours < 24 && minutes < 60 { Ok(Self { minutes: hours * 60 + minutes }) } else { Err(NoTime) }
    }
}

impl Daily {
    /// The last such time that has come, in this zone. No zone of Indonesia ever changes its clocks.
    #[must_use]
    pub fn last(self, now: Wall, zone: Zone) -> Wall {
        let midnight = format!("{} 00:00:00", &now.to_local(zone)[..10]);
        let today = Wall::from_local(&midnight, zone).expect("the day of a time") + Span::secs(self.minutes * 60);
        if today > now { today - DAY } else { today }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_day_is_that_of_the_merchants_clock() {
        let at = |text: &str| Wall::from_rfc3339(text).expect("a time");
        for (now, zone, last) in [
            ("2026-11-27T20:59:59+07:00", Zone::Wib, "2026-11-26T21:00:00+07:00"),
            ("2026-11-27T21:00:00+07:00", Zone::Wib, "2026-11-27T21:00:00+07:00"),
            ("2026-11-27T23:30:00+07:00", Zone::Wit, "2026-11-27T21:00:00+09:00"),
            ("2026-12-31T23:59:59+09:00", Zone::Wit, "2026-12-31T21:00:00+09:00"),
        ] {
            let daily: Daily = "21:00".parse().expect("a time of day");
            assert_eq!(daily.last(at(now), zone), at(last), "{now}");
        }
        for bad in ["", "21", "24:00", "21:60", "9:00", "21:00:00", "+9:00", "21.00"] {
            assert_eq!(bad.parse::<Daily>(), Err(NoTime), "{bad:?}");
        }
    }
}
