//! Two computers that are one machine: a card was copied, or a backup of one runs beside it. Each has the machine's token, so
//! both are let in. But each has started by itself, and each start of a kernel has a `boot_id` of its own (random(4)), which a
//! machine shows with each call. A computer that was started anew never shows the earlier one again. So if an earlier one comes
//! back, and the later one is there after that, there are two.

use qris_core::order::ids::DeviceId;
use qris_core::order::time::{Span, Wall};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A call that was under way when the computer was started anew may come so late, and says nothing.
const LATE: Span = Span::secs(60);
/// Nobody is told of the same machine more often.
const TOLD_EVERY: Span = Span::secs(24 * 3600);

/// What is known of every machine's computer, since the start of this program.
#[derive(Debug, Default)]
pub struct Twins(Mutex<HashMap<DeviceId, Known>>);

#[derive(Debug)]
struct Known {
    last: Computer,
    /// The one before it.
    before: Option<Before>,
    told: Option<Wall>,
}

#[derive(Debug)]
struct Before {
    computer: Computer,
    /// When the last one took its place.
    replaced: Wall,
    /// It was seen again, long after that. A call that came late may have looked like a start, and then this is the true one.
    is_back: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Computer {
    boot: Box<str>,
    address: Box<str>,
}

impl Twins {
    /// A machine that was let in asks from this address, and shows this `boot_id`. The answer is news: both addresses.
    #[must_use]
    pub fn seen(&self, device: &DeviceId, boot: &str, address: &str, now: Wall) -> Option<[Box<str>; 2]> {
        let computer = || Computer { boot: boot.into(), address: address.into() };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(device.clone()).or_insert_with(|| Known { last: computer(), before: None, told: None });
        match &mut known.before {
            before if *known.last.boot == *boot => {
                known.last.address = address.into();
                let before = before.as_ref().filter(|before| before.is_back)?;
                if known.told.is_some_and(|told| now < told + TOLD_EVERY) {
                    return None;
                }
                known.told = Some(now);
                let mut both = [before.computer.address.clone(), known.last.address.clone()];
                both.sort();
                Some(both)
            }
            Some(before) if *before.computer.boot == *boot => {
                before.computer.address = address.into();
                before.is_back |= before.replaced + LATE <= now;
                None
            }
            before => {
                *before = Some(Before { computer: std::mem::replace(&mut known.last, computer()), replaced: now, is_back: false });
                None
            }
        }
    }
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
        assert_eq!(seen("b", "10.0.0.3", 1061), None);
        assert_eq!(seen("c", "10.9.9.9", 1062), Some(["10.0.0.3".into(), "10.9.9.9".into()]));
        assert_eq!((seen("b", "10.0.0.3", 1063), seen("c", "10.9.9.9", 1064)), (None, None), "somebody was told");
        assert!(seen("c", "10.9.9.9", 1062 + 24 * 3600).is_some());
        let other = DeviceId::new("vm-002").expect("an id");
        assert_eq!(twins.seen(&other, "b", "10.0.0.3", Wall(0)), None);
    }
}
