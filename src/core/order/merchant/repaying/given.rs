use super::*;

impl Order {
    /// An attendant has handed the goods over. From none and [`Repayment::Refused`]; also from [`Repayment::Requested`], once the gateway does
    /// not tell.
    pub(in super::super) fn given(&mut self, by: Box<str>, now: Wall) -> Result<(), Refused> {
        // An attendant stands at the machine. But the machine may still deliver an order without a report, until the
        // hour is over.
        self.may_repay(now, true, true)?;
        self.holds_the_money()?;
        let unsure = self.look_besides(now);
        self.repaying.step = Some(Repayment::Given { by, at: now, unsure });
        Ok(())
    }
}
