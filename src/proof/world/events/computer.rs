//! What happens at the computer of a machine.

/// News of an installation.
#[derive(Debug)]
pub enum Arrival {
    /// So much of it is done.
    Percent { installation: u64, percent: i32 },
    /// It is at its end, and this is its end.
    Ends { installation: u64, end: End },
    /// This run of the program waits until RAUC installs nothing.
    Looks { run: u64 },
}

/// How an installation ends.
#[derive(Debug, Clone, Copy)]
pub enum End {
    /// The system is there.
    Whole,
    /// RAUC ended in the middle of it.
    CutOff,
}
