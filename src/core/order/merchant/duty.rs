//! What must be done about an order now. It follows only from the stored order.

use super::{Event, Order};
use crate::order::time::{Told, Wall};

/// The next step.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::large_enum_variant, reason = "it lives for the moment in which it is read")]
pub enum Duty {
    /// Time has passed: apply this.
    Apply(Event),
    /// Ask the gateway.
    Call(Call),
    /// Do nothing until [`next_deadline`].
    Wait,
}

/// A question to the gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// Asks for a charge. The same question again has the same key, so it makes no second charge.
    Charge,
    /// Asks what became of it.
    GetStatus,
    /// Asks to end it.
    Cancel,
    /// Asks to give the money back. The same question again has the same key, so it makes no second refund.
    Refund,
}

/// The next step.
#[must_use]
pub fn duty(order: &Order, now: Told) -> Duty {
    if let Some(ending) = order.refund_ending_due(now) {
        return Duty::Apply(Event::RefundEnds(ending));
    }
    if order.told_as_unconfirmed_at().is_some_and(|at| now.is_over(at)) {
        return Duty::Apply(Event::Unconfirmed);
    }
    let asks = order.polling.at.is_some_and(|at| at <= now.wall);
    let own = order.state.phase().duty(asks, &order.at(now));
    own.unwrap_or(if asks { Duty::Call(Call::GetStatus) } else { Duty::Wait })
}

/// The time at which [`duty`] has something to do at the latest; `None`: not without news.
#[must_use]
pub fn next_deadline(order: &Order) -> Option<Wall> {
    order.state.phase().deadline(order).into_iter().chain(order.told_as_unconfirmed_at()).min()
}
