//! The unfinished orders in memory. All of them are in the database too.

use super::calls::{Live, Room};
use super::outbox::Outbox;
use super::storage::Storage;
use crate::store::{StoreError, Stored};
use crate::words::HttpCall;
use qris_core::order::ids::{ItemId, OrderId, PaymentCode, RequestId, Ticket};
use qris_core::order::machine::{self as core, BackendCall, Context, Order, State, unfinished};
use qris_core::order::stock::Fate;
use qris_core::order::time::Boot;
use std::collections::BTreeMap;

/// With so many orders the machine sells nothing new.
pub(super) const MOST: Most = Most { unfinished: 1000, kept: 10_000 };
/// The most orders that wait for their customers, to pay at a store or to come back. The backend lists a hundred open
/// orders at once, and new sales need some of these places. This limit also keeps anybody from filling the relay's
/// tickets.
pub(super) const WAITING_MAX: usize = 50;
/// The most calls to the backend that orders in the background have at once, and the most to the relay.
const BACKGROUND_CALLS_MAX: usize = 4;
/// The most of these calls that only look at an order that waits for its customer.
const CHECKS_MAX: usize = 2;

#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    /// Those with something to do or to await.
    pub(super) unfinished: usize,
    /// All, with those that ended and whose charge the gateway has not ended: a customer who orders and cancels leaves one.
    pub(super) kept: usize,
}

#[derive(Debug)]
pub(super) struct Orders {
    live: BTreeMap<RequestId, Live>,
    pub(super) most: Most,
    /// The order that keeps every other customer waiting. The schema makes sure that there is at most one.
    holder: Option<RequestId>,
}

impl Default for Orders {
    fn default() -> Self {
        Self { live: BTreeMap::new(), most: MOST, holder: None }
    }
}

impl Orders {
    pub(super) fn get(&self, id: &RequestId) -> Option<&Live> {
        self.live.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &RequestId) -> Option<&mut Live> {
        self.live.get_mut(id)
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = (&RequestId, &mut Live)> {
        self.live.iter_mut()
    }

    pub(super) fn stored(&self) -> impl Iterator<Item = &Stored> {
        self.live.values().map(|live| &live.stored)
    }

    /// For how many orders that can still be paid or collected this item is kept.
    pub(super) fn promised(&self, item: &ItemId) -> usize {
        self.stored().filter(|stored| stored.keeps(item)).count()
    }

    /// For how many payment codes that nobody has paid yet this item is kept.
    pub(super) fn held_unpaid(&self, item: &ItemId) -> usize {
        self.stored().filter(|stored| stored.order.holds_unpaid(item)).count()
    }

    /// Whether an order of this item is on its way to the relay or back.
    pub(super) fn is_out(&self, item: &ItemId) -> bool {
        self.out(item) > 0
    }

    /// How many orders of this item are.
    pub(super) fn out(&self, item: &ItemId) -> u32 {
        let is_back = |fate| matches!(fate, Some(Fate::InPlace | Fate::Delivered | Fate::Failed));
        let is_out = |order: &Order| order.item() == item && unfinished(order) && !is_back(order.fate());
        let out = self.stored().filter(|stored| stored.taken.is_some() && is_out(&stored.order));
        u32::try_from(out.count()).unwrap_or(u32::MAX)
    }

    pub(super) fn ids(&self) -> Vec<RequestId> {
        self.live.keys().cloned().collect()
    }

    pub(super) fn is_full(&self) -> bool {
        let sales = self.live.values().filter(|live| !live.stored.order.has_lasting_charge()).count();
        sales >= self.most.unfinished || self.live.len() >= self.most.kept
    }

    /// How many wait for their customers, if these are so many that no other may.
    pub(super) fn too_many_waiting(&self) -> Option<usize> {
        let waiting = self.live.values().filter(|live| live.stored.order.waits_for_customer()).count();
        (waiting >= WAITING_MAX).then_some(waiting)
    }

    pub(super) fn holder(&self) -> Option<&Order> {
        self.live.get(self.holder.as_ref()?).map(|live| &live.stored.order)
    }

    pub(super) fn is_held(&self) -> bool {
        self.holder.is_some()
    }

    pub(super) fn held_by(&self) -> Option<&RequestId> {
        self.holder.as_ref()
    }

    pub(super) fn is_held_by(&self, id: &RequestId) -> bool {
        self.holder.as_ref() == Some(id)
    }

    /// The order of a request, from memory or, if it is finished, from the database.
    pub(super) fn find(&self, id: &RequestId, storage: &Storage) -> Result<Option<Stored>, StoreError> {
        match self.live.get(id) {
            Some(live) => Ok(Some(live.stored.clone())),
            None => storage.store().map_or(Ok(None), |store| store.by_request(id)),
        }
    }

    /// The order with this code. If there are several, a collectable one comes first, then one that is not over yet.
    pub(super) fn of_code(&self, code: &PaymentCode, storage: &Storage) -> Result<Option<Order>, StoreError> {
        let live = self.live.values().map(|live| &live.stored.order).filter(|order| order.code().is_some_and(|known| known.is(code)));
        let rank = |order: &&Order| if matches!(order.state, State::AwaitingCollection(_)) { 0 } else { 1 };
        if let Some(order) = live.min_by_key(rank) {
            return Ok(Some(order.clone()));
        }
        let store = storage.store().ok_or(StoreError::Shut)?;
        Ok(store.by_code(code)?.map(|stored| stored.order))
    }

    /// The request of an order that is not finished.
    pub(super) fn of_order(&self, order_id: &OrderId) -> Option<RequestId> {
        self.live.iter().find(|(_, live)| live.stored.order.order_id() == Some(order_id)).map(|(id, _)| id.clone())
    }

    pub(super) fn collectable(&self, id: &RequestId) -> Option<&Order> {
        self.get(id).map(|live| &live.stored.order).filter(|order| matches!(order.state, State::AwaitingCollection(_)))
    }

    pub(super) fn unconfirmed(&self) -> Option<&OrderId> {
        self.live.values().find(|live| live.unconfirmed).and_then(|live| live.stored.order.order_id())
    }

    pub(super) fn wanted_ticket(&self, id: &RequestId) -> Option<Ticket> {
        match &self.get(id)?.stored.order.state {
            State::TryingAgain(trying) => Some(trying.wanted.ticket.clone()),
            _ => None,
        }
    }

    /// How many tickets of the relay may be open for these orders.
    pub(super) fn tickets_held(&self) -> usize {
        self.live.values().filter(|live| live.stored.order.receipt().is_none() || live.stored.order.waits_for_customer()).count()
    }

    pub(super) fn insert(&mut self, id: RequestId, stored: Stored) {
        self.note_holder(&id, &stored.order);
        self.live.insert(id, Live::new(stored));
    }

    /// A version that was committed. `true`: until now the order held the machine.
    pub(super) fn set(&mut self, id: &RequestId, stored: Stored) -> bool {
        let held = self.get(id).is_some_and(|live| live.stored.order.holds_machine());
        self.note_holder(id, &stored.order);
        if let Some(live) = self.live.get_mut(id) {
            live.take(stored);
        }
        held
    }

    fn note_holder(&mut self, id: &RequestId, order: &Order) {
        if order.holds_machine() {
            self.holder = Some(id.clone());
        } else if self.is_held_by(id) {
            self.holder = None;
        }
    }

    /// Nobody has anything left to do for this order.
    pub(super) fn remove(&mut self, id: &RequestId, out: &mut Outbox) {
        if let Some(live) = self.live.remove(id) {
            live.abandon(out);
        }
    }

    /// Forgets all orders: the database is not open any more.
    pub(super) fn forget(&mut self, out: &mut Outbox) {
        self.holder = None;
        std::mem::take(&mut self.live).into_values().for_each(|live| live.abandon(out));
    }

    /// The surroundings of one order. `with`: as if no other order held the machine.
    pub(super) fn around<'a>(&self, id: &RequestId, with: Context<'a>) -> Context<'a> {
        // A request that waits for its ticket holds nothing yet. A customer who has paid goes first.
        Context { alone: self.holder.as_ref().is_none_or(|holder| holder == id), ..with }
    }

    pub(super) fn deadline(&self, now: Boot, with: Context) -> Option<Boot> {
        let room = self.room();
        self.live.iter().filter_map(|(id, live)| live.deadline(room, now, &self.around(id, with))).min()
    }

    pub(super) fn begin_calls(&mut self, now: Boot, with: Context, out: &mut Outbox) {
        // The order with a customer before the machine goes first.
        let mut ids = self.ids();
        ids.sort_by_key(|id| !self.is_held_by(id));
        for id in ids {
            let room = if self.is_held_by(&id) { Room::ALL } else { self.room() };
            let with = self.around(&id, with);
            if let Some(live) = self.live.get_mut(&id) {
                live.begin_calls(room, now, &with, out);
            }
        }
    }

    fn room(&self) -> Room {
        let background = || self.live.iter().filter(|(id, _)| !self.is_held_by(id)).map(|(_, live)| live);
        let relay = background().filter(|live| live.relay.call().is_some()).count();
        let backend = background().filter(|live| live.backend.call().is_some()).count();
        let checks = background().filter(|live| matches!(live.backend.call(), Some(HttpCall::Get(_)))).count();
        Room { relay: relay < BACKGROUND_CALLS_MAX, backend: backend < BACKGROUND_CALLS_MAX, check: checks < CHECKS_MAX }
    }

    /// The orders that wait for the list of open orders.
    pub(super) fn lookers(&self, now: Boot, with: Context) -> Vec<RequestId> {
        let looks =
            |id: &RequestId, live: &Live| core::duty(&live.stored.order, now, &self.around(id, with)).backend == Some(BackendCall::Find);
        self.live.iter().filter(|(id, live)| looks(id, live)).map(|(id, _)| id.clone()).collect()
    }
}
