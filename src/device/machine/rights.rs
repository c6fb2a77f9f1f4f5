//! What the broker's access list refuses this machine. A refused write is answered with its reason. A topic with a retained message is
//! written at each connect. Of the two others a probe asks.

use super::faults::Faults;
use super::outbox::Outbox;
use crate::words::{Effect, Notice, id_of, notice_of, number_of, text};
use qris_core::order::time::{Boot, Now, Span};
use qris_core::wire::status::FaultCode;
use qris_core::wire::topics::PROBE;
use qris_host::events::Event as Journal;
use qris_host::mqtt::PublishId;
use std::collections::BTreeMap;

/// What is refused is tried again after this time: the access list may be mended while the connection lasts.
const TRY_AGAIN: Span = Span::secs(30);

#[derive(Debug, Default)]
pub(super) struct Rights {
    /// The subscriptions that the broker refused at the last connect, and why.
    reads: Vec<(String, &'static str)>,
    /// The topics on which it took nothing when that was tried last, and why.
    writes: BTreeMap<Notice, Box<str>>,
    try_at: Option<Boot>,
}

impl Rights {
    /// There is a new connection, on which these subscriptions are refused.
    pub(super) fn connected(&mut self, refused: &[(String, &'static str)], broker: &str, out: &mut Outbox) {
        for (filter, why) in refused.iter().filter(|refused| !self.reads.contains(refused)) {
            out.journal(Journal::TopicRefused { broker: text(broker), topic: text(filter), why: text(why) });
        }
        self.reads = refused.to_vec();
        [Notice::Event, Notice::Answer].into_iter().for_each(|notice| probe(notice, out));
    }

    /// The broker refuses a message.
    pub(super) fn refused(&mut self, id: PublishId, why: &str, broker: &str, out: &mut Outbox, now: Boot) {
        let notice = notice_of(id);
        if self.writes.insert(notice, why.into()).is_none() {
            out.journal(Journal::TopicRefused { broker: text(broker), topic: text(notice.topic().tail()), why: text(why) });
        }
        self.try_at.get_or_insert(now + TRY_AGAIN);
    }

    /// The broker has taken a message. `true`: it was only a probe, which nobody reads.
    pub(super) fn written(&mut self, id: PublishId, out: &mut Outbox) -> bool {
        if self.writes.remove(&notice_of(id)).is_some() {
            out.repeat_all();
        }
        number_of(id) == 0
    }

    /// Tries again what is refused, when it is time, and sets the fault.
    pub(super) fn watch(&mut self, faults: &mut Faults, out: &mut Outbox, now: Now) {
        if self.try_at.take_if(|at| now.boot >= *at).is_some() && out.is_connected() && !self.writes.is_empty() {
            self.try_at = Some(now.boot + TRY_AGAIN);
            self.writes.keys().for_each(|notice| probe(*notice, out));
        }
        let reads = self.reads.iter().map(|(filter, why)| format!("{filter} ({why})"));
        let writes = self.writes.iter().map(|(notice, why)| format!("{} ({why})", notice.topic().tail()));
        let refused: Vec<_> = reads.chain(writes).collect();
        let detail = (!refused.is_empty()).then(|| format!("the broker refuses {}", refused.join(", ")));
        faults.set(FaultCode::Config, detail.as_deref(), now);
    }

    pub(super) fn deadline(&self) -> Option<Boot> {
        self.try_at
    }
}

fn probe(notice: Notice, out: &mut Outbox) {
    out.push(Effect::Publish { id: id_of(notice, 0), notice, payload: PROBE.into() });
}
