//! The sales and what is owed: today, and in a report.

use super::MachineLine;
use crate::wire::people::OrderLine;
use serde::{Deserialize, Serialize};

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

/// `GET /v1/report?day=2026-11-27&by=item`, or `month=2026-11`. `GET /v1/report.csv` with the same and `language=id`
/// has the same for a spreadsheet, in the words and with the separator of that language.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Everything.
    pub total: ReportLine,
    /// By the wanted groups, the most money first; days in their order.
    pub groups: Vec<ReportLine>,
    /// What was settled in each hour of the day, or on each day of the month.
    pub bars: Vec<Sum>,
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
    /// Those of them whose customers got the money, or goods by hand, besides.
    pub goods_and_money: Sum,
    /// Owed to customers.
    pub owed: Sum,
    /// Went back, in whichever way, or was taken back.
    pub back: Sum,
    /// Uncertain, unreported or awaited.
    pub unclear: Sum,
    /// What the gateway should pay out; `None`: not known of all payments.
    pub payout: Option<i64>,
}
