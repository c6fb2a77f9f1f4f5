//! How often Midtrans was asked for its word on orders.

use qris_core::order::merchant::ASK_SPACING;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// A question may be on the way for a moment.
const SLACK_MS: i64 = 1_000;

/// The get-status calls of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct StatusCalls {
    /// All of them.
    pub all: usize,
    /// Those of the busiest second.
    pub busiest_second: usize,
    /// Those about an unpaid order that came sooner than the backend's own pace allows: somebody made it ask.
    pub hasty: usize,
}

impl StatusCalls {
    /// `calls`: time, name and order of every charge and get-status ever, the oldest first. `from`: when the counted time begins, in
    /// milliseconds. `is_unpaid`: no notification about this order was ever sent.
    pub fn since<'a>(from: i64, calls: impl IntoIterator<Item = (i64, &'a str, &'a str)>, is_unpaid: impl Fn(&str) -> bool) -> Self {
        let (mut seconds, mut last, mut asked) = (BTreeMap::new(), HashMap::new(), Self::default());
        for (at, call, order) in calls {
            let before = last.insert(order, at);
            if at < from || call == "charge" {
                continue;
            }
            asked.all += 1;
            *seconds.entry((at - from) / 1_000).or_insert(0) += 1;
            asked.hasty += usize::from(is_unpaid(order) && before.is_some_and(|before| at - before < ASK_SPACING.0 - SLACK_MS));
        }
        asked.busiest_second = seconds.into_values().max().unwrap_or(0);
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_is_asked_about_twice_at_once_is_told() {
        let status = |at, order| (at, "status", order);
        let charge = |at, order| (at, "charge", order);
        let calls =
            [charge(500, "a"), status(1_000, "a"), charge(2_500, "b"), status(11_000, "a"), status(12_000, "b"), status(12_500, "c")];
        let asked = StatusCalls::since(10_000, calls, |order| order != "c");
        assert_eq!(asked, StatusCalls { all: 3, busiest_second: 2, hasty: 0 });
        let again = [status(12_600, "c"), status(12_900, "b"), charge(13_000, "d"), status(15_000, "d")];
        let asked = StatusCalls::since(10_000, calls.into_iter().chain(again), |order| order != "c");
        assert_eq!(asked, StatusCalls { all: 6, busiest_second: 4, hasty: 2 });
    }
}
