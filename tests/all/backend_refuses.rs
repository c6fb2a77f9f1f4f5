//! What the backend refuses, and survives: floods, bodies that are too large or too slow, lies that are well signed, SQL in
//! every string, a full disk. What it answers otherwise stands in `notifications` and `backend_limits`.

use crate::rig::http::{Http, HttpAnswer};
use crate::rig::midtrans::{SERVER_KEY, Via, notification};
use crate::rig::namespace::SmallDisk;
use crate::rig::shop::{Program, Shop, new_request_id};
use crate::rig::{PATIENCE, wait_for};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn id(order: &Value) -> String {
    order["order_id"].as_str().unwrap_or_else(|| panic!("no order: {order}")).to_owned()
}

fn problem(what: &str, answer: &HttpAnswer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.content_type.as_str()), (status, "application/problem+json"), "{what}: {}", answer.text());
    assert_eq!((&answer.json()["status"], &answer.json()["code"]), (&json!(status), &json!(code)), "{what}: {}", answer.text());
}

/// The backend is well: it sells, quickly.
fn sells(shop: &Shop, what: &str) {
    let start = Instant::now();
    let order = shop.charge();
    shop.midtrans.pay(&id(&order), Via::Gopay);
    shop.wait_order(&id(&order), what, |order| (order["status"] == "settlement").then_some(()));
    assert!(start.elapsed() < Duration::from_secs(60), "{what}: {:?}", start.elapsed());
}

fn metric(shop: &Shop, name: &str) -> u64 {
    let text = shop.http.get(&format!("{}/metrics", shop.backend_url), None).text();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("qris_backend_{name} ")));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}: {text}"))
}

#[test]
fn ten_thousand_notifications_change_nothing_while_orders_are_sold() {
    const FLOOD: usize = 10_000;
    const AT_ONCE: usize = 32;
    let shop = Shop::merchants_side();
    let victim = id(&shop.charge());
    let forged = {
        let mut body = notification(&victim, "200", "5000.00", "settlement");
        body["signature_key"] = "0".repeat(128).into();
        body
    };
    // Of each kind a body, and what it is answered. What is well signed says nothing that Midtrans confirms.
    let kinds: Arc<[(Vec<u8>, u16)]> = [
        (forged, 403),
        (notification(&victim, "201", "5000.00", "pending"), 200),
        (json!({"order_id": victim}), 400),
        (notification(&victim, "200", "5000.00", "settlement"), 200),
    ]
    .map(|(body, status)| (body.to_string().into_bytes(), status))
    .into();
    let (next, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let url = format!("{}/midtrans/notifications", shop.backend_url);
    let (mut sold, start) = (0, Instant::now());
    let flood: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (kinds, next, refused, url) = (Arc::clone(&kinds), Arc::clone(&next), Arc::clone(&refused), url.clone());
            std::thread::spawn(move || {
                let http = Http::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= FLOOD {
                        return;
                    }
                    let (body, status) = &kinds[number % kinds.len()];
                    let answer = http.post_bytes(&url, None, "application/json", body);
                    assert_eq!(answer.status, *status, "{}", answer.text());
                    if answer.status >= 400 {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    while next.load(Ordering::Relaxed) < FLOOD || sold < 3 {
        sells(&shop, "an order in the flood");
        sold += 1;
    }
    flood.into_iter().for_each(|thread| thread.join().expect("no panic"));
    assert_eq!(refused.load(Ordering::Relaxed), FLOOD / 2);
    assert_eq!(metric(&shop, "notifications_refused_total"), FLOOD as u64 / 2);
    assert!(metric(&shop, "notifications_total") >= FLOOD as u64 / 2, "and those of the orders that were sold");
    // A receipt is in the books before it is counted and told.
    let backend = shop.backend.as_ref().expect("it runs");
    let lines = |text: &str| backend.lines.all().iter().filter(|line| line.contains(text)).count() as u64;
    wait_for("the last receipt to be told", || (lines(": receipt signed") >= sold).then_some(()));
    assert_eq!(metric(&shop, "receipts_total"), sold);
    let now = shop.order_at_backend(&victim);
    assert_eq!((now["status"].as_str(), &now["receipt"]), (Some("pending"), &Value::Null));
    // Midtrans is asked by the order's own pace, not by the flood's.
    let asked = shop.midtrans.calls("status", &victim).len();
    assert!(asked < 200, "asked {asked} times for 2,500 notifications");
    // It keeps no money out of the journal, and little else comes into it.
    let (signed, refused) = (lines(": receipt signed"), lines("notification for order "));
    assert!(signed == sold && (60..=60 * (2 + start.elapsed().as_secs() / 60)).contains(&refused), "{signed} and {refused} lines");
    let resident = backend.resident_kib();
    assert!(resident < 80 * 1024, "{resident} KiB, unoptimised");
}

#[test]
fn what_says_to_be_no_json_is_not_read() {
    let shop = Shop::merchants_side();
    let url = format!("{}/v1/orders", shop.backend_url);
    let client = reqwest_client();
    let post = |body: &Value, headers: &[(&str, &str)]| {
        let key = body["request_id"].as_str().expect("an id");
        let request = client.post(&url).header("Idempotency-Key", key).body(body.to_string());
        shop.http.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)), Some(&shop.token))
    };
    let new = || shop.order_body(&new_request_id());
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "", "\u{fe}"] {
        problem(kind, &post(&new(), &[("Content-Type", kind)]), 415, "malformed");
    }
    for encoding in ["gzip", "br", "deflate", "identity, gzip"] {
        let headers = [("Content-Type", "application/json"), ("Content-Encoding", encoding)];
        problem(encoding, &post(&new(), &headers), 415, "malformed");
    }
    assert!(shop.midtrans.transactions().is_empty(), "nothing was ordered");
    for kind in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.qris+json"] {
        let answer = post(&new(), &[("Content-Type", kind), ("Content-Encoding", "identity")]);
        assert_eq!(answer.status, 201, "{kind}: {}", answer.text());
    }
    assert_eq!(post(&new(), &[]).status, 201, "who says nothing says no lie");
    let order_id = id(&shop.charge());
    let told = shop.http.post_bytes(&format!("{url}/{order_id}/outcome"), Some(&shop.token), "text/plain", b"{}");
    problem("an outcome", &told, 415, "malformed");
    // What Midtrans sends is believed for its signature, whatever it says to be; what is no JSON is malformed.
    let notifications = format!("{}/midtrans/notifications", shop.backend_url);
    let good = notification(&order_id, "201", "5000.00", "pending").to_string();
    for kind in ["application/json", "text/plain", "application/x-www-form-urlencoded"] {
        assert_eq!(shop.http.post_bytes(&notifications, None, kind, good.as_bytes()).status, 200, "{kind}");
    }
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let deep = format!("{}1{}", "{\"a\":".repeat(2_500), "}".repeat(2_500));
    for (what, body) in [
        ("nothing", &b""[..]),
        ("UTF-16", &utf16),
        ("no UTF-8", b"{\"order_id\":\"\xff\xfe\"}"),
        ("a deep object", deep.as_bytes()),
        ("a form", b"order_id=1&status_code=200"),
        ("two objects", b"{} {}"),
        ("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00"),
        ("NUL", &[0; 100]),
    ] {
        problem(what, &shop.http.post_bytes(&notifications, None, "application/json", body), 400, "malformed");
    }
    sells(&shop, "after all that");
}

/// Requests that the rig's own client would not make.
fn reqwest_client() -> reqwest::Client {
    let limits = qris::host::http::Limits { total: PATIENCE, read: PATIENCE, idle_connections: 0 };
    qris::host::http::client(None, limits).expect("a client")
}

#[test]
fn a_settlement_that_is_not_of_the_charge_opens_nothing() {
    let shop = Shop::merchants_side();
    let status = |order_id: &str, set: Value| {
        shop.midtrans.fault(&json!({"fault": "alter_answer", "on": "status", "order_id": order_id, "set": set}));
    };
    // Midtrans itself says so, and its notification is well signed.
    let mismatched: Vec<_> = [
        ("another amount", json!({"gross_amount": "1.00"})),
        ("more", json!({"gross_amount": "5001.00"})),
        ("no amount", json!({"gross_amount": "much"})),
        ("another currency", json!({"currency": "USD"})),
        ("another machine's", json!({"custom_field1": "vm-002"})),
        ("another item's", json!({"custom_field3": "A2|5000|0000000000000000000000"})),
    ]
    .map(|(what, set)| {
        let order_id = id(&shop.charge());
        status(&order_id, set);
        (what, order_id)
    })
    .into();
    let suspect: Vec<_> = [
        ("fraud deny", json!({"fraud_status": "deny"})),
        ("fraud challenge", json!({"fraud_status": "challenge"})),
        ("capture", json!({"transaction_status": "capture"})),
        ("authorize", json!({"transaction_status": "authorize"})),
        ("a word of tomorrow", json!({"transaction_status": "teleported"})),
        ("another transaction", json!({"transaction_id": "00000000-0000-4000-8000-000000000000"})),
    ]
    .map(|(what, set)| {
        let order_id = id(&shop.charge());
        status(&order_id, set);
        (what, order_id)
    })
    .into();
    for (_, order_id) in mismatched.iter().chain(&suspect) {
        shop.midtrans.pay(order_id, Via::Gopay);
    }
    for (what, order_id) in &mismatched {
        let order = shop.wait_order(order_id, what, |order| (order["status"] != "pending").then(|| order.clone()));
        let seen = (order["status"].as_str(), order["refund"].as_str(), &order["receipt"]);
        assert_eq!(seen, (Some("failure"), Some("due"), &Value::Null), "{what}");
        assert!(shop.midtrans.calls("status", order_id).len() >= 2, "{what}: it is looked at twice");
    }
    for (what, order_id) in &suspect {
        wait_for(what, || (!shop.midtrans.calls("status", order_id).is_empty()).then_some(()));
        let order = shop.order_at_backend(order_id);
        assert_eq!((&order["status"], &order["receipt"]), (&json!("pending"), &Value::Null), "{what}");
    }
    assert_eq!(metric(&shop, "receipts_total"), 0);
    // When Midtrans tells the truth the suspects are paid, and what was owed stays owed.
    shop.midtrans.heal();
    for (what, order_id) in &suspect {
        shop.wait_order(order_id, what, |order| (order["status"] == "settlement").then_some(()));
    }
    for (what, order_id) in &mismatched {
        shop.midtrans.notify(order_id);
        assert_eq!(shop.order_at_backend(order_id)["status"], "failure", "{what}");
    }
}

#[test]
fn anothers_order_is_not_ours() {
    let shop = Shop::merchants_side();
    // Charged and paid with the same Server Key by another program of the merchant: a web shop, say.
    let order_id = "web-shop-order-0001";
    let charge = json!({
        "payment_type": "gopay", "transaction_details": {"order_id": order_id, "gross_amount": 5000},
        "item_details": [{"id": "A1", "price": 5000, "quantity": 1, "name": "tea"}]
    });
    let request = reqwest_client().post(format!("{}/v2/charge", shop.midtrans.url)).basic_auth(SERVER_KEY, Some(""));
    let answer = shop.http.send(request.json(&charge), None);
    assert_eq!(answer.json()["status_code"], "201", "{}", answer.text());
    shop.midtrans.pay(order_id, Via::Gopay);
    let told = shop.notify(&notification(order_id, "200", "5000.00", "settlement"));
    assert_eq!(told.status, 200, "a web shop's order: it needs no second time");
    shop.backend.as_ref().expect("started").wait_line("order web-shop-order-0001, which is not ours");
    problem("to a machine", &shop.backend_get(&format!("/v1/orders/{order_id}")), 503, "gateway");
    assert!(crate::rig::output_text(&shop.merchant(&["reconcile", "--order", order_id])).contains("no metadata of ours"));
    assert_eq!(shop.merchant(&["orders", order_id]).status.code(), Some(1));
    assert_eq!(metric(&shop, "receipts_total"), 0);
    // One that Midtrans does not know either; and then, before a minute is over, nobody is asked.
    let unknown = notification("nobody-has-this-id", "200", "5000.00", "settlement");
    for _ in 0..3 {
        assert_eq!(shop.notify(&unknown).status, 200);
    }
    wait_for("the question about nobody's order", || (!shop.midtrans.calls("status", "nobody-has-this-id").is_empty()).then_some(()));
    problem("nobody's order", &shop.backend_get("/v1/orders/nobody-has-this-id"), 503, "gateway");
    assert_eq!(shop.midtrans.calls("status", "nobody-has-this-id").len(), 1);
    // Signed with another merchant's key.
    let order = shop.charge();
    let mut foreign = notification(&id(&order), "200", "5000.00", "settlement");
    let digest = ring::digest::digest(&ring::digest::SHA512, format!("{}2005000.00SB-Mid-server-another", id(&order)).as_bytes());
    foreign["signature_key"] = qris_core::hex(digest.as_ref()).into();
    problem("another merchant's key", &shop.notify(&foreign), 403, "mismatch");
}

#[test]
fn sql_in_every_string_is_only_text() {
    let sql = "'; DROP TABLE orders; --\" OR \"\"=\"";
    let shop = Shop::merchants_side();
    let sold = shop.paid();
    let receipt = shop.order_at_backend(&sold)["receipt"].clone();
    // Where any text may stand it is kept as it is, and elsewhere refused.
    let mut body = shop.order_body(&new_request_id());
    body["description"] = json!(sql);
    assert_eq!(shop.post_order(&body).status, 201);
    for field in ["request_id", "ticket", "item", "payment", "amount", "timeout_s", "kids"] {
        let mut body = shop.order_body(&new_request_id());
        body[field] = if field == "kids" { json!([sql]) } else { json!(sql) };
        problem(field, &shop.post_order(&body), 422, "malformed");
    }
    // Well signed, and an order_id that no order of ours can have.
    assert_eq!(shop.notify(&notification(sql, "200", "5000.00", "settlement")).status, 200);
    let path: String = sql.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for (address, status) in [
        (format!("/v1/orders/{path}"), 404),
        (format!("/v1/orders?state={path}"), 422),
        (format!("/v1/orders/{sold}?since={path}"), 422),
        (format!("/pay/{path}"), 404),
    ] {
        assert_eq!(shop.backend_get(&address).status, status, "{address}");
    }
    let as_token = shop.http.get(&format!("{}/v1/orders?state=open", shop.backend_url), Some(sql));
    problem("a token", &as_token, 401, "backend");
    let told = shop.post_to(&sold, "outcome", &json!({"outcome": "dispensed", "reason": null, "detail": sql}));
    assert_eq!((told.status, told.json()["outcome"]["detail"].as_str()), (200, Some(sql)));
    assert_eq!(shop.order_at_backend(&sold)["receipt"], receipt);
    for (database, table, rows) in [("orders.db", "orders", 2), ("orders.db", "receipts", 1), ("devices.db", "devices", 1)] {
        let books = Connection::open(shop.path().join(database)).expect("a database");
        let count = books.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
        assert_eq!(count.expect("a count"), rows, "{table}");
    }
}

#[test]
fn a_full_disk_takes_no_orders_and_loses_none() {
    let mut shop = Shop::merchants_side();
    shop.kill_backend();
    let disk = SmallDisk::at(shop.path().join("state"));
    let (usual, small) = (shop.path().join("orders.db"), shop.path().join("state/orders.db"));
    // With the machine's token, and what was written last.
    for name in ["orders", "devices"] {
        let from = shop.path().join(name);
        disk.namespace.run(&format!("cp {}.db* {}", from.display(), shop.path().join("state").display()));
    }
    shop.edit(Program::Backend, |text| text.replace(&usual.display().to_string(), &small.display().to_string()));
    shop.start_in(Program::Backend, &disk.namespace);
    sells(&shop, "a disk with room");
    let order = shop.charge();
    let order_id = id(&order);
    let paid = shop.paid();
    disk.fill();
    // What is left in the last pages may take an order or two.
    let mut taken = Vec::new();
    let refused = wait_for("a refusal", || {
        let body = shop.order_body(&new_request_id());
        let answer = shop.post_order(&body);
        if answer.status == 201 {
            taken.push(id(&answer.json()));
        }
        (answer.status >= 300 && answer.json()["code"] == "store").then_some((body, answer))
    });
    problem("an order", &refused.1, 503, "store");
    assert!(refused.1.retry_after.is_some());
    let charged = shop.midtrans.transactions().len();
    problem("once more", &shop.post_order(&shop.order_body(&new_request_id())), 503, "store");
    assert_eq!(shop.midtrans.transactions().len(), charged, "what cannot be written is not charged");
    // Midtrans is told to come again; what is there can still be read. But nobody could write down that an order was paid. So that it was
    // not is no answer.
    shop.midtrans.pay(&order_id, Via::Gopay);
    problem("a notification", &shop.notify(&notification(&order_id, "200", "5000.00", "settlement")), 503, "store");
    problem("an order that waits", &shop.backend_get(&format!("/v1/orders/{order_id}")), 503, "store");
    assert_eq!(shop.http.get(&format!("{}/pay/{order_id}", shop.backend_url), None).status, 200);
    problem("a cancel", &shop.post_to(&order_id, "cancel", &json!({})), 503, "store");
    // The machine forgets an outcome that was taken: one that is not written is not.
    let failed = json!({"outcome": "failed", "reason": "failed"});
    let told = shop.post_to(&paid, "outcome", &failed);
    problem("an outcome", &told, 503, "store");
    assert!(told.retry_after.is_some(), "the machine is to tell it again");
    let read = shop.order_at_backend(&paid);
    assert_eq!((&read["outcome"], &read["refund"]), (&Value::Null, &Value::Null), "nothing is told that is not stored");
    disk.free();
    let told = wait_for("the outcome to be taken", || {
        let answer = shop.post_to(&paid, "outcome", &failed);
        (answer.status < 300).then(|| answer.json())
    });
    assert_eq!((&told["outcome"]["outcome"], &told["refund"]), (&json!("failed"), &json!("due")));
    assert_eq!(shop.order_at_backend(&paid)["outcome"]["outcome"], "failed", "and it is kept");
    shop.wait_status(&order_id, "settlement");
    let again = wait_for("the order that was refused", || {
        let answer = shop.post_order(&refused.0);
        (answer.status < 300).then(|| answer.json())
    });
    let pending = shop.midtrans.transactions().into_iter().filter(|charge| charge["custom_fields"][1] == refused.0["request_id"]);
    assert_eq!(pending.filter(|charge| charge["status"] == "pending").count(), 1, "{again}");
    for order_id in taken {
        assert_eq!(shop.order_at_backend(&order_id)["status"], "pending");
    }
    sells(&shop, "a disk with room again");
    let backend = shop.backend.as_ref().expect("it runs");
    backend.wait_line("can be written again");
    let lines = backend.lines.all();
    let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
    assert_eq!((count("cannot be written: "), count("can be written again")), (1, 1), "{}", lines.join("\n"));
}
