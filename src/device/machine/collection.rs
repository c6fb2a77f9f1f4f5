//! A customer who collects goods that were paid at a store. The customer types in the payment code, and gets them if the
//! backend and the relay say at that moment that they may be handed out.

use crate::store::fact::Fact;
use crate::words::{Asker, BackendAnswer, CallId, PREPARE_WAIT, RelayAnswer};
use qris_core::order::ids::{PaymentCode, RequestId};
use qris_core::order::machine::{AwaitingCollection, Order, State};
use qris_core::order::reason::Reason;
use qris_core::order::request::{Refusal, Way};
use qris_core::order::time::{Boot, BootId, Span};
use serde::{Deserialize, Serialize};

/// A customer who typed in a code has an answer within this time.
const ANSWER_WITHIN: Span = Span::secs(10);
/// This many wrong codes lead to a pause.
const GUESSES: usize = 5;
/// The length of the pause, in which no code is taken. A wrong code is also forgotten after this time.
const PAUSE: Span = Span::secs(600);
/// The wrong codes, across a restart.
pub(super) const WRONG_CODES: Fact<Guesses> = Fact::new("wrong_codes");

#[derive(Debug)]
pub(super) struct Collection {
    pub(super) request: RequestId,
    pub(super) code: PaymentCode,
    pub(super) askers: Vec<Asker>,
    call: CallId,
    step: CollectionStage,
}

#[derive(Clone, Copy, Debug)]
enum CollectionStage {
    /// The backend is asked whether the payment still stands.
    Confirm { give_up_at: Boot },
    /// The relay is asked whether it can deliver. `owner`: the one that it had at the question.
    Check { owner: u64, give_up_at: Boot },
}

impl Collection {
    pub(super) fn new(request: RequestId, code: PaymentCode, asker: Option<Asker>, call: CallId, now: Boot) -> Self {
        let step = CollectionStage::Confirm { give_up_at: now + ANSWER_WITHIN };
        Self { request, code, askers: asker.into_iter().collect(), call, step }
    }

    pub(super) fn confirmed(self, call: CallId, owner: u64, now: Boot) -> Self {
        let give_up_at = self.give_up_at().min(now + PREPARE_WAIT);
        Self { call, step: CollectionStage::Check { owner, give_up_at }, ..self }
    }

    pub(super) fn call(&self) -> CallId {
        self.call
    }

    pub(super) fn give_up_at(&self) -> Boot {
        match self.step {
            CollectionStage::Confirm { give_up_at } | CollectionStage::Check { give_up_at, .. } => give_up_at,
        }
    }

    pub(super) fn asks_backend(&self) -> bool {
        matches!(self.step, CollectionStage::Confirm { .. })
    }

    pub(super) fn unanswered(&self) -> Refusal {
        match self.step {
            CollectionStage::Confirm { .. } => Refusal::new(Reason::Backend, "the backend does not answer"),
            CollectionStage::Check { .. } => Refusal::new(Reason::Relay, "the relay service does not answer"),
        }
    }

    /// Whether the relay can deliver it. `owner`: the relay's present one.
    pub(super) fn checked(&self, answer: &RelayAnswer, owner: Option<u64>) -> Result<(), Refusal> {
        Err(match answer {
            RelayAnswer::Checked(_) if !matches!(self.step, CollectionStage::Check { owner: asked, .. } if Some(asked) == owner) => {
                Refusal::new(Reason::Relay, "the relay service has just been restarted")
            }
            RelayAnswer::Checked(Ok(())) => return Ok(()),
            RelayAnswer::Checked(Err(reason)) => Refusal::new(*reason, "the machine cannot hand it out now"),
            RelayAnswer::Refused(_, why) | RelayAnswer::NoAnswer(why) => Refusal::new(Reason::Relay, why.clone()),
            RelayAnswer::Dispense(_) | RelayAnswer::Close(_) | RelayAnswer::Proof(_) => {
                Refusal::new(Reason::Relay, "the relay service did not answer this question")
            }
        })
    }
}

/// The refusal when the backend answers, but with no order.
pub(super) fn unconfirmed(answer: BackendAnswer) -> Refusal {
    let why = match answer {
        BackendAnswer::Later(refusal, _) | BackendAnswer::Wrong(refusal) | BackendAnswer::Refused(refusal) => refusal.detail,
        BackendAnswer::NoAnswer { why, .. } => why,
        BackendAnswer::Absent => "it knows no such order".into(),
        BackendAnswer::Order(_) | BackendAnswer::Open(_) | BackendAnswer::OtherOutcome => "it did not answer this question".into(),
    };
    Refusal::new(Reason::Backend, format!("the backend does not confirm it: {why}"))
}

/// Whether the backend may know more of an order than this machine, so that it is asked when the code is typed in.
pub(super) fn may_be_news(order: &Order) -> bool {
    match &order.state {
        State::AwaitingPayment(_) | State::AtCounter(_) | State::AwaitingCollection(_) => true,
        State::Cancelling(_) | State::Ended(_) | State::TakenBack(_) | State::RefundDue(_) => true,
        // It has no charge yet; or it is paid, and is or was handed out; or its money went back.
        State::Requested(_) | State::Paid(_) | State::Dispensing(_) | State::TryingAgain(_) => false,
        State::Dispensed(_) | State::Refunded(_) => false,
    }
}

/// Why an order with a known code is not collected now, as far as its state says.
pub(super) fn objection(order: &Order) -> Option<Refusal> {
    let why = match &order.state {
        State::AwaitingCollection(AwaitingCollection { doubtful: false, .. }) => return None,
        State::AwaitingCollection(AwaitingCollection { doubtful: true, .. }) => {
            return Some(Refusal::new(Reason::Relay, "the relay service must first say whether it was handed out already"));
        }
        State::Requested(_) | State::AwaitingPayment(_) | State::AtCounter(_) => "it is not paid yet",
        State::Cancelling(_) => "it is being cancelled",
        State::Ended(_) => "it was never paid, and cannot be any more",
        State::TakenBack(_) => "its payment was taken back",
        State::Paid(_) | State::Dispensing(_) | State::TryingAgain(_) => "it is being handed out",
        State::Dispensed(_) => "it was collected already",
        State::RefundDue(_) => "it is not handed out any more: its refund is due",
        State::Refunded(_) => "its money was paid back",
    };
    Some(Refusal::field(Reason::UnknownRequest, "code", why))
}

/// The recent wrong codes: those over MQTT, and those that were typed in on this board. Neither of the two can lock the
/// other out.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Guesses {
    boot_id: Box<str>,
    mqtt: Vec<Boot>,
    board: Vec<Boot>,
}

impl Guesses {
    /// The stored codes. If they are of another boot, nobody knows how old they are. Then they count as new.
    pub(super) fn restored(stored: Self, boot_id: &BootId, now: Boot) -> Self {
        let same = stored.boot_id == boot_id.0;
        let when = |times: Vec<Boot>| times.into_iter().rev().take(GUESSES).rev().map(|at| if same { at.min(now) } else { now }).collect();
        Self { boot_id: boot_id.0.clone(), mqtt: when(stored.mqtt), board: when(stored.board) }
    }

    fn of(&mut self, way: Way) -> &mut Vec<Boot> {
        match way {
            Way::Remote => &mut self.mqtt,
            Way::Board => &mut self.board,
        }
    }

    pub(super) fn count(&mut self, way: Way, now: Boot) {
        self.of(way).push(now);
    }

    pub(super) fn paused_until(&mut self, way: Way, now: Boot) -> Option<Boot> {
        let times = self.of(way);
        let until = times.last().map(|last| *last + PAUSE).filter(|_| times.len() >= GUESSES);
        if until.is_some_and(|until| now >= until) {
            times.clear();
        }
        times.retain(|at| until.is_some() || now < *at + PAUSE);
        until.filter(|until| now < *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_wrong_codes_lead_to_ten_minutes_of_pause_for_one_way_alone() {
        let (mqtt, board) = (Way::Remote, Way::Board);
        let mut guesses = Guesses::default();
        let minute = |n: i64| Boot(n * 60_000);
        for n in 0..4 {
            guesses.of(mqtt).push(minute(n));
            assert_eq!(guesses.paused_until(mqtt, minute(n)), None);
        }
        // The first wrong code is forgotten by then.
        guesses.paused_until(mqtt, minute(10));
        guesses.of(mqtt).push(minute(10));
        assert_eq!(guesses.paused_until(mqtt, minute(10)), None);
        guesses.of(mqtt).push(minute(10));
        assert_eq!(guesses.paused_until(mqtt, minute(10)), Some(minute(20)));
        assert_eq!(guesses.paused_until(board, minute(10)), None, "who types on the board is not locked out by the broker");
        guesses.boot_id = "b".into();
        let stored = guesses.clone();
        for (boot_id, now, until) in [("b", 15, 20), ("c", 1, 11)] {
            let mut restored = Guesses::restored(stored.clone(), &BootId(boot_id.into()), minute(now));
            assert_eq!(restored.paused_until(mqtt, minute(now)), Some(minute(until)), "{boot_id}");
        }
        assert_eq!(guesses.paused_until(mqtt, minute(20)), None);
        assert!(guesses.mqtt.is_empty(), "five new tries");
    }
}
