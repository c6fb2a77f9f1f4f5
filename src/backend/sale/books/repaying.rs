//! Refunds, goods that an attendant handed over, and the marks of things that a person has seen. Commands call these
//! functions beside `serve`. `serve` takes their writes up within a second.

use super::entry::{BooksError, Done, Policy};
use super::ledger;
use super::write::{Claim, write};
use crate::store::Tx;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{self, Context, Event, Order, RefundWish, Refused};
use qris_core::order::time::Wall;

/// What a person decides about an order's money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The money goes back through the gateway.
    Refund(RefundWish),
    /// It was given back in another way; `note` says how.
    ByHand {
        note: Box<str>,
        by: Option<Box<str>>,
        /// Although the machine told no outcome.
        no_report: bool,
    },
    /// The goods were handed over.
    Given { by: Box<str> },
    /// A reason on its list was seen.
    Seen { by: Box<str> },
}

impl From<Decision> for Event {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Refund(wish) => Self::RefundRequested(wish),
            Decision::ByHand { note, by, no_report } => Self::SettledByHand { note, by, no_report },
            Decision::Given { by } => Self::Given { by },
            Decision::Seen { by } => Self::SeenBy(by),
        }
    }
}

pub fn decide(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, decision: Decision, now: Wall) -> Result<Done, BooksError> {
    let stored = ledger::load(tx, id)?.ok_or(BooksError::Unknown)?;
    write(tx, policy, stored, decision.into(), now, Claim::Keep)
}

/// Whether a person may decide so: the order is asked as it is asked when it is written, and nothing is written.
pub fn may_decide(policy: &Policy, order: &Order, decision: Decision, now: Wall) -> Result<(), Refused> {
    // Whether another order of the same request has a receipt counts for what the gateway says, and for no person's decision.
    merchant::apply(order.clone(), decision.into(), now, &Context { rules: &policy.rules, paid_already: false }).map(drop)
}

/// A person wants the money of an order to go back through the gateway: all of it, under the order's `refund_key`.
/// `serve` asks for it, and `order.repayment()` tells the result.
pub fn request_refund(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, wish: RefundWish, now: Wall) -> Result<Done, BooksError> {
    decide(tx, policy, id, Decision::Refund(wish), now)
}

/// A person gave an order's money back in another way; `note` says how.
///
/// # Errors
/// It is refused, too, where the gateway may have made the refund and nobody says so by name.
pub fn refund_by_hand(
    tx: &mut dyn Tx,
    policy: &Policy,
    id: &OrderId,
    note: &str,
    by: Option<Box<str>>,
    no_report: bool,
    now: Wall,
) -> Result<Done, BooksError> {
    decide(tx, policy, id, Decision::ByHand { note: note.into(), by, no_report }, now)
}

/// An attendant handed the goods over. There will be no refund.
pub fn given(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, by: &str, now: Wall) -> Result<Done, BooksError> {
    decide(tx, policy, id, Decision::Given { by: by.into() }, now)
}

/// A person has seen a reason on an order's list, and no refund would end it. Such reasons are a chargeback, a refunded
/// part, a settlement that the counter took back, a word that may mean money, and a late outcome.
pub fn seen(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, by: &str, now: Wall) -> Result<Done, BooksError> {
    decide(tx, policy, id, Decision::Seen { by: by.into() }, now)
}
