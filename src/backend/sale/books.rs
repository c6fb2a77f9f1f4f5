//! The backend's knowledge, and every change of it. Each function is one transaction. It loads an order and lets the
//! core decide. It writes the order with its version, its history, its receipt and its news together, and names the
//! next step. Nothing in here waits, asks or reads a clock.

use crate::store::{Row, StoreError, Tx};
use qris_core::order::ids::{DeviceId, OrderId, RequestId, Ticket};
use qris_core::order::merchant::{self, DeliveryReport, Event, NoProof, NoTry, Order, Proof, Refused, Said, Sale};
use qris_core::order::promise::Promise;
use qris_core::order::proof::{RelayKey, is_far_ahead};
use qris_core::order::request::Purchase;
use qris_core::order::time::{Span, Told, Wall};
use qris_core::order::tries::TwoDigits;
use qris_core::wire::orders::OutcomeReport;

mod alerts;
mod archived;
mod automatic;
mod beginning;
mod copied;
mod entry;
mod late_sign;
mod ledger;
mod limits;
mod listing;
mod publishing;
mod rebuild;
mod repaying;
mod strangers;
mod sums;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod trusted_time;
mod waiting;
mod words;
mod write;

pub use alerts::{
    ALERT_TRIES, Alert, Older, StockAlert, Subject, Ways, alert_tried, clock_wants, day_is_over, due_alerts, is_place_news, machine_back,
    machine_offline, machine_twice, machines_offline, merchant_paid, open_stock_alerts, people_changed, stock_wants, take_turn, taken_over,
    turn_ends,
};
pub use archived::{Archived, archived, archived_between};
pub use automatic::{LeftToAPerson, auto_refund_starts};
pub use beginning::{ALIKE_MAX, BEGINNING_MIN, Beginning, beginning_with};
pub use copied::{of_a_copy, older_since, on_another_primary, taken_up};
pub use entry::{BooksError, Done, Policy, Stored};
pub use late_sign::late_sign;
pub use ledger::{HistoryLine, Message, has_orders, history, latest, load, open_orders, prune_outbox, published, take_outbox, taken_out};
pub use listing::{
    Cursor, ListingPage, OrderFilter, PAGE, Sought, attempts, changed_since, count, damaged, goods, newest_key, newest_line, newest_of,
    owed, page, settled, settled_totals, sold_since, sought, sought_from, to_look_at, wanting,
};
pub use publishing::{PUBLISHING, may_publish, publishing_ends};
pub use rebuild::{Forgotten, rebuild};
pub use repaying::{Decision, decide, may_decide, request_refund, seen};
pub use strangers::{Later, ask_later, forget, remember, strangers};
pub use sums::{Alike, Grouped, Sum, alike, first_settled, keep, kept, sums};
pub use trusted_time::{STORED_EVERY, TrustedTime, latest_beside, store_time, stored_time, told_beside};
pub use waiting::{Waiting, machines_let_in, waiting};
pub use write::LEASE;

use write::{Claim, matters, take_up, write};

/// The most due orders that are taken up at once.
const DUE_MAX: i64 = 512;
/// `orders_per_minute` counts over this time.
const MINUTE: Span = Span::secs(60);

/// The result of a POST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The newest attempt at the request.
    pub done: Done,
    pub is_new: bool,
}

/// Takes an order, or finds it. `digest` is that of the POST's body. `fresh` is an order_id that was drawn for it.
///
/// # Errors
/// [`BooksError::ReusedId`], [`BooksError::ReusedTicket`], [`BooksError::RateLimited`].
pub fn create(tx: &mut dyn Tx, policy: &Policy, sale: Sale, digest: &str, fresh: &OrderId, now: Told) -> Result<Created, BooksError> {
    if let Some(stored) = ledger::latest(tx, &sale.device, &sale.purchase.request_id)? {
        let same = match &stored.digest {
            Some(known) => known == digest,
            // It was rebuilt from the gateway, which knows only these.
            None => {
                (&stored.order.sale.purchase.ticket, &stored.order.sale.purchase.item, stored.order.sale.purchase.amount)
                    == (&sale.purchase.ticket, &sale.purchase.item, sale.purchase.amount)
            }
        };
        if !same {
            return Err(BooksError::ReusedId);
        }
        let done = if merchant::may_try_again(&stored.order) {
            let next = replace(tx, &stored, now, now + merchant::ANSWER_WITHIN)?.ok_or(BooksError::Unknown)?;
            take_up(tx, policy, next, now)?
        } else {
            write(tx, policy, stored, Event::Awaited, now, Claim::Take)?
        };
        return Ok(Created { done, is_new: false });
    }
    if archived::has_request(tx, &sale.device, &sale.purchase.request_id)? {
        return Err(BooksError::ReusedId);
    }
    has_new_ticket(tx, &sale.device, &sale.purchase.ticket)?;
    if policy.orders_per_minute > 0 {
        let recent = "SELECT count(*) FROM orders WHERE device = $1 AND created_ms > $2 AND attempt = 1";
        let count = Row::number(&tx.rows(recent, &[sale.device.as_str().into(), (now - MINUTE).0.into()])?)?;
        if count >= policy.orders_per_minute.into() {
            return Err(BooksError::RateLimited(policy.orders_per_minute));
        }
    }
    let stored = ledger::insert(tx, merchant::begin(fresh.clone(), sale, now), Some(digest), "ordered", now.wall)?;
    let done = take_up(tx, policy, stored, now)?;
    Ok(Created { done, is_new: true })
}

/// The result of a notification whose signature verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// It says nothing new.
    Known,
    /// It was written, and get-status decides. The question is claimed for the caller, unless somebody asks already.
    News(Box<Done>),
    /// No order has that name.
    Forgotten,
    /// The order is archived. Nothing is written.
    Archived { was_paid: bool },
}

/// Takes a verified notification.
pub fn notified(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, said: Said, now: Told) -> Result<Noted, BooksError> {
    note_down(tx, policy, id, Event::Notified(said), now, Claim::Take)
}

/// The machine says that an order was paid. That is worth a question to the gateway, as a notification is, and no more.
pub fn payment_reported(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, now: Told) -> Result<Noted, BooksError> {
    note_down(tx, policy, id, Event::PaymentReported, now, Claim::Take)
}

/// Takes a verified notification when there is no time to ask get-status. The sweep asks later.
pub fn notified_in_a_flood(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, said: Said, now: Told) -> Result<Noted, BooksError> {
    note_down(tx, policy, id, Event::Notified(said), now, Claim::Keep)
}

fn note_down(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, event: Event, now: Told, claim: Claim) -> Result<Noted, BooksError> {
    let Some(stored) = ledger::load(tx, id)? else {
        let archived = archived::archived(tx, id)?;
        return Ok(archived.map_or(Noted::Forgotten, |Archived { was_paid, .. }| Noted::Archived { was_paid }));
    };
    let before = stored.order.clone();
    let done = write(tx, policy, stored, event, now, claim)?;
    Ok(if done.now.order == before { Noted::Known } else { Noted::News(Box::new(done)) })
}

/// Takes the gateway's answer to a claimed call. The claim goes on if another call follows at once.
pub fn answered(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, event: Event, now: Told) -> Result<Done, BooksError> {
    let mut stored = ledger::load(tx, id)?.ok_or(BooksError::Unknown)?;
    stored.claimed_until = None;
    let mut done = write(tx, policy, stored, event, now, Claim::Renew)?;
    let Order { attempt, answer_by, sale, .. } = &done.now.order;
    if merchant::wants_another(&done.now.order, now) && newest(tx, &sale.device, &sale.purchase.request_id)?.order.attempt == *attempt {
        done.next = replace(tx, &done.now, now, *answer_by)?.map(|next| next.order.id);
    }
    Ok(done)
}

/// Claims the question that is due for an order, if there is one and nobody else asks it.
pub fn claim(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, now: Told) -> Result<Done, BooksError> {
    let stored = ledger::load(tx, id)?.ok_or(BooksError::Unknown)?;
    take_up(tx, policy, stored, now)
}

/// The machine asks whether the order is paid, and so the gateway is asked.
pub fn status_requested(tx: &mut dyn Tx, policy: &Policy, device: &DeviceId, id: &OrderId, now: Told) -> Result<Done, BooksError> {
    let stored = of_device(tx, device, id)?;
    write(tx, policy, stored, Event::StatusRequested, now, Claim::Take)
}

/// The machine wants the order ended, and with it the attempt that replaced it meanwhile (`next`).
pub fn cancel_requested(tx: &mut dyn Tx, policy: &Policy, device: &DeviceId, id: &OrderId, now: Told) -> Result<Done, BooksError> {
    let stored = of_device(tx, device, id)?;
    let newest = newest(tx, device, &stored.order.sale.purchase.request_id)?;
    let mut done = write(tx, policy, stored, Event::CancelRequested, now, Claim::Take)?;
    if newest.order.id != *id {
        done.next = Some(newest.order.id.clone());
        write(tx, policy, newest, Event::CancelRequested, now, Claim::Keep)?;
    }
    Ok(done)
}

/// The machine told the outcome of the order. The first outcome stays. Another one is kept in the history, and the order is
/// listed. An outcome with the relay's signature replaces one without it. One without it never replaces one with it: then it
/// is only history. The relay's word is judged here: what it is worth depends on the try at which the order is now.
///
/// # Errors
/// [`BooksError::Unknown`], [`Refused::NotPaid`]. A second outcome is `Ok(Err(…))`, because it is written.
pub fn delivered(
    tx: &mut dyn Tx,
    policy: &Policy,
    device: &DeviceId,
    id: &OrderId,
    said: &OutcomeReport,
    now: Told,
) -> Result<Result<Done, Done>, BooksError> {
    let stored = of_device(tx, device, id)?;
    let OutcomeReport { nth_try, outcome, reason, detail, proof } = said.clone();
    let proof = Proof::of(proof.as_deref(), &stored.order, outcome);
    take_report(tx, policy, stored, DeliveryReport { nth_try, outcome, reason, detail, proof }, now)
}

fn take_report(
    tx: &mut dyn Tx,
    policy: &Policy,
    stored: Stored,
    mut told: DeliveryReport,
    now: Told,
) -> Result<Result<Done, Done>, BooksError> {
    let id = &stored.order.id.clone();
    if let Proof::Signed { kid, number, .. } = &told.proof {
        let is_ahead = |(last, made): (u64, Wall)| is_far_ahead(*number, last, now.wall - made);
        if ledger::is_number_used(tx, id, kid, *number)? {
            told.proof = Proof::Missing(NoProof::NumberUsed);
        } else if ledger::last_number(tx, id, kid)?.is_some_and(is_ahead) {
            told.proof = Proof::Missing(NoProof::NumberAhead);
        }
    }
    match write(tx, policy, stored.clone(), Event::Delivered(told.clone()), now, Claim::Keep) {
        Ok(done) => Ok(Ok(done)),
        Err(BooksError::Refused(Refused::OutcomeStands)) => {
            let refund_on_its_way = stored.claimed_until.is_some_and(|until| until > now.wall);
            let event = Event::Contradicted { told: told.clone(), refund_on_its_way };
            let done = write(tx, policy, stored, event, now, Claim::Keep)?;
            if !matters(&done.was, &done.now.order) {
                // This is a third outcome. The order stays as it is, and the history has it.
                ledger::note_while_few(tx, id, &words::another_outcome(&told), now.wall)?;
            }
            // The relay's own word stands over a word without it.
            let stands = done.now.order.outcome() == Some(told.outcome);
            Ok(if stands { Ok(done) } else { Err(done) })
        }
        Err(error) => Err(error),
    }
}

/// Its machine asks for the receipt of another try. `promise`: the relay's, whose signature was verified with the order's own key. `key`:
/// that of the machine's relay now.
///
/// # Errors
/// [`BooksError::Unknown`], [`BooksError::NoTry`], [`BooksError::ReusedTicket`].
pub fn try_again(
    tx: &mut dyn Tx,
    policy: &Policy,
    id: &OrderId,
    promise: Promise,
    key: Option<RelayKey>,
    now: Told,
) -> Result<Done, BooksError> {
    let stored = of_device(tx, &promise.device, id)?;
    stored.order.may_try_again(&promise, key.as_ref(), now)?;
    if stored.order.goods().ticket != promise.ticket {
        if !limits::has_tries_left(tx, policy, &promise.device, now)? {
            return Err(NoTry::TooMany.into());
        }
        has_new_ticket(tx, &promise.device, &promise.ticket)?;
    }
    let event = Event::TryAgain { promise: Box::new(promise), key };
    write(tx, policy, stored, event, now, Claim::Keep)
}

/// Somebody asks for another try at the machine: its customer on the page, or a person.
/// `drawn`: the number that the machine shows then.
pub fn want_try(
    tx: &mut dyn Tx,
    policy: &Policy,
    id: &OrderId,
    by: Option<Box<str>>,
    drawn: TwoDigits,
    now: Told,
) -> Result<Done, BooksError> {
    let stored = ledger::load(tx, id)?.ok_or(BooksError::Unknown)?;
    may_want_try(tx, policy, &stored.order, by.as_deref(), now)?;
    write(tx, policy, stored, Event::TryWanted { by, drawn }, now, Claim::Keep)
}

/// Somebody tells the number that the machine shows. A wrong one is written, too: [`Order::number_stands`] tells which it was.
///
/// # Errors
/// [`BooksError::Unknown`]; [`BooksError::NoTry`]: none is asked for.
pub fn tell_number(
    tx: &mut dyn Tx,
    policy: &Policy,
    id: &OrderId,
    by: Option<Box<str>>,
    number: TwoDigits,
    now: Told,
) -> Result<Done, BooksError> {
    let stored = ledger::load(tx, id)?.ok_or(BooksError::Unknown)?;
    stored.order.may_tell_number(by.as_deref(), now)?;
    write(tx, policy, stored, Event::NumberTold { number, by }, now, Claim::Keep)
}

/// Whether somebody may ask for another try. Nothing is written.
pub fn may_want_try(tx: &mut dyn Tx, policy: &Policy, order: &Order, by: Option<&str>, now: Told) -> Result<(), BooksError> {
    order.may_want_try(by, now, &policy.rules)?;
    if limits::has_tries_left(tx, policy, &order.sale.device, now)? { Ok(()) } else { Err(NoTry::TooMany.into()) }
}

/// The time until which its customer may ask for another try.
pub fn try_offered_until(tx: &mut dyn Tx, policy: &Policy, order: &Order, now: Told) -> Result<Option<Wall>, BooksError> {
    let Some(until) = order.try_again_until(now) else { return Ok(None) };
    Ok(limits::has_tries_left(tx, policy, &order.sale.device, now)?.then_some(until))
}

/// Its customer wants the money at once, and no other try, where the backend gives it back by itself.
pub fn want_money(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, now: Told) -> Result<Done, BooksError> {
    let stored = ledger::load(tx, id)?.ok_or(BooksError::Unknown)?;
    if !gives_back_on_a_wish(tx, policy, &stored.order, now)? {
        return Err(NoTry::NotOffered.into());
    }
    let Some(refund) = automatic::begin(tx, &stored.order, now)? else { return Err(NoTry::NotOffered.into()) };
    ledger::note(tx, id, "its customer wants the money, and no other try", now.wall)?;
    write(tx, policy, stored, refund, now, Claim::Keep)
}

/// Where the merchant offers no other try any more, those that are on offer end, and their money moves on.
pub fn end_offers(tx: &mut dyn Tx, policy: &Policy, now: Told) -> Result<(), BooksError> {
    if policy.rules.second_tries > 0 {
        return Ok(());
    }
    for row in tx.rows("SELECT order_id FROM orders WHERE refund_due = 1", &[])? {
        let Some(stored) = ledger::load_good(tx, &row)? else { continue };
        if stored.order.tries.until.is_some() {
            write(tx, policy, stored, Event::TryOfferEnds, now, Claim::Keep)?;
        }
    }
    Ok(())
}

/// Whether its customer can have the money at once.
pub fn gives_back_on_a_wish(tx: &mut dyn Tx, policy: &Policy, order: &Order, now: Told) -> Result<bool, BooksError> {
    Ok(order.may_refund_on_a_wish(now)
        && limits::has_refunds_left(tx, policy, &order.sale.device, now)?
        && automatic::may_begin(tx, order)?)
}

/// Until when another try is offered, if this person wants one now. Nothing is written.
pub fn would_be_offered_until(policy: &Policy, order: &Order, by: &str, now: Told) -> Result<Wall, NoTry> {
    order.may_want_try(Some(by), now, &policy.rules).map(|()| order.offered_until(now, &policy.rules))
}

/// When each try after the first one began.
pub fn tries_begun(tx: &mut dyn Tx, id: &OrderId) -> Result<Vec<Wall>, BooksError> {
    let rows = tx.rows("SELECT begun_ms FROM tries WHERE order_id = $1 ORDER BY try", &[id.as_str().into()])?;
    Ok(rows.iter().map(|row| Ok(Wall(row.int("begun_ms")?))).collect::<Result<_, StoreError>>()?)
}

/// The orders that are due, and that nobody works on.
pub fn claim_due(tx: &mut dyn Tx, now: Told) -> Result<Vec<OrderId>, BooksError> {
    let due =
        "SELECT order_id FROM orders WHERE due_ms <= $1 AND (claimed_until_ms IS NULL OR claimed_until_ms <= $1) ORDER BY due_ms LIMIT $2";
    let mut rows = tx.rows(due, &[now.into(), DUE_MAX.into()])?;
    rows.extend(automatic::undecided(tx, now, DUE_MAX)?);
    rows.iter().map(|row| ledger::order_id(row.text("order_id")?)).collect()
}

/// This process does not go on with an order that it has claimed: it ends. If it has `asked`, the answer may be lost, as with a lease
/// that is over.
pub fn let_go(tx: &mut dyn Tx, id: &OrderId, asked: Option<Wall>) -> Result<(), BooksError> {
    let sql = "UPDATE orders SET claimed_until_ms = $1 WHERE order_id = $2 AND claimed_until_ms IS NOT NULL";
    tx.rows(sql, &[asked.map(|at| at.0).into(), id.as_str().into()])?;
    Ok(())
}

/// The program was started. The calls of earlier claims are gone, and nobody waits for a charge. Gives the
/// number of orders whose charge is given up.
pub fn restarted(tx: &mut dyn Tx, policy: &Policy, now: Told) -> Result<usize, BooksError> {
    let charging = "SELECT order_id FROM orders WHERE due_ms IS NOT NULL AND state = 'charging'";
    let given_up = tx.rows(charging, &[])?;
    for row in &given_up {
        let Some(mut stored) = ledger::load_good(tx, row)? else { continue };
        stored.claimed_until = None;
        write(tx, policy, stored, Event::Restarted, now, Claim::Keep)?;
    }
    let refunding =
        "SELECT order_id FROM orders WHERE due_ms IS NOT NULL AND claimed_until_ms IS NOT NULL AND state IN ('settled', 'withheld')";
    for row in tx.rows(refunding, &[])? {
        let Some(mut stored) = ledger::load_good(tx, &row)? else { continue };
        stored.claimed_until = None;
        write(tx, policy, stored, Event::Abandoned, now, Claim::Keep)?;
    }
    tx.rows("UPDATE orders SET claimed_until_ms = NULL WHERE due_ms IS NOT NULL AND claimed_until_ms IS NOT NULL", &[])?;
    // The processes that told people, and that published, are gone with the rest.
    tx.rows("DELETE FROM alert_turn", &[])?;
    tx.rows("DELETE FROM outbox_turn", &[])?;
    Ok(given_up.len())
}

/// Puts a new attempt into the books, if there may be one.
fn replace(tx: &mut dyn Tx, old: &Stored, now: Told, answer_by: Wall) -> Result<Option<Stored>, BooksError> {
    let Sale { device, purchase: Purchase { request_id, .. }, .. } = &old.order.sale;
    let first = "SELECT order_id FROM orders WHERE device = $1 AND request_id = $2 ORDER BY attempt LIMIT 1";
    let rows = tx.rows(first, &[device.as_str().into(), request_id.as_str().into()])?;
    let first = ledger::order_id(rows.first().ok_or(BooksError::Unknown)?.text("order_id")?)?;
    let Some(next) = merchant::next_attempt(&old.order, &first, now, answer_by) else { return Ok(None) };
    ledger::insert(tx, next, old.digest.as_deref(), "charged once more", now.wall).map(Some)
}

fn of_device(tx: &mut dyn Tx, device: &DeviceId, id: &OrderId) -> Result<Stored, BooksError> {
    ledger::load(tx, id)?.filter(|stored| stored.order.sale.device == *device).ok_or(BooksError::Unknown)
}

/// No order and no try has this ticket of the machine.
fn has_new_ticket(tx: &mut dyn Tx, device: &DeviceId, ticket: &Ticket) -> Result<(), BooksError> {
    let others =
        "SELECT 1 FROM orders WHERE device = $1 AND ticket = $2 UNION ALL SELECT 1 FROM tries WHERE device = $1 AND ticket = $2 LIMIT 1";
    let is_used = !tx.rows(others, &[device.as_str().into(), ticket.as_str().into()])?.is_empty();
    if is_used || archived::has_ticket(tx, device, ticket)? { Err(BooksError::ReusedTicket) } else { Ok(()) }
}

/// The newest attempt at a request, for the callers that wait for it.
pub fn newest(tx: &mut dyn Tx, device: &DeviceId, request: &RequestId) -> Result<Stored, BooksError> {
    ledger::latest(tx, device, request)?.ok_or(BooksError::Unknown)
}
