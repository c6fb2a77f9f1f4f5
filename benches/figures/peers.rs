//! What is measured: our programs, or what a user would write instead (`benches/peers`).

use crate::rig;
use crate::shop::{DEVICE, password};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the programs are.
#[derive(Clone)]
pub struct Places {
    /// Ours, as they are installed.
    pub ours: PathBuf,
    /// What `benches/peers/install` made. There is none if only ours are measured.
    pub peers: Option<PathBuf>,
}

impl Places {
    pub fn ours(&self, program: &str) -> PathBuf {
        self.ours.join(program)
    }

    fn peers(&self) -> &Path {
        self.peers.as_deref().expect("benches/run --peers says where they are")
    }
}

/// Who made the machine that sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    Ours,
    C,
    Python,
    Node,
}

/// What a peer is told.
pub struct Settings<'a> {
    pub root: &'a Path,
    pub databases: &'a Path,
    pub broker: u16,
    pub bus: &'a str,
    pub backend: u16,
    pub kid: &'a str,
    pub pulse_ms: u32,
}

impl Make {
    pub const ALL: [Self; 4] = [Self::Ours, Self::C, Self::Python, Self::Node];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "qrisd + qris-relayd",
            Self::C => "C",
            Self::Python => "Python",
            Self::Node => "Node.js",
        }
    }

    /// The machine's main program. Ours has files, which [`crate::shop::Shop`] writes.
    pub fn device(self, places: &Places, settings: &Settings) -> Command {
        match self {
            Self::Ours => ours(places, "qrisd", &settings.root.join("qrisd.toml")),
            Self::C => settings.give(rig::command(places.peers().join("machine"))),
            Self::Python => settings.give(python(places, "benches/peers/machine.py")),
            Self::Node => settings.give(node(places, "benches/peers/machine.js")),
        }
    }

    /// What drives the line. All peers have the same.
    pub fn relay(self, places: &Places, settings: &Settings) -> Command {
        match self {
            Self::Ours => ours(places, "qris-relayd", &settings.root.join("relay.toml")),
            Self::C | Self::Python | Self::Node => settings.give(rig::command(places.peers().join("relay"))),
        }
    }
}

impl Settings<'_> {
    fn give(&self, mut command: Command) -> Command {
        command
            .env("DEVICE", DEVICE)
            .env("MQTT_PORT", self.broker.to_string())
            .env("MQTT_PASSWORD", password(DEVICE))
            .env("BACKEND", format!("http://127.0.0.1:{}", self.backend))
            .env("BACKEND_TOKEN", "token")
            .env("KID", self.kid)
            .env("DATABASE", self.databases.join("machine.db"))
            .env("SCREEN", self.root.join("screen.raw"))
            .env("DBUS_SYSTEM_BUS_ADDRESS", self.bus)
            .env("LINE", self.root.join("line"))
            .env("PULSE_MS", self.pulse_ms.to_string());
        command
    }
}

/// Who made the merchant's backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Ours,
    Express,
    Flask,
}

impl Backend {
    pub const ALL: [Self; 3] = [Self::Ours, Self::Express, Self::Flask];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "qris-backend, with get-status and books",
            Self::Express => "Express",
            Self::Flask => "Flask",
        }
    }
}

fn ours(places: &Places, program: &str, config: &Path) -> Command {
    let mut start = rig::command(places.ours(program));
    start.arg("--config").arg(config);
    start
}

/// A script of `benches/peers`, with the modules that were installed for it.
pub fn python(places: &Places, script: &str) -> Command {
    let mut start = rig::command(places.peers().join("python/bin/python3"));
    start.arg(rig::source(script));
    start
}

/// The same for Node.js.
pub fn node(places: &Places, script: &str) -> Command {
    let mut start = rig::command(rig::tool("node"));
    start.arg(rig::source(script)).env("NODE_PATH", places.peers().join("node/node_modules"));
    start
}
