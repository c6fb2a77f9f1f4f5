//! How far the payment of an order is. Each state has a file: its data, its deadline, what it wants done, and where it goes from there.

mod cancelling;
mod charging;
mod closed;
mod held;
mod pending;
mod refunded;
mod settled;
mod void;
mod withheld;

pub use cancelling::Cancelling;
pub use charging::Charging;
pub use closed::{Closed, Closing};
pub use held::Held;
pub use pending::Pending;
pub use refunded::Refunded;
pub use settled::Settled;
pub use void::Void;
pub use withheld::Withheld;

use super::asking::Asked;
use super::facts::Facts;
use super::{
    Call, Charge, DeliveryReport, Doubt, Duty, Ending, Event, Money, NoCharge, NoReceipt, Order, PersonsEnd, Refused, Rules, Said,
    Settlement, Standing, doubled,
};
use crate::order::receipt::Receipt;
use crate::order::state::Status;
use crate::order::time::{Span, Told, Wall};
use serde::{Deserialize, Serialize};

/// How far the payment of an order is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum State {
    /// The gateway is asked for a charge.
    Charging(Charging),
    /// It can be paid.
    Pending(Pending),
    /// The gateway is asked to end it.
    Cancelling(Cancelling),
    /// It ended, and nobody paid as far as anybody knows.
    Closed(Closed),
    /// It is paid at a counter that may take the settlement back within minutes.
    Held(Held),
    /// Paid; there is a receipt.
    Settled(Settled),
    /// The counter took the payment back before its machine had told anything of the goods.
    Void(Void),
    /// It is paid, and has no receipt: a refund is due.
    Withheld(Withheld),
    /// The money went back.
    Refunded(Refunded),
}

impl State {
    /// Its word in the books, and for people.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.phase().word()
    }

    pub(super) fn phase(&self) -> &dyn Phase {
        match self {
            Self::Charging(state) => state,
            Self::Pending(state) => state,
            Self::Cancelling(state) => state,
            Self::Closed(state) => state,
            Self::Held(state) => state,
            Self::Settled(state) => state,
            Self::Void(state) => state,
            Self::Withheld(state) => state,
            Self::Refunded(state) => state,
        }
    }

    pub(super) const fn doubt_mut(&mut self) -> Option<&mut Doubt> {
        match self {
            Self::Charging(Charging { doubt, .. })
            | Self::Pending(Pending { doubt, .. })
            | Self::Cancelling(Cancelling { doubt, .. })
            | Self::Closed(Closed { doubt, .. })
            | Self::Held(Held { doubt, .. }) => Some(doubt),
            Self::Settled(_) | Self::Void(_) | Self::Withheld(_) | Self::Refunded(_) => None,
        }
    }
}

/// An order at the moment at which something happens to it.
pub(super) struct At<'a> {
    /// The order, with what is known of it since this moment.
    pub(super) order: &'a Order,
    pub(super) now: Told,
}

pub(super) struct Next {
    pub(super) state: State,
    pub(super) ask: Ask,
}

/// The next question to the gateway about an order that goes somewhere.
pub(super) enum Ask {
    AsPlanned,
    At(Option<Wall>),
    /// Then, and nothing of the questions before counts for it.
    Anew(Option<Wall>),
}

impl Next {
    pub(super) const fn to(state: State) -> Option<Self> {
        Some(Self { state, ask: Ask::AsPlanned })
    }
}

/// What it means for an order if the gateway knows no such transaction.
pub(super) enum Unknown {
    NeverMade(Box<Next>),
    /// That cannot be: there is a charge.
    Doubtful,
    Possible,
    Nothing,
}

/// All that a state says of the order, and where the order goes from there when something happens. `None` is said here, once for all: that
/// does not concern this state, and the order stays where it is. What decides about money has no such answer: each state gives its own.
pub(super) trait Phase {
    fn word(&self) -> &'static str;

    fn facts<'a>(&'a self, order: &'a Order) -> Facts<'a>;

    /// Whether a notification of this word is worth a question. Only an answer of the gateway to a question changes an order's status.
    fn is_news(&self, said: Said, order: &Order) -> bool;

    /// Get-status says that it ended unpaid. `None`: what is paid stays paid. The answer is stale, or a counter took its settlement back.
    fn ended(&self, how: Closing, at: &At) -> Option<Next>;

    /// Whether the money may go back, or the goods may be handed over. Refund and delivery exclude each other.
    fn may_repay(&self, no_report: bool, by_name: bool, at: &At) -> Result<(), Refused>;

    fn next_question(&self, asked: &Asked) -> Option<Wall>;

    /// What is to be done now before any question about it. `asks`: such a question is due.
    fn duty(&self, _asks: bool, _at: &At) -> Option<Duty> {
        None
    }

    fn deadline(&self, order: &Order) -> Option<Wall> {
        order.polling.at
    }

    /// Get-status knows no such transaction, or (not `asked`) the gateway has nothing to cancel.
    fn unknown(&self, _asked: bool, _at: &At) -> Unknown {
        Unknown::Nothing
    }

    /// Whether its machine's report is taken, though it is not paid as far as the books know.
    fn takes(&self, _told: &DeliveryReport, _order: &Order) -> bool {
        false
    }

    /// Its machine told for the first time what became of it.
    fn reported(&self) -> Option<Next> {
        None
    }

    fn may_be_asked_about(&self, _order: &Order) -> bool {
        false
    }

    fn may_be_awaited(&self) -> bool {
        false
    }

    /// The charge was made. `unreadable`: its QR cannot be read, and why.
    fn charged(&self, _charge: &Charge, _unreadable: Option<&str>, _rules: &Rules, _at: &At) -> Option<Next> {
        None
    }

    fn not_charged(&self, _no_charge: &NoCharge, _at: &At) -> Option<Next> {
        None
    }

    fn gave_up(&self, _restarted: bool, _at: &At) -> Option<Next> {
        None
    }

    /// Its machine or its time ends it.
    fn end(&self, _why: &Ending, _at: &At) -> Option<Next> {
        None
    }

    /// A person has ended it, while nobody can say whether it is paid. Its doubt says so already.
    fn ended_by_a_person(&self, _end: &PersonsEnd, _at: &At) -> Option<Next> {
        None
    }

    /// The cancel was not done. Look why (`then_status`), or ask for it again later.
    fn cancel_failed(&self, _then_status: bool, _at: &At) -> Option<Next> {
        None
    }

    /// Get-status says that it can be paid.
    fn still_pending(&self, _at: &At) -> Option<Next> {
        None
    }

    /// Whether that does not tell whether it is paid: it was to end long ago, or there is no charge.
    fn is_pending_unclear(&self, _at: &At) -> bool {
        false
    }

    /// A look brought nothing.
    fn not_clear(&self, _at: &At) -> Option<Next> {
        None
    }
}
