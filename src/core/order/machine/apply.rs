//! How an event changes an order. Its [state](super::state) says what depends on where the order is.

use super::state::{At, IfUnknown, Worth};
use super::{AwaitingCollection, Charge, Context, Dispensing, Ending, Event, Order, Paid, RefundDue, Seen, State, Undelivered};
use crate::order::reason::Reason;
use crate::order::receipt::Receipt;
use crate::order::state::{EventState, Status};
use crate::order::time::Boot;
use crate::order::tries::Try;

/// The order after an event. Unchanged if the event brings nothing new.
#[must_use]
pub fn apply(mut order: Order, event: Event, now: Boot, with: &Context) -> Order {
    let at = At { order: &order, now, with };
    let state = order.state.phase();
    let next = match event {
        Event::Tick if order.is_try_over(now) => return order.without_try(),
        Event::Tick => state.tick(&at),
        Event::Seen(seen) => return see(order, &seen, now, with),
        Event::CreateRefused(refusal) => state.create_refused(&refusal),
        Event::CreateDelayed(reason) => state.create_delayed(reason),
        Event::Absent => state.absent(&at),
        Event::Forsaken => state.forsaken(),
        Event::GraceOver => state.grace_over(),
        Event::Settled(receipt) => return settle(order, receipt, now, with),
        Event::CheckPassed(owner) => state.check_passed(owner),
        Event::CheckFailed(reason) => state.withdraw(Ending::Cancelled(reason), &at),
        Event::RelayAnswered(answer) => state.relay_answered(answer, if_unknown(&order)),
        Event::RelayRefused(refusal) => state.relay_refused(refusal),
        Event::RelayUnanswered => state.relay_unanswered(),
        Event::TicketClosed(answer) => state.ticket_closed(answer, &at),
        Event::TicketUnknown => state.ticket_unknown(),
        Event::Reported => state.reported(),
        Event::Forgotten => state.forgotten(),
        Event::TryPromised(wanted, pressed_at) => order.begin_try(wanted, pressed_at, with),
        Event::TryRefused => state.try_refused(),
        Event::Overtaken(receipt) => return overtake(order, receipt),
        Event::CancelRequested if matches!(order.state, State::TryingAgain(_)) => return order.without_try(),
        Event::CancelRequested => state.withdraw(Ending::Cancelled(Reason::Customer), &at),
        Event::Collected => {
            let next = state.collected(&at);
            // The backend was asked in this boot. After another power cut it is asked again.
            order.earlier_boot &= next.is_none();
            next
        }
    };
    order.state = next.unwrap_or(order.state);
    order
}

fn if_unknown(order: &Order) -> IfUnknown {
    match (order.earlier_boot, &order.again, order.is_over_the_counter()) {
        (false, ..) => IfUnknown::Dispense,
        (true, Some(_), _) => IfUnknown::GiveUp,
        (true, None, false) => IfUnknown::Confirm,
        (true, None, true) => IfUnknown::Collect,
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
    let unpaid = before.is_some_and(|b| b.receipt().is_none() || matches!(b.state, State::AwaitingCollection(_)));
    if unpaid && name.0 == EventState::Dispensing { vec![(EventState::Paid, None), name] } else { vec![name] }
}

fn see(mut order: Order, seen: &Seen, now: Boot, with: &Context) -> Order {
    if order.order_id().is_some_and(|id| *id != seen.order_id) && !matches!(order.state, State::Requested(_)) {
        if let State::Ended(ended) = &order.state {
            order.state = ended.seen_another(seen);
        }
        return order;
    }
    if order.receipt().is_none() {
        order.charge = Some(Charge::of(seen, order.is_over_the_counter(), order.charge.as_ref()));
    }
    // Only a later release knows this word. So the news changes nothing.
    if matches!(seen.status, Status::Other(_)) {
        return order;
    }
    // A settlement that does not match is money without a receipt. The backend tells it as a failure with a refund.
    let mismatch = seen.status == Status::Failure && seen.refund;
    let next = if mismatch && order.receipt().is_none() && !matches!(order.state, State::RefundDue(_) | State::Refunded(_)) {
        Some(RefundDue::once_closed(None, Undelivered::Mismatch, false))
    } else {
        order.state.phase().seen(seen, &At { order: &order, now, with })
    };
    order.state = next.unwrap_or(order.state);
    order
}

fn settle(mut order: Order, receipt: Receipt, now: Boot, with: &Context) -> Order {
    let next = |order: &Order, receipt: Receipt| {
        let deliver_by = match &order.state {
            State::TryingAgain(trying) => trying.deliver_by,
            _ => now + with.rules.deliver_within,
        };
        Some(match order.state.phase().worth(&At { order, now, with }) {
            Worth::Known => return None,
            Worth::Late => RefundDue::once_closed(Some(receipt), Undelivered::Late, false),
            // A customer who pays at a store is not here. The order waits, also while another one holds the machine.
            Worth::InTime if order.is_over_the_counter() && receipt.claims().nth == Try::First => {
                State::AwaitingCollection(AwaitingCollection { receipt, sent: false, doubtful: false })
            }
            Worth::InTime if with.empty => RefundDue::once_closed(Some(receipt), Undelivered::SoldOut, false),
            Worth::InTime if order.earlier_boot => State::Paid(Paid { receipt, deliver_by }),
            Worth::InTime => Dispensing::begun(receipt, deliver_by, false),
        })
    };
    if let Some(state) = next(&order, receipt.clone()) {
        order.charge = Some(Charge::paid(order.charge, receipt.claims()));
        order.take_up_try(receipt.claims());
        order.state = state;
    }
    if order.is_adopted() {
        order.state = order.state.phase().taken_as_sent().unwrap_or(order.state);
    }
    order
}

/// The backend has a later try open. Only the relay can tell what came of it.
fn overtake(mut order: Order, receipt: Receipt) -> Order {
    if order.is_overtaken_by(&receipt) && matches!(order.state, State::RefundDue(_) | State::TryingAgain(_)) {
        order.take_up_try(receipt.claims());
        order.state = RefundDue::once_closed(Some(receipt), Undelivered::Late, true);
    }
    order
}
