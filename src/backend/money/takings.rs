//! What a paid order brings the merchant: who moved the money, how much of it went back, and how much is left.

use crate::money::fees::Fees;
use crate::telling::wording::{self, End};
use qris_core::order::merchant::{Order, Repayment, State, TakenBack};
use qris_core::order::money::Rupiah;
use qris_core::order::request::Payment;
use qris_core::order::time::Wall;
use std::fmt;

/// The way on which a payment came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// By the GoPay app, without QRIS.
    Gopay,
    /// By the app of anybody who takes part in QRIS.
    Qris,
    /// At a counter of Alfamart.
    Alfamart,
    /// At a counter of Indomaret.
    Indomaret,
    /// The gateway has another word for it.
    Other(Box<str>),
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gopay => "gopay",
            Self::Qris => "qris",
            Self::Alfamart => "alfamart",
            Self::Indomaret => "indomaret",
            Self::Other(word) => word,
        })
    }
}

/// The money of one paid order, in whole rupiah.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taking {
    /// What it should cost.
    pub price: u64,
    /// What its customer paid.
    pub paid: u64,
    /// What became of it.
    pub end: End,
    /// What the gateway gave or took back; `None`: a part, and nobody has said how much.
    pub returned: Option<u64>,
    /// What the gateway keeps, if the merchant has said it.
    pub fee: Option<u64>,
}

impl Taking {
    /// Of an order that was settled.
    #[must_use]
    pub fn of(order: &Order, fees: &Fees) -> Self {
        let price = order.sale.amount.get();
        let paid = order.settlement().and_then(|by| by.gross_amount).or_else(|| order.charge().map(|charge| charge.gross_amount));
        let paid = paid.map_or(price, |amount| amount.get());
        let returned = returned(order, paid);
        let fee = scheme(order).zip(returned).and_then(|(scheme, returned)| fees.of(&scheme, paid, returned));
        Self { price, paid, end: wording::end(order), returned, fee }
    }

    /// The part of the payment above the price. It is below zero if a mismatch was paid too little.
    #[must_use]
    pub fn above_price(&self) -> i64 {
        signed(self.paid) - signed(self.price)
    }

    /// What the gateway should pay out for it. It is below zero where the gateway keeps a fee of money that went back.
    #[must_use]
    pub fn payout(&self) -> Option<i64> {
        Some(signed(self.paid) - signed(self.returned?) - signed(self.fee?))
    }
}

/// A sum of rupiah as a number that can be below zero.
#[must_use]
pub fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// The scheme of a payment; `None`: the books never saw the payment itself, only its refund.
#[must_use]
pub fn scheme(order: &Order) -> Option<Scheme> {
    match order.sale.payment {
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

/// When the money went back, as far as the books know.
#[must_use]
pub const fn refunded_at(order: &Order) -> Option<Wall> {
    match &order.repayment {
        Some(Repayment::Done { at, .. } | Repayment::ByHand { at, .. }) => Some(*at),
        Some(Repayment::Asked { .. } | Repayment::Refused { .. } | Repayment::Given { .. }) | None => None,
    }
}

/// What the gateway gave or took back. Money that a person gave back in another way is still at the gateway.
fn returned(order: &Order, paid: u64) -> Option<u64> {
    match (&order.repayment, &order.taken_back) {
        // The gateway had refunded it, and says settled again.
        (Some(Repayment::Done { .. }), _) if order.late_fact && order.settled_again_at.is_some() => return None,
        (Some(Repayment::Done { .. }), _) | (_, Some(TakenBack::Reversal)) => return Some(paid),
        // A bank may take a part, and the books do not say how much.
        (_, Some(TakenBack::Chargeback)) => return None,
        (_, Some(TakenBack::Partly { amount })) => return amount.map(Rupiah::get),
        // By hand the order counts as refunded, too. If anything came later, it may have been the gateway's refund.
        (Some(Repayment::ByHand { .. }), None) => return if order.late_fact { None } else { Some(0) },
        (Some(Repayment::Asked { .. } | Repayment::Refused { .. } | Repayment::Given { .. }) | None, None) => {}
    }
    match &order.state {
        State::Held { .. } | State::Settled { .. } | State::Withheld { .. } => Some(0),
        State::Refunded { .. } => Some(paid),
        // It was settled once, and is not any more.
        State::Charging { .. } | State::Pending { .. } | State::Cancelling { .. } | State::Closed { .. } => Some(paid),
    }
}
