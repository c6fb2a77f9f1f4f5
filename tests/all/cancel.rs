//! Cancelling, and money that comes after it.

use crate::rig::midtrans::Via;
use crate::rig::shop::{DEVICE, Options, Shop};
use crate::rig::{stderr, wait_for};
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

/// Whoever ended `vend` by Ctrl-C has no id, and the machine is elsewhere.
#[test]
fn what_holds_a_machine_is_cancelled_from_afar_without_its_id() {
    let shop = Shop::open(Options::default());
    let cancel = || shop.qrisctl(&["cancel", "--device", DEVICE, "--wait"]);
    let nothing = cancel();
    assert_eq!(nothing.status.code(), Some(1));
    assert!(stderr(&nothing).contains("no order holds vm-001: there is nothing to cancel"), "{}", stderr(&nothing));
    let request = shop.offer("A1");
    wait_for("the status to name the order", || (shop.last_status()?["request_id"] == request.as_str()).then_some(()));
    let done = cancel();
    assert!(done.status.success(), "{}", stderr(&done));
    shop.wait_state(&request, EventState::Cancelled);
    shop.wait_idle();
    assert!(shop.last_status().is_some_and(|status| status["request_id"].is_null()));
}

#[test]
fn what_is_paid_after_the_cancel_is_delivered_while_the_machine_is_free_and_else_due_back() {
    let shop = Shop::open(Options::default());
    for is_free in [true, false] {
        let late = shop.offer("A1");
        shop.cancel(&late);
        let order_id = shop.wait_state(&late, EventState::Cancelled).order_id.expect("its order").to_string();
        let other = (!is_free).then(|| shop.offer("A2"));
        shop.midtrans.pay_late(&order_id);
        let Some(other) = other else {
            shop.wait_state(&late, EventState::Dispensed);
            continue;
        };
        assert_eq!(shop.wait_state(&late, EventState::RefundDue).reason, Some(Reason::Late));
        shop.wait_outcome(&order_id, "undelivered");
        assert_eq!((&shop.order_at_backend(&order_id)["refund"], shop.pulses()), (&"due".into(), 1));
        // The other one is served all the same.
        shop.pay(Via::Gopay);
        shop.wait_state(&other, EventState::Dispensed);
    }
    assert_eq!(shop.pulses(), 2);
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
