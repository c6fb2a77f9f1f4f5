//! Commands of a fleet to a machine: `cmd/{name}/request`, answered on the MQTT 5 response topic.

mod answer;
mod signed;

pub use answer::{ANSWER_MAX, ANSWER_PIECE, Code, Joined, Problem, Response, Stage};
pub use signed::{LINES_MAX, LogUnit, Logs, NEWEST_MAX, RefusedCommand, SignedCommand, VALID_MAX_S};

use crate::order::ids::{DeviceId, ItemId, RequestId};
use crate::order::keys::Level;
use serde::{Deserialize, Serialize};

/// The answer is a picture of what the panel shows. It is the one command that needs no signature.
pub const SCREENSHOT: &str = "screenshot";

/// A command that an operator has signed, with its arguments. Field names are those of the wire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "kebab-case")]
pub enum Command {
    /// The machine's `status`.
    Status {},
    /// The settings that came from afar, as `config/reported`, with their text.
    ConfigGet {},
    /// The condition of the computer.
    Vitals {},
    /// Everything of these, and what else a colleague would ask for, in one.
    Diag {},
    /// The newest requests, each as its last `vend/event`.
    Orders {
        /// How many, at most [`NEWEST_MAX`].
        #[serde(default = "signed::newest")]
        newest: u16,
    },
    /// Lines of the journal.
    Logs(Logs),
    /// Cancel a request, as `vend/cancel` does.
    Cancel {
        /// The request.
        request_id: RequestId,
    },
    /// Begin anew with the configuration as it is, as after `systemctl reload`.
    Restart {},
    /// Restart the computer.
    Reboot {},
    /// Install an image, start it, and keep it once it has proven itself.
    Update {
        /// RAUC's bundle: an address that begins with `https://`, or a path on the machine.
        bundle: Box<str>,
    },
    /// Take the block from the line of an item.
    Clear {
        /// The item.
        item: ItemId,
    },
    /// Drive the line of an item once, for a test.
    TestPulse {
        /// The item.
        item: ItemId,
    },
}

impl Command {
    /// The names of all commands of this release.
    pub const NAMES: [&str; 13] = [
        "cancel",
        "clear",
        "config-get",
        "diag",
        "logs",
        "orders",
        "reboot",
        "restart",
        SCREENSHOT,
        "status",
        "test-pulse",
        "update",
        "vitals",
    ];

    /// As it stands in the topic, and in the claim `cmd`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Status {} => "status",
            Self::ConfigGet {} => "config-get",
            Self::Vitals {} => "vitals",
            Self::Diag {} => "diag",
            Self::Orders { .. } => "orders",
            Self::Logs(_) => "logs",
            Self::Cancel { .. } => "cancel",
            Self::Restart {} => "restart",
            Self::Reboot {} => "reboot",
            Self::Update { .. } => "update",
            Self::Clear { .. } => "clear",
            Self::TestPulse { .. } => "test-pulse",
        }
    }

    /// The level that its operator needs.
    #[must_use]
    pub const fn needs(&self) -> Level {
        match self {
            Self::Status {} | Self::ConfigGet {} | Self::Vitals {} | Self::Diag {} | Self::Orders { .. } | Self::Logs(_) => Level::View,
            Self::Cancel { .. } | Self::Restart {} => Level::Manage,
            Self::Reboot {} | Self::Update { .. } | Self::Clear { .. } | Self::TestPulse { .. } => Level::Service,
        }
    }

    /// Whether it changes anything. Then it is carried out once, whoever sends it how often.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.needs() > Level::View
    }
}

/// The filter for all commands to a machine.
#[must_use]
pub fn requests_to(device: &DeviceId) -> String {
    format!("qrisd/v1/{device}/cmd/+/request")
}

/// The topic of one command.
#[must_use]
pub fn request_topic(device: &DeviceId, name: &str) -> String {
    format!("qrisd/v1/{device}/cmd/{name}/request")
}

/// Where a machine answers a command. A topic below it may be asked for too.
#[must_use]
pub fn response_topic(device: &DeviceId, name: &str) -> String {
    format!("qrisd/v1/{device}/cmd/{name}/response")
}

/// The command of a topic, if it is one to this machine.
#[must_use]
pub fn command_of<'a>(topic: &'a str, device: &DeviceId) -> Option<&'a str> {
    let name = topic.strip_prefix("qrisd/v1/")?.strip_prefix(device.as_str())?.strip_prefix("/cmd/")?.strip_suffix("/request")?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// Whether a machine may answer there. Nobody can make it publish on other topics.
#[must_use]
pub fn may_answer_on(topic: &str, device: &DeviceId, name: &str) -> bool {
    let below = topic.strip_prefix(&response_topic(device, name));
    below.is_some_and(|below| below.is_empty() || (below.starts_with('/') && !below.contains(['+', '#', '\0'])))
}

/// The result of [`SCREENSHOT`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Screenshot {
    /// A PNG in base64.
    pub png: Box<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_known_by_its_topic_and_answered_nowhere_else() {
        let device = DeviceId::new("vm-001").expect("an id");
        assert_eq!(command_of(&request_topic(&device, SCREENSHOT), &device), Some(SCREENSHOT));
        for other in [
            "qrisd/v1/vm-002/cmd/screenshot/request",
            "qrisd/v1/vm-0012/cmd/screenshot/request",
            "qrisd/v1/vm-001/cmd//request",
            "qrisd/v1/vm-001/cmd/a/b/request",
            "qrisd/v1/vm-001/vend/request",
        ] {
            assert_eq!(command_of(other, &device), None, "{other}");
        }
        for (topic, may) in [
            ("qrisd/v1/vm-001/cmd/screenshot/response", true),
            ("qrisd/v1/vm-001/cmd/screenshot/response/me", true),
            ("qrisd/v1/vm-001/cmd/screenshot/response2", false),
            ("qrisd/v1/vm-001/cmd/other/response", false),
            ("qrisd/v1/vm-001/cmd/screenshot/response/#", false),
            ("qrisd/v1/vm-001/vend/event", false),
            ("", false),
        ] {
            assert_eq!(may_answer_on(topic, &device, SCREENSHOT), may, "{topic}");
        }
    }
}
