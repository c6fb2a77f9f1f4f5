//! One computer alone: machine and backend without a broker, and no address at which a notification could come.

use crate::rig::caller::Caller;
use crate::rig::inputs::Inputs;
use crate::rig::midtrans::Via;
use crate::rig::shop::{DEVICE, Options, Program, Shop, without_broker};
use crate::rig::{command, output, stderr, stdout, wait_for};
use std::collections::HashMap;
use zbus::Variant;

/// The shop, with a button for A1. Its broker runs, and no configuration names it.
fn alone(inputs: &Inputs) -> Shop {
    let line = format!("pulse_ms = 50\n[[button]]\nitem = \"A1\"\nchip = \"{}\"\n", inputs.chip("button"));
    let mut shop = Shop::open(Options { machine: false, line, ..Options::default() });
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
    assert!(doctor.contains("set midtrans.charge_as = \"qris\""), "{doctor}");
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
