//! Answers and news from relay, backend and broker. What they say of orders is applied, and the next call is paced.

use super::calls::Live;
use super::parts::Machine;
use crate::store::StoreError;
use crate::words::{BackendAnswer, CallId, Charges, Effect, HttpCall, RelayAnswer};
use qris_core::order::ids::{OrderId, PaymentCode, RequestId, Ticket};
use qris_core::order::machine::{Context, Event, Order, RelayCall, Seen, State, unfinished};
use qris_core::order::outcome::{DispenseAnswer, Outcome};
use qris_core::order::receipt::Receipt;
use qris_core::order::request::{Offer, VendRequest};
use qris_core::order::time::{Now, Span};
use qris_core::order::tries::TryNumber;
use qris_core::wire::dbus::RelayError;
use qris_core::wire::orders::{OPEN_MAX, OrderResource, Status};
use qris_core::wire::payment::PaymentUpdate;
use qris_host::events::Event as Journal;
use qris_host::mqtt::Ack;
use qris_host::trust::{ServerTime, new_floor};

/// The longest address that the screen shows as a code beside the QR.
const PAY_URL_MAX: usize = 150;

impl Machine {
    pub(super) fn relay_answered(&mut self, id: CallId, request: &RequestId, answer: &RelayAnswer, now: Now) {
        if let Some(collection) = self.front.end_collection(|collection| collection.call() == id) {
            return self.checked(collection, answer, now);
        }
        let Some(live) = self.orders.get_mut(request) else { return };
        let Some(mut end) = live.relay_ended(id, answer, self.links.last_owner(), now.boot) else { return };
        if let (RelayAnswer::Refused(error, detail), Some(RelayCall::Dispense(_))) = (answer, &end.call)
            && *error != RelayError::Busy
        {
            self.links.relay_refused(*error, detail, &mut self.faults, now);
        }
        let events = std::mem::take(&mut end.events);
        let stored = (!events.is_empty()).then(|| self.happen(request, events, now).is_ok());
        if let Some(live) = self.orders.get_mut(request) {
            live.pace_relay(&end, answer, stored, now.boot);
        }
        // The relay's facts change when a line or its ledger fails, not with a sale that goes well.
        let as_ever = match answer {
            RelayAnswer::Checked(checked) => checked.is_ok(),
            RelayAnswer::Dispense(answer) => match answer {
                DispenseAnswer::Ended(Outcome::Dispensed) | DispenseAnswer::Dispensing | DispenseAnswer::Unknown => true,
                DispenseAnswer::Ended(Outcome::Failed | Outcome::NotDriven | Outcome::Uncertain) | DispenseAnswer::Later(_) => false,
            },
            RelayAnswer::Close(_) | RelayAnswer::Proof(_) => true,
            RelayAnswer::Refused(..) | RelayAnswer::NoAnswer(_) => false,
        };
        // An earlier fault of the relay may have gone.
        if !as_ever || self.links.relay_troubled() {
            self.outbox.push(Effect::ReadRelay);
        }
    }

    /// The relay tells by itself how a try ended.
    pub(super) fn relay_finished(&mut self, order: &OrderId, number: TryNumber, answer: DispenseAnswer, now: Now) {
        let is_its = |id: &RequestId| self.orders.get(id).is_some_and(|live| live.stored.order.number_of_try() == number);
        if let (Some(id), DispenseAnswer::Ended(_)) = (self.orders.of_order(order).filter(is_its), answer) {
            // If it cannot be stored, `Query` tells it again.
            drop(self.happen(&id, vec![Event::RelayAnswered(answer)], now));
        }
    }

    pub(super) fn relay_lost(&mut self, why: &str, now: Now) {
        self.door.buttons_lost();
        self.links.relay_gone(why, &mut self.faults, &mut self.outbox, now);
        // A customer who waits for the backend would hear this in the end, and hears it now.
        if let Some(refusal) = self.links.relay_unfit(&self.settings)
            && let Some(collection) = self.front.end_collection(|_| true)
        {
            self.outbox.push(Effect::Abandon(collection.call()));
            self.refuse_collection(collection, &refusal, now);
        }
    }

    pub(super) fn backend_answered(&mut self, id: CallId, request: &RequestId, answer: BackendAnswer, now: Now) {
        if let Some(collection) = self.front.end_collection(|collection| collection.call() == id) {
            return self.confirmed(collection, answer, now);
        }
        let Some(live) = self.orders.get_mut(request) else { return };
        let Some(mut end) = live.backend_ended(id, &answer, now.boot) else { return };
        if let BackendAnswer::Order(resource) = &answer {
            // The list of open orders does not tell this.
            live.unconfirmed = resource.unconfirmed;
        }
        self.note_backend(&answer, now);
        if let Some(loss) = end.loss.take() {
            self.outbox.journal(loss);
        }
        let absent = matches!(answer, BackendAnswer::Absent);
        let mut told = None;
        let events = match answer {
            BackendAnswer::Order(resource) => {
                told = matches!(end.call, HttpCall::Tell(..)).then(|| resource.clone());
                let was_unpaid = self.orders.get(request).is_some_and(|live| live.stored.order.receipt().is_none());
                let (order, settled_ago) = (resource.order_id.clone(), resource.settled_ago_s);
                let mut events = self.seen(request, *resource);
                if was_unpaid && events.iter().any(|event| matches!(event, Event::Settled(_))) {
                    self.rights.paid(order, settled_ago, now.boot);
                }
                if matches!(end.call, HttpCall::Tell(..)) {
                    events.insert(0, Event::Reported);
                }
                events.extend(end.was_last.then_some(Event::GraceOver));
                events
            }
            BackendAnswer::OtherOutcome => vec![Event::Reported],
            BackendAnswer::Absent => match end.call {
                HttpCall::Watch(..) | HttpCall::Get(_) | HttpCall::Cancel(_) if end.forsaken => vec![Event::Forsaken],
                HttpCall::Watch(..) | HttpCall::Get(_) | HttpCall::Cancel(_) => vec![Event::Absent],
                HttpCall::TryAgain(..) => vec![Event::TryRefused],
                HttpCall::Tell(..) if end.forsaken => vec![Event::Reported],
                HttpCall::Tell(..) | HttpCall::Create(_) => vec![],
            },
            BackendAnswer::Refused(refusal) | BackendAnswer::Wrong(refusal) => match end.call {
                HttpCall::Create(_) => vec![Event::CreateRefused(refusal)],
                HttpCall::TryAgain(..) => vec![Event::TryRefused],
                HttpCall::Watch(..) | HttpCall::Get(_) | HttpCall::Cancel(_) | HttpCall::Tell(..) => vec![],
            },
            BackendAnswer::Later(refusal, after) => {
                // This is known only in this run of the program: nothing is written, so nothing can fail.
                drop(self.happen(request, vec![Event::CreateDelayed(refusal.reason)], now));
                if let Some(live) = self.orders.get_mut(request) {
                    live.asked_to_wait(&end.call, after, now.boot);
                }
                return;
            }
            BackendAnswer::NoAnswer { code: Some(code), .. } => {
                drop(self.happen(request, vec![Event::CreateDelayed(code)], now));
                vec![]
            }
            BackendAnswer::Open(_) | BackendAnswer::NoAnswer { code: None, .. } => vec![],
        };
        let known = !events.is_empty() && !absent;
        let wanted = self.orders.wanted_ticket(request);
        let is_stored = self.happen(request, events, now).is_ok();
        self.close_unwanted(request, wanted);
        if let Some(resource) = told {
            self.offer_at_once(request, &resource, now);
        }
        if let Some(live) = self.orders.get_mut(request) {
            live.pace_backend(&end, known, is_stored, now.boot);
        }
    }

    /// The news in an order resource: the state of the order, and the receipt if there is one that can be believed.
    pub(super) fn seen(&mut self, request: &RequestId, resource: OrderResource) -> Vec<Event> {
        if let Some(live) = self.orders.get_mut(request) {
            live.saw(resource.rev);
        }
        let receipt = resource.receipt.as_deref().and_then(|jws| self.believe(jws, request));
        let mut events = vec![Event::Seen(seen_of(resource))];
        events.extend(receipt.map(Event::Settled));
        events
    }

    /// Verifies a receipt for the order of a request. The receipt that the order already has is believed without that.
    fn believe(&mut self, jws: &str, request: &RequestId) -> Option<Receipt> {
        let held = self.orders.get(request).and_then(|live| live.stored.order.receipt());
        if let Some(held) = held.filter(|held| held.jws() == jws) {
            return Some(held.clone());
        }
        let why = match self.settings.keys.verify(jws, &self.settings.device) {
            Ok(receipt) => match self.find(request) {
                Ok(Some(stored)) if stored.order.fits(&receipt) => return Some(receipt),
                Ok(Some(_)) => "it is not for this machine's order of that request".to_owned(),
                Ok(None) => "this machine made no such request".to_owned(),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        self.outbox.journal(Journal::ReceiptRefused { request: Some(request.clone()), order: None, why: why.into() });
        None
    }

    /// News of a payment. Nothing is believed only because the broker brought it: a receipt is verified, and all other news
    /// is a hint at most.
    pub(super) fn payment(&mut self, payload: &[u8], ack: Ack, now: Now) {
        let unreadable = |order, why: String| Journal::ReceiptRefused { request: None, order, why: why.into() };
        let mut is_taken = true;
        match PaymentUpdate::read(payload) {
            Ok(PaymentUpdate { order_id, receipt: Some(jws), .. }) => match self.settings.keys.verify(&jws, &self.settings.device) {
                Ok(receipt) => is_taken = self.receipt(receipt, now),
                Err(error) => self.outbox.journal(unreadable(Some(order_id), error.to_string())),
            },
            Ok(PaymentUpdate { order_id, receipt: None, .. }) => {
                match self.orders.of_order(&order_id).and_then(|id| self.orders.get_mut(&id)) {
                    Some(live) => live.hint(),
                    None => match self.storage.store().map(|store| store.by_order(&order_id)) {
                        // Its customer may want another try. The list of open orders has the order then.
                        // Or a person took its goods out of the machine: the list tells that, too.
                        Some(Ok(Some(stored))) if matches!(stored.order.state, State::RefundDue(_) | State::Dispensed(_)) => {
                            self.reconciliation.hint_ours(now.boot);
                        }
                        Some(Ok(Some(_))) => {}
                        Some(Ok(None) | Err(_)) | None => self.reconciliation.hint_open(now.boot),
                    },
                }
            }
            Err(refusal) => self.outbox.journal(unreadable(None, refusal.to_string())),
        }
        // What is not stored is not taken: the broker keeps it and sends it again.
        self.outbox.push(if is_taken { Effect::Ack(ack) } else { Effect::DropBroker });
    }

    /// Takes a verified receipt to its order. `false`: it could not be stored.
    fn receipt(&mut self, receipt: Receipt, now: Now) -> bool {
        let request = receipt.claims().jti.clone();
        match self.find(&request) {
            Ok(Some(stored)) if stored.order.fits(&receipt) => self.happen(&request, vec![Event::Settled(receipt)], now).is_ok(),
            Ok(found) => {
                let order = Some(receipt.claims().sub.clone());
                let why = if found.is_some() { "it is for another charge of that request" } else { "this machine holds no such order" };
                self.outbox.journal(Journal::ReceiptRefused { request: Some(request), order, why: why.into() });
                if found.is_none() {
                    if self.storage.store().is_none() {
                        return false;
                    }
                    // The receipt is genuine, but this database does not know its request. Perhaps the request was lost.
                    self.reconciliation.hint_open(now.boot);
                }
                true
            }
            Err(error) => {
                self.store_failed(&error, now);
                false
            }
        }
    }

    /// The backend told the time. If all agree, the present time is trusted, and stored before anything is judged by it.
    pub(super) fn time_received(&mut self, time: ServerTime, now: Now) {
        if self.settings.tells_time {
            self.links.time_told(Now { wall: time.date, ..now });
        }
        let floor = new_floor(self.last_trusted(), now.wall, time, self.settings.released);
        let Some((trusted, store)) = floor.zip(self.storage.store_mut()).filter(|_| self.settings.tells_time) else { return };
        match store.trust(trusted) {
            Ok(()) => {
                self.outbox.push(Effect::Trust(trusted));
                self.are_not_over_after(trusted, now);
                if self.links.dates_are_refused() {
                    self.wake_backend(now.boot);
                }
            }
            Err(error) => self.store_failed(&error, now),
        }
    }

    pub(super) fn open_answered(&mut self, id: CallId, answer: BackendAnswer, now: Now) {
        if self.reconciliation.running() != Some(id) {
            return;
        }
        self.note_backend(&answer, now);
        let BackendAnswer::Open(open) = answer else {
            let least = if let BackendAnswer::Later(_, after) = answer { after } else { Span::ZERO };
            return self.reconciliation.unanswered(least, !self.orders.is_held(), now.boot);
        };
        self.rights.backend_sends(open.at_broker, &self.settings.broker_name(), &mut self.outbox, now.boot);
        // A list that fills its limit does not say what is missing.
        let whole = open.orders.len() < OPEN_MAX;
        let looks = self.lookers(now);
        let mut absent = self.reconciliation.take_requested();
        absent.retain(|request| whole && looks.contains(request));
        for resource in &open.orders {
            if let Err(error) = self.take_in(resource, now) {
                if error.is_damage() {
                    self.store_failed(&error, now);
                }
                self.reconciliation.ask_open();
                break;
            }
        }
        for told in &open.taken_out {
            if let Err(error) = self.taken_out(told) {
                self.store_failed(&error, now);
                self.reconciliation.ask_open();
                break;
            }
        }
        self.links.charges = Charges(open.amounts);
        let open = open.orders;
        absent.retain(|request| {
            let order = self.orders.get(request).map(|live| &live.stored.order);
            !open.iter().any(|resource| resource.request_id == *request && order.is_some_and(|order| order.has_ticket(&resource.ticket)))
        });
        for request in &absent {
            if self.happen(request, vec![Event::Absent], now).is_err() {
                self.reconciliation.ask_open();
            }
        }
        let looks = self.lookers(now);
        self.reconciliation.answered(!looks.is_empty(), now.boot);
        if whole {
            self.end_numbers(&open);
            // An order that waited and is not open any more has ended at the backend. Each is asked about, to know how.
            let is_open = |id: &RequestId| open.iter().any(|resource| resource.request_id == *id);
            let ended = |(id, live): &(&RequestId, &mut Live)| live.stored.order.waits_for_customer() && !is_open(id);
            self.orders.all_mut().filter(ended).for_each(|(_, live)| live.hint());
            // After a loss of the database a controller may repeat a request before the machine has heard of its first order.
            // Then the request has another ticket here, and the first order is never delivered: its ticket must not stay open,
            // since its money may go back.
            let may_deliver = |resource: &OrderResource| match self.orders.find(&resource.request_id, &self.storage) {
                Ok(Some(stored)) => stored.order.has_ticket(&resource.ticket),
                Ok(None) | Err(_) => true,
            };
            let is_stored = |ticket: &Ticket| self.storage.store().is_none_or(|store| store.has_ticket(ticket).unwrap_or(true));
            let is_known = |ticket: &Ticket| self.orders.stored().any(|stored| stored.order.has_ticket(ticket)) || is_stored(ticket);
            let is_open = |ticket: &Ticket| open.iter().any(|resource| resource.ticket == *ticket && may_deliver(resource));
            let is_carried = |ticket: &Ticket| is_open(ticket) || is_known(ticket);
            let (preparing, held) = (self.front.is_preparing(), self.orders.tickets_held());
            self.reconciliation.close_orphans(is_carried, preparing, held, &mut self.outbox, now.boot);
        }
    }

    /// One of the backend's open orders: news of an order that we have, or an order that this database does not have.
    fn take_in(&mut self, resource: &OrderResource, now: Now) -> Result<(), StoreError> {
        let request = &resource.request_id;
        if let Some(stored) = self.find(request)? {
            if !stored.order.has_ticket(&resource.ticket) {
                if stored.order.has_receipt_for(&resource.ticket) {
                    // The backend has signed nothing for the try that was given up. It offers that one once more.
                    self.wished(&stored.order, resource, now);
                    return self.happen(request, vec![Event::Seen(seen_of(resource.clone()))], now);
                }
                let receipt = resource.receipt.as_deref().and_then(|jws| self.settings.keys.verify(jws, &self.settings.device).ok());
                return match receipt.filter(|receipt| stored.order.is_overtaken_by(receipt)) {
                    Some(receipt) => self.happen(request, vec![Event::Overtaken(receipt)], now),
                    // The order is of another machine with an image or a clone of this card, which made the same request. Our
                    // relay would not deliver it.
                    None => Ok(()),
                };
            }
            self.wished(&stored.order, resource, now);
            let finished = self.orders.get(request).is_none();
            if unfinished(&stored.order) && finished {
                // An index finds the rows of unfinished orders, and all of them were taken up when the database was opened.
                return Err(StoreError::Damaged(format!("the order {request} is unfinished, but is not among the unfinished ones").into()));
            }
            let mut events = self.seen(request, resource.clone());
            // An order that is finished here was reported. A backend that was restored from an older backup does not
            // know the report any more.
            if resource.status == Status::Settlement && resource.outcome.is_none() && finished {
                events.push(Event::Forgotten);
            }
            return self.happen(request, events, now);
        }
        if self.front.candidate(request).is_some() {
            return Ok(());
        }
        // It is another charge of a request that we have, or an answer that no backend of ours would give.
        if let Some(store) = self.storage.store()
            && (store.by_order(&resource.order_id)?.is_some() || store.has_ticket(&resource.ticket)?)
        {
            return Ok(());
        }
        self.adopt(resource, request, now)
    }

    fn adopt(&mut self, resource: &OrderResource, request: &RequestId, now: Now) -> Result<(), StoreError> {
        let receipt = match (resource.status, resource.receipt.as_deref()) {
            (Status::Settlement, Some(jws)) => self.settings.keys.verify(jws, &self.settings.device).ok(),
            _ => None,
        };
        if resource.status == Status::Settlement && receipt.is_none() {
            // The backend says that it is paid, but there is no proof on which this machine could act. It stays the
            // backend's affair.
            return Ok(());
        }
        let asked = VendRequest {
            request_id: request.clone(),
            item: resource.asked.as_ref().unwrap_or(&resource.item).clone(),
            amount: Some(resource.amount),
            description: None,
            payment: resource.payment,
            timeout_s: None,
        };
        if resource.status != Status::Settlement && resource.status != Status::Pending {
            return Ok(());
        }
        let offer = Offer { request: asked, item: resource.item.clone(), amount: resource.amount, timeout: self.settings.orders.timeout };
        let seen = seen_of(resource.clone());
        let with = Context { empty: self.is_empty(&resource.item), ..self.context(request) };
        let order = Order::adopted(offer, resource.ticket.clone(), &seen, receipt.clone(), now.boot, &with);
        if receipt.as_ref().is_some_and(|receipt| !order.fits(receipt)) {
            return Ok(());
        }
        let waits = order.waits_for_customer();
        self.begin(order, now)?;
        // The order's time may be over already.
        if waits { self.happen(request, vec![Event::Seen(seen)], now) } else { Ok(()) }
    }
}

/// A page's address that a phone can read from a small code.
fn is_address(url: &str) -> bool {
    let web = url.starts_with("https://") || url.starts_with("http://");
    web && url.len() <= PAY_URL_MAX && url.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(super) fn seen_of(resource: OrderResource) -> Seen {
    let span = |seconds: u64| Span::secs(i64::try_from(seconds).unwrap_or(i64::MAX / 1000));
    Seen {
        order_id: resource.order_id,
        status: resource.status,
        over: resource.over,
        gross_amount: resource.gross_amount,
        payload: resource.qr_payload,
        code: resource.payment_code.and_then(|code| PaymentCode::new(&code).ok()),
        store: resource.store,
        pay_url: resource.pay_url.filter(|url| is_address(url)),
        expires_in: resource.expires_in_s.map(span),
        settled_ago: resource.settled_ago_s.map(span),
        kid: resource.kid,
        has_outcome: resource.outcome.is_some(),
        refund: resource.refund.is_some(),
        sandbox: resource.sandbox,
        collect_within: resource.collect_within_s.map(span),
    }
}
