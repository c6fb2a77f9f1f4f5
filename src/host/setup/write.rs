//! Puts files in their places: all of them or none, and each one whole. The earlier files are kept beside them.

use super::site::{Site, is_root};
use crate::speech::fill;
use crate::{clock, texts};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown, fchown};
use std::path::{Path, PathBuf};

// What is said if files cannot be written. The operating system's words are not translated.
texts! {
    before: "{0}: {1}; tidak ada yang berubah", "{0}: {1}; nothing was changed";
    between: "{0}: {1}; berkas yang sebelumnya sudah ada di tempatnya lagi", "{0}: {1}; the files from before are in place again";
    unknown: "tidak ada pengguna atau grup {0} di {1}: pasang paketnya dulu, atau jalankan systemd-sysusers", "there is no user or group {0} in {1}: install the package first, or run systemd-sysusers";
    left: "{0} tidak bisa dihapus: {1}", "{0} cannot be removed: {1}";
}

/// To whom a file belongs, and who may read it. If others may not, it is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    pub owner: &'static str,
    pub group: &'static str,
    pub mode: u32,
}

impl Rights {
    const fn is_secret(self) -> bool {
        self.mode & 0o007 == 0
    }

    /// The numbers of owner and group on that system, or the name that it does not know.
    fn ids(self, site: &Site) -> Result<(u32, u32), &'static str> {
        let uid = if self.owner == "root" { Some(0) } else { site.user(self.owner).map(|user| user.uid) };
        let gid = if self.group == "root" { Some(0) } else { site.group(self.group).map(|group| group.gid) };
        Ok((uid.ok_or(self.owner)?, gid.ok_or(self.group)?))
    }
}

/// A file to be written. The contents of a secret do not go to the terminal.
pub struct Planned {
    path: PathBuf,
    rights: Rights,
    content: Vec<u8>,
    is_shown: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    New,
    Changed,
    /// Only its owner or its mode changes.
    Access,
    Same,
}

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It failed before anything changed.
    #[error("{}", fill(texts().before, &[&.0.display(), .1]))]
    Before(PathBuf, io::Error),
    /// It failed while files were put in their places. The earlier files are back.
    #[error("{}", fill(texts().between, &[&.0.display(), .1]))]
    Between(PathBuf, io::Error),
    /// The package is not installed.
    #[error("{}", fill(texts().unknown, &[.0, &.1.display()]))]
    Unknown(&'static str, PathBuf),
}

impl Planned {
    pub fn new(path: impl Into<PathBuf>, rights: impl Into<Rights>, content: impl Into<Vec<u8>>) -> Self {
        let rights = rights.into();
        Self { path: path.into(), rights, content: content.into(), is_shown: !rights.is_secret() }
    }

    /// Although not everybody may read it, it holds no secret, and whoever runs this may see it.
    #[must_use]
    pub fn shown(self) -> Self {
        Self { is_shown: true, ..self }
    }

    /// Its path on that system.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn change(&self, site: &Site) -> Change {
        let path = site.at(&self.path);
        let (Ok(content), Ok(metadata)) = (fs::read(&path), fs::metadata(&path)) else { return Change::New };
        let owner_fits = !is_root() || self.rights.ids(site) == Ok((metadata.uid(), metadata.gid()));
        if content != self.content {
            Change::Changed
        } else if metadata.mode() & 0o7777 == self.rights.mode && owner_fits {
            Change::Same
        } else {
            Change::Access
        }
    }

    /// Is it a secret that everybody on this computer can read until it is written?
    pub fn is_open(&self, site: &Site) -> bool {
        self.rights.is_secret() && fs::metadata(site.at(&self.path)).is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
    }

    /// Is it a secret, and a symbolic link is in its place? The link is replaced and never followed: it may lead to a place
    /// that somebody else has chosen. The file that it leads to stays.
    pub fn replaces_a_link(&self, site: &Site) -> bool {
        self.rights.is_secret() && fs::symlink_metadata(site.at(&self.path)).is_ok_and(|metadata| metadata.is_symlink())
    }

    pub fn words(&self, change: &str) -> String {
        let Rights { owner, group, mode } = self.rights;
        format!("{change:<8}  {owner}:{group:<6} {mode:04o}  {}", self.path.display())
    }

    /// The lines that change, each with a sign in front. A secret shows none.
    pub fn difference(&self, site: &Site) -> Vec<String> {
        if !self.is_shown {
            return Vec::new();
        }
        let before = fs::read_to_string(site.at(&self.path)).unwrap_or_default();
        let after = String::from_utf8_lossy(&self.content).into_owned();
        difference(&before, &after)
    }
}

enum Undo {
    /// Remove it: there was none.
    Remove,
    /// Put back the copy that was kept here.
    Back(PathBuf),
    /// Its contents never changed, and its new mode is right.
    Nothing,
}

/// Files that are in their places, and what was there before.
pub struct Placed(Vec<(PathBuf, Undo)>);

impl Placed {
    /// The names under which earlier files were kept.
    #[must_use]
    pub fn kept(self) -> Vec<PathBuf> {
        let kept = |(_, undo)| match undo {
            Undo::Back(before) => Some(before),
            Undo::Remove | Undo::Nothing => None,
        };
        self.0.into_iter().filter_map(kept).collect()
    }

    /// Brings back what was there before, as well as that can be done.
    pub fn take_back(self) {
        for (path, undo) in self.0.into_iter().rev() {
            // Nobody waits for these errors: another one is told, and it came first.
            drop(match undo {
                Undo::Remove => fs::remove_file(path),
                Undo::Back(before) => fs::rename(before, path),
                Undo::Nothing => Ok(()),
            });
        }
    }
}

/// Writes the files that are new or changed.
pub fn put(site: &Site, files: &[Planned]) -> Result<Placed, WriteError> {
    let mut staged: Vec<(PathBuf, PathBuf, Change, &Planned)> = Vec::new();
    for file in files {
        let change = file.change(site);
        if change == Change::Same {
            continue;
        }
        match stage(site, file) {
            Ok(new) => staged.push((new, site.at(&file.path), change, file)),
            Err(error) => {
                staged.iter().for_each(|(new, ..)| drop(fs::remove_file(new)));
                return Err(error);
            }
        }
    }
    let suffix = format!(".before-{}", clock::now().wall.0 / 1000);
    let mut done: Vec<(PathBuf, Undo)> = Vec::new();
    for (new, path, change, file) in &staged {
        let undo = match change {
            Change::Access => Ok(Undo::Nothing),
            Change::New | Change::Changed | Change::Same => keep(site, file, path, &suffix),
        };
        let placed = undo.and_then(|undo| match fs::rename(new, path) {
            Ok(()) => Ok(undo),
            Err(why) => {
                if let Undo::Back(before) = undo {
                    drop(fs::remove_file(before));
                }
                Err(why)
            }
        });
        match placed {
            Ok(undo) => done.push((path.clone(), undo)),
            Err(why) => {
                staged.iter().for_each(|(new, ..)| drop(fs::remove_file(new)));
                Placed(done).take_back();
                return Err(WriteError::Between(path.clone(), why));
            }
        }
    }
    for (_, path, ..) in &staged {
        if let Some(directory) = path.parent() {
            // All files are there. After a power cut right now the earlier files might be back, and those are whole too.
            drop(fs::File::open(directory).and_then(|directory| directory.sync_all()));
        }
    }
    Ok(Placed(done))
}

/// Removes files of that system. The result tells what could not be removed, and why.
pub fn remove(site: &Site, files: &[PathBuf]) -> Vec<String> {
    let remove = |path: &PathBuf| match fs::remove_file(site.at(path)) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Some(fill(texts().left, &[&path.display(), &why])),
        Ok(()) | Err(_) => None,
    };
    files.iter().filter_map(remove).collect()
}

/// Writes a file beside its place, with its owner and mode.
fn stage(site: &Site, file: &Planned) -> Result<PathBuf, WriteError> {
    let path = site.at(&file.path);
    let failed = |why| WriteError::Before(path.clone(), why);
    let ids = file.rights.ids(site).map_err(|name| WriteError::Unknown(name, site.at("/etc")))?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    if !directory.exists() {
        // Only root may open directories of secrets, as systemd makes them.
        let mode = if file.rights.mode & 0o077 == 0 { 0o700 } else { 0o755 };
        fs::DirBuilder::new().recursive(true).mode(mode).create(directory).map_err(failed)?;
    }
    let new = beside(&path, ".setup-new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    write_new(&new, &file.content, ids, file.rights.mode).map_err(failed)?;
    Ok(new)
}

/// Writes a file that is not there yet. Only we can read it before it has its owner and mode. If it cannot be written whole,
/// there is no file.
fn write_new(path: &Path, content: &[u8], (uid, gid): (u32, u32), mode: u32) -> io::Result<()> {
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut write = || -> io::Result<()> {
        out.write_all(content)?;
        if is_root() {
            fchown(&out, Some(uid), Some(gid))?;
        }
        out.set_permissions(fs::Permissions::from_mode(mode))?;
        out.sync_all()
    };
    write().inspect_err(|_| drop(fs::remove_file(path)))
}

/// Keeps the file at `path` under another name. A copy of a secret gets the rights of the new secret: a user who could read
/// more before cannot read the copy.
fn keep(site: &Site, file: &Planned, path: &Path, suffix: &str) -> io::Result<Undo> {
    if !path.exists() {
        return Ok(Undo::Remove);
    }
    let before = beside(path, suffix);
    let kept = match file.rights.ids(site) {
        Ok(ids) if file.rights.is_secret() => fs::read(path).and_then(|content| write_new(&before, &content, ids, file.rights.mode)),
        Ok(_) | Err(_) => fs::hard_link(path, &before),
    };
    match kept {
        Ok(()) => Ok(Undo::Back(before)),
        // A set-up ran twice within a second. The older copy is the one to keep.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Undo::Back(before)),
        Err(error) if file.rights.is_secret() => Err(error),
        // This file system has no links.
        Err(_) => {
            let metadata = fs::metadata(path)?;
            fs::copy(path, &before)?;
            if is_root() {
                chown(&before, Some(metadata.uid()), Some(metadata.gid()))?;
            }
            Ok(Undo::Back(before))
        }
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The lines that are gone and the lines that are new, from the longest common subsequence.
fn difference(before: &str, after: &str) -> Vec<String> {
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    // Configurations have some hundred lines, so a table of all pairs is small.
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut told) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j < new.len() && (i == old.len() || common[i][j + 1] > common[i + 1][j]) {
            told.push(format!("+ {}", new[j]));
            j += 1;
        } else {
            told.push(format!("- {}", old[i]));
            i += 1;
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(root: &Path) -> Site {
        crate::setup::site::put(root, "etc/group", "qrisd:x:990:\n");
        Site::below(root).expect("there")
    }

    const TRUSTED: Rights = Rights { owner: "root", group: "root", mode: 0o644 };
    const SECRET: Rights = Rights { owner: "root", group: "qrisd", mode: 0o640 };

    fn planned(path: &str, content: &str) -> Planned {
        Planned::new(path, TRUSTED, content)
    }

    #[test]
    fn files_are_put_with_what_was_there_beside_them() {
        let root = tempfile::tempdir().expect("a directory");
        let site = site(root.path());
        let files = [planned("/etc/qrisd/a", "one\n"), planned("/etc/qrisd/b", "two\n")];
        assert!(files.iter().all(|file| file.change(&site) == Change::New));
        assert_eq!(put(&site, &files).expect("put").kept(), [] as [PathBuf; 0]);
        assert!(files.iter().all(|file| file.change(&site) == Change::Same), "a second time nothing is to be done");
        assert_eq!(put(&site, &files).expect("put").kept(), [] as [PathBuf; 0]);
        let files = [planned("/etc/qrisd/a", "three\n"), planned("/etc/qrisd/b", "two\n")];
        assert_eq!(files[0].difference(&site), ["- one", "+ three"]);
        assert_eq!(Planned::new("/etc/qrisd/a", SECRET, "three\n").difference(&site), [] as [&str; 0]);
        let kept = put(&site, &files).expect("put").kept();
        assert_eq!(kept.len(), 1);
        assert_eq!(fs::read_to_string(&kept[0]).expect("kept"), "one\n");
        let metadata = fs::metadata(root.path().join("etc/qrisd/a")).expect("there");
        assert_eq!(metadata.mode() & 0o7777, 0o644);
        if is_root() {
            assert_eq!((metadata.uid(), metadata.gid()), (0, 0));
        }
        let names: Vec<_> = fs::read_dir(root.path().join("etc/qrisd")).expect("there").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        // A mode that somebody changed counts as a change too.
        fs::set_permissions(root.path().join("etc/qrisd/b"), fs::Permissions::from_mode(0o664)).expect("ours");
        assert_eq!(files[1].change(&site), Change::Access);
        assert_eq!(put(&site, &files).expect("put").kept(), [] as [PathBuf; 0], "there is nothing to keep");
        assert_eq!(files[1].change(&site), Change::Same);
    }

    #[test]
    fn what_is_kept_of_a_secret_is_as_secret_as_what_takes_its_place() {
        let root = tempfile::tempdir().expect("a directory");
        let site = site(root.path());
        let secret = |content: &str| [Planned::new("/etc/qrisd/a", SECRET, content)];
        put(&site, &secret("one\n")).expect("put");
        let place = root.path().join("etc/qrisd/a");
        let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("ours");
        let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o7777;
        open(&place);
        let kept = put(&site, &secret("two\n")).expect("put").kept();
        assert_eq!((kept.len(), mode(&kept[0]), mode(&place)), (1, 0o640, 0o640));
        if is_root() {
            let gids = [&kept[0], &place].map(|path| fs::metadata(path).expect("there").gid());
            assert_eq!(gids, [990, 990]);
        }
        assert_eq!(fs::read_to_string(&kept[0]).expect("kept"), "one\n");
        // A set-up that fails puts the old file back, and does not open it again.
        open(&place);
        fs::create_dir_all(root.path().join("etc/qrisd/b/c")).expect("made");
        fs::remove_file(&kept[0]).expect("there");
        let ([a], b) = (secret("three\n"), planned("/etc/qrisd/b", "b\n"));
        assert!(matches!(put(&site, &[a, b]), Err(WriteError::Between(..))));
        assert_eq!((fs::read_to_string(&place).expect("there").as_str(), mode(&place)), ("two\n", 0o640));
        // A file that was only too open stays closed, and does not vanish.
        open(&place);
        let ([a], b) = (secret("two\n"), planned("/etc/qrisd/b", "b\n"));
        assert!(matches!(put(&site, &[a, b]), Err(WriteError::Between(..))));
        assert_eq!((fs::read_to_string(&place).expect("there").as_str(), mode(&place)), ("two\n", 0o640));
        // In an image a link leads to a place in the image: the file is closed where it lies.
        let elsewhere = root.path().join("data-a");
        fs::rename(&place, &elsewhere).expect("moved");
        std::os::unix::fs::symlink("/data-a", &place).expect("made");
        open(&elsewhere);
        put(&site, &secret("two\n")).expect("put");
        assert_eq!(mode(&elsewhere), 0o640);
    }

    #[test]
    fn what_cannot_all_be_written_changes_nothing() {
        let root = tempfile::tempdir().expect("a directory");
        let site = site(root.path());
        put(&site, &[planned("/etc/qrisd/a", "one\n")]).expect("put");
        // There is a directory in the place of the second file.
        fs::create_dir_all(root.path().join("etc/qrisd/b/c")).expect("made");
        let files = [planned("/etc/qrisd/a", "two\n"), planned("/etc/qrisd/new", "n\n"), planned("/etc/qrisd/b", "two\n")];
        assert!(matches!(put(&site, &files), Err(WriteError::Between(..))));
        assert_eq!(fs::read_to_string(root.path().join("etc/qrisd/a")).expect("there"), "one\n");
        let mut names: Vec<_> = fs::read_dir(root.path().join("etc/qrisd"))
            .expect("there")
            .flatten()
            .map(|entry| entry.file_name().into_string().expect("text"))
            .collect();
        names.sort();
        assert_eq!(names, ["a", "b"], "nothing is left behind");
        // This file cannot even be staged: its directory is a file.
        let files = [planned("/etc/qrisd/a", "two\n"), planned("/etc/qrisd/a/b", "two\n")];
        assert!(matches!(put(&site, &files), Err(WriteError::Before(..))));
        assert_eq!(fs::read_to_string(root.path().join("etc/qrisd/a")).expect("there"), "one\n");
        fs::write(root.path().join("etc/group"), "").expect("written");
        let bare = Site::below(root.path()).expect("there");
        assert!(matches!(put(&bare, &[Planned::new("/etc/qrisd/s", SECRET, "s\n")]), Err(WriteError::Unknown("qrisd", _))));
    }

    #[test]
    fn differences_are_lines() {
        assert_eq!(difference("a\nb\nc\n", "a\nx\nc\nd\n"), ["- b", "+ x", "+ d"]);
        assert_eq!(difference("", "a\n"), ["+ a"]);
        assert_eq!(difference("a\n", "a\n"), [] as [&str; 0]);
    }
}
