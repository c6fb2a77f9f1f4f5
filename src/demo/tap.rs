//! Listens to the bytes in a cable, as HTTP/1.1. It ignores what it does not understand, and never changes the bytes.

use httparse::{Header, Status};
use serde_json::Value;
use std::collections::VecDeque;

/// A message longer than this, in bytes, is not listened to. Nor is anything after it on the same connection.
const MESSAGE_MAX: usize = 256 * 1024;
/// A message with more headers is not listened to either: those that pass here have ten.
const HEADERS_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the side that connected.
    There,
    /// To that side.
    Back,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TappedRequest {
    /// GET, POST, …
    pub method: String,
    /// Path and query.
    pub target: String,
    /// `Null` if it is no JSON.
    pub body: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TappedMessage {
    TappedRequest(TappedRequest),
    Answered {
        request: TappedRequest,
        status: u16,
        /// `Null` if it is no JSON.
        body: Value,
    },
}

#[derive(Debug, Default)]
pub struct Tap {
    there: Vec<u8>,
    back: Vec<u8>,
    /// Requests without an answer yet.
    open: VecDeque<TappedRequest>,
    deaf: bool,
}

impl Tap {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The messages that these bytes complete.
    pub fn hear(&mut self, direction: Direction, bytes: &[u8]) -> Vec<TappedMessage> {
        let mut news = Vec::new();
        if self.deaf {
            return news;
        }
        match direction {
            Direction::There => self.there.extend_from_slice(bytes),
            Direction::Back => self.back.extend_from_slice(bytes),
        }
        loop {
            match self.take(direction) {
                Ok(Some(heard)) => news.push(heard),
                Ok(None) => break,
                Err(Strange) => {
                    *self = Self { deaf: true, ..Self::default() };
                    break;
                }
            }
        }
        news
    }

    /// The next message, once it is whole.
    fn take(&mut self, direction: Direction) -> Result<Option<TappedMessage>, Strange> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        Ok(Some(match direction {
            Direction::There => {
                let mut request = httparse::Request::new(&mut headers);
                let head = request.parse(&self.there)?;
                let Some((body, end)) = body(&self.there, head, request.headers)? else { return Ok(None) };
                let (method, target) = (request.method.ok_or(Strange)?.into(), request.path.ok_or(Strange)?.into());
                self.there.drain(..end);
                let asked = TappedRequest { method, target, body };
                self.open.push_back(asked.clone());
                TappedMessage::TappedRequest(asked)
            }
            Direction::Back => {
                let mut response = httparse::Response::new(&mut headers);
                let head = response.parse(&self.back)?;
                let Some((body, end)) = body(&self.back, head, response.headers)? else { return Ok(None) };
                let status = response.code.ok_or(Strange)?;
                self.back.drain(..end);
                TappedMessage::Answered { request: self.open.pop_front().ok_or(Strange)?, status, body }
            }
        }))
    }
}

/// It is no HTTP/1.1 that can be read.
struct Strange;

impl From<httparse::Error> for Strange {
    fn from(_: httparse::Error) -> Self {
        Self
    }
}

/// The body of a message and its end, once the message is whole.
fn body(waiting: &[u8], head: Status<usize>, headers: &[Header<'_>]) -> Result<Option<(Value, usize)>, Strange> {
    let Status::Complete(head) = head else {
        return if waiting.len() > MESSAGE_MAX { Err(Strange) } else { Ok(None) };
    };
    let mut length = 0;
    for Header { name, value } in headers {
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(Strange);
        }
        if name.eq_ignore_ascii_case("content-length") {
            let told = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            length = told.filter(|told| *told <= MESSAGE_MAX).ok_or(Strange)?;
        }
    }
    let end = head + length;
    Ok(waiting.get(head..end).map(|body| (serde_json::from_slice(body).unwrap_or(Value::Null), end)))
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
        let request = TappedRequest { method: "POST".into(), target: "/v1/orders".into(), body: json!({ "item": "A1" }) };
        let poll = TappedRequest { method: "GET".into(), target: "/v1/orders/o-1".into(), body: Value::Null };
        let wanted = [
            TappedMessage::TappedRequest(request.clone()),
            TappedMessage::TappedRequest(poll.clone()),
            TappedMessage::Answered { request, status: 201, body: json!({ "status": "pending" }) },
            TappedMessage::Answered { request: poll, status: 204, body: Value::Null },
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
