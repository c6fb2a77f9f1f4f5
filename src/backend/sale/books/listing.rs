//! Orders by the page, for people. However many orders there are, only one page of them is in memory.

use super::entry::{BooksError, Stored};
use super::ledger::{self, READ};
use crate::store::{Row, StoreError, Tx, Value};
use qris_core::order::ids::{DeviceId, KeyId, OrderId, RequestId};
use qris_core::order::merchant::Order;
use qris_core::order::outcome::Delivery;
use qris_core::order::time::Wall;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

pub const PAGE: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderFilter {
    pub device: Option<DeviceId>,
    /// Begun at that time or later.
    pub from: Wall,
    /// Begun before that time.
    pub until: Wall,
    pub refund_due: bool,
    /// Only orders at which a person must look: those with a `look_by_ms`. A refund that is under way needs nobody.
    pub attention: bool,
}

impl OrderFilter {
    pub const ATTENTION: Self = Self { device: None, from: Wall(i64::MIN), until: Wall(i64::MAX), refund_due: false, attention: true };
}

/// The beginning of a page: behind this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    at: Wall,
    id: String,
}

impl Cursor {
    /// Between the orders of that time and all earlier ones. There a span begins, or ends for who reads it from its end.
    #[must_use]
    pub const fn at(at: Wall) -> Self {
        Self { at, id: String::new() }
    }

    /// The place behind an order, in a list by the time at which they began.
    #[must_use]
    pub fn of(order: &Order) -> Self {
        Self { at: order.created_at, id: order.id.to_string() }
    }

    /// The place behind a row. Its column `sorted_ms` has the time by which the database sorted.
    fn behind(row: &Row) -> Result<Self, BooksError> {
        Ok(Self { at: Wall(row.int("sorted_ms")?), id: row.text("order_id")?.into() })
    }
}

/// `MILLISECONDS.ORDER`: a page of the desk asks for the next one by it.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.0, self.id)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, id) = text.split_once('.').ok_or(())?;
        Ok(Self { at: Wall(at.parse().map_err(drop)?), id: OrderId::new(id).map_err(drop)?.to_string() })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sought {
    pub device: Option<DeviceId>,
    pub amount: Option<u64>,
    /// One of these; empty: any.
    pub goods: Vec<Box<str>>,
}

impl Sought {
    /// What follows the condition of a time, with its values. Of one machine there are few orders, so that is looked for first (`+`), and of
    /// one sum fewer than of goods.
    fn condition(&self, mut values: Vec<Value>) -> (String, Vec<Value>) {
        let mut condition = String::new();
        if let Some(device) = &self.device {
            values.push(device.as_str().into());
            condition += &format!(" AND device = ${}", values.len());
        }
        if let Some(amount) = self.amount {
            values.push(i64::try_from(amount).unwrap_or(i64::MAX).into());
            let plus = if self.device.is_some() { "+" } else { "" };
            condition += &format!(" AND {plus}amount = ${}", values.len());
        }
        if !self.goods.is_empty() {
            let first = values.len() + 1;
            values.extend(self.goods.iter().map(|goods| Value::from(&**goods)));
            let no_index = if self.device.is_some() || self.amount.is_some() { " || ''" } else { "" };
            let places: Vec<_> = (first..=values.len()).map(|place| format!("${place}")).collect();
            condition += &format!(" AND goods{no_index} IN ({})", places.join(", "));
        }
        (condition, values)
    }
}

/// A part of a list. A row that cannot be read does not take the others with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListingPage {
    pub orders: Vec<Stored>,
    /// The time by which each of them was sorted.
    pub times: Vec<Wall>,
    pub damaged: Vec<String>,
    /// The beginning of the next page; `None`: this was the last.
    pub behind: Option<Cursor>,
}

impl ListingPage {
    fn of(rows: &[Row]) -> Result<Self, BooksError> {
        let mut page = Self { behind: rows.last().map(Cursor::behind).transpose()?, ..Self::default() };
        for row in rows {
            match ledger::read(row) {
                Err(error) if error.is_damage() => page.damaged.push(row.text("order_id")?.into()),
                stored => {
                    page.orders.push(stored?);
                    page.times.push(Wall(row.int("sorted_ms")?));
                }
            }
        }
        Ok(page)
    }
}

/// The next [`PAGE`] orders, the newest first. The first page is behind [`Cursor::at`] the end of the span: so SQLite begins
/// there, and not at the end of the books.
pub fn page(tx: &mut dyn Tx, wanted: &OrderFilter, behind: &Cursor) -> Result<ListingPage, BooksError> {
    // Each question has an index of its own. `+` keeps SQLite from another: few orders are due, and one by one they are found soon.
    let which = match wanted {
        OrderFilter { refund_due: true, .. } => {
            "(+created_ms, order_id) < ($1, $2)
                AND order_id IN (SELECT order_id FROM orders WHERE refund_due = 1 AND created_ms >= $3) AND (CAST($4 AS TEXT) IS NULL OR device = $4)
            ORDER BY +created_ms DESC, order_id DESC LIMIT $5"
        }
        OrderFilter { attention: true, .. } => {
            "(+created_ms, order_id) < ($1, $2)
                AND look_by_ms IS NOT NULL AND +created_ms >= $3 AND (CAST($4 AS TEXT) IS NULL OR device = $4)
            ORDER BY +created_ms DESC, order_id DESC LIMIT $5"
        }
        OrderFilter { device: Some(_), .. } => {
            "(created_ms, order_id) < ($1, $2) AND created_ms >= $3 AND device = $4
            ORDER BY created_ms DESC, order_id DESC LIMIT $5"
        }
        OrderFilter { device: None, .. } => {
            "(created_ms, order_id) < ($1, $2) AND created_ms >= $3
            ORDER BY created_ms DESC, order_id DESC LIMIT $4"
        }
    };
    let sql = format!("SELECT {READ}, created_ms AS sorted_ms FROM orders WHERE {which}");
    let mut values = vec![behind.at.into(), behind.id.as_str().into(), wanted.from.into()];
    values.extend(wanted.device_value());
    values.push(limit());
    ListingPage::of(&tx.rows(&sql, &values)?)
}

/// The next orders that a person looks for, begun at that time or later: the newest first, behind this one.
pub fn sought(tx: &mut dyn Tx, sought: &Sought, (from, behind): (Wall, &Cursor), most: usize) -> Result<ListingPage, BooksError> {
    let (condition, mut values) = sought.condition(vec![behind.at.into(), behind.id.as_str().into(), from.into()]);
    values.push(i64::try_from(most).unwrap_or(0).into());
    let sql = format!(
        "SELECT {READ}, created_ms AS sorted_ms FROM orders WHERE (created_ms, order_id) < ($1, $2) AND created_ms >= $3{condition}
        ORDER BY created_ms DESC, order_id DESC LIMIT ${}",
        values.len()
    );
    ListingPage::of(&tx.rows(&sql, &values)?)
}

/// The names of all goods that were ever asked for, in their order; at most so many. It goes from one name to the next in the index, however
/// many orders each has.
pub fn goods(tx: &mut dyn Tx, most: usize) -> Result<Vec<Box<str>>, BooksError> {
    let sql = "WITH RECURSIVE named (goods) AS (
            SELECT min(goods) FROM orders
            UNION ALL SELECT (SELECT min(o.goods) FROM orders AS o WHERE o.goods > named.goods) FROM named WHERE named.goods IS NOT NULL)
        SELECT goods FROM named WHERE goods IS NOT NULL LIMIT $1";
    let rows = tx.rows(sql, &[i64::try_from(most).unwrap_or(0).into()])?;
    Ok(rows.iter().map(|row| Ok(row.text("goods")?.into())).collect::<Result<_, StoreError>>()?)
}

/// Those that began at that time or later, the oldest first.
pub fn sought_from(tx: &mut dyn Tx, sought: &Sought, from: Wall, most: usize) -> Result<ListingPage, BooksError> {
    let (condition, mut values) = sought.condition(vec![from.into()]);
    values.push(i64::try_from(most).unwrap_or(0).into());
    let sql = format!(
        "SELECT {READ}, created_ms AS sorted_ms FROM orders WHERE created_ms >= $1{condition} ORDER BY created_ms, order_id LIMIT ${}",
        values.len()
    );
    ListingPage::of(&tx.rows(&sql, &values)?)
}

/// The orders that want a person: those with money first, of them the one whose refund ends next; at most so many.
pub fn wanting(tx: &mut dyn Tx, most: usize) -> Result<ListingPage, BooksError> {
    let sql =
        format!("SELECT {READ}, created_ms AS sorted_ms FROM orders WHERE look_by_ms IS NOT NULL ORDER BY look_by_ms, created_ms LIMIT $1");
    ListingPage::of(&tx.rows(&sql, &[i64::try_from(most).unwrap_or(0).into()])?)
}

/// The names of the damaged orders behind this one, among the next [`PAGE`] orders, and the last of these.
pub fn damaged(tx: &mut dyn Tx, behind: &str) -> Result<(Vec<String>, Option<String>), BooksError> {
    let sql = format!("SELECT {READ}, created_ms AS sorted_ms FROM orders WHERE order_id > $1 ORDER BY order_id LIMIT $2");
    let ListingPage { damaged, behind, .. } = ListingPage::of(&tx.rows(&sql, &[behind.into(), limit()])?)?;
    Ok((damaged, behind.map(|cursor| cursor.id)))
}

pub fn newest_of(tx: &mut dyn Tx, device: &DeviceId) -> Result<Option<Stored>, BooksError> {
    let sql = format!("SELECT {READ} FROM orders WHERE device = $1 ORDER BY created_ms DESC LIMIT 1");
    tx.rows(&sql, &[device.as_str().into()])?.first().map(ledger::read).transpose()
}

/// The requests whose orders changed since a line of the history, by any writer, and the newest line. It reads at most
/// [`PAGE`] lines.
pub fn changed_since(tx: &mut dyn Tx, line: i64) -> Result<(Vec<(DeviceId, RequestId)>, i64), BooksError> {
    let sql = "SELECT h.seq, o.device, o.request_id FROM history AS h JOIN orders AS o ON o.order_id = h.order_id
        WHERE h.seq > $1 ORDER BY h.seq LIMIT $2";
    let rows = tx.rows(sql, &[line.into(), limit()])?;
    let newest = rows.last().map_or(Ok(line), |row| row.int("seq"))?;
    let damaged = |what: &str, why: String| StoreError::Damaged { what: what.into(), why };
    let request = |row: &Row| {
        let (device, request) = (row.text("device")?, row.text("request_id")?);
        let device = DeviceId::new(device).map_err(|error| damaged(device, error.to_string()))?;
        Ok::<_, BooksError>((device, RequestId::new(request).map_err(|error| damaged(request, error.to_string()))?))
    };
    Ok((rows.iter().map(request).collect::<Result<_, _>>()?, newest))
}

pub fn newest_line(tx: &mut dyn Tx) -> Result<i64, BooksError> {
    Ok(Row::number(&tx.rows("SELECT coalesce(max(seq), 0) FROM history", &[])?)?)
}

/// The signing key whose receipt the machine of the newest order takes.
pub fn newest_key(tx: &mut dyn Tx) -> Result<Option<KeyId>, BooksError> {
    let rows = tx.rows("SELECT order_id FROM orders ORDER BY created_ms DESC, order_id DESC LIMIT 1", &[])?;
    let Some(newest) = rows.first() else { return Ok(None) };
    let id = OrderId::new(newest.text("order_id")?).map_err(|_| BooksError::Unknown)?;
    Ok(ledger::load(tx, &id)?.map(|stored| stored.order.sale.kid))
}

/// The number of wanted orders. It counts up to `most` of them.
pub fn count(tx: &mut dyn Tx, wanted: &OrderFilter, most: u64) -> Result<u64, BooksError> {
    let sql = match wanted {
        OrderFilter { refund_due: true, .. } => {
            "SELECT count(*) FROM (SELECT 1 FROM orders
                WHERE refund_due = 1 AND created_ms >= $1 AND created_ms < $2 AND (CAST($3 AS TEXT) IS NULL OR device = $3) LIMIT $4) AS o"
        }
        OrderFilter { attention: true, .. } => {
            "SELECT count(*) FROM (SELECT 1 FROM orders
                WHERE look_by_ms IS NOT NULL AND +created_ms >= $1 AND +created_ms < $2 AND (CAST($3 AS TEXT) IS NULL OR device = $3)
                LIMIT $4) AS o"
        }
        OrderFilter { device: Some(_), .. } => {
            "SELECT count(*) FROM (SELECT 1 FROM orders
                WHERE created_ms >= $1 AND created_ms < $2 AND device = $3 LIMIT $4) AS o"
        }
        OrderFilter { device: None, .. } => {
            "SELECT count(*) FROM (SELECT 1 FROM orders WHERE created_ms >= $1 AND created_ms < $2 LIMIT $3) AS o"
        }
    };
    let mut values = vec![wanted.from.into(), wanted.until.into()];
    values.extend(wanted.device_value());
    values.push(i64::try_from(most).unwrap_or(i64::MAX).into());
    Ok(u64::try_from(Row::number(&tx.rows(sql, &values)?)?).unwrap_or(0))
}

/// The next [`PAGE`] orders that were settled before that time, the oldest settlement first. The first page is behind
/// [`Cursor::at`] the beginning of the span.
pub fn settled(tx: &mut dyn Tx, device: Option<&DeviceId>, until: Wall, behind: &Cursor) -> Result<ListingPage, BooksError> {
    let sql = format!(
        "SELECT {READ}, settled_ms AS sorted_ms FROM orders
        WHERE settled_ms IS NOT NULL AND (settled_ms, order_id) > ($1, $2) AND settled_ms < $3 AND (CAST($4 AS TEXT) IS NULL OR device = $4)
        ORDER BY settled_ms, order_id LIMIT $5"
    );
    let device = device.map(DeviceId::as_str).into();
    ListingPage::of(&tx.rows(&sql, &[behind.at.into(), behind.id.as_str().into(), until.into(), device, limit()])?)
}

/// The orders whose customers are owed the money, and the sum: their payments, without the parts that went back already.
pub fn owed(tx: &mut dyn Tx) -> Result<(u64, u64), BooksError> {
    let sql = "SELECT count(*) AS orders, CAST(coalesce(sum(paid - coalesce(returned, 0)), 0) AS BIGINT) AS rupiah
        FROM orders WHERE refund_due = 1";
    sums(&tx.rows(sql, &[])?)
}

/// The number of orders at which a person must look for another reason than a refund that is due.
pub fn to_look_at(tx: &mut dyn Tx) -> Result<u64, BooksError> {
    Ok(u64::try_from(Row::number(&tx.rows("SELECT count(*) FROM orders WHERE attention = 1 AND refund_due = 0", &[])?)?).unwrap_or(0))
}

/// The number of orders that were settled in a span, and the sum of their prices. The database counts them from its columns.
pub fn settled_totals(tx: &mut dyn Tx, device: Option<&DeviceId>, (from, until): (Wall, Wall)) -> Result<(u64, u64), BooksError> {
    let sql = "SELECT count(*) AS orders, CAST(coalesce(sum(amount), 0) AS BIGINT) AS rupiah FROM orders
        WHERE settled_ms IS NOT NULL AND settled_ms >= $1 AND settled_ms < $2 AND (CAST($3 AS TEXT) IS NULL OR device = $3)";
    let rows = tx.rows(sql, &[from.into(), until.into(), device.map(DeviceId::as_str).into()])?;
    sums(&rows)
}

/// How many of each item a machine has handed out, of the orders that began since then. What is archived is not among them.
pub fn sold_since(tx: &mut dyn Tx, device: &DeviceId, since: Wall) -> Result<HashMap<Box<str>, u64>, BooksError> {
    let of =
        |what: &str, tries: &str| format!("SELECT {what} FROM orders WHERE device = $1 AND created_ms >= $2 AND delivery = $3 AND {tries}");
    let values = [device.as_str().into(), since.into(), Delivery::Dispensed.as_str().into()];
    let rows = tx.rows(&(of("item, count(*) AS number", "try = 1") + " GROUP BY item"), &values)?;
    let number = |row: &Row| Ok((row.text("item")?.into(), u64::try_from(row.int("number")?).unwrap_or(0)));
    let mut sold = rows.iter().map(number).collect::<Result<HashMap<Box<str>, u64>, BooksError>>()?;
    // A second try may hand out another item than was bought. They are few, and one that is damaged is left out.
    let tried = tx.rows(&of(READ, "try > 1"), &values)?;
    for stored in tried.iter().filter_map(|row| ledger::read(row).ok()) {
        *sold.entry(stored.order.goods().item.as_str().into()).or_default() += 1;
    }
    Ok(sold)
}

fn sums(rows: &[Row]) -> Result<(u64, u64), BooksError> {
    let number = |column| rows.first().map_or(Ok(0), |row| row.int(column));
    Ok((u64::try_from(number("orders")?).unwrap_or(0), u64::try_from(number("rupiah")?).unwrap_or(0)))
}

/// Every order_id under which a request was charged, the oldest first.
pub fn attempts(tx: &mut dyn Tx, device: &DeviceId, request: &RequestId) -> Result<Vec<OrderId>, BooksError> {
    let sql = "SELECT order_id FROM orders WHERE device = $1 AND request_id = $2 ORDER BY attempt";
    let rows = tx.rows(sql, &[device.as_str().into(), request.as_str().into()])?;
    rows.iter().map(|row| ledger::order_id(row.text("order_id")?)).collect()
}

impl OrderFilter {
    /// The machine, for the statements that know one. The plainest asks for nothing but a span.
    fn device_value(&self) -> Option<Value> {
        let device = self.device.as_ref().map(DeviceId::as_str);
        (self.refund_due || self.attention || device.is_some()).then(|| device.into())
    }
}

fn limit() -> Value {
    Value::Int(i64::try_from(PAGE).expect("a small number"))
}
