//! A whole sale on real parts: request, QR in the pixels, payment, one pulse.

use crate::rig::caller::Caller;
use crate::rig::link::Cable;
use crate::rig::midtrans::Via;
use crate::rig::shop::{DEVICE, Options, PRICE, Shop, new_request_id};
use crate::rig::wait_for;
use qris::order::reason::Reason;
use qris::wire::vend::EventState;
use serde_json::json;
use std::collections::HashMap;
use zbus::Variant;

#[test]
fn a_paid_order_drives_the_relay_once_whatever_the_app() {
    let shop = Shop::open(Options::default());
    for (i, via) in [Via::Gopay, Via::Qris].into_iter().enumerate() {
        let sold = shop.sell("A1", via);
        let request_id = sold.request_id.as_ref().expect("its request").as_str();
        shop.relay.wait_pulses(i + 1);
        shop.screen.wait_no_payload();
        // Exactly one event for every transition, in order.
        let events: Vec<_> =
            shop.tap.events().into_iter().filter(|event| event.request_id.as_ref().map(|id| id.as_str()) == Some(request_id)).collect();
        let states: Vec<_> = events.iter().map(|event| event.state).collect();
        use EventState::{AwaitingPayment, Dispensed, Dispensing, Paid, Requested};
        assert_eq!(states, [Requested, AwaitingPayment, Paid, Dispensing, Dispensed]);
        let seqs: Vec<_> = events.iter().map(|event| event.seq.expect("stored")).collect();
        assert!(seqs.windows(2).all(|pair| pair[0] < pair[1]), "{seqs:?}");
        assert!(events.iter().all(|event| event.stream == events[0].stream));
        let order_id = sold.order_id.as_ref().expect("its order").as_str();
        let outcome = shop.wait_order(order_id, "its outcome", |order| order["outcome"]["outcome"].as_str().map(str::to_owned));
        assert_eq!(outcome, "dispensed");
        let charge = shop.midtrans.transactions().into_iter().find(|charge| charge["order_id"] == order_id).expect("charged");
        assert_eq!(charge["custom_fields"][0], DEVICE);
        assert_eq!(charge["custom_fields"][1], request_id);
        assert!(charge["custom_fields"][2].as_str().is_some_and(|field| field.starts_with(&format!("A1|{PRICE}|"))), "{charge}");
        // No receipt without a get-status, and no second one without need.
        assert_eq!(shop.midtrans.calls("status", order_id).len(), 1);
    }
    assert_eq!(shop.pulses(), 2);
    shop.check_books();
}

#[test]
fn an_unpaid_order_never_fires() {
    let shop = Shop::open(Options::default());
    let request_id = new_request_id();
    shop.request(&json!({"request_id": request_id, "item": "A1", "timeout_s": 30}));
    let offered = shop.wait_state(&request_id, EventState::AwaitingPayment);
    shop.screen.wait_payload();
    let order_id = offered.order_id.expect("its order");
    // Failed attempts tell nobody anything.
    assert!(shop.midtrans.fail(order_id.as_str()).status < 300);
    let ended = shop.wait_state(&request_id, EventState::Cancelled);
    assert_eq!(ended.reason, Some(Reason::Timeout));
    shop.screen.wait_no_payload();
    assert_eq!(shop.midtrans.status(order_id.as_str()), "cancel");
    assert_eq!(shop.pulses(), 0);
    shop.check_books();
}

#[test]
fn a_controller_on_the_board_sells_with_the_broker_down() {
    let shop = Shop::open(Options::default());
    shop.broker_link.set(Cable::Cut);
    let caller = Caller::connect(&shop.bus.address);
    let options: HashMap<&str, Variant<'_>> = HashMap::new();
    let (state, reason): (String, String) = caller.device("Vend", &("board-1", "A1", options)).expect("an answer");
    assert_eq!((state.as_str(), reason.as_str()), ("requested", ""));
    wait_for("the QR", || (caller.device_property::<String>("State") == "awaiting_payment").then_some(()));
    assert_eq!(caller.device_property::<String>("RequestId"), "board-1");
    assert_eq!(caller.device_property::<String>("Item"), "A1");
    assert_eq!(caller.device_property::<i64>("Amount"), 5000);
    assert!((1..=120).contains(&caller.device_property::<u32>("RemainingS")));
    shop.pay(Via::Gopay);
    shop.relay.wait_pulses(1);
    wait_for("an idle machine", || caller.device_property::<String>("State").is_empty().then_some(()));
    let unknown: (String,) = caller.device("Cancel", &("nobody",)).expect("an answer");
    assert_eq!(unknown.0, "");
    // What happened is told when the broker is back.
    shop.broker_link.set(Cable::Whole);
    shop.wait_state("board-1", EventState::Dispensed);
    shop.check_books();
}
