//! The words for time. The shell reads the clocks once for each input and passes the values down. Nothing in the core
//! reads a clock.
//!
//! [`Boot`] is CLOCK_BOOTTIME. It means something within one boot only, and it is the only clock of deadlines
//! on a machine. [`Wall`] is UTC. It is shown, logged and signed, and never compared on a machine; only the
//! backend's deadlines are `Wall`, and it is [`Told`] whether anything may end by one. [`Span`] is a length.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Milliseconds since the machine booted, sleep included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Boot(pub i64);

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Wall(pub i64);

/// A length of time in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub i64);

/// Both clocks, read together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// For every deadline on a machine.
    pub boot: Boot,
    /// For people and signatures.
    pub wall: Wall,
}

/// The time of day in a merchant's program. Its clock may be wrong, so this also says whether anything may end by it.
///
/// It has no order on purpose: what compares it with a deadline asks [`is_over`](Self::is_over) or takes [`wall`](Self::wall), and says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// For stamps, for people, and for the next question to somebody.
    pub wall: Wall,
    trust: Trust,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trust {
    Trusted,
    Counted,
    Unknown,
}

impl Told {
    /// A time that the clock, the boot clock and the gateway agree on.
    #[must_use]
    pub const fn trusted(wall: Wall) -> Self {
        Self { wall, trust: Trust::Trusted }
    }

    /// They do not agree. It goes on by the boot clock.
    #[must_use]
    pub const fn counted(wall: Wall) -> Self {
        Self { wall, trust: Trust::Counted }
    }

    /// Nobody has told the time in this boot. It is the best that is known, and mostly earlier than it is.
    #[must_use]
    pub const fn unknown(wall: Wall) -> Self {
        Self { wall, trust: Trust::Unknown }
    }

    /// Whether something may end by it.
    #[must_use]
    pub const fn is_trusted(self) -> bool {
        matches!(self.trust, Trust::Trusted)
    }

    /// Whether that moment is over. Nothing is over by a time that is not trusted.
    #[must_use]
    pub fn is_over(self, at: Wall) -> bool {
        self.is_trusted() && at <= self.wall
    }

    /// How long it is until that moment, or since then (negative); `None`: nobody knows.
    #[must_use]
    pub fn until(self, at: Wall) -> Option<Span> {
        match self.trust {
            Trust::Trusted | Trust::Counted => Some(at - self.wall),
            Trust::Unknown => None,
        }
    }
}

impl std::ops::Add<Span> for Told {
    type Output = Wall;
    fn add(self, span: Span) -> Wall {
        self.wall + span
    }
}

impl std::ops::Sub<Span> for Told {
    type Output = Wall;
    fn sub(self, span: Span) -> Wall {
        self.wall - span
    }
}

/// One boot of one machine, as the kernel names it (`/proc/sys/kernel/random/boot_id`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub Box<str>);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many seconds.
    #[must_use]
    pub const fn secs(seconds: i64) -> Self {
        Self(seconds * 1000)
    }

    /// So many milliseconds.
    #[must_use]
    pub const fn millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// Whole seconds, rounded up: a countdown shows 1 until it is over.
    #[must_use]
    pub const fn as_secs_up(self) -> i64 {
        (self.0 + 999).div_euclid(1000)
    }

    /// For the timers of the standard library. A time in the past is zero.
    #[must_use]
    pub fn to_duration(self) -> Duration {
        Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }
}

macro_rules! arithmetic {
    ($point:ty) => {
        impl std::ops::Add<Span> for $point {
            type Output = Self;
            fn add(self, span: Span) -> Self {
                Self(self.0.saturating_add(span.0))
            }
        }
        impl std::ops::Sub<Span> for $point {
            type Output = Self;
            fn sub(self, span: Span) -> Self {
                Self(self.0.saturating_sub(span.0))
            }
        }
        impl std::ops::Sub for $point {
            type Output = Span;
            fn sub(self, earlier: Self) -> Span {
                Span(self.0.saturating_sub(earlier.0))
            }
        }
    };
}
arithmetic!(Boot);
arithmetic!(Wall);

/// The gateway's own zone, and the zone of receipts: Western Indonesia Time, seven hours ahead of UTC, without summer time.
pub const WIB: Span = Span::secs(7 * 3600);

/// A zone of Indonesia: the merchant's, for lists, reports and days. None of them has summer time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Zone {
    /// Western Indonesia Time: Jakarta, and the gateway's own.
    #[default]
    Wib,
    /// Central Indonesia Time: Bali, Makassar.
    Wita,
    /// Eastern Indonesia Time: Jayapura, Ambon.
    Wit,
}

impl Zone {
    /// Every zone, from the west to the east.
    pub const ALL: [Self; 3] = [Self::Wib, Self::Wita, Self::Wit];

    /// As Indonesians write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wib => "WIB",
            Self::Wita => "WITA",
            Self::Wit => "WIT",
        }
    }

    /// Reads that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|zone| zone.as_str() == word)
    }

    /// The distance to UTC, as RFC 3339 writes it.
    #[must_use]
    pub const fn offset(self) -> &'static str {
        match self {
            Self::Wib => "+07:00",
            Self::Wita => "+08:00",
            Self::Wit => "+09:00",
        }
    }

    /// For people: `WIB, +07:00`.
    #[must_use]
    pub fn words(self) -> String {
        format!("{}, {}", self.as_str(), self.offset())
    }

    /// How far its clocks are ahead of UTC.
    #[must_use]
    pub const fn ahead(self) -> Span {
        match self {
            Self::Wib => WIB,
            Self::Wita => Span::secs(8 * 3600),
            Self::Wit => Span::secs(9 * 3600),
        }
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, and back: Howard Hinnant's algorithms
/// (`days_from_civil`, `civil_from_days`).
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * of_year + 2) / 153;
    let day = of_year - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (year_of_era + era * 400 + if month <= 2 { 1 } else { 0 }, month, day)
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A text that is not a time in the wanted form, or a date that no calendar has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time: {0:?}")]
pub struct TimeError(String);

impl Wall {
    fn parts(self) -> (i64, i64, i64, i64, i64, i64) {
        let seconds = self.0.div_euclid(1000);
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        let of_day = seconds.rem_euclid(86_400);
        (year, month, day, of_day / 3600, of_day / 60 % 60, of_day % 60)
    }

    /// RFC 3339 in UTC, to the second: `2026-11-20T08:00:00Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let (y, mo, d, h, mi, s) = self.parts();
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}Z")
    }

    /// RFC 3339 in Western Indonesia Time: `2026-11-20T15:00:00+07:00`.
    #[must_use]
    pub fn to_rfc3339_wib(self) -> String {
        self.to_rfc3339_in(Zone::Wib)
    }

    /// RFC 3339 in a zone: `2026-11-20T16:00:00+08:00`.
    #[must_use]
    pub fn to_rfc3339_in(self, zone: Zone) -> String {
        format!("{}{}", self.to_local(zone).replace(' ', "T"), zone.offset())
    }

    /// As the gateway writes times, in Western Indonesia Time and without a zone: `2026-11-20 15:00:00`.
    #[must_use]
    pub fn to_wib(self) -> String {
        self.to_local(Zone::Wib)
    }

    /// The time on a clock of a zone, without its name: `2026-11-20 15:00:00`.
    #[must_use]
    pub fn to_local(self, zone: Zone) -> String {
        self.to_clock(zone.ahead())
    }

    /// The same with the name of the zone, where no heading says it: `2026-11-20 15:00:00 WIB`.
    #[must_use]
    pub fn to_local_named(self, zone: Zone) -> String {
        format!("{} {}", self.to_local(zone), zone.as_str())
    }

    /// The time on a clock that is so far ahead of UTC: `2026-11-20 15:00:00`.
    #[must_use]
    pub fn to_clock(self, ahead: Span) -> String {
        let (y, mo, d, h, mi, s) = (self + ahead).parts();
        format!("{y:04}-{mo:02}-{d:02} {h:02}:{mi:02}:{s:02}")
    }

    /// Reads the gateway's `yyyy-MM-dd HH:mm:ss`, which is Western Indonesia Time.
    pub fn from_wib(text: &str) -> Result<Self, TimeError> {
        Self::from_local(text, Zone::Wib)
    }

    /// Reads `yyyy-MM-dd HH:mm:ss` as the time on a clock of a zone.
    pub fn from_local(text: &str, zone: Zone) -> Result<Self, TimeError> {
        Self::read(text, b' ').map(|wall| wall - zone.ahead()).ok_or_else(|| TimeError(text.into()))
    }

    /// Reads RFC 3339 to the second, with `Z` or a numeric zone.
    pub fn from_rfc3339(text: &str) -> Result<Self, TimeError> {
        let wrong = || TimeError(text.into());
        let (local, zone) = text.split_at_checked(19).ok_or_else(wrong)?;
        let local = Self::read(local, b'T').ok_or_else(wrong)?;
        if zone == "Z" {
            return Ok(local);
        }
        let b = zone.as_bytes();
        if b.len() != 6 || b[3] != b':' || !(b[0] == b'+' || b[0] == b'-') {
            return Err(wrong());
        }
        let minutes = digits(&b[1..3]).zip(digits(&b[4..6])).filter(|&(h, m)| h < 24 && m < 60).map(|(h, m)| h * 60 + m);
        let offset = Span::secs(minutes.ok_or_else(wrong)? * 60);
        Ok(if b[0] == b'+' { local - offset } else { local + offset })
    }

    /// Reads the date of an HTTP header (RFC 9110's IMF-fixdate): `Fri, 20 Nov 2026 08:00:00 GMT`. The weekday is not compared.
    pub fn from_http_date(text: &str) -> Result<Self, TimeError> {
        let parts: Vec<&str> = text.split(' ').collect();
        let [_, day, month, year, clock, "GMT"] = parts.as_slice() else { return Err(TimeError(text.into())) };
        let month = MONTHS.iter().position(|name| name == month).map_or(0, |index| index + 1);
        Self::from_rfc3339(&format!("{year}-{month:02}-{day}T{clock}Z")).map_err(|_| TimeError(text.into()))
    }

    /// The date of an HTTP header, as [`Wall::from_http_date`] reads it.
    #[must_use]
    pub fn to_http_date(self) -> String {
        // 1970-01-01 was a Thursday.
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        let day_of_week = usize::try_from(self.0.div_euclid(86_400_000).rem_euclid(7)).expect("0 to 6");
        let (y, mo, d, h, mi, s) = self.parts();
        let month = MONTHS[usize::try_from(mo - 1).expect("0 to 11")];
        format!("{}, {d:02} {month} {y:04} {h:02}:{mi:02}:{s:02} GMT", DAYS[day_of_week])
    }

    fn read(text: &str, separator: u8) -> Option<Self> {
        let b = text.as_bytes();
        if b.len() != 19 || b[4] != b'-' || b[7] != b'-' || b[10] != separator || b[13] != b':' || b[16] != b':' {
            return None;
        }
        let (y, mo, d) = (digits(&b[0..4])?, digits(&b[5..7])?, digits(&b[8..10])?);
        let (h, mi, s) = (digits(&b[11..13])?, digits(&b[14..16])?, digits(&b[17..19])?);
        let days = days_from_civil(y, mo, d);
        let exists = (1..=12).contains(&mo) && civil_from_days(days) == (y, mo, d) && h < 24 && mi < 60 && s < 61;
        exists.then(|| Self((days * 86_400 + h * 3600 + mi * 60 + s) * 1000))
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_gateway_are_seven_hours_ahead() {
        let wall = Wall::from_wib("2019-09-04 19:08:37").expect("a time");
        assert_eq!(wall.to_rfc3339(), "2019-09-04T12:08:37Z");
        assert_eq!(wall.to_rfc3339_wib(), "2019-09-04T19:08:37+07:00");
        assert_eq!(wall.to_wib(), "2019-09-04 19:08:37");
        assert_eq!(Wall::from_rfc3339(&wall.to_rfc3339_wib()), Ok(wall));
        assert_eq!(Wall::from_rfc3339(&wall.to_rfc3339()), Ok(wall));
    }

    #[test]
    fn each_zone_of_indonesia_has_its_own_clock_and_word() {
        let table = [
            (Zone::Wib, "WIB", "2026-11-20T22:30:00+07:00", "WIB, +07:00"),
            (Zone::Wita, "WITA", "2026-11-20T23:30:00+08:00", "WITA, +08:00"),
            (Zone::Wit, "WIT", "2026-11-21T00:30:00+09:00", "WIT, +09:00"),
        ];
        let moment = Wall::from_rfc3339("2026-11-20T15:30:00Z").expect("a time");
        for (zone, word, rfc3339, told) in table {
            assert_eq!((zone.as_str(), Zone::from_word(word), zone.words()), (word, Some(zone), told.to_owned()));
            assert!(moment.to_local_named(zone).ends_with(&format!(" {word}")));
            assert_eq!(moment.to_rfc3339_in(zone), rfc3339);
            assert_eq!(Wall::from_rfc3339(rfc3339), Ok(moment));
            assert_eq!(Wall::from_local(&moment.to_local(zone), zone), Ok(moment));
            assert!(told.ends_with(zone.offset()) && rfc3339.ends_with(zone.offset()));
        }
        assert_eq!((Zone::from_word("wib"), Zone::from_word("UTC"), Zone::default()), (None, None, Zone::Wib));
    }

    #[test]
    fn every_day_of_four_centuries_reads_back() {
        for day in -1..146_098 {
            let wall = Wall(day * 86_400_000 + 86_399_000);
            assert_eq!(Wall::from_rfc3339(&wall.to_rfc3339()), Ok(wall));
        }
    }

    #[test]
    fn the_date_of_an_http_header_is_read() {
        let wall = Wall::from_rfc3339("1994-11-06T08:49:37Z");
        assert_eq!(Wall::from_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), wall);
        assert_eq!(wall.map(Wall::to_http_date).as_deref(), Ok("Sun, 06 Nov 1994 08:49:37 GMT"));
        for days in -400..40_000 {
            let wall = Wall(days * 86_400_000 + 1_000);
            assert_eq!(Wall::from_http_date(&wall.to_http_date()), Ok(wall));
        }
        for bad in [
            "",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nix 1994 08:49:37 GMT",
            "Sun, 31 Feb 2024 00:00:00 GMT",
        ] {
            assert!(Wall::from_http_date(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_no_calendar_has_is_refused() {
        for bad in ["2023-02-29 00:00:00", "2024-13-01 00:00:00", "2024-00-01 00:00:00", "2024-01-01T00:00:00", "2024-1-01 00:00:00", ""] {
            assert!(Wall::from_wib(bad).is_err(), "{bad:?}");
        }
        for bad in ["2024-01-01T00:00:00", "2024-01-01T00:00:00+7:00", "2024-01-01T00:00:00é"] {
            assert!(Wall::from_rfc3339(bad).is_err(), "{bad:?}");
        }
    }

    /// One character or number wrong at a time.
    #[test]
    fn every_part_of_a_time_is_looked_at() {
        for bad in [
            "2024/01-01T00:00:00Z",
            "2024-01/01T00:00:00Z",
            "2024-01-01 00:00:00Z",
            "2024-01-01T00.00:00Z",
            "2024-01-01T00:00.00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:61Z",
            "2024-01-00T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2O24-01-01T00:00:00Z",
            "2024-01-01T00:00:00z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00*07:00",
            "2024-01-01T00:00:00+07.00",
            "2024-01-01T00:00:00+07:0",
            "2024-01-01T00:00:00+07:000",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00+07:60",
            "2024-01-01T00:00:00+0x:00",
        ] {
            assert!(Wall::from_rfc3339(bad).is_err(), "{bad:?}");
        }
        let utc = |text: &str| Wall::from_rfc3339(text).map(Wall::to_rfc3339);
        for (zoned, same) in [
            ("2024-01-01T00:00:00-05:30", "2024-01-01T05:30:00Z"),
            ("2024-01-01T00:00:00+23:59", "2023-12-31T00:01:00Z"),
            ("2024-01-01T23:59:60Z", "2024-01-02T00:00:00Z"),
            ("2024-01-01T23:59:59Z", "2024-01-01T23:59:59Z"),
        ] {
            assert_eq!(utc(zoned).as_deref(), Ok(same));
        }
        assert_eq!(Wall(1_000).to_string(), "1970-01-01T00:00:01Z");
    }

    #[test]
    fn a_part_of_a_second_counts_as_a_whole_one() {
        for (milliseconds, shown) in [(-1, 0), (0, 0), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (120_000, 120)] {
            assert_eq!(Span::millis(milliseconds).as_secs_up(), shown, "{milliseconds}");
        }
        assert_eq!((Span::secs(2), Span::ZERO), (Span(2_000), Span(0)));
        assert_eq!((Span(1_500).to_duration(), Span(-1).to_duration()), (Duration::from_millis(1_500), Duration::ZERO));
        assert_eq!((Boot(5) + Span(3), Boot(5) - Span(3), Boot(5) - Boot(3)), (Boot(8), Boot(2), Span(2)));
        assert_eq!(Wall(i64::MAX) + Span(1), Wall(i64::MAX));
    }
}
