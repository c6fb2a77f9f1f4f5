//! Systems that RAUC has installed, without a command.

use super::rig::*;
use qris_core::order::ledger::Limits;
use qris_core::order::outcome::Outcome;
use qris_core::wire::relay::{LineCondition, RelayFault, RelayLine};
use qris_core::wire::status::FaultCode;
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
        assert_eq!(rig.announced(), ["refused(updating)"], "it goes down in a moment");
    }
    assert!(says(&rig.starts_with("rootfs.0", "monday"), |event| matches!(event, Journal::SystemWentBack { .. })));
    rig.bring_up();
    rig.settle_open();
    rig.requested(9);
    assert!(!says(&rig.starts_with("rootfs.0", "monday"), |event| matches!(event, Journal::SystemWentBack { .. })), "told once");
}

#[test]
fn a_machine_that_goes_back_over_a_step_that_only_adds_sells_on() {
    use crate::store::database::SCHEMA;
    use qris_host::sqlite::testing::{grow, take_later_step};
    let mut rig = Rig::with_a_good_system();
    rig.dispensing(1);
    rig.delivered(1);
    // The later system brings the database up to date, and does not prove itself.
    rig.starts_with("rootfs.1", "friday");
    grow(&rig.settings.store, &SCHEMA);
    rig.announced();
    assert!(says(&rig.starts_with("rootfs.0", "monday"), |event| matches!(event, Journal::SystemWentBack { .. })));
    rig.bring_up();
    rig.settle_open();
    rig.vend(1);
    assert_eq!(rig.announced(), ["dispensed"], "it knows what it has sold");
    rig.dispensing(2);
    rig.delivered(2);
    assert_eq!(rig.announced().last().map(String::as_str), Some("dispensed"));
    // A step that does more keeps it out.
    let mut rig = Rig::with_a_good_system();
    rig.starts_with("rootfs.1", "friday");
    take_later_step(&rig.settings.store, &SCHEMA, "CREATE TABLE later (n INTEGER) STRICT".into(), false);
    rig.starts_with("rootfs.0", "monday");
    rig.bring_up();
    rig.vend(1);
    assert_eq!(rig.announced(), ["refused(newer_database)"]);
}

#[test]
fn a_bootloader_that_does_not_go_back_ends_the_restarts() {
    let mut rig = Rig::with_a_good_system();
    for _ in 0..3 {
        rig.starts_with("rootfs.1", "friday");
        assert_eq!(calls(&rig.after(601_000)), [SystemCall::Reboot]);
        // Nobody knows whether it goes down. If it does not, it sells for a while, and then it is ordered again.
        rig.on(Input::System(SystemAnswer::NoAnswer));
        assert_eq!(calls(&rig.after(299_000)), []);
        assert_eq!(rig.machine.hold.holder(), Some("update"));
        assert_eq!(calls(&rig.after(2_000)), []);
        assert_eq!(rig.machine.hold.holder(), None, "a machine that cannot be restarted sells");
        assert_eq!(calls(&rig.after(299_000)), [SystemCall::Reboot]);
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

impl Rig {
    /// The computer starts with this system, and all is there. The relay tells these faults and blocked lines.
    fn comes_up_with(&mut self, slot: &str, faults: &[&str], blocked: &[&str]) -> Vec<Effect> {
        self.power_cut(false);
        self.facts = told(&self.facts, faults, blocked);
        self.bring_up();
        self.settle_open();
        self.on(runs(slot, "some day"))
    }

    /// The relay tells these faults and blocked lines.
    fn hears(&mut self, faults: &[&str], blocked: &[&str]) -> Vec<Effect> {
        self.facts = told(&self.facts, faults, blocked);
        self.on(Input::RelayReported(self.facts.clone()))
    }

    /// The computer starts with this system, which is good, and then these come.
    fn is_good_with(&mut self, slot: &str, faults: &[&str], blocked: &[&str]) {
        if calls(&self.comes_up_with(slot, &[], &[])) == [SystemCall::MarkGood] {
            self.on(Input::System(SystemAnswer::Good));
        }
        assert!(self.machine.systems.good_slot().is_some());
        self.hears(faults, blocked);
    }
}

fn told(before: &RelayFacts, faults: &[&str], blocked: &[&str]) -> RelayFacts {
    let limits = Limits { min: rp(1), step: None, max: None };
    let line = |name: &&str| RelayLine { name: (*name).into(), items: Vec::new(), state: LineCondition::Blocked, limits, misses_left: 0 };
    let faults = faults.iter().map(|fault| RelayFault::from_word(fault).expect("a word")).collect();
    RelayFacts { faults, lines: blocked.iter().map(line).collect(), ..before.clone() }
}

#[test]
fn a_fault_that_needs_a_person_counts_against_a_new_system_if_the_good_one_did_not_have_it() {
    for (before, after, is_called_good) in [
        ((&[][..], &[][..]), (&["gpio"][..], &[][..]), false),
        ((&[], &[]), (&["ledger"], &[]), false),
        ((&[], &[]), (&["a_later_word"], &[]), false),
        ((&[], &[]), (&[], &["tray 1"]), false),
        ((&[], &["tray 1"]), (&[], &["tray 1"]), true),
        ((&[], &["tray 1", "tray 2"]), (&[], &["tray 2"]), true),
        ((&[], &["tray 1"]), (&[], &["tray 2"]), false),
        ((&[], &["tray 1"]), (&["gpio"], &["tray 1"]), false),
        ((&["ledger_reset"], &[]), (&["ledger_reset"], &[]), true),
        ((&["ledger_reset"], &[]), (&["gpio"], &[]), false),
    ] {
        let mut rig = Rig::with_a_good_system();
        rig.is_good_with("rootfs.0", before.0, before.1);
        let told = calls(&rig.comes_up_with("rootfs.1", after.0, after.1));
        let wanted = if is_called_good { vec![SystemCall::MarkGood] } else { vec![] };
        assert_eq!(told, wanted, "{before:?}, then {after:?}");
        if !is_called_good {
            let effects = rig.after(601_000);
            assert_eq!(calls(&effects), [SystemCall::Reboot]);
            let why = |event: &Journal| matches!(event, Journal::UpdateUnproven { why, .. } if why.ends_with(", which the system before did not have"));
            assert!(says(&effects, why), "{effects:?}");
            rig.comes_up_with("rootfs.1", after.0, after.1);
            assert_eq!(calls(&rig.hears(before.0, &[])), [SystemCall::MarkGood], "{after:?}: somebody has mended it");
        }
    }
}

#[test]
fn a_first_system_is_not_blamed_for_what_a_person_has_to_mend() {
    let mut rig = Rig::dark(10);
    rig.facts.faults = vec![RelayFault::Gpio];
    rig.bring_up();
    rig.settle_open();
    assert_eq!(calls(&rig.on(runs("rootfs.0", "monday"))), [SystemCall::MarkGood], "there is nothing to go back to");
    rig.on(Input::System(SystemAnswer::Good));
    assert_eq!(calls(&rig.comes_up_with("rootfs.1", &["gpio"], &[])), [SystemCall::MarkGood], "the first one had it, too");
}

#[test]
fn what_stood_under_the_good_system_is_what_it_had_when_it_ran_last() {
    let mut rig = Rig::with_a_good_system();
    // It comes while the system runs, and is mended.
    rig.is_good_with("rootfs.0", &["gpio"], &[]);
    rig.hears(&[], &[]);
    assert_eq!(calls(&rig.comes_up_with("rootfs.1", &["gpio"], &[])), []);
    // A system that is not good yet does not excuse itself, nor does another one.
    assert_eq!(calls(&rig.comes_up_with("rootfs.1", &["gpio"], &[])), []);
    assert_eq!(calls(&rig.comes_up_with("rootfs.2", &["gpio"], &[])), []);
    // Before the relay service has told anything, nobody knows that a fault is gone.
    rig.is_good_with("rootfs.0", &["gpio"], &[]);
    rig.starts_with("rootfs.0", "some day");
    rig.after(60_000);
    assert_eq!(calls(&rig.comes_up_with("rootfs.1", &["gpio"], &[])), [SystemCall::MarkGood]);
    rig.on(Input::System(SystemAnswer::Good));
    // What stood is the new one's from now on.
    rig.hears(&[], &[]);
    assert_eq!(calls(&rig.comes_up_with("rootfs.0", &["gpio"], &[])), []);
}

#[test]
fn a_new_system_that_refuses_the_settings_in_force_is_not_called_good() {
    use crate::store::sealed;
    for (has_good, is_called_good) in [(true, false), (false, true)] {
        let mut rig = Rig::with_a_good_system();
        let connection = rusqlite::Connection::open(rig.directory.path().join("qrisd.db")).expect("a database");
        let desired = serde_json::json!({ "aud": "vm-001", "version": 1, "from": 0, "exp": 0, "settings": "[nonsense]\n" });
        let kept = serde_json::json!({ "in_force": { "desired": desired, "kid": "a-key", "sum": "", "since": null, "is_judged": true }, "next": null });
        connection.execute("INSERT INTO facts (name, value) VALUES ('settings', ?1)", [sealed::seal(&kept)]).expect("stored");
        if !has_good {
            connection.execute("DELETE FROM facts WHERE name = 'system'", []).expect("forgotten");
        }
        drop(connection);
        let told = calls(&rig.comes_up_with("rootfs.1", &[], &[]));
        assert!(rig.machine.faults.has(FaultCode::Settings));
        assert_eq!(told == [SystemCall::MarkGood], is_called_good, "{told:?}");
    }
    // Anybody at the broker can have settings refused, so a refusal alone says nothing of the system.
    let mut rig = Rig::with_a_good_system();
    rig.cut_and_up(false);
    rig.settle_open();
    rig.on(Input::Desired { payload: b"nonsense".to_vec(), ack: Ack::numbered(5) });
    assert!(rig.machine.afar.reported().refused.is_some());
    assert_eq!(calls(&rig.on(runs("rootfs.1", "friday"))), [SystemCall::MarkGood]);
}

#[test]
fn what_stands_is_stored_when_it_changes_and_not_again() {
    let mut rig = Rig::with_a_good_system();
    rig.is_good_with("rootfs.0", &[], &["tray 1"]);
    let writes = |rig: &Rig| {
        let connection = rusqlite::Connection::open(rig.directory.path().join("qrisd.db")).expect("a database");
        connection.query_row("SELECT value FROM facts WHERE name = 'system'", [], |row| row.get::<_, String>(0)).expect("a fact")
    };
    let many: Vec<String> = (0..400).map(|n| format!("tray {n} {}", "x".repeat(200))).collect();
    rig.hears(&[], &many.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(writes(&rig).len() < 300 * 130, "it has a limit: {}", writes(&rig).len());
    rig.hears(&[], &["tray 1"]);
    let before = writes(&rig);
    assert!(before.contains("line_blocked tray 1"), "{before}");
    let changed = rusqlite::Connection::open(rig.directory.path().join("qrisd.db")).expect("a database");
    let sql = "CREATE TRIGGER none BEFORE UPDATE ON facts WHEN new.name = 'system' BEGIN SELECT RAISE(ABORT, 'written again'); END";
    changed.execute_batch(sql).expect("a trigger");
    rig.hears(&[], &["tray 1"]);
    rig.after(60_000);
    rig.on(Input::RelayDown("it is gone".into()));
    rig.on(Input::RelayUp(rig.facts.clone()));
    assert!(!rig.machine.storage.is_failing(), "it is written only when it changes");
}

/// The other slot has the last good system. If it were overwritten, the bootloader could go back to nothing.
#[test]
fn rauc_installs_nothing_while_a_new_system_is_tried() {
    let hold = || Input::Requested(Request::Hold("rauc".into(), Span::secs(3600)), ON_BOARD);
    let is_held = |rig: &mut Rig| {
        let effects = rig.on(hold());
        let refused = effects.iter().any(|effect| matches!(effect, Effect::Reply(_, reply) if *reply == Reply::UNPROVEN));
        let held = says(&effects, |event| matches!(event, Journal::MachineHeld { .. }));
        assert_ne!(refused, held, "{effects:?}");
        held
    };
    let mut rig = Rig::with_a_good_system();
    rig.power_cut(false);
    assert!(!is_held(&mut rig), "nobody knows yet which system runs");
    for _ in 0..3 {
        rig.starts_with("rootfs.1", "friday");
        assert!(!is_held(&mut rig));
        rig.after(601_000);
    }
    // The bootloader has not gone back, so only another image can help.
    rig.starts_with("rootfs.1", "friday");
    assert!(is_held(&mut rig));
    // It has.
    let mut rig = Rig::with_a_good_system();
    rig.starts_with("rootfs.1", "friday");
    rig.starts_with("rootfs.0", "monday");
    assert!(is_held(&mut rig));
    // It proves itself.
    let mut rig = Rig::with_a_good_system();
    assert_eq!(calls(&rig.comes_up_with("rootfs.1", &[], &[])), [SystemCall::MarkGood]);
    assert!(!is_held(&mut rig), "RAUC has not called it good yet");
    rig.on(Input::System(SystemAnswer::Good));
    assert!(is_held(&mut rig));
    // There is none to go back to.
    let mut rig = Rig::dark(10);
    rig.on(runs("rootfs.0", "monday"));
    assert!(is_held(&mut rig));
}

#[test]
fn a_customer_is_served_before_the_computer_is_restarted() {
    let mut rig = Rig::with_a_good_system();
    rig.cut_and_up(false);
    rig.settle_open();
    rig.on(Input::BrokerDown { reason: "no route".into(), date_refusal: false, thrown_out: false });
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
    let held = rig.on(Input::Requested(Request::Hold("rauc".into(), Span::secs(3600)), ON_BOARD));
    assert_eq!(calls(&held), [SystemCall::AwaitIdle]);
    rig.vend(1);
    assert_eq!(rig.announced(), ["refused(updating)"]);
    assert!(says(&rig.on(Input::System(SystemAnswer::Idle)), |event| matches!(event, Journal::MachineReleased { .. })));
    // Word that comes late holds nobody.
    rig.on(Input::System(SystemAnswer::GoesOn));
    rig.requested(2);
    // Somebody else's hold is not RAUC's.
    let mut rig = Rig::new();
    rig.on(Input::Requested(Request::Hold("apt".into(), Span::secs(3600)), ON_BOARD));
    rig.on(Input::System(SystemAnswer::GoesOn));
    rig.on(Input::System(SystemAnswer::Idle));
    rig.vend(1);
    assert_eq!(rig.announced(), ["refused(updating)"]);
}

#[test]
fn whoever_lets_go_while_rauc_installs_lets_nobody_buy() {
    let hold = |who: &str| Input::Requested(Request::Hold(who.into(), Span::secs(600)), ON_BOARD);
    let release = |who: &str| Input::Requested(Request::Release(who.into()), ON_BOARD);
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
            assert_eq!(rig.announced(), ["refused(updating)"], "{number}: {given_back} lets go");
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
    assert_eq!(rig.announced(), ["refused(updating)"]);
    rig.on(Input::System(SystemAnswer::Idle));
    rig.after(1_000);
    rig.requested(2);
    // It came no further for an hour, and goes on then.
    let mut rig = Rig::new();
    rig.on(found());
    rig.after(3_600_000);
    assert_eq!(rig.scene, "Idle { trouble: None, not_sold: {} }");
    rig.on(Input::System(SystemAnswer::GoesOn));
    rig.vend(1);
    assert_eq!(rig.announced(), ["refused(updating)"]);
    rig.on(Input::System(SystemAnswer::Idle));
    rig.after(1_000);
    rig.requested(2);
}

#[test]
fn an_image_that_takes_hours_holds_the_machine_until_it_comes_no_further() {
    let ended = |effects: &[Effect]| says(effects, |event| matches!(event, Journal::MachineReleased { .. }));
    let mut rig = Rig::new();
    rig.on(Input::Requested(Request::Hold("rauc".into(), Span::secs(3600)), ON_BOARD));
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
    assert_eq!(rig.announced(), ["refused(updating)"]);
}

#[test]
fn a_computer_without_rauc_is_not_asked_for_ever() {
    let mut rig = Rig::new();
    for _ in 0..60 {
        rig.on(Input::System(SystemAnswer::NoAnswer));
        assert_eq!(calls(&rig.after(10_000)), [SystemCall::GetRunning]);
    }
    rig.on(Input::System(SystemAnswer::NoAnswer));
    assert_eq!(calls(&rig.after(86_400_000)), []);
}
