//! The one integration test binary: one module a behaviour.

mod bus_link;
mod mqtt_link;
mod rig;
