//! The message of a day. It tells what was sold in the 24 hours before, what is owed to customers, and which machines are out of order. It
//! also tells what to bring to the machines that want to be filled.

use crate::machines::handle::Machines;
use crate::machines::stock::{self, Load, Packing, Which};
use crate::machines::{devices, reported};
use crate::money::report::{self, By, SalesReport};
use crate::money::sums::{Sum, Sums};
use crate::money::takings::Fees;
use crate::sale::books::{self, BooksError};
use crate::sale::handle::Books;
use crate::sale::view::Shop;
use crate::telling::alerts::first_of;
use crate::telling::daily::{DAY, DayTold, ReadDay};
use qris_core::order::merchant::End;
use qris_core::order::money::total;
use qris_core::order::time::{Wall, Zone};
use qris_core::text;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Day {
    until: Wall,
    sold: Sum,
    /// The machines that sold something, the most money first.
    machines: Vec<(String, Sum)>,
    /// The machines' names, as far as they told any.
    names: BTreeMap<String, Box<str>>,
    owed: Sum,
    attention: u64,
    /// Each with its faults; one that is not there has `offline`.
    out_of_order: BTreeMap<String, Vec<String>>,
    /// The goods that some of them do not sell because their lines are blocked.
    not_sold: BTreeMap<String, Box<str>>,
    to_fill: Packing,
}

#[must_use]
pub fn reader(books: Arc<Books>, machines: Arc<Machines>, place: Arc<Shop>) -> ReadDay {
    Box::new(move |until| {
        let (books, machines, place) = (Arc::clone(&books), Arc::clone(&machines), Arc::clone(&place));
        Box::pin(async move {
            let day = Day::read(&books, &machines, &place, until).await?;
            Ok::<DayTold, BooksError>((day.in_words(), day.object(place.zone)))
        })
    })
}

impl Day {
    /// `until`: the end of the 24 hours.
    async fn read(books: &Books, machines: &Machines, place: &Shop, until: Wall) -> Result<Self, BooksError> {
        let (zone, now) = (place.zone, books.now().wall);
        let wanted = report::ReportQuery { device: None, span: (until - DAY, until), by: By::Machine, zone, fees: Fees::default(), now };
        let (report, owed, attention, silent) = books
            .read(move |tx| {
                Ok((report::make(tx, &wanted, |_, _| {})?, books::owed(tx)?, books::to_look_at(tx)?, books::machines_offline(tx)?))
            })
            .await?;
        let mut out_of_order: BTreeMap<String, Vec<String>> =
            silent.into_iter().map(|(device, _)| (device.to_string(), vec!["offline".into()])).collect();
        let (mut names, mut not_sold) = (report.names.clone(), BTreeMap::new());
        // Without them the rest of the message is good.
        if let Ok((let_in, noted)) = machines.read(|tx| Ok((devices::let_in(tx)?, reported::noted(tx)?))).await {
            for (device, noted) in noted.iter().filter(|(device, _)| let_in.iter().any(|known| known.as_str() == &***device)) {
                if let Some(name) = noted.facts.as_ref().and_then(|facts| facts.name.clone()) {
                    names.entry(device.to_string()).or_insert(name);
                }
                let faults: Vec<_> =
                    noted.facts.iter().flat_map(|facts| facts.faults.iter().map(|fault| fault.as_str().to_owned())).collect();
                if let Some(goods) = noted.facts.as_ref().and_then(|facts| facts.blocked.clone()) {
                    not_sold.insert(device.to_string(), goods);
                }
                if !faults.is_empty() {
                    out_of_order.entry(device.to_string()).or_default().extend(faults);
                }
            }
        }
        let mut day = Self { not_sold, ..Self::of(&report, names, owed, attention, out_of_order, until) };
        let mut behind = Some(Box::from(""));
        while let Some(after) = behind {
            // Without this, too, the rest of the message is good.
            let Ok(page) = machines.read(move |tx| stock::page(tx, Which::Wanting, &after)).await else { break };
            page.machines.into_iter().filter_map(Load::of).for_each(|load| day.to_fill.add(&load));
            behind = page.behind;
        }
        Ok(day)
    }

    fn of(
        report: &SalesReport,
        names: BTreeMap<String, Box<str>>,
        owed: (u64, u64),
        attention: u64,
        out_of_order: BTreeMap<String, Vec<String>>,
        until: Wall,
    ) -> Self {
        let sold = |sums: &Sums| sums.of(End::Delivered).and(sums.of(End::Given));
        let machines = report.groups.iter().map(|(device, sums)| (device.clone(), sold(sums)));
        let mut machines: Vec<_> = machines.filter(|(_, sold)| sold.orders > 0).collect();
        machines.sort_by_key(|(_, sold)| std::cmp::Reverse(sold.amount));
        let owed = Sum { orders: owed.0, amount: owed.1 };
        Self {
            until,
            sold: sold(&report.total),
            machines,
            names,
            owed,
            attention,
            out_of_order,
            not_sold: BTreeMap::new(),
            to_fill: Packing::default(),
        }
    }

    /// In one sentence, for a message on a phone.
    fn in_words(&self) -> String {
        let counted = |Sum { orders, amount }: Sum| format!("{orders} for {}", total(amount));
        let named = |names: Vec<String>| first_of(&names);
        let mut said = format!("sold in 24 hours: {}", counted(self.sold));
        if let [(device, _)] = &self.machines[..] {
            said += &format!(", all at {}", self.name(device));
        } else if !self.machines.is_empty() {
            let each = |(device, sold): &(String, Sum)| format!("{} {}", self.name(device), counted(*sold));
            said += &format!(" ({})", named(self.machines.iter().map(each).collect()));
        }
        said += &match self.owed.orders {
            0 => "; nothing is owed to customers".into(),
            _ => format!("; owed to customers: {}", counted(self.owed)),
        };
        if self.attention > 0 {
            said += &format!("; other orders that a person must look at: {}", self.attention);
        }
        if !self.out_of_order.is_empty() {
            let goods = |device: &String| self.not_sold.get(device).map_or(String::new(), |goods| format!(", not sold: {goods}"));
            let each = |(device, faults): (&String, &Vec<String>)| format!("{}: {}{}", self.name(device), faults.join(" "), goods(device));
            said += &format!("; out of order: {}", named(self.out_of_order.iter().map(each).collect()));
        }
        if self.to_fill.machines > 0 {
            let goods: Vec<_> = self.to_fill.most_first().into_iter().map(|(goods, count)| format!("{count} {goods}")).collect();
            let what = if goods.is_empty() { String::new() } else { format!(", with {}", first_of(&goods)) };
            said += &format!("; machines to fill: {}{what}", self.to_fill.machines);
        }
        said
    }

    fn name(&self, device: &str) -> String {
        text::named(self.names.get(device).map(|name| &**name), device)
    }

    fn object(&self, zone: Zone) -> Value {
        let sum = |Sum { orders, amount }: Sum| json!({ "orders": orders, "amount": amount });
        let machine = |(device, sold): &(String, Sum)| json!({ "device": device, "machine": self.names.get(device), "orders": sold.orders, "amount": sold.amount });
        json!({
            "from": (self.until - DAY).to_rfc3339_in(zone),
            "until": self.until.to_rfc3339_in(zone),
            "sold": sum(self.sold),
            "machines": self.machines.iter().map(machine).collect::<Vec<_>>(),
            "owed": sum(self.owed),
            "attention": self.attention,
            "out_of_order": self.out_of_order,
            "not_sold": self.not_sold,
            "to_fill": { "machines": self.to_fill.machines, "goods": self.to_fill.goods },
            "names": self.names,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{T0, reported_order};
    use qris_core::order::outcome::Delivery;

    #[test]
    fn a_day_says_what_was_sold_what_is_owed_and_what_is_out_of_order() {
        let wanted = report::ReportQuery {
            device: None,
            span: (Wall(i64::MIN), Wall(i64::MAX)),
            by: By::Machine,
            zone: Zone::Wib,
            fees: Fees::default(),
            now: T0,
        };
        let mut report = SalesReport::default();
        let mut add = |id: &str, device: &str, name: Option<&str>, price: u64, end: Delivery| {
            let mut order = reported_order(id, device, price, price, end);
            order.sale.purchase.machine = name.map(Into::into);
            report.add(&order, T0, &wanted);
        };
        add("a", "vm-001", Some("Lobi"), 5000, Delivery::Dispensed);
        add("b", "vm-001", Some("Lobi"), 5000, Delivery::Failed);
        add("c", "vm-002", None, 12_000, Delivery::Dispensed);
        let out = BTreeMap::from([("vm-001".to_owned(), vec!["screen".to_owned()]), ("vm-003".to_owned(), vec!["offline".to_owned()])]);
        let mut names = report.names.clone();
        names.insert("vm-003".into(), "Parkir".into());
        let day = Day::of(&report, names, (1, 5000), 1, out, T0);
        assert_eq!(
            day.in_words(),
            "sold in 24 hours: 2 for Rp17.000 (vm-002 1 for Rp12.000, Lobi (vm-001) 1 for Rp5.000); owed to customers: 1 for Rp5.000; \
             other orders that a person must look at: 1; out of order: Lobi (vm-001): screen, Parkir (vm-003): offline"
        );
        let not_sold = BTreeMap::from([("vm-001".to_owned(), "Teh (A1)".into())]);
        let day = Day { not_sold, ..day };
        assert!(day.in_words().contains("Lobi (vm-001): screen, not sold: Teh (A1), Parkir"), "{}", day.in_words());
        let to_fill = Packing { machines: 2, goods: BTreeMap::from([("Kopi".into(), 3), ("Teh".into(), 12)]) };
        assert!(Day { to_fill, ..day }.in_words().ends_with("; machines to fill: 2, with 12 Teh, 3 Kopi"));
        let quiet = Day::of(&SalesReport::default(), BTreeMap::new(), (0, 0), 0, BTreeMap::new(), T0);
        assert_eq!(quiet.in_words(), "sold in 24 hours: 0 for Rp0; nothing is owed to customers");
    }
}
