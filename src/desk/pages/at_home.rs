//! Who is answered in the local network, and how somebody comes in there: by a link, which no page asks for.

use super::{Frame, Tab, note};
use crate::form::Posted;
use crate::visitor::{Halt, Visitor};
use crate::{Desk, neighbours, words};
use askama::Template;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use qris_core::wire::desk::{Barred, Denied, Door, Enter, Invited, Knock, NotAtHome, Opened, Problem};
use qris_host::events::Event;
use qris_host::journal::emit;
use qris_host::speech::fill;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "enter.html")]
struct Welcome {
    f: Frame,
    code: String,
}

impl Frame {
    pub(super) fn enter_token(&self, code: &str) -> String {
        self.token(&format!("/enter/{code}"))
    }

    /// A session in the local network, which only sees.
    pub(super) fn is_at_home(&self) -> bool {
        self.door == Door::Home
    }

    /// Why such a session does nothing.
    pub(super) fn only_at_home(&self) -> &'static str {
        self.denied(&Denied::Person(Barred::Home))
    }
}

/// Lets only requests of the local network pass.
pub async fn guard(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let Some(listen) = desk.home.as_ref().map(|home| home.listen) else { return next.run(request).await };
    let (parts, body) = request.into_parts();
    let visitor = Visitor::read(&parts, &desk);
    match neighbours::judge(&parts, visitor.from, listen) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(why) => {
            emit(&Event::DeskHomeRefused { from: visitor.from.to_string().into(), why: said(why).into() });
            note::not_at_home(&visitor, why)
        }
    }
}

/// `GET /login`: there is no form.
pub async fn how(visitor: Visitor) -> Response {
    note::how_at_home(&visitor)
}

/// What takes a password elsewhere.
pub async fn not_here(visitor: Visitor) -> Response {
    crate::asking::Unanswered::Told(Problem::Denied { why: Denied::Person(Barred::Home) }).page(&visitor)
}

/// `GET /enter/CODE`: a look uses nothing up.
pub async fn invited(State(desk): State<Arc<Desk>>, visitor: Visitor, Path(link): Path<String>) -> Result<Response, Halt> {
    let Some(code) = super::login::code(&link) else { return Err(note::link_over(&visitor).into()) };
    let knock = Knock { code: code.clone() };
    let invited: Invited = desk.serve.act(&visitor, "invitation", &knock).await.map_err(|why| why.halt(&visitor))?;
    let f = Frame::bare(&visitor, Tab::None, fill(words::Words::of(visitor.language).join_title, &[&invited.name]));
    Ok(visitor.show(StatusCode::OK, &Welcome { f, code: code.into() }))
}

/// `POST /enter/CODE`
pub async fn enter(State(desk): State<Arc<Desk>>, Path(link): Path<String>, posted: Posted) -> Result<Response, Halt> {
    let visitor = &posted.visitor;
    let Some(code) = super::login::code(&link) else { return Err(note::link_over(visitor).into()) };
    let enter = Enter { code, browser: visitor.browser.as_str().into() };
    let opened: Opened = desk.serve.act(visitor, "enter", &enter).await.map_err(|why| why.halt(visitor))?;
    Ok(super::login::begin(visitor, &opened, "/"))
}

/// For the journal. No text of a stranger is in it.
const fn said(why: NotAtHome) -> &'static str {
    match why {
        NotAtHome::OwnComputer => "it comes from this computer itself, as all that a tunnel carries",
        NotAtHome::FarAway => "its sender is not in a local network",
        NotAtHome::PassedOn => "a web server or a tunnel has passed it on",
        NotAtHome::OtherHost => "the browser has this computer under a name or an address that is none of a local network",
        NotAtHome::OtherOrigin => "a page of another address sent it",
    }
}
