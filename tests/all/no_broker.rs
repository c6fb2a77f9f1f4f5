//! One computer alone: machine and backend without a broker, and no address at which a notification could come.

use crate::rig::caller::Caller;
use crate::rig::inputs::Inputs;
use crate::rig::midtrans::Via;
use crate::rig::shop::{DEVICE, Options, Program, Shop, without_broker};
use crate::rig::{command, output, stderr, stdout, wait_for};
use serde_json::{Value, json};
use std::collections::HashMap;
use zbus::Variant;

/// The shop, with a button for A1. Its broker runs, and no configuration names it.
fn alone(inputs: &Inputs) -> Shop {
    alone_with(inputs, "")
}

/// The same with these keys in `[orders]` of `qrisd.toml`.
fn alone_with(inputs: &Inputs, orders: &str) -> Shop {
    let line = format!("pulse_ms = 50\n[[button]]\nitem = \"A1\"\nchip = \"{}\"\n", inputs.chip("button"));
    let mut shop = Shop::open(Options { machine: false, line, orders: orders.into(), ..Options::default() });
    shop.kill_backend();
    for program in [Program::Qrisd, Program::Backend] {
        shop.edit(program, without_broker);
    }
    shop.edit(Program::Backend, |text| {
        text.lines().filter(|line| !line.starts_with("public_url")).map(|line| format!("{line}\n")).collect()
    });
    shop.start_backend();
    start_machine(&mut shop);
    shop
}

fn start_machine(shop: &mut Shop) {
    shop.start_relayd();
    shop.start_qrisd();
    shop.qrisd.as_ref().expect("just started").wait_line("the relay service answers");
}

#[test]
fn a_button_and_a_program_on_the_board_sell_without_a_broker_and_without_a_notification() {
    let inputs = Inputs::new();
    let mut shop = alone(&inputs);
    let caller = Caller::connect(&shop.bus.address);
    let state = |caller: &Caller| caller.device_property::<String>("State");
    inputs.press("button");
    wait_for("a QR for who pressed", || (state(&caller) == "awaiting_payment").then_some(()));
    shop.pay(Via::Gopay);
    shop.relay.wait_pulses(1);
    wait_for("an idle machine", || state(&caller).is_empty().then_some(()));
    shop.screen.wait_no_payload();
    // The power goes while a customer pays.
    let options: HashMap<&str, Variant<'_>> = HashMap::new();
    let (asked, reason): (String, String) = caller.device("Vend", &("board-1", "A2", options)).expect("an answer");
    assert_eq!((asked.as_str(), reason.as_str()), ("requested", ""));
    let payload = shop.screen.wait_payload();
    shop.kill_machine();
    assert!(shop.midtrans.scan(&payload, Via::Qris).status < 300);
    start_machine(&mut shop);
    shop.relay.wait_pulses(2);
    wait_for("an idle machine", || state(&caller).is_empty().then_some(()));
    assert_eq!(caller.device_property::<Vec<String>>("Faults"), [] as [&str; 0], "no broker is no fault");
    shop.check_books();
    // It was asked, and not told.
    for charge in shop.midtrans.transactions() {
        let order_id = charge["order_id"].as_str().expect("an id");
        let asked: Vec<_> = shop.midtrans.calls("status", order_id).iter().filter_map(|call| call["at_ms"].as_i64()).collect();
        assert!(!asked.is_empty() && asked.windows(2).all(|pair| pair[1] - pair[0] >= 9_900), "{asked:?}");
    }
    assert!(shop.tap.messages().is_empty(), "nobody said anything at a broker");
}

/// A person at the machine, who knows no request's name.
#[test]
fn a_person_on_the_board_sells_and_cancels_without_a_broker() {
    let shop = alone(&Inputs::new());
    let here = |words: &[&str]| {
        output(command(env!("CARGO_BIN_EXE_qrisctl")).args(words).args(["--bus", &shop.bus.address]).env("HOME", shop.path()))
    };
    let asked = here(&["vend", "--item", "A2", "--json"]);
    let said: Value = serde_json::from_str(stdout(&asked).trim()).expect("JSON");
    assert_eq!(said["state"], json!("requested"));
    assert!(stderr(&asked).contains("`qrisctl order` shows what becomes of"), "{asked:?}");
    shop.screen.wait_payload();
    let status = stdout(&here(&["status"]));
    assert!(status.contains(said["request_id"].as_str().expect("an id")) && status.contains("awaiting_payment"), "{status}");
    let refused = here(&["vend", "--item", "A1"]);
    assert!(!refused.status.success() && stdout(&refused).contains("refused (busy)"), "{refused:?}");
    let cancelled = here(&["cancel", "--wait"]);
    assert!(cancelled.status.success() && stdout(&cancelled).contains(" cancelled"), "{cancelled:?}");
    shop.screen.wait_no_payload();
    let nothing = here(&["cancel"]);
    assert!(!nothing.status.success() && stderr(&nothing).contains("nothing to cancel"), "{nothing:?}");
}

/// A program on the board asks for an order. Gives its charge at Midtrans, once the customer sees how to pay.
fn offered(shop: &Shop, caller: &Caller, request_id: &str, item: &str, options: HashMap<&str, Variant<'_>>) -> Value {
    let (asked, reason): (String, String) = caller.device("Vend", &(request_id, item, options)).expect("an answer");
    assert_eq!((asked.as_str(), reason.as_str()), ("requested", ""));
    // A QR may be gone again before anybody looks.
    wait_for("what is to be paid", || (caller.device_property::<String>("State") != "requested").then_some(()));
    shop.midtrans.transactions().pop().expect("a charge")
}

/// A QR that nobody has paid while it was there.
fn cancelled(shop: &Shop, caller: &Caller) -> String {
    let charge = offered(shop, caller, "board-1", "A2", HashMap::from([("timeout_s", Variant::from(10_u32))]));
    let order_id = charge["order_id"].as_str().expect("an id").to_owned();
    shop.screen.wait_no_payload();
    wait_for("an idle machine", || caller.device_property::<String>("State").is_empty().then_some(()));
    assert_eq!(shop.midtrans.status(&order_id), "cancel");
    order_id
}

#[test]
fn a_code_that_was_paid_at_a_store_is_good_at_once_without_a_broker() {
    let mut shop = alone(&Inputs::new());
    let caller = Caller::connect(&shop.bus.address);
    let wanted = || HashMap::from([("amount", Variant::from(5_000_i64)), ("payment", "alfamart".into()), ("timeout_s", 10_u32.into())]);
    let charge = offered(&shop, &caller, "board-1", "exit", wanted());
    let code = charge["payment_code"].as_str().expect("a code").to_owned();
    let collect = || -> (String, String) { caller.device("Collect", &code.as_str()).expect("an answer") };
    assert_eq!(collect(), ("refused".into(), "unknown_request".into()), "its code is up, and it is not paid");
    wait_for("an idle machine", || caller.device_property::<String>("State").is_empty().then_some(()));
    shop.midtrans.pay_at_counter(&code);
    // By itself the machine asks a quarter of an hour after that.
    wait_for("the goods", || (collect() == ("paid".into(), String::new())).then_some(()));
    shop.relay.wait_pulses(1);
    wait_for("an idle machine", || caller.device_property::<String>("State").is_empty().then_some(()));
    assert_eq!(collect(), ("refused".into(), "unknown_request".into()), "once");
    // The store is next door: the customer is back while the code is still up.
    let charge = offered(
        &shop,
        &caller,
        "board-2",
        "exit",
        HashMap::from([("timeout_s", Variant::from(600_u32)), ("amount", 5_000_i64.into()), ("payment", "alfamart".into())]),
    );
    let code = charge["payment_code"].as_str().expect("a code").to_owned();
    shop.midtrans.pay_at_counter(&code);
    wait_for("the goods", || {
        let (state, _): (String, String) = caller.device("Collect", &code.as_str()).expect("an answer");
        (state == "paid").then_some(())
    });
    shop.relay.wait_pulses(2);
    shop.check_books();
    shop.kill_machine();
}

#[test]
fn a_payment_that_was_under_way_when_the_qr_went_is_delivered_without_a_broker() {
    // It is asked about every ten seconds until then, and once more after that.
    let shop = alone_with(&Inputs::new(), "late_settlement_grace_s = 30\n");
    let caller = Caller::connect(&shop.bus.address);
    let order_id = cancelled(&shop, &caller);
    // Nobody tells the backend, and nobody tells the machine.
    shop.midtrans.pay_late(&order_id);
    shop.relay.wait_pulses(1);
    shop.wait_order(&order_id, "handed out", |order| (order["outcome"]["outcome"] == "dispensed").then_some(()));
}

#[test]
fn money_that_comes_after_the_grace_is_found_without_a_restart() {
    let shop = alone_with(&Inputs::new(), "late_settlement_grace_s = 0\n");
    let caller = Caller::connect(&shop.bus.address);
    let order_id = cancelled(&shop, &caller);
    let ticket = shop.order_at_backend(&order_id)["ticket"].as_str().expect("a ticket").to_owned();
    let is_closed = || !caller.relay::<_, (bool, String)>("Check", &(&*ticket,)).expect("an answer").0;
    wait_for("the answer to the last question", || is_closed().then_some(()));
    shop.midtrans.pay_late(&order_id);
    shop.wait_order(&order_id, "owed", |order| (order["refund"] == "due").then_some(()));
    let order = shop.order_at_backend(&order_id);
    assert_eq!((&order["outcome"]["outcome"], &order["outcome"]["reason"]), (&json!("undelivered"), &json!("late")));
    assert_eq!(shop.pulses(), 0);
}

#[test]
fn the_checks_call_no_broker_good() {
    let shop = alone(&Inputs::new());
    for program in [Program::Qrisd, Program::Backend] {
        let checked = output(shop.program_command(program).arg("--check"));
        assert!(checked.status.success(), "{program:?}: {}", stderr(&checked));
    }
    let doctor = output(command(env!("CARGO_BIN_EXE_qrisctl")).arg("--config").arg(shop.config(Program::Qrisd)).arg("doctor"));
    let told = stdout(&doctor);
    assert!(told.lines().any(|line| line.starts_with("OK    broker") && line.contains("none is configured")), "{told}");
    assert!(told.lines().any(|line| line.starts_with("OK    backend")), "{told}");
    let doctor = stdout(&shop.merchant(&["doctor"]));
    // Midtrans' own page for machines charges so, and it needs no picture.
    assert!(doctor.contains("set `midtrans.charge_as = \"qris\"`"), "{doctor}");
    for good in ["OK    notifications", "OK    broker"] {
        assert!(doctor.lines().any(|line| line.starts_with(good)), "{good}: {doctor}");
    }
}

#[test]
fn who_lets_a_machine_in_hears_nothing_of_an_account_at_a_broker() {
    let shop = Shop::merchants_side();
    let invite = |shop: &Shop, device: &str| shop.merchant(&["device", "invite", device]);
    let without = "the machine sells without one";
    let with_broker = stderr(&invite(&shop, "vm-002"));
    assert!(with_broker.contains("[accounts]") && !with_broker.contains(without), "{with_broker}");
    shop.edit(Program::Backend, without_broker);
    let alone = stderr(&invite(&shop, "vm-003"));
    assert!(alone.contains(without) && !alone.contains("[accounts]") && !alone.contains("password"), "{alone}");
    // Who is refused is told only why.
    let refused = stderr(&invite(&shop, DEVICE));
    assert!(refused.starts_with("qris-backend: vm-001 is let in already"), "{refused}");
}
