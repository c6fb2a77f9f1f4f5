//! The database and its health. It is opened, left, set aside and tried again while the machine stays up.

use super::faults::Faults;
use super::outbox::Outbox;
use crate::store::StoreError;
use crate::store::database::{Behind, Database};
use qris_core::order::time::{Boot, BootId, Now, Span};
use qris_core::wire::status::FaultCode;
use qris_host::disk;
use qris_host::events::{Event as Journal, Text};
use qris_host::sqlite::{self, OpenError};
use std::path::PathBuf;

/// So often it is looked at whether the database is still the one at its name.
const CHECK: Span = Span::secs(30);
/// The time from a failed commit to the next try.
const RETRY: Span = Span::secs(2);

#[derive(Debug)]
pub(super) struct Storage {
    path: PathBuf,
    has_broker: bool,
    store: Option<Database>,
    health: Health,
    /// It is looked at then, while it works.
    check_at: Boot,
    /// It is damaged. It must be checked as a whole, and set aside if need be.
    damaged: bool,
    /// Another program wrote to it. Memory is behind it, and it must be opened anew.
    behind: bool,
    /// Its log is long, and the journal has heard that.
    log_told: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Health {
    Works,
    /// It takes a small write, but had no room for a whole sale. At this time the room is looked for again.
    Short(Boot),
    /// It fails. At this time it is tried again.
    Fails(Boot),
}

impl Storage {
    /// It is opened at the first [`Storage::retry`].
    pub(super) fn new(path: PathBuf, has_broker: bool, now: Boot) -> Self {
        Self {
            path,
            has_broker,
            store: None,
            health: Health::Fails(now),
            check_at: now + CHECK,
            damaged: false,
            behind: false,
            log_told: false,
        }
    }

    pub(super) fn store(&self) -> Option<&Database> {
        self.store.as_ref()
    }

    pub(super) fn store_mut(&mut self) -> Option<&mut Database> {
        self.store.as_mut()
    }

    pub(super) fn is_failing(&self) -> bool {
        matches!(self.health, Health::Fails(_))
    }

    /// Whether a sale could not be written to its end.
    pub(super) fn cannot_sell(&self) -> bool {
        self.health != Health::Works
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.damaged
    }

    pub(super) fn stream(&self) -> &str {
        self.store().map_or("", Database::stream)
    }

    pub(super) fn deadline(&self) -> Option<Boot> {
        match self.health {
            Health::Works => Some(self.check_at),
            Health::Short(at) | Health::Fails(at) => Some(at),
        }
    }

    /// Tries the database when it is time. `true`: it must be opened.
    pub(super) fn retry(&mut self, faults: &mut Faults, out: &mut Outbox, now: Now) -> bool {
        match self.health {
            Health::Fails(at) if now.boot >= at => {
                if self.damaged || self.behind {
                    return true;
                }
                match self.store.as_mut().map(Database::probe) {
                    None => return true,
                    Some(Ok(())) => self.works(faults, out, now),
                    Some(Err(error)) => self.failed(&error, faults, out, now),
                }
            }
            Health::Short(until) if now.boot >= until => self.works(faults, out, now),
            Health::Works if now.boot >= self.check_at => {
                self.check_at = now.boot + CHECK;
                if let Some(Err(error)) = self.store.as_mut().map(Database::check) {
                    self.failed(&error, faults, out, now);
                }
                self.look_at_log(out);
            }
            Health::Works | Health::Short(_) | Health::Fails(_) => {}
        }
        false
    }

    /// A reader keeps the log from becoming shorter, and nobody would hear of it before the disk is full.
    fn look_at_log(&mut self, out: &mut Outbox) {
        let long = disk::long_log(&self.path);
        if let Some(mib) = long.filter(|_| !self.log_told) {
            out.journal(Journal::StoreLogLong { path: self.name(), mib });
        }
        self.log_told = long.is_some();
    }

    pub(super) fn open(&mut self, boot_id: &BootId, faults: &mut Faults, out: &mut Outbox, now: Now) -> Result<(), StoreError> {
        let opened = Database::open(&self.path, boot_id, self.damaged)?;
        self.health = Health::Works;
        self.damaged = false;
        if let Some(aside) = &opened.set_aside {
            let aside = aside.display().to_string();
            faults.set(FaultCode::StoreReset, Some(&format!("orders were lost; the damaged database is {aside}")), now);
            out.journal(Journal::StoreSetAside { path: self.name(), aside: aside.into() });
        } else if let Some(Behind { has, had }) = opened.behind {
            faults.set(FaultCode::StoreReset, Some(&format!("orders were lost: the database has {has} entries, and had {had} once")), now);
            let number = |of: u64| i64::try_from(of).unwrap_or(i64::MAX);
            out.journal(Journal::StoreBehind { path: self.name(), has: number(has), had: number(had) });
        }
        self.store = Some(if self.has_broker { opened.store } else { opened.store.without_broker() });
        faults.set(FaultCode::NewerDatabase, None, now);
        Ok(())
    }

    /// Closes the database. It is opened anew.
    pub(super) fn leave(&mut self) {
        self.store = None;
        self.behind = false;
    }

    pub(super) fn failed(&mut self, error: &StoreError, faults: &mut Faults, out: &mut Outbox, now: Now) {
        // Nobody else writes there. So a surprise may be damage that only a check of the whole database finds.
        self.damaged |= error.is_damage() || error.is_surprise();
        self.behind |= self.store.is_some() && error.is_surprise();
        self.health = Health::Fails(now.boot + RETRY);
        let (path, why) = (self.name(), error.to_string());
        let (code, event) = match error {
            StoreError::Open(OpenError::Newer { found, known, .. }) => {
                (FaultCode::NewerDatabase, Journal::StoreNewer { path, found: i64::from(*found), known: i64::from(*known) })
            }
            _ => (FaultCode::Store, Journal::StoreFailing { path, why: why.clone().into() }),
        };
        if faults.set(code, Some(&why), now) {
            out.journal(event);
        }
    }

    pub(super) fn works(&mut self, faults: &mut Faults, out: &mut Outbox, now: Now) {
        // One order that could be stored does not bring the others up to date.
        if self.behind || matches!(self.health, Health::Short(until) if now.boot < until) {
            return;
        }
        self.health = Health::Works;
        if !faults.has(FaultCode::Store) {
            return;
        }
        // Paid orders go on as far as they can. No other customer is invited to pay before there is room for a whole sale.
        match sqlite::find_room(&self.path) {
            Ok(()) => {
                faults.set(FaultCode::Store, None, now);
                out.journal(Journal::StoreBack { path: self.name() });
            }
            Err(error) => {
                self.health = Health::Short(now.boot + RETRY);
                faults.set(FaultCode::Store, Some(&error.to_string()), now);
            }
        }
    }

    fn name(&self) -> Text {
        self.path.display().to_string().into()
    }
}
