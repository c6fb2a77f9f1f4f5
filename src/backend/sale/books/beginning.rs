//! An order that a person names by the first letters of its number. A customer reads them out, and somebody else writes them down.

use super::entry::BooksError;
use super::ledger::order_id;
use crate::store::Tx;
use qris_core::order::ids::{IdError, OrderId};
use std::fmt;
use std::str::FromStr;

pub const BEGINNING_MIN: usize = 5;
/// So many orders that begin alike are found at most.
pub const ALIKE_MAX: usize = 10;

/// An order's number, or its first letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning(OrderId);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an order's number, or its first {BEGINNING_MIN} letters or more; {0}")]
pub struct NoBeginning(IdError);

/// The blanks between groups of letters do not count.
impl FromStr for Beginning {
    type Err = NoBeginning;

    fn from_str(text: &str) -> Result<Self, NoBeginning> {
        let text: String = text.split_whitespace().collect();
        OrderId::new(&text).map(Self).map_err(NoBeginning)
    }
}

impl fmt::Display for Beginning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Beginning {
    /// It could be the beginning of too many orders.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.written().len() < BEGINNING_MIN
    }

    /// As our own numbers are written: in small letters, without those that look like a digit.
    fn written(&self) -> String {
        let letters = self.0.as_str().chars().filter(|letter| *letter != '-');
        letters
            .map(|letter| match letter.to_ascii_lowercase() {
                'o' => '0',
                'i' | 'l' => '1',
                letter => letter,
            })
            .collect()
    }
}

/// The orders of this number or beginning, archived ones too, at most [`ALIKE_MAX`]. An order of exactly this number is found alone.
pub fn beginning_with(tx: &mut dyn Tx, beginning: &Beginning) -> Result<Vec<OrderId>, BooksError> {
    let exact = "SELECT order_id FROM orders WHERE order_id = $1 UNION SELECT order_id FROM archived WHERE order_id = $1";
    let mut rows = tx.rows(exact, &[beginning.0.as_str().into()])?;
    let first = beginning.written();
    if rows.is_empty() && !beginning.is_short() {
        // `~` is behind every other character of a number.
        let last = format!("{first}~");
        let alike = "SELECT order_id FROM orders WHERE order_id >= $1 AND order_id < $2
            UNION SELECT order_id FROM archived WHERE order_id >= $1 AND order_id < $2 ORDER BY order_id LIMIT $3";
        rows = tx.rows(alike, &[first.as_str().into(), last.as_str().into(), (ALIKE_MAX as i64).into()])?;
    }
    rows.iter().map(|row| order_id(row.text("order_id")?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_read_as_they_are_heard() {
        for (typed, written) in [("mrbwt", "mrbwt"), ("MRBWT 0FEHV", "mrbwt0fehv"), ("mrbwt-Ofehv", "mrbwt0fehv"), ("lI1oO", "11100")] {
            assert_eq!(typed.parse::<Beginning>().expect("a beginning").written(), written, "{typed}");
        }
        for bad in ["", "  ", "mrb/wt", "ä", &"m".repeat(51)] {
            assert!(bad.parse::<Beginning>().is_err(), "{bad:?}");
        }
    }
}
