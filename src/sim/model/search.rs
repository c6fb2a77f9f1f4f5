//! The search: breadth first over every world that can follow, with the way back to the beginning.

use super::properties::{self, Broken};
use super::{Budget, CHARGES, Channel, HttpAsk, Lab, Message, Program, World, backend, machine, midtrans, relay};
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash as _, Hasher as _};

/// What is searched.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// For people.
    pub name: String,
    /// Requests: 1 or 2.
    pub orders: usize,
    /// What may go wrong.
    pub budget: Budget,
    /// More worlds than this end the search without a verdict.
    pub worlds_max: usize,
}

/// What was seen at the ends: that each happens shows that the search is not empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Worlds in which nothing moves any more by itself.
    pub ends: usize,
    /// With an item handed out and told.
    pub sales: usize,
    /// With a settlement after the end of its charge that was delivered all the same.
    pub late_sales: usize,
    /// With money that is to go back.
    pub refunds_due: usize,
    /// With an outcome that nobody knows.
    pub uncertain: usize,
    /// With an item that did not come.
    pub failed: usize,
    /// With a settlement that does not match its charge.
    pub mismatches: usize,
    /// With two settlements of one request.
    pub paid_twice: usize,
    /// With a second order_id behind a request.
    pub second_attempts: usize,
    /// With nothing paid.
    pub unpaid: usize,
    /// With two reports that do not agree, left to a person.
    pub conflicts: usize,
}

impl Counts {
    /// Adds what another search saw.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.ends, other.ends),
            (&mut self.sales, other.sales),
            (&mut self.late_sales, other.late_sales),
            (&mut self.refunds_due, other.refunds_due),
            (&mut self.uncertain, other.uncertain),
            (&mut self.failed, other.failed),
            (&mut self.mismatches, other.mismatches),
            (&mut self.paid_twice, other.paid_twice),
            (&mut self.second_attempts, other.second_attempts),
            (&mut self.unpaid, other.unpaid),
            (&mut self.conflicts, other.conflicts),
        ];
        for (count, more) in pairs {
            *count += more;
        }
    }
}

impl Found {
    /// One line for people.
    #[must_use]
    pub fn told(&self, scenario: &Scenario) -> String {
        let verdict = match &self.verdict {
            Verdict::Holds => "holds".to_owned(),
            Verdict::Unfinished => "too many worlds".to_owned(),
            Verdict::Broken { what, .. } => format!("BROKEN: {what:?}"),
        };
        format!("{}: {} worlds, {} steps, depth {}: {verdict}", scenario.name, self.worlds, self.steps, self.depth)
    }
}

/// What a search found.
#[derive(Debug)]
pub struct Found {
    /// Different worlds.
    pub worlds: usize,
    /// Steps between them.
    pub steps: usize,
    /// The longest shortest way to one.
    pub depth: usize,
    /// What was seen at the ends.
    pub counts: Counts,
    /// How it ended.
    pub verdict: Verdict,
}

/// How a search ended.
#[derive(Debug)]
pub enum Verdict {
    /// Every world was looked at, and every property holds in each.
    Holds,
    /// Too many worlds; those that were looked at are well.
    Unfinished,
    /// A property does not hold.
    Broken {
        /// Which.
        what: Broken,
        /// The shortest way there, a line a step.
        trace: Vec<String>,
    },
}

/// One step, for people and for what it counts as.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    name: &'static str,
    message: Option<Message>,
    /// It happens by itself: nobody must choose it, and nothing must go wrong.
    progress: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    Machine,
    Relay { lost: bool },
    Backend,
    Power { long: bool },
}

impl World {
    fn begin(scenario: &Scenario) -> Self {
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
    fn next(&self, lab: &Lab) -> Vec<(Step, World)> {
        let mut all = Vec::new();
        let mut add = |name, message, progress, world: World| all.push((Step { name, message, progress }, world));
        for (at, &message) in self.wire.iter().enumerate() {
            if at > 0 && self.wire[at - 1] == message {
                continue;
            }
            for (name, progress, world) in self.arrives(lab, message) {
                add(name, Some(message), progress, world);
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
                        world.left.faults[channel as usize] -= 1;
                    }
                    by(name, !even_late, program, world, out);
                }
            }
        }
        for (name, world, out) in self.relay_drives() {
            by(name, true, Program::Relay, world, out);
        }
        let quiet = self.is_quiet() || self.only_asks_again(lab);
        if let Some((mut world, out)) = self.machine_waits(lab)
            && (quiet || late(Channel::Http))
        {
            world.left.faults[Channel::Http as usize] -= u8::from(!quiet);
            by("the machine's next deadline passes", quiet, Program::Machine, world, out);
        }
        if let Some((world, out)) = self.machine_notices_relay(lab) {
            by("the machine notices the relay", true, Program::Machine, world, out);
        }
        for order in 0..2 {
            if let Some((world, out)) = self.machine_cancels(lab, order) {
                by("a cancel is asked", false, Program::Machine, world, out);
            }
        }
        for (slow, mut world, out) in self.backend_sweeps(lab) {
            if !slow || late(Channel::Midtrans) {
                world.left.faults[Channel::Midtrans as usize] -= u8::from(slow);
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
        let mut world = self.clone();
        let (program, out) = match message {
            Message::ToMidtrans { .. } => {
                return self.midtrans_takes(message).into_iter().map(|world| ("Midtrans takes", true, world)).collect();
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

    /// What was committed, and then all that was to be sent, or only the first of it and a crash.
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
        for sent in 0..out.len() {
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

    /// Whoever stands there has seen the QR.
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
        let mut all = Vec::new();
        let mut spent = self.clone();
        spent.left.faults[channel as usize] -= 1;
        // Midtrans repeats a notification that nobody answered: a lost one is a late one.
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
        // The answer to a call comes on the call's own connection: there is one, or none.
        let is_answer = matches!(
            message,
            Message::Prepared { .. }
                | Message::FromRelay { .. }
                | Message::Answer { .. }
                | Message::Open { .. }
                | Message::FromMidtrans { .. }
        );
        if !is_answer {
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
        world.left.crashes_in_all -= 1;
        for program in which {
            world.left.crashes[*program as usize] -= 1;
        }
        let mut all = vec![world.clone()];
        // What was on its way to a program that is gone arrives after its start, or never.
        let broken = |m: &Message| which.iter().any(|program| m.is_request_to(*program));
        if world.wire.iter().any(broken) {
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
                            world.left.ledgers -= 1;
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

/// Searches everything that can happen.
#[must_use]
pub fn search(scenario: &Scenario) -> Found {
    let lab = Lab::new(scenario.budget.late_payments);
    let mut walk = Walk::default();
    let first = World::begin(scenario);
    walk.known.insert(fingerprint(&first), 0);
    walk.came_from.push((0, 0));
    let mut frontier = VecDeque::from([(0_u32, 0_usize, first)]);
    let mut depth = 0;
    while let Some((number, far, world)) = frontier.pop_front() {
        depth = far;
        if let Some(what) = properties::broken(&world, &lab) {
            return walk.found(&lab, depth, Verdict::Broken { what, trace: walk.trace(scenario, &lab, number) });
        }
        let all = world.next(&lab);
        let ends = !all.iter().any(|(step, _)| step.progress);
        if ends {
            if let Some(what) = properties::broken_at_end(&world, &lab) {
                return walk.found(&lab, depth, Verdict::Broken { what, trace: walk.trace(scenario, &lab, number) });
            }
            properties::count(&world, &lab);
            walk.ends.push(number);
        }
        for (nth, (step, next)) in all.into_iter().enumerate() {
            walk.steps += 1;
            let print = fingerprint(&next);
            let new = u32::try_from(walk.came_from.len()).expect("fewer worlds than that");
            let known = *walk.known.entry(print).or_insert(new);
            if step.progress {
                walk.progress.push((known, number));
            }
            if known == new {
                if walk.came_from.len() >= scenario.worlds_max {
                    return walk.found(&lab, depth, Verdict::Unfinished);
                }
                walk.came_from.push((number, u16::try_from(nth).expect("few steps a world")));
                frontier.push_back((new, far + 1, next));
            }
        }
    }
    match walk.stuck() {
        Some(number) => {
            let trace = walk.trace(scenario, &lab, number);
            walk.found(&lab, depth, Verdict::Broken { what: Broken::NeverEnds, trace })
        }
        None => walk.found(&lab, depth, Verdict::Holds),
    }
}

#[derive(Default)]
struct Walk {
    known: HashMap<u128, u32>,
    came_from: Vec<(u32, u16)>,
    /// Steps that happen by themselves, backwards.
    progress: Vec<(u32, u32)>,
    ends: Vec<u32>,
    steps: usize,
}

impl Walk {
    fn found(&self, lab: &Lab, depth: usize, verdict: Verdict) -> Found {
        Found { worlds: self.came_from.len(), steps: self.steps, depth, counts: *lab.seen.borrow(), verdict }
    }

    /// A world from which nothing that happens by itself leads to an end.
    fn stuck(&mut self) -> Option<u32> {
        self.progress.sort_unstable();
        let mut good = vec![false; self.came_from.len()];
        let mut open = std::mem::take(&mut self.ends);
        for end in &open {
            good[*end as usize] = true;
        }
        while let Some(number) = open.pop() {
            let from = self.progress.partition_point(|(to, _)| *to < number);
            for (_, before) in self.progress[from..].iter().take_while(|(to, _)| *to == number) {
                if !std::mem::replace(&mut good[*before as usize], true) {
                    open.push(*before);
                }
            }
        }
        good.iter().position(|good| !good).map(|number| u32::try_from(number).expect("fewer worlds than that"))
    }

    /// The shortest way to a world, gone once more.
    fn trace(&self, scenario: &Scenario, lab: &Lab, number: u32) -> Vec<String> {
        let mut way = Vec::new();
        let mut at = number;
        while at != 0 {
            let (before, nth) = self.came_from[at as usize];
            way.push(nth);
            at = before;
        }
        let mut world = World::begin(scenario);
        let mut lines = Vec::new();
        for nth in way.into_iter().rev() {
            let (step, next) = world.next(lab).swap_remove(usize::from(nth));
            lines.push(match step.message {
                Some(message) => format!("{} {message:?}", step.name),
                None => step.name.to_owned(),
            });
            world = next;
            lines.push(format!("      {}", properties::told(&world, lab)));
        }
        lines.push(format!("{world:?}"));
        lines
    }
}

/// Two worlds with the same 128 bits are taken for one: with ten million of them the chance is below 10⁻²⁴.
fn fingerprint(world: &World) -> u128 {
    let half = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        world.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(1) << 64 | half(2)
}
