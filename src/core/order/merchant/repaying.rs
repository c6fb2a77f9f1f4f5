//! How the money of an undelivered order goes back: in one way, and only once.

use super::*;
use crate::order::money::Rupiah;
use crate::order::outcome::Delivery;
use serde::{Deserialize, Serialize};

/// The most calls for a refund that the gateway does not answer, over half a day. Then a person is told.
const REFUND_TRIES: u32 = 20;
/// After so many calls that do not end a refund, some two minutes, a person may decide by name.
const CHECKS_THEN_A_PERSON: u32 = 4;
/// The pause between the first two of them. Later pauses double.
const REFUND_PAUSE: Span = Span::secs(10);
/// The longest pause between two of them.
const REFUND_PAUSE_MAX: Span = Span::secs(3600);
/// A refund that the bank has not confirmed is looked at this often …
pub(super) const BANK_CHECK: Span = Span::secs(6 * 3600);
/// … for this time. News of it that get-status does not tell is looked for as long.
pub(super) const BANK_CHECKS: Span = Span::secs(7 * 24 * 3600);
/// A settlement that comes after a refund is looked at once more after this time: get-status may be behind.
const SETTLED_AGAIN: Span = Span::secs(300);
/// Why a refund is not asked for any more.
const PART_IS_GONE: &str = "only a part of it went back";
const OTHER_OUTCOME: &str = "the machine told another outcome meanwhile";
const BOOKS_CAME_BACK: &str = "the books are a copy of before: nobody knows what became of it since";
const NO_KEY_IS_LEFT: &str = "every key for its refund is used up: only by hand";
const NO_PART_GOES_BACK: &str = "a part of it went back, and the gateway gives no part back here: the rest only by hand";
const TIME_IS_OVER: &str = "the gateway's time for a refund is over: only by hand";

/// How the money of an undelivered order goes back, and what the gateway still allows.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Repaying {
    /// The way, once somebody or something sees to it.
    pub step: Option<Repayment>,
    /// How many keys of refunds are used up: each was refused, and get-status has confirmed that nothing went back.
    pub used_keys: u32,
    /// How near the end of the gateway's time for a refund is, as far as people were told.
    pub ending: Option<RefundEnding>,
}

/// How the money of an undelivered order goes back. A refund and a delivery exclude each other, and so do these ways:
/// a refund that was begun through the gateway must have failed before any other step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Repayment {
    /// The gateway is being asked for it.
    Requested {
        /// Who wants it.
        by: Asker,
        /// How much; `None`: what is there.
        sum: Option<Rupiah>,
        /// The number of calls so far.
        tries: u32,
        /// The time of the next call, at the earliest.
        retry_at: Wall,
        /// The next question is get-status, and not the refund.
        get_status: bool,
        /// One of the calls may have made the refund.
        unsure: bool,
        /// Why the gateway refused, if it did: get-status has the last word.
        refused: Option<Box<str>>,
        /// It refused only because the key of the refund was used before.
        key_used: bool,
    },
    /// The refund was not made. The money is still due.
    Refused {
        /// Why, for people.
        why: Box<str>,
        /// When.
        at: Wall,
        /// A call may have made the refund all the same. Nothing else is done before the gateway could be asked.
        unsure: bool,
    },
    /// The gateway says that the money went back.
    Done {
        /// The time at which we heard of it.
        at: Wall,
        /// What the bank says of it; `None` if the gateway does not tell.
        bank: Option<AtBank>,
        /// The time at which get-status first said settled after that.
        settled_again_at: Option<Wall>,
    },
    /// A person gave it back in another way.
    ByHand {
        /// How.
        note: Box<str>,
        /// Who.
        by: Option<Box<str>>,
        /// When.
        at: Wall,
        /// The gateway may have made a refund all the same.
        unsure: bool,
    },
    /// An attendant handed the goods over: no refund.
    Given {
        /// Who.
        by: Box<str>,
        /// When.
        at: Wall,
        /// The gateway may have made a refund all the same.
        unsure: bool,
    },
}

/// A refund at the bank, as the gateway tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtBank {
    /// The bank is asked.
    Requested,
    /// The bank has confirmed it.
    Confirmed,
}

/// How near the end of the gateway's time for a refund is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundEnding {
    /// At most three days are left.
    Soon,
    /// At most one day is left.
    LastDay,
    /// It is over: the money goes back by hand only.
    Over,
}

/// Who wants the money to go back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Asker {
    /// The backend itself (`auto_refund`).
    Automatic,
    /// A person, with a name if one was given.
    Person(Option<Box<str>>),
}

impl Repaying {
    fn next_call(&self) -> Option<(Wall, Call)> {
        match &self.step {
            Some(Repayment::Requested { retry_at, get_status: true, .. }) => Some((*retry_at, Call::GetStatus)),
            Some(Repayment::Requested { retry_at, get_status: false, .. }) => Some((*retry_at, Call::Refund)),
            Some(Repayment::Refused { .. } | Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) | None => None,
        }
    }

    pub(super) const fn is_settled(&self) -> bool {
        match &self.step {
            Some(Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) => true,
            Some(Repayment::Requested { .. } | Repayment::Refused { .. }) | None => false,
        }
    }

    pub(super) fn call(&self, now: Wall) -> Option<Call> {
        self.next_call().filter(|(due, _)| *due <= now).map(|(_, call)| call)
    }
}

impl LateFact {
    fn of(outcome: Delivery) -> Self {
        match outcome {
            Delivery::Dispensed | Delivery::Uncertain | Delivery::Other(_) => Self::Goods,
            Delivery::Failed | Delivery::Undelivered => Self::NoGoods,
        }
    }
}

impl Order {
    pub(super) fn next_about_repaying(&self) -> impl Iterator<Item = Wall> {
        let call = self.repaying.next_call().map(|(due, _)| due);
        call.into_iter().chain(self.next_refund_ending()).chain(self.polling.at)
    }

    pub(super) fn refund_requested(&mut self, wish: RefundWish, now: Wall) -> Result<(), Refused> {
        self.may_repay(now, wish.no_report, false)?;
        if self.is_over_the_counter() {
            return Err(Refused::NotByApi);
        }
        // A person may know better: if the bank took a part, the rest may be given back.
        if self.money() == Money::TakenBack {
            return Err(Refused::TakenBack);
        }
        self.holds_the_money()?;
        // If an earlier call may have made the refund, a look comes first, also when no other call would be made.
        let unsure = self.is_refund_unsure();
        let no_part = matches!(self.taken_back, Some(TakenBack::Partly { .. })) && self.settlement().is_some_and(|by| !by.refunds_parts);
        let no_more = match (self.refund_time_is_over(now), self.repaying.used_keys >= REFUND_KEYS_MAX) {
            (true, _) => Some(TIME_IS_OVER),
            (false, true) => Some(NO_KEY_IS_LEFT),
            (false, false) if no_part => Some(NO_PART_GOES_BACK),
            (false, false) => None,
        };
        if no_more.is_some() && !unsure {
            return Err(Refused::OnlyByHand);
        }
        // If an order with a receipt has no report, it has no proof either, and a person has said so.
        let unreported = self.reported.is_none() && self.receipt().is_some();
        if !(wish.no_proof || unreported || self.is_proven()) {
            return Err(Refused::NoProof);
        }
        let refused = no_more.map(Into::into);
        let (by, sum) = (wish.by, self.to_refund());
        if by == Asker::Automatic {
            // Its customer wants the money, and no other try.
            (self.tries.until, self.tries.wanted_until) = (None, None);
        }
        self.repaying.step =
            Some(Repayment::Requested { by, sum, tries: 0, retry_at: now, get_status: unsure, unsure, refused, key_used: false });
        Ok(())
    }

    pub(super) fn settled_by_hand(&mut self, note: Box<str>, by: Option<Box<str>>, no_report: bool, now: Wall) -> Result<(), Refused> {
        self.may_repay(now, no_report, by.is_some())?;
        if self.is_refund_unsure() && by.is_none() {
            return Err(Refused::RefundUnsure);
        }
        if self.is_unconfirmed() {
            self.ended_by_a_person(by.clone().unwrap_or_else(|| "a person".into()), now);
        }
        // Get-status may be behind where it said that nothing went back.
        let unsure = self.repaying.step.is_some() || self.polling.noted_back.is_some();
        self.repaying.step = Some(Repayment::ByHand { note, by, at: now, unsure });
        self.judge_doubt();
        if unsure {
            self.check_once_more(now);
        }
        // For a settlement that was never accepted, only the note counts.
        if let Some(by) = self.settlement().cloned() {
            self.state = Refunded::known(self, by);
        }
        Ok(())
    }

    pub(super) fn given(&mut self, by: Box<str>, now: Wall) -> Result<(), Refused> {
        // An attendant stands at the machine. But the machine may still deliver an order without a report, until the
        // hour is over.
        self.may_repay(now, true, true)?;
        self.holds_the_money()?;
        let unsure = self.repaying.step.is_some() || self.polling.noted_back.is_some();
        self.repaying.step = Some(Repayment::Given { by, at: now, unsure });
        if unsure {
            self.check_once_more(now);
        }
        Ok(())
    }

    /// Whether a call for a refund may have had its effect, and the gateway does not tell, or does not answer. Whoever knows better says so by
    /// name.
    pub(super) fn is_refund_unsure(&self) -> bool {
        match &self.repaying.step {
            Some(Repayment::Requested { tries, .. }) => *tries >= CHECKS_THEN_A_PERSON,
            Some(Repayment::Refused { unsure, .. }) => *unsure,
            Some(Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) | None => false,
        }
    }

    /// If the refund was made all the same, the customer has the money twice, or the goods and the money. Then a person is told.
    fn check_once_more(&mut self, now: Wall) {
        self.polling = Polling { at: Some(now), ..Polling::default() };
    }

    /// No call for the refund is made any more. One may have been granted, or is on its way: get-status has the last word.
    fn only_check_refund(&mut self, why: &str, now: Wall) {
        if let Some(Repayment::Requested { get_status, unsure, refused, retry_at, key_used, .. }) = &mut self.repaying.step {
            refused.get_or_insert_with(|| why.into());
            (*get_status, *unsure, *retry_at, *key_used) = (true, true, now, false);
        }
    }

    /// The refund was not made, or (`unsure`) nobody knows. Who has the goods is owed nothing.
    fn refund_fails(&mut self, why: Box<str>, at: Wall, unsure: bool) {
        let has_goods = !self.has_conflict() && self.outcome() == Some(Delivery::Dispensed);
        self.repaying.step = (unsure || !has_goods).then_some(Repayment::Refused { why, at, unsure });
    }

    /// The books are a copy of before: what became of the refund since then, they do not know.
    pub(super) fn books_came_back(&mut self, now: Wall) {
        if let Some(Repayment::Requested { .. }) = &self.repaying.step {
            self.repaying.step = Some(Repayment::Refused { why: BOOKS_CAME_BACK.into(), at: now, unsure: true });
        }
    }

    /// Get-status says that no earlier call has made the refund.
    fn refund_is_not_made(&mut self) {
        if let Some(Repayment::Refused { why, at, unsure: true }) = &self.repaying.step {
            self.refund_fails(why.clone(), *at, false);
        }
    }

    pub(super) fn refund_answered(&mut self, answer: RefundAnswer, now: Wall, with: &Context<'_>) {
        let pause = self.pause_after_refund();
        let answer = match answer {
            RefundAnswer::Approved(report) => match self.judge_refund(&report, with.rules) {
                Ok(()) => RefundAnswer::Approved(report),
                Err(differs) => RefundAnswer::Unsure(differs.to_string().into()),
            },
            RefundAnswer::Unsure(_) | RefundAnswer::Passing(_) | RefundAnswer::KeyUsed(_) | RefundAnswer::Refused(_) => answer,
        };
        let Some(Repayment::Requested { tries, retry_at, get_status, unsure, refused, key_used, .. }) = &mut self.repaying.step else {
            // A person has decided meanwhile, or the machine has told another outcome: the customer may have the goods, too.
            if let RefundAnswer::Approved(report) = answer {
                if self.has_conflict() {
                    self.comes_late(LateFact::Goods);
                }
                self.refunded(&report, None, now);
            }
            return;
        };
        *tries += 1;
        *retry_at = now + pause;
        let why = match answer {
            RefundAnswer::Approved(report) => {
                self.refunded(&report, None, now);
                // Get-status may tell whether the bank has confirmed it.
                let check = now + CHECK_AGAIN;
                self.polling.at = Some(self.polling.at.map_or(check, |at| at.min(check)));
                return;
            }
            // A call with this key was made before, and that one may have made the refund. If no other call is to be made, a new key is none.
            RefundAnswer::KeyUsed(why) => {
                (*get_status, *unsure, *retry_at, *key_used) = (true, true, now, refused.is_none());
                refused.get_or_insert(why);
                return;
            }
            RefundAnswer::Refused(why) => {
                (*get_status, *retry_at, *key_used) = (true, now, false);
                refused.get_or_insert(why);
                return;
            }
            RefundAnswer::Passing(why) => why,
            RefundAnswer::Unsure(why) => {
                (*get_status, *unsure) = (true, true);
                why
            }
        };
        if *tries >= REFUND_TRIES {
            let unsure = *unsure;
            self.refund_fails(why, now, unsure);
        }
    }

    /// The sum that goes back, or is asked back: all that the customer paid, with an imposed fee, without the part that went back already. `None`
    /// if it was not whole rupiah, or nobody has said how much that part was: then the gateway gives back what is there.
    #[must_use]
    pub fn to_refund(&self) -> Option<Rupiah> {
        match &self.repaying.step {
            Some(Repayment::Requested { sum, .. }) => *sum,
            Some(Repayment::Refused { .. } | Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) | None => {
                self.rest()
            }
        }
    }

    fn rest(&self) -> Option<Rupiah> {
        let paid = self.settlement().and_then(|by| by.gross_amount)?;
        match &self.taken_back {
            Some(TakenBack::Partly { amount }) => paid.above((*amount)?),
            Some(TakenBack::Chargeback | TakenBack::Reversal) | None => Some(paid),
        }
    }

    /// Get-status says settled, or that a part went back, for an order whose refund is asked for: the refund has not happened. Once another
    /// part is gone, nobody asks for the rest by itself.
    pub(super) fn not_refunded_yet(&mut self, now: Wall) {
        let (pause, news) = (self.pause_after_refund(), self.next_check_of_news(now));
        let part_is_gone = self.to_refund() != self.rest();
        self.refund_is_not_made();
        let Some(Repayment::Requested { tries, get_status, unsure, refused, retry_at, key_used, .. }) = &mut self.repaying.step else {
            return;
        };
        if !*get_status {
            // The gateway gives back no more than is left: a call for the old sum was not granted, and never will be.
            if part_is_gone {
                self.stop_refund(PART_IS_GONE, now);
            }
            return;
        }
        // News says otherwise, and get-status may be behind. No question that it brings is one of those for which a refusal waits.
        if let Some(again) = news.filter(|_| refused.is_some()) {
            *retry_at = again;
            return;
        }
        if refused.is_some() && std::mem::take(unsure) {
            // An earlier call may have been granted, and this one refused for that reason. Get-status may be behind, so
            // it is asked twice. An earlier call of ours that used the key is a stronger sign.
            let is_our_own = *key_used && *tries > 1;
            *tries += u32::from(is_our_own);
            *retry_at = now + if is_our_own { SETTLED_AGAIN } else { CHECK_AGAIN };
            return;
        }
        *get_status = false;
        match refused.take() {
            // The refund with this key was not made, and never will be. The next call has another one.
            Some(why) => {
                self.repaying.used_keys += 1;
                match std::mem::take(key_used) && self.repaying.used_keys < REFUND_KEYS_MAX {
                    true if part_is_gone => self.stop_refund(PART_IS_GONE, now),
                    true => *retry_at = now + pause,
                    false => self.refund_fails(why, now, false),
                }
            }
            None if part_is_gone => self.stop_refund(PART_IS_GONE, now),
            None => *retry_at = now + pause,
        }
    }

    /// Get-status was asked what became of the refund, and did not tell.
    pub(super) fn refund_not_seen(&mut self, now: Wall) {
        let pause = self.pause_after_refund();
        let Some(Repayment::Requested { get_status: true, tries, retry_at, refused, .. }) = &mut self.repaying.step else { return };
        *tries += 1;
        *retry_at = now + pause;
        if *tries >= REFUND_TRIES {
            let why = refused.take().unwrap_or_else(|| "the gateway could not be asked what became of it".into());
            // The refused call may have repeated a call that the gateway had granted.
            self.refund_fails(why, now, true);
        }
    }

    /// There is nothing left to refund, as get-status says. So the refund has not happened.
    pub(super) fn stop_refund(&mut self, why: &str, now: Wall) {
        match &self.repaying.step {
            Some(Repayment::Requested { .. }) => self.refund_fails(why.into(), now, false),
            Some(Repayment::Refused { .. }) => self.refund_is_not_made(),
            Some(Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) | None => {}
        }
    }

    /// Whether a call of ours may have made a refund.
    const fn may_have_asked(&self) -> bool {
        match &self.repaying.step {
            Some(Repayment::Requested { .. } | Repayment::Refused { unsure: true, .. } | Repayment::Done { .. }) => true,
            Some(Repayment::Refused { unsure: false, .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) | None => false,
        }
    }

    /// Whether get-status is asked only to see what became of a refund.
    pub(super) fn is_checking_refund(&self) -> bool {
        matches!(self.repaying.step, Some(Repayment::Requested { get_status: true, .. }))
    }

    fn pause_after_refund(&self) -> Span {
        match &self.repaying.step {
            Some(Repayment::Requested { tries, .. }) => self.spread(doubled(REFUND_PAUSE, tries + 1, REFUND_PAUSE_MAX)),
            Some(Repayment::Refused { .. } | Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) | None => {
                REFUND_PAUSE
            }
        }
    }

    /// The machine told another outcome than before. No refund runs until a person decides. A refund that is
    /// `on_its_way` to the gateway cannot be called back. The relay's signed word stands over a report that anybody with
    /// the token may have sent.
    pub(super) fn contradicted(&mut self, told: DeliveryReport, on_its_way: bool, now: Wall) {
        let (is_decided, says) = (self.is_decided(), LateFact::of(told.outcome));
        let number = self.number_of_try();
        if told.nth_try < number {
            return;
        }
        // The books do not know of that try: goods may have come of it, whatever was proven before.
        let is_lost = told.nth_try > number;
        let Some(stands) = &mut self.reported else { return };
        match (&stands.report.proof, &told.proof) {
            _ if is_lost => {}
            // No word counts against the relay's own.
            (Proof::Signed { .. }, Proof::Missing(_)) => return,
            (Proof::Missing(_), Proof::Signed { .. }) => (stands.report, stands.at) = (told, now),
            (Proof::Signed { .. }, Proof::Signed { .. }) | (Proof::Missing(_), Proof::Missing(_)) => {}
        }
        stands.conflict |= !is_decided;
        // The money went back, or may have: the customer may have the goods, too.
        let is_late = match &self.repaying.step {
            Some(Repayment::Requested { unsure, .. }) => on_its_way || *unsure,
            Some(Repayment::Refused { unsure, .. }) => *unsure,
            Some(Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) | None => is_decided,
        };
        if is_late {
            self.comes_late(says);
        }
        match &self.repaying.step {
            // A refund that nobody may have made is not begun again.
            Some(Repayment::Requested { unsure: false, .. }) if !on_its_way => self.refund_fails(OTHER_OUTCOME.into(), now, false),
            Some(Repayment::Requested { .. }) => self.only_check_refund(OTHER_OUTCOME, now),
            Some(Repayment::Refused { .. } | Repayment::Done { .. } | Repayment::ByHand { .. } | Repayment::Given { .. }) | None => {}
        }
    }

    /// An outcome was told for the first time. The matter may have been settled before that without one.
    pub(super) fn first_reported(&mut self, outcome: Delivery, now: Wall) {
        match (&self.repaying.step, LateFact::of(outcome)) {
            (Some(Repayment::Refused { unsure: false, .. }), _) if outcome == Delivery::Dispensed => self.repaying.step = None,
            (Some(_), LateFact::Goods) => self.comes_late(LateFact::Goods),
            (Some(_), LateFact::NoGoods | LateFact::Money) | (None, _) => {}
        }
        if outcome == Delivery::Dispensed {
            self.only_check_refund("the machine told that it was handed out", now);
        }
    }

    /// The gateway says that the money went back. `told`: what the bank says of it.
    pub(super) fn refunded(&mut self, report: &StatusReport, told: Option<AtBank>, now: Wall) {
        match &mut self.repaying.step {
            // So the customer has the money twice, once by hand and once through the gateway; or the goods and the money.
            Some(Repayment::ByHand { .. } | Repayment::Given { .. }) => self.comes_late(LateFact::Money),
            Some(Repayment::Done { bank, settled_again_at, .. }) => (*bank, *settled_again_at) = (told.or(*bank), None),
            Some(Repayment::Requested { .. } | Repayment::Refused { .. }) | None => {
                // Somebody gave it back at the gateway, and its machine has or had the receipt of another try, and cannot be called back.
                if !self.may_have_asked() && self.may_have_goods_of_a_try() {
                    self.comes_late(LateFact::Money);
                }
                self.repaying.step = Some(Repayment::Done { at: now, bank: told, settled_again_at: None });
            }
        }
        // If nobody saw the payment, this answer has it.
        let by = self.settlement().cloned().unwrap_or_else(|| self.settlement_of(report, now));
        self.state = Refunded::known(self, by);
    }

    /// Get-status says settled again, or that only a part went back. It may be behind; and the bank may have refused the refund after the
    /// gateway had approved it.
    pub(super) fn settled_again(&mut self, now: Wall) {
        if self.is_money_late() {
            return;
        }
        if let Some(Repayment::Done { settled_again_at, .. }) = &mut self.repaying.step
            && now >= *settled_again_at.get_or_insert(now) + SETTLED_AGAIN
        {
            self.comes_late(LateFact::Money);
        }
    }

    pub(super) fn comes_late(&mut self, fact: LateFact) {
        if !self.late.contains(&fact) {
            self.late.push(fact);
            self.seen.retain(|kind| *kind != Attention::LateFact);
        }
    }

    /// Whether the money moved again after the matter was settled.
    #[must_use]
    pub fn is_money_late(&self) -> bool {
        self.late.contains(&LateFact::Money)
    }

    /// The time of the next look at a refund that the gateway has approved.
    pub(super) fn next_refund_check(&self, now: Wall) -> Option<Wall> {
        match &self.repaying.step {
            Some(Repayment::Done { .. }) if self.is_money_late() => None,
            Some(Repayment::Done { settled_again_at: Some(_), .. }) => Some(now + SETTLED_AGAIN),
            Some(Repayment::Done { at, bank: Some(AtBank::Requested), .. }) if now < *at + BANK_CHECKS => {
                Some(now + self.spread(BANK_CHECK))
            }
            Some(Repayment::ByHand { at, unsure: true, .. } | Repayment::Given { at, unsure: true, .. })
                if !self.is_money_late() && now < *at + BANK_CHECKS =>
            {
                Some(now + self.spread(BANK_CHECK))
            }
            Some(Repayment::Requested { .. } | Repayment::Refused { .. } | Repayment::Done { .. }) | None => None,
            Some(Repayment::ByHand { .. } | Repayment::Given { .. }) => None,
        }
    }

    /// Whether get-status of a paid order has failed for so long to tell of money that went back, that it is not asked any more. No person
    /// is called for this: that it was paid is known, and what is owed is listed by itself.
    pub(super) fn refund_checks_end(&self, now: Wall) -> bool {
        let back_at = match &self.repaying.step {
            Some(Repayment::Done { at, .. } | Repayment::ByHand { at, .. } | Repayment::Given { at, .. }) => Some(*at),
            // The gateway may have made a refund that is owed as far as anybody knows.
            Some(Repayment::Refused { unsure: true, .. }) => return false,
            Some(Repayment::Requested { .. } | Repayment::Refused { unsure: false, .. }) | None => None,
        };
        self.polling.noted_at.max(back_at).is_none_or(|since| since + BANK_CHECKS <= now)
    }

    /// The `refund_key` of the next call: the order's name, and with a number behind it once keys are used up. No order_id looks like
    /// that, so it is no other order's first key.
    #[must_use]
    pub fn refund_key(&self) -> String {
        match self.repaying.used_keys {
            0 => self.id.to_string(),
            used => format!("{}-r{}", self.id, used + 1),
        }
    }

    fn refund_time_is_over(&self, now: Wall) -> bool {
        self.settlement().and_then(|by| by.refund_until).is_some_and(|until| until <= now)
    }

    /// The steps to the end of the gateway's time for its refund, of which people were not told yet.
    fn refund_endings(&self) -> impl DoubleEndedIterator<Item = (Wall, RefundEnding)> {
        let [soon, last_day] = REFUND_WARNINGS;
        let told = self.repaying.ending;
        let steps = self
            .repay_by()
            .map(|until| [(until - soon, RefundEnding::Soon), (until - last_day, RefundEnding::LastDay), (until, RefundEnding::Over)]);
        steps.into_iter().flatten().filter(move |(_, ending)| told < Some(*ending))
    }

    pub(super) fn next_refund_ending(&self) -> Option<Wall> {
        self.refund_endings().next().map(|(at, _)| at)
    }

    pub(super) fn refund_ending_due(&self, now: Wall) -> Option<RefundEnding> {
        self.refund_endings().rev().find(|(at, _)| *at <= now).map(|(_, ending)| ending)
    }

    /// The order as people are told of it at this time: while no program ran, nobody wrote that the gateway's time for its refund was over.
    #[must_use]
    pub fn as_of(mut self, now: Wall) -> Self {
        self.repaying.ending = self.refund_ending_due(now).or(self.repaying.ending);
        self
    }

    pub(super) fn refund_ends(&mut self, ending: RefundEnding, now: Wall) {
        self.repaying.ending = Some(ending);
        if ending == RefundEnding::Over {
            self.only_check_refund(TIME_IS_OVER, now);
        }
    }

    /// By name, a person may decide also while the gateway does not tell what became of a refund.
    fn may_repay(&self, now: Wall, no_report: bool, by_name: bool) -> Result<(), Refused> {
        match &self.repaying.step {
            Some(Repayment::Requested { .. }) if by_name && self.is_refund_unsure() => {}
            Some(Repayment::Requested { .. }) => return Err(Refused::RefundUnderWay),
            Some(Repayment::Done { .. } | Repayment::ByHand { .. }) => return Err(Refused::RefundedAlready),
            Some(Repayment::Given { .. }) => return Err(Refused::Given),
            Some(Repayment::Refused { .. }) | None => {}
        }
        self.state.phase().may_repay(no_report, by_name, &self.at(now))
    }

    /// Whether it is certain that nobody gets the goods as well. Either the relay has signed that it handed out nothing and
    /// never will, or no receipt exists that could open it.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        if self.rebuilt {
            // Of a receipt or a try that these books do not know, the relay may have signed another word.
            return false;
        }
        let has_no_receipt = self.no_receipt().is_some();
        match self.delivery() {
            Some(DeliveryReport { outcome: Delivery::Failed | Delivery::Undelivered, proof: Proof::Signed { .. }, .. }) => true,
            Some(DeliveryReport { outcome: Delivery::Failed | Delivery::Undelivered, proof: Proof::Missing(_), .. }) | None => {
                has_no_receipt
            }
            Some(DeliveryReport { outcome: Delivery::Dispensed | Delivery::Uncertain | Delivery::Other(_), .. }) => false,
        }
    }

    /// Only an order whose payment is final and not yet paid back can be refunded through the gateway, or handed over.
    fn holds_the_money(&self) -> Result<(), Refused> {
        match self.money() {
            Money::AtMerchant | Money::TakenBack => Ok(()),
            Money::Unpaid | Money::AtCounter | Money::Refunded => Err(Refused::NotPaid),
        }
    }

    /// Whether the backend may pay it back by itself, if the merchant wants that. It may if the machine told one outcome,
    /// or if the request was paid twice. A person decides if the outcome is unknown, if words contradict each other, or
    /// if the payment does not match.
    #[must_use]
    pub fn may_refund_by_itself(&self, now: Wall) -> bool {
        self.goes_back_by_itself() && !self.refund_time_is_over(now)
    }

    /// The same where its customer may have the goods instead, and wants the money.
    #[must_use]
    pub fn may_refund_on_a_wish(&self, now: Wall) -> bool {
        self.is_clear() && !self.refund_time_is_over(now)
    }

    /// Whether [it may](Self::may_refund_by_itself) as long as the gateway refunds it.
    #[must_use]
    pub fn goes_back_by_itself(&self) -> bool {
        // The customer may still have the goods instead.
        self.tries.until.is_none() && self.is_clear()
    }

    fn is_clear(&self) -> bool {
        let known = match self.no_receipt() {
            None | Some(NoReceipt::PaidTwice) => true,
            Some(NoReceipt::Mismatch | NoReceipt::Ended(_)) => false,
        };
        let clear = self.is_proven() && !self.has_conflict() && self.taken_back.is_none() && self.repaying.step.is_none();
        let came = self.outcome() == Some(Delivery::Dispensed);
        known && clear && !came && self.is_refund_due() && !self.is_over_the_counter()
    }

    /// The time since which nothing came of a payment, as far as anybody knows: that of its machine's word; of what was paid twice, that of the
    /// payment.
    #[must_use]
    pub fn came_to_nothing_at(&self) -> Option<Wall> {
        self.reported_at().or_else(|| self.settlement().map(|by| by.settled_at))
    }
}
