//! What happens in the world, to whom. This is the ground on which its parts stand: each of them plans events for others. A file for
//! each of those at whom several things happen.

pub mod computer;
pub mod door;
pub mod machine;
pub mod merchant;
pub mod relay;

use super::play::AtSlot;
use super::strike::Who;
use qris_core::order::ids::{ItemId, OrderId, RequestId};
use qris_core::order::tries::TwoDigits;

/// A step of a thief who wants the goods and the money of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Robbery {
    /// He closes its first ticket: the relay signs that nothing was handed out with it.
    Closes,
    /// He asks for another try.
    Asks,
    /// He shows the relay the receipt of that.
    Shows,
}

#[derive(Debug)]
pub enum Event {
    Machine(usize, machine::Arrival),
    Relay(usize, relay::Arrival),
    Computer(usize, computer::Arrival),
    Merchant(merchant::Arrival),
    /// The simulated Midtrans has something to send.
    MidtransDue,
    /// A customer pays the charge that was on the screen.
    Pays {
        payload: Box<str>,
        force: bool,
    },
    PaysAtStore {
        code: Box<str>,
        force: bool,
    },
    /// The store takes it back.
    Reverses(Box<str>),
    /// The customer is back and types in the code.
    Collects {
        code: Box<str>,
        tries: u32,
    },
    /// A time server has told a machine the time.
    ClockIsSet(usize),
    /// A controller asks.
    Vends,
    /// The operator wants another price.
    Sets,
    /// Somebody on the board holds a machine.
    Holds,
    /// Somebody does something to the slots of the machines.
    Fills,
    /// A slot gets other goods.
    OtherGoods,
    /// Somebody does this to the first slot of the machine of a play.
    AtSlot(AtSlot),
    /// Somebody fills a machine by its buttons.
    Door(usize, door::DoorAction),
    /// Somebody presses for another try.
    Tries(usize, Option<RequestId>),
    /// Who pressed for another try presses the same button once more.
    PressesAgain(usize, ItemId),
    /// A customer wants another try, on the order's page.
    Wishes(OrderId),
    /// Somebody tells the number that a machine shows, or guesses it: on the page, or to a person.
    TellsNumber(OrderId, TwoDigits, bool),
    /// A customer says that somebody else has the goods of a second try.
    Complains(OrderId),
    /// The operator wants the block taken off a line.
    Clears,
    /// The operator wants something done, or sends a command again.
    Commands(Option<usize>),
    /// The controller of a play asks.
    Asks(&'static str),
    /// A customer comes when all is well: by number.
    BuysAgain(u32),
    /// A controller asks once more, or for something else under the same name.
    Repeats(String),
    /// A controller or customer wants it cancelled.
    Cancels(u64),
    /// The merchant sees to an order.
    MerchantLooks,
    /// From now on all is well.
    Heals,
    /// A disk has failed a program, which is killed now.
    Falls(Who),
    Flips,
    /// A fault happens, or somebody is hostile.
    Mischief,
    Ends(Outage),
    /// The power of a machine goes at a chosen moment.
    PowerCut(usize),
    /// A disk can be written again.
    DiskWorks(usize, &'static str),
    /// One of two machines with the same card is thrown away.
    Scrapped,
    /// A merchant compares the books with Midtrans', as every night.
    Reconciles,
    /// The judge looks for money that may go back by itself.
    MoneyIsOwed,
    /// Whoever has the machine wants the goods and the money of an order.
    Robs(OrderId, Robbery),
    /// A copy of the books replaces them.
    Restores,
    /// Whoever has the machine tells restored books what the relay signed long ago.
    TellsOldWord,
    WantsMoney(OrderId),
    /// Somebody refunds an order at Midtrans' dashboard, while it is tried once more: all of it, or a part.
    AtDashboard(OrderId, i64),
    /// The connection to the broker is made anew, as happens now and then.
    Reconnects,
}

#[derive(Debug, Clone, Copy)]
pub enum Outage {
    Broker,
    Bus,
    Http,
    Midtrans,
    /// The clock of the backend's computer is wrong.
    Clock,
}
