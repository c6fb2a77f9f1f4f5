//! What happens at the computer of a machine.

/// News of an installation.
#[derive(Debug)]
pub enum Arrival {
    Percent {
        installation: u64,
        percent: i32,
    },
    Ends {
        installation: u64,
        end: End,
    },
    /// This run of the program waits until RAUC installs nothing.
    Looks {
        run: u64,
    },
}

#[derive(Debug, Clone, Copy)]
pub enum End {
    /// The system is there.
    Whole,
    /// RAUC ended in the middle of it.
    CutOff,
}
