use super::super::{CANCEL_GIVE_UP, UNCONFIRMED_AFTER};
use super::*;

/// The gateway is asked to end it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cancelling {
    /// The gateway's answer, if there was one.
    pub charge: Option<Charge>,
    pub why: Ending,
    /// The next question is get-status (the cancel was refused), and not the cancel.
    pub get_status: bool,
    /// The number of calls so far.
    pub tries: u32,
    /// The time of the next call, at the earliest.
    pub retry_at: Wall,
    /// It may be paid all the same.
    pub doubt: Doubt,
}

impl Cancelling {
    /// Its charge is to end, or may exist. From [`Charging`] and [`Pending`]; from [`Closed`] if its charge is found after all.
    pub(super) fn begun(charge: Option<Charge>, why: Ending, doubt: &Doubt, at: &At) -> Option<Next> {
        let state = State::Cancelling(Self { charge, why, get_status: false, tries: 0, retry_at: at.now.wall, doubt: doubt.clone() });
        // A question after a notification stays. The regular questions about an order that could be paid end.
        Some(Next { state, ask: Ask::At(at.order.polling.at.filter(|_| at.order.polling.is_hot(at.now))) })
    }

    fn again(&self, then_status: bool, at: &At) -> Next {
        let doubt = &self.doubt;
        // What a person has ended is not held open by it.
        let ended = doubt.ended_by.as_ref().is_some_and(|ended| at.now.is_over(ended.at + UNCONFIRMED_AFTER));
        if ended || self.is_pending_unclear(at) {
            return Closed::given_up(self.charge.clone(), Closing::Failure, &self.why, doubt, at);
        }
        let tries = self.tries + 1;
        // The look after a cancel is due at once: the cancel lost a race, and somebody waits to know who won.
        let at_once = then_status && !self.get_status;
        let is_soon = doubt.since().is_some_and(|since| at.now.wall < since + UNCONFIRMED_AFTER + UNCONFIRMED_AFTER);
        let longest = if is_soon && doubt.listed_at.is_none() { Span::secs(60) } else { Span::secs(300) };
        let retry_at = if at_once { at.now.wall } else { at.now + doubled(Span::secs(1), tries, longest) };
        let state = Self { get_status: then_status, tries, retry_at, ..self.clone() };
        Next { state: State::Cancelling(state), ask: Ask::AsPlanned }
    }
}

impl Phase for Cancelling {
    fn word(&self) -> &'static str {
        "cancelling"
    }

    fn facts<'a>(&'a self, _order: &'a Order) -> Facts<'a> {
        Facts { why: Some(&self.why), ..Facts::unpaid(Standing::Ending, self.charge.as_ref(), &self.doubt) }
    }

    fn is_news(&self, said: Said, _order: &Order) -> bool {
        said != Said::Pending
    }

    fn ended(&self, how: Closing, at: &At) -> Option<Next> {
        Closed::at_gateway(self.charge.clone(), how, Some(self.why.clone()), &self.doubt, at)
    }

    fn unknown(&self, asked: bool, at: &At) -> Unknown {
        match (&self.charge, asked) {
            (None, _) => {
                let how = if self.why == Ending::Requested { Closing::Cancel } else { Closing::Failure };
                let mut doubt = self.doubt.clone();
                // The cancel does not know it. Get-status may call it pending all the same.
                if asked {
                    doubt.understood();
                }
                Unknown::NeverMade(Box::new(Closed::given_up(None, how, &self.why, &doubt, at)))
            }
            (Some(_), true) => Unknown::Doubtful,
            (Some(_), false) => Unknown::Nothing,
        }
    }

    fn may_repay(&self, _no_report: bool, _by_name: bool, at: &At) -> Result<(), Refused> {
        self.doubt.may_repay(false, at.order)
    }

    /// The cancel is repeated and followed by a look without this.
    fn next_question(&self, asked: &Asked) -> Option<Wall> {
        asked.hot
    }

    fn duty(&self, asks: bool, at: &At) -> Option<Duty> {
        let call = if self.get_status { Call::GetStatus } else { Call::Cancel };
        (!asks && self.retry_at <= at.now.wall).then_some(Duty::Call(call))
    }

    fn deadline(&self, order: &Order) -> Option<Wall> {
        order.polling.at.into_iter().chain([self.retry_at]).min()
    }

    fn may_be_asked_about(&self, _order: &Order) -> bool {
        true
    }

    fn may_be_awaited(&self) -> bool {
        self.why == Ending::GaveUp
    }

    /// Whether its sum was right decides about a payment of it.
    fn charged(&self, charge: &Charge, _unreadable: Option<&str>, rules: &Rules, at: &At) -> Option<Next> {
        let is_right = at.order.may_be_asked(charge.gross_amount, rules);
        let why = if is_right { self.why.clone() } else { Ending::GrossAmount };
        let charged = || Self { charge: Some(charge.clone()), why, ..self.clone() };
        self.charge.is_none().then(charged).and_then(|state| Next::to(State::Cancelling(state)))
    }

    fn not_charged(&self, no_charge: &NoCharge, at: &At) -> Option<Next> {
        match (no_charge, &self.charge, &self.why) {
            (NoCharge::NotMade { .. }, None, Ending::Requested) => Closed::uncharged(Closing::Cancel, Ending::Requested, &self.doubt, at),
            (NoCharge::NotMade { .. } | NoCharge::Passing(_) | NoCharge::Unsure(_) | NoCharge::Exists, _, _) => None,
        }
    }

    /// A machine that asks for the end of an order that was given up does not want another attempt.
    fn end(&self, why: &Ending, _at: &At) -> Option<Next> {
        let unwanted = self.why == Ending::GaveUp && *why == Ending::Requested;
        unwanted.then(|| Self { why: why.clone(), ..self.clone() }).and_then(|state| Next::to(State::Cancelling(state)))
    }

    fn ended_by_a_person(&self, _end: &PersonsEnd, at: &At) -> Option<Next> {
        Closed::by_a_person(self.charge.clone(), Some(self.why.clone()), &self.doubt, at)
    }

    fn cancel_failed(&self, then_status: bool, at: &At) -> Option<Next> {
        Some(self.again(then_status, at))
    }

    fn still_pending(&self, at: &At) -> Option<Next> {
        self.get_status.then(|| self.again(false, at))
    }

    fn is_pending_unclear(&self, at: &At) -> bool {
        at.now.is_over(at.order.created_at + CANCEL_GIVE_UP)
    }

    fn not_clear(&self, at: &At) -> Option<Next> {
        self.get_status.then(|| self.again(true, at))
    }
}
