//! What a phone's camera sees: the QR in the pixels of the virtual framebuffer.

use super::watched;
use std::cell::RefCell;
use std::path::PathBuf;

/// A virtual framebuffer of `rgb565` pixels.
pub struct Screen {
    pub path: PathBuf,
    pub width: usize,
    pub height: usize,
    /// The picture that was read last, and what was in it: reading one takes a while.
    last: RefCell<(Vec<u8>, Vec<String>)>,
}

impl Screen {
    pub fn new(path: PathBuf, width: usize, height: usize) -> Self {
        Self { path, width, height, last: RefCell::default() }
    }

    /// The payload of the QRIS code that is shown; `None` without one, or while it is being drawn. The code of a page is
    /// nothing that a payment app pays.
    pub fn payload(&self) -> Option<String> {
        self.codes().into_iter().find(|code| code.starts_with("000201"))
    }

    /// What stands in all codes that are shown.
    pub fn codes(&self) -> Vec<String> {
        let Ok(pixels) = std::fs::read(&self.path) else { return Vec::new() };
        let mut last = self.last.borrow_mut();
        if last.0 != pixels {
            let codes = self.decode(&pixels);
            *last = (pixels, codes);
        }
        last.1.clone()
    }

    pub fn wait_payload(&self) -> String {
        watched::until(&self.path, "a QR on the screen", || self.payload())
    }

    /// Waits until there is no QR on the screen.
    pub fn wait_no_payload(&self) {
        watched::until(&self.path, "a screen without a QR", || self.payload().is_none().then_some(()));
    }

    fn decode(&self, pixels: &[u8]) -> Vec<String> {
        if pixels.len() < self.width * self.height * 2 {
            return Vec::new();
        }
        let grey = |x: usize, y: usize| {
            let at = (y * self.width + x) * 2;
            let pixel = u16::from_le_bytes([pixels[at], pixels[at + 1]]);
            let (red, green, blue) = ((pixel >> 11) & 31, (pixel >> 5) & 63, pixel & 31);
            u8::try_from(red * 2 + green * 2 + blue * 2).map_or(u8::MAX, |grey| grey)
        };
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(self.width, self.height, grey);
        let grids = image.detect_grids();
        grids.iter().filter_map(|grid| grid.decode().ok()).map(|(_, text)| text).collect()
    }
}

/// The code that stands on a terminal in half blocks, black on white, once all its rows are there. It is read as a camera would: four
/// pixels a module, two rows a line.
pub fn code_in_blocks(lines: &[impl AsRef<str>]) -> Option<String> {
    let row = |line: &str| Some(line.strip_prefix("\u{1b}[30;107m")?.strip_suffix("\u{1b}[0m")?.chars().collect());
    let rows: Vec<Vec<char>> = lines.iter().filter_map(|line| row(line.as_ref())).collect();
    let width = rows.first()?.len();
    if rows.len() < width.div_ceil(2) {
        return None;
    }
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width * 4, rows.len() * 8, |x, y| {
        let (upper, lower) = match rows[y / 8][x / 4] {
            '█' => (0, 0),
            '▀' => (0, 255),
            '▄' => (255, 0),
            _ => (255, 255),
        };
        if y % 8 < 4 { upper } else { lower }
    });
    image.detect_grids().first()?.decode().ok().map(|(_, text)| text)
}
