//! The machine's own buttons, where there is no other controller. The relay service has their lines, and tells by a signal what
//! was pressed.

use super::{Controllers, Requests, request_for};
use crate::machine::{ControllerKind, Request};
use qris_core::order::ids::ItemId;
use qris_core::order::request::Way;

/// A button hears nothing; its customer sees the screen.
const KIND: ControllerKind = ControllerKind { way: Way::Board, hears_replies: false };

/// All of them.
pub struct Buttons(Requests);

impl Buttons {
    /// From now on they can be pressed.
    #[must_use]
    pub fn start(controllers: &Controllers) -> Self {
        Self(controllers.requests(KIND))
    }

    /// The button of an item was pressed.
    pub async fn pressed(&self, item: ItemId) {
        if let Some(request) = request_for(item) {
            self.0.put(Request::Vend(request), |_| {}).await;
        }
    }
}
