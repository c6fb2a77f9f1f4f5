//! A reboot as the programs see it: another boot_id, another boot clock. Nobody knows how long the power was gone, so
//! the backend is asked before anything that was paid is delivered. What else a power cut does stands in `power_cut`.

use crate::rig::caller::Caller;
use crate::rig::link::Cable;
use crate::rig::midtrans::Via;
use crate::rig::namespace::Namespace;
use crate::rig::shop::{Options, Program, Shop};
use qris::order::reason::Reason;
use qris::wire::vend::EventState;

/// Starts the machine in another boot, and waits until it is online from there.
pub fn reboot(shop: &mut Shop) -> Namespace {
    let (boot, id) = Namespace::boot(shop.path());
    shop.start_machine_in(&boot);
    shop.wait_status_of_machine("the machine to be online in its new boot", |status| {
        (status["state"] == "online" && status["boot_id"] == id.as_str()).then_some(())
    });
    boot
}

/// Sells up to where the relay service would be asked to dispense, and no further; the power goes there.
fn cut_in_dispensing(shop: &mut Shop) -> String {
    let request_id = shop.offer("A1");
    shop.relayd.as_ref().expect("it runs").signal("STOP");
    shop.pay(Via::Gopay);
    shop.wait_state(&request_id, EventState::Dispensing);
    shop.kill_machine();
    request_id
}

/// Machine and relay answer often enough to have done what they would do, and it was not to dispense.
fn nothing_is_dispensed(shop: &Shop, order_id: &str) {
    let caller = Caller::connect(&shop.bus.address);
    for _ in 0..100 {
        let state = caller.device_property::<String>("State");
        let (outcome, ..): (String, bool, String) = caller.relay("Query", &(order_id, 1_u32)).expect("an answer");
        assert_eq!((outcome.as_str(), shop.pulses()), ("unknown", 0), "nobody could be asked, and it was dispensed: {state}");
    }
}

#[test]
fn paid_a_moment_ago_is_delivered_once_after_the_backend_was_asked() {
    let mut shop = Shop::open(Options::default());
    let request_id = cut_in_dispensing(&mut shop);
    shop.backend_link.set(Cable::Cut);
    let _boot = reboot(&mut shop);
    shop.wait_fault("backend", true);
    nothing_is_dispensed(&shop, &shop.order_id(&request_id));
    shop.backend_link.set(Cable::Whole);
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.wait_outcome(&shop.order_id(&request_id), "dispensed");
    shop.check_books();
}

#[test]
fn paid_too_long_ago_is_to_be_refunded() {
    let mut shop = Shop::open(Options::default());
    let request_id = cut_in_dispensing(&mut shop);
    let order_id = shop.order_id(&request_id);
    // Only from here on: before the cut a slow computer may need longer.
    shop.edit(Program::Qrisd, |text| text.replace("[orders]\n", "[orders]\ndeliver_within_s = 10\n"));
    // The customer has gone.
    shop.wait_order(&order_id, "settled 11 s ago", |order| (order["settled_ago_s"].as_u64()? >= 11).then_some(()));
    let _boot = reboot(&mut shop);
    let due = shop.wait_state(&request_id, EventState::RefundDue);
    assert_eq!(due.reason, Some(Reason::Late));
    shop.wait_outcome(&order_id, "undelivered");
    assert_eq!(shop.order_at_backend(&order_id)["refund"], "due");
    assert_eq!(shop.pulses(), 0);
    shop.sell("A1", Via::Gopay);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}
