//! The contents of the slots: what is offered of them, and who changes them. The sums are in the database, where an order and its item move
//! in one commit.

use super::links::Facts;
use super::parts::Machine;
use super::stock::{fault, payload};
use crate::config::afar::line_of;
use crate::store::Stored;
use crate::words::{Counted, Effect, SlotSettings, text};
use qris_core::order::ids::{CommandId, ItemId};
use qris_core::order::machine::State;
use qris_core::order::reason::Reason;
use qris_core::order::request::Refusal;
use qris_core::order::stock::{Change, NotChanged, Shelf};
use qris_core::order::time::Now;
use qris_core::wire::relay::LineCondition;
use qris_core::wire::status::FaultCode;
use qris_core::wire::stock::Slot;
use qris_host::events::Event as Journal;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const BESIDE: &str = "somebody at the machine";

impl Machine {
    /// The slot of an item, if it is counted and somebody has counted.
    fn shelf(&self, item: &ItemId) -> Option<&Shelf> {
        self.settings.slots.get(item).and_then(|_| self.storage.store()?.shelf(item))
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

    /// How many of a slot are offered, or why none is. `None`: nobody has counted, and it is offered.
    fn offered(&self, item: &ItemId) -> Result<Option<usize>, String> {
        let Some(shelf) = self.shelf(item) else { return Ok(None) };
        let left = usize::try_from(shelf.count()).unwrap_or(usize::MAX).saturating_sub(self.orders.promised(item));
        match (shelf.suspect, left) {
            (true, _) => Err(format!("{item} did not come out, and nobody has looked since")),
            (false, 0) => Err(format!("nothing is left of {item}")),
            (false, left) => Ok(Some(left)),
        }
    }

    /// The slot for a request. A request for which there is none is counted.
    pub(super) fn choose_slot(&mut self, asked: &ItemId) -> Result<ItemId, Refusal> {
        self.fullest_slot(asked).map_err(|why| {
            let refused = self.stock.refused.entry(asked.clone()).or_default();
            *refused = refused.saturating_add(1);
            Refusal::field(Reason::SoldOut, "item", why)
        })
    }

    /// The fullest of the slots with the goods of this one, whose lines are free. Among equal ones it is the one that was asked for. A slot
    /// that nobody has counted comes last.
    pub(super) fn fullest_slot(&self, asked: &ItemId) -> Result<ItemId, String> {
        let Some(goods) = self.settings.slots.get(asked).map(|slot| &slot.goods) else { return Ok(asked.clone()) };
        let lines = self.links.lines(&self.settings);
        let rank = |(item, slot): (&ItemId, &SlotSettings)| {
            let left = (slot.goods == *goods).then(|| self.offered(item).ok()).flatten()?;
            let is_blocked = line_of(item, lines).is_some_and(|line| line.state == LineCondition::Blocked);
            // The relay refuses it if there is no other one.
            Some(((!is_blocked, left, item == asked), item.clone()))
        };
        match self.settings.slots.iter().filter_map(rank).max() {
            Some((_, fullest)) => Ok(fullest),
            None => Err(self.offered(asked).err().unwrap_or_default()),
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
        let of = |item: &ItemId| {
            let settings = self.settings.slots.get(item)?;
            let shelf = self.storage.store()?.shelf(item);
            Some(Slot {
                item: item.clone(),
                name: self.settings.names.get(item).filter(|name| ***name != *item.as_str()).cloned(),
                count: shelf.map(Shelf::count),
                capacity: settings.capacity,
                low: settings.low,
                suspect: shelf.is_some_and(|shelf| shelf.suspect),
                filled_at: shelf.and_then(|shelf| shelf.filled_at.clone()),
                sold: shelf.map_or(0, Shelf::sold),
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
        let store = self.storage.store_mut().ok_or(NotChanged::Store)?;
        let before = store.shelf(item);
        let counted = before.map(Shelf::count);
        let mut after = Shelf::changed(before, change, n, slot.capacity, self.settings.time_of_day(now.wall))?;
        if let Some((ledger, drives)) = self.links.drives(item, &self.settings) {
            after = after.compared(ledger, drives, false);
        }
        let counted = Counted { before: counted, after: after.count() };
        if let Err(error) = store.keep_shelves([(item.clone(), after)].into(), end.map(|end| end(counted))) {
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
            self.compare_stock(false, now);
        }
    }

    /// Compares the slots with the relay's word about what it drove. `is_new`: it has said so just now.
    pub(super) fn compare_stock(&mut self, is_new: bool, now: Now) {
        self.stock.is_behind = !self.settings.slots.is_empty();
        let Some(store) = self.storage.store_mut().filter(|_| self.stock.is_behind) else { return };
        let mut changed = BTreeMap::new();
        for item in self.settings.slots.keys() {
            let Some((shelf, (ledger, drives))) = store.shelf(item).zip(self.links.drives(item, &self.settings)) else { continue };
            let next = shelf.compared(ledger, drives, is_new && !self.orders.is_out(item));
            if next != *shelf {
                changed.insert(item.clone(), next);
            }
        }
        if !changed.is_empty()
            && let Err(error) = store.keep_shelves(changed, None)
        {
            return self.store_failed(&error, now);
        }
        self.stock.is_behind = false;
    }

    pub(super) fn tell_stock(&mut self, slots: Vec<Slot>, now: Now) {
        let fault = fault(&slots).filter(|_| self.storage.store().is_some());
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
