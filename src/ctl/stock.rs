//! `stock`: what lies in the slots of this machine, and what a person has done to it.

use super::machine::{Bus, Service, ServiceError};
use super::print;
use clap::Subcommand;
use qris_core::order::ids::ItemId;
use qris_core::order::stock::{Change, NotSold};
use qris_core::wire::dbus::{DEVICE_NAME, DEVICE_PATH};
use qris_core::wire::stock::Slot;
use qris_host::Failure;
use serde_json::json;

/// Shows what lies in the slots of this machine, or tells it what you have put in. With --json: item, count, capacity, low, suspect, not_sold,
/// filled_at, sold, unseen, refused of each slot, one object a line; of a change: item, before, after
#[derive(clap::Args, Debug)]
pub(super) struct Stock {
    #[command(flatten)]
    bus: Bus,
    #[command(subcommand)]
    done: Option<Done>,
}

/// What a person has done to a slot.
#[derive(Subcommand, Debug)]
pub(crate) enum Done {
    /// It is full now; with a number, so many more are in it
    Fill {
        /// Its item
        #[arg(value_parser = ItemId::new, required_unless_present = "all")]
        item: Option<ItemId>,
        /// How many were put in
        n: Option<u32>,
        /// All slots of this machine are full now
        #[arg(long, conflicts_with = "item")]
        all: bool,
    },
    /// So many are in it: you have looked
    Count {
        /// Its item
        #[arg(value_parser = ItemId::new)]
        item: ItemId,
        /// How many are in it
        n: u32,
    },
    /// So many were taken out, and given to customers
    Give {
        /// Its item
        #[arg(value_parser = ItemId::new)]
        item: ItemId,
        /// How many
        #[arg(default_value_t = 1)]
        n: u32,
    },
    /// Other goods are in it from now on, so many; its sums begin anew
    Set {
        /// Its item
        #[arg(value_parser = ItemId::new)]
        item: ItemId,
        /// How many are in it
        n: u32,
    },
}

impl Done {
    /// The same on a wire.
    /// Without an item: all slots.
    pub(crate) fn parts(self) -> (Change, Option<ItemId>, Option<u32>) {
        match self {
            Self::Fill { item, n, all: _ } => (Change::Fill, item, n),
            Self::Count { item, n } => (Change::Count, Some(item), Some(n)),
            Self::Give { item, n } => (Change::Give, Some(item), Some(n)),
            Self::Set { item, n } => (Change::Set, Some(item), Some(n)),
        }
    }
}

impl Stock {
    pub(super) async fn run(self, json: bool) -> Result<(), Failure> {
        let service = Service::connect(&self.bus, DEVICE_NAME, DEVICE_PATH).await?;
        let slots = async || {
            let slots: String = service.properties().await.and_then(|mut all| all.take("Slots")).map_err(Failure::failed)?;
            serde_json::from_str::<Vec<Slot>>(&slots).map_err(Failure::failed)
        };
        let Some(done) = self.done else {
            let slots = slots().await?;
            if slots.is_empty() && !json {
                print::remark("no item has a capacity, so nothing is counted");
            }
            return slots.iter().try_for_each(|slot| print::line(&if json { json!(slot).to_string() } else { print::plain(&words(slot)) }));
        };
        let (change, item, n) = done.parts();
        let items = match item {
            Some(item) => vec![item],
            None => slots().await?.into_iter().map(|slot| slot.item).collect(),
        };
        let (are_many, mut not_done) = (items.len() > 1, Vec::new());
        for item in items {
            let (before, after) = match service.change_stock(change.as_str(), item.as_str(), n).await {
                Ok(done) => done,
                // The others are full all the same.
                Err(why @ ServiceError::Said(_)) if are_many => {
                    not_done.push(format!("{item}: {why}"));
                    continue;
                }
                Err(why) => return Err(Failure::failed(why)),
            };
            if json {
                print::line(&json!({ "item": item, "before": before, "after": after }).to_string())?;
                continue;
            }
            let before = before.map_or_else(|| "nobody had counted".into(), |before| format!("before: {before}"));
            print::line(&format!("{item}: {after} ({before})"))?;
        }
        if not_done.is_empty() { Ok(()) } else { Err(Failure::failed(not_done.join("; "))) }
    }
}

pub(crate) fn words(slot: &Slot) -> String {
    let name = slot.name.as_ref().map_or_else(|| slot.item.to_string(), |name| format!("{} {name}", slot.item));
    let count = slot.count.map_or_else(|| "not counted".into(), |count| format!("{count} of {}", slot.capacity));
    let barred = match slot.barred() {
        Some(NotSold::Blocked) => ", blocked: press the button inside, or `qrisctl relay clear`",
        Some(NotSold::Line) => ", not sold: no line takes its price",
        Some(NotSold::Price) => ", not sold: no payment takes its price",
        Some(NotSold::Suspect | NotSold::SoldOut | NotSold::Other(_)) => ", not sold",
        None => "",
    };
    let state = match () {
        () if slot.suspect => ", suspect: it did not come out, look",
        () if slot.is_empty() => ", sold out",
        () if slot.is_low() => ", low",
        () => "",
    };
    let filled = slot.filled_at.as_deref().map_or_else(String::new, |at| format!(", filled {}", print::time(at)));
    let sold = if slot.count.is_some() { format!(", {} sold since", slot.sold) } else { String::new() };
    let unseen = if slot.unseen > 0 { format!(", {} not seen to come out", slot.unseen) } else { String::new() };
    let refused = if slot.refused > 0 { format!(", {} requests refused", slot.refused) } else { String::new() };
    format!("{name}: {count}{barred}{state}{filled}{sold}{unseen}{refused}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_says_first_what_needs_a_person() {
        let slot = |more: serde_json::Value| {
            let mut all = json!({ "item": "A1", "capacity": 10, "low": 2, "sold": 0 });
            all.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            words(&serde_json::from_value(all).expect("a slot"))
        };
        assert_eq!(slot(json!({})), "A1: not counted");
        assert_eq!(slot(json!({ "name": "Teh botol", "count": 7, "sold": 3 })), "A1 Teh botol: 7 of 10, 3 sold since");
        assert_eq!(slot(json!({ "count": 2 })), "A1: 2 of 10, low, 0 sold since");
        assert_eq!(slot(json!({ "count": 5, "sold": 3, "unseen": 2 })), "A1: 5 of 10, 3 sold since, 2 not seen to come out");
        assert_eq!(slot(json!({ "count": 0, "refused": 4 })), "A1: 0 of 10, sold out, 0 sold since, 4 requests refused");
        let blocked = "A1: 10 of 10, blocked: press the button inside, or `qrisctl relay clear`, 0 sold since";
        assert_eq!(slot(json!({ "count": 10, "not_sold": "blocked" })), blocked);
        assert_eq!(slot(json!({ "count": 0, "not_sold": "sold_out" })), "A1: 0 of 10, sold out, 0 sold since");
        assert_eq!(slot(json!({ "count": 0, "suspect": true })), "A1: 0 of 10, suspect: it did not come out, look, 0 sold since");
    }
}
