use super::super::{GONE_WAIT, POLL_AFTER};
use super::*;
use crate::order::time::Span;

/// When the gateway ends a QR this much sooner than the machine's own deadline, the new deadline is worth a commit.
const DEADLINE_SLACK: Span = Span::secs(2);

/// The QR or payment code is on the screen, or will be as soon as the relay has said (again) that it can deliver.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitingPayment {
    /// The string in the QR, checked; `None`: over the counter, where the charge has a code.
    pub payload: Option<Box<str>>,
    /// The time since which it can be seen.
    pub shown_at: Boot,
    /// At this time at the latest it leaves the screen, also while this program is down.
    pub until: Boot,
    /// The number of the relay's owner that said it can deliver; 0: no owner in this run of the program.
    #[serde(skip)]
    pub checked: u64,
}

impl AwaitingPayment {
    /// The time since which nobody vouches that this machine can deliver the order. `None`: its relay vouches for it.
    fn relay_doubtful(&self, with: &Context) -> Option<Boot> {
        (with.relay_owner != Some(self.checked)).then(|| with.relay_doubted_from.max(self.shown_at))
    }

    fn late_until(&self, at: &At) -> Option<Boot> {
        Some(at.now.min(self.until) + at.with.rules.late_grace)
    }
}

impl Phase for AwaitingPayment {
    fn facts(&self) -> Facts<'_> {
        Facts { name: (EventState::AwaitingPayment, None), holds_machine: true, is_unfinished: true, receipt: None, goods: Goods::Promised }
    }

    fn worth(&self, at: &At) -> Worth {
        // A customer who pays at a store is not here.
        if at.order.is_over_the_counter() { Worth::InTime } else { within_grace(Some(self.until + at.with.rules.late_grace), at) }
    }

    fn seen(&self, seen: &Seen, at: &At) -> Option<State> {
        let cancelled = self.payload.is_some().then_some(Reason::Timeout);
        Ended::at_gateway(seen, self.late_until(at), cancelled).or_else(|| {
            let until = seen.expires_in.map(|left| at.now + left).filter(|end| *end + DEADLINE_SLACK < self.until)?;
            Some(State::AwaitingPayment(Self { until, ..self.clone() }))
        })
    }

    fn relay_call(&self, at: &At) -> Option<RelayCall> {
        let asks = at.with.relay_owner.is_some() && self.relay_doubtful(at.with).is_some();
        asks.then(|| RelayCall::Check(at.order.ticket.clone()))
    }

    fn backend_call(&self, at: &At) -> Option<BackendCall> {
        let asks = !at.with.push || at.now >= self.shown_at + POLL_AFTER;
        at.order.order_id().filter(|_| asks).cloned().map(BackendCall::Watch)
    }

    fn deadline(&self, at: &At) -> Option<Boot> {
        let poll = Some(self.shown_at + POLL_AFTER).filter(|poll| at.with.push && *poll > at.now);
        let relay = self.relay_doubtful(at.with).map(|since| since + GONE_WAIT);
        let screen = at.with.screen_gone_since.map(|since| since + GONE_WAIT);
        [Some(self.until), poll, relay, screen].into_iter().flatten().min()
    }

    fn tick(&self, at: &At) -> Option<State> {
        let is_gone = |since: Option<Boot>| since.is_some_and(|since| at.now >= since + GONE_WAIT);
        if at.now >= self.until {
            // Over the counter the customer takes the code along.
            let Some(_) = self.payload else { return Some(State::AtCounter(AtCounter {})) };
            self.withdraw(Ending::Cancelled(Reason::Timeout), at)
        } else if is_gone(self.relay_doubtful(at.with)) {
            self.withdraw(Ending::Cancelled(Reason::Relay), at)
        } else if is_gone(at.with.screen_gone_since) {
            self.withdraw(Ending::Cancelled(Reason::Screen), at)
        } else {
            None
        }
    }

    fn rebooted(&self, order: &Order, now: Boot, _rules: &Rules) -> Option<State> {
        Some(State::AwaitingPayment(Self { shown_at: now, until: now + order.offer.timeout, ..self.clone() }))
    }

    fn absent(&self, at: &At) -> Option<State> {
        self.withdraw(Ending::Cancelled(Reason::Backend), at)
    }

    fn withdraw(&self, why: Ending, at: &At) -> Option<State> {
        let free_at = Some(at.now + at.with.rules.cancel_wait);
        Some(State::Cancelling(Cancelling { why, free_at, late_until: self.late_until(at) }))
    }

    fn check_passed(&self, owner: u64) -> Option<State> {
        Some(State::AwaitingPayment(Self { checked: owner, ..self.clone() }))
    }
}
