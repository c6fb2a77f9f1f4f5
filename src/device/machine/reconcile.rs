//! Compares the backend's open orders and the relay's promises with the stored orders: at start, at every connect, and
//! whenever somebody says that there is more.

use super::answers::seen_of;
use super::calls::{Live, Slot};
use super::{BackendAnswer, CallId, Effect, Machine, new_slot};
use crate::store::{Disk, Store, StoreError};
use qris_core::order::ids::{RequestId, Ticket};
use qris_core::order::machine::{Event, Order, unfinished};
use qris_core::order::request::{Offer, VendRequest};
use qris_core::order::time::{Boot, Now, Span};
use qris_core::wire::orders::{OPEN_MAX, Order as Resource, Status};

/// Hints of strangers lead to at most one question in this time.
const HINT_EVERY: Span = Span::secs(300);
/// The most tickets that are closed at once. Each costs a commit of the relay, which has customers to serve.
const CLOSE_BATCH: usize = 50;
/// The time until the remaining tickets are looked at again, or the tickets during a `Prepare`.
const CLOSE_AGAIN: Span = Span::secs(5);
/// Tickets are compared when this many may be open. The relay holds 1,000.
const TICKETS_MANY: usize = 900;

/// The one question for all open orders.
#[derive(Clone, Debug)]
pub(super) struct Reconciliation {
    wanted: bool,
    slot: Slot<()>,
    hint_after: Boot,
    /// A hint came too early. It is followed at `hint_after`.
    hinted: bool,
    /// The requests that were looked for when the present question was asked. The answer may not know later ones.
    asked_for: Vec<RequestId>,
    /// The tickets that the relay had open before the question was asked.
    suspects: Vec<Ticket>,
    /// Those of them that were known when the present question was asked.
    asked_about: Vec<Ticket>,
    /// How many tickets may be open: those of the last list, and one for each `Prepare` since.
    open_tickets: usize,
    reading: bool,
}

impl Default for Reconciliation {
    fn default() -> Self {
        Self {
            wanted: false,
            slot: new_slot(),
            hint_after: Boot(i64::MIN),
            hinted: false,
            asked_for: Vec::new(),
            suspects: Vec::new(),
            asked_about: Vec::new(),
            open_tickets: 0,
            reading: false,
        }
    }
}

impl Reconciliation {
    pub(super) fn ask_open(&mut self) {
        self.wanted = true;
    }

    /// Anybody may say this: there is an order that we do not have.
    pub(super) fn hint_open(&mut self, now: Boot) {
        if now >= self.hint_after {
            self.hint_after = now + HINT_EVERY;
            self.hinted = false;
            self.wanted = true;
        } else {
            self.hinted = true;
        }
    }

    pub(super) fn nudge(&mut self) {
        self.slot.nudge();
    }

    /// The relay has these tickets open. Those without an order must be closed.
    pub(super) fn suspect(&mut self, tickets: Vec<Ticket>) {
        self.reading = false;
        self.open_tickets = tickets.len();
        if !tickets.is_empty() {
            self.wanted = true;
        }
        self.suspects = tickets;
    }

    #[cfg(test)]
    pub(super) fn running(&self) -> Option<CallId> {
        self.slot.running.map(|(call, ())| call)
    }

    pub(super) fn prepared(&mut self) {
        self.open_tickets += 1;
    }

    pub(super) fn wants_tickets(&self) -> bool {
        self.reading
    }

    pub(super) fn next_deadline(&self) -> Option<Boot> {
        let ask = (self.wanted && self.slot.running.is_none()).then_some(self.slot.retry_at);
        [ask, self.hinted.then_some(self.hint_after)].into_iter().flatten().min()
    }
}

impl<D: Disk> Machine<D> {
    pub(super) fn pump_reconciliation(&mut self, now: Now) {
        if self.store.is_none() || self.store_retry_at.is_some() {
            return;
        }
        if self.reconciliation.hinted {
            self.reconciliation.hint_open(now.boot);
        }
        let reconciliation = &self.reconciliation;
        let looked = reconciliation.reading || !reconciliation.suspects.is_empty() || !reconciliation.asked_about.is_empty();
        if reconciliation.open_tickets >= TICKETS_MANY && !looked {
            self.look_for_tickets();
        }
        let lookers = self.lookers(now.boot);
        self.reconciliation.wanted |= !lookers.is_empty();
        let slot = &self.reconciliation.slot;
        if self.reconciliation.wanted && slot.running.is_none() && now.boot >= slot.retry_at {
            let call = self.next_call_id();
            self.reconciliation.wanted = false;
            self.reconciliation.slot.running = Some((call, ()));
            self.reconciliation.asked_about = std::mem::take(&mut self.reconciliation.suspects);
            self.reconciliation.asked_for = lookers;
            self.effects.push(Effect::AskOpen(call, self.links.relay.proof_key.clone()));
        }
    }

    /// The relay may have tickets open that belong to no order. They are closed when it has told which tickets it has.
    pub(super) fn look_for_tickets(&mut self) {
        self.reconciliation.reading = true;
        self.effects.push(Effect::ReadRelay);
    }

    pub(super) fn open_answered(&mut self, id: CallId, answer: BackendAnswer, now: Now) {
        if !self.reconciliation.slot.is_running(id) {
            return;
        }
        self.note_backend(&answer, now);
        let BackendAnswer::Open(open) = answer else {
            let asked_about = std::mem::take(&mut self.reconciliation.asked_about);
            self.reconciliation.suspects.extend(asked_about);
            self.reconciliation.wanted = true;
            let after = if let BackendAnswer::Later(_, after) = answer { after } else { Span::ZERO };
            if self.holder.is_some() {
                self.reconciliation.slot.again(after, now.boot);
            } else {
                self.reconciliation.slot.again_in_background(after, now.boot);
            }
            return;
        };
        // A list that fills its limit does not say what is missing.
        let whole = open.len() < OPEN_MAX;
        let asked_for = std::mem::take(&mut self.reconciliation.asked_for);
        let asked_for = if whole { asked_for } else { Vec::new() };
        let looks = self.lookers(now.boot);
        let lookers: Vec<_> = asked_for.into_iter().filter(|request| looks.contains(request)).collect();
        for resource in &open {
            if let Err(error) = self.take_in(resource, now) {
                if error.is_damage() {
                    self.store_failed(&error, now);
                }
                self.reconciliation.wanted = true;
                break;
            }
        }
        let is_there = |request: &RequestId| {
            let ticket = self.live.get(request).map(|live| &live.stored.order.ticket);
            open.iter().any(|resource| resource.request_id == *request && ticket == Some(&resource.ticket))
        };
        let absent: Vec<_> = lookers.into_iter().filter(|request| !is_there(request)).collect();
        for request in &absent {
            if self.happen(request, vec![Event::Absent], now).is_err() {
                self.reconciliation.wanted = true;
            }
        }
        if self.reconciliation.wanted || !self.lookers(now.boot).is_empty() {
            self.reconciliation.slot.again(Span::ZERO, now.boot);
        } else {
            self.reconciliation.slot.done();
        }
        if whole {
            // An order that waited and is not open any more has ended at the backend. Each is asked about, to know how.
            let ended = |live: &Live| live.stored.order.waits_for_customer() && !listed(&open, live);
            for live in self.live.values_mut().filter(|live| ended(live)) {
                live.hinted = true;
            }
            self.close_orphans(&open, now);
        }
    }

    /// One of the backend's open orders: news of an order that we have, or an order that this database does not have.
    fn take_in(&mut self, resource: &Resource, now: Now) -> Result<(), StoreError> {
        let request = resource.request_id.clone();
        if let Some(stored) = self.find(&request)? {
            // The order is of another machine with an image or a clone of this card, which made the same request. Our
            // relay would not deliver it.
            if stored.order.ticket != resource.ticket {
                return Ok(());
            }
            if unfinished(&stored.order) && !self.live.contains_key(&request) {
                // An index finds the rows of unfinished orders, and all of them were taken up when the database was opened.
                return Err(StoreError::Damaged(format!("the order {request} is unfinished, and not found among those").into()));
            }
            let mut events = self.seen(&request, resource.clone());
            // An order that is finished here was reported. A backend that was restored from an older backup does not
            // know the report any more.
            if resource.status == Status::Settlement && resource.outcome.is_none() && !self.live.contains_key(&request) {
                events.push(Event::Forgotten);
            }
            return self.happen(&request, events, now);
        }
        if self.candidate.as_ref().is_some_and(|candidate| *candidate.request_id() == request) {
            return Ok(());
        }
        // It is another charge of a request that we have, or an answer that no backend of ours would give.
        if let Some(store) = &self.store
            && (store.by_order(&resource.order_id)?.is_some() || store.has_ticket(&resource.ticket)?)
        {
            return Ok(());
        }
        self.adopt(resource, &request, now)
    }

    fn adopt(&mut self, resource: &Resource, request: &RequestId, now: Now) -> Result<(), StoreError> {
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
            item: resource.item.clone(),
            amount: Some(resource.amount),
            description: None,
            payment: resource.payment,
            timeout_s: None,
        };
        if resource.status != Status::Settlement && resource.status != Status::Pending {
            return Ok(());
        }
        let offer = Offer { request: asked, amount: resource.amount, timeout: self.settings.timeout };
        let seen = seen_of(resource.clone());
        let order = Order::adopted(offer, resource.ticket.clone(), &seen, receipt.clone(), now.boot, &self.context(request));
        if receipt.as_ref().is_some_and(|receipt| !order.fits(receipt)) {
            return Ok(());
        }
        let waits = order.waits_for_customer();
        self.begin(order, now)?;
        // The order's time may be over already.
        if waits { self.happen(request, vec![Event::Seen(seen)], now) } else { Ok(()) }
    }

    /// Whether an open order of the backend can be one of this machine's. After a loss of the database a controller may repeat a
    /// request before the machine has heard of its first order. Then the request has another ticket here, and the first order is
    /// never delivered: its ticket must not stay open, since its money may go back.
    fn may_deliver(&self, resource: &Resource) -> bool {
        match self.find(&resource.request_id) {
            Ok(Some(stored)) => stored.order.ticket == resource.ticket,
            Ok(None) | Err(_) => true,
        }
    }

    /// Closes the tickets that belong to no order. Tickets that were given since the question are not among them.
    fn close_orphans(&mut self, open: &[Resource], now: Now) {
        let tickets = std::mem::take(&mut self.reconciliation.asked_about);
        if self.candidate.is_some() {
            // A `Prepare` is under way, and its ticket may be one of these.
            self.reconciliation.suspects.extend(tickets);
            self.reconciliation.wanted |= !self.reconciliation.suspects.is_empty();
            self.reconciliation.slot.pause(CLOSE_AGAIN, now.boot);
            return;
        }
        let carried = |ticket: &Ticket| {
            open.iter().any(|resource| resource.ticket == *ticket && self.may_deliver(resource))
                || self.store.as_ref().is_none_or(|store| store.has_ticket(ticket).unwrap_or(true))
        };
        let mut orphans: Vec<Ticket> = tickets.into_iter().filter(|ticket| !carried(ticket)).collect();
        let rest = orphans.split_off(orphans.len().min(CLOSE_BATCH));
        self.effects.extend(orphans.into_iter().map(Effect::CloseTicket));
        if !rest.is_empty() {
            self.reconciliation.suspects.extend(rest);
            self.reconciliation.wanted = true;
            self.reconciliation.slot.pause(CLOSE_AGAIN, now.boot);
        }
        self.reconciliation.open_tickets = self
            .live
            .values()
            .filter(|live: &&Live| live.stored.order.receipt().is_none() || live.stored.order.waits_for_customer())
            .count();
    }
}

fn listed(open: &[Resource], live: &Live) -> bool {
    open.iter().any(|resource| resource.request_id == live.stored.order.offer.request.request_id)
}
