//! Sums that the database adds up from its columns, in one index. No order is read for them.

use super::entry::BooksError;
use crate::store::{self, Row, StoreError, Tx};
use qris_core::order::ids::DeviceId;
use qris_core::order::merchant::End;
use qris_core::order::scheme::Scheme;
use qris_core::order::time::{Wall, Zone};
use std::collections::HashMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouped {
    All,
    Machine,
    Goods,
    Scheme,
    /// Each hour of this zone, by the number of hours since 1970 there.
    Hour(Zone),
}

impl Grouped {
    /// In the books, beside sums that are kept.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Machine => "machine",
            Self::Goods => "goods",
            Self::Scheme => "scheme",
            Self::Hour(_) => "hour",
        }
    }

    /// The group of an order, in SQL. A zone is a setting, so there are few such statements.
    fn column(self) -> String {
        match self {
            Self::All => "''".into(),
            Self::Machine => "device".into(),
            Self::Goods => "goods".into(),
            Self::Scheme => "scheme".into(),
            Self::Hour(zone) => format!("CAST((settled_ms + {}) / 3600000 AS TEXT)", zone.ahead().0),
        }
    }
}

/// The orders of one group that have this end, and the sum that their customers paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    pub group: Box<str>,
    pub end: End,
    pub orders: u64,
    /// The sum, in rupiah.
    pub amount: u64,
}

/// What was settled in a span, of one machine or all.
pub fn sums(tx: &mut dyn Tx, device: Option<&DeviceId>, (from, until): (Wall, Wall), by: Grouped) -> Result<Vec<Sum>, BooksError> {
    let group = by.column();
    // What a machine sold today is found by the day: it has sold more in all its life. So no index of the machine may be taken.
    let only = if device.is_some() { " AND device || '' = $3" } else { "" };
    let sql = format!(
        "SELECT {group} AS grouped, ended, count(*) AS orders, CAST(sum(paid) AS BIGINT) AS rupiah FROM orders
        WHERE settled_ms IS NOT NULL AND settled_ms >= $1 AND settled_ms < $2{only} GROUP BY 1, 2"
    );
    let mut values = vec![from.into(), until.into()];
    values.extend(device.map(|device| device.as_str().into()));
    let read = |row: &Row| {
        Ok::<_, StoreError>(Sum {
            group: row.text("grouped")?.into(),
            end: end(row)?,
            orders: whole(row, "orders")?,
            amount: whole(row, "rupiah")?,
        })
    };
    Ok(tx.rows(&sql, &values)?.iter().map(read).collect::<Result<_, _>>()?)
}

/// Orders of one group that are alike in all that a payout is reckoned from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alike {
    pub group: Box<str>,
    pub end: End,
    pub scheme: Scheme,
    /// What the customer of each paid, in rupiah.
    pub paid: u64,
    /// What of it the gateway gave or took back; `None`: a part, and nobody has said how much.
    pub returned: Option<u64>,
    /// Each is goods and money.
    pub besides: bool,
    pub orders: u64,
    /// The sum of their prices, in rupiah.
    pub prices: u64,
}

/// What was settled in a span.
pub fn alike(tx: &mut dyn Tx, (from, until): (Wall, Wall), by: Grouped) -> Result<Vec<Alike>, BooksError> {
    let group = by.column();
    let sql = format!(
        "SELECT {group} AS grouped, ended, paid, scheme, returned, goods_and_money, count(*) AS orders,
        CAST(sum(amount) AS BIGINT) AS prices FROM orders
        WHERE settled_ms IS NOT NULL AND settled_ms >= $1 AND settled_ms < $2 GROUP BY 1, 2, 3, 4, 5, 6"
    );
    let read = |row: &Row| {
        Ok::<_, StoreError>(Alike {
            group: row.text("grouped")?.into(),
            end: end(row)?,
            scheme: Scheme::of_full(row.text("scheme")?),
            paid: whole(row, "paid")?,
            returned: row.maybe_int("returned")?.and_then(|returned| u64::try_from(returned).ok()),
            besides: row.int("goods_and_money")? == 1,
            orders: whole(row, "orders")?,
            prices: whole(row, "prices")?,
        })
    };
    Ok(tx.rows(&sql, &[from.into(), until.into()])?.iter().map(read).collect::<Result<_, _>>()?)
}

fn end(row: &Row) -> Result<End, StoreError> {
    let word = row.text("ended")?;
    End::from_word(word).ok_or_else(|| StoreError::Damaged { what: "the sums of orders".into(), why: format!("there is no end {word:?}") })
}

fn whole(row: &Row, column: &str) -> Result<u64, StoreError> {
    Ok(u64::try_from(row.int(column)?).unwrap_or(0))
}

pub fn first_settled(tx: &mut dyn Tx) -> Result<Option<Wall>, BooksError> {
    let rows = tx.rows("SELECT min(settled_ms) AS first FROM orders WHERE settled_ms IS NOT NULL", &[])?;
    Ok(rows.first().map(|row| row.maybe_int("first")).transpose()?.flatten().map(Wall))
}

/// What is kept of the days of a span: the text of each, by its first moment and its end. The database forgets a day when an order of it
/// changes.
pub fn kept(tx: &mut dyn Tx, (from, until): (Wall, Wall), by: &str, fees: &str) -> Result<HashMap<(Wall, Wall), Box<str>>, BooksError> {
    let sql = "SELECT from_ms, until_ms, sums FROM day_sums
        WHERE until_ms > $1 AND until_ms <= $2 AND from_ms >= $1 AND grouped = $3 AND fees = $4";
    let read = |row: &Row| Ok::<_, StoreError>(((Wall(row.int("from_ms")?), Wall(row.int("until_ms")?)), row.text("sums")?.into()));
    Ok(tx.rows(sql, &[from.into(), until.into(), by.into(), fees.into()])?.iter().map(read).collect::<Result<_, _>>()?)
}

/// Keeps the text of a day. It must come of what this transaction has read: nobody else writes meanwhile.
pub fn keep(tx: &mut dyn Tx, (from, until): (Wall, Wall), by: &str, fees: &str, sums: &str) -> Result<(), BooksError> {
    let row =
        vec![("until_ms", until.into()), ("from_ms", from.into()), ("grouped", by.into()), ("fees", fees.into()), ("sums", sums.into())];
    Ok(store::put(tx, "day_sums", "until_ms, from_ms, grouped", row)?)
}
