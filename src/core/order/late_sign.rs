//! A sign of goods that came after the end of their try was told. The proof of that end is signed, so this is news, and never a second outcome.

use super::ids::OrderId;
use super::tries::TryNumber;
use super::word::closed;
use std::fmt;

closed! {
    /// What is known of it.
    pub enum LateSign {
        /// Something passed the sensor. It may be the goods, or a hand in the chute.
        Passed = "passed",
        /// The device says that goods of this line came. It names the line itself, so it was no hand.
        Came = "came",
    }
}

/// A late sign of goods of a try. Its text is `ORDER_ID TRY SIGN`, as in [`LATE_SIGN`](crate::wire::orders::LATE_SIGN).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateNews {
    /// The order.
    pub order: OrderId,
    /// The try of it.
    pub number: TryNumber,
    /// The sign.
    pub sign: LateSign,
}

impl LateNews {
    /// Reads it from a signal of the relay; `None`: it is malformed.
    #[must_use]
    pub fn new(order: &str, number: u32, sign: &str) -> Option<Self> {
        Some(Self { order: OrderId::new(order).ok()?, number: TryNumber::try_from(number).ok()?, sign: LateSign::from_word(sign)? })
    }

    /// Reads its text; `None`: it has another form.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (order, rest) = text.split_once(' ')?;
        let (number, sign) = rest.split_once(' ')?;
        Self::new(order, number.parse().ok()?, sign)
    }
}

impl fmt::Display for LateNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.order, self.number.get(), self.sign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read_and_nothing_else() {
        for text in ["o-1 1 passed", "o-1 2 came"] {
            assert_eq!(LateNews::read(text).map(|news| news.to_string()).as_deref(), Some(text));
        }
        for text in ["", "o-1", "o-1 1", "o-1 0 came", "o-1 1 fell", "o-1 1 came back", "o 1 x came", "\u{e9} 1 came"] {
            assert_eq!(LateNews::read(text), None, "{text}");
        }
    }
}
