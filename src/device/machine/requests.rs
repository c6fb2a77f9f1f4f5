//! Requests to sell and to cancel: which request may hold the machine next, which is refused, and why.

use super::{Asker, CallId, Effect, Machine, Notice, PrepareError, Reply, Request, WAITING_MAX, text};
use crate::store::{Disk, StoreError};
use qris_core::order::ids::{ItemId, PaymentCode, RequestId, Ticket};
use qris_core::order::machine::{Event, Order};
use qris_core::order::reason::Reason;
use qris_core::order::request::{Offer, Refusal, VendRequest, Way};
use qris_core::order::time::{Boot, Now, Span};
use qris_core::wire::vend::{EventState, VendEvent, check_request};
use qris_host::events::Event as Journal;
use std::collections::VecDeque;

/// The most refusals in a second whose request_id could not be read.
const ANONYMOUS_REFUSALS: usize = 5;
/// The most refusals in a second with a request_id, all together. Each id gets one in a second.
const NAMED_REFUSALS: usize = 20;
const SECOND: Span = Span::secs(1);
const MINUTE: Span = Span::secs(60);

/// `Prepare` gets 2 s. If its answer is lost all the same, the request is refused after this time.
const PREPARE_LOST: Span = Span::secs(5);

/// A request that waits for the relay's ticket. It is not stored yet. Meanwhile other requests are refused.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    call: CallId,
    /// The relay's owner at the question.
    owner: u64,
    asked_at: Boot,
    offer: Offer,
    from: Vec<Asker>,
    /// The askers who want it cancelled as soon as it is an order.
    cancelled: Vec<Asker>,
}

impl Candidate {
    pub(super) fn request_id(&self) -> &RequestId {
        &self.offer.request.request_id
    }

    pub(super) fn offer(&self) -> &Offer {
        &self.offer
    }

    pub(super) fn give_up_at(&self) -> Boot {
        self.asked_at + PREPARE_LOST
    }
}

/// Counts recent happenings.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    orders: VecDeque<Boot>,
    anonymous: VecDeque<Boot>,
    named: VecDeque<(Boot, RequestId)>,
    refusals: u64,
}

impl Limits {
    fn may_order(&mut self, limit: usize, now: Boot) -> bool {
        while self.orders.front().is_some_and(|at| *at + MINUTE <= now) {
            self.orders.pop_front();
        }
        if limit > 0 && self.orders.len() >= limit {
            return false;
        }
        self.orders.push_back(now);
        while self.orders.len() > limit.max(1) {
            self.orders.pop_front();
        }
        true
    }

    fn may_refuse(&mut self, request: Option<&RequestId>, now: Boot) -> bool {
        while self.anonymous.front().is_some_and(|at| *at + SECOND <= now) {
            self.anonymous.pop_front();
        }
        while self.named.front().is_some_and(|(at, _)| *at + SECOND <= now) {
            self.named.pop_front();
        }
        match request {
            None if self.anonymous.len() >= ANONYMOUS_REFUSALS => false,
            None => {
                self.anonymous.push_back(now);
                true
            }
            Some(id) if self.named.len() >= NAMED_REFUSALS || self.named.iter().any(|(_, known)| known == id) => false,
            Some(id) => {
                self.named.push_back((now, id.clone()));
                true
            }
        }
    }
}

impl<D: Disk> Machine<D> {
    /// A controller asks. Each question gets one reply: now, or when it is known.
    pub(super) fn asked(&mut self, request: Request, asker: Asker, now: Now) {
        match request {
            Request::Vend(request) => match check_request(&request) {
                Ok(()) => self.vend(request, asker, now),
                Err(refusal) => self.turn_down(Some(request.request_id), Some(request.item), &refusal, asker, now),
            },
            Request::Cancel(request_id) => self.cancel_asked(&request_id, asker, now),
            Request::Collect(code) if asker.kind.hears_replies => self.collect(code, asker.kind.way, Some(asker), now),
            Request::Collect(code) => {
                // The reply comes at once. The same question again after a crash could hand the goods out to nobody.
                self.reply(asker, Reply::NOTHING);
                self.collect(code, asker.kind.way, None, now);
            }
            Request::Refused(request_id, refusal) => self.turn_down(request_id, None, &refusal, asker, now),
        }
    }

    fn cancel_asked(&mut self, id: &RequestId, asker: Asker, now: Now) {
        if let Some(candidate) = &mut self.candidate
            && candidate.request_id() == id
        {
            candidate.cancelled.push(asker);
            return;
        }
        let done = self.cancel(id, now);
        if !asker.kind.hears_replies {
            self.tell_cancel(id, &done, now);
        }
        let reply = match done {
            Ok(Some(_)) => self.last_state(id),
            Ok(None) if !self.is_shut() => Reply::NOTHING,
            Ok(None) | Err(_) => Reply::refused(Reason::Store),
        };
        self.reply(asker, reply);
    }

    /// Tells the result of a cancel by an event, since the asker does not hear the reply. A change has its own event.
    fn tell_cancel(&mut self, id: &RequestId, done: &Result<Option<bool>, StoreError>, now: Now) {
        let refusal = match done {
            Ok(Some(true)) => return,
            Ok(Some(false)) => return self.repeat_last_event(id),
            Ok(None) if self.is_shut() => self.trouble().unwrap_or_else(|| Refusal::new(Reason::Store, "the database is not open")),
            Ok(None) => Refusal::field(Reason::UnknownRequest, "request_id", "this machine knows no such request"),
            Err(error) => Refusal::new(Reason::Store, error.to_string()),
        };
        self.refuse(Some(id.clone()), None, &refusal, now);
    }

    /// A request to sell. It is repeated, or refused, or it becomes a candidate and the relay is asked.
    pub(super) fn vend(&mut self, request: VendRequest, from: Asker, now: Now) {
        let id = request.request_id.clone();
        if let Some(candidate) = &mut self.candidate
            && *candidate.request_id() == id
        {
            if candidate.offer.request == request {
                candidate.from.push(from);
            } else {
                self.turn_down(Some(id), Some(request.item), &reused(), from, now);
            }
            return;
        }
        match self.find(&id) {
            Ok(Some(stored)) if stored.order.is_of(&request) => {
                self.repeat_last_event(&id);
                let reply = self.last_state(&id);
                self.reply(from, reply);
                return;
            }
            Ok(Some(_)) => return self.turn_down(Some(id), Some(request.item), &reused(), from, now),
            Ok(None) => {}
            Err(error) => {
                self.store_failed(&error, now);
                return self.turn_down(Some(id), Some(request.item), &Refusal::new(Reason::Store, error.to_string()), from, now);
            }
        }
        match self.admit(&request, from.kind.way, now) {
            Ok(offer) => {
                let call = self.next_call_id();
                self.effects.push(Effect::Prepare(call, offer.request.item.clone(), offer.amount));
                let owner = self.links.owner;
                self.candidate = Some(Candidate { call, owner, asked_at: now.boot, offer, from: vec![from], cancelled: Vec::new() });
            }
            Err(refusal) => self.turn_down(Some(id), Some(request.item), &refusal, from, now),
        }
    }

    /// Every objection to a request that is known before the relay is asked.
    fn admit(&mut self, request: &VendRequest, way: Way, now: Now) -> Result<Offer, Refusal> {
        let offer = self.settings.prices.price(request, way, self.settings.timeout)?;
        if let Some(trouble) = self.trouble() {
            return Err(trouble);
        }
        if self.relay_missing(now.boot) {
            return Err(Refusal::new(Reason::Relay, "the relay service does not answer"));
        }
        if let Some(why) = self.relay_foreign() {
            return Err(Refusal::new(Reason::Relay, format!("the relay service: {why}")));
        }
        if self.candidate.is_some() || self.collection.is_some() || self.holder.is_some() {
            return Err(Refusal::new(Reason::Busy, "another order holds the machine"));
        }
        if request.payment.is_over_the_counter() {
            let waiting = self.live.values().filter(|live| live.stored.order.waits_for_customer()).count();
            if waiting >= WAITING_MAX {
                let why = format!("{waiting} orders wait for payment at a store or for collection already");
                return Err(Refusal::field(Reason::RateLimited, "payment", why));
            }
        }
        if !self.limits.may_order(self.settings.orders_per_minute, now.boot) {
            let why = format!("more than {} requests within a minute", self.settings.orders_per_minute);
            return Err(Refusal::new(Reason::RateLimited, why));
        }
        Ok(offer)
    }

    pub(super) fn prepared(&mut self, call: CallId, answer: Result<Ticket, PrepareError>, now: Now) {
        let Some(candidate) = self.candidate.take_if(|candidate| candidate.call == call) else {
            if let Ok(ticket) = answer {
                self.effects.push(Effect::CloseTicket(ticket));
            }
            return;
        };
        let refusal = match answer {
            Ok(ticket) => {
                self.reconciliation.prepared();
                self.links.relay_refused = false;
                self.relay_faults(now);
                let posted = self.posted(&candidate.offer);
                let order = Order::new(candidate.offer.clone(), ticket.clone(), posted, candidate.owner, candidate.asked_at);
                let begun = if self.holder.is_some() { None } else { Some(self.begin(order, now)) };
                match begun {
                    Some(Ok(())) => return self.begun(candidate, now),
                    // Another customer, who had paid, came in between.
                    None => {
                        self.effects.push(Effect::CloseTicket(ticket));
                        Refusal::new(Reason::Busy, "another order holds the machine")
                    }
                    Some(Err(error)) => {
                        self.effects.push(Effect::CloseTicket(ticket));
                        Refusal::new(Reason::Store, error.to_string())
                    }
                }
            }
            Err(PrepareError::Refused(error, detail)) => {
                self.effects.push(Effect::ReadRelay);
                Refusal::new(error.reason(), detail)
            }
            Err(PrepareError::NoAnswer(why)) => {
                // The relay may have given a ticket all the same.
                self.look_for_tickets();
                Refusal::new(Reason::Relay, why)
            }
        };
        self.refuse_candidate(candidate, &refusal, now);
    }

    /// A candidate whose `Prepare` gets no answer, not even from the bus.
    pub(super) fn pump_candidate(&mut self, now: Now) {
        if let Some(candidate) = self.candidate.take_if(|candidate| now.boot >= candidate.give_up_at()) {
            self.look_for_tickets();
            self.refuse_candidate(candidate, &Refusal::new(Reason::Relay, "the relay service did not answer"), now);
        }
    }

    fn begun(&mut self, candidate: Candidate, now: Now) {
        let id = candidate.request_id().clone();
        for from in candidate.from {
            self.reply(from, Reply { state: Some(EventState::Requested), reason: None });
        }
        for from in candidate.cancelled {
            let reply = match self.cancel(&id, now) {
                Ok(_) => self.last_state(&id),
                Err(error) => {
                    self.refuse(Some(id.clone()), None, &Refusal::new(Reason::Store, error.to_string()), now);
                    Reply::refused(Reason::Store)
                }
            };
            self.reply(from, reply);
        }
    }

    fn refuse_candidate(&mut self, candidate: Candidate, refusal: &Refusal, now: Now) {
        let id = candidate.request_id().clone();
        let item = candidate.offer.request.item.clone();
        let mut askers = candidate.from.into_iter().chain(candidate.cancelled);
        // The first asker of a candidate is the one who asked for it.
        let Some(first) = askers.next() else { return };
        self.turn_down(Some(id), Some(item), refusal, first, now);
        askers.for_each(|asker| self.reply(asker, Reply::refused(refusal.reason)));
    }

    /// Cancels an order. `Some(false)`: that changed nothing. `None`: there is no such order.
    pub(super) fn cancel(&mut self, id: &RequestId, now: Now) -> Result<Option<bool>, StoreError> {
        let Some(before) = self.find(id)? else { return Ok(None) };
        self.happen(id, vec![Event::CancelAsked], now)?;
        let after = self.find(id)?;
        Ok(Some(after.is_some_and(|after| after.rev != before.rev)))
    }

    /// Whether nothing is known, because the database is not open.
    pub(super) fn is_shut(&self) -> bool {
        self.store.is_none()
    }

    pub(super) fn last_state(&self, id: &RequestId) -> Reply {
        match self.find(id) {
            Ok(Some(stored)) => {
                let (state, reason) = stored.order.name();
                Reply { state: Some(state), reason }
            }
            Ok(None) | Err(_) => Reply::NOTHING,
        }
    }

    /// Tells the same news again, with the same `event_id` and the same `seq`.
    pub(super) fn repeat_last_event(&mut self, id: &RequestId) {
        if let Ok(Some(stored)) = self.find(id)
            && self.links.broker
            && !stored.last_event.is_empty()
        {
            let payload = stored.last_event.as_bytes().to_vec();
            let id = self.news_id();
            self.effects.push(Effect::Publish { id, notice: Notice::Event, payload });
        }
    }

    fn turn_down(&mut self, request: Option<RequestId>, item: Option<ItemId>, refusal: &Refusal, from: Asker, now: Now) {
        // The message is acknowledged first. A refused request that comes once more after a crash could be sold after all.
        self.reply(from, Reply::refused(refusal.reason));
        self.refuse(request, item, refusal, now);
    }

    pub(super) fn reply(&mut self, to: Asker, reply: Reply) {
        self.effects.push(Effect::Reply(to, reply));
    }

    /// Tells a refusal. It is never stored, and it is limited: anybody can make a machine refuse.
    pub(super) fn refuse(&mut self, request_id: Option<RequestId>, item: Option<ItemId>, refusal: &Refusal, now: Now) {
        self.tell_refusal(request_id, item, None, refusal, now);
    }

    /// The same for a payment code. The event repeats the code, so the customer who typed it in knows that the answer
    /// is theirs.
    pub(super) fn refuse_code(&mut self, request_id: Option<RequestId>, code: &PaymentCode, refusal: &Refusal, now: Now) {
        self.tell_refusal(request_id, None, Some(code), refusal, now);
    }

    fn tell_refusal(
        &mut self,
        request_id: Option<RequestId>,
        item: Option<ItemId>,
        code: Option<&PaymentCode>,
        refusal: &Refusal,
        now: Now,
    ) {
        if !self.limits.may_refuse(request_id.as_ref(), now.boot) {
            return;
        }
        self.effects.push(Effect::Journal(Journal::OrderRefused {
            request: request_id.clone(),
            item: item.clone(),
            state: EventState::Refused.as_str().into(),
            reason: refusal.reason.to_string().into(),
            detail: text(&refusal.detail),
        }));
        self.limits.refusals += 1;
        let boot: String = self.settings.boot_id.0.chars().take(8).collect();
        let event = VendEvent {
            event_id: format!("{}.{boot}.{}.{}", self.stream(), now.boot.0, self.limits.refusals).into(),
            stream: self.stream().into(),
            seq: None,
            request_id,
            order_id: None,
            state: EventState::Refused,
            reason: Some(refusal.reason),
            item,
            amount: None,
            gross_amount: None,
            payment_code: code.map(|code| code.as_str().into()),
            store: None,
            field: refusal.field.clone(),
            detail: Some(refusal.detail.clone()),
            at: self.trusted(now.wall).map(|wall| wall.to_rfc3339().into()),
        };
        if self.links.broker {
            let payload = serde_json::to_vec(&event).expect("an event is plain data");
            let id = self.news_id();
            self.effects.push(Effect::Publish { id, notice: Notice::Event, payload });
        }
        self.effects.push(Effect::OrderChanged(event));
    }
}

fn reused() -> Refusal {
    Refusal::field(Reason::ReusedId, "request_id", "this request_id was used with another body")
}
