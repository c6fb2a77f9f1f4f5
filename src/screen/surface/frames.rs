//! Memory that a driver shows: one picture, or two. Of two, one is shown while the other is drawn.

use super::pixels::Pixels;
use super::{Geometry, Rect};
use memmap2::MmapMut;
use std::io;

pub(super) struct Frame {
    pub(super) memory: MmapMut,
    /// Bytes before its first pixel.
    pub(super) start: usize,
    /// Bytes from one row to the next.
    pub(super) stride: usize,
}

/// The way to make a driver show the written frame.
pub(super) trait Turn {
    /// Shows this frame from now on, and returns when the other is not shown any more.
    fn turn_to(&mut self, frame: usize) -> io::Result<()>;

    /// A part of the shown frame was written.
    fn wrote(&mut self, frame: usize, area: Rect) -> io::Result<()>;
}

/// The frames of a panel. All have the same picture, except while the panel turns to one.
///
/// A small change is written to the shown frame. Whole rows are written to the hidden frame, and then the panel
/// turns to it. The other frame is brought up to date at once. To do it later would mean reading a panel's memory
/// back, and that can take a hundred times as long.
pub(super) struct Frames {
    pub(super) geometry: Geometry,
    pub(super) pixels: Pixels,
    frames: Vec<Frame>,
    shown: usize,
    /// A row in the driver's format, if the drawn format is another one.
    scratch: Vec<u8>,
}

impl Frames {
    /// Makes them of frames that each have room for the whole picture.
    pub(super) fn new(geometry: Geometry, pixels: Pixels, frames: Vec<Frame>, shown: usize) -> Self {
        Self { geometry, pixels, frames, shown, scratch: Vec::new() }
    }

    pub(super) fn turns(&self) -> bool {
        self.frames.len() > 1
    }

    pub(super) fn shown(&self) -> usize {
        self.shown
    }

    pub(super) fn put(&mut self, driver: &mut impl Turn, area: Rect, pixels: &[u8]) -> io::Result<()> {
        let rows: Vec<&[u8]> = pixels.chunks_exact(area.w as usize * self.geometry.format.bytes()).collect();
        for frame in 0..self.frames.len() {
            self.write(frame, area.x, area.y, &rows);
        }
        driver.wrote(self.shown, area)
    }

    pub(super) fn put_rows(&mut self, driver: &mut impl Turn, first: i32, rows: &[&[u8]]) -> io::Result<()> {
        let before = self.shown;
        if self.turns() {
            let hidden = 1 - before;
            self.write(hidden, 0, first, rows);
            if driver.turn_to(hidden).is_ok() {
                self.shown = hidden;
                self.write(before, 0, first, rows);
                return Ok(());
            }
            // The driver offered it and then refused. It is not asked again.
            let shown = self.frames.swap_remove(before);
            self.frames = vec![shown];
            self.shown = 0;
        }
        self.write(self.shown, 0, first, rows);
        driver.wrote(before, Rect::new(0, first, self.geometry.width as i32, rows.len() as i32))
    }

    fn write(&mut self, frame: usize, x: i32, y: i32, rows: &[&[u8]]) {
        let Frame { memory, start, stride } = &mut self.frames[frame];
        let start = *start + y as usize * *stride + x as usize * self.pixels.bytes();
        if self.pixels.as_drawn() {
            for (i, row) in rows.iter().enumerate() {
                memory[start + i * *stride..][..row.len()].copy_from_slice(row);
            }
            return;
        }
        let mut made: Option<&[u8]> = None;
        for (i, row) in rows.iter().enumerate() {
            // Rows that look alike are the same bytes in memory.
            if !made.is_some_and(|made| std::ptr::eq(made, *row)) {
                self.scratch.resize(row.len() / self.geometry.format.bytes() * self.pixels.bytes(), 0);
                self.pixels.lay_out(row, &mut self.scratch);
                made = Some(row);
            }
            memory[start + i * *stride..][..self.scratch.len()].copy_from_slice(&self.scratch);
        }
    }
}
