//! The pulses: each drives a line once, for an order or a test.

use super::row::{id, nth, rupiah, sum, whole};
use super::{Pulse, StoreError};
use qris_core::order::ids::{CommandId, ItemId, OrderId, RequestId};
use qris_core::order::ledger::{Cause, Entry};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Outcome;
use ring::digest::{SHA256, digest};
use rusqlite::{Connection, Row, params};

/// Its word in the ledger: one word for each outcome.
const fn stored(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::NotDriven => "not_driven",
        Outcome::Dispensed | Outcome::Failed | Outcome::Uncertain => outcome.as_str(),
    }
}

/// What is kept of an order for ever: 128 bits of SHA-256 of its id. It bars this order. While its row is kept, its request and its
/// transaction are barred for other orders, too. After that they need not be: books that are wrong name an order once more, and the gateway
/// says to which order a transaction belongs.
fn digest_of(order: &str) -> [u8; 16] {
    *digest(&SHA256, order.as_bytes()).as_ref().first_chunk().expect("a digest of 32 bytes")
}

pub(super) fn is_dropped(connection: &Connection, order: &OrderId) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM dropped WHERE digest = ?1")?;
    Ok(statement.exists([digest_of(order.as_str())])?)
}

pub(super) struct PulseRow {
    pub(super) seq: i64,
    pub(super) order_id: Option<String>,
    pub(super) r#try: Option<i64>,
    pub(super) ticket: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) transaction_id: Option<String>,
    pub(super) jti: Option<String>,
    pub(super) line: String,
    pub(super) item: String,
    pub(super) amount: i64,
    pub(super) outcome: Option<String>,
    pub(super) detail: String,
}

impl PulseRow {
    /// A new one, which is being driven. What it is for must still be said.
    pub(super) fn driving(seq: i64, line: &str, item: &ItemId, amount: Rupiah) -> Self {
        Self {
            seq,
            order_id: None,
            r#try: None,
            ticket: None,
            request_id: None,
            transaction_id: None,
            jti: None,
            line: line.into(),
            item: item.to_string(),
            amount: whole(amount),
            outcome: None,
            detail: String::new(),
        }
    }

    pub(super) fn find(connection: &Connection, cause: &Cause) -> Result<Option<Self>, StoreError> {
        match cause {
            Cause::Order { order, number, .. } => {
                let mut statement = connection.prepare_cached("SELECT * FROM pulses WHERE order_id = ?1 AND try = ?2")?;
                statement.query_and_then(params![order.as_str(), number.get()], Self::read)?.next().transpose()
            }
            Cause::Test(jti) => Self::of_test(connection, jti),
        }
    }

    pub(super) fn of_order(connection: &Connection, order: &OrderId) -> Result<Vec<Self>, StoreError> {
        let mut statement = connection.prepare_cached("SELECT * FROM pulses WHERE order_id = ?1 ORDER BY try")?;
        statement.query_and_then([order.as_str()], Self::read)?.collect()
    }

    pub(super) fn of_test(connection: &Connection, jti: &CommandId) -> Result<Option<Self>, StoreError> {
        let mut statement = connection.prepare_cached("SELECT * FROM pulses WHERE jti = ?1")?;
        statement.query_and_then([jti.as_str()], Self::read)?.next().transpose()
    }

    pub(super) fn all(connection: &Connection, each: &mut dyn FnMut(Self) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut statement = connection.prepare("SELECT * FROM pulses ORDER BY seq")?;
        statement.query_and_then([], Self::read)?.try_for_each(|row| each(row?))
    }

    pub(super) fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        connection
            .prepare_cached(
                "INSERT INTO pulses (seq, order_id, try, ticket, request_id, transaction_id, jti, line, item, amount, detail, digest, sum)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                self.seq,
                self.order_id,
                self.r#try,
                self.ticket,
                self.request_id,
                self.transaction_id,
                self.jti,
                self.line,
                self.item,
                self.amount,
                self.detail,
                self.digest(),
                self.sum()
            ])?;
        Ok(())
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let pulse = Self {
            seq: row.get("seq")?,
            order_id: row.get("order_id")?,
            r#try: row.get("try")?,
            ticket: row.get("ticket")?,
            request_id: row.get("request_id")?,
            transaction_id: row.get("transaction_id")?,
            jti: row.get("jti")?,
            line: row.get("line")?,
            item: row.get("item")?,
            amount: row.get("amount")?,
            outcome: row.get("outcome")?,
            detail: row.get("detail")?,
        };
        let sum: String = row.get("sum")?;
        let is_whole = sum == pulse.sum() && row.get::<_, Option<[u8; 16]>>("digest")? == pulse.digest();
        if is_whole { Ok(pulse) } else { Err(StoreError::Damaged(format!("the checksum of pulse {} is wrong", pulse.seq))) }
    }

    fn digest(&self) -> Option<[u8; 16]> {
        self.order_id.as_deref().map(digest_of)
    }

    fn sum(&self) -> String {
        self.sum_with(self.outcome.as_deref().unwrap_or(""), &self.detail)
    }

    fn sum_with(&self, outcome: &str, detail: &str) -> String {
        let (seq, amount) = (self.seq.to_string(), self.amount.to_string());
        let nth = self.r#try.map(|number| number.to_string()).unwrap_or_default();
        let [order, ticket, request, transaction, jti] =
            [&self.order_id, &self.ticket, &self.request_id, &self.transaction_id, &self.jti].map(|id| id.as_deref().unwrap_or(""));
        sum(&["pulse", &seq, order, &nth, ticket, request, transaction, jti, &self.line, &self.item, &amount, outcome, detail])
    }

    /// How it ended; `None`: it is being driven.
    pub(super) fn ended(&self) -> Result<Option<Outcome>, StoreError> {
        let Some(word) = self.outcome.as_deref() else { return Ok(None) };
        let known = Outcome::ALL.into_iter().find(|outcome| stored(*outcome) == word);
        known.map(Some).ok_or_else(|| StoreError::Damaged(format!("pulse {} has the outcome {word}", self.seq)))
    }

    pub(super) fn pulse(&self) -> Result<Pulse, StoreError> {
        let entry = self.ended()?.map_or(Entry::Driving, Entry::Ended);
        let cause = match (&self.order_id, self.r#try, &self.request_id, &self.jti) {
            (Some(order), Some(number), Some(request), None) => {
                Cause::Order { order: id::<OrderId>(order)?, request: id::<RequestId>(request)?, number: nth(number)? }
            }
            (None, None, None, Some(jti)) => Cause::Test(id(jti)?),
            _ => return Err(StoreError::Damaged(format!("pulse {} is for nothing, or for two things", self.seq))),
        };
        Ok(Pulse {
            cause,
            item: id(&self.item)?,
            amount: rupiah(self.amount)?,
            line: self.line.clone(),
            entry,
            detail: self.detail.clone(),
        })
    }

    pub(super) fn end(&self, connection: &Connection, outcome: Outcome, detail: &str) -> Result<(), StoreError> {
        connection.prepare_cached("UPDATE pulses SET outcome = ?2, detail = ?3, sum = ?4 WHERE seq = ?1")?.execute(params![
            self.seq,
            stored(outcome),
            detail,
            self.sum_with(stored(outcome), detail)
        ])?;
        Ok(())
    }
}
