//! Cancelling: by the controller, by the clock, and too late.

use crate::rig::midtrans::Via;
use crate::rig::shop::{Options, Shop};
use qris::order::reason::Reason;
use qris::wire::vend::EventState;
use serde_json::json;

#[test]
fn a_cancelled_order_is_cancelled_at_midtrans_before_it_says_so() {
    let shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    shop.cancel(&request_id);
    let ended = shop.wait_state(&request_id, EventState::Cancelled);
    assert_eq!(ended.reason, Some(Reason::Customer));
    let order_id = ended.order_id.expect("its order");
    assert_eq!(shop.midtrans.status(order_id.as_str()), "cancel");
    shop.screen.wait_no_payload();
    // Again: its last event again.
    let from = shop.tap.count();
    shop.cancel(&request_id);
    let again = shop.tap.wait_event_from(from, "the last event again", |event| event.state == EventState::Cancelled);
    assert_eq!((again.event_id, again.seq), (ended.event_id, ended.seq));
    shop.cancel("nobody");
    shop.tap.wait_refused("nobody", Reason::UnknownRequest);
    // The machine is free.
    shop.sell("A2", Via::Gopay);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn a_cancel_that_loses_the_race_dispenses() {
    let shop = Shop::open(Options::default());
    // Nobody tells the backend of the payment: the cancel is the first to learn of it.
    shop.midtrans.fault(&json!({"fault": "drop_notification"}));
    let request_id = shop.offer("A1");
    shop.pay(Via::Gopay);
    shop.cancel(&request_id);
    shop.wait_state(&request_id, EventState::Cancelling);
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn a_cancel_that_midtrans_does_not_answer_frees_the_machine_and_is_tried_again() {
    let shop = Shop::open(Options { orders: "orders_per_minute = 0\ncancel_wait_s = 1\n".into(), ..Options::default() });
    let request_id = shop.offer("A1");
    shop.midtrans.fault(&json!({"fault": "refuse", "on": "cancel"}));
    shop.cancel(&request_id);
    shop.wait_state(&request_id, EventState::Cancelling);
    shop.screen.wait_no_payload();
    // After cancel_wait_s another may be served.
    shop.wait_idle();
    let other = shop.vend("A2");
    shop.wait_state(&other, EventState::AwaitingPayment);
    shop.midtrans.heal();
    shop.wait_state(&request_id, EventState::Cancelled);
    shop.pay(Via::Qris);
    shop.wait_state(&other, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}
