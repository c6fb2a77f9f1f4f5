use super::{Bits, Found, MID_PULSE, Row, Template, Who, ends, plan};
use crate::disk::Op;
use crate::world::Play;
use qris_backend::store::{BOOKS, MACHINES, MACHINES_FILE};
use qris_host::sqlite::Schema;
use qris_host::sqlite::testing::{grow, programs_of_before_go_on};

fn template() -> (tempfile::TempDir, Template) {
    let place = tempfile::tempdir().expect("a directory");
    let template = Template::new(place.path()).expect("databases");
    (place, template)
}

fn all(template: &Template, row: Row, sample: bool) -> Found {
    let mut found = Found::default();
    for run in plan(template, &[row], sample, 1).expect("planned") {
        let (report, struck) = run.play(template).expect("played");
        found.add(run, report, &struck);
    }
    assert!(found.broken.is_empty(), "{}: {:?}", row.name(), found.broken);
    found
}

#[test]
fn a_play_that_nothing_disturbs_ends_as_it_should() {
    let (_place, template) = template();
    for play in Play::ALL {
        let (report, _) = template.play(play, None).expect("played");
        assert_eq!(report.failure, None, "{}\n{}", play.name(), report.trace);
        // Dispensed, refund due or done, uncertain, not paid.
        let expected = match play {
            Play::Sale | Play::Counter | Play::Reboot | Play::Race | Play::SecondTry | Play::Filled => [1, 0, 0, 0],
            Play::Two => [2, 0, 0, 0],
            Play::Cancel => [0, 0, 0, 1],
            Play::TooLate | Play::Refund => [0, 1, 0, 0],
        };
        assert_eq!(ends(&report), expected, "{}\n{}", play.name(), report.trace);
    }
}

/// Where each database stands, and its tables.
fn programs() -> [(&'static str, &'static str, Schema); 4] {
    [
        ("machine", Who::Machine.database(), qris_device::store::database::SCHEMA),
        ("machine", Who::Relay.database(), qris_relay::store::database::SCHEMA),
        ("backend", Who::Backend.database(), BOOKS),
        ("backend", MACHINES_FILE, MACHINES),
    ]
}

#[test]
fn programs_of_before_go_on_where_a_step_says_so() {
    for (_, _, schema) in programs() {
        programs_of_before_go_on(tempfile::tempdir().expect("a directory").path(), &schema);
    }
}

#[test]
fn a_sale_goes_well_on_databases_to_which_a_later_release_has_added_columns() {
    let (_place, template) = template();
    for (part, name, schema) in programs() {
        grow(&template.directory.path().join("used").join(part).join(name), &schema);
    }
    for (play, expected) in [
        (Play::Two, [2, 0, 0, 0]),
        (Play::Counter, [1, 0, 0, 0]),
        (Play::Reboot, [1, 0, 0, 0]),
        (Play::Refund, [0, 1, 0, 0]),
        (Play::Cancel, [0, 0, 0, 1]),
    ] {
        let (report, _) = template.play(play, None).expect("played");
        assert_eq!(report.failure, None, "{}\n{}", play.name(), report.trace);
        assert_eq!(ends(&report), expected, "{}\n{}", play.name(), report.trace);
    }
}

/// A part of the work of `qris-tools nth`. `QRIS_NTH` selects rows by a part of their name instead.
#[test]
fn every_call_of_a_sale_to_a_disk_fails_once() {
    let (_place, template) = template();
    let mut operations = 0;
    if let Some(only) = std::env::var("QRIS_NTH").ok().filter(|only| !only.is_empty()) {
        for row in Row::all().into_iter().filter(|row| row.name().contains(&only)) {
            operations += all(&template, row, false).operations;
        }
        assert!(operations > 0, "nothing fails in a row with {only:?} in its name");
        return;
    }
    for row in Row::all() {
        let Row::Case(case) = row else { continue };
        if case.play != Play::Sale || case.op != Op::Commit {
            continue;
        }
        let found = all(&template, row, false);
        assert!(found.operations > 0, "{}: there is none", case.name());
        operations += found.operations;
    }
    assert!(operations > 100, "{operations}");
}

/// Without a look at the schema the QR is shown and the customer pays. Then the machine cannot write anything.
#[test]
fn a_bit_in_the_schema_of_a_database_is_found_before_anybody_pays() {
    let (_place, template) = template();
    let row = Bits { who: Who::Machine, log: false, at: 5_000 };
    // A bit of the name of a column that a trigger looks at.
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("qrisd.db");
    drop(qris_device::store::database::Database::open(&path, &qris_core::order::time::BootId("b".into()), false).expect("new"));
    let file = std::fs::read(&path).expect("read");
    let text = b"WHEN new.rev <> old.rev + 1";
    let at = file.windows(text.len()).position(|part| part == text).expect("the trigger's text");
    let (report, struck) = row.run(at + text.len() - 1, 1).play(&template).expect("played");
    assert_eq!((report.failure, struck.set_aside, struck.refused), (None, 1, false), "{}", report.trace);
}

/// Without its mark a relay that is killed in mid-pulse drives its order a second time here.
#[test]
fn no_bit_in_the_relays_log_gives_a_second_pulse() {
    let (_place, template) = template();
    let found = all(&template, Row::Bits(Bits { who: Who::Relay, log: true, at: MID_PULSE }), true);
    assert!(found.operations > 20 && found.set_aside > 5 && found.ends == [0, 0, found.operations, 0], "{found:?}");
}
