//! Orders that a verified notification names and the books do not have. They are written down before the notification is
//! answered, since the gateway will not send it again. Then the gateway is asked, and the order is rebuilt.

use super::entry::BooksError;
use super::ledger;
use crate::store::{Row, Tx};
use qris_core::order::ids::OrderId;
use qris_core::order::time::{Span, Told};

/// The most orders that may wait for a question. Further ones are not taken, and the gateway sends them again.
const WAITING_MAX: i64 = 10_000;
/// The most orders that are asked about at once.
const AT_ONCE: i64 = 16;
/// If the gateway could not be asked about an order, the next try comes after this time, then after twice as long …
const PAUSE: Span = Span::secs(60);
/// … and after this at last.
const PAUSE_MAX: Span = Span::secs(3600);
/// How often the gateway is asked about an order that it does not know, over two hours.
const UNKNOWN_TRIES: i64 = 7;
/// How often it is asked while its answers do not tell whose the order is: for as long as Midtrans repeats a notification (6 hours), and a
/// day.
const UNCLEAR_TRIES: i64 = UNKNOWN_TRIES + 28;

/// Why the gateway must be asked about an order once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Later {
    /// It could not be asked. This counts for nothing.
    Unanswered,
    /// It does not know the order, and may know it later.
    Unknown,
    /// Its answer cannot be understood, or does not tell whose the order is.
    Unclear,
}

/// Writes down that the gateway must be asked about an order.
pub fn remember(tx: &mut dyn Tx, id: &OrderId, now: Told) -> Result<(), BooksError> {
    if Row::number(&tx.rows("SELECT count(*) FROM strangers", &[])?)? >= WAITING_MAX {
        return Err(BooksError::Full);
    }
    let sql = "INSERT INTO strangers (order_id, since_ms, due_ms, tries) VALUES ($1, $2, $2, 0) ON CONFLICT DO NOTHING";
    tx.rows(sql, &[id.as_str().into(), now.into()])?;
    Ok(())
}

/// The orders that the gateway must be asked about now.
pub fn strangers(tx: &mut dyn Tx, now: Told) -> Result<Vec<OrderId>, BooksError> {
    let sql = "SELECT order_id FROM strangers WHERE due_ms <= $1 ORDER BY due_ms LIMIT $2";
    tx.rows(sql, &[now.into(), AT_ONCE.into()])?.iter().map(|row| ledger::order_id(row.text("order_id")?)).collect()
}

/// The gateway must be asked about the order once more. False: it was asked often enough, and the order is forgotten.
pub fn ask_later(tx: &mut dyn Tx, id: &OrderId, why: Later, now: Told) -> Result<bool, BooksError> {
    let tries =
        tx.rows("SELECT tries FROM strangers WHERE order_id = $1", &[id.as_str().into()])?.first().map_or(Ok(0), |row| row.int("tries"))?;
    let (most, next) = match why {
        // The pause grows up to its longest.
        Later::Unanswered => (i64::MAX, tries.max((tries + 1).min(UNKNOWN_TRIES - 1))),
        Later::Unknown => (UNKNOWN_TRIES, tries + 1),
        Later::Unclear => (UNCLEAR_TRIES, tries + 1),
    };
    if tries >= most {
        forget(tx, id)?;
        return Ok(false);
    }
    let pause = Span(PAUSE.0 << tries.clamp(0, 10)).min(PAUSE_MAX);
    let sql = "UPDATE strangers SET due_ms = $1, tries = $2 WHERE order_id = $3";
    tx.rows(sql, &[(now + pause).0.into(), next.into(), id.as_str().into()])?;
    Ok(true)
}

/// The order is in the books, or is not ours.
pub fn forget(tx: &mut dyn Tx, id: &OrderId) -> Result<(), BooksError> {
    tx.rows("DELETE FROM strangers WHERE order_id = $1", &[id.as_str().into()])?;
    Ok(())
}
