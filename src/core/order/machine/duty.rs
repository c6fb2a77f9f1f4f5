//! What must be done about an order now: at most one call to the relay and one to the backend. It follows from the state alone.

use super::state::At;
use super::{Context, Order};
use crate::order::ids::{OrderId, Ticket};
use crate::order::outcome::Delivery;
use crate::order::reason::Reason;
use crate::order::receipt::Receipt;
use crate::order::time::Boot;

/// The calls that are wanted now. A call that runs already is not begun again. A call that is no longer wanted is stopped.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Duty {
    /// The call to the relay.
    pub relay: Option<RelayCall>,
    /// The call to the backend.
    pub backend: Option<BackendCall>,
}

/// A call to the relay service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RelayCall {
    /// Could it be delivered?
    Check(Ticket),
    /// Deliver it.
    Dispense(Receipt),
    /// What became of this order?
    Query(OrderId),
    /// Never deliver for this ticket, or tell what became of it.
    Close(Ticket),
    /// Sign what became of this ticket. The report waits for the signature as long as the relay is there.
    Prove(Ticket),
}

/// A call to the merchant backend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BackendCall {
    /// `POST /v1/orders`: always the same body, so it may be asked again.
    Create,
    /// `GET /v1/orders?state=open`: is there one of this request?
    Find,
    /// `GET /v1/orders/{order_id}?wait=`: answer when it changes.
    Watch(OrderId),
    /// `GET /v1/orders/{order_id}`: what is it now?
    Confirm(OrderId),
    /// The same, now and again: a customer who has paid may still be there.
    Await(OrderId),
    /// The same, rarely: nobody waits for the answer.
    Check(OrderId),
    /// `POST /v1/orders/{order_id}/cancel`.
    Cancel(OrderId),
    /// `POST /v1/orders/{order_id}/outcome`.
    Tell(OrderId, Delivery, Option<Reason>),
}

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
