//! A sign of goods that came after the end of their try was told. The proof of that end is signed, so this is news, and never a second outcome.

use super::ids::OrderId;
use super::tries::TryNumber;
use std::fmt;
use std::str::FromStr;

/// What is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LateSign {
    /// Something passed the sensor. It may be the goods, or a hand in the chute.
    Passed,
    /// The device says that goods of this line came. It names the line itself, so it was no hand.
    Came,
}

impl LateSign {
    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Came => "came",
        }
    }

    /// Reads the word; `None`: it is another one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Passed, Self::Came].into_iter().find(|sign| sign.as_str() == word)
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
}

impl fmt::Display for LateNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.order, self.number.get(), self.sign.as_str())
    }
}

/// The text has another form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be ORDER_ID TRY SIGN")]
pub struct NotNews;

impl FromStr for LateNews {
    type Err = NotNews;

    fn from_str(text: &str) -> Result<Self, NotNews> {
        let mut words = text.split(' ');
        let (order, number, sign) = (words.next(), words.next(), words.next());
        let number = number.and_then(|number| number.parse().ok());
        let (Some(order), Some(number), Some(sign), None) = (order, number, sign, words.next()) else { return Err(NotNews) };
        Self::new(order, number, sign).ok_or(NotNews)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read_and_nothing_else() {
        for text in ["o-1 1 passed", "o-1 2 came"] {
            assert_eq!(text.parse::<LateNews>().map(|news| news.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "o-1", "o-1 1", "o-1 0 came", "o-1 1 fell", "o-1 1 came back", "o 1 x came", "\u{e9} 1 came"] {
            assert_eq!(text.parse::<LateNews>(), Err(NotNews), "{text}");
        }
    }
}
