//! Refunds, goods that an attendant handed over, and the marks of things that a person has seen. Commands call these
//! functions beside `serve`. `serve` takes their writes up within a second.

use super::entry::{BooksError, Done, Policy};
use super::ledger;
use super::write::{Claim, write};
use crate::store::Tx;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{self, Context, Event, Order, RefundWish, Refused};
use qris_core::order::time::Told;

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
        /// Although the goods of another try came.
        goods_and_money: bool,
    },
    /// The goods were handed over.
    Given {
        by: Box<str>,
        /// Although those of another try came.
        goods_and_money: bool,
        /// They were taken out of the machine's slot.
        from_slot: bool,
    },
    /// A reason on its list was seen.
    Seen { by: Box<str> },
}

impl From<Decision> for Event {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Refund(wish) => Self::RefundRequested(wish),
            Decision::ByHand { note, by, no_report, goods_and_money } => Self::SettledByHand { note, by, no_report, goods_and_money },
            Decision::Given { by, goods_and_money, from_slot } => Self::Given { by, goods_and_money, from_slot },
            Decision::Seen { by } => Self::SeenBy(by),
        }
    }
}

pub fn decide(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, decision: Decision, now: Told) -> Result<Done, BooksError> {
    let stored = ledger::load(tx, id)?.ok_or(BooksError::Unknown)?;
    write(tx, policy, stored, decision.into(), now, Claim::Keep)
}

/// Whether a person may decide so: the order is asked as it is asked when it is written, and nothing is written.
pub fn may_decide(policy: &Policy, order: &Order, decision: Decision, now: Told) -> Result<(), Refused> {
    // Whether another order of the same request has a receipt counts for what the gateway says, and for no person's decision.
    merchant::apply(order.clone(), decision.into(), now, &Context { rules: &policy.rules, paid_already: false }).map(drop)
}

/// A person wants the money of an order to go back through the gateway: all of it, under the order's `refund_key`.
/// `serve` asks for it, and `order.repayment()` tells the result.
pub fn request_refund(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, wish: RefundWish, now: Told) -> Result<Done, BooksError> {
    decide(tx, policy, id, Decision::Refund(wish), now)
}

/// A person has seen a reason on an order's list, and no refund would end it. Such reasons are a chargeback, a refunded
/// part, a settlement that the counter took back, a word that may mean money, and a late outcome.
pub fn seen(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, by: &str, now: Told) -> Result<Done, BooksError> {
    decide(tx, policy, id, Decision::Seen { by: by.into() }, now)
}
