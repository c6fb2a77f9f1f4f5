//! What the backend asks Midtrans, and what Midtrans tells the backend, with all that can go wrong in between.

use super::counts::Kind;
use super::merchant::Arrival;
use super::{Event, Outage, World};
use crate::backend::books::{self, BooksError, Done};
use crate::backend::midtrans::TransactionStatus;
use crate::order::ids::OrderId;
use crate::order::merchant::{Call, Order};
use crate::order::time::Wall;
use crate::sim::backend::{Driver as _, fact, limit, read, request};
use crate::sim::midtrans::{Book, Notice, Reply, Request};

/// How long Midtrans waits for the answer to a notification, in milliseconds.
const NOTICE: i64 = 15_000;
/// Whoever forges notifications remembers so many genuine ones.
const POSTED_MAX: usize = 200;

impl World {
    pub(super) fn carry_on(&mut self, done: Done) {
        if let Some(call) = done.call {
            self.ask_midtrans(&done.now.order, call);
        }
        self.publish_soon(3);
        self.wake();
        self.plan_sweep();
    }

    fn ask_midtrans(&mut self, order: &Order, call: Call) {
        if call == Call::Refund {
            self.judge_refund(order);
        }
        let (run, id) = (self.merchant.run, order.id.clone());
        let limit = limit(call);
        self.note(|| format!("the backend asks Midtrans: {call:?}"));
        let lost = self.cut[Outage::Midtrans as usize] || self.goes_wrong(25, Kind::MidtransLost);
        let silent = self.goes_wrong(25, Kind::MidtransAnswer);
        let slow = self.goes_wrong(20, Kind::MidtransSlow);
        let there = if slow { self.below(9_000) } else { 20 + self.below(300) };
        let back = if slow { self.below(9_000) } else { 20 + self.below(300) };
        let comes_back = !lost && !silent && there + back < limit;
        if call == Call::Charge && self.storm && self.one_in(30) {
            // Whatever Midtrans says of this one from now on is not what was charged.
            self.altered.insert(id.clone());
        }
        if !lost {
            let (id, after, request) = (id.clone(), back, Box::new(request(order, call)));
            self.after(there, Event::Merchant(Arrival::AtMidtrans { run, id, call, request, comes_back, after }));
        }
        if !comes_back {
            self.after(limit, Event::Merchant(Arrival::Answered { run, id, call, answer: None }));
        }
    }

    /// A request of the backend, and Midtrans' answer.
    pub(super) fn at_midtrans(&mut self, id: &OrderId, call: Call, request: &Request) -> Option<(u16, Vec<u8>)> {
        let refunded = |book: Book| (book.refunded, book.gross_amount);
        let before = self.midtrans.transaction(id.as_str()).map(refunded);
        let reply = self.midtrans.handle(request, self.wall());
        let after = self.midtrans.transaction(id.as_str()).map(refunded);
        // Where Midtrans names another sum than was paid, no other can be asked for.
        if call == Call::Refund
            && before != after
            && let Some((back, paid)) = after
            && back != paid
            && !self.altered.contains(id)
        {
            self.fail(format!("the backend had {back} of {paid} given back for {id}"));
        }
        let (http, body) = match reply {
            Reply::Answer(answer) | Reply::Hold(_, answer) => (answer.http, answer.body),
            Reply::CutAmid(_) | Reply::Cut => return None,
        };
        if call == Call::GetStatus && self.altered.contains(id) {
            self.counts.note(Kind::MidtransAltered);
            return Some((http, altered(body, id)));
        }
        Some((http, body))
    }

    pub(super) fn midtrans_answered(&mut self, id: &OrderId, call: Call, answer: Option<(u16, Vec<u8>)>) {
        let answer = read(id, call, answer);
        let settled = matches!(&answer, Ok(transaction) if transaction.is_settled());
        let back = matches!(&answer, Ok(told) if matches!(told.transaction_status, TransactionStatus::Deny | TransactionStatus::Refund));
        let now = self.wall();
        let fact = fact(call, answer, now);
        match self.books(|tx, desk| books::answered(tx, desk, id, fact, now)) {
            Ok(done) => {
                let word = books::state_word(&done.now.order.state);
                if word != books::state_word(&done.was.state) {
                    self.note(|| format!("an order is {word}"));
                }
                if done.now.order.receipt().is_some() && done.was.receipt().is_none() {
                    self.judge_receipt(&done.now.order, call == Call::GetStatus && settled);
                }
                if back && call == Call::GetStatus && self.outside.contains_key(id) {
                    self.known_back.entry(id.clone()).or_insert(self.now);
                }
                self.carry_on(done);
            }
            // A backup knows nothing of what was asked before it was restored.
            Err(BooksError::Unknown) => {}
            // Its claim ends by itself, and the sweep asks again.
            Err(BooksError::Store(_)) if self.storm => {}
            Err(error) => self.fail(format!("the books do not take an answer: {error}")),
        }
    }

    pub(super) fn send_notices(&mut self) {
        for notice in self.midtrans.due(self.wall()) {
            let delay = if self.storm && self.one_in(6) { self.below(40_000) } else { 30 + self.below(400) };
            if self.goes_wrong(12, Kind::Notices) {
                let later = delay + self.below(60_000);
                self.after(later, Event::Merchant(Arrival::Notice(notice.clone())));
            }
            self.after(delay, Event::Merchant(Arrival::Notice(notice)));
        }
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        let now = self.wall();
        if self.posted.len() < POSTED_MAX {
            self.posted.push(notice.body.clone());
        }
        if self.cut[Outage::Midtrans as usize] || !self.merchant.listens() {
            let at = Wall(now.0 + NOTICE);
            return self.midtrans.notified(notice, None, at);
        }
        let http = self.take_notification(&notice.body);
        self.note(|| format!("a notification is answered {http}"));
        self.midtrans.notified(notice, Some(http), now);
    }

    // Whoever is not Midtrans.

    /// A notification that somebody saw once, changed.
    pub(super) fn forge_notification(&mut self) {
        let at = self.below_usize(self.posted.len());
        let Some(body) = self.posted.get(at).cloned() else { return };
        let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(&body) else { return };
        self.count(Kind::Forged, "somebody forges a notification");
        // Not all of it is signed: what is not, Midtrans is asked about.
        let (name, value) = match self.below(5) {
            0 => ("transaction_status", "settlement"),
            1 => ("transaction_status", "refund"),
            2 => ("gross_amount", "1.00"),
            3 => ("order_id", "o-forged"),
            _ => ("signature_key", "00"),
        };
        fields.insert(name.into(), value.into());
        self.after(5, Event::Merchant(Arrival::Forged(serde_json::Value::Object(fields).to_string().into_bytes())));
    }

    pub(super) fn forged(&mut self, body: &[u8]) {
        if !self.merchant.listens() {
            return;
        }
        let http = self.take_notification(body);
        // Forgers may leave what is signed as it was.
        let signed = self.posted.iter().any(|genuine| same_signed_part(genuine, body));
        self.note(|| format!("a forged notification is answered {http}"));
        if http == 200 && !signed {
            self.fail("a notification that Midtrans did not sign was taken".into());
        }
    }
}

/// Another sum or currency than was charged, always the same of one order.
fn altered(body: Vec<u8>, id: &OrderId) -> Vec<u8> {
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(&body) else { return body };
    let (name, value) = match id.as_str().bytes().fold(0, |sum: u32, byte| sum + u32::from(byte)) % 3 {
        0 => ("gross_amount", "100.00"),
        1 => ("gross_amount", "999999.00"),
        _ => ("currency", "USD"),
    };
    if fields.contains_key(name) {
        fields.insert(name.into(), value.into());
    }
    serde_json::Value::Object(fields).to_string().into_bytes()
}

/// What the signature of a notification covers, and itself.
fn same_signed_part(one: &[u8], other: &[u8]) -> bool {
    let parts = |body: &[u8]| {
        let fields: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        ["order_id", "status_code", "gross_amount", "signature_key"].map(|name| fields[name].clone())
    };
    parts(one) == parts(other)
}
