//! The store: a SQLite database. It is opened and looked at here. `orders.rs`, `outbox.rs`, `fact.rs`, `stock.rs` and `commands.rs` have its
//! tables.

use super::StoreError;
use super::fact::{Fact, Known};
use super::outbox::Outbox;
use super::stock;
use qris_core::order::ids::ItemId;
use qris_core::order::stock::{Older, Shelf};
use qris_core::order::time::{BootId, Wall};
use qris_core::wire::telemetry::{Measured, Tally};
use qris_host::mark::Mark;
use qris_host::sqlite::{self, OpenError, OpenFiles, Schema};
use ring::rand::{SecureRandom as _, SystemRandom};
use rusqlite::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const SCHEMA: Schema = Schema { application_id: 0x5152_6431, steps: &[include_str!("../schema/1.sql")], adding: &[] };
/// Names the life of the store.
const STREAM: Fact<Box<str>> = Fact::new("stream");
const TRUSTED: Fact<Wall> = Fact::new("trusted");
/// How often people have changed a slot.
pub(super) const CHANGES: Fact<u64> = Fact::new("stock_changes");
pub(super) const TALLY: Fact<Tally> = Fact::new("tally");
/// The number of the last report. It is needed if the counts cannot be read.
const REPORT: Fact<u64> = Fact::new("report");

/// All texts outside of the orders.
const TEXTS: &str = "SELECT payload FROM outbox UNION ALL SELECT name FROM facts UNION ALL SELECT value FROM facts
                     UNION ALL SELECT jti FROM commands UNION ALL SELECT record FROM commands
                     UNION ALL SELECT request_id FROM codes UNION ALL SELECT code FROM codes
                     UNION ALL SELECT item FROM stock UNION ALL SELECT shelf FROM stock";

/// The open database. After a call has returned, its writes are kept.
#[derive(Debug)]
pub struct Database {
    pub(super) connection: Connection,
    pub(super) files: OpenFiles,
    /// Counts the events, and what people changed in the slots.
    mark: Mark,
    pub(super) stream: Box<str>,
    pub(super) boot_id: BootId,
    pub(super) outbox: Outbox,
    /// The number of orders, finished or not.
    pub(super) orders: i64,
    pub(super) tally: Tally,
    pub(super) changes: u64,
    /// The contents of the slots that somebody has counted.
    pub(super) shelves: BTreeMap<ItemId, Shelf>,
    /// The slots whose line goes on selling after one more miss, as far as the relay has said. Such a miss is no reason to look.
    pub(super) tolerant: BTreeSet<ItemId>,
    /// This is dropped last: nobody else may have the database before it is closed.
    _lock: Arc<sqlite::Lock>,
}

#[derive(Debug)]
pub struct Opened {
    pub store: Database,
    /// The new place of a damaged one. Then orders are missing.
    pub set_aside: Option<PathBuf>,
    /// It is older than it was, or new where there was one. Then orders are missing, too. Its events go on under another name, with
    /// numbers that were not used yet.
    pub behind: Option<Behind>,
}

/// A database that has seen less than its mark says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Behind {
    /// Its events, and the changes of its slots by people.
    pub has: u64,
    /// How many there were once.
    pub had: u64,
}

/// The last trusted time in the database at `path`, whose service may run: by it the service judges certificates.
pub fn last_trusted_beside(path: &Path) -> Result<Wall, StoreError> {
    let opened = sqlite::open_beside(path, &SCHEMA, false)?;
    Ok(TRUSTED.read(&opened.connection)?.good().unwrap_or(Wall(0)))
}

impl Database {
    /// Opens the database. A damaged one is set aside and a new one begun. If it is `suspect`, every row and page is checked, else only the
    /// unfinished orders. It belongs to this process alone until the store is dropped. After an error nothing was changed.
    pub fn open(path: &Path, boot_id: &BootId, suspect: bool) -> Result<Opened, StoreError> {
        let lock = Arc::new(sqlite::claim(path)?);
        let opened = sqlite::open(path, &SCHEMA)?;
        let aside = opened.set_aside;
        let begin = |connection, lock| Self::begin(connection, path, lock, boot_id);
        let (store, behind) =
            match begin(opened.connection, Arc::clone(&lock)).and_then(|(store, behind)| Ok((store.looked_at(suspect)?, behind))) {
                Ok(good) => good,
                Err(error) if error.is_damage() => {
                    let aside = sqlite::set_aside(path).map_err(|source| OpenError::SetAside { path: path.into(), source })?;
                    let (store, behind) = begin(sqlite::open(path, &SCHEMA)?.connection, lock)?;
                    return Ok(Opened { store, set_aside: Some(aside), behind });
                }
                Err(other) => return Err(other),
            };
        Ok(Opened { store, set_aside: aside, behind })
    }

    /// The same on a machine without a broker: from now on events are numbered and counted, and not kept. Those that wait for a
    /// broker that the machine once had stay for the day when it has one again.
    #[must_use]
    pub fn without_broker(self) -> Self {
        Self { outbox: self.outbox.without_broker(), ..self }
    }

    /// Looks whether it is still the database at its name, and has its mark count what it has seen.
    pub fn check(&mut self) -> Result<(), StoreError> {
        self.files.are_in_place()?;
        self.write_mark()
    }

    pub(super) fn write_mark(&mut self) -> Result<(), StoreError> {
        let seen = self.outbox.last().saturating_add(self.changes);
        self.mark.write(i64::try_from(seen).unwrap_or(i64::MAX)).map_err(StoreError::Mark)
    }

    /// Writes without a change, to see whether the store can be written.
    pub fn probe(&mut self) -> Result<(), StoreError> {
        self.files.are_in_place()?;
        self.connection.prepare_cached("UPDATE probe SET n = 1 - n")?.execute([])?;
        Ok(())
    }

    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The id of its newest event; with the number 0 before the first.
    pub fn newest_event(&self) -> Box<str> {
        format!("{}.{}", self.stream, self.outbox.last()).into()
    }

    /// Whether there is room for another order's events.
    pub fn has_room(&self) -> bool {
        self.outbox.has_room()
    }

    /// Forgets events that the broker has. If that fails, they are published again after the next start: their `event_id` makes that harmless.
    pub fn forget(&mut self, sent: &[u64]) -> Result<(), StoreError> {
        let mut outbox = self.outbox;
        let transaction = self.connection.transaction()?;
        outbox.forget(&transaction, sent)?;
        transaction.commit()?;
        self.outbox = outbox;
        Ok(())
    }

    /// The oldest event after `seq` that the broker does not have.
    pub fn next_event(&self, seq: u64) -> Result<Option<(u64, String)>, StoreError> {
        Ok(self.outbox.next(&self.connection, seq)?)
    }

    pub fn known<T: Serialize + DeserializeOwned>(&self, fact: &Fact<T>) -> Result<Known<T>, StoreError> {
        Ok(fact.read(&self.connection)?)
    }

    /// Stores a fact, in place of the earlier one.
    pub fn keep<T: Serialize + DeserializeOwned>(&mut self, fact: &Fact<T>, value: &T) -> Result<(), StoreError> {
        Ok(fact.write(&self.connection, value)?)
    }

    /// What a person would ask of it, without its orders. Nearly all of that is in memory: a customer may wait.
    pub fn as_json(&self) -> Value {
        let mut live: BTreeMap<String, usize> = BTreeMap::new();
        let unfinished = self.live();
        for stored in unfinished.iter().flatten() {
            *live.entry(stored.order.name().0.to_string()).or_default() += 1;
        }
        json!({
            "stream": self.stream,
            "orders": self.orders,
            "unfinished": unfinished.map_or_else(|why| why.to_string().into(), |_| json!(live)),
            "sums": self.tally.all(),
            "events": self.outbox.last(),
            "waiting": self.waiting(),
        })
    }

    /// The counts of orders that ended. They change in the commit with which an order ends.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Begins another report of what ended, and of what was measured: this, too. After an error nothing was changed.
    pub fn begin_report(&mut self, measured: &Measured) -> Result<(), StoreError> {
        let mut tally = self.tally.clone();
        tally.measure(measured);
        tally.begin_report();
        let transaction = self.connection.transaction()?;
        TALLY.write(&transaction, &tally)?;
        REPORT.write(&transaction, &tally.number)?;
        transaction.commit()?;
        self.tally = tally;
        Ok(())
    }

    /// The number of events that the broker does not have.
    pub fn waiting(&self) -> u64 {
        self.outbox.waiting()
    }

    /// The last trusted time, by which the dates of certificates are judged.
    pub fn last_trusted(&self) -> Result<Wall, StoreError> {
        Ok(self.known(&TRUSTED)?.good().unwrap_or(Wall(0)))
    }

    /// Stores a trusted time. It may be an earlier one than before.
    pub fn trust(&mut self, now: Wall) -> Result<(), StoreError> {
        self.keep(&TRUSTED, &now)
    }

    fn looked_at(self, suspect: bool) -> Result<Self, StoreError> {
        self.live()?;
        if suspect {
            if let Some(found) = sqlite::check_indexes(&self.connection)? {
                return Err(StoreError::Damaged(found.into()));
            }
            self.check_orders()?;
            // A text that is not valid any more stops every reader of it, and no check of SQLite finds it.
            let mut texts = self.connection.prepare(TEXTS)?;
            texts.query_map([], |row| row.get::<_, String>(0))?.try_for_each(|text| text.map(drop))?;
        }
        Ok(self)
    }

    fn begin(
        mut connection: Connection,
        path: &Path,
        lock: Arc<sqlite::Lock>,
        boot_id: &BootId,
    ) -> Result<(Self, Option<Behind>), StoreError> {
        let (mark, files) = (Mark::open(path).map_err(StoreError::Mark)?, OpenFiles::of(path));
        let mut outbox = Outbox::begin(&connection)?;
        let had = u64::try_from(mark.counted()).unwrap_or(0);
        let changes = CHANGES.read(&connection)?.good().unwrap_or(0);
        let has = outbox.last().saturating_add(changes);
        let behind = (has < had).then_some(Behind { has, had });
        let mut shelves = stock::all(&connection)?;
        let stream = match STREAM.read(&connection)? {
            Known::Is(stream) if behind.is_none() => stream,
            // Under another name its events are those of another life. Its orders are the same.
            Known::Is(_) | Known::Never | Known::Damaged => {
                let mut bits = [0; 8];
                SystemRandom::new().fill(&mut bits).map_err(|_| StoreError::Random)?;
                let stream = qris_core::hex(&bits).into();
                let transaction = connection.transaction()?;
                STREAM.write(&transaction, &stream)?;
                if behind.is_some() {
                    outbox.go_on_after(&transaction, had)?;
                    // What people took out since then is forgotten, and no relay's ledger has it.
                    for (item, shelf) in &mut shelves {
                        shelf.older = Some(Older::Database);
                        stock::write(&transaction, item, shelf)?;
                    }
                }
                transaction.commit()?;
                stream
            }
        };
        let orders = connection.query_row("SELECT count(*) FROM orders", [], |row| row.get(0))?;
        let tally = match (TALLY.read(&connection)?, REPORT.read(&connection)?) {
            (Known::Is(tally), _) => tally,
            (Known::Never, _) => Tally::default(),
            (Known::Damaged, Known::Is(last)) => Tally { number: last + 1, ..Tally::default() },
            // There were hardly more reports than events.
            (Known::Damaged, Known::Damaged | Known::Never) => Tally { number: outbox.last(), ..Tally::default() },
        };
        let (boot_id, tolerant) = (boot_id.clone(), BTreeSet::new());
        Ok((Self { connection, files, mark, stream, boot_id, outbox, orders, tally, changes, shelves, tolerant, _lock: lock }, behind))
    }
}
#[cfg(test)]
mod tests;
