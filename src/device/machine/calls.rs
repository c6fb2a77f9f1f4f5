//! Calls to relay and backend. Each order has at most one to each of them. They begin with the order's duty, and are
//! paced here.

use super::{CallId, Effect, HttpCall, Machine, new_slot};
use crate::store::{Disk, Stored};
use qris_core::order::ids::RequestId;
use qris_core::order::machine::{self as core, BackendCall, Context, Duty, Event, Order, Posted, RelayCall};
use qris_core::order::request::Offer;
use qris_core::order::time::{Boot, Now, Span};
use qris_core::wire::orders::{NewOrder, OutcomeReport};

/// The first wait before a call is repeated; it doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Span = Span::millis(250);
/// The longest wait before a call is repeated.
pub(super) const RETRY_MAX: Span = Span::secs(30);
/// After this many failures the wait is the longest.
const DOUBLINGS: u32 = 7;
/// After this many failures, about ten minutes, a call for an order that nobody waits for is repeated rarely.
const PATIENT_AFTER: u32 = 26;
const RETRY_RARELY: Span = Span::secs(900);
/// The most calls to the backend that orders in the background have at once, and the most to the relay.
const BACKGROUND_CALLS_MAX: usize = 4;
/// The most of these calls that only look at an order that waits for its customer.
const LOOKS_MAX: usize = 2;
/// While the line is driven, its outcome is asked for this often. Its signal mostly comes first.
pub(super) const DRIVEN_RETRY: Span = Span::millis(500);
/// A long poll without news is repeated after this time at the earliest.
pub(super) const WATCH_RETRY: Span = Span::secs(1);
/// An order that waits for its customer is looked at this often.
pub(super) const LOOK_EVERY: Span = Span::secs(900);
/// A hint that an order changed is followed at most this often for each order.
pub(super) const HINT_EVERY: Span = Span::secs(5);

/// A report waits this long for a relay that is away to come back and prove it. After a power cut the relay starts when
/// this program does.
const PROOF_WAIT: Span = Span::secs(60);

/// The calls that an order may begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    relay: bool,
    backend: bool,
    /// To the backend, for an order that waits for its customer.
    look: bool,
}

impl Room {
    const ALL: Self = Self { relay: true, backend: true, look: true };

    /// The room for this duty. Many orders that only look do not delay an order that has something to say.
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
    /// The relay's owner at the last call.
    pub(super) asked_owner: u64,
    /// The newest version that the backend told.
    pub(super) rev: u64,
    pub(super) hinted: bool,
    pub(super) hint_after: Boot,
    /// For an order that waits for its customer: the time of the next question to the backend.
    pub(super) look_at: Option<Boot>,
    /// The time since which the backend says that its books do not have the order.
    pub(super) absent_since: Option<Boot>,
    /// The relay's signed word for the report; `Some(None)`: there is none.
    pub(super) proof: Option<Option<Box<str>>>,
    /// A `Dispense` was not answered, and that could not be stored yet. This call may have driven the line, whatever the
    /// answer to the next call is.
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

    /// The call ended and must be repeated: not before `least`, and later after every failure.
    pub(super) fn again(&mut self, least: Span, now: Boot) {
        self.running = None;
        let doubled = RETRY_FIRST.0 << self.failures.min(DOUBLINGS);
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now + Span(doubled.min(RETRY_MAX.0).max(least.0));
    }

    /// The same for a call that nobody waits for. After many failures it is rare.
    pub(super) fn again_in_background(&mut self, least: Span, now: Boot) {
        let least = if self.failures >= PATIENT_AFTER { least.max(RETRY_RARELY) } else { least };
        self.again(least, now);
    }

    /// The other side is back: the call waits no longer.
    pub(super) fn wake(&mut self) {
        if self.running.is_none() {
            self.failures = 0;
            self.retry_at = Boot(i64::MIN);
        }
    }

    /// The other side has answered something. The call is repeated once at once, and then no sooner than before, unless its wait
    /// was a rare one.
    pub(super) fn nudge(&mut self) {
        if self.running.is_none() {
            self.failures = self.failures.min(DOUBLINGS);
            self.retry_at = Boot(i64::MIN);
        }
    }

    /// The call ended, and it did not fail. It is repeated after this time.
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
        // The order with a customer before the machine goes first.
        let holder = self.holder.clone();
        for id in holder.iter().chain(ids.iter().filter(|id| Some(*id) != holder.as_ref())) {
            self.pump_calls(id, now);
        }
    }

    /// The calls that one more order in the background may begin.
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
            // The open orders were asked for when the program started. From then on news comes by itself, or is asked for.
            live.look_at = Some(now.boot + LOOK_EVERY);
        }
        let Some(live) = self.live.get(id) else { return };
        let room = if self.holder.as_ref() == Some(id) { Room::ALL } else { self.has_room_for_calls() };
        let room = room.for_backend(duty.backend.as_ref());
        let backend = self.http_call(live, duty.backend, now.boot);
        let (relay_call, backend_call) = (self.next_call_id(), self.next_call_id());
        let Some(live) = self.live.get_mut(id) else { return };
        // A `Dispense` under way is awaited: its answer, or the lack of one, is a fact that must be known.
        let dispensing = matches!(live.relay.running, Some((_, RelayCall::Dispense(_))));
        if !dispensing && live.relay.running.as_ref().map(|(_, call)| call) != duty.relay.as_ref() {
            // A call that is no longer wanted runs to its end. A final answer to it still counts.
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

    /// The HTTP call for a duty towards the backend.
    fn http_call(&self, live: &Live, duty: Option<BackendCall>, now: Boot) -> Option<HttpCall> {
        let order = &live.stored.order;
        match duty {
            Some(BackendCall::Create) => Some(HttpCall::Create(Box::new(new_order(order)))),
            // The list of open orders answers this, for all orders that look.
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

    /// The body of a request, now and at every repetition.
    pub(super) fn posted(&self, offer: &Offer) -> Posted {
        let request = &offer.request;
        let description = request.description.clone().unwrap_or_else(|| self.name_of(&request.item));
        let description = description.chars().take(qris_core::order::request::DESCRIPTION_MAX).collect::<String>().into();
        Posted { kids: self.links.relay.kids.clone(), relay_key: self.links.relay.proof_key.clone(), description }
    }

    /// The time at which an order's next call may begin, if it waits for time alone. `room` is for orders in the background.
    pub(super) fn next_call(&self, live: &Live, room: Room, now: Boot, with: &Context) -> Option<Boot> {
        let order = &live.stored.order;
        let duty = duty(live, now, with);
        let room = if order.holds_machine() { Room::ALL } else { room }.for_backend(duty.backend.as_ref());
        let relay = duty.relay.is_some() && with.relay_owner.is_some() && live.relay.running.is_none() && room.relay;
        let free = live.backend.running.is_none() && room.backend;
        let backend = match duty.backend {
            // The list of open orders answers this.
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

    /// Somebody says that this order changed at the backend.
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

/// The calls that are wanted now. A report waits for the relay's proof. It goes without one if there is none.
fn duty(live: &Live, now: Boot, with: &Context) -> Duty {
    let duty = core::duty(&live.stored.order, now, with);
    if !matches!(duty.relay, Some(RelayCall::Prove(_))) {
        return duty;
    }
    let gone = with.relay_owner.is_none() && now >= unproven_from(with);
    if live.proof.is_some() || gone { Duty { relay: None, ..duty } } else { Duty { backend: None, ..duty } }
}

/// From this time on a report goes without a proof, if the relay stays away.
fn unproven_from(with: &Context) -> Boot {
    with.relay_changed_at + PROOF_WAIT
}

/// Whether a hint is being followed, or must be followed now.
fn follows_hint(live: &Live, now: Boot) -> bool {
    matches!(live.backend.running, Some((_, HttpCall::Get(_)))) || live.hinted && now >= live.hint_after
}

/// The body of an order's request.
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
