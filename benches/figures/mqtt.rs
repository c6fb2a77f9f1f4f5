//! The least of an MQTT 5 client: what a controller, a backend and an observer need, with nothing between a call and the
//! socket, so that what is measured is the machine and the broker.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// How long the broker may take for an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
pub struct Client {
    stream: TcpStream,
    packet_id: u16,
}

/// A message that came, and when.
#[derive(Debug, Clone)]
pub struct Message {
    pub at: Instant,
    pub topic: String,
    pub payload: Vec<u8>,
}

impl Client {
    /// Connects with a clean session.
    pub fn connect(port: u16, user: &str, password: &str) -> Self {
        Self::connect_as(&format!("bench-{user}"), port, user, password)
    }

    /// The same as another client of this user.
    pub fn connect_as(id: &str, port: u16, user: &str, password: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the broker listens");
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a TCP socket");
        let mut client = Self { stream, packet_id: 0 };
        let mut body = text("MQTT");
        // Version 5; user name, password, clean start; no keep-alive; no properties.
        body.extend([5, 0b1100_0010, 0, 0, 0]);
        for field in [id, user, password] {
            body.extend(text(field));
        }
        client.send(0x10, &body);
        let (kind, answer) = client.receive();
        assert!(kind >> 4 == 2 && answer.get(1) == Some(&0), "the broker does not let {user} in: {answer:?}");
        client
    }

    /// Publishes at QoS 1 and waits for the acknowledgement; the time of the call.
    pub fn publish(&mut self, topic: &str, payload: &[u8]) -> Instant {
        self.publish_with(topic, payload, false, None)
    }

    /// The same, perhaps retained, perhaps with a topic for the answer.
    pub fn publish_with(&mut self, topic: &str, payload: &[u8], retain: bool, answer: Option<&str>) -> Instant {
        self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
        let mut body = text(topic);
        body.extend(self.packet_id.to_be_bytes());
        let properties = answer.map(|topic| [&[8][..], &text(topic)].concat()).unwrap_or_default();
        body.push(u8::try_from(properties.len()).expect("a short topic"));
        body.extend(properties);
        body.extend(payload);
        let at = Instant::now();
        self.send(0x32 | u8::from(retain), &body);
        let (kind, answer) = self.receive();
        assert!(kind >> 4 == 4 && answer.get(2).is_none_or(|reason| *reason < 0x80), "the broker refuses {topic}: {answer:?}");
        at
    }

    /// Hears a topic from now on, on a thread of its own.
    pub fn listen(mut self, filters: &[&str]) -> Receiver<Message> {
        let mut body = vec![0, 1, 0];
        for filter in filters {
            body.extend(text(filter));
            // QoS 0: the broker sends, and expects no answer.
            body.push(0);
        }
        self.send(0x82, &body);
        let (messages, receiver) = channel();
        loop {
            // Retained messages may come before the answer.
            let (kind, body) = self.receive();
            if kind >> 4 == 9 {
                assert!(body[3..].iter().all(|reason| *reason < 0x80), "the broker refuses {filters:?}");
                break;
            }
            deliver(kind, &body, &messages);
        }
        self.stream.set_read_timeout(None).expect("a TCP socket");
        std::thread::spawn(move || {
            while let Some((kind, body)) = self.try_receive() {
                if !deliver(kind, &body, &messages) {
                    return;
                }
            }
        });
        receiver
    }

    fn send(&mut self, kind: u8, body: &[u8]) {
        let mut packet = vec![kind];
        packet.extend(length(body.len()));
        packet.extend(body);
        self.stream.write_all(&packet).expect("the broker reads");
    }

    fn receive(&mut self) -> (u8, Vec<u8>) {
        self.try_receive().expect("the broker answers")
    }

    fn try_receive(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut byte = || {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).ok().map(|()| byte[0])
        };
        let kind = byte()?;
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let next = byte()?;
            length |= usize::from(next & 127) << shift;
            if next < 128 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        Some((kind, body))
    }
}

/// Hands a message over; `false` when nobody listens any more.
fn deliver(kind: u8, body: &[u8], to: &Sender<Message>) -> bool {
    if kind >> 4 != 3 {
        return true;
    }
    let at = Instant::now();
    let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
    // QoS 0 has no packet id; properties of these messages are shorter than 128 bytes.
    let payload = end + 1 + usize::from(body[end]);
    let topic = String::from_utf8_lossy(&body[2..end]).into_owned();
    to.send(Message { at, topic, payload: body[payload..].to_vec() }).is_ok()
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

fn length(mut length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (length & 127) as u8;
        length >>= 7;
        bytes.push(if length > 0 { low | 128 } else { low });
        if length == 0 {
            return bytes;
        }
    }
}
