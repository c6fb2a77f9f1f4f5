//! The events of all programs, in the order in which the demo learned of them, and a way to wait for one.

use super::captions::{self, Bilingual};
use qris_core::order::ids::{OrderId, RequestId};
use qris_core::order::reason::Reason;
use qris_core::order::time::Boot;
use qris_core::wire::payment::PaymentUpdate;
use qris_core::wire::vend::{EventState, VendEvent};
use qris_host::clock;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// This many entries are kept; the oldest go.
const ENTRIES_MAX: usize = 2_000;

/// The speaker of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// At the machine, with a phone.
    Customer,
    /// `qrisd`.
    Machine,
    /// `qris-relayd` and its line.
    Relay,
    /// `qris-backend`.
    Backend,
    Midtrans,
    Broker,
    /// The person who pulls the plug.
    Demo,
}

/// A network, which can be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Between machine and broker.
    Broker,
    /// Between machine and backend.
    Backend,
    /// Between backend and Midtrans, both ways.
    Midtrans,
}

impl Network {
    #[must_use]
    pub fn name(self) -> Bilingual {
        match self {
            Self::Broker => captions::machine_broker(),
            Self::Backend => captions::machine_backend(),
            Self::Midtrans => captions::backend_midtrans(),
        }
    }
}

/// The kind of an entry, with its data for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EntryKind {
    /// A line of a program's standard error.
    Log,
    /// The customer did something. Others tell the result.
    Deed,
    Leave,
    Press {
        item: &'static str,
    },
    /// The customer's app tells the end of a payment.
    Payment {
        paid: bool,
    },
    Power {
        on: bool,
    },
    Filled {
        item: &'static str,
    },
    /// `vend/event`.
    Vend {
        event: Box<VendEvent>,
    },
    /// `payment/update`.
    Update {
        update: Box<PaymentUpdate>,
    },
    Status,
    /// The relay line changed.
    Edge {
        line: String,
        on: bool,
    },
    Program {
        name: &'static str,
        up: bool,
    },
    /// The machine's controller heard of an order on D-Bus.
    Order {
        request_id: RequestId,
        /// Absent until it has one.
        order_id: Option<OrderId>,
        state: EventState,
        reason: Option<Reason>,
    },
    Network {
        network: Network,
        up: bool,
    },
    /// An HTTP request or answer that passed through a network.
    Call {
        answer: bool,
    },
}

#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Counts up from 0.
    pub n: u64,
    /// Milliseconds since the demo started.
    pub at_ms: i64,
    /// The teller of the entry, or its sender.
    pub who: Who,
    /// Its receiver, if it has one.
    pub to: Option<Who>,
    /// For people, in English.
    pub text: String,
    /// For people, in Indonesian, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_id: Option<String>,
    #[serde(flatten)]
    pub kind: EntryKind,
}

#[derive(Debug, thiserror::Error)]
#[error("waited {within_s} s in vain for {what}; the last event: {last}")]
pub struct InVain {
    what: String,
    within_s: u64,
    last: String,
}

/// The list itself. Any thread may add to it.
#[derive(Debug)]
pub struct Chronicle {
    began: Boot,
    list: Mutex<List>,
    next: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct List {
    next: u64,
    entries: VecDeque<Arc<Entry>>,
}

impl Chronicle {
    /// An empty one; time counts from here.
    #[must_use]
    pub fn new() -> Self {
        Self { began: clock::now().boot, list: Mutex::default(), next: watch::Sender::new(0) }
    }

    /// Adds an entry that somebody did or said.
    pub fn note(&self, who: Who, text: impl Into<Bilingual>, kind: EntryKind) {
        self.add(who, None, text.into(), kind);
    }

    /// Adds an entry that went from one to another.
    pub fn arrow(&self, from: Who, to: Who, text: impl Into<Bilingual>, kind: EntryKind) {
        self.add(from, Some(to), text.into(), kind);
    }

    fn add(&self, who: Who, to: Option<Who>, Bilingual { en: text, id }: Bilingual, kind: EntryKind) {
        let text_id = (id != text).then_some(id);
        let mut list = self.list();
        let entry = Entry { n: list.next, at_ms: self.now_ms(), who, to, text, text_id, kind };
        list.next += 1;
        list.entries.push_back(Arc::new(entry));
        if list.entries.len() > ENTRIES_MAX {
            list.entries.pop_front();
        }
        self.next.send_replace(list.next);
    }

    /// The number of the next entry: later events have this number or a higher one.
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.list().next
    }

    /// Milliseconds since the demo started.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        clock::now().boot.0 - self.began.0
    }

    /// The entries from number `from` on that are still kept.
    #[must_use]
    pub fn since(&self, from: u64) -> Vec<Arc<Entry>> {
        self.list().entries.iter().filter(|entry| entry.n >= from).cloned().collect()
    }

    /// Wakes those that wait for entries: its value is [`Chronicle::mark`].
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    /// The first entry that `pick` takes, among those from `from` on.
    pub async fn wait<T>(&self, from: u64, what: &str, within: Duration, mut pick: impl FnMut(&Entry) -> Option<T>) -> Result<T, InVain> {
        let mut changes = self.subscribe();
        let mut from = from;
        let find = async {
            loop {
                changes.mark_unchanged();
                for entry in self.since(from) {
                    if let Some(found) = pick(&entry) {
                        return found;
                    }
                    from = entry.n + 1;
                }
                changes.changed().await.expect("we hold its sender");
            }
        };
        tokio::time::timeout(within, find).await.map_err(|_| self.in_vain(what, within))
    }

    #[must_use]
    pub fn in_vain(&self, what: &str, within: Duration) -> InVain {
        let last = self.list().entries.back().map_or_else(|| "nothing".into(), |entry| entry.text.clone());
        InVain { what: what.into(), within_s: within.as_secs(), last }
    }

    #[must_use]
    pub fn last_words(&self, who: Who) -> String {
        let list = self.list();
        let line = list.entries.iter().rev().find(|entry| entry.who == who && entry.kind == EntryKind::Log);
        line.map_or_else(|| "none".into(), |entry| entry.text.clone())
    }

    fn list(&self) -> MutexGuard<'_, List> {
        // A panic under the lock leaves at worst a list without its last entry.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Chronicle {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_happened_before_and_after_the_wait_is_found_and_nothing_else() {
        let book = Chronicle::new();
        book.note(Who::Demo, "old", EntryKind::Deed);
        let mark = book.mark();
        book.note(Who::Demo, "new", EntryKind::Deed);
        let text = |wanted: &'static str| move |entry: &Entry| (entry.text == wanted).then_some(entry.n);
        let second = Duration::from_secs(1);
        assert_eq!(book.wait(mark, "new", second, text("new")).await.expect("it is there"), 1);
        book.wait(mark, "old", Duration::from_millis(10), text("old")).await.expect_err("it was before");
        let (later, ()) = tokio::join!(book.wait(mark, "later", second, text("later")), async {
            book.note(Who::Demo, "later", EntryKind::Deed);
        });
        assert_eq!(later.expect("it came"), 2);
    }

    #[test]
    fn the_list_is_bounded() {
        let book = Chronicle::new();
        for n in 0..=ENTRIES_MAX {
            book.note(Who::Demo, n.to_string(), EntryKind::Deed);
        }
        assert_eq!(book.since(0).len(), ENTRIES_MAX);
        assert_eq!(book.since(0)[0].n, 1);
        assert_eq!(book.mark(), ENTRIES_MAX as u64 + 1);
    }
}
