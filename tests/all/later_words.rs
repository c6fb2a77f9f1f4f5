//! Programs of two releases: what the later one says in words that the other does not know is kept, shown and answered as it came,
//! and the order goes on.

use crate::rig::midtrans::Via;
use crate::rig::output;
use crate::rig::process::Process;
use crate::rig::proxy::{Proxy, Reply};
use crate::rig::shop::{DEVICE, Program, Shop, without_broker};
use qris::wire::vend::EventState;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn what_a_later_machine_tells_is_kept_and_answered() {
    let shop = Shop::merchants_side();
    let order_id = shop.paid();
    let told = json!({"outcome": "teleported", "reason": "moon_phase", "detail": "it was there"});
    for _ in 0..2 {
        let answer = shop.post_to(&order_id, "outcome", &told);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut kept = told.clone();
        kept["try"] = json!(1);
        assert_eq!(answer.json()["outcome"], kept);
    }
    assert_eq!(shop.post_to(&order_id, "outcome", &json!({"outcome": "dispensed"})).status, 409, "the first stays");
    let shown = String::from_utf8(shop.merchant(&["orders", &order_id]).stdout).expect("text");
    assert!(shown.contains("teleported") && shown.contains("moon_phase"), "{shown}");
    let listed = String::from_utf8(shop.merchant(&["orders", "--attention"]).stdout).expect("text");
    assert!(listed.contains(&order_id), "a person looks what it means: {listed}");
    for wrong in ["", "Teleported", "to the moon", &"x".repeat(33)] {
        assert_eq!(shop.post_to(&order_id, "outcome", &json!({"outcome": wrong})).status, 422, "{wrong:?} is no word");
    }
}

/// A shop whose machine reaches the backend through a proxy that speaks a release later.
fn with_later_backend(alter: fn(&str, &str, &mut Reply)) -> Shop {
    let mut shop = Shop::merchants_side();
    // Its news would reach the machine as they are.
    shop.kill_backend();
    shop.edit(Program::Backend, without_broker);
    shop.start_backend();
    let proxy = Proxy::start(&shop.backend_url, alter);
    let before = format!("http://127.0.0.1:{}", shop.backend_link.port);
    shop.edit(Program::Qrisd, |text| {
        assert!(text.contains(&before), "{text}");
        text.replace(&before, &proxy.url)
    });
    shop.start_machine();
    shop
}

/// The list of open orders is empty: the machine hears of an order only from what a test alters.
fn hide_the_list(reply: &mut Reply) {
    reply.json_mut(|list| list["orders"].is_array().then(|| list["orders"] = json!([])));
}

#[test]
fn a_refusal_of_a_later_backend_is_told_as_it_came() {
    let shop = with_later_backend(|method, path, reply| {
        hide_the_list(reply);
        if method == "POST" && path == "/v1/orders" {
            let problem = json!({"type": "about:blank", "title": "x", "status": 422, "code": "quota_used_up", "detail": "for today"});
            (reply.status, reply.content_type, reply.body) = (422, "application/problem+json".into(), problem.to_string().into_bytes());
        }
    });
    let request_id = shop.vend("A1");
    let failed = shop.wait_state(&request_id, EventState::Failed);
    assert_eq!(failed.reason.map(|reason| reason.to_string()).as_deref(), Some("quota_used_up"));
}

#[test]
fn an_order_in_a_state_of_a_later_backend_waits_until_it_is_in_one_that_is_known() {
    static ANSWERS: AtomicU32 = AtomicU32::new(0);
    let shop = with_later_backend(|_, path, reply| {
        hide_the_list(reply);
        reply.json_mut(|order| {
            let of_an_order = path.starts_with("/v1/orders") && order["status"].is_string();
            let early = of_an_order && ANSWERS.fetch_add(1, Ordering::Relaxed) < 2;
            early.then(|| order["status"] = json!("under_review"))
        });
    });
    let request_id = shop.offer("A1");
    assert!(ANSWERS.load(Ordering::Relaxed) > 0, "it was in no such state");
    shop.pay(Via::Gopay);
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn an_operator_sees_what_a_later_machine_says() {
    let shop = Shop::merchants_side();
    let watch = Process::start("qrisctl", shop.qrisctl_command("fleet").arg("watch"));
    let status = json!({"state": "online", "faults": [{"code": "flooded", "detail": "water", "since": null}]});
    shop.tap.publish_bytes(&format!("qrisd/v1/{DEVICE}/status"), status.to_string().as_bytes(), true);
    watch.wait_line("flooded");
    let event: Value = json!({
        "event_id": "e-1", "stream": "s", "seq": 1, "request_id": "r-1", "order_id": null, "state": "in_the_post", "reason": "too_heavy",
        "item": "A1", "amount": 5000, "gross_amount": null, "payment_code": null, "store": null, "field": null, "detail": null
    });
    shop.tap.publish(&format!("qrisd/v1/{DEVICE}/vend/event"), &event);
    watch.wait_line("in_the_post (too_heavy)");
    let now = output(shop.qrisctl_command("fleet").arg("status"));
    assert!(String::from_utf8_lossy(&now.stdout).contains("flooded"), "{now:?}");
}
