//! What happens at a machine, and what it asks of others.

use qris_core::order::ids::{CommandId, ItemId, OrderId, Ticket};
use qris_core::order::ledger::Again;
use qris_core::order::machine::RelayCall;
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::DispenseAnswer;
use qris_core::order::tries::TryNumber;
use qris_core::wire::relay::RelayFacts;
use qris_device::words::{BackendAnswer, Operated, PrepareError, RelayAnswer, SystemAnswer};
use qris_host::mqtt::PublishId;

#[derive(Debug)]
pub enum Arrival {
    Starts {
        run: u64,
    },
    Woken {
        run: u64,
    },
    ServiceAnswer(Caller, ServiceAnswer),
    Timeout(Caller),
    RelayUp(RelayFacts),
    RelayReported(RelayFacts),
    RelayGone,
    Unseen(OrderId, TryNumber),
    Finished(OrderId, TryNumber, DispenseAnswer),
    BrokerUp {
        run: u64,
    },
    /// It asks the backend for the time.
    Time {
        run: u64,
    },
    /// A message of the broker, by its number, on one connection.
    Delivers {
        connection: u64,
        message: u64,
    },
    /// RAUC or the computer has answered.
    System {
        run: u64,
        answer: SystemAnswer,
    },
    /// A command of the operator, by its number, from one of the desks.
    Commanded {
        run: u64,
        number: usize,
        desk: usize,
    },
    /// The computer has done what was ordered, or not.
    Operated {
        run: u64,
        id: CommandId,
        answer: Operated,
    },
    /// The broker has the published message.
    Published {
        connection: u64,
        id: PublishId,
        event: Option<Vec<u8>>,
    },
    /// The broker does not have it.
    Unpublished {
        run: u64,
        id: PublishId,
    },
    ScreenBack,
}

/// The caller: one call of one run of the program on one of the machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    pub m: usize,
    pub run: u64,
    pub call: u64,
}

impl Caller {
    /// The name of this start.
    pub fn start(&self) -> String {
        format!("{}-{}", self.m, self.run)
    }
}

#[derive(Debug)]
pub enum ServiceAnswer {
    Prepared(Result<Ticket, PrepareError>),
    PreparedAgain(Result<(Ticket, Box<str>), PrepareError>),
    Relay(RelayAnswer),
    Facts(RelayFacts),
    Backend(BackendAnswer),
    /// A line is no longer blocked.
    Cleared,
}

/// A call to the relay.
#[derive(Debug)]
pub enum Call {
    Prepare(ItemId, Rupiah),
    PrepareAgain(ItemId, Rupiah, Again),
    Order(RelayCall),
    Facts,
    /// With an operator's signature.
    Test(Box<str>),
    Clear(Box<str>),
}
