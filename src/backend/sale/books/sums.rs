//! Sums that the database adds up from its columns, in one index. No order is read for them.

use super::entry::BooksError;
use crate::sale::counted::End;
use crate::store::{Row, StoreError, Tx};
use qris_core::order::ids::DeviceId;
use qris_core::order::time::{Wall, Zone};

/// What sums are told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouped {
    /// All in one.
    All,
    /// Each machine.
    Machine,
    /// Each kind of goods.
    Goods,
    /// Each way on which a payment came.
    Scheme,
    /// Each hour of this zone, by the number of hours since 1970 there.
    Hour(Zone),
}

/// The orders of one group that have this end, and the sum that their customers paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// The group.
    pub group: Box<str>,
    /// What became of the money.
    pub end: End,
    /// The number of orders.
    pub orders: u64,
    /// The sum, in rupiah.
    pub amount: u64,
}

/// What was settled in a span, of one machine or all.
///
/// # Errors
/// The database's.
pub fn sums(tx: &mut dyn Tx, device: Option<&DeviceId>, (from, until): (Wall, Wall), by: Grouped) -> Result<Vec<Sum>, BooksError> {
    let group = match by {
        Grouped::All => "''".into(),
        Grouped::Machine => "device".into(),
        Grouped::Goods => "goods".into(),
        Grouped::Scheme => "scheme".into(),
        // A zone is a setting, so there are few such statements.
        Grouped::Hour(zone) => format!("CAST((settled_ms + {}) / 3600000 AS TEXT)", zone.ahead().0),
    };
    // What a machine sold today is found by the day: it has sold more in all its life. So no index of the machine may be taken.
    let only = if device.is_some() { " AND device || '' = $3" } else { "" };
    let sql = format!(
        "SELECT {group} AS grouped, ended, count(*) AS orders, CAST(sum(paid) AS BIGINT) AS rupiah FROM orders
        WHERE settled_ms IS NOT NULL AND settled_ms >= $1 AND settled_ms < $2{only} GROUP BY 1, 2"
    );
    let mut values = vec![from.into(), until.into()];
    values.extend(device.map(|device| device.as_str().into()));
    let read = |row: &Row| {
        let word = row.text("ended")?;
        let damaged = || StoreError::Damaged { what: "the sums of orders".into(), why: format!("there is no end {word:?}") };
        let number = |column| Ok::<_, StoreError>(u64::try_from(row.int(column)?).unwrap_or(0));
        let end = End::from_word(word).ok_or_else(damaged)?;
        Ok::<_, StoreError>(Sum { group: row.text("grouped")?.into(), end, orders: number("orders")?, amount: number("rupiah")? })
    };
    Ok(tx.rows(&sql, &values)?.iter().map(read).collect::<Result<_, _>>()?)
}
