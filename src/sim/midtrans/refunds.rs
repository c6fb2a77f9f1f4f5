//! Refunds, and those that the bank refuses.

use super::channel::{Acquirer, Channel};
use super::charge::{object, whole};
use super::options::KeyAgain;
use super::route::Route;
use super::transaction::{Refund, Status, Transaction, Via};
use super::{Midtrans, SimulatedAnswer};
use crate::midtrans::faults::{Fault, Moment};
use qris_core::order::time::{Span, Wall};
use serde_json::{Map, Value, json};

const REASON_CHARS_MAX: usize = 255;
const DAY_S: i64 = 86_400;

/// The `refund_key` in the body of a refund.
pub(super) fn key(route: Route<'_>, body: &[u8]) -> Option<String> {
    let Route::Refund(_) = route else { return None };
    object(body).ok()?.get("refund_key")?.as_str().map(ToOwned::to_owned)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Later {
    /// The bank confirms a refund.
    Confirm { transaction: usize, refund: usize },
    /// The bank refuses a refund that was approved: the newest one.
    Bounce { transaction: usize },
}

/// A merchant's request for a refund.
struct RefundRequest {
    amount: Option<i64>,
    key: Option<String>,
    reason: Option<String>,
}

impl Midtrans {
    /// `POST /v2/{id}/refund`.
    pub(super) fn refund(&mut self, id: &str, body: &[u8], now: Wall) -> (SimulatedAnswer, Option<Fault>) {
        let Some((at, transaction)) = self.books.find(id) else { return (self.unknown(), None) };
        let wanted = match RefundRequest::read(body) {
            Ok(wanted) => wanted,
            Err(Some(wrong)) => return (self.invalid(&[wrong]), None),
            Err(None) => return (self.malformed(), None),
        };
        let refused = match transaction.refundable(now) {
            Err(refused) => Some(refused),
            Ok(()) if !self.options.refunds => Some("Refund is not allowed for this merchant"),
            Ok(()) => None,
        };
        let used = wanted.key.as_deref().and_then(|key| transaction.refunds.iter().position(|refund| refund.key == key));
        if let Some(used) = used {
            let answer = match self.options.refund_key_again {
                KeyAgain::Conflict => self.error(406, "Duplicate refund ID"),
                KeyAgain::Replay => self.answer_about(transaction.refunded_answer(used, &self.options)),
            };
            return (answer, None);
        }
        let life = self.options.refund_key_life;
        if let Some(key) = &wanted.key {
            let keys = &mut self.books.at_mut(at).refund_keys;
            match keys.iter().find(|(tried, _)| tried == key) {
                Some((_, first)) if now - *first >= life => return (self.error(406, "Duplicate refund ID"), None),
                Some(_) => {}
                None => keys.push((key.clone(), now)),
            }
        }
        if let Some(refused) = refused {
            return (self.error(412, refused), None);
        }
        let transaction = self.books.at(at);
        let rest = transaction.gross - transaction.refunded();
        let amount = match wanted.amount {
            None => rest,
            Some(amount) => u64::try_from(amount).unwrap_or(0),
        };
        // ShopeePay gives back whole payments only (Midtrans' page on refunds).
        let takes_no_part = transaction.charge.channel == Channel::Qris(Acquirer::AirpayShopee) && amount != transaction.gross;
        if amount == 0 || amount > rest || takes_no_part {
            return (self.error(414, "Refund request is rejected due to invalid amount"), None);
        }
        if self.options.balance.is_some_and(|balance| balance < amount) {
            return (self.error(414, "Refund request is rejected due to merchant insufficient funds"), None);
        }
        let order_id = transaction.charge.order_id.clone();
        let fault = self.faults.take(Moment::Refund, "refund", &order_id);
        if fault == Some(Fault::DenyRefund) {
            let body = self.books.at(at).refund_denied(wanted.key.as_deref().unwrap_or(""), &self.options);
            return (self.answer_about(body), fault);
        }
        let refund = self.pay_back(at, amount, wanted, now);
        let after = self.options.refund_confirmed_after;
        self.later(
            now + after,
            if fault.is_some() { Later::Bounce { transaction: at } } else { Later::Confirm { transaction: at, refund } },
        );
        (self.answer_about(self.books.at(at).refunded_answer(refund, &self.options)), fault)
    }

    /// Enters a refund, and tells of it. Returns its place in the list.
    fn pay_back(&mut self, at: usize, amount: u64, wanted: RefundRequest, now: Wall) -> usize {
        self.refund_ids += 1;
        let refund = Refund {
            id: self.refund_ids,
            uuid: self.rng.uuid(),
            amount,
            reason: wanted.reason,
            key: wanted.key.unwrap_or_else(|| self.rng.uuid()),
            made_at: now,
            confirmed_at: None,
        };
        if let Some(balance) = &mut self.options.balance {
            *balance -= amount;
        }
        let transaction = self.books.at_mut(at);
        transaction.refunds.push(refund);
        let (refund, all) = (transaction.refunds.len() - 1, transaction.refunded() == transaction.gross);
        self.books.set(at, if all { Status::Refund } else { Status::PartialRefund });
        self.notify(at, now);
        refund
    }

    pub(super) fn happen(&mut self, what: &Later, now: Wall) {
        match *what {
            Later::Confirm { transaction, refund } => {
                self.books.at_mut(transaction).refunds[refund].confirmed_at = Some(now);
                self.notify(transaction, now);
            }
            Later::Bounce { transaction } => {
                let bounced = self.books.at_mut(transaction).refunds.pop();
                if let (Some(balance), Some(bounced)) = (&mut self.options.balance, bounced) {
                    *balance += bounced.amount;
                }
                let left = self.books.at(transaction).refunded();
                self.books.set(transaction, if left == 0 { Status::Settlement } else { Status::PartialRefund });
                self.notify(transaction, now);
            }
        }
    }
}

impl RefundRequest {
    /// `Err(None)`: it is no JSON object. `Err(Some)`: the fault in it. Without a body the refund is
    /// for the whole amount.
    fn read(body: &[u8]) -> Result<Self, Option<String>> {
        let body = match body {
            b"" | b"null" => Map::new(),
            body => object(body).map_err(|_| None)?,
        };
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let amount = match body.get("amount") {
            None | Some(Value::Null) => None,
            Some(value) => Some(whole(value).ok_or_else(|| Some("amount must be a whole number".to_owned()))?),
        };
        let (key, reason) = (text("refund_key"), text("reason"));
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if key.as_deref().is_some_and(|key| key.is_empty() || !key.chars().all(allowed)) {
            return Err(Some("refund_key contains characters that are not allowed".into()));
        }
        if reason.as_deref().is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX) {
            return Err(Some("reason length must be less than or equal to 255".into()));
        }
        Ok(Self { amount, key, reason })
    }
}

impl Transaction {
    fn refundable(&self, now: Wall) -> Result<(), &'static str> {
        const CANNOT: &str = "Merchant cannot modify the status of the transaction";
        match self.status {
            Status::Settlement | Status::PartialRefund if self.charge.channel.is_refundable() => {}
            Status::Settlement
            | Status::PartialRefund
            | Status::Pending
            | Status::Expire
            | Status::Cancel
            | Status::Deny
            | Status::Failure
            | Status::Refund
            | Status::Chargeback
            | Status::PartialChargeback => return Err(CANNOT),
        }
        let window = match (self.charge.channel, self.paid_via) {
            (Channel::Gopay, Some(Via::Gopay) | None) => Span::secs(45 * DAY_S),
            (Channel::Qris(Acquirer::AirpayShopee), _) => Span::secs(365 * DAY_S),
            (Channel::Gopay | Channel::Qris(_), Some(Via::Qris)) => Span::secs(7 * DAY_S),
            (Channel::Qris(_), Some(Via::Gopay) | None) => Span::secs(45 * DAY_S),
            (Channel::Cstore(_), _) => Span::secs(365 * DAY_S),
        };
        if self.settled_at.is_some_and(|at| now - at > window) { Err(CANNOT) } else { Ok(()) }
    }

    fn refunded_answer(&self, refund: usize, options: &super::Options) -> Value {
        let refund = &self.refunds[refund];
        let mut answer = self.facts("200", options);
        answer["status_message"] = json!("Success, refund request is approved");
        answer["settlement_time"] = json!(self.settled_at.map(Wall::to_wib));
        answer["refund_chargeback_id"] = json!(refund.id);
        answer["refund_chargeback_uuid"] = json!(refund.uuid);
        answer["refund_amount"] = json!(format!("{}.00", refund.amount));
        answer["refund_key"] = json!(refund.key);
        answer
    }

    fn refund_denied(&self, key: &str, options: &super::Options) -> Value {
        let mut answer = self.facts("202", options);
        answer["status_message"] = json!("Refund denied by the bank");
        answer["refund_amount"] = json!("0.00");
        answer["refund_key"] = json!(key);
        answer
    }
}
