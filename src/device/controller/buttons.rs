//! The machine's own buttons, where there is no other controller. The relay service has their lines, and tells by a signal what
//! was pressed.

use super::{Controllers, Requests};
use crate::machine::{ControllerKind, Request};
use qris_core::order::ids::{ItemId, RequestId};
use qris_core::order::request::{Payment, VendRequest, Way};
use ring::rand::{SecureRandom as _, SystemRandom};

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

    /// The button of an item was pressed: nobody gave the request a name.
    pub async fn pressed(&self, item: ItemId) {
        let Some(request_id) = new_name() else { return };
        let request = VendRequest { request_id, item, amount: None, description: None, payment: Payment::Gopay, timeout_s: None };
        self.0.put(Request::Vend(request), |_| {}).await;
    }
}

fn new_name() -> Option<RequestId> {
    let mut bits = [0; 16];
    SystemRandom::new().fill(&mut bits).ok()?;
    let name: String = bits.iter().map(|b| format!("{b:02x}")).collect();
    Some(RequestId::new(&name).expect("32 hexadecimal digits"))
}
