//! How an event changes an order: one function for each event, each a table over all states. Those for the relay's answers stand
//! in `relay.rs`.

use super::counter::{check_code, collected, see_at_counter, see_paid};
use super::relay::{IfUnknown, check_passed, relay_answered, relay_refused, relay_unanswered, ticket_closed, ticket_unknown};
use super::states::{dispensing, ended, ended_at_gateway, is_given_up, lasting, refund_due};
use super::{Ask, Charge, Context, End, Ending, Event, GONE_WAIT, LeftCharge, Order, ReportStep, Seen, State, Undelivered};
use crate::order::qris;
use crate::order::reason::Reason;
use crate::order::receipt::Receipt;
use crate::order::request::Refusal;
use crate::order::state::{EventState, Status};
use crate::order::time::{Boot, Span};

/// When the gateway ends a QR this much sooner than the machine's own deadline, the new deadline is worth a commit.
const DEADLINE_SLACK: Span = Span::secs(2);

/// An order that may only just be delivered gets this much time for the call.
const CALL_TIME: Span = Span::secs(5);

/// The order after an event. Unchanged if the event brings nothing new.
#[must_use]
pub fn apply(mut order: Order, event: Event, now: Boot, with: &Context) -> Order {
    match event {
        Event::Tick => {
            let collected_earlier = order.is_over_the_counter() && order.earlier_boot;
            order.state = tick(order.state, collected_earlier, now, with);
        }
        Event::Seen(seen) => return see(order, seen, now, with),
        Event::CreateRefused(refusal) => order.state = create_refused(order.state, &refusal),
        Event::CreateDelayed(reason) => order.state = create_delayed(order.state, reason),
        Event::Absent => {
            let charged = order.charge.is_some();
            order.state = absent(order.state, charged, now, with);
        }
        Event::Forsaken => order.state = forsaken(order.state),
        Event::GraceOver => {
            if let State::Ended { late_until, .. } = &mut order.state {
                *late_until = None;
            }
        }
        Event::Settled(receipt) => {
            let adopted = order.is_adopted();
            order = settle(order, receipt, now, with);
            if adopted {
                order.state = taken_as_sent(order.state);
            }
        }
        Event::CheckPassed(owner) => order.state = check_passed(order.state, owner),
        Event::CheckFailed(reason) => order.state = withdraw(order.state, Ending::Cancelled(reason), now, with),
        Event::RelayAnswered(answer) => {
            let unknown = match (order.earlier_boot, order.is_over_the_counter()) {
                (false, _) => IfUnknown::Dispense,
                (true, false) => IfUnknown::Confirm,
                (true, true) => IfUnknown::Collect,
            };
            order.state = relay_answered(order.state, answer, unknown);
        }
        Event::RelayRefused(refusal) => order.state = relay_refused(order.state, refusal),
        Event::RelayUnanswered => order.state = relay_unanswered(order.state),
        Event::TicketClosed(answer) => order.state = ticket_closed(order.state, answer),
        Event::TicketUnknown => order.state = ticket_unknown(order.state),
        Event::Reported => order.state = told(order.state),
        Event::Forgotten => order.state = forgotten(order.state),
        Event::CancelRequested => order.state = cancel_requested(order.state, now, with),
        Event::Collected => return collected(order, now, with),
    }
    order
}

/// Another machine knew this order first: one with the same card, or this one before it lost its database. That machine has or
/// had its ticket, and may have had the receipt too. So the line may have been driven even if a ledger does not know the ticket.
fn taken_as_sent(state: State) -> State {
    match state {
        State::AwaitingCollection { receipt, doubtful, .. } => State::AwaitingCollection { receipt, sent: true, doubtful },
        State::Dispensing { receipt, deliver_by, ask, overdue, .. } => State::Dispensing { receipt, deliver_by, ask, sent: true, overdue },
        State::RefundDue { receipt: Some(receipt), why, report: ReportStep::CloseFirst { .. } } => {
            State::RefundDue { receipt: Some(receipt), why, report: ReportStep::CloseFirst { sent: true } }
        }
        other => other,
    }
}

/// The transitions between two versions of an order, as they are announced: each state that the order reached, in
/// order. One commit may pass several.
#[must_use]
pub fn passed(before: Option<&Order>, after: &Order) -> Vec<(EventState, Option<Reason>)> {
    let name = after.name();
    if before.is_some_and(|b| b.name() == name) {
        return Vec::new();
    }
    let unpaid = before.is_some_and(|b| b.receipt().is_none() || matches!(b.state, State::AwaitingCollection { .. }));
    if unpaid && name.0 == EventState::Dispensing { vec![(EventState::Paid, None), name] } else { vec![name] }
}

/// `collected_earlier`: the customer collected it over the counter, in an earlier boot.
fn tick(state: State, collected_earlier: bool, now: Boot, with: &Context) -> State {
    match state {
        State::Requested { give_up_at, trouble, .. } if now >= give_up_at => {
            ended(End::Failed, Some(trouble.unwrap_or(Reason::Backend)), None, LeftCharge::Unknown)
        }
        // Over the counter the customer takes the code along.
        State::AwaitingPayment { payload: None, until, .. } if now >= until => State::AtCounter,
        State::AwaitingPayment { until, .. } if now >= until => withdraw(state, Ending::Cancelled(Reason::Timeout), now, with),
        State::AwaitingPayment { .. } if relay_doubtful(&state, with).is_some_and(|since| now >= since + GONE_WAIT) => {
            withdraw(state, Ending::Cancelled(Reason::Relay), now, with)
        }
        State::AwaitingPayment { .. } if with.screen_gone_since.is_some_and(|since| now >= since + GONE_WAIT) => {
            withdraw(state, Ending::Cancelled(Reason::Screen), now, with)
        }
        State::Cancelling { why, free_at: Some(at), late_until } if now >= at => State::Cancelling { why, free_at: None, late_until },
        State::Paid { receipt, deliver_by } if now >= deliver_by => refund_due(Some(receipt), Undelivered::Late, false),
        // The relay must still tell whether it was handed out, but nobody waits for that any more.
        State::Dispensing { receipt, deliver_by, ask: Ask::Query, overdue: false, .. } if collected_earlier && now >= deliver_by => {
            State::AwaitingCollection { receipt, sent: true, doubtful: true }
        }
        State::Dispensing { receipt, deliver_by, sent, overdue: false, .. } if now >= deliver_by => {
            State::Dispensing { receipt, deliver_by, ask: Ask::Close, sent, overdue: true }
        }
        State::Requested { .. }
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
        | State::Refunded { .. } => state,
    }
}

/// The time since which nobody vouches that this machine can deliver the order on its screen. `None`: its relay vouches for it.
pub(super) fn relay_doubtful(state: &State, with: &Context) -> Option<Boot> {
    match state {
        State::AwaitingPayment { checked, shown_at, .. } if with.relay_owner != Some(*checked) => {
            Some(with.relay_changed_at.max(*shown_at))
        }
        State::AwaitingPayment { .. }
        | State::Requested { .. }
        | State::AtCounter
        | State::AwaitingCollection { .. }
        | State::TakenBack { .. }
        | State::Cancelling { .. }
        | State::Ended { .. }
        | State::Paid { .. }
        | State::Dispensing { .. }
        | State::Dispensed { .. }
        | State::RefundDue { .. }
        | State::Refunded { .. } => None,
    }
}

/// Takes an unpaid order off the screen and has its charge cancelled.
fn withdraw(state: State, why: Ending, now: Boot, with: &Context) -> State {
    let free_at = Some(now + with.rules.cancel_wait);
    match state {
        // Nobody saw a QR.
        State::Requested { .. } => State::Cancelling { why, free_at, late_until: None },
        State::AwaitingPayment { until, .. } => {
            State::Cancelling { why, free_at, late_until: Some(now.min(until) + with.rules.late_grace) }
        }
        // Nobody stands there, so no other customer needs to wait for the answer.
        State::AtCounter => State::Cancelling { why, free_at: None, late_until: None },
        state @ (State::AwaitingCollection { .. }
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

fn cancel_requested(state: State, now: Boot, with: &Context) -> State {
    withdraw(state, Ending::Cancelled(Reason::Customer), now, with)
}

fn see(mut order: Order, seen: Seen, now: Boot, with: &Context) -> Order {
    if order.order_id().is_some_and(|id| *id != seen.order_id) && !matches!(order.state, State::Requested { .. }) {
        return see_another(order, &seen);
    }
    if order.receipt().is_none() {
        let charge = Charge::of(&seen, order.is_over_the_counter(), order.charge.as_ref());
        if order.charge.as_ref() != Some(&charge) {
            order.charge = Some(charge);
        }
    }
    // Only a later release knows this word. So the news changes nothing.
    if matches!(seen.status, Status::Other(_)) {
        return order;
    }
    // A settlement that does not match is money without a receipt. The backend tells it as a failure with a refund.
    let mismatch = seen.status == Status::Failure && seen.refund;
    if mismatch && order.receipt().is_none() && !matches!(order.state, State::RefundDue { .. } | State::Refunded { .. }) {
        order.state = refund_due(None, Undelivered::Mismatch, false);
        return order;
    }
    order.state = match order.state {
        State::Requested { .. } if seen.status == Status::Cancel => ended(End::Failed, Some(Reason::Backend), None, lasting(&seen)),
        State::Requested { checked, .. } => match ended_at_gateway(&seen, None, None) {
            Some(end) => end,
            None if seen.status == Status::Settlement => return order,
            // The backend is still charging. This is the answer to another question (which orders are open), and it came first.
            None if seen.gross_amount.is_none() && seen.payload.is_none() && seen.code.is_none() => return order,
            None => offer(&order, &seen, checked, now, with),
        },
        State::AwaitingPayment { payload, shown_at, until, checked } => {
            let late_until = Some(now.min(until) + with.rules.late_grace);
            let cancelled = payload.is_some().then_some(Reason::Timeout);
            match ended_at_gateway(&seen, late_until, cancelled) {
                Some(end) => end,
                None => {
                    let sooner = seen.expires_in.map(|left| now + left).filter(|end| *end + DEADLINE_SLACK < until);
                    State::AwaitingPayment { payload, shown_at, until: sooner.unwrap_or(until), checked }
                }
            }
        }
        State::AtCounter => see_at_counter(&seen),
        state @ (State::AwaitingCollection { .. } | State::TakenBack { .. }) => see_paid(state, &seen),
        State::Cancelling { why, free_at, late_until } => match seen.status {
            Status::Cancel | Status::Failure => ended(why.end(), Some(why.reason()), late_until, lasting(&seen)),
            Status::Expire | Status::Deny | Status::Refund | Status::Pending | Status::Settlement | Status::Other(_) => {
                ended_at_gateway(&seen, late_until, None).unwrap_or(State::Cancelling { why, free_at, late_until })
            }
        },
        State::Ended { how, why, late_until, left, ticket_closed } => {
            // Nobody knew which charge the request had. Now it is known.
            let left = if left == LeftCharge::Unknown { LeftCharge::ToCancel(seen.order_id.clone()) } else { left };
            State::Ended { how, why, late_until, left: left_after(left, &seen), ticket_closed }
        }
        State::Paid { receipt, .. } => match delivery_allowed(&seen, now, with) {
            Some(deliver_by) => dispensing(receipt, deliver_by, false),
            None => refund_due(Some(receipt), Undelivered::Late, false),
        },
        State::Dispensing { receipt, ask: Ask::Confirm, sent, overdue, .. } => match delivery_allowed(&seen, now, with) {
            Some(deliver_by) => State::Dispensing { receipt, deliver_by, ask: Ask::Dispense, sent, overdue },
            None => refund_due(Some(receipt), Undelivered::Late, sent),
        },
        State::RefundDue { receipt, report: ReportStep::Reported(_), .. } if seen.status == Status::Refund => State::Refunded { receipt },
        state @ (State::Dispensing { .. } | State::Dispensed { .. } | State::RefundDue { .. } | State::Refunded { .. }) => state,
    };
    order
}

/// News of another charge of the same request. It says nothing about the charge that the order has. But an order that
/// ended leaves no charge behind.
fn see_another(mut order: Order, seen: &Seen) -> Order {
    if let State::Ended { left, .. } = &mut order.state {
        *left = left_after(left.clone(), seen);
    }
    order
}

/// The charge that an ended order leaves at the gateway, after this news of one of its charges.
fn left_after(left: LeftCharge, seen: &Seen) -> LeftCharge {
    let is_left = match &left {
        LeftCharge::Nothing | LeftCharge::Unknown => false,
        LeftCharge::ToCancel(id) | LeftCharge::Lasting(id) => *id == seen.order_id,
    };
    match seen.status {
        // A charge that must be cancelled already comes first.
        Status::Pending if matches!(left, LeftCharge::ToCancel(_)) => left,
        Status::Pending => LeftCharge::ToCancel(seen.order_id.clone()),
        Status::Settlement | Status::Expire | Status::Cancel | Status::Deny | Status::Failure | Status::Refund if !is_left => left,
        // The receipt of a settlement comes with it or by itself. Nothing is left to cancel.
        Status::Settlement | Status::Refund => LeftCharge::Nothing,
        Status::Expire | Status::Cancel | Status::Deny | Status::Failure => lasting(seen),
        Status::Other(_) => left,
    }
}

/// Puts a charge on the screen if people may see its QR or code. Otherwise the charge was never payable here: the order
/// ends at once, and the charge is cancelled.
fn offer(order: &Order, seen: &Seen, checked: u64, now: Boot, with: &Context) -> State {
    let showable = || {
        let gross = seen.gross_amount.filter(|g| *g >= order.offer.amount).ok_or(Ending::Failed(Reason::GrossAmount))?;
        let payload = if order.is_over_the_counter() {
            check_code(order.offer.request.payment, order.charge.as_ref(), seen)?;
            None
        } else {
            let payload = seen.payload.clone().ok_or(Ending::Failed(Reason::Gateway))?;
            qris::check(&payload, gross).map_err(|_| Ending::Failed(Reason::Gateway))?;
            Some(payload)
        };
        // While the relay is gone, the keys count that it listed with the ticket.
        let kids = if with.relay_owner.is_some() { with.relay_kids } else { &order.posted.kids };
        let known = seen.kid.as_ref().is_some_and(|kid| kids.contains(kid));
        if known { Ok(payload) } else { Err(Ending::Cancelled(Reason::UnknownKey)) }
    };
    match showable() {
        Ok(payload) => {
            let time = seen.expires_in.map_or(order.offer.timeout, |left| left.min(order.offer.timeout));
            State::AwaitingPayment { payload, shown_at: now, until: now + time, checked }
        }
        Err(why) => ended(why.end(), Some(why.reason()), None, LeftCharge::ToCancel(seen.order_id.clone())),
    }
}

/// Whether an order of an earlier boot may be delivered, and until when. The backend was asked in this boot.
fn delivery_allowed(seen: &Seen, now: Boot, with: &Context) -> Option<Boot> {
    let allowed = seen.status == Status::Settlement && !seen.has_outcome && !seen.refund;
    let left = seen.settled_ago.map(|ago| Span(with.rules.deliver_within.0 - ago.0))?;
    (allowed && left >= Span::ZERO).then(|| now + left.max(CALL_TIME))
}

fn create_refused(state: State, refusal: &Refusal) -> State {
    match state {
        State::Requested { .. } => {
            // The body differs from before, or the backend does not say why: a charge of an earlier try may exist.
            let unsure = matches!(refusal.reason, Reason::ReusedId | Reason::Backend);
            let left = if unsure { LeftCharge::Unknown } else { LeftCharge::Nothing };
            ended(End::Failed, Some(refusal.reason), None, left)
        }
        // The order was to be cancelled before it was made.
        State::Cancelling { why, .. } => ended(why.end(), Some(why.reason()), None, LeftCharge::Nothing),
        state @ (State::AwaitingPayment { .. }
        | State::AtCounter
        | State::AwaitingCollection { .. }
        | State::TakenBack { .. }
        | State::Ended { .. }
        | State::Paid { .. }
        | State::Dispensing { .. }
        | State::Dispensed { .. }
        | State::RefundDue { .. }
        | State::Refunded { .. }) => state,
    }
}

fn create_delayed(state: State, reason: Reason) -> State {
    match state {
        State::Requested { give_up_at, checked, .. } => State::Requested { give_up_at, checked, trouble: Some(reason) },
        state @ (State::AwaitingPayment { .. }
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

/// The backend's books do not have the order. This ends no order that is paid or can be paid: its charge is at the gateway all
/// the same. If nobody knows of a charge, none was made.
fn absent(state: State, charged: bool, now: Boot, with: &Context) -> State {
    match state {
        State::AwaitingPayment { .. } => withdraw(state, Ending::Cancelled(Reason::Backend), now, with),
        State::Cancelling { why, late_until, .. } if !charged => ended(why.end(), Some(why.reason()), late_until, LeftCharge::Nothing),
        State::Ended { how, why, late_until, left: LeftCharge::Unknown, ticket_closed } => {
            State::Ended { how, why, late_until, left: LeftCharge::Nothing, ticket_closed }
        }
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

/// The books have lacked the order for so long that the gateway has ended the charge, and nobody will confirm a collection.
fn forsaken(state: State) -> State {
    match state {
        State::AtCounter => ended(End::Expired, Some(Reason::Backend), None, LeftCharge::Nothing),
        State::AwaitingCollection { receipt, sent, .. } => refund_due(Some(receipt), Undelivered::NotCollected, sent),
        State::Cancelling { why, late_until, .. } => ended(why.end(), Some(why.reason()), late_until, LeftCharge::Nothing),
        State::Ended { how, why, late_until, ticket_closed, .. } => {
            State::Ended { how, why, late_until, left: LeftCharge::Nothing, ticket_closed }
        }
        state @ (State::Requested { .. }
        | State::AwaitingPayment { .. }
        | State::TakenBack { .. }
        | State::Paid { .. }
        | State::Dispensing { .. }
        | State::Dispensed { .. }
        | State::RefundDue { .. }
        | State::Refunded { .. }) => state,
    }
}

fn settle(mut order: Order, receipt: Receipt, now: Boot, with: &Context) -> Order {
    let claims = receipt.claims();
    let counter = order.is_over_the_counter();
    // A customer who pays at a store is not here. The order waits, also while another one holds the machine.
    let free = with.alone || counter;
    let in_time = match &order.state {
        State::Requested { .. } | State::AtCounter => true,
        State::AwaitingPayment { until, .. } => counter || !is_given_up(Some(*until + with.rules.late_grace), now) && free,
        State::Cancelling { late_until, .. } | State::Ended { late_until, .. } => !is_given_up(*late_until, now) && free,
        // A receipt after a mismatch: the backend settled it after all, and a person sees to it already. Any other
        // receipt is known.
        State::AwaitingCollection { .. } | State::TakenBack { .. } => return order,
        State::Paid { .. } | State::Dispensing { .. } | State::Dispensed { .. } | State::RefundDue { .. } | State::Refunded { .. } => {
            return order;
        }
    };
    let (order_id, gross_amount) = (claims.sub.clone(), Some(claims.gross_amount));
    order.charge = Some(match order.charge {
        Some(charge) if charge.order_id == order_id => Charge { gross_amount, ..charge },
        other => {
            let sandbox = other.is_some_and(|charge| charge.sandbox);
            Charge { order_id, gross_amount, sandbox, code: None, pay_within: None, collect_within: None, pay_url: None }
        }
    });
    order.state = match (in_time, counter, order.earlier_boot) {
        (false, _, _) => refund_due(Some(receipt), Undelivered::Late, false),
        (true, true, _) => State::AwaitingCollection { receipt, sent: false, doubtful: false },
        (true, false, true) => State::Paid { receipt, deliver_by: now + with.rules.deliver_within },
        (true, false, false) => dispensing(receipt, now + with.rules.deliver_within, false),
    };
    order
}

fn told(state: State) -> State {
    match state {
        State::Dispensed { receipt, .. } => State::Dispensed { receipt, reported: true },
        State::RefundDue { receipt, why, report: ReportStep::Tell(delivery) } => {
            State::RefundDue { receipt, why, report: ReportStep::Reported(delivery) }
        }
        state @ (State::Requested { .. }
        | State::AwaitingPayment { .. }
        | State::AtCounter
        | State::AwaitingCollection { .. }
        | State::TakenBack { .. }
        | State::Cancelling { .. }
        | State::Ended { .. }
        | State::Paid { .. }
        | State::Dispensing { .. }
        | State::RefundDue { .. }
        | State::Refunded { .. }) => state,
    }
}

/// The backend was told the outcome and does not know it: its books are older. It is told again.
fn forgotten(state: State) -> State {
    match state {
        State::Dispensed { receipt, reported: true } => State::Dispensed { receipt, reported: false },
        State::RefundDue { receipt, why, report: ReportStep::Reported(delivery) } => {
            State::RefundDue { receipt, why, report: ReportStep::Tell(delivery) }
        }
        state => state,
    }
}
