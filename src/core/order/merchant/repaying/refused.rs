use super::*;

const BOOKS_CAME_BACK: &str = "the books are a copy of before: nobody knows what became of it since";

pub(super) const fn facts(unsure: bool) -> StepFacts {
    StepFacts { call: None, is_unsure: unsure, may_have_asked: unsure, bars: None, settled_at: None, look: Look::Never }
}

impl Repayment {
    /// The refund was not made, or (`unsure`) nobody knows. From [`Self::Requested`]; and from itself, once it is known.
    fn refused(why: Box<str>, at: Wall, unsure: bool, order: &Order) -> Option<Self> {
        // Who has the goods is owed nothing.
        let has_goods = !order.has_conflict() && order.outcome() == Some(Delivery::Dispensed);
        (unsure || !has_goods).then_some(Self::Refused { why, at, unsure })
    }
}

impl Order {
    pub(super) fn refund_fails(&mut self, why: Box<str>, at: Wall, unsure: bool) {
        self.repaying.step = Repayment::refused(why, at, unsure, self);
    }

    /// The books are a copy of before: what became of the refund since then, they do not know.
    pub(in super::super) fn books_came_back(&mut self, now: Wall) {
        if let Some(Repayment::Requested { .. }) = &self.repaying.step {
            self.refund_fails(BOOKS_CAME_BACK.into(), now, true);
        }
    }

    /// Get-status says that no earlier call has made the refund.
    pub(super) fn refund_is_not_made(&mut self) {
        if let Some(Repayment::Refused { why, at, unsure: true }) = &self.repaying.step {
            self.refund_fails(why.clone(), *at, false);
        }
    }

    /// There is nothing left to refund, as get-status says. So the refund has not happened.
    pub(in super::super) fn stop_refund(&mut self, why: &str, now: Wall) {
        match &self.repaying.step {
            Some(Repayment::Requested { .. }) => self.refund_fails(why.into(), now, false),
            Some(Repayment::Refused { .. }) => self.refund_is_not_made(),
            Some(Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) | None => {}
        }
    }
}
