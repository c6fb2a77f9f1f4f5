use super::*;
use crate::order::ids::OrderId;
use crate::order::state::Status;

/// It ended and nothing was paid, as far as is known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ended {
    pub how: End,
    pub why: Option<Reason>,
    /// Until then a payment still delivers; `None`: the grace is over, or nobody saw a QR.
    pub late_until: Option<Boot>,
    /// The charge that it leaves at the gateway.
    pub left: LeftCharge,
    /// Whether the relay's ticket is void.
    pub ticket_closed: bool,
    /// A payment code whose time is over. It may have been paid in its last second: a store's payment is told minutes later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_code: bool,
}

/// The ends of an order that was not paid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// By the customer, the controller, a timeout or a fault.
    Cancelled,
    /// By the gateway.
    Expired,
    /// By the gateway.
    Denied,
    /// It could not be offered.
    Failed,
}

/// The charge that an order leaves at the gateway when it ended unpaid.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftCharge {
    Nothing,
    /// The request was never answered: look for its charge by its request_id.
    Unknown,
    /// This charge must be cancelled.
    ToCancel(OrderId),
    /// This charge has ended as far as the backend knows. But the gateway has not ended it for good: money may still come.
    Lasting(OrderId),
}

impl End {
    pub(super) const fn name(self) -> EventState {
        match self {
            Self::Cancelled => EventState::Cancelled,
            Self::Expired => EventState::Expired,
            Self::Denied => EventState::Denied,
            Self::Failed => EventState::Failed,
        }
    }

    /// How the gateway ended a charge; `None`: it did not, or all of its money went back.
    pub(super) const fn at_gateway(status: &Status) -> Option<Self> {
        match status {
            Status::Pending | Status::Settlement | Status::Refund | Status::Other(_) => None,
            Status::Expire => Some(Self::Expired),
            Status::Cancel => Some(Self::Cancelled),
            Status::Deny => Some(Self::Denied),
            Status::Failure => Some(Self::Failed),
        }
    }
}

impl LeftCharge {
    /// The charge of an order that the backend calls ended: it may last longer than that at the gateway.
    pub(super) fn lasting(seen: &Seen) -> Self {
        if seen.over { Self::Nothing } else { Self::Lasting(seen.order_id.clone()) }
    }

    /// The charge that is left after this news of one of the request's charges.
    fn after(&self, seen: &Seen) -> Self {
        let is_left = match self {
            Self::Nothing | Self::Unknown => false,
            Self::ToCancel(id) | Self::Lasting(id) => *id == seen.order_id,
        };
        match seen.status {
            // A charge that must be cancelled already comes first.
            Status::Pending if matches!(self, Self::ToCancel(_)) => self.clone(),
            Status::Pending => Self::ToCancel(seen.order_id.clone()),
            Status::Settlement | Status::Expire | Status::Cancel | Status::Deny | Status::Failure | Status::Refund if !is_left => {
                self.clone()
            }
            // The receipt of a settlement comes with it or by itself. Nothing is left to cancel.
            Status::Settlement | Status::Refund => Self::Nothing,
            Status::Expire | Status::Cancel | Status::Deny | Status::Failure => Self::lasting(seen),
            Status::Other(_) => self.clone(),
        }
    }
}

impl Ended {
    pub(in super::super) fn unpaid(how: End, why: Option<Reason>, late_until: Option<Boot>, left: LeftCharge) -> State {
        State::Ended(Self { how, why, late_until, left, ticket_closed: false, is_code: false })
    }

    /// The gateway ended a payment code that nobody has paid, as far as it tells.
    pub(super) fn code_at_gateway(seen: &Seen) -> Option<State> {
        let ended = Self::at_gateway(seen, None, None)?;
        Some(match ended {
            State::Ended(ended) => State::Ended(Self { is_code: ended.how == End::Expired, ..ended }),
            other => other,
        })
    }

    /// Whether it is a payment code of which the gateway may still say that it was paid. Its piece is kept for so long.
    fn may_be_paid(&self) -> bool {
        self.is_code && matches!(self.left, LeftCharge::Lasting(_))
    }

    /// The end that the gateway or the backend made of an unpaid order; `None` while it can be paid, and once it is paid.
    pub(super) fn at_gateway(seen: &Seen, late_until: Option<Boot>, cancelled: Option<Reason>) -> Option<State> {
        let (how, why, left) = match seen.status {
            Status::Pending | Status::Settlement | Status::Other(_) => return None,
            Status::Expire => (End::Expired, None, LeftCharge::lasting(seen)),
            Status::Cancel => (End::Cancelled, cancelled.or(Some(Reason::Backend)), LeftCharge::lasting(seen)),
            Status::Deny => (End::Denied, Some(Reason::Gateway), LeftCharge::ToCancel(seen.order_id.clone())),
            Status::Failure => (End::Failed, Some(Reason::Gateway), LeftCharge::lasting(seen)),
            Status::Refund => (End::Failed, Some(Reason::Gateway), LeftCharge::Nothing),
        };
        Some(Self::unpaid(how, why, late_until, left))
    }

    /// News of another charge of the same request. It says nothing about the charge that the order has. But an order that ended leaves no
    /// charge behind.
    pub(in super::super) fn seen_another(&self, seen: &Seen) -> State {
        State::Ended(Self { left: self.left.after(seen), ..self.clone() })
    }
}

impl Phase for Ended {
    fn facts(&self) -> Facts<'_> {
        Facts {
            name: (self.how.name(), self.why),
            holds_machine: false,
            is_unfinished: self.left != LeftCharge::Nothing || !self.ticket_closed,
            receipt: None,
            goods: if self.may_be_paid() { Goods::Promised } else { Goods::until(self.late_until) },
        }
    }

    fn worth(&self, at: &At) -> Worth {
        if self.may_be_paid() { Worth::InTime } else { within_grace(self.late_until, at) }
    }

    fn seen(&self, seen: &Seen, _at: &At) -> Option<State> {
        // Nobody knew which charge the request had. Now it is known.
        let unknown = self.left == LeftCharge::Unknown;
        let left = if unknown { LeftCharge::ToCancel(seen.order_id.clone()) } else { self.left.clone() };
        Some(State::Ended(Self { left: left.after(seen), ..self.clone() }))
    }

    fn relay_call(&self, at: &At) -> Option<RelayCall> {
        let closes = !self.ticket_closed && !self.may_be_paid() && is_given_up(self.late_until, at.now);
        closes.then(|| RelayCall::Close(at.order.ticket.clone()))
    }

    fn backend_call(&self, at: &At) -> Option<BackendCall> {
        match &self.left {
            LeftCharge::Nothing => None,
            LeftCharge::Unknown => Some(BackendCall::Find),
            LeftCharge::ToCancel(id) => Some(BackendCall::Cancel(id.clone())),
            // Whether the broker is there or not: its news may be lost.
            LeftCharge::Lasting(id) if !is_given_up(self.late_until, at.now) => Some(BackendCall::Await(id.clone())),
            LeftCharge::Lasting(id) => Some(BackendCall::Check(id.clone())),
        }
    }

    fn deadline(&self, at: &At) -> Option<Boot> {
        let until = self.late_until.filter(|_| !self.ticket_closed)?;
        Some(Boot((until + LAST_ANSWER).0 + 1)).filter(|until| *until > at.now)
    }

    fn rebooted(&self, _order: &Order, _now: Boot, _rules: &Rules) -> Option<State> {
        self.grace_over()
    }

    fn absent(&self, _at: &At) -> Option<State> {
        (self.left == LeftCharge::Unknown).then(|| State::Ended(Self { left: LeftCharge::Nothing, ..self.clone() }))
    }

    fn forsaken(&self) -> Option<State> {
        Some(State::Ended(Self { left: LeftCharge::Nothing, ..self.clone() }))
    }

    fn grace_over(&self) -> Option<State> {
        Some(State::Ended(Self { late_until: None, ..self.clone() }))
    }

    fn ticket_closed(&self, answer: CloseAnswer, at: &At) -> Option<State> {
        match (answer, &self.left) {
            (CloseAnswer::Dispensing, _) => None,
            (CloseAnswer::Closed, _) => self.ticket_unknown(),
            // Somebody else showed the relay a receipt, and the backend has not told of that payment. First the charge is known, and ended.
            (CloseAnswer::Ended(_) | CloseAnswer::Later(_), LeftCharge::Unknown | LeftCharge::ToCancel(_)) => None,
            (CloseAnswer::Ended(_) | CloseAnswer::Later(_), LeftCharge::Nothing | LeftCharge::Lasting(_)) => {
                // Without a charge nobody can be told.
                if at.order.order_id().is_some() { Some(RefundDue::uncertain(None)) } else { self.ticket_unknown() }
            }
        }
    }

    /// Without a ticket nothing can be delivered any more.
    fn ticket_unknown(&self) -> Option<State> {
        Some(State::Ended(Self { late_until: None, ticket_closed: true, ..self.clone() }))
    }
}
