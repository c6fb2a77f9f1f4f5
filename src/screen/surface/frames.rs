//! Memory that a driver shows: one picture, or two of which one is shown while the other is drawn.

use super::pixels::Pixels;
use super::{Geometry, Rect};
use memmap2::MmapMut;
use std::io;

/// One picture in a driver's memory.
pub(super) struct Frame {
    pub(super) memory: MmapMut,
    /// Bytes before its first pixel.
    pub(super) start: usize,
    /// Bytes from one row to the next.
    pub(super) stride: usize,
}

/// What makes a driver show what was written.
pub(super) trait Turn {
    /// Shows this frame from now on, and returns when the other is not shown any more.
    fn turn_to(&mut self, frame: usize) -> io::Result<()>;

    /// A part of the frame that is shown was written.
    fn wrote(&mut self, frame: usize, area: Rect) -> io::Result<()>;
}

/// The frames of a panel, all with the same picture but while one is turned to.
///
/// What is small is written where it is seen; whole rows to the frame that is not, which is then turned to. Both are
/// always brought up to date at once: reading a panel's memory back to do it later can take a hundred times as long.
pub(super) struct Frames {
    pub(super) geometry: Geometry,
    pub(super) pixels: Pixels,
    frames: Vec<Frame>,
    shown: usize,
    /// A row in the driver's format, where that is not the one that is drawn.
    scratch: Vec<u8>,
}

impl Frames {
    /// Of frames with room for the whole picture each.
    pub(super) fn new(geometry: Geometry, pixels: Pixels, frames: Vec<Frame>, shown: usize) -> Self {
        Self { geometry, pixels, frames, shown, scratch: Vec::new() }
    }

    /// Whether there is a frame to turn to.
    pub(super) fn turns(&self) -> bool {
        self.frames.len() > 1
    }

    /// The frame that is shown.
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
            // Offered and then refused: it is not asked again.
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
            // Rows that look alike are the same bytes.
            if !made.is_some_and(|made| std::ptr::eq(made, *row)) {
                self.scratch.resize(row.len() / self.geometry.format.bytes() * self.pixels.bytes(), 0);
                self.pixels.lay_out(row, &mut self.scratch);
                made = Some(row);
            }
            memory[start + i * *stride..][..self.scratch.len()].copy_from_slice(&self.scratch);
        }
    }
}
