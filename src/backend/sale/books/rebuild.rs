//! Orders that the gateway knows and the books do not: the database was lost, or restored from an older backup. The metadata
//! of a charge is enough to go on, for any machine that it names. If no machine takes the order, a person settles it.

use super::entry::{BooksError, Done, Policy};
use super::write::{Claim, write};
use super::{archived, ledger, listing, strangers};
use crate::store::Tx;
use qris_core::order::ids::{DeviceId, OrderId};
use qris_core::order::merchant::{
    self, ANSWER_WITHIN, CANCEL_AFTER_TIMEOUT, COUNTER_EXPIRY, Cancelling, Charge, Doubt, Ending, Event, Metadata, Order, Pending, Polling,
    QR_EXPIRY, Sale, State, StatusReport,
};
use qris_core::order::request::{Payment, Purchase, TIMEOUT_S};
use qris_core::order::time::Told;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forgotten {
    /// It is in the books again.
    Rebuilt(Box<Done>),
    /// The books have its transaction under another name. That order has heard the answer.
    Known(Box<Done>),
    /// It is not ours. It has no metadata of ours, or the metadata of another machine than the one that asks; or it is
    /// archived.
    NotOurs,
    /// The answer names another order, has metadata of ours, and is about a transaction that the books do not have.
    Unclear,
}

/// Takes the order of this name back from the answer to its get-status. The answer also decides its state.
pub fn rebuild(
    tx: &mut dyn Tx,
    policy: &Policy,
    id: &OrderId,
    report: &StatusReport,
    asked_by: Option<&DeviceId>,
    now: Told,
) -> Result<Forgotten, BooksError> {
    if let Some(stored) = ledger::load(tx, id)? {
        // Another process was quicker.
        let ours = asked_by.is_none_or(|device| *device == stored.order.sale.device);
        let event = answered(policy, &stored.order, report);
        let done = if ours { Some(write(tx, policy, stored, event, now, Claim::Keep)?) } else { None };
        strangers::forget(tx, id)?;
        return Ok(done.map_or(Forgotten::NotOurs, |done| Forgotten::Rebuilt(Box::new(done))));
    }
    if archived::archived(tx, id)?.is_some() {
        return Ok(Forgotten::NotOurs);
    }
    let metadata = match &report.metadata {
        [Some(first), Some(second), Some(third)] => Metadata::from_texts(first, second, third),
        _ => None,
    };
    if metadata.as_ref().is_some_and(|metadata| asked_by.is_some_and(|device| *device != metadata.device)) {
        return Ok(Forgotten::NotOurs);
    }
    // The gateway may have put a name of its own in the place of ours. One payment must not become two orders.
    let mut names: Vec<OrderId> = report.order_id.iter().cloned().collect();
    if let Some(metadata) = &metadata {
        names.extend(listing::attempts(tx, &metadata.device, &metadata.request_id)?);
    }
    for name in names {
        if let Some(known) = ledger::load(tx, &name)?.filter(|known| known.order.has_transaction(&report.transaction_id)) {
            let event = answered(policy, &known.order, report);
            let done = write(tx, policy, known, event, now, Claim::Keep)?;
            strangers::forget(tx, id)?;
            return Ok(Forgotten::Known(Box::new(done)));
        }
    }
    let Some(metadata) = metadata else { return Ok(Forgotten::NotOurs) };
    if !report.is_about(id, []) {
        return Ok(Forgotten::Unclear);
    }
    let attempt = ledger::latest(tx, &metadata.device, &metadata.request_id)?.map_or(1, |stored| stored.order.attempt + 1);
    let order = Order { attempt, ..rebuilt(policy, id, report, metadata, now) };
    let stored = ledger::insert(tx, order, None, "rebuilt from the gateway", now.wall)?;
    strangers::forget(tx, id)?;
    let event = answered(policy, &stored.order, report);
    let done = write(tx, policy, stored, event, now, Claim::Take)?;
    Ok(Forgotten::Rebuilt(Box::new(done)))
}

/// The order that its charge tells of, as it was before the answer.
fn rebuilt(policy: &Policy, id: &OrderId, report: &StatusReport, metadata: Metadata, now: Told) -> Order {
    let kid = policy.rules.keys.first().expect("the configuration has at least one key").kid().clone();
    let payment = report.payment;
    // The charged sum is forgotten, but its limits are known: the price, and the price with the allowed fee. A charge of another sum was
    // never to be paid, and a settlement of it matches nothing.
    let price = metadata.amount.get();
    let charged = price..=price.saturating_add(policy.rules.max_imposed_fee);
    let gross_amount = report.gross_amount.unwrap_or(metadata.amount);
    let expiry = if payment == Payment::Gopay { QR_EXPIRY } else { COUNTER_EXPIRY };
    let charge = Charge {
        transaction_id: report.transaction_id.clone(),
        gross_amount,
        qr_payload: None,
        qr_url: None,
        deeplink_url: None,
        payment_code: report.payment_code.clone(),
        store: report.store.clone(),
        charged_at: now.wall,
        expires_at: now + expiry,
    };
    let sale = Sale {
        device: metadata.device,
        purchase: Purchase {
            request_id: metadata.request_id,
            ticket: metadata.ticket,
            item: metadata.item,
            asked: None,
            description: None,
            machine: None,
            amount: metadata.amount,
            payment,
            timeout_s: *TIMEOUT_S.end(),
        },
        kid,
        // The key of today may not have been known then.
        relay_key: None,
    };
    let state = if charged.contains(&gross_amount.get()) {
        let cancel_at = (payment == Payment::Gopay).then(|| now + sale.purchase.timeout() + CANCEL_AFTER_TIMEOUT);
        State::Pending(Pending { charge, cancel_at, doubt: Doubt::default() })
    } else {
        State::Cancelling(Cancelling {
            charge: Some(charge),
            why: Ending::GrossAmount,
            get_status: false,
            tries: 0,
            retry_at: now.wall,
            doubt: Doubt::default(),
        })
    };
    Order {
        answer_by: now - ANSWER_WITHIN,
        state,
        polling: Polling { at: Some(now + merchant::ASK_SPACING), ..Polling::default() },
        rebuilt: true,
        ..merchant::begin(id.clone(), sale, now)
    }
}

/// The event of this answer for that order. If it does not count, the history says why.
fn answered(policy: &Policy, order: &Order, report: &StatusReport) -> Event {
    match order.judge(report, &policy.rules) {
        Ok(()) => Event::Status(report.clone()),
        Err(differs) => Event::StatusUnclear(differs.to_string().into()),
    }
}
