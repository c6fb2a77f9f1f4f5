//! Another try at handing out what came to nothing, in the place of the money: one of the two, for ever.
//!
//! It rests on the relay's signed word that nothing came. A try that has its receipt is open until its machine has told of it, and bars
//! every other end. A refund, a note of one, or goods from an attendant's hand bar every other try.

use super::*;
use crate::order::ids::{ItemId, Ticket};
use crate::order::money::Rupiah;
use crate::order::outcome::Delivery;
use crate::order::promise::Promise;
use crate::order::proof::RelayKey;
use crate::order::tries::{Try, TryNumber};
use serde::{Deserialize, Serialize};

/// The gateway must have said so recently that the money is the merchant's, before another try gets its receipt.
pub const SETTLED_LATELY: Span = Span::secs(30);
/// A customer who asks for it on the page stands at the machine for so long.
const WANTED_FOR: Span = Span::secs(600);
/// No other try begins in the last part of the gateway's time for a refund: the money must still be able to go back after it.
const LEFT_FOR_A_REFUND: Span = Span::secs(48 * 3600);

/// The tries at an order after the first one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tries {
    /// Those that came to nothing, by the relay's word; the first one first.
    pub ended: Vec<EndedTry>,
    /// What the present one hands out; `None`: it is the first one.
    pub now: Option<Goods>,
    /// Another one may begin until then; `None`: none is offered.
    pub until: Option<Wall>,
    /// The customer stands at the machine until then, and wants it; `None`: nobody has said so.
    pub wanted_until: Option<Wall>,
}

/// What a try hands out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Goods {
    /// The relay's promise.
    pub ticket: Ticket,
    /// The item.
    pub item: ItemId,
    /// Its price. That of another item may be less than what was paid.
    pub amount: Rupiah,
}

/// A try that came to nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EndedTry {
    /// What it would have handed out.
    #[serde(flatten)]
    pub goods: Goods,
    /// What its machine told, with the relay's word.
    pub reported: Reported,
}

/// Why there is no other try.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoTry {
    /// The merchant offers none.
    #[error("no other tries are offered: orders.second_tries is 0")]
    Off,
    /// Nobody has paid it, as far as anybody knows.
    #[error("the order is not paid")]
    NotPaid,
    /// Its machine has told nothing of its newest try.
    #[error("the machine has told no outcome, and may still deliver it")]
    NotTold,
    /// The goods came.
    #[error("the machine reported it as dispensed")]
    Came,
    /// The goods may have come.
    #[error("nobody knows whether it came out")]
    Uncertain,
    /// The machine says that nothing came, and its relay has not signed that.
    #[error("the relay's proof that nothing came out is missing")]
    NotProven,
    /// The money went back, or is on its way, or an attendant handed the goods over.
    #[error("the money went back or is asked back, or an attendant handed the goods over")]
    Repaid,
    /// What the books know of it does not agree, or they were restored.
    #[error("what is known of the order is in doubt: a person decides about it")]
    Doubtful,
    /// The gateway's time for a refund is over soon.
    #[error("the gateway refunds it for less than 48 h from now")]
    TooLate,
    /// It had all its tries, or the time for another one is over.
    #[error("no other try is offered for this order any more")]
    NotOffered,
    /// The machine's relay has another key than the one that was known when the order was made.
    #[error("the key of the machine's relay is not the one of this order")]
    OtherKey,
    /// The relay's promise is for something else.
    #[error("the relay's promise is not for the next try at this order")]
    OtherPromise,
    /// It costs more than was paid.
    #[error("the item costs more than was paid")]
    TooDear,
    /// The gateway's last word on the money is too old, or was another one.
    #[error("the gateway has not said in the last 30 s that the money is the merchant's")]
    NotAsked,
    /// The machine has had its tries of 24 hours.
    #[error("this machine has had its other tries of 24 hours")]
    TooMany,
}

impl Tries {
    /// Whether there is none, and none is offered.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Order {
    /// Which try it is at.
    #[must_use]
    pub fn number_of_try(&self) -> TryNumber {
        self.tries.ended.iter().fold(TryNumber::FIRST, |number, _| number.next().unwrap_or(number))
    }

    /// What the present try hands out.
    #[must_use]
    pub fn goods(&self) -> Goods {
        let first = || {
            let purchase = &self.sale.purchase;
            Goods { ticket: purchase.ticket.clone(), item: purchase.item.clone(), amount: purchase.amount }
        };
        self.tries.now.clone().unwrap_or_else(first)
    }

    /// Every try, the first one first: what it hands out, and what its machine told of it.
    pub fn every_try(&self) -> impl Iterator<Item = (Goods, Option<&DeliveryReport>)> {
        let ended = self.tries.ended.iter().map(|EndedTry { goods, reported }| (goods.clone(), Some(&reported.report)));
        ended.chain([(self.goods(), self.delivery())])
    }

    /// The time until which another try may begin, if one may.
    #[must_use]
    pub fn try_again_until(&self, now: Wall) -> Option<Wall> {
        self.tries.until.filter(|until| now < *until && self.may_be_tried_again().is_ok())
    }

    /// The time until which its customer wants it, and it may begin.
    #[must_use]
    pub fn try_wanted_until(&self, now: Wall) -> Option<Wall> {
        let until = self.try_again_until(now)?.min(self.tries.wanted_until?);
        (now < until).then_some(until)
    }

    /// Whether somebody may ask for another try: the customer while it is offered. A person may for longer than that, and once more, but only
    /// for what the relay has proven.
    pub fn may_want_try(&self, by: Option<&str>, now: Wall, rules: &Rules) -> Result<(), NoTry> {
        self.may_be_tried_again()?;
        let may = match by {
            None => self.try_again_until(now).is_some(),
            Some(_) if rules.second_tries == 0 => return Err(NoTry::Off),
            Some(_) if self.offered_until(now, rules) <= now => return Err(NoTry::TooLate),
            Some(_) => self.number_of_try().next().is_some(),
        };
        if may { Ok(()) } else { Err(NoTry::NotOffered) }
    }

    pub(super) fn want_try(&mut self, by: Option<&str>, now: Wall, rules: &Rules) {
        if self.may_want_try(by, now, rules).is_err() {
            return;
        }
        if by.is_some() {
            self.tries.until = Some(self.offered_until(now, rules));
        }
        self.tries.wanted_until = Some(now + WANTED_FOR);
    }

    /// What bars another try ends the wish for one, too.
    pub(super) fn end_a_barred_wish(&mut self) {
        if self.may_be_tried_again().is_err() {
            self.tries.wanted_until = None;
        }
    }

    /// An offer of now ends then.
    #[must_use]
    pub fn offered_until(&self, now: Wall, rules: &Rules) -> Wall {
        let refund_until = self.settlement().and_then(|by| by.refund_until).map(|until| until - LEFT_FOR_A_REFUND);
        let until = now + rules.try_again_within;
        refund_until.map_or(until, |refund_until| refund_until.min(until))
    }

    /// Whether the relay's word allows another try, and nothing else stands against it.
    fn may_be_tried_again(&self) -> Result<(), NoTry> {
        match self.state {
            State::Charging(_) | State::Pending(_) | State::Cancelling(_) | State::Closed(_) | State::Held(_) => {
                return Err(NoTry::NotPaid);
            }
            State::Void(_) | State::Refunded(_) => return Err(NoTry::Repaid),
            State::Withheld(_) => return Err(NoTry::Doubtful),
            State::Settled(_) => {}
        }
        let is_repaid = match &self.repaying.step {
            // The gateway has refused it, and get-status says that nothing went back: the goods are what is left.
            Some(Repayment::Refused { unsure: false, .. }) | None => false,
            Some(Repayment::Requested { .. } | Repayment::Refused { .. } | Repayment::Done { .. }) => true,
            Some(Repayment::ByHand { .. } | Repayment::Given { .. }) => true,
        };
        if is_repaid || self.taken_back.is_some() {
            return Err(NoTry::Repaid);
        }
        if self.has_conflict() || self.rebuilt || !self.late.is_empty() || self.is_suspect() {
            return Err(NoTry::Doubtful);
        }
        let Some(DeliveryReport { outcome, proof, .. }) = self.delivery() else { return Err(NoTry::NotTold) };
        match (outcome, proof) {
            (Delivery::Undelivered, Proof::Signed { .. }) | (Delivery::Failed, Proof::Signed { driven: true, .. }) => Ok(()),
            // The hardware that could not be used is no sensor.
            (Delivery::Failed, Proof::Signed { driven: false, .. }) | (Delivery::Failed | Delivery::Undelivered, Proof::Missing(_)) => {
                Err(NoTry::NotProven)
            }
            (Delivery::Dispensed, _) => Err(NoTry::Came),
            (Delivery::Uncertain | Delivery::Other(_), _) => Err(NoTry::Uncertain),
        }
    }

    /// Offers another try from now on, if the rules and the relay's word allow one.
    pub(super) fn offer_a_try(&mut self, now: Wall, rules: &Rules) {
        let tried = self.number_of_try().get() - TryNumber::FIRST.get();
        let until = self.offered_until(now, rules);
        let may = tried < rules.second_tries && self.number_of_try().next().is_some() && now < until && self.may_be_tried_again().is_ok();
        self.tries.until = may.then_some(until);
    }

    /// Whether the gateway said a moment ago that all of the money is the merchant's.
    #[must_use]
    pub fn is_settled_lately(&self, now: Wall) -> bool {
        // A time in the future is one from before the clock was set back.
        let is_going_back = self.polling.noted_back.is_some();
        self.polling.settled_at.is_some_and(|at| (at..=at + SETTLED_LATELY).contains(&now)) && !is_going_back
    }

    /// Whether another try gets its receipt now. `key`: that of the machine's relay now. The relay has signed the promise with that of the
    /// order. A promise that has its receipt already is granted once more.
    pub fn may_try_again(&self, promise: &Promise, key: Option<&RelayKey>, now: Wall) -> Result<(), NoTry> {
        if self.has_receipt_for(promise) {
            return Ok(());
        }
        self.may_be_tried_again()?;
        if self.try_again_until(now).is_none() {
            return Err(NoTry::NotOffered);
        }
        if key.is_none() || key != self.sale.relay_key.as_ref() {
            return Err(NoTry::OtherKey);
        }
        let next = self.number_of_try().next().map(|number| Try::Again { number, after: self.goods().ticket });
        if (&promise.device, &promise.order_id, Some(&promise.nth)) != (&self.sale.device, &self.id, next.as_ref()) {
            return Err(NoTry::OtherPromise);
        }
        if promise.amount > self.sale.purchase.amount {
            return Err(NoTry::TooDear);
        }
        if self.is_settled_lately(now) { Ok(()) } else { Err(NoTry::NotAsked) }
    }

    /// The order in a copy of the books. After that its end may have come, or another try: no proof of it counts, nothing goes back by itself, and a
    /// refund that was under way is a person's. What had its end in the copy stays as it is.
    #[must_use]
    pub fn of_a_copy(mut self, now: Wall) -> Self {
        let came = self.outcome() == Some(Delivery::Dispensed) && !self.has_conflict();
        let is_over = match &self.state {
            State::Charging(_) | State::Pending(_) | State::Cancelling(_) | State::Held(_) => false,
            // Another attempt at it may have been made, and paid.
            State::Closed(_) => self.is_over() && !may_try_again(&self),
            State::Settled(_) | State::Void(_) | State::Withheld(_) => came || self.is_decided(),
            State::Refunded(_) => true,
        };
        if !is_over {
            self.rebuilt = true;
            (self.tries.until, self.tries.wanted_until) = (None, None);
            self.books_came_back(now);
        }
        self
    }

    /// Whether a later try has its receipt, and its goods came, or may have come or still come.
    pub(super) fn may_have_goods_of_a_try(&self) -> bool {
        self.tries.now.is_some()
            && match self.outcome() {
                Some(Delivery::Failed | Delivery::Undelivered) => false,
                Some(Delivery::Dispensed | Delivery::Uncertain | Delivery::Other(_)) | None => true,
            }
    }

    fn has_receipt_for(&self, promise: &Promise) -> bool {
        self.tries.now.as_ref().is_some_and(|goods| goods.ticket == promise.ticket)
    }

    /// Signs the receipt of another try, [if there may be one](Self::may_try_again).
    pub(super) fn try_again(&mut self, promise: &Promise, key: Option<&RelayKey>, now: Wall, rules: &Rules) {
        if self.has_receipt_for(promise) || self.may_try_again(promise, key, now).is_err() {
            return;
        }
        let Promise { ticket, nth, item, amount, .. } = promise.clone();
        let (before, goods) = (self.goods(), Goods { ticket, item, amount });
        let State::Settled(settled) = &self.state else { return };
        let receipt = self.sign(&settled.by, nth, &goods, now, rules);
        let Some(reported) = self.reported.take() else { return };
        // Its customer stands at the machine now, also one who paid over the counter.
        self.state = State::Settled(Settled { receipt, collect_by: None, unreported_at: None, ..settled.clone() });
        self.tries.ended.push(EndedTry { goods: before, reported });
        (self.tries.now, self.tries.until, self.tries.wanted_until) = (Some(goods), None, None);
    }

    pub(super) fn reported_before(&self, number: TryNumber) -> Option<&Reported> {
        let at = usize::try_from(number.get() - TryNumber::FIRST.get()).ok()?;
        self.tries.ended.get(at).map(|ended| &ended.reported)
    }
}
