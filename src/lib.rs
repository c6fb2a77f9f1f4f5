//! `qrisd`: a vending machine, a car-park barrier or a coin laundry that takes GoPay and every QRIS app, with nobody
//! standing next to it.
//!
//! The rooms, and which way imports go: `bin → demo, ctl, sim → device, relay, backend → host → wire → order`.
//! `device`, `relay` and `backend` never import each other: they meet in `wire`. `order` and `wire` are pure: no
//! socket, file, clock, thread or environment. What decides does no I/O; what does I/O decides nothing.

#[cfg(feature = "ctl")]
pub mod ctl;
#[cfg(feature = "demo")]
pub mod demo;
#[cfg(feature = "demo")]
pub mod sim;

#[cfg(feature = "backend")]
pub use qris_backend as backend;
pub use qris_core::{order, wire};
#[cfg(any(feature = "device", feature = "ctl"))]
pub use qris_device as device;
#[cfg(feature = "_program")]
pub use qris_host as host;
#[cfg(any(feature = "relay", feature = "ctl"))]
pub use qris_relay as relay;
