//! A program's memory: who may read it, and how much freed memory the C library keeps.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Nobody but root may read the memory of this program, attach a debugger to it, or look at its files in `/proc`. It also
/// leaves no core dump. Its memory holds secrets, and without this call another program of the same user could read them. To be
/// called before everything else, also after an `exec`, because that lets everybody in again.
pub fn keep_private() {
    // It refuses only a number that it does not know.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Gives large buffers back to the system as soon as they are freed, and keeps one pool of small ones for all threads.
/// To be called before the first thread is started.
///
/// By itself, glibc raises its limit to the largest buffer that was ever freed, and has a pool for each thread. Then the
/// pixels of one full-screen picture, drawn once for a sale, stay in memory all day. A machine sells for minutes and
/// waits for days.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "mallopt is glibc's alone, and no crate has a safe face of it")]
pub fn keep_little() {
    /// It is smaller than a picture's pixels, and larger than anything that is allocated often.
    const LARGE: libc::c_int = 128 * 1024;
    // SAFETY: the call takes plain numbers and changes no memory that is in use. It refuses numbers that it does not know.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Other C libraries have no such knobs.
#[cfg(not(target_env = "gnu"))]
pub fn keep_little() {}
