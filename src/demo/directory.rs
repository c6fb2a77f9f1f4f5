//! A temporary directory that goes with its program, also if that was killed.

use super::shop::{SetUpError, random_name};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The names of our temporary directories begin with this.
const PREFIX: &str = "qris-demo-";
/// A file in a directory that is to be removed. It is locked as long as its demo lives.
const LOCK: &str = "lock";

/// The temporary directory. It is removed with this value. If a killed demo left one, the next demo removes it.
#[derive(Debug)]
pub struct Directory {
    pub path: PathBuf,
    /// Present unless the directory is kept.
    lock: Option<fs::File>,
}

impl Directory {
    pub fn create(parent: &Path, keep: bool) -> Result<Self, SetUpError> {
        sweep(parent);
        // The name is short: the path of a socket has at most 107 bytes.
        let path = parent.join(format!("{PREFIX}{}", &random_name()[..12]));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(SetUpError::at(&path))?;
        let mut directory = Self { path, lock: None };
        if !keep {
            let path = directory.path.join(LOCK);
            let lock = fs::File::create(&path).and_then(|file| file.try_lock().map(|()| file).map_err(io::Error::from));
            directory.lock = Some(lock.map_err(SetUpError::at(&path))?);
        }
        Ok(directory)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // If it cannot be removed, the system's cleaning of temporary directories does it.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes what killed demos left: directories whose lock nobody holds. A kept directory has no lock.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        // We may not open or lock a directory that belongs to somebody else, or that is being made.
        if ours && fs::File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_goes_with_its_value_or_with_the_next_demo_unless_it_is_kept() {
        let parent = tempfile::tempdir().expect("a directory");
        let create = |keep| Directory::create(parent.path(), keep).expect("a directory");
        let killed = create(false);
        let left = killed.path.clone();
        let living = create(false);
        assert!(left.exists(), "its demo lives");
        drop({
            // SIGKILL would do the same: the lock goes, the directory stays.
            let mut killed = killed;
            killed.lock.take()
        });
        assert!(left.exists());
        let kept = create(true).path.clone();
        assert!(!left.exists(), "swept by the next");
        drop(create(false));
        let path = living.path.clone();
        assert!(kept.exists() && path.exists());
        drop(living);
        assert!(!path.exists());
    }
}
