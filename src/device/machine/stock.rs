//! What lies in the slots: what is offered, who changes it, and what is told of it. The sums are in the database, where an order and its
//! item move in one commit.

use super::orders::Orders;
use super::parts::Machine;
use super::storage::Storage;
use crate::store::database::Database;
use crate::store::fact::Fact;
use crate::store::{StoreError, Stored};
use crate::words::{Counted, Settings, text};
use qris_core::order::ids::{CommandId, ItemId};
use qris_core::order::machine::{Order, unfinished};
use qris_core::order::reason::Reason;
use qris_core::order::request::Refusal;
use qris_core::order::stock::{Change, Fate, NotChanged, Shelf};
use qris_core::order::time::{Boot, Now, Span};
use qris_core::wire::status::FaultCode;
use qris_core::wire::stock::{STOCK_MAX, Slot, Stock as Report, VERSION};
use qris_host::events::Event as Journal;
use std::collections::BTreeMap;

/// Who has changed a slot from beside the machine, for the journal.
pub(super) const BESIDE: &str = "somebody at the machine";
/// Reports are apart by this, unless a slot has become empty.
const LEAST: Span = Span::secs(60);
/// The number of the last report, and the requests that were refused until then.
const REPORTED: Fact<(u64, BTreeMap<ItemId, u32>)> = Fact::new("stock_report");

/// What is told of the slots.
#[derive(Debug, Default)]
pub(super) struct Stock {
    /// The last report.
    last: Option<Report>,
    last_at: Option<Boot>,
    /// The number of the last one that was stored.
    number: u64,
    /// Requests that were refused, by the slots that were empty.
    refused: BTreeMap<ItemId, u32>,
    /// There is more to tell, and it is not time yet.
    is_waiting: bool,
    /// The relay's word could not be stored yet.
    is_behind: bool,
}

impl Stock {
    /// Takes up what is stored.
    pub(super) fn take_up(&mut self, store: &Database) -> Result<(), StoreError> {
        let (number, refused) = store.known(&REPORTED)?.good().unwrap_or_default();
        *self = Self { number, refused, is_behind: true, ..Self::default() };
        Ok(())
    }

    pub(super) fn deadline(&self) -> Option<Boot> {
        self.last_at.filter(|_| self.is_waiting).map(|last| last + LEAST)
    }

    /// What is to be told next: the last report, or a new one whose number is stored first.
    fn report(&mut self, slots: Vec<Slot>, settings: &Settings, storage: &mut Storage, now: Now) -> Result<Option<&Report>, StoreError> {
        let is_told = self.last.as_ref().map_or(slots.is_empty(), |last| last.slots == slots);
        let is_empty = |item: &ItemId| slots.iter().any(|slot| slot.item == *item && slot.is_empty());
        let was_empty = |item: &ItemId| self.last.iter().flat_map(|last| &last.slots).any(|slot| slot.item == *item && slot.is_empty());
        let is_urgent = slots.iter().any(|slot| is_empty(&slot.item) && !was_empty(&slot.item));
        let is_time = is_urgent || self.last_at.is_none_or(|last| now.boot >= last + LEAST);
        self.is_waiting = !is_told && !is_time;
        if is_told || !is_time || storage.is_failing() {
            return Ok(self.last.as_ref());
        }
        let Some(store) = storage.store_mut() else { return Ok(None) };
        store.keep(&REPORTED, &(self.number + 1, self.refused.clone()))?;
        self.number += 1;
        let (stream, at) = (store.stream().into(), settings.time_of_day(now.wall));
        self.last_at = Some(now.boot);
        Ok(Some(self.last.insert(Report { v: VERSION, number: self.number, stream, at, slots })))
    }
}

/// The payload of a report. A broker takes no message of any length, and names are the part that may be long.
fn payload(report: &Report) -> Vec<u8> {
    let whole = serde_json::to_vec(report).expect("a report is plain data");
    if whole.len() <= STOCK_MAX {
        return whole;
    }
    let mut short = report.clone();
    short.slots.iter_mut().for_each(|slot| slot.name = None);
    serde_json::to_vec(&short).expect("a report is plain data")
}

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
        stored.taken.is_none() && self.is_empty(&stored.order.offer.request.item)
    }

    /// Why nothing of it is offered, if so.
    pub(super) fn sold_out(&self, item: &ItemId) -> Option<Refusal> {
        let shelf = self.shelf(item)?;
        let left = usize::try_from(shelf.count()).unwrap_or(usize::MAX).saturating_sub(self.orders.promised(item));
        let why = match (shelf.suspect, left) {
            (true, _) => format!("{item} did not come out, and nobody has looked since"),
            (false, 0) => format!("nothing is left of {item}"),
            (false, _) => return None,
        };
        Some(Refusal::field(Reason::SoldOut, "item", why))
    }

    /// The same for a request, which is counted.
    pub(super) fn refuse_sold_out(&mut self, item: &ItemId) -> Result<(), Refusal> {
        let Some(refusal) = self.sold_out(item) else { return Ok(()) };
        let refused = self.stock.refused.entry(item.clone()).or_default();
        *refused = refused.saturating_add(1);
        Err(refusal)
    }

    /// The items of which nothing is offered.
    pub(super) fn all_sold_out(&self) -> Vec<ItemId> {
        self.settings.slots.keys().filter(|item| self.sold_out(item).is_some()).cloned().collect()
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

    /// What the relay has said that it drove. `is_new`: it has said so just now.
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

    /// Tells what lies in the slots, and the fault that somebody must count.
    pub(super) fn tell_stock(&mut self, now: Now) {
        if self.settings.slots.is_empty() && self.stock.last.is_none() {
            self.faults.set(FaultCode::Stock, None, now);
            return;
        }
        let slots = self.slots();
        let fault = fault(&slots).filter(|_| self.storage.store().is_some());
        self.faults.set(FaultCode::Stock, fault.as_deref(), now);
        let Self { stock, settings, storage, outbox, .. } = self;
        match stock.report(slots, settings, storage, now) {
            Ok(Some(report)) => outbox.tell_stock(report.number, || payload(report)),
            Ok(None) => {}
            Err(error) => self.store_failed(&error, now),
        }
    }
}

/// What is wrong with the counts, for people.
fn fault(slots: &[Slot]) -> Option<String> {
    let listed =
        |is: &dyn Fn(&Slot) -> bool| slots.iter().filter(|slot| is(slot)).map(|slot| slot.item.as_str()).collect::<Vec<_>>().join(", ");
    let unknown = listed(&|slot| slot.count.is_none());
    let over = listed(&|slot| slot.count.is_some_and(|count| count > slot.capacity));
    let parts = [(unknown, "nobody has counted"), (over, "more than its capacity is counted in")];
    let all: Vec<_> = parts.iter().filter(|(items, _)| !items.is_empty()).map(|(items, why)| format!("{why} {items}")).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

impl Orders {
    /// For how many orders that can still be paid or collected this item is kept.
    pub(super) fn promised(&self, item: &ItemId) -> usize {
        self.stored().filter(|stored| stored.order.offer.request.item == *item && stored.is_promised()).count()
    }

    /// Whether an order of this item is on its way to the relay or back.
    fn is_out(&self, item: &ItemId) -> bool {
        let is_back = |fate| matches!(fate, Some(Fate::InPlace | Fate::Delivered | Fate::Failed));
        let is_out = |order: &Order| order.offer.request.item == *item && unfinished(order) && !is_back(order.fate());
        self.stored().any(|stored| stored.taken.is_some() && is_out(&stored.order))
    }
}
