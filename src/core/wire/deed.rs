//! What people of a shop do about paid orders, and why something cannot be done.

use crate::order::merchant::{NoTry, Refused};
use crate::order::word::closed;
use serde::{Deserialize, Serialize};

closed! {
    /// What a person does about a paid order. `qris-backend` has the same: `refund`, `refund --settled-by-hand`, `given`, `again`, `again --number`,
    /// `seen`.
    pub enum Deed {
        /// The money goes back through the gateway.
        Refund = "refund",
        /// I paid it back by hand.
        ByHand = "by_hand",
        /// The goods were handed over.
        Given = "given",
        /// The machine offers another try.
        Again = "again",
        /// The customer told the number that the machine shows.
        Number = "number",
        /// I have seen it.
        Seen = "seen",
    }
}

impl Deed {
    /// Whether it is about the money: a person's day has a limit for that.
    #[must_use]
    pub const fn is_about_money(self) -> bool {
        match self {
            Self::Refund | Self::ByHand | Self::Given => true,
            Self::Again | Self::Number | Self::Seen => false,
        }
    }

    /// Whether a person waits for what the gateway says.
    #[must_use]
    pub const fn asks_the_gateway(self) -> bool {
        match self {
            Self::Refund => true,
            Self::ByHand | Self::Given | Self::Again | Self::Number | Self::Seen => false,
        }
    }
}

/// Whether a deed can be done, by the very code that does it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Possible {
    pub deed: Deed,
    /// What the person must say first, beside the deed.
    pub is_sure: Option<Sure>,
    /// Why it is not possible: a word of [`Denied`]. `None`: it is.
    pub denied: Option<Denied>,
}

closed! {
    /// What a person must have looked at before a deed is taken, and answers for by name.
    pub enum Sure {
        /// The machine told no outcome, and will hand nothing out any more (`--no-report`).
        NoReport = "no_report",
        /// The relay has not signed that nothing came out (`--no-proof`).
        NoProof = "no_proof",
        /// An earlier refund may have been made, and somebody has looked that it was not.
        NotRefunded = "not_refunded",
        /// The goods of another try came, perhaps to somebody else, and the customer gets the money or the goods besides (`--goods-and-money`).
        GoodsAndMoney = "goods_and_money",
    }
}

/// Why a deed is not possible: a word of one of these.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Denied {
    Order(Refused),
    /// It refuses another try.
    Try(NoTry),
    /// The order does not, and this person may not do it.
    Person(Barred),
}

closed! {
    /// Why a person may not do it.
    pub enum Barred {
        /// This person only sees.
        Role = "role",
        /// It is more than this person may do in a day.
        Limit = "limit",
        /// This person came by the local network, where a session only sees.
        Home = "home",
    }
}

impl Denied {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Order(why) => why.as_str(),
            Self::Try(why) => why.as_str(),
            Self::Person(why) => why.as_str(),
        }
    }

    /// Reads the word. The refusals of an order come first: a word that stands in two lists means the same.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let order = Refused::from_word(word).map(Self::Order);
        order.or_else(|| NoTry::from_word(word).map(Self::Try)).or_else(|| Barred::from_word(word).map(Self::Person))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log has the short word, and the desk says its sentence.
    #[test]
    fn why_a_deed_was_denied_is_read_as_it_was_noted() {
        let all = Refused::ALL.into_iter().map(Denied::Order);
        let all = all.chain(NoTry::ALL.map(Denied::Try)).chain(Barred::ALL.map(Denied::Person));
        let others: Vec<_> = all.filter(|denied| Denied::from_word(denied.as_str()) != Some(*denied)).collect();
        assert_eq!(others, [Denied::Try(NoTry::NotPaid)], "it stands in two lists, and means the same");
        for (word, denied) in [
            ("not_paid", Some(Denied::Order(Refused::NotPaid))),
            ("not_reported", Some(Denied::Order(Refused::NotReported))),
            ("wrong_number", Some(Denied::Try(NoTry::WrongNumber))),
            ("role", Some(Denied::Person(Barred::Role))),
            ("limit", Some(Denied::Person(Barred::Limit))),
            ("home", Some(Denied::Person(Barred::Home))),
            ("teleport", None),
        ] {
            assert_eq!(Denied::from_word(word), denied, "{word}");
        }
    }
}
