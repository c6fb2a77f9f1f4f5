//! How people come in in the local network, over plain `http://`: by a link of the command, and by nothing else. Such a session only sees.

use super::answer::{No, Of, body, door, from};
use super::log::{self, By, What};
use super::sessions::{self, Shown};
use super::{Desk, people};
use crate::store::Tx;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use qris_core::order::time::Told;
use qris_core::wire::desk::{Door, Enter, Entry, Opened, Problem};
use qris_host::events::Event as Journal;
use std::sync::Arc;

pub fn addresses() -> Router<Arc<Desk>> {
    Router::new().route("/v1/enter", post(enter))
}

/// `POST /v1/enter`
async fn enter(State(desk): Of, headers: HeaderMap, request: Request) -> Result<Json<Opened>, No> {
    // At the public door there is no such address.
    if door(&headers)? == Door::Public {
        return Err(Problem::Unknown.into());
    }
    let from = from(&headers)?.to_string();
    let Enter { code, browser } = body(request).await?;
    let (secret, boot, latest) = (desk.draw(), desk.boot(), desk.books.latest());
    let opened = Opened { session: secret.clone(), device: None, seconds: sessions::LASTS.as_secs_up().unsigned_abs() };
    let (shown, noted) = (Shown { secret, door: Door::Home }, from.clone());
    let write = move |tx: &mut dyn Tx, now: Told| {
        let Some(person) = people::enter(tx, Door::Home, &code, latest)? else { return Ok(None) };
        sessions::begin(tx, person.number, &shown, (&noted, &browser), boot.as_deref(), now)?;
        log::write(tx, By::Person(&person, &noted), What::Entry(Entry::Home), None, now.wall)?;
        Ok(Some(person))
    };
    let person = desk.books.write(move |tx, _, now| write(tx, now)).await?.ok_or(Problem::LinkOver)?;
    desk.around.emit(&Journal::DeskEntered { person: String::from(person.name).into(), from: from.into() });
    Ok(Json(opened))
}
