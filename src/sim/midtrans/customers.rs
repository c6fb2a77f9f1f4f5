//! What customers, time and the people at the controls do to transactions, and what Midtrans then tells the merchant.

use super::{Book, IDEMPOTENCY_LIFE, Logged, Midtrans, Notice, Paid, PayError, Plan, Status, Via, is_held};
use crate::order::time::{Span, Wall};
use crate::sim::faults::{Fault, Moment};
use serde_json::json;

impl Midtrans {
    /// A customer pays, found by order_id, transaction_id or the text in the QR. With `force` also what was cancelled
    /// or has expired: a payment that was under way when it ended.
    ///
    /// # Errors
    /// What the app tells the customer; no money moves.
    pub fn pay(&mut self, name: &str, via: Via, force: bool, now: Wall) -> Result<Paid, PayError> {
        self.run_batch(now);
        let at = self.payable(name, force, now)?;
        self.books.set(at, Status::Settlement);
        let transaction = self.books.at_mut(at);
        transaction.settled_at = Some(now);
        transaction.paid_via = Some(via);
        let paid = Paid { order_id: transaction.charge.order_id.clone(), amount: transaction.gross };
        self.notify(at, now);
        Ok(paid)
    }

    /// A wrong PIN, or no balance: the transaction stays pending and nobody is told.
    ///
    /// # Errors
    /// As for [`Midtrans::pay`].
    pub fn fail(&mut self, name: &str, now: Wall) -> Result<Paid, PayError> {
        self.run_batch(now);
        let at = self.payable(name, false, now)?;
        let transaction = self.books.at_mut(at);
        transaction.failed_attempts = transaction.failed_attempts.saturating_add(1);
        Ok(Paid { order_id: transaction.charge.order_id.clone(), amount: transaction.gross })
    }

    fn payable(&self, name: &str, force: bool, now: Wall) -> Result<usize, PayError> {
        let (at, transaction) = self.books.find(name).ok_or(PayError::Unknown)?;
        match transaction.status {
            Status::Pending if transaction.charge.expires_at > now || force => Ok(at),
            Status::Expire | Status::Cancel if force => Ok(at),
            Status::Pending | Status::Expire => Err(PayError::Expired),
            Status::Cancel => Err(PayError::Cancelled),
            Status::Settlement => Err(PayError::AlreadyPaid),
            Status::Deny => Err(PayError::Denied),
        }
    }

    /// Tells the merchant once more what the transaction is now.
    ///
    /// # Errors
    /// [`PayError::Unknown`]
    pub fn notify_again(&mut self, name: &str, now: Wall) -> Result<(), PayError> {
        let (at, _) = self.books.find(name).ok_or(PayError::Unknown)?;
        self.notify(at, now);
        Ok(())
    }

    /// Queues the notification of what a transaction is now.
    pub(super) fn notify(&mut self, at: usize, now: Wall) {
        let transaction = self.books.at(at);
        let status = transaction.status;
        let mut body = transaction.signed(status.notification_code(), &self.options.merchant.id, &self.options.server_key);
        body["status_message"] = json!("midtrans payment notification");
        let order_id = transaction.charge.order_id.clone();
        let notice =
            |url: &String| Notice { url: url.clone(), body: body.to_string().into_bytes(), order_id: order_id.clone(), retries: 0 };
        let (mut due, mut copies) = (now + self.options.notification_delay, 1);
        match self.faults.take(Moment::Notification, status.as_str(), &order_id) {
            Some(Fault::DropNotification) => copies = 0,
            Some(Fault::DuplicateNotification) => copies = 2,
            Some(Fault::DelayNotification { ms }) => due = due + Span::millis(ms),
            _ => {}
        }
        for _ in 0..copies {
            for url in &self.books.at(at).urls {
                self.notices.add(due, notice(url));
            }
        }
    }

    /// What is to be sent now; nothing of it is kept, so each must come back to [`Midtrans::notified`].
    pub fn due(&mut self, now: Wall) -> Vec<Notice> {
        self.run_batch(now);
        self.notices.take_due(now)
    }

    /// How the merchant answered; `None` if it did not within 15 s.
    pub fn notified(&mut self, notice: Notice, http: Option<u16>, now: Wall) {
        self.notices.answered(notice, http, &self.options.retry_spacing, &mut self.rng, now);
    }

    /// When [`Midtrans::due`] must be called next.
    #[must_use]
    pub fn next_due(&self) -> Option<Wall> {
        self.notices.next_due().into_iter().chain(self.next_batch).min()
    }

    /// Expires what is over, when its hour has come: late, as the real batch.
    pub(super) fn run_batch(&mut self, now: Wall) {
        let batch = *self.next_batch.get_or_insert(now + self.options.batch_every);
        if now < batch {
            return;
        }
        self.next_batch = Some(now + self.options.batch_every);
        let held = &self.held;
        self.keys.retain(|_, kept| now - kept.at < IDEMPOTENCY_LIFE || kept.hold.is_some_and(|hold| is_held(held, hold, now)));
        for at in self.books.overdue(now) {
            self.books.set(at, Status::Expire);
            self.notify(at, now);
        }
    }

    /// Plans a fault.
    pub fn plan(&mut self, plan: impl Into<Plan>) {
        self.faults.add(plan.into());
    }

    /// What is planned.
    #[must_use]
    pub fn plans(&self) -> &[Plan] {
        self.faults.plans()
    }

    /// Cancels every plan; what is held stays held.
    pub fn heal(&mut self) {
        self.faults.clear();
    }

    /// Whether a held answer must still wait.
    #[must_use]
    pub fn is_held(&self, hold: u64, now: Wall) -> bool {
        is_held(&self.held, hold, now)
    }

    /// Until when an answer is held; `None` if until it is released.
    #[must_use]
    pub fn held_until(&self, hold: u64) -> Option<Wall> {
        self.held.get(&hold).copied().flatten()
    }

    /// Forgets a hold whose answer has gone.
    pub fn let_go(&mut self, hold: u64) {
        self.held.remove(&hold);
    }

    /// Lets every held answer go; how many there were.
    pub fn release(&mut self) -> usize {
        std::mem::take(&mut self.held).len()
    }

    /// How many answers are held.
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
}
