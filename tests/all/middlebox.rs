//! Proxies that answer in place of the backend: what they say of an order is nobody's word.

use crate::rig::link::Cable;
use crate::rig::midtrans::Via;
use crate::rig::shop::{Options, Shop};
use qris::sim::middlebox::Foreign;
use qris::wire::vend::EventState;

/// The machine asks, gets this answer, and says that the backend is gone.
fn intercept(shop: &Shop, foreign: Foreign) {
    shop.backend_link.set(Cable::Answers(foreign));
    shop.wait_fault("backend", true);
}

fn let_through(shop: &Shop) {
    shop.backend_link.set(Cable::Whole);
    shop.wait_fault("backend", false);
}

#[test]
fn a_qr_stays_up_whatever_a_proxy_answers_and_its_payment_is_delivered() {
    let shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    let payload = shop.screen.wait_payload();
    // Asked by HTTP from ten seconds on.
    intercept(&shop, Foreign::NotFound);
    assert_eq!(shop.screen.wait_payload(), payload);
    shop.backend_link.set(Cable::Whole);
    shop.pay(Via::Gopay);
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn an_outcome_is_told_until_the_backend_and_not_a_proxy_has_taken_it() {
    let shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    let order_id = shop.order_id(&request_id);
    // The receipt comes over MQTT.
    shop.backend_link.set(Cable::Answers(Foreign::Conflict));
    shop.pay(Via::Gopay);
    shop.wait_state(&request_id, EventState::Dispensed);
    shop.wait_fault("backend", true);
    assert_eq!(shop.order_at_backend(&order_id)["outcome"], serde_json::Value::Null);
    let_through(&shop);
    shop.wait_outcome(&order_id, "dispensed");
    shop.check_books();
}
