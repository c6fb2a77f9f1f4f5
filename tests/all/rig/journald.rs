//! A stand-in for journald that reads from the start, later, or never. Needs root.

use super::namespace::Namespace;
use super::received::Received;
use super::{PATIENCE, command};
use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

pub type Entry = BTreeMap<String, String>;

/// A service says how many lines are missing.
const LINES_SUPPRESSED: &str = "a62d93805b6f483d826da6e0dfe00d9e";
/// An order of the machine went into another state.
const ORDER_MOVED: &str = "05763477533a4fd6b2063162ab1d2c81";

/// A stand-in for journald: its socket, and what came. Seen where it should be in a namespace.
pub struct Journald {
    pub entries: Received<Entry>,
    pub socket: UnixDatagram,
    namespace: Namespace,
    directory: tempfile::TempDir,
}

impl Journald {
    pub fn start() -> Self {
        let journald = Self::deaf();
        journald.read();
        journald
    }

    /// One that hangs: its socket is there, where programs in the namespace look for journald's.
    pub fn deaf() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = UnixDatagram::bind(directory.path().join("socket")).expect("a socket");
        let path = directory.path().display();
        let script = format!("mount -t tmpfs tmpfs /run\nmkdir -p /run/systemd/journal\nmount --bind {path} /run/systemd/journal");
        Self { entries: Received::default(), socket, namespace: Namespace::new(&script), directory }
    }

    /// It reads from now on.
    pub fn read(&self) {
        let socket = self.socket.try_clone().expect("the same socket");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("set");
        let sink = self.entries.clone();
        let place = self.directory.path().to_path_buf();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 256 * 1024];
            // Ends with the test, whose directory is then gone.
            while place.exists() {
                // What is empty journald discards.
                if let Ok(length @ 1..) = socket.recv(&mut buffer) {
                    sink.push(entry(&buffer[..length]));
                }
            }
        });
    }

    /// A program as the service manager starts it: its standard error is the journal's stream.
    pub fn command(&self, program: &Command) -> Command {
        let mut start = command("/bin/sh");
        start.args(["-c", "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) && export JOURNAL_STREAM && exec \"$0\" \"$@\""]);
        start.arg(program.get_program()).args(program.get_args());
        self.namespace.command(&start)
    }

    /// How often `qrisd` wrote that an order went into another state, and how often it said that such a line is missing.
    pub fn moves(&self) -> (usize, usize) {
        self.moves_since(0)
    }

    /// The same of what came at and behind a place.
    pub fn moves_since(&self, from: usize) -> (usize, usize) {
        let (mut written, mut missing) = (0, 0);
        for entry in self.entries.since(from).iter().filter(|entry| entry.get("SYSLOG_IDENTIFIER").is_some_and(|who| who == "qrisd")) {
            match entry.get("MESSAGE_ID").map(String::as_str) {
                Some(ORDER_MOVED) => written += 1,
                Some(LINES_SUPPRESSED) => missing += missing_of("OrderMoved", &entry["MESSAGE"]),
                Some(_) | None => {}
            }
        }
        (written, missing)
    }

    /// The events of a kind at and behind a place.
    pub fn of_kind(&self, from: usize, message_id: &str) -> Vec<Entry> {
        let entries = self.entries.since(from);
        entries.into_iter().filter(|entry| entry.get("MESSAGE_ID").is_some_and(|found| found == message_id)).collect()
    }

    /// The same, once there is one: a program may have ended before all that it wrote is read here.
    pub fn wait_kind(&self, from: usize, message_id: &str) -> Vec<Entry> {
        self.entries.find_from(from, PATIENCE, |entry| (entry.get("MESSAGE_ID")? == message_id).then_some(()));
        self.of_kind(from, message_id)
    }

    pub fn wait(&self, what: &str, look: impl Fn(&Entry) -> bool) -> Entry {
        let found = self.entries.find_from(0, PATIENCE, |entry| look(entry).then(|| entry.clone()));
        found.unwrap_or_else(|| panic!("journald did not get {what}: {:#?}", self.entries.all()))
    }
}

/// How many lines of a kind are missing: `4 more events were not written: OrderMoved`, or `…: ChargeLost 1, OrderMoved 3`.
fn missing_of(kind: &str, said: &str) -> usize {
    let (all, kinds) = said.split_once(" more events were not written: ").unwrap_or_else(|| panic!("other words: {said}"));
    if kinds == kind {
        return all.parse().expect("a number");
    }
    kinds.split(", ").filter_map(|each| each.strip_prefix(kind)?.strip_prefix(' ')?.parse::<usize>().ok()).sum()
}

/// journald's native protocol: `NAME=value`, or the name, eight bytes of length, and the value.
pub fn entry(mut bytes: &[u8]) -> Entry {
    let mut entry = Entry::new();
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
        bytes = &bytes[end + 1..];
        match line.split_once('=') {
            Some((name, value)) => entry.insert(name.into(), value.into()),
            None => {
                let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
                let (value, rest) = bytes[8..].split_at(usize::try_from(length).expect("short"));
                bytes = &rest[1..];
                entry.insert(line, String::from_utf8_lossy(value).into_owned())
            }
        };
    }
    entry
}
