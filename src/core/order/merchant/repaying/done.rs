use super::looks::SETTLED_AGAIN;
use super::*;

/// A refund at the bank, as the gateway tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtBank {
    /// The bank is asked.
    Requested,
    /// The bank has confirmed it.
    Confirmed,
}

pub(super) const fn facts(at: Wall, bank: Option<AtBank>, settled_again_at: Option<Wall>) -> StepFacts {
    let look = match (settled_again_at, bank) {
        (Some(_), _) => Look::Soon,
        (None, Some(AtBank::Requested)) => Look::ForAWeekFrom(at),
        (None, Some(AtBank::Confirmed) | None) => Look::Never,
    };
    StepFacts { call: None, is_unsure: false, may_have_asked: true, bars: Some(Refused::RefundedAlready), settled_at: Some(at), look }
}

impl Repayment {
    /// The gateway says it for the first time. From none, [`Self::Requested`] and [`Self::Refused`].
    const fn done(at: Wall, bank: Option<AtBank>) -> Self {
        Self::Done { at, bank, settled_again_at: None }
    }
}

impl Order {
    /// The gateway says that the money went back. `told`: what the bank says of it.
    pub(in super::super) fn refunded(&mut self, report: &StatusReport, told: Option<AtBank>, now: Wall) {
        match &mut self.repaying.step {
            // So the customer has the money twice, once by hand and once through the gateway; or the goods and the money.
            Some(Repayment::ByHand { .. } | Repayment::Given { .. }) => self.comes_late(LateFact::Money),
            Some(Repayment::Done { bank, settled_again_at, .. }) => (*bank, *settled_again_at) = (told.or(*bank), None),
            Some(Repayment::Requested { .. } | Repayment::Refused { .. }) | None => {
                // Somebody gave it back at the gateway, and its machine has or had the receipt of another try, and cannot be called back.
                if !self.repaying.facts().may_have_asked && self.may_have_goods_of_a_try() {
                    self.comes_late(LateFact::Money);
                }
                self.repaying.step = Some(Repayment::done(now, told));
            }
        }
        // If nobody saw the payment, this answer has it.
        let by = self.settlement().cloned().unwrap_or_else(|| self.settlement_of(report, now));
        self.state = Refunded::known(self, by);
    }

    /// Get-status says settled again, or that only a part went back. It may be behind; and the bank may have refused the refund after the
    /// gateway had approved it.
    pub(in super::super) fn settled_again(&mut self, now: Wall) {
        if self.is_money_late() {
            return;
        }
        if let Some(Repayment::Done { settled_again_at, .. }) = &mut self.repaying.step
            && now >= *settled_again_at.get_or_insert(now) + SETTLED_AGAIN
        {
            self.comes_late(LateFact::Money);
        }
    }
}
