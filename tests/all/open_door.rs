//! Somebody fills the machine at its open door, with real programs: a service switch, the clear button, and the buttons for customers.

use crate::rig::caller::Caller;
use crate::rig::inputs::Inputs;
use crate::rig::midtrans::Via;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::{command, output, stdout, wait_for, watched};
use qris::order::reason::Reason;
use qris::wire::vend::EventState;
use serde_json::Value;

struct Door {
    inputs: Inputs,
    shop: Shop,
    caller: Caller,
}

/// A shop whose machine has a button for A1, a clear button and a service switch. A1 has so much room, and its line these keys.
fn with_door(capacity: u32, line: impl FnOnce(&Inputs) -> String) -> Door {
    let inputs = Inputs::new();
    let line = format!(
        "{}clear_button = {{ chip = \"{}\" }}\n[[button]]\nitem = \"A1\"\nchip = \"{}\"\n[service_switch]\nchip = \"{}\"\n",
        line(&inputs),
        inputs.chip("clear"),
        inputs.chip("button"),
        inputs.chip("switch"),
    );
    let mut shop = Shop::open(Options { line, ..Options::default() });
    shop.kill_qrisd();
    let counted = format!("id = \"A1\"\ncapacity = {capacity}\n");
    shop.edit(Program::Qrisd, |text| text.replacen("id = \"A1\"\n", &counted, 1));
    shop.start_qrisd();
    shop.wait_online();
    shop.qrisd.as_ref().expect("it runs").wait_line("the relay service answers");
    let caller = Caller::connect(&shop.bus.address);
    Door { inputs, shop, caller }
}

impl Door {
    fn wait_open(&self, is_open: bool) {
        let wanted = if is_open { "filling" } else { "" };
        wait_for(&format!("the holder {wanted:?}"), || (self.caller.device_property::<String>("Holder") == wanted).then_some(()));
    }

    /// `qrisctl stock` on the machine.
    fn stock(&self, what: &[&str]) -> Value {
        let told = output(command(env!("CARGO_BIN_EXE_qrisctl")).args(["stock", "--bus", &self.shop.bus.address, "--json"]).args(what));
        serde_json::from_str(stdout(&told).trim()).unwrap_or_else(|why| panic!("{told:?}: {why}"))
    }

    fn slot(&self) -> Value {
        self.stock(&[])
    }

    fn wait_count(&self, count: u32) {
        wait_for(&format!("{count} of A1"), || (self.slot()["count"] == count).then_some(()));
    }

    /// The button of A1 is down until the panel has shown another picture so many times: the press itself, and the numbers.
    fn hold_down(&self, pictures: usize) {
        let read = || std::fs::read(&self.shop.screen.path).expect("a picture");
        let mut last = read();
        self.inputs.edges("button", &[true]);
        for _ in 0..pictures {
            last = watched::until(&self.shop.screen.path, "another picture", || Some(read()).filter(|now| *now != last));
        }
    }

    /// What the journal says of a change.
    fn wait_told(&self, what: &str) -> String {
        self.shop.qrisd.as_ref().expect("it runs").wait_line(&format!("stock of A1: {what}"))
    }

    fn refuses(&self, reason: Reason) {
        let refused = self.shop.vend("A1");
        assert_eq!(self.shop.wait_state(&refused, EventState::Refused).reason, Some(reason));
    }
}

#[test]
fn a_switch_opens_the_page_and_buttons_fill_and_count() {
    let mut door = with_door(1000, |_| "pulse_ms = 50\n".into());
    // It bounces.
    door.inputs.edges("switch", &[true, false, true, false, true]);
    door.wait_open(true);
    door.refuses(Reason::Updating);
    door.inputs.press("button");
    door.wait_count(1000);
    assert!(door.wait_told("fill, from").contains("to 1000, by somebody at the open door"));
    // After the capacity it begins again.
    door.hold_down(8);
    assert_eq!(door.slot()["count"], 1000, "not before it is let go");
    door.inputs.edges("button", &[false]);
    let told = door.wait_told("count, from 1000 to ");
    let count = wait_for("the count", || door.slot()["count"].as_u64().filter(|count| *count != 1000));
    assert!(told.contains(&format!(" to {count}, by somebody at the open door")) && (1..100).contains(&count), "{told}");
    // The power goes in the middle of it, and the switch stays on.
    door.hold_down(6);
    door.shop.kill_machine();
    door.shop.start_machine();
    door.wait_open(true);
    door.inputs.edges("button", &[false]);
    assert_eq!(door.slot()["count"], count);
    door.inputs.edges("switch", &[false, true, false]);
    door.wait_open(false);
    door.inputs.press("button");
    door.shop.screen.wait_payload();
    door.shop.pay(Via::Gopay);
    door.shop.relay.wait_pulses(1);
    door.wait_count(u32::try_from(count).expect("small") - 1);
    door.shop.check_books();
}

#[test]
fn a_customer_is_served_to_the_end_before_the_page_opens() {
    let door = with_door(8, |_| "pulse_ms = 50\n".into());
    let request = door.shop.offer("A1");
    door.inputs.edges("switch", &[true]);
    wait_for("the relay knows it", || (door.caller.relay_facts().service_switch == Some(true)).then_some(()));
    door.shop.screen.wait_payload();
    door.shop.pay(Via::Gopay);
    door.shop.wait_state(&request, EventState::Dispensed);
    door.wait_open(true);
    assert_eq!(door.shop.pulses(), 1);
    door.inputs.press("clear");
    door.wait_open(false);
    door.shop.check_books();
}

#[test]
fn a_clear_button_clears_when_it_is_let_go_and_opens_the_page_when_it_is_held() {
    let door = with_door(8, |inputs| inputs.line_with_sensor(50));
    let line = || door.caller.relay_facts().lines[0].state.to_string();
    door.stock(&["count", "A1", "5"]);
    let request = door.shop.offer("A1");
    door.shop.pay(Via::Gopay);
    door.shop.wait_state(&request, EventState::RefundDue);
    assert_eq!((line().as_str(), &door.slot()["suspect"]), ("blocked", &Value::Bool(true)), "nothing fell");
    door.inputs.edges("clear", &[true]);
    door.wait_open(true);
    door.inputs.edges("clear", &[false]);
    door.inputs.press("button");
    // Both came over the same bus, so a clear would have been seen by now.
    door.wait_count(8);
    assert_eq!(line(), "blocked", "who holds it clears nothing");
    assert_ne!(door.slot()["suspect"], true, "somebody has looked");
    door.inputs.press("clear");
    wait_for("the line to be cleared", || (line() == "ready").then_some(()));
    door.wait_open(false);
    door.shop.offer("A1");
}
