//! `qrisd`: a vending machine, a car-park barrier or a coin laundry that takes GoPay and every QRIS app, with nobody
//! standing next to it.
//!
//! The rooms, and which way imports go: `bin → demo, ctl, sim → device, relay, backend → host → wire → order`.
//! `device`, `relay` and `backend` never import each other: they meet in `wire`. `order` and `wire` are pure: no
//! socket, file, clock, thread or environment. What decides does no I/O; what does I/O decides nothing.

#[cfg(feature = "backend")]
pub mod backend;
#[cfg(feature = "ctl")]
pub mod ctl;
#[cfg(feature = "demo")]
pub mod demo;
#[cfg(feature = "device")]
pub mod device;
#[cfg(feature = "_program")]
pub mod host;
pub mod order;
#[cfg(feature = "relay")]
pub mod relay;
#[cfg(feature = "demo")]
pub mod sim;
pub mod wire;
