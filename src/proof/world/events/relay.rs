//! What happens at a relay.

use super::machine::{Call, Caller};
use qris_core::order::ledger::Cause;

#[derive(Debug)]
pub enum Arrival {
    Starts {
        run: u64,
    },
    Call {
        call: Call,
        from: Caller,
    },
    /// Somebody else on the bus.
    Stranger {
        receipt: String,
    },
    /// Somebody else on the bus has an operator's command.
    StrangersCommand {
        number: usize,
        jws: String,
    },
    LineEnds {
        run: u64,
        line: usize,
    },
    /// The time for late goods is over, or they fall.
    LateEnds {
        run: u64,
        line: usize,
        jammed: bool,
    },
    /// Something passes the sensor after the end.
    Hand {
        run: u64,
    },
    /// What was in the beam is gone.
    BeamFree,
    /// `Dispense` is answered within 20 s.
    Waited {
        run: u64,
        cause: Cause,
    },
    /// The ledger is looked at again.
    Tick {
        run: u64,
    },
    /// The bus tells the machine of the relay.
    Appears {
        run: u64,
    },
    /// A person has looked at the line.
    Cleared,
}
