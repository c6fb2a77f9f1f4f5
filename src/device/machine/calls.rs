//! Calls to relay and backend: at most one each an order, begun from the order's duty and paced here.

use super::faults::Trouble;
use super::{Effect, Machine, new_slot};
use crate::device::store::Stored;
use crate::host::events::Event as Journal;
use crate::order::ids::{OrderId, RequestId};
use crate::order::machine::{self as core, BackendCall, Context, Event, Order, Posted, RelayCall, RelayRefusal, Seen, State};
use crate::order::outcome::{CloseAnswer, DispenseAnswer};
use crate::order::reason::Reason;
use crate::order::receipt::Receipt;
use crate::order::request::{Offer, Refusal};
use crate::order::time::{Boot, Now, Span};
use crate::wire::dbus::RelayError;
use crate::wire::orders::{NewOrder, Order as Resource, OutcomeReport};
use crate::wire::status::FaultCode;

/// The first wait before a call is repeated; it doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Span = Span::millis(250);
/// The longest wait before a call is repeated.
const RETRY_MAX: Span = Span::secs(30);
/// After so many failures, about ten minutes, a call for an order that nobody waits for is repeated rarely.
const PATIENT_AFTER: u32 = 26;
const RETRY_RARELY: Span = Span::secs(900);
/// Orders in the background have so many calls to the backend, and as many to the relay, at once.
const BACKGROUND_CALLS_MAX: usize = 4;
/// While the line is driven its outcome is asked this often; its signal mostly comes first.
const DRIVEN_RETRY: Span = Span::millis(500);
/// A long poll that comes back without news is not begun again sooner.
const WATCH_RETRY: Span = Span::secs(1);
/// A hint that something changed is followed at most this often an order.
const HINT_EVERY: Span = Span::secs(5);

/// Names one call, so that a late answer is not taken for another's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

/// A call to the backend, ready to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HttpCall {
    /// `POST /v1/orders`.
    Create(Box<NewOrder>),
    /// `GET /v1/orders/{order_id}?wait=&since=`.
    Watch(OrderId, u64),
    /// `GET /v1/orders/{order_id}?wait=0`.
    Get(OrderId),
    /// `POST /v1/orders/{order_id}/cancel`.
    Cancel(OrderId),
    /// `POST /v1/orders/{order_id}/outcome`.
    Tell(OrderId, OutcomeReport),
}

/// What the backend answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BackendAnswer {
    /// An order.
    Order(Box<Resource>),
    /// The open orders.
    Open(Vec<Resource>),
    /// 404: there is no such order.
    Absent,
    /// 409 to an outcome: it has another, which counts as told.
    OtherOutcome,
    /// It refuses, and asking the same again is of no use.
    Refused(Refusal),
    /// It cannot now (503, 429); ask again after this.
    Later(Refusal, Span),
    /// It will have nothing to do with this call or this machine (401, 403, or a 4xx of no meaning here).
    Wrong(Refusal),
    /// No answer, or none that can be used: nobody knows what it did.
    NoAnswer {
        /// Why, for people.
        why: Box<str>,
        /// Why, as a problem's code.
        code: Option<Reason>,
        /// Its certificate's dates were refused.
        date_refusal: bool,
    },
}

/// What the relay answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RelayAnswer {
    /// To `Check`.
    Checked {
        /// Whether it could deliver.
        deliverable: bool,
        /// Why not.
        reason: Box<str>,
    },
    /// To `Dispense` and `Query`.
    Dispense(DispenseAnswer),
    /// To `Close`.
    Close(CloseAnswer),
    /// One of its errors: nothing was recorded or driven.
    Refused(RelayError, Box<str>),
    /// Nobody knows what it did.
    NoAnswer(Box<str>),
}

/// An order in memory, with its calls.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) stored: Stored,
    pub(super) relay: Slot<RelayCall>,
    pub(super) backend: Slot<HttpCall>,
    /// The relay's owner when it was asked last.
    asked_owner: u64,
    /// The newest version that the backend told.
    rev: u64,
    hinted: bool,
    hint_after: Boot,
}

/// A call under way, or the wait before the next.
#[derive(Debug)]
pub(super) struct Slot<C> {
    pub(super) running: Option<(CallId, C)>,
    pub(super) failures: u32,
    pub(super) retry_at: Boot,
}

impl Live {
    pub(super) fn new(stored: Stored) -> Self {
        Self { stored, relay: new_slot(), backend: new_slot(), asked_owner: 0, rev: 0, hinted: false, hint_after: Boot(i64::MIN) }
    }
}

impl<C> Slot<C> {
    /// The call ended and brought the order on.
    pub(super) fn done(&mut self) {
        self.running = None;
        self.failures = 0;
        self.retry_at = Boot(i64::MIN);
    }

    /// The call ended and must be repeated, not before `least` and later after every failure.
    pub(super) fn again(&mut self, least: Span, now: Boot) {
        self.running = None;
        let doubled = RETRY_FIRST.0 << self.failures.min(7);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now + Span(doubled.min(RETRY_MAX.0).max(least.0));
    }

    /// The same for a call for which nobody waits: after many failures it is rare.
    pub(super) fn again_in_background(&mut self, least: Span, now: Boot) {
        let least = if self.failures >= PATIENT_AFTER { least.max(RETRY_RARELY) } else { least };
        self.again(least, now);
    }

    /// Whom it waits for is back.
    pub(super) fn wake(&mut self) {
        if self.running.is_none() {
            self.failures = 0;
            self.retry_at = Boot(i64::MIN);
        }
    }

    /// The call ended and is repeated after this time, without being a failure.
    pub(super) fn pause(&mut self, pause: Span, now: Boot) {
        self.running = None;
        self.failures = 0;
        self.retry_at = now + pause;
    }

    pub(super) fn is_running(&self, id: CallId) -> bool {
        self.running.as_ref().is_some_and(|(running, _)| *running == id)
    }
}

impl Machine {
    /// Lets time pass for every order and begins what its duty asks for.
    pub(super) fn pump(&mut self, now: Now) {
        if self.store_retry_at.is_some() {
            return;
        }
        let ids: Vec<RequestId> = self.live.keys().cloned().collect();
        for id in &ids {
            if self.happen(id, vec![Event::Tick], now).is_err() {
                return;
            }
        }
        // Who has a customer waiting goes first.
        let holder = self.holder.clone();
        for id in holder.iter().chain(ids.iter().filter(|id| Some(*id) != holder.as_ref())) {
            self.pump_calls(id, now);
        }
    }

    /// Whether another order in the background may call the relay, and the backend.
    pub(super) fn has_room_for_calls(&self) -> (bool, bool) {
        let background = || self.live.iter().filter(|(id, _)| self.holder.as_ref() != Some(*id)).map(|(_, live)| live);
        let relay = background().filter(|live| live.relay.running.is_some()).count();
        let backend = background().filter(|live| live.backend.running.is_some()).count();
        (relay < BACKGROUND_CALLS_MAX, backend < BACKGROUND_CALLS_MAX)
    }

    fn pump_calls(&mut self, id: &RequestId, now: Now) {
        let context = self.context(id);
        let owner = context.relay_owner;
        let Some(live) = self.live.get(id) else { return };
        let duty = core::duty(&live.stored.order, now.boot, &context);
        let backend = self.http_call(live, duty.backend, now.boot);
        let room = if self.holder.as_ref() == Some(id) { (true, true) } else { self.has_room_for_calls() };
        let (relay_call, backend_call) = (self.next_call_id(), self.next_call_id());
        let Some(live) = self.live.get_mut(id) else { return };
        // A `Dispense` under way is waited for: whether it was answered decides what is known.
        let dispensing = matches!(live.relay.running, Some((_, RelayCall::Dispense(_))));
        if !dispensing && live.relay.running.as_ref().map(|(_, call)| call) != duty.relay.as_ref() {
            // A call that is no longer wanted runs to its end; its answer is a fact if it is one.
            live.relay.running = None;
            if let (Some(call), Some(owner), true) = (duty.relay, owner, room.0 && now.boot >= live.relay.retry_at) {
                live.asked_owner = owner;
                live.relay.running = Some((relay_call, call.clone()));
                self.effects.push(Effect::Relay(relay_call, id.clone(), call));
            }
        }
        let same = match (&live.backend.running, &backend) {
            (Some((_, HttpCall::Watch(running, _))), Some(HttpCall::Watch(wanted, _))) => running == wanted,
            (running, wanted) => running.as_ref().map(|(_, call)| call) == wanted.as_ref(),
        };
        if !same {
            if let Some((running, _)) = live.backend.running.take() {
                self.effects.push(Effect::Abandon(running));
                live.backend.done();
            }
            if let Some(call) = backend.filter(|_| room.1 && now.boot >= live.backend.retry_at) {
                live.hinted = false;
                live.backend.running = Some((backend_call, call.clone()));
                self.effects.push(Effect::Backend(backend_call, id.clone(), call));
            }
        }
    }

    /// The request that a duty towards the backend stands for.
    fn http_call(&self, live: &Live, duty: Option<BackendCall>, now: Boot) -> Option<HttpCall> {
        let order = &live.stored.order;
        match duty {
            Some(BackendCall::Create) => Some(HttpCall::Create(Box::new(new_order(order)))),
            // Answered by the list of open orders, one for all who look.
            Some(BackendCall::Find) => None,
            Some(BackendCall::Watch(id)) => Some(HttpCall::Watch(id, live.rev)),
            Some(BackendCall::Confirm(id)) => Some(HttpCall::Get(id)),
            Some(BackendCall::Cancel(id)) => Some(HttpCall::Cancel(id)),
            Some(BackendCall::Tell(id, outcome, reason)) => Some(HttpCall::Tell(id, OutcomeReport { outcome, reason, detail: None })),
            None => {
                let asking = matches!(live.backend.running, Some((_, HttpCall::Get(_))));
                let ask = asking || live.hinted && now >= live.hint_after;
                order.order_id().filter(|_| ask && !order.name().0.is_end()).cloned().map(HttpCall::Get)
            }
        }
    }

    /// What is posted for a request, now and whenever it is posted again.
    pub(super) fn posted(&self, offer: &Offer) -> Posted {
        let request = &offer.request;
        let description = request.description.clone().unwrap_or_else(|| self.name_of(&request.item));
        let description = description.chars().take(crate::order::request::DESCRIPTION_MAX).collect::<String>().into();
        Posted { kids: self.links.relay.kids.clone(), description }
    }

    /// When the next call of an order may begin, if it waits for time alone. `room` is for orders in the background.
    pub(super) fn next_call(&self, live: &Live, room: (bool, bool), now: Boot, with: &Context) -> Option<Boot> {
        let order = &live.stored.order;
        let room = if order.holds_machine() { (true, true) } else { room };
        let duty = core::duty(order, now, with);
        let relay = duty.relay.is_some() && with.relay_owner.is_some() && live.relay.running.is_none() && room.0;
        let free = live.backend.running.is_none() && room.1;
        let backend = match duty.backend {
            // Answered by the list of open orders.
            Some(BackendCall::Find) => None,
            Some(_) => free.then_some(live.backend.retry_at),
            None => {
                let hint = free && live.hinted && order.order_id().is_some() && !order.name().0.is_end();
                hint.then(|| live.hint_after.max(live.backend.retry_at))
            }
        };
        [relay.then_some(live.relay.retry_at), backend].into_iter().flatten().min()
    }

    /// Somebody says that the backend's view of this order changed.
    pub(super) fn hint(&mut self, id: &RequestId) {
        if let Some(live) = self.live.get_mut(id) {
            live.hinted = !live.stored.order.name().0.is_end();
        }
    }

    pub(super) fn abandon(&mut self, live: Live) {
        if let Some((running, _)) = live.backend.running {
            self.effects.push(Effect::Abandon(running));
        }
    }

    /// The orders that wait for the list of open orders.
    pub(super) fn lookers(&self, now: Boot) -> Vec<RequestId> {
        let looks = |id: &RequestId, live: &Live| core::duty(&live.stored.order, now, &self.context(id)).backend == Some(BackendCall::Find);
        self.live.iter().filter(|(id, live)| looks(id, live)).map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn relay_answered(&mut self, id: CallId, request: &RequestId, answer: RelayAnswer, now: Now) {
        let Some(live) = self.live.get_mut(request) else { return };
        let current = live.relay.is_running(id);
        let call = if current { live.relay.running.take().map(|(_, call)| call) } else { None };
        // An answer to a call that was given up is news only if it is final.
        let fact = matches!(answer, RelayAnswer::Dispense(DispenseAnswer::Ended(_)));
        if !current && !fact {
            return;
        }
        let (owner, before) = (live.asked_owner, live.stored.order.clone());
        if let (RelayAnswer::Refused(error, detail), Some(RelayCall::Dispense(_))) = (&answer, &call)
            && *error != RelayError::Busy
        {
            self.links.relay_refused = true;
            self.fault(FaultCode::Relay, Some(&format!("it refused a receipt: {error} ({detail})")), now);
        }
        let event = relay_event(&answer, call.as_ref(), owner, self.links.owner, &before);
        let happened = match event {
            Some(event) => self.happen(request, vec![event], now),
            None => Ok(()),
        };
        let driven = matches!(
            answer,
            RelayAnswer::Refused(RelayError::Busy, _)
                | RelayAnswer::Dispense(DispenseAnswer::Dispensing)
                | RelayAnswer::Close(CloseAnswer::Dispensing)
        );
        if let Some(live) = self.live.get_mut(request).filter(|_| current) {
            let unanswered = matches!(answer, RelayAnswer::NoAnswer(_));
            match happened {
                Ok(()) if driven => live.relay.pause(DRIVEN_RETRY, now.boot),
                // `Query` follows an unanswered `Dispense`, but not in a loop.
                Ok(()) if live.stored.order != before && !unanswered => live.relay.done(),
                // Nothing new, or not stored and so not known: the same call brings the same answer again.
                Ok(()) | Err(_) => live.relay.again(Span::ZERO, now.boot),
            }
        }
        if !matches!(answer, RelayAnswer::Dispense(DispenseAnswer::Dispensing)) {
            self.effects.push(Effect::ReadRelay);
        }
    }

    pub(super) fn relay_finished(&mut self, order_id: &OrderId, answer: DispenseAnswer, now: Now) {
        let id = self.live.iter().find(|(_, live)| live.stored.order.order_id() == Some(order_id)).map(|(id, _)| id.clone());
        if let (Some(id), DispenseAnswer::Ended(_)) = (id, answer) {
            // If it cannot be stored, `Query` tells it again.
            drop(self.happen(&id, vec![Event::RelayAnswered(answer)], now));
        }
    }

    pub(super) fn backend_answered(&mut self, id: CallId, request: &RequestId, answer: BackendAnswer, now: Now) {
        let Some(live) = self.live.get_mut(request) else { return };
        if !live.backend.is_running(id) {
            return;
        }
        let Some((_, call)) = live.backend.running.take() else { return };
        if matches!(call, HttpCall::Get(_)) {
            live.hint_after = now.boot + HINT_EVERY;
        }
        let before = (live.stored.rev, live.rev);
        self.note_backend(&answer, now);
        let events = match answer {
            BackendAnswer::Order(resource) => {
                let telling = matches!(call, HttpCall::Tell(..));
                let mut events = self.seen(request, *resource);
                if telling {
                    events.insert(0, Event::Told);
                }
                events
            }
            BackendAnswer::OtherOutcome => vec![Event::Told],
            BackendAnswer::Absent => match call {
                HttpCall::Watch(..) | HttpCall::Get(_) | HttpCall::Cancel(_) => vec![Event::Absent],
                HttpCall::Create(_) => vec![Event::CreateRefused(Refusal::new(Reason::Backend, "it has no such address (404)"))],
                HttpCall::Tell(..) => vec![],
            },
            BackendAnswer::Refused(refusal) | BackendAnswer::Wrong(refusal) => match call {
                HttpCall::Create(_) => vec![Event::CreateRefused(refusal)],
                HttpCall::Watch(..) | HttpCall::Get(_) | HttpCall::Cancel(_) | HttpCall::Tell(..) => vec![],
            },
            BackendAnswer::Later(refusal, after) => {
                // Known in this run of the program only: nothing is written that could fail.
                drop(self.happen(request, vec![Event::CreateDelayed(refusal.reason)], now));
                if let Some(live) = self.live.get_mut(request) {
                    live.backend.again(after, now.boot);
                }
                return;
            }
            BackendAnswer::NoAnswer { code: Some(code), .. } => {
                drop(self.happen(request, vec![Event::CreateDelayed(code)], now));
                vec![]
            }
            BackendAnswer::Open(_) | BackendAnswer::NoAnswer { code: None, .. } => vec![],
        };
        let known = !events.is_empty();
        let stored = self.happen(request, events, now).is_ok();
        let Some(live) = self.live.get_mut(request) else { return };
        let moved = before != (live.stored.rev, live.rev);
        match call {
            HttpCall::Watch(..) if known && moved => live.backend.done(),
            HttpCall::Watch(..) if known => live.backend.pause(WATCH_RETRY, now.boot),
            _ if known && stored && moved => live.backend.done(),
            HttpCall::Get(_) if known && stored => live.backend.done(),
            HttpCall::Create(_) | HttpCall::Watch(..) | HttpCall::Get(_) | HttpCall::Cancel(_) | HttpCall::Tell(..) => {
                if live.stored.order.holds_machine() {
                    live.backend.again(Span::ZERO, now.boot);
                } else {
                    live.backend.again_in_background(Span::ZERO, now.boot);
                }
            }
        }
    }

    /// What an order resource tells: where it is, and the receipt if there is one that can be believed.
    pub(super) fn seen(&mut self, request: &RequestId, resource: Resource) -> Vec<Event> {
        if let Some(live) = self.live.get_mut(request) {
            live.rev = live.rev.max(resource.rev);
        }
        let receipt = resource.receipt.as_deref().and_then(|jws| self.believe(jws, request));
        let mut events = vec![Event::Seen(seen_of(resource))];
        events.extend(receipt.map(Event::Settled));
        events
    }

    /// Verifies a receipt for the order of a request.
    pub(super) fn believe(&mut self, jws: &str, request: &RequestId) -> Option<Receipt> {
        let verified = self.settings.keys.verify(jws, &self.settings.device);
        let refused = match verified {
            Ok(receipt) => match self.find(request) {
                Ok(Some(stored)) if stored.order.fits(&receipt) => return Some(receipt),
                Ok(Some(_)) => "it is not for this machine's order of that request".to_owned(),
                Ok(None) => "this machine made no such request".to_owned(),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        self.effects.push(Effect::Journal(Journal::ReceiptRefused { request: Some(request.clone()), order: None, why: refused.into() }));
        None
    }

    /// Whether the backend is there, as far as its last answer tells.
    pub(super) fn note_backend(&mut self, answer: &BackendAnswer, now: Now) {
        let trouble = match answer {
            BackendAnswer::NoAnswer { why, date_refusal, .. } => Trouble::Gone { why: why.clone(), date_refusal: *date_refusal },
            BackendAnswer::Wrong(refusal) => Trouble::Gone { why: refusal.detail.clone(), date_refusal: false },
            BackendAnswer::Order(_)
            | BackendAnswer::Open(_)
            | BackendAnswer::Absent
            | BackendAnswer::OtherOutcome
            | BackendAnswer::Refused(_)
            | BackendAnswer::Later(..) => Trouble::None,
        };
        self.backend_state(trouble, now);
    }
}

/// What a relay's answer says of an order, if anything.
fn relay_event(answer: &RelayAnswer, call: Option<&RelayCall>, asked: u64, owner: u64, order: &Order) -> Option<Event> {
    match (answer, call) {
        (RelayAnswer::Checked { .. }, _) if asked != owner => None,
        (RelayAnswer::Checked { deliverable: true, .. }, _) => Some(Event::CheckPassed(asked)),
        (RelayAnswer::Checked { deliverable: false, reason }, _) => {
            let blocked = **reason == *Reason::LineBlocked.as_str();
            // A QR that is not up yet waits for a relay that may still be starting; time ends that.
            let waits = matches!(order.state, State::AwaitingPayment { checked: 0, .. }) || **reason == *Reason::Busy.as_str();
            match (blocked, waits) {
                (true, _) => Some(Event::CheckFailed(Reason::LineBlocked)),
                (false, true) => None,
                (false, false) => Some(Event::CheckFailed(Reason::Relay)),
            }
        }
        (RelayAnswer::Dispense(answer), _) => Some(Event::RelayAnswered(*answer)),
        (RelayAnswer::Close(answer), _) => Some(Event::TicketClosed(*answer)),
        (RelayAnswer::Refused(error, _), Some(RelayCall::Dispense(_))) => Some(Event::RelayRefused(match error {
            RelayError::Busy => RelayRefusal::Busy,
            RelayError::UnknownTicket => RelayRefusal::UnknownTicket,
            RelayError::InvalidReceipt
            | RelayError::WrongDevice
            | RelayError::UnknownItem
            | RelayError::Amount
            | RelayError::Blocked
            | RelayError::Hardware
            | RelayError::Ledger => RelayRefusal::Other,
        })),
        (RelayAnswer::Refused(RelayError::UnknownTicket, _), Some(RelayCall::Close(_))) => Some(Event::TicketUnknown),
        (RelayAnswer::Refused(_, _), Some(RelayCall::Check(_))) => Some(Event::CheckFailed(Reason::Relay)),
        (RelayAnswer::Refused(_, _), Some(RelayCall::Query(_) | RelayCall::Close(_)) | None) => None,
        (RelayAnswer::NoAnswer(_), Some(RelayCall::Dispense(_))) => Some(Event::RelayUnanswered),
        (RelayAnswer::NoAnswer(_), Some(RelayCall::Check(_) | RelayCall::Query(_) | RelayCall::Close(_)) | None) => None,
    }
}

/// What is posted for an order.
fn new_order(order: &Order) -> NewOrder {
    let request = &order.offer.request;
    NewOrder {
        request_id: request.request_id.clone(),
        ticket: order.ticket.clone(),
        kids: order.posted.kids.clone(),
        item: request.item.clone(),
        description: Some(order.posted.description.clone()),
        amount: order.offer.amount,
        payment: request.payment,
        timeout_s: u16::try_from(order.offer.timeout.as_secs_up()).unwrap_or(u16::MAX),
    }
}

/// The core's view of an order resource.
pub(super) fn seen_of(resource: Resource) -> Seen {
    let span = |seconds: u64| Span::secs(i64::try_from(seconds).unwrap_or(i64::MAX / 1000));
    Seen {
        order_id: resource.order_id,
        status: resource.status,
        gross_amount: resource.gross_amount,
        payload: resource.qr_payload,
        expires_in: resource.expires_in_s.map(span),
        settled_ago: resource.settled_ago_s.map(span),
        kid: resource.kid,
        has_outcome: resource.outcome.is_some(),
        refund: resource.refund.is_some(),
        sandbox: resource.sandbox,
    }
}
