//! The contents of the slots: what is offered of them, and who changes them. The sums are in the database, where an order and its item move
//! in one commit.

use super::links::Facts;
use super::parts::Machine;
use super::stock::{fault, payload};
use crate::config::afar::LineOf;
use crate::store::{StoreError, Stored};
use crate::words::{Counted, Effect, SlotSettings, text};
use qris_core::order::ids::{CommandId, ItemId};
use qris_core::order::machine::{Order, State};
use qris_core::order::reason::Reason;
use qris_core::order::request::{Payment, Price, Refusal};
use qris_core::order::stock::{Change, NotChanged, NotSold, Older, Shelf};
use qris_core::order::time::Now;
use qris_core::wire::orders::TakenOut;
use qris_core::wire::relay::LineCondition;
use qris_core::wire::status::FaultCode;
use qris_core::wire::stock::Slot;
use qris_host::events::Event as Journal;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const BESIDE: &str = "somebody at the machine";

/// When the relay said how often it has driven.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// Some time ago.
    Before,
    /// Just now.
    Now,
    /// Just now, and before it was asked for anything else.
    AtItsStart,
}

impl Machine {
    /// The slot of an item, if it is counted and somebody has counted.
    fn shelf(&self, item: &ItemId) -> Option<&Shelf> {
        let slot = self.settings.slots.get(item)?;
        self.storage.store()?.shelf(item).filter(|shelf| shelf.goods == slot.name)
    }

    /// Whether nothing lies in the slot, by our own count.
    pub(super) fn is_empty(&self, item: &ItemId) -> bool {
        self.shelf(item).is_some_and(|shelf| shelf.count() == 0)
    }

    /// Whether nothing lies there for this order, by our own count, nor was it taken out for it before.
    pub(super) fn has_none_for(&self, stored: &Stored) -> bool {
        let is_taken = stored.taken.is_some() && !matches!(stored.order.state, State::TryingAgain(_));
        !is_taken && self.is_empty(stored.order.next_item())
    }

    /// Why no payment code is given for this slot. Whoever does not pay codes keeps no machine empty: each leaves one piece to others, and all
    /// of them keep half of what is there at most.
    fn code_refusal(&self, item: &ItemId) -> Option<Refusal> {
        let shelf = self.shelf(item)?;
        let there = usize::try_from(shelf.count()).unwrap_or(usize::MAX);
        let (left, unpaid) = (there.saturating_sub(self.orders.promised(item)), self.orders.held_unpaid(item));
        let why = format!("{there} of {item} are there, and {unpaid} are kept for payment codes that are not paid yet: pay by QRIS");
        (left < 2 || unpaid + 1 > there / 2).then(|| Refusal::field(Reason::SoldOut, "payment", why))
    }

    /// How many of a slot are offered, or why none is, by our own count. `None`: nobody has counted, and it is offered.
    fn offered(&self, item: &ItemId) -> Result<Option<usize>, NotSold> {
        let Some(shelf) = self.shelf(item) else { return Ok(None) };
        let left = usize::try_from(shelf.count()).unwrap_or(usize::MAX).saturating_sub(self.orders.promised(item));
        match (shelf.suspect, left) {
            (true, _) => Err(NotSold::Suspect),
            (false, 0) => Err(NotSold::SoldOut),
            (false, left) => Ok(Some(left)),
        }
    }

    pub(super) fn lines(&self) -> LineOf<'_> {
        LineOf::new(self.links.lines(&self.settings))
    }

    /// Why nothing of a slot is sold: the one answer for the screen, a press, the open door, `stock`, and all who hear of it. `lines`: those of
    /// the relay; none: nobody knows them.
    pub(super) fn not_sold(&self, item: &ItemId, lines: &LineOf<'_>) -> Option<NotSold> {
        let line = lines.of(item);
        if line.is_some_and(|line| line.state == LineCondition::Blocked) {
            return Some(NotSold::Blocked);
        }
        let price = match self.settings.prices.of(item) {
            Some(Price::Fixed(price)) => Some(price),
            // Each request is judged.
            Some(Price::FromRequest { .. }) | None => None,
        };
        let is_line_wrong = lines.are_known() && line.is_none_or(|line| price.is_some_and(|price| line.limits.judge(price).is_err()));
        let by_price = || price.is_some_and(|price| !self.links.charges.takes(price)).then_some(NotSold::Price);
        self.offered(item).err().or(is_line_wrong.then_some(NotSold::Line)).or_else(by_price)
    }

    /// The same of each item that is shown, if no slot has its goods for sale.
    pub(super) fn all_not_sold(&self) -> BTreeMap<ItemId, NotSold> {
        let lines = self.lines();
        let slots = &self.settings.slots;
        let there: BTreeSet<_> =
            slots.iter().filter(|(item, _)| self.not_sold(item, &lines).is_none()).map(|(_, slot)| &slot.goods).collect();
        let has_other = |item: &ItemId| slots.get(item).is_some_and(|slot| there.contains(&slot.goods));
        let items = self.settings.appearance.items.iter().map(|item| &item.id).filter(|item| !has_other(item));
        items.filter_map(|item| Some((item.clone(), self.not_sold(item, &lines)?))).collect()
    }

    /// The slot for a request. A request for which there is none is counted.
    pub(super) fn choose_slot(&mut self, asked: &ItemId, payment: Payment) -> Result<ItemId, Refusal> {
        let has_room = |item: &ItemId| !payment.is_over_the_counter() || self.code_refusal(item).is_none();
        let fullest = self.fullest_slot(asked, &self.lines(), has_room).or_else(|_| self.fullest_slot(asked, &self.lines(), |_| true));
        if fullest.as_ref().is_err_and(|refusal| refusal.reason == Reason::SoldOut) {
            let refused = self.stock.refused.entry(asked.clone()).or_default();
            *refused = refused.saturating_add(1);
        }
        let fullest = fullest?;
        // Then no slot has room for a code.
        match self.code_refusal(&fullest).filter(|_| payment.is_over_the_counter()) {
            Some(refusal) => Err(refusal),
            None => Ok(fullest),
        }
    }

    /// The fullest of the slots with the goods of this one that `fits` takes, of those whose lines are free. Among equal ones it is the one that
    /// was asked for. A slot that nobody has counted comes last. What its line does not take, or cannot do, the relay says itself: it judges
    /// each request, and a line may have been cleared just now.
    pub(super) fn fullest_slot(&self, asked: &ItemId, lines: &LineOf<'_>, fits: impl Fn(&ItemId) -> bool) -> Result<ItemId, Refusal> {
        let refused = |why: NotSold| Err(Refusal::field(why.reason(), "item", in_words(asked, why)));
        let own = self.not_sold(asked, lines);
        let Some(goods) = self.settings.slots.get(asked).map(|slot| &slot.goods) else {
            return own.filter(|why| *why == NotSold::Price).map_or_else(|| Ok(asked.clone()), refused);
        };
        let rank = |(item, slot): (&ItemId, &SlotSettings)| {
            let left = (slot.goods == *goods && fits(item)).then(|| self.offered(item).ok()).flatten()?;
            let why = self.not_sold(item, lines);
            (why != Some(NotSold::Price)).then(|| ((why != Some(NotSold::Blocked), left, item == asked), item.clone()))
        };
        match (self.settings.slots.iter().filter_map(rank).max(), own) {
            (Some((_, fullest)), _) => Ok(fullest),
            (None, Some(why)) => refused(why),
            // It sells, so it is one of those above, or does not fit.
            (None, None) => Ok(asked.clone()),
        }
    }

    /// The items of which nothing is offered, in no slot.
    pub(super) fn all_sold_out(&self) -> Vec<ItemId> {
        let slots = &self.settings.slots;
        let there: BTreeSet<_> = slots.iter().filter(|(item, _)| self.offered(item).is_ok()).map(|(_, slot)| &slot.goods).collect();
        slots.iter().filter(|(_, slot)| !there.contains(&slot.goods)).map(|(item, _)| item.clone()).collect()
    }

    /// The slots that are counted, in the order of the price list.
    pub(super) fn slots(&self) -> Vec<Slot> {
        let lines = self.lines();
        let of = |item: &ItemId| {
            let settings = self.settings.slots.get(item)?;
            self.storage.store()?;
            let shelf = self.shelf(item);
            Some(Slot {
                item: item.clone(),
                name: self.settings.names.get(item).filter(|name| ***name != *item.as_str()).cloned(),
                count: shelf.map(Shelf::count),
                capacity: settings.capacity,
                low: settings.low,
                suspect: shelf.is_some_and(|shelf| shelf.suspect),
                not_sold: self.not_sold(item, &lines),
                filled_at: shelf.and_then(|shelf| shelf.filled_at.clone()),
                sold: shelf.map_or(0, Shelf::sold),
                unseen: shelf.map_or(0, |shelf| shelf.unseen().saturating_sub(self.orders.out(item))),
                refused: self.stock.refused.get(item).copied().unwrap_or(0),
            })
        };
        self.settings.appearance.items.iter().filter_map(|item| of(&item.id)).collect()
    }

    /// A person has changed a slot. With a command, its end is in the same commit: it is carried out once. `by`: who, for the journal.
    pub(super) fn change_stock(
        &mut self,
        (change, item, n): (Change, &ItemId, Option<u32>),
        by: &str,
        end: Option<&dyn Fn(Counted) -> (CommandId, String)>,
        now: Now,
    ) -> Result<Counted, NotChanged> {
        let Some(slot) = self.settings.slots.get(item) else { return Err(NotChanged::NotCounted) };
        // What was driven since the image of this database would be taken from the new count.
        if self.links.facts(now.boot) == Facts::Awaited {
            return Err(NotChanged::Relay);
        }
        // Nobody can count what is on its way. While the relay service is gone, nothing is.
        if self.is_busy() || self.links.relay_owner().is_some() && self.orders.is_out(item) {
            return Err(NotChanged::Busy);
        }
        let (capacity, goods) = (slot.capacity, slot.name.clone());
        self.forget_other_goods(now);
        let counted = self.shelf(item).map(Shelf::count);
        let store = self.storage.store_mut().ok_or(NotChanged::Store)?;
        let mut after = Shelf::changed(store.shelves().get(item), change, n, capacity, self.settings.time_of_day(now.wall))?;
        after.goods = goods;
        if let Some((ledger, drives)) = self.links.drives(item, &self.settings) {
            after = after.compared(ledger, drives, false);
        }
        let counted = Counted { before: counted, after: after.count() };
        if let Err(error) = store.change_shelf(item, after, end.map(|end| end(counted))) {
            self.store_failed(&error, now);
            return Err(NotChanged::Store);
        }
        match change {
            Change::Fill | Change::Count | Change::Set => self.looked(now),
            // A person who takes one out for a customer has not looked at what did not come.
            Change::Give | Change::Other(_) => {}
        }
        // An older image of this database can be found out only by what the relay had driven by now.
        self.outbox.push(Effect::ReadRelay);
        self.outbox.journal(Journal::StockChanged {
            item: item.clone(),
            change: text(change.as_str()),
            before: counted.before.map(i64::from),
            after: counted.after.into(),
            by: text(by),
        });
        Ok(counted)
    }

    /// The relay's word could not be stored when it came.
    pub(super) fn catch_up_with_relay(&mut self, now: Now) {
        if self.stock.is_behind && !self.storage.is_failing() {
            self.compare_stock(Said::Before, now);
        }
    }

    /// Compares the slots with the relay's word about what it drove.
    pub(super) fn compare_stock(&mut self, said: Said, now: Now) {
        self.stock.is_behind = !self.settings.slots.is_empty();
        let Some(store) = self.storage.store_mut().filter(|_| self.stock.is_behind) else { return };
        let (mut changed, mut is_image) = (BTreeMap::new(), false);
        for item in self.settings.slots.keys() {
            let Some((shelf, (ledger, drives))) = store.shelf(item).zip(self.links.drives(item, &self.settings)) else { continue };
            // A later word may have been read before the end of an order that has come since.
            let is_ledger_older = said == Said::AtItsStart && shelf.is_ahead_of(ledger, drives);
            let begun = is_ledger_older.then(|| shelf.with_older_ledger());
            let next = begun.as_ref().unwrap_or(shelf).compared(ledger, drives, said != Said::Before && !self.orders.is_out(item));
            is_image |= next.older == Some(Older::Database) && shelf.older != Some(Older::Database);
            if next != *shelf {
                changed.insert(item.clone(), next);
            }
        }
        if is_image {
            // The whole database is an older image, with every slot in it.
            let all = store.shelves().iter().map(|(item, shelf)| (item.clone(), changed.remove(item).unwrap_or_else(|| shelf.clone())));
            changed = all.map(|(item, shelf)| (item, Shelf { older: Some(Older::Database), ..shelf })).collect();
        }
        if !changed.is_empty()
            && let Err(error) = store.keep_shelves(changed)
        {
            return self.store_failed(&error, now);
        }
        self.stock.is_behind = false;
    }

    /// A count belongs to goods. Of a slot that has others now, or whose item is not sold here any more, nobody knows what is in it.
    pub(super) fn forget_other_goods(&mut self, now: Now) {
        let is_failing = self.storage.is_failing();
        let Some(store) = self.storage.store_mut().filter(|_| !is_failing) else { return };
        let mut changed = BTreeMap::new();
        for (item, shelf) in store.shelves().iter().filter(|(_, shelf)| !shelf.is_unknown) {
            let goods = self.settings.goods_of(item);
            if goods != Some(&*shelf.goods) {
                changed.insert(item.clone(), (shelf.clone(), goods.map(Box::<str>::from)));
            }
        }
        if changed.is_empty() {
            return;
        }
        let next = changed.iter().map(|(item, (shelf, _))| (item.clone(), shelf.with_other_goods())).collect();
        if let Err(error) = store.keep_shelves(next) {
            return self.store_failed(&error, now);
        }
        for (item, (shelf, goods)) in changed {
            let (before, had) = (shelf.count().into(), text(&shelf.goods));
            self.outbox.journal(Journal::OtherGoods { item, had, goods: text(goods.as_deref().unwrap_or("nothing")), before });
        }
    }

    /// The backend says that a person took the goods of this order out of their slot. Each is taken from the count once: the order keeps that.
    pub(super) fn taken_out(&mut self, told: &TakenOut) -> Result<(), StoreError> {
        let Some(stored) = self.find(&told.request_id)? else { return Ok(()) };
        if self.orders.get(&told.request_id).is_some() {
            self.stock.told_early.insert(told.request_id.clone());
            return Ok(());
        }
        let is_its = stored.order.order_id() == Some(&told.order_id);
        let Some(item) = handed_out_by(&stored.order).filter(|_| is_its).cloned() else { return Ok(()) };
        let Some(store) = self.storage.store_mut() else { return Ok(()) };
        let before = store.shelf(&item).map(|shelf| i64::from(shelf.count()));
        if !store.hand_out(&stored, &item)? {
            return Ok(());
        }
        if let Some(after) = store.shelf(&item).map(|shelf| i64::from(shelf.count())) {
            let by = text(&format!("the merchant's books, for order {}", told.order_id));
            self.outbox.journal(Journal::StockChanged { item, change: text(Change::Give.as_str()), before, after, by });
        }
        Ok(())
    }

    pub(super) fn tell_stock(&mut self, slots: Vec<Slot>, now: Now) {
        let older = |slot: &Slot| self.shelf(&slot.item)?.older;
        let fault = fault(&slots, &older).filter(|_| self.storage.store().is_some());
        self.faults.set(FaultCode::Stock, fault.as_deref(), now);
        let Self { stock, settings, storage, outbox, .. } = self;
        match stock.report(slots, settings, storage, now) {
            Ok(Some(report)) => outbox.tell_stock(report.number, || payload(report)),
            // It counts nothing, and never did; or its database is not open.
            Ok(None) => {}
            Err(error) => self.store_failed(&error, now),
        }
    }
}

/// What a person takes out for the customer of this order, if it is over. A try may have given goods to somebody else: then it is what was
/// bought.
fn handed_out_by(order: &Order) -> Option<&ItemId> {
    match &order.state {
        State::RefundDue(_) | State::Refunded(_) => Some(order.item()),
        State::Dispensed(_) => Some(&order.offer.item),
        State::Requested(_) | State::AwaitingPayment(_) | State::AtCounter(_) | State::Cancelling(_) | State::Ended(_) => None,
        State::AwaitingCollection(_) | State::TakenBack(_) | State::Paid(_) | State::Dispensing(_) | State::TryingAgain(_) => None,
    }
}

/// For who reads a refusal.
fn in_words(item: &ItemId, why: NotSold) -> String {
    match why {
        NotSold::Blocked => format!("the line of {item} is blocked until a person clears it"),
        NotSold::Suspect => format!("{item} did not come out, and nobody has looked since"),
        NotSold::SoldOut => format!("{item} is sold out"),
        NotSold::Line => format!("no line takes {item} at its price"),
        NotSold::Price => format!("no payment takes the price of {item}"),
        NotSold::Other(word) => format!("{item} is not sold: {}", word.as_str()),
    }
}
