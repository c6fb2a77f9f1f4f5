//! Sessions, and the devices on which people were let in. Of the secret of each only the SHA-256 is kept. So whoever reads the books opens
//! no session.

use super::people::Person;
use crate::machines::token;
use crate::sale::books::BooksError;
use crate::store::{self, Row, StoreError, Tx};
use qris_core::order::time::{Span, Told, Wall};
use qris_core::wire::desk::Door;
use std::fmt;

/// A session lasts so long at most.
pub const LASTS: Span = Span::secs(30 * 24 * 3600);
/// Who has typed the password settles orders for so long. After that it is asked for once more.
pub const PROVEN: Span = Span::secs(12 * 3600);
/// Its use is written down no more often than this.
const NOTED_EVERY: Span = Span::secs(60);
/// The most sessions of a person. One more ends the oldest.
const SESSIONS_MAX: i64 = 20;
/// The most devices of a person. One more takes the place of the oldest.
const DEVICES_MAX: i64 = 20;
/// The longest name of a browser that is kept, in characters.
const BROWSER_MAX: usize = 80;

/// What a question shows: the secret of a session, and the door by which it came. A secret alone opens nothing.
#[derive(Clone)]
pub struct Shown {
    pub secret: Box<str>,
    pub door: Door,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("door", &self.door).finish_non_exhaustive()
    }
}

/// Who asks, as the books have it in the transaction of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    pub person: Person,
    pub session: i64,
    /// Where this session began, and where it is good.
    pub door: Door,
    used_at: Wall,
    /// When this person typed the password here last.
    proven_at: Wall,
}

impl Asker {
    /// Whether it is to be written down that the session is used.
    #[must_use]
    pub fn is_to_note(&self, now: Wall) -> bool {
        now >= self.used_at + NOTED_EVERY
    }

    /// Whether the password was typed lately. Whoever finds a phone sees, and settles nothing.
    #[must_use]
    pub fn is_proven(&self, now: Wall) -> bool {
        now < self.proven_at + PROVEN
    }
}

/// The person and the session of this secret; `None`: it is over, or never was, or began at another door.
/// By a time that is not trusted, one of an earlier boot of this computer is none.
pub fn asker(tx: &mut dyn Tx, shown: &Shown, boot: Option<&str>, now: Told) -> Result<Option<Asker>, BooksError> {
    let sql = "SELECT session, used_ms, proven_ms, people.person AS person, name, role, limit_per_day, since_ms, 1 AS has_joined, boot
        FROM sessions JOIN people ON people.person = sessions.person
        WHERE secret_hash = $1 AND removed_ms IS NULL AND began_ms > $2 AND door = $3";
    let values = [token::hash(&shown.secret).into(), (now - LASTS).into(), shown.door.as_str().into()];
    let read = |row: &Row| {
        let [used_at, proven_at] = [Wall(row.int("used_ms")?), Wall(row.int("proven_ms")?)];
        Ok::<_, StoreError>(Asker { person: Person::read(row)?, session: row.int("session")?, door: shown.door, used_at, proven_at })
    };
    let rows = tx.rows(sql, &values)?;
    let Some(row) = rows.first() else { return Ok(None) };
    let is_of_this_boot = boot.is_some() && row.maybe_text("boot")? == boot;
    Ok(if now.is_trusted() || is_of_this_boot { Some(read(row)?) } else { None })
}

pub fn used(tx: &mut dyn Tx, session: i64, boot: Option<&str>, now: Told) -> Result<(), BooksError> {
    store::update(tx, "sessions", vec![("used_ms", now.into()), ("boot", boot.into())], vec![("session", session.into())])?;
    Ok(())
}

/// The password was typed once more in this session.
pub fn proven(tx: &mut dyn Tx, session: i64, now: Told) -> Result<(), BooksError> {
    store::update(tx, "sessions", vec![("proven_ms", now.into())], vec![("session", session.into())])?;
    Ok(())
}

pub fn forget_over(tx: &mut dyn Tx, now: Wall) -> Result<(), BooksError> {
    tx.rows("DELETE FROM sessions WHERE began_ms <= $1", &[(now - LASTS).into()])?;
    Ok(())
}

/// Begins a session of a person, and ends what is over.
pub fn begin(
    tx: &mut dyn Tx,
    person: i64,
    shown: &Shown,
    (from, browser): (&str, &str),
    boot: Option<&str>,
    now: Told,
) -> Result<(), BooksError> {
    if now.is_trusted() {
        forget_over(tx, now.wall)?;
    }
    let proven_at = match shown.door {
        Door::Public => now.wall,
        // No password is typed there.
        Door::Home => Wall(0),
    };
    let row = vec![
        ("person", person.into()),
        ("secret_hash", token::hash(&shown.secret).into()),
        ("began_ms", now.into()),
        ("used_ms", now.into()),
        ("proven_ms", proven_at.into()),
        ("door", shown.door.as_str().into()),
        ("boot", boot.into()),
        ("address", from.into()),
        ("browser", qris_core::text::plain(&browser.chars().take(BROWSER_MAX).collect::<String>(), ' ').into()),
    ];
    store::insert(tx, "sessions", row)?;
    let oldest = "DELETE FROM sessions WHERE person = $1 AND session NOT IN (
        SELECT session FROM sessions WHERE person = $1 ORDER BY session DESC LIMIT $2)";
    tx.rows(oldest, &[person.into(), SESSIONS_MAX.into()])?;
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub number: i64,
    pub began_at: Wall,
    /// When it was used last, to the minute.
    pub used_at: Wall,
    pub from: Box<str>,
    pub browser: Box<str>,
    pub is_at_home: bool,
}

/// The sessions of a person, the newest first.
pub fn list(tx: &mut dyn Tx, person: i64, now: Wall) -> Result<Vec<Session>, BooksError> {
    let sql = "SELECT session, began_ms, used_ms, address, browser, door FROM sessions
        WHERE person = $1 AND began_ms > $2 ORDER BY session DESC";
    let read = |row: &Row| {
        Ok::<_, StoreError>(Session {
            number: row.int("session")?,
            began_at: Wall(row.int("began_ms")?),
            used_at: Wall(row.int("used_ms")?),
            from: row.text("address")?.into(),
            browser: row.text("browser")?.into(),
            is_at_home: row.text("door")? == Door::Home.as_str(),
        })
    };
    let rows = tx.rows(sql, &[person.into(), (now - LASTS).into()])?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Ends a session of a person, or all of them. Another person's does not end. False: there is no such session.
pub fn end(tx: &mut dyn Tx, person: i64, session: Option<i64>) -> Result<bool, BooksError> {
    let sql = "DELETE FROM sessions WHERE person = $1 AND (CAST($2 AS BIGINT) IS NULL OR session = $2) RETURNING session";
    Ok(!tx.rows(sql, &[person.into(), session.into()])?.is_empty())
}

/// Ends all sessions of a person but this one, and forgets all devices but this one.
pub fn end_others(tx: &mut dyn Tx, person: i64, session: i64, device: Option<&str>) -> Result<(), BooksError> {
    tx.rows("DELETE FROM sessions WHERE person = $1 AND session <> $2", &[person.into(), session.into()])?;
    let kept = device.map(token::hash).unwrap_or_default();
    tx.rows("DELETE FROM desk_devices WHERE person = $1 AND device_hash <> $2", &[person.into(), kept.into()])?;
    Ok(())
}

/// Whether this person was let in on this device before.
pub fn is_known(tx: &mut dyn Tx, person: i64, device: &str) -> Result<bool, BooksError> {
    let sql = "SELECT 1 FROM desk_devices WHERE device_hash = $1 AND person = $2";
    Ok(!tx.rows(sql, &[token::hash(device).into(), person.into()])?.is_empty())
}

/// A person is let in on this device.
pub fn know(tx: &mut dyn Tx, person: i64, device: &str, now: Wall) -> Result<(), BooksError> {
    let row = vec![("device_hash", token::hash(device).into()), ("person", person.into()), ("since_ms", now.into())];
    store::put(tx, "desk_devices", "device_hash", row)?;
    let oldest = "DELETE FROM desk_devices WHERE person = $1 AND device_hash NOT IN (
        SELECT device_hash FROM desk_devices WHERE person = $1 ORDER BY since_ms DESC, device_hash LIMIT $2)";
    tx.rows(oldest, &[person.into(), DEVICES_MAX.into()])?;
    Ok(())
}
