//! What is done outside of the machine for a command. Where a command is answered.

use qris_core::wire::command::Problem;
use serde::{Deserialize, Serialize};

/// Where a command is answered: a topic that is this machine's own, and what the asker knows the answer by.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Address {
    pub topic: Box<str>,
    pub correlation: Option<Box<[u8]>>,
}

/// What a command has done outside of the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// This program begins anew. There is no answer but that.
    Restart,
    /// The computer is restarted. There is no answer but that.
    Reboot,
    Install {
        bundle: Box<str>,
        /// An installation that is under way is this one.
        may_join: bool,
    },
    TellSlot {
        /// The system was started just now, and RAUC may not be there yet.
        may_be_late: bool,
    },
    /// The relay service drives a line for a test; with the operator's JWS.
    Test(Box<str>),
    /// The relay service takes the block from a line; with the operator's JWS.
    Clear(Box<str>),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operated {
    Done(serde_json::Value),
    /// It goes on, and this much of it is done.
    Percent(i32),
    /// This slot runs.
    Slot(Box<str>),
    /// The bundle is installed in the slot that does not run.
    Installed,
    Refused(Problem),
    /// Nobody knows. The same operation again does no harm.
    NoAnswer,
}
