use super::*;

/// Over the counter: the code left the screen. It may be paid at the store until the gateway ends it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AtCounter {}

impl Phase for AtCounter {
    fn facts(&self) -> Facts<'_> {
        Facts {
            name: (EventState::AwaitingPayment, None),
            holds_machine: false,
            is_unfinished: true,
            receipt: None,
            goods: Goods::Promised,
        }
    }

    fn worth(&self, _at: &At) -> Worth {
        Worth::InTime
    }

    fn seen(&self, seen: &Seen, _at: &At) -> Option<State> {
        Ended::code_at_gateway(seen)
    }

    fn backend_call(&self, at: &At) -> Option<BackendCall> {
        at.order.order_id().cloned().map(BackendCall::Check)
    }

    fn forsaken(&self) -> Option<State> {
        Some(Ended::unpaid(End::Expired, Some(Reason::Backend), None, LeftCharge::Nothing))
    }

    /// Nobody stands there, so no other customer needs to wait for the answer.
    fn withdraw(&self, why: Ending, _at: &At) -> Option<State> {
        Some(State::Cancelling(Cancelling { why, free_at: None, late_until: None }))
    }
}
