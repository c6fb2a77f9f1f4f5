use super::*;

impl Order {
    /// A person has given it back in another way. From none and [`Repayment::Refused`]; by name also from [`Repayment::Requested`], once the
    /// gateway does not tell.
    pub(in super::super) fn settled_by_hand(
        &mut self,
        note: Box<str>,
        by: Option<Box<str>>,
        no_report: bool,
        goods_and_money: bool,
        now: Told,
    ) -> Result<(), Refused> {
        self.is_free_to_repay(by.is_some())?;
        let besides = self.gives_besides(goods_and_money, by.is_some())?;
        if !besides {
            self.may_repay(now, no_report, by.is_some())?;
        }
        if self.is_refund_unsure() && by.is_none() {
            return Err(Refused::RefundUnsure);
        }
        if self.is_unconfirmed() {
            self.ended_by_a_person(by.clone().unwrap_or_else(|| "a person".into()), now);
        }
        let unsure = self.look_besides(now);
        (self.repaying.step, self.repaying.goods_and_money) = (Some(Repayment::ByHand { note, by, at: now.wall, unsure }), besides);
        self.judge_doubt();
        // For a settlement that was never accepted, only the note counts.
        if let Some(by) = self.settlement().cloned() {
            self.state = Refunded::known(self, by);
        }
        Ok(())
    }
}
