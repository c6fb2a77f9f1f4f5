//! What only root can see.

use super::text::{fill, texts};
use qris_host::finding::Finding;

pub(super) const AS_ROOT: &str = "sudo qrisctl doctor";

/// What only root can see is no fault of the machine.
pub(super) fn needs_root(check: &'static str, said: impl std::fmt::Display) -> Finding {
    Finding::warn(check, fill(texts().needs_root, &[&said]), AS_ROOT)
}
