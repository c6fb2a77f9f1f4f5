//! The payments in a span of days, and what became of them. It has only sums, by the time of settlement: of all, and by machine,
//! item, scheme, day or month.

use crate::csv::{Separator, csv_record, csv_text};
use crate::money::sums::{Sum, Sums};
use crate::money::takings::{Fees, Taking};
use crate::sale::books::{self, BooksError, Cursor, Grouped};
use crate::sale::counted::{self, scheme_in_full};
use crate::sale::view::people::{RefundUntil, refund_until};
use crate::store::Tx;
use clap::ValueEnum;
use qris_core::order::ids::DeviceId;
use qris_core::order::merchant::{Attention, End, Order};
use qris_core::order::time::{Span, Told, Wall, Zone};
use qris_host::speech::fill;
use qris_host::texts;
use std::collections::BTreeMap;
use std::fmt::Display;

texts! {
    ends_differ: "{0} pesanan dibayar {1}, dan {2} senilai {3} punya hasil akhir", "{0} orders were paid {1}, and {2} of {3} have an end";
    groups_differ: "{0}: {1} pesanan senilai {2}, dan {3} senilai {4} di baris-barisnya", "{0}: {1} orders of {2}, and {3} of {4} in the groups";
    ends_counted_differ: "{0}: basis data menghitung {1} pesanan senilai {2} rupiah, isi barisnya {3} senilai {4}", "{0}: the database counts {1} orders of {2} rupiah, their bodies say {3} of {4}";
    counts_differ: "basis data menghitung {0} pesanan senilai {1} rupiah, isi barisnya {2} senilai {3}", "the database counts {0} orders of {1} rupiah, their bodies say {2} of {3}";
}

/// What the sums of a report are told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum By {
    /// Each machine
    #[default]
    Machine,
    /// Each kind of goods, by its name; the slot if it has none
    Item,
    /// Each scheme: GoPay, QRIS with the app that paid, a counter
    Scheme,
    /// Each day
    Day,
    /// Each month
    Month,
}

impl By {
    /// The field of CSV and JSON that names one of them.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Machine => "device",
            Self::Item => "item",
            Self::Scheme => "scheme",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// All of them, in JSON.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Machine => "machines",
            Self::Item => "items",
            Self::Scheme => "schemes",
            Self::Day => "days",
            Self::Month => "months",
        }
    }

    fn of(self, order: &Order, settled_at: Wall, zone: Zone) -> String {
        match self {
            Self::Machine => order.sale.device.to_string(),
            Self::Item => counted::goods(order).into(),
            Self::Scheme => scheme_in_full(order),
            Self::Day => settled_at.to_local(zone)[..10].into(),
            Self::Month => settled_at.to_local(zone)[..7].into(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct ReportQuery {
    pub device: Option<DeviceId>,
    /// Settled from this time on, and before that one.
    pub span: (Wall, Wall),
    pub by: By,
    pub zone: Zone,
    pub fees: Fees,
    pub now: Wall,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SalesReport {
    pub total: Sums,
    /// Of each group that has a payment, by name.
    pub groups: BTreeMap<String, Sums>,
    /// The machines' names for people, as far as they told any.
    pub names: BTreeMap<String, Box<str>>,
    /// The same, counted by the database from its columns: the number of orders, and the sum of their prices …
    pub counted: (u64, u64),
    /// … and the sums of each end.
    pub counted_ends: BTreeMap<End, Sum>,
    /// The end of the gateway's time for the first refund of those that are owed, or may be, and whose time is not over.
    pub refund_until: Option<Wall>,
    /// Those whose time is over: they go back only by hand.
    pub only_by_hand: Sum,
}

impl SalesReport {
    pub fn add(&mut self, order: &Order, settled_at: Wall, wanted: &ReportQuery) {
        let taking = Taking::of(order, &wanted.fees);
        match refund_until(order) {
            Some(RefundUntil::At(until)) => self.refund_until = Some(self.refund_until.map_or(until, |first| first.min(until))),
            Some(RefundUntil::Over) => self.only_by_hand.add(taking.paid),
            None => {}
        }
        self.total.add(&taking);
        if let Some(name) = &order.sale.purchase.machine {
            self.names.insert(order.sale.device.to_string(), name.clone());
        }
        self.groups.entry(wanted.by.of(order, settled_at, wanted.zone)).or_default().add(&taking);
    }

    /// The fault in the sums, if there is one. Every paid order must have one end and be in one group, and the database, which counts
    /// by its columns, must find the same orders.
    #[must_use]
    pub fn difference(&self) -> Option<String> {
        let (paid, ends) = (self.total.paid, self.total.of_all_ends());
        if paid != ends {
            return Some(fill(texts().ends_differ, &[&paid.orders, &paid.amount, &ends.orders, &ends.amount]));
        }
        for end in End::ALL {
            let (all, groups) = (self.total.of(end), self.groups.values().fold(Sum::default(), |sum, group| sum.and(group.of(end))));
            if all != groups {
                let values: [&dyn Display; 5] = [&end.as_str(), &all.orders, &all.amount, &groups.orders, &groups.amount];
                return Some(fill(texts().groups_differ, &values));
            }
        }
        for end in End::ALL {
            let (all, counted) = (self.total.of(end), self.counted_ends.get(&end).copied().unwrap_or_default());
            if all != counted {
                let values: [&dyn Display; 5] = [&end.as_str(), &counted.orders, &counted.amount, &all.orders, &all.amount];
                return Some(fill(texts().ends_counted_differ, &values));
            }
        }
        let (orders, prices) = self.counted;
        ((orders, prices) != (paid.orders, self.total.prices))
            .then(|| fill(texts().counts_differ, &[&orders, &prices, &paid.orders, &self.total.prices]))
    }
}

/// Makes the report of one machine or all, in one reading of the books.
/// Damaged rows are left out, and are a difference. `told`: how many orders are read so far, and how many there are.
pub fn make(tx: &mut dyn Tx, wanted: &ReportQuery, mut told: impl FnMut(u64, u64)) -> Result<SalesReport, BooksError> {
    let (device, (from, until)) = (wanted.device.as_ref(), wanted.span);
    let counted = books::settled_totals(tx, device, (from, until))?;
    let ends = books::sums(tx, device, (from, until), Grouped::All)?;
    let counted_ends = ends.into_iter().map(|sum| (sum.end, Sum { orders: sum.orders, amount: sum.amount })).collect();
    let mut report = SalesReport { counted, counted_ends, ..SalesReport::default() };
    let mut behind = Cursor::at(from);
    loop {
        let page = books::settled(tx, device, until, &behind)?;
        let Some(last) = page.behind else { return Ok(report) };
        behind = last;
        for (stored, settled_at) in page.orders.into_iter().zip(page.times) {
            report.add(&stored.order.as_of(Told::trusted(wanted.now)), settled_at, wanted);
        }
        told(report.total.paid.orders, report.counted.0);
    }
}

impl SalesReport {
    /// The report as CSV: one record for each group, and one for all.
    #[must_use]
    pub fn csv(&self, wanted: &ReportQuery, separator: Separator) -> String {
        let mut head = ["from", "to", wanted.by.field(), "paid_orders", "paid_amount", "fees"].map(String::from).to_vec();
        head.extend(End::ALL.iter().flat_map(|end| [format!("{}_orders", end.as_str()), format!("{}_amount", end.as_str())]));
        let besides = Attention::GoodsAndMoney.as_str();
        head.extend([format!("{besides}_orders"), format!("{besides}_amount")]);
        head.extend(["returned", "gateway_fee", "payout"].map(String::from));
        let day = |at: Wall| at.to_local(wanted.zone)[..10].to_owned();
        let (from, to) = (day(wanted.span.0), day(wanted.span.1 - Span::secs(1)));
        let record =
            |name: &str, sums: &Sums| csv_record(&[vec![from.clone(), to.clone(), csv_text(name)], sums.fields()].concat(), separator);
        let groups: String = self.groups.iter().map(|(name, sums)| record(name, sums)).collect();
        // It is the last record. No machine has this name: theirs have no blank.
        csv_record(&head, separator) + &groups + &record(&format!("all {}", wanted.by.plural()), &self.total)
    }
}

#[cfg(test)]
mod tests;
