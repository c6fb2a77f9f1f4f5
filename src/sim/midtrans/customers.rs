//! The acts of customers, of time and of the people at the controls, and what Midtrans then tells the merchant.

use super::forgery::Forgery;
use super::{Attempt, Book, Fraud, Logged, Midtrans, Notice, Paid, PayError, Plan, SimulatedAnswer, Status, Via, is_held};
use crate::midtrans::faults::{Fault, Moment};
use qris_core::order::time::{Span, Wall};
use serde_json::{Map, Value, json};

impl Midtrans {
    /// A customer pays. The transaction is found by order_id, transaction_id, payment code or the text in the QR.
    /// `via` is the app that reads a QR; at a counter it means nothing. With `force` a cancelled or expired
    /// transaction is paid too: the payment was under way when it ended.
    ///
    /// # Errors
    /// The app's message to the customer; no money moves.
    pub fn pay(&mut self, name: &str, via: Via, force: bool, now: Wall) -> Result<Paid, PayError> {
        self.pass(now);
        let at = self.payable(name, force, now)?;
        self.books.set(at, Status::Settlement);
        let transaction = self.books.at_mut(at);
        transaction.settled_at = Some(now);
        transaction.paid_via = transaction.charge.channel.has_qr().then_some(via);
        let paid = transaction.paid();
        self.notify(at, now);
        Ok(paid)
    }

    /// A wrong PIN, or too little money: the transaction stays pending and nobody is told.
    pub fn fail(&mut self, name: &str, now: Wall) -> Result<Paid, PayError> {
        self.pass(now);
        let at = self.payable(name, false, now)?;
        let transaction = self.books.at_mut(at);
        transaction.failed_attempts = transaction.failed_attempts.saturating_add(1);
        Ok(transaction.paid())
    }

    fn payable(&self, name: &str, force: bool, now: Wall) -> Result<usize, PayError> {
        let (at, transaction) = self.books.find(name).ok_or(PayError::Unknown)?;
        match transaction.status {
            Status::Pending if transaction.charge.expires_at > now || force => Ok(at),
            Status::Expire | Status::Cancel if force => Ok(at),
            Status::Pending | Status::Expire => Err(PayError::Expired),
            Status::Cancel => Err(PayError::Cancelled),
            Status::Deny | Status::Failure => Err(PayError::Denied),
            Status::Settlement | Status::Refund | Status::PartialRefund | Status::Chargeback | Status::PartialChargeback => {
                Err(PayError::AlreadyPaid)
            }
        }
    }

    /// Tells the merchant once more the present state of the transaction.
    pub fn notify_again(&mut self, name: &str, now: Wall) -> Result<Paid, PayError> {
        let (at, _) = self.books.find(name).ok_or(PayError::Unknown)?;
        self.notify(at, now);
        Ok(self.books.at(at).paid())
    }

    /// Cancelled or expired at the dashboard, by the rules of the API, and with its answer.
    pub fn end_by_hand(&mut self, name: &str, how: Status, now: Wall) -> Value {
        self.pass(now);
        body_of(&self.end(name, how, now))
    }

    /// Refunded at the dashboard. A merchant may do this even if the API refuses it to him.
    pub fn refund_by_hand(&mut self, name: &str, body: &[u8], now: Wall) -> Value {
        self.pass(now);
        let allowed = std::mem::replace(&mut self.options.refunds, true);
        let (answer, _) = self.refund(name, body, now);
        self.options.refunds = allowed;
        body_of(&answer)
    }

    /// A shop takes back a payment that it has told, as Indomaret does within minutes: settlement becomes deny.
    pub fn reverse(&mut self, name: &str, now: Wall) -> Result<Paid, PayError> {
        let at = self.paid(name, now)?;
        self.books.set(at, Status::Deny);
        self.notify(at, now);
        Ok(self.books.at(at).paid())
    }

    /// The customer's bank takes money back: all of it, or the given part.
    pub fn charge_back(&mut self, name: &str, amount: Option<u64>, now: Wall) -> Result<Paid, PayError> {
        let at = self.paid(name, now)?;
        let transaction = self.books.at_mut(at);
        transaction.charged_back = amount.unwrap_or(transaction.gross).min(transaction.gross);
        let status = if transaction.charged_back == transaction.gross { Status::Chargeback } else { Status::PartialChargeback };
        self.books.set(at, status);
        self.notify(at, now);
        Ok(self.books.at(at).paid())
    }

    fn paid(&mut self, name: &str, now: Wall) -> Result<usize, PayError> {
        self.pass(now);
        let (at, transaction) = self.books.find(name).ok_or(PayError::Unknown)?;
        match transaction.status {
            Status::Settlement | Status::PartialRefund | Status::PartialChargeback => Ok(at),
            Status::Pending | Status::Expire | Status::Cancel | Status::Deny | Status::Failure | Status::Refund | Status::Chargeback => {
                Err(PayError::NotPaid)
            }
        }
    }

    /// Sets the status of a transaction, whatever it was, and tells the merchant unless `quietly`.
    pub fn set(&mut self, name: &str, status: Option<Status>, fraud: Option<Fraud>, quietly: bool, now: Wall) -> Result<Paid, PayError> {
        self.pass(now);
        let (at, _) = self.books.find(name).ok_or(PayError::Unknown)?;
        if let Some(status) = status {
            self.books.set(at, status);
        }
        let transaction = self.books.at_mut(at);
        transaction.fraud = fraud.unwrap_or(transaction.fraud);
        if transaction.status == Status::Settlement {
            transaction.settled_at.get_or_insert(now);
        }
        if !quietly {
            self.notify(at, now);
        }
        Ok(self.books.at(at).paid())
    }

    /// Sends a notification that Midtrans would not have sent, made from the true one. For an order that nobody knows
    /// it is a settlement of 5000 rupiah. Without an address it goes to the addresses of the order.
    ///
    /// # Errors
    /// [`PayError::Unknown`] where there is nowhere to send it.
    pub fn forge(&mut self, name: &str, forgery: &Forgery, url: Option<String>, now: Wall) -> Result<Paid, PayError> {
        self.pass(now);
        let known = self.books.find(name).map(|(at, _)| at);
        let mut body = match known {
            Some(at) => self.message(at),
            None => self.strangers_message(name, now),
        };
        forgery.alter(&mut body, &self.options.server_key);
        let mut urls = known.map_or_else(|| self.options.notification_urls.clone(), |at| self.books.at(at).urls.clone());
        if let Some(url) = url {
            urls = vec![url];
        }
        if urls.is_empty() {
            return Err(PayError::Unknown);
        }
        let fault = Some(Fault::ForgeNotification(forgery.clone()));
        for url in urls {
            let notice = Notice { url, body: text(&body), order_id: name.to_owned(), retries: 0, fault: fault.clone() };
            self.notices.add(now, notice);
        }
        Ok(known.map_or_else(|| Paid { order_id: name.to_owned(), amount: 0 }, |at| self.books.at(at).paid()))
    }

    fn strangers_message(&mut self, order_id: &str, now: Wall) -> Map<String, Value> {
        let body = json!({
            "transaction_time": now.to_wib(), "transaction_status": "settlement", "transaction_id": self.rng.uuid(),
            "status_message": NOTIFICATION, "status_code": "200", "signature_key": "", "settlement_time": now.to_wib(),
            "payment_type": "gopay", "order_id": order_id, "merchant_id": self.options.merchant.id, "gross_amount": "5000.00",
            "fraud_status": "accept", "currency": "IDR",
        });
        body.as_object().cloned().unwrap_or_default()
    }

    fn message(&self, at: usize) -> Map<String, Value> {
        let transaction = self.books.at(at);
        let mut body = transaction.signed(transaction.notification_code(), &self.options);
        body["status_message"] = json!(NOTIFICATION);
        body.as_object().cloned().unwrap_or_default()
    }

    /// Queues the notification of a transaction's present state.
    pub(super) fn notify(&mut self, at: usize, now: Wall) {
        let transaction = self.books.at(at);
        if transaction.urls.is_empty() {
            return;
        }
        let (status, order_id, urls) = (transaction.status, transaction.charge.order_id.clone(), transaction.urls.clone());
        let mut body = self.message(at);
        let fault = self.faults.take(Moment::Notification, status.as_str(), &order_id);
        let (mut due, mut copies) = (now, 1);
        match &fault {
            Some(Fault::DropNotification) => copies = 0,
            Some(Fault::DuplicateNotification) => copies = 2,
            Some(Fault::DelayNotification { ms }) => due = due + Span::millis(*ms),
            Some(Fault::ForgeNotification(forgery)) => forgery.alter(&mut body, &self.options.server_key),
            _ => {}
        }
        for url in urls {
            let notice = Notice { url, body: text(&body), order_id: order_id.clone(), retries: 0, fault: fault.clone() };
            if copies == 0 {
                self.notices.remember(&notice, None, now);
            }
            for _ in 0..copies {
                if fault == Some(Fault::ReorderNotification) {
                    self.notices.hold_back(notice.clone());
                } else {
                    self.notices.add(due, notice.clone());
                }
            }
        }
    }

    /// The notifications to send now. Nothing of them is kept here, so each must come back to [`Midtrans::notified`].
    pub fn due(&mut self, now: Wall) -> Vec<Notice> {
        self.pass(now);
        self.notices.take_due(now)
    }

    /// How the merchant answered; `None` if it did not in time.
    pub fn notified(&mut self, notice: Notice, http: Option<u16>, now: Wall) {
        self.notices.remember(&notice, Some(http), now);
        self.notices.answered(notice, http, &self.options.retry_spacing, &mut self.rng, now);
    }

    /// When [`Midtrans::due`] must be called next.
    #[must_use]
    pub fn next_due(&self) -> Option<Wall> {
        let later = self.later.first_key_value().map(|((at, _), _)| *at);
        self.notices.next_due().into_iter().chain(self.next_batch).chain(later).min()
    }

    /// Lets everything happen that is due until now: the planned events, and the batch that expires transactions whose
    /// time is over. The batch runs as late as the real one.
    pub(super) fn pass(&mut self, now: Wall) {
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            let what = entry.remove();
            self.happen(&what, now);
        }
        let batch = *self.next_batch.get_or_insert(now + self.options.batch_every);
        if now < batch {
            return;
        }
        self.next_batch = Some(now + self.options.batch_every);
        self.forget_old_keys(now);
        for at in self.books.overdue(now) {
            self.books.set(at, Status::Expire);
            self.notify(at, now);
        }
    }

    pub fn plan(&mut self, plan: impl Into<Plan>) {
        self.faults.add(plan.into());
    }

    #[must_use]
    pub fn plans(&self) -> &[Plan] {
        self.faults.plans()
    }

    /// Cancels every plan. Held answers stay held.
    pub fn heal(&mut self) {
        self.faults.clear();
    }

    #[must_use]
    pub fn is_held(&self, hold: u64, now: Wall) -> bool {
        is_held(&self.held, hold, now)
    }

    /// Until when an answer is held; `None` if it waits for a release.
    #[must_use]
    pub fn held_until(&self, hold: u64) -> Option<Wall> {
        self.held.get(&hold).copied().flatten()
    }

    /// Forgets a hold whose answer has gone.
    pub fn let_go(&mut self, hold: u64) {
        self.held.remove(&hold);
    }

    /// Lets every held answer go, and tells how many there were.
    pub fn release(&mut self) -> usize {
        std::mem::take(&mut self.held).len()
    }

    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Every transaction, the oldest first.
    #[must_use]
    pub fn transactions(&self) -> Vec<Book> {
        self.books.all().map(Book::of).collect()
    }

    /// One, by any of its names.
    #[must_use]
    pub fn transaction(&self, name: &str) -> Option<Book> {
        self.books.find(name).map(|(_, transaction)| Book::of(transaction))
    }

    /// The last 100,000 requests, the oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Logged> {
        self.log.iter().cloned().collect()
    }

    pub fn forget_requests(&mut self) {
        self.log.clear();
    }

    /// The last 10,000 attempts to deliver a notification, the oldest first; those of one order where one is named.
    #[must_use]
    pub fn attempts(&self, order_id: Option<&str>) -> Vec<Attempt> {
        self.notices.attempts(order_id)
    }
}

const NOTIFICATION: &str = "midtrans payment notification";

fn body_of(answer: &SimulatedAnswer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

fn text(body: &Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}
