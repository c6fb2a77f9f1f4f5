//! Days and times of day as the merchant says them: in Western Indonesia Time, the gateway's own.

use clap::Args;
use qris_core::order::time::{Span, Wall};

/// The length of a day. It is the same everywhere that the clocks are never changed.
const DAY: Span = Span::secs(24 * 3600);

/// A day, or a moment of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// From its first second to its last.
    Day(Wall),
    /// A point in time.
    Moment(Wall),
}

impl When {
    /// The time at which it begins.
    #[must_use]
    pub const fn start(self) -> Wall {
        match self {
            Self::Day(at) | Self::Moment(at) => at,
        }
    }

    /// The time at which it ends. That moment is not a part of it.
    #[must_use]
    pub fn end(self) -> Wall {
        match self {
            Self::Day(at) => at + DAY,
            Self::Moment(at) => at,
        }
    }
}

/// Reads `2026-11-20`, `2026-11-20 15:00`, `2026-11-20T15:00:00` or RFC 3339 with a zone.
///
/// # Errors
/// The expected form, for people.
pub fn when(text: &str) -> Result<When, String> {
    let local = text.replacen('T', " ", 1);
    let day = || Wall::from_wib(&format!("{local} 00:00:00")).map(When::Day);
    let minute = || Wall::from_wib(&format!("{local}:00"));
    let moment = || Wall::from_wib(&local).or_else(|_| minute()).or_else(|_| Wall::from_rfc3339(text)).map(When::Moment);
    day().or_else(|_| moment()).map_err(|_| "a day is written 2026-11-20, a moment \"2026-11-20 15:00\" (WIB)".into())
}

/// Reads `2026-11-20`.
///
/// # Errors
/// The expected form, for people.
pub fn day(text: &str) -> Result<Wall, String> {
    match when(text) {
        Ok(When::Day(at)) => Ok(at),
        Ok(When::Moment(_)) | Err(_) => Err("a day is written 2026-11-20".into()),
    }
}

/// The day of a moment.
#[must_use]
pub fn day_of(at: Wall) -> Wall {
    let midnight = format!("{} 00:00:00", &at.to_wib()[..10]);
    Wall::from_wib(&midnight).expect("the day of a time is a day")
}

/// One day, or several.
#[derive(Debug, Args)]
pub struct Days {
    /// The day, in Western Indonesia Time; the default is today
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    date: Option<Wall>,
    /// The last of several days
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day, requires = "date")]
    until: Option<Wall>,
}

impl Days {
    /// The time from which and until which it lasts. The end is not a part of it.
    ///
    /// # Errors
    /// The last day lies before the first.
    pub fn span(&self, now: Wall) -> Result<(Wall, Wall), String> {
        let from = self.date.unwrap_or_else(|| day_of(now));
        let until = self.until.unwrap_or(from);
        if until < from { Err("--until lies before --date".into()) } else { Ok((from, until + DAY)) }
    }
}

/// A span in words: its days, both included.
#[must_use]
pub fn days_told((from, until): (Wall, Wall)) -> String {
    let last = until - Span::secs(1);
    let (from, last) = (from.to_wib(), last.to_wib());
    if from[..10] == last[..10] { from[..10].into() } else { format!("{} to {}", &from[..10], &last[..10]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_jakarta() {
        let utc = |text: &str| Wall::from_rfc3339(text).expect("a time");
        assert_eq!(when("2026-11-20"), Ok(When::Day(utc("2026-11-19T17:00:00Z"))));
        assert_eq!(when("2026-11-20").expect("a day").end(), utc("2026-11-20T17:00:00Z"));
        let three = When::Moment(utc("2026-11-20T08:00:00Z"));
        for text in ["2026-11-20 15:00", "2026-11-20T15:00", "2026-11-20 15:00:00", "2026-11-20T15:00:00+07:00", "2026-11-20T08:00:00Z"] {
            assert_eq!(when(text), Ok(three), "{text}");
        }
        for bad in ["", "today", "2026-02-30", "20-11-2026", "2026-11-20 25:00", "2026-11-2é"] {
            assert!(when(bad).is_err(), "{bad}");
        }
        assert!(day("2026-11-20 15:00").is_err());
        // The last second of a day in Jakarta and the first of the next are in one evening in Greenwich.
        assert_eq!(day_of(utc("2026-11-20T16:59:59Z")), utc("2026-11-19T17:00:00Z"));
        assert_eq!(day_of(utc("2026-11-20T17:00:00Z")), utc("2026-11-20T17:00:00Z"));
    }

    #[test]
    fn a_span_of_days_takes_both_ends_in() {
        let day = |text: &str| day(text).expect("a day");
        let days = Days { date: Some(day("2026-11-20")), until: Some(day("2026-11-21")) };
        let span = days.span(Wall(0)).expect("a span");
        assert_eq!(span, (day("2026-11-20"), day("2026-11-22")));
        assert_eq!(days_told(span), "2026-11-20 to 2026-11-21");
        let one = Days { date: None, until: None }.span(day("2026-11-20") + Span::secs(3600)).expect("a span");
        assert_eq!((one, days_told(one)), ((day("2026-11-20"), day("2026-11-21")), "2026-11-20".into()));
        assert!(Days { date: Some(day("2026-11-20")), until: Some(day("2026-11-19")) }.span(Wall(0)).is_err());
    }
}
