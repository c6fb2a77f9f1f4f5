//! Shops, refunds, and money that banks take back.

use super::*;

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
        assert_eq!(notified(&mut sim, START)[0]["transaction_status"], "pending");
        assert_eq!(call(&mut sim, "GET", "/v2/o-1/status", at(3_600)), "201", "it has a day");
        assert_eq!(sim.pay("999", Via::Gopay, false, at(3_600)), Err(PayError::Unknown));
        assert_eq!(sim.pay(&code, Via::Gopay, false, at(3_600)), Ok(Paid { order_id: "o-1".into(), amount: 10_000 }));
        let settled = &notified(&mut sim, at(3_600))[0];
        assert_eq!((&settled["transaction_status"], &settled["payment_code"]), (&json!("settlement"), &json!(code)));
        assert_eq!((settled["fraud_status"].is_string(), settled["approval_code"].is_string()), (has_fraud, has_approval));
        // The shop takes it back.
        assert!(sim.reverse("o-1", at(3_700)).is_ok());
        assert_eq!(sim.reverse("o-1", at(3_700)), Err(PayError::NotPaid));
        let denied = &notified(&mut sim, at(3_700))[0];
        assert_eq!((&denied["transaction_status"], &denied["status_code"]), (&json!("deny"), &json!("202")));
        assert_eq!(call(&mut sim, "GET", "/v2/o-1/status", at(3_701)), "202");
        assert_eq!(call(&mut sim, "POST", "/v2/o-1/refund", at(3_701)), "412");
    }
}

#[test]
fn no_two_orders_have_the_same_code() {
    let (mut sim, mut codes) = (midtrans(), std::collections::BTreeSet::new());
    for number in 0..20_000 {
        let order_id = format!("o-{number}");
        sim.handle(&cstore_of(&order_id, "indomaret"), START);
        codes.insert(sim.transaction(&order_id).and_then(|book| book.payment_code).expect("a code"));
    }
    assert_eq!(codes.len(), 20_000, "of a hundred million");
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
    let path = "/v2/o-1/refund";
    assert_eq!(code(sim.handle(&refund_of(path, &json!({})), START)), "412", "not paid yet");
    sim.pay("o-1", Via::Gopay, false, START).expect("payable");
    sim.due(START);
    let rows: [(&str, Value, &str); 6] = [
        ("/v2/o-2/refund", json!({}), "404"),
        (path, json!({ "amount": 0 }), "414"),
        (path, json!({ "amount": 5_001 }), "414"),
        (path, json!({ "amount": "much" }), "400"),
        (path, json!({ "refund_key": "a b" }), "400"),
        (path, json!({ "reason": "x".repeat(256) }), "400"),
    ];
    for (path, body, expected) in rows {
        assert_eq!(code(sim.handle(&refund_of(path, &body), at(1))), expected, "{path} {body}");
    }
    let part = json!({ "refund_key": "o-1_a", "amount": 2_000, "reason": "jammed" });
    let (_, first) = answer(sim.handle(&refund_of(path, &part), at(1)));
    assert_eq!(first["status_message"], "Success, refund request is approved");
    let seen =
        |body: &Value| [&body["status_code"], &body["transaction_status"], &body["refund_amount"]].map(|v| v.as_str().map(str::to_owned));
    let row = |code: &str, status: &str, amount: &str| [code, status, amount].map(|text| Some(text.to_owned()));
    assert_eq!(seen(&first), row("200", "partial_refund", "2000.00"));
    assert_eq!(code(sim.handle(&refund_of(path, &part), at(1))), "406");
    let (_, second) = answer(sim.handle(&refund_of(path, &json!({})), at(2)));
    assert_eq!(seen(&second), row("200", "refund", "3000.00"));
    let notices = notified(&mut sim, at(2));
    assert_eq!(notices.iter().map(seen).collect::<Vec<_>>(), [row("200", "partial_refund", "2000.00"), row("200", "refund", "5000.00")]);
    assert_eq!((&notices[0]["refunds"][0]["bank_confirmed_at"], &notices[0]["refunds"][0]["refund_key"]), (&Value::Null, &json!("o-1_a")));
    assert_eq!(sim.next_due(), Some(at(3)), "the bank confirms the first after two seconds");
    let notices = notified(&mut sim, at(4));
    assert_eq!(notices.len(), 2);
    assert_eq!(notices[1]["refunds"][1]["bank_confirmed_at"], at(4).to_wib());
    assert_eq!(code(sim.handle(&refund_of(path, &json!({})), at(5))), "412", "nothing is left");
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
    let keys: Vec<_> = sim.requests().into_iter().map(|logged| logged.refund_key).collect();
    assert_eq!(keys, [None, Some("k"), Some("k"), Some("k"), Some("k"), Some("k"), Some("l")].map(|key| key.map(str::to_owned)));
    for (order_id, via, days, expected) in [("o-2", Via::Gopay, 44, "200"), ("o-3", Via::Gopay, 46, "412"), ("o-4", Via::Qris, 8, "412")] {
        sim.handle(&charge_of(order_id, "gopay"), START);
        sim.pay(order_id, via, false, START).expect("payable");
        let late = refund_of(&format!("/v2/{order_id}/refund"), &json!({}));
        assert_eq!(code(sim.handle(&late, at(days * 86_400))), expected, "{order_id}");
    }
}

#[test]
fn a_refund_key_is_good_for_a_week_and_a_bank_may_refuse_later() {
    let mut sim = midtrans();
    sim.handle(&charge_of("o-1", "gopay"), START);
    sim.pay("o-1", Via::Gopay, false, START).expect("payable");
    sim.due(START);
    let with_key = |key: &str| refund_of("/v2/o-1/refund", &json!({ "refund_key": key }));
    sim.change(Change { balance: Some(Some(0)), ..Change::default() }, START);
    let week = 7 * 86_400;
    for (key, seconds, expected) in [("k", 0, "414"), ("k", week - 1, "414"), ("k", week, "406"), ("l", week, "414")] {
        assert_eq!(code(sim.handle(&with_key(key), at(seconds))), expected, "{key} after {seconds} s");
    }
    sim.change(Change { balance: Some(Some(5_000)), ..Change::default() }, START);
    sim.plan(Plan { count: Some(1), ..Fault::BounceRefund.into() });
    assert_eq!(code(sim.handle(&with_key("l"), at(week))), "200");
    assert_eq!(notified(&mut sim, at(week))[0]["transaction_status"], "refund");
    let bounced = notified(&mut sim, at(week + 2)).pop().expect("told");
    assert_eq!((&bounced["transaction_status"], bounced.get("refunds")), (&json!("settlement"), None));
    assert_eq!(code(sim.handle(&with_key("m"), at(week + 3))), "200", "the money is there again");
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
        let notice = notified(&mut sim, START).pop().expect("told");
        assert_eq!((&notice["transaction_status"], &notice["status_code"]), (&json!(status), &json!("200")));
    }
    for (order_id, status, fraud) in [("o-2", Status::Settlement, Fraud::Challenge), ("o-3", Status::Settlement, Fraud::Deny)] {
        sim.set(order_id, Some(status), Some(fraud), false, START).expect("known");
        let notice = notified(&mut sim, START).pop().expect("told");
        assert_eq!((&notice["transaction_status"], &notice["fraud_status"]), (&json!(status.as_str()), &json!(fraud.as_str())));
    }
    sim.set("o-4", Some(Status::Failure), None, true, START).expect("known");
    assert!(sim.due(START).is_empty(), "quietly");
    sim.handle(&charge_of("o-4", "gopay"), START);
    assert_eq!(sim.end_by_hand("o-4", Status::Cancel, START)["status_code"], "200");
    sim.change(Change { refunds: Some(false), ..Change::default() }, START);
    assert_eq!(sim.refund_by_hand("o-3", b"", START)["transaction_status"], "refund", "at the dashboard it is allowed");
    assert!(!sim.options().refunds);
}
