//! Money that comes after the machine gave up.

use crate::rig::midtrans::Via;
use crate::rig::shop::{Options, Shop};
use qris::order::reason::Reason;
use qris::wire::vend::EventState;

#[test]
fn paid_within_the_grace_is_delivered() {
    let shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    shop.cancel(&request_id);
    let cancelled = shop.wait_state(&request_id, EventState::Cancelled);
    shop.midtrans.pay_late(cancelled.order_id.expect("its order").as_str());
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn paid_while_another_order_holds_the_machine_is_refund_due() {
    let shop = Shop::open(Options::default());
    let late = shop.offer("A1");
    shop.cancel(&late);
    let cancelled = shop.wait_state(&late, EventState::Cancelled);
    let order_id = cancelled.order_id.expect("its order");
    let other = shop.offer("A2");
    shop.midtrans.pay_late(order_id.as_str());
    let due = shop.wait_state(&late, EventState::RefundDue);
    assert_eq!(due.reason, Some(Reason::Late));
    let outcome = shop.wait_order(order_id.as_str(), "its outcome", |order| order["outcome"]["outcome"].as_str().map(str::to_owned));
    assert_eq!(outcome, "undelivered");
    assert_eq!(shop.order_at_backend(order_id.as_str())["refund"], "due");
    assert_eq!(shop.pulses(), 0);
    // The other one is served all the same.
    shop.pay(Via::Gopay);
    shop.wait_state(&other, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}
