//! The surfaces for pixels: a framebuffer device, a display without one, a file in place of either, or plain memory.
//!
//! A surface knows nothing of pictures. It takes finished bytes in its own format. When it is asked, it says whether it
//! is still the panel that was opened: panels are unplugged, and drivers replace one another during boot.

mod console;
mod drm;
mod fbdev;
mod file;
mod frames;
mod ioctl;
mod memory;
mod pixels;

use super::geometry::{Geometry, Rect};
use super::settings::SurfaceSettings;
use memmap2::{MmapMut, MmapOptions};
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The smallest panel, in pixels a side. It has room for the sum and for a code of the customer's page, if its address
/// has no more than 78 characters: 33 modules of two pixels, and the quiet zone.
const SIDE_MIN: u32 = 96;
/// The largest panel side, in pixels. It limits the memory that a wrong configuration can ask for.
const SIDE_MAX: u32 = 4096;

/// The framebuffer and the displays that are looked for if the settings name none.
const FRAMEBUFFER: &str = "/dev/fb0";
const CARDS: &str = "/dev/dri";
/// The major number of a display's device (`DRM_MAJOR`).
const DRM_MAJOR: u32 = 226;

pub(super) trait Surface: Send {
    /// Its size and pixel format. They stay the same as long as [`Surface::check`] says so.
    fn geometry(&self) -> Geometry;

    /// Replaces the pixels of `area`, which lies within the panel. `pixels` are its rows without padding.
    fn put(&mut self, area: Rect, pixels: &[u8]) -> Result<(), SurfaceError>;

    /// Replaces whole rows from row `first` on, each without padding. They lie within the panel. They are put at once, so
    /// nobody sees half a QR code.
    fn put_rows(&mut self, first: i32, rows: &[&[u8]]) -> Result<(), SurfaceError>;

    /// Whether each [`Surface::put_rows`] turns the panel to another frame. Then one call for all rows is better than several.
    fn turns_pages(&self) -> bool {
        false
    }

    /// Whether this is still the panel that was opened. It costs a few system calls.
    fn check(&self) -> Result<(), SurfaceError>;
}

impl Geometry {
    fn checked(self, path: &Path) -> Result<Self, SurfaceError> {
        let sides = SIDE_MIN..=SIDE_MAX;
        if sides.contains(&self.width) && sides.contains(&self.height) {
            Ok(self)
        } else {
            Err(SurfaceError::Size { path: path.into(), width: self.width, height: self.height })
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum SurfaceError {
    #[error("the screen {}: cannot {doing}: {error}", path.display())]
    Io { path: PathBuf, doing: &'static str, error: io::Error },
    /// It is too small for a word, or larger than any panel.
    #[error("the screen {}: {width}×{height} pixels; {SIDE_MIN} to {SIDE_MAX} a side can be used", path.display())]
    Size { path: PathBuf, width: u32, height: u32 },
    #[error("the screen {}: pixels of {layout} are not supported; set the panel to 16, 24 or 32 bits of red, green and blue", path.display())]
    Format { path: PathBuf, layout: pixels::Pixels },
    /// The driver's own numbers contradict one another.
    #[error("the screen {}: the driver's memory is smaller than its picture", path.display())]
    Driver { path: PathBuf },
    #[error("the screen {}: not a regular file", path.display())]
    NotAFile { path: PathBuf },
    /// The device of a display, without a display.
    #[error("the screen {}: no panel is connected", path.display())]
    NotConnected { path: PathBuf },
    #[error("no screen: there is neither {FRAMEBUFFER} nor a panel at one of {CARDS}/card*")]
    None,
    #[error("the screen {}: was replaced or changed its size", path.display())]
    Changed { path: PathBuf },
}

/// Opens the surface of the settings. The old contents stay until the first [`Surface::put`].
pub(super) fn open(settings: &SurfaceSettings) -> Result<Box<dyn Surface>, SurfaceError> {
    Ok(match settings {
        SurfaceSettings::Any => return open_any(Path::new(FRAMEBUFFER), Path::new(CARDS)),
        SurfaceSettings::Device(path) => return open_device(path),
        SurfaceSettings::Virtual { path, width, height, format } => {
            let geometry = Geometry { width: *width, height: *height, format: *format };
            Box::new(file::Virtual::open(path, geometry.checked(path)?)?)
        }
        SurfaceSettings::Memory { width, height, format } => {
            let geometry = Geometry { width: *width, height: *height, format: *format };
            Box::new(memory::Memory::new(geometry.checked(Path::new("in memory"))?))
        }
    })
}

/// The framebuffer; without one, the first display with a panel. A framebuffer that cannot be used is not passed
/// over: the display behind it is the same panel.
fn open_any(framebuffer: &Path, cards: &Path) -> Result<Box<dyn Surface>, SurfaceError> {
    if framebuffer.exists() {
        return open_device(framebuffer);
    }
    let mut first_error = None;
    for path in cards_in(cards) {
        match drm::Display::open(&path) {
            Ok(display) => return Ok(Box::new(display)),
            // The error of a display with a panel is worth more than the news that another one has no panel.
            Err(error) => match (&first_error, &error) {
                (None, _) | (Some(SurfaceError::NotConnected { .. }), _) => first_error = Some(error),
                _ => {}
            },
        }
    }
    Err(first_error.unwrap_or(SurfaceError::None))
}

/// `card0`, `card1` and so on, in this order.
fn cards_in(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix("card")?.parse::<u32>().ok();
    let mut cards: Vec<_> = entries.filter_map(|entry| Some((number(&entry.path())?, entry.path()))).collect();
    cards.sort();
    cards.into_iter().map(|(_, path)| path).collect()
}

fn open_device(path: &Path) -> Result<Box<dyn Surface>, SurfaceError> {
    let node = std::fs::metadata(path).map_err(failed(path, "find it"))?;
    Ok(if node.file_type().is_char_device() && libc::major(node.rdev()) == DRM_MAJOR {
        Box::new(drm::Display::open(path)?)
    } else {
        Box::new(fbdev::open(path)?)
    })
}

/// A device's node in the file system. If it went and came again, it is another node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Node {
    on: u64,
    inode: u64,
    device: u64,
}

impl Node {
    fn of(path: &Path) -> io::Result<Self> {
        let node = std::fs::metadata(path)?;
        Ok(Self { on: node.dev(), inode: node.ino(), device: node.rdev() })
    }
}

fn failed<'a>(path: &'a Path, doing: &'static str) -> impl FnOnce(io::Error) -> SurfaceError + 'a {
    move |error| SurfaceError::Io { path: path.into(), doing, error }
}

#[allow(
    unsafe_code,
    reason = "a mapping has no safe form; a device is memory that nothing truncates, and a file that stands in for one is ours"
)]
fn map(file: &File, offset: u64, length: usize) -> io::Result<MmapMut> {
    // SAFETY: the length is the driver's own, or the file's. Other writers (the console) can only change colours, never
    // a decision, because nothing is read back. If somebody truncates the file under a picture, this program ends.
    unsafe { MmapOptions::new().offset(offset).len(length).map_mut(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_are_tried_in_the_order_of_their_numbers() {
        let directory = tempfile::tempdir().expect("a directory");
        for name in ["card10", "card2", "renderD128", "by-path", "card0"] {
            std::fs::write(directory.path().join(name), "").expect("written");
        }
        let found = cards_in(directory.path());
        let names: Vec<_> = found.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        assert_eq!(names, ["card0", "card2", "card10"]);
        assert!(cards_in(&directory.path().join("none")).is_empty());
    }

    #[test]
    fn without_a_framebuffer_the_displays_are_tried_and_a_broken_framebuffer_is_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let (framebuffer, cards) = (directory.path().join("fb0"), directory.path().join("dri"));
        let told = || open_any(&framebuffer, &cards).err().expect("no screen").to_string();
        assert!(told().starts_with("no screen"), "{}", told());
        std::fs::create_dir(&cards).expect("made");
        std::fs::write(cards.join("card1"), "").expect("written");
        assert!(told().contains("dri/card1"), "{}", told());
        std::fs::write(&framebuffer, "").expect("written");
        assert!(told().contains("fb0: cannot ask it for its layout"), "{}", told());
    }
}
