//! The machines, and one of them.

use super::{Frame, Query, Tab, address, named, note};
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

/// The machines of a page: a phone loads it over mobile data.
const PAGE: usize = 25;

/// `GET /machines?page=2`: those that want a person first.
pub async fn list(State(desk): State<Arc<Desk>>, visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Halt> {
    let told = desk.serve.read::<Vec<MachineLine>>(&visitor, "machines", &[]).await.map_err(|why| why.halt(&visitor))?;
    let f = Frame::of(&visitor, Tab::Machines, words::in_language(visitor.language).machines, told.me);
    let page = Query::read(query.as_deref()).get("page").parse::<usize>().unwrap_or(1).clamp(1, told.told.len().div_ceil(PAGE).max(1));
    let mut machines = told.told;
    machines.sort_by_key(|machine| machine.trouble.first().map_or(u8::MAX, |trouble| *trouble as u8));
    let next = (page * PAGE < machines.len()).then(|| format!("/machines?page={}", page + 1));
    let machines = machines.into_iter().skip((page - 1) * PAGE).take(PAGE).collect();
    Ok(visitor.show(StatusCode::OK, &List { f, machines, next }))
}

#[derive(Template)]
#[template(path = "machine.html")]
struct One {
    f: Frame,
    page: MachinePage,
    screen: String,
    orders: String,
}

/// `GET /machines/DEVICE`
pub async fn show(State(desk): State<Arc<Desk>>, visitor: Visitor, Path(device): Path<String>) -> Result<Response, Halt> {
    let Some(device) = named(&device) else { return Err(note::not_found(&visitor).into()) };
    let told = desk.serve.read::<MachinePage>(&visitor, &format!("machines/{device}"), &[]).await.map_err(|why| why.halt(&visitor))?;
    let page = told.told;
    let title = page.line.name.clone().unwrap_or_else(|| page.line.device.as_str().into());
    let f = Frame::of(&visitor, Tab::Machines, title, told.me);
    let screen = machine_words::screen(f.m(), &page.screen, |amount| f.money(&amount), |time| f.at(time));
    let orders = address("/orders", &[("device", page.line.device.as_str())]);
    Ok(visitor.show(StatusCode::OK, &One { f, page, screen, orders }))
}
