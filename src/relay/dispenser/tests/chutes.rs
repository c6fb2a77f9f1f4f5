//! Lines that drop into one chute, and what their sensor missed.

use super::*;
use qris_core::order::late_sign::LateSign;

/// Two trays with one sensor, and a third one with its own. `more`: further keys of each line.
fn chute(more: &str) -> Rig {
    let mut rig = Rig::new();
    let line = |name: &str, item: &str, sensor: &str| {
        format!(
            "[[line]]\nname = \"{name}\"\nitems = [\"{item}\"]\nchip = \"sim:/tmp/x\"\npulse_ms = 500\n{more}\
             sensor = {{ chip = \"sim:{}\", within_ms = 50 }}\n",
            rig.directory.path().join(sensor).display()
        )
    };
    let text = format!(
        "device.id = \"vm-001\"\nreceipts.keys_file = \"{}\"\nledger.path = \"{}\"\n{}{}{}",
        rig.directory.path().join("keys.json").display(),
        rig.path().display(),
        line("tray 1", "A1", "chute"),
        line("tray 2", "B1", "chute"),
        line("tray 3", "C1", "other"),
    );
    let config = Config::from_source(&Source::from_text("relay.toml", text)).expect("good");
    let away = Config { ledger: "/nowhere/at/all.db".into(), ..clone(&config) };
    rig.dispenser = begin(&away);
    rig.dispenser = begin(&config);
    rig.config = config;
    rig
}

/// Sells one of an item to its end.
fn sell(rig: &mut Rig, n: u8, item: &str, line: usize, outcome: Outcome) {
    let ticket = rig.prepare(item, 5000);
    assert!(rig.dispense(&receipt_for(n, &ticket, item, 5000)).is_ok(), "{item}");
    rig.end(line, outcome);
}

fn states(rig: &Rig) -> [String; 3] {
    [0, 1, 2].map(|line| rig.state(line))
}

#[test]
fn one_line_of_a_chute_is_driven_at_a_time() {
    let mut rig = chute("");
    let waits = rig.prepare("B1", 5000);
    let first = rig.prepare("A1", 5000);
    assert!(rig.dispense(&receipt(1, &first)).is_ok());
    assert_eq!(states(&rig), ["busy", "busy", "ready"]);
    // Also while late goods are awaited: the line's thread has not told its end.
    rig.dispenser.unseen(0);
    assert!(rig.dispenser.take_effects().contains(&Effect::Unseen(cause(1))));
    assert_eq!((rig.try_prepare("B1", 5000), rig.try_prepare("C1", 5000).is_ok()), (Err(RelayError::Busy), true));
    assert_eq!(rig.dispense(&receipt_for(2, &waits, "B1", 5000)), Err(RelayError::Busy));
    assert_eq!((rig.query(1), rig.dispenser.prove(first.as_str()), rig.drives()), (DispenseAnswer::Dispensing, Ok(None), vec![]));
    rig.end(0, Outcome::Dispensed);
    assert!(rig.dispense(&receipt_for(2, &waits, "B1", 5000)).is_ok());
    assert_eq!(rig.drives(), [1]);
    assert_eq!(rig.test(&super::operator::test_of("t-1")), Err(RelayError::Busy), "nor does a test of the other line");
}

#[test]
fn two_lines_that_miss_close_their_chute_until_somebody_looks() {
    let mut rig = chute("misses = 3\n");
    sell(&mut rig, 1, "A1", 0, Outcome::Failed);
    sell(&mut rig, 2, "B1", 1, Outcome::Dispensed);
    sell(&mut rig, 3, "C1", 2, Outcome::Failed);
    sell(&mut rig, 4, "A1", 0, Outcome::Failed);
    assert_eq!((states(&rig), rig.dispenser.faults()), (["ready", "ready", "ready"].map(Into::into), vec![]));
    rig.journal();
    sell(&mut rig, 5, "B1", 1, Outcome::Failed);
    assert!(rig.journal().contains(&"SensorSuspect".to_owned()));
    for round in 0..2 {
        assert_eq!(states(&rig), ["blocked", "blocked", "ready"], "round {round}");
        assert_eq!(rig.dispenser.faults(), [RelayFault::SensorSuspect], "round {round}");
        assert_eq!(rig.try_prepare("A1", 5000), Err(RelayError::Blocked));
        rig.restart();
    }
    // The other sensor's line is another matter.
    rig.dispenser.clear("C1").expect("cleared");
    assert_eq!(rig.dispenser.faults(), [RelayFault::SensorSuspect]);
    drop(rig.dispenser.take_effects());
    rig.dispenser.clear("B1").expect("cleared");
    assert!(rig.dispenser.take_effects().contains(&Effect::Cleared));
    for round in 0..2 {
        assert_eq!((states(&rig), rig.dispenser.faults()), (["ready", "ready", "ready"].map(Into::into), vec![]), "round {round}");
        rig.restart();
    }
    sell(&mut rig, 6, "A1", 0, Outcome::Failed);
    assert_eq!(rig.dispenser.faults(), [], "the look is remembered");
}

/// A customer presses once more, and another one is back with a code.
#[test]
fn a_closed_chute_promises_no_try_and_collects_no_code_and_both_are_good_afterwards() {
    let mut rig = chute("misses = 3\n");
    let code = rig.prepare("A1", 5000);
    let first = rig.prepare("A1", 5000);
    assert!(rig.dispense(&receipt(1, &first)).is_ok());
    rig.end(0, Outcome::Failed);
    sell(&mut rig, 2, "B1", 1, Outcome::Failed);
    drop(rig.drives());
    for round in 0..2 {
        assert_eq!(rig.prepare_again(1, 2, &first), Err(RelayError::Blocked), "round {round}");
        let checked = rig.dispenser.check(code.as_str()).map_err(|refusal| refusal.error);
        assert_eq!(checked, Err(RelayError::Blocked), "round {round}");
        assert_eq!((rig.dispense(&receipt(3, &code)), rig.drives()), (Err(RelayError::Blocked), vec![]), "round {round}");
        rig.restart();
    }
    rig.dispenser.clear("B1").expect("cleared");
    assert!(rig.dispenser.check(code.as_str()).is_ok() && rig.prepare_again(1, 2, &first).is_ok());
    assert!(rig.dispense(&receipt(3, &code)).is_ok());
    assert_eq!(rig.drives(), [0]);
}

/// A new ledger knows of no miss, so the sensor is believed once more: as often as at first.
#[test]
fn a_ledger_that_was_lost_believes_the_sensor_for_two_misses_more() {
    let mut rig = chute("misses = 3\n");
    for round in 0..2 {
        for (n, item, line) in [(1, "A1", 0), (2, "B1", 1)] {
            assert_eq!(states(&rig), ["ready", "ready", "ready"], "round {round}");
            sell(&mut rig, 10 * round + n, item, line, Outcome::Failed);
        }
        assert_eq!(states(&rig), ["blocked", "blocked", "ready"], "round {round}");
        let path = rig.path();
        rig.dispenser.ledger = Ledger::new(path.clone(), Box::new(random::fill));
        ["", "-wal", "-shm"].iter().for_each(|suffix| drop(std::fs::remove_file(format!("{}{suffix}", path.display()))));
        rig.restart();
    }
}

#[test]
fn who_looks_at_the_sensor_leaves_the_blocks_of_its_lines() {
    let mut rig = chute("");
    sell(&mut rig, 1, "A1", 0, Outcome::Failed);
    assert_eq!(states(&rig), ["blocked", "ready", "ready"]);
    sell(&mut rig, 2, "B1", 1, Outcome::Failed);
    rig.dispenser.clear("B1").expect("cleared");
    assert_eq!((states(&rig), rig.dispenser.faults()), (["blocked", "ready", "ready"].map(Into::into), vec![]));
}

#[test]
fn a_line_is_blocked_by_its_misses_in_a_row() {
    let mut rig = chute("misses = 2\n");
    let left = |rig: &Rig| rig.dispenser.lines()[2].misses_left;
    sell(&mut rig, 1, "C1", 2, Outcome::Failed);
    assert_eq!((rig.state(2).as_str(), left(&rig)), ("ready", 1));
    assert!(rig.journal().contains(&"DeliveryFailed".to_owned()), "each miss is told");
    sell(&mut rig, 2, "C1", 2, Outcome::Dispensed);
    assert_eq!(left(&rig), 2);
    sell(&mut rig, 3, "C1", 2, Outcome::Failed);
    rig.restart();
    assert_eq!(left(&rig), 1, "the ledger knows it");
    sell(&mut rig, 4, "C1", 2, Outcome::Failed);
    assert_eq!((rig.state(2).as_str(), left(&rig)), ("blocked", 0));
    rig.dispenser.clear("C1").expect("cleared");
    assert_eq!((rig.state(2).as_str(), left(&rig)), ("ready", 2));
    // A line that was not driven must be looked at.
    sell(&mut rig, 5, "C1", 2, Outcome::NotDriven);
    assert_eq!(rig.state(2), "blocked");
}

#[test]
fn a_broken_beam_gives_no_ticket_and_is_told_once_for_its_chute() {
    let mut rig = chute("");
    for line in [0, 1] {
        rig.dispenser.hardware(line, Err(Trouble::SensorActive("the sensor is active".into())));
    }
    assert_eq!(rig.journal(), ["SensorActive"]);
    assert_eq!((rig.try_prepare("A1", 5000), rig.dispenser.faults()), (Err(RelayError::Hardware), vec![RelayFault::SensorActive]));
    for line in [0, 1] {
        rig.dispenser.hardware(line, Ok(()));
    }
    assert!(rig.try_prepare("A1", 5000).is_ok() && rig.dispenser.faults().is_empty());
}

#[test]
fn a_beam_that_is_broken_between_ticket_and_drive_does_not_block_the_line() {
    let mut rig = chute("");
    let ticket = rig.prepare("A1", 5000);
    assert!(rig.dispense(&receipt(1, &ticket)).is_ok());
    rig.dispenser.hardware(0, Err(Trouble::SensorActive("the sensor is active".into())));
    rig.end(0, Outcome::NotDriven);
    assert_eq!((rig.query(1), rig.dispenser.faults()), (DispenseAnswer::Ended(Outcome::NotDriven), vec![RelayFault::SensorActive]));
    rig.dispenser.hardware(0, Ok(()));
    assert_eq!(rig.state(0), "ready", "nobody has to look");
}

#[test]
fn a_late_sign_after_the_signed_end_is_news_and_no_second_outcome() {
    let mut rig = chute("misses = 2\n");
    let ticket = rig.prepare("A1", 5000);
    assert!(rig.dispense(&receipt(1, &ticket)).is_ok());
    rig.dispenser.came_late(0, LateSign::Passed);
    rig.end(0, Outcome::Failed);
    let proof = rig.dispenser.prove(ticket.as_str());
    rig.journal();
    rig.dispenser.came_late(0, LateSign::Passed);
    let effects = rig.dispenser.take_effects();
    assert!(
        matches!(&effects[..], [Effect::Journal(Event::PassedLate { .. }), Effect::LateSign(of, LateSign::Passed)] if *of == cause(1)),
        "{effects:?}"
    );
    rig.dispenser.came_late(0, LateSign::Passed);
    assert!(rig.journal().is_empty(), "it is told once");
    assert_eq!((rig.query(1), rig.dispenser.prove(ticket.as_str())), (DispenseAnswer::Ended(Outcome::Failed), proof));
    assert_eq!(rig.dispenser.lines()[0].misses_left, 1, "a hand does not say that it came");
}

/// Two slots of one board, which the tests of its outlet talk to.
fn board() -> Rig {
    let mut rig = Rig::new();
    let line = |name: &str, item: &str, slot: u16| {
        format!("[[line]]\nname = \"{name}\"\nitems = [\"{item}\"]\nport = \"/nowhere\"\nslot = {slot}\nmisses = 2\n")
    };
    let text = format!(
        "device.id = \"vm-001\"\nreceipts.keys_file = \"{}\"\nledger.path = \"{}\"\n{}{}",
        rig.directory.path().join("keys.json").display(),
        rig.path().display(),
        line("12", "A1", 12),
        line("13", "B1", 13),
    );
    rig.config = Config::from_source(&Source::from_text("relay.toml", text)).expect("good");
    let away = Config { ledger: "/nowhere/at/all.db".into(), ..clone(&rig.config) };
    rig.dispenser = begin(&away);
    rig.dispenser = begin(&rig.config);
    rig
}

#[test]
fn one_slot_of_a_board_is_driven_at_a_time_and_its_late_word_changes_no_outcome() {
    for outcome in [Outcome::Failed, Outcome::Uncertain] {
        let mut rig = board();
        let waits = rig.prepare("B1", 5000);
        let ticket = rig.prepare("A1", 5000);
        assert!(rig.dispense(&receipt(1, &ticket)).is_ok());
        assert_eq!(rig.dispense(&receipt_for(2, &waits, "B1", 5000)), Err(RelayError::Busy));
        assert!(rig.dispenser.to_ask("B1").is_none(), "nobody asks the board while it drives");
        rig.end(0, outcome);
        assert!(rig.dispenser.to_ask("B1").is_some());
        rig.journal();
        rig.dispenser.came_late(0, LateSign::Came);
        assert!(rig.dispenser.take_effects().contains(&Effect::LateSign(cause(1), LateSign::Came)));
        assert_eq!(rig.query(1), DispenseAnswer::Ended(outcome));
        // It has no order any more. The journal has it all the same.
        rig.dispenser.came_late(0, LateSign::Came);
        assert_eq!(rig.journal(), ["CameLate"]);
        assert!(rig.dispenser.clear("A1").is_ok());
        assert!(rig.dispenser.take_effects().contains(&Effect::Looked(0)));
    }
}
