//! An order, and everything that stands on a wire. Both are pure: no socket, file, clock, thread or environment.
//! `order` knows nothing of `wire`.

pub mod contact;
mod hex;
pub mod order;
pub mod text;
pub mod wire;

pub use hex::hex;
