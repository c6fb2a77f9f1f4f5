//! The machine's own buttons, for a machine without another controller. The relay service has their lines, and signals each
//! press.

use super::requests::{Controllers, Requests, request_for};
use crate::words::{ControllerKind, Request};
use qris_core::order::ids::ItemId;
use qris_core::order::request::Way;

/// A button hears nothing. Its customer sees the screen.
pub const KIND: ControllerKind = ControllerKind { way: Way::Board, hears_replies: false };

pub struct Buttons(Requests);

impl Buttons {
    #[must_use]
    pub fn start(controllers: &Controllers) -> Self {
        Self(controllers.requests(KIND))
    }

    pub async fn pressed(&self, item: ItemId) {
        if let Some(request) = request_for(item) {
            self.0.put(Request::Pressed(request), |_| {}).await;
        }
    }
}
