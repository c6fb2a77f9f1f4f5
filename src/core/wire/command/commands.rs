use crate::order::ids::{ItemId, RequestId};
use crate::order::keys::Level;
use crate::order::stock::Change;
use crate::order::time::Wall;
use crate::text::steers;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// The answer is a picture of what the panel shows. It is the one command that needs no signature.
pub const SCREENSHOT: &str = "screenshot";

/// The most orders of one answer.
pub const NEWEST_MAX: u16 = 1000;
/// The most lines of the journal of one answer.
pub const LINES_MAX: u16 = 1000;

const fn newest() -> u16 {
    20
}

const fn lines() -> u16 {
    100
}

/// A command that an operator has signed, with its arguments. Field names are those of the wire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum Command {
    /// It only reads.
    Query(Query),
    /// It changes something. So it is carried out once, whoever sends it how often.
    Action(Action),
}

/// A command that only reads. Level `view` is enough.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "kebab-case")]
pub enum Query {
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
        #[serde(default = "newest")]
        newest: u16,
    },
    /// Lines of the journal.
    Logs(Logs),
}

/// A command that changes something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "kebab-case")]
pub enum Action {
    /// Cancel a request, as `vend/cancel` does.
    Cancel { request_id: RequestId },
    /// Begin anew with the configuration as it is, as after `systemctl reload`.
    Restart {},
    /// Restart the computer.
    Reboot {},
    /// Install an image, start it, and keep it once it has proven itself.
    Update {
        /// RAUC's bundle: an address that begins with `https://`, or a path on the machine.
        bundle: Box<str>,
    },
    /// Say what lies in a slot, or what was done to it.
    Stock {
        change: Change,
        item: ItemId,
        /// How many. `fill` without a number: it is full.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        n: Option<u32>,
    },
    /// Take the block from the line of an item.
    Clear { item: ItemId },
    /// Drive the line of an item once, for a test.
    TestPulse { item: ItemId },
}

/// The facts of an action, whatever its arguments are.
struct Nature {
    name: &'static str,
    needs: Level,
    is_alone: bool,
    is_at_relay: bool,
}

impl Action {
    const fn nature(&self) -> Nature {
        match self {
            Self::Cancel { .. } => Nature { name: "cancel", needs: Level::Manage, is_alone: false, is_at_relay: false },
            Self::Restart {} => Nature { name: "restart", needs: Level::Manage, is_alone: true, is_at_relay: false },
            Self::Reboot {} => Nature { name: "reboot", needs: Level::Service, is_alone: true, is_at_relay: false },
            Self::Update { .. } => Nature { name: "update", needs: Level::Service, is_alone: true, is_at_relay: false },
            Self::Stock { .. } => Nature { name: "stock", needs: Level::Manage, is_alone: true, is_at_relay: false },
            Self::Clear { .. } => Nature { name: "clear", needs: Level::Service, is_alone: false, is_at_relay: true },
            Self::TestPulse { .. } => Nature { name: "test-pulse", needs: Level::Service, is_alone: true, is_at_relay: true },
        }
    }

    /// Whether no customer may be there when it is done, and no other such action be under way.
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.nature().is_alone
    }

    /// Whether the relay service does it, and believes nobody but the operator.
    #[must_use]
    pub const fn is_at_relay(&self) -> bool {
        self.nature().is_at_relay
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self::Update { bundle } => {
                let is_place = bundle.starts_with("https://") || bundle.starts_with('/');
                if is_place && bundle.len() <= 500 && !bundle.contains(|c: char| steers(c) || c.is_whitespace()) {
                    Ok(())
                } else {
                    Err("bundle must be an address that begins with https://, or a path, of at most 500 bytes".into())
                }
            }
            Self::Cancel { .. } | Self::Restart {} | Self::Reboot {} | Self::Clear { .. } | Self::TestPulse { .. } => Ok(()),
            Self::Stock { change: Change::Other(word), .. } => Err(format!("this release does not know the change {}", word.as_str())),
            Self::Stock { .. } => Ok(()),
        }
    }
}

impl Query {
    const NAMES: [&str; 6] = ["config-get", "diag", "logs", "orders", "status", "vitals"];

    const fn name(&self) -> &'static str {
        match self {
            Self::Status {} => "status",
            Self::ConfigGet {} => "config-get",
            Self::Vitals {} => "vitals",
            Self::Diag {} => "diag",
            Self::Orders { .. } => "orders",
            Self::Logs(_) => "logs",
        }
    }

    fn check(&self) -> Result<(), String> {
        let within = |what: &str, number: u16, max: u16| {
            if (1..=max).contains(&number) { Ok(()) } else { Err(format!("{what} must be 1 to {max}, not {number}")) }
        };
        match self {
            Self::Orders { newest } => within("newest", *newest, NEWEST_MAX),
            Self::Logs(Logs { unit: _, since, priority, text, lines }) => {
                within("lines", *lines, LINES_MAX)?;
                if let Some(since) = since.as_deref().filter(|since| Wall::from_rfc3339(since).is_err()) {
                    return Err(format!("since must be RFC 3339, not {since:?}"));
                }
                if priority.is_some_and(|priority| priority > 7) {
                    return Err("priority must be 0 to 7".into());
                }
                if text.as_deref().is_some_and(|text| text.is_empty() || text.len() > 200 || text.contains(steers)) {
                    return Err("text must have 1 to 200 bytes, and no control characters".into());
                }
                Ok(())
            }
            Self::Status {} | Self::ConfigGet {} | Self::Vitals {} | Self::Diag {} => Ok(()),
        }
    }
}

impl Command {
    /// The names of all commands of this release.
    pub const NAMES: [&str; 14] = [
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
        "stock",
        "test-pulse",
        "update",
        "vitals",
    ];

    /// As it stands in the topic, and in the claim `cmd`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Query(query) => query.name(),
            Self::Action(action) => action.nature().name,
        }
    }

    /// The level that its operator needs.
    #[must_use]
    pub const fn needs(&self) -> Level {
        match self {
            Self::Query(_) => Level::View,
            Self::Action(action) => action.nature().needs,
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Query(query) => query.check(),
            Self::Action(action) => action.check(),
        }
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let fields = Map::deserialize(reader)?;
        let is_query = fields.get("cmd").and_then(Value::as_str).is_some_and(|name| Query::NAMES.contains(&name));
        let fields = Value::Object(fields);
        let read = if is_query { Query::deserialize(fields).map(Self::Query) } else { Action::deserialize(fields).map(Self::Action) };
        read.map_err(D::Error::custom)
    }
}

impl From<Query> for Command {
    fn from(query: Query) -> Self {
        Self::Query(query)
    }
}

impl From<Action> for Command {
    fn from(action: Action) -> Self {
        Self::Action(action)
    }
}

/// Whose lines are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogUnit {
    /// Those of `qrisd` and `qris-relayd`.
    #[default]
    Both,
    /// The sales.
    Qrisd,
    /// The relay.
    QrisRelayd,
    /// The kernel.
    Kernel,
}

/// Which lines of the journal are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Logs {
    /// Whose.
    #[serde(default)]
    pub unit: LogUnit,
    /// Not older than this; RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Box<str>>,
    /// As important as this or more: 0 (emergency) to 7 (debug).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Those that have this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Box<str>>,
    /// The newest so many, at most [`LINES_MAX`].
    #[serde(default = "lines")]
    pub lines: u16,
}
