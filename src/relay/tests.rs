//! The program around the dispenser: what it checks, what it tells the service manager, how it
//! ends.

use super::*;
use crate::threads::Trouble;
use qris_core::order::ids::OrderId;
use qris_core::order::keys::jwk_set;
use qris_core::order::outcome::Outcome;
use qris_core::order::receipt::Claims;
use qris_core::order::receipt::testing::{ISSUER, claims, key};
use qris_core::wire::dbus::DispenseAnswer;
use std::path::PathBuf;

struct Rig(tempfile::TempDir);

impl Rig {
    /// One line, whose pulses take this time.
    fn new(pulse_ms: u32) -> Self {
        let rig = Self(tempfile::tempdir().expect("a directory"));
        std::fs::write(rig.at("keys.json"), jwk_set(&[key().to_public_jwk(ISSUER)])).expect("written");
        let text = format!(
            r#"
            device.id = "vm-001"
            dbus.bus = "session"
            receipts.keys_file = "{}"
            ledger.path = "{}"
            line = [{{ name = "tray 1", items = ["A1"], min_amount = 5000, chip = "sim:{}", pulse_ms = {pulse_ms} }}]"#,
            rig.at("keys.json").display(),
            rig.at("ledger.db").display(),
            rig.at("line").display(),
        );
        std::fs::write(rig.at("relay.toml"), text).expect("written");
        rig
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn service(&self) -> (Service, mpsc::UnboundedReceiver<ThreadReport>) {
        service(&Config::load(&self.at("relay.toml")).expect("good"))
    }

    fn edges(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.at("line")).unwrap_or_default();
        text.lines().map(|line| line.split_once(' ').expect("a time").1.to_owned()).collect()
    }
}

/// The service with its threads.
pub(crate) fn service(config: &Config) -> (Service, mpsc::UnboundedReceiver<ThreadReport>) {
    let (reports, reports_rx) = mpsc::unbounded_channel();
    let (signals, _) = mpsc::channel(SIGNALS_MAX);
    (start_parts(config, open(config), Dispenser::new(config, Box::new(random::fill)), &reports, signals).expect("threads"), reports_rx)
}

/// Sells one, as far as its delivery. Returns its order and its receipt.
pub(crate) fn begin(service: &Service) -> (OrderId, String) {
    let ticket = service.with(|dispenser| dispenser.prepare("vm-001", "A1", 5000, [7; 16])).expect("a ticket");
    let receipt = key().sign(Claims { ticket, ..claims() });
    service.with(|dispenser| dispenser.dispense(receipt.jws())).expect("begun");
    (receipt.claims().sub.clone(), receipt.jws().to_owned())
}

/// Runs a test to its end. One that waits in vain fails after a minute.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await }).expect("what it waits for comes");
}

#[test]
fn a_configuration_is_checked_with_what_it_must_agree_with() {
    let rig = Rig::new(10);
    let checks = |path: &Path| (check(path).is_ok(), examine(path).is_ok());
    assert_eq!(checks(&rig.at("relay.toml")), (true, true));
    std::fs::write(rig.at("qrisd.toml"), "device.id = \"vm-002\"").expect("written");
    assert_eq!(checks(&rig.at("relay.toml")), (false, false), "of another machine");
    assert_eq!(checks(&rig.at("keys.json")), (false, false));
}

#[test]
fn safe_is_inactive() {
    let rig = Rig::new(10);
    std::fs::write(rig.at("line"), "1 tray 1 1\n").expect("written");
    assert!(make_safe(&rig.at("relay.toml")).is_ok());
    assert_eq!(rig.edges(), ["tray 1 1", "tray 1 0"]);
    std::fs::remove_file(rig.at("line")).expect("removed");
    std::fs::create_dir(rig.at("line")).expect("made");
    assert!(make_safe(&rig.at("relay.toml")).is_err());
}

#[test]
fn what_the_last_run_held_is_made_safe_whatever_became_of_the_configuration() {
    let rewrite = |rig: &Rig, change: &dyn Fn(String) -> String| {
        let text = std::fs::read_to_string(rig.at("relay.toml")).expect("a configuration");
        std::fs::write(rig.at("relay.toml"), change(text)).expect("written");
    };
    for what in ["a key that is unknown", "no keys", "another line"] {
        let rig = Rig::new(10);
        let config = Config::load(&rig.at("relay.toml")).expect("good");
        held::write(&config.ledger, &config.lines.iter().map(Held::of).collect::<Vec<_>>()).expect("written");
        std::fs::write(rig.at("line"), "1 tray 1 1\n").expect("written");
        match what {
            "a key that is unknown" => rewrite(&rig, &|text| format!("nonsense = 1\n{text}")),
            "no keys" => std::fs::remove_file(rig.at("keys.json")).expect("removed"),
            _ => rewrite(&rig, &|text| text.replace("/line\"", "/elsewhere\"")),
        }
        assert!(make_safe(&rig.at("relay.toml")).is_ok(), "{what}");
        assert_eq!(rig.edges(), ["tray 1 1", "tray 1 0"], "{what}");
        assert!(!rig.at("elsewhere").exists(), "{what}: what was not held is left alone");
        assert_eq!(held::read(&config.ledger), None, "{what}: it is safe now");
    }
}

#[test]
fn a_chip_on_the_list_that_is_gone_is_named() {
    let rig = Rig::new(10);
    let list = r#"[{"name":"tray 1","chip":{"gpio":{"name":"no-such-chip","offset":5}},"active_low":true}]"#;
    std::fs::write(rig.at("ledger.db.lines"), list).expect("written");
    let refused = held::read(&rig.at("ledger.db")).expect("a list")[0].make_safe().expect_err("no such chip");
    assert!(refused.to_string().starts_with("there is no GPIO chip \"no-such-chip\"; there is "), "{refused}");
}

#[test]
fn a_line_that_refuses_stays_on_the_list() {
    let rig = Rig::new(10);
    let config = Config::load(&rig.at("relay.toml")).expect("good");
    let lines = || config.lines.iter().map(Held::of).collect::<Vec<_>>();
    held::write(&config.ledger, &lines()).expect("written");
    std::fs::create_dir(rig.at("line")).expect("made");
    assert!(make_safe(&rig.at("relay.toml")).is_err());
    assert_eq!(held::read(&config.ledger), Some(lines()));
}

#[test]
fn the_service_manager_is_told_how_things_are() {
    let rig = Rig::new(10);
    let (service, _reports) = rig.service();
    let trouble = BusTrouble::default();
    let mut told = String::new();
    let mut status = || {
        tell_status(&mut told, &service, &trouble);
        told.clone()
    };
    assert_eq!(status(), "1 of 1 lines can be driven");
    service.report(ThreadReport::Hardware(0, Err(Trouble::Hardware("unplugged".into()))));
    assert_eq!(status(), "0 of 1 lines can be driven; faults: gpio");
    *trouble.lock().expect("nobody panicked") = Some("refused".into());
    assert_eq!(status(), "0 of 1 lines can be driven; faults: gpio; no bus: refused");
}

#[test]
fn a_stop_waits_for_a_pulse_that_is_soon_over_and_cuts_any_other_short() {
    for (pulse_ms, outcome) in [(10, Outcome::Dispensed), (60_000, Outcome::Uncertain)] {
        let rig = Rig::new(pulse_ms);
        let (service, mut reports) = rig.service();
        let (order, _) = begin(&service);
        run(finish(&service, &mut reports));
        let answer = service.with(|dispenser| dispenser.query(order.as_str(), 1)).expect("readable").0;
        assert_eq!(answer, DispenseAnswer::Ended(outcome), "{pulse_ms} ms");
        assert_eq!(rig.edges(), ["tray 1 1", "tray 1 0"], "{pulse_ms} ms");
        assert!(service.with(|dispenser| dispenser.prepare("vm-001", "A1", 5000, [8; 16])).is_err(), "nothing new begins");
    }
}
