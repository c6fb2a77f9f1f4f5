//! The proofs that need no process: the whole product in virtual time, each operation that fails once, and the search.
//! None of it is ever installed.

mod backend;
pub mod disk;
pub mod nth;
pub mod search;
pub mod world;

use qris_sim::{middlebox, midtrans, rng};
