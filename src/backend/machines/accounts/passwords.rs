//! Passwords as Mosquitto and its plugin keep them: PBKDF2 with HMAC-SHA-512, in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qris_host::random;
use ring::pbkdf2;
use std::num::NonZeroU32;

/// The iterations that Mosquitto uses itself. A machine's password has 256 random bits: more would protect nothing.
pub(super) const ITERATIONS: NonZeroU32 = NonZeroU32::new(101).expect("not zero");
const SALT_BYTES: usize = 12;
const HASH_BYTES: usize = 64;

/// The line of a user in a `password_file`: `NAME:$7$ITERATIONS$SALT$HASH`.
pub fn line(user: &str, password: &str) -> String {
    let [salt, hash] = hashed(password);
    format!("{user}:$7${ITERATIONS}${salt}${hash}\n")
}

/// A new salt, and the password's hash with it, as Mosquitto and its plugin write them.
pub(super) fn hashed(password: &str) -> [String; 2] {
    let (mut salt, mut hash) = ([0; SALT_BYTES], [0; HASH_BYTES]);
    random::fill(&mut salt);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, ITERATIONS, &salt, password.as_bytes(), &mut hash);
    [BASE64.encode(salt), BASE64.encode(hash)]
}
