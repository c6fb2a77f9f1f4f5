//! `kill -9` at every moment that matters, and what is there after the restart.

use crate::rig::caller::Caller;
use crate::rig::link::Cable;
use crate::rig::midtrans::Via;
use crate::rig::process::Process;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::{command, succeed, tool, wait_for};
use qris::order::reason::Reason;
use qris::wire::vend::EventState;
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn before_the_charges_answer_is_stored() {
    let mut shop = Shop::open(Options::default());
    shop.midtrans.fault(&json!({"fault": "hang", "on": "charge", "count": 1}));
    let request_id = shop.vend("A1");
    shop.midtrans.wait_held(1);
    shop.kill_machine();
    shop.midtrans.release();
    shop.start_machine();
    let event = shop.tap.wait_event("a QR or an end", |event| {
        event.request_id.as_ref().is_some_and(|id| id.as_str() == request_id)
            && matches!(event.state, EventState::AwaitingPayment | EventState::Failed)
    });
    if event.state == EventState::AwaitingPayment {
        shop.pay(Via::Gopay);
        shop.wait_state(&request_id, EventState::Dispensed);
        assert_eq!(shop.pulses(), 1);
    } else {
        wait_for("no charge that can be paid", || {
            shop.midtrans.transactions().iter().all(|charge| charge["status"] != "pending").then_some(())
        });
        assert_eq!(shop.pulses(), 0);
    }
    shop.check_books();
}

#[test]
fn with_the_qr_on_the_screen_it_is_back_before_the_network() {
    let mut shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    let payload = shop.screen.wait_payload();
    shop.kill_machine();
    std::fs::remove_file(&shop.screen.path).expect("the panel is dark");
    shop.broker_link.set(Cable::Cut);
    shop.backend_link.set(Cable::Cut);
    shop.start_relayd();
    let start = Instant::now();
    shop.start_qrisd();
    assert_eq!(shop.screen.wait_payload(), payload);
    // 300 ms are promised of what is shipped; this may be a build without optimisation, on a busy machine.
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    shop.broker_link.set(Cable::Whole);
    shop.backend_link.set(Cable::Whole);
    shop.pay(Via::Gopay);
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn after_the_receipt_is_stored() {
    let mut shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    // The relay's program stands still: the receipt gets as far as it.
    shop.relayd.as_ref().expect("it runs").signal("STOP");
    shop.pay(Via::Gopay);
    shop.wait_state(&request_id, EventState::Paid);
    assert_eq!(shop.pulses(), 0);
    shop.kill_machine();
    shop.start_machine();
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn after_the_ledger_is_written_and_before_the_pulse() {
    let directory = tempfile::tempdir().expect("a directory");
    let fifo = directory.path().join("line");
    succeed(command(tool("mkfifo")).arg(&fifo));
    // The line is opened for each edge, and a FIFO without a reader holds up whoever opens it.
    let chip = format!("sim:{}", fifo.display());
    let mut shop = Shop::open(Options { machine: false, chip: Some(chip), ..Options::default() });
    shop.relayd = Some(Process::start_notifying("qris-relayd", &mut shop.program_command(Program::Relayd), shop.path()));
    shop.start_qrisd();
    shop.wait_online();
    let request_id = shop.offer("A1");
    shop.pay(Via::Gopay);
    let paid = shop.wait_state(&request_id, EventState::Paid);
    let order_id = paid.order_id.expect("its order");
    let caller = Caller::connect(&shop.bus.address);
    wait_for("the ledger to say dispensing", || {
        let (outcome, _) = caller.relay::<_, (String, String)>("Query", &(order_id.as_str(),)).ok()?;
        (outcome == "dispensing").then_some(())
    });
    shop.kill_machine();
    std::fs::remove_file(&fifo).expect("removed");
    shop.start_machine();
    let due = shop.wait_state(&request_id, EventState::RefundDue);
    assert_eq!(due.reason, Some(Reason::Uncertain));
    let driven = std::fs::read_to_string(&fifo).unwrap_or_default();
    assert!(!driven.lines().any(|line| line.ends_with(" 1")), "{driven}");
    shop.wait_order(order_id.as_str(), "uncertain", |order| (order["outcome"]["outcome"] == "uncertain").then_some(()));
}

#[test]
fn after_the_pulse_and_before_the_outcome_is_stored() {
    let directory = tempfile::tempdir().expect("a directory");
    let sensor = directory.path().join("sensor");
    std::fs::write(&sensor, "").expect("written");
    let line = format!("pulse_ms = 50\nsensor = {{ chip = \"sim:{}\", offset = 1, within_ms = 60000 }}\n", sensor.display());
    let mut shop = Shop::open(Options { line, ..Options::default() });
    let request_id = shop.offer("A1");
    shop.pay(Via::Gopay);
    // Driven, and now it waits for the item to fall.
    wait_for("a whole pulse", || (shop.pulses() == 1 && !shop.relay.is_active()).then_some(()));
    shop.kill_machine();
    shop.start_machine();
    let due = shop.wait_state(&request_id, EventState::RefundDue);
    assert_eq!(due.reason, Some(Reason::Uncertain));
    let order_id = due.order_id.expect("its order");
    shop.wait_order(order_id.as_str(), "uncertain", |order| (order["outcome"]["outcome"] == "uncertain").then_some(()));
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn of_qrisd_alone_while_the_relay_drives() {
    let mut shop = Shop::open(Options { line: "pulse_ms = 1500\n".into(), ..Options::default() });
    let request_id = shop.offer("A1");
    shop.pay(Via::Qris);
    shop.relay.wait_pulses(1);
    shop.kill_qrisd();
    shop.start_qrisd();
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

#[test]
fn of_the_relay_alone_while_the_qr_is_up() {
    let mut shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    shop.kill_relayd();
    shop.start_relayd();
    shop.pay(Via::Gopay);
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    // And for good: the QR goes.
    let request_id = shop.offer("A1");
    shop.kill_relayd();
    let ended = shop.wait_state(&request_id, EventState::Cancelled);
    assert_eq!(ended.reason, Some(Reason::Relay));
    shop.screen.wait_no_payload();
    shop.check_books();
}

#[test]
fn of_the_backend_between_payment_and_receipt() {
    let mut shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    shop.kill_backend();
    shop.pay(Via::Gopay);
    shop.start_backend();
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}
