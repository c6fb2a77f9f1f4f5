//! The place of an order in sums: what became of its money, how much was paid, for which goods, on which way. The books keep it in columns
//! beside the order, so that a database adds it up (`books/sums.rs`).

use qris_core::order::merchant::{Attention, End, Money, Order, Repayment, TakenBack};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::request::Payment;
use qris_core::order::scheme::Scheme;
use qris_core::order::time::Wall;

#[must_use]
pub fn end(order: &Order) -> End {
    // What the customer got besides the goods is said beside this end.
    if order.is_goods_and_money() {
        return End::Delivered;
    }
    match order.repayment() {
        Some(Repayment::Given { .. }) => return End::Given,
        Some(Repayment::ByHand { .. }) => return End::RefundedByHand,
        Some(Repayment::Done { .. }) => return End::Refunded,
        Some(Repayment::Requested { .. } | Repayment::Refused { .. }) | None => {}
    }
    if order.is_refund_due() && !order.repaying.goods_and_money {
        return End::RefundDue;
    }
    match order.money() {
        Money::AtMerchant => match order.outcome() {
            // Two words differ: a person may still give the money back.
            Some(Delivery::Dispensed) if order.has_conflict() => End::Uncertain,
            Some(Delivery::Dispensed) => End::Delivered,
            Some(Delivery::Failed | Delivery::Undelivered) => End::RefundDue,
            // A word of a later release of a machine is for a person.
            Some(Delivery::Uncertain | Delivery::Other(_)) => End::Uncertain,
            None if order.unreported_at().is_some() => End::Unreported,
            None => End::Awaited,
        },
        Money::AtCounter => End::Awaited,
        // It was settled once, and is not any more.
        Money::Unpaid | Money::TakenBack => End::TakenBack,
        Money::Refunded => End::Refunded,
    }
}

/// The sum that its customer paid. If the gateway has not said it, it is the sum of the charge, or the price.
#[must_use]
pub fn paid(order: &Order) -> u64 {
    let paid = order.settlement().and_then(|by| by.gross_amount).or_else(|| order.charge().map(|charge| charge.gross_amount));
    paid.unwrap_or(order.sale.purchase.amount).get()
}

/// What is left to give back of it: a part may have gone back already.
#[must_use]
pub fn to_return(order: &Order) -> u64 {
    match &order.taken_back {
        Some(TakenBack::Partly { amount }) => paid(order).saturating_sub(amount.map_or(0, Rupiah::get)),
        Some(TakenBack::Chargeback | TakenBack::Reversal) | None => paid(order),
    }
}

/// What the gateway gave or took back; `None`: a part, and nobody has said how much. Money that a person gave back in another way is still at
/// the gateway.
#[must_use]
pub fn returned(order: &Order) -> Option<u64> {
    let paid = paid(order);
    match (order.repayment(), &order.taken_back) {
        // The gateway had refunded it, and says settled again.
        (Some(Repayment::Done { settled_again_at: Some(_), .. }), _) if order.is_money_late() => return None,
        (Some(Repayment::Done { .. }), _) | (_, Some(TakenBack::Reversal)) => return Some(paid),
        // A bank may take a part, and the books do not say how much.
        (_, Some(TakenBack::Chargeback)) => return None,
        (_, Some(TakenBack::Partly { amount })) => return amount.map(Rupiah::get),
        // By hand the order counts as refunded, too. Money that came later may have been the gateway's refund.
        (Some(Repayment::ByHand { .. }), None) => return if order.is_money_late() { None } else { Some(0) },
        (Some(Repayment::Requested { .. } | Repayment::Refused { .. } | Repayment::Given { .. }) | None, None) => {}
    }
    match order.money() {
        Money::AtCounter | Money::AtMerchant => Some(0),
        // It was settled once, and is not any more.
        Money::Unpaid | Money::TakenBack | Money::Refunded => Some(paid),
    }
}

/// The kind of goods: their name; the slot if they have none. A slot of two machines may hold different goods.
#[must_use]
pub fn goods(order: &Order) -> &str {
    let purchase = &order.sale.purchase;
    purchase.description.as_deref().unwrap_or(purchase.item.as_str())
}

/// The scheme of a payment; `None`: the books never saw the payment itself, only its refund.
#[must_use]
pub fn scheme(order: &Order) -> Option<Scheme> {
    match order.sale.purchase.payment {
        Payment::Alfamart => Some(Scheme::Alfamart),
        Payment::Indomaret => Some(Scheme::Indomaret),
        // A charge for GoPay is paid by any app of QRIS. The gateway's word tells by which.
        Payment::Gopay => order.settlement().map(|by| match &*by.payment_type {
            "gopay" => Scheme::Gopay,
            "qris" => Scheme::Qris,
            other => Scheme::Other(other.into()),
        }),
    }
}

/// The same with the issuer's name behind it, or the acquirer's if the issuer is not known: `qris dana`.
#[must_use]
pub fn scheme_in_full(order: &Order) -> String {
    let Some(scheme) = scheme(order) else { return "not known".into() };
    let parties = order.settlement().map(|by| &by.parties);
    let name = parties.and_then(|parties| match (&parties.issuer, &parties.acquirer) {
        (Some(issuer), _) => Some(issuer.to_ascii_lowercase()),
        (None, Some(acquirer)) => Some(format!("by {}", acquirer.to_ascii_lowercase())),
        (None, None) => None,
    });
    match (&scheme, name) {
        (Scheme::Qris, Some(name)) => format!("{scheme} {name}"),
        (Scheme::Qris, None) | (Scheme::Gopay | Scheme::Alfamart | Scheme::Indomaret | Scheme::Other(_), _) => scheme.to_string(),
    }
}

/// By when a person must look at it: money first, that whose refund ends next. `None`: it wants nobody, and [`Order::attention`] alone says so.
/// The money of a refund that is under way is still owed, and nobody has to do anything about it.
#[must_use]
pub fn look_by(order: &Order) -> Option<Wall> {
    const MONEY_WITHOUT_AN_END: Wall = Wall(i64::MAX - 1);
    const NO_MONEY: Wall = Wall(i64::MAX);
    let why = order.attention();
    if why.is_empty() {
        return None;
    }
    let is_about_money = order.is_refund_due() || why.into_iter().any(may_be_owed);
    Some(if is_about_money { order.repay_by().unwrap_or(MONEY_WITHOUT_AN_END) } else { NO_MONEY })
}

/// Whether the customer may have paid, and have nothing for it.
#[must_use]
pub const fn may_be_owed(kind: Attention) -> bool {
    match kind {
        Attention::RefundDue
        | Attention::NoProof
        | Attention::RefundFailed
        | Attention::Uncertain
        | Attention::Unreported
        | Attention::Mismatch
        | Attention::Conflict
        | Attention::Suspect
        | Attention::Unconfirmed
        | Attention::RefundSoon
        | Attention::RefundLastDay
        | Attention::OnlyByHand
        // The bank may have refused the refund.
        | Attention::LateFact => true,
        Attention::PartialRefund | Attention::Chargeback | Attention::Reversed | Attention::GoodsAndMoney => false,
    }
}
