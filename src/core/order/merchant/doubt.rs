//! What is not certain about a payment that nobody has confirmed.

use crate::order::time::Wall;
use serde::{Deserialize, Serialize};

/// What is not certain about a payment that nobody has confirmed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Doubt {
    /// The gateway's last word may mean money, or not: a card that is only held, or a settlement that fraud detection does not accept.
    pub suspect: bool,
    /// The first time that get-status said settled in a way that does not fit the charge.
    pub mismatched_at: Option<Wall>,
    /// The time of the first genuine notification that it is settled, while get-status has not confirmed that.
    pub notified_at: Option<Wall>,
    /// The time since which get-status is answered, and its answer is not understood.
    pub unclear_since: Option<Wall>,
    /// The time at which it was listed because nobody confirms whether it is paid.
    pub listed_at: Option<Wall>,
    /// The person who ended it while nobody could say whether it is paid. No receipt is ever signed for it.
    pub ended_by: Option<PersonsEnd>,
}

/// The end that a person made of an order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PersonsEnd {
    /// Who.
    pub by: Box<str>,
    /// When.
    pub at: Wall,
}
