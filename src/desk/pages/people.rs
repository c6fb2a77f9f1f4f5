//! Her people: an owner invites, changes and removes them. And everybody's own password.

use super::{Frame, Tab, note};
use crate::Desk;
use crate::asking::Unanswered;
use crate::form::Posted;
use crate::visitor::{Halt, Visitor};
use crate::words::{self, Words};
use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use qris_core::wire::desk::{
    ChangePeople, Envelope, Made, May, Member, NAME_MAX, NewPassword, NotChanged, PASSWORD_MIN, Problem, Role, Wish,
};
use qris_host::speech::fill;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "people.html")]
struct List {
    f: Frame,
    people: Vec<Member>,
    /// What was typed, and what is wrong about it.
    name: String,
    wrong: Option<String>,
    /// What a new person may do, if nothing else is picked.
    role: Role,
    limit: u64,
}

#[derive(Template)]
#[template(path = "person.html")]
struct One {
    f: Frame,
    person: Member,
    wrong: Option<String>,
    role: Role,
    limit: u64,
}

/// The link, which is shown once.
#[derive(Template)]
#[template(path = "invited.html")]
struct Invited {
    f: Frame,
    link: Box<str>,
}

async fn read(desk: &Desk, visitor: &Visitor) -> Result<(Frame, Vec<Member>), Halt> {
    let told = desk.serve.read::<Vec<Member>>(visitor, "people", &[]).await.map_err(|why| why.halt(visitor))?;
    Ok((Frame::of(visitor, Tab::Account, words::Words::of(visitor.language).people, told.me), told.told))
}

async fn list_with(desk: &Desk, visitor: &Visitor, status: StatusCode, name: &str, wrong: Option<String>) -> Result<Response, Halt> {
    let (f, people) = read(desk, visitor).await?;
    let limit = people.iter().find(|member| member.is_me).map_or(0, |me| me.limit_per_day);
    Ok(visitor.show(status, &List { f, people, name: name.chars().take(NAME_MAX).collect(), wrong, role: Role::Settler, limit }))
}

/// `GET /people`
pub async fn list(State(desk): State<Arc<Desk>>, visitor: Visitor) -> Result<Response, Halt> {
    list_with(&desk, &visitor, StatusCode::OK, "", None).await
}

/// `POST /people`: invites somebody.
pub async fn add(State(desk): State<Arc<Desk>>, posted: Posted) -> Result<Response, Halt> {
    let visitor = &posted.visitor;
    let name = posted.field("name").trim();
    let Some(may) = may(&posted) else { return Err(note::malformed(visitor)) };
    match ask(&desk, &posted, Wish::Add { name: name.into(), may }).await {
        Ok(told) => Ok(shown(visitor, told)),
        Err(why) => match wrong(words::Words::of(visitor.language), &why) {
            Some((status, wrong)) => list_with(&desk, visitor, status, name, Some(wrong)).await,
            None => Err(why.halt(visitor)),
        },
    }
}

async fn one_with(desk: &Desk, visitor: &Visitor, number: u64, status: StatusCode, wrong: Option<String>) -> Result<Response, Halt> {
    let (f, people) = read(desk, visitor).await?;
    let Some(person) = people.into_iter().find(|person| person.number == number) else { return Err(note::not_found(visitor).into()) };
    let (role, limit) = (person.role, person.limit_per_day);
    Ok(visitor.show(status, &One { f: Frame { title: person.name.to_string(), ..f }, person, wrong, role, limit }))
}

/// `GET /people/NUMBER`
pub async fn show(State(desk): State<Arc<Desk>>, visitor: Visitor, Path(number): Path<String>) -> Result<Response, Halt> {
    let Ok(number) = number.parse() else { return Err(note::not_found(&visitor).into()) };
    one_with(&desk, &visitor, number, StatusCode::OK, None).await
}

/// `POST /people/NUMBER`: what the pressed button says.
pub async fn act(State(desk): State<Arc<Desk>>, Path(number): Path<String>, posted: Posted) -> Result<Response, Halt> {
    let visitor = &posted.visitor;
    let Ok(person) = number.parse() else { return Err(note::not_found(visitor).into()) };
    let wish = match (posted.field("wish"), may(&posted)) {
        ("role", Some(may)) => Wish::Role { person, may },
        ("link", _) => Wish::Link { person },
        ("remove", _) => Wish::Remove { person },
        _ => return Err(note::malformed(visitor)),
    };
    match ask(&desk, &posted, wish).await {
        Ok(told) => Ok(shown(visitor, told)),
        Err(why) => match wrong(words::Words::of(visitor.language), &why) {
            Some((status, wrong)) => one_with(&desk, visitor, person, status, Some(wrong)).await,
            None => Err(why.halt(visitor)),
        },
    }
}

/// What the form lets the person do; `None`: it is none of ours. A sum is typed as people type it, with dots or without.
fn may(posted: &Posted) -> Option<May> {
    let role: Role = serde_json::from_value(posted.field("role").into()).ok()?;
    let digits: String = posted.field("limit").chars().filter(char::is_ascii_digit).collect();
    let limit_per_day = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    Some(May { role, limit_per_day })
}

async fn ask(desk: &Desk, posted: &Posted, wish: Wish) -> Result<Envelope<Made>, Unanswered> {
    let change = ChangePeople { password: posted.field("password").into(), wish };
    desk.serve.act(&posted.visitor, "people", &change).await
}

fn shown(visitor: &Visitor, told: Envelope<Made>) -> Response {
    let words = words::Words::of(visitor.language);
    match told.told.link {
        None => visitor.lead_to("/people"),
        Some(link) => {
            let f = Frame::of(visitor, Tab::Account, fill(words.link_of, &[&told.told.name]), told.me);
            visitor.show(StatusCode::OK, &Invited { f, link })
        }
    }
}

/// What is wrong about a form, in words; `None`: it is about something else.
fn wrong(words: &'static Words, why: &Unanswered) -> Option<(StatusCode, String)> {
    let Unanswered::Told(Problem::NotChanged { why }) = why else { return note::of_password(words, why) };
    let said = match why {
        NotChanged::Taken => words.people_taken,
        NotChanged::NoName => words.people_no_name,
        NotChanged::Full => words.people_full,
        NotChanged::Own => words.people_own,
        NotChanged::Sum => words.people_sum,
    };
    Some((StatusCode::UNPROCESSABLE_ENTITY, said.into()))
}

#[derive(Template)]
#[template(path = "new_password.html")]
struct Own {
    f: Frame,
    wrong: Option<String>,
    password_min: usize,
}

async fn own_with(desk: &Desk, visitor: &Visitor, status: StatusCode, wrong: Option<String>) -> Result<Response, Halt> {
    // The list of sessions is the smallest thing that says who asks.
    let told = desk.serve.read::<serde_json::Value>(visitor, "sessions", &[]).await.map_err(|why| why.halt(visitor))?;
    let f = Frame::of(visitor, Tab::Account, words::Words::of(visitor.language).new_password, told.me);
    Ok(visitor.show(status, &Own { f, wrong, password_min: PASSWORD_MIN }))
}

/// `GET /password`
pub async fn password(State(desk): State<Arc<Desk>>, visitor: Visitor) -> Result<Response, Halt> {
    own_with(&desk, &visitor, StatusCode::OK, None).await
}

/// `POST /password`
pub async fn change_password(State(desk): State<Arc<Desk>>, posted: Posted) -> Result<Response, Halt> {
    let visitor = &posted.visitor;
    let words = words::Words::of(visitor.language);
    let (new, again) = (posted.field("new"), posted.field("again"));
    if new != again {
        return own_with(&desk, visitor, StatusCode::UNPROCESSABLE_ENTITY, Some(words.join_differ.into())).await;
    }
    let wanted = NewPassword { password: posted.field("password").into(), new: new.into(), device: visitor.device.clone() };
    let why = match desk.serve.tell(visitor, "password", &wanted).await {
        Ok(()) => return Ok(visitor.lead_to("/sessions")),
        Err(why) => why,
    };
    let wrong = match &why {
        Unanswered::Told(Problem::Password) => Some((StatusCode::UNPROCESSABLE_ENTITY, words.join_bad.into())),
        Unanswered::Told(Problem::CommonPassword) => Some((StatusCode::UNPROCESSABLE_ENTITY, words.join_common.into())),
        other => note::of_password(words, other),
    };
    match wrong {
        Some((status, wrong)) => own_with(&desk, visitor, status, Some(wrong)).await,
        None => Err(why.halt(visitor)),
    }
}
