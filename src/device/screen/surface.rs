//! Where pixels go: a framebuffer device, or a file that stands in for one.
//!
//! A surface knows nothing of pictures. It takes finished bytes in its own format and says, whenever it is asked, whether
//! it is still what it was when it was opened: panels are unplugged, and drivers replace one another during boot.

use super::paint::Rect;
use super::{PixelFormat, SurfaceSettings};
use memmap2::{MmapMut, MmapOptions};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The smallest panel that has room for a QR code and what must stand beside it, in pixels a side.
const SIDE_MIN: u32 = 240;
/// The largest panel side, in pixels: bounds the memory that a wrong configuration can ask for.
const SIDE_MAX: u32 = 4096;

const WRITING: &str = "write to it";

/// Something that pixels can be put on.
pub(super) trait Surface: Send {
    /// Its size and pixel format; they stay the same as long as [`Surface::check`] says so.
    fn geometry(&self) -> Geometry;

    /// Replaces the pixels of `area`, which lies within the panel: `pixels` are its rows without padding.
    fn put(&mut self, area: Rect, pixels: &[u8]) -> Result<(), SurfaceError>;

    /// Replaces whole rows from row `first` on, each without padding; they lie within the panel. They are put at once, so
    /// that nobody sees half a QR code.
    fn put_rows(&mut self, first: i32, rows: &[&[u8]]) -> Result<(), SurfaceError>;

    /// Whether this is still the panel that was opened. Costs a few system calls.
    fn check(&self) -> Result<(), SurfaceError>;
}

/// The shape of a surface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Geometry {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) format: PixelFormat,
}

impl PixelFormat {
    /// Bytes a pixel.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Rgb565 => 2,
            Self::Xrgb8888 => 4,
        }
    }
}

impl Geometry {
    /// Bytes of one row without padding.
    fn row(self) -> usize {
        self.width as usize * self.format.bytes()
    }

    fn checked(self, path: &Path) -> Result<Self, SurfaceError> {
        let sides = SIDE_MIN..=SIDE_MAX;
        if sides.contains(&self.width) && sides.contains(&self.height) {
            Ok(self)
        } else {
            Err(SurfaceError::Size { path: path.into(), width: self.width, height: self.height })
        }
    }
}

/// Why there is nothing to draw on.
#[derive(Debug, thiserror::Error)]
pub(super) enum SurfaceError {
    /// A system call failed.
    #[error("the screen {}: cannot {doing}: {error}", path.display())]
    Io { path: PathBuf, doing: &'static str, error: io::Error },
    /// Too small for a QR code, or larger than any panel.
    #[error("the screen {}: {width}×{height} pixels; {SIDE_MIN} to {SIDE_MAX} a side can be used", path.display())]
    Size { path: PathBuf, width: u32, height: u32 },
    /// Not one of the pixel formats that are known.
    #[error("the screen {}: {bits} bits a pixel with red at bit {red} is not supported; set the panel to RGB565 or XRGB8888", path.display())]
    Format { path: PathBuf, bits: u32, red: u32 },
    /// The driver's own numbers contradict one another.
    #[error("the screen {}: the driver's memory is smaller than its picture", path.display())]
    Driver { path: PathBuf },
    /// The virtual screen's path is taken by something that is not a file.
    #[error("the screen {}: not a regular file", path.display())]
    NotAFile { path: PathBuf },
    /// It is no longer what was opened.
    #[error("the screen {}: was replaced or changed its size", path.display())]
    Changed { path: PathBuf },
}

/// Opens what the settings name. The old contents stay until the first [`Surface::put`].
pub(super) fn open(settings: &SurfaceSettings) -> Result<Box<dyn Surface>, SurfaceError> {
    Ok(match settings {
        SurfaceSettings::Device(path) => Box::new(Panel::open(path)?),
        SurfaceSettings::Virtual { path, width, height, format } => {
            let geometry = Geometry { width: *width, height: *height, format: *format };
            Box::new(Virtual::open(path, geometry.checked(path)?)?)
        }
    })
}

fn failed<'a>(path: &'a Path, doing: &'static str) -> impl FnOnce(io::Error) -> SurfaceError + 'a {
    move |error| SurfaceError::Io { path: path.into(), doing, error }
}

/// A file that holds what a panel would show. Written with `pwrite` rather than through a mapping: a full disk is then an
/// error and not a signal.
struct Virtual {
    path: PathBuf,
    file: File,
    memory: MmapMut,
    geometry: Geometry,
}

impl Virtual {
    fn open(path: &Path, geometry: Geometry) -> Result<Self, SurfaceError> {
        // A QR code is for the customer before it, and not for everybody on the board; a viewer may share the group.
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o640).open(path);
        let file = file.map_err(failed(path, "open or create it"))?;
        if !file.metadata().map_err(failed(path, "look at it"))?.is_file() {
            return Err(SurfaceError::NotAFile { path: path.into() });
        }
        let length = geometry.row() * geometry.height as usize;
        file.set_len(length as u64).map_err(failed(path, "set its length"))?;
        allocate(&file, length).map_err(failed(path, WRITING))?;
        let memory = map(&file, length).map_err(failed(path, "map it"))?;
        Ok(Self { path: path.into(), file, memory, geometry })
    }

    /// Has the kernel tell whoever watches the file (inotify): it does of a write, and not of what goes through a mapping.
    fn tell(&self) -> Result<(), SurfaceError> {
        self.file.write_all_at(&self.memory[..1], 0).map_err(failed(&self.path, WRITING))
    }
}

/// Writes every block that the file system has not set apart yet: a disk that is full must say so now, since a mapping
/// has no way to.
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
        let (row, bytes) = (self.geometry.row(), area.w as usize * self.geometry.format.bytes());
        let start = area.y as usize * row + area.x as usize * self.geometry.format.bytes();
        for (y, pixels) in pixels.chunks_exact(bytes).enumerate() {
            self.memory[start + y * row..][..bytes].copy_from_slice(pixels);
        }
        self.tell()
    }

    fn put_rows(&mut self, first: i32, rows: &[&[u8]]) -> Result<(), SurfaceError> {
        let row = self.geometry.row();
        for (place, pixels) in self.memory[first as usize * row..].chunks_exact_mut(row).zip(rows) {
            place.copy_from_slice(pixels);
        }
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

/// A framebuffer device of Linux (`linux/fb.h`), mapped into memory.
struct Panel {
    path: PathBuf,
    memory: MmapMut,
    layout: Layout,
    geometry: Geometry,
}

/// What of a driver's answers decides where a pixel goes.
#[derive(Clone, PartialEq, Eq)]
struct Layout {
    width: u32,
    height: u32,
    bits: u32,
    /// Offset and length in bits of red, green and blue.
    channels: [(u32, u32); 3],
    /// Bytes from one row to the next.
    stride: usize,
    /// Bytes before the first pixel that is shown.
    start: usize,
    /// Bytes of memory in all, and where they lie: another address is another panel.
    memory: (usize, libc::c_ulong),
}

impl Layout {
    fn format(&self) -> Option<PixelFormat> {
        match (self.bits, self.channels) {
            (16, [(11, 5), (5, 6), (0, 5)]) => Some(PixelFormat::Rgb565),
            (32, [(16, 8), (8, 8), (0, 8)]) => Some(PixelFormat::Xrgb8888),
            _ => None,
        }
    }
}

impl Panel {
    fn open(path: &Path) -> Result<Self, SurfaceError> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(failed(path, "open it (is the user in group video?)"))?;
        let layout = ask_layout(&file).map_err(failed(path, "ask it for its layout"))?;
        let format = layout.format().ok_or(SurfaceError::Format { path: path.into(), bits: layout.bits, red: layout.channels[0].0 })?;
        let geometry = Geometry { width: layout.width, height: layout.height, format }.checked(path)?;
        let last_row = layout.start + layout.stride * (geometry.height as usize - 1);
        if layout.stride < geometry.row() || last_row + geometry.row() > layout.memory.0 {
            return Err(SurfaceError::Driver { path: path.into() });
        }
        let memory = map(&file, layout.memory.0).map_err(failed(path, "map it"))?;
        Ok(Self { path: path.into(), memory, layout, geometry })
    }
}

impl Surface for Panel {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn put(&mut self, area: Rect, pixels: &[u8]) -> Result<(), SurfaceError> {
        let bytes = area.w as usize * self.geometry.format.bytes();
        let start = self.layout.start + area.y as usize * self.layout.stride + area.x as usize * self.geometry.format.bytes();
        for (y, row) in pixels.chunks_exact(bytes).enumerate() {
            let at = start + y * self.layout.stride;
            self.memory[at..at + bytes].copy_from_slice(row);
        }
        Ok(())
    }

    fn put_rows(&mut self, first: i32, rows: &[&[u8]]) -> Result<(), SurfaceError> {
        (first..).zip(rows).try_for_each(|(y, row)| self.put(Rect::new(0, y, self.geometry.width as i32, 1), row))
    }

    fn check(&self) -> Result<(), SurfaceError> {
        // Opened afresh: the old file would go on answering for a panel that nobody sees any more.
        let file = File::open(&self.path).map_err(failed(&self.path, "find it"))?;
        let layout = ask_layout(&file).map_err(failed(&self.path, "ask it for its layout"))?;
        if layout == self.layout { Ok(()) } else { Err(SurfaceError::Changed { path: self.path.clone() }) }
    }
}

/// `struct fb_bitfield`: offset, length, and whether the most significant bit is right.
#[repr(C)]
#[derive(Default)]
struct Bitfield {
    offset: u32,
    length: u32,
    _msb_right: u32,
}

/// `struct fb_var_screeninfo`, with the fields behind the colours left unnamed.
#[repr(C)]
#[derive(Default)]
struct VarScreenInfo {
    xres: u32,
    yres: u32,
    _virtual: [u32; 2],
    xoffset: u32,
    yoffset: u32,
    bits_per_pixel: u32,
    _grayscale: u32,
    red: Bitfield,
    green: Bitfield,
    blue: Bitfield,
    _transparent: Bitfield,
    _rest: [u32; 20],
}

/// `struct fb_fix_screeninfo`.
#[repr(C)]
#[derive(Default)]
struct FixScreenInfo {
    _id: [u8; 16],
    smem_start: libc::c_ulong,
    smem_len: u32,
    _kind: [u32; 3],
    _steps: [u16; 3],
    line_length: u32,
    _mmio_start: libc::c_ulong,
    _mmio_len: u32,
    _accel: u32,
    _capabilities: u16,
    _reserved: [u16; 2],
}

const _: () = assert!(size_of::<VarScreenInfo>() == 160, "as in linux/fb.h");
const _: () = assert!(size_of::<FixScreenInfo>() == if size_of::<libc::c_ulong>() == 8 { 80 } else { 68 }, "as in linux/fb.h");

const FBIOGET_VSCREENINFO: libc::Ioctl = 0x4600;
const FBIOGET_FSCREENINFO: libc::Ioctl = 0x4602;

#[allow(
    unsafe_code,
    reason = "ioctl has no safe form; each request fills the structure that linux/fb.h names for it, whose size is asserted above"
)]
fn ask_layout(file: &File) -> io::Result<Layout> {
    let (mut var, mut fix) = (VarScreenInfo::default(), FixScreenInfo::default());
    // SAFETY: both structures are plain numbers, live through the calls, and have the sizes the kernel writes.
    let answers = unsafe {
        [libc::ioctl(file.as_raw_fd(), FBIOGET_VSCREENINFO, &raw mut var), libc::ioctl(file.as_raw_fd(), FBIOGET_FSCREENINFO, &raw mut fix)]
    };
    if answers.contains(&-1) {
        return Err(io::Error::last_os_error());
    }
    let stride = fix.line_length as usize;
    Ok(Layout {
        width: var.xres,
        height: var.yres,
        bits: var.bits_per_pixel,
        channels: [&var.red, &var.green, &var.blue].map(|channel| (channel.offset, channel.length)),
        stride,
        start: var.yoffset as usize * stride + var.xoffset as usize * (var.bits_per_pixel as usize / 8),
        memory: (fix.smem_len as usize, fix.smem_start),
    })
}

#[allow(
    unsafe_code,
    reason = "a mapping has no safe form; a framebuffer device is memory that nothing truncates, and a file that stands in for one is ours"
)]
fn map(file: &File, length: usize) -> io::Result<MmapMut> {
    // SAFETY: the length is the driver's own, or the file's; other writers (the console) can only change colours, never
    // what is decided, because nothing is read back. Whoever truncates the file under a picture ends this program.
    unsafe { MmapOptions::new().len(length).map_mut(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(bits: u32, channels: [(u32, u32); 3]) -> Layout {
        Layout { width: 4, height: 2, bits, channels, stride: 12, start: 24, memory: (64, 0) }
    }

    #[test]
    fn only_known_pixel_formats_are_drawn_on() {
        for (bits, channels, format) in [
            (16, [(11, 5), (5, 6), (0, 5)], Some(PixelFormat::Rgb565)),
            (32, [(16, 8), (8, 8), (0, 8)], Some(PixelFormat::Xrgb8888)),
            (16, [(0, 5), (5, 6), (11, 5)], None),
            (32, [(0, 8), (8, 8), (16, 8)], None),
            (24, [(16, 8), (8, 8), (0, 8)], None),
            (8, [(0, 8), (0, 8), (0, 8)], None),
        ] {
            assert_eq!(layout(bits, channels).format(), format, "{bits} {channels:?}");
        }
    }

    #[test]
    fn a_virtual_screen_is_not_for_everybody() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("screen.raw");
        Virtual::open(&path, Geometry { width: 240, height: 240, format: PixelFormat::Rgb565 }).expect("made");
        assert_eq!(std::fs::metadata(&path).expect("there").mode() & 0o027, 0);
    }

    #[test]
    fn a_panel_is_written_with_its_drivers_stride_and_offset() {
        let memory = MmapMut::map_anon(64).expect("memory");
        let geometry = Geometry { width: 4, height: 2, format: PixelFormat::Rgb565 };
        let layout = layout(16, [(11, 5), (5, 6), (0, 5)]);
        let mut panel = Panel { path: PathBuf::new(), memory, layout, geometry };
        panel.put(Rect::new(1, 0, 2, 2), &[1, 2, 3, 4, 5, 6, 7, 8]).expect("put");
        let mut wanted = [0; 64];
        wanted[24 + 2..24 + 6].copy_from_slice(&[1, 2, 3, 4]);
        wanted[36 + 2..36 + 6].copy_from_slice(&[5, 6, 7, 8]);
        assert_eq!(panel.memory[..], wanted);
        panel.put_rows(1, &[&[9; 8]]).expect("put");
        wanted[36..44].fill(9);
        assert_eq!(panel.memory[..], wanted);
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
