//! The tries at handing out what was paid for: the first one, and another one on the relay's word that nothing came.

use super::ids::Ticket;
use super::time::Span;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A machine offers another try on its screen for so long.
pub const OFFERED_FOR: Span = Span::secs(60);

/// The next press counts for so long, once its customer has told the number that the machine shows.
pub const CONFIRMED_FOR: Span = Span::secs(20);

/// What the machine shows, and the order's page asks for: who tells it stands in front of this machine. Two digits, `00` to `99`. Logs do not
/// show them.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TwoDigits(u8);

/// A text that is not two digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be two digits, 00 to 99")]
pub struct NotTwoDigits;

impl TwoDigits {
    /// Of a number that was drawn: its last two digits.
    #[must_use]
    pub const fn of(drawn: u8) -> Self {
        Self(drawn % 100)
    }
}

impl TryFrom<String> for TwoDigits {
    type Error = NotTwoDigits;

    fn try_from(text: String) -> Result<Self, NotTwoDigits> {
        text.parse()
    }
}

impl std::str::FromStr for TwoDigits {
    type Err = NotTwoDigits;

    fn from_str(text: &str) -> Result<Self, NotTwoDigits> {
        let are_digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|_| are_digits).map(Self).ok_or(NotTwoDigits)
    }
}

impl From<TwoDigits> for String {
    fn from(digits: TwoDigits) -> Self {
        digits.to_string()
    }
}

impl fmt::Display for TwoDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

impl fmt::Debug for TwoDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("**")
    }
}

/// The number of a try at handing out an order: 1 for the first one, at most 9.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct TryNumber(u8);

/// A number that no try has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a try is a number from 1 to 9, and has `after`, the ticket of the one before, unless it is 1")]
pub struct NotATry;

impl TryNumber {
    /// The first one.
    pub const FIRST: Self = Self(1);

    /// The one after it; `None`: there is no more.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        if self.0 < 9 { Some(Self(self.0 + 1)) } else { None }
    }

    /// As a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0 as u32
    }
}

impl Default for TryNumber {
    fn default() -> Self {
        Self::FIRST
    }
}

impl TryFrom<u32> for TryNumber {
    type Error = NotATry;

    fn try_from(number: u32) -> Result<Self, NotATry> {
        u8::try_from(number).ok().filter(|number| (1..=9).contains(number)).map(Self).ok_or(NotATry)
    }
}

impl From<TryNumber> for u32 {
    fn from(number: TryNumber) -> Self {
        number.get()
    }
}

impl fmt::Display for TryNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which try it is. On the wire it is `try`, and for a later one `after`, the ticket of the one before. A backend that offers no other try may
/// leave both out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "TryFields", into = "TryFields")]
pub enum Try {
    /// The first one.
    First,
    /// A later one.
    Again {
        /// 2 and more.
        number: TryNumber,
        /// The ticket of the one before. Nothing came of it.
        after: Ticket,
    },
}

#[derive(Serialize, Deserialize)]
struct TryFields {
    #[serde(default)]
    r#try: TryNumber,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Ticket>,
}

impl Try {
    /// Its number.
    #[must_use]
    pub const fn number(&self) -> TryNumber {
        match self {
            Self::First => TryNumber::FIRST,
            Self::Again { number, .. } => *number,
        }
    }
}

impl TryFrom<TryFields> for Try {
    type Error = NotATry;

    fn try_from(TryFields { r#try: number, after }: TryFields) -> Result<Self, NotATry> {
        match (number, after) {
            (TryNumber::FIRST, None) => Ok(Self::First),
            (TryNumber::FIRST, Some(_)) | (_, None) => Err(NotATry),
            (number, Some(after)) => Ok(Self::Again { number, after }),
        }
    }
}

impl From<Try> for TryFields {
    fn from(nth: Try) -> Self {
        let number = nth.number();
        let after = match nth {
            Try::First => None,
            Try::Again { after, .. } => Some(after),
        };
        Self { r#try: number, after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_are_two_digits() {
        for (text, is_good) in [("07", true), ("99", true), ("7", false), ("+7", false), ("123", false), ("0x", false), ("", false)] {
            let read = text.parse::<TwoDigits>();
            assert_eq!(read.map(String::from).ok(), is_good.then(|| text.to_owned()), "{text}");
        }
        assert_eq!(format!("{:?} {}", TwoDigits::of(203), TwoDigits::of(203)), "** 03");
        assert_eq!(serde_json::to_string(&TwoDigits::of(7)).expect("text"), "\"07\"");
        assert!(serde_json::from_str::<TwoDigits>("7").is_err(), "a number has lost its first zero");
    }

    #[test]
    fn only_a_later_try_comes_after_a_ticket() {
        let after = Ticket::from_random([2; 16]);
        let again = Try::Again { number: TryNumber(2), after: after.clone() };
        for (text, want) in [
            (r#"{"try":1}"#.to_owned(), Some(Try::First)),
            (format!(r#"{{"try":2,"after":"{after}"}}"#), Some(again)),
            (format!(r#"{{"try":1,"after":"{after}"}}"#), None),
            (r#"{"try":2}"#.to_owned(), None),
            (r#"{"try":0}"#.to_owned(), None),
            (format!(r#"{{"try":10,"after":"{after}"}}"#), None),
            (format!(r#"{{"after":"{after}"}}"#), None),
        ] {
            let read = serde_json::from_str::<Try>(&text).ok();
            assert_eq!(read, want, "{text}");
            assert_eq!(read.map(|nth| serde_json::to_string(&nth).expect("text")).unwrap_or(text.clone()), text);
        }
        assert_eq!(serde_json::from_str::<Try>("{}").ok(), Some(Try::First));
        assert_eq!(TryNumber(8).next().and_then(TryNumber::next), None, "there is a last one");
    }
}
