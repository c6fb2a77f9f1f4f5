use super::*;

pub(super) const fn facts(at: Wall, unsure: bool) -> StepFacts {
    let look = if unsure { Look::ForAWeekFrom(at) } else { Look::Never };
    StepFacts { call: None, is_unsure: false, may_have_asked: false, bars: Some(Refused::Given), settled_at: Some(at), look }
}

impl Repayment {
    /// An attendant has handed the goods over. From none and [`Self::Refused`]; also from [`Self::Requested`], once the gateway does not tell.
    const fn given(by: Box<str>, at: Wall, unsure: bool) -> Self {
        Self::Given { by, at, unsure }
    }
}

impl Order {
    pub(in super::super) fn given(&mut self, by: Box<str>, now: Wall) -> Result<(), Refused> {
        // An attendant stands at the machine. But the machine may still deliver an order without a report, until the
        // hour is over.
        self.may_repay(now, true, true)?;
        self.holds_the_money()?;
        let unsure = self.may_be_refunded_besides();
        self.repaying.step = Some(Repayment::given(by, now, unsure));
        if unsure {
            self.check_once_more(now);
        }
        Ok(())
    }
}
