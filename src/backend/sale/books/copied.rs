//! Books that came back: a copy that was put in their place, or a server that may not have the last moments. What became of an order since then,
//! they do not know.

use super::alerts::{self, Older};
use super::entry::{BooksError, Stored};
use super::ledger;
use crate::store::Tx;
use qris_core::order::time::{Span, Told, Wall};

/// The orders that are read at once.
const PAGE: i64 = 500;
/// So long a person is reminded that the books are older, or may be.
const REMINDED: Span = Span::secs(7 * 24 * 3600);

/// A person says that these books are a copy. Each order that had no end in it is a person's from now on. One message tells of all of
/// them. Answers how many these are.
pub fn of_a_copy(tx: &mut dyn Tx, now: Told) -> Result<u64, BooksError> {
    let count = mark_all(tx, now)?;
    if count > 0 {
        alerts::older_books(tx, Older::Restored, now)?;
    }
    Ok(count)
}

fn mark_all(tx: &mut dyn Tx, now: Told) -> Result<u64, BooksError> {
    let sql = format!(
        "SELECT {} FROM orders WHERE order_id > $1 AND ended NOT IN ('delivered', 'given', 'refunded', 'refunded_by_hand')
        ORDER BY order_id LIMIT $2",
        ledger::READ
    );
    let (mut count, mut behind) = (0, String::new());
    loop {
        let rows = tx.rows(&sql, &[behind.as_str().into(), PAGE.into()])?;
        let Some(last) = rows.last() else { break };
        behind = last.text("order_id")?.into();
        for row in &rows {
            match ledger::read(row) {
                Ok(stored) => count += u64::from(mark(tx, &stored, now)?),
                // Nothing is done with it.
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
    }
    alerts::older_books_are_known(tx, now)?;
    Ok(count)
}

fn mark(tx: &mut dyn Tx, stored: &Stored, now: Told) -> Result<bool, BooksError> {
    let order = stored.order.clone().of_a_copy(now);
    if order == stored.order {
        return Ok(false);
    }
    alerts::keep_among_many(tx, &stored.order, &order, now)?;
    ledger::note(tx, &order.id, "the books are a copy of before: nobody knows what became of it since", now.wall)?;
    ledger::save(tx, stored, order, stored.claimed_until)?;
    Ok(true)
}

/// The mark of these books says that they are a copy. A person is told.
pub fn taken_up(tx: &mut dyn Tx, now: Told) -> Result<(), BooksError> {
    mark_all(tx, now)?;
    alerts::older_books(tx, Older::Copy, now)
}

/// The database has another primary, or went back to a point in time. What the one before had answered last may be missing, unless a standby was
/// synchronous. Nobody can see that here, so a person is told.
pub fn on_another_primary(tx: &mut dyn Tx, now: Told) -> Result<(), BooksError> {
    alerts::older_books(tx, Older::AnotherPrimary, now)
}

/// Since when the books are older, or may be, if a person is still reminded of it.
pub fn older_since(tx: &mut dyn Tx, now: Told) -> Result<Option<(Older, Wall)>, BooksError> {
    Ok(alerts::older_since(tx)?.filter(|(_, since)| now.wall < *since + REMINDED))
}
