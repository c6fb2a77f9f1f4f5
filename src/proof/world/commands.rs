//! An operator far away restarts, reboots and cancels, while machines sell. Each command goes out again until it has its end, and a
//! stranger sends it once more after that.

use super::counts::Kind;
use super::{Event, STORE, World, device, machine};
use qris_core::order::ids::{CommandId, RequestId};
use qris_core::order::time::Wall;
use qris_core::wire::command::{Asked, Code, Command, Response, Stage};
use qris_device::machine::{Address, Input, Operation};
use qris_device::screen::picture::Scene;
use qris_host::mqtt::Ack;
use std::collections::BTreeMap;

/// One that has no answer goes out again after this time.
const AGAIN: i64 = 40_000;
/// Each is good for this time.
const VALID_S: i64 = 20 * 3600;

/// Everything that was sent, by the number of each.
#[derive(Default)]
pub(super) struct Commands(Vec<Sent>);

struct Sent {
    asked: Asked,
    jws: String,
    /// The end, as it was heard first.
    end: Option<Response>,
    /// How often each machine was restarted or rebooted for it.
    carried_out: BTreeMap<usize, u32>,
}

impl World {
    /// The operator wants something done.
    pub(super) fn wants_something_done(&mut self) {
        self.counts.note(Kind::Commands);
        let number = self.commands.0.len();
        let command = match self.below(3) {
            0 => Command::Restart {},
            1 => Command::Reboot {},
            _ => Command::Cancel { request_id: RequestId::new(&format!("r-{}", self.vended)).expect("an id") },
        };
        let jti = CommandId::new(&format!("c-{number}")).expect("an id");
        let exp = (super::BEGIN + self.now) / 1000 + VALID_S;
        let asked = Asked { aud: device(), jti, exp, stream: None, command };
        self.note(|| format!("the operator wants {} (c-{number})", asked.command.name()));
        let jws = asked.jws(&super::desk::key());
        self.commands.0.push(Sent { asked, jws, end: None, carried_out: BTreeMap::new() });
        self.sends_command(number);
    }

    /// It goes out, if it has no end yet; a stranger sends it now and then after that.
    pub(super) fn sends_command(&mut self, number: usize) {
        if let Some(m) = (0..self.machines.len()).find(|m| self.broker.connection_of(*m).is_some()) {
            let copies = if self.goes_wrong(15, Kind::Doubled) { 2 } else { 1 };
            for _ in 0..copies {
                let delay = 1 + self.below(40);
                let run = self.machines[m].run;
                self.machine_hears(m, machine::Arrival::Commanded { run, number }, delay);
            }
        }
        let is_over = self.commands.0[number].end.is_some();
        if !is_over || self.storm && self.one_in(3) {
            let after = AGAIN + self.below(AGAIN);
            self.after(after, Event::Commands(Some(number)));
        }
    }

    pub(super) fn command_arrives(&mut self, m: usize, number: usize) {
        let Sent { asked, jws, .. } = &self.commands.0[number];
        let (name, payload) = (asked.command.name().into(), Asked::payload(jws));
        let to = Address { topic: "here".into(), correlation: None };
        let ack = Ack::numbered(1 << 62 | number as u64);
        self.input(m, Input::Command { name, payload, retained: false, to, ack });
    }

    /// A machine answers. The end of a command is the same for ever, as long as its database is.
    pub(super) fn command_answered(&mut self, m: usize, answer: Response) {
        let Some(number) = answer.id.as_ref().and_then(|id| id.as_str().strip_prefix("c-")?.parse::<usize>().ok()) else { return };
        self.note(|| format!("the machine answers c-{number}: {}", answer.state));
        let is_later = answer.error.as_ref().is_some_and(|problem| matches!(problem.code, Code::Store | Code::RateLimited));
        if answer.ok.is_none() || is_later || self.broker.connection_of(m).is_none() {
            return;
        }
        let is_lost = self.losses.card() || self.losses.store() || self.losses.is_harmed(STORE);
        let sent = &mut self.commands.0[number];
        match &sent.end {
            // Another machine under this name, or another database, or a clock that was wrong once.
            Some(end) if *end != answer && !is_lost && end.state != Stage::Rejected && answer.state != Stage::Rejected => {
                let what = format!("c-{number} has two ends: {end:?} and {answer:?}");
                self.fail(what);
            }
            Some(_) => {}
            None => sent.end = Some(answer),
        }
    }

    /// All effects before it are carried out. Nobody is in the middle of a sale.
    pub(super) fn carries_out(&mut self, m: usize, id: &CommandId, operation: &Operation) {
        let scene = self.machines[m].scene.as_ref();
        if matches!(scene, Some(Scene::Pay { .. } | Scene::Preparing { .. } | Scene::Dispensing { .. })) {
            return self.fail(format!("{id} is carried out in mid-sale"));
        }
        let number: usize = id.as_str().trim_start_matches("c-").parse().expect("one of ours");
        let times = self.commands.0[number].carried_out.entry(m).or_default();
        *times += 1;
        // After a power cut a card whose sync failed has forgotten what was begun.
        if *times > 1 && !self.losses.card() && !self.losses.store() && !self.losses.is_harmed(STORE) {
            return self.fail(format!("{id} is carried out twice"));
        }
        self.counts.note(Kind::CarriedOut);
        match operation {
            Operation::Restart => self.start_machine(m, true),
            Operation::Reboot => self.cut_power(m),
            Operation::Test(_) | Operation::Clear(_) | Operation::Install { .. } | Operation::TellSlot { .. } | Operation::MarkGood => {}
        }
    }

    /// At the end: each command has its end, unless its time was over before a machine heard of it.
    pub(super) fn audit_commands(&self) -> Option<String> {
        let now = Wall(super::BEGIN + self.now);
        let open = self.commands.0.iter().find(|sent| sent.end.is_none() && !sent.asked.is_over(now));
        open.map(|sent| format!("{} has no end", sent.asked.jti))
    }
}
