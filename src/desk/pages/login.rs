//! How somebody comes in: by name and password, or for the first time by a link.

use super::{Frame, Query, Tab, note};
use crate::Desk;
use crate::asking::Unanswered;
use crate::form::Posted;
use crate::visitor::{Halt, Visitor, local};
use crate::words;
use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use qris_core::wire::desk::{Invited, Join, Knock, Login, NAME_MAX, Opened, PASSWORD_MAX, PASSWORD_MIN, Problem, Role};
use std::sync::Arc;

#[derive(Template)]
#[template(path = "login.html")]
struct Page {
    f: Frame,
    name: String,
    to: String,
    wrong: Option<String>,
}

/// `GET /login?to=/orders/4TS65`
pub async fn show(visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let to = local(Query::read(query.as_deref()).get("to")).to_owned();
    let f = Frame::bare(&visitor, Tab::None, words::Words::of(visitor.language).login_title);
    visitor.show(StatusCode::OK, &Page { f, name: String::new(), to, wrong: None })
}

/// `POST /login`
pub async fn act(State(desk): State<Arc<Desk>>, posted: Posted) -> Response {
    let visitor = &posted.visitor;
    let (name, password, to) = (posted.field("name").trim(), posted.field("password"), local(posted.field("to")));
    let words = words::Words::of(visitor.language);
    let again = |status, wrong: String| {
        let f = Frame::bare(visitor, Tab::None, words.login_title);
        visitor.show(status, &Page { f, name: name.chars().take(NAME_MAX).collect(), to: to.into(), wrong: Some(wrong) })
    };
    // Nobody has such a name or password. It is not worth a guess.
    let can_be = (1..=NAME_MAX).contains(&name.chars().count()) && (1..=PASSWORD_MAX).contains(&password.len());
    if !can_be {
        return again(StatusCode::FORBIDDEN, words.login_wrong.into());
    }
    let login =
        Login { name: name.into(), password: password.into(), device: visitor.device.clone(), browser: visitor.browser.as_str().into() };
    match desk.serve.act::<Opened>(visitor, "login", &login).await {
        Ok(opened) => begin(visitor, &opened, to),
        Err(Unanswered::Told(Problem::WrongPassword | Problem::Password | Problem::Malformed { .. })) => {
            again(StatusCode::FORBIDDEN, words.login_wrong.into())
        }
        Err(Unanswered::Told(Problem::Wait { wait_s })) => again(StatusCode::TOO_MANY_REQUESTS, note::wait(words, wait_s)),
        Err(why) => why.page(visitor),
    }
}

pub fn begin(visitor: &Visitor, opened: &Opened, to: &str) -> Response {
    let mut response = visitor.lead_to(to);
    visitor.begin(&mut response, &opened.session, opened.device.as_deref(), opened.seconds);
    response
}

#[derive(Template)]
#[template(path = "join.html")]
struct Welcome {
    f: Frame,
    code: String,
    invited: Invited,
    wrong: Option<&'static str>,
    password_min: usize,
}

/// The secret of a link; anything else was never one. A messenger may have taken the dot behind it for a part of it.
pub fn code(text: &str) -> Option<Box<str>> {
    const LENGTH_MAX: usize = 128;
    let is_code = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let text = text.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && !"_-".contains(c));
    ((1..=LENGTH_MAX).contains(&text.len()) && text.bytes().all(is_code)).then(|| text.into())
}

/// `GET /join/CODE`
pub async fn invited(State(desk): State<Arc<Desk>>, visitor: Visitor, Path(link): Path<String>) -> Result<Response, Halt> {
    welcome(&desk, &visitor, &link, StatusCode::OK, None).await
}

async fn welcome(desk: &Desk, visitor: &Visitor, link: &str, status: StatusCode, wrong: Option<&'static str>) -> Result<Response, Halt> {
    let Some(code) = code(link) else { return Err(note::link_over(visitor).into()) };
    let invited: Invited = desk.serve.act(visitor, "invitation", &Knock { code: code.clone() }).await.map_err(|why| why.halt(visitor))?;
    let words = words::Words::of(visitor.language);
    let f = Frame::bare(visitor, Tab::None, qris_host::speech::fill(words.join_title, &[&invited.name]));
    Ok(visitor.show(status, &Welcome { f, code: code.into(), invited, wrong, password_min: PASSWORD_MIN }))
}

/// `POST /join/CODE`
pub async fn join(State(desk): State<Arc<Desk>>, Path(link): Path<String>, posted: Posted) -> Result<Response, Halt> {
    let visitor = &posted.visitor;
    let words = words::Words::of(visitor.language);
    let (password, again) = (posted.field("password"), posted.field("again"));
    let Some(secret) = code(&link) else { return Err(note::link_over(visitor).into()) };
    if password != again {
        return welcome(&desk, visitor, &link, StatusCode::UNPROCESSABLE_ENTITY, Some(words.join_differ)).await;
    }
    let join = Join { code: secret, password: password.into(), browser: visitor.browser.as_str().into() };
    match desk.serve.act::<Opened>(visitor, "join", &join).await {
        Ok(opened) => Ok(begin(visitor, &opened, "/")),
        Err(Unanswered::Told(Problem::Password)) => {
            welcome(&desk, visitor, &link, StatusCode::UNPROCESSABLE_ENTITY, Some(words.join_bad)).await
        }
        Err(Unanswered::Told(Problem::CommonPassword)) => {
            welcome(&desk, visitor, &link, StatusCode::UNPROCESSABLE_ENTITY, Some(words.join_common)).await
        }
        Err(why) => Err(why.halt(visitor)),
    }
}
