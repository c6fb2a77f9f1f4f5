//! The orders that this process has claimed, and asks the gateway about now. At the end of the program they are handed over.

use qris_core::order::ids::OrderId;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub struct Claims {
    orders: Mutex<HashSet<OrderId>>,
    ended: Notify,
}

/// One of them, until its answer is in the books.
#[derive(Debug)]
pub struct Claimed<'a> {
    claims: &'a Claims,
    order: OrderId,
}

impl Claims {
    #[must_use]
    pub fn begin(&self, order: &OrderId) -> Claimed<'_> {
        self.orders().insert(order.clone());
        Claimed { claims: self, order: order.clone() }
    }

    #[must_use]
    pub fn open(&self) -> Vec<OrderId> {
        self.orders().iter().cloned().collect()
    }

    /// Waits until no question is open.
    pub async fn all_ended(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.orders().is_empty() {
                return;
            }
            ended.await;
        }
    }

    /// After a panic under the lock, an order is at worst handed over once more.
    fn orders(&self) -> MutexGuard<'_, HashSet<OrderId>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        self.claims.orders().remove(&self.order);
        self.claims.ended.notify_waiters();
    }
}
