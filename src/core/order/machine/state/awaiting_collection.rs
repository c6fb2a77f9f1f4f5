use super::*;
use crate::order::state::Status;

/// Paid over the counter. It waits until the customer is back and types in the code.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AwaitingCollection {
    /// The proof.
    pub receipt: Receipt,
    /// Whether an earlier `Dispense` may have reached the relay.
    pub sent: bool,
    /// It cannot be collected until the relay has said that it recorded nothing for it.
    pub doubtful: bool,
}

impl AwaitingCollection {
    fn refund_due(&self, why: Undelivered) -> State {
        RefundDue::once_closed(Some(self.receipt.clone()), why, self.sent)
    }
}

impl Phase for AwaitingCollection {
    fn facts(&self) -> Facts<'_> {
        let goods = if self.sent { Goods::Kept } else { Goods::Promised };
        Facts {
            name: (EventState::AwaitingCollection, None),
            holds_machine: false,
            is_unfinished: true,
            receipt: Some(&self.receipt),
            goods,
        }
    }

    fn worth(&self, _at: &At) -> Worth {
        Worth::Known
    }

    fn seen(&self, seen: &Seen, _at: &At) -> Option<State> {
        match seen.status {
            // The merchant has settled it with the customer, so the machine must not hand it out.
            Status::Settlement if !seen.is_collectable() => Some(self.refund_due(Undelivered::NotCollected)),
            Status::Refund => Some(self.refund_due(Undelivered::NotCollected)),
            Status::Failure if seen.refund => Some(self.refund_due(Undelivered::Mismatch)),
            Status::Expire | Status::Cancel | Status::Deny | Status::Failure => {
                let how = End::at_gateway(&seen.status)?;
                Some(State::TakenBack(TakenBack { receipt: self.receipt.clone(), how, ticket_closed: false }))
            }
            Status::Pending | Status::Settlement | Status::Other(_) => None,
        }
    }

    fn relay_call(&self, _at: &At) -> Option<RelayCall> {
        let claims = self.receipt.claims();
        self.doubtful.then(|| RelayCall::Query(claims.sub.clone(), claims.nth.number()))
    }

    fn backend_call(&self, at: &At) -> Option<BackendCall> {
        at.order.order_id().cloned().map(BackendCall::Check)
    }

    fn forsaken(&self) -> Option<State> {
        Some(self.refund_due(Undelivered::NotCollected))
    }

    fn relay_answered(&self, answer: DispenseAnswer, _unknown: IfUnknown) -> Option<State> {
        match answer {
            DispenseAnswer::Ended(outcome) => Some(delivered(&self.receipt, outcome)),
            DispenseAnswer::Later(word) => Some(RefundDue::ended_otherwise(self.receipt.clone(), word)),
            DispenseAnswer::Dispensing => None,
            DispenseAnswer::Unknown => Some(State::AwaitingCollection(Self { doubtful: false, ..self.clone() })),
        }
    }

    /// The backend and the relay have answered. From now on it is delivered like any other order.
    fn collected(&self, at: &At) -> Option<State> {
        let deliver_by = at.now + at.with.rules.deliver_within;
        let may = !self.doubtful && at.with.alone && !at.with.empty;
        may.then(|| Dispensing::begun(self.receipt.clone(), deliver_by, self.sent))
    }

    fn taken_as_sent(&self) -> Option<State> {
        Some(State::AwaitingCollection(Self { sent: true, ..self.clone() }))
    }
}
