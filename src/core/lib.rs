//! What an order is, and what stands on every wire. Both are pure: no socket, file, clock, thread or environment.
//! `order` knows nothing of `wire`.

pub mod order;
pub mod wire;
