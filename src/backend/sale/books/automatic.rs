//! The refunds that the backend begins by itself (`auto_refund`).

use super::entry::{BooksError, Policy};
use super::{ledger, limits};
use crate::store::Tx;
use qris_core::order::merchant::{Asker, Event, Order, RefundWish};
use qris_core::order::time::Wall;

/// The refund that the backend begins by itself, within the machine's daily limit, when an order needs one under
/// `auto_refund`. A refund over the limit is for a person.
pub(super) fn begin(tx: &mut dyn Tx, policy: &Policy, before: &Order, after: &Order, now: Wall) -> Result<Option<Event>, BooksError> {
    if policy.auto_refund_per_day == 0 || !after.may_refund_by_itself(now) || before.may_refund_by_itself(now) {
        return Ok(None);
    }
    if !limits::has_refunds_left(tx, policy, &after.sale.device, now)? {
        let limit = policy.auto_refund_per_day;
        ledger::note(tx, &after.id, &format!("not refunded by itself: this machine has reached its limit of {limit} refunds a day"), now)?;
        return Ok(None);
    }
    // There is only one for each order, ever. Only a person may ask for a second.
    let sql = "INSERT INTO automatic_refunds (order_id, device, asked_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING 1";
    let new = !tx.rows(sql, &[after.id.as_str().into(), after.sale.device.as_str().into(), now.0.into()])?.is_empty();
    Ok(new.then_some(Event::RefundRequested(RefundWish { by: Asker::Automatic, no_report: false, no_proof: false })))
}
