use super::*;

const BOOKS_CAME_BACK: &str = "the books are a copy of before: nobody knows what became of it since";

impl Order {
    /// The refund was not made, or (`unsure`) nobody knows. Who has the goods is owed nothing. From [`Repayment::Requested`]; and from
    /// [`Repayment::Refused`], once it is known.
    pub(super) fn refund_fails(&mut self, why: Box<str>, at: Wall, unsure: bool) {
        // Of goods and money the person who wants it must hear.
        let has_goods = !self.has_conflict() && self.outcome() == Some(Delivery::Dispensed) && !self.repaying.goods_and_money;
        self.repaying.step = (unsure || !has_goods).then_some(Repayment::Refused { why, at, unsure });
    }

    /// The books are a copy of before: what became of the refund since then, they do not know.
    pub(in super::super) fn books_came_back(&mut self, now: Told) {
        if let Some(Repayment::Requested { .. }) = &self.repaying.step {
            self.refund_fails(BOOKS_CAME_BACK.into(), now.wall, true);
        }
    }

    /// Get-status says that no earlier call has made the refund.
    pub(super) fn refund_is_not_made(&mut self) {
        if let Some(Repayment::Refused { why, at, unsure: true }) = &self.repaying.step {
            self.refund_fails(why.clone(), *at, false);
        }
    }

    /// There is nothing left to refund, as get-status says. So the refund has not happened.
    pub(in super::super) fn stop_refund(&mut self, why: &str, now: Told) {
        match &self.repaying.step {
            Some(Repayment::Requested { .. }) => self.refund_fails(why.into(), now.wall, false),
            Some(Repayment::Refused { .. }) => self.refund_is_not_made(),
            Some(Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) | None => {}
        }
    }
}
