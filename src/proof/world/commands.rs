//! An operator far away restarts, reboots, cancels, updates, tests and clears, while machines sell. Each command goes out again until
//! it has its end, now and then from a colleague's desk too. A stranger sends it once more after that.

use super::counts::Kind;
use super::events::machine;
use super::{Event, STORE, World, computer, device, small};
use qris_core::order::ids::{CommandId, RequestId};
use qris_core::order::keys::{Level, SigningKey};
use qris_core::order::time::Wall;
use qris_core::wire::command::{Action, Code, Command, Response, SignedCommand, Stage};
use qris_core::wire::status::Status;
use qris_device::words::{Address, Input, Operation};
use qris_host::mqtt::Ack;
use std::collections::{BTreeMap, BTreeSet};

/// One that has no answer goes out again after this time.
const AGAIN: i64 = 40_000;
/// Each is good for this time.
const VALID_S: i64 = 20 * 3600;
/// An update restarts the computer once for the new system, and three times for one that does not prove itself.
const UPDATE_REBOOTS_MAX: u32 = 4;
/// The desks, by the topic on which each is answered. The last one is a stranger's, who need not hear anything.
const DESKS: [&str; 3] = ["desk", "colleague", "stranger"];
const STRANGER: usize = 2;
/// No machine's database has this name.
const ELSEWHERE: &str = "another-life";

/// Everything that was sent, by the number of each.
#[derive(Default)]
pub(super) struct Commands {
    sent: Vec<Sent>,
    /// The life of the machine's database, as its status told it last.
    stream: Option<Box<str>>,
    /// How often the line was driven for a command, in one life of a ledger.
    pulses: BTreeMap<(usize, u32), u32>,
    /// How often the relay has taken a block off for a command, or found none, in one life of a ledger.
    clears: BTreeMap<(usize, u32), u32>,
}

struct Sent {
    asked: SignedCommand,
    jws: String,
    /// Only an operator who may look has signed it.
    is_forbidden: bool,
    desks: [Desk; 3],
    /// How often each machine was restarted or rebooted for it.
    carried_out: BTreeMap<usize, u32>,
    /// The line was driven to its end for it.
    is_delivered: bool,
    /// The relay has taken the block off for it, or there was none.
    is_cleared: bool,
    /// RAUC has called its system good, in these slots.
    marked: BTreeSet<String>,
}

/// What a desk knows of a command.
#[derive(Default)]
struct Desk {
    is_asking: bool,
    /// How often a machine heard it from here.
    arrived: u32,
    /// How often an end was heard here.
    ends: u32,
    /// The end, as it was heard first.
    end: Option<Response>,
}

impl Sent {
    fn is_answered(&self) -> bool {
        self.desks.iter().all(|desk| desk.end.is_some() || !desk.is_asking)
    }
}

impl Commands {
    pub(super) fn marked(&mut self, number: usize, slot: &str) {
        self.sent[number].marked.insert(slot.into());
    }

    /// The relay took a signed command: its number.
    pub(super) fn number_of(&self, jws: &str) -> usize {
        self.sent.iter().position(|sent| sent.jws == jws).expect("one of ours")
    }

    pub(super) fn cleared(&mut self, number: usize) {
        self.sent[number].is_cleared = true;
    }

    pub(super) fn delivers(&mut self, number: usize) {
        self.sent[number].is_delivered = true;
    }

    /// Has a desk heard that it came to nothing?
    pub(super) fn has_failed(&self, number: usize) -> bool {
        let ends = self.sent[number].desks.iter().filter_map(|desk| desk.end.as_ref());
        ends.into_iter().any(|end| matches!(end.state, Stage::Failed | Stage::TimedOut))
    }

    pub(super) fn is_any_open(&self) -> bool {
        self.sent.iter().any(|sent| !sent.is_answered())
    }

    /// Tests and clears, as a stranger has heard them.
    pub(super) fn received_by_strangers(&self) -> Vec<(usize, String)> {
        let is_of_the_relay = |sent: &Sent| matches!(&sent.asked.command, Command::Action(action) if action.is_at_relay());
        let heard = self.sent.iter().enumerate().filter(|(_, sent)| is_of_the_relay(sent));
        heard.map(|(number, sent)| (number, sent.jws.clone())).collect()
    }

    pub(super) fn is_test(&self, number: usize) -> bool {
        matches!(self.sent[number].asked.command, Command::Action(Action::TestPulse { .. }))
    }
}

/// The key of an operator who may only look.
fn viewer_key() -> SigningKey {
    SigningKey::from_seed([0x0e; 32])
}

/// Its public key, for `keys.json`.
pub(super) fn viewer_public_key() -> String {
    viewer_key().to_operator_jwk(Level::View)
}

impl World {
    pub(super) fn wants_something_done(&mut self) {
        let may_update = self.storm || self.now > self.heals_at + computer::LATE;
        let action = match self.below(10) {
            0 => Action::Restart {},
            1 | 2 => Action::Reboot {},
            3 => Action::Cancel { request_id: RequestId::new(&format!("r-{}", self.people.vended)).expect("an id") },
            4 | 5 => Action::TestPulse { item: small() },
            6 => Action::Clear { item: small() },
            _ if may_update => Action::Update { bundle: "/image.raucb".into() },
            _ => Action::Restart {},
        };
        self.wants(action);
    }

    /// The operator has heard that a line is blocked, and somebody has looked.
    pub(super) fn wants_it_cleared(&mut self) {
        self.wants(Action::Clear { item: small() });
    }

    pub(super) fn wants_a_test(&mut self) {
        self.wants(Action::TestPulse { item: small() });
    }

    fn wants(&mut self, action: Action) {
        self.counts.note(Kind::Commands);
        let number = self.commands.sent.len();
        // In a play nothing but what it asks for goes wrong.
        let is_forbidden = !self.is_planned() && self.one_in(10);
        let jti = CommandId::new(&format!("c-{number}")).expect("an id");
        let exp = (super::BEGIN + self.now) / 1000 + VALID_S;
        let stream = match self.below(8) {
            _ if self.is_planned() => None,
            0 => Some(ELSEWHERE.into()),
            1..=4 => self.commands.stream.clone(),
            _ => None,
        };
        self.counts.more(Kind::OtherStream, (stream.as_deref() == Some(ELSEWHERE)).into());
        let asked = SignedCommand { aud: device(), jti, exp, stream, command: action.into() };
        self.note(|| {
            let may_not = if is_forbidden { ", and may not" } else { "" };
            // The name of a stream is drawn anew in each run.
            let stream = match asked.stream.as_deref() {
                None => "",
                Some(ELSEWHERE) => ", for another life of the database",
                Some(_) => ", for this life of the database",
            };
            format!("the operator wants {} (c-{number}){stream}{may_not}", asked.command.name())
        });
        let key = if is_forbidden { viewer_key() } else { super::desk::key() };
        let jws = asked.jws(&key);
        let (desks, carried_out, marked) = Default::default();
        let (is_delivered, is_cleared) = (false, false);
        let sent = Sent { asked, jws, is_forbidden, desks, carried_out, is_delivered, is_cleared, marked };
        self.commands.sent.push(sent);
        self.sends_command(number);
    }

    /// It goes out from each desk that has heard no end yet; a stranger sends it now and then after that.
    pub(super) fn sends_command(&mut self, number: usize) {
        let (joins, repeats) = (self.one_in(8), self.storm && self.one_in(3));
        let sent = &mut self.commands.sent[number];
        sent.desks[0].is_asking = true;
        sent.desks[1].is_asking |= joins;
        let is_over = sent.is_answered();
        let asking =
            |at: &usize| if *at == STRANGER { is_over && repeats } else { sent.desks[*at].is_asking && sent.desks[*at].end.is_none() };
        let asking: Vec<usize> = (0..DESKS.len()).filter(asking).collect();
        for desk in asking {
            self.sends_command_from(desk, number);
        }
        if !is_over || repeats {
            let after = AGAIN + self.below(AGAIN);
            self.after(after, Event::Commands(Some(number)));
        }
    }

    fn sends_command_from(&mut self, desk: usize, number: usize) {
        let Some(m) = (0..self.machines.len()).find(|m| self.broker.connection_of(*m).is_some()) else { return };
        let copies = if self.goes_wrong(15, Kind::Doubled) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = 1 + self.below(40);
            let run = self.machines[m].run;
            self.machine_hears(m, machine::Arrival::Commanded { run, number, desk }, delay);
        }
    }

    pub(super) fn command_arrives(&mut self, m: usize, number: usize, desk: usize) {
        let sent = &mut self.commands.sent[number];
        sent.desks[desk].arrived += 1;
        let (name, payload) = (sent.asked.command.name().into(), SignedCommand::payload(&sent.jws));
        let to = Address { topic: DESKS[desk].into(), correlation: None };
        let ack = Ack::numbered(1 << 62 | (number * DESKS.len() + desk) as u64);
        self.input(m, Input::Command { name, payload, retained: false, to, ack });
    }

    /// A machine answers. The end of a command is the same for ever and at each desk, as long as the machine's database is.
    pub(super) fn command_answered(&mut self, m: usize, topic: &str, answer: Response) {
        let Some(number) = answer.id.as_ref().and_then(|id| id.as_str().strip_prefix("c-")?.parse::<usize>().ok()) else { return };
        let Some(desk) = DESKS.iter().position(|known| *known == topic) else { return self.fail(format!("an answer to {topic}")) };
        self.note(|| format!("the machine answers c-{number} at the {topic}: {}", answer.state));
        let is_later = answer.error.as_ref().is_some_and(|problem| matches!(problem.code, Code::Store | Code::RateLimited));
        if answer.ok.is_none() || is_later || self.broker.connection_of(m).is_none() {
            return;
        }
        // Another machine under this name, or another database.
        let is_lost = self.is_machine_forgetful();
        let sent = &mut self.commands.sent[number];
        // A clock that was wrong once.
        let differs = |end: &Response| *end != answer && end.state != Stage::Rejected && answer.state != Stage::Rejected;
        let other = sent.desks.iter().filter_map(|desk| desk.end.as_ref()).find(|end| differs(end)).cloned();
        let heard = &mut sent.desks[desk];
        heard.ends += 1;
        let is_once_more = heard.ends > heard.arrived;
        heard.end.get_or_insert_with(|| answer.clone());
        if is_lost {
            return;
        }
        if let Some(end) = other {
            return self.fail(format!("c-{number} has two ends: {end:?} and {answer:?}"));
        }
        if is_once_more {
            return self.fail(format!("the end of c-{number} is told more often than the {topic} has asked"));
        }
        if let Some(why) = self.commands.sent[number].is_untrue(&answer) {
            self.fail(format!("c-{number} {why}: {answer:?}"));
        }
    }

    /// May a machine's database have forgotten a command?
    pub(super) fn is_machine_forgetful(&self) -> bool {
        self.losses.card() || self.losses.store() || self.losses.is_harmed(STORE)
    }

    /// All effects before it are carried out. Nobody is in the middle of a sale.
    pub(super) fn carries_out(&mut self, m: usize, id: &CommandId, operation: Operation) {
        let number: usize = id.as_str().trim_start_matches("c-").parse().expect("one of ours");
        if self.commands.sent[number].is_forbidden {
            return self.fail(format!("{id} is carried out, and who has signed it may only look"));
        }
        let (wanted, present) = (&self.commands.sent[number].asked.stream, &self.machines[m].stream);
        // What only asks which system runs ends an update that was under way.
        let is_deed = !matches!(operation, Operation::TellSlot { .. });
        if is_deed && wanted.is_some() && present.is_some() && wanted != present {
            return self.fail(format!("{id} is carried out, and it is for another life of the database"));
        }
        let disturbs = match &operation {
            Operation::Restart | Operation::Reboot | Operation::Install { .. } | Operation::Test(_) => true,
            Operation::TellSlot { .. } | Operation::Clear(_) => false,
        };
        if let Some(why) = self.why_not_now(m, Some(number)).filter(|_| disturbs) {
            return self.fail(format!("{id} is carried out {why}"));
        }
        if matches!(operation, Operation::Restart | Operation::Reboot) {
            let sent = &mut self.commands.sent[number];
            let most = if matches!(sent.asked.command, Command::Action(Action::Update { .. })) { UPDATE_REBOOTS_MAX } else { 1 };
            let times = sent.carried_out.entry(m).or_default();
            // After a power cut a card whose sync failed has forgotten what was begun.
            if *times >= most && !self.is_machine_forgetful() {
                return self.fail(format!("{id} is carried out once more"));
            }
            if matches!(operation, Operation::Reboot) && self.goes_wrong(10, Kind::RebootUndone) {
                return self.operated(m, id, qris_device::words::Operated::NoAnswer, 2_000);
            }
            *self.commands.sent[number].carried_out.entry(m).or_default() += 1;
            self.counts.note(Kind::Executed);
        }
        match operation {
            Operation::Restart => self.start_machine(m, true),
            Operation::Reboot => self.cut_power(m),
            Operation::Install { may_join, .. } => self.installs(m, id, number, may_join),
            Operation::TellSlot { may_be_late } => self.tells_slot(m, id, may_be_late),
            Operation::Test(jws) => self.asks_for_operator(m, id, machine::Call::Test(jws)),
            Operation::Clear(jws) => self.asks_for_operator(m, id, machine::Call::Clear(jws)),
        }
    }

    /// Why nothing may be done to the machine now: somebody buys, or another command is under way.
    pub(super) fn why_not_now(&self, m: usize, number: Option<usize>) -> Option<&'static str> {
        let machine = &self.machines[m];
        if machine.is_in_mid_sale() {
            return Some("in mid-sale");
        }
        if machine.is_held_by_order {
            return Some("while an order holds the machine");
        }
        if machine.computer.installs_for().is_some_and(|of| Some(of) != number) && !self.is_machine_forgetful() {
            return Some("while a system is installed for another");
        }
        // A database that was lost in mid-pulse knows nothing of it.
        let drives = self.relays[m].drives_order().is_some_and(|order| !self.thief.strange.contains(order));
        (drives && !self.is_machine_forgetful()).then_some("while the line is driven for an order")
    }

    /// The rule when RAUC is to call a system good: it has proven itself.
    pub(super) fn judge_proof(&mut self, m: usize) {
        let machine = &self.machines[m];
        let proofs = [
            (!self.network.has_broker || self.broker.connection_of(m).is_some(), "the broker is there"),
            (machine.knows_open_orders, "the backend has answered"),
            (machine.screen_gone.is_none(), "the screen works"),
            (machine.has_relay, "the relay is there"),
            (!machine.fails, "the database works"),
        ];
        if let Some((_, what)) = proofs.iter().find(|(is, _)| !is) {
            self.fail(format!("a system is called good, and it is not proven that {what}"));
        }
    }

    pub(super) fn judge_test(&mut self, m: usize, number: usize, by_stranger: bool) {
        self.count(Kind::TestPulses, "the line is driven for a test");
        self.judge_time(m, number);
        if self.commands.sent[number].is_forbidden || !self.commands.is_test(number) {
            return self.fail(format!("the line is driven for c-{number}, which nobody may do"));
        }
        let times = self.commands.pulses.entry((number, self.relays[m].life())).or_default();
        *times += 1;
        if *times > 1 {
            return self.fail(format!("c-{number} was driven twice"));
        }
        // A card of before may have the test under way, while the backend knows of an order that was paid since.
        if self.machines[m].is_held_by_order && !by_stranger && !self.is_machine_forgetful() {
            self.fail(format!("c-{number} is driven while an order holds the machine"));
        }
    }

    /// The rule of the clock, when the relay takes a command.
    pub(super) fn judge_time(&mut self, m: usize, number: usize) {
        let (asked, now) = (&self.commands.sent[number].asked, self.trusted(m));
        let why = match now {
            Some(now) if asked.is_over(now) => "its time is over",
            None if asked.stream.is_none() => "no clock is trusted, and it names no stream",
            None => return self.count(Kind::Clockless, "the relay takes a command while no clock is trusted"),
            Some(_) => return,
        };
        self.fail(format!("the relay carries c-{number} out, and {why}"));
    }

    /// The rules when the relay has taken a block off, or has found none.
    pub(super) fn judge_clear(&mut self, m: usize, number: usize) {
        self.judge_time(m, number);
        let times = self.commands.clears.entry((number, self.relays[m].life())).or_default();
        *times += 1;
        if *times > 1 {
            self.fail(format!("c-{number} has cleared a line twice"));
        }
    }

    pub(super) fn status_reported(&mut self, m: usize, payload: &[u8]) {
        let Ok(status) = serde_json::from_slice::<Status>(payload) else { return self.fail("a status cannot be read".into()) };
        if status.stream.is_some() {
            self.commands.stream.clone_from(&status.stream);
            self.machines[m].stream = status.stream;
        }
    }

    /// At the end: each command has its end, unless its time was over before a machine heard of it.
    pub(super) fn audit_commands(&self) -> Option<String> {
        let now = Wall(super::BEGIN + self.now);
        let sent = self.commands.sent.iter().find(|sent| !sent.is_answered() && !sent.asked.is_over(now))?;
        Some(format!("{} has no end", sent.asked.jti))
    }
}

impl Sent {
    /// What the world knows better than this end says.
    fn is_untrue(&self, end: &Response) -> Option<&'static str> {
        if self.is_forbidden && end.state != Stage::Rejected {
            return Some("is told as taken, and who has signed it may only look");
        }
        if self.asked.stream.as_deref() == Some(ELSEWHERE) && end.state != Stage::Rejected {
            return Some("is told as taken, and it is for another life of the database");
        }
        let is_done = end.state == Stage::Done;
        let Command::Action(action) = &self.asked.command else { return None };
        match action {
            Action::TestPulse { .. } if is_done && !self.is_delivered => Some("is told as done, and the line was not driven to its end"),
            Action::Clear { .. } if is_done && !self.is_cleared => Some("is told as done, and the relay has cleared nothing"),
            Action::Update { .. } => {
                let slot = end.result.as_ref().and_then(|result| result["slot"].as_str());
                let is_marked = slot.is_some_and(|slot| self.marked.contains(slot));
                (is_done && !is_marked).then_some("is told as done, and RAUC has not called its system good")
            }
            Action::TestPulse { .. }
            | Action::Clear { .. }
            | Action::Cancel { .. }
            | Action::Restart {}
            | Action::Reboot {}
            | Action::Stock { .. } => None,
        }
    }
}
