//! Broker, bus and network go and come.

use crate::rig::link::Cable;
use crate::rig::midtrans::Via;
use crate::rig::shop::{Options, Shop};
use crate::rig::tap::Tap;
use qris::wire::vend::EventState;
use std::time::{Duration, Instant};

#[test]
fn a_broker_that_forgot_everything_is_subscribed_to_again() {
    let mut shop = Shop::open(Options { broker_persistence: false, ..Options::default() });
    shop.sell("A1", Via::Gopay);
    let qrisd = shop.qrisd.as_ref().expect("it runs");
    let lines = qrisd.lines.count();
    shop.broker.restart();
    qrisd.wait_line_from(lines, "connected to the broker");
    shop.sell("A2", Via::Qris);
    assert_eq!(shop.pulses(), 2);
    shop.check_books();
}

#[test]
fn a_settlement_during_an_outage_of_the_broker_comes_by_long_poll() {
    let shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    shop.broker_link.set(Cable::Cut);
    shop.pay(Via::Gopay);
    shop.relay.wait_pulses(1);
    shop.broker_link.set(Cable::Whole);
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn a_settlement_during_an_outage_of_everything_is_delivered_when_it_is_over() {
    let shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    shop.broker_link.set(Cable::Cut);
    shop.backend_link.set(Cable::Cut);
    shop.pay(Via::Qris);
    let paid = shop.midtrans.transactions();
    shop.wait_order(paid[0]["order_id"].as_str().expect("an id"), "paid", |order| (order["status"] == "settlement").then_some(()));
    assert_eq!(shop.pulses(), 0);
    shop.broker_link.set(Cable::Whole);
    shop.backend_link.set(Cable::Whole);
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn an_outcome_reaches_a_backend_that_was_away() {
    let mut shop = Shop::open(Options { line: "pulse_ms = 1000\n".into(), ..Options::default() });
    let request_id = shop.offer("A1");
    shop.pay(Via::Gopay);
    shop.relay.wait_pulses(1);
    shop.kill_backend();
    let sold = shop.wait_state(&request_id, EventState::Dispensed);
    shop.start_backend();
    let order_id = sold.order_id.expect("its order");
    shop.wait_order(order_id.as_str(), "dispensed", |order| (order["outcome"]["outcome"] == "dispensed").then_some(()));
    shop.check_books();
}

#[test]
fn a_restarted_bus_brings_the_relay_back() {
    let mut shop = Shop::open(Options::default());
    shop.bus.stop();
    shop.wait_fault("relay", true);
    shop.bus.resume();
    shop.wait_fault("relay", false);
    shop.sell("A1", Via::Gopay);
    assert_eq!(shop.pulses(), 1);
}

#[test]
fn a_machine_that_stops_says_so_itself() {
    let mut shop = Shop::open(Options::default());
    let from = shop.tap.count();
    let (status, took) = shop.qrisd.as_ref().expect("it runs").terminate();
    assert!(status.success() && took.as_millis() < 2000, "{status} after {took:?}");
    // At once: the will would come after 30 s.
    let offline = shop.tap.wait_from(from, "offline", |message| {
        (message.topic == "qrisd/v1/vm-001/status").then(|| message.json()).filter(|status| status["state"] == "offline")
    });
    assert_eq!(offline, serde_json::json!({"state": "offline"}));
    shop.kill_qrisd();
}

#[test]
fn a_machine_that_dies_is_told_offline_by_its_will() {
    const WILL_DELAY: Duration = Duration::from_secs(30);
    let mut shop = Shop::open(Options::default());
    let offline = serde_json::json!({"state": "offline"});
    let from = shop.tap.count();
    let died = Instant::now();
    shop.kill_qrisd();
    let told = shop.tap.wait_from_within(from, WILL_DELAY + Duration::from_secs(15), "the will", |message| {
        (message.topic == "qrisd/v1/vm-001/status").then(|| message.json())
    });
    assert_eq!(told, offline, "the will, and nothing else");
    // The broker counts in whole seconds.
    assert!(died.elapsed() + Duration::from_secs(2) > WILL_DELAY, "a machine that comes back at once was told offline");
    // Who comes later learns it, too.
    let later = Tap::connect(&shop.broker, "fleet", &["qrisd/v1/+/status"]);
    let retained = later.wait_from(0, "a retained status", |message| message.retain.then(|| message.json()));
    assert_eq!(retained, offline);
    shop.start_qrisd();
    shop.wait_online();
}
