//! To whom a new file belongs. The commands of a service are for its user; root may run them all the same, and what root makes then
//! would be closed to the service.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::Path;

/// Makes a file, which must not be there yet. Nobody else reads or writes it unless `mode` says so. If root makes it, it gets the owner
/// of the file `like`, or of that file's directory if there is none.
pub fn create(path: &Path, mode: u32, like: &Path) -> io::Result<File> {
    let directory = like.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let owner = fs::metadata(like).or_else(|_| fs::metadata(directory))?;
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    if file.metadata()?.uid() == 0 && owner.uid() != 0 {
        fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::chown;

    #[test]
    fn what_root_makes_belongs_to_the_owner_of_the_place() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        let of = |name: &str| fs::metadata(path(name)).map(|found| (found.uid(), found.gid(), found.mode() & 0o777)).expect("there");
        let (uid, gid, _) = of("");
        create(&path("first"), 0o600, &path("first")).expect("made");
        assert_eq!(of("first"), (uid, gid, 0o600));
        assert!(create(&path("first"), 0o600, &path("first")).is_err(), "it is there already");
        // The rest needs root: tests/run has it.
        if uid != 0 {
            return;
        }
        chown(path(""), Some(4711), Some(4712)).expect("given away");
        create(&path("second"), 0o640, &path("second")).expect("made");
        assert_eq!(of("second"), (4711, 4712, 0o640), "the directory's owner");
        chown(path("first"), Some(4713), Some(4714)).expect("given away");
        create(&path("first.new"), 0o600, &path("first")).expect("made");
        assert_eq!(of("first.new"), (4713, 4714, 0o600), "the owner of the file that it replaces");
    }
}
