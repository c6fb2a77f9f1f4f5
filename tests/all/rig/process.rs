//! A process of the test: its lines, its word that it is ready, its end.

use super::received::Received;
use super::{PATIENCE, command, output, tool};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A running process. It is killed when this is dropped.
pub struct Process {
    pub name: String,
    child: Mutex<Child>,
    /// What it wrote to standard output and standard error, line by line.
    pub lines: Received<String>,
    /// What it told the service manager: `READY=1`, `STATUS=…`, `WATCHDOG=1`, one assignment each.
    pub notices: Received<String>,
    notify: Option<PathBuf>,
    readers: Mutex<Vec<JoinHandle<()>>>,
}

impl Process {
    /// Starts a command. Both of its outputs are kept as lines.
    pub fn start(name: &str, command: &mut Command) -> Self {
        Self::spawn(name, command, None, Received::default())
    }

    /// Starts a service, and waits until it says that it is ready, in `NOTIFY_SOCKET`'s protocol. `directory` holds the
    /// socket.
    pub fn start_service(name: &str, command: &mut Command, directory: &Path) -> Self {
        let process = Self::start_notifying(name, command, directory);
        process.wait_ready();
        process
    }

    /// Starts a service without waiting for its word.
    pub fn start_notifying(name: &str, command: &mut Command, directory: &Path) -> Self {
        let path = directory.join(format!("notify-{name}"));
        drop(std::fs::remove_file(&path));
        let socket = UnixDatagram::bind(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        let notices = Received::default();
        let sink = notices.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if text == STOP_LISTENING {
                    return;
                }
                text.lines().for_each(|line| sink.push(line.to_owned()));
            }
        });
        Self::spawn(name, command.env("NOTIFY_SOCKET", &path), Some(path), notices)
    }

    fn spawn(name: &str, command: &mut Command, notify: Option<PathBuf>, notices: Received<String>) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap_or_else(|why| panic!("{name}: {command:?}: {why}"));
        let lines = Received::default();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
        let readers = outputs.into_iter().map(|output| {
            let sink = lines.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).split(b'\n') {
                    let Ok(line) = line else { return };
                    sink.push(String::from_utf8_lossy(&line).into_owned());
                }
            })
        });
        let readers = Mutex::new(readers.collect());
        Self { name: name.into(), child: Mutex::new(child), lines, notices, notify, readers }
    }

    pub fn wait_ready(&self) {
        self.hear(&self.notices, 0, PATIENCE, "READY=1", |notice| (notice == "READY=1").then_some(()));
    }

    /// Waits for a line that contains `text`; the whole line.
    pub fn wait_line(&self, text: &str) -> String {
        self.wait_line_from(0, text)
    }

    /// The same, of lines from a place on (`lines.count()`).
    pub fn wait_line_from(&self, from: usize, text: &str) -> String {
        self.hear(&self.lines, from, PATIENCE, text, |line| line.contains(text).then(|| line.clone()))
    }

    /// The same, of a line that is late by design.
    pub fn wait_line_within(&self, patience: Duration, text: &str) -> String {
        self.hear(&self.lines, 0, patience, text, |line| line.contains(text).then(|| line.clone()))
    }

    /// Waits for something heard; a process that ends meanwhile is told with all that it wrote.
    fn hear<U>(&self, heard: &Received<String>, from: usize, patience: Duration, what: &str, look: impl Fn(&String) -> Option<U>) -> U {
        let end = Instant::now() + patience;
        loop {
            let ended = self.try_status();
            if ended.is_some() {
                self.read_to_the_end();
            }
            if let Some(found) = heard.find_from(from, Duration::from_millis(50), &look) {
                return found;
            }
            assert!(ended.is_none(), "{} ended ({ended:?}) before it told {what:?}:\n{}", self.name, self.text());
            assert!(Instant::now() < end, "{} did not tell {what:?} in {patience:?}:\n{}", self.name, self.text());
        }
    }

    /// Everything it wrote.
    pub fn text(&self) -> String {
        self.lines.all().join("\n")
    }

    pub fn id(&self) -> u32 {
        self.child().id()
    }

    /// How it ended, if it has.
    pub fn try_status(&self) -> Option<ExitStatus> {
        self.child().try_wait().expect("a child can be waited for")
    }

    /// Waits for its end.
    pub fn wait(&self) -> ExitStatus {
        let status = self.try_status();
        status.unwrap_or_else(|| {
            await_end(self.id(), &self.name);
            self.child().wait().expect("a child can be waited for")
        })
    }

    /// Waits for its end; how it did, and everything it wrote until then.
    pub fn finish(&self) -> (ExitStatus, String) {
        let status = self.wait();
        self.read_to_the_end();
        (status, self.text())
    }

    /// What it wrote last may be read after its end is known.
    fn read_to_the_end(&self) {
        for reader in self.readers.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            drop(reader.join());
        }
    }

    /// Sends a signal by name (`TERM`, `STOP`, `CONT`, `INT`).
    pub fn signal(&self, name: &str) {
        let sent = output(command(tool("sh")).args(["-c", &format!("kill -{name} {}", self.id())]));
        assert!(sent.status.success(), "kill -{name} of {}: {}", self.name, String::from_utf8_lossy(&sent.stderr));
    }

    /// Asks it to end; how it did, and how long that took.
    pub fn terminate(&self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        self.signal("TERM");
        (self.wait(), start.elapsed())
    }

    /// The power cut: it is gone at once.
    pub fn kill(&self) {
        let mut child = self.child();
        // An error says that it has ended already.
        drop(child.kill());
        drop(child.wait());
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.memory_kib("VmRSS:")
    }

    /// The most resident memory that it ever had, in KiB.
    pub fn most_resident_kib(&self) -> u64 {
        self.memory_kib("VmHWM:")
    }

    /// Open files and sockets.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).expect("a living process").count()
    }

    fn memory_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("a living process");
        let line = status.lines().find(|line| line.starts_with(name)).expect("the kernel tells it");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const STOP_LISTENING: &str = "the rig stops listening";

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(path) = &self.notify
            && let Ok(socket) = UnixDatagram::unbound()
        {
            drop(socket.send_to(STOP_LISTENING.as_bytes(), path));
        }
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}", self.name, self.text());
        }
    }
}

/// Waits until a child of ours has ended, which nobody has waited for yet.
pub fn await_end(child: u32, name: &str) {
    assert!(ends_within(child, PATIENCE), "waited {PATIENCE:?} in vain for: the end of {name}");
}

/// Whether a child of ours, which nobody has waited for yet, ends in this time. The kernel tells its end.
pub fn ends_within(child: u32, patience: Duration) -> bool {
    let pid = Pid::from_raw(child.try_into().expect("the kernel's process ids are pid_t")).expect("no process is 0");
    let process = pidfd_open(pid, PidfdFlags::empty()).expect("a child that was not waited for can be named");
    let patience = Timespec::try_from(patience).expect("a time");
    poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience)).expect("no signal comes to the tests") > 0
}

/// Reads an output to its end in a thread, so that the writer never waits for us.
pub fn read_whole(mut output: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        drop(output.read_to_end(&mut bytes));
        bytes
    })
}
