//! A Midtrans of one merchant, for GoPay, QRIS and counters. It is pure, so a test drives it by the millisecond.
//!
//! Code that gives it a port does three things. It hands every request to [`Midtrans::handle`] and does what the
//! [`Reply`] says. It sends what [`Midtrans::due`] returns and tells [`Midtrans::notified`] how that went. It calls
//! `due` again no later than [`Midtrans::next_due`]. Customers act through [`Midtrans::pay`] and [`Midtrans::fail`].

mod answer;
mod books;
mod calls;
mod channel;
mod charge;
mod charging;
mod customers;
pub mod faults;
mod forgery;
mod idempotency;
mod notices;
mod options;
mod refunds;
mod route;
mod transaction;

pub use answer::{Reply, SimulatedAnswer};
pub use books::{Book, Logged, Paid, PayError};
pub use forgery::{Forgery, Signature};
pub use notices::{Attempt, Notice};
pub use options::{Change, KeyAgain, Options, Spelling};
pub use transaction::{Fraud, Status, Via};

use super::rng::Rng;
use base64::Engine as _;
use books::Books;
use faults::{Fault, Faults, Moment, Plan};
use idempotency::Kept;
use notices::Notices;
use qris_core::order::time::{Span, Wall};
use refunds::Later;
use route::Route;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};

/// The parts of a request that Midtrans looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// Without the query.
    pub path: String,
    pub authorization: Option<String>,
    pub idempotency_key: Option<String>,
    /// `X-Override-Notification`
    pub override_notification: Option<String>,
    /// `X-Append-Notification`
    pub append_notification: Option<String>,
    pub body: Vec<u8>,
}

pub struct Midtrans {
    options: Options,
    authorization: String,
    rng: Rng,
    books: Books,
    notices: Notices,
    faults: Faults,
    keys: BTreeMap<String, Kept>,
    /// Answers that wait, each until a time or until a release.
    held: BTreeMap<u64, Option<Wall>>,
    holds: u64,
    next_batch: Option<Wall>,
    later: BTreeMap<(Wall, u64), Later>,
    laters: u64,
    refund_ids: u64,
    codes: u64,
    log: VecDeque<Logged>,
}

const LOG_MAX: usize = 100_000;

impl Midtrans {
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
            later: BTreeMap::new(),
            laters: 0,
            refund_ids: 0,
            codes: 0,
            log: VecDeque::new(),
        }
    }

    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    pub fn change(&mut self, change: Change, now: Wall) {
        self.options.change(change);
        self.next_batch = Some(now + self.options.batch_every);
    }

    /// Answers a request, after everything that was due before it.
    pub fn handle(&mut self, request: &Request, now: Wall) -> Reply {
        self.pass(now);
        let route = Route::find(&request.method, &request.path);
        let order_id = self.order_of(route, &request.body);
        let (reply, fault) = self.reply(request, route, &order_id, now);
        let (http, status_code) = match &reply {
            Reply::Answer(answer) | Reply::Hold(_, answer) | Reply::CutAmid(answer) => (Some(answer.http), answer.code()),
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
            idempotency_key: request.idempotency_key.clone(),
            refund_key: refunds::key(route, &request.body),
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
            return (self.refused_at_the_door(&fault), Some(fault));
        }
        if route == Route::WrongMethod {
            return (Reply::Answer(self.error(405, "HTTP method is not allowed")), None);
        }
        // The key is looked at before the path: an id that no path can have is 401 without a key and 404 with one.
        let needs_key = if route == Route::Nowhere { request.path.starts_with("/v2/") } else { route.needs_key() };
        if needs_key && request.authorization.as_deref() != Some(&self.authorization) {
            return (Reply::Answer(self.error(401, "Unknown Merchant server_key/id")), None);
        }
        if route == Route::Nowhere {
            return (Reply::Answer(SimulatedAnswer::nowhere()), None);
        }
        let key = idempotency::key(request, route);
        if let Some(answer) = key.and_then(|key| self.remembered(key, now)) {
            return (Reply::Answer(answer), None);
        }
        let (answer, fault) = self.call(request, route, order_id, now);
        let departure = self.faults.take(Moment::Departure, name, order_id);
        let hold = match &departure {
            Some(Fault::Hang { ms }) => Some(self.hold(ms.map(|ms| now + Span::millis(ms)))),
            _ => None,
        };
        if let Some(key) = key {
            self.remember(key, &answer, hold, now);
        }
        let reply = match (&departure, hold) {
            (_, Some(hold)) => Reply::Hold(hold, answer),
            (Some(Fault::LoseAnswer), _) => Reply::Cut,
            (Some(Fault::CutAnswer), _) => Reply::CutAmid(answer),
            (Some(Fault::ServerError { code, .. }), _) => Reply::Answer(self.error(*code, answer::INTERNAL_ERROR)),
            (Some(Fault::Garble), _) => Reply::Answer(answer.garbled()),
            (Some(Fault::TooLarge), _) => Reply::Answer(SimulatedAnswer { body: vec![b' '; 1 << 20], ..answer }),
            (Some(Fault::AlterAnswer(forgery)), _) => Reply::Answer(forgery.alter_answer(answer, &self.options.server_key)),
            _ => Reply::Answer(answer),
        };
        (reply, departure.or(fault))
    }

    /// Nothing is done.
    fn refused_at_the_door(&mut self, fault: &Fault) -> Reply {
        match fault {
            Fault::RateLimit => Reply::Answer(SimulatedAnswer::json(429, &json!({ "message": "API rate limit exceeded" }))),
            Fault::ServerError { code, .. } => Reply::Answer(self.error(*code, answer::INTERNAL_ERROR)),
            Fault::Error { code, http, message } => {
                let message = message.as_deref().unwrap_or("The simulator was told to answer so");
                let answer = self.error(*code, message);
                Reply::Answer(SimulatedAnswer { http: http.unwrap_or(answer.http), ..answer })
            }
            _ => Reply::Cut,
        }
    }

    fn call(&mut self, request: &Request, route: Route<'_>, order_id: &str, now: Wall) -> (SimulatedAnswer, Option<Fault>) {
        let body = &request.body;
        match route {
            Route::Charge => self.charge(request, order_id, now),
            Route::Status(id) => self.status(id, order_id, now),
            Route::Cancel(id) => (self.end(id, Status::Cancel, now), None),
            Route::Refund(id) => self.refund(id, body, now),
            Route::Image(name, look) => self.image(name, look, order_id),
            Route::WrongMethod | Route::Nowhere => (SimulatedAnswer::nowhere(), None),
        }
    }

    fn hold(&mut self, until: Option<Wall>) -> u64 {
        self.holds += 1;
        self.held.insert(self.holds, until);
        self.holds
    }

    fn later(&mut self, at: Wall, what: Later) {
        self.laters += 1;
        self.later.insert((at, self.laters), what);
    }
}

fn is_held(held: &BTreeMap<u64, Option<Wall>>, hold: u64, now: Wall) -> bool {
    held.get(&hold).is_some_and(|until| until.is_none_or(|until| now < until))
}

#[cfg(test)]
mod tests;
