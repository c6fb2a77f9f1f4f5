//! Pixels in the panel's own format: marks drawn into a part of a page.

use super::{Colour, Mark, MarkKind, Rect};
use crate::fonts::{Fonts, Style};
use crate::geometry::Rotation;
use crate::logo::Logo;
use crate::qr::{Code, QUIET_ZONE};

/// A part of a page, as pixels in the panel's format, each of `N` bytes.
pub(super) struct Canvas<const N: usize> {
    pub(super) area: Rect,
    pub(super) pixels: Vec<[u8; N]>,
    /// The last mix of each coverage: a text's colour and ground are the same all along.
    mixes: [Mix<N>; 256],
}

/// The result of laying a colour over a pixel.
#[derive(Clone, Copy)]
struct Mix<const N: usize> {
    below: [u8; N],
    above: Colour,
    pixel: [u8; N],
}

impl<const N: usize> Canvas<N> {
    pub(super) const fn new() -> Self {
        // Black over black is black.
        Self { area: Rect::new(0, 0, 0, 0), pixels: Vec::new(), mixes: [Mix { below: [0; N], above: 0, pixel: [0; N] }; 256] }
    }

    /// Draws the part of the page that lies at `on_panel`, and appends its bytes in the panel's order.
    pub(super) fn draw(&mut self, page: &[Mark], fonts: &mut Fonts, on_page: Rect, rotation: Rotation, on_panel: Rect, out: &mut Vec<u8>) {
        self.begin(on_page, page);
        for mark in page {
            self.add(mark, fonts);
        }
        self.copy_turned(rotation, on_panel, out);
    }

    /// Takes another part of a page. It is black, unless the page's ground covers it anyway.
    fn begin(&mut self, area: Rect, page: &[Mark]) {
        self.area = area;
        self.pixels.resize(area.pixels(), [0; N]);
        let is_ground = |mark: &Mark| matches!(mark.kind, MarkKind::Fill { radius: 0, .. }) && mark.area.common(area) == Some(area);
        if !page.first().is_some_and(is_ground) {
            self.pixels.fill([0; N]);
        }
    }

    fn add(&mut self, mark: &Mark, fonts: &mut Fonts) {
        let Some(part) = mark.area.common(self.area) else { return };
        match &mark.kind {
            MarkKind::Fill { colour, radius } => self.fill(mark.area, part, *colour, *radius),
            MarkKind::Text { text, style, colour, x } => self.text(mark.area, part, fonts, *style, text, *x, *colour),
            MarkKind::Sign { sign, disc, stroke } => self.sign(mark.area, part, *sign, *disc, *stroke),
            MarkKind::Qr(code) => self.qr(mark.area, part, code),
            MarkKind::Picture(logo) => self.picture(mark.area, part, logo),
        }
    }

    /// The pixels of `x..x + w` in row `y`. They lie within this part.
    #[inline]
    pub(super) fn row(&mut self, x: i32, y: i32, w: i32) -> &mut [[u8; N]] {
        let start = ((y - self.area.y) * self.area.w + (x - self.area.x)) as usize;
        &mut self.pixels[start..start + w as usize]
    }

    fn fill(&mut self, area: Rect, part: Rect, colour: Colour, radius: i32) {
        for y in part.y..part.y + part.h {
            // How deep this row lies in a rounded corner. This gives how many pixels of each end are not plain.
            let depth = (radius - (y - area.y)).max(radius - (area.y + area.h - 1 - y)).max(0);
            let inset = if depth > 0 { radius } else { 0 };
            if let Some(plain) = Rect::new(area.x + inset, y, area.w - 2 * inset, 1).common(part) {
                flood(self.row(plain.x, y, plain.w), packed(colour));
            }
            for i in 0..inset {
                let (across, down) = ((radius - i) as f32 - 0.5, depth as f32 - 0.5);
                let coverage = ((radius as f32 - length(across, down) + 0.5).clamp(0.0, 1.0) * 255.0) as u32;
                for x in [area.x + i, area.x + area.w - 1 - i] {
                    if (part.x..part.x + part.w).contains(&x) {
                        let pixel = &mut self.row(x, y, 1)[0];
                        *pixel = over(*pixel, colour, coverage);
                    }
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one kind of mark, taken apart")]
    fn text(&mut self, area: Rect, part: Rect, fonts: &mut Fonts, style: Style, text: &str, x: i32, colour: Colour) {
        let (baseline, full) = (area.y + style.baseline(), packed(colour));
        fonts.letters(style, text, |pen, raster| {
            let Some(height) = raster.coverage.len().checked_div(raster.width) else { return };
            let letter = Rect::new(x + pen + raster.left, baseline + raster.top, raster.width as i32, height as i32);
            let Some(seen) = letter.common(part) else { return };
            for y in seen.y..seen.y + seen.h {
                let from = (y - letter.y) as usize * raster.width + (seen.x - letter.x) as usize;
                let coverage = &raster.coverage[from..from + seen.w as usize];
                let start = ((y - self.area.y) * self.area.w + (seen.x - self.area.x)) as usize;
                for (pixel, &coverage) in self.pixels[start..].iter_mut().zip(coverage) {
                    // Most pixels of a letter are covered wholly or not at all.
                    match coverage {
                        0 => {}
                        255 => *pixel = full,
                        _ => {
                            let mix = &mut self.mixes[usize::from(coverage)];
                            if mix.below != *pixel || mix.above != colour {
                                *mix = Mix { below: *pixel, above: colour, pixel: over(*pixel, colour, u32::from(coverage)) };
                            }
                            *pixel = mix.pixel;
                        }
                    }
                }
            }
        });
    }

    fn qr(&mut self, area: Rect, part: Rect, code: &Code) {
        const WHITE: Colour = 0xff_ffff;
        const BLACK: Colour = 0;
        for y in part.y..part.y + part.h {
            flood(self.row(part.x, y, part.w), packed(WHITE));
        }
        let module = code.module_px() as i32;
        let quiet = QUIET_ZONE as i32 * module;
        for (row, dark) in code.rows().enumerate() {
            let Some(band) = Rect::new(area.x, area.y + quiet + row as i32 * module, area.w, module).common(part) else { continue };
            for y in band.y..band.y + band.h {
                for (column, _) in dark.iter().enumerate().filter(|(_, dark)| **dark) {
                    let square = Rect::new(area.x + quiet + column as i32 * module, y, module, 1);
                    if let Some(seen) = square.common(band) {
                        self.row(seen.x, y, seen.w).fill(packed(BLACK));
                    }
                }
            }
        }
    }

    fn picture(&mut self, area: Rect, part: Rect, logo: &Logo) {
        for y in part.y..part.y + part.h {
            let from = (part.x - area.x) as usize;
            let colours = &logo.row((y - area.y).unsigned_abs())[from..from + part.w as usize];
            for (pixel, [red, green, blue, alpha]) in self.row(part.x, y, part.w).iter_mut().zip(colours) {
                *pixel = over(*pixel, u32::from_be_bytes([0, *red, *green, *blue]), u32::from(*alpha));
            }
        }
    }

    fn copy_turned(&self, rotation: Rotation, on_panel: Rect, out: &mut Vec<u8>) {
        let (w, h) = (self.area.w as isize, self.area.h as isize);
        // The places in `self.pixels` of the panel's first pixel here, of one step right and of one step down.
        let (first, right, down) = match rotation {
            Rotation::None => return out.extend_from_slice(self.pixels.as_flattened()),
            Rotation::Quarter => ((h - 1) * w, -w, 1),
            Rotation::Half => (h * w - 1, -1, -w),
            Rotation::ThreeQuarters => (w - 1, w, -1),
        };
        for y in 0..on_panel.h as isize {
            let start = first + y * down;
            (0..on_panel.w as isize).for_each(|x| out.extend_from_slice(&self.pixels[(start + x * right) as usize]));
        }
    }
}

/// Fills a row with doubled copies of its beginning. The C library does this sixteen pixels at a time.
pub(super) fn flood<const N: usize>(row: &mut [[u8; N]], pixel: [u8; N]) {
    let mut done = row.len().min(8);
    row[..done].fill(pixel);
    while done < row.len() {
        let more = done.min(row.len() - done);
        row.copy_within(..more, done);
        done += more;
    }
}

/// A colour in the panel's format: two bytes of RGB565, or four of XRGB8888.
#[inline]
pub(super) fn packed<const N: usize>(colour: Colour) -> [u8; N] {
    let narrow = ((colour >> 8) & 0xf800) | ((colour >> 5) & 0x07e0) | ((colour >> 3) & 0x001f);
    let bytes = if N == 2 { narrow } else { colour }.to_le_bytes();
    std::array::from_fn(|i| bytes[i])
}

/// The colour that a pixel of this panel shows.
#[inline]
fn unpacked<const N: usize>(pixel: [u8; N]) -> Colour {
    let value = (0..).zip(pixel).fold(0, |value, (i, byte)| value | u32::from(byte) << (8 * i));
    if N != 2 {
        return value;
    }
    // The high bits fill the missing low bits: white stays white.
    let (red, green, blue) = (value >> 11 & 0x1f, value >> 5 & 0x3f, value & 0x1f);
    (red << 3 | red >> 2) << 16 | (green << 2 | green >> 4) << 8 | (blue << 3 | blue >> 2)
}

/// `colour` laid over a pixel. `coverage` of 255 is all of it.
#[inline]
pub(super) fn over<const N: usize>(pixel: [u8; N], colour: Colour, coverage: u32) -> [u8; N] {
    match coverage {
        0 => pixel,
        255 => packed(colour),
        _ => packed(blended(unpacked(pixel), colour, coverage)),
    }
}

/// Each channel mixed and rounded, red and blue in one go.
#[inline]
fn blended(below: Colour, above: Colour, coverage: u32) -> Colour {
    const LANES: u32 = 0x00ff_00ff;
    let mix = |below: u32, above: u32| {
        let sum = below * (255 - coverage) + above * coverage + 0x0080_0080;
        // It divides by 255, exactly.
        (sum + (sum >> 8 & LANES)) >> 8 & LANES
    };
    mix(below & LANES, above & LANES) | mix(below >> 8 & 0xff, above >> 8 & 0xff) << 8
}

/// The length of a vector. `hypot` guards against numbers far larger than any panel's, and took a tenth of a picture's time.
pub(super) fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_keep_their_channels() {
        for (colour, packed) in [(0xff_0000, 0xf800_u16), (0x00_ff00, 0x07e0), (0x00_00ff, 0x001f), (0xff_ffff, 0xffff), (0x07_0307, 0)] {
            assert_eq!(super::packed::<2>(colour), packed.to_le_bytes(), "{colour:06x}");
            assert_eq!(super::packed::<2>(unpacked(packed.to_le_bytes())), packed.to_le_bytes(), "{colour:06x}");
            assert_eq!(unpacked(super::packed::<4>(colour)), colour);
        }
        assert_eq!(unpacked([0xff, 0xff]), 0xff_ffff);
        assert_eq!(blended(0x00_ff10, 0xff_0010, 128), 0x80_7f10);
        for (below, above, coverage) in (0..=255).flat_map(|below| [0, 1, 127, 200, 255].map(|above| (below, above, 255 - below / 2))) {
            let wanted = (below * (255 - coverage) + above * coverage + 127) / 255;
            assert_eq!(blended(below * 0x01_0101, above * 0x01_0101, coverage), wanted * 0x01_0101, "{below} {above} {coverage}");
        }
    }
}
