//! Times and sums as people say them. `serve` tells times in the merchant's zone, and its own time with each answer.

use crate::words::Words;
use qris_core::order::time::{Wall, Zone};
use qris_host::speech::{Language, fill};

const DAY_MS: i64 = 86_400_000;

/// A clock in the merchant's zone.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    pub now: Wall,
    pub zone: Zone,
    pub language: Language,
    pub words: &'static Words,
}

/// A day of a calendar, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i64);

impl Day {
    /// Reads `2026-11-27`.
    pub fn read(text: &str) -> Option<Self> {
        let midnight = Wall::from_local(&format!("{text} 00:00:00"), Zone::Wib).ok()?;
        Some(Self((midnight + Zone::Wib.ahead()).0.div_euclid(DAY_MS)))
    }

    /// The first day of `2026-11`.
    pub fn first_of(month: &str) -> Option<Self> {
        Self::read(&format!("{month}-01"))
    }

    fn of(wall: Wall, zone: Zone) -> Self {
        Self((wall + zone.ahead()).0.div_euclid(DAY_MS))
    }

    /// `2026-11-27`.
    pub fn iso(self) -> String {
        Wall(self.0 * DAY_MS).to_rfc3339()[..10].to_owned()
    }

    /// `2026-11`.
    pub fn month(self) -> String {
        self.iso()[..7].to_owned()
    }

    pub fn before(self) -> Self {
        Self(self.0 - 1)
    }

    /// Year, month from 0 and day from 1.
    fn parts(self) -> (String, usize, u32) {
        let iso = self.iso();
        let month: usize = iso[5..7].parse().expect("two digits");
        (iso[..4].to_owned(), month - 1, iso[8..].parse().expect("two digits"))
    }
}

/// A word of a list of words with blanks between them.
fn nth(list: &'static str, at: usize) -> &'static str {
    list.split(' ').nth(at).expect("the list is complete")
}

impl Clock {
    pub fn today(&self) -> Day {
        Day::of(self.now, self.zone)
    }

    /// `today 15:04`, `yesterday 15:04`, `27 Nov 15:04 WIB`. What is no time is shown as it came.
    pub fn at(&self, rfc3339: &str) -> String {
        let Ok(wall) = Wall::from_rfc3339(rfc3339) else { return rfc3339.to_owned() };
        let day = Day::of(wall, self.zone);
        let clock = self.clock(&wall.to_local(self.zone)[11..16]);
        if day == self.today() {
            fill(self.words.today_at, &[&clock])
        } else if day == self.today().before() {
            fill(self.words.yesterday_at, &[&clock])
        } else {
            format!("{} {clock} {}", self.short(day), self.zone.as_str())
        }
    }

    /// The time of day now, as `at` says it.
    pub fn of_now(&self) -> String {
        self.clock(&self.now.to_local(self.zone)[11..16])
    }

    /// `27 Nov`; `None`: it is no time.
    pub fn day(&self, rfc3339: &str) -> Option<String> {
        Wall::from_rfc3339(rfc3339).ok().map(|wall| self.short(Day::of(wall, self.zone)))
    }

    /// `15.04` in Indonesian, `15:04` in English.
    fn clock(&self, clock: &str) -> String {
        match self.language {
            Language::Id => clock.replace(':', "."),
            Language::En => clock.to_owned(),
        }
    }

    /// `27 Nov`, and the year where it is another one.
    pub fn short(&self, day: Day) -> String {
        let (year, month, number) = day.parts();
        let short = format!("{number} {}", nth(self.words.months, month));
        if year == self.today().parts().0 { short } else { format!("{short} {year}") }
    }

    /// `Friday, 27 November`.
    pub fn long(&self, day: Day) -> String {
        let (_, month, number) = day.parts();
        let weekday = usize::try_from(day.0.rem_euclid(7)).expect("0 to 6");
        format!("{}, {number} {}", nth(self.words.weekdays, weekday), nth(self.words.long_months, month))
    }

    /// `November 2026`.
    pub fn long_month(&self, first: Day) -> String {
        let (year, month, _) = first.parts();
        format!("{} {year}", nth(self.words.long_months, month))
    }

    /// The last day on which money can go back: how many days are left, and whether that is few.
    pub fn last_day(&self, text: &str) -> (String, bool) {
        let Some(day) = Day::read(text) else { return (text.to_owned(), true) };
        let short = self.short(day);
        let left = day.0 - self.today().0;
        let said = match left {
            ..0 => fill(self.words.day_over, &[&short]),
            0 => self.words.day_today.to_owned(),
            1 => self.words.day_tomorrow.to_owned(),
            2.. => fill(self.words.day_in, &[&short, &left]),
        };
        (said, left <= 3)
    }

    pub fn wait(words: &'static Words, seconds: u64) -> String {
        if seconds < 120 { fill(words.in_seconds, &[&seconds]) } else { fill(words.in_minutes, &[&seconds.div_ceil(60)]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words;

    fn clock(language: Language) -> Clock {
        let now = Wall::from_rfc3339("2026-11-27T00:30:00+07:00").expect("a time");
        Clock { now, zone: Zone::Wib, language, words: words::Words::of(language) }
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        let (id, en) = (clock(Language::Id), clock(Language::En));
        for (time, indonesian, english) in [
            ("2026-11-27T00:04:59+07:00", "hari ini 00.04", "today 00:04"),
            ("2026-11-26T17:04:00Z", "hari ini 00.04", "today 00:04"),
            ("2026-11-26T23:59:59+07:00", "kemarin 23.59", "yesterday 23:59"),
            ("2026-11-25T15:04:00+07:00", "25 Nov 15.04 WIB", "25 Nov 15:04 WIB"),
            ("2026-11-28T15:04:00+07:00", "28 Nov 15.04 WIB", "28 Nov 15:04 WIB"),
            ("2025-08-17T10:00:00+07:00", "17 Agu 2025 10.00 WIB", "17 Aug 2025 10:00 WIB"),
            ("soon", "soon", "soon"),
        ] {
            assert_eq!((id.at(time).as_str(), en.at(time).as_str()), (indonesian, english), "{time}");
        }
        assert_eq!((id.long(id.today()).as_str(), en.long(en.today()).as_str()), ("Jumat, 27 November", "Friday, 27 November"));
        assert_eq!(id.long_month(Day::first_of("2026-08").expect("a month")), "Agustus 2026");
    }

    #[test]
    fn a_last_day_says_how_many_are_left() {
        let clock = clock(Language::En);
        for (day, said, few) in [
            ("2026-11-20", "the gateway sent it back until 20 Nov only", true),
            ("2026-11-27", "the gateway sends it back until today", true),
            ("2026-11-28", "the gateway sends it back until tomorrow", true),
            ("2026-11-30", "the gateway sends it back until 30 Nov, 3 days left", true),
            ("2027-01-01", "the gateway sends it back until 1 Jan 2027, 35 days left", false),
            ("2026-02-30", "2026-02-30", true),
        ] {
            assert_eq!(clock.last_day(day), (said.to_owned(), few));
        }
    }

    #[test]
    fn a_day_is_what_a_calendar_has() {
        for wrong in ["", "2026-11", "2026-13-01", "2026-02-29", "20261127", "2026-11-27 ", "2026-11-2x", "２０２６-11-27"] {
            assert_eq!(Day::read(wrong), None, "{wrong}");
        }
        let day = Day::read("2028-02-29").expect("a leap day");
        assert_eq!((day.iso(), day.month(), day.before().iso()), ("2028-02-29".into(), "2028-02".into(), "2028-02-28".into()));
    }
}
