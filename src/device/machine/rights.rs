//! What the broker's access list refuses this machine. A refused write is answered with its reason. A topic with a retained message is
//! written at each connect. Of the two others a probe asks. A refused subscription is mostly silent, so what comes is compared with what
//! the backend says: here payments, and at the backend the machine's own messages.

use super::faults::Faults;
use super::outbox::Outbox;
use crate::words::{Effect, Notice, id_of, notice_of, number_of, text};
use qris_core::order::ids::OrderId;
use qris_core::order::time::{Boot, Now, Span};
use qris_core::wire::status::FaultCode;
use qris_core::wire::topics::{PROBE, Topic, TopicsTold};
use qris_host::events::Event as Journal;
use qris_host::mqtt::PublishId;
use std::collections::BTreeMap;

/// What is refused is tried again after this time: the access list may be mended while the connection lasts.
const TRY_AGAIN: Span = Span::secs(30);
/// The backend is told this long after the broker took a message. So one question tells of many.
const TELL_WITHIN: Span = Span::secs(20);
/// A `payment/update` comes this long after the answer over HTTP, at the latest.
const UPDATE_WITHIN: Span = Span::secs(20);
/// The gateway's clock may be this wrong.
const CLOCKS_APART: Span = Span::secs(5);

#[derive(Debug, Default)]
pub(super) struct Rights {
    connected_at: Option<Boot>,
    /// The subscriptions that the broker refused at the last connect, and why.
    reads: Vec<(String, Box<str>)>,
    /// The topics on which it took nothing when that was tried last, and why.
    writes: BTreeMap<Notice, Box<str>>,
    try_at: Option<Boot>,
    /// The numbers of the last messages that it took.
    last: BTreeMap<Topic, u64>,
    tell_at: Option<Boot>,
    /// The order that was paid as the backend said over HTTP, and since when its `payment/update` is awaited.
    awaited: Option<(OrderId, Boot)>,
    /// Of which order no `payment/update` came, in words.
    unheard: Option<Box<str>>,
}

impl Rights {
    /// There is a new connection, on which these subscriptions are refused.
    pub(super) fn connected(&mut self, refused: &[(String, Box<str>)], broker: &str, out: &mut Outbox, now: Boot) {
        self.disconnected();
        self.connected_at = Some(now);
        for (filter, why) in refused.iter().filter(|refused| !self.reads.contains(refused)) {
            out.journal(Journal::TopicRefused { broker: text(broker), topic: text(filter), why: text(why) });
        }
        self.reads = refused.to_vec();
        [Notice::Event, Notice::Answer].into_iter().for_each(|notice| probe(notice, out));
    }

    /// What was on its way may be lost.
    pub(super) fn disconnected(&mut self) {
        (self.connected_at, self.awaited) = (None, None);
        self.update_came();
    }

    /// The broker refuses a message.
    pub(super) fn refused(&mut self, id: PublishId, why: &str, broker: &str, out: &mut Outbox, now: Boot) {
        let notice = notice_of(id);
        if self.writes.insert(notice, why.into()).is_none() {
            out.journal(Journal::TopicRefused { broker: text(broker), topic: text(notice.topic().tail()), why: text(why) });
            self.tell_at = Some(now);
        }
        self.try_at.get_or_insert(now + TRY_AGAIN);
    }

    /// The broker has taken a message. `true`: it was only a probe, which nobody reads.
    pub(super) fn written(&mut self, id: PublishId, out: &mut Outbox, now: Boot) -> bool {
        let (notice, number) = (notice_of(id), number_of(id));
        if self.writes.remove(&notice).is_some() {
            out.repeat_all();
            self.tell_at = Some(now);
        }
        match notice {
            Notice::Status | Notice::Telemetry | Notice::Stock if number > 0 => {
                self.last.insert(notice.topic(), number);
                self.tell_at.get_or_insert(now + TELL_WITHIN);
            }
            Notice::Status | Notice::Telemetry | Notice::Stock | Notice::Event | Notice::Settings | Notice::Answer => {}
        }
        number == 0
    }

    /// The backend's answer over HTTP was the first word of a payment. `settled_ago`: in seconds.
    pub(super) fn paid(&mut self, order: OrderId, settled_ago: Option<u64>, now: Boot) {
        let ago = settled_ago.and_then(|ago| i64::try_from(ago).ok()).map(Span::secs);
        // Of a payment before this connection the message may have gone to nobody.
        let (Some(connected_at), Some(ago)) = (self.connected_at, ago) else { return };
        if now > connected_at + ago + CLOCKS_APART {
            // The first one: on a busy machine the next payment comes before its time is over.
            self.awaited.get_or_insert((order, now));
            self.tell_at.get_or_insert(now + TELL_WITHIN);
        }
    }

    pub(super) fn update_came(&mut self) {
        (self.awaited, self.unheard) = (None, None);
    }

    /// The backend has answered the question for open orders. `at_broker`: it says that it sends `payment/update`.
    pub(super) fn backend_sends(&mut self, at_broker: bool, broker: &str, out: &mut Outbox, now: Boot) {
        if let Some((order, _)) = self.awaited.take_if(|(_, since)| now >= *since + UPDATE_WITHIN).filter(|_| at_broker) {
            let why = format!("order {order} was paid, and no message told it");
            if self.unheard.is_none() {
                out.journal(Journal::TopicRefused { broker: text(broker), topic: text(Topic::PaymentUpdate.tail()), why: text(&why) });
            }
            self.unheard = Some(why.into());
            self.tell_at = Some(now);
        }
        if let Some((_, since)) = &self.awaited {
            self.tell_at.get_or_insert(*since + UPDATE_WITHIN);
        }
    }

    /// What the backend is told with the question for open orders.
    pub(super) fn told(&self) -> TopicsTold {
        let writes = self.writes.keys().map(|notice| notice.topic());
        let reads = self.reads.iter().filter_map(|(filter, _)| Some(Topic::parse(filter)?.1));
        let unheard = self.unheard.iter().map(|_| Topic::PaymentUpdate);
        TopicsTold { last: self.last.clone(), refused: writes.chain(reads).chain(unheard).collect() }
    }

    /// Tries again what is refused, when it is time, and sets the fault. `true`: the backend should be told now.
    pub(super) fn watch(&mut self, faults: &mut Faults, out: &mut Outbox, now: Now) -> bool {
        if self.try_at.take_if(|at| now.boot >= *at).is_some() && out.is_connected() && !self.writes.is_empty() {
            self.try_at = Some(now.boot + TRY_AGAIN);
            self.writes.keys().for_each(|notice| probe(*notice, out));
        }
        let reads = self.reads.iter().map(|(filter, why)| format!("{filter} ({why})"));
        let writes = self.writes.iter().map(|(notice, why)| format!("{} ({why})", notice.topic().tail()));
        let unheard = self.unheard.iter().map(|why| format!("{} ({why})", Topic::PaymentUpdate.tail()));
        let refused: Vec<_> = reads.chain(writes).chain(unheard).collect();
        let detail = (!refused.is_empty()).then(|| format!("the broker refuses {}", refused.join(", ")));
        faults.set(FaultCode::Config, detail.as_deref(), now);
        self.tell_at.take_if(|at| now.boot >= *at).is_some()
    }

    /// The backend is not told of what the broker took until now.
    #[cfg(test)]
    pub(super) fn untold(&mut self) {
        self.tell_at = None;
    }

    pub(super) fn deadline(&self) -> Option<Boot> {
        [self.try_at, self.tell_at].into_iter().flatten().min()
    }
}

fn probe(notice: Notice, out: &mut Outbox) {
    out.push(Effect::Publish { id: id_of(notice, 0), notice, payload: PROBE.into() });
}
