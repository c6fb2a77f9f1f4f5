//! How a command is carried on, step by step, from what is stored of it. Nothing of this begins while a customer is there.

use crate::machine::commands::{CommandStage, Hand, Kept, Try, Turn};
use crate::machine::links::Facts;
use crate::machine::parts::Machine;
use crate::machine::system::{INSTALLED_WITHIN, PROVEN_WITHIN, STARTS_MAX, Trying};
use crate::store::database::Database;
use crate::store::sealed;
use crate::words::{Counted, Effect, OPERATOR, Operated, Operation};
use qris_core::order::ids::{CommandId, ItemId, RequestId};
use qris_core::order::stock::{Change, NotChanged};
use qris_core::order::time::{Now, Span};
use qris_core::wire::command::{Action, Code, Command, Problem, Response, SignedCommand, Stage};
use serde_json::json;

/// The longest time that one waits for a customer to go.
const WAIT: Span = Span::secs(900);
/// A restart, reboot or pulse that was ordered has happened by then.
const HAPPENS_WITHIN: Span = Span::secs(300);
/// A restart into what is installed is waited for so many times. A machine that cannot be restarted sells on.
const RESTARTS_WAITED: u8 = 3;
/// Who does not answer is asked again after this time.
const ASK_AGAIN: Span = Span::secs(2);

impl Machine {
    pub(in crate::machine) fn carry_commands(&mut self, now: Now) {
        if self.storage.is_failing() {
            return;
        }
        for id in self.commands.open() {
            self.carry(&id, now);
        }
        if self.outbox.is_connected() {
            self.tell_ends(now);
        }
    }

    fn carry(&mut self, id: &CommandId, now: Now) {
        let Some(Kept { signed, jws, step, .. }) = self.commands.known.get(id).cloned() else { return };
        let within = match &step {
            CommandStage::Installing { .. } => INSTALLED_WITHIN,
            CommandStage::Installed { boot, .. } if *boot != self.settings.boot_id => PROVEN_WITHIN,
            CommandStage::Accepted | CommandStage::Begun(_) | CommandStage::Installed { .. } | CommandStage::Ended { .. } => WAIT,
        };
        let tried = *self.commands.tries.entry(id.clone()).or_insert_with(|| Try::new(now.boot + within));
        let is_waiting = match tried.turn {
            Turn::Here => false,
            Turn::Outside => true,
            Turn::AgainAt(at) => now.boot < at,
        };
        if is_waiting {
            if now.boot >= tried.until {
                self.nothing_happened(id, step, tried, now);
            }
            return;
        }
        if matches!(step, CommandStage::Accepted | CommandStage::Begun(_)) && self.is_of_another_life(&signed) {
            let why =
                "it is for another stream: the machine's database was an older one since, and nobody knows whether it was carried out";
            let problem = Problem::new(Code::WrongStream, why);
            return self.end_command(id, Response::ended(Some(id.clone()), Stage::Failed, problem), now);
        }
        let here = self.settings.boot_id.clone();
        // What only reads is never stored.
        let Command::Action(action) = signed.command else { return };
        match (action, step) {
            (_, CommandStage::Ended { .. }) => {}
            (action, CommandStage::Accepted) => {
                // A machine that was off for long does not begin what nobody waits for.
                let is_late = self.own.trusted(now.wall).is_some_and(|wall| self.commands.is_over_since(id, wall, WAIT));
                if is_late {
                    return self.time_out_command(id, Code::Expired, "it ended (exp) before it could be begun", now);
                }
                self.begin_accepted(id, action, tried, now);
            }
            // Another process of this program has begun it.
            (Action::Restart {}, CommandStage::Begun(_)) if !tried.is_begun_here() => {
                let result = json!({ "version": env!("CARGO_PKG_VERSION") });
                self.end_command(id, Response::done(Some(id.clone()), result), now);
            }
            (Action::Restart {}, CommandStage::Begun(_)) => self.operate(id, Operation::Restart),
            (Action::Reboot {}, CommandStage::Begun(boot)) if boot != here => {
                let result = json!({ "boot_id": here.0 });
                self.end_command(id, Response::done(Some(id.clone()), result), now);
            }
            (Action::Reboot {}, CommandStage::Begun(_)) => self.operate_when_free(id, tried, Operation::Reboot, now),
            (Action::TestPulse { .. }, CommandStage::Begun(_)) => self.operate_when_free(id, tried, Operation::Test(jws), now),
            (Action::Clear { .. }, CommandStage::Begun(_)) => self.operate(id, Operation::Clear(jws)),
            // It is done in the moment in which it is begun.
            (Action::Cancel { .. } | Action::Stock { .. }, CommandStage::Begun(_)) => {}
            // First of all it must be known what runs now. It may be another system than when this was begun.
            (Action::Update { .. }, CommandStage::Begun(_)) => match self.systems.protects_good() {
                None => self.operate_when_free(id, tried, Operation::TellSlot { may_be_late: false }, now),
                Some(Trying::Unknown) => {}
                Some(Trying::New) => self.fail_command(id, Trying::New.why(), now),
            },
            (Action::Update { bundle }, CommandStage::Installing { boot, .. }) if boot == here => {
                self.operate_when_free(id, tried, Operation::Install { bundle, may_join: !tried.is_begun_here() }, now);
            }
            (Action::Update { .. }, CommandStage::Installed { boot, .. }) if boot == here => {
                self.operate_when_free(id, tried, Operation::Reboot, now);
            }
            (Action::Update { .. }, step) => self.prove(id, tried, step, now),
            // An update alone has these steps.
            (_, CommandStage::Installing { .. } | CommandStage::Installed { .. }) => {}
        }
    }

    /// An older image of the database has commands in it that may be over since. Who named a stream does not want them again.
    fn is_of_another_life(&self, signed: &SignedCommand) -> bool {
        let stream = self.storage.store().map(Database::stream);
        signed.stream.as_deref().zip(stream).is_some_and(|(wanted, stream)| wanted != stream)
    }

    fn begin_accepted(&mut self, id: &CommandId, action: Action, tried: Try, now: Now) {
        if let Action::Cancel { request_id } = &action {
            return self.cancel_for(id, request_id, now);
        }
        let trying = if matches!(action, Action::Update { .. }) { self.systems.protects_good() } else { None };
        let is_count = matches!(action, Action::Stock { .. });
        if is_count && self.links.facts(now.boot) == Facts::Awaited {
            self.not_yet(id, tried, (Code::Relay, "the relay service has not told yet what it has driven"), now);
        } else if let Some(trying) = trying {
            self.not_yet(id, tried, (Code::Updating, trying.why()), now);
        } else if !action.is_alone() || self.is_free_for(id, tried, now) {
            match action {
                Action::Stock { change, item, n } => self.stock_for(id, (change, &item, n), now),
                Action::Restart {}
                | Action::Reboot {}
                | Action::Update { .. }
                | Action::Clear { .. }
                | Action::TestPulse { .. }
                | Action::Cancel { .. } => self.begin_command(id, now),
            }
        } else {
            self.not_yet(id, tried, self.why_not_free(), now);
        }
    }

    fn cancel_for(&mut self, id: &CommandId, request: &RequestId, now: Now) {
        match self.cancel_order(request, now) {
            Ok(Some((order, _))) => {
                let (state, reason) = order.order.name();
                self.end_command(id, Response::done(Some(id.clone()), json!({ "state": state, "reason": reason })), now);
            }
            Ok(None) => {
                let problem = Problem::new(Code::UnknownRequest, "this machine knows no such request");
                self.end_command(id, Response::ended(Some(id.clone()), Stage::Failed, problem), now);
            }
            // The database fails. It is tried again when that works.
            Err(error) => self.store_failed(&error, now),
        }
    }

    /// The slot and the end of the command are in one commit: nothing is put in twice.
    fn stock_for(&mut self, id: &CommandId, change: (Change, &ItemId, Option<u32>), now: Now) {
        let Some(kept) = self.commands.known.get(id).cloned() else { return };
        let by: String = self.own.keys.named(&kept.kid);
        let end = |counted: Counted| Response::done(Some(id.clone()), json!(counted));
        let ended = |answer| Kept { step: CommandStage::Ended { answer, notified: false }, ..kept.clone() };
        let record = |counted| (id.clone(), sealed::seal(&ended(end(counted))));
        match self.change_stock(change, &by, Some(&record), now) {
            // It is stored already, and once more like every end.
            Ok(counted) => self.end_command(id, end(counted), now),
            // It is tried again when the database works.
            Err(NotChanged::Store) => {}
            Err(why) => self.fail_command(id, &why.to_string(), now),
        }
    }

    fn begin_command(&mut self, id: &CommandId, now: Now) {
        if self.step_command(id, CommandStage::Begun(self.settings.boot_id.clone()), HAPPENS_WITHIN, now) {
            self.carry(id, now);
        }
    }

    /// Stores how far it is. What comes next is tried for this time.
    fn step_command(&mut self, id: &CommandId, step: CommandStage, within: Span, now: Now) -> bool {
        let Some(kept) = self.commands.known.get(id).cloned() else { return false };
        let is_kept = self.keep_command(Kept { step, ..kept }, now);
        if is_kept {
            self.try_command(id, |tried| {
                *tried = Try { hand: Hand::Here { in_vain: 0 }, notices: tried.notices, ..Try::new(now.boot + within) }
            });
        }
        is_kept
    }

    /// Another slot is to run. It proves itself, or is started again until the bootloader goes back.
    fn prove(&mut self, id: &CommandId, tried: Try, step: CommandStage, now: Now) {
        if let Some(slot) = self.systems.good_slot().filter(|_| tried.hand == Hand::OtherSlot) {
            let result = json!({ "slot": slot, "version": env!("CARGO_PKG_VERSION") });
            self.end_command(id, Response::done(Some(id.clone()), result), now);
        } else if now.boot >= tried.until {
            self.nothing_happened(id, step, tried, now);
        } else if tried.hand != Hand::OtherSlot {
            self.operate(id, Operation::TellSlot { may_be_late: true });
        }
    }

    /// The new system has not proven itself in time. The bootloader counts the starts of one that nobody has called good.
    fn start_again(&mut self, id: &CommandId, slot: Box<str>, starts: u8, now: Now) {
        if starts >= STARTS_MAX {
            let why = format!("it was started {starts} times and did not prove itself, and the bootloader did not go back");
            return self.fail_command(id, &why, now);
        }
        let step = CommandStage::Installed { boot: self.settings.boot_id.clone(), slot, starts: starts + 1 };
        if self.step_command(id, step, HAPPENS_WITHIN, now) {
            self.journal_unproven(starts);
            self.carry(id, now);
        }
    }

    fn operate(&mut self, id: &CommandId, operation: Operation) {
        self.try_command(id, |tried| tried.turn = Turn::Outside);
        self.outbox.push(Effect::Operate(id.clone(), operation));
    }

    /// The program may have been started anew in the middle, and a customer come since.
    fn operate_when_free(&mut self, id: &CommandId, tried: Try, operation: Operation, now: Now) {
        if self.is_free_for(id, tried, now) {
            return self.operate(id, operation);
        }
        let why = self.why_not_free();
        if self.commands.known.get(id).is_some_and(|kept| matches!(kept.step, CommandStage::Installed { .. })) {
            // The next restart starts what is installed, whoever orders it.
            self.tell_wait(id, why.1);
        } else {
            self.not_yet(id, tried, why, now);
        }
    }

    /// Whether no customer is there, nobody else looks after the machine, and no other command is under way. From now on nothing
    /// new is sold.
    fn is_free_for(&mut self, id: &CommandId, tried: Try, now: Now) -> bool {
        // One that waits for longer than it wanted holds nobody up, and goes on between two customers.
        let left = tried.until + Span::secs(1) - now.boot;
        let is_alone = !self.commands.is_another_under_way(id);
        let is_held = is_alone && self.hold.take(OPERATOR, left.max(WAIT), now.boot).is_some();
        is_held && !self.is_busy()
    }

    /// It has not begun, and is given up when its time is over.
    fn not_yet(&mut self, id: &CommandId, tried: Try, (code, why): (Code, &'static str), now: Now) {
        if now.boot >= tried.until {
            self.time_out_command(id, code, why, now);
        } else {
            self.tell_wait(id, why);
        }
    }

    /// Says once why it has not begun.
    fn tell_wait(&mut self, id: &CommandId, why: &str) {
        if self.commands.tries.get(id).is_some_and(|tried| tried.notices == 0) {
            self.tell_progress(id, why);
        }
    }

    fn why_not_free(&self) -> (Code, &'static str) {
        if self.is_busy() {
            (Code::Busy, "a customer is served to the end first")
        } else if self.hold.holder() == Some(OPERATOR) {
            (Code::Updating, "another command is under way")
        } else {
            (Code::Updating, "somebody else looks after the machine")
        }
    }

    fn tell_progress(&mut self, id: &CommandId, message: &str) {
        let (Some(tried), Some(kept)) = (self.commands.tries.get_mut(id), self.commands.known.get(id)) else { return };
        tried.notices += 1;
        let (to, answer) = (kept.to.clone(), Response::running(id.clone(), tried.notices, message));
        self.answer(&to, answer);
    }

    pub(in crate::machine) fn operated(&mut self, id: &CommandId, answer: Operated, now: Now) {
        let Some(Kept { step, .. }) = self.commands.known.get(id).cloned() else { return };
        if let Operated::Percent(percent) = answer {
            if matches!(step, CommandStage::Installing { .. }) {
                self.try_command(id, |tried| tried.until = now.boot + INSTALLED_WITHIN);
                if self.hold.holder() == Some(OPERATOR) {
                    self.hold.take(OPERATOR, Span(INSTALLED_WITHIN.0 + 1000), now.boot);
                }
            }
            return self.tell_progress(id, &format!("{percent} % are installed"));
        }
        // If what comes of it cannot be stored, it is tried again.
        self.try_command(id, |tried| tried.turn = Turn::AgainAt(now.boot + ASK_AGAIN));
        match (answer, step) {
            (_, CommandStage::Ended { .. }) | (Operated::NoAnswer | Operated::Percent(_), _) => {}
            (Operated::Installed, CommandStage::Installing { boot, slot }) => {
                if self.step_command(id, CommandStage::Installed { boot, slot, starts: 0 }, HAPPENS_WITHIN, now) {
                    self.tell_progress(id, "it is installed; the computer is restarted");
                }
            }
            (Operated::Installed, _) => {}
            (Operated::Slot(slot), step) => self.slot_told(id, step, slot, now),
            (Operated::Done(result), _) => {
                // A test takes one from its slot.
                self.outbox.push(Effect::ReadRelay);
                self.end_command(id, Response::done(Some(id.clone()), result), now);
            }
            (Operated::Refused(problem), _) => self.end_command(id, Response::ended(Some(id.clone()), Stage::Failed, problem), now),
        }
    }

    fn slot_told(&mut self, id: &CommandId, step: CommandStage, slot: Box<str>, now: Now) {
        match step {
            CommandStage::Begun(boot) => {
                if self.step_command(id, CommandStage::Installing { boot, slot }, INSTALLED_WITHIN, now) {
                    // This process is the first one that asks RAUC for it.
                    self.carry(id, now);
                }
            }
            CommandStage::Installing { slot: before, .. } if before == slot => {
                self.fail_command(id, "the computer was restarted while it was installed: the system of before runs", now);
            }
            CommandStage::Installed { slot: before, .. } if before == slot => {
                self.fail_command(id, &format!("the bootloader went back to {slot}"), now);
            }
            CommandStage::Installing { .. } | CommandStage::Installed { .. } => {
                self.try_command(id, |tried| {
                    *tried = Try { hand: Hand::OtherSlot, notices: tried.notices, ..Try::new(now.boot + PROVEN_WITHIN) }
                });
                self.tell_progress(id, &format!("{slot} runs, and is to prove itself"));
            }
            CommandStage::Accepted | CommandStage::Ended { .. } => {}
        }
    }

    fn nothing_happened(&mut self, id: &CommandId, step: CommandStage, tried: Try, now: Now) {
        let here = &self.settings.boot_id;
        match step {
            // The new system has not proven itself. Or RAUC does not answer there, so nobody will ever call it good.
            CommandStage::Installed { boot, slot, starts } if boot != *here => self.start_again(id, slot, starts, now),
            CommandStage::Installing { boot, slot } if boot != *here && tried.hand == Hand::OtherSlot => self.start_again(id, slot, 0, now),
            CommandStage::Installed { .. } if tried.in_vain() < RESTARTS_WAITED => {
                let hand = Hand::Here { in_vain: tried.in_vain() + 1 };
                self.try_command(id, |tried| *tried = Try { hand, notices: tried.notices, ..Try::new(now.boot + HAPPENS_WITHIN) });
                self.carry(id, now);
            }
            CommandStage::Installed { .. } => {
                let why = "it is installed, and the computer was not restarted: the next restart starts it, whoever orders it";
                self.time_out_command(id, Code::Relay, why, now);
            }
            CommandStage::Accepted | CommandStage::Begun(_) | CommandStage::Installing { .. } | CommandStage::Ended { .. } => {
                self.time_out_command(id, Code::Relay, "it did not happen in time", now);
            }
        }
    }

    fn try_command(&mut self, id: &CommandId, change: impl FnOnce(&mut Try)) {
        if let Some(tried) = self.commands.tries.get_mut(id) {
            change(tried);
        }
    }

    fn fail_command(&mut self, id: &CommandId, why: &str, now: Now) {
        self.end_command(id, Response::ended(Some(id.clone()), Stage::Failed, Problem::new(Code::Refused, why)), now);
    }

    fn time_out_command(&mut self, id: &CommandId, code: Code, why: &str, now: Now) {
        self.end_command(id, Response::ended(Some(id.clone()), Stage::TimedOut, Problem::new(code, why)), now);
    }
}
