//! What lies in the slots of the machines, really, and what people do to it. What a machine says of its slots must never be more than that,
//! and nothing is driven for an order where nothing is.
//!
//! Of three seeds one is counted. All its chances are drawn apart, so the other seeds stay as they are. A lost memory excuses a slot until
//! somebody has counted again.

use super::counts::Kind;
use super::fate::{Fate, Plan};
use super::play::AtSlot;
use super::{World, large, second, small};
use crate::rng::Rng;
use qris_backend::sale::books;
use qris_core::order::ids::{ItemId, OrderId, RequestId};
use qris_core::order::merchant::Order;
use qris_core::order::outcome::Delivery;
use qris_core::order::reason::Reason;
use qris_core::order::stock::{Change, NotChanged, Shelf};
use qris_core::wire::relay::Driven;
use qris_core::wire::stock::Slot;
use qris_core::wire::vend::{EventState, VendEvent};
use qris_device::controller::dbus;
use qris_device::store::database::Database;
use qris_device::words::{Asker, Counted, Input, Request, SlotSettings};
use std::collections::{BTreeMap, BTreeSet};

/// Seeds whose number leaves this rest are counted.
const COUNTED: u64 = 2;
const OF: u64 = 3;
/// A slot holds so many: few, so that it is empty often.
pub(super) const CAPACITY: u32 = 3;
/// Who stands at the open door.
pub(super) const FILLER: Asker = Asker { question: 3, kind: dbus::KIND };

#[derive(Default)]
pub(super) struct Slots {
    are_counted: bool,
    /// What people do by chance.
    rng: Option<Rng>,
    held: BTreeMap<(usize, ItemId), Held>,
    /// The machine that was first heard of each request, and when.
    requested: BTreeMap<RequestId, (usize, i64)>,
    /// Payment codes that nobody has paid, with their slots.
    unpaid: BTreeMap<RequestId, (usize, ItemId)>,
    /// Requests that were refused because nothing was left. The machine keeps nothing of them.
    pub(super) refused: BTreeSet<RequestId>,
    /// What somebody does now, and whether the machine has heard it.
    done: Option<Result<Counted, NotChanged>>,
}

#[derive(Default)]
struct Held {
    there: i64,
    /// Tests in this life of the relay's ledger, and how many of them the machine has been told of.
    tests: i64,
    told: i64,
    /// Tests that really took one out. Of others the ledger does not know that nothing fell.
    fell: i64,
    /// Somebody has counted since the last loss.
    is_known: bool,
    /// Somebody has put something in, and the machine did not take it.
    is_more_untold: bool,
    /// When there was less last, for another reason than a sale.
    lowered_at: i64,
    /// Somebody has handed so many out of the slot, and said so in the books. The machine may not have heard it yet.
    handed_out: i64,
    /// The machine knows what its relay had driven when somebody counted first.
    has_base: bool,
    /// An image of the machine's database can be compared with the relay: it has such a base, the machine knew then what was there, and
    /// nobody has taken anything out since.
    is_image_good: bool,
    /// The machine has an older database, and its relay has not told it yet what it drove since.
    is_of_image: bool,
    /// Somebody has changed it since the image was made.
    is_changed: bool,
    /// The image forgot that, and the mark beside it knows of it. The machine says so until somebody looks.
    is_forgotten: bool,
    /// What the machine says.
    count: Option<u32>,
    is_suspect: bool,
}

impl Held {
    const fn untold(&self) -> i64 {
        self.tests - self.told
    }
}

impl Slots {
    pub(super) fn new(seed: u64, is_chance: bool) -> Self {
        let are_counted = !is_chance || seed % OF == COUNTED;
        Self { are_counted, rng: (is_chance && are_counted).then(|| Rng::new(seed ^ 0x51_07)), ..Self::default() }
    }

    pub(super) fn settings(&self) -> BTreeMap<ItemId, SlotSettings> {
        let slot = |goods: ItemId| (goods.clone(), SlotSettings { capacity: CAPACITY, low: 1, name: goods.as_str().into(), goods });
        if self.are_counted { [slot(small()), slot(large())].into() } else { BTreeMap::new() }
    }

    /// The slot of an item in a text from afar.
    pub(super) fn written(&self) -> String {
        if self.are_counted { format!("capacity = {CAPACITY}\nlow = 1\n") } else { String::new() }
    }

    pub(super) const fn are_counted(&self) -> bool {
        self.are_counted
    }

    pub(super) fn counted(&self, m: usize, item: &ItemId) -> Option<u32> {
        self.held.get(&(m, item.clone())).and_then(|held| held.count)
    }

    /// How many of an item the machine says that it has. `None`: it does not know, or offers none of it.
    pub(super) fn offered(&self, m: usize, item: &ItemId) -> Option<u32> {
        self.held.get(&(m, item.clone())).filter(|held| !held.is_suspect).and_then(|held| held.count)
    }

    /// Nobody has paid it yet, and it keeps a piece of this slot.
    pub(super) fn is_held_for_a_code(&self, m: usize, item: &ItemId) -> bool {
        self.unpaid.values().any(|(of, kept)| *of == m && kept == item)
    }

    fn of(&mut self, m: usize, item: &ItemId) -> &mut Held {
        self.held.entry((m, item.clone())).or_default()
    }

    /// A memory of this machine was lost.
    pub(super) fn forget(&mut self, m: usize) {
        self.held.iter_mut().filter(|((of, _), _)| *of == m).for_each(|(_, held)| held.is_known = false);
    }

    /// Somebody else on the bus has this driven. The machine hears of it late.
    pub(super) fn strange(&mut self, m: usize, item: &ItemId) {
        self.of(m, item).is_known = false;
    }

    /// The machine is told how often its relay has driven. A test that is under way is not counted yet. `is_quiet`: no order is on its way.
    pub(super) fn told(&mut self, m: usize, driven: &[Driven], is_quiet: bool) {
        for Driven { item, drives } in driven {
            let held = self.of(m, item);
            held.told = i64::try_from(drives.tests).unwrap_or(i64::MAX);
            // A ledger from an older image knows of tests from before.
            held.tests = held.tests.max(held.told);
        }
        for (_, held) in self.held.iter_mut().filter(|((of, _), _)| *of == m) {
            held.is_of_image = false;
            held.has_base |= is_quiet;
        }
    }

    /// The program begins. What it had heard of tests it has stored or not, and hears it again before it sells.
    pub(super) fn machine_begins(&mut self, m: usize) {
        self.held.iter_mut().filter(|((of, _), _)| *of == m).for_each(|(_, held)| held.told = 0);
    }

    /// Is an older image of nothing but the machine's database put in, by chance?
    pub(super) fn is_only_store_older(&mut self) -> bool {
        self.rng.as_mut().is_some_and(|rng| rng.below(2) == 0)
    }

    /// Does the mark of the machine's database stay beside an older image of it, by chance?
    pub(super) fn keeps_mark(&mut self) -> bool {
        self.rng.as_mut().is_some_and(|rng| rng.below(2) == 0)
    }

    pub(super) fn imaged(&mut self, m: usize) {
        for (_, held) in self.held.iter_mut().filter(|((of, _), _)| *of == m) {
            (held.is_image_good, held.is_changed) = (held.has_base && held.is_known, false);
        }
    }

    /// The image takes the place of the database. What the relay drove since then the machine hears from it, and nothing else. What was put in
    /// since then it has forgotten: it may know of less than it has promised.
    pub(super) fn set_back(&mut self, m: usize, keeps_mark: bool, now: i64) {
        let is_forgotten = keeps_mark && self.held.iter().any(|((of, _), held)| *of == m && held.is_changed);
        for (_, held) in self.held.iter_mut().filter(|((of, _), _)| *of == m) {
            held.is_of_image = true;
            // Without its mark nothing tells that it is one, and what an earlier one had told is forgotten with the rest.
            held.is_forgotten = keeps_mark && (held.is_forgotten || is_forgotten);
            held.is_known &= held.is_image_good;
            held.lowered_at = now;
        }
    }

    /// Another ledger counts from the beginning.
    pub(super) fn begin_another_ledger(&mut self, m: usize) {
        self.forget(m);
        for (_, held) in self.held.iter_mut().filter(|((of, _), _)| *of == m) {
            (held.tests, held.told, held.has_base, held.is_image_good) = (0, 0, false, false);
        }
    }
}

impl World {
    /// Somebody opens the door, does something to a slot, and says so. A play begins with it.
    pub(super) fn fills(&mut self, m: usize) {
        if !self.alive[m] {
            return;
        }
        if let Fate::Plan(Plan { play, .. }) = self.fate {
            [small(), large()].into_iter().for_each(|item| self.changes(m, Change::Count, item, Some(play.there())));
            // Else nothing of it is judged.
            if self.is_well_so_far() && self.strike().is_none() && !self.slots.held.values().all(|held| held.is_known) {
                self.fail("nobody knows what lies in the slots when the play begins".into());
            }
            return;
        }
        let Some(rng) = &mut self.slots.rng else { return };
        let item = if rng.below(3) == 0 { large() } else { small() };
        let n = u32::try_from(rng.below(u64::from(CAPACITY) + 1)).unwrap_or(0);
        let (change, n) = match rng.below(8) {
            0 => (Change::Fill, Some(n)),
            1 | 2 => (Change::Count, Some(n / 2)),
            3 => (Change::Give, Some(1)),
            4 => (Change::Set, Some(n)),
            5 => (Change::Count, Some(0)),
            _ => (Change::Fill, None),
        };
        self.changes(m, change, item, n);
    }

    /// Somebody takes everything out, while a payment is on its way.
    pub(super) fn empties(&mut self, m: usize) {
        if self.slots.rng.as_mut().is_some_and(|rng| rng.below(4) > 0) && self.storm && self.alive[m] {
            [small(), large()].into_iter().for_each(|item| self.changes(m, Change::Count, item, Some(0)));
        }
    }

    /// What people, and who puts an older image of its database into a machine, may do at this moment of a play that is about it.
    pub(super) fn acts_at_slots(&mut self) {
        if self.may(1, Kind::Fills) {
            self.changes(0, Change::Fill, small(), None);
        }
        if self.may(1, Kind::Fills) {
            self.changes(0, Change::Count, small(), Some(0));
        }
        if self.may(1, Kind::TestPulses) {
            self.wants_a_test();
        }
        if self.losses.image.is_some() && self.may(1, Kind::Images) {
            self.set_store_back(0);
        }
    }

    /// What somebody does to the first slot in a play, unless the machine is off.
    pub(super) fn acts_at_slot(&mut self, what: AtSlot) {
        match what {
            AtSlot::Fill if self.alive[0] => self.changes(0, Change::Fill, small(), None),
            AtSlot::Count(n) if self.alive[0] => self.changes(0, Change::Count, small(), Some(n)),
            AtSlot::Fill | AtSlot::Count(_) => {}
            AtSlot::Test => self.wants_a_test(),
        }
    }

    /// Does whoever hands these goods over take them out of the slot? Where the sensor saw nothing come, the piece that hung there has left
    /// it already. Who knows nothing of the slot has a box beside it.
    pub(super) fn may_come_from_slot(&self, order: &Order) -> bool {
        let (m, item) = (0, order.goods().item);
        let is_there = self.slots.held.get(&(m, item)).is_some_and(|held| held.is_known && held.there > 0 && held.count.is_some());
        is_there && order.outcome() == Some(Delivery::Undelivered) && self.losses.are_none()
    }

    /// The books have it that these goods came out of the slot.
    pub(super) fn takes_out_of_slot(&mut self, id: &OrderId) {
        let Ok(Some(stored)) = self.books(|tx, _| books::load(tx, id)) else { return };
        if !stored.order.is_taken_out() {
            return;
        }
        self.count(Kind::HandedOut, "goods are taken out of the slot for a customer, by the books");
        let now = self.now;
        let held = self.slots.of(0, &stored.order.goods().item);
        held.there -= 1;
        held.handed_out += 1;
        held.lowered_at = now;
    }

    /// All slots are full before the customers come who must get something.
    pub(super) fn fills_all(&mut self, m: usize) {
        if self.slots.are_counted() {
            [small(), large()].into_iter().for_each(|item| self.changes(m, Change::Fill, item, None));
        }
    }

    pub(super) fn changes(&mut self, m: usize, change: Change, item: ItemId, n: Option<u32>) {
        let (there, now) = (self.slots.of(m, &item).there, self.now);
        let put = i64::from(n.unwrap_or(CAPACITY));
        let after = match (change, n) {
            (Change::Fill, None) => there.max(put),
            (Change::Fill, Some(_)) => there + put,
            (Change::Give, _) => (there - put).max(0),
            (Change::Count | Change::Set | Change::Other(_), _) => put,
        };
        let held = self.slots.of(m, &item);
        let was_known = held.is_known;
        held.there = after;
        // Until the machine has taken it.
        held.is_more_untold |= after > there;
        if after < there {
            (held.lowered_at, held.is_known, held.is_image_good) = (now, false, false);
        }
        // The machine's screen shows what it took before whoever filled hears the answer.
        let was_forgotten = held.is_forgotten;
        held.is_forgotten &= matches!((change, n), (Change::Fill, Some(_)) | (Change::Give, _));
        self.slots.done = None;
        let did_run = self.machine_runs(m);
        let (were_counted, has_looked) =
            (self.other.are_counted(m, &item), !matches!((change, n), (Change::Fill, Some(_)) | (Change::Give, _)));
        self.other.counts(m, &item, were_counted || has_looked && self.machine_runs(m));
        self.input(m, Input::Requested(Request::Stock(Box::new((change, item.clone(), n))), FILLER));
        let counted = match self.slots.done.take() {
            Some(Ok(counted)) => counted,
            told => {
                // Who was killed may have counted.
                self.slots.of(m, &item).is_forgotten = was_forgotten && (told.is_some() || !did_run);
                if told.is_some() {
                    self.other.counts(m, &item, were_counted);
                }
                return;
            }
        };
        self.note(|| format!("somebody at {m}: {change} of {item} {n:?}, {counted:?}"));
        self.counts.note(Kind::Fills);
        let has_facts = self.machines[m].has_relay;
        let held = self.slots.of(m, &item);
        if counted.before.is_none_or(|before| counted.after < before) {
            held.lowered_at = now;
        }
        (held.is_more_untold, held.is_changed) = (false, true);
        // Their sums begin anew.
        held.has_base &= counted.before.is_some() && change != Change::Set;
        match (change, n) {
            // Who has not looked does not know what is there. Nor does a machine know of tests before its relay has told it.
            (Change::Fill, Some(_)) => {}
            (Change::Give, _) => held.is_known = was_known,
            (Change::Fill, None) | (Change::Count | Change::Set | Change::Other(_), _) => {
                (held.is_known, held.handed_out, held.is_forgotten) = (has_facts, 0, false);
            }
        }
        self.judge_slots(m);
    }

    /// From now on so many are in a slot, whatever its machine says.
    pub(super) fn lies_there(&mut self, m: usize, item: &ItemId, n: u32) {
        let now = self.now;
        let held = self.slots.of(m, item);
        let lowered = i64::from(n) < held.there;
        held.there = i64::from(n);
        // The machine's screen shows what it took before whoever filled has told us.
        held.is_forgotten = false;
        if lowered {
            (held.lowered_at, held.is_known, held.is_image_good) = (now, false, false);
        }
    }

    /// Somebody takes out what is in a slot, and puts so many of other goods in. Its machine does not know yet.
    pub(super) fn exchanges(&mut self, m: usize, item: &ItemId, n: u32) {
        let now = self.now;
        let held = self.slots.of(m, item);
        (held.there, held.lowered_at, held.is_known, held.is_image_good) = (n.into(), now, false, false);
    }

    /// Somebody has looked at what is there, and the machine has stored it. `before`: what it said until then.
    pub(super) fn looked(&mut self, m: usize, item: &ItemId, before: Option<u32>) {
        let (now, has_facts) = (self.now, self.machines[m].has_relay);
        let held = self.slots.of(m, item);
        // It may have promised more than there was.
        if before.is_none_or(|before| held.count.is_some_and(|after| after < before)) {
            held.lowered_at = now;
        }
        (held.is_known, held.handed_out, held.is_changed, held.is_forgotten) = (has_facts, 0, true, false);
        self.judge_slots(m);
    }

    pub(super) fn filler_hears(&mut self, stock: Option<Result<Counted, NotChanged>>) {
        self.slots.done = stock;
    }

    /// A line is driven. `item`: for an order; else a test.
    pub(super) fn item_leaves(&mut self, m: usize, item: &ItemId, is_test: bool) {
        let now = self.now;
        let held = self.slots.of(m, item);
        let is_air = held.there < 1 && held.untold() < 1 && held.handed_out == 0 && held.is_known && held.count.is_some();
        held.there = (held.there - 1).max(0);
        if is_test {
            held.tests += 1;
            held.fell += 1;
            held.lowered_at = now;
        } else if is_air && self.slots.are_counted() {
            self.fail(format!("{item} was sold, and nothing was there"));
        }
    }

    pub(super) fn slots_told(&mut self, m: usize, slots: &[Slot], has_fault: bool) {
        for ((_, item), held) in self.slots.held.iter_mut().filter(|((of, _), _)| *of == m) {
            let slot = slots.iter().find(|slot| slot.item == *item);
            // A text from afar may say that it is not counted any more.
            (held.count, held.is_suspect) = (slot.and_then(|slot| slot.count), slot.is_some_and(|slot| slot.suspect));
        }
        let is_silent = |held: &Held| held.is_forgotten && held.count.is_some() && !has_fault;
        if self.slots.held.iter().any(|((of, _), held)| *of == m && is_silent(held)) {
            self.fail("an older image forgot what somebody did to a slot, and nobody is told to count".into());
        }
        self.judge_goods(m, slots);
        self.judge_slots(m);
    }

    /// A machine never says that more is there than really is.
    fn judge_slots(&mut self, m: usize) {
        // It sells nothing before it can store what it has heard, and nothing without a relay: the next one tells what it could not store of the last
        // one. One that was killed says nothing, until it says all anew.
        if self.machines[m].fails || !self.machines[m].has_relay || !self.machine_runs(m) {
            return;
        }
        let over = self.slots.held.iter().find(|((of, _), held)| {
            let there = held.there + held.untold() + held.handed_out;
            *of == m && held.is_known && !held.is_of_image && held.count.is_some_and(|count| i64::from(count) > there)
        });
        if let Some(((_, item), held)) = over {
            let why = format!("the machine says that there are {:?} of {item}, and there are {}", held.count, held.there);
            self.fail(why);
        }
    }

    /// The machine asks for a ticket.
    pub(super) fn judge_offer(&mut self, m: usize, item: &ItemId) {
        let Held { count, is_suspect, .. } = self.slots.of(m, item);
        if *is_suspect || *count == Some(0) {
            self.fail(format!("{item} is offered, and the machine knows that nothing is there"));
        }
    }

    /// The rule when a machine tells the news of a request: what it has promised it keeps.
    pub(super) fn judge_promise(&mut self, m: usize, event: &VendEvent) {
        let (Some(request), Some(item)) = (&event.request_id, &event.item) else { return };
        let (of, at) = *self.slots.requested.entry(request.clone()).or_insert((m, self.now));
        self.judge_code(m, event);
        match (event.state, event.reason) {
            (EventState::Refused, Some(Reason::SoldOut)) => {
                self.counts.note(Kind::SoldOut);
                self.slots.refused.insert(request.clone());
                self.judge_sold_out(m, item, false);
            }
            (EventState::RefundDue, Some(Reason::SoldOut)) => {
                self.counts.note(Kind::PaidForNothing);
                self.judge_sold_out(m, item, true);
                let held = self.slots.of(m, item);
                // Of two machines with one card the other one may have promised it.
                if of == m && held.is_known && held.handed_out == 0 && held.lowered_at < at {
                    self.fail(format!("{request} had a promise of {item}, and nothing is left"));
                }
            }
            (_, _) => {}
        }
    }

    /// Codes that nobody has paid keep half of a slot at most, and never all that is left. Who has lost a memory may have forgotten codes.
    fn judge_code(&mut self, m: usize, event: &VendEvent) {
        let (Some(request), Some(item)) = (&event.request_id, &event.item) else { return };
        if event.state != EventState::Requested || event.store.is_none() {
            if event.state != EventState::AwaitingPayment {
                self.slots.unpaid.remove(request);
            }
            return;
        }
        // One that is told again is judged once.
        if self.slots.unpaid.insert(request.clone(), (m, item.clone())).is_some() || self.slots.of(m, item).handed_out > 0 {
            return;
        }
        let kept = self.slots.unpaid.values().filter(|(of, kept)| *of == m && kept == item).count();
        let Some(count) = self.slots.counted(m, item).filter(|_| self.losses.are_none()) else { return };
        self.counts.note(Kind::CodesHeld);
        if kept > usize::try_from(count).unwrap_or(0) / 2 {
            self.fail(format!("{kept} unpaid codes keep pieces of {item}, and {count} are there"));
        }
    }

    /// The sums of the slots, when all is over. In a play without a loss nothing may be missing either: what was not driven came back.
    pub(super) fn audit_stock(&self, m: usize, machine: &Database) -> Option<&'static str> {
        let is_whole = |shelf: &Shelf| {
            let Shelf { filled, delivered, uncertain, failed, tested, given, removed, .. } = shelf;
            let parts = delivered + uncertain + failed + tested + given + u64::from(shelf.count());
            i128::from(*filled) == i128::from(parts) + i128::from(*removed)
        };
        let all = [small(), second(), large()];
        if all.iter().filter_map(|item| machine.shelf(item)).any(|shelf| !is_whole(shelf)) {
            return Some("the sums of a slot do not agree");
        }
        let is_missing = |((of, item), held): (&(usize, ItemId), &Held)| {
            // Nobody knows whether what a test had driven fell, where it jammed or the power went.
            let told = machine.shelf(item).map(|shelf| {
                let [uncertain, tested] = [shelf.uncertain, shelf.tested].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
                i64::from(shelf.count()) + uncertain + (tested - held.fell).max(0)
            });
            *of == m && held.is_known && !held.is_more_untold && told.is_some_and(|told| told < held.there)
        };
        let is_judged = self.is_planned() && self.strike().is_none() && self.losses.are_none();
        (is_judged && self.slots.held.iter().any(is_missing)).then_some("fewer are told than there are")
    }
}
