//! The machines, as the running backend has them: their database, who is there, and who is being let in.

use crate::machines::accounts::Administrator;
use crate::machines::devices::{self, Shown};
use crate::machines::presence::{News, Presence};
use crate::machines::reported::{self, Unreadable};
use crate::machines::stock::{self, Heard};
use crate::machines::topics::Number;
use crate::machines::twins::{self, Sight};
use crate::sale::books::{self, BooksError, StockAlert};
use crate::sale::handle::{Bell, Books};
use crate::store::{Store, Tx, WatchedStore};
use qris_core::order::ids::DeviceId;
use qris_core::order::proof::RelayKey;
use qris_core::order::time::{Now, Span, Wall, Zone};
use qris_core::text;
use qris_core::wire::topics::{PROBE, Topic, TopicsTold};
use qris_host::clock;
use qris_host::events::{Event as Journal, Text};
use qris_host::mqtt::Inbound;
use qris_host::surroundings::Surroundings;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

/// How often it is looked which machines are there.
const CHECK: Duration = Duration::from_secs(5);
/// Alerts of what lies in machines are compared with it at each news, and so often: another process may have ended in between.
const COMPARE: Duration = Duration::from_secs(60);
/// All that machines say of their stock in this time is written together. Somebody with a machine's account may say something at any
/// moment.
const GATHER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Machines {
    around: Arc<dyn Surroundings>,
    database: WatchedStore,
    books: Arc<Books>,
    presence: Presence,
    stock: Heard,
    accounts: Option<Administrator>,
    /// Its holder alone changes who is let in by a code, and the accounts.
    enrolling: Mutex<()>,
}

impl Machines {
    /// The machines in this database, which sell as these books say. One of which nothing is heard for `missing_after` is missing.
    /// `accounts`: where their accounts at the broker are made, if this backend makes them.
    #[must_use]
    pub fn new(
        store: Store,
        books: Arc<Books>,
        missing_after: Span,
        accounts: Option<Administrator>,
        around: Arc<dyn Surroundings>,
    ) -> Self {
        let database = WatchedStore::new(store, Arc::clone(&around), "of machines");
        Self {
            around,
            database,
            books,
            presence: Presence::new(missing_after),
            stock: Heard::default(),
            accounts,
            enrolling: Mutex::default(),
        }
    }

    /// The time of day, by the clock of the books.
    #[must_use]
    pub fn now(&self) -> Wall {
        self.books.now().wall
    }

    /// The time by which codes end.
    #[must_use]
    pub fn latest(&self) -> Wall {
        self.books.latest()
    }

    /// Reads in the database of the machines.
    /// An error of the database also goes to the journal.
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Tx) -> Result<T, BooksError> + Send + 'static,
    ) -> Result<T, BooksError> {
        self.database.read(job).await
    }

    /// Writes in the database of the machines. The journal hears of no error.
    pub async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Tx) -> Result<T, BooksError> + Send + 'static,
    ) -> Result<T, BooksError> {
        self.database.write_quietly(job).await
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
        if self.read(move |tx| devices::is_known_by(tx, &known, &wanted)).await? {
            return Ok(());
        }
        let of = device.clone();
        let is_new = !self.books.read(move |tx| books::has_orders(tx, &of)).await?;
        let (shown, fingerprint) = (device.clone(), key.fingerprint().into());
        let now = self.now();
        let written = self.database.write(move |tx| devices::shown(tx, &shown, &token_hash, &key, is_new, now)).await;
        let device = device.clone();
        match written? {
            Shown::Known | Shown::Another { news: false } => {}
            Shown::First => self.around.emit(&Journal::RelayKeyKnown { device, fingerprint, by: "its first key".into() }),
            Shown::Another { news: true } => self.around.emit(&Journal::RelayKeyOther { device, fingerprint }),
        }
        Ok(())
    }

    /// A machine asked something, with its token.
    pub fn called(&self, device: &DeviceId) {
        self.presence.called(device, self.moment());
    }

    /// A message came from the broker, under a machine's account there.
    pub fn reported(&self, Inbound { topic, payload, retain: is_stored, expiry_s, .. }: &Inbound) -> Result<(), Unreadable> {
        if payload == PROBE {
            return Ok(());
        }
        let (device, of) = Topic::parse(topic).ok_or(Unreadable)?;
        if of == Topic::Stock {
            if !self.stock.take(device.clone(), stock::read(payload, *is_stored, self.now())?) {
                return Err(Unreadable);
            }
        } else if let Some((device, report)) = reported::read(topic, payload, *is_stored, *expiry_s)? {
            self.presence.reported(device, report, self.moment());
        }
        self.presence.came(&device, of, Number::of(payload));
        Ok(())
    }

    /// A machine says over HTTP which of its messages the broker took. `boot`: its present one.
    pub fn topics_told(&self, device: &DeviceId, told: &TopicsTold, boot: Option<&str>) {
        self.presence.topics_told(device, told, boot, self.moment());
    }

    /// The broker takes our news on this topic, or refuses it. `true`: it refuses it, and that is news.
    pub fn written(&self, topic: &str, is_taken: bool) -> bool {
        Topic::parse(topic).is_some_and(|(device, _)| self.presence.written(&device, is_taken))
    }

    /// The name that a machine gave itself last, if it told one. It is for people, and may be missing when the database is.
    pub async fn name(&self, device: &DeviceId) -> Option<Box<str>> {
        if let Some(name) = self.presence.name(device) {
            return Some(name);
        }
        let of = device.clone();
        self.read(move |tx| reported::name(tx, &of)).await.ok().flatten()
    }

    /// The goods that a machine said last it does not sell because their lines are blocked.
    pub async fn blocked(&self, device: &DeviceId) -> Result<Option<Box<str>>, BooksError> {
        let of = device.clone();
        self.read(move |tx| reported::blocked(tx, &of)).await
    }

    /// A machine as people know it, for the journal.
    async fn named(&self, device: &DeviceId) -> Text {
        text::named(self.name(device).await.as_deref(), device.as_str()).into()
    }

    /// Whether the broker brings what machines say, from now on.
    pub fn hears(&self, hears: bool) {
        self.presence.hears(hears, self.moment());
    }

    #[must_use]
    pub fn is_hearing(&self) -> bool {
        self.presence.is_hearing()
    }

    /// A machine says whether another computer takes its place at the broker. People are told when that begins and when it is over.
    pub async fn at_broker(&self, device: &DeviceId, taken_over: bool) {
        self.presence.taken_over(device, taken_over);
        let of = device.clone();
        // What cannot be read or written now is said again. The journal hears of the error.
        let now = self.books.now();
        let Ok(true) = self.books.read(move |tx| books::is_place_news(tx, &of, taken_over, now)).await else { return };
        let of = device.clone();
        if self.books.write(move |tx, _, now| books::taken_over(tx, &of, taken_over, now)).await.is_err() {
            return;
        }
        if taken_over {
            self.around.emit(&Journal::MachineTakenOver { device: device.clone(), machine: self.named(device).await });
        }
        self.books.ring(Bell::Alerts);
    }

    /// A call shows something new of a machine's computer. If that is another computer, people are told.
    pub async fn seen(&self, device: &DeviceId, sight: Sight) {
        let (of, now) = (device.clone(), self.now());
        // What cannot be written now is new at the next call, too. The books tell of a full disk.
        let Ok(Some(both)) = self.write(move |tx| twins::note(tx, &of, &sight, now)).await else { return };
        let addresses: Box<str> = both.join(" and ").into();
        let machine = self.named(device).await;
        self.around.emit(&Journal::MachineTwice { device: device.clone(), machine, addresses: String::from(&*addresses).into() });
        let wanted = device.clone();
        // The journal has heard of the machine already, and hears of an error too.
        let _ = self.books.write(move |tx, _, now| books::machine_twice(tx, &wanted, &addresses, now)).await;
        self.books.ring(Bell::Alerts);
    }

    /// Reads which machines are let in. What can be read need not be writable: after a failure it is tried here, where nobody waits.
    pub async fn know(&self) {
        if self.database.is_failing() {
            self.database.look_for_writes().await;
        }
        if let Ok(let_in) = self.read(devices::let_in).await {
            self.presence.know(&let_in, self.moment());
        }
    }

    /// Looks which machines are there, to the end of the program. With `tells` people hear of those that are not.
    pub async fn watch(self: Arc<Self>, tells: bool) {
        loop {
            self.know().await;
            self.check(tells).await;
            tokio::time::sleep(CHECK).await;
        }
    }

    async fn check(&self, tells: bool) {
        let News { missing, to_note, silent } = self.presence.check(self.moment());
        for (device, topics) in silent {
            let machine = self.named(&device).await;
            let topics = topics.iter().map(|topic| topic.tail()).collect::<Vec<_>>().join(", ").into();
            self.around.emit(&Journal::TopicsSilent { device, machine, topics });
        }
        if tells && !missing.is_empty() {
            let wanted = missing.clone();
            let write = self.books.write(move |tx, _, now| wanted.iter().try_for_each(|device| books::machine_offline(tx, device, now)));
            match write.await {
                Ok(()) => {
                    let seconds = self.presence.missing_after().0 / 1000;
                    for device in missing {
                        let machine = self.named(&device).await;
                        self.around.emit(&Journal::MachineOffline { device, machine, seconds });
                    }
                    self.books.ring(Bell::Alerts);
                }
                Err(_) => self.presence.failed(&missing, &[]),
            }
        }
        if tells {
            self.end_alerts().await;
        }
        if !to_note.is_empty() {
            let devices: Vec<_> = to_note.iter().map(|(device, _)| device.clone()).collect();
            let note = move |tx: &mut dyn Tx| Ok(to_note.iter().try_for_each(|(device, noted)| reported::note(tx, device, noted))?);
            if self.database.write::<_, BooksError>(note).await.is_err() {
                self.presence.failed(&[], &devices);
            } else if tells {
                self.tell_of_stock().await;
            }
        }
    }

    /// Waits until there is room for what machines say of their stock.
    pub async fn room(&self) {
        self.stock.room().await;
    }

    /// Writes down what machines say of their stock, to the end of the program. With `tells` people hear of it.
    pub async fn follow_stock(self: Arc<Self>, zone: Zone, tells: bool) {
        loop {
            if tells {
                self.tell_of_stock().await;
            }
            let (some, are_many) = self.stock.some();
            if some.is_empty() {
                // Both ends of the wait lead to a look.
                let _ = timeout(COMPARE, self.stock.news()).await;
                continue;
            }
            if self.write_stock(some.clone(), zone).await.is_err() {
                self.stock.failed(some);
                tokio::time::sleep(CHECK).await;
                continue;
            }
            self.stock.written();
            if !are_many {
                tokio::time::sleep(GATHER).await;
            }
        }
    }

    async fn write_stock(&self, told: Vec<(DeviceId, stock::StockReport)>, zone: Zone) -> Result<(), BooksError> {
        let news = self.read(move |tx| stock::news(tx, told)).await?;
        if news.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let with_pace = move |tx: &mut dyn Tx| {
            let pace = |(device, told)| Ok((books::sold_since(tx, &device, now - stock::PACE)?, device, told));
            news.into_iter().map(pace).collect::<Result<Vec<_>, BooksError>>()
        };
        let news = self.books.read(with_pace).await?;
        let write =
            move |tx: &mut dyn Tx| news.into_iter().try_for_each(|(sold, device, told)| stock::note(tx, &device, told, &sold, zone, now));
        self.database.write(write).await
    }

    /// Begins and ends alerts, as the slots of the machines are, whichever process wrote that.
    async fn tell_of_stock(&self) {
        // A machine that counts nothing tells a blocked line and a wrong price as faults alone.
        let told = self.read(|tx| Ok((stock::wanting(tx)?, reported::all_blocked(tx)?, reported::all_with_wrong_prices(tx)?))).await;
        let (Ok((wanting, blocked, wrong)), Ok(open)) = (told, self.books.read(books::open_stock_alerts).await) else { return };
        let is_open = |device: &str, alert| open.contains(&(device.into(), alert));
        let is_so = |device: &str, alert| {
            let is_fault = match alert {
                StockAlert::Blocked => blocked.contains(device),
                StockAlert::Price => wrong.contains(device),
                StockAlert::Low | StockAlert::SoldOut | StockAlert::Suspect => false,
            };
            is_fault || wanting.get(device).is_some_and(|wanting| wanting.is(alert))
        };
        let is_new = |device: &str, alert| match alert {
            // An alert of sold-out goods tells what is low, too.
            StockAlert::Low => is_so(device, alert) && !is_so(device, StockAlert::SoldOut),
            StockAlert::SoldOut | StockAlert::Suspect | StockAlert::Blocked | StockAlert::Price => is_so(device, alert),
        };
        let devices = wanting.keys().chain(&blocked).chain(&wrong).cloned().collect::<BTreeSet<_>>().into_iter();
        let all = |device: Box<str>| StockAlert::ALL.map(|alert| (device.clone(), alert));
        let begun = devices.flat_map(all).filter(|(device, alert)| is_new(device, *alert) && !is_open(device, *alert));
        let over = open.iter().filter(|(device, alert)| !is_so(device, *alert)).cloned();
        let changes: Vec<_> = begun.map(|what| (what, true)).chain(over.map(|what| (what, false))).collect();
        if changes.is_empty() {
            return;
        }
        let write = move |tx: &mut dyn Tx, _: &_, now| {
            changes.iter().try_for_each(|((device, alert), is_so)| match DeviceId::new(device) {
                Ok(device) => books::stock_wants(tx, &device, *alert, *is_so, now),
                // A name that is damaged is no machine's.
                Err(_) => Ok(()),
            })
        };
        // What cannot be written now is seen again.
        if self.books.write(write).await.is_ok() {
            self.books.ring(Bell::Alerts);
        }
    }

    /// Ends the alerts of machines that are there again, whichever process began them.
    async fn end_alerts(&self) {
        let Ok(missing) = self.books.read(books::machines_offline).await else { return };
        for (device, since) in missing {
            // After a clock was set back, an alert must end, too.
            let is_back = |at: Wall| at > since || self.now() < since;
            if !self.presence.there(&device).is_some_and(is_back) {
                continue;
            }
            let wanted = device.clone();
            if matches!(self.books.write(move |tx, _, now| books::machine_back(tx, &wanted, now)).await, Ok(true)) {
                let machine = self.named(&device).await;
                self.around.emit(&Journal::MachineBack { device, machine });
                self.books.ring(Bell::Alerts);
            }
        }
    }

    fn moment(&self) -> Now {
        Now { wall: self.now(), ..clock::now() }
    }

    #[must_use]
    pub const fn accounts(&self) -> Option<&Administrator> {
        self.accounts.as_ref()
    }

    /// Waits for the turn to change who is let in by a code, and the accounts. It lasts as long as its guard.
    pub async fn turn(&self) -> MutexGuard<'_, ()> {
        self.enrolling.lock().await
    }
}
