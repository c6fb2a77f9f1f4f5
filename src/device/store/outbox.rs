//! The events that wait for the broker, in the order of their numbers. No number is used twice.

use super::OUTBOX_MAX;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

/// What is known of them without reading them. It changes in a copy, which counts once the transaction is committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outbox {
    /// There is a broker, for which events are kept.
    has_broker: bool,
    waiting: i64,
    seq: u64,
    /// The row of the last event is kept for its number only.
    emptied: bool,
}

impl Outbox {
    pub(super) fn begin(connection: &Connection) -> rusqlite::Result<Self> {
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let waiting = number("SELECT count(*) FROM outbox WHERE payload <> ''")?;
        let seq = number("SELECT coalesce(max(seq), 0) FROM outbox")?;
        let emptied = number("SELECT count(*) FROM outbox WHERE payload = ''")? > 0;
        Ok(Self { has_broker: true, waiting, seq: u64::try_from(seq).unwrap_or(0), emptied })
    }

    pub(super) fn without_broker(self) -> Self {
        Self { has_broker: false, ..self }
    }

    /// The number of the last event; 0 before the first.
    pub(super) fn last(&self) -> u64 {
        self.seq
    }

    pub(super) fn waiting(&self) -> u64 {
        u64::try_from(self.waiting).unwrap_or(0)
    }

    pub(super) fn has_room(&self) -> bool {
        !self.has_broker || self.waiting < OUTBOX_MAX
    }

    /// The next event has the number after this one, which was used already, as far as anybody knows.
    pub(super) fn go_on_after(&mut self, transaction: &Transaction<'_>, seq: u64) -> rusqlite::Result<()> {
        if self.emptied {
            transaction.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?.execute([i64_of(self.seq)])?;
        }
        transaction.prepare_cached("INSERT INTO outbox (seq, payload) VALUES (?1, '')")?.execute([i64_of(seq)])?;
        (self.seq, self.emptied) = (seq, true);
        Ok(())
    }

    /// Appends an event, which has the number after [`Outbox::last`].
    pub(super) fn append(&mut self, transaction: &Transaction<'_>, event: &str) -> rusqlite::Result<()> {
        if self.emptied {
            transaction.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?.execute([i64_of(self.seq)])?;
        }
        self.seq += 1;
        let kept = if self.has_broker { event } else { "" };
        transaction.prepare_cached("INSERT INTO outbox (seq, payload) VALUES (?1, ?2)")?.execute(params![i64_of(self.seq), kept])?;
        self.emptied = !self.has_broker;
        self.waiting += i64::from(self.has_broker);
        Ok(())
    }

    /// Forgets events. The number of the last one must not be used again, so its row stays.
    pub(super) fn forget(&mut self, transaction: &Transaction<'_>, sent: &[u64]) -> rusqlite::Result<()> {
        for seq in sent {
            let sql = if *seq == self.seq { "UPDATE outbox SET payload = '' WHERE seq = ?1" } else { "DELETE FROM outbox WHERE seq = ?1" };
            transaction.prepare_cached(sql)?.execute([i64_of(*seq)])?;
        }
        self.emptied |= sent.contains(&self.seq);
        self.waiting -= i64_of(sent.len() as u64);
        Ok(())
    }

    pub(super) fn next(&self, connection: &Connection, seq: u64) -> rusqlite::Result<Option<(u64, String)>> {
        if seq >= self.seq || self.waiting == 0 {
            return Ok(None);
        }
        let sql = "SELECT seq, payload FROM outbox WHERE seq > ?1 AND payload <> '' ORDER BY seq LIMIT 1";
        let mut select = connection.prepare_cached(sql)?;
        let row = select.query_row([i64_of(seq)], |row| Ok((row.get::<_, i64>("seq")?, row.get("payload")?))).optional()?;
        Ok(row.map(|(seq, payload)| (u64::try_from(seq).unwrap_or(0), payload)))
    }
}

fn i64_of(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
