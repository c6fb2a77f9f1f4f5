//! How often customers' pages are drawn. Each page costs a reading of the books, and a visitor needs no token.
//!
//! Whoever makes names up must not take the page of anybody's order away. So a page of an order that is known to be there, and one that
//! may be of no order, are counted apart. An order is known as soon as its machine has asked for it here, or its page was found. Its number
//! is no secret: who knows it takes no page away from its customer, who asks from another address.

use qris_core::order::ids::OrderId;
use qris_core::order::time::Boot;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// All pages of orders that are known: one in 2 ms, 1,000 at once.
const KNOWN: Rate = Rate { every_ms: 2, burst: 1000 };
/// The pages of one order for one address: five a second, 20 at once. A phone asks for one in three seconds.
const ORDER: Rate = Rate { every_ms: 200, burst: 20 };
/// All pages that may be of no order: as many again.
const UNKNOWN: Rate = Rate { every_ms: 2, burst: 1000 };
/// … and those of one address: five a second, 100 at once.
const ADDRESS: Rate = Rate { every_ms: 200, burst: 100 };
/// The number of counters that orders share for each address, and addresses. A secret hash chooses them, so nobody can aim at another's counter.
const COUNTERS: usize = 4096;
/// So many orders are known, about. A later one takes the place of another.
const ORDERS: usize = 16_384;

/// A steady rate with a burst.
#[derive(Debug, Clone, Copy)]
struct Rate {
    every_ms: i64,
    burst: i64,
}

/// Counts pages. Its memory does not grow.
#[derive(Debug)]
pub struct Pace {
    counted: Mutex<Counted>,
    hash: RandomState,
}

/// For each counter: when the next page would be due if all came evenly.
#[derive(Debug)]
struct Counted {
    known: Boot,
    orders: Vec<Boot>,
    unknown: Boot,
    addresses: Vec<Boot>,
    /// The hashes of orders that are there.
    are_there: Vec<u64>,
}

impl Default for Pace {
    fn default() -> Self {
        let counters = || vec![Boot(0); COUNTERS];
        let (orders, addresses, are_there) = (counters(), counters(), vec![0; ORDERS]);
        Self { counted: Mutex::new(Counted { known: Boot(0), orders, unknown: Boot(0), addresses, are_there }), hash: RandomState::new() }
    }
}

impl Pace {
    /// There is such an order.
    pub fn is_there(&self, id: &OrderId) {
        let hash = self.hash.hash_one(id);
        self.counted().are_there[place(hash, ORDERS)] = hash;
    }

    /// Whether a page may be drawn now that an address asks for. Counts it.
    pub fn take(&self, id: &OrderId, address: IpAddr, now: Boot) -> bool {
        let order = self.hash.hash_one(id);
        let Counted { known, orders, unknown, addresses, are_there } = &mut *self.counted();
        if are_there[place(order, ORDERS)] == order {
            both(&mut orders[place(self.hash.hash_one((id, address)), COUNTERS)], ORDER, known, KNOWN, now)
        } else {
            both(&mut addresses[place(self.hash.hash_one(address), COUNTERS)], ADDRESS, unknown, UNKNOWN, now)
        }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(hash: u64, places: usize) -> usize {
    usize::try_from(hash % places as u64).expect("a small number")
}

/// Whether one has room, and all together. Only then it is counted, for both.
fn both(one: &mut Boot, of_one: Rate, all: &mut Boot, of_all: Rate, now: Boot) -> bool {
    let (Some(next_of_one), Some(next_of_all)) = (next(*one, of_one, now), next(*all, of_all, now)) else { return false };
    (*one, *all) = (next_of_one, next_of_all);
    true
}

/// The time at which the next one is due; `None` if this one comes too early.
fn next(due: Boot, rate: Rate, now: Boot) -> Option<Boot> {
    let from = due.0.max(now.0);
    (from - now.0 < rate.every_ms * rate.burst).then_some(Boot(from + rate.every_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(n: usize) -> OrderId {
        OrderId::new(&format!("order-{n}")).expect("an id")
    }

    fn address(n: u16) -> IpAddr {
        [10, 0, (n >> 8) as u8, n as u8].into()
    }

    #[test]
    fn a_burst_passes_and_then_a_steady_rate() {
        let (pace, id) = (Pace::default(), order(0));
        pace.is_there(&id);
        let take = |at: i64| pace.take(&id, address(0), Boot(at));
        let taken = |from: i64, to: i64, step: i64| (from..to).step_by(step as usize).filter(|&at| take(at)).count();
        assert_eq!((0..100).filter(|_| take(1_000)).count(), 20, "a burst");
        assert_eq!(taken(1_001, 11_001, 10), 50, "five a second");
        assert_eq!((0..100).filter(|_| take(3_600_000)).count(), 20, "rest brings the burst back");
        assert!(pace.take(&id, address(1), Boot(3_600_000)), "its customer asks from another address");
    }

    #[test]
    fn names_that_somebody_makes_up_take_no_page_of_an_order_away() {
        let (pace, at) = (Pace::default(), Boot(1_000));
        let is_asked = |id: usize, from: u16| pace.take(&order(id), address(from), at);
        pace.is_there(&order(0));
        assert_eq!((1..5_000).filter(|n| is_asked(*n, 1)).count(), 100, "one address");
        assert!(is_asked(5_000, 2), "another one has its own");
        let from_many = (0..5_000).filter(|n| is_asked(6_000 + n, 3 + (n % 100) as u16)).count();
        assert_eq!(from_many, 1_000 - 101, "all together");
        assert!(!is_asked(20_000, 200) && is_asked(0, 1), "an order that is there is shown, to the flooder too");
    }

    #[test]
    fn orders_that_are_there_have_one_budget_together() {
        let pace = Pace::default();
        let shown = |n: &usize| {
            pace.is_there(&order(*n));
            pace.take(&order(*n), address(0), Boot(1_000))
        };
        assert_eq!((0..5_000).filter(shown).count(), 1_000);
    }
}
