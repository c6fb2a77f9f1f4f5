//! Requests that are refused, each with the field or the reason, and nothing begun.

use crate::rig::inputs::Inputs;
use crate::rig::midtrans::Via;
use crate::rig::shop::{Options, Shop, new_request_id};
use crate::rig::{command, output, output_text, stdout};
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
        (json!({"item": "exit", "amount": 200_001}), Reason::WrongAmount, Some("amount")),
        (json!({"item": "A1", "payment": "cash"}), Reason::Malformed, Some("payment")),
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
fn without_relay_or_with_a_blocked_line_nobody_is_asked_to_pay() {
    let inputs = Inputs::new();
    let mut shop = Shop::open(Options { line: inputs.line_with_sensor(100), ..Options::default() });
    let bus = shop.bus.address.clone();
    let ctl = |arguments: &[&str]| output(command(env!("CARGO_BIN_EXE_qrisctl")).args(arguments).args(["--bus", &bus]));
    let request_id = shop.offer("A1");
    let (order, order_id) = (stdout(&ctl(&["order"])), shop.order_id(&request_id));
    let wanted = format!("awaiting_payment request {request_id} order {order_id} item A1 amount Rp5.000 pays Rp5.000 ");
    assert!(order.starts_with(&wanted) && order.ends_with(" s left\n"), "{order}");
    let order: Value = serde_json::from_slice(&ctl(&["order", "--json"]).stdout).expect("JSON");
    assert!(order["remaining_s"].as_u64() > Some(0), "{order}");
    shop.pay(Via::Gopay);
    let due = shop.wait_state(&request_id, EventState::RefundDue);
    assert_eq!(due.reason, Some(Reason::Failed));
    let refused = shop.vend("A1");
    shop.tap.wait_refused(&refused, Reason::LineBlocked);
    shop.wait_fault("line_blocked", true);
    shop.qrisd.as_ref().expect("it runs").wait_line("the machine has the fault line_blocked: ");
    let lines = stdout(&ctl(&["relay", "lines"]));
    assert!(lines.contains("line \"tray 1\": blocked (items *; it takes at least Rp") && lines.contains("open tickets: 0\n"), "{lines}");
    let clear = ctl(&["relay", "clear", "A1", "--json"]);
    assert_eq!(output_text(&clear), "{\"item\":\"A1\",\"outcome\":\"cleared\"}\n");
    let cleared = Instant::now();
    shop.wait_fault("line_blocked", false);
    assert!(cleared.elapsed().as_secs() < 25, "the relay's signal tells it; without one it is read every 30 s");
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
fn too_many_requests_are_refused_before_they_cost_anything() {
    // One: a busy computer may need long for each, and they must come within a minute.
    let shop = Shop::open(Options { orders: "orders_per_minute = 1\n".into(), ..Options::default() });
    let first = shop.vend("A1");
    shop.wait_state(&first, EventState::AwaitingPayment);
    shop.cancel(&first);
    shop.wait_state(&first, EventState::Cancelled);
    let second = shop.vend("A1");
    shop.tap.wait_refused(&second, Reason::RateLimited);
    assert_eq!(shop.midtrans.transactions().len(), 1);
}
