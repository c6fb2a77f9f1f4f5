//! The hours in which people are left alone.

use qris_core::order::time::{Wall, Zone};

/// From a time of day to another one, perhaps over midnight, in minutes of the merchant's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    from: u16,
    to: u16,
    zone: Zone,
}

impl Quiet {
    /// Reads `22:00-07:00`. `None`: it is something else, or never ends.
    #[must_use]
    pub fn read(text: &str, zone: Zone) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let (from, to) = (minutes(from)?, minutes(to)?);
        (from != to).then_some(Self { from, to, zone })
    }

    /// Whether people are left alone now. At its last minute's end they are not.
    #[must_use]
    pub fn is_now(self, now: Wall) -> bool {
        let now = now.minute_of_day_in(self.zone);
        if self.from < self.to { (self.from..self.to).contains(&now) } else { now >= self.from || now < self.to }
    }
}

/// `HH:MM`, in minutes since midnight.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |text: &str| (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse::<u16>().ok())?;
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_those_of_the_zone_and_go_over_midnight() {
        let at = |text| Wall::from_rfc3339(text).expect("a time");
        let night = Quiet::read("22:00-07:00", Zone::Wib).expect("good");
        for (time, quiet) in [
            ("2026-11-25T14:59:59Z", false),
            ("2026-11-25T15:00:00Z", true),
            ("2026-11-25T17:00:00Z", true),
            ("2026-11-25T23:59:59Z", true),
            ("2026-11-26T00:00:00Z", false),
        ] {
            assert_eq!(night.is_now(at(time)), quiet, "{time}");
        }
        let east = Quiet::read("12:00-13:30", Zone::Wit).expect("good");
        for (time, quiet) in [("2026-11-25T02:59:59Z", false), ("2026-11-25T03:00:00Z", true), ("2026-11-25T04:30:00Z", false)] {
            assert_eq!(east.is_now(at(time)), quiet, "{time}");
        }
    }

    #[test]
    fn anything_else_is_no_hours() {
        for bad in [
            "",
            "22:00",
            "22-7",
            "22:00-22:00",
            "24:00-07:00",
            "22:60-07:00",
            "22:00-7:00",
            "22:00 - 07:00",
            "+2:00-07:00",
            "22:00-07:00:00",
        ] {
            assert_eq!(Quiet::read(bad, Zone::Wib), None, "{bad}");
        }
    }
}
