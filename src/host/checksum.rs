//! The checksum of a row of a database. SQLite does not see a bit that flips within a value.

use ring::digest::{SHA256, digest};
use serde::Serialize;

/// 64 bits of SHA-256 over the values of a row. It is made before the row is written, and checked when the row is read. The values
/// are told apart as in JSON: `["ab", "c"]` is not `["a", "bc"]`, and nothing is not an empty text.
///
/// # Panics
/// For a value that JSON does not have, as a map whose keys are not texts.
#[must_use]
pub fn checksum(row: &impl Serialize) -> [u8; 8] {
    let json = serde_json::to_vec(row).expect("plain data");
    *digest(&SHA256, &json).as_ref().first_chunk().expect("a digest of 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_rows_have_the_same() {
        let none: Option<&str> = None;
        let rows = [
            checksum(&("ab", "c", 1)),
            checksum(&("a", "bc", 1)),
            checksum(&("abc", "", 1)),
            checksum(&("abc", none, 1)),
            checksum(&("ab", "c", 2)),
            checksum(&("ab", "c", "1")),
            checksum(&("ab\0", "c", 1)),
            checksum(&("ab\",\"c", 1)),
        ];
        for (at, row) in rows.iter().enumerate() {
            assert!(!rows[..at].contains(row), "{at}");
        }
        assert_eq!(rows[0], checksum(&(String::from("ab"), Some("c"), 1_i64)), "the value counts, not its type");
    }
}
