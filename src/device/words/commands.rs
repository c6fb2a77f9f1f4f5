//! What is done outside of the machine for a command. Where a command is answered.

use qris_core::wire::command::Problem;
use serde::{Deserialize, Serialize};

/// Where a command is answered: a topic that is this machine's own, and what the asker knows the answer by.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Address {
    /// The response topic.
    pub topic: Box<str>,
    /// The correlation data.
    pub correlation: Option<Box<[u8]>>,
}

/// What a command has done outside of the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// This program begins anew. There is no answer but that.
    Restart,
    /// The computer is restarted. There is no answer but that.
    Reboot,
    /// RAUC installs this bundle.
    Install {
        /// Where it is.
        bundle: Box<str>,
        /// An installation that is under way is this one.
        may_join: bool,
    },
    /// RAUC says which slot runs.
    TellSlot {
        /// The system was started just now, and RAUC may not be there yet.
        may_be_late: bool,
    },
    /// The relay service drives a line for a test; with the operator's JWS.
    Test(Box<str>),
    /// The relay service takes the block from a line; with the operator's JWS.
    Clear(Box<str>),
}

/// What came of an [`Operation`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operated {
    /// It is done, with this result.
    Done(serde_json::Value),
    /// It goes on, and this much of it is done.
    Percent(i32),
    /// This slot runs.
    Slot(Box<str>),
    /// The bundle is installed in the slot that does not run.
    Installed,
    /// It will not be done.
    Refused(Problem),
    /// Nobody knows. The same operation again does no harm.
    NoAnswer,
}
