//! The broker: the messages that it keeps for the machine, its repeated messages, and a stranger. The stranger has heard
//! everything on the broker, and repeats it, in part or changed.

use super::counts::Kind;
use super::events::{machine, relay};
use super::strike::Who;
use super::time::Server;
use super::{Event, Outage, STORE, World};
use base64::Engine as _;
use qris_core::order::state::EventState;
use qris_core::wire::topics::Topic;
use qris_core::wire::vend::{VendEvent, read_sale};
use qris_device::words::{Input, NEWS, report_of};
use qris_host::mqtt::{Ack, PublishId};
use std::collections::{BTreeMap, VecDeque};

/// A broker keeps this many messages for a machine that is away.
const QUEUE_MAX: usize = 100;
/// It keeps them for this time.
const SESSION: i64 = 60_000;
/// The stranger remembers this many of the last messages.
const OVERHEARD_MAX: usize = 2_000;

#[derive(Default)]
pub(super) struct Broker {
    /// The machine that is connected under the name that both have, with its connection.
    connected: Option<(usize, u64)>,
    connections: u64,
    /// No machine gets through to it. The backend does.
    pub(super) is_far: bool,
    left_at: i64,
    /// Messages that are kept until they are acknowledged.
    session: VecDeque<(u64, Topic, Vec<u8>)>,
    messages: u64,
    /// Every payload that went over the broker, either way.
    pub(super) overheard: VecDeque<(Topic, Vec<u8>)>,
    /// The receipts among them.
    pub(super) receipts: Vec<String>,
    streams: BTreeMap<Box<str>, Stream>,
    /// The last event of each request.
    pub(super) last: BTreeMap<Box<str>, EventState>,
}

/// The events of one life of a machine's database.
#[derive(Default)]
struct Stream {
    last: u64,
    /// The published text under each number.
    told: BTreeMap<u64, Box<str>>,
    requested: BTreeMap<Box<str>, u64>,
    state: BTreeMap<Box<str>, EventState>,
}

impl Broker {
    pub(super) fn connection_of(&self, m: usize) -> Option<u64> {
        self.connected.filter(|(who, _)| *who == m).map(|(_, connection)| connection)
    }

    /// Delivers a message to a machine on a connection, if both are still there.
    pub(super) fn message(&self, m: usize, connection: u64, message: u64) -> Option<(Topic, Vec<u8>)> {
        (self.connection_of(m) == Some(connection)).then_some(())?;
        self.session.iter().find(|(known, ..)| *known == message).map(|(_, topic, payload)| (*topic, payload.clone()))
    }

    pub(super) fn acknowledged(&mut self, m: usize, ack: Ack) {
        if let Some(connection) = self.connection_of(m) {
            self.session.retain(|(message, ..)| ack != Ack::numbered(connection << 32 | message));
        }
    }

    /// The events that each life of a machine's database has told, in order.
    pub(super) fn reported_by_stream(&self) -> impl Iterator<Item = (Box<str>, Vec<VendEvent>)> {
        let read = |stream: &Stream| stream.told.values().filter_map(|text| serde_json::from_str(text).ok()).collect();
        self.streams.iter().map(move |(name, stream)| (name.clone(), read(stream)))
    }

    fn hear(&mut self, topic: Topic, payload: &[u8]) {
        if self.overheard.len() >= OVERHEARD_MAX {
            self.overheard.pop_front();
        }
        self.overheard.push_back((topic, payload.to_vec()));
    }
}

#[derive(Debug, Default)]
pub(super) struct Network {
    /// Whether there is a broker. Without it all requests come over the board, and nobody brings news of a payment.
    pub(super) has_broker: bool,
    pub(super) cut: [bool; 5],
    /// The error of the clock of the web server before the backend.
    pub(super) front_off: i64,
}

impl World {
    /// Somebody publishes to the machine.
    pub(super) fn broker_takes(&mut self, topic: Topic, payload: Vec<u8>) {
        if !self.network.has_broker {
            return;
        }
        self.broker.hear(topic, &payload);
        let copies = if self.goes_wrong(15, Kind::Doubled) { 2 } else { 1 };
        for _ in 0..copies {
            if self.broker.session.len() >= QUEUE_MAX {
                return;
            }
            self.broker.messages += 1;
            let message = self.broker.messages;
            self.broker.session.push_back((message, topic, payload.clone()));
            self.deliver(message);
        }
    }

    fn deliver(&mut self, message: u64) {
        if let Some((m, connection)) = self.broker.connected {
            let delay = 1 + self.below(40);
            self.machine_hears(m, machine::Arrival::Delivers { connection, message }, delay);
        }
    }

    pub(super) fn connect_broker(&mut self, m: usize, after: i64) {
        let run = self.machines[m].run;
        self.machine_hears(m, machine::Arrival::BrokerUp { run }, after);
    }

    /// A machine connects. A machine with the same name loses its connection, and tries again.
    pub(super) fn broker_welcomes(&mut self, m: usize) {
        if !self.network.has_broker
            || self.broker.is_far
            || self.network.cut[Outage::Broker as usize]
            || !self.machine_runs(m)
            || self.broker.connection_of(m).is_some()
        {
            return;
        }
        if !self.shakes_hands(m, Server::Broker, false) {
            self.input(m, Input::BrokerDown { reason: "certificate expired".into(), date_refusal: true, thrown_out: false });
            let after = 5_000 + self.below(25_000);
            return self.connect_broker(m, after);
        }
        if let Some((other, _)) = self.broker.connected {
            self.drop_broker(false);
            let after = 5_000 + self.below(30_000);
            self.connect_broker(other, after);
        }
        if self.now - self.broker.left_at > SESSION {
            self.broker.session.clear();
        }
        self.broker.connections += 1;
        self.broker.connected = Some((m, self.broker.connections));
        self.input(m, Input::BrokerUp { refused: Vec::new() });
        let all: Vec<u64> = self.broker.session.iter().map(|(message, ..)| *message).collect();
        all.into_iter().for_each(|message| self.deliver(message));
        self.brings_settings();
    }

    /// The connection goes. Perhaps the broker's memory goes with it.
    pub(super) fn drop_broker(&mut self, session_lost: bool) {
        if session_lost && !self.broker.session.is_empty() {
            self.count(Kind::Sessions, "the broker loses its sessions");
            self.broker.session.clear();
        }
        if let Some((m, _)) = self.broker.connected.take() {
            self.broker.left_at = self.now;
            self.input(m, Input::BrokerDown { reason: "it is gone".into(), date_refusal: false, thrown_out: false });
        }
    }

    /// A machine is gone without a word.
    pub(super) fn broker_misses(&mut self, m: usize) {
        if self.broker.connection_of(m).is_some() {
            self.broker.connected = None;
            self.broker.left_at = self.now;
        }
    }

    pub(super) fn publishes(&mut self, m: usize, id: PublishId, topic: Topic, payload: &[u8]) {
        self.broker.hear(topic, payload);
        if topic == Topic::ConfigReported && self.broker.connection_of(m).is_some() {
            self.settings_reported(m, payload);
        }
        if topic == Topic::Status && self.broker.connection_of(m).is_some() {
            self.status_reported(m, payload);
        }
        let event = matches!(topic, Topic::VendEvent | Topic::Telemetry).then(|| payload.to_vec());
        match self.broker.connection_of(m) {
            Some(connection) if !self.is_to(Kind::BrokerLost) => {
                let delay = 2 + self.below(40);
                self.machine_hears(m, machine::Arrival::Published { connection, id, event }, delay);
            }
            Some(_) | None => {
                let run = self.machines[m].run;
                self.machine_hears(m, machine::Arrival::Unpublished { run, id }, 1);
            }
        }
    }

    /// The broker has a message, and everybody hears it.
    pub(super) fn published(&mut self, m: usize, id: PublishId, event: Option<Vec<u8>>) {
        if let Some(payload) = event.as_ref().filter(|_| report_of(id).is_some()) {
            self.reported(payload);
        }
        // The answer to a repeated request is told again, out of its turn. It is no transition.
        if let Some(payload) = event.filter(|_| id.0 & NEWS == 0)
            && let Ok(event) = serde_json::from_slice::<VendEvent>(&payload)
        {
            self.event_told(&event, &payload);
        }
        self.input(m, Input::Delivered(id));
    }

    /// The events that everybody hears of the orders: each transition once, in order, and nothing after the goods.
    fn event_told(&mut self, event: &VendEvent, payload: &[u8]) {
        let request: Box<str> = event.request_id.as_ref().map_or("-", |id| id.as_str()).into();
        let reason = event.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
        self.note(|| format!("event: {request} {}{reason}", event.state.as_str()));
        // A card that was set back counts its events once more. So does a second card. A damaged index hides events and requests.
        let Some(seq) = event.seq.filter(|_| !self.losses.card() && !self.flips(Who::Machine)) else { return };
        let text: Box<str> = String::from_utf8_lossy(payload).into();
        let stream = self.broker.streams.entry(event.stream.clone()).or_default();
        if let Some(known) = stream.told.get(&seq) {
            // After a power cut a card whose sync failed does so too.
            if *known != text && !self.losses.is_harmed(STORE) {
                self.fail(format!("event {seq} of {request} was told in two ways"));
            }
            return;
        }
        let gap = seq != stream.last + 1;
        stream.last = seq;
        stream.told.insert(seq, text);
        let times = stream.requested.entry(request.clone()).or_default();
        *times += u64::from(event.state == EventState::Requested);
        let times = *times;
        let before = stream.state.insert(request.clone(), event.state);
        self.broker.last.insert(request.clone(), event.state);
        if gap {
            self.fail(format!("event {seq} does not follow the one before it"));
        }
        if times > 1 {
            self.fail(format!("{request} was sold twice"));
        }
        if before == Some(EventState::Dispensed) {
            self.fail(format!("{request} was dispensed, and then {}", event.state.as_str()));
        }
    }

    /// Somebody repeats a message of the broker, or changes it.
    pub(super) fn be_hostile(&mut self) {
        let (topic, payload) = match self.below(6) {
            0 => (Topic::PaymentUpdate, br#"{"order_id":"o1","rev":1,"status":"settlement","receipt":"e30.e30.AA"}"#.to_vec()),
            1 => {
                let number = self.below(9);
                (Topic::VendRequest, format!(r#"{{"request_id":"evil-{number}","item":"A1"}}"#).into_bytes())
            }
            _ => match self.overhears() {
                Some(heard) => heard,
                None => return,
            },
        };
        let payload = match self.below(8) {
            0..=2 => payload,
            3 => self.flipped(payload),
            4 => {
                let length = self.below_usize(payload.len());
                payload[..length].to_vec()
            }
            5 => self.with_another_receipt(payload),
            6 => self.with_forged_claims(payload),
            _ => self.with_a_field_of_another(payload),
        };
        let topic = if self.one_in(8) {
            let topics = [Topic::VendRequest, Topic::VendCancel, Topic::VendCollect, Topic::PaymentUpdate];
            topics[self.below_usize(4)]
        } else {
            topic
        };
        self.count(Kind::Hostile, "somebody is hostile");
        // A name that was refused before can be asked for again, and another item with it.
        if let (Topic::VendRequest, Ok(request)) = (topic, read_sale(&payload)) {
            self.same.asks(&request.request_id, &request.item);
        }
        self.broker_takes(topic, payload);
    }

    fn overhears(&mut self) -> Option<(Topic, Vec<u8>)> {
        let many = self.broker.overheard.len();
        let at = self.below_usize(many);
        self.broker.overheard.get(at).cloned()
    }

    fn flipped(&mut self, mut payload: Vec<u8>) -> Vec<u8> {
        let (at, bit) = (self.below_usize(payload.len()), self.below(8));
        if let Some(byte) = payload.get_mut(at) {
            *byte ^= 1 << bit;
        }
        payload
    }

    fn with_another_receipt(&mut self, payload: Vec<u8>) -> Vec<u8> {
        let at = self.below_usize(self.broker.receipts.len());
        let Some(receipt) = self.broker.receipts.get(at).cloned() else { return payload };
        changed(payload, |fields| drop(fields.insert("receipt".into(), receipt.into())))
    }

    /// A receipt that was heard, with other claims under its signature.
    fn with_forged_claims(&mut self, payload: Vec<u8>) -> Vec<u8> {
        let at = self.below_usize(self.broker.receipts.len());
        let Some(receipt) = self.broker.receipts.get(at) else { return payload };
        let Some(forged) = forged(receipt, self.people.vended) else { return payload };
        changed(payload, |fields| drop(fields.insert("receipt".into(), forged.into())))
    }

    fn with_a_field_of_another(&mut self, payload: Vec<u8>) -> Vec<u8> {
        let Some((_, other)) = self.overhears() else { return payload };
        let Ok(serde_json::Value::Object(other)) = serde_json::from_slice(&other) else { return payload };
        let at = self.below_usize(other.len());
        let Some((name, value)) = other.into_iter().nth(at) else { return payload };
        changed(payload, |fields| drop(fields.insert(name, value)))
    }

    /// Somebody on the machine's own bus, with every receipt that was ever heard: genuine ones, and changed ones.
    pub(super) fn play_to_relay(&mut self, m: usize) {
        let commands = self.commands.received_by_strangers();
        if !commands.is_empty() && self.one_in(3) {
            let (number, jws) = commands[self.below_usize(commands.len())].clone();
            self.count(Kind::Strangers, "a stranger shows the relay a command");
            return self.after(1, Event::Relay(m, relay::Arrival::StrangersCommand { number, jws }));
        }
        let at = self.below_usize(self.broker.receipts.len());
        let Some(receipt) = self.broker.receipts.get(at).cloned() else { return };
        self.count(Kind::Strangers, "a stranger shows the relay a receipt");
        let receipt = if self.one_in(2) { receipt } else { forged(&receipt, self.people.vended).unwrap_or(receipt) };
        self.after(1, Event::Relay(m, relay::Arrival::Stranger { receipt }));
    }
}

/// The receipt of another request, as somebody without a key would make it.
fn forged(receipt: &str, number: u64) -> Option<String> {
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mut parts = receipt.split('.');
    let (head, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let mut claims: serde_json::Value = serde_json::from_slice(&engine.decode(claims).ok()?).ok()?;
    claims["jti"] = format!("r-{number}").into();
    claims["sub"] = format!("o-forged-{number}").into();
    Some(format!("{head}.{}.{signature}", engine.encode(claims.to_string())))
}

/// A JSON object with a changed value. Anything else stays as it is.
fn changed(payload: Vec<u8>, change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> Vec<u8> {
    match serde_json::from_slice(&payload) {
        Ok(serde_json::Value::Object(mut fields)) => {
            change(&mut fields);
            serde_json::Value::Object(fields).to_string().into_bytes()
        }
        Ok(_) | Err(_) => payload,
    }
}
