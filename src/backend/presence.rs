//! Which machines are there. A machine that sells nothing asks nothing over HTTP, and the backend hears nothing at the
//! broker: it only publishes. What it has is the broker's answer to what it publishes to a machine: that nobody, not even
//! one who is away for a moment, takes it. So a machine that was not heard of for a while is told the news of its newest
//! order once more, without the receipt, which changes nothing on it; and one whose news nobody took for so long as the
//! merchant says (`alerts.offline_after_s`, ten minutes), and that asked nothing meanwhile, is missing.
//!
//! What this cannot see: a machine that has never sold anything, a broker that does not say whether somebody takes a
//! message (it is allowed not to), and one at which somebody else subscribes to the machine's `payment/update`.

use qris_core::order::ids::DeviceId;
use qris_core::order::time::{Span, Wall};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of every machine.
#[derive(Debug, Default)]
pub struct Presence {
    all: Mutex<HashMap<DeviceId, Known>>,
    /// Nobody takes what is sent to it for so long: it is missing.
    missing_after: Span,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// When something was last heard of it, or it was last looked for.
    heard_or_tried: Wall,
    /// Since when nobody takes what is sent to it.
    untaken_from: Option<Wall>,
    /// What was told of it; `None` after a start, when an earlier run may have told that it is missing.
    told: Option<Told>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    There,
    Missing,
}

impl Presence {
    /// Of machines that count as missing after so long.
    #[must_use]
    pub fn new(missing_after: Span) -> Self {
        Self { all: Mutex::default(), missing_after }
    }

    /// How long it takes until a machine is missing.
    #[must_use]
    pub const fn missing_after(&self) -> Span {
        self.missing_after
    }

    /// A machine of which nothing was heard for half as long is looked for.
    const fn look_after(&self) -> Span {
        Span(self.missing_after.0 / 2)
    }

    /// The machines that are let in: new ones are there until something else is known, others are forgotten.
    pub fn know(&self, devices: &[DeviceId], now: Wall) {
        let mut known = self.lock();
        known.retain(|device, _| devices.contains(device));
        for device in devices {
            known.entry(device.clone()).or_insert(Known { heard_or_tried: now, untaken_from: None, told: None });
        }
    }

    /// It asked something, or took a message. True: that is news, and whoever was told that it is missing must be told.
    #[must_use]
    pub fn heard(&self, device: &DeviceId, now: Wall) -> bool {
        // Only those that are let in are known: a name that somebody made up takes no room.
        let mut all = self.lock();
        let Some(known) = all.get_mut(device) else { return false };
        known.heard_or_tried = now;
        known.untaken_from = None;
        known.told.replace(Told::There) != Some(Told::There)
    }

    /// Nobody took a message to it. True: it is missing, and nobody was told yet.
    #[must_use]
    pub fn not_taken(&self, device: &DeviceId, now: Wall) -> bool {
        let mut all = self.lock();
        let Some(known) = all.get_mut(device) else { return false };
        known.heard_or_tried = now;
        let from = *known.untaken_from.get_or_insert(now);
        now - from >= self.missing_after && known.told.replace(Told::Missing) != Some(Told::Missing)
    }

    /// Who is to be looked for now. Whoever is named counts as looked for.
    #[must_use]
    pub fn look_for(&self, now: Wall) -> Vec<DeviceId> {
        let mut all = self.lock();
        // A clock that was set back must not keep a machine from being looked for.
        let due = all.iter_mut().filter(|(_, known)| now - known.heard_or_tried >= self.look_after() || now < known.heard_or_tried);
        due.map(|(device, known)| {
            known.heard_or_tried = now;
            device.clone()
        })
        .collect()
    }

    /// A panic while the lock is held leaves at worst one machine that is looked for too late.
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
        presence.know(&[device("a"), device("b")], START);
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
        assert!(presence.heard(&a, at(21)) && !presence.heard(&a, at(22)));
        // And once more.
        assert!(!presence.not_taken(&a, at(30)) && presence.not_taken(&a, at(40)));
    }

    #[test]
    fn whoever_asks_meanwhile_is_there() {
        let (presence, a) = (presence(), device("a"));
        assert!(!presence.not_taken(&a, at(5)));
        // The first sign after a start is told, since an earlier run may have told otherwise.
        assert!(presence.heard(&a, at(12)));
        assert!(!presence.not_taken(&a, at(16)), "ten minutes from the first that nobody took");
        assert!(presence.look_for(at(17)).iter().all(|device| device.as_str() == "b"));
    }

    #[test]
    fn only_those_that_are_let_in_are_known() {
        let presence = presence();
        let stranger = device("c");
        assert!(!presence.heard(&stranger, at(1)) && !presence.not_taken(&stranger, at(30)));
        presence.know(&[device("b"), stranger.clone()], at(6));
        assert_eq!(presence.look_for(at(6)), [device("b")], "the new one is there for now, the old one forgotten");
        assert_eq!(presence.look_for(at(3)).len(), 2, "the clock was set back");
    }
}
