//! What is shown, as a value without pixels: whoever decides hands over a [`Picture`], the screen's thread draws it.
//!
//! Two equal pictures look the same, so showing the same one again costs nothing.

use crate::order::ids::OrderId;
use crate::order::money::Rupiah;
use crate::order::time::{Boot, Span};

/// All that the panel shows at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// What the customer is told.
    pub scene: Scene,
    /// Draws a TEST banner across the screen, so that nobody pays real money into the sandbox.
    pub sandbox: bool,
}

/// One state of the machine as the customer sees it. Only [`Scene::Pay`] puts a QRIS code on the panel, and
/// only [`Scene::PayAtStore`] a payment code.
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
        /// The address of the customer's page, shown as a second, smaller code where there is room for both.
        page: Option<Box<str>>,
        /// When the QR leaves the panel.
        until: Boot,
    },
    /// The payment code is up, to be taken to a store. From `until` on it is taken off the panel as a QR is.
    PayAtStore {
        /// What the customer tells the cashier, and types in here later.
        code: Box<str>,
        /// The store's name.
        store: &'static str,
        /// The item's name as shown.
        item: Box<str>,
        /// What is to be paid, a fee included.
        amount: Rupiah,
        /// The part of `amount` that is an imposed fee.
        fee: Option<Rupiah>,
        /// How long it may be paid, if that is known.
        within: Option<Span>,
        /// The address of the customer's page, which has the code too; shown as a code where there is room for it.
        page: Option<Box<str>>,
        /// When the code leaves the panel.
        until: Boot,
    },
    /// Paid at a store: the code hands it out.
    Collect {
        /// The item's name as shown.
        item: Box<str>,
    },
    /// Somebody typed in a payment code, and it is being looked at.
    Checking {
        /// The item's name as shown.
        item: Box<str>,
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

impl Scene {
    /// When it is taken off the panel by itself.
    #[must_use]
    pub fn until(&self) -> Option<Boot> {
        match self {
            Self::Pay { until, .. } | Self::PayAtStore { until, .. } => Some(*until),
            _ => None,
        }
    }
}
