//! The outcome of a receipt at the relay, and of an order at the machine.

use super::word::{Word, words};
use std::fmt;

/// The outcome of an order at the relay, as its ledger has it. On the wire it is a word, and whether the line was driven.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The line was driven and, where there is a sensor, the item was seen.
    Dispensed,
    /// The line was driven, and the sensor says that the item did not come.
    Failed,
    /// The hardware could not be used: the line was not driven. On the wire it is `failed`, not driven.
    NotDriven,
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
    /// Every outcome there is.
    pub const ALL: [Self; 4] = [Self::Dispensed, Self::Failed, Self::NotDriven, Self::Uncertain];

    /// Its word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dispensed => "dispensed",
            Self::Failed | Self::NotDriven => "failed",
            Self::Uncertain => "uncertain",
        }
    }

    /// Whether the line was driven, as far as anybody knows: the item may have left its place.
    #[must_use]
    pub const fn driven(self) -> bool {
        match self {
            Self::Dispensed | Self::Failed | Self::Uncertain => true,
            Self::NotDriven => false,
        }
    }

    /// Reads the wire's word, and whether the line was driven. The two may contradict each other: then it is none.
    #[must_use]
    pub fn read(word: &str, driven: bool) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word && outcome.driven() == driven)
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
    if matches!(word, "closed" | "dispensed" | "dispensing" | "failed" | "uncertain" | "undelivered" | "unknown") {
        None
    } else {
        Word::new(word).ok()
    }
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

    /// Whether the line was or is driven. Nobody knows what a later release means.
    #[must_use]
    pub const fn driven(&self) -> bool {
        match self {
            Self::Ended(outcome) => outcome.driven(),
            Self::Later(_) | Self::Dispensing => true,
            Self::Unknown => false,
        }
    }

    /// Reads the wire's word, and whether the line was driven.
    #[must_use]
    pub fn read(word: &str, driven: bool) -> Option<Self> {
        match (word, driven) {
            ("dispensing", true) => Some(Self::Dispensing),
            ("unknown", false) => Some(Self::Unknown),
            (word, driven) => Outcome::read(word, driven).map(Self::Ended).or_else(|| later(word).map(Self::Later)),
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

    /// Whether the line was or is driven. Nobody knows what a later release means.
    #[must_use]
    pub const fn driven(&self) -> bool {
        match self {
            Self::Ended(outcome) => outcome.driven(),
            Self::Later(_) | Self::Dispensing => true,
            Self::Closed => false,
        }
    }

    /// Reads the wire's word, and whether the line was driven.
    #[must_use]
    pub fn read(word: &str, driven: bool) -> Option<Self> {
        match (word, driven) {
            ("closed", false) => Some(Self::Closed),
            ("dispensing", true) => Some(Self::Dispensing),
            (word, driven) => Outcome::read(word, driven).map(Self::Ended).or_else(|| later(word).map(Self::Later)),
        }
    }
}

impl From<Outcome> for Delivery {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Dispensed => Self::Dispensed,
            Outcome::Failed | Outcome::NotDriven => Self::Failed,
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
        for (outcome, word, driven) in [
            (Outcome::Dispensed, "dispensed", true),
            (Outcome::Failed, "failed", true),
            (Outcome::NotDriven, "failed", false),
            (Outcome::Uncertain, "uncertain", true),
        ] {
            assert_eq!((outcome.as_str(), outcome.to_string().as_str(), outcome.driven()), (word, word, driven));
            assert_eq!(Outcome::read(word, driven), Some(outcome));
            let (answer, closed) = (DispenseAnswer::Ended(outcome), CloseAnswer::Ended(outcome));
            assert_eq!((DispenseAnswer::read(word, driven), CloseAnswer::read(word, driven)), (Some(answer), Some(closed)));
            assert_eq!((answer.as_str(), closed.as_str(), answer.driven(), closed.driven()), (word, word, driven, driven));
            assert_eq!(Delivery::from(outcome).as_str(), word);
        }
        for (word, answer) in [("dispensing", DispenseAnswer::Dispensing), ("unknown", DispenseAnswer::Unknown)] {
            assert_eq!((answer.as_str(), DispenseAnswer::read(word, answer.driven())), (word, Some(answer)));
            assert_eq!(DispenseAnswer::read(word, !answer.driven()), None, "{word}");
        }
        for (word, answer) in [("dispensing", CloseAnswer::Dispensing), ("closed", CloseAnswer::Closed)] {
            assert_eq!((answer.as_str(), CloseAnswer::read(word, answer.driven())), (word, Some(answer)));
            assert_eq!(CloseAnswer::read(word, !answer.driven()), None, "{word}");
        }
        let jammed = Word::new("jammed").expect("a word");
        for driven in [true, false] {
            assert_eq!(DispenseAnswer::read("jammed", driven), Some(DispenseAnswer::Later(jammed)));
            assert_eq!(CloseAnswer::read("jammed", driven), Some(CloseAnswer::Later(jammed)));
        }
        assert_eq!((DispenseAnswer::Later(jammed).as_str(), CloseAnswer::Later(jammed).as_str()), ("jammed", "jammed"));
        // The contract does not have these, or they contradict themselves.
        for (strange, driven) in
            [("", true), ("Dispensed", true), ("undelivered", false), ("dispensed ", true), ("dispensed", false), ("uncertain", false)]
        {
            let read = (Outcome::read(strange, driven), DispenseAnswer::read(strange, driven), CloseAnswer::read(strange, driven));
            assert_eq!(read, (None, None, None), "{strange:?}");
        }
        assert_eq!((DispenseAnswer::read("closed", false), CloseAnswer::read("unknown", false)), (None, None));
        assert_eq!((Delivery::Undelivered.as_str(), Delivery::Undelivered.to_string().as_str()), ("undelivered", "undelivered"));
    }
}
