//! Goods that fall after the first time of their sensor, and trays that have one sensor.

use crate::rig::inputs::Inputs;
use crate::rig::process::Process;
use crate::rig::relayd::Relayd;
use crate::rig::{command, tool, wait_for};
use qris::demo::shop::line;
use qris::order::receipt::Claims;
use qris::wire::relay::RelayFault;

/// A relay service whose first tray waits a minute for late goods, somebody who hears its signals, and what falls.
struct Chute {
    relay: Relayd,
    heard: Process,
    inputs: Inputs,
}

impl Chute {
    /// `more`: further keys of both trays.
    fn with(within_ms: u32, late_within_ms: u32, more: &str) -> Self {
        let inputs = Inputs::new();
        let keys = more.to_owned() + &inputs.line_with_late_sensor(within_ms, late_within_ms);
        let second = line("tray 2", &["B1"], 1000, &inputs.chip("tray-2"), &keys);
        let relay = Relayd::start(&(keys + &second));
        let mut listen = command(tool("dbus-monitor"));
        listen.args(["--address", &relay.bus.address, "type='signal',interface='io.qrisd.Relay1'"]);
        let heard = Process::start("dbus-monitor", &mut listen);
        wait_for("the listener to be there", || (!heard.text().is_empty()).then_some(()));
        Self { relay, heard, inputs }
    }

    fn wait_unseen(&self) {
        wait_for("the time for the goods to be over", || self.heard.text().contains("member=Unseen").then_some(()));
    }

    fn prove(&self, ticket: &str) -> String {
        self.relay.caller.relay("Prove", &(ticket,)).unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    fn sign(&self, claims: Claims) -> String {
        self.relay.key.sign(claims).jws().to_owned()
    }

    fn sell(&self, order: &str, item: &str) -> (String, String) {
        let ticket = self.relay.prepare_item(item, 5000).unwrap_or_else(|refused| panic!("{refused:?}"));
        let claims = crate::rig::relayd::claims(order, &ticket);
        let claims = Claims { item: qris::order::ids::ItemId::new(item).expect("an item"), ..claims };
        let (outcome, ..) = self.relay.dispense(&self.sign(claims)).unwrap_or_else(|refused| panic!("{refused:?}"));
        (ticket, outcome)
    }

    fn faults(&self) -> Vec<RelayFault> {
        self.relay.caller.relay_facts().faults
    }

    fn refusal(&self, item: &str) -> Option<String> {
        self.relay.prepare_item(item, 5000).err().map(|refused| refused.name)
    }
}

#[test]
fn what_falls_late_is_dispensed_and_nobody_is_told_anything_before() {
    let chute = Chute::with(50, 60_000, "");
    let (ticket, claims) = chute.relay.sale("o-1");
    let answer = chute.relay.begin_dispense(chute.sign(claims));
    chute.wait_unseen();
    assert_eq!((chute.relay.query("o-1"), chute.relay.close(&ticket).expect("an answer")), ("dispensing".into(), "dispensing".into()));
    assert_eq!(chute.prove(&ticket), "", "an end is signed once, and only when the time for late goods is over");
    assert_eq!(chute.refusal("B1").as_deref(), Some("Busy"), "the other tray has the same sensor");
    chute.inputs.press("sensor");
    let (outcome, driven, detail) = answer.join().expect("ends").expect("an outcome");
    assert_eq!((&*outcome, driven, &*detail), ("dispensed", true, "driven, and seen by the sensor: it came late"));
    assert_ne!(chute.prove(&ticket), "");
    assert_eq!((chute.refusal("B1"), chute.relay.relay.pulses()), (None, 1));
}

#[test]
fn who_is_stopped_or_killed_while_it_may_still_fall_does_not_know() {
    for is_killed in [true, false] {
        let mut chute = Chute::with(50, 60_000, "");
        let (_, claims) = chute.relay.sale("o-1");
        let answer = chute.relay.begin_dispense(chute.sign(claims));
        chute.wait_unseen();
        if !is_killed {
            chute.relay.process.as_ref().expect("runs").signal("TERM");
            chute.relay.caller.wait_name(qris::wire::dbus::RELAY_NAME, false);
        }
        chute.relay.kill();
        chute.relay.resume();
        assert_eq!(chute.relay.query("o-1"), "uncertain", "killed: {is_killed}");
        assert_eq!(chute.relay.relay.pulses(), 1);
        drop(answer.join());
    }
}

#[test]
fn a_hand_in_the_chute_after_the_end_changes_nothing() {
    let chute = Chute::with(50, 0, "misses = 2\n");
    let (ticket, outcome) = chute.sell("o-1", "A1");
    let proof = chute.prove(&ticket);
    assert_eq!(outcome, "failed");
    chute.inputs.press("sensor");
    let told = || chute.relay.process.as_ref().expect("runs").text();
    wait_for("the history to have it", || {
        told().contains("something passed its sensor after it was told that A1 did not come").then_some(())
    });
    assert_eq!((chute.relay.query("o-1"), chute.prove(&ticket)), ("failed".into(), proof));
    assert_eq!(chute.relay.caller.relay_facts().lines[0].misses_left, 1);
}

#[test]
fn two_trays_that_miss_close_their_chute_until_somebody_has_looked() {
    let mut chute = Chute::with(50, 0, "misses = 3\n");
    assert_eq!((chute.sell("o-1", "A1").1, chute.sell("o-2", "A1").1), ("failed".into(), "failed".into()));
    assert_eq!(chute.refusal("B1"), None, "one tray alone may be jammed");
    assert_eq!(chute.sell("o-3", "B1").1, "failed");
    chute.relay.kill();
    chute.relay.resume();
    assert_eq!(chute.faults(), [RelayFault::SensorSuspect]);
    assert_eq!(["A1", "B1"].map(|item| chute.refusal(item)), [Some("Blocked".into()), Some("Blocked".into())]);
    let () = chute.relay.caller.relay("Clear", &("A1",)).unwrap_or_else(|refused| panic!("{refused:?}"));
    assert_eq!((chute.faults(), chute.refusal("B1")), (vec![], None));
}

#[test]
fn a_beam_that_is_broken_before_the_drive_lets_nothing_be_driven() {
    let chute = Chute::with(50, 0, "");
    let (_, claims) = chute.relay.sale("o-1");
    chute.inputs.edges("sensor", &[true]);
    wait_for("the beam to be found broken", || (chute.faults() == [RelayFault::SensorActive]).then_some(()));
    assert_eq!(chute.refusal("A1").as_deref(), Some("Hardware"));
    let refused = chute.relay.dispense(&chute.sign(claims.clone())).expect_err("nothing would be seen");
    assert_eq!((&*refused.name, chute.relay.query("o-1"), chute.relay.relay.pulses()), ("Hardware", "unknown".into(), 0));
    chute.inputs.edges("sensor", &[false]);
    wait_for("it to be free", || chute.faults().is_empty().then_some(()));
    let answer = chute.relay.begin_dispense(chute.sign(claims));
    assert_eq!(answer.join().expect("ends").expect("an outcome").0, "failed", "it is driven now");
    assert_eq!(chute.relay.relay.pulses(), 1);
}
