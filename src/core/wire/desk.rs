//! What the desk (`qris-desk`) asks of the backend, and what it is told. The desk is a program of its own, without the books and without
//! a key. It asks over a local socket, by HTTP with JSON, and each question carries the session of a person: the backend judges by
//! that who asks, and what this person may do. Both programs come in one package, so both know the same words.
//!
//! Times are RFC 3339 in the merchant's zone. Money is whole rupiah.

use super::status::FaultCode;
use super::stock::Slot;
use crate::order::ids::{DeviceId, ItemId, OrderId};
use crate::order::time::Zone;
use serde::{Deserialize, Serialize};

/// The header with the address from which a person asks, as the reverse proxy has seen it.
pub const FROM: &str = "x-desk-from";
/// The longest name of a person, in characters.
pub const NAME_MAX: usize = 40;
/// The shortest password, in characters (NIST SP 800-63B, section 3.1.1.2).
pub const PASSWORD_MIN: usize = 10;
/// The longest password, in bytes: a longer one costs time, and no safety.
pub const PASSWORD_MAX: usize = 256;
/// The longest note about money that went back by hand, in characters.
pub const NOTE_MAX: usize = 200;

/// What a person may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees.
    Viewer,
    /// Sees, and settles orders.
    Owner,
}

/// `POST /v1/invitation`: whom does this link invite? It stays good.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knock {
    /// The secret of the link.
    pub code: Box<str>,
}

/// The answer: who is invited.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Invited {
    /// The person.
    pub name: Box<str>,
    /// What this person will be allowed.
    pub role: Role,
}

/// `POST /v1/join`: the link is used, once. All other sessions of this person end.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The secret of the link.
    pub code: Box<str>,
    /// The password that was chosen: [`PASSWORD_MIN`] characters to [`PASSWORD_MAX`] bytes.
    pub password: Box<str>,
    /// The kind of browser, for the list of sessions.
    pub browser: Box<str>,
}

/// `POST /v1/login`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The person.
    pub name: Box<str>,
    /// Their password.
    pub password: Box<str>,
    /// [`Opened::device`] of an earlier session on this device. Guesses by others do not make this device wait.
    pub device: Option<Box<str>>,
    /// The kind of browser, for the list of sessions.
    pub browser: Box<str>,
}

/// A session has begun.
#[derive(Clone, Serialize, Deserialize)]
pub struct Opened {
    /// The secret of the session. It goes into a cookie, and comes back with each question as `Authorization: Bearer`.
    pub session: Box<str>,
    /// What this device is known by from now on.
    pub device: Box<str>,
    /// The session lasts so many seconds at most.
    pub seconds: u64,
}

/// Every answer to a person with a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Told<T> {
    /// Who asked.
    pub me: Me,
    /// What was asked for.
    pub told: T,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Me {
    /// The person.
    pub name: Box<str>,
    /// What this person may do.
    pub role: Role,
    /// How much money this person may still send back or write off today, in rupiah.
    pub left_today: u64,
    /// The merchant's name, if it has one.
    pub merchant: Option<Box<str>>,
    /// The merchant's zone.
    pub zone: Zone,
    /// The time at the backend.
    pub now: Box<str>,
    /// The money is not real.
    pub sandbox: bool,
    /// Orders that want a person: the number on the page's head.
    pub wanting: u64,
    /// The backend hears what machines say at the broker. If not, it cannot know of a machine that it is there.
    pub hears: bool,
}

/// `GET /v1/sessions`: the sessions of this person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Its number, which is no secret.
    pub number: u64,
    /// When it began.
    pub began_at: Box<str>,
    /// When it was used last.
    pub used_at: Box<str>,
    /// From where.
    pub from: Box<str>,
    /// The kind of browser.
    pub browser: Box<str>,
    /// It is the one that asks.
    pub is_this: bool,
}

/// `POST /v1/sessions/end`: the sessions that end. `POST /v1/logout` ends the one that asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndSession {
    /// That of this [`Session::number`].
    Number(u64),
    /// All of this person, the one that asks too.
    All,
}

/// Orders, and the sum that their customers paid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Sum {
    /// The number of orders.
    pub orders: u64,
    /// The sum, in rupiah.
    pub amount: u64,
}

/// `GET /v1/today`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Today {
    /// What was sold since midnight.
    pub sold: Sum,
    /// What was sold yesterday until this time of day.
    pub yesterday: Sum,
    /// What was sold a week ago until this time of day.
    pub week_ago: Sum,
    /// What was sold in each hour of today, from midnight to the present one.
    pub hours: Vec<Sum>,
    /// What is owed to customers, in all.
    pub owed: Sum,
    /// The orders that want a person: those with money first, and of those the one whose last day is next.
    pub wanting: Vec<OrderLine>,
    /// The numbers of those whose rows in the database are damaged.
    pub damaged: Vec<Box<str>>,
    /// There are more of them.
    pub more: bool,
    /// The machines that want a person, with [`MachineLine::trouble`].
    pub machines: Vec<MachineLine>,
    /// The number of all machines that are let in.
    pub all_machines: u64,
}

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
    /// [`OrderPage::version`] that the person has seen. Is it another one now, nothing is done, and the answer is [`Code::Changed`].
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
    /// Counts what was written to it.
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
    /// Another try is offered until then. `None`: none is.
    pub again_until: Option<Box<str>>,
    /// [`Deed::Again`] of now would offer one until then. `None`: it is not possible.
    pub would_be_until: Option<Box<str>>,
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

/// A line of the log that nobody edits. `GET /v1/log?behind=…` has 50 of them, the newest first, for owners; `behind` is the number of the
/// last one of the page before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogLine {
    /// Its number.
    pub number: u64,
    /// When.
    pub at: Box<str>,
    /// Who.
    pub who: Box<str>,
    /// From where; `None`: at the backend's own terminal.
    pub from: Option<Box<str>>,
    /// What: a [`Deed`], `login`, `join`, `end_session`, `end_sessions`, `add`, `link`, `role`, `remove`, or `denied` before a deed's word.
    pub what: Box<str>,
    /// Of this order.
    pub order: Option<OrderId>,
    /// More about it: a note, a person, a reason.
    pub detail: Option<Box<str>>,
}

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
    /// Its id.
    pub device: DeviceId,
    /// What people call it.
    pub name: Option<Box<str>>,
    /// Whether it is there; `None`: nobody knows.
    pub is_there: Option<bool>,
    /// Since when.
    pub since: Option<Box<str>>,
    /// Why it wants a person, the worst first.
    pub trouble: Vec<Trouble>,
    /// Its faults.
    pub faults: Vec<FaultCode>,
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
    /// The goods, and that a sale may not work: the backend is not reached.
    Offline,
    /// It waits for a QR.
    Preparing,
    /// A QR or code.
    Payable {
        /// The order.
        order: OrderId,
        /// In rupiah.
        amount: u64,
        /// Until then.
        until: Box<str>,
    },
    /// It hands out what was paid, or says what became of it.
    Paid {
        /// The order.
        order: OrderId,
    },
    /// It offers another try of it.
    TryAgain {
        /// The order.
        order: OrderId,
    },
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

/// What the sums of a report are told by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Each machine.
    Machine,
    /// Each kind of goods.
    Item,
    /// GoPay, QRIS with the app that paid, a counter.
    Scheme,
    /// Each day.
    Day,
}

/// `GET /v1/report?day=2026-11-27&by=item`, or `month=2026-11`. `GET /v1/report.csv` with the same has what `qris-backend report --csv`
/// prints.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Everything.
    pub total: ReportLine,
    /// By the wanted groups, the most money first; days in their order.
    pub groups: Vec<ReportLine>,
    /// Requests that machines refused because nothing was left, by goods.
    pub refused: Vec<(Box<str>, u64)>,
    /// Orders of this time that are archived, and not in these sums.
    pub archived: u64,
}

/// A line of a report. `paid` is the sum of all others.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ReportLine {
    /// Its name: of a machine, goods, a scheme, a day. Empty for the total.
    pub name: Box<str>,
    /// Everything that was settled.
    pub paid: Sum,
    /// Delivered or handed over.
    pub sold: Sum,
    /// Owed to customers.
    pub owed: Sum,
    /// Went back, in whichever way, or was taken back.
    pub back: Sum,
    /// Uncertain, unreported or awaited.
    pub unclear: Sum,
    /// What the gateway should pay out; `None`: not known of all payments.
    pub payout: Option<i64>,
}

/// `GET /v1/to-bring?behind=vm-007`: what to bring to the machines, those behind this one; without it those from the first one on. Some hundred
/// slots are told at a time, more than a page has. `GET /v1/to-bring.csv` has what `qris-backend stock --to-fill --csv` prints.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ToBring {
    /// The machines to go to, with the slots in which something fits.
    pub machines: Vec<Load>,
    /// The sums by goods of all machines, the most first. None behind a machine.
    pub goods: Vec<(Box<str>, u64)>,
}

/// What to bring to a machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Load {
    /// The machine.
    pub device: DeviceId,
    /// What people call it.
    pub name: Option<Box<str>>,
    /// When it told its slots.
    pub at: Option<Box<str>>,
    /// Its slots.
    pub slots: Vec<SlotLine>,
}

/// Why a question was not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The session is over, or never was (401).
    NotIn,
    /// The name or the password is wrong (403). Which of the two nobody is told.
    WrongPassword,
    /// The link was used, or its time is over (410).
    LinkOver,
    /// There were too many guesses: `wait_s` (429).
    Wait,
    /// The password is too short or too long (422).
    Password,
    /// This is not possible: `denied` says why (409, or 403 for a role or limit).
    Denied,
    /// The order was written to since the person saw it (409). Look again.
    Changed,
    /// There is no such thing (404). Of the first letters of a number, several orders may have them: `several`.
    Unknown,
    /// The order is over, and was moved to an archive (410).
    Archived,
    /// Its row in the database is damaged (500).
    Damaged,
    /// The question is not understood (422).
    Malformed,
    /// The books cannot be read or written now (503). Nothing was lost.
    Away,
}

/// The answer where there is none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// Its code.
    pub code: Code,
    /// Of [`Code::Denied`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied: Option<Denied>,
    /// Of [`Code::Wait`], in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_s: Option<u64>,
    /// Of [`Code::Unknown`]: several have these first letters.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub several: bool,
    /// For the journal, in English, without a secret.
    pub detail: Box<str>,
}

/// Secrets are not for journals.
macro_rules! hidden {
    ($($Name:ident),+) => {
        $(impl std::fmt::Debug for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($Name)).finish_non_exhaustive()
            }
        })+
    };
}

hidden!(Knock, Join, Login, Opened);
