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

/// The goods of the first slot that is so, and how many more slots are.
pub type FirstAndMore = (Box<str>, u64);

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
    /// The goods that it does not sell because their lines are blocked: all, as it names them, or those of the first slot.
    pub blocked: Option<FirstAndMore>,
    /// Of those whose price nothing takes.
    pub price_of: Option<FirstAndMore>,
    /// Of those that nobody has counted.
    pub uncounted: Option<FirstAndMore>,
    /// Of those of which nothing came out.
    pub suspect: Option<FirstAndMore>,
    /// Of those that are sold out.
    pub sold_out: Option<FirstAndMore>,
    /// Of those that will be empty soon.
    pub low: Option<FirstAndMore>,
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

/// The first of some machines, each with what people call it, and how many more there are.
pub type Named = (Vec<(DeviceId, Option<Box<str>>)>, u64);

/// `GET /v1/to-bring?behind=vm-007`: what to bring to the machines, those behind this one; without it those from the first one on. Some hundred
/// slots are told at a time, more than a page has. `GET /v1/to-bring.csv?language=id` has all of them for a spreadsheet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ToBring {
    /// The machines to go to, with the slots in which something fits.
    pub machines: Vec<Load>,
    /// The sums by goods of all machines, the most first. None behind a machine.
    pub goods: Vec<(Box<str>, u64)>,
    /// The machines that never told what is in them. None behind a machine.
    pub untold: Named,
    /// Those that told it, and in which nothing is low. None behind a machine.
    pub well_filled: Named,
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
