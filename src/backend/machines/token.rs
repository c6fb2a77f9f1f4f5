//! The hash of a token, of a code, or of a whole row.

/// The hash under which a token is kept, in lower-case hex.
#[must_use]
pub fn hash(token: &str) -> String {
    qris_core::hex(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref())
}
