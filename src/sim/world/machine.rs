//! `qrisd` in the simulation: a machine with its database, its clocks and its screen. There may be a second one, with a copy
//! of the first one's card.

use super::broker::CONTROLLERS;
use super::counts::Kind;
use super::{Event, Outage, World, again, device, large, merchant, price, relay, small};
use crate::device::machine::{BackendAnswer, CallId, Effect, HttpCall, Input, Machine, PrepareError, RelayAnswer, RelayFacts, Settings};
use crate::device::screen::ScreenState;
use crate::device::screen::picture::Scene;
use crate::device::store::Store;
use crate::host::mqtt::{Ack, PublishId};
use crate::order::ids::{OrderId, RequestId, Ticket};
use crate::order::machine::{RelayCall, Rules};
use crate::order::money::Rupiah;
use crate::order::outcome::DispenseAnswer;
use crate::order::request::{Price, PriceList};
use crate::order::time::{Boot, BootId, Now, Span, Wall};
use crate::sim::backend::Ask;
use crate::sim::midtrans::Book;
use std::collections::BTreeMap;

/// So long a QR may stay up while the relay's word is not known, in milliseconds: the time that a relay has to start, and a
/// question after it.
const DOUBT: i64 = 8_000;
/// The programs' own time limits, in milliseconds.
const QUICK: i64 = 2_000;
const SLOW: i64 = 25_000;
const HTTP: i64 = 12_000;
const POLL: i64 = 35_000;
/// How long a QR is shown.
const TIMEOUT: Span = Span::secs(120);
/// The machine's database, by the name of its file.
pub(super) const STORE: &str = "qrisd.db";

/// What reaches a machine.
#[derive(Debug)]
pub(super) enum Arrival {
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
    /// The broker has what was published.
    Published {
        connection: u64,
        id: PublishId,
        event: Option<Vec<u8>>,
    },
    /// The broker does not have it.
    Unpublished {
        run: u64,
        id: PublishId,
    },
    /// The screen works again.
    ScreenBack,
}

/// Who asked: one call of one run of the program on one of the machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Caller {
    pub(super) m: usize,
    run: u64,
    call: u64,
}

#[derive(Debug)]
pub(super) enum Answer {
    Prepared(Result<Ticket, PrepareError>),
    Relay(RelayAnswer),
    Facts(RelayFacts),
    Backend(BackendAnswer),
}

/// What a call was for.
#[derive(Debug)]
enum Asked {
    Prepare(CallId),
    /// With the ticket that it is to look at, if it is a `Check`.
    Relay(CallId, RequestId, Option<Ticket>),
    Backend(CallId, RequestId),
    Open(CallId),
    Facts,
}

/// One machine's side.
#[derive(Default)]
pub(super) struct Side {
    machine: Option<Machine>,
    pub(super) run: u64,
    boot: u64,
    /// When it booted.
    booted_at: i64,
    pub(super) off_until: i64,
    /// By how much its wall clock is wrong.
    pub(super) wall_off: i64,
    woken_at: Option<i64>,
    calls: u64,
    asked: BTreeMap<Caller, Asked>,
    /// What its relay said last of a ticket, to this run of the program: whether it could be delivered.
    heard: BTreeMap<Ticket, bool>,
    /// When the screen last said that nobody should pay, since what ends the order could not be stored.
    could_not_store: Option<i64>,
    /// What it would show.
    scene: Option<Scene>,
    /// Since when nobody sees it.
    pub(super) screen_gone: Option<i64>,
}

impl World {
    fn settings(&self, m: usize) -> Settings {
        Settings {
            device: device(),
            broker: "the broker".into(),
            prices: PriceList::new([(small(), Price::Fixed(price(&small()))), (large(), Price::Fixed(price(&large())))]),
            names: BTreeMap::from([(small(), "Tea".into()), (large(), "Cake".into())]),
            timeout: TIMEOUT,
            orders_per_minute: 0,
            rules: Rules { cancel_wait: Span::secs(15), late_grace: Span::secs(120), deliver_within: Span::secs(600) },
            keys: self.keys.clone(),
            screen_required: true,
            store: self.places[m].join(STORE),
            boot_id: BootId(format!("boot-{m}-{}", self.machines[m].boot).into()),
            released: Wall(super::BEGIN - 86_400_000),
        }
    }

    fn clocks(&self, m: usize) -> Now {
        let side = &self.machines[m];
        Now { boot: Boot(self.now - side.booted_at + 5_000), wall: Wall(super::BEGIN + self.now + side.wall_off) }
    }

    /// Killed where it is.
    pub(super) fn stop_machine(&mut self, m: usize) {
        self.disks[m].kill(STORE);
        let side = &mut self.machines[m];
        side.machine = None;
        side.run += 1;
        side.asked.clear();
        side.heard.clear();
        side.woken_at = None;
        side.scene = None;
        side.screen_gone = None;
        self.disks[m].revive(STORE);
        self.broker_misses(m);
    }

    /// The program ends where it is and starts again, in the same boot or in another.
    pub(super) fn start_machine(&mut self, m: usize, same_boot: bool) {
        self.stop_machine(m);
        let side = &mut self.machines[m];
        let at = side.off_until.max(self.now + 300);
        if !same_boot {
            side.boot += 1;
            side.booted_at = at;
        }
        let run = side.run;
        self.at(at, Event::Machine(m, Arrival::Starts { run }));
    }

    /// Something for a machine, so much later.
    pub(super) fn machine_hears(&mut self, m: usize, arrival: Arrival, after: i64) {
        self.after(after, Event::Machine(m, arrival));
    }

    pub(super) fn machine_runs(&self, m: usize) -> bool {
        self.machines[m].machine.is_some()
    }

    pub(super) fn machine_arrival(&mut self, m: usize, arrival: Arrival) {
        let current = self.machines[m].run;
        match arrival {
            Arrival::Starts { run } if run == current && self.alive[m] => {
                let (machine, effects) = Machine::load(self.settings(m), self.clocks(m));
                self.machines[m].machine = Some(machine);
                self.note(|| "the machine runs".into());
                self.perform(m, effects);
                self.input(m, Input::Screen(ScreenState::Working));
                let after = 20 + self.below(1_000);
                let relay_run = self.relays[m].run();
                self.after(after, Event::Relay(m, relay::Arrival::Appears { run: relay_run }));
                let after = 50 + self.below(2_000);
                self.connect_broker(m, after);
            }
            Arrival::Woken { run } if run == current => {
                self.machines[m].woken_at = None;
                self.input(m, Input::Woken);
            }
            Arrival::Answer(caller, answer) => self.answered(caller, answer),
            Arrival::Timeout(caller) => {
                let none = match self.machines[m].asked.get(&caller) {
                    Some(Asked::Prepare(_)) => Answer::Prepared(Err(PrepareError::NoAnswer("no answer".into()))),
                    Some(Asked::Relay(..)) => Answer::Relay(RelayAnswer::NoAnswer("no answer".into())),
                    Some(Asked::Backend(..) | Asked::Open(_)) => {
                        Answer::Backend(BackendAnswer::NoAnswer { why: "no answer".into(), code: None, date_refusal: false })
                    }
                    Some(Asked::Facts) | None => return,
                };
                self.answered(caller, none);
            }
            Arrival::RelayUp(facts) => self.input(m, Input::RelayUp(facts)),
            Arrival::RelayTold(facts) => self.input(m, Input::RelayTold(facts)),
            Arrival::RelayGone => self.input(m, Input::RelayDown("it is gone".into())),
            Arrival::Finished(order, answer) => self.input(m, Input::Finished(order, answer)),
            Arrival::BrokerUp { run } if run == current => self.broker_welcomes(m),
            Arrival::Delivers { connection, message } => {
                let Some((topic, payload)) = self.broker.message(m, connection, message) else { return };
                let ack = Ack::numbered(connection << 32 | message);
                self.input(m, Input::Message { topic, payload, retained: false, ack });
            }
            Arrival::Published { connection, id, event } if self.broker.connection_of(m) == Some(connection) => {
                self.published(m, id, event);
            }
            Arrival::Unpublished { run, id } if run == current => self.input(m, Input::Undelivered(id, None)),
            Arrival::ScreenBack => self.screen_back(m),
            Arrival::Starts { .. }
            | Arrival::Woken { .. }
            | Arrival::BrokerUp { .. }
            | Arrival::Published { .. }
            | Arrival::Unpublished { .. } => {}
        }
    }

    fn answered(&mut self, caller: Caller, answer: Answer) {
        let m = caller.m;
        // Given up, or of an earlier run.
        let Some(asked) = self.machines[m].asked.remove(&caller) else { return };
        match (asked, answer) {
            (Asked::Prepare(id), Answer::Prepared(answer)) => {
                if let Ok(ticket) = &answer {
                    self.machines[m].heard.insert(ticket.clone(), true);
                }
                self.input(m, Input::Prepared(id, answer));
            }
            (Asked::Relay(id, request, ticket), Answer::Relay(answer)) => {
                if let (Some(ticket), RelayAnswer::Checked { deliverable, .. }) = (ticket, &answer) {
                    self.machines[m].heard.insert(ticket, *deliverable);
                }
                self.input(m, Input::Relay(id, request, answer));
            }
            (Asked::Backend(id, request), Answer::Backend(answer)) => self.input(m, Input::Backend(id, request, answer)),
            (Asked::Open(id), Answer::Backend(answer)) => self.input(m, Input::Open(id, answer)),
            (Asked::Facts, Answer::Facts(facts)) => self.input(m, Input::RelayTold(facts)),
            (_, _) => {}
        }
    }

    pub(super) fn input(&mut self, m: usize, input: Input) {
        let now = self.clocks(m);
        let Some(machine) = &mut self.machines[m].machine else { return };
        let effects = machine.handle(input, now);
        self.perform(m, effects);
    }

    /// Carries effects out, in order; a crash may come between any two, and may have come in the commit before them.
    fn perform(&mut self, m: usize, effects: Vec<Effect>) {
        if self.disks[m].is_dead(STORE) {
            self.count(Kind::MidCommit, "the power goes in the middle of a commit of the machine");
            return self.cut_power(m);
        }
        for effect in effects {
            let matters = !matches!(effect, Effect::Journal(_) | Effect::View(_) | Effect::OrderChanged(_));
            if matters && self.storm && self.one_in(400) {
                self.count(Kind::Between, "the machine crashes between two effects");
                return self.start_machine(m, true);
            }
            self.perform_one(m, effect);
        }
        self.judge_screen(m);
        let now = self.clocks(m);
        let side = &mut self.machines[m];
        let next = side.machine.as_ref().and_then(|machine| machine.next_deadline(now.boot));
        if let Some(at) = next.map(|at| (self.now + (at - now.boot).0).max(self.now + 1))
            && side.woken_at.is_none_or(|known| at < known)
        {
            side.woken_at = Some(at);
            let run = side.run;
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
            Effect::Publish { id, topic, payload, .. } => self.publishes(m, id, topic, &payload),
            Effect::Prepare(id, item, amount) => self.ask_relay(m, Asked::Prepare(id), relay::Call::Prepare(item, amount), QUICK),
            Effect::Relay(id, request, call) => {
                let limit = if matches!(call, RelayCall::Dispense(_)) { SLOW } else { QUICK };
                self.note(|| format!("the machine asks the relay: {}", word(&call)));
                let ticket = if let RelayCall::Check(ticket) = &call { Some(ticket.clone()) } else { None };
                self.ask_relay(m, Asked::Relay(id, request, ticket), relay::Call::Order(call), limit);
            }
            Effect::CloseTicket(ticket) => {
                let caller = self.caller(m);
                self.after(2, Event::Relay(m, relay::Arrival::Call { call: relay::Call::Close(ticket), from: caller }));
            }
            Effect::ReadRelay => self.ask_relay(m, Asked::Facts, relay::Call::Facts, QUICK),
            Effect::Backend(id, request, call) => {
                let limit = if matches!(call, HttpCall::Watch(..)) { POLL } else { HTTP };
                self.ask_backend(m, Asked::Backend(id, request), Ask::Order(call), limit);
            }
            Effect::AskOpen(id) => self.ask_backend(m, Asked::Open(id), Ask::Open, HTTP),
            Effect::Abandon(id) => {
                let asked = &mut self.machines[m].asked;
                asked.retain(|_, asked| !matches!(asked, Asked::Backend(known, _) | Asked::Open(known) if *known == id));
            }
            Effect::Show(picture) => self.show(m, picture.scene),
            Effect::View(_) | Effect::OrderChanged(_) | Effect::Reply(..) | Effect::Journal(_) => {}
        }
    }

    fn caller(&mut self, m: usize) -> Caller {
        let side = &mut self.machines[m];
        side.calls += 1;
        Caller { m, run: side.run, call: side.calls }
    }

    fn ask_relay(&mut self, m: usize, asked: Asked, call: relay::Call, limit: i64) {
        let caller = self.caller(m);
        self.machines[m].asked.insert(caller, asked);
        self.after(limit, Event::Machine(m, Arrival::Timeout(caller)));
        if self.cut[Outage::Bus as usize] || self.goes_wrong(80, Kind::BusLost) {
            return;
        }
        let delay = if self.goes_wrong(80, Kind::BusSlow) { self.below(4_000) } else { 1 };
        self.after(delay, Event::Relay(m, relay::Arrival::Call { call, from: caller }));
    }

    fn ask_backend(&mut self, m: usize, asked: Asked, ask: Ask, limit: i64) {
        let caller = self.caller(m);
        self.note(|| format!("the machine asks the backend: {}", ask.word()));
        self.machines[m].asked.insert(caller, asked);
        self.after(limit, Event::Machine(m, Arrival::Timeout(caller)));
        if self.cut[Outage::Http as usize] || self.goes_wrong(25, Kind::HttpLost) {
            return;
        }
        let slow = self.goes_wrong(25, Kind::HttpSlow);
        let delay = if slow { self.below(30_000) } else { 5 + self.below(60) };
        self.after(delay, Event::Merchant(merchant::Arrival::Asked { ask, from: caller }));
    }

    // The screen.

    fn show(&mut self, m: usize, scene: Scene) {
        self.note(|| {
            let word = format!("{scene:?}");
            format!("the screen of {m} shows {}", word.split([' ', '{']).next().unwrap_or("").to_lowercase())
        });
        if let Scene::Pay { until, .. } | Scene::PayAtStore { until, .. } = &scene
            && *until > self.clocks(m).boot + TIMEOUT
        {
            self.fail("a QR is shown for longer than its time".into());
        }
        if matches!(scene, Scene::DoNotPay { .. }) {
            self.machines[m].could_not_store = Some(self.now);
        }
        self.machines[m].scene = Some(scene);
        if self.machines[m].screen_gone.is_none() {
            self.customers_see(m);
        }
    }

    /// The panel is gone for a while.
    pub(super) fn lose_screen(&mut self, m: usize) {
        if !self.machine_runs(m) || self.machines[m].screen_gone.is_some() {
            return;
        }
        self.count(Kind::ScreenGone, "the screen is gone");
        self.machines[m].screen_gone = Some(self.now);
        self.input(m, Input::Screen(ScreenState::Gone("the panel is gone".into())));
        let after = if self.one_in(2) { self.below(5_000) } else { self.below(60_000) };
        self.machine_hears(m, Arrival::ScreenBack, after);
    }

    pub(super) fn screen_back(&mut self, m: usize) {
        let Some(since) = self.machines[m].screen_gone.take() else { return };
        let shown = matches!(self.machines[m].scene, Some(Scene::Pay { .. } | Scene::PayAtStore { .. }));
        // What cannot be stored cannot be cancelled either; then the screen says so.
        if shown && self.now - since > 6_000 {
            self.fail(format!("a QR is up after {} ms without a screen", self.now - since));
        }
        self.input(m, Input::Screen(ScreenState::Working));
        self.customers_see(m);
    }

    fn customers_see(&mut self, m: usize) {
        let Some(shown) = self.shown(m) else { return };
        let Some((book, ticket)) = self.charge_of(&shown.payload) else {
            return self.fail("a QR is drawn, and Midtrans has no charge for it".into());
        };
        // Of an order that the books lost, or that Midtrans named another sum for, the sum is what it was told.
        let unsure = OrderId::new(&book.order_id).is_ok_and(|id| self.altered.contains(&id) || self.is_forgotten(&id));
        let other = shown.amount.get() != book.gross_amount || shown.fee.map_or(0, Rupiah::get) != book.gross_amount - book.amount;
        if other && !unsure {
            self.fail("the screen says another sum than is charged".into());
        }
        self.counts.note(Kind::QrsAgainstWord);
        if self.machines[m].heard.get(&ticket) != Some(&true) && !self.asks_once_more(m) {
            self.fail("a QR is drawn, and the relay did not say that it can deliver".into());
        }
        // In the storm the relay may have gone since it was asked; see the property of the exhaustive search.
        if !self.storm {
            self.counts.note(Kind::QrsAgainstRelay);
            if !self.relays[m].could_deliver(&ticket) {
                self.fail("a QR is drawn for what cannot be delivered".into());
            }
        }
        if self.seen.insert(shown.payload.clone()) {
            if Self::is_again(&book) {
                self.after(again::PAYS_AFTER, Event::Pays { payload: shown.payload, force: false });
            } else if shown.code {
                self.goes_to_a_store(shown.payload);
            } else {
                self.reads_the_qr(shown.payload);
            }
        }
    }

    /// What a customer could pay, if the screen shows it.
    fn shown(&self, m: usize) -> Option<Shown> {
        match self.machines[m].scene.as_ref()? {
            Scene::Pay { payload, amount, fee, .. } => Some(Shown { payload: payload.clone(), amount: *amount, fee: *fee, code: false }),
            Scene::PayAtStore { code, amount, fee, .. } => Some(Shown { payload: code.clone(), amount: *amount, fee: *fee, code: true }),
            _ => None,
        }
    }

    /// The charge behind a QR or code, and its ticket.
    fn charge_of(&self, payload: &str) -> Option<(Book, Ticket)> {
        let book = self.midtrans.transaction(payload)?;
        let ticket = Ticket::new(book.custom_fields[2].as_ref()?.rsplit('|').next()?).ok()?;
        Some((book, ticket))
    }

    /// A "no" that could not be stored is asked for once more, and the QR waits for it as for a relay that starts.
    fn asks_once_more(&self, m: usize) -> bool {
        self.machines[m].could_not_store.is_some_and(|at| self.now - at <= DOUBT)
    }

    /// What must be so whenever the machine has done all that it does for now: a QR goes once the relay says that it cannot
    /// deliver, unless just that is being handed out.
    fn judge_screen(&mut self, m: usize) {
        let Some((book, ticket)) = self.shown(m).and_then(|shown| self.charge_of(&shown.payload)) else { return };
        let refused = self.machines[m].heard.get(&ticket) == Some(&false);
        if refused && !self.asks_once_more(m) && OrderId::new(&book.order_id).is_ok_and(|id| self.driven(&id) == 0) {
            self.fail("a QR stays, and the relay said that it cannot deliver".into());
        }
    }

    // What controllers on the board ask.

    /// A controller on the same board asks.
    pub(super) fn ask_on_board(&mut self, m: usize, asked: crate::device::machine::Asked) {
        self.input(m, Input::Asked(asked, CONTROLLERS));
    }

    /// The database, when all is over.
    pub(super) fn machine_store(&mut self, m: usize) -> Option<Store> {
        // One owner at a time: the program ends first.
        self.machines[m].machine = None;
        let boot = self.settings(m).boot_id;
        Store::open(&self.places[m].join(STORE), &boot, false).ok().map(|opened| opened.store)
    }
}

/// What a customer could pay.
struct Shown {
    payload: Box<str>,
    /// The sum on the screen, with the fee.
    amount: Rupiah,
    fee: Option<Rupiah>,
    /// Whether it is a code for a store.
    code: bool,
}

fn word(call: &RelayCall) -> &'static str {
    match call {
        RelayCall::Check(_) => "check",
        RelayCall::Dispense(_) => "dispense",
        RelayCall::Query(_) => "query",
        RelayCall::Close(_) => "close",
    }
}
