//! Events on their way to the broker: one at a time, in order, until the broker has them.

use super::{Effect, Machine, Notice};
use crate::store::{Disk, Store};
use qris_core::order::time::{Boot, Now, Span};
use qris_core::wire::status::FaultCode;
use qris_host::mqtt::PublishId;

/// The mark in the numbers of messages that are not in the outbox: status, refusals, repetitions.
pub const NEWS: u64 = 1 << 63;
/// An event that the broker has is forgotten with the next commit, or by itself after this time. So a delivery costs no
/// write of its own.
const FORGET_AFTER: Span = Span::secs(5);
/// The most events that are forgotten at once.
const FORGET_BATCH: usize = 64;
/// An event that the broker refuses is published again after this time.
const REFUSED_RETRY: Span = Span::secs(30);
/// A message that found no room, or no connection, is published again after this time, unless another connection comes first.
const LOST_RETRY: Span = Span::secs(1);

/// The state of the outbox's way to the broker. The events themselves are in the database.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    in_flight: Option<u64>,
    /// Everything up to this one has been delivered in this connection or before.
    delivered: u64,
    sent: Vec<u64>,
    forget_at: Option<Boot>,
    retry_at: Option<Boot>,
    /// The status was lost on its way. It is not published again before this time.
    status_at: Option<Boot>,
    /// The broker refused the last event, and a fault tells that.
    refused: bool,
}

impl Outbox {
    /// There is a new connection. Nobody knows what became of a message in flight.
    pub(super) fn connected(&mut self) {
        self.in_flight = None;
        self.retry_at = None;
        self.status_at = None;
    }

    pub(super) fn take_sent(&mut self) -> Vec<u64> {
        self.forget_at = None;
        std::mem::take(&mut self.sent)
    }

    pub(super) fn put_back(&mut self, sent: Vec<u64>, now: Boot) {
        if !sent.is_empty() {
            self.sent.extend(sent);
            self.forget_at = Some(now + FORGET_AFTER);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Boot> {
        [self.retry_at, self.status_at].into_iter().flatten().min()
    }

    /// The time of the next write to the database; `None` while it cannot be written.
    pub(super) fn next_forgetting(&self) -> Option<Boot> {
        self.forget_at
    }

    /// Whether the status must wait before it is published again.
    pub(super) fn holds_status(&self) -> bool {
        self.status_at.is_some()
    }
}

impl<D: Disk> Machine<D> {
    pub(super) fn delivered(&mut self, id: PublishId, now: Now) {
        if self.outbox.in_flight != Some(id.0) {
            return;
        }
        if self.outbox.refused {
            self.outbox.refused = false;
            self.fault(FaultCode::Config, None, now);
        }
        self.outbox.in_flight = None;
        self.outbox.delivered = id.0;
        self.outbox.sent.push(id.0);
        if self.outbox.sent.len() >= FORGET_BATCH {
            self.outbox.forget_at = Some(now.boot);
        } else {
            self.outbox.forget_at.get_or_insert(now.boot + FORGET_AFTER);
        }
    }

    pub(super) fn undelivered(&mut self, id: PublishId, refused: Option<Box<str>>, now: Now) {
        if id.0 & NEWS != 0 {
            // A message that is not in the outbox is told again by the next status, or not at all.
            if refused.is_none() {
                self.status_lost();
                self.outbox.status_at.get_or_insert(now.boot + LOST_RETRY);
            }
            return;
        }
        if self.outbox.in_flight == Some(id.0) {
            self.outbox.in_flight = None;
        }
        if let Some(why) = refused {
            self.outbox.retry_at = Some(now.boot + REFUSED_RETRY);
            self.outbox.refused = true;
            self.fault(FaultCode::Config, Some(&format!("the broker refuses vend/event: {why}")), now);
        } else {
            self.outbox.retry_at.get_or_insert(now.boot + LOST_RETRY);
        }
    }

    pub(super) fn pump_outbox(&mut self, now: Now) {
        if self.outbox.forget_at.is_some_and(|at| now.boot >= at) && self.store_retry_at.is_none() {
            let sent = self.outbox.take_sent();
            if let Some(store) = &mut self.store
                && let Err(error) = store.forget(&sent)
            {
                self.outbox.put_back(sent, now.boot);
                self.store_failed(&error, now);
            }
        }
        self.outbox.retry_at.take_if(|at| now.boot >= *at);
        self.outbox.status_at.take_if(|at| now.boot >= *at);
        if !self.links.broker || self.outbox.in_flight.is_some() || self.outbox.retry_at.is_some() || self.store_damaged {
            return;
        }
        let next = self.store.as_ref().map(|store| store.next_event(self.outbox.delivered)).transpose();
        match next {
            Ok(Some(Some((seq, payload)))) => {
                self.outbox.in_flight = Some(seq);
                let payload = payload.into_bytes();
                self.effects.push(Effect::Publish { id: PublishId(seq), notice: Notice::Event, payload });
            }
            Ok(Some(None) | None) => {}
            Err(error) => self.store_failed(&error, now),
        }
    }
}
