//! The simulated Midtrans, as a process, and its customers.

use super::http::{Answer, Http};
use super::process::Process;
use super::{command, free_port, wait_for};
use serde_json::{Value, json};
use std::net::TcpStream;

/// The Server Key of the tests, of the form that Midtrans' sandbox gives.
pub const SERVER_KEY: &str = "SB-Mid-server-rig";

/// The app that a customer pays with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Via {
    Gopay,
    Qris,
}

impl Via {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Gopay => "gopay",
            Self::Qris => "qris",
        }
    }
}

/// The simulator.
pub struct Midtrans {
    pub port: u16,
    pub url: String,
    http: Http,
    process: Process,
}

impl Midtrans {
    pub fn start() -> Self {
        let port = free_port();
        let mut start = command(env!("CARGO_BIN_EXE_qris-demo"));
        start.args(["midtrans", "--listen", &format!("127.0.0.1:{port}"), "--server-key", SERVER_KEY]);
        let process = Process::start("midtrans", &mut start);
        wait_for("the simulated Midtrans", || {
            assert!(process.try_status().is_none(), "the simulated Midtrans ended:\n{}", process.text());
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self { port, url: format!("http://127.0.0.1:{port}"), http: Http::new(), process }
    }

    /// A customer scans a QR and pays; the simulator's answer.
    pub fn scan(&self, payload: &str, via: Via) -> Answer {
        self.post("/sim/pay", &json!({"qr": payload, "via": via.as_str()}))
    }

    /// Pays an order by its id.
    pub fn pay(&self, order_id: &str, via: Via) -> Answer {
        self.post(&format!("/sim/pay/{order_id}?via={}", via.as_str()), &json!({}))
    }

    /// The customer's attempt fails: wrong PIN, no money.
    pub fn fail(&self, order_id: &str) -> Answer {
        self.post(&format!("/sim/fail/{order_id}"), &json!({}))
    }

    /// Sets what goes wrong from now on; `{}` heals.
    pub fn faults(&self, faults: &Value) {
        let answer = self.post("/sim/faults", faults);
        assert!(answer.status < 300, "/sim/faults: {} {}", answer.status, answer.text());
    }

    /// Lets go what the faults held.
    pub fn release(&self) {
        let answer = self.post("/sim/release", &json!({}));
        assert!(answer.status < 300, "/sim/release: {} {}", answer.status, answer.text());
    }

    /// Moves the simulator's clock.
    pub fn clock(&self, change: &Value) {
        let answer = self.post("/sim/clock", change);
        assert!(answer.status < 300, "/sim/clock: {} {}", answer.status, answer.text());
    }

    /// Every call that Midtrans got.
    pub fn requests(&self) -> Vec<Value> {
        self.list("/sim/requests")
    }

    /// Every transaction that Midtrans knows.
    pub fn transactions(&self) -> Vec<Value> {
        self.list("/sim/transactions")
    }

    fn list(&self, path: &str) -> Vec<Value> {
        match self.http.get(&format!("{}{path}", self.url), None).json() {
            Value::Array(list) => list,
            Value::Object(object) => object.into_iter().find_map(|(_, value)| value.as_array().cloned()).unwrap_or_default(),
            other => panic!("{path}: no list: {other}"),
        }
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.http.post(&format!("{}{path}", self.url), None, &[], body)
    }

    /// What it wrote.
    pub fn text(&self) -> String {
        self.process.text()
    }
}
