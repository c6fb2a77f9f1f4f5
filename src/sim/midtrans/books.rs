//! The memory of the simulated Midtrans: its transactions, and a log of the requests.

use super::channel::Channel;
use super::transaction::{Status, Transaction};
use crate::midtrans::faults::Fault;
use qris_core::order::qris::with_capitals;
use qris_core::order::time::Wall;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// That many take about a gigabyte.
const TRANSACTIONS_MAX: usize = 1_000_000;

#[derive(Default)]
pub(super) struct Books {
    all: Vec<Transaction>,
    /// The latest transaction of an order_id. A transaction that ended unpaid frees the order_id.
    by_order: BTreeMap<String, usize>,
    /// transaction_id, QR payload, image, deeplink, payment code.
    by_name: BTreeMap<String, usize>,
    /// The transactions that the batch must look at.
    pending: BTreeSet<(Wall, usize)>,
}

impl Books {
    pub fn add(&mut self, transaction: Transaction) -> usize {
        let at = self.all.len();
        self.by_order.insert(transaction.charge.order_id.clone(), at);
        // Apps take the check value in small letters and in capitals.
        let payload = with_capitals(&transaction.payload);
        let names =
            [&transaction.id, &transaction.payload, &payload, &transaction.image_token, &transaction.deeplink_id, &transaction.code];
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            self.by_name.insert(name.clone(), at);
        }
        if transaction.status == Status::Pending {
            self.pending.insert((transaction.charge.expires_at, at));
        }
        self.all.push(transaction);
        at
    }

    pub fn is_full(&self) -> bool {
        self.all.len() >= TRANSACTIONS_MAX
    }

    pub fn at(&self, at: usize) -> &Transaction {
        &self.all[at]
    }

    pub fn at_mut(&mut self, at: usize) -> &mut Transaction {
        &mut self.all[at]
    }

    pub fn of_order(&self, order_id: &str) -> Option<(usize, &Transaction)> {
        self.by_order.get(order_id).map(|at| (*at, &self.all[*at]))
    }

    /// Finds one by order_id, transaction_id or any other of its names.
    pub fn find(&self, name: &str) -> Option<(usize, &Transaction)> {
        self.of_order(name).or_else(|| self.by_name.get(name).map(|at| (*at, &self.all[*at])))
    }

    pub fn set(&mut self, at: usize, status: Status) {
        let transaction = &mut self.all[at];
        let key = (transaction.charge.expires_at, at);
        if status == Status::Pending {
            self.pending.insert(key);
        } else {
            self.pending.remove(&key);
        }
        transaction.status = status;
    }

    pub fn overdue(&self, now: Wall) -> Vec<usize> {
        self.pending.range(..=(now, usize::MAX)).map(|(_, at)| *at).collect()
    }

    pub fn all(&self) -> impl Iterator<Item = &Transaction> {
        self.all.iter()
    }
}

/// A transaction as tests and pages see it. Times are milliseconds of UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Book {
    /// The merchant's name for it.
    pub order_id: String,
    /// Midtrans' name for it.
    pub transaction_id: String,
    /// `gopay`, `qris`, `cstore`, as messages tell it now.
    pub payment_type: &'static str,
    /// `pending`, `settlement`, `expire`, `cancel`, `deny`, `refund`, …
    pub status: &'static str,
    /// `accept`, `challenge`, `deny`
    pub fraud_status: &'static str,
    /// The amount of the charge, rupiah.
    pub amount: u64,
    /// The amount that the customer pays, rupiah.
    pub gross_amount: u64,
    pub made_at_ms: i64,
    /// When it may expire.
    pub expires_at_ms: i64,
    pub settled_at_ms: Option<i64>,
    pub failed_attempts: u32,
    /// The names of what is sold.
    pub goods: Vec<String>,
    /// `custom_field1..3`
    pub custom_fields: [Option<String>; 3],
    /// The text of its QR; empty if there is none.
    pub qr_payload: String,
    /// `alfamart`, `indomaret`
    pub store: Option<&'static str>,
    /// The code that is typed at the counter.
    pub payment_code: Option<String>,
    /// The text that the shop prints.
    pub receipt: Vec<String>,
    /// The sum that went back to the customer, rupiah.
    pub refunded: u64,
    /// The last part of the link that opens GoPay.
    pub deeplink_id: String,
    /// The address to which GoPay sends its customer at the end.
    pub callback_url: Option<String>,
}

impl Book {
    pub(super) fn of(transaction: &Transaction) -> Self {
        Self {
            order_id: transaction.charge.order_id.clone(),
            transaction_id: transaction.id.clone(),
            payment_type: transaction.payment_type(),
            status: transaction.status.as_str(),
            amount: transaction.charge.amount,
            gross_amount: transaction.gross,
            made_at_ms: transaction.made_at.0,
            expires_at_ms: transaction.charge.expires_at.0,
            settled_at_ms: transaction.settled_at.map(|at| at.0),
            failed_attempts: transaction.failed_attempts,
            goods: transaction.charge.goods.clone(),
            custom_fields: transaction.charge.custom_fields.clone(),
            qr_payload: transaction.payload.clone(),
            fraud_status: transaction.fraud.as_str(),
            store: if let Channel::Cstore(store) = transaction.charge.channel { Some(store.as_str()) } else { None },
            payment_code: Some(transaction.code.clone()).filter(|code| !code.is_empty()),
            receipt: transaction.charge.receipt.clone(),
            refunded: transaction.refunded(),
            deeplink_id: transaction.deeplink_id.clone(),
            callback_url: transaction.charge.callback_url.clone(),
        }
    }
}

/// One request, for tests that count and time them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Logged {
    /// Milliseconds of UTC by the simulator's clock.
    pub at_ms: i64,
    /// `GET`, `POST`
    pub method: String,
    /// Without the query.
    pub path: String,
    /// `charge`, `status`, `cancel`, `expire`, `refund`, `qr_image`, …, `none`
    pub call: &'static str,
    /// Empty if the request names no order.
    pub order_id: String,
    /// `Idempotency-Key`, as sent.
    pub idempotency_key: Option<String>,
    /// `refund_key` of a refund, as sent.
    pub refund_key: Option<String>,
    /// The HTTP status of its answer; none if the connection was cut.
    pub http: Option<u16>,
    pub status_code: Option<String>,
    pub fault: Option<Fault>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Paid {
    pub order_id: String,
    /// Whole rupiah, fees included.
    pub amount: u64,
}

impl Transaction {
    pub(super) fn paid(&self) -> Paid {
        Paid { order_id: self.charge.order_id.clone(), amount: self.gross }
    }
}

/// Why a customer's app does not pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum PayError {
    /// It is no QR of this Midtrans.
    #[error("unknown")]
    Unknown,
    /// This customer or another has paid it.
    #[error("already_paid")]
    AlreadyPaid,
    /// Its time is over, even if the batch has not come by.
    #[error("expired")]
    Expired,
    #[error("cancelled")]
    Cancelled,
    /// The charge was never made.
    #[error("denied")]
    Denied,
    /// There is nothing to take back.
    #[error("not_paid")]
    NotPaid,
}
