//! What happens at the open door of a machine.

use qris_core::order::ids::ItemId;

/// What somebody does there, one after the other.
#[derive(Debug)]
pub enum DoorAction {
    /// Holds the clear button.
    Opens,
    /// Presses the button of an item. `Some`: until the panel shows this number, which is in the slot.
    Presses(ItemId, Option<u32>),
    /// Looks at the panel, so many times at the most, while the button is down.
    Looks(ItemId, u32, u32),
    /// Lets the button go at once: the slot is full.
    Fills(ItemId),
    /// Presses the clear button, or goes away and forgets it.
    Leaves,
}
