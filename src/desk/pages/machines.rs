//! The machines, and one of them.

use super::{Frame, Query, Tab, address, bytes, fitting, named, note, room};
use crate::Desk;
use crate::visitor::{Halt, Visitor};
use crate::words::{self, machines as machine_words};
use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use qris_core::wire::desk::{MachineLine, MachinePage, SlotLine};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "machines.html")]
struct List {
    f: Frame,
    machines: Vec<MachineLine>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "machine_card.html")]
pub(super) struct Card<'a> {
    pub f: &'a Frame,
    pub machine: &'a MachineLine,
    /// Of its heading: `h2` below the page's, `h3` below another one.
    pub level: &'static str,
}

/// `GET /machines?from=25`: those that want a person first.
pub async fn list(State(desk): State<Arc<Desk>>, visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Halt> {
    let told = desk.serve.read::<Vec<MachineLine>>(&visitor, "machines", &[]).await.map_err(|why| why.halt(&visitor))?;
    let f = Frame::of(&visitor, Tab::Machines, words::Words::of(visitor.language).machines, told.me);
    let mut all = told.told;
    all.sort_by_key(|machine| machine.trouble.first().map_or(u8::MAX, |trouble| *trouble as u8));
    let from = Query::read(query.as_deref()).place("from").min(all.len().saturating_sub(1));
    let mut page = List { f, machines: Vec::new(), next: None };
    let there = fitting(&all[from..], room(&page), |machine| bytes(&Card { f: &page.f, machine, level: "h2" }));
    page.next = (from + there < all.len()).then(|| format!("/machines?from={}", from + there));
    page.machines = all.into_iter().skip(from).take(there).collect();
    Ok(visitor.show(StatusCode::OK, &page))
}

#[derive(Template)]
#[template(path = "machine.html")]
struct One {
    f: Frame,
    page: MachinePage,
    screen: String,
    orders: String,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "slots.html")]
pub(super) struct Slots<'a> {
    pub f: &'a Frame,
    pub slots: &'a [SlotLine],
}

/// The bytes of a slot in a table, and of a table without slots.
pub(super) fn slot_bytes(f: &Frame, line: &SlotLine) -> usize {
    bytes(&Slots { f, slots: std::slice::from_ref(line) }) - table_bytes(f)
}

pub(super) fn table_bytes(f: &Frame) -> usize {
    bytes(&Slots { f, slots: &[] })
}

/// `GET /machines/DEVICE?slot=40`. Its orders are on the first page.
pub async fn show(
    State(desk): State<Arc<Desk>>,
    visitor: Visitor,
    Path(device): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Halt> {
    let Some(device) = named(&device) else { return Err(note::not_found(&visitor).into()) };
    let told = desk.serve.read::<MachinePage>(&visitor, &format!("machines/{device}"), &[]).await.map_err(|why| why.halt(&visitor))?;
    let mut page = told.told;
    let title = page.line.name.clone().unwrap_or_else(|| page.line.device.as_str().into());
    let f = Frame::of(&visitor, Tab::Machines, title, told.me);
    let screen = machine_words::screen(f.m(), &page.screen, |amount| f.money(&amount), |time| f.at(time));
    let orders = address("/orders", &[("device", page.line.device.as_str())]);
    let mut slots = std::mem::take(&mut page.slots);
    let from = Query::read(query.as_deref()).place("slot").min(slots.len().saturating_sub(1));
    if from > 0 {
        page.orders.clear();
    }
    let mut page = One { f, page, screen, orders, next: None };
    let room = room(&page).saturating_sub(table_bytes(&page.f));
    let there = fitting(&slots[from..], room, |line| slot_bytes(&page.f, line));
    let behind = from + there;
    page.next = (behind < slots.len()).then(|| format!("/machines/{device}?slot={behind}"));
    page.page.slots = slots.drain(from..behind).collect();
    Ok(visitor.show(StatusCode::OK, &page))
}
