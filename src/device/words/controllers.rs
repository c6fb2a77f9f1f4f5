//! The questions of controllers, the replies, and the view that they have of the machine. And those who may hold the machine.

use qris_core::order::ids::{ItemId, OrderId, PaymentCode, RequestId};
use qris_core::order::machine::Order;
use qris_core::order::money::Rupiah;
use qris_core::order::reason::Reason;
use qris_core::order::request::{Refusal, VendRequest, Way};
use qris_core::order::stock::{Change, NotChanged};
use qris_core::order::time::{Boot, Span};
use qris_core::wire::status::{Fault, TryOffer};
use qris_core::wire::stock::Slot;
use qris_core::wire::vend::{EventState, TryRequest};
use serde::Serialize;

/// Who holds the machine for commands. Nobody else may take this name.
pub const OPERATOR: &str = "operator";
/// Who holds it for a shutdown. Nobody else may take this name.
pub const SHUTDOWN: &str = "shutdown";
/// Who holds it at its open door. Nobody else may take this name.
pub const FILLING: &str = "filling";
/// RAUC's name as a holder. `rauc-pre-install` takes it.
pub const RAUC: &str = "rauc";

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ControllerKind {
    pub way: Way,
    /// Whether the words of a reply reach the asker. If not, events tell the asker everything, also a question that
    /// changed nothing.
    pub hears_replies: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Asker {
    /// Names the question; its reply carries the name back.
    pub question: u64,
    pub kind: ControllerKind,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    Vend(VendRequest),
    /// Try once more to hand out what was paid.
    TryAgain(TryRequest),
    /// The button of an item was pressed: sell, unless another try is offered, or somebody fills the machine by its buttons.
    Pressed(VendRequest),
    Cancel(RequestId),
    /// Hand out goods that were paid at a store.
    Collect(PaymentCode),
    /// Sell nothing for this time: somebody looks after the machine. The reply has no state. Its reason is `busy` as long as an
    /// order holds the machine, and `updating` if somebody else looks after it.
    Hold(Box<str>, Span),
    /// Sell again.
    Release(Box<str>),
    /// A person has done something to a slot: what, of which item, and how many.
    Stock(Box<(Change, ItemId, Option<u32>)>),
    /// The controller itself had to refuse this, mostly since it could not read it. It is answered and told like any refusal.
    Refused(Option<RequestId>, Refusal),
}

/// The answer: the order's state, and the reason of a refusal or end. `None`: there is no such request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply {
    pub state: Option<EventState>,
    pub reason: Option<Reason>,
    /// The contents of the changed slot, or why it stays as it is.
    pub stock: Option<Result<Counted, NotChanged>>,
}

/// The contents of a slot that somebody has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Counted {
    /// Before; `None`: nobody had counted.
    pub before: Option<u32>,
    pub after: u32,
}

impl Reply {
    pub(crate) const NOTHING: Self = Self { state: None, reason: None, stock: None };
    /// RAUC does not get the machine: it could overwrite the last good system while a new one is tried.
    pub const UNPROVEN: Self = Self::refused(Reason::Updating);

    pub(crate) fn of(order: &Order) -> Self {
        let (state, reason) = order.name();
        Self { state: Some(state), reason, stock: None }
    }

    pub(crate) const fn refused(reason: Reason) -> Self {
        Self { state: Some(EventState::Refused), reason: Some(reason), stock: None }
    }
}

/// The view that a controller can read at any time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    /// The order that holds the machine; `None`: idle.
    pub order: Option<Shown>,
    /// The request of the customer who is there, also before it is an order.
    pub customer: Option<RequestId>,
    pub faults: Vec<Fault>,
    /// Who looks after the machine. Nothing is sold meanwhile.
    pub holder: Option<Box<str>>,
    /// The items of which nothing is offered.
    pub sold_out: Vec<ItemId>,
    pub stock: Vec<Slot>,
    /// Another try that is on the screen, and when its offer ends.
    pub try_offer: Option<(TryOffer, Boot)>,
}

impl std::fmt::Display for View {
    /// One line for `systemctl status`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.order {
            Some(order) => write!(f, "{}: {}, {}", order.state.as_str(), order.item, order.amount)?,
            None => f.write_str("idle")?,
        }
        if let Some(holder) = &self.holder {
            write!(f, "; held by {holder}")?;
        }
        for (i, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "; faults: " } else { ", " }, fault.code.as_str())?;
        }
        Ok(())
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    pub state: EventState,
    /// The controller's name for it.
    pub request_id: RequestId,
    /// The backend's name for it.
    pub order_id: Option<OrderId>,
    pub item: ItemId,
    pub amount: Rupiah,
    /// What the customer pays.
    pub gross_amount: Option<Rupiah>,
    /// When the QR leaves the screen.
    pub until: Option<Boot>,
}
