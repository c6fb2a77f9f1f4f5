//! A file that holds the pixels that a panel would show.

use super::{Geometry, Rect, Surface, SurfaceError, failed, map};
use memmap2::MmapMut;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

const WRITING: &str = "write to it";

/// Rows without padding in a regular file, which is mapped.
pub(super) struct Virtual {
    path: PathBuf,
    file: File,
    memory: MmapMut,
    geometry: Geometry,
}

impl Virtual {
    pub(super) fn open(path: &Path, geometry: Geometry) -> Result<Self, SurfaceError> {
        // A QR code is for the customer before it, and not for everybody on the board. A viewer may share the group.
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o640).open(path);
        let file = file.map_err(failed(path, "open or create it"))?;
        if !file.metadata().map_err(failed(path, "look at it"))?.is_file() {
            return Err(SurfaceError::NotAFile { path: path.into() });
        }
        let length = geometry.row() * geometry.height as usize;
        file.set_len(length as u64).map_err(failed(path, "set its length"))?;
        allocate(&file, length).map_err(failed(path, WRITING))?;
        let memory = map(&file, 0, length).map_err(failed(path, "map it"))?;
        Ok(Self { path: path.into(), file, memory, geometry })
    }

    /// Makes the kernel tell the watchers of the file (inotify). It tells them of a write, but not of a change through
    /// a mapping.
    fn tell(&self) -> Result<(), SurfaceError> {
        self.file.write_all_at(&self.memory[..1], 0).map_err(failed(&self.path, WRITING))
    }
}

/// Writes every block that the file system has not reserved yet. A full disk must say so now, since a mapping cannot.
fn allocate(file: &File, length: usize) -> io::Result<()> {
    const BLOCK: u64 = 512;
    if file.metadata()?.blocks() * BLOCK >= length as u64 {
        return Ok(());
    }
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, 0)?;
    file.write_all_at(&bytes, 0)
}

impl Surface for Virtual {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn put(&mut self, area: Rect, pixels: &[u8]) -> Result<(), SurfaceError> {
        self.geometry.put(&mut self.memory, area, pixels);
        self.tell()
    }

    fn put_rows(&mut self, first: i32, rows: &[&[u8]]) -> Result<(), SurfaceError> {
        self.geometry.put_rows(&mut self.memory, first, rows);
        self.tell()
    }

    fn check(&self) -> Result<(), SurfaceError> {
        let there = std::fs::metadata(&self.path).map_err(failed(&self.path, "find it"))?;
        let own = self.file.metadata().map_err(failed(&self.path, "look at it"))?;
        let same = (there.dev(), there.ino()) == (own.dev(), own.ino());
        let length = self.geometry.row() * self.geometry.height as usize;
        if same && own.len() == length as u64 { Ok(()) } else { Err(SurfaceError::Changed { path: self.path.clone() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::picture::{Picture, Scene};
    use super::super::super::{Language, Languages, Screen, ScreenState, samples};
    use super::*;
    use crate::{PixelFormat, SurfaceSettings};
    use qris_core::order::time::Boot;

    #[test]
    fn a_virtual_screen_is_not_for_everybody() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("screen.raw");
        Virtual::open(&path, Geometry { width: 240, height: 240, format: PixelFormat::Rgb565 }).expect("made");
        assert_eq!(std::fs::metadata(&path).expect("there").mode() & 0o027, 0);
    }

    #[test]
    fn a_file_that_is_replaced_shows_the_picture_again_and_nothing_is_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, other) = (directory.path().join("screen"), directory.path().join("other"));
        let surface = SurfaceSettings::Virtual { path: path.clone(), width: 240, height: 320, format: PixelFormat::Rgb565 };
        let settings = samples::settings(surface, Languages::Only(Language::En));
        let (sender, reports) = std::sync::mpsc::channel();
        let starting = Picture { scene: Scene::Starting, sandbox: false };
        let screen = Screen::start(settings, starting, || Boot(0), move |state| drop(sender.send(state)));
        let patience = std::time::Duration::from_secs(60);
        assert_eq!(reports.recv_timeout(patience), Ok(ScreenState::Working));
        let shown = std::fs::read(&path).expect("the picture");
        // A driver that takes over during boot leaves such a framebuffer, with another size.
        std::fs::write(&other, [0; 100]).expect("written");
        std::fs::rename(&other, &path).expect("replaced");
        screen.show(Picture { scene: Scene::Expired, sandbox: false });
        screen.show(Picture { scene: Scene::Starting, sandbox: false });
        let end = std::time::Instant::now() + patience;
        while std::fs::read(&path).expect("there") != shown {
            assert!(std::time::Instant::now() < end, "the picture never came back");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(reports.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty));
    }

    #[test]
    fn rows_of_a_file_are_put_where_they_belong_however_many_they_are() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("screen");
        let geometry = Geometry { width: 2, height: 3000, format: PixelFormat::Rgb565 };
        let mut screen = Virtual::open(&path, geometry).expect("opened");
        let (odd, even): (&[u8], &[u8]) = (&[1; 4], &[2; 4]);
        for (first, count) in [(2999, 1), (7, 1024), (0, 1025), (0, 3000)] {
            let black = vec![0; 12_000];
            screen.file.write_all_at(&black, 0).expect("written");
            let rows: Vec<&[u8]> = (first..first + count).map(|y| if y % 2 == 0 { even } else { odd }).collect();
            screen.put_rows(first as i32, &rows).expect("put");
            let wanted = [black[..first * 4].to_vec(), rows.concat(), black[(first + count) * 4..].to_vec()].concat();
            assert!(std::fs::read(&path).expect("read") == wanted, "{count} from {first}");
        }
    }
}
