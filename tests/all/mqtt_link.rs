//! The connection to the broker, against BareBroker and, where the bytes matter, against a broker of a few lines.

use crate::rig::bare_broker::BareBroker;
use crate::rig::certificates::Certificates;
use crate::rig::{PATIENCE, soon};
use qris::host::config::MqttSettings;
use qris::host::http;
use qris::host::mqtt::{Inbound, LinkSettings, Mqtt, MqttEvent, Outbound, PUBLISHES_AT_ONCE, PublishId, Retained, Subscription, Will};
use qris::host::tls::{self, CertificateRefusal, LastTrusted};
use qris::order::time::Wall;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::Receiver;

/// A connection and what it reported.
struct Link {
    mqtt: Mqtt,
    events: Receiver<MqttEvent>,
}

impl Link {
    fn start(settings: LinkSettings) -> Self {
        let (mqtt, events) = Mqtt::start(settings, 4);
        Self { mqtt, events }
    }

    /// One that is up, subscribed to `filters`.
    async fn up(port: u16, client_id: &str, filters: &[&str]) -> Self {
        let mut link = Self::start(settings(port, client_id, filters));
        link.wait_up().await;
        link
    }

    async fn next(&mut self) -> MqttEvent {
        soon("an event of the connection", self.events.recv()).await.expect("the connection lives")
    }

    /// Whether the broker kept the session. Failed attempts on the way are passed over.
    async fn wait_up(&mut self) -> bool {
        loop {
            match self.next().await {
                MqttEvent::Up { session_present, refused } => {
                    assert!(refused.is_empty(), "{refused:?}");
                    return session_present;
                }
                MqttEvent::Down { .. } => {}
                other => panic!("not up but {other:?}"),
            }
        }
    }

    async fn message(&mut self) -> Inbound {
        match self.next().await {
            MqttEvent::Message(message) => message,
            other => panic!("not a message but {other:?}"),
        }
    }

    async fn wait_down(&mut self) -> (String, Option<CertificateRefusal>) {
        match self.next().await {
            MqttEvent::Down { reason, certificate, .. } => (reason, certificate),
            other => panic!("not down but {other:?}"),
        }
    }

    /// Publishes and waits for the broker's word.
    async fn deliver(&mut self, id: u64, topic: &str, payload: &str) {
        self.mqtt.publish(PublishId(id), outbound(topic, payload));
        match self.next().await {
            MqttEvent::Delivered { id: PublishId(delivered), .. } => assert_eq!(delivered, id),
            other => panic!("not delivered but {other:?}"),
        }
    }
}

fn settings(port: u16, client_id: &str, filters: &[&str]) -> LinkSettings {
    let subscribe = |filter: &&str| Subscription {
        filter: (*filter).to_owned(),
        retained: Retained::Never,
        retain_as_published: true,
        at_most_once: false,
    };
    let mut settings = LinkSettings::new(broker(port), client_id, &LastTrusted::default()).expect("there are no certificates to read");
    settings.subscriptions = filters.iter().map(subscribe).collect();
    settings
}

/// Without TLS, user and password.
fn broker(port: u16) -> MqttSettings {
    MqttSettings {
        host: "127.0.0.1".to_owned(),
        port,
        tls: false,
        username: None,
        password: None,
        ca_file: None,
        cert_file: None,
        key_file: None,
    }
}

fn outbound(topic: &str, payload: &str) -> Outbound {
    Outbound { topic: topic.to_owned(), payload: payload.into(), ..Outbound::default() }
}

fn text(message: &Inbound) -> &str {
    std::str::from_utf8(&message.payload).expect("the tests send text")
}

#[tokio::test]
async fn a_publish_is_answered_whether_or_not_somebody_listens() {
    let broker = BareBroker::start("");
    let mut machine = Link::up(broker.port, "machine", &["vend/#"]).await;
    let mut controller = Link::up(broker.port, "controller", &[]).await;
    controller.mqtt.publish(PublishId(1), outbound("nobody/listens", "x"));
    assert!(matches!(controller.next().await, MqttEvent::Delivered { id: PublishId(1), heard: false }));
    let request = Outbound {
        response_topic: Some("answer/here".to_owned()),
        correlation_data: Some(vec![0, 255, 7]),
        expiry_s: Some(60),
        retain: true,
        ..outbound("vend/request", "{}")
    };
    controller.mqtt.publish(PublishId(2), request);
    assert!(matches!(controller.next().await, MqttEvent::Delivered { id: PublishId(2), heard: true }));
    let message = machine.message().await;
    assert_eq!((message.topic.as_str(), text(&message), message.qos, message.dup), ("vend/request", "{}", 1, false));
    assert!(message.retain, "a live message keeps its retain flag");
    assert_eq!(message.response_topic.as_deref(), Some("answer/here"));
    assert_eq!(message.correlation_data.as_deref(), Some(&[0, 255, 7][..]));
}

#[tokio::test]
async fn publishes_leave_in_order() {
    let broker = BareBroker::start("");
    let mut machine = Link::up(broker.port, "machine", &["vend/#"]).await;
    let mut controller = Link::up(broker.port, "controller", &[]).await;
    for number in 0..40 {
        controller.mqtt.publish(PublishId(number), outbound("vend/request", &number.to_string()));
    }
    for number in 0..40 {
        assert!(matches!(controller.next().await, MqttEvent::Delivered { id: PublishId(delivered), .. } if delivered == number));
        let message = machine.message().await;
        assert_eq!(text(&message), number.to_string());
        machine.mqtt.ack(message.ack);
    }
}

#[tokio::test]
async fn after_a_restart_of_the_broker_an_unacknowledged_message_comes_again() {
    let mut broker = BareBroker::start("");
    let mut machine = Link::up(broker.port, "machine", &["vend/#"]).await;
    let mut controller = Link::up(broker.port, "controller", &[]).await;
    controller.deliver(1, "vend/request", "first").await;
    controller.deliver(2, "vend/request", "second").await;
    let first = machine.message().await;
    let second = machine.message().await;
    machine.mqtt.ack(first.ack);
    // The broker has the acknowledgement once it has what was sent after it.
    machine.deliver(9, "elsewhere", "x").await;

    broker.stop();
    machine.wait_down().await;
    machine.mqtt.publish(PublishId(10), outbound("elsewhere", "while down"));
    assert!(matches!(machine.next().await, MqttEvent::Undelivered(PublishId(10)) | MqttEvent::Down { .. }));
    // Marked while there is no connection: it must not go out on the next.
    machine.mqtt.ack(second.ack);
    broker.start_again();

    let mut again = None;
    let mut session = None;
    while again.is_none() || session.is_none() {
        match machine.next().await {
            MqttEvent::Up { session_present, .. } => session = Some(session_present),
            MqttEvent::Message(message) => again = Some(message),
            _ => {}
        }
    }
    assert_eq!(session, Some(true));
    let again = again.expect("the loop waited for it");
    assert_eq!((text(&again), again.dup), ("second", true));
    assert_ne!(again.ack, second.ack);
    machine.mqtt.ack(again.ack);
    controller.wait_down().await;
    controller.wait_up().await;
    controller.deliver(3, "vend/request", "third").await;
    assert_eq!(text(&machine.message().await), "third");
}

#[tokio::test]
async fn a_payload_over_8_kib_is_seen_and_one_over_the_packet_limit_does_no_harm() {
    let broker = BareBroker::start("");
    let mut machine = Link::up(broker.port, "machine", &["vend/#"]).await;
    let mut controller = Link::up(broker.port, "controller", &[]).await;
    let large = "x".repeat(20_000);
    controller.deliver(1, "vend/request", &large).await;
    let message = machine.message().await;
    assert_eq!(message.payload.len(), large.len());
    machine.mqtt.ack(message.ack);
    controller.deliver(2, "vend/request", &"x".repeat(100_000)).await;
    controller.deliver(3, "vend/request", "small").await;
    assert_eq!(text(&machine.message().await), "small");
}

#[tokio::test]
async fn what_the_broker_does_not_allow_is_rejected_by_name() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let acl = folder.path().join("acl");
    std::fs::write(&acl, "topic readwrite allowed/#\n").expect("the directory is writable");
    let broker = BareBroker::start(&format!("acl_file {}", acl.display()));
    let mut machine = Link::up(broker.port, "machine", &[]).await;
    machine.mqtt.publish(PublishId(1), outbound("forbidden/topic", "x"));
    match machine.next().await {
        MqttEvent::Rejected { id: PublishId(1), reason } => assert_eq!(&*reason, "not authorized"),
        other => panic!("{other:?}"),
    }
    machine.mqtt.publish(PublishId(2), outbound("wild/#", "x"));
    assert!(matches!(machine.next().await, MqttEvent::Rejected { id: PublishId(2), .. }));
    machine.deliver(3, "allowed/topic", "x").await;
}

#[tokio::test]
async fn a_packet_the_broker_does_not_take_is_rejected_and_the_rest_goes_on() {
    let broker = BareBroker::start("max_packet_size 2000");
    let mut machine = Link::up(broker.port, "machine", &[]).await;
    machine.mqtt.publish(PublishId(1), outbound("topic", &"x".repeat(3_000)));
    assert!(matches!(machine.next().await, MqttEvent::Rejected { id: PublishId(1), reason } if &*reason == "packet too large"));
    machine.wait_down().await;
    machine.wait_up().await;
    machine.deliver(2, "topic", "small").await;
}

#[tokio::test]
async fn the_will_is_published_after_a_break_and_not_after_a_stop() {
    let broker = BareBroker::start("");
    let mut observer = Link::up(broker.port, "observer", &["status"]).await;
    let with_will = || {
        let will = Will { topic: "status".to_owned(), payload: b"will".to_vec(), retain: true, delay_s: 0, expiry_s: 600 };
        let mut settings = settings(broker.port, "machine", &[]);
        settings.will = Some(will);
        settings
    };
    let mut machine = Link::start(with_will());
    machine.wait_up().await;
    drop(machine);
    let message = observer.message().await;
    assert_eq!((text(&message), message.retain), ("will", true));
    assert!(message.expiry_s.is_some_and(|left| (1..=600).contains(&left)), "what is left of its time: {:?}", message.expiry_s);
    observer.mqtt.ack(message.ack);

    let mut machine = Link::start(with_will());
    machine.wait_up().await;
    machine.mqtt.stop(Some(Outbound { retain: true, ..outbound("status", "offline") }));
    assert!(soon("the end", machine.events.recv()).await.is_none(), "the end is told by closing the channel");
    let message = observer.message().await;
    assert_eq!((text(&message), message.retain), ("offline", true));
    observer.mqtt.ack(message.ack);
    let mut controller = Link::up(broker.port, "controller", &[]).await;
    controller.deliver(1, "status", "marker").await;
    assert_eq!(text(&observer.message().await), "marker", "no will in between");
}

#[tokio::test]
async fn a_stop_without_a_connection_ends_at_once() {
    let mut machine = Link::start(settings(crate::rig::free_port(), "machine", &[]));
    machine.wait_down().await;
    machine.mqtt.stop(Some(outbound("status", "offline")));
    while soon("the end", machine.events.recv()).await.is_some() {}
}

/// A connection that trusts this authority, with our certificate or without.
fn over_tls(port: u16, certificates: &Certificates, authority: &str, client: bool, trusted: &LastTrusted) -> LinkSettings {
    let broker = MqttSettings {
        tls: true,
        ca_file: Some(certificates.certificate(authority)),
        cert_file: client.then(|| certificates.certificate("client")),
        key_file: client.then(|| certificates.key("client")),
        ..broker(port)
    };
    LinkSettings::new(broker, "machine", trusted).expect("the files are good")
}

/// The certificates are out of date by then.
const YEAR_2100: Wall = Wall(4_102_444_800_000);

#[tokio::test]
async fn tls_trusts_the_private_authority_and_no_other() {
    tls::install_provider();
    let certificates = Certificates::make();
    let broker = BareBroker::start(&format!(
        "certfile {}\nkeyfile {}",
        certificates.certificate("server").display(),
        certificates.key("server").display()
    ));
    for (authority, trusted, expected) in [
        ("ca", LastTrusted::default(), None),
        ("other-ca", LastTrusted::default(), Some(CertificateRefusal::Other)),
        ("ca", LastTrusted::new(YEAR_2100), Some(CertificateRefusal::Dates)),
    ] {
        let mut link = Link::start(over_tls(broker.port, &certificates, authority, false, &trusted));
        match expected {
            None => assert!(!link.wait_up().await),
            Some(refusal) => {
                // An attempt that took too long says nothing of the certificate.
                let said = async {
                    loop {
                        if let (reason, Some(certificate)) = link.wait_down().await {
                            return (reason, certificate);
                        }
                    }
                };
                let (reason, certificate) = soon("a word about the certificate", said).await;
                assert_eq!(certificate, refusal, "{authority}: {reason}");
            }
        }
    }
}

#[tokio::test]
async fn an_https_call_tells_a_refusal_for_dates_from_all_others() {
    tls::install_provider();
    let certificates = Certificates::make();
    // Any server that speaks TLS will do: what is asked is how the handshake ends.
    let server = BareBroker::start(&format!(
        "certfile {}\nkeyfile {}",
        certificates.certificate("server").display(),
        certificates.key("server").display()
    ));
    let limits = http::Limits { total: PATIENCE, read: PATIENCE, idle_connections: 1 };
    for (authority, trusted, refusal) in [
        ("ca", LastTrusted::default(), None),
        ("other-ca", LastTrusted::default(), Some(CertificateRefusal::Other)),
        ("ca", LastTrusted::new(YEAR_2100), Some(CertificateRefusal::Dates)),
    ] {
        let config = tls::client_config(Some(&certificates.certificate(authority)), None, &trusted).expect("the files are good");
        let client = http::client(Some(&config), limits).expect("a client");
        let refused = client.get(format!("https://127.0.0.1:{}/", server.port)).send().await.expect_err("no HTTP is spoken there");
        assert_eq!(tls::certificate_refusal(&refused), refusal, "{authority}: {refused:?}");
    }
}

/// A broker of a few lines, for what BareBroker does not show.
struct Script(TcpStream);

impl Script {
    /// Takes a connection and answers CONNECT (no session) and SUBSCRIBE with `code`. A client that waits too long for the answer goes, and
    /// comes again.
    async fn accept(listener: &TcpListener, code: u8) -> Self {
        loop {
            let (stream, _) = soon("a connection", listener.accept()).await.expect("a connection");
            let mut script = Self(stream);
            let Ok((connect, _)) = script.try_packet().await else { continue };
            assert_eq!(connect >> 4, 1, "CONNECT");
            drop(script.0.write_all(&[0x20, 3, 0, 0, 0]).await);
            let Ok((kind, body)) = script.try_packet().await else { continue };
            assert_eq!(kind >> 4, 8, "SUBSCRIBE");
            script.send(&[0x90, 4, body[0], body[1], 0, code]).await;
            return script;
        }
    }

    /// The first byte and the rest of the next packet.
    async fn packet(&mut self) -> (u8, Vec<u8>) {
        self.try_packet().await.expect("a packet")
    }

    /// The same; an error if the client has gone.
    async fn try_packet(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        soon("a packet", async {
            let kind = self.0.read_u8().await?;
            let mut length = 0_usize;
            for shift in (0..28).step_by(7) {
                let byte = self.0.read_u8().await?;
                length |= usize::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).await?;
            std::io::Result::Ok((kind, body))
        })
        .await
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("the client listens");
    }

    /// A QoS 1 publish to `t` with this packet id.
    async fn publish(&mut self, packet_id: u8) {
        self.send(&[0x32, 7, 0, 1, b't', 0, packet_id, 0, b'x']).await;
    }

    /// The packet id of the next packet, which must be a QoS 1 publish with a short topic.
    async fn publish_id(&mut self) -> u8 {
        let (kind, body) = self.packet().await;
        assert_eq!(kind, 0x32, "PUBLISH");
        body[2 + usize::from(body[1]) + 1]
    }

    /// The packet id of the next packet, which must be a PUBACK.
    async fn puback(&mut self) -> u8 {
        let (kind, body) = self.packet().await;
        assert_eq!(kind >> 4, 4, "PUBACK");
        body[1]
    }
}

async fn script_listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has free ports");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port)
}

/// One closes at CONNECT, one answers in its own way, one waits for what never comes.
#[tokio::test]
async fn a_broker_that_speaks_another_version_is_called_so_within_seconds() {
    for answer in [Some(&[][..]), Some(&[0x20, 2, 0, 1]), None] {
        let (listener, port) = script_listener().await;
        let mut machine = Link::start(settings(port, "machine", &["t"]));
        let (stream, _) = soon("a connection", listener.accept()).await.expect("a connection");
        let mut script = Script(stream);
        assert_eq!(script.packet().await.0 >> 4, 1, "CONNECT");
        if let Some(answer) = answer {
            script.send(answer).await;
            drop(script);
        }
        let (reason, _) = machine.wait_down().await;
        assert!(reason.ends_with("does this broker speak MQTT 5?"), "{answer:?}: {reason}");
    }
}

/// The client gives packet ids in turn, and waits for ever if it comes to one that is still in use.
#[tokio::test]
async fn few_publishes_are_in_flight_and_none_is_lapped() {
    let (listener, port) = script_listener().await;
    let mut machine = Link::start(settings(port, "machine", &["t"]));
    let mut broker = Script::accept(&listener, 1).await;
    machine.wait_up().await;
    (0..40).for_each(|number| machine.mqtt.publish(PublishId(number), outbound("elsewhere", "x")));
    let mut sent = Vec::new();
    for _ in 0..PUBLISHES_AT_ONCE {
        sent.push(broker.publish_id().await);
    }
    // All but the first are answered.
    for (packet_id, number) in sent[1..].iter().zip(1..) {
        broker.send(&[0x40, 2, 0, *packet_id]).await;
        assert!(matches!(machine.next().await, MqttEvent::Delivered { id: PublishId(of), .. } if of == number));
    }
    broker.publish(3).await;
    let message = machine.message().await;
    machine.mqtt.ack(message.ack);
    assert_eq!(broker.puback().await, 3, "no publish left before this");
    broker.send(&[0x40, 2, 0, sent[0]]).await;
    assert!(matches!(machine.next().await, MqttEvent::Delivered { id: PublishId(0), .. }));
    for number in PUBLISHES_AT_ONCE as u64..40 {
        let packet_id = broker.publish_id().await;
        broker.send(&[0x40, 2, 0, packet_id]).await;
        assert!(matches!(machine.next().await, MqttEvent::Delivered { id: PublishId(of), .. } if of == number));
    }
}

/// Whoever takes a message can answer it.
#[tokio::test]
async fn what_a_kept_session_brings_follows_the_news_of_the_connection() {
    let (listener, port) = script_listener().await;
    let mut machine = Link::start(settings(port, "machine", &["t"]));
    let mut broker = Script(soon("a connection", listener.accept()).await.expect("a connection").0);
    assert_eq!(broker.packet().await.0 >> 4, 1, "CONNECT");
    // The session is there, and what waited in it comes at once.
    broker.send(&[0x20, 3, 1, 0, 0]).await;
    broker.publish(7).await;
    let (kind, body) = broker.packet().await;
    assert_eq!(kind >> 4, 8, "SUBSCRIBE");
    broker.send(&[0x90, 4, body[0], body[1], 0, 1]).await;
    assert!(machine.wait_up().await, "the session was kept");
    let message = machine.message().await;
    machine.mqtt.ack(message.ack);
    assert_eq!(broker.puback().await, 7);
}

#[tokio::test]
async fn a_refused_subscription_is_told_and_asked_for_again() {
    let (listener, port) = script_listener().await;
    let mut machine = Link::start(settings(port, "machine", &["t"]));
    let broker = Script::accept(&listener, 0x87).await;
    match machine.next().await {
        MqttEvent::Up { refused, .. } => assert_eq!(refused, [("t".to_owned(), "not authorized".into())]),
        other => panic!("{other:?}"),
    }
    drop(broker);
    machine.wait_down().await;
    let _broker = Script::accept(&listener, 1).await;
    machine.wait_up().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_broker_that_says_nothing() {
    let (listener, port) = script_listener().await;
    let mut machine = Link::start(settings(port, "machine", &["t"]));
    let mut broker = Script::accept(&listener, 1).await;
    machine.wait_up().await;
    let since = std::time::Instant::now();
    machine.mqtt.stop(Some(outbound("status", "offline")));
    assert_eq!(broker.packet().await.0 >> 4, 3, "the last message");
    assert_eq!(broker.packet().await.0 >> 4, 14, "DISCONNECT without its PUBACK");
    assert!(soon("the end", machine.events.recv()).await.is_none());
    assert!(since.elapsed() >= qris::host::mqtt::STOP_WAIT);
}
