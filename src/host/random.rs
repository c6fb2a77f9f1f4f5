//! The kernel's randomness.

use ring::rand::{SecureRandom as _, SystemRandom};

/// Fills `bytes` with values that nobody can guess.
///
/// # Panics
/// On a kernel without getrandom(2). Every kernel since 3.17 has it.
pub fn fill(bytes: &mut [u8]) {
    SystemRandom::new().fill(bytes).expect("the kernel has randomness");
}

/// A name that nothing else has: 16 hex digits.
#[must_use]
pub fn name() -> String {
    let mut bits = [0; 8];
    fill(&mut bits);
    qris_core::hex(&bits)
}
