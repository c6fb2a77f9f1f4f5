//! The system that runs proves itself: one that was installed for a command, for a person, or by itself. It is called good when it has.
//! One that has not is started again.

use super::parts::Machine;
use super::system::{INSTALLED_WITHIN, KEPT, Kept, PROVEN_WITHIN, STARTS_MAX, Trial, Turn};
use crate::store::StoreError;
use crate::words::{Effect, RAUC, System, SystemAnswer, SystemCall, text};
use qris_core::order::time::{Now, Span};
use qris_core::wire::status::FaultCode;
use qris_host::events::Event as Journal;
use std::collections::BTreeSet;

/// Who holds the machine while the computer is restarted.
const RESTARTS: &str = "update";
/// The restart has happened by then.
const RESTARTED_WITHIN: Span = Span::secs(300);
/// If it has not, the machine sells, and it is asked for again after this time.
const RESTARTED_AGAIN: Span = Span::secs(600);
/// RAUC is asked again after this time.
const ASK_AGAIN: Span = Span::secs(10);
/// The most faults that are kept of the good system, and the most letters of each. A relay service has 256 lines at the most.
const STOOD_MAX: usize = 300;
const NAME_MAX: usize = 100;

impl Machine {
    pub(super) fn take_up_system(&mut self) -> Result<(), StoreError> {
        let Some(store) = self.storage.store() else { return Ok(()) };
        self.systems.kept = store.known(&KEPT)?.good().unwrap_or_default();
        Ok(())
    }

    /// Asks RAUC what runs, has it called good, or starts it again.
    pub(super) fn check_system(&mut self, now: Now) {
        self.keep_what_stands(now);
        if self.storage.is_failing() || !matches!(self.systems.turn, Turn::At(at) if now.boot >= at) {
            return;
        }
        let call = if self.systems.runs.is_none() {
            SystemCall::GetRunning
        } else if self.lacks().is_none() {
            SystemCall::MarkGood
        } else if let Some(starts) = self.has_to_start_again(now) {
            self.journal_unproven(starts);
            SystemCall::Reboot
        } else {
            return;
        };
        self.systems.turn = Turn::Waits;
        self.outbox.push(Effect::System(call));
    }

    /// Whether the system that runs has to be started again, and how often it was. From now on nothing is sold then.
    fn has_to_start_again(&mut self, now: Now) -> Option<u8> {
        let is_late = now.boot >= self.systems.began + PROVEN_WITHIN;
        let starts = self.systems.starts().filter(|starts| is_late && *starts <= STARTS_MAX)?;
        // A command for an update looks after its own system.
        let is_free = !self.is_busy() && !self.commands.is_any_under_way();
        (is_free && self.hold.take(RESTARTS, RESTARTED_WITHIN, now.boot).is_some()).then_some(starts)
    }

    pub(super) fn system_answered(&mut self, answer: SystemAnswer, now: Now) {
        match answer {
            SystemAnswer::Runs { system, is_installing } => {
                if is_installing {
                    self.rauc_holds(INSTALLED_WITHIN, now);
                }
                self.system_runs(system, now);
            }
            SystemAnswer::Good => {
                let Some(system) = self.systems.runs.clone() else { return };
                let slot = text(&system.slot);
                let stood = self.stands().unwrap_or_else(|| self.systems.kept.stood.clone());
                if self.keep_system(Kept { good: Some(system), stood, trial: None }, now) {
                    self.systems.turn = Turn::Over;
                    self.outbox.journal(Journal::SystemGood { slot });
                }
            }
            SystemAnswer::NoAnswer => {
                let is_late = now.boot >= self.systems.began + PROVEN_WITHIN;
                // Most computers have no RAUC.
                let is_over = is_late && self.systems.runs.is_none();
                let again = if self.hold.holder() == Some(RESTARTS) { RESTARTED_AGAIN } else { ASK_AGAIN };
                self.systems.turn = if is_over { Turn::Over } else { Turn::At(now.boot + again) };
            }
            SystemAnswer::GoesOn => {
                // Word that comes late holds nobody.
                if self.hold.is_rauc_watched() {
                    self.rauc_takes(INSTALLED_WITHIN, now);
                }
            }
            SystemAnswer::Idle => match self.hold.rauc_is_idle() {
                None => self.outbox.push(Effect::System(SystemCall::AwaitIdle)),
                Some(true) => self.outbox.journal(Journal::MachineReleased { by: text(RAUC), why: text("RAUC installs nothing any more") }),
                Some(false) => {}
            },
        }
    }

    /// RAUC holds the machine from now on, whoever else does. It says nothing when it has failed, so it is watched.
    pub(super) fn rauc_holds(&mut self, time: Span, now: Now) {
        self.rauc_takes(time, now);
        if self.hold.watch_rauc() {
            self.outbox.push(Effect::System(SystemCall::AwaitIdle));
        }
    }

    fn rauc_takes(&mut self, time: Span, now: Now) {
        if self.hold.take_for_rauc(time, now.boot) {
            self.outbox.journal(Journal::MachineHeld { by: text(RAUC), seconds: time.0 / 1000 });
        }
    }

    fn system_runs(&mut self, system: System, now: Now) {
        let Kept { good, stood, trial } = self.systems.kept.clone();
        let is_good = good.as_ref() == Some(&system);
        let here = &self.settings.boot_id;
        let (next, went_back) = match trial {
            trial if is_good => (None, trial),
            Some(trial) if trial.system == system && trial.boot == *here => (Some(trial), None),
            Some(trial) if trial.system == system => {
                (Some(Trial { boot: here.clone(), starts: trial.starts.saturating_add(1), ..trial }), None)
            }
            Some(_) | None => (Some(Trial { system: system.clone(), boot: here.clone(), starts: 1 }), None),
        };
        if self.keep_system(Kept { good, stood, trial: next }, now) {
            self.systems.runs = Some(system);
            self.systems.turn = if is_good { Turn::Over } else { Turn::At(now.boot) };
            if let Some(trial) = went_back {
                self.outbox.journal(Journal::SystemWentBack { from: text(&trial.system.slot) });
            }
        }
    }

    /// Stores it. If that fails, RAUC is asked once more later.
    fn keep_system(&mut self, kept: Kept, now: Now) -> bool {
        self.systems.turn = Turn::At(now.boot + ASK_AGAIN);
        self.store_system(kept, now)
    }

    fn store_system(&mut self, kept: Kept, now: Now) -> bool {
        if kept != self.systems.kept
            && let Some(Err(error)) = self.storage.store_mut().map(|store| store.keep(&KEPT, &kept))
        {
            self.store_failed(&error, now);
            return false;
        }
        self.systems.kept = kept;
        true
    }

    /// Keeps what a person has to mend under the good system: the next one is not blamed for it.
    fn keep_what_stands(&mut self, now: Now) {
        if !self.storage.is_failing()
            && self.systems.good_slot().is_some()
            && let Some(stood) = self.stands()
            && stood != self.systems.kept.stood
        {
            self.store_system(Kept { stood, ..self.systems.kept.clone() }, now);
        }
    }

    /// The faults that a person has to mend, each with its line or the relay service's word for it. `None`: the relay service is not
    /// there to tell.
    fn stands(&self) -> Option<BTreeSet<Box<str>>> {
        let mut all = self.links.relay_stands(&self.settings)?;
        all.extend(self.afar.has_lost().then(|| FaultCode::Settings.as_str().into()));
        all.extend(self.faults.has(FaultCode::Config).then(|| FaultCode::Config.as_str().into()));
        let others = self.faults.all().filter(|fault| matches!(fault.code, FaultCode::Other(_)));
        all.extend(others.map(|fault| fault.code.to_string()));
        Some(all.into_iter().map(|name| name.chars().take(NAME_MAX).collect::<String>().into()).take(STOOD_MAX).collect())
    }

    /// Why the system that runs has not proven itself, if so. Backend, screen and relay service must be there, and the broker if the
    /// machine has one; and the database takes a write. What a person must mend was broken under the good system, too, if there was one.
    fn lacks(&mut self) -> Option<String> {
        let screen_required = self.settings.screen_required;
        let is_well = |code: FaultCode| match code {
            FaultCode::Store | FaultCode::NewerDatabase | FaultCode::Backend | FaultCode::Clock => false,
            FaultCode::Screen => !screen_required,
            // What was known of a good system was lost with the database.
            FaultCode::StoreReset => true,
            // These are compared with those of before, below.
            FaultCode::Relay | FaultCode::LineBlocked | FaultCode::Settings | FaultCode::Config | FaultCode::Other(_) => true,
            // Neither the merchant's gateway nor another computer is a part of the machine, nor what lies in it, nor a price.
            FaultCode::Charges | FaultCode::Unconfirmed | FaultCode::TakenOver | FaultCode::Stock | FaultCode::Prices => true,
        };
        let is_there = [
            (self.settings.broker.is_none() || self.outbox.is_connected(), "the broker is not there"),
            (self.reconciliation.has_answered(), "the backend has not answered"),
            (self.links.relay_owner().is_some(), "the relay service is not there"),
        ];
        if let Some((_, why)) = is_there.iter().find(|(is, _)| !is) {
            return Some((*why).into());
        }
        if let Some(fault) = self.faults.all().find(|fault| !is_well(fault.code)) {
            return Some(format!("{}: {}", fault.code, fault.detail));
        }
        let Kept { good, stood, .. } = &self.systems.kept;
        let stands = self.stands().filter(|_| good.is_some()).unwrap_or_default();
        if let Some(new) = stands.difference(stood).next() {
            return Some(format!("{new}, which the system before did not have"));
        }
        self.storage.store_mut().map_or(Err(StoreError::Shut), |store| store.probe()).err().map(|error| error.to_string())
    }

    pub(super) fn journal_unproven(&mut self, starts: u8) {
        let why = self.lacks().unwrap_or_else(|| "RAUC does not answer".into());
        self.outbox.journal(Journal::UpdateUnproven { starts: i64::from(starts), why: why.into() });
    }
}
