//! The rows: reading, checking, writing them.

use super::entry::{BooksError, Stored};
use crate::sale::{counted, view};
use crate::store::{self, Columns, Row, StoreError, Tx, Value};
use qris_core::order::ids::{DeviceId, KeyId, OrderId, RequestId, TransactionId};
use qris_core::order::merchant::{self, DeliveryReport, NoTry, Order, Proof};
use qris_core::order::receipt::Receipt;
use qris_core::order::time::{Span, Wall};
use qris_core::wire::orders::{TAKEN_OUT_MAX, TakenOut};
use qris_host::checksum::checksum;

/// The columns from which [`read`] reads an order. All others are for finding it.
pub(super) const READ: &str = "order_id, body, rev, version, digest, claimed_until_ms, sum";
/// The most lines of an order's history that are read.
const LIST_MAX: i64 = 1000;
/// Events that change nothing are noted until an order's history has this many lines.
const NOTED_MAX: i64 = 100;
/// The most open orders of a machine in an answer.
const OPEN_MAX: i64 = qris_core::wire::orders::OPEN_MAX as i64;
/// The most messages that are handed to the broker together.
const OUTBOX_TAKE: i64 = 64;
/// News older than this is not sent: machines that were away ask by themselves.
const NEWS_KEPT: Span = Span::secs(3600);

pub fn load(tx: &mut dyn Tx, id: &OrderId) -> Result<Option<Stored>, BooksError> {
    let sql = format!("SELECT {READ} FROM orders WHERE order_id = $1");
    tx.rows(&sql, &[id.as_str().into()])?.first().map(read).transpose()
}

/// Gives the order that a row names; `None`: it is damaged. One such row must not keep all machines from selling. The sweep finds it again,
/// and tells the journal.
pub fn load_good(tx: &mut dyn Tx, row: &Row) -> Result<Option<Stored>, BooksError> {
    match load(tx, &order_id(row.text("order_id")?)?) {
        Err(error) if error.is_damage() => Ok(None),
        loaded => loaded?.ok_or(BooksError::Unknown).map(Some),
    }
}

/// Gives the newest attempt at a request.
pub fn latest(tx: &mut dyn Tx, device: &DeviceId, request: &RequestId) -> Result<Option<Stored>, BooksError> {
    let sql = format!("SELECT {READ} FROM orders WHERE device = $1 AND request_id = $2 ORDER BY attempt DESC LIMIT 1");
    tx.rows(&sql, &[device.as_str().into(), request.as_str().into()])?.first().map(read).transpose()
}

/// A machine's orders that have not ended, and settled orders without an outcome; the newest, if there are too many. Whoever made older
/// ones with a stolen token hides no sale of now. Of several attempts at one request it is the newest, unless an older one was paid. A
/// damaged row is left out.
pub fn open_orders(tx: &mut dyn Tx, device: &DeviceId) -> Result<Vec<Stored>, BooksError> {
    let sql = format!(
        "SELECT {READ} FROM orders AS o
        WHERE device = $1 AND is_open = 1 AND (state = 'settled' OR NOT EXISTS (
            SELECT 1 FROM orders AS n WHERE n.device = o.device AND n.request_id = o.request_id AND n.attempt > o.attempt))
        ORDER BY created_ms DESC LIMIT $2"
    );
    let rows = tx.rows(&sql, &[device.as_str().into(), OPEN_MAX.into()])?;
    // A row that cannot be read must not keep the machine from all its other orders. It takes up the oldest first.
    rows.iter().rev().map(read).filter(|stored| !stored.as_ref().is_err_and(BooksError::is_damage)).collect()
}

/// The newest orders of a machine whose goods a person took out of it. It is told of them again and again: it takes each once.
pub fn taken_out(tx: &mut dyn Tx, device: &DeviceId) -> Result<Vec<TakenOut>, BooksError> {
    let sql = "SELECT order_id, request_id FROM orders WHERE device = $1 AND taken_out = 1 ORDER BY created_ms DESC LIMIT $2";
    let rows = tx.rows(sql, &[device.as_str().into(), i64::try_from(TAKEN_OUT_MAX).unwrap_or(i64::MAX).into()])?;
    // A row that cannot be read must not keep the machine from the others.
    let read = |row: &Row| {
        let (order, request) = (row.text("order_id").ok()?, row.text("request_id").ok()?);
        Some(TakenOut { order_id: OrderId::new(order).ok()?, request_id: RequestId::new(request).ok()? })
    };
    Ok(rows.iter().filter_map(read).collect())
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryLine {
    pub at: Wall,
    pub event: String,
}

pub fn history(tx: &mut dyn Tx, id: &OrderId) -> Result<Vec<HistoryLine>, BooksError> {
    let sql = "SELECT at_ms, event FROM history WHERE order_id = $1 ORDER BY seq LIMIT $2";
    let rows = tx.rows(sql, &[id.as_str().into(), LIST_MAX.into()])?;
    rows.iter().map(|row| Ok(HistoryLine { at: Wall(row.int("at_ms")?), event: row.text("event")?.into() })).collect()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub seq: i64,
    pub topic: String,
    pub payload: String,
}

/// The oldest news that the broker has not acknowledged.
pub fn take_outbox(tx: &mut dyn Tx, after: i64) -> Result<Vec<Message>, BooksError> {
    let sql = "SELECT seq, topic, payload FROM outbox WHERE seq > $1 ORDER BY seq LIMIT $2";
    let rows = tx.rows(sql, &[after.into(), OUTBOX_TAKE.into()])?;
    rows.iter()
        .map(|row| Ok(Message { seq: row.int("seq")?, topic: row.text("topic")?.into(), payload: row.text("payload")?.into() }))
        .collect()
}

/// The broker has these.
pub fn published(tx: &mut dyn Tx, seqs: &[i64]) -> Result<(), BooksError> {
    // Mostly they follow one another.
    for run in seqs.chunk_by(|a, b| a + 1 == *b) {
        tx.rows("DELETE FROM outbox WHERE seq BETWEEN $1 AND $2", &[run[0].into(), run[run.len() - 1].into()])?;
    }
    Ok(())
}

/// Drops news that is too old.
pub fn prune_outbox(tx: &mut dyn Tx, now: Wall) -> Result<(), BooksError> {
    tx.rows("DELETE FROM outbox WHERE created_ms < $1", &[(now - NEWS_KEPT).0.into()])?;
    Ok(())
}

pub(super) fn post(tx: &mut dyn Tx, topic: &str, payload: &str, now: Wall) -> Result<(), BooksError> {
    Ok(store::insert(tx, "outbox", vec![("topic", topic.into()), ("payload", payload.into()), ("created_ms", now.into())])?)
}

pub(super) fn note(tx: &mut dyn Tx, id: &OrderId, event: &str, now: Wall) -> Result<(), BooksError> {
    Ok(store::insert(tx, "history", vec![("order_id", id.as_str().into()), ("at_ms", now.into()), ("event", event.into())])?)
}

/// The same, for facts that anybody with a machine's token may tell as often as he likes. They do not fill the disk.
pub(super) fn note_while_few(tx: &mut dyn Tx, id: &OrderId, event: &str, now: Wall) -> Result<(), BooksError> {
    let lines = Row::number(&tx.rows("SELECT count(*) FROM history WHERE order_id = $1", &[id.as_str().into()])?)?;
    if lines < NOTED_MAX { note(tx, id, event, now) } else { Ok(()) }
}

pub(super) fn keep_receipt(tx: &mut dyn Tx, receipt: &Receipt) -> Result<(), BooksError> {
    let claims = receipt.claims();
    let row = vec![
        ("order_id", claims.sub.as_str().into()),
        ("try", i64::from(claims.nth.number().get()).into()),
        ("device", claims.aud.as_str().into()),
        ("request_id", claims.jti.as_str().into()),
        ("transaction_id", claims.transaction_id.as_str().into()),
        ("jws", receipt.jws().into()),
    ];
    Ok(store::insert(tx, "receipts", row)?)
}

/// Keeps that another try begins. `before`: the order, when the relay had signed that nothing came.
pub(super) fn keep_try(tx: &mut dyn Tx, before: &Order, order: &Order, now: Wall) -> Result<(), BooksError> {
    let Some(proof_before) = before.delivery().and_then(proof) else { return Err(BooksError::NoTry(NoTry::NotProven)) };
    let row = vec![
        ("order_id", order.id.as_str().into()),
        ("try", i64::from(order.number_of_try().get()).into()),
        ("device", order.sale.device.as_str().into()),
        ("ticket", order.goods().ticket.as_str().into()),
        ("proof_before", proof_before.into()),
        ("begun_ms", now.into()),
        ("is_sure", order.is_surely_its_customers().into()),
    ];
    Ok(store::insert(tx, "tries", row)?)
}

/// Whether another order has the receipt of this transaction: the gateway has told of one payment under two names.
pub(super) fn has_receipt_elsewhere(tx: &mut dyn Tx, order: &Order, transaction: &TransactionId) -> Result<bool, BooksError> {
    let sql = "SELECT 1 FROM receipts WHERE order_id <> $1 AND transaction_id = $2
        UNION ALL SELECT 1 FROM archived WHERE transaction_id = $2 LIMIT 1";
    Ok(!tx.rows(sql, &[order.id.as_str().into(), transaction.as_str().into()])?.is_empty())
}

/// Whether another order of the same request has a receipt.
pub(super) fn is_paid_otherwise(tx: &mut dyn Tx, order: &Order) -> Result<bool, BooksError> {
    let sql = "SELECT 1 FROM receipts WHERE order_id <> $1 AND device = $2 AND request_id = $3
        UNION ALL SELECT 1 FROM archived WHERE device = $2 AND request_id = $3 AND transaction_id IS NOT NULL LIMIT 1";
    let values = [order.id.as_str().into(), order.sale.device.as_str().into(), order.sale.purchase.request_id.as_str().into()];
    Ok(!tx.rows(sql, &values)?.is_empty())
}

/// Whether a machine has ordered anything, archived orders included.
pub fn has_orders(tx: &mut dyn Tx, device: &DeviceId) -> Result<bool, BooksError> {
    let sql = "SELECT 1 FROM orders WHERE device = $1 UNION ALL SELECT 1 FROM archived WHERE device = $1 LIMIT 1";
    Ok(!tx.rows(sql, &[device.as_str().into()])?.is_empty())
}

/// Whether this relay has given the ticket number of this order to another order's ticket, too.
pub(super) fn is_number_used(tx: &mut dyn Tx, id: &OrderId, kid: &KeyId, number: u64) -> Result<bool, BooksError> {
    let sql = "SELECT 1 FROM orders WHERE proof = $1 AND order_id <> $2 UNION ALL SELECT 1 FROM tries WHERE proof_before = $1
        UNION ALL SELECT 1 FROM archived WHERE proof = $1 UNION ALL SELECT 1 FROM archived_tries WHERE proof_before = $1 LIMIT 1";
    Ok(!tx.rows(sql, &[signed(kid, number).as_str().into(), id.as_str().into()])?.is_empty())
}

/// The highest ticket number that this relay has signed of another order, and the time at which that order was made. Archived orders do not
/// count: a number of the books says more of today.
pub(super) fn last_number(tx: &mut dyn Tx, id: &OrderId, kid: &KeyId) -> Result<Option<(u64, Wall)>, BooksError> {
    let sql = "SELECT proof, created_ms FROM orders WHERE proof >= $1 AND proof <= $2 AND order_id <> $3 ORDER BY proof DESC LIMIT 1";
    let rows = tx.rows(sql, &[signed(kid, 0).as_str().into(), signed(kid, u64::MAX).as_str().into(), id.as_str().into()])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let number = row.text("proof")?.rsplit_once(':').and_then(|(_, number)| number.parse().ok());
    number.map(|number| Ok((number, Wall(row.int("created_ms")?)))).transpose()
}

/// The value of the column `proof`.
fn proof(told: &DeliveryReport) -> Option<String> {
    match &told.proof {
        Proof::Signed { kid, number, .. } => Some(signed(kid, *number)),
        Proof::Missing(_) => None,
    }
}

/// As many digits as the largest number has: the numbers of a key have the order of their texts.
fn signed(kid: &KeyId, number: u64) -> String {
    format!("{kid}:{number:020}")
}

pub(super) fn insert(tx: &mut dyn Tx, order: Order, digest: Option<&str>, event: &str, now: Wall) -> Result<Stored, BooksError> {
    let stored = Stored { order, rev: 1, version: 1, digest: digest.map(Into::into), claimed_until: None };
    let (order, sale) = (&stored.order, &stored.order.sale);
    let mut row = vec![
        ("order_id", order.id.as_str().into()),
        ("device", sale.device.as_str().into()),
        ("request_id", sale.purchase.request_id.as_str().into()),
        ("attempt", i64::from(order.attempt).into()),
        ("digest", digest.into()),
        ("ticket", sale.purchase.ticket.as_str().into()),
        ("item", sale.purchase.item.as_str().into()),
        ("amount", number(sale.purchase.amount.get()).into()),
        ("payment", sale.purchase.payment.as_str().into()),
        ("created_ms", order.created_at.into()),
        ("goods", counted::goods(order).into()),
    ];
    row.extend(changing(&stored));
    row.extend(found_by(order));
    store::insert(tx, "orders", row)?;
    note(tx, &order.id, &format!("{event}: {}", order.state.word()), now)?;
    Ok(stored)
}

/// Writes the changed parts of an order.
pub(super) fn save(tx: &mut dyn Tx, old: &Stored, order: Order, claimed_until: Option<Wall>) -> Result<Stored, BooksError> {
    let digest = old.digest.clone();
    if old.order == order {
        // The claim is not a part of the order. If the caller took it out, it is not known here whether it changed.
        let sql = "UPDATE orders SET claimed_until_ms = $1, due_ms = $2
            WHERE order_id = $3 AND (claimed_until_ms IS DISTINCT FROM $1 OR due_ms IS DISTINCT FROM $2)";
        tx.rows(sql, &[claimed_until.into(), merchant::next_deadline(&order).into(), order.id.as_str().into()])?;
        return Ok(Stored { order, rev: old.rev, version: old.version, digest, claimed_until });
    }
    let rev = old.rev + u64::from(view::visible(&old.order) != view::visible(&order));
    let new = Stored { order, rev, version: old.version + 1, digest, claimed_until };
    let mut row = changing(&new);
    // A question to the gateway changes nothing by which orders are found. So it costs the database no index and no trigger.
    let finds = found_by(&new.order);
    if finds != found_by(&old.order) {
        // Once it was paid, the time of that stays.
        row.extend(finds.into_iter().filter(|(column, value)| *column != "settled_ms" || *value != Value::Null));
    }
    let id = &new.order.id;
    if !store::update(tx, "orders", row, vec![("order_id", id.as_str().into()), ("version", old.version.into())])? {
        return Err(StoreError::Damaged { what: id.to_string(), why: "another program wrote it meanwhile".into() }.into());
    }
    Ok(new)
}

/// The columns that each write changes.
fn changing(stored: &Stored) -> Columns<'static> {
    let body = serde_json::to_string(&stored.order).expect("an order is plain data");
    let sum = sum(stored, &body);
    vec![
        ("body", body.into()),
        ("rev", number(stored.rev).into()),
        ("version", stored.version.into()),
        ("due_ms", merchant::next_deadline(&stored.order).into()),
        ("claimed_until_ms", stored.claimed_until.into()),
        ("sum", sum.into()),
    ]
}

fn found_by(order: &Order) -> Columns<'static> {
    vec![
        ("state", order.state.word().into()),
        ("try", i64::from(order.number_of_try().get()).into()),
        ("settled_ms", order.settlement().map(|by| by.settled_at).into()),
        ("delivery", order.delivery().map(|told| told.outcome.as_str()).into()),
        // Its machine hears of a wish as it hears of an order.
        ("is_open", (order.is_open() || order.tries.wanted_until.is_some()).into()),
        ("taken_out", order.is_taken_out().into()),
        ("refund_due", order.is_refund_due().into()),
        ("goes_back", order.goes_back_by_itself().into()),
        ("attention", order.needs_attention().into()),
        ("look_by_ms", counted::look_by(order).into()),
        ("proof", order.delivery().and_then(proof).into()),
        ("ended", counted::end(order).as_str().into()),
        ("goods_and_money", order.is_goods_and_money().into()),
        ("paid", number(counted::paid(order)).into()),
        ("scheme", counted::scheme_in_full(order).into()),
        ("returned", counted::returned(order).map(number).into()),
    ]
}

pub(super) fn order_id(id: &str) -> Result<OrderId, BooksError> {
    OrderId::new(id).map_err(|error| StoreError::Damaged { what: id.into(), why: error.to_string() }.into())
}

pub(super) fn read(row: &Row) -> Result<Stored, BooksError> {
    let id = row.text("order_id")?;
    let damaged = |why: String| StoreError::Damaged { what: id.into(), why };
    let body = row.text("body")?;
    let order: Order = serde_json::from_str(body).map_err(|error| damaged(error.to_string()))?;
    let stored = Stored {
        order,
        rev: u64::try_from(row.int("rev")?).map_err(|error| damaged(error.to_string()))?,
        version: row.int("version")?,
        digest: row.maybe_text("digest")?.map(Into::into),
        claimed_until: row.maybe_int("claimed_until_ms")?.map(Wall),
    };
    if sum(&stored, body) != row.text("sum")? || stored.order.id.as_str() != id {
        return Err(damaged("its checksum is wrong".into()).into());
    }
    Ok(stored)
}

/// The checksum over the columns that decide. The body is there by its digest: as a text of JSON each of its quotes would be escaped.
fn sum(stored: &Stored, body: &str) -> String {
    let body = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    qris_core::hex(&checksum(&(stored.order.id.as_str(), &stored.digest, body.as_ref(), stored.rev, stored.version)))
}

fn number(number: u64) -> i64 {
    i64::try_from(number).expect("amounts and counts are far below 2^63")
}
