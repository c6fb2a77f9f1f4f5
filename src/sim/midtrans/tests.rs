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

fn once(fault: Fault) -> Plan {
    Plan { count: Some(1), ..fault.into() }
}

fn forgery(set: &Value, signature: Signature) -> Forgery {
    Forgery { set: set.as_object().cloned().expect("an object"), signature }
}

/// A row: what is changed, how it is signed, and whether the signature fits what stands in the message afterwards.
#[test]
fn messages_can_be_forged() {
    let mut sim = midtrans();
    sim.handle(&charge_of("o-1", "gopay"), START);
    sim.pay("o-1", Via::Gopay, false, START).expect("payable");
    let truth = told(&mut sim, START).pop().expect("told");
    let rows = [
        (json!({ "transaction_status": "refund" }), Signature::Kept, true),
        (json!({ "gross_amount": "1.00" }), Signature::Kept, false),
        (json!({ "gross_amount": "1.00" }), Signature::Right, true),
        (json!({ "currency": "USD", "transaction_id": "other" }), Signature::Right, true),
        (json!({}), Signature::Wrong, false),
        (json!({}), Signature::Stranger, false),
        (json!({ "signature_key": null }), Signature::Right, false),
    ];
    for (set, how, fits) in rows {
        let forged = |message: &Value| {
            let text = |name: &str| message[name].as_str().unwrap_or("");
            for (field, value) in set.as_object().expect("an object") {
                assert_eq!(&message[field], value, "{set}");
            }
            let right = transaction::signature(text("order_id"), text("status_code"), text("gross_amount"), KEY);
            assert_eq!(text("signature_key") == right, fits, "{set} {how:?}");
        };
        // Sent by hand, in place of the next notification, and as the answer of get-status.
        sim.forge("o-1", &forgery(&set, how), None, at(1)).expect("sent");
        sim.plan(once(Fault::ForgeNotification(forgery(&set, how))));
        sim.notify_again("o-1", at(1)).expect("known");
        let notices = told(&mut sim, at(1));
        assert_eq!(notices.len(), 2);
        notices.iter().for_each(forged);
        sim.plan(once(Fault::AlterAnswer(forgery(&set, how))));
        forged(&answer(sim.handle(&request("GET", "/v2/o-1/status", b""), at(1))).1);
        sim.notify_again("o-1", at(1)).expect("known");
        assert_eq!(told(&mut sim, at(1)), [truth.clone()], "the truth is what it was");
    }
    // Of an order that nobody knows.
    let nobody = forgery(&json!({ "gross_amount": "9.00" }), Signature::Right);
    assert_eq!(sim.forge("nobody", &nobody, None, at(2)), Err(PayError::Unknown), "nowhere to send it");
    assert!(sim.forge("nobody", &nobody, Some("http://merchant/n".into()), at(2)).is_ok());
    assert_eq!(told(&mut sim, at(2))[0]["order_id"], "nobody");
}

#[test]
fn a_notification_can_come_after_the_next_one() {
    let mut sim = midtrans();
    sim.plan(Plan { on: Some("pending".into()), ..once(Fault::ReorderNotification) });
    sim.handle(&charge_of("o-1", "gopay"), START);
    assert!(sim.due(START).is_empty(), "it waits");
    sim.pay("o-1", Via::Gopay, false, at(5)).expect("payable");
    let mut order = Vec::new();
    while let Some(notice) = sim.due(at(5)).pop() {
        order.push(serde_json::from_slice::<Value>(&notice.body).expect("JSON")["transaction_status"].clone());
        sim.notified(notice, Some(200), at(5));
    }
    assert_eq!(order, ["settlement", "pending"]);
    let history = sim.told(Some("o-1"));
    assert_eq!(history.iter().map(|told| (told.sent, told.http)).collect::<Vec<_>>(), [(true, Some(200)); 2]);
    assert_eq!(history[1].fault, Some(Fault::ReorderNotification));
    assert!(sim.told(Some("o-2")).is_empty());
    // What was dropped stands in the history as well.
    sim.plan(once(Fault::DropNotification));
    sim.notify_again("o-1", at(6)).expect("known");
    let last = sim.told(None).pop().expect("remembered");
    assert_eq!((last.sent, last.http, &last.body["transaction_status"]), (false, None, &json!("settlement")));
}

#[test]
fn answers_go_wrong_in_every_way() {
    let mut sim = midtrans();
    sim.handle(&charge_of("o-1", "qris"), START);
    sim.pay("o-1", Via::Qris, false, at(1)).expect("payable");
    let status = request("GET", "/v2/o-1/status", b"");
    sim.plan(Fault::StatusLags { ms: 3_000 });
    for (seconds, expected) in [(1, "201"), (3, "201"), (4, "200")] {
        assert_eq!(code(sim.handle(&status, at(seconds))), expected, "after {seconds} s");
    }
    sim.heal();
    let Reply::Answer(whole) = sim.handle(&status, at(5)) else { panic!("an answer") };
    sim.plan(once(Fault::CutAnswer));
    assert_eq!(sim.handle(&status, at(5)), Reply::CutAmid(whole));
    for (error, http, expected) in [(410, None, 200), (500, None, 500), (404, Some(404), 404)] {
        sim.plan(once(Fault::Error { code: error, http, message: None }));
        let (http, body) = answer(sim.handle(&status, at(5)));
        assert_eq!((http, &body["status_code"]), (expected, &json!(error.to_string())));
    }
    sim.change(Change { http_statuses: Some(BTreeMap::from([(404, 404), (201, 201)])), ..Change::default() }, at(5));
    assert_eq!(answer(sim.handle(&request("GET", "/v2/nobody/status", b""), at(5))).0, 404);
    assert_eq!(answer(sim.handle(&charge_of("o-2", "qris"), at(5))).0, 201);
    // Every fault can be written down and read again.
    for text in [
        r#"{"fault":"alter_answer","set":{"fraud_status":"challenge"},"signature":"kept","on":"status","order_id":null,"count":2}"#,
        r#"{"fault":"forge_notification","set":{},"signature":"stranger","on":null,"order_id":null,"count":null}"#,
        r#"{"fault":"error","code":402,"http":null,"message":"no","on":null,"order_id":null,"count":1}"#,
    ] {
        let plan: Plan = serde_json::from_str(text).expect(text);
        assert_eq!(serde_json::to_value(&plan).expect("plain"), serde_json::from_str::<Value>(text).expect("JSON"));
    }
}

#[test]
fn banks_take_money_back_and_hands_can_do_anything() {
    let mut sim = midtrans();
    for order_id in ["o-1", "o-2", "o-3", "o-4"] {
        sim.handle(&charge_of(order_id, "gopay"), START);
    }
    assert_eq!(sim.charge_back("o-1", None, START), Err(PayError::NotPaid));
    sim.pay("o-1", Via::Gopay, false, START).expect("payable");
    sim.due(START);
    for (amount, status) in [(Some(1_000), "partial_chargeback"), (None, "chargeback")] {
        sim.charge_back("o-1", amount, START).expect("taken back");
        let notice = told(&mut sim, START).pop().expect("told");
        assert_eq!((&notice["transaction_status"], &notice["status_code"]), (&json!(status), &json!("200")));
    }
    for (order_id, status, fraud) in [("o-2", Status::Capture, Fraud::Challenge), ("o-3", Status::Settlement, Fraud::Deny)] {
        sim.set(order_id, Some(status), Some(fraud), false, START).expect("known");
        let notice = told(&mut sim, START).pop().expect("told");
        assert_eq!((&notice["transaction_status"], &notice["fraud_status"]), (&json!(status.as_str()), &json!(fraud.as_str())));
    }
    sim.set("o-4", Some(Status::Failure), None, true, START).expect("known");
    assert!(sim.due(START).is_empty(), "quietly");
    assert_eq!(call(&mut sim, "POST", "/v2/o-2/approve", START), "200");
    sim.handle(&charge_of("o-4", "gopay"), START);
    assert_eq!(sim.end_by_hand("o-4", Status::Cancel, START)["status_code"], "200");
    sim.change(Change { refunds: Some(false), ..Change::default() }, START);
    assert_eq!(sim.refund_by_hand("o-3", b"", START)["transaction_status"], "refund", "at the dashboard it is allowed");
    assert!(!sim.options().refunds);
}

#[test]
fn answers_differ_where_the_documents_do() {
    let mut sim = midtrans();
    let fields = |sim: &mut Midtrans, order_id: &str, kind: &str| {
        let (_, body) = answer(sim.handle(&charge_of(order_id, kind), START));
        ["expiry_time", "expire_time", "qr_string"].map(|field| body[field].is_string())
    };
    let rows = [
        (ExpiryField::ExpiryTime, true, "qris", [true, false, true]),
        (ExpiryField::ExpireTime, true, "qris", [false, true, true]),
        (ExpiryField::None, false, "qris", [false, false, false]),
        (ExpiryField::ExpireTime, true, "gopay", [true, false, false]),
    ];
    for (number, (field, qr_string, kind, expected)) in rows.into_iter().enumerate() {
        sim.change(Change { expiry_field: Some(field), qr_string: Some(qr_string), ..Change::default() }, START);
        assert_eq!(fields(&mut sim, &format!("o-{number}"), kind), expected, "{field:?} {kind}");
    }
    let change: Change = serde_json::from_str(r#"{"fee":100,"payment_types":["qris"],"balance":null}"#).expect("a change");
    sim.change(change, START);
    assert_eq!(code(sim.handle(&charge_of("o-7", "gopay"), START)), "402");
    let (_, raised) = answer(sim.handle(&charge_of("o-8", "qris"), START));
    assert_eq!(raised["gross_amount"], "5100.00");
    sim.pay("o-8", Via::Qris, false, START).expect("payable");
    let settled = told(&mut sim, START).pop().expect("told");
    assert_eq!(settled["metadata"]["extra_info"]["gross_amount_info"]["original_amount"], "5000.00");
    assert!(serde_json::from_str::<Change>(r#"{"feee":100}"#).is_err(), "what is not there is no option");
}

#[test]
fn every_option_can_be_told_and_given_back() {
    let mut sim = midtrans();
    let told = serde_json::to_value(sim.options().told()).expect("plain");
    assert_eq!(told["retry_spacing_ms"], json!([120_000, 600_000, 1_800_000, 5_400_000, 12_600_000]));
    sim.change(serde_json::from_value(told.clone()).expect("its own words"), START);
    assert_eq!(serde_json::to_value(sim.options().told()).expect("plain"), told);
}
