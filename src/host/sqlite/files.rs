//! The files of a database that is open: whether they are still those at their names, and on which file system they are.
//!
//! A program that has a file open goes on with it when somebody removes or replaces it: the file has no name any more. What is written
//! into it is gone when the program ends. Another program that opens the name sees another database.

use super::{OpenError, with_suffix};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The database, its log, the memory that its users share, and [its mark](crate::mark) if it has one.
const SUFFIXES: [&str; 4] = ["", "-wal", "-shm", ".mark"];

#[derive(Debug, Clone)]
pub struct OpenFiles {
    files: [(PathBuf, Option<Identity>); SUFFIXES.len()],
}

/// Device and inode. No other file has both while somebody has this one open.
type Identity = (u64, u64);

impl OpenFiles {
    /// The files of the database at `path`, of which a connection was made just now.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        Self {
            files: SUFFIXES.map(|suffix| {
                let file = with_suffix(path, suffix);
                let is = identity(&file);
                (file, is)
            }),
        }
    }

    /// Looks whether they are still those at their names.
    pub fn are_in_place(&self) -> Result<(), OpenError> {
        match self.files.iter().find(|(file, was)| was.is_some() && identity(file) != *was) {
            Some((file, _)) => Err(OpenError::Replaced { path: file.clone() }),
            None => Ok(()),
        }
    }
}

fn identity(file: &Path) -> Option<Identity> {
    std::fs::metadata(file).ok().map(|found| (found.dev(), found.ino()))
}

/// Refuses a directory on a network share. Locks and shared memory of SQLite do not hold there, and a sync is only a promise.
pub(super) fn refuse_share(path: &Path) -> Result<(), OpenError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A directory that cannot be asked about is refused by whoever opens a file in it.
    let Ok(found) = rustix::fs::statfs(directory) else { return Ok(()) };
    match share(i128::from(found.f_type) & 0xffff_ffff) {
        Some(kind) => Err(OpenError::Share { path: path.into(), kind }),
        None => Ok(()),
    }
}

/// The name of a network file system by its number in the kernel (linux/magic.h); `None`: it is another one. FUSE stays: behind it
/// may be a disk.
const fn share(magic: i128) -> Option<&'static str> {
    match magic {
        0x6969 => Some("NFS"),
        0x517b | 0xfe53_4d42 => Some("SMB"),
        0xff53_4d42 => Some("CIFS"),
        0x0102_1997 => Some("9P"),
        0x00c3_6400 => Some("Ceph"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark::Mark;
    use crate::sqlite::{Schema, open};
    use std::fs;

    const SCHEMA: Schema = Schema { application_id: 7, steps: &["CREATE TABLE a (n INTEGER PRIMARY KEY) STRICT"], adding: &[] };

    #[test]
    fn a_file_that_is_removed_or_replaced_under_its_user_is_missed() {
        for suffix in ["", "-wal", "-shm", ".mark"] {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("a.db");
            let opened = open(&path, &SCHEMA).expect("made");
            let _mark = Mark::open(&path).expect("made");
            let files = OpenFiles::of(&path);
            opened.connection.execute("INSERT INTO a VALUES (1)", []).expect("written");
            files.are_in_place().expect("all are there");
            let (file, aside) = (with_suffix(&path, suffix), directory.path().join("aside"));
            fs::rename(&file, &aside).expect("moved");
            let missed = || matches!(files.are_in_place(), Err(OpenError::Replaced { path }) if path == file);
            assert!(missed(), "{suffix} is gone");
            fs::copy(&aside, &file).expect("copied");
            assert!(missed(), "{suffix} is another one");
            fs::rename(&aside, &file).expect("moved back");
            files.are_in_place().expect("it is back");
        }
    }

    #[test]
    fn a_network_share_has_a_name_and_a_disk_has_none() {
        let names = [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997].map(share);
        assert_eq!(names, [Some("NFS"), Some("CIFS"), Some("SMB"), Some("9P")]);
        // ext4, tmpfs, overlay, btrfs, f2fs.
        assert_eq!([0xef53, 0x0102_1994, 0x794c_7630, 0x9123_683e, 0xf2f5_2010].map(share), [None; 5]);
        refuse_share(Path::new("/tmp/a.db")).expect("a disk");
    }
}
