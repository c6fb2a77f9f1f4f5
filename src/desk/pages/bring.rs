//! What to bring to the machines: the packing list for the van.

use super::report::csv;
use super::{Frame, Query, Tab, address, named, renewed, rows};
use crate::Desk;
use crate::visitor::{Halt, Visitor};
use crate::words;
use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use qris_core::wire::desk::ToBring;
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

/// `GET /bring?sums=50`, then `GET /bring?behind=vm-007`. The machines begin where the sums end.
pub async fn show(State(desk): State<Arc<Desk>>, visitor: Visitor, RawQuery(query): RawQuery) -> Result<Response, Halt> {
    let query = Query::read(query.as_deref());
    let behind = named(query.get("behind")).unwrap_or_default();
    let told = desk.serve.read::<ToBring>(&visitor, "to-bring", &[("behind", behind)]).await.map_err(|why| why.halt(&visitor))?;
    let f = Frame::of(&visitor, Tab::Bring, words::Words::of(visitor.language).bring_title, told.me);
    let mut bring = told.told;
    let is_nothing = bring.machines.is_empty() && behind.is_empty();
    let from = query.place("sums");
    if from > 0 {
        (bring.untold, bring.well_filled) = Default::default();
    }
    let (goods, more) = rows(std::mem::take(&mut bring.goods), from);
    bring.goods = goods;
    let next = match more {
        Some(sums) => {
            bring.machines.clear();
            Some(address("/bring", &[("sums", &sums.to_string())]))
        }
        None => bring.behind.as_ref().map(|behind| address("/bring", &[("behind", behind.as_str())])),
    };
    Ok(renewed(visitor.show(StatusCode::OK, &Page { f, bring, is_nothing, next })))
}

/// `GET /bring.csv`
pub async fn table(State(desk): State<Arc<Desk>>, visitor: Visitor) -> Result<Response, Halt> {
    let table =
        desk.serve.table(&visitor, "to-bring.csv", &[("language", visitor.language_code())]).await.map_err(|why| why.halt(&visitor))?;
    Ok(csv("bring", table))
}
