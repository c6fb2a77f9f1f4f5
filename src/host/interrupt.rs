//! Signals that end a program. They are noted, and the work under way ends by itself. So its terminal, its files and its
//! lines are in order before the program is gone.

use crate::Failure;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};

/// Ctrl-C, `kill`, a terminal or connection that is closed, Ctrl-\; with the names that people use.
const ENDING: [(libc::c_int, &str); 4] =
    [(libc::SIGINT, "SIGINT"), (libc::SIGTERM, "SIGTERM"), (libc::SIGHUP, "SIGHUP"), (libc::SIGQUIT, "SIGQUIT")];
/// No signal, and no file.
const NONE: i32 = -1;

/// The first signal that came.
static CAME: AtomicI32 = AtomicI32::new(NONE);
/// The file that a signal is written to, and the file where it is seen. A file can be awaited together with other files.
static BELL: AtomicI32 = AtomicI32::new(NONE);
static HEARD: AtomicI32 = AtomicI32::new(NONE);

#[allow(unsafe_code, reason = "the standard library knows no signals")]
extern "C" fn note(signal: libc::c_int) {
    // The first signal says how the program ends. A failure here says that there was one before.
    let _ = CAME.compare_exchange(NONE, signal, Ordering::Relaxed, Ordering::Relaxed);
    // SAFETY: `write` may be called here; one byte is read. A full bell rings already. The interrupted code finds its errno
    // unchanged.
    unsafe {
        let errno = *libc::__errno_location();
        libc::write(BELL.load(Ordering::Relaxed), (&raw const signal).cast(), 1);
        *libc::__errno_location() = errno;
    }
}

/// A signal ended it.
#[derive(Debug, thiserror::Error)]
#[error("ended by {0}: nothing was changed")]
pub struct Interrupted(&'static str);

/// Whether a signal came that ends the work.
#[must_use]
pub fn came() -> bool {
    CAME.load(Ordering::Relaxed) != NONE
}

/// Ends the work if a signal came. To be called before a step that must be done wholly or not at all.
///
/// # Errors
/// A signal came.
pub fn check() -> Result<(), Interrupted> {
    let came = CAME.load(Ordering::Relaxed);
    match ENDING.iter().find(|(signal, _)| *signal == came) {
        Some((_, name)) => Err(Interrupted(name)),
        None => Ok(()),
    }
}

/// Does a program's work until it is done or a signal comes. A signal drops the work where it waits, and the work's failure
/// is told. Then the signal ends the program as it would have without us (a shell says 128 + signal).
///
/// # Errors
/// The failures of the work, and signals that cannot be noted.
pub async fn run<T>(program: &str, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let noted = Noted::begin().map_err(Failure::failed)?;
    let mut work = Box::pin(work);
    let ended = tokio::select! {
        biased;
        () = noted.wait() => None,
        ended = &mut work => Some(ended),
    };
    // First the work lets go of everything that it holds.
    drop(work);
    let (failure, came) = match (ended, CAME.load(Ordering::Relaxed)) {
        (Some(Ok(done)), _) => return Ok(done),
        (Some(Err(failure)), NONE) => return Err(failure),
        (Some(Err(failure)), came) => (failure, came),
        (None, came) => (check().map_err(Failure::failed).err().unwrap_or_else(|| Failure::failed("ended")), came),
    };
    let mut stderr = io::stderr().lock();
    // Standard error and its reader may be gone. The first line ends the line of the question.
    drop(writeln!(stderr));
    failure.told(program).iter().for_each(|line| drop(writeln!(stderr, "{line}")));
    drop(noted);
    raise(came);
    Err(failure)
}

/// While it lives, a signal that ends a program is only noted. There is one at a time.
struct Noted {
    heard: tokio::net::UnixStream,
    _bell: UnixStream,
    before: Vec<(libc::c_int, libc::sigaction)>,
}

impl Noted {
    #[allow(unsafe_code, reason = "the standard library knows no signals")]
    fn begin() -> io::Result<Self> {
        let (bell, heard) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        heard.set_nonblocking(true)?;
        CAME.store(NONE, Ordering::Relaxed);
        BELL.store(bell.as_raw_fd(), Ordering::Relaxed);
        HEARD.store(heard.as_raw_fd(), Ordering::Relaxed);
        let before = ENDING.into_iter().filter_map(|(signal, _)| {
            let mut old = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: an action of zeroes is a valid one. The handler does only what a handler may do. `old` is read only
            // where the system has written it.
            unsafe {
                let mut new: libc::sigaction = std::mem::zeroed();
                new.sa_sigaction = note as extern "C" fn(libc::c_int) as libc::sighandler_t;
                new.sa_flags = libc::SA_RESTART;
                if libc::sigaction(signal, std::ptr::null(), old.as_mut_ptr()) != 0 {
                    return None;
                }
                let old = old.assume_init();
                // `nohup` started us: the signal stays ignored.
                let is_ignored = old.sa_sigaction == libc::SIG_IGN;
                (!is_ignored && libc::sigaction(signal, &raw const new, std::ptr::null_mut()) == 0).then_some((signal, old))
            }
        });
        let before = before.collect();
        Ok(Self { heard: tokio::net::UnixStream::from_std(heard)?, _bell: bell, before })
    }

    /// Waits until a signal came.
    async fn wait(&self) {
        // The byte is never read, so a later call sees it too. If the bell cannot be awaited, it is as if no signal ever came.
        if self.heard.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Noted {
    #[allow(unsafe_code, reason = "the standard library knows no signals")]
    fn drop(&mut self) {
        for (signal, old) in &self.before {
            // SAFETY: this was the action of the signal before.
            unsafe { libc::sigaction(*signal, old, std::ptr::null_mut()) };
        }
        BELL.store(NONE, Ordering::Relaxed);
        HEARD.store(NONE, Ordering::Relaxed);
    }
}

#[allow(unsafe_code, reason = "the standard library knows no signals")]
fn raise(signal: libc::c_int) {
    // SAFETY: it is a signal of our own.
    unsafe { libc::raise(signal) };
}

/// Standard input, or a file. A signal also wakes a reader that waits for it.
pub struct Input(File);

impl Input {
    /// Opens standard input once more.
    ///
    /// # Errors
    /// It is closed.
    pub fn open() -> io::Result<Self> {
        Ok(Self(io::stdin().as_fd().try_clone_to_owned()?.into()))
    }

    /// Opens a file. A pipe that nobody writes to makes the reader wait, but not already the call that opens it.
    ///
    /// # Errors
    /// The system's reason.
    pub fn of(path: &Path) -> io::Result<Self> {
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map(Self)
    }
}

impl Read for Input {
    #[allow(unsafe_code, reason = "the standard library does not wait for two files at once")]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let waited = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        loop {
            // A file that is not there is passed over.
            let mut files = [waited(self.0.as_raw_fd()), waited(HEARD.load(Ordering::Relaxed))];
            // SAFETY: the pointer is to that many live values. The call does not keep it.
            let ready = unsafe { libc::poll(files.as_mut_ptr(), 2, NONE) };
            check().map_err(io::Error::other)?;
            match ready {
                NONE if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                NONE => return Err(io::Error::last_os_error()),
                _ => match self.0.read(buffer) {
                    // Another reader was quicker.
                    Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read,
                },
            }
        }
    }
}
