//! Customers ask to buy, to cancel, and to collect goods that were paid at a store. The machine takes that up, or refuses
//! it and says why.

use super::answers::seen_of;
use super::collection::{Collection, WRONG_CODES, may_be_news, objection, unconfirmed};
use super::front::{Candidate, Customer};
use super::links::{Facts, no_answer};
use super::outbox::RefusedVend;
use super::parts::Machine;
use super::shelves::BESIDE;
use super::show::goods;
use crate::store::{StoreError, Stored};
use crate::words::{Asker, BackendAnswer, CallId, Effect, HttpCall, PrepareError, RAUC, RelayAnswer, Reply, Request, text};
use qris_core::order::ids::{PaymentCode, RequestId, Ticket};
use qris_core::order::machine::{Event, Order, RelayCall};
use qris_core::order::reason::Reason;
use qris_core::order::request::{Offer, Refusal, VendRequest, Way};
use qris_core::order::time::{Now, Span};
use qris_core::wire::vend::{EventState, check_request};
use qris_host::events::Event as Journal;

impl Machine {
    /// A controller asks. Each question gets one reply: now, or when it is known.
    pub(super) fn requested(&mut self, request: Request, asker: Asker, now: Now) {
        if self.links.facts(now.boot) == Facts::Awaited && self.waits_for_facts(&request) && self.front.has_room_for_early() {
            return self.front.early.push((request, asker));
        }
        match request {
            Request::Vend(request) => match check_request(&request) {
                Ok(()) => self.vend(request, asker, now),
                Err(refusal) => self.refuse([asker], of_request(&request), &refusal, now),
            },
            Request::Pressed(request) if self.is_filled() => {
                self.outbox.reply([asker], Reply::NOTHING);
                self.pressed(request.item, now);
            }
            Request::Pressed(request) => {
                if let Some((request, asker)) = self.pressed_again(request, asker, now) {
                    self.vend(request, asker, now);
                }
            }
            Request::TryAgain(request) => self.try_again(request, asker, now),
            Request::Cancel(request) => self.cancel(&request, asker, now),
            Request::Collect(code) if asker.kind.hears_replies => self.collect(code, asker.kind.way, Some(asker), now),
            Request::Collect(code) => {
                // The reply comes at once. The same question again after a crash could hand the goods out to nobody.
                self.outbox.reply([asker], Reply::NOTHING);
                self.collect(code, asker.kind.way, None, now);
            }
            Request::Hold(who, time) => self.hold(&who, time, asker, now),
            Request::Release(who) => {
                if self.hold.release(&who) {
                    self.outbox.journal(Journal::MachineReleased { by: text(&who), why: "it is done".into() });
                }
                self.outbox.reply([asker], Reply::NOTHING);
            }
            Request::Stock(change) => {
                let (what, item, n) = &*change;
                let counted = self.change_stock((*what, item, *n), BESIDE, None, now);
                self.outbox.reply([asker], Reply { stock: Some(counted), ..Reply::NOTHING });
            }
            Request::Refused(request, refusal) => self.refuse([asker], RefusedVend { request, ..RefusedVend::default() }, &refusal, now),
        }
    }

    /// Whether this is judged by the relay service's facts, or must come after something that is.
    fn waits_for_facts(&self, request: &Request) -> bool {
        match request {
            Request::Vend(_) | Request::TryAgain(_) | Request::Collect(_) => true,
            Request::Pressed(_) => !self.is_filled(),
            Request::Cancel(_) => !self.front.early.is_empty(),
            // Whoever counts is there, and is told at once to do it again.
            Request::Stock(_) | Request::Hold(..) | Request::Release(_) | Request::Refused(..) => false,
        }
    }

    /// Takes what waited for the facts, or refuses it: there are none. A text from afar that waited beside it comes first, or its customer
    /// would be asked for a price that an operator was told is over.
    pub(super) fn take_early(&mut self, now: Now) {
        if self.links.facts(now.boot) != Facts::Awaited && !self.front.early.is_empty() {
            let (afar, with) = self.afar();
            afar.take_next(with, now);
            for (request, asker) in std::mem::take(&mut self.front.early) {
                self.requested(request, asker, now);
            }
        }
    }

    /// From now on nothing is sold. A customer who is there is served to the end first.
    fn hold(&mut self, who: &str, time: Span, asker: Asker, now: Now) {
        if who == RAUC && self.systems.protects_good().is_some() {
            return self.outbox.reply([asker], Reply::UNPROVEN);
        }
        let busy = self.is_busy().then_some(Reason::Busy);
        let reason = if who == RAUC {
            self.rauc_holds(time, now);
            busy
        } else {
            match self.hold.take(who, time, now.boot) {
                // Somebody else waits for the customer, too: only then is nobody there.
                None => busy.or(Some(Reason::Updating)),
                Some(is_new) => {
                    if is_new {
                        self.outbox.journal(Journal::MachineHeld { by: text(who), seconds: time.0 / 1000 });
                    }
                    busy
                }
            }
        };
        self.outbox.reply([asker], Reply { reason, ..Reply::NOTHING });
    }

    /// Replies and tells everybody. The messages are acknowledged first: a refused request that comes once more after a crash
    /// could be sold after all.
    pub(super) fn refuse(&mut self, askers: impl IntoIterator<Item = Asker>, of: RefusedVend, refusal: &Refusal, now: Now) {
        // Nobody's QR goes away for another one's press. Who holds the machine has a page. A request that is repeated came to its end before.
        let is_free = !self.is_busy() && !self.hold.is_held();
        let asked = of.item.as_ref().filter(|item| is_free && self.settings.prices.of(item).is_some());
        if let Some(item) = asked.filter(|_| refusal.reason != Reason::ReusedId) {
            self.front.refused(goods(item), refusal.reason, now.boot);
        }
        self.outbox.reply(askers, Reply::refused(refusal.reason));
        self.outbox.refuse(of, refusal, self.storage.stream(), &self.settings, now);
    }

    fn cancel(&mut self, id: &RequestId, asker: Asker, now: Now) {
        if let Some(candidate) = self.front.candidate(id) {
            return candidate.cancelled.push(asker);
        }
        self.second_tries.end(Some(id));
        let (reply, refusal) = match self.cancel_order(id, now) {
            Ok(Some((order, is_changed))) => {
                if is_changed && order.order.is_without_its_receipt() {
                    self.second_tries.decline(id);
                }
                // A change has its own event.
                if !is_changed && !asker.kind.hears_replies {
                    self.outbox.repeat(&order);
                }
                (Reply::of(&order.order), None)
            }
            Ok(None) if self.storage.store().is_none() => (Reply::refused(Reason::Store), self.trouble()),
            Ok(None) => {
                let unknown = Refusal::field(Reason::UnknownRequest, "request_id", "this machine knows no such request");
                (Reply::NOTHING, Some(unknown))
            }
            Err(error) => (Reply::refused(Reason::Store), Some(store_refusal(&error))),
        };
        // Who does not hear the reply gets an event.
        if let Some(refusal) = refusal.filter(|_| !asker.kind.hears_replies) {
            self.refuse([], RefusedVend::request(id), &refusal, now);
        }
        self.outbox.reply([asker], reply);
    }

    /// Cancels an order. Answers with the order after that, and whether it changed.
    pub(super) fn cancel_order(&mut self, id: &RequestId, now: Now) -> Result<Option<(Stored, bool)>, StoreError> {
        let Some(before) = self.find(id)? else { return Ok(None) };
        self.happen(id, vec![Event::CancelRequested], now)?;
        let after = self.find(id)?.unwrap_or_else(|| before.clone());
        let is_changed = after.rev != before.rev;
        Ok(Some((after, is_changed)))
    }

    /// A request to sell. It is repeated, or refused, or it becomes a candidate and the relay is asked.
    pub(super) fn vend(&mut self, request: VendRequest, from: Asker, now: Now) {
        let id = &request.request_id;
        let reused = || Refusal::field(Reason::ReusedId, "request_id", "this request_id was used with another body");
        let refusal = match self.front.candidate(id) {
            Some(candidate) if candidate.offer.request == request => return candidate.askers.push(from),
            Some(_) => reused(),
            None => match self.find(id) {
                Ok(Some(stored)) if stored.order.is_of(&request) => {
                    self.outbox.repeat(&stored);
                    return self.outbox.reply([from], Reply::of(&stored.order));
                }
                Ok(Some(_)) => reused(),
                Ok(None) => match self.admit(&request, from.kind.way, now) {
                    Ok(offer) => {
                        let call = self.outbox.next_call();
                        self.outbox.push(Effect::Prepare(call, offer.item.clone(), offer.amount));
                        let candidate = Candidate::new(offer, call, self.links.last_owner(), now.boot, from);
                        self.second_tries.wait_for(&request.request_id, now.boot);
                        return self.front.take_place(Customer::Asks(candidate));
                    }
                    Err(refusal) => refusal,
                },
                Err(error) => {
                    self.store_failed(&error, now);
                    store_refusal(&error)
                }
            },
        };
        self.refuse([from], of_request(&request), &refusal, now);
    }

    /// Every objection to a request that is known before the relay is asked.
    fn admit(&mut self, request: &VendRequest, way: Way, now: Now) -> Result<Offer, Refusal> {
        let mut offer = self.settings.prices.price(request, way, self.settings.orders.timeout)?;
        if let Some(trouble) = self.trouble() {
            return Err(trouble);
        }
        if self.links.relay_missing(now.boot) {
            return Err(no_answer());
        }
        if let Some(refusal) = self.links.relay_refusal(&self.settings) {
            return Err(refusal);
        }
        if self.is_busy() {
            return Err(busy());
        }
        if request.payment.is_over_the_counter()
            && let Some(waiting) = self.orders.too_many_waiting()
        {
            let why = format!("{waiting} orders already wait for payment at a store or for collection");
            return Err(Refusal::field(Reason::RateLimited, "payment", why));
        }
        let limit = self.settings.orders.per_minute;
        if !self.front.may_ask(limit, now.boot) {
            return Err(Refusal::new(Reason::RateLimited, format!("more than {limit} requests within a minute")));
        }
        self.links.charges.judge(offer.amount, request.payment)?;
        offer.item = self.choose_slot(&request.item, request.payment)?;
        Ok(offer)
    }

    pub(super) fn prepared(&mut self, call: CallId, answer: Result<Ticket, PrepareError>, now: Now) {
        let candidate = self.front.prepared(call);
        let (candidate, refusal) = match (candidate, answer) {
            (None, Ok(ticket)) => return self.outbox.push(Effect::CloseTicket(ticket)),
            (None, Err(_)) => return,
            (Some(candidate), Ok(ticket)) => {
                self.reconciliation.prepared();
                self.links.relay_prepared(&self.settings, &mut self.faults, now);
                let posted = self.links.posted(&candidate.offer, &self.settings);
                let order = Order::new(candidate.offer.clone(), ticket.clone(), posted, candidate.owner, candidate.requested_at);
                // Another customer, who had paid, may have come in between.
                let begun = if self.orders.is_held() { Err(busy()) } else { self.begin(order, now).map_err(|error| store_refusal(&error)) };
                match begun {
                    Ok(()) => return self.begun(candidate, now),
                    Err(refusal) => {
                        self.outbox.push(Effect::CloseTicket(ticket));
                        (candidate, refusal)
                    }
                }
            }
            (Some(candidate), Err(PrepareError::Refused(error, detail))) => {
                self.outbox.push(Effect::ReadRelay);
                (candidate, Refusal::new(error.reason(), detail))
            }
            (Some(candidate), Err(PrepareError::NoAnswer(why))) => {
                // The relay may have given a ticket all the same.
                self.reconciliation.read_tickets(&mut self.outbox);
                (candidate, Refusal::new(Reason::Relay, why))
            }
        };
        self.refuse_candidate(candidate, &refusal, now);
    }

    /// A candidate is an order now. Some askers may want it cancelled at once.
    fn begun(&mut self, candidate: Candidate, now: Now) {
        let id = candidate.request_id().clone();
        self.outbox.reply(candidate.askers, Reply { state: Some(EventState::Requested), ..Reply::NOTHING });
        for asker in candidate.cancelled {
            match self.cancel_order(&id, now) {
                Ok(order) => self.outbox.reply([asker], order.map_or(Reply::NOTHING, |(order, _)| Reply::of(&order.order))),
                Err(error) => {
                    self.refuse([], RefusedVend::request(&id), &store_refusal(&error), now);
                    self.outbox.reply([asker], Reply::refused(Reason::Store));
                }
            }
        }
    }

    fn refuse_candidate(&mut self, candidate: Candidate, refusal: &Refusal, now: Now) {
        let mut askers = candidate.askers.into_iter().chain(candidate.cancelled);
        self.refuse(askers.next(), of_request(&candidate.offer.request), refusal, now);
        self.outbox.reply(askers, Reply::refused(refusal.reason));
    }

    /// Somebody typed in a code. `asker` gets an answer beside the events that all hear.
    fn collect(&mut self, code: PaymentCode, way: Way, asker: Option<Asker>, now: Now) {
        if let Some(collection) = self.front.collection(&code) {
            return collection.askers.extend(asker);
        }
        let (request, refusal) = match self.admit_code(&code, way, now) {
            Ok(order) => {
                let call = self.outbox.next_call();
                let request = order.offer.request.request_id.clone();
                let Some(id) = order.order_id().cloned() else { return };
                self.outbox.push(Effect::Backend(call, request.clone(), HttpCall::Get(id)));
                self.second_tries.wait_for(&request, now.boot);
                return self.front.take_place(Customer::Collects(Collection::new(request, code, asker, call, now.boot)));
            }
            Err(refused) => refused,
        };
        self.refuse(asker, RefusedVend { request, item: None, code: Some(&code) }, &refusal, now);
    }

    /// Every objection to a code that is known before anybody is asked.
    fn admit_code(&mut self, code: &PaymentCode, way: Way, now: Now) -> Result<Order, (Option<RequestId>, Refusal)> {
        if let Some(until) = self.front.guesses.paused_until(way, now.boot) {
            let left = (until - now.boot).as_secs_up();
            return Err((None, Refusal::new(Reason::RateLimited, format!("too many wrong codes: no code is accepted for {left} s"))));
        }
        if self.storage.store().is_none()
            && let Some(trouble) = self.trouble()
        {
            return Err((None, trouble));
        }
        let order = match self.orders.of_code(code, &self.storage) {
            Ok(Some(order)) => order,
            Ok(None) => return Err((None, self.wrong_code(way, now))),
            Err(error) => {
                self.store_failed(&error, now);
                return Err((None, store_refusal(&error)));
            }
        };
        let request = &order.offer.request.request_id;
        // Its own code may still be on the screen.
        let is_held = self.orders.held_by().is_some_and(|holder| holder != request);
        let refusal = match objection(&order).filter(|_| !may_be_news(&order)) {
            Some(objection) => Some(objection),
            None if self.storage.cannot_sell() => Some(Refusal::new(Reason::Store, "the database cannot be written")),
            None if self.front.is_taken() || is_held => Some(busy()),
            None if self.hold.is_held() => self.hold.refusal(),
            // The code stays good until the slot is filled.
            None if self.orders.get(request).is_some_and(|live| self.has_none_for(&live.stored)) => {
                Some(Refusal::new(Reason::SoldOut, format!("{} is sold out now. The code stays good: come back", order.offer.item)))
            }
            None => self.links.relay_unfit(&self.settings),
        };
        match refusal {
            Some(refusal) => Err((Some(request.clone()), refusal)),
            None => Ok(order),
        }
    }

    /// Counts a wrong code. The count is stored before anybody is told, so a restart gives no new tries.
    fn wrong_code(&mut self, way: Way, now: Now) -> Refusal {
        self.front.guesses.count(way, now.boot);
        match self.storage.store_mut().map_or(Err(StoreError::Shut), |store| store.keep(&WRONG_CODES, &self.front.guesses)) {
            Ok(()) => Refusal::field(Reason::WrongCode, "code", "no order here has this payment code"),
            Err(error) => {
                self.store_failed(&error, now);
                store_refusal(&error)
            }
        }
    }

    pub(super) fn confirmed(&mut self, collection: Collection, answer: BackendAnswer, now: Now) {
        self.note_backend(&answer, now);
        let BackendAnswer::Order(resource) = answer else {
            // The backend is asked until it answers, so that the fault goes when it is back.
            self.reconciliation.ask_open();
            return self.refuse_collection(collection, &unconfirmed(answer), now);
        };
        let pending = !seen_of((*resource).clone()).is_collectable();
        let id = &collection.request;
        let before = self.find(id).ok().flatten().map(|stored| stored.order.name());
        let events = self.seen(id, *resource);
        if let Err(error) = self.happen(id, events, now) {
            return self.refuse_collection(collection, &store_refusal(&error), now);
        }
        let Some(order) = self.orders.collectable(id) else {
            // If the answer ended it, an event has told that. Otherwise it is as it was.
            let order = self.find(id).ok().flatten().map(|stored| stored.order).filter(|order| before == Some(order.name()));
            return match order.as_ref().and_then(objection) {
                Some(objection) => self.refuse_collection(collection, &objection, now),
                None => self.answer_ended(collection),
            };
        };
        let refusal = if let Some(objection) = objection(order) {
            Some(objection)
        } else if pending {
            Some(Refusal::field(Reason::UnknownRequest, "code", "the store's payment is not confirmed"))
        } else {
            self.links.relay_unfit(&self.settings)
        };
        if let Some(refusal) = refusal {
            return self.refuse_collection(collection, &refusal, now);
        }
        let (call, check) = (self.outbox.next_call(), RelayCall::Check(order.ticket.clone()));
        self.outbox.push(Effect::Relay(call, collection.request.clone(), check));
        self.front.take_place(Customer::Collects(collection.confirmed(call, self.links.last_owner(), now.boot)));
    }

    pub(super) fn checked(&mut self, collection: Collection, answer: &RelayAnswer, now: Now) {
        if let Err(refusal) = collection.checked(answer, self.links.relay_owner()) {
            self.outbox.push(Effect::ReadRelay);
            return self.refuse_collection(collection, &refusal, now);
        }
        let id = &collection.request;
        match self.happen(id, vec![Event::Collected], now) {
            Ok(()) if self.orders.is_held_by(id) => {
                self.outbox.reply(collection.askers, Reply { state: Some(EventState::Paid), ..Reply::NOTHING });
            }
            // Another customer, who had paid, came in between.
            Ok(()) if self.orders.collectable(id).is_some() => self.refuse_collection(collection, &busy(), now),
            Ok(()) => self.answer_ended(collection),
            Err(error) => self.refuse_collection(collection, &store_refusal(&error), now),
        }
    }

    /// The order ended meanwhile. An event has told that, and the askers get its new state.
    fn answer_ended(&mut self, collection: Collection) {
        let order = self.find(&collection.request).ok().flatten();
        self.outbox.reply(collection.askers, order.map_or(Reply::NOTHING, |order| Reply::of(&order.order)));
    }

    pub(super) fn refuse_collection(&mut self, collection: Collection, refusal: &Refusal, now: Now) {
        let Collection { request, code, askers, .. } = collection;
        self.refuse(askers, RefusedVend { request: Some(request), item: None, code: Some(&code) }, refusal, now);
    }

    /// A customer who gets no answer, not even from the bus.
    pub(super) fn give_up(&mut self, now: Now) {
        match self.front.give_up(now.boot) {
            Some(Customer::Asks(candidate)) => {
                self.reconciliation.read_tickets(&mut self.outbox);
                self.refuse_candidate(candidate, &Refusal::new(Reason::Relay, "the relay service did not answer"), now);
            }
            Some(Customer::Collects(collection)) => {
                if collection.asks_backend() {
                    self.reconciliation.ask_open();
                    self.outbox.push(Effect::Abandon(collection.call()));
                }
                let refusal = collection.unanswered();
                self.refuse_collection(collection, &refusal, now);
            }
            Some(Customer::TriesAgain(candidate)) => {
                self.reconciliation.read_tickets(&mut self.outbox);
                self.refuse_try(candidate, &Refusal::new(Reason::Relay, "the relay service did not answer"), false, now);
            }
            None => {}
        }
    }

    /// Why the machine sells nothing at all now, if so.
    pub(super) fn trouble(&self) -> Option<Refusal> {
        if let Some(refusal) = self.faults.refusal(self.settings.screen_required) {
            return Some(refusal);
        }
        if let Some(refusal) = self.hold.refusal() {
            return Some(refusal);
        }
        if self.orders.is_full() {
            return Some(Refusal::new(Reason::Backend, "too many orders are unfinished"));
        }
        match self.storage.store() {
            None => Some(Refusal::new(Reason::Store, "the database is not open")),
            Some(store) if !store.has_room() => Some(Refusal::new(Reason::Store, "too many events wait for the broker")),
            Some(_) => None,
        }
    }
}

fn of_request(request: &VendRequest) -> RefusedVend<'static> {
    RefusedVend { request: Some(request.request_id.clone()), item: Some(request.item.clone()), code: None }
}

fn store_refusal(error: &StoreError) -> Refusal {
    Refusal::new(Reason::Store, error.to_string())
}

fn busy() -> Refusal {
    Refusal::new(Reason::Busy, "the machine is busy with another order")
}
