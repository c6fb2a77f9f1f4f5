//! An order in memory, with its calls to relay and backend: at most one to each. They begin with the order's duty, and are
//! paced here.

use super::outbox::Outbox;
use super::slot::Slot;
use crate::store::Stored;
use crate::words::{BackendAnswer, CallId, Effect, HttpCall, RelayAnswer};
use qris_core::order::machine::{self as core, AwaitingPayment, BackendCall, Context, Duty, Event, Order, RelayCall, RelayRefusal, State};
use qris_core::order::outcome::{CloseAnswer, DispenseAnswer};
use qris_core::order::reason::Reason;
use qris_core::order::request::Purchase;
use qris_core::order::time::{Boot, Span};
use qris_core::wire::dbus::RelayError;
use qris_core::wire::orders::{NewOrder, OutcomeReport};
use qris_host::events::Event as Journal;

/// While the line is driven, its outcome is asked for this often. Its signal mostly comes first.
const DRIVEN_RETRY: Span = Span::millis(500);
/// A long poll without news is repeated after this time at the earliest.
const WATCH_RETRY: Span = Span::secs(1);
/// An order that waits for its customer is looked at this often.
pub(super) const CHECK_EVERY: Span = Span::secs(900);
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
    pub(super) check: bool,
}

impl Room {
    pub(super) const ALL: Self = Self { relay: true, backend: true, check: true };

    /// The room for this duty. Many orders that only look do not delay an order that has something to say.
    fn for_backend(self, duty: Option<&BackendCall>) -> Self {
        let look = matches!(duty, Some(BackendCall::Check(_)));
        Self { backend: self.backend && (self.check || !look), ..self }
    }
}

#[derive(Debug)]
pub(super) struct Live {
    pub(super) stored: Stored,
    /// A call keeps the relay's owner.
    pub(super) relay: Slot<RelayCall, u64>,
    /// A call keeps when it began.
    pub(super) backend: Slot<HttpCall, Boot>,
    /// The newest version that the backend told.
    rev: u64,
    /// The backend says that nobody confirms whether it is paid. This is its last word on it, whatever is asked since.
    pub(super) unconfirmed: bool,
    hint: Hint,
    /// `None`: it does not wait for news.
    look: Option<Look>,
    /// The time since which the backend says that its books do not have the order; `None`: they have it, as far as is known.
    absent_since: Option<Boot>,
    proof: Proof,
    /// A `Dispense` was not answered, and that could not be stored yet. This call may have driven the line, whatever the
    /// answer to the next call is. Any call may be under way meanwhile.
    unanswered: bool,
}

/// Somebody says that the order changed at the backend, or may say so again.
#[derive(Clone, Copy, Debug)]
enum Hint {
    /// None waits. The next one is followed from then on.
    Quiet(Boot),
    /// One waits to be followed then.
    Waits(Boot),
}

#[derive(Clone, Copy, Debug)]
struct Look {
    at: Boot,
    /// The time between the last one and that; 0 before the first.
    pace: Span,
}

/// The relay's signed word for the report.
#[derive(Debug)]
enum Proof {
    Unknown,
    Missing,
    Signed(Box<str>),
}

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

impl Hint {
    const fn at(self) -> Boot {
        match self {
            Self::Quiet(at) | Self::Waits(at) => at,
        }
    }

    const fn due(self) -> Option<Boot> {
        match self {
            Self::Quiet(_) => None,
            Self::Waits(at) => Some(at),
        }
    }

    const fn from(self, at: Boot) -> Self {
        match self {
            Self::Quiet(_) => Self::Quiet(at),
            Self::Waits(_) => Self::Waits(at),
        }
    }
}

impl Live {
    pub(super) fn new(stored: Stored) -> Self {
        Self {
            stored,
            relay: Slot::default(),
            backend: Slot::default(),
            rev: 0,
            unconfirmed: false,
            hint: Hint::Quiet(Boot(i64::MIN)),
            look: None,
            absent_since: None,
            proof: Proof::Unknown,
            unanswered: false,
        }
    }

    /// The time at which something happens to the order, or its next call may begin. `room` is for orders in the background.
    pub(super) fn deadline(&self, room: Room, now: Boot, with: &Context) -> Option<Boot> {
        let order = &self.stored.order;
        let duty = self.duty(now, with);
        let room = if order.holds_machine() { Room::ALL } else { room }.for_backend(duty.backend.as_ref());
        let relay = self.relay.free_at().filter(|_| duty.relay.is_some() && with.relay_owner.is_some() && room.relay);
        let hint = self.hint.due();
        let backend = match duty.backend {
            // The list of open orders answers this.
            Some(BackendCall::Find) => None,
            Some(BackendCall::Await(_) | BackendCall::Check(_)) => self.look.map(|look| look.at).into_iter().chain(hint).min(),
            Some(BackendCall::Create | BackendCall::Watch(_) | BackendCall::Confirm(_)) => Some(Boot(i64::MIN)),
            Some(BackendCall::Cancel(_) | BackendCall::TryAgain(..) | BackendCall::Tell(..)) => Some(Boot(i64::MIN)),
            None => hint.filter(|_| order.order_id().is_some() && !order.name().0.is_end()),
        };
        let backend = backend.zip(self.backend.free_at().filter(|_| room.backend)).map(|(at, free_at)| at.max(free_at));
        let unproven = (matches!(duty.relay, Some(RelayCall::Prove(_))) && with.relay_owner.is_none()).then(|| unproven_from(with));
        let deadline = core::next_deadline(order, now, with);
        [deadline, relay, backend, unproven].into_iter().flatten().min()
    }

    /// What it asks for now. A report waits for the relay's proof. It goes without one if there is none.
    fn duty(&self, now: Boot, with: &Context) -> Duty {
        let duty = core::duty(&self.stored.order, now, with);
        if !matches!(duty.relay, Some(RelayCall::Prove(_))) {
            return duty;
        }
        let gone = with.relay_owner.is_none() && now >= unproven_from(with);
        if gone || !matches!(self.proof, Proof::Unknown) { Duty { relay: None, ..duty } } else { Duty { backend: None, ..duty } }
    }

    pub(super) fn begin_calls(&mut self, room: Room, now: Boot, with: &Context, out: &mut Outbox) {
        let duty = self.duty(now, with);
        let room = room.for_backend(duty.backend.as_ref());
        let pace = self.next_pace(duty.backend.as_ref(), now);
        if let Some(pace) = pace {
            // The open orders were asked for when the program started. From then on news comes by itself, or is asked for. An order is
            // not open any more when it has ended: nobody brings the news of that one.
            let at = if self.stored.order.waits_for_customer() { now + pace } else { now };
            self.look.get_or_insert(Look { at, pace: Span::ZERO });
        }
        let backend = self.http_call(duty.backend, now);
        let request = &self.stored.order.offer.request.request_id;
        // A `Dispense` under way is awaited: its answer, or the lack of one, is a fact that must be known.
        let dispensing = matches!(self.relay.call(), Some(RelayCall::Dispense(_)));
        if !dispensing && self.relay.call() != duty.relay.as_ref() {
            // A call that is no longer wanted runs to its end. A final answer to it still counts.
            self.relay.give_up();
            if let (Some(call), Some(owner), true) = (duty.relay, with.relay_owner, room.relay && self.relay.is_free(now)) {
                let id = self.relay.begin(call.clone(), owner, out);
                out.push(Effect::Relay(id, request.clone(), call));
            }
        }
        let same = match (self.backend.call(), &backend) {
            (Some(HttpCall::Watch(running, _)), Some(HttpCall::Watch(wanted, _))) => running == wanted,
            (running, wanted) => running == wanted.as_ref(),
        };
        if !same {
            if let Some(running) = self.backend.give_up() {
                out.push(Effect::Abandon(running));
                self.backend.done();
            }
            if let Some(call) = backend.filter(|_| room.backend && self.backend.is_free(now)) {
                self.hint = Hint::Quiet(self.hint.at());
                if let Some(look) = &mut self.look {
                    look.pace = pace.unwrap_or_default();
                }
                let id = self.backend.begin(call.clone(), now, out);
                out.push(Effect::Backend(id, request.clone(), call));
            }
        }
    }

    /// The time from the next question about an order that waits for news to the one after it; `None`: it does not wait for news.
    fn next_pace(&self, duty: Option<&BackendCall>, now: Boot) -> Option<Span> {
        match duty? {
            BackendCall::Await(_) if self.stored.order.grace_ends_at().is_some_and(|end| now < end) => Some(AWAIT_EVERY),
            BackendCall::Check(_) if self.stored.order.waits_for_customer() => Some(CHECK_EVERY),
            BackendCall::Await(_) | BackendCall::Check(_) => Some(Span((self.pace().0 * 2).clamp(LASTING_FIRST.0, LASTING_MAX.0))),
            BackendCall::Create | BackendCall::Find | BackendCall::Watch(_) => None,
            BackendCall::Confirm(_) | BackendCall::Cancel(_) | BackendCall::TryAgain(..) | BackendCall::Tell(..) => None,
        }
    }

    fn pace(&self) -> Span {
        self.look.map_or(Span::ZERO, |look| look.pace)
    }

    fn http_call(&self, duty: Option<BackendCall>, now: Boot) -> Option<HttpCall> {
        let order = &self.stored.order;
        // A hint is being followed, or must be followed now.
        let follows_hint = matches!(self.backend.call(), Some(HttpCall::Get(_))) || self.hint.due().is_some_and(|at| now >= at);
        match duty {
            Some(BackendCall::Create) => Some(HttpCall::Create(Box::new(new_order(order)))),
            // The list of open orders answers this, for all orders that look.
            Some(BackendCall::Find) => None,
            Some(BackendCall::Watch(id)) => Some(HttpCall::Watch(id, self.rev)),
            Some(BackendCall::Confirm(id)) => Some(HttpCall::Get(id)),
            Some(BackendCall::Await(id) | BackendCall::Check(id)) => {
                let due = self.look.is_some_and(|look| now >= look.at);
                (due || follows_hint).then_some(HttpCall::Get(id))
            }
            Some(BackendCall::Cancel(id)) => Some(HttpCall::Cancel(id)),
            Some(BackendCall::TryAgain(id, promise)) => Some(HttpCall::TryAgain(id, promise)),
            Some(BackendCall::Tell(id, outcome, reason)) => {
                let proof = match &self.proof {
                    Proof::Signed(word) => Some(word.clone()),
                    Proof::Unknown | Proof::Missing => None,
                };
                Some(HttpCall::Tell(id, OutcomeReport { nth_try: order.number_of_try(), outcome, reason, detail: None, proof }))
            }
            None => order.order_id().filter(|_| follows_hint && !order.name().0.is_end()).cloned().map(HttpCall::Get),
        }
    }

    pub(super) fn hint(&mut self) {
        let matters = !self.stored.order.name().0.is_end() || self.stored.order.waits_for_news();
        self.hint = if matters { Hint::Waits(self.hint.at()) } else { Hint::Quiet(self.hint.at()) };
    }

    pub(super) fn saw(&mut self, rev: u64) {
        self.rev = self.rev.max(rev);
    }

    /// The order is over, or forgotten.
    pub(super) fn abandon(self, out: &mut Outbox) {
        if let Some((running, _)) = self.backend.running() {
            out.push(Effect::Abandon(*running));
        }
    }

    /// The relay answered. `None`: that is no news of the order. `owner`: the relay's last one.
    pub(super) fn relay_ended(&mut self, id: CallId, answer: &RelayAnswer, owner: u64, now: Boot) -> Option<RelayEnd> {
        let call = self.relay.end(id);
        if let Some((RelayCall::Prove(_), _)) = &call {
            let is_enough = self.relay.failures() >= PROOF_TRIES;
            self.proof = match answer {
                RelayAnswer::Proof(Some(word)) => Proof::Signed(word.clone()),
                // The relay has none, or another ledger.
                RelayAnswer::Proof(None) | RelayAnswer::Refused(RelayError::UnknownTicket, _) => Proof::Missing,
                RelayAnswer::Refused(..) | RelayAnswer::NoAnswer(_) if is_enough => Proof::Missing,
                // The ledger, or the relay itself, may be well again in a moment. But the customer who paid must hear of it.
                RelayAnswer::Refused(..) | RelayAnswer::NoAnswer(_) => Proof::Unknown,
                RelayAnswer::Checked(_) | RelayAnswer::Dispense(_) | RelayAnswer::Close(_) => Proof::Unknown,
            };
            match self.proof {
                Proof::Signed(_) | Proof::Missing => self.relay.done(),
                Proof::Unknown => self.relay.again(Span::ZERO, now),
            }
            return None;
        }
        // An answer to a call that was given up is news only if it is final.
        if call.is_none() && !matches!(answer, RelayAnswer::Dispense(DispenseAnswer::Ended(_))) {
            return None;
        }
        let before = self.stored.order.clone();
        let news = relay_event(answer, call.as_ref(), owner, &before);
        let is_silence = matches!(news, Some(Event::RelayUnanswered));
        let earlier = news.as_ref().and_then(|_| self.unanswered.then_some(Event::RelayUnanswered));
        Some(RelayEnd { call: call.map(|(call, _)| call), events: earlier.into_iter().chain(news).collect(), is_silence, before })
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
        let (call, began_at) = self.backend.end(id)?;
        if matches!(call, HttpCall::Get(_)) {
            let pace = self.pace();
            self.hint = self.hint.from(now + HINT_EVERY);
            self.look = self.stored.order.waits_for_news().then_some(Look { at: now + pace, pace });
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
        let was_last = matches!(call, HttpCall::Get(_)) && grace_ends_at.is_some_and(|end| began_at >= end);
        let loss = if unwanted || absent && is_news { self.loss(unwanted) } else { None };
        Some(BackendEnd { call, forsaken, was_last, loss, before: (self.stored.rev, self.rev) })
    }

    /// Takes the version that was committed. An order that waited for its customer and has ended is asked about at once.
    pub(super) fn take(&mut self, stored: Stored) {
        if self.stored.order.waits_for_customer() && !stored.order.waits_for_customer() {
            self.look = None;
        }
        self.stored = stored;
    }

    /// The books do not have this order. `unwanted`: nobody will ever take its outcome.
    fn loss(&self, unwanted: bool) -> Option<Journal> {
        let offer = &self.stored.order.offer;
        let (request, order) = (offer.request.request_id.clone(), self.stored.order.order_id()?.clone());
        let (item, amount, state) = (offer.item.clone(), offer.amount, self.stored.order.name().0.to_string().into());
        Some(if unwanted {
            Journal::OutcomeUnwanted { request, order, item, amount, state }
        } else {
            Journal::OrderLost { request, order, item, amount, state }
        })
    }

    /// Whether its customer may have paid, and can still be there.
    fn may_be_paid(&self, now: Boot) -> bool {
        self.stored.order.holds_machine() || self.stored.order.late_until().is_some_and(|end| now < end)
    }

    /// The backend asks to be called later. Nobody has paid for what has no charge yet.
    pub(super) fn asked_to_wait(&mut self, call: &HttpCall, after: Span, now: Boot) {
        if self.may_be_paid(now) && !matches!(call, HttpCall::Create(_)) {
            self.backend.again_if_paid(after, now);
        } else {
            self.backend.again(after, now);
        }
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
                self.hint = Hint::Waits(self.hint.at());
                if self.may_be_paid(now) {
                    self.backend.again_if_paid(Span::ZERO, now);
                } else {
                    self.backend.again_in_background(Span::ZERO, now);
                }
            }
            HttpCall::Create(_)
            | HttpCall::Watch(..)
            | HttpCall::Get(_)
            | HttpCall::Cancel(_)
            | HttpCall::TryAgain(..)
            | HttpCall::Tell(..) => {
                if self.may_be_paid(now) {
                    self.backend.again_if_paid(Span::ZERO, now);
                } else {
                    self.backend.again_in_background(Span::ZERO, now);
                }
            }
        }
    }
}

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

fn new_order(order: &Order) -> NewOrder {
    let request = &order.offer.request;
    let purchase = Purchase {
        request_id: request.request_id.clone(),
        ticket: order.ticket.clone(),
        item: order.offer.item.clone(),
        asked: order.offer.asked().cloned(),
        description: Some(order.posted.description.clone()),
        machine: order.posted.machine.clone(),
        amount: order.offer.amount,
        payment: request.payment,
        timeout_s: u16::try_from(order.offer.timeout.as_secs_up()).unwrap_or(u16::MAX),
    };
    NewOrder { purchase, kids: order.posted.kids.clone(), relay_key: order.posted.relay_key.clone() }
}

fn relay_event(answer: &RelayAnswer, call: Option<&(RelayCall, u64)>, owner: u64, order: &Order) -> Option<Event> {
    let asked = call.map(|(_, asked)| *asked);
    match (answer, call.map(|(call, _)| call)) {
        // Another relay than now said so.
        (RelayAnswer::Checked(_), _) if asked != Some(owner) => None,
        (RelayAnswer::Checked(Ok(())), _) => Some(Event::CheckPassed(owner)),
        // It is free in a moment. Time ends the wait.
        (RelayAnswer::Checked(Err(Reason::Busy)), _) => None,
        (RelayAnswer::Checked(Err(reason)), _) => {
            // A QR that is not shown yet waits for a relay that may still be starting, but not for a person. Time ends this wait, too.
            let waits = matches!(order.state, State::AwaitingPayment(AwaitingPayment { checked: 0, .. })) && *reason != Reason::LineBlocked;
            (!waits).then_some(Event::CheckFailed(*reason))
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
            | RelayError::NoTry
            | RelayError::Amount
            | RelayError::Blocked
            | RelayError::Hardware
            | RelayError::Ledger => RelayRefusal::Other,
        })),
        (RelayAnswer::Refused(RelayError::UnknownTicket, _), Some(RelayCall::Close(_))) => Some(Event::TicketUnknown),
        (RelayAnswer::Refused(_, _), Some(RelayCall::Check(_))) => Some(Event::CheckFailed(Reason::Relay)),
        (RelayAnswer::Refused(_, _), Some(RelayCall::Query(..) | RelayCall::Close(_) | RelayCall::Prove(_)) | None) => None,
        (RelayAnswer::NoAnswer(_), Some(RelayCall::Dispense(_))) => Some(Event::RelayUnanswered),
        (RelayAnswer::NoAnswer(_), Some(RelayCall::Check(_) | RelayCall::Query(..) | RelayCall::Close(_) | RelayCall::Prove(_)) | None) => {
            None
        }
    }
}
