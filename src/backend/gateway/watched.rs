//! The gateway, with what this process remembers of it: whether it answers, how many charges fail, what was looked up.

use super::{Gateway, NoNotice, Notice, Problem};
use axum::http::HeaderMap;
use qris_core::order::ids::{DeviceId, OrderId};
use qris_core::order::merchant::ChargeTrouble;
use qris_core::order::time::{Span, Wall};
use qris_host::events::Event as Journal;
use qris_host::service;
use qris_host::surroundings::Surroundings;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};

const CALLS_MAX: usize = 128;

/// So many words that nobody knows are told, and no more.
const WORDS_MAX: usize = 32;

/// The text for the service manager while all is well.
pub const SERVING: &str = "serving machines";

/// The gateway that charges.
#[derive(Debug)]
pub struct WatchedGateway {
    gateway: Arc<dyn Gateway>,
    around: Arc<dyn Surroundings>,
    calls: Semaphore,
    charges: Charges,
    lookups: Mutex<Lookups>,
    gone: AtomicBool,
    /// The last time that it answered a question, in milliseconds since 1970.
    answered: AtomicI64,
    /// Its words that nobody knows and that were told.
    words: Mutex<BTreeSet<Box<str>>>,
}

impl WatchedGateway {
    /// Watches this gateway.
    #[must_use]
    pub fn new(gateway: Arc<dyn Gateway>, around: Arc<dyn Surroundings>) -> Self {
        Self {
            gateway,
            around,
            calls: Semaphore::new(CALLS_MAX),
            charges: Charges::default(),
            lookups: Mutex::default(),
            gone: AtomicBool::new(false),
            answered: AtomicI64::new(0),
            words: Mutex::default(),
        }
    }

    /// The gateway, for a question. Who asks for machines takes a [`permit`](Self::permit) first.
    #[must_use]
    pub fn ask(&self) -> &dyn Gateway {
        &*self.gateway
    }

    /// Waits until a call may be made. It is made while the permit is held.
    pub async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.calls.acquire().await.ok()
    }

    /// See [`Gateway::name`].
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.gateway.name()
    }

    /// Reads a notification, and checks whether the gateway has made it.
    pub fn notification(&self, headers: &HeaderMap, body: &[u8]) -> Result<Notice, NoNotice> {
        let notice = self.gateway.notification(headers, body)?;
        if let Some(word) = &notice.unknown {
            self.note_word(word);
        }
        Ok(notice)
    }

    /// Notes the end of a charge. The answer is what must be told of it.
    pub fn note_charge(&self, failed: Option<ChargeTrouble>) -> Option<Turn> {
        self.charges.note(failed)
    }

    /// How many charges failed, if these are so many that they are told.
    #[must_use]
    pub fn charges_failing(&self) -> u32 {
        self.charges.failing()
    }

    /// Whether a forgotten order may be looked up at the gateway now. Counts the look-up.
    pub fn may_look_up(&self, id: &OrderId, device: Option<&DeviceId>, now: Wall) -> bool {
        self.lookups.lock().unwrap_or_else(PoisonError::into_inner).take(id, device, now)
    }

    /// Notes whether the gateway answered. The journal is told when that changes.
    pub fn note_trouble(&self, trouble: Option<Problem>) {
        match (self.gone.swap(trouble.is_some(), Ordering::Relaxed), trouble) {
            (false, Some(why)) => {
                service::status("the gateway cannot be asked");
                self.around.emit(&Journal::GatewayUnreachable { why: why.to_string().into() });
            }
            (true, None) => {
                service::status(SERVING);
                self.around.emit(&Journal::GatewayBack {});
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// The gateway answered a question now.
    pub fn note_answer(&self, now: Wall) {
        self.answered.store(now.0, Ordering::Relaxed);
    }

    /// Whether it answered one after this time, as far as this process knows.
    #[must_use]
    pub fn has_answered_since(&self, at: Wall) -> bool {
        self.answered.load(Ordering::Relaxed) > at.0
    }

    /// Tells the journal once of a word of the gateway that nobody knows.
    pub fn note_word(&self, word: &str) {
        let mut told = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < WORDS_MAX && told.insert(word.into()) {
            self.around.emit(&Journal::GatewayWord { why: String::from(word).into() });
        }
    }

    /// What its clock said in its last answer.
    #[must_use]
    pub fn reported_time(&self) -> Option<Wall> {
        self.gateway.reported_time()
    }
}

/// So many charges that fail one after the other, for one reason, are told.
pub const CHARGES_FAIL: u32 = 5;

/// The charges that failed one after the other, since the last one that was made.
#[derive(Debug, Default)]
struct Charges(Mutex<Option<(ChargeTrouble, u32)>>);

/// What is to be told of charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// So many failed.
    Fails(u32),
    /// One was made again, after that was told.
    Works,
}

impl Charges {
    fn note(&self, failed: Option<ChargeTrouble>) -> Option<Turn> {
        let mut streak = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was_told = streak.is_some_and(|(_, count)| count >= CHARGES_FAIL);
        let Some(kind) = failed else {
            *streak = None;
            return was_told.then_some(Turn::Works);
        };
        let count = match *streak {
            Some((known, count)) if known == kind => count.saturating_add(1),
            // Another reason, while nothing is sold: that was told, and the count goes on.
            Some((_, count)) if was_told => count.saturating_add(1),
            Some(_) | None => 1,
        };
        *streak = Some((kind, count));
        (count == CHARGES_FAIL).then_some(Turn::Fails(count))
    }

    fn failing(&self) -> u32 {
        let streak = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streak.map(|(_, count)| count).filter(|count| *count >= CHARGES_FAIL).unwrap_or(0)
    }
}

/// The look-ups of forgotten orders in the last minute: one for each id, six for each machine, thirty for
/// notifications, sixty in all.
#[derive(Debug, Default)]
struct Lookups(HashMap<OrderId, (Wall, Option<DeviceId>)>);

impl Lookups {
    fn take(&mut self, id: &OrderId, device: Option<&DeviceId>, now: Wall) -> bool {
        self.0.retain(|_, (at, _)| now < *at + Span::secs(60) && *at <= now);
        let of_device = self.0.values().filter(|(_, who)| who.as_ref() == device).count();
        let most = if device.is_some() { 6 } else { 30 };
        if self.0.contains_key(id) || self.0.len() >= 60 || of_device >= most {
            return false;
        }
        self.0.insert(id.clone(), (now, device.cloned()));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charges_that_fail_for_one_reason_are_told_once() {
        use ChargeTrouble::{Refused, Unreadable};
        let charges = Charges::default();
        for failed in [Some(Refused), Some(Refused), Some(Refused), Some(Refused), Some(Unreadable), None] {
            assert_eq!((charges.note(failed), charges.failing()), (None, 0), "{failed:?}");
        }
        let told: Vec<_> = (0..7).map(|_| charges.note(Some(Refused))).collect();
        assert_eq!(told, [None, None, None, None, Some(Turn::Fails(5)), None, None]);
        assert_eq!((charges.note(Some(Unreadable)), charges.failing()), (None, 8), "it is still told");
        assert_eq!((charges.note(None), charges.note(None), charges.failing()), (Some(Turn::Works), None, 0));
    }

    #[test]
    fn look_ups_are_limited_by_id_machine_and_in_all() {
        let mut lookups = Lookups::default();
        let id = |n: i32| OrderId::new(&format!("o{n}")).expect("an id");
        let device = |n: i32| DeviceId::new(&format!("d{n}")).expect("an id");
        assert!(lookups.take(&id(0), None, Wall(0)));
        assert!(!lookups.take(&id(0), None, Wall(59_999)));
        assert!(lookups.take(&id(0), None, Wall(60_000)));
        for n in 1..=6 {
            assert!(lookups.take(&id(n), Some(&device(1)), Wall(60_000)));
        }
        assert!(!lookups.take(&id(7), Some(&device(1)), Wall(60_000)));
        for n in 8..=36 {
            assert!(lookups.take(&id(n), None, Wall(60_000)), "{n}");
        }
        assert!(!lookups.take(&id(37), None, Wall(60_000)), "machines are to have some");
        for n in 38..=61 {
            assert!(lookups.take(&id(n), Some(&device(n)), Wall(60_000)), "{n}");
        }
        assert!(!lookups.take(&id(62), Some(&device(2)), Wall(60_000)));
        assert!(lookups.take(&id(62), Some(&device(2)), Wall(120_000)));
    }
}
