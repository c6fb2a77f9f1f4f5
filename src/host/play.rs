//! A program that is played, in virtual time and in one thread. While its turn lasts, its wall clock, its journal and its
//! randomness belong to the play.

use super::events::Event;
use qris_core::order::time::Wall;
use std::cell::RefCell;
use std::rc::Rc;

/// The surroundings that a played program gets instead of its computer's.
pub trait Surroundings {
    /// The time of day.
    fn wall(&self) -> Wall;
    /// Takes an event for the journal.
    fn journal(&self, event: &Event);
    /// Fills the bytes with randomness.
    fn random(&self, bytes: &mut [u8]);
}

thread_local! {
    static AROUND: RefCell<Option<Rc<dyn Surroundings>>> = const { RefCell::new(None) };
}

/// Ends a turn, even if the turn panics.
struct Turn(Option<Rc<dyn Surroundings>>);

impl Drop for Turn {
    fn drop(&mut self) {
        AROUND.replace(self.0.take());
    }
}

/// Gives a program its turn.
pub fn within<T>(surroundings: Rc<dyn Surroundings>, turn: impl FnOnce() -> T) -> T {
    let _ends = Turn(AROUND.replace(Some(surroundings)));
    turn()
}

fn around() -> Option<Rc<dyn Surroundings>> {
    AROUND.with_borrow(Option::clone)
}

/// The time of day, if this thread plays.
pub(super) fn wall() -> Option<Wall> {
    around().map(|surroundings| surroundings.wall())
}

/// Gives the event to the play. Answers whether this thread plays.
pub(super) fn journal(event: &Event) -> bool {
    around().is_some_and(|surroundings| {
        surroundings.journal(event);
        true
    })
}

/// Fills the bytes from the play. Answers whether this thread plays.
pub(super) fn random(bytes: &mut [u8]) -> bool {
    around().is_some_and(|surroundings| {
        surroundings.random(bytes);
        true
    })
}
