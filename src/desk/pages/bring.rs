//! What to bring to the machines: the packing list for the van.

use super::machines::slot_bytes;
use super::report::csv;
use super::{Frame, Query, Tab, address, bytes, fitting, named, room};
use crate::Desk;
use crate::visitor::{Halt, Visitor};
use crate::words;
use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use qris_core::wire::desk::{Load, ToBring};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "bring.html")]
struct Page {
    f: Frame,
    bring: ToBring,
    /// No machine wants anything.
    is_nothing: bool,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "bring_sum.html")]
struct Sum<'a> {
    sum: &'a (Box<str>, u64),
}

#[derive(Template)]
#[template(path = "bring_load.html")]
struct Part<'a> {
    f: &'a Frame,
    load: &'a Load,
}

/// The headings above both lists.
const HEADINGS_BYTES: usize = 1 << 10;

/// Where a page of the list begins: so many sums were there before, the machines until this one, and so many slots of the next.
struct Place {
    sums: usize,
    behind: String,
    slots: usize,
}

impl Place {
    fn address(&self) -> String {
        let number = |number: usize| if number == 0 { String::new() } else { number.to_string() };
        address("/bring", &[("sums", &number(self.sums)), ("behind", &self.behind), ("slots", &number(self.slots))])
    }
}

/// `GET /bring?sums=40&behind=vm-007&slots=20`
pub async fn show(State(desk): State<Arc<Desk>>, visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Halt> {
    let query = Query::read(query.as_deref());
    let place =
        Place { sums: query.place("sums"), behind: named(query.get("behind")).unwrap_or_default().into(), slots: query.place("slots") };
    let told = desk.serve.read::<ToBring>(&visitor, "to-bring", &[("behind", &place.behind)]).await.map_err(|why| why.halt(&visitor))?;
    let f = Frame::of(&visitor, Tab::Bring, words::Words::of(visitor.language).bring_title, told.me);
    let (is_end, is_nothing) = (told.told.machines.is_empty(), told.told.machines.is_empty() && place.behind.is_empty());
    let mut page = Page { f, bring: ToBring { machines: Vec::new(), goods: Vec::new() }, is_nothing, next: None };
    let left = room(&page).saturating_sub(HEADINGS_BYTES);
    let (bring, next, mut is_more) = part(&page.f, told.told, place, left);
    if !is_more && !is_end {
        // A part of the machines was told. Whether it was the last one, the next part says.
        let told = desk.serve.read::<ToBring>(&visitor, "to-bring", &[("behind", &next.behind)]).await.map_err(|why| why.halt(&visitor))?;
        is_more = !told.told.machines.is_empty();
    }
    (page.bring, page.next) = (bring, is_more.then(|| next.address()));
    Ok(visitor.show(StatusCode::OK, &page))
}

/// What of it fits from a place on, the place behind that, and whether something of it is left there.
fn part(f: &Frame, told: ToBring, mut place: Place, mut left: usize) -> (ToBring, Place, bool) {
    let size = |sum: &(Box<str>, u64)| bytes(&Sum { sum });
    let mut goods: Vec<_> = told.goods.into_iter().skip(place.sums).collect();
    let there = fitting(&goods, left, size);
    place.sums += there;
    let is_all = there == goods.len();
    goods.truncate(there);
    let mut bring = ToBring { goods, machines: Vec::new() };
    if !is_all {
        return (bring, place, true);
    }
    left = left.saturating_sub(bring.goods.iter().map(size).sum());
    for load in told.machines {
        let mut slots: Vec<_> = load.slots.into_iter().skip(place.slots).collect();
        let mut load = Load { slots: Vec::new(), ..load };
        let around = bytes(&Part { f, load: &load });
        let there = fitting(&slots, left.saturating_sub(around), |line| slot_bytes(f, line));
        let needed = around + slots[..there].iter().map(|line| slot_bytes(f, line)).sum::<usize>();
        let is_alone = bring.goods.is_empty() && bring.machines.is_empty();
        if needed > left && !is_alone {
            return (bring, place, true);
        }
        left = left.saturating_sub(needed);
        let is_all = there == slots.len();
        slots.truncate(there);
        load.slots = slots;
        if !is_all {
            place.slots += there;
            bring.machines.push(load);
            return (bring, place, true);
        }
        (place.behind, place.slots) = (load.device.to_string(), 0);
        bring.machines.push(load);
    }
    (bring, place, false)
}

/// `GET /bring.csv`
pub async fn table(State(desk): State<Arc<Desk>>, visitor: Visitor) -> Result<Response, Halt> {
    let table = desk.serve.table(&visitor, "to-bring.csv", &[]).await.map_err(|why| why.halt(&visitor))?;
    Ok(csv("bring", table))
}
