//! Refunds, goods that an attendant handed over, and the marks of things that a person has seen. Commands call these
//! functions beside `serve`. `serve` takes their writes up within a second.

use super::entry::{BooksError, Done, Policy};
use super::ledger;
use super::write::{Claim, write};
use crate::store::Tx;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{Event, RefundWish};
use qris_core::order::time::Wall;

/// A person wants the money of an order to go back through the gateway: all of it, under the order's `refund_key`.
/// `serve` asks for it, and `order.repayment()` tells the result.
///
/// # Errors
/// [`BooksError::Unknown`]; [`BooksError::Refused`] says why this is not allowed.
pub fn request_refund(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, wish: RefundWish, now: Wall) -> Result<Done, BooksError> {
    let stored = ledger::load(tx, id)?.ok_or(BooksError::Unknown)?;
    write(tx, policy, stored, Event::RefundRequested(wish), now, Claim::Keep)
}

/// A person gave an order's money back in another way; `note` says how.
///
/// # Errors
/// As [`request_refund`]; also where the gateway may have made the refund, and nobody says so by name.
pub fn refund_by_hand(
    tx: &mut dyn Tx,
    policy: &Policy,
    id: &OrderId,
    note: &str,
    by: Option<Box<str>>,
    no_report: bool,
    now: Wall,
) -> Result<Done, BooksError> {
    let stored = ledger::load(tx, id)?.ok_or(BooksError::Unknown)?;
    write(tx, policy, stored, Event::SettledByHand { note: note.into(), by, no_report }, now, Claim::Keep)
}

/// An attendant handed the goods over. There will be no refund.
///
/// # Errors
/// As [`request_refund`].
pub fn given(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, by: &str, now: Wall) -> Result<Done, BooksError> {
    let stored = ledger::load(tx, id)?.ok_or(BooksError::Unknown)?;
    write(tx, policy, stored, Event::Given { by: by.into() }, now, Claim::Keep)
}

/// A person has seen a reason on an order's list, and no refund would end it. Such reasons are a chargeback, a refunded
/// part, a settlement that the counter took back, a word that may mean money, and a late outcome.
///
/// # Errors
/// [`BooksError::Unknown`]; [`BooksError::Refused`] if there is no such reason.
pub fn seen(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, by: &str, now: Wall) -> Result<Done, BooksError> {
    let stored = ledger::load(tx, id)?.ok_or(BooksError::Unknown)?;
    write(tx, policy, stored, Event::SeenBy(by.into()), now, Claim::Keep)
}
