//! What hangs on the pins besides a relay: coin-acceptor inputs, the button inside the door, buttons for customers.

use crate::rig::inputs::Inputs;
use crate::rig::midtrans::Via;
use crate::rig::relayd::Relayd;
use crate::rig::shop::{Options, Shop};
use crate::rig::wait_for;
use qris::order::reason::Reason;
use qris::wire::vend::EventState;

#[test]
fn a_coin_acceptors_input_gets_a_pulse_for_each_thousand() {
    let relay = Relayd::start("rupiah_per_pulse = 1000\non_ms = 30\noff_ms = 20\n");
    // No multiple; and more pulses than 120 s can hold.
    for amount in [5500, 2_401_000] {
        assert_eq!(relay.prepare_item("A1", amount).expect_err("nobody may pay that").name, "Amount", "{amount}");
    }
    let (_, claims) = relay.sale("o-1");
    assert_eq!(relay.dispense(relay.key.sign(claims).jws()).expect("an outcome").0, "dispensed");
    let edges = relay.relay.edges();
    let levels: Vec<_> = edges.iter().map(|edge| edge.active).collect();
    assert_eq!(levels, [true, false].repeat(5), "Rp5.000");
    for pair in edges.windows(2) {
        let least = if pair[0].active { 30 } else { 20 };
        // Both ends are rounded to milliseconds.
        assert!(pair[1].at_ms - pair[0].at_ms >= least - 1, "{edges:?}");
    }
}

#[test]
fn the_button_inside_the_door_lets_a_blocked_line_sell_again() {
    let inputs = Inputs::new();
    let keys = format!(
        "pulse_ms = 20\nsensor = {{ chip = \"{}\", within_ms = 50, late_within_ms = 0 }}\nclear_button = {{ chip = \"{}\" }}\n",
        inputs.chip("sensor"),
        inputs.chip("door")
    );
    let mut relay = Relayd::start(&keys);
    let (_, claims) = relay.sale("o-1");
    let (outcome, driven, _) = relay.dispense(relay.key.sign(claims).jws()).expect("an outcome");
    assert_eq!((outcome.as_str(), driven), ("failed", true), "nothing fell");
    // A block outlives a power cut.
    relay.kill();
    relay.resume();
    assert_eq!(relay.line_state(), "blocked");
    assert_eq!(relay.prepare_item("A1", 5000).expect_err("blocked").name, "Blocked");
    // The service answers before it watches its buttons. Who has pressed too early presses again.
    wait_for("the line to be cleared", || {
        inputs.press("door");
        (relay.line_state() == "ready").then_some(())
    });
    relay.sale("o-2");
}

#[test]
fn a_button_sells_at_the_machines_own_price_and_waits_for_its_turn() {
    let inputs = Inputs::new();
    let line = format!("pulse_ms = 50\n[[button]]\nitem = \"A1\"\nchip = \"{}\"\n", inputs.chip("button"));
    let shop = Shop::open(Options { line, ..Options::default() });
    inputs.press("button");
    let offered = shop.tap.wait_event("a QR for who pressed", |event| event.state == EventState::AwaitingPayment);
    assert_eq!(offered.item.as_ref().map(|item| item.as_str()), Some("A1"));
    assert_eq!(offered.amount.map(|amount| amount.get()), Some(5000));
    // The next customer is impatient.
    inputs.press("button");
    let refused = shop.tap.wait_event("the second press to be refused", |event| event.state == EventState::Refused);
    assert_eq!(refused.reason, Some(Reason::Busy));
    shop.pay(Via::Gopay);
    shop.wait_state(offered.request_id.as_ref().expect("made by the machine").as_str(), EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}
