use super::*;
use crate::order::state::Status;

/// The QR is gone and the backend is asked to cancel the charge.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cancelling {
    /// How it ends if the backend grants the cancel.
    pub why: Ending,
    /// The machine is held until then for the answer; `None`: it is free.
    pub free_at: Option<Boot>,
    /// Until then a payment still delivers; `None`: the grace is over.
    pub late_until: Option<Boot>,
}

/// Why a charge is being cancelled. This also says how the order ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// `cancelled`, with this reason.
    Cancelled(Reason),
    /// `failed`, with this reason: the charge could not be shown.
    Failed(Reason),
}

impl Ending {
    /// The word for it.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Cancelled(reason) | Self::Failed(reason) => reason,
        }
    }

    pub(super) fn ended(self, late_until: Option<Boot>, left: LeftCharge) -> State {
        let how = match self {
            Self::Cancelled(_) => End::Cancelled,
            Self::Failed(_) => End::Failed,
        };
        Ended::unpaid(how, Some(self.reason()), late_until, left)
    }
}

impl Phase for Cancelling {
    fn facts(&self) -> Facts<'_> {
        Facts {
            name: (EventState::Cancelling, Some(self.why.reason())),
            holds_machine: self.free_at.is_some(),
            is_unfinished: true,
            receipt: None,
            goods: Goods::until(self.late_until),
        }
    }

    fn worth(&self, at: &At) -> Worth {
        within_grace(self.late_until, at)
    }

    fn seen(&self, seen: &Seen, _at: &At) -> Option<State> {
        match seen.status {
            Status::Cancel | Status::Failure => Some(self.why.ended(self.late_until, LeftCharge::lasting(seen))),
            Status::Expire | Status::Deny | Status::Refund | Status::Pending | Status::Settlement | Status::Other(_) => {
                Ended::at_gateway(seen, self.late_until, None)
            }
        }
    }

    fn backend_call(&self, at: &At) -> Option<BackendCall> {
        Some(match (at.order.order_id(), self.free_at) {
            (Some(id), _) => BackendCall::Cancel(id.clone()),
            // The first POST may still be on its way. The same POST again gets its answer, and then the order can be cancelled.
            (None, Some(_)) => BackendCall::Create,
            (None, None) => BackendCall::Find,
        })
    }

    fn deadline(&self, _at: &At) -> Option<Boot> {
        self.free_at
    }

    fn tick(&self, at: &At) -> Option<State> {
        let free = self.free_at.is_some_and(|free_at| at.now >= free_at);
        free.then(|| State::Cancelling(Self { free_at: None, ..self.clone() }))
    }

    fn rebooted(&self, _order: &Order, _now: Boot, _rules: &Rules) -> Option<State> {
        Some(State::Cancelling(Self { why: self.why, free_at: None, late_until: None }))
    }

    /// The order was to be cancelled before it was made.
    fn create_refused(&self, _refusal: &Refusal) -> Option<State> {
        Some(self.why.ended(None, LeftCharge::Nothing))
    }

    /// If nobody knows of a charge, none was made.
    fn absent(&self, at: &At) -> Option<State> {
        at.order.charge.is_none().then(|| self.why.ended(self.late_until, LeftCharge::Nothing))
    }

    fn forsaken(&self) -> Option<State> {
        Some(self.why.ended(self.late_until, LeftCharge::Nothing))
    }
}
