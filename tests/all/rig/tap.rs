//! An MQTT client of the test: hears what its user may hear, publishes what it likes, and looks at the broker's answers.

use super::PATIENCE;
use super::mosquitto::{Mosquitto, password};
use super::received::Received;
use qris::order::reason::Reason;
use qris::wire::topics::PROBE;
use qris::wire::vend::{EventState, VendEvent};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Packet, PubAckReason, PublishProperties};
use rumqttc::v5::{Client, Event, MqttOptions};
use serde_json::Value;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Larger messages are not heard.
const MESSAGE_BYTES_MAX: u32 = 10 * 1024;

/// A message that came.
#[derive(Debug, Clone)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    pub retain: bool,
    /// Of a command: where the answer is waited for, and what must come back with it.
    pub properties: PublishProperties,
}

impl Message {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap_or_else(|why| panic!("{}: {why}: {:?}", self.topic, self.payload))
    }
}

/// A connected client. It connects again by itself and subscribes again.
pub struct Tap {
    client: Client,
    messages: Received<Message>,
    acks: Received<PubAckReason>,
    publishing: Mutex<()>,
    ended: Arc<AtomicBool>,
}

impl Tap {
    /// Connects as `user` and subscribes to `filters`.
    pub fn connect(broker: &Mosquitto, user: &str, filters: &[&str]) -> Self {
        Self::connect_with(broker, user, &password(user), filters)
    }

    /// The same with a password of its own.
    pub fn connect_with(broker: &Mosquitto, user: &str, password: &str, filters: &[&str]) -> Self {
        Self::connect_at(broker.port, user, password, filters)
    }

    /// The same at a broker that others have started.
    pub fn connect_at(port: u16, user: &str, password: &str, filters: &[&str]) -> Self {
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let id = format!("test-{user}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut options = MqttOptions::new(id, "127.0.0.1", port);
        options.set_credentials(user, password);
        options.set_keep_alive(Duration::from_secs(30));
        options.set_outgoing_inflight_upper_limit(16);
        // The library breaks the connection at a larger message, and what comes before the next one is not heard: so the broker is
        // told to leave those out.
        options.set_max_packet_size(Some(MESSAGE_BYTES_MAX));
        let (client, mut connection) = Client::new(options, 64);
        let (messages, acks, subscribed) = (Received::default(), Received::default(), Received::default());
        let ended = Arc::new(AtomicBool::new(false));
        let filters: Vec<_> = filters.iter().map(|filter| Filter::new(*filter, QoS::AtLeastOnce)).collect();
        let sinks = (messages.clone(), acks.clone(), subscribed.clone(), Arc::clone(&ended), client.clone());
        let wanted = filters.clone();
        std::thread::spawn(move || {
            let (messages, acks, subscribed, ended, client) = sinks;
            for event in connection.iter() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                match event {
                    Ok(Event::Incoming(Packet::ConnAck(_))) if wanted.is_empty() => subscribed.push(()),
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        drop(client.try_subscribe_many(wanted.clone()));
                    }
                    Ok(Event::Incoming(Packet::SubAck(_))) => subscribed.push(()),
                    Ok(Event::Incoming(Packet::PubAck(ack))) => acks.push(ack.reason),
                    Ok(Event::Incoming(Packet::Publish(message))) => messages.push(Message {
                        topic: String::from_utf8_lossy(&message.topic).into_owned(),
                        payload: message.payload.to_vec(),
                        retain: message.retain,
                        properties: message.properties.clone().unwrap_or_default(),
                    }),
                    Ok(_) => {}
                    // The broker is being restarted.
                    Err(_) => std::thread::sleep(Duration::from_millis(50)),
                }
            }
        });
        assert!(subscribed.find_from(0, PATIENCE, |()| Some(())).is_some(), "{user} could not connect and subscribe");
        Self { client, messages, acks, publishing: Mutex::default(), ended }
    }

    /// Publishes at QoS 1; the broker's answer.
    pub fn publish_bytes(&self, topic: &str, payload: &[u8], retain: bool) -> PubAckReason {
        self.publish_with(topic, payload, retain, PublishProperties::default())
    }

    pub fn publish_with(&self, topic: &str, payload: &[u8], retain: bool, properties: PublishProperties) -> PubAckReason {
        // One at a time, so that the next answer is the answer to this one.
        let _alone = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let from = self.acks.count();
        self.client
            .publish_with_properties(topic, QoS::AtLeastOnce, retain, payload.to_vec(), properties)
            .unwrap_or_else(|why| panic!("{topic}: {why}"));
        self.acks.find_from(from, PATIENCE, |reason| Some(*reason)).unwrap_or_else(|| panic!("{topic}: no answer"))
    }

    /// The same for a message of any size. Mosquitto 2.0.11 leaves one out that is too large for its hearer, and counts it as on its way
    /// for ever: after twenty of them we would hear nothing more. It does so with those alone that it must have acknowledged.
    pub fn publish_of_any_size(&self, topic: &str, payload: &[u8], retain: bool, properties: PublishProperties) {
        if payload.len() < MESSAGE_BYTES_MAX as usize / 2 {
            self.publish_with(topic, payload, retain, properties);
            return;
        }
        let published = self.client.publish_with_properties(topic, QoS::AtMostOnce, retain, payload.to_vec(), properties);
        published.unwrap_or_else(|why| panic!("{topic}: {why}"));
    }

    /// Publishes JSON when there is a broker to take it, and waits for nobody.
    pub fn post(&self, topic: &str, payload: &Value) {
        drop(self.client.try_publish(topic, QoS::AtLeastOnce, false, payload.to_string()));
    }

    /// Every message at and behind a place.
    pub fn since(&self, from: usize) -> Vec<Message> {
        self.messages.since(from)
    }

    /// Publishes JSON, which the broker must take.
    pub fn publish(&self, topic: &str, payload: &Value) {
        let answer = self.publish_bytes(topic, payload.to_string().as_bytes(), false);
        assert!(matches!(answer, PubAckReason::Success | PubAckReason::NoMatchingSubscribers), "{topic}: {answer:?}");
    }

    /// A place in what was heard, to wait from.
    pub fn count(&self) -> usize {
        self.messages.count()
    }

    /// Every message so far.
    pub fn messages(&self) -> Vec<Message> {
        self.messages.all()
    }

    /// Looks at all messages, and again whenever one more has come.
    pub fn until<T>(&self, what: &str, look: impl FnMut(&[Message]) -> Option<T>) -> T {
        self.messages.until(PATIENCE, look).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain for: {what}"))
    }

    /// Waits for a message of which `look` makes something, at or behind `from`.
    pub fn wait_from<U>(&self, from: usize, what: &str, look: impl Fn(&Message) -> Option<U>) -> U {
        self.wait_from_within(from, PATIENCE, what, look)
    }

    /// The same, of what is late by design.
    pub fn wait_from_within<U>(&self, from: usize, patience: Duration, what: &str, look: impl Fn(&Message) -> Option<U>) -> U {
        let found = self.messages.find_from(from, patience, look);
        found.unwrap_or_else(|| panic!("waited {patience:?} in vain for: {what}; heard:\n{}", self.heard(from)))
    }

    /// Every `vend/event` so far.
    pub fn events(&self) -> Vec<VendEvent> {
        self.messages().iter().filter_map(event).collect()
    }

    /// Waits for a `vend/event`, from the first on.
    pub fn wait_event(&self, what: &str, look: impl Fn(&VendEvent) -> bool) -> VendEvent {
        self.wait_event_from(0, what, look)
    }

    pub fn wait_event_from(&self, from: usize, what: &str, look: impl Fn(&VendEvent) -> bool) -> VendEvent {
        self.wait_from(from, what, |message| event(message).filter(&look))
    }

    /// Waits until a request is in a state.
    pub fn wait_state(&self, request_id: &str, state: EventState) -> VendEvent {
        self.wait_one_of(request_id, &[state])
    }

    /// Waits until a request is in one of these states.
    pub fn wait_one_of(&self, request_id: &str, states: &[EventState]) -> VendEvent {
        self.wait_event(&format!("{request_id} to be one of {states:?}"), |event| {
            event.request_id.as_ref().is_some_and(|id| id.as_str() == request_id) && states.contains(&event.state)
        })
    }

    /// Waits for the refusal of a request, and checks its reason.
    pub fn wait_refused(&self, request_id: &str, reason: Reason) -> VendEvent {
        let event = self.wait_state(request_id, EventState::Refused);
        assert_eq!(event.reason, Some(reason), "{event:?}");
        assert_eq!(event.seq, None, "a refusal is never stored: {event:?}");
        event
    }

    fn heard(&self, from: usize) -> String {
        let lines = self.messages().into_iter().skip(from);
        lines.map(|message| format!("{} {}\n", message.topic, String::from_utf8_lossy(&message.payload))).collect()
    }
}

/// The event that a message is.
pub fn event(message: &Message) -> Option<VendEvent> {
    let is_event = message.topic.ends_with("/vend/event") && message.payload != PROBE;
    is_event.then(|| serde_json::from_slice(&message.payload).unwrap_or_else(|why| panic!("{}: {why}", message.json())))
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        drop(self.client.try_disconnect());
    }
}
