//! Siblings of what cannot be had on a laptop: a simulated Midtrans and its customers.
//!
//! What decides is pure: [`midtrans`] knows no socket, clock or thread, so that a test can drive it by the
//! millisecond. [`midtrans_http`] is the thin part that gives it a port.

mod backend;
pub mod disk;
pub mod faults;
#[cfg(test)]
mod merchant_tests;
pub mod middlebox;
pub mod midtrans;
pub mod midtrans_http;
pub mod model;
pub mod nth;
pub mod qris;
pub mod rng;
pub mod world;
