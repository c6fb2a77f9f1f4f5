//! The operator's logo. It is read once from a PNG, kept no larger than any header, and scaled to the page.

use png::{ColorType, Decoder, Limits, Transformations};
use std::io::Cursor;

/// The largest file that is read, in bytes.
pub const FILE_MAX: usize = 512 * 1024;
/// The most pixels of a side.
const SIDE_MAX: u32 = 2048;
/// The most memory for decoding, in bytes: so many pixels with four channels of 16 bits.
const MEMORY_MAX: usize = 34 * 1024 * 1024;
/// No header is higher, and no header gives a logo a wider room, in pixels.
const KEPT: (u32, u32) = (480, 144);

/// A picture with a see-through ground.
#[derive(Clone, PartialEq, Eq)]
pub struct Logo {
    width: u32,
    height: u32,
    /// Red, green, blue, and how much of it covers what lies below.
    pixels: Box<[[u8; 4]]>,
}

impl std::fmt::Debug for Logo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Logo({}×{})", self.width, self.height)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LogoError {
    #[error("has more than {} KiB", FILE_MAX / 1024)]
    File,
    #[error("is no PNG that can be read: {0}")]
    Png(#[from] png::DecodingError),
    #[error("is {0}×{1} pixels; at most {SIDE_MAX} a side can be used")]
    Size(u32, u32),
}

impl Logo {
    pub fn read(file: &[u8]) -> Result<Self, LogoError> {
        if file.len() > FILE_MAX {
            return Err(LogoError::File);
        }
        let mut decoder = Decoder::new_with_limits(Cursor::new(file), Limits { bytes: MEMORY_MAX });
        decoder.set_transformations(Transformations::normalize_to_color8());
        let (width, height) = decoder.read_header_info().map(|info| (info.width, info.height))?;
        if width > SIDE_MAX || height > SIDE_MAX {
            return Err(LogoError::Size(width, height));
        }
        let mut reader = decoder.read_info()?;
        let mut bytes = vec![0; reader.output_buffer_size().ok_or(LogoError::Size(width, height))?];
        let frame = reader.next_frame(&mut bytes)?;
        let pixels = bytes[..frame.buffer_size()].chunks_exact(frame.color_type.samples()).map(|p| match frame.color_type {
            ColorType::Grayscale | ColorType::Indexed => [p[0], p[0], p[0], 255],
            ColorType::GrayscaleAlpha => [p[0], p[0], p[0], p[1]],
            ColorType::Rgb => [p[0], p[1], p[2], 255],
            ColorType::Rgba => [p[0], p[1], p[2], p[3]],
        });
        Ok(Self { width, height, pixels: pixels.collect() }.within(KEPT.0, KEPT.1))
    }

    /// Its width and height, in pixels.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    pub(super) fn row(&self, y: u32) -> &[[u8; 4]] {
        &self.pixels[(y * self.width) as usize..][..self.width as usize]
    }

    /// The logo, as large as it fits into this room with the same proportions, but not enlarged.
    #[must_use]
    pub fn within(&self, room_w: u32, room_h: u32) -> Self {
        let scale = (f64::from(room_w) / f64::from(self.width)).min(f64::from(room_h) / f64::from(self.height));
        if scale >= 1.0 {
            return self.clone();
        }
        let side = |side: u32| ((f64::from(side) * scale) as u32).max(1);
        let (width, height) = (side(self.width), side(self.height));
        let mut pixels = Vec::with_capacity((width * height) as usize);
        for y in 0..height {
            let rows = span(y, height, self.height);
            for x in 0..width {
                pixels.push(self.mean(span(x, width, self.width), rows.clone()));
            }
        }
        Self { width, height, pixels: pixels.into() }
    }

    /// The mean colour of a part. A see-through pixel has no colour to give.
    fn mean(&self, columns: std::ops::Range<u32>, rows: std::ops::Range<u32>) -> [u8; 4] {
        let count = u64::from(columns.end - columns.start) * u64::from(rows.end - rows.start);
        let mut sum = [0_u64; 4];
        for y in rows {
            for pixel in &self.row(y)[columns.start as usize..columns.end as usize] {
                let alpha = u64::from(pixel[3]);
                for (sum, value) in sum.iter_mut().zip([pixel[0], pixel[1], pixel[2]]) {
                    *sum += u64::from(value) * alpha;
                }
                sum[3] += alpha;
            }
        }
        let [red, green, blue, alpha] = sum;
        let colour = |sum: u64| (sum / alpha.max(1)) as u8;
        [colour(red), colour(green), colour(blue), (alpha / count) as u8]
    }
}

/// The pixels of the whole picture that one pixel of the smaller picture stands for: at least one.
fn span(at: u32, small: u32, whole: u32) -> std::ops::Range<u32> {
    let edge = |at: u32| (u64::from(at) * u64::from(whole) / u64::from(small)) as u32;
    edge(at)..edge(at + 1).max(edge(at) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(width: u32, height: u32, color: ColorType, bytes: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(color);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header().expect("a header").write_image_data(bytes).expect("pixels");
        file
    }

    #[test]
    fn a_logo_of_grey_or_colour_is_read_with_what_is_see_through() {
        for (color, bytes, wanted) in [
            (ColorType::Grayscale, &[7][..], [7, 7, 7, 255]),
            (ColorType::GrayscaleAlpha, &[7, 8], [7, 7, 7, 8]),
            (ColorType::Rgb, &[1, 2, 3], [1, 2, 3, 255]),
            (ColorType::Rgba, &[1, 2, 3, 4], [1, 2, 3, 4]),
        ] {
            assert_eq!(Logo::read(&file(1, 1, color, bytes)).expect("a logo").pixels[..], [wanted], "{color:?}");
        }
    }

    #[test]
    fn it_keeps_its_proportions_and_what_is_see_through_gives_no_colour() {
        let bytes: Vec<u8> = (0..8).flat_map(|i| if i % 2 == 0 { [200, 100, 50, 255] } else { [0, 0, 0, 0] }).collect();
        let logo = Logo::read(&file(4, 2, ColorType::Rgba, &bytes)).expect("a logo");
        let half = logo.within(2, 2);
        assert_eq!((half.size(), half.row(0)), ((2, 1), &[[200, 100, 50, 127]; 2][..]));
        assert_eq!(logo.within(100, 100), logo, "it is never blown up");
    }

    #[test]
    fn what_is_too_large_or_no_png_is_refused() {
        assert!(matches!(Logo::read(&vec![0; FILE_MAX + 1]), Err(LogoError::File)));
        assert!(matches!(Logo::read(b"GIF89a"), Err(LogoError::Png(_))));
        let wide = file(2049, 1, ColorType::Grayscale, &[0; 2049]);
        assert!(matches!(Logo::read(&wide), Err(LogoError::Size(2049, 1))));
    }
}
