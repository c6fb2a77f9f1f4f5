//! The whole backend beside a gateway, over real ports: what its handlers and its gateway show only together.

mod another_gateway;
mod answers;
mod bells;
mod clock_told;
mod late_sign;
mod read_only;
mod relay_keys;

use crate::gateway::Gateway;
use crate::http;
use crate::machines::devices;
use crate::machines::handle::Machines;
use crate::machines::token;
use crate::midtrans::{ChargeOptions, Midtrans, ServerKey, Settings};
use crate::sale::books::{self, Policy};
use crate::sale::handle::{Bell, Books};
use crate::sale::view;
use crate::sale::work;
use crate::store::{BOOKS, MACHINES, testing};
use qris_core::order::ids::{DeviceId, KeyId, Ticket};
use qris_core::order::keys::{KeySet, SigningKey, jwk_set};
use qris_core::order::merchant::{Rules, Said, outside};
use qris_core::order::money::Rupiah;
use qris_core::order::proof::{self, Last, RelayKey, Statement};
use qris_core::order::reason::Reason;
use qris_core::order::time::{Now, Span, Told, Wall, Zone};
use qris_core::order::tries::TryNumber;
use qris_core::wire::orders::{OrderResource, Problem, RELAY_KEY, Refund, Status};
use qris_host::events::Event as Journal;
use qris_host::http::{Limits, client};
use qris_host::reckoning::Reckoning;
use qris_host::secret::Secret;
use qris_host::surroundings::Surroundings;
use qris_host::{clock, tls};
use qris_sim::midtrans::faults::{BrokenImage, Fault, Plan};
use qris_sim::midtrans::{Change, Options, Via};
use qris_sim::midtrans_http::{Simulator, SimulatorHandle};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;

const KEY: &str = "SB-Mid-server-test";
const LIMITS: Limits = Limits { total: Duration::from_secs(90), read: Duration::from_secs(90), idle_connections: 8 };

/// A backend that serves, beside a gateway.
struct Rig<G = SimulatorHandle> {
    handles: http::Handles,
    simulator: G,
    http: reqwest::Client,
    url: String,
    keys: KeySet,
    kid: KeyId,
    journal: Arc<Recorded>,
    _directory: tempfile::TempDir,
    _stop: watch::Sender<bool>,
}

/// A computer whose journal can be read.
#[derive(Debug, Default)]
struct Recorded(Mutex<Vec<Journal>>, Reckoning);

impl Surroundings for Recorded {
    fn clocks(&self) -> Now {
        qris_host::clock::now()
    }

    fn reckoning(&self) -> &Reckoning {
        &self.1
    }

    fn random(&self, bytes: &mut [u8]) {
        qris_host::random::fill(bytes);
    }

    fn emit(&self, event: &Journal) {
        self.0.lock().expect("nothing panics with it").push(event.clone());
    }
}

/// The key with which the machine's relay signs.
fn relay() -> SigningKey {
    SigningKey::from_seed([9; 32])
}

/// As many bytes as a ticket has, of a request's name.
fn digest(text: &str) -> [u8; 16] {
    ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref()[..16].try_into().expect("16")
}

impl Rig {
    async fn new() -> Self {
        Self::tuned(Options::new(KEY, ""), |_| {}).await
    }

    /// A backend beside another Midtrans, for a merchant with other decisions.
    async fn tuned(options: Options, tune: impl FnOnce(&mut Policy)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::beside(Simulator::start(listener, options).expect("a simulator"), tune).await
    }

    /// A backend without orders, beside a Midtrans that may have some.
    async fn beside(simulator: SimulatorHandle, tune: impl FnOnce(&mut Policy)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        tls::install_provider();
        let settings = Settings {
            base_url: simulator.url(),
            server_key: ServerKey::new(&Secret::new(KEY)),
            notification_url: Some(format!("http://{}/midtrans/notifications", listener.local_addr().expect("an address"))),
            charge: ChargeOptions::default(),
        };
        let http = client(None, Limits { total: Duration::from_secs(10), ..LIMITS }).expect("a client");
        let midtrans = Midtrans::new(settings, http.clone(), Arc::new(http)).expect("settings");
        Self::open(simulator, Arc::new(midtrans), listener, tune).await
    }

    fn fail(&self, fault: Fault, on: &str) {
        let plan = Plan { fault, on: Some(on.into()), order_id: None, count: Some(1) };
        self.simulator.with(|midtrans, _| midtrans.plan(plan));
    }

    fn pay(&self, order: &OrderResource) {
        self.simulator.with(|midtrans, now| midtrans.pay(order.order_id.as_str(), Via::Qris, false, now)).expect("paid");
    }
}

impl<G> Rig<G> {
    async fn open(simulator: G, gateway: Arc<dyn Gateway>, listener: TcpListener, tune: impl FnOnce(&mut Policy)) -> Self {
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let directory = tempfile::tempdir().expect("a directory");
        let key = SigningKey::from_seed([5; 32]);
        let keys = KeySet::from_jwks(&jwk_set(&[key.to_public_jwk("pay.example")])).expect("a set");
        let kid = key.kid().clone();
        let rules = Rules { keys: vec![key], ..outside::rules() };
        let mut policy = Policy { rules, push: true, orders_per_minute: 0, auto_refund_per_day: 0, tries_per_day: 10 };
        tune(&mut policy);
        let place = view::Shop {
            public_url: Some(url.clone().into()),
            sandbox: true,
            merchant: None,
            contact: None,
            collect_within: Span::secs(72 * 3600),
            zone: Zone::Wib,
            desk_url: None,
        };
        let open = |name: &str, schema| testing::open(directory.path(), name, schema);
        let (store, machines) = (open("orders.db", &BOOKS), open("devices.db", &MACHINES));
        let journal = Arc::new(Recorded::default());
        let around = Arc::clone(&journal) as Arc<dyn Surroundings>;
        let books = Arc::new(Books::new(store, policy, Arc::clone(&around)));
        let machines = Machines::new(machines, Arc::clone(&books), Span::secs(600), None, Arc::clone(&around));
        let handles = http::Handles::new(around, books, machines, gateway, place);
        let (id, hash) = (DeviceId::new("vm-001").expect("an id"), token::hash("vm-001"));
        handles.machines.write(move |tx| devices::add(tx, &id, &hash, false, clock::now().wall)).await.expect("added");
        let (stop, stopping) = watch::channel(false);
        let limits = http::limits(64, Box::default());
        tokio::spawn(http::serve(handles.clone(), limits, listener, stopping));
        tokio::spawn(Arc::clone(&handles.work).sweep());
        let http = client(None, LIMITS).expect("a client");
        Self { handles, simulator, http, url, keys, kid, journal, _directory: directory, _stop: stop }
    }

    /// A request of vm-001, whose token is its name.
    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth("vm-001")
    }

    fn body(&self, request: &str) -> Value {
        json!({ "request_id": request, "ticket": Ticket::from_random(digest(request)), "kids": [self.kid], "item": "A1",
            "description": "Teh", "amount": 5000, "payment": "gopay", "timeout_s": 120, "relay_key": RelayKey::of(&relay()) })
    }

    /// Asks for an order, with these fields instead of the usual ones.
    async fn ask(&self, request: &str, fields: &[(&str, Value)]) -> Response {
        let mut body = self.body(request);
        fields.iter().for_each(|(field, value)| body[*field] = value.clone());
        let call = self.call(Method::POST, "/v1/orders").header("Idempotency-Key", request).json(&body);
        call.send().await.expect("an answer")
    }

    /// An order that can be paid.
    async fn order(&self, request: &str) -> OrderResource {
        let response = self.ask(request, &[]).await;
        assert_eq!(response.status(), StatusCode::CREATED);
        let order: OrderResource = response.json().await.expect("an order");
        assert_eq!(order.status, Status::Pending);
        assert!(order.qr_payload.as_deref().is_some_and(|payload| payload.starts_with("000201")));
        order
    }

    /// The machine tells what became of an order, with its relay's word.
    async fn tell(&self, order: &OrderResource, outcome: Last) -> StatusCode {
        let call = self.call(Method::POST, &format!("/v1/orders/{}/outcome", order.order_id));
        let (device, ticket) = (order.device.clone(), order.ticket.clone());
        let number = u64::from(digest(ticket.as_str())[0]);
        let word =
            Statement { device, ticket, order_id: None, number_of_try: TryNumber::FIRST, outcome, driven: outcome != Last::Closed, number };
        let body = json!({ "outcome": outcome.delivery().as_str(), "proof": proof::sign(&relay(), &word) });
        call.json(&body).send().await.expect("an answer").status()
    }

    /// Waits until the books say so of an order.
    async fn until(&self, order: &OrderResource, what: &str, so: impl Fn(&books::Stored) -> bool) {
        let begun = Instant::now();
        loop {
            let id = order.order_id.clone();
            let stored = self.handles.books.read(move |tx| books::load(tx, &id)).await.expect("read").expect("in the books");
            if so(&stored) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {:#?}", stored.order);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
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

    async fn cancel(&self, order: &OrderResource) -> OrderResource {
        let call = self.call(Method::POST, &format!("/v1/orders/{}/cancel", order.order_id));
        call.send().await.expect("an answer").json().await.expect("an order")
    }

    /// The code of a problem, and the fields that it names.
    async fn problem(&self, response: Response, status: u16) -> (Option<Reason>, Vec<String>) {
        assert_eq!((response.status().as_u16(), response.headers()["content-type"].as_bytes()), (status, &b"application/problem+json"[..]));
        let problem: Problem = response.json().await.expect("a problem");
        (problem.code, problem.errors.iter().map(|error| error.field.to_string()).collect())
    }

    fn verify(&self, order: &OrderResource) {
        assert_eq!(order.status, Status::Settlement);
        let receipt = self.keys.verify(order.receipt.as_deref().expect("a receipt"), &order.device).expect("ours");
        assert_eq!((&receipt.claims().sub, &receipt.claims().ticket), (&order.order_id, &order.ticket));
    }
}

#[tokio::test]
async fn what_must_not_be_shown_is_cancelled() {
    let rig = Rig::new().await;
    for (request, fault, on, code) in [
        ("fee", Fault::ImposeFee { rupiah: 100 }, "charge", Reason::GrossAmount),
        ("blank", Fault::BrokenImage { how: BrokenImage::Blank }, "qr_image", Reason::Gateway),
    ] {
        rig.fail(fault, on);
        for _ in 0..2 {
            let (found, _) = rig.problem(rig.ask(request, &[]).await, 422).await;
            assert_eq!(found, Some(code), "{request}: the same answer to the same request");
        }
    }
    let begun = Instant::now();
    while rig.simulator.with(|midtrans, _| midtrans.transactions().iter().any(|book| book.status == "pending")) {
        assert!(begun.elapsed() < Duration::from_secs(5), "cancelled at Midtrans");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_picture_that_somebody_else_hosts_is_fetched_by_nobody() {
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    stranger.set_nonblocking(true).expect("set");
    let elsewhere = format!("http://localhost:{}", stranger.local_addr().expect("an address").port());
    let rig = Rig::tuned(Options::new(KEY, &elsewhere), |_| {}).await;
    assert_eq!(rig.problem(rig.ask("elsewhere", &[]).await, 422).await.0, Some(Reason::Gateway));
    assert_eq!(stranger.accept().expect_err("nobody came").kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_qr_that_pays_somebody_else_is_sold_and_a_person_is_told() {
    let rig = Rig::new().await;
    rig.order("first").await;
    let other = Change { nmid: Some("AID000000000001".into()), ..Change::default() };
    rig.simulator.with(|midtrans, now| midtrans.change(other, now));
    assert!(rig.order("second").await.qr_payload.is_some_and(|payload| payload.contains("AID000000000001")));
    let told = rig.handles.books.read(|tx| books::due_alerts(tx, Told::trusted(clock::now().wall))).await.expect("readable");
    assert_eq!(told.iter().map(|alert| (alert.kind(), alert.subject())).collect::<Vec<_>>(), [("merchant", "AID000000000001")]);
}

#[tokio::test]
async fn notifications_are_answered_as_the_contract_says() {
    let rig = Rig::new().await;
    let order = rig.order("r1").await;
    let post = async |body: Vec<u8>| {
        let call = rig.http.post(format!("{}/midtrans/notifications", rig.url)).body(body);
        call.send().await.expect("an answer").status().as_u16()
    };
    let signed = |id: &str, status: &str, key: &str| {
        let signature = ServerKey::new(&Secret::new(key)).sign(id, "200", "5000.00");
        json!({ "order_id": id, "status_code": "200", "gross_amount": "5000.00", "signature_key": signature,
            "transaction_status": status, "transaction_id": "t" })
    };
    let id = order.order_id.as_str();
    let good = signed(id, "settlement", KEY);
    let changed = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body.to_string().into_bytes()
    };
    let upper = good["signature_key"].as_str().expect("text").to_uppercase();
    let mut table = vec![
        (good.to_string().into_bytes(), 200),
        (signed(id, "expire", KEY).to_string().into_bytes(), 200),
        // Midtrans is asked about what the books do not have.
        (signed("nobody", "settlement", KEY).to_string().into_bytes(), 200),
        (signed("no/order of ours", "settlement", KEY).to_string().into_bytes(), 200),
        (signed(id, "settlement", "other").to_string().into_bytes(), 403),
        (changed("signature_key", json!(upper)), 200),
        (b"".to_vec(), 400),
        (b"[]".to_vec(), 400),
        (b"null".to_vec(), 400),
        (b"{".to_vec(), 400),
        (vec![b' '; (64 << 10) + 1], 413),
    ];
    for field in ["order_id", "status_code", "gross_amount", "signature_key", "transaction_status", "transaction_id"] {
        table.extend([Value::Null, json!(1)].map(|wrong| (changed(field, wrong), 400)));
    }
    for (body, status) in table {
        let text = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        assert_eq!(post(body).await, status, "{text}");
    }
    let now = rig.get(&format!("/v1/orders/{id}")).await;
    assert_eq!((now.status, now.receipt), (Status::Pending, None), "a notification alone pays nothing");
}

/// Whoever saw the notification of a pending charge can change its word, but not its code.
#[tokio::test]
async fn a_settlement_counts_only_with_its_own_code() {
    let rig = Rig::new().await;
    let said = |code: &str| {
        let signature = ServerKey::new(&Secret::new(KEY)).sign("o-1", code, "5000.00");
        let body = json!({ "order_id": "o-1", "status_code": code, "gross_amount": "5000.00", "signature_key": signature,
            "transaction_status": "settlement", "transaction_id": "t" });
        rig.handles.gateway.notification(&HeaderMap::new(), body.to_string().as_bytes()).expect("genuine").said
    };
    assert_eq!((said("200"), said("201")), (Said::Settled, Said::Other));
}

#[tokio::test]
async fn an_outcome_of_an_order_that_is_not_known_to_be_paid_has_midtrans_asked() {
    let rig = Rig::new().await;
    let order = rig.order("r1").await;
    let path = format!("/v1/orders/{}", order.order_id);
    let report = async || {
        let call = rig.call(Method::POST, &format!("{path}/outcome")).json(&json!({ "outcome": "undelivered" }));
        call.send().await.expect("an answer")
    };
    let early = report().await;
    assert_eq!(early.headers()["retry-after"], "10");
    assert_eq!(rig.problem(early, 503).await.0, Some(Reason::Backend));
    // The notification of this payment is lost. The machine's word leads to the question.
    rig.fail(Fault::DropNotification, "settlement");
    rig.pay(&order);
    while report().await.status() != StatusCode::OK {
        rig.after(&rig.get(&path).await).await;
    }
    let told = rig.get(&path).await;
    assert_eq!((told.status, told.refund), (Status::Settlement, Some(Refund::Due)));
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let rig = Rig::new().await;
    type Row = (&'static str, Value, &'static str, &'static str, &'static str);
    let table: [Row; 13] = [
        ("amount", json!(0), "gopay", "amount", "malformed"),
        ("amount", json!("5000"), "gopay", "amount", "malformed"),
        ("amount", json!(20_000_001), "gopay", "amount", "malformed"),
        ("amount", json!(9_999), "indomaret", "amount", "malformed"),
        ("amount", json!(5_000_001), "indomaret", "amount", "malformed"),
        ("amount", json!(5_000_001), "alfamart", "amount", "malformed"),
        ("item", json!("a|b"), "gopay", "item", "malformed"),
        ("ticket", json!("short"), "gopay", "ticket", "malformed"),
        ("timeout_s", json!(5), "gopay", "timeout_s", "malformed"),
        ("description", json!("x".repeat(51)), "gopay", "description", "malformed"),
        ("request_id", json!("other"), "gopay", "Idempotency-Key", "malformed"),
        ("request_id", Value::Null, "gopay", "request_id", "malformed"),
        ("kids", json!(["nobodys"]), "gopay", "kids", "unknown_key"),
    ];
    for (field, value, payment, named, code) in table {
        let what = format!("{field}: {value}, {payment}");
        let (found, fields) = rig.problem(rig.ask("r1", &[("payment", json!(payment)), (field, value)]).await, 422).await;
        assert_eq!((found.map(|code| code.to_string()).as_deref(), fields), (Some(code), vec![named.to_owned()]), "{what}");
    }
    for query in ["", "?state=closed", "?state=open&wait=soon"] {
        let asked = rig.call(Method::GET, &format!("/v1/orders{query}")).send().await.expect("an answer");
        rig.problem(asked, 422).await;
    }
    let large = rig.call(Method::POST, "/v1/orders").body(vec![b' '; 20_000]).send().await.expect("an answer");
    assert_eq!(rig.problem(large, 413).await.0, Some(Reason::TooLarge));
    assert!(rig.simulator.with(|midtrans, _| midtrans.requests()).is_empty());
}

/// The customer paid the fee too, and gets it back. A refund of only the price would be a part, and Midtrans would
/// call it so.
#[tokio::test]
async fn a_refund_gives_back_the_fee_that_was_imposed_too() {
    let rig = Rig::tuned(Options { fee: 100, ..Options::new(KEY, "") }, |policy| {
        (policy.auto_refund_per_day, policy.rules.max_imposed_fee) = (50, 100);
    })
    .await;
    let order = rig.order("r1").await;
    assert_eq!((order.amount.get(), order.gross_amount.map(Rupiah::get)), (5000, Some(5100)));
    rig.pay(&order);
    rig.until(&order, "a receipt", |stored| stored.order.receipt().is_some()).await;
    assert_eq!(rig.tell(&order, Last::Failed).await, StatusCode::OK);
    rig.until(&order, "a refund", |stored| stored.order.state.word() == "refunded").await;
    let refunded = rig.simulator.with(|midtrans, _| midtrans.transaction(order.order_id.as_str()).expect("in the books").refunded);
    let told = rig.get(&format!("/v1/orders/{}", order.order_id)).await;
    assert_eq!((refunded, told.refund, told.receipt), (5100, Some(Refund::Done), None));
    let outbox = rig.handles.books.read(|tx| books::take_outbox(tx, 0)).await.expect("read");
    assert!(outbox.iter().any(|message| message.payload.contains("\"status\":\"refund\"")), "its machine hears of it: {outbox:?}");
}

#[tokio::test]
async fn a_backend_that_lost_its_books_knows_a_code_again() {
    for (store, amount) in [("alfamart", 10_001), ("indomaret", 10_002)] {
        let rig = Rig::new().await;
        let asked = rig.ask(store, &[("payment", json!(store)), ("amount", json!(amount))]).await;
        let order: OrderResource = asked.json().await.expect("an order");
        let restored = Rig::beside(rig.simulator, |_| {}).await;
        let found = restored.get(&format!("/v1/orders/{}", order.order_id)).await;
        assert_eq!((found.status, found.payment, found.store.as_deref()), (Status::Pending, order.payment, Some(store)));
        assert_eq!(order.store.as_deref(), Some(store));
        assert!(found.payment_code.is_some() && found.payment_code == order.payment_code, "{found:?}");
        assert!(found.expires_in_s.is_some_and(|left| left > 86_000), "it has its day: {:?}", found.expires_in_s);
    }
}

/// A server of PostgreSQL tells what any process has changed, and a lost connection to it is made anew. A file tells nothing.
#[tokio::test]
async fn what_another_process_changes_is_heard() {
    let rig = Rig::new().await;
    let order = rig.order("heard").await;
    let hears = || rig.handles.waiters.hears();
    let Some(server) = testing::server(rig._directory.path()) else { return assert!(!hears(), "there is nobody who could tell") };
    tokio::spawn(work::listen(Arc::clone(&rig.handles.waiters), server));
    let until = async |wanted: bool| {
        while hears() != wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waiter = rig.handles.waiters.register(&order.device, &order.request_id);
    for is_lost in [false, true] {
        until(true).await;
        if is_lost {
            let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query = 'LISTEN qris'";
            rig.handles.books.write(move |tx, _, _| Ok(tx.rows(end, &[])?)).await.expect("ended");
            until(false).await;
            until(true).await;
        }
        let mut news = pin!(waiter.news());
        news.as_mut().enable();
        // Another process does not announce it here.
        let change = "UPDATE orders SET rev = rev + 1 WHERE order_id = $1";
        let id = order.order_id.clone();
        rig.handles.books.write(move |tx, _, _| Ok(tx.rows(change, &[id.as_str().into()])?)).await.expect("changed");
        tokio::time::timeout(Duration::from_secs(60), news).await.expect("news");
    }
}
