//! Somebody fills the machine at its open door, by its buttons. This one holds the machine as anybody does who looks after it, so nothing is
//! sold meanwhile. A button that is pressed shortly fills its slot. Nothing is stored before it is let go.

use super::door::{Button, Down};
use super::parts::Machine;
use crate::words::{FILLING, text};
use qris_core::order::ids::ItemId;
use qris_core::order::stock::{Change, NotSold};
use qris_core::order::time::{Now, Span};
use qris_core::wire::stock::Slot;
use qris_host::events::Event as Journal;
use qris_screen::picture::{Content, Level, Scene};

/// The page is closed after this time without a press. Nobody can forget an open door.
const OPEN_FOR: Span = Span::secs(120);
const AT_THE_DOOR: &str = "somebody at the open door";

impl Machine {
    /// Whether the page is on the panel.
    pub(super) fn is_filled(&self) -> bool {
        self.hold.is_held_by(FILLING)
    }

    pub(super) fn switched(&mut self, is_on: Option<bool>) {
        let Some(is_on) = is_on.filter(|is_on| *is_on != self.door.is_on) else { return };
        (self.door.is_on, self.door.is_awaited) = (is_on, is_on);
        if !is_on {
            self.close_door("it is done");
        }
    }

    /// The clear button was pressed. A short press ends what a long one has begun. What the switch has opened it does not: whoever clears a
    /// jam has a hand at the motor.
    pub(super) fn clear_pressed(&mut self, is_held: bool, now: Now) {
        self.looked(now);
        self.second_tries.end(None);
        let by_switch = self.door.is_on && self.is_filled();
        if is_held || by_switch { self.open_door(now) } else { self.close_door("it is done") }
    }

    /// The button of an item was pressed while the page is open. Of two at once the later one counts: so a button that sticks keeps no other
    /// from its work.
    pub(super) fn pressed(&mut self, item: ItemId, now: Now) {
        self.open_door(now);
        let Some(slot) = self.settings.slots.get(&item) else { return };
        let count = self.storage.store().and_then(|store| store.shelf(&item)).map_or(0, |shelf| shelf.count());
        let down = Down { since: now.boot, from: count.min(slot.capacity), capacity: slot.capacity, shown: None };
        self.door.last = Some(Button { item, down: Some(down), is_refused: false });
    }

    /// It was let go: now its slot is full, or holds the number that the panel showed.
    pub(super) fn released(&mut self, item: &ItemId, now: Now) {
        let button = self.door.last.as_mut().filter(|button| button.item == *item);
        let Some(down) = button.and_then(|button| button.down.take()) else { return };
        self.open_door(now);
        let change = if down.shown.is_some() { Change::Count } else { Change::Fill };
        let is_refused = self.change_stock((change, item, down.shown), AT_THE_DOOR, None, now).is_err();
        if let Some(button) = &mut self.door.last {
            button.is_refused = is_refused;
        }
    }

    /// Opens the page, if nobody is served and nobody else holds the machine; or keeps it open for longer.
    fn open_door(&mut self, now: Now) {
        if self.is_busy() || self.settings.slots.is_empty() || self.storage.store().is_none() || self.storage.is_failing() {
            return;
        }
        let Some(is_new) = self.hold.take(FILLING, OPEN_FOR, now.boot) else { return };
        self.door.is_awaited = false;
        if is_new {
            self.door.last = None;
            self.outbox.journal(Journal::MachineHeld { by: text(FILLING), seconds: OPEN_FOR.0 / 1000 });
        }
    }

    fn close_door(&mut self, why: &str) {
        if self.hold.release(FILLING) {
            self.outbox.journal(Journal::MachineReleased { by: text(FILLING), why: text(why) });
        }
    }

    /// Opens the page that the switch waits for, and lets a button that is held count on.
    pub(super) fn watch_door(&mut self, now: Now) {
        if self.door.is_awaited {
            self.open_door(now);
        }
        if self.storage.is_failing() && self.is_filled() {
            self.close_door("the database does not work");
            self.door.is_awaited = self.door.is_on;
        }
        if !self.is_filled() {
            self.door.last = None;
        }
        if let Some(down) = self.door.last.as_mut().and_then(|button| button.down.as_mut()) {
            down.shown = down.at(now.boot);
        }
    }

    pub(super) fn filling(&self, slots: &[Slot]) -> Option<Scene> {
        let down = |slot: &Slot| self.door.last.as_ref().filter(|button| button.item == slot.item)?.down.as_ref();
        let level = |slot: &Slot| match (down(slot).map(|down| down.shown), slot.count) {
            (Some(Some(shown)), _) => Level::Counting(shown),
            // Until it counts, its slot is full when it is let go. Whoever has put in another number sees that.
            (Some(None), Some(count)) => Level::Filling(slot.capacity.saturating_sub(count)),
            (Some(None), None) => Level::Counting(slot.capacity),
            // Filling does not clear its line, nor does it change a price.
            (None, count) if slot.not_sold == Some(NotSold::Blocked) => Level::Blocked(count),
            (None, count) if slot.barred().is_some() => Level::NotSold(count),
            (None, None) => Level::Unknown,
            (None, Some(count)) if slot.suspect => Level::Suspect(count),
            (None, Some(0)) => Level::Empty,
            (None, Some(count)) if slot.is_low() => Level::Low(count),
            (None, Some(count)) => Level::Good(count),
        };
        let content = |slot: &Slot| Content { item: slot.item.clone(), capacity: slot.capacity, level: level(slot) };
        let (pressed, is_refused) = self.door.last.as_ref().map(|button| (button.item.clone(), button.is_refused)).unzip();
        let is_refused = is_refused.unwrap_or_default();
        let by_switch = self.door.is_on;
        self.is_filled().then(|| Scene::Filling { slots: slots.iter().map(content).collect(), pressed, is_refused, by_switch })
    }
}
