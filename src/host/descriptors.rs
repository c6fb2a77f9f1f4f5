//! How many files and sockets a program may have open at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// Lets this program have `count` descriptors, or as many as its hard limit allows, and answers how many. A soft limit is
/// mostly 1,024, because old programs can count no further. It is never lowered.
pub fn allow(count: u64) -> io::Result<u64> {
    // `None`: there is no limit.
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let allowed = count.min(maximum.unwrap_or(u64::MAX));
    if current.is_some_and(|current| current < allowed) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(allowed), maximum })?;
    }
    Ok(allowed)
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
