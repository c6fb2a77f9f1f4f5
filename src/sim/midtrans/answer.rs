//! The answers. The body's `status_code` decides; the HTTP status seldom agrees with it.

use super::Midtrans;
use super::charge::RefusedCharge;
use serde_json::{Value, json};

pub(super) const INTERNAL_ERROR: &str = "Sorry, we encountered internal server error. We will fix this soon.";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedAnswer {
    pub http: u16,
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

/// What happens to the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Answer(SimulatedAnswer),
    /// It answers as soon as [`Midtrans::is_held`] says no.
    Hold(u64, SimulatedAnswer),
    /// It is closed in the middle of this answer.
    CutAmid(SimulatedAnswer),
    Cut,
}

impl SimulatedAnswer {
    pub(super) fn json(http: u16, body: &Value) -> Self {
        Self { http, content_type: "application/json", body: body.to_string().into_bytes() }
    }

    /// For a path that does not exist: a page for people, whatever was asked for.
    pub(super) fn nowhere() -> Self {
        Self { http: 404, content_type: "text/html", body: b"<html><body><h1>404 Not Found</h1></body></html>".to_vec() }
    }

    /// The body's `status_code`.
    pub(super) fn code(&self) -> Option<String> {
        if self.content_type != "application/json" {
            return None;
        }
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        Some(body.get("status_code")?.as_str()?.to_owned())
    }

    /// The first half, and noise.
    pub(super) fn garbled(mut self) -> Self {
        self.body.truncate(self.body.len() / 2);
        self.body.extend_from_slice(b"\xff\x00");
        self
    }
}

impl Midtrans {
    /// A body that is sent unchanged, with the HTTP status of its code.
    pub(super) fn answer(&self, body: &Value) -> SimulatedAnswer {
        let code = body.get("status_code").and_then(Value::as_str).and_then(|code| code.parse().ok()).unwrap_or(200);
        SimulatedAnswer::json(http_status(code), body)
    }

    /// The answer to a later call about a transaction. It may name another order.
    pub(super) fn answer_about(&self, mut body: Value) -> SimulatedAnswer {
        if self.options.alien_order_id {
            body["order_id"] = body["transaction_id"].clone();
        }
        self.answer(&body)
    }

    pub(super) fn error(&mut self, code: u16, message: &str) -> SimulatedAnswer {
        let body = json!({ "status_code": code.to_string(), "status_message": message, "id": self.rng.uuid() });
        SimulatedAnswer::json(http_status(code), &body)
    }

    /// 400, with the fault of the request.
    pub(super) fn invalid(&mut self, wrong: &[String]) -> SimulatedAnswer {
        let message = "One or more parameters in the payload is invalid.";
        let body = json!({ "status_code": "400", "status_message": message, "validation_messages": wrong, "id": self.rng.uuid() });
        SimulatedAnswer::json(http_status(400), &body)
    }

    pub(super) fn malformed(&mut self) -> SimulatedAnswer {
        self.error(413, "The request cannot be processed due to malformed syntax in the request body")
    }

    pub(super) fn unknown(&mut self) -> SimulatedAnswer {
        self.error(404, "Transaction doesn't exist.")
    }

    pub(super) fn cannot_modify(&mut self) -> SimulatedAnswer {
        self.error(412, "Merchant cannot modify the status of the transaction")
    }

    pub(super) fn refused(&mut self, refused: RefusedCharge) -> SimulatedAnswer {
        match refused {
            RefusedCharge::Null => self.error(500, "Sorry, we encountered an unexpected error."),
            RefusedCharge::Syntax => self.malformed(),
            RefusedCharge::NotActivated => self.error(402, "Payment channel is not activated."),
            RefusedCharge::Invalid(wrong) => self.invalid(&wrong),
        }
    }
}

/// Most errors in a body come with HTTP 200.
const fn http_status(code: u16) -> u16 {
    match code {
        400 | 401 | 405 | 413 | 429 | 500..=599 => code,
        _ => 200,
    }
}
