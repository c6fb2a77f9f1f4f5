//! `qrisd` in the simulation: a machine with its database, clocks and screen, or two of them, whose cards are copies of one.

use super::computer::Computer;
use super::counts::Kind;
use super::events::machine::{Arrival, Call, Caller, ServiceAnswer};
use super::strike::Who;
use super::time::{RELEASED, Server, Trust};
use super::{Event, IN_VAIN, Outage, Play, STORE, World, device, stock};
use crate::backend::Ask;
use crate::middlebox::Foreign;
use qris_core::order::ids::{CommandId, ItemId, RequestId, Ticket};
use qris_core::order::machine::RelayCall;
use qris_core::order::money::Rupiah;
use qris_core::order::reason::Reason;
use qris_core::order::time::{Boot, BootId, Now, Span, Wall};
use qris_core::wire::relay::{RelayFacts, RelayFault};
use qris_core::wire::status::FaultCode;
use qris_core::wire::topics::{PROBE, Topic};
use qris_device::controller::{dbus, mqtt};
use qris_device::machine::Machine;
use qris_device::relay;
use qris_device::screen::picture::Scene;
use qris_device::screen::{Language, Languages, SurfaceSettings, samples};
use qris_device::store::database::Database;
use qris_device::words::{
    Asker, BackendAnswer, CallId, Effect, HttpCall, Input, Operated, OrderSettings, PrepareError, RelayAnswer, Request, Settings, View,
};
use qris_host::events::Event as Journal;
use qris_host::mqtt::Ack;
use std::collections::{BTreeMap, BTreeSet};

/// The programs' own time limits, in milliseconds.
pub(super) const QUICK: i64 = 2_000;
const SLOW: i64 = 25_000;
const HTTP: i64 = 12_000;
const POLL: i64 = 8_000;
/// How long a QR is shown.
pub(super) const TIMEOUT: Span = Span::secs(120);

/// The caller on the board; nobody looks at the answers.
const CONTROLLERS: Asker = Asker { question: 0, kind: dbus::KIND };
/// Who looks after a machine, by the same bus.
const CARETAKER: Asker = Asker { question: 1, kind: dbus::KIND };
/// RAUC's `pre-install`, by the same bus.
const RAUC: Asker = Asker { question: 2, kind: dbus::KIND };
const INSTALLED_WITHIN: Span = Span::secs(3600);
const HELD_FOR: Span = Span::secs(120);

/// The purpose of a call.
#[derive(Debug)]
enum Asked {
    Prepare(CallId),
    PrepareAgain(CallId),
    /// With the ticket to check, if it is a `Check`.
    Relay(CallId, RequestId, Option<Ticket>),
    Backend(CallId, RequestId),
    Open(CallId),
    Facts,
    /// A ticket that nobody has.
    Close,
    /// For an operator.
    Operate(CommandId),
}

#[derive(Default)]
pub(super) struct SimulatedMachine {
    pub(super) program: Option<Machine>,
    pub(super) run: u64,
    boot: u64,
    booted_at: i64,
    pub(super) off_until: i64,
    /// The life of its database, as this run of the program has told it.
    pub(super) stream: Option<Box<str>>,
    /// The error of its wall clock.
    pub(super) wall_off: i64,
    woken_at: Option<i64>,
    calls: u64,
    asked: BTreeMap<Caller, Asked>,
    /// The last word of its relay to this run of the program about a ticket: can it be delivered?
    pub(super) deliverable: BTreeMap<Ticket, bool>,
    /// The moment when the screen last said that nobody should pay, since the end of the order could not be stored.
    pub(super) could_not_store: Option<i64>,
    /// Somebody on the board looks after it until then, and no customer is there.
    pub(super) held_until: Option<i64>,
    /// What it would show.
    pub(super) scene: Option<Scene>,
    /// The first price that it shows; `None`: that of the machine's own file.
    pub(super) price: Option<Rupiah>,
    /// Other settings were taken just now.
    pub(super) has_taken: bool,
    /// Since when nobody sees it.
    pub(super) screen_gone: Option<i64>,
    /// Its status says that it cannot work with its database.
    pub(super) fails: bool,
    /// It said so when all was well.
    pub(super) failed: bool,
    /// It says that an order or a customer holds it.
    pub(super) is_held_by_order: bool,
    /// This run has heard of a relay that is there.
    pub(super) has_relay: bool,
    /// This run has heard from the backend which orders are open.
    pub(super) knows_open_orders: bool,
    /// The faults and the blocked lines of which its relay has told this run last.
    pub(super) relay_trouble: BTreeSet<Box<str>>,
    /// RAUC has told this run which system runs.
    pub(super) knows_system: bool,
    pub(super) trust: Trust,
    pub(super) computer: Computer,
}

impl SimulatedMachine {
    /// Does a customer see that the sale goes on? For goods that are overdue the machine does not wait.
    pub(super) const fn is_in_mid_sale(&self) -> bool {
        match self.scene {
            Some(Scene::Pay { .. } | Scene::Preparing { .. }) => true,
            Some(Scene::Dispensing { .. }) => self.is_held_by_order,
            _ => false,
        }
    }
}

impl World {
    fn settings(&self, m: usize) -> Settings {
        Settings {
            device: device(),
            broker: self.network.has_broker.then(|| "the broker".into()),
            prices: self.prices(),
            names: self.names(),
            slots: self.all_slots(),
            orders: OrderSettings { timeout: TIMEOUT, per_minute: 0, ..OrderSettings::default() },
            keys: self.keys.clone(),
            screen_required: true,
            labels: Vec::new(),
            // A play lasts for hours after its customers have gone.
            report_every: if matches!(self.fate, super::fate::Fate::Plan(_)) { Span::secs(300) } else { Span::secs(30) },
            appearance: samples::settings(SurfaceSettings::Any, Languages::Only(Language::Id)),
            store: self.places[m].join(STORE),
            boot_id: BootId(format!("boot-{m}-{}", self.machines[m].boot).into()),
            released: RELEASED,
            tells_time: true,
        }
    }

    /// The time of day, if the machine's programs may believe it.
    pub(super) fn trusted(&self, m: usize) -> Option<Wall> {
        Some(self.clocks(m).wall).filter(|wall| *wall >= RELEASED)
    }

    pub(super) fn clocks(&self, m: usize) -> Now {
        let machine = &self.machines[m];
        Now { boot: Boot(self.now - machine.booted_at + 5_000), wall: Wall(super::BEGIN + self.now + machine.wall_off) }
    }

    /// Killed at any point of its work.
    pub(super) fn stop_machine(&mut self, m: usize) {
        self.disks[m].kill(STORE);
        let machine = &mut self.machines[m];
        machine.program = None;
        machine.run += 1;
        machine.asked.clear();
        machine.deliverable.clear();
        machine.woken_at = None;
        machine.scene = None;
        machine.held_until = None;
        machine.price = None;
        machine.screen_gone = None;
        machine.fails = false;
        machine.is_held_by_order = false;
        machine.stream = None;
        machine.has_relay = false;
        machine.knows_open_orders = false;
        machine.relay_trouble.clear();
        machine.knows_system = false;
        machine.trust = Trust::default();
        self.disks[m].revive(STORE);
        self.broker_misses(m);
    }

    /// The program ends at this point and starts again, in the same boot or in another.
    pub(super) fn start_machine(&mut self, m: usize, same_boot: bool) {
        self.stop_machine(m);
        self.slots.machine_begins(m);
        if same_boot {
            self.hang_up(m);
        }
        let machine = &mut self.machines[m];
        let at = machine.off_until.max(self.now + 300);
        if !same_boot {
            machine.boot += 1;
            machine.booted_at = at;
        }
        let run = machine.run;
        self.at(at, Event::Machine(m, Arrival::Starts { run }));
    }

    pub(super) fn machine_hears(&mut self, m: usize, arrival: Arrival, after: i64) {
        self.after(after, Event::Machine(m, arrival));
    }

    pub(super) fn machine_runs(&self, m: usize) -> bool {
        self.machines[m].program.is_some()
    }

    pub(super) fn machine_arrival(&mut self, m: usize, arrival: Arrival) {
        let brings_news = matches!(arrival, Arrival::ServiceAnswer(..) | Arrival::Finished(..) | Arrival::Delivers { .. });
        if brings_news && self.machine_runs(m) && self.is_to(Kind::MachineKilled) {
            return self.start_machine(m, true);
        }
        let current = self.machines[m].run;
        match arrival {
            Arrival::Starts { run } if run == current && self.alive[m] => self.machine_starts(m),
            // One that was planned before it was to be woken earlier wakes nobody: else each would plan another one, for ever.
            Arrival::Woken { run } if run == current && self.machines[m].woken_at.is_some_and(|at| at <= self.now) => {
                self.machines[m].woken_at = None;
                self.input(m, Input::Woken);
            }
            Arrival::ServiceAnswer(caller, answer) => self.answered(caller, answer),
            Arrival::Timeout(caller) => self.not_answered(caller),
            Arrival::RelayUp(facts) => {
                self.machines[m].has_relay = self.machine_runs(m);
                self.relay_reported(m, facts, Input::RelayUp);
            }
            Arrival::RelayReported(facts) => self.relay_reported(m, facts, Input::RelayReported),
            Arrival::RelayGone => {
                self.machines[m].has_relay = false;
                self.input(m, Input::RelayDown("it is gone".into()));
            }
            Arrival::Unseen(order, number) => self.input(m, Input::Unseen(order, number)),
            Arrival::Finished(order, number, answer) => self.input(m, Input::Finished(order, number, answer)),
            Arrival::BrokerUp { run } if run == current => self.broker_welcomes(m),
            Arrival::Time { run } if run == current => self.time_is_requested(m),
            Arrival::Delivers { connection, message } => {
                let Some((topic, payload)) = self.broker.message(m, connection, message) else { return };
                let question = connection << 32 | message;
                let ack = Ack::numbered(question);
                match (mqtt::read(topic, &payload, false), topic) {
                    (Some(request), _) => self.input(m, Input::Requested(request, Asker { question, kind: mqtt::KIND })),
                    (None, Topic::PaymentUpdate) => self.input(m, Input::PaymentUpdate { payload, ack }),
                    (None, Topic::ConfigDesired) => self.input(m, Input::Desired { payload, ack }),
                    (None, _) => self.broker.acknowledged(m, ack),
                }
            }
            Arrival::Published { connection, id, event } if self.broker.connection_of(m) == Some(connection) => {
                self.published(m, id, event);
            }
            Arrival::Unpublished { run, id } if run == current => self.input(m, Input::Undelivered(id, None)),
            Arrival::Commanded { run, number, desk } if run == current => self.command_arrives(m, number, desk),
            Arrival::Operated { run, id, answer } if run == current => self.input(m, Input::Operated(id, answer)),
            Arrival::System { run, answer } if run == current => {
                self.input(m, Input::System(answer.clone()));
                if self.machines[m].run == current {
                    self.system_answered(m, &answer);
                }
            }
            Arrival::ScreenBack => self.screen_back(m),
            Arrival::Starts { .. }
            | Arrival::Woken { .. }
            | Arrival::BrokerUp { .. }
            | Arrival::Time { .. }
            | Arrival::Commanded { .. }
            | Arrival::Operated { .. }
            | Arrival::System { .. }
            | Arrival::Published { .. }
            | Arrival::Unpublished { .. } => {}
        }
    }

    fn machine_starts(&mut self, m: usize) {
        let (program, effects) = Machine::load(self.settings(m), self.clocks(m));
        self.machines[m].trust.floor = program.last_trusted();
        self.machines[m].program = Some(program);
        self.note(|| "the machine runs".into());
        self.perform(m, effects);
        self.screen_starts(m);
        let after = 20 + self.below(1_000);
        self.relay_appears(m, after);
        let after = 50 + self.below(2_000);
        self.connect_broker(m, after);
    }

    fn not_answered(&mut self, caller: Caller) {
        let why = || "no answer".into();
        let none = match self.machines[caller.m].asked.get(&caller) {
            Some(Asked::Prepare(_)) => ServiceAnswer::Prepared(Err(PrepareError::NoAnswer(why()))),
            Some(Asked::PrepareAgain(_)) => ServiceAnswer::PreparedAgain(Err(PrepareError::NoAnswer(why()))),
            Some(Asked::Relay(..) | Asked::Close | Asked::Operate(_)) => ServiceAnswer::Relay(RelayAnswer::NoAnswer(why())),
            Some(Asked::Backend(..) | Asked::Open(_)) => {
                ServiceAnswer::Backend(BackendAnswer::NoAnswer { why: why(), code: None, date_refusal: false })
            }
            Some(Asked::Facts) | None => return,
        };
        self.answered(caller, none);
    }

    fn answered(&mut self, caller: Caller, answer: ServiceAnswer) {
        let m = caller.m;
        // It was given up, or belongs to an earlier run.
        let Some(asked) = self.machines[m].asked.remove(&caller) else { return };
        if matches!(&answer, ServiceAnswer::Backend(answer) if !matches!(answer, BackendAnswer::NoAnswer { .. })) {
            self.time_is_reported(m);
        }
        match (asked, answer) {
            (Asked::Prepare(id), ServiceAnswer::Prepared(answer)) => {
                if let Ok(ticket) = &answer {
                    self.machines[m].deliverable.insert(ticket.clone(), true);
                }
                self.input(m, Input::Prepared(id, answer));
            }
            (Asked::PrepareAgain(id), ServiceAnswer::PreparedAgain(answer)) => self.input(m, Input::PreparedAgain(id, answer)),
            (Asked::Relay(id, request, ticket), ServiceAnswer::Relay(answer)) => {
                // A line that is driven for a test is free in a moment. It is asked again then. So is the relay that comes after one that has gone.
                if let (Some(ticket), RelayAnswer::Checked(checked)) = (ticket, &answer)
                    && *checked != Err(Reason::Busy)
                    && self.machines[m].has_relay
                {
                    self.machines[m].deliverable.insert(ticket, checked.is_ok());
                }
                self.input(m, Input::Relay(id, request, answer));
            }
            (Asked::Backend(id, request), ServiceAnswer::Backend(answer)) => self.input(m, Input::Backend(id, request, answer)),
            (Asked::Open(id), ServiceAnswer::Backend(answer)) => {
                self.machines[m].knows_open_orders |= matches!(answer, BackendAnswer::Open(_));
                self.input(m, Input::Open(id, answer));
            }
            (Asked::Operate(id), answer) => self.input(m, Input::Operated(id, for_operator(answer))),
            (Asked::Close, ServiceAnswer::Relay(RelayAnswer::NoAnswer(_))) => self.input(m, Input::TicketLeft),
            (Asked::Facts, ServiceAnswer::Facts(facts)) => self.relay_reported(m, facts, Input::RelayReported),
            (_, _) => {}
        }
    }

    fn relay_reported(&mut self, m: usize, facts: RelayFacts, input: fn(RelayFacts) -> Input) {
        let run = self.machines[m].run;
        if self.machine_runs(m) {
            self.machines[m].relay_trouble = facts.faults.iter().map(RelayFault::as_str).chain(facts.blocked()).map(Into::into).collect();
        }
        // Before it has seen that the relay is there, it takes no word of it.
        if self.machines[m].has_relay && facts.proof_key.is_some() {
            self.slots.told(m, &facts.driven, !self.machines[m].is_held_by_order);
        }
        self.input(m, input(facts));
        if self.machines[m].run == run {
            self.note_what_stands(m);
        }
    }

    pub(super) fn input(&mut self, m: usize, input: Input) {
        let now = self.clocks(m);
        let Some(program) = &mut self.machines[m].program else { return };
        let effects = program.handle(input, now);
        self.perform(m, effects);
    }

    /// Carries effects out, in order. A crash may come between any two, and may have come in the commit before them.
    fn perform(&mut self, m: usize, effects: Vec<Effect>) {
        if self.disks[m].is_dead(STORE) {
            return self.falls(Who::Machine, m);
        }
        let was_in_mid_sale = self.machines[m].is_in_mid_sale();
        let (mut ordered, mut systems) = (Vec::new(), Vec::new());
        for effect in effects {
            let matters = !matches!(effect, Effect::Journal(_) | Effect::View(_) | Effect::OrderChanged(_) | Effect::System(_));
            if matters && self.may(400, Kind::KilledBetween) {
                self.count(Kind::KilledBetween, "the machine is killed between two effects");
                return self.start_machine(m, true);
            }
            if matches!(effect, Effect::Relay(_, _, RelayCall::Dispense(_))) && self.is_twist(Play::Reboot)
                || matches!(effect, Effect::Relay(..)) && self.is_to(Kind::Power)
            {
                return self.cut_power(m);
            }
            match effect {
                Effect::Operate(id, operation) => ordered.push((id, operation)),
                Effect::System(call) => systems.push(call),
                effect => self.perform_one(m, effect),
            }
        }
        self.judge_screen(m);
        self.judge_taking(m, was_in_mid_sale);
        let run = self.machines[m].run;
        for (id, operation) in ordered {
            self.carries_out(m, &id, operation);
            if self.machines[m].run != run {
                return;
            }
        }
        for call in systems {
            self.checks_system(m, call);
            if self.machines[m].run != run {
                return;
            }
        }
        let now = self.clocks(m);
        let machine = &mut self.machines[m];
        let next = machine.program.as_ref().and_then(|program| program.next_deadline(now.boot));
        let soonest = self.now + if machine.fails && !self.storm { IN_VAIN } else { 1 };
        if let Some(at) = next.map(|at| (self.now + (at - now.boot).0).max(soonest))
            && machine.woken_at.is_none_or(|known| at < known)
        {
            machine.woken_at = Some(at);
            let run = machine.run;
            self.at(at, Event::Machine(m, Arrival::Woken { run }));
        }
    }

    fn perform_one(&mut self, m: usize, effect: Effect) {
        match effect {
            Effect::Ack(ack) => self.broker.acknowledged(m, ack),
            Effect::DropBroker => {
                self.drop_broker(false);
                let after = 250 + self.below(2_000);
                self.connect_broker(m, after);
            }
            // The broker of this world lets every machine write what it may.
            Effect::Publish { payload, .. } if payload == PROBE => {}
            Effect::Publish { id, notice, payload } => self.publishes(m, id, notice.topic(), &payload),
            Effect::Prepare(..) | Effect::PrepareAgain(..) if self.machines[m].held_until.is_some_and(|until| self.now < until) => {
                self.fail("it sells while somebody looks after it".into());
            }
            Effect::Prepare(id, item, amount) => {
                self.judge_item(m, &item);
                self.judge_choice(m, &item);
                self.ask_relay(m, Asked::Prepare(id), Call::Prepare(item, amount), QUICK);
            }
            Effect::PrepareAgain(id, item, amount, again) => {
                self.judge_item(m, &item);
                self.judge_try(&again);
                self.ask_relay(m, Asked::PrepareAgain(id), Call::PrepareAgain(item, amount, again), QUICK);
            }
            Effect::Relay(id, request, call) => {
                let limit = if matches!(call, RelayCall::Dispense(_)) { SLOW } else { QUICK };
                self.note(|| format!("the machine asks the relay: {}", word(&call)));
                let ticket = if let RelayCall::Check(ticket) = &call { Some(ticket.clone()) } else { None };
                self.ask_relay(m, Asked::Relay(id, request, ticket), Call::Order(call), limit);
            }
            Effect::CloseTicket(ticket) => self.ask_relay(m, Asked::Close, Call::Order(RelayCall::Close(ticket)), QUICK),
            Effect::ReadRelay => self.ask_relay(m, Asked::Facts, Call::Facts, QUICK),
            Effect::Backend(id, request, call) => {
                let limit = if matches!(call, HttpCall::Watch(..)) { POLL } else { HTTP };
                self.ask_backend(m, Asked::Backend(id, request), Ask::Order(call), limit);
            }
            Effect::AskOpen(id, identity) => self.ask_backend(m, Asked::Open(id), Ask::Open(identity), HTTP),
            Effect::Abandon(id) => {
                let asked = &mut self.machines[m].asked;
                asked.retain(|_, asked| !matches!(asked, Asked::Backend(known, _) | Asked::Open(known) if *known == id));
            }
            Effect::Trust(time) => self.trusts(m, time),
            Effect::AskTime => self.asks_time(m),
            Effect::Show(picture) => self.show(m, picture.scene),
            Effect::Journal(event) => {
                self.machines[m].has_taken |= matches!(event, Journal::SettingsTaken { .. });
                self.note_journal(&format!("machine {m}"), STORE, &event);
            }
            Effect::Reply(asker, _) if asker.kind == mqtt::KIND => self.broker.acknowledged(m, Ack::numbered(asker.question)),
            Effect::Reply(asker, reply) if asker == CARETAKER && reply.reason.is_none() => {
                self.counts.note(Kind::Held);
                self.machines[m].held_until = Some(self.now + HELD_FOR.0);
            }
            Effect::Reply(asker, reply) if asker == RAUC && reply.reason.is_none() => {
                self.machines[m].held_until = Some(self.now + INSTALLED_WITHIN.0);
            }
            Effect::View(view) => self.viewed(m, &view),
            Effect::Dress(looks) => self.dressed(m, looks.items.first().and_then(|item| item.price)),
            Effect::AnswerCommand(to, answer) => self.command_answered(m, &to.topic, *answer),
            Effect::Reply(asker, reply) if asker == stock::FILLER => self.filler_hears(reply.stock),
            Effect::OrderChanged(event) => {
                self.judge_promise(m, &event);
                self.judge_slot(m, &event);
            }
            Effect::Reply(..) | Effect::Read(..) | Effect::Operate(..) | Effect::System(_) => {}
        }
    }

    fn judge_item(&mut self, m: usize, item: &ItemId) {
        self.judge_offer(m, item);
        self.judge_door(m, item);
    }

    fn viewed(&mut self, m: usize, view: &View) {
        let machine = &mut self.machines[m];
        machine.fails = view.faults.iter().any(|fault| matches!(fault.code, FaultCode::Store | FaultCode::NewerDatabase));
        machine.failed |= machine.fails && !self.storm;
        machine.is_held_by_order = view.order.is_some() || view.customer.is_some();
        self.slots_told(m, &view.stock, view.faults.iter().any(|fault| fault.code == FaultCode::Stock));
    }

    /// Is the relay being asked whether it can deliver this?
    pub(super) fn is_being_checked(&self, m: usize, ticket: &Ticket) -> bool {
        self.machines[m].asked.values().any(|asked| matches!(asked, Asked::Relay(_, _, Some(about)) if about == ticket))
    }

    pub(super) fn caller(&mut self, m: usize) -> Caller {
        let machine = &mut self.machines[m];
        machine.calls += 1;
        Caller { m, run: machine.run, call: machine.calls }
    }

    pub(super) fn asks_for_operator(&mut self, m: usize, id: &CommandId, call: Call) {
        self.ask_relay(m, Asked::Operate(id.clone()), call, SLOW);
    }

    fn ask_relay(&mut self, m: usize, asked: Asked, call: Call, limit: i64) {
        let caller = self.caller(m);
        self.machines[m].asked.insert(caller, asked);
        self.after(limit, Event::Machine(m, Arrival::Timeout(caller)));
        if self.network.cut[Outage::Bus as usize] || self.goes_wrong(80, Kind::BusLost) {
            return;
        }
        let delay = if self.goes_wrong(80, Kind::BusSlow) { self.delay(4_000, 60_000) } else { 1 };
        self.relay_hears(m, call, caller, delay);
    }

    fn ask_backend(&mut self, m: usize, asked: Asked, ask: Ask, limit: i64) {
        let caller = self.caller(m);
        self.note(|| format!("the machine asks the backend: {}", ask.word()));
        self.machines[m].asked.insert(caller, asked);
        self.after(limit, Event::Machine(m, Arrival::Timeout(caller)));
        if self.network.cut[Outage::Http as usize] || self.goes_wrong(25, Kind::HttpLost) {
            return;
        }
        if !self.shakes_hands(m, Server::Backend, false) {
            let refused = BackendAnswer::NoAnswer { why: "certificate expired".into(), code: None, date_refusal: true };
            return self.machine_hears(m, Arrival::ServiceAnswer(caller, ServiceAnswer::Backend(refused)), 30);
        }
        if self.goes_wrong(25, Kind::HttpForeign) {
            self.answer_in_its_place(&ask, caller);
            if self.one_in(2) {
                return;
            }
        }
        let slow = self.goes_wrong(25, Kind::HttpSlow);
        let delay = if slow { self.delay(30_000, 60_000) } else { 5 + self.below(60) };
        self.merchant_hears(ask, caller, delay);
    }

    /// Somebody between the machine and the backend answers. That is not the backend's word.
    fn answer_in_its_place(&mut self, ask: &Ask, to: Caller) {
        let foreign = Foreign::ALL[self.below_usize(Foreign::ALL.len())];
        self.note(|| format!("somebody else answers: {}", foreign.name()));
        let is_believed = |foreign: &Foreign| !matches!(ask.answered_by(*foreign), BackendAnswer::NoAnswer { .. });
        if let Some(believed) = Foreign::ALL.iter().find(|foreign| is_believed(foreign)) {
            self.fail(format!("the machine takes {} for the backend's word", believed.name()));
        }
        let answer = ask.answered_by(foreign);
        self.machine_hears(to.m, Arrival::ServiceAnswer(to, ServiceAnswer::Backend(answer)), 4);
    }

    // The calls of controllers on the board.

    /// An upgrade holds the machine, and forgets to give it back.
    pub(super) fn hold(&mut self, m: usize) {
        self.input(m, Input::Requested(Request::Hold("apt".into(), HELD_FOR), CARETAKER));
    }

    /// RAUC's `pre-install` asks for the machine. Nobody may disturb the installation then.
    pub(super) fn rauc_holds(&mut self, m: usize) -> bool {
        let held = std::mem::take(&mut self.machines[m].held_until);
        self.input(m, Input::Requested(Request::Hold("rauc".into(), INSTALLED_WITHIN), RAUC));
        let is_held = self.machines[m].held_until.is_some();
        self.machines[m].held_until = self.machines[m].held_until.or(held);
        is_held
    }

    pub(super) fn ask_on_board(&mut self, m: usize, request: Request) {
        self.input(m, Input::Requested(request, CONTROLLERS));
    }

    /// The database, when all is over.
    pub(super) fn machine_store(&mut self, m: usize) -> Option<Database> {
        // One owner at a time: the program ends first.
        self.machines[m].program = None;
        let boot = self.settings(m).boot_id;
        Database::open(&self.places[m].join(STORE), &boot, false).ok().map(|opened| opened.store)
    }
}

/// The relay's answer, as the program's own client of the relay reads it.
fn for_operator(answer: ServiceAnswer) -> Operated {
    match answer {
        ServiceAnswer::Relay(RelayAnswer::Dispense(answer)) => relay::tested(answer.as_str(), answer.driven(), ""),
        ServiceAnswer::Relay(RelayAnswer::Refused(error, detail)) => relay::refused(error, &detail),
        ServiceAnswer::Cleared => relay::cleared(),
        ServiceAnswer::Relay(RelayAnswer::Checked(_) | RelayAnswer::Close(_) | RelayAnswer::Proof(_) | RelayAnswer::NoAnswer(_))
        | ServiceAnswer::Prepared(_)
        | ServiceAnswer::PreparedAgain(_)
        | ServiceAnswer::Facts(_)
        | ServiceAnswer::Backend(_) => Operated::NoAnswer,
    }
}

fn word(call: &RelayCall) -> &'static str {
    match call {
        RelayCall::Check(_) => "check",
        RelayCall::Dispense(_) => "dispense",
        RelayCall::Query(..) => "query",
        RelayCall::Close(_) => "close",
        RelayCall::Prove(_) => "prove",
    }
}
