//! Siblings of what cannot be had on a laptop: a simulated Midtrans and its customers, and what stands on the way to it.
//!
//! What decides is pure: [`midtrans`] knows no socket, clock or thread, so that a test can drive it by the
//! millisecond. [`midtrans_http`] is the thin part that gives it a port.

pub mod faults;
pub mod middlebox;
pub mod midtrans;
pub mod midtrans_http;
pub mod qris;
pub mod rng;
