//! The report of the slots, and the fault that somebody must count.

use super::storage::Storage;
use crate::store::StoreError;
use crate::store::database::Database;
use crate::store::fact::Fact;
use crate::words::Settings;
use qris_core::order::ids::{ItemId, RequestId};
use qris_core::order::stock::Older;
use qris_core::order::time::{Boot, Now, Span};
use qris_core::wire::stock::{STOCK_MAX, Slot, Stock as Report, VERSION};
use std::collections::{BTreeMap, BTreeSet};

/// Reports are apart by this, unless a slot has become empty, somebody has filled or counted it, or another thing than its count begins or ceases
/// to bar it.
const LEAST: Span = Span::secs(60);
/// Then by this: slots that become empty together are one report.
const LEAST_WHEN_URGENT: Span = Span::secs(1);
/// The number of the last report, and the requests that were refused until then.
const REPORTED: Fact<(u64, BTreeMap<ItemId, u32>)> = Fact::new("stock_report");

#[derive(Debug, Default)]
pub(super) struct Stock {
    last: Option<Report>,
    last_at: Option<Boot>,
    /// The number of the last report that was stored.
    number: u64,
    /// Requests that were refused, by the slots that were empty.
    pub(super) refused: BTreeMap<ItemId, u32>,
    /// There is more to tell, so long after the last report.
    waits: Option<Span>,
    /// The relay's word could not be stored yet.
    pub(super) is_behind: bool,
    /// Orders that are not over yet, and whose goods a person took out. The backend tells that again when they are.
    pub(super) told_early: BTreeSet<RequestId>,
}

impl Stock {
    pub(super) fn take_up(&mut self, store: &Database) -> Result<(), StoreError> {
        let (number, refused) = store.known(&REPORTED)?.good().unwrap_or_default();
        *self = Self { number, refused, is_behind: true, ..Self::default() };
        Ok(())
    }

    pub(super) fn deadline(&self) -> Option<Boot> {
        self.waits.and_then(|least| Some(self.last_at? + least))
    }

    /// The report to tell next: the last one, or a new one whose number is stored first.
    pub(super) fn report(
        &mut self,
        slots: Vec<Slot>,
        settings: &Settings,
        storage: &mut Storage,
        now: Now,
    ) -> Result<Option<&Report>, StoreError> {
        let before = self.last.as_ref().map_or(&[][..], |last| &last.slots);
        if before == slots {
            self.waits = None;
            return Ok(self.last.as_ref());
        }
        let were: BTreeMap<_, _> = before.iter().map(|slot| (&slot.item, slot)).collect();
        let is_urgent = slots.iter().any(|slot| match were.get(&slot.item) {
            None => slot.is_empty(),
            // A sale makes no count larger.
            Some(was) => {
                slot.is_empty() && !was.is_empty()
                    || slot.barred() != was.barred()
                    || slot.filled_at != was.filled_at
                    || slot.count > was.count
            }
        });
        let least = if is_urgent { LEAST_WHEN_URGENT } else { LEAST };
        self.waits = Some(least);
        let is_time = self.last_at.is_none_or(|last| now.boot >= last + least);
        if !is_time || storage.is_failing() {
            return Ok(self.last.as_ref());
        }
        let Some(store) = storage.store_mut() else { return Ok(None) };
        store.keep(&REPORTED, &(self.number + 1, self.refused.clone()))?;
        self.number += 1;
        let (stream, at) = (store.stream().into(), settings.time_of_day(now.wall));
        (self.last_at, self.waits) = (Some(now.boot), None);
        Ok(Some(self.last.insert(Report { v: VERSION, number: self.number, stream, at, slots })))
    }
}

/// The payload of a report. A broker takes no message of any length, and names are the part that may be long.
pub(super) fn payload(report: &Report) -> Vec<u8> {
    let whole = serde_json::to_vec(report).expect("a report is plain data");
    if whole.len() <= STOCK_MAX {
        return whole;
    }
    let mut short = report.clone();
    short.slots.iter_mut().for_each(|slot| slot.name = None);
    serde_json::to_vec(&short).expect("a report is plain data")
}

/// Why somebody must count. `older`: which older image its sums are those of, or are compared with.
pub(super) fn fault(slots: &[Slot], older: &dyn Fn(&Slot) -> Option<Older>) -> Option<String> {
    let listed =
        |is: &dyn Fn(&Slot) -> bool| slots.iter().filter(|slot| is(slot)).map(|slot| slot.item.as_str()).collect::<Vec<_>>().join(", ");
    let unknown = listed(&|slot| slot.count.is_none());
    let over = listed(&|slot| slot.count.is_some_and(|count| count > slot.capacity));
    let [database, ledger] = [Older::Database, Older::Ledger].map(|image| listed(&|slot| older(slot) == Some(image)));
    let parts = [
        (unknown, "nobody has counted"),
        (over, "more than its capacity is counted in"),
        (database, "the database is older than it was, and may have forgotten what was taken out of"),
        (ledger, "the relay's ledger is older than it was, and has forgotten what it drove of"),
    ];
    let all: Vec<_> = parts.iter().filter(|(items, _)| !items.is_empty()).map(|(items, why)| format!("{why} {items}")).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thousand slots, with names of so many letters that a broker's limit is far away, or in the way.
    #[test]
    fn names_are_left_out_where_they_do_not_fit() {
        for (letters, is_named) in [(10, true), (100, false)] {
            let slot = |n: u32| Slot {
                item: ItemId::new(&format!("{n:032}")).expect("an item"),
                name: Some("é".repeat(letters).into()),
                count: Some(1_000),
                capacity: 1_000,
                low: 1_000,
                suspect: false,
                not_sold: None,
                filled_at: None,
                sold: 1_000_000,
                unseen: 0,
                refused: 0,
            };
            let report = Report { v: VERSION, number: 1, stream: "s".into(), at: None, slots: (0..1_000).map(slot).collect() };
            let told = payload(&report);
            assert!(told.len() <= STOCK_MAX, "{}", told.len());
            let read: Report = serde_json::from_slice(&told).expect("a report");
            assert_eq!((read.slots.len(), read.slots.iter().all(|slot| slot.name.is_some() == is_named)), (1_000, true), "{letters}");
        }
    }
}
