//! The connection to the MQTT 5 broker. It is a task of its own. It reconnects with backoff, acknowledges in order,
//! and has few publishes in flight at a time.
//!
//! [`Mqtt`] is the handle; news comes as [`MqttEvent`]s on a bounded channel. While the caller does not take them, up to
//! [`EVENTS_WAITING_MAX`] wait here. A flood waits at the broker: it was asked to hold back all but [`RECEIVE_MAX`]
//! unacknowledged messages. Not every Mosquitto does so; then the rest is not read. Payloads are not judged here: the
//! caller refuses a payload over its own limit, and [`MAX_PACKET`] leaves room for that.

mod acks;
mod link;
mod packets;

use crate::config::MqttSettings;
use crate::secret::Secret;
use crate::tls::{self, CertificateRefusal, LastTrusted, TlsError};
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The largest packet that we take from the broker, but for topics that are known to be larger. The broker drops a larger one unseen. It is well
/// over the 8 KiB that a request may have. So a request that is a bit too large is refused by name (`too_large`) and does not vanish.
pub const MAX_PACKET: u32 = 64 * 1024;
/// The most messages that the broker may send us without our acknowledgement.
pub const RECEIVE_MAX: u16 = 16;
/// The size of the client's table of publishes in flight. Its default costs 14 MB. Packet ids begin anew after so many.
pub const IN_FLIGHT_MAX: u16 = 16;
/// The most publishes without an answer, and so the most that the broker may get twice when the connection is lost.
pub const PUBLISHES_AT_ONCE: usize = 8;
/// How long the broker keeps our session and queued messages.
pub const SESSION_EXPIRY_S: u32 = 60;
/// A silent link is tested this often. Its loss is noticed after about 1.8 times as long.
pub const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// The time for address look-up, TCP, TLS and CONNACK together.
pub const CONNECT_TIMEOUT_S: u64 = 5;
/// A publish or subscription without an answer for so long costs the connection: nothing may wait for ever.
pub const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// A connection that lasted this long clears the backoff. A shorter one counts as one more failure in a row.
pub const STABLE_AFTER: Duration = Duration::from_secs(10);
/// The last message of a clean stop waits this long for its acknowledgement.
pub const STOP_WAIT: Duration = Duration::from_millis(500);
/// The goodbye after that message may take this long to be written.
pub const GOODBYE_WAIT: Duration = Duration::from_millis(200);
/// When a message could not be stored, its connection is broken off after this time, so that publishes still get
/// out meanwhile. Otherwise no refusal would ever get out while such a message comes first at every connect.
pub const DROP_WAIT: Duration = Duration::from_millis(250);
/// The most publishes that may wait behind those in flight. More are answered [`MqttEvent::Undelivered`] at once.
pub const PUBLISHES_WAITING_MAX: usize = 64;
/// The most events that wait for the caller. After that nothing more is read from the broker.
pub const EVENTS_WAITING_MAX: usize = 128;

/// What a client id is hashed with. No other hash of a token begins so: the backend keeps a hash of the token alone.
const CLIENT_ID: &[u8] = b"qrisd: client id at the broker\0";

/// The client id of the machine of this token, the same after each restart: its id, and 16 hexadecimal digits that nobody knows who
/// does not have the token. A broker keeps one connection for each client id: the newest one, of whatever account.
///
/// The broker and its journal see it. The token cannot be had back from it: SHA-256 cannot be turned round, and a token has so many
/// random bits that nobody tries them all. Here are 64 bits of its hash. They fit to very many tokens, and the backend
/// compares another hash. The password of the account would not do: a person may have made it up, and what is short can be tried.
#[must_use]
pub fn client_id(device: &str, token: &Secret) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, &[CLIENT_ID, token.expose().as_bytes()].concat());
    format!("{device}-{}", qris_core::hex(&hash.as_ref()[..8]))
}

/// Where the broker is, and how we appear there.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    broker: MqttSettings,
    /// There if and only if the broker uses TLS.
    tls: Option<Arc<ClientConfig>>,
    /// Also the key of our session at the broker, and the seed of the backoff.
    client_id: String,
    pub will: Option<Will>,
    /// Subscribed before [`MqttEvent::Up`], and again when the broker lost the session.
    pub subscriptions: Vec<Subscription>,
    /// The filter of the topics whose payload may be larger than [`MAX_PACKET`], and its most bytes.
    pub large: Option<(String, usize)>,
    /// How long the broker keeps our session without us, in seconds: [`SESSION_EXPIRY_S`] unless the caller sets less.
    pub session_expiry_s: u32,
}

impl LinkSettings {
    /// A connection to `broker` without will and subscriptions. The certificates of the settings are read here. The dates
    /// of the broker's certificate will be checked against `trusted`.
    pub fn new(broker: MqttSettings, client_id: impl Into<String>, trusted: &LastTrusted) -> Result<Self, TlsError> {
        let tls = if broker.tls {
            let client = broker.cert_file.as_deref().zip(broker.key_file.as_deref());
            Some(tls::client_config(broker.ca_file.as_deref(), client, trusted)?)
        } else {
            None
        };
        Ok(Self {
            broker,
            tls,
            client_id: client_id.into(),
            will: None,
            subscriptions: Vec::new(),
            large: None,
            session_expiry_s: SESSION_EXPIRY_S,
        })
    }
}

/// The last will. The broker publishes it (QoS 1) when the connection is gone for `delay_s` and was not closed properly.
#[derive(Debug, Clone)]
pub struct Will {
    pub topic: String,
    pub payload: Vec<u8>,
    pub retain: bool,
    /// The seconds between the loss and the will. A connection that comes back in time suppresses it.
    pub delay_s: u32,
    /// The broker keeps it for so many seconds.
    pub expiry_s: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The filter, wildcards allowed.
    pub filter: String,
    pub retained: Retained,
    /// Retain-as-published: a live message keeps its retain flag, so that a retained request is recognised.
    pub retain_as_published: bool,
    /// QoS 0 instead of 1. The broker queues nothing for us then, so no message is left out because there are too many. It is subscribed
    /// again at every connect: what was missed meanwhile comes if it is retained.
    pub at_most_once: bool,
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

/// The caller's number for a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublishId(pub u64);

/// A message to publish at QoS 1.
#[derive(Debug, Clone, Default)]
pub struct Outbound {
    pub topic: String,
    pub payload: Vec<u8>,
    pub retain: bool,
    /// The topic on which an answer is expected.
    pub response_topic: Option<String>,
    /// The answer returns it, and nobody here reads it.
    pub correlation_data: Option<Vec<u8>>,
    /// The broker drops the message undelivered after so many seconds.
    pub expiry_s: Option<u32>,
}

#[derive(Debug, Clone)]
pub struct Inbound {
    pub topic: String,
    /// Payload, of any size within [`MAX_PACKET`].
    pub payload: Vec<u8>,
    /// It was retained by its publisher (seen with retain-as-published), or came from the broker's retained store.
    pub retain: bool,
    /// The broker says that it sent the message before. Brokers forget to say so: recognise a repetition by its payload.
    pub dup: bool,
    /// 0 or 1.
    pub qos: u8,
    /// The seconds for which the broker still keeps it, if its publisher has set a time: each reader gets what is left of that.
    pub expiry_s: Option<u32>,
    pub response_topic: Option<String>,
    /// The answer must return it.
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
    #[must_use]
    pub const fn numbered(number: u64) -> Self {
        Self { connection: 1, number }
    }
}

#[derive(Debug, Clone)]
pub enum MqttEvent {
    /// Connected and subscribed. Messages of a kept session follow it, however soon the broker sends them.
    Up {
        /// The broker kept our session, and with it what it queued for us.
        session_present: bool,
        /// Filters that the broker refused, with its reason: the link is faulty. The next connection asks for them
        /// again.
        refused: Vec<(String, Box<str>)>,
    },
    /// A connection was lost or an attempt failed. The next attempt follows by itself.
    Down {
        reason: String,
        /// The broker refuses our name or password.
        refused: bool,
        certificate: Option<CertificateRefusal>,
        /// The broker has thrown us out: it says that another one took our place, or it ended a connection of less than
        /// [`STABLE_AFTER`] without a word, as Mosquitto 2.0.11 does then.
        thrown_out: bool,
    },
    Message(Inbound),
    /// The broker has it.
    Delivered {
        id: PublishId,
        /// False: the broker says that nobody subscribes to the topic (0x10), not even a subscriber that is away and
        /// comes back.
        heard: bool,
    },
    /// The broker, or the protocol, refuses the message. It would refuse the same message again.
    Rejected {
        id: PublishId,
        /// The reason code's name, and the broker's own words (Reason String) if it gave some: at most 200 characters of them.
        reason: Box<str>,
    },
    /// Nobody knows whether the broker has it. Publish it again after the next [`MqttEvent::Up`]. If more than
    /// [`PUBLISHES_WAITING_MAX`] were waiting, publish it again when another was answered.
    Undelivered(PublishId),
}

/// The handle of the connection. No method blocks or needs a runtime: any thread may hold a clone.
///
/// When the last handle or the receiver of events is dropped, the connection breaks off without a goodbye, and the
/// broker publishes the will. [`Mqtt::stop`] ends it properly.
#[derive(Debug, Clone)]
pub struct Mqtt {
    // It has no bound, since `ack` must not fail. It holds at most one ack for each message that was taken, and the
    // caller's publishes.
    commands: mpsc::UnboundedSender<LinkCommand>,
}

#[derive(Debug)]
enum LinkCommand {
    Publish(PublishId, Outbound),
    Ack(Ack),
    DropConnection,
    Stop(Option<Outbound>),
}

impl Mqtt {
    /// Starts to connect, in a task of the current tokio runtime. The runtime must drive I/O and time. `capacity`
    /// events can wait in the returned channel.
    #[must_use]
    pub fn start(settings: LinkSettings, capacity: usize) -> (Self, mpsc::Receiver<MqttEvent>) {
        let (commands, commands_rx) = mpsc::unbounded_channel();
        let (events, events_rx) = mpsc::channel(capacity);
        tokio::spawn(link::run(settings, commands_rx, events));
        (Self { commands }, events_rx)
    }

    /// Publishes at QoS 1, after all earlier publishes. Exactly one of [`MqttEvent::Delivered`],
    /// [`MqttEvent::Rejected`] and [`MqttEvent::Undelivered`] answers. Without a connection, `Undelivered` comes at
    /// once.
    pub fn publish(&self, id: PublishId, message: Outbound) {
        self.send(LinkCommand::Publish(id, message));
    }

    /// Marks a message as stored. Acknowledgements leave in the order in which the messages came. So a message that
    /// is never marked holds up all behind it. If the connection is gone, nothing happens, and the broker sends the
    /// message again.
    pub fn ack(&self, ack: Ack) {
        self.send(LinkCommand::Ack(ack));
    }

    /// Breaks the connection off after [`DROP_WAIT`] and connects again with backoff. Then the broker sends all
    /// unacknowledged messages again. This is for a message that could not be stored. Publishes of that time still get
    /// out, such as the refusals of later messages.
    pub fn drop_connection(&self) {
        self.send(LinkCommand::DropConnection);
    }

    /// Publishes `last`, waits up to [`STOP_WAIT`] for its acknowledgement, disconnects (the will is not published) and
    /// ends. Then the channel of events closes. Messages that come meanwhile stay at the broker.
    pub fn stop(&self, last: Option<Outbound>) {
        self.send(LinkCommand::Stop(last));
    }

    fn send(&self, command: LinkCommand) {
        // An error says that the task has ended. The caller asked for that with `stop`, or dropped the receiver.
        drop(self.commands.send(command));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_knows_a_client_id_who_does_not_have_the_token() {
        let token = |text: &str| Secret::new(text);
        let id = client_id("vm-001", &token("a token"));
        assert_eq!(id, client_id("vm-001", &token("a token")), "the same after a restart");
        assert_ne!(id, client_id("vm-001", &token("another token")));
        let digits = id.strip_prefix("vm-001-").expect("whose it is");
        assert!(digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
        // It is no part of what the backend keeps of the token.
        let kept = ring::digest::digest(&ring::digest::SHA256, b"a token");
        assert!(!qris_core::hex(kept.as_ref()).contains(digits));
    }
}
