//! A person's own things: the devices that are logged in, the language, the way out.

use super::{Frame, Tab, note, renewed};
use crate::Desk;
use crate::form::Posted;
use crate::visitor::{Halt, Visitor, local};
use crate::words;
use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use qris_core::wire::desk::{EndSession, Session};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "sessions.html")]
struct Page {
    f: Frame,
    sessions: Vec<Session>,
}

/// `GET /sessions`
pub async fn show(State(desk): State<Arc<Desk>>, visitor: Visitor) -> Result<Response, Halt> {
    let told = desk.serve.read::<Vec<Session>>(&visitor, "sessions", &[]).await.map_err(|why| why.halt(&visitor))?;
    let f = Frame::of(&visitor, Tab::Account, words::Words::of(visitor.language).account, told.me);
    Ok(renewed(visitor.show(StatusCode::OK, &Page { f, sessions: told.told })))
}

/// `POST /sessions/end`: one by its number, or all.
pub async fn end(State(desk): State<Arc<Desk>>, posted: Posted) -> Result<Response, Halt> {
    let visitor = &posted.visitor;
    let ended = match posted.field("number") {
        "all" => EndSession::All,
        number => EndSession::Number(number.parse().map_err(|_| note::malformed(visitor))?),
    };
    desk.serve.tell(visitor, "sessions/end", &ended).await.map_err(|why| why.halt(visitor))?;
    // If it was this one, the next page says so.
    Ok(visitor.lead_to("/sessions"))
}

/// `POST /logout`. The cookie goes even if nobody hears it: then the session ends by its time.
pub async fn logout(State(desk): State<Arc<Desk>>, posted: Posted) -> Response {
    let visitor = &posted.visitor;
    let _ = desk.serve.tell(visitor, "logout", &serde_json::json!({})).await;
    let mut response = visitor.lead_to("/login");
    visitor.end(&mut response);
    response
}

/// `POST /language`
pub async fn language(posted: Posted) -> Result<Response, Halt> {
    let visitor = &posted.visitor;
    let language = match posted.field("language") {
        known @ ("id" | "en") => known,
        _ => return Err(note::malformed(visitor)),
    };
    let mut response = visitor.lead_to(local(posted.field("back")));
    visitor.choose(&mut response, language);
    Ok(response)
}
