//! One of the installed programs as a process: when it was started, when it said that it is ready, what it costs.

use std::fs::File;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// No program takes this long to be ready, or to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// The word that ends the thread behind a program's notices.
const END: &[u8] = b"END";

/// A running program. It is killed when this is dropped.
pub struct Program {
    child: Child,
    /// The program itself: `child` may be `strace`.
    pub pid: u32,
    pub started: Instant,
    ready: Receiver<Instant>,
    notify: PathBuf,
}

impl Program {
    /// Starts it. What it writes goes to `NAME.log` in `directory`.
    pub fn start(name: &str, command: &mut Command, directory: &Path) -> Self {
        let notify = directory.join(format!("notify-{name}"));
        drop(std::fs::remove_file(&notify));
        let socket = UnixDatagram::bind(&notify).expect("a short path in a new directory");
        let (sender, ready) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                let at = Instant::now();
                let text = &buffer[..length];
                if text == END {
                    return;
                }
                if text.split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                    let _ = sender.send(at);
                }
            }
        });
        let log = File::options().append(true).create(true).open(directory.join(format!("{name}.log"))).expect("a log");
        command.env("NOTIFY_SOCKET", &notify).stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        let started = Instant::now();
        let child = command.spawn().unwrap_or_else(|why| panic!("{name}: {command:?}: {why}"));
        let pid = child.id();
        Self { child, pid, started, ready, notify }
    }

    /// The same under strace, which writes every write and sync to `trace`.
    pub fn start_traced(name: &str, command: &Command, directory: &Path, trace: &Path) -> Self {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-y", "-qq", "-s", "0", "-e", "trace=fsync,fdatasync,write,pwrite64,ftruncate", "-o"]).arg(trace);
        strace.arg(command.get_program()).args(command.get_args());
        let mut program = Self::start(name, &mut strace, directory);
        program.wait_ready();
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", program.pid)).expect("Linux");
        program.pid = children.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("strace has one child");
        program
    }

    /// How long it took to say READY.
    pub fn wait_ready(&self) -> Duration {
        let at = self.ready.recv_timeout(PATIENCE).expect("the program says READY; its log tells more");
        at - self.started
    }

    /// Resident memory and the part of it that is not files, in KiB.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("it runs");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        (field("VmRSS:"), field("RssAnon:"))
    }

    /// Processor time of its threads until now, user and system.
    pub fn cpu(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid)).expect("it runs").flatten();
        // The first number is the time on a processor, in nanoseconds.
        let spent = threads.filter_map(|thread| {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(spent.sum())
    }

    /// Bytes that it had the kernel write to a disk, in whole pages.
    pub fn disk_bytes(&self) -> u64 {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.pid)).expect("our own process");
        io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if self.pid != self.child.id() {
                signal(self.pid, "KILL");
            }
            drop(self.child.kill());
        }
        drop(self.child.wait());
        if let Ok(socket) = UnixDatagram::unbound() {
            drop(socket.send_to(END, &self.notify));
        }
    }
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -{name} {pid}");
}
