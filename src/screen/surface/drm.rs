//! A display without a framebuffer device: dumb buffers of `/dev/dri/card*`, set by the calls that every driver knows.

mod abi;

use super::fbdev::{ask, ask_nothing};
use super::frames::{Frame, Frames, Turn};
use super::pixels::Pixels;
use super::{Geometry, Node, Rect, Surface, SurfaceError, failed, map};
use abi::{
    ADD_FRAMEBUFFER, Area, CAP_DUMB_BUFFER, CAP_DUMB_PREFERRED_DEPTH, CONNECTED, CREATE_DUMB, Capability, Connector, CreateDumb, Crtc,
    DESTROY_DUMB, DIRTY, DISCONNECTED, Dirty, Encoder, Framebuffer, GET_CAP, GET_CONNECTOR, GET_CRTC, GET_ENCODER, GET_RESOURCES, MAP_DUMB,
    MODE_PREFERRED, MapDumb, Mode, PAGE_FLIP, PAGE_FLIP_EVENT, PageFlip, REMOVE_FRAMEBUFFER, Resources, SET_CRTC, SET_MASTER,
};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// So many displays, and modes of each, are looked at; a driver with more is asked for these alone.
const MANY: usize = 64;
/// For so many milliseconds a turn of the panel is waited for. Sixty of them take a second.
const TURN_MS: i32 = 100;

/// A display that shows buffers of ours.
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
        if capability(&file, CAP_DUMB_BUFFER).map_err(asking())? == 0 {
            return Err(asking()(io::ErrorKind::Unsupported.into()));
        }
        let output = Output::find(&file).map_err(asking())?.ok_or(SurfaceError::NotConnected { path: path.into() })?;
        ask_nothing(&file, SET_MASTER, 0).map_err(failed(path, "take it (does a desktop use it?)"))?;
        let narrow = capability(&file, CAP_DUMB_PREFERRED_DEPTH).is_ok_and(|depth| depth == 16);
        let mut before = Crtc { id: output.crtc, ..Crtc::default() };
        ask(&file, GET_CRTC, &mut before).map_err(asking())?;
        let (width, height) = (output.mode.width.into(), output.mode.height.into());
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
        // Without the memory for a second one, or a driver that cannot turn to it, one must do.
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
        let output = &self.driver.output;
        // With room for a mode the kernel answers with what it knows, and does not ask the panel, which takes long.
        let mut mode = Mode::default();
        let mut connector = Connector { id: output.connector, modes: address(&mut mode), count_modes: 1, ..Connector::default() };
        ask(&self.driver.file, GET_CONNECTOR, &mut connector).map_err(asking())?;
        if connector.connection == DISCONNECTED {
            return Err(SurfaceError::NotConnected { path: self.path.clone() });
        }
        let mut crtc = Crtc { id: output.crtc, ..Crtc::default() };
        ask(&self.driver.file, GET_CRTC, &mut crtc).map_err(asking())?;
        let ours = self.driver.buffers.get(self.frames.shown()).is_some_and(|buffer| buffer.framebuffer == crtc.framebuffer);
        if ours && node == self.node { Ok(()) } else { Err(SurfaceError::Changed { path: self.path.clone() }) }
    }
}

/// The device, and what was made of it.
struct Card {
    file: File,
    output: Output,
    /// What was shown before.
    before: Crtc,
    buffers: Vec<Buffer>,
}

/// A buffer that can be shown.
struct Buffer {
    handle: u32,
    framebuffer: u32,
}

impl Card {
    /// Makes one, and maps it.
    fn buffer(&mut self, geometry: Geometry, pixels: Pixels) -> io::Result<Frame> {
        let Geometry { width, height, .. } = geometry;
        let mut dumb = CreateDumb { width, height, bits: pixels.bits, ..CreateDumb::default() };
        ask(&self.file, CREATE_DUMB, &mut dumb)?;
        let depth = if pixels.bits == 16 { 16 } else { 24 };
        let mut added =
            Framebuffer { width, height, pitch: dumb.pitch, bits: pixels.bits, depth, handle: dumb.handle, ..Framebuffer::default() };
        let mut mapped = MapDumb { handle: dumb.handle, ..MapDumb::default() };
        let length = dumb.pitch as usize * height as usize;
        let memory = ask(&self.file, ADD_FRAMEBUFFER, &mut added)
            .and_then(|()| ask(&self.file, MAP_DUMB, &mut mapped))
            .and_then(|()| if dumb.size < length as u64 { Err(io::ErrorKind::InvalidData.into()) } else { Ok(()) })
            .and_then(|()| map(&self.file, mapped.offset, length));
        // Also of one that cannot be used the driver keeps the memory until it is told.
        let buffer = Buffer { handle: dumb.handle, framebuffer: added.id };
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
            let _ = ask(&self.file, REMOVE_FRAMEBUFFER, &mut { buffer.framebuffer });
        }
        let _ = ask(&self.file, DESTROY_DUMB, &mut { buffer.handle });
    }

    /// Sets the mode, with this buffer.
    fn show(&mut self, buffer: usize) -> io::Result<()> {
        let mut connector = self.output.connector;
        let mut crtc = Crtc {
            connectors: address(&mut connector),
            count_connectors: 1,
            id: self.output.crtc,
            framebuffer: self.buffers[buffer].framebuffer,
            mode_valid: 1,
            mode: self.output.mode,
            ..Crtc::default()
        };
        ask(&self.file, SET_CRTC, &mut crtc)
    }

    /// Waits for the word that a turn is done. A driver that has none to say is not waited for long.
    fn turned(&mut self) -> io::Result<()> {
        let mut poll = libc::pollfd { fd: self.file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        #[allow(unsafe_code, reason = "poll has no safe form; it is given one structure of its own and its count")]
        // SAFETY: the structure lives through the call, and there is one.
        let ready = unsafe { libc::poll(&raw mut poll, 1, TURN_MS) };
        if ready > 0 {
            // One event at least; what else is there waits for the next time.
            let mut events = [0; 1024];
            let _ = self.file.read(&mut events)?;
        }
        Ok(())
    }
}

impl Turn for Card {
    fn turn_to(&mut self, frame: usize) -> io::Result<()> {
        let framebuffer = self.buffers[frame].framebuffer;
        let mut flip = PageFlip { crtc: self.output.crtc, framebuffer, flags: PAGE_FLIP_EVENT, ..PageFlip::default() };
        ask(&self.file, PAGE_FLIP, &mut flip)?;
        self.turned()
    }

    fn wrote(&mut self, frame: usize, area: Rect) -> io::Result<()> {
        let [x1, y1, x2, y2] =
            [area.x, area.y, area.x + area.w, area.y + area.h].map(|side| u16::try_from(side).expect("a panel's side is below 4096"));
        let mut area = Area { x1, y1, x2, y2 };
        let mut dirty = Dirty { framebuffer: self.buffers[frame].framebuffer, count: 1, areas: address(&mut area), ..Dirty::default() };
        match ask(&self.file, DIRTY, &mut dirty) {
            // A driver whose panel reads the buffer itself need not be told.
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
            result => result,
        }
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        if self.before.mode_valid != 0 && self.before.framebuffer != 0 {
            let mut connector = self.output.connector;
            let mut before = Crtc { connectors: address(&mut connector), count_connectors: 1, ..self.before };
            // What was shown may be gone as well; the kernel's own console comes back by itself.
            let _ = ask(&self.file, SET_CRTC, &mut before);
        }
        for buffer in std::mem::take(&mut self.buffers) {
            self.give_back(&buffer);
        }
    }
}

/// A panel and what drives it.
#[derive(Clone, Copy)]
struct Output {
    connector: u32,
    crtc: u32,
    mode: Mode,
}

impl Output {
    /// The first panel that is connected and has a mode and something to drive it.
    fn find(file: &File) -> io::Result<Option<Self>> {
        let mut counted = Resources::default();
        ask(file, GET_RESOURCES, &mut counted)?;
        let (mut crtcs, mut connectors) = (room(counted.count_crtcs), room(counted.count_connectors));
        let mut listed = Resources { count_crtcs: counted.count_crtcs, count_connectors: counted.count_connectors, ..Resources::default() };
        (listed.crtcs, listed.connectors) = (first(&mut crtcs), first(&mut connectors));
        if crtcs.len() != counted.count_crtcs as usize || connectors.len() != counted.count_connectors as usize {
            return Ok(None);
        }
        ask(file, GET_RESOURCES, &mut listed)?;
        for id in connectors {
            if let Some(output) = Self::of(file, id, &crtcs)? {
                return Ok(Some(output));
            }
        }
        Ok(None)
    }

    fn of(file: &File, id: u32, crtcs: &[u32]) -> io::Result<Option<Self>> {
        // Asked without room for modes, the kernel looks at the panel.
        let mut seen = Connector { id, ..Connector::default() };
        ask(file, GET_CONNECTOR, &mut seen)?;
        if seen.connection != CONNECTED || seen.count_modes == 0 || seen.count_modes as usize > MANY || seen.count_encoders as usize > MANY
        {
            return Ok(None);
        }
        let mut modes = vec![Mode::default(); seen.count_modes as usize];
        let mut encoders = room(seen.count_encoders);
        let mut listed = Connector { id, count_modes: seen.count_modes, count_encoders: seen.count_encoders, ..Connector::default() };
        (listed.modes, listed.encoders) = (first(&mut modes), first(&mut encoders));
        ask(file, GET_CONNECTOR, &mut listed)?;
        // A panel that changed in between is looked at again when it is next tried.
        modes.truncate(listed.count_modes as usize);
        let Some(mode) = preferred(&modes) else { return Ok(None) };
        let current = std::iter::once(listed.encoder).filter(|id| *id != 0);
        for id in current.chain(encoders) {
            let mut encoder = Encoder { id, ..Encoder::default() };
            if ask(file, GET_ENCODER, &mut encoder).is_ok()
                && let Some(crtc) = driven_by(&encoder, crtcs)
            {
                return Ok(Some(Self { connector: listed.id, crtc, mode }));
            }
        }
        Ok(None)
    }
}

/// The mode that the panel prefers, else its first.
fn preferred(modes: &[Mode]) -> Option<Mode> {
    modes.iter().find(|mode| mode.kind & MODE_PREFERRED != 0).or(modes.first()).copied()
}

/// What drives this encoder now, else the first that could.
fn driven_by(encoder: &Encoder, crtcs: &[u32]) -> Option<u32> {
    let possible = || crtcs.iter().enumerate().find(|(i, _)| *i < 32 && encoder.possible_crtcs & 1 << i != 0).map(|(_, id)| *id);
    Some(encoder.crtc).filter(|id| *id != 0).or_else(possible)
}

fn capability(file: &File, capability: u64) -> io::Result<u64> {
    let mut answer = Capability { capability, value: 0 };
    ask(file, GET_CAP, &mut answer)?;
    Ok(answer.value)
}

/// Room for so many numbers, within reason.
fn room(count: u32) -> Vec<u32> {
    vec![0; (count as usize).min(MANY)]
}

/// Where the kernel is to write, or read.
fn address<T>(thing: &mut T) -> u64 {
    std::ptr::from_mut(thing).addr() as u64
}

/// Where the kernel is to write a list.
fn first<T>(list: &mut [T]) -> u64 {
    list.as_mut_ptr().addr() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_that_a_panel_prefers_is_taken_and_else_its_first() {
        let mode = |width, kind| Mode { width, kind, ..Mode::default() };
        for (modes, wanted) in [
            (vec![], None),
            (vec![mode(1920, 0), mode(480, 0)], Some(1920)),
            (vec![mode(1920, 0), mode(480, 0x40 | MODE_PREFERRED), mode(800, MODE_PREFERRED)], Some(480)),
        ] {
            assert_eq!(preferred(&modes).map(|mode| mode.width), wanted);
        }
    }

    #[test]
    fn what_drives_an_encoder_stays_and_else_the_first_that_can_is_taken() {
        for (crtc, possible_crtcs, wanted) in
            [(7, 0b1, Some(7)), (0, 0b110, Some(41)), (0, 0b100, Some(42)), (0, 0, None), (0, 1 << 31, None)]
        {
            let encoder = Encoder { crtc, possible_crtcs, ..Encoder::default() };
            assert_eq!(driven_by(&encoder, &[40, 41, 42]), wanted, "{crtc} {possible_crtcs:b}");
        }
    }

    #[test]
    fn what_is_no_display_is_told() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let told = Display::open(file.path()).err().expect("no display").to_string();
        assert!(told.contains("cannot ask it what it can show"), "{told}");
    }
}
