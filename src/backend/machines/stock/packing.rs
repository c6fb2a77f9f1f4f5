//! What to bring: by machine, and the sum by goods.

use super::{Kept, Machine};
use crate::machines::reported::short;
use crate::sale::books::BooksError;
use crate::store::{Row, Tx};
use qris_core::order::ids::DeviceId;
use qris_core::wire::orders::MACHINE_NAME_MAX;
use std::collections::BTreeMap;

/// The most kinds of goods that are told apart: a machine may invent names.
const GOODS_MAX: usize = 1000;
const OTHERS: &str = "…";

/// What to bring to a machine. Who goes there because of one slot fills all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The machine, with the slots in which something fits, and those at which a person must look.
    pub machine: Machine,
}

impl Load {
    /// The load of a machine; `None`: nothing in it wants a person.
    #[must_use]
    pub fn of(mut machine: Machine) -> Option<Self> {
        if !machine.slots.iter().any(Kept::wants_a_visit) {
            return None;
        }
        machine.slots.retain(|kept| kept.wants_a_visit() || kept.slot.room() != Some(0));
        Some(Self { machine })
    }
}

/// So much fits into a slot. If nobody has counted it, nobody knows.
#[must_use]
pub fn bring(kept: &Kept) -> u64 {
    kept.slot.room().unwrap_or(0).into()
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Packing {
    /// The machines to go to.
    pub machines: u64,
    pub goods: BTreeMap<Box<str>, u64>,
}

impl Packing {
    #[must_use]
    pub fn most_first(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<_> = self.goods.iter().map(|(goods, count)| (&**goods, *count)).collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        all
    }

    pub fn add(&mut self, load: &Load) {
        self.machines += 1;
        for kept in load.machine.slots.iter().filter(|kept| bring(kept) > 0) {
            let known = self.goods.contains_key(kept.goods()) || self.goods.len() < GOODS_MAX;
            *self.goods.entry(if known { kept.goods() } else { OTHERS }.into()).or_default() += bring(kept);
        }
    }
}

/// The machines that are let in and never told what is in them. They count nothing, or their word does not come: nobody knows what to bring.
pub fn untold(tx: &mut dyn Tx) -> Result<Vec<Machine>, BooksError> {
    names(tx, "stock.device IS NULL")
}

/// The machines that have told what is in them, and want nobody: there is enough of everything.
pub fn well_filled(tx: &mut dyn Tx) -> Result<Vec<Machine>, BooksError> {
    names(tx, "low + sold_out + suspect + uncounted + stock.blocked = 0")
}

fn names(tx: &mut dyn Tx, which: &str) -> Result<Vec<Machine>, BooksError> {
    let sql = format!(
        "SELECT id, name FROM devices LEFT JOIN presence ON presence.device = id
        LEFT JOIN stock ON stock.device = id WHERE revoked_ms IS NULL AND {which} ORDER BY id"
    );
    let machine = |row: &Row| {
        let name = row.maybe_text("name").ok()?.and_then(|name| short(name, MACHINE_NAME_MAX));
        Some(Machine { device: DeviceId::new(row.text("id").ok()?).ok()?, name, at: None, slots: Vec::new() })
    };
    Ok(tx.rows(&sql, &[])?.iter().filter_map(machine).collect())
}
