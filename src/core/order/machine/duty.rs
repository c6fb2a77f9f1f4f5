//! What must be done about an order now: at most one call to the relay and one to the backend. It follows from the state alone.

use super::apply::relay_doubtful;
use super::states::is_given_up;
use super::{Ask, Context, GONE_WAIT, LAST_ANSWER, LeftCharge, Order, POLL_AFTER, ReportStep, State};
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
    Duty { relay: relay_duty(order, now, with), backend: backend_duty(order, now, with) }
}

fn relay_duty(order: &Order, now: Boot, with: &Context) -> Option<RelayCall> {
    match &order.state {
        State::AwaitingPayment { .. } => {
            (with.relay_owner.is_some() && relay_doubtful(&order.state, with).is_some()).then(|| RelayCall::Check(order.ticket.clone()))
        }
        State::Ended { ticket_closed: false, late_until, .. } if is_given_up(*late_until, now) => {
            Some(RelayCall::Close(order.ticket.clone()))
        }
        State::AwaitingCollection { receipt, doubtful: true, .. } => Some(RelayCall::Query(receipt.claims().sub.clone())),
        State::TakenBack { ticket_closed: false, .. } => Some(RelayCall::Close(order.ticket.clone())),
        State::Dispensing { receipt, ask, .. } => match ask {
            Ask::Dispense => Some(RelayCall::Dispense(receipt.clone())),
            Ask::Query => Some(RelayCall::Query(receipt.claims().sub.clone())),
            Ask::Confirm => None,
            Ask::Close => Some(RelayCall::Close(order.ticket.clone())),
        },
        State::RefundDue { report: ReportStep::CloseFirst { .. }, .. } => Some(RelayCall::Close(order.ticket.clone())),
        State::Dispensed { reported: false, .. } | State::RefundDue { report: ReportStep::Tell(_), .. } => {
            Some(RelayCall::Prove(order.ticket.clone()))
        }
        State::Requested { .. }
        | State::AtCounter
        | State::AwaitingCollection { .. }
        | State::TakenBack { .. }
        | State::Cancelling { .. }
        | State::Ended { .. }
        | State::Paid { .. }
        | State::Dispensed { .. }
        | State::RefundDue { .. }
        | State::Refunded { .. } => None,
    }
}

fn backend_duty(order: &Order, now: Boot, with: &Context) -> Option<BackendCall> {
    let id = order.order_id();
    match &order.state {
        State::Requested { .. } => Some(BackendCall::Create),
        State::AwaitingPayment { shown_at, .. } if !with.push || now >= *shown_at + POLL_AFTER => id.cloned().map(BackendCall::Watch),
        State::AtCounter | State::AwaitingCollection { .. } => id.cloned().map(BackendCall::Check),
        State::Cancelling { free_at, .. } => Some(match (id, free_at) {
            (Some(id), _) => BackendCall::Cancel(id.clone()),
            // The first POST may still be on its way. The same POST again gets its answer, and then the order can be cancelled.
            (None, Some(_)) => BackendCall::Create,
            (None, None) => BackendCall::Find,
        }),
        State::Ended { left, late_until, .. } => match left {
            LeftCharge::Nothing => None,
            LeftCharge::Unknown => Some(BackendCall::Find),
            LeftCharge::ToCancel(id) => Some(BackendCall::Cancel(id.clone())),
            // Whether the broker is there or not: its news may be lost.
            LeftCharge::Lasting(id) if !is_given_up(*late_until, now) => Some(BackendCall::Await(id.clone())),
            LeftCharge::Lasting(id) => Some(BackendCall::Check(id.clone())),
        },
        State::Paid { receipt, .. } | State::Dispensing { receipt, ask: Ask::Confirm, .. } => {
            Some(BackendCall::Confirm(receipt.claims().sub.clone()))
        }
        State::Dispensed { reported: false, receipt } => Some(BackendCall::Tell(receipt.claims().sub.clone(), Delivery::Dispensed, None)),
        State::RefundDue { why, report: ReportStep::Tell(delivery), .. } => {
            id.cloned().map(|id| BackendCall::Tell(id, *delivery, Some(why.reason())))
        }
        State::AwaitingPayment { .. }
        | State::TakenBack { .. }
        | State::Dispensing { .. }
        | State::Dispensed { .. }
        | State::RefundDue { .. }
        | State::Refunded { .. } => None,
    }
}

/// Whether the order must be kept in mind: something is still to be done, or an answer is awaited.
#[must_use]
pub fn unfinished(order: &Order) -> bool {
    match &order.state {
        State::Requested { .. } | State::AwaitingPayment { .. } | State::Cancelling { .. } => true,
        State::AtCounter | State::AwaitingCollection { .. } => true,
        State::TakenBack { ticket_closed, .. } => !ticket_closed,
        State::Paid { .. } | State::Dispensing { .. } => true,
        State::Ended { left, ticket_closed, .. } => *left != LeftCharge::Nothing || !ticket_closed,
        State::Dispensed { reported, .. } => !reported,
        State::RefundDue { report, .. } => match report {
            ReportStep::CloseFirst { .. } | ReportStep::Tell(_) => true,
            ReportStep::Reported(_) => false,
        },
        State::Refunded { .. } => false,
    }
}

/// The time at which the clock alone changes the order or its duty; `None`: never.
#[must_use]
pub fn next_deadline(order: &Order, now: Boot, with: &Context) -> Option<Boot> {
    match &order.state {
        State::Requested { give_up_at, .. } => Some(*give_up_at),
        State::AwaitingPayment { shown_at, until, .. } => {
            let poll = Some(*shown_at + POLL_AFTER).filter(|at| with.push && *at > now);
            let relay = relay_doubtful(&order.state, with).map(|since| since + GONE_WAIT);
            let screen = with.screen_gone_since.map(|since| since + GONE_WAIT);
            [Some(*until), poll, relay, screen].into_iter().flatten().min()
        }
        State::Cancelling { free_at, .. } => *free_at,
        State::Ended { late_until, ticket_closed: false, .. } => late_until.map(|t| Boot((t + LAST_ANSWER).0 + 1)).filter(|t| *t > now),
        State::Paid { deliver_by, .. } | State::Dispensing { deliver_by, overdue: false, .. } => Some(*deliver_by),
        State::AtCounter | State::AwaitingCollection { .. } | State::TakenBack { .. } => None,
        State::Ended { .. } | State::Dispensing { .. } | State::Dispensed { .. } | State::RefundDue { .. } | State::Refunded { .. } => None,
    }
}
