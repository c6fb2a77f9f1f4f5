//! `qris-backend` without sockets: what `backend::http` and `backend::work` do around the books, as a small synchronous driver
//! for worlds in virtual time. Each world brings what can go wrong on the way.

use crate::backend::books::{self, BooksError, Desk, Done, Forgotten, Noted, Stored};
use crate::backend::midtrans::{
    ChargeAs, ChargeOptions, ChargeRequest, CustomFields, MidtransError, Notification, ServerKey, Transaction, idempotency_key,
    read_answer, read_charge, read_refund, refund_body,
};
use crate::backend::store::Tx;
use crate::backend::view::{self, Place};
use crate::backend::work;
use crate::device::machine::{BackendAnswer, HttpCall};
use crate::host::secret::Secret;
use crate::order::ids::{DeviceId, OrderId, RequestId};
use crate::order::merchant::{
    ANSWER_WITHIN, Call, Charge, Ending, Event as Fact, NoCharge, Order, RefundAnswer, Refused, Rules, Said, Sale, State, Told,
};
use crate::order::qris;
use crate::order::reason::Reason;
use crate::order::receipt::SigningKey;
use crate::order::request::{Payment, Refusal};
use crate::order::time::{Span, Wall};
use crate::sim::midtrans::{Book, Request};
use crate::wire::orders::{NewOrder, Order as Resource, Status};
use base64::Engine as _;

pub(super) const SERVER_KEY: &str = "SB-Mid-server-simulated";
pub(super) const PUBLIC_URL: &str = "https://pay.example";
pub(super) const ISSUER: &str = "pay.example";
/// How long a long poll is held, in milliseconds.
const POLL: i64 = 25_000;
/// How long a call to Midtrans may take, in milliseconds.
const CHARGE: i64 = 5_000;
const CALL: i64 = 10_000;

/// What signs receipts.
pub(super) fn key() -> SigningKey {
    SigningKey::from_seed([11; 32])
}

/// The only machine's name.
pub(super) fn device() -> DeviceId {
    DeviceId::new("vm-001").expect("an id")
}

/// What the merchant decided. `by_itself`: so many refunds a machine and day.
pub(super) fn desk(collect_within: Span, by_itself: u32) -> Desk {
    let rules = Rules { issuer: ISSUER.into(), keys: vec![key()], max_imposed_fee: 0, reversal_window: Span::secs(300), collect_within };
    Desk { rules, push: true, orders_per_minute: 0, auto_refund_per_day: by_itself }
}

/// Where the backend is.
pub(super) fn place(collect_within: Span) -> Place {
    Place { public_url: PUBLIC_URL.into(), sandbox: true, contact: None, collect_within }
}

/// What a machine asks.
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

/// Who waits for what.
struct Wait<C> {
    number: u64,
    from: C,
    what: Waits,
}

pub(super) enum Waits {
    Created(RequestId),
    Ended(OrderId),
    Changed(OrderId, u64),
}

/// Those whose answer is still to come.
pub(super) struct Queue<C> {
    waits: Vec<Wait<C>>,
    numbers: u64,
}

impl<C> Default for Queue<C> {
    fn default() -> Self {
        Self { waits: Vec::new(), numbers: 0 }
    }
}

impl<C> Queue<C> {
    /// Nobody is there any more to answer them.
    pub(super) fn clear(&mut self) {
        self.waits.clear();
    }
}

/// The backend in a world.
pub(super) trait Driver {
    /// Who asks.
    type Caller;

    fn books<T>(&mut self, job: impl FnOnce(&mut dyn Tx, &Desk) -> Result<T, BooksError>) -> Result<T, BooksError>;
    fn desk(&self) -> &Desk;
    fn place(&self) -> &Place;
    fn queue(&mut self) -> &mut Queue<Self::Caller>;
    fn wall(&self) -> Wall;
    fn note(&mut self, text: impl FnOnce() -> String);
    /// A name that nobody has drawn before.
    fn fresh_order_id(&mut self) -> OrderId;
    /// Whoever waits under this number is answered after so many milliseconds, whatever there is to tell.
    fn lose_patience(&mut self, number: u64, after: i64);
    /// Asks Midtrans what an order is and waits for it; `None`: no answer.
    fn get_status(&mut self, id: &OrderId) -> Option<(u16, Vec<u8>)>;
    /// Sends an answer on its way.
    fn answer(&mut self, to: Self::Caller, answer: BackendAnswer);
    /// Does what a commit asks for.
    fn carry_on(&mut self, done: Done);
    /// The machine's outcome is in the books.
    fn has_told(&mut self, order: &OrderId);

    /// As `backend::http::orders` takes what a machine asks.
    fn take(&mut self, ask: Ask, from: Self::Caller) {
        match ask {
            Ask::Open => {
                let answer = match self.books(|tx, _| books::open_orders(tx, &device())) {
                    Ok(all) => BackendAnswer::Open(all.iter().map(|stored| self.resource(stored)).collect()),
                    Err(error) => refused(&error),
                };
                self.answer(from, answer);
            }
            Ask::Order(HttpCall::Create(new)) => self.take_request(&new, from),
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
                let now = self.wall();
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
                self.take_outcome(&id, Told { outcome: report.outcome, reason: report.reason, detail: report.detail }, from);
            }
        }
    }

    fn take_request(&mut self, new: &NewOrder, from: Self::Caller) {
        let Some(kid) = self.desk().rules.choose(&new.kids).cloned() else { return self.answer(from, later(Reason::UnknownKey)) };
        let sale = Sale {
            device: device(),
            request_id: new.request_id.clone(),
            ticket: new.ticket.clone(),
            item: new.item.clone(),
            description: new.description.clone(),
            amount: new.amount,
            payment: new.payment,
            timeout: Span::secs(new.timeout_s.into()),
            kid,
        };
        let digest = serde_json::to_string(new).expect("plain data");
        let (fresh, now) = (self.fresh_order_id(), self.wall());
        match self.books(|tx, desk| books::create(tx, desk, sale, &digest, &fresh, now)) {
            Ok(created) => {
                self.wait(from, Waits::Created(new.request_id.clone()), ANSWER_WITHIN.0);
                self.carry_on(created.done);
            }
            Err(error) => self.answer(from, refused(&error)),
        }
    }

    fn take_outcome(&mut self, id: &OrderId, told: Told, from: Self::Caller) {
        let now = self.wall();
        match self.books(|tx, desk| books::delivered(tx, desk, &device(), id, told, now)) {
            Ok(Ok(done)) => {
                self.has_told(id);
                let stored = done.now.clone();
                self.answer_order(from, &stored);
                self.carry_on(done);
            }
            Ok(Err(_)) => self.answer(from, BackendAnswer::OtherOutcome),
            Err(BooksError::Refused(Refused::NotPaid)) => {
                if let Ok(Noted::News(done)) = self.books(|tx, desk| books::notified(tx, desk, id, Said::Settled, now)) {
                    self.carry_on(*done);
                }
                self.answer(from, later(Reason::Backend));
            }
            Err(error) => self.answer(from, refused(&error)),
        }
    }

    /// The order, from the books or, if they forgot it, from Midtrans.
    fn find(&mut self, id: &OrderId) -> Result<Stored, BackendAnswer> {
        match self.books(|tx, _| books::load(tx, id)) {
            Ok(Some(stored)) => Ok(stored),
            Ok(None) => self.look_up(id)?.ok_or(BackendAnswer::Absent),
            Err(error) => Err(refused(&error)),
        }
    }

    /// An order that the books do not know, from Midtrans.
    fn look_up(&mut self, id: &OrderId) -> Result<Option<Stored>, BackendAnswer> {
        let answer = self.get_status(id).map(|(http, body)| read_answer(http, &body, id.as_str()));
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
    fn resource(&self, stored: &Stored) -> Resource {
        let resource = view::resource(&stored.order, stored.rev, self.wall(), self.place());
        let bytes = serde_json::to_vec(&resource).expect("plain data");
        serde_json::from_slice(&bytes).expect("what was written can be read")
    }

    fn answer_order(&mut self, to: Self::Caller, stored: &Stored) {
        let resource = self.resource(stored);
        self.answer(to, BackendAnswer::Order(Box::new(resource)));
    }

    fn wait(&mut self, from: Self::Caller, what: Waits, patience: i64) {
        let queue = self.queue();
        queue.numbers += 1;
        let number = queue.numbers;
        queue.waits.push(Wait { number, from, what });
        self.lose_patience(number, patience);
    }

    fn out_of_patience(&mut self, number: u64) {
        let waits = &mut self.queue().waits;
        let Some(at) = waits.iter().position(|wait| wait.number == number) else { return };
        let Wait { from, what, .. } = waits.remove(at);
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
        for wait in std::mem::take(&mut self.queue().waits) {
            let answer = match &wait.what {
                Waits::Created(request) => {
                    self.books(|tx, _| books::newest(tx, &device(), request)).ok().and_then(|stored| self.posted(&stored))
                }
                Waits::Ended(id) => self.changed(id, |stored| view::status(&stored.order) != Status::Pending),
                Waits::Changed(id, since) => self.changed(id, |stored| stored.rev > *since),
            };
            match answer {
                Some(answer) => self.answer(wait.from, answer),
                None => self.queue().waits.push(wait),
            }
        }
    }

    /// The order, if it is as somebody waits for.
    fn changed(&mut self, id: &OrderId, is_so: impl FnOnce(&Stored) -> bool) -> Option<BackendAnswer> {
        let stored = self.books(|tx, _| books::load(tx, id)).ok().flatten().filter(is_so)?;
        Some(BackendAnswer::Order(Box::new(self.resource(&stored))))
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
                Ending::Asked | Ending::Timeout => Some(BackendAnswer::Order(Box::new(self.resource(stored)))),
            },
            _ => Some(BackendAnswer::Order(Box::new(self.resource(stored)))),
        }
    }

    /// As `backend::http::notifications` takes what somebody posts; the HTTP status of the answer.
    fn take_notification(&mut self, body: &[u8]) -> u16 {
        let now = self.wall();
        let Ok(notification) = Notification::parse(body) else { return 400 };
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

    /// As `qris-backend reconcile` hands it to the books: what Midtrans has otherwise is asked about once more.
    fn reconcile_with(&mut self, midtrans: Vec<Book>) {
        self.note(|| "the merchant reconciles".into());
        let now = self.wall();
        for book in midtrans {
            let said = match book.status {
                "settlement" => Said::Settled,
                "refund" => Said::Refunded,
                "partial_refund" => Said::PartlyRefunded,
                "chargeback" | "partial_chargeback" => Said::ChargedBack,
                "deny" => Said::Denied,
                _ => continue,
            };
            let Ok(id) = OrderId::new(&book.order_id) else { continue };
            match self.books(|tx, desk| books::notified(tx, desk, &id, said, now)) {
                Ok(Noted::News(done)) => self.carry_on(*done),
                // The merchant compares the day's sum with the dashboard: what was denied is no part of it.
                Ok(Noted::Forgotten) if said != Said::Denied => drop(self.look_up(&id)),
                Ok(Noted::Forgotten | Noted::Known) | Err(_) => {}
            }
        }
    }

    /// When something is due next, if anything is.
    fn next_due(&mut self) -> Result<Option<Wall>, BooksError> {
        let sql = "SELECT min(max(due_ms, coalesce(claimed_until_ms, 0))) FROM orders WHERE due_ms IS NOT NULL";
        self.books(|tx, _| Ok(tx.rows(sql, &[])?.first().map(|row| row.maybe_int(0)).transpose()?.flatten().map(Wall)))
    }
}

/// How long a call may take.
pub(super) const fn limit(call: Call) -> i64 {
    match call {
        Call::Charge => CHARGE,
        Call::GetStatus | Call::Cancel | Call::Refund => CALL,
    }
}

/// The request that `backend::midtrans` would send.
pub(super) fn request(order: &Order, call: Call) -> Request {
    let id = &order.id;
    let (name, body) = match call {
        Call::GetStatus => return status_request(id),
        Call::Charge => ("charge", charge_body(order)),
        Call::Cancel => ("cancel", Vec::new()),
        Call::Refund => {
            let (amount, reason) = work::to_refund(order);
            ("refund", refund_body(id, amount, &reason).to_string().into_bytes())
        }
    };
    Request {
        method: "POST".into(),
        path: if call == Call::Charge { "/v2/charge".into() } else { format!("/v2/{id}/{name}") },
        authorization: Some(authorization()),
        idempotency_key: Some(idempotency_key(id, name)),
        override_notification: (call == Call::Charge).then(|| format!("{PUBLIC_URL}/midtrans/notifications")),
        body,
        ..Request::default()
    }
}

/// The one that asks what an order is.
pub(super) fn status_request(id: &OrderId) -> Request {
    let (method, path) = ("GET".into(), format!("/v2/{id}/status"));
    Request { method, path, authorization: Some(authorization()), ..Request::default() }
}

fn authorization() -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{SERVER_KEY}:")))
}

fn charge_body(order: &Order) -> Vec<u8> {
    let Sale { device, request_id, item, amount, ticket, description, payment, .. } = order.sale.clone();
    let request = ChargeRequest {
        order_id: order.id.clone(),
        description: description.map(String::from).unwrap_or_default(),
        payment,
        fields: CustomFields { device, request_id, item, amount, ticket },
    };
    request.body(&ChargeOptions { charge_as: ChargeAs::Qris, ..ChargeOptions::default() }).to_string().into_bytes()
}

/// What Midtrans answered to a call; `None`: nothing in time.
pub(super) fn read(id: &OrderId, call: Call, answer: Option<(u16, Vec<u8>)>) -> Result<Transaction, MidtransError> {
    let (http, body) = answer.ok_or_else(|| MidtransError::NoAnswer("nothing in time".into()))?;
    match call {
        Call::Charge => read_charge(http, &body, id.as_str()),
        Call::GetStatus | Call::Cancel => read_answer(http, &body, id.as_str()),
        Call::Refund => read_refund(http, &body, id.as_str()),
    }
}

/// As `backend::work` understands an answer.
pub(super) fn fact(call: Call, answer: Result<Transaction, MidtransError>, now: Wall) -> Fact {
    match (call, answer) {
        (Call::Charge, Ok(transaction)) => charged(transaction, now),
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
    }
}

fn charged(transaction: Transaction, now: Wall) -> Fact {
    let Some(gross_amount) = transaction.gross_amount else { return Fact::NotCharged(NoCharge::Exists) };
    let store = transaction.store.map(|store| store.to_ascii_lowercase());
    let payment = match store.as_deref() {
        None => Payment::Gopay,
        Some("alfamart") => Payment::Alfamart,
        Some(_) => Payment::Indomaret,
    };
    let lifetime = match (transaction.transaction_time, transaction.expiry_time) {
        (Some(from), Some(to)) if to > from => to - from,
        _ => ChargeOptions::default().lifetime(payment),
    };
    let mut charge = Charge {
        transaction_id: transaction.transaction_id.clone(),
        gross_amount,
        qr_payload: None,
        qr_url: None,
        deeplink_url: None,
        payment_code: transaction.payment_code.map(Into::into),
        store: store.map(Into::into),
        charged_at: now,
        expires_at: now + lifetime,
    };
    match (payment, transaction.qr_string) {
        (Payment::Alfamart | Payment::Indomaret, _) if charge.payment_code.is_some() => Fact::Charged(charge),
        (Payment::Gopay, Some(payload)) if qris::check(&payload, gross_amount).is_ok() => {
            charge.qr_payload = Some(payload.into());
            Fact::Charged(charge)
        }
        (_, _) => Fact::ChargedUnreadable(charge, "no QR".into()),
    }
}

/// It cannot be told now.
pub(super) fn later(reason: Reason) -> BackendAnswer {
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
