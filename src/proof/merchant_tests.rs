//! The whole backend against the simulated Midtrans, over real ports.

use super::midtrans::{Change, Options, Via};
use qris_backend::books::{self, Desk};
use qris_backend::gateway::Gateway;
use qris_backend::midtrans::{ChargeOptions, Midtrans, ServerKey, Settings};
use qris_backend::presence::Presence;
use qris_backend::shop::Shop;
use qris_backend::store::{BOOKS, MACHINES, Store};
use qris_backend::{devices, http, view, work};
use qris_core::order::ids::{DeviceId, KeyId, Ticket};
use qris_core::order::merchant::{Attention, Rules};
use qris_core::order::proof::{self, Last, RelayKey, Statement};
use qris_core::order::reason::Reason;
use qris_core::order::receipt::{KeySet, SigningKey, jwk_set};
use qris_core::order::time::Span;
use qris_core::wire::orders::{OrderResource, Problem, RELAY_KEY, Refund, Status};
use qris_host::http::{Limits, client};
use qris_host::secret::Secret;
use qris_host::surroundings::Computer;
use qris_host::{clock, tls};
use qris_sim::faults::{BrokenImage, Fault, Plan};
use qris_sim::midtrans_http::{Simulator, SimulatorHandle};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;

mod another_gateway;
mod counter;
mod discipline;
mod refunds;

const MIDTRANS_TIMEOUT: Duration = Duration::from_secs(10);
const KEY: &str = "SB-Mid-server-test";

/// A backend that serves, beside a gateway.
struct Rig<G = SimulatorHandle> {
    shop: Arc<Shop>,
    simulator: G,
    http: reqwest::Client,
    url: String,
    keys: KeySet,
    kid: KeyId,
    _directory: tempfile::TempDir,
    _stop: watch::Sender<bool>,
}

/// The key with which the machines' relay signs.
fn relay() -> SigningKey {
    SigningKey::from_seed([9; 32])
}

impl Rig {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::with(Simulator::start(listener, Options::new(KEY, "")).expect("a simulator")).await
    }

    /// A backend without orders, with a Midtrans that may have some.
    async fn with(simulator: SimulatorHandle) -> Self {
        Self::tuned(simulator, |_| {}).await
    }

    /// The same, for a merchant with other decisions.
    async fn tuned(simulator: SimulatorHandle, tune: impl FnOnce(&mut Desk)) -> Self {
        tls::install_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let settings = Settings {
            base_url: simulator.url(),
            server_key: ServerKey::new(&Secret::new(KEY)),
            notification_url: format!("{url}/midtrans/notifications"),
            charge: ChargeOptions { finish_base: Some(format!("{url}/pay/")), ..ChargeOptions::default() },
        };
        let limits = Limits { total: MIDTRANS_TIMEOUT, read: MIDTRANS_TIMEOUT, idle_connections: 4 };
        let http = client(None, limits).expect("a client");
        let midtrans = Midtrans::new(settings, http.clone(), Arc::new(http)).expect("settings");
        Self::open(simulator, Arc::new(midtrans), listener, tune).await
    }

    fn fail(&self, fault: Fault, on: &str, count: u32) {
        let plan = Plan { fault, on: Some(on.into()), order_id: None, count: Some(count) };
        self.simulator.with(|midtrans, _| midtrans.plan(plan));
    }

    fn pay(&self, order: &OrderResource, force: bool) {
        self.simulator.with(|midtrans, now| midtrans.pay(order.order_id.as_str(), Via::Qris, force, now)).expect("paid");
    }

    /// The questions to the simulator, by kind and path.
    fn asked(&self, word: &str) -> usize {
        self.simulator.with(|midtrans, _| midtrans.requests().iter().filter(|logged| format!("{logged:?}").contains(word)).count())
    }

    /// The charges that can be paid at the simulator now.
    fn payable(&self) -> usize {
        self.simulator.with(|midtrans, _| {
            midtrans.transactions().iter().filter(|book| serde_json::to_string(book).expect("plain").contains("\"pending\"")).count()
        })
    }

    async fn nothing_payable(&self) {
        let mut tries = 0;
        while self.payable() > 0 && tries < 500 {
            tries += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.payable(), 0, "cancelled at Midtrans");
    }
}

impl<G> Rig<G> {
    /// A backend without orders, with a gateway that may have some.
    async fn open(simulator: G, gateway: Arc<dyn Gateway>, listener: TcpListener, tune: impl FnOnce(&mut Desk)) -> Self {
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let directory = tempfile::tempdir().expect("a directory");
        let key = SigningKey::from_seed([5; 32]);
        let keys = KeySet::from_jwks(&jwk_set(&[key.to_public_jwk("pay.example")])).expect("a set");
        let kid = key.kid().clone();
        let rules = Rules {
            issuer: "pay.example".into(),
            keys: vec![key],
            max_imposed_fee: 0,
            reversal_window: Span::secs(300),
            collect_within: Span::secs(72 * 3600),
        };
        let mut desk = Desk { rules, push: true, orders_per_minute: 0, auto_refund_per_day: 0 };
        tune(&mut desk);
        let place = view::Place { public_url: url.clone().into(), sandbox: true, contact: None, collect_within: Span::secs(72 * 3600) };
        let open = |name: &str, schema| Store::open_beside(&directory.path().join(name), schema, true).expect("opens");
        let (store, machines) = (open("orders.db", &BOOKS), open("devices.db", &MACHINES));
        let shop = Arc::new(Shop::new(Arc::new(Computer), store, machines, desk, gateway, place, Presence::new(Span::secs(600))));
        for device in ["vm-001", "vm-002"] {
            let (id, hash) = (DeviceId::new(device).expect("an id"), devices::hash(device));
            shop.machines.run(move |tx| devices::add(tx, &id, &hash, false, clock::now().wall)).await.expect("added");
        }
        let (stop, stopping) = watch::channel(false);
        let limits = http::Limits { connections: 64, proxies: Box::default() };
        tokio::spawn(http::serve(Arc::clone(&shop), limits, listener, stopping));
        tokio::spawn(work::sweep(Arc::clone(&shop)));
        let http =
            client(None, Limits { total: Duration::from_secs(90), read: Duration::from_secs(90), idle_connections: 8 }).expect("a client");
        Self { shop, simulator, http, url, keys, kid, _directory: directory, _stop: stop }
    }

    /// A request of vm-001, whose token is its name.
    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        let key = RelayKey::of(&relay()).to_string();
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth("vm-001").header(RELAY_KEY, key)
    }

    fn body(&self, request: &str) -> Value {
        let ticket =
            Ticket::from_random(ring::digest::digest(&ring::digest::SHA256, request.as_bytes()).as_ref()[..16].try_into().expect("16"));
        json!({ "request_id": request, "ticket": ticket, "kids": [self.kid], "item": "A1", "description": "Teh", "amount": 5000,
            "payment": "gopay", "timeout_s": 120 })
    }

    async fn post(&self, request: &str) -> Response {
        let call = self.call(Method::POST, "/v1/orders").header("Idempotency-Key", request).json(&self.body(request));
        call.send().await.expect("an answer")
    }

    /// An order that can be paid.
    async fn order(&self, request: &str) -> OrderResource {
        let response = self.post(request).await;
        assert_eq!(response.status(), StatusCode::CREATED);
        let order: OrderResource = response.json().await.expect("an order");
        assert_eq!((order.status, order.gross_amount), (Status::Pending, Some(order.amount)));
        assert!(order.qr_payload.as_deref().is_some_and(|payload| payload.starts_with("000201")));
        order
    }

    /// A code for a counter, that can be paid.
    async fn code(&self, request: &str, payment: &str) -> OrderResource {
        let mut body = self.body(request);
        (body["payment"], body["amount"]) = (json!(payment), json!(10_000));
        let response =
            self.call(Method::POST, "/v1/orders").header("Idempotency-Key", request).json(&body).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::CREATED);
        response.json().await.expect("an order")
    }

    async fn tell(&self, order: &OrderResource, outcome: &str) -> StatusCode {
        let call = self.call(Method::POST, &format!("/v1/orders/{}/outcome", order.order_id));
        let (device, ticket) = (order.device.clone(), order.ticket.clone());
        let number = u64::from(ring::digest::digest(&ring::digest::SHA256, ticket.as_str().as_bytes()).as_ref()[0]);
        let last =
            [Last::Closed, Last::Dispensed, Last::Failed, Last::Uncertain].into_iter().find(|last| last.delivery().as_str() == outcome);
        let statement = last.map(|outcome| Statement { device, ticket, order_id: None, outcome, number });
        let proof = statement.map(|statement| proof::sign(&relay(), &statement));
        call.json(&json!({ "outcome": outcome, "proof": proof })).send().await.expect("an answer").status()
    }

    /// The order in the books, once the condition is true.
    async fn until(&self, order: &OrderResource, what: &str, so: impl Fn(&books::Stored) -> bool) -> books::Stored {
        let begun = Instant::now();
        loop {
            let id = order.order_id.clone();
            let stored = self.shop.read(move |tx| books::load(tx, &id)).await.expect("read").expect("in the books");
            if so(&stored) {
                return stored;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {:#?}", stored.order);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn kinds(&self, order: &OrderResource) -> Vec<Attention> {
        self.until(order, "", |_| true).await.order.attention()
    }

    async fn get(&self, path: &str) -> OrderResource {
        let response = self.call(Method::GET, path).send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.expect("an order")
    }

    /// The order once it differs from its state at `rev`.
    async fn after(&self, order: &OrderResource) -> OrderResource {
        self.get(&format!("/v1/orders/{}?wait=30&since={}", order.order_id, order.rev)).await
    }

    async fn cancel(&self, order: &OrderResource) -> Response {
        self.call(Method::POST, &format!("/v1/orders/{}/cancel", order.order_id)).send().await.expect("an answer")
    }

    async fn problem(&self, response: Response, status: u16) -> Problem {
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (status, &"application/problem+json".parse().expect("a value"))
        );
        response.json().await.expect("a problem")
    }

    fn verify(&self, order: &OrderResource) {
        assert_eq!(order.status, Status::Settlement);
        let receipt = self.keys.verify(order.receipt.as_deref().expect("a receipt"), &order.device).expect("ours");
        let claims = receipt.claims();
        assert_eq!(
            (&claims.sub, &claims.jti, &claims.ticket, claims.amount),
            (&order.order_id, &order.request_id, &order.ticket, order.amount)
        );
    }
}

#[tokio::test]
async fn a_sale() {
    let rig = Rig::new().await;
    let order = rig.order("r1").await;
    assert!(order.sandbox && order.expires_in_s.is_some_and(|left| (175..=180).contains(&left)));
    let again = rig.post("r1").await;
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(again.json::<OrderResource>().await.expect("an order").order_id, order.order_id);
    let open: Value = rig.call(Method::GET, "/v1/orders?state=open").send().await.expect("an answer").json().await.expect("a list");
    assert_eq!(open["orders"][0]["order_id"], json!(order.order_id));
    let (paid, ()) = tokio::join!(rig.after(&order), async { rig.pay(&order, false) });
    rig.verify(&paid);
    assert_eq!((rig.asked("charge"), rig.asked("/status")), (1, 1), "one charge, one get-status");
    let path = format!("/v1/orders/{}/outcome", order.order_id);
    for (outcome, status) in [("dispensed", 200), ("dispensed", 200), ("failed", 409)] {
        let told = rig.call(Method::POST, &path).json(&json!({ "outcome": outcome, "reason": "timeout" })).send().await.expect("an answer");
        assert_eq!(told.status().as_u16(), status, "{outcome}");
    }
    let outbox = rig.shop.read(|tx| books::take_outbox(tx, 0)).await.expect("read");
    assert_eq!(outbox.len(), 1);
}

#[tokio::test]
async fn cancelled_in_time_too_late_and_paid_after_all() {
    let rig = Rig::new().await;
    let order = rig.order("in-time").await;
    let cancelled: OrderResource = rig.cancel(&order).await.json().await.expect("an order");
    assert_eq!((cancelled.status, rig.payable()), (Status::Cancel, 0));
    // A customer with a slow phone: the order is paid although it was cancelled.
    rig.pay(&order, true);
    rig.verify(&rig.after(&cancelled).await);
    // The money came first, and nobody told us.
    let order = rig.order("too-late").await;
    rig.fail(Fault::DropNotification, "settlement", 1);
    rig.pay(&order, false);
    rig.verify(&rig.cancel(&order).await.json().await.expect("an order"));
}

#[tokio::test]
async fn a_charge_whose_answer_is_lost_is_made_once() {
    let rig = Rig::new().await;
    for (name, fault) in [
        ("lost", Fault::LoseAnswer),
        ("garbled", Fault::Garble),
        ("done", Fault::ServerError { code: 500, done: true }),
        ("not-done", Fault::ServerError { code: 503, done: false }),
        ("limited", Fault::RateLimit),
        ("refused", Fault::Refuse),
    ] {
        rig.fail(fault, "charge", 1);
        let order = rig.order(name).await;
        assert!(!order.order_id.as_str().contains('-'), "{name}: the first id");
    }
    assert_eq!(rig.payable(), 6, "one a request");
}

#[tokio::test]
async fn denials_are_tried_again_under_fresh_ids() {
    let rig = Rig::new().await;
    rig.fail(Fault::Deny { code: 900 }, "charge", 2);
    let order = rig.order("twice").await;
    assert!(order.order_id.as_str().ends_with("-3"), "{}", order.order_id);
    assert_eq!(rig.payable(), 1);
    rig.fail(Fault::Deny { code: 116 }, "charge", 1);
    let response = rig.post("for-good").await;
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(rig.problem(response, 503).await.code.map(|code| code.to_string()).as_deref(), Some("midtrans"));
}

#[tokio::test]
async fn what_must_not_be_shown_is_cancelled() {
    let rig = Rig::new().await;
    rig.fail(Fault::ImposeFee { rupiah: 100 }, "charge", 1);
    let problem = rig.problem(rig.post("fee").await, 422).await;
    assert_eq!(problem.code.map(|code| code.to_string()).as_deref(), Some("gross_amount"));
    rig.fail(Fault::BrokenImage { how: BrokenImage::Blank }, "qr_image", 1);
    let problem = rig.problem(rig.post("blank").await, 422).await;
    assert_eq!(problem.code.map(|code| code.to_string()).as_deref(), Some("midtrans"));
    let again = rig.problem(rig.post("blank").await, 422).await;
    assert_eq!(again.code, problem.code, "the same answer to the same request");
    rig.nothing_payable().await;
}

#[tokio::test]
async fn a_picture_that_somebody_else_hosts_is_fetched_by_nobody() {
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    stranger.set_nonblocking(true).expect("set");
    let elsewhere = format!("http://localhost:{}", stranger.local_addr().expect("an address").port());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let rig = Rig::with(Simulator::start(listener, Options::new(KEY, &elsewhere)).expect("a simulator")).await;
    let problem = rig.problem(rig.post("elsewhere").await, 422).await;
    assert_eq!(problem.code.map(|code| code.to_string()).as_deref(), Some("midtrans"));
    rig.nothing_payable().await;
    assert_eq!(stranger.accept().expect_err("nobody came").kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_qr_that_pays_somebody_else_is_sold_and_a_person_is_told() {
    let rig = Rig::new().await;
    let told = async || rig.shop.read(|tx| books::due_alerts(tx, clock::now().wall)).await.expect("readable");
    rig.order("first").await;
    rig.order("second").await;
    assert_eq!(told().await, []);
    let other = Change { nmid: Some("AID000000000001".into()), ..Change::default() };
    rig.simulator.with(|midtrans, now| midtrans.change(other, now));
    for request in ["third", "fourth"] {
        assert!(rig.order(request).await.qr_payload.is_some_and(|payload| payload.contains("AID000000000001")));
        let alerts = told().await;
        assert_eq!(alerts.iter().map(|alert| (alert.kind(), alert.subject())).collect::<Vec<_>>(), [("merchant", "AID000000000001")]);
    }
}

#[tokio::test]
async fn a_machine_is_told_within_ten_seconds_that_midtrans_is_gone() {
    let rig = Rig::new().await;
    rig.fail(Fault::Refuse, "charge", 1000);
    rig.fail(Fault::Refuse, "cancel", 1000);
    let begun = Instant::now();
    let response = rig.post("gone").await;
    assert!(begun.elapsed() < Duration::from_millis(10_500), "{:?}", begun.elapsed());
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(rig.problem(response, 503).await.code.map(|code| code.to_string()).as_deref(), Some("midtrans"));
    // The program is back, and the machine asks again: there is one charge.
    rig.simulator.with(|midtrans, _| midtrans.heal());
    let response = rig.post("gone").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(rig.payable(), 1);
}

#[tokio::test]
async fn notifications_are_answered_as_the_contract_says() {
    let rig = Rig::new().await;
    let order = rig.order("r1").await;
    let post = |body: Vec<u8>| {
        let call = rig.http.post(format!("{}/midtrans/notifications", rig.url)).body(body);
        async move { call.send().await.expect("an answer").status().as_u16() }
    };
    let key = ServerKey::new(&Secret::new(KEY));
    let body = |id: &str, status: &str, key: &ServerKey| {
        json!({ "order_id": id, "status_code": "200", "gross_amount": "5000.00", "signature_key": key.sign(id, "200", "5000.00"),
            "transaction_status": status, "transaction_id": "t" })
    };
    let id = order.order_id.as_str();
    let good = body(id, "settlement", &key);
    assert_eq!(post(good.to_string().into_bytes()).await, 200);
    assert_eq!(post(body(id, "expire", &key).to_string().into_bytes()).await, 200);
    assert_eq!(post(body(id, "settlement", &ServerKey::new(&Secret::new("other"))).to_string().into_bytes()).await, 403);
    assert_eq!(post(body("nobody", "settlement", &key).to_string().into_bytes()).await, 200, "Midtrans is asked about it");
    assert_eq!(post(body("no/order of ours", "settlement", &key).to_string().into_bytes()).await, 200);
    let mut upper = good.clone();
    upper["signature_key"] = json!(good["signature_key"].as_str().expect("text").to_uppercase());
    assert_eq!(post(upper.to_string().into_bytes()).await, 403, "lower case only");
    for field in ["order_id", "status_code", "gross_amount", "signature_key", "transaction_status", "transaction_id"] {
        for wrong in [Value::Null, json!(1)] {
            let mut bad = good.clone();
            bad[field] = wrong;
            assert_eq!(post(bad.to_string().into_bytes()).await, 400, "{field}");
        }
    }
    for bad in [&b""[..], b"[]", b"null", b"{"] {
        assert_eq!(post(bad.to_vec()).await, 400);
    }
    assert_eq!(post(vec![b' '; (64 << 10) + 1]).await, 413);
    let now = rig.get(&format!("/v1/orders/{id}")).await;
    assert_eq!((now.status, now.receipt), (Status::Pending, None), "a notification alone pays nothing");
}

#[tokio::test]
async fn what_is_not_this_machines_does_not_exist_for_it() {
    let rig = Rig::new().await;
    let order = rig.order("r1").await;
    let path = format!("/v1/orders/{}", order.order_id);
    let other = |token: &str, method: Method, path: &str| {
        let call = rig.http.request(method, format!("{}{path}", rig.url)).bearer_auth(token).json(&json!({ "outcome": "failed" }));
        async move { call.send().await.expect("an answer").status().as_u16() }
    };
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::GET, format!("{path}/qr.png")),
        (Method::POST, format!("{path}/cancel")),
        (Method::POST, format!("{path}/outcome")),
    ] {
        assert_eq!(other("vm-002", method.clone(), &path).await, 404, "{path}");
        assert_eq!(other("vm-003", method, &path).await, 401, "{path}");
    }
}

#[tokio::test]
async fn an_outcome_of_an_order_that_is_not_known_to_be_paid_has_midtrans_asked() {
    let rig = Rig::new().await;
    let order = rig.order("r1").await;
    let path = format!("/v1/orders/{}", order.order_id);
    let report = || rig.call(Method::POST, &format!("{path}/outcome")).json(&json!({ "outcome": "undelivered" }));
    let early = report().send().await.expect("an answer");
    assert_eq!(early.headers()["retry-after"], "10");
    assert_eq!(rig.problem(early, 503).await.code, Some(Reason::Backend));
    // The notification of this payment is lost. The machine's word leads to the question.
    let plan = Plan { fault: Fault::DropNotification, on: None, order_id: None, count: None };
    rig.simulator.with(|midtrans, _| midtrans.plan(plan));
    rig.pay(&order, false);
    while report().send().await.expect("an answer").status().as_u16() != 200 {
        rig.after(&rig.get(&path).await).await;
    }
    let told = rig.get(&path).await;
    assert_eq!((told.status, told.refund), (Status::Settlement, Some(Refund::Due)));
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let rig = Rig::new().await;
    type Change = (&'static str, Value, &'static str, &'static str);
    let table: [Change; 9] = [
        ("amount", json!(0), "amount", "malformed"),
        ("amount", json!("5000"), "amount", "malformed"),
        ("item", json!("a|b"), "item", "malformed"),
        ("ticket", json!("short"), "ticket", "malformed"),
        ("timeout_s", json!(5), "timeout_s", "malformed"),
        ("description", json!("x".repeat(51)), "description", "malformed"),
        ("payment", json!("indomaret"), "amount", "malformed"),
        ("request_id", json!("other"), "Idempotency-Key", "malformed"),
        ("kids", json!(["nobodys"]), "kids", "unknown_key"),
    ];
    for (field, value, named, code) in table {
        let mut body = rig.body("r1");
        body[field] = value;
        let call = rig.call(Method::POST, "/v1/orders").header("Idempotency-Key", "r1").json(&body);
        let problem = rig.problem(call.send().await.expect("an answer"), 422).await;
        assert_eq!(problem.errors.iter().map(|error| &*error.field).collect::<Vec<_>>(), [named], "{field}");
        assert_eq!(problem.code.map(|code| code.to_string()).as_deref(), Some(code), "{field}");
    }
    for query in ["", "?state=closed", "?state=open&wait=soon"] {
        let asked = rig.call(Method::GET, &format!("/v1/orders{query}")).send().await.expect("an answer");
        rig.problem(asked, 422).await;
    }
    let large = rig.call(Method::POST, "/v1/orders").body(vec![b' '; 20_000]).send().await.expect("an answer");
    assert_eq!(rig.problem(large, 413).await.code.map(|code| code.to_string()).as_deref(), Some("too_large"));
    assert_eq!(rig.asked("charge"), 0);
}

#[tokio::test]
async fn a_third_long_poll_is_refused_and_the_others_learn_of_the_cancel() {
    let rig = Rig::new().await;
    let order = rig.order("r1").await;
    let path = format!("/v1/orders/{}?wait=30", order.order_id);
    let first = rig.call(Method::GET, &path).send();
    let second = rig.call(Method::GET, &path).send();
    let third = async {
        // The third is the last one that comes. One of the three is refused.
        rig.call(Method::GET, &path).send().await
    };
    let begun = Instant::now();
    let waits = async { tokio::join!(first, second, third) };
    let cancel = async {
        while rig.shop.waiters.long_poll(&order.device).is_some() {
            tokio::task::yield_now().await;
        }
        rig.cancel(&order).await
    };
    let ((a, b, c), _) = tokio::join!(waits, cancel);
    let mut codes = [a, b, c].map(|answer| answer.expect("an answer").status().as_u16());
    codes.sort_unstable();
    assert_eq!(codes, [200, 200, 429]);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_backend_that_lost_its_books_takes_orders_back() {
    let rig = Rig::new().await;
    let order = rig.order("r1").await;
    rig.fail(Fault::DropNotification, "settlement", 1);
    rig.pay(&order, false);
    let Rig { simulator, .. } = rig;
    let restored = Rig::with(simulator).await;
    let found = restored.get(&format!("/v1/orders/{}", order.order_id)).await;
    restored.verify(&found);
    let none = restored.call(Method::GET, "/v1/orders/nobody").send().await.expect("an answer");
    assert_eq!(none.status().as_u16(), 404);
    let again = restored.call(Method::GET, "/v1/orders/nobody").send().await.expect("an answer");
    assert_eq!(again.status().as_u16(), 503, "once a minute");
}

#[tokio::test]
async fn the_customers_page_tells_and_changes_nothing() {
    let rig = Rig::new().await;
    let order = rig.order("r1").await;
    let finish = "/finish?order_id=x&result=success";
    for (path, words) in [("", "Waiting for your payment"), (finish, "Your payment is being confirmed")] {
        let call = rig.http.get(format!("{}/pay/{}{path}", rig.url, order.order_id)).header("accept-language", "en-GB");
        let page = call.send().await.expect("an answer").text().await.expect("text");
        assert!(page.contains("Rp5.000") && page.contains(words) && page.contains("TEST"), "{page}");
    }
    assert_eq!(rig.get(&format!("/v1/orders/{}", order.order_id)).await.status, Status::Pending);
}
