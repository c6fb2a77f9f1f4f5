//! The relay's ledger in memory. It refuses what the schema in `src/relay/schema` refuses, in the same words. An act that no call
//! can ask for, such as the deletion of an open ticket, needs no rule here.
//!
//! It forgets nothing: the database forgets a pulse once there are 10,000 newer ones, and no search comes so far. It never runs out
//! of room, and none of its bits flips.

use qris_core::order::ids::{ItemId, OrderId, Ticket, TransactionId};
use qris_core::order::ledger::{Entry, TicketEntry};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Outcome;
use qris_core::order::receipt::{Receipt, SigningKey};
use qris_host::sqlite::OpenError;
use qris_relay::store::{Block, Disk, Found, INTERRUPTED, INTERRUPTED_BLOCKS, Pulse, Store, StoreError};
use rusqlite::ffi::{self, SQLITE_CONSTRAINT_TRIGGER, SQLITE_CONSTRAINT_UNIQUE};
use std::collections::BTreeMap;
use std::rc::Rc;

const NAME: &str = "memory";

/// A disk in memory, with at most one ledger on it.
#[derive(Debug, Clone)]
pub struct Memory {
    place: Place,
    /// As in the file beside the database: the number of tickets that were used or closed.
    mark: u64,
    /// The owner number of the disk: no two disks draw the same key.
    seed: u8,
    /// Counts the ledgers that were begun on it.
    begun: u64,
}

#[derive(Debug, Clone)]
enum Place {
    Empty,
    There(Rc<Rows>),
    /// A program has it open.
    Held,
}

impl Memory {
    /// An empty disk. The keys that its ledgers draw follow from `seed`.
    #[must_use]
    pub const fn new(seed: u8) -> Self {
        Self { place: Place::Empty, mark: 0, seed, begun: 0 }
    }

    /// Loses the ledger, which nobody has open. The mark beside it stays.
    pub fn lose(&mut self) {
        self.place = Place::Empty;
    }

    /// Puts back the ledger that was here `earlier`, and the mark beside it if `with_mark`. Nobody has either of them open.
    pub fn put_back(&mut self, earlier: &Self, with_mark: bool) {
        self.place = earlier.place.clone();
        if with_mark {
            self.mark = earlier.mark;
        }
    }

    fn begin(&mut self) -> Rc<Rows> {
        self.mark = 0;
        self.begun += 1;
        let mut seed = [self.seed; 32];
        seed[..8].copy_from_slice(&self.begun.to_le_bytes());
        let key = Rc::new(SigningKey::from_seed(seed));
        Rc::new(Rows { key, tickets: Vec::new(), pulses: Vec::new(), blocked: BTreeMap::new(), left: 0 })
    }
}

impl Disk for Memory {
    type Store = Ledger;

    fn name(&self) -> String {
        NAME.into()
    }

    fn open(&mut self, blocks: &dyn Fn(&str) -> bool) -> Result<Found<Ledger>, StoreError> {
        let (mut kept, set_aside) = match std::mem::replace(&mut self.place, Place::Held) {
            Place::Held => return Err(OpenError::Held { path: NAME.into() }.into()),
            Place::There(rows) if rows.left < self.mark => (self.begin(), Some("memory, set aside".into())),
            Place::There(rows) => (rows, None),
            Place::Empty => (self.begin(), None),
        };
        let rows = Rc::make_mut(&mut kept);
        let driving: Vec<_> = rows.pulses.iter().map(|row| &row.pulse).filter(|pulse| pulse.entry == Entry::Driving).cloned().collect();
        let (outcome, detail) = INTERRUPTED;
        let mut interrupted = Vec::new();
        for pulse in driving {
            rows.end(&pulse.order, outcome, detail, blocks(&pulse.line).then_some(INTERRUPTED_BLOCKS))?;
            interrupted.push(Pulse { entry: Entry::Ended(outcome), detail: detail.into(), ..pulse });
        }
        let is_open = |row: &&TicketRow| matches!(row.entry, TicketEntry::Open { .. });
        let open = rows.tickets.iter().filter(is_open).map(|row| row.ticket.clone()).collect();
        let blocked = rows.blocked.values().cloned().collect();
        let store = Ledger { rows: kept, mark: self.mark };
        Ok(Found { store, set_aside, interrupted, open, blocked })
    }

    fn take_back(&mut self, store: Ledger) {
        (self.place, self.mark) = (Place::There(store.rows), store.mark);
    }

    fn find_room(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// An open ledger. A copy of it shares its rows until one of the two is written.
#[derive(Debug, Clone)]
pub struct Ledger {
    rows: Rc<Rows>,
    mark: u64,
}

#[derive(Debug, Clone)]
struct Rows {
    key: Rc<SigningKey>,
    /// In the order in which they were given.
    tickets: Vec<TicketRow>,
    /// In the order in which they began.
    pulses: Vec<PulseRow>,
    /// By their lines.
    blocked: BTreeMap<String, Block>,
    /// The number of tickets that have left `open`.
    left: u64,
}

#[derive(Debug, Clone)]
struct TicketRow {
    ticket: Ticket,
    entry: TicketEntry,
    number: Option<u64>,
}

#[derive(Debug, Clone)]
struct PulseRow {
    pulse: Pulse,
    transaction: TransactionId,
}

impl Rows {
    fn ticket(&self, ticket: &Ticket) -> Option<&TicketRow> {
        self.tickets.iter().find(|row| row.ticket == *ticket)
    }

    fn open_ticket(&mut self, ticket: &Ticket) -> Result<&mut TicketRow, StoreError> {
        let row = self.tickets.iter_mut().find(|row| row.ticket == *ticket);
        let row = row.ok_or_else(|| StoreError::Damaged(format!("ticket {ticket} is gone")))?;
        match row.entry {
            TicketEntry::Open { .. } => Ok(row),
            TicketEntry::Used(_) | TicketEntry::Closed => Err(raised("a ticket is used or closed once, and nothing else of it changes")),
        }
    }

    fn leave_open(&mut self, ticket: &Ticket, entry: TicketEntry) -> Result<(), StoreError> {
        let number = self.left + 1;
        let row = self.open_ticket(ticket)?;
        (row.entry, row.number) = (entry, Some(number));
        self.left = number;
        Ok(())
    }

    fn begin(&mut self, receipt: &Receipt, line: &str) -> Result<(), StoreError> {
        let claims = receipt.claims();
        let promised = TicketEntry::Open { item: claims.item.clone(), amount: claims.amount };
        if self.open_ticket(&claims.ticket)?.entry != promised {
            return Err(raised("a pulse begins with its ticket used for it, and without an outcome"));
        }
        let is_there = |is: &dyn Fn(&PulseRow) -> bool| self.pulses.iter().any(is);
        let unique = [
            ("line", is_there(&|row| row.pulse.line == line && row.pulse.entry == Entry::Driving)),
            ("transaction_id", is_there(&|row| row.transaction == claims.transaction_id)),
            ("request_id", is_there(&|row| row.pulse.request == claims.jti)),
            ("order_id", is_there(&|row| row.pulse.order == claims.sub)),
        ];
        if let Some((column, _)) = unique.into_iter().find(|(_, is_there)| *is_there) {
            return Err(not_unique(&format!("pulses.{column}")));
        }
        self.leave_open(&claims.ticket, TicketEntry::Used(claims.sub.clone()))?;
        let pulse = Pulse {
            order: claims.sub.clone(),
            request: claims.jti.clone(),
            item: claims.item.clone(),
            amount: claims.amount,
            line: line.into(),
            entry: Entry::Driving,
            detail: String::new(),
        };
        self.pulses.push(PulseRow { pulse, transaction: claims.transaction_id.clone() });
        Ok(())
    }

    fn end(&mut self, order: &OrderId, outcome: Outcome, detail: &str, why_blocked: Option<&str>) -> Result<(), StoreError> {
        let row = self.pulses.iter_mut().find(|row| row.pulse.order == *order);
        let Some(PulseRow { pulse, .. }) = row else { return Err(StoreError::Damaged(format!("order {order} is gone"))) };
        match pulse.entry {
            Entry::Driving => (pulse.entry, pulse.detail) = (Entry::Ended(outcome), detail.into()),
            Entry::Ended(_) => return Err(raised("a pulse gets its outcome once, and nothing else of it changes")),
        }
        if let Some(why) = why_blocked {
            let block = Block { line: pulse.line.clone(), why: why.into(), order: order.clone() };
            self.blocked.insert(block.line.clone(), block);
        }
        Ok(())
    }
}

impl Store for Ledger {
    fn ticket(&self, ticket: &Ticket) -> Result<Option<TicketEntry>, StoreError> {
        Ok(self.rows.ticket(ticket).map(|row| row.entry.clone()))
    }

    fn number(&self, ticket: &Ticket) -> Result<Option<u64>, StoreError> {
        Ok(self.rows.ticket(ticket).and_then(|row| row.number))
    }

    fn pulse(&self, order: &OrderId) -> Result<Option<Pulse>, StoreError> {
        Ok(self.rows.pulses.iter().map(|row| &row.pulse).find(|pulse| pulse.order == *order).cloned())
    }

    fn is_second(&self, receipt: &Receipt) -> Result<bool, StoreError> {
        let claims = receipt.claims();
        let is = |PulseRow { pulse, transaction }: &PulseRow| {
            (pulse.request == claims.jti || *transaction == claims.transaction_id) && pulse.order != claims.sub
        };
        Ok(self.rows.pulses.iter().any(is))
    }

    fn key(&self) -> &SigningKey {
        &self.rows.key
    }

    fn add_ticket(&mut self, ticket: &Ticket, item: &ItemId, amount: Rupiah) -> Result<(), StoreError> {
        if self.rows.ticket(ticket).is_some() {
            return Err(not_unique("tickets.ticket"));
        }
        let entry = TicketEntry::Open { item: item.clone(), amount };
        Rc::make_mut(&mut self.rows).tickets.push(TicketRow { ticket: ticket.clone(), entry, number: None });
        Ok(())
    }

    fn close(&mut self, ticket: &Ticket) -> Result<(), StoreError> {
        Rc::make_mut(&mut self.rows).leave_open(ticket, TicketEntry::Closed)
    }

    fn begin(&mut self, receipt: &Receipt, line: &str) -> Result<(), StoreError> {
        Rc::make_mut(&mut self.rows).begin(receipt, line)
    }

    fn end(&mut self, order: &OrderId, outcome: Outcome, detail: &str, why_blocked: Option<&str>) -> Result<(), StoreError> {
        Rc::make_mut(&mut self.rows).end(order, outcome, detail, why_blocked)
    }

    fn clear(&mut self, line: &str) -> Result<(), StoreError> {
        Rc::make_mut(&mut self.rows).blocked.remove(line);
        Ok(())
    }

    fn mark(&mut self) -> Result<(), StoreError> {
        self.mark = self.rows.left;
        Ok(())
    }

    fn probe(&mut self) -> Result<(), StoreError> {
        self.mark()
    }
}

/// A trigger refuses.
fn raised(words: &str) -> StoreError {
    refused(SQLITE_CONSTRAINT_TRIGGER, words.into())
}

/// A unique index refuses.
fn not_unique(column: &str) -> StoreError {
    refused(SQLITE_CONSTRAINT_UNIQUE, format!("UNIQUE constraint failed: {column}"))
}

fn refused(code: i32, words: String) -> StoreError {
    StoreError::Sqlite(rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(words)))
}

#[cfg(test)]
mod tests;
