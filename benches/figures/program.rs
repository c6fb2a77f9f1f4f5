//! One of the installed programs as a process: when it was started, when it said that it is ready, what it costs.

use std::fs::File;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// No program takes this long to be ready, or to end.
const PATIENCE: Duration = Duration::from_secs(120);
/// The word that ends the thread behind a program's notices.
const END: &[u8] = b"END";

/// Where our programs are, as they are installed.
#[derive(Clone)]
pub struct Places(pub PathBuf);

impl Places {
    pub fn ours(&self, program: &str) -> PathBuf {
        self.0.join(program)
    }
}

/// A running program. It is killed when this is dropped.
pub struct Program {
    child: Child,
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
        Self { child, started, ready, notify }
    }

    /// The same under strace, which writes every system call to `NAME.trace`. What it costs is strace's then.
    pub fn start_traced(name: &str, command: &Command, directory: &Path) -> Self {
        let mut strace = Command::new("strace");
        strace.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        strace.args(["-f", "-y", "-qq", "-s", "0", "-o"]).arg(directory.join(format!("{name}.trace")));
        strace.arg(command.get_program()).args(command.get_args());
        Self::start(name, &mut strace, directory)
    }

    /// How long it took to say READY.
    pub fn wait_ready(&self) -> Duration {
        let at = self.ready.recv_timeout(PATIENCE).expect("the program says READY; its log tells more");
        at - self.started
    }

    /// Resident memory and the part of it that is not files, in KiB.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        (field(&status, "VmRSS:"), field(&status, "RssAnon:"))
    }

    /// How often its threads waited until now, each time for a wake-up.
    pub fn waits(&self) -> u64 {
        self.of_threads("status").iter().map(|status| field(status, "voluntary_ctxt_switches:")).sum()
    }

    /// Processor time of its threads until now, user and system.
    pub fn cpu(&self) -> Duration {
        // The first number is the time on a processor, in nanoseconds.
        let threads = self.of_threads("schedstat");
        Duration::from_nanos(threads.iter().filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// A file of /proc, of each thread. One that has just ended has none.
    fn of_threads(&self, file: &str) -> Vec<String> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs").flatten();
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join(file)).ok()).collect()
    }

    /// Bytes that it had the kernel write to a disk, in whole pages.
    pub fn disk_bytes(&self) -> u64 {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.child.id())).expect("our own process");
        io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            // Under strace it is a child of that. None of them has children of its own.
            let own = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.child.id())).unwrap_or_default();
            own.split_whitespace().for_each(|pid| signal(pid, "KILL"));
            drop(self.child.kill());
        }
        drop(self.child.wait());
        if let Ok(socket) = UnixDatagram::unbound() {
            drop(socket.send_to(END, &self.notify));
        }
    }
}

/// A number of a `status` of /proc.
fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn signal(pid: &str, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), pid]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -{name} {pid}");
}
