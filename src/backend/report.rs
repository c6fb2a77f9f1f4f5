//! The payments in a span of days, and what became of them. It has only sums, by the time of settlement.

use super::books::{self, BooksError, Cursor};
use super::store::Tx;
use super::wording::{self, End};
use qris_core::order::ids::DeviceId;
use qris_core::order::merchant::Order;
use qris_core::order::time::Wall;
use std::collections::BTreeMap;

/// Orders, and the sum that their customers paid, in whole rupiah.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// The number of orders.
    pub orders: u64,
    /// The sum of the payments, with fees.
    pub amount: u64,
}

/// The sums of one machine, or of all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sums {
    /// Everything that was settled.
    pub paid: Sum,
    /// The sum of their prices.
    pub prices: u64,
    /// The sums of each end.
    ends: BTreeMap<End, Sum>,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Of all machines.
    pub total: Sums,
    /// Of each machine that sold something, by name.
    pub machines: BTreeMap<DeviceId, Sums>,
    /// The same, counted by the database from its columns: the number of orders, and the sum of their prices.
    pub counted: (u64, u64),
}

impl Sums {
    /// The sum of the orders with this end.
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
        let end = self.ends.entry(wording::end(order)).or_default();
        for sum in [&mut self.paid, end] {
            sum.orders += 1;
            sum.amount += paid;
        }
        self.prices += price;
    }

    /// The part of the payments above the prices (`gross_amount` − `amount`). It is below zero if a mismatch was paid
    /// too little.
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

    /// The fault in the sums, if there is one. Every paid order must have one end, and the database, which counts by its
    /// columns, must find the same orders.
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
/// The database's. Damaged rows are left out, and are a difference.
pub fn make(tx: &mut dyn Tx, device: Option<&DeviceId>, (from, until): (Wall, Wall)) -> Result<Report, BooksError> {
    let mut report = Report { counted: books::settled_totals(tx, device, (from, until))?, ..Report::default() };
    let mut behind = Cursor::at(from);
    loop {
        let page = books::settled(tx, device, until, &behind)?;
        let Some(last) = page.behind else { return Ok(report) };
        behind = last;
        page.orders.iter().for_each(|stored| report.add(&stored.order));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{T0, after, paid, told};
    use qris_core::order::merchant::{Event, RefundAnswer, RefundWish};
    use qris_core::order::outcome::Delivery;
    use qris_core::order::time::Span;

    fn sum(orders: u64, amount: u64) -> Sum {
        Sum { orders, amount }
    }

    #[test]
    fn every_paid_order_has_one_end_and_the_sums_fit() {
        let hours = |n: i64| T0 + Span::secs(n * 3600);
        let failed = |id: &str| told(id, "vm-001", 5000, 5000, Delivery::Failed);
        let refunded = after(failed("c"), Event::RefundAsked(RefundWish::of_a_person(None)), hours(1));
        let refunded = after(refunded, Event::RefundAnswered(RefundAnswer::Approved), hours(1));
        let by_hand = Event::SettledByHand { note: "cash".into(), by: None, no_report: false };
        let given = Event::Given { by: "Budi".into() };
        let orders = [
            (told("a", "vm-001", 5000, 5100, Delivery::Dispensed), End::Delivered),
            (failed("b"), End::RefundDue),
            (refunded, End::Refunded),
            (after(failed("d"), by_hand, hours(1)), End::RefundedByHand),
            (after(failed("e"), given, hours(1)), End::Given),
            (told("f", "vm-002", 7000, 7000, Delivery::Uncertain), End::Uncertain),
            (told("g", "vm-002", 7000, 7000, Delivery::Undelivered), End::RefundDue),
            (paid("h", "vm-002", 7000, 7000), End::Awaited),
            (after(paid("i", "vm-002", 7000, 7000), Event::Unreported, hours(1)), End::Unreported),
        ];
        let mut report = Report { counted: (9, 53_000), ..Report::default() };
        for (order, end) in &orders {
            assert_eq!(wording::end(order), *end, "{}", order.id);
            report.add(order);
        }
        assert_eq!(report.difference(), None);
        assert_eq!((report.total.paid, report.total.fees()), (sum(9, 53_100), 100));
        assert_eq!((report.total.of(End::RefundDue), report.total.of(End::TakenBack)), (sum(2, 12_000), sum(0, 0)));
        let names: Vec<_> = report.machines.keys().map(DeviceId::as_str).collect();
        assert_eq!(names, ["vm-001", "vm-002"]);
        let of_first = &report.machines[&orders[0].0.sale.device];
        assert_eq!((of_first.paid, of_first.of(End::Delivered), of_first.fees()), (sum(5, 25_100), sum(1, 5_100), 100));
        report.counted = (10, 58_000);
        assert!(report.difference().is_some_and(|told| told.contains("counts 10 orders of 58000")));
    }
}
