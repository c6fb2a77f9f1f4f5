//! The targets of `tests/all/fuzz/parsers.rs`, run by bolero: its engine sees which branches an input took, and which values
//! were compared. `tests/fuzz/run` builds and runs this; `tests/all` runs the same targets without instrumentation.

#[path = "../all/fuzz/parsers.rs"]
mod parsers;
mod rig;
