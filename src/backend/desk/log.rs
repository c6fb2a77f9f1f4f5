//! The log of the desk: who did what, when, from where. The database lets nobody change a line, nor delete one before its time. A line is written in the
//! transaction of what it tells.

use super::people::Person;
use super::{Desk, sessions};
use crate::sale::books::BooksError;
use crate::store::{self, Row, StoreError, Tx};
use qris_core::order::ids::OrderId;
use qris_core::order::time::{Span, Wall, Zone};
use qris_core::wire::desk::{Deed, Entry, LogLine, NotNoted, Noted, ROWS};
use std::time::Duration;
use tokio::time::sleep;

const OF_ORDER_MAX: i64 = 100;
/// Of what is denied, so many lines of a person are kept a minute.
const DENIED_MAX: i64 = 10;
/// So often it is looked for lines that are too old.
const FORGETS_EVERY: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, Copy)]
pub enum By<'a> {
    /// A person of the desk, from this address.
    Person(&'a Person, &'a str),
    /// Somebody at the backend's own terminal, by the name of that user.
    Terminal(&'a str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What<'a> {
    /// A deed about an order, which moved so much money.
    Done(Deed, &'a OrderId, Option<u64>),
    Denied(Deed, &'a OrderId),
    Entry(Entry),
}

pub fn write(tx: &mut dyn Tx, by: By<'_>, what: What<'_>, detail: Option<&str>, now: Wall) -> Result<(), BooksError> {
    let (person, who, address) = match by {
        By::Person(person, from) => (Some(person.number), &*person.name, Some(from)),
        By::Terminal(user) => (None, user, None),
    };
    let (noted, order, amount) = match what {
        What::Done(deed, order, amount) => (Noted::Done(deed), Some(order.as_str()), amount),
        What::Denied(deed, order) => {
            let denied = "SELECT count(*) FROM desk_log WHERE person = $1 AND at_ms > $2 AND what LIKE 'denied %'";
            if Row::number(&tx.rows(denied, &[person.into(), (now - Span::secs(60)).into()])?)? >= DENIED_MAX {
                return Ok(());
            }
            (Noted::Denied(deed), Some(order.as_str()), None)
        }
        What::Entry(entry) => (Noted::Entry(entry), None, None),
    };
    let row = vec![
        ("at_ms", now.into()),
        ("person", person.into()),
        ("who", who.into()),
        ("address", address.into()),
        ("what", noted.to_string().into()),
        ("order_id", order.into()),
        ("amount", amount.map(|amount| i64::try_from(amount).unwrap_or(i64::MAX)).into()),
        ("detail", detail.into()),
    ];
    Ok(store::insert(tx, "desk_log", row)?)
}

/// The newest lines of an order with their times, the oldest first.
pub fn of_order(tx: &mut dyn Tx, order: &OrderId, zone: Zone) -> Result<Vec<(Wall, LogLine)>, BooksError> {
    let sql = "SELECT seq, at_ms, who, address, what, order_id, detail FROM desk_log WHERE order_id = $1 ORDER BY seq DESC LIMIT $2";
    let mut lines = lines(&tx.rows(sql, &[order.as_str().into(), OF_ORDER_MAX.into()])?, zone)?;
    lines.reverse();
    Ok(lines)
}

/// Some lines behind this one, the newest first.
pub fn page(tx: &mut dyn Tx, behind: Option<i64>, zone: Zone) -> Result<Vec<LogLine>, BooksError> {
    let sql = "SELECT seq, at_ms, who, address, what, order_id, detail FROM desk_log WHERE seq < $1 ORDER BY seq DESC LIMIT $2";
    let lines = lines(&tx.rows(sql, &[behind.unwrap_or(i64::MAX).into(), (ROWS as i64).into()])?, zone)?;
    Ok(lines.into_iter().map(|(_, line)| line).collect())
}

impl Desk {
    /// Forgets names and addresses of people when their time is over, now and each hour.
    pub(super) async fn forget(&self) {
        let lasts = self.log_lasts;
        loop {
            // What the database refuses is in the journal, and tried again in an hour.
            let _ = self.books.write(move |tx, _, now| if now.is_trusted() { forget_before(tx, now.wall, lasts) } else { Ok(()) }).await;
            sleep(FORGETS_EVERY).await;
        }
    }
}

/// Deletes what is older than the log lasts: its lines, who was removed then, and sessions that are over, with their addresses.
pub(super) fn forget_before(tx: &mut dyn Tx, now: Wall, lasts: Span) -> Result<(), BooksError> {
    sessions::forget_over(tx, now)?;
    // The database keeps the 30 days before the newest line.
    let old = "DELETE FROM desk_log
        WHERE at_ms <= $1 AND at_ms <= (SELECT at_ms FROM desk_log ORDER BY seq DESC LIMIT 1) - 2592000000";
    tx.rows(old, &[(now - lasts).into()])?;
    tx.rows("DELETE FROM people WHERE removed_ms <= $1", &[(now - lasts).into()])?;
    Ok(())
}

fn lines(rows: &[Row], zone: Zone) -> Result<Vec<(Wall, LogLine)>, BooksError> {
    let damaged = |why: NotNoted| StoreError::Damaged { what: "the log of the desk".into(), why: why.to_string() };
    let line = |row: &Row| {
        let at = Wall(row.int("at_ms")?);
        let line = LogLine {
            number: u64::try_from(row.int("seq")?).unwrap_or(0),
            at: at.to_rfc3339_in(zone).into(),
            who: row.text("who")?.into(),
            from: row.maybe_text("address")?.map(Into::into),
            what: Noted::try_from(row.text("what")?.to_owned()).map_err(damaged)?,
            order: row.maybe_text("order_id")?.and_then(|order| OrderId::new(order).ok()),
            detail: row.maybe_text("detail")?.map(Into::into),
        };
        Ok::<_, StoreError>((at, line))
    };
    Ok(rows.iter().map(line).collect::<Result<_, _>>()?)
}
