//! The customer in front of the machine, before an order holds it, and what that customer sees.

use super::collection::{Collection, Guesses};
use super::orders::Orders;
use super::second_tries::TryCandidate;
use super::show::{Stage, goods, goods_of};
use crate::words::{Asker, CallId, Request, Settings};
use qris_core::order::ids::{PaymentCode, RequestId};
use qris_core::order::reason::Reason;
use qris_core::order::request::Offer;
use qris_core::order::time::{Boot, Span};
use qris_screen::picture::{Goods, Scene};
use std::collections::VecDeque;

/// `Prepare` gets 2 s. If its answer is lost all the same, the request is refused after this time.
const PREPARE_LOST: Span = Span::secs(5);
/// The most requests that wait for the relay service's facts. The next one is refused as without them.
const EARLY_MAX: usize = 16;
/// How long the screen says that a request was refused: as long as it takes to read.
const REFUSED_FOR: Span = Span::secs(5);
const MINUTE: Span = Span::secs(60);

/// The place before the machine: one customer at a time.
#[derive(Debug, Default)]
pub(super) struct Front {
    customer: Option<Customer>,
    /// What was asked before the relay service's facts were known, in its order.
    pub(super) early: Vec<(Request, Asker)>,
    pub(super) guesses: Guesses,
    pub(super) stage: Stage,
    requests: VecDeque<Boot>,
    /// Who asked last was refused. The screen says so until then.
    refused: Option<(Goods, Reason, Boot)>,
}

/// The one who keeps other customers waiting. Nothing of this is stored: after a power cut the customer asks again.
#[derive(Debug)]
pub(super) enum Customer {
    /// The relay is asked for a ticket.
    Asks(Candidate),
    /// The goods were paid at a store. The backend and the relay are asked whether they may be handed out.
    Collects(Collection),
    /// Nothing came, and the customer wants it once more. The relay is asked for a ticket.
    TriesAgain(TryCandidate),
}

#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) offer: Offer,
    call: CallId,
    /// The relay's owner at the question.
    pub(super) owner: u64,
    pub(super) requested_at: Boot,
    pub(super) askers: Vec<Asker>,
    /// The askers who want it cancelled as soon as it is an order.
    pub(super) cancelled: Vec<Asker>,
}

impl Candidate {
    pub(super) fn new(offer: Offer, call: CallId, owner: u64, requested_at: Boot, asker: Asker) -> Self {
        Self { offer, call, owner, requested_at, askers: vec![asker], cancelled: Vec::new() }
    }

    pub(super) fn request_id(&self) -> &RequestId {
        &self.offer.request.request_id
    }
}

impl Customer {
    fn give_up_at(&self) -> Boot {
        match self {
            Self::Asks(candidate) => candidate.requested_at + PREPARE_LOST,
            Self::Collects(collection) => collection.give_up_at(),
            Self::TriesAgain(candidate) => candidate.give_up_at(),
        }
    }
}

impl Front {
    pub(super) fn has_room_for_early(&self) -> bool {
        self.early.len() < EARLY_MAX
    }

    pub(super) fn is_taken(&self) -> bool {
        self.customer.is_some()
    }

    pub(super) fn request(&self) -> Option<&RequestId> {
        self.customer.as_ref().map(|customer| match customer {
            Customer::Asks(candidate) => candidate.request_id(),
            Customer::Collects(collection) => &collection.request,
            Customer::TriesAgain(candidate) => candidate.request_id(),
        })
    }

    pub(super) fn is_preparing(&self) -> bool {
        matches!(self.customer, Some(Customer::Asks(_) | Customer::TriesAgain(_)))
    }

    pub(super) fn candidate(&mut self, id: &RequestId) -> Option<&mut Candidate> {
        match &mut self.customer {
            Some(Customer::Asks(candidate)) if candidate.request_id() == id => Some(candidate),
            Some(Customer::Asks(_) | Customer::Collects(_) | Customer::TriesAgain(_)) | None => None,
        }
    }

    pub(super) fn try_candidate(&mut self, id: &RequestId) -> Option<&mut TryCandidate> {
        match &mut self.customer {
            Some(Customer::TriesAgain(candidate)) if candidate.request_id() == id => Some(candidate),
            Some(Customer::Asks(_) | Customer::Collects(_) | Customer::TriesAgain(_)) | None => None,
        }
    }

    pub(super) fn collection(&mut self, code: &PaymentCode) -> Option<&mut Collection> {
        match &mut self.customer {
            Some(Customer::Collects(collection)) if collection.code.is(code) => Some(collection),
            Some(Customer::Asks(_) | Customer::Collects(_) | Customer::TriesAgain(_)) | None => None,
        }
    }

    /// Counts a request. `false`: these are too many for one minute.
    pub(super) fn may_ask(&mut self, limit: usize, now: Boot) -> bool {
        self.requests.retain(|at| now < *at + MINUTE);
        if limit > 0 && self.requests.len() >= limit {
            return false;
        }
        self.requests.push_back(now);
        while self.requests.len() > limit.max(1) {
            self.requests.pop_front();
        }
        true
    }

    /// A request was refused: the screen answers it.
    pub(super) fn refused(&mut self, goods: Goods, reason: Reason, now: Boot) {
        self.refused = Some((goods, reason, now + REFUSED_FOR));
    }

    pub(super) fn take_place(&mut self, customer: Customer) {
        self.refused = None;
        self.customer = Some(customer);
    }

    /// The answer to `Prepare`: the request that waits for it.
    pub(super) fn prepared(&mut self, call: CallId) -> Option<Candidate> {
        match self.customer.take_if(|customer| matches!(customer, Customer::Asks(candidate) if candidate.call == call)) {
            Some(Customer::Asks(candidate)) => Some(candidate),
            Some(Customer::Collects(_) | Customer::TriesAgain(_)) | None => None,
        }
    }

    pub(super) fn end_collection(&mut self, ends: impl FnOnce(&Collection) -> bool) -> Option<Collection> {
        match self.customer.take_if(|customer| matches!(customer, Customer::Collects(collection) if ends(collection))) {
            Some(Customer::Collects(collection)) => Some(collection),
            Some(Customer::Asks(_) | Customer::TriesAgain(_)) | None => None,
        }
    }

    /// The answer to `PrepareAgain`: the press that waits for it.
    pub(super) fn end_try(&mut self, call: CallId) -> Option<TryCandidate> {
        match self.customer.take_if(|customer| matches!(customer, Customer::TriesAgain(candidate) if candidate.call() == call)) {
            Some(Customer::TriesAgain(candidate)) => Some(candidate),
            Some(Customer::Asks(_) | Customer::Collects(_)) | None => None,
        }
    }

    pub(super) fn give_up(&mut self, now: Boot) -> Option<Customer> {
        self.customer.take_if(|customer| now >= customer.give_up_at())
    }

    /// The picture for the customer; `None`: nobody is there. `frozen`: a sale could not be written to its end.
    pub(super) fn scene(&self, orders: &Orders, settings: &Settings, frozen: bool) -> Option<Scene> {
        let held = orders.holder().map(|order| self.stage.scene_of(order, settings, frozen));
        let waits = || match self.customer.as_ref()? {
            Customer::Asks(Candidate { offer, .. }) => Some(Scene::Preparing { goods: goods_of(offer, settings), amount: offer.amount }),
            Customer::TriesAgain(candidate) => Some(Scene::Dispensing { goods: goods(candidate.item()), is_again: true }),
            Customer::Collects(collection) => {
                orders.get(&collection.request).map(|live| Scene::Checking { goods: goods_of(&live.stored.order.offer, settings) })
            }
        };
        let refused = || self.refused.as_ref().map(|(goods, reason, _)| Scene::Refused { goods: goods.clone(), reason: *reason });
        held.or_else(waits).or_else(refused).or_else(|| self.stage.end().map(|order| self.stage.scene_of(order, settings, frozen)))
    }

    /// Takes off the screen what stood there for long enough.
    pub(super) fn clear(&mut self, now: Boot) {
        self.stage.clear(now);
        self.refused.take_if(|(.., until)| now >= *until);
    }

    pub(super) fn deadline(&self) -> Option<Boot> {
        let refused = self.refused.as_ref().map(|(.., until)| *until);
        [self.customer.as_ref().map(Customer::give_up_at), self.stage.deadline(), refused].into_iter().flatten().min()
    }
}
