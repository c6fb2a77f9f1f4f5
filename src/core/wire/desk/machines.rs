use super::Sum;
use crate::order::ids::{DeviceId, OrderId};
use crate::wire::people::OrderLine;
use crate::wire::status::FaultCode;
use crate::wire::stock::Slot;
use serde::{Deserialize, Serialize};

/// Why a machine wants a person.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// Nothing is heard of it.
    Silent,
    /// It says a fault.
    Faulty,
    /// The sensor of a slot saw nothing come out.
    Suspect,
    /// A slot is empty.
    SoldOut,
    /// A slot will be empty soon.
    Low,
}

/// A machine in a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MachineLine {
    pub device: DeviceId,
    /// What people call it.
    pub name: Option<Box<str>>,
    /// Whether it is there; `None`: nobody knows.
    pub is_there: Option<bool>,
    pub since: Option<Box<str>>,
    /// The broker says that it is off, since then, and it has not called since. Until it is not there, this is the broker's word alone.
    pub off_since: Option<Box<str>>,
    /// Why it wants a person, the worst first.
    pub trouble: Vec<Trouble>,
    pub faults: Vec<FaultCode>,
    /// The goods that it does not sell because their lines are blocked, as it names them.
    pub blocked: Option<Box<str>>,
    /// The goods of the first slot whose price nothing takes, and how many more slots have such a price.
    pub price_of: Option<(Box<str>, u64)>,
    /// The goods of the first slot of which nothing came out, and of how many more nothing did.
    pub suspect: Option<(Box<str>, u64)>,
    /// The goods of the first slot that is sold out, and how many more slots are.
    pub sold_out: Option<(Box<str>, u64)>,
    /// Its topics that do not get through at the broker.
    pub topics: Vec<Box<str>>,
    /// What it sold since midnight.
    pub sold: Sum,
    /// So many of its slots want to be filled.
    pub to_fill: u64,
}

/// `GET /v1/machines/DEVICE`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MachinePage {
    /// As in the list.
    pub line: MachineLine,
    /// What its screen shows now, as far as the backend knows.
    pub screen: Screen,
    /// Its newest orders.
    pub orders: Vec<OrderLine>,
    /// The numbers of those among them whose rows in the database are damaged.
    pub damaged: Vec<Box<str>>,
    /// Its slots, as it told them last.
    pub slots: Vec<SlotLine>,
    /// When it told them.
    pub slots_at: Option<Box<str>>,
    /// The release of its program.
    pub version: Option<Box<str>>,
}

/// What a screen shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Screen {
    /// The machine is silent, or somebody fills it: nobody knows.
    Unknown,
    /// Nothing: its panel cannot be used.
    Dark,
    /// The goods and their prices.
    Idle {
        /// Some cannot be bought: nothing is left, or nothing came out.
        some_gone: bool,
    },
    /// The machine sells nothing now. Its faults say why.
    OutOfOrder,
    /// The goods and their prices, or that nothing is sold: its faults do not say which.
    Unsure,
    /// The goods, and that a sale may not work: the backend is not reached.
    Offline,
    /// It waits for a QR.
    Preparing,
    /// A QR or code.
    Payable {
        order: OrderId,
        /// In rupiah.
        amount: u64,
        /// Until then.
        until: Box<str>,
    },
    /// It hands out what was paid, or says what became of it.
    Paid { order: OrderId },
    /// It offers another try of it.
    TryAgain { order: OrderId },
}

/// A slot with what follows for its owner.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SlotLine {
    /// As the machine told it.
    pub slot: Slot,
    /// It will be empty in so many days, by the last fortnight.
    pub empty_in_days: Option<u8>,
    /// So many fit into it.
    pub bring: u64,
}

/// A machine that never told what is in it, and what people call it.
pub type Untold = (DeviceId, Option<Box<str>>);

/// `GET /v1/to-bring?behind=vm-007`: what to bring to the machines, those behind this one; without it those from the first one on. Some hundred
/// slots are told at a time, more than a page has. `GET /v1/to-bring.csv?language=id` has all of them for a spreadsheet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ToBring {
    /// The machines to go to, with the slots in which something fits.
    pub machines: Vec<Load>,
    /// The sums by goods of all machines, the most first. None behind a machine.
    pub goods: Vec<(Box<str>, u64)>,
    /// The first machines that never told what is in them, each with what people call it, and how many more there are. None behind a machine.
    pub untold: (Vec<Untold>, u64),
    /// There are more machines behind this one.
    pub behind: Option<DeviceId>,
}

/// What to bring to a machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Load {
    pub device: DeviceId,
    /// What people call it.
    pub name: Option<Box<str>>,
    /// When it told its slots.
    pub at: Option<Box<str>>,
    pub slots: Vec<SlotLine>,
}
