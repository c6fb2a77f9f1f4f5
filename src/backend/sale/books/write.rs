//! The one way in which an order changes in the books: the core decides, and all that follows is written together.

use super::entry::{BooksError, Done, Policy, Stored, decides};
use super::words::describe;
use super::{alerts, automatic, ledger, limits};
use crate::sale::view;
use crate::store::Tx;
use qris_core::order::merchant::{self, Context, Duty, Event, NumberStands, Order, Rules};
use qris_core::order::time::{Span, Told};
use qris_core::wire::orders::Status;
use qris_core::wire::payment::PaymentUpdate;
use qris_core::wire::topics::Topic;

/// After this time without an answer, another caller may claim an order and ask the gateway. A call to a gateway takes 10 s at most. The
/// next look comes a second later. So nobody waits for more than 15 s for a process that is gone.
pub const LEASE: Span = Span::secs(13);
/// The fate of the claim on an order that is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// It stays as it is.
    Keep,
    /// The caller takes it, if nobody has it and a question is due.
    Take,
    /// The caller had it. It ends, unless a question is due at once.
    Renew,
}

/// Claims what is to be asked for an order, if something is and nobody else asks.
pub(super) fn take_up(tx: &mut dyn Tx, policy: &Policy, mut stored: Stored, now: Told) -> Result<Done, BooksError> {
    if stored.claimed_until.is_some_and(|until| until <= now.wall) {
        // The caller that had it never came back with an answer.
        stored.claimed_until = None;
        return write(tx, policy, stored, Event::Abandoned, now, Claim::Renew);
    }
    let order = stored.order.clone();
    settle(tx, policy, stored, order, None, now, Claim::Take)
}

/// Applies an event and all its consequences, and writes the changes.
pub(super) fn write(tx: &mut dyn Tx, policy: &Policy, stored: Stored, event: Event, now: Told, claim: Claim) -> Result<Done, BooksError> {
    let mut what = describe(&event);
    // A person's decision over what nobody confirms.
    let ends = stored.order.is_unconfirmed() && matches!(event, Event::SeenBy(_) | Event::SettledByHand { .. });
    let order = apply(tx, policy, stored.order.clone(), event, now)?;
    if ends {
        what += ", and ended it: nothing is handed out for it any more";
    }
    settle(tx, policy, stored, order, Some(what), now, claim)
}

fn settle(
    tx: &mut dyn Tx,
    policy: &Policy,
    stored: Stored,
    mut order: Order,
    mut what: Option<String>,
    now: Told,
    claim: Claim,
) -> Result<Done, BooksError> {
    let free = stored.claimed_until.is_none_or(|until| until <= now.wall);
    let call = loop {
        let (event, call) = match merchant::duty(&order, now) {
            Duty::Apply(event) => (Some(event), None),
            Duty::Call(call) => (automatic::due(tx, policy, &order, now)?, Some(call)),
            Duty::Wait => (automatic::due(tx, policy, &order, now)?, None),
        };
        let Some(event) = event else { break call };
        let also = describe(&event);
        what = Some(what.map_or(also.clone(), |what| format!("{what}; {also}")));
        order = apply(tx, policy, order, event, now)?;
    };
    let (claimed_until, call) = match claim {
        Claim::Keep => (stored.claimed_until, None),
        Claim::Take if !free || is_for_another(policy, &order, now) => (stored.claimed_until, None),
        Claim::Take | Claim::Renew => (call.map(|_| now + LEASE), call),
    };
    let before = view::visible(&stored.order);
    let news = before != view::visible(&order);
    let told = matters(&stored.order, &order);
    let id = order.id.clone();
    if let Some(receipt) = order.receipt()
        && stored.order.receipt().is_none_or(|known| known.claims().nth != receipt.claims().nth)
    {
        ledger::keep_receipt(tx, receipt)?;
    }
    if stored.order.number_of_try() != order.number_of_try() {
        ledger::keep_try(tx, &stored.order, &order, now.wall)?;
    }
    let alert = alerts::keep(tx, &stored.order, &order, now)?;
    let after = ledger::save(tx, &stored, order, claimed_until)?;
    if let (true, Some(what)) = (told, what) {
        ledger::note(tx, &id, &format!("{what}: {}", after.order.state.word()), now.wall)?;
    }
    let was = stored.order;
    let is_taken_out = after.order.is_taken_out() && !was.is_taken_out();
    let is_hint = is_taken_out || is_wished(&was, &after.order, now);
    let posted = policy.push && (before.0 != after.order.status() || is_hint) && announce(tx, &after, is_hint, now)?;
    Ok(Done { now: after, news, posted, call, next: None, alert, was })
}

/// The machine's relay believes a key that this process does not have, and a receipt is signed once. So another process may take the order
/// first. If none does, the key is gone, and the one in use is as good as any.
fn is_for_another(policy: &Policy, order: &Order, now: Told) -> bool {
    let is_soon = || merchant::next_deadline(order).is_some_and(|due| now.wall < due + LEASE);
    order.receipt().is_none() && !policy.rules.has(&order.sale.kid) && is_soon()
}

fn apply(tx: &mut dyn Tx, policy: &Policy, order: Order, event: Event, now: Told) -> Result<Order, BooksError> {
    let event = if let Some(report) = event.status()
        && ledger::has_receipt_elsewhere(tx, &order, &report.transaction_id)?
    {
        // It was delivered, or will be, under another name. A refund of this one would give that money back.
        Event::StatusUnclear("another order has the receipt of this payment".into())
    } else {
        event
    };
    let paid_already = event.status().is_some() && ledger::is_paid_otherwise(tx, &order)?;
    // What could not begin is not offered: its money would wait for nothing.
    let is_for_nothing = matches!(event, Event::Delivered(_)) && !limits::has_tries_left(tx, policy, &order.sale.device, now)?;
    let without = is_for_nothing.then(|| Rules { second_tries: 0, ..policy.rules.clone() });
    let rules = without.as_ref().unwrap_or(&policy.rules);
    Ok(merchant::apply(order, event, now, &Context { rules, paid_already })?)
}

/// Whether the machine has to hear of a wish for another try: it is new, its number was told, or wrong ones have ended it.
fn is_wished(was: &Order, order: &Order, now: Told) -> bool {
    let wish = |order: &Order| {
        let shown = order.tries.shown.as_ref().map(|shown| (shown.number, shown.told_at));
        (order.tries.wanted_until, shown)
    };
    let is_there = |order: &Order| order.try_wanted_until(now).is_some();
    let is_guessed = is_there(was) && order.number_stands(now) == Some(NumberStands::Ended);
    wish(was) != wish(order) && is_there(order) || is_guessed
}

/// News for the machine, if there is any. The answer to its own request tells it the rest.
fn announce(tx: &mut dyn Tx, stored: &Stored, is_hint: bool, now: Told) -> Result<bool, BooksError> {
    let order = &stored.order;
    let asked = order.why() == Some(&merchant::Ending::Requested);
    let status = order.status();
    if asked || status == Status::Pending {
        return Ok(false);
    }
    // A wish is a hint, and so is what was taken out: the machine asks for its open orders then.
    let receipt = view::receipt(order).filter(|_| !is_hint).map(|receipt| receipt.jws().into());
    let update = PaymentUpdate { order_id: order.id.clone(), rev: stored.rev, status, receipt };
    let payload = serde_json::to_string(&update).expect("plain data");
    ledger::post(tx, &Topic::PaymentUpdate.of(&order.sale.device), &payload, now.wall).map(|()| true)
}

/// Whether a reader of the history would want to know this. A repeated question to the gateway is not worth a line.
pub(super) fn matters(before: &Order, after: &Order) -> bool {
    let unclear_since = |order: &Order| order.doubt().and_then(|doubt| doubt.unclear_since);
    decides(before) != decides(after) || before.polling.hot_from != after.polling.hot_from || unclear_since(before) != unclear_since(after)
}
