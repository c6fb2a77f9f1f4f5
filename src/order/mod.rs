//! The core: what an order is, who may change it, and what must be done about it now. No I/O, no clock, no randomness.

pub mod ids;
pub mod money;
pub mod qris;
pub mod time;
