//! Commands of a fleet to a machine: `cmd/{name}/request`, answered on `cmd/response`.

mod answer;
mod commands;
mod signed;

pub use answer::{ANSWER_MAX, ANSWER_PIECE, Code, Joined, Problem, Response, Stage};
pub use commands::{Action, Command, LINES_MAX, LogUnit, Logs, NEWEST_MAX, Query, SCREENSHOT};
pub use signed::{RefusedCommand, SignedCommand, VALID_MAX_S};

use super::topics::Topic;
use crate::order::ids::DeviceId;
use serde::{Deserialize, Serialize};

/// The topic of one command.
#[must_use]
pub fn request_topic(device: &DeviceId, name: &str) -> String {
    format!("qrisd/v1/{device}/cmd/{name}/request")
}

/// Where all machines answer commands. Which answer is whose, the correlation data says.
pub const RESPONSES: &str = "qrisd/v1/+/cmd/response";

/// Where a machine answers every command, and nowhere else. So its account at the broker needs no right to topics that others name,
/// and leaves no more there than one message.
#[must_use]
pub fn response_topic(device: &DeviceId) -> String {
    Topic::CommandResponse.of(device)
}

/// The command of a topic, if it is one to this machine.
#[must_use]
pub fn command_of<'a>(topic: &'a str, device: &DeviceId) -> Option<&'a str> {
    let name = topic.strip_prefix("qrisd/v1/")?.strip_prefix(device.as_str())?.strip_prefix("/cmd/")?.strip_suffix("/request")?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
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
    fn a_command_is_known_by_its_topic() {
        let device = DeviceId::new("vm-001").expect("an id");
        assert_eq!(command_of(&request_topic(&device, SCREENSHOT), &device), Some(SCREENSHOT));
        for other in [
            "qrisd/v1/vm-002/cmd/screenshot/request",
            "qrisd/v1/vm-0012/cmd/screenshot/request",
            "qrisd/v1/vm-001/cmd//request",
            "qrisd/v1/vm-001/cmd/response",
            "qrisd/v1/vm-001/cmd/a/b/request",
            "qrisd/v1/vm-001/vend/request",
        ] {
            assert_eq!(command_of(other, &device), None, "{other}");
        }
    }
}
