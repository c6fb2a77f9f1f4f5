//! The merchant's money from a paid order: who moved it, how much of it went back, what the gateway keeps, and how much is left.
//!
//! The gateway keeps what the merchant's contract says. Its interface does not tell it, so without `[fees]` it is not known. Not known
//! is never 0.

use crate::sale::counted::{self, scheme};
use crate::settings::SETTINGS;
use qris_core::order::merchant::{End, Order};
use qris_core::order::scheme::Scheme;
use qris_host::config::Checker;
use qris_host::config::settings::{Whole, number};
use serde::{Deserialize, Serialize};

/// A part of ten thousand: 70 are 0.70 %.
const WHOLE: u64 = 10_000;

/// The money of one paid order, in whole rupiah.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taking {
    pub price: u64,
    pub paid: u64,
    pub end: End,
    /// Its customer got the goods, and the money or other goods besides.
    pub is_goods_and_money: bool,
    /// What the gateway gave or took back; `None`: a part, and nobody has said how much.
    pub returned: Option<u64>,
    /// What the gateway keeps, if the merchant has said it.
    pub fee: Option<u64>,
}

impl Taking {
    /// Of an order that was settled.
    #[must_use]
    pub fn of(order: &Order, fees: &Fees) -> Self {
        let price = order.sale.purchase.amount.get();
        let paid = counted::paid(order);
        let returned = counted::returned(order);
        let fee = scheme(order).zip(returned).and_then(|(scheme, returned)| fees.of(&scheme, paid, returned));
        Self { price, paid, end: counted::end(order), is_goods_and_money: order.is_goods_and_money(), returned, fee }
    }

    /// The part of the payment above the price. It is below zero if a mismatch was paid too little.
    #[must_use]
    pub fn above_price(&self) -> i64 {
        signed(self.paid) - signed(self.price)
    }

    /// What the gateway should pay out for it. It is below zero where the gateway keeps a fee of money that went back.
    #[must_use]
    pub fn payout(&self) -> Option<i64> {
        Some(left(self.paid, self.returned?, self.fee?))
    }
}

#[must_use]
pub fn left(paid: u64, returned: u64, fee: u64) -> i64 {
    signed(paid) - signed(returned) - signed(fee)
}

#[must_use]
pub fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeesSection {
    gopay: Option<WrittenFees>,
    qris: Option<WrittenFees>,
    alfamart: Option<WrittenFees>,
    indomaret: Option<WrittenFees>,
    kept_on_refund: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenFees {
    basis_points: Option<i64>,
    rupiah: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rate {
    basis_points: u64,
    rupiah: u64,
}

/// The fees of each scheme, as far as the merchant has said them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Fees {
    gopay: Option<Rate>,
    qris: Option<Rate>,
    alfamart: Option<Rate>,
    indomaret: Option<Rate>,
    kept_on_refund: Option<bool>,
}

impl FeesSection {
    pub fn check(self, checker: &mut Checker<'_>) -> Fees {
        Fees {
            gopay: self.gopay.and_then(|rate| rate.check("fees.gopay", checker)),
            qris: self.qris.and_then(|rate| rate.check("fees.qris", checker)),
            alfamart: self.alfamart.and_then(|rate| rate.check("fees.alfamart", checker)),
            indomaret: self.indomaret.and_then(|rate| rate.check("fees.indomaret", checker)),
            kept_on_refund: self.kept_on_refund,
        }
    }
}

impl WrittenFees {
    fn check(self, key: &str, checker: &mut Checker<'_>) -> Option<Rate> {
        if self.basis_points.is_none() && self.rupiah.is_none() {
            checker.fault(key, "needs basis_points (70 are 0.70 %), rupiah, or both");
            return None;
        }
        let mut part = |value, name: &str, setting: Whole| {
            checker.integer(value, setting.usual, setting.range(), &format!("{key}.{name}")).unsigned_abs()
        };
        let basis_points = part(self.basis_points, "basis_points", number(SETTINGS, "fees.….basis_points"));
        let rupiah = part(self.rupiah, "rupiah", number(SETTINGS, "fees.….rupiah"));
        Some(Rate { basis_points, rupiah })
    }
}

impl Rate {
    /// The fee for one payment. The part by basis points is rounded to the nearest rupiah; a half goes up.
    #[must_use]
    pub const fn of(self, paid: u64) -> u64 {
        (paid * self.basis_points + WHOLE / 2) / WHOLE + self.rupiah
    }
}

impl Fees {
    #[must_use]
    pub const fn are_known(&self) -> bool {
        self.gopay.is_some() || self.qris.is_some() || self.alfamart.is_some() || self.indomaret.is_some()
    }

    /// The fee for a payment of which the gateway gave `back` again; `None`: nobody has said it.
    #[must_use]
    pub fn of(&self, scheme: &Scheme, paid: u64, back: u64) -> Option<u64> {
        let rate = match scheme {
            Scheme::Gopay => self.gopay,
            Scheme::Qris => self.qris,
            Scheme::Alfamart => self.alfamart,
            Scheme::Indomaret => self.indomaret,
            Scheme::Other(_) => None,
        }?;
        let rest = paid.saturating_sub(back);
        match (back, self.kept_on_refund) {
            (0, _) | (_, Some(true)) => Some(rate.of(paid)),
            (_, Some(false)) if rest == 0 => Some(0),
            (_, Some(false)) => Some(rate.of(rest)),
            (_, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_host::config::Source;

    fn read(text: &str) -> Result<Fees, String> {
        Source::from_text("b", text)
            .read_checked(|section: FeesSection, checker| Some(section.check(checker)))
            .map_err(|faults| faults.to_string())
    }

    #[test]
    fn each_fee_is_a_whole_rupiah_and_a_half_goes_up() {
        let table = [
            (70, 0, 10_000, 70),
            (70, 0, 5_000, 35),
            // 0.49, 0.497 and 0.504 rupiah; exactly one half.
            (70, 0, 70, 0),
            (70, 0, 71, 0),
            (70, 0, 72, 1),
            (50, 0, 100, 1),
            (1, 0, 4_999, 0),
            (1, 0, 5_000, 1),
            (0, 0, 20_000_000, 0),
            (10_000, 0, 7, 7),
            (0, 5_000, 12_000, 5_000),
            (200, 1_000, 12_345, 1_247),
        ];
        for (basis_points, rupiah, paid, fee) in table {
            assert_eq!(Rate { basis_points, rupiah }.of(paid), fee, "{basis_points} and {rupiah} of {paid}");
        }
    }

    #[test]
    fn a_fee_that_nobody_has_said_is_not_known() {
        let fees = read("qris = { basis_points = 70 }\nindomaret = { rupiah = 5000 }\n").expect("good");
        assert_eq!((fees.of(&Scheme::Qris, 10_000, 0), fees.of(&Scheme::Indomaret, 10_000, 0)), (Some(70), Some(5_000)));
        for scheme in [Scheme::Gopay, Scheme::Alfamart, Scheme::Other("paper".into())] {
            assert_eq!(fees.of(&scheme, 10_000, 0), None, "{scheme:?}");
        }
        // Whether the gateway keeps its fee of money that it gave back must be said, too.
        assert_eq!((fees.of(&Scheme::Qris, 10_000, 10_000), fees.of(&Scheme::Qris, 10_000, 4_000)), (None, None));
        let table = [("true", 70, 70), ("false", 0, 42)];
        for (kept, whole, part) in table {
            let fees = read(&format!("qris = {{ basis_points = 70 }}\nkept_on_refund = {kept}\n")).expect("good");
            assert_eq!(
                (fees.of(&Scheme::Qris, 10_000, 10_000), fees.of(&Scheme::Qris, 10_000, 4_000)),
                (Some(whole), Some(part)),
                "{kept}"
            );
        }
        assert!(fees.are_known() && !Fees::default().are_known());
    }

    #[test]
    fn a_wrong_fee_is_named() {
        let table = [
            ("qris = { }", "fees.qris: needs basis_points"),
            ("qris = { basis_points = 10001 }", "fees.qris.basis_points: must be 0 to 10000, not 10001"),
            ("alfamart = { rupiah = -1 }", "fees.alfamart.rupiah: must be 0 to 1000000, not -1"),
            ("dana = { rupiah = 1 }", "dana: unknown"),
            ("qris = { percent = 1 }", "percent: unknown"),
        ];
        for (text, wanted) in table {
            let told = read(text).expect_err(text);
            assert!(told.contains(wanted), "{told:?} lacks {wanted:?}");
        }
    }
}
