//! The turn to publish. Of several backends on the same books one publishes at a time: so the news of a machine goes out once, in
//! the order in which it was written.

use super::entry::BooksError;
use crate::store::Tx;
use qris_core::order::time::{Span, Told};

/// Who publishes has the turn for this time from its last call. Another one goes on when it is over.
pub const PUBLISHING: Span = Span::secs(5);

/// Whether `who` may publish: it has the turn, or nobody has. Then it has it for [`PUBLISHING`] from now.
pub fn may_publish(tx: &mut dyn Tx, who: &str, now: Told) -> Result<bool, BooksError> {
    // No turn is longer. One that seems to be was taken before the clock was set back.
    let turn = "INSERT INTO outbox_turn (one, who, until_ms) VALUES (1, $1, $2)
        ON CONFLICT (one) DO UPDATE SET who = excluded.who, until_ms = excluded.until_ms
            WHERE outbox_turn.who = excluded.who OR outbox_turn.until_ms <= $3 OR outbox_turn.until_ms > excluded.until_ms
        RETURNING 1";
    Ok(!tx.rows(turn, &[who.into(), (now + PUBLISHING).0.into(), now.into()])?.is_empty())
}

/// Gives the turn back, if `who` has it.
pub fn publishing_ends(tx: &mut dyn Tx, who: &str) -> Result<(), BooksError> {
    tx.rows("DELETE FROM outbox_turn WHERE who = $1", &[who.into()])?;
    Ok(())
}
