//! What must be done about an order now: at most one call to the relay and one to the backend. It follows from the state alone.

use super::calls::Duty;
use super::state::At;
use super::{Context, Order};
use crate::order::time::Boot;

/// What must be done now.
#[must_use]
pub fn duty(order: &Order, now: Boot, with: &Context) -> Duty {
    let (state, at) = (order.state.phase(), At { order, now, with });
    Duty { relay: state.relay_call(&at), backend: state.backend_call(&at) }
}

/// Whether the order must be kept in mind: something is still to be done, or an answer is awaited.
#[must_use]
pub fn unfinished(order: &Order) -> bool {
    order.state.phase().facts().is_unfinished
}

/// The time at which the clock alone changes the order or its duty; `None`: never.
#[must_use]
pub fn next_deadline(order: &Order, now: Boot, with: &Context) -> Option<Boot> {
    order.state.phase().deadline(&At { order, now, with })
}
