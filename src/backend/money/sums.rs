//! What payments come to: orders and rupiah, by what became of them, and the gateway's part.

use crate::money::takings::{Taking, signed};
use qris_core::order::merchant::End;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Orders, and the sum that their customers paid, in whole rupiah.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    pub orders: u64,
    /// The sum of the payments, with what was paid above the prices.
    pub amount: u64,
}

impl Sum {
    pub(super) const fn add(&mut self, amount: u64) {
        self.orders += 1;
        self.amount += amount;
    }

    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { orders: self.orders + other.orders, amount: self.amount + other.amount }
    }
}

/// A sum of which a part may not be known. A part of a sum is no sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KnownSum {
    sum: i64,
    missing: u64,
}

impl KnownSum {
    pub const fn add(&mut self, amount: Option<i64>) {
        match amount {
            Some(amount) => self.sum += amount,
            None => self.missing += 1,
        }
    }

    /// The sum, if all of it is known.
    #[must_use]
    pub const fn get(self) -> Option<i64> {
        if self.missing == 0 { Some(self.sum) } else { None }
    }
}

/// The sums of one group, or of all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sums {
    /// Everything that was settled.
    pub paid: Sum,
    pub prices: u64,
    ends: BTreeMap<End, Sum>,
    /// Those whose customers got the goods, and the money or other goods besides. They are delivered.
    pub goods_and_money: Sum,
    returned: KnownSum,
    fee: KnownSum,
    payout: KnownSum,
    /// The payments whose payout is not known.
    pub unknown: Sum,
}

/// The orders of one group and day that have this end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub group: Box<str>,
    pub end: End,
    /// How many, and what their customers paid.
    pub sum: Sum,
    /// Those of them that are goods and money.
    pub besides: Sum,
    /// The sum of their prices.
    pub prices: u64,
    pub gateway: Gateway,
}

/// The gateway's part in a sum, in rupiah; `None`: not known of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Gateway {
    /// What it gave or took back.
    pub returned: Option<i64>,
    /// What it keeps.
    pub fee: Option<i64>,
    /// What it should pay out.
    pub payout: Option<i64>,
}

impl Sums {
    #[must_use]
    pub fn of(&self, end: End) -> Sum {
        self.ends.get(&end).copied().unwrap_or_default()
    }

    #[must_use]
    pub fn of_all_ends(&self) -> Sum {
        self.ends.values().fold(Sum::default(), |sum, end| sum.and(*end))
    }

    /// What the gateway gave or took back; `None`: not known of all payments.
    #[must_use]
    pub const fn returned(&self) -> Option<i64> {
        self.returned.get()
    }

    /// What the gateway keeps; `None`: not known of all payments.
    #[must_use]
    pub const fn fee(&self) -> Option<i64> {
        self.fee.get()
    }

    /// What the gateway should pay out; `None`: not known of all payments.
    #[must_use]
    pub const fn payout(&self) -> Option<i64> {
        self.payout.get()
    }

    pub(super) fn add(&mut self, taking: &Taking) {
        self.paid.add(taking.paid);
        self.ends.entry(taking.end).or_default().add(taking.paid);
        if taking.is_goods_and_money {
            self.goods_and_money.add(taking.paid);
        }
        self.prices += taking.price;
        self.returned.add(taking.returned.map(signed));
        self.fee.add(taking.fee.map(signed));
        self.payout.add(taking.payout());
        if taking.payout().is_none() {
            self.unknown.add(taking.paid);
        }
    }

    /// Adds what was added up of a day.
    pub fn add_part(&mut self, part: &Part) {
        self.paid = self.paid.and(part.sum);
        let end = self.ends.entry(part.end).or_default();
        *end = end.and(part.sum);
        self.goods_and_money = self.goods_and_money.and(part.besides);
        self.prices += part.prices;
        self.returned.add(part.gateway.returned);
        self.fee.add(part.gateway.fee);
        self.payout.add(part.gateway.payout);
        if part.gateway.payout.is_none() {
            self.unknown = self.unknown.and(part.sum);
        }
    }

    /// These sums as a part, if all of them have this one end.
    #[must_use]
    pub fn part(&self, group: Box<str>, end: End) -> Part {
        let gateway = Gateway { returned: self.returned(), fee: self.fee(), payout: self.payout() };
        Part { group, end, sum: self.paid, besides: self.goods_and_money, prices: self.prices, gateway }
    }

    /// The numbers of a record of CSV: the payments, what is above the prices, each end, goods and money, the gateway's part. What is
    /// not known is empty.
    #[must_use]
    pub fn fields(&self) -> Vec<String> {
        let known = |amount: Option<i64>| amount.map(|amount| amount.to_string()).unwrap_or_default();
        let sums = [self.paid].into_iter().chain(End::ALL.map(|end| self.of(end))).chain([self.goods_and_money]);
        let mut fields: Vec<_> = sums.flat_map(|sum| [sum.orders.to_string(), sum.amount.to_string()]).collect();
        fields.insert(2, self.above_prices().to_string());
        fields.extend([self.returned(), self.fee(), self.payout()].map(known));
        fields
    }

    /// The part of the payments above the prices (`gross_amount` − `amount`). It is below zero if a mismatch was paid
    /// too little.
    #[must_use]
    pub fn above_prices(&self) -> i64 {
        signed(self.paid.amount) - signed(self.prices)
    }
}
