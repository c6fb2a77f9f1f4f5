//! An order in the words of the people who look after it: the state of its money, and the advice for them.

use crate::sale::view;
use qris_core::order::merchant::{Asker, AtBank, Attention, Order, Proof, RefundEnding, Repayment, State, TakenBack};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::time::{Span, Wall, Zone};
use qris_core::text::named;
use serde_json::{Value, json};

/// The end of the money of a paid order. Each order has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// The machine told that the item came.
    Delivered,
    /// An attendant handed the goods over.
    Given,
    /// The merchant owes it to the customer.
    RefundDue,
    /// It went back through the gateway.
    Refunded,
    /// A person gave it back in another way.
    RefundedByHand,
    /// Nobody knows whether the item came.
    Uncertain,
    /// The machine told nothing in time.
    Unreported,
    /// Paid a moment ago, or waiting for the customer to collect.
    Awaited,
    /// The gateway, the shop's counter or the customer's bank took it back.
    TakenBack,
}

impl End {
    /// Every kind there is, in the order of a report.
    pub const ALL: [Self; 9] = [
        Self::Delivered,
        Self::Given,
        Self::RefundDue,
        Self::Refunded,
        Self::RefundedByHand,
        Self::Uncertain,
        Self::Unreported,
        Self::Awaited,
        Self::TakenBack,
    ];

    /// Its word in JSON and CSV.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Given => "given",
            Self::RefundDue => "refund_due",
            Self::Refunded => "refunded",
            Self::RefundedByHand => "refunded_by_hand",
            Self::Uncertain => "uncertain",
            Self::Unreported => "unreported",
            Self::Awaited => "awaited",
            Self::TakenBack => "taken_back",
        }
    }

    /// In words.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Given => "handed over by an attendant",
            Self::RefundDue => "refund due",
            Self::Refunded => "refunded through the gateway",
            Self::RefundedByHand => "refunded by hand",
            Self::Uncertain => "uncertain: nobody knows whether it came",
            Self::Unreported => "unreported by the machine",
            Self::Awaited => "paid just now, or not collected yet",
            Self::TakenBack => "taken back by counter or bank",
        }
    }
}

/// The end of the money of a settled order.
#[must_use]
pub fn end(order: &Order) -> End {
    match order.repayment() {
        Some(Repayment::Given { .. }) => return End::Given,
        Some(Repayment::ByHand { .. }) => return End::RefundedByHand,
        Some(Repayment::Done { .. }) => return End::Refunded,
        Some(Repayment::Requested { .. } | Repayment::Refused { .. }) | None => {}
    }
    match &order.taken_back {
        Some(TakenBack::Chargeback | TakenBack::Reversal) => return End::TakenBack,
        // The rest of the money is still the merchant's, or owed.
        Some(TakenBack::Partly { .. }) | None => {}
    }
    if order.is_refund_due() {
        return End::RefundDue;
    }
    match &order.state {
        State::Refunded(_) => End::Refunded,
        State::Withheld(_) => End::RefundDue,
        State::Settled(_) => match order.outcome() {
            Some(Delivery::Dispensed) => End::Delivered,
            Some(Delivery::Failed | Delivery::Undelivered) => End::RefundDue,
            // A word of a later release of a machine is for a person.
            Some(Delivery::Uncertain | Delivery::Other(_)) => End::Uncertain,
            None if order.unreported_at().is_some() => End::Unreported,
            None => End::Awaited,
        },
        State::Held(_) => End::Awaited,
        // It was settled once, and is not any more.
        State::Charging(_) | State::Pending(_) | State::Cancelling(_) | State::Closed(_) => End::TakenBack,
    }
}

/// The advice for a person.
#[must_use]
pub const fn to_do(attention: Attention) -> &'static str {
    match attention {
        Attention::RefundDue => {
            "give the money back (`refund ORDER`, or in the gateway's dashboard), or hand the goods over (`given ORDER --by NAME`)"
        }
        Attention::NoProof => {
            "look at the machine; if somebody else may have it, close the ticket first, because the receipt still opens the \
             relay; then `refund ORDER --no-proof --by NAME` if nothing came out, `given ORDER --by NAME` if it did"
        }
        Attention::RefundFailed => {
            "find the reason in its history; then `refund ORDER` again, or look in the gateway's dashboard that nothing went back, give \
            the money back in another way, and `refund ORDER --settled-by-hand NOTE --by NAME`"
        }
        Attention::Uncertain => {
            "look at the machine or ask the customer; then `given ORDER --by NAME` if it came out, `refund ORDER --no-proof --by \
            NAME` if not"
        }
        Attention::Unreported => {
            "look at the machine; if somebody else may have it, close the ticket first, because the receipt still opens the \
             relay; an hour after the payment: `refund ORDER --no-report --by NAME`, or `given ORDER --by NAME`"
        }
        Attention::Mismatch => "compare it with the transaction in the gateway's dashboard, then `refund ORDER`",
        Attention::Conflict => {
            "find out which outcome its relay has signed, then decide: `given ORDER --by NAME`, or `refund ORDER --no-proof --by NAME`"
        }
        Attention::Suspect => {
            "look in the gateway's dashboard whether the transaction was paid; then `seen ORDER --by NAME`. If the order is listed as \
            unconfirmed, too, that ends it"
        }
        Attention::Unconfirmed => {
            "look in the gateway's dashboard whether it was paid. If it was: give the money back, and `refund ORDER --settled-by-hand \
            NOTE --by NAME`. If not: `seen ORDER --by NAME`. Each ends the order, and nothing is handed out for it any more"
        }
        Attention::RefundSoon | Attention::RefundLastDay => {
            "decide now, because the gateway will not refund it any more: `refund ORDER`, or `given ORDER --by NAME`"
        }
        Attention::OnlyByHand => {
            "only by hand: give the money back in another way, and then `refund ORDER --settled-by-hand NOTE`; or `given ORDER --by NAME`"
        }
        Attention::PartialRefund => {
            "the gateway gave a part of the money back: find out whether that was intended; then `seen ORDER --by NAME`"
        }
        Attention::Chargeback => {
            "the customer's bank took the money back: contest that at the gateway if it is wrong; then `seen ORDER --by NAME`"
        }
        Attention::Reversed => "the shop's counter took the money back after the receipt: ask the gateway; then `seen ORDER --by NAME`",
        Attention::LateFact => {
            "the customer has goods and money, or the money twice; or the bank refused a refund, and the customer has nothing: read the \
             history and settle it with the customer; then `seen ORDER --by NAME`"
        }
    }
}

/// How the money goes back, or why it does not.
#[must_use]
pub fn repayment(repayment: &Repayment, zone: Zone) -> String {
    let by = |by: &Option<Box<str>>| by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
    match repayment {
        Repayment::Requested { by: Asker::Automatic, .. } => "the gateway is asked for the refund, as auto_refund says".into(),
        Repayment::Requested { by: Asker::Person(who), .. } => format!("the gateway is asked for the refund{}", by(who)),
        Repayment::Refused { why, at, .. } => format!("not refunded at {}: {why}", at.to_local(zone)),
        Repayment::Done { at, bank, .. } => {
            let bank = match bank {
                Some(AtBank::Requested) => "; the bank is asked, and has not confirmed it",
                Some(AtBank::Confirmed) => "; the bank has confirmed it",
                None => "",
            };
            format!("refunded through the gateway at {}{bank}", at.to_local(zone))
        }
        Repayment::ByHand { note, by: who, at, .. } => format!("settled by hand{} at {}: {note}", by(who), at.to_local(zone)),
        Repayment::Given { by, at, .. } => format!("handed over by {by} at {}", at.to_local(zone)),
    }
}

/// How long the gateway still gives money back that is owed, or may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundUntil {
    /// Until this moment, which itself is too late.
    At(Wall),
    /// Its time is over: only by hand.
    Over,
}

/// See [`RefundUntil`]. `None`: nothing is owed, or the gateway sets no limit.
#[must_use]
pub fn refund_until(order: &Order) -> Option<RefundUntil> {
    let until = order.repay_by()?;
    Some(if order.repaying.ending == Some(RefundEnding::Over) { RefundUntil::Over } else { RefundUntil::At(until) })
}

/// The last day of it. Empty: there is none.
#[must_use]
pub fn refund_by(order: &Order, zone: Zone) -> String {
    match refund_until(order) {
        Some(RefundUntil::Over) => "by hand".into(),
        Some(RefundUntil::At(until)) => (until - Span::millis(1)).to_local(zone)[..10].into(),
        None => String::new(),
    }
}

/// What its customer paid; the price where the gateway has not said it.
#[must_use]
pub fn paid(order: &Order) -> Rupiah {
    order.to_refund().unwrap_or(order.sale.purchase.amount)
}

/// What was sold, for people: its name as the machine told it, and the slot.
#[must_use]
pub fn goods(order: &Order) -> String {
    let purchase = &order.sale.purchase;
    named(purchase.description.as_deref(), purchase.item.as_str())
}

/// Where it was sold, for people: the machine's name as it told it, and its id.
#[must_use]
pub fn place(order: &Order) -> String {
    named(order.sale.purchase.machine.as_deref(), order.sale.device.as_str())
}

/// The gateway's name of an order's transaction, once it is known.
#[must_use]
pub fn transaction(order: &Order) -> Option<String> {
    let settled = order.settlement().map(|by| by.transaction_id.to_string());
    settled.or_else(|| order.charge().map(|charge| charge.transaction_id.to_string()))
}

/// An order in JSON, for lists and alerts. No part of it opens a relay.
#[must_use]
pub fn summary(order: &Order, zone: Zone) -> Value {
    let sale = &order.sale;
    let delivery = order.delivery();
    json!({
        "order_id": order.id,
        "device": sale.device,
        "request_id": sale.purchase.request_id,
        "attempt": order.attempt,
        "machine": sale.purchase.machine,
        "item": sale.purchase.item,
        "description": sale.purchase.description,
        "amount": sale.purchase.amount,
        "gross_amount": order.charge().map(|charge| charge.gross_amount),
        "payment": sale.purchase.payment,
        "status": view::status(order),
        "outcome": delivery.map(|told| told.outcome),
        "reason": delivery.and_then(|told| told.reason),
        "detail": delivery.and_then(|told| told.detail.as_deref()),
        "proof": delivery.map(|told| match &told.proof {
            Proof::Signed { .. } => "signed",
            Proof::Missing(why) => why.as_str(),
        }),
        "refund": view::refund(order),
        "refund_until": match refund_until(order) {
            Some(RefundUntil::At(until)) => Some(until.to_rfc3339_in(zone)),
            // Its attention says `only_by_hand`.
            Some(RefundUntil::Over) | None => None,
        },
        "attention": order.attention(),
        "transaction_id": transaction(order),
        "began_at": order.created_at.to_rfc3339_in(zone),
        "settled_at": order.settlement().map(|by| by.settled_at.to_rfc3339_in(zone)),
    })
}
