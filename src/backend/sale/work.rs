//! Asks the gateway for an order. [`advance`] is the only way to it: it claims, asks, writes the answer into the books,
//! and goes on while another step follows at once. HTTP handlers call it, and so does the [`sweep`], which replaces a
//! caller that dies in between.

use crate::gateway::{Answered, Cancelled, Charged, Looked, Problem, TroubleKind};
use crate::sale::books::{self, BooksError, Done, Forgotten, Later, Policy, Stored};
use crate::sale::waiters::LOOK_WHILE_HEARD;
use crate::shop::{Shop, Turn};
use crate::store::Tx;
use crate::store::postgres::{ListenEvent, Server};
use qris_core::order::ids::{DeviceId, OrderId, RequestId};
use qris_core::order::merchant::{
    self, Attention, Call, Charge, DeliveryReport, Differs, Ending, Event, Order, Proof, RefundAnswer, Repayment, Sale, State,
    StatusReport, Withheld,
};
use qris_core::order::qris;
use qris_core::order::request::Payment;
use qris_core::order::time::{Span, Wall};
use qris_host::events::Event as Journal;
use qris_host::service;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// A step that is due within this time is awaited, and not left to the sweep.
const SOON: Span = Span::secs(4);
/// How often the sweep looks for due orders.
const SWEEP: Duration = Duration::from_secs(1);
/// After this many sweeps old news is dropped.
const PRUNE_EVERY: u32 = 600;

/// The time for answers of the gateway when the program ends: that of a running request.
const LAST_ANSWERS: Duration = Duration::from_millis(1200);

/// How often writes of another process are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Another process on the same database may change something: a second `serve`, or a command. Wakes the callers that
/// wait for it. It reads the new lines of the history since the last look. While nobody waits, it reads only one number.
pub async fn follow(shop: Arc<Shop>) {
    let mut seen = None;
    loop {
        tokio::time::sleep(if shop.waiters.hears() { LOOK_WHILE_HEARD } else { LOOK }).await;
        let from = if shop.waiters.is_idle() { None } else { seen };
        let read = shop.read(move |tx| match from {
            Some(line) => match books::changed_since(tx, line)? {
                (changed, newest) if changed.len() < books::PAGE => Ok((changed, newest)),
                // There are too many lines to look at one by one, and most are our own.
                (changed, _) => Ok((changed, books::newest_line(tx)?)),
            },
            None => Ok((Vec::new(), books::newest_line(tx)?)),
        });
        // The journal was told of an error. The next look finds the same lines.
        let Ok((changed, newest)) = read.await else { continue };
        if changed.len() < books::PAGE {
            changed.iter().for_each(|(device, request)| shop.waiters.wake(device, request));
        } else {
            shop.waiters.wake_all();
        }
        seen = Some(newest);
    }
}

/// Hears at once what another process has changed, where the database tells it. [`follow`] is the net below.
pub async fn listen(shop: Arc<Shop>, server: Server) {
    let heard = move |heard: ListenEvent<'_>| match heard {
        ListenEvent::Begin => shop.waiters.hear(true),
        ListenEvent::End => shop.waiters.hear(false),
        ListenEvent::Told(whose) => {
            let names = whose.split_once(' ').map(|(device, request)| (DeviceId::new(device), RequestId::new(request)));
            // Anybody with the database's password may tell something else. It means nothing.
            if let Some((Ok(device), Ok(request))) = names {
                shop.waiters.wake(&device, &request);
            }
        }
    };
    server.listen(heard).await;
}

/// Does the next step of an order, if nobody else does.
pub async fn advance(shop: Arc<Shop>, id: OrderId) {
    let wanted = id.clone();
    // The journal was told of an error. The sweep comes again.
    if let Ok(done) = shop.write(move |tx, policy, now| books::claim(tx, policy, &wanted, now)).await {
        carry_on(shop, done).await;
    }
}

/// Goes on with the step that a transaction claimed for the caller.
pub async fn carry_on(shop: Arc<Shop>, mut done: Done) {
    let began = shop.now();
    loop {
        announce(&shop, &done);
        let id = done.now.order.id.clone();
        let Some(call) = done.call else { return };
        if shop.waiters.is_over() {
            // If this fails, the lease ends.
            let _ = shop.write(move |tx, _, _| books::let_go(tx, &id, None)).await;
            return;
        }
        let claimed = shop.claims.begin(&id);
        let event = ask(&shop, &done.now.order, call).await;
        let answered = {
            let id = id.clone();
            shop.write(move |tx, policy, now| books::answered(tx, policy, &id, event, now)).await
        };
        drop(claimed);
        let Ok(answered) = answered else { return };
        done = answered;
        let is_settled = |order: &Order| matches!(order.state, State::Settled { .. });
        if is_settled(&done.now.order) && !is_settled(&done.was) {
            shop.metrics.receipt(shop.now() - began);
        }
        if done.call.is_none()
            && let Some(due) = merchant::next_deadline(&done.now.order)
            && due - shop.now() < SOON
        {
            announce(&shop, &done);
            sleep((due - shop.now()).to_duration()).await;
            let Ok(claimed) = shop.write(move |tx, policy, now| books::claim(tx, policy, &id, now)).await else { return };
            done = claimed;
        }
    }
}

/// The program ends. Questions that are open have a moment. What is not answered then is given up: another process goes on at once, and
/// not when the lease is over.
pub async fn hand_over(shop: &Shop) {
    let _ = timeout(LAST_ANSWERS, shop.claims.all_ended()).await;
    let (open, who) = (shop.claims.open(), shop.name.clone());
    let write = move |tx: &mut dyn Tx, _: &Policy, now: Wall| {
        open.iter().try_for_each(|id| books::let_go(tx, id, Some(now)))?;
        books::turn_ends(tx, &who)
    };
    // If this fails, leases and turns end by themselves.
    let _ = shop.write(write).await;
}

/// Takes up all due orders, for ever. It feeds the watchdog: a backend that cannot read its books is not well.
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
            let _ = shop.write(|tx, _, now| books::prune_outbox(tx, now)).await;
        }
        if take_up(&shop).await.is_ok() && take_up_strangers(&shop).await.is_ok() {
            service::watchdog();
        }
    }
}

/// Takes up the orders that are due now.
///
/// # Errors
/// The books cannot be read.
pub async fn take_up(shop: &Arc<Shop>) -> Result<(), BooksError> {
    let now = shop.now();
    let ids = shop.read(move |tx| books::claim_due(tx, now)).await?;
    if shop.store_fails() {
        // For hours there may be no other write that could show that the database works again.
        let _ = shop.write(|tx, _, now| books::prune_outbox(tx, now)).await;
    }
    // The calls are spread over the time until the next look, so the gateway is not asked about all orders in one moment.
    let pause = SWEEP / u32::try_from(ids.len()).unwrap_or(u32::MAX).max(1);
    for (turn, id) in (0_u32..).zip(ids) {
        // Orders without a place now are still due at the next look.
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
    let now = shop.now();
    for id in shop.read(move |tx| books::strangers(tx, now)).await? {
        // Another shop's notifications, or a flood of them, must not keep the gateway from our orders.
        if shop.may_look_up(&id, None) {
            tokio::spawn(ask_about_stranger(Arc::clone(shop), id));
        }
    }
    Ok(())
}

async fn ask_about_stranger(shop: Arc<Shop>, id: OrderId) {
    // The journal was told of an error. The sweep comes again.
    let Ok(found) = take_back(&shop, &id, None).await else { return };
    let (why, later) = match &found {
        Found::Rebuilt(_) | Found::Known => return,
        Found::NotOurs => ("the gateway has no metadata of ours for it", None),
        Found::Unknown => ("the gateway does not know it", Some(Later::Unknown)),
        Found::Unclear => ("the gateway's answers do not tell whose it is: look at it in the dashboard", Some(Later::Unclear)),
        Found::Unanswered => ("", Some(Later::Unanswered)),
    };
    let wanted = id.clone();
    let waits = shop.write(move |tx, _, now| match later {
        None => books::forget(tx, &wanted).map(|()| false),
        Some(why) => books::ask_later(tx, &wanted, why, now),
    });
    if matches!(waits.await, Ok(false)) {
        shop.emit(&Journal::NotificationForeign { order: Some(id), why: why.into() });
    }
}

/// The fate of an order that the books do not have.
#[derive(Debug)]
pub enum Found {
    /// It is in the books again.
    Rebuilt(Box<Stored>),
    /// The books have its transaction under another name.
    Known,
    /// It is not ours, or belongs to another machine than the one that asks.
    NotOurs,
    /// The gateway knows no such order.
    Unknown,
    /// The gateway's answer cannot be understood, or does not tell whose it is.
    Unclear,
    /// The gateway could not be asked.
    Unanswered,
}

/// Asks the gateway about an order that the books do not have, and takes it back.
///
/// # Errors
/// The database's.
pub async fn take_back(shop: &Arc<Shop>, id: &OrderId, asked_by: Option<DeviceId>) -> Result<Found, BooksError> {
    // No transaction of it is known. A machine asks by our own name. A notification may have had the gateway's name of one of our orders,
    // and then the answer may tell which one.
    let judge = |report: &StatusReport| {
        if asked_by.is_none() || report.is_about(id, []) { Ok(()) } else { Err(Differs::Transaction) }
    };
    let report = match get_status(shop, id, None, judge).await {
        Looked::Found(report) => report,
        Looked::Unknown => return Ok(Found::Unknown),
        Looked::Unclear(_) => return Ok(Found::Unclear),
        Looked::Unanswered => return Ok(Found::Unanswered),
    };
    let wanted = id.clone();
    match shop.write(move |tx, policy, now| books::rebuild(tx, policy, &wanted, &report, asked_by.as_ref(), now)).await? {
        Forgotten::NotOurs => Ok(Found::NotOurs),
        Forgotten::Unclear => Ok(Found::Unclear),
        Forgotten::Known(done) => {
            tokio::spawn(carry_on(Arc::clone(shop), *done));
            Ok(Found::Known)
        }
        Forgotten::Rebuilt(done) => {
            let stored = done.now.clone();
            let Sale { device, request_id, item, amount, .. } = stored.order.sale.clone();
            shop.emit(&Journal::OrderRebuilt { request: request_id, order: id.clone(), device, item, amount });
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
    // This comes first: on a computer with all programs, the journal then tells its consequences after it.
    journal(shop, done);
    let sale = &done.now.order.sale;
    let answered = done.now.order.ask.asked_at != done.was.ask.asked_at;
    if done.news || answered || done.next.is_some() || books::state_word(&done.now.order.state) != books::state_word(&done.was.state) {
        shop.waiters.wake(&sale.device, &sale.request_id);
    }
    if done.news && shop.policy().push {
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
        sleep((due - shop.now()).to_duration()).await;
    }
    advance(shop, id).await;
}

async fn ask(shop: &Shop, order: &Order, call: Call) -> Event {
    let permit = shop.calls.acquire().await;
    let event = match call {
        Call::Charge => charge(shop, order).await,
        Call::GetStatus => {
            let unanswered_at = order.ask.asked_at.filter(|_| !order.ask.answered);
            get_status(shop, &order.id, unanswered_at, |report| order.judge(report, &shop.policy().rules)).await.into()
        }
        Call::Cancel => cancel(shop, order).await.into(),
        Call::Refund => Event::RefundAnswered(refund(shop, order).await),
    };
    drop(permit);
    event
}

async fn charge(shop: &Shop, order: &Order) -> Event {
    let charged = heard(shop, Call::Charge, shop.gateway.charge(order, shop.now())).await;
    match (charged, order.sale.payment) {
        (Charged::Made(charge), Payment::Gopay) => checked(shop, order, charge).await,
        (charged, Payment::Gopay | Payment::Alfamart | Payment::Indomaret) => charged.into(),
    }
}

/// Nobody is shown a QR that does not ask for exactly the charged sum.
async fn checked(shop: &Shop, order: &Order, charge: Charge) -> Event {
    let Some(payload) = charge.qr_payload.as_deref().map(qris::with_capitals) else {
        return Event::ChargedUnreadable(charge, "it has no QR".into());
    };
    if let Err(error) = qris::check(&payload, charge.gross_amount) {
        return Event::ChargedUnreadable(Charge { qr_payload: None, ..charge }, error.to_string().into());
    }
    shop.paid_by_qr(&order.id, &order.sale.device, qris::merchant(&payload).unwrap_or("none")).await;
    Event::Charged(Charge { qr_payload: Some(payload.into()), ..charge })
}

/// The gateway's present word on an order. An answer that does not count is not understood. `unanswered_at`: the last question about it had
/// no answer, at that time. If others had one since then, the gateway is there, and this order alone is not answered about.
async fn get_status(
    shop: &Shop,
    id: &OrderId,
    unanswered_at: Option<Wall>,
    judge: impl FnOnce(&StatusReport) -> Result<(), Differs>,
) -> Looked {
    let asking = shop.gateway.status(id);
    let judged = async {
        match asking.await {
            Answered { says: Looked::Unanswered, problem: Some(problem) }
                if unanswered_at.is_some_and(|at| shop.gateway_answered_since(at)) =>
            {
                Answered { says: Looked::Unclear(problem.why.clone().into()), problem: Some(problem) }
            }
            Answered { says: Looked::Found(report), problem } => match judge(&report) {
                Ok(()) => Answered { says: Looked::Found(report), problem },
                Err(differs) => {
                    let problem = does_not_count(id, &report, differs);
                    Answered { says: Looked::Unclear(problem.why.clone().into()), problem: Some(problem) }
                }
            },
            answered => answered,
        }
    };
    let looked = heard(shop, Call::GetStatus, judged).await;
    if let Looked::Found(StatusReport { unknown: Some(word), .. }) = &looked {
        shop.note_word(word);
    }
    looked
}

/// Asks to end an order. If the answer does not count, get-status must tell.
async fn cancel(shop: &Shop, order: &Order) -> Cancelled {
    let asking = shop.gateway.cancel(&order.id);
    let judged = async {
        match asking.await {
            Answered { says: Cancelled::Done(report), problem } => match order.judge(&report, &shop.policy().rules) {
                Ok(()) => Answered { says: Cancelled::Done(report), problem },
                // Nothing is wrong with it: an answer to a cancel need not have the metadata.
                Err(Differs::NoMetadata) => Answered { says: Cancelled::Refused, problem },
                Err(differs) => Answered { says: Cancelled::Refused, problem: Some(does_not_count(&order.id, &report, differs)) },
            },
            answered => answered,
        }
    };
    heard(shop, Call::Cancel, judged).await
}

/// Asks to give the money back. If the answer does not count, nobody knows whether it did.
async fn refund(shop: &Shop, order: &Order) -> RefundAnswer {
    let asking = shop.gateway.refund(order);
    let judged = async {
        match asking.await {
            Answered { says: RefundAnswer::Approved(report), problem } => match order.judge_refund(&report, &shop.policy().rules) {
                Ok(()) => Answered { says: RefundAnswer::Approved(report), problem },
                Err(differs) => {
                    let problem = does_not_count(&order.id, &report, differs);
                    Answered { says: RefundAnswer::Unsure(problem.why.clone().into()), problem: Some(problem) }
                }
            },
            answered => answered,
        }
    };
    heard(shop, Call::Refund, judged).await
}

/// The gateway's answer makes no sense.
fn does_not_count(id: &OrderId, report: &StatusReport, differs: Differs) -> Problem {
    let other = report.order_id.as_ref().map_or("an order that is none of ours", OrderId::as_str);
    let StatusReport { transaction_id, word, gross_amount_text: sum, .. } = report;
    let currency = report.currency.as_deref().unwrap_or("no currency");
    let back = report.refund_amount.map(|back| format!(", {back} of it went back")).unwrap_or_default();
    let why =
        format!("asked about {id}, answered about {other}, transaction {transaction_id}, {word} of {currency} {sum}{back}: {differs}");
    Problem { kind: TroubleKind::Gone, why }
}

/// Waits for an answer. Notes whether the gateway could be asked, and how long it took.
async fn heard<T>(shop: &Shop, call: Call, asking: impl Future<Output = Answered<T>>) -> T {
    let (asked, clock) = (shop.now(), shop.clock());
    let answered = asking.await;
    shop.note_clock(clock);
    shop.metrics.called(call, answered.problem.as_ref(), shop.now() - asked);
    if answered.problem.as_ref().is_none_or(|problem| problem.kind == TroubleKind::Refusal) {
        shop.gateway_answered();
    }
    shop.note_gateway(answered.problem.filter(|problem| problem.kind.is_trouble()));
    answered.says
}

/// Tells the journal the new state of an order.
fn journal(shop: &Shop, done: &Done) {
    let order = &done.now.order;
    journal_listed(shop, order, &done.was);
    if done.next.is_none() {
        note_charge(shop, order, &done.was);
    }
    if books::state_word(&order.state) == books::state_word(&done.was.state) {
        return;
    }
    let Sale { device, request_id, item, amount, .. } = order.sale.clone();
    let (id, request) = (order.id.clone(), request_id.clone());
    match &order.state {
        State::Charging { .. } => {}
        // It has one word with an order that can be paid. Only its receipt is told.
        State::Held { .. } => {}
        State::Pending { .. } => {
            shop.metrics.charges.inc();
            shop.emit(&Journal::ChargeMade { request, order: id, device, item, amount });
        }
        State::Cancelling { why: Ending::GrossAmount, charge, .. } => {
            let asked = charge.as_ref().map_or_else(|| "another sum".into(), |charge| charge.gross_amount.to_string());
            let why = format!("the gateway asks {asked} for {amount}").into();
            shop.emit(&Journal::ChargeRefused { request, order: id, device, item, amount, why });
        }
        State::Cancelling { why: Ending::Unreadable(why), .. } | State::Closed { why: Some(Ending::NotMade { why, .. }), .. } => {
            shop.emit(&Journal::ChargeRefused { request, order: id, device, item, amount, why: why.to_string().into() });
        }
        State::Cancelling { .. } => {}
        State::Closed { how, why, .. } => {
            let why = match why {
                Some(why) => format!("{how:?}, {why:?}").to_lowercase(),
                None => format!("{how:?}").to_lowercase(),
            };
            shop.emit(&Journal::OrderCancelled { request, order: id, device, why: why.into() });
        }
        State::Settled { .. } => {
            shop.metrics.receipts.inc();
            shop.emit(&Journal::ReceiptSigned { request, order: id, device, item, amount });
        }
        State::Withheld { by, why, .. } => {
            shop.metrics.withheld.inc();
            let device = Some(device);
            match why {
                Withheld::Mismatch => shop.emit(&Journal::SettlementMismatch {
                    request: Some(request),
                    order: id,
                    device,
                    amount: by.gross_amount,
                    why: "it differs from the charge".into(),
                }),
                Withheld::PaidTwice | Withheld::Ended => {
                    let why = if *why == Withheld::PaidTwice { "paid_twice" } else { "a person had ended it" };
                    shop.emit(&Journal::RefundDue { request: Some(request), order: id, device, item, amount, why: why.into() });
                }
            }
        }
        State::Refunded { .. } => {
            let why = match &order.repayment {
                Some(Repayment::ByHand { .. }) => "by hand",
                Some(Repayment::Asked { .. } | Repayment::Refused { .. } | Repayment::Done { .. } | Repayment::Given { .. }) | None => {
                    "through the gateway"
                }
            };
            shop.emit(&Journal::OrderRefunded { request, order: id, device, item, amount, why: why.into() });
        }
    }
}

/// Tells the journal once that charges fail one after the other for one reason, and once that one was made again.
fn note_charge(shop: &Shop, order: &Order, was: &Order) {
    let Some(end) = order.charge_end().filter(|_| was.charge_end().is_none()) else { return };
    match shop.charges.note(end.as_ref().err().map(|failure| failure.kind)) {
        Some(Turn::Fails(count)) => {
            let why = end.err().map(|failure| failure.why).unwrap_or_default();
            shop.emit(&Journal::ChargesFailing { count: i64::from(count), why: why.into_string().into() });
        }
        Some(Turn::Works) => shop.emit(&Journal::ChargesBack {}),
        None => {}
    }
}

/// Tells the journal the new reasons for a person to look at an order. Reasons with an event of their own are left to that.
fn journal_listed(shop: &Shop, order: &Order, was: &Order) {
    let had = was.attention();
    for kind in order.attention().into_iter().filter(|kind| !had.contains(kind)) {
        let why = match kind {
            Attention::NoProof => match &order.delivery {
                Some(DeliveryReport { proof: Proof::Missing(why), .. }) => {
                    format!("no refund: the relay's proof is missing: {}", why.why())
                }
                Some(DeliveryReport { proof: Proof::Signed { .. }, .. }) | None => kind.as_str().into(),
            },
            Attention::RefundDue | Attention::Uncertain | Attention::Mismatch | Attention::Conflict => continue,
            Attention::RefundFailed => match &order.repayment {
                Some(Repayment::Refused { why, .. }) => format!("no refund: {why}"),
                Some(Repayment::Asked { .. } | Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) | None => {
                    kind.as_str().into()
                }
            },
            Attention::Unreported => "the machine has told no outcome".into(),
            Attention::Suspect => "the gateway's status for it does not say whether it was paid".into(),
            Attention::Unconfirmed => match order.unclear_since {
                Some(_) => "the gateway's get-status tells nothing of it: its history says why".into(),
                None => "the gateway told that it is paid, and does not confirm that".into(),
            },
            Attention::RefundSoon => "its refund through the gateway is possible for three days at most".into(),
            Attention::RefundLastDay => "its refund through the gateway is possible for one day at most".into(),
            Attention::OnlyByHand => "its time for a refund through the gateway is over: only by hand".into(),
            Attention::PartialRefund => "a part of the money went back".into(),
            Attention::Chargeback => "the customer's bank took the money back".into(),
            Attention::Reversed => "the counter took its settlement back after the receipt was signed".into(),
            Attention::LateFact => "news came after the order was settled".into(),
        };
        let Sale { device, request_id: request, item, amount, .. } = order.sale.clone();
        shop.emit(&Journal::OrderListed { request, order: order.id.clone(), device, item, amount, why: why.into() });
    }
}
