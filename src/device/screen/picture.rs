//! What is shown, as a value without pixels: whoever decides hands over a [`Picture`], the screen's thread draws it.
//!
//! Two equal pictures look the same, so showing the same one again costs nothing.

use crate::order::ids::OrderId;
use crate::order::money::Rupiah;
use crate::order::time::Boot;

/// All that the panel shows at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// What the customer is told.
    pub scene: Scene,
    /// Draws a TEST banner across the screen, so that nobody pays real money into the sandbox.
    pub sandbox: bool,
}

/// One state of the machine as the customer sees it. Only [`Scene::Pay`] puts a QR code on the panel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scene {
    /// Before anything is known.
    Starting,
    /// Nobody is buying. The machine's name, items and prices come from the screen's own settings.
    Idle {
        /// The reason code (`relay`, `backend`, …) when the machine sells nothing at the moment.
        trouble: Option<Box<str>>,
    },
    /// A charge is being made.
    Preparing {
        /// The item's name as shown.
        item: Box<str>,
        /// The price before any imposed fee.
        amount: Rupiah,
    },
    /// The QR is up. From `until` on it is taken off the panel even if nobody shows another picture.
    Pay {
        /// The QRIS payload, at most 512 ASCII characters, drawn as it is.
        payload: Box<str>,
        /// The item's name as shown.
        item: Box<str>,
        /// What the QR asks for, a fee included.
        amount: Rupiah,
        /// The part of `amount` that is an imposed fee.
        fee: Option<Rupiah>,
        /// When the QR leaves the panel.
        until: Boot,
    },
    /// The QR is gone and the answer to the cancel is awaited.
    Cancelling {
        /// The item's name as shown.
        item: Box<str>,
    },
    /// The cancel stayed unanswered: not finished, please do not pay; whom to contact.
    DoNotPay {
        /// The order, if the backend has named it already.
        order: Option<OrderId>,
    },
    /// Paid; the machine is acting.
    Dispensing {
        /// The item's name as shown.
        item: Box<str>,
    },
    /// Done: take your item.
    Take {
        /// The item's name as shown.
        item: Box<str>,
    },
    /// Nothing was paid and nothing can be paid any more.
    Cancelled {
        /// The time was up, rather than the customer giving up.
        timed_out: bool,
    },
    /// Midtrans says that the charge expired.
    Expired,
    /// The payment was refused.
    Denied,
    /// No sale came about.
    Failed {
        /// The reason code.
        reason: Box<str>,
    },
    /// Paid without goods: the order number and whom to contact.
    RefundDue {
        /// What the customer names to the contact.
        order: OrderId,
        /// What was paid.
        amount: Rupiah,
    },
    /// The money is on its way back.
    Refunded {
        /// The order that was paid.
        order: OrderId,
        /// What was paid back.
        amount: Rupiah,
    },
}
