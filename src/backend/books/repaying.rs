//! Money that goes back, goods that an attendant handed over, and what a person has seen. Commands call these beside
//! `serve`, which takes up what they write within a second.

use super::{BooksError, Claim, Desk, Done, MINUTE, first_int, ledger, write};
use crate::store::Tx;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{Asker, Event, Order, RefundWish};
use qris_core::order::time::{Span, Wall};

/// `auto_refund_per_day` counts so far back.
const DAY: Span = Span::secs(24 * 3600);

/// A person wants an order's money to go back through the gateway: whole, with the order_id as `refund_key`. `serve` asks;
/// `order.repayment` tells what came of it.
///
/// # Errors
/// [`BooksError::Unknown`]; [`BooksError::Refused`] says why it may not.
pub fn request_refund(tx: &mut dyn Tx, desk: &Desk, id: &OrderId, wish: RefundWish, now: Wall) -> Result<Done, BooksError> {
    let stored = ledger::load(tx, id)?.ok_or(BooksError::Unknown)?;
    write(tx, desk, stored, Event::RefundAsked(wish), now, Claim::Keep)
}

/// A person gave an order's money back otherwise, as `note` says.
///
/// # Errors
/// As [`request_refund`]; also while the gateway may have made the refund.
pub fn refund_by_hand(
    tx: &mut dyn Tx,
    desk: &Desk,
    id: &OrderId,
    note: &str,
    by: Option<Box<str>>,
    no_report: bool,
    now: Wall,
) -> Result<Done, BooksError> {
    let stored = ledger::load(tx, id)?.ok_or(BooksError::Unknown)?;
    write(tx, desk, stored, Event::SettledByHand { note: note.into(), by, no_report }, now, Claim::Keep)
}

/// An attendant handed the goods over: there will be no refund.
///
/// # Errors
/// As [`refund_by_hand`].
pub fn given(tx: &mut dyn Tx, desk: &Desk, id: &OrderId, by: &str, now: Wall) -> Result<Done, BooksError> {
    let stored = ledger::load(tx, id)?.ok_or(BooksError::Unknown)?;
    write(tx, desk, stored, Event::Given { by: by.into() }, now, Claim::Keep)
}

/// A person has seen what is listed of an order and what no refund would end: a chargeback, a part that was refunded, a
/// settlement that the counter took back, a word that may be money, a late outcome.
///
/// # Errors
/// [`BooksError::Unknown`]; [`BooksError::Refused`] where there is nothing of the kind.
pub fn seen(tx: &mut dyn Tx, desk: &Desk, id: &OrderId, by: &str, now: Wall) -> Result<Done, BooksError> {
    let stored = ledger::load(tx, id)?.ok_or(BooksError::Unknown)?;
    write(tx, desk, stored, Event::SeenBy(by.into()), now, Claim::Keep)
}

/// The refund that the backend begins by itself when an order has become what `auto_refund` is for, within the machine's
/// daily limit. What is over the limit is for a person.
pub(super) fn automatic(tx: &mut dyn Tx, desk: &Desk, before: &Order, after: &Order, now: Wall) -> Result<Option<Event>, BooksError> {
    if desk.auto_refund_per_day == 0 || !after.may_refund_by_itself() || before.may_refund_by_itself() {
        return Ok(None);
    }
    let recent = "SELECT count(*) FROM automatic_refunds WHERE device = $1 AND asked_ms > $2";
    let device = after.sale.device.as_str();
    let count = first_int(&tx.rows(recent, &[device.into(), (now - DAY).0.into()])?)?;
    if count >= desk.auto_refund_per_day.into() {
        let limit = desk.auto_refund_per_day;
        ledger::note(tx, &after.id, &format!("not refunded by itself: the limit of {limit} a day of this machine is reached"), now)?;
        return Ok(None);
    }
    // One an order, ever: a second is a person's to ask for.
    let sql = "INSERT OR IGNORE INTO automatic_refunds (order_id, device, asked_ms) VALUES ($1, $2, $3) RETURNING 1";
    let new = !tx.rows(sql, &[after.id.as_str().into(), device.into(), now.0.into()])?.is_empty();
    Ok(new.then_some(Event::RefundAsked(RefundWish { by: Asker::Automatic, no_report: false, no_proof: false })))
}

/// An alert that could not be told is tried again after this, doubled with each try …
const ALERT_PAUSE: Span = MINUTE;
/// … up to this.
const ALERT_PAUSE_MAX: Span = Span::secs(3600);

/// When an alert that was tried so often is tried again.
pub(super) fn alert_again(tries: u32, now: Wall) -> Wall {
    now + Span(ALERT_PAUSE.0.saturating_mul(1 << tries.saturating_sub(1).min(20)).min(ALERT_PAUSE_MAX.0))
}
