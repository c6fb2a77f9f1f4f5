//! One order with all that the people at the backend's own terminal may know of it: what `orders ORDER` and the tables for accounts draw.

use super::people::{self, RefundUntil};
use crate::sale::books::HistoryLine;
use crate::sale::counted;
use qris_core::order::ids::{KeyId, OrderId, Ticket};
use qris_core::order::merchant::{DeliveryReport, Goods, Order, Proof, Repayment, Standing};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::proof::RelayKey;
use qris_core::order::scheme::Scheme;
use qris_core::order::time::{Wall, Zone};
use qris_core::wire::people::OrderLine;
use serde_json::{Value, json};

#[derive(Debug)]
pub struct Whole {
    pub line: OrderLine,
    /// The word of its state in the books.
    pub state: &'static str,
    pub began_at: Wall,
    /// The ticket of its first try.
    pub ticket: Ticket,
    pub kid: KeyId,
    pub has_receipt: bool,
    /// The fingerprint of the relay's key.
    pub relay_key: Option<String>,
    pub charged: Option<Charged>,
    /// Where the picture of its QR is, while it can be paid.
    pub picture: Option<Box<str>>,
    pub scheme: Option<Scheme>,
    pub paid: Option<Paid>,
    pub outcome_at: Option<Wall>,
    pub proof: Option<Proof>,
    /// The first one first.
    pub tries: Vec<Try>,
    pub repayment: Option<Repayment>,
    /// When the money went back, as far as the books know.
    pub refunded_at: Option<Wall>,
    pub refund_until: Option<RefundUntil>,
}

#[derive(Debug)]
pub struct Charged {
    pub amount: Rupiah,
    pub at: Wall,
    pub expires_at: Wall,
}

#[derive(Debug)]
pub struct Paid {
    pub at: Wall,
    /// `None`: the gateway did not say it in whole rupiah.
    pub amount: Option<Rupiah>,
    /// The gateway's word for it.
    pub payment_type: Box<str>,
    pub acquirer: Option<Box<str>>,
    pub issuer: Option<Box<str>>,
}

#[derive(Debug)]
pub struct Try {
    pub goods: Goods,
    pub outcome: Option<Delivery>,
    pub proof: Option<Proof>,
}

#[must_use]
pub fn order(order: &Order, zone: Zone) -> Whole {
    let one_try = |(goods, told): (Goods, Option<&DeliveryReport>)| Try {
        goods,
        outcome: told.map(|told| told.outcome),
        proof: told.map(|told| told.proof.clone()),
    };
    Whole {
        line: people::line(order, zone),
        state: order.state.word(),
        began_at: order.created_at,
        ticket: order.sale.purchase.ticket.clone(),
        kid: order.sale.kid.clone(),
        has_receipt: order.receipt().is_some(),
        relay_key: order.sale.relay_key.as_ref().map(RelayKey::fingerprint),
        charged: order.charge().map(|charge| Charged { amount: charge.gross_amount, at: charge.charged_at, expires_at: charge.expires_at }),
        picture: order.charge().filter(|_| order.standing() == Standing::Payable).and_then(|charge| charge.qr_url.clone()),
        scheme: counted::scheme(order),
        paid: order.settlement().map(|by| Paid {
            at: by.settled_at,
            amount: by.gross_amount,
            payment_type: by.payment_type.clone(),
            acquirer: by.parties.acquirer.clone(),
            issuer: by.parties.issuer.clone(),
        }),
        outcome_at: order.reported_at(),
        proof: order.delivery().map(|told| told.proof.clone()),
        tries: order.every_try().map(one_try).collect(),
        repayment: order.repayment().cloned(),
        refunded_at: refunded_at(order),
        refund_until: people::refund_until(order),
    }
}

impl Whole {
    /// All of it for programs. `history`: the oldest line first. `offered_until`: another try is offered until then.
    #[must_use]
    pub fn object(&self, attempts: &[OrderId], history: &[HistoryLine], offered_until: Option<Wall>, zone: Zone) -> Value {
        let mut object = json!(self.line.order);
        let (charged, paid) = (self.charged.as_ref(), self.paid.as_ref());
        let time = |at: Wall| at.to_rfc3339_in(zone);
        let one_try = |(number, Try { goods, outcome, proof }): (u8, &Try)| {
            json!({
                "try": number,
                "ticket": goods.ticket,
                "item": goods.item,
                "amount": goods.amount,
                "outcome": outcome,
                "proof": proof.as_ref().map(people::proof),
            })
        };
        let more = json!({
            "state": self.state,
            "ticket": self.ticket,
            "try_offered_until": offered_until.map(time),
            "tries": (1..).zip(&self.tries).map(one_try).collect::<Vec<_>>(),
            "attempts": attempts,
            "charged_at": charged.map(|charged| time(charged.at)),
            "expires_at": charged.map(|charged| time(charged.expires_at)),
            "payment_type": paid.map(|paid| &paid.payment_type),
            "paid": paid.and_then(|paid| paid.amount),
            "acquirer": paid.and_then(|paid| paid.acquirer.as_ref()),
            "issuer": paid.and_then(|paid| paid.issuer.as_ref()),
            "outcome_at": self.outcome_at.map(time),
            "kid": self.kid,
            "relay_key": self.relay_key,
            "has_receipt": self.has_receipt,
            "history": history.iter().map(|line| json!({ "at": time(line.at), "event": line.event })).collect::<Vec<_>>(),
        });
        if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
            object.extend(more);
        }
        object
    }
}

const fn refunded_at(order: &Order) -> Option<Wall> {
    match order.repayment() {
        Some(Repayment::Done { at, .. } | Repayment::ByHand { at, .. }) => Some(*at),
        Some(Repayment::Requested { .. } | Repayment::Refused { .. } | Repayment::Given { .. }) | None => None,
    }
}
