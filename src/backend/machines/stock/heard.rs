//! What machines said, until it is written. A machine's last word is enough, so no message waits behind another one of it.

use super::StockReport;
use qris_core::order::ids::DeviceId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// With so many slots nothing more is taken from the broker, until some are written: a broker tells all that it has kept in one moment.
const ROOM: usize = 20_000;
/// While nothing can be written, so many slots wait. What comes then is lost until its machine says more.
const SLOTS_MAX: usize = 100_000;
/// The most machines that are written down at a time: whoever writes a receipt waits for it.
const AT_ONCE: usize = 20;

#[derive(Debug, Default)]
pub struct Heard {
    waiting: Mutex<Waiting>,
    news: Notify,
    room: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    machines: HashMap<DeviceId, StockReport>,
    slots: usize,
    /// The last ones could not be written.
    is_stuck: bool,
}

impl Waiting {
    fn put(&mut self, device: DeviceId, told: StockReport) {
        // A bridge may say old words anew.
        let is_old = |known: &StockReport| known.number > told.number && !told.is_after(&known.stream, known.number(), known.at);
        if self.machines.get(&device).is_some_and(is_old) {
            return;
        }
        self.slots += told.weight();
        if let Some(earlier) = self.machines.insert(device, told) {
            self.slots -= earlier.weight();
        }
    }
}

impl StockReport {
    /// A message without slots takes room, too.
    fn weight(&self) -> usize {
        self.slots.len() + 1
    }
}

impl Heard {
    /// A machine said this. False: there is no room for it.
    #[must_use]
    pub fn take(&self, device: DeviceId, told: StockReport) -> bool {
        let mut waiting = self.lock();
        let fits = waiting.slots + told.weight() <= SLOTS_MAX;
        if fits {
            waiting.put(device, told);
            self.news.notify_one();
        }
        fits
    }

    pub async fn room(&self) {
        loop {
            let made = self.room.notified();
            {
                let waiting = self.lock();
                if waiting.slots < ROOM || waiting.is_stuck {
                    return;
                }
            }
            made.await;
        }
    }

    /// Waits until a machine has said something.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// Some messages to write now, and whether there are more than those; empty: none waits.
    #[must_use]
    pub fn some(&self) -> (Vec<(DeviceId, StockReport)>, bool) {
        let mut waiting = self.lock();
        let some: Vec<_> = waiting.machines.keys().take(AT_ONCE).cloned().collect();
        let some: Vec<_> = some.into_iter().filter_map(|device| waiting.machines.remove_entry(&device)).collect();
        waiting.slots -= some.iter().map(|(_, told)| told.weight()).sum::<usize>();
        (some, !waiting.machines.is_empty())
    }

    /// They are written, and there is room for others.
    pub fn written(&self) {
        self.lock().is_stuck = false;
        self.room.notify_waiters();
    }

    /// They could not be written. They wait again, but for those whose machines have said more.
    pub fn failed(&self, some: Vec<(DeviceId, StockReport)>) {
        let mut waiting = self.lock();
        waiting.is_stuck = true;
        for (device, told) in some {
            if !waiting.machines.contains_key(&device) {
                waiting.put(device, told);
            }
        }
        drop(waiting);
        self.room.notify_waiters();
    }

    /// After a panic under the lock, at worst a message is missing.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
