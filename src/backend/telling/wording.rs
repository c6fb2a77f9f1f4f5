//! An order in the words of the people who look after it: the state of its money, and the advice for them.

use crate::sale::counted;
use crate::sale::view;
use qris_core::order::merchant::{Asker, AtBank, Order, Proof, RefundEnding, Repayment, TakenBack};
use qris_core::order::money::Rupiah;
use qris_core::order::time::{Span, Wall, Zone};
use qris_core::text::named;
use qris_host::speech::fill;
use qris_host::texts;
use serde_json::{Value, json};

// What a command tells a person, in the language of that person. `serve` and all that programs read say it in English.
texts! {
    taken_back: "ditarik kembali oleh kasir atau bank", "taken back by counter or bank";
    asked_by_itself: "gateway diminta melakukan pengembalian dana, sesuai `auto_refund`", "the gateway is asked for the refund, as auto_refund says";
    asked: "gateway diminta melakukan pengembalian dana{0}", "the gateway is asked for the refund{0}";
    by: " oleh {0}", " by {0}";
    not_refunded_at: "tidak dikembalikan, {0}: {1}", "not refunded at {0}: {1}";
    bank_asked: "; bank sudah diminta, dan belum memastikannya", "; the bank is asked, and has not confirmed it";
    bank_confirmed: "; bank sudah memastikannya", "; the bank has confirmed it";
    refunded_at: "dikembalikan lewat gateway, {0}{1}", "refunded through the gateway at {0}{1}";
    settled_at: "diselesaikan secara langsung{0}, {1}: {2}", "settled by hand{0} at {1}: {2}";
    given_at: "diserahkan oleh {0}, {1}", "handed over by {0} at {1}";
    by_hand: "langsung", "by hand";
}

/// The worth of the relay's word on an outcome in one word, for programs.
#[must_use]
pub fn proof_word(proof: &Proof) -> &'static str {
    match proof {
        Proof::Signed { .. } => "signed",
        Proof::Missing(why) => why.as_str(),
    }
}

/// How the money goes back, or why it does not.
#[must_use]
pub fn repayment(repayment: &Repayment, zone: Zone) -> String {
    let texts = texts();
    let by = |by: &Option<Box<str>>| by.as_deref().map(|by| fill(texts.by, &[&by])).unwrap_or_default();
    let time = |at: &Wall| at.to_local_named(zone);
    match repayment {
        Repayment::Requested { by: Asker::Automatic, .. } => texts.asked_by_itself.into(),
        Repayment::Requested { by: Asker::Person(who), .. } => fill(texts.asked, &[&by(who)]),
        Repayment::Refused { why, at, .. } => fill(texts.not_refunded_at, &[&time(at), why]),
        Repayment::Done { at, bank, .. } => {
            let bank = match bank {
                Some(AtBank::Requested) => texts.bank_asked,
                Some(AtBank::Confirmed) => texts.bank_confirmed,
                None => "",
            };
            fill(texts.refunded_at, &[&time(at), &bank])
        }
        Repayment::ByHand { note, by: who, at, .. } => fill(texts.settled_at, &[&by(who), &time(at), note]),
        Repayment::Given { by, at, .. } => fill(texts.given_at, &[by, &time(at)]),
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

/// The last day of it, or that it is over. Empty: there is none.
#[must_use]
pub fn refund_by(order: &Order, zone: Zone) -> String {
    match refund_until(order) {
        Some(RefundUntil::Over) => texts().by_hand.into(),
        Some(RefundUntil::At(_)) | None => last_day(order, zone).unwrap_or_default(),
    }
}

/// The last day on which the gateway still gives the money back.
#[must_use]
pub fn last_day(order: &Order, zone: Zone) -> Option<String> {
    match refund_until(order)? {
        RefundUntil::At(until) => Some((until - Span::millis(1)).to_local(zone)[..10].into()),
        RefundUntil::Over => None,
    }
}

#[must_use]
pub fn to_return(order: &Order) -> Rupiah {
    Rupiah::new(counted::to_return(order)).unwrap_or(order.sale.purchase.amount)
}

/// The rest of a payment of which a part went back.
#[must_use]
pub fn rest(order: &Order) -> Option<Rupiah> {
    order.to_refund().filter(|_| order.is_refund_due() && matches!(order.taken_back, Some(TakenBack::Partly { .. })))
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
        "asked": sale.purchase.asked,
        "description": sale.purchase.description,
        "amount": sale.purchase.amount,
        "gross_amount": order.charge().map(|charge| charge.gross_amount),
        "payment": sale.purchase.payment,
        "status": order.status(),
        "outcome": delivery.map(|told| told.outcome),
        "reason": delivery.and_then(|told| told.reason),
        "detail": delivery.and_then(|told| told.detail.as_deref()),
        "proof": delivery.map(|told| proof_word(&told.proof)),
        "refund": view::refund(order),
        "to_refund": order.to_refund().filter(|_| order.is_refund_due()),
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
