//! Which machines are there. A machine that sells nothing asks nothing over HTTP. The backend hears nothing at the
//! broker: it only publishes. But the broker answers a message to a machine that nobody takes, not even a machine that is
//! away for a moment. So a machine that was silent for a while gets the news of its newest order once more, without the
//! receipt, which changes nothing at the machine. A machine is missing if nobody took its news for the merchant's time
//! (`alerts.offline_after_s`, ten minutes), and it asked nothing meanwhile.
//!
//! This cannot see a machine that has never sold anything. It needs a broker that says when nobody takes a message; a
//! broker need not do so. It also fails if somebody else subscribes to the machine's `payment/update`.

use qris_core::order::ids::DeviceId;
use qris_core::order::time::{Span, Wall};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The known facts about every machine.
#[derive(Debug, Default)]
pub struct Presence {
    all: Mutex<HashMap<DeviceId, Known>>,
    /// A machine is missing if nobody takes its messages for this long.
    missing_after: Span,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// The last time that it was heard of or looked for.
    heard_or_tried: Wall,
    /// The time since which nobody takes its messages.
    untaken_from: Option<Wall>,
    /// The last report about it; `None` after a start, when an earlier run may have told that it is missing.
    told: Option<LastNews>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastNews {
    There,
    Missing,
}

impl Presence {
    /// Machines count as missing after this time.
    #[must_use]
    pub fn new(missing_after: Span) -> Self {
        Self { all: Mutex::default(), missing_after }
    }

    /// The time after which a machine is missing.
    #[must_use]
    pub const fn missing_after(&self) -> Span {
        self.missing_after
    }

    /// A machine that was silent for half of that time is looked for.
    const fn look_after(&self) -> Span {
        Span(self.missing_after.0 / 2)
    }

    /// The machines that are let in. New ones count as there until something else is known. The others are forgotten.
    pub fn know(&self, devices: &HashSet<DeviceId>, now: Wall) {
        let mut known = self.lock();
        known.retain(|device, _| devices.contains(device));
        for device in devices {
            known.entry(device.clone()).or_insert(Known { heard_or_tried: now, untaken_from: None, told: None });
        }
    }

    /// It asked something, or took a message. True: that is news, and everybody who heard that it is missing must hear
    /// this too.
    #[must_use]
    pub fn called(&self, device: &DeviceId, now: Wall) -> bool {
        // Only machines that are let in are known: an invented name takes no room.
        let mut all = self.lock();
        let Some(known) = all.get_mut(device) else { return false };
        known.heard_or_tried = now;
        known.untaken_from = None;
        known.told.replace(LastNews::There) != Some(LastNews::There)
    }

    /// Nobody took a message to it. True: it is missing, and nobody was told yet.
    #[must_use]
    pub fn not_taken(&self, device: &DeviceId, now: Wall) -> bool {
        let mut all = self.lock();
        let Some(known) = all.get_mut(device) else { return false };
        known.heard_or_tried = now;
        let from = *known.untaken_from.get_or_insert(now);
        now - from >= self.missing_after && known.told.replace(LastNews::Missing) != Some(LastNews::Missing)
    }

    /// The machines to look for now. Each that is named counts as looked for.
    #[must_use]
    pub fn look_for(&self, now: Wall) -> Vec<DeviceId> {
        let mut all = self.lock();
        // After a clock is set back, a machine must still be looked for.
        let due = all.iter_mut().filter(|(_, known)| now - known.heard_or_tried >= self.look_after() || now < known.heard_or_tried);
        due.map(|(device, known)| {
            known.heard_or_tried = now;
            device.clone()
        })
        .collect()
    }

    /// After a panic under the lock, at worst one machine is looked for too late.
    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Known>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Wall = Wall(1_000_000_000);

    fn at(minutes: i64) -> Wall {
        START + Span::secs(minutes * 60)
    }

    fn device(name: &str) -> DeviceId {
        DeviceId::new(name).expect("an id")
    }

    fn presence() -> Presence {
        let presence = Presence::new(Span::secs(600));
        presence.know(&HashSet::from([device("a"), device("b")]), START);
        presence
    }

    #[test]
    fn a_machine_is_missing_when_nobody_takes_its_news_for_ten_minutes() {
        let (presence, a) = (presence(), device("a"));
        assert!(presence.look_for(at(4)).is_empty());
        assert_eq!(presence.look_for(at(5)).len(), 2);
        assert!(presence.look_for(at(6)).is_empty(), "they were looked for");
        assert!(!presence.not_taken(&a, at(5)) && !presence.not_taken(&a, at(10)) && !presence.not_taken(&a, at(14)));
        assert!(presence.not_taken(&a, at(15)));
        assert!(!presence.not_taken(&a, at(20)), "told once");
        assert!(presence.called(&a, at(21)) && !presence.called(&a, at(22)));
        // And once more.
        assert!(!presence.not_taken(&a, at(30)) && presence.not_taken(&a, at(40)));
    }

    #[test]
    fn whoever_asks_meanwhile_is_there() {
        let (presence, a) = (presence(), device("a"));
        assert!(!presence.not_taken(&a, at(5)));
        // The first sign after a start is told, since an earlier run may have told the opposite.
        assert!(presence.called(&a, at(12)));
        assert!(!presence.not_taken(&a, at(16)), "ten minutes from the first that nobody took");
        assert!(presence.look_for(at(17)).iter().all(|device| device.as_str() == "b"));
    }

    #[test]
    fn only_those_that_are_let_in_are_known() {
        let presence = presence();
        let stranger = device("c");
        assert!(!presence.called(&stranger, at(1)) && !presence.not_taken(&stranger, at(30)));
        presence.know(&HashSet::from([device("b"), stranger.clone()]), at(6));
        assert_eq!(presence.look_for(at(6)), [device("b")], "the new one is there for now, the old one forgotten");
        assert_eq!(presence.look_for(at(3)).len(), 2, "the clock was set back");
    }
}
