use super::{ASK_SPACING, CALL_LIFE, CHECK_AFTER_END, CHECK_AGAIN, HOT, Money, Order, Repayment, Said, TakenBack, doubled};
use crate::order::time::{Span, Told, Wall};
use serde::{Deserialize, Serialize};

/// The times at which the gateway is asked for an order's status.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Polling {
    /// The next question.
    pub at: Option<Wall>,
    /// The last time that a notification began a round of quick questions.
    pub hot_from: Option<Wall>,
    /// The number of questions in this round.
    pub tries: u32,
    /// The last time that a question ended, with an answer or without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Wall>,
    /// Whether the gateway answered that question.
    pub answered: bool,
    /// The last time that get-status said that all of the money is the merchant's. Any other answer ends that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Wall>,
    /// The last time that a notification brought news. An answer to an older question does not answer it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noted_at: Option<Wall>,
    /// The word of that news, if it said that money goes back. An answer that says otherwise does not answer the news.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noted_back: Option<Said>,
}

impl Polling {
    /// Whether a notification came just now.
    pub(super) fn is_hot(&self, now: Told) -> bool {
        self.hot_from.is_some_and(|from| (from..from + HOT).contains(&now.wall))
    }
}

/// A question to the gateway that has ended.
pub(super) struct Asked<'a> {
    /// The order, with what the answer has told.
    pub(super) order: &'a Order,
    pub(super) now: Told,
    pub(super) answered: bool,
    /// The time of the next one of a round of quick questions.
    pub(super) hot: Option<Wall>,
    /// The number of questions before it in this round.
    tries: u32,
}

impl Asked<'_> {
    pub(super) fn again(&self) -> Wall {
        self.now + doubled(ASK_SPACING, self.tries.saturating_sub(3), Span::secs(600))
    }

    pub(super) fn next_about_money(&self) -> Option<Wall> {
        let (order, now) = (self.order, self.now);
        match order.next_refund_check(now) {
            // What became of a refund is looked at until the bank has confirmed or refused it.
            Some(check) if self.answered => Some(check),
            // The answer that it is settled may be older than the news that the money went back.
            _ if self.answered || order.is_checking_refund() => order.next_check_of_news(now),
            _ if order.refund_checks_end(now) => None,
            _ => Some(self.hot.unwrap_or_else(|| self.again())),
        }
    }
}

impl Order {
    pub(super) fn notified(&mut self, said: Said, now: Told) {
        let is_first = said == Said::Settled && self.settlement().is_none() && !self.is_decided();
        if let Some(doubt) = self.state.doubt_mut().filter(|_| is_first) {
            doubt.notified(now);
        }
        self.note_news(said, now);
    }

    /// Somebody says this. The gateway is asked, if it may be so.
    pub(super) fn note_news(&mut self, said: Said, now: Told) {
        if !self.state.phase().is_news(said, self) {
            return;
        }
        let earlier = self.polling.noted_back.filter(|_| self.unanswered_since(now).is_some());
        self.polling.noted_back = self.goes_back(said).then_some(said).or(earlier);
        self.polling.noted_at = Some(now.wall);
        match self.polling.hot_from {
            // The same news again, or a flood of it: the answer to the question under way also answers this.
            Some(from) if (from..from + ASK_SPACING).contains(&now.wall) => {
                self.polling.at = Some(self.polling.at.unwrap_or(from + ASK_SPACING).min(from + ASK_SPACING))
            }
            Some(_) | None => self.polling = Polling { at: Some(now.wall), hot_from: Some(now.wall), tries: 0, ..self.polling },
        }
    }

    /// Whether a word of the gateway is news of an order whose money is the merchant's: that it goes back.
    pub(super) fn is_news_of_money(&self, said: Said) -> bool {
        match said {
            Said::Refunded | Said::PartlyRefunded | Said::ChargedBack => true,
            Said::Denied => self.may_be_reversed(),
            Said::Pending | Said::Settled | Said::Suspect | Said::Expired | Said::Cancelled | Said::Failed | Said::Other => false,
        }
    }

    /// Whether a counter may take its settlement back.
    pub(super) fn may_be_reversed(&self) -> bool {
        self.is_over_the_counter() && !matches!(self.taken_back, Some(TakenBack::Reversal | TakenBack::Chargeback))
    }

    /// Whether the word says that money moves again: that it goes back after a settlement, or comes back after a refund.
    fn goes_back(&self, said: Said) -> bool {
        match said {
            Said::Refunded | Said::PartlyRefunded | Said::ChargedBack => true,
            Said::Denied => self.is_over_the_counter(),
            // The bank may have refused the refund.
            Said::Settled => self.money() == Money::Refunded,
            Said::Pending | Said::Suspect | Said::Expired | Said::Cancelled | Said::Failed | Said::Other => false,
        }
    }

    /// Its machine asks. A question that is planned for later comes now.
    pub(super) fn status_requested(&mut self, now: Told) {
        if self.may_be_asked_about(now) {
            self.polling.at = Some(now.wall);
        }
    }

    /// Whether the gateway is asked when the machine asks: the order may be paid, and the last answer is [`ASK_SPACING`] ago.
    #[must_use]
    pub fn may_be_asked_about(&self, now: Told) -> bool {
        // A time in the future is one from before the clock was set back.
        let last = self.polling.last_at.or(self.charge().map(|charge| charge.charged_at));
        self.state.phase().may_be_asked_about(self) && last.is_none_or(|last| !(last..last + ASK_SPACING).contains(&now.wall))
    }

    /// The time of news that may be newer than the question that was just answered.
    pub(super) fn unanswered_since(&self, now: Told) -> Option<Wall> {
        self.polling.noted_at.filter(|noted| (*noted..*noted + CALL_LIFE).contains(&now.wall))
    }

    /// The time of the next question about news of money that goes back, or comes back, and that get-status does not tell: it may be
    /// minutes behind.
    pub(super) fn next_check_of_news(&self, now: Told) -> Option<Wall> {
        let noted = self.polling.noted_at.filter(|_| self.polling.noted_back.is_some())?;
        let again = if self.unanswered_since(now).is_some() { noted + CALL_LIFE } else { now + self.spread(CHECK_AGAIN) };
        (!now.is_over(noted + CHECK_AFTER_END)).then_some(again)
    }

    /// Plans the next question, after an answer or after the lack of one.
    pub(super) fn question_ended(&mut self, now: Told, answered: bool) {
        // An answer that tells of the refund has planned the next step for it.
        if matches!(self.repayment(), Some(Repayment::Requested { get_status: true, retry_at, .. }) if *retry_at <= now.wall) {
            self.refund_not_seen(now);
        }
        let tries = self.polling.tries;
        self.polling.tries += 1;
        (self.polling.last_at, self.polling.answered) = (Some(now.wall), answered);
        let hot = self.polling.is_hot(now).then(|| now + doubled(Span::millis(250), tries + 1, Span::secs(2)));
        let planned = self.state.phase().next_question(&Asked { order: self, now, answered, hot, tries });
        self.polling.at = planned.into_iter().chain(self.unclear_is_listed_at(now)).min();
    }

    /// The time of the next question about what began then: the longer ago, the more seldom.
    pub(super) fn next_poll(&self, since: Wall, now: Told) -> Wall {
        now + self.spread(poll_pause(now.wall - since))
    }

    /// A span that is a little longer for some orders than for others, so that they do not all ask at once.
    pub(super) fn spread(&self, span: Span) -> Span {
        let hash = self.id.as_str().bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        Span(span.0 + span.0 * i64::from(hash % 100) / 1000)
    }
}

fn poll_pause(age: Span) -> Span {
    match age.0 / 1000 {
        ..300 => ASK_SPACING,
        300..900 => Span::secs(30),
        900..3600 => Span::secs(120),
        3600..21_600 => Span::secs(600),
        21_600.. => Span::secs(1800),
    }
}
