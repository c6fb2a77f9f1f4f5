//! The tries at handing out an order. The first one is for what the request asked for. A later one begins with a press of the customer,
//! on the relay's promise, and may be for another item that costs no more.

use super::{Context, LaterTry, Order, PromisedTry, REQUEST_WAIT, RefundDue, ReportStep, State, TryingAgain, Undelivered};
use crate::order::ids::{ItemId, Ticket};
use crate::order::outcome::Delivery;
use crate::order::receipt::{Claims, Receipt};
use crate::order::time::Boot;
use crate::order::tries::{Try, TryNumber};

impl LaterTry {
    /// That of a receipt; `None`: it is for the first one.
    pub(super) fn of(claims: &Claims) -> Option<Self> {
        match &claims.nth {
            Try::First => None,
            Try::Again { number, after } => {
                Some(Self { number: *number, after: after.clone(), item: claims.item.clone(), amount: claims.amount })
            }
        }
    }
}

impl Order {
    /// What is driven for the present try.
    #[must_use]
    pub fn item(&self) -> &ItemId {
        self.again.as_ref().map_or(&self.offer.item, |again| &again.item)
    }

    /// The item of the try that is wanted, or of the present one.
    #[must_use]
    pub fn next_item(&self) -> &ItemId {
        if let State::TryingAgain(trying) = &self.state { &trying.wanted.goods.item } else { self.item() }
    }

    /// The number of the try that is wanted, or of the present one.
    #[must_use]
    pub fn next_number(&self) -> TryNumber {
        if let State::TryingAgain(trying) = &self.state { trying.wanted.goods.number } else { self.number_of_try() }
    }

    /// The number of the present try.
    #[must_use]
    pub fn number_of_try(&self) -> TryNumber {
        self.again.as_ref().map_or(TryNumber::FIRST, |again| again.number)
    }

    /// Whether the ticket is that of the present try, or of one that is wanted.
    #[must_use]
    pub fn has_ticket(&self, ticket: &Ticket) -> bool {
        self.ticket == *ticket || matches!(&self.state, State::TryingAgain(trying) if trying.wanted.ticket == *ticket)
    }

    /// Whether a verified receipt is for this order: same request, ticket, try, item and price.
    #[must_use]
    pub fn fits(&self, receipt: &Receipt) -> bool {
        let claims = receipt.claims();
        let (ticket, again) = match &self.state {
            State::TryingAgain(TryingAgain { wanted, .. }) => (&wanted.ticket, Some(&wanted.goods)),
            _ => (&self.ticket, self.again.as_ref()),
        };
        let is_same_try = match (again, LaterTry::of(claims)) {
            (None, None) => (&claims.item, claims.amount) == (&self.offer.item, self.offer.amount),
            (Some(known), Some(told)) => *known == told,
            (None, Some(_)) | (Some(_), None) => false,
        };
        self.is_named_by(claims) && claims.ticket == *ticket && is_same_try
    }

    /// Whether a verified receipt is for a later try at this order than that of the receipt that is known.
    #[must_use]
    pub fn is_overtaken_by(&self, receipt: &Receipt) -> bool {
        let claims = receipt.claims();
        self.is_named_by(claims) && claims.nth.number() > self.number_with_receipt()
    }

    /// Whether its customer waited in vain for the receipt of the present try. If the backend signed none, it offers this try once more.
    #[must_use]
    pub fn is_without_its_receipt(&self) -> bool {
        self.number_with_receipt() < self.number_of_try()
    }

    /// Whether the receipt that is known is for this ticket. After a try that got none, that is the ticket of the try before.
    #[must_use]
    pub fn has_receipt_for(&self, ticket: &Ticket) -> bool {
        self.receipt().is_some_and(|receipt| receipt.claims().ticket == *ticket)
    }

    fn number_with_receipt(&self) -> TryNumber {
        self.receipt().map_or(TryNumber::FIRST, |receipt| receipt.claims().nth.number())
    }

    fn is_named_by(&self, claims: &Claims) -> bool {
        self.receipt().is_none_or(|known| known.claims().sub == claims.sub) && claims.jti == self.offer.request.request_id
    }

    /// Whether another try may be for its customer: by the relay's own word nothing came, and the backend knows it.
    #[must_use]
    pub fn came_to_nothing(&self) -> bool {
        match &self.state {
            State::RefundDue(RefundDue { receipt: Some(_), why, report: ReportStep::Reported(delivery) }) => match delivery {
                Delivery::Undelivered => true,
                Delivery::Failed => *why == Undelivered::Failed,
                Delivery::Dispensed | Delivery::Uncertain | Delivery::Other(_) => false,
            },
            State::RefundDue(_) | State::TryingAgain(_) | State::Refunded(_) => false,
            State::Requested(_) | State::AwaitingPayment(_) | State::AtCounter(_) | State::Cancelling(_) | State::Ended(_) => false,
            State::AwaitingCollection(_) | State::TakenBack(_) | State::Paid(_) | State::Dispensing(_) | State::Dispensed(_) => false,
        }
    }

    pub(super) fn begin_try(&self, wanted: PromisedTry, pressed_at: Boot, with: &Context) -> Option<State> {
        let State::RefundDue(before) = &self.state else { return None };
        let deliver_by = pressed_at + with.rules.deliver_within;
        let give_up_at = deliver_by.min(pressed_at + REQUEST_WAIT);
        let may_begin = self.came_to_nothing() && with.alone && !with.held;
        may_begin.then(|| State::TryingAgain(TryingAgain { wanted, give_up_at, deliver_by, before: before.clone() }))
    }

    /// Whether its customer has waited long enough for the receipt of another try.
    pub(super) fn is_try_over(&self, now: Boot) -> bool {
        matches!(&self.state, State::TryingAgain(trying) if now >= trying.give_up_at)
    }

    /// The customer waits no more for the receipt of another try. It may be signed all the same, so the order is at this try from now on, and
    /// its ticket is closed.
    pub(super) fn without_try(mut self) -> Self {
        if let State::TryingAgain(trying) = &self.state {
            let (state, wanted) = (trying.given_up(), trying.wanted.clone());
            (self.ticket, self.again, self.state) = (wanted.ticket, Some(wanted.goods), state);
        }
        self
    }

    pub(super) fn take_up_try(&mut self, claims: &Claims) {
        if let Some(again) = LaterTry::of(claims) {
            (self.ticket, self.again) = (claims.ticket.clone(), Some(again));
        }
    }
}
