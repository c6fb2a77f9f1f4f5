//! Requests that are refused, each with the field or the reason, and nothing begun.

use crate::rig::link::Cable;
use crate::rig::midtrans::Via;
use crate::rig::shop::{Options, Program, Shop, new_request_id};
use qris::order::reason::Reason;
use qris::wire::vend::{EventState, VendEvent};
use serde_json::{Value, json};
use std::time::Instant;

const REQUEST: &str = "qrisd/v1/vm-001/vend/request";

#[test]
fn a_bad_request_is_told_which_field() {
    let shop = Shop::open(Options::default());
    let table = [
        (json!({"item": "B9"}), Reason::UnknownItem, Some("item")),
        (json!({"item": "A|1"}), Reason::Malformed, Some("item")),
        (json!({}), Reason::Malformed, Some("item")),
        (json!({"item": "A1", "amount": 4999}), Reason::WrongAmount, Some("amount")),
        (json!({"item": "A1", "amount": "5000"}), Reason::Malformed, Some("amount")),
        (json!({"item": "exit"}), Reason::WrongAmount, Some("amount")),
        (json!({"item": "exit", "amount": 1999}), Reason::WrongAmount, Some("amount")),
        (json!({"item": "exit", "amount": 200_001}), Reason::WrongAmount, Some("amount")),
        (json!({"item": "A1", "timeout_s": 9}), Reason::Malformed, Some("timeout_s")),
        (json!({"item": "A1", "payment": "cash"}), Reason::Malformed, Some("payment")),
        (json!({"item": "A1", "description": "x".repeat(51)}), Reason::Malformed, Some("description")),
    ];
    for (mut body, reason, field) in table {
        let request_id = new_request_id();
        body["request_id"] = request_id.as_str().into();
        shop.request(&body);
        let refused = shop.tap.wait_refused(&request_id, reason);
        assert_eq!(refused.field.as_deref(), field, "{body}: {refused:?}");
    }
    // Nobody knows whose these are.
    let anonymous = |bytes: &[u8], reason: Reason| -> VendEvent {
        let from = shop.tap.count();
        shop.tap.publish_bytes(REQUEST, bytes, false);
        let refused = shop.tap.wait_event_from(from, "a refusal", |event| event.state == EventState::Refused);
        assert_eq!((refused.reason, refused.request_id.as_ref(), refused.seq), (Some(reason), None, None));
        refused
    };
    assert_eq!(anonymous(br#"{"item":"A1"}"#, Reason::Malformed).field.as_deref(), Some("request_id"));
    assert_eq!(anonymous(br#"{"request_id":"r","request_id":"r","item":"A1"}"#, Reason::Malformed).field.as_deref(), Some("request_id"));
    anonymous(b"{\"request_id\":", Reason::Malformed);
    anonymous(&vec![b' '; 8 * 1024 + 1], Reason::TooLarge);
    assert!(shop.midtrans.transactions().is_empty(), "nothing was charged");
    assert_eq!(shop.pulses(), 0);
}

#[test]
fn the_same_request_again_is_the_same_order() {
    let shop = Shop::open(Options::default());
    let body = json!({"request_id": "same-1", "item": "A1"});
    shop.request(&body);
    let first = shop.wait_state("same-1", EventState::AwaitingPayment);
    let from = shop.tap.count();
    shop.request(&body);
    let again = shop.tap.wait_event_from(from, "the last event again", |event| event.event_id == first.event_id);
    assert_eq!((again.seq, again.state), (first.seq, EventState::AwaitingPayment));
    shop.request(&json!({"request_id": "same-1", "item": "A2"}));
    shop.tap.wait_refused("same-1", Reason::ReusedId);
    shop.request(&json!({"request_id": "second", "item": "A2"}));
    shop.tap.wait_refused("second", Reason::Busy);
    shop.pay(Via::Gopay);
    shop.wait_state("same-1", EventState::Dispensed);
    // A refusal is not remembered.
    shop.request(&json!({"request_id": "second", "item": "A2"}));
    shop.wait_state("second", EventState::AwaitingPayment);
    assert_eq!(shop.midtrans.transactions().len(), 2);
}

#[test]
fn a_retained_request_sells_nothing() {
    let mut shop = Shop::open(Options::default());
    let body = |id: &str| json!({"request_id": id, "item": "A1"}).to_string();
    shop.tap.publish_bytes(REQUEST, body("retained-1").as_bytes(), true);
    shop.tap.wait_refused("retained-1", Reason::Retained);
    // It is still at the broker when the machine comes back, and the broker keeps it to itself.
    shop.kill_qrisd();
    shop.start_qrisd();
    shop.wait_online();
    shop.sell("A1", Via::Gopay);
    assert_eq!(shop.pulses(), 1);
    assert_eq!(shop.midtrans.transactions().len(), 1);
}

#[test]
fn too_many_requests_are_refused_before_they_cost_anything() {
    let shop = Shop::open(Options { orders: "orders_per_minute = 2\n".into(), ..Options::default() });
    for _ in 0..2 {
        let request_id = shop.offer("A1");
        shop.cancel(&request_id);
        shop.wait_state(&request_id, EventState::Cancelled);
    }
    let third = shop.vend("A1");
    shop.tap.wait_refused(&third, Reason::RateLimited);
    assert_eq!(shop.midtrans.transactions().len(), 2);
}

#[test]
fn without_relay_or_with_a_blocked_line_nobody_is_asked_to_pay() {
    let directory = tempfile::tempdir().expect("a directory");
    let sensor = directory.path().join("sensor");
    std::fs::write(&sensor, "").expect("written");
    let line = format!("pulse_ms = 50\nsensor = {{ chip = \"sim:{}\", offset = 1, within_ms = 100 }}\n", sensor.display());
    let mut shop = Shop::open(Options { line, ..Options::default() });
    let request_id = shop.offer("A1");
    shop.pay(Via::Gopay);
    let due = shop.wait_state(&request_id, EventState::RefundDue);
    assert_eq!(due.reason, Some(Reason::Failed));
    let refused = shop.vend("A1");
    shop.tap.wait_refused(&refused, Reason::LineBlocked);
    shop.wait_fault("line_blocked", true);
    let clear =
        crate::rig::output(crate::rig::command(env!("CARGO_BIN_EXE_qrisctl")).args(["relay", "clear", "A1", "--bus", &shop.bus.address]));
    assert!(clear.status.success(), "{}", String::from_utf8_lossy(&clear.stderr));
    let cleared = std::time::Instant::now();
    shop.wait_fault("line_blocked", false);
    assert!(cleared.elapsed().as_secs() < 10, "the relay's signal tells it; without one it is read every 30 s");
    shop.kill_relayd();
    shop.wait_fault("relay", true);
    let refused = shop.vend("A1");
    shop.tap.wait_refused(&refused, Reason::Relay);
    assert_eq!(shop.midtrans.transactions().len(), 1);
    shop.start_relayd();
    shop.wait_fault("relay", false);
    let offered = shop.offer("A1");
    shop.cancel(&offered);
    shop.wait_state(&offered, EventState::Cancelled);
    shop.check_books();
}

#[test]
fn without_a_backend_a_request_ends_within_15_s() {
    for cable in [Cable::Cut, Cable::Silent] {
        let shop = Shop::open(Options::default());
        shop.backend_link.set(cable);
        let start = Instant::now();
        let request_id = shop.vend("A1");
        let failed = shop.wait_state(&request_id, EventState::Failed);
        assert_eq!(failed.reason, Some(Reason::Backend));
        assert!(start.elapsed().as_secs() <= 16, "{:?}", start.elapsed());
        shop.backend_link.set(Cable::Whole);
        crate::rig::wait_for("no charge that can be paid", || {
            shop.midtrans.transactions().iter().all(|charge| charge["status"] != "pending").then_some(())
        });
        shop.sell("A1", Via::Gopay);
        assert_eq!(shop.pulses(), 1);
        shop.check_books();
    }
}

#[test]
fn a_machine_without_panel_or_disk_stays_up_and_says_so() {
    let mut shop = Shop::open(Options { screen: Some("device = \"/dev/no-such-fb\"\n".into()), ..Options::default() });
    shop.wait_fault("screen", true);
    let refused = shop.vend("A1");
    shop.tap.wait_refused(&refused, Reason::Screen);
    shop.kill_qrisd();
    // A directory that nobody can write to, not even root.
    shop.edit(Program::Qrisd, |text| {
        let at = text.find("[store]").expect("the section");
        let end = text[at..].find("[screen]").expect("the next one") + at;
        format!("{}[store]\npath = \"/proc/qrisd.db\"\n{}", &text[..at], &text[end..])
    });
    shop.start_qrisd();
    shop.wait_fault("store", true);
    let refused = shop.vend("A1");
    shop.tap.wait_refused(&refused, Reason::Store);
    assert!(shop.midtrans.transactions().is_empty());
    let faults: Value = shop.last_status().expect("a status")["faults"].clone();
    assert!(
        faults.as_array().is_some_and(|faults| faults.iter().all(|fault| fault["detail"].as_str().is_some_and(|text| !text.is_empty()))),
        "{faults}"
    );
}
