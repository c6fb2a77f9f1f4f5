//! An order as its machine sees it, over HTTP and MQTT. What people and customers may see is in the modules.

pub mod customer;
pub mod desk;
pub mod people;
pub mod whole;

use crate::page_key;
use qris_core::order::merchant::{Charge, Money, Order, Repayment, Standing};
use qris_core::order::outcome::Delivery;
use qris_core::order::receipt::Receipt;
use qris_core::order::time::{Span, Told, Wall, Zone};
use qris_core::order::tries::TryNumber;
use qris_core::wire::orders::{self, OutcomeReport, Refund, Status};

/// The shop as its customers and its merchant see it: its addresses, and its kind of money.
#[derive(Debug, Clone)]
pub struct Shop {
    /// The address, without a slash at its end, if customers can reach it.
    pub public_url: Option<Box<str>>,
    /// The money is not real.
    pub sandbox: bool,
    pub merchant: Option<Box<str>>,
    pub contact: Option<Box<str>>,
    pub collect_within: Span,
    pub zone: Zone,
    /// The address of the desk, without a slash at its end, if there is one.
    pub desk_url: Option<Box<str>>,
}

/// The receipt, which opens the relay, while it may.
#[must_use]
pub fn receipt(order: &Order) -> Option<&Receipt> {
    order.receipt().filter(|_| order.status() == Status::Settlement)
}

#[must_use]
pub fn refund(order: &Order) -> Option<Refund> {
    let is_back = order.money() == Money::Refunded;
    match order.repayment() {
        Some(Repayment::ByHand { .. }) => Some(Refund::ByHand),
        Some(Repayment::Done { .. }) => Some(Refund::Done),
        Some(_) | None if is_back => Some(Refund::Done),
        Some(Repayment::Given { .. }) => Some(Refund::Given),
        Some(Repayment::Requested { .. } | Repayment::Refused { .. }) | None => order.is_refund_due().then_some(Refund::Due),
    }
}

/// The values that a machine can see. Only a change of one of these raises `rev`.
#[must_use]
pub fn visible(order: &Order) -> (Status, bool, Option<Refund>, [bool; 5], Option<Delivery>, TryNumber) {
    let delivery = order.outcome();
    let is_tried_again = order.tries.until.is_some();
    let is_number_told = order.tries.shown.as_ref().is_some_and(|shown| shown.told_at.is_some());
    let is_payable = order.standing() == Standing::Payable;
    let facts = [offered(order).is_some(), is_payable, order.is_unconfirmed(), is_tried_again, is_number_told];
    (order.status(), order.is_over(), refund(order), facts, delivery, order.number_of_try())
}

/// The charge as others may know it. Nobody may pay a charge that is being ended any more, and perhaps it was never
/// shown. A machine that asks for its open orders would draw its QR.
#[must_use]
pub fn offered(order: &Order) -> Option<&Charge> {
    order.charge().filter(|_| order.standing() != Standing::Ending)
}

#[must_use]
pub fn resource(order: &Order, rev: u64, now: Told, place: &Shop) -> orders::OrderResource {
    let (sale, goods) = (&order.sale, order.goods());
    let charge = offered(order);
    let settled_at = match order.money() {
        Money::AtMerchant | Money::TakenBack => order.settlement().map(|by| by.settled_at),
        Money::Unpaid | Money::AtCounter | Money::Refunded => None,
    };
    let seconds = |milliseconds: i64| u64::try_from(milliseconds.div_euclid(1000)).unwrap_or(0);
    let left = |at: Wall| now.until(at).map(|left| seconds(left.0));
    let try_wanted_s = order.try_wanted_until(now).and_then(left);
    orders::OrderResource {
        order_id: order.id.clone(),
        rev,
        request_id: sale.purchase.request_id.clone(),
        device: sale.device.clone(),
        ticket: goods.ticket,
        nth_try: order.number_of_try(),
        item: goods.item,
        asked: sale.purchase.asked.clone(),
        amount: goods.amount,
        gross_amount: charge.map(|charge| charge.gross_amount),
        payment: sale.purchase.payment,
        status: order.status(),
        over: order.is_over(),
        qr_payload: charge.and_then(|charge| charge.qr_payload.clone()),
        deeplink_url: charge.and_then(|charge| charge.deeplink_url.clone()),
        pay_url: place.public_url.as_ref().map(|url| format!("{url}/pay/{}?key={}", order.id, page_key::of(order)).into()),
        payment_code: charge.and_then(|charge| charge.payment_code.clone()),
        store: charge.and_then(|charge| charge.store.clone()),
        expires_in_s: order.ends_at().and_then(left),
        settled_ago_s: settled_at.and_then(|at| now.until(at)).map(|until| seconds(-until.0)),
        try_again_s: order.try_again_until(now).and_then(left),
        try_wanted_s,
        // A number without its time would be shown by no machine, and asked for by the page.
        try_number: try_wanted_s.and(order.number_shown(now)),
        try_confirmed_s: order.number_told_until(now).and_then(left),
        kid: Some(sale.kid.clone()),
        receipt: receipt(order).map(|receipt| receipt.jws().into()),
        outcome: order.delivery().map(|told| OutcomeReport {
            nth_try: told.nth_try,
            outcome: told.outcome,
            reason: told.reason,
            detail: told.detail.clone(),
            proof: None,
        }),
        refund: refund(order),
        sandbox: place.sandbox,
        unconfirmed: order.is_unconfirmed(),
        collect_within_s: sale.purchase.payment.is_over_the_counter().then(|| seconds(place.collect_within.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{T0, after, paid, pending, report, rules};
    use qris_core::order::merchant::{self, Context, DeliveryReport, Event, Rules, Said, State};
    use qris_core::order::request::Payment;
    use qris_core::order::tries::TwoDigits;

    fn place() -> Shop {
        Shop {
            public_url: Some("https://pay.example".into()),
            sandbox: true,
            merchant: None,
            contact: None,
            collect_within: Span::ZERO,
            zone: Zone::Wib,
            desk_url: None,
        }
    }

    #[test]
    fn what_is_being_ended_is_not_offered_and_what_is_paid_all_the_same_is() {
        let seen = |order: &Order| {
            let resource = resource(order, 1, Told::trusted(T0), &place());
            (resource.status, resource.qr_payload.is_some(), resource.gross_amount.is_some())
        };
        let payable = pending("o-1", "vm-001", 5_000, 5_000);
        assert_eq!(seen(&payable), (Status::Pending, true, true));
        let settled = report(&payable, Said::Settled);
        let ending = after(payable.clone(), Event::CancelRequested, T0);
        assert_ne!(visible(&payable), visible(&ending), "`rev` counts it");
        assert_eq!(seen(&ending), (Status::Pending, false, false));
        assert_eq!(seen(&after(ending, Event::Status(settled), T0)), (Status::Settlement, true, true));
    }

    #[test]
    fn without_a_time_nothing_is_told_that_counts_by_it() {
        let seen = |order: &Order, now: Told| {
            let orders::OrderResource { expires_in_s, settled_ago_s, try_again_s, try_wanted_s, try_number, .. } =
                resource(order, 1, now, &place());
            [expires_in_s.is_some(), settled_ago_s.is_some(), try_again_s.is_some(), try_wanted_s.is_some(), try_number.is_some()]
        };
        let (now, with) = (T0 + Span::secs(60), Context { rules: &Rules { second_tries: 1, ..rules() }, paid_already: false });
        let undelivered = Event::Delivered(DeliveryReport::proven(Delivery::Undelivered));
        let wanted = [undelivered, Event::TryWanted { by: None, drawn: TwoDigits::of(7) }]
            .into_iter()
            .fold(paid("o-1", "vm-001", 5_000, 5_000), |order, event| {
                merchant::apply(order, event, Told::trusted(now), &with).expect("taken")
            });
        assert_eq!(seen(&wanted, Told::counted(now)), [false, true, true, true, true]);
        let payable = pending("o-2", "vm-001", 5_000, 5_000);
        assert_eq!(seen(&payable, Told::counted(now)), [true, false, false, false, false]);
        // A code that was paid at a store waits for its collector, until then.
        let mut at_store = paid("o-3", "vm-001", 10_000, 10_000);
        at_store.sale.purchase.payment = Payment::Alfamart;
        let State::Settled(settled) = &mut at_store.state else { panic!("it is paid") };
        settled.collect_by = Some(now + Span::secs(3 * 86_400));
        assert!(seen(&at_store, Told::counted(now))[0], "it is counted by the boot clock");
        for order in [&wanted, &payable, &at_store] {
            assert_eq!(seen(order, Told::unknown(now)), [false; 5]);
        }
    }

    #[test]
    fn what_a_counter_took_back_is_denied_and_has_no_receipt() {
        let mut order = pending("o-1", "vm-001", 10_000, 10_000);
        order.sale.purchase.payment = Payment::Indomaret;
        for (said, at_s, wanted) in
            [(Said::Settled, 6, Status::Pending), (Said::Settled, 3_600, Status::Settlement), (Said::Denied, 3_700, Status::Deny)]
        {
            let report = report(&order, said);
            order = after(order, Event::Status(report), T0 + Span::secs(at_s));
            assert_eq!((order.status(), receipt(&order).is_some()), (wanted, wanted == Status::Settlement));
        }
    }
}
