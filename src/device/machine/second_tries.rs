//! What is kept of other tries: the offer on the screen, those that wait for it, and a press that waits for the relay's promise. No offer is
//! stored: after a restart the customer asks for it on the order's page.

use crate::words::{Asker, CallId};
use qris_core::order::ids::{ItemId, OrderId, RequestId, Ticket};
use qris_core::order::machine::Order;
use qris_core::order::money::Rupiah;
use qris_core::order::time::{Boot, Span};
use qris_core::order::tries::TryNumber;
use qris_core::wire::orders::OrderResource;
use std::collections::{BTreeMap, VecDeque};

/// `PrepareAgain` gets 2 s. If its answer is lost all the same, the press is refused after this time.
const PREPARE_LOST: Span = Span::secs(5);

#[derive(Debug, Default)]
pub(super) struct SecondTries {
    /// The one on the screen.
    pub(super) offer: Option<TryOffer>,
    /// Those of customers who asked on their orders' pages. Each waits until nobody else is served.
    pub(super) waiting: VecDeque<TryOffer>,
    /// The wishes that were heard, and when each is over. The backend tells of one until then, again and again.
    pub(super) heard: BTreeMap<RequestId, Boot>,
    /// Until then the backend offers another try of something.
    pub(super) offered_until: Boot,
    /// Without the broker the backend is asked about wishes from then on.
    pub(super) look_at: Boot,
    pub(super) misses: u32,
    /// Its customer has cancelled the try that waited for its receipt, and is not asked once more.
    pub(super) declined: Option<RequestId>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TryOffer {
    pub(super) request: RequestId,
    pub(super) order: OrderId,
    /// The last try was for this.
    pub(super) item: ItemId,
    /// Which one it would be.
    pub(super) number: TryNumber,
    /// The ticket of the one before.
    pub(super) after: Ticket,
    /// What the order was paid for: its item may cost no more.
    pub(super) up_to: Rupiah,
    pub(super) page: Option<Box<str>>,
    /// The ticket with which the order stands in the database.
    pub(super) stored: Ticket,
    /// The customer came back for it.
    pub(super) is_later: bool,
    /// It ends then; one that waits is forgotten then.
    pub(super) until: Boot,
}

/// A press that waits for the relay's promise.
#[derive(Debug)]
pub(super) struct TryCandidate {
    pub(super) offer: TryOffer,
    pub(super) item: ItemId,
    pub(super) amount: Rupiah,
    pub(super) call: CallId,
    pub(super) pressed_at: Boot,
    pub(super) askers: Vec<Asker>,
}

impl TryCandidate {
    pub(super) fn request_id(&self) -> &RequestId {
        &self.offer.request
    }

    pub(super) fn item(&self) -> &ItemId {
        &self.item
    }

    pub(super) fn call(&self) -> CallId {
        self.call
    }

    pub(super) fn give_up_at(&self) -> Boot {
        self.pressed_at + PREPARE_LOST
    }
}

impl TryOffer {
    /// The backend's offer for an order that came to nothing. `is_later`: its customer asked on the page.
    pub(super) fn of(order: &Order, resource: &OrderResource, is_later: bool, until: Boot) -> Option<Self> {
        Some(Self {
            request: order.offer.request.request_id.clone(),
            order: resource.order_id.clone(),
            item: order.item().clone(),
            number: resource.nth_try.next()?,
            after: resource.ticket.clone(),
            up_to: order.offer.amount,
            page: order.charge.as_ref().and_then(|charge| charge.pay_url.clone()),
            stored: order.ticket.clone(),
            is_later,
            until,
        })
        .filter(|_| order.came_to_nothing())
    }
}

impl SecondTries {
    /// The offer is over: somebody wants something else, or this order's customer no other try.
    pub(super) fn end(&mut self, of: Option<&RequestId>) {
        self.offer.take_if(|offer| of.is_none_or(|request| offer.request == *request));
    }

    pub(super) fn decline(&mut self, of: &RequestId) {
        self.declined = Some(of.clone());
    }

    pub(super) fn deadline(&self, is_connected: bool) -> Option<Boot> {
        let looks = !is_connected && self.look_at < self.offered_until;
        self.offer.iter().chain(&self.waiting).map(|offer| offer.until).chain(looks.then_some(self.look_at)).min()
    }
}
