//! Guesses of passwords. Who guesses wrong waits longer and longer: for a person, and at an address. A name bears fewer than 50 guesses a
//! day. Each process counts for itself, in memory that does not grow.
//!
//! The guesses of others must not keep a person out. So a device on which a person was let in before has a count of its own, and no
//! address counts for it: many people of one network come from one address.

use qris_core::order::time::{Boot, Span};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The first wait. Later ones double.
const FIRST_WAIT: Span = Span::secs(2);
/// For one person: people mistype. 16 guesses take an hour and more, and then there is one an hour: 39 in a day.
const OF_A_NAME: Pace = Pace { free: 5, longest: Span::secs(3600), forgotten: Span::secs(24 * 3600) };
/// At an address, which is many people's.
const AT_AN_ADDRESS: Pace = Pace { free: 20, longest: Span::secs(15 * 60), forgotten: Span::secs(3600) };
/// The number of counters that addresses share, and names of nobody. A secret hash chooses them.
const COUNTERS: usize = 4096;
/// So many counts of people's devices are kept. They are at most 20 a person, but those of removed people stay.
const DEVICES_MAX: usize = 4096;

/// For whom a password is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For<'a> {
    /// For a person, on a device on which this person was let in before, or in a session.
    Known(i64, &'a str),
    /// For a person, on another device.
    Person(i64),
    /// For a name that nobody has. Nobody is told so: it is limited as a person is.
    Nobody(&'a str),
}

#[derive(Debug)]
pub struct Guesses {
    all: Mutex<All>,
    hash: RandomState,
}

#[derive(Debug)]
struct All {
    devices: HashMap<(i64, Box<str>), Count>,
    people: HashMap<i64, Count>,
    nobody: Vec<Count>,
    addresses: Vec<Count>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    wrong: u32,
    last: Boot,
    until: Boot,
}

/// How fast somebody may guess.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// So many wrong guesses cost no time.
    free: u32,
    longest: Span,
    /// Without a guess for so long, the earlier ones are forgotten.
    forgotten: Span,
}

impl Count {
    fn wait(&self, now: Boot) -> Option<Span> {
        (self.until > now).then(|| self.until - now)
    }

    /// One more is wrong, as long as nobody says otherwise.
    fn add(&mut self, pace: Pace, now: Boot) {
        if now >= self.last + pace.forgotten {
            self.wrong = 0;
        }
        self.wrong = self.wrong.saturating_add(1);
        self.last = now;
        if let Some(doubled) = self.wrong.checked_sub(pace.free) {
            let wait = FIRST_WAIT.0.saturating_mul(1_i64.checked_shl(doubled.min(40)).unwrap_or(i64::MAX));
            self.until = now + Span(wait.min(pace.longest.0));
        }
    }

    /// The last one was right. Those before it stay: somebody else may have guessed them.
    fn take_back(&mut self, now: Boot) {
        (self.wrong, self.until) = (self.wrong.saturating_sub(1), now);
    }
}

impl Default for Guesses {
    fn default() -> Self {
        let counters = || vec![Count::default(); COUNTERS];
        let all = All { devices: HashMap::new(), people: HashMap::new(), nobody: counters(), addresses: counters() };
        Self { all: Mutex::new(all), hash: RandomState::new() }
    }
}

impl Guesses {
    /// Whether a password may be tried now. It counts as wrong until [`right`](Self::right) is called: many that are tried in one moment
    /// are not free.
    ///
    /// # Errors
    /// The time to wait. Nothing is counted.
    pub fn begin(&self, whom: For<'_>, address: IpAddr, now: Boot) -> Result<(), Span> {
        let All { devices, people, nobody, addresses } = &mut *self.all();
        if let For::Known(person, device) = whom {
            if devices.len() >= DEVICES_MAX {
                devices.retain(|_, count| count.until > now);
            }
            let count = devices.entry((person, device.into())).or_default();
            if let Some(wait) = count.wait(now) {
                return Err(wait);
            }
            count.add(OF_A_NAME, now);
            return Ok(());
        }
        let at_address = &mut addresses[self.place(address)];
        let count = match whom {
            For::Person(person) => people.entry(person).or_default(),
            For::Nobody(name) => &mut nobody[self.place(name)],
            For::Known(..) => return Ok(()),
        };
        if let Some(wait) = count.wait(now).max(at_address.wait(now)) {
            return Err(wait);
        }
        count.add(OF_A_NAME, now);
        at_address.add(AT_AN_ADDRESS, now);
        Ok(())
    }

    /// The password of this person was right. On a device of this person all is forgiven. Elsewhere the wrong guesses stay, for the name and at
    /// the address: a stranger must not begin anew because she came in.
    pub fn right(&self, whom: For<'_>, address: IpAddr, now: Boot) {
        let All { devices, people, addresses, .. } = &mut *self.all();
        match whom {
            For::Known(person, device) => {
                devices.remove(&(person, device.into()));
            }
            For::Person(person) => {
                people.entry(person).or_default().take_back(now);
                addresses[self.place(address)].take_back(now);
            }
            For::Nobody(_) => {}
        }
    }

    fn place(&self, what: impl std::hash::Hash) -> usize {
        usize::try_from(self.hash.hash_one(what) % COUNTERS as u64).expect("a small number")
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(n: u8) -> IpAddr {
        [192, 0, 2, n].into()
    }

    const NOW: Boot = Boot(10_000_000);

    /// How many guesses pass at this moment.
    fn pass(guesses: &Guesses, whom: For<'_>, from: u8, now: Boot) -> usize {
        (0..100).filter(|_| guesses.begin(whom, address(from), now).is_ok()).count()
    }

    #[test]
    fn wrong_guesses_wait_longer_and_longer() {
        let guesses = Guesses::default();
        assert_eq!(pass(&guesses, For::Person(1), 1, NOW), 5);
        let (mut now, mut waits) = (NOW, Vec::new());
        for _ in 0..13 {
            let wait = guesses.begin(For::Person(1), address(1), now).expect_err("it waits");
            waits.push(wait.0 / 1000);
            now = now + wait;
            assert_eq!(pass(&guesses, For::Person(1), 1, now), 1, "after its time one more passes");
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]);
        assert_eq!(pass(&guesses, For::Person(1), 1, now + Span::secs(24 * 3600)), 5, "a day later it begins anew");
    }

    #[test]
    fn a_name_bears_fewer_than_50_guesses_a_day() {
        let guesses = Guesses::default();
        // Whoever guesses has any number of addresses. After the first day she comes in herself, on a new phone.
        let (mut now, mut passed) = (NOW, [0; 3]);
        for (day, passed) in (1..).zip(&mut passed) {
            let end = NOW + Span::secs(24 * 3600 * day);
            while now < end {
                let from = Ipv4Addr::from_bits(u32::try_from(now.0 / 1000).expect("small"));
                match guesses.begin(For::Person(1), from.into(), now) {
                    Ok(()) => *passed += 1,
                    Err(wait) => now = now + wait,
                }
            }
            if day == 1 {
                guesses.right(For::Person(1), address(1), now);
            }
        }
        assert!(passed.iter().all(|passed| *passed < 50), "{passed:?}");
    }

    #[test]
    fn guesses_by_others_do_not_keep_a_person_out() {
        let guesses = Guesses::default();
        assert_eq!(pass(&guesses, For::Person(1), 1, NOW), 5);
        // Another device, another address: it is the person who is guessed for.
        assert_eq!(pass(&guesses, For::Person(1), 2, NOW), 0);
        assert_eq!(guesses.begin(For::Known(1, "phone"), address(1), NOW), Ok(()), "her own phone, from the address of the guesses");
        assert_eq!(pass(&guesses, For::Known(1, "phone"), 1, NOW), 4, "whoever has her phone guesses no more than others");
        assert_eq!(pass(&guesses, For::Known(1, "tablet"), 1, NOW), 5);
        assert_eq!(pass(&guesses, For::Person(2), 3, NOW), 5, "nobody else waits");
    }

    #[test]
    fn who_guesses_for_many_waits_at_the_address() {
        let guesses = Guesses::default();
        let passed: usize = (1..=30).map(|person| pass(&guesses, For::Person(person), 1, NOW)).sum();
        assert_eq!(passed, 20);
        assert_eq!(pass(&guesses, For::Person(31), 2, NOW), 5);
    }

    #[test]
    fn nobody_is_told_whether_a_name_is_known() {
        let guesses = Guesses::default();
        assert_eq!((pass(&guesses, For::Nobody("budi"), 1, NOW), pass(&guesses, For::Person(1), 2, NOW)), (5, 5));
        // However many names are made up, a person's own count is no other one's.
        for n in 0..20_000 {
            let _ = guesses.begin(For::Nobody(&format!("n{n}")), address(3), NOW);
        }
        assert_eq!(pass(&guesses, For::Person(2), 4, NOW), 5);
    }

    #[test]
    fn a_right_password_ends_the_count_and_takes_only_itself_from_the_address() {
        let guesses = Guesses::default();
        for _ in 0..100 {
            assert_eq!(guesses.begin(For::Person(1), address(1), NOW), Ok(()));
            guesses.right(For::Person(1), address(1), NOW);
        }
        // A person cannot guess for others without end by being right in between.
        let mut passed = 0;
        for other in 2..100 {
            passed += usize::from(guesses.begin(For::Person(other), address(1), NOW).is_ok());
            if guesses.begin(For::Person(1), address(1), NOW).is_ok() {
                guesses.right(For::Person(1), address(1), NOW);
            }
        }
        assert!(passed <= 20, "{passed}");
    }
}
