//! The one integration test binary: one module a behaviour.

mod bus_link;
mod demo;
mod mqtt_link;
mod rig;
