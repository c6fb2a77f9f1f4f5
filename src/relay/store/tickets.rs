//! The tickets. Each is open, until it is used for an order or closed.

use super::StoreError;
use super::row::{id, rupiah, sum, whole};
use qris_core::order::ids::{ItemId, Ticket};
use qris_core::order::ledger::TicketEntry;
use qris_core::order::money::Rupiah;
use rusqlite::{Connection, Row, params};

/// A row of `tickets`.
pub(super) struct TicketRow {
    pub(super) seq: i64,
    ticket: String,
    item: String,
    amount: i64,
    state: String,
    order_id: Option<String>,
    pub(super) number: Option<i64>,
}

impl TicketRow {
    /// A new one, which is open.
    pub(super) fn open(seq: i64, ticket: &Ticket, item: &ItemId, amount: Rupiah) -> Self {
        let (ticket, item, amount) = (ticket.to_string(), item.to_string(), whole(amount));
        Self { seq, ticket, item, amount, state: "open".into(), order_id: None, number: None }
    }

    /// That of a ticket.
    pub(super) fn find(connection: &Connection, ticket: &Ticket) -> Result<Option<Self>, StoreError> {
        let mut statement = connection.prepare_cached("SELECT * FROM tickets WHERE ticket = ?1")?;
        let mut rows = statement.query([ticket.as_str()])?;
        rows.next()?.map(Self::read).transpose()
    }

    /// All, in the order of their numbers.
    pub(super) fn all(connection: &Connection, each: &mut dyn FnMut(Self) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut statement = connection.prepare("SELECT * FROM tickets ORDER BY seq")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(Self::read(row)?)?;
        }
        Ok(())
    }

    pub(super) fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        connection
            .prepare_cached("INSERT INTO tickets (seq, ticket, item, amount, state, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![self.seq, self.ticket, self.item, self.amount, self.state, self.sum()])?;
        Ok(())
    }

    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let ticket = Self {
            seq: row.get("seq")?,
            ticket: row.get("ticket")?,
            item: row.get("item")?,
            amount: row.get("amount")?,
            state: row.get("state")?,
            order_id: row.get("order_id")?,
            number: row.get("number")?,
        };
        let sum: String = row.get("sum")?;
        if sum == ticket.sum() {
            Ok(ticket)
        } else {
            Err(StoreError::Damaged(format!("the checksum of ticket {} is wrong", ticket.ticket)))
        }
    }

    fn sum(&self) -> String {
        let (seq, amount) = (self.seq.to_string(), self.amount.to_string());
        let order = self.order_id.as_deref().unwrap_or("");
        // It has a number once it has left `open`.
        let number = self.number.map(|number| number.to_string());
        let mut columns = vec!["ticket", &seq, &self.ticket, &self.item, &amount, &self.state, order];
        columns.extend(number.as_deref());
        sum(&columns)
    }

    pub(super) fn entry(&self) -> Result<TicketEntry, StoreError> {
        match (self.state.as_str(), &self.order_id) {
            ("open", None) => Ok(TicketEntry::Open { item: id(&self.item)?, amount: rupiah(self.amount)? }),
            ("used", Some(order)) => Ok(TicketEntry::Used(id(order)?)),
            ("closed", None) => Ok(TicketEntry::Closed),
            (state, _) => Err(StoreError::Damaged(format!("ticket {} has the state {state}", self.ticket))),
        }
    }

    pub(super) fn ticket(&self) -> Result<Ticket, StoreError> {
        id(&self.ticket)
    }

    pub(super) fn leave_open(self, connection: &Connection, state: &str, order: Option<&str>, number: i64) -> Result<(), StoreError> {
        let row = Self { state: state.into(), order_id: order.map(str::to_owned), number: Some(number), ..self };
        connection
            .prepare_cached("UPDATE tickets SET state = ?2, order_id = ?3, sum = ?4, number = ?5 WHERE seq = ?1")?
            .execute(params![row.seq, row.state, row.order_id, row.sum(), row.number])?;
        Ok(())
    }
}
