use super::*;

impl Order {
    /// An attendant has handed the goods over. From none and [`Repayment::Refused`]; also from [`Repayment::Requested`], once the gateway does
    /// not tell.
    pub(in super::super) fn given(&mut self, by: Box<str>, goods_and_money: bool, from_slot: bool, now: Told) -> Result<(), Refused> {
        self.is_free_to_repay(true)?;
        let besides = self.gives_besides(goods_and_money, true)?;
        // An attendant stands at the machine. But the machine may still deliver an order without a report, until the
        // hour is over.
        if !besides {
            self.may_repay(now, true, true)?;
        }
        self.holds_the_money()?;
        let unsure = self.look_besides(now);
        (self.repaying.step, self.repaying.goods_and_money) = (Some(Repayment::Given { by, at: now.wall, unsure, from_slot }), besides);
        Ok(())
    }

    /// Whether a person took its goods out of the machine's slot. The machine takes them from its count.
    #[must_use]
    pub const fn is_taken_out(&self) -> bool {
        matches!(self.repaying.step, Some(Repayment::Given { from_slot: true, .. }))
    }
}
