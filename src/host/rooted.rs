//! Files of a system below a directory, such as an image. Its symbolic links lead within that directory, not into the
//! system of this program.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// The most links that are followed; Linux has the same limit (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Where a file is that the system below `root` calls `path`. A file that is not there yet gets the place where it
/// would be made.
#[must_use]
pub fn within(root: &Path, path: &Path) -> PathBuf {
    let names = |path: &Path| -> Vec<Option<OsString>> {
        let named = |component: Component<'_>| match component {
            Component::Normal(name) => Some(Some(name.to_owned())),
            Component::ParentDir => Some(None),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
        };
        path.components().rev().filter_map(named).collect()
    };
    let (mut open, mut found, mut links) = (names(path), PathBuf::new(), 0);
    while let Some(name) = open.pop() {
        // Above the root there is nothing.
        let Some(name) = name else {
            found.pop();
            continue;
        };
        match std::fs::read_link(root.join(&found).join(&name)) {
            Ok(target) if links < LINKS_MAX => {
                links += 1;
                if target.is_absolute() {
                    found.clear();
                }
                open.extend(names(&target));
            }
            // A ring of links: a name that no file has.
            Ok(_) => return root.join("too many symbolic links").join(path.strip_prefix("/").unwrap_or(path)),
            Err(_) => found.push(name),
        }
    }
    root.join(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_lead_within_the_root() {
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path();
        std::fs::create_dir_all(root.join("data/qrisd")).expect("made");
        std::fs::create_dir_all(root.join("etc")).expect("made");
        for (target, link) in [
            ("/data/qrisd", "etc/qrisd"),
            ("../../../../data/qrisd", "etc/up"),
            ("/etc/passwd", "etc/shadowed"),
            ("ring", "etc/ring"),
            ("/etc/up/real", "etc/chain"),
        ] {
            symlink(target, root.join(link)).expect("made");
        }
        for (path, place) in [
            ("/etc/qrisd/qrisd.toml", "data/qrisd/qrisd.toml"),
            ("/etc/up/x", "data/qrisd/x"),
            ("/etc/chain", "data/qrisd/real"),
            ("/etc/shadowed", "etc/passwd"),
            ("/../../etc/./new/file", "etc/new/file"),
            ("relative", "relative"),
        ] {
            assert_eq!(within(root, Path::new(path)), root.join(place), "{path}");
        }
        assert!(within(root, Path::new("/etc/ring")).starts_with(root.join("too many symbolic links")));
    }
}
