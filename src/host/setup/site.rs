//! A system on its disk: where each file is, and to whom it belongs. Paths are below `/`, or below the root of an image
//! or of a test.

use crate::config::Places;
use crate::rooted::within;
use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub struct Site {
    root: PathBuf,
    users: Vec<User>,
    groups: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    /// The number of its first group.
    pub gid: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    /// The users that it names.
    pub members: Vec<String>,
}

impl Site {
    /// The system below `root`; `/` is the running one.
    pub fn below(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        let read = |name: &str| std::fs::read_to_string(within(&root, &Path::new("/etc").join(name))).unwrap_or_default();
        let users = read("passwd").lines().filter_map(user).collect();
        let groups = read("group").lines().filter_map(group).collect();
        Ok(Self { root, users, groups })
    }

    pub fn runs(&self) -> bool {
        self.root == Path::new("/")
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path of one of its files, as seen from here.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        if self.runs() { std::path::absolute(path).unwrap_or_else(|_| path.into()) } else { within(&self.root, path) }
    }

    /// One of its files and the copies that a set-up kept of it, if they are there. The names are those on that system.
    pub fn with_copies(&self, path: &Path) -> Vec<PathBuf> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else { return Vec::new() };
        let entries = std::fs::read_dir(self.at(directory)).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let copy = format!("{name}.before-");
        let mut found: Vec<_> = names.filter(|other| other == name || other.starts_with(&copy)).map(|name| directory.join(name)).collect();
        found.sort();
        found
    }

    pub fn places(&self) -> Places {
        if self.runs() { Places::default() } else { Places::below(&self.root) }
    }

    #[must_use]
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The name of a user, or its number.
    pub fn user_name(&self, uid: u32) -> String {
        self.users.iter().find(|user| user.uid == uid).map_or_else(|| uid.to_string(), |user| user.name.clone())
    }

    /// The name of a group, or its number.
    pub fn group_name(&self, gid: u32) -> String {
        self.groups.iter().find(|group| group.gid == gid).map_or_else(|| gid.to_string(), |group| group.name.clone())
    }

    /// All members of a group: users whose first group it is, and users that it names.
    pub fn members(&self, gid: u32) -> BTreeSet<&str> {
        let first = self.users.iter().filter(|user| user.gid == gid).map(|user| user.name.as_str());
        let named = self.groups.iter().filter(|group| group.gid == gid).flat_map(|group| group.members.iter().map(String::as_str));
        first.chain(named).collect()
    }

    /// Is a user in a group? The user's first group counts too.
    pub fn is_member(&self, user: &User, group: &Group) -> bool {
        user.gid == group.gid || group.members.contains(&user.name)
    }

    /// May a user read or write a file, by its mode? `bits` are those of "others": 4, 2.
    pub fn may(&self, user: &User, metadata: &std::fs::Metadata, bits: u32) -> bool {
        let in_group = self.groups.iter().any(|group| group.gid == metadata.gid() && self.is_member(user, group));
        let shift = if metadata.uid() == user.uid {
            6
        } else if in_group || metadata.gid() == user.gid {
            3
        } else {
            0
        };
        user.uid == 0 || metadata.mode() >> shift & bits == bits
    }
}

pub fn is_root() -> bool {
    own_uid() == Some(0)
}

/// The user that this program runs as. The directory of a process in /proc belongs to that user.
pub fn own_uid() -> Option<u32> {
    std::fs::metadata("/proc/self").ok().map(|metadata| metadata.uid())
}

fn user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let (name, _password, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some(User { name: name.into(), uid: uid.parse().ok()?, gid: gid.parse().ok()? })
}

fn group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let (name, _password, gid) = (fields.next()?, fields.next()?, fields.next()?);
    let members = fields.next().unwrap_or_default().split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Some(Group { name: name.into(), gid: gid.parse().ok()?, members })
}

#[cfg(any(test, feature = "testing"))]
#[allow(clippy::missing_panics_doc, reason = "for tests")]
pub fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    std::fs::write(path, text).expect("written");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_system_is_known_by_its_files() {
        let root = tempfile::tempdir().expect("a directory");
        put(root.path(), "etc/passwd", "root:x:0:0::/root:/bin/sh\nqrisd:x:991:990::/:/x\nother:x:7:7::/:/x\nodd\n");
        put(root.path(), "etc/group", "video:x:44:qrisd,other\nqrisd:x:990:\nodd:x:many:\n");
        let site = Site::below(root.path()).expect("there");
        assert!(!site.runs() && Site::below(Path::new("/")).expect("there").runs());
        assert_eq!(site.at("/etc/a"), site.root().join("etc/a"));
        // As a person writes it who stands in a directory of the running system.
        let here = std::env::current_dir().expect("a directory");
        assert_eq!(Site::below(Path::new("/")).expect("there").at("a/keys.json"), here.join("a/keys.json"));
        let qrisd = site.user("qrisd").expect("a user").clone();
        assert_eq!((qrisd.uid, site.user_name(991), site.user_name(5)), (991, "qrisd".into(), "5".into()));
        let (video, own) = (site.group("video").expect("a group"), site.group("qrisd").expect("a group"));
        assert!(site.is_member(&qrisd, video) && site.is_member(&qrisd, own) && site.group("odd").is_none());
        // Our own file, with each mode: only the bits of the user's own class decide.
        let file = root.path().join("file");
        std::fs::write(&file, "").expect("written");
        let ours = std::fs::metadata(&file).expect("there");
        let owner = User { name: "owner".into(), uid: ours.uid().max(1), gid: 7 };
        let stranger = User { name: "stranger".into(), uid: 12345, gid: 12345 };
        for (mode, may_owner, may_stranger) in [(0o600, ours.uid() != 0, false), (0o604, true, true), (0o060, false, false)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("ours");
            let metadata = std::fs::metadata(&file).expect("there");
            if ours.uid() != 0 {
                assert_eq!(site.may(&owner, &metadata, 4), may_owner, "{mode:o}");
            }
            assert_eq!(site.may(&stranger, &metadata, 4), may_stranger, "{mode:o}");
        }
    }
}
