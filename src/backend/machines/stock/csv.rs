//! Slots and what to bring to them, as CSV.

use super::{Machine, Packing};
use crate::csv::{Separator, csv_record, csv_text};
use qris_core::order::time::{Wall, Zone};

const FIELDS: [&str; 13] =
    ["device", "machine", "item", "goods", "count", "capacity", "low", "state", "bring", "sold", "filled_at", "told_at", "not_sold"];

/// One record for each slot; the sums by goods, if there are any, come last.
#[must_use]
pub fn csv(all: &[Machine], packing: &Packing, zone: Zone, separator: Separator) -> String {
    let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    let at = |at: Option<Wall>| at.map(|at| at.to_rfc3339_in(zone)).unwrap_or_default();
    let mut text = csv_record(&FIELDS.map(String::from), separator);
    for (machine, kept) in all.iter().flat_map(|machine| machine.slots.iter().map(move |kept| (machine, kept))) {
        let slot = &kept.slot;
        let fields = [
            csv_text(machine.device.as_str()),
            machine.name.as_deref().map(csv_text).unwrap_or_default(),
            csv_text(slot.item.as_str()),
            csv_text(kept.goods()),
            number(slot.count),
            slot.capacity.to_string(),
            slot.low.to_string(),
            kept.state().as_str().into(),
            number(slot.room()),
            slot.sold.to_string(),
            at(kept.filled_at()),
            at(machine.at),
            slot.not_sold.map(|why| why.to_string()).unwrap_or_default(),
        ];
        text += &csv_record(&fields, separator);
    }
    for (goods, count) in packing.most_first() {
        let mut fields = [""; FIELDS.len()].map(String::from);
        // No machine has this name: theirs have no blank.
        (fields[0], fields[3], fields[8]) = ("all machines".into(), csv_text(goods), count.to_string());
        text += &csv_record(&fields, separator);
    }
    text
}
