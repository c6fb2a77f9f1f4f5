//! An order as the machine sees it.
//!
//! **The rule for driving it.** 1. Read an input and the clock. 2. [`apply`] it, then [`Event::Tick`] until nothing
//! changes. 3. Commit. 4. Only then announce what [`passed`] tells and perform what [`duty`] asks for, unless it runs
//! already; stop what is no longer asked for. 5. Sleep until [`next_deadline`] at the latest.
//!
//! The next step follows from the stored order, never from the message that came. So after a crash the same calls give
//! the same answers. Facts (the gateway settled, the relay finished) are never refused. A fact that is known already
//! changes nothing.

mod apply;
mod counter;
mod duty;
mod events;
mod relay;
mod states;
#[cfg(test)]
mod tests;

pub use apply::{apply, passed};
pub use duty::{BackendCall, Duty, RelayCall, duty, next_deadline, unfinished};
pub use events::{Context, Event, RelayRefusal, Rules, Seen};

use super::ids::{KeyId, OrderId, PaymentCode, Ticket};
use super::money::Rupiah;
use super::outcome::Delivery;
use super::proof::RelayKey;
use super::reason::Reason;
use super::receipt::Receipt;
use super::request::{Offer, VendRequest};
use super::state::{EventState, Status};
use super::time::{Boot, Span};
use serde::{Deserialize, Serialize};

/// How long a machine waits for the backend's answer to a request. The customer stands there.
pub const REQUEST_WAIT: Span = Span::secs(15);
/// How long relay or screen may be gone while a QR is shown.
pub const GONE_WAIT: Span = Span::secs(5);
/// With news by MQTT, the machine asks the backend by HTTP only from this long after the QR.
pub const POLL_AFTER: Span = Span::secs(10);
/// The backend is asked once more after the grace of an order: up to ten seconds later, since it asks the gateway no more often, and the
/// answer takes up to twelve. The order is kept until that answer is there, and so much longer at most.
pub const LAST_ANSWER: Span = Span::secs(25);

/// One request and what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The request, and the price.
    pub offer: Offer,
    /// The relay's promise that it could deliver.
    pub ticket: Ticket,
    /// The rest of the question to the backend. It is kept, since a repeated question must be the same.
    pub posted: Posted,
    /// The backend's answer, once there is one.
    pub charge: Option<Charge>,
    /// The order was stored in an earlier boot. Nobody knows how long the power was off, so only the backend can
    /// say that it may still be delivered.
    pub earlier_boot: bool,
    /// Where it is.
    pub state: State,
}

/// The part of `POST /v1/orders` that follows from the settings and the relay of the moment.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Posted {
    /// The receipt keys that the relay listed.
    pub kids: Vec<KeyId>,
    /// The key with which the relay signs its proofs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_key: Option<RelayKey>,
    /// The text that the customer sees in the app.
    pub description: Box<str>,
    /// The machine's name for customers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Box<str>>,
}

/// A charge at the gateway, as far as the machine must know it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Charge {
    /// Its name at the backend and at the gateway.
    pub order_id: OrderId,
    /// What the customer pays.
    pub gross_amount: Option<Rupiah>,
    /// It is not real money.
    pub sandbox: bool,
    /// Over the counter: the code that the customer tells the cashier, and types in at the machine later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<PaymentCode>,
    /// Over the counter: how long it could be paid when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pay_within: Option<Span>,
    /// Over the counter: how long it can be collected once it is paid. If the backend told this first after the
    /// payment: how much of that time was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect_within: Option<Span>,
    /// The customer's page, where the screen shows its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pay_url: Option<Box<str>>,
}

/// Where an order is. Deadlines are of the boot in which they were stored; see [`Order::restarted`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The backend is asked for a charge.
    Requested {
        /// At this time the order fails.
        give_up_at: Boot,
        /// The number of the relay's owner that gave the ticket; 0: no owner in this run of the program.
        #[serde(skip)]
        checked: u64,
        /// The backend's latest reason for not charging yet.
        #[serde(skip)]
        trouble: Option<Reason>,
    },
    /// The QR or payment code is on the screen, or will be as soon as the relay has said (again) that it can deliver.
    AwaitingPayment {
        /// The string in the QR, checked; `None`: over the counter, where the charge has a code.
        payload: Option<Box<str>>,
        /// The time since which it can be seen.
        shown_at: Boot,
        /// At this time at the latest it leaves the screen, also while this program is down.
        until: Boot,
        /// The number of the relay's owner that said it can deliver; 0: no owner in this run of the program.
        #[serde(skip)]
        checked: u64,
    },
    /// Over the counter: the code left the screen. It may be paid at the store until the gateway ends it.
    AtCounter,
    /// Paid over the counter. It waits until the customer is back and types in the code.
    AwaitingCollection {
        /// The proof.
        receipt: Receipt,
        /// Whether an earlier `Dispense` may have reached the relay.
        sent: bool,
        /// It cannot be collected until the relay has said that it recorded nothing for it.
        doubtful: bool,
    },
    /// Paid over the counter. The store took the payment back before the order was collected, so nothing was paid after all.
    TakenBack {
        /// The receipt, which proves nothing any more.
        receipt: Receipt,
        /// How it ended.
        how: End,
        /// Whether the relay's ticket is void.
        ticket_closed: bool,
    },
    /// The QR is gone and the backend is asked to cancel the charge.
    Cancelling {
        /// How it ends if the backend grants the cancel.
        why: Ending,
        /// The machine is held until then for the answer; `None`: it is free.
        free_at: Option<Boot>,
        /// Until then a payment still delivers; `None`: the grace is over.
        late_until: Option<Boot>,
    },
    /// It ended and nothing was paid, as far as is known.
    Ended {
        /// How it ended.
        how: End,
        /// Why.
        why: Option<Reason>,
        /// Until then a payment still delivers; `None`: the grace is over, or nobody saw a QR.
        late_until: Option<Boot>,
        /// The charge that it leaves at the gateway.
        left: LeftCharge,
        /// Whether the relay's ticket is void.
        ticket_closed: bool,
    },
    /// A receipt is stored. The backend must say that the order may still be delivered.
    Paid {
        /// The proof.
        receipt: Receipt,
        /// The machine is held until then.
        deliver_by: Boot,
    },
    /// A receipt is stored and the relay decides.
    Dispensing {
        /// The proof.
        receipt: Receipt,
        /// It may be delivered until then.
        deliver_by: Boot,
        /// The next question.
        ask: Ask,
        /// Whether an earlier `Dispense` may have reached the relay without an answer.
        sent: bool,
        /// It is later than `deliver_by`. The order does not hold the machine, and only `Close` ends it.
        overdue: bool,
    },
    /// Handed out.
    Dispensed {
        /// The proof.
        receipt: Receipt,
        /// Whether the backend knows.
        reported: bool,
    },
    /// Paid, and not delivered, or nobody knows whether it was.
    RefundDue {
        /// The proof; a mismatch has no proof.
        receipt: Option<Receipt>,
        /// Why.
        why: Undelivered,
        /// The report to the backend, and whether the backend has it.
        report: ReportStep,
    },
    /// The money went back.
    Refunded {
        /// The proof.
        receipt: Option<Receipt>,
    },
}

/// The ends of an order that was not paid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// By the customer, the controller, a timeout or a fault.
    Cancelled,
    /// By the gateway.
    Expired,
    /// By the gateway.
    Denied,
    /// It could not be offered.
    Failed,
}

/// Why a charge is being cancelled. This also says how the order ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// `cancelled`, with this reason.
    Cancelled(Reason),
    /// `failed`, with this reason: the charge could not be shown.
    Failed(Reason),
}

/// The charge that an order leaves at the gateway when it ended unpaid.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftCharge {
    /// Nothing.
    Nothing,
    /// The request was never answered: look for its charge by its request_id.
    Unknown,
    /// This charge must be cancelled.
    ToCancel(OrderId),
    /// This charge has ended as far as the backend knows. But the gateway has not ended it for good: money may still come.
    Lasting(OrderId),
}

/// The next question about a dispensing order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// The relay: dispense.
    Dispense,
    /// The relay: what became of it?
    Query,
    /// The backend: may it still be delivered?
    Confirm,
    /// The relay: never dispense for this ticket, or tell what became of it.
    Close,
}

/// Why a paid order was not delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undelivered {
    /// The relay was driven and the item did not come.
    Failed,
    /// Nobody knows whether the item came.
    Uncertain,
    /// The payment, or the time for delivery, came when the customer was gone.
    Late,
    /// The relay would not take the receipt.
    RelayRefused,
    /// The settlement does not match the charge.
    Mismatch,
    /// Paid over the counter, and never collected.
    NotCollected,
}

/// The report to the backend about a paid order that was not delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportStep {
    /// Nothing yet. First the relay must close the ticket: refund and delivery exclude each other.
    CloseFirst {
        /// Whether a `Dispense` may have reached the relay.
        sent: bool,
    },
    /// Tell this.
    Tell(Delivery),
    /// The backend was told this, and knows it.
    Reported(Delivery),
}

impl Order {
    /// A new order. It was asked for at `asked_at`, and the relay's owner with the number `owner` gave its ticket.
    #[must_use]
    pub fn new(offer: Offer, ticket: Ticket, posted: Posted, owner: u64, asked_at: Boot) -> Self {
        let state = State::Requested { give_up_at: asked_at + REQUEST_WAIT, checked: owner, trouble: None };
        Self { offer, ticket, posted, charge: None, earlier_boot: false, state }
    }

    /// The backend has this order open, and this database does not: the database was lost, or is older than the order. A
    /// pending order is cancelled, but kept if it has a payment code. A settled order is treated like one of an earlier
    /// boot, and its `Dispense` is taken as sent. The same happens when a receipt comes for an order that was pending.
    #[must_use]
    pub fn adopted(offer: Offer, ticket: Ticket, seen: &Seen, receipt: Option<Receipt>, now: Boot, with: &Context) -> Self {
        let counter = offer.request.payment.is_over_the_counter();
        let charge = Charge::of(seen, counter, None);
        let state = match receipt {
            // Nobody waits for it, so it need not hold the machine.
            Some(receipt) if counter => State::AwaitingCollection { receipt, sent: true, doubtful: true },
            None if counter && charge.code.is_some() => State::AtCounter,
            Some(receipt) if with.alone => {
                let deliver_by = now + with.rules.deliver_within;
                State::Dispensing { receipt, deliver_by, ask: Ask::Query, sent: true, overdue: false }
            }
            Some(receipt) => {
                State::RefundDue { receipt: Some(receipt), why: Undelivered::Late, report: ReportStep::CloseFirst { sent: true } }
            }
            None => State::Ended {
                how: End::Cancelled,
                why: Some(Reason::Store),
                late_until: None,
                left: LeftCharge::ToCancel(seen.order_id.clone()),
                ticket_closed: false,
            },
        };
        let posted = Posted::default();
        Self { offer, ticket, posted, charge: Some(charge), earlier_boot: true, state }
    }

    /// The order after a new start of this program. In the same boot its deadlines hold. In another boot nobody knows
    /// how long the power was off.
    #[must_use]
    pub fn restarted(mut self, same_boot: bool, now: Boot, rules: &Rules) -> Self {
        self.earlier_boot |= !same_boot;
        if let State::Dispensing { ask, sent, .. } = &mut self.state {
            // Nobody knows what became of a call that was under way. Only the ledger can tell.
            *sent = true;
            if *ask != Ask::Close {
                *ask = Ask::Query;
            }
        }
        if same_boot {
            return self;
        }
        self.state = match self.state {
            // The customer has gone, and nobody saw a QR.
            State::Requested { .. } => State::Ended {
                how: End::Failed,
                why: Some(Reason::Backend),
                late_until: None,
                left: LeftCharge::Unknown,
                ticket_closed: false,
            },
            State::AwaitingPayment { payload, checked, .. } => {
                State::AwaitingPayment { payload, shown_at: now, until: now + self.offer.timeout, checked }
            }
            state @ (State::AtCounter | State::AwaitingCollection { .. } | State::TakenBack { .. }) => state,
            State::Cancelling { why, .. } => State::Cancelling { why, free_at: None, late_until: None },
            State::Ended { how, why, left, ticket_closed, .. } => State::Ended { how, why, late_until: None, left, ticket_closed },
            State::Paid { receipt, .. } => State::Paid { receipt, deliver_by: now + rules.deliver_within },
            State::Dispensing { receipt, ask, sent, overdue, .. } => {
                State::Dispensing { receipt, deliver_by: now + rules.deliver_within, ask, sent, overdue }
            }
            state @ (State::Dispensed { .. } | State::RefundDue { .. } | State::Refunded { .. }) => state,
        };
        self
    }

    /// The order as it is stored. It leaves out what is only true in this run of the program.
    #[must_use]
    pub fn as_stored(&self) -> Self {
        let mut order = self.clone();
        if let State::Requested { checked, .. } | State::AwaitingPayment { checked, .. } = &mut order.state {
            *checked = 0;
        }
        if let State::Requested { trouble, .. } = &mut order.state {
            *trouble = None;
        }
        order
    }

    /// Whether it keeps every other customer waiting.
    #[must_use]
    pub fn holds_machine(&self) -> bool {
        match &self.state {
            State::Requested { .. } | State::AwaitingPayment { .. } | State::Paid { .. } => true,
            State::Cancelling { free_at, .. } => free_at.is_some(),
            State::Dispensing { overdue, .. } => !overdue,
            State::AtCounter | State::AwaitingCollection { .. } | State::TakenBack { .. } => false,
            State::Ended { .. } | State::Dispensed { .. } | State::RefundDue { .. } | State::Refunded { .. } => false,
        }
    }

    /// Whether it is paid at a store, perhaps hours later, and not with the phone of the customer at the machine.
    #[must_use]
    pub fn is_over_the_counter(&self) -> bool {
        self.offer.request.payment.is_over_the_counter()
    }

    /// The payment code, once there is one.
    #[must_use]
    pub fn code(&self) -> Option<&PaymentCode> {
        self.charge.as_ref().and_then(|c| c.code.as_ref())
    }

    /// Whether it waits in the background, until the customer pays at the store or comes back.
    #[must_use]
    pub fn waits_for_customer(&self) -> bool {
        matches!(self.state, State::AtCounter | State::AwaitingCollection { .. })
    }

    /// Whether the backend is asked about it now and then, since news may come that nobody brings: money, or the end of its charge.
    #[must_use]
    pub fn waits_for_news(&self) -> bool {
        self.waits_for_customer() || self.has_lasting_charge()
    }

    /// Whether it ended, and the gateway has not ended its charge for good.
    #[must_use]
    pub fn has_lasting_charge(&self) -> bool {
        matches!(self.state, State::Ended { left: LeftCharge::Lasting(_), .. })
    }

    /// The end of the grace of an order that the backend is asked about. The answer to a question that begins then or later tells whether it
    /// was paid within the grace. `None`: nothing is asked for that.
    #[must_use]
    pub fn grace_ends_at(&self) -> Option<Boot> {
        match &self.state {
            State::Ended { left: LeftCharge::Lasting(_), late_until, .. } => *late_until,
            State::Requested { .. } | State::AwaitingPayment { .. } | State::AtCounter | State::Cancelling { .. } | State::Ended { .. } => {
                None
            }
            State::AwaitingCollection { .. } | State::TakenBack { .. } | State::Paid { .. } | State::Dispensing { .. } => None,
            State::Dispensed { .. } | State::RefundDue { .. } | State::Refunded { .. } => None,
        }
    }

    /// The order's name, once it has one.
    #[must_use]
    pub fn order_id(&self) -> Option<&OrderId> {
        self.charge.as_ref().map(|c| &c.order_id)
    }

    /// The stored proof of payment.
    #[must_use]
    pub fn receipt(&self) -> Option<&Receipt> {
        match &self.state {
            State::Requested { .. } | State::AwaitingPayment { .. } | State::AtCounter => None,
            State::Cancelling { .. } | State::Ended { .. } => None,
            State::AwaitingCollection { receipt, .. } | State::TakenBack { receipt, .. } => Some(receipt),
            State::Paid { receipt, .. } | State::Dispensing { receipt, .. } | State::Dispensed { receipt, .. } => Some(receipt),
            State::RefundDue { receipt, .. } | State::Refunded { receipt } => receipt.as_ref(),
        }
    }

    /// Whether the order came from the backend and not from a request in this database.
    #[must_use]
    pub fn is_adopted(&self) -> bool {
        self.posted == Posted::default()
    }

    /// Whether this request is the order's own, asked again. If the order came from the backend, only the fields are
    /// compared that the backend told.
    #[must_use]
    pub fn is_of(&self, request: &VendRequest) -> bool {
        let known = &self.offer.request;
        let adopted = self.is_adopted();
        let told = (&known.request_id, &known.item, known.payment) == (&request.request_id, &request.item, request.payment)
            && request.amount.is_none_or(|amount| amount == self.offer.amount);
        known == request || adopted && told
    }

    /// Whether a verified receipt is for this order: same request, ticket, item and price.
    #[must_use]
    pub fn fits(&self, receipt: &Receipt) -> bool {
        let claims = receipt.claims();
        let known = self.receipt().is_none_or(|r| r.claims().sub == claims.sub);
        known
            && claims.jti == self.offer.request.request_id
            && claims.ticket == self.ticket
            && claims.item == self.offer.request.item
            && claims.amount == self.offer.amount
    }

    /// Its state and reason, as they stand on `vend/event`.
    #[must_use]
    pub fn name(&self) -> (EventState, Option<Reason>) {
        match &self.state {
            State::Requested { .. } => (EventState::Requested, None),
            State::AwaitingPayment { .. } | State::AtCounter => (EventState::AwaitingPayment, None),
            State::AwaitingCollection { .. } => (EventState::AwaitingCollection, None),
            State::TakenBack { how, .. } => (how.name(), Some(Reason::Gateway)),
            State::Cancelling { why, .. } => (EventState::Cancelling, Some(why.reason())),
            State::Ended { how, why, .. } => (how.name(), *why),
            State::Paid { .. } => (EventState::Paid, None),
            State::Dispensing { .. } => (EventState::Dispensing, None),
            State::Dispensed { .. } => (EventState::Dispensed, None),
            State::RefundDue { why, .. } => (EventState::RefundDue, Some(why.reason())),
            State::Refunded { .. } => (EventState::Refunded, None),
        }
    }
}

impl Charge {
    /// The charge in the backend's answer. Facts of an earlier answer stay known if this one leaves them out. How long a
    /// code could be paid changes with every answer, so the first one stays.
    fn of(seen: &Seen, counter: bool, before: Option<&Self>) -> Self {
        let before = before.filter(|charge| charge.order_id == seen.order_id);
        let code = if counter { seen.code.clone() } else { None };
        // `expires_in` counts to the end of paying; once it is paid, to the end of collecting.
        let settled = seen.status == Status::Settlement;
        let pay_within = code.as_ref().and(seen.expires_in).filter(|_| !settled);
        let collect_within = seen.expires_in.filter(|_| settled).or(seen.collect_within).filter(|_| counter);
        Self {
            order_id: seen.order_id.clone(),
            // An answer that is older than the gateway's own may come after it.
            gross_amount: seen.gross_amount.or(before.and_then(|charge| charge.gross_amount)),
            sandbox: seen.sandbox,
            code: before.and_then(|charge| charge.code.clone()).or(code),
            pay_within: before.and_then(|charge| charge.pay_within).or(pay_within),
            collect_within: before.and_then(|charge| charge.collect_within).or(collect_within),
            pay_url: before.and_then(|charge| charge.pay_url.clone()).or_else(|| seen.pay_url.clone()),
        }
    }
}

impl End {
    const fn name(self) -> EventState {
        match self {
            Self::Cancelled => EventState::Cancelled,
            Self::Expired => EventState::Expired,
            Self::Denied => EventState::Denied,
            Self::Failed => EventState::Failed,
        }
    }
}

impl Ending {
    /// The word for it.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Cancelled(reason) | Self::Failed(reason) => reason,
        }
    }

    const fn end(self) -> End {
        match self {
            Self::Cancelled(_) => End::Cancelled,
            Self::Failed(_) => End::Failed,
        }
    }
}

impl Undelivered {
    /// The word for it.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Failed => Reason::Failed,
            Self::Uncertain => Reason::Uncertain,
            Self::Late => Reason::Late,
            Self::RelayRefused => Reason::RelayRefused,
            Self::Mismatch => Reason::Mismatch,
            Self::NotCollected => Reason::NotCollected,
        }
    }
}
