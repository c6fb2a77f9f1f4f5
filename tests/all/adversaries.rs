//! Attackers with everything but the keys: a `qrisd` in foreign hands on the relay's bus, a stranger there who tells what
//! only the relay may, and a publisher on the broker that floods every topic of a machine.

use crate::rig::caller::Caller;
use crate::rig::midtrans::Via;
use crate::rig::mosquitto::{TAP, password};
use crate::rig::relayd::{Relayd, claims};
use crate::rig::shop::{Options, PRICE, Shop, new_request_id};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use qris::order::ids::{DeviceId, ItemId, Ticket};
use qris::order::keys::SigningKey;
use qris::order::money::Rupiah;
use qris::order::reason::Reason;
use qris::order::receipt::Claims;
use qris::sim::rng::Rng;
use qris::wire::dbus::{RELAY_NAME, RELAY_PATH};
use qris::wire::vend::EventState;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::{Client, Event, MqttOptions};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Calls that the attacker makes, in `tests/run`; `QRIS_STEPS` says otherwise.
const STEPS: u64 = 700;

/// The relay service alone, and a caller who does whatever it likes: real tickets, real receipts for them and for
/// anything else, replayed, altered, foreign, forged, in any order, from several connections at once, with restarts in
/// between. After every step the line was driven exactly as often as the model of the promise says.
#[test]
fn no_sequence_of_calls_opens_the_relay_without_a_receipt_or_twice_for_one() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seed = number("QRIS_SEED").unwrap_or(1);
    println!("adversaries: seed {seed}");
    let mut attacker = Attacker {
        relay: Relayd::start("pulse_ms = 10\n"),
        rng: Rng::new(seed),
        tickets: BTreeMap::new(),
        receipts: Vec::new(),
        recorded: BTreeMap::new(),
        pulses: 0,
        orders: 0,
    };
    let mut figures: BTreeMap<&'static str, u64> = BTreeMap::new();
    for step in 0..number("QRIS_STEPS").unwrap_or(STEPS) {
        let done = attacker.step();
        *figures.entry(done).or_default() += 1;
        let driven = attacker.driven();
        assert_eq!(driven, attacker.pulses, "seed {seed}, step {step}, {done}: the line was driven as often as that, and not as was paid");
    }
    println!("adversaries: {figures:?}, {} pulses", attacker.pulses);
    for must in ["pays", "replays", "alters", "forges", "crosses", "closes", "restarts", "hurries"] {
        assert!(figures.get(must).is_some_and(|count| *count > 0), "seed {seed}: it never {must}: {figures:?}");
    }
    assert!(attacker.pulses > 20, "seed {seed}: an attacker who also pays gets what was paid for");
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Open,
    Used,
    Closed,
}

/// The attacker, and the model of what must hold.
struct Attacker {
    relay: Relayd,
    rng: Rng,
    /// What the ledger must hold of each ticket.
    tickets: BTreeMap<String, (String, u64, State)>,
    /// Everything that the backend ever signed, for whatever the attacker paid.
    receipts: Vec<(Claims, String)>,
    /// Orders in the ledger, with the outcomes that may be recorded.
    recorded: BTreeMap<String, &'static [&'static str]>,
    pulses: usize,
    orders: u64,
}

impl Attacker {
    fn step(&mut self) -> &'static str {
        match self.rng.below(16) {
            0..=2 => self.prepares(),
            3 | 4 => self.pays(),
            5 => self.replays(),
            6 | 7 => self.alters(),
            8 => self.forges(),
            9 | 10 => self.crosses(),
            11 => self.closes(),
            12 => self.asks(),
            13 => self.hurries(),
            14 => self.talks_nonsense(),
            _ if self.rng.below(4) == 0 => self.restarts(),
            _ => self.is_cut_off(),
        }
    }

    /// How often the line was driven.
    fn driven(&self) -> usize {
        self.relay.relay.edges().iter().filter(|edge| edge.active).count()
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.rng.below(n as u64)).expect("below a usize")
    }

    /// Asks for a ticket, for anything.
    fn prepares(&mut self) -> &'static str {
        let honest = self.rng.below(3) > 0;
        let device = if honest { "vm-001" } else { ["vm-001", "vm-002", ""][self.below(3)] };
        let item = ["A1", "A2", "B9", "", "*"][if honest { self.below(2) } else { self.below(5) }];
        let amount = [5000, 6000, 4999, 0, -5000, i64::MAX][if honest { self.below(2) } else { self.below(6) }];
        let good = device == "vm-001" && matches!(item, "A1" | "A2") && matches!(amount, 5000 | 6000);
        match self.relay.caller.relay::<_, String>("Prepare", &(device, item, amount)) {
            Ok(ticket) => {
                assert!(good, "a ticket for {device} {item} {amount}");
                let amount = u64::try_from(amount).expect("a price");
                assert!(self.tickets.insert(ticket.clone(), (item.into(), amount, State::Open)).is_none(), "{ticket} was given twice");
            }
            Err(refused) => assert!(!good, "no ticket for {device} {item} {amount}: {refused:?}"),
        }
        "prepares"
    }

    /// A ticket of the past or present, in some state; the newest mostly.
    fn some_ticket(&mut self) -> Option<String> {
        let open: Vec<_> =
            self.tickets.iter().filter(|(_, (_, _, state))| *state == State::Open).map(|(ticket, _)| ticket.clone()).collect();
        let all: Vec<_> = self.tickets.keys().cloned().collect();
        let from = if self.rng.below(4) > 0 && !open.is_empty() { open } else { all };
        (!from.is_empty()).then(|| from[self.below(from.len())].clone())
    }

    /// The backend signs what was paid: for a ticket, and perhaps for another item, amount, machine or order than it is of.
    fn receipt(&mut self, twisted: bool) -> Option<(Claims, String)> {
        let ticket = self.some_ticket()?;
        let (item, amount, _) = self.tickets[&ticket].clone();
        self.orders += 1;
        let mut claims = claims(&format!("o-{}", self.orders), &ticket);
        claims.item = ItemId::new(&item).expect("an id");
        claims.amount = Rupiah::new(amount).expect("an amount");
        if twisted {
            match self.below(5) {
                0 => claims.aud = DeviceId::new("vm-002").expect("an id"),
                1 => claims.amount = Rupiah::new(if amount == 5000 { 6000 } else { 5000 }).expect("an amount"),
                2 => claims.item = ItemId::new(if item == "A1" { "A2" } else { "A1" }).expect("an id"),
                3 => claims.ticket = Ticket::from_random([0; 16]),
                _ => claims.amount = Rupiah::new(1).expect("an amount"),
            }
        }
        claims.gross_amount = claims.amount;
        let jws = self.relay.key.sign(claims.clone()).jws().to_owned();
        self.receipts.push((claims.clone(), jws.clone()));
        Some((claims, jws))
    }

    /// What the promise allows for a receipt that the backend signed: the outcomes recorded, a pulse, or nothing.
    fn may_open(&self, claims: &Claims) -> bool {
        let open = self
            .tickets
            .get(claims.ticket.as_str())
            .is_some_and(|(item, amount, state)| *state == State::Open && item == claims.item.as_str() && *amount == claims.amount.get());
        open && claims.aud.as_str() == "vm-001" && !self.recorded.contains_key(claims.sub.as_str())
    }

    /// Hands a receipt of the backend over, and holds the answer against the model.
    fn dispense(&mut self, claims: &Claims, jws: &str) {
        let (order, may_open) = (claims.sub.to_string(), self.may_open(claims));
        match self.relay.dispense(jws) {
            Ok((outcome, ..)) if may_open => {
                assert_eq!(outcome, "dispensed", "{order}");
                self.opened(claims, &["dispensed"]);
                self.pulses += 1;
            }
            Ok((outcome, ..)) => {
                let recorded = self.recorded.get(&order).unwrap_or_else(|| panic!("{order}: {outcome}, and nothing is recorded"));
                assert!(recorded.contains(&outcome.as_str()), "{order}: {outcome}, not one of {recorded:?}");
            }
            Err(refused) => {
                assert!(!may_open, "{order}: {refused:?}");
                let known = self.recorded.contains_key(&order) && claims.aud.as_str() == "vm-001";
                assert!(!known, "{order} is recorded, and is answered {refused:?}");
            }
        }
    }

    fn opened(&mut self, claims: &Claims, outcomes: &'static [&'static str]) {
        self.tickets.get_mut(claims.ticket.as_str()).expect("it was open").2 = State::Used;
        self.recorded.insert(claims.sub.to_string(), outcomes);
    }

    fn pays(&mut self) -> &'static str {
        let Some((claims, jws)) = self.receipt(false) else { return self.prepares() };
        self.dispense(&claims, &jws);
        "pays"
    }

    /// A receipt that is paid, and not for what its ticket promises; and what was handed over before, again.
    fn crosses(&mut self) -> &'static str {
        let Some((claims, jws)) = self.receipt(true) else { return self.prepares() };
        self.dispense(&claims, &jws);
        "crosses"
    }

    fn some_receipt(&mut self) -> Option<(Claims, String)> {
        let at = self.below(self.receipts.len().max(1));
        self.receipts.get(at).cloned()
    }

    fn replays(&mut self) -> &'static str {
        let Some((claims, jws)) = self.some_receipt() else { return self.prepares() };
        self.dispense(&claims, &jws);
        "replays"
    }

    /// A receipt of the backend with something changed in it. None may be believed, also not to answer what is recorded.
    fn alters(&mut self) -> &'static str {
        let Some((_, jws)) = self.receipt(false) else { return self.prepares() };
        let mut parts: Vec<String> = jws.split('.').map(str::to_owned).collect();
        let altered = match self.below(6) {
            0 => {
                let at = self.below(jws.len());
                let with = char::from(b"AZaz09-_.+/= ~"[self.below(14)]);
                let altered: String = jws.chars().enumerate().map(|(i, c)| if i == at { with } else { c }).collect();
                altered
            }
            1 => jws[..self.below(jws.len())].to_owned(),
            2 => {
                let part = self.below(3);
                parts[part] = self.some_receipt().map_or_else(String::new, |(_, other)| other.split('.').nth(part).unwrap_or("").into());
                parts.join(".")
            }
            3 => {
                let header = String::from_utf8(BASE64URL.decode(&parts[0]).expect("base64url")).expect("JSON");
                let header = header.replace("EdDSA", ["none", "HS256", "eddsa", "ES256"][self.below(4)]);
                parts[0] = BASE64URL.encode(header);
                parts.join(".")
            }
            4 => {
                let body = String::from_utf8(BASE64URL.decode(&parts[1]).expect("base64url")).expect("JSON");
                parts[1] = BASE64URL.encode(body.replace("\"o-", "\"p-"));
                parts.join(".")
            }
            _ => format!("{jws}{}", ["=", ".", " ", "\n", "A"][self.below(5)]),
        };
        if !self.receipts.iter().any(|(_, known)| *known == altered) {
            let refused = self.relay.dispense(&altered).expect_err("altered");
            assert!(matches!(refused.name.as_str(), "InvalidReceipt" | "WrongDevice"), "{refused:?}: {altered}");
        }
        "alters"
    }

    /// Receipts of a key that the relay does not know, and what an operator would sign.
    fn forges(&mut self) -> &'static str {
        let Some(ticket) = self.some_ticket() else { return self.prepares() };
        let key = SigningKey::from_seed([u8::try_from(self.below(200)).expect("small") + 20; 32]);
        let forged = key.sign(claims("o-forged", &ticket)).jws().to_owned();
        // Its own key under the name of the right one.
        let renamed = {
            let (header, rest) = forged.split_once('.').expect("three parts");
            let header = String::from_utf8(BASE64URL.decode(header).expect("base64url")).expect("JSON");
            format!("{}.{rest}", BASE64URL.encode(header.replace(key.kid().as_str(), self.relay.key.kid().as_str())))
        };
        for receipt in [&forged, &renamed] {
            assert_eq!(self.relay.dispense(receipt).expect_err("forged").name, "InvalidReceipt");
            // It takes an operator's signature.
            let refused = self.relay.caller.relay::<_, ()>("Test", &(receipt.as_str(),)).expect_err("forged");
            assert_eq!(refused.name, "CommandRefused");
        }
        "forges"
    }

    fn closes(&mut self) -> &'static str {
        let Some(ticket) = self.some_ticket() else { return self.prepares() };
        let (_, _, state) = self.tickets[&ticket];
        let answer = self.relay.close(&ticket).unwrap_or_else(|refused| panic!("{ticket} was given: {refused:?}"));
        match state {
            State::Open | State::Closed => {
                assert_eq!(answer, "closed");
                self.tickets.get_mut(&ticket).expect("it is there").2 = State::Closed;
            }
            State::Used => assert!(matches!(answer.as_str(), "dispensed" | "uncertain"), "{answer}"),
        }
        "closes"
    }

    /// What only asks changes nothing.
    fn asks(&mut self) -> &'static str {
        let order = format!("o-{}", self.rng.below(self.orders + 2));
        let outcome = self.relay.query(&order);
        match self.recorded.get(&order) {
            Some(recorded) => assert!(recorded.contains(&outcome.as_str()), "{order}: {outcome}"),
            None => assert_eq!(outcome, "unknown", "{order}"),
        }
        if let Some(ticket) = self.some_ticket() {
            assert_eq!(self.relay.check(&ticket).0, self.tickets[&ticket].2 == State::Open, "{ticket}");
        }
        let open: BTreeSet<String> = self.relay.caller.open_tickets().into_iter().collect();
        let model: BTreeSet<String> =
            self.tickets.iter().filter(|(_, (_, _, state))| *state == State::Open).map(|(ticket, _)| ticket.clone()).collect();
        assert_eq!(open, model);
        "asks"
    }

    /// The same receipt from three connections at once, and a close of its ticket between them.
    fn hurries(&mut self) -> &'static str {
        let Some((claims, jws)) = self.receipt(false) else { return self.prepares() };
        let may_open = self.may_open(&claims);
        let calls: Vec<_> = (0..3).map(|_| self.relay.begin_dispense(jws.clone())).collect();
        let closed = self.relay.close(claims.ticket.as_str());
        let answers: Vec<_> = calls.into_iter().map(|call| call.join().expect("no panic")).collect();
        if may_open {
            let opened = answers.iter().any(Result::is_ok);
            if opened {
                for answer in &answers {
                    assert!(matches!(answer, Ok((outcome, ..)) if outcome == "dispensed" || outcome == "dispensing"), "{answers:?}");
                }
                assert_ne!(closed.as_deref(), Ok("closed"), "closed and driven");
                self.relay.wait_outcome(claims.sub.as_str(), "dispensed");
                self.opened(&claims, &["dispensed"]);
                self.pulses += 1;
            } else {
                assert_eq!(closed.as_deref(), Ok("closed"), "{answers:?}");
                self.tickets.get_mut(claims.ticket.as_str()).expect("it is there").2 = State::Closed;
            }
        } else {
            assert!(answers.iter().all(Result::is_err), "{answers:?}");
        }
        "hurries"
    }

    /// Other methods, other types, long texts: an error each, and the service goes on.
    fn talks_nonsense(&mut self) -> &'static str {
        let long = "x".repeat(self.below(200_000));
        let caller = &self.relay.caller;
        caller.relay::<_, ()>("Dispense", &(long.as_str(),)).expect_err("too long");
        caller.relay::<_, ()>("Dispense", &(5_u32,)).expect_err("no string");
        caller.relay::<_, ()>("Dispense", &("a", "b")).expect_err("two strings");
        caller.relay::<_, String>("Prepare", &(long.as_str(), long.as_str(), 5000_i64)).expect_err("no device");
        caller.relay::<_, ()>("Close", &(long.as_str(),)).expect_err("no ticket");
        caller.relay::<_, ()>("Drive", &("A1",)).expect_err("no such method");
        drop(caller.relay::<_, ()>("Clear", &("A1",)));
        // No D-Bus message has a NUL in a string: the bus throws out who sends one, and nobody else.
        drop(Caller::connect(&self.relay.bus.address).relay::<_, ()>("Dispense", &("a\0b",)));
        assert_eq!(
            caller.relay::<_, (String, bool, String)>("Query", &(long.as_str(), 1_u32)).map_or("unknown".into(), |answer| answer.0),
            "unknown"
        );
        "talks nonsense"
    }

    /// The power goes while nothing is driven: the ledger is as it was.
    fn restarts(&mut self) -> &'static str {
        self.relay.kill();
        self.relay.resume();
        "restarts"
    }

    /// The power goes while a receipt is handed over: it was driven, or not, or nobody knows; and never again.
    fn is_cut_off(&mut self) -> &'static str {
        let Some((claims, jws)) = self.receipt(false) else { return self.prepares() };
        let may_open = self.may_open(&claims);
        let call = self.relay.begin_dispense(jws);
        let wait = self.rng.below(25_000);
        // As long as chance says, which is the point: there is nothing to wait for.
        std::thread::sleep(Duration::from_micros(wait));
        self.relay.kill();
        drop(call.join().expect("no panic"));
        self.relay.resume();
        match self.relay.query(claims.sub.as_str()).as_str() {
            "dispensed" => {
                assert!(may_open);
                self.opened(&claims, &["dispensed"]);
                self.pulses += 1;
            }
            "uncertain" => {
                assert!(may_open);
                self.opened(&claims, &["uncertain"]);
                // Whether the line was driven before the power went is seen now, and never changes again.
                let driven = self.driven();
                assert!(driven - self.pulses <= 1, "{driven} pulses after {}, of one receipt", self.pulses);
                self.pulses = driven;
            }
            // Not begun: its ticket is as it was.
            "unknown" => assert!(!self.recorded.contains_key(claims.sub.as_str())),
            other => panic!("{other} after a restart"),
        }
        "is cut off"
    }
}

/// The bus lets everybody send signals. A stranger who tells the relay's news while the relay stands still is not believed:
/// an order that counts as dispensed here would be paid and never come, and nobody would give the money back.
#[test]
fn a_strangers_news_of_the_relay_ends_no_order() {
    let shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    let relayd = shop.relayd.as_ref().expect("it runs");
    relayd.signal("STOP");
    shop.pay(Via::Gopay);
    shop.wait_state(&request_id, EventState::Dispensing);
    let order_id = shop.order_id(&request_id);
    let stranger = Caller::connect(&shop.bus.address);
    for _ in 0..20 {
        for outcome in ["dispensed", "failed", "uncertain"] {
            stranger.signal(RELAY_PATH, RELAY_NAME, "Finished", &(order_id.as_str(), 1_u32, outcome, true, "told by a stranger"));
        }
        // A machine that answers had the time to hear what was sent before.
        let state: String = stranger.device_property("State");
        assert_eq!(state, "dispensing", "a stranger was believed");
    }
    // And whoever asks for an item now hears that one is under way, after all that the machine had to tell before.
    // If this has taken long, the machine calls the relay service gone first.
    let refused = shop.wait_state(&shop.vend("A2"), EventState::Refused).reason;
    assert!(matches!(refused, Some(Reason::Busy | Reason::Relay)), "{refused:?}");
    let mut told = shop.tap.events().into_iter().filter(|event| event.request_id.as_ref().is_some_and(|id| id.as_str() == request_id));
    assert_eq!(told.next_back().map(|event| event.state), Some(EventState::Dispensing), "a stranger was believed");
    assert_eq!((shop.pulses(), &shop.order_at_backend(&order_id)["outcome"]), (0, &Value::Null));
    relayd.signal("CONT");
    shop.wait_state(&request_id, EventState::Dispensed);
    shop.wait_outcome(&order_id, "dispensed");
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

/// How long the flood lasts, and how dense it is.
const FLOOD: Duration = Duration::from_secs(20);
const A_SECOND: u64 = 5_000;
/// What `qrisd` may take more while it is flooded: its queues hold 192 messages of at most 64 KiB.
const MEMORY_MAX_KIB: u64 = 12 * 1024;
/// What the relay service and the backend may: the flood does not reach them, but for what `qrisd` asks because of it.
const MEMORY_BEHIND_MAX_KIB: u64 = 2 * 1024;
/// Messages of its own in a second.
const EVENTS_MAX: u64 = 60;
/// Lines of each program's journal in a minute, with those of the sale in the middle of it.
const LINES_MAX: u64 = 100;

/// Somebody who took over the broker, or a controller, publishes 5,000 messages a second to every topic of the machine:
/// replays, nonsense, forged receipts, the largest packets that the broker takes. Meanwhile somebody buys over D-Bus, and
/// afterwards over MQTT.
#[test]
#[ignore = "wants the computer for itself: `tests/run` gives it a step of its own"]
fn a_flood_on_every_topic_stops_no_sale() {
    let shop = Shop::open(Options::default());
    let sold = shop.sell("A1", Via::Gopay);
    let sold_id = sold.request_id.clone();
    let sold_request = sold.request_id.expect("its request").to_string();
    let order_id = sold.order_id.expect("its order").to_string();
    let receipt = shop.order_at_backend(&order_id)["receipt"].as_str().expect("its receipt").to_owned();
    let (qrisd, relayd) = (shop.qrisd.as_ref().expect("it runs"), shop.relayd.as_ref().expect("it runs"));
    let backend = shop.backend.as_ref().expect("it runs");
    let programs = [
        ("qrisd", qrisd, MEMORY_MAX_KIB),
        ("qris-relayd", relayd, MEMORY_BEHIND_MAX_KIB),
        ("qris-backend", backend, MEMORY_BEHIND_MAX_KIB),
    ];
    let before = programs.map(|(_, process, _)| process.resident_kib());
    let said_before = programs.map(|(_, process, _)| process.lines.count());
    let heard = shop.tap.events().len();
    let flood = Flood::start(&shop, &sold_request, &order_id, &receipt);
    let start = Instant::now();
    let mut most = before;
    let mut look = || most = std::array::from_fn(|i| most[i].max(programs[i].1.resident_kib()));
    // A customer comes in the middle of it.
    let caller = Caller::connect(&shop.bus.address);
    let request_id = new_request_id();
    let options: std::collections::HashMap<&str, zbus::Variant<'_>> = std::collections::HashMap::new();
    let (state, reason): (String, String) = caller.device("Vend", &(request_id.as_str(), "A1", options)).expect("it is answered");
    assert_eq!((state.as_str(), reason.as_str()), ("requested", ""), "after {:?}", start.elapsed());
    shop.pay(Via::Qris);
    shop.relay.wait_pulses(2);
    let took = start.elapsed();
    while start.elapsed() < FLOOD {
        look();
        std::thread::sleep(Duration::from_millis(100));
    }
    let (sent, seconds) = flood.stop();
    look();
    let told: Vec<_> = shop.tap.events().split_off(heard);
    // Whoever repeats a request is told its news again, once each time: that is no more than was sent.
    let (again, events): (Vec<_>, Vec<_>) = told.iter().partition(|event| event.request_id.as_ref() == sold_id.as_ref());
    let (again, events) = (again.len() as u64, events.len() as u64);
    println!("flood: {sent} messages in {seconds:.1} s; a sale meanwhile took {took:?}; {events} events, and {again} told again");
    let said: [u64; 3] = std::array::from_fn(|i| (programs[i].1.lines.count() - said_before[i]) as u64);
    for (i, (name, ..)) in programs.iter().enumerate() {
        println!("flood: {name} had {} KiB and at most {} KiB, and wrote {} lines", before[i], most[i], said[i]);
    }
    assert!(sent as f64 / seconds > A_SECOND as f64 * 0.8, "this is no flood: {sent} in {seconds} s");
    let allowed = EVENTS_MAX * (FLOOD.as_secs() + 1);
    for (i, (name, _, grows)) in programs.iter().enumerate() {
        assert!(most[i] - before[i] < *grows, "{name}: {} → {} KiB", before[i], most[i]);
        assert!(said[i] <= LINES_MAX, "{name}: {} lines", said[i]);
    }
    assert!(events < allowed, "{events} events");
    assert!(again < sent / 20, "{again} told again");
    // What the broker still holds is worked off, and then it sells over MQTT as ever.
    let sold = shop.sell("A2", Via::Gopay);
    assert_eq!(sold.state, EventState::Dispensed);
    assert_eq!(shop.pulses(), 3);
    shop.check_books();
    assert_eq!(shop.midtrans.transactions().len(), 3, "the flood made no charge");
    assert!(shop.midtrans.transactions().iter().all(|charge| charge["amount"] == PRICE));
}

/// Publishers that send as fast as they are told to.
struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    threads: Vec<std::thread::JoinHandle<()>>,
    start: Instant,
}

impl Flood {
    const PUBLISHERS: u64 = 4;

    fn start(shop: &Shop, request_id: &str, order_id: &str, receipt: &str) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let messages = Arc::new(messages(request_id, order_id, receipt));
        let threads = (0..Self::PUBLISHERS).map(|i| {
            let (stop, sent, messages, port) = (Arc::clone(&stop), Arc::clone(&sent), Arc::clone(&messages), shop.broker.port);
            std::thread::spawn(move || publish(port, i, &messages, &stop, &sent))
        });
        let threads = threads.collect();
        Self { stop, sent, threads, start: Instant::now() }
    }

    /// How many messages were sent, and in how many seconds.
    fn stop(self) -> (u64, f64) {
        let (sent, seconds) = (self.sent.load(Ordering::Relaxed), self.start.elapsed().as_secs_f64());
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("no panic");
        }
        (sent, seconds)
    }
}

/// What is sent over and over. No request that could be sold: whoever may ask for items can fill the screen with QRs, and
/// that is known.
fn messages(request_id: &str, order_id: &str, receipt: &str) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(&str, Value)> = vec![
        ("vend/request", json!({"request_id": request_id, "item": "A1"})),
        ("vend/request", json!({"request_id": request_id, "item": "A2"})),
        ("vend/request", json!({"request_id": "f-1", "item": "nothing"})),
        ("vend/request", json!({"request_id": "f-2", "item": "A1", "amount": 1})),
        ("vend/request", json!({"item": "A1"})),
        ("vend/cancel", json!({"request_id": request_id})),
        ("vend/cancel", json!({"request_id": "f-3"})),
        ("vend/collect", json!({"code": "00000000"})),
        ("payment/update", json!({"order_id": order_id, "rev": 9, "status": "settlement", "receipt": receipt})),
        ("payment/update", json!({"order_id": order_id, "rev": 9, "status": "cancel", "receipt": null})),
        ("payment/update", json!({"order_id": "f-4", "rev": 9, "status": "pending", "receipt": null})),
        ("payment/update", json!({"order_id": "f-5", "rev": 9, "status": "settlement", "receipt": format!("{receipt}A")})),
        ("cmd/status/request", json!({})),
        ("cmd/reboot/request", json!({"jws": "a.b.c"})),
        ("config/desired", json!({"version": 1})),
        ("status", json!({"state": "offline"})),
        ("telemetry", json!({})),
    ];
    all.extend((0..40).map(|i| ("vend/cancel", json!({"request_id": format!("f-{i}")}))));
    let mut messages: Vec<(String, Vec<u8>)> =
        all.into_iter().map(|(topic, body)| (topic.to_owned(), body.to_string().into_bytes())).collect();
    for topic in ["vend/request", "vend/cancel", "vend/collect", "payment/update"] {
        messages.push((topic.into(), b"\xff\xfe\x00".to_vec()));
        messages.push((topic.into(), vec![b'['; 8 * 1024]));
    }
    // One in some sixty is as large as the broker takes.
    messages.push(("vend/request".into(), vec![b'x'; 60 * 1024]));
    messages
}

fn publish(port: u16, number: u64, messages: &[(String, Vec<u8>)], stop: &AtomicBool, sent: &AtomicU64) {
    let mut options = MqttOptions::new(format!("flood-{number}"), "127.0.0.1", port);
    options.set_credentials(TAP, password(TAP));
    options.set_keep_alive(Duration::from_secs(30));
    let (client, mut connection) = Client::new(options, 512);
    let reader = std::thread::spawn(move || {
        for event in connection.iter() {
            if matches!(event, Err(_) | Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect))) {
                return;
            }
        }
    });
    let (start, mut mine) = (Instant::now(), 0_u64);
    let mut rng = Rng::new(number);
    while !stop.load(Ordering::Relaxed) {
        let due = start.elapsed().as_millis() as u64 * A_SECOND / Flood::PUBLISHERS / 1_000;
        if mine >= due {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        }
        let (topic, payload) = &messages[usize::try_from(rng.below(messages.len() as u64)).expect("an index")];
        // Half of them are to be acknowledged, as the machine subscribes: what is not would be dropped at once.
        let qos = if mine % 2 == 0 { QoS::AtLeastOnce } else { QoS::AtMostOnce };
        if client.publish(format!("qrisd/v1/vm-001/{topic}"), qos, false, payload.clone()).is_err() {
            break;
        }
        mine += 1;
        sent.fetch_add(1, Ordering::Relaxed);
    }
    drop(client.disconnect());
    drop(reader.join());
}
