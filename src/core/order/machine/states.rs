//! States that more than one transition leads to.

use super::{Ask, End, LAST_ANSWER, LeftCharge, ReportStep, Seen, State, Undelivered};
use crate::order::outcome::{Delivery, Outcome};
use crate::order::reason::Reason;
use crate::order::receipt::Receipt;
use crate::order::state::Status;
use crate::order::time::Boot;
use crate::order::word::Word;

/// It ended unpaid.
pub(super) fn ended(how: End, why: Option<Reason>, late_until: Option<Boot>, left: LeftCharge) -> State {
    State::Ended { how, why, late_until, left, ticket_closed: false }
}

/// Whether an order is not delivered any more, also if it was paid within its grace. Such a payment is heard of later than it is made. So
/// the order waits for [an answer](LAST_ANSWER), unless that came already.
pub(super) fn is_given_up(late_until: Option<Boot>, now: Boot) -> bool {
    late_until.is_none_or(|t| now > t + LAST_ANSWER)
}

/// The relay is to deliver it.
pub(super) fn dispensing(receipt: Receipt, deliver_by: Boot, sent: bool) -> State {
    State::Dispensing { receipt, deliver_by, ask: Ask::Dispense, sent, overdue: false }
}

/// Nothing is delivered any more, as soon as its ticket is closed.
pub(super) fn refund_due(receipt: Option<Receipt>, why: Undelivered, sent: bool) -> State {
    State::RefundDue { receipt, why, report: ReportStep::CloseFirst { sent } }
}

/// Nobody knows whether it was delivered.
pub(super) fn uncertain(receipt: Option<Receipt>) -> State {
    State::RefundDue { receipt, why: Undelivered::Uncertain, report: ReportStep::Tell(Delivery::Uncertain) }
}

/// The ledger's word is final.
pub(super) fn delivered(receipt: Receipt, outcome: Outcome) -> State {
    match outcome {
        Outcome::Dispensed => State::Dispensed { receipt, reported: false },
        Outcome::Failed => {
            State::RefundDue { receipt: Some(receipt), why: Undelivered::Failed, report: ReportStep::Tell(Delivery::Failed) }
        }
        Outcome::Uncertain => uncertain(Some(receipt)),
    }
}

/// A later release of the relay has an outcome that this release does not know. The books get its word, and a person decides.
pub(super) fn ended_otherwise(receipt: Receipt, word: Word) -> State {
    State::RefundDue { receipt: Some(receipt), why: Undelivered::Uncertain, report: ReportStep::Tell(Delivery::Other(word)) }
}

/// The charge of an order that the backend calls ended: it may last longer than that at the gateway.
pub(super) fn lasting(seen: &Seen) -> LeftCharge {
    if seen.over { LeftCharge::Nothing } else { LeftCharge::Lasting(seen.order_id.clone()) }
}

/// The end that the gateway or the backend made of an unpaid order; `None` while it can be paid, and once it is paid.
pub(super) fn ended_at_gateway(seen: &Seen, late_until: Option<Boot>, cancelled: Option<Reason>) -> Option<State> {
    let (how, why, left) = match seen.status {
        Status::Pending | Status::Settlement | Status::Other(_) => return None,
        Status::Expire => (End::Expired, None, lasting(seen)),
        Status::Cancel => (End::Cancelled, cancelled.or(Some(Reason::Backend)), lasting(seen)),
        Status::Deny => (End::Denied, Some(Reason::Gateway), LeftCharge::ToCancel(seen.order_id.clone())),
        Status::Failure => (End::Failed, Some(Reason::Gateway), lasting(seen)),
        Status::Refund => (End::Failed, Some(Reason::Gateway), LeftCharge::Nothing),
    };
    Some(ended(how, why, late_until, left))
}
