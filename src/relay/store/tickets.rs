//! The tickets. Each is open, until it is used for an order or closed.

use super::StoreError;
use super::row::{id, nth, rupiah, sum, whole};
use qris_core::order::ids::{ItemId, Ticket};
use qris_core::order::ledger::{Again, TicketEntry};
use qris_core::order::money::Rupiah;
use qris_core::order::tries::TryNumber;
use rusqlite::{Connection, Row, params};

pub(super) struct TicketRow {
    pub(super) seq: i64,
    ticket: String,
    item: String,
    amount: i64,
    state: String,
    order_id: Option<String>,
    r#try: i64,
    after: Option<String>,
    pub(super) number: Option<i64>,
}

impl TicketRow {
    pub(super) fn open(seq: i64, ticket: &Ticket, item: &ItemId, amount: Rupiah, again: Option<&Again>) -> Self {
        let (ticket, item, amount) = (ticket.to_string(), item.to_string(), whole(amount));
        let (order_id, after) = again.map(|again| (again.order.to_string(), again.after.to_string())).unzip();
        let number = again.map_or(TryNumber::FIRST, |again| again.number);
        Self { seq, ticket, item, amount, state: "open".into(), order_id, r#try: number.get().into(), after, number: None }
    }

    pub(super) fn find(connection: &Connection, ticket: &Ticket) -> Result<Option<Self>, StoreError> {
        let mut statement = connection.prepare_cached("SELECT * FROM tickets WHERE ticket = ?1")?;
        statement.query_and_then([ticket.as_str()], Self::read)?.next().transpose()
    }

    pub(super) fn all(connection: &Connection, each: &mut dyn FnMut(Self) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut statement = connection.prepare("SELECT * FROM tickets ORDER BY seq")?;
        statement.query_and_then([], Self::read)?.try_for_each(|row| each(row?))
    }

    pub(super) fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        connection
            .prepare_cached(
                "INSERT INTO tickets (seq, ticket, item, amount, state, order_id, try, after, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                self.seq,
                self.ticket,
                self.item,
                self.amount,
                self.state,
                self.order_id,
                self.r#try,
                self.after,
                self.sum()
            ])?;
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
            r#try: row.get("try")?,
            after: row.get("after")?,
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
        let (seq, amount, nth) = (self.seq.to_string(), self.amount.to_string(), self.r#try.to_string());
        let [order, after] = [&self.order_id, &self.after].map(|id| id.as_deref().unwrap_or(""));
        // It has a number once it has left `open`.
        let number = self.number.map(|number| number.to_string());
        let mut columns = vec!["ticket", &seq, &self.ticket, &self.item, &amount, &self.state, order, &nth, after];
        columns.extend(number.as_deref());
        sum(&columns)
    }

    pub(super) fn entry(&self) -> Result<TicketEntry, StoreError> {
        let number = nth(self.r#try)?;
        let again = match (&self.order_id, &self.after) {
            (Some(order), Some(after)) => Some(Again { order: id(order)?, number, after: id(after)? }),
            (_, None) => None,
            (None, Some(_)) => return Err(StoreError::Damaged(format!("ticket {} is for another try at no order", self.ticket))),
        };
        match (self.state.as_str(), &self.order_id) {
            ("open", _) => Ok(TicketEntry::Open { item: id(&self.item)?, amount: rupiah(self.amount)?, again }),
            ("used", Some(order)) => Ok(TicketEntry::Used(id(order)?, number)),
            ("closed", _) => Ok(TicketEntry::Closed(again)),
            (state, _) => Err(StoreError::Damaged(format!("ticket {} has the state {state}", self.ticket))),
        }
    }

    pub(super) fn ticket(&self) -> Result<Ticket, StoreError> {
        id(&self.ticket)
    }

    pub(super) fn leave_open(self, connection: &Connection, state: &str, order: Option<&str>, number: i64) -> Result<(), StoreError> {
        let order_id = order.map(str::to_owned).or(self.order_id);
        let row = Self { state: state.into(), order_id, number: Some(number), ..self };
        connection
            .prepare_cached("UPDATE tickets SET state = ?2, order_id = ?3, sum = ?4, number = ?5 WHERE seq = ?1")?
            .execute(params![row.seq, row.state, row.order_id, row.sum(), row.number])?;
        Ok(())
    }
}
