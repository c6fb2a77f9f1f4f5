//! An owner's people: who they are, and what she changes about them. She types her password each time, and all owners are told.

use super::answer::{No, Of, body, from, shown};
use super::log::{self, By, What};
use super::passwords::{self, Asks};
use super::people::{self, Name, NotAdded, Person};
use super::sessions::{self as store, Shown};
use super::{Desk, judge};
use crate::sale::books::{self, BooksError};
use crate::store::Tx;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use qris_core::order::money::total;
use qris_core::order::time::{Told, Wall};
use qris_core::wire::desk::{ChangePeople, Door, Entry, Envelope, Made, May, Member, NewPassword, NotChanged, Problem, Wish};
use std::sync::Arc;

pub fn addresses() -> Router<Arc<Desk>> {
    Router::new().route("/v1/people", get(list).post(change)).route("/v1/password", post(password))
}

/// `GET /v1/people`
pub async fn list(State(desk): Of, headers: HeaderMap) -> Result<Json<Envelope<Vec<Member>>>, No> {
    let usual = desk.usual;
    let told = desk.tell(&headers, move |tx, asker, _| {
        if let Err(why) = judge::owner(&asker.person) {
            return Ok(Err(why));
        }
        let line = |person: Person| Member {
            number: person.number.unsigned_abs(),
            limit_per_day: person.limit_per_day.unwrap_or(usual.limit_per_day),
            is_me: person.number == asker.person.number,
            name: person.name,
            role: person.role,
            has_joined: person.has_joined,
        };
        Ok(Ok(people::list(tx)?.into_iter().map(line).collect()))
    });
    let Envelope { me, told } = told.await?;
    Ok(Json(Envelope { me, told: told? }))
}

/// `POST /v1/people`
pub async fn change(State(desk): Of, headers: HeaderMap, request: Request) -> Result<Json<Envelope<Made>>, No> {
    let (shown, from) = (shown(&headers)?, from(&headers)?.to_string());
    judge::door(shown.door)?;
    let ChangePeople { password, wish } = body(request).await?;
    desk.prove(&headers, &password).await?;
    let asked = Asked { shown, boot: desk.boot(), from, code: desk.draw(), usual: desk.usual, latest: desk.books.latest() };
    let (done, link) = desk.books.write(move |tx, _, now| carry_out(tx, &asked, &wish, now)).await??;
    let url = desk.place.desk_url.as_deref().unwrap_or_default();
    let made = Made { name: done, link: link.map(|code| format!("{url}/join/{code}").into()) };
    Ok(Json(desk.tell(&headers, move |_, _, _| Ok(made)).await?))
}

struct Asked {
    shown: Shown,
    boot: Option<Box<str>>,
    from: String,
    /// The secret of the link, if there is to be one.
    code: Box<str>,
    usual: judge::Usual,
    /// A link is good from then on.
    latest: Wall,
}

/// The name of the person, and the secret of a link.
type Invited = (Box<str>, Option<Box<str>>);

/// Does it, if the session, the role and the wish allow it.
fn carry_out(tx: &mut dyn Tx, asked: &Asked, wish: &Wish, now: Told) -> Result<Result<Invited, Problem>, BooksError> {
    let Some(asker) = store::asker(tx, &asked.shown, asked.boot.as_deref(), now)? else { return Ok(Err(Problem::NotIn)) };
    let judged = judge::owner(&asker.person).and_then(|()| judge::door(asker.door)).map_err(Problem::from);
    let done = match judged {
        Ok(()) => done(tx, &asker.person, asked.usual, wish, now)?,
        Err(why) => Err(why),
    };
    let (person, entry, detail) = match done {
        Ok(done) => done,
        Err(why) => return Ok(Err(why)),
    };
    let has_link = matches!(entry, Entry::Add | Entry::Link);
    if has_link {
        people::invite(tx, person.number, Door::Public, &asked.code, asked.latest)?;
    }
    note(tx, &asker.person, &asked.from, (entry, Some(&detail)), now)?;
    Ok(Ok((person.name, has_link.then(|| asked.code.clone()))))
}

type Done = Result<(Person, Entry, String), Problem>;

/// Nobody gives away more than the own sum. So nobody comes by a larger one by a link for somebody else either.
fn done(tx: &mut dyn Tx, owner: &Person, usual: judge::Usual, wish: &Wish, now: Told) -> Result<Done, BooksError> {
    let no = |why: NotChanged| Ok(Err(Problem::NotChanged { why }));
    let sum = |person: &Person| person.limit_per_day.unwrap_or(usual.limit_per_day);
    let (person, may) = match wish {
        Wish::Add { may, .. } | Wish::Role { may, .. } if may.limit_per_day > sum(owner) => return no(NotChanged::Sum),
        Wish::Add { name, may } => {
            let Ok(name) = name.parse::<Name>() else { return no(NotChanged::NoName) };
            return match people::add(tx, &name, may.role, Some(may.limit_per_day), now.wall)? {
                Err(NotAdded::Taken) => no(NotChanged::Taken),
                Err(NotAdded::Full) => no(NotChanged::Full),
                Ok(person) => {
                    let detail = allowed(&person.name, may);
                    Ok(Ok((person, Entry::Add, detail)))
                }
            };
        }
        Wish::Role { person, may } => (person, Some(may)),
        Wish::Link { person } | Wish::Remove { person } => (person, None),
    };
    let found = people::list(tx)?.into_iter().find(|known| known.number.unsigned_abs() == *person);
    let Some(found) = found else { return Ok(Err(Problem::Unknown)) };
    if found.number == owner.number {
        return no(NotChanged::Own);
    }
    let name = found.name.to_string();
    Ok(Ok(match (wish, may) {
        (Wish::Remove { .. }, _) => {
            people::remove(tx, found.number, now.wall)?;
            (found, Entry::Remove, name)
        }
        (_, Some(may)) => {
            people::change(tx, found.number, may.role, Some(may.limit_per_day))?;
            (found, Entry::Role, allowed(&name, may))
        }
        (_, None) if judge::may_settle(&found) && sum(&found) > sum(owner) => return no(NotChanged::Sum),
        (_, None) => (found, Entry::Link, name),
    }))
}

/// A line of the log, and the alert of it for all owners.
fn note(tx: &mut dyn Tx, by: &Person, from: &str, (entry, detail): (Entry, Option<&str>), now: Told) -> Result<(), BooksError> {
    log::write(tx, By::Person(by, from), What::Entry(entry), detail, now.wall)?;
    let did = match entry {
        Entry::Add => "invited",
        Entry::Role => "changed what may be done by",
        Entry::Link => "made a new link for",
        Entry::Remove => "removed",
        Entry::Password => "changed the own password",
        Entry::Login | Entry::HomeLink | Entry::Home | Entry::Join | Entry::Logout | Entry::EndSession | Entry::EndSessions => {
            return Ok(());
        }
    };
    let said = format!("{} {did}{}", by.name, detail.map(|detail| format!(" {detail}")).unwrap_or_default());
    books::people_changed(tx, &said, now)
}

fn allowed(name: &str, may: &May) -> String {
    format!("{name}: {}, {}", people::word(may.role), total(may.limit_per_day))
}

/// `POST /v1/password`
pub async fn password(State(desk): Of, headers: HeaderMap, request: Request) -> Result<Json<()>, No> {
    let (shown, from) = (shown(&headers)?, from(&headers)?.to_string());
    judge::door(shown.door)?;
    let NewPassword { password, new, device } = body(request).await?;
    let name = desk.tell(&headers, |_, asker, _| Ok(asker.person.name.clone())).await?.told;
    passwords::fits(&new, &name)?;
    desk.prove(&headers, &password).await?;
    let hash = desk.place(Asks::Known)?.hash(&new).await.map_err(|_| Problem::Away)?;
    let boot = desk.boot();
    let write = move |tx: &mut dyn Tx, now: Told| {
        let Some(asker) = store::asker(tx, &shown, boot.as_deref(), now)? else { return Ok(Err(Problem::NotIn)) };
        people::choose(tx, asker.person.number, &hash)?;
        store::end_others(tx, asker.person.number, asker.session, device.as_deref())?;
        note(tx, &asker.person, &from, (Entry::Password, None), now)?;
        Ok(Ok(()))
    };
    Ok(Json(desk.books.write(move |tx, _, now| write(tx, now)).await??))
}
