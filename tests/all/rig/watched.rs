//! The wait for what others write into a file.

use super::PATIENCE;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::path::Path;
use std::time::Instant;

/// Looks at a file until there is something: again whenever the kernel tells that a file beside it or it itself was changed, made or
/// removed. It need not be there yet.
pub fn until<T>(path: &Path, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    let told = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).expect("a process may have some of these");
    let changes = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE;
    inotify::add_watch(&told, path.parent().expect("it is in a directory"), changes).expect("the directory is there");
    loop {
        if let Some(found) = look() {
            return found;
        }
        let left = PATIENCE.checked_sub(begun.elapsed()).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain for: {what}"));
        let left = Timespec::try_from(left).expect("a time");
        poll(&mut [PollFd::new(&told, PollFlags::IN)], Some(&left)).expect("no signal comes to the tests");
        // What was told until now is seen by the next look.
        while rustix::io::read(&told, &mut [0; 4096]).is_ok() {}
    }
}
