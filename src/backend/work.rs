//! Asking Midtrans on an order's behalf. [`advance`] is the only way to it: it claims, asks, writes the answer into the
//! books, and goes on while something follows at once. HTTP handlers call it, and so does the [`sweep`]: whoever dies in
//! between is replaced.

use super::books::{self, BooksError, Done, Forgotten, Stored};
use super::midtrans::{ChargeRequest, CustomFields, FraudStatus, MidtransError, Transaction, TransactionStatus, idempotency_key};
use super::shop::Shop;
use qris_core::order::ids::{DeviceId, OrderId};
use qris_core::order::merchant::{
    self, Attention, Call, Charge, Ending, Event, NoCharge, Order, Proof, RefundAnswer, Repayment, Report, Said, Sale, State, Told,
    Withheld,
};
use qris_core::order::money::Rupiah;
use qris_core::order::qris;
use qris_core::order::request::Payment;
use qris_core::order::time::Span;
use qris_host::events::{Event as Journal, emit};
use qris_host::{clock, service};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// One call for a charge; then the same is asked again while the machine waits its ten seconds.
const CHARGE_TIMEOUT: Duration = Duration::from_secs(5);
/// The image of a QR, all tries together.
const QR_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two tries at the image.
const QR_PAUSE: Duration = Duration::from_millis(300);
/// What is due within this is waited for, not left to the sweep.
const SOON: Span = Span::secs(4);
/// The sweep looks so often for what is due.
const SWEEP: Duration = Duration::from_secs(1);
/// Every so many sweeps old news are dropped.
const PRUNE_EVERY: u32 = 600;

/// Does what an order needs now, if nobody else does.
pub async fn advance(shop: Arc<Shop>, id: OrderId) {
    let now = clock::now().wall;
    let wanted = id.clone();
    // The journal was told of an error; the sweep comes again.
    if let Ok(done) = shop.write(move |tx, desk| books::claim(tx, desk, &wanted, now)).await {
        carry_on(shop, done).await;
    }
}

/// Goes on with what a transaction claimed for the caller.
pub async fn carry_on(shop: Arc<Shop>, mut done: Done) {
    loop {
        announce(&shop, &done);
        let id = done.now.order.id.clone();
        let Some(call) = done.call else { return };
        let event = ask(&shop, &done.now.order, call).await;
        let answered = {
            let id = id.clone();
            shop.write(move |tx, desk| books::answered(tx, desk, &id, event, clock::now().wall)).await
        };
        let Ok(answered) = answered else { return };
        done = answered;
        if done.call.is_none()
            && let Some(due) = merchant::next_deadline(&done.now.order)
            && due - clock::now().wall < SOON
        {
            announce(&shop, &done);
            sleep((due - clock::now().wall).to_duration()).await;
            let Ok(claimed) = shop.write(move |tx, desk| books::claim(tx, desk, &id, clock::now().wall)).await else { return };
            done = claimed;
        }
    }
}

/// Takes up whatever is due, for ever. It feeds the watchdog: a backend that cannot read its books is not well.
pub async fn sweep(shop: Arc<Shop>) {
    let feed = service::watchdog_interval().map_or(SWEEP, |wanted| wanted / 2);
    let mut tick = interval(SWEEP.min(feed));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 0_u32.. {
        tokio::select! {
            _ = tick.tick() => {}
            () = shop.due.notified() => {}
        }
        if round % PRUNE_EVERY == PRUNE_EVERY - 1 {
            // The next round tries again.
            let _ = shop.write(|tx, _| books::prune_outbox(tx, clock::now().wall)).await;
        }
        if take_up(&shop).await.is_ok() && take_up_strangers(&shop).await.is_ok() {
            service::watchdog();
        }
    }
}

/// Takes up what is due now.
///
/// # Errors
/// The books cannot be read.
pub async fn take_up(shop: &Arc<Shop>) -> Result<(), BooksError> {
    let ids = shop.read(|tx| books::claim_due(tx, clock::now().wall)).await?;
    if shop.store_fails() {
        // Nothing else may be written for hours that would show that it can be again.
        let _ = shop.write(|tx, _| books::prune_outbox(tx, clock::now().wall)).await;
    }
    // Over the time until the next look, so that Midtrans is not asked about all of them in one moment.
    let pause = SWEEP / u32::try_from(ids.len()).unwrap_or(u32::MAX).max(1);
    for (turn, id) in (0_u32..).zip(ids) {
        // Those for which there is no place now are still due at the next look.
        let Ok(place) = Arc::clone(&shop.asking).try_acquire_owned() else { break };
        let shop = Arc::clone(shop);
        tokio::spawn(async move {
            sleep(pause * turn).await;
            advance(shop, id).await;
            drop(place);
        });
    }
    Ok(())
}

/// Asks about orders that notifications name and the books do not have.
///
/// # Errors
/// The books cannot be read.
pub async fn take_up_strangers(shop: &Arc<Shop>) -> Result<(), BooksError> {
    for id in shop.read(|tx| books::strangers(tx, clock::now().wall)).await? {
        // Another shop's notifications, or a flood of them, must not keep Midtrans from what is ours.
        if shop.may_look_up(&id, None) {
            tokio::spawn(ask_about_stranger(Arc::clone(shop), id));
        }
    }
    Ok(())
}

async fn ask_about_stranger(shop: Arc<Shop>, id: OrderId) {
    // The journal was told of an error; the sweep comes again.
    let Ok(found) = take_back(&shop, &id, None).await else { return };
    let why = match &found {
        Found::Rebuilt(_) => return,
        Found::NotOurs => "Midtrans has no custom fields of ours for it",
        Found::Unknown => "Midtrans does not know it",
        Found::Unanswered => "",
    };
    let wanted = id.clone();
    let waits = shop.write(move |tx, _| match found {
        Found::NotOurs | Found::Rebuilt(_) => books::forget(tx, &wanted).map(|()| false),
        Found::Unknown | Found::Unanswered => books::ask_later(tx, &wanted, matches!(found, Found::Unknown), clock::now().wall),
    });
    if matches!(waits.await, Ok(false)) {
        emit(&Journal::NotificationForeign { order: Some(id), why: why.into() });
    }
}

/// What became of an order that the books do not have.
#[derive(Debug)]
pub enum Found {
    /// It is in the books again.
    Rebuilt(Box<Stored>),
    /// It is not ours, or not of the machine that asks.
    NotOurs,
    /// Midtrans knows no such order.
    Unknown,
    /// Midtrans could not be asked.
    Unanswered,
}

/// Asks Midtrans about an order that the books do not have, and takes it back.
///
/// # Errors
/// The database's.
pub async fn take_back(shop: &Arc<Shop>, id: &OrderId, asked_by: Option<DeviceId>) -> Result<Found, BooksError> {
    let report = match get_status(shop, id).await {
        Looked::Found(report) if report.order_id == *id => report,
        Looked::Unknown => return Ok(Found::Unknown),
        // Of another order than was asked for, or no answer at all.
        Looked::Found(_) | Looked::Unanswered => return Ok(Found::Unanswered),
    };
    match shop.write(move |tx, desk| books::rebuild(tx, desk, &report, asked_by.as_ref(), clock::now().wall)).await? {
        Forgotten::NotOurs => Ok(Found::NotOurs),
        Forgotten::Rebuilt(done) => {
            let stored = done.now.clone();
            let Sale { device, request_id, item, amount, .. } = stored.order.sale.clone();
            emit(&Journal::OrderRebuilt { request: request_id, order: id.clone(), device, item, amount });
            if merchant::next_deadline(&stored.order).is_some() {
                shop.due.notify_one();
            }
            tokio::spawn(carry_on(Arc::clone(shop), *done));
            Ok(Found::Rebuilt(Box::new(stored)))
        }
    }
}

/// Tells everybody whom a committed change concerns.
pub fn announce(shop: &Arc<Shop>, done: &Done) {
    // First: on a computer with all programs the journal tells what follows from it behind it.
    journal(shop, done);
    let sale = &done.now.order.sale;
    if done.news || done.next.is_some() || books::state_word(&done.now.order.state) != books::state_word(&done.was.state) {
        shop.waiters.wake(&sale.device, &sale.request_id);
    }
    if done.news && shop.desk().push {
        shop.outbox.notify_one();
    }
    if done.alert {
        shop.alerts.notify_one();
    }
    if let Some(next) = &done.next {
        shop.due.notify_one();
        tokio::spawn(advance_later(Arc::clone(shop), next.clone()));
    }
}

/// A new attempt waits a moment before it asks.
async fn advance_later(shop: Arc<Shop>, id: OrderId) {
    let wanted = id.clone();
    let Ok(Some(stored)) = shop.read(move |tx| books::load(tx, &wanted)).await else { return };
    if let Some(due) = merchant::next_deadline(&stored.order) {
        sleep((due - clock::now().wall).to_duration()).await;
    }
    advance(shop, id).await;
}

async fn ask(shop: &Shop, order: &Order, call: Call) -> Event {
    let permit = shop.calls.acquire().await;
    let event = match call {
        Call::Charge => charge(shop, order).await,
        Call::GetStatus => get_status(shop, &order.id).await.into(),
        Call::Cancel => cancel(shop, &order.id).await,
        Call::Refund => refund(shop, order).await,
    };
    drop(permit);
    event
}

async fn charge(shop: &Shop, order: &Order) -> Event {
    let Sale { device, request_id, item, amount, ticket, description, payment, .. } = order.sale.clone();
    let request = ChargeRequest {
        order_id: order.id.clone(),
        description: description.map(String::from).unwrap_or_default(),
        payment,
        fields: CustomFields { device, request_id, item, amount, ticket },
    };
    let key = idempotency_key(&order.id, "charge");
    let answer = match timeout(CHARGE_TIMEOUT, shop.midtrans.charge(&request, &key)).await {
        Ok(answer) => answer,
        Err(_) => Err(MidtransError::NoAnswer(format!("nothing in {} s", CHARGE_TIMEOUT.as_secs()))),
    };
    note(shop, &answer);
    let transaction = match answer {
        Ok(transaction) => transaction,
        Err(error) => return Event::NotCharged(no_charge(&error)),
    };
    let now = clock::now().wall;
    let idr = transaction.currency.as_deref().is_none_or(|currency| currency == "IDR");
    let (Some(gross_amount), true) = (transaction.gross_amount, idr) else {
        // It exists, and nothing of the kind was asked for: it is ended like one whose answer was lost.
        return Event::NotCharged(NoCharge::Exists);
    };
    let lifetime = match (transaction.transaction_time, transaction.expiry_time) {
        // By the difference: Midtrans' clock need not be ours.
        (Some(from), Some(to)) if to > from => to - from,
        _ => shop.midtrans.lifetime(payment),
    };
    let mut charge = Charge {
        transaction_id: transaction.transaction_id.clone(),
        gross_amount,
        qr_payload: None,
        qr_url: shop.midtrans.picture(&transaction).map(Into::into),
        deeplink_url: transaction.deeplink_url().map(Into::into),
        payment_code: transaction.payment_code.clone().map(Into::into),
        store: transaction.store.clone().map(|store| store.to_ascii_lowercase().into()),
        charged_at: now,
        expires_at: now + lifetime,
    };
    match payment {
        Payment::Gopay => {}
        Payment::Alfamart | Payment::Indomaret => {
            let there = charge.payment_code.is_some() && charge.store.as_deref().is_none_or(|store| store == payment.as_str());
            charge.store = Some(payment.as_str().into());
            let why = "its answer has no payment code, or that of another shop";
            return if there { Event::Charged(charge) } else { Event::ChargedUnreadable(charge, why.into()) };
        }
    }
    let payload = timeout(QR_TIMEOUT, qr_payload(shop, &transaction)).await;
    let payload = match payload {
        Ok(Ok(payload)) => payload,
        Ok(Err(error)) => return Event::ChargedUnreadable(charge, error.to_string().into()),
        Err(_) => return Event::ChargedUnreadable(charge, "its image did not come in time".into()),
    };
    if let Err(error) = qris::check(&payload, gross_amount) {
        return Event::ChargedUnreadable(charge, error.to_string().into());
    }
    shop.paid_by_qr(&order.id, &order.sale.device, qris::merchant(&payload).unwrap_or("none")).await;
    charge.qr_payload = Some(payload.into());
    Event::Charged(charge)
}

async fn qr_payload(shop: &Shop, transaction: &Transaction) -> Result<String, MidtransError> {
    loop {
        match shop.midtrans.qr_payload(transaction).await {
            Err(error) if error.may_retry() => sleep(QR_PAUSE).await,
            answer => return answer,
        }
    }
}

/// What a get-status brought.
#[derive(Debug)]
pub enum Looked {
    /// Midtrans knows it.
    Found(Report),
    /// Midtrans knows no such order.
    Unknown,
    /// Midtrans could not be asked.
    Unanswered,
}

impl From<Looked> for Event {
    fn from(looked: Looked) -> Self {
        match looked {
            Looked::Found(report) => Self::Status(report),
            Looked::Unknown => Self::StatusUnknown,
            Looked::Unanswered => Self::StatusUnanswered,
        }
    }
}

/// What Midtrans says of an order now.
pub async fn get_status(shop: &Shop, id: &OrderId) -> Looked {
    let answer = shop.midtrans.status(id.as_str()).await;
    note(shop, &answer);
    match answer {
        Ok(transaction) => Looked::Found(report(transaction)),
        Err(MidtransError::NotFound) => Looked::Unknown,
        Err(_) => Looked::Unanswered,
    }
}

async fn cancel(shop: &Shop, id: &OrderId) -> Event {
    let answer = shop.midtrans.cancel(id.as_str(), &idempotency_key(id, "cancel")).await;
    note(shop, &answer);
    match answer {
        Ok(transaction) => Event::CancelDone(report(transaction)),
        Err(MidtransError::CannotModify) => Event::CancelRefused,
        Err(MidtransError::NotFound) => Event::CancelUnknown,
        Err(_) => Event::CancelUnanswered,
    }
}

async fn refund(shop: &Shop, order: &Order) -> Event {
    let (amount, reason) = to_refund(order);
    let answer = shop.midtrans.refund(&order.id, amount, &reason, &idempotency_key(&order.id, "refund")).await;
    note(shop, &answer);
    Event::RefundAnswered(match answer {
        Ok(_) => RefundAnswer::Approved,
        Err(error) => refund_answer(&error),
    })
}

/// What goes back of an order, and the reason that Midtrans is given: all that the customer paid, an imposed fee
/// included. Without a sum Midtrans gives back the rest.
fn to_refund(order: &Order) -> (Option<Rupiah>, String) {
    let reason = match order.delivery.as_ref().map(|told| told.outcome) {
        Some(outcome) => format!("{}: {outcome}", order.sale.item),
        None => order.sale.item.to_string(),
    };
    (order.settlement().and_then(|by| by.gross_amount), reason)
}

fn refund_answer(error: &MidtransError) -> RefundAnswer {
    let why: Box<str> = error.to_string().into();
    match error {
        // A wrong key is mended by a person, and then the refund goes on by itself.
        MidtransError::Unauthorized | MidtransError::RateLimited | MidtransError::Unreachable(_) => RefundAnswer::Passing(why),
        MidtransError::Running | MidtransError::Unavailable { .. } | MidtransError::NoAnswer(_) => RefundAnswer::Unsure(why),
        MidtransError::RefundRefused { .. }
        | MidtransError::NotFound
        | MidtransError::Conflict
        | MidtransError::CannotModify
        | MidtransError::Denied { .. }
        | MidtransError::Refused { .. }
        | MidtransError::NotActivated { .. }
        | MidtransError::Qr(_) => RefundAnswer::Refused(why),
    }
}

/// Whether Midtrans can be asked at all; that it says no is an answer.
fn note<T>(shop: &Shop, answer: &Result<T, MidtransError>) {
    let trouble = match answer {
        Err(error @ (MidtransError::Unauthorized | MidtransError::Unreachable(_) | MidtransError::NoAnswer(_))) => Some(error.to_string()),
        Err(error @ MidtransError::Unavailable { .. }) => Some(error.to_string()),
        Ok(_) | Err(_) => None,
    };
    shop.note_midtrans(trouble);
}

fn no_charge(error: &MidtransError) -> NoCharge {
    let why: Box<str> = error.to_string().into();
    match error {
        MidtransError::RateLimited | MidtransError::Unreachable(_) => NoCharge::Passing(why),
        MidtransError::Running | MidtransError::Unavailable { .. } | MidtransError::NoAnswer(_) => NoCharge::Unsure(why),
        MidtransError::Conflict => NoCharge::Exists,
        MidtransError::Denied { .. } => NoCharge::NotMade { again: error.may_retry(), why },
        MidtransError::NotFound
        | MidtransError::CannotModify
        | MidtransError::Refused { .. }
        | MidtransError::Unauthorized
        | MidtransError::NotActivated { .. }
        | MidtransError::RefundRefused { .. }
        | MidtransError::Qr(_) => NoCharge::NotMade { again: false, why },
    }
}

/// A transaction in the core's words.
fn report(transaction: Transaction) -> Report {
    let said = said(&transaction.transaction_status, transaction.fraud_status.as_ref());
    Report {
        order_id: transaction.order_id,
        transaction_id: transaction.transaction_id,
        gross_amount: transaction.gross_amount,
        currency: transaction.currency.map(Into::into),
        payment_type: transaction.payment_type.map(Into::into),
        said,
        settled_at: transaction.settlement_time,
        custom_fields: transaction.custom_fields.map(|field| field.map(Into::into)),
        store: transaction.store.map(Into::into),
        payment_code: transaction.payment_code.map(Into::into),
        refund_amount: transaction.refund_amount,
    }
}

/// Midtrans' words in the core's.
#[must_use]
pub fn said(status: &TransactionStatus, fraud: Option<&FraudStatus>) -> Said {
    match status {
        TransactionStatus::Pending => Said::Pending,
        TransactionStatus::Settlement => match fraud {
            None | Some(FraudStatus::Accept) => Said::Settled,
            Some(FraudStatus::Deny | FraudStatus::Challenge | FraudStatus::Unknown(_)) => Said::Suspect,
        },
        TransactionStatus::Expire => Said::Expired,
        TransactionStatus::Cancel => Said::Cancelled,
        TransactionStatus::Deny => Said::Denied,
        TransactionStatus::Failure => Said::Failed,
        TransactionStatus::Refund => Said::Refunded,
        TransactionStatus::PartialRefund => Said::PartlyRefunded,
        TransactionStatus::Chargeback | TransactionStatus::PartialChargeback => Said::ChargedBack,
        TransactionStatus::Capture | TransactionStatus::Authorize | TransactionStatus::Unknown(_) => Said::Other,
    }
}

/// Tells the journal what an order became.
fn journal(shop: &Shop, done: &Done) {
    let order = &done.now.order;
    journal_listed(order, &done.was);
    if books::state_word(&order.state) == books::state_word(&done.was.state) {
        return;
    }
    let Sale { device, request_id, item, amount, .. } = order.sale.clone();
    let (id, request) = (order.id.clone(), request_id.clone());
    let count = |counter: &std::sync::atomic::AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    match &order.state {
        State::Charging { .. } => {}
        // Of one word with what can be paid; the receipt is what is told.
        State::Held { .. } => {}
        State::Pending { .. } => {
            count(&shop.counts.charges);
            emit(&Journal::ChargeMade { request, order: id, device, item, amount });
        }
        State::Cancelling { why: Ending::GrossAmount, charge, .. } => {
            let asked = charge.as_ref().map_or_else(|| "another sum".into(), |charge| charge.gross_amount.to_string());
            let why = format!("Midtrans asks {asked} for {amount}").into();
            emit(&Journal::ChargeRefused { request, order: id, device, item, amount, why });
        }
        State::Cancelling { why: Ending::Unreadable(why), .. } | State::Closed { why: Some(Ending::NotMade { why, .. }), .. } => {
            emit(&Journal::ChargeRefused { request, order: id, device, item, amount, why: why.to_string().into() });
        }
        State::Cancelling { .. } => {}
        State::Closed { how, why, .. } => {
            let why = match why {
                Some(why) => format!("{how:?}, {why:?}").to_lowercase(),
                None => format!("{how:?}").to_lowercase(),
            };
            emit(&Journal::OrderCancelled { request, order: id, device, why: why.into() });
        }
        State::Settled { .. } => {
            count(&shop.counts.receipts);
            emit(&Journal::ReceiptSigned { request, order: id, device, item, amount });
        }
        State::Withheld { by, why, .. } => {
            count(&shop.counts.withheld);
            let device = Some(device);
            match why {
                Withheld::Mismatch => emit(&Journal::SettlementMismatch {
                    request: Some(request),
                    order: id,
                    device,
                    amount: by.gross_amount,
                    why: "it is not what was charged".into(),
                }),
                Withheld::PaidTwice => {
                    emit(&Journal::RefundDue { request: Some(request), order: id, device, item, amount, why: "paid_twice".into() });
                }
            }
        }
        State::Refunded { .. } => {
            let why = match &order.repayment {
                Some(Repayment::ByHand { .. }) => "by hand",
                Some(Repayment::Asked { .. } | Repayment::Refused { .. } | Repayment::Done { .. } | Repayment::Given { .. }) | None => {
                    "through Midtrans"
                }
            };
            emit(&Journal::OrderRefunded { request, order: id, device, item, amount, why: why.into() });
        }
    }
}

/// Tells the journal for what a person must look at an order from now on; what has an event of its own is left to it.
fn journal_listed(order: &Order, was: &Order) {
    let had = was.attention();
    for kind in order.attention().into_iter().filter(|kind| !had.contains(kind)) {
        let why = match kind {
            Attention::NoProof => match &order.delivery {
                Some(Told { proof: Proof::Missing(why), .. }) => format!("no refund: the relay's proof is missing: {}", why.why()),
                Some(Told { proof: Proof::Signed { .. }, .. }) | None => kind.as_str().into(),
            },
            Attention::RefundDue | Attention::Uncertain | Attention::Mismatch | Attention::Conflict => continue,
            Attention::RefundFailed => match &order.repayment {
                Some(Repayment::Refused { why, .. }) => format!("no refund: {why}"),
                Some(Repayment::Asked { .. } | Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) | None => {
                    kind.as_str().into()
                }
            },
            Attention::Unreported => "the machine has told no outcome".into(),
            Attention::Suspect => "Midtrans' word for it may be money and may not".into(),
            Attention::PartialRefund => "a part of the money went back".into(),
            Attention::Chargeback => "the customer's bank took the money back".into(),
            Attention::Reversed => "the counter took its settlement back after the receipt was signed".into(),
            Attention::LateFact => "something came after the matter was settled".into(),
        };
        let Sale { device, request_id: request, item, amount, .. } = order.sale.clone();
        emit(&Journal::OrderListed { request, order: order.id.clone(), device, item, amount, why: why.into() });
    }
}
