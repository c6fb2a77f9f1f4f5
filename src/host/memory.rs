//! What the C library keeps of memory that was freed. A machine sells for minutes and waits for days.

/// Hands large buffers back to the system as soon as they are freed, and keeps one pool of small ones for all threads.
/// To be called before the first thread is started.
///
/// glibc by itself raises its limit to the largest buffer that was ever freed, and has a pool a thread: the pixels of one
/// full-screen picture, drawn once a sale, then lie in memory all day.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "mallopt has no safe face in the crates we use")]
pub fn keep_little() {
    /// Smaller than a picture's pixels, larger than anything that is allocated often.
    const LARGE: libc::c_int = 128 * 1024;
    // SAFETY: the call takes plain numbers and changes no memory that is in use; what it does not know it refuses.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Other C libraries have no such knobs.
#[cfg(not(target_env = "gnu"))]
pub fn keep_little() {}
