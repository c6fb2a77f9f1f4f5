//! A file that stands for a line.

use super::Output;
use crate::pin::HardwareError;
use qris_host::clock;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// At most this much of its end is read.
const TAIL: u64 = 64 * 1024;

/// Each edge is one line: `boot-clock-milliseconds line-name 1|0`. It is opened anew for each, so a FIFO without a reader holds the line as it is.
pub(super) struct SimLine {
    path: PathBuf,
    name: String,
}

impl SimLine {
    /// A line that an earlier process left active becomes inactive.
    pub(super) fn open(path: &Path, name: &str) -> Result<Self, HardwareError> {
        let mut line = Self { path: path.into(), name: name.into() };
        line.make_safe().map_err(HardwareError::io(path))?;
        Ok(line)
    }

    fn make_safe(&mut self) -> io::Result<()> {
        let metadata = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // The first edge makes the file, if its directory is there.
                let directory = self.path.parent().unwrap_or(Path::new("/"));
                return std::fs::metadata(directory).map(|_| ());
            }
            Err(error) => return Err(error),
        };
        if metadata.file_type().is_fifo() {
            // Text that went through a FIFO cannot be read again. A reader gets the edge, and nobody waits for a reader.
            return match OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&self.path) {
                Ok(mut fifo) => fifo.write_all(self.edge(false).as_bytes()),
                Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Ok(()),
                Err(error) => Err(error),
            };
        }
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(metadata.len().saturating_sub(TAIL)))?;
        let mut tail = Vec::new();
        file.take(TAIL).read_to_end(&mut tail)?;
        let tail = String::from_utf8_lossy(&tail);
        let last = tail.lines().rev().find_map(|line| {
            let (head, value) = line.rsplit_once(' ')?;
            let (_, name) = head.split_once(' ')?;
            (name == self.name).then(|| value == "1")
        });
        if last == Some(true) { self.append(false) } else { OpenOptions::new().append(true).open(&self.path).map(|_| ()) }
    }

    fn append(&self, active: bool) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path)?;
        file.write_all(self.edge(active).as_bytes())
    }

    fn edge(&self, active: bool) -> String {
        format!("{} {} {}\n", clock::now().boot.0, self.name, u8::from(active))
    }
}

impl Output for SimLine {
    fn set(&mut self, active: bool) -> Result<(), HardwareError> {
        self.append(active).map_err(HardwareError::io(&self.path))
    }
}
