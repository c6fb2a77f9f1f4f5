//! The parts of the running backend that all others share.

use crate::gateway::{Gateway, Problem};
use crate::machines::accounts::Administrator;
use crate::machines::devices::{self, Shown};
use crate::machines::presence::Presence;
use crate::machines::twins::{self, Sight};
use crate::sale::books::{self, BooksError, Policy};
use crate::sale::claims::Claims;
use crate::sale::view::Place;
use crate::sale::waiters::Waiters;
use crate::store::{Store, Tx};
use crate::telling::metrics::Metrics;
use qris_core::order::ids::{DeviceId, OrderId};
use qris_core::order::keys::SigningKey;
use qris_core::order::merchant::ChargeTrouble;
use qris_core::order::proof::RelayKey;
use qris_core::order::time::{Span, Wall};
use qris_host::events::Event as Journal;
use qris_host::service;
use qris_host::surroundings::Surroundings;
use qris_host::trust::AGREES;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::{Notify, Semaphore};

/// The most calls to the gateway at once.
const CALLS_MAX: usize = 128;
/// The most orders that notifications and the sweep have claimed and not yet asked for, together with those that are
/// being asked for. Orders beyond this number stay due in the books. A claim should be asked for well within its lease,
/// and each costs memory.
const ASKING_MAX: usize = 1024;

/// So many words that nobody knows are told, and no more.
const WORDS_MAX: usize = 32;

/// The text for the service manager while all is well.
pub const SERVING: &str = "serving machines";

/// The running backend.
#[derive(Debug)]
pub struct Shop {
    surroundings: Arc<dyn Surroundings>,
    /// The books' database.
    pub store: Store,
    /// The machines' database.
    pub machines: Store,
    /// The merchant's decisions. Their keys change while the program runs.
    policy: RwLock<Arc<Policy>>,
    /// The gateway that charges.
    pub gateway: Arc<dyn Gateway>,
    /// The address of this backend, and its kind of money.
    pub place: Place,
    /// The callers that wait for news.
    pub waiters: Waiters,
    /// Which machines are there.
    pub presence: Presence,
    /// Something is due now.
    pub due: Notify,
    /// The outbox has something.
    pub outbox: Notify,
    /// A person must be told of something.
    pub alerts: Notify,
    /// Where the machines' accounts at the broker are made, if this backend makes them.
    pub accounts: Option<Administrator>,
    /// Whoever has it changes who is let in by a code, and what accounts there are.
    pub enrolling: tokio::sync::Mutex<()>,
    /// For operators.
    pub metrics: Metrics,
    /// The questions to the gateway that are open.
    pub claims: Claims,
    /// The name of this process, which no other one has.
    pub name: String,
    /// Limits the calls to the gateway.
    pub calls: Semaphore,
    /// Limits the tasks for which nobody waits.
    pub asking: Arc<Semaphore>,
    /// How many charges failed one after the other.
    pub charges: Charges,
    lookups: Mutex<Lookups>,
    gateway_gone: AtomicBool,
    /// The last time that the gateway answered a question, in milliseconds since 1970.
    gateway_answered: AtomicI64,
    /// The words of the gateway that nobody knows and that were told.
    words: Mutex<BTreeSet<Box<str>>>,
    /// Our clock and the gateway's differ.
    clock_differs: AtomicBool,
    /// The merchant whom the last QR pays, as the books know.
    merchant: Mutex<Option<Box<str>>>,
    books_health: Health,
    machines_health: Health,
    /// The last time that room for a sale was looked for, in milliseconds since 1970.
    room_looked: AtomicI64,
}

/// The journal's last news of a database.
#[derive(Debug, Default)]
struct Health {
    failing: AtomicBool,
    /// The last time that a damaged row was told, in milliseconds since 1970.
    damage_told: AtomicI64,
}

impl Shop {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        surroundings: Arc<dyn Surroundings>,
        store: Store,
        machines: Store,
        policy: Policy,
        gateway: Arc<dyn Gateway>,
        place: Place,
        presence: Presence,
    ) -> Self {
        Self {
            surroundings,
            store,
            machines,
            policy: RwLock::new(Arc::new(policy)),
            gateway,
            place,
            waiters: Waiters::default(),
            presence,
            due: Notify::new(),
            outbox: Notify::new(),
            alerts: Notify::new(),
            accounts: None,
            enrolling: tokio::sync::Mutex::default(),
            metrics: Metrics::default(),
            claims: Claims::default(),
            name: crate::drawn_name(),
            calls: Semaphore::new(CALLS_MAX),
            asking: Arc::new(Semaphore::new(ASKING_MAX)),
            charges: Charges::default(),
            lookups: Mutex::default(),
            gateway_gone: AtomicBool::new(false),
            gateway_answered: AtomicI64::new(0),
            words: Mutex::default(),
            clock_differs: AtomicBool::new(false),
            merchant: Mutex::default(),
            books_health: Health::default(),
            machines_health: Health::default(),
            room_looked: AtomicI64::new(0),
        }
    }

    /// The time of day, by the clock of the books.
    #[must_use]
    pub fn now(&self) -> Wall {
        self.store.now(self.surroundings.now())
    }

    /// The clock of this computer, which need not be that of the books.
    #[must_use]
    pub fn clock(&self) -> Wall {
        self.surroundings.now()
    }

    /// The program ends: nobody waits any longer, and nothing new is begun.
    pub fn stop(&self) {
        self.waiters.end();
        self.outbox.notify_one();
    }

    /// Fills `bytes` with values that nobody can guess.
    pub fn random(&self, bytes: &mut [u8]) {
        self.surroundings.random(bytes);
    }

    /// Writes to the journal.
    pub fn emit(&self, event: &Journal) {
        self.surroundings.emit(event);
    }

    /// The merchant's present decisions.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Signs with these keys from now on. The first is in use.
    pub fn use_keys(&self, keys: Vec<SigningKey>) {
        let mut policy = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Policy::clone(&policy);
        changed.rules.keys = keys;
        *policy = Arc::new(changed);
    }

    /// Writes in the books. The job is told the time at which it runs.
    ///
    /// # Errors
    /// The job's own; or the database's, which also goes to the journal.
    pub async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Tx, &Policy, Wall) -> Result<T, BooksError> + Send + 'static,
    ) -> Result<T, BooksError> {
        let (policy, surroundings) = (self.policy(), Arc::clone(&self.surroundings));
        let result = self.store.run_at(move || surroundings.now(), move |tx, now| job(tx, &policy, now)).await;
        self.books_health.note(&*self.surroundings, "of orders", &result);
        if result.is_ok() && self.store_fails() {
            self.look_for_room().await;
        }
        result
    }

    /// Whether the books could not be read or written, and nobody has yet seen that there is room again for a whole sale.
    #[must_use]
    pub fn store_fails(&self) -> bool {
        self.books_health.failing.load(Ordering::Relaxed)
    }

    /// Looks at most once a second: each look writes as much as a sale does.
    async fn look_for_room(&self) {
        let (now, last) = (self.now().0, self.room_looked.load(Ordering::Relaxed));
        let is_soon = (0..1000).contains(&(now - last));
        if is_soon || self.room_looked.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        if self.store.find_room().await.is_ok() {
            self.books_health.back(&*self.surroundings, "of orders");
        }
    }

    /// Reads in the books.
    ///
    /// # Errors
    /// The job's own; or the database's, which also goes to the journal.
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Tx) -> Result<T, BooksError> + Send + 'static,
    ) -> Result<T, BooksError> {
        let result = self.store.read(job).await;
        self.books_health.note(&*self.surroundings, "of orders", &result);
        result
    }

    /// A machine that was let in by this token shows the key with which its relay signs its proofs. If it cannot be noted now, the
    /// journal is told. The key is shown again with the next order, and nobody is kept from selling.
    pub async fn relay_key_shown(&self, device: &DeviceId, token_hash: String, key: Option<RelayKey>) {
        if let Some(key) = key {
            drop(self.note_relay_key(device, token_hash, key).await);
        }
    }

    async fn note_relay_key(&self, device: &DeviceId, token_hash: String, key: RelayKey) -> Result<(), BooksError> {
        let (known, wanted) = (device.clone(), key.clone());
        if self.machines(move |tx| devices::is_known_by(tx, &known, &wanted)).await? {
            return Ok(());
        }
        let of = device.clone();
        let is_new = !self.read(move |tx| books::has_orders(tx, &of)).await?;
        let (shown, fingerprint) = (device.clone(), key.fingerprint().into());
        let now = self.now();
        let result = self.machines.run(move |tx| devices::shown(tx, &shown, &token_hash, &key, is_new, now)).await;
        self.machines_health.note(&*self.surroundings, "of machines", &result);
        let device = device.clone();
        match result? {
            Shown::Known | Shown::Another { news: false } => {}
            Shown::First => self.emit(&Journal::RelayKeyKnown { device, fingerprint, by: "its first key".into() }),
            Shown::Another { news: true } => self.emit(&Journal::RelayKeyOther { device, fingerprint }),
        }
        Ok(())
    }

    /// Reads in the database of the machines.
    ///
    /// # Errors
    /// The job's own; or the database's, which also goes to the journal.
    pub async fn machines<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Tx) -> Result<T, BooksError> + Send + 'static,
    ) -> Result<T, BooksError> {
        let result = self.machines.read(job).await;
        self.machines_health.note(&*self.surroundings, "of machines", &result);
        if result.is_ok() {
            self.machines_health.back(&*self.surroundings, "of machines");
        }
        result
    }

    /// A QR of this order pays this merchant. It is sold all the same: one payment system may have several numbers for one
    /// merchant, and nobody who could know stands at the machine. The person who looks after the machines is told.
    pub async fn paid_by_qr(&self, order: &OrderId, device: &DeviceId, merchant: &str) {
        let known = || self.merchant.lock().unwrap_or_else(PoisonError::into_inner);
        if known().as_deref() == Some(merchant) {
            return;
        }
        let (wanted, of) = (Box::<str>::from(merchant), device.clone());
        let written = self.write(move |tx, _, now| books::merchant_paid(tx, &wanted, &of, now)).await;
        // The journal was told of an error. The next QR is looked at again.
        let Ok(first) = written else { return };
        *known() = Some(merchant.into());
        if let Some(first) = first {
            self.emit(&Journal::OtherMerchant {
                order: order.clone(),
                device: device.clone(),
                merchant: merchant.to_owned().into(),
                first: first.into_string().into(),
            });
            self.alerts.notify_one();
        }
    }

    /// A machine asked something, or took a message.
    pub async fn machine_called(&self, device: &DeviceId) {
        if self.presence.called(device, self.now()) {
            let wanted = device.clone();
            // If this fails, the alert stays until the machine is missing and back once more.
            let was_missing = self.write(move |tx, _, now| books::machine_back(tx, &wanted, now)).await;
            if matches!(was_missing, Ok(true)) {
                self.emit(&Journal::MachineBack { device: device.clone() });
                self.alerts.notify_one();
            }
        }
    }

    /// A call shows something new of a machine's computer. If that is another computer, people are told.
    pub async fn seen(&self, device: &DeviceId, sight: Sight) {
        let (of, now) = (device.clone(), self.now());
        // What cannot be written now is new at the next call, too. The books tell of a full disk.
        let Ok(Some(both)) = self.machines.run(move |tx| twins::note(tx, &of, &sight, now)).await else { return };
        let addresses: Box<str> = both.join(" and ").into();
        self.emit(&Journal::MachineTwice { device: device.clone(), addresses: String::from(&*addresses).into() });
        let wanted = device.clone();
        // The journal has heard of the machine already, and hears of an error too.
        let _ = self.write(move |tx, _, now| books::machine_twice(tx, &wanted, &addresses, now)).await;
        self.alerts.notify_one();
    }

    /// Nobody took a message to a machine.
    pub async fn not_taken(&self, device: &DeviceId) {
        if self.presence.not_taken(device, self.now()) {
            self.emit(&Journal::MachineOffline { device: device.clone(), seconds: self.presence.missing_after().0 / 1000 });
            let wanted = device.clone();
            // The journal has heard of the machine already, and hears of an error too.
            let _ = self.write(move |tx, _, now| books::machine_offline(tx, &wanted, now)).await;
            self.alerts.notify_one();
        }
    }

    /// An order_id that nobody can guess and that no two machines will ever share: 100 random bits.
    #[must_use]
    pub fn draw_order_id(&self) -> OrderId {
        const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut bytes = [0; 20];
        self.surroundings.random(&mut bytes);
        let text: String = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
        OrderId::new(&text).expect("letters and digits")
    }

    /// Whether a forgotten order may be looked up at the gateway now. Counts the look-up.
    pub fn may_look_up(&self, id: &OrderId, device: Option<&DeviceId>) -> bool {
        let now = self.now();
        self.lookups.lock().unwrap_or_else(PoisonError::into_inner).take(id, device, now)
    }

    /// Notes whether the gateway answered. The journal is told when that changes.
    pub fn note_gateway(&self, trouble: Option<Problem>) {
        match (self.gateway_gone.swap(trouble.is_some(), Ordering::Relaxed), trouble) {
            (false, Some(why)) => {
                service::status("the gateway cannot be asked");
                self.emit(&Journal::GatewayUnreachable { why: why.to_string().into() });
            }
            (true, None) => {
                service::status(SERVING);
                self.emit(&Journal::GatewayBack {});
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// The gateway answered a question now.
    pub fn gateway_answered(&self) {
        self.gateway_answered.store(self.now().0, Ordering::Relaxed);
    }

    /// Whether it answered one after this time, as far as this process knows.
    #[must_use]
    pub fn gateway_answered_since(&self, at: Wall) -> bool {
        self.gateway_answered.load(Ordering::Relaxed) > at.0
    }

    /// Tells the journal once of a word of the gateway that nobody knows.
    pub fn note_word(&self, word: &str) {
        let mut told = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < WORDS_MAX && told.insert(word.into()) {
            self.emit(&Journal::GatewayWord { why: String::from(word).into() });
        }
    }

    /// Compares our clock with that of the gateway, if it told the time in an answer. It was asked when ours said `asked`. The journal
    /// is told when they differ by more than a minute, and when they agree again.
    pub fn note_clock(&self, asked: Wall) {
        let Some(theirs) = self.gateway.told_time() else { return };
        let off = off(theirs, asked, self.clock());
        let differs = off.0.abs() > AGREES.0;
        if self.clock_differs.swap(differs, Ordering::Relaxed) == differs {
            return;
        }
        let (seconds, word) = (off.0.abs() / 1000, if off.0 > 0 { "ahead of" } else { "behind" });
        self.emit(&if differs { Journal::ClockDiffers { seconds, word: word.into() } } else { Journal::ClockAgrees {} });
    }
}

/// How far our clock is ahead of another computer's, or behind (negative). Ours was read before that told its time, and after. Its header
/// counts whole seconds, rounded down.
fn off(theirs: Wall, before: Wall, after: Wall) -> Span {
    match theirs {
        theirs if before > theirs + Span::secs(1) => before - (theirs + Span::secs(1)),
        theirs if theirs > after => after - theirs,
        _ => Span::ZERO,
    }
}

impl Health {
    /// All is well with it.
    fn back(&self, around: &dyn Surroundings, path: &'static str) {
        if self.failing.swap(false, Ordering::Relaxed) {
            around.emit(&Journal::StoreBack { path: path.into() });
        }
    }

    fn note<T>(&self, around: &dyn Surroundings, path: &'static str, result: &Result<T, BooksError>) {
        let path = || path.into();
        match result {
            // One row or page is damaged, and the rest is well. This is told at most once a minute.
            Err(BooksError::Store(error)) if error.is_damage() => {
                let now = around.now().0;
                if now - self.damage_told.load(Ordering::Relaxed) > 60_000 {
                    self.damage_told.store(now, Ordering::Relaxed);
                    around.emit(&Journal::StoreFailing { path: path(), why: error.to_string().into() });
                }
            }
            Err(BooksError::Store(error)) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    around.emit(&Journal::StoreFailing { path: path(), why: error.to_string().into() });
                }
            }
            Ok(_) | Err(_) => {}
        }
    }
}

/// So many charges that fail one after the other, for one reason, are told.
pub const CHARGES_FAIL: u32 = 5;

/// The charges that failed one after the other, since the last one that was made.
#[derive(Debug, Default)]
pub struct Charges(Mutex<Option<(ChargeTrouble, u32)>>);

/// What is to be told of charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// So many failed.
    Fails(u32),
    /// One was made again, after that was told.
    Works,
}

impl Charges {
    /// Notes the end of a charge.
    pub fn note(&self, failed: Option<ChargeTrouble>) -> Option<Turn> {
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

    /// How many failed, if these are so many that they are told.
    #[must_use]
    pub fn failing(&self) -> u32 {
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
    fn our_clock_is_compared_with_an_answer() {
        let theirs = Wall(1_000_000);
        for (before, after, expected) in [
            (1_000_000, 1_000_999, 0),
            (999_000, 1_000_000, 0),
            // It took its time.
            (900_000, 1_100_000, 0),
            (1_061_000, 1_061_500, 60_000),
            (1_061_001, 1_061_500, 60_001),
            (939_000, 940_000, -60_000),
            (938_000, 939_999, -60_001),
            (-5, 5, -999_995),
        ] {
            assert_eq!(off(theirs, Wall(before), Wall(after)), Span(expected), "{before} to {after}");
        }
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
