//! What the targets take of the rig in `tests/all/rig`, under the same names.

#[path = "../all/rig/claims.rs"]
pub mod claims;
#[path = "engine.rs"]
pub mod fuzz;

/// A text file of the source tree.
pub fn source_text(path: &str) -> String {
    std::fs::read_to_string(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap_or_else(|why| panic!("{path}: {why}"))
}
