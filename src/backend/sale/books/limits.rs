//! What a machine may cost in 24 hours (`auto_refund_per_day`): refunds without a person, and other tries.

use super::entry::{BooksError, Policy};
use crate::store::{Row, Tx};
use qris_core::order::ids::DeviceId;
use qris_core::order::time::{Span, Told};

const DAY: Span = Span::secs(24 * 3600);

/// Whether the backend may give back one more payment of this machine by itself.
pub(super) fn has_refunds_left(tx: &mut dyn Tx, policy: &Policy, device: &DeviceId, now: Told) -> Result<bool, BooksError> {
    let recent = "SELECT count(*) FROM automatic_refunds WHERE device = $1 AND asked_ms > $2";
    has_left(tx, recent, policy.auto_refund_per_day, device, now)
}

pub(super) fn has_tries_left(tx: &mut dyn Tx, policy: &Policy, device: &DeviceId, now: Told) -> Result<bool, BooksError> {
    let recent = "SELECT count(*) FROM tries WHERE device = $1 AND begun_ms > $2";
    has_left(tx, recent, policy.tries_per_day, device, now)
}

fn has_left(tx: &mut dyn Tx, recent: &str, most: u32, device: &DeviceId, now: Told) -> Result<bool, BooksError> {
    let count = Row::number(&tx.rows(recent, &[device.as_str().into(), (now - DAY).0.into()])?)?;
    Ok(count < most.into())
}
