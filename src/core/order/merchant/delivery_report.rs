//! The machine's report of an order, and what its proof is worth.

use super::Sale;
use crate::order::ids::{KeyId, OrderId};
use crate::order::outcome::Delivery;
use crate::order::proof::{self, ProofError, RelayKey};
use crate::order::reason::Reason;
use serde::{Deserialize, Serialize};

/// The machine's report of a paid order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeliveryReport {
    /// The outcome.
    pub outcome: Delivery,
    /// The machine's reason.
    pub reason: Option<Reason>,
    /// For people.
    pub detail: Option<Box<str>>,
    /// The relay's own word about it.
    #[serde(default)]
    pub proof: Proof,
}

/// Whether the relay has signed the machine's report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// It has, with the known key of this machine.
    Signed {
        /// The key's name.
        kid: KeyId,
        /// The ticket's number in its ledger.
        number: u64,
    },
    /// It has not, as far as anybody can tell.
    Missing(NoProof),
}

/// Why there is no proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoProof {
    /// The machine sent none: its relay was away, or has lost its ledger, or is of an earlier release.
    None,
    /// The key of the machine's relay is not known.
    NoKey,
    /// Another key than that of the machine's relay has signed it: the board or its ledger has changed.
    OtherKey,
    /// It is not a proof, or its signature is wrong.
    Wrong,
    /// It is about another ticket, order or machine.
    OtherSale,
    /// The relay says something else than the machine.
    OtherWord,
    /// The relay has given the ticket's number to another one: its ledger was put back to an earlier state.
    NumberUsed,
}

impl Default for Proof {
    fn default() -> Self {
        Self::Missing(NoProof::None)
    }
}

impl Proof {
    /// The worth of the proof in a report, for this sale.
    #[must_use]
    pub fn of(jws: Option<&str>, key: Option<&RelayKey>, id: &OrderId, sale: &Sale, outcome: Delivery) -> Self {
        let missing = Self::Missing;
        let Some(jws) = jws else { return missing(NoProof::None) };
        let Some(key) = key else { return missing(NoProof::NoKey) };
        match proof::verify(jws, key) {
            Err(ProofError::Key) => missing(NoProof::OtherKey),
            Err(ProofError::Form | ProofError::Signature) => missing(NoProof::Wrong),
            Ok(word) => {
                let about_it = word.device == sale.device && word.ticket == sale.ticket;
                if !about_it || word.order_id.is_some_and(|order| order != *id) {
                    missing(NoProof::OtherSale)
                } else if word.outcome.delivery() == outcome {
                    Self::Signed { kid: key.kid(), number: word.number }
                } else {
                    missing(NoProof::OtherWord)
                }
            }
        }
    }
}

impl NoProof {
    /// The word for it in the books and lists.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::NoKey => "no_key",
            Self::OtherKey => "other_key",
            Self::Wrong => "wrong",
            Self::OtherSale => "other_sale",
            Self::OtherWord => "other_word",
            Self::NumberUsed => "number_used",
        }
    }

    /// The same for people, after "the relay's proof is missing: ".
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::None => "the machine sent no proof",
            Self::NoKey => "the key of its relay is not known",
            Self::OtherKey => "its relay has another key than before",
            Self::Wrong => "the machine sent something that is not a proof",
            Self::OtherSale => "the machine sent a proof of another sale",
            Self::OtherWord => "the relay says something else",
            Self::NumberUsed => "the relay's ledger was put back to an earlier state",
        }
    }
}

#[cfg(any(test, feature = "testing"))]
impl DeliveryReport {
    /// The report with the relay's word about it.
    #[must_use]
    pub fn proven(outcome: Delivery) -> Self {
        let kid = KeyId::new("relay").expect("a name");
        Self { outcome, reason: None, detail: None, proof: Proof::Signed { kid, number: 1 } }
    }
}
