//! Notifications on their way, and Midtrans' rules for sending one again.

use crate::midtrans::faults::Fault;
use crate::rng::Rng;
use qris_core::order::time::{Span, Wall};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// One notification for one address, with the body from the moment that it tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub url: String,
    /// JSON.
    pub body: Vec<u8>,
    pub order_id: String,
    pub retries: usize,
    pub fault: Option<Fault>,
}

/// One attempt to deliver a notification: the dashboard's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// The time of the answer, or of the drop: milliseconds of UTC by the simulator's clock.
    pub at_ms: i64,
    pub order_id: String,
    pub url: String,
    pub retries: usize,
    pub sent: bool,
    /// The HTTP status of the answer; none if there was no answer in time.
    pub http: Option<u16>,
    pub fault: Option<Fault>,
    pub body: Value,
}

/// The queue, by the time when each is due.
#[derive(Debug, Clone, Default)]
pub(super) struct Notices {
    queue: BTreeMap<(Wall, u64), Notice>,
    number: u64,
    /// By order: notices that must follow the next one.
    held_back: BTreeMap<String, Vec<Notice>>,
    history: VecDeque<(Wall, Notice, Option<Option<u16>>)>,
}

/// No more than this wait: the oldest go.
const WAITING_MAX: usize = 100_000;
const HISTORY_MAX: usize = 10_000;

impl Notices {
    pub fn add(&mut self, due: Wall, notice: Notice) {
        if self.queue.len() >= WAITING_MAX {
            self.queue.pop_first();
        }
        self.number += 1;
        self.queue.insert((due, self.number), notice);
    }

    /// It goes after the next one of its order was answered.
    pub fn hold_back(&mut self, notice: Notice) {
        if self.held_back.len() < WAITING_MAX {
            self.held_back.entry(notice.order_id.clone()).or_default().push(notice);
        }
    }

    pub fn next_due(&self) -> Option<Wall> {
        self.queue.first_key_value().map(|((due, _), _)| *due)
    }

    pub fn take_due(&mut self, now: Wall) -> Vec<Notice> {
        let later = self.queue.split_off(&(now, u64::MAX));
        std::mem::replace(&mut self.queue, later).into_values().collect()
    }

    /// Keeps the result of an attempt: `None` if it was never made, `Some(None)` if nobody answered.
    pub fn remember(&mut self, notice: &Notice, http: Option<Option<u16>>, now: Wall) {
        if self.history.len() >= HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back((now, notice.clone(), http));
    }

    pub fn attempts(&self, order_id: Option<&str>) -> Vec<Attempt> {
        let wanted = self.history.iter().filter(|(_, notice, _)| order_id.is_none_or(|id| id == notice.order_id));
        let attempt = |(at, notice, http): &(Wall, Notice, Option<Option<u16>>)| Attempt {
            at_ms: at.0,
            order_id: notice.order_id.clone(),
            url: notice.url.clone(),
            retries: notice.retries,
            sent: http.is_some(),
            http: http.flatten(),
            fault: notice.fault.clone(),
            body: serde_json::from_slice(&notice.body).unwrap_or_default(),
        };
        wanted.map(attempt).collect()
    }

    /// What follows from an answer (`None`: none came in time): perhaps the notice is sent again later.
    pub fn answered(&mut self, mut notice: Notice, http: Option<u16>, spacing: &[Span], rng: &mut Rng, now: Wall) {
        for after in self.held_back.remove(&notice.order_id).unwrap_or_default() {
            self.add(now, after);
        }
        let Some(wait) = spacing.get(notice.retries).filter(|_| notice.retries < retries_max(http)) else { return };
        // Each is shifted at random: the first, of two minutes, was seen after 33 s.
        let least = wait.0 / 4;
        let shifted = least + i64::try_from(rng.below(u64::try_from(wait.0 - least).unwrap_or(0) + 1)).unwrap_or(0);
        notice.retries += 1;
        self.add(now + Span(shifted), notice);
    }
}

/// How often a notification is sent again after this answer. 307 and 308 were followed already.
const fn retries_max(http: Option<u16>) -> usize {
    match http {
        Some(200..=299 | 301 | 302 | 303) => 0,
        Some(500) => 1,
        Some(400 | 404) => 2,
        Some(503) => 4,
        Some(_) | None => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_follow_the_documented_rules() {
        let spacing = [120, 600, 1_800, 5_400, 12_600].map(Span::secs);
        for (http, expected) in
            [(Some(200), 0), (Some(301), 0), (Some(500), 1), (Some(404), 2), (Some(400), 2), (Some(503), 4), (Some(403), 5), (None, 5)]
        {
            let (mut notices, mut rng, mut now, mut sent) = (Notices::default(), Rng::new(1), Wall(0), 0);
            notices.add(now, Notice { url: "u".into(), body: vec![], order_id: "o".into(), retries: 0, fault: None });
            while let Some(due) = notices.next_due() {
                assert!(notices.take_due(due - Span(1)).is_empty());
                if sent > 0 {
                    let wait = due - now;
                    assert!(wait.0 >= spacing[sent - 1].0 / 4 && wait <= spacing[sent - 1], "{wait:?}");
                }
                now = due;
                let notice = notices.take_due(now).pop().expect("due");
                sent += 1;
                notices.answered(notice, http, &spacing, &mut rng, now);
            }
            assert_eq!(sent, expected + 1, "{http:?}");
        }
    }
}
