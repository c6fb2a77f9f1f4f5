use crate::order::ids::{ItemId, KeyId, OrderId, PaymentCode, Ticket};
use crate::order::money::Rupiah;
use crate::order::outcome::{CloseAnswer, DispenseAnswer};
use crate::order::reason::Reason;
use crate::order::receipt::Receipt;
use crate::order::request::Refusal;
use crate::order::state::Status;
use crate::order::time::{Boot, Span};
use crate::order::tries::TryNumber;
use serde::{Deserialize, Serialize};

/// What the backend says about an order, in an answer to any call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Its name.
    pub order_id: OrderId,
    pub status: Status,
    /// Nobody can pay it any more: it is paid, or the gateway has ended it for good.
    pub over: bool,
    /// The sum that the gateway asks the customer for.
    pub gross_amount: Option<Rupiah>,
    /// The string in the QR.
    pub payload: Option<Box<str>>,
    /// Over the counter: the payment code.
    pub code: Option<PaymentCode>,
    /// Over the counter: the store that takes it, as the backend spells it.
    pub store: Option<Box<str>>,
    /// The customer's page, if the screen is to show its address.
    pub pay_url: Option<Box<str>>,
    /// The time until the gateway or the backend ends it.
    pub expires_in: Option<Span>,
    /// The time since the gateway settled it.
    pub settled_ago: Option<Span>,
    /// The key that will sign its receipt.
    pub kid: Option<KeyId>,
    /// Whether the machine has told an outcome before.
    pub has_outcome: bool,
    /// Whether a refund is due, done or settled otherwise.
    pub refund: bool,
    /// It is not real money.
    pub sandbox: bool,
    /// Over the counter: how long it can be collected once it is paid.
    pub collect_within: Option<Span>,
}

/// A try after the first one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LaterTry {
    /// 2 and more.
    #[serde(rename = "try")]
    pub number: TryNumber,
    /// The ticket of the try before.
    pub after: Ticket,
    /// What is driven for it.
    pub item: ItemId,
    /// The price of that.
    pub amount: Rupiah,
}

/// A later try that the relay has promised.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PromisedTry {
    pub ticket: Ticket,
    /// What it hands out.
    pub goods: LaterTry,
    /// The relay's signed word for the backend.
    pub promise: Box<str>,
}

/// What can happen to an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Time went by, or the surroundings changed.
    Tick,
    /// The backend said what the order is now.
    Seen(Seen),
    /// The backend refused to make the order; nothing was charged.
    CreateRefused(Refusal),
    /// The backend cannot make the order now, and says why.
    CreateDelayed(Reason),
    /// The backend's books do not have this order. They were lost, or are older than the order.
    Absent,
    /// The books have not had it for longer than it could be paid or collected.
    Forsaken,
    /// The backend was asked when the grace was over, and has answered.
    GraceOver,
    /// A receipt for this order, verified.
    Settled(Receipt),
    /// The relay can deliver; with the number of its owner.
    CheckPassed(u64),
    /// The relay cannot deliver.
    CheckFailed(Reason),
    /// The relay answered `Dispense` or `Query`, or sent the answer as a signal.
    RelayAnswered(DispenseAnswer),
    /// The relay refused the receipt. This call recorded nothing and drove nothing.
    RelayRefused(RelayRefusal),
    /// `Dispense` was sent and not answered.
    RelayUnanswered,
    /// The relay answered `Close`.
    TicketClosed(CloseAnswer),
    /// The relay's ledger does not know the ticket.
    TicketUnknown,
    /// The backend took the report, or already has another one.
    Reported,
    /// The backend lists the order among those without an outcome.
    Forgotten,
    /// A person or controller wants it cancelled.
    CancelRequested,
    /// The customer wants another try, and the relay has promised it. The time is that of the press.
    TryPromised(PromisedTry, Boot),
    /// The backend signs no receipt for the try that was wanted.
    TryRefused,
    /// The backend has a later try open than this database knows: the database is older. With its verified receipt.
    Overtaken(Receipt),
    /// The customer typed in the code. The backend and the relay were asked just now, and say that it can be handed out.
    Collected,
}

/// The errors of `Dispense` that lead to different ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RelayRefusal {
    /// The line is being driven: ask again.
    Busy,
    /// This ledger holds no such ticket.
    UnknownTicket,
    /// Any other.
    Other,
}

/// The machine's settings that decide about orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// How long a cancel holds the machine.
    pub cancel_wait: Span,
    /// How long after the QR left the screen a settlement still delivers.
    pub late_grace: Span,
    /// How long after its receipt an order may be delivered.
    pub deliver_within: Span,
}

/// The surroundings of an order when something happens to it.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The settings.
    pub rules: &'a Rules,
    /// No other order holds the machine.
    pub alone: bool,
    /// Its slot is counted, and nothing is in it, nor was it taken out for this order. Nothing is driven then: a machine takes no money for air.
    pub empty: bool,
    /// Somebody looks after the machine. Only a customer who is there already is served.
    pub held: bool,
    /// The number of the relay's present owner; numbers grow and begin with 1. `None`: the relay is gone.
    pub relay_owner: Option<u64>,
    /// The time when the relay went, or got this owner.
    pub relay_changed_at: Boot,
    /// The same for an order with a QR. A program that has just started gives its relay service more time.
    pub relay_doubted_from: Boot,
    /// The receipt keys that the relay lists.
    pub relay_kids: &'a [KeyId],
    /// The time since which a required screen is gone.
    pub screen_gone_since: Option<Boot>,
    /// Whether news can come by MQTT.
    pub push: bool,
}
