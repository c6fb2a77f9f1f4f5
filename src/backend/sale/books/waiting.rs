//! All that waits for something, counted for those who watch.

use super::alerts::OFFLINE;
use super::entry::BooksError;
use crate::store::{Row, StoreError, Tx};
use qris_core::order::merchant::Attention;
use qris_core::order::time::Wall;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waiting {
    /// For a person, by each kind there is.
    pub attention: Vec<ListedKind>,
    /// Orders that have not ended, and when the oldest began.
    pub open: (u64, Option<Wall>),
    /// News that the broker does not have yet, and the age of the oldest.
    pub outbox: (u64, Option<Wall>),
    /// Alerts that did not arrive, and are tried again.
    pub alerts: u64,
    pub machines_missing: u64,
}

/// Orders at which a person must look for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKind {
    pub kind: Attention,
    pub orders: u64,
    /// The sum of their prices, whole rupiah.
    pub rupiah: u64,
    /// Since when the oldest is listed.
    pub since: Option<Wall>,
}

pub fn waiting(tx: &mut dyn Tx) -> Result<Waiting, BooksError> {
    let sql = "SELECT kind, count(*) AS number, CAST(coalesce(sum(amount), 0) AS BIGINT) AS rupiah, min(since_ms) AS oldest_ms
        FROM alerts JOIN orders ON order_id = subject WHERE ended_ms IS NULL GROUP BY kind";
    let rows = tx.rows(sql, &[])?;
    let of = |kind: Attention| -> Result<ListedKind, BooksError> {
        let row = rows.iter().find(|row| row.text("kind").is_ok_and(|word| word == kind.as_str()));
        let Some(row) = row else { return Ok(ListedKind { kind, orders: 0, rupiah: 0, since: None }) };
        Ok(ListedKind { kind, orders: count_of(row, "number")?, rupiah: count_of(row, "rupiah")?, since: oldest(row)? })
    };
    let attention = Attention::ALL.into_iter().map(of).collect::<Result<_, _>>()?;
    let mut counted = |sql| -> Result<(u64, Option<Wall>), BooksError> {
        let rows = tx.rows(sql, &[])?;
        rows.first().map_or(Ok((0, None)), |row| Ok((count_of(row, "number")?, oldest(row)?)))
    };
    Ok(Waiting {
        attention,
        open: counted("SELECT count(*) AS number, min(created_ms) AS oldest_ms FROM orders WHERE is_open = 1")?,
        outbox: counted("SELECT count(*) AS number, min(created_ms) AS oldest_ms FROM outbox")?,
        alerts: counted("SELECT count(*) AS number, min(next_ms) AS oldest_ms FROM alerts WHERE next_ms IS NOT NULL AND tries > 0")?.0,
        machines_missing: {
            let rows = tx.rows("SELECT count(*) FROM alerts WHERE kind = $1 AND ended_ms IS NULL", &[OFFLINE.into()])?;
            u64::try_from(Row::number(&rows)?).unwrap_or(0)
        },
    })
}

/// The machines that are let in, and those that were revoked.
pub fn machines_let_in(tx: &mut dyn Tx) -> Result<(u64, u64), BooksError> {
    let rows = tx.rows("SELECT count(*) AS number, count(revoked_ms) AS revoked FROM devices", &[])?;
    rows.first().map_or(Ok((0, 0)), |row| Ok((count_of(row, "number")? - count_of(row, "revoked")?, count_of(row, "revoked")?)))
}

fn count_of(row: &Row, column: &str) -> Result<u64, StoreError> {
    Ok(u64::try_from(row.int(column)?).unwrap_or(0))
}

fn oldest(row: &Row) -> Result<Option<Wall>, StoreError> {
    Ok(row.maybe_int("oldest_ms")?.map(Wall))
}
