//! Over the counter: a code in place of the QR, and hours in place of minutes. The customer is at the store when the
//! money arrives, and comes back for the goods.

use super::states::{dispensing, ended_at_gateway, refund_due};
use super::{Charge, Context, End, Ending, Order, Seen, State, Undelivered};
use crate::order::reason::Reason;
use crate::order::request::Payment;
use crate::order::state::Status;
use crate::order::time::{Boot, Span};

/// Whether the gateway made a code for the store that was asked for; else how the order ends.
pub(super) fn check_code(payment: Payment, charge: Option<&Charge>, seen: &Seen) -> Result<(), Ending> {
    // The gateway spells a store in several ways.
    let there = seen.store.as_ref().is_none_or(|store| store.eq_ignore_ascii_case(payment.as_str()));
    let code = charge.is_some_and(|charge| charge.code.is_some());
    if code && there { Ok(()) } else { Err(Ending::Failed(Reason::Gateway)) }
}

/// News of an order whose code left the screen.
pub(super) fn see_at_counter(seen: &Seen) -> State {
    ended_at_gateway(seen, None, None).unwrap_or(State::AtCounter)
}

/// News of an order that waits for its customer, or is no longer paid. It stays as it is while it can be collected.
pub(super) fn see_paid(state: State, seen: &Seen) -> State {
    match (state, seen.status) {
        // The merchant has settled it with the customer, so the machine must not hand it out.
        (State::AwaitingCollection { receipt, sent, .. }, Status::Settlement) if !seen.is_collectable() => {
            refund_due(Some(receipt), Undelivered::NotCollected, sent)
        }
        (State::AwaitingCollection { receipt, sent, .. }, Status::Refund) => refund_due(Some(receipt), Undelivered::NotCollected, sent),
        (State::AwaitingCollection { receipt, sent, .. }, Status::Failure) if seen.refund => {
            refund_due(Some(receipt), Undelivered::Mismatch, sent)
        }
        (
            State::AwaitingCollection { receipt, sent, doubtful },
            Status::Pending | Status::Settlement | Status::Expire | Status::Cancel | Status::Deny | Status::Failure | Status::Other(_),
        ) => match end_of(seen.status) {
            Some(how) => State::TakenBack { receipt, how, ticket_closed: false },
            None => State::AwaitingCollection { receipt, sent, doubtful },
        },
        // Its ticket is void, so the money can only go back.
        (State::TakenBack { receipt, .. }, Status::Settlement) => refund_due(Some(receipt), Undelivered::Late, false),
        (
            state @ (State::TakenBack { .. }
            | State::Requested { .. }
            | State::AwaitingPayment { .. }
            | State::AtCounter
            | State::Cancelling { .. }
            | State::Ended { .. }
            | State::Paid { .. }
            | State::Dispensing { .. }
            | State::Dispensed { .. }
            | State::RefundDue { .. }
            | State::Refunded { .. }),
            Status::Pending
            | Status::Settlement
            | Status::Expire
            | Status::Cancel
            | Status::Deny
            | Status::Failure
            | Status::Refund
            | Status::Other(_),
        ) => state,
    }
}

/// How the gateway took a settlement back.
fn end_of(status: Status) -> Option<End> {
    match status {
        Status::Pending | Status::Settlement | Status::Refund | Status::Other(_) => None,
        Status::Expire => Some(End::Expired),
        Status::Cancel => Some(End::Cancelled),
        Status::Deny => Some(End::Denied),
        Status::Failure => Some(End::Failed),
    }
}

impl Seen {
    /// Whether the backend says that the order is paid, and is not handed out, refunded or too old.
    #[must_use]
    pub fn is_collectable(&self) -> bool {
        let in_time = self.expires_in.is_none_or(|left| left > Span::ZERO);
        self.status == Status::Settlement && !self.has_outcome && !self.refund && in_time
    }
}

/// The customer is back, and the backend and the relay have answered. From now on it is delivered like any other order.
pub(super) fn collected(mut order: Order, now: Boot, with: &Context) -> Order {
    order.state = match order.state {
        State::AwaitingCollection { receipt, sent, doubtful: false } if with.alone => {
            // The backend was asked in this boot. After another power cut it is asked again.
            order.earlier_boot = false;
            dispensing(receipt, now + with.rules.deliver_within, sent)
        }
        state => state,
    };
    order
}
