//! The backend's client against the simulator, over a real port.

use super::*;
use crate::midtrans::Via;
use crate::midtrans::faults::{BrokenImage, Fault, Plan};
use qris_backend::midtrans::{
    ChargeAs, ChargeOptions, ChargeRequest, Midtrans as Client, MidtransError, Notification, QrImageError, ServerKey, Settings,
    Transaction, TransactionStatus, idempotency_key,
};
use qris_core::order::ids::{DeviceId, ItemId, OrderId, RequestId, Ticket};
use qris_core::order::merchant::Metadata;
use qris_core::order::money::Rupiah;
use qris_core::order::request::Payment;
use qris_host::secret::Secret;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;

const KEY: &str = "SB-Mid-server-test";

#[test]
fn who_listens_everywhere_is_reached_by_loopback() {
    let addresses = [("0.0.0.0:9000", "127.0.0.1:9000"), ("[::]:9000", "[::1]:9000"), ("192.0.2.7:9000", "192.0.2.7:9000")];
    for (listens, reaches) in addresses {
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        assert_eq!(reached(at(listens)), at(reaches));
    }
}

async fn simulator(options: Options) -> SimulatorHandle {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    Simulator::start(listener, options).expect("a simulator")
}

fn client(base_url: &str, key: &str, charge_as: ChargeAs, notification_url: &str) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).retry(reqwest::retry::never());
    let settings = Settings {
        base_url: base_url.into(),
        server_key: ServerKey::new(&Secret::new(key)),
        notification_url: Some(notification_url.into()),
        charge: ChargeOptions { charge_as, ..ChargeOptions::default() },
    };
    let http = http.build().expect("a client");
    Client::new(settings, http.clone(), std::sync::Arc::new(http)).expect("settings")
}

/// A simulator, and a client that charges as GoPay. The client gets no notifications.
async fn both() -> (SimulatorHandle, Client) {
    let simulator = simulator(Options::new(KEY, "")).await;
    let client = client(&simulator.url(), KEY, ChargeAs::Gopay, "");
    (simulator, client)
}

fn order(id: &str) -> ChargeRequest {
    ChargeRequest {
        order_id: OrderId::new(id).expect("an order_id"),
        description: "Teh botol 350 ml".into(),
        payment: Payment::Gopay,
        metadata: Metadata {
            device: DeviceId::new("vm-001").expect("a device"),
            request_id: RequestId::new("r-1").expect("a request_id"),
            item: ItemId::new("A1").expect("an item"),
            amount: Rupiah::new(5_000).expect("an amount"),
            ticket: Ticket::from_random([7; 16]),
        },
    }
}

async fn charge(client: &Client, id: &str) -> Result<Transaction, MidtransError> {
    let order = order(id);
    client.charge(&order, &idempotency_key(&order.order_id, "charge")).await
}

async fn cancel(client: &Client, id: &str) -> Result<Transaction, MidtransError> {
    client.cancel(id, &idempotency_key(&OrderId::new(id).expect("an order_id"), "cancel")).await
}

fn once(simulator: &SimulatorHandle, fault: Fault) {
    simulator.with(|midtrans, _| midtrans.plan(Plan { count: Some(1), ..fault.into() }));
}

fn pay(simulator: &SimulatorHandle, name: &str, via: Via) {
    simulator.with(|midtrans, now| midtrans.pay(name, via, false, now)).expect("payable");
}

#[tokio::test]
async fn a_charge_is_paid_by_what_is_in_its_picture() {
    let simulator = simulator(Options::new(KEY, "")).await;
    for (id, charge_as, via, payment_type, pictures) in [
        ("o-1", ChargeAs::Gopay, Via::Gopay, "gopay", 1),
        ("o-2", ChargeAs::Gopay, Via::Qris, "qris", 1),
        ("o-3", ChargeAs::Qris, Via::Qris, "qris", 0),
    ] {
        let client = client(&simulator.url(), KEY, charge_as, "");
        let charged = charge(&client, id).await.expect("charged");
        assert_eq!(charged.transaction_status, TransactionStatus::Pending);
        assert_eq!(charged.deeplink_url().is_some(), charge_as == ChargeAs::Gopay);
        let payload = client.qr_payload(&charged).await.expect("a payload");
        assert_eq!(simulator.with(|midtrans, _| midtrans.transaction(id)).expect("in the books").qr_payload, payload);
        let asked = simulator.with(|midtrans, _| midtrans.requests());
        assert_eq!(asked.iter().filter(|request| request.call == "qr_image" && request.order_id == id).count(), pictures);
        assert_eq!(qris_core::order::qris::check(&payload, Rupiah::new(5_000).expect("an amount")), Ok(()));
        assert!(!client.status(id).await.expect("found").is_settled());
        pay(&simulator, &payload, via);
        for name in [id, charged.transaction_id.as_str()] {
            let found = client.status(name).await.expect("found");
            assert!(found.is_settled());
            assert_eq!(found.payment_type.as_deref(), Some(payment_type));
            assert!(found.settlement_time.is_some());
            let [device, request_id, third] = found.custom_fields.map(Option::unwrap_or_default);
            assert_eq!(Metadata::from_texts(&device, &request_id, &third), Some(order(id).metadata));
        }
        assert_eq!(cancel(&client, id).await, Err(MidtransError::CannotModify));
        assert_eq!(client.charge(&order(id), "another key").await, Err(MidtransError::Conflict));
    }
}

#[tokio::test]
async fn a_charge_whose_answer_was_lost_is_had_by_its_key() {
    let (simulator, client) = both().await;
    for (id, fault) in [
        ("o-1", Fault::LoseAnswer),
        ("o-2", Fault::Garble),
        ("o-3", Fault::TooLarge),
        ("o-4", Fault::ServerError { code: 503, done: true }),
    ] {
        once(&simulator, fault);
        let error = charge(&client, id).await.expect_err("lost");
        assert!(matches!(error, MidtransError::NoAnswer(_) | MidtransError::Unreadable(_) | MidtransError::Unavailable { .. }), "{error}");
        let made = simulator.with(|midtrans, _| midtrans.transaction(id)).expect("it was made all the same");
        assert_eq!(charge(&client, id).await.expect("had").transaction_id.as_str(), made.transaction_id);
    }
    assert_eq!(simulator.with(|midtrans, _| midtrans.transactions()).len(), 4, "nothing was charged twice");
}

#[tokio::test]
async fn while_the_first_call_runs_the_second_is_told_so() {
    let (simulator, client) = both().await;
    once(&simulator, Fault::Hang { ms: None });
    let first = tokio::spawn({
        let client = client.clone();
        async move { charge(&client, "o-1").await }
    });
    while simulator.with(|midtrans, _| midtrans.held()) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(charge(&client, "o-1").await, Err(MidtransError::Running));
    assert_eq!(simulator.release(), 1);
    let first = first.await.expect("no panic").expect("answered at last");
    assert_eq!(charge(&client, "o-1").await.expect("the same").transaction_id, first.transaction_id);
    // A client that goes away while it waits has no answer, but the charge is made.
    once(&simulator, Fault::Hang { ms: None });
    let hasty = tokio::spawn({
        let client = client.clone();
        async move { charge(&client, "o-2").await }
    });
    while simulator.with(|midtrans, _| midtrans.held()) == 0 {
        tokio::task::yield_now().await;
    }
    hasty.abort();
    assert_eq!(charge(&client, "o-2").await, Err(MidtransError::Running));
    simulator.release();
    charge(&client, "o-2").await.expect("had by its key");
    // The answer is held for a time of the simulator's own clock.
    once(&simulator, Fault::Hang { ms: Some(3_600_000) });
    let (status, ()) = tokio::join!(client.status("o-1"), async {
        while simulator.with(|midtrans, _| midtrans.held()) == 0 {
            tokio::task::yield_now().await;
        }
        simulator.advance(Span::secs(3_600));
    });
    assert!(status.is_ok());
}

#[tokio::test]
async fn refusals_have_their_names() {
    let (simulator, good) = both().await;
    simulator.with(|midtrans, _| midtrans.plan(Plan { count: Some(2), ..Fault::Deny { code: 900 }.into() }));
    for _ in 0..2 {
        let error = charge(&good, "o-1").await.expect_err("denied");
        assert!(
            matches!(&error, MidtransError::Denied { channel_response_code, .. } if channel_response_code == "900") && error.may_retry()
        );
    }
    charge(&good, "o-1").await.expect("the third time");
    let stranger = client(&simulator.url(), "SB-Mid-server-other", ChargeAs::Gopay, "");
    assert_eq!(charge(&stranger, "o-2").await, Err(MidtransError::Unauthorized));
    assert_eq!(stranger.status("o-1").await, Err(MidtransError::Unauthorized));
    once(&simulator, Fault::RateLimit);
    assert_eq!(charge(&good, "o-2").await, Err(MidtransError::RateLimited));
    once(&simulator, Fault::Refuse);
    assert!(matches!(charge(&good, "o-2").await, Err(MidtransError::NoAnswer(_))));
    once(&simulator, Fault::ServerError { code: 500, done: false });
    assert!(matches!(charge(&good, "o-2").await, Err(MidtransError::Unavailable { code: 500, .. })));
    assert_eq!(simulator.with(|midtrans, _| midtrans.transaction("o-2")), None);
    let too_much = ChargeRequest {
        metadata: Metadata { amount: Rupiah::new(20_000_001).expect("in range"), ..order("o-2").metadata },
        ..order("o-2")
    };
    let refused = good.charge(&too_much, "k").await.expect_err("above GoPay's limit");
    assert!(matches!(&refused, MidtransError::Refused { code: 400, validation, .. } if !validation.is_empty()) && !refused.may_retry());
    // Nobody listens there: nothing was sent.
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("an address");
    let nobody = charge(&client(&format!("http://{port}/"), KEY, ChargeAs::Gopay, ""), "o-2").await.expect_err("nobody there");
    assert!(matches!(&nobody, MidtransError::Unreachable(_)) && nobody.may_retry(), "{nobody}");
}

#[tokio::test]
async fn broken_pictures_are_told_apart() {
    let (simulator, client) = both().await;
    let charged = charge(&client, "o-1").await.expect("charged");
    let html = QrImageError::ContentType("text/html".into());
    for (how, expected) in [
        (BrokenImage::Html, Some(html)),
        (BrokenImage::Blank, Some(QrImageError::NoQr)),
        (BrokenImage::TooLarge, Some(QrImageError::TooLarge)),
        (BrokenImage::Cut, None),
    ] {
        once(&simulator, Fault::BrokenImage { how });
        match (client.qr_payload(&charged).await, expected) {
            (Err(MidtransError::Qr(error)), Some(expected)) => assert_eq!(error, expected),
            (Err(MidtransError::Qr(QrImageError::Png(_))), None) => {}
            (other, _) => panic!("{how:?}: {other:?}"),
        }
    }
    once(&simulator, Fault::BrokenImage { how: BrokenImage::Unavailable });
    let passing = client.qr_payload(&charged).await.expect_err("the partner is in trouble");
    assert!(matches!(passing, MidtransError::Unavailable { code: 503, .. }) && passing.may_retry());
    client.qr_payload(&charged).await.expect("and well again");
    let without = Transaction { actions: Vec::new(), ..charged };
    assert_eq!(client.qr_payload(&without).await, Err(QrImageError::None.into()));
}

/// A merchant who gives these answers to notifications, and hands each notification on.
async fn merchant(answers: Vec<u16>) -> (String, mpsc::UnboundedReceiver<(String, HeaderMap, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/midtrans/notifications", listener.local_addr().expect("an address"));
    let (tell, told) = mpsc::unbounded_channel();
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    let app = axum::Router::new().fallback(move |uri: axum::http::Uri, headers: HeaderMap, body: axum::body::Bytes| {
        let http = answers.lock().expect("no panic").next().unwrap_or(200);
        tell.send((uri.path().to_owned(), headers, body.to_vec())).expect("the test listens");
        async move { (StatusCode::from_u16(http).expect("a status"), [(header::LOCATION, "/elsewhere")]) }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, told)
}

#[tokio::test]
async fn the_merchant_is_told_and_told_again() {
    let simulator = simulator(Options { retry_spacing: vec![Span::ZERO; 5], ..Options::new(KEY, "") }).await;
    // The pending notification: 503, then again. The settlement: redirected with 307, then taken.
    let (url, mut told) = merchant(vec![503, 200, 307, 200, 302]).await;
    let client = client(&simulator.url(), KEY, ChargeAs::Gopay, &url);
    let mut next = async || {
        let (path, headers, body) = told.recv().await.expect("told");
        assert_eq!(headers.get("user-agent").and_then(|agent| agent.to_str().ok()), Some("Veritrans"));
        let notification = Notification::parse(&body).expect("a notification");
        assert!(notification.is_signed_with(client.server_key()));
        assert_eq!(notification.order_id, "o-1");
        (path, notification.transaction_status, notification.status_code)
    };
    let at = "/midtrans/notifications".to_owned();
    let pending = (at.clone(), TransactionStatus::Pending, "201".to_owned());
    let settled = (at, TransactionStatus::Settlement, "200".to_owned());
    let moved = ("/elsewhere".to_owned(), TransactionStatus::Settlement, "200".to_owned());
    charge(&client, "o-1").await.expect("charged");
    assert_eq!(next().await, pending);
    assert_eq!(next().await, pending);
    pay(&simulator, "o-1", Via::Gopay);
    assert_eq!(next().await, settled);
    assert_eq!(next().await, moved, "where 307 sent it");
    simulator.with(|midtrans, now| midtrans.notify_again("o-1", now)).expect("known");
    assert_eq!(next().await, settled, "and 302 is followed nowhere");
    simulator.with(|midtrans, now| midtrans.notify_again("o-1", now)).expect("known");
    assert_eq!(next().await, settled, "nor sent again");
}

#[tokio::test]
async fn the_controls_work_over_http() {
    let (simulator, client) = both().await;
    let charged = charge(&client, "o-1").await.expect("charged");
    let payload = client.qr_payload(&charged).await.expect("a payload");
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let post = async |path: &str, body: Value| {
        let response = http.post(format!("{}{path}", simulator.url())).json(&body).send().await.expect("answered");
        (response.status().as_u16(), response.json::<Value>().await.expect("JSON"))
    };
    let get = async |path: &str| http.get(format!("{}{path}", simulator.url())).send().await.expect("answered");
    assert_eq!(post("/sim/fail/o-1", json!({})).await, (200, json!({ "order_id": "o-1", "amount": 5000 })));
    assert_eq!(post("/sim/pay", json!({ "qr": "nonsense", "via": "qris" })).await, (404, json!({ "error": "unknown" })));
    assert_eq!(post("/sim/pay", json!({ "qr": payload, "via": "qris" })).await, (200, json!({ "order_id": "o-1", "amount": 5000 })));
    assert_eq!(post("/sim/pay/o-1?via=gopay", json!({})).await, (409, json!({ "error": "already_paid" })));
    charge(&client, "o-2").await.expect("charged");
    cancel(&client, "o-2").await.expect("cancelled");
    assert_eq!(post("/sim/pay/o-2", json!({})).await, (409, json!({ "error": "cancelled" })));
    assert_eq!(post("/sim/pay/o-2?via=gopay&force=true", json!({})).await.0, 200);
    assert_eq!(post("/sim/faults", json!({ "fault": "deny", "count": 1, "on": "charge" })).await.0, 200);
    assert_eq!(get("/sim/faults").await.json::<Value>().await.expect("JSON")[0]["code"], 900);
    assert!(matches!(charge(&client, "o-3").await, Err(MidtransError::Denied { .. })));
    charge(&client, "o-4").await.expect("charged");
    post("/sim/clock", json!({ "advance_ms": 16 * 60_000 })).await;
    assert_eq!(client.status("o-4").await.expect("found").transaction_status, TransactionStatus::Expire);
    let books: Value = get("/sim/transactions").await.json().await.expect("JSON");
    let statuses: Vec<&str> = books.as_array().expect("a list").iter().filter_map(|book| book["status"].as_str()).collect();
    assert_eq!(statuses, ["settlement", "settlement", "deny", "expire"]);
    let log: Value = get("/sim/requests").await.json().await.expect("JSON");
    let calls: Vec<&str> = log.as_array().expect("a list").iter().filter_map(|request| request["call"].as_str()).collect();
    assert_eq!(calls, ["charge", "qr_image", "charge", "cancel", "charge", "charge", "status"]);
    for path in ["/sim", "/sim/held"] {
        assert_eq!(get(path).await.status(), 200);
    }
    let link = charged.deeplink_url().expect("a link");
    assert_eq!(http.get(link).send().await.expect("answered").status(), 200);
    assert_eq!(get("/gopay/partner/app/payment-pin?id=x").await.status(), 404);
}

#[tokio::test]
async fn gopays_page_takes_a_pin_and_sends_its_customer_back() {
    let simulator = simulator(Options::new(KEY, "")).await;
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let rows = [
        (
            "o-1",
            "https://shop.example/finish",
            "pay",
            "123456",
            Some("https://shop.example/finish?order_id=o-1&result=success"),
            "settlement",
        ),
        ("o-2", "app://finish?x=1", "cancel", "123456", Some("app://finish?x=1&order_id=o-2&result=failure"), "pending"),
        ("o-3", "https://shop.example/finish", "pay", "000000", None, "pending"),
        ("o-4", "", "pay", "123456", None, "settlement"),
    ];
    for (order_id, callback_url, press, pin, sent_to, status) in rows {
        let body = json!({ "payment_type": "gopay", "transaction_details": { "order_id": order_id, "gross_amount": 5_000 },
            "gopay": { "enable_callback": !callback_url.is_empty(), "callback_url": callback_url } });
        let charge = http.post(format!("{}/v2/charge", simulator.url())).basic_auth(KEY, Some("")).json(&body);
        let charged: Value = charge.send().await.expect("answered").json().await.expect("JSON");
        let link = charged["actions"].as_array().expect("actions").iter().find(|action| action["name"] == "deeplink-redirect");
        let link = link.expect("a link")["url"].as_str().expect("an address");
        let page = http.get(link).send().await.expect("answered").text().await.expect("text");
        let button = format!("formaction=\"{}&amp;press={press}\"", link.strip_prefix(&simulator.url()).expect("here"));
        assert!(page.contains("Rp5000") && page.contains(&button), "{page}");
        let pressed = http.post(format!("{link}&press={press}")).body(format!("pin={pin}")).send().await.expect("answered");
        let location = pressed.headers().get("location").map(|to| to.to_str().expect("text").to_owned());
        assert_eq!(location.as_deref(), sent_to, "{order_id}");
        assert_eq!(simulator.with(|midtrans, _| midtrans.transaction(order_id)).expect("known").status, status, "{order_id}");
    }
}

#[tokio::test]
async fn an_answer_can_be_cut_in_the_middle() {
    let (simulator, client) = both().await;
    charge(&client, "o-1").await.expect("charged");
    once(&simulator, Fault::CutAnswer);
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let asked = http.get(format!("{}/v2/o-1/status", simulator.url())).basic_auth(KEY, Some(""));
    let mut response = asked.send().await.expect("it begins like an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = Vec::new();
    let end = loop {
        match response.chunk().await {
            Ok(Some(bytes)) => body.extend_from_slice(&bytes),
            other => break other,
        }
    };
    assert!(end.is_err() && body.starts_with(b"{") && body.len() > 100, "{end:?} after {} bytes", body.len());
    assert!(client.status("o-1").await.is_ok(), "and well again");
}

#[tokio::test]
async fn pictures_can_lie() {
    let (simulator, client) = both().await;
    let charged = charge(&client, "o-1").await.expect("charged");
    let good = client.qr_payload(&charged).await.expect("a payload");
    let amount = Rupiah::new(5_000).expect("an amount");
    once(&simulator, Fault::BrokenImage { how: BrokenImage::WrongAmount });
    let dear = client.qr_payload(&charged).await.expect("it can be read");
    assert!(dear.contains("5001.00") && qris_core::order::qris::check(&dear, amount).is_err());
    once(&simulator, Fault::BrokenImage { how: BrokenImage::BadCrc });
    let bad = client.qr_payload(&charged).await.expect("it can be read");
    assert!(bad != good && bad[..bad.len() - 4] == good[..good.len() - 4] && qris_core::order::qris::check(&bad, amount).is_err());
}

#[tokio::test]
async fn whoever_does_not_answer_is_told_again() {
    let options = Options { notification_timeout: Span::millis(50), retry_spacing: vec![Span::ZERO; 5], ..Options::new(KEY, "") };
    let simulator = simulator(options).await;
    // It takes connections and says nothing.
    let deaf = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", deaf.local_addr().expect("an address"));
    let client = client(&simulator.url(), KEY, ChargeAs::Qris, &url);
    charge(&client, "o-1").await.expect("charged");
    let mut held = Vec::new();
    while simulator.with(|midtrans, _| midtrans.attempts(Some("o-1")).len()) < 6 {
        tokio::select! {
            connection = deaf.accept() => held.push(connection.expect("a connection")),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
    let attempts = simulator.with(|midtrans, _| midtrans.attempts(None));
    assert_eq!(
        attempts.iter().map(|attempt| (attempt.retries, attempt.http)).collect::<Vec<_>>(),
        (0..6).map(|n| (n, None)).collect::<Vec<_>>()
    );
    assert!(simulator.with(|midtrans, now| midtrans.due(now)).is_empty(), "five times, and no more");
}
