//! The system that runs, and what RAUC or the computer is asked about it.

use serde::{Deserialize, Serialize};

/// A system that RAUC has installed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct System {
    /// The name of its slot.
    pub slot: Box<str>,
    /// When it was installed, in RAUC's words. Empty: RAUC does not know.
    pub installed: Box<str>,
}

/// A question or an order to RAUC or the computer that has nothing to do with a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SystemCall {
    /// Which system runs?
    GetRunning,
    /// Call the one that runs good: the bootloader keeps it.
    MarkGood,
    /// Restart the computer.
    Reboot,
    /// Wait until RAUC installs nothing.
    AwaitIdle,
}

/// The answer to a [`SystemCall`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SystemAnswer {
    /// This one runs.
    Runs {
        /// The system.
        system: System,
        /// RAUC installs another one now.
        is_installing: bool,
    },
    /// It is called good.
    Good,
    /// The installation has come further. Then [`SystemAnswer::Idle`] still follows.
    GoesOn,
    /// RAUC installs nothing.
    Idle,
    /// Nobody knows. The same call again does no harm.
    NoAnswer,
}
