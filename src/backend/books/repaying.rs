//! Money that goes back, goods that an attendant handed over, and what a person has seen. Commands call these beside
//! `serve`, which takes up what they write within a second.

use super::entry::{BooksError, Desk, Done};
use super::ledger;
use super::write::{Claim, write};
use crate::store::Tx;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{Event, RefundWish};
use qris_core::order::time::Wall;

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
