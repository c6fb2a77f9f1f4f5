//! Reads along what passes through a cable, as HTTP/1.1. What it does not understand it does not hear; what is carried is
//! never changed.

use serde_json::Value;
use std::collections::VecDeque;

/// A message longer than this, in bytes, is not listened to any more, nor anything after it on the same connection.
const MESSAGE_MAX: usize = 256 * 1024;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the one who connected.
    There,
    /// To it.
    Back,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// GET, POST, …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// `Null` where it is no JSON.
    pub body: Value,
}

/// One whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A request.
    Asked(Asked),
    /// The answer to it.
    Answered {
        /// What was asked.
        asked: Asked,
        /// The HTTP status.
        status: u16,
        /// `Null` where it is no JSON.
        body: Value,
    },
}

/// One connection.
#[derive(Debug, Default)]
pub struct Tap {
    there: Vec<u8>,
    back: Vec<u8>,
    /// Asked, and not answered yet.
    open: VecDeque<Asked>,
    deaf: bool,
}

impl Tap {
    /// Nothing has passed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is whole now that these bytes have passed.
    pub fn hear(&mut self, direction: Direction, bytes: &[u8]) -> Vec<Heard> {
        let mut news = Vec::new();
        if self.deaf {
            return news;
        }
        let waiting = match direction {
            Direction::There => &mut self.there,
            Direction::Back => &mut self.back,
        };
        waiting.extend_from_slice(bytes);
        while !self.deaf {
            let waiting = match direction {
                Direction::There => &mut self.there,
                Direction::Back => &mut self.back,
            };
            match take(waiting) {
                Taken::Nothing => break,
                Taken::Message(line, body) => match self.read(direction, &line, body) {
                    Some(heard) => news.push(heard),
                    None => self.deaf = true,
                },
                Taken::Strange => self.deaf = true,
            }
        }
        if self.deaf {
            (self.there, self.back, self.open) = Default::default();
        }
        news
    }

    fn read(&mut self, direction: Direction, line: &str, body: Value) -> Option<Heard> {
        let mut words = line.split(' ');
        match direction {
            Direction::There => {
                let asked = Asked { method: words.next()?.into(), target: words.next()?.into(), body };
                if !words.next()?.starts_with("HTTP/1.") {
                    return None;
                }
                self.open.push_back(asked.clone());
                Some(Heard::Asked(asked))
            }
            Direction::Back => {
                if !words.next()?.starts_with("HTTP/1.") {
                    return None;
                }
                let status = words.next()?.parse().ok()?;
                Some(Heard::Answered { asked: self.open.pop_front()?, status, body })
            }
        }
    }
}

enum Taken {
    /// Not whole yet.
    Nothing,
    /// First line and body.
    Message(String, Value),
    /// No HTTP/1.1 that can be read.
    Strange,
}

fn take(waiting: &mut Vec<u8>) -> Taken {
    let Some(end) = waiting.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if waiting.len() > MESSAGE_MAX || waiting.first().is_some_and(|byte| !byte.is_ascii_uppercase()) {
            Taken::Strange
        } else {
            Taken::Nothing
        };
    };
    let Ok(head) = std::str::from_utf8(&waiting[..end]) else { return Taken::Strange };
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let mut length = 0;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Taken::Strange;
        }
        if name.eq_ignore_ascii_case("content-length") {
            match value.trim().parse() {
                Ok(told) if told <= MESSAGE_MAX => length = told,
                _ => return Taken::Strange,
            }
        }
    }
    let whole = end + 4 + length;
    if waiting.len() < whole {
        return Taken::Nothing;
    }
    let body = serde_json::from_slice(&waiting[end + 4..whole]).unwrap_or(Value::Null);
    waiting.drain(..whole);
    Taken::Message(first, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const REQUEST: &str =
        "POST /v1/orders HTTP/1.1\r\ncontent-length: 13\r\nHost: x\r\n\r\n{\"item\":\"A1\"}GET /v1/orders/o-1 HTTP/1.1\r\n\r\n";
    const ANSWER: &str = "HTTP/1.1 201 Created\r\nContent-Length: 20\r\n\r\n{\"status\":\"pending\"}HTTP/1.1 204 No Content\r\n\r\n";

    #[test]
    fn messages_are_heard_whole_however_they_are_cut() {
        let asked = Asked { method: "POST".into(), target: "/v1/orders".into(), body: json!({ "item": "A1" }) };
        let poll = Asked { method: "GET".into(), target: "/v1/orders/o-1".into(), body: Value::Null };
        let wanted = [
            Heard::Asked(asked.clone()),
            Heard::Asked(poll.clone()),
            Heard::Answered { asked, status: 201, body: json!({ "status": "pending" }) },
            Heard::Answered { asked: poll, status: 204, body: Value::Null },
        ];
        for step in [1, 7, 1000] {
            let mut tap = Tap::new();
            let mut heard = Vec::new();
            for (direction, text) in [(Direction::There, REQUEST), (Direction::Back, ANSWER)] {
                text.as_bytes().chunks(step).for_each(|bytes| heard.extend(tap.hear(direction, bytes)));
            }
            assert_eq!(heard, wanted, "{step} bytes at a time");
        }
    }

    #[test]
    fn what_is_not_understood_is_not_heard_nor_kept() {
        let long = format!("GET /{} HTTP/1.1\r\ncontent-length: 999999999\r\n\r\n", "x".repeat(10));
        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\n";
        for strange in ["\x10\x2f\x00\x04MQTT", &long, chunked, "GET\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", &"A".repeat(MESSAGE_MAX + 1)] {
            let mut tap = Tap::new();
            assert_eq!(tap.hear(Direction::There, strange.as_bytes()), []);
            assert_eq!(tap.hear(Direction::There, REQUEST.as_bytes()), [], "deaf from there on");
            assert!(tap.there.is_empty() && tap.back.is_empty());
        }
        assert_eq!(Tap::new().hear(Direction::Back, ANSWER.as_bytes()), [], "an answer to nothing");
    }
}
