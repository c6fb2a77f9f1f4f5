//! The reports of machines, against the events that they told: every rupiah of every stream, once.

use super::{STORE, World};
use qris_core::wire::telemetry::{Ended, Telemetry};
use qris_core::wire::vend::{EventState, VendEvent};
use std::collections::BTreeMap;

/// Every report that was heard, by the life of the database and its number.
#[derive(Default)]
pub(super) struct Reports(BTreeMap<(Box<str>, u64), Telemetry>);

impl World {
    pub(super) fn reported(&mut self, payload: &[u8]) {
        let Ok(report) = serde_json::from_slice::<Telemetry>(payload) else { return self.fail("a report that cannot be read".into()) };
        // A card whose sync failed has forgotten reports, too.
        if self.losses.card() || self.losses.is_harmed(STORE) {
            return;
        }
        let is_same = |known: &Telemetry| (&known.ended, known.sums, known.measured) == (&report.ended, report.sums, report.measured);
        let key = (report.stream.clone(), report.number);
        if self.reports.0.get(&key).is_some_and(|known| !is_same(known)) {
            return self.fail(format!("report {} says two things", report.number));
        }
        self.reports.0.insert(key, report);
    }

    /// At the end: the reports of each stream have every number, and say what its events say, as far as they go.
    pub(super) fn audit_reports(&self) -> Option<String> {
        if self.losses.card() || self.losses.store() || self.losses.is_harmed(STORE) {
            return None;
        }
        for (stream, told) in self.broker.reported_by_stream() {
            let of: Vec<&Telemetry> = self.reports.0.iter().filter(|((known, _), _)| *known == stream).map(|(_, report)| report).collect();
            let last = of.last().map_or(0, |report| report.number);
            if let Some(missing) = (1..last).find(|number| !of.iter().any(|report| report.number == *number)) {
                return Some(format!("report {missing} of {last} was never heard"));
            }
            let counts = |events: &mut dyn Iterator<Item = (EventState, i64, i64)>| {
                let mut sums = BTreeMap::new();
                for (state, count, amount) in events {
                    let sum: &mut (i64, i64) = sums.entry(state).or_default();
                    *sum = (sum.0 + count, sum.1 + amount);
                }
                sums.retain(|_, sum| *sum != (0, 0));
                sums
            };
            let rows = of.iter().flat_map(|report| &report.ended);
            let reported = counts(&mut rows.map(|Ended { state, count, amount, .. }| (*state, *count, *amount)));
            // An order counts as it ended last.
            let last: BTreeMap<_, &VendEvent> = told.iter().map(|event| (event.request_id.clone(), event)).collect();
            let ends = last.values().filter(|event| event.state.is_end());
            let amount = |event: &VendEvent| event.amount.map_or(0, |amount| i64::try_from(amount.get()).expect("small"));
            let wanted = counts(&mut ends.map(|event| (event.state, 1, amount(event))));
            if reported != wanted {
                return Some(format!("reports say {reported:?}, and events say {wanted:?}"));
            }
        }
        None
    }
}
