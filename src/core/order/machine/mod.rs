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
mod calls;
mod counter;
mod duty;
mod events;
mod state;
#[cfg(test)]
mod tests;
mod tries;

pub use apply::{apply, passed};
pub use calls::{BackendCall, Duty, RelayCall};
pub use duty::{duty, next_deadline, unfinished};
pub use events::{Context, Event, LaterTry, PromisedTry, RelayRefusal, Rules, Seen};
pub use state::{
    Ask, AtCounter, AwaitingCollection, AwaitingPayment, Cancelling, Dispensed, Dispensing, End, Ended, Ending, LeftCharge, Paid,
    RefundDue, Refunded, ReportStep, Requested, State, TakenBack, TryingAgain, Undelivered,
};

use super::ids::{ItemId, KeyId, OrderId, PaymentCode, Ticket};
use super::money::Rupiah;
use super::proof::RelayKey;
use super::reason::Reason;
use super::receipt::{Claims, Receipt};
use super::request::{Offer, VendRequest};
use super::state::{EventState, Status};
use super::stock::Fate;
use super::time::{Boot, Span};
use serde::{Deserialize, Serialize};

/// How long a machine waits for the backend's answer to a request. The customer stands there.
pub const REQUEST_WAIT: Span = Span::secs(15);
/// How long relay or screen may be gone while a QR is shown.
pub const GONE_WAIT: Span = Span::secs(5);
/// With news by MQTT, the machine asks the backend by HTTP only from this long after the QR. With the time that such a question may
/// take, it is known after ten seconds that the backend is away.
pub const POLL_AFTER: Span = Span::secs(2);
/// The backend is asked once more after the grace of an order: up to ten seconds later, since it asks the gateway no more often, and the
/// answer takes up to twelve. The order is kept until that answer is there, and so much longer at most.
pub const LAST_ANSWER: Span = Span::secs(25);

/// One request and what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The request, and the price.
    pub offer: Offer,
    /// The relay's promise that it could deliver: that of the present try.
    pub ticket: Ticket,
    /// What the present try hands out, if it is not the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<LaterTry>,
    /// The rest of the question to the backend. It is kept, since a repeated question must be the same.
    pub posted: Posted,
    /// The backend's answer, once there is one.
    pub charge: Option<Charge>,
    /// The order was stored in an earlier boot. Nobody knows how long the power was off, so only the backend can
    /// say that it may still be delivered.
    pub earlier_boot: bool,
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

impl Order {
    /// A new order. It was asked for at `asked_at`, and the relay's owner with the number `owner` gave its ticket.
    #[must_use]
    pub fn new(offer: Offer, ticket: Ticket, posted: Posted, owner: u64, asked_at: Boot) -> Self {
        let state = State::Requested(Requested { give_up_at: asked_at + REQUEST_WAIT, checked: owner, trouble: None });
        Self { offer, ticket, again: None, posted, charge: None, earlier_boot: false, state }
    }

    /// The backend has this order open, and this database does not: the database was lost, or is older than the order. A
    /// pending order is cancelled, but kept if it has a payment code. A settled order is treated like one of an earlier
    /// boot, and its `Dispense` is taken as sent. The same happens when a receipt comes for an order that was pending.
    #[must_use]
    pub fn adopted(offer: Offer, ticket: Ticket, seen: &Seen, receipt: Option<Receipt>, now: Boot, with: &Context) -> Self {
        let counter = offer.request.payment.is_over_the_counter();
        let charge = Charge::of(seen, counter, None);
        let again = receipt.as_ref().and_then(|receipt| LaterTry::of(receipt.claims()));
        let state = match receipt {
            // A machine that knew the order has told of it, or its customer has pressed there.
            Some(receipt) if again.is_some() || seen.has_outcome => RefundDue::once_closed(Some(receipt), Undelivered::Late, true),
            // Nobody waits for it, so it need not hold the machine.
            Some(receipt) if counter => State::AwaitingCollection(AwaitingCollection { receipt, sent: true, doubtful: true }),
            None if counter && charge.code.is_some() => State::AtCounter(AtCounter {}),
            Some(receipt) if with.empty => RefundDue::once_closed(Some(receipt), Undelivered::SoldOut, true),
            Some(receipt) if with.alone && !with.held => {
                let deliver_by = now + with.rules.deliver_within;
                State::Dispensing(Dispensing { receipt, deliver_by, ask: Ask::Query, sent: true, overdue: false })
            }
            Some(receipt) => RefundDue::once_closed(Some(receipt), Undelivered::Late, true),
            None => Ended::unpaid(End::Cancelled, Some(Reason::Store), None, LeftCharge::ToCancel(seen.order_id.clone())),
        };
        let posted = Posted::default();
        Self { offer, ticket, again, posted, charge: Some(charge), earlier_boot: true, state }
    }

    /// The order after a new start of this program. In the same boot its deadlines hold.
    #[must_use]
    pub fn restarted(mut self, same_boot: bool, now: Boot, rules: &Rules) -> Self {
        self.earlier_boot |= !same_boot;
        if let State::Dispensing(state) = &mut self.state {
            state.restarted();
        }
        if !same_boot && matches!(self.state, State::TryingAgain(_)) {
            return self.without_try();
        }
        if !same_boot {
            self.state = self.state.phase().rebooted(&self, now, rules).unwrap_or(self.state);
        }
        self
    }

    /// The order as it is stored. It leaves out what is only true in this run of the program.
    #[must_use]
    pub fn as_stored(&self) -> Self {
        let mut order = self.clone();
        match &mut order.state {
            State::Requested(state) => (state.checked, state.trouble) = (0, None),
            State::AwaitingPayment(state) => state.checked = 0,
            State::AtCounter(_) | State::AwaitingCollection(_) | State::TakenBack(_) | State::Cancelling(_) | State::Ended(_) => {}
            State::Paid(_) | State::Dispensing(_) | State::Dispensed(_) | State::RefundDue(_) | State::Refunded(_) => {}
            State::TryingAgain(_) => {}
        }
        order
    }

    /// Whether one of this item is kept for it in its slot. `is_taken`: it has left the slot before.
    #[must_use]
    pub fn keeps(&self, item: &ItemId, is_taken: bool) -> bool {
        let is_kept = matches!(self.state, State::TryingAgain(_)) || self.is_promised(is_taken);
        is_kept && self.next_item() == item
    }

    /// Whether it keeps every other customer waiting.
    #[must_use]
    pub fn holds_machine(&self) -> bool {
        self.state.phase().facts().holds_machine
    }

    /// Where its item is now; `None`: where it was before.
    #[must_use]
    pub fn fate(&self) -> Option<Fate> {
        match self.state.phase().facts().goods {
            state::Goods::Promised => Some(Fate::InPlace),
            state::Goods::Moved(fate) => Some(fate),
            state::Goods::Kept | state::Goods::AsBefore => None,
        }
    }

    fn is_promised(&self, is_taken: bool) -> bool {
        match self.state.phase().facts().goods {
            state::Goods::Promised => true,
            state::Goods::Kept => !is_taken,
            state::Goods::Moved(_) | state::Goods::AsBefore => false,
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
        matches!(self.state, State::AtCounter(_) | State::AwaitingCollection(_))
    }

    /// Whether the backend is asked about it now and then, since news may come that nobody brings: money, or the end of its charge.
    #[must_use]
    pub fn waits_for_news(&self) -> bool {
        self.waits_for_customer() || self.has_lasting_charge()
    }

    /// Whether it ended, and the gateway has not ended its charge for good.
    #[must_use]
    pub fn has_lasting_charge(&self) -> bool {
        matches!(self.state, State::Ended(Ended { left: LeftCharge::Lasting(_), .. }))
    }

    /// The end of the grace of an order that the backend is asked about. The answer to a question that begins then or later tells whether it
    /// was paid within the grace. `None`: nothing is asked for that.
    #[must_use]
    pub fn grace_ends_at(&self) -> Option<Boot> {
        match &self.state {
            State::Ended(Ended { left: LeftCharge::Lasting(_), late_until, .. }) => *late_until,
            State::Requested(_) | State::AwaitingPayment(_) | State::AtCounter(_) | State::Cancelling(_) | State::Ended(_) => None,
            State::AwaitingCollection(_) | State::TakenBack(_) | State::Paid(_) | State::Dispensing(_) => None,
            State::Dispensed(_) | State::RefundDue(_) | State::TryingAgain(_) | State::Refunded(_) => None,
        }
    }

    /// Until when a payment still delivers although its QR is gone; `None`: no such time.
    #[must_use]
    pub fn late_until(&self) -> Option<Boot> {
        if let State::Cancelling(cancelling) = &self.state { cancelling.late_until } else { self.grace_ends_at() }
    }

    /// Whether it keeps a piece of this item for a payment code that nobody has paid yet.
    #[must_use]
    pub fn holds_unpaid(&self, item: &ItemId) -> bool {
        self.is_over_the_counter() && self.receipt().is_none() && self.keeps(item, false)
    }

    /// The order's name, once it has one.
    #[must_use]
    pub fn order_id(&self) -> Option<&OrderId> {
        self.charge.as_ref().map(|c| &c.order_id)
    }

    /// The stored proof of payment.
    #[must_use]
    pub fn receipt(&self) -> Option<&Receipt> {
        self.state.phase().facts().receipt
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

    /// Its state and reason, as they stand on `vend/event`.
    #[must_use]
    pub fn name(&self) -> (EventState, Option<Reason>) {
        self.state.phase().facts().name
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

    fn paid(before: Option<Self>, claims: &Claims) -> Self {
        let (order_id, gross_amount) = (claims.sub.clone(), Some(claims.gross_amount));
        match before {
            Some(charge) if charge.order_id == order_id => Self { gross_amount, ..charge },
            other => {
                let sandbox = other.is_some_and(|charge| charge.sandbox);
                Self { order_id, gross_amount, sandbox, code: None, pay_within: None, collect_within: None, pay_url: None }
            }
        }
    }
}
