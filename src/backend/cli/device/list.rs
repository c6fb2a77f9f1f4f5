//! The files of many machines: the list that they are made from, and the directory that they are made in.

use crate::machines::accounts::is_anothers;
use crate::telling::listed::{Listed, parse};
use qris_core::order::ids::DeviceId;
use qris_host::Failure;
use qris_host::interrupt::Input;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The largest list, in bytes.
const SIZE_MAX: u64 = 1 << 20;
const SHEET: &str = "labels.html";

#[derive(Debug, thiserror::Error)]
#[error("the list has faults, and nothing was made:\n{}", .0.join("\n"))]
struct ListFaults(Vec<String>);

pub fn read(path: &Path) -> Result<Vec<Listed>, Failure> {
    let mut text = String::new();
    let read = Input::of(path).and_then(|file| file.take(SIZE_MAX + 1).read_to_string(&mut text));
    read.map_err(|why| Failure::usage(format!("{}: {why}", path.display())))?;
    if text.len() as u64 > SIZE_MAX {
        return Err(Failure::usage(format!("{}: is larger than 1 MiB", path.display())));
    }
    parse(&text, is_anothers).map_err(|(faults, more)| {
        let told = faults.into_iter().map(|(line, why)| format!("{}:{line}: {why}", path.display()));
        Failure::usage(ListFaults(told.chain((more > 0).then(|| format!("and {more} more"))).collect()))
    })
}

/// A directory of files with secrets, one for each machine, that only its owner reads.
pub struct Folder {
    path: PathBuf,
    ending: &'static str,
}

impl Folder {
    /// Opens it, or makes it.
    pub fn open(path: &Path, ending: &'static str) -> Result<Self, Failure> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|why| Failure::usage(format!("{}: {why}", path.display())))?;
        Ok(Self { path: path.into(), ending })
    }

    pub fn of(&self, id: &DeviceId) -> PathBuf {
        self.path.join(format!("{id}.{}", self.ending))
    }

    pub fn text(&self, id: &DeviceId) -> Option<String> {
        fs::read_to_string(self.of(id)).ok()
    }

    pub fn put(&self, id: &DeviceId, text: &str) -> Result<(), Failure> {
        put(&self.of(id), text.as_bytes())
    }

    /// Writes the labels.
    pub fn print(&self, sheet: &str) -> Result<PathBuf, Failure> {
        let path = self.path.join(SHEET);
        put(&path, sheet.as_bytes()).map(|()| path)
    }
}

/// Writes a file anew, as a whole.
fn put(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let new = path.with_extension("new");
    let written = || -> io::Result<()> {
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    };
    written().map_err(|why| Failure::failed(format!("{}: {why}", path.display())))
}
