use super::super::ASK_SPACING;
use super::*;

/// It is paid at a counter that may take the settlement back within minutes. There is no receipt before `until`, and none without another
/// question.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Held {
    pub charge: Option<Charge>,
    /// The payment.
    pub by: Settlement,
    /// It may be taken back until then.
    pub until: Wall,
    /// The answers after that may not be understood.
    pub doubt: Doubt,
}

impl Held {
    /// Its settlement was told. From [`Charging`], [`Pending`], [`Cancelling`] and [`Closed`]; and from itself, when it is told again.
    pub(in super::super) fn begun(charge: Option<Charge>, by: Settlement, until: Wall, mut doubt: Doubt, now: Told) -> Next {
        doubt.confirmed();
        // It may be over by a time that nobody trusts.
        let ask_at = if now.wall < until { until } else { now + ASK_SPACING };
        Next { state: State::Held(Self { charge, by, until, doubt }), ask: Ask::Anew(Some(ask_at)) }
    }
}

impl Phase for Held {
    /// The gateway says that it is paid, but for the machine it is not yet. The books have no word of their own for that.
    fn word(&self) -> &'static str {
        "pending"
    }

    fn facts<'a>(&'a self, _order: &'a Order) -> Facts<'a> {
        // The gateway is asked about it at `until`. The answer comes a little later.
        let known = self.until + Span::secs(60);
        let ends_at = self.charge.as_ref().map_or(known, |charge| charge.expires_at.max(known));
        let unpaid = Facts::unpaid(Standing::Held, self.charge.as_ref(), &self.doubt);
        Facts { money: Money::AtCounter, by: Some(&self.by), ends_at: Some(ends_at), ..unpaid }
    }

    /// The gateway says that it is paid, and may take that back. The payment is known already.
    fn is_news(&self, said: Said, _order: &Order) -> bool {
        match said {
            Said::Pending | Said::Settled => false,
            Said::Suspect | Said::Expired | Said::Cancelled | Said::Denied | Said::Failed => true,
            Said::Refunded | Said::PartlyRefunded | Said::ChargedBack | Said::Other => true,
        }
    }

    /// Any answer except settlement wins: there was no receipt yet.
    fn ended(&self, how: Closing, at: &At) -> Option<Next> {
        Closed::at_gateway(self.charge.clone(), how, None, &self.doubt, at)
    }

    fn unknown(&self, _asked: bool, _at: &At) -> Unknown {
        Unknown::Doubtful
    }

    fn may_repay(&self, _no_report: bool, _by_name: bool, at: &At) -> Result<(), Refused> {
        self.doubt.may_repay(false, at.order)
    }

    /// It is not asked about before the final answer can come, unless somebody said that something has happened.
    fn next_question(&self, asked: &Asked) -> Option<Wall> {
        Some(asked.hot.unwrap_or_else(|| asked.order.next_poll(self.until, asked.now).max(self.until)))
    }

    fn ended_by_a_person(&self, end: &PersonsEnd, _at: &At) -> Option<Next> {
        Next::to(Withheld::without_a_receipt(self.charge.clone(), self.by.clone(), NoReceipt::Ended(end.clone())))
    }

    fn still_pending(&self, at: &At) -> Option<Next> {
        self.charge.clone().and_then(|charge| Pending::taken_back(charge, &self.doubt, at.now))
    }

    fn is_pending_unclear(&self, _at: &At) -> bool {
        self.charge.is_none()
    }
}
