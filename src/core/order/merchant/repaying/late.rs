//! What comes after the matter was settled, or was about to be.

use super::*;

const OTHER_OUTCOME: &str = "the machine told another outcome meanwhile";

impl LateFact {
    fn of(outcome: Delivery) -> Self {
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
    pub(in super::super) fn contradicted(&mut self, told: DeliveryReport, on_its_way: bool, now: Wall) {
        let (is_decided, says) = (self.is_decided(), LateFact::of(told.outcome));
        let number = self.number_of_try();
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
            (Proof::Missing(_), Proof::Signed { .. }) => (stands.report, stands.at) = (told, now),
            (Proof::Signed { .. }, Proof::Signed { .. }) | (Proof::Missing(_), Proof::Missing(_)) => {}
        }
        stands.conflict |= !is_decided;
        match &self.repaying.step {
            // A refund that nobody may have made is not begun again.
            Some(Repayment::Requested { unsure: false, .. }) if !on_its_way => self.refund_fails(OTHER_OUTCOME.into(), now, false),
            // The money went back, or may have: the customer may have the goods, too.
            Some(Repayment::Requested { .. }) => {
                self.comes_late(says);
                self.only_check_refund(OTHER_OUTCOME, now);
            }
            Some(Repayment::Refused { unsure: true, .. }) => self.comes_late(says),
            Some(Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) | None if is_decided => self.comes_late(says),
            Some(
                Repayment::Refused { unsure: false, .. } | Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. },
            )
            | None => {}
        }
    }

    /// An outcome was told for the first time. The matter may have been settled before that without one.
    pub(in super::super) fn first_reported(&mut self, outcome: Delivery, now: Wall) {
        match (&self.repaying.step, LateFact::of(outcome)) {
            (Some(Repayment::Refused { unsure: false, .. }), _) if outcome == Delivery::Dispensed => self.repaying.step = None,
            (Some(_), LateFact::Goods) => self.comes_late(LateFact::Goods),
            (Some(_), LateFact::NoGoods | LateFact::Money) | (None, _) => {}
        }
        if outcome == Delivery::Dispensed {
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
}
