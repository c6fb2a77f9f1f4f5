//! Money: whole rupiah, nothing else.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An amount of 1 to 1,000,000,000 whole rupiah. It prints as people write it: `Rp5.000`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Rupiah(u64);

/// Why a number or text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Zero, or more than [`Rupiah::MAX`].
    #[error("an amount must be 1 to {} rupiah", Rupiah::MAX)]
    Range,
    /// Not `digits` or `digits.00`.
    #[error("an amount must be whole rupiah, as in \"10000.00\"")]
    NotWhole,
}

impl Rupiah {
    /// The greatest amount: a thousand million rupiah.
    pub const MAX: u64 = 1_000_000_000;

    /// Takes whole rupiah.
    pub const fn new(rupiah: u64) -> Result<Self, AmountError> {
        if rupiah >= 1 && rupiah <= Self::MAX { Ok(Self(rupiah)) } else { Err(AmountError::Range) }
    }

    /// Reads the gateway's `gross_amount`: `"10000.00"`, or without decimals as in tag 54 of some QRIS payloads.
    ///
    /// # Errors
    /// `"10000.50"`, signs, blanks and exponents are [`AmountError::NotWhole`]; then the range.
    pub fn from_gross_amount(text: &str) -> Result<Self, AmountError> {
        let whole = match text.split_once('.') {
            // Three are thousands, as people write them in Indonesia.
            Some((whole, "0" | "00")) => whole,
            Some(_) => return Err(AmountError::NotWhole),
            None => text,
        };
        if whole.is_empty() || !whole.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AmountError::NotWhole);
        }
        Self::new(whole.parse().map_err(|_| AmountError::Range)?)
    }

    /// As the gateway writes it: `"10000.00"`.
    #[must_use]
    pub fn to_gross_amount(self) -> String {
        format!("{}.00", self.0)
    }

    /// Whole rupiah.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// What is left of it after `less`, if anything.
    #[must_use]
    pub const fn above(self, less: Self) -> Option<Self> {
        match self.0.checked_sub(less.0) {
            None | Some(0) => None,
            Some(rest) => Some(Self(rest)),
        }
    }
}

impl fmt::Display for Rupiah {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&total(self.0))
    }
}

/// A sum of amounts as people write it, `Rp0` and more than [`Rupiah::MAX`] included.
#[must_use]
pub fn total(rupiah: u64) -> String {
    let digits = rupiah.to_string();
    let mut text = String::from("Rp");
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('.');
        }
        text.push(digit);
    }
    text
}

/// A sum that may be below zero, with a minus sign (U+2212) before it then.
#[must_use]
pub fn signed_total(rupiah: i64) -> String {
    let sign = if rupiah < 0 { "−" } else { "" };
    format!("{sign}{}", total(rupiah.unsigned_abs()))
}

impl TryFrom<u64> for Rupiah {
    type Error = AmountError;
    fn try_from(rupiah: u64) -> Result<Self, AmountError> {
        Self::new(rupiah)
    }
}

impl From<Rupiah> for u64 {
    fn from(amount: Rupiah) -> u64 {
        amount.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gross_amounts_are_whole_rupiah_or_refused() {
        assert_eq!(Rupiah::from_gross_amount("10000.00"), Rupiah::new(10_000));
        assert_eq!(Rupiah::from_gross_amount("10000"), Rupiah::new(10_000));
        for bad in ["", "10000.50", "10000.", "10.000", "1.000.000", ".00", "-1.00", "+1.00", " 1", "1e3", "1,000.00"] {
            assert_eq!(Rupiah::from_gross_amount(bad), Err(AmountError::NotWhole), "{bad:?}");
        }
        for bad in ["0.00", "1000000001.00", "99999999999999999999.00"] {
            assert_eq!(Rupiah::from_gross_amount(bad), Err(AmountError::Range), "{bad:?}");
        }
    }

    #[test]
    fn amounts_are_bounded() {
        assert_eq!([0, 1, Rupiah::MAX, Rupiah::MAX + 1].map(|n| Rupiah::new(n).is_ok()), [false, true, true, false]);
        assert_eq!(serde_json::from_str::<Rupiah>("5000").map(|amount| amount.get()).ok(), Some(5_000));
        assert!(serde_json::from_str::<Rupiah>("0").is_err());
        assert_eq!(serde_json::to_string(&Rupiah::new(5_000).expect("in range")).expect("a number"), "5000");
    }

    #[test]
    fn what_is_above_is_an_amount_or_nothing() {
        let rupiah = |n| Rupiah::new(n).expect("in range");
        let rest = |less| rupiah(5_000).above(rupiah(less)).map(Rupiah::get);
        assert_eq!([1, 4_999, 5_000, 5_001].map(rest), [Some(4_999), Some(1), None, None]);
    }

    #[test]
    fn amounts_print_as_people_write_them() {
        let text = |n| Rupiah::new(n).map(|r| r.to_string()).expect("in range");
        assert_eq!(text(500), "Rp500");
        assert_eq!(text(5_000), "Rp5.000");
        assert_eq!(text(1_234_567), "Rp1.234.567");
        assert_eq!([total(0), total(12_345_678_901)], ["Rp0", "Rp12.345.678.901"]);
        assert_eq!([-4999, 0, 4999].map(signed_total), ["−Rp4.999", "Rp0", "Rp4.999"]);
        assert_eq!(Rupiah::new(5_000).expect("in range").to_gross_amount(), "5000.00");
    }
}
