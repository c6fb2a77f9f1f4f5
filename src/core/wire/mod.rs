//! The contract between the programs: everything that crosses a wire, byte for byte.

#![warn(missing_docs)]

#[allow(missing_docs, reason = "a comment stands where a name does not say it")]
pub mod command;
pub mod dbus;
#[allow(missing_docs, reason = "their names say what they are")]
pub mod deed;
#[allow(missing_docs, reason = "their names say what they are, and no reader from outside has them")]
pub mod desk;
pub mod enrolment;
pub mod invitation;
pub mod orders;
pub mod payment;
#[allow(missing_docs, reason = "their names say what they are")]
pub mod people;
#[allow(missing_docs, reason = "a comment stands where a name does not say it")]
pub mod relay;
pub mod settings;
pub mod status;
pub mod stock;
pub mod strict;
pub mod telemetry;
pub mod topics;
pub mod vend;
