//! The outcome of a receipt at the relay, and of an order at the machine.

use super::word::{Word, words};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The outcome of an order that the relay drove, as its ledger has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The line was driven and, where there is a sensor, the item was seen.
    Dispensed,
    /// The line was driven and the item did not come, or the hardware could not be used.
    Failed,
    /// Nobody knows: the power went in mid-pulse, or the end could not be written.
    Uncertain,
}

words! {
    /// The machine's report to the backend about a paid order.
    pub enum Delivery {
        /// The item was handed out.
        Dispensed = "dispensed",
        /// The relay was driven and the item did not come: refund due.
        Failed = "failed",
        /// Nobody knows; a person settles it.
        Uncertain = "uncertain",
        /// The relay was not driven and never will be for this order: refund due.
        Undelivered = "undelivered",
    }
}

impl Outcome {
    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dispensed => "dispensed",
            Self::Failed => "failed",
            Self::Uncertain => "uncertain",
        }
    }

    /// Reads the wire's word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Dispensed, Self::Failed, Self::Uncertain].into_iter().find(|o| o.as_str() == word)
    }
}

/// The answer of `Dispense` and `Query`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DispenseAnswer {
    /// The ledger's outcome.
    Ended(Outcome),
    /// An outcome that a later release of the relay service has.
    Later(Word),
    /// The line is still being driven.
    Dispensing,
    /// The ledger knows nothing of this order (`Query` only).
    Unknown,
}

/// The answer of `Close`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseAnswer {
    /// Now or before: this ticket drives nothing any more.
    Closed,
    /// The line is still being driven for it.
    Dispensing,
    /// It was driven: with this outcome.
    Ended(Outcome),
    /// It was driven, with an outcome that a later release of the relay service has.
    Later(Word),
}

/// An answer that this release does not know. A word with another meaning in the contract is not an outcome.
fn later(word: &str) -> Option<Word> {
    if matches!(word, "closed" | "unknown" | "undelivered") { None } else { Word::new(word).ok() }
}

impl DispenseAnswer {
    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ended(outcome) => outcome.as_str(),
            Self::Later(word) => word.as_str(),
            Self::Dispensing => "dispensing",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the wire's word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "dispensing" => Some(Self::Dispensing),
            "unknown" => Some(Self::Unknown),
            word => Outcome::from_word(word).map(Self::Ended).or_else(|| later(word).map(Self::Later)),
        }
    }
}

impl CloseAnswer {
    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Closed => "closed",
            Self::Dispensing => "dispensing",
            Self::Ended(outcome) => outcome.as_str(),
            Self::Later(word) => word.as_str(),
        }
    }

    /// Reads the wire's word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "closed" => Some(Self::Closed),
            "dispensing" => Some(Self::Dispensing),
            word => Outcome::from_word(word).map(Self::Ended).or_else(|| later(word).map(Self::Later)),
        }
    }
}

impl From<Outcome> for Delivery {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Dispensed => Self::Dispensed,
            Outcome::Failed => Self::Failed,
            Outcome::Uncertain => Self::Uncertain,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of the wire, and words of a later release.
    #[test]
    fn answers_are_read_as_they_are_written() {
        use Outcome::{Dispensed, Failed, Uncertain};
        let outcomes = [("dispensed", Dispensed), ("failed", Failed), ("uncertain", Uncertain)];
        for (word, outcome) in outcomes {
            assert_eq!((outcome.as_str(), outcome.to_string().as_str()), (word, word));
            assert_eq!(serde_json::to_value(outcome).expect("a word"), word);
            assert_eq!(Outcome::from_word(word), Some(outcome));
            assert_eq!(DispenseAnswer::from_word(word), Some(DispenseAnswer::Ended(outcome)));
            assert_eq!(CloseAnswer::from_word(word), Some(CloseAnswer::Ended(outcome)));
            assert_eq!((DispenseAnswer::Ended(outcome).as_str(), CloseAnswer::Ended(outcome).as_str()), (word, word));
            assert_eq!(Delivery::from(outcome).as_str(), word);
        }
        for (word, answer) in [("dispensing", DispenseAnswer::Dispensing), ("unknown", DispenseAnswer::Unknown)] {
            assert_eq!((answer.as_str(), DispenseAnswer::from_word(word)), (word, Some(answer)));
        }
        for (word, answer) in [("dispensing", CloseAnswer::Dispensing), ("closed", CloseAnswer::Closed)] {
            assert_eq!((answer.as_str(), CloseAnswer::from_word(word)), (word, Some(answer)));
        }
        let jammed = Word::new("jammed").expect("a word");
        assert_eq!(DispenseAnswer::from_word("jammed"), Some(DispenseAnswer::Later(jammed)));
        assert_eq!(CloseAnswer::from_word("jammed"), Some(CloseAnswer::Later(jammed)));
        assert_eq!((DispenseAnswer::Later(jammed).as_str(), CloseAnswer::Later(jammed).as_str()), ("jammed", "jammed"));
        for strange in ["", "Dispensed", "undelivered", "dispensed "] {
            let read = (Outcome::from_word(strange), DispenseAnswer::from_word(strange), CloseAnswer::from_word(strange));
            assert_eq!(read, (None, None, None), "{strange:?}");
        }
        assert_eq!((DispenseAnswer::from_word("closed"), CloseAnswer::from_word("unknown")), (None, None));
        assert_eq!((Delivery::Undelivered.as_str(), Delivery::Undelivered.to_string().as_str()), ("undelivered", "undelivered"));
    }
}
