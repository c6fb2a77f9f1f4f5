//! The simulated Midtrans, as a process, and its customers.

use super::http::{Http, HttpAnswer};
use super::process::Process;
use super::{command, free_port, wait_for};
use serde_json::{Value, json};

/// The Server Key of the tests, of the form that Midtrans' sandbox gives.
pub const SERVER_KEY: &str = "SB-Mid-server-rig";

/// A notification with a signature over its own fields, as whoever knows the Server Key can write one.
pub fn notification(order_id: &str, status_code: &str, gross_amount: &str, transaction_status: &str) -> Value {
    let signed = format!("{order_id}{status_code}{gross_amount}{SERVER_KEY}");
    let digest = ring::digest::digest(&ring::digest::SHA512, signed.as_bytes());
    let signature = qris_core::hex(digest.as_ref());
    json!({
        "transaction_time": "2026-11-20 15:00:00", "transaction_status": transaction_status, "transaction_id": "8f6b0b80-0000-4000-8000-000000000000",
        "status_message": "midtrans payment notification", "status_code": status_code, "signature_key": signature,
        "payment_type": "gopay", "order_id": order_id, "merchant_id": "G000000000", "gross_amount": gross_amount,
        "fraud_status": "accept", "currency": "IDR"
    })
}

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
    _process: Process,
}

impl Midtrans {
    pub fn start() -> Self {
        let port = free_port();
        let mut start = command(env!("CARGO_BIN_EXE_qris-demo"));
        start.args(["midtrans", "--listen", &format!("127.0.0.1:{port}"), "--server-key", SERVER_KEY]);
        let process = Process::start("midtrans", &mut start);
        process.wait_line("listening on");
        Self { port, url: format!("http://127.0.0.1:{port}"), http: Http::new(), _process: process }
    }

    /// A customer scans a QR and pays; the simulator's answer.
    pub fn scan(&self, payload: &str, via: Via) -> HttpAnswer {
        self.post("/sim/pay", &json!({"qr": payload, "via": via.as_str()}))
    }

    /// Pays an order by its id, which must be taken.
    pub fn pay(&self, order_id: &str, via: Via) {
        self.must(&format!("/sim/pay/{order_id}?via={}", via.as_str()), &json!({}));
    }

    /// A customer tells the cashier a payment code, and pays if that can be.
    pub fn pay_at_counter_if_possible(&self, code: &str) -> HttpAnswer {
        self.post("/sim/pay", &json!({ "payment_code": code }))
    }

    /// The same, and it must be taken.
    pub fn pay_at_counter(&self, code: &str) {
        let answer = self.pay_at_counter_if_possible(code);
        assert!(answer.status < 300, "the payment was not taken: {} {}", answer.status, answer.text());
    }

    /// It ends at Midtrans: `cancel`, `expire`, or `reverse`, with which a store takes its payment back.
    pub fn end(&self, how: &str, order_id: &str) {
        self.must(&format!("/sim/{how}/{order_id}"), &json!({}));
    }

    /// Pays an order that was cancelled or has expired, found by any of its names, if that can be.
    pub fn pay_late_if_possible(&self, name: &str) -> HttpAnswer {
        self.post(&format!("/sim/pay/{name}?via=gopay&force=true"), &json!({}))
    }

    /// Pays an order that was cancelled or has expired: the payment was under way.
    pub fn pay_late(&self, order_id: &str) {
        let answer = self.pay_late_if_possible(order_id);
        assert!(answer.status < 300, "the late payment was not taken: {} {}", answer.status, answer.text());
    }

    /// The customer's attempt fails: wrong PIN, no money.
    pub fn fail(&self, order_id: &str) -> HttpAnswer {
        self.post(&format!("/sim/fail/{order_id}"), &json!({}))
    }

    /// Makes an order something else, as if by Midtrans' dashboard; `quietly` without a notification.
    pub fn set(&self, order_id: &str, status: &str, quietly: bool) {
        self.must(&format!("/sim/set/{order_id}"), &json!({ "status": status, "quietly": quietly }));
    }

    /// Somebody of the merchant sends so much back in Midtrans' dashboard.
    pub fn refund_in_dashboard(&self, order_id: &str, amount: i64) {
        self.must(&format!("/sim/refund/{order_id}"), &json!({ "amount": amount, "reason": "kept the change" }));
    }

    /// Changes how the simulator behaves.
    pub fn change(&self, options: &Value) {
        self.must("/sim/options", options);
    }

    /// The notification of what the order is now, once more.
    pub fn notify(&self, order_id: &str) {
        self.must(&format!("/sim/notify/{order_id}"), &json!({}));
    }

    /// Plans something that goes wrong: `{"fault": "refuse", "on": "charge", "count": 1}`.
    pub fn fault(&self, plan: &Value) {
        self.must("/sim/faults", plan);
    }

    /// What is planned and has not struck as often as it is to.
    pub fn plans(&self) -> Vec<Value> {
        self.list("/sim/faults")
    }

    /// All is well again.
    pub fn heal(&self) {
        let answer = self.http.delete(&format!("{}/sim/faults", self.url));
        assert!(answer.status < 300, "/sim/faults: {} {}", answer.status, answer.text());
    }

    /// Waits until so many answers are held by the fault `hang`.
    pub fn wait_held(&self, count: u64) {
        let url = format!("{}/sim/held", self.url);
        wait_for("a held answer", || (self.http.get(&url, None).json()["held"].as_u64() >= Some(count)).then_some(()));
    }

    /// Lets go every answer that is held.
    pub fn release(&self) {
        self.must("/sim/release", &json!({}));
    }

    /// The calls of a kind (`charge`, `status`, `cancel`, …) that Midtrans got for an order.
    pub fn calls(&self, call: &str, order_id: &str) -> Vec<Value> {
        let requests = self.requests().into_iter();
        requests.filter(|request| request["call"] == call && request["order_id"] == order_id).collect()
    }

    /// What an order is at Midtrans.
    pub fn status(&self, order_id: &str) -> String {
        let found = self.transactions().into_iter().find(|transaction| transaction["order_id"] == order_id);
        let found = found.unwrap_or_else(|| panic!("Midtrans does not know {order_id}"));
        found["status"].as_str().expect("a status").to_owned()
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
            other => panic!("{path}: no list: {other}"),
        }
    }

    /// Posts what must be taken.
    fn must(&self, path: &str, body: &Value) {
        let answer = self.post(path, body);
        assert!(answer.status < 300, "{path} {body}: {} {}", answer.status, answer.text());
    }

    fn post(&self, path: &str, body: &Value) -> HttpAnswer {
        self.http.post(&format!("{}{path}", self.url), None, &[], body)
    }
}
