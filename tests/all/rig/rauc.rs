//! Stands in for RAUC: it speaks the interface that RAUC publishes, and writes nothing.
//! <https://rauc.readthedocs.io/en/latest/reference.html#d-bus-api>

use super::soon;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use zbus::{Connection, OwnedVariant};

/// What the system's own policy says of RAUC.
pub const RULES: &str = "<policy context=\"default\"><allow own=\"de.pengutronix.rauc\"/>\
    <allow send_destination=\"de.pengutronix.rauc\"/></policy>";
const NAME: &str = "de.pengutronix.rauc";
pub const PATH: &str = "/";
pub const INTERFACE: &str = "de.pengutronix.rauc.Installer";

/// What RAUC was asked for, and how it is.
#[derive(Default)]
pub struct Facts {
    /// The bundles that it was to install.
    pub bundles: Vec<String>,
    /// How often it was asked which slot runs.
    pub queries: u32,
    /// How often the slot that runs was called good.
    pub marked: u32,
    /// An installation is under way.
    pub is_installing: bool,
    /// How often it was asked whether one is.
    pub looks: u32,
    /// When the system that runs was installed.
    pub installed: &'static str,
}

struct Installer(Arc<Mutex<Facts>>);

#[zbus::interface(name = "de.pengutronix.rauc.Installer")]
impl Installer {
    fn install_bundle(&self, source: String, _args: HashMap<String, OwnedVariant>) -> zbus::fdo::Result<()> {
        let mut facts = self.0.lock().expect("no panic");
        if facts.is_installing {
            return Err(zbus::fdo::Error::Failed("Already processing a different method".into()));
        }
        facts.is_installing = true;
        facts.bundles.push(source);
        Ok(())
    }

    fn get_slot_status(&self) -> Vec<(String, HashMap<&'static str, OwnedVariant>)> {
        let word = |word: &str| OwnedVariant::from(zbus::Str::from(word.to_owned()));
        let slot = |state: &str, installed: &str| HashMap::from([("state", word(state)), ("installed.timestamp", word(installed))]);
        let mut facts = self.0.lock().expect("no panic");
        facts.queries += 1;
        let installed = facts.installed;
        vec![("rootfs.1".into(), slot("inactive", "never")), ("rootfs.0".into(), slot("booted", installed))]
    }

    fn mark(&self, state: &str, slot: &str) -> (String, String) {
        assert_eq!((state, slot), ("good", "booted"));
        self.0.lock().expect("no panic").marked += 1;
        ("rootfs.0".into(), "marked slot rootfs.0 as good".into())
    }

    #[zbus(property)]
    fn operation(&self) -> &'static str {
        let mut facts = self.0.lock().expect("no panic");
        facts.looks += 1;
        if facts.is_installing { "installing" } else { "idle" }
    }

    #[zbus(property)]
    fn last_error(&self) -> &'static str {
        "signature verification failed"
    }

    #[zbus(property)]
    fn progress(&self) -> (i32, String, i32) {
        (40, "Copying image to rootfs.1".into(), 2)
    }

    #[zbus(property)]
    fn boot_slot(&self) -> &'static str {
        "rootfs.0"
    }
}

/// The double.
pub struct Rauc {
    runtime: tokio::runtime::Runtime,
    connection: Connection,
    /// What it was asked for.
    pub facts: Arc<Mutex<Facts>>,
}

impl Rauc {
    /// Takes RAUC's name on a bus.
    pub fn start(address: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let facts: Arc<Mutex<Facts>> = Arc::default();
        let connection = runtime.block_on(async {
            let builder = zbus::connection::Builder::address(address).serve_at(PATH, Installer(Arc::clone(&facts))).name(NAME);
            soon("the bus", builder.build()).await.expect("the bus is there")
        });
        Self { runtime, connection, facts }
    }

    /// How often the slot that runs was called good.
    pub fn marked(&self) -> u32 {
        self.facts.lock().expect("no panic").marked
    }

    /// The installation that is under way ends. RAUC says so first.
    pub fn completes(&self, is_good: bool) {
        self.says(&i32::from(!is_good));
        self.facts.lock().expect("no panic").is_installing = false;
    }

    /// Says that it has ended, and goes on.
    pub fn says<B: serde::Serialize + zbus::zvariant::DynamicType + Sync>(&self, body: &B) {
        let sent = self.connection.emit_signal(None::<&str>, PATH, INTERFACE, "Completed", body);
        self.runtime.block_on(soon("a signal", sent)).expect("sent");
    }
}
