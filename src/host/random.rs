//! The kernel's randomness.

use ring::rand::{SecureRandom as _, SystemRandom};

/// Fills `bytes` with what nobody can guess.
///
/// # Panics
/// On a kernel without getrandom(2), which none has been since 3.17.
pub fn fill(bytes: &mut [u8]) {
    #[cfg(feature = "testing")]
    if super::play::random(bytes) {
        return;
    }
    SystemRandom::new().fill(bytes).expect("the kernel has randomness");
}
