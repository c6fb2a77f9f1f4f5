//! The payments of each day of a span, what became of them, and what the gateway should pay out. The database adds it up from its columns,
//! and no order is read. A month of a large shop has hundreds of thousands of orders, so the sums of a day that is over are kept. The
//! database forgets them when an order of that day changes (`schema/books/1.sql`), so what is kept is what the orders say.

use crate::money::sums::{Gateway, Part, Sum, Sums};
use crate::money::takings::{Fees, left, signed};
use crate::sale::books::{self, Alike, BooksError, Grouped};
use crate::store::Tx;
use qris_core::order::merchant::End;
use qris_core::order::time::{Span, Wall};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const DAY: Span = Span::secs(24 * 3600);

/// Whole days, from midnight to midnight, and how they are told.
#[derive(Debug, Clone, Copy)]
pub struct Days {
    /// From the first moment to the end.
    pub span: (Wall, Wall),
    pub by: Grouped,
    pub fees: Fees,
}

/// The same as it is kept: the group, the word for the end, how many, their sum, the same of goods and money, the prices, the gateway.
#[derive(Serialize, Deserialize)]
struct KeptPart(Box<str>, Box<str>, u64, u64, (u64, u64), u64, Gateway);

impl From<&Part> for KeptPart {
    fn from(Part { group, end, sum, besides, prices, gateway }: &Part) -> Self {
        let besides = (besides.orders, besides.amount);
        Self(group.clone(), end.as_str().into(), sum.orders, sum.amount, besides, *prices, *gateway)
    }
}

impl KeptPart {
    fn read(self) -> Option<Part> {
        let Self(group, end, orders, amount, (both, of_both), prices, gateway) = self;
        let besides = Sum { orders: both, amount: of_both };
        Some(Part { group, end: End::from_word(&end)?, sum: Sum { orders, amount }, besides, prices, gateway })
    }
}

impl Days {
    fn each(&self) -> impl Iterator<Item = (Wall, Wall)> {
        let (from, end) = self.span;
        let next = move |day: &Wall| Some(*day + DAY).filter(|day| *day < end);
        std::iter::successors(Some(from).filter(|from| *from < end), next).map(move |day| (day, (day + DAY).min(end)))
    }

    fn fees(&self) -> String {
        serde_json::to_string(&self.fees).expect("plain data")
    }

    /// The days that are over and of which nothing is kept. Of those before the first payment there is nothing to keep.
    pub fn to_keep(&self, tx: &mut dyn Tx, now: Wall) -> Result<Vec<(Wall, Wall)>, BooksError> {
        let Some(first) = books::first_settled(tx)? else { return Ok(Vec::new()) };
        let kept = books::kept(tx, self.span, self.by.word(), &self.fees())?;
        let is_missing = |day: &(Wall, Wall)| first < day.1 && day.1 <= now && !kept.contains_key(day);
        Ok(self.each().filter(is_missing).collect())
    }

    /// Adds up a day, and keeps it.
    pub fn keep(&self, tx: &mut dyn Tx, day: (Wall, Wall)) -> Result<(), BooksError> {
        let parts: Vec<KeptPart> = self.add_up(tx, day)?.iter().map(KeptPart::from).collect();
        books::keep(tx, day, self.by.word(), &self.fees(), &serde_json::to_string(&parts).expect("plain data"))
    }

    /// The parts of each day, by its first moment.
    pub fn read(&self, tx: &mut dyn Tx) -> Result<Vec<(Wall, Vec<Part>)>, BooksError> {
        let kept = books::kept(tx, self.span, self.by.word(), &self.fees())?;
        let read =
            |text: &str| serde_json::from_str::<Vec<KeptPart>>(text).ok()?.into_iter().map(KeptPart::read).collect::<Option<Vec<_>>>();
        self.each()
            .map(|day| match kept.get(&day).and_then(|text| read(text)) {
                Some(parts) => Ok((day.0, parts)),
                None => Ok((day.0, self.add_up(tx, day)?)),
            })
            .collect()
    }

    fn add_up(&self, tx: &mut dyn Tx, day: (Wall, Wall)) -> Result<Vec<Part>, BooksError> {
        let mut parts = BTreeMap::<(Box<str>, End), Sums>::new();
        for alike in books::alike(tx, day, self.by)? {
            let part = self.part(alike);
            parts.entry((part.group.clone(), part.end)).or_default().add_part(&part);
        }
        Ok(parts.into_iter().map(|((group, end), sums)| sums.part(group, end)).collect())
    }

    fn part(&self, alike: Alike) -> Part {
        let Alike { group, end, scheme, paid, returned, besides, orders, prices } = alike;
        let sum = Sum { orders, amount: paid * orders };
        let fee = returned.and_then(|returned| self.fees.of(&scheme, paid, returned));
        let payout = returned.zip(fee).map(|(returned, fee)| left(paid, returned, fee));
        let all = |amount: Option<i64>| amount.map(|amount| amount * signed(orders));
        let gateway = Gateway { returned: all(returned.map(signed)), fee: all(fee.map(signed)), payout: all(payout) };
        Part { group, end, sum, besides: if besides { sum } else { Sum::default() }, prices, gateway }
    }
}
