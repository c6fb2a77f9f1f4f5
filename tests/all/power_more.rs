//! More moments for `kill -9`: of the machine's programs alone and together. Whatever is killed when, the line is driven
//! at most once, what was paid ends as delivered, refund due or uncertain at the backend, and what was not paid drives
//! nothing and cannot be paid any more once the order ended.

use crate::rig::caller::Caller;
use crate::rig::midtrans::Via;
use crate::rig::process::Process;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::{command, succeed, tool, wait_for};
use qris::order::reason::Reason;
use qris::wire::vend::{EventState, VendEvent};
use serde_json::json;
use std::path::Path;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Victim {
    Device,
    Relay,
    Both,
}

use Victim::{Both, Device, Relay};

impl Victim {
    fn kill(self, shop: &mut Shop) {
        if self != Relay {
            shop.kill_qrisd();
        }
        if self != Device {
            shop.kill_relayd();
        }
    }

    /// What was killed, again. A relay service whose line hangs is never ready.
    fn start(self, shop: &mut Shop) {
        if self != Device {
            shop.start_relayd();
        }
        if self != Relay {
            shop.start_qrisd();
        }
    }
}

/// The request's next event that is one of these states.
fn wait_end(shop: &Shop, request_id: &str, states: &[EventState]) -> VendEvent {
    let is_end = |event: &VendEvent| event.request_id.as_ref().is_some_and(|id| id.as_str() == request_id) && states.contains(&event.state);
    shop.tap.wait_event(&format!("{request_id} to be one of {states:?}"), is_end)
}

fn while_midtrans_holds_the_charge(victim: Victim) {
    let mut shop = Shop::open(Options::default());
    shop.midtrans.fault(&json!({"fault": "hang", "on": "charge", "count": 1}));
    let request_id = shop.vend("A1");
    shop.midtrans.wait_held(1);
    victim.kill(&mut shop);
    shop.midtrans.release();
    victim.start(&mut shop);
    let event = wait_end(&shop, &request_id, &[EventState::AwaitingPayment, EventState::Failed, EventState::Cancelled]);
    if event.state == EventState::AwaitingPayment {
        shop.pay(Via::Gopay);
        shop.wait_state(&request_id, EventState::Dispensed);
        assert_eq!(shop.pulses(), 1);
    }
    shop.wait_nothing_payable();
    assert_eq!(shop.midtrans.transactions().iter().filter(|charge| charge["status"] == "settlement").count(), shop.pulses());
    shop.check_books();
}

#[test]
fn of_the_device_while_midtrans_holds_the_charge() {
    while_midtrans_holds_the_charge(Device);
}

#[test]
fn of_the_relay_while_midtrans_holds_the_charge() {
    while_midtrans_holds_the_charge(Relay);
}

#[test]
fn of_any_with_the_qr_up_and_nobody_pays() {
    for victim in [Device, Relay, Both] {
        let mut shop = Shop::open(Options::default());
        let request_id = shop.offer("A1");
        let payload = shop.screen.wait_payload();
        victim.kill(&mut shop);
        victim.start(&mut shop);
        shop.wait_online();
        assert_eq!(shop.screen.wait_payload(), payload, "{victim:?}");
        shop.cancel(&request_id);
        shop.wait_state(&request_id, EventState::Cancelled);
        shop.wait_nothing_payable();
        shop.screen.wait_no_payload();
        assert_eq!(shop.pulses(), 0, "{victim:?}");
        shop.check_books();
    }
}

#[test]
fn of_any_with_the_qr_up_and_somebody_pays_meanwhile() {
    for victim in [Device, Relay, Both] {
        let mut shop = Shop::open(Options::default());
        let request_id = shop.offer("A1");
        let payload = shop.screen.wait_payload();
        victim.kill(&mut shop);
        assert!(shop.midtrans.scan(&payload, Via::Qris).status < 300);
        let order_id = shop.order_id(&request_id);
        shop.wait_status(&order_id, "settlement");
        victim.start(&mut shop);
        shop.wait_state(&request_id, EventState::Dispensed);
        shop.wait_outcome(&order_id, "dispensed");
        assert_eq!(shop.pulses(), 1, "{victim:?}");
        shop.check_books();
    }
}

#[test]
fn of_one_after_the_receipt_is_stored() {
    for victim in [Device, Relay] {
        let mut shop = Shop::open(Options::default());
        let request_id = shop.offer("A1");
        shop.relayd.as_ref().expect("it runs").signal("STOP");
        shop.pay(Via::Gopay);
        shop.wait_state(&request_id, EventState::Dispensing);
        assert_eq!(shop.pulses(), 0);
        victim.kill(&mut shop);
        victim.start(&mut shop);
        if victim == Device {
            shop.relayd.as_ref().expect("it runs").signal("CONT");
        }
        shop.wait_state(&request_id, EventState::Dispensed);
        shop.wait_outcome(&shop.order_id(&request_id), "dispensed");
        assert_eq!(shop.pulses(), 1, "{victim:?}");
        shop.check_books();
    }
}

#[test]
fn of_the_device_when_the_relay_was_gone_already() {
    let mut shop = Shop::open(Options::default());
    let request_id = shop.offer("A1");
    // Gone for less than the five seconds after which the QR would go.
    shop.kill_relayd();
    shop.pay(Via::Gopay);
    shop.wait_state(&request_id, EventState::Paid);
    shop.kill_qrisd();
    shop.start_qrisd();
    shop.start_relayd();
    shop.wait_state(&request_id, EventState::Dispensed);
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}

fn driven(fifo: &Path) -> bool {
    fifo.metadata().is_ok_and(|of| of.is_file())
        && std::fs::read_to_string(fifo).unwrap_or_default().lines().any(|line| line.ends_with(" 1"))
}

#[test]
fn of_one_after_the_ledger_is_written_and_before_the_pulse() {
    for victim in [Device, Relay] {
        let directory = tempfile::tempdir().expect("a directory");
        let fifo = directory.path().join("line");
        succeed(command(tool("mkfifo")).arg(&fifo));
        // A FIFO without a reader holds up whoever opens it: each edge does.
        let chip = format!("sim:{}", fifo.display());
        let mut shop = Shop::open(Options { machine: false, chip: Some(chip), ..Options::default() });
        shop.relayd = Some(Process::start_notifying("qris-relayd", &mut shop.program_command(Program::Relayd), shop.path()));
        shop.start_qrisd();
        shop.wait_online();
        let request_id = shop.offer("A1");
        shop.pay(Via::Gopay);
        shop.wait_state(&request_id, EventState::Dispensing);
        let order_id = shop.order_id(&request_id);
        let caller = Caller::connect(&shop.bus.address);
        wait_for("the ledger to say dispensing", || {
            let (outcome, _) = caller.relay::<_, (String, String)>("Query", &(order_id.as_str(),)).ok()?;
            (outcome == "dispensing").then_some(())
        });
        if victim == Device {
            shop.kill_qrisd();
            shop.start_qrisd();
            // The line works again, with the relay service as it was.
            let reader = Process::start("line", command("/bin/sh").args(["-c", "exec cat 0<> \"$0\""]).arg(&fifo));
            let end = wait_end(&shop, &request_id, &[EventState::Dispensed, EventState::RefundDue]);
            assert_eq!(end.state, EventState::Dispensed, "{end:?}");
            shop.wait_outcome(&order_id, "dispensed");
            reader.wait_line(" 0");
            let lines = reader.lines.all();
            assert_eq!(lines.iter().filter(|line| line.ends_with(" 1")).count(), 1, "{lines:?}");
        } else {
            shop.kill_relayd();
            std::fs::remove_file(&fifo).expect("removed");
            shop.start_relayd();
            let due = shop.wait_state(&request_id, EventState::RefundDue);
            assert_eq!(due.reason, Some(Reason::Uncertain));
            shop.wait_outcome(&order_id, "uncertain");
            assert!(!driven(&fifo));
        }
    }
}

#[test]
fn of_one_after_the_pulse_and_before_the_outcome_is_stored() {
    for victim in [Device, Relay] {
        let directory = tempfile::tempdir().expect("a directory");
        let sensor = directory.path().join("sensor");
        std::fs::write(&sensor, "").expect("written");
        let line = format!("pulse_ms = 50\nsensor = {{ chip = \"sim:{}\", offset = 1, within_ms = 60000 }}\n", sensor.display());
        let mut shop = Shop::open(Options { line, ..Options::default() });
        let request_id = shop.offer("A1");
        shop.pay(Via::Gopay);
        wait_for("a whole pulse", || (shop.pulses() == 1 && !shop.relay.is_active()).then_some(()));
        victim.kill(&mut shop);
        if victim == Device {
            // It falls, and nobody is there to hear of it.
            std::fs::write(&sensor, "fallen\n").expect("written");
            let caller = Caller::connect(&shop.bus.address);
            let order_id = shop.order_id(&request_id);
            wait_for("the ledger to say dispensed", || {
                let (outcome, _) = caller.relay::<_, (String, String)>("Query", &(order_id.as_str(),)).ok()?;
                (outcome == "dispensed").then_some(())
            });
        }
        victim.start(&mut shop);
        let end = wait_end(&shop, &request_id, &[EventState::Dispensed, EventState::RefundDue]);
        let (state, outcome) = match victim {
            Device => (EventState::Dispensed, "dispensed"),
            Relay | Both => (EventState::RefundDue, "uncertain"),
        };
        assert_eq!(end.state, state, "{victim:?}: {end:?}");
        shop.wait_outcome(&shop.order_id(&request_id), outcome);
        assert_eq!(shop.pulses(), 1, "{victim:?}");
        shop.check_books();
    }
}

#[test]
fn of_the_relay_alone_in_mid_pulse() {
    let mut shop = Shop::open(Options { line: "pulse_ms = 60000\n".into(), ..Options::default() });
    let request_id = shop.offer("A1");
    shop.pay(Via::Gopay);
    shop.relay.wait_pulses(1);
    shop.kill_relayd();
    shop.start_relayd();
    let due = shop.wait_state(&request_id, EventState::RefundDue);
    assert_eq!(due.reason, Some(Reason::Uncertain));
    shop.wait_outcome(&shop.order_id(&request_id), "uncertain");
    assert!(!shop.relay.is_active(), "the line is inactive");
    assert_eq!(shop.pulses(), 1);
    shop.check_books();
}
