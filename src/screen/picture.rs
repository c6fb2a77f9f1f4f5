//! The picture, as a value without pixels. The program hands over a [`Picture`], and the screen's thread draws it.
//!
//! Two equal pictures look the same, so showing an equal picture again costs nothing.

use qris_core::order::ids::{ItemId, OrderId};
use qris_core::order::money::Rupiah;
use qris_core::order::reason::Reason;
use qris_core::order::stock::NotSold;
use qris_core::order::time::{Boot, Span};
use qris_core::order::tries::TwoDigits;
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    pub scene: Scene,
    /// Draws a TEST banner across the screen, so that nobody pays real money into the sandbox.
    pub sandbox: bool,
}

/// The thing that a customer buys. Its name comes from the price list; a request cannot change it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Goods {
    pub item: ItemId,
    /// The request's words, for an item whose price the request brings; other items have none.
    pub description: Option<Box<str>>,
}

/// One state of the machine as the customer sees it. Only [`Scene::Pay`] puts a QRIS code on the panel, and
/// only [`Scene::PayAtStore`] a payment code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scene {
    /// Nothing is known yet.
    Starting,
    /// Nobody is buying, and the network is gone. The items stay on the screen, with a word that a sale may not work.
    Offline {
        missing: Missing,
        /// The items that nobody can buy now, and why.
        not_sold: BTreeMap<ItemId, NotSold>,
    },
    /// Not a state of a machine: it shows a person who wires a panel whether it is wired well.
    TestCard,
    /// Nobody is buying. The machine's name, items and prices come from the screen's own settings.
    Idle {
        /// Why the machine sells nothing at the moment, if so.
        trouble: Option<Reason>,
        /// The items that nobody can buy now, and why.
        not_sold: BTreeMap<ItemId, NotSold>,
    },
    /// Somebody fills the machine at its open door. Nothing is sold.
    Filling {
        slots: Vec<Content>,
        /// The item whose button was pressed last.
        pressed: Option<ItemId>,
        /// That press has changed nothing.
        is_refused: bool,
        /// The switch inside the door has opened it, and not the clear button.
        by_switch: bool,
    },
    /// Somebody pressed, and nothing comes of it. Nobody else is there.
    Refused {
        goods: Goods,
        reason: Reason,
    },
    /// A charge is being made.
    Preparing {
        goods: Goods,
        /// The price before any imposed fee.
        amount: Rupiah,
    },
    /// The QR is shown. From `until` on it is off the panel, even if nobody shows another picture.
    Pay {
        /// The QRIS payload, at most 512 ASCII characters, drawn as it is.
        payload: Box<str>,
        goods: Goods,
        /// The sum in the QR, with a fee.
        amount: Rupiah,
        /// The part of `amount` that is an imposed fee.
        fee: Option<Rupiah>,
        /// The address of the customer's page.
        page: Option<Box<str>>,
        /// This order's second try waits behind the purchase. Its customer may stand here, and must not pay twice for one thing.
        before: Option<OrderId>,
        until: Boot,
    },
    /// The payment code is shown, for the customer to take to a store. From `until` on it is off the panel, as a QR is.
    PayAtStore {
        /// The customer tells it to the cashier, and types it in here later.
        code: Box<str>,
        store: &'static str,
        goods: Goods,
        /// The sum to pay, with a fee.
        amount: Rupiah,
        fee: Option<Rupiah>,
        /// How long it may be paid, if that is known.
        within: Option<Span>,
        /// How long it may be collected once it is paid, if that is known.
        collect: Option<Span>,
        /// The address of the customer's page, which has the code too.
        page: Option<Box<str>>,
        until: Boot,
    },
    /// Paid at a store: the machine hands the goods out for the code.
    Collect {
        goods: Goods,
        /// How long it may be collected, if that is known. The backend's clock counts it from the settlement.
        within: Option<Span>,
    },
    /// Somebody typed in a payment code, and it is being checked.
    Checking {
        goods: Goods,
    },
    /// The QR is gone and the answer to the cancel is awaited.
    Cancelling {
        goods: Goods,
    },
    /// The cancel has no answer yet: not finished, please do not pay; and whom to contact. It has no QR at all, which somebody would pay.
    DoNotPay {
        /// The order, if the backend has named it already.
        order: Option<OrderId>,
    },
    /// Paid; the machine is acting.
    Dispensing {
        goods: Goods,
        /// It is another try: nothing was paid just now.
        is_again: bool,
    },
    /// Paid and driven, and the sensor did not see it in time. It may still come.
    NotSeen {
        goods: Goods,
    },
    /// Done: take your item.
    Take {
        goods: Goods,
    },
    /// Nothing was paid and nothing can be paid any more.
    Cancelled {
        /// The time was up; the customer did not give up.
        timed_out: bool,
    },
    /// The gateway says that the charge expired.
    Expired,
    Denied,
    /// No sale came about.
    Failed {
        reason: Option<Reason>,
    },
    /// Paid without goods: the order number and whom to contact.
    RefundDue {
        /// The customer names this to the contact.
        order: OrderId,
        amount: Rupiah,
        /// The address of its page, where the customer sees the state of the refund.
        page: Option<Box<str>>,
    },
    /// Paid without goods, and the customer may have them after all: by a press, for nothing more.
    TryAgain {
        /// The goods that did not come.
        goods: Goods,
        /// Whether these may be pressed.
        same: bool,
        /// The most that other goods may cost; `None`: there are none.
        up_to: Option<Rupiah>,
        /// The customer came back for it.
        is_later: bool,
        /// The customer may want the money.
        order: OrderId,
        page: Option<Box<str>>,
        step: TryStep,
    },
    /// Paid, and nobody knows whether the goods came: the order number and whom to contact.
    Uncertain {
        order: OrderId,
        amount: Rupiah,
        /// The address of its page, where the customer sees what a person found out.
        page: Option<Box<str>>,
    },
    /// The money is on its way back.
    Refunded {
        order: OrderId,
        /// The sum that went back.
        amount: Rupiah,
    },
}

/// How far the customer of a second try has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TryStep {
    /// A press says whose try it is.
    Offered,
    /// It was pressed: the same button once more begins the try.
    Pressed {
        /// What would come.
        item: Goods,
        /// The time of day of the payment, as `15:02 WIB`.
        paid_at: Option<Box<str>>,
    },
    /// The order's page asks for these digits.
    Number(TwoDigits),
    /// The page was told them: the next press begins the try.
    Told,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    pub item: ItemId,
    /// The most that it holds.
    pub capacity: u32,
    pub level: Level,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Nobody has counted.
    Unknown,
    /// Its button was pressed: it is full when it is let go now. So many are added then.
    Filling(u32),
    /// Its button is held, and has come to this number.
    Counting(u32),
    /// Its line waits for a person, who may have filled it already.
    Blocked(Option<u32>),
    /// Nothing takes its price. Nobody mends that at the open door.
    NotSold(Option<u32>),
    /// So many, but one did not come out, and nobody has looked since.
    Suspect(u32),
    Empty,
    /// So few that it asks to be filled.
    Low(u32),
    Good(u32),
}

/// What a machine without its network misses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    /// The right time: certificates are not believed.
    Clock,
    Backend,
    Broker,
}

impl Missing {
    /// The code on the panel, for the person who repairs the machine.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Backend => "backend",
            Self::Broker => "broker",
        }
    }
}

impl Scene {
    /// The same, where a purchase stands before another order's second try.
    #[must_use]
    pub fn before(mut self, order: Option<OrderId>) -> Self {
        if let Self::Pay { before, .. } = &mut self {
            *before = order;
        }
        self
    }

    /// The time at which it leaves the panel by itself.
    #[must_use]
    pub fn until(&self) -> Option<Boot> {
        match self {
            Self::Pay { until, .. } | Self::PayAtStore { until, .. } => Some(*until),
            Self::Starting
            | Self::Offline { .. }
            | Self::TestCard
            | Self::Idle { .. }
            | Self::Filling { .. }
            | Self::Refused { .. }
            | Self::Preparing { .. }
            | Self::Collect { .. }
            | Self::Checking { .. }
            | Self::Cancelling { .. }
            | Self::DoNotPay { .. }
            | Self::Dispensing { .. }
            | Self::NotSeen { .. }
            | Self::Take { .. }
            | Self::Cancelled { .. }
            | Self::Expired
            | Self::Denied
            | Self::Failed { .. }
            | Self::RefundDue { .. }
            | Self::TryAgain { .. }
            | Self::Uncertain { .. }
            | Self::Refunded { .. } => None,
        }
    }

    #[must_use]
    pub fn goods(&self) -> Option<&Goods> {
        match self {
            Self::Preparing { goods, .. }
            | Self::Pay { goods, .. }
            | Self::PayAtStore { goods, .. }
            | Self::Collect { goods, .. }
            | Self::Checking { goods }
            | Self::Cancelling { goods }
            | Self::Dispensing { goods, .. }
            | Self::NotSeen { goods }
            | Self::TryAgain { goods, .. }
            | Self::Refused { goods, .. }
            | Self::Take { goods } => Some(goods),
            Self::Starting
            | Self::Offline { .. }
            | Self::TestCard
            | Self::Idle { .. }
            | Self::Filling { .. }
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
