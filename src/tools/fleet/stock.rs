//! What lies in the machines, and whether the backend's packing list says so.

use super::board::Tally;
use super::machine::ITEM;
use super::yard::{Yard, YardError};
use qris_core::order::ids::ItemId;
use qris_core::wire::stock::{Slot, Stock, VERSION};
use qris_host::clock;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The slots of a machine. Only the first one sells anything.
const SLOTS: u32 = 8;
const CAPACITY: u32 = 12;
const LOW: u32 = 3;
/// A backend writes down what it hears in pieces.
const PATIENCE: Duration = Duration::from_secs(60);

/// The slots of one machine.
#[derive(Debug)]
pub struct Shelf {
    number: u64,
    slots: Vec<Slot>,
}

impl Shelf {
    /// Those of the machine of this number: each has something else in it.
    #[must_use]
    pub fn of(machine: usize) -> Self {
        let slot = |at: u32| Slot {
            item: ItemId::new(&if at == 0 { ITEM.into() } else { format!("B{at}") }).expect("an item"),
            name: Some(format!("Barang {at}").into()),
            count: Some((machine as u32 * 7 + at * 5) % (CAPACITY + 1)),
            capacity: CAPACITY,
            low: LOW,
            suspect: false,
            filled_at: Some("2026-11-20T06:00:00Z".into()),
            sold: 0,
            refused: 0,
        };
        Self { number: 1, slots: (0..SLOTS).map(slot).collect() }
    }

    /// One was sold.
    pub fn sell(&mut self) {
        let first = &mut self.slots[0];
        (first.count, first.sold) = (first.count.map(|count| count.saturating_sub(1)), first.sold + 1);
        self.number += 1;
    }

    /// The message.
    #[must_use]
    pub fn told(&self) -> Vec<u8> {
        let at = Some(clock::now().wall.to_rfc3339().into());
        let stock = Stock { v: VERSION, number: self.number, stream: "fleet".into(), at, slots: self.slots.clone() };
        serde_json::to_vec(&stock).expect("plain data")
    }

    /// The slots.
    #[must_use]
    pub fn slots(&self) -> Vec<Slot> {
        self.slots.clone()
    }
}

/// Compares the backend's packing list with the slots, until they agree. What is left is told.
///
/// # Errors
/// The backend does not tell it.
pub async fn wrong(yard: &Yard) -> Result<Vec<String>, YardError> {
    let began = Instant::now();
    loop {
        let list = yard.command(&["stock", "--to-fill", "--json"])?;
        let list = serde_json::from_slice(&list).map_err(|error| YardError::Words(error.to_string()))?;
        let wrong = compare(&yard.town.board.lock(), &list);
        if wrong.is_empty() || began.elapsed() > PATIENCE {
            return Ok(wrong);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn compare(tally: &Tally, list: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let listed: BTreeMap<&str, &Vec<Value>> = list["machines"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|machine| Some((machine["device"].as_str()?, machine["slots"].as_array()?)))
        .collect();
    let mut goods: BTreeMap<String, u64> = BTreeMap::new();
    for (number, slots) in tally.stock.iter().enumerate() {
        let device = format!("vm-{number:05}");
        let has_low = slots.iter().any(Slot::is_low);
        match listed.get(&*device) {
            None if has_low => wrong.push(format!("{device} wants to be filled, and is not in the packing list")),
            None => {}
            Some(told) => {
                // What sells fast may be listed before it is low.
                if !has_low && !told.iter().any(|slot| slot["state"] == "soon") {
                    wrong.push(format!("{device} is in the packing list, and wants nothing"));
                }
                let ours: Vec<_> = slots.iter().filter(|slot| slot.room() != Some(0)).map(told_of).collect();
                let theirs: Vec<_> = told.iter().map(|slot| json!([slot["item"], slot["count"], slot["bring"]])).collect();
                if ours != theirs {
                    wrong.push(format!("{device} has {}, and the packing list says {}", Value::from(ours), Value::from(theirs)));
                }
                for slot in slots.iter().filter(|slot| slot.room() != Some(0)) {
                    *goods.entry(slot.name.as_deref().unwrap_or_default().into()).or_default() += u64::from(slot.room().unwrap_or(0));
                }
            }
        }
    }
    let told = list["goods"].as_array().into_iter().flatten();
    let told: BTreeMap<String, u64> = told.filter_map(|of| Some((of["goods"].as_str()?.to_owned(), of["bring"].as_u64()?))).collect();
    if goods != told {
        wrong.push(format!("the sums by goods are {goods:?}, and the packing list says {told:?}"));
    }
    wrong
}

fn told_of(slot: &Slot) -> Value {
    json!([slot.item, slot.count, slot.room()])
}

#[cfg(test)]
mod tests {
    use super::super::board::Board;
    use super::*;

    fn list(machines: &[(&str, &Shelf)], goods: &Value) -> Value {
        let slot = |slot: &Slot| json!({ "item": slot.item, "count": slot.count, "bring": slot.room(), "state": "low" });
        let machine = |(device, shelf): &(&str, &Shelf)| {
            let slots: Vec<_> = shelf.slots.iter().filter(|slot| slot.room() != Some(0)).map(slot).collect();
            json!({ "device": device, "slots": slots })
        };
        json!({ "machines": machines.iter().map(machine).collect::<Vec<_>>(), "goods": goods })
    }

    #[test]
    fn a_packing_list_that_lacks_a_machine_a_slot_or_a_sale_is_seen() {
        let board = Board::new(2);
        let mut tally = board.lock();
        let mut shelf = Shelf::of(0);
        tally.stock[0] = shelf.slots();
        // 0, 5, 10, 2, 7, 12, 4, 9 of 12.
        let goods = json!([
            { "goods": "Barang 0", "bring": 12 }, { "goods": "Barang 1", "bring": 7 }, { "goods": "Barang 2", "bring": 2 },
            { "goods": "Barang 3", "bring": 10 }, { "goods": "Barang 4", "bring": 5 }, { "goods": "Barang 6", "bring": 8 },
            { "goods": "Barang 7", "bring": 3 }
        ]);
        assert_eq!(compare(&tally, &list(&[("vm-00000", &shelf)], &goods)), [""; 0]);
        assert_eq!(compare(&tally, &list(&[], &json!([]))).len(), 1, "a machine is missing");
        assert_eq!(compare(&tally, &list(&[("vm-00000", &shelf)], &json!([]))).len(), 1, "the sums are missing");
        shelf.slots[3].count = Some(3);
        assert_eq!(compare(&tally, &list(&[("vm-00000", &shelf)], &goods)).len(), 1, "a sale was not heard");
    }
}
