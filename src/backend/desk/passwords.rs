//! Passwords: argon2id, as OWASP says (19 MiB, two passes, one lane). Each costs memory and time, so few are computed at once, and few wait.
//! Strangers have places of their own. However many guess, a known phone and a link find theirs.

mod common;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use qris_core::wire::desk::{PASSWORD_MAX, PASSWORD_MIN, Problem};
use qris_host::random;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use unicode_normalization::UnicodeNormalization as _;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// What stands before salt and hash, as others write it, too.
const KIND: &str = "$argon2id$v=19$m=19456,t=2,p=1$";
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// So many of those who are known are computed at once.
const KNOWN_AT_ONCE: usize = 2;
/// … and of strangers: one core is left to the sales.
const STRANGERS_AT_ONCE: usize = 1;
/// So many more of each may wait.
const WAITING: usize = 6;

/// Too many wait already. Nothing was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// Who asks for a password to be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Somebody with a session, a link, or a device on which this person was let in before.
    Known,
    Stranger,
}

#[derive(Debug)]
struct Line {
    running: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Line {
    fn new(at_once: usize) -> Self {
        Self { running: Arc::new(Semaphore::new(at_once)), places: Arc::new(Semaphore::new(at_once + WAITING)) }
    }
}

/// Computes the hashes of passwords, beside all other work.
#[derive(Debug)]
pub struct Passwords {
    known: Line,
    strangers: Line,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { known: Line::new(KNOWN_AT_ONCE), strangers: Line::new(STRANGERS_AT_ONCE) }
    }
}

/// A place in a line. Whoever has one is computed, after those before.
#[derive(Debug)]
pub struct Place {
    place: OwnedSemaphorePermit,
    running: Arc<Semaphore>,
}

/// A password as it is computed. Phones write é in two ways, and a paste brings spaces with it: neither makes another password.
#[must_use]
pub fn plain(typed: &str) -> String {
    typed.trim().nfc().collect()
}

/// Whether somebody may choose this password.
///
/// # Errors
/// [`Problem::Password`], [`Problem::CommonPassword`]
pub fn fits(typed: &str, name: &str) -> Result<(), Problem> {
    let password = plain(typed);
    if password.len() > PASSWORD_MAX || password.chars().count() < PASSWORD_MIN {
        Err(Problem::Password)
    } else if common::is_common(&password, name) {
        Err(Problem::CommonPassword)
    } else {
        Ok(())
    }
}

impl Passwords {
    /// A place, if there is one. It is taken before a guess is counted: who is sent away has not guessed.
    pub fn place(&self, asks: Asks) -> Result<Place, Busy> {
        let line = match asks {
            Asks::Known => &self.known,
            Asks::Stranger => &self.strangers,
        };
        let place = Arc::clone(&line.places).try_acquire_owned().map_err(|_| Busy)?;
        Ok(Place { place, running: Arc::clone(&line.running) })
    }
}

impl Place {
    /// The hash of a password, with a new salt.
    pub async fn hash(self, password: &str) -> Result<String, Busy> {
        let mut salt = [0; SALT_BYTES];
        random::fill(&mut salt);
        let hash = self.compute(password, salt).await?;
        Ok(format!("{KIND}{}${}", BASE64.encode(salt), BASE64.encode(hash)))
    }

    /// Whether a password is that of this hash. Without a hash it is wrong, after the same time.
    pub async fn matches(self, password: &str, hash: Option<&str>) -> Result<bool, Busy> {
        let known = hash.and_then(read);
        let (salt, wanted) = known.unwrap_or(([0; SALT_BYTES], [0; HASH_BYTES]));
        let got = self.compute(password, salt).await?;
        Ok(known.is_some() && bool::from(got.ct_eq(&wanted)))
    }

    async fn compute(self, password: &str, salt: [u8; SALT_BYTES]) -> Result<[u8; HASH_BYTES], Busy> {
        let Self { place, running } = self;
        let running = running.acquire_owned().await.map_err(|_| Busy)?;
        let password = plain(password);
        // Who goes away frees no place before the work is done.
        let compute = move || {
            let _held: [OwnedSemaphorePermit; 2] = [place, running];
            let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).expect("these are allowed");
            let mut hash = [0; HASH_BYTES];
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(password.as_bytes(), &salt, &mut hash)
                .expect("a password and a salt of these lengths are taken");
            hash
        };
        tokio::task::spawn_blocking(compute).await.map_err(|_| Busy)
    }
}

fn read(hash: &str) -> Option<([u8; SALT_BYTES], [u8; HASH_BYTES])> {
    let (salt, hash) = hash.strip_prefix(KIND)?.split_once('$')?;
    Some((BASE64.decode(salt).ok()?.try_into().ok()?, BASE64.decode(hash).ok()?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(passwords: &Passwords) -> Place {
        passwords.place(Asks::Known).expect("room")
    }

    #[tokio::test]
    async fn a_password_is_right_or_wrong_and_nobody_has_one_by_mistake() {
        let passwords = Passwords::default();
        let hash = place(&passwords).hash("kopi pagi 7").await.expect("room");
        assert_ne!(place(&passwords).hash("kopi pagi 7").await.expect("room"), hash, "each has its own salt");
        for (typed, known, right) in [
            ("kopi pagi 7", Some(&*hash), true),
            (" kopi pagi 7\n", Some(&*hash), true),
            ("kopi pagi 8", Some(&*hash), false),
            ("", Some(&*hash), false),
            ("kopi pagi 7", None, false),
            ("kopi pagi 7", Some("$argon2id$"), false),
            ("kopi pagi 7", Some(""), false),
        ] {
            assert_eq!(place(&passwords).matches(typed, known).await, Ok(right), "{typed} {known:?}");
        }
        // The salt and the hash that stand in for those of nobody let nobody in.
        let nobodys = place(&passwords).compute("kopi pagi 7", [0; SALT_BYTES]).await.expect("room");
        assert_ne!(nobodys, [0; HASH_BYTES]);
        // One letter or two: a phone and a computer write it so.
        let hash = place(&passwords).hash("caf\u{e9} di pojok").await.expect("room");
        assert_eq!(place(&passwords).matches("cafe\u{301} di pojok", Some(&hash)).await, Ok(true));
    }

    /// The one of RFC 9106 has other costs. This is what `argon2-cffi` gives for ours, which is the reference program in C.
    #[tokio::test]
    async fn the_hash_is_that_of_others() {
        let passwords = Passwords::default();
        let known = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$K13EBUiG7JV+9ZxztmHFTdb7J0WQsnj2V8bZaqyPptE";
        assert_eq!(place(&passwords).matches("password", Some(known)).await, Ok(true));
    }

    #[test]
    fn few_wait_and_strangers_take_nobody_elses_place() {
        let passwords = Passwords::default();
        let all = |asks| std::iter::from_fn(|| passwords.place(asks).ok()).collect::<Vec<_>>();
        let strangers = all(Asks::Stranger);
        assert_eq!(strangers.len(), STRANGERS_AT_ONCE + WAITING);
        let known = all(Asks::Known);
        assert_eq!(known.len(), KNOWN_AT_ONCE + WAITING);
        drop((strangers, known));
        assert!(passwords.place(Asks::Stranger).is_ok(), "afterwards there is room again");
    }

    /// While strangers compute, somebody who is known does not wait for them.
    #[tokio::test]
    async fn who_is_known_is_computed_beside_strangers() {
        let passwords = Passwords::default();
        let strangers = Arc::clone(&passwords.strangers.running);
        let _held = strangers.acquire_many(STRANGERS_AT_ONCE as u32).await.expect("open");
        assert!(place(&passwords).hash("kopi pagi 7").await.is_ok());
    }

    #[test]
    fn a_password_is_neither_short_nor_endless_nor_common() {
        let long = "sepuluh huruf ".repeat(18) + "1234";
        for (password, wanted) in [
            ("kopi pagi", Err(Problem::Password)),
            (" kopi pagi ", Err(Problem::Password)),
            ("kopi pagi 7", Ok(())),
            (&*long, Ok(())),
            (&*format!("{long}x"), Err(Problem::Password)),
            ("1234567890", Err(Problem::CommonPassword)),
            ("sari123456", Err(Problem::CommonPassword)),
            ("e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}", Err(Problem::Password)),
        ] {
            assert_eq!(fits(password, "Sari"), wanted, "{password}");
        }
    }
}
