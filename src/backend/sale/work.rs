//! Asks the gateway for an order. [`Work::advance`] is the only way to it: it claims, asks, writes the answer into the books,
//! and goes on while another step follows at once. HTTP handlers call it, and so does the [sweep](Work::sweep), which replaces a
//! caller that dies in between.

pub mod clock;
mod journal;

use crate::counters::Counters;
use crate::gateway::{Answered, Cancelled, Charged, Problem, StatusAnswer, TroubleKind, WatchedGateway};
use crate::sale::books::{self, BooksError, Done, Forgotten, Later, Policy, Stored};
use crate::sale::claims::Claims;
use crate::sale::handle::{Bell, Books};
use crate::sale::waiters::{READ_AGAIN_IF_NOTIFIED, Waiters};
use crate::store::Tx;
use crate::store::postgres::{ListenEvent, Server};
use qris_core::order::ids::{DeviceId, OrderId, RequestId};
use qris_core::order::merchant::{self, Call, Charge, Differs, Event, Order, RefundAnswer, Sale, StatusReport};
use qris_core::order::qris;
use qris_core::order::request::{Payment, Purchase};
use qris_core::order::time::{Span, Told, Wall};
use qris_host::events::Event as Journal;
use qris_host::service;
use qris_host::surroundings::Surroundings;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// The most orders that notifications and the sweep have claimed and not yet asked for, together with those that are
/// being asked for. Orders beyond this number stay due in the books. A claim should be asked for well within its lease,
/// and each costs memory.
const ASKING_MAX: usize = 1024;
/// A step that is due within this time is awaited, and not left to the sweep.
const SOON: Span = Span::secs(4);
/// How often the sweep looks for due orders.
const SWEEP: Duration = Duration::from_secs(1);
/// How often old news is dropped. That also shows whether the books can be written, if nobody else writes for hours.
const PRUNE_EVERY: Duration = Duration::from_secs(10);

/// The time for answers of the gateway when the program ends: that of a running request.
const LAST_ANSWERS: Duration = Duration::from_millis(1200);

/// How often writes of another process are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// Another process on the same database may change something: a second `serve`, or a command. Wakes the callers that
/// wait for it. It reads the new lines of the history since the last look. While nobody waits, it reads only one number.
pub async fn follow(books: Arc<Books>, waiters: Arc<Waiters>) {
    let mut seen = None;
    loop {
        tokio::time::sleep(if waiters.hears() { READ_AGAIN_IF_NOTIFIED } else { LOOK }).await;
        let from = if waiters.is_idle() { None } else { seen };
        let read = books.read(move |tx| match from {
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
            changed.iter().for_each(|(device, request)| waiters.wake(device, request));
        } else {
            waiters.wake_all();
        }
        seen = Some(newest);
    }
}

/// Hears at once what another process has changed, where the database tells it. [`follow`] is the net below.
pub async fn listen(waiters: Arc<Waiters>, server: Server) {
    let heard = move |heard: ListenEvent<'_>| match heard {
        ListenEvent::Begin => waiters.hear(true),
        ListenEvent::End => waiters.hear(false),
        ListenEvent::Notified(whose) => {
            let names = whose.split_once(' ').map(|(device, request)| (DeviceId::new(device), RequestId::new(request)));
            // Anybody with the database's password may tell something else. It means nothing.
            if let Some((Ok(device), Ok(request))) = names {
                waiters.wake(&device, &request);
            }
        }
    };
    server.listen(heard).await;
}

#[derive(Debug)]
pub struct Work {
    around: Arc<dyn Surroundings>,
    books: Arc<Books>,
    gateway: Arc<WatchedGateway>,
    waiters: Arc<Waiters>,
    counters: Arc<Counters>,
    claims: Claims,
    /// Limits the tasks for which nobody waits.
    asking: Arc<Semaphore>,
    clock: clock::Watch,
    /// The merchant whom the last QR pays, as the books know.
    merchant: Mutex<Option<Box<str>>>,
}

impl Work {
    #[must_use]
    pub fn new(
        books: Arc<Books>,
        gateway: Arc<WatchedGateway>,
        waiters: Arc<Waiters>,
        counters: Arc<Counters>,
        around: Arc<dyn Surroundings>,
    ) -> Self {
        let asking = Arc::new(Semaphore::new(ASKING_MAX));
        Self {
            around,
            books,
            gateway,
            waiters,
            counters,
            claims: Claims::default(),
            asking,
            clock: clock::Watch::default(),
            merchant: Mutex::default(),
        }
    }

    #[must_use]
    pub fn books(&self) -> &Books {
        &self.books
    }

    #[must_use]
    pub fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// A place for a task for which nobody waits, if there is one.
    #[must_use]
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.asking).try_acquire_owned().ok()
    }

    #[must_use]
    pub fn may_look_up(&self, id: &OrderId, device: Option<&DeviceId>) -> bool {
        self.gateway.may_look_up(id, device, self.books.now().wall)
    }

    /// An order_id that nobody can guess and that no two machines will ever share: 100 random bits.
    fn draw_order_id(&self) -> OrderId {
        const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut bytes = [0; 20];
        self.around.random(&mut bytes);
        let text: String = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
        OrderId::new(&text).expect("letters and digits")
    }

    /// Takes a machine's order, and goes on with it. Whether it is new. `digest` is that of the POST's body.
    pub async fn take(self: Arc<Self>, sale: Sale, digest: String) -> Result<bool, BooksError> {
        let fresh = self.draw_order_id();
        let created = self.books.write(move |tx, policy, now| books::create(tx, policy, sale, &digest, &fresh, now)).await?;
        if created.is_new {
            self.counters.orders.inc();
        }
        let is_new = created.is_new;
        tokio::spawn(self.carry_on(created.done));
        Ok(is_new)
    }

    /// Does the next step of an order, if nobody else does.
    pub async fn advance(self: Arc<Self>, id: OrderId) {
        let wanted = id.clone();
        // The journal was told of an error. The sweep comes again.
        if let Ok(done) = self.books.write(move |tx, policy, now| books::claim(tx, policy, &wanted, now)).await {
            self.carry_on(done).await;
        }
    }

    /// Goes on with the step that a transaction claimed for the caller.
    pub async fn carry_on(self: Arc<Self>, mut done: Done) {
        let began = self.books.now();
        loop {
            self.announce(&done);
            let id = done.now.order.id.clone();
            let Some(call) = done.call else { return };
            if self.waiters.is_over() {
                // If this fails, the lease ends.
                let _ = self.books.write(move |tx, _, _| books::let_go(tx, &id, None)).await;
                return;
            }
            let claimed = self.claims.begin(&id);
            let event = self.ask(&done.now.order, call).await;
            let answered = {
                let id = id.clone();
                self.books.write(move |tx, policy, now| books::answered(tx, policy, &id, event, now)).await
            };
            drop(claimed);
            let Ok(answered) = answered else { return };
            done = answered;
            if done.now.order.receipt().is_some() && done.was.receipt().is_none() {
                self.counters.receipt(self.books.now().wall - began.wall);
            }
            if done.call.is_none()
                && let Some(due) = merchant::next_deadline(&done.now.order)
                && let left = due - self.books.now().wall
                // What is not over by a time that nobody trusts waits for the sweep.
                && (Span(1)..SOON).contains(&left)
            {
                self.announce(&done);
                sleep(left.to_duration()).await;
                let Ok(claimed) = self.books.write(move |tx, policy, now| books::claim(tx, policy, &id, now)).await else { return };
                done = claimed;
            }
        }
    }

    /// The program ends. Questions that are open have a moment. What is not answered then is given up: another process goes on at once, and
    /// not when the lease is over.
    pub async fn hand_over(&self) {
        let _ = timeout(LAST_ANSWERS, self.claims.all_ended()).await;
        let (open, who) = (self.claims.open(), self.books.process().to_owned());
        let write = move |tx: &mut dyn Tx, _: &Policy, now: Told| {
            open.iter().try_for_each(|id| books::let_go(tx, id, Some(now.wall)))?;
            books::turn_ends(tx, &who)
        };
        // If this fails, leases and turns end by themselves.
        let _ = self.books.write(write).await;
    }

    /// Takes up all due orders, for ever. It feeds the watchdog: a backend that cannot read its books is not well.
    pub async fn sweep(self: Arc<Self>) {
        let feed = service::watchdog_interval().map_or(SWEEP, |wanted| wanted / 2);
        let mut tick = interval(SWEEP.min(feed));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pruned = Instant::now();
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.books.rung(Bell::Due) => {}
            }
            if pruned.elapsed() >= PRUNE_EVERY {
                pruned = Instant::now();
                // The next round tries again.
                let _ = self.books.write(|tx, _, now| books::prune_outbox(tx, now.wall)).await;
            }
            if self.take_up().await.is_ok() && self.take_up_strangers().await.is_ok() {
                service::watchdog();
            }
        }
    }

    /// Takes up the orders that are due now.
    pub async fn take_up(self: &Arc<Self>) -> Result<(), BooksError> {
        let now = self.books.now();
        let ids = self.books.read(move |tx| books::claim_due(tx, now)).await?;
        if self.books.fail() {
            // For hours there may be no other write that could show that the database works again.
            let _ = self.books.write(|tx, _, now| books::prune_outbox(tx, now.wall)).await;
        }
        // The calls are spread over the time until the next look, so the gateway is not asked about all orders in one moment.
        let pause = SWEEP / u32::try_from(ids.len()).unwrap_or(u32::MAX).max(1);
        for (turn, id) in (0_u32..).zip(ids) {
            // Orders without a place now are still due at the next look.
            let Some(place) = self.place() else { break };
            let work = Arc::clone(self);
            tokio::spawn(async move {
                sleep(pause * turn).await;
                work.advance(id).await;
                drop(place);
            });
        }
        Ok(())
    }

    /// Asks about orders that notifications name and the books do not have.
    pub async fn take_up_strangers(self: &Arc<Self>) -> Result<(), BooksError> {
        let now = self.books.now();
        for id in self.books.read(move |tx| books::strangers(tx, now)).await? {
            // Another shop's notifications, or a flood of them, must not keep the gateway from our orders.
            if self.may_look_up(&id, None) {
                tokio::spawn(Arc::clone(self).ask_about_stranger(id));
            }
        }
        Ok(())
    }

    async fn ask_about_stranger(self: Arc<Self>, id: OrderId) {
        // The journal was told of an error. The sweep comes again.
        let Ok(found) = self.take_back(&id, None).await else { return };
        let (why, later) = match &found {
            Found::Rebuilt(_) | Found::Known => return,
            Found::NotOurs => ("the gateway has no metadata of ours for it", None),
            Found::Unknown => ("the gateway does not know it", Some(Later::Unknown)),
            Found::Unclear => ("the gateway's answers do not tell whose it is: look at it in the dashboard", Some(Later::Unclear)),
            Found::Unanswered => ("", Some(Later::Unanswered)),
        };
        let wanted = id.clone();
        let waits = self.books.write(move |tx, _, now| match later {
            None => books::forget(tx, &wanted).map(|()| false),
            Some(why) => books::ask_later(tx, &wanted, why, now),
        });
        if matches!(waits.await, Ok(false)) {
            self.around.emit(&Journal::NotificationForeign { order: Some(id), why: why.into() });
        }
    }

    /// Asks the gateway about an order that the books do not have, and takes it back.
    pub async fn take_back(self: &Arc<Self>, id: &OrderId, asked_by: Option<DeviceId>) -> Result<Found, BooksError> {
        // No transaction of it is known. A machine asks by our own name. A notification may have had the gateway's name of one of our orders,
        // and then the answer may tell which one.
        let judge = |report: &StatusReport| {
            if asked_by.is_none() || report.is_about(id, []) { Ok(()) } else { Err(Differs::Transaction) }
        };
        let report = match self.get_status(id, None, judge).await {
            StatusAnswer::Found(report) => report,
            StatusAnswer::Unknown => return Ok(Found::Unknown),
            StatusAnswer::Unclear(_) => return Ok(Found::Unclear),
            StatusAnswer::Unanswered => return Ok(Found::Unanswered),
        };
        let wanted = id.clone();
        match self.books.write(move |tx, policy, now| books::rebuild(tx, policy, &wanted, &report, asked_by.as_ref(), now)).await? {
            Forgotten::NotOurs => Ok(Found::NotOurs),
            Forgotten::Unclear => Ok(Found::Unclear),
            Forgotten::Known(done) => {
                tokio::spawn(Arc::clone(self).carry_on(*done));
                Ok(Found::Known)
            }
            Forgotten::Rebuilt(done) => {
                let stored = done.now.clone();
                let Sale { device, purchase: Purchase { request_id, item, amount, .. }, .. } = stored.order.sale.clone();
                let goods = journal::sold(&stored.order);
                self.around.emit(&Journal::OrderRebuilt { request: request_id, order: id.clone(), device, item, goods, amount });
                if merchant::next_deadline(&stored.order).is_some() {
                    self.books.ring(Bell::Due);
                }
                tokio::spawn(Arc::clone(self).carry_on(*done));
                Ok(Found::Rebuilt(Box::new(stored)))
            }
        }
    }

    /// Tells everybody whom a committed change concerns.
    pub fn announce(self: &Arc<Self>, done: &Done) {
        // This comes first: on a computer with all programs, the journal then tells its consequences after it.
        self.journal(done);
        let sale = &done.now.order.sale;
        let answered = done.now.order.polling.last_at != done.was.polling.last_at;
        if done.news || answered || done.next.is_some() || done.now.order.state.word() != done.was.state.word() {
            self.waiters.wake(&sale.device, &sale.purchase.request_id);
        }
        if done.posted {
            self.books.ring(Bell::Outbox);
        }
        if done.alert {
            self.books.ring(Bell::Alerts);
        }
        if let Some(next) = &done.next {
            self.books.ring(Bell::Due);
            tokio::spawn(Arc::clone(self).advance_later(next.clone()));
        }
    }

    /// A new attempt waits a moment before it asks.
    async fn advance_later(self: Arc<Self>, id: OrderId) {
        let wanted = id.clone();
        let Ok(Some(stored)) = self.books.read(move |tx| books::load(tx, &wanted)).await else { return };
        if let Some(due) = merchant::next_deadline(&stored.order) {
            sleep((due - self.books.now().wall).to_duration()).await;
        }
        self.advance(id).await;
    }

    async fn ask(&self, order: &Order, call: Call) -> Event {
        let permit = self.gateway.permit().await;
        let event = match call {
            Call::Charge => self.charge(order).await,
            Call::GetStatus => {
                let unanswered_at = order.polling.last_at.filter(|_| !order.polling.answered);
                self.get_status(&order.id, unanswered_at, |report| order.judge(report, &self.books.policy().rules)).await.into()
            }
            Call::Cancel => self.cancel(order).await.into(),
            Call::Refund => Event::RefundAnswered(self.refund(order).await),
        };
        drop(permit);
        event
    }

    async fn charge(&self, order: &Order) -> Event {
        let charged = self.heard(Call::Charge, self.gateway.ask().charge(order, self.books.now().wall)).await;
        match (charged, order.sale.purchase.payment) {
            (Charged::Made(charge), Payment::Gopay) => self.checked(order, charge).await,
            (charged, Payment::Gopay | Payment::Alfamart | Payment::Indomaret) => charged.into(),
        }
    }

    /// Nobody is shown a QR that does not ask for exactly the charged sum.
    async fn checked(&self, order: &Order, charge: Charge) -> Event {
        let Some(payload) = charge.qr_payload.as_deref().map(qris::with_capitals) else {
            return Event::ChargedUnreadable(charge, "it has no QR".into());
        };
        if let Err(error) = qris::check(&payload, charge.gross_amount) {
            return Event::ChargedUnreadable(Charge { qr_payload: None, ..charge }, error.to_string().into());
        }
        self.paid_by_qr(&order.id, &order.sale.device, qris::merchant(&payload).unwrap_or("none")).await;
        Event::Charged(Charge { qr_payload: Some(payload.into()), ..charge })
    }

    /// The gateway's present word on an order. An answer that does not count is not understood. `unanswered_at`: the last question about it had
    /// no answer, at that time. If others had one since then, the gateway is there, and this order alone is not answered about.
    async fn get_status(
        &self,
        id: &OrderId,
        unanswered_at: Option<Wall>,
        judge: impl FnOnce(&StatusReport) -> Result<(), Differs>,
    ) -> StatusAnswer {
        let asking = self.gateway.ask().status(id);
        let judged = async {
            match asking.await {
                Answered { says: StatusAnswer::Unanswered, problem: Some(problem) }
                    if unanswered_at.is_some_and(|at| self.gateway.has_answered_since(at)) =>
                {
                    Answered { says: StatusAnswer::Unclear(problem.why.clone().into()), problem: Some(problem) }
                }
                Answered { says: StatusAnswer::Found(report), problem } => match judge(&report) {
                    Ok(()) => Answered { says: StatusAnswer::Found(report), problem },
                    Err(differs) => {
                        let problem = does_not_count(id, &report, differs);
                        Answered { says: StatusAnswer::Unclear(problem.why.clone().into()), problem: Some(problem) }
                    }
                },
                answered => answered,
            }
        };
        let looked = self.heard(Call::GetStatus, judged).await;
        if let StatusAnswer::Found(StatusReport { unknown: Some(word), .. }) = &looked {
            self.gateway.note_word(word);
        }
        looked
    }

    /// Asks to end an order. If the answer does not count, get-status must tell.
    async fn cancel(&self, order: &Order) -> Cancelled {
        let asking = self.gateway.ask().cancel(&order.id);
        let judged = async {
            match asking.await {
                Answered { says: Cancelled::Done(report), problem } => match order.judge(&report, &self.books.policy().rules) {
                    Ok(()) => Answered { says: Cancelled::Done(report), problem },
                    // Nothing is wrong with it: an answer to a cancel need not have the metadata.
                    Err(Differs::NoMetadata) => Answered { says: Cancelled::Refused, problem },
                    Err(differs) => Answered { says: Cancelled::Refused, problem: Some(does_not_count(&order.id, &report, differs)) },
                },
                answered => answered,
            }
        };
        self.heard(Call::Cancel, judged).await
    }

    /// Asks to give the money back. If the answer does not count, nobody knows whether it did.
    async fn refund(&self, order: &Order) -> RefundAnswer {
        let asking = self.gateway.ask().refund(order);
        let judged = async {
            match asking.await {
                Answered { says: RefundAnswer::Approved(report), problem } => match order.judge_refund(&report, &self.books.policy().rules)
                {
                    Ok(()) => Answered { says: RefundAnswer::Approved(report), problem },
                    Err(differs) => {
                        let problem = does_not_count(&order.id, &report, differs);
                        Answered { says: RefundAnswer::Unsure(problem.why.clone().into()), problem: Some(problem) }
                    }
                },
                answered => answered,
            }
        };
        self.heard(Call::Refund, judged).await
    }

    /// Waits for an answer. Notes whether the gateway could be asked, and how long it took.
    async fn heard<T>(&self, call: Call, asking: impl Future<Output = Answered<T>>) -> T {
        let asked = self.books.clocks();
        let answered = asking.await;
        self.note_clock(asked.wall);
        self.counters.called(call, answered.problem.as_ref(), Span((self.books.clocks().boot - asked.boot).0));
        if answered.problem.as_ref().is_none_or(|problem| problem.kind == TroubleKind::Refusal) {
            self.gateway.note_answer(self.books.now().wall);
        }
        self.gateway.note_trouble(answered.problem.filter(|problem| problem.kind.is_trouble()));
        answered.says
    }

    /// A QR of this order pays this merchant. It is sold all the same: one payment system may have several numbers for one
    /// merchant, and nobody who could know stands at the machine. The person who looks after the machines is told.
    async fn paid_by_qr(&self, order: &OrderId, device: &DeviceId, merchant: &str) {
        let known = || self.merchant.lock().unwrap_or_else(PoisonError::into_inner);
        if known().as_deref() == Some(merchant) {
            return;
        }
        let (wanted, of) = (Box::<str>::from(merchant), device.clone());
        let written = self.books.write(move |tx, _, now| books::merchant_paid(tx, &wanted, &of, now)).await;
        // The journal was told of an error. The next QR is looked at again.
        let Ok(first) = written else { return };
        *known() = Some(merchant.into());
        if let Some(first) = first {
            self.around.emit(&Journal::OtherMerchant {
                order: order.clone(),
                device: device.clone(),
                merchant: merchant.to_owned().into(),
                first: first.into_string().into(),
            });
            self.books.ring(Bell::Alerts);
        }
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
    Unanswered,
}

fn does_not_count(id: &OrderId, report: &StatusReport, differs: Differs) -> Problem {
    let other = report.order_id.as_ref().map_or("an order that is none of ours", OrderId::as_str);
    let StatusReport { transaction_id, word, gross_amount_text: sum, .. } = report;
    let currency = report.currency.as_deref().unwrap_or("no currency");
    let back = report.refund_amount.map(|back| format!(", {back} of it went back")).unwrap_or_default();
    let why =
        format!("asked about {id}, answered about {other}, transaction {transaction_id}, {word} of {currency} {sum}{back}: {differs}");
    Problem { kind: TroubleKind::Gone, why }
}
