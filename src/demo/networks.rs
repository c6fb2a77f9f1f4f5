//! The three networks of the installation. Each has a switch, and what passes through it is told in plain
//! words.

use super::cable::Socket;
use super::captions::{self, Bilingual};
use super::chronicle::{Chronicle, EntryKind, Network, Who};
use super::ports::{NearPorts, Ports};
use super::shop::SetUpError;
use super::tap::{TappedMessage, TappedRequest};
use super::watch::{Standing, Watched};
use qris_core::order::money::Rupiah;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The near ends of the cables: here the programs find each other.
#[derive(Debug)]
pub struct Sockets {
    broker: Socket,
    backend: Socket,
    midtrans: Socket,
    /// Midtrans' notifications reach the backend through this one.
    notices: Socket,
}

impl Sockets {
    pub fn hold() -> Result<Self, SetUpError> {
        let hold = || Socket::hold().map_err(|source| SetUpError { what: "loopback ports".into(), source });
        Ok(Self { broker: hold()?, backend: hold()?, midtrans: hold()?, notices: hold()? })
    }

    /// Their ports. [`Ports`] holds those of the servers themselves.
    #[must_use]
    pub fn ports(&self) -> NearPorts {
        let [broker, backend, midtrans, notices] = [&self.broker, &self.backend, &self.midtrans, &self.notices].map(Socket::port);
        NearPorts { broker, backend, midtrans, notices }
    }
}

#[derive(Debug)]
pub struct Networks {
    broker: watch::Sender<bool>,
    backend: watch::Sender<bool>,
    midtrans: watch::Sender<bool>,
    cables: Vec<JoinHandle<()>>,
}

impl Networks {
    /// Lays them between `near` and the servers at `far`.
    #[must_use]
    pub fn lay(near: Sockets, far: Ports, watched: &Arc<Watched>) -> Self {
        let [broker, backend, midtrans] = [(); 3].map(|()| watch::Sender::new(true));
        let cable = |near: Socket, far: u16, switch: &watch::Sender<bool>, from: Who, to: Who| {
            let (chronicle, watched) = (Arc::clone(&watched.chronicle), Arc::clone(watched));
            let heard = move |heard: TappedMessage| tell(&chronicle, from, to, &heard);
            let count = move |connections| {
                if to == Who::Broker {
                    watched.change_view(|view| view.connected = connections > 0);
                }
            };
            tokio::spawn(near.carry(SocketAddr::from((Ipv4Addr::LOCALHOST, far)), switch.subscribe(), heard, count))
        };
        let cables = vec![
            cable(near.broker, far.broker, &broker, Who::Machine, Who::Broker),
            cable(near.backend, far.backend, &backend, Who::Machine, Who::Backend),
            cable(near.midtrans, far.midtrans, &midtrans, Who::Backend, Who::Midtrans),
            cable(near.notices, far.backend, &midtrans, Who::Midtrans, Who::Backend),
        ];
        Self { broker, backend, midtrans, cables }
    }

    pub fn switch(&self, network: Network, up: bool, watched: &Watched) {
        let switch = match network {
            Network::Broker => &self.broker,
            Network::Backend => &self.backend,
            Network::Midtrans => &self.midtrans,
        };
        if switch.send_replace(up) == up {
            return;
        }
        let deed = if up { captions::mends(network.name()) } else { captions::cuts(network.name()) };
        watched.chronicle.note(Who::Demo, deed, EntryKind::Network { network, up });
        watched.change_view(|view| view.networks = self.standing());
    }

    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing { broker: *self.broker.borrow(), backend: *self.backend.borrow(), midtrans: *self.midtrans.borrow() }
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for cable in &self.cables {
            cable.abort();
        }
    }
}

fn tell(chronicle: &Chronicle, from: Who, to: Who, heard: &TappedMessage) {
    let (from, to, words) = match heard {
        TappedMessage::TappedRequest(request) => (from, to, asked_words(request)),
        TappedMessage::Answered { request, status, body } => (to, from, answer_words(request, *status, body)),
    };
    if let Some(words) = words {
        chronicle.arrow(from, to, words, EntryKind::Call { answer: matches!(heard, TappedMessage::Answered { .. }) });
    }
}

/// The calls of both HTTP interfaces.
enum Call<'a> {
    Create,
    Open,
    Look { waits: bool },
    CancelOrder,
    Outcome,
    Charge,
    Status,
    CancelCharge,
    Image,
    Notice,
    Other(&'a str),
}

impl<'a> Call<'a> {
    fn of(request: &'a TappedRequest) -> Self {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (request.method.as_str(), segments.as_slice()) {
            ("POST", ["v1", "orders"]) => Self::Create,
            ("GET", ["v1", "orders"]) => Self::Open,
            ("GET", ["v1", "orders", _]) => Self::Look { waits: query.contains("wait=") },
            ("POST", ["v1", "orders", _, "cancel"]) => Self::CancelOrder,
            ("POST", ["v1", "orders", _, "outcome"]) => Self::Outcome,
            ("POST", ["v2", "charge"]) => Self::Charge,
            ("GET", ["v2", _, "status"]) => Self::Status,
            ("POST", ["v2", _, "cancel"]) => Self::CancelCharge,
            ("GET", [.., "qr-code"]) => Self::Image,
            ("POST", ["midtrans", "notifications"]) => Self::Notice,
            _ => Self::Other(path),
        }
    }
}

/// A request in few words; `None` if it needs no words.
fn asked_words(request: &TappedRequest) -> Option<Bilingual> {
    let body = &request.body;
    Some(match Call::of(request) {
        Call::Create => captions::order(text(body, "item"), rupiah(body.get("amount"))),
        Call::Open => captions::any_open(),
        Call::Look { waits: true } => captions::when_paid(),
        Call::Look { waits: false } => captions::how_does_it_stand(),
        Call::CancelOrder => captions::cancel_order(),
        Call::Outcome => captions::outcome(captions::reported(text(body, "outcome"))),
        Call::Charge => captions::charge(rupiah(body.pointer("/transaction_details/gross_amount"))),
        Call::Status => "get-status".into(),
        Call::CancelCharge => captions::cancel_charge(),
        Call::Image => captions::picture(),
        Call::Notice => captions::notification(text(body, "transaction_status")),
        Call::Other(path) => format_args!("{} {path}", request.method).into(),
    })
}

fn answer_words(request: &TappedRequest, status: u16, body: &Value) -> Option<Bilingual> {
    if !(200..300).contains(&status) {
        let code = body.get("code").and_then(Value::as_str).map_or_else(String::new, |code| format!(" {code}"));
        return Some(format_args!("{status}{code}").into());
    }
    Some(match Call::of(request) {
        Call::Create => captions::order_with_qr(),
        Call::Open => captions::open_orders(body.get("orders").and_then(Value::as_array).map_or(0, Vec::len)),
        Call::Look { .. } | Call::CancelOrder => match (text(body, "status"), body.get("receipt")) {
            (status, Some(Value::Object(_) | Value::String(_))) => captions::receipt(status),
            (status, _) => status.into(),
        },
        Call::Charge | Call::Status | Call::CancelCharge => match text(body, "transaction_status") {
            "?" => text(body, "status_code").into(),
            status => format_args!("{} {status}", text(body, "status_code")).into(),
        },
        // The next visible event tells it.
        Call::Outcome | Call::Image | Call::Notice | Call::Other(_) => return None,
    })
}

fn text<'a>(body: &'a Value, field: &str) -> &'a str {
    body.get(field).and_then(Value::as_str).unwrap_or("?")
}

fn rupiah(amount: Option<&Value>) -> String {
    amount.and_then(Value::as_u64).and_then(|amount| Rupiah::new(amount).ok()).map_or_else(|| "?".into(), |amount| amount.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_passes_is_told_in_words() {
        let asked = |method: &str, target: &str, body: Value| TappedRequest { method: method.into(), target: target.into(), body };
        let cases = [
            (
                asked("POST", "/v1/orders", json!({ "item": "A1", "amount": 5000 })),
                201,
                json!({}),
                "order A1 for Rp5.000",
                Some("order with its QR"),
            ),
            (asked("POST", "/v1/orders", json!({})), 503, json!({ "code": "gateway" }), "order ? for ?", Some("503 gateway")),
            (asked("GET", "/v1/orders?state=open", Value::Null), 200, json!({ "orders": [1, 2] }), "any open orders?", Some("2 open")),
            (
                asked("GET", "/v1/orders/o-1?wait=25&since=3", Value::Null),
                200,
                json!({ "status": "settlement", "receipt": "x.y.z" }),
                "tell me when it is paid",
                Some("settlement, signed receipt"),
            ),
            (
                asked("GET", "/v1/orders/o-1", Value::Null),
                200,
                json!({ "status": "pending", "receipt": null }),
                "how does the order stand?",
                Some("pending"),
            ),
            (asked("POST", "/v1/orders/o-1/outcome", json!({ "outcome": "dispensed" })), 200, json!({}), "outcome: dispensed", None),
            (
                asked("POST", "/v2/charge", json!({ "transaction_details": { "gross_amount": 5000 } })),
                200,
                json!({ "status_code": "201", "transaction_status": "pending" }),
                "charge Rp5.000",
                Some("201 pending"),
            ),
            (asked("GET", "/v2/o-1/status", Value::Null), 200, json!({ "status_code": "404" }), "get-status", Some("404")),
            (
                asked("POST", "/midtrans/notifications", json!({ "transaction_status": "settlement" })),
                200,
                json!({}),
                "notification: settlement",
                None,
            ),
            (asked("GET", "/v2/gopay/o-1/qr-code", Value::Null), 200, Value::Null, "the QR’s picture", None),
            (asked("GET", "/healthz", Value::Null), 500, Value::Null, "GET /healthz", Some("500")),
        ];
        for (request, status, body, question, answer) in cases {
            assert_eq!(asked_words(&request).map(|words| words.en).as_deref(), Some(question));
            assert_eq!(answer_words(&request, status, &body).map(|words| words.en).as_deref(), answer, "{question}");
        }
    }
}
