//! How often the line of an item was driven. It counts on when old pulses are forgotten.

use super::StoreError;
use super::pulses::PulseRow;
use super::row::{id, same, sum};
use qris_core::order::ids::ItemId;
use qris_core::order::stock::Drives;
use rusqlite::{Connection, Row, params};
use std::collections::BTreeMap;

/// Counts a pulse that has driven its line, beside what is known. Answers with its item's count.
pub(super) fn count(connection: &Connection, known: &BTreeMap<ItemId, Drives>, pulse: &PulseRow) -> Result<(ItemId, Drives), StoreError> {
    let item: ItemId = id(&pulse.item)?;
    let mut drives = known.get(&item).copied().unwrap_or(Drives { orders: 0, tests: 0 });
    let of = if pulse.jti.is_some() { &mut drives.tests } else { &mut drives.orders };
    *of += 1;
    let [orders, tests] = [drives.orders, drives.tests].map(|n| n.to_string());
    let sum = sum(&["driven", item.as_str(), &orders, &tests]);
    let sql = "INSERT INTO driven (item, orders, tests, sum) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (item) DO UPDATE SET orders = excluded.orders, tests = excluded.tests, sum = excluded.sum";
    let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    connection.prepare_cached(sql)?.execute(params![item.as_str(), whole(drives.orders), whole(drives.tests), sum])?;
    Ok((item, drives))
}

pub(super) fn all(connection: &Connection) -> Result<BTreeMap<ItemId, Drives>, StoreError> {
    let mut statement = connection.prepare("SELECT * FROM driven")?;
    let read = |row: &Row<'_>| {
        let (item, orders, tests, sum): (String, i64, i64, String) =
            (row.get("item")?, row.get("orders")?, row.get("tests")?, row.get("sum")?);
        same(&sum, &["driven", &item, &orders.to_string(), &tests.to_string()], "driven", &item)?;
        let whole = |n: i64| u64::try_from(n).unwrap_or(0);
        Ok((id(&item)?, Drives { orders: whole(orders), tests: whole(tests) }))
    };
    statement.query_and_then([], read)?.collect()
}
