//! A Midtrans of one merchant, as far as GoPay and QRIS go: pure, so that a test drives it by the millisecond.
//!
//! Whoever gives it a port does three things: hands every request to [`Midtrans::handle`] and does what the [`Reply`]
//! says; sends what [`Midtrans::due`] returns and tells [`Midtrans::notified`] how it went; calls `due` again no later
//! than [`Midtrans::next_due`]. Customers act through [`Midtrans::pay`] and [`Midtrans::fail`].

mod books;
mod charge;
mod customers;
mod notices;
mod transaction;

pub use books::{Book, Logged, Paid, PayError};
pub use notices::Notice;
pub use transaction::Via;

use super::faults::{BrokenImage, Fault, Faults, Moment, Plan};
use super::qris::{self, Look, Merchant};
use super::rng::Rng;
use crate::order::time::{Span, Wall};
use base64::Engine as _;
use books::Books;
use charge::Refused;
use notices::Notices;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use transaction::{Status, Transaction};

/// What kind of Midtrans, and whose.
#[derive(Clone)]
pub struct Options {
    /// What requests must carry and notifications are signed with.
    pub server_key: String,
    /// What the addresses in answers begin with; no slash at the end.
    pub public_url: String,
    /// Whose QRs it makes.
    pub merchant: Merchant,
    /// Where notifications go unless a charge overrides it: the dashboard's setting.
    pub notification_urls: Vec<String>,
    /// How long a charge can be paid that asks for nothing else.
    pub expiry: Span,
    /// How often the batch runs that expires what is over. Until then get-status says pending.
    pub batch_every: Span,
    /// How long a notification takes.
    pub notification_delay: Span,
    /// The waits between the attempts to deliver one.
    pub retry_spacing: Vec<Span>,
    /// Repeats ids and shifts.
    pub seed: u64,
}

impl Options {
    /// What the documents say, for this key and address.
    #[must_use]
    pub fn new(server_key: &str, public_url: &str) -> Self {
        Self {
            server_key: server_key.to_owned(),
            public_url: public_url.to_owned(),
            merchant: Merchant::default(),
            notification_urls: Vec::new(),
            expiry: Span::secs(15 * 60),
            batch_every: Span::secs(60),
            notification_delay: Span::ZERO,
            retry_spacing: [120, 600, 1_800, 5_400, 12_600].map(Span::secs).to_vec(),
            seed: 1,
        }
    }
}

/// A request as far as Midtrans looks at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// `Authorization`
    pub authorization: Option<String>,
    /// `Idempotency-Key`
    pub idempotency_key: Option<String>,
    /// `X-Override-Notification`
    pub override_notification: Option<String>,
    /// `X-Append-Notification`
    pub append_notification: Option<String>,
    /// As sent.
    pub body: Vec<u8>,
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub http: u16,
    /// Of the body.
    pub content_type: &'static str,
    /// The bytes.
    pub body: Vec<u8>,
}

/// What the connection does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It answers.
    Answer(Answer),
    /// It answers as soon as [`Midtrans::is_held`] says no.
    Hold(u64, Answer),
    /// It is closed.
    Cut,
}

/// The whole of it.
pub struct Midtrans {
    options: Options,
    authorization: String,
    rng: Rng,
    books: Books,
    notices: Notices,
    faults: Faults,
    keys: BTreeMap<String, Kept>,
    /// Answers that wait, each until a time or until it is released.
    held: BTreeMap<u64, Option<Wall>>,
    holds: u64,
    next_batch: Option<Wall>,
    log: VecDeque<Logged>,
}

/// What an Idempotency-Key is remembered for.
struct Kept {
    at: Wall,
    /// While this answer is held, the first call still runs.
    hold: Option<u64>,
    /// Only success is repeated.
    answer: Option<Answer>,
}

const IDEMPOTENCY_KEY_CHARS_MAX: usize = 46;
const IDEMPOTENCY_LIFE: Span = Span::secs(5 * 60);
/// At most so many addresses of `X-Override-Notification` count; the documents say two and three.
const NOTIFICATION_URLS_MAX: usize = 3;
const LOG_MAX: usize = 100_000;

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route<'a> {
    Charge,
    Status(&'a str),
    Cancel(&'a str),
    Expire(&'a str),
    Image(&'a str, Look),
    WrongMethod,
    Nowhere,
}

impl<'a> Route<'a> {
    fn find(method: &str, path: &'a str) -> Self {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let (wanted, route) = match segments[..] {
            ["v2", "charge"] => ("POST", Self::Charge),
            ["v2", id, "status"] => ("GET", Self::Status(id)),
            ["v2", id, "cancel"] => ("POST", Self::Cancel(id)),
            ["v2", id, "expire"] => ("POST", Self::Expire(id)),
            ["v2", "gopay" | "qris", name, "qr-code"] => ("GET", Self::Image(name, Look::Plain)),
            ["v4", "qris", "gopay", name, "qr-code"] => ("GET", Self::Image(name, Look::Framed)),
            _ => return Self::Nowhere,
        };
        if method == wanted { route } else { Self::WrongMethod }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Status(_) => "status",
            Self::Cancel(_) => "cancel",
            Self::Expire(_) => "expire",
            Self::Image(..) => "qr_image",
            Self::WrongMethod | Self::Nowhere => "none",
        }
    }
}

impl Midtrans {
    /// One without transactions.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{}:", options.server_key));
        Self {
            authorization: format!("Basic {credentials}"),
            rng: Rng::new(options.seed),
            options,
            books: Books::default(),
            notices: Notices::default(),
            faults: Faults::default(),
            keys: BTreeMap::new(),
            held: BTreeMap::new(),
            holds: 0,
            next_batch: None,
            log: VecDeque::new(),
        }
    }

    /// Answers a request, after whatever was due before it.
    pub fn handle(&mut self, request: &Request, now: Wall) -> Reply {
        self.run_batch(now);
        let route = Route::find(&request.method, &request.path);
        let order_id = self.order_of(route, &request.body);
        let (reply, fault) = self.reply(request, route, &order_id, now);
        let (http, status_code) = match &reply {
            Reply::Answer(answer) | Reply::Hold(_, answer) => (Some(answer.http), answer.code()),
            Reply::Cut => (None, None),
        };
        if self.log.len() >= LOG_MAX {
            self.log.pop_front();
        }
        self.log.push_back(Logged {
            at_ms: now.0,
            method: request.method.clone(),
            path: request.path.clone(),
            call: route.name(),
            order_id,
            http,
            status_code,
            fault,
        });
        reply
    }

    /// Faults strike in the order of a request's life: before it, in it, and on its answer.
    fn reply(&mut self, request: &Request, route: Route<'_>, order_id: &str, now: Wall) -> (Reply, Option<Fault>) {
        let name = route.name();
        if let Some(fault) = self.faults.take(Moment::Arrival, name, order_id) {
            let reply = match &fault {
                Fault::RateLimit => Reply::Answer(Answer::json(429, &json!({ "message": "API rate limit exceeded" }))),
                Fault::ServerError { code, .. } => Reply::Answer(self.error(*code, *code, "Sorry, we encountered internal server error.")),
                _ => Reply::Cut,
            };
            return (reply, Some(fault));
        }
        if let Route::Image(name, look) = route {
            return self.image(name, look, order_id, now);
        }
        if matches!(route, Route::Nowhere | Route::WrongMethod) {
            return (Reply::Answer(self.nowhere(route)), None);
        }
        if request.authorization.as_deref() != Some(&self.authorization) {
            return (Reply::Answer(self.error(401, 401, "Unknown Merchant server_key/id")), None);
        }
        let key =
            request.idempotency_key.as_deref().filter(|key| request.method == "POST" && key.chars().count() <= IDEMPOTENCY_KEY_CHARS_MAX);
        if let Some(answer) = key.and_then(|key| self.remembered(key, now)) {
            return (Reply::Answer(answer), None);
        }
        let (answer, fault) = match route {
            Route::Charge => self.charge(request, order_id, now),
            Route::Status(id) => self.status(id, order_id),
            Route::Cancel(id) => (self.end(id, Status::Cancel, now), None),
            Route::Expire(id) => (self.end(id, Status::Expire, now), None),
            Route::Image(..) | Route::WrongMethod | Route::Nowhere => (self.nowhere(route), None),
        };
        let departure = self.faults.take(Moment::Departure, name, order_id);
        let hold = match &departure {
            Some(Fault::Hang { ms }) => Some(self.hold(ms.map(|ms| now + Span::millis(ms)))),
            _ => None,
        };
        if let Some(key) = key {
            let success = matches!(answer.code().as_deref(), Some("200" | "201" | "407"));
            let kept = Kept { at: now, hold, answer: success.then(|| answer.clone()) };
            self.keys.insert(key.to_owned(), kept);
        }
        let reply = match (&departure, hold) {
            (_, Some(hold)) => Reply::Hold(hold, answer),
            (Some(Fault::LoseAnswer), _) => Reply::Cut,
            (Some(Fault::ServerError { code, .. }), _) => {
                Reply::Answer(self.error(*code, *code, "Sorry, we encountered internal server error."))
            }
            (Some(Fault::Garble), _) => Reply::Answer(answer.garbled()),
            (Some(Fault::TooLarge), _) => Reply::Answer(Answer { body: vec![b' '; 1 << 20], ..answer }),
            _ => Reply::Answer(answer),
        };
        (reply, departure.or(fault))
    }

    /// What this key was answered with, or 202 while that answer is under way.
    fn remembered(&mut self, key: &str, now: Wall) -> Option<Answer> {
        let (held, rng) = (&self.held, &mut self.rng);
        let runs = |kept: &Kept| kept.hold.is_some_and(|hold| is_held(held, hold, now));
        let kept = self.keys.get(key).filter(|kept| now - kept.at < IDEMPOTENCY_LIFE || runs(kept))?;
        if runs(kept) {
            Some(error(rng, 202, 202, "The first request with this Idempotency-Key is being processed"))
        } else {
            kept.answer.clone()
        }
    }

    fn charge(&mut self, request: &Request, order_id: &str, now: Wall) -> (Answer, Option<Fault>) {
        let charge = match charge::read(&request.body, self.options.expiry, now) {
            Ok(charge) => charge,
            Err(refused) => return (self.refused(refused), None),
        };
        if self.books.is_full() {
            return (self.error(503, 503, "The simulator's books are full: start it anew"), None);
        }
        if self.books.of_order(order_id).is_some_and(|(_, old)| !old.status.frees_order_id()) {
            let why =
                "The request could not be completed due to a conflict with the current state of the target resource, please try again";
            return (self.error(200, 406, why), None);
        }
        let fault = self.faults.take(Moment::Charge, "charge", order_id);
        let fee = if let Some(Fault::ImposeFee { rupiah }) = fault { rupiah } else { 0 };
        let gross = charge.amount.saturating_add(fee);
        let id = self.rng.uuid();
        let mut transaction = Transaction {
            gross,
            status: Status::Pending,
            made_at: now,
            settled_at: None,
            paid_via: None,
            failed_attempts: 0,
            payload: self.options.merchant.payload(gross, &self.rng.uuid()),
            image_token: format!("A1{}{:012}ID", now.0, self.rng.below(1_000_000_000_000)),
            deeplink_id: self.rng.uuid(),
            urls: self.notification_urls(request),
            id,
            charge,
        };
        let merchant = &self.options.merchant.id;
        if let Some(Fault::Deny { code }) = fault {
            transaction.status = Status::Deny;
            let answer = Answer::json(200, &transaction.denied(merchant, code));
            self.books.add(transaction);
            return (answer, fault);
        }
        let answer = Answer::json(200, &transaction.charged(merchant, &self.options.public_url));
        let at = self.books.add(transaction);
        self.notify(at, now);
        (answer, fault)
    }

    fn notification_urls(&self, request: &Request) -> Vec<String> {
        let list = |header: &str| header.split(',').map(|url| url.trim().to_owned()).filter(|url| !url.is_empty()).collect::<Vec<_>>();
        let mut urls = match (&request.override_notification, &request.append_notification) {
            (Some(instead), _) => list(instead),
            (None, Some(beside)) => [self.options.notification_urls.clone(), list(beside)].concat(),
            (None, None) => self.options.notification_urls.clone(),
        };
        urls.truncate(NOTIFICATION_URLS_MAX);
        urls
    }

    fn status(&mut self, id: &str, order_id: &str) -> (Answer, Option<Fault>) {
        let Some((_, transaction)) = self.books.find(id) else { return (self.unknown(), None) };
        let mut told = transaction.clone();
        let fault = self.faults.take(Moment::Status, "status", order_id);
        if fault == Some(Fault::StaleStatus) {
            (told.status, told.settled_at, told.paid_via) = (Status::Pending, None, None);
        }
        let mut body = told.signed(told.status.answer_code(), &self.options.merchant.id, &self.options.server_key);
        body["status_message"] = json!("Success, transaction is found");
        (Answer::json(200, &body), fault)
    }

    /// Cancel and expire by API: only what is pending can be ended.
    fn end(&mut self, id: &str, how: Status, now: Wall) -> Answer {
        let Some((at, transaction)) = self.books.find(id) else { return self.unknown() };
        if transaction.status != Status::Pending {
            return self.error(200, 412, "Merchant cannot modify the status of the transaction");
        }
        self.books.set(at, how);
        self.notify(at, now);
        let mut body = self.books.at(at).facts(how.answer_code(), &self.options.merchant.id);
        body["status_message"] =
            json!(if how == Status::Expire { "Success, transaction has expired" } else { "Success, transaction is canceled" });
        Answer::json(200, &body)
    }

    fn image(&mut self, name: &str, look: Look, order_id: &str, now: Wall) -> (Reply, Option<Fault>) {
        let payload = match self.books.find(name) {
            Some((_, transaction)) => transaction.payload.clone(),
            None => return (Reply::Answer(self.unknown()), None),
        };
        let fault = self.faults.take(Moment::Image, "qr_image", order_id);
        let png = |look| qris::png(&payload, look).unwrap_or_default();
        let (content_type, body) = match &fault {
            Some(Fault::BrokenImage { how: BrokenImage::Unavailable }) => {
                let why = "Sorry. The bank/payment partner is experiencing some connection issues. Please retry later.";
                return (Reply::Answer(self.error(200, 503, why)), fault);
            }
            Some(Fault::BrokenImage { how: BrokenImage::Html }) => ("text/html", b"<!doctype html><title>QR</title>".to_vec()),
            Some(Fault::BrokenImage { how: BrokenImage::Cut }) => ("image/png", png(look).into_iter().take(120).collect()),
            Some(Fault::BrokenImage { how: BrokenImage::Blank }) => ("image/png", png(Look::Blank)),
            Some(Fault::BrokenImage { how: BrokenImage::TooLarge }) => ("image/png", vec![0; 2 << 20]),
            _ => ("image/png", png(look)),
        };
        let answer = Answer { http: 200, content_type, body };
        match self.faults.take(Moment::Departure, "qr_image", order_id) {
            Some(Fault::Hang { ms }) => (Reply::Hold(self.hold(ms.map(|ms| now + Span::millis(ms))), answer), Some(Fault::Hang { ms })),
            Some(other) => (Reply::Cut, Some(other)),
            None => (Reply::Answer(answer), fault),
        }
    }

    /// The order that a request is about, where it says so: for faults and the log.
    fn order_of(&self, route: Route<'_>, body: &[u8]) -> String {
        match route {
            Route::Charge => {
                let body: Value = serde_json::from_slice(body).unwrap_or_default();
                body.pointer("/transaction_details/order_id").and_then(Value::as_str).unwrap_or("").to_owned()
            }
            Route::Status(id) | Route::Cancel(id) | Route::Expire(id) | Route::Image(id, _) => {
                self.books.find(id).map_or(id, |(_, transaction)| &transaction.charge.order_id).to_owned()
            }
            Route::WrongMethod | Route::Nowhere => String::new(),
        }
    }

    fn refused(&mut self, refused: Refused) -> Answer {
        match refused {
            Refused::Null => self.error(500, 500, "Sorry, we encountered an unexpected error."),
            Refused::Syntax => self.error(413, 413, "The request cannot be processed due to malformed syntax in the request body"),
            Refused::NotActivated => self.error(200, 402, "Payment channel is not activated."),
            Refused::Invalid(messages) => {
                let id = self.rng.uuid();
                let message = "One or more parameters in the payload is invalid.";
                Answer::json(400, &json!({ "status_code": "400", "status_message": message, "validation_messages": messages, "id": id }))
            }
        }
    }

    fn nowhere(&mut self, route: Route<'_>) -> Answer {
        if route == Route::WrongMethod {
            return self.error(405, 405, "HTTP method is not allowed");
        }
        Answer { http: 404, content_type: "text/html", body: b"<html><body><h1>404 Not Found</h1></body></html>".to_vec() }
    }

    fn unknown(&mut self) -> Answer {
        self.error(200, 404, "Transaction doesn't exist.")
    }

    fn error(&mut self, http: u16, code: u16, message: &str) -> Answer {
        error(&mut self.rng, http, code, message)
    }

    fn hold(&mut self, until: Option<Wall>) -> u64 {
        self.holds += 1;
        self.held.insert(self.holds, until);
        self.holds
    }
}

fn error(rng: &mut Rng, http: u16, code: u16, message: &str) -> Answer {
    Answer::json(http, &json!({ "status_code": code.to_string(), "status_message": message, "id": rng.uuid() }))
}

fn is_held(held: &BTreeMap<u64, Option<Wall>>, hold: u64, now: Wall) -> bool {
    held.get(&hold).is_some_and(|until| until.is_none_or(|until| now < until))
}

impl Answer {
    fn json(http: u16, body: &Value) -> Self {
        Self { http, content_type: "application/json", body: body.to_string().into_bytes() }
    }

    /// The body's `status_code`.
    fn code(&self) -> Option<String> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        Some(body.get("status_code")?.as_str()?.to_owned())
    }

    /// The first half, and noise.
    fn garbled(mut self) -> Self {
        self.body.truncate(self.body.len() / 2);
        self.body.extend_from_slice(b"\xff\x00");
        self
    }
}

#[cfg(test)]
mod tests;
