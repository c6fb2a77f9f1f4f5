//! The backend's questions to Midtrans, and Midtrans' messages to the backend, with all possible faults on the
//! way.

use super::counts::Kind;
use super::events::merchant::Arrival;
use super::merchant::Posted;
use super::{Event, Outage, World};
use crate::backend::{MidtransCall, ReplyTo};
use crate::middlebox::Foreign;
use crate::midtrans::faults::{Fault, Plan};
use crate::midtrans::{Book, Midtrans, Notice, Reply, Request};
use qris_backend::midtrans::{MidtransError, read_answer};
use qris_backend::sale::books::{self, Stored};
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{Call, State};
use qris_core::order::time::Wall;
use std::collections::{BTreeMap, BTreeSet};

/// How long Midtrans waits for the answer to a notification, in milliseconds.
const NOTICE: i64 = 15_000;
/// A forger of notifications remembers this many genuine ones.
const POSTED_MAX: usize = 200;

/// Midtrans, and what only it knows of the orders.
pub(super) struct Gateway {
    pub(super) midtrans: Midtrans,
    /// When it has something to send.
    pub(super) due_at: Option<i64>,
    pub(super) posted: Vec<Vec<u8>>,
    /// It answers later calls about a charge with the transaction_id in the place of the order_id.
    alien: bool,
    /// For these it names another sum than the charge.
    pub(super) altered: BTreeSet<OrderId>,
    /// Of these a forged notification says that they are paid, and its signed part is genuine: people are told.
    pub(super) misled: BTreeSet<OrderId>,
    /// The backend took such a notification of these, which it had for unpaid, and its books know it.
    pub(super) doubted: BTreeSet<OrderId>,
    /// It tells the payments of these by notifications only. Get-status never does.
    pub(super) never_confirmed: BTreeSet<OrderId>,
    /// It took money for these although their charges had ended.
    pub(super) paid_late: BTreeSet<OrderId>,
    /// The bank refuses the refund of these after Midtrans has approved it.
    pub(super) bounced: BTreeSet<OrderId>,
    /// Until then get-status does not tell what became of the refund of these.
    refund_untold: BTreeMap<OrderId, i64>,
    /// For these money went back without the merchant. The moment is the first.
    pub(super) outside: BTreeMap<OrderId, i64>,
    /// For these the backend has heard that all of the money went back. The moment is the first.
    pub(super) known_back: BTreeMap<OrderId, i64>,
    /// For these the backend asked it to give the money back.
    pub(super) refund_requested: BTreeSet<OrderId>,
}

impl Gateway {
    /// Midtrans does this with an order: `count` times, or always.
    fn plan(&mut self, id: &OrderId, count: Option<u32>, fault: Fault) {
        self.midtrans.plan(Plan { order_id: Some(id.to_string()), count, ..Plan::from(fault) });
    }

    pub(super) fn new(midtrans: Midtrans, alien: bool) -> Self {
        Self {
            midtrans,
            due_at: None,
            posted: Vec::new(),
            alien,
            altered: BTreeSet::new(),
            misled: BTreeSet::new(),
            doubted: BTreeSet::new(),
            never_confirmed: BTreeSet::new(),
            paid_late: BTreeSet::new(),
            bounced: BTreeSet::new(),
            refund_untold: BTreeMap::new(),
            outside: BTreeMap::new(),
            known_back: BTreeMap::new(),
            refund_requested: BTreeSet::new(),
        }
    }

    /// Whether no word of get-status about this order counts, so that only a person may end it.
    pub(super) fn says_nothing_of(&self, order: &OrderId) -> bool {
        self.never_confirmed.contains(order) || self.altered.contains(order)
    }
}

impl World {
    pub(super) fn ask_midtrans(&mut self, asked: Box<MidtransCall>) {
        let (run, call) = (self.merchant.run, asked.call);
        if self.merchant.asks_without_a_pause(&asked.id, self.now) {
            self.fail(format!("Midtrans is asked about {} without a pause: {call:?}", asked.id));
        }
        if call == Some(Call::Refund)
            && let Ok(Some(stored)) = self.books(|tx, _| books::load(tx, &asked.id))
        {
            self.judge_refund(&stored.order);
            self.judge_sum(&stored.order, &asked.request.body);
        }
        self.note(|| format!("the backend asks Midtrans: {}", call.map_or("Picture".into(), |call| format!("{call:?}"))));
        let early = if self.network.cut[Outage::Midtrans as usize] && self.one_in(2) {
            Some((self.below(5_000), Err(MidtransError::Unreachable("no way there".into()))))
        } else {
            self.in_place_of_midtrans().map(|answer| (self.below(300), Ok(answer)))
        };
        if let Some((after, answer)) = early {
            let MidtransCall { id, reply, .. } = *asked;
            return self.after(after, Event::Merchant(Arrival::Answered { run, of: (id, call), reply, answer }));
        }
        let lost = self.network.cut[Outage::Midtrans as usize] || self.goes_wrong(25, Kind::MidtransLost);
        let comes_back = !self.goes_wrong(25, Kind::MidtransAnswer);
        let there = if self.goes_wrong(30, Kind::MidtransSlow) { self.delay(9_000, 9_000) } else { 20 + self.below(300) };
        let back = if self.goes_wrong(30, Kind::MidtransSlow) { self.delay(9_000, 9_000) } else { 20 + self.below(300) };
        if call == Some(Call::Charge) && self.goes_wrong(60, Kind::ChargeDenied) {
            self.gateway.plan(&asked.id, Some(1), Fault::Deny { code: 900 });
        }
        // By chance only: the search looks at one thing at a time, and has enough places without these.
        if call == Some(Call::Refund) && !self.is_planned() && self.goes_wrong(4, Kind::RefundDenied) {
            self.gateway.plan(&asked.id, Some(1), Fault::DenyRefund);
        }
        if call == Some(Call::Refund) && self.oddly(2) {
            self.counts.note(Kind::RefundBounced);
            self.gateway.bounced.insert(asked.id.clone());
            self.gateway.plan(&asked.id, Some(1), Fault::BounceRefund);
        }
        // What the bank does later is told by the same word.
        if call == Some(Call::Refund) && !self.gateway.bounced.contains(&asked.id) && self.oddly(3) {
            let until = self.now + self.below(7_200_000);
            self.counts.note(Kind::RefundUntold);
            self.gateway.refund_untold.insert(asked.id.clone(), until);
        }
        // A charge may be asked for twice. The first lag counts.
        let lags = |plan: &Plan| matches!(plan.fault, Fault::StatusLags { .. }) && plan.order_id.as_deref() == Some(asked.id.as_str());
        let lags = self.gateway.midtrans.plans().iter().any(lags);
        if call == Some(Call::Charge) && (self.storm && self.oddly(12) || self.is_to(Kind::NeverConfirmed)) && !lags {
            self.gateway.never_confirmed.insert(asked.id.clone());
            self.gateway.plan(&asked.id, None, Fault::StatusLags { ms: i64::MAX });
        }
        if call == Some(Call::Charge)
            && !self.is_planned()
            && self.goes_wrong(60, Kind::MidtransBehind)
            && !self.gateway.never_confirmed.contains(&asked.id)
        {
            self.gateway.plan(&asked.id, None, Fault::StatusLags { ms: 420_000 });
        }
        if call == Some(Call::Charge) && self.may(30, Kind::MidtransAltered) {
            self.gateway.altered.insert(asked.id.clone());
        }
        if !lost {
            self.after(there, Event::Merchant(Arrival::AtMidtrans { run, call: asked, comes_back, after: back }));
        }
        if self.is_to(Kind::BackendKilled) {
            self.start_merchant();
        }
    }

    pub(super) fn at_midtrans(&mut self, id: &OrderId, call: Option<Call>, request: &Request) -> Option<(u16, Vec<u8>)> {
        let refunded = |book: Book| (book.refunded, book.gross_amount);
        let before = self.gateway.midtrans.transaction(id.as_str()).map(refunded);
        let reply = self.gateway.midtrans.handle(request, self.wall());
        let after = self.gateway.midtrans.transaction(id.as_str()).map(refunded);
        // If Midtrans names another sum than the one paid, no other can be asked for. Of a part from the dashboard that the bank refused, the
        // books know at the end only: `audit_money` asks that a person is told.
        if call == Some(Call::Refund)
            && before != after
            && let Some((back, paid)) = after
            && back != paid
            && !self.gateway.altered.contains(id)
            && !self.gateway.bounced.contains(id)
        {
            self.fail(format!("the backend had {back} of {paid} given back for {id}"));
        }
        let (http, body) = match reply {
            Reply::Answer(answer) | Reply::Hold(_, answer) => (answer.http, answer.body),
            Reply::CutAmid(_) | Reply::Cut => return None,
        };
        if !self.is_planned()
            && let Some(foreign) = self.in_place_of_midtrans()
        {
            return Some(foreign);
        }
        let Some(call) = call else {
            self.counts.note(Kind::Pictures);
            return Some((http, body));
        };
        // Anybody who has the QR may pay it, although the backend was told of another charge.
        let alters_charge = call == Call::Charge && self.gateway.altered.contains(id) && self.may(2, Kind::MidtransAltered);
        if let Some(book) = self.gateway.midtrans.transaction(id.as_str()).filter(|book| alters_charge && !book.qr_payload.is_empty()) {
            let after = self.below(60_000);
            self.after(after, Event::Pays { payload: book.qr_payload.into(), force: true });
        }
        if (call == Call::GetStatus || alters_charge) && self.gateway.altered.contains(id) {
            self.counts.note(Kind::MidtransAltered);
            return Some((http, altered(body, id)));
        }
        if call != Call::Charge && self.knows_its_transaction(id) && (self.gateway.alien || self.is_to(Kind::MidtransNames)) {
            self.counts.note(Kind::MidtransNames);
            return Some((http, with(body, "order_id", |told| told.get("transaction_id").cloned())));
        }
        if call == Call::GetStatus && self.gateway.refund_untold.get(id).is_some_and(|until| self.now < *until) {
            return Some((http, with(body, "transaction_status", |_| Some("pending".into()))));
        }
        if call == Call::GetStatus && self.storm && self.oddly(40) {
            self.counts.note(Kind::MidtransWords);
            return Some((http, with(body, "transaction_status", |_| Some("under_review".into()))));
        }
        Some((http, body))
    }

    /// Where the backend does not know the transaction, only our own name says whose an answer is. Under another name the order
    /// would be for a person.
    fn knows_its_transaction(&mut self, id: &OrderId) -> bool {
        let stored = self.books(|tx, _| books::load(tx, id)).ok().flatten();
        stored.is_some_and(|stored| stored.order.charge().is_some() || stored.order.settlement().is_some())
    }

    /// Does somebody between the backend and Midtrans answer, and what? Chance draws one answer; a plan has a place for each,
    /// since the backend reads them in several ways.
    fn in_place_of_midtrans(&mut self) -> Option<(u16, Vec<u8>)> {
        let foreign = if self.is_well_so_far() {
            Foreign::ALL.into_iter().find(|_| self.goes_wrong(1, Kind::MidtransForeign))?
        } else if self.goes_wrong(50, Kind::MidtransForeign) {
            Foreign::ALL[self.below_usize(Foreign::ALL.len())]
        } else {
            return None;
        };
        self.note(|| format!("somebody else answers for Midtrans: {}", foreign.name()));
        let (http, _, body) = foreign.of_midtrans();
        Some((http, body.into()))
    }

    pub(super) fn midtrans_answers(
        &mut self,
        (of, call): (OrderId, Option<Call>),
        reply: ReplyTo,
        answer: Result<(u16, Vec<u8>), MidtransError>,
    ) {
        let book = self.gateway.midtrans.transaction(of.as_str());
        let told = answer.as_ref().ok().and_then(|(http, body)| read_answer(*http, body).ok()).filter(|told| {
            told.order_id.as_ref() == Some(&of) || book.is_some_and(|book| told.transaction_id.as_str() == book.transaction_id)
        });
        // An answer after the program gave up is ignored.
        if reply.send(answer)
            && call == Some(Call::GetStatus)
            && let Some(told) = told
        {
            if told.is_settled() {
                self.merchant.settled_at.insert(of.clone(), self.now);
            }
            self.merchant.vouched.insert(of, told.is_settled());
        }
    }

    pub(super) fn send_notices(&mut self) {
        for notice in self.gateway.midtrans.due(self.wall()) {
            let delay = if self.may(6, Kind::Notices) { self.delay(40_000, 40_000) } else { 30 + self.below(400) };
            if self.goes_wrong(12, Kind::Notices) {
                let later = delay + self.delay(60_000, 60_000);
                self.after(later, Event::Merchant(Arrival::Notice(notice.clone())));
            }
            self.after(delay, Event::Merchant(Arrival::Notice(notice)));
        }
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        if self.gateway.posted.len() < POSTED_MAX {
            self.gateway.posted.push(notice.body.clone());
        }
        if self.is_to(Kind::BackendKilled) {
            self.start_merchant();
        }
        if self.network.cut[Outage::Midtrans as usize] || self.is_to(Kind::Partitions) {
            self.unanswered(Posted::Genuine(notice));
        } else {
            self.post(Posted::Genuine(notice));
        }
    }

    pub(super) fn unanswered(&mut self, posted: Posted) {
        match posted {
            Posted::Genuine(notice) => {
                let at = Wall(self.wall().0 + NOTICE);
                self.gateway.midtrans.notified(notice, None, at);
            }
            Posted::Forged(_) => {}
        }
    }

    pub(super) fn answered_post(&mut self, posted: Posted, http: u16) {
        match posted {
            Posted::Genuine(notice) => {
                self.note(|| format!("a notification is answered {http}"));
                let now = self.wall();
                self.gateway.midtrans.notified(notice, Some(http), now);
            }
            Posted::Forged(body) => self.forged(&body, http),
        }
    }

    // Somebody who is not Midtrans.

    /// A notification that somebody saw once, and changed.
    pub(super) fn forge_notification(&mut self) {
        let at = self.below_usize(self.gateway.posted.len());
        let Some(body) = self.gateway.posted.get(at).cloned() else { return };
        let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(&body) else { return };
        self.count(Kind::Forged, "somebody forges a notification");
        // Not all of it is signed. Midtrans is asked about the unsigned part.
        let (name, value) = match self.below(5) {
            0 => ("transaction_status", "settlement"),
            1 => ("transaction_status", "refund"),
            2 => ("gross_amount", "1.00"),
            3 => ("order_id", "o-forged"),
            _ => ("signature_key", "00"),
        };
        fields.insert(name.into(), value.into());
        if (name, value) == ("transaction_status", "settlement")
            && fields.get("status_code").is_some_and(|code| code == "200")
            && let Some(Ok(id)) = fields.get("order_id").and_then(|id| Some(OrderId::new(id.as_str()?)))
        {
            self.gateway.misled.insert(id);
        }
        self.after(5, Event::Merchant(Arrival::Forged(serde_json::Value::Object(fields).to_string().into_bytes())));
    }

    /// The backend was told that it is paid, and took that for Midtrans' word. If it had the order for unpaid, people hear of it.
    fn doubts(&mut self, body: &[u8]) {
        let fields: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(Ok(id)) = fields["order_id"].as_str().map(OrderId::new) else { return };
        if fields["transaction_status"] != "settlement" || !self.gateway.misled.contains(&id) {
            return;
        }
        let Ok(Some(Stored { order, .. })) = self.books(|tx, _| books::load(tx, &id)) else { return };
        let is_unpaid = match &order.state {
            State::Charging(_) | State::Pending(_) | State::Cancelling(_) | State::Closed(_) => true,
            State::Held(_) | State::Settled(_) | State::Void(_) | State::Withheld(_) | State::Refunded(_) => false,
        };
        if is_unpaid && !order.is_decided() {
            self.people.ended.remove(&id);
            self.gateway.doubted.insert(id);
        }
    }

    fn forged(&mut self, body: &[u8], http: u16) {
        // Forgers may leave the signed part as it was.
        let signed = self.gateway.posted.iter().any(|genuine| same_signed_part(genuine, body));
        self.note(|| format!("a forged notification is answered {http}"));
        if http == 200 {
            self.doubts(body);
        }
        if http == 200 && !signed {
            self.fail("a notification that Midtrans did not sign was taken".into());
        }
    }
}

/// Another sum or currency than the charge has. It is always the same for one order.
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

/// An answer about a transaction with another value in this field.
fn with(
    body: Vec<u8>,
    field: &str,
    value: impl FnOnce(&serde_json::Map<String, serde_json::Value>) -> Option<serde_json::Value>,
) -> Vec<u8> {
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(&body) else { return body };
    if !fields.contains_key("transaction_id") {
        return body;
    }
    let Some(value) = value(&fields) else { return body };
    fields.insert(field.into(), value);
    serde_json::Value::Object(fields).to_string().into_bytes()
}

/// The fields that the signature of a notification covers, and the signature.
fn same_signed_part(one: &[u8], other: &[u8]) -> bool {
    let parts = |body: &[u8]| {
        let fields: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        ["order_id", "status_code", "gross_amount", "signature_key"].map(|name| fields[name].clone())
    };
    parts(one) == parts(other)
}
