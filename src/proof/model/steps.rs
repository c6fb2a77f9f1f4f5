//! The steps that can follow from a world: those of programs, customers and time, and each possible fault.

use super::{ANY_IN_ALL, CHARGES, Channel, HttpAsk, Lab, Message, Program, Scenario, World, backend, machine, midtrans, relay, spend};

/// One step, with its words for people and its cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) message: Option<Message>,
    /// It happens by itself: nobody must choose it, and nothing must go wrong.
    pub(super) progress: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    Machine,
    Relay { lost: bool },
    Backend,
    Power { long: bool },
}

impl World {
    pub(super) fn begin(scenario: &Scenario) -> Self {
        let mut world = Self {
            machine: machine::Machine::new(scenario.orders),
            relay: relay::Relay::new(),
            backend: backend::Backend::new(),
            midtrans: midtrans::Midtrans::new(),
            wire: Vec::new(),
            left: scenario.budget.clone(),
            pulses: [0; CHARGES],
            stolen: false,
        };
        for order in 0..u8::try_from(scenario.orders).expect("two at most") {
            world.send(Message::Vend(order));
        }
        world
    }

    /// Every world that can follow, in an order that is always the same.
    pub(super) fn next(&self, lab: &Lab) -> Vec<(Step, World)> {
        let mut all = self.next_alone(lab);
        if lab.others {
            self.beside_others(lab, &mut all);
        }
        all
    }

    /// This holds as long as others leave machine and line alone.
    pub(super) fn next_alone(&self, lab: &Lab) -> Vec<(Step, World)> {
        let mut all = Vec::new();
        if lab.reduces && !lab.wild && self.must_follow() {
            for (name, world, out) in self.relay_drives(lab).into_iter().take(1) {
                debug_assert!(out.is_empty(), "a drive that begins tells nobody");
                all.push((Step { name, message: None, progress: true }, world));
            }
            return all;
        }
        if lab.reduces
            && !lab.wild
            && self.machine.is_alone()
            && let Some(close) = self.must_close()
        {
            for (name, progress, world) in self.arrives(lab, close) {
                all.push((Step { name, message: Some(close), progress }, world));
            }
            return all;
        }
        let mut add = |name, message, progress, world: World| all.push((Step { name, message, progress }, world));
        for (at, &message) in self.wire.iter().enumerate() {
            if at > 0 && self.wire[at - 1] == message {
                continue;
            }
            for (name, progress, world) in self.arrives(lab, message) {
                // A stray may never arrive.
                add(name, Some(message), progress && message.is_live() && !self.is_idle(lab, message), world);
            }
            for (name, world) in self.goes_wrong(lab, message) {
                add(name, Some(message), false, world);
            }
        }
        let mut by = |name, progress, program, world: World, out: Vec<Message>| {
            for (name, progress, world) in self.with_crashes(lab, program, world, out, name, progress) {
                add(name, None, progress, world);
            }
        };
        let late = |channel: Channel| self.left.faults[channel as usize] > 0;
        for even_late in [false, true] {
            let name = if even_late { "the answer is too late" } else { "there is no answer" };
            for (program, mut all) in [
                (Program::Machine, self.machine_hears_nothing(lab, even_late)),
                (Program::Backend, self.backend_hears_nothing(lab, even_late)),
            ] {
                all.retain(|(channel, ..)| !even_late || late(*channel));
                for (channel, mut world, out) in all {
                    if even_late {
                        spend(&mut world.left.faults[channel as usize]);
                    }
                    by(name, !even_late, program, world, out);
                }
            }
        }
        for (name, world, out) in self.relay_drives(lab) {
            // An item may come out: it need not jam.
            by(name, world.left == self.left, Program::Relay, world, out);
        }
        if lab.wild {
            for (world, out) in self.time_passes(lab) {
                by("a deadline of the machine passes", true, Program::Machine, world, out);
            }
        }
        let quiet = !lab.wild && (self.is_quiet() || self.only_asks_again(lab));
        if !lab.wild
            && let Some((mut world, out)) = self.machine_waits(lab)
            && (quiet || late(Channel::Http))
        {
            if !quiet {
                spend(&mut world.left.faults[Channel::Http as usize]);
            }
            by("the machine's next deadline passes", quiet, Program::Machine, world, out);
        }
        if let Some((world, out)) = self.machine_notices_relay(lab) {
            by("the machine notices the relay", true, Program::Machine, world, out);
        }
        if !lab.wild
            && let Some((world, out)) = self.machine_loses_session(lab)
        {
            by("the broker loses its sessions", false, Program::Machine, world, out);
        }
        for order in 0..2 {
            if let Some((world, out)) = self.machine_cancels(lab, order) {
                by("a cancel is asked", false, Program::Machine, world, out);
            }
        }
        for (slow, mut world, out) in self.backend_sweeps(lab) {
            if !slow || late(Channel::Midtrans) {
                if slow {
                    spend(&mut world.left.faults[Channel::Midtrans as usize]);
                }
                by("time passes for the backend", !slow, Program::Backend, world, out);
            }
        }
        for (world, out) in self.backend_puts_off() {
            by("the backend puts a cancel off", true, Program::Backend, world, out);
        }
        for (name, world) in self.midtrans_moves(lab) {
            add(name, None, name == "Midtrans expires", world);
        }
        for crash in CRASHES {
            for (name, world) in self.crash(lab, crash) {
                add(name, None, false, world);
            }
        }
        all.retain(|(_, world)| world != self);
        all
    }

    /// A message arrives.
    fn arrives(&self, lab: &Lab, message: Message) -> Vec<(&'static str, bool, World)> {
        let mut all = self.arrives_once(lab, message);
        // A message that came once may come again.
        if lab.wild && !message.is_live() {
            all.iter_mut().for_each(|(_, _, world)| world.strays(message));
        }
        all
    }

    fn arrives_once(&self, lab: &Lab, message: Message) -> Vec<(&'static str, bool, World)> {
        let mut world = self.clone();
        let (program, out) = match message {
            Message::ToMidtrans { .. } => {
                // A call may do anything to a charge, but it need not deny the charge.
                let by_itself = |world: &World| world.left == self.left;
                return self.midtrans_takes(message).into_iter().map(|world| ("Midtrans takes", by_itself(&world), world)).collect();
            }
            Message::Post { ask: HttpAsk::Watch(charge), .. } if !self.watch_ends(lab, charge) => return Vec::new(),
            Message::Vend(_)
            | Message::Prepared { .. }
            | Message::FromRelay { .. }
            | Message::Finished { .. }
            | Message::Answer { .. }
            | Message::Open { .. }
            | Message::Push { .. } => (Program::Machine, world.machine_takes(lab, message)),
            Message::Prepare { .. } | Message::ToRelay { .. } => (Program::Relay, world.relay_takes(lab, message)),
            Message::Post { .. } | Message::AskOpen { .. } | Message::Notify { .. } | Message::FromMidtrans { .. } => {
                (Program::Backend, world.backend_takes(lab, message))
            }
        };
        self.with_crashes(lab, program, world, out, "arrives:", true)
    }

    /// The program commits and sends all its messages, or it sends only the first of them and crashes.
    fn with_crashes(
        &self,
        lab: &Lab,
        program: Program,
        world: World,
        out: Vec<Message>,
        name: &'static str,
        progress: bool,
    ) -> Vec<(&'static str, bool, World)> {
        let mut all = Vec::new();
        // A message that was not sent is as good as lost.
        let cuts = if lab.wild { 0 } else { out.len() };
        for sent in 0..cuts {
            let mut cut = world.clone();
            for message in &out[..sent] {
                cut.send(*message);
            }
            let crashes: &[Crash] = match program {
                Program::Machine => &[Crash::Machine, Crash::Power { long: false }, Crash::Power { long: true }],
                Program::Relay => &[Crash::Relay { lost: false }, Crash::Power { long: false }],
                Program::Backend => &[Crash::Backend],
            };
            for crash in crashes {
                cut.look_at_screen(lab);
                all.extend(cut.crash(lab, *crash).into_iter().map(|(_, world)| ("committed, then a crash:", false, world)));
            }
        }
        let mut whole = world;
        for message in out {
            whole.send(message);
        }
        whole.look_at_screen(lab);
        all.push((name, progress, whole));
        all
    }

    /// The customer in front of the machine has seen the QR.
    fn look_at_screen(&mut self, lab: &Lab) {
        for order in 0..2 {
            if let Some((charge, ..)) = self.wanted(lab, order).and_then(|wanted| wanted.drawn) {
                self.midtrans.seen[usize::from(charge)] = true;
            }
        }
    }

    fn goes_wrong(&self, lab: &Lab, message: Message) -> Vec<(&'static str, World)> {
        let Some(channel) = message.channel() else { return Vec::new() };
        if self.left.faults[channel as usize] == 0 || !message.is_live() {
            return Vec::new();
        }
        if lab.wild {
            return self.goes_wrong_in_the_wild(message);
        }
        let mut all = Vec::new();
        let mut spent = self.clone();
        spend(&mut spent.left.faults[channel as usize]);
        // Midtrans repeats a notification without an answer: a lost notification is a late one.
        if channel != Channel::Notice {
            let mut lost = spent.clone();
            lost.take(message);
            if channel == Channel::Push {
                // The broker lost its sessions: the connection is made anew.
                let out = lost.machine_connects(lab);
                for message in out {
                    lost.send(message);
                }
            }
            all.push(("lost:", lost));
        }
        // After one of two equal messages has arrived, the other can still be doubled.
        if !message.is_answer() && self.wire.iter().filter(|known| **known == message).count() < 2 {
            let mut twice = spent;
            twice.send(message);
            all.push(("doubled:", twice));
        }
        all
    }

    /// A crash and the new start after it, if there may be one.
    fn crash(&self, lab: &Lab, crash: Crash) -> Vec<(&'static str, World)> {
        let which: &[Program] = match crash {
            Crash::Machine => &[Program::Machine],
            Crash::Relay { .. } => &[Program::Relay],
            Crash::Backend => &[Program::Backend],
            Crash::Power { .. } => &[Program::Machine, Program::Relay],
        };
        let may = self.left.crashes_in_all > 0 && which.iter().all(|program| self.left.crashes[*program as usize] > 0);
        if !may || crash == (Crash::Relay { lost: true }) && self.left.ledgers == 0 {
            return Vec::new();
        }
        let mut world = self.clone();
        if world.left.crashes_in_all != ANY_IN_ALL {
            world.left.crashes_in_all -= 1;
        }
        for program in which {
            spend(&mut world.left.crashes[*program as usize]);
        }
        let mut all = vec![world.clone()];
        // A message on its way to a program that has ended arrives after its start, or never.
        let broken = |m: &Message| m.is_live() && which.iter().any(|program| m.is_request_to(*program));
        if !lab.wild && world.wire.iter().any(broken) {
            world.wire.retain(|m| !broken(m));
            all.push(world);
        }
        all.into_iter()
            .map(|mut world| {
                let (name, out) = match crash {
                    Crash::Machine => ("qrisd crashes", world.machine_restarts(lab, true)),
                    Crash::Relay { lost } => {
                        world.relay_restarts(lost);
                        if lost {
                            spend(&mut world.left.ledgers);
                        }
                        (if lost { "the relay loses its ledger" } else { "the relay crashes" }, Vec::new())
                    }
                    Crash::Backend => ("the backend crashes", world.backend_restarts(lab)),
                    Crash::Power { long } => {
                        world.relay_restarts(false);
                        let mut out = Vec::new();
                        if long {
                            world.settled_long_ago(lab, &mut out);
                        }
                        out.extend(world.machine_restarts(lab, false));
                        (if long { "power is off for long" } else { "power is cut" }, out)
                    }
                };
                for message in out {
                    world.send(message);
                }
                world.look_at_screen(lab);
                (name, world)
            })
            .collect()
    }
}

const CRASHES: [Crash; 6] = [
    Crash::Machine,
    Crash::Relay { lost: false },
    Crash::Relay { lost: true },
    Crash::Backend,
    Crash::Power { long: false },
    Crash::Power { long: true },
];
