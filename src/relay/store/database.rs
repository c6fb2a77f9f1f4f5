//! The store: a SQLite database. Each row that was read is checked.

use super::{Begun, Block, INTERRUPTED, INTERRUPTED_BLOCKS, Once, Pulse, StoreError};
use crate::mark::Mark;
use qris_core::order::ids::{CommandId, ItemId, OrderId, RequestId, Ticket};
use qris_core::order::keys::SigningKey;
use qris_core::order::ledger::{Cause, Entry, TicketEntry};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Outcome;
use qris_core::order::receipt::Receipt;
use qris_host::checksum::checksum;
use qris_host::sqlite::{self, OpenError, Schema};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use std::path::{Path, PathBuf};

/// This many pulses are kept. A receipt needs an open ticket, so no receipt is good again when old pulses are
/// forgotten.
pub const PULSES_KEPT: i64 = 10_000;
/// This many tickets are kept. Open tickets and those of kept pulses stay at any age.
const TICKETS_KEPT: i64 = 20_000;
/// Old rows are dropped once for this many tickets.
const PRUNE_EVERY: i64 = 64;

/// Its tables.
pub const SCHEMA: Schema = Schema { application_id: 0x7172_6c79, steps: &[include_str!("../schema/1.sql")], adding: &[] };

/// The open ledger. A write is kept once its call has returned. It is kept whole or not at all.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    mark: Mark,
    /// Held for as long as this value lives. Nothing is read from it.
    _lock: sqlite::Lock,
    /// The last numbers that a ticket and a pulse got.
    tickets: i64,
    pulses: i64,
    /// The number of tickets that have left `open`.
    left: i64,
    /// The key that it signs with.
    key: SigningKey,
}

/// The findings when a ledger was opened.
#[derive(Debug)]
pub struct Found {
    /// The ledger; it has nothing that is being driven.
    pub store: Database,
    /// The new place of a damaged one.
    pub set_aside: Option<PathBuf>,
    /// What was being driven when the program last ended. It is uncertain from now on, and that is written.
    pub interrupted: Vec<Pulse>,
    /// The open tickets.
    pub open: Vec<Ticket>,
    /// The blocked lines.
    pub blocked: Vec<Block>,
}

impl Database {
    /// Opens the ledger, or begins one with a key of its own, for which it `draw`s bytes that nobody can guess. The whole ledger
    /// is read. It is set aside if it is damaged, or has forgotten a pulse, or a ticket that was used or closed. A pulse that was being driven
    /// ends as [`INTERRUPTED`]. The same commit blocks its line if `blocks` says so. Only this process has the ledger until the
    /// store is dropped.
    ///
    /// # Errors
    /// What is wrong with the file or its directory.
    pub fn open(path: &Path, blocks: &dyn Fn(&str) -> bool, draw: &mut dyn FnMut(&mut [u8])) -> Result<Found, StoreError> {
        // A second owner would take an order that the first is driving for an interrupted one.
        let lock = sqlite::claim(path)?;
        let mut opened = sqlite::open(path, &SCHEMA)?;
        let mut mark = Mark::open(path).map_err(StoreError::Mark)?;
        if opened.created {
            mark.reset().map_err(StoreError::Mark)?;
        }
        let whole = match Self::read_whole(&mut opened.connection, &mark, blocks, draw) {
            Err(error) if error.is_damage() => {
                drop(opened);
                let set_aside = |source| StoreError::Open(OpenError::SetAside { path: path.into(), source });
                let aside = sqlite::set_aside(path).map_err(set_aside)?;
                opened = sqlite::open(path, &SCHEMA)?;
                opened.set_aside = Some(aside);
                mark.reset().map_err(StoreError::Mark)?;
                Self::read_whole(&mut opened.connection, &mark, blocks, draw)?
            }
            whole => whole?,
        };
        let (Whole { tickets, pulses, left, open, interrupted, blocked }, key) = whole;
        let store = Self { connection: opened.connection, mark, _lock: lock, tickets, pulses, left, key };
        Ok(Found { store, set_aside: opened.set_aside, interrupted, open, blocked })
    }

    /// The record of a ticket.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    pub fn ticket(&self, ticket: &Ticket) -> Result<Option<TicketEntry>, StoreError> {
        self.ticket_row(ticket)?.map(|row| row.entry()).transpose()
    }

    /// The record of an order.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    pub fn pulse(&self, order: &OrderId) -> Result<Option<Pulse>, StoreError> {
        self.pulse_row("order_id", order.as_str())?.map(|row| row.pulse()).transpose()
    }

    /// The record of a test.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    pub fn test(&self, jti: &CommandId) -> Result<Option<Pulse>, StoreError> {
        self.pulse_row("jti", jti.as_str())?.map(|row| row.pulse()).transpose()
    }

    /// Was the request or the transaction of this receipt driven for another order? One request gets one receipt.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_second(&self, receipt: &Receipt) -> Result<bool, StoreError> {
        let claims = receipt.claims();
        let sql = "SELECT 1 FROM pulses WHERE (request_id = ?1 OR transaction_id = ?2) AND order_id <> ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let other = [claims.jti.as_str(), claims.transaction_id.as_str(), claims.sub.as_str()];
        Ok(statement.query_row(other, |_| Ok(())).optional()?.is_some())
    }

    /// Writes a new open ticket.
    ///
    /// # Errors
    /// It was given before, or the file cannot be written.
    pub fn add_ticket(&mut self, ticket: &Ticket, item: &ItemId, amount: Rupiah) -> Result<(), StoreError> {
        let seq = self.tickets + 1;
        let row = TicketRow {
            seq,
            ticket: ticket.to_string(),
            item: item.to_string(),
            amount: whole(amount),
            state: "open".into(),
            order_id: None,
            number: None,
        };
        let transaction = self.connection.transaction()?;
        transaction
            .prepare_cached("INSERT INTO tickets (seq, ticket, item, amount, state, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![seq, row.ticket, row.item, row.amount, row.state, row.sum()])?;
        if seq % PRUNE_EVERY == 0 {
            transaction.execute("DELETE FROM pulses WHERE seq <= ?1 AND outcome IS NOT NULL", [self.pulses - PULSES_KEPT])?;
            // The row with the last number stays, so that the next number follows it.
            let old = "DELETE FROM tickets WHERE seq <= ?1 AND state <> 'open' AND ticket NOT IN (SELECT ticket FROM pulses WHERE ticket IS NOT NULL)
                AND number IS NOT ?2";
            transaction.execute(old, [seq - TICKETS_KEPT, self.left])?;
        }
        transaction.commit()?;
        self.tickets = seq;
        Ok(())
    }

    /// Closes an open ticket.
    ///
    /// # Errors
    /// It is not open, or the file cannot be written.
    pub fn close(&mut self, ticket: &Ticket) -> Result<(), StoreError> {
        let Some(row) = self.ticket_row(ticket)? else { return Err(StoreError::Damaged(format!("ticket {ticket} is gone"))) };
        let number = self.left + 1;
        let transaction = self.connection.transaction()?;
        row.leave_open(&transaction, "closed", None, number)?;
        transaction.commit()?;
        self.left = number;
        Ok(())
    }

    /// The number with which a ticket left `open`. `None` while it is open, or if it left before tickets were counted.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    pub fn number(&self, ticket: &Ticket) -> Result<Option<u64>, StoreError> {
        let number = self.ticket_row(ticket)?.and_then(|row| row.number);
        Ok(number.and_then(|number| u64::try_from(number).ok()))
    }

    /// The key that it signs with. It is used, and never shown.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Writes that the line is driven, with the ticket of the order used or the command of the test remembered. The line may be
    /// driven after this commit, and only then.
    ///
    /// # Errors
    /// It does not fit what is held, or the file cannot be written.
    pub fn begin(&mut self, begun: &Begun<'_>, line: &str) -> Result<(), StoreError> {
        let (item, amount) = match begun {
            Begun::Order(receipt) => (&receipt.claims().item, receipt.claims().amount),
            Begun::Test { item, amount, .. } => (*item, *amount),
        };
        let mut row = PulseRow {
            seq: self.pulses + 1,
            order_id: None,
            ticket: None,
            request_id: None,
            transaction_id: None,
            jti: None,
            line: line.into(),
            item: item.to_string(),
            amount: whole(amount),
            outcome: None,
            detail: String::new(),
        };
        let ticket = match begun {
            Begun::Order(receipt) => self.ticket_row(&receipt.claims().ticket)?,
            Begun::Test { .. } => None,
        };
        let mut left = self.left;
        let transaction = self.connection.transaction()?;
        match begun {
            Begun::Order(receipt) => {
                let claims = receipt.claims();
                let Some(ticket) = ticket else { return Err(StoreError::Damaged(format!("ticket {} is gone", claims.ticket))) };
                left += 1;
                ticket.leave_open(&transaction, "used", Some(claims.sub.as_str()), left)?;
                row.order_id = Some(claims.sub.to_string());
                row.ticket = Some(claims.ticket.to_string());
                row.request_id = Some(claims.jti.to_string());
                row.transaction_id = Some(claims.transaction_id.to_string());
            }
            Begun::Test { once, .. } => {
                keep(&transaction, once)?;
                row.jti = Some(once.jti.to_string());
            }
        }
        transaction
            .prepare_cached(
                "INSERT INTO pulses (seq, order_id, ticket, request_id, transaction_id, jti, line, item, amount, detail, sum)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                row.seq,
                row.order_id,
                row.ticket,
                row.request_id,
                row.transaction_id,
                row.jti,
                row.line,
                row.item,
                row.amount,
                row.detail,
                row.sum()
            ])?;
        transaction.commit()?;
        (self.pulses, self.left) = (row.seq, left);
        Ok(())
    }

    /// Writes how a pulse ended. The same commit writes whether its line is blocked.
    ///
    /// # Errors
    /// It is not being driven, or the file cannot be written.
    pub fn end(&mut self, cause: &Cause, outcome: Outcome, detail: &str, why_blocked: Option<&str>) -> Result<(), StoreError> {
        let row = match cause {
            Cause::Order { order, .. } => self.pulse_row("order_id", order.as_str())?,
            Cause::Test(jti) => self.pulse_row("jti", jti.as_str())?,
        };
        let Some(row) = row else { return Err(StoreError::Damaged(format!("the pulse of {cause:?} is gone"))) };
        let transaction = self.connection.transaction()?;
        row.end(&transaction, outcome, detail)?;
        if let Some(why) = why_blocked {
            block(&transaction, &row.line, why, &row.item)?;
        }
        Ok(transaction.commit()?)
    }

    /// Unblocks a line, perhaps for a command of an operator.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn clear(&mut self, line: &str, once: Option<Once<'_>>) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        transaction.prepare_cached("DELETE FROM blocked WHERE line = ?1")?.execute([line])?;
        once.map_or(Ok(()), |once| keep(&transaction, &once))?;
        Ok(transaction.commit()?)
    }

    /// What the command with this name asked for, if it was carried out.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    pub fn command(&self, jti: &CommandId) -> Result<Option<String>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT * FROM commands WHERE jti = ?1")?;
        let mut rows = statement.query([jti.as_str()])?;
        rows.next()?.map(what).transpose()
    }

    /// How many commands are remembered that end after this, in seconds since 1970.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn commands_after(&self, over: i64) -> Result<i64, StoreError> {
        Ok(self.connection.prepare_cached("SELECT count(*) FROM commands WHERE exp > ?1")?.query_row([over], |row| row.get(0))?)
    }

    /// A command that had ended by then is over for good, in seconds since 1970.
    ///
    /// # Errors
    /// When the row is damaged, or the file cannot be read.
    pub fn over(&self) -> Result<i64, StoreError> {
        over(&self.connection)
    }

    /// A command that was seen as over is over for good, and so is every other one that ended until then, in seconds since 1970.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn all_are_over_until(&mut self, exp: i64) -> Result<(), StoreError> {
        keep_over(&self.connection, exp)
    }

    /// Writes beside the ledger how many of its tickets were used or closed, and how often a line was driven. So the ledger cannot forget
    /// either unnoticed.
    ///
    /// # Errors
    /// When the file beside it cannot be written.
    pub fn mark(&mut self) -> Result<(), StoreError> {
        self.mark.write(self.left + self.pulses).map_err(StoreError::Mark)
    }

    /// Can the ledger be written?
    ///
    /// # Errors
    /// The reason why it cannot.
    pub fn probe(&mut self) -> Result<(), StoreError> {
        self.connection.execute("UPDATE probe SET n = (n + 1) % 1000000", [])?;
        self.mark()
    }

    fn read_whole(
        connection: &mut Connection,
        mark: &Mark,
        blocks: &dyn Fn(&str) -> bool,
        draw: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(Whole, SigningKey), StoreError> {
        // Orders are found by an index. An index that lost a row would hide that an order was driven.
        if let Some(damage) = sqlite::check_indexes(connection)? {
            return Err(StoreError::Damaged(damage));
        }
        let mut whole = Whole::default();
        {
            let mut statement = connection.prepare("SELECT * FROM tickets ORDER BY seq")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let row = TicketRow::read(row)?;
                whole.tickets = row.seq;
                whole.left = whole.left.max(row.number.unwrap_or(0));
                if let TicketEntry::Open { .. } = row.entry()? {
                    whole.open.push(row.ticket()?);
                }
            }
        }
        let mut driving = Vec::new();
        {
            let mut statement = connection.prepare("SELECT * FROM pulses ORDER BY seq")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let row = PulseRow::read(row)?;
                whole.pulses = row.seq;
                if row.outcome.is_none() {
                    driving.push(row);
                }
            }
        }
        let counted = whole.left + whole.pulses;
        if counted < mark.counted() {
            return Err(StoreError::Damaged(format!(
                "it knows of {counted} pulses and tickets that were used or closed, of {}",
                mark.counted()
            )));
        }
        let transaction = connection.transaction()?;
        for row in driving {
            let (outcome, detail) = INTERRUPTED;
            row.end(&transaction, outcome, detail)?;
            if blocks(&row.line) {
                block(&transaction, &row.line, INTERRUPTED_BLOCKS, &row.item)?;
            }
            let pulse = row.pulse()?;
            whole.interrupted.push(Pulse { entry: Entry::Ended(outcome), detail: detail.into(), ..pulse });
        }
        transaction.commit()?;
        let mut statement = connection.prepare("SELECT * FROM blocked")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (line, why, item, sum): (String, String, String, String) =
                (row.get("line")?, row.get("why")?, row.get("item")?, row.get("sum")?);
            same(&sum, &["blocked", &line, &why, &item], "blocked", &line)?;
            whole.blocked.push(Block { line, why, item: id(&item)? });
        }
        let mut statement = connection.prepare("SELECT * FROM commands")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            what(row)?;
        }
        over(connection)?;
        Ok((whole, key(connection, draw)?))
    }

    fn ticket_row(&self, ticket: &Ticket) -> Result<Option<TicketRow>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT * FROM tickets WHERE ticket = ?1")?;
        let mut rows = statement.query([ticket.as_str()])?;
        rows.next()?.map(TicketRow::read).transpose()
    }

    fn pulse_row(&self, column: &'static str, id: &str) -> Result<Option<PulseRow>, StoreError> {
        let mut statement = self.connection.prepare_cached(&format!("SELECT * FROM pulses WHERE {column} = ?1"))?;
        let mut rows = statement.query([id])?;
        rows.next()?.map(PulseRow::read).transpose()
    }
}

#[cfg(test)]
impl Database {
    /// Makes every commit fail as on a disk where nothing may be written, or none.
    pub fn fail_commits(&self, fail: bool) {
        self.connection.pragma_update(None, "query_only", fail).expect("a pragma");
    }

    /// Commits without waiting for the disk.
    pub fn hurry(&self) {
        self.connection.pragma_update(None, "synchronous", "OFF").expect("a pragma");
    }
}

#[derive(Default)]
struct Whole {
    tickets: i64,
    pulses: i64,
    left: i64,
    open: Vec<Ticket>,
    interrupted: Vec<Pulse>,
    blocked: Vec<Block>,
}

struct TicketRow {
    seq: i64,
    ticket: String,
    item: String,
    amount: i64,
    state: String,
    order_id: Option<String>,
    number: Option<i64>,
}

impl TicketRow {
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

    fn entry(&self) -> Result<TicketEntry, StoreError> {
        match (self.state.as_str(), &self.order_id) {
            ("open", None) => Ok(TicketEntry::Open { item: id(&self.item)?, amount: rupiah(self.amount)? }),
            ("used", Some(order)) => Ok(TicketEntry::Used(id(order)?)),
            ("closed", None) => Ok(TicketEntry::Closed),
            (state, _) => Err(StoreError::Damaged(format!("ticket {} has the state {state}", self.ticket))),
        }
    }

    fn ticket(&self) -> Result<Ticket, StoreError> {
        id(&self.ticket)
    }

    fn leave_open(self, connection: &Connection, state: &str, order: Option<&str>, number: i64) -> Result<(), StoreError> {
        let row = Self { state: state.into(), order_id: order.map(str::to_owned), number: Some(number), ..self };
        connection
            .prepare_cached("UPDATE tickets SET state = ?2, order_id = ?3, sum = ?4, number = ?5 WHERE seq = ?1")?
            .execute(params![row.seq, row.state, row.order_id, row.sum(), row.number])?;
        Ok(())
    }
}

struct PulseRow {
    seq: i64,
    order_id: Option<String>,
    ticket: Option<String>,
    request_id: Option<String>,
    transaction_id: Option<String>,
    jti: Option<String>,
    line: String,
    item: String,
    amount: i64,
    outcome: Option<String>,
    detail: String,
}

impl PulseRow {
    fn read(row: &Row<'_>) -> Result<Self, StoreError> {
        let pulse = Self {
            seq: row.get("seq")?,
            order_id: row.get("order_id")?,
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
        if sum == pulse.sum() { Ok(pulse) } else { Err(StoreError::Damaged(format!("the checksum of pulse {} is wrong", pulse.seq))) }
    }

    fn sum(&self) -> String {
        self.sum_with(self.outcome.as_deref().unwrap_or(""), &self.detail)
    }

    fn sum_with(&self, outcome: &str, detail: &str) -> String {
        let (seq, amount) = (self.seq.to_string(), self.amount.to_string());
        let [order, ticket, request, transaction, jti] =
            [&self.order_id, &self.ticket, &self.request_id, &self.transaction_id, &self.jti].map(|id| id.as_deref().unwrap_or(""));
        sum(&["pulse", &seq, order, ticket, request, transaction, jti, &self.line, &self.item, &amount, outcome, detail])
    }

    fn pulse(&self) -> Result<Pulse, StoreError> {
        let entry = match self.outcome.as_deref() {
            None => Entry::Driving,
            Some(word) => Entry::Ended(
                Outcome::from_word(word).ok_or_else(|| StoreError::Damaged(format!("pulse {} has the outcome {word}", self.seq)))?,
            ),
        };
        let cause = match (&self.order_id, &self.request_id, &self.jti) {
            (Some(order), Some(request), None) => Cause::Order { order: id::<OrderId>(order)?, request: id::<RequestId>(request)? },
            (None, None, Some(jti)) => Cause::Test(id(jti)?),
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

    fn end(&self, connection: &Connection, outcome: Outcome, detail: &str) -> Result<(), StoreError> {
        connection.prepare_cached("UPDATE pulses SET outcome = ?2, detail = ?3, sum = ?4 WHERE seq = ?1")?.execute(params![
            self.seq,
            outcome.as_str(),
            detail,
            self.sum_with(outcome.as_str(), detail)
        ])?;
        Ok(())
    }
}

/// The ledger's key. A ledger without a key draws one now.
fn key(connection: &Connection, draw: &mut dyn FnMut(&mut [u8])) -> Result<SigningKey, StoreError> {
    let read = |row: &Row<'_>| Ok((row.get::<_, String>("seed")?, row.get::<_, String>("sum")?));
    if let Some((seed, written)) = connection.query_row("SELECT seed, sum FROM signer", [], read).optional()? {
        same(&written, &["signer", &seed], "signer", "1")?;
        return SigningKey::from_seed_text(&seed).ok_or_else(|| StoreError::Damaged("its key has a wrong form".into()));
    }
    let mut seed = [0; 32];
    draw(&mut seed);
    let key = SigningKey::from_seed(seed);
    let seed = key.seed_text();
    connection.execute("INSERT INTO signer (id, seed, sum) VALUES (1, ?1, ?2)", [&seed, &sum(&["signer", &seed])])?;
    Ok(key)
}

/// What a remembered command asked for.
fn what(row: &Row<'_>) -> Result<String, StoreError> {
    let (jti, what, exp, sum): (String, String, i64, String) = (row.get("jti")?, row.get("what")?, row.get("exp")?, row.get("sum")?);
    same(&sum, &["command", &jti, &what, &exp.to_string()], "command", &jti)?;
    Ok(what)
}

fn over(connection: &Connection) -> Result<i64, StoreError> {
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>("at")?, row.get::<_, String>("sum")?));
    let found = connection.prepare_cached("SELECT at, sum FROM commands_over")?.query_row([], read).optional()?;
    let Some((at, written)) = found else { return Ok(i64::MIN) };
    same(&written, &["over", &at.to_string()], "commands_over", "1")?;
    Ok(at)
}

/// Remembers that a command is carried out, and forgets those that are over.
fn keep(connection: &Connection, once: &Once<'_>) -> Result<(), StoreError> {
    let Once { jti, what, exp, over } = once;
    keep_over(connection, *over)?;
    connection.prepare_cached("DELETE FROM commands WHERE exp <= ?1")?.execute([over])?;
    let sum = sum(&["command", jti.as_str(), what, &exp.to_string()]);
    connection.prepare_cached("INSERT INTO commands (jti, what, exp, sum) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        jti.as_str(),
        what,
        exp,
        sum
    ])?;
    Ok(())
}

fn keep_over(connection: &Connection, over: i64) -> Result<(), StoreError> {
    let set = "INSERT INTO commands_over (id, at, sum) VALUES (1, ?1, ?2) ON CONFLICT DO UPDATE SET at = excluded.at, sum = excluded.sum";
    connection.prepare_cached(set)?.execute(params![over, sum(&["over", &over.to_string()])])?;
    Ok(())
}

fn block(connection: &Connection, line: &str, why: &str, item: &str) -> Result<(), StoreError> {
    connection.prepare_cached("INSERT OR REPLACE INTO blocked (line, why, item, sum) VALUES (?1, ?2, ?3, ?4)")?.execute([
        line,
        why,
        item,
        &sum(&["blocked", line, why, item]),
    ])?;
    Ok(())
}

/// The checksum of a row, whose first value is what kind of row it is.
fn sum(columns: &[&str]) -> String {
    qris_core::hex(&checksum(&columns))
}

fn same(written: &str, columns: &[&str], table: &str, key: &str) -> Result<(), StoreError> {
    if sum(columns) == written { Ok(()) } else { Err(StoreError::Damaged(format!("the checksum of {table} {key} is wrong"))) }
}

fn id<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|error| StoreError::Damaged(format!("{text:?}: {error}")))
}

fn rupiah(amount: i64) -> Result<Rupiah, StoreError> {
    let amount = u64::try_from(amount).ok().and_then(|amount| Rupiah::new(amount).ok());
    amount.ok_or_else(|| StoreError::Damaged("an amount is out of range".into()))
}

fn whole(amount: Rupiah) -> i64 {
    i64::try_from(amount.get()).expect("an amount is at most 1,000,000,000")
}

#[cfg(test)]
mod tests;
