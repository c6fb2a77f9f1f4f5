//! An order as the people of a shop may know it. Here alone it is made from the books.

use super::refund;
use crate::sale::counted;
use qris_core::order::merchant::{AtBank, End, Money, Order, Proof, RefundEnding, Repayment, TakenBack};
use qris_core::order::time::{Span, Wall, Zone};
use qris_core::wire::people::{NoEnd, OrderLine, OrderView, Stands};

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

#[must_use]
pub fn order(order: &Order, zone: Zone) -> OrderView {
    let (sale, delivery) = (&order.sale, order.delivery());
    let time = |at: Wall| at.to_rfc3339_in(zone).into();
    OrderView {
        order_id: order.id.clone(),
        device: sale.device.clone(),
        request_id: sale.purchase.request_id.clone(),
        attempt: order.attempt,
        machine: sale.purchase.machine.clone(),
        item: sale.purchase.item.clone(),
        asked: sale.purchase.asked.clone(),
        description: sale.purchase.description.clone(),
        amount: sale.purchase.amount,
        gross_amount: order.charge().map(|charge| charge.gross_amount),
        payment: sale.purchase.payment,
        status: order.status(),
        outcome: delivery.map(|told| told.outcome),
        reason: delivery.and_then(|told| told.reason),
        detail: delivery.and_then(|told| told.detail.clone()),
        proof: delivery.map(|told| proof(&told.proof).into()),
        refund: refund(order),
        to_refund: order.to_refund().filter(|_| order.is_refund_due()),
        refund_until: match refund_until(order) {
            Some(RefundUntil::At(until)) => Some(time(until)),
            // Its attention says `only_by_hand`.
            Some(RefundUntil::Over) | None => None,
        },
        goods_and_money: order.is_goods_and_money(),
        attention: order.attention(),
        transaction_id: transaction(order),
        began_at: time(order.created_at),
        settled_at: order.settlement().map(|by| time(by.settled_at)),
    }
}

/// The same in a list. Whoever may do something about it adds the deeds.
#[must_use]
pub fn line(order: &Order, zone: Zone) -> OrderLine {
    let is_in_part = order.is_refund_due() && matches!(order.taken_back, Some(TakenBack::Partly { .. }));
    let until = refund_until(order);
    OrderLine {
        stands: stands(order),
        paid: counted::paid(order),
        to_return: counted::to_return(order),
        rest: order.to_refund().filter(|_| is_in_part),
        last_day: match until {
            Some(RefundUntil::At(until)) => Some((until - Span::millis(1)).to_local(zone)[..10].into()),
            Some(RefundUntil::Over) | None => None,
        },
        is_by_hand: until == Some(RefundUntil::Over),
        is_bank_asked: matches!(order.repayment(), Some(Repayment::Done { bank: Some(AtBank::Requested), .. })),
        deeds: Vec::new(),
        order: self::order(order, zone),
    }
}

/// The worth of the relay's word on an outcome.
#[must_use]
pub const fn proof(proof: &Proof) -> &'static str {
    match proof {
        Proof::Signed { .. } => "signed",
        Proof::Missing(why) => why.as_str(),
    }
}

/// The gateway's name of an order's transaction, once it is known.
#[must_use]
pub fn transaction(order: &Order) -> Option<Box<str>> {
    let settled = order.settlement().map(|by| by.transaction_id.to_string());
    settled.or_else(|| order.charge().map(|charge| charge.transaction_id.to_string())).map(Into::into)
}

/// How an order stands, for people.
#[must_use]
pub fn stands(order: &Order) -> Stands {
    if order.settlement().is_none() && order.money() == Money::Unpaid {
        return match order.repayment() {
            Some(Repayment::ByHand { .. }) => Stands::At(End::RefundedByHand),
            Some(Repayment::Requested { .. } | Repayment::Refused { .. } | Repayment::Done { .. } | Repayment::Given { .. }) | None => {
                Stands::Before(match (order.is_unconfirmed(), order.is_over()) {
                    (true, _) => NoEnd::Unconfirmed,
                    (false, true) => NoEnd::Unpaid,
                    (false, false) => NoEnd::Open,
                })
            }
        };
    }
    match (counted::end(order), order.repayment()) {
        (End::RefundDue, Some(Repayment::Requested { .. })) => Stands::Before(NoEnd::Refunding),
        (end, _) => Stands::At(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::pending;
    use serde_json::{Value, json};

    fn keys(object: &Value) -> String {
        object.as_object().map(|all| all.keys().map(String::as_str).collect::<Vec<_>>().join(" ")).unwrap_or_default()
    }

    /// Something new in an order is not told until somebody says so here.
    #[test]
    fn people_know_no_more_of_an_order_than_this() {
        let line = json!(line(&pending("o-1", "vm-001", 5_000, 5_000), Zone::Wib));
        assert_eq!(keys(&line), "deeds is_bank_asked is_by_hand last_day order paid rest stands to_return");
        assert_eq!(
            keys(&line["order"]),
            "amount asked attempt attention began_at description detail device goods_and_money gross_amount item machine order_id outcome payment proof reason \
             refund refund_until request_id settled_at status to_refund transaction_id"
        );
    }
}
