//! Why the computer started, as the machine knows it.

use super::rig::*;
use qris_core::wire::telemetry::Booted;

#[test]
fn a_boot_is_told_by_the_end_of_the_run_before_it() {
    let mut rig = Rig::new();
    assert_eq!(rig.machine.start.booted(), Booted::Unknown, "there was none");
    rig.power_cut(true);
    assert_eq!(rig.machine.start.booted(), Booted::Unknown, "it is the same boot");
    rig.power_cut(false);
    assert_eq!(rig.machine.start.booted(), Booted::Power);
    drop(rig.machine.farewell());
    rig.power_cut(false);
    assert_eq!(rig.machine.start.booted(), Booted::Restart);
    // Stopped and started again in this boot, as by an update: that stop says nothing about the next boot.
    drop(rig.machine.farewell());
    rig.power_cut(true);
    assert_eq!((rig.machine.start.booted(), rig.machine.known_vitals()["booted"].as_str()), (Booted::Restart, Some("restart")));
    rig.power_cut(false);
    assert_eq!(rig.machine.start.booted(), Booted::Power);
}

#[test]
fn a_note_that_is_not_as_it_was_written_says_nothing() {
    let mut rig = Rig::new();
    let other = rusqlite::Connection::open(&rig.settings.store).expect("opens");
    let sql = "UPDATE facts SET value = replace(value, 'false', 'true') WHERE name = 'boot'";
    assert_eq!(other.execute(sql, []).expect("written"), 1);
    drop(other);
    rig.power_cut(false);
    assert_eq!(rig.machine.start.booted(), Booted::Unknown);
}
