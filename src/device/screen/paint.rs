//! Pixels: what a page is made of, drawn into any part of it.
//!
//! A page is a list of [`Mark`]s. Each knows its own area, so two pages can be compared without a pixel, and any
//! rectangle can be drawn alone: a countdown costs its few rows. Of a new page only the rows are drawn that differ from
//! the old one's, each kind of row once (most rows are like the one above, and the marks say so), in bands that stay in
//! the cache instead of a canvas of the panel's size that would lie in memory all day.

use super::fonts::{Fonts, Style};
use super::qr::{Code, QUIET_ZONE};
use super::surface::Geometry;
use super::{PixelFormat, Rotation};
use std::ops::Range;
use std::rc::Rc;

/// Rows drawn at a time: with a panel 480 pixels wide, 30 KiB.
const BAND: i32 = 16;
/// Drawn rows are handed on when there are so many bytes of them, unless a QR code comes or goes.
const HANDFUL: usize = 48 * 1024;
/// So many bytes are kept for the next picture: what one with a QR code takes on a panel of 480×800, which the system would
/// otherwise give and take page by page in every sale.
const KEPT: usize = 400 * 1024;

/// A rectangle in pixels; not empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rect {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) w: i32,
    pub(super) h: i32,
}

impl Rect {
    pub(super) const fn new(x: i32, y: i32, w: i32, h: i32) -> Self {
        Self { x, y, w, h }
    }

    /// The part that both have.
    pub(super) fn common(self, other: Self) -> Option<Self> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let (w, h) = ((self.x + self.w).min(other.x + other.w) - x, (self.y + self.h).min(other.y + other.h) - y);
        (w > 0 && h > 0).then_some(Self { x, y, w, h })
    }

    /// The smallest that holds both.
    fn around(self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let (w, h) = ((self.x + self.w).max(other.x + other.w) - x, (self.y + self.h).max(other.y + other.h) - y);
        Self { x, y, w, h }
    }

    fn pixels(self) -> usize {
        (self.w * self.h) as usize
    }
}

/// `0x00RRGGBB`.
pub(super) type Colour = u32;

/// One thing on a page.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Mark {
    /// Nothing of it lies outside.
    pub(super) area: Rect,
    pub(super) kind: Kind,
}

/// What a mark is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Kind {
    /// One colour, with corners rounded by so many pixels.
    Fill { colour: Colour, radius: i32 },
    /// One line of text; `x` is where it begins, which its area need not.
    Text { text: Box<str>, style: Style, colour: Colour, x: i32 },
    /// A disc with a sign in white.
    Sign { sign: Sign, disc: Colour, stroke: Colour },
    /// A QR code with its quiet zone, black on white.
    Qr(Rc<Code>),
}

/// The signs, understood without words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sign {
    Check,
    Cross,
    Exclamation,
    Clock,
}

/// The parts in which two pages of the same size differ, or `None` if that is nearly everything.
pub(super) fn changes(old: &[Mark], new: &[Mark]) -> Option<Vec<Rect>> {
    let differ = |(old, new): (&Mark, &Mark)| (old != new).then(|| old.area.around(new.area));
    (old.len() == new.len()).then(|| old.iter().zip(new).filter_map(differ).collect())
}

/// Whether a QR code comes, goes, or becomes another one.
pub(super) fn qr_changes(old: &[Mark], new: &[Mark]) -> bool {
    let code = |page: &[Mark]| page.iter().position(|mark| matches!(mark.kind, Kind::Qr(_)));
    match (code(old), code(new)) {
        (None, None) => false,
        (Some(a), Some(b)) => old[a] != new[b],
        _ => true,
    }
}

/// What draws, with the memory that it uses again for every picture.
pub(super) struct Brush {
    fonts: Fonts,
    /// For a panel of 16 bits a pixel, and of 32.
    narrow: Canvas<2>,
    wide: Canvas<4>,
    /// Rows in the panel's format, each kind once.
    bytes: Vec<u8>,
    /// For each row of the panel from the first that is in `bytes`: which of them.
    which: Vec<usize>,
}

/// Two pages on one panel.
pub(super) struct Change<'a> {
    pub(super) geometry: Geometry,
    pub(super) rotation: Rotation,
    /// What stands on the panel; empty if that is not known.
    pub(super) old: &'a [Mark],
    pub(super) new: &'a [Mark],
}

impl Brush {
    pub(super) fn new() -> Self {
        Self { fonts: Fonts::new(), narrow: Canvas::new(), wide: Canvas::new(), bytes: Vec::new(), which: Vec::new() }
    }

    pub(super) fn fonts(&self) -> &Fonts {
        &self.fonts
    }

    /// Draws the part of a page that lies in `area` of the panel, in the panel's format, rows without padding.
    pub(super) fn draw(&mut self, page: &[Mark], geometry: Geometry, rotation: Rotation, area: Rect) -> Vec<u8> {
        let mut out = Vec::with_capacity(area.pixels() * geometry.format.bytes());
        self.draw_into(page, geometry, rotation, area, &mut out);
        out
    }

    /// Hands over, from top to bottom, the rows of the panel in which the pages differ: the first row's number, and the
    /// bytes of it and the rows below. A QR code comes and goes in one go with all else that changes, so that no part of
    /// another one, and no other amount, is ever beside it.
    pub(super) fn rows<E>(&mut self, change: &Change<'_>, mut put: impl FnMut(i32, &[&[u8]]) -> Result<(), E>) -> Result<(), E> {
        let Change { geometry, rotation, new, .. } = *change;
        let (width, row) = (geometry.width as i32, geometry.width as usize * geometry.format.bytes());
        let mut differing = change.differing_rows();
        // What an earlier run left on the panel is not known, and may be a QR code.
        let at_once = change.old.is_empty() || qr_changes(change.old, new);
        if let (true, Some(first), Some(last)) = (at_once, differing.first(), differing.last()) {
            differing = std::iter::once(first.start..last.end).collect();
        }
        let kinds = change.kinds_of_rows();
        // All that must go out at once is taken in one piece, rather than grown into.
        let own = if at_once { differing.iter().map(|dirty| 1 + count(&kinds[dirty.start as usize..dirty.end as usize])).sum() } else { 0 };
        self.bytes.reserve_exact((own * row).max(HANDFUL + BAND as usize * row));
        for dirty in differing {
            let (mut first, mut y) = (dirty.start, dirty.start);
            while y < dirty.end {
                let mut end = y + 1;
                if y == first || kinds[y as usize] {
                    // As many rows as lie beside one another and are each of their own kind.
                    while end < dirty.end && end - y < BAND && kinds[end as usize] {
                        end += 1;
                    }
                    self.which.extend((self.bytes.len() / row..).take((end - y) as usize));
                    let mut bytes = std::mem::take(&mut self.bytes);
                    self.draw_into(new, geometry, rotation, Rect::new(0, y, width, end - y), &mut bytes);
                    self.bytes = bytes;
                } else {
                    self.which.push(self.bytes.len() / row - 1);
                }
                y = end;
                if y == dirty.end || (self.bytes.len() >= HANDFUL && !at_once) {
                    let rows: Vec<&[u8]> = self.which.iter().map(|which| &self.bytes[which * row..][..row]).collect();
                    let result = put(first, &rows);
                    self.bytes.clear();
                    self.bytes.shrink_to(KEPT);
                    self.which.clear();
                    result?;
                    first = y;
                }
            }
        }
        Ok(())
    }

    /// Appends the bytes of a part of the panel.
    fn draw_into(&mut self, page: &[Mark], geometry: Geometry, rotation: Rotation, area: Rect, out: &mut Vec<u8>) {
        for y in (area.y..area.y + area.h).step_by(BAND as usize) {
            let on_panel = Rect { y, h: BAND.min(area.y + area.h - y), ..area };
            let on_page = rotation.to_page(on_panel, geometry);
            match geometry.format {
                PixelFormat::Rgb565 => self.narrow.draw(page, &mut self.fonts, on_page, rotation, on_panel, out),
                PixelFormat::Xrgb8888 => self.wide.draw(page, &mut self.fonts, on_page, rotation, on_panel, out),
            }
        }
    }
}

fn count(kinds: &[bool]) -> usize {
    kinds.iter().filter(|own| **own).count()
}

impl Change<'_> {
    fn height(&self) -> i32 {
        self.geometry.height as i32
    }

    /// The rows of the panel that a mark lies in.
    fn rows_of(&self, mark: &Mark) -> Range<i32> {
        let area = self.rotation.to_panel(mark.area, self.geometry);
        area.y.max(0)..(area.y + area.h).min(self.height())
    }

    /// Where the marks that lie in a row are not the same, in the same order, on both pages.
    fn differing_rows(&self) -> Vec<Range<i32>> {
        if self.old.is_empty() {
            return std::iter::once(0..self.height()).collect();
        }
        let spans = |page: &[Mark]| page.iter().map(|mark| self.rows_of(mark)).collect::<Vec<_>>();
        let (old, new) = (spans(self.old), spans(self.new));
        // Between two edges all rows have the same marks.
        let mut edges: Vec<i32> = old.iter().chain(&new).flat_map(|rows| [rows.start, rows.end]).chain([0, self.height()]).collect();
        edges.sort_unstable();
        edges.dedup();
        let mut differing: Vec<Range<i32>> = Vec::new();
        for edge in edges.windows(2) {
            let (start, end) = (edge[0], edge[1]);
            let old = self.old.iter().zip(&old).filter(|(_, rows)| rows.contains(&start)).map(|(mark, _)| mark);
            let new = self.new.iter().zip(&new).filter(|(_, rows)| rows.contains(&start)).map(|(mark, _)| mark);
            if !old.eq(new) {
                match differing.last_mut() {
                    Some(last) if last.end == start => last.end = end,
                    _ => differing.push(start..end),
                }
            }
        }
        differing
    }

    /// Of each row of the panel: may it differ from the one above on the new page?
    fn kinds_of_rows(&self) -> Vec<bool> {
        let mut own = vec![false; self.geometry.height as usize + 1];
        let mut all = |rows: Range<i32>| own[rows.start as usize..=rows.end as usize].fill(true);
        for mark in self.new {
            let rows = self.rows_of(mark);
            // The edges of what lies within are where it is not cut by the panel's.
            let (top, end) = (rows.start, rows.end);
            if rows.is_empty() {
                continue;
            }
            match &mark.kind {
                // Each row, and the first one below.
                Kind::Text { .. } | Kind::Sign { .. } => all(rows),
                Kind::Fill { radius, .. } => {
                    all(top..(top + radius).min(end));
                    all((end - radius).max(top)..end);
                }
                Kind::Qr(code) => {
                    all(top..top);
                    all(end..end);
                    (top..end).step_by(code.module_px() as usize).for_each(|y| all(y..y));
                }
            }
        }
        own
    }
}

impl Rotation {
    /// Width and height of a page on this panel.
    pub(super) fn page_size(self, panel: Geometry) -> (i32, i32) {
        match self {
            Self::None | Self::Half => (panel.width as i32, panel.height as i32),
            Self::Quarter | Self::ThreeQuarters => (panel.height as i32, panel.width as i32),
        }
    }

    /// Where on the page a part of the panel lies.
    fn to_page(self, r: Rect, panel: Geometry) -> Rect {
        let (w, h) = (panel.width as i32, panel.height as i32);
        match self {
            Self::None => r,
            Self::Quarter => Rect::new(r.y, w - r.x - r.w, r.h, r.w),
            Self::Half => Rect::new(w - r.x - r.w, h - r.y - r.h, r.w, r.h),
            Self::ThreeQuarters => Rect::new(h - r.y - r.h, r.x, r.h, r.w),
        }
    }

    /// Where on the panel a part of the page lies.
    pub(super) fn to_panel(self, r: Rect, panel: Geometry) -> Rect {
        let (w, h) = (panel.width as i32, panel.height as i32);
        match self {
            Self::None => r,
            Self::Quarter => Rect::new(w - r.y - r.h, r.x, r.h, r.w),
            Self::Half => Rect::new(w - r.x - r.w, h - r.y - r.h, r.w, r.h),
            Self::ThreeQuarters => Rect::new(r.y, h - r.x - r.w, r.h, r.w),
        }
    }
}

/// A part of a page, as pixels in the panel's format: of `N` bytes each.
struct Canvas<const N: usize> {
    area: Rect,
    pixels: Vec<[u8; N]>,
    /// The last mix of each coverage: a text's colour and ground are the same all along.
    mixes: [Mix<N>; 256],
}

/// What came of laying a colour over a pixel.
#[derive(Clone, Copy)]
struct Mix<const N: usize> {
    below: [u8; N],
    above: Colour,
    pixel: [u8; N],
}

impl<const N: usize> Canvas<N> {
    const fn new() -> Self {
        // Black over black is black.
        Self { area: Rect::new(0, 0, 0, 0), pixels: Vec::new(), mixes: [Mix { below: [0; N], above: 0, pixel: [0; N] }; 256] }
    }

    /// Draws the part of the page that lies at `on_panel`, and appends its bytes as they lie there.
    fn draw(&mut self, page: &[Mark], fonts: &mut Fonts, on_page: Rect, rotation: Rotation, on_panel: Rect, out: &mut Vec<u8>) {
        self.begin(on_page, page);
        for mark in page {
            self.add(mark, fonts);
        }
        self.copy_turned(rotation, on_panel, out);
    }

    /// Takes another part of a page: black, unless the page's ground covers it anyway.
    fn begin(&mut self, area: Rect, page: &[Mark]) {
        self.area = area;
        self.pixels.resize(area.pixels(), [0; N]);
        let is_ground = |mark: &Mark| matches!(mark.kind, Kind::Fill { radius: 0, .. }) && mark.area.common(area) == Some(area);
        if !page.first().is_some_and(is_ground) {
            self.pixels.fill([0; N]);
        }
    }

    fn add(&mut self, mark: &Mark, fonts: &mut Fonts) {
        let Some(part) = mark.area.common(self.area) else { return };
        match &mark.kind {
            Kind::Fill { colour, radius } => self.fill(mark.area, part, *colour, *radius),
            Kind::Text { text, style, colour, x } => self.text(mark.area, part, fonts, *style, text, *x, *colour),
            Kind::Sign { sign, disc, stroke } => self.sign(mark.area, part, *sign, *disc, *stroke),
            Kind::Qr(code) => self.qr(mark.area, part, code),
        }
    }

    /// The pixels of `x..x + w` in row `y`, which lie within.
    #[inline]
    fn row(&mut self, x: i32, y: i32, w: i32) -> &mut [[u8; N]] {
        let start = ((y - self.area.y) * self.area.w + (x - self.area.x)) as usize;
        &mut self.pixels[start..start + w as usize]
    }

    fn fill(&mut self, area: Rect, part: Rect, colour: Colour, radius: i32) {
        for y in part.y..part.y + part.h {
            // How far into a rounded corner this row lies, and with it how many pixels of each end are not plain.
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
                    // Most of a letter is all or nothing.
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

    fn sign(&mut self, area: Rect, part: Rect, sign: Sign, disc: Colour, stroke: Colour) {
        const RADIUS: f32 = 0.49;
        const THICKNESS: f32 = 0.045;
        let size = area.w.min(area.h) as f32;
        // One pixel of softness at each edge.
        let coverage = |distance: f32| ((0.5 - distance * size).clamp(0.0, 1.0) * 255.0) as u32;
        let centre = |i: i32| (i as f32 + 0.5) / size;
        // The columns that may lie between two places in the sign.
        let columns = |from: f32, to: f32| {
            let (start, end) = (area.x + (from * size).floor() as i32 - 1, area.x + (to * size).ceil() as i32 + 1);
            start.max(part.x)..end.min(part.x + part.w)
        };
        for y in part.y..part.y + part.h {
            let v = centre(y - area.y);
            // Half of what a circle has of this row.
            let chord = |radius: f32| (radius * radius - (v - 0.5) * (v - 0.5)).max(0.0).sqrt();
            let (outer, inner) = (chord(RADIUS + 0.5 / size), chord(RADIUS - 0.5 / size));
            let around = columns(0.5 - outer, 0.5 + outer);
            if around.is_empty() {
                continue;
            }
            let start = (area.x + ((0.5 - inner) * size).ceil() as i32).clamp(around.start, around.end);
            let end = (area.x + ((0.5 + inner) * size).floor() as i32).clamp(start, around.end);
            flood(self.row(start, y, end - start), packed(disc));
            for x in (around.start..start).chain(end..around.end) {
                let pixel = &mut self.row(x, y, 1)[0];
                *pixel = over(*pixel, disc, coverage(length(centre(x - area.x) - 0.5, v - 0.5) - RADIUS));
            }
            let reach = THICKNESS + 1.0 / size;
            let near = |(a, b): &&(Point, Point)| (a.1.min(b.1) - reach..=a.1.max(b.1) + reach).contains(&v);
            let strokes = sign.strokes().iter().filter(near);
            let extent = strokes.map(|(a, b)| (a.0.min(b.0) - reach, a.0.max(b.0) + reach)).reduce(|p, q| (p.0.min(q.0), p.1.max(q.1)));
            for x in extent.map_or(0..0, |(from, to)| columns(from, to)) {
                let at = (centre(x - area.x), v);
                let distance = sign.strokes().iter().map(|&(a, b)| distance_squared(at, a, b)).fold(f32::MAX, f32::min).sqrt();
                let pixel = &mut self.row(x, y, 1)[0];
                *pixel = over(*pixel, stroke, coverage(distance - THICKNESS));
            }
        }
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

    /// Appends all pixels to `out`, turned.
    fn copy_turned(&self, rotation: Rotation, on_panel: Rect, out: &mut Vec<u8>) {
        let (w, h) = (self.area.w as isize, self.area.h as isize);
        // Of the panel's first pixel here, of one step right and of one step down: where in `self.pixels`.
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

/// Fills a row: doubled copies of its beginning, which the C library does sixteen pixels at a time.
fn flood<const N: usize>(row: &mut [[u8; N]], pixel: [u8; N]) {
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
fn packed<const N: usize>(colour: Colour) -> [u8; N] {
    let narrow = ((colour >> 8) & 0xf800) | ((colour >> 5) & 0x07e0) | ((colour >> 3) & 0x001f);
    let bytes = if N == 2 { narrow } else { colour }.to_le_bytes();
    std::array::from_fn(|i| bytes[i])
}

/// The colour that such a pixel shows.
#[inline]
fn unpacked<const N: usize>(pixel: [u8; N]) -> Colour {
    let value = (0..).zip(pixel).fold(0, |value, (i, byte)| value | u32::from(byte) << (8 * i));
    if N != 2 {
        return value;
    }
    // The high bits again where there are none: white stays white.
    let (red, green, blue) = (value >> 11 & 0x1f, value >> 5 & 0x3f, value & 0x1f);
    (red << 3 | red >> 2) << 16 | (green << 2 | green >> 4) << 8 | (blue << 3 | blue >> 2)
}

/// `colour` laid over a pixel. `coverage` of 255 is all of it.
#[inline]
fn over<const N: usize>(pixel: [u8; N], colour: Colour, coverage: u32) -> [u8; N] {
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
        // Divided by 255, exactly.
        (sum + (sum >> 8 & LANES)) >> 8 & LANES
    };
    mix(below & LANES, above & LANES) | mix(below >> 8 & 0xff, above >> 8 & 0xff) << 8
}

type Point = (f32, f32);

impl Sign {
    /// Line segments in a square of side 1.
    fn strokes(self) -> &'static [(Point, Point)] {
        match self {
            Self::Check => &[((0.29, 0.52), (0.44, 0.67)), ((0.44, 0.67), (0.72, 0.36))],
            Self::Cross => &[((0.34, 0.34), (0.66, 0.66)), ((0.66, 0.34), (0.34, 0.66))],
            Self::Exclamation => &[((0.5, 0.27), (0.5, 0.55)), ((0.5, 0.715), (0.5, 0.72))],
            Self::Clock => &[((0.5, 0.25), (0.5, 0.52)), ((0.5, 0.52), (0.66, 0.61))],
        }
    }
}

/// From a point to a line segment.
fn distance_squared(p: Point, a: Point, b: Point) -> f32 {
    let (ab, ap) = ((b.0 - a.0, b.1 - a.1), (p.0 - a.0, p.1 - a.1));
    let squared = ab.0 * ab.0 + ab.1 * ab.1;
    let t = ((ap.0 * ab.0 + ap.1 * ab.1) / squared).clamp(0.0, 1.0);
    let away = (ap.0 - t * ab.0, ap.1 - t * ab.1);
    away.0 * away.0 + away.1 * away.1
}

/// Of a vector. `hypot` guards against numbers far larger than any panel's, and took a tenth of a picture's time.
fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANEL: Geometry = Geometry { width: 5, height: 3, format: PixelFormat::Xrgb8888 };

    #[test]
    fn a_page_is_turned_clockwise() {
        let mark = |x, y, colour| Mark { area: Rect::new(x, y, 1, 1), kind: Kind::Fill { colour, radius: 0 } };
        // Where the page's first corner comes to lie, and the corner to the right of it.
        for (rotation, first, right) in [
            (Rotation::None, (0, 0), (4, 0)),
            (Rotation::Quarter, (4, 0), (4, 2)),
            (Rotation::Half, (4, 2), (0, 2)),
            (Rotation::ThreeQuarters, (0, 2), (0, 0)),
        ] {
            let (w, _) = rotation.page_size(PANEL);
            let page = [mark(0, 0, 0x0a_0b0c), mark(w - 1, 0, 0x0d_0e0f)];
            let out = Brush::new().draw(&page, PANEL, rotation, Rect::new(0, 0, 5, 3));
            let at = |(x, y): (usize, usize)| &out[(y * 5 + x) * 4..][..4];
            assert_eq!((at(first), at(right)), (&[0x0c, 0x0b, 0x0a, 0][..], &[0x0f, 0x0e, 0x0d, 0][..]), "{rotation:?}");
            assert_eq!(out.iter().filter(|byte| **byte != 0).count(), 6, "{rotation:?}: nothing else");
            let part = Rect::new(1, 0, 3, 2);
            assert_eq!(rotation.to_panel(rotation.to_page(part, PANEL), PANEL), part, "{rotation:?}");
        }
    }

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

    #[test]
    fn a_sign_is_what_its_distances_say_whole_and_in_parts() {
        let (size, ground, disc, stroke) = (47, 0x10_2030, 0xff_0000, 0x00_ff00);
        let area = Rect::new(3, 2, size, size);
        for sign in [Sign::Check, Sign::Cross, Sign::Exclamation, Sign::Clock] {
            for part in [Rect::new(0, 0, 60, 60), Rect::new(20, 9, 11, 30), Rect::new(0, 40, 60, 20)] {
                let mut canvas = Canvas::<4> { area: part, pixels: vec![packed(ground); part.pixels()], ..Canvas::new() };
                canvas.sign(area, area.common(part).expect("some"), sign, disc, stroke);
                for (i, pixel) in (0..).zip(&canvas.pixels) {
                    let (x, y) = (part.x + i % part.w - area.x, part.y + i / part.w - area.y);
                    let at = ((x as f32 + 0.5) / size as f32, (y as f32 + 0.5) / size as f32);
                    let over =
                        |below, above, distance: f32| over(below, above, ((0.5 - distance * size as f32).clamp(0.0, 1.0) * 255.0) as u32);
                    let below = over(packed::<4>(ground), disc, length(at.0 - 0.5, at.1 - 0.5) - 0.49);
                    let line = sign.strokes().iter().map(|&(a, b)| distance_squared(at, a, b)).fold(f32::MAX, f32::min).sqrt();
                    assert_eq!(*pixel, over(below, stroke, line - 0.045), "{sign:?} {part:?} at {x},{y}");
                }
            }
        }
    }

    #[test]
    fn rounded_corners_let_the_ground_through_and_the_middle_does_not() {
        let page = [(0x11_1111, 0), (0xff_ffff, 6)]
            .map(|(colour, radius)| Mark { area: Rect::new(0, 0, 20, 20), kind: Kind::Fill { colour, radius } });
        let panel = Geometry { width: 20, height: 20, format: PixelFormat::Xrgb8888 };
        let out = Brush::new().draw(&page, panel, Rotation::None, Rect::new(0, 0, 20, 20));
        let at = |x: usize, y: usize| out[(y * 20 + x) * 4];
        for (x, y) in [(0, 0), (19, 0), (0, 19), (19, 19)] {
            assert_eq!((at(x, y), at(10, y), at(x, 10), at(10, 10)), (0x11, 0xff, 0xff, 0xff));
        }
    }
}
