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
/// Of the machine's program, what `qrisctl` checks configurations with, and draws with.
#[cfg(all(feature = "ctl", not(feature = "device")))]
pub mod device {
    pub mod config;
    pub mod machine {
        //! What a machine is set to.
        mod settings;
        pub use settings::Settings;
    }
    pub use qris_screen as screen;
}
pub use qris_core::{order, wire};
#[cfg(feature = "_program")]
pub use qris_host as host;
#[cfg(feature = "relay")]
pub mod relay;
/// Of the relay service, what `qrisctl` checks configurations with, and tries lines with.
#[cfg(all(feature = "ctl", not(feature = "relay")))]
pub mod relay {
    pub mod config;
    pub mod line;
}
#[cfg(feature = "demo")]
pub mod sim;
