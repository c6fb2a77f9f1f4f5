//! The requests of machines. Every write runs in a task of its own: a machine that hangs up leaves nothing half done.

use super::limit::Pace;
use super::machine::Machine;
use super::refusal::Refusal;
use super::request::{Fields, Named};
use crate::gateway::{Gateway, WatchedGateway};
use crate::machines::devices;
use crate::machines::handle::Machines;
use crate::machines::twins::{Sight, is_ledger_old};
use crate::sale::books::{self, BooksError, Noted, Stored};
use crate::sale::handle::Books;
use crate::sale::view;
use crate::sale::waiters::{WaitPermit, Waiters};
use crate::sale::work::{Found, Work};
use crate::store::{StoreError, Tx};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use qris_core::order::ids::{DeviceId, OrderId, RequestId};
use qris_core::order::late_sign::LateNews;
use qris_core::order::merchant::{ANSWER_WITHIN, Ending, NoTry, Refused, Sale, Standing};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::promise::Promise;
use qris_core::order::reason::Reason;
use qris_core::order::request::{DESCRIPTION_MAX, Payment, Purchase, TIMEOUT_S};
use qris_core::order::tries::TryNumber;
use qris_core::text::{self, steers};
use qris_core::wire::orders::{
    AT_BROKER, Amounts, LATE_SIGN, MACHINE_NAME_MAX, NewOrder, OpenOrders, OrderResource, OutcomeReport, RECEIPT_KEYS, RELAY_KEY, Status,
    TAKEN_OVER, TOPICS, WAIT_MAX_S,
};
use qris_core::wire::topics::TopicsTold;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The time to look a forgotten order up at the gateway.
const LOOK_UP: Duration = Duration::from_secs(10);
/// How long a machine that asks whether an order is paid waits for the gateway. The customer at the machine waits for ten seconds.
const ASK_WAIT: Duration = Duration::from_secs(5);
/// The most characters that are kept of an outcome's detail.
const DETAIL_CHARS_MAX: usize = 200;
/// How long a POST waits for its charge. Its answer must be there within ten seconds.
const CHARGE_WAIT: Duration = Duration::from_millis(9500);
/// The most keys that a machine lists.
const KIDS_MAX: usize = 32;
/// The pixels a module of a QR image, and its quiet modules.
const QR_SCALE: u32 = 8;
const QR_QUIET: u32 = 4;

/// `POST /v1/orders`
pub async fn create(
    Shared(work): Shared<Arc<Work>>,
    Shared(machines): Shared<Arc<Machines>>,
    Shared(place): Shared<Arc<view::Shop>>,
    Shared(pace): Shared<Arc<Pace>>,
    Shared(gateway): Shared<Arc<WatchedGateway>>,
    Machine { device, token_hash, relay_key, .. }: Machine,
    request: Request,
) -> Result<Response, Refusal> {
    let _place = waiting(work.waiters(), &device)?;
    let headers = request.headers().clone();
    let new = read_new_order(Fields::read(request).await?, &headers, gateway.ask())?;
    let kid = work
        .books()
        .policy()
        .rules
        .choose(&new.kids)
        .cloned()
        .ok_or_else(|| Refusal::field(Reason::UnknownKey, "kids", "no receipt key of the relay is one of ours"))?;
    let digest = qris_core::hex(ring::digest::digest(&ring::digest::SHA256, &serde_json::to_vec(&new).expect("plain data")).as_ref());
    machines.relay_key_shown(&device, token_hash, new.relay_key.clone()).await;
    let relay_key = if new.relay_key.is_none() || new.relay_key == relay_key {
        relay_key
    } else {
        // The key that the request shows counts only if it has just become the known one.
        let device = device.clone();
        machines.read(move |tx| devices::relay_key(tx, &device)).await?
    };
    let sale = Sale { purchase: new.purchase, device, kid, relay_key };
    let (device, request_id) = (sale.device.clone(), sale.purchase.request_id.clone());
    let is_new = apart(Arc::clone(&work).take(sale, digest)).await?;

    let waiter = work.waiters().register(&device, &request_id);
    let answer = waiter.until(CHARGE_WAIT, || charged(work.books(), &place, &device, &request_id)).await?;
    match answer {
        Some(Charged::Order(order)) => {
            pace.is_there(&order.order_id);
            Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, *order).into_response())
        }
        Some(Charged::Refused(refusal)) => Err(refusal),
        None => Err(Refusal::gateway("the gateway has not answered yet: ask again with the same Idempotency-Key").retry_after(1)),
    }
}

/// In a task of its own: a machine that goes away leaves nothing half done.
async fn apart<T: Send + 'static>(task: impl Future<Output = Result<T, BooksError>> + Send + 'static) -> Result<T, BooksError> {
    tokio::spawn(task).await.unwrap_or(Err(BooksError::Store(StoreError::Gone)))
}

/// A machine's request that waits for the gateway.
fn waiting<'a>(waiters: &'a Waiters, device: &DeviceId) -> Result<WaitPermit<'a>, Refusal> {
    waiters.at_gateway(device).ok_or_else(|| Refusal::too_many("too many requests of this machine wait already"))
}

/// One order, as its machine sees it.
fn resource(stored: &Stored, books: &Books, place: &view::Shop) -> Json<OrderResource> {
    Json(view::resource(&stored.order, stored.rev, books.now(), place))
}

enum Charged {
    Order(Box<Json<OrderResource>>),
    Refused(Refusal),
}

/// The state of the newest attempt at a request; `None` while it is being charged.
async fn charged(books: &Books, place: &view::Shop, device: &DeviceId, request: &RequestId) -> Result<Option<Charged>, Refusal> {
    let key = (device.clone(), request.clone());
    let stored = books.read(move |tx| books::newest(tx, &key.0, &key.1)).await?;
    let order = &stored.order;
    if order.standing() == Standing::Charging {
        return Ok(None);
    }
    let refused = match order.why() {
        // Another attempt follows, or the time runs out.
        Some(Ending::GaveUp | Ending::NotMade { again: true, .. }) if books.now().wall < order.answer_by => return Ok(None),
        Some(Ending::GaveUp | Ending::Leftover) => Some(Refusal::gateway("the charge could not be made")),
        Some(Ending::NotMade { again: true, why }) => Some(Refusal::gateway(why.to_string())),
        // It refuses this sale for good. Who waits for another answer waits in vain.
        Some(Ending::NotMade { again: false, why }) => {
            Some(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY).code(Reason::Gateway).detail(why.to_string()))
        }
        Some(Ending::GrossAmount) => {
            let asked = order.charge().map_or(0, |charge| charge.gross_amount.get());
            let detail = format!("the gateway asks {asked} for a price of {}", order.sale.purchase.amount.get());
            Some(Refusal::field(Reason::GrossAmount, "amount", detail))
        }
        // It would be the same again, so there is no retry.
        Some(Ending::Unreadable(why)) => Some(
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY)
                .code(Reason::Gateway)
                .detail(format!("the gateway's answer cannot be shown: {why}")),
        ),
        Some(Ending::Requested | Ending::Timeout) | None => None,
    };
    Ok(Some(match refused {
        Some(refusal) => Charged::Refused(refusal),
        None => Charged::Order(Box::new(resource(&stored, books, place))),
    }))
}

fn read_new_order(mut fields: Fields, headers: &HeaderMap, gateway: &dyn Gateway) -> Result<NewOrder, Refusal> {
    let request_id: Option<RequestId> = fields.needed("request_id");
    let ticket = fields.needed("ticket");
    let kids: Option<Vec<_>> = fields.needed("kids");
    let item = fields.needed("item");
    let asked = fields.maybe("asked");
    let description: Option<Box<str>> = fields.maybe("description");
    let machine: Option<Box<str>> = fields.maybe("machine");
    let amount: Option<Rupiah> = fields.needed("amount");
    let payment: Option<Payment> = fields.needed("payment");
    let timeout_s: Option<u16> = fields.needed("timeout_s");
    let relay_key = fields.maybe("relay_key");
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    if request_id.as_ref().is_some_and(|id| key != Some(id.as_str())) {
        fields.wrong("Idempotency-Key", "the header must be the request_id");
    }
    if kids.as_ref().is_some_and(|kids| kids.len() > KIDS_MAX) {
        fields.wrong("kids", format!("at most {KIDS_MAX} keys"));
    }
    for (name, text, most) in [("description", &description, DESCRIPTION_MAX), ("machine", &machine, MACHINE_NAME_MAX)] {
        if text.as_ref().is_some_and(|text| text.chars().count() > most || text.contains(steers)) {
            fields.wrong(name, format!("at most {most} printable characters"));
        }
    }
    if let (Some(payment), Some(amount)) = (payment, amount)
        && !gateway.amounts(payment).contains(&amount.get())
    {
        let (least, most) = gateway.amounts(payment).into_inner();
        fields.wrong("amount", format!("{} takes Rp{least} to Rp{most}", payment.as_str()));
    }
    if timeout_s.is_some_and(|seconds| !TIMEOUT_S.contains(&seconds)) {
        fields.wrong("timeout_s", format!("must be {} to {}", TIMEOUT_S.start(), TIMEOUT_S.end()));
    }
    let read = || {
        let (request_id, ticket, item, amount) = (request_id?, ticket?, item?, amount?);
        let (payment, timeout_s) = (payment?, timeout_s?);
        let purchase = Purchase { request_id, ticket, item, asked, description, machine, amount, payment, timeout_s };
        Some(NewOrder { purchase, kids: kids?, relay_key })
    };
    fields.end(read())
}

/// `?wait=…&since=…`, `?ask=true` and `?state=…`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct OrderQuery {
    wait: Option<u64>,
    since: Option<u64>,
    ask: bool,
    state: Option<String>,
}

fn query(wanted: Result<Query<OrderQuery>, QueryRejection>) -> Result<OrderQuery, Refusal> {
    let wrong =
        |rejection: QueryRejection| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY).code(Reason::Malformed).detail(rejection.body_text());
    wanted.map(|Query(wanted)| wanted).map_err(wrong)
}

/// `GET /v1/orders?state=open`
pub async fn open(
    Shared(work): Shared<Arc<Work>>,
    Shared(machines): Shared<Arc<Machines>>,
    Shared(place): Shared<Arc<view::Shop>>,
    Shared(gateway): Shared<Arc<WatchedGateway>>,
    Machine { device, sight, token_hash, .. }: Machine,
    headers: HeaderMap,
    wanted: Result<Query<OrderQuery>, QueryRejection>,
) -> Result<([(&'static str, String); 1], Json<OpenOrders>), Refusal> {
    let wanted = query(wanted)?;
    if wanted.state.as_deref() != Some("open") {
        return Err(Refusal::field(Reason::Malformed, "state", "must be open"));
    }
    machines.at_broker(&device, headers.get(AT_BROKER).is_some_and(|value| value == TAKEN_OVER)).await;
    let topics = headers.get(TOPICS).and_then(|topics| topics.to_str().ok()).map(TopicsTold::read).unwrap_or_default();
    machines.topics_told(&device, &topics, sight.boot.as_deref());
    let at_broker = machines.is_hearing();
    // A key of another form is of a later release.
    let shown = headers.get(RELAY_KEY).and_then(|key| key.to_str().ok()?.parse().ok());
    machines.relay_key_shown(&device, token_hash, shown).await;
    can_be_written(work.books())?;
    // One of another form is of a later release.
    if let Some(news) = headers.get(LATE_SIGN).and_then(|news| LateNews::read(news.to_str().ok()?)) {
        take_late_sign(&work, device.clone(), news).await?;
    }
    let read = move |tx: &mut dyn Tx| Ok((books::open_orders(tx, &device)?, books::taken_out(tx, &device)?));
    let (orders, taken_out) = work.books().read(read).await?;
    let now = work.books().now();
    let orders = orders.iter().map(|stored| view::resource(&stored.order, stored.rev, now, &place)).collect();
    let kids: Vec<_> = work.books().policy().rules.keys.iter().map(|key| key.kid().to_string()).collect();
    Ok(([(RECEIPT_KEYS, kids.join(", "))], Json(OpenOrders { orders, taken_out, amounts: amounts(gateway.ask()), at_broker })))
}

fn amounts(gateway: &dyn Gateway) -> BTreeMap<Box<str>, Amounts> {
    let of = |payment: Payment| {
        let (min, max) = gateway.amounts(payment).into_inner();
        (payment.as_str().into(), Amounts { min, max })
    };
    [Payment::Gopay, Payment::Alfamart, Payment::Indomaret].map(of).into()
}

async fn take_late_sign(work: &Arc<Work>, device: DeviceId, news: LateNews) -> Result<(), Refusal> {
    let task = Arc::clone(work);
    let written = apart(async move {
        let done = task.books().write(move |tx, policy, now| books::late_sign(tx, policy, &device, &news, now)).await?;
        if let Some(done) = &done {
            task.announce(done);
        }
        Ok(done)
    });
    let Some(done) = written.await? else { return Ok(()) };
    let (order, was) = (&done.now.order, &done.was);
    if let Some(stands) = order.delivery().filter(|_| order.has_conflict() && !was.has_conflict()) {
        work.conflict(&order.id, &order.sale.device, Delivery::Dispensed, stands.outcome.as_str());
    }
    Ok(())
}

/// `GET /v1/orders/{order_id}`
pub async fn show(
    Shared(work): Shared<Arc<Work>>,
    Shared(place): Shared<Arc<view::Shop>>,
    Shared(pace): Shared<Arc<Pace>>,
    Machine { device, .. }: Machine,
    id: Named,
    wanted: Result<Query<OrderQuery>, QueryRejection>,
) -> Result<Json<OrderResource>, Refusal> {
    let wanted = query(wanted)?;
    let mut stored = find(&work, &device, id.as_str()).await?;
    pace.is_there(&stored.order.id);
    if wanted.ask {
        stored = asked(&work, &device, stored).await?;
    }
    let wait = wanted.wait.unwrap_or(0).min(WAIT_MAX_S);
    let since = wanted.since.unwrap_or(stored.rev);
    if stored.rev > since {
        return Ok(resource(&stored, work.books(), &place));
    }
    // The machine may know more than books that were put back. Whatever changes here is news all the same.
    let since = since.min(stored.rev);
    if wait == 0 {
        return unchanged(&stored, work.books(), &place);
    }
    let Some(_poll) = work.waiters().long_poll(&device) else {
        return Err(Refusal::too_many("two long polls are open already"));
    };
    let id = stored.order.id.clone();
    let waiter = work.waiters().register(&device, &stored.order.sale.purchase.request_id);
    let changed = waiter.until(Duration::from_secs(wait), || {
        let id = id.clone();
        let work = &work;
        async move {
            let stored = work.books().read(move |tx| books::load(tx, &id)?.ok_or(BooksError::Unknown)).await?;
            Ok::<_, Refusal>((stored.rev > since).then_some(stored))
        }
    });
    match changed.await? {
        Some(changed) => Ok(resource(&changed, work.books(), &place)),
        None => unchanged(&stored, work.books(), &place),
    }
}

/// An order without news. While it waits to be paid, that is an answer only if a payment could be written down.
fn unchanged(stored: &Stored, books: &Books, place: &view::Shop) -> Result<Json<OrderResource>, Refusal> {
    if stored.order.status() == Status::Pending {
        can_be_written(books)?;
    }
    Ok(resource(stored, books, place))
}

/// A machine that hears nothing else tells people that nothing can be sold.
fn can_be_written(books: &Books) -> Result<(), Refusal> {
    if books.fail() { Err(Refusal::store("the books cannot be written")) } else { Ok(()) }
}

/// `GET /v1/orders/{order_id}/qr.png`
pub async fn qr_png(Shared(work): Shared<Arc<Work>>, Machine { device, .. }: Machine, id: Named) -> Result<Response, Refusal> {
    let stored = find(&work, &device, id.as_str()).await?;
    let payload = view::offered(&stored.order).and_then(|charge| charge.qr_payload.clone());
    let Some(payload) = payload else { return Err(Refusal::nothing("this order has no QR")) };
    match draw(&payload) {
        Some(png) => Ok(([(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "private, max-age=900")], png).into_response()),
        None => Err(Refusal::nothing("this order's QR cannot be drawn")),
    }
}

/// The payload as a picture: whole pixels, with its quiet zone.
pub(super) fn draw(payload: &str) -> Option<Vec<u8>> {
    let code = qrcode::QrCode::with_error_correction_level(payload, qrcode::EcLevel::M).ok()?;
    let modules = u32::try_from(code.width()).ok()?;
    let colours = code.to_colors();
    let side = (modules + 2 * QR_QUIET) * QR_SCALE;
    let dark = |at: u32| at.checked_div(QR_SCALE).and_then(|at| at.checked_sub(QR_QUIET)).filter(|at| *at < modules);
    let pixel = |x: u32, y: u32| match (dark(x), dark(y)) {
        (Some(x), Some(y)) if colours[(y * modules + x) as usize] == qrcode::Color::Dark => 0_u8,
        _ => 255,
    };
    let pixels: Vec<u8> = (0..side).flat_map(|y| (0..side).map(move |x| (x, y))).map(|(x, y)| pixel(x, y)).collect();
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().ok()?.write_image_data(&pixels).ok()?;
    Some(png)
}

/// `POST /v1/orders/{order_id}/cancel`
pub async fn cancel(
    Shared(work): Shared<Arc<Work>>,
    Shared(place): Shared<Arc<view::Shop>>,
    Machine { device, .. }: Machine,
    id: Named,
) -> Result<Json<OrderResource>, Refusal> {
    let _place = waiting(work.waiters(), &device)?;
    let stored = find(&work, &device, id.as_str()).await?;
    let (id, request) = (stored.order.id.clone(), stored.order.sale.purchase.request_id.clone());
    let (task, of, wanted) = (Arc::clone(&work), device.clone(), id.clone());
    apart(async move {
        let done = task.books().write(move |tx, policy, now| books::cancel_requested(tx, policy, &of, &wanted, now)).await?;
        tokio::spawn(task.carry_on(done));
        Ok(())
    })
    .await?;
    let waiter = work.waiters().register(&device, &request);
    let ended = waiter.until(ANSWER_WITHIN.to_duration(), || {
        let id = id.clone();
        let work = &work;
        async move {
            let stored = work.books().read(move |tx| books::load(tx, &id)?.ok_or(BooksError::Unknown)).await?;
            // Of a payment that nobody confirms the end may never come.
            let is_known = stored.order.status() != Status::Pending || stored.order.is_unconfirmed();
            Ok::<_, Refusal>(is_known.then_some(stored))
        }
    });
    match ended.await? {
        Some(stored) => Ok(resource(&stored, work.books(), &place)),
        None => Err(Refusal::gateway("the gateway has not ended it yet; we go on trying")),
    }
}

/// A machine says that an order was paid. Asks the gateway about it, as after a notification.
async fn look_again(work: &Arc<Work>, id: OrderId) -> Result<(), BooksError> {
    let noted = work.books().write(move |tx, policy, now| books::payment_reported(tx, policy, &id, now)).await?;
    if let Noted::News(done) = noted {
        tokio::spawn(Arc::clone(work).carry_on(*done));
    }
    Ok(())
}

/// The order after the gateway was asked about it, or as it is if the gateway need not be asked now. A machine takes the answer for the
/// gateway's, so its silence is none.
async fn asked(work: &Arc<Work>, device: &DeviceId, stored: Stored) -> Result<Stored, Refusal> {
    if !stored.order.may_be_asked_about(work.books().now()) {
        return Ok(stored);
    }
    let _place = waiting(work.waiters(), device)?;
    let id = stored.order.id.clone();
    let waiter = work.waiters().register(device, &stored.order.sale.purchase.request_id);
    let (task, of, wanted) = (Arc::clone(work), device.clone(), id.clone());
    apart(async move {
        let done = task.books().write(move |tx, policy, now| books::status_requested(tx, policy, &of, &wanted, now)).await?;
        tokio::spawn(task.carry_on(done));
        Ok(())
    })
    .await?;
    let answered = waiter.until(ASK_WAIT, || {
        let id = id.clone();
        let before = &stored;
        async move {
            let now = work.books().read(move |tx| books::load(tx, &id)?.ok_or(BooksError::Unknown)).await?;
            let is_news = now.rev > before.rev || now.order.polling.last_at != before.order.polling.last_at;
            Ok::<_, Refusal>(is_news.then_some(now))
        }
    });
    match answered.await? {
        Some(now) if now.rev > stored.rev || now.order.polling.answered => Ok(now),
        Some(_) | None => Err(Refusal::gateway("the gateway does not answer: nobody knows whether it is paid by now").retry_after(1)),
    }
}

/// `POST /v1/orders/{order_id}/outcome`
pub async fn outcome(
    Shared(work): Shared<Arc<Work>>,
    Shared(machines): Shared<Arc<Machines>>,
    Shared(place): Shared<Arc<view::Shop>>,
    Machine { device, sight, .. }: Machine,
    id: Named,
    request: Request,
) -> Result<Json<OrderResource>, Refusal> {
    let mut fields = Fields::read(request).await?;
    let nth_try: Option<TryNumber> = fields.maybe("try");
    let outcome: Option<Delivery> = fields.needed("outcome");
    let reason = fields.maybe("reason");
    let detail: Option<Box<str>> = fields.maybe("detail");
    let proof = fields.maybe("proof");
    let outcome = fields.end(outcome)?;
    let detail = detail.map(|detail| text::plain(&detail, ' ').chars().take(DETAIL_CHARS_MAX).collect::<String>().into());
    if let Ok(id) = OrderId::new(id.as_str())
        && is_archived(work.books(), &device, &id).await?
    {
        // Its end was told, or a person said it, so the machine need not go on telling. But that may have been another end.
        work.conflict(&id, &device, outcome, "the outcome in its archive");
        let refusal = Refusal::new(StatusCode::CONFLICT).code(Reason::ReusedId).about(&id);
        return Err(refusal.detail("this order is archived: its outcome cannot change"));
    }
    let stored = find(&work, &device, id.as_str()).await?;
    let id = stored.order.id;
    let said = OutcomeReport { nth_try: nth_try.unwrap_or(TryNumber::FIRST), outcome, reason, detail, proof };
    let (task, told) = (Arc::clone(&work), id.clone());
    let written = apart(async move {
        let result = task.books().write(move |tx, policy, now| books::delivered(tx, policy, &device, &told, &said, now)).await?;
        if let Ok(done) = &result {
            task.announce(done);
            if is_ledger_old(&done.now.order) && !is_ledger_old(&done.was) {
                machines.seen(&done.was.sale.device, Sight { is_ledger_old: true, ..sight }).await;
            }
        }
        Ok(result)
    });
    let result = match written.await {
        Err(BooksError::Refused(Refused::NotPaid)) => {
            look_again(&work, id).await?;
            return Err(BooksError::Refused(Refused::NotPaid).into());
        }
        result => result?,
    };
    match result {
        Ok(done) => {
            let order = &done.now.order;
            match (done.was.delivery(), order.delivery()) {
                (None, Some(told)) => work.outcome(order, told),
                (Some(was), Some(stands)) if stands.outcome != was.outcome => {
                    work.conflict(&order.id, &order.sale.device, was.outcome, outcome.as_str());
                }
                // What the machine told of a try that came to nothing changes nothing.
                (Some(_), Some(_)) | (_, None) => {}
            }
            Ok(resource(&done.now, work.books(), &place))
        }
        Err(done) => {
            let order = &done.now.order;
            let kept = order.delivery().map_or(outcome, |kept| kept.outcome);
            work.conflict(&order.id, &order.sale.device, outcome, kept.as_str());
            let refusal = Refusal::new(StatusCode::CONFLICT).code(Reason::ReusedId).about(&order.id);
            Err(refusal.detail(format!("{kept} was told before, and stands")))
        }
    }
}

/// `POST /v1/orders/{order_id}/again`
pub async fn again(
    Shared(work): Shared<Arc<Work>>,
    Shared(machines): Shared<Arc<Machines>>,
    Shared(place): Shared<Arc<view::Shop>>,
    Machine { device, .. }: Machine,
    id: Named,
    request: Request,
) -> Result<Json<OrderResource>, Refusal> {
    let mut fields = Fields::read(request).await?;
    let promise: Option<Box<str>> = fields.needed("promise");
    let promise = fields.end(promise)?;
    let stored = find(&work, &device, id.as_str()).await?;
    let id = stored.order.id.clone();
    // The machine believes a refusal only if it names the order.
    try_again(&work, &machines, &place, &device, stored, &promise).await.map_err(|why| why.about(&id))
}

async fn try_again(
    work: &Arc<Work>,
    machines: &Machines,
    place: &view::Shop,
    device: &DeviceId,
    mut stored: Stored,
    promise: &str,
) -> Result<Json<OrderResource>, Refusal> {
    let known = stored.order.sale.relay_key.as_ref().ok_or(BooksError::NoTry(NoTry::NotProven))?;
    // The key of an order never changes. What else the promise must fit is judged once more where the receipt is signed.
    let promise = Promise::verify(promise, known).map_err(|why| Refusal::field(Reason::Malformed, "promise", why.to_string()))?;
    match stored.order.may_try_again(&promise, stored.order.sale.relay_key.as_ref(), work.books().now()) {
        Ok(()) => {}
        Err(NoTry::NotAsked) => stored = asked(work, device, stored).await?,
        Err(why) => return Err(BooksError::NoTry(why).into()),
    }
    let of = device.clone();
    let key = machines.read(move |tx| devices::relay_key(tx, &of)).await?;
    let id = stored.order.id.clone();
    let task = Arc::clone(work);
    let written = apart(async move {
        let done = task.books().write(move |tx, policy, now| books::try_again(tx, policy, &id, promise, key, now)).await?;
        task.announce(&done);
        Ok(done)
    });
    let done = written.await?;
    Ok(resource(&done.now, work.books(), place))
}

/// A machine's order. If the books have forgotten it, it is looked up at the gateway.
async fn find(work: &Arc<Work>, device: &DeviceId, id: &str) -> Result<Stored, Refusal> {
    let Ok(id) = OrderId::new(id) else { return Err(Refusal::no_such_order()) };
    let wanted = id.clone();
    if let Some(stored) = work.books().read(move |tx| books::load(tx, &wanted)).await? {
        return if stored.order.sale.device == *device { Ok(stored) } else { Err(Refusal::no_such_order().about(&id)) };
    }
    if is_archived(work.books(), device, &id).await? {
        return Err(Refusal::nothing("this order is archived: it is over").about(&id));
    }
    match look_up(work, &id, device).await? {
        Some(stored) => Ok(stored),
        None => Err(Refusal::no_such_order().about(&id)),
    }
}

/// Whether a machine's order is over for so long that it is in an archive.
async fn is_archived(books: &Books, device: &DeviceId, id: &OrderId) -> Result<bool, BooksError> {
    let id = id.clone();
    let archived = books.read(move |tx| books::archived(tx, &id)).await?;
    Ok(archived.is_some_and(|archived| archived.device == *device))
}

/// Asks the gateway for an order that the books do not have. `None`: there is no such order, or it is not ours.
async fn look_up(work: &Arc<Work>, id: &OrderId, device: &DeviceId) -> Result<Option<Stored>, Refusal> {
    if !work.may_look_up(id, Some(device)) {
        return Err(Refusal::gateway("orders are looked up at the gateway once a minute").retry_after(60));
    }
    let (work, id, device) = (Arc::clone(work), id.clone(), device.clone());
    let asked = tokio::time::timeout(LOOK_UP, tokio::spawn(async move { work.take_back(&id, Some(device)).await }));
    match asked.await {
        Ok(Ok(Ok(Found::Rebuilt(stored)))) => Ok(Some(*stored)),
        Ok(Ok(Ok(Found::Known | Found::NotOurs | Found::Unknown))) => Ok(None),
        Ok(Ok(Err(error))) => Err(error.into()),
        Ok(Ok(Ok(Found::Unclear | Found::Unanswered)) | Err(_)) | Err(_) => {
            Err(Refusal::gateway("the gateway cannot be asked about this order now"))
        }
    }
}
