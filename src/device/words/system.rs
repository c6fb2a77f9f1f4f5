//! The system that runs, and what RAUC or the computer is asked about it.

use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct System {
    pub slot: Box<str>,
    /// When it was installed, in RAUC's words. Empty: RAUC does not know.
    pub installed: Box<str>,
}

/// A question or an order to RAUC or the computer that has nothing to do with a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SystemCall {
    GetRunning,
    /// Call the one that runs good: the bootloader keeps it.
    MarkGood,
    Reboot,
    /// Wait until RAUC installs nothing.
    AwaitIdle,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SystemAnswer {
    Runs {
        system: System,
        /// RAUC installs another one now.
        is_installing: bool,
    },
    Good,
    /// The installation has come further. Then [`SystemAnswer::Idle`] still follows.
    GoesOn,
    Idle,
    /// Nobody knows. The same call again does no harm.
    NoAnswer,
}
