//! The books, as the running backend has them: their database, the merchant's decisions, and the bells that a change rings.

use crate::sale::books::{BooksError, Policy};
use crate::store::{Store, Tx, WatchedStore};
use qris_core::order::keys::SigningKey;
use qris_core::order::time::{Now, Told, Wall};
use qris_host::random;
use qris_host::surroundings::Surroundings;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Notify;

#[derive(Debug)]
pub struct Books {
    database: WatchedStore,
    /// The merchant's decisions. Their keys change while the program runs.
    policy: RwLock<Arc<Policy>>,
    process: String,
    due: Notify,
    outbox: Notify,
    alerts: Notify,
}

/// What a change of the books rings. One task waits for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bell {
    Due,
    Outbox,
    Alerts,
}

impl Books {
    #[must_use]
    pub fn new(store: Store, policy: Policy, around: Arc<dyn Surroundings>) -> Self {
        Self {
            database: WatchedStore::new(store, around, "of orders"),
            policy: RwLock::new(Arc::new(policy)),
            process: random::name(),
            due: Notify::new(),
            outbox: Notify::new(),
            alerts: Notify::new(),
        }
    }

    /// The time of day, by the clock of the books.
    #[must_use]
    pub fn now(&self) -> Told {
        self.database.now()
    }

    /// See [`latest`](qris_host::reckoning::Reckoning::latest): a code is good until then.
    #[must_use]
    pub fn latest(&self) -> Wall {
        self.database.latest()
    }

    /// The clock of the books, and the boot clock of this computer.
    #[must_use]
    pub fn clocks(&self) -> Now {
        self.database.clocks()
    }

    /// The name of this process in the books, which no other one has.
    #[must_use]
    pub fn process(&self) -> &str {
        &self.process
    }

    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Signs with these keys from now on. The first is in use.
    pub fn use_keys(&self, keys: Vec<SigningKey>) {
        let mut policy = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = Policy::clone(&policy);
        changed.rules.keys = keys;
        *policy = Arc::new(changed);
    }

    /// Writes in the books. The job is told the time at which it runs.
    pub async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Tx, &Policy, Told) -> Result<T, BooksError> + Send + 'static,
    ) -> Result<T, BooksError> {
        let policy = self.policy();
        self.database.write_at(move |tx, now| job(tx, &policy, now)).await
    }

    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Tx) -> Result<T, BooksError> + Send + 'static,
    ) -> Result<T, BooksError> {
        self.database.read(job).await
    }

    /// Whether they could not be read or written, and nobody has yet seen that there is room again for a whole sale.
    #[must_use]
    pub fn fail(&self) -> bool {
        self.database.is_failing()
    }

    /// Wakes the task that waits for this.
    pub fn ring(&self, bell: Bell) {
        self.bell(bell).notify_one();
    }

    /// Waits until it is rung. One that nobody waited for is kept.
    pub async fn rung(&self, bell: Bell) {
        self.bell(bell).notified().await;
    }

    const fn bell(&self, bell: Bell) -> &Notify {
        match bell {
            Bell::Due => &self.due,
            Bell::Outbox => &self.outbox,
            Bell::Alerts => &self.alerts,
        }
    }
}
