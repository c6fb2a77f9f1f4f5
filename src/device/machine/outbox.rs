//! Everything that leaves the machine: the effects of this input, and the events that wait for the broker. Those go one at
//! a time, in order, until the broker has them.

use crate::store::Stored;
use crate::words::{Asker, CallId, Effect, NEWS, Notice, Reply, Settings, id_of, text};
use qris_core::order::ids::{ItemId, PaymentCode, RequestId};
use qris_core::order::machine::Order;
use qris_core::order::reason::Reason;
use qris_core::order::request::{Offer, Refusal};
use qris_core::order::time::{Boot, Now, Span};
use qris_core::wire::settings::Reported;
use qris_core::wire::status::Status;
use qris_core::wire::vend::{EventState, VendEvent};
use qris_host::events::Event as Journal;
use qris_host::mqtt::PublishId;
use std::collections::VecDeque;

/// An event that the broker has is forgotten with the next commit, or by itself after this time. So a delivery costs no
/// write of its own.
const FORGET_AFTER: Span = Span::secs(5);
/// The most events that are forgotten at once.
const FORGET_BATCH: usize = 64;
/// An event that the broker refuses is published again after this time.
const REFUSED_RETRY: Span = Span::secs(30);
/// A message that found no room, or no connection, is published again after this time, unless another connection comes first.
const LOST_RETRY: Span = Span::secs(1);
/// The most refusals in a second whose request_id could not be read.
const ANONYMOUS_REFUSALS: usize = 5;
/// The most refusals in a second with a request_id, all together. Each id gets one in a second.
const NAMED_REFUSALS: usize = 20;
const SECOND: Span = Span::secs(1);

#[derive(Debug, Default)]
pub(super) struct Outbox {
    effects: Vec<Effect>,
    last_call: u64,
    broker: Broker,
    queue: Queue,
    /// The last status that the broker was given.
    status: Option<Status>,
    /// The last word about settings that the broker was given.
    reported: Option<Reported>,
    /// The number of the last report of the stock that the broker was given.
    stock: Option<u64>,
    refusals: Refusals,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Broker {
    #[default]
    Unknown,
    Connected,
    /// It was there and is gone, or could not be reached.
    Lost,
}

/// The way of the stored events to the broker. The events themselves are in the database.
#[derive(Debug, Default)]
struct Queue {
    in_flight: Option<u64>,
    /// Everything up to this one has been delivered in this connection or before.
    delivered: u64,
    sent: Vec<u64>,
    forget_at: Option<Boot>,
    retry_at: Option<Boot>,
    /// The status was lost on its way. It is not published again before this time.
    status_at: Option<Boot>,
}

#[derive(Debug, Default)]
struct Refusals {
    anonymous: VecDeque<Boot>,
    named: VecDeque<(Boot, RequestId)>,
    told: u64,
}

/// The thing that is refused, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct RefusedVend<'a> {
    pub(super) request: Option<RequestId>,
    pub(super) item: Option<ItemId>,
    /// The event repeats the code, so the customer who typed it in knows that the answer is theirs.
    pub(super) code: Option<&'a PaymentCode>,
}

impl RefusedVend<'_> {
    pub(super) fn request(request: &RequestId) -> Self {
        Self { request: Some(request.clone()), item: None, code: None }
    }
}

impl Outbox {
    /// Effects are collected while an input is handled.
    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn take(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub(super) fn journal(&mut self, event: Journal) {
        self.push(Effect::Journal(event));
    }

    pub(super) fn reply(&mut self, to: impl IntoIterator<Item = Asker>, reply: Reply) {
        self.effects.extend(to.into_iter().map(|asker| Effect::Reply(asker, reply)));
    }

    pub(super) fn next_call(&mut self) -> CallId {
        self.last_call += 1;
        CallId(self.last_call)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.broker == Broker::Connected
    }

    pub(super) fn is_lost(&self) -> bool {
        self.broker == Broker::Lost
    }

    /// There is a new connection. Nobody knows what became of a message in flight.
    pub(super) fn connected(&mut self) {
        self.broker = Broker::Connected;
        self.repeat_all();
        self.queue = Queue { in_flight: None, retry_at: None, status_at: None, ..std::mem::take(&mut self.queue) };
    }

    /// The connection is gone. `true`: that is news.
    pub(super) fn disconnected(&mut self) -> bool {
        std::mem::replace(&mut self.broker, Broker::Lost) != Broker::Lost
    }

    /// The database was opened, and its events go out from the first.
    pub(super) fn begin_anew(&mut self) {
        self.queue = Queue::default();
    }

    /// Publishes a message that is not in the queue, if somebody is there to hear it.
    fn publish(&mut self, notice: Notice, payload: impl FnOnce() -> Vec<u8>) {
        let number = self.next_call().0;
        self.publish_as(notice, number, payload);
    }

    /// The same with the number that the message has itself.
    fn publish_as(&mut self, notice: Notice, number: u64, payload: impl FnOnce() -> Vec<u8>) {
        if self.is_connected() {
            self.push(Effect::Publish { id: id_of(notice, number), notice, payload: payload() });
        }
    }

    /// Tells the same news again, with the same `event_id` and the same `seq`.
    pub(super) fn repeat(&mut self, stored: &Stored) {
        if !stored.last_event.is_empty() {
            self.publish(Notice::Event, || stored.last_event.as_bytes().to_vec());
        }
    }

    pub(super) fn tell_status(&mut self, status: Status, at: Option<Box<str>>, now: Boot) {
        if !self.is_connected() || self.queue.status_at.is_some() || self.status.as_ref() == Some(&status) {
            return;
        }
        self.status = Some(status.clone());
        let number = u64::try_from(now.0).unwrap_or(0);
        let told = Status { at, number: Some(number), ..status };
        self.publish_as(Notice::Status, number, || serde_json::to_vec(&told).expect("a status is plain data"));
    }

    pub(super) fn tell_settings(&mut self, reported: Reported) {
        if !self.is_connected() || self.queue.status_at.is_some() || self.reported.as_ref() == Some(&reported) {
            return;
        }
        self.publish(Notice::Settings, || serde_json::to_vec(&reported).expect("a report is plain data"));
        self.reported = Some(reported);
    }

    pub(super) fn tell_stock(&mut self, number: u64, payload: impl FnOnce() -> Vec<u8>) {
        if !self.is_connected() || self.queue.status_at.is_some() || self.stock == Some(number) {
            return;
        }
        self.publish_as(Notice::Stock, number, payload);
        self.stock = Some(number);
    }

    /// From now on the broker has no last word of anything.
    pub(super) fn repeat_all(&mut self) {
        (self.status, self.reported, self.stock) = (None, None, None);
    }

    /// From now on the broker does not have the last word about settings.
    pub(super) fn repeat_settings(&mut self) {
        self.reported = None;
    }

    /// Tells a refusal. It is never stored, and it is limited: anybody can make a machine refuse.
    pub(super) fn refuse(&mut self, of: RefusedVend, refusal: &Refusal, stream: &str, settings: &Settings, now: Now) {
        if !self.refusals.may_tell(of.request.as_ref(), now.boot) {
            return;
        }
        self.journal(Journal::OrderRefused {
            request: of.request.clone(),
            item: of.item.clone(),
            state: EventState::Refused.as_str().into(),
            reason: refusal.reason.to_string().into(),
            detail: text(&refusal.detail),
        });
        let boot: String = settings.boot_id.0.chars().take(8).collect();
        let event = VendEvent {
            event_id: format!("{stream}.{boot}.{}.{}", now.boot.0, self.refusals.told).into(),
            stream: stream.into(),
            seq: None,
            request_id: of.request,
            order_id: None,
            state: EventState::Refused,
            number_of_try: None,
            reason: Some(refusal.reason),
            item: of.item,
            asked: None,
            amount: None,
            gross_amount: None,
            payment_code: of.code.map(|code| code.as_str().into()),
            store: None,
            pay_url: None,
            field: refusal.field.clone(),
            detail: Some(refusal.detail.clone()),
            at: settings.time_of_day(now.wall),
        };
        self.publish(Notice::Event, || serde_json::to_vec(&event).expect("an event is plain data"));
        self.push(Effect::OrderChanged(event));
    }

    /// Tells everybody except the broker, whose copies are in the queue.
    pub(super) fn announce(&mut self, order: &Order, events: Vec<VendEvent>) {
        let Offer { request, amount, .. } = &order.offer;
        let item = order.next_item();
        for event in events {
            self.journal(Journal::OrderMoved {
                request: request.request_id.clone(),
                order: event.order_id.clone(),
                item: item.clone(),
                amount: *amount,
                state: event.state.to_string().into(),
                reason: event.reason.map(|reason| reason.to_string().into()),
            });
            if event.state == EventState::RefundDue
                && let Some(order) = event.order_id.clone()
            {
                let why = event.reason.as_ref().map_or_else(String::new, Reason::to_string).into();
                let (request, item) = (Some(request.request_id.clone()), item.clone());
                let (goods, amount) = (text(item.as_str()), *amount);
                self.journal(if event.reason == Some(Reason::Uncertain) {
                    Journal::OutcomeUncertain { request, order, device: None, item, goods, amount, detail: why }
                } else {
                    Journal::RefundDue { request, order, device: None, item, goods, amount, why }
                });
            }
            self.push(Effect::OrderChanged(event));
        }
    }

    /// The broker has taken a message.
    pub(super) fn delivered(&mut self, id: PublishId, now: Boot) {
        let queue = &mut self.queue;
        if queue.in_flight.take_if(|seq| *seq == id.0).is_none() {
            return;
        }
        queue.delivered = id.0;
        queue.sent.push(id.0);
        if queue.sent.len() >= FORGET_BATCH {
            queue.forget_at = Some(now);
        } else {
            queue.forget_at.get_or_insert(now + FORGET_AFTER);
        }
    }

    /// The broker has not taken a message. `refused`: it would not take it again.
    pub(super) fn undelivered(&mut self, id: PublishId, refused: bool, now: Boot) {
        let queue = &mut self.queue;
        if id.0 & NEWS != 0 {
            // A message that is not in the queue is told again by the next status, or not at all.
            if !refused {
                (self.status, self.reported, self.stock) = (None, None, None);
                queue.status_at.get_or_insert(now + LOST_RETRY);
            }
            return;
        }
        queue.in_flight.take_if(|seq| *seq == id.0);
        if refused {
            queue.retry_at = Some(now + REFUSED_RETRY);
        } else {
            queue.retry_at.get_or_insert(now + LOST_RETRY);
        }
    }

    /// The events that the broker has, for the next write.
    pub(super) fn take_sent(&mut self) -> Vec<u64> {
        self.queue.forget_at = None;
        std::mem::take(&mut self.queue.sent)
    }

    /// The same, if it is time for a write of their own.
    pub(super) fn take_overdue(&mut self, now: Boot) -> Option<Vec<u64>> {
        let is_time = self.queue.forget_at.is_some_and(|at| now >= at);
        is_time.then(|| self.take_sent())
    }

    /// That write failed.
    pub(super) fn put_back(&mut self, sent: Vec<u64>, now: Boot) {
        if !sent.is_empty() {
            self.queue.sent.extend(sent);
            self.queue.forget_at = Some(now + FORGET_AFTER);
        }
    }

    /// The last event that the broker has, if the next one may be published now.
    pub(super) fn next_after(&mut self, now: Boot) -> Option<u64> {
        let queue = &mut self.queue;
        queue.retry_at.take_if(|at| now >= *at);
        queue.status_at.take_if(|at| now >= *at);
        let is_free = queue.in_flight.is_none() && queue.retry_at.is_none();
        let delivered = queue.delivered;
        (self.is_connected() && is_free).then_some(delivered)
    }

    pub(super) fn publish_event(&mut self, seq: u64, payload: String) {
        self.queue.in_flight = Some(seq);
        self.push(Effect::Publish { id: PublishId(seq), notice: Notice::Event, payload: payload.into_bytes() });
    }

    pub(super) fn deadline(&self) -> Option<Boot> {
        [self.queue.retry_at, self.queue.status_at].into_iter().flatten().min()
    }

    pub(super) fn next_forgetting(&self) -> Option<Boot> {
        self.queue.forget_at
    }
}

impl Refusals {
    fn may_tell(&mut self, request: Option<&RequestId>, now: Boot) -> bool {
        self.anonymous.retain(|at| now < *at + SECOND);
        self.named.retain(|(at, _)| now < *at + SECOND);
        let may = match request {
            None => self.anonymous.len() < ANONYMOUS_REFUSALS,
            Some(id) => self.named.len() < NAMED_REFUSALS && self.named.iter().all(|(_, known)| known != id),
        };
        if may {
            self.told += 1;
            match request {
                None => self.anonymous.push_back(now),
                Some(id) => self.named.push_back((now, id.clone())),
            }
        }
        may
    }
}
