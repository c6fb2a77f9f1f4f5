use super::{CHECK_AGAIN, LateFact, Order, Refused, Rules, Said};
use crate::order::ids::KeyId;
use crate::order::outcome::Delivery;
use crate::order::proof::{self, ProofError};
use crate::order::reason::Reason;
use crate::order::time::{Told, Wall};
use crate::order::tries::TryNumber;
use crate::order::word::closed;
use serde::{Deserialize, Serialize};

/// The machine's report of a paid order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeliveryReport {
    /// The try that it tells of.
    #[serde(rename = "try")]
    pub nth_try: TryNumber,
    pub outcome: Delivery,
    /// The machine's reason.
    pub reason: Option<Reason>,
    /// For people.
    pub detail: Option<Box<str>>,
    /// The relay's own word about it.
    pub proof: Proof,
}

/// What the machine told of its order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reported {
    /// The report that stands.
    pub report: DeliveryReport,
    /// When it came.
    pub at: Wall,
    /// The machine told two different outcomes.
    pub conflict: bool,
}

/// Whether the relay has signed the machine's report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// It has, with the key that was known when the order was made.
    Signed {
        /// The key's name.
        kid: KeyId,
        /// The ticket's number in its ledger.
        number: u64,
        /// Whether the line was driven, by the relay's word.
        driven: bool,
    },
    /// It has not, as far as anybody can tell.
    Missing(NoProof),
}

closed! {
    /// Why there is no proof.
    pub enum NoProof {
        /// The machine sent none: its relay was away, or has lost its ledger.
        None = "none",
        /// No key of the machine's relay was known when the order was made.
        NoKey = "no_key",
        /// Another key than the one that was known then has signed it: the board or its ledger has changed, or somebody else signs.
        OtherKey = "other_key",
        /// It is not a proof, or its signature is wrong.
        Wrong = "wrong",
        /// It is about another ticket, order or machine.
        OtherSale = "other_sale",
        /// The relay says something else than the machine.
        OtherWord = "other_word",
        /// The relay has given the ticket's number to another one: its ledger was put back to an earlier state.
        NumberUsed = "number_used",
        /// The ticket's number is [far ahead](proof::is_far_ahead) of the last one: the relay's card may have been copied.
        NumberAhead = "number_ahead",
    }
}

impl Default for Proof {
    fn default() -> Self {
        Self::Missing(NoProof::None)
    }
}

impl Proof {
    /// The worth of the proof in a report of this order. It is judged by the order's own key, whichever key the machine has now. It counts for
    /// the order's present try only.
    #[must_use]
    pub fn of(jws: Option<&str>, order: &Order, outcome: Delivery) -> Self {
        let missing = Self::Missing;
        let Some(jws) = jws else { return missing(NoProof::None) };
        let Some(key) = &order.sale.relay_key else { return missing(NoProof::NoKey) };
        match proof::verify(jws, key) {
            Err(ProofError::Key) => missing(NoProof::OtherKey),
            Err(ProofError::Form(_) | ProofError::Signature) => missing(NoProof::Wrong),
            Ok(word) => {
                let (ticket, number) = (order.goods().ticket, order.number_of_try());
                let about_it = word.device == order.sale.device && word.ticket == ticket && word.number_of_try == number;
                if !about_it || word.order_id.is_some_and(|id| id != order.id) {
                    missing(NoProof::OtherSale)
                } else if word.outcome.delivery() == outcome {
                    Self::Signed { kid: key.kid(), number: word.number, driven: word.driven }
                } else {
                    missing(NoProof::OtherWord)
                }
            }
        }
    }
}

impl Order {
    pub(super) fn delivered(&mut self, told: DeliveryReport, now: Told, rules: &Rules) -> Result<(), Refused> {
        let number = self.number_of_try();
        if told.nth_try < number {
            // That try has ended by the relay's word, and its end stands.
            let is_known = self.reported_before(told.nth_try).is_some_and(|before| before.report.outcome == told.outcome);
            return if is_known { Ok(()) } else { Err(Refused::OutcomeStands) };
        }
        // The books do not know of a receipt for that try: none was signed, or they are older.
        let is_lost = told.nth_try > number;
        let came_to_nothing = |outcome| matches!(outcome, Delivery::Undelivered | Delivery::Failed);
        if is_lost && told.outcome == Delivery::Undelivered && self.outcome().is_some_and(came_to_nothing) {
            return Ok(());
        }
        if is_lost && self.reported.is_some() {
            return Err(Refused::OutcomeStands);
        }
        if self.doubt().is_some() {
            if !self.state.phase().takes(&told, self) {
                return Err(Refused::NotPaid);
            }
            if self.reported.is_none() {
                if LateFact::of(told.outcome) == LateFact::Goods {
                    self.comes_late(LateFact::Goods);
                }
                // It says that the order was paid: the gateway is asked once more.
                self.note_news(Said::Settled, now);
            }
        }
        match &mut self.reported {
            None => {
                self.first_reported(told.outcome, now);
                self.reported = Some(Reported { report: told, at: now.wall, conflict: is_lost });
                self.go(self.state.phase().reported());
                self.offer_a_try(now, rules);
                self.look_after_a_later_try(now);
            }
            // The detail is for people, and a repeated report may word it in another way. A proof may come later.
            Some(Reported { report: first, .. }) if first.outcome == told.outcome => {
                if let (Proof::Missing(_), Proof::Signed { .. }) = (&first.proof, &told.proof) {
                    first.proof = told.proof;
                    self.offer_a_try(now, rules);
                }
            }
            Some(_) => return Err(Refused::OutcomeStands),
        }
        Ok(())
    }
}

impl Order {
    /// A later try has ended, or is silent. While it ran, somebody may have given the money back at the gateway. The notification of that may
    /// be lost, or come after this.
    pub(super) fn look_after_a_later_try(&mut self, now: Told) {
        if self.tries.now.is_some() {
            let look = now + self.spread(CHECK_AGAIN);
            self.polling.at = Some(self.polling.at.map_or(look, |at| at.min(look)));
            // A question without an answer is repeated.
            self.polling.noted_at = Some(now.wall);
        }
    }
}

#[cfg(any(test, feature = "testing"))]
impl DeliveryReport {
    /// The report with the relay's word about it.
    #[must_use]
    pub fn proven(outcome: Delivery) -> Self {
        let kid = KeyId::new("relay").expect("a name");
        let driven = outcome != Delivery::Undelivered;
        Self { nth_try: TryNumber::FIRST, outcome, reason: None, detail: None, proof: Proof::Signed { kid, number: 1, driven } }
    }
}
