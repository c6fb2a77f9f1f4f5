//! `telemetry`: what a machine has sold since its last report, and how it is.

use super::vend::{EventState, VendEvent};
use crate::order::reason::Reason;
use crate::order::time::Span;
use crate::order::word::words;
use serde::{Deserialize, Serialize};

/// The version of the form. A later release only adds fields to it.
pub const VERSION: u8 = 1;
/// The largest payload, in bytes.
pub const TELEMETRY_MAX: usize = 2048;
/// A machine reports so often unless it is told otherwise, in seconds.
pub const EVERY_S: u32 = 900;
/// The longest time between two reports, in seconds.
pub const EVERY_MAX_S: u32 = 86_400;
/// The most rows of one report. The others are in the next ones.
pub const ROWS_MAX: usize = 8;
/// The most rows that wait. Of more, the oldest are joined in rows of the item `*`, one for each end and reason.
const WAITING_MAX: usize = 200;
/// The item of joined rows. No item has this name.
const JOINED: &str = "*";
/// The upper ends of the buckets for waits, in milliseconds. What took longer is in one more bucket.
pub const BUCKETS_MS: [i64; 7] = [500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

/// How many orders ended in the same way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ended {
    /// What was ordered; `*`: several items, whose rows were joined.
    pub item: Box<str>,
    /// How they ended.
    pub state: EventState,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// How many. Less than none: so many were reported before, and have ended in another way since.
    pub count: i64,
    /// Their prices together, in rupiah.
    pub amount: i64,
}

/// The orders of one stream, from its beginning on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sums {
    /// Handed out.
    pub dispensed: i64,
    /// Their prices together, in rupiah.
    pub dispensed_amount: i64,
    /// Paid, and not handed out, or nobody knows. Here are also those whose money went back after the machine has reported them.
    pub refund_due: i64,
    /// Their prices together, in rupiah.
    pub refund_due_amount: i64,
    /// The machine has heard, with the answer to its report, that Midtrans gave the money back.
    pub refunded: i64,
    /// Their prices together, in rupiah.
    pub refunded_amount: i64,
    /// Ended unpaid.
    pub unpaid: i64,
}

/// How long something took, counted.
pub type Waits = [u32; BUCKETS_MS.len() + 1];

/// What was measured. Two of them can be added up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// From the stored request to the QR.
    pub qr_ms: Waits,
    /// From the receipt to the end of the delivery.
    pub delivery_ms: Waits,
    /// Connections to the broker.
    pub connections: u32,
}

impl Measured {
    /// Adds what was measured besides.
    pub fn add(&mut self, more: &Self) {
        let waits = [(&mut self.qr_ms, &more.qr_ms), (&mut self.delivery_ms, &more.delivery_ms)];
        for (count, more) in waits.into_iter().flat_map(|(counts, more)| counts.iter_mut().zip(more)) {
            *count += more;
        }
        self.connections += more.connections;
    }
}

/// The counts of orders that ended. Each order counts once: if it ends in another way later, the first way is taken back.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// The number of the last report; 0: there was none.
    pub number: u64,
    /// What that report says.
    pub reported: Vec<Ended>,
    /// What the next one will say. The oldest row is the first.
    pub since: Vec<Ended>,
    /// The measurements in that report.
    pub reported_measured: Measured,
    /// What was measured since.
    pub since_measured: Measured,
    /// What all reports together say.
    pub sums: Sums,
}

words! {
    /// Why the computer started, as far as somebody can tell.
    pub enum Booted {
        /// `qrisd` was stopped properly before, as at every shutdown.
        Restart = "restart",
        /// Nobody stopped it: the power went, or the computer hung and somebody reset it.
        Power = "power",
        /// Nobody stopped it, and the kernel says that the hardware watchdog reset the computer.
        Watchdog = "watchdog",
        /// `qrisd` does not know a boot before this one.
        Unknown = "unknown",
    }
}

/// The payload. Field names are those of the wire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Telemetry {
    /// [`VERSION`].
    pub v: u8,
    /// Counts the reports of a stream. A report with the same number has the same `ended`, `sums` and measures.
    pub number: u64,
    /// The life of the machine's database.
    pub stream: Box<str>,
    /// RFC 3339; absent while the clock is not trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Box<str>>,
    /// What ended since the report before.
    pub ended: Vec<Ended>,
    /// What ended since the beginning of the stream, this report included.
    pub sums: Sums,
    /// Events that the broker does not have yet. What they tell is in a later report.
    pub waiting: u64,
    /// What was measured since the report before.
    #[serde(flatten)]
    pub measured: Measured,
    /// Seconds of this run of the program.
    pub running_s: i64,
    /// The condition of the computer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vitals: Option<serde_json::Value>,
}

/// The row of one order that ended so, or does not any more.
fn one(event: &VendEvent, count: i64) -> Ended {
    let item = event.item.as_ref().map_or_else(|| JOINED.into(), |item| item.as_str().into());
    let amount = event.amount.map_or(0, |amount| i64::try_from(amount.get()).unwrap_or(i64::MAX));
    Ended { item, state: event.state, reason: event.reason, count, amount: amount * count }
}

/// The bucket of a wait.
#[must_use]
pub fn bucket(wait: Span) -> usize {
    BUCKETS_MS.iter().position(|end| wait.0 <= *end).unwrap_or(BUCKETS_MS.len())
}

impl Sums {
    fn add(&mut self, row: &Ended) {
        match row.state {
            EventState::Dispensed => {
                self.dispensed += row.count;
                self.dispensed_amount += row.amount;
            }
            EventState::RefundDue => {
                self.refund_due += row.count;
                self.refund_due_amount += row.amount;
            }
            EventState::Refunded => {
                self.refunded += row.count;
                self.refunded_amount += row.amount;
            }
            EventState::Cancelled | EventState::Expired | EventState::Denied | EventState::Failed => self.unpaid += row.count,
            EventState::Requested
            | EventState::AwaitingPayment
            | EventState::AwaitingCollection
            | EventState::Cancelling
            | EventState::Paid
            | EventState::Dispensing
            | EventState::TryingAgain
            | EventState::Refused
            | EventState::Other(_) => {}
        }
    }
}

impl Tally {
    /// Counts an event of an order. `before` is the event before it.
    pub fn count(&mut self, before: Option<&VendEvent>, event: &VendEvent) {
        if let Some(before) = before.filter(|before| before.state.is_end()) {
            self.add(one(before, -1));
        }
        if event.state.is_end() {
            self.add(one(event, 1));
        }
    }

    /// Adds what was measured since the last report.
    pub fn measure(&mut self, measured: &Measured) {
        self.since_measured.add(measured);
    }

    fn add(&mut self, one: Ended) {
        self.put(one, self.since.len());
        while self.since.len() > WAITING_MAX
            && let Some(oldest) = self.since.iter().position(|row| &*row.item != JOINED)
        {
            let row = self.since.remove(oldest);
            // There are as many joined rows as there are ends and reasons. The words of later releases may be any number.
            let reason = row.reason.filter(|reason| !matches!(reason, Reason::Other(_)));
            self.put(Ended { item: JOINED.into(), reason, ..row }, oldest);
        }
    }

    /// Adds to the row of the same kind, or puts a new one there.
    fn put(&mut self, one: Ended, at: usize) {
        let is_same = |row: &&mut Ended| row.item == one.item && row.state == one.state && row.reason == one.reason;
        match self.since.iter_mut().find(is_same) {
            Some(row) => {
                row.count += one.count;
                row.amount += one.amount;
                // One order more and another one less may leave a price.
                self.since.retain(|row| (row.count, row.amount) != (0, 0));
            }
            None => self.since.insert(at, one),
        }
    }

    /// Begins another report, with what ended since the last one, as far as there is room.
    pub fn begin_report(&mut self) {
        self.number += 1;
        self.reported = self.since.drain(..self.since.len().min(ROWS_MAX)).collect();
        self.reported_measured = std::mem::take(&mut self.since_measured);
        for row in &self.reported {
            self.sums.add(row);
        }
    }

    /// The sums of all reports and of the next ones.
    #[must_use]
    pub fn all(&self) -> Sums {
        let mut sums = self.sums;
        self.since.iter().for_each(|row| sums.add(row));
        sums
    }

    /// Whether something ended or was measured since the last report.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.since.is_empty() || self.since_measured != Measured::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::ids::ItemId;
    use crate::order::money::Rupiah;

    fn event(item: &str, state: EventState, amount: u64) -> VendEvent {
        let none = serde_json::json!({ "event_id": "e", "stream": "s", "state": state, "item": item, "amount": amount });
        let event: VendEvent = serde_json::from_value(none).expect("an event");
        assert_eq!((event.item.clone(), event.amount), (ItemId::new(item).ok(), Rupiah::new(amount).ok()));
        event
    }

    #[test]
    fn each_end_counts_once_and_sums_are_never_lost() {
        let mut tally = Tally::default();
        tally.count(None, &event("A1", EventState::Paid, 5000));
        assert!(!tally.has_news());
        for n in 0..500_u64 {
            tally.count(None, &event(&format!("I{n}"), EventState::Dispensed, 1000 + n));
        }
        tally.count(None, &event("I0", EventState::RefundDue, 1000));
        tally.count(None, &event("I0", EventState::Expired, 1000));
        let wanted: i64 = (0..500).map(|n| 1000 + n).sum();
        assert!(tally.since.len() <= WAITING_MAX);
        let (mut rows, all) = (0, tally.all());
        while tally.has_news() {
            tally.begin_report();
            assert!((1..=ROWS_MAX).contains(&tally.reported.len()));
            rows += tally.reported.iter().filter(|row| row.state == EventState::Dispensed).map(|row| row.amount).sum::<i64>();
            assert_eq!(tally.sums.dispensed_amount, rows, "the sums are those of all reports until then");
        }
        assert_eq!((rows, tally.sums.dispensed), (wanted, 500));
        assert_eq!((all, tally.all()), (tally.sums, tally.sums), "also before they are reported");
        assert_eq!((tally.sums.refund_due, tally.sums.refund_due_amount, tally.sums.unpaid), (1, 1000, 1));
        // The relay tells later that it came out after all: the order counts once, and where it belongs.
        let late = event("I0", EventState::RefundDue, 1000);
        tally.count(Some(&late), &event("I0", EventState::Paid, 1000));
        tally.count(None, &event("I0", EventState::Dispensed, 1000));
        tally.begin_report();
        assert_eq!(
            tally.reported.iter().map(|row| (row.state, row.count)).collect::<Vec<_>>(),
            [(EventState::RefundDue, -1), (EventState::Dispensed, 1)]
        );
        assert_eq!((tally.sums.refund_due, tally.sums.refund_due_amount, tally.sums.dispensed), (0, 0, 501));
        // The machine hears with the answer to its report that the money went back.
        tally.count(None, &event("I0", EventState::RefundDue, 3000));
        tally.begin_report();
        tally.count(Some(&event("I0", EventState::RefundDue, 3000)), &event("I0", EventState::Refunded, 3000));
        tally.begin_report();
        assert_eq!((tally.sums.refund_due, tally.sums.refund_due_amount), (0, 0));
        assert_eq!((tally.sums.refunded, tally.sums.refunded_amount), (1, 3000));
        // One more of this price, and one less of that.
        tally.count(None, &event("I0", EventState::Dispensed, 7000));
        tally.count(Some(&event("I0", EventState::Dispensed, 1000)), &event("I0", EventState::Paid, 1000));
        let before = tally.sums.dispensed_amount;
        tally.begin_report();
        assert_eq!((tally.sums.dispensed, tally.sums.dispensed_amount), (501, before + 6000));
    }

    #[test]
    fn the_oldest_rows_are_joined_by_their_ends_and_reasons() {
        let failed = |item: &str, reason| VendEvent { reason: Some(reason), ..event(item, EventState::RefundDue, 10) };
        let mut tally = Tally::default();
        for n in 0..50 {
            tally.count(None, &failed(&format!("F{n}"), Reason::Failed));
            tally.count(None, &failed(&format!("U{n}"), Reason::Uncertain));
        }
        for n in 0..150 {
            tally.count(None, &event(&format!("D{n}"), EventState::Dispensed, 1));
        }
        let row = |item: &str, state, reason, count, amount| Ended { item: item.into(), state, reason, count, amount };
        let due = |item: &str, reason, count| row(item, EventState::RefundDue, Some(reason), count, count * 10);
        assert_eq!(tally.since.len(), WAITING_MAX);
        assert_eq!(
            tally.since[..4],
            [
                due("*", Reason::Failed, 26),
                due("*", Reason::Uncertain, 26),
                due("F26", Reason::Failed, 1),
                due("U26", Reason::Uncertain, 1)
            ]
        );
        assert_eq!(tally.since[WAITING_MAX - 1], row("D149", EventState::Dispensed, None, 1, 1), "the newest is as it was");
        // Words of later releases make no rows without end, and the newest item is not joined.
        for n in 0..300 {
            tally.count(None, &failed("A1", Reason::from_word(&format!("later_{n}")).expect("a word")));
        }
        let joined: Vec<_> = tally.since.iter().filter(|row| &*row.item == "*").map(|row| (row.state, row.reason, row.count)).collect();
        assert_eq!(
            joined,
            [
                (EventState::RefundDue, Some(Reason::Failed), 50),
                (EventState::RefundDue, Some(Reason::Uncertain), 50),
                (EventState::Dispensed, None, 150),
                (EventState::RefundDue, None, 104),
            ]
        );
        assert_eq!((tally.since.len(), &*tally.since[4].item), (WAITING_MAX, "A1"));
        assert_eq!((tally.all().refund_due, tally.all().dispensed), (400, 150));
    }

    #[test]
    fn measures_are_told_once() {
        let mut tally = Tally::default();
        let slow = Measured { qr_ms: [0, 1, 0, 0, 0, 0, 0, 2], delivery_ms: [1, 0, 0, 0, 0, 0, 0, 0], connections: 3 };
        tally.measure(&slow);
        tally.measure(&slow);
        assert!(tally.has_news());
        tally.begin_report();
        let twice = Measured { qr_ms: [0, 2, 0, 0, 0, 0, 0, 4], delivery_ms: [2, 0, 0, 0, 0, 0, 0, 0], connections: 6 };
        assert_eq!((tally.reported_measured, tally.has_news()), (twice, false));
        tally.begin_report();
        assert_eq!(tally.reported_measured, Measured::default());
    }

    #[test]
    fn the_largest_report_fits() {
        let row = Ended {
            item: "I".repeat(32).into(),
            state: EventState::AwaitingCollection,
            reason: Some(Reason::NotCollected),
            count: 99_999,
            amount: 999_999_999_999,
        };
        let most = i64::from(u32::MAX);
        let sums = Sums {
            dispensed: most,
            dispensed_amount: most * 1000,
            refund_due: most,
            refund_due_amount: most * 1000,
            refunded: most,
            refunded_amount: most * 1000,
            unpaid: most,
        };
        let telemetry = Telemetry {
            v: VERSION,
            number: u64::from(u32::MAX),
            stream: "0".repeat(16).into(),
            at: Some("2026-12-01T06:00:00Z".into()),
            ended: vec![row; ROWS_MAX],
            sums,
            waiting: 10_000,
            measured: Measured { qr_ms: [999_999; 8], delivery_ms: [999_999; 8], connections: 999_999 },
            running_s: 999_999_999,
            vitals: Some(serde_json::json!({
                "uptime_s": 999_999_999,
                "memory_free_kib": 99_999_999,
                "disk_free_bytes": 9_999_999_999_999_u64,
                "temperature_millidegrees": -100_000,
                "throttled": "50005",
                "card_life": "0x0b 0x0b",
                "clock_synchronized": false,
                "certificates": { "own": "2026-12-01T06:00:00Z", "ca": "2026-12-01T06:00:00Z" },
                "booted": Booted::Watchdog,
            })),
        };
        let length = serde_json::to_vec(&telemetry).expect("plain").len();
        assert!(length <= TELEMETRY_MAX, "{length}");
        assert_eq!([0, 500, 501, 60_000, 60_001].map(|ms| bucket(Span::millis(ms))), [0, 0, 1, 6, 7]);
    }
}
