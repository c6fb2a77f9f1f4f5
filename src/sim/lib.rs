//! Stand-ins for services that a laptop cannot have: a simulated Midtrans with its customers, and the devices on the way
//! to it.
//!
//! All decisions are pure: [`midtrans`] knows no socket, clock or thread. So a test can drive it by the millisecond.
//! [`midtrans_http`] is the thin part that gives it a port.

pub mod middlebox;
pub mod midtrans;
pub mod midtrans_http;
pub mod qris;
pub mod rng;
