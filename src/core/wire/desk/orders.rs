use super::LogLine;
use crate::order::ids::{DeviceId, ItemId, OrderId};
use serde::{Deserialize, Serialize};

/// The longest note about money that went back by hand, in characters.
pub const NOTE_MAX: usize = 200;

/// An order in a list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OrderLine {
    /// Its number.
    pub order: OrderId,
    /// When it began.
    pub at: Box<str>,
    /// Its machine.
    pub device: DeviceId,
    /// What people call the machine.
    pub machine: Option<Box<str>>,
    /// The slot.
    pub item: ItemId,
    /// What people call its goods.
    pub goods: Option<Box<str>>,
    /// What its customer paid; the price where nobody paid yet.
    pub amount: u64,
    /// What of that is left to give back: a part may have gone back already.
    pub to_return: u64,
    /// What became of it: a word of [`Stands`].
    pub stands: Stands,
    /// Why a person must look: words of `Attention` (`qris-backend orders --attention`), the most urgent first.
    pub why: Vec<Box<str>>,
    /// The last day on which the gateway sends the money back, `2026-12-31`. `None`: there is no such day, or nothing is owed.
    pub last_day: Option<Box<str>>,
    /// What can be done here and now, by the person who asks. Nothing of an order that wants nobody.
    pub deeds: Vec<Possible>,
}

/// How an order stands, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stands {
    /// Its QR or code can be paid.
    Open,
    /// It ended, and nobody paid.
    Unpaid,
    /// Nobody confirms whether it is paid.
    Unconfirmed,
    /// Paid just now, or not collected yet.
    Awaited,
    /// The goods came.
    Delivered,
    /// A person handed the goods over.
    Given,
    /// The customer is owed the money.
    RefundDue,
    /// The gateway is being asked to send the money back.
    Refunding,
    /// The gateway sent the money back.
    Refunded,
    /// A person gave the money back.
    RefundedByHand,
    /// Nobody knows whether the goods came.
    Uncertain,
    /// The machine told nothing in time.
    Unreported,
    /// The counter or the bank took the money back.
    TakenBack,
}

/// What a person does about a paid order. `qris-backend` has the same: `refund`, `refund --settled-by-hand`, `given`, `again`, `seen`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// The money goes back through the gateway.
    Refund,
    /// I paid it back by hand.
    ByHand,
    /// The goods were handed over.
    Given,
    /// The machine offers another try.
    Again,
    /// I have seen it.
    Seen,
}

impl Deed {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Refund, Self::ByHand, Self::Given, Self::Again, Self::Seen];

    /// Its word in an address.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refund => "refund",
            Self::ByHand => "by_hand",
            Self::Given => "given",
            Self::Again => "again",
            Self::Seen => "seen",
        }
    }
}

/// Whether a deed can be done, by the very code that does it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Possible {
    /// The deed.
    pub deed: Deed,
    /// What the person must say first, beside the deed.
    pub is_sure: Option<Sure>,
    /// Why it is not possible: a word of [`Denied`]. `None`: it is.
    pub denied: Option<Denied>,
}

/// What a person must have looked at before a deed is taken, and answers for by name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sure {
    /// The machine told no outcome, and will hand nothing out any more (`--no-report`).
    NoReport,
    /// The relay has not signed that nothing came out (`--no-proof`).
    NoProof,
    /// An earlier refund may have been made, and somebody has looked that it was not.
    NotRefunded,
}

/// Why a deed is not possible. But for the last two it is what `qris-backend` says, too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denied {
    /// Another outcome was told before, and stands.
    OutcomeStands,
    /// It is not paid.
    NotPaid,
    /// It has not ended yet.
    NotEnded,
    /// The goods came.
    Delivered,
    /// The machine told no outcome.
    NotReported,
    /// It is too early.
    TooEarly,
    /// The gateway is being asked.
    RefundUnderWay,
    /// An earlier refund may have been made.
    RefundUnsure,
    /// It is refunded.
    RefundedAlready,
    /// The goods were handed over.
    Given,
    /// The money was taken back.
    TakenBack,
    /// The relay's word is missing.
    NoProof,
    /// The gateway does not refund this kind of payment.
    NotByApi,
    /// The gateway does not refund it any more.
    OnlyByHand,
    /// There is nothing to see.
    NothingToSee,
    /// The merchant offers no other try.
    TryOff,
    /// The goods may have come, so there is no other try.
    Uncertain,
    /// The money goes back, or the goods were handed over: there is no other try.
    Repaid,
    /// What is known of it does not agree, so there is no other try.
    Doubtful,
    /// The gateway's time for a refund would be over before another try is.
    TryTooLate,
    /// It had all its tries.
    NoMoreTries,
    /// Its machine had all its tries of 24 hours.
    TriesOfToday,
    /// This person only sees.
    Role,
    /// It is more than this person may do in a day.
    Limit,
}

/// `POST /v1/orders/ORDER/DEED`. The answer is `Told<OrderPage>`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Do {
    /// How it was paid back by hand, for the books; else empty.
    pub note: Box<str>,
    /// What this person has looked at.
    pub is_sure: Option<Sure>,
    /// [`OrderPage::version`] that the person has seen. Is it another one now, nothing is done, and the answer is [`super::Code::Changed`].
    pub version: u64,
}

/// `GET /v1/orders?q=…&device=…&behind=…`: orders by the first letters of their number, by sum and time, by machine. `q` is what a
/// person types: `4TS65`, `5000`, `Rp5.000`, `5.000 15:00`, `15:00`, `yesterday about three`, `27-11`; nothing: the newest.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// The newest first; with a time, the nearest first.
    pub orders: Vec<OrderLine>,
    /// What the page behind each of them is asked by. Behind the last one there may be nothing; of some lists there is one page only.
    pub behind: Vec<Box<str>>,
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
    pub steps: Vec<Step>,
    /// All of its history, in the books' own words, which are English.
    pub history: Vec<HistoryLine>,
    /// The gateway's number of it, for its dashboard.
    pub transaction: Option<Box<str>>,
    /// How it was paid: `qris`, `gopay`, a store.
    pub payment: Box<str>,
    /// The app that paid, if the gateway says it.
    pub app: Option<Box<str>>,
    /// What a phone and a terminal did about it, by name.
    pub log: Vec<LogLine>,
    /// Its customer can collect it until then, with the code that was paid at a counter.
    pub collect_until: Option<Box<str>>,
    /// Another try is offered until then. `None`: none is.
    pub again_until: Option<Box<str>>,
    /// [`Deed::Again`] of now would offer one until then. `None`: it is not possible.
    pub would_be_until: Option<Box<str>>,
    /// Its refund was asked for, and the gateway has not yet told that it made it: it could not be reached, or its answer does not say. It is
    /// asked again at this time, by itself. `None`: no refund waits for that.
    pub refund_asked_again_at: Option<Box<str>>,
}

/// Something that happened to an order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// When; `None`: nobody noted it.
    pub at: Option<Box<str>>,
    /// What.
    pub what: What,
}

/// What happened.
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
    /// It was paid.
    Paid {
        /// In rupiah.
        amount: u64,
    },
    /// The machine told an outcome.
    Told {
        /// `dispensed`, `failed`, `uncertain` or `undelivered`.
        outcome: Box<str>,
        /// The word for the reason.
        reason: Option<Box<str>>,
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
        /// How.
        note: Box<str>,
    },
    /// A person handed the goods over.
    Given {
        /// Who.
        by: Box<str>,
    },
    /// A person of the desk had another try offered.
    Offered {
        /// Who.
        by: Box<str>,
    },
    /// The customer pressed for another try.
    TriedAgain {
        /// Which: 2, 3, …
        number: u32,
        /// What people call its goods, or their slot.
        goods: Box<str>,
    },
}

/// A line of the history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HistoryLine {
    /// When.
    pub at: Box<str>,
    /// What, in English.
    pub event: Box<str>,
}
