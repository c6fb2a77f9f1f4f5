//! Slots and what to bring to them, as CSV.

use super::{Machine, Packing, State};
use crate::csv::{Separator, csv_record, csv_text};
use qris_core::order::stock::NotSold;
use qris_core::order::time::{Wall, Zone};

const FIELDS: [&str; 13] =
    ["device", "machine", "item", "goods", "count", "capacity", "low", "state", "bring", "sold", "filled_at", "told_at", "not_sold"];

/// How a table is written.
pub struct Form {
    pub separator: Separator,
    pub fields: [&'static str; FIELDS.len()],
    /// Stands before the sums. No machine has this name: theirs have no blank.
    pub all: &'static str,
    pub text: fn(&str) -> String,
    pub time: fn(Wall, Zone) -> String,
    pub state: Box<dyn Fn(State) -> String>,
    /// Stands where the state does: the machine never told what is in it.
    pub untold: &'static str,
    pub not_sold: Box<dyn Fn(&NotSold) -> String>,
}

impl Form {
    /// For programs: the words of JSON.
    #[must_use]
    pub fn of_words(separator: Separator) -> Self {
        Self {
            separator,
            fields: FIELDS,
            all: "all machines",
            text: csv_text,
            time: Wall::to_rfc3339_in,
            state: Box::new(|state| state.as_str().into()),
            untold: "untold",
            not_sold: Box::new(ToString::to_string),
        }
    }
}

/// One record for each slot, and one for each machine of which nothing is known; the sums by goods, if there are any, come last.
#[must_use]
pub fn csv(all: &[Machine], untold: &[Machine], packing: &Packing, zone: Zone, form: &Form) -> String {
    let text_of = form.text;
    let number = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    let at = |at: Option<Wall>| at.map(|at| (form.time)(at, zone)).unwrap_or_default();
    let mut text = csv_record(&form.fields.map(String::from), form.separator);
    for (machine, kept) in all.iter().flat_map(|machine| machine.slots.iter().map(move |kept| (machine, kept))) {
        let slot = &kept.slot;
        let fields = [
            text_of(machine.device.as_str()),
            machine.name.as_deref().map(text_of).unwrap_or_default(),
            text_of(slot.item.as_str()),
            text_of(kept.goods()),
            number(slot.count),
            slot.capacity.to_string(),
            slot.low.to_string(),
            (form.state)(kept.state()),
            number(slot.room()),
            slot.sold.to_string(),
            at(kept.filled_at()),
            at(machine.at),
            slot.not_sold.as_ref().map(|why| (form.not_sold)(why)).unwrap_or_default(),
        ];
        text += &csv_record(&fields, form.separator);
    }
    for machine in untold {
        let mut fields = [""; FIELDS.len()].map(String::from);
        (fields[0], fields[7]) = (text_of(machine.device.as_str()), form.untold.into());
        fields[1] = machine.name.as_deref().map(text_of).unwrap_or_default();
        text += &csv_record(&fields, form.separator);
    }
    for (goods, count) in packing.most_first() {
        let mut fields = [""; FIELDS.len()].map(String::from);
        (fields[0], fields[3], fields[8]) = (form.all.into(), text_of(goods), count.to_string());
        text += &csv_record(&fields, form.separator);
    }
    text
}
