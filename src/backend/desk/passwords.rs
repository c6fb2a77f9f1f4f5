//! Passwords: argon2id, as OWASP says (19 MiB, two passes, one lane). Each costs memory and time, so few are computed at once, and few wait.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use qris_core::wire::desk::{PASSWORD_MAX, PASSWORD_MIN};
use qris_host::random;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// What stands before salt and hash, as others write it, too.
const KIND: &str = "$argon2id$v=19$m=19456,t=2,p=1$";
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// So many are computed at once.
const AT_ONCE: usize = 2;
/// So many more may wait.
const WAITING: usize = 6;

/// Too many wait already. Nothing was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Busy;

/// Computes the hashes of passwords, beside all other work.
#[derive(Debug)]
pub struct Passwords {
    running: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { running: Arc::new(Semaphore::new(AT_ONCE)), places: Arc::new(Semaphore::new(AT_ONCE + WAITING)) }
    }
}

/// Whether somebody may choose this password.
#[must_use]
pub fn fits(password: &str) -> bool {
    password.len() <= PASSWORD_MAX && password.chars().count() >= PASSWORD_MIN
}

impl Passwords {
    /// The hash of a password, with a new salt.
    pub async fn hash(&self, password: &str) -> Result<String, Busy> {
        let mut salt = [0; SALT_BYTES];
        random::fill(&mut salt);
        let hash = self.compute(password, salt).await?;
        Ok(format!("{KIND}{}${}", BASE64.encode(salt), BASE64.encode(hash)))
    }

    /// Whether a password is that of this hash. Without a hash it is wrong, after the same time.
    pub async fn is_right(&self, password: &str, hash: Option<&str>) -> Result<bool, Busy> {
        let known = hash.and_then(read);
        let (salt, wanted) = known.unwrap_or(([0; SALT_BYTES], [0; HASH_BYTES]));
        let got = self.compute(password, salt).await?;
        Ok(known.is_some() && bool::from(got.ct_eq(&wanted)))
    }

    async fn compute(&self, password: &str, salt: [u8; SALT_BYTES]) -> Result<[u8; HASH_BYTES], Busy> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Busy)?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Busy)?;
        let password: Box<str> = password.into();
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

    #[tokio::test]
    async fn a_password_is_right_or_wrong_and_nobody_has_one_by_mistake() {
        let passwords = Passwords::default();
        let hash = passwords.hash("kopi pagi 7").await.expect("room");
        assert_ne!(passwords.hash("kopi pagi 7").await.expect("room"), hash, "each has its own salt");
        for (typed, known, right) in [
            ("kopi pagi 7", Some(&*hash), true),
            ("kopi pagi 8", Some(&*hash), false),
            ("", Some(&*hash), false),
            ("kopi pagi 7", None, false),
            ("kopi pagi 7", Some("$argon2id$"), false),
            ("kopi pagi 7", Some(""), false),
        ] {
            assert_eq!(passwords.is_right(typed, known).await, Ok(right), "{typed} {known:?}");
        }
        // The salt and the hash that stand in for those of nobody let nobody in.
        let nobodys = passwords.compute("kopi pagi 7", [0; SALT_BYTES]).await.expect("room");
        assert_ne!(nobodys, [0; HASH_BYTES]);
    }

    /// The one of RFC 9106 has other costs. This is what `argon2-cffi` gives for ours, which is the reference program in C.
    #[tokio::test]
    async fn the_hash_is_that_of_others() {
        let passwords = Passwords::default();
        let known = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$K13EBUiG7JV+9ZxztmHFTdb7J0WQsnj2V8bZaqyPptE";
        assert_eq!(passwords.is_right("password", Some(known)).await, Ok(true));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn few_are_computed_and_few_wait() {
        let passwords = Arc::new(Passwords::default());
        let all: Vec<_> = (0..50)
            .map(|_| {
                let passwords = Arc::clone(&passwords);
                tokio::spawn(async move { passwords.hash("kopi pagi 7").await.is_ok() })
            })
            .collect();
        let mut done = 0;
        for one in all {
            done += usize::from(one.await.expect("no panic"));
        }
        assert!((AT_ONCE + WAITING..50).contains(&done), "{done}");
        assert!(passwords.hash("kopi pagi 7").await.is_ok(), "afterwards there is room again");
    }

    #[test]
    fn a_password_is_neither_short_nor_endless() {
        let long = "x".repeat(PASSWORD_MAX);
        for (password, does) in
            [("123456789", false), ("1234567890", true), (&*long, true), (&*format!("{long}x"), false), ("äöüäöüäöüä", true)]
        {
            assert_eq!(fits(password), does, "{password}");
        }
    }
}
