//! The connection to the MQTT 5 broker: a task of its own, reconnected with backoff, acknowledged in order, and one
//! publish at a time.
//!
//! [`Mqtt`] is the handle; what happens comes as [`MqttEvent`]s on a bounded channel. While the caller does not take them,
//! up to [`EVENTS_WAITING_MAX`] wait here, and a flood waits at the broker: it was asked to hold back all but
//! [`RECEIVE_MAX`] unacknowledged messages (not every Mosquitto does), and what it sends all the same is not read.
//! Payloads are not judged here: the caller refuses what is over its own limit, which [`MAX_PACKET`] leaves room for.

mod acks;
mod link;
mod packets;

use crate::config::MqttSettings;
use crate::tls::{self, LastTrusted, TlsError};
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The largest packet taken from the broker, which drops a larger one unseen. Well over the 8 KiB that any payload may
/// have, so that one a bit over can be refused by name (`too_large`) instead of vanishing.
pub const MAX_PACKET: u32 = 64 * 1024;
/// Messages the broker may have unacknowledged with us.
pub const RECEIVE_MAX: u16 = 16;
/// The client's table of publishes in flight; its default costs 14 MB. Ours never holds more than two.
pub const IN_FLIGHT_MAX: u16 = 16;
/// How long the broker keeps session and queued messages for us.
pub const SESSION_EXPIRY_S: u32 = 60;
/// A silent link is tested this often, and noticed as lost after about 1.8 times as long.
pub const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Address look-up, TCP, TLS and CONNACK together.
pub const CONNECT_TIMEOUT_S: u64 = 5;
/// A publish or subscription that is not answered for so long costs the connection: nothing may wait for ever.
pub const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// A connection that held this long clears the backoff; one that fails sooner is a failure in a row.
pub const STABLE_AFTER: Duration = Duration::from_secs(10);
/// The last message of a clean stop waits this long for its acknowledgement.
pub const STOP_WAIT: Duration = Duration::from_millis(500);
/// The goodbye after it may take this long to be written.
pub const GOODBYE_WAIT: Duration = Duration::from_millis(200);
/// A connection that is to be broken off because a message could not be stored lasts this much longer, for what is
/// published meanwhile: without it a refusal would never get out while such a message comes first at every connect.
pub const DROP_WAIT: Duration = Duration::from_millis(250);
/// Publishes that may wait behind the one in flight; what is over is answered [`MqttEvent::Undelivered`] at once.
pub const PUBLISHES_WAITING_MAX: usize = 64;
/// Events that wait for the caller before no more is read from the broker.
pub const EVENTS_WAITING_MAX: usize = 128;

/// Where the broker is and how we appear there.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    broker: MqttSettings,
    /// There if and only if the broker is spoken to with TLS.
    tls: Option<Arc<ClientConfig>>,
    /// Also the key of our session at the broker, and the seed of the backoff.
    client_id: String,
    /// What the broker says for us when we are gone.
    pub will: Option<Will>,
    /// Subscribed before [`MqttEvent::Up`], and again when the broker lost the session.
    pub subscriptions: Vec<Subscription>,
    /// How long the broker keeps our session without us, in seconds; [`SESSION_EXPIRY_S`] unless somebody wants less.
    pub session_expiry_s: u32,
}

impl LinkSettings {
    /// A connection to `broker` without will and subscriptions. Its certificates are read here, and its dates will be
    /// checked against `trusted`.
    ///
    /// # Errors
    /// When a certificate or key cannot be used.
    pub fn new(broker: MqttSettings, client_id: impl Into<String>, trusted: &LastTrusted) -> Result<Self, TlsError> {
        let tls = if broker.tls {
            let client = broker.cert_file.as_deref().zip(broker.key_file.as_deref());
            Some(tls::client_config(broker.ca_file.as_deref(), client, trusted)?)
        } else {
            None
        };
        Ok(Self { broker, tls, client_id: client_id.into(), will: None, subscriptions: Vec::new(), session_expiry_s: SESSION_EXPIRY_S })
    }
}

/// The last will, published by the broker (QoS 1) when the connection is gone for `delay_s` and was not closed properly.
#[derive(Debug, Clone)]
pub struct Will {
    /// Topic.
    pub topic: String,
    /// Payload.
    pub payload: Vec<u8>,
    /// Whether the broker retains it.
    pub retain: bool,
    /// Seconds between the loss and the will; a connection that comes back in time suppresses it.
    pub delay_s: u32,
}

/// A topic filter at QoS 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The filter, wildcards allowed.
    pub filter: String,
    /// Which retained messages come with the subscription.
    pub retained: Retained,
    /// Retain-as-published: a live message keeps its retain flag, so that a retained request is recognised as one.
    pub retain_as_published: bool,
}

/// Retain handling of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retained {
    /// The retained messages come at every subscription (retain handling 0).
    Always,
    /// They come only if the subscription is new to the session (1).
    IfNew,
    /// They never come (2).
    Never,
}

/// The caller's number of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublishId(pub u64);

/// A message to publish at QoS 1.
#[derive(Debug, Clone, Default)]
pub struct Outbound {
    /// Topic.
    pub topic: String,
    /// Payload.
    pub payload: Vec<u8>,
    /// Whether the broker retains it.
    pub retain: bool,
    /// Where an answer is expected.
    pub response_topic: Option<String>,
    /// Returned with the answer, unread.
    pub correlation_data: Option<Vec<u8>>,
    /// Seconds after which the broker drops it undelivered.
    pub expiry_s: Option<u32>,
}

/// A message that came in.
#[derive(Debug, Clone)]
pub struct Inbound {
    /// Topic.
    pub topic: String,
    /// Payload, of any size within [`MAX_PACKET`].
    pub payload: Vec<u8>,
    /// It was retained by its publisher (seen with retain-as-published), or came from the broker's retained store.
    pub retain: bool,
    /// The broker says that it sent it before. Brokers forget to: recognise repetition by what the payload says.
    pub dup: bool,
    /// 0 or 1.
    pub qos: u8,
    /// Where the sender expects an answer.
    pub response_topic: Option<String>,
    /// To be returned with the answer.
    pub correlation_data: Option<Vec<u8>>,
    /// Give it to [`Mqtt::ack`] once the message is stored.
    pub ack: Ack,
}

/// The right to acknowledge one message, on the connection that brought it and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ack {
    connection: u64,
    number: u64,
}

#[cfg(any(test, feature = "testing"))]
impl Ack {
    /// The right to acknowledge a message of that number.
    #[must_use]
    pub const fn numbered(number: u64) -> Self {
        Self { connection: 1, number }
    }
}

/// What the connection reports.
#[derive(Debug, Clone)]
pub enum MqttEvent {
    /// Connected and subscribed. Messages of a kept session may come before it.
    Up {
        /// The broker kept our session, and with it what it queued for us.
        session_present: bool,
        /// Filters that the broker refused, with its reason: the link is a faulty one. They are asked for again with
        /// the next connection.
        refused: Vec<(String, &'static str)>,
    },
    /// A connection was lost or an attempt failed; the next follows by itself.
    Down {
        /// What happened, for people.
        reason: String,
        /// The broker's certificate was refused for its dates: our clock may be wrong.
        date_refusal: bool,
    },
    /// A message came in.
    Message(Inbound),
    /// The broker has it.
    Delivered {
        /// The publish.
        id: PublishId,
        /// False: the broker says that nobody subscribes to the topic (0x10), not even one that is away and comes back.
        heard: bool,
    },
    /// The broker, or the protocol, refuses it; the same message again would be refused again.
    Rejected {
        /// The publish.
        id: PublishId,
        /// The reason code's name.
        reason: &'static str,
    },
    /// Nobody knows whether the broker has it: publish it again after the next [`MqttEvent::Up`] (or, if more than
    /// [`PUBLISHES_WAITING_MAX`] were waiting, when another was answered).
    Undelivered(PublishId),
}

/// The handle of the connection. No method blocks, none needs a runtime: any thread may hold a clone.
///
/// When the last handle or the receiver of events is dropped, the connection breaks off without goodbye, and the broker
/// publishes the will. [`Mqtt::stop`] ends it properly.
#[derive(Debug, Clone)]
pub struct Mqtt {
    // Unbounded, since `ack` must not fail: at most one ack a message taken and what the caller wants published.
    commands: mpsc::UnboundedSender<Command>,
}

/// What the handle asks of the task.
#[derive(Debug)]
enum Command {
    Publish(PublishId, Outbound),
    Ack(Ack),
    DropConnection,
    Stop(Option<Outbound>),
}

impl Mqtt {
    /// Starts to connect, in a task of the current tokio runtime, which must drive I/O and time. `capacity` events can
    /// wait in the returned channel.
    #[must_use]
    pub fn start(settings: LinkSettings, capacity: usize) -> (Self, mpsc::Receiver<MqttEvent>) {
        let (commands, commands_rx) = mpsc::unbounded_channel();
        let (events, events_rx) = mpsc::channel(capacity);
        tokio::spawn(link::run(settings, commands_rx, events));
        (Self { commands }, events_rx)
    }

    /// Publishes at QoS 1, after those asked for before. Exactly one of [`MqttEvent::Delivered`],
    /// [`MqttEvent::Rejected`] and [`MqttEvent::Undelivered`] answers, the last at once while there is no connection.
    pub fn publish(&self, id: PublishId, message: Outbound) {
        self.send(Command::Publish(id, message));
    }

    /// Marks a message as stored. Acknowledgements leave in the order the messages came, so one that is never marked
    /// holds up all behind it. Of a connection that is gone: nothing happens, the broker sends the message again.
    pub fn ack(&self, ack: Ack) {
        self.send(Command::Ack(ack));
    }

    /// Breaks the connection off after [`DROP_WAIT`] and connects again with backoff: the broker then sends again what was
    /// not acknowledged. For a message that could not be stored; what is published until then still gets out, such as the
    /// refusals of what came behind it.
    pub fn drop_connection(&self) {
        self.send(Command::DropConnection);
    }

    /// Publishes `last`, waits up to [`STOP_WAIT`] for its acknowledgement, disconnects (the will is not published) and
    /// ends. The channel of events closes when that is done; messages that come meanwhile stay at the broker.
    pub fn stop(&self, last: Option<Outbound>) {
        self.send(Command::Stop(last));
    }

    fn send(&self, command: Command) {
        // An error says that the task has ended: the caller asked for that, by `stop` or by dropping the receiver.
        drop(self.commands.send(command));
    }
}
