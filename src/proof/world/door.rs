//! Somebody fills the machines at their open doors, by the buttons. Whoever does that looks at the panel, and lets a button go at the number that
//! is in the slot. While the page is open nothing is offered.

use super::counts::Kind;
use super::events::door::DoorAction;
use super::stock::CAPACITY;
use super::{Event, World, large, small};
use crate::rng::Rng;
use qris_core::order::ids::{ItemId, RequestId};
use qris_core::order::request::{Payment, VendRequest};
use qris_device::controller::buttons;
use qris_device::screen::picture::{Level, Scene};
use qris_device::words::{Asker, Input, Request};

const BUTTON: Asker = Asker { question: 5, kind: buttons::KIND };
/// The panel goes round once in this many looks.
const LOOKS: u32 = 2 * (CAPACITY + 1) + 4;

/// The chances of these people, drawn apart.
pub(super) struct Doors(Rng);

impl Doors {
    pub(super) fn new(seed: u64) -> Self {
        Self(Rng::new(seed ^ 0xd0_0e))
    }
}

impl World {
    fn is_filled(&self, m: usize) -> bool {
        self.machine_runs(m) && matches!(self.machines[m].scene, Some(Scene::Filling { .. }))
    }

    /// Whether the panel does not say that it could not be counted.
    fn was_taken(&self, m: usize) -> bool {
        self.machine_runs(m) && matches!(self.machines[m].scene, Some(Scene::Filling { is_refused: false, .. }))
    }

    fn counted_on_the_panel(&self, m: usize, item: &ItemId) -> Option<u32> {
        let Some(Scene::Filling { slots, .. }) = &self.machines[m].scene else { return None };
        slots.iter().find(|slot| slot.item == *item).and_then(|slot| match slot.level {
            Level::Counting(count) => Some(count),
            Level::Filling(_) => Some(slot.capacity),
            Level::Unknown | Level::Blocked(_) | Level::NotSold(_) | Level::Suspect(_) => None,
            Level::Empty | Level::Low(_) | Level::Good(_) => None,
        })
    }

    pub(super) fn at_the_door(&mut self, m: usize, step: DoorAction) {
        if !self.alive[m] || !self.machine_runs(m) {
            return;
        }
        match step {
            DoorAction::Opens => {
                self.input(m, Input::ClearPressed(true));
                if !self.is_filled(m) {
                    return;
                }
                self.count(Kind::Doors, "somebody opens the door");
                let item = if self.doors.0.below(3) == 0 { large() } else { small() };
                let number = (self.doors.0.below(3) > 0).then(|| self.doors.0.below(u64::from(CAPACITY) + 1));
                let number = number.and_then(|number| u32::try_from(number).ok());
                self.after(700, Event::Door(m, DoorAction::Presses(item, number)));
            }
            DoorAction::Presses(item, number) => {
                let request_id = RequestId::new(&format!("door-{m}-{}", self.now)).expect("an id");
                let request = VendRequest {
                    request_id,
                    item: item.clone(),
                    amount: None,
                    description: None,
                    payment: Payment::Gopay,
                    timeout_s: None,
                };
                if !self.is_filled(m) {
                    return;
                }
                self.input(m, Input::Requested(Request::Pressed(request), BUTTON));
                let next = number.map_or(DoorAction::Fills(item.clone()), |number| DoorAction::Looks(item, number, LOOKS));
                self.after(600, Event::Door(m, next));
            }
            DoorAction::Looks(_, _, 0) => self.after(1_000, Event::Door(m, DoorAction::Leaves)),
            DoorAction::Looks(item, number, _) if self.counted_on_the_panel(m, &item) == Some(number) => self.lets_go(m, item, number),
            DoorAction::Looks(item, number, looks) => self.after(250, Event::Door(m, DoorAction::Looks(item, number, looks - 1))),
            DoorAction::Fills(item) => self.lets_go(m, item, CAPACITY),
            DoorAction::Leaves if self.doors.0.below(3) > 0 => self.input(m, Input::ClearPressed(false)),
            DoorAction::Leaves => {}
        }
    }

    /// Lets the button go: so many are in the slot. That number counts, or none.
    fn lets_go(&mut self, m: usize, item: ItemId, number: u32) {
        let before = self.slots.counted(m, &item);
        self.lies_there(m, &item, number);
        self.other.counts(m, &item, self.machine_runs(m));
        self.input(m, Input::Released(item.clone()));
        let after = self.slots.counted(m, &item);
        // Who was killed may have counted.
        self.other.counts(m, &item, after.is_some() || !self.machine_runs(m));
        if after == Some(number) && self.was_taken(m) {
            self.looked(m, &item, before);
        } else if after != before && after.is_some_and(|after| after > number) {
            self.fail(format!("{number} of {item} were counted at the door, and the machine says {after:?}"));
        }
        self.after(1_000, Event::Door(m, DoorAction::Leaves));
    }

    /// A ticket is asked for.
    pub(super) fn judge_door(&mut self, m: usize, item: &ItemId) {
        if self.is_filled(m) {
            self.fail(format!("{item} is offered while somebody fills the machine"));
        }
    }
}
