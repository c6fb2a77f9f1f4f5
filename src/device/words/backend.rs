//! The calls to the backend, and its answers.

use qris_core::order::ids::OrderId;
use qris_core::order::late_sign::LateNews;
use qris_core::order::money::{Rupiah, total};
use qris_core::order::proof::RelayKey;
use qris_core::order::reason::Reason;
use qris_core::order::request::{Payment, Refusal};
use qris_core::order::time::Span;
use qris_core::wire::orders::{Amounts, NewOrder, OpenOrders, OrderResource, OutcomeReport};
use qris_core::wire::topics::TopicsTold;
use std::collections::BTreeMap;

/// What a machine shows of itself when it asks for its open orders.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Identity {
    /// The key with which its relay signs its proofs.
    pub relay_key: Option<RelayKey>,
    /// The id of its newest event.
    pub newest_event: Option<Box<str>>,
    /// Another computer takes its place at the broker again and again.
    pub taken_over: bool,
    /// What its relay says of goods after the end of their try was signed.
    pub late_sign: Option<LateNews>,
    /// Its topics there.
    pub topics: TopicsTold,
}

/// The sums that can be charged, by the backend's last word; empty: it has said none, and nobody knows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Charges(pub BTreeMap<Box<str>, Amounts>);

impl Charges {
    /// Whether one of the ways to pay takes this price.
    #[must_use]
    pub fn takes(&self, price: Rupiah) -> bool {
        self.0.is_empty() || self.0.values().any(|amounts| amounts.takes(price))
    }

    /// The least and the most that any of them takes.
    #[must_use]
    pub fn bounds(&self) -> Option<[u64; 2]> {
        Some([self.0.values().map(|amounts| amounts.min).min()?, self.0.values().map(|amounts| amounts.max).max()?])
    }

    /// A request that wants to pay in this way. The backend may know a way that it does not name here.
    pub(crate) fn judge(&self, amount: Rupiah, payment: Payment) -> Result<(), Refusal> {
        match self.0.get(payment.as_str()) {
            Some(amounts) if !amounts.takes(amount) => {
                let why = format!("{} takes {} to {}, and not {amount}", payment.as_str(), total(amounts.min), total(amounts.max));
                Err(Refusal::field(Reason::WrongAmount, "amount", why))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HttpCall {
    /// `POST /v1/orders`.
    Create(Box<NewOrder>),
    /// `GET /v1/orders/{order_id}?wait=&since=`.
    Watch(OrderId, u64),
    /// `GET /v1/orders/{order_id}?ask=true`.
    Get(OrderId),
    /// `POST /v1/orders/{order_id}/cancel`.
    Cancel(OrderId),
    /// `POST /v1/orders/{order_id}/again`, with the relay's promise.
    TryAgain(OrderId, Box<str>),
    /// `POST /v1/orders/{order_id}/outcome`.
    Tell(OrderId, OutcomeReport),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BackendAnswer {
    Order(Box<OrderResource>),
    Open(OpenOrders),
    /// The backend itself says that its books do not have this order.
    Absent,
    /// The answer to an outcome: the backend itself says that it has another outcome of this order. This counts as told.
    OtherOutcome,
    /// It refuses. To ask the same again is of no use.
    Refused(Refusal),
    /// It cannot answer now (503). Ask again after this time.
    Later(Refusal, Span),
    /// It does not let this machine in (401).
    Wrong(Refusal),
    /// There is no answer, or it is not surely the backend's and about this question. Nobody knows what the backend did.
    NoAnswer {
        /// Why, for people.
        why: Box<str>,
        /// Why, as a problem's code.
        code: Option<Reason>,
        /// Its certificate's dates were refused.
        date_refusal: bool,
    },
}
