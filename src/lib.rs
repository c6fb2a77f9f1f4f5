//! `qrisd`: a vending machine, a car-park barrier or a coin laundry that takes GoPay and every QRIS app, with nobody
//! standing next to it.
//!
//! The crates, and which way imports go: `tools → demo, proof, ctl → conform → device, relay, backend, desk, sim → host, screen → core`.
//! `device`, `relay`, `backend` and `desk` never import each other: they meet in `core::wire`. `core` is pure: no socket, file, clock,
//! thread or environment. Code that decides does no I/O. Code that does I/O decides nothing.
//!
//! This package has the programs' `main` and the tests of processes, which name the crates as they stand here.

#[cfg(feature = "backend")]
pub use qris_backend as backend;
#[cfg(feature = "conform")]
pub use qris_conform as conform;
pub use qris_core::{order, text, wire};
#[cfg(feature = "ctl")]
pub use qris_ctl as ctl;
#[cfg(feature = "desk")]
pub use qris_desk as desk;
#[cfg(feature = "device")]
pub use qris_device as device;
pub use qris_host as host;
#[cfg(feature = "relay")]
pub use qris_relay as relay;
#[cfg(feature = "demo")]
pub use {qris_demo as demo, qris_sim as sim};
#[cfg(feature = "tools")]
pub use {qris_proof as proof, qris_tools as tools};
