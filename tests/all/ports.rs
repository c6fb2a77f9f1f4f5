//! The ports that the rig gives to what the tests start.

use crate::rig::free_port;
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_port_is_free_also_while_processes_are_started() {
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !enough.load(Ordering::Relaxed) {
                    Command::new("true").status().expect("true");
                }
            });
        }
        let taken: Vec<_> = (0..400).map(|_| free_port()).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_err()).collect();
        enough.store(true, Ordering::Relaxed);
        assert_eq!(taken, [0_u16; 0], "ports that were given as free");
    });
}
