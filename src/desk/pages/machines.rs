//! The machines, and one of them.

use super::{Frame, Tab, address, named, note};
use crate::Desk;
use crate::visitor::{Halt, Visitor};
use crate::words::{self, machines as machine_words};
use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use qris_core::wire::desk::{MachineLine, MachinePage};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "machines.html")]
struct List {
    f: Frame,
    machines: Vec<MachineLine>,
}

/// `GET /machines`
pub async fn list(State(desk): State<Arc<Desk>>, visitor: Visitor) -> Result<Response, Halt> {
    let told = desk.serve.read::<Vec<MachineLine>>(&visitor, "machines", &[]).await.map_err(|why| why.halt(&visitor))?;
    let f = Frame::of(&visitor, Tab::Machines, words::in_language(visitor.language).machines, told.me);
    Ok(visitor.show(StatusCode::OK, &List { f, machines: told.told }))
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
