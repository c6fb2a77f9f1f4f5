//! The people of the desk: their names, what each may do, and the links by which they choose a password. Of a link only the SHA-256 is
//! kept.

use crate::machines::token;
use crate::sale::books::BooksError;
use crate::settings::SETTINGS;
use crate::store::{self, Row, StoreError, Tx, Value};
use qris_core::order::time::{Span, Wall};
use qris_core::text::steers;
use qris_core::wire::desk::{Door, NAME_MAX, Role};
use qris_host::config::settings::number;
use std::fmt;
use std::str::FromStr;

pub const PEOPLE_MAX: i64 = 100;
/// The most money that a person may move in a day, in rupiah: as much as the configuration may say.
pub const LIMIT_MAX: u64 = number(SETTINGS, "desk.limit_per_day").most.unsigned_abs();

/// The name of a person, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(Box<str>);

/// A text that can be nobody's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {NAME_MAX} characters on one line")]
pub struct NoName;

impl FromStr for Name {
    type Err = NoName;

    fn from_str(text: &str) -> Result<Self, NoName> {
        let text = text.trim();
        let is_name = !text.is_empty() && text.chars().count() <= NAME_MAX && !text.contains(steers);
        is_name.then(|| Self(text.into())).ok_or(NoName)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Name {
    /// The name as it is told apart from others.
    #[must_use]
    pub fn known_as(&self) -> String {
        self.0.to_lowercase()
    }
}

#[must_use]
pub const fn word(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Settler => "settler",
        Role::Owner => "owner",
    }
}

pub fn role(word: &str) -> Result<Role, &'static str> {
    match word {
        "viewer" => Ok(Role::Viewer),
        "settler" => Ok(Role::Settler),
        "owner" => Ok(Role::Owner),
        _ => Err("owner (sees, settles orders, and keeps the people), settler (sees, and settles orders) or viewer (sees)"),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub number: i64,
    pub name: Box<str>,
    pub role: Role,
    /// How much money this person may move in a day, in rupiah, if that is not the usual sum.
    pub limit_per_day: Option<u64>,
    pub since: Wall,
    /// This person has chosen a password.
    pub has_joined: bool,
}

const READ: &str =
    "people.person AS person, name, role, limit_per_day, since_ms, CASE WHEN password IS NULL THEN 0 ELSE 1 END AS has_joined";

impl Person {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        let name = row.text("name")?;
        let damaged = |why: &str| StoreError::Damaged { what: format!("the person {name}"), why: why.into() };
        Ok(Self {
            number: row.int("person")?,
            name: name.into(),
            role: role(row.text("role")?).map_err(damaged)?,
            limit_per_day: row.maybe_int("limit_per_day")?.map(|limit| u64::try_from(limit).unwrap_or(0)),
            since: Wall(row.int("since_ms")?),
            has_joined: row.int("has_joined")? != 0,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdded {
    Taken,
    /// There are [`PEOPLE_MAX`] already.
    Full,
}

/// Adds a person, who has no password yet.
pub fn add(tx: &mut dyn Tx, name: &Name, role: Role, limit: Option<u64>, now: Wall) -> Result<Result<Person, NotAdded>, BooksError> {
    if find(tx, name)?.is_some() {
        return Ok(Err(NotAdded::Taken));
    }
    if Row::number(&tx.rows("SELECT count(*) FROM people WHERE removed_ms IS NULL", &[])?)? >= PEOPLE_MAX {
        return Ok(Err(NotAdded::Full));
    }
    let row = vec![
        ("name", (&*name.0).into()),
        ("known_as", name.known_as().into()),
        ("role", word(role).into()),
        ("limit_per_day", limit_value(limit)),
        ("since_ms", now.into()),
    ];
    store::insert(tx, "people", row)?;
    Ok(Ok(find(tx, name)?.ok_or(BooksError::Unknown)?))
}

fn limit_value(limit: Option<u64>) -> Value {
    limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX)).into()
}

pub fn find(tx: &mut dyn Tx, name: &Name) -> Result<Option<Person>, BooksError> {
    let sql = format!("SELECT {READ} FROM people WHERE known_as = $1 AND removed_ms IS NULL");
    Ok(tx.rows(&sql, &[name.known_as().into()])?.first().map(Person::read).transpose()?)
}

/// The hash of a person's password, if there is one. It is for comparing, and nothing else.
pub fn password(tx: &mut dyn Tx, person: i64) -> Result<Option<String>, BooksError> {
    let rows = tx.rows("SELECT password FROM people WHERE person = $1 AND removed_ms IS NULL", &[person.into()])?;
    Ok(rows.first().map(|row| row.maybe_text("password")).transpose()?.flatten().map(Into::into))
}

/// Everybody, in the order of names.
pub fn list(tx: &mut dyn Tx) -> Result<Vec<Person>, BooksError> {
    let sql = format!("SELECT {READ} FROM people WHERE removed_ms IS NULL ORDER BY known_as");
    Ok(tx.rows(&sql, &[])?.iter().map(Person::read).collect::<Result<_, _>>()?)
}

/// This person may do this from now on. Sessions go on: each question asks for the role. Without a sum theirs stays.
pub fn change(tx: &mut dyn Tx, person: i64, role: Role, limit: Option<u64>) -> Result<(), BooksError> {
    let mut may: Vec<(&'static str, Value)> = vec![("role", word(role).into())];
    // A role alone says nothing of the sum: whoever had a small one must not get the usual one unseen.
    if limit.is_some() {
        may.push(("limit_per_day", limit_value(limit)));
    }
    store::update(tx, "people", may, vec![("person", person.into())])?;
    Ok(())
}

/// A person has another password from now on.
pub fn choose(tx: &mut dyn Tx, person: i64, password: &str) -> Result<(), BooksError> {
    store::update(tx, "people", vec![("password", password.into())], vec![("person", person.into())])?;
    Ok(())
}

/// Removes a person: nobody asks by that name any more.
pub fn remove(tx: &mut dyn Tx, person: i64, now: Wall) -> Result<(), BooksError> {
    forget(tx, person)?;
    tx.rows("DELETE FROM people_invited WHERE person = $1", &[person.into()])?;
    let gone = vec![("removed_ms", now.into()), ("password", Value::Null)];
    store::update(tx, "people", gone, vec![("person", person.into())])?;
    Ok(())
}

/// Ends all sessions of a person, and forgets the devices.
fn forget(tx: &mut dyn Tx, person: i64) -> Result<(), BooksError> {
    tx.rows("DELETE FROM sessions WHERE person = $1", &[person.into()])?;
    tx.rows("DELETE FROM desk_devices WHERE person = $1", &[person.into()])?;
    Ok(())
}

/// So long a link is good. One for the local network is used by whoever stands beside the computer. Others there could read it.
#[must_use]
pub const fn link_lasts(door: Door) -> Span {
    Span::secs(match door {
        Door::Public => 3600,
        Door::Home => 600,
    })
}

/// A link for a person by this door. An earlier one is void.
pub fn invite(tx: &mut dyn Tx, person: i64, door: Door, code: &str, now: Wall) -> Result<(), BooksError> {
    let row = vec![
        ("person", person.into()),
        ("door", door.as_str().into()),
        ("code_hash", token::hash(code).into()),
        ("until_ms", (now + link_lasts(door)).into()),
        ("used_ms", Value::Null),
    ];
    Ok(store::put(tx, "people_invited", "person, door", row)?)
}

/// Whom a link lets in by this door; `None`: it was used, is too old, is of another door, or never was.
pub fn invited(tx: &mut dyn Tx, door: Door, code: &str, now: Wall) -> Result<Option<Person>, BooksError> {
    let sql = format!(
        "SELECT {READ} FROM people_invited JOIN people ON people.person = people_invited.person
        WHERE code_hash = $1 AND door = $2 AND used_ms IS NULL AND until_ms > $3 AND removed_ms IS NULL"
    );
    let values = [token::hash(code).into(), door.as_str().into(), now.into()];
    Ok(tx.rows(&sql, &values)?.first().map(Person::read).transpose()?)
}

/// Uses a link. What was before goes on. `None`: as [`invited`].
pub fn enter(tx: &mut dyn Tx, door: Door, code: &str, now: Wall) -> Result<Option<Person>, BooksError> {
    let Some(person) = invited(tx, door, code, now)? else { return Ok(None) };
    let of = vec![("person", person.number.into()), ("door", door.as_str().into())];
    store::update(tx, "people_invited", vec![("used_ms", now.into())], of)?;
    Ok(Some(person))
}

/// Uses a link of the public door: the person has this password from now on, and every earlier session is over. `None`: as [`invited`].
pub fn join(tx: &mut dyn Tx, code: &str, password: &str, now: Wall) -> Result<Option<Person>, BooksError> {
    let Some(person) = enter(tx, Door::Public, code, now)? else { return Ok(None) };
    choose(tx, person.number, password)?;
    forget(tx, person.number)?;
    Ok(Some(person))
}
