//! The callers that wait for a request. Each registers first, then reads, then waits: so it misses nothing in between.

use qris_core::order::ids::{DeviceId, RequestId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The most long polls that one machine may have open.
pub const LONG_POLLS_MAX: u32 = 2;
/// The most POSTs and questions of one machine that may wait for the gateway: a quarter of the calls that are made at once. A machine has one
/// order on its screen, and asks once more if an answer is late.
pub const WAITING_MAX: u32 = 32;

/// A waiting caller reads again after this time without news: another process on the same database wakes nobody here.
const READ_AGAIN: Duration = Duration::from_secs(2);
/// The same, while the database tells what other processes write.
pub const READ_AGAIN_IF_NOTIFIED: Duration = Duration::from_secs(10);

type Key = (DeviceId, RequestId);

#[derive(Debug, Default)]
pub struct Waiters {
    requests: Mutex<HashMap<Key, (Arc<Notify>, usize)>>,
    places: Mutex<HashMap<(DeviceId, What), u32>>,
    hears: AtomicBool,
    over: AtomicBool,
}

/// A caller that waits for news of a request, under any order_id of it.
#[derive(Debug)]
pub struct Waiter<'a> {
    waiters: &'a Waiters,
    key: Key,
    notify: Arc<Notify>,
}

/// The things that are counted for a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    LongPoll,
    Gateway,
}

/// One of a machine's long polls, or of its requests that wait for the gateway.
#[derive(Debug)]
pub struct WaitPermit<'a> {
    waiters: &'a Waiters,
    of: (DeviceId, What),
}

impl Waiters {
    #[must_use]
    pub fn is_idle(&self) -> bool {
        lock(&self.requests).is_empty()
    }

    /// Begins to listen.
    #[must_use]
    pub fn register(&self, device: &DeviceId, request: &RequestId) -> Waiter<'_> {
        let key = (device.clone(), request.clone());
        let mut requests = lock(&self.requests);
        let (notify, count) = requests.entry(key.clone()).or_default();
        *count += 1;
        Waiter { waiters: self, notify: Arc::clone(notify), key }
    }

    pub fn wake(&self, device: &DeviceId, request: &RequestId) {
        if let Some((notify, _)) = lock(&self.requests).get(&(device.clone(), request.clone())) {
            notify.notify_waiters();
        }
    }

    /// Whether the database tells what other processes write. What it told before is not known: so all read again.
    pub fn hear(&self, hears: bool) {
        self.hears.store(hears, Ordering::Relaxed);
        self.wake_all();
    }

    #[must_use]
    pub fn hears(&self) -> bool {
        self.hears.load(Ordering::Relaxed)
    }

    /// The program ends. Nobody waits any longer.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.wake_all();
    }

    /// Whether the program ends.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub fn wake_all(&self) {
        for (notify, _) in lock(&self.requests).values() {
            notify.notify_waiters();
        }
    }

    /// Counts a long poll, unless the machine has [`LONG_POLLS_MAX`].
    #[must_use]
    pub fn long_poll(&self, device: &DeviceId) -> Option<WaitPermit<'_>> {
        self.place(device, What::LongPoll, LONG_POLLS_MAX)
    }

    /// Counts a POST or question that waits for the gateway, unless the machine has [`WAITING_MAX`].
    #[must_use]
    pub fn at_gateway(&self, device: &DeviceId) -> Option<WaitPermit<'_>> {
        self.place(device, What::Gateway, WAITING_MAX)
    }

    fn place(&self, device: &DeviceId, what: What, most: u32) -> Option<WaitPermit<'_>> {
        let of = (device.clone(), what);
        let mut places = lock(&self.places);
        let count = places.entry(of.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(WaitPermit { waiters: self, of })
    }
}

impl Waiter<'_> {
    /// News, without a look.
    #[cfg(test)]
    pub fn news(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }

    /// Runs `read` until it gives something, or the time is over, or the program ends. Then the result is what `last` makes of the last
    /// reading. Between two readings it waits for news.
    pub async fn until<T, E, F>(&self, wait: Duration, mut read: impl FnMut() -> F) -> Result<Option<T>, E>
    where
        F: Future<Output = Result<Option<T>, E>>,
    {
        let end = tokio::time::Instant::now() + wait;
        loop {
            let news = self.notify.notified();
            tokio::pin!(news);
            // From here on news is kept, even if it comes while we read.
            news.as_mut().enable();
            if let Some(found) = read().await? {
                return Ok(Some(found));
            }
            let now = tokio::time::Instant::now();
            if now >= end || self.waiters.is_over() {
                return Ok(None);
            }
            let look = if self.waiters.hears() { READ_AGAIN_IF_NOTIFIED } else { READ_AGAIN };
            // News and the end of the wait mean the same: read again.
            let _ = tokio::time::timeout_at(end.min(now + look), news).await;
        }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut requests = lock(&self.waiters.requests);
        if let Some((_, count)) = requests.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                requests.remove(&self.key);
            }
        }
    }
}

impl Drop for WaitPermit<'_> {
    fn drop(&mut self) {
        let mut places = lock(&self.waiters.places);
        if let Some(count) = places.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                places.remove(&self.of);
            }
        }
    }
}

/// After a panic under the lock, the counts are at worst too high.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
