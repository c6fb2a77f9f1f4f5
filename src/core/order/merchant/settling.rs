//! The effect of the gateway's answer to a get-status, and the times of these questions.

use super::*;
use crate::order::money::Rupiah;
use crate::order::request::{Payment, Purchase};

/// Whether a notification is worth a question. Only an answer of the gateway to a question changes an order's status.
/// A `pending` notification is worth none.
#[must_use]
fn is_news(order: &Order, said: Said) -> bool {
    match (&order.state, said) {
        (_, Said::Pending) => false,
        (State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. }, _) => true,
        // The gateway says that it is paid, and may take that back. The payment is known already.
        (State::Held { .. }, Said::Settled) => false,
        (State::Held { .. }, _) => true,
        (State::Closed { .. }, Said::Settled | Said::Suspect | Said::Refunded | Said::PartlyRefunded | Said::ChargedBack | Said::Other) => {
            true
        }
        (State::Closed { .. }, Said::Expired | Said::Cancelled | Said::Denied | Said::Failed) => false,
        (State::Settled { .. } | State::Withheld { .. }, Said::Refunded | Said::PartlyRefunded | Said::ChargedBack) => true,
        // A counter may take a settlement back after a person has given the money back. Then the money is gone twice.
        (State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. }, Said::Denied) => {
            order.is_over_the_counter() && !matches!(order.taken_back, Some(TakenBack::Reversal | TakenBack::Chargeback))
        }
        (State::Settled { .. } | State::Withheld { .. }, Said::Settled | Said::Suspect | Said::Expired | Said::Cancelled) => false,
        (State::Settled { .. } | State::Withheld { .. }, Said::Failed | Said::Other) => false,
        (State::Refunded { .. }, Said::ChargedBack) => true,
        // The gateway gave a part back, beside the money that a person had given back, or in place of the whole.
        (State::Refunded { .. }, Said::PartlyRefunded) => match &order.repaying.step {
            Some(Repayment::ByHand { .. }) => order.taken_back.is_none(),
            Some(Repayment::Done { bank, .. }) => *bank == Some(AtBank::Requested) && !order.late_fact,
            Some(Repayment::Requested { .. } | Repayment::Refused { .. } | Repayment::Given { .. }) | None => false,
        },
        (State::Refunded { .. }, Said::Refunded) => match &order.repaying.step {
            // The bank may have confirmed it by now.
            Some(Repayment::Done { bank, .. }) => *bank == Some(AtBank::Requested),
            None => false,
            Some(Repayment::Requested { .. } | Repayment::Refused { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) => {
                !order.late_fact
            }
        },
        // The bank may have refused the refund.
        (State::Refunded { .. }, Said::Settled) => matches!(order.repaying.step, Some(Repayment::Done { .. })) && !order.late_fact,
        (State::Refunded { .. }, Said::Suspect | Said::Expired | Said::Cancelled | Said::Failed | Said::Other) => false,
    }
}

/// Whether the word says that money moves again: that it goes back after a settlement, or comes back after a refund.
fn goes_back(order: &Order, said: Said) -> bool {
    match said {
        Said::Refunded | Said::PartlyRefunded | Said::ChargedBack => true,
        Said::Denied => order.is_over_the_counter(),
        // The bank may have refused the refund.
        Said::Settled => matches!(order.state, State::Refunded { .. }),
        Said::Pending | Said::Suspect | Said::Expired | Said::Cancelled | Said::Failed | Said::Other => false,
    }
}

impl Order {
    /// A genuine notification.
    pub(super) fn notified(&mut self, said: Said, now: Wall) {
        match &self.state {
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Closed { .. } => {
                if said == Said::Settled && !self.is_decided() {
                    self.doubt.notified_at.get_or_insert(now);
                }
            }
            State::Held { .. } | State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {}
        }
        self.note_news(said, now);
    }

    /// Somebody says this. The gateway is asked, if it may be so.
    pub(super) fn note_news(&mut self, said: Said, now: Wall) {
        if !is_news(self, said) {
            return;
        }
        let earlier = self.polling.noted_back.filter(|_| self.unanswered_since(now).is_some());
        self.polling.noted_back = goes_back(self, said).then_some(said).or(earlier);
        self.polling.noted_at = Some(now);
        match self.polling.hot_from {
            // The same news again, or a flood of it: the answer to the question under way also answers this.
            Some(from) if (from..from + ASK_SPACING).contains(&now) => {
                self.polling.at = Some(self.polling.at.unwrap_or(from + ASK_SPACING).min(from + ASK_SPACING))
            }
            Some(_) | None => self.polling = Polling { at: Some(now), hot_from: Some(now), tries: 0, ..self.polling },
        }
    }

    /// Its machine asks. A question that is planned for later comes now.
    pub(super) fn status_requested(&mut self, now: Wall) {
        if self.may_be_asked_about(now) {
            self.polling.at = Some(now);
        }
    }

    /// Whether the gateway is asked when the machine asks: the order may be paid, and the last answer is [`ASK_SPACING`] ago.
    #[must_use]
    pub fn may_be_asked_about(&self, now: Wall) -> bool {
        let may_be_paid = match &self.state {
            State::Pending { .. } | State::Cancelling { .. } => true,
            State::Closed { .. } => !self.is_over(),
            // There is no charge yet; or the shop can still take the payment back, and until then there is no final answer.
            State::Charging { .. } | State::Held { .. } => false,
            State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => false,
        };
        // A time in the future is one from before the clock was set back.
        let last = self.polling.last_at.or(self.charge().map(|charge| charge.charged_at));
        may_be_paid && last.is_none_or(|last| !(last..last + ASK_SPACING).contains(&now))
    }

    /// The time of news that may be newer than the question that was just answered.
    fn unanswered_since(&self, now: Wall) -> Option<Wall> {
        self.polling.noted_at.filter(|noted| (*noted..*noted + CALL_LIFE).contains(&now))
    }

    /// The time of the next question about news of money that goes back, or comes back, and that get-status does not tell: it may be
    /// minutes behind.
    fn next_check_of_news(&self, now: Wall) -> Option<Wall> {
        let noted = self.polling.noted_at.filter(|_| self.polling.noted_back.is_some())?;
        let again = if self.unanswered_since(now).is_some() { noted + CALL_LIFE } else { now + self.spread(CHECK_AGAIN) };
        (noted..noted + CHECK_AFTER_END).contains(&now).then_some(again)
    }

    pub(super) fn status(&mut self, report: &StatusReport, now: Wall, with: &Context<'_>) {
        if self.judge(report, with.rules).is_err() {
            return self.status_unclear(now);
        }
        match report.said {
            Said::Suspect | Said::Other => self.note_unclear(now),
            // It is nobody's; or it did not end for a day.
            Said::Pending
                if self.charge().is_none() && self.has_our_metadata(report).is_err()
                    || self.is_given_up(now)
                    || matches!(self.state, State::Held { charge: None, .. }) =>
            {
                self.note_unclear(now);
            }
            Said::Pending
            | Said::Settled
            | Said::Expired
            | Said::Cancelled
            | Said::Denied
            | Said::Failed
            | Said::Refunded
            | Said::PartlyRefunded
            | Said::ChargedBack => self.doubt.unclear_since = None,
        }
        self.take(report, now, with);
        self.judge_doubt(now);
    }

    /// Takes the gateway's word for it.
    fn take(&mut self, report: &StatusReport, now: Wall, with: &Context<'_>) {
        match report.said {
            Said::Settled => return self.settled(report, now, with),
            Said::Pending => self.still_pending(now),
            Said::Suspect | Said::Other => {
                self.suspected();
                self.status_not_clear(now);
            }
            Said::Expired => self.ended(Closing::Expire, now),
            Said::Cancelled => self.ended(Closing::Cancel, now),
            Said::Denied => self.ended(Closing::Deny, now),
            Said::Failed => self.ended(Closing::Failure, now),
            // The gateway's word is one thing, its sum another.
            Said::Refunded if report.is_of_a_part() => self.taken(TakenBack::Partly { amount: report.refund_amount }, report, now),
            Said::Refunded => self.refunded(Some(report), now),
            Said::PartlyRefunded => self.taken(TakenBack::Partly { amount: report.refund_amount }, report, now),
            Said::ChargedBack => self.taken(TakenBack::Chargeback, report, now),
        }
        // It is the same news. But of refunds of a part, there may be another one by now.
        let is_last = report.said != Said::PartlyRefunded || self.unanswered_since(now).is_none();
        let is_the_rest = report.said == Said::Refunded && self.polling.noted_back == Some(Said::PartlyRefunded);
        if is_the_rest || self.polling.noted_back == Some(report.said) && is_last {
            self.polling.noted_back = None;
        }
        self.question_ended(now, true);
    }

    /// Whether its charge was to end, and did not for so long that nobody tries it any more.
    fn is_given_up(&self, now: Wall) -> bool {
        match &self.state {
            State::Cancelling { .. } | State::Closed { .. } => self.created_at + CANCEL_GIVE_UP <= now,
            // A payment code that nobody cancels.
            State::Pending { charge, .. } => charge.expires_at + CANCEL_GIVE_UP <= now,
            State::Charging { .. } | State::Held { .. } => false,
            State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => false,
        }
    }

    /// The answer is not understood.
    pub(super) fn status_unclear(&mut self, now: Wall) {
        self.note_unclear(now);
        self.status_unanswered(now);
    }

    /// Nobody knows whether the order is paid, or turns out to be: the answer does not tell. If the first such answer is
    /// [`UNCONFIRMED_AFTER`] old, the order is listed. An order that is paid is not: what is not known of it is news of its refund.
    pub(super) fn note_unclear(&mut self, now: Wall) {
        match &self.state {
            State::Pending { .. } | State::Cancelling { .. } | State::Held { .. } | State::Closed { .. } => {
                let ended = self.doubt.ended_by.is_some() || self.is_decided();
                if !ended && now >= *self.doubt.unclear_since.get_or_insert(now) + UNCONFIRMED_AFTER {
                    self.doubt.listed_at.get_or_insert(now);
                }
            }
            State::Charging { .. } | State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {}
        }
    }

    /// Lists an order whose settlement was told [`UNCONFIRMED_AFTER`] ago, and is not confirmed by the question that was just asked. The
    /// answer that brings certainty takes an order from the list.
    pub(super) fn judge_doubt(&mut self, now: Wall) {
        let paid = match &self.state {
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Closed { .. } => false,
            State::Held { .. } | State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => true,
        };
        if paid || self.is_decided() {
            self.doubt.notified_at = None;
        }
        if !matches!(self.state, State::Held { .. }) && paid || self.is_decided() {
            self.doubt.unclear_since = None;
        }
        match self.doubt.notified_at {
            None if self.doubt.unclear_since.is_none() => self.doubt.listed_at = None,
            Some(since) if now >= since + UNCONFIRMED_AFTER => _ = self.doubt.listed_at.get_or_insert(now),
            None | Some(_) => {}
        }
    }

    pub(super) fn status_unanswered(&mut self, now: Wall) {
        self.judge_doubt(now);
        self.status_not_clear(now);
        self.question_ended(now, false);
    }

    /// Plans the next question, after an answer or after the lack of one.
    pub(super) fn question_ended(&mut self, now: Wall, answered: bool) {
        // An answer that tells of the refund has planned the next step for it.
        if matches!(self.repaying.step, Some(Repayment::Requested { get_status: true, retry_at, .. }) if retry_at <= now) {
            self.refund_not_seen(now);
        }
        let tries = self.polling.tries;
        self.polling.tries += 1;
        (self.polling.last_at, self.polling.answered) = (Some(now), answered);
        let hot = self.is_hot(now).then(|| now + doubled(Span::millis(250), tries + 1, Span::secs(2)));
        self.polling.at = match &self.state {
            State::Charging { .. } => self.polling.at,
            State::Pending { charge, .. } => {
                let since = self.doubt.notified_at.unwrap_or(charge.charged_at);
                Some(hot.unwrap_or_else(|| now + self.spread(poll_pause(now - since))))
            }
            // The order is not asked about before the final answer can come, unless somebody said that something has happened.
            State::Held { until, .. } => Some(hot.unwrap_or_else(|| (now + self.spread(poll_pause(now - *until))).max(*until))),
            // The cancel is repeated and followed by a look without this.
            State::Cancelling { .. } => hot,
            // Somebody paid, as the gateway itself has told; or its answers do not tell.
            State::Closed { .. } if self.doubt.notified_at.is_some() || self.doubt.unclear_since.is_some() => {
                let since = self.doubt.notified_at.or(self.doubt.unclear_since).unwrap_or(now);
                let unsure = self.unanswered_since(now).map(|noted| noted + CALL_LIFE);
                Some(hot.or(unsure).unwrap_or(now + self.spread(poll_pause(now - since))))
            }
            // A person has ended it, or has given the money back.
            State::Closed { .. } if self.doubt.ended_by.is_some() || self.is_decided() => {
                hot.or(self.last_check(now)).or(self.next_check_after_a_persons_end(now))
            }
            // What became of a refund is looked at until the bank has confirmed or refused it.
            State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. }
                if answered && self.next_refund_check(now).is_some() =>
            {
                self.next_refund_check(now)
            }
            // The gateway may say settled in a notification before get-status does. The question that was just answered may
            // also be older than the notification.
            State::Closed { .. } if answered => {
                let unsure = self.unanswered_since(now);
                hot.or(unsure.map(|noted| noted + CALL_LIFE)).or(self.last_check(now))
            }
            // The answer that it is settled may be older than the news that the money went back.
            State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } if answered || self.is_checking_refund() => {
                self.next_check_of_news(now)
            }
            State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } if self.refund_checks_end(now) => None,
            State::Closed { .. } | State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {
                Some(hot.unwrap_or(now + doubled(ASK_SPACING, tries.saturating_sub(3), Span::secs(600))))
            }
        };
    }

    pub(super) fn is_hot(&self, now: Wall) -> bool {
        self.polling.hot_from.is_some_and(|from| (from..from + HOT).contains(&now))
    }

    /// The gateway says settled. It is believed if it is the charge.
    fn settled(&mut self, report: &StatusReport, now: Wall, with: &Context<'_>) {
        match &self.state {
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Held { .. } | State::Closed { .. } => {}
            State::Settled { .. } | State::Withheld { .. } => {
                self.not_refunded_yet(false, now);
                return self.question_ended(now, true);
            }
            State::Refunded { .. } => {
                self.polling.noted_back = self.polling.noted_back.filter(|said| *said != Said::Settled);
                self.settled_again(now);
                return self.question_ended(now, true);
            }
        }
        self.doubt.suspect = false;
        let by = self.settlement_of(report, now);
        let charge = self.charge().cloned();
        // A person gave the money back before the gateway was sure. With the goods besides, the customer would have too much.
        if self.is_decided() {
            self.state = State::Refunded { charge, receipt: None, by: Some(by) };
            return self.question_ended(now, true);
        }
        // A person has ended it. The receipt could come when nobody reckons with it any more.
        if self.doubt.ended_by.is_some() {
            self.state = State::Withheld { charge, by, why: Withheld::Ended };
            return self.question_ended(now, true);
        }
        match self.matching(report, with.rules) {
            Err(_) if self.doubt.mismatched_at.is_none_or(|first| now < first + MISMATCH_WAIT) => {
                let again = *self.doubt.mismatched_at.get_or_insert(now) + MISMATCH_WAIT;
                self.polling.at = Some(again);
                if let State::Cancelling { get_status, retry_at, .. } = &mut self.state {
                    (*get_status, *retry_at) = (true, again + MISMATCH_WAIT);
                }
                return;
            }
            Err(_) => self.state = State::Withheld { charge, by, why: Withheld::Mismatch },
            Ok(_) if with.paid_already => self.state = State::Withheld { charge, by, why: Withheld::PaidTwice },
            Ok(_) if self.must_be_held(now, with.rules) => {
                if !matches!(self.state, State::Held { .. }) {
                    self.state = State::Held { charge, by, until: now + with.rules.reversal_window };
                }
                if let State::Held { until, .. } = &self.state {
                    self.polling = Polling { at: Some(*until), ..Polling::default() };
                }
                return;
            }
            Ok(gross_amount) => {
                let receipt = self.sign(&by, gross_amount, now, with.rules);
                self.collect_by = self.is_over_the_counter().then(|| now + with.rules.collect_within);
                self.state = State::Settled { charge, by, receipt };
            }
        }
        self.question_ended(now, true);
    }

    /// An Indomaret may take a settlement back within minutes. There is no receipt before that window is over.
    fn must_be_held(&self, now: Wall, rules: &Rules) -> bool {
        match &self.state {
            State::Held { until, .. } => now < *until,
            State::Charging { .. }
            | State::Pending { .. }
            | State::Cancelling { .. }
            | State::Closed { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => self.sale.purchase.payment == Payment::Indomaret && rules.reversal_window > Span::ZERO,
        }
    }

    pub(super) fn settlement_of(&self, report: &StatusReport, now: Wall) -> Settlement {
        Settlement {
            transaction_id: report.transaction_id.clone(),
            gross_amount: report.gross_amount,
            currency: report.currency.clone(),
            payment_type: report.payment_type.clone().unwrap_or_else(|| self.sale.purchase.payment.as_str().into()),
            settled_at: report.settled_at.unwrap_or(now),
            parties: report.parties.clone(),
            refund_until: report.refund_within.map(|within| report.settled_at.unwrap_or(now) + within),
        }
    }

    /// Whether the order ended because the gateway asked for a wrong sum.
    pub(super) const fn ended_for_its_sum(&self) -> bool {
        matches!(self.state, State::Cancelling { why: Ending::GrossAmount, .. } | State::Closed { why: Some(Ending::GrossAmount), .. })
    }

    fn sign(&self, by: &Settlement, gross_amount: Rupiah, now: Wall, rules: &Rules) -> Receipt {
        assert!(gross_amount >= self.sale.purchase.amount, "a receipt for less than the price of {}", self.id);
        let Sale { device, purchase, kid, .. } = self.sale.clone();
        let Purchase { request_id, ticket, item, amount, .. } = purchase;
        let claims = Claims {
            iss: rules.issuer.clone(),
            aud: device,
            sub: self.id.clone(),
            jti: request_id,
            ticket,
            item,
            amount,
            gross_amount,
            cur: "IDR".into(),
            payment_type: by.payment_type.clone(),
            transaction_id: by.transaction_id.clone(),
            settled_at: by.settled_at.to_rfc3339_wib().into(),
            iat: now.0.div_euclid(1000),
        };
        rules.sign(&kid, claims)
    }

    fn still_pending(&mut self, now: Wall) {
        self.doubt.suspect = false;
        match &mut self.state {
            State::Cancelling { get_status: true, .. } => self.cancel_again(now, false),
            State::Closed { charge, .. } => {
                let charge = charge.take();
                self.begin_cancelling(charge, Ending::Leftover, now);
            }
            // It is not paid after all. If a settlement comes, it is held from its own first moment on.
            State::Held { charge: Some(charge), .. } => {
                let charge = charge.clone();
                self.state = State::Pending { charge, cancel_at: None };
                self.doubt.notified_at.get_or_insert(now);
            }
            State::Charging { .. }
            | State::Pending { .. }
            | State::Cancelling { get_status: false, .. }
            | State::Held { charge: None, .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    /// The word may mean money, or not. It is kept until another word comes.
    fn suspected(&mut self) {
        match &self.state {
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Held { .. } | State::Closed { .. } => {
                self.doubt.suspect = true;
            }
            State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {}
        }
    }

    /// A look after a cancel brought nothing. It is repeated later.
    fn status_not_clear(&mut self, now: Wall) {
        match &self.state {
            State::Cancelling { get_status: true, .. } => self.cancel_again(now, true),
            // A person has ended it, and it may still be paid: it is cancelled, as where get-status calls it pending.
            State::Closed { charge: Some(charge), .. }
                if self.doubt.ended_by.is_some() && self.ended_at.is_none() && now < charge.expires_at =>
            {
                let charge = charge.clone();
                self.begin_cancelling(Some(charge), Ending::Leftover, now);
            }
            State::Charging { .. }
            | State::Pending { .. }
            | State::Cancelling { get_status: false, .. }
            | State::Held { .. }
            | State::Closed { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    fn ended(&mut self, how: Closing, now: Wall) {
        let took_back = how == Closing::Deny && self.is_over_the_counter();
        if took_back {
            // That is how the settlement ended that a notification told of.
            self.doubt.notified_at = None;
        }
        let (charge, why) = match &mut self.state {
            State::Charging { .. } => (None, None),
            State::Pending { charge, .. } => (Some(charge.clone()), None),
            // Any answer except settlement wins: there was no receipt yet.
            State::Held { charge, .. } => (charge.take(), None),
            State::Cancelling { charge, why, .. } => (charge.take(), Some(why.clone())),
            State::Closed { .. } => {
                self.ended_at.get_or_insert(now);
                self.doubt.suspect = false;
                return;
            }
            // A paid order stays paid. The answer is stale, or a counter took its settlement back.
            State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {
                if took_back {
                    self.taken_back = Some(TakenBack::Reversal);
                    self.stop_refund("the counter took its settlement back", now);
                }
                return;
            }
        };
        self.ended_at = Some(now);
        self.doubt.suspect = false;
        self.close(charge, how, why, now);
    }

    /// The gateway gave a part back, or the customer's bank took the money. With a receipt, a person is told.
    /// Without one, it is a settlement that nobody saw, and a person must look at that too.
    fn taken(&mut self, how: TakenBack, report: &StatusReport, now: Wall) {
        if self.taken_back != Some(TakenBack::Chargeback) && self.taken_back.as_ref() != Some(&how) {
            // A part that is larger than the one that a person saw is news.
            self.seen.retain(|kind| *kind != Attention::PartialRefund);
            self.taken_back = Some(how.clone());
        }
        match how {
            TakenBack::Partly { .. } => {
                // The matter was settled in another way: the customer has more than is due.
                self.late_fact |= matches!(self.repaying.step, Some(Repayment::ByHand { .. } | Repayment::Given { .. }));
                self.not_refunded_yet(true, now);
                // Where all was to go back, the bank may have refused that.
                self.settled_again(now);
            }
            TakenBack::Chargeback | TakenBack::Reversal => self.stop_refund("the money was taken back already", now),
        }
        match &self.state {
            State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {}
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Held { .. } | State::Closed { .. } => {
                let by = self.settlement_of(report, now);
                self.doubt.suspect = false;
                self.state = State::Withheld { charge: self.charge().cloned(), by, why: Withheld::Mismatch };
            }
        }
    }
}

/// The time between two questions about a charge of this age.
pub(super) fn poll_pause(age: Span) -> Span {
    match age.0 / 1000 {
        ..300 => ASK_SPACING,
        300..900 => Span::secs(30),
        900..3600 => Span::secs(120),
        3600..21_600 => Span::secs(600),
        21_600.. => Span::secs(1800),
    }
}
