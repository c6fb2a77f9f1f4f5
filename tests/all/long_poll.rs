//! `GET /v1/orders`: what a machine learns without MQTT, and what it may ask.

use crate::rig::midtrans::Via;
use crate::rig::shop::{Shop, new_request_id};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn a_long_poll_answers_when_the_order_changes() {
    let shop = Shop::merchants_side();
    let order = shop.charge();
    let order_id = order["order_id"].as_str().expect("an id").to_owned();
    // At once, if there is something newer.
    let now = shop.backend_get(&format!("/v1/orders/{order_id}?wait=60&since=0"));
    assert_eq!((now.status, now.json()), (200, order.clone()));
    // After the wait, if there is not.
    let start = Instant::now();
    let same = shop.backend_get(&format!("/v1/orders/{order_id}?wait=1&since={}", order["rev"]));
    assert_eq!((same.status, same.json()["rev"].clone()), (200, order["rev"].clone()));
    assert!(start.elapsed() >= Duration::from_millis(950));
    // When it changes, otherwise.
    let url = format!("{}/v1/orders/{order_id}?wait=60&since={}", shop.backend_url, order["rev"]);
    let token = shop.token.clone();
    let waiting = std::thread::spawn(move || crate::rig::http::Http::new().get(&url, Some(&token)).json());
    shop.midtrans.pay(&order_id, Via::Gopay);
    let start = Instant::now();
    let mut changed = waiting.join().expect("no panic");
    if changed["status"] != "settlement" {
        changed = shop.backend_get(&format!("/v1/orders/{order_id}?wait=60&since={}", changed["rev"])).json();
    }
    assert_eq!(changed["status"], "settlement");
    assert!(start.elapsed() < Duration::from_secs(20), "it waited for the end of the poll");
}

#[test]
fn a_machine_sees_its_own_orders_only() {
    let shop = Shop::merchants_side();
    let order = shop.charge();
    let order_id = order["order_id"].as_str().expect("an id");
    let mut add = shop.program_command(crate::rig::shop::Program::Backend);
    let other = crate::rig::succeed(add.args(["device", "add", "vm-002"])).trim().to_owned();
    for path in [format!("/v1/orders/{order_id}"), "/v1/orders?state=open".into(), format!("/v1/orders/{order_id}/qr.png")] {
        let url = format!("{}{path}", shop.backend_url);
        assert_eq!(shop.http.get(&url, None).status, 401, "{path} without a token");
        assert_eq!(shop.http.get(&url, Some("wrong")).status, 401, "{path} with a wrong token");
    }
    let foreign = shop.http.get(&format!("{}/v1/orders/{order_id}", shop.backend_url), Some(&other));
    assert_eq!(foreign.status, 404);
    assert_eq!(foreign.content_type, "application/problem+json");
    let open = shop.http.get(&format!("{}/v1/orders?state=open", shop.backend_url), Some(&other));
    assert_eq!(open.json(), json!({"orders": []}));
    let open = shop.backend_get("/v1/orders?state=open").json();
    assert_eq!((open["orders"].as_array().map(Vec::len), &open["orders"][0]["order_id"]), (Some(1), &order["order_id"]));
    let cancel = format!("{}/v1/orders/{order_id}/cancel", shop.backend_url);
    assert_eq!(shop.http.post(&cancel, Some(&other), &[], &json!({})).status, 404);
    let mut revoke = shop.program_command(crate::rig::shop::Program::Backend);
    crate::rig::succeed(revoke.args(["device", "revoke", "vm-002"]));
    assert_eq!(shop.http.get(&format!("{}/v1/orders?state=open", shop.backend_url), Some(&other)).status, 401);
}

#[test]
fn the_same_request_is_charged_once() {
    let shop = Shop::merchants_side();
    let body = shop.order_body(&new_request_id());
    let first = shop.post_order(&body);
    assert_eq!(first.status, 201, "{}", first.text());
    let again = shop.post_order(&body);
    assert_eq!((again.status, again.json()), (200, first.json()));
    let mut other = body.clone();
    other["description"] = "something else".into();
    assert_eq!(shop.post_order(&other).status, 409);
    let mut stolen = shop.order_body(&new_request_id());
    stolen["ticket"] = body["ticket"].clone();
    assert_eq!(shop.post_order(&stolen).status, 409, "a ticket of another request");
    let order_id = first.json()["order_id"].as_str().expect("an id").to_owned();
    assert_eq!(shop.midtrans.calls("charge", &order_id).len(), 1);
}

#[test]
fn bad_orders_are_refused_by_field() {
    let shop = Shop::merchants_side();
    let good = shop.order_body(&new_request_id());
    for (field, value) in [
        ("item", json!("A|1")),
        ("amount", json!(0)),
        ("amount", json!("5000")),
        ("timeout_s", json!(9)),
        ("payment", json!("cash")),
        ("ticket", json!("short")),
        ("description", json!("x".repeat(51))),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        let answer = shop.post_order(&body);
        assert_eq!(answer.status, 422, "{field} = {value}: {}", answer.text());
        assert_eq!(answer.content_type, "application/problem+json");
        let problem = answer.json();
        assert!(problem["errors"].as_array().is_some_and(|errors| errors.iter().any(|error| error["field"] == field)), "{problem}");
    }
    let mut body = good.clone();
    body["kids"] = json!(["nobody"]);
    let answer = shop.post_order(&body);
    assert_eq!((answer.status, answer.json()["code"].clone()), (422, json!("unknown_key")));
    assert!(shop.midtrans.transactions().is_empty(), "nothing was charged");
}

#[test]
fn a_lost_answer_of_midtrans_charges_nobody_twice() {
    let shop = Shop::merchants_side();
    shop.midtrans.fault(&json!({"fault": "lose_answer", "on": "charge", "count": 1}));
    let body = shop.order_body(&new_request_id());
    let order = crate::rig::wait_for("a charge", || {
        let answer = shop.post_order(&body);
        match answer.status {
            200 | 201 => Some(answer.json()),
            503 => None,
            other => panic!("{other}: {}", answer.text()),
        }
    });
    let pending: Vec<Value> = shop.midtrans.transactions().into_iter().filter(|transaction| transaction["status"] == "pending").collect();
    assert_eq!(pending.len(), 1, "{pending:?}");
    assert_eq!(pending[0]["order_id"], order["order_id"]);
    assert_eq!(pending[0]["qr_payload"], order["qr_payload"], "what is shown is what was charged");
}

#[test]
fn the_outcome_stays_what_it_was_first() {
    let shop = Shop::merchants_side();
    let order = shop.charge();
    let order_id = order["order_id"].as_str().expect("an id");
    shop.midtrans.pay(order_id, Via::Gopay);
    shop.wait_status(order_id, "settlement");
    let tell = |outcome: &str| shop.post_to(order_id, "outcome", &json!({"outcome": outcome, "reason": null, "detail": null})).status;
    assert_eq!(tell("Eaten!"), 422);
    assert_eq!([tell("undelivered"), tell("undelivered"), tell("dispensed")], [200, 200, 409]);
    let now = shop.order_at_backend(order_id);
    assert_eq!((now["outcome"]["outcome"].as_str(), now["refund"].as_str()), (Some("undelivered"), Some("due")));
}
