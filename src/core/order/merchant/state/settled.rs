use super::super::{NO_REPORT_AFTER, REPORT_WITHIN};
use super::*;
use crate::order::outcome::Delivery;

/// Paid; there is a receipt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Settled {
    pub charge: Option<Charge>,
    /// The payment.
    pub by: Settlement,
    /// The receipt, which opens the relay.
    pub receipt: Receipt,
    /// Over the counter: the customer can collect until then.
    pub collect_by: Option<Wall>,
    /// The time at which it was listed because no outcome came.
    pub unreported_at: Option<Wall>,
}

impl Settled {
    /// A settlement that fits its charge. From [`Charging`], [`Pending`], [`Cancelling`], [`Closed`] and, once its window is over, [`Held`];
    /// never after a person has ended it or given the money back.
    pub(in super::super) const fn signed(charge: Option<Charge>, by: Settlement, receipt: Receipt, collect_by: Option<Wall>) -> State {
        State::Settled(Self { charge, by, receipt, collect_by, unreported_at: None })
    }

    /// Its machine tells of the goods, and had the receipt before the counter took the money back. From [`Void`].
    pub(super) fn reported_after_all(void: &Void) -> Option<Next> {
        let Void { charge, by, receipt } = void.clone();
        Next::to(Self::signed(charge, by, receipt, None))
    }

    fn signed_at(&self) -> Wall {
        Wall(self.receipt.claims().iat.saturating_mul(1000))
    }

    /// From then on the machine's silence counts. An order that can be collected may be delivered until its time is over.
    fn silent_from(&self) -> Wall {
        self.collect_by.unwrap_or(self.signed_at())
    }

    /// The time at which it is listed if the machine has told no outcome by then.
    fn unreported_after(&self, order: &Order) -> Option<Wall> {
        let waits = self.facts(order).is_open && self.unreported_at.is_none() && order.repayment().is_none();
        waits.then(|| self.silent_from() + REPORT_WITHIN)
    }
}

impl Phase for Settled {
    fn word(&self) -> &'static str {
        "settled"
    }

    fn facts<'a>(&'a self, order: &'a Order) -> Facts<'a> {
        let is_open = order.reported.is_none();
        let ends_at = self.collect_by.filter(|_| is_open);
        let is_owed = match order.outcome() {
            Some(Delivery::Failed | Delivery::Undelivered) => true,
            Some(Delivery::Dispensed | Delivery::Uncertain | Delivery::Other(_)) | None => false,
        };
        let money = Money::once_paid(order);
        let paid = Facts::paid(Status::Settlement, money, self.charge.as_ref(), &self.by, Some(&self.receipt));
        Facts { is_owed, is_open, ends_at, ..paid }
    }

    fn is_news(&self, said: Said, order: &Order) -> bool {
        order.is_news_of_money(said)
    }

    fn ended(&self, how: Closing, at: &At) -> Option<Next> {
        if at.order.is_reversal(how) && at.order.reported.is_none() { Void::taken_back(self) } else { None }
    }

    fn may_repay(&self, no_report: bool, by_name: bool, at: &At) -> Result<(), Refused> {
        match at.order.outcome() {
            Some(Delivery::Failed | Delivery::Undelivered | Delivery::Uncertain | Delivery::Other(_)) => Ok(()),
            Some(Delivery::Dispensed) if at.order.has_conflict() => Ok(()),
            // The gateway does not tell whether an earlier refund was made all the same.
            Some(Delivery::Dispensed) if by_name && at.order.is_refund_unsure() => Ok(()),
            Some(Delivery::Dispensed) => Err(Refused::Delivered),
            None if !no_report => Err(Refused::NotReported),
            None if self.unreported_at.is_some() && at.now.is_over(self.silent_from() + NO_REPORT_AFTER) => Ok(()),
            None => Err(Refused::TooEarly),
        }
    }

    /// Another try needs the gateway's word of this moment.
    fn may_be_asked_about(&self, order: &Order) -> bool {
        order.tries.until.is_some()
    }

    fn next_question(&self, asked: &Asked) -> Option<Wall> {
        asked.next_about_money()
    }

    fn duty(&self, asks: bool, at: &At) -> Option<Duty> {
        if at.order.tries.until.is_some_and(|until| at.now.is_over(until)) {
            return Some(Duty::Apply(Event::TryOfferEnds));
        }
        if at.order.tries.wanted_until.is_some_and(|until| at.now.is_over(until)) {
            return Some(Duty::Apply(Event::TryWishEnds));
        }
        if self.unreported_after(at.order).is_some_and(|listed_at| at.now.is_over(listed_at)) {
            return Some(Duty::Apply(Event::Unreported));
        }
        at.order.repaying.call(at.now).filter(|_| !asks).map(Duty::Call)
    }

    fn deadline(&self, order: &Order) -> Option<Wall> {
        self.unreported_after(order)
            .into_iter()
            .chain(order.next_about_repaying())
            .chain(order.tries.until)
            .chain(order.tries.wanted_until)
            .min()
    }
}
