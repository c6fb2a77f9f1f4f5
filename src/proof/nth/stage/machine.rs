//! `qrisd` on the stage: the machine with its database, its clocks, its screen, and the broker's session for it.

use super::{BEGIN, Event, Stage, item, price};
use crate::backend::{Ask, device};
use crate::nth::plot::{How, Kind, Who};
use qris_core::order::ids::{ItemId, OrderId, RequestId, Ticket};
use qris_core::order::machine::{RelayCall, Rules};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::DispenseAnswer;
use qris_core::order::request::{Price, PriceList};
use qris_core::order::time::{Boot, BootId, Now, Span, Wall};
use qris_core::wire::status::FaultCode;
use qris_core::wire::topics::Topic;
use qris_device::broker;
use qris_device::controller::mqtt;
use qris_device::machine::{
    Asker, BackendAnswer, CallId, Effect, HttpCall, Input, Machine, PrepareError, RelayAnswer, RelayFacts, Settings,
};
use qris_device::screen::ScreenState;
use qris_device::screen::picture::Scene;
use qris_device::store::Store as _;
use qris_host::mqtt::{Ack, PublishId};
use std::collections::{BTreeMap, VecDeque};

/// The programs' own time limits, in milliseconds.
const QUICK: i64 = 2_000;
const SLOW: i64 = 25_000;
const HTTP: i64 = 12_000;
const POLL: i64 = 35_000;
/// A broker keeps this many messages for a machine that is away.
const QUEUE_MAX: usize = 100;

/// An event at the machine.
#[derive(Debug)]
pub(in crate::nth) enum Arrival {
    Starts {
        run: u64,
    },
    Woken {
        run: u64,
    },
    Answer(Caller, Answer),
    /// Nobody answered in time.
    Timeout(Caller),
    RelayUp(RelayFacts),
    RelayTold(RelayFacts),
    RelayGone,
    Finished(OrderId, DispenseAnswer),
    BrokerUp {
        run: u64,
    },
    /// A message of the broker, by its number, on one connection.
    Delivers {
        connection: u64,
        message: u64,
    },
    /// The broker has the published message.
    Published {
        connection: u64,
        id: PublishId,
    },
}

/// The caller: one call of one run of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::nth) struct Caller {
    run: u64,
    call: u64,
}

#[derive(Debug)]
pub(in crate::nth) enum Answer {
    Prepared(Result<Ticket, PrepareError>),
    Relay(RelayAnswer),
    Facts(RelayFacts),
    Backend(BackendAnswer),
}

/// A call to the relay.
#[derive(Debug)]
pub(in crate::nth) enum Call {
    Prepare(ItemId, Rupiah),
    Order(RelayCall),
    Facts,
}

/// The purpose of a call.
#[derive(Debug)]
enum Asked {
    Prepare(CallId),
    Relay(CallId, RequestId),
    Backend(CallId, RequestId),
    Open(CallId),
    Facts,
    /// A ticket that nobody has.
    Close,
}

/// The machine's side.
pub(in crate::nth) struct Side {
    machine: Option<Machine>,
    run: u64,
    boot: u64,
    /// When it booted.
    booted_at: i64,
    pub(in crate::nth) off_until: i64,
    woken_at: Option<i64>,
    calls: u64,
    asked: BTreeMap<Caller, Asked>,
    /// The connection to the broker; 0: none.
    connection: u64,
    connections: u64,
    /// The messages that the broker keeps for the machine until they are acknowledged.
    session: VecDeque<(u64, Topic, Vec<u8>)>,
    messages: u64,
    scene: String,
    /// Its status has the fault `store` or `newer_database`.
    says_failing: bool,
    /// It had this fault after the disturbances had ended.
    said_failing: bool,
}

impl Side {
    pub(super) fn new() -> Self {
        Self {
            machine: None,
            run: 0,
            boot: 0,
            booted_at: 0,
            off_until: 0,
            woken_at: None,
            calls: 0,
            asked: BTreeMap::new(),
            connection: 0,
            connections: 0,
            session: VecDeque::new(),
            messages: 0,
            scene: String::new(),
            says_failing: false,
            said_failing: false,
        }
    }
}

impl Stage {
    fn settings(&self) -> Settings {
        Settings {
            device: device(),
            broker: "the broker".into(),
            prices: PriceList::new([(item(), Price::Fixed(price()))]),
            names: BTreeMap::from([(item(), "Tea".into())]),
            timeout: Span::secs(120),
            orders_per_minute: 0,
            rules: Rules { cancel_wait: Span::secs(15), late_grace: Span::secs(120), deliver_within: Span::secs(600) },
            keys: self.keys.clone(),
            screen_required: true,
            store: self.directory.join("qrisd.db"),
            boot_id: BootId(format!("boot-{}", self.machine.boot).into()),
            released: Wall(BEGIN - 86_400_000),
        }
    }

    fn clocks(&self) -> Now {
        Now { boot: Boot(self.now - self.machine.booted_at + 5_000), wall: Wall(BEGIN + self.now) }
    }

    /// The program ends at this point and starts again, in the same boot or in another.
    pub(in crate::nth) fn start_machine(&mut self, same_boot: bool) {
        self.kill(Who::Machine);
        self.machine.run += 1;
        self.machine.connection = 0;
        self.machine.asked.clear();
        self.machine.woken_at = None;
        self.machine.scene.clear();
        self.machine.says_failing = false;
        if !same_boot {
            self.machine.boot += 1;
        }
        let run = self.machine.run;
        let at = self.machine.off_until.max(self.now + 300);
        if !same_boot {
            self.machine.booted_at = at;
        }
        self.at(at, Event::Machine(Arrival::Starts { run }));
    }

    /// An event for the machine, after this time.
    pub(super) fn machine_hears(&mut self, arrival: Arrival, after: i64) {
        self.after(after, Event::Machine(arrival));
    }

    pub(super) fn machine_arrival(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Starts { run } if run == self.machine.run => {
                let (machine, effects) = Machine::load(self.settings(), self.clocks());
                self.machine.machine = Some(machine);
                self.note(|| "the machine runs".into());
                if self.died(Who::Machine) {
                    return;
                }
                self.perform(effects);
                self.input(Input::Screen(ScreenState::Working));
                let after = 20 + self.below(1_000);
                self.relay_appears(after);
                let after = 50 + self.below(2_000);
                self.connect_broker(after);
            }
            Arrival::Woken { run } if run == self.machine.run => {
                self.machine.woken_at = None;
                self.input(Input::Woken);
            }
            Arrival::Answer(caller, answer) => self.answered(caller, answer),
            Arrival::Timeout(caller) => {
                let none = match self.machine.asked.get(&caller) {
                    Some(Asked::Prepare(_)) => Answer::Prepared(Err(PrepareError::NoAnswer("no answer".into()))),
                    Some(Asked::Relay(..) | Asked::Close) => Answer::Relay(RelayAnswer::NoAnswer("no answer".into())),
                    Some(Asked::Backend(..) | Asked::Open(_)) => {
                        Answer::Backend(BackendAnswer::NoAnswer { why: "no answer".into(), code: None, date_refusal: false })
                    }
                    Some(Asked::Facts) | None => return,
                };
                self.answered(caller, none);
            }
            Arrival::RelayUp(facts) => self.input(Input::RelayUp(facts)),
            Arrival::RelayTold(facts) => self.input(Input::RelayTold(facts)),
            Arrival::RelayGone => self.input(Input::RelayDown("it is gone".into())),
            Arrival::Finished(order, answer) => self.input(Input::Finished(order, answer)),
            Arrival::BrokerUp { run } if run == self.machine.run => {
                if self.machine.machine.is_none() || self.machine.connection != 0 {
                    return;
                }
                self.machine.connections += 1;
                self.machine.connection = self.machine.connections;
                self.input(Input::BrokerUp { refused: Vec::new() });
                let all: Vec<u64> = self.machine.session.iter().map(|(message, ..)| *message).collect();
                for message in all {
                    self.deliver(message);
                }
            }
            Arrival::Delivers { connection, message } if connection == self.machine.connection => {
                let Some((_, topic, payload)) = self.machine.session.iter().find(|(known, ..)| *known == message) else { return };
                let (topic, payload) = (*topic, payload.clone());
                let question = connection << 32 | message;
                let ack = Ack::numbered(question);
                match (mqtt::read(topic, &payload, false), topic) {
                    (Some(request), _) => self.input(Input::Asked(request, Asker { question, kind: mqtt::KIND })),
                    (None, Topic::PaymentUpdate) => self.input(Input::PaymentUpdate { payload, ack }),
                    (None, _) => self.acknowledged(ack),
                }
            }
            Arrival::Published { connection, id } if connection == self.machine.connection => self.input(Input::Delivered(id)),
            Arrival::Starts { .. }
            | Arrival::Woken { .. }
            | Arrival::BrokerUp { .. }
            | Arrival::Delivers { .. }
            | Arrival::Published { .. } => {}
        }
    }

    fn answered(&mut self, caller: Caller, answer: Answer) {
        let Some(asked) = self.machine.asked.remove(&caller) else {
            // It was given up, or belongs to an earlier run.
            return;
        };
        match (asked, answer) {
            (Asked::Prepare(id), Answer::Prepared(answer)) => self.input(Input::Prepared(id, answer)),
            (Asked::Relay(id, request), Answer::Relay(answer)) => self.input(Input::Relay(id, request, answer)),
            (Asked::Backend(id, request), Answer::Backend(answer)) => self.input(Input::Backend(id, request, answer)),
            (Asked::Open(id), Answer::Backend(answer)) => self.input(Input::Open(id, answer)),
            (Asked::Close, Answer::Relay(RelayAnswer::NoAnswer(_))) => self.input(Input::TicketLeft),
            (Asked::Facts, Answer::Facts(facts)) => self.input(Input::RelayTold(facts)),
            (_, _) => {}
        }
    }

    fn input(&mut self, input: Input) {
        let now = self.clocks();
        let Some(machine) = &mut self.machine.machine else { return };
        let effects = machine.handle(input, now);
        if !self.died(Who::Machine) {
            self.perform(effects);
        }
    }

    /// Carries effects out, in order, unless the program falls between two.
    fn perform(&mut self, effects: Vec<Effect>) {
        let run = self.machine.run;
        for effect in effects {
            if self.machine.run != run {
                return;
            }
            self.perform_one(effect);
        }
        let now = self.clocks();
        let next = self.machine.machine.as_ref().and_then(|machine| machine.next_deadline(now.boot));
        if let Some(at) = next.map(|at| (self.now + (at - now.boot).0).max(self.now + 1))
            && self.machine.woken_at.is_none_or(|known| at < known)
        {
            self.machine.woken_at = Some(at);
            let run = self.machine.run;
            self.at(at, Event::Machine(Arrival::Woken { run }));
        }
    }

    fn perform_one(&mut self, effect: Effect) {
        match effect {
            Effect::Ack(ack) => self.acknowledged(ack),
            Effect::Reply(asker, _) => self.acknowledged(Ack::numbered(asker.question)),
            Effect::DropBroker => {
                self.drop_broker();
                let after = 250 + self.below(2_000);
                self.connect_broker(after);
            }
            Effect::Publish { id, notice, payload } => self.publishes(id, broker::topic(notice).0, &payload),
            Effect::Prepare(id, item, amount) => self.ask_relay(Asked::Prepare(id), Call::Prepare(item, amount), QUICK),
            Effect::Relay(_, _, RelayCall::Dispense(_)) if self.story_reboots() => self.falls(Who::Machine, How::PowerCut),
            Effect::Relay(id, request, call) => {
                let limit = if matches!(call, RelayCall::Dispense(_)) { SLOW } else { QUICK };
                self.note(|| format!("the machine asks the relay: {}", word(&call)));
                self.ask_relay(Asked::Relay(id, request), Call::Order(call), limit);
            }
            Effect::CloseTicket(ticket) => {
                self.ask_relay(Asked::Close, Call::Order(RelayCall::Close(ticket)), QUICK);
            }
            Effect::ReadRelay => self.ask_relay(Asked::Facts, Call::Facts, QUICK),
            Effect::Backend(id, request, call) => {
                let limit = if matches!(call, HttpCall::Watch(..)) { POLL } else { HTTP };
                self.ask_backend(Asked::Backend(id, request), Ask::Order(call), limit);
            }
            Effect::AskOpen(id, key) => self.ask_backend(Asked::Open(id), Ask::Open(key), HTTP),
            Effect::Abandon(id) => {
                self.machine.asked.retain(|_, asked| !matches!(asked, Asked::Backend(known, _) | Asked::Open(known) if *known == id));
            }
            Effect::Show(picture) => self.show(&picture.scene),
            Effect::View(view) => {
                let is_store = |fault: &FaultCode| matches!(fault, FaultCode::Store | FaultCode::NewerDatabase);
                self.machine.says_failing = view.faults.iter().any(is_store);
                self.machine.said_failing |= self.machine.says_failing && self.story_is_well();
            }
            Effect::OrderChanged(_) | Effect::Journal(_) => {}
        }
    }

    fn caller(&mut self) -> Caller {
        self.machine.calls += 1;
        Caller { run: self.machine.run, call: self.machine.calls }
    }

    fn ask_relay(&mut self, asked: Asked, call: Call, limit: i64) {
        let caller = self.caller();
        self.machine.asked.insert(caller, asked);
        let strike = self.strikes(Who::Machine, Kind::Bus);
        let Some(caller) = self.goes_out(Kind::Bus, strike, caller) else { return };
        self.after(limit, Event::Machine(Arrival::Timeout(caller)));
        self.relay_hears(call, caller, 1);
    }

    fn ask_backend(&mut self, asked: Asked, ask: Ask, limit: i64) {
        let caller = self.caller();
        self.note(|| format!("the machine asks the backend: {}", ask.word()));
        self.machine.asked.insert(caller, asked);
        let strike = self.strikes(Who::Machine, Kind::Http);
        if let Some(How::Foreign(foreign)) = strike {
            let answer = Answer::Backend(ask.answered_by(foreign));
            return self.after(4, Event::Machine(Arrival::Answer(caller, answer)));
        }
        let Some(caller) = self.goes_out(Kind::Http, strike, caller) else { return };
        self.after(limit, Event::Machine(Arrival::Timeout(caller)));
        let delay = 5 + self.below(60);
        self.merchant_hears(ask, caller, delay);
    }

    /// A call goes out, unless it is the one that fails. The caller of an answer may be gone.
    fn goes_out(&mut self, kind: Kind, strike: Option<How>, caller: Caller) -> Option<Caller> {
        match strike {
            None => Some(caller),
            Some(How::Error) => {
                self.after(1, Event::Machine(Arrival::Timeout(caller)));
                None
            }
            Some(How::Silent) => {
                self.after(if kind == Kind::Http { HTTP } else { QUICK }, Event::Machine(Arrival::Timeout(caller)));
                Some(Caller { run: 0, call: 0 })
            }
            Some(How::After) => {
                self.falls(Who::Machine, How::After);
                Some(caller)
            }
            Some(how) => {
                self.falls(Who::Machine, how);
                None
            }
        }
    }

    fn show(&mut self, scene: &Scene) {
        let word = match scene {
            Scene::Pay { .. } => "pay".to_owned(),
            other => format!("{other:?}").split([' ', '{']).next().unwrap_or("").to_lowercase(),
        };
        self.note(|| format!("the screen shows {word}"));
        self.machine.scene = word;
        if let Scene::PayAtStore { code, .. } = scene
            && self.seen.insert(code.clone())
        {
            self.story_shows(code);
        }
        if let Scene::Pay { payload, .. } = scene
            && self.seen.insert(payload.clone())
        {
            self.story_shows(payload);
        }
    }

    // The broker.

    /// Somebody publishes to the machine.
    pub(in crate::nth) fn broker_takes(&mut self, topic: Topic, payload: Vec<u8>) {
        if self.machine.session.len() >= QUEUE_MAX {
            return;
        }
        self.machine.messages += 1;
        let message = self.machine.messages;
        self.machine.session.push_back((message, topic, payload));
        self.deliver(message);
    }

    /// The machine has a message.
    fn acknowledged(&mut self, ack: Ack) {
        let connection = self.machine.connection;
        self.machine.session.retain(|(message, ..)| connection == 0 || ack != Ack::numbered(connection << 32 | message));
    }

    fn deliver(&mut self, message: u64) {
        let connection = self.machine.connection;
        if connection != 0 {
            let delay = 1 + self.below(40);
            self.after(delay, Event::Machine(Arrival::Delivers { connection, message }));
        }
    }

    fn publishes(&mut self, id: PublishId, topic: Topic, payload: &[u8]) {
        if topic == Topic::VendEvent
            && let Ok(event) = serde_json::from_slice::<qris_core::wire::vend::VendEvent>(payload)
        {
            let request = event.request_id.as_ref().map_or("-", |id| id.as_str()).to_owned();
            let reason = event.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            self.note(|| format!("event: {request} {}{reason}", event.state.as_str()));
        }
        let connection = self.machine.connection;
        let strikes = if connection == 0 { None } else { self.strikes(Who::Machine, Kind::Publish) };
        if connection == 0 || strikes == Some(How::Error) {
            return self.input_later(Input::Undelivered(id, None));
        }
        if let Some(how) = strikes {
            // Nothing depends on who heard it: sent or not, the sender is gone.
            return self.falls(Who::Machine, how);
        }
        let delay = 2 + self.below(40);
        self.after(delay, Event::Machine(Arrival::Published { connection, id }));
    }

    /// An immediate answer would come before the effects behind its cause.
    fn input_later(&mut self, input: Input) {
        let now = self.clocks();
        if let Some(machine) = &mut self.machine.machine {
            let effects = machine.handle(input, now);
            if self.died(Who::Machine) {
                return;
            }
            let run = self.machine.run;
            for effect in effects {
                if self.machine.run == run {
                    self.perform_one(effect);
                }
            }
        }
    }

    pub(super) fn connect_broker(&mut self, after: i64) {
        let run = self.machine.run;
        self.after(after, Event::Machine(Arrival::BrokerUp { run }));
    }

    /// The connection goes.
    pub(super) fn drop_broker(&mut self) {
        if self.machine.connection != 0 {
            self.machine.connection = 0;
            self.input(Input::BrokerDown { reason: "it is gone".into(), date_refusal: false });
        }
    }

    pub(in crate::nth) fn drop_machine(&mut self) {
        self.machine.machine = None;
    }

    /// Must a person look at its database, and does its status say so?
    pub(in crate::nth) fn machine_is_down(&mut self) -> bool {
        let path = self.directory.join(Who::Machine.database());
        let opens = self.machine_store().is_some_and(|mut store| store.probe().is_ok());
        self.machine.says_failing || self.machine.said_failing || !opens && path.exists()
    }

    /// Does its database open although the program cannot work with it? Then only a person ends paid orders, even if the
    /// damaged part can be set aside.
    pub(in crate::nth) fn machine_flaps(&mut self) -> bool {
        let said = self.machine.says_failing || self.machine.said_failing;
        said && self.machine_store().is_some_and(|mut store| store.probe().is_ok())
    }

    /// Does the machine wait for nothing any more, and what does it say of an order?
    pub(in crate::nth) fn machine_store(&mut self) -> Option<qris_device::store::database::Database> {
        // A database has one owner at a time: the program ends first.
        self.machine.machine = None;
        let boot = self.settings().boot_id;
        qris_device::store::database::Database::open(&self.directory.join("qrisd.db"), &boot, false).ok().map(|opened| opened.store)
    }
}

fn word(call: &RelayCall) -> &'static str {
    match call {
        RelayCall::Check(_) => "check",
        RelayCall::Dispense(_) => "dispense",
        RelayCall::Query(_) => "query",
        RelayCall::Close(_) => "close",
        RelayCall::Prove(_) => "prove",
    }
}
