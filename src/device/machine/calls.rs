//! An order in memory, with its calls to relay and backend: at most one to each. They begin with the order's duty, and are
//! paced here.

use super::outbox::Outbox;
use crate::store::Stored;
use crate::words::{BackendAnswer, CallId, Effect, HttpCall, RelayAnswer};
use qris_core::order::machine::{self as core, BackendCall, Context, Duty, Event, Order, RelayCall, RelayRefusal, State};
use qris_core::order::outcome::{CloseAnswer, DispenseAnswer};
use qris_core::order::reason::Reason;
use qris_core::order::request::Purchase;
use qris_core::order::time::{Boot, Span};
use qris_core::wire::dbus::RelayError;
use qris_core::wire::orders::{NewOrder, OutcomeReport};
use qris_host::events::Event as Journal;

/// The first wait before a call is repeated; it doubles up to [`RETRY_MAX`].
const RETRY_FIRST: Span = Span::millis(250);
/// The longest wait before a call is repeated.
pub(super) const RETRY_MAX: Span = Span::secs(30);
/// After this many failures the wait is the longest.
const DOUBLINGS: u32 = 7;
/// After this many failures, about ten minutes, a call for an order that nobody waits for is repeated rarely.
const PATIENT_AFTER: u32 = 26;
const RETRY_RARELY: Span = Span::secs(900);
/// While the line is driven, its outcome is asked for this often. Its signal mostly comes first.
const DRIVEN_RETRY: Span = Span::millis(500);
/// A long poll without news is repeated after this time at the earliest.
const WATCH_RETRY: Span = Span::secs(1);
/// An order that waits for its customer is looked at this often.
pub(super) const LOOK_EVERY: Span = Span::secs(900);
/// While a payment of an order that ended is still delivered, it is asked about this often: the backend asks the gateway no more often.
pub(super) const AWAIT_EVERY: Span = Span::secs(10);
/// After that it is asked about at once, and until the gateway has ended its charge for good: again after so long, and then after twice
/// as long each time.
pub(super) const LASTING_FIRST: Span = Span::secs(20);
/// The longest of these waits.
const LASTING_MAX: Span = Span::secs(6 * 3600);
/// A hint that an order changed is followed at most this often for each order.
const HINT_EVERY: Span = Span::secs(5);
/// A report waits this long for a relay that is away to come back and prove it. After a power cut the relay starts when
/// this program does.
const PROOF_WAIT: Span = Span::secs(60);
/// A relay that is there and gives no proof is asked this often, for a minute and more. Then the report goes without a proof.
const PROOF_TRIES: u32 = 8;
/// When the backend's books have not had an order for so long, the machine stops asking about it and reporting it. No QR can be
/// paid for so long.
const ABSENT_FOR: Span = Span::secs(24 * 3600);

/// The calls that an order may begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) relay: bool,
    pub(super) backend: bool,
    /// To the backend, for an order that waits for its customer.
    pub(super) look: bool,
}

impl Room {
    pub(super) const ALL: Self = Self { relay: true, backend: true, look: true };

    /// The room for this duty. Many orders that only look do not delay an order that has something to say.
    fn for_backend(self, duty: Option<&BackendCall>) -> Self {
        let look = matches!(duty, Some(BackendCall::Look(_)));
        Self { backend: self.backend && (self.look || !look), ..self }
    }
}

/// An order in memory, with its calls.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) stored: Stored,
    pub(super) relay: Slot<RelayCall>,
    pub(super) backend: Slot<HttpCall>,
    /// The relay's owner at the last call.
    asked_owner: u64,
    /// The newest version that the backend told.
    rev: u64,
    /// The backend says that nobody confirms whether it is paid.
    pub(super) unconfirmed: bool,
    hinted: bool,
    hint_after: Boot,
    /// For an order that waits for news: the time of the next question to the backend.
    look_at: Option<Boot>,
    /// The time of the last one.
    asked_at: Boot,
    /// The time between the last such question and the next.
    pace: Span,
    /// The time since which the backend says that its books do not have the order.
    absent_since: Option<Boot>,
    /// The relay's signed word for the report; `Some(None)`: there is none.
    proof: Option<Option<Box<str>>>,
    /// A `Dispense` was not answered, and that could not be stored yet. This call may have driven the line, whatever the
    /// answer to the next call is.
    unanswered: bool,
}

/// A call under way, or the wait before the next.
#[derive(Debug)]
pub(super) struct Slot<C> {
    running: Option<(CallId, C)>,
    failures: u32,
    retry_at: Boot,
}

/// A call to the relay that came to its end.
#[derive(Debug)]
pub(super) struct RelayEnd {
    /// `None`: it had been given up before.
    pub(super) call: Option<RelayCall>,
    /// The news, and that of an earlier call which could not be stored.
    pub(super) events: Vec<Event>,
    /// The news is that a `Dispense` was not answered.
    is_silence: bool,
    before: Order,
}

/// A call to the backend that came to its end.
#[derive(Debug)]
pub(super) struct BackendEnd {
    pub(super) call: HttpCall,
    /// The books do not have the order, and did not have it for so long that nobody asks any more.
    pub(super) forsaken: bool,
    /// It was a question that began when the grace of the order was over.
    pub(super) was_last: bool,
    /// The loss of the order, if it is news.
    pub(super) loss: Option<Journal>,
    before: (i64, u64),
}

impl Live {
    pub(super) fn new(stored: Stored) -> Self {
        Self {
            stored,
            relay: Slot::default(),
            backend: Slot::default(),
            asked_owner: 0,
            rev: 0,
            unconfirmed: false,
            hinted: false,
            hint_after: Boot(i64::MIN),
            look_at: None,
            asked_at: Boot(i64::MIN),
            pace: Span::ZERO,
            absent_since: None,
            proof: None,
            unanswered: false,
        }
    }

    /// The time at which something happens to the order, or its next call may begin. `room` is for orders in the background.
    pub(super) fn deadline(&self, room: Room, now: Boot, with: &Context) -> Option<Boot> {
        let order = &self.stored.order;
        let duty = self.duty(now, with);
        let room = if order.holds_machine() { Room::ALL } else { room }.for_backend(duty.backend.as_ref());
        let relay = duty.relay.is_some() && with.relay_owner.is_some() && self.relay.running.is_none() && room.relay;
        let free = self.backend.running.is_none() && room.backend;
        let hint = self.hinted.then_some(self.hint_after);
        let backend = match duty.backend {
            // The list of open orders answers this.
            Some(BackendCall::Find) => None,
            Some(BackendCall::Await(_) | BackendCall::Look(_)) => [self.look_at, hint].into_iter().flatten().min(),
            Some(_) => Some(self.backend.retry_at),
            None => hint.filter(|_| order.order_id().is_some() && !order.name().0.is_end()),
        };
        let backend = backend.filter(|_| free).map(|at| at.max(self.backend.retry_at));
        let unproven = (matches!(duty.relay, Some(RelayCall::Prove(_))) && with.relay_owner.is_none()).then(|| unproven_from(with));
        let deadline = core::next_deadline(order, now, with);
        [deadline, relay.then_some(self.relay.retry_at), backend, unproven].into_iter().flatten().min()
    }

    /// What it asks for now. A report waits for the relay's proof. It goes without one if there is none.
    fn duty(&self, now: Boot, with: &Context) -> Duty {
        let duty = core::duty(&self.stored.order, now, with);
        if !matches!(duty.relay, Some(RelayCall::Prove(_))) {
            return duty;
        }
        let gone = with.relay_owner.is_none() && now >= unproven_from(with);
        if self.proof.is_some() || gone { Duty { relay: None, ..duty } } else { Duty { backend: None, ..duty } }
    }

    /// Begins the calls that its duty asks for.
    pub(super) fn begin_calls(&mut self, room: Room, now: Boot, with: &Context, out: &mut Outbox) {
        let duty = self.duty(now, with);
        let room = room.for_backend(duty.backend.as_ref());
        let pace = self.next_pace(duty.backend.as_ref(), now);
        if let Some(pace) = pace {
            // The open orders were asked for when the program started. From then on news comes by itself, or is asked for. An order is
            // not open any more when it has ended: nobody brings the news of that one.
            self.look_at.get_or_insert(if self.stored.order.waits_for_customer() { now + pace } else { now });
        }
        let backend = self.http_call(duty.backend, now);
        let request = &self.stored.order.offer.request.request_id;
        // A `Dispense` under way is awaited: its answer, or the lack of one, is a fact that must be known.
        let dispensing = matches!(self.relay.call(), Some(RelayCall::Dispense(_)));
        if !dispensing && self.relay.call() != duty.relay.as_ref() {
            // A call that is no longer wanted runs to its end. A final answer to it still counts.
            self.relay.running = None;
            if let (Some(call), Some(owner), true) = (duty.relay, with.relay_owner, room.relay && now >= self.relay.retry_at) {
                self.asked_owner = owner;
                let id = self.relay.begin(call.clone(), out);
                out.push(Effect::Relay(id, request.clone(), call));
            }
        }
        let same = match (self.backend.call(), &backend) {
            (Some(HttpCall::Watch(running, _)), Some(HttpCall::Watch(wanted, _))) => running == wanted,
            (running, wanted) => running == wanted.as_ref(),
        };
        if !same {
            if let Some((running, _)) = self.backend.running.take() {
                out.push(Effect::Abandon(running));
                self.backend.done();
            }
            if let Some(call) = backend.filter(|_| room.backend && now >= self.backend.retry_at) {
                self.hinted = false;
                self.pace = pace.unwrap_or_default();
                self.asked_at = now;
                let id = self.backend.begin(call.clone(), out);
                out.push(Effect::Backend(id, request.clone(), call));
            }
        }
    }

    /// The time from the next question about an order that waits for news to the one after it; `None`: it does not wait for news.
    fn next_pace(&self, duty: Option<&BackendCall>, now: Boot) -> Option<Span> {
        match duty? {
            BackendCall::Await(_) if self.stored.order.grace_ends_at().is_some_and(|end| now < end) => Some(AWAIT_EVERY),
            BackendCall::Look(_) if self.stored.order.waits_for_customer() => Some(LOOK_EVERY),
            BackendCall::Await(_) | BackendCall::Look(_) => Some(Span((self.pace.0 * 2).clamp(LASTING_FIRST.0, LASTING_MAX.0))),
            BackendCall::Create | BackendCall::Find | BackendCall::Watch(_) => None,
            BackendCall::Confirm(_) | BackendCall::Cancel(_) | BackendCall::Tell(..) => None,
        }
    }

    /// The HTTP call for a duty towards the backend.
    fn http_call(&self, duty: Option<BackendCall>, now: Boot) -> Option<HttpCall> {
        let order = &self.stored.order;
        // A hint is being followed, or must be followed now.
        let follows_hint = matches!(self.backend.call(), Some(HttpCall::Get(_))) || self.hinted && now >= self.hint_after;
        match duty {
            Some(BackendCall::Create) => Some(HttpCall::Create(Box::new(new_order(order)))),
            // The list of open orders answers this, for all orders that look.
            Some(BackendCall::Find) => None,
            Some(BackendCall::Watch(id)) => Some(HttpCall::Watch(id, self.rev)),
            Some(BackendCall::Confirm(id)) => Some(HttpCall::Get(id)),
            Some(BackendCall::Await(id) | BackendCall::Look(id)) => {
                let due = self.look_at.is_some_and(|at| now >= at);
                (due || follows_hint).then_some(HttpCall::Get(id))
            }
            Some(BackendCall::Cancel(id)) => Some(HttpCall::Cancel(id)),
            Some(BackendCall::Tell(id, outcome, reason)) => {
                let proof = self.proof.clone().flatten();
                Some(HttpCall::Tell(id, OutcomeReport { outcome, reason, detail: None, proof }))
            }
            None => order.order_id().filter(|_| follows_hint && !order.name().0.is_end()).cloned().map(HttpCall::Get),
        }
    }

    /// Somebody says that this order changed at the backend.
    pub(super) fn hint(&mut self) {
        self.hinted = !self.stored.order.name().0.is_end() || self.stored.order.waits_for_news();
    }

    /// The backend told this version.
    pub(super) fn saw(&mut self, rev: u64) {
        self.rev = self.rev.max(rev);
    }

    /// The order is over, or forgotten.
    pub(super) fn abandon(self, out: &mut Outbox) {
        if let Some((running, _)) = self.backend.running {
            out.push(Effect::Abandon(running));
        }
    }

    /// The relay answered. `None`: that is no news of the order. `owner`: the relay's last one.
    pub(super) fn relay_ended(&mut self, id: CallId, answer: &RelayAnswer, owner: u64, now: Boot) -> Option<RelayEnd> {
        let call = self.relay.end(id);
        if let Some(RelayCall::Prove(_)) = &call {
            let is_enough = self.relay.failures >= PROOF_TRIES;
            self.proof = match answer {
                RelayAnswer::Proof(proof) => Some(proof.clone()),
                // The relay has another ledger.
                RelayAnswer::Refused(RelayError::UnknownTicket, _) => Some(None),
                // The ledger, or the relay itself, may be well again in a moment. But the customer who paid must hear of it.
                RelayAnswer::Refused(..) | RelayAnswer::NoAnswer(_) => is_enough.then_some(None),
                RelayAnswer::Checked { .. } | RelayAnswer::Dispense(_) | RelayAnswer::Close(_) => None,
            };
            match self.proof {
                Some(_) => self.relay.done(),
                None => self.relay.again(Span::ZERO, now),
            }
            return None;
        }
        // An answer to a call that was given up is news only if it is final.
        if call.is_none() && !matches!(answer, RelayAnswer::Dispense(DispenseAnswer::Ended(_))) {
            return None;
        }
        let before = self.stored.order.clone();
        let news = relay_event(answer, call.as_ref(), self.asked_owner, owner, &before);
        let is_silence = matches!(news, Some(Event::RelayUnanswered));
        let earlier = news.as_ref().and_then(|_| self.unanswered.then_some(Event::RelayUnanswered));
        Some(RelayEnd { call, events: earlier.into_iter().chain(news).collect(), is_silence, before })
    }

    /// Paces the next call after this end. `stored`: whether its events are stored, if there were any.
    pub(super) fn pace_relay(&mut self, end: &RelayEnd, answer: &RelayAnswer, stored: Option<bool>, now: Boot) {
        if let Some(stored) = stored {
            self.unanswered = !stored && (self.unanswered || end.is_silence);
        }
        if end.call.is_none() {
            return;
        }
        let driven = matches!(
            answer,
            RelayAnswer::Refused(RelayError::Busy, _)
                | RelayAnswer::Dispense(DispenseAnswer::Dispensing)
                | RelayAnswer::Close(CloseAnswer::Dispensing)
        );
        let stored = stored != Some(false);
        if stored && driven {
            self.relay.pause(DRIVEN_RETRY, now);
        } else if stored && self.stored.order != end.before && !matches!(answer, RelayAnswer::NoAnswer(_)) {
            // `Query` follows an unanswered `Dispense`, but not in a loop.
            self.relay.done();
        } else {
            // The answer brought nothing new, or it could not be stored and so is not known: the same call gets the
            // same answer again.
            self.relay.again(Span::ZERO, now);
        }
    }

    /// The backend answered. `None`: nobody waits for this answer any more.
    pub(super) fn backend_ended(&mut self, id: CallId, answer: &BackendAnswer, now: Boot) -> Option<BackendEnd> {
        let call = self.backend.end(id)?;
        if matches!(call, HttpCall::Get(_)) {
            self.hint_after = now + HINT_EVERY;
            self.look_at = self.stored.order.waits_for_news().then_some(now + self.pace);
        }
        let is_news = self.absent_since.is_none();
        match answer {
            BackendAnswer::Absent => _ = self.absent_since.get_or_insert(now),
            BackendAnswer::NoAnswer { .. } | BackendAnswer::Later(..) => {}
            BackendAnswer::Order(_)
            | BackendAnswer::Open(_)
            | BackendAnswer::OtherOutcome
            | BackendAnswer::Refused(_)
            | BackendAnswer::Wrong(_) => self.absent_since = None,
        }
        let absent = matches!(answer, BackendAnswer::Absent);
        let forsaken = absent && self.absent_since.is_some_and(|since| now >= since + patience(&call, &self.stored.order));
        let unwanted = forsaken && matches!(call, HttpCall::Tell(..));
        let grace_ends_at = self.stored.order.grace_ends_at();
        let was_last = matches!(call, HttpCall::Get(_)) && grace_ends_at.is_some_and(|end| self.asked_at >= end);
        let loss = if unwanted || absent && is_news { self.loss(unwanted) } else { None };
        Some(BackendEnd { call, forsaken, was_last, loss, before: (self.stored.rev, self.rev) })
    }

    /// Takes the version that was committed. An order that waited for its customer and has ended is asked about at once.
    pub(super) fn take(&mut self, stored: Stored) {
        if self.stored.order.waits_for_customer() && !stored.order.waits_for_customer() {
            (self.look_at, self.pace) = (None, Span::ZERO);
        }
        self.stored = stored;
    }

    /// The books do not have this order. `unwanted`: nobody will ever take its outcome.
    fn loss(&self, unwanted: bool) -> Option<Journal> {
        let offer = &self.stored.order.offer;
        let (request, order) = (offer.request.request_id.clone(), self.stored.order.order_id()?.clone());
        let (item, amount, state) = (offer.request.item.clone(), offer.amount, self.stored.order.name().0.to_string().into());
        Some(if unwanted {
            Journal::OutcomeUnwanted { request, order, item, amount, state }
        } else {
            Journal::OrderLost { request, order, item, amount, state }
        })
    }

    /// Paces the next call after the end of this one. `known`: the answer told something. `stored`: that is stored.
    pub(super) fn pace_backend(&mut self, end: &BackendEnd, known: bool, stored: bool, now: Boot) {
        let moved = end.before != (self.stored.rev, self.rev);
        match end.call {
            HttpCall::Watch(..) if known && moved => self.backend.done(),
            HttpCall::Watch(..) if known => self.backend.pause(WATCH_RETRY, now),
            _ if stored && moved => self.backend.done(),
            HttpCall::Get(_) if known && stored => self.backend.done(),
            // The reason for this question is still there.
            HttpCall::Get(_) if self.stored.order.waits_for_news() => {
                self.hinted = true;
                self.backend.again_in_background(Span::ZERO, now);
            }
            HttpCall::Create(_) | HttpCall::Watch(..) | HttpCall::Get(_) | HttpCall::Cancel(_) | HttpCall::Tell(..) => {
                if self.stored.order.holds_machine() {
                    self.backend.again(Span::ZERO, now);
                } else {
                    self.backend.again_in_background(Span::ZERO, now);
                }
            }
        }
    }
}

impl<C> Default for Slot<C> {
    fn default() -> Self {
        Self { running: None, failures: 0, retry_at: Boot(i64::MIN) }
    }
}

impl<C> Slot<C> {
    pub(super) fn begin(&mut self, call: C, out: &mut Outbox) -> CallId {
        let id = out.next_call();
        self.running = Some((id, call));
        id
    }

    /// The call with this number, if it runs. It has ended.
    pub(super) fn end(&mut self, id: CallId) -> Option<C> {
        self.running.take_if(|(running, _)| *running == id).map(|(_, call)| call)
    }

    pub(super) fn running(&self) -> Option<&(CallId, C)> {
        self.running.as_ref()
    }

    pub(super) fn call(&self) -> Option<&C> {
        self.running.as_ref().map(|(_, call)| call)
    }

    /// The time at which the next call may begin, if none runs.
    pub(super) fn free_at(&self) -> Option<Boot> {
        self.running.is_none().then_some(self.retry_at)
    }

    /// The call ended and brought the order on.
    pub(super) fn done(&mut self) {
        *self = Self::default();
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
            self.done();
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
        *self = Self { retry_at: now + pause, ..Self::default() };
    }
}

/// From this time on a report goes without a proof, if the relay stays away.
fn unproven_from(with: &Context) -> Boot {
    with.relay_changed_at + PROOF_WAIT
}

/// How long the machine asks about an order that the books do not have: as long as it can be paid or collected, and for
/// a day at least.
fn patience(call: &HttpCall, order: &Order) -> Span {
    let charge = order.charge.as_ref().filter(|_| !matches!(call, HttpCall::Tell(..)));
    let own = charge.and_then(|charge| charge.pay_within.max(charge.collect_within));
    own.unwrap_or(ABSENT_FOR).max(ABSENT_FOR)
}

/// The body of an order's request.
fn new_order(order: &Order) -> NewOrder {
    let request = &order.offer.request;
    let purchase = Purchase {
        request_id: request.request_id.clone(),
        ticket: order.ticket.clone(),
        item: request.item.clone(),
        description: Some(order.posted.description.clone()),
        machine: order.posted.machine.clone(),
        amount: order.offer.amount,
        payment: request.payment,
        timeout_s: u16::try_from(order.offer.timeout.as_secs_up()).unwrap_or(u16::MAX),
    };
    NewOrder { purchase, kids: order.posted.kids.clone(), relay_key: order.posted.relay_key.clone() }
}

/// The news of an order in a relay's answer, if there is any.
fn relay_event(answer: &RelayAnswer, call: Option<&RelayCall>, asked: u64, owner: u64, order: &Order) -> Option<Event> {
    match (answer, call) {
        (RelayAnswer::Checked { .. }, _) if asked != owner => None,
        (RelayAnswer::Checked { deliverable: true, .. }, _) => Some(Event::CheckPassed(asked)),
        (RelayAnswer::Checked { deliverable: false, reason }, _) => {
            let blocked = **reason == *Reason::LineBlocked.as_str();
            // A QR that is not shown yet waits for a relay that may still be starting. Time ends that wait.
            let waits = matches!(order.state, State::AwaitingPayment { checked: 0, .. }) || **reason == *Reason::Busy.as_str();
            match (blocked, waits) {
                (true, _) => Some(Event::CheckFailed(Reason::LineBlocked)),
                (false, true) => None,
                (false, false) => Some(Event::CheckFailed(Reason::Relay)),
            }
        }
        (RelayAnswer::Dispense(answer), _) => Some(Event::RelayAnswered(*answer)),
        (RelayAnswer::Close(answer), _) => Some(Event::TicketClosed(*answer)),
        (RelayAnswer::Proof(_), _) => None,
        (RelayAnswer::Refused(error, _), Some(RelayCall::Dispense(_))) => Some(Event::RelayRefused(match error {
            RelayError::Busy => RelayRefusal::Busy,
            RelayError::UnknownTicket => RelayRefusal::UnknownTicket,
            RelayError::InvalidReceipt
            | RelayError::CommandRefused
            | RelayError::WrongDevice
            | RelayError::UnknownItem
            | RelayError::Amount
            | RelayError::Blocked
            | RelayError::Hardware
            | RelayError::Ledger => RelayRefusal::Other,
        })),
        (RelayAnswer::Refused(RelayError::UnknownTicket, _), Some(RelayCall::Close(_))) => Some(Event::TicketUnknown),
        (RelayAnswer::Refused(_, _), Some(RelayCall::Check(_))) => Some(Event::CheckFailed(Reason::Relay)),
        (RelayAnswer::Refused(_, _), Some(RelayCall::Query(_) | RelayCall::Close(_) | RelayCall::Prove(_)) | None) => None,
        (RelayAnswer::NoAnswer(_), Some(RelayCall::Dispense(_))) => Some(Event::RelayUnanswered),
        (RelayAnswer::NoAnswer(_), Some(RelayCall::Check(_) | RelayCall::Query(_) | RelayCall::Close(_) | RelayCall::Prove(_)) | None) => {
            None
        }
    }
}
