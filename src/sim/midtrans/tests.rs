mod faults;
mod money;

use super::*;
use crate::midtrans::faults::Fault;
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

fn notified(sim: &mut Midtrans, now: Wall) -> Vec<Value> {
    sim.due(now).iter().map(|notice| serde_json::from_slice(&notice.body).expect("JSON")).collect()
}

/// A row is a step: the act, and the answer. `pay:…` and `fail` are acts of the customer.
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
                "cancel" => call(&mut sim, "POST", "/v2/o-1/cancel", now),
                "expire" => sim.end_by_hand("o-1", Status::Expire, now)["status_code"].as_str().expect("a code").to_owned(),
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
    assert_eq!(notified(&mut sim, at(30))[0]["transaction_status"], "pending");
    assert_eq!(call(&mut sim, "GET", "/v2/o-1/status", at(929)), "201");
    assert_eq!(sim.next_due(), Some(at(929 + 60)), "the batch that just ran came a second too soon");
    assert_eq!(call(&mut sim, "GET", "/v2/o-1/status", at(988)), "201", "over, and still pending");
    assert_eq!(sim.pay("o-1", Via::Gopay, false, at(988)), Err(PayError::Expired), "but no app pays it");
    let expired = notified(&mut sim, at(989));
    assert_eq!((&expired[0]["transaction_status"], &expired[0]["status_code"]), (&json!("expire"), &json!("202")));
    assert_eq!(call(&mut sim, "GET", "/v2/o-1/status", at(990)), "407");
}

#[test]
fn messages_are_signed_with_their_own_code() {
    let mut sim = midtrans();
    for (order_id, how) in [("o-1", Status::Cancel), ("o-2", Status::Expire)] {
        sim.handle(&charge_of(order_id, "gopay"), START);
        sim.end_by_hand(order_id, how, START);
        let (_, status) = answer(sim.handle(&request("GET", &format!("/v2/{order_id}/status"), b""), START));
        let notices = notified(&mut sim, START);
        let last = notices.last().expect("told");
        assert_eq!((&last["status_code"], &last["transaction_status"]), (&json!("202"), &json!(how.as_str())));
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
        assert_eq!(status["settlement_time"], at(5).to_wib());
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
    // Failures are not remembered. A key that is too long counts as no key.
    assert_eq!(code(sim.handle(&with_key(charge_of("o-1", "gopay"), "f"), at(300))), "406");
    call(&mut sim, "POST", "/v2/o-1/cancel", at(300));
    assert_eq!(code(sim.handle(&with_key(charge_of("o-1", "gopay"), "f"), at(301))), "201");
    let long = "x".repeat(47);
    assert_eq!(code(sim.handle(&with_key(charge_of("o-3", "gopay"), &long), at(301))), "201");
    assert_eq!(code(sim.handle(&with_key(charge_of("o-3", "gopay"), &long), at(301))), "406");
    // This is while the first call runs.
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
fn a_payment_under_way_can_settle_what_was_cancelled() {
    let mut sim = midtrans();
    sim.handle(&charge_of("o-1", "gopay"), START);
    call(&mut sim, "POST", "/v2/o-1/cancel", START);
    assert_eq!(sim.pay("o-1", Via::Gopay, false, at(1)), Err(PayError::Cancelled));
    assert!(sim.pay("o-1", Via::Gopay, true, at(1)).is_ok());
    assert_eq!(call(&mut sim, "GET", "/v2/o-1/status", at(1)), "200");
    assert_eq!(sim.pay("o-1", Via::Gopay, true, at(2)), Err(PayError::AlreadyPaid), "never twice");
}

#[test]
fn answers_differ_where_the_documents_do() {
    let mut sim = midtrans();
    for (order_id, qr_string) in [("o-1", true), ("o-2", false)] {
        sim.change(Change { qr_string: Some(qr_string), ..Change::default() }, START);
        let (_, body) = answer(sim.handle(&charge_of(order_id, "qris"), START));
        assert_eq!(body["qr_string"].is_string(), qr_string, "{body}");
    }
    sim.change(serde_json::from_str(r#"{"fee":100,"balance":null}"#).expect("a change"), START);
    let (_, raised) = answer(sim.handle(&charge_of("o-8", "qris"), START));
    assert_eq!(raised["gross_amount"], "5100.00");
    sim.pay("o-8", Via::Qris, false, START).expect("payable");
    let settled = notified(&mut sim, START).pop().expect("told");
    assert_eq!(settled["metadata"]["extra_info"]["gross_amount_info"]["original_amount"], "5000.00");
    assert!(serde_json::from_str::<Change>(r#"{"feee":100}"#).is_err(), "what is not there is no option");
}

#[test]
fn answers_have_other_names_words_and_forms() {
    let mut sim = midtrans();
    let change = Change {
        alien_order_id: Some(true),
        spelling: Some(Spelling::Past),
        small_check_value: Some(true),
        qr_code: Some(false),
        fee: Some(100),
        fee_in_status: Some(true),
        ..Change::default()
    };
    sim.change(change, START);
    let (_, charge) = answer(sim.handle(&charge_of("o-1", "qris"), START));
    assert_eq!((&charge["order_id"], &charge["gross_amount"]), (&json!("o-1"), &json!("5000.00")));
    assert_eq!(
        charge["actions"].as_array().map(|all| all.iter().map(|one| one["name"].clone()).collect()),
        Some(vec![json!("generate-qr-code-v2")])
    );
    let payload = charge["qr_string"].as_str().expect("a QR").to_owned();
    assert!(payload.contains("54075000.00") && payload != qris_core::order::qris::with_capitals(&payload), "{payload}");
    // The app may write the check value in capitals.
    sim.pay(&qris_core::order::qris::with_capitals(&payload), Via::Qris, false, START).expect("payable");
    let (_, found) = answer(sim.handle(&request("GET", "/v2/o-1/status", b""), START));
    assert_eq!((&found["order_id"], &found["transaction_status"]), (&found["transaction_id"], &json!("settled")));
    assert_eq!(found["gross_amount"], "5100.00");
    let settled = notified(&mut sim, START).pop().expect("told");
    assert_eq!((&settled["order_id"], &settled["transaction_status"]), (&json!("o-1"), &json!("settled")), "a notification has our name");
    let (_, refunded) = answer(sim.handle(&request("POST", "/v2/o-1/refund", b"{}"), START));
    assert_eq!(refunded["order_id"], refunded["transaction_id"]);
    sim.change(Change { spelling: Some(Spelling::Capitals), ..Change::default() }, START);
    sim.handle(&charge_of("o-2", "gopay"), START);
    let (_, cancelled) = answer(sim.handle(&request("POST", "/v2/o-2/cancel", b"{}"), START));
    assert_eq!((&cancelled["transaction_status"], &cancelled["fraud_status"]), (&json!("CANCEL"), &json!("ACCEPT")));
    assert_eq!(cancelled["order_id"], cancelled["transaction_id"]);
}

#[test]
fn every_option_can_be_told_and_given_back() {
    let mut sim = midtrans();
    let told = serde_json::to_value(sim.options().as_change()).expect("plain");
    assert_eq!(told["retry_spacing_ms"], json!([120_000, 600_000, 1_800_000, 5_400_000, 12_600_000]));
    sim.change(serde_json::from_value(told.clone()).expect("its own words"), START);
    assert_eq!(serde_json::to_value(sim.options().as_change()).expect("plain"), told);
}

fn once(fault: Fault) -> Plan {
    Plan { count: Some(1), ..fault.into() }
}
