//! A framebuffer device of Linux (`linux/fb.h`), mapped into memory.

use super::console::Console;
use super::frames::{Frame, Frames, Turn};
use super::ioctl::{ask, ask_nothing};
use super::pixels::{Channel, Pixels};
use super::{Geometry, Node, Rect, Surface, SurfaceError, failed, map};
use memmap2::MmapMut;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ASKING: &str = "ask it for its layout";
const WRITING: &str = "write to it";
/// The time of a turn of a slow panel. For so long the old frame may still be on it, if the driver does not say when a
/// turn is done.
const TURN: Duration = Duration::from_millis(20);

/// Opens a framebuffer device. Its text console, if it has one, is quiet until the surface is dropped.
pub(super) fn open(path: &Path) -> Result<Panel<Device>, SurfaceError> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.map_err(failed(path, "open it (is the user in group video?)"))?;
    Panel::new(path, Device { path: path.into(), file, console: None })
}

pub(super) trait Driver: Send {
    /// The driver's data about itself, and the node that was asked: the one that the path leads to now.
    fn ask(&self) -> io::Result<(VarScreenInfo, FixScreenInfo, Node)>;

    /// The panel will be drawn on: lights it, and quiets its text console.
    fn begin(&mut self);

    /// Whether another program had it since, and left it again.
    fn was_lent(&self) -> bool;

    /// Its memory from the start.
    fn map(&self, length: usize) -> io::Result<MmapMut>;

    /// `FBIOPAN_DISPLAY`: shows the memory from this offset on.
    fn pan(&self, to: &VarScreenInfo) -> io::Result<()>;

    /// Waits until the panel begins a new frame, if the driver knows when.
    fn wait_for_turn(&self) -> io::Result<()>;
}

/// A panel, and its driver's data when it was opened.
pub(super) struct Panel<D: Driver> {
    path: PathBuf,
    frames: Frames,
    layout: Layout,
    driver: D,
    /// The driver's last answer, with the frame that is shown.
    var: VarScreenInfo,
    /// The row of its memory that was shown first when it was opened.
    first: u32,
}

/// The part of a driver's answers that decides where a pixel goes, and the node that gave them.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Layout {
    node: Node,
    name: [u8; 16],
    width: u32,
    height: u32,
    pixels: Pixels,
    /// Bytes from one row to the next.
    stride: usize,
    /// The bytes of memory in all, and their address: another address is another panel.
    memory: (usize, libc::c_ulong),
}

impl Layout {
    fn new(var: &VarScreenInfo, fix: &FixScreenInfo, node: Node) -> Self {
        let [red, green, blue, alpha] =
            [&var.red, &var.green, &var.blue, &var.transp].map(|channel| Channel::new(channel.offset, channel.length));
        // A palette's channels look like a colour's: only the kind tells them apart.
        let colours = [FB_VISUAL_TRUECOLOR, FB_VISUAL_DIRECTCOLOR].contains(&fix.visual) && var.grayscale == 0;
        let bits = if colours { var.bits_per_pixel } else { 0 };
        Self {
            node,
            name: fix.id,
            width: var.xres,
            height: var.yres,
            pixels: Pixels { bits, red, green, blue, alpha },
            stride: fix.line_length as usize,
            memory: (fix.smem_len as usize, fix.smem_start),
        }
    }

    /// Bytes before the first pixel that is shown at this offset; `None` if no panel's memory is so large.
    fn start(&self, x: u32, y: u32) -> Option<usize> {
        // The mapping begins with the page in which the memory begins.
        let within_page = self.memory.1 as usize % page_size();
        within_page.checked_add((y as usize).checked_mul(self.stride)?)?.checked_add(x as usize * self.pixels.bytes())
    }

    /// Whether a picture that starts there ends within the memory.
    fn holds(&self, start: usize) -> bool {
        let (row, within_page) = (self.width as usize * self.pixels.bytes(), self.memory.1 as usize % page_size());
        let end = || self.stride.checked_mul(self.height as usize - 1)?.checked_add(row)?.checked_add(start);
        self.stride >= row && end().is_some_and(|end| end <= self.memory.0 + within_page)
    }
}

/// The size of a page of memory, in bytes.
fn page_size() -> usize {
    #[allow(unsafe_code, reason = "the safe form, rustix's, panics where a sandbox hides the auxiliary vector")]
    // SAFETY: it takes a number and answers with one.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).ok().filter(|size| *size > 0).unwrap_or(4096)
}

impl<D: Driver> Panel<D> {
    fn new(path: &Path, mut driver: D) -> Result<Self, SurfaceError> {
        let (mut var, fix, node) = driver.ask().map_err(failed(path, ASKING))?;
        let layout = Layout::new(&var, &fix, node);
        let format = layout.pixels.drawn_as();
        let shown = Pixels { bits: var.bits_per_pixel, ..layout.pixels };
        let format = format.ok_or(SurfaceError::Format { path: path.into(), layout: shown })?;
        let geometry = Geometry { width: layout.width, height: layout.height, format }.checked(path)?;
        let wrong = || SurfaceError::Driver { path: path.into() };
        let start = layout.start(var.xoffset, var.yoffset).filter(|start| layout.holds(*start)).ok_or_else(wrong)?;
        driver.begin();
        let first = var.yoffset;
        var.activate = FB_ACTIVATE_NOW;
        let mut starts = vec![start];
        // A second picture fits below the first, and the driver can turn to it. A program that scrolls may have left
        // the panel between the two. A driver that does not tell where its memory lies copies the written pixels to the
        // panel's own memory. If such a driver emulates a framebuffer for a display, it offers to turn, and then copies
        // only the first picture.
        let scanned = fix.smem_start != 0 && fix.ypanstep > 0;
        let offered = scanned && var.yres.is_multiple_of(u32::from(fix.ypanstep)) && var.yres_virtual / 2 >= var.yres;
        let below = layout.start(var.xoffset, var.yres).filter(|below| layout.holds(*below));
        if let (true, Some(above), Some(below)) = (offered, layout.start(var.xoffset, 0), below) {
            let whole = VarScreenInfo { yoffset: if first == var.yres { first } else { 0 }, ..var.clone() };
            if driver.pan(&whole).is_ok() {
                starts = vec![above, below];
                var = whole;
            }
        }
        let shown = usize::from(starts.len() > 1 && var.yoffset != 0);
        let length = layout.memory.0 + layout.memory.1 as usize % page_size();
        let frame = |start| Ok(Frame { memory: driver.map(length)?, start, stride: layout.stride });
        let frames = starts.into_iter().map(frame).collect::<io::Result<_>>().map_err(failed(path, "map it"))?;
        let frames = Frames::new(geometry, layout.pixels, frames, shown);
        Ok(Self { path: path.into(), frames, layout, driver, first, var })
    }
}

/// Turns a panel: moves the part that it shows up and down its memory.
struct Panning<'a, D: Driver> {
    driver: &'a D,
    var: &'a mut VarScreenInfo,
}

impl<D: Driver> Turn for Panning<'_, D> {
    fn turn_to(&mut self, frame: usize) -> io::Result<()> {
        let before = self.var.yoffset;
        self.var.yoffset = frame as u32 * self.var.yres;
        if let Err(error) = self.driver.pan(self.var) {
            self.var.yoffset = before;
            return Err(error);
        }
        // Some drivers answer when the turn is ordered, and not when it is done.
        if self.driver.wait_for_turn().is_err() {
            std::thread::sleep(TURN);
        }
        Ok(())
    }

    fn wrote(&mut self, _: usize, _: Rect) -> io::Result<()> {
        Ok(())
    }
}

impl<D: Driver> Surface for Panel<D> {
    fn geometry(&self) -> Geometry {
        self.frames.geometry
    }

    fn put(&mut self, area: Rect, pixels: &[u8]) -> Result<(), SurfaceError> {
        let mut panning = Panning { driver: &self.driver, var: &mut self.var };
        self.frames.put(&mut panning, area, pixels).map_err(failed(&self.path, WRITING))
    }

    fn put_rows(&mut self, first: i32, rows: &[&[u8]]) -> Result<(), SurfaceError> {
        let mut panning = Panning { driver: &self.driver, var: &mut self.var };
        self.frames.put_rows(&mut panning, first, rows).map_err(failed(&self.path, WRITING))
    }

    fn turns_pages(&self) -> bool {
        self.frames.turns()
    }

    fn check(&self) -> Result<(), SurfaceError> {
        let (var, fix, node) = self.driver.ask().map_err(failed(&self.path, ASKING))?;
        // Another program moved the part that is shown. Then the next frame would be seen half drawn.
        let same = Layout::new(&var, &fix, node) == self.layout && (var.xoffset, var.yoffset) == (self.var.xoffset, self.var.yoffset);
        if same && !self.driver.was_lent() { Ok(()) } else { Err(SurfaceError::Changed { path: self.path.clone() }) }
    }
}

impl<D: Driver> Drop for Panel<D> {
    fn drop(&mut self) {
        if self.var.yoffset != self.first {
            // Both frames show the same. If the panel is gone, it does not matter.
            self.var.yoffset = self.first;
            let _ = self.driver.pan(&self.var);
        }
    }
}

pub(super) struct Device {
    path: PathBuf,
    file: File,
    console: Option<Console>,
}

impl Driver for Device {
    fn ask(&self) -> io::Result<(VarScreenInfo, FixScreenInfo, Node)> {
        // It is opened afresh: the old file would go on answering for a panel that nobody sees any more.
        let file = File::open(&self.path)?;
        let (mut var, mut fix) = (VarScreenInfo::default(), FixScreenInfo::default());
        ask(&file, FBIOGET_VSCREENINFO, &mut var)?;
        ask(&file, FBIOGET_FSCREENINFO, &mut fix)?;
        Ok((var, fix, Node::of(&self.path)?))
    }

    fn begin(&mut self) {
        // This lights a panel that was dark because nobody typed. A panel that cannot be blanked answers with an error.
        let _ = ask_nothing(&self.file, FBIOBLANK, FB_BLANK_UNBLANK);
        self.console = Console::take(&self.file, &self.path);
    }

    fn was_lent(&self) -> bool {
        self.console.as_ref().is_some_and(Console::came_back)
    }

    fn map(&self, length: usize) -> io::Result<MmapMut> {
        map(&self.file, 0, length)
    }

    fn pan(&self, to: &VarScreenInfo) -> io::Result<()> {
        ask(&self.file, FBIOPAN_DISPLAY, &mut to.clone())
    }

    fn wait_for_turn(&self) -> io::Result<()> {
        ask(&self.file, FBIO_WAITFORVSYNC, &mut 0_u32)
    }
}

/// `struct fb_bitfield`: offset, length, and whether the most significant bit is right.
#[repr(C)]
#[derive(Default, Clone)]
pub(super) struct Bitfield {
    offset: u32,
    length: u32,
    _msb_right: u32,
}

/// `struct fb_var_screeninfo`.
#[repr(C)]
#[derive(Default, Clone)]
pub(super) struct VarScreenInfo {
    xres: u32,
    yres: u32,
    _xres_virtual: u32,
    yres_virtual: u32,
    xoffset: u32,
    yoffset: u32,
    bits_per_pixel: u32,
    grayscale: u32,
    red: Bitfield,
    green: Bitfield,
    blue: Bitfield,
    transp: Bitfield,
    _nonstd: u32,
    activate: u32,
    /// Size in millimetres, timing, rotation.
    _rest: [u32; 18],
}

/// `struct fb_fix_screeninfo`.
#[repr(C)]
#[derive(Default, Clone)]
pub(super) struct FixScreenInfo {
    id: [u8; 16],
    smem_start: libc::c_ulong,
    smem_len: u32,
    _kind: u32,
    _kind_aux: u32,
    visual: u32,
    _xpanstep: u16,
    ypanstep: u16,
    _ywrapstep: u16,
    line_length: u32,
    _mmio_start: libc::c_ulong,
    _mmio_len: u32,
    _accel: u32,
    _capabilities: u16,
    _reserved: [u16; 2],
}

const _: () = assert!(size_of::<VarScreenInfo>() == 160, "as in linux/fb.h");
const _: () = assert!(size_of::<FixScreenInfo>() == if size_of::<libc::c_ulong>() == 8 { 80 } else { 68 }, "as in linux/fb.h");

const FB_VISUAL_TRUECOLOR: u32 = 2;
const FB_VISUAL_DIRECTCOLOR: u32 = 4;
const FB_ACTIVATE_NOW: u32 = 0;
const FB_BLANK_UNBLANK: libc::c_ulong = 0;

const FBIOGET_VSCREENINFO: u32 = 0x4600;
const FBIOGET_FSCREENINFO: u32 = 0x4602;
const FBIOPAN_DISPLAY: u32 = 0x4606;
const FBIOBLANK: u32 = 0x4611;
const FBIO_WAITFORVSYNC: u32 = 0x4004_4620;

#[cfg(test)]
mod tests;
