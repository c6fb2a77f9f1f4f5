//! How long to wait before the next attempt. Everything that reconnects (broker, bus, backend) uses this one backoff.

use std::time::Duration;

/// The wait after the first failure, before jitter.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(250);
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Waits that double from the first to the longest. Each is shortened by up to a half.
///
/// The jitter comes from a seed (the device id) and not from a random source. So a thousand machines that lost the
/// same broker come back spread out, and one machine behaves the same in every test.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
    noise: u64,
}

impl Backoff {
    /// From [`BACKOFF_FIRST`] to [`BACKOFF_MAX`], for a service at the other end of a network.
    #[must_use]
    pub fn new(seed: &str) -> Self {
        Self::between(seed, BACKOFF_FIRST, BACKOFF_MAX)
    }

    /// From 20 ms to 2 s, for a service on this computer: an attempt costs next to nothing, and after a start
    /// everything appears within a moment.
    #[must_use]
    pub fn local(seed: &str) -> Self {
        Self::between(seed, Duration::from_millis(20), Duration::from_secs(2))
    }

    fn between(seed: &str, first: Duration, most: Duration) -> Self {
        // FNV-1a: it spreads ids that differ in their last digit only.
        let noise =
            seed.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Self { first, most, failures: 0, noise }
    }

    /// Counts a failure and says how long to wait before the next attempt: between half of the doubled wait and all of it.
    pub fn next_wait(&mut self) -> Duration {
        // 2^7 × the first is past the longest already. The shift must not overflow on a machine that is offline for weeks.
        let whole = self.first.saturating_mul(1 << self.failures.min(7)).min(self.most);
        self.failures = self.failures.saturating_add(1);
        let whole_ms = u64::try_from(whole.as_millis()).expect("seconds at most");
        Duration::from_millis(whole_ms - self.draw() % (whole_ms / 2 + 1))
    }

    /// Forgets the failures: the next wait is a short one again. The jitter goes on from its present place.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next number of splitmix64.
    fn draw(&mut self) -> u64 {
        self.noise = self.noise.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.noise;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The wait before jitter, in milliseconds, of the first failures in a row.
    const WHOLE_MS: [u64; 10] = [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000];

    #[test]
    fn waits_double_up_to_the_maximum_and_keep_at_least_half() {
        for seed in ["", "kios-1", "kios-2"] {
            let mut backoff = Backoff::new(seed);
            for whole in WHOLE_MS {
                let wait = backoff.next_wait();
                let allowed = Duration::from_millis(whole / 2)..=Duration::from_millis(whole);
                assert!(allowed.contains(&wait), "{seed:?}: {wait:?} is not within {allowed:?}");
            }
        }
    }

    #[test]
    fn stays_at_the_maximum_for_ever() {
        let mut backoff = Backoff::new("kios-1");
        for _ in 0..100 {
            backoff.next_wait();
        }
        backoff.failures = u32::MAX;
        assert!(backoff.next_wait() >= BACKOFF_MAX / 2);
    }

    #[test]
    fn two_machines_wait_differently_and_one_machine_always_the_same() {
        let waits = |seed: &str| {
            let mut backoff = Backoff::new(seed);
            (0..8).map(|_| backoff.next_wait()).collect::<Vec<_>>()
        };
        assert_eq!(waits("kios-1"), waits("kios-1"));
        assert_ne!(waits("kios-1"), waits("kios-2"));
    }

    #[test]
    fn a_success_makes_the_next_wait_short() {
        let mut backoff = Backoff::new("kios-1");
        for _ in 0..6 {
            backoff.next_wait();
        }
        backoff.reset();
        assert!(backoff.next_wait() <= BACKOFF_FIRST);
    }
}
