//! Months, days and times of day as the merchant says them: in his zone of Indonesia.

use super::text::{fill, texts};
use clap::Args;
use qris_core::order::time::{Span, Wall, Zone};

/// The length of a day. It is the same everywhere that the clocks are never changed.
const DAY: Span = Span::secs(24 * 3600);

/// A time on the clocks of a zone that is not known yet. It is kept as Western Indonesia Time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local(Wall);

impl Local {
    fn read(text: &str) -> Result<Self, String> {
        Wall::from_local(text, Zone::Wib).map(Self).map_err(|error| error.to_string())
    }

    fn at(self, zone: Zone) -> Wall {
        Wall::from_local(&self.0.to_local(Zone::Wib), zone).expect("the time of a time is a time")
    }
}

/// A day, or a whole month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    first: Local,
    /// The midnight after its last day.
    behind: Local,
}

impl Day {
    #[must_use]
    pub fn start(self, zone: Zone) -> Wall {
        self.first.at(zone)
    }

    /// The moment at which it is over.
    #[must_use]
    pub fn end(self, zone: Zone) -> Wall {
        self.behind.at(zone)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// From its first second to its last.
    Day(Day),
    /// A point in time, by the merchant's clock.
    Moment(Local),
    /// A point in time that was written with a zone of its own.
    Zoned(Wall),
}

impl When {
    #[must_use]
    pub fn start(self, zone: Zone) -> Wall {
        match self {
            Self::Day(day) => day.start(zone),
            Self::Moment(local) => local.at(zone),
            Self::Zoned(at) => at,
        }
    }

    /// The end is not a part of it.
    #[must_use]
    pub fn end(self, zone: Zone) -> Wall {
        match self {
            Self::Day(day) => day.end(zone),
            Self::Moment(_) | Self::Zoned(_) => self.start(zone),
        }
    }
}

/// Reads `2026-11-20`.
pub fn day(text: &str) -> Result<Day, String> {
    let first = Local::read(&format!("{text} 00:00:00")).map_err(|_| "a day is written 2026-11-20")?;
    Ok(Day { first, behind: Local(first.0 + DAY) })
}

/// Reads `2026-11-20`, or `2026-11` for the whole month.
pub fn day_or_month(text: &str) -> Result<Day, String> {
    let months = || {
        let first = Local::read(&format!("{text}-01 00:00:00"))?;
        // No month has more than 31 days, and none has fewer than 28: so this is a day of the next one.
        let next = (first.0 + Span::secs(31 * 24 * 3600)).to_local(Zone::Wib);
        Local::read(&format!("{}-01 00:00:00", &next[..7])).map(|behind| Day { first, behind })
    };
    day(text).or_else(|_| months()).map_err(|_| "a day is written 2026-11-20, a month 2026-11".into())
}

/// Reads `2026-11`, `2026-11-20`, `2026-11-20 15:00`, `2026-11-20T15:00:00` or RFC 3339 with a zone.
pub fn when(text: &str) -> Result<When, String> {
    let local = text.replacen('T', " ", 1);
    let clock = || Local::read(&local).or_else(|_| Local::read(&format!("{local}:00"))).map(When::Moment);
    let moment = || clock().or_else(|_| Wall::from_rfc3339(text).map(When::Zoned));
    let form = "a day is written 2026-11-20, a month 2026-11, a moment \"2026-11-20 15:00\"";
    day_or_month(text).map(When::Day).or_else(|_| moment()).map_err(|_| form.into())
}

/// The day of a moment: `2026-11-20`.
#[must_use]
pub fn date_of(at: Wall, zone: Zone) -> String {
    at.to_local(zone)[..10].into()
}

/// One day or month, or several.
#[derive(Debug, Args)]
pub struct Days {
    /// The day or month, in the zone of [reports]; the default is today
    #[arg(long, value_name = "YYYY-MM[-DD]", value_parser = day_or_month)]
    date: Option<Day>,
    /// The last of several days or months
    #[arg(long, value_name = "YYYY-MM[-DD]", value_parser = day_or_month, requires = "date")]
    until: Option<Day>,
}

impl Days {
    /// The time from which and until which it lasts. The end is not a part of it.
    ///
    /// # Errors
    /// The last day lies before the first.
    pub fn span(&self, now: Wall, zone: Zone) -> Result<(Wall, Wall), String> {
        let from = self.date.unwrap_or_else(|| day(&date_of(now, zone)).expect("the day of a time is a day"));
        let until = self.until.unwrap_or(from);
        let span = (from.start(zone), until.end(zone));
        if span.1 <= span.0 { Err(texts().until_first.into()) } else { Ok(span) }
    }
}

/// A span in words: its months if they are whole ones, or its days, the first and the last.
#[must_use]
pub fn days_text((from, until): (Wall, Wall), zone: Zone) -> String {
    let (from, last, behind) = (date_of(from, zone), date_of(until - Span::secs(1), zone), date_of(until, zone));
    let shown = if from.ends_with("-01") && behind.ends_with("-01") { 7 } else { 10 };
    if from[..shown] == last[..shown] { from[..shown].into() } else { fill(texts().days_to, &[&&from[..shown], &&last[..shown]]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Wall {
        Wall::from_rfc3339(text).expect("a time")
    }

    #[test]
    fn days_are_those_of_the_merchants_zone() {
        // The first second, and the end.
        let table = [
            ("2026-11-20", Zone::Wib, "2026-11-19T17:00:00Z", "2026-11-20T17:00:00Z"),
            ("2026-11-20", Zone::Wita, "2026-11-19T16:00:00Z", "2026-11-20T16:00:00Z"),
            ("2026-11-20", Zone::Wit, "2026-11-19T15:00:00Z", "2026-11-20T15:00:00Z"),
            ("2026-11", Zone::Wib, "2026-10-31T17:00:00Z", "2026-11-30T17:00:00Z"),
            ("2026-12", Zone::Wit, "2026-11-30T15:00:00Z", "2026-12-31T15:00:00Z"),
            ("2027-01", Zone::Wita, "2026-12-31T16:00:00Z", "2027-01-31T16:00:00Z"),
            ("2026-02", Zone::Wib, "2026-01-31T17:00:00Z", "2026-02-28T17:00:00Z"),
            ("2028-02", Zone::Wib, "2028-01-31T17:00:00Z", "2028-02-29T17:00:00Z"),
            ("2026-12-31", Zone::Wib, "2026-12-30T17:00:00Z", "2026-12-31T17:00:00Z"),
        ];
        for (text, zone, start, end) in table {
            let read = when(text).expect(text);
            assert_eq!((read.start(zone), read.end(zone)), (utc(start), utc(end)), "{text} {zone:?}");
            assert_eq!(day_or_month(text).map(When::Day), Ok(read), "{text}");
        }
        let three = utc("2026-11-20T08:00:00Z");
        for (text, zone) in [
            ("2026-11-20 15:00", Zone::Wib),
            ("2026-11-20T15:00", Zone::Wib),
            ("2026-11-20 16:00:00", Zone::Wita),
            ("2026-11-20T15:00:00+07:00", Zone::Wit),
            ("2026-11-20T08:00:00Z", Zone::Wita),
        ] {
            let read = when(text).expect(text);
            assert_eq!((read.start(zone), read.end(zone)), (three, three), "{text}");
        }
        for bad in ["", "today", "2026-02-30", "20-11-2026", "2026-11-20 25:00", "2026-11-2é", "2026-13", "2026-00", "2026-1", "2026"] {
            assert!(when(bad).is_err(), "{bad}");
        }
        assert!(day("2026-11-20 15:00").is_err() && day("2026-11").is_err() && day_or_month("2026-11-20 15:00").is_err());
        // The last second of a day in Jakarta and the first of the next are in one evening in Greenwich.
        let evening = ["2026-11-20T14:59:59Z", "2026-11-20T15:00:00Z", "2026-11-20T16:59:59Z", "2026-11-20T17:00:00Z"].map(utc);
        assert_eq!(evening.map(|at| date_of(at, Zone::Wib)[8..].to_owned()), ["20", "20", "20", "21"]);
        assert_eq!(evening.map(|at| date_of(at, Zone::Wit)[8..].to_owned()), ["20", "21", "21", "21"]);
    }

    #[test]
    fn a_span_of_days_takes_both_ends_in() {
        let days = |date: &str, until: Option<&str>| Days {
            date: Some(day_or_month(date).expect("a day")),
            until: until.map(|until| day_or_month(until).expect("a day")),
        };
        let table = [
            ("2026-11-20", None, "2026-11-20"),
            ("2026-11-20", Some("2026-11-21"), "2026-11-20 to 2026-11-21"),
            ("2026-11", None, "2026-11"),
            ("2026-12", Some("2027-01"), "2026-12 to 2027-01"),
            ("2026-11", Some("2026-12-02"), "2026-11-01 to 2026-12-02"),
            ("2026-11-29", Some("2026-11"), "2026-11-29 to 2026-11-30"),
        ];
        for (date, until, told) in table {
            for zone in Zone::ALL {
                let span = days(date, until).span(Wall(0), zone).expect("a span");
                assert_eq!(days_text(span, zone), told, "{zone:?}");
            }
        }
        let now = utc("2026-11-20T15:30:00Z");
        let today = |zone| days_text(Days { date: None, until: None }.span(now, zone).expect("a span"), zone);
        assert_eq!((today(Zone::Wib), today(Zone::Wit)), ("2026-11-20".into(), "2026-11-21".into()));
        assert!(days("2026-11-20", Some("2026-11-19")).span(Wall(0), Zone::Wib).is_err());
        assert!(days("2026-11", Some("2026-10")).span(Wall(0), Zone::Wib).is_err());
    }
}
