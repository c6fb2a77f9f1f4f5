//! The relay service alone, on a real bus, with keys of the test.

use super::bus::{DbusDaemon, Names};
use super::caller::{CallRefused, Caller};
pub use super::claims::{ISSUER, claims};
use super::process::Process;
use super::relay_log::RelayLog;
use super::{command, user, wait_for};
use qris::demo::shop;
use qris::order::keys::{SigningKey, jwk_set};
use qris::order::receipt::Claims;
use qris::wire::dbus::RELAY_NAME;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A relay service and its bus.
pub struct Relayd {
    pub process: Option<Process>,
    pub bus: DbusDaemon,
    pub relay: RelayLog,
    pub caller: Caller,
    /// The key that the relay believes.
    pub key: SigningKey,
    directory: tempfile::TempDir,
}

impl Relayd {
    /// Starts one with a line `tray 1` for A1 and A2 from 5,000 rupiah; `line` adds keys to `[[line]]`.
    pub fn start(line: &str) -> Self {
        let mut relayd = Self::prepare(line, None);
        relayd.resume();
        relayd
    }

    /// Everything but the process. `chip` takes the place of the simulated line.
    pub fn prepare(line: &str, chip: Option<&str>) -> Self {
        let directory = tempfile::Builder::new().prefix("qris").tempdir().expect("a temporary directory");
        let root = directory.path();
        let bus = DbusDaemon::start(root, &Names::all(&user()));
        let key = SigningKey::from_seed([7; 32]);
        std::fs::write(root.join("keys.json"), jwk_set(&[key.to_public_jwk(ISSUER)])).expect("written");
        let relay = RelayLog(root.join("relay.log"));
        let chip = chip.map_or_else(|| format!("sim:{}", relay.0.display()), str::to_owned);
        let lines = shop::line("tray 1", &["A1", "A2"], 5000, &chip, &format!("offset = 17\n{line}"));
        std::fs::write(root.join("relay.toml"), shop::relay(root, root, &bus.address, &lines)).expect("written");
        let caller = Caller::connect(&bus.address);
        Self { process: None, bus, relay, caller, key, directory }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn config(&self) -> PathBuf {
        self.path().join("relay.toml")
    }

    pub fn command(&self) -> Command {
        let mut start = command(env!("CARGO_BIN_EXE_qris-relayd"));
        start.arg("--config").arg(self.config());
        start
    }

    /// Starts the process and waits until it is ready.
    pub fn resume(&mut self) {
        self.caller.wait_name(RELAY_NAME, false);
        self.process = Some(Process::start_service("qris-relayd", &mut self.command(), self.path()));
    }

    /// The power cut.
    pub fn kill(&mut self) {
        drop(self.process.take());
    }

    /// A ticket for an item.
    pub fn prepare_item(&self, item: &str, amount: i64) -> Result<String, CallRefused> {
        self.caller.relay("Prepare", &("vm-001", item, amount))
    }

    /// A ticket for A1, and the claims of a receipt that pays for it.
    pub fn sale(&self, order: &str) -> (String, Claims) {
        let ticket = self.prepare_item("A1", 5000).unwrap_or_else(|refused| panic!("{refused:?}"));
        let claims = claims(order, &ticket);
        (ticket, claims)
    }

    pub fn dispense(&self, receipt: &str) -> Result<(String, bool, String), CallRefused> {
        self.caller.relay("Dispense", &(receipt,))
    }

    /// Hands a receipt over and does not wait for the answer.
    pub fn begin_dispense(&self, receipt: String) -> std::thread::JoinHandle<Result<(String, bool, String), CallRefused>> {
        let caller = Caller::connect(&self.bus.address);
        std::thread::spawn(move || caller.relay("Dispense", &(receipt.as_str(),)))
    }

    pub fn query(&self, order: &str) -> String {
        let (outcome, ..): (String, bool, String) =
            self.caller.relay("Query", &(order, 1_u32)).unwrap_or_else(|refused| panic!("Query: {refused:?}"));
        outcome
    }

    pub fn close(&self, ticket: &str) -> Result<String, CallRefused> {
        self.caller.relay("Close", &(ticket,)).map(|(outcome, _): (String, bool)| outcome)
    }

    pub fn check(&self, ticket: &str) -> (bool, String) {
        self.caller.relay("Check", &(ticket,)).unwrap_or_else(|refused| panic!("Check: {refused:?}"))
    }

    pub fn wait_outcome(&self, order: &str, outcome: &str) {
        wait_for(&format!("{order} to be {outcome}"), || (self.query(order) == outcome).then_some(()));
    }

    /// What the only line is: `ready`, `busy`, `blocked`.
    pub fn line_state(&self) -> String {
        self.caller.relay_facts().lines.first().expect("there is a line").state.to_string()
    }
}
