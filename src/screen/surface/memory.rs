//! Memory of the program's own, for pictures that no panel shows.

use super::{Geometry, Rect, Surface, SurfaceError};

/// Rows without padding.
pub(super) struct Memory {
    bytes: Vec<u8>,
    geometry: Geometry,
}

impl Memory {
    pub(super) fn new(geometry: Geometry) -> Self {
        Self { bytes: vec![0; geometry.row() * geometry.height as usize], geometry }
    }
}

impl Surface for Memory {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn put(&mut self, area: Rect, pixels: &[u8]) -> Result<(), SurfaceError> {
        self.geometry.put(&mut self.bytes, area, pixels);
        Ok(())
    }

    fn put_rows(&mut self, first: i32, rows: &[&[u8]]) -> Result<(), SurfaceError> {
        self.geometry.put_rows(&mut self.bytes, first, rows);
        Ok(())
    }

    fn check(&self) -> Result<(), SurfaceError> {
        Ok(())
    }
}

impl Geometry {
    /// Replaces the pixels of `area` in a picture whose rows have no padding.
    pub(super) fn put(self, picture: &mut [u8], area: Rect, pixels: &[u8]) {
        let (row, bytes) = (self.row(), area.w as usize * self.format.bytes());
        let start = area.y as usize * row + area.x as usize * self.format.bytes();
        for (y, pixels) in pixels.chunks_exact(bytes).enumerate() {
            picture[start + y * row..][..bytes].copy_from_slice(pixels);
        }
    }

    /// Replaces whole rows of such a picture.
    pub(super) fn put_rows(self, picture: &mut [u8], first: i32, rows: &[&[u8]]) {
        let row = self.row();
        for (place, pixels) in picture[first as usize * row..].chunks_exact_mut(row).zip(rows) {
            place.copy_from_slice(pixels);
        }
    }
}
