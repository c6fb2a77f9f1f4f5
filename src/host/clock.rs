//! The only place that reads clocks. All other code is handed a [`Now`].

use qris_core::order::time::{Boot, BootId, Now, Wall};
use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

/// The day of this version's release, 2026-11-20. A clock that says an earlier time is wrong.
pub const RELEASED: Wall = Wall(1_795_132_800_000);

/// The time of day, if it may be right.
#[must_use]
pub fn trusted(wall: Wall) -> Option<Wall> {
    (wall >= RELEASED).then_some(wall)
}

/// Both clocks, read one right after the other. A wall clock before 1970 reads as a negative [`Wall`].
#[must_use]
pub fn now() -> Now {
    Now { boot: boot(), wall: wall() }
}

fn wall() -> Wall {
    Wall(match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    })
}

/// The name of this boot of this machine. It fails where `/proc` is not mounted, or is not the kernel's.
pub fn boot_id() -> io::Result<BootId> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    match text.trim_end() {
        "" => Err(io::Error::new(io::ErrorKind::InvalidData, "the kernel's boot_id is empty")),
        id => Ok(BootId(id.into())),
    }
}

/// CLOCK_BOOTTIME. The standard library does not offer it: its `Instant` is CLOCK_MONOTONIC, which stands still while
/// the machine sleeps. `/proc/uptime` counts only hundredths of a second.
fn boot() -> Boot {
    let time = clock_gettime(ClockId::Boottime);
    #[allow(clippy::useless_conversion, reason = "32-bit targets have narrower fields")]
    Boot(time.tv_sec * 1000 + i64::from(time.tv_nsec) / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_is_the_kernels_uptime() {
        let uptime = || -> f64 {
            let text = std::fs::read_to_string("/proc/uptime").expect("proc");
            text.split(' ').next().and_then(|s| s.parse().ok()).expect("seconds")
        };
        let (before, now, after) = (uptime(), now(), uptime());
        let seconds = now.boot.0 as f64 / 1000.0;
        assert!(before - 0.02 <= seconds && seconds <= after + 0.02, "{before} {seconds} {after}");
        assert!(now.wall > Wall(1_700_000_000_000));
        assert_eq!(boot_id().expect("a boot id").0.len(), 36);
    }
}
