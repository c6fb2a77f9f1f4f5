//! The store: a SQLite database.

use super::fact::{Fact, Known};
use super::{Draft, KNOWN_REQUESTS, OUTBOX_MAX, StoreError, Stored, sealed};
use qris_core::order::ids::{CommandId, OrderId, PaymentCode, RequestId, Ticket};
use qris_core::order::machine::{Order, unfinished};
use qris_core::order::time::{BootId, Wall};
use qris_core::wire::telemetry::{Measured, Tally};
use qris_core::wire::vend::VendEvent;
use qris_host::checksum::checksum;
use qris_host::sqlite::{self, OpenError, Schema};
use ring::rand::{SecureRandom as _, SystemRandom};
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Its tables.
pub const SCHEMA: Schema = Schema { application_id: 0x5152_6431, steps: &[include_str!("../schema/1.sql")], adding: &[] };
/// Names the life of the store.
const STREAM: Fact<Box<str>> = Fact::new("stream");
/// The last trusted time.
const TRUSTED: Fact<Wall> = Fact::new("trusted");
/// The counts of orders that ended.
const TALLY: Fact<Tally> = Fact::new("tally");
/// The number of the last report. It is needed if the counts cannot be read.
const REPORT: Fact<u64> = Fact::new("report");

/// The open database. After a call has returned, its writes are kept.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    stream: Box<str>,
    boot_id: BootId,
    /// There is a broker, for which events are kept.
    has_broker: bool,
    waiting: i64,
    /// The number of the last event.
    seq: u64,
    /// The row of the last event is kept for its number only.
    emptied: bool,
    /// The number of orders, finished or not.
    orders: i64,
    tally: Tally,
    /// This is dropped last: nobody else may have the database before it is closed.
    _lock: Arc<sqlite::Lock>,
}

/// The result of opening it.
#[derive(Debug)]
pub struct Opened {
    /// Ready for use.
    pub store: Database,
    /// The new place of a damaged one. Then orders are missing.
    pub set_aside: Option<PathBuf>,
}

/// The last trusted time in the database at `path`, whose service may run: by it the service judges certificates.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn last_trusted_beside(path: &Path) -> Result<Wall, StoreError> {
    let opened = sqlite::open_beside(path, &SCHEMA, false)?;
    Ok(known(&opened.connection, &TRUSTED)?.good().unwrap_or(Wall(0)))
}

fn known<T: Serialize + DeserializeOwned>(connection: &Connection, fact: &Fact<T>) -> rusqlite::Result<Known<T>> {
    let mut select = connection.prepare_cached("SELECT value FROM facts WHERE name = ?1")?;
    Ok(fact.open(select.query_row([fact.name], |row| row.get(0)).optional()?))
}

impl Database {
    /// Opens the database. A damaged one is set aside and a new one begun. If it is `suspect`, every row and page is
    /// checked, else only the unfinished orders. It belongs to this process alone until the store is dropped.
    ///
    /// # Errors
    /// The fault of the file or its directory. Then nothing was changed.
    pub fn open(path: &Path, boot_id: &BootId, suspect: bool) -> Result<Opened, StoreError> {
        let lock = Arc::new(sqlite::claim(path)?);
        let opened = sqlite::open(path, &SCHEMA)?;
        let aside = opened.set_aside;
        let store = match Self::begin(opened.connection, Arc::clone(&lock), boot_id).and_then(|store| store.looked_at(suspect)) {
            Ok(store) => store,
            Err(error) if error.is_damage() => {
                let aside = sqlite::set_aside(path).map_err(|source| OpenError::SetAside { path: path.into(), source })?;
                let store = Self::begin(sqlite::open(path, &SCHEMA)?.connection, lock, boot_id)?;
                return Ok(Opened { store, set_aside: Some(aside) });
            }
            Err(other) => return Err(other),
        };
        Ok(Opened { store, set_aside: aside })
    }

    /// The same on a machine without a broker: from now on events are numbered and counted, and not kept. Those that wait for a
    /// broker that the machine once had stay for the day when it has one again.
    #[must_use]
    pub fn without_broker(self) -> Self {
        Self { has_broker: false, ..self }
    }

    /// Writes without a change, to see whether the store can be written.
    ///
    /// # Errors
    /// Why it cannot be written.
    pub fn probe(&mut self) -> Result<(), StoreError> {
        self.connection.prepare_cached("UPDATE probe SET n = 1 - n")?.execute([])?;
        Ok(())
    }

    /// Names the life of this store.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// The id of its newest event; with the number 0 before the first.
    pub fn newest_event(&self) -> Box<str> {
        format!("{}.{}", self.stream, self.seq).into()
    }

    /// Whether there is room for another order's events.
    pub fn has_room(&self) -> bool {
        !self.has_broker || self.waiting < OUTBOX_MAX
    }

    /// All orders with something to do or to await, oldest first.
    ///
    /// # Errors
    /// When a row is damaged, or the file cannot be read.
    pub fn live(&self) -> Result<Vec<Stored>, StoreError> {
        let mut select = self.connection.prepare_cached(&format!("{SELECT} WHERE live = 1 ORDER BY rowid"))?;
        let rows = select.query_map([], Self::columns)?;
        rows.map(|row| self.restore(row?)).collect()
    }

    /// The order of a request, finished or not.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    pub fn by_request(&self, request_id: &RequestId) -> Result<Option<Stored>, StoreError> {
        self.one("request_id = ?1", request_id.as_str())
    }

    /// The order with that name, finished or not.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    pub fn by_order(&self, order_id: &OrderId) -> Result<Option<Stored>, StoreError> {
        self.one("order_id = ?1", order_id.as_str())
    }

    /// The order with this payment code, finished or not. Of several it is the newest.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    pub fn by_code(&self, code: &PaymentCode) -> Result<Option<Stored>, StoreError> {
        let which = "request_id IN (SELECT request_id FROM codes WHERE code = ?1) ORDER BY rowid DESC LIMIT 1";
        self.one(which, code.as_str())
    }

    /// Whether an order has this ticket.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn has_ticket(&self, ticket: &Ticket) -> Result<bool, StoreError> {
        let mut select = self.connection.prepare_cached("SELECT 1 FROM orders WHERE ticket = ?1")?;
        Ok(select.exists([ticket.as_str()])?)
    }

    /// Writes a new version of an order, its events and what was measured, all or nothing. Forgets the events `sent`, which
    /// the broker has. Answers with the events as they were stored.
    ///
    /// # Errors
    /// Then nothing was changed.
    pub fn commit(
        &mut self,
        order: &Order,
        before: Option<i64>,
        drafts: Vec<Draft>,
        sent: &[u64],
        measured: &Measured,
    ) -> Result<(Vec<VendEvent>, Stored), StoreError> {
        let transaction = self.connection.transaction()?;
        let (mut seq, mut tally) = (self.seq, self.tally.clone());
        tally.measure(measured);
        let mut events = Vec::new();
        let before_row = match before {
            None => None,
            Some(_) => {
                let mut select =
                    transaction.prepare_cached("SELECT order_id, holds, live, last_event FROM orders WHERE request_id = ?1")?;
                let indexed =
                    |row: &Row<'_>| Ok(((row.get("order_id")?, row.get("holds")?, row.get("live")?), row.get::<_, String>("last_event")?));
                Some(select.query_row([order.offer.request.request_id.as_str()], indexed)?)
            }
        };
        let (indexed, mut last_event): (_, Box<str>) = match before_row {
            None => (None, "".into()),
            Some((indexed, last_event)) => (Some(indexed), last_event.into()),
        };
        let mut emptied = self.emptied;
        for draft in drafts {
            if emptied {
                transaction.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?.execute([i64_of(seq)])?;
            }
            seq += 1;
            let event = draft(seq, &format!("{}.{seq}", self.stream));
            tally.count(serde_json::from_str(&last_event).ok().as_ref(), &event);
            last_event = serde_json::to_string(&event).expect("an event is plain data").into();
            let kept = if self.has_broker { &*last_event } else { "" };
            transaction.prepare_cached("INSERT INTO outbox (seq, payload) VALUES (?1, ?2)")?.execute(params![i64_of(seq), kept])?;
            emptied = !self.has_broker;
            events.push(event);
        }
        let row = Columns::of(order, before.unwrap_or(0) + 1, &self.boot_id, &last_event);
        row.write(&transaction, indexed.as_ref())?;
        if let Some(code) = order.code() {
            let sql = "INSERT INTO codes (request_id, code) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            transaction.prepare_cached(sql)?.execute(params![row.request_id, code.as_str()])?;
        }
        let orders = if before.is_none() { self.orders + 1 - forget_orders(&transaction, self.orders + 1)? } else { self.orders };
        if tally != self.tally {
            keep(&transaction, &TALLY, &tally)?;
        }
        forget(&transaction, sent, seq)?;
        transaction.commit()?;
        self.tally = tally;
        self.emptied = sent.contains(&seq) || emptied;
        (self.seq, self.orders) = (seq, orders);
        let kept = if self.has_broker { events.len() } else { 0 };
        self.waiting += i64_of(kept as u64) - i64_of(sent.len() as u64);
        let stored = Stored { order: order.clone(), rev: row.rev, same_boot: true, last_event };
        Ok((events, stored))
    }

    /// Forgets events that the broker has.
    ///
    /// # Errors
    /// Then they are published again after the next start. Their `event_id` makes that harmless.
    pub fn forget(&mut self, sent: &[u64]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        forget(&transaction, sent, self.seq)?;
        transaction.commit()?;
        self.emptied |= sent.contains(&self.seq);
        self.waiting -= i64_of(sent.len() as u64);
        Ok(())
    }

    /// The oldest event after `seq` that the broker does not have.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_event(&self, seq: u64) -> Result<Option<(u64, String)>, StoreError> {
        if seq >= self.seq || self.waiting == 0 {
            return Ok(None);
        }
        let sql = "SELECT seq, payload FROM outbox WHERE seq > ?1 AND payload <> '' ORDER BY seq LIMIT 1";
        let mut select = self.connection.prepare_cached(sql)?;
        let row = select.query_row([i64_of(seq)], |row| Ok((row.get::<_, i64>("seq")?, row.get("payload")?))).optional()?;
        Ok(row.map(|(seq, payload)| (u64::try_from(seq).unwrap_or(0), payload)))
    }

    /// What is known of a fact.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn known<T: Serialize + DeserializeOwned>(&self, fact: &Fact<T>) -> Result<Known<T>, StoreError> {
        Ok(known(&self.connection, fact)?)
    }

    /// Stores a fact, in place of the earlier one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep<T: Serialize + DeserializeOwned>(&mut self, fact: &Fact<T>, value: &T) -> Result<(), StoreError> {
        Ok(keep(&self.connection, fact, value)?)
    }

    /// Everything that is stored of operators' commands, as it was given to [`Database::keep_command`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn commands(&self) -> Result<Vec<(CommandId, String)>, StoreError> {
        let mut select = self.connection.prepare_cached("SELECT jti, record FROM commands ORDER BY jti")?;
        let rows = select.query_map([], |row| Ok((row.get::<_, String>("jti")?, row.get("record")?)))?;
        let named = rows.filter_map(|row| row.map(|(jti, record)| Some((CommandId::new(&jti).ok()?, record))).transpose());
        Ok(named.collect::<Result<_, _>>()?)
    }

    /// Stores what is known of a command, in place of what was known before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep_command(&mut self, jti: &CommandId, record: &str) -> Result<(), StoreError> {
        let sql = "INSERT INTO commands (jti, record) VALUES (?1, ?2) ON CONFLICT (jti) DO UPDATE SET record = excluded.record";
        self.connection.prepare_cached(sql)?.execute([jti.as_str(), record])?;
        Ok(())
    }

    /// Forgets a command.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget_command(&mut self, jti: &CommandId) -> Result<(), StoreError> {
        self.connection.prepare_cached("DELETE FROM commands WHERE jti = ?1")?.execute([jti.as_str()])?;
        Ok(())
    }

    /// The last events of the newest requests, the newest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn newest(&self, limit: u16) -> Result<Vec<Value>, StoreError> {
        let mut select = self.connection.prepare_cached("SELECT last_event FROM orders ORDER BY rowid DESC LIMIT ?1")?;
        let rows = select.query_map([limit], |row| row.get::<_, String>("last_event"))?;
        let events = rows.map(|row| Ok(serde_json::from_str(&row?).unwrap_or_default()));
        events.collect()
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
            "events": self.seq,
            "waiting": self.waiting(),
        })
    }

    /// The counts of orders that ended. They change in the commit with which an order ends.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Begins another report of what ended, and of what was measured: this, too.
    ///
    /// # Errors
    /// Then nothing was changed.
    pub fn begin_report(&mut self, measured: &Measured) -> Result<(), StoreError> {
        let mut tally = self.tally.clone();
        tally.measure(measured);
        tally.begin_report();
        let transaction = self.connection.transaction()?;
        keep(&transaction, &TALLY, &tally)?;
        keep(&transaction, &REPORT, &tally.number)?;
        transaction.commit()?;
        self.tally = tally;
        Ok(())
    }

    /// The number of events that the broker does not have.
    pub fn waiting(&self) -> u64 {
        u64::try_from(self.waiting).unwrap_or(0)
    }

    /// The last trusted time, by which the dates of certificates are judged.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn last_trusted(&self) -> Result<Wall, StoreError> {
        Ok(self.known(&TRUSTED)?.good().unwrap_or(Wall(0)))
    }

    /// Stores a trusted time. It may be an earlier one than before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn trust(&mut self, now: Wall) -> Result<(), StoreError> {
        self.keep(&TRUSTED, &now)
    }

    fn looked_at(self, suspect: bool) -> Result<Self, StoreError> {
        self.live()?;
        if suspect {
            if let Some(found) = sqlite::check_indexes(&self.connection)? {
                return Err(StoreError::Damaged(found.into()));
            }
            let mut select = self.connection.prepare(SELECT)?;
            let rows = select.query_map([], Self::columns)?;
            rows.into_iter().try_for_each(|row| self.restore(row?).map(drop))?;
            // A text that is not valid any more stops every reader of it, and no check of SQLite finds it.
            let mut texts = self.connection.prepare(TEXTS)?;
            texts.query_map([], |row| row.get::<_, String>(0))?.try_for_each(|text| text.map(drop))?;
        }
        Ok(self)
    }

    fn begin(connection: Connection, lock: Arc<sqlite::Lock>, boot_id: &BootId) -> Result<Self, StoreError> {
        let stream = match known(&connection, &STREAM)? {
            Known::Is(stream) => stream,
            // Under another name its events are those of another life. Its orders are the same.
            Known::Never | Known::Damaged => {
                let mut bits = [0; 8];
                SystemRandom::new().fill(&mut bits).map_err(|_| StoreError::Random)?;
                let stream = qris_core::hex(&bits).into();
                keep(&connection, &STREAM, &stream)?;
                stream
            }
        };
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let waiting = number("SELECT count(*) FROM outbox WHERE payload <> ''")?;
        let seq = number("SELECT coalesce(max(seq), 0) FROM outbox")?;
        let emptied = number("SELECT count(*) FROM outbox WHERE payload = ''")? > 0;
        let orders = number("SELECT count(*) FROM orders")?;
        let seq = u64::try_from(seq).unwrap_or(0);
        let tally = match (known(&connection, &TALLY)?, known(&connection, &REPORT)?) {
            (Known::Is(tally), _) => tally,
            (Known::Never, _) => Tally::default(),
            (Known::Damaged, Known::Is(last)) => Tally { number: last + 1, ..Tally::default() },
            // There were hardly more reports than events.
            (Known::Damaged, Known::Damaged | Known::Never) => Tally { number: seq, ..Tally::default() },
        };
        let boot_id = boot_id.clone();
        Ok(Self { connection, stream, boot_id, has_broker: true, waiting, seq, emptied, orders, tally, _lock: lock })
    }

    fn one(&self, which: &str, value: &str) -> Result<Option<Stored>, StoreError> {
        let mut select = self.connection.prepare_cached(&format!("{SELECT} WHERE {which}"))?;
        let row = select.query_row([value], Self::columns).optional()?;
        row.map(|row| self.restore(row)).transpose()
    }

    fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
        Ok(Columns {
            request_id: row.get("request_id")?,
            order_id: row.get("order_id")?,
            ticket: row.get("ticket")?,
            state: row.get("state")?,
            reason: row.get("reason")?,
            body: row.get("body")?,
            receipt: row.get("receipt")?,
            holds: row.get("holds")?,
            live: row.get("live")?,
            boot_id: row.get("boot_id")?,
            last_event: row.get("last_event")?,
            rev: row.get("rev")?,
            sum: row.get("sum")?,
        })
    }

    fn restore(&self, row: Columns) -> Result<Stored, StoreError> {
        let damaged = || StoreError::Damaged(format!("order {}", row.request_id).into());
        if row.sum != row.checksum() {
            return Err(damaged());
        }
        let order = row.order().ok_or_else(damaged)?;
        let same_boot = *row.boot_id == *self.boot_id.0;
        Ok(Stored { order, rev: row.rev, same_boot, last_event: row.last_event.into() })
    }
}

/// All texts outside of the orders.
const TEXTS: &str = "SELECT payload FROM outbox UNION ALL SELECT name FROM facts UNION ALL SELECT value FROM facts
                     UNION ALL SELECT jti FROM commands UNION ALL SELECT record FROM commands
                     UNION ALL SELECT request_id FROM codes UNION ALL SELECT code FROM codes";

const SELECT: &str = "SELECT * FROM orders";

/// A row of `orders`.
struct Columns {
    request_id: String,
    order_id: Option<String>,
    ticket: String,
    state: String,
    reason: Option<String>,
    body: String,
    receipt: Option<String>,
    holds: bool,
    live: bool,
    boot_id: String,
    last_event: String,
    rev: i64,
    sum: i64,
}

impl Columns {
    fn of(order: &Order, rev: i64, boot_id: &BootId, last_event: &str) -> Self {
        let (state, reason) = order.name();
        let mut body = serde_json::to_value(order).expect("an order is plain data");
        if let Some(receipt) = receipt_in(&mut body) {
            // The receipt has a column of its own, and the schema never lets it change.
            *receipt = Value::Null;
        }
        let mut row = Self {
            request_id: order.offer.request.request_id.to_string(),
            order_id: order.order_id().map(ToString::to_string),
            ticket: order.ticket.to_string(),
            state: state.as_str().into(),
            reason: reason.map(|r| r.as_str().into()),
            body: body.to_string(),
            receipt: order.receipt().map(|r| r.jws().into()),
            holds: order.holds_machine(),
            live: unfinished(order),
            boot_id: boot_id.0.to_string(),
            last_event: last_event.into(),
            rev,
            sum: 0,
        };
        row.sum = row.checksum();
        row
    }

    fn order(&self) -> Option<Order> {
        let mut body: Value = serde_json::from_str(&self.body).ok()?;
        if let (Some(place), Some(receipt)) = (receipt_in(&mut body), &self.receipt) {
            *place = receipt.as_str().into();
        }
        serde_json::from_value(body).ok()
    }

    /// Writes the row in place of a row whose columns were `before`. SQLite writes an index anew for each column that
    /// a statement sets, changed or not. A transition changes one of these columns at most, so each is set only when it
    /// changes.
    fn write(&self, transaction: &Transaction<'_>, before: Option<&(Option<String>, bool, bool)>) -> rusqlite::Result<()> {
        let always: [(&str, &dyn ToSql); 8] = [
            ("state", &self.state),
            ("reason", &self.reason),
            ("body", &self.body),
            ("receipt", &self.receipt),
            ("boot_id", &self.boot_id),
            ("last_event", &self.last_event),
            ("rev", &self.rev),
            ("sum", &self.sum),
        ];
        let (order_id, holds, live): (_, _, _) = (&self.order_id, &self.holds, &self.live);
        let mut columns = always.to_vec();
        let request_id: (&str, &dyn ToSql) = ("request_id", &self.request_id);
        let sql = match before {
            None => {
                columns.extend([
                    ("order_id", order_id as &dyn ToSql),
                    ("holds", holds),
                    ("live", live),
                    ("ticket", &self.ticket),
                    request_id,
                ]);
                let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
                format!("INSERT INTO orders ({}) VALUES ({})", names.join(", "), vec!["?"; names.len()].join(", "))
            }
            Some(before) => {
                let changed: [(bool, &str, &dyn ToSql); 3] = [
                    (before.0 != *order_id, "order_id", order_id),
                    (before.1 != *holds, "holds", holds),
                    (before.2 != *live, "live", live),
                ];
                columns.extend(changed.into_iter().filter(|(changed, ..)| *changed).map(|(_, name, value)| (name, value)));
                let set: Vec<_> = columns.iter().map(|(name, _)| format!("{name} = ?")).collect();
                columns.push(request_id);
                format!("UPDATE orders SET {} WHERE request_id = ?", set.join(", "))
            }
        };
        let values: Vec<&dyn ToSql> = columns.iter().map(|(_, value)| *value).collect();
        let changed = transaction.prepare_cached(&sql)?.execute(&values[..])?;
        if changed != 1 {
            return Err(rusqlite::Error::StatementChangedRows(changed));
        }
        Ok(())
    }

    /// Over all other columns.
    fn checksum(&self) -> i64 {
        let ids = (&self.request_id, &self.order_id, &self.ticket);
        let order = (&self.state, &self.reason, &self.body, &self.receipt);
        i64::from_be_bytes(checksum(&(ids, order, self.holds, self.live, &self.boot_id, &self.last_event, self.rev)))
    }
}

/// The place of the receipt in an order's body: `state.{name}.receipt`.
fn receipt_in(body: &mut Value) -> Option<&mut Value> {
    body.get_mut("state")?.as_object_mut()?.values_mut().next()?.get_mut("receipt")
}

/// Forgets the oldest finished orders beyond the limit; `orders` is the number of all orders. Answers how many it forgot.
fn forget_orders(transaction: &Transaction<'_>, orders: i64) -> rusqlite::Result<i64> {
    if orders <= KNOWN_REQUESTS {
        return Ok(0);
    }
    let sql = "DELETE FROM orders WHERE rowid IN (SELECT rowid FROM orders WHERE live = 0 ORDER BY rowid LIMIT ?1)";
    let changed = transaction.prepare_cached(sql)?.execute([orders - KNOWN_REQUESTS])?;
    Ok(i64_of(changed as u64))
}

fn keep<T: Serialize + DeserializeOwned>(connection: &Connection, fact: &Fact<T>, value: &T) -> rusqlite::Result<()> {
    let sql = "INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    connection.prepare_cached(sql)?.execute([fact.name, &sealed::seal(value)]).map(drop)
}

/// Forgets events. The number of the `last` must not be used again, so its number stays.
fn forget(transaction: &Transaction<'_>, sent: &[u64], last: u64) -> rusqlite::Result<()> {
    for seq in sent {
        let sql = if *seq == last { "UPDATE outbox SET payload = '' WHERE seq = ?1" } else { "DELETE FROM outbox WHERE seq = ?1" };
        transaction.prepare_cached(sql)?.execute([i64_of(*seq)])?;
    }
    Ok(())
}

fn i64_of(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
