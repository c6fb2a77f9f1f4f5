//! What is shown, as a value without pixels: whoever decides hands over a [`Picture`], the screen's thread draws it.
//!
//! Two equal pictures look the same, so showing the same one again costs nothing.

use qris_core::order::ids::{ItemId, OrderId};
use qris_core::order::money::Rupiah;
use qris_core::order::time::{Boot, Span};

/// All that the panel shows at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// What the customer is told.
    pub scene: Scene,
    /// Draws a TEST banner across the screen, so that nobody pays real money into the sandbox.
    pub sandbox: bool,
}

/// What a customer buys. Its name comes from the price list; whoever asks for it cannot change it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Goods {
    /// The item.
    pub item: ItemId,
    /// What the request says of an item whose price it brings; of no other.
    pub description: Option<Box<str>>,
}

/// One state of the machine as the customer sees it. Only [`Scene::Pay`] puts a QRIS code on the panel, and
/// only [`Scene::PayAtStore`] a payment code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scene {
    /// Before anything is known.
    Starting,
    /// Nobody is buying, and the network is gone: what is sold stays to be seen, and a word that it may not work.
    Offline {
        /// The reason code.
        reason: Box<str>,
    },
    /// Not a machine's own: shows whoever wires a panel whether it is wired well.
    TestCard,
    /// Nobody is buying. The machine's name, items and prices come from the screen's own settings.
    Idle {
        /// The reason code (`relay`, `backend`, …) when the machine sells nothing at the moment.
        trouble: Option<Box<str>>,
    },
    /// A charge is being made.
    Preparing {
        /// What is sold.
        goods: Goods,
        /// The price before any imposed fee.
        amount: Rupiah,
    },
    /// The QR is up. From `until` on it is taken off the panel even if nobody shows another picture.
    Pay {
        /// The QRIS payload, at most 512 ASCII characters, drawn as it is.
        payload: Box<str>,
        /// What is sold.
        goods: Goods,
        /// What the QR asks for, a fee included.
        amount: Rupiah,
        /// The part of `amount` that is an imposed fee.
        fee: Option<Rupiah>,
        /// The address of the customer's page.
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
        /// What is sold.
        goods: Goods,
        /// What is to be paid, a fee included.
        amount: Rupiah,
        /// The part of `amount` that is an imposed fee.
        fee: Option<Rupiah>,
        /// How long it may be paid, if that is known.
        within: Option<Span>,
        /// How long it may be collected once it is paid, if that is known.
        collect: Option<Span>,
        /// The address of the customer's page, which has the code too.
        page: Option<Box<str>>,
        /// When the code leaves the panel.
        until: Boot,
    },
    /// Paid at a store: the code hands it out.
    Collect {
        /// What is sold.
        goods: Goods,
        /// How long it may be collected, if that is known: the backend's clock counts it from the settlement on.
        within: Option<Span>,
    },
    /// Somebody typed in a payment code, and it is being looked at.
    Checking {
        /// What is sold.
        goods: Goods,
    },
    /// The QR is gone and the answer to the cancel is awaited.
    Cancelling {
        /// What is sold.
        goods: Goods,
    },
    /// The cancel stayed unanswered: not finished, please do not pay; whom to contact.
    DoNotPay {
        /// The order, if the backend has named it already.
        order: Option<OrderId>,
        /// The address of its page.
        page: Option<Box<str>>,
    },
    /// Paid; the machine is acting.
    Dispensing {
        /// What is sold.
        goods: Goods,
    },
    /// Done: take your item.
    Take {
        /// What is sold.
        goods: Goods,
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
        /// The address of its page, where the customer sees what becomes of the money.
        page: Option<Box<str>>,
    },
    /// Paid, and nobody knows whether the goods came: the order number and whom to contact.
    Uncertain {
        /// What the customer names to the contact.
        order: OrderId,
        /// What was paid.
        amount: Rupiah,
        /// The address of its page, where the customer sees what a person found out.
        page: Option<Box<str>>,
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

    /// What is sold.
    #[must_use]
    pub fn goods(&self) -> Option<&Goods> {
        match self {
            Self::Preparing { goods, .. }
            | Self::Pay { goods, .. }
            | Self::PayAtStore { goods, .. }
            | Self::Collect { goods, .. }
            | Self::Checking { goods }
            | Self::Cancelling { goods }
            | Self::Dispensing { goods }
            | Self::Take { goods } => Some(goods),
            Self::Starting
            | Self::Offline { .. }
            | Self::TestCard
            | Self::Idle { .. }
            | Self::DoNotPay { .. }
            | Self::Cancelled { .. }
            | Self::Expired
            | Self::Denied
            | Self::Failed { .. }
            | Self::RefundDue { .. }
            | Self::Uncertain { .. }
            | Self::Refunded { .. } => None,
        }
    }
}
