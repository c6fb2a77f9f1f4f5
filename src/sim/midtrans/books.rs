//! What the simulated Midtrans remembers: its transactions and who asked for what.

use super::channel::Channel;
use super::transaction::{Status, Transaction};
use crate::faults::Fault;
use qris_core::order::time::Wall;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// About a gigabyte of them.
const TRANSACTIONS_MAX: usize = 1_000_000;

/// Every transaction, and the names by which each is found.
#[derive(Default)]
pub(super) struct Books {
    all: Vec<Transaction>,
    /// The latest of an order_id: one that ended unpaid frees it.
    by_order: BTreeMap<String, usize>,
    /// transaction_id, QR payload, image, deeplink, payment code.
    by_name: BTreeMap<String, usize>,
    /// What the batch must look at.
    pending: BTreeSet<(Wall, usize)>,
}

impl Books {
    pub fn add(&mut self, transaction: Transaction) -> usize {
        let at = self.all.len();
        self.by_order.insert(transaction.charge.order_id.clone(), at);
        let names = [&transaction.id, &transaction.payload, &transaction.image_token, &transaction.deeplink_id, &transaction.code];
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

    /// By order_id, transaction_id or any other of its names.
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

    /// Pending ones whose time is over.
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
    /// The merchant's name of it.
    pub order_id: String,
    /// Midtrans' name of it.
    pub transaction_id: String,
    /// `gopay`, `qris`, `cstore`, `bank_transfer`, `credit_card`, as it is told now.
    pub payment_type: &'static str,
    /// `pending`, `settlement`, `expire`, `cancel`, `deny`, `refund`, …
    pub status: &'static str,
    /// `accept`, `challenge`, `deny`
    pub fraud_status: &'static str,
    /// What was charged, rupiah.
    pub amount: u64,
    /// What the customer pays, rupiah.
    pub gross_amount: u64,
    /// When it was charged.
    pub made_at_ms: i64,
    /// When it may expire.
    pub expires_at_ms: i64,
    /// When it was paid.
    pub settled_at_ms: Option<i64>,
    /// Attempts in the app that failed.
    pub failed_attempts: u32,
    /// `custom_field1..3`
    pub custom_fields: [Option<String>; 3],
    /// What is in its QR; empty where there is none.
    pub qr_payload: String,
    /// `alfamart`, `indomaret`
    pub store: Option<&'static str>,
    /// What is typed at the counter; an account number.
    pub payment_code: Option<String>,
    /// What the shop prints.
    pub receipt: Vec<String>,
    /// What went back to the customer, rupiah.
    pub refunded: u64,
    /// The last part of the link that opens GoPay.
    pub deeplink_id: String,
    /// Where GoPay sends its customer when all is over.
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
    /// Empty where the request names none.
    pub order_id: String,
    /// `Idempotency-Key`, as sent.
    pub idempotency_key: Option<String>,
    /// The HTTP status of its answer; none where the connection was cut.
    pub http: Option<u16>,
    /// The body's.
    pub status_code: Option<String>,
    /// What went wrong on purpose.
    pub fault: Option<Fault>,
}

/// What a customer has paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Paid {
    /// For what.
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
    /// No QR of this Midtrans.
    #[error("unknown")]
    Unknown,
    /// By this customer or another.
    #[error("already_paid")]
    AlreadyPaid,
    /// Its time is over, whether the batch came by or not.
    #[error("expired")]
    Expired,
    /// By the merchant.
    #[error("cancelled")]
    Cancelled,
    /// It never was a charge.
    #[error("denied")]
    Denied,
    /// There is nothing to take back.
    #[error("not_paid")]
    NotPaid,
}
