use super::super::{ATTEMPTS_MAX, Attention, CALL_LIFE, CANCEL_GIVE_UP, CHECK_AFTER_END, CHECK_AGAIN, LAST_CHECK, Proof};
use super::*;

/// It ended, and nobody paid as far as anybody knows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Closed {
    /// The gateway's answer, if there was one.
    pub charge: Option<Charge>,
    /// The word for it.
    pub how: Closing,
    /// Our reason, if we wanted it.
    pub why: Option<Ending>,
    /// The time at which the gateway first said that its charge ended unpaid; `None`: it did not say so.
    pub ended_at: Option<Wall>,
    /// It may be paid late.
    pub doubt: Doubt,
}

/// How an order ended unpaid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Closing {
    /// The gateway expired it.
    Expire,
    /// It was cancelled.
    Cancel,
    /// The gateway denied it.
    Deny,
    /// It was never charged, or broke.
    Failure,
}

impl Closing {
    const fn status(self) -> Status {
        match self {
            Self::Expire => Status::Expire,
            Self::Cancel => Status::Cancel,
            Self::Deny => Status::Deny,
            Self::Failure => Status::Failure,
        }
    }
}

impl Closed {
    /// The gateway says that its charge ended. From [`Charging`], [`Pending`], [`Held`] and [`Cancelling`].
    pub(super) fn at_gateway(charge: Option<Charge>, how: Closing, why: Option<Ending>, doubt: &Doubt, at: &At) -> Option<Next> {
        Some(Self { charge, how, why, ended_at: Some(at.now.wall), doubt: doubt.clone() }.known(at))
    }

    /// No charge was made. From [`Charging`] and [`Cancelling`].
    pub(super) fn uncharged(how: Closing, why: Ending, doubt: &Doubt, at: &At) -> Option<Next> {
        Some(Self { charge: None, how, why: Some(why), ended_at: None, doubt: doubt.clone() }.known(at))
    }

    /// A person ends it, while nobody can say whether it is paid. From [`Pending`] and [`Cancelling`].
    pub(super) fn by_a_person(charge: Option<Charge>, why: Option<Ending>, doubt: &Doubt, at: &At) -> Option<Next> {
        Some(Self { charge, how: Closing::Failure, why, ended_at: None, doubt: doubt.clone() }.known(at))
    }

    /// The cancel of its charge is given up, or finds no charge. What is not certain stays so. From [`Cancelling`].
    pub(super) fn given_up(charge: Option<Charge>, how: Closing, why: &Ending, doubt: &Doubt, at: &At) -> Next {
        let mut closed = Self { charge, how, why: Some(why.clone()), ended_at: None, doubt: doubt.clone() };
        closed.doubt.judge(at.order.is_decided());
        // When the gateway can be asked again, it is asked what became of it. If it is found again and again, that is asked now and then.
        let again = match why {
            // What a person has ended or settled is over.
            _ if doubt.ended_by.is_some() || at.order.is_decided() => doubt.next_check_after_a_persons_end(at.order, at.now),
            Ending::Leftover => Some(at.order.next_poll(at.order.created_at, at.now).max(at.now + CHECK_AGAIN)),
            Ending::Requested | Ending::Timeout | Ending::GrossAmount | Ending::Unreadable(_) | Ending::GaveUp | Ending::NotMade { .. } => {
                Some(at.now + CHECK_AGAIN)
            }
        };
        // Somebody told that it is paid. It is asked about until that is answered, so that people are told.
        let told = closed.doubt.notified_at.map(|since| at.order.next_poll(since, at.now));
        Next { ask: Ask::Anew(again.into_iter().chain(told).min()), state: State::Closed(closed) }
    }

    /// It ended by what is known of its charge. Somebody may have told that it is paid all the same.
    fn known(mut self, at: &At) -> Next {
        self.doubt.understood();
        self.doubt.judge(at.order.is_decided());
        let own = self.last_check(at.order, at.now).or(self.doubt.next_check_after_a_persons_end(at.order, at.now));
        let planned = at.order.polling.at.or(own);
        let told = self.doubt.notified_at.map(|since| at.order.next_poll(since, at.now));
        Next { ask: Ask::At(planned.into_iter().chain(told).min()), state: State::Closed(self) }
    }

    /// It can be paid all the same. A charge for another sum was never to be paid, however often it is cancelled.
    fn found(&self, charge: Option<&Charge>, why: Ending, at: &At) -> Option<Next> {
        let why = if self.why == Some(Ending::GrossAmount) { Ending::GrossAmount } else { why };
        Cancelling::begun(charge.cloned(), why, &self.doubt, at)
    }

    /// The time of the last question about a charge that ended unpaid. Somebody may have paid it all the same, and the
    /// notification of that may be lost. A charge whose answer was lost was shown to nobody.
    fn last_check(&self, order: &Order, now: Told) -> Option<Wall> {
        let own_end = self.charge.as_ref()?.expires_at + order.spread(LAST_CHECK);
        let at = self.ended_at.map_or(own_end, |ended| own_end.min(ended + order.spread(CHECK_AFTER_END)));
        // By a time that is not trusted, no question is the last one.
        (!now.is_over(at)).then(|| if now.wall < at { at } else { now + CHECK_AGAIN })
    }

    /// A charge that may be money is not made once more.
    pub(in super::super) fn may_try_again(&self, attempt: u32) -> bool {
        let better = match &self.why {
            Some(Ending::GaveUp | Ending::NotMade { again: true, .. }) => true,
            Some(Ending::NotMade { again: false, .. } | Ending::Requested | Ending::Timeout | Ending::GrossAmount) => false,
            Some(Ending::Unreadable(_) | Ending::Leftover) | None => false,
        };
        better && !self.doubt.suspect && attempt < ATTEMPTS_MAX
    }
}

impl Phase for Closed {
    fn word(&self) -> &'static str {
        "closed"
    }

    fn facts<'a>(&'a self, order: &'a Order) -> Facts<'a> {
        let may_be_money = self.doubt.suspect && !order.repaying.is_settled() && !order.seen.contains(&Attention::Suspect);
        let is_over = self.doubt.ended_by.is_some() || order.polling.at.is_none() && !may_be_money;
        let unpaid = Facts::unpaid(Standing::Over, self.charge.as_ref(), &self.doubt);
        Facts { status: self.how.status(), is_open: false, is_over, why: self.why.as_ref(), ..unpaid }
    }

    fn is_news(&self, said: Said, _order: &Order) -> bool {
        match said {
            Said::Settled | Said::Suspect | Said::Refunded | Said::PartlyRefunded | Said::ChargedBack | Said::Other => true,
            Said::Pending | Said::Expired | Said::Cancelled | Said::Denied | Said::Failed => false,
        }
    }

    fn ended(&self, _how: Closing, at: &At) -> Option<Next> {
        Next::to(State::Closed(Self { ended_at: self.ended_at.or(Some(at.now.wall)), ..self.clone() }))
    }

    /// The gateway need not know a charge for ever that it has ended or never made. One that could be paid to its end must be known.
    fn unknown(&self, _asked: bool, at: &At) -> Unknown {
        let is_past = self.charge.as_ref().is_some_and(|charge| at.now.is_over(charge.expires_at));
        let may_be = self.charge.is_none() || self.ended_at.is_some() || !is_past && self.doubt.unclear_since.is_none();
        if may_be { Unknown::Possible } else { Unknown::Doubtful }
    }

    /// The books were lost with the receipt, and then the store took the money back. The machine had that receipt, and tells for ever what became
    /// of it, until somebody takes it. A rebuilt order has no key, and this word pays nothing.
    fn takes(&self, told: &DeliveryReport, order: &Order) -> bool {
        order.rebuilt || matches!(told.proof, Proof::Signed { .. })
    }

    fn may_repay(&self, _no_report: bool, _by_name: bool, at: &At) -> Result<(), Refused> {
        self.doubt.may_repay(true, at.order)
    }

    fn next_question(&self, asked: &Asked) -> Option<Wall> {
        let (order, now) = (asked.order, asked.now);
        // The gateway may say settled in a notification before get-status does. The question that was just answered may also be older than
        // the notification.
        let unsure = || order.unanswered_since(now).map(|noted| noted + CALL_LIFE);
        let last_check = || self.last_check(order, now);
        if let Some(since) = self.doubt.since() {
            return Some(asked.hot.or_else(unsure).unwrap_or_else(|| order.next_poll(since, now)));
        }
        if self.doubt.ended_by.is_some() || order.is_decided() {
            return asked.hot.or_else(last_check).or_else(|| self.doubt.next_check_after_a_persons_end(order, now));
        }
        if asked.answered {
            return asked.hot.or_else(unsure).or_else(last_check);
        }
        Some(asked.hot.unwrap_or_else(|| asked.again()))
    }

    fn may_be_asked_about(&self, order: &Order) -> bool {
        !self.facts(order).is_over
    }

    fn charged(&self, charge: &Charge, _unreadable: Option<&str>, rules: &Rules, at: &At) -> Option<Next> {
        let is_right = at.order.may_be_asked(charge.gross_amount, rules);
        let why = if is_right { Ending::Leftover } else { Ending::GrossAmount };
        if self.charge.is_none() { self.found(Some(charge), why, at) } else { None }
    }

    fn still_pending(&self, at: &At) -> Option<Next> {
        self.found(self.charge.as_ref(), Ending::Leftover, at)
    }

    fn is_pending_unclear(&self, at: &At) -> bool {
        at.now.is_over(at.order.created_at + CANCEL_GIVE_UP)
    }

    /// A person has ended it, and it may still be paid: it is cancelled, as where get-status calls it pending.
    fn not_clear(&self, at: &At) -> Option<Next> {
        let charge = self.charge.as_ref().filter(|charge| !at.now.is_over(charge.expires_at))?;
        if self.doubt.ended_by.is_some() && self.ended_at.is_none() { self.found(Some(charge), Ending::Leftover, at) } else { None }
    }
}
