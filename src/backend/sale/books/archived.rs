//! The remains of an archived order in the books: enough to know it, and to prevent that any part of it is used once more.

use super::entry::BooksError;
use crate::store::{Row, StoreError, Tx};
use qris_core::order::ids::{DeviceId, OrderId, RequestId, Ticket};
use qris_core::order::time::Wall;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    pub device: DeviceId,
    pub file: String,
    pub at: Wall,
    pub was_paid: bool,
}

/// Whether an order is archived, and where.
pub fn archived(tx: &mut dyn Tx, id: &OrderId) -> Result<Option<Archived>, BooksError> {
    let sql = "SELECT o.device, a.file, a.at_ms, o.settled_ms FROM archived AS o JOIN archives AS a ON a.archive = o.archive WHERE o.order_id = $1";
    let rows = tx.rows(sql, &[id.as_str().into()])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let damaged = |error: qris_core::order::ids::IdError| StoreError::Damaged { what: id.to_string(), why: error.to_string() };
    let device = DeviceId::new(row.text("device")?).map_err(damaged)?;
    Ok(Some(Archived {
        device,
        file: row.text("file")?.into(),
        at: Wall(row.int("at_ms")?),
        was_paid: row.maybe_int("settled_ms")?.is_some(),
    }))
}

/// How many archived orders were settled in a span. The sums leave them out.
pub fn archived_between(tx: &mut dyn Tx, (from, until): (Wall, Wall)) -> Result<i64, BooksError> {
    Ok(Row::number(&tx.rows("SELECT count(*) FROM archived WHERE settled_ms >= $1 AND settled_ms < $2", &[from.into(), until.into()])?)?)
}

pub(super) fn has_request(tx: &mut dyn Tx, device: &DeviceId, request: &RequestId) -> Result<bool, BooksError> {
    let sql = "SELECT 1 FROM archived WHERE device = $1 AND request_id = $2 LIMIT 1";
    Ok(!tx.rows(sql, &[device.as_str().into(), request.as_str().into()])?.is_empty())
}

pub(super) fn has_ticket(tx: &mut dyn Tx, device: &DeviceId, ticket: &Ticket) -> Result<bool, BooksError> {
    let sql = "SELECT 1 FROM archived WHERE device = $1 AND ticket = $2
        UNION ALL SELECT 1 FROM archived_tries WHERE device = $1 AND ticket = $2 LIMIT 1";
    Ok(!tx.rows(sql, &[device.as_str().into(), ticket.as_str().into()])?.is_empty())
}
