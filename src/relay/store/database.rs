//! The store: a SQLite database. Each row that was read is checked. It is opened here, and what is written together is committed here. Each
//! table has a file.

use super::pulses::PulseRow;
use super::tickets::TicketRow;
use super::{Begun, Block, INTERRUPTED, INTERRUPTED_BLOCKS, Once, Pulse, StoreError, blocked, commands, driven, looked, pulses, signer};
use qris_core::order::ids::{CommandId, ItemId, OrderId, Ticket};
use qris_core::order::keys::SigningKey;
use qris_core::order::ledger::{Again, Cause, Entry, TicketEntry};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Outcome;
use qris_core::order::receipt::Receipt;
use qris_core::order::stock::Drives;
use qris_host::mark::Mark;
use qris_host::sqlite::{self, OpenError, OpenFiles, Schema};
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// This many pulses are kept. Of the order of an older one 16 bytes are left, for ever, which bar it.
pub const PULSES_KEPT: i64 = 10_000;
/// This many tickets are kept. Open tickets and those of kept pulses stay at any age.
const TICKETS_KEPT: i64 = 20_000;
/// It waits so long for another program that has the ledger locked.
const BUSY: Duration = Duration::from_secs(4);
/// Old rows are dropped once for this many tickets.
const PRUNE_EVERY: i64 = 64;

pub const SCHEMA: Schema = Schema { application_id: 0x7172_6c79, steps: &[include_str!("../schema/1.sql")], adding: &[] };

/// The open ledger. A write is kept once its call has returned. It is kept whole or not at all.
#[derive(Debug)]
pub struct Database {
    connection: Connection,
    files: OpenFiles,
    mark: Mark,
    /// Held for as long as this value lives. Nothing is read from it.
    _lock: sqlite::Lock,
    /// The last numbers that a ticket and a pulse got.
    tickets: i64,
    pulses: i64,
    /// The number of tickets that have left `open`.
    left: i64,
    driven: BTreeMap<ItemId, Drives>,
    key: SigningKey,
}

#[derive(Debug)]
pub struct Found {
    /// The ledger; it has nothing that is being driven.
    pub store: Database,
    /// The new place of a damaged one.
    pub set_aside: Option<PathBuf>,
    /// The ledger was gone, or empty, and its mark had counted so much.
    pub lost: Option<i64>,
    /// What was being driven when the program last ended. It is uncertain from now on, and that is written.
    pub interrupted: Vec<Pulse>,
    pub open: Vec<Ticket>,
    pub blocked: Vec<Block>,
    /// How the pulses of each line ended since a person looked at it, the oldest first.
    pub ends: Vec<(String, Outcome)>,
}

impl Database {
    /// Opens the ledger, or begins one with a key of its own, for which it `draw`s bytes that nobody can guess. The whole ledger
    /// is read. It is set aside if it is damaged, or has forgotten a pulse, or a ticket that was used or closed. A pulse that was being driven
    /// ends as [`INTERRUPTED`]. The same commit blocks its line if `blocks` says so. Only this process has the ledger until the
    /// store is dropped.
    pub fn open(path: &Path, blocks: &dyn Fn(&str) -> bool, draw: &mut dyn FnMut(&mut [u8])) -> Result<Found, StoreError> {
        // A second owner would take an order that the first is driving for an interrupted one.
        let lock = sqlite::claim(path)?;
        let mut opened = sqlite::open(path, &SCHEMA)?;
        // A backup tool may hold it for some seconds. That delays a delivery, and does not end it.
        opened.connection.busy_timeout(BUSY)?;
        let mut mark = Mark::open(path).map_err(StoreError::Mark)?;
        let lost = (opened.created && opened.set_aside.is_none()).then(|| mark.counted()).filter(|counted| *counted > 0);
        if opened.created {
            mark.begin_at(0).map_err(StoreError::Mark)?;
        }
        let whole = match Self::read_whole(&mut opened.connection, &mark, blocks, draw) {
            Err(error) if error.is_damage() => {
                drop(opened);
                let set_aside = |source| StoreError::Open(OpenError::SetAside { path: path.into(), source });
                let aside = sqlite::set_aside(path).map_err(set_aside)?;
                opened = sqlite::open(path, &SCHEMA)?;
                opened.set_aside = Some(aside);
                mark.begin_at(0).map_err(StoreError::Mark)?;
                Self::read_whole(&mut opened.connection, &mark, blocks, draw)?
            }
            whole => whole?,
        };
        let (Whole { tickets, pulses, left, open, interrupted, blocked, driven, ends }, key) = whole;
        let files = OpenFiles::of(path);
        let store = Self { connection: opened.connection, files, mark, _lock: lock, tickets, pulses, left, driven, key };
        Ok(Found { store, set_aside: opened.set_aside, lost, interrupted, open, blocked, ends })
    }

    pub fn ticket(&self, ticket: &Ticket) -> Result<Option<TicketEntry>, StoreError> {
        TicketRow::find(&self.connection, ticket)?.map(|row| row.entry()).transpose()
    }

    /// The records of an order: the tries that were driven.
    pub fn pulses(&self, order: &OrderId) -> Result<Vec<Pulse>, StoreError> {
        PulseRow::of_order(&self.connection, order)?.iter().map(PulseRow::pulse).collect()
    }

    /// Is a pulse of this order so old that nothing else is known of it?
    pub fn is_dropped(&self, order: &OrderId) -> Result<bool, StoreError> {
        pulses::is_dropped(&self.connection, order)
    }

    pub fn test(&self, jti: &CommandId) -> Result<Option<Pulse>, StoreError> {
        PulseRow::of_test(&self.connection, jti)?.map(|row| row.pulse()).transpose()
    }

    /// Was the request or the transaction of this receipt driven for another order? One request gets one receipt.
    pub fn is_second(&self, receipt: &Receipt) -> Result<bool, StoreError> {
        let claims = receipt.claims();
        let sql = "SELECT 1 FROM pulses WHERE (request_id = ?1 OR transaction_id = ?2) AND order_id <> ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let other = [claims.jti.as_str(), claims.transaction_id.as_str(), claims.sub.as_str()];
        Ok(statement.query_row(other, |_| Ok(())).optional()?.is_some())
    }

    /// Writes a new open ticket, perhaps for another try. It fails if the ticket was given before.
    pub fn add_ticket(&mut self, ticket: &Ticket, item: &ItemId, amount: Rupiah, again: Option<&Again>) -> Result<(), StoreError> {
        let seq = self.tickets + 1;
        let transaction = self.connection.transaction()?;
        TicketRow::open(seq, ticket, item, amount, again).insert(&transaction)?;
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

    /// Closes an open ticket. It fails if the ticket is not open.
    pub fn close(&mut self, ticket: &Ticket) -> Result<(), StoreError> {
        let Some(row) = TicketRow::find(&self.connection, ticket)? else {
            return Err(StoreError::Damaged(format!("ticket {ticket} is gone")));
        };
        let number = self.left + 1;
        let transaction = self.connection.transaction()?;
        row.leave_open(&transaction, "closed", None, number)?;
        transaction.commit()?;
        self.left = number;
        Ok(())
    }

    /// The number with which a ticket left `open`. `None` while it is open, or if it left before tickets were counted.
    pub fn number(&self, ticket: &Ticket) -> Result<Option<u64>, StoreError> {
        let number = TicketRow::find(&self.connection, ticket)?.and_then(|row| row.number);
        Ok(number.and_then(|number| u64::try_from(number).ok()))
    }

    /// The key that it signs with. It is used, and never shown.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Writes that the line is driven, with the ticket of the order used or the command of the test remembered. The line may be
    /// driven after this commit, and only then. It fails if it does not fit what is held.
    pub fn begin(&mut self, begun: &Begun<'_>, line: &str) -> Result<(), StoreError> {
        let (item, amount) = match begun {
            Begun::Order(receipt) => (&receipt.claims().item, receipt.claims().amount),
            Begun::Test { item, amount, .. } => (*item, *amount),
        };
        let mut row = PulseRow::driving(self.pulses + 1, line, item, amount);
        let ticket = match begun {
            Begun::Order(receipt) => TicketRow::find(&self.connection, &receipt.claims().ticket)?,
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
                row.r#try = Some(claims.nth.number().get().into());
                row.ticket = Some(claims.ticket.to_string());
                row.request_id = Some(claims.jti.to_string());
                row.transaction_id = Some(claims.transaction_id.to_string());
            }
            Begun::Test { once, .. } => {
                commands::keep(&transaction, once)?;
                row.jti = Some(once.jti.to_string());
            }
        }
        row.insert(&transaction)?;
        transaction.commit()?;
        (self.pulses, self.left) = (row.seq, left);
        Ok(())
    }

    /// Writes how a pulse ended. The same commit writes whether its line is blocked. It fails if the pulse is not being driven.
    pub fn end(&mut self, cause: &Cause, outcome: Outcome, detail: &str, why_blocked: Option<&str>) -> Result<(), StoreError> {
        let Some(row) = PulseRow::find(&self.connection, cause)? else {
            return Err(StoreError::Damaged(format!("the pulse of {cause:?} is gone")));
        };
        let transaction = self.connection.transaction()?;
        row.end(&transaction, outcome, detail)?;
        let counted = outcome.driven().then(|| driven::count(&transaction, &self.driven, &row)).transpose()?;
        if let Some(why) = why_blocked {
            blocked::block(&transaction, &row.line, why, &row.item)?;
        }
        transaction.commit()?;
        self.driven.extend(counted);
        Ok(())
    }

    /// How often the line of an item was driven.
    pub fn driven(&self) -> &BTreeMap<ItemId, Drives> {
        &self.driven
    }

    /// Unblocks a line, perhaps for a command of an operator. A person has looked at it, and at the sensor that all these `beside` it have.
    pub fn clear(&mut self, line: &str, beside: &[&str], once: Option<Once<'_>>) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        transaction.prepare_cached("DELETE FROM blocked WHERE line = ?1")?.execute([line])?;
        beside.iter().chain([&line]).try_for_each(|line| looked::looked(&transaction, line, self.pulses))?;
        once.map_or(Ok(()), |once| commands::keep(&transaction, &once))?;
        Ok(transaction.commit()?)
    }

    /// What the command with this name asked for, if it was carried out.
    pub fn command(&self, jti: &CommandId) -> Result<Option<String>, StoreError> {
        commands::find(&self.connection, jti)
    }

    /// How many commands are remembered that end after this, in seconds since 1970.
    pub fn commands_after(&self, over: i64) -> Result<i64, StoreError> {
        Ok(self.connection.prepare_cached("SELECT count(*) FROM commands WHERE exp > ?1")?.query_row([over], |row| row.get(0))?)
    }

    /// A command that had ended by then is over for good, in seconds since 1970.
    pub fn over(&self) -> Result<i64, StoreError> {
        commands::over(&self.connection)
    }

    /// A command that was seen as over is over for good, and so is every other one that ended until then, in seconds since 1970.
    pub fn all_are_over_until(&mut self, exp: i64) -> Result<(), StoreError> {
        commands::keep_over(&self.connection, exp)
    }

    /// Writes beside the ledger how many of its tickets were used or closed, and how often a line was driven. So the ledger cannot forget
    /// either unnoticed.
    pub fn mark(&mut self) -> Result<(), StoreError> {
        self.mark.write(self.left + self.pulses).map_err(StoreError::Mark)
    }

    /// Is it still the ledger at its name?
    pub fn is_in_place(&self) -> Result<(), StoreError> {
        Ok(self.files.are_in_place()?)
    }

    /// Can the ledger be written?
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
        TicketRow::all(connection, &mut |row| {
            whole.tickets = row.seq;
            whole.left = whole.left.max(row.number.unwrap_or(0));
            if let TicketEntry::Open { .. } = row.entry()? {
                whole.open.push(row.ticket()?);
            }
            Ok(())
        })?;
        let looked = looked::all(connection)?;
        let mut driving = Vec::new();
        PulseRow::all(connection, &mut |row| {
            whole.pulses = row.seq;
            match row.ended()? {
                None => driving.push(row),
                Some(outcome) if looked.get(&row.line).is_none_or(|pulse| row.seq > *pulse) => whole.ends.push((row.line, outcome)),
                Some(_) => {}
            }
            Ok(())
        })?;
        let counted = whole.left + whole.pulses;
        if counted < mark.counted() {
            return Err(StoreError::Damaged(format!(
                "it knows of {counted} pulses and tickets that were used or closed, of {}",
                mark.counted()
            )));
        }
        whole.driven = driven::all(connection)?;
        let transaction = connection.transaction()?;
        for row in driving {
            let (outcome, detail) = INTERRUPTED;
            row.end(&transaction, outcome, detail)?;
            let counted = driven::count(&transaction, &whole.driven, &row)?;
            whole.driven.extend([counted]);
            if blocks(&row.line) {
                blocked::block(&transaction, &row.line, INTERRUPTED_BLOCKS, &row.item)?;
            }
            let pulse = row.pulse()?;
            whole.interrupted.push(Pulse { entry: Entry::Ended(outcome), detail: detail.into(), ..pulse });
        }
        transaction.commit()?;
        whole.blocked = blocked::all(connection)?;
        commands::check(connection)?;
        Ok((whole, signer::key(connection, draw)?))
    }
}

#[cfg(test)]
impl Database {
    /// Makes every commit fail as on a disk where nothing may be written, or none.
    pub fn fail_commits(&self, fail: bool) {
        self.connection.pragma_update(None, "query_only", fail).expect("a pragma");
    }

    /// As if so many pulses had been driven since that each one until now is too old to be kept. The next ticket drops them.
    pub fn age(&mut self) {
        self.pulses += PULSES_KEPT;
        self.tickets += PRUNE_EVERY - 1 - self.tickets % PRUNE_EVERY;
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
    driven: BTreeMap<ItemId, Drives>,
    ends: Vec<(String, Outcome)>,
}

#[cfg(test)]
mod tests;
