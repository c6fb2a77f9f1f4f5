use super::super::HAND_OUT_GRACE;
use super::*;
use crate::order::request::Payment;

/// The gateway is asked for a charge.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Charging {
    /// The number of calls so far.
    pub tries: u32,
    /// Whether one of them may have made the charge.
    pub unsure: bool,
    /// The time of the next call, at the earliest.
    pub retry_at: Wall,
    /// A notification of it may come before its answer.
    pub doubt: Doubt,
}

impl Charging {
    pub(in super::super) fn begun(retry_at: Wall) -> State {
        State::Charging(Self { tries: 0, unsure: false, retry_at, doubt: Doubt::default() })
    }

    fn cancel(&self, charge: Option<&Charge>, why: Ending, at: &At) -> Option<Next> {
        Cancelling::begun(charge.cloned(), why, &self.doubt, at)
    }
}

impl Phase for Charging {
    fn word(&self) -> &'static str {
        "charging"
    }

    fn facts<'a>(&'a self, _order: &'a Order) -> Facts<'a> {
        Facts::unpaid(Standing::Charging, None, &self.doubt)
    }

    fn is_news(&self, said: Said, _order: &Order) -> bool {
        said != Said::Pending
    }

    fn ended(&self, how: Closing, at: &At) -> Option<Next> {
        Closed::at_gateway(None, how, None, &self.doubt, at)
    }

    fn may_repay(&self, _no_report: bool, _by_name: bool, _at: &At) -> Result<(), Refused> {
        Err(Refused::NotPaid)
    }

    fn next_question(&self, asked: &Asked) -> Option<Wall> {
        asked.order.polling.at
    }

    fn duty(&self, _asks: bool, at: &At) -> Option<Duty> {
        Some(match () {
            () if at.now.is_over(at.order.answer_by) => Duty::Apply(Event::GaveUp),
            // The gateway forgets the key of a call. So a call is not repeated after that time, whoever trusts it.
            () if at.order.answer_by <= at.now.wall => Duty::Wait,
            () if self.retry_at <= at.now.wall => Duty::Call(Call::Charge),
            () => Duty::Wait,
        })
    }

    fn deadline(&self, order: &Order) -> Option<Wall> {
        Some(self.retry_at.min(order.answer_by))
    }

    fn may_be_awaited(&self) -> bool {
        true
    }

    fn charged(&self, charge: &Charge, unreadable: Option<&str>, rules: &Rules, at: &At) -> Option<Next> {
        match unreadable {
            _ if !at.order.may_be_asked(charge.gross_amount, rules) => self.cancel(Some(charge), Ending::GrossAmount, at),
            Some(why) => self.cancel(Some(charge), Ending::Unreadable(why.into()), at),
            None if at.now.is_over(at.order.answer_by + HAND_OUT_GRACE + Span(1)) => self.cancel(Some(charge), Ending::GaveUp, at),
            None => Pending::shown(charge.clone(), &self.doubt, at),
        }
    }

    fn not_charged(&self, no_charge: &NoCharge, at: &At) -> Option<Next> {
        // The gateway keeps no key for it. It would refuse the same call again as a second one.
        let repeatable = at.order.sale.purchase.payment != Payment::Indomaret;
        let tries = self.tries + 1;
        let retry_at = at.now + doubled(Span::millis(250), tries, Span::secs(3));
        let again = |unsure| Next::to(State::Charging(Self { tries, retry_at, unsure, doubt: self.doubt.clone() }));
        match no_charge {
            NoCharge::Passing(_) => again(self.unsure),
            NoCharge::Unsure(_) if repeatable => again(true),
            NoCharge::Unsure(_) | NoCharge::Exists => self.cancel(None, Ending::GaveUp, at),
            // A denial of a repeated call says nothing about the call before it.
            NoCharge::NotMade { .. } if self.unsure => self.cancel(None, Ending::GaveUp, at),
            NoCharge::NotMade { again, why } => {
                let why = Ending::NotMade { again: *again, why: why.clone() };
                Closed::uncharged(Closing::Failure, why, &self.doubt, at)
            }
        }
    }

    fn gave_up(&self, restarted: bool, at: &At) -> Option<Next> {
        if self.unsure || restarted {
            return self.cancel(None, Ending::GaveUp, at);
        }
        Closed::uncharged(Closing::Failure, Ending::GaveUp, &self.doubt, at)
    }

    fn end(&self, why: &Ending, at: &At) -> Option<Next> {
        self.cancel(None, why.clone(), at)
    }
}
