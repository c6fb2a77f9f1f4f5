//! The machine's clock, which stands still. In a wild network any deadline may pass at any moment, in any order.
//!
//! There the distance of a deadline is not distinguished, only whether it has passed. All deadlines to come are put where a
//! fresh one is. Nothing is lost by this: the deadline that passes first on a real way may pass first here. More may happen
//! here, as on a clock that goes as it likes. For example, another request's deadlines may move the same clock.

use qris_core::order::machine::{End, Ending, GONE_WAIT, Order, POLL_AFTER, REQUEST_WAIT, State, Undelivered};
use qris_core::order::reason::Reason;
use qris_core::order::time::{Boot, Span};

/// The deadline of an order that passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Deadline {
    /// For the answer to the request or the cancel; or until news is asked for by HTTP.
    Answer,
    /// For the payment, the grace after it, the delivery.
    Order,
    /// For a relay that vouches for the QR on the screen.
    Doubt,
}

impl Deadline {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Answer, Self::Order, Self::Doubt];
}

/// The time is always this. Stored times are moved instead.
pub(super) const NOW: Boot = Boot(10_000_000_000);
/// The place of a far deadline.
pub(super) const FAR: Span = Span::secs(60);
/// All past moments are equal.
const PAST: Boot = Boot(NOW.0 - 1_000);
/// How long the machine waits for an answer to a cancel.
pub(super) const CANCEL_WAIT: Span = Span::secs(15);

/// The order after that deadline has passed.
pub(super) fn passed(mut order: Order, which: Deadline) -> Order {
    match (&mut order.state, which) {
        (State::Requested { give_up_at, .. }, Deadline::Answer) => *give_up_at = NOW,
        (State::AwaitingPayment { shown_at, .. }, Deadline::Answer) => *shown_at = NOW - POLL_AFTER,
        (State::AwaitingPayment { shown_at, .. }, Deadline::Doubt) => *shown_at = (*shown_at).min(NOW - GONE_WAIT),
        (State::AwaitingPayment { until, .. }, Deadline::Order) => *until = NOW,
        (State::Cancelling { free_at: Some(at), .. }, Deadline::Answer) => *at = NOW,
        (State::Cancelling { late_until: Some(at), .. } | State::Ended { late_until: Some(at), .. }, Deadline::Order) => *at = PAST,
        (State::Paid { deliver_by, .. } | State::Dispensing { deliver_by, overdue: false, .. }, Deadline::Order) => *deliver_by = NOW,
        _ => {}
    }
    order
}

/// The order without the distance of its deadlines.
pub(super) fn timeless(mut order: Order) -> Order {
    let far = |at: &mut Boot| *at = if *at >= NOW { NOW + FAR } else { PAST };
    match &mut order.state {
        State::Requested { give_up_at, .. } => *give_up_at = NOW + REQUEST_WAIT,
        State::AwaitingPayment { shown_at, until, .. } => {
            far(until);
            *shown_at = if *shown_at > NOW - POLL_AFTER { NOW } else { NOW - POLL_AFTER };
        }
        State::Cancelling { free_at, late_until, .. } => {
            free_at.iter_mut().for_each(|at| *at = NOW + CANCEL_WAIT);
            late_until.iter_mut().for_each(far);
        }
        State::Ended { late_until, .. } => late_until.iter_mut().for_each(far),
        State::Paid { deliver_by, .. } | State::Dispensing { deliver_by, .. } => far(deliver_by),
        State::AtCounter | State::AwaitingCollection { .. } | State::TakenBack { .. } => {}
        State::Dispensed { .. } | State::RefundDue { .. } | State::Refunded { .. } => {}
    }
    order
}

/// The order without values that are there only for people: why it ended, and its price with the fee.
pub(super) fn nameless(mut order: Order) -> Order {
    let reason = Reason::Customer;
    match &mut order.state {
        State::Requested { trouble, .. } => *trouble = None,
        State::Cancelling { why, .. } => *why = Ending::Cancelled(reason),
        State::Ended { how, why, .. } => (*how, *why) = (End::Cancelled, Some(reason)),
        State::RefundDue { why, .. } => *why = Undelivered::Late,
        State::AwaitingPayment { .. } | State::AtCounter | State::AwaitingCollection { .. } | State::TakenBack { .. } => {}
        State::Paid { .. } | State::Dispensing { .. } | State::Dispensed { .. } | State::Refunded { .. } => {}
    }
    if let Some(charge) = &mut order.charge {
        (charge.gross_amount, charge.pay_url) = (None, None);
    }
    order
}
