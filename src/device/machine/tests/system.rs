//! Systems that RAUC has installed, without a command.

use super::rig::*;
use crate::machine::*;
use qris_core::order::outcome::Outcome;
use qris_host::events::Event as Journal;

fn calls(effects: &[Effect]) -> Vec<SystemCall> {
    effects.iter().filter_map(|effect| if let Effect::System(call) = effect { Some(*call) } else { None }).collect()
}

fn says(effects: &[Effect], is_it: fn(&Journal) -> bool) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Journal(event) if is_it(event)))
}

fn runs(slot: &str, installed: &str) -> Input {
    let system = System { slot: slot.into(), installed: installed.into() };
    Input::System(SystemAnswer::Runs { system, is_installing: false })
}

impl Rig {
    /// A machine whose system was called good.
    fn with_a_good_system() -> Self {
        let mut rig = Self::new();
        assert_eq!(calls(&rig.on(runs("rootfs.0", "monday"))), [SystemCall::MarkGood]);
        assert!(says(&rig.on(Input::System(SystemAnswer::Good)), |event| matches!(event, Journal::SystemGood { .. })));
        rig
    }

    /// The computer starts with this system, and nothing works yet.
    fn starts_with(&mut self, slot: &str, installed: &str) -> Vec<Effect> {
        self.power_cut(false);
        self.on(runs(slot, installed))
    }
}

#[test]
fn rauc_is_asked_once_in_a_start_and_a_known_system_is_left_alone() {
    let mut rig = Rig::with_a_good_system();
    rig.cut_and_up(false);
    rig.settle_open();
    assert_eq!(calls(&rig.on(runs("rootfs.0", "monday"))), [], "it is good already");
    assert_eq!(calls(&rig.after(86_400_000)), []);
    // The same slot with another system.
    rig.cut_and_up(false);
    rig.settle_open();
    assert_eq!(calls(&rig.on(runs("rootfs.0", "friday"))), [SystemCall::MarkGood]);
    // A mark that nobody heard is set again, by the next program too.
    assert_eq!(calls(&rig.on(Input::System(SystemAnswer::NoAnswer))), []);
    assert_eq!(calls(&rig.after(10_000)), [SystemCall::MarkGood]);
    rig.cut_and_up(true);
    rig.settle_open();
    assert_eq!(calls(&rig.on(runs("rootfs.0", "friday"))), [SystemCall::MarkGood]);
}

#[test]
fn a_system_that_nobody_ordered_is_started_again_until_the_bootloader_goes_back() {
    let mut rig = Rig::with_a_good_system();
    for start in 0..3 {
        assert_eq!(calls(&rig.starts_with("rootfs.1", "friday")), [], "start {start}: nothing is proven yet");
        // The program alone starts again; this is the same start.
        rig.power_cut(true);
        rig.on(runs("rootfs.1", "friday"));
        let effects = rig.after(601_000);
        assert_eq!(calls(&effects), [SystemCall::Reboot], "start {start}");
        assert!(says(&effects, |event| matches!(event, Journal::UpdateUnproven { .. })));
        rig.bring_up();
        rig.settle_open();
        rig.vend(start);
        assert_eq!(rig.told(), ["refused(updating)"], "it goes down in a moment");
    }
    assert!(says(&rig.starts_with("rootfs.0", "monday"), |event| matches!(event, Journal::SystemWentBack { .. })));
    rig.bring_up();
    rig.settle_open();
    rig.requested(9);
    assert!(!says(&rig.starts_with("rootfs.0", "monday"), |event| matches!(event, Journal::SystemWentBack { .. })), "told once");
}

#[test]
fn a_bootloader_that_does_not_go_back_ends_the_restarts() {
    let mut rig = Rig::with_a_good_system();
    for _ in 0..3 {
        rig.starts_with("rootfs.1", "friday");
        assert_eq!(calls(&rig.after(601_000)), [SystemCall::Reboot]);
        // Nobody knows whether it goes down. It is ordered again.
        rig.on(Input::System(SystemAnswer::NoAnswer));
        assert_eq!(calls(&rig.after(10_000)), [SystemCall::Reboot]);
    }
    rig.starts_with("rootfs.1", "friday");
    assert_eq!(calls(&rig.after(601_000)), []);
    rig.bring_up();
    assert_eq!(calls(&rig.answer_open(vec![])), [SystemCall::MarkGood], "it may still prove itself");
}

#[test]
fn a_machine_whose_first_system_waits_for_its_broker_is_not_restarted() {
    let mut rig = Rig::dark(10);
    rig.on(runs("rootfs.0", "monday"));
    assert_eq!(calls(&rig.after(601_000)), [], "there is nothing to go back to");
    rig.bring_up();
    assert_eq!(calls(&rig.answer_open(vec![])), [SystemCall::MarkGood]);
}

#[test]
fn a_customer_is_served_before_the_computer_is_restarted() {
    let mut rig = Rig::with_a_good_system();
    rig.cut_and_up(false);
    rig.settle_open();
    rig.on(Input::BrokerDown { reason: "no route".into(), date_refusal: false });
    rig.on(runs("rootfs.1", "friday"));
    rig.after(590_000);
    rig.dispensing(1);
    assert_eq!(calls(&rig.after(20_000)), [], "goods are on their way");
    let dispensed = RelayAnswer::Dispense(DispenseAnswer::Ended(Outcome::Dispensed));
    assert_eq!(calls(&rig.answer_relay(1, dispensed)), [SystemCall::Reboot], "{}", rig.scene);
}

#[test]
fn rauc_holds_the_machine_as_long_as_it_installs() {
    let mut rig = Rig::new();
    let held = rig.on(Input::Asked(Request::Hold("rauc".into(), Span::secs(3600)), ON_BOARD));
    assert_eq!(calls(&held), [SystemCall::AwaitIdle]);
    rig.vend(1);
    assert_eq!(rig.told(), ["refused(updating)"]);
    assert!(says(&rig.on(Input::System(SystemAnswer::Idle)), |event| matches!(event, Journal::MachineReleased { .. })));
    // Word that comes late holds nobody.
    rig.on(Input::System(SystemAnswer::GoesOn));
    rig.requested(2);
    // Somebody else's hold is not RAUC's.
    let mut rig = Rig::new();
    rig.on(Input::Asked(Request::Hold("apt".into(), Span::secs(3600)), ON_BOARD));
    rig.on(Input::System(SystemAnswer::GoesOn));
    rig.on(Input::System(SystemAnswer::Idle));
    rig.vend(1);
    assert_eq!(rig.told(), ["refused(updating)"]);
}

#[test]
fn whoever_lets_go_while_rauc_installs_lets_nobody_buy() {
    let hold = |who: &str| Input::Asked(Request::Hold(who.into(), Span::secs(600)), ON_BOARD);
    let release = |who: &str| Input::Asked(Request::Release(who.into()), ON_BOARD);
    let found = || {
        let system = System { slot: "rootfs.0".into(), installed: "".into() };
        Input::System(SystemAnswer::Runs { system, is_installing: true })
    };
    // Who holds it first, and how RAUC comes in.
    let orders = [[hold("apt"), hold("rauc")], [hold("apt"), found()], [hold("rauc"), hold("apt")], [found(), hold("apt")]];
    for (number, order) in orders.into_iter().enumerate() {
        let mut rig = Rig::new();
        let watched: usize =
            order.into_iter().map(|input| calls(&rig.on(input)).iter().filter(|call| **call == SystemCall::AwaitIdle).count()).sum();
        assert_eq!(watched, 1, "{number}");
        for (n, given_back) in (1..).zip(["apt", "rauc"]) {
            rig.on(release(given_back));
            rig.vend(n);
            assert_eq!(rig.told(), ["refused(updating)"], "{number}: {given_back} lets go");
        }
        rig.on(Input::System(SystemAnswer::Idle));
        rig.requested(3);
    }
    // RAUC is seen to be idle while its handler asks for the next image.
    let mut rig = Rig::new();
    rig.on(found());
    assert_eq!(calls(&rig.on(hold("rauc"))), []);
    assert_eq!(calls(&rig.on(Input::System(SystemAnswer::Idle))), [SystemCall::AwaitIdle]);
    rig.vend(1);
    assert_eq!(rig.told(), ["refused(updating)"]);
    rig.on(Input::System(SystemAnswer::Idle));
    rig.after(1_000);
    rig.requested(2);
    // It came no further for an hour, and goes on then.
    let mut rig = Rig::new();
    rig.on(found());
    rig.after(3_600_000);
    assert_eq!(rig.scene, "Idle { trouble: None }");
    rig.on(Input::System(SystemAnswer::GoesOn));
    rig.vend(1);
    assert_eq!(rig.told(), ["refused(updating)"]);
    rig.on(Input::System(SystemAnswer::Idle));
    rig.after(1_000);
    rig.requested(2);
}

#[test]
fn an_image_that_takes_hours_holds_the_machine_until_it_comes_no_further() {
    let ended = |effects: &[Effect]| says(effects, |event| matches!(event, Journal::MachineReleased { .. }));
    let mut rig = Rig::new();
    rig.on(Input::Asked(Request::Hold("rauc".into(), Span::secs(3600)), ON_BOARD));
    for _ in 0..3 {
        assert!(!ended(&rig.after(3_000_000)));
        rig.on(Input::System(SystemAnswer::GoesOn));
    }
    assert!(!ended(&rig.after(3_599_000)) && ended(&rig.after(1_000)));
}

#[test]
fn an_installation_that_is_under_way_holds_a_program_that_starts() {
    let mut rig = Rig::new();
    let system = System { slot: "rootfs.0".into(), installed: "".into() };
    let told = rig.on(Input::System(SystemAnswer::Runs { system, is_installing: true }));
    assert!(calls(&told).contains(&SystemCall::AwaitIdle));
    rig.vend(1);
    assert_eq!(rig.told(), ["refused(updating)"]);
}

#[test]
fn a_computer_without_rauc_is_not_asked_for_ever() {
    let mut rig = Rig::new();
    for _ in 0..60 {
        rig.on(Input::System(SystemAnswer::NoAnswer));
        assert_eq!(calls(&rig.after(10_000)), [SystemCall::Look]);
    }
    rig.on(Input::System(SystemAnswer::NoAnswer));
    assert_eq!(calls(&rig.after(86_400_000)), []);
}
