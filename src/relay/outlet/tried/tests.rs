//! The seam, from `relay.toml` to the wire, with an outlet that knows nothing of lines.

use super::*;
use crate::config::Config;
use crate::tests::{begin, run, service};
use crate::{finish, held, outlet};
use qris_core::order::keys::jwk_set;
use qris_core::order::outcome::Outcome;
use qris_core::order::receipt::testing::{ISSUER, key};
use qris_core::wire::dbus::DispenseAnswer;
use qris_core::wire::relay::RelayFault;
use qris_host::config::Source;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStringExt as _;

/// A dispenser at the other end of a terminal.
struct Rig {
    directory: tempfile::TempDir,
    heard: BufReader<File>,
    path: PathBuf,
}

impl Rig {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("keys.json"), jwk_set(&[key().to_public_jwk(ISSUER)])).expect("written");
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("its other end");
        let path = std::ffi::OsString::from_vec(ptsname(&ours, Vec::new()).expect("a name").into_bytes()).into();
        Self { directory, heard: BufReader::new(ours.into()), path }
    }

    fn source(&self, more: &str) -> Source {
        let at = |name: &str| self.directory.path().join(name).display().to_string();
        let text = format!(
            "[device]\nid = \"vm-001\"\n[receipts]\nkeys_file = \"{}\"\n[ledger]\npath = \"{}\"\n[[line]]\nname = \"tower\"\n\
             items = [\"A1\"]\nterminal = \"{}\"\n{more}",
            at("keys.json"),
            at("ledger.db"),
            self.path.display(),
        );
        Source::from_text("relay.toml", text)
    }

    fn config(&self, more: &str) -> Config {
        Config::from_source(&self.source(more)).expect("good")
    }

    fn hears(&mut self) -> String {
        let mut line = String::new();
        self.heard.read_line(&mut line).expect("readable");
        line.trim_end().to_owned()
    }

    fn answers(&mut self, line: &str) {
        self.heard.get_mut().write_all(format!("{line}\n").as_bytes()).expect("written");
    }
}

#[test]
fn what_it_answers_is_the_outcome_and_it_is_asked_once() {
    for (answer, outcome, state, detail) in [
        (Some("OK"), Outcome::Dispensed, "ready", "told so"),
        (Some("FAIL empty"), Outcome::Failed, "blocked", "empty"),
        (Some("what?"), Outcome::Uncertain, "ready", "its answer cannot be understood"),
        (None, Outcome::Uncertain, "ready", "it did not answer in time"),
    ] {
        let mut rig = Rig::new();
        let (service, mut reports) = service(&rig.config("within_ms = 200\n"));
        assert_eq!(rig.hears(), "STOP", "opening it brings it to rest");
        // An answer that belongs to no order.
        rig.answers("OK");
        let (order, receipt) = begin(&service);
        assert_eq!(rig.hears(), "VEND A1 5000");
        if let Some(answer) = answer {
            rig.answers(answer);
        }
        service.report(reports.blocking_recv().expect("an end"));
        let query = || service.with(|dispenser| dispenser.query(order.as_str(), 1)).expect("readable");
        assert_eq!(query(), (DispenseAnswer::Ended(outcome), detail.to_owned()));
        assert_eq!(service.with(|dispenser| dispenser.lines())[0].state.as_str(), state, "{answer:?}");
        if outcome == Outcome::Uncertain {
            assert_eq!(rig.hears(), "STOP", "{answer:?}: whatever it does, it shall not go on");
        }
        service.with(|dispenser| dispenser.dispense(&receipt)).expect("known");
        rig.answers("?");
        drop(service);
        let mut rest = Vec::new();
        // It reads until the other end is closed, which is an error here.
        drop(rig.heard.read_to_end(&mut rest));
        assert_eq!(String::from_utf8_lossy(&rest), "", "{answer:?}: asked once");
    }
}

#[test]
fn a_stop_of_the_service_stops_it() {
    let mut rig = Rig::new();
    let (service, mut reports) = service(&rig.config(""));
    assert_eq!(rig.hears(), "STOP");
    let (order, _) = begin(&service);
    assert_eq!(rig.hears(), "VEND A1 5000");
    run(finish(&service, &mut reports));
    assert_eq!(rig.hears(), "STOP");
    let (answer, detail) = service.with(|dispenser| dispenser.query(order.as_str(), 1)).expect("readable");
    assert_eq!((answer, detail.as_str()), (DispenseAnswer::Ended(Outcome::Uncertain), "stopped before it answered"));
}

#[test]
fn a_dispenser_that_is_gone_is_a_fault() {
    let rig = Rig::new();
    let (service, mut reports) = service(&rig.config(""));
    drop(rig.heard);
    let (order, _) = begin(&service);
    for _ in 0..2 {
        service.report(reports.blocking_recv().expect("an end, and the fault"));
    }
    let answer = service.with(|dispenser| dispenser.query(order.as_str(), 1)).expect("readable").0;
    assert_eq!(answer, DispenseAnswer::Ended(Outcome::NotDriven), "it was never asked");
    assert_eq!(service.with(|dispenser| dispenser.faults()), [RelayFault::Gpio]);
}

#[test]
fn after_a_crash_it_is_brought_to_rest_whatever_became_of_the_configuration() {
    let mut rig = Rig::new();
    let config = rig.config("");
    let lines: Vec<_> = config.lines.iter().map(held::Held::of).collect();
    held::write(&config.ledger, &lines).expect("written");
    let relay_toml = rig.directory.path().join("relay.toml");
    std::fs::write(&relay_toml, format!("nonsense\n[ledger]\npath = \"{}\"", config.ledger.display())).expect("written");
    let again = held::read(&config.ledger).expect("a list");
    assert_eq!(again, lines);
    assert!(again.iter().all(|line| line.make_safe().is_ok()));
    assert_eq!(rig.hears(), "STOP");
    let unknown = outlet::make_safe("tower", serde_json::json!({ "mdb": "/dev/mdb0" })).expect_err("of no kind here");
    assert!(unknown.to_string().contains("does not know"), "{unknown}");
}

#[test]
fn its_keys_are_its_own() {
    let rig = Rig::new();
    let name = rig.path.display();
    for (more, want) in [
        ("within_ms = 0\n", "relay.toml:11: line[0].within_ms: must be 1 to 120000, not 0".to_owned()),
        ("pulse_ms = 500\n", "relay.toml:11: line[0].pulse_ms: unknown key".into()),
        ("chip = \"pl061\"\n", "relay.toml:10: line[0].terminal: unknown key".into()),
        (
            &format!("[[line]]\nname = \"x\"\nitems = [\"*\"]\nterminal = \"{name}\"\n"),
            format!("relay.toml:14: line[1].terminal: {name} is used by line[0] already"),
        ),
    ] {
        let faults = Config::from_source(&rig.source(more)).expect_err("faults").to_string();
        assert!(faults.contains(&want), "{more}: {faults}");
    }
    let config = rig.config("");
    assert_eq!((config.devices(), config.pins().len()), ([rig.path.as_path()].into(), 0));
    assert!(config.lines[0].outlet.check().is_ok());
}

#[test]
fn it_is_tried_without_an_order() {
    let mut rig = Rig::new();
    let config = rig.config("");
    std::thread::scope(|scope| {
        let tried = scope.spawn(|| crate::threads::try_once(&config.lines[0], || false));
        assert_eq!((rig.hears().as_str(), rig.hears().as_str()), ("STOP", "VEND A1 1"));
        rig.answers("OK");
        assert_eq!(tried.join().expect("ends").expect("there").outcome, Outcome::Dispensed);
    });
}
