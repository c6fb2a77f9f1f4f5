//! A display without a framebuffer device: dumb buffers of `/dev/dri/card*`, set by calls that every driver knows.

use super::frames::{Frame, Frames, Turn};
use super::pixels::Pixels;
use super::{Geometry, Node, Rect, Surface, SurfaceError, failed, map};
use drm_ffi::mode::{self, dumbbuffer};
use drm_ffi::{
    DRM_CAP_DUMB_BUFFER, DRM_CAP_DUMB_PREFERRED_DEPTH, DRM_MODE_PAGE_FLIP_EVENT, DRM_MODE_TYPE_PREFERRED, drm_clip_rect, drm_mode_crtc,
    drm_mode_get_encoder, drm_mode_modeinfo,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

/// A display's `connection`; the kernel's headers have no name for it.
const CONNECTED: u32 = 1;
const DISCONNECTED: u32 = 2;
/// Room for this many displays, and for this many modes of each. The crate asks twice. With this room from the start, a list
/// also holds a panel that is plugged in between the two questions. And the second question does not make the kernel look at
/// the panel once more.
const MANY: usize = 64;
/// How long a turn of the panel is awaited: 100 ms. Sixty turns take a second.
const TURN: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

pub(super) struct Display {
    path: PathBuf,
    frames: Frames,
    driver: Card,
    node: Node,
}

impl Display {
    /// Takes the first panel that is connected, in the mode that it prefers.
    pub(super) fn open(path: &Path) -> Result<Self, SurfaceError> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(failed(path, "open it (is the user in group video?)"))?;
        let asking = || failed(path, "ask it what it can show");
        let node = Node::of(path).map_err(asking())?;
        if capability(&file, DRM_CAP_DUMB_BUFFER).map_err(asking())? == 0 {
            return Err(asking()(io::ErrorKind::Unsupported.into()));
        }
        let output = Output::find(&file).map_err(asking())?.ok_or(SurfaceError::NotConnected { path: path.into() })?;
        drm_ffi::auth::acquire_master(file.as_fd()).map_err(failed(path, "take it (does a desktop use it?)"))?;
        let narrow = capability(&file, DRM_CAP_DUMB_PREFERRED_DEPTH).is_ok_and(|depth| depth == 16);
        let before = mode::get_crtc(file.as_fd(), output.crtc).map_err(asking())?;
        let (width, height) = (output.mode.hdisplay.into(), output.mode.vdisplay.into());
        let mut driver = Card { file, output, before, buffers: Vec::new() };
        let mut made = Err(io::ErrorKind::Unsupported.into());
        for pixels in if narrow { [Pixels::RGB565, Pixels::XRGB8888] } else { [Pixels::XRGB8888, Pixels::RGB565] } {
            let Some(format) = pixels.drawn_as() else { continue };
            let geometry = Geometry { width, height, format }.checked(path)?;
            made = driver.buffer(geometry, pixels).map(|frame| (frame, geometry, pixels));
            if made.is_ok() {
                break;
            }
        }
        let (first, geometry, pixels) = made.map_err(failed(path, "make a buffer for it"))?;
        driver.show(0).map_err(failed(path, "show a buffer on it"))?;
        let mut frames = vec![first];
        // If there is no memory for a second buffer, or the driver cannot turn to it, one buffer must do.
        if let Ok(second) = driver.buffer(geometry, pixels) {
            frames.push(second);
        }
        Ok(Self { path: path.into(), frames: Frames::new(geometry, pixels, frames, 0), driver, node })
    }
}

impl Surface for Display {
    fn geometry(&self) -> Geometry {
        self.frames.geometry
    }

    fn put(&mut self, area: Rect, pixels: &[u8]) -> Result<(), SurfaceError> {
        self.frames.put(&mut self.driver, area, pixels).map_err(failed(&self.path, "write to it"))
    }

    fn put_rows(&mut self, first: i32, rows: &[&[u8]]) -> Result<(), SurfaceError> {
        self.frames.put_rows(&mut self.driver, first, rows).map_err(failed(&self.path, "write to it"))
    }

    fn turns_pages(&self) -> bool {
        self.frames.turns()
    }

    fn check(&self) -> Result<(), SurfaceError> {
        let asking = || failed(&self.path, "find it");
        let node = Node::of(&self.path).map_err(asking())?;
        let Card { file, output, buffers, .. } = &self.driver;
        // The kernel answers from its memory, and does not ask the panel, which would take long.
        let connector = mode::get_connector(file.as_fd(), output.connector, None, None, None, None, false).map_err(asking())?;
        if connector.connection == DISCONNECTED {
            return Err(SurfaceError::NotConnected { path: self.path.clone() });
        }
        let crtc = mode::get_crtc(file.as_fd(), output.crtc).map_err(asking())?;
        let ours = buffers.get(self.frames.shown()).is_some_and(|buffer| buffer.framebuffer == crtc.fb_id);
        if ours && node == self.node { Ok(()) } else { Err(SurfaceError::Changed { path: self.path.clone() }) }
    }
}

/// The device, and the objects that were made on it.
struct Card {
    file: File,
    output: Output,
    /// The picture's source before.
    before: drm_mode_crtc,
    buffers: Vec<Buffer>,
}

struct Buffer {
    handle: u32,
    framebuffer: u32,
}

impl Card {
    fn buffer(&mut self, geometry: Geometry, pixels: Pixels) -> io::Result<Frame> {
        let Geometry { width, height, .. } = geometry;
        let fd = self.file.as_fd();
        let dumb = dumbbuffer::create(fd, width, height, pixels.bits, 0)?;
        let depth = if pixels.bits == 16 { 16 } else { 24 };
        let added = mode::add_fb(fd, width, height, dumb.pitch, pixels.bits, depth, dumb.handle);
        // The driver keeps the memory of an unusable buffer too, until it is told to free it.
        let buffer = Buffer { handle: dumb.handle, framebuffer: added.as_ref().map_or(0, |added| added.fb_id) };
        let length = dumb.pitch as usize * height as usize;
        let memory = added
            .and_then(|_| dumbbuffer::map(fd, dumb.handle, 0, 0))
            .and_then(|mapped| if dumb.size < length as u64 { Err(io::ErrorKind::InvalidData.into()) } else { Ok(mapped.offset) })
            .and_then(|offset| map(&self.file, offset, length));
        match memory {
            Ok(mut memory) => {
                memory.fill(0);
                self.buffers.push(buffer);
                Ok(Frame { memory, start: 0, stride: dumb.pitch as usize })
            }
            Err(error) => {
                self.give_back(&buffer);
                Err(error)
            }
        }
    }

    fn give_back(&self, buffer: &Buffer) {
        // The kernel does the same when the file is closed.
        if buffer.framebuffer != 0 {
            let _ = mode::rm_fb(self.file.as_fd(), buffer.framebuffer);
        }
        let _ = dumbbuffer::destroy(self.file.as_fd(), buffer.handle);
    }

    /// Sets the mode, with this buffer.
    fn show(&mut self, buffer: usize) -> io::Result<()> {
        let Output { connector, crtc, mode } = self.output;
        mode::set_crtc(self.file.as_fd(), crtc, self.buffers[buffer].framebuffer, 0, 0, &[connector], Some(mode)).map(drop)
    }

    /// Waits for the event that says that a turn is done. A driver that does not send it is not awaited for long.
    fn turned(&mut self) -> io::Result<()> {
        if poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&TURN)).is_ok_and(|ready| ready > 0) {
            // There is one event at least. Further ones wait for the next time.
            let mut events = [0; 1024];
            let _ = self.file.read(&mut events)?;
        }
        Ok(())
    }
}

impl Turn for Card {
    fn turn_to(&mut self, frame: usize) -> io::Result<()> {
        mode::page_flip(self.file.as_fd(), self.output.crtc, self.buffers[frame].framebuffer, DRM_MODE_PAGE_FLIP_EVENT, 0)?;
        self.turned()
    }

    fn wrote(&mut self, frame: usize, area: Rect) -> io::Result<()> {
        let [x1, y1, x2, y2] =
            [area.x, area.y, area.x + area.w, area.y + area.h].map(|side| u16::try_from(side).expect("a panel's side is below 4096"));
        match mode::dirty_fb(self.file.as_fd(), self.buffers[frame].framebuffer, &[drm_clip_rect { x1, y1, x2, y2 }]) {
            // If a driver's panel reads the buffer itself, the driver need not be told.
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
            result => result.map(drop),
        }
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let drm_mode_crtc { crtc_id, fb_id, x, y, mode_valid, mode, .. } = self.before;
        if mode_valid != 0 && fb_id != 0 {
            // The earlier buffer may be gone as well. The kernel's own console comes back by itself.
            let _ = mode::set_crtc(self.file.as_fd(), crtc_id, fb_id, x, y, &[self.output.connector], Some(mode));
        }
        for buffer in std::mem::take(&mut self.buffers) {
            self.give_back(&buffer);
        }
    }
}

/// A panel, and the parts that drive it.
#[derive(Clone, Copy)]
struct Output {
    connector: u32,
    crtc: u32,
    mode: drm_mode_modeinfo,
}

impl Output {
    /// The first connected panel with a mode and a part that drives it.
    fn find(file: &File) -> io::Result<Option<Self>> {
        let (mut crtcs, mut connectors) = (Vec::with_capacity(MANY), Vec::with_capacity(MANY));
        mode::get_resources(file.as_fd(), None, Some(&mut crtcs), Some(&mut connectors), None)?;
        for id in connectors {
            if let Some(output) = Self::of(file, id, &crtcs)? {
                return Ok(Some(output));
            }
        }
        Ok(None)
    }

    fn of(file: &File, id: u32, crtcs: &[u32]) -> io::Result<Option<Self>> {
        let (mut modes, mut encoders) = (Vec::with_capacity(MANY), Vec::with_capacity(MANY));
        // The kernel looks at the panel.
        let seen = mode::get_connector(file.as_fd(), id, None, None, Some(&mut modes), Some(&mut encoders), true)?;
        let Some(mode) = preferred(&modes).filter(|_| seen.connection == CONNECTED) else { return Ok(None) };
        let current = std::iter::once(seen.encoder_id).filter(|id| *id != 0);
        for encoder in current.chain(encoders) {
            if let Ok(encoder) = mode::get_encoder(file.as_fd(), encoder)
                && let Some(crtc) = driven_by(&encoder, crtcs)
            {
                return Ok(Some(Self { connector: id, crtc, mode }));
            }
        }
        Ok(None)
    }
}

fn preferred(modes: &[drm_mode_modeinfo]) -> Option<drm_mode_modeinfo> {
    modes.iter().find(|mode| mode.type_ & DRM_MODE_TYPE_PREFERRED != 0).or(modes.first()).copied()
}

/// The part that drives this encoder now, else the first one that could.
fn driven_by(encoder: &drm_mode_get_encoder, crtcs: &[u32]) -> Option<u32> {
    let possible = || crtcs.iter().enumerate().find(|(i, _)| *i < 32 && encoder.possible_crtcs & 1 << i != 0).map(|(_, id)| *id);
    Some(encoder.crtc_id).filter(|id| *id != 0).or_else(possible)
}

fn capability(file: &File, capability: u32) -> io::Result<u64> {
    Ok(drm_ffi::get_capability(file.as_fd(), capability.into())?.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_that_a_panel_prefers_is_taken_and_else_its_first() {
        let mode = |hdisplay, type_| drm_mode_modeinfo { hdisplay, type_, ..Default::default() };
        for (modes, wanted) in [
            (vec![], None),
            (vec![mode(1920, 0), mode(480, 0)], Some(1920)),
            (vec![mode(1920, 0), mode(480, 0x40 | DRM_MODE_TYPE_PREFERRED), mode(800, DRM_MODE_TYPE_PREFERRED)], Some(480)),
        ] {
            assert_eq!(preferred(&modes).map(|mode| mode.hdisplay), wanted);
        }
    }

    #[test]
    fn what_drives_an_encoder_stays_and_else_the_first_that_can_is_taken() {
        for (crtc_id, possible_crtcs, wanted) in
            [(7, 0b1, Some(7)), (0, 0b110, Some(41)), (0, 0b100, Some(42)), (0, 0, None), (0, 1 << 31, None)]
        {
            let encoder = drm_mode_get_encoder { crtc_id, possible_crtcs, ..Default::default() };
            assert_eq!(driven_by(&encoder, &[40, 41, 42]), wanted, "{crtc_id} {possible_crtcs:b}");
        }
    }

    #[test]
    fn what_is_no_display_is_told() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let told = Display::open(file.path()).err().expect("no display").to_string();
        assert!(told.contains("cannot ask it what it can show"), "{told}");
    }
}
