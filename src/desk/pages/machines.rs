//! The machines, and one of them.

use super::{Frame, Query, Tab, address, named, note, renewed, rows};
use crate::Desk;
use crate::visitor::{Halt, Visitor};
use crate::words::{self, machines as machine_words};
use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use qris_core::wire::desk::{MachineLine, MachinePage};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "machines.html")]
struct List {
    f: Frame,
    machines: Vec<MachineLine>,
    next: Option<String>,
}

/// `GET /machines?from=50`: those that want a person first.
pub async fn list(State(desk): State<Arc<Desk>>, visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Halt> {
    let told = desk.serve.read::<Vec<MachineLine>>(&visitor, "machines", &[]).await.map_err(|why| why.halt(&visitor))?;
    let f = Frame::of(&visitor, Tab::Machines, words::Words::of(visitor.language).machines, told.me);
    let mut all = told.told;
    all.sort_by_key(|machine| machine.trouble.first().map_or(u8::MAX, |trouble| *trouble as u8));
    let (machines, behind) = rows(all, Query::read(query.as_deref()).place("from"));
    let next = behind.map(|behind| format!("/machines?from={behind}"));
    Ok(renewed(visitor.show(StatusCode::OK, &List { f, machines, next })))
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

/// `GET /machines/DEVICE?slot=50`. Its orders are on the first page.
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
    let from = Query::read(query.as_deref()).place("slot");
    if from > 0 {
        page.orders.clear();
    }
    let (slots, behind) = rows(std::mem::take(&mut page.slots), from);
    page.slots = slots;
    let next = behind.map(|behind| format!("/machines/{device}?slot={behind}"));
    Ok(renewed(visitor.show(StatusCode::OK, &One { f, page, screen, orders, next })))
}
