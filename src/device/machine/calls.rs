//! Calls to relay and backend: at most one each an order, begun from the order's duty and paced here.

use super::{Effect, Machine, new_slot};
use crate::store::{Disk, Stored};
use qris_core::order::ids::{OrderId, RequestId};
use qris_core::order::machine::{self as core, BackendCall, Context, Duty, Event, Order, Posted, RelayCall};
use qris_core::order::outcome::{CloseAnswer, DispenseAnswer};
use qris_core::order::reason::Reason;
use qris_core::order::request::{Offer, Refusal};
use qris_core::order::time::{Boot, Now, Span};
use qris_core::wire::dbus::RelayError;
use qris_core::wire::orders::{NewOrder, Order as Resource, OutcomeReport};

/// The first wait before a call is repeated; it doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Span = Span::millis(250);
/// The longest wait before a call is repeated.
pub(super) const RETRY_MAX: Span = Span::secs(30);
/// After so many failures it is that long.
const DOUBLINGS: u32 = 7;
/// After so many failures, about ten minutes, a call for an order that nobody waits for is repeated rarely.
const PATIENT_AFTER: u32 = 26;
const RETRY_RARELY: Span = Span::secs(900);
/// Orders in the background have so many calls to the backend, and as many to the relay, at once.
const BACKGROUND_CALLS_MAX: usize = 4;
/// Of these so many only look how an order stands that waits for its customer.
const LOOKS_MAX: usize = 2;
/// While the line is driven its outcome is asked this often; its signal mostly comes first.
pub(super) const DRIVEN_RETRY: Span = Span::millis(500);
/// A long poll that comes back without news is not begun again sooner.
pub(super) const WATCH_RETRY: Span = Span::secs(1);
/// An order that waits for its customer is looked at this often.
pub(super) const LOOK_EVERY: Span = Span::secs(900);
/// A hint that something changed is followed at most this often an order.
pub(super) const HINT_EVERY: Span = Span::secs(5);

/// A report waits so long for a relay that is away to come back and prove it: after a power cut it starts when this program does.
const PROOF_WAIT: Span = Span::secs(60);

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
    /// Its books have no order of the name that was asked about, as it says itself.
    Absent,
    /// To an outcome: it has another of this order, as it says itself, which counts as told.
    OtherOutcome,
    /// It refuses, and asking the same again is of no use.
    Refused(Refusal),
    /// It cannot now (503); ask again after this.
    Later(Refusal, Span),
    /// It will have nothing to do with this machine (401).
    Wrong(Refusal),
    /// No answer, or none that is surely the backend's and about what was asked: nobody knows what it did.
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
    /// To `Prove`: there is a proof, or none.
    Proof(Option<Box<str>>),
    /// One of its errors: nothing was recorded or driven.
    Refused(RelayError, Box<str>),
    /// Nobody knows what it did.
    NoAnswer(Box<str>),
}

/// Which calls an order may begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    relay: bool,
    backend: bool,
    /// To the backend, for an order that waits for its customer.
    look: bool,
}

impl Room {
    const ALL: Self = Self { relay: true, backend: true, look: true };

    /// With what there is for this duty: that many look delays nobody who has something to say.
    fn for_backend(self, duty: Option<&BackendCall>) -> Self {
        let look = matches!(duty, Some(BackendCall::Look(_)));
        Self { backend: self.backend && (self.look || !look), ..self }
    }
}

/// An order in memory, with its calls.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) stored: Stored,
    pub(super) relay: Slot<RelayCall>,
    pub(super) backend: Slot<HttpCall>,
    /// The relay's owner when it was asked last.
    pub(super) asked_owner: u64,
    /// The newest version that the backend told.
    pub(super) rev: u64,
    pub(super) hinted: bool,
    pub(super) hint_after: Boot,
    /// Of an order that waits for its customer: when the backend is asked about it next.
    pub(super) look_at: Option<Boot>,
    /// Since when the backend says that its books do not have the order.
    pub(super) absent_since: Option<Boot>,
    /// The relay's signed word for the report, or that there is none.
    pub(super) proof: Option<Option<Box<str>>>,
    /// A `Dispense` was not answered, and that could not be stored yet: whatever is answered to the next, the line may have
    /// been driven by this one.
    pub(super) unanswered: bool,
}

/// A call under way, or the wait before the next.
#[derive(Clone, Debug)]
pub(super) struct Slot<C> {
    pub(super) running: Option<(CallId, C)>,
    pub(super) failures: u32,
    pub(super) retry_at: Boot,
}

impl Live {
    pub(super) fn new(stored: Stored) -> Self {
        Self {
            stored,
            relay: new_slot(),
            backend: new_slot(),
            asked_owner: 0,
            rev: 0,
            hinted: false,
            hint_after: Boot(i64::MIN),
            look_at: None,
            absent_since: None,
            proof: None,
            unanswered: false,
        }
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
        let doubled = RETRY_FIRST.0 << self.failures.min(DOUBLINGS);
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

    /// Whom it waits for has answered something: it is asked once at once, and then no sooner than before, but for a wait that is
    /// rare.
    pub(super) fn nudge(&mut self) {
        if self.running.is_none() {
            self.failures = self.failures.min(DOUBLINGS);
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

impl<D: Disk> Machine<D> {
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

    /// What another order in the background may begin.
    pub(super) fn has_room_for_calls(&self) -> Room {
        let background = || self.live.iter().filter(|(id, _)| self.holder.as_ref() != Some(*id)).map(|(_, live)| live);
        let relay = background().filter(|live| live.relay.running.is_some()).count();
        let backend = background().filter(|live| live.backend.running.is_some()).count();
        let looks = background().filter(|live| matches!(live.backend.running, Some((_, HttpCall::Get(_))))).count();
        Room { relay: relay < BACKGROUND_CALLS_MAX, backend: backend < BACKGROUND_CALLS_MAX, look: looks < LOOKS_MAX }
    }

    fn pump_calls(&mut self, id: &RequestId, now: Now) {
        let context = self.context(id);
        let owner = context.relay_owner;
        let Some(live) = self.live.get(id) else { return };
        let duty = duty(live, now.boot, &context);
        if let (Some(BackendCall::Look(_)), None) = (&duty.backend, live.look_at)
            && let Some(live) = self.live.get_mut(id)
        {
            // What is open was asked when the program started; from then on news comes by itself, or is looked for.
            live.look_at = Some(now.boot + LOOK_EVERY);
        }
        let Some(live) = self.live.get(id) else { return };
        let room = if self.holder.as_ref() == Some(id) { Room::ALL } else { self.has_room_for_calls() };
        let room = room.for_backend(duty.backend.as_ref());
        let backend = self.http_call(live, duty.backend, now.boot);
        let (relay_call, backend_call) = (self.next_call_id(), self.next_call_id());
        let Some(live) = self.live.get_mut(id) else { return };
        // A `Dispense` under way is waited for: whether it was answered decides what is known.
        let dispensing = matches!(live.relay.running, Some((_, RelayCall::Dispense(_))));
        if !dispensing && live.relay.running.as_ref().map(|(_, call)| call) != duty.relay.as_ref() {
            // A call that is no longer wanted runs to its end; its answer is a fact if it is one.
            live.relay.running = None;
            if let (Some(call), Some(owner), true) = (duty.relay, owner, room.relay && now.boot >= live.relay.retry_at) {
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
            if let Some(call) = backend.filter(|_| room.backend && now.boot >= live.backend.retry_at) {
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
            Some(BackendCall::Look(id)) => {
                let due = live.look_at.is_some_and(|at| now >= at);
                (due || follows_hint(live, now)).then_some(HttpCall::Get(id))
            }
            Some(BackendCall::Cancel(id)) => Some(HttpCall::Cancel(id)),
            Some(BackendCall::Tell(id, outcome, reason)) => {
                let proof = live.proof.clone().flatten();
                Some(HttpCall::Tell(id, OutcomeReport { outcome, reason, detail: None, proof }))
            }
            None => {
                let ask = follows_hint(live, now);
                order.order_id().filter(|_| ask && !order.name().0.is_end()).cloned().map(HttpCall::Get)
            }
        }
    }

    /// What is posted for a request, now and whenever it is posted again.
    pub(super) fn posted(&self, offer: &Offer) -> Posted {
        let request = &offer.request;
        let description = request.description.clone().unwrap_or_else(|| self.name_of(&request.item));
        let description = description.chars().take(qris_core::order::request::DESCRIPTION_MAX).collect::<String>().into();
        Posted { kids: self.links.relay.kids.clone(), relay_key: self.links.relay.proof_key.clone(), description }
    }

    /// When the next call of an order may begin, if it waits for time alone. `room` is for orders in the background.
    pub(super) fn next_call(&self, live: &Live, room: Room, now: Boot, with: &Context) -> Option<Boot> {
        let order = &live.stored.order;
        let duty = duty(live, now, with);
        let room = if order.holds_machine() { Room::ALL } else { room }.for_backend(duty.backend.as_ref());
        let relay = duty.relay.is_some() && with.relay_owner.is_some() && live.relay.running.is_none() && room.relay;
        let free = live.backend.running.is_none() && room.backend;
        let backend = match duty.backend {
            // Answered by the list of open orders.
            Some(BackendCall::Find) => None,
            Some(BackendCall::Look(_)) => {
                let hint = live.hinted.then_some(live.hint_after);
                let at = [live.look_at, hint].into_iter().flatten().min();
                at.filter(|_| free).map(|at| at.max(live.backend.retry_at))
            }
            Some(_) => free.then_some(live.backend.retry_at),
            None => {
                let hint = free && live.hinted && order.order_id().is_some() && !order.name().0.is_end();
                hint.then(|| live.hint_after.max(live.backend.retry_at))
            }
        };
        let unproven = (matches!(duty.relay, Some(RelayCall::Prove(_))) && with.relay_owner.is_none()).then(|| unproven_from(with));
        [relay.then_some(live.relay.retry_at), backend, unproven].into_iter().flatten().min()
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
}

/// What is asked now. A report waits for the relay's proof, and goes without where there is none to be had.
fn duty(live: &Live, now: Boot, with: &Context) -> Duty {
    let duty = core::duty(&live.stored.order, now, with);
    if !matches!(duty.relay, Some(RelayCall::Prove(_))) {
        return duty;
    }
    let gone = with.relay_owner.is_none() && now >= unproven_from(with);
    if live.proof.is_some() || gone { Duty { relay: None, ..duty } } else { Duty { backend: None, ..duty } }
}

/// From then on a report goes without a proof, if the relay stays away.
fn unproven_from(with: &Context) -> Boot {
    with.relay_changed_at + PROOF_WAIT
}

/// Whether a hint is being followed, or is to be now.
fn follows_hint(live: &Live, now: Boot) -> bool {
    matches!(live.backend.running, Some((_, HttpCall::Get(_)))) || live.hinted && now >= live.hint_after
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
        relay_key: order.posted.relay_key.clone(),
    }
}
