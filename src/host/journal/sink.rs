//! Where a line goes: to journald with its fields, or to standard error for people. The writer hears of a line that is not there.

use super::DEVICE;
use crate::clock;
use crate::events::Priority;
use qris_core::order::time::Wall;
use qris_core::text;
use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};

/// journald's socket.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

pub(super) enum Sink {
    Journald {
        socket: UnixDatagram,
        program: &'static str,
    },
    /// Readable lines on standard error: `HH:MM:SS level message  key=value…`, in UTC.
    Lines {
        colours: bool,
    },
}

impl Sink {
    /// journald where standard error is its stream. Its socket may be missing all the same, as in a container. Then the stream gets lines.
    pub(super) fn find(program: &'static str) -> Self {
        let socket = is_journal_stream().then(journald).and_then(Result::ok);
        let lines = || Self::Lines { colours: io::stderr().is_terminal() };
        socket.map_or_else(lines, |socket| Self::Journald { socket, program })
    }

    /// Waits for the reader. After an error the line is not there, or only a part of it. Without a priority it is a library's own.
    pub(super) fn write(&self, priority: Option<Priority>, parts: &Parts) -> io::Result<()> {
        match self {
            Self::Journald { socket, program } => {
                let entry = parts.entry(priority, program);
                loop {
                    match socket.send_to(&entry, SOCKET) {
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        sent => return sent.map(drop),
                    }
                }
            }
            Self::Lines { colours } => write_line(&mut io::stderr().lock(), &parts.line(clock::now().wall, word(priority), *colours)),
        }
    }
}

/// Asks whether it is there by an empty message, which it discards. It does not wait: one whose queue is full is there, too.
fn journald() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match socket.send_to(&[], SOCKET) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
        Ok(_) | Err(_) => {}
    }
    socket.set_nonblocking(false)?;
    Ok(socket)
}

/// Is standard error the stream that the service manager made for the journal? `JOURNAL_STREAM` alone does not
/// say it: children inherit it, and their standard error may be another file. Hence the comparison.
fn is_journal_stream() -> bool {
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    std::fs::metadata("/proc/self/fd/2").is_ok_and(|stderr| is_stream(&stream, stderr.dev(), stderr.ino()))
}

fn is_stream(journal_stream: &str, device: u64, inode: u64) -> bool {
    let parts = journal_stream.split_once(':').map(|(device, inode)| (device.parse(), inode.parse()));
    parts == Some((Ok(device), Ok(inode)))
}

/// A part of a line may stand there. The next line does not go on with it.
static TORN: AtomicBool = AtomicBool::new(false);

fn write_line(to: &mut impl Write, line: &str) -> io::Result<()> {
    let begun = if TORN.load(Ordering::Relaxed) { to.write_all(b"\n") } else { Ok(()) };
    let written = begun.and_then(|()| to.write_all(line.as_bytes()));
    TORN.store(written.is_err(), Ordering::Relaxed);
    written
}

/// The word for a priority, and its colour on a terminal.
const fn word(priority: Option<Priority>) -> (&'static str, &'static str) {
    match priority {
        Some(Priority::Err) => ("error", "31"),
        Some(Priority::Warning) => ("warning", "33"),
        Some(Priority::Notice) => ("notice", "1"),
        Some(Priority::Info) => ("info", "0"),
        None => ("debug", "2"),
    }
}

/// journald's number for what a library says, whatever its authors call it.
const DEBUG: u8 = 7;

#[derive(Default)]
pub(super) struct Parts {
    pub(super) message: String,
    /// Names as journald takes them: capitals, digits and _.
    pub(super) pairs: Vec<(String, String)>,
}

impl Parts {
    /// journald's native protocol: name, line end, eight bytes of length, value, line end.
    fn entry(&self, priority: Option<Priority>, program: &str) -> Vec<u8> {
        let priority = priority.map_or(DEBUG, |priority| priority as u8).to_string();
        let fixed = [("PRIORITY", priority.as_str()), ("SYSLOG_IDENTIFIER", program), ("MESSAGE", &self.message)];
        let pairs = self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let field =
            |(name, value): (&str, &str)| [name.as_bytes(), b"\n", &(value.len() as u64).to_le_bytes(), value.as_bytes(), b"\n"].concat();
        fixed.into_iter().chain(pairs).flat_map(field).collect()
    }

    fn line(&self, at: Wall, (word, colour): (&str, &str), colours: bool) -> String {
        let time = at.to_rfc3339();
        let time = &time[11..19];
        // One event is one line. No text from outside may steer a terminal.
        let clean = |text: &str| text::plain(text, ' ');
        let message = clean(&self.message);
        let is_own =
            |name: &str, value: &str| name == "MESSAGE_ID" || name == "DEVICE_ID" && DEVICE.get().is_some_and(|device| device == value);
        // A program that reads the lines finds each field. A person has read most of them.
        let is_said = |value: &str| colours && self.message.contains(value);
        let pairs = self.pairs.iter().filter(|(name, value)| !is_own(name, value) && !is_said(value));
        let pairs = clean(&pairs.map(|(name, value)| format!(" {}={value}", name.to_ascii_lowercase())).collect::<String>());
        let gap = if pairs.is_empty() { "" } else { " " };
        if colours {
            format!("\x1b[2m{time}\x1b[0m \x1b[{colour}m{word:7}\x1b[0m {message}\x1b[2m{gap}{pairs}\x1b[0m\n")
        } else {
            format!("{time} {word:7} {message}{gap}{pairs}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journals_stream_is_known_by_device_and_inode() {
        assert!(is_stream("8:1234", 8, 1234));
        for other in ["8:1235", "9:1234", "8", "", "8:", "a:b"] {
            assert!(!is_stream(other, 8, 1234), "{other}");
        }
    }

    fn parts(message: &str) -> Parts {
        Parts { message: message.into(), pairs: vec![("MESSAGE_ID".into(), "a1".into()), ("ORDER_ID".into(), "o-1".into())] }
    }

    #[test]
    fn a_line_is_one_line() {
        let parts = parts("order o-1:\nrefund \x1b[31m");
        let at = Wall::from_rfc3339("2026-11-20T08:30:05Z").expect("a time");
        assert_eq!(parts.line(at, ("error", "31"), false), "08:30:05 error   order o-1: refund  [31m  order_id=o-1\n");
        // On a terminal nothing stands twice.
        let line = parts.line(at, ("error", "31"), true);
        assert!(line.starts_with("\x1b[2m08:30:05\x1b[0m \x1b[31merror") && !line.contains("order_id"), "{line}");
    }

    #[test]
    fn an_entry_has_its_fields() {
        let entry = parts("a\nb").entry(Some(Priority::Warning), "qrisd");
        let fields = "PRIORITY\n\x01\0\0\0\0\0\0\x004\nSYSLOG_IDENTIFIER\n\x05\0\0\0\0\0\0\0qrisd\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n";
        let fields = format!("{fields}MESSAGE_ID\n\x02\0\0\0\0\0\0\0a1\nORDER_ID\n\x03\0\0\0\0\0\0\0o-1\n");
        assert_eq!(String::from_utf8_lossy(&entry), fields);
    }

    /// A disk with room for so many bytes.
    struct Disk(Vec<u8>, usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.1 - self.0.len());
            self.0.extend(&bytes[..taken]);
            if taken > 0 { Ok(taken) } else { Err(ErrorKind::StorageFull.into()) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_found_no_room_is_an_error_and_the_next_one_begins_anew() {
        let mut disk = Disk(Vec::new(), 12);
        assert!(write_line(&mut disk, "first\n").is_ok());
        assert!(write_line(&mut disk, "a second one\n").is_err());
        disk.1 = 100;
        assert!(write_line(&mut disk, "third\n").is_ok() && write_line(&mut disk, "fourth\n").is_ok());
        assert_eq!(String::from_utf8_lossy(&disk.0), "first\na seco\nthird\nfourth\n");
    }
}
