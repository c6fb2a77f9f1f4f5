//! The ledger, kept open. A failure to read or write it is a fault, and is tried again. A damaged ledger is set aside as
//! soon as no line is driven. The program stays up whatever the disk does.

use super::store::database::{Database, Found};
use super::store::{Begun, Block, Once, Pulse, StoreError};
use qris_core::order::ids::{CommandId, ItemId, OrderId, Ticket};
use qris_core::order::keys::SigningKey;
use qris_core::order::ledger::{Again, Cause, OPEN_TICKETS_MAX, TicketEntry};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Outcome;
use qris_core::order::receipt::Receipt;
use qris_core::wire::dbus::RelayError;
use qris_core::wire::relay::Driven;
use qris_host::disk;
use qris_host::events::{Event, Text};
use qris_host::sqlite;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// At most this many commands of operators are remembered. The machine remembers fewer, and may have lost its database meanwhile.
const COMMANDS_MAX: i64 = 256;

/// A D-Bus error: nothing was recorded and nothing driven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub error: RelayError,
    /// More, for people.
    pub detail: String,
}

/// Fills bytes with values that nobody can guess.
pub type Draw = Box<dyn FnMut(&mut [u8]) + Send>;

pub struct Ledger {
    path: PathBuf,
    /// A new ledger draws its key.
    draw: Draw,
    state: State,
    /// A ledger was set aside since the start.
    was_reset: bool,
    /// It was told that its log is long.
    log_told: bool,
    events: Vec<Event>,
}

enum State {
    /// It can be read. `failing` is why the last read or write failed.
    Open { store: Box<Database>, open: BTreeSet<Ticket>, failing: Option<String>, is_damaged: bool },
    /// It cannot be opened, with the reason as it was told.
    Shut { why: Option<String> },
}

#[derive(Debug)]
pub struct Opened {
    /// What was being driven when the program last ended.
    pub interrupted: Vec<Pulse>,
    pub blocked: Vec<Block>,
    /// How the pulses of each line ended since a person looked at it, the oldest first.
    pub ends: Vec<(String, Outcome)>,
}

impl Ledger {
    pub const fn new(path: PathBuf, draw: Draw) -> Self {
        Self { path, draw, state: State::Shut { why: None }, was_reset: false, log_told: false, events: Vec::new() }
    }

    /// Opens it; see [`Database::open`]. `None` when it cannot be opened, which is noted.
    pub fn open(&mut self, blocks: impl Fn(&str) -> bool) -> Option<Opened> {
        let was_told = self.shut();
        match Database::open(&self.path, &blocks, &mut self.draw) {
            Ok(Found { store, set_aside, lost, interrupted, open, blocked, ends }) => {
                if let Some(aside) = set_aside {
                    self.was_reset = true;
                    let aside = aside.display().to_string().into();
                    self.events.push(Event::LedgerReset { path: self.name(), aside });
                }
                if let Some(counted) = lost {
                    self.was_reset = true;
                    self.events.push(Event::LedgerLost { path: self.name(), counted });
                }
                if was_told.is_some() {
                    self.events.push(Event::StoreBack { path: self.name() });
                }
                let open = open.into_iter().collect();
                self.state = State::Open { store: Box::new(store), open, failing: None, is_damaged: false };
                Some(Opened { interrupted, blocked, ends })
            }
            Err(error) => {
                let why = error.to_string();
                if was_told.as_ref() != Some(&why) {
                    self.events.push(Event::StoreFailing { path: self.name(), why: why.clone().into() });
                }
                self.state = State::Shut { why: Some(why) };
                None
            }
        }
    }

    /// Lets go of the store: a ledger has one owner. Answers with the failure that was told, if there was one.
    fn shut(&mut self) -> Option<String> {
        match std::mem::replace(&mut self.state, State::Shut { why: None }) {
            State::Shut { why } => why,
            State::Open { failing, .. } => failing,
        }
    }

    /// Must it be opened anew? A damaged ledger stays while a line is driven: it might still take the end.
    pub fn needs_opening(&self, is_driving: bool) -> bool {
        match &self.state {
            State::Shut { .. } => true,
            State::Open { is_damaged, .. } => *is_damaged && !is_driving,
        }
    }

    /// Looks whether it is still the ledger at its name. If it could not be written, finds out whether it can be written again, with all
    /// that a sale writes. Nothing else ends the fault.
    pub fn probe(&mut self) {
        self.look_at_log();
        if let State::Open { failing: None, .. } = &self.state {
            // A fault is noted; nothing else is to be done.
            drop(self.write(|_| Ok(())));
        }
        let State::Open { failing: Some(_), is_damaged: false, .. } = &self.state else { return };
        let room = sqlite::find_room(&self.path);
        let found = self.write(|store| room.map_err(StoreError::from).and_then(|()| store.probe()));
        if let (Ok(()), State::Open { failing, .. }) = (found, &mut self.state) {
            *failing = None;
            self.events.push(Event::StoreBack { path: self.name() });
        }
    }

    /// A reader keeps the log from becoming shorter, and nobody would hear of it before the disk is full.
    fn look_at_log(&mut self) {
        let long = disk::long_log(&self.path);
        if let Some(mib) = long.filter(|_| !self.log_told) {
            self.events.push(Event::StoreLogLong { path: self.name(), mib });
        }
        self.log_told = long.is_some();
    }

    /// Can it be read, and, as far as is known, be written?
    pub fn usable(&self) -> Result<(), Refusal> {
        match &self.state {
            State::Open { failing: None, .. } => Ok(()),
            State::Open { failing: why, .. } | State::Shut { why } => Err(refusal(why.as_deref())),
        }
    }

    pub fn was_reset(&self) -> bool {
        self.was_reset
    }

    pub fn tickets(&self) -> Vec<Ticket> {
        match &self.state {
            State::Open { open, .. } => open.iter().cloned().collect(),
            State::Shut { .. } => Vec::new(),
        }
    }

    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    pub fn ticket(&mut self, ticket: &Ticket) -> Result<Option<TicketEntry>, Refusal> {
        self.read(|store| store.ticket(ticket))
    }

    pub fn number(&mut self, ticket: &Ticket) -> Result<Option<u64>, Refusal> {
        self.read(|store| store.number(ticket))
    }

    pub fn driven(&self) -> Vec<Driven> {
        match &self.state {
            State::Open { store, .. } => {
                store.driven().iter().map(|(item, drives)| Driven { item: item.clone(), drives: *drives }).collect()
            }
            State::Shut { .. } => Vec::new(),
        }
    }

    pub fn key(&self) -> Option<&SigningKey> {
        match &self.state {
            State::Open { store, .. } => Some(store.key()),
            State::Shut { .. } => None,
        }
    }

    pub fn pulses(&mut self, order: &OrderId) -> Result<Vec<Pulse>, Refusal> {
        self.read(|store| store.pulses(order))
    }

    pub fn is_dropped(&mut self, order: &OrderId) -> Result<bool, Refusal> {
        self.read(|store| store.is_dropped(order))
    }

    pub fn test(&mut self, jti: &CommandId) -> Result<Option<Pulse>, Refusal> {
        self.read(|store| store.test(jti))
    }

    pub fn is_second(&mut self, receipt: &Receipt) -> Result<bool, Refusal> {
        self.read(|store| store.is_second(receipt))
    }

    /// Writes a new open ticket, unless there are too many.
    pub fn add_ticket(&mut self, ticket: Ticket, item: &ItemId, amount: Rupiah, again: Option<&Again>) -> Result<(), Refusal> {
        self.usable()?;
        if self.tickets_open() >= OPEN_TICKETS_MAX {
            return Err(Refusal {
                error: RelayError::Ledger,
                detail: format!("{OPEN_TICKETS_MAX} tickets are open: close those that belong to no order"),
            });
        }
        self.write(|store| store.add_ticket(&ticket, item, amount, again))?;
        if let State::Open { open, .. } = &mut self.state {
            open.insert(ticket);
        }
        Ok(())
    }

    pub fn close(&mut self, ticket: &Ticket) -> Result<(), Refusal> {
        self.write(|store| store.close(ticket))?;
        self.forget(ticket);
        drop(self.write(Database::mark));
        Ok(())
    }

    /// See [`Database::begin`] and [`Database::mark`]. A recorded order is driven, even if the mark cannot be written: without
    /// the mark it takes two faults instead of one to make the ledger forget. A mark that cannot be written is a fault like
    /// any other.
    pub fn begin(&mut self, begun: &Begun<'_>, line: &str) -> Result<(), Refusal> {
        self.write(|store| store.begin(begun, line))?;
        match begun {
            Begun::Order(receipt) => self.forget(&receipt.claims().ticket),
            Begun::Test { .. } => {}
        }
        drop(self.write(Database::mark));
        Ok(())
    }

    /// See [`Database::end`]. A damaged ledger is tried too: this is the last call to it.
    pub fn end(&mut self, cause: &Cause, outcome: Outcome, detail: &str, why_blocked: Option<&str>) -> Result<(), Refusal> {
        let result = match &mut self.state {
            State::Open { store, .. } => store.end(cause, outcome, detail, why_blocked),
            State::Shut { why } => return Err(refusal(why.as_deref())),
        };
        self.note(result)
    }

    pub fn clear(&mut self, line: &str, beside: &[&str], once: Option<Once<'_>>) -> Result<(), Refusal> {
        self.write(|store| store.clear(line, beside, once))
    }

    pub fn command(&mut self, jti: &CommandId) -> Result<Option<String>, Refusal> {
        self.read(|store| store.command(jti))
    }

    pub fn over(&mut self) -> Result<i64, Refusal> {
        self.read(Database::over)
    }

    /// See [`Database::all_are_over_until`]. What is over already is not written again.
    pub fn all_are_over_until(&mut self, exp: i64) -> Result<(), Refusal> {
        if exp <= self.over()? { Ok(()) } else { self.write(|store| store.all_are_over_until(exp)) }
    }

    /// Is there room for one more command, when those that end by then are forgotten?
    pub fn has_room_for_command(&mut self, over: i64) -> Result<(), Refusal> {
        if self.read(|store| store.commands_after(over))? < COMMANDS_MAX {
            return Ok(());
        }
        let detail = format!("{COMMANDS_MAX} commands are remembered until their time is over (exp): try later");
        Err(Refusal { error: RelayError::Ledger, detail })
    }

    fn read<T>(&mut self, ask: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, Refusal> {
        match &self.state {
            State::Open { store, .. } => match ask(store) {
                Ok(answer) => Ok(answer),
                Err(error) => Err(self.failed(&error)),
            },
            State::Shut { why } => Err(refusal(why.as_deref())),
        }
    }

    /// Nothing new is written to a damaged ledger, or to one that has lost its name: it would be lost with the ledger.
    fn write(&mut self, change: impl FnOnce(&mut Database) -> Result<(), StoreError>) -> Result<(), Refusal> {
        let result = match &mut self.state {
            State::Open { store, is_damaged: false, .. } => store.is_in_place().and_then(|()| change(store)),
            State::Open { failing: why, .. } | State::Shut { why } => return Err(refusal(why.as_deref())),
        };
        self.note(result)
    }

    fn note(&mut self, result: Result<(), StoreError>) -> Result<(), Refusal> {
        result.map_err(|error| self.failed(&error))
    }

    fn failed(&mut self, error: &StoreError) -> Refusal {
        let told = error.to_string();
        if let State::Open { failing, is_damaged, .. } = &mut self.state {
            *is_damaged |= error.is_damage();
            if failing.replace(told.clone()).is_none() {
                let path = self.path.display().to_string().into();
                self.events.push(Event::StoreFailing { path, why: told.clone().into() });
            }
        }
        refusal(Some(&told))
    }

    fn forget(&mut self, ticket: &Ticket) {
        if let State::Open { open, .. } = &mut self.state {
            open.remove(ticket);
        }
    }

    fn tickets_open(&self) -> usize {
        match &self.state {
            State::Open { open, .. } => open.len(),
            State::Shut { .. } => 0,
        }
    }

    fn name(&self) -> Text {
        self.path.display().to_string().into()
    }

    /// The file, for tests that damage it.
    #[cfg(test)]
    pub fn store(&self) -> &Database {
        match &self.state {
            State::Open { store, .. } => store,
            State::Shut { why } => panic!("shut: {why:?}"),
        }
    }

    /// See [`Database::age`].
    #[cfg(test)]
    pub fn age(&mut self) {
        match &mut self.state {
            State::Open { store, .. } => store.age(),
            State::Shut { why } => panic!("shut: {why:?}"),
        }
    }
}

fn refusal(why: Option<&str>) -> Refusal {
    Refusal { error: RelayError::Ledger, detail: why.unwrap_or("the ledger is not open").to_owned() }
}
