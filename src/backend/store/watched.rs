//! A database, with the last news of it in the journal.

use super::{Store, StoreError, Tx};
use qris_core::order::time::{Now, Span, Told, Wall};
use qris_host::disk;
use qris_host::events::Event as Journal;
use qris_host::surroundings::Surroundings;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// The error of a job: its own reason, or the database's.
pub trait JobError: From<StoreError> + Send + 'static {
    /// The database's reason, if it is that.
    fn of_store(&self) -> Option<&StoreError>;
}

fn told(around: &dyn Surroundings, ahead: Span) -> Told {
    let now = around.clocks();
    around.reckoning().told(Now { wall: now.wall + ahead, ..now })
}

/// A database that the journal is told about: that it fails, and that it works again.
#[derive(Debug)]
pub struct WatchedStore {
    store: Store,
    around: Arc<dyn Surroundings>,
    name: &'static str,
    failing: AtomicBool,
    /// The last time that a damaged row was told, in milliseconds since 1970.
    damage_told: AtomicI64,
    /// The last time that room for a sale was looked for, in milliseconds since 1970.
    room_looked: AtomicI64,
    /// The last time that the length of the log was looked at, in milliseconds since 1970.
    log_looked: AtomicI64,
    /// Its log is long, and the journal has heard that.
    log_told: AtomicBool,
}

impl WatchedStore {
    /// Watches this database. The journal calls it `name`.
    #[must_use]
    pub fn new(store: Store, around: Arc<dyn Surroundings>, name: &'static str) -> Self {
        Self {
            store,
            around,
            name,
            failing: AtomicBool::new(false),
            damage_told: AtomicI64::new(0),
            room_looked: AtomicI64::new(0),
            log_looked: AtomicI64::new(0),
            log_told: AtomicBool::new(false),
        }
    }

    /// The time of day, by the clock of the database.
    #[must_use]
    pub fn now(&self) -> Told {
        self.around.reckoning().told(self.clocks())
    }

    /// See [`latest`](qris_host::reckoning::Reckoning::latest), by the clock of the database.
    #[must_use]
    pub fn latest(&self) -> Wall {
        self.around.reckoning().latest(self.clocks())
    }

    /// The clock of the database, and the boot clock of this computer.
    #[must_use]
    pub fn clocks(&self) -> Now {
        let now = self.around.clocks();
        Now { wall: self.store.now(now.wall), ..now }
    }

    pub async fn read<T: Send + 'static, E: JobError>(
        &self,
        job: impl FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let result = self.store.read(job).await;
        self.note(&result);
        result
    }

    pub async fn write<T: Send + 'static, E: JobError>(
        &self,
        job: impl FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let result = self.store.run(job).await;
        self.note(&result);
        self.look_at_log();
        result
    }

    /// Writes, and tells the job the time at which it runs. After a failure it also looks whether there is room again.
    pub async fn write_at<T: Send + 'static, E: JobError>(
        &self,
        job: impl FnOnce(&mut dyn Tx, Told) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let around = Arc::clone(&self.around);
        let result = self.store.run_at(move |ahead| told(&*around, ahead), job).await;
        self.note(&result);
        if result.is_ok() && self.is_failing() {
            self.look_for_writes().await;
        }
        self.look_at_log();
        result
    }

    /// Writes. The journal hears of no error.
    pub async fn write_quietly<T: Send + 'static, E: JobError>(
        &self,
        job: impl FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.store.run(job).await
    }

    /// Whether it could not be read or written, and nobody has yet seen that all is well again.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// After a failure: looks whether it can be written, and whether there is room for a sale. Only that ends the failure. It looks at
    /// most once a second: each look writes as much as a sale does.
    pub async fn look_for_writes(&self) {
        let (now, last) = (self.now().wall.0, self.room_looked.load(Ordering::Relaxed));
        let is_soon = (0..1000).contains(&(now - last));
        if is_soon || self.room_looked.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let writes = self.store.run(|_| Ok::<(), StoreError>(())).await.is_ok();
        if writes && self.store.find_room().await.is_ok() && self.failing.swap(false, Ordering::Relaxed) {
            self.around.emit(&Journal::StoreBack { path: self.name.into() });
        }
    }

    /// A reader keeps the log from becoming shorter, and nobody would hear of it before the disk is full. It looks at most once in ten
    /// seconds.
    fn look_at_log(&self) {
        let now = self.around.now().0;
        let Some(path) = self.store.file().filter(|_| !(0..10_000).contains(&(now - self.log_looked.load(Ordering::Relaxed)))) else {
            return;
        };
        self.log_looked.store(now, Ordering::Relaxed);
        let long = disk::long_log(path);
        if let (Some(mib), false) = (long, self.log_told.swap(long.is_some(), Ordering::Relaxed)) {
            self.around.emit(&Journal::StoreLogLong { path: self.name.into(), mib });
        }
    }

    fn note<T, E: JobError>(&self, result: &Result<T, E>) {
        let Some(error) = result.as_ref().err().and_then(JobError::of_store) else { return };
        let failing = || Journal::StoreFailing { path: self.name.into(), why: error.to_string().into() };
        // One row or page is damaged, and the rest is well. This is told at most once a minute.
        if error.is_damage() {
            let now = self.around.now().0;
            if now - self.damage_told.load(Ordering::Relaxed) > 60_000 {
                self.damage_told.store(now, Ordering::Relaxed);
                self.around.emit(&failing());
            }
        } else if !self.failing.swap(true, Ordering::Relaxed) {
            self.around.emit(&failing());
        }
    }
}
