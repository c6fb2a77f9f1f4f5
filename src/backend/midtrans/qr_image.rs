//! Reads the text of a QR from a PNG that came over the network. The image is taken as hostile: bytes, dimensions and
//! memory are limited before anything is unpacked.

use png::{ColorType, Decoder, Limits, Transformations};
use std::collections::BTreeSet;
use std::io::Cursor;
use std::ops::Range;

/// The largest file that is taken; a QR image is a few KiB.
pub(super) const IMAGE_BYTES_MAX: usize = 1 << 20;
/// The largest width and height, in pixels.
const SIDE_MAX: u32 = 2048;
/// The most memory of the decoder beside the picture. A PNG of 20 bytes may ask for gigabytes.
const DECODER_BYTES_MAX: usize = 24 << 20;
/// A row with more than so many is no row of a code's corners.
const CORNERS_MAX: usize = 8;
/// So many pairs of corners are looked at. A code has one, and each logo that looks like a corner adds a few.
const CODES_MAX: usize = 64;
/// A byte-mode QR of the largest version holds 2953 bytes; a QRIS payload is under 512.
const PAYLOAD_BYTES_MAX: usize = 512;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QrImageError {
    #[error("the charge has no qr_string, and no action generate-qr-code or generate-qr-code-v2")]
    None,
    #[error("its image is at {0}, which is not https at one of midtrans.picture_hosts")]
    Address(String),
    #[error("the image is {0:?}, not image/png")]
    ContentType(String),
    #[error("the image has more than {IMAGE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the image is {width}×{height} pixels, more than {SIDE_MAX} a side")]
    Dimensions { width: u32, height: u32 },
    #[error("the image is not a readable PNG: {0}")]
    Png(String),
    #[error("no QR can be read in the image")]
    NoQr,
    #[error("the image has several different QRs")]
    Several,
    /// Its text is not 1–512 characters of ASCII.
    #[error("the QR in the image is not a QRIS payload")]
    NotText,
}

/// The one text in the QR codes of a PNG.
pub fn payload(image: &[u8]) -> Result<String, QrImageError> {
    let (width, height, grey) = grey_pixels(image)?;
    let drawn = drawn(width, height, &grey);
    let payload = if drawn.is_empty() { searched(width, height, &grey)? } else { one_of(drawn)? };
    let is_text = (1..=PAYLOAD_BYTES_MAX).contains(&payload.len()) && payload.bytes().all(|b| (b' '..=b'~').contains(&b));
    if is_text { Ok(payload) } else { Err(QrImageError::NotText) }
}

/// The texts of the codes that were drawn upright, whatever stands around them: each module is where it must be. This takes a tenth of the
/// time of a search, and is sure: a search may take the logos of a frame, and a code's own modules, for corners of a code.
fn drawn(width: usize, height: usize, grey: &[u8]) -> BTreeSet<String> {
    let dark = |x: usize, y: usize| grey[y * width + x] < 128;
    let (mut looked, mut texts) = (BTreeSet::new(), BTreeSet::new());
    for y in 0..height {
        let corners = corners(width, |x| dark(x, y));
        if corners.len() > CORNERS_MAX {
            continue;
        }
        for (at, left) in corners.iter().enumerate() {
            for right in &corners[at + 1..] {
                let top = (0..y).rev().take_while(|y| dark(left.start, *y)).last().unwrap_or(y);
                let (corner, wide) = (left.len(), right.end - left.start);
                // A code has 17 modules a side, and four for each of 40 versions.
                let version = ((7 * wide / corner).saturating_sub(17 - 2) / 4).min(40);
                let is_new = looked.len() < CODES_MAX && top + wide <= height && looked.insert((left.start, right.end, top));
                if is_new {
                    let side = 17 + 4 * version;
                    let middle = |module: usize| (2 * module + 1) * wide / (2 * side);
                    let grid = rqrr::SimpleGrid::from_func(side, |x, y| dark(left.start + middle(x), top + middle(y)));
                    texts.extend(rqrr::Grid::new(grid).decode().ok().map(|(_, text)| text));
                }
            }
        }
    }
    texts
}

/// What looks in this row like the middle of a corner of a code: one module dark, one light, three dark, one light, one dark.
fn corners(width: usize, dark: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let edges: Vec<usize> = (0..=width).filter(|x| (*x > 0 && dark(x - 1)) != (*x < width && dark(*x))).collect();
    let is_corner = |edges: &[usize]| {
        let seven = edges[5] - edges[0];
        let is_near = |(modules, run): (usize, &[usize])| (7 * (run[1] - run[0])).abs_diff(modules * seven) <= 7 + seven / 4;
        [1, 1, 3, 1, 1].into_iter().zip(edges.windows(2)).all(is_near)
    };
    // A dark run begins at each other edge.
    edges.windows(6).step_by(2).filter(|edges| is_corner(edges)).map(|edges| edges[0]..edges[5]).collect()
}

/// The one text in the codes of any picture.
fn searched(width: usize, height: usize, grey: &[u8]) -> Result<String, QrImageError> {
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| grey[y * width + x]);
    one_of(prepared.detect_grids().iter().filter_map(|grid| grid.decode().ok()).map(|(_, text)| text).collect())
}

fn one_of(mut texts: BTreeSet<String>) -> Result<String, QrImageError> {
    let text = texts.pop_first().ok_or(QrImageError::NoQr)?;
    if texts.is_empty() { Ok(text) } else { Err(QrImageError::Several) }
}

/// Width, height and one byte a pixel. A transparent pixel is white, as paper is.
fn grey_pixels(image: &[u8]) -> Result<(usize, usize, Vec<u8>), QrImageError> {
    let bad = |error: png::DecodingError| QrImageError::Png(error.to_string());
    if image.len() > IMAGE_BYTES_MAX {
        return Err(QrImageError::TooLarge);
    }
    let mut decoder = Decoder::new_with_limits(Cursor::new(image), Limits { bytes: DECODER_BYTES_MAX });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let header = decoder.read_header_info().map_err(bad)?;
    let (width, height) = (header.width, header.height);
    if width > SIDE_MAX || height > SIDE_MAX {
        return Err(QrImageError::Dimensions { width, height });
    }
    let mut reader = decoder.read_info().map_err(bad)?;
    let size = reader.output_buffer_size().ok_or(QrImageError::TooLarge)?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(bad)?;
    pixels.truncate(frame.buffer_size());
    let on_white = |grey: u8, alpha: u8| {
        let (grey, alpha) = (u32::from(grey), u32::from(alpha));
        u8::try_from((grey * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
    };
    let luma = |p: &[u8]| u8::try_from((u32::from(p[0]) * 299 + u32::from(p[1]) * 587 + u32::from(p[2]) * 114) / 1000).unwrap_or(u8::MAX);
    let grey: Vec<u8> = match frame.color_type {
        ColorType::Grayscale => pixels,
        ColorType::GrayscaleAlpha => pixels.chunks_exact(2).map(|p| on_white(p[0], p[1])).collect(),
        ColorType::Rgb => pixels.chunks_exact(3).map(luma).collect(),
        ColorType::Rgba => pixels.chunks_exact(4).map(|p| on_white(luma(p), p[3])).collect(),
        ColorType::Indexed => return Err(QrImageError::Png("a palette was not expanded".into())),
    };
    let (width, height) = (width as usize, height as usize);
    if grey.len() == width * height { Ok((width, height, grey)) } else { Err(QrImageError::Png("pixels are missing".into())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use png::{BitDepth, Encoder};

    const PAYLOAD: &str = "00020101021226620014COM.GO-JEK.WWW011993600914302889878270210G0288987820303UMI51440014ID.CO.QRIS.WWW0215AID7111686201870303UMI5204352953033605802ID5911Citra Media6006MALANG61056512654101000000.006247503652ffe6e8-ff5f-4df4-b6f2-5a6f36f926f60703A0163047EE4";

    /// Dark modules as `true`, with a quiet zone of four.
    fn modules(text: &str) -> (usize, Vec<bool>) {
        let code = qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::L).expect("a QR");
        let (width, colors) = (code.width(), code.to_colors());
        let side = width + 8;
        let dark = |i: usize| {
            let (x, y) = ((i % side).wrapping_sub(4), (i / side).wrapping_sub(4));
            x < width && y < width && colors[y * width + x] == qrcode::Color::Dark
        };
        (side, (0..side * side).map(dark).collect())
    }

    fn png(width: u32, height: u32, color: ColorType, depth: BitDepth, data: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, width, height);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette(vec![255, 255, 255, 0, 0, 0]);
        }
        encoder.write_header().expect("a header").write_image_data(data).expect("pixels");
        file
    }

    /// `scale` pixels a module, each pixel as the given bytes for light and dark.
    fn picture(text: &str, scale: usize, color: ColorType, light: &[u8], dark: &[u8]) -> Vec<u8> {
        let (side, modules) = modules(text);
        let pixels = side * scale;
        let pixel = |i: usize| if modules[(i / pixels / scale) * side + (i % pixels) / scale] { dark } else { light };
        let data: Vec<u8> = (0..pixels * pixels).flat_map(pixel).copied().collect();
        let width = u32::try_from(pixels).expect("small");
        png(width, width, color, BitDepth::Eight, &data)
    }

    #[test]
    fn a_qr_is_read_from_each_kind_of_png() {
        for scale in [2, 4, 7] {
            for (color, light, dark) in [
                (ColorType::Grayscale, &[255][..], &[0][..]),
                (ColorType::GrayscaleAlpha, &[0, 0], &[0, 255]),
                (ColorType::Rgb, &[255, 250, 240], &[0, 60, 20]),
                (ColorType::Rgba, &[0, 0, 0, 0], &[0, 0, 0, 255]),
                (ColorType::Indexed, &[0], &[1]),
            ] {
                let picture = picture(PAYLOAD, scale, color, light, dark);
                let (width, height, grey) = grey_pixels(&picture).expect("a picture");
                assert_eq!(one_of(drawn(width, height, &grey)).as_deref(), Ok(PAYLOAD), "{color:?} at {scale}");
                assert_eq!(searched(width, height, &grey).as_deref(), Ok(PAYLOAD), "{color:?} at {scale}");
                assert_eq!(payload(&picture).as_deref(), Ok(PAYLOAD));
            }
        }
    }

    /// A picture of square side, whose pixels are dark where it is said.
    fn square(pixels: usize, dark: impl Fn(usize, usize) -> bool) -> (Vec<u8>, Vec<u8>) {
        let grey: Vec<u8> = (0..pixels * pixels).map(|i| if dark(i % pixels, i / pixels) { 0 } else { 255 }).collect();
        let width = u32::try_from(pixels).expect("small");
        (png(width, width, ColorType::Grayscale, BitDepth::Eight, &grey), grey)
    }

    #[test]
    fn a_resized_code_is_read_where_it_stands_and_a_turned_one_is_searched() {
        let (side, modules) = modules(PAYLOAD);
        for pixels in [side * 2 + 7, side * 3 + 1, 400, 511] {
            let (picture, grey) = square(pixels, |x, y| modules[(y * side / pixels) * side + x * side / pixels]);
            assert_eq!(one_of(drawn(pixels, pixels, &grey)).as_deref(), Ok(PAYLOAD), "{pixels}");
            assert_eq!(payload(&picture).as_deref(), Ok(PAYLOAD));
        }
        let (picture, grey) = square(side * 4, |x, y| modules[(side - 1 - x / 4) * side + y / 4]);
        assert!(drawn(side * 4, side * 4, &grey).is_empty());
        assert_eq!(payload(&picture).as_deref(), Ok(PAYLOAD));
    }

    #[test]
    fn a_line_around_a_code_and_a_mark_like_its_corner_do_not_hide_it() {
        let (scale, room, line) = (5, 12, 3);
        let (side, modules) = modules(PAYLOAD);
        let pixels = (side + 2 * room) * scale;
        for (left, top) in [(7, 7), (10, 8), (16, 8)] {
            let mark = |x: usize, y: usize| {
                let from_middle = x.abs_diff(left + 3).max(y.abs_diff(top + 3));
                from_middle == 3 || from_middle <= 1
            };
            let (picture, grey) = square(pixels, |x, y| {
                let is_line = [x, y, pixels - 1 - x, pixels - 1 - y].iter().any(|from_edge| *from_edge < line);
                let (column, row) = (x / scale, y / scale);
                let is_code = (room..room + side).contains(&column) && (room..room + side).contains(&row);
                is_line || mark(column, row) || is_code && modules[(row - room) * side + column - room]
            });
            assert_eq!(searched(pixels, pixels, &grey), Err(QrImageError::NoQr), "a search takes the mark for a corner of the code");
            assert_eq!(payload(&picture).as_deref(), Ok(PAYLOAD));
        }
    }

    #[test]
    fn a_picture_in_the_national_frame_is_read() {
        let merchant = qris_sim::qris::Merchant::default();
        // A search does not find the code of the last: some of its modules look like a corner.
        let unlucky = merchant.payload(5_000, "1c66c3b2-7220-476b-a58b-baa1aec227ca").replace("D93A", "d93a");
        for text in [PAYLOAD.to_owned(), merchant.payload(5_000, "b1855b6c-70ab-4449-9778-61b8ffe43fd2"), unlucky] {
            let picture = qris_sim::qris::png(&text, qris_sim::qris::PictureStyle::Framed).expect("a picture");
            assert_eq!(payload(&picture), Ok(text));
        }
    }

    #[test]
    fn bombs_are_refused_before_they_open() {
        let wide = png(2049, 1, ColorType::Grayscale, BitDepth::Eight, &[0; 2049]);
        assert_eq!(payload(&wide), Err(QrImageError::Dimensions { width: 2049, height: 1 }));
        let mut bomb = png(1, 1, ColorType::Grayscale, BitDepth::Eight, &[0]);
        bomb[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        assert!(payload(&bomb).is_err(), "a header that lies, with a wrong checksum");
        assert_eq!(payload(&vec![0; IMAGE_BYTES_MAX + 1]), Err(QrImageError::TooLarge));
        // The largest picture that is taken, all white: it fits the memory that is allowed.
        let white = vec![255; 2048 * 2048 * 4];
        assert_eq!(payload(&png(2048, 2048, ColorType::Rgba, BitDepth::Eight, &white)), Err(QrImageError::NoQr));
    }

    #[test]
    fn what_is_no_qris_text_is_refused() {
        assert!(matches!(payload(b"{\"status_code\":\"503\"}"), Err(QrImageError::Png(_))));
        let good = picture(PAYLOAD, 4, ColorType::Grayscale, &[255], &[0]);
        for cut in (0..good.len()).step_by(97) {
            assert!(payload(&good[..cut]).is_err(), "cut at {cut}");
        }
        assert_eq!(payload(&picture("line\nline", 4, ColorType::Grayscale, &[255], &[0])), Err(QrImageError::NotText));
        assert_eq!(payload(&picture(&"7".repeat(600), 4, ColorType::Grayscale, &[255], &[0])), Err(QrImageError::NotText));
    }

    #[test]
    fn two_different_codes_are_ambiguous() {
        let ((side, one), (other_side, two)) = (modules(PAYLOAD), modules(&PAYLOAD.replace("Citra", "Other")));
        assert_eq!(side, other_side);
        let scale = 4;
        let (width, height) = (side * 2 * scale, side * scale);
        let dark = |i: usize| {
            let (x, y) = ((i % width) / scale, (i / width) / scale);
            if x < side { one[y * side + x] } else { two[y * side + x - side] }
        };
        let data: Vec<u8> = (0..width * height).map(|i| if dark(i) { 0 } else { 255 }).collect();
        let (width, height) = (u32::try_from(width).expect("small"), u32::try_from(height).expect("small"));
        assert_eq!(payload(&png(width, height, ColorType::Grayscale, BitDepth::Eight, &data)), Err(QrImageError::Several));
    }
}
