//! Orders: found, and one with all that happened to it.

use super::LogLine;
use crate::order::ids::DeviceId;
use crate::order::merchant::NumberStands;
use crate::order::outcome::Delivery;
use crate::order::reason::Reason;
use crate::order::tries::TwoDigits;
use crate::wire::deed::Sure;
use crate::wire::people::OrderLine;
use serde::{Deserialize, Serialize};

/// The longest note about money that went back by hand, in characters.
pub const NOTE_MAX: usize = 200;

/// `POST /v1/orders/ORDER/DEED`. The answer is `Envelope<OrderPage>`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Do {
    /// How it was paid back by hand, for the books; else empty.
    pub note: Box<str>,
    /// The number that the customer told; only of [`Deed::Number`].
    pub number: Option<TwoDigits>,
    /// What this person has looked at.
    pub is_sure: Option<Sure>,
    /// Of goods that were handed over: whether they were taken out of the machine's slot, which nobody has counted since. `None`: of every other
    /// deed.
    #[serde(default)]
    pub from_slot: Option<bool>,
    /// [`OrderPage::version`] that the person has seen. Is it another one now, nothing is done, and the answer is [`super::Problem::Changed`].
    pub version: u64,
}

/// `GET /v1/orders?q=…&device=…&behind=…`: orders by the first letters of their number, by sum and time, by machine, by goods. `q` is
/// what a person types: `4TS65`, `keripik`, `5000`, `Rp5.000`, `5.000 15:00`, `15:00`, `yesterday about three`, `27-11`; nothing: the newest.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// The newest first; with a time, the nearest first.
    pub orders: Vec<OrderLine>,
    /// What the rows behind these are asked by. `None`: there are none.
    pub behind: Option<Box<str>>,
    /// The numbers of those whose rows in the database are damaged.
    pub damaged: Vec<Box<str>>,
    /// The search was understood as this.
    pub by: SearchedBy,
}

/// How a search was understood.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SearchedBy {
    /// The first letters of a number.
    pub number: Option<Box<str>>,
    /// An order of this number is archived, and not in the list.
    pub is_archived: bool,
    /// A sum, in rupiah.
    pub amount: Option<u64>,
    /// About this time.
    pub near: Option<Box<str>>,
    /// On the day that begins then.
    pub day: Option<Box<str>>,
    /// This machine.
    pub device: Option<DeviceId>,
    /// One of these goods.
    pub goods: Vec<Box<str>>,
    /// What was typed was not understood. The newest orders are shown.
    pub is_unclear: bool,
    /// All that want a person.
    pub is_wanting: bool,
}

/// `GET /v1/orders/ORDER`; `ORDER` may be the first letters of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OrderPage {
    /// As in a list.
    pub line: OrderLine,
    /// Another one as soon as what a person sees of it is not the same.
    pub version: u64,
    /// What happened, the oldest first.
    pub steps: Vec<OrderStep>,
    /// All of its history, in the books' own words, which are English.
    pub history: Vec<HistoryLine>,
    /// The app that paid, if the gateway says it.
    pub app: Option<Box<str>>,
    /// What a phone and a terminal did about it, by name.
    pub log: Vec<LogLine>,
    /// Its customer can collect it until then, with the code that was paid at a counter.
    pub collect_until: Option<Box<str>>,
    /// Another try is offered until then. `None`: none is.
    pub again_until: Option<Box<str>>,
    /// Whether its machine has shown it since it was asked for, by the machine's own word at the broker. `None`: nobody has asked for it, or
    /// knows.
    pub again_shown: Option<AgainShown>,
    /// How the number stands that the machine shows for another try. The number itself is not told.
    pub number: Option<NumberStands>,
    /// [`Deed::Again`] of now would offer one until then. `None`: it is not possible.
    pub would_be_until: Option<Box<str>>,
    /// Its refund was asked for, and the gateway has not yet told that it made it: it could not be reached, or its answer does not say. It is
    /// asked again at this time, by itself. `None`: no refund waits for that.
    pub refund_asked_again_at: Option<Box<str>>,
}

/// Whether a machine has shown an offer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum AgainShown {
    NotYet,
    /// It began then.
    From {
        at: Box<str>,
    },
}

/// Something that happened to an order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OrderStep {
    /// When; `None`: nobody noted it.
    pub at: Option<Box<str>>,
    pub what: What,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum What {
    /// A customer began it.
    Began,
    /// Its QR or code could be paid.
    Charged {
        /// Until then.
        until: Box<str>,
    },
    Paid {
        /// In rupiah.
        amount: u64,
    },
    /// The machine told an outcome.
    Told {
        outcome: Delivery,
        reason: Option<Reason>,
        /// Its relay has signed it.
        is_signed: bool,
    },
    /// It ended without a payment.
    Unpaid,
    /// The counter or the bank took the money back.
    TakenBack,
    /// The gateway was asked to send the money back.
    RefundAsked {
        /// By whom; `None`: by the backend itself.
        by: Option<Box<str>>,
    },
    /// It does not.
    RefundRefused {
        /// The gateway's reason.
        why: Box<str>,
    },
    /// It did.
    Refunded,
    /// A person gave it back.
    RefundedByHand {
        /// Who, if it was said.
        by: Option<Box<str>>,
        note: Box<str>,
    },
    /// A person handed the goods over.
    Given { by: Box<str> },
    /// A person of the desk had another try offered.
    Offered { by: Box<str> },
    /// The customer pressed for another try.
    TriedAgain {
        /// Which: 2, 3, …
        number: u32,
        /// What people call its goods, or their slot.
        goods: Box<str>,
    },
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HistoryLine {
    pub at: Box<str>,
    /// What, in English.
    pub event: Box<str>,
}
