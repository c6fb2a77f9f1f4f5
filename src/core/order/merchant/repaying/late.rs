//! What comes after the matter was settled, or was about to be, and when get-status is asked for it.

use super::*;
use crate::order::tries::TryNumber;
use std::cmp::Ordering;

/// A refund that the bank has not confirmed is looked at this often …
pub(in super::super) const BANK_CHECK: Span = Span::secs(6 * 3600);
/// … for this time. News of it that get-status does not tell is looked for as long.
pub(in super::super) const BANK_CHECKS: Span = Span::secs(7 * 24 * 3600);
/// A settlement that comes after a refund is looked at once more after this time: get-status may be behind.
pub(super) const SETTLED_AGAIN: Span = Span::secs(300);
const OTHER_OUTCOME: &str = "the machine told another outcome meanwhile";

impl LateFact {
    pub(in super::super) fn of(outcome: Delivery) -> Self {
        match outcome {
            Delivery::Dispensed | Delivery::Uncertain | Delivery::Other(_) => Self::Goods,
            Delivery::Failed | Delivery::Undelivered => Self::NoGoods,
        }
    }
}

impl Order {
    /// The machine told another outcome than before. No refund runs until a person decides. A refund that is
    /// `on_its_way` to the gateway cannot be called back. The relay's signed word stands over a report that anybody with
    /// the token may have sent.
    pub(in super::super) fn contradicted(&mut self, told: DeliveryReport, on_its_way: bool, now: Told) {
        let (number, says) = (self.number_of_try(), LateFact::of(told.outcome));
        if told.nth_try < number {
            return;
        }
        // The books do not know of that try: goods may have come of it, whatever was proven before.
        let is_lost = told.nth_try > number;
        let Some(stands) = &mut self.reported else { return };
        match (&stands.report.proof, &told.proof) {
            _ if is_lost => {}
            // No word counts against the relay's own.
            (Proof::Signed { .. }, Proof::Missing(_)) => return,
            (Proof::Missing(_), Proof::Signed { .. }) => (stands.report, stands.at) = (told, now.wall),
            (Proof::Signed { .. }, Proof::Signed { .. }) | (Proof::Missing(_), Proof::Missing(_)) => {}
        }
        self.doubted(says, on_its_way, now);
    }

    /// A device that names its slots says that the goods of a try came, after the relay signed that they did not. That word stands, and a
    /// person decides. What is told of an uncertain end helps that person, and is in the history alone.
    pub(in super::super) fn came_late(&mut self, number: TryNumber, on_its_way: bool, now: Told) {
        match number.cmp(&self.number_of_try()) {
            // Another try has begun. Its customer may have the goods twice.
            Ordering::Less => self.comes_late(LateFact::Goods),
            Ordering::Equal if self.outcome() == Some(Delivery::Failed) => self.doubted(LateFact::Goods, on_its_way, now),
            Ordering::Equal | Ordering::Greater => {}
        }
    }

    /// Something else is told than what stands.
    fn doubted(&mut self, says: LateFact, on_its_way: bool, now: Told) {
        let is_decided = self.is_decided();
        let Some(stands) = &mut self.reported else { return };
        stands.conflict |= !is_decided;
        match &self.repaying.step {
            // What came of the try is in doubt, as it was not when the person decided on goods and money.
            Some(Repayment::Requested { unsure: false, .. }) if !on_its_way && self.repaying.goods_and_money => {
                (self.repaying.step, self.repaying.goods_and_money) = (None, false);
            }
            // A refund that nobody may have made is not begun again.
            Some(Repayment::Requested { unsure: false, .. }) if !on_its_way => self.refund_fails(OTHER_OUTCOME.into(), now.wall, false),
            // The money went back, or may have: the customer may have the goods, too.
            Some(Repayment::Requested { .. }) => {
                self.comes_late(says);
                self.only_check_refund(OTHER_OUTCOME, now);
            }
            Some(Repayment::Refused { unsure: true, .. }) => self.comes_late(says),
            Some(Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) => self.comes_late(says),
            None if is_decided => self.comes_late(says),
            Some(Repayment::Refused { unsure: false, .. }) | None => {}
        }
    }

    /// An outcome was told for the first time. The matter may have been settled before that without one.
    pub(in super::super) fn first_reported(&mut self, outcome: Delivery, now: Told) {
        let came = outcome == Delivery::Dispensed;
        if came && matches!(self.repaying.step, Some(Repayment::Refused { unsure: false, .. })) {
            self.repaying.step = None;
        } else if self.repaying.step.is_some() && LateFact::of(outcome) == LateFact::Goods {
            self.comes_late(LateFact::Goods);
        }
        if came {
            self.only_check_refund("the machine told that it was handed out", now);
        }
    }

    pub(in super::super) fn comes_late(&mut self, fact: LateFact) {
        if !self.late.contains(&fact) {
            self.late.push(fact);
            self.seen.retain(|kind| *kind != Attention::LateFact);
        }
    }

    /// Whether the money moved again after the matter was settled.
    #[must_use]
    pub fn is_money_late(&self) -> bool {
        self.late.contains(&LateFact::Money)
    }

    /// Whether the gateway may have made a refund besides: get-status may be behind where it said that nothing went back. Then it is asked once
    /// more. If the refund was made, the customer has the money twice, or the goods and the money, and a person is told.
    pub(super) fn look_besides(&mut self, now: Told) -> bool {
        let unsure = self.repaying.step.is_some() || self.polling.noted_back.is_some();
        if unsure {
            self.polling = Polling { at: Some(now.wall), ..Polling::default() };
        }
        unsure
    }

    /// The time of the next look at a refund that the gateway has approved, or may have made.
    pub(in super::super) fn next_refund_check(&self, now: Told) -> Option<Wall> {
        if self.is_money_late() {
            return None;
        }
        let since = match &self.repaying.step {
            Some(Repayment::Done { settled_again_at: Some(_), .. }) => return Some(now + SETTLED_AGAIN),
            Some(Repayment::Done { at, bank, .. }) => Some(*at).filter(|_| *bank == Some(AtBank::Requested)),
            Some(Repayment::ByHand { at, unsure, .. } | Repayment::Given { at, unsure, .. }) => Some(*at).filter(|_| *unsure),
            Some(Repayment::Requested { .. } | Repayment::Refused { .. }) | None => None,
        };
        since.filter(|since| !now.is_over(*since + BANK_CHECKS)).map(|_| now + self.spread(BANK_CHECK))
    }

    /// Whether get-status of a paid order has failed for so long to tell of money that went back, that it is not asked any more. No person
    /// is called for this: that it was paid is known, and what is owed is listed by itself.
    pub(in super::super) fn refund_checks_end(&self, now: Told) -> bool {
        // The gateway may have made a refund that is owed as far as anybody knows.
        if matches!(self.repaying.step, Some(Repayment::Refused { unsure: true, .. })) {
            return false;
        }
        self.polling.noted_at.max(self.repaying.facts().settled_at).is_none_or(|since| now.is_over(since + BANK_CHECKS))
    }
}
