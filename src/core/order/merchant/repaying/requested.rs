use super::*;

/// The most calls for a refund that the gateway does not answer, over half a day. Then a person is told.
const REFUND_TRIES: u32 = 20;
/// After so many calls that do not end a refund, some two minutes, a person may decide by name.
const CHECKS_THEN_A_PERSON: u32 = 4;
/// The pause between the first two of them. Later pauses double.
const REFUND_PAUSE: Span = Span::secs(10);
/// The longest pause between two of them.
const REFUND_PAUSE_MAX: Span = Span::secs(3600);
/// Why a refund is not asked for any more.
const PART_IS_GONE: &str = "only a part of it went back";
const NO_KEY_IS_LEFT: &str = "every key for its refund is used up: only by hand";
const NO_PART_GOES_BACK: &str = "a part of it went back, and the gateway gives no part back here: the rest only by hand";

/// Who wants the money to go back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Asker {
    /// The backend itself (`auto_refund`).
    Automatic,
    /// A person, with a name if one was given.
    Person(Option<Box<str>>),
}

pub(super) const fn facts(tries: u32, retry_at: Wall, get_status: bool) -> StepFacts {
    let call = if get_status { Call::GetStatus } else { Call::Refund };
    let untold = tries >= CHECKS_THEN_A_PERSON;
    StepFacts { call: Some((retry_at, call)), untold, bars: Some(Refused::RefundUnderWay), settled_at: None }
}

impl Order {
    /// Somebody wants it back. From none and [`Repayment::Refused`].
    pub(in super::super) fn refund_requested(&mut self, wish: RefundWish, now: Told) -> Result<(), Refused> {
        self.is_free_to_repay(false)?;
        let by_name = matches!(wish.by, Asker::Person(Some(_)));
        let besides = self.gives_besides(wish.goods_and_money, by_name)?;
        if !besides {
            self.may_repay(now, wish.no_report, false)?;
        }
        if self.is_over_the_counter() {
            return Err(Refused::NotByApi);
        }
        // A person may know better: if the bank took a part, the rest may be given back.
        if self.money() == Money::TakenBack {
            return Err(Refused::TakenBack);
        }
        self.holds_the_money()?;
        // If an earlier call may have made the refund, a look comes first, also when no other call would be made.
        let (unsure, no_more) = (self.is_refund_unsure(), self.why_no_more_calls(now));
        if no_more.is_some() && !unsure {
            return Err(Refused::OnlyByHand);
        }
        // If an order with a receipt has no report, it has no proof either, and a person has said so.
        let unreported = self.reported.is_none() && self.receipt().is_some();
        if !(wish.no_proof || unreported || besides || self.is_proven()) {
            return Err(Refused::NoProof);
        }
        let (by, sum) = (wish.by, self.to_refund());
        if by == Asker::Automatic {
            // Its customer wants the money, and no other try.
            self.end_the_offer();
        }
        self.repaying.goods_and_money = besides;
        let refused = no_more.map(Into::into);
        self.repaying.step =
            Some(Repayment::Requested { by, sum, tries: 0, retry_at: now.wall, get_status: unsure, unsure, refused, key_used: false });
        Ok(())
    }

    fn why_no_more_calls(&self, now: Told) -> Option<&'static str> {
        let no_part = matches!(self.taken_back, Some(TakenBack::Partly { .. })) && self.settlement().is_some_and(|by| !by.refunds_parts);
        match (self.refund_time_is_over(now), self.repaying.used_keys >= REFUND_KEYS_MAX) {
            (true, _) => Some(TIME_IS_OVER),
            (false, true) => Some(NO_KEY_IS_LEFT),
            (false, false) if no_part => Some(NO_PART_GOES_BACK),
            (false, false) => None,
        }
    }

    /// No call for the refund is made any more. One may have been granted, or is on its way: get-status has the last word.
    pub(super) fn only_check_refund(&mut self, why: &str, now: Told) {
        if let Some(Repayment::Requested { get_status, unsure, refused, retry_at, key_used, .. }) = &mut self.repaying.step {
            refused.get_or_insert_with(|| why.into());
            (*get_status, *unsure, *retry_at, *key_used) = (true, true, now.wall, false);
        }
    }

    /// The caller that is gone may have made the refund. So the gateway's answer to the next call for it is not the whole truth.
    pub(in super::super) fn refund_abandoned(&mut self) {
        if let Some(Repayment::Requested { unsure, tries, get_status: false, .. }) = &mut self.repaying.step {
            *unsure = true;
            *tries += 1;
        }
    }

    pub(in super::super) fn refund_answered(&mut self, answer: RefundAnswer, now: Told, with: &Context<'_>) {
        let (why, may_be_made) = match answer {
            RefundAnswer::Approved(report) => match self.judge_refund(&report, with.rules) {
                Ok(()) => return self.refund_approved(&report, now),
                Err(differs) => (differs.to_string().into(), true),
            },
            RefundAnswer::Unsure(why) => (why, true),
            RefundAnswer::Passing(why) => (why, false),
            RefundAnswer::KeyUsed(why) => return self.call_refused(why, true, now),
            RefundAnswer::Refused(why) => return self.call_refused(why, false, now),
        };
        let pause = self.pause_after_refund();
        let Some(Repayment::Requested { tries, retry_at, get_status, unsure, .. }) = &mut self.repaying.step else { return };
        *tries += 1;
        *retry_at = now + pause;
        *get_status |= may_be_made;
        *unsure |= may_be_made;
        if *tries >= REFUND_TRIES {
            let unsure = *unsure;
            self.refund_fails(why, now.wall, unsure);
        }
    }

    /// Get-status has the last word. If a call with this key was made before (`is_key_used`), that one may have made the refund.
    fn call_refused(&mut self, why: Box<str>, is_key_used: bool, now: Told) {
        if let Some(Repayment::Requested { tries, retry_at, get_status, unsure, refused, key_used, .. }) = &mut self.repaying.step {
            *tries += 1;
            *unsure |= is_key_used;
            // If no other call is to be made, a new key is none.
            (*retry_at, *get_status, *key_used) = (now.wall, true, is_key_used && refused.is_none());
            refused.get_or_insert(why);
        }
    }

    /// Get-status says settled, or that a part went back, for an order whose refund is asked for: the refund has not happened. Once another
    /// part is gone, nobody asks for the rest by itself.
    pub(in super::super) fn not_refunded_yet(&mut self, now: Told) {
        let (pause, news) = (self.pause_after_refund(), self.next_check_of_news(now));
        let part_is_gone = self.to_refund() != self.rest();
        self.refund_is_not_made();
        let Some(Repayment::Requested { tries, get_status, unsure, refused, retry_at, key_used, .. }) = &mut self.repaying.step else {
            return;
        };
        if *get_status {
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
            (*get_status, *retry_at) = (false, now + pause);
            // The refund with this key was not made, and never will be. The next call has another one.
            if let Some(why) = refused.take() {
                self.repaying.used_keys += 1;
                if !std::mem::take(key_used) || self.repaying.used_keys >= REFUND_KEYS_MAX {
                    return self.refund_fails(why, now.wall, false);
                }
            }
        }
        // The gateway gives back no more than is left: a call for the old sum was not granted, and never will be.
        if part_is_gone {
            self.stop_refund(PART_IS_GONE, now);
        }
    }

    /// Get-status was asked what became of the refund, and did not tell.
    pub(in super::super) fn refund_not_seen(&mut self, now: Told) {
        let pause = self.pause_after_refund();
        let Some(Repayment::Requested { get_status: true, tries, retry_at, refused, .. }) = &mut self.repaying.step else { return };
        *tries += 1;
        *retry_at = now + pause;
        if *tries >= REFUND_TRIES {
            let why = refused.take().unwrap_or_else(|| "the gateway could not be asked what became of it".into());
            // The refused call may have repeated a call that the gateway had granted.
            self.refund_fails(why, now.wall, true);
        }
    }

    /// Whether get-status is asked only to see what became of a refund.
    pub(in super::super) const fn is_checking_refund(&self) -> bool {
        matches!(self.repaying.step, Some(Repayment::Requested { get_status: true, .. }))
    }

    fn pause_after_refund(&self) -> Span {
        let tries = if let Some(Repayment::Requested { tries, .. }) = &self.repaying.step { *tries } else { 0 };
        self.spread(doubled(REFUND_PAUSE, tries + 1, REFUND_PAUSE_MAX))
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

    /// The `refund_key` of the next call: the order's name, and with a number behind it once keys are used up. No order_id looks like
    /// that, so it is no other order's first key.
    #[must_use]
    pub fn refund_key(&self) -> String {
        match self.repaying.used_keys {
            0 => self.id.to_string(),
            used => format!("{}-r{}", self.id, used + 1),
        }
    }
}
