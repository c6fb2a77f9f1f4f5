//! What get-status is asked once the matter is settled, or may be.

use super::*;

/// A refund that the bank has not confirmed is looked at this often …
pub(in super::super) const BANK_CHECK: Span = Span::secs(6 * 3600);
/// … for this time. News of it that get-status does not tell is looked for as long.
pub(in super::super) const BANK_CHECKS: Span = Span::secs(7 * 24 * 3600);
/// A settlement that comes after a refund is looked at once more after this time: get-status may be behind.
pub(super) const SETTLED_AGAIN: Span = Span::secs(300);

/// When get-status is asked once more, though the matter is settled.
pub(super) enum Look {
    Never,
    /// It says settled after a refund.
    Soon,
    /// The bank has not confirmed the refund, or the gateway may have made one besides.
    ForAWeekFrom(Wall),
}

impl Order {
    /// Whether the gateway may have made a refund all the same. Get-status may be behind where it said that nothing went back.
    pub(super) const fn may_be_refunded_besides(&self) -> bool {
        self.repaying.step.is_some() || self.polling.noted_back.is_some()
    }

    /// If the refund was made all the same, the customer has the money twice, or the goods and the money. Then a person is told.
    pub(super) fn check_once_more(&mut self, now: Wall) {
        self.polling = Polling { at: Some(now), ..Polling::default() };
    }

    /// The time of the next look at a refund that the gateway has approved, or may have made.
    pub(in super::super) fn next_refund_check(&self, now: Wall) -> Option<Wall> {
        match self.repaying.facts().look {
            _ if self.is_money_late() => None,
            Look::Never => None,
            Look::Soon => Some(now + SETTLED_AGAIN),
            Look::ForAWeekFrom(at) => (now < at + BANK_CHECKS).then(|| now + self.spread(BANK_CHECK)),
        }
    }

    /// Whether get-status of a paid order has failed for so long to tell of money that went back, that it is not asked any more. No person
    /// is called for this: that it was paid is known, and what is owed is listed by itself.
    pub(in super::super) fn refund_checks_end(&self, now: Wall) -> bool {
        // The gateway may have made a refund that is owed as far as anybody knows.
        if matches!(self.repaying.step, Some(Repayment::Refused { unsure: true, .. })) {
            return false;
        }
        self.polling.noted_at.max(self.repaying.facts().settled_at).is_none_or(|since| since + BANK_CHECKS <= now)
    }
}
