//! Two slots with the same goods. In half of the seeds that are counted, A2 holds what A1 holds. Customers ask for either, and get what lies in
//! the fuller one.

use super::counts::Kind;
use super::{World, second, small};
use crate::rng::Rng;
use qris_core::order::ids::{ItemId, RequestId};
use qris_core::order::stock::Change;
use qris_core::wire::vend::{EventState, VendEvent};
use qris_device::words::SlotSettings;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct SameGoods {
    /// `None`: there is one slot.
    rng: Option<Rng>,
    /// What was asked for under each name.
    asked: BTreeMap<RequestId, BTreeSet<ItemId>>,
    /// Tickets that were asked for, of which no order is known.
    prepared: BTreeMap<ItemId, usize>,
    /// Orders that may still keep what lies in a slot.
    open: BTreeMap<RequestId, ItemId>,
}

impl SameGoods {
    pub(super) fn new(seed: u64, is_counted_by_chance: bool) -> Self {
        Self { rng: (is_counted_by_chance && seed.is_multiple_of(2)).then(|| Rng::new(seed ^ 0x2a11)), ..Self::default() }
    }

    pub(super) fn items(&self, [first, last]: [ItemId; 2]) -> Vec<ItemId> {
        let second = self.rng.is_some().then(second);
        [Some(first), second, Some(last)].into_iter().flatten().collect()
    }

    /// The second slot in a text from afar. `slot`: what is written of every slot.
    pub(super) fn written(&self, slot: &str) -> String {
        if self.rng.is_some() { format!("[[item]]\nid = \"A2\"\nsame_as = \"A1\"\n{slot}") } else { String::new() }
    }

    pub(super) fn chosen_by_customer(&mut self, item: &'static str) -> &'static str {
        let other = item == "A1" && self.rng.as_mut().is_some_and(|rng| rng.below(2) == 0);
        if other { "A2" } else { item }
    }

    pub(super) fn asks(&mut self, id: &RequestId, item: &ItemId) {
        self.asked.entry(id.clone()).or_default().insert(item.clone());
    }

    /// For so many the goods of this slot may be kept.
    fn kept(&self, item: &ItemId) -> usize {
        self.prepared.get(item).copied().unwrap_or(0) + self.open.values().filter(|open| *open == item).count()
    }
}

impl World {
    pub(super) fn all_slots(&self) -> BTreeMap<ItemId, SlotSettings> {
        let mut slots = self.slots.settings();
        let same = slots.get(&small()).filter(|_| self.same.rng.is_some()).cloned();
        slots.extend(same.map(|slot| (second(), SlotSettings { name: second().as_str().into(), ..slot })));
        slots.retain(|item, _| self.other.sells(item));
        for (item, slot) in &mut slots {
            slot.name = self.other.name(item).unwrap_or_else(|| std::mem::take(&mut slot.name));
        }
        slots
    }

    pub(super) fn fills_second(&mut self, m: usize) {
        let Some(rng) = self.same.rng.as_mut().filter(|_| self.alive[m]) else { return };
        let (change, n) = match rng.below(3) {
            0 => (Change::Count, Some(u32::try_from(rng.below(3)).unwrap_or(0))),
            _ => (Change::Fill, None),
        };
        self.changes(m, change, second(), n);
    }

    /// The machine asks for a ticket of this slot. With less in it than in the other one that is wrong. What may be kept of the other one is
    /// taken off. Only what the first machine says is judged, until a memory is lost: then nobody here knows what it keeps.
    pub(super) fn judge_choice(&mut self, m: usize, item: &ItemId) {
        if self.same.rng.is_none() || m != 0 {
            return;
        }
        let other = if *item == small() { second() } else { small() };
        let [this, that] = [item, &other].map(|item| self.slots.offered(m, item));
        let kept = u32::try_from(self.same.kept(&other)).unwrap_or(u32::MAX);
        if ![small(), second()].contains(item) {
            return;
        }
        if self.losses.are_none() && that.is_some_and(|that| that.saturating_sub(kept) > this.unwrap_or(0)) {
            self.fail(format!("{item} is chosen with {this:?} in it, and {that:?} are in {other}"));
        }
        *self.same.prepared.entry(item.clone()).or_default() += 1;
    }

    /// An order is of a slot with the goods that were asked for, and says so.
    pub(super) fn judge_slot(&mut self, m: usize, event: &VendEvent) {
        let (Some(id), Some(item)) = (&event.request_id, &event.item) else { return };
        // Another try may be for other goods.
        if self.same.rng.is_none() || event.state == EventState::Refused || event.number_of_try.is_some() {
            return;
        }
        let group = [small(), second()];
        let is_one_of = |asked: &BTreeSet<ItemId>| match &event.asked {
            Some(named) => asked.contains(named) && named != item && group.contains(named) && group.contains(item),
            // Books that were rebuilt do not know what was asked for.
            None => asked.contains(item) || !self.losses.are_none() && group.contains(item),
        };
        if self.same.asked.get(id).is_some_and(|asked| !is_one_of(asked)) {
            self.fail(format!("{id} is of {item}, asked for as {:?}, and {:?} was asked for", event.asked, self.same.asked.get(id)));
        }
        if event.asked.is_some() && event.state == EventState::Dispensed {
            self.counts.note(Kind::OtherSlot);
        }
        if m != 0 {
            return;
        }
        match event.state {
            EventState::Dispensed => drop(self.same.open.remove(id)),
            _ => {
                if self.same.open.insert(id.clone(), item.clone()).is_none()
                    && let Some(prepared) = self.same.prepared.get_mut(item)
                {
                    *prepared = prepared.saturating_sub(1);
                }
            }
        }
    }
}
