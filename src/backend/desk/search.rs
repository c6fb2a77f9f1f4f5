//! The orders that a person looks for.

use super::orders::Teller;
use super::typed::Search;
use crate::sale::books::{self, BooksError, Cursor, ListingPage, OrderFilter, Sought, Stored};
use crate::store::Tx;
use qris_core::order::ids::DeviceId;
use qris_core::order::time::Wall;
use qris_core::wire::desk::{Found, ROWS, SearchedBy};

/// The most names of goods that are looked through, and the most that one search may mean: a shop has fewer.
const NAMES_MAX: usize = 2_000;
const MEANT_MAX: usize = 20;

/// The goods that are meant: those of this name, or else those in whose names the words stand, in whatever order.
fn goods_meant(tx: &mut dyn Tx, words: &str) -> Result<Vec<Box<str>>, BooksError> {
    let words = words.to_lowercase();
    let lower: Vec<_> = books::goods(tx, NAMES_MAX)?.into_iter().map(|name| (name.to_lowercase(), name)).collect();
    if let Some((_, name)) = lower.iter().find(|(lower, _)| *lower == words) {
        return Ok(vec![name.clone()]);
    }
    let is_meant = |lower: &str| words.split_whitespace().all(|word| lower.contains(word));
    let meant: Vec<_> = lower.into_iter().filter(|(lower, _)| is_meant(lower)).map(|(_, name)| name).collect();
    Ok(if meant.len() > MEANT_MAX { Vec::new() } else { meant })
}

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
        let (mut stored, mut damaged) = (Vec::new(), Vec::new());
        for id in &all {
            match books::load(tx, id) {
                Err(error) if error.is_damage() => damaged.push(id.to_string()),
                loaded => stored.extend(loaded?),
            }
        }
        let is_archived = stored.len() + damaged.len() < all.len();
        let taken_for = SearchedBy { number: Some(number.to_string().into()), is_archived, ..SearchedBy::default() };
        if all.is_empty() { Ok(None) } else { by(tx, teller, &stored, damaged, taken_for).map(Some) }
    };
    // What has a letter in it, and is no machine, is a number. A number of digits alone is a sum first.
    if device.is_none()
        && (search.words.is_some() || !search.is_plain())
        && let Some(found) = by_number(tx)?
    {
        return Ok(found);
    }
    let goods = search.words.as_deref().map_or(Ok(Vec::new()), |words| goods_meant(tx, words))?;
    let is_unclear = search.words.is_some() && device.is_none() && goods.is_empty();
    let sought = Sought { device: device.clone(), amount: search.amount.filter(|_| !is_unclear), goods: goods.clone() };
    let understood = SearchedBy {
        number: None,
        is_archived: false,
        amount: sought.amount,
        near: search.near.filter(|_| !is_unclear).map(|at| teller.time(at)),
        day: search.day.filter(|_| !is_unclear && search.near.is_none()).map(|(day, _)| teller.time(day)),
        device,
        goods,
        is_unclear,
        is_wanting: false,
    };
    if let Some(near) = search.near.filter(|_| !is_unclear) {
        let before = books::sought(tx, &sought, (Wall(i64::MIN), &Cursor::at(near)), ROWS)?;
        let after = books::sought_from(tx, &sought, near, ROWS)?;
        let damaged = before.damaged.into_iter().chain(after.damaged).collect();
        let mut all: Vec<_> = before.orders.into_iter().chain(after.orders).collect();
        all.sort_by_key(|stored| (stored.order.created_at - near).0.abs());
        all.truncate(ROWS);
        return by(tx, teller, &all, damaged, understood);
    }
    let (from, until) = search.day.filter(|_| !is_unclear).unwrap_or((Wall(i64::MIN), Wall(i64::MAX)));
    let newest = Cursor::at(until);
    let ListingPage { orders, damaged, .. } = books::sought(tx, &sought, (from, behind.unwrap_or(&newest)), ROWS)?;
    let is_last = orders.len() + damaged.len() < ROWS;
    let mut found = by(tx, teller, &orders, damaged, understood)?;
    found.behind = orders.last().filter(|_| !is_last).map(|stored| Cursor::of(&stored.order).to_string().into());
    let is_number = found.orders.is_empty() && search.amount.is_some();
    let numbered = if is_number { by_number(tx)? } else { None };
    Ok(numbered.unwrap_or(found))
}

pub fn wanting(tx: &mut dyn Tx, teller: &Teller<'_>, behind: Option<&Cursor>) -> Result<Found, BooksError> {
    let newest = Cursor::at(OrderFilter::ATTENTION.until);
    let ListingPage { mut orders, damaged, .. } = books::page(tx, &OrderFilter::ATTENTION, behind.unwrap_or(&newest))?;
    let is_last = orders.len() <= ROWS && orders.len() + damaged.len() < books::PAGE;
    orders.truncate(ROWS);
    let mut found = by(tx, teller, &orders, damaged, SearchedBy { is_wanting: true, ..SearchedBy::default() })?;
    found.behind = orders.last().filter(|_| !is_last).map(|stored| Cursor::of(&stored.order).to_string().into());
    Ok(found)
}

fn by(tx: &mut dyn Tx, teller: &Teller<'_>, stored: &[Stored], damaged: Vec<String>, by: SearchedBy) -> Result<Found, BooksError> {
    let orders = stored.iter().map(|stored| teller.line(tx, &stored.order)).collect::<Result<_, _>>()?;
    Ok(Found { orders, behind: None, damaged: damaged.into_iter().map(Into::into).collect(), by })
}
