use super::*;
use crate::order::state::Status;

/// Paid over the counter. The store took the payment back before the order was collected, so nothing was paid after all.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TakenBack {
    /// The receipt, which proves nothing any more.
    pub receipt: Receipt,
    pub how: End,
    /// Whether the relay's ticket is void.
    pub ticket_closed: bool,
}

impl Phase for TakenBack {
    fn facts(&self) -> Facts<'_> {
        Facts {
            name: (self.how.name(), Some(Reason::Gateway)),
            holds_machine: false,
            is_unfinished: !self.ticket_closed,
            receipt: Some(&self.receipt),
            goods: if self.ticket_closed { Goods::Moved(Fate::InPlace) } else { Goods::AsBefore },
        }
    }

    fn worth(&self, _at: &At) -> Worth {
        Worth::Known
    }

    /// Its ticket is void, so the money can only go back.
    fn seen(&self, seen: &Seen, _at: &At) -> Option<State> {
        match seen.status {
            Status::Settlement => Some(RefundDue::once_closed(Some(self.receipt.clone()), Undelivered::Late, false)),
            Status::Pending | Status::Expire | Status::Cancel | Status::Deny | Status::Failure | Status::Refund | Status::Other(_) => None,
        }
    }

    fn relay_call(&self, at: &At) -> Option<RelayCall> {
        (!self.ticket_closed).then(|| RelayCall::Close(at.order.ticket.clone()))
    }

    fn ticket_closed(&self, answer: CloseAnswer, _at: &At) -> Option<State> {
        match answer {
            CloseAnswer::Dispensing => None,
            CloseAnswer::Closed => self.ticket_unknown(),
            CloseAnswer::Ended(outcome) => Some(delivered(&self.receipt, outcome)),
            CloseAnswer::Later(word) => Some(RefundDue::ended_otherwise(self.receipt.clone(), word)),
        }
    }

    fn ticket_unknown(&self) -> Option<State> {
        Some(State::TakenBack(Self { ticket_closed: true, ..self.clone() }))
    }
}
