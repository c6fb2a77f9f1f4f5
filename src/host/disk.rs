//! The room on a disk, what was set aside, and a log that grows.

use std::io;
use std::path::Path;

/// How many bytes this program may still write on the file system of `path`.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// How many damaged databases were set aside beside this one, and the name of the last; `None` where there are none.
#[must_use]
pub fn set_aside(database: &Path) -> Option<(usize, String)> {
    let prefix = format!("{}.corrupt-", database.file_name()?.to_str()?);
    let names = std::fs::read_dir(database.parent()?).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let aside: Vec<_> = names.filter(|name| name.starts_with(&prefix) && !name.ends_with("-wal") && !name.ends_with("-shm")).collect();
    Some((aside.len(), aside.into_iter().max()?))
}

/// From so many MiB on the log of a database is long. Its owner keeps it below half of this, unless somebody reads.
const LONG_LOG_MIB: u64 = 64;

/// The length of a database's log in MiB, if it is so long that a reader must have kept it for a long time.
#[must_use]
pub fn long_log(database: &Path) -> Option<i64> {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let mib = std::fs::metadata(log).ok()?.len() >> 20;
    i64::try_from(mib).ok().filter(|_| mib >= LONG_LOG_MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_long_from_sixty_four_mebibytes_on() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = directory.path().join("a.db");
        assert_eq!(long_log(&database), None);
        let log = std::fs::File::create(directory.path().join("a.db-wal")).expect("a file");
        for (bytes, long) in [((64 << 20) - 1, None), (64 << 20, Some(64)), (200 << 20, Some(200))] {
            log.set_len(bytes).expect("a file with a hole");
            assert_eq!(long_log(&database), long, "{bytes}");
        }
    }

    #[test]
    fn what_was_set_aside_is_counted_without_the_files_beside_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let database = directory.path().join("a.db");
        assert_eq!(set_aside(&database), None);
        for name in ["a.db", "a.db.corrupt-1", "a.db.corrupt-2", "a.db.corrupt-2-wal", "a.db.corrupt-2-shm", "b.db.corrupt-3"] {
            std::fs::write(directory.path().join(name), "").expect("written");
        }
        assert_eq!(set_aside(&database), Some((2, "a.db.corrupt-2".into())));
    }

    #[test]
    fn a_disk_tells_its_room() {
        assert!(free_bytes(Path::new("/tmp")).expect("a disk") > 0);
        assert_eq!(free_bytes(Path::new("/proc")).expect("a file system"), 0);
        assert!(free_bytes(Path::new("/nowhere/at/all")).is_err());
    }
}
