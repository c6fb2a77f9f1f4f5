//! What to bring to the machines: the packing list for the van.

use super::report::csv;
use super::{Frame, Tab};
use crate::Desk;
use crate::visitor::{Halt, Visitor};
use crate::words;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use qris_core::wire::desk::ToBring;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "bring.html")]
struct Page {
    f: Frame,
    bring: ToBring,
}

/// `GET /bring`
pub async fn show(State(desk): State<Arc<Desk>>, visitor: Visitor) -> Result<Response, Halt> {
    let told = desk.serve.read::<ToBring>(&visitor, "to-bring", &[]).await.map_err(|why| why.halt(&visitor))?;
    let f = Frame::of(&visitor, Tab::Bring, words::in_language(visitor.language).bring_title, told.me);
    Ok(visitor.show(StatusCode::OK, &Page { f, bring: told.told }))
}

/// `GET /bring.csv`
pub async fn table(State(desk): State<Arc<Desk>>, visitor: Visitor) -> Result<Response, Halt> {
    let table = desk.serve.table(&visitor, "to-bring.csv", &[]).await.map_err(|why| why.halt(&visitor))?;
    Ok(csv("bring", table))
}
