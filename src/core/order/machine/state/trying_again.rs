use super::super::PromisedTry;
use super::*;
use crate::order::state::Status;

/// The customer wants the goods once more. The relay has promised them, and the backend is asked for the receipt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TryingAgain {
    /// What the relay has promised.
    pub wanted: PromisedTry,
    /// At this time the customer waits no more.
    pub give_up_at: Boot,
    /// It may be delivered until then.
    pub deliver_by: Boot,
    /// How the try before ended.
    pub before: RefundDue,
}

impl TryingAgain {
    /// Nobody knows whether the backend has signed a receipt. So the ticket is closed first, and then the backend is told.
    pub(in super::super) fn given_up(&self) -> State {
        RefundDue::once_closed(self.before.receipt.clone(), Undelivered::Late, false)
    }
}

impl Phase for TryingAgain {
    fn facts(&self) -> Facts<'_> {
        Facts {
            name: (EventState::TryingAgain, None),
            holds_machine: true,
            is_unfinished: true,
            receipt: self.before.receipt.as_ref(),
            // That of the try before is where it was. The one that is wanted is kept.
            goods: Goods::AsBefore,
        }
    }

    fn worth(&self, at: &At) -> Worth {
        if at.now < self.deliver_by { Worth::InTime } else { Worth::Late }
    }

    fn seen(&self, seen: &Seen, _at: &At) -> Option<State> {
        // The money went back meanwhile. Then no receipt comes.
        (seen.status == Status::Refund).then(|| State::RefundDue(self.before.clone()))
    }

    fn backend_call(&self, at: &At) -> Option<BackendCall> {
        at.order.order_id().cloned().map(|id| BackendCall::TryAgain(id, self.wanted.promise.clone()))
    }

    fn deadline(&self, _at: &At) -> Option<Boot> {
        Some(self.give_up_at)
    }

    fn try_refused(&self) -> Option<State> {
        Some(State::RefundDue(self.before.clone()))
    }
}
