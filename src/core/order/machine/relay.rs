//! How an answer of the relay changes an order.

use super::states::{delivered, ended_otherwise, refund_due, uncertain};
use super::{Ask, RelayRefusal, ReportStep, State, Undelivered};
use crate::order::outcome::{CloseAnswer, Delivery, DispenseAnswer};

pub(super) fn check_passed(state: State, owner: u64) -> State {
    match state {
        State::AwaitingPayment { payload, shown_at, until, .. } => State::AwaitingPayment { payload, shown_at, until, checked: owner },
        state @ (State::Requested { .. }
        | State::AtCounter
        | State::AwaitingCollection { .. }
        | State::TakenBack { .. }
        | State::Cancelling { .. }
        | State::Ended { .. }
        | State::Paid { .. }
        | State::Dispensing { .. }
        | State::Dispensed { .. }
        | State::RefundDue { .. }
        | State::Refunded { .. }) => state,
    }
}

/// The next step when the ledger says that it never drove the line for an order.
#[derive(Clone, Copy)]
pub(super) enum IfUnknown {
    /// Deliver it: the customer stands there.
    Dispense,
    /// Ask the backend: nobody knows how long the power was off.
    Confirm,
    /// Over the counter: the customer types in the code once more.
    Collect,
}

pub(super) fn relay_answered(state: State, answer: DispenseAnswer, unknown: IfUnknown) -> State {
    match state {
        State::Dispensing { receipt, deliver_by, ask, sent, overdue } => match answer {
            DispenseAnswer::Ended(outcome) => delivered(receipt, outcome),
            DispenseAnswer::Later(word) => ended_otherwise(receipt, word),
            DispenseAnswer::Dispensing if ask == Ask::Close => State::Dispensing { receipt, deliver_by, ask, sent: true, overdue },
            DispenseAnswer::Dispensing => State::Dispensing { receipt, deliver_by, ask: Ask::Query, sent: true, overdue },
            DispenseAnswer::Unknown if ask != Ask::Query => State::Dispensing { receipt, deliver_by, ask, sent, overdue },
            DispenseAnswer::Unknown => match unknown {
                IfUnknown::Dispense => State::Dispensing { receipt, deliver_by, ask: Ask::Dispense, sent, overdue },
                IfUnknown::Confirm => State::Dispensing { receipt, deliver_by, ask: Ask::Confirm, sent, overdue },
                IfUnknown::Collect => State::AwaitingCollection { receipt, sent, doubtful: false },
            },
        },
        State::AwaitingCollection { receipt, sent, doubtful } => match answer {
            DispenseAnswer::Ended(outcome) => delivered(receipt, outcome),
            DispenseAnswer::Later(word) => ended_otherwise(receipt, word),
            DispenseAnswer::Dispensing => State::AwaitingCollection { receipt, sent, doubtful },
            DispenseAnswer::Unknown => State::AwaitingCollection { receipt, sent, doubtful: false },
        },
        // The relay's signal tells this. The machine had given the order up, and has no other way to `dispensed`.
        State::RefundDue { receipt: Some(receipt), report: ReportStep::CloseFirst { sent }, why } => match answer {
            DispenseAnswer::Ended(outcome) => delivered(receipt, outcome),
            DispenseAnswer::Later(word) => ended_otherwise(receipt, word),
            DispenseAnswer::Dispensing | DispenseAnswer::Unknown => {
                State::RefundDue { receipt: Some(receipt), why, report: ReportStep::CloseFirst { sent } }
            }
        },
        state @ (State::Requested { .. }
        | State::AwaitingPayment { .. }
        | State::AtCounter
        | State::TakenBack { .. }
        | State::Cancelling { .. }
        | State::Ended { .. }
        | State::Paid { .. }
        | State::Dispensed { .. }
        | State::RefundDue { .. }
        | State::Refunded { .. }) => state,
    }
}

pub(super) fn relay_refused(state: State, refusal: RelayRefusal) -> State {
    match state {
        State::Dispensing { receipt, deliver_by, ask: Ask::Dispense, sent, overdue } => match refusal {
            RelayRefusal::Busy => State::Dispensing { receipt, deliver_by, ask: Ask::Dispense, sent, overdue },
            // The ledger that gave the ticket is gone. An earlier call may have driven the line.
            RelayRefusal::UnknownTicket if sent => uncertain(Some(receipt)),
            RelayRefusal::UnknownTicket | RelayRefusal::Other => refund_due(Some(receipt), Undelivered::RelayRefused, sent),
        },
        state @ (State::Requested { .. }
        | State::AwaitingPayment { .. }
        | State::AtCounter
        | State::AwaitingCollection { .. }
        | State::TakenBack { .. }
        | State::Cancelling { .. }
        | State::Ended { .. }
        | State::Paid { .. }
        | State::Dispensing { .. }
        | State::Dispensed { .. }
        | State::RefundDue { .. }
        | State::Refunded { .. }) => state,
    }
}

pub(super) fn relay_unanswered(state: State) -> State {
    match state {
        State::Dispensing { receipt, deliver_by, ask, overdue, .. } => {
            let ask = if ask == Ask::Dispense { Ask::Query } else { ask };
            State::Dispensing { receipt, deliver_by, ask, sent: true, overdue }
        }
        state @ (State::Requested { .. }
        | State::AwaitingPayment { .. }
        | State::AtCounter
        | State::AwaitingCollection { .. }
        | State::TakenBack { .. }
        | State::Cancelling { .. }
        | State::Ended { .. }
        | State::Paid { .. }
        | State::Dispensed { .. }
        | State::RefundDue { .. }
        | State::Refunded { .. }) => state,
    }
}

pub(super) fn ticket_closed(state: State, answer: CloseAnswer) -> State {
    match (state, answer) {
        // The line was driven. A ledger that forgets this later must not make the order undelivered.
        (State::Dispensing { receipt, deliver_by, ask, overdue, .. }, CloseAnswer::Dispensing) => {
            State::Dispensing { receipt, deliver_by, ask, sent: true, overdue }
        }
        (State::RefundDue { receipt, why, report: ReportStep::CloseFirst { .. } }, CloseAnswer::Dispensing) => {
            State::RefundDue { receipt, why, report: ReportStep::CloseFirst { sent: true } }
        }
        (state, CloseAnswer::Dispensing) => state,
        // Without a ticket nothing can be delivered any more.
        (State::Ended { how, why, left, .. }, CloseAnswer::Closed | CloseAnswer::Ended(_) | CloseAnswer::Later(_)) => {
            State::Ended { how, why, late_until: None, left, ticket_closed: true }
        }
        (State::Dispensing { receipt, ask: Ask::Close, .. }, CloseAnswer::Closed) => {
            State::RefundDue { receipt: Some(receipt), why: Undelivered::Late, report: ReportStep::Tell(Delivery::Undelivered) }
        }
        (State::RefundDue { receipt, why, report: ReportStep::CloseFirst { .. } }, CloseAnswer::Closed) => {
            State::RefundDue { receipt, why, report: ReportStep::Tell(Delivery::Undelivered) }
        }
        (
            State::Dispensing { receipt, ask: Ask::Close, .. }
            | State::RefundDue { receipt: Some(receipt), report: ReportStep::CloseFirst { .. }, .. }
            | State::TakenBack { receipt, .. },
            CloseAnswer::Ended(outcome),
        ) => delivered(receipt, outcome),
        (
            State::Dispensing { receipt, ask: Ask::Close, .. }
            | State::RefundDue { receipt: Some(receipt), report: ReportStep::CloseFirst { .. }, .. }
            | State::TakenBack { receipt, .. },
            CloseAnswer::Later(word),
        ) => ended_otherwise(receipt, word),
        (State::TakenBack { receipt, how, .. }, CloseAnswer::Closed) => State::TakenBack { receipt, how, ticket_closed: true },
        // There is a recorded outcome, and money without a receipt. Nobody can say which payment opened the relay.
        (State::RefundDue { receipt: None, report: ReportStep::CloseFirst { .. }, .. }, CloseAnswer::Ended(_) | CloseAnswer::Later(_)) => {
            uncertain(None)
        }
        (
            state @ (State::Requested { .. }
            | State::AwaitingPayment { .. }
            | State::AtCounter
            | State::AwaitingCollection { .. }
            | State::Cancelling { .. }
            | State::Paid { .. }
            | State::Dispensing { .. }
            | State::Dispensed { .. }
            | State::RefundDue { .. }
            | State::Refunded { .. }),
            CloseAnswer::Closed | CloseAnswer::Ended(_) | CloseAnswer::Later(_),
        ) => state,
    }
}

pub(super) fn ticket_unknown(state: State) -> State {
    match state {
        State::Ended { how, why, left, .. } => State::Ended { how, why, late_until: None, left, ticket_closed: true },
        State::TakenBack { receipt, how, .. } => State::TakenBack { receipt, how, ticket_closed: true },
        State::Dispensing { receipt, ask: Ask::Close, sent: true, .. } => uncertain(Some(receipt)),
        State::Dispensing { receipt, ask: Ask::Close, sent: false, .. } => {
            State::RefundDue { receipt: Some(receipt), why: Undelivered::Late, report: ReportStep::Tell(Delivery::Undelivered) }
        }
        State::RefundDue { receipt, report: ReportStep::CloseFirst { sent: true }, .. } => uncertain(receipt),
        State::RefundDue { receipt, why, report: ReportStep::CloseFirst { sent: false } } => {
            State::RefundDue { receipt, why, report: ReportStep::Tell(Delivery::Undelivered) }
        }
        state @ (State::Requested { .. }
        | State::AwaitingPayment { .. }
        | State::AtCounter
        | State::AwaitingCollection { .. }
        | State::Cancelling { .. }
        | State::Paid { .. }
        | State::Dispensing { .. }
        | State::Dispensed { .. }
        | State::RefundDue { .. }
        | State::Refunded { .. }) => state,
    }
}
