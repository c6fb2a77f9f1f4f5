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
use crate::order::tries::{Try, TryNumber, TwoDigits};
use crate::order::word::closed;
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
    /// The number of that wish, or of the last one.
    pub shown: Option<ShownNumber>,
    /// When wrong numbers were told, the newest of a day.
    pub wrong: Vec<Wall>,
    /// Whether the present try began after its number was told. Then its customer stood at the machine.
    pub with_number: bool,
}

/// What a try hands out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Goods {
    /// The relay's promise.
    pub ticket: Ticket,
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

closed! {
    /// Why there is no other try.
    pub enum NoTry {
        /// The merchant offers none.
        Off = "off",
        /// Nobody has paid it, as far as anybody knows.
        NotPaid = "not_paid",
        /// Its machine has told nothing of its newest try.
        NotTold = "not_told",
        /// The goods came.
        Came = "came",
        /// The goods may have come.
        Uncertain = "uncertain",
        /// The machine says that nothing came, and its relay has not signed that.
        NotProven = "not_proven",
        /// The money went back, or is on its way, or an attendant handed the goods over.
        Repaid = "repaid",
        /// What the books know of it does not agree, or they were restored.
        Doubtful = "doubtful",
        /// The gateway's time for a refund is over soon.
        TooLate = "too_late",
        /// It had all its tries, or the time for another one is over.
        NotOffered = "not_offered",
        /// The machine's relay has another key than the one that was known when the order was made.
        OtherKey = "other_key",
        /// The relay's promise is for something else.
        OtherPromise = "other_promise",
        /// It costs more than was paid.
        TooDear = "too_dear",
        /// The gateway's last word on the money is too old, or was another one.
        NotAsked = "not_asked",
        /// The machine has had its tries of 24 hours.
        TooMany = "too_many",
        /// The machine shows no number now.
        NoNumber = "no_number",
        /// That is not the number that the machine shows.
        WrongNumber = "wrong_number",
        /// So many wrong numbers were told in a day that the order's page asks for none any more.
        TooManyWrong = "too_many_wrong",
    }
}

impl Tries {
    /// Whether there is none, and none is offered.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Order {
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
    pub fn try_again_until(&self, now: Told) -> Option<Wall> {
        self.tries.until.filter(|until| !now.is_over(*until) && self.may_be_tried_again().is_ok())
    }

    /// The time until which its customer wants it, and it may begin.
    #[must_use]
    pub fn try_wanted_until(&self, now: Told) -> Option<Wall> {
        let until = self.try_again_until(now)?.min(self.tries.wanted_until?);
        (!now.is_over(until)).then_some(until)
    }

    /// Whether somebody may ask for another try: the customer while it is offered. A person may for longer than that, and once more, but only
    /// for what the relay has proven.
    pub fn may_want_try(&self, by: Option<&str>, now: Told, rules: &Rules) -> Result<(), NoTry> {
        self.may_be_tried_again()?;
        if by.is_none() && self.has_guessed_too_often(now) {
            return Err(NoTry::TooManyWrong);
        }
        let may = match by {
            None => self.try_again_until(now).is_some(),
            Some(_) if rules.second_tries == 0 => return Err(NoTry::Off),
            Some(_) if now.is_over(self.offered_until(now, rules)) => return Err(NoTry::TooLate),
            Some(_) => self.number_of_try().next().is_some(),
        };
        if may { Ok(()) } else { Err(NoTry::NotOffered) }
    }

    pub(super) fn want_try(&mut self, by: Option<&str>, drawn: TwoDigits, now: Told, rules: &Rules) {
        if self.may_want_try(by, now, rules).is_err() {
            return;
        }
        if by.is_some() {
            self.tries.until = Some(self.offered_until(now, rules));
        }
        self.tries.wanted_until = Some(now + WANTED_FOR);
        self.show_number(drawn, now);
    }

    /// What bars another try ends the wish for one, too.
    pub(super) fn end_a_barred_wish(&mut self) {
        if self.may_be_tried_again().is_err() {
            (self.tries.wanted_until, self.tries.shown) = (None, None);
        }
    }

    /// An offer of now ends then.
    #[must_use]
    pub fn offered_until(&self, now: Told, rules: &Rules) -> Wall {
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
    pub(super) fn offer_a_try(&mut self, now: Told, rules: &Rules) {
        let tried = self.number_of_try().get() - TryNumber::FIRST.get();
        let until = self.offered_until(now, rules);
        let may =
            tried < rules.second_tries && self.number_of_try().next().is_some() && !now.is_over(until) && self.may_be_tried_again().is_ok();
        self.tries.until = may.then_some(until);
    }

    pub(super) fn end_the_offer(&mut self) {
        (self.tries.until, self.tries.wanted_until, self.tries.shown) = (None, None, None);
    }

    /// Whether the gateway said a moment ago that all of the money is the merchant's.
    #[must_use]
    pub fn is_settled_lately(&self, now: Told) -> bool {
        // A time in the future is one from before the clock was set back.
        let is_going_back = self.polling.noted_back.is_some();
        self.polling.settled_at.is_some_and(|at| (at..=at + SETTLED_LATELY).contains(&now.wall)) && !is_going_back
    }

    /// Whether another try gets its receipt now. `key`: that of the machine's relay now. The relay has signed the promise with that of the
    /// order. A promise that has its receipt already is granted once more.
    pub fn may_try_again(&self, promise: &Promise, key: Option<&RelayKey>, now: Told) -> Result<(), NoTry> {
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
    pub fn of_a_copy(mut self, now: Told) -> Self {
        // Money that is on its way besides the goods may have gone back since.
        let came = self.outcome() == Some(Delivery::Dispensed) && !self.has_conflict() && !self.repaying.goods_and_money;
        let is_over = match &self.state {
            State::Charging(_) | State::Pending(_) | State::Cancelling(_) | State::Held(_) => false,
            // Another attempt at it may have been made, and paid.
            State::Closed(_) => self.is_over() && !may_try_again(&self),
            State::Settled(_) | State::Void(_) | State::Withheld(_) => came || self.is_decided(),
            State::Refunded(_) => true,
        };
        if !is_over {
            self.rebuilt = true;
            self.end_the_offer();
            self.books_came_back(now);
        }
        self
    }

    /// Whether the present try is surely its customer's: it began with the number, and hands out what was bought. Another slot may have other
    /// goods, as far as the books know.
    #[must_use]
    pub fn is_surely_its_customers(&self) -> bool {
        let (purchase, goods) = (&self.sale.purchase, self.goods());
        let is_the_same = goods.item == purchase.item || purchase.asked.as_ref() == Some(&goods.item);
        self.tries.now.is_none() || self.tries.with_number && is_the_same
    }

    /// Whether the goods of a later try came, and perhaps to somebody else than its customer, or other ones than were bought. Then a person may
    /// decide by name that the customer gets the money, or the goods, besides.
    #[must_use]
    pub fn may_have_been_anothers(&self) -> bool {
        self.outcome() == Some(Delivery::Dispensed) && !self.has_conflict() && !self.is_surely_its_customers()
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
    pub(super) fn try_again(&mut self, promise: &Promise, key: Option<&RelayKey>, now: Told, rules: &Rules) {
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
        self.tries.with_number = self.begins_with_its_number(now);
        self.tries.ended.push(EndedTry { goods: before, reported });
        (self.tries.now, self.tries.until, self.tries.wanted_until, self.tries.shown) = (Some(goods), None, None, None);
    }

    pub(super) fn reported_before(&self, number: TryNumber) -> Option<&Reported> {
        let at = usize::try_from(number.get() - TryNumber::FIRST.get()).ok()?;
        self.tries.ended.get(at).map(|ended| &ended.reported)
    }
}
