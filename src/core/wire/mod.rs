//! The contract between the programs: everything that crosses a wire, byte for byte.

#![warn(missing_docs)]

pub mod command;
pub mod dbus;
pub mod desk;
pub mod enrolment;
pub mod invitation;
pub mod orders;
pub mod payment;
pub mod relay;
pub mod settings;
pub mod status;
pub mod stock;
pub mod strict;
pub mod telemetry;
pub mod topics;
pub mod vend;
