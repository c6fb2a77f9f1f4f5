use super::*;
use crate::order::outcome::Delivery;

/// Handed out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Dispensed {
    /// The proof.
    pub receipt: Receipt,
    /// Whether the backend knows.
    pub reported: bool,
}

impl Dispensed {
    pub(super) fn unreported(receipt: Receipt) -> State {
        State::Dispensed(Self { receipt, reported: false })
    }
}

impl Phase for Dispensed {
    fn facts(&self) -> Facts<'_> {
        Facts {
            name: (EventState::Dispensed, None),
            holds_machine: false,
            is_unfinished: !self.reported,
            receipt: Some(&self.receipt),
            goods: Goods::Moved(Fate::Delivered),
        }
    }

    fn worth(&self, _at: &At) -> Worth {
        Worth::Known
    }

    fn seen(&self, _seen: &Seen, _at: &At) -> Option<State> {
        None
    }

    fn relay_call(&self, at: &At) -> Option<RelayCall> {
        (!self.reported).then(|| RelayCall::Prove(at.order.ticket.clone()))
    }

    fn backend_call(&self, _at: &At) -> Option<BackendCall> {
        (!self.reported).then(|| BackendCall::Tell(self.receipt.claims().sub.clone(), Delivery::Dispensed, None))
    }

    fn reported(&self) -> Option<State> {
        Some(State::Dispensed(Self { reported: true, ..self.clone() }))
    }

    fn forgotten(&self) -> Option<State> {
        Some(Self::unreported(self.receipt.clone()))
    }
}
