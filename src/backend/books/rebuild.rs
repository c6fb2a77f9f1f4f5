//! Orders that Midtrans knows and the books do not: the database was lost, or restored from an older backup. What a charge
//! carried in its custom fields is enough to go on, whichever machine it names: a person settles what no machine takes.

use super::{BooksError, Claim, Desk, Done, archived, ledger, strangers, write};
use crate::midtrans::CustomFields;
use crate::store::Tx;
use qris_core::order::ids::DeviceId;
use qris_core::order::merchant::{
    self, ANSWER_WITHIN, Ask, CANCEL_AFTER_TIMEOUT, COUNTER_EXPIRY, Charge, Event, MIDTRANS_EXPIRY, Order, Report, Sale, State,
};
use qris_core::order::request::{Payment, TIMEOUT_S};
use qris_core::order::time::{Span, Wall};

/// What became of a forgotten order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forgotten {
    /// It is in the books again.
    Rebuilt(Box<Done>),
    /// It is not ours: no custom fields of ours, or another machine than the one that asks; or it is archived.
    NotOurs,
}

/// Takes an order back from what get-status says of it, and lets that decide what it is.
///
/// # Errors
/// The database's.
pub fn rebuild(tx: &mut dyn Tx, desk: &Desk, report: &Report, asked_by: Option<&DeviceId>, now: Wall) -> Result<Forgotten, BooksError> {
    if let Some(stored) = ledger::load(tx, &report.order_id)? {
        // Somebody else was quicker.
        let ours = asked_by.is_none_or(|device| *device == stored.order.sale.device);
        let done = if ours { Some(write(tx, desk, stored, Event::Status(report.clone()), now, Claim::Keep)?) } else { None };
        strangers::forget(tx, &report.order_id)?;
        return Ok(done.map_or(Forgotten::NotOurs, |done| Forgotten::Rebuilt(Box::new(done))));
    }
    if archived::archived(tx, &report.order_id)?.is_some() {
        return Ok(Forgotten::NotOurs);
    }
    let [Some(first), Some(second), Some(third)] = &report.custom_fields else { return Ok(Forgotten::NotOurs) };
    let Some(fields) = CustomFields::from_texts(first, second, third) else { return Ok(Forgotten::NotOurs) };
    if asked_by.is_some_and(|device| *device != fields.device) {
        return Ok(Forgotten::NotOurs);
    }
    let timeout = Span::secs((*TIMEOUT_S.end()).into());
    let attempt = ledger::latest(tx, &fields.device, &fields.request_id)?.map_or(1, |stored| stored.order.attempt + 1);
    let kid = desk.rules.keys.first().expect("the configuration has at least one key").kid().clone();
    let payment = payment(report);
    // What was charged is forgotten, but not what it may have been: the price, with the fee that is allowed. Another sum is no
    // charge of ours, and a settlement of it matches nothing.
    let price = fields.amount.get();
    let charged = price..=price.saturating_add(desk.rules.max_imposed_fee);
    let gross_amount = report.gross_amount.filter(|gross_amount| charged.contains(&gross_amount.get())).unwrap_or(fields.amount);
    let expiry = if payment == Payment::Gopay { MIDTRANS_EXPIRY } else { COUNTER_EXPIRY };
    let charge = Charge {
        transaction_id: report.transaction_id.clone(),
        gross_amount,
        qr_payload: None,
        qr_url: None,
        deeplink_url: None,
        payment_code: report.payment_code.clone(),
        store: report.store.clone(),
        charged_at: now,
        expires_at: now + expiry,
    };
    let sale = Sale {
        device: fields.device,
        request_id: fields.request_id,
        ticket: fields.ticket,
        item: fields.item,
        description: None,
        amount: fields.amount,
        payment,
        timeout,
        kid,
    };
    let cancel_at = (payment == Payment::Gopay).then(|| now + timeout + CANCEL_AFTER_TIMEOUT);
    let order = Order {
        attempt,
        answer_by: now - ANSWER_WITHIN,
        state: State::Pending { charge, cancel_at },
        ask: Ask { at: Some(now + merchant::ASK_SPACING), ..Ask::default() },
        rebuilt: true,
        ..merchant::begin(report.order_id.clone(), sale, now)
    };
    let stored = ledger::insert(tx, &order, None, "rebuilt from Midtrans", now)?;
    strangers::forget(tx, &order.id)?;
    let done = write(tx, desk, stored, Event::Status(report.clone()), now, Claim::Take)?;
    Ok(Forgotten::Rebuilt(Box::new(done)))
}

/// How it was to be paid: at the counter that Midtrans names, else by a QR.
fn payment(report: &Report) -> Payment {
    let at = |name: &str| report.store.as_deref().is_some_and(|store| store.eq_ignore_ascii_case(name));
    match report.payment_type.as_deref() {
        Some("cstore") if at("indomaret") => Payment::Indomaret,
        Some("cstore") => Payment::Alfamart,
        Some(_) | None => Payment::Gopay,
    }
}
