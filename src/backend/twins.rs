//! Two computers that are one machine: a card was copied, or a backup of one runs beside it. Each has the machine's token, so
//! both are let in. But each has started by itself, and each start of a kernel has a `boot_id` of its own (random(4)), which a
//! machine shows with each call. A computer that was started anew never shows the earlier one again. So two that are seen in the
//! same time are two computers. Of two that take turns, days apart, one does not know the machine's newest event.

use qris_core::order::ids::DeviceId;
use qris_core::order::time::{Span, Wall};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A call that was under way when the computer was started anew may come so late, and says nothing.
const LATE: Span = Span::secs(60);
/// Nobody is told of the same machine more often.
const TOLD_EVERY: Span = Span::secs(24 * 3600);
/// So many starts of a machine are known, the newest.
const STARTS_MAX: usize = 16;

/// What is known of every machine's computer, since the start of this program.
#[derive(Debug, Default)]
pub struct Twins(Mutex<HashMap<DeviceId, Known>>);

#[derive(Debug, Default)]
struct Known {
    starts: Vec<Start>,
    newest: Option<Newest>,
    told: Option<Wall>,
}

/// One start of a computer, and the time in which it was seen.
#[derive(Debug)]
struct Start {
    boot: Box<str>,
    address: Box<str>,
    first: Wall,
    last: Wall,
}

/// The newest event that the machine has told.
#[derive(Debug)]
struct Newest {
    stream: Box<str>,
    seq: u64,
    address: Box<str>,
    at: Wall,
}

impl Twins {
    /// A machine that was let in asks from this address, and shows this `boot_id`. The answer is news: both addresses.
    #[must_use]
    pub fn seen(&self, device: &DeviceId, boot: &str, address: &str, now: Wall) -> Option<[Box<str>; 2]> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { starts, told, .. } = all.entry(device.clone()).or_default();
        // The one that was seen last stands last.
        let mut start = match starts.iter().position(|start| *start.boot == *boot) {
            Some(at) => starts.remove(at),
            None => Start { boot: boot.into(), address: address.into(), first: now, last: now },
        };
        (start.address, start.last) = (address.into(), now);
        let twin = starts.iter().find(|other| other.last.min(start.last) >= other.first.max(start.first) + LATE);
        let both = twin.map(|twin| [twin.address.clone(), start.address.clone()]);
        if starts.len() == STARTS_MAX {
            starts.remove(0);
        }
        starts.push(start);
        let both = both?;
        // This is known now. Only what comes after it is more.
        starts.iter_mut().for_each(|start| start.first = now);
        news(told, both, now)
    }

    /// A machine shows its newest event: the name of its database and the event's number there. The answer is news, if it has told a
    /// later one before: both addresses. Another database is no earlier one.
    #[must_use]
    pub fn told(&self, device: &DeviceId, (stream, seq): (&str, u64), address: &str, now: Wall) -> Option<[Box<str>; 2]> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { newest, told, .. } = all.entry(device.clone()).or_default();
        let is_late = newest.as_ref().is_some_and(|newest| *newest.stream == *stream && seq < newest.seq && now < newest.at + LATE);
        if is_late {
            return None;
        }
        let before = newest.replace(Newest { stream: stream.into(), seq, address: address.into(), at: now });
        let before = before.filter(|before| *before.stream == *stream && seq < before.seq)?;
        news(told, [before.address, address.into()], now)
    }
}

/// At most once a day, in order.
fn news(told: &mut Option<Wall>, mut both: [Box<str>; 2], now: Wall) -> Option<[Box<str>; 2]> {
    if told.is_some_and(|told| now < told + TOLD_EVERY) {
        return None;
    }
    *told = Some(now);
    both.sort();
    Some(both)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_start_that_comes_back_is_another_computer() {
        let twins = Twins::default();
        let device = DeviceId::new("vm-001").expect("an id");
        let seen = |boot, address, s: i64| twins.seen(&device, boot, address, Wall(s * 1000));
        assert_eq!((seen("a", "10.0.0.1", 0), seen("a", "10.0.0.2", 10)), (None, None), "its address may change");
        // It is started anew, and a late call of before is no other computer.
        assert_eq!((seen("b", "10.0.0.2", 100), seen("a", "10.0.0.2", 101), seen("b", "10.0.0.2", 500)), (None, None, None));
        // The backend is started anew, and hears a late call first.
        let anew = Twins::default();
        let late = |boot, s: i64| anew.seen(&device, boot, "10.0.0.2", Wall(s * 1000));
        assert_eq!((late("b", 500), late("a", 501), late("b", 700), late("b", 900)), (None, None, None, None));
        // A copy starts beside it; both go on.
        assert_eq!((seen("c", "10.9.9.9", 1000), seen("b", "10.0.0.2", 1059), seen("c", "10.9.9.9", 1060)), (None, None, None));
        assert_eq!(seen("b", "10.0.0.3", 1061), Some(["10.0.0.3".into(), "10.9.9.9".into()]));
        assert_eq!((seen("c", "10.9.9.9", 1200), seen("b", "10.0.0.3", 1300)), (None, None), "somebody was told");
        let day = 24 * 3600;
        assert_eq!(
            (seen("c", "10.9.9.9", 1301 + day), seen("b", "10.0.0.3", 1302 + day)),
            (None, Some(["10.0.0.3".into(), "10.9.9.9".into()]))
        );
        // The copy is off.
        assert_eq!((seen("b", "10.0.0.3", 1303 + 2 * day), seen("b", "10.0.0.3", 1303 + 4 * day)), (None, None));
        let other = DeviceId::new("vm-002").expect("an id");
        assert_eq!(twins.seen(&other, "b", "10.0.0.3", Wall(0)), None);
    }

    #[test]
    fn one_card_in_many_computers_is_noticed() {
        let twins = Twins::default();
        let device = DeviceId::new("vm-001").expect("an id");
        let seen = |n: i64, s: i64| twins.seen(&device, &format!("boot-{}", n % 10), &format!("10.0.0.{}", n % 10), Wall(s * 1000));
        let told = (0..60).filter_map(|n| seen(n, 7 * n)).count();
        assert_eq!(told, 1);
    }

    #[test]
    fn an_event_before_the_newest_is_of_another_computer() {
        let twins = Twins::default();
        let device = DeviceId::new("vm-001").expect("an id");
        let told = |event, address, s: i64| twins.told(&device, event, address, Wall(s * 1000));
        assert_eq!((told(("a", 7), "10.0.0.1", 0), told(("a", 7), "10.0.0.1", 1), told(("a", 9), "10.0.0.2", 2)), (None, None, None));
        assert_eq!(told(("a", 7), "10.0.0.1", 61), None, "it was asked before, and comes late");
        // A copy from last week.
        assert_eq!(told(("a", 8), "10.9.9.9", 62), Some(["10.0.0.2".into(), "10.9.9.9".into()]));
        assert_eq!(told(("a", 8), "10.9.9.9", 63), None, "it is known");
        assert_eq!((told(("a", 9), "10.0.0.2", 163), told(("a", 8), "10.9.9.9", 263)), (None, None), "somebody was told today");
        // Its database was lost.
        assert_eq!(told(("b", 1), "10.0.0.2", 2 * 24 * 3600), None);
    }
}
