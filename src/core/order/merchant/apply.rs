//! How an event changes an order. Its [state](super::state) says what depends on where the order is.

use super::state::{Ask, At, Next, Phase};
use super::{
    ANSWER_WITHIN, CANCELS_THEN_STATUS, CHARGE_WINDOW, Cancelling, Closing, Context, Ending, Event, Order, Polling, Refused, Said, State,
    StatusReport,
};
use crate::order::time::Told;

/// The order after an event. A fact that is already known returns it unchanged.
pub fn apply(mut order: Order, event: Event, now: Told, with: &Context<'_>) -> Result<Order, Refused> {
    match event {
        Event::Charged(charge) => order.go(order.state.phase().charged(&charge, None, with.rules, &order.at(now))),
        Event::ChargedUnreadable(charge, why) => order.go(order.state.phase().charged(&charge, Some(&why), with.rules, &order.at(now))),
        Event::NotCharged(no_charge) => order.go(order.state.phase().not_charged(&no_charge, &order.at(now))),
        Event::Status(report) => order.status_answered(&report, now, with),
        Event::StatusUnknown => order.unknown(true, now),
        Event::StatusUnclear(_) => order.status_unclear(now),
        Event::StatusUnanswered => order.status_unanswered(now),
        Event::CancelDone(report) => order.cancel_done(&report, now, with),
        Event::CancelRefused => order.cancel_failed(true, now),
        Event::CancelUnknown => order.unknown(false, now),
        Event::CancelUnanswered => order.cancel_unanswered(now),
        Event::Notified(said) => order.notified(said, now),
        Event::PaymentReported => order.note_news(Said::Settled, now),
        Event::Abandoned => order.abandoned(),
        Event::Restarted => {
            // The machine that waited was cut off. If it asks again, it waits again.
            order.answer_by = order.answer_by.min(now.wall);
            order.go(order.state.phase().gave_up(true, &order.at(now)));
        }
        Event::GaveUp => order.go(order.state.phase().gave_up(false, &order.at(now))),
        Event::Awaited => order.awaited(now),
        Event::TimedOut => order.go(order.state.phase().end(&Ending::Timeout, &order.at(now))),
        Event::StatusRequested => order.status_requested(now),
        Event::CancelRequested => order.go(order.state.phase().end(&Ending::Requested, &order.at(now))),
        Event::Delivered(told) => order.delivered(told, now, with.rules)?,
        Event::TryAgain { promise, key } => order.try_again(&promise, key.as_ref(), now, with.rules),
        Event::TryWanted { by, drawn } => order.want_try(by.as_deref(), drawn, now, with.rules),
        Event::NumberTold { number, by } => order.number_told(number, by.as_deref(), now),
        Event::TryWishEnds => order.tries.wanted_until = None,
        Event::TryOfferEnds => order.end_the_offer(),
        Event::Contradicted { told, refund_on_its_way } => order.contradicted(told, refund_on_its_way, now),
        Event::CameLate { number, refund_on_its_way } => order.came_late(number, refund_on_its_way, now),
        Event::Unreported => {
            if let State::Settled(settled) = &mut order.state {
                settled.unreported_at.get_or_insert(now.wall);
            }
            order.look_after_a_later_try(now);
        }
        Event::Unconfirmed => order.list_as_unconfirmed(now),
        Event::RefundRequested(wish) => order.refund_requested(wish, now)?,
        Event::RefundAnswered(answer) => order.refund_answered(answer, now, with),
        Event::SettledByHand { note, by, no_report, goods_and_money } => {
            order.settled_by_hand(note, by, no_report, goods_and_money, now)?;
        }
        Event::Given { by, goods_and_money, from_slot } => order.given(by, goods_and_money, from_slot, now)?,
        Event::RefundEnds(ending) => order.refund_ends(ending, now),
        Event::SeenBy(by) => order.seen_by_a_person(by, now)?,
    }
    order.end_a_barred_wish();
    Ok(order)
}

impl Order {
    pub(super) const fn at(&self, now: Told) -> At<'_> {
        At { order: self, now }
    }

    pub(super) fn go(&mut self, next: Option<Next>) {
        let Some(Next { state, ask }) = next else { return };
        self.state = state;
        match ask {
            Ask::AsPlanned => {}
            Ask::At(at) => self.polling.at = at,
            Ask::Anew(at) => self.polling = Polling { at, ..Polling::default() },
        }
    }

    fn cancel_done(&mut self, report: &StatusReport, now: Told, with: &Context<'_>) {
        let State::Cancelling(state) = &self.state else { return };
        let is_done = report.said == Said::Cancelled && self.judge(report, with.rules).is_ok();
        // Any other word, or an answer that does not count, is no answer to a cancel: get-status must tell.
        let next = if is_done { state.ended(Closing::Cancel, &self.at(now)) } else { state.cancel_failed(true, &self.at(now)) };
        self.go(next);
    }

    fn cancel_failed(&mut self, then_status: bool, now: Told) {
        self.judge_doubt();
        self.go(self.state.phase().cancel_failed(then_status, &self.at(now)));
    }

    /// Somebody may have paid. The silence of one call says nothing about the other.
    fn cancel_unanswered(&mut self, now: Told) {
        self.cancel_failed(false, now);
        if matches!(&self.state, State::Cancelling(Cancelling { tries, .. }) if tries % CANCELS_THEN_STATUS == 0) {
            self.polling.at = Some(now.wall);
        }
    }

    fn abandoned(&mut self) {
        self.refund_abandoned();
        if let State::Charging(charging) = &mut self.state {
            charging.unsure = true;
        }
    }

    fn awaited(&mut self, now: Told) {
        if self.state.phase().may_be_awaited() {
            let latest = self.created_at + CHARGE_WINDOW;
            self.answer_by = self.answer_by.max((now + ANSWER_WITHIN).min(latest));
        }
    }
}
