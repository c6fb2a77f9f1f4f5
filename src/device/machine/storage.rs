//! The database's own health. It is opened, left, set aside and tried again while the machine stays up.

use super::calls::Live;
use super::outbox::Outbox;
use super::{Effect, Machine, STORE_RETRY};
use crate::store::{Disk, Store, StoreError};
use qris_core::order::machine as core;
use qris_core::order::time::Now;
use qris_core::wire::status::FaultCode;
use qris_host::events::Event as Journal;

impl<D: Disk> Machine<D> {
    pub(super) fn open_store(&mut self, now: Now) {
        match self.disk.open(&self.settings.boot_id, self.store_damaged) {
            Ok(opened) => {
                self.store_retry_at = None;
                self.store_damaged = false;
                self.outbox = Outbox::default();
                if let Some(aside) = &opened.set_aside {
                    let path = self.disk.name().into();
                    let aside = aside.display().to_string();
                    self.fault(FaultCode::StoreReset, Some(&format!("orders were lost; the damaged database is {aside}")), now);
                    self.effects.push(Effect::Journal(Journal::StoreSetAside { path, aside: aside.into() }));
                }
                self.reconciliation.ask_open();
                self.store = Some(opened.store);
                self.fault(FaultCode::NewerDatabase, None, now);
                match self.take_up(now) {
                    Ok(()) => {
                        if let Some(store) = &self.store {
                            self.stage.take_up(store);
                        }
                        self.store_works(now);
                    }
                    Err(error) => {
                        // The orders were taken up only in part, so they do not count. They may be of another boot.
                        self.leave_store();
                        self.store_failed(&error, now);
                    }
                }
            }
            Err(error) => self.store_failed(&error, now),
        }
    }

    /// Forgets the database's content in memory. The database is opened anew.
    pub(super) fn leave_store(&mut self) {
        if let Some(store) = self.store.take() {
            self.disk.take_back(store);
        }
        self.store_behind = false;
        self.holder = None;
        for live in std::mem::take(&mut self.live).into_values() {
            self.abandon(live);
        }
    }

    /// Takes the stored orders into memory, as after a restart.
    pub(super) fn take_up(&mut self, now: Now) -> Result<(), StoreError> {
        self.restore_guesses(now)?;
        let stored = self.store.as_ref().map(Store::live).transpose()?.unwrap_or_default();
        for stored in stored {
            let id = stored.order.offer.request.request_id.clone();
            let order = stored.order.clone().restarted(stored.same_boot, now.boot, &self.settings.rules);
            let steps = core::passed(Some(&stored.order), &order).into_iter().map(|name| (name, order.clone())).collect();
            self.note_holder(&id, Some(&stored.order));
            self.live.insert(id.clone(), Live::new(stored));
            self.replace(&id, order, steps, None, now)?;
        }
        Ok(())
    }

    pub(super) fn retry_store(&mut self, now: Now) {
        if self.store_damaged || self.store_behind {
            self.leave_store();
        }
        match self.store.as_mut().map(Store::probe) {
            None => self.open_store(now),
            Some(Ok(())) => self.store_works(now),
            Some(Err(error)) => self.store_failed(&error, now),
        }
    }

    pub(super) fn store_failed(&mut self, error: &StoreError, now: Now) {
        let path = self.disk.name().into();
        // Nobody else writes there. So a surprise may be damage that only a check of the whole database finds.
        self.store_damaged |= error.is_damage() || error.is_surprise();
        self.store_behind |= self.store.is_some() && error.is_surprise();
        (self.store_retry_at, self.store_short_until) = (Some(now.boot + STORE_RETRY), None);
        if let StoreError::Open(qris_host::sqlite::OpenError::Newer { found, known, .. }) = error {
            let (found, known) = (i64::from(*found), i64::from(*known));
            if self.fault(FaultCode::NewerDatabase, Some(&error.to_string()), now) {
                self.effects.push(Effect::Journal(Journal::StoreNewer { path, found, known }));
            }
        } else if self.fault(FaultCode::Store, Some(&error.to_string()), now) {
            self.effects.push(Effect::Journal(Journal::StoreFailing { path, why: error.to_string().into() }));
        }
    }

    pub(super) fn store_works(&mut self, now: Now) {
        if self.store_behind {
            // One order that could be stored does not bring the others up to date.
            return;
        }
        self.store_retry_at = None;
        if !self.faults.contains_key(&FaultCode::Store) || self.store_short_until.is_some_and(|until| now.boot < until) {
            return;
        }
        // Paid orders go on as far as they can. No other customer is invited to pay before there is room for a whole sale.
        if let Err(error) = self.disk.find_room() {
            self.store_short_until = Some(now.boot + STORE_RETRY);
            self.fault(FaultCode::Store, Some(&error.to_string()), now);
            return;
        }
        self.store_short_until = None;
        self.fault(FaultCode::Store, None, now);
        let path = self.disk.name().into();
        self.effects.push(Effect::Journal(Journal::StoreBack { path }));
    }

    /// Whether a sale could not be written to its end.
    pub(super) fn store_fails(&self) -> bool {
        self.store_retry_at.is_some() || self.store_short_until.is_some()
    }
}
