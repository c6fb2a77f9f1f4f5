//! The integration tests, one module a behaviour. They use real things: Mosquitto, dbus-daemon, OpenSSL, the programs as
//! processes. A missing tool fails the run and is named.

#[allow(dead_code, reason = "the rig offers more than the tests of any one day take")]
mod rig;

mod adversaries;
mod alerts;
mod backend_limits;
mod backend_refuses;
mod broker_acl;
mod bus_link;
mod bus_policy;
mod cancel;
mod comes_back;
mod config_check;
mod conform;
mod customer_page;
mod demo;
mod demo_page;
mod disk;
mod doctor;
mod faults;
mod fuzz;
mod interfaces;
mod journal;
mod killed;
mod late_settlement;
mod long_poll;
mod merchant_commands;
mod midtrans_table;
mod mqtt_link;
mod notifications;
mod official_clients;
mod over_the_counter;
mod power_cut;
mod power_more;
mod qrisctl;
mod reboot;
mod receipts_refused;
mod reconcile;
mod reconnect;
mod relay_service;
mod requests_refused;
mod sale;
mod secrets;
mod shape;
mod shutdown;
mod simulator_page;
mod tls;
mod two_backends;
mod watchdog;
