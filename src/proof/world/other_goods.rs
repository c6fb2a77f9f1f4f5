//! Slots get other goods: between sales and during them, while a code is held, and while another try is offered. In a third of the seeds that
//! are counted somebody takes out what is in a slot, and puts others in. The settings say so a little later: by the machine's own file at its
//! next start, or by the next text from afar. Sometimes an item is taken out of the settings, and brought back.
//!
//! A count belongs to goods. A machine says no count of others before somebody has counted. It refuses nobody for the former ones.

use super::counts::Kind;
use super::stock::CAPACITY;
use super::{STORM, World, large, second, small};
use crate::midtrans::Book;
use crate::rng::Rng;
use qris_core::order::ids::ItemId;
use qris_core::order::merchant::Order;
use qris_core::order::request::{Price, PriceList};
use qris_core::wire::stock::Slot;
use qris_device::screen::picture::Scene;
use std::collections::BTreeMap;

/// Of so many seeds that are counted one has this.
const OF: u64 = 3;
/// Seeds are counted by chance once in so many.
const COUNTED: u64 = 3;
/// No item is taken out of the settings later than this: the last text from afar sells all.
const OUT_UNTIL: i64 = STORM - 500_000;
/// A payment that found nothing may be told so late, after a start.
const TOLD_WITHIN: i64 = 60_000;

#[derive(Default)]
pub(super) struct OtherGoods {
    /// `None`: each slot keeps its goods.
    rng: Option<Rng>,
    /// Which goods are in a slot, by number. Missing: the first ones.
    numbers: BTreeMap<ItemId, u32>,
    /// The last item is not in the settings now.
    is_out: bool,
    told: BTreeMap<(usize, ItemId), Told>,
}

/// What a machine says of a slot.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    /// Which goods are in it; `None`: it sells none.
    number: Option<u32>,
    /// Somebody has counted these, as far as the machine can know.
    is_counted: bool,
    /// It has had no count since then.
    unknown_since: Option<i64>,
}

impl OtherGoods {
    pub(super) fn new(seed: u64, is_counted_by_chance: bool) -> Self {
        let is_here = is_counted_by_chance && (seed / COUNTED).is_multiple_of(OF);
        Self { rng: is_here.then(|| Rng::new(seed ^ 0x0607)), ..Self::default() }
    }

    pub(super) const fn are_brought(&self) -> bool {
        self.rng.is_some()
    }

    /// What people call the goods of a slot, if they are not the first ones. The second slot has those of the first one.
    pub(super) fn name(&self, item: &ItemId) -> Option<Box<str>> {
        let of = if *item == second() { small() } else { item.clone() };
        let number = self.numbers.get(&of)?;
        Some(format!("{} {number}", if of == large() { "Cake" } else { "Tea" }).into())
    }

    pub(super) fn sells(&self, item: &ItemId) -> bool {
        !self.is_out || *item != large()
    }

    /// The name of an item in a text from afar.
    pub(super) fn written(&self, item: &ItemId) -> String {
        self.name(item).map_or_else(String::new, |name| format!("name = \"{name}\"\n"))
    }

    /// Somebody tells the machine how many of these goods there are. The answer is what was known of that.
    pub(super) fn counts(&mut self, m: usize, item: &ItemId, are_counted: bool) -> bool {
        let told = self.told.entry((m, item.clone())).or_default();
        std::mem::replace(&mut told.is_counted, are_counted)
    }

    pub(super) fn are_counted(&self, m: usize, item: &ItemId) -> bool {
        self.told.get(&(m, item.clone())).is_some_and(|told| told.is_counted)
    }

    /// The machine says that nobody has counted these goods, and has said so for longer than this.
    fn are_unknown_for(&self, m: usize, item: &ItemId, span: i64, now: i64) -> bool {
        let told = self.told.get(&(m, item.clone())).filter(|told| self.are_brought() && told.number.is_some());
        told.and_then(|told| told.unknown_since).is_some_and(|since| since + span < now)
    }
}

/// Which goods a machine says are in a slot: the first ones have no number behind their name.
fn number(slot: &Slot) -> u32 {
    let behind = slot.name.as_deref().and_then(|name| name.rsplit(' ').next());
    behind.and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl World {
    /// What is sold, by the machine's own file.
    pub(super) fn prices(&self) -> PriceList {
        let sold = self.items.iter().filter(|(item, _)| self.other.sells(item));
        PriceList::new(sold.map(|(item, price)| (item.clone(), Price::Fixed(*price))))
    }

    /// What people call the goods of each item, by the machine's own file.
    pub(super) fn names(&self) -> BTreeMap<ItemId, Box<str>> {
        let mut names = BTreeMap::from([(small(), "Tea".into()), (large(), "Cake".into())]);
        names.extend(self.items.iter().filter_map(|(item, _)| Some((item.clone(), self.other.name(item)?))));
        names
    }

    /// Somebody puts other goods into a slot, or takes an item out of the settings, or brings it back.
    pub(super) fn brings_other_goods(&mut self) {
        let Some(rng) = self.other.rng.as_mut().filter(|_| self.storm) else { return };
        let (what, by_file) = (rng.below(6), rng.below(2) == 0);
        let n = u32::try_from(rng.below(u64::from(CAPACITY) + 1)).unwrap_or(0);
        match what {
            _ if self.other.is_out => self.other.is_out = false,
            0 if self.now < OUT_UNTIL => self.other.is_out = true,
            1 | 2 => self.exchanges_all(&[large()], n),
            _ => self.exchanges_all(&[small(), second()], n),
        }
        let (names, is_out) = (self.other.numbers.clone(), self.other.is_out);
        self.note(|| format!("other goods: {names:?}{}", if is_out { ", and the last item is not sold" } else { "" }));
        if by_file || !self.network.has_broker {
            for m in 0..2 {
                if self.alive[m] && self.machine_runs(m) {
                    self.start_machine(m, true);
                }
            }
        } else {
            self.wants_another_price();
        }
    }

    fn exchanges_all(&mut self, items: &[ItemId], n: u32) {
        *self.other.numbers.entry(items[0].clone()).or_default() += 1;
        for m in 0..2 {
            for item in items {
                self.exchanges(m, item, n);
            }
        }
    }

    /// The rule when a machine says what is in its slots.
    pub(super) fn judge_goods(&mut self, m: usize, slots: &[Slot]) {
        // One that has no database open knows no slot.
        if !self.other.are_brought() || slots.is_empty() {
            return;
        }
        let is_open = self.machines[m].is_in_mid_sale() || matches!(self.machines[m].scene, Some(Scene::TryAgain { .. }));
        let (now, is_excused) = (self.now, self.is_machine_forgetful());
        for item in [small(), second(), large()] {
            let slot = slots.iter().find(|slot| slot.item == item);
            let is_held = self.slots.is_held_for_a_code(m, &item);
            let told = self.other.told.entry((m, item.clone())).or_default();
            let is_other = told.number != slot.map(number);
            let is_forgotten = is_other && told.is_counted;
            if is_other {
                *told = Told { number: slot.map(number), ..Told::default() };
            }
            let count = slot.and_then(|slot| slot.count);
            told.unknown_since = if count.is_some() { None } else { told.unknown_since.or(Some(now)) };
            let is_of_others = count.is_some() && !told.is_counted;
            if is_forgotten {
                self.counts.note(Kind::OtherGoods);
                self.counts.more(Kind::OtherGoodsInASale, (is_open || is_held).into());
            }
            if is_of_others && !is_excused {
                self.fail(format!("{item} has other goods, nobody has counted them, and the machine says {count:?}"));
            }
        }
    }

    /// Nobody is refused because the former goods were sold out, and nothing that is paid finds nothing for that.
    pub(super) fn judge_sold_out(&mut self, m: usize, item: &ItemId, is_paid: bool) {
        let span = if is_paid { TOLD_WITHIN } else { 0 };
        if self.other.are_unknown_for(m, item, span, self.now) && !self.is_machine_forgetful() {
            self.fail(format!("{item} is sold out, and nobody has counted what is in it"));
        }
    }

    /// The books have the goods that were sold then, by the name that the charge had.
    pub(super) fn judge_name(&self, order: &Order, book: &Book) -> Option<String> {
        let (kept, charged) = (order.sale.purchase.description.as_deref()?, book.goods.first()?);
        (kept != charged && !self.losses.books()).then(|| format!("{} is of {kept}, and was charged as {charged}", order.id))
    }
}
