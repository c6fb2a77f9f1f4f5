//! Operators command what they have signed. One that changes anything is stored before it is begun: it is carried out once, and has
//! one end, whatever crashes in between. The same id again gets the same end again. `carrying.rs` has the steps of each. `reading.rs`
//! has those that only read, and `damaged.rs` those whose record is damaged.

mod carrying;
mod damaged;
mod reading;

use super::commands::{ANSWERED_MAX, CommandStage, Commands, Kept};
use super::parts::Machine;
use super::system::INSTALLED_WITHIN;
use crate::store::database::Database;
use crate::store::fact::Fact;
use crate::store::{StoreError, sealed};
use crate::words::{Address, Effect, OPERATOR, text};
use qris_core::order::ids::{CommandId, KeyId};
use qris_core::order::time::{Now, Wall};
use qris_core::wire::command::{Code, Command, Problem, RefusedCommand, Response, SignedCommand, Stage, VALID_MAX_S};
use qris_host::events::{Event as Journal, Text};
use qris_host::mqtt::Ack;
use qris_host::trust::AGREES;

/// The most that are remembered. One whose time is over is forgotten.
const KNOWN_MAX: usize = 64;
/// The most that are read in a second: anybody at the broker can send one.
const READ_MAX: usize = 5;
/// So many characters of a command's name are kept.
const NAME_MAX: usize = 32;
/// The latest end (`exp`) of those that were forgotten, or refused because it was over. In seconds since 1970.
const FORGOTTEN: Fact<i64> = Fact::new("commands_forgotten");

impl Machine {
    /// A command came. It is acknowledged once it is stored or refused.
    pub(super) fn commanded(&mut self, name: &str, payload: &[u8], retained: bool, to: Address, ack: Ack, now: Now) {
        let came = self.commands.count(now.boot);
        // Anybody chose it, and the journal keeps it.
        let name: &str = &name.chars().take(NAME_MAX).collect::<String>();
        let taken = match came {
            ..=READ_MAX => self.take_command(name, payload, retained, &to, now),
            _ => Err(Problem::new(Code::RateLimited, format!("at most {READ_MAX} commands in a second are read")).into()),
        };
        if let Err(RefusedCommand { id, kid, why }) = taken {
            if why.code != Code::RateLimited {
                let by = kid.as_ref().map_or("nobody that this machine knows".into(), |kid| self.own.keys.named(kid));
                self.outbox.journal(Journal::CommandRefused { command: text(name), by: by.into(), why: text(&why.message) });
            }
            if came <= ANSWERED_MAX {
                self.answer(&to, Response::ended(id, Stage::Rejected, why));
            }
        }
        self.outbox.push(Effect::Ack(ack));
    }

    fn take_command(&mut self, name: &str, payload: &[u8], retained: bool, to: &Address, now: Now) -> Result<(), RefusedCommand> {
        if retained {
            return Err(Problem::new(Code::Retained, "a retained command may be of any age").into());
        }
        if !Command::NAMES.contains(&name) {
            return Err(Problem::new(Code::UnknownRequest, format!("this release has no command {name}")).into());
        }
        let jws = SignedCommand::jws_in(payload)?;
        let (signed, kid) = SignedCommand::read(&jws, &self.own.keys, &self.own.device)?;
        let id = signed.jti.clone();
        let refused = |why| RefusedCommand { id: Some(id.clone()), kid: Some(kid.clone()), why };
        if signed.command.name() != name {
            return Err(refused(Problem::new(Code::Malformed, format!("it is signed for the command {}", signed.command.name()))));
        }
        if let Some(kept) = self.commands.known.get(&id) {
            if kept.signed != signed {
                return Err(refused(Problem::new(Code::ReusedId, "this jti was used for another command")));
            }
            let answer = match &kept.step {
                CommandStage::Ended { answer, .. } => answer.clone(),
                CommandStage::Accepted | CommandStage::Begun(_) | CommandStage::Installing { .. } | CommandStage::Installed { .. } => {
                    Response::accepted(id)
                }
            };
            // A repetition does not take the answer away from the one who has sent it.
            self.answer(to, answer);
            return Ok(());
        }
        if self.commands.damaged.contains_key(&id) {
            let is_ended = self.end_damaged(signed, kid.clone(), jws, to, now);
            return if is_ended { Ok(()) } else { Err(refused(cannot_store())) };
        }
        if let Command::Query(query) = signed.command.clone() {
            return self.read_for(&query, signed, kid.clone(), to, now).map_err(refused);
        }
        if self.storage.store().is_none() {
            return Err(refused(Problem::new(Code::Store, "the database is not open")));
        }
        self.check_time_of(&signed, now).map_err(refused)?;
        self.forget_commands(now);
        if self.commands.known.len() >= KNOWN_MAX {
            let why = format!("{KNOWN_MAX} commands are remembered until their time is over (exp): try later");
            return Err(refused(Problem::new(Code::RateLimited, why)));
        }
        let kept = Kept { signed: signed.clone(), kid: kid.clone(), jws, to: to.clone(), step: CommandStage::Accepted };
        if !self.keep_command(kept, now) {
            return Err(refused(cannot_store()));
        }
        self.journal_taken(&signed, &kid);
        self.answer(to, Response::accepted(id));
        Ok(())
    }

    /// Objections of time. A command that a trusted clock saw as over stays over, whatever the clock does then.
    fn check_time_of(&mut self, signed: &SignedCommand, now: Now) -> Result<(), Problem> {
        let trusted = self.last_trusted();
        // A clock behind the last trusted time is wrong.
        let clock = self.own.trusted(now.wall).filter(|wall| *wall + AGREES >= trusted);
        let checked = signed.check_time(clock, self.storage.store().map(Database::stream));
        if let Err(why) = checked {
            if why.code == Code::Expired && clock.is_some_and(|wall| signed.is_over(wall)) && signed.exp > self.commands.forgotten {
                self.all_are_over_until(signed.exp, now);
            }
            return Err(why);
        }
        if signed.exp <= self.commands.forgotten || signed.is_over(trusted) {
            return Err(Problem::new(Code::Expired, "its time was over before (exp)"));
        }
        Ok(())
    }

    /// This time is trusted. Nobody has signed a command that ends later than a day after it, but by a clock that was ahead. Commands
    /// that such a clock saw expired stop no others for longer.
    pub(super) fn are_not_over_after(&mut self, trusted: Wall, now: Now) {
        let latest = trusted.0.div_euclid(1000) + VALID_MAX_S;
        if self.commands.forgotten > latest {
            self.all_are_over_until(latest, now);
        }
    }

    /// Stores that everything is over that ended until then, and nothing else. `false`: it could not be stored.
    fn all_are_over_until(&mut self, exp: i64, now: Now) -> bool {
        match self.storage.store_mut().map(|store| store.keep(&FORGOTTEN, &exp)) {
            Some(Ok(())) => {
                self.commands.forgotten = exp;
                true
            }
            Some(Err(error)) => {
                self.store_failed(&error, now);
                false
            }
            None => false,
        }
    }

    fn journal_taken(&mut self, signed: &SignedCommand, kid: &KeyId) {
        let (command, id, by) = (text(signed.command.name()), text(signed.jti.as_str()), self.own.keys.named(kid).into());
        self.outbox.journal(Journal::CommandTaken { command, id, by });
    }

    /// The one end of a command. If it cannot be stored, the command is carried on later, as after a crash.
    fn end_command(&mut self, id: &CommandId, answer: Response, now: Now) {
        let Some(kept) = self.commands.known.get(id).cloned() else { return };
        let result = result_of(&answer);
        let (command, by) = (text(kept.signed.command.name()), self.own.keys.named(&kept.kid).into());
        let may_install = matches!(&kept.step, CommandStage::Installing { boot, .. } if *boot == self.settings.boot_id);
        if !self.keep_command(Kept { step: CommandStage::Ended { answer, notified: false }, ..kept }, now) {
            return;
        }
        self.commands.tries.remove(id);
        self.outbox.journal(Journal::CommandEnded { command, id: text(id.as_str()), by, result });
        if may_install {
            // It was given up, and RAUC may go on.
            self.rauc_holds(INSTALLED_WITHIN, now);
        }
        if self.commands.tries.is_empty() {
            self.hold.release(OPERATOR);
        }
    }

    fn tell_ends(&mut self, now: Now) {
        self.tell_damaged(now);
        let untold = self.commands.known.values().filter(|kept| matches!(kept.step, CommandStage::Ended { notified: false, .. }));
        for kept in untold.cloned().collect::<Vec<_>>() {
            let CommandStage::Ended { answer, .. } = kept.step.clone() else { continue };
            let to = kept.to.clone();
            if self.keep_command(Kept { step: CommandStage::Ended { answer: answer.clone(), notified: true }, ..kept }, now) {
                self.answer(&to, answer);
            }
        }
    }

    /// Forgets those whose time is over. Nobody could have them carried out again.
    fn forget_commands(&mut self, now: Now) {
        let Some(wall) = self.own.trusted(now.wall) else { return };
        let over = |kept: &&Kept| kept.is_ended() && kept.signed.is_over(wall);
        let known = self.commands.known.values().filter(over).map(|kept| (kept.signed.jti.clone(), kept.signed.exp));
        let damaged = self.commands.damaged.iter().filter_map(|(id, damaged)| Some((id.clone(), damaged.over_at()?)));
        let over: Vec<(CommandId, i64)> = known.chain(damaged.filter(|(_, exp)| exp.saturating_mul(1000) <= wall.0)).collect();
        let Some(latest) = over.iter().map(|(_, exp)| *exp).max() else { return };
        if !self.all_are_over_until(latest.max(self.commands.forgotten), now) {
            return;
        }
        for (id, _) in over {
            match self.storage.store_mut().map(|store| store.forget_command(&id)) {
                Some(Ok(())) => drop((self.commands.known.remove(&id), self.commands.damaged.remove(&id))),
                Some(Err(error)) => return self.store_failed(&error, now),
                None => return,
            }
        }
    }

    pub(super) fn take_up_commands(&mut self, now: Now) -> Result<(), StoreError> {
        let Some(store) = self.storage.store_mut() else { return Ok(()) };
        let Commands { known, damaged, tries, forgotten, .. } = &mut self.commands;
        let before = std::mem::take(known);
        damaged.clear();
        let mut strange = Vec::new();
        let stored = store.known(&FORGOTTEN)?.good();
        *forgotten = stored.unwrap_or(i64::MIN).max(*forgotten);
        for (id, record) in store.commands()? {
            match sealed::open(&record) {
                Some(kept) => drop(known.insert(id, kept)),
                None => strange.push((id, record)),
            }
        }
        // The database is another one than a moment ago.
        for (id, kept) in before {
            if !known.contains_key(&id) && strange.iter().all(|(other, _)| *other != id) {
                store.keep_command(&id, &sealed::seal(&kept))?;
                known.insert(id, kept);
            }
        }
        tries.retain(|id, _| known.contains_key(id));
        strange.into_iter().try_for_each(|(id, row)| self.take_up_damaged(id, &row, now))
    }

    /// Stores a command. `false`: it could not be stored, and nothing has changed.
    fn keep_command(&mut self, kept: Kept, now: Now) -> bool {
        let id = kept.signed.jti.clone();
        match self.storage.store_mut().map(|store| store.keep_command(&id, &sealed::seal(&kept))) {
            Some(Ok(())) => {
                self.commands.known.insert(id, kept);
                true
            }
            Some(Err(error)) => {
                self.store_failed(&error, now);
                false
            }
            None => false,
        }
    }

    fn answer(&mut self, to: &Address, answer: Response) {
        self.outbox.push(Effect::AnswerCommand(to.clone(), Box::new(answer)));
    }
}

fn result_of(end: &Response) -> Text {
    end.error.as_ref().map_or_else(|| end.state.to_string(), |problem| format!("{}: {}", end.state, problem.message)).into()
}

fn cannot_store() -> Problem {
    Problem::new(Code::Store, "the machine cannot store it now")
}
