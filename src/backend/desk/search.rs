//! What a person types to find an order: how it is understood, and the orders that fit.

use super::judge;
use super::orders::{PAGE, Teller};
use super::today::WANTING;
use crate::sale::books::{self, Beginning, BooksError, Cursor, Page, Sought, Stored};
use crate::store::Tx;
use qris_core::order::ids::DeviceId;
use qris_core::order::time::{Span, Wall, Zone};
use qris_core::wire::desk::{Found, SearchedBy};

/// What a person looks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    /// Perhaps the first letters of a number.
    pub number: Option<Beginning>,
    /// A sum.
    pub amount: Option<u64>,
    /// About this time.
    pub near: Option<Wall>,
    /// On that day, from its beginning to its end.
    pub day: Option<(Wall, Wall)>,
    /// Perhaps a machine.
    pub words: Option<Box<str>>,
}

impl Search {
    /// Reads what a person has typed.
    #[must_use]
    pub fn read(text: &str, zone: Zone, now: Wall) -> Self {
        let mut search = Self { number: text.parse().ok().filter(|beginning: &Beginning| !beginning.is_short()), ..Self::default() };
        let (mut time, mut words) = (None, Vec::new());
        for token in text.split_whitespace() {
            let lower = token.to_ascii_lowercase();
            let sum = lower.strip_prefix("rp").unwrap_or(&lower);
            if let (None, Some(read)) = (time, time_of_day(token)) {
                time = Some(read);
            } else if let (None, Some(day)) = (search.day, day(token, zone, now)) {
                search.day = Some((day, judge::days_before(day, -1)));
            } else if let (None, Some(amount)) = (search.amount, rupiah(sum)) {
                search.amount = Some(amount);
            } else if lower != "rp" {
                words.push(token);
            }
        }
        let today = judge::midnight(now, zone);
        search.near = time.map(|time: Span| match search.day {
            Some((day, _)) => day + time,
            // It is not to come yet.
            None if today + time > now => judge::days_before(today, 1) + time,
            None => today + time,
        });
        search.words = (!words.is_empty()).then(|| words.join(" ").into());
        search
    }

    /// Whether it says anything but a number or a machine.
    fn is_plain(&self) -> bool {
        self.amount.is_some() || self.near.is_some() || self.day.is_some()
    }
}

/// `15:04`, and `15.04`, as Indonesians write it: no sum has two digits behind a dot.
fn time_of_day(text: &str) -> Option<Span> {
    let (hour, minute) = text.split_once([':', '.'])?;
    let number = |text: &str, most: i64| text.parse::<i64>().ok().filter(|number| text.len() <= 2 && (0..=most).contains(number));
    Some(Span::secs(number(hour, 23)? * 3600 + number(minute, 59).filter(|_| minute.len() == 2)? * 60))
}

/// `27-11`, `27/11`, `27-11-2026`, `2026-11-27`: the beginning of that day. Without a year it is not to come yet.
fn day(text: &str, zone: Zone, now: Wall) -> Option<Wall> {
    let parts: Vec<&str> = text.split(['-', '/']).collect();
    let at = |year: &str, month: &str, day: &str| Wall::from_local(&format!("{year}-{month:0>2}-{day:0>2} 00:00:00"), zone).ok();
    match parts[..] {
        [year, month, day] if year.len() == 4 => at(year, month, day),
        [day, month, year] if year.len() == 4 => at(year, month, day),
        [day, month] => {
            let this_year: i64 = now.to_local(zone).get(..4)?.parse().ok()?;
            let that = |year: i64| at(&year.to_string(), month, day);
            that(this_year).filter(|day| *day <= now).or_else(|| that(this_year - 1))
        }
        _ => None,
    }
}

/// `5000`, `5.000`
fn rupiah(text: &str) -> Option<u64> {
    let parts: Vec<&str> = text.split('.').collect();
    let are_groups = parts.len() == 1 || parts[1..].iter().all(|part| part.len() == 3) && (1..=3).contains(&parts[0].len());
    let digits = parts.concat();
    let is_number = are_groups && digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|amount| is_number && *amount > 0)
}

/// The orders that somebody looks for.
///
/// # Errors
/// The database's.
pub fn found(
    tx: &mut dyn Tx,
    teller: &Teller<'_>,
    search: &Search,
    device: Option<DeviceId>,
    behind: Option<&Cursor>,
) -> Result<Found, BooksError> {
    // `None`: no order has this number.
    let by_number = |tx: &mut dyn Tx| -> Result<Option<Found>, BooksError> {
        let Some(number) = &search.number else { return Ok(None) };
        let all = books::beginning_with(tx, number)?;
        let mut stored = Vec::new();
        for id in &all {
            stored.extend(books::load(tx, id)?);
        }
        let is_archived = stored.len() < all.len();
        let taken_for = SearchedBy { number: Some(number.to_string().into()), is_archived, ..SearchedBy::default() };
        if all.is_empty() { Ok(None) } else { by(tx, teller, &stored, Vec::new(), taken_for).map(Some) }
    };
    // What has a letter in it, and is no machine, is a number. A number of digits alone is a sum first.
    if device.is_none()
        && (search.words.is_some() || !search.is_plain())
        && let Some(found) = by_number(tx)?
    {
        return Ok(found);
    }
    let is_unclear = search.words.is_some() && device.is_none();
    let sought = Sought { device: device.clone(), amount: search.amount.filter(|_| !is_unclear) };
    let understood = SearchedBy {
        number: None,
        is_archived: false,
        amount: sought.amount,
        near: search.near.filter(|_| !is_unclear).map(|at| teller.time(at)),
        day: search.day.filter(|_| !is_unclear && search.near.is_none()).map(|(day, _)| teller.time(day)),
        device,
        is_unclear,
        is_wanting: false,
    };
    if let Some(near) = search.near.filter(|_| !is_unclear) {
        let before = books::sought(tx, &sought, (Wall(i64::MIN), &Cursor::at(near)), PAGE)?.orders;
        let after = books::sought_from(tx, &sought, near, PAGE)?.orders;
        let mut all: Vec<_> = before.into_iter().chain(after).collect();
        all.sort_by_key(|stored| (stored.order.created_at - near).0.abs());
        all.truncate(PAGE);
        return by(tx, teller, &all, Vec::new(), understood);
    }
    let (from, until) = search.day.filter(|_| !is_unclear).unwrap_or((Wall(i64::MIN), Wall(i64::MAX)));
    let newest = Cursor::at(until);
    let Page { orders, damaged, .. } = books::sought(tx, &sought, (from, behind.unwrap_or(&newest)), PAGE)?;
    let is_last = orders.len() + damaged.len() < PAGE;
    let mut found = by(tx, teller, &orders, damaged, understood)?;
    found.behind = orders.iter().map(|stored| Cursor::of(&stored.order).to_string().into()).collect();
    if is_last {
        found.behind.pop();
    }
    let is_number = found.orders.is_empty() && search.amount.is_some();
    let numbered = if is_number { by_number(tx)? } else { None };
    Ok(numbered.unwrap_or(found))
}

/// All orders that want a person.
///
/// # Errors
/// The database's.
pub fn wanting(tx: &mut dyn Tx, teller: &Teller<'_>, behind: Option<&Cursor>) -> Result<Found, BooksError> {
    let newest = Cursor::at(WANTING.until);
    let Page { mut orders, damaged, .. } = books::page(tx, &WANTING, behind.unwrap_or(&newest))?;
    let is_last = orders.len() <= PAGE && orders.len() + damaged.len() < books::PAGE;
    orders.truncate(PAGE);
    let mut found = by(tx, teller, &orders, damaged, SearchedBy { is_wanting: true, ..SearchedBy::default() })?;
    found.behind = orders.iter().map(|stored| Cursor::of(&stored.order).to_string().into()).collect();
    if is_last {
        found.behind.pop();
    }
    Ok(found)
}

fn by(tx: &mut dyn Tx, teller: &Teller<'_>, stored: &[Stored], damaged: Vec<String>, by: SearchedBy) -> Result<Found, BooksError> {
    let orders = stored.iter().map(|stored| teller.line(tx, &stored.order)).collect::<Result<_, _>>()?;
    Ok(Found { orders, behind: Vec::new(), damaged: damaged.into_iter().map(Into::into).collect(), by })
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
            ("3 sore", (Some(3), None, None, words("sore"))),
            ("<b>5000", (None, None, None, words("<b>5000"))),
            ("99999999999999999999", (None, None, None, words("99999999999999999999"))),
        ] {
            assert_eq!(read(text), wanted, "{text:?}");
        }
        assert_eq!(Search::read("4TS6 5XYZ1", zone, now).number.map(|number| number.to_string()).as_deref(), Some("4TS65XYZ1"));
        assert_eq!(Search::read("4TS", zone, now).number, None);
    }
}
