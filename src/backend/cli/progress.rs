//! How far a command is: a line for a person at a terminal, once it takes longer than two seconds. It goes when the command has ended.

use std::fs::metadata;
use std::io::{IsTerminal as _, stderr};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A command that is over by then needs no line.
const PATIENCE: Duration = Duration::from_secs(2);
/// The line is written anew this often.
const EVERY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct Progress {
    /// It is said from then on; `None`: nobody would see it.
    due: Option<Instant>,
    is_there: bool,
}

impl Progress {
    pub fn begin() -> Self {
        Self::after(PATIENCE, stderr().is_terminal())
    }

    fn after(patience: Duration, is_seen: bool) -> Self {
        Self { due: is_seen.then(|| Instant::now() + patience), is_there: false }
    }

    /// It has come so far: the text to show now, if it is time.
    fn text(&mut self, words: impl FnOnce() -> String) -> Option<String> {
        self.due = match self.due? {
            due if Instant::now() < due => return None,
            _ => Some(Instant::now() + EVERY),
        };
        self.is_there = true;
        Some(format!("\r\x1b[K{}", words()))
    }

    /// Says how far it is, if it is time.
    pub fn says(&mut self, words: impl FnOnce() -> String) {
        if let Some(text) = self.text(words) {
            eprint!("{text}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_there {
            eprint!("\r\x1b[K");
        }
    }
}

/// Does the work, and says how large the file is that it writes. `whole`: how large it may become, in bytes, if that is known.
pub fn growing<T>(file: &Path, whole: Option<u64>, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (end, ended) = channel::<()>();
        scope.spawn(move || {
            let mut progress = Progress::begin();
            while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                progress.says(|| words(size(file).unwrap_or(0), whole));
            }
        });
        let done = work();
        drop(end);
        done
    })
}

/// How large a database is, in bytes, if anybody knows.
pub fn size(file: &Path) -> Option<u64> {
    metadata(file).ok().map(|file| file.len())
}

fn words(written: u64, whole: Option<u64>) -> String {
    match whole {
        Some(whole) => format!("{} of some {} MB are written", written >> 20, (whole >> 20).max(written >> 20)),
        None => format!("{} MB are written", written >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_when_it_is_time_and_to_a_person() {
        let said = |patience, is_seen| Progress::after(patience, is_seen).text(|| "3 orders".into());
        assert_eq!(said(Duration::ZERO, true).as_deref(), Some("\r\u{1b}[K3 orders"));
        assert_eq!(said(Duration::from_secs(600), true), None, "it may be over by then");
        assert_eq!(said(Duration::ZERO, false), None, "nobody sees it");
    }

    #[test]
    fn the_work_is_done_and_a_size_is_said_in_megabytes() {
        assert_eq!(growing(Path::new("/nowhere"), None, || 7), 7);
        assert_eq!(words(3 << 20, Some(10 << 20)), "3 of some 10 MB are written");
        assert_eq!(words(12 << 20, Some(10 << 20)), "12 of some 12 MB are written");
        assert_eq!(words(5 << 20, None), "5 MB are written");
    }
}
