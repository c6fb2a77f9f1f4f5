//! `qris-relayd` alone, on a real bus. Who has everything but the key stands in `adversaries`, and power cuts in `power_cut`.

use crate::rig::output;
use crate::rig::relayd::Relayd;

const PULSE: &str = "pulse_ms = 50\n";

#[test]
fn a_receipt_drives_the_line_once_and_is_remembered() {
    let mut relay = Relayd::start(PULSE);
    let (ticket, claims) = relay.sale("o-1");
    let facts = relay.caller.relay_facts();
    assert_eq!((facts.device.expect("one").as_str(), &*facts.keys), ("vm-001", std::slice::from_ref(relay.key.kid())));
    assert_eq!(relay.caller.open_tickets(), [ticket.as_str()]);
    assert_eq!(relay.check(&ticket), (true, String::new()));
    assert_eq!(relay.query("o-1"), "unknown");
    let receipt = relay.key.sign(claims);
    assert_eq!(relay.dispense(receipt.jws()).expect("a good receipt").0, "dispensed");
    let edges = relay.relay.edges();
    assert_eq!(edges.iter().map(|edge| edge.active).collect::<Vec<_>>(), [true, false], "{edges:?}");
    assert!((45..20_000).contains(&(edges[1].at_ms - edges[0].at_ms)), "{edges:?}");
    assert!(edges.iter().all(|edge| edge.line == "tray 1"));
    for _ in 0..2 {
        assert_eq!(relay.dispense(receipt.jws()).expect("what is recorded is an answer").0, "dispensed");
        assert_eq!(relay.query("o-1"), "dispensed");
        assert_eq!(relay.close(&ticket).as_deref(), Ok("dispensed"));
        assert_eq!(relay.caller.open_tickets(), [""; 0]);
        // The second time around it must come from the file.
        relay.kill();
        relay.resume();
    }
    assert_eq!(relay.relay.pulses(), 1);
}

#[test]
fn killed_in_mid_pulse_its_line_is_made_safe_though_its_configuration_is_spoiled() {
    let mut relay = Relayd::start("pulse_ms = 60000\n");
    let (_, claims) = relay.sale("o-1");
    let waiting = relay.begin_dispense(relay.key.sign(claims).jws().to_owned());
    relay.relay.wait_pulses(1);
    let config = std::fs::read_to_string(relay.config()).expect("its configuration");
    std::fs::write(relay.config(), format!("nonsense = 1\n{config}")).expect("written");
    relay.kill();
    drop(waiting.join().expect("no panic"));
    assert!(relay.relay.is_active(), "nobody has seen to it yet");
    let safe = output(relay.command().arg("--safe"));
    assert!(safe.status.success(), "{}", String::from_utf8_lossy(&safe.stderr));
    assert!(!relay.relay.is_active());
    // Nothing is held any more: now it goes by the configuration, and says what is wrong with it.
    let again = output(relay.command().arg("--safe"));
    let told = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(again.status.code() == Some(2) && told.contains("nonsense"), "{told}");
}
