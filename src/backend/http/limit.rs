//! How often customers' pages are drawn. Each page costs a reading of the books, and a visitor needs no token.

use qris_core::order::ids::OrderId;
use qris_core::order::time::Boot;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

/// All pages: one in 2 ms, 1,000 at once.
const ALL: Rate = Rate { every_ms: 2, burst: 1000 };
/// The pages of one order: five a second, 20 at once. A phone asks for one in three seconds.
const ONE: Rate = Rate { every_ms: 200, burst: 20 };
/// The number of counters that orders share. A secret hash chooses them, so nobody can aim at another's counter.
const COUNTERS: usize = 4096;

/// A steady rate with a burst.
#[derive(Debug, Clone, Copy)]
struct Rate {
    every_ms: i64,
    burst: i64,
}

/// Counts pages. Its memory does not grow.
#[derive(Debug)]
pub struct Pace {
    /// When the next page would be due if all came evenly: for all, and for each counter.
    due: Mutex<(Boot, Vec<Boot>)>,
    hash: RandomState,
}

impl Default for Pace {
    fn default() -> Self {
        Self { due: Mutex::new((Boot(0), vec![Boot(0); COUNTERS])), hash: RandomState::new() }
    }
}

impl Pace {
    /// Whether an order's page may be drawn now. Counts it.
    pub fn take(&self, id: &OrderId, now: Boot) -> bool {
        let place = usize::try_from(self.hash.hash_one(id) % COUNTERS as u64).expect("a small number");
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, each) = &mut *due;
        let Some(one) = next(each[place], ONE, now) else { return false };
        let Some(sum) = next(*all, ALL, now) else { return false };
        (*all, each[place]) = (sum, one);
        true
    }
}

/// The time at which the next one is due; `None` if this one comes too early.
fn next(due: Boot, rate: Rate, now: Boot) -> Option<Boot> {
    let from = due.0.max(now.0);
    (from - now.0 < rate.every_ms * rate.burst).then_some(Boot(from + rate.every_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_a_steady_rate() {
        let pace = Pace::default();
        let id = OrderId::new("an-order").expect("an id");
        let taken = |from: i64, to: i64, step: i64| (from..to).step_by(step as usize).filter(|&at| pace.take(&id, Boot(at))).count();
        assert_eq!((0..100).filter(|_| pace.take(&id, Boot(1_000))).count(), 20, "a burst");
        assert_eq!(taken(1_001, 11_001, 10), 50, "five a second");
        assert_eq!((0..100).filter(|_| pace.take(&id, Boot(3_600_000))).count(), 20, "rest brings the burst back");
        let strangers = (0..5_000).filter(|n| pace.take(&OrderId::new(&format!("stranger-{n}")).expect("an id"), Boot(3_700_000)));
        assert_eq!(strangers.count(), 1_000, "all together");
        assert!(!pace.take(&id, Boot(3_700_000)) && pace.take(&id, Boot(3_701_000)));
    }
}
