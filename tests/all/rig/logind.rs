//! Stands in for logind: a computer that runs the tests is not rebooted.

use super::{soon, wait_for};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use zbus::Connection;

const LOGIND: &str = "org.freedesktop.login1";
pub const LOGIND_PATH: &str = "/org/freedesktop/login1";
pub const MANAGER: &str = "org.freedesktop.login1.Manager";
pub const SIGNAL: &str = "PrepareForShutdown";
/// What the system's own policy says of logind.
pub const RULES: &str = "<policy context=\"default\"><allow own=\"org.freedesktop.login1\"/>\
    <allow send_destination=\"org.freedesktop.login1\"/><allow send_destination=\"io.qrisd.Device1\"/></policy>";

/// It gives locks, tells that the computer is about to go down, and is asked for reboots.
pub struct Logind {
    runtime: tokio::runtime::Runtime,
    connection: Connection,
    /// What was locked.
    pub locks: Locks,
    /// How many reboots were asked for.
    pub reboots: Arc<Mutex<u32>>,
    /// It goes down. Only whoever asks hears it.
    pub is_going_down: Arc<AtomicBool>,
}

/// What was locked, and our end of each lock.
pub type Locks = Arc<Mutex<Vec<([String; 4], UnixStream)>>>;

/// The computer's name of a refusal.
const DENIED: &str = "not now";

struct Manager {
    locks: Locks,
    reboots: Arc<Mutex<u32>>,
    is_going_down: Arc<AtomicBool>,
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::OwnedFd {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("set");
        self.locks.lock().expect("no panic").push(([what, who, why, mode].map(str::to_owned), ours));
        std::os::fd::OwnedFd::from(theirs).into()
    }

    #[zbus(property)]
    fn preparing_for_shutdown(&self) -> bool {
        self.is_going_down.load(Ordering::SeqCst)
    }

    /// The first is refused, and all others are taken.
    fn reboot(&self, _interactive: bool) -> zbus::fdo::Result<()> {
        let mut reboots = self.reboots.lock().expect("no panic");
        *reboots += 1;
        if *reboots == 1 { Err(zbus::fdo::Error::AccessDenied(DENIED.into())) } else { Ok(()) }
    }
}

impl Logind {
    /// Takes logind's name on a bus.
    pub fn start(address: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (locks, reboots, is_going_down) = (Locks::default(), Arc::default(), Arc::default());
        let manager = Manager { locks: Arc::clone(&locks), reboots: Arc::clone(&reboots), is_going_down: Arc::clone(&is_going_down) };
        let connection = runtime.block_on(async {
            let builder = zbus::connection::Builder::address(address).serve_at(LOGIND_PATH, manager).name(LOGIND);
            soon("the bus", builder.build()).await.expect("the bus is there")
        });
        Self { runtime, connection, locks, reboots, is_going_down }
    }

    /// The computer goes down, or does not after all: everybody is told.
    pub fn tells(&self, going_down: bool) {
        self.is_going_down.store(going_down, Ordering::SeqCst);
        self.says(&going_down);
    }

    /// Says so, with any body, and is as it was.
    pub fn says<B: serde::Serialize + zbus::zvariant::DynamicType + Sync>(&self, body: &B) {
        let sent = self.connection.emit_signal(None::<&str>, LOGIND_PATH, MANAGER, SIGNAL, body);
        self.runtime.block_on(soon("a signal", sent)).expect("sent");
    }

    /// How many locks were given, and whether the last one is still held.
    pub fn lock(&self) -> (usize, bool) {
        let mut locks = self.locks.lock().expect("no panic");
        let count = locks.len();
        // Nothing is ever written: it is the end, or there is nothing to read.
        let is_held = locks.last_mut().is_some_and(|(_, ours)| ours.read(&mut [0]).is_err());
        (count, is_held)
    }

    /// Waits for that.
    pub fn wait_lock(&self, count: usize, is_held: bool) {
        wait_for("a lock", || (self.lock() == (count, is_held)).then_some(()));
    }
}
