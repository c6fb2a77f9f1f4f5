//! Pages as PNG, for people who do not stand before the panel: its picture, or the picture that it would show.

use super::geometry::{Geometry, PixelFormat, Rect, Rotation};
use super::layout::Layout;
use super::paint::{Brush, Mark};
use super::picture::Picture;
use super::settings::Settings;
use qris_core::order::time::Boot;
use std::collections::HashMap;

/// The largest PNG for a viewer elsewhere, in bytes: it goes over mobile data, and in base64 through brokers that take 64 KiB.
pub const PNG_MAX: usize = 45 * 1024;
/// The PNG's key for the panel's size, such as `1920x1080`, if the PNG has fewer pixels than the panel.
const PANEL_KEY: &str = "Panel";
/// Rows drawn at a time.
const BAND: i32 = 16;
const PALETTE_MAX: usize = 256;

#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("cannot make a PNG: {0}")]
    Png(#[from] png::EncodingError),
    /// No way of packing made it small enough.
    #[error("the picture does not fit into {} KiB", PNG_MAX / 1024)]
    Large,
}

/// A PNG of any size, with the pixels that a panel of `width`×`height` pixels would show of a picture at the boot clock's
/// zero. Its rows lie as on the panel.
pub fn render(picture: &Picture, settings: &Settings, (width, height): (u32, u32), format: PixelFormat) -> Result<Vec<u8>, RenderError> {
    let mut brush = Brush::new();
    let geometry = Geometry { width, height, format };
    let size = settings.rotate.page_size(geometry);
    let page = Layout::default().page(picture, settings, brush.fonts(), size, Boot(0));
    let counts = counts(&mut brush, &page, geometry, settings.rotate);
    let mut pixels = Vec::new();
    if let Some(palette) = [8, 6, 5, 4].into_iter().map(|bits| Palette::new(&counts, bits)).find(Palette::fits) {
        bands(&mut brush, &page, geometry, settings.rotate, |colours| pixels.extend(colours.map(|colour| palette.index(colour))));
        return Ok(encode((width, height), &pixels, &palette.colours, Packing::Quick, None)?);
    }
    // The logo is a photograph.
    bands(&mut brush, &page, geometry, settings.rotate, |colours| {
        colours.for_each(|colour| pixels.extend_from_slice(&colour.to_be_bytes()[1..]));
    });
    Ok(encode_colours((width, height), &pixels)?)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scale {
    /// Pixels a row, and rows.
    pub size: (u32, u32),
    /// The panel's own size, if the picture has fewer pixels.
    pub panel: Option<(u32, u32)>,
}

/// The sizes in a PNG; `None`: it is not a PNG.
#[must_use]
pub fn scale(png: &[u8]) -> Option<Scale> {
    let reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().ok()?;
    let info = reader.info();
    let told = info.uncompressed_latin1_text.iter().find(|chunk| chunk.keyword == PANEL_KEY);
    let panel = told.and_then(|chunk| chunk.text.split_once('x')).and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    Some(Scale { size: (info.width, info.height), panel })
}

/// A page as a panel shows it, as a PNG of at most [`PNG_MAX`] bytes. It has a palette. If it is too large, it is packed
/// better, then it gets fewer colours, and then fewer pixels; a PNG with fewer pixels says so.
pub(super) fn small(brush: &mut Brush, page: &[Mark], geometry: Geometry, rotation: Rotation) -> Result<Vec<u8>, RenderError> {
    let counts = counts(brush, page, geometry, rotation);
    let (width, height) = (geometry.width, geometry.height);
    let mut whole = 0;
    for bits in [8, 6, 5, 4, 3, 2] {
        let palette = Palette::new(&counts, bits);
        // To drop bits that no colour has changes nothing.
        if !palette.fits() || palette.colours.len() == whole {
            continue;
        }
        whole = palette.colours.len();
        let mut pixels = Vec::with_capacity(width as usize * height as usize);
        bands(brush, page, geometry, rotation, |colours| pixels.extend(colours.map(|colour| palette.index(colour))));
        for packing in [Packing::Quick, Packing::Well] {
            let file = encode((width, height), &pixels, &palette.colours, packing, None)?;
            if file.len() <= PNG_MAX {
                return Ok(file);
            }
        }
    }
    // The logo is a photograph, on a large panel. Every second pixel of every second row still shows what is there.
    for bits in [4, 3, 2] {
        let palette = Palette::new(&counts, bits);
        if palette.fits() {
            let mut pixels = Vec::with_capacity(width as usize * height as usize);
            bands(brush, page, geometry, rotation, |colours| pixels.extend(colours.map(|colour| palette.index(colour))));
            let rows = pixels.chunks_exact(width as usize).step_by(2);
            let fewer: Vec<u8> = rows.flat_map(|row| row.iter().step_by(2).copied()).collect();
            let half = (width.div_ceil(2), height.div_ceil(2));
            let file = encode(half, &fewer, &palette.colours, Packing::Well, Some((width, height)))?;
            if file.len() <= PNG_MAX {
                return Ok(file);
            }
        }
    }
    Err(RenderError::Large)
}

fn counts(brush: &mut Brush, page: &[Mark], geometry: Geometry, rotation: Rotation) -> HashMap<u32, u32> {
    let mut counts = HashMap::new();
    bands(brush, page, geometry, rotation, |colours| {
        colours.for_each(|colour| *counts.entry(colour).or_default() += 1);
    });
    counts
}

/// Hands over the colours of all pixels, some rows at a time.
fn bands(brush: &mut Brush, page: &[Mark], geometry: Geometry, rotation: Rotation, mut each: impl FnMut(&mut dyn Iterator<Item = u32>)) {
    let (width, height) = (geometry.width as i32, geometry.height as i32);
    for y in (0..height).step_by(BAND as usize) {
        let bytes = brush.draw(page, geometry, rotation, Rect::new(0, y, width, BAND.min(height - y)));
        each(&mut bytes.chunks_exact(geometry.format.bytes()).map(|pixel| geometry.format.colour(pixel)));
    }
}

impl PixelFormat {
    /// The colour that such a pixel shows, `0x00RRGGBB`. The high bits fill the low bits that a channel lacks.
    fn colour(self, pixel: &[u8]) -> u32 {
        let value = (0..).zip(pixel).fold(0, |value, (i, byte)| value | u32::from(*byte) << (8 * i));
        match self {
            Self::Rgb565 => {
                let (red, green, blue) = (value >> 11 & 0x1f, value >> 5 & 0x3f, value & 0x1f);
                (red << 3 | red >> 2) << 16 | (green << 2 | green >> 4) << 8 | (blue << 3 | blue >> 2)
            }
            Self::Xrgb8888 => value & 0xff_ffff,
        }
    }
}

/// The colours of a picture. Colours with the same high bits in each channel count as one, the most frequent of them.
struct Palette {
    colours: Vec<u32>,
    index: HashMap<u32, u8>,
    mask: u32,
}

impl Palette {
    fn new(counts: &HashMap<u32, u32>, bits: u32) -> Self {
        let mask = ((0xff << (8 - bits)) & 0xff) * 0x01_0101;
        let mut seen: Vec<(u32, u32)> = counts.iter().map(|(colour, count)| (*count, *colour)).collect();
        // The same picture must give the same order: a map has none.
        seen.sort_unstable_by(|a, b| b.cmp(a));
        let (mut colours, mut index) = (Vec::new(), HashMap::new());
        for (_, colour) in seen {
            index.entry(colour & mask).or_insert_with(|| {
                colours.push(colour);
                (colours.len() - 1).min(PALETTE_MAX - 1) as u8
            });
        }
        Self { colours, index, mask }
    }

    fn fits(&self) -> bool {
        self.colours.len() <= PALETTE_MAX
    }

    fn index(&self, colour: u32) -> u8 {
        self.index.get(&(colour & self.mask)).copied().unwrap_or(0)
    }
}

#[derive(Clone, Copy)]
enum Packing {
    Quick,
    /// Many times as much work. The machine may have one slow processor, so it is done only if it must be.
    Well,
}

type Encoder<'a> = png::Encoder<'a, &'a mut Vec<u8>>;

fn encode(
    (width, height): (u32, u32),
    pixels: &[u8],
    palette: &[u32],
    packing: Packing,
    panel: Option<(u32, u32)>,
) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder: Encoder<'_> = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Indexed);
    // With fewer colours, a pixel has fewer bits.
    let (depth, bits) = match palette.len() {
        ..=2 => (png::BitDepth::One, 1),
        3..=4 => (png::BitDepth::Two, 2),
        5..=16 => (png::BitDepth::Four, 4),
        _ => (png::BitDepth::Eight, 8),
    };
    encoder.set_depth(depth);
    encoder.set_palette(palette.iter().flat_map(|colour| colour.to_be_bytes().into_iter().skip(1)).collect::<Vec<u8>>());
    let (compression, filter) = match packing {
        // Indices are not amounts: a neighbour says nothing about an index.
        Packing::Quick => (png::Compression::Balanced, png::Filter::NoFilter),
        // But most rows are like the one above.
        Packing::Well => (png::Compression::High, png::Filter::Up),
    };
    encoder.set_compression(compression);
    encoder.set_filter(filter);
    if let Some((width, height)) = panel {
        encoder.add_text_chunk(PANEL_KEY.into(), format!("{width}x{height}"))?;
    }
    let packed: Vec<u8> = pixels
        .chunks_exact(width as usize)
        .flat_map(|row| row.chunks(8 / bits))
        .map(|group| (0..8 / bits).fold(0, |byte, i| byte << (bits % 8) | group.get(i).copied().unwrap_or(0)))
        .collect();
    written(encoder, &packed)?;
    Ok(file)
}

fn encode_colours((width, height): (u32, u32), pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder: Encoder<'_> = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    written(encoder, pixels)?;
    Ok(file)
}

fn written(encoder: Encoder<'_>, pixels: &[u8]) -> Result<(), png::EncodingError> {
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::super::samples::{self, Sample};
    use super::super::{Language, Languages, SurfaceSettings};
    use super::*;
    use qris_core::order::ids::ItemId;
    use qris_core::order::money::Rupiah;

    const LARGE: (u32, u32) = (1920, 1080);

    fn sample(state: &str) -> (Picture, Settings) {
        let sample = Sample::new(ItemId::new("A1").expect("an item"), Rupiah::new(5_000).expect("in range"));
        let settings = samples::settings(SurfaceSettings::Any, Languages::Only(Language::Id));
        (samples::picture(state, &sample).expect("a state"), settings)
    }

    /// The PNG that is sent from such a panel.
    fn shot(picture: &Picture, settings: &Settings, (width, height): (u32, u32)) -> Vec<u8> {
        let mut brush = Brush::new();
        let geometry = Geometry { width, height, format: PixelFormat::Xrgb8888 };
        let page = Layout::default().page(picture, settings, brush.fonts(), (width as i32, height as i32), Boot(0));
        small(&mut brush, &page, geometry, Rotation::None).expect("small enough")
    }

    /// A logo that cannot be packed.
    fn noise() -> Vec<u8> {
        let mut png = Vec::new();
        let mut encoder = png::Encoder::new(&mut png, 600, 200);
        encoder.set_color(png::ColorType::Rgb);
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let pixels: Vec<u8> = std::iter::repeat_with(&mut next).take(600 * 200 * 3).collect();
        encoder.write_header().expect("a header").write_image_data(&pixels).expect("pixels");
        png
    }

    #[test]
    fn a_large_panel_is_sent_in_its_size_whatever_it_shows() {
        for state in ["pay", "refund-due"] {
            let (picture, settings) = sample(state);
            let png = shot(&picture, &settings, LARGE);
            assert_eq!(scale(&png), Some(Scale { size: LARGE, panel: None }), "{state}");
            assert!(png.len() <= PNG_MAX, "{state}: {}", png.len());
        }
    }

    #[test]
    fn what_must_be_sent_smaller_says_so_and_a_file_never_is() {
        let (picture, mut settings) = sample("idle");
        settings.logo = Some(std::sync::Arc::new(super::super::logo::Logo::read(&noise()).expect("a logo")));
        let huge = (3200, 1800);
        let png = shot(&picture, &settings, huge);
        assert_eq!(scale(&png), Some(Scale { size: (1600, 900), panel: Some(huge) }));
        assert!(png.len() <= PNG_MAX, "{}", png.len());
        let file = render(&picture, &settings, huge, PixelFormat::Xrgb8888).expect("a file");
        assert_eq!(scale(&file), Some(Scale { size: huge, panel: None }));
        assert!(file.len() > PNG_MAX, "{}: a test of nothing", file.len());
        assert_eq!(scale(b"nothing"), None);
    }
}
