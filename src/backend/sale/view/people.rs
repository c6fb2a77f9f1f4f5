//! An order as the people of a shop may know it. Here alone it is made from the books.

use super::refund;
use crate::sale::counted;
use qris_core::order::merchant::{AtBank, End, Money, Order, Proof, RefundEnding, Repayment, Standing, TakenBack};
use qris_core::order::time::{Span, Wall, Zone};
use qris_core::wire::orders::Status;
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
                Stands::Before(unpaid(order))
            }
        };
    }
    match (counted::end(order), order.repayment()) {
        (End::RefundDue, Some(Repayment::Requested { .. })) => Stands::Before(NoEnd::Refunding),
        (End::Awaited, _) if order.money() == Money::AtCounter => Stands::Before(NoEnd::Held),
        (end, _) => Stands::At(end),
    }
}

/// How an order stands that nobody has paid, as far as anybody knows. An end at the gateway is told at once. The last question
/// about it comes later. If that finds a payment, the order stands otherwise from then on.
fn unpaid(order: &Order) -> NoEnd {
    match order.standing() {
        _ if order.is_unconfirmed() => NoEnd::Unconfirmed,
        Standing::Charging | Standing::Payable | Standing::Held => NoEnd::Open,
        Standing::Ending => NoEnd::Ending,
        Standing::Over if order.is_doubted() && !order.is_over() => NoEnd::Unconfirmed,
        Standing::Over => match order.status() {
            Status::Cancel => NoEnd::Cancelled,
            Status::Expire => NoEnd::Expired,
            Status::Deny => NoEnd::Denied,
            Status::Failure | Status::Refund | Status::Settlement | Status::Pending | Status::Other(_) => NoEnd::Unpaid,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{T0, after, paid, pending, report};
    use qris_core::order::merchant::{Event, Said};
    use qris_core::order::request::Payment;
    use qris_core::order::time::Span;
    use serde_json::{Value, json};

    fn keys(object: &Value) -> String {
        object.as_object().map(|all| all.keys().map(String::as_str).collect::<Vec<_>>().join(" ")).unwrap_or_default()
    }

    #[test]
    fn what_the_gateway_ended_is_told_as_that_at_once_and_what_is_paid_all_the_same_is_paid() {
        let before = Stands::Before;
        let at = |s| T0 + Span::secs(s);
        let open = pending("o-1", "vm-001", 5_000, 5_000);
        assert_eq!(stands(&open), before(NoEnd::Open));
        let ending = after(open.clone(), Event::CancelRequested, at(3));
        assert_eq!(stands(&ending), before(NoEnd::Ending), "it can be paid until the gateway has ended it");
        for (said, wanted) in [
            (Said::Cancelled, NoEnd::Cancelled),
            (Said::Expired, NoEnd::Expired),
            (Said::Denied, NoEnd::Denied),
            (Said::Failed, NoEnd::Unpaid),
        ] {
            let ended = after(ending.clone(), Event::Status(report(&ending, said)), at(4));
            assert!(!ended.is_over(), "{said:?}: it is asked about once more");
            assert_eq!(stands(&ended), before(wanted), "{said:?}");
            assert!(stands(&ended).is_unpaid(), "{said:?}");
            let doubted = after(ended.clone(), Event::Status(report(&ended, Said::Suspect)), at(5));
            assert_eq!(stands(&doubted), before(NoEnd::Unconfirmed), "{said:?}: nobody says any more that nothing was paid");
            let late = after(ended.clone(), Event::Status(report(&ended, Said::Settled)), at(5));
            assert!(matches!(stands(&late), Stands::At(_)), "{said:?}: it was paid all the same: {:?}", stands(&late));
        }
        assert!(!stands(&paid("o-1", "vm-001", 5_000, 5_000)).is_unpaid());
    }

    #[test]
    fn what_a_store_may_still_take_back_is_told_as_that_and_not_as_paid_just_now() {
        let mut code = pending("o-1", "vm-001", 15_000, 15_000);
        code.sale.purchase.payment = Payment::Indomaret;
        let settled = |order: &Order, s| after(order.clone(), Event::Status(report(order, Said::Settled)), T0 + Span::secs(s));
        let held = settled(&code, 6);
        assert_eq!(stands(&held), Stands::Before(NoEnd::Held));
        assert!(!stands(&held).is_unpaid());
        assert_eq!(stands(&settled(&held, 400)), Stands::At(End::Awaited), "the store has not taken it back");
        let back = after(held.clone(), Event::Status(report(&held, Said::Cancelled)), T0 + Span::secs(60));
        assert_ne!(stands(&back), Stands::Before(NoEnd::Held), "the store has taken it back");
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
