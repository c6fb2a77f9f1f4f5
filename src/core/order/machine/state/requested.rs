use super::super::counter::check_code;
use super::*;
use crate::order::qris;
use crate::order::state::Status;

/// The backend is asked for a charge.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Requested {
    /// At this time the order fails.
    pub give_up_at: Boot,
    /// The number of the relay's owner that gave the ticket; 0: no owner in this run of the program.
    #[serde(skip)]
    pub checked: u64,
    /// The backend's latest reason for not charging yet.
    #[serde(skip)]
    pub trouble: Option<Reason>,
}

impl Requested {
    /// Puts a charge on the screen if people may see its QR or code. Otherwise the charge was never payable here: the order ends at once,
    /// and the charge is cancelled.
    fn offer(&self, seen: &Seen, at: &At) -> State {
        let order = at.order;
        let showable = || {
            let gross = seen.gross_amount.filter(|g| *g >= order.offer.amount).ok_or(Ending::Failed(Reason::GrossAmount))?;
            let payload = if order.is_over_the_counter() {
                check_code(order.offer.request.payment, order.charge.as_ref(), seen)?;
                None
            } else {
                let payload = seen.payload.clone().ok_or(Ending::Failed(Reason::Gateway))?;
                qris::check(&payload, gross).map_err(|_| Ending::Failed(Reason::Gateway))?;
                Some(payload)
            };
            // While the relay is gone, the keys count that it listed with the ticket.
            let kids = if at.with.relay_owner.is_some() { at.with.relay_kids } else { &order.posted.kids };
            let known = seen.kid.as_ref().is_some_and(|kid| kids.contains(kid));
            if known { Ok(payload) } else { Err(Ending::Cancelled(Reason::UnknownKey)) }
        };
        match showable() {
            Ok(payload) => {
                let time = seen.expires_in.map_or(order.offer.timeout, |left| left.min(order.offer.timeout));
                let (shown_at, until, checked) = (at.now, at.now + time, self.checked);
                State::AwaitingPayment(AwaitingPayment { payload, shown_at, until, checked })
            }
            Err(why) => why.ended(None, LeftCharge::ToCancel(seen.order_id.clone())),
        }
    }
}

impl Phase for Requested {
    fn facts(&self) -> Facts<'_> {
        Facts { name: (EventState::Requested, None), holds_machine: true, is_unfinished: true, receipt: None, goods: Goods::Promised }
    }

    fn worth(&self, _at: &At) -> Worth {
        Worth::InTime
    }

    fn seen(&self, seen: &Seen, at: &At) -> Option<State> {
        if seen.status == Status::Cancel {
            return Some(Ended::unpaid(End::Failed, Some(Reason::Backend), None, LeftCharge::lasting(seen)));
        }
        Ended::at_gateway(seen, None, None).or_else(|| {
            // The backend is still charging. This is the answer to another question (which orders are open), and it came first.
            let is_charging = seen.gross_amount.is_none() && seen.payload.is_none() && seen.code.is_none();
            (seen.status != Status::Settlement && !is_charging).then(|| self.offer(seen, at))
        })
    }

    fn backend_call(&self, _at: &At) -> Option<BackendCall> {
        Some(BackendCall::Create)
    }

    fn deadline(&self, _at: &At) -> Option<Boot> {
        Some(self.give_up_at)
    }

    fn tick(&self, at: &At) -> Option<State> {
        let why = self.trouble.unwrap_or(Reason::Backend);
        (at.now >= self.give_up_at).then(|| Ended::unpaid(End::Failed, Some(why), None, LeftCharge::Unknown))
    }

    /// The customer has gone, and nobody saw a QR.
    fn rebooted(&self, _order: &Order, _now: Boot, _rules: &Rules) -> Option<State> {
        Some(Ended::unpaid(End::Failed, Some(Reason::Backend), None, LeftCharge::Unknown))
    }

    fn create_refused(&self, refusal: &Refusal) -> Option<State> {
        // The body differs from before, or the backend does not say why: a charge of an earlier try may exist.
        let unsure = matches!(refusal.reason, Reason::ReusedId | Reason::Backend);
        let left = if unsure { LeftCharge::Unknown } else { LeftCharge::Nothing };
        Some(Ended::unpaid(End::Failed, Some(refusal.reason), None, left))
    }

    fn create_delayed(&self, reason: Reason) -> Option<State> {
        Some(State::Requested(Self { trouble: Some(reason), ..self.clone() }))
    }

    /// Nobody saw a QR.
    fn withdraw(&self, why: Ending, at: &At) -> Option<State> {
        Some(State::Cancelling(Cancelling { why, free_at: Some(at.now + at.with.rules.cancel_wait), late_until: None }))
    }
}
