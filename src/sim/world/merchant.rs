//! `qris-backend` in the simulation: its books on their own database, and in place of sockets this small synchronous driver
//! for what `backend::http` and `backend::work` do around them.

use super::{BEGIN, Event, Outage, PUBLIC_URL, SERVER_KEY, World, device, kind, machine};
use crate::backend::books::{self, BooksError, Desk, Done, Forgotten, Noted, Stored};
use crate::backend::midtrans::{
    ChargeAs, ChargeOptions, ChargeRequest, CustomFields, MidtransError, Notification, ServerKey, Transaction, idempotency_key,
    read_answer, read_charge,
};
use crate::backend::store::{Direct, Tx};
use crate::backend::view::{self, Place};
use crate::backend::{devices, work};
use crate::device::machine::{BackendAnswer, HttpCall};
use crate::host::secret::Secret;
use crate::order::ids::OrderId;
use crate::order::merchant::{
    ANSWER_WITHIN, Call, Charge, Ending, Event as Fact, MIDTRANS_EXPIRY, NoCharge, Order, RefundAnswer, Refused, Rules, Said, Sale, State,
    Told,
};
use crate::order::qris;
use crate::order::reason::Reason;
use crate::order::request::Refusal;
use crate::order::time::{Span, Wall};
use crate::sim::midtrans::{Notice, Reply, Request};
use crate::wire::orders::{NewOrder, Status};
use crate::wire::topics::Topic;
use base64::Engine as _;

/// The program's own time limits, in milliseconds.
const CHARGE: i64 = 5_000;
const CALL: i64 = 10_000;
const POLL: i64 = 25_000;
const NOTICE: i64 = 15_000;

/// What the machine asks.
#[derive(Debug)]
pub(super) enum Ask {
    Order(HttpCall),
    Open,
}

impl Ask {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Open => "open orders",
            Self::Order(HttpCall::Create(_)) => "create",
            Self::Order(HttpCall::Watch(..)) => "watch",
            Self::Order(HttpCall::Get(_)) => "get",
            Self::Order(HttpCall::Cancel(_)) => "cancel",
            Self::Order(HttpCall::Tell(..)) => "tell",
        }
    }
}

/// What reaches the backend.
#[derive(Debug)]
pub(super) enum Arrival {
    Asked {
        ask: Ask,
        from: machine::Caller,
    },
    /// A call reaches Midtrans.
    AtMidtrans {
        run: u64,
        id: OrderId,
        call: Call,
        comes_back: bool,
        after: i64,
    },
    /// Midtrans' answer, or that there is none.
    Answered {
        run: u64,
        id: OrderId,
        call: Call,
        answer: Option<(u16, Vec<u8>)>,
    },
    /// Something is due.
    Sweep {
        run: u64,
    },
    /// Whoever waited for so long is answered.
    Patience {
        run: u64,
        number: u64,
    },
    /// The outbox is looked at.
    Publish {
        run: u64,
    },
    Notice(Notice),
}

/// Who waits for what.
struct Wait {
    number: u64,
    from: machine::Caller,
    what: Waits,
}

enum Waits {
    Created(NewOrder),
    Ended(OrderId),
    Changed(OrderId, u64),
}

/// The backend's side.
pub(super) struct Side {
    books: Option<Direct>,
    run: u64,
    waits: Vec<Wait>,
    numbers: u64,
    sweep_at: Option<i64>,
    backed_up: bool,
    desk: Desk,
    place: Place,
}

impl Side {
    pub(super) fn new() -> Self {
        let rules = Rules {
            issuer: super::ISSUER.into(),
            keys: vec![super::key()],
            max_imposed_fee: 0,
            reversal_window: Span::secs(300),
            collect_within: Span::secs(72 * 3600),
        };
        Self {
            books: None,
            run: 0,
            waits: Vec::new(),
            numbers: 0,
            sweep_at: None,
            backed_up: false,
            desk: Desk { rules, push: true, orders_per_minute: 0, auto_refund_per_day: 0 },
            place: Place { public_url: PUBLIC_URL.into(), sandbox: true, contact: None },
        }
    }
}

impl World {
    /// The program ends where it is and starts again.
    pub(super) fn start_merchant(&mut self) {
        self.merchant.books = None;
        self.merchant.run += 1;
        self.merchant.waits.clear();
        self.merchant.sweep_at = None;
        match Direct::open(&self.directory.join("orders.db")) {
            Ok(books) => self.merchant.books = Some(books),
            Err(error) => return self.fail(format!("the backend cannot open its books: {error}")),
        }
        let now = self.wall();
        let added = self.books(|tx, _| devices::add(tx, &device(), &devices::hash("vm-001"), true, now));
        let begun = self.books(|tx, desk| books::restarted(tx, desk, now));
        if let Err(error) = added.map(drop).and(begun.map(drop)) {
            self.fail(format!("the backend cannot begin: {error}"));
        }
        self.publish_soon();
        self.plan_sweep();
    }

    /// An older backup is made, or takes the place of what there is.
    pub(super) fn back_up_or_restore(&mut self) {
        let (live, saved) = (self.directory.join("orders.db"), self.directory.join("orders.backup"));
        self.merchant.books = None;
        // Closed, so all of it is in one file.
        if self.merchant.backed_up && self.one_in(2) {
            self.count(kind::RESTORED, "the backend is restored from a backup");
            self.amnesia = true;
            for suffix in ["-wal", "-shm"] {
                drop(std::fs::remove_file(self.directory.join(format!("orders.db{suffix}"))));
            }
            drop(std::fs::copy(&saved, &live));
        } else {
            self.note(|| "the backend is backed up".into());
            self.merchant.backed_up = std::fs::copy(&live, &saved).is_ok();
        }
        self.start_merchant();
    }

    /// As `qris-backend reconcile` hands it to the books: what Midtrans settled is asked about where the books say otherwise.
    pub(super) fn reconcile(&mut self) {
        self.note(|| "the merchant reconciles".into());
        let now = self.wall();
        let paid = self.midtrans.transactions().into_iter().filter(|book| book.status == "settlement");
        for id in paid.filter_map(|book| OrderId::new(&book.order_id).ok()).collect::<Vec<_>>() {
            match self.books(|tx, desk| books::notified(tx, desk, &id, Said::Settled, now)) {
                Ok(Noted::News(done)) => self.carry_on(*done),
                Ok(Noted::Forgotten) => drop(self.look_up(&id)),
                Ok(Noted::Known) | Err(_) => {}
            }
        }
    }

    pub(super) fn books<T>(&mut self, job: impl FnOnce(&mut dyn Tx, &Desk) -> Result<T, BooksError>) -> Result<T, BooksError> {
        let Side { books, desk, .. } = &mut self.merchant;
        match books {
            Some(books) => books.run(|tx| job(tx, desk)),
            None => Err(BooksError::Store(crate::backend::store::StoreError::Gone)),
        }
    }

    pub(super) fn merchant_arrival(&mut self, arrival: Arrival) {
        let current = self.merchant.run;
        match arrival {
            Arrival::Asked { ask, from } => self.asked(ask, from),
            Arrival::AtMidtrans { run, id, call, comes_back, after } => {
                let answer = self.at_midtrans(&id, call);
                if comes_back {
                    self.after(after, Event::Merchant(Arrival::Answered { run, id, call, answer }));
                }
            }
            Arrival::Answered { run, id, call, answer } if run == current => self.midtrans_answered(&id, call, answer),
            Arrival::Sweep { run } if run == current => {
                self.merchant.sweep_at = None;
                let now = self.wall();
                for id in self.books(|tx, _| books::claim_due(tx, now)).unwrap_or_default() {
                    if let Ok(done) = self.books(|tx, desk| books::claim(tx, desk, &id, now)) {
                        self.carry_on(done);
                    }
                }
                self.plan_sweep();
            }
            Arrival::Patience { run, number } if run == current => self.out_of_patience(number),
            Arrival::Publish { run } if run == current => self.publish(),
            Arrival::Notice(notice) => self.notice(notice),
            Arrival::Answered { .. } | Arrival::Sweep { .. } | Arrival::Patience { .. } | Arrival::Publish { .. } => {}
        }
    }

    // What the machine asks.

    fn asked(&mut self, ask: Ask, from: machine::Caller) {
        let now = self.wall();
        match ask {
            Ask::Open => {
                let answer = match self.books(|tx, _| books::open_orders(tx, &device())) {
                    Ok(all) => BackendAnswer::Open(all.iter().map(|stored| self.wire(stored)).collect()),
                    Err(error) => refused(&error),
                };
                self.answer(from, answer);
            }
            Ask::Order(HttpCall::Create(new)) => {
                let Some(sale) = self.sale(&new) else { return self.answer(from, later(Reason::UnknownKey)) };
                let digest = serde_json::to_string(&*new).expect("plain data");
                let fresh = self.draw_order_id();
                match self.books(|tx, desk| books::create(tx, desk, sale, &digest, &fresh, now)) {
                    Ok(created) => {
                        self.wait(from, Waits::Created(*new), ANSWER_WITHIN.0);
                        self.carry_on(created.done);
                    }
                    Err(error) => self.answer(from, refused(&error)),
                }
            }
            Ask::Order(HttpCall::Watch(id, since)) => match self.find(&id) {
                Ok(stored) if stored.rev > since => self.answer_order(from, &stored),
                Ok(_) => self.wait(from, Waits::Changed(id, since), POLL),
                Err(answer) => self.answer(from, answer),
            },
            Ask::Order(HttpCall::Get(id)) => match self.find(&id) {
                Ok(stored) => self.answer_order(from, &stored),
                Err(answer) => self.answer(from, answer),
            },
            Ask::Order(HttpCall::Cancel(id)) => {
                if let Err(answer) = self.find(&id) {
                    return self.answer(from, answer);
                }
                match self.books(|tx, desk| books::cancel_asked(tx, desk, &device(), &id, now)) {
                    Ok(done) => {
                        self.wait(from, Waits::Ended(id), ANSWER_WITHIN.0);
                        self.carry_on(done);
                    }
                    Err(error) => self.answer(from, refused(&error)),
                }
            }
            Ask::Order(HttpCall::Tell(id, report)) => {
                if let Err(answer) = self.find(&id) {
                    return self.answer(from, answer);
                }
                self.note(|| format!("the machine tells {}", report.outcome));
                let told = Told { outcome: report.outcome, reason: report.reason, detail: report.detail };
                match self.books(|tx, desk| books::delivered(tx, desk, &device(), &id, told, now)) {
                    Ok(Ok(done)) => {
                        let stored = done.now.clone();
                        self.answer_order(from, &stored);
                        self.carry_on(done);
                    }
                    Ok(Err(_)) => self.answer(from, BackendAnswer::OtherOutcome),
                    Err(BooksError::Refused(Refused::NotPaid)) => {
                        if let Ok(Noted::News(done)) = self.books(|tx, desk| books::notified(tx, desk, &id, Said::Settled, now)) {
                            self.carry_on(*done);
                        }
                        self.answer(from, later(Reason::Backend));
                    }
                    Err(error) => self.answer(from, refused(&error)),
                }
            }
        }
    }

    fn sale(&self, new: &NewOrder) -> Option<Sale> {
        let kid = self.merchant.desk.rules.choose(&new.kids)?.clone();
        Some(Sale {
            device: device(),
            request_id: new.request_id.clone(),
            ticket: new.ticket.clone(),
            item: new.item.clone(),
            description: new.description.clone(),
            amount: new.amount,
            payment: new.payment,
            timeout: Span::secs(new.timeout_s.into()),
            kid,
        })
    }

    fn draw_order_id(&mut self) -> OrderId {
        OrderId::new(&format!("o{:016x}{:08x}", self.rng.number(), self.rng.number() >> 32)).expect("letters and digits")
    }

    /// The order, from the books or, if they forgot it, from Midtrans.
    fn find(&mut self, id: &OrderId) -> Result<Stored, BackendAnswer> {
        match self.books(|tx, _| books::load(tx, id)) {
            Ok(Some(stored)) => Ok(stored),
            Ok(None) => self.look_up(id)?.ok_or(BackendAnswer::Absent),
            Err(error) => Err(refused(&error)),
        }
    }

    fn look_up(&mut self, id: &OrderId) -> Result<Option<Stored>, BackendAnswer> {
        let answer = if self.cut[Outage::Midtrans as usize] { None } else { self.at_midtrans(id, Call::GetStatus) };
        let answer = answer.map(|(http, body)| read_answer(http, &body, id.as_str()));
        let report = match answer {
            Some(Ok(transaction)) => work::report(transaction),
            Some(Err(MidtransError::NotFound)) => return Ok(None),
            Some(Err(_)) | None => return Err(later(Reason::Midtrans)),
        };
        let now = self.wall();
        self.note(|| "a forgotten order is looked up".into());
        match self.books(|tx, desk| books::rebuild(tx, desk, &report, Some(&device()), now)) {
            Ok(Forgotten::Rebuilt(done)) => {
                let stored = done.now.clone();
                self.carry_on(*done);
                Ok(Some(stored))
            }
            Ok(_) => Ok(None),
            Err(error) => Err(refused(&error)),
        }
    }

    /// As it is read at the other end of the wire.
    fn wire(&self, stored: &Stored) -> crate::wire::orders::Order {
        let resource = view::resource(&stored.order, stored.rev, self.wall(), &self.merchant.place);
        let bytes = serde_json::to_vec(&resource).expect("plain data");
        serde_json::from_slice(&bytes).expect("what was written can be read")
    }

    fn answer_order(&mut self, to: machine::Caller, stored: &Stored) {
        let resource = self.wire(stored);
        self.answer(to, BackendAnswer::Order(Box::new(resource)));
    }

    fn answer(&mut self, to: machine::Caller, answer: BackendAnswer) {
        if self.cut[Outage::Http as usize] || self.goes_wrong(25, kind::HTTP_ANSWER) {
            return;
        }
        let delay = 5 + self.below(60);
        self.machine_hears(machine::Arrival::Answer(to, machine::Answer::Backend(answer)), delay);
    }

    fn wait(&mut self, from: machine::Caller, what: Waits, patience: i64) {
        self.merchant.numbers += 1;
        let (run, number) = (self.merchant.run, self.merchant.numbers);
        self.merchant.waits.push(Wait { number, from, what });
        self.after(patience, Event::Merchant(Arrival::Patience { run, number }));
    }

    fn out_of_patience(&mut self, number: u64) {
        let Some(at) = self.merchant.waits.iter().position(|wait| wait.number == number) else { return };
        let Wait { from, what, .. } = self.merchant.waits.remove(at);
        match what {
            Waits::Created(_) | Waits::Ended(_) => self.answer(from, later(Reason::Midtrans)),
            Waits::Changed(id, _) => {
                if let Ok(Some(stored)) = self.books(|tx, _| books::load(tx, &id)) {
                    self.answer_order(from, &stored);
                }
            }
        }
    }

    /// Answers whoever waited for what is so now.
    fn wake(&mut self) {
        let waits = std::mem::take(&mut self.merchant.waits);
        for wait in waits {
            let answer = match &wait.what {
                Waits::Created(new) => {
                    let request = new.request_id.clone();
                    self.books(|tx, _| books::newest(tx, &device(), &request)).ok().and_then(|stored| self.posted(&stored))
                }
                Waits::Ended(id) => self
                    .books(|tx, _| books::load(tx, id))
                    .ok()
                    .flatten()
                    .filter(|stored| view::status(&stored.order) != Status::Pending)
                    .map(|stored| BackendAnswer::Order(Box::new(self.wire(&stored)))),
                Waits::Changed(id, since) => self
                    .books(|tx, _| books::load(tx, id))
                    .ok()
                    .flatten()
                    .filter(|stored| stored.rev > *since)
                    .map(|stored| BackendAnswer::Order(Box::new(self.wire(&stored)))),
            };
            match answer {
                Some(answer) => self.answer(wait.from, answer),
                None => self.merchant.waits.push(wait),
            }
        }
    }

    /// As `backend::http::orders` answers a POST: not while it is being charged.
    fn posted(&self, stored: &Stored) -> Option<BackendAnswer> {
        let order = &stored.order;
        match &order.state {
            State::Charging { .. } => None,
            State::Cancelling { why, .. } | State::Closed { why: Some(why), .. } => match why {
                Ending::GaveUp | Ending::NotMade { again: true, .. } if self.wall() < order.answer_by => None,
                Ending::GaveUp | Ending::Leftover | Ending::NotMade { .. } => Some(later(Reason::Midtrans)),
                Ending::GrossAmount => Some(BackendAnswer::Refused(Refusal::new(Reason::GrossAmount, "another sum"))),
                Ending::Unreadable(_) => Some(BackendAnswer::Refused(Refusal::new(Reason::Midtrans, "no QR"))),
                Ending::Asked | Ending::Timeout => Some(BackendAnswer::Order(Box::new(self.wire(stored)))),
            },
            _ => Some(BackendAnswer::Order(Box::new(self.wire(stored)))),
        }
    }

    // What is asked of Midtrans.

    fn carry_on(&mut self, done: Done) {
        if let Some(call) = done.call {
            self.ask_midtrans(&done.now.order, call);
        }
        self.publish_soon();
        self.wake();
        self.plan_sweep();
    }

    fn ask_midtrans(&mut self, order: &Order, call: Call) {
        let (run, id) = (self.merchant.run, order.id.clone());
        let limit = if call == Call::Charge { CHARGE } else { CALL };
        self.note(|| format!("the backend asks Midtrans: {call:?}"));
        let lost = self.cut[Outage::Midtrans as usize] || self.goes_wrong(25, kind::MIDTRANS_LOST);
        let silent = self.goes_wrong(25, kind::MIDTRANS_ANSWER);
        let slow = self.goes_wrong(20, kind::MIDTRANS_SLOW);
        let there = if slow { self.below(9_000) } else { 20 + self.below(300) };
        let back = if slow { self.below(9_000) } else { 20 + self.below(300) };
        let comes_back = !lost && !silent && there + back < limit;
        if !lost {
            let (id, after) = (id.clone(), back);
            self.after(there, Event::Merchant(Arrival::AtMidtrans { run, id, call, comes_back, after }));
        }
        if !comes_back {
            self.after(limit, Event::Merchant(Arrival::Answered { run, id, call, answer: None }));
        }
    }

    /// The request that `backend::midtrans` would send, and Midtrans' answer.
    fn at_midtrans(&mut self, id: &OrderId, call: Call) -> Option<(u16, Vec<u8>)> {
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{SERVER_KEY}:"));
        let mut request = Request { authorization: Some(format!("Basic {credentials}")), ..Request::default() };
        let name = match call {
            Call::Charge => "charge",
            Call::GetStatus => "status",
            Call::Cancel => "cancel",
            Call::Refund => "refund",
        };
        match call {
            Call::GetStatus => {
                request.method = "GET".into();
                request.path = format!("/v2/{id}/status");
            }
            Call::Charge => {
                request.method = "POST".into();
                request.path = "/v2/charge".into();
                request.idempotency_key = Some(idempotency_key(id, name));
                request.override_notification = Some(format!("{PUBLIC_URL}/midtrans/notifications"));
                request.body = self.charge_body(id)?;
            }
            Call::Cancel | Call::Refund => {
                request.method = "POST".into();
                request.path = format!("/v2/{id}/{name}");
                request.idempotency_key = Some(idempotency_key(id, name));
            }
        }
        match self.midtrans.handle(&request, self.wall()) {
            Reply::Answer(answer) | Reply::Hold(_, answer) => Some((answer.http, answer.body)),
            Reply::CutAmid(_) | Reply::Cut => None,
        }
    }

    fn charge_body(&mut self, id: &OrderId) -> Option<Vec<u8>> {
        let order = self.books(|tx, _| books::load(tx, id)).ok()??.order;
        let Sale { device, request_id, item, amount, ticket, description, payment, .. } = order.sale;
        let request = ChargeRequest {
            order_id: order.id,
            description: description.map(String::from).unwrap_or_default(),
            payment,
            fields: CustomFields { device, request_id, item, amount, ticket },
        };
        let options = ChargeOptions { charge_as: ChargeAs::Qris, ..ChargeOptions::default() };
        serde_json::to_vec(&request.body(&options)).ok()
    }

    fn midtrans_answered(&mut self, id: &OrderId, call: Call, answer: Option<(u16, Vec<u8>)>) {
        let none = || MidtransError::NoAnswer("nothing in time".into());
        let answer = answer.ok_or_else(none).and_then(|(http, body)| match call {
            Call::Charge => read_charge(http, &body, id.as_str()),
            Call::GetStatus | Call::Cancel | Call::Refund => read_answer(http, &body, id.as_str()),
        });
        let fact = match (call, answer) {
            (Call::Charge, Ok(transaction)) => self.charged(transaction),
            (Call::Charge, Err(error)) => Fact::NotCharged(work::no_charge(&error)),
            (Call::GetStatus, Ok(transaction)) => Fact::Status(work::report(transaction)),
            (Call::GetStatus, Err(MidtransError::NotFound)) => Fact::StatusUnknown,
            (Call::GetStatus, Err(_)) => Fact::StatusUnanswered,
            (Call::Cancel, Ok(transaction)) => Fact::CancelDone(work::report(transaction)),
            (Call::Cancel, Err(MidtransError::CannotModify)) => Fact::CancelRefused,
            (Call::Cancel, Err(MidtransError::NotFound)) => Fact::CancelUnknown,
            (Call::Cancel, Err(_)) => Fact::CancelUnanswered,
            (Call::Refund, Ok(_)) => Fact::RefundAnswered(RefundAnswer::Approved),
            (Call::Refund, Err(error)) => Fact::RefundAnswered(work::refund_answer(&error)),
        };
        let now = self.wall();
        match self.books(|tx, desk| books::answered(tx, desk, id, fact, now)) {
            Ok(done) => {
                let word = books::state_word(&done.now.order.state);
                if word != books::state_word(&done.was.state) {
                    self.note(|| format!("an order is {word}"));
                }
                self.carry_on(done);
            }
            // A backup knows nothing of what was asked before it was restored.
            Err(BooksError::Unknown) => {}
            Err(error) => self.fail(format!("the books do not take an answer: {error}")),
        }
    }

    fn charged(&self, transaction: Transaction) -> Fact {
        let now = self.wall();
        let Some(gross_amount) = transaction.gross_amount else { return Fact::NotCharged(NoCharge::Exists) };
        let lifetime = match (transaction.transaction_time, transaction.expiry_time) {
            (Some(from), Some(to)) if to > from => to - from,
            _ => MIDTRANS_EXPIRY,
        };
        let mut charge = Charge {
            transaction_id: transaction.transaction_id.clone(),
            gross_amount,
            qr_payload: None,
            qr_url: None,
            deeplink_url: None,
            payment_code: None,
            store: None,
            charged_at: now,
            expires_at: now + lifetime,
        };
        match transaction.qr_string {
            Some(payload) if qris::check(&payload, gross_amount).is_ok() => {
                charge.qr_payload = Some(payload.into());
                Fact::Charged(charge)
            }
            Some(_) | None => Fact::ChargedUnreadable(charge, "no QR".into()),
        }
    }

    /// Looks when something is due next.
    fn plan_sweep(&mut self) {
        let sql = "SELECT min(max(due_ms, coalesce(claimed_until_ms, 0))) FROM orders WHERE due_ms IS NOT NULL";
        let due = self.books(|tx, _| Ok(tx.rows(sql, &[])?.first().map(|row| row.maybe_int(0)).transpose()?.flatten()));
        let Ok(Some(due)) = due else { return };
        let at = (due - BEGIN).max(self.now + 50);
        if self.merchant.sweep_at.is_none_or(|known| at < known) {
            self.merchant.sweep_at = Some(at);
            let run = self.merchant.run;
            self.at(at, Event::Merchant(Arrival::Sweep { run }));
        }
    }

    // News for the machine, and from Midtrans.

    fn publish_soon(&mut self) {
        let run = self.merchant.run;
        self.after(3, Event::Merchant(Arrival::Publish { run }));
    }

    fn publish(&mut self) {
        if self.cut[Outage::Broker as usize] {
            let run = self.merchant.run;
            return self.after(5_000, Event::Merchant(Arrival::Publish { run }));
        }
        let news = self.books(|tx, _| books::take_outbox(tx, 0)).unwrap_or_default();
        for message in news {
            self.broker_takes(Topic::PaymentUpdate, message.payload.into_bytes());
            if self.goes_wrong(40, kind::BETWEEN) {
                self.note(|| "the backend crashes between two effects".into());
                return self.start_merchant();
            }
            let seq = message.seq;
            if let Err(error) = self.books(|tx, _| books::published(tx, &[seq])) {
                self.fail(format!("the outbox cannot be emptied: {error}"));
            }
        }
    }

    pub(super) fn send_notices(&mut self) {
        for notice in self.midtrans.due(self.wall()) {
            let delay = if self.storm && self.one_in(6) { self.below(40_000) } else { 30 + self.below(400) };
            if self.goes_wrong(12, kind::NOTICES) {
                let later = delay + self.below(60_000);
                self.after(later, Event::Merchant(Arrival::Notice(notice.clone())));
            }
            self.after(delay, Event::Merchant(Arrival::Notice(notice)));
        }
    }

    fn notice(&mut self, notice: Notice) {
        let now = self.wall();
        if self.cut[Outage::Midtrans as usize] {
            let at = Wall(now.0 + NOTICE);
            return self.midtrans.notified(notice, None, at);
        }
        let http = self.take_notice(&notice);
        self.note(|| format!("a notification is answered {http}"));
        self.midtrans.notified(notice, Some(http), now);
    }

    fn take_notice(&mut self, notice: &Notice) -> u16 {
        let now = self.wall();
        let Ok(notification) = Notification::parse(&notice.body) else { return 400 };
        if !notification.is_signed_with(&ServerKey::new(&Secret::new(SERVER_KEY))) {
            return 403;
        }
        let Ok(id) = OrderId::new(&notification.order_id) else { return 404 };
        let said = work::said(&notification.transaction_status, notification.fraud_status.as_ref());
        match self.books(|tx, desk| books::notified(tx, desk, &id, said, now)) {
            Ok(Noted::News(done)) => {
                self.carry_on(*done);
                200
            }
            Ok(Noted::Known) => 200,
            Ok(Noted::Forgotten) => match self.look_up(&id) {
                Ok(Some(_)) => 200,
                Ok(None) => 404,
                Err(_) => 503,
            },
            Err(_) => 503,
        }
    }
}

fn later(reason: Reason) -> BackendAnswer {
    BackendAnswer::Later(Refusal::new(reason, "ask again"), Span::secs(1))
}

/// As `device::backend` reads what `backend::http` makes of an error.
fn refused(error: &BooksError) -> BackendAnswer {
    match error {
        BooksError::Unknown => BackendAnswer::Absent,
        BooksError::ReusedId | BooksError::ReusedTicket => BackendAnswer::Refused(Refusal::new(Reason::ReusedId, error.to_string())),
        BooksError::RateLimited(_) => BackendAnswer::Refused(Refusal::new(Reason::RateLimited, error.to_string())),
        _ => later(Reason::Store),
    }
}
