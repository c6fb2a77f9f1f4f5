//! Signals that end a program. They are noted, and the work under way ends by itself. So its terminal, its files and its
//! lines are in order before the program is gone.

use crate::Failure;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::{flag, low_level};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

/// Ctrl-C, `kill`, a terminal or connection that is closed, Ctrl-\; with the names that people use.
const ENDING: [(i32, &str); 4] = [(SIGINT, "SIGINT"), (SIGTERM, "SIGTERM"), (SIGHUP, "SIGHUP"), (SIGQUIT, "SIGQUIT")];

/// The place in [`ENDING`] of the last signal that came, from 1; 0: none.
static CAME: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);
/// A signal writes to the first. The second can then be read, and never is: who looks later sees it too. A socket can be awaited
/// together with other files.
static BELL: OnceLock<[UnixStream; 2]> = OnceLock::new();

#[derive(Debug, thiserror::Error)]
#[error("ended by {0}: nothing was changed")]
pub struct Interrupted(&'static str);

fn last() -> Option<(i32, &'static str)> {
    ENDING.get(CAME.load(Ordering::Relaxed).checked_sub(1)?).copied()
}

/// Whether a signal came that ends the work.
#[must_use]
pub fn came() -> bool {
    last().is_some()
}

/// Ends the work if a signal came. To be called before a step that must be done wholly or not at all.
pub fn check() -> Result<(), Interrupted> {
    last().map_or(Ok(()), |(_, name)| Err(Interrupted(name)))
}

/// Does a program's work until it is done or a signal comes. A signal drops the work where it waits, and the work's failure
/// is told. Then the signal ends the program as it would have without us (a shell says 128 + signal). To be called once.
/// Fails if the work fails, or if signals cannot be noted.
pub async fn run<T>(program: &str, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let is_over = Arc::new(AtomicBool::new(false));
    let heard = note(&is_over).map_err(Failure::failed)?;
    let mut work = Box::pin(work);
    let ended = tokio::select! {
        biased;
        // If it cannot be awaited, it is as if no signal ever came.
        Ok(()) = heard.readable() => check().map_err(Failure::failed).and(Err(Failure::failed("ended"))),
        ended = &mut work => ended,
    };
    // First the work lets go of everything that it holds.
    drop(work);
    // From here on a signal ends the program at once.
    is_over.store(true, Ordering::Relaxed);
    let (failure, signal) = match (ended, last()) {
        (Err(failure), Some((signal, _))) => (failure, signal),
        (ended, _) => return ended,
    };
    let mut stderr = io::stderr().lock();
    // Standard error and its reader may be gone. The first line ends the line of the question.
    drop(writeln!(stderr));
    failure.lines(program).iter().for_each(|line| drop(writeln!(stderr, "{line}")));
    // It fails for signals alone that it does not know.
    drop(low_level::emulate_default_handler(signal));
    Err(failure)
}

/// From now on a signal that ends a program is only noted, until `is_over`. Answers with what can be read when one came.
fn note(is_over: &Arc<AtomicBool>) -> io::Result<tokio::net::UnixStream> {
    let (bell, heard) = UnixStream::pair()?;
    heard.set_nonblocking(true)?;
    let awaited = tokio::net::UnixStream::from_std(heard.try_clone()?)?;
    let ignored = ignored();
    for (at, (signal, _)) in (1..).zip(ENDING) {
        if ignored >> (signal - 1) & 1 == 0 {
            // In this order: the bell rings for what is noted.
            flag::register_conditional_default(signal, Arc::clone(is_over))?;
            flag::register_usize(signal, Arc::clone(&CAME), at)?;
            low_level::pipe::register(signal, bell.try_clone()?)?;
        }
    }
    let _ = BELL.set([bell, heard]);
    Ok(awaited)
}

/// The signals that this program was started to ignore, as by `nohup`: a bit each, from the lowest for signal 1. They stay ignored.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Standard input, or a file. A signal also wakes a reader that waits for it.
pub struct Input(File);

impl Input {
    /// Opens standard input once more. It fails if that is closed.
    pub fn open() -> io::Result<Self> {
        Ok(Self(io::stdin().as_fd().try_clone_to_owned()?.into()))
    }

    /// Opens a file. A pipe that nobody writes to makes the reader wait, but not already the call that opens it.
    pub fn of(path: &Path) -> io::Result<Self> {
        OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path).map(Self)
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut files = vec![PollFd::new(&self.0, PollFlags::IN)];
            files.extend(BELL.get().map(|[_, heard]| PollFd::new(heard, PollFlags::IN)));
            let ready = poll(&mut files, None);
            check().map_err(io::Error::other)?;
            match ready {
                Err(Errno::INTR) => {}
                Err(why) => return Err(why.into()),
                Ok(_) => match self.0.read(buffer) {
                    // Another reader was quicker.
                    Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read,
                },
            }
        }
    }
}
