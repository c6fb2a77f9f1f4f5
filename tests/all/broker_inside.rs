//! The broker inside the demo does for the programs what Mosquitto does. The same is asked of both, but for what Mosquitto does not say.

use crate::rig::inside::Inside;
use crate::rig::mosquitto::{Mosquitto, TAP, password};
use crate::rig::tap::Tap;
use crate::rig::{PATIENCE, soon, wait_for};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, Filter, LastWill, LastWillProperties, Packet, PublishProperties, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use tempfile::TempDir;

const DEVICE: &str = "vm-001";
const REQUEST: &str = "qrisd/v1/vm-001/vend/request";
const STATUS: &str = "qrisd/v1/vm-001/status";

struct Both {
    inside: Inside,
    mosquitto: Mosquitto,
    _directory: TempDir,
}

impl Both {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mosquitto = Mosquitto::start(directory.path(), None, false);
        Self { inside: Inside::start(directory.path()), mosquitto, _directory: directory }
    }

    fn each(&self) -> [(&'static str, u16); 2] {
        [("inside", self.inside.port), ("Mosquitto", self.mosquitto.port)]
    }
}

/// A client of a broker. When it is dropped its connection ends without a word.
struct Guest {
    client: AsyncClient,
    events: EventLoop,
}

impl Guest {
    fn new(port: u16, client_id: &str, set: impl FnOnce(&mut MqttOptions)) -> Self {
        let mut options = MqttOptions::new(client_id, "127.0.0.1", port);
        options.set_credentials(DEVICE, password(DEVICE)).set_clean_start(false);
        set(&mut options);
        let (client, events) = AsyncClient::new(options, 16);
        Self { client, events }
    }

    /// The first packet of which `look` makes something.
    async fn packet<T>(&mut self, what: &str, look: impl Fn(&Packet) -> Option<T>) -> T {
        let found = async {
            loop {
                match self.events.poll().await {
                    Ok(Event::Incoming(packet)) => {
                        if let Some(found) = look(&packet) {
                            return found;
                        }
                    }
                    Ok(Event::Outgoing(_)) => {}
                    Err(why) => panic!("{what}: {why}"),
                }
            }
        };
        soon(what, found).await
    }

    /// Whether the broker had a session of this client.
    async fn connected(&mut self) -> bool {
        self.packet("a connection", |packet| match packet {
            Packet::ConnAck(ack) => Some(ack.session_present),
            _ => None,
        })
        .await
    }

    async fn subscribed(&mut self, filters: &[&str]) -> Vec<SubscribeReasonCode> {
        let filters: Vec<_> = filters.iter().map(|filter| Filter::new(*filter, QoS::AtLeastOnce)).collect();
        self.client.subscribe_many(filters).await.expect("there is room");
        self.packet("a subscription", |packet| match packet {
            Packet::SubAck(ack) => Some(ack.return_codes.clone()),
            _ => None,
        })
        .await
    }

    /// The next message.
    async fn heard(&mut self) -> Vec<u8> {
        self.packet("a message", |packet| match packet {
            Packet::Publish(message) => Some(message.payload.to_vec()),
            _ => None,
        })
        .await
    }

    /// Why the broker ended the connection, or refused it.
    async fn refused(&mut self) -> ConnectionError {
        let ended = async {
            loop {
                if let Err(why) = self.events.poll().await {
                    return why;
                }
            }
        };
        soon("the end of a connection", ended).await
    }
}

fn session_of(seconds: u32) -> impl FnOnce(&mut MqttOptions) {
    move |options| {
        options.set_session_expiry_interval(Some(seconds));
    }
}

#[tokio::test]
async fn a_name_and_its_password_are_asked_for() {
    let both = Both::start();
    for (broker, port) in both.each() {
        Guest::new(port, "right", |_| {}).connected().await;
        for (user, secret) in [(DEVICE, password("vm-002")), ("nobody", password("nobody"))] {
            let mut guest = Guest::new(port, "wrong", |options| {
                options.set_credentials(user, secret);
            });
            let why = guest.refused().await;
            let ConnectionError::ConnectionRefused(code) = why else { panic!("{broker}: {why}") };
            assert!(matches!(code, ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized), "{broker}: {code:?}");
        }
        let plain = MqttOptions::new("nameless", "127.0.0.1", port);
        let (client, events) = AsyncClient::new(plain, 16);
        let why = Guest { client, events }.refused().await;
        assert!(matches!(why, ConnectionError::ConnectionRefused(_)), "{broker}: {why}");
    }
}

#[tokio::test]
async fn a_session_waits_for_its_client() {
    let both = Both::start();
    for (broker, port) in both.each() {
        let mut machine = Guest::new(port, "machine", session_of(60));
        assert!(!machine.connected().await, "{broker}");
        machine.subscribed(&[REQUEST]).await;
        drop(machine);
        let shop = Tap::connect_at(port, TAP, &password(TAP), &[]);
        shop.publish_bytes(REQUEST, b"{}", false);
        let mut machine = Guest::new(port, "machine", session_of(0));
        assert!(machine.connected().await, "{broker} kept no session");
        assert_eq!(machine.heard().await, b"{}", "{broker}");
        drop(machine);
        // The broker may see the end of the connection later than we do: then it takes the place of the old one, and nothing is kept, too.
        assert!(!Guest::new(port, "machine", session_of(0)).connected().await, "{broker} kept a session of no length");
    }
}

/// A will has a delay, and its session has a length. The shorter of the two counts.
#[tokio::test]
async fn a_will_comes_after_its_delay_or_with_the_end_of_the_session() {
    let both = Both::start();
    for (broker, port) in both.each() {
        for (delay, session) in [(1, 600), (600, 1)] {
            let hears = Tap::connect_at(port, TAP, &password(TAP), &[STATUS]);
            let from = hears.count();
            let payload = format!("delay {delay}");
            let will = |options: &mut MqttOptions| {
                let properties = LastWillProperties {
                    delay_interval: Some(delay),
                    payload_format_indicator: None,
                    message_expiry_interval: None,
                    content_type: None,
                    response_topic: None,
                    correlation_data: None,
                    user_properties: Vec::new(),
                };
                options.set_session_expiry_interval(Some(session));
                options.set_last_will(LastWill::new(STATUS, payload.clone(), QoS::AtLeastOnce, true, Some(properties)));
            };
            Guest::new(port, &format!("mortal-{delay}"), will).connected().await;
            hears.wait_from(from, broker, |message| (message.payload == payload.as_bytes()).then_some(()));
            // It is kept for whoever comes later.
            let later = Tap::connect_at(port, TAP, &password(TAP), &[STATUS]);
            later.wait_from(0, broker, |message| (message.retain && message.payload == payload.as_bytes()).then_some(()));
        }
    }
}

#[tokio::test]
async fn a_message_goes_when_its_time_is_over() {
    let both = Both::start();
    for (broker, port) in both.each() {
        let shop = Tap::connect_at(port, TAP, &password(TAP), &[]);
        let until = |seconds| PublishProperties { message_expiry_interval: Some(seconds), ..PublishProperties::default() };
        // The first message that a new client hears.
        let kept = || {
            let hears = Tap::connect_at(port, TAP, &password(TAP), &[STATUS]);
            shop.publish_bytes(STATUS, b"the end", false);
            hears.wait_from(0, broker, |message| (message.payload == b"the end").then_some(()));
            hears.messages()[0].payload.clone()
        };
        shop.publish_with(STATUS, b"long", true, until(600));
        assert_eq!(kept(), b"long", "{broker}");

        let mut machine = Guest::new(port, "machine", session_of(600));
        machine.connected().await;
        machine.subscribed(&[REQUEST]).await;
        machine.client.disconnect().await.expect("there is room");
        machine.refused().await;
        shop.publish_with(REQUEST, b"short", false, until(1));
        // Its time ends later. So when this one has gone, the other one has, too.
        shop.publish_with(STATUS, b"short", true, until(2));
        wait_for("a broker that forgets", || (kept() == b"the end").then_some(()));
        shop.publish_bytes(REQUEST, b"the end", false);
        let mut machine = Guest::new(port, "machine", session_of(0));
        assert!(machine.connected().await, "{broker} kept no session");
        assert_eq!(machine.heard().await, b"the end", "{broker}");
    }
}

/// A connection to a broker as its bytes, after the broker's CONNACK.
fn bare(port: u16) -> TcpStream {
    let text = |text: &str| [&u16::try_from(text.len()).expect("short").to_be_bytes(), text.as_bytes()].concat();
    // MQTT 5, with a name and a password, kept alive for 60 s, without properties.
    let head = [&text("MQTT")[..], &[5, 0b1100_0000, 0, 60, 0]].concat();
    let body = [head, text("same"), text(DEVICE), text(&password(DEVICE))].concat();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a broker");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    stream.write_all(&[&[0x10, u8::try_from(body.len()).expect("short")], &body[..]].concat()).expect("sent");
    let mut begin = [0; 2];
    stream.read_exact(&mut begin).expect("an answer");
    stream.read_exact(&mut vec![0; begin[1].into()]).expect("the rest of it");
    stream
}

/// Mosquitto 2.0.11 closes in silence, and this broker says why. rumqttc 0.25 does not understand a DISCONNECT that ends with its reason,
/// as MQTT 5 lets it, and says "closed". So this looks at bytes.
#[test]
fn who_takes_the_place_of_another_is_the_reason_that_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = Inside::start(directory.path());
    let mut first = bare(broker.port);
    let _second = bare(broker.port);
    let mut said = Vec::new();
    first.read_to_end(&mut said).expect("all until its end");
    // DISCONNECT, its length, "session taken over".
    assert!(matches!(said[..], [0xe0, _, 0x8e, ..]), "{said:x?}");
}

/// This broker says so, where Mosquitto is silent.
#[tokio::test]
async fn a_machine_that_asks_for_anothers_topics_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let broker = Inside::start(directory.path());
    let mut machine = Guest::new(broker.port, "curious", |_| {});
    machine.connected().await;
    let others = [
        "qrisd/v1/vm-002/vend/request",
        "qrisd/v1/vm-002/#",
        "qrisd/v1/+/vend/request",
        "qrisd/v1/+/payment/update",
        "qrisd/v1/#",
        "#",
        "+/v1/vm-001/vend/request",
        "$share/all/qrisd/v1/vm-002/vend/request",
        // Of its own it hears only what is for it.
        "qrisd/v1/vm-001/#",
        "qrisd/v1/vm-001/vend/+",
    ];
    assert_eq!(machine.subscribed(&others).await, [SubscribeReasonCode::NotAuthorized; 10]);
    let own = machine.subscribed(&[REQUEST, "qrisd/v1/vm-001/cmd/+/request"]).await;
    assert_eq!(own, [SubscribeReasonCode::Success(QoS::AtLeastOnce); 2]);
}
