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

impl Order {
    /// The gateway has approved our call.
    pub(super) fn refund_approved(&mut self, report: &StatusReport, now: Told) {
        let is_awaited = matches!(self.repaying.step, Some(Repayment::Requested { .. }));
        // A person has decided meanwhile, or the machine has told another outcome: the customer may have the goods, too.
        if !is_awaited && self.has_conflict() {
            self.comes_late(LateFact::Goods);
        }
        self.refunded(report, None, now);
        if is_awaited {
            // Get-status may tell whether the bank has confirmed it.
            let check = now + CHECK_AGAIN;
            self.polling.at = Some(self.polling.at.map_or(check, |at| at.min(check)));
        }
    }

    /// The gateway says that the money went back. `told`: what the bank says of it.
    pub(in super::super) fn refunded(&mut self, report: &StatusReport, told: Option<AtBank>, now: Told) {
        let done = Repayment::Done { at: now.wall, bank: told, settled_again_at: None };
        match &mut self.repaying.step {
            // So the customer has the money twice, once by hand and once through the gateway; or the goods and the money.
            Some(Repayment::ByHand { .. } | Repayment::Given { .. }) => self.comes_late(LateFact::Money),
            Some(Repayment::Done { bank, settled_again_at, .. }) => (*bank, *settled_again_at) = (told.or(*bank), None),
            Some(Repayment::Requested { .. } | Repayment::Refused { unsure: true, .. }) => self.repaying.step = Some(done),
            Some(Repayment::Refused { unsure: false, .. }) | None => {
                // Somebody gave it back at the gateway, and its machine has or had the receipt of another try, and cannot be called back.
                if self.may_have_goods_of_a_try() {
                    self.comes_late(LateFact::Money);
                }
                self.repaying.step = Some(done);
            }
        }
        // If nobody saw the payment, this answer has it.
        let by = self.settlement().cloned().unwrap_or_else(|| self.settlement_of(report, now));
        self.state = Refunded::known(self, by);
    }

    /// Get-status says settled again, or that only a part went back. It may be behind; and the bank may have refused the refund after the
    /// gateway had approved it.
    pub(in super::super) fn settled_again(&mut self, now: Told) {
        if !self.is_money_late()
            && let Some(Repayment::Done { settled_again_at, .. }) = &mut self.repaying.step
            && now.is_over(*settled_again_at.get_or_insert(now.wall) + SETTLED_AGAIN)
        {
            self.comes_late(LateFact::Money);
        }
    }
}
