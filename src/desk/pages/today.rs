//! The first page: what needs a person, the money first; then what was sold.

use super::bars::Picture;
use super::{Frame, Tab, renewed};
use crate::Desk;
use crate::visitor::{Halt, Visitor};
use crate::words;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use qris_core::wire::desk::Today;
use qris_host::speech::fill;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "today.html")]
struct Page {
    f: Frame,
    day: String,
    today: Today,
    picture: Picture,
    /// The machines that want a person.
    all_ill: usize,
}

/// The most machines on this page. The others are on theirs.
const MACHINES_MAX: usize = 10;

/// `GET /`
pub async fn show(State(desk): State<Arc<Desk>>, visitor: Visitor) -> Result<Response, Halt> {
    let told = desk.serve.read::<Today>(&visitor, "today", &[]).await.map_err(|why| why.halt(&visitor))?;
    let f = Frame::of(&visitor, Tab::Today, words::Words::of(visitor.language).today, told.me);
    let day = f.clock.map(|clock| clock.long(clock.today())).unwrap_or_default();
    let mut today = told.told;
    let all_ill = today.machines.len();
    today.machines.truncate(MACHINES_MAX);
    let alt = fill(f.w.by_hour_alt, &[&f.money(&today.sold.amount)]);
    let picture = Picture::of_hours(&f, &today.hours, alt, f.w.sold);
    Ok(renewed(visitor.show(StatusCode::OK, &Page { day, picture, all_ill, today, f })))
}
