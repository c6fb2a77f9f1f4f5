//! What a person types to find an order, and how it is understood.

use super::judge;
use crate::sale::books::Beginning;
use qris_core::order::time::{Span, Wall, Zone};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    /// Perhaps the first letters of a number.
    pub number: Option<Beginning>,
    pub amount: Option<u64>,
    /// About this time.
    pub near: Option<Wall>,
    /// On that day, from its beginning to its end.
    pub day: Option<(Wall, Wall)>,
    /// Perhaps a machine.
    pub words: Option<Box<str>>,
}

impl Search {
    #[must_use]
    pub fn read(text: &str, zone: Zone, now: Wall) -> Self {
        let number = text.trim_start().strip_prefix('#').unwrap_or(text);
        let mut search = Self { number: number.parse().ok().filter(|beginning: &Beginning| !beginning.is_short()), ..Self::default() };
        let (mut time, mut words, mut fillers) = (None, Vec::new(), Vec::new());
        let tokens: Vec<&str> =
            text.split_whitespace().map(|token| token.trim_matches(['"', ',', '.', '-'])).filter(|token| !token.is_empty()).collect();
        let mut rest = &tokens[..];
        while let Some((token, behind)) = rest.split_first() {
            let lower = token.to_lowercase();
            let taken = if let (None, Some((read, taken))) = (time, clock(rest)) {
                time = Some(read);
                // As the desk writes a time: `27 Nov 15:04 WIB`.
                taken + usize::from(rest.get(taken).is_some_and(|word| word.eq_ignore_ascii_case(zone.as_str())))
            } else if let (None, Some((day, taken))) = (search.day, day(rest, zone, now)) {
                search.day = Some((day, judge::days_before(day, -1)));
                taken
            } else if let (None, Some((amount, taken))) = (search.amount, sum(rest)) {
                search.amount = Some(amount);
                taken
            } else {
                match &*lower {
                    "rp" => {}
                    filler if FILLERS.contains(&filler) => fillers.push(*token),
                    _ => words.push(*token),
                }
                1
            };
            rest = rest.get(taken..).unwrap_or(behind);
        }
        search.near = time.map(|clock| clock.of(search.day.map(|(day, _)| day), judge::midnight(now, zone), now));
        // Where nothing else was understood, they are what is said not to be.
        let words = if words.is_empty() && !search.is_plain() { fillers } else { words };
        search.words = (!words.is_empty()).then(|| words.join(" ").into());
        search
    }

    /// Whether it says anything but a number or a machine.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.amount.is_some() || self.near.is_some() || self.day.is_some()
    }
}

/// They say nothing that a search could use.
const FILLERS: [&str; 8] = ["tadi", "sekitar", "kira-kira", "kira", "about", "around", "tanggal", "on"];

/// A time of day, in minutes.
#[derive(Debug, Clone, Copy)]
struct Clock {
    at: i64,
    /// The same in the afternoon, if that may be meant.
    later: i64,
    /// As many buy at this hour of the morning.
    is_day: bool,
}

const HALF_DAY: i64 = 12 * 60;
/// People err by less than this: what is not to come yet may be so far ahead.
const AHEAD: Span = Span::secs(1800);

impl Clock {
    /// When that was. `day`: the one that was said.
    fn of(self, day: Option<Wall>, today: Wall, now: Wall) -> Wall {
        let on = |day: Wall, minutes: i64| day + Span::secs(minutes * 60);
        let come = |at: Wall| Some(at).filter(|at| *at <= now + AHEAD);
        match day {
            Some(day) if self.is_day && day != today => on(day, self.at),
            Some(day) => come(on(day, self.later)).unwrap_or_else(|| on(day, self.at)),
            None => {
                let earlier = come(on(today, self.at)).filter(|_| self.is_day);
                come(on(today, self.later)).or(earlier).unwrap_or_else(|| on(judge::days_before(today, 1), self.later))
            }
        }
    }
}

/// The time of day with which these words begin, and how many of them say it: `15:04`, and `15.04`, as Indonesians write it, because no sum
/// has two digits behind a dot; `jam 3`, `3pm`, `3 sore`, `sore jam 3`, `about three`; `half past three`, which is `setengah empat`.
fn clock(words: &[&str]) -> Option<(Clock, usize)> {
    const ABOUT: [&str; 7] = ["jam", "pukul", "sekitar", "kira-kira", "at", "about", "around"];
    const PARTS: [&str; 6] = ["am", "pm", "pagi", "siang", "sore", "malam"];
    let lower = |at: usize| words.get(at).map(|word| word.to_lowercase());
    let is = |at: usize, these: &[&str]| lower(at).is_some_and(|word| these.contains(&&*word));
    let about = |from: usize| (from..).take_while(|at| is(*at, &ABOUT)).count();
    let mut at = about(0);
    let before = lower(at).filter(|_| is(at, &PARTS) && is(at + 1, &ABOUT));
    if before.is_some() {
        at += 1 + about(at + 1);
    }
    let half = if is(at, &["half"]) && is(at + 1, &["past"]) {
        at += 2;
        30
    } else if is(at, &["setengah"]) {
        at += 1;
        -30
    } else {
        0
    };
    let is_told = at > 0;
    let word = lower(at)?;
    let (word, part, taken) = match word.strip_suffix("am").or_else(|| word.strip_suffix("pm")) {
        Some(number) if !number.is_empty() => (number, Some(word[number.len()..].to_owned()), at + 1),
        _ if is(at + 1, &PARTS) => (&*word, lower(at + 1), at + 2),
        _ => (&*word, before, at + 1),
    };
    let read = time_of_day(word).filter(|_| half == 0);
    // `about 5 ribu` is a sum, and `about 3 Nov` a day.
    if read.is_none() && lower(taken).is_some_and(|next| THOUSAND.contains(&&*next) || month(&next).is_some()) {
        return None;
    }
    let whole = read.or_else(|| hour(word))?;
    // `setengah satu` comes after twelve.
    let at = if half < 0 && whole == 60 { HALF_DAY + 30 } else { whole + half };
    if at < 0 {
        return None;
    }
    let hour = at / 60;
    let afternoon = match part.as_deref() {
        Some("am" | "pagi") => Some(if hour == 12 { at - HALF_DAY } else { at }),
        Some("pm" | "sore") => Some(if hour < 12 { at + HALF_DAY } else { at }),
        Some("siang") => Some(if hour < 10 { at + HALF_DAY } else { at }),
        Some("malam") if hour == 12 => Some(at - HALF_DAY),
        Some("malam") => Some(if (5..12).contains(&hour) { at + HALF_DAY } else { at }),
        _ => None,
    };
    match afternoon {
        Some(at) => Some((Clock { at, later: at, is_day: false }, taken)),
        // Few buy at three at night. But `03:00` says it.
        None if is_told && (read.is_none() || !word.starts_with('0')) => {
            let later = if (1..12).contains(&hour) { at + HALF_DAY } else { at };
            Some((Clock { at, later, is_day: (7..12).contains(&hour) }, taken))
        }
        None => read.map(|at| (Clock { at, later: at, is_day: false }, taken)),
    }
}

fn time_of_day(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once([':', '.'])?;
    let number = |text: &str, most: i64| text.parse::<i64>().ok().filter(|number| text.len() <= 2 && (0..=most).contains(number));
    Some(number(hour, 23)? * 60 + number(minute, 59).filter(|_| minute.len() == 2)?)
}

/// `3`, `three`, `tiga`
fn hour(text: &str) -> Option<i64> {
    const EN: [&str; 12] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    const ID: [&str; 11] = ["satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "delapan", "sembilan", "sepuluh", "sebelas"];
    let said = EN.iter().position(|word| *word == text).or_else(|| ID.iter().position(|word| *word == text)).map(|at| at + 1);
    let hour = said.or_else(|| text.parse().ok().filter(|hour| *hour < 24 && text.len() <= 2))?;
    i64::try_from(hour * 60).ok()
}

/// The day with which these words begin, and how many of them say it: `27-11`, `27/11`, `27-11-2026`, `2026-11-27`, `27 Nov`,
/// `Friday, 27 November`, `27 Agustus 2025`, `today`, `kemarin`. It is the beginning of that day. Without a year it is not to come yet.
fn day(words: &[&str], zone: Zone, now: Wall) -> Option<(Wall, usize)> {
    const WEEKDAYS: [&str; 2] = ["monday tuesday wednesday thursday friday saturday sunday", "senin selasa rabu kamis jumat sabtu minggu"];
    let today = judge::midnight(now, zone);
    let lower: Vec<_> = words.iter().take(4).map(|word| word.to_lowercase()).collect();
    let lower: Vec<_> = lower.iter().map(|word| &**word).collect();
    match lower[..] {
        ["hari", "ini", ..] => return Some((today, 2)),
        ["today", ..] => return Some((today, 1)),
        ["yesterday" | "kemarin", ..] => return Some((judge::days_before(today, 1), 1)),
        _ => {}
    }
    let at = |year: &str, month: &str, day: &str| Wall::from_local(&format!("{year}-{month:0>2}-{day:0>2} 00:00:00"), zone).ok();
    let latest = |month: &str, day: &str| {
        let this_year: i64 = now.to_local(zone).get(..4)?.parse().ok()?;
        let that = |year: i64| at(&year.to_string(), month, day);
        that(this_year).filter(|day| *day <= now).or_else(|| that(this_year - 1))
    };
    // The weekday is not compared.
    let weekday = usize::from(lower.first().is_some_and(|word| WEEKDAYS.iter().any(|days| days.split(' ').any(|day| day == *word))));
    if let [number, name, ref behind @ ..] = lower[weekday..]
        && let Some(month) = month(name)
    {
        // Behind a day nobody means a sum of some two thousand and twenty rupiah.
        let is_year = |word: &&str| word.len() == 4 && word.parse().is_ok_and(|year: u16| (2020..2100).contains(&year));
        return match behind.first().copied().filter(is_year) {
            Some(year) => at(year, &month, number).map(|day| (day, weekday + 3)),
            None => latest(&month, number).map(|day| (day, weekday + 2)),
        };
    }
    let parts: Vec<&str> = words.get(weekday)?.split(['-', '/']).collect();
    let day = match parts[..] {
        [year, month, day] if year.len() == 4 => at(year, month, day),
        [day, month, year] if year.len() == 4 => at(year, month, day),
        [day, month] => latest(month, day),
        _ => None,
    };
    day.map(|day| (day, weekday + 1))
}

/// The number of a month, by its name in both languages, whole or short.
fn month(name: &str) -> Option<String> {
    const NAMES: [&[&str]; 12] = [
        &["jan", "januari", "january"],
        &["feb", "februari", "february"],
        &["mar", "maret", "march"],
        &["apr", "april"],
        &["mei", "may"],
        &["jun", "juni", "june"],
        &["jul", "juli", "july"],
        &["agu", "ags", "agt", "agustus", "aug", "august"],
        &["sep", "sept", "september"],
        &["okt", "oktober", "oct", "october"],
        &["nov", "november"],
        &["des", "desember", "dec", "december"],
    ];
    NAMES.iter().position(|names| names.contains(&name)).map(|at| (at + 1).to_string())
}

/// With such a word a number is so many thousand rupiah.
const THOUSAND: [&str; 3] = ["k", "rb", "ribu"];

/// The sum with which these words begin, and how many of them say it: `5000`, `Rp5.000`, `5k`, `5rb`, `5 ribu`
fn sum(words: &[&str]) -> Option<(u64, usize)> {
    let lower = words.first()?.to_lowercase();
    let number = lower.strip_prefix("rp").unwrap_or(&lower);
    if let Some(thousands) = THOUSAND.iter().find_map(|thousand| number.strip_suffix(thousand)).filter(|number| !number.is_empty()) {
        return rupiah(thousands).and_then(|thousands| thousands.checked_mul(1000)).map(|amount| (amount, 1));
    }
    let amount = rupiah(number)?;
    let is_thousands = words.get(1).is_some_and(|word| THOUSAND.contains(&&*word.to_lowercase()));
    if is_thousands { amount.checked_mul(1000).map(|amount| (amount, 2)) } else { Some((amount, 1)) }
}

/// `5000`, `5.000`
fn rupiah(text: &str) -> Option<u64> {
    let parts: Vec<&str> = text.split(['.', ',']).collect();
    let are_groups = parts.len() == 1 || parts[1..].iter().all(|part| part.len() == 3) && (1..=3).contains(&parts[0].len());
    let digits = parts.concat();
    let is_number = are_groups && digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|amount| is_number && *amount > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_types_is_understood() {
        let zone = Zone::Wib;
        let at = |text: &str| Wall::from_local(text, zone).expect("a time");
        let now = at("2026-11-27 16:00:00");
        let read = |text: &str| {
            let Search { amount, near, day, words, .. } = Search::read(text, zone, now);
            (amount, near, day.map(|(day, _)| day), words)
        };
        let today = at("2026-11-27 00:00:00");
        let words = |text: &str| Some(Box::from(text));
        for (text, wanted) in [
            ("", (None, None, None, None)),
            ("5000", (Some(5000), None, None, None)),
            ("Rp5.000", (Some(5000), None, None, None)),
            ("rp 12.500.000", (Some(12_500_000), None, None, None)),
            ("5.000 15:00", (Some(5000), Some(at("2026-11-27 15:00:00")), None, None)),
            ("15:00 5.000", (Some(5000), Some(at("2026-11-27 15:00:00")), None, None)),
            ("5.000 15.00", (Some(5000), Some(at("2026-11-27 15:00:00")), None, None)),
            ("9.05", (None, Some(at("2026-11-27 09:05:00")), None, None)),
            ("17:00", (None, Some(at("2026-11-26 17:00:00")), None, None)),
            ("27-11", (None, None, Some(today), None)),
            ("27/11/2026 09:30", (None, Some(at("2026-11-27 09:30:00")), Some(today), None)),
            ("28-11", (None, None, Some(at("2025-11-28 00:00:00")), None)),
            ("2026-11-26", (None, None, Some(at("2026-11-26 00:00:00")), None)),
            ("31-02", (None, None, None, words("31-02"))),
            ("25:00", (None, None, None, words("25:00"))),
            ("25.00", (None, None, None, words("25.00"))),
            ("5.0", (None, None, None, words("5.0"))),
            ("0", (None, None, None, words("0"))),
            ("Lobi", (None, None, None, words("Lobi"))),
            ("Rp5.000, today about three", (Some(5000), Some(at("2026-11-27 15:00:00")), Some(today), None)),
            ("hari ini jam 3", (None, Some(at("2026-11-27 15:00:00")), Some(today), None)),
            ("kemarin sekitar jam 8 malam", (None, Some(at("2026-11-26 20:00:00")), Some(at("2026-11-26 00:00:00")), None)),
            ("Kemarin", (None, None, Some(at("2026-11-26 00:00:00")), None)),
            ("yesterday 3pm 5k", (Some(5000), Some(at("2026-11-26 15:00:00")), Some(at("2026-11-26 00:00:00")), None)),
            ("3 sore", (None, Some(at("2026-11-27 15:00:00")), None, None)),
            ("pukul 3.30 pagi", (None, Some(at("2026-11-27 03:30:00")), None, None)),
            ("12 siang", (None, Some(at("2026-11-27 12:00:00")), None, None)),
            ("12am", (None, Some(at("2026-11-27 00:00:00")), None, None)),
            ("jam 5", (None, Some(at("2026-11-26 17:00:00")), None, None)),
            ("today about five", (None, Some(at("2026-11-27 05:00:00")), Some(today), None)),
            ("yesterday about 9", (None, Some(at("2026-11-26 09:00:00")), Some(at("2026-11-26 00:00:00")), None)),
            ("about 16:15", (None, Some(at("2026-11-27 16:15:00")), None, None)),
            ("\"5,000\" today, about three.", (Some(5000), Some(at("2026-11-27 15:00:00")), Some(today), None)),
            ("Rp5.000,-", (Some(5000), None, None, None)),
            ("pukul 03.30", (None, Some(at("2026-11-27 03:30:00")), None, None)),
            ("about 9", (None, Some(at("2026-11-27 09:00:00")), None, None)),
            ("5rb Lobi", (Some(5000), None, None, words("Lobi"))),
            ("5 ribu jam tiga", (Some(5000), Some(at("2026-11-27 15:00:00")), None, None)),
            ("Jam Kantin", (None, None, None, words("Jam Kantin"))),
            ("Pagi", (None, None, None, words("Pagi"))),
            ("am", (None, None, None, words("am"))),
            ("k", (None, None, None, words("k"))),
            ("jam", (None, None, None, words("jam"))),
            ("Kantin 3", (Some(3), None, None, words("Kantin"))),
            // What the desk itself writes.
            ("29 Nov", (None, None, Some(at("2025-11-29 00:00:00")), None)),
            ("29 November", (None, None, Some(at("2025-11-29 00:00:00")), None)),
            ("28 nov", (None, None, Some(at("2025-11-28 00:00:00")), None)),
            ("27 Nov", (None, None, Some(today), None)),
            ("26 Nov 15:04 WIB", (None, Some(at("2026-11-26 15:04:00")), Some(at("2026-11-26 00:00:00")), None)),
            ("17 Agu 2025 10.00 WIB", (None, Some(at("2025-08-17 10:00:00")), Some(at("2025-08-17 00:00:00")), None)),
            ("17 Aug 2025 10:00 WIT", (None, Some(at("2025-08-17 10:00:00")), Some(at("2025-08-17 00:00:00")), words("WIT"))),
            ("Kamis, 26 November", (None, None, Some(at("2026-11-26 00:00:00")), None)),
            ("Thursday, 26 November", (None, None, Some(at("2026-11-26 00:00:00")), None)),
            ("Kamis", (None, None, None, words("Kamis"))),
            ("hari ini 15.04", (None, Some(at("2026-11-27 15:04:00")), Some(today), None)),
            ("5 Mei Rp5.000", (Some(5000), None, Some(at("2026-05-05 00:00:00")), None)),
            ("5 Mei 2000", (Some(2000), None, Some(at("2026-05-05 00:00:00")), None)),
            ("5.000 tanggal 3 Desember", (Some(5000), None, Some(at("2025-12-03 00:00:00")), None)),
            ("29 Feb", (Some(29), None, None, words("Feb"))),
            ("29 Feb 2024", (None, None, Some(at("2024-02-29 00:00:00")), None)),
            ("Mei", (None, None, None, words("Mei"))),
            ("sekitar 3 Okt jam 9", (None, Some(at("2026-10-03 09:00:00")), Some(at("2026-10-03 00:00:00")), None)),
            // Half an hour.
            ("half past three", (None, Some(at("2026-11-27 15:30:00")), None, None)),
            ("jam setengah empat", (None, Some(at("2026-11-27 15:30:00")), None, None)),
            ("setengah 4 pagi", (None, Some(at("2026-11-27 03:30:00")), None, None)),
            ("yesterday about half past 3pm 5k", (Some(5000), Some(at("2026-11-26 15:30:00")), Some(at("2026-11-26 00:00:00")), None)),
            ("setengah satu", (None, Some(at("2026-11-27 12:30:00")), None, None)),
            ("half past", (None, None, None, words("half past"))),
            ("setengah", (None, None, None, words("setengah"))),
            ("setengah 0", (None, None, None, words("setengah 0"))),
            // Words that say nothing more take nothing away.
            ("tadi 5.000", (Some(5000), None, None, None)),
            ("sekitar 5.000", (Some(5000), None, None, None)),
            ("around 5 ribu", (Some(5000), None, None, None)),
            ("tadi sekitar jam 3 kira-kira Rp5.000", (Some(5000), Some(at("2026-11-27 15:00:00")), None, None)),
            ("tadi pagi jam 9", (None, Some(at("2026-11-27 09:00:00")), None, None)),
            ("kemarin sore sekitar jam 5", (None, Some(at("2026-11-26 17:00:00")), Some(at("2026-11-26 00:00:00")), None)),
            ("tadi Lobi", (None, None, None, words("Lobi"))),
            ("tadi teh 5.000", (Some(5000), None, None, words("teh"))),
            ("tadi", (None, None, None, words("tadi"))),
            ("#12345", (None, None, None, words("#12345"))),
            ("<b>5000", (None, None, None, words("<b>5000"))),
            ("99999999999999999999", (None, None, None, words("99999999999999999999"))),
        ] {
            assert_eq!(read(text), wanted, "{text:?}");
        }
        assert_eq!(Search::read("4TS6 5XYZ1", zone, now).number.map(|number| number.to_string()).as_deref(), Some("4TS65XYZ1"));
        for (text, number) in
            [("#4TS65", Some("4TS65")), (" # 4TS6 5XYZ1", Some("4TS65XYZ1")), ("#12345", Some("12345")), ("#4TS", None), ("##", None)]
        {
            let read = Search::read(text, zone, now).number.map(|number| number.to_string());
            assert_eq!(read.as_deref(), number, "{text:?}");
        }
        assert_eq!(Search::read("4TS", zone, now).number, None);
        // Each month, in both languages.
        for names in [
            "Januari Februari Maret April Mei Juni Juli Agustus September Oktober November Desember",
            "January February March April May June July August September October November December",
            "Jan Feb Mar Apr Mei Jun Jul Agu Sep Okt Nov Des",
            "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
            "jan feb mar apr mei jun jul ags sept okt nov des",
            "JAN FEB MAR APR MEI JUN JUL AGT SEP OKT NOV DES",
        ] {
            for (name, month) in names.split(' ').zip(1..) {
                let first = at(&format!("{}-{month:02}-01 00:00:00", if month == 12 { 2025 } else { 2026 }));
                assert_eq!(read(&format!("1 {name}")), (None, None, Some(first), None), "{name}");
            }
        }
    }
}
