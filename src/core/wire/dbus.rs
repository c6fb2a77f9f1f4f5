//! Names, outcomes and errors of the D-Bus interfaces `io.qrisd.Relay1` and `io.qrisd.Device1`.

pub use crate::order::outcome::{CloseAnswer, DispenseAnswer};
use crate::order::reason::Reason;
use std::fmt;

/// The relay service's bus name and interface.
pub const RELAY_NAME: &str = "io.qrisd.Relay1";
/// Where its object is.
pub const RELAY_PATH: &str = "/io/qrisd/Relay1";
/// Its property with [what it says of itself](super::relay::RelayFacts), in JSON.
pub const RELAY_FACTS: &str = "Facts";
/// The device service's bus name and interface.
pub const DEVICE_NAME: &str = "io.qrisd.Device1";
/// Where its object is.
pub const DEVICE_PATH: &str = "/io/qrisd/Device1";

macro_rules! relay_errors {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// An error of `io.qrisd.Relay1`. The relay recorded nothing and drove nothing.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum RelayError { $($(#[$doc])* $name,)* }

        impl RelayError {
            /// Every error there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its D-Bus error name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => concat!("io.qrisd.Relay1.Error.", stringify!($name)),)* }
            }
        }
    };
}

relay_errors! {
    /// The receipt is not believed.
    InvalidReceipt,
    /// The command of an operator is not believed, or may not be carried out now or any more.
    CommandRefused,
    /// The receipt, or the caller's configuration, is for another machine.
    WrongDevice,
    /// No line has this item.
    UnknownItem,
    /// This ledger has no such ticket open, or has it for another item or amount.
    UnknownTicket,
    /// Less than the line's `min_amount`, or not a multiple of its `rupiah_per_pulse`.
    Amount,
    /// The line is being driven.
    Busy,
    /// The line is blocked until a person clears it.
    Blocked,
    /// This ledger does not say that nothing came of the try before.
    NoTry,
    /// The line cannot be driven.
    Hardware,
    /// The ledger cannot be written, or is full.
    Ledger,
}

impl RelayError {
    /// Reads a D-Bus error name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|e| e.name() == name)
    }

    /// The reason for refusing a request when `Prepare` answers this.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::UnknownItem => Reason::UnknownItem,
            Self::Busy => Reason::Busy,
            Self::Blocked => Reason::LineBlocked,
            Self::Amount => Reason::WrongAmount,
            Self::InvalidReceipt
            | Self::CommandRefused
            | Self::WrongDevice
            | Self::UnknownTicket
            | Self::NoTry
            | Self::Hardware
            | Self::Ledger => Reason::Relay,
        }
    }
}

impl fmt::Display for RelayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
