//! The doubts about an unconfirmed payment. They go with the order from state to state, and are gone once the order
//! is paid. All rules about them are here: when people are told, how often get-status is asked because of them, and what ends them.

use super::repaying::{BANK_CHECK, BANK_CHECKS};
use super::{Order, Refused, State, UNCONFIRMED_AFTER};
use crate::order::outcome::Delivery;
use crate::order::time::{Told, Wall};
use serde::{Deserialize, Serialize};

/// The doubts about an unconfirmed payment.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Doubt {
    /// The gateway's last word may mean money, or not: a card that is only held, or a settlement that fraud detection does not accept.
    pub suspect: bool,
    /// The first time that get-status said settled in a way that does not fit the charge.
    pub mismatched_at: Option<Wall>,
    /// The time of the first genuine notification that it is settled, while get-status has not confirmed that.
    pub notified_at: Option<Wall>,
    /// The time since which get-status is answered, and its answer is not understood.
    pub unclear_since: Option<Wall>,
    /// The time at which it was listed because nobody confirms whether it is paid.
    pub listed_at: Option<Wall>,
    /// The person who ended it while nobody could say whether it is paid. No receipt is ever signed for it.
    pub ended_by: Option<PersonsEnd>,
}

/// The end that a person made of an order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PersonsEnd {
    pub by: Box<str>,
    pub at: Wall,
}

impl Doubt {
    /// Somebody who must know says that it is paid.
    pub(super) fn notified(&mut self, now: Told) {
        self.notified_at.get_or_insert(now.wall);
    }

    /// Nobody knows whether it is paid, or turns out to be: an answer does not tell. If the first such answer is [`UNCONFIRMED_AFTER`] old,
    /// it is listed. Not so what a person has ended, or (`is_decided`) given the money back for.
    pub(super) fn unclear(&mut self, is_decided: bool, now: Told) {
        let ended = self.ended_by.is_some() || is_decided;
        if !ended && now.is_over(*self.unclear_since.get_or_insert(now.wall) + UNCONFIRMED_AFTER) {
            self.listed_at.get_or_insert(now.wall);
        }
    }

    pub(super) const fn understood(&mut self) {
        self.unclear_since = None;
    }

    /// Get-status has said settled.
    pub(super) const fn confirmed(&mut self) {
        self.notified_at = None;
    }

    /// After a question: takes what is certain from the list.
    pub(super) const fn judge(&mut self, is_decided: bool) {
        if is_decided {
            (self.notified_at, self.unclear_since) = (None, None);
        }
        if self.since().is_none() {
            self.listed_at = None;
        }
    }

    pub(super) fn end(&mut self, end: PersonsEnd) {
        self.ended_by = Some(end);
        (self.notified_at, self.unclear_since, self.listed_at) = (None, None, None);
    }

    /// The time since which get-status is asked because of it.
    pub(super) const fn since(&self) -> Option<Wall> {
        match self.notified_at {
            Some(at) => Some(at),
            None => self.unclear_since,
        }
    }

    /// A person was sure that it is not paid, and may have erred. So it is looked at as after a decision over a refund.
    pub(super) fn next_check_after_a_persons_end(&self, order: &Order, now: Told) -> Option<Wall> {
        let ended = self.ended_by.as_ref()?;
        (!now.is_over(ended.at + BANK_CHECKS)).then(|| now + order.spread(BANK_CHECK))
    }

    /// Whether a person may give the money back, though nobody is sure that it is paid. What has not ended (`has_ended`) must be listed.
    pub(super) fn may_repay(&self, has_ended: bool, order: &Order) -> Result<(), Refused> {
        match (self.suspect, self.listed_at) {
            (false, None) => Err(Refused::NotPaid),
            (true, None) if !has_ended => Err(Refused::NotEnded),
            (_, Some(_)) | (true, None) if order.outcome() == Some(Delivery::Dispensed) && !order.has_conflict() => Err(Refused::Delivered),
            (_, Some(_)) | (true, None) => Ok(()),
        }
    }
}

impl Order {
    /// The time at which people are told that get-status has not confirmed what was told as paid. No question holds that back.
    pub(super) fn told_as_unconfirmed_at(&self) -> Option<Wall> {
        let doubt = self.doubt().filter(|doubt| doubt.listed_at.is_none() && !self.is_decided())?;
        doubt.notified_at.map(|since| since + UNCONFIRMED_AFTER)
    }

    pub(super) fn list_as_unconfirmed(&mut self, now: Told) {
        if let Some(doubt) = self.state.doubt_mut() {
            doubt.listed_at.get_or_insert(now.wall);
        }
    }

    /// The time of a question whose answer lists the order, if it is not understood either.
    pub(super) fn unclear_is_listed_at(&self, now: Told) -> Option<Wall> {
        let doubt = self.doubt().filter(|doubt| doubt.listed_at.is_none())?;
        doubt.unclear_since.map(|since| since + UNCONFIRMED_AFTER).filter(|at| now.wall < *at)
    }

    /// An answer does not tell whether it is paid. That means nothing while a charge is made. And what is not known of a paid order is news
    /// of its refund.
    pub(super) fn note_unclear(&mut self, now: Told) {
        let (is_decided, is_charging) = (self.is_decided(), matches!(self.state, State::Charging(_)));
        if let Some(doubt) = self.state.doubt_mut().filter(|_| !is_charging) {
            doubt.unclear(is_decided, now);
        }
    }

    pub(super) const fn understood(&mut self) {
        if let Some(doubt) = self.state.doubt_mut() {
            doubt.understood();
        }
    }

    pub(super) const fn suspect(&mut self, is_suspect: bool) {
        if let Some(doubt) = self.state.doubt_mut() {
            doubt.suspect = is_suspect;
        }
    }

    pub(super) fn judge_doubt(&mut self) {
        let is_decided = self.is_decided();
        if let Some(doubt) = self.state.doubt_mut() {
            doubt.judge(is_decided);
        }
    }

    pub(super) fn ended_by_a_person(&mut self, by: Box<str>, now: Told) {
        let end = PersonsEnd { by, at: now.wall };
        if let Some(doubt) = self.state.doubt_mut() {
            doubt.end(end.clone());
        }
        self.go(self.state.phase().ended_by_a_person(&end, &self.at(now)));
    }
}
