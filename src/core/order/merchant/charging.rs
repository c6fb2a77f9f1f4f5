//! The changes of an order while it is charged, ended and reported.

use super::settling::poll_pause;
use super::*;
use crate::order::money::Rupiah;
use crate::order::outcome::Delivery;
use crate::order::request::Payment;

impl Order {
    pub(super) fn charged(&mut self, charge: Charge, now: Wall, with: &Context<'_>) {
        match &mut self.state {
            State::Charging { .. } => {
                if !self.may_be_asked(charge.gross_amount, with.rules) {
                    self.begin_cancelling(Some(charge), Ending::GrossAmount, now);
                } else if now > self.answer_by + HAND_OUT_GRACE {
                    self.begin_cancelling(Some(charge), Ending::GaveUp, now);
                } else {
                    self.polling.at = Some(self.polling.at.unwrap_or(now + self.spread(ASK_SPACING)));
                    // A QR whose life is over is offered to nobody, whatever get-status says of it.
                    let over = (charge.charged_at + self.sale.purchase.timeout()).min(charge.expires_at);
                    let cancel_at = over + CANCEL_AFTER_TIMEOUT;
                    let cancel_at = (!self.is_over_the_counter()).then_some(cancel_at);
                    self.state = State::Pending { charge, cancel_at };
                }
            }
            State::Cancelling { .. } | State::Closed { .. } => self.charged_too_late(charge, now, with),
            State::Pending { .. } | State::Held { .. } | State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {}
        }
    }

    /// The answer to a charge whose order is to end, or has ended. Whether its sum was right decides about a payment of it.
    fn charged_too_late(&mut self, charge: Charge, now: Wall, with: &Context<'_>) {
        let wrong_sum = !self.may_be_asked(charge.gross_amount, with.rules);
        match &mut self.state {
            State::Cancelling { charge: known @ None, why, .. } => {
                *known = Some(charge);
                if wrong_sum {
                    *why = Ending::GrossAmount;
                }
            }
            State::Closed { charge: None, .. } => {
                self.begin_cancelling(Some(charge), if wrong_sum { Ending::GrossAmount } else { Ending::Leftover }, now);
            }
            State::Charging { .. }
            | State::Pending { .. }
            | State::Cancelling { charge: Some(_), .. }
            | State::Closed { charge: Some(_), .. }
            | State::Held { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    /// Whether a customer may be asked for this sum: the price, and at most the extra that the merchant allows.
    pub(super) fn may_be_asked(&self, gross_amount: Rupiah, rules: &Rules) -> bool {
        let price = self.sale.purchase.amount.get();
        (price..=price.saturating_add(rules.max_imposed_fee)).contains(&gross_amount.get())
    }

    pub(super) fn charged_unreadable(&mut self, charge: Charge, why: Box<str>, now: Wall, with: &Context<'_>) {
        match &self.state {
            State::Charging { .. } => {
                let is_right = self.may_be_asked(charge.gross_amount, with.rules);
                let why = if is_right { Ending::Unreadable(why) } else { Ending::GrossAmount };
                self.begin_cancelling(Some(charge), why, now);
            }
            State::Cancelling { .. } | State::Closed { .. } => self.charged_too_late(charge, now, with),
            State::Pending { .. } | State::Held { .. } | State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {}
        }
    }

    pub(super) fn not_charged(&mut self, no_charge: NoCharge, now: Wall) {
        // The gateway keeps no key for it. It would refuse the same call again as a second one.
        let repeatable = self.sale.purchase.payment != Payment::Indomaret;
        match &mut self.state {
            State::Charging { tries, unsure, retry_at } => {
                *tries += 1;
                *retry_at = now + doubled(Span::millis(250), *tries, Span::secs(3));
                match no_charge {
                    NoCharge::Passing(_) => {}
                    NoCharge::Unsure(_) if !repeatable => self.begin_cancelling(None, Ending::GaveUp, now),
                    NoCharge::Unsure(_) => *unsure = true,
                    NoCharge::Exists => self.begin_cancelling(None, Ending::GaveUp, now),
                    // A denial of a repeated call says nothing about the call before it.
                    NoCharge::NotMade { .. } if *unsure => self.begin_cancelling(None, Ending::GaveUp, now),
                    NoCharge::NotMade { again, why } => self.close(None, Closing::Failure, Some(Ending::NotMade { again, why }), now),
                }
            }
            State::Cancelling { charge: None, why, .. } => match no_charge {
                NoCharge::NotMade { .. } if *why == Ending::Requested => self.close(None, Closing::Cancel, Some(Ending::Requested), now),
                NoCharge::Passing(_) | NoCharge::Unsure(_) | NoCharge::Exists | NoCharge::NotMade { .. } => {}
            },
            State::Pending { .. }
            | State::Cancelling { charge: Some(_), .. }
            | State::Closed { .. }
            | State::Held { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    /// The gateway says that it has no such transaction. If it has answered for this charge before, that is not believed.
    pub(super) fn unknown(&mut self, now: Wall, asked: bool) {
        match &mut self.state {
            State::Cancelling { charge: None, why, .. } => {
                let why = why.clone();
                let how = if why == Ending::Requested { Closing::Cancel } else { Closing::Failure };
                // Get-status may call it pending all the same.
                if asked {
                    self.doubt.unclear_since = None;
                }
                let again = self.next_check_at(&why, now);
                self.close_in_doubt(None, how, Some(why), now);
                self.polling =
                    Polling { at: again.into_iter().chain(self.polls_since(self.doubt.notified_at, now)).min(), ..Polling::default() };
            }
            // The gateway has answered for it before: look once more, or cancel once more.
            State::Cancelling { charge: Some(_), .. } => {
                if asked {
                    self.note_unclear(now);
                }
                self.question_ended(now, true);
                self.cancel_again(now, !asked);
            }
            State::Pending { .. } | State::Held { .. } => {
                self.note_unclear(now);
                self.judge_doubt(now);
                self.question_ended(now, true);
            }
            // The gateway itself may have told that it is paid. It need not know a charge for ever that it has ended or never made.
            State::Closed { charge, .. } => {
                if charge.is_none() || self.ended_at.is_some() {
                    self.doubt.unclear_since = None;
                } else if self.doubt.unclear_since.is_some() {
                    self.note_unclear(now);
                }
                self.judge_doubt(now);
                self.question_ended(now, true);
            }
            State::Charging { .. } | State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {
                self.question_ended(now, true)
            }
        }
    }

    pub(super) fn cancel_done(&mut self, report: &StatusReport, now: Wall, with: &Context<'_>) {
        let is_done = report.said == Said::Cancelled && self.judge(report, with.rules).is_ok();
        match &mut self.state {
            State::Cancelling { charge, why, .. } if is_done => {
                let (charge, why) = (charge.take(), why.clone());
                self.ended_at = Some(now);
                self.close(charge, Closing::Cancel, Some(why), now);
            }
            // Any other word, or an answer that does not count, is no answer to a cancel: get-status must tell.
            State::Cancelling { .. } => self.cancel_again(now, true),
            State::Charging { .. }
            | State::Pending { .. }
            | State::Closed { .. }
            | State::Held { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    /// The cancel was not done. Look why (`look`), or ask for it again later.
    pub(super) fn cancel_again(&mut self, now: Wall, then_status: bool) {
        // What a person has ended is not held open by it.
        let ended = self.doubt.ended_by.as_ref().is_some_and(|ended| ended.at + UNCONFIRMED_AFTER <= now);
        let give_up = ended || self.created_at + CANCEL_GIVE_UP <= now;
        self.judge_doubt(now);
        match &mut self.state {
            State::Cancelling { charge, why, .. } if give_up => {
                let (charge, why) = (charge.take(), why.clone());
                let again = self.next_check_at(&why, now);
                self.close_in_doubt(charge, Closing::Failure, Some(why), now);
                self.polling =
                    Polling { at: again.into_iter().chain(self.polls_since(self.doubt.notified_at, now)).min(), ..Polling::default() };
            }
            State::Cancelling { get_status, tries, retry_at, .. } => {
                *tries += 1;
                // The look after a cancel is due at once: the cancel lost a race, and somebody waits to know who won.
                *retry_at = if then_status && !*get_status { now } else { now + doubled(Span::secs(1), *tries, Span::secs(300)) };
                *get_status = then_status;
            }
            State::Charging { .. }
            | State::Pending { .. }
            | State::Closed { .. }
            | State::Held { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    /// Somebody may have paid. The silence of one call says nothing about the other.
    pub(super) fn cancel_unanswered(&mut self, now: Wall) {
        self.cancel_again(now, false);
        if matches!(self.state, State::Cancelling { tries, .. } if tries % CANCELS_THEN_STATUS == 0) {
            self.polling.at = Some(now);
        }
    }

    /// Somebody told then that it is paid, or get-status left that open then. It is asked about until that is answered, so that people are
    /// told.
    fn polls_since(&self, since: Option<Wall>, now: Wall) -> Option<Wall> {
        since.map(|since| now + self.spread(poll_pause(now - since)))
    }

    /// The time of the next question about a charge that is given up, and not forgotten: when the gateway can be asked again, it is asked
    /// what became of it. If it is found again and again, that is asked now and then. What a person has ended or settled is over.
    fn next_check_at(&self, why: &Ending, now: Wall) -> Option<Wall> {
        match why {
            _ if self.doubt.ended_by.is_some() || self.is_decided() => self.last_check(now).or(self.next_check_after_a_persons_end(now)),
            Ending::Leftover => Some(now + self.spread(poll_pause(now - self.created_at)).max(CHECK_AGAIN)),
            Ending::Requested | Ending::Timeout | Ending::GrossAmount | Ending::Unreadable(_) | Ending::GaveUp | Ending::NotMade { .. } => {
                Some(now + CHECK_AGAIN)
            }
        }
    }

    pub(super) fn abandoned(&mut self) {
        // The caller that is gone may have made the refund. So the gateway's answer to the next call for it is not the
        // whole truth.
        if let Some(Repayment::Requested { unsure, get_status: false, .. }) = &mut self.repaying.step {
            *unsure = true;
        }
        match &mut self.state {
            State::Charging { unsure, .. } => *unsure = true,
            State::Pending { .. }
            | State::Cancelling { .. }
            | State::Closed { .. }
            | State::Held { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    pub(super) fn give_up(&mut self, now: Wall, restarted: bool) {
        if restarted {
            // The machine that waited was cut off. If it asks again, it waits again.
            self.answer_by = self.answer_by.min(now);
        }
        match &self.state {
            State::Charging { unsure, .. } if *unsure || restarted => self.begin_cancelling(None, Ending::GaveUp, now),
            State::Charging { .. } => self.close(None, Closing::Failure, Some(Ending::GaveUp), now),
            State::Pending { .. }
            | State::Cancelling { .. }
            | State::Closed { .. }
            | State::Held { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    pub(super) fn awaited(&mut self, now: Wall) {
        match &self.state {
            State::Charging { .. } | State::Cancelling { why: Ending::GaveUp, .. } => {
                let latest = self.created_at + CHARGE_WINDOW;
                self.answer_by = self.answer_by.max((now + ANSWER_WITHIN).min(latest));
            }
            State::Pending { .. }
            | State::Cancelling { .. }
            | State::Closed { .. }
            | State::Held { .. }
            | State::Settled { .. }
            | State::Withheld { .. }
            | State::Refunded { .. } => {}
        }
    }

    pub(super) fn end(&mut self, why: Ending, now: Wall) {
        match &mut self.state {
            State::Charging { .. } => self.begin_cancelling(None, why, now),
            State::Pending { charge, .. } => {
                let charge = charge.clone();
                self.begin_cancelling(Some(charge), why, now);
            }
            State::Cancelling { why: stored, .. } => {
                // A machine that asks for the end of an order that was given up does not want another attempt.
                if *stored == Ending::GaveUp && why == Ending::Requested {
                    *stored = why;
                }
            }
            State::Held { .. } | State::Closed { .. } | State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {}
        }
    }

    pub(super) fn delivered(&mut self, told: DeliveryReport, now: Wall) -> Result<(), Refused> {
        match &self.state {
            State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {}
            // The books were lost with the receipt, and then the store took the money back. The relay knows that it delivered. A rebuilt
            // order has no key, and this word pays nothing.
            State::Closed { .. } if told.outcome == Delivery::Dispensed && (self.rebuilt || matches!(told.proof, Proof::Signed { .. })) => {
                self.late_fact |= self.reported.is_none();
            }
            State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Held { .. } | State::Closed { .. } => {
                return Err(Refused::NotPaid);
            }
        }
        match &mut self.reported {
            None => {
                self.first_reported(told.outcome, now);
                self.reported = Some(Reported { report: told, at: now, conflict: false });
            }
            // The detail is for people, and a repeated report may word it in another way. A proof may come later.
            Some(Reported { report: first, .. }) if first.outcome == told.outcome => {
                if let (Proof::Missing(_), Proof::Signed { .. }) = (&first.proof, &told.proof) {
                    first.proof = told.proof;
                }
            }
            Some(_) => return Err(Refused::OutcomeStands),
        }
        Ok(())
    }

    /// A person ends it, while nobody can say whether it is paid.
    pub(super) fn ended_by_a_person(&mut self, by: Box<str>, now: Wall) {
        self.doubt.ended_by = Some(PersonsEnd { by, at: now });
        (self.doubt.notified_at, self.doubt.unclear_since, self.doubt.listed_at) = (None, None, None);
        match &mut self.state {
            State::Pending { charge, .. } => {
                let charge = charge.clone();
                self.close(Some(charge), Closing::Failure, None, now);
                // If get-status still calls it pending, it is cancelled: nobody is to pay it any more.
                self.polling.at = Some(now);
            }
            State::Cancelling { charge, why, .. } => {
                let (charge, why) = (charge.take(), why.clone());
                self.close(charge, Closing::Failure, Some(why), now);
            }
            State::Held { charge, by, .. } => {
                self.state = State::Withheld { charge: charge.take(), by: by.clone(), why: Withheld::Ended };
            }
            State::Charging { .. } | State::Closed { .. } | State::Settled { .. } | State::Withheld { .. } | State::Refunded { .. } => {}
        }
    }

    pub(super) fn begin_cancelling(&mut self, charge: Option<Charge>, why: Ending, now: Wall) {
        // A charge for another sum was never to be paid, however often it is cancelled.
        let why = if self.ended_for_its_sum() { Ending::GrossAmount } else { why };
        self.state = State::Cancelling { charge, why, get_status: false, tries: 0, retry_at: now };
        self.ended_at = None;
        // A question after a notification stays. The regular questions about an order that could be paid end.
        self.polling.at = self.polling.at.filter(|_| self.is_hot(now));
    }

    pub(super) fn close(&mut self, charge: Option<Charge>, how: Closing, why: Option<Ending>, now: Wall) {
        self.doubt.unclear_since = None;
        self.close_in_doubt(charge, how, why, now);
    }

    /// The same where no answer about the charge says so: what get-status left open stays open.
    fn close_in_doubt(&mut self, charge: Option<Charge>, how: Closing, why: Option<Ending>, now: Wall) {
        self.state = State::Closed { charge, how, why };
        self.judge_doubt(now);
        let doubt = self.polls_since(self.doubt.notified_at.or(self.doubt.unclear_since), now);
        self.polling.at = self.polling.at.or(self.last_check(now)).into_iter().chain(doubt).min();
    }

    /// The time of the last question about a charge that ended unpaid. Somebody may have paid it all the same, and the
    /// notification of that may be lost. A charge whose answer was lost was shown to nobody.
    pub(super) fn last_check(&self, now: Wall) -> Option<Wall> {
        let own_end = self.charge()?.expires_at + self.spread(LAST_CHECK);
        let at = self.ended_at.map_or(own_end, |ended| own_end.min(ended + self.spread(CHECK_AFTER_END)));
        (now < at).then_some(at)
    }

    /// A span that is a little longer for some orders than for others, so that they do not all ask at once.
    pub(super) fn spread(&self, span: Span) -> Span {
        let hash = self.id.as_str().bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        Span(span.0 + span.0 * i64::from(hash % 100) / 1000)
    }
}
