//! A directory of our own. Files are looked at here before they are put in their places. Secrets that must be a file for a
//! moment lie here too. The directory goes with the command; if the command was killed, the next one removes it.

use super::ask;
use super::site::own_uid;
use crate::{Failure, random};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// It is in memory on a system with systemd.
const RUN: &str = "/run";

/// Its name begins with this; 32 digits follow.
const PREFIX: &str = "qrisctl-";
/// It is made anew at most this often, if others remove it meanwhile.
const TRIES_MAX: usize = 8;

/// The directory: only ours, and removed at the end. The process that has its lock is alive.
pub struct Staging {
    path: PathBuf,
    _lock: File,
}

impl Staging {
    /// Makes it, and removes those of commands that were killed.
    pub fn new() -> Result<Self, Failure> {
        let elsewhere = std::env::temp_dir();
        let parents = [Path::new(RUN), &elsewhere];
        parents.iter().for_each(|parent| sweep(parent));
        let mut bits = [0; 16];
        random::fill(&mut bits);
        let digits = qris_core::hex(&bits);
        let mut why = io::Error::from(io::ErrorKind::NotFound);
        for parent in parents {
            match Self::below(parent, &digits) {
                Ok(made) => return Ok(made),
                Err(error) => why = error,
            }
        }
        Err(Failure::failed(ask::no_directory(&why)))
    }

    fn below(parent: &Path, name: &str) -> io::Result<Self> {
        let path = parent.join(format!("{PREFIX}{name}"));
        for _ in 0..TRIES_MAX {
            DirBuilder::new().mode(0o700).create(&path)?;
            if let Some(lock) = locked(&path) {
                return Ok(Self { path, _lock: lock });
            }
            // Another command took it for a leftover, in the moment before it had its lock.
            drop(std::fs::remove_dir(&path));
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Puts a file there that only we can read.
    pub fn put(&self, name: &str, content: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.path.join(name);
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let written = written.and_then(|mut file| file.write_all(content));
        written.map_err(|why| Failure::failed(format!("{}: {why}", path.display())))?;
        Ok(path)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // A file that cannot be removed now is in memory, or in the directory for temporary files, and only we can read it.
        drop(std::fs::remove_dir_all(&self.path));
    }
}

/// Removes the leftovers of killed commands: directories of this user whose lock nobody has.
fn sweep(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        if is_staging(&path) && locked(&path).is_some() {
            // While we have its lock, no other command takes it.
            drop(std::fs::remove_dir_all(&path));
        }
    }
}

/// Is it a directory of our kind? Anybody may put other things into a directory for temporary files.
fn is_staging(path: &Path) -> bool {
    let digits = path.file_name().and_then(|name| name.to_str()?.strip_prefix(PREFIX));
    digits.is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        && std::fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && Some(found.uid()) == own_uid())
}

/// Takes the lock of a directory. None if another process has the lock, or if another directory is there by now.
fn locked(path: &Path) -> Option<File> {
    let lock = File::open(path).ok()?;
    lock.try_lock().ok()?;
    let (ours, there) = (lock.metadata().ok()?, std::fs::symlink_metadata(path).ok()?);
    ((ours.dev(), ours.ino()) == (there.dev(), there.ino())).then_some(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_command_left_is_swept_and_nothing_else() {
        let parent = tempfile::tempdir().expect("a directory");
        let name = |digit: &str| format!("{PREFIX}{}", digit.repeat(32));
        let living = Staging::below(parent.path(), &"a".repeat(32)).expect("made");
        living.put("secret", b"s").expect("put");
        let left = parent.path().join(name("b"));
        std::fs::create_dir(&left).expect("made");
        std::fs::write(left.join("secret"), "s").expect("written");
        // These only look like one.
        std::fs::create_dir(parent.path().join("qrisctl-notes")).expect("made");
        let own = parent.path().join("own");
        std::fs::create_dir(&own).expect("made");
        std::os::unix::fs::symlink(&own, parent.path().join(name("c"))).expect("made");
        std::fs::write(parent.path().join(name("d")), "").expect("written");
        sweep(parent.path());
        assert!(!left.exists() && living.path.join("secret").exists());
        for kept in ["qrisctl-notes", "own", &name("c"), &name("d")] {
            assert!(parent.path().join(kept).exists(), "{kept}");
        }
        let path = living.path.clone();
        drop(living);
        assert!(!path.exists());
    }
}
