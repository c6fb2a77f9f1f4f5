use super::*;
use crate::sim::faults::Fault;
use serde_json::Value;

const KEY: &str = "SB-Mid-server-test";
const START: Wall = Wall(1_800_000_000_000);

fn at(seconds: i64) -> Wall {
    START + Span::secs(seconds)
}

fn midtrans() -> Midtrans {
    Midtrans::new(Options::new(KEY, "http://sim"))
}

fn request(method: &str, path: &str, body: &[u8]) -> Request {
    Request {
        method: method.into(),
        path: path.into(),
        authorization: Some(midtrans().authorization),
        override_notification: Some("http://merchant/n".into()),
        body: body.to_vec(),
        ..Request::default()
    }
}

fn charge_of(order_id: &str, kind: &str) -> Request {
    let body =
        json!({ "payment_type": kind, "transaction_details": { "order_id": order_id, "gross_amount": 5000 }, "custom_field1": "vm-001" });
    request("POST", "/v2/charge", body.to_string().as_bytes())
}

fn answer(reply: Reply) -> (u16, Value) {
    let Reply::Answer(answer) = reply else { panic!("{reply:?} is no answer") };
    (answer.http, serde_json::from_slice(&answer.body).unwrap_or_default())
}

fn code(reply: Reply) -> String {
    answer(reply).1["status_code"].as_str().unwrap_or("none").to_owned()
}

fn call(sim: &mut Midtrans, method: &str, path: &str, now: Wall) -> String {
    code(sim.handle(&request(method, path, b"{}"), now))
}

fn told(sim: &mut Midtrans, now: Wall) -> Vec<Value> {
    sim.due(now).iter().map(|notice| serde_json::from_slice(&notice.body).expect("JSON")).collect()
}

/// A row a step: what is done, and what comes back. `pay:…` and `fail` are the customer's.
#[test]
fn the_life_of_a_transaction() {
    let scenarios: [&[(&str, &str)]; 7] = [
        &[
            ("charge", "201"),
            ("status", "201"),
            ("pay", "ok"),
            ("status", "200"),
            ("cancel", "412"),
            ("expire", "412"),
            ("charge", "406"),
            ("pay", "already_paid"),
        ],
        &[
            ("charge", "201"),
            ("cancel", "200"),
            ("status", "200"),
            ("cancel", "412"),
            ("pay", "cancelled"),
            ("charge", "201"),
            ("status", "201"),
        ],
        &[("charge", "201"), ("expire", "407"), ("status", "407"), ("pay", "expired"), ("expire", "412"), ("charge", "201")],
        &[("charge", "201"), ("charge", "406"), ("fail", "ok"), ("status", "201"), ("pay", "ok")],
        &[("status", "404"), ("cancel", "404"), ("expire", "404"), ("pay", "unknown")],
        &[("charge", "201"), ("wait 899", ""), ("status", "201"), ("pay", "ok")],
        &[
            ("charge", "201"),
            ("wait 900", ""),
            ("pay", "expired"),
            ("wait 60", ""),
            ("status", "407"),
            ("cancel", "412"),
            ("charge", "201"),
        ],
    ];
    for steps in scenarios {
        let (mut sim, mut now) = (midtrans(), START);
        for (number, (step, expected)) in steps.iter().enumerate() {
            let seen = match *step {
                "charge" => code(sim.handle(&charge_of("o-1", "gopay"), now)),
                "status" => call(&mut sim, "GET", "/v2/o-1/status", now),
                "cancel" | "expire" => call(&mut sim, "POST", &format!("/v2/o-1/{step}"), now),
                "pay" => sim.pay("o-1", Via::Gopay, false, now).map_or_else(|error| error.to_string(), |_| "ok".into()),
                "fail" => sim.fail("o-1", now).map_or_else(|error| error.to_string(), |_| "ok".into()),
                wait => {
                    now = now + Span::secs(wait[5..].parse().expect("seconds"));
                    String::new()
                }
            };
            assert_eq!(seen, *expected, "step {number} ({step}) of {steps:?}");
        }
    }
}

#[test]
fn the_batch_comes_late() {
    let mut sim = midtrans();
    assert!(sim.due(START).is_empty());
    sim.handle(&charge_of("o-1", "gopay"), at(30));
    assert_eq!(told(&mut sim, at(30))[0]["transaction_status"], "pending");
    assert_eq!(call(&mut sim, "GET", "/v2/o-1/status", at(929)), "201");
    assert_eq!(sim.next_due(), Some(at(929 + 60)), "the batch that just ran came a second too soon");
    assert_eq!(call(&mut sim, "GET", "/v2/o-1/status", at(988)), "201", "over, and still pending");
    assert_eq!(sim.pay("o-1", Via::Gopay, false, at(988)), Err(PayError::Expired), "but no app pays it");
    let expired = told(&mut sim, at(989));
    assert_eq!((&expired[0]["transaction_status"], &expired[0]["status_code"]), (&json!("expire"), &json!("202")));
    assert_eq!(call(&mut sim, "GET", "/v2/o-1/status", at(990)), "407");
}

#[test]
fn messages_are_signed_with_their_own_code() {
    let mut sim = midtrans();
    for (order_id, how) in [("o-1", "cancel"), ("o-2", "expire")] {
        sim.handle(&charge_of(order_id, "gopay"), START);
        call(&mut sim, "POST", &format!("/v2/{order_id}/{how}"), START);
        let (_, status) = answer(sim.handle(&request("GET", &format!("/v2/{order_id}/status"), b""), START));
        let notices = told(&mut sim, START);
        let last = notices.last().expect("told");
        assert_eq!((&last["status_code"], &last["transaction_status"]), (&json!("202"), &json!(how)));
        for message in [&status, last] {
            let text = |name: &str| message[name].as_str().expect("text");
            assert_eq!(text("signature_key"), transaction::signature(order_id, text("status_code"), "5000.00", KEY));
            assert_eq!(message["custom_field1"], "vm-001");
        }
        assert_ne!(status["signature_key"], last["signature_key"]);
    }
    assert!(transaction::signature("ORDER-sandbox-0003", "202", "50000.00", KEY).starts_with("a51d1bd2aa8b1dca"));
}

#[test]
fn another_app_turns_gopay_into_qris() {
    let mut sim = midtrans();
    for (order_id, kind, via, payment_type, issuer) in [
        ("o-1", "gopay", Via::Gopay, "gopay", Value::Null),
        ("o-2", "gopay", Via::Qris, "qris", json!("dana")),
        ("o-3", "qris", Via::Gopay, "qris", json!("gopay")),
    ] {
        let (_, charge) = answer(sim.handle(&charge_of(order_id, kind), START));
        assert_eq!(charge["qr_string"].is_string(), kind == "qris");
        assert_eq!(charge["payment_type"], kind);
        let payload = sim.transaction(order_id).expect("charged").qr_payload;
        assert_eq!(sim.pay(&payload, via, false, at(5)), Ok(Paid { order_id: order_id.into(), amount: 5_000 }));
        let (_, status) = answer(sim.handle(&request("GET", &format!("/v2/{order_id}/status"), b""), at(6)));
        assert_eq!((&status["payment_type"], &status["issuer"]), (&json!(payment_type), &issuer), "{order_id}");
        assert_eq!(status["settlement_time"], at(5).to_midtrans());
    }
}

#[test]
fn an_idempotency_key_is_global_and_forgets_after_five_minutes() {
    let mut sim = midtrans();
    let with_key = |mut request: Request, key: &str| {
        request.idempotency_key = Some(key.into());
        request
    };
    let first = answer(sim.handle(&with_key(charge_of("o-1", "gopay"), "k"), START));
    assert_eq!(answer(sim.handle(&with_key(charge_of("o-1", "gopay"), "k"), at(299))), first);
    assert_eq!(answer(sim.handle(&with_key(charge_of("o-2", "gopay"), "k"), at(299))), first, "whatever the body");
    let cancel = with_key(request("POST", "/v2/o-1/cancel", b""), "k");
    assert_eq!(answer(sim.handle(&cancel, at(299))), first, "whatever the endpoint");
    assert_eq!(code(sim.handle(&with_key(charge_of("o-1", "gopay"), "k"), at(300))), "406", "forgotten");
    // Failures are not remembered, and a key that is too long is none.
    assert_eq!(code(sim.handle(&with_key(charge_of("o-1", "gopay"), "f"), at(300))), "406");
    call(&mut sim, "POST", "/v2/o-1/cancel", at(300));
    assert_eq!(code(sim.handle(&with_key(charge_of("o-1", "gopay"), "f"), at(301))), "201");
    let long = "x".repeat(47);
    assert_eq!(code(sim.handle(&with_key(charge_of("o-3", "gopay"), &long), at(301))), "201");
    assert_eq!(code(sim.handle(&with_key(charge_of("o-3", "gopay"), &long), at(301))), "406");
    // While the first call runs.
    sim.plan(Plan { count: Some(1), ..Fault::Hang { ms: None }.into() });
    let Reply::Hold(hold, held) = sim.handle(&with_key(charge_of("o-4", "gopay"), "h"), at(302)) else { panic!("held") };
    assert_eq!(answer(sim.handle(&with_key(charge_of("o-4", "gopay"), "h"), at(900))).0, 202);
    assert_eq!((sim.is_held(hold, at(900)), sim.release(), sim.is_held(hold, at(900))), (true, 1, false));
    let again = sim.handle(&with_key(charge_of("o-4", "gopay"), "h"), at(303));
    assert_eq!(again, Reply::Answer(held));
}

#[test]
fn codes_of_the_body_and_of_http() {
    let mut sim = midtrans();
    let rows: [(&str, &str, &[u8], u16, &str); 9] = [
        ("POST", "/v2/charge", b"null", 500, "500"),
        ("POST", "/v2/charge", b"{", 413, "413"),
        ("POST", "/v2/charge", b"{}", 400, "400"),
        ("POST", "/v2/charge", br#"{"payment_type":"echannel"}"#, 200, "402"),
        ("GET", "/v2/charge", b"", 405, "405"),
        ("GET", "/v2/nothing/status", b"{}", 200, "404"),
        ("POST", "/v2/nothing/cancel", b"null", 200, "404"),
        ("GET", "/v2/a/b/status", b"", 404, "none"),
        ("GET", "/", b"", 404, "none"),
    ];
    for (method, path, body, http, expected) in rows {
        let (seen, body) = answer(sim.handle(&request(method, path, body), START));
        assert_eq!((seen, body["status_code"].as_str().unwrap_or("none")), (http, expected), "{method} {path}");
    }
    let mut stranger = charge_of("o-1", "gopay");
    for authorization in [None, Some("Basic OnNlY3JldA==".to_owned())] {
        stranger.authorization = authorization;
        let (http, body) = answer(sim.handle(&stranger, START));
        assert_eq!((http, &body["status_code"]), (401, &json!("401")));
    }
    assert!(sim.transactions().is_empty());
    assert_eq!(sim.requests().len(), rows.len() + 2);
}

#[test]
fn notifications_go_where_the_headers_say() {
    let mut sim = Midtrans::new(Options { notification_urls: vec!["http://dashboard".into()], ..Options::new(KEY, "http://sim") });
    for (order_id, instead, beside, expected) in [
        ("o-1", None, None, vec!["http://dashboard"]),
        ("o-2", Some("http://a, http://b"), Some("http://c"), vec!["http://a", "http://b"]),
        ("o-3", None, Some("http://c"), vec!["http://dashboard", "http://c"]),
    ] {
        let mut charge = charge_of(order_id, "gopay");
        charge.override_notification = instead.map(Into::into);
        charge.append_notification = beside.map(Into::into);
        sim.handle(&charge, START);
        let urls: Vec<String> = sim.due(START).into_iter().map(|notice| notice.url).collect();
        assert_eq!(urls, expected, "{order_id}");
    }
}

#[test]
fn faults_strike_where_they_are_planned() {
    let mut sim = midtrans();
    let once = |fault: Fault| Plan { count: Some(1), ..fault.into() };
    sim.plan(once(Fault::Refuse));
    assert_eq!(sim.handle(&charge_of("o-1", "gopay"), START), Reply::Cut);
    assert!(sim.transactions().is_empty(), "refused before it was done");
    sim.plan(once(Fault::LoseAnswer));
    assert_eq!(sim.handle(&charge_of("o-1", "gopay"), START), Reply::Cut);
    assert_eq!(sim.transactions().len(), 1, "done, and nobody was told");
    sim.plan(Plan { count: Some(2), ..Fault::Deny { code: 900 }.into() });
    for expected in ["202", "202", "201"] {
        assert_eq!(code(sim.handle(&charge_of("o-2", "gopay"), START)), expected);
    }
    sim.plan(once(Fault::ImposeFee { rupiah: 100 }));
    let (_, charge) = answer(sim.handle(&charge_of("o-3", "qris"), START));
    assert_eq!(charge["gross_amount"], "5100.00");
    assert!(charge["qr_string"].as_str().is_some_and(|payload| payload.contains("54075100.00")));
    for (done, transactions) in [(false, 5), (true, 6)] {
        sim.plan(once(Fault::ServerError { code: 503, done }));
        assert_eq!(answer(sim.handle(&charge_of("o-4", "gopay"), START)).0, 503);
        assert_eq!(sim.transactions().len(), transactions);
    }
    sim.pay("o-2", Via::Gopay, false, START).expect("payable");
    sim.plan(once(Fault::StaleStatus));
    assert_eq!(call(&mut sim, "GET", "/v2/o-2/status", START), "201");
    assert_eq!(call(&mut sim, "GET", "/v2/o-2/status", START), "200");
    sim.due(START);
    for (fault, copies, late) in
        [(Fault::DropNotification, 0, 0), (Fault::DuplicateNotification, 2, 0), (Fault::DelayNotification { ms: 60_000 }, 1, 60)]
    {
        sim.plan(once(fault));
        sim.notify_again("o-2", START).expect("known");
        assert_eq!(told(&mut sim, at(late) - Span(1)).len(), 0);
        assert_eq!(told(&mut sim, at(late)).len(), copies);
    }
    assert!(sim.plans().is_empty());
    sim.plan(once(Fault::Refuse));
    sim.heal();
    assert_eq!(call(&mut sim, "GET", "/v2/o-2/status", START), "200");
}

#[test]
fn a_payment_under_way_can_settle_what_was_cancelled() {
    let mut sim = midtrans();
    sim.handle(&charge_of("o-1", "gopay"), START);
    call(&mut sim, "POST", "/v2/o-1/cancel", START);
    assert_eq!(sim.pay("o-1", Via::Gopay, false, at(1)), Err(PayError::Cancelled));
    assert!(sim.pay("o-1", Via::Gopay, true, at(1)).is_ok());
    assert_eq!(call(&mut sim, "GET", "/v2/o-1/status", at(1)), "200");
    assert_eq!(sim.pay("o-1", Via::Gopay, true, at(2)), Err(PayError::AlreadyPaid), "never twice");
}

fn cstore_of(order_id: &str, store: &str) -> Request {
    let body = json!({ "payment_type": "cstore", "transaction_details": { "order_id": order_id, "gross_amount": 10_000 },
        "cstore": { "store": store, "message": "Teh", "alfamart_free_text_1": "Thank you" } });
    request("POST", "/v2/charge", body.to_string().as_bytes())
}

#[test]
fn shops_take_the_money() {
    for (store, has_fraud, has_approval, digits) in [("alfamart", true, false, 16), ("Indomaret", false, true, 12)] {
        let mut sim = midtrans();
        let (http, charge) = answer(sim.handle(&cstore_of("o-1", store), START));
        assert_eq!((http, &charge["status_code"], &charge["payment_type"]), (200, &json!("201"), &json!("cstore")));
        assert_eq!(charge["store"], store.to_lowercase());
        assert_eq!(charge["fraud_status"].is_string(), has_fraud);
        assert_eq!((charge.get("actions"), charge.get("qr_string")), (None, None));
        let code = charge["payment_code"].as_str().expect("a code").to_owned();
        assert!(code.len() == digits && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
        assert_eq!(told(&mut sim, START)[0]["transaction_status"], "pending");
        assert_eq!(call(&mut sim, "GET", "/v2/o-1/status", at(3_600)), "201", "it has a day");
        assert_eq!(sim.pay("999", Via::Gopay, false, at(3_600)), Err(PayError::Unknown));
        assert_eq!(sim.pay(&code, Via::Gopay, false, at(3_600)), Ok(Paid { order_id: "o-1".into(), amount: 10_000 }));
        let settled = &told(&mut sim, at(3_600))[0];
        assert_eq!((&settled["transaction_status"], &settled["payment_code"]), (&json!("settlement"), &json!(code)));
        assert_eq!((settled["fraud_status"].is_string(), settled["approval_code"].is_string()), (has_fraud, has_approval));
        // The shop takes it back.
        assert!(sim.reverse("o-1", at(3_700)).is_ok());
        assert_eq!(sim.reverse("o-1", at(3_700)), Err(PayError::NotPaid));
        let denied = &told(&mut sim, at(3_700))[0];
        assert_eq!((&denied["transaction_status"], &denied["status_code"]), (&json!("deny"), &json!("202")));
        assert_eq!(call(&mut sim, "GET", "/v2/o-1/status", at(3_701)), "202");
        assert_eq!(call(&mut sim, "POST", "/v2/o-1/refund", at(3_701)), "412");
    }
}

#[test]
fn indomaret_takes_no_idempotency_key() {
    let mut sim = midtrans();
    for (store, again) in [("alfamart", "201"), ("INDOMARET", "406")] {
        let mut charge = cstore_of(store, store);
        charge.idempotency_key = Some(store.to_owned());
        assert_eq!(code(sim.handle(&charge, START)), "201");
        assert_eq!(code(sim.handle(&charge, START)), again, "{store}");
    }
}

fn refund_of(path: &str, body: &Value) -> Request {
    request("POST", path, body.to_string().as_bytes())
}

#[test]
fn refunds_are_told_twice() {
    let mut sim = midtrans();
    sim.handle(&charge_of("o-1", "qris"), START);
    let direct = "/v2/o-1/refund/online/direct";
    assert_eq!(code(sim.handle(&refund_of(direct, &json!({})), START)), "412", "not paid yet");
    sim.pay("o-1", Via::Gopay, false, START).expect("payable");
    sim.due(START);
    let rows: [(&str, Value, &str); 6] = [
        ("/v2/o-2/refund", json!({}), "404"),
        (direct, json!({ "amount": 0 }), "414"),
        (direct, json!({ "amount": 5_001 }), "414"),
        (direct, json!({ "amount": "much" }), "400"),
        (direct, json!({ "refund_key": "a b" }), "400"),
        (direct, json!({ "reason": "x".repeat(256) }), "400"),
    ];
    for (path, body, expected) in rows {
        assert_eq!(code(sim.handle(&refund_of(path, &body), at(1))), expected, "{path} {body}");
    }
    let part = json!({ "refund_key": "o-1_a", "amount": 2_000, "reason": "jammed" });
    let (_, first) = answer(sim.handle(&refund_of(direct, &part), at(1)));
    assert_eq!(first["status_message"], "Success, refund request is approved by the bank");
    let seen =
        |body: &Value| [&body["status_code"], &body["transaction_status"], &body["refund_amount"]].map(|v| v.as_str().map(str::to_owned));
    let row = |code: &str, status: &str, amount: &str| [code, status, amount].map(|text| Some(text.to_owned()));
    assert_eq!(seen(&first), row("200", "partial_refund", "2000.00"));
    assert_eq!(code(sim.handle(&refund_of(direct, &part), at(1))), "406");
    let (_, second) = answer(sim.handle(&refund_of("/v2/o-1/refund", &json!({})), at(2)));
    assert_eq!(seen(&second), row("200", "refund", "3000.00"));
    let notices = told(&mut sim, at(2));
    assert_eq!(notices.iter().map(seen).collect::<Vec<_>>(), [row("200", "partial_refund", "2000.00"), row("200", "refund", "5000.00")]);
    assert_eq!((&notices[0]["refunds"][0]["bank_confirmed_at"], &notices[0]["refunds"][0]["refund_key"]), (&Value::Null, &json!("o-1_a")));
    assert_eq!(sim.next_due(), Some(at(3)), "the bank confirms the first after two seconds");
    let notices = told(&mut sim, at(4));
    assert_eq!(notices.len(), 2);
    assert_eq!(notices[1]["refunds"][1]["bank_confirmed_at"], at(4).to_midtrans());
    assert_eq!(code(sim.handle(&refund_of(direct, &json!({})), at(5))), "412", "nothing is left");
    let (_, status) = answer(sim.handle(&request("GET", "/v2/o-1/status", b""), at(6)));
    assert_eq!(seen(&status), row("200", "refund", "5000.00"));
}

#[test]
fn refunds_can_be_forbidden_denied_and_unaffordable() {
    let mut sim = midtrans();
    sim.handle(&charge_of("o-1", "gopay"), START);
    sim.pay("o-1", Via::Gopay, false, START).expect("payable");
    let refund = refund_of("/v2/o-1/refund", &json!({ "refund_key": "k" }));
    sim.change(Change { refunds: Some(false), ..Change::default() }, START);
    assert_eq!(code(sim.handle(&refund, START)), "412");
    sim.change(Change { refunds: Some(true), balance: Some(Some(4_999)), ..Change::default() }, START);
    assert_eq!(code(sim.handle(&refund, START)), "414");
    sim.change(Change { balance: Some(None), refund_key_again: Some(KeyAgain::Replay), ..Change::default() }, START);
    sim.plan(Plan { count: Some(1), ..Fault::DenyRefund.into() });
    let (http, denied) = answer(sim.handle(&refund, START));
    assert_eq!((http, &denied["status_code"], &denied["transaction_status"]), (200, &json!("202"), &json!("settlement")));
    assert_eq!(denied["refund_amount"], "0.00");
    let first = answer(sim.handle(&refund, START));
    assert_eq!(first.1["status_code"], "200");
    assert_eq!(answer(sim.handle(&refund, at(1))), first, "the first answer once more");
    assert_eq!(code(sim.handle(&refund_of("/v2/o-1/refund", &json!({ "refund_key": "l" })), at(1))), "412");
    for (order_id, via, days, expected) in [("o-2", Via::Gopay, 44, "200"), ("o-3", Via::Gopay, 46, "412"), ("o-4", Via::Qris, 8, "412")] {
        sim.handle(&charge_of(order_id, "gopay"), START);
        sim.pay(order_id, via, false, START).expect("payable");
        let late = refund_of(&format!("/v2/{order_id}/refund"), &json!({}));
        assert_eq!(code(sim.handle(&late, at(days * 86_400))), expected, "{order_id}");
    }
}
