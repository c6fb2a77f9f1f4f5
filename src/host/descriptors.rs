//! How many files and sockets a program may have open at once.

use std::io;

/// Lets this program have `count` descriptors, or as many as its hard limit allows, and answers how many. A soft limit is
/// mostly 1,024, because old programs can count no further. It is never lowered.
///
/// # Errors
/// The system's reason.
#[allow(unsafe_code, reason = "getrlimit and setrlimit have no safe face in the crates we use")]
#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions, reason = "32-bit targets have narrower limits")]
pub fn allow(count: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to memory of the right type. The call fills it and does not keep it.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let wanted = libc::rlim_t::try_from(count).unwrap_or(libc::rlim_t::MAX).min(limit.rlim_max);
    if limit.rlim_cur < wanted {
        limit.rlim_cur = wanted;
        // SAFETY: the call only reads the memory behind the pointer.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(count.min(u64::from(limit.rlim_max)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_more_than_the_hard_limit() {
        assert_eq!(allow(100).expect("a limit"), 100);
        let most = allow(u64::MAX).expect("a limit");
        assert!(most > 100);
        assert_eq!(allow(most).expect("a limit"), most);
    }
}
