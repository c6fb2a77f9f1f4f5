//! Signals that end a program, held up while something must first be brought to its end: a line that is driven.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicI32, Ordering};

/// Ctrl-C, `kill`, a terminal or connection that goes, Ctrl-\.
const ENDING: [libc::c_int; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// The last one that came; 0: none.
static CAME: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: libc::c_int) {
    CAME.store(signal, Ordering::Relaxed);
}

/// While it lives, signals that end a program are noted only. Dropped, it puts everything back as it was, and sends the one
/// that came again: now it ends the program. One at a time.
pub struct HeldUp {
    before: Vec<(libc::c_int, libc::sigaction)>,
}

impl HeldUp {
    /// Begins.
    #[must_use]
    #[allow(unsafe_code, reason = "the standard library knows no signals")]
    pub fn begin() -> Self {
        CAME.store(0, Ordering::Relaxed);
        let before = ENDING.into_iter().filter_map(|signal| {
            let mut old = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: an action of zeroes is a valid one; the handler stores a number, which is all that a handler may do;
            // `old` is read only where the system has written it.
            unsafe {
                let mut new: libc::sigaction = std::mem::zeroed();
                new.sa_sigaction = note as extern "C" fn(libc::c_int) as libc::sighandler_t;
                (libc::sigaction(signal, &raw const new, old.as_mut_ptr()) == 0).then(|| (signal, old.assume_init()))
            }
        });
        Self { before: before.collect() }
    }

    /// Whether one came.
    #[must_use]
    pub fn came() -> bool {
        CAME.load(Ordering::Relaxed) != 0
    }
}

impl Drop for HeldUp {
    #[allow(unsafe_code, reason = "the standard library knows no signals")]
    fn drop(&mut self) {
        for (signal, old) in &self.before {
            // SAFETY: it was the action of this signal before.
            unsafe { libc::sigaction(*signal, old, std::ptr::null_mut()) };
        }
        let came = CAME.swap(0, Ordering::Relaxed);
        if came != 0 {
            // SAFETY: a signal of our own.
            unsafe { libc::raise(came) };
        }
    }
}
