//! Commands that operators have signed. One that changes anything is stored before it is begun: it is carried out once, and has
//! one end, whatever crashes in between. The same id again gets the same end again.

use super::{Address, Effect, Machine, Operated, Operation, text};
use crate::store::{StoreError, sealed};
use qris_core::order::ids::{CommandId, KeyId};
use qris_core::order::time::{Boot, BootId, Now, Span};
use qris_core::wire::command::{Asked, Code, Command, Problem, Refused, Response, Stage};
use qris_core::wire::status::{FaultCode, Status};
use qris_host::events::Event as Journal;
use qris_host::mqtt::Ack;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Each one's name in the database is this and its `jti`.
const KEY: &str = "command ";
/// Who holds the machine for them.
const HOLDER: &str = "operator";
/// The longest time that one waits for a customer to go, or for the relay service.
const WAIT: Span = Span::secs(900);
/// A restart or reboot that was ordered has happened by then.
const HAPPENS_WITHIN: Span = Span::secs(300);
/// An image is installed by then.
const INSTALLED_WITHIN: Span = Span::secs(3600);
/// A system that was installed has proven itself by then.
const PROVEN_WITHIN: Span = Span::secs(600);
/// It is started so often.
const STARTS_MAX: u8 = 3;
/// The relay service is asked again after this time.
const ASK_AGAIN: Span = Span::secs(2);
/// The most that are remembered. One whose time is over is forgotten.
const KNOWN_MAX: usize = 64;
/// The most that are read in a second: anybody at the broker can send one.
const READ_MAX: usize = 5;
/// The most that are answered in a second, if only to say that these were too many.
const ANSWERED_MAX: usize = 20;
const SECOND: Span = Span::secs(1);
/// The most orders of a `diag`.
const DIAG_ORDERS: u16 = 50;

/// The commands that are known.
#[derive(Debug, Default)]
pub(super) struct Commands {
    known: BTreeMap<CommandId, Kept>,
    /// Their rows are damaged. Nobody knows whether they were carried out, so they are not.
    damaged: BTreeSet<CommandId>,
    /// What this process did about those that have no end yet.
    tries: BTreeMap<CommandId, Try>,
    /// When commands came, within the last second.
    came: VecDeque<Boot>,
}

/// One that the database has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Kept {
    asked: Asked,
    kid: KeyId,
    jws: Box<str>,
    to: Address,
    step: Step,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Step {
    /// Nothing was done yet.
    Accepted,
    /// It is being done, from this boot on.
    Begun(BootId),
    /// Another system is installed beside the one of this slot, which ran in this boot. It is started for the so many-th time.
    Installed { boot: BootId, slot: Box<str>, starts: u8 },
    /// It has its end; the asker was told, or not yet.
    Ended { answer: Response, told: bool },
}

/// Nothing of this is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Try {
    /// It is given up then.
    until: Boot,
    /// Somebody is doing it.
    is_under_way: bool,
    /// It is tried again then.
    again_at: Option<Boot>,
    /// How many times the asker heard that it is under way.
    told: u32,
    /// Another slot runs than before, and is to prove itself.
    is_other_slot: bool,
}

impl Kept {
    fn is_ended(&self) -> bool {
        matches!(self.step, Step::Ended { .. })
    }
}

impl Commands {
    pub(super) fn deadline(&self) -> Option<Boot> {
        self.tries.values().flat_map(|tried| [Some(tried.until), tried.again_at]).flatten().min()
    }

    /// Counts a command. Answers with how many came within a second.
    fn count(&mut self, now: Boot) -> usize {
        self.came.retain(|at| now < *at + SECOND);
        if self.came.len() <= ANSWERED_MAX {
            self.came.push_back(now);
        }
        self.came.len()
    }

    fn open(&self) -> Vec<CommandId> {
        self.known.iter().filter(|(_, kept)| !kept.is_ended()).map(|(id, _)| id.clone()).collect()
    }
}

impl Machine {
    /// A command came. It is acknowledged once it is stored or refused.
    pub(super) fn commanded(&mut self, name: &str, payload: &[u8], retained: bool, to: Address, ack: Ack, now: Now) {
        let came = self.commands.count(now.boot);
        let taken = match came {
            ..=READ_MAX => self.take_command(name, payload, retained, &to, now),
            _ => Err(Problem::new(Code::RateLimited, format!("at most {READ_MAX} commands in a second are read")).into()),
        };
        if let Err(Refused { id, kid, why }) = taken {
            if why.code != Code::RateLimited {
                let by = kid.as_ref().map_or("nobody that this machine knows", KeyId::as_str);
                self.outbox.journal(Journal::CommandRefused { command: text(name), by: text(by), why: text(&why.message) });
            }
            if came <= ANSWERED_MAX {
                self.answer(&to, Response::ended(id, Stage::Rejected, why));
            }
        }
        self.outbox.push(Effect::Ack(ack));
    }

    fn take_command(&mut self, name: &str, payload: &[u8], retained: bool, to: &Address, now: Now) -> Result<(), Refused> {
        if retained {
            return Err(Problem::new(Code::Retained, "a retained command may be of any age").into());
        }
        if !Command::NAMES.contains(&name) {
            return Err(Problem::new(Code::UnknownRequest, format!("this release has no command {name}")).into());
        }
        let jws = Asked::jws_in(payload)?;
        let (asked, kid) = Asked::read(&jws, &self.own.keys, &self.own.device)?;
        let id = asked.jti.clone();
        let refused = |why| Refused { id: Some(id.clone()), kid: Some(kid.clone()), why };
        if asked.command.name() != name {
            return Err(refused(Problem::new(Code::Malformed, format!("it is signed for the command {}", asked.command.name()))));
        }
        if let Some(kept) = self.commands.known.get_mut(&id) {
            if kept.asked != asked {
                return Err(refused(Problem::new(Code::ReusedId, "this jti was used for another command")));
            }
            let answer = match &kept.step {
                Step::Ended { answer, .. } => answer.clone(),
                Step::Accepted | Step::Begun(_) | Step::Installed { .. } => Response::accepted(id),
            };
            kept.to = to.clone();
            self.answer(to, answer);
            return Ok(());
        }
        asked.check_time(self.own.trusted(now.wall), self.storage.stream()).map_err(refused)?;
        if !asked.command.changes() {
            self.outbox.journal(Journal::CommandTaken { command: text(name), id: text(id.as_str()), by: text(kid.as_str()) });
            self.look(id, asked.command, to, now);
            return Ok(());
        }
        self.forget_commands(now);
        if self.commands.known.len() >= KNOWN_MAX {
            let why = format!("{KNOWN_MAX} commands are remembered until their time is over (exp): try later");
            return Err(refused(Problem::new(Code::RateLimited, why)));
        }
        let kept = Kept { asked, kid: kid.clone(), jws, to: to.clone(), step: Step::Accepted };
        if self.commands.damaged.contains(&id) || !self.keep_command(kept, now) {
            return Err(refused(Problem::new(Code::Store, "the machine cannot store it now")));
        }
        self.outbox.journal(Journal::CommandTaken { command: text(name), id: text(id.as_str()), by: text(kid.as_str()) });
        self.answer(to, Response::accepted(id));
        Ok(())
    }

    /// Answers a command that only reads.
    fn look(&mut self, id: CommandId, command: Command, to: &Address, now: Now) {
        let status = || Status { at: self.settings.time_of_day(now.wall), ..self.status() };
        let read = match command {
            Command::Status {} => serde_json::to_value(status()).map_err(|why| why.to_string()),
            Command::ConfigGet {} => Ok(self.afar.whole(&self.settings.labels)),
            Command::Orders { newest } => self.newest_orders(newest),
            Command::Vitals {} | Command::Logs(_) => return self.outbox.push(Effect::Look(to.clone(), id, command, Value::Null)),
            Command::Diag {} => {
                let orders = self.newest_orders(DIAG_ORDERS).unwrap_or_else(Value::from);
                let known = json!({ "status": status(), "settings": self.afar.whole(&self.settings.labels), "orders": orders });
                return self.outbox.push(Effect::Look(to.clone(), id, command, known));
            }
            Command::Cancel { .. }
            | Command::Restart {}
            | Command::Reboot {}
            | Command::Update { .. }
            | Command::Clear { .. }
            | Command::TestPulse { .. } => return,
        };
        let end = match read {
            Ok(result) => Response::done(Some(id), result),
            Err(why) => Response::ended(Some(id), Stage::Failed, Problem::new(Code::Store, why)),
        };
        self.answer(to, end);
    }

    fn newest_orders(&self, newest: u16) -> Result<Value, String> {
        let store = self.storage.store().ok_or("the database is not open")?;
        store.newest(newest).map(|events| json!({ "orders": events })).map_err(|why| why.to_string())
    }

    /// Carries every command on that has no end yet, as far as it goes now.
    pub(super) fn carry_commands(&mut self, now: Now) {
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
        let Some(Kept { asked, jws, step, .. }) = self.commands.known.get(id).cloned() else { return };
        let is_installing = matches!((&asked.command, &step), (Command::Update { .. }, Step::Begun(_)));
        let fresh = Try {
            until: now.boot + if is_installing { INSTALLED_WITHIN } else { WAIT },
            is_under_way: false,
            again_at: None,
            told: 0,
            is_other_slot: false,
        };
        let tried = *self.commands.tries.entry(id.clone()).or_insert(fresh);
        let here = self.settings.boot_id.clone();
        match (asked.command, step) {
            (Command::Cancel { request_id }, _) => match self.cancel_order(&request_id, now) {
                Ok(Some((order, _))) => {
                    let (state, reason) = order.order.name();
                    self.end_command(id, Response::done(Some(id.clone()), json!({ "state": state, "reason": reason })), now);
                }
                Ok(None) => self.fail_command(id, Code::UnknownRequest, "this machine knows no such request", now),
                // The database fails. It is tried again.
                Err(_) => {}
            },
            (Command::Restart {} | Command::Reboot {} | Command::Update { .. } | Command::TestPulse { .. }, Step::Accepted) => {
                if self.is_free_for_command(id, tried, now) && self.begin_command(id, now) {
                    self.carry(id, now);
                }
            }
            (Command::Clear { .. }, Step::Accepted) => {
                if self.begin_command(id, now) {
                    self.carry(id, now);
                }
            }
            (Command::Update { .. }, Step::Begun(boot)) if boot != here => {
                self.fail_command(id, Code::Refused, "the computer was restarted while it was installed: nothing has changed", now);
            }
            _ if tried.is_under_way || tried.again_at.is_some_and(|at| now.boot < at) => {
                if now.boot >= tried.until {
                    self.time_out_command(id, "it did not happen", now);
                }
            }
            // Another process of this program has begun it.
            (Command::Restart {}, Step::Begun(_)) if !tried.is_new_here() => {
                let result = json!({ "version": env!("CARGO_PKG_VERSION") });
                self.end_command(id, Response::done(Some(id.clone()), result), now);
            }
            (Command::Reboot {}, Step::Begun(boot)) if boot != here => {
                let result = json!({ "boot_id": here.0 });
                self.end_command(id, Response::done(Some(id.clone()), result), now);
            }
            (Command::Restart {}, Step::Begun(_)) => self.operate(id, tried, Operation::Restart, now),
            (Command::Reboot {}, Step::Begun(_)) => self.operate(id, tried, Operation::Reboot, now),
            (Command::Update { bundle }, Step::Begun(_)) => self.operate(id, tried, Operation::Install(bundle), now),
            (Command::Update { .. }, Step::Installed { boot, slot, starts }) => {
                self.carry_update(id, tried, (boot == here, slot, starts), now)
            }
            (Command::Clear { .. }, Step::Begun(_)) => self.operate(id, tried, Operation::Clear(jws), now),
            (Command::TestPulse { .. }, Step::Begun(_)) => self.operate(id, tried, Operation::Test(jws), now),
            // These only read, and are never stored; or it has its end.
            (
                Command::Status {}
                | Command::ConfigGet {}
                | Command::Vitals {}
                | Command::Diag {}
                | Command::Orders { .. }
                | Command::Logs(_),
                _,
            )
            | (
                Command::Restart {} | Command::Reboot {} | Command::Clear { .. } | Command::TestPulse { .. },
                Step::Installed { .. } | Step::Ended { .. },
            )
            | (Command::Update { .. }, Step::Ended { .. }) => {}
        }
    }

    /// Another system is installed. It is started, and has to prove itself, or the bootloader goes back.
    fn carry_update(&mut self, id: &CommandId, tried: Try, (is_same_boot, slot, starts): (bool, Box<str>, u8), now: Now) {
        if is_same_boot {
            if self.is_free_for_command(id, tried, now) {
                self.operate(id, tried, Operation::Reboot, now);
            }
        } else if !tried.is_other_slot {
            self.operate(id, tried, Operation::TellSlot, now);
        } else if self.has_proven_itself() {
            self.operate(id, tried, Operation::MarkGood, now);
        } else if now.boot >= tried.until {
            if starts >= STARTS_MAX {
                let why = format!("it was started {starts} times and did not prove itself, and the bootloader did not go back");
                return self.fail_command(id, Code::Refused, &why, now);
            }
            // The bootloader counts the starts of a system that nobody has called good.
            let step = Step::Installed { boot: self.settings.boot_id.clone(), slot, starts: starts + 1 };
            if self.step_command(id, step, HAPPENS_WITHIN, now) {
                self.outbox.journal(Journal::UpdateUnproven { starts: i64::from(starts) });
                self.carry(id, now);
            }
        }
    }

    /// Broker, backend, screen and relay service are there, and the database takes a write.
    fn has_proven_itself(&mut self) -> bool {
        let is_well = |code: FaultCode| match code {
            FaultCode::Store | FaultCode::NewerDatabase | FaultCode::Relay | FaultCode::Screen | FaultCode::Backend => false,
            FaultCode::Clock | FaultCode::Config => false,
            FaultCode::StoreReset | FaultCode::LineBlocked | FaultCode::Settings | FaultCode::Other(_) => true,
        };
        let is_there = self.outbox.is_connected() && self.reconciliation.has_answered() && self.links.relay_owner().is_some();
        is_there
            && self.faults.all().all(|fault| is_well(fault.code))
            && self.storage.store_mut().is_some_and(|store| store.probe().is_ok())
    }

    fn operate(&mut self, id: &CommandId, tried: Try, operation: Operation, now: Now) {
        if now.boot >= tried.until {
            return self.time_out_command(id, "nobody answered", now);
        }
        self.try_command(id, |tried| (tried.is_under_way, tried.again_at) = (true, None));
        self.outbox.push(Effect::Operate(id.clone(), operation));
    }

    /// Whether no customer is there, and nobody else looks after the machine. From now on nothing new is sold.
    fn is_free_for_command(&mut self, id: &CommandId, tried: Try, now: Now) -> bool {
        let is_held = self.hold.take(HOLDER, tried.until + SECOND - now.boot, now.boot).is_some();
        let is_busy = self.is_busy();
        if is_held && !is_busy {
            return true;
        }
        let (code, why) = if is_busy {
            (Code::Busy, "a customer is served to the end first")
        } else {
            (Code::Updating, "somebody else looks after the machine")
        };
        if now.boot >= tried.until {
            let problem = Problem::new(code, why);
            self.end_command(id, Response::ended(Some(id.clone()), Stage::TimedOut, problem), now);
        } else if tried.told == 0 {
            self.tell_progress(id, why);
        }
        false
    }

    fn tell_progress(&mut self, id: &CommandId, message: &str) {
        let (Some(tried), Some(kept)) = (self.commands.tries.get_mut(id), self.commands.known.get(id)) else { return };
        tried.told += 1;
        let (to, answer) = (kept.to.clone(), Response::running(id.clone(), tried.told, message));
        self.answer(&to, answer);
    }

    /// RAUC has installed a bundle beside this slot; or it says which slot runs after that.
    fn slot_told(&mut self, id: &CommandId, slot: Box<str>, now: Now) {
        let Some(Kept { step, .. }) = self.commands.known.get(id) else { return };
        match step {
            Step::Begun(boot) => {
                let step = Step::Installed { boot: boot.clone(), slot, starts: 0 };
                self.step_command(id, step, HAPPENS_WITHIN, now);
            }
            Step::Installed { slot: before, .. } if *before == slot => {
                let why = format!("the bootloader went back to {slot}");
                self.fail_command(id, Code::Refused, &why, now);
            }
            Step::Installed { .. } => {
                let until = now.boot + PROVEN_WITHIN;
                self.try_command(id, |tried| *tried = Try { until, is_under_way: false, is_other_slot: true, ..*tried });
            }
            Step::Accepted | Step::Ended { .. } => {}
        }
    }

    /// Stores that it is being done from now on.
    fn begin_command(&mut self, id: &CommandId, now: Now) -> bool {
        let is_update = self.commands.known.get(id).is_some_and(|kept| matches!(kept.asked.command, Command::Update { .. }));
        let within = if is_update { INSTALLED_WITHIN } else { HAPPENS_WITHIN };
        self.step_command(id, Step::Begun(self.settings.boot_id.clone()), within, now)
    }

    /// Stores how far it is. What comes next is tried for this time.
    fn step_command(&mut self, id: &CommandId, step: Step, within: Span, now: Now) -> bool {
        let Some(kept) = self.commands.known.get(id).cloned() else { return false };
        let is_kept = self.keep_command(Kept { step, ..kept }, now);
        if is_kept {
            let until = now.boot + within;
            self.try_command(id, |tried| *tried = Try { until, is_under_way: false, again_at: Some(now.boot), ..*tried });
        }
        is_kept
    }

    /// The relay service or the system has answered.
    pub(super) fn operated(&mut self, id: &CommandId, answer: Operated, now: Now) {
        let is_open = self.commands.known.get(id).is_some_and(|kept| !kept.is_ended());
        match answer {
            _ if !is_open => {}
            Operated::Done(result) => self.end_command(id, Response::done(Some(id.clone()), result), now),
            Operated::Refused(problem) => self.end_command(id, Response::ended(Some(id.clone()), Stage::Failed, problem), now),
            Operated::Percent(percent) => self.tell_progress(id, &format!("{percent} % are installed")),
            Operated::Slot(slot) => self.slot_told(id, slot, now),
            Operated::NoAnswer => {
                self.try_command(id, |tried| (tried.is_under_way, tried.again_at) = (false, Some(now.boot + ASK_AGAIN)));
            }
        }
    }

    fn try_command(&mut self, id: &CommandId, change: impl FnOnce(&mut Try)) {
        if let Some(tried) = self.commands.tries.get_mut(id) {
            change(tried);
        }
    }

    fn fail_command(&mut self, id: &CommandId, code: Code, why: &str, now: Now) {
        self.end_command(id, Response::ended(Some(id.clone()), Stage::Failed, Problem::new(code, why)), now);
    }

    fn time_out_command(&mut self, id: &CommandId, why: &str, now: Now) {
        let problem = Problem::new(Code::Refused, why);
        self.end_command(id, Response::ended(Some(id.clone()), Stage::TimedOut, problem), now);
    }

    /// The one end of a command. If it cannot be stored, the command is carried on later, as after a crash.
    fn end_command(&mut self, id: &CommandId, answer: Response, now: Now) {
        let Some(kept) = self.commands.known.get(id).cloned() else { return };
        let result = match &answer.error {
            None => answer.state.to_string(),
            Some(problem) => format!("{}: {}", answer.state, problem.message),
        };
        let (command, by) = (text(kept.asked.command.name()), text(kept.kid.as_str()));
        if !self.keep_command(Kept { step: Step::Ended { answer, told: false }, ..kept }, now) {
            return;
        }
        self.commands.tries.remove(id);
        self.outbox.journal(Journal::CommandEnded { command, id: text(id.as_str()), by, result: result.into() });
        if self.commands.tries.is_empty() {
            self.hold.release(HOLDER);
        }
    }

    /// Tells the ends that nobody was told.
    fn tell_ends(&mut self, now: Now) {
        let untold = self.commands.known.values().filter(|kept| matches!(kept.step, Step::Ended { told: false, .. }));
        for kept in untold.cloned().collect::<Vec<_>>() {
            let Step::Ended { answer, .. } = kept.step.clone() else { continue };
            let to = kept.to.clone();
            if self.keep_command(Kept { step: Step::Ended { answer: answer.clone(), told: true }, ..kept }, now) {
                self.answer(&to, answer);
            }
        }
    }

    /// Forgets those whose time is over. Nobody could have them carried out again.
    fn forget_commands(&mut self, now: Now) {
        let Some(wall) = self.own.trusted(now.wall) else { return };
        let over = |kept: &&Kept| kept.is_ended() && kept.asked.is_over(wall);
        let over: Vec<CommandId> = self.commands.known.values().filter(over).map(|kept| kept.asked.jti.clone()).collect();
        for id in over {
            match self.storage.store_mut().map(|store| store.forget_fact(&format!("{KEY}{id}"))) {
                Some(Ok(())) => drop(self.commands.known.remove(&id)),
                Some(Err(error)) => return self.store_failed(&error, now),
                None => return,
            }
        }
    }

    /// Takes up what the database has.
    pub(super) fn take_up_commands(&mut self) -> Result<(), StoreError> {
        let Some(store) = self.storage.store() else { return Ok(()) };
        let Commands { known, damaged, tries, .. } = &mut self.commands;
        (*known, *damaged) = Default::default();
        for (key, value) in store.remembered_under(KEY)? {
            let Ok(id) = CommandId::new(key.trim_start_matches(KEY)) else { continue };
            match sealed::open(&value) {
                Some(kept) => drop(known.insert(id, kept)),
                None => drop(damaged.insert(id)),
            }
        }
        tries.retain(|id, _| known.contains_key(id));
        Ok(())
    }

    /// Stores a command. `false`: it could not be stored, and nothing has changed.
    fn keep_command(&mut self, kept: Kept, now: Now) -> bool {
        let id = kept.asked.jti.clone();
        match self.storage.store_mut().map(|store| store.remember(&format!("{KEY}{id}"), &sealed::seal(&kept))) {
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
        self.outbox.push(Effect::Answer(to.clone(), Box::new(answer)));
    }
}

impl Try {
    /// Whether this process has begun it.
    fn is_new_here(self) -> bool {
        self.again_at.is_some() || self.is_under_way
    }
}
