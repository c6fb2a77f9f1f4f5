use crate::order::ids::{OrderId, Ticket};
use crate::order::outcome::Delivery;
use crate::order::reason::Reason;
use crate::order::receipt::Receipt;
use crate::order::tries::TryNumber;

/// The calls that are wanted now. A call that runs already is not begun again. A call that is no longer wanted is stopped.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Duty {
    pub relay: Option<RelayCall>,
    pub backend: Option<BackendCall>,
}

/// A call to the relay service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RelayCall {
    /// Could it be delivered?
    Check(Ticket),
    /// Deliver it.
    Dispense(Receipt),
    /// What became of this try at this order?
    Query(OrderId, TryNumber),
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
    /// `POST /v1/orders/{order_id}/again`, with the relay's promise: always the same body, so it may be asked again.
    TryAgain(OrderId, Box<str>),
    /// `POST /v1/orders/{order_id}/outcome`.
    Tell(OrderId, Delivery, Option<Reason>),
}
