//! Where an order is. Each state has a file: its data, its deadlines, what it wants done, and where it goes from there.

mod at_counter;
mod awaiting_collection;
mod awaiting_payment;
mod cancelling;
mod dispensed;
mod dispensing;
mod ended;
mod paid;
mod refund_due;
mod refunded;
mod requested;
mod taken_back;
mod trying_again;

pub use at_counter::AtCounter;
pub use awaiting_collection::AwaitingCollection;
pub use awaiting_payment::AwaitingPayment;
pub use cancelling::{Cancelling, Ending};
pub use dispensed::Dispensed;
pub use dispensing::{Ask, Dispensing};
pub use ended::{End, Ended, LeftCharge};
pub use paid::Paid;
pub use refund_due::{RefundDue, ReportStep, Undelivered};
pub use refunded::Refunded;
pub use requested::Requested;
pub use taken_back::TakenBack;
pub use trying_again::TryingAgain;

use super::{BackendCall, Context, LAST_ANSWER, Order, RelayCall, RelayRefusal, Rules, Seen};
use crate::order::outcome::{CloseAnswer, DispenseAnswer, Outcome};
use crate::order::reason::Reason;
use crate::order::receipt::Receipt;
use crate::order::request::Refusal;
use crate::order::state::EventState;
use crate::order::stock::Fate;
use crate::order::time::Boot;
use serde::{Deserialize, Serialize};

/// Where an order is. Deadlines are of the boot in which they were stored; see [`Order::restarted`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The backend is asked for a charge.
    Requested(Requested),
    /// The QR or payment code is on the screen.
    AwaitingPayment(AwaitingPayment),
    /// Over the counter: the code left the screen.
    AtCounter(AtCounter),
    /// Paid over the counter; it waits for its customer.
    AwaitingCollection(AwaitingCollection),
    /// The store took the payment back before the order was collected.
    TakenBack(TakenBack),
    /// The QR is gone and the backend is asked to cancel the charge.
    Cancelling(Cancelling),
    /// Nothing was paid, as far as is known.
    Ended(Ended),
    /// A receipt is stored. The backend must say that the order may still be delivered.
    Paid(Paid),
    /// A receipt is stored and the relay decides.
    Dispensing(Dispensing),
    /// Handed out.
    Dispensed(Dispensed),
    /// Paid, and not delivered, or nobody knows whether it was.
    RefundDue(RefundDue),
    /// The backend is asked for the receipt of another try.
    TryingAgain(TryingAgain),
    /// The money went back.
    Refunded(Refunded),
}

impl State {
    pub(super) fn phase(&self) -> &dyn Phase {
        match self {
            Self::Requested(state) => state,
            Self::AwaitingPayment(state) => state,
            Self::AtCounter(state) => state,
            Self::AwaitingCollection(state) => state,
            Self::TakenBack(state) => state,
            Self::Cancelling(state) => state,
            Self::Ended(state) => state,
            Self::Paid(state) => state,
            Self::Dispensing(state) => state,
            Self::Dispensed(state) => state,
            Self::RefundDue(state) => state,
            Self::TryingAgain(state) => state,
            Self::Refunded(state) => state,
        }
    }
}

/// An order and its surroundings at the moment at which something happens to it.
pub(super) struct At<'a> {
    /// The order, with what is known of its charge since this moment.
    pub(super) order: &'a Order,
    pub(super) now: Boot,
    pub(super) with: &'a Context<'a>,
}

/// What anybody may ask of an order in this state.
pub(super) struct Facts<'a> {
    pub(super) name: (EventState, Option<Reason>),
    pub(super) holds_machine: bool,
    pub(super) is_unfinished: bool,
    pub(super) receipt: Option<&'a Receipt>,
    pub(super) goods: Goods,
}

/// Where the item of an order is, and whether it is kept for the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Goods {
    /// In its slot. The order can still be paid or collected, so nobody else is offered this one.
    Promised,
    /// There, for whoever comes: or at another place, for good.
    Moved(Fate),
    /// Where it was before: while it lies in its slot, it is kept for the order.
    Kept,
    /// Where it was before. The relay will say more.
    AsBefore,
}

impl Goods {
    /// Those of an order that nobody has paid, and that a payment until then still delivers.
    const fn until(late_until: Option<Boot>) -> Self {
        if late_until.is_some() { Self::Promised } else { Self::Moved(Fate::InPlace) }
    }
}

/// Whether a receipt still buys the goods.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Worth {
    InTime,
    /// The customer is gone, or another one stands there.
    Late,
    /// Its payment is known already.
    Known,
}

/// The next step when the ledger says that it never drove the line for an order.
#[derive(Clone, Copy)]
pub(super) enum IfUnknown {
    /// Deliver it: the customer stands there.
    Dispense,
    /// Ask the backend: nobody knows how long the power was off.
    Confirm,
    /// Another try is not begun again without its customer.
    GiveUp,
    /// Over the counter: the customer types in the code once more.
    Collect,
}

/// All that a state says of the order, and where the order goes from there when something happens. `None` is said here, once for all: that
/// does not concern this state, and the order stays where it is. What decides about money has no such answer: each state gives its own.
pub(super) trait Phase {
    fn facts(&self) -> Facts<'_>;

    fn worth(&self, at: &At) -> Worth;

    fn seen(&self, seen: &Seen, at: &At) -> Option<State>;

    fn relay_call(&self, _at: &At) -> Option<RelayCall> {
        None
    }

    fn backend_call(&self, _at: &At) -> Option<BackendCall> {
        None
    }

    fn deadline(&self, _at: &At) -> Option<Boot> {
        None
    }

    fn tick(&self, _at: &At) -> Option<State> {
        None
    }

    /// The program was started in another boot. Nobody knows how long the power was off.
    fn rebooted(&self, _order: &Order, _now: Boot, _rules: &Rules) -> Option<State> {
        None
    }

    fn create_refused(&self, _refusal: &Refusal) -> Option<State> {
        None
    }

    fn create_delayed(&self, _reason: Reason) -> Option<State> {
        None
    }

    /// The backend's books do not have the order. This ends no order that is paid or can be paid: its charge is at the gateway all the
    /// same.
    fn absent(&self, _at: &At) -> Option<State> {
        None
    }

    /// The books have lacked the order for so long that the gateway has ended the charge, and nobody will confirm a collection.
    fn forsaken(&self) -> Option<State> {
        None
    }

    fn grace_over(&self) -> Option<State> {
        None
    }

    /// The customer, a controller or a fault takes an unpaid order off the screen, and has its charge cancelled.
    fn withdraw(&self, _why: Ending, _at: &At) -> Option<State> {
        None
    }

    fn check_passed(&self, _owner: u64) -> Option<State> {
        None
    }

    fn relay_answered(&self, _answer: DispenseAnswer, _unknown: IfUnknown) -> Option<State> {
        None
    }

    fn relay_refused(&self, _refusal: RelayRefusal) -> Option<State> {
        None
    }

    fn relay_unanswered(&self) -> Option<State> {
        None
    }

    fn ticket_closed(&self, _answer: CloseAnswer, _at: &At) -> Option<State> {
        None
    }

    fn ticket_unknown(&self) -> Option<State> {
        None
    }

    fn reported(&self) -> Option<State> {
        None
    }

    /// The backend was told the outcome and does not know it: its books are older. It is told again.
    fn forgotten(&self) -> Option<State> {
        None
    }

    fn collected(&self, _at: &At) -> Option<State> {
        None
    }

    fn try_refused(&self) -> Option<State> {
        None
    }

    /// Another machine knew this order first: one with the same card, or this one before it lost its database. That machine has or had its
    /// ticket, and may have had the receipt too. So the line may have been driven even if a ledger does not know the ticket.
    fn taken_as_sent(&self) -> Option<State> {
        None
    }
}

/// Whether an order is not delivered any more, also if it was paid within its grace. Such a payment is heard of later than it is made. So
/// the order waits for [an answer](LAST_ANSWER), unless that came already.
fn is_given_up(late_until: Option<Boot>, now: Boot) -> bool {
    late_until.is_none_or(|t| now > t + LAST_ANSWER)
}

/// Whether a payment until then, and a little later, buys the goods: nobody else may stand at the machine. Goods that come out while
/// somebody looks after it come to nobody, unless its customer is there.
fn within_grace(late_until: Option<Boot>, at: &At) -> Worth {
    let is_free = at.with.alone && (!at.with.held || at.order.holds_machine());
    if !is_given_up(late_until, at.now) && (is_free || at.order.is_over_the_counter()) { Worth::InTime } else { Worth::Late }
}

/// The ledger's word is final.
fn delivered(receipt: &Receipt, answer: Outcome) -> State {
    match answer {
        Outcome::Dispensed => Dispensed::unreported(receipt.clone()),
        Outcome::Failed => RefundDue::failed(receipt.clone(), Undelivered::Failed),
        Outcome::NotDriven => RefundDue::failed(receipt.clone(), Undelivered::NotDriven),
        Outcome::Uncertain => RefundDue::uncertain(Some(receipt.clone())),
    }
}
