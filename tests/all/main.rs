//! The integration tests, one module a behaviour. They use real things: Mosquitto, dbus-daemon, OpenSSL, the programs as
//! processes. A missing tool fails the run and is named.

#[allow(dead_code, reason = "the rig offers more than the tests of any one day take")]
mod rig;

mod broker_acl;
mod bus_link;
mod bus_policy;
mod demo;
mod demo_page;
mod mqtt_link;
mod qrisctl;
mod relay_service;
mod shape;
