use super::*;

pub(super) const fn facts(at: Wall, unsure: bool) -> StepFacts {
    let look = if unsure { Look::ForAWeekFrom(at) } else { Look::Never };
    StepFacts { call: None, is_unsure: false, may_have_asked: false, bars: Some(Refused::RefundedAlready), settled_at: Some(at), look }
}

impl Repayment {
    /// A person has given it back. From none and [`Self::Refused`]; by name also from [`Self::Requested`], once the gateway does not tell.
    const fn by_hand(note: Box<str>, by: Option<Box<str>>, at: Wall, unsure: bool) -> Self {
        Self::ByHand { note, by, at, unsure }
    }
}

impl Order {
    pub(in super::super) fn settled_by_hand(
        &mut self,
        note: Box<str>,
        by: Option<Box<str>>,
        no_report: bool,
        now: Wall,
    ) -> Result<(), Refused> {
        self.may_repay(now, no_report, by.is_some())?;
        if self.is_refund_unsure() && by.is_none() {
            return Err(Refused::RefundUnsure);
        }
        if self.is_unconfirmed() {
            self.ended_by_a_person(by.clone().unwrap_or_else(|| "a person".into()), now);
        }
        let unsure = self.may_be_refunded_besides();
        self.repaying.step = Some(Repayment::by_hand(note, by, now, unsure));
        self.judge_doubt();
        if unsure {
            self.check_once_more(now);
        }
        // For a settlement that was never accepted, only the note counts.
        if let Some(by) = self.settlement().cloned() {
            self.state = Refunded::known(self, by);
        }
        Ok(())
    }
}
