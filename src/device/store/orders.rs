//! The orders: how a version of one is written, with its events, and how orders are found.

use super::database::{Database, TALLY};
use super::{Draft, KNOWN_REQUESTS, StoreError, Stored, stock};
use qris_core::order::ids::{ItemId, OrderId, PaymentCode, RequestId, Ticket};
use qris_core::order::machine::{Order, unfinished};
use qris_core::order::stock::{Fate, Shelf, Taken};
use qris_core::order::time::BootId;
use qris_core::wire::telemetry::Measured;
use qris_core::wire::vend::VendEvent;
use qris_host::checksum::checksum;
use rusqlite::{OptionalExtension as _, Row, ToSql, Transaction, params};
use serde_json::Value;

const SELECT: &str = "SELECT * FROM orders";

impl Database {
    /// All orders with something to do or to await, oldest first.
    pub fn live(&self) -> Result<Vec<Stored>, StoreError> {
        let mut select = self.connection.prepare_cached(&format!("{SELECT} WHERE live = 1 ORDER BY rowid"))?;
        let rows = select.query_map([], OrderRow::read)?;
        rows.map(|row| self.restore(row?)).collect()
    }

    /// The order of a request, finished or not.
    pub fn by_request(&self, request_id: &RequestId) -> Result<Option<Stored>, StoreError> {
        self.one("request_id = ?1", request_id.as_str())
    }

    /// The order with that name, finished or not.
    pub fn by_order(&self, order_id: &OrderId) -> Result<Option<Stored>, StoreError> {
        self.one("order_id = ?1", order_id.as_str())
    }

    /// The order with this payment code, finished or not. Of several it is the newest.
    pub fn by_code(&self, code: &PaymentCode) -> Result<Option<Stored>, StoreError> {
        let which = "request_id IN (SELECT request_id FROM codes WHERE code = ?1) ORDER BY rowid DESC LIMIT 1";
        self.one(which, code.as_str())
    }

    pub fn has_ticket(&self, ticket: &Ticket) -> Result<bool, StoreError> {
        let mut select = self.connection.prepare_cached("SELECT 1 FROM orders WHERE ticket = ?1")?;
        Ok(select.exists([ticket.as_str()])?)
    }

    /// Writes a new version of an order, its events and what was measured, all or nothing. Forgets the events `sent`, which
    /// the broker has. With the order its item leaves its slot, or comes back. Answers with the events as they were stored.
    pub fn commit(
        &mut self,
        order: &Order,
        before: Option<i64>,
        drafts: Vec<Draft>,
        sent: &[u64],
        measured: &Measured,
    ) -> Result<(Vec<VendEvent>, Stored), StoreError> {
        // What is written into a file without a name is forgotten.
        self.files.are_in_place()?;
        let transaction = self.connection.transaction()?;
        let (mut outbox, mut tally) = (self.outbox, self.tally.clone());
        tally.measure(measured);
        let mut events = Vec::new();
        let known = match before {
            None => None,
            Some(_) => Some(Before::read(&transaction, &order.offer.request.request_id)?),
        };
        let mut last_event = known.as_ref().map_or_else(Box::default, |known| known.last_event.clone());
        // The item of the try before stays where it is.
        let was = known.as_ref().filter(|known| *known.ticket == *order.ticket.as_str()).and_then(|known| known.taken);
        let item = order.item();
        let (taken, shelf) = moved(self.shelves.get(item), was, order, self.tolerant.contains(item));
        for draft in drafts {
            let seq = outbox.last() + 1;
            let event = draft(seq, &format!("{}.{seq}", self.stream));
            tally.count(serde_json::from_str(&last_event).ok().as_ref(), &event);
            last_event = serde_json::to_string(&event).expect("an event is plain data").into();
            outbox.append(&transaction, &last_event)?;
            events.push(event);
        }
        let row = OrderRow::of(order, taken, before.unwrap_or(0) + 1, &self.boot_id, &last_event);
        row.write(&transaction, known.as_ref())?;
        if let Some(shelf) = &shelf {
            stock::write(&transaction, item, shelf)?;
        }
        if let Some(code) = order.code() {
            let sql = "INSERT INTO codes (request_id, code) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            transaction.prepare_cached(sql)?.execute(params![row.request_id, code.as_str()])?;
        }
        let orders = if before.is_none() { self.orders + 1 - forget_orders(&transaction, self.orders + 1)? } else { self.orders };
        if tally != self.tally {
            TALLY.write(&transaction, &tally)?;
        }
        outbox.forget(&transaction, sent)?;
        transaction.commit()?;
        (self.outbox, self.tally, self.orders) = (outbox, tally, orders);
        if let Some(shelf) = shelf {
            self.shelves.insert(item.clone(), shelf);
        }
        let stored = Stored { order: order.clone(), rev: row.rev, same_boot: true, last_event, taken };
        Ok((events, stored))
    }

    /// A person took this item out of its slot for the customer of an order that is over. That is written with the slot, in one commit, and
    /// once: the order keeps it. `false`: it was known.
    pub fn hand_out(&mut self, stored: &Stored, item: &ItemId) -> Result<bool, StoreError> {
        if stored.taken.is_some_and(|taken| taken.fate == Fate::Given) {
            return Ok(false);
        }
        self.files.are_in_place()?;
        let transaction = self.connection.transaction()?;
        let known = Before::read(&transaction, &stored.order.offer.request.request_id)?;
        let mut shelf = self.shelves.get(item).filter(|shelf| !shelf.is_unknown).cloned();
        let uncounted = Taken { fate: Fate::Given, looks: None };
        let taken = shelf.as_mut().map_or(uncounted, |shelf| shelf.handed_out(known.taken));
        let row = OrderRow::of(&stored.order, Some(taken), stored.rev + 1, &self.boot_id, &known.last_event);
        row.write(&transaction, Some(&known))?;
        if let Some(shelf) = &shelf {
            stock::write(&transaction, item, shelf)?;
        }
        transaction.commit()?;
        self.shelves.extend(shelf.map(|shelf| (item.clone(), shelf)));
        Ok(true)
    }

    /// The last events of the newest requests, the newest first.
    pub fn newest(&self, limit: u16) -> Result<Vec<Value>, StoreError> {
        let mut select = self.connection.prepare_cached("SELECT last_event FROM orders ORDER BY rowid DESC LIMIT ?1")?;
        let rows = select.query_map([limit], |row| row.get::<_, String>("last_event"))?;
        let events = rows.map(|row| Ok(serde_json::from_str(&row?).unwrap_or_default()));
        events.collect()
    }

    pub(super) fn check_orders(&self) -> Result<(), StoreError> {
        let mut select = self.connection.prepare(SELECT)?;
        let rows = select.query_map([], OrderRow::read)?;
        rows.into_iter().try_for_each(|row| self.restore(row?).map(drop))
    }

    fn one(&self, which: &str, value: &str) -> Result<Option<Stored>, StoreError> {
        let mut select = self.connection.prepare_cached(&format!("{SELECT} WHERE {which}"))?;
        let row = select.query_row([value], OrderRow::read).optional()?;
        row.map(|row| self.restore(row)).transpose()
    }

    fn restore(&self, row: OrderRow) -> Result<Stored, StoreError> {
        let damaged = || StoreError::Damaged(format!("order {}", row.request_id).into());
        if row.sum != row.checksum() {
            return Err(damaged());
        }
        let order = row.order().ok_or_else(damaged)?;
        let same_boot = *row.boot_id == *self.boot_id.0;
        let taken = row.taken.as_deref().and_then(|taken| serde_json::from_str(taken).ok());
        Ok(Stored { order, rev: row.rev, same_boot, last_event: row.last_event.into(), taken })
    }
}

struct OrderRow {
    request_id: String,
    order_id: Option<String>,
    ticket: String,
    state: String,
    reason: Option<String>,
    body: String,
    receipt: Option<String>,
    holds: bool,
    live: bool,
    taken: Option<String>,
    boot_id: String,
    last_event: String,
    rev: i64,
    sum: i64,
}

/// A new version of an order needs this of the row before: the columns that have an index and may change, and what it leads on from.
struct Before {
    order_id: Option<String>,
    ticket: String,
    holds: bool,
    live: bool,
    taken: Option<Taken>,
    last_event: Box<str>,
}

impl Before {
    fn read(transaction: &Transaction<'_>, request: &RequestId) -> rusqlite::Result<Self> {
        let sql = "SELECT order_id, ticket, holds, live, taken, last_event FROM orders WHERE request_id = ?1";
        transaction.prepare_cached(sql)?.query_row([request.as_str()], |row| {
            let taken: Option<String> = row.get("taken")?;
            Ok(Self {
                order_id: row.get("order_id")?,
                ticket: row.get("ticket")?,
                holds: row.get("holds")?,
                live: row.get("live")?,
                taken: taken.and_then(|taken| serde_json::from_str(&taken).ok()),
                last_event: row.get("last_event")?,
            })
        })
    }
}

/// The item of an order and its slot, once the order has changed. The slot is `None` if it stays as it is, or if nobody has counted.
/// `is_tolerated`: a miss is no reason to look into this slot.
fn moved(shelf: Option<&Shelf>, was: Option<Taken>, order: &Order, is_tolerated: bool) -> (Option<Taken>, Option<Shelf>) {
    let Some(to) = order.fate() else { return (was, None) };
    let Some(shelf) = shelf.filter(|shelf| !shelf.is_unknown) else { return (Taken::uncounted(was, to), None) };
    let mut next = shelf.clone();
    let taken = next.moved(was, to);
    if is_tolerated {
        next.suspect = shelf.suspect;
    }
    (taken, (next != *shelf).then_some(next))
}

impl OrderRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            request_id: row.get("request_id")?,
            order_id: row.get("order_id")?,
            ticket: row.get("ticket")?,
            state: row.get("state")?,
            reason: row.get("reason")?,
            body: row.get("body")?,
            receipt: row.get("receipt")?,
            holds: row.get("holds")?,
            live: row.get("live")?,
            taken: row.get("taken")?,
            boot_id: row.get("boot_id")?,
            last_event: row.get("last_event")?,
            rev: row.get("rev")?,
            sum: row.get("sum")?,
        })
    }

    fn of(order: &Order, taken: Option<Taken>, rev: i64, boot_id: &BootId, last_event: &str) -> Self {
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
            taken: taken.map(|taken| serde_json::to_string(&taken).expect("plain data")),
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
    fn write(&self, transaction: &Transaction<'_>, before: Option<&Before>) -> rusqlite::Result<()> {
        let always: [(&str, &dyn ToSql); 9] = [
            ("state", &self.state),
            ("reason", &self.reason),
            ("body", &self.body),
            ("receipt", &self.receipt),
            ("taken", &self.taken),
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
                let changed: [(bool, &str, &dyn ToSql); 4] = [
                    (before.order_id != *order_id, "order_id", order_id),
                    (before.ticket != self.ticket, "ticket", &self.ticket),
                    (before.holds != *holds, "holds", holds),
                    (before.live != *live, "live", live),
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
        let order = (&self.state, &self.reason, &self.body, &self.receipt, &self.taken);
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
    Ok(i64::try_from(changed).unwrap_or(i64::MAX))
}
