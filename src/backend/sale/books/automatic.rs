//! The refunds that the backend begins by itself (`auto_refund`). Whether one is due is read off the order as it is, and never off what
//! changed. So whoever looks at the order next begins it, whatever has ended its offer, after a restart and at another backend too. An order
//! has one row here, for ever: its refund was begun, or left to a person.

use super::entry::{BooksError, Policy};
use super::{alerts, ledger, limits};
use crate::store::{Row, Tx, Value};
use qris_core::order::merchant::{Asker, Attention, Event, Order, RefundWish};
use qris_core::order::time::{Told, Wall};

/// What does not go back by itself although `auto_refund` is on, and waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftToAPerson {
    pub orders: u64,
    /// What their customers are owed, in whole rupiah.
    pub rupiah: u64,
    /// Since when `auto_refund` is on.
    pub since: Wall,
}

/// The program was started. An order that came to nothing before `auto_refund` was on is older, even if its offer of another try ends
/// later. A person may have seen to it in a way that the books do not know.
pub fn auto_refund_starts(tx: &mut dyn Tx, policy: &Policy, now: Told) -> Result<Option<LeftToAPerson>, BooksError> {
    if policy.auto_refund_per_day == 0 {
        tx.rows("DELETE FROM auto_refund", &[])?;
        return Ok(None);
    }
    let since = since(tx, now)?;
    let undecided = "SELECT order_id FROM orders
        WHERE refund_due = 1 AND NOT EXISTS (SELECT 1 FROM automatic_refunds AS a WHERE a.order_id = orders.order_id)";
    for row in tx.rows(undecided, &[])? {
        let Some(stored) = ledger::load_good(tx, &row)? else { continue };
        if stored.order.may_refund_on_a_wish(now) && is_older(&stored.order, since) {
            decide(tx, &stored.order, OLDER, now)?;
        }
    }
    let left = "SELECT count(*) AS orders, CAST(coalesce(sum(paid - coalesce(returned, 0)), 0) AS BIGINT) AS rupiah
        FROM automatic_refunds JOIN orders USING (order_id) WHERE asked_ms IS NULL AND refund_due = 1 AND look_by_ms IS NOT NULL";
    let rows = tx.rows(left, &[])?;
    let number = |column| rows.first().map_or(Ok(0), |row: &Row| row.int(column)).map(i64::unsigned_abs);
    Ok(Some(LeftToAPerson { orders: number("orders")?, rupiah: number("rupiah")?, since }))
}

const OLDER: &str = "it came to nothing before auto_refund was on";

/// The refund of an order that goes back by itself now. What may not, and will not later, is left to a person.
pub(super) fn due(tx: &mut dyn Tx, policy: &Policy, order: &Order, now: Told) -> Result<Option<Event>, BooksError> {
    if policy.auto_refund_per_day == 0 || !order.goes_back_by_itself() || is_decided(tx, order)? {
        return Ok(None);
    }
    let since = since(tx, now)?;
    if is_older(order, since) {
        // A person was told when nothing came. Nothing went back by itself then, and nobody thinks so.
        decide(tx, order, OLDER, now)?;
    } else if !order.may_refund_by_itself(now) {
        leave(tx, order, "the gateway's time for it is over", now)?;
    } else if !limits::has_refunds_left(tx, policy, &order.sale.device, now)? {
        leave(tx, order, &format!("this machine has reached its limit of {} refunds a day", policy.auto_refund_per_day), now)?;
    } else {
        return begin(tx, order, now);
    }
    Ok(None)
}

/// Begins it, also on the customer's wish. There is only one for each order, ever.
pub(super) fn begin(tx: &mut dyn Tx, order: &Order, now: Told) -> Result<Option<Event>, BooksError> {
    let sql = "INSERT INTO automatic_refunds (order_id, device, asked_ms) VALUES ($1, $2, $3)
        ON CONFLICT (order_id) DO UPDATE SET asked_ms = excluded.asked_ms WHERE automatic_refunds.asked_ms IS NULL RETURNING 1";
    let is_new = !tx.rows(sql, &[order.id.as_str().into(), order.sale.device.as_str().into(), now.into()])?.is_empty();
    Ok(is_new.then_some(Event::RefundRequested(RefundWish::of(Asker::Automatic))))
}

/// The orders that nobody has looked at since they may go back by themselves, but for those that are due anyway.
pub(super) fn undecided(tx: &mut dyn Tx, now: Told, most: i64) -> Result<Vec<Row>, BooksError> {
    let sql = "SELECT order_id FROM orders WHERE goes_back = 1 AND (due_ms IS NULL OR due_ms > $1) AND EXISTS (SELECT 1 FROM auto_refund)
            AND NOT EXISTS (SELECT 1 FROM automatic_refunds AS a WHERE a.order_id = orders.order_id) LIMIT $2";
    Ok(tx.rows(sql, &[now.into(), most.into()])?)
}

/// Whether its customer may begin it: it was not begun once, and is not older.
pub(super) fn may_begin(tx: &mut dyn Tx, order: &Order) -> Result<bool, BooksError> {
    let begun = "SELECT 1 FROM automatic_refunds WHERE order_id = $1 AND asked_ms IS NOT NULL";
    let was_begun = !tx.rows(begun, &[order.id.as_str().into()])?.is_empty();
    let since = tx.rows("SELECT since_ms FROM auto_refund", &[])?.first().map(|row| row.int("since_ms")).transpose()?;
    Ok(!was_begun && since.is_some_and(|since| !is_older(order, Wall(since))))
}

fn is_decided(tx: &mut dyn Tx, order: &Order) -> Result<bool, BooksError> {
    Ok(!tx.rows("SELECT 1 FROM automatic_refunds WHERE order_id = $1", &[order.id.as_str().into()])?.is_empty())
}

/// Since when `auto_refund` is on: from now on, if nobody has said so before.
fn since(tx: &mut dyn Tx, now: Told) -> Result<Wall, BooksError> {
    // A time in the future is one from before the clock was set back. One that is not trusted may be earlier than it is.
    let sql = "INSERT INTO auto_refund (one, since_ms) VALUES (1, $1)
        ON CONFLICT (one) DO UPDATE SET since_ms = excluded.since_ms WHERE auto_refund.since_ms > excluded.since_ms AND CAST($2 AS BIGINT) = 1";
    tx.rows(sql, &[now.into(), i64::from(now.is_trusted()).into()])?;
    Ok(Wall(Row::number(&tx.rows("SELECT since_ms FROM auto_refund", &[])?)?))
}

fn is_older(order: &Order, since: Wall) -> bool {
    order.came_to_nothing_at().is_none_or(|at| at < since)
}

fn decide(tx: &mut dyn Tx, order: &Order, why: &str, now: Told) -> Result<(), BooksError> {
    let sql = "INSERT INTO automatic_refunds (order_id, device, asked_ms) VALUES ($1, $2, $3)";
    tx.rows(sql, &[order.id.as_str().into(), order.sale.device.as_str().into(), Value::Null])?;
    ledger::note(tx, &order.id, &format!("not refunded by itself: {why}"), now.wall)
}

fn leave(tx: &mut dyn Tx, order: &Order, why: &str, now: Told) -> Result<(), BooksError> {
    decide(tx, order, why, now)?;
    // A person was told when nothing came, and may have thought that it goes back by itself.
    alerts::tell_again(tx, order, Attention::RefundDue, now)
}
