use super::super::{ASK_SPACING, CANCEL_AFTER_TIMEOUT, CANCEL_GIVE_UP};
use super::*;

/// It can be paid.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pending {
    /// The gateway's answer.
    pub charge: Charge,
    /// The time at which it is cancelled if nobody ended it. A payment code is left to the gateway's expiry.
    pub cancel_at: Option<Wall>,
    /// Somebody may have told that it is paid.
    pub doubt: Doubt,
}

impl Pending {
    /// Its charge was made and can be shown. From [`Charging`].
    pub(super) fn shown(charge: Charge, doubt: &Doubt, at: &At) -> Option<Next> {
        let asked_at = at.order.polling.at.unwrap_or(at.now + at.order.spread(ASK_SPACING));
        // A QR whose life is over is offered to nobody, whatever get-status says of it.
        let over = (charge.charged_at + at.order.sale.purchase.timeout()).min(charge.expires_at);
        let cancel_at = (!at.order.is_over_the_counter()).then_some(over + CANCEL_AFTER_TIMEOUT);
        let state = State::Pending(Self { charge, cancel_at, doubt: doubt.clone() });
        Some(Next { state, ask: Ask::At(Some(asked_at)) })
    }

    /// What was settled is pending: it is not paid after all. If a settlement comes, it is held from its own first moment on. From [`Held`].
    pub(super) fn taken_back(charge: Charge, doubt: &Doubt, now: Told) -> Option<Next> {
        let mut doubt = doubt.clone();
        doubt.notified(now);
        Next::to(State::Pending(Self { charge, cancel_at: None, doubt }))
    }
}

impl Phase for Pending {
    fn word(&self) -> &'static str {
        "pending"
    }

    fn facts<'a>(&'a self, _order: &'a Order) -> Facts<'a> {
        let ends_at = self.cancel_at.map_or(self.charge.expires_at, |at| at.min(self.charge.expires_at));
        Facts { ends_at: Some(ends_at), ..Facts::unpaid(Standing::Payable, Some(&self.charge), &self.doubt) }
    }

    fn is_news(&self, said: Said, _order: &Order) -> bool {
        said != Said::Pending
    }

    fn ended(&self, how: Closing, at: &At) -> Option<Next> {
        Closed::at_gateway(Some(self.charge.clone()), how, None, &self.doubt, at)
    }

    fn unknown(&self, _asked: bool, _at: &At) -> Unknown {
        Unknown::Doubtful
    }

    fn may_repay(&self, _no_report: bool, _by_name: bool, at: &At) -> Result<(), Refused> {
        self.doubt.may_repay(false, at.order)
    }

    fn next_question(&self, asked: &Asked) -> Option<Wall> {
        let since = self.doubt.since().unwrap_or(self.charge.charged_at);
        Some(asked.hot.unwrap_or_else(|| asked.order.next_poll(since, asked.now)))
    }

    fn duty(&self, _asks: bool, at: &At) -> Option<Duty> {
        self.cancel_at.filter(|cancel_at| at.now.is_over(*cancel_at)).map(|_| Duty::Apply(Event::TimedOut))
    }

    fn deadline(&self, order: &Order) -> Option<Wall> {
        self.cancel_at.into_iter().chain(order.polling.at).min()
    }

    fn may_be_asked_about(&self, _order: &Order) -> bool {
        true
    }

    fn end(&self, why: &Ending, at: &At) -> Option<Next> {
        Cancelling::begun(Some(self.charge.clone()), why.clone(), &self.doubt, at)
    }

    fn ended_by_a_person(&self, _end: &PersonsEnd, at: &At) -> Option<Next> {
        // If get-status still calls it pending, it is cancelled: nobody is to pay it any more.
        let closed = Closed::by_a_person(Some(self.charge.clone()), None, &self.doubt, at)?;
        Some(Next { ask: Ask::At(Some(at.now.wall)), ..closed })
    }

    /// A payment code that nobody cancels.
    fn is_pending_unclear(&self, at: &At) -> bool {
        at.now.is_over(self.charge.expires_at + CANCEL_GIVE_UP)
    }
}
