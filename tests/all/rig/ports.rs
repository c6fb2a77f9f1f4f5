//! TCP ports on loopback for what a test starts.

use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};

/// A port that nobody listens at, for a program that is told to listen there.
pub fn free_port() -> u16 {
    let (port, listener) = free_listener();
    drop(listener);
    // A process that another test starts at this moment has the listener, too, until it becomes its program.
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        std::thread::yield_now();
    }
    port
}

/// A port, and the listener there: for who listens in this process.
pub fn free_listener() -> (u16, TcpListener) {
    // Below the range from which the kernel gives ports to connections, so that none of them takes it meanwhile.
    const FIRST: u16 = 14_000;
    const COUNT: u16 = 18_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..COUNT {
        // Runs that go on at the same time begin at different places: far apart, which their process ids are not.
        let start = (std::process::id().wrapping_mul(0x9e37_79b1) % u32::from(COUNT)) as u16;
        let port = FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return (port, listener);
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}
