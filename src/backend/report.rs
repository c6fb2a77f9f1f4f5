//! What was paid in a span of days, and what became of it: sums alone, by the time of settlement.

use super::books::{self, BooksError, Cursor};
use super::store::Tx;
use super::told::{self, End};
use crate::order::ids::DeviceId;
use crate::order::merchant::Order;
use crate::order::time::Wall;
use std::collections::BTreeMap;

/// Orders, and what their customers paid for them in whole rupiah.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// How many.
    pub orders: u64,
    /// What was paid, fees included.
    pub amount: u64,
}

/// The sums of one machine, or of all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sums {
    /// Everything that was settled.
    pub paid: Sum,
    /// The sum of their prices.
    pub prices: u64,
    /// What became of it.
    ends: BTreeMap<End, Sum>,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Of all machines.
    pub total: Sums,
    /// Of each machine that sold something, by name.
    pub machines: BTreeMap<DeviceId, Sums>,
    /// The same counted by the database from its columns: orders, and the sum of their prices.
    pub counted: (u64, u64),
}

impl Sums {
    /// What came to this end.
    #[must_use]
    pub fn of(&self, end: End) -> Sum {
        self.ends.get(&end).copied().unwrap_or_default()
    }

    /// The sum of all ends.
    #[must_use]
    pub fn of_all_ends(&self) -> Sum {
        self.ends.values().fold(Sum::default(), |sum, end| Sum { orders: sum.orders + end.orders, amount: sum.amount + end.amount })
    }

    /// Takes an order that was settled.
    fn add(&mut self, order: &Order) {
        let price = order.sale.amount.get();
        let paid = order.settlement().and_then(|by| by.gross_amount).or_else(|| order.charge().map(|charge| charge.gross_amount));
        let paid = paid.map_or(price, |amount| amount.get());
        let end = self.ends.entry(told::end(order)).or_default();
        for sum in [&mut self.paid, end] {
            sum.orders += 1;
            sum.amount += paid;
        }
        self.prices += price;
    }

    /// What was paid above the prices (`gross_amount` − `amount`); below zero where a mismatch was paid too little.
    #[must_use]
    pub fn fees(&self) -> i64 {
        let number = |sum: u64| i64::try_from(sum).unwrap_or(i64::MAX);
        number(self.paid.amount) - number(self.prices)
    }
}

impl Report {
    /// Takes an order that was settled.
    pub fn add(&mut self, order: &Order) {
        self.total.add(order);
        self.machines.entry(order.sale.device.clone()).or_default().add(order);
    }

    /// What is wrong with the sums, if anything: every order that was paid has one end, and the database, which counted by
    /// its columns, found the same orders.
    #[must_use]
    pub fn difference(&self) -> Option<String> {
        let (paid, ends) = (self.total.paid, self.total.of_all_ends());
        if paid != ends {
            return Some(format!("{} orders were paid {}, and {} of {} have an end", paid.orders, paid.amount, ends.orders, ends.amount));
        }
        let (orders, prices) = self.counted;
        ((orders, prices) != (paid.orders, self.total.prices)).then(|| {
            format!("the database counts {orders} orders of {prices} rupiah, their bodies say {} of {}", paid.orders, self.total.prices)
        })
    }
}

/// Makes the report of one machine or all, in one reading of the books.
///
/// # Errors
/// The database's; a damaged row.
pub fn make(tx: &mut dyn Tx, device: Option<&DeviceId>, span: (Wall, Wall)) -> Result<Report, BooksError> {
    let mut report = Report { counted: books::settled_totals(tx, device, span)?, ..Report::default() };
    let mut behind = Cursor::OLDEST;
    loop {
        let page = books::settled(tx, device, span, &behind)?;
        let Some((last, _)) = page.last() else { return Ok(report) };
        behind = last.clone();
        page.iter().for_each(|(_, stored)| report.add(&stored.order));
    }
}
