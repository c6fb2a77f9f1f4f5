//! Whole rows, written by the names of their columns. Which columns a table has stands in `schema/` and nowhere else: what copies rows
//! reads all of them.

use super::{Columns, StoreError, Tx, Value};

pub(crate) fn insert(tx: &mut dyn Tx, table: &str, row: Columns<'_>) -> Result<(), StoreError> {
    let (names, values) = parts(row);
    tx.rows(&inserting(table, &names), &values).map(drop)
}

/// Adds a row, or changes the one with the same `key`.
pub(crate) fn put(tx: &mut dyn Tx, table: &str, key: &str, row: Columns<'_>) -> Result<(), StoreError> {
    let (names, values) = parts(row);
    let others: Vec<_> = names.iter().filter(|name| **name != key).map(|name| format!("{name} = excluded.{name}")).collect();
    let sql = format!("{} ON CONFLICT ({key}) DO UPDATE SET {}", inserting(table, &names), others.join(", "));
    tx.rows(&sql, &values).map(drop)
}

/// Changes these columns of the row that has the values `of`. Answers whether there is one.
pub(crate) fn update(tx: &mut dyn Tx, table: &str, row: Columns<'_>, of: Columns<'_>) -> Result<bool, StoreError> {
    let ((names, mut values), (keys, of)) = (parts(row), parts(of));
    let each = |names: &[&str], behind: usize, between: &str| {
        let texts = names.iter().zip(behind + 1..).map(|(name, number)| format!("{name} = ${number}"));
        texts.collect::<Vec<_>>().join(between)
    };
    let sql = format!("UPDATE {table} SET {} WHERE {} RETURNING 1", each(&names, 0, ", "), each(&keys, names.len(), " AND "));
    values.extend(of);
    Ok(!tx.rows(&sql, &values)?.is_empty())
}

fn parts(row: Columns<'_>) -> (Vec<&str>, Vec<Value>) {
    row.into_iter().unzip()
}

fn inserting(table: &str, names: &[&str]) -> String {
    let places: Vec<_> = (1..=names.len()).map(|number| format!("${number}")).collect();
    format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), places.join(", "))
}
