//! How the money of an undelivered order goes back: in one way, and only once. Each step of that has a file: who may begin it, and what an event
//! makes of it. Beside them stand the gateway's time for a refund (`ending.rs`), and what comes after the matter was settled (`late.rs`).

mod by_hand;
mod done;
mod ending;
mod given;
mod goods_and_money;
mod late;
mod refused;
mod requested;

pub use done::AtBank;
pub use ending::RefundEnding;
pub(super) use late::{BANK_CHECK, BANK_CHECKS};
pub use requested::Asker;

use super::*;
use crate::order::money::Rupiah;
use crate::order::outcome::Delivery;
use ending::TIME_IS_OVER;
use late::SETTLED_AGAIN;
use serde::{Deserialize, Serialize};

/// How the money of an undelivered order goes back, and what the gateway still allows.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Repaying {
    /// The way, once somebody or something sees to it.
    pub step: Option<Repayment>,
    /// How many keys of refunds are used up: each was refused, and get-status has confirmed that nothing went back.
    pub used_keys: u32,
    /// How near the end of the gateway's time for a refund is, as far as people were told.
    pub ending: Option<RefundEnding>,
    /// A person decided on it by name although [the goods of another try had come](Order::may_have_been_anothers). It is said beside the end:
    /// the goods stay delivered.
    pub goods_and_money: bool,
}

/// How the money of an undelivered order goes back. A refund and a delivery exclude each other, and so do these ways:
/// a refund that was begun through the gateway must have failed before any other step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Repayment {
    /// The gateway is being asked for it.
    Requested {
        /// Who wants it.
        by: Asker,
        /// How much; `None`: what is there.
        sum: Option<Rupiah>,
        /// The number of calls so far.
        tries: u32,
        /// The time of the next call, at the earliest.
        retry_at: Wall,
        /// The next question is get-status, and not the refund.
        get_status: bool,
        /// One of the calls may have made the refund.
        unsure: bool,
        /// Why the gateway refused, if it did: get-status has the last word.
        refused: Option<Box<str>>,
        /// It refused only because the key of the refund was used before.
        key_used: bool,
    },
    /// The refund was not made. The money is still due.
    Refused {
        /// Why, for people.
        why: Box<str>,
        at: Wall,
        /// A call may have made the refund all the same. Nothing else is done before the gateway could be asked.
        unsure: bool,
    },
    /// The gateway says that the money went back.
    Done {
        /// The time at which we heard of it.
        at: Wall,
        /// What the bank says of it; `None` if the gateway does not tell.
        bank: Option<AtBank>,
        /// The time at which get-status first said settled after that.
        settled_again_at: Option<Wall>,
    },
    /// A person gave it back in another way.
    ByHand {
        note: Box<str>,
        by: Option<Box<str>>,
        at: Wall,
        /// The gateway may have made a refund all the same.
        unsure: bool,
    },
    /// An attendant handed the goods over: no refund.
    Given {
        by: Box<str>,
        at: Wall,
        /// The gateway may have made a refund all the same.
        unsure: bool,
        /// They were taken out of the machine's slot: its machine takes one from its count.
        from_slot: bool,
    },
}

/// What a step says of its order.
struct StepFacts {
    /// The next call for a refund, or the next look at one.
    call: Option<(Wall, Call)>,
    /// Whether the gateway does not tell what became of a refund.
    untold: bool,
    /// Why nothing else is begun.
    bars: Option<Refused>,
    /// The time at which the debt to the customer was settled.
    settled_at: Option<Wall>,
}

impl Repaying {
    const fn facts(&self) -> StepFacts {
        match &self.step {
            None => StepFacts { call: None, untold: false, bars: None, settled_at: None },
            Some(Repayment::Requested { tries, retry_at, get_status, .. }) => requested::facts(*tries, *retry_at, *get_status),
            Some(Repayment::Refused { unsure, .. }) => StepFacts { call: None, untold: *unsure, bars: None, settled_at: None },
            Some(Repayment::Done { at, .. } | Repayment::ByHand { at, .. }) => {
                StepFacts { call: None, untold: false, bars: Some(Refused::RefundedAlready), settled_at: Some(*at) }
            }
            Some(Repayment::Given { at, .. }) => StepFacts { call: None, untold: false, bars: Some(Refused::Given), settled_at: Some(*at) },
        }
    }

    pub(super) const fn is_settled(&self) -> bool {
        self.facts().settled_at.is_some()
    }

    pub(super) fn call(&self, now: Told) -> Option<Call> {
        self.facts().call.filter(|(due, _)| *due <= now.wall).map(|(_, call)| call)
    }
}

impl Order {
    pub(super) fn next_about_repaying(&self) -> impl Iterator<Item = Wall> {
        let call = self.repaying.facts().call.map(|(due, _)| due);
        call.into_iter().chain(self.next_refund_ending()).chain(self.polling.at)
    }

    /// Whether a call for a refund may have had its effect, and the gateway does not tell, or does not answer. Whoever knows better says so by
    /// name.
    pub(super) const fn is_refund_unsure(&self) -> bool {
        self.repaying.facts().untold
    }

    /// By name, a person may decide also while the gateway does not tell what became of a refund.
    fn may_repay(&self, now: Told, no_report: bool, by_name: bool) -> Result<(), Refused> {
        self.is_free_to_repay(by_name)?;
        self.state.phase().may_repay(no_report, by_name, &self.at(now))
    }

    fn is_free_to_repay(&self, by_name: bool) -> Result<(), Refused> {
        let StepFacts { bars, untold, .. } = self.repaying.facts();
        match bars {
            Some(why) if !(by_name && untold) => Err(why),
            Some(_) | None => Ok(()),
        }
    }

    /// Only an order whose payment is final and not yet paid back can be refunded through the gateway, or handed over.
    fn holds_the_money(&self) -> Result<(), Refused> {
        match self.money() {
            Money::AtMerchant | Money::TakenBack => Ok(()),
            Money::Unpaid | Money::AtCounter | Money::Refunded => Err(Refused::NotPaid),
        }
    }

    /// Whether it is certain that nobody gets the goods as well. Either the relay has signed that it handed out nothing and
    /// never will, or no receipt exists that could open it.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        if self.rebuilt {
            // Of a receipt or a try that these books do not know, the relay may have signed another word.
            return false;
        }
        let has_no_receipt = self.no_receipt().is_some();
        match self.delivery() {
            Some(DeliveryReport { outcome: Delivery::Failed | Delivery::Undelivered, proof: Proof::Signed { .. }, .. }) => true,
            Some(DeliveryReport { outcome: Delivery::Failed | Delivery::Undelivered, proof: Proof::Missing(_), .. }) | None => {
                has_no_receipt
            }
            Some(DeliveryReport { outcome: Delivery::Dispensed | Delivery::Uncertain | Delivery::Other(_), .. }) => false,
        }
    }

    /// Whether the backend may pay it back by itself, if the merchant wants that. It may if the machine told one outcome,
    /// or if the request was paid twice. A person decides if the outcome is unknown, if words contradict each other, or
    /// if the payment does not match.
    #[must_use]
    pub fn may_refund_by_itself(&self, now: Told) -> bool {
        self.goes_back_by_itself() && !self.refund_time_is_over(now)
    }

    /// The same where its customer may have the goods instead, and wants the money.
    #[must_use]
    pub fn may_refund_on_a_wish(&self, now: Told) -> bool {
        self.is_clear() && !self.refund_time_is_over(now)
    }

    /// Whether [it may](Self::may_refund_by_itself) as long as the gateway refunds it.
    #[must_use]
    pub fn goes_back_by_itself(&self) -> bool {
        // The customer may still have the goods instead.
        self.tries.until.is_none() && self.is_clear()
    }

    fn is_clear(&self) -> bool {
        let known = match self.no_receipt() {
            None | Some(NoReceipt::PaidTwice) => true,
            Some(NoReceipt::Mismatch | NoReceipt::Ended(_)) => false,
        };
        let clear = self.is_proven() && !self.has_conflict() && self.taken_back.is_none() && self.repaying.step.is_none();
        let came = self.outcome() == Some(Delivery::Dispensed);
        known && clear && !came && self.is_refund_due() && !self.is_over_the_counter()
    }

    /// The time since which nothing came of a payment, as far as anybody knows. It is the time of its machine's word. If it was paid twice,
    /// it is the time of the payment.
    #[must_use]
    pub fn came_to_nothing_at(&self) -> Option<Wall> {
        self.reported_at().or_else(|| self.settlement().map(|by| by.settled_at))
    }
}
