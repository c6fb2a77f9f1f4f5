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
/// So many bytes are kept for the next picture: more than a handful and the last band of it, and less than the C library
/// would take from the system and give back each time.
const KEPT: usize = 96 * 1024;

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
    canvas: Canvas,
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
        let canvas = Canvas { area: Rect::new(0, 0, 0, 0), pixels: Vec::new() };
        Self { fonts: Fonts::new(), canvas, bytes: Vec::new(), which: Vec::new() }
    }

    pub(super) fn fonts(&self) -> &Fonts {
        &self.fonts
    }

    /// Draws the part of a page that lies in `area` of the panel, in the panel's format, rows without padding.
    pub(super) fn draw(&mut self, page: &[Mark], geometry: Geometry, rotation: Rotation, area: Rect) -> Vec<u8> {
        let mut out = vec![0; area.pixels() * geometry.format.bytes()];
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
        self.bytes.reserve_exact(KEPT.max(own * row));
        for dirty in differing {
            let (mut first, mut y) = (dirty.start, dirty.start);
            while y < dirty.end {
                let mut end = y + 1;
                if y == first || kinds[y as usize] {
                    // As many rows as lie beside one another and are each of their own kind.
                    while end < dirty.end && end - y < BAND && kinds[end as usize] {
                        end += 1;
                    }
                    let from = self.bytes.len();
                    self.which.extend((from / row..).take((end - y) as usize));
                    let mut bytes = std::mem::take(&mut self.bytes);
                    bytes.resize(from + row * (end - y) as usize, 0);
                    self.draw_into(new, geometry, rotation, Rect::new(0, y, width, end - y), &mut bytes[from..]);
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

    fn draw_into(&mut self, page: &[Mark], geometry: Geometry, rotation: Rotation, area: Rect, out: &mut [u8]) {
        for (band, out) in (0..).zip(out.chunks_mut((area.w * BAND) as usize * geometry.format.bytes())) {
            let y = area.y + BAND * band;
            let on_panel = Rect { y, h: BAND.min(area.y + area.h - y), ..area };
            self.canvas.begin(rotation.to_page(on_panel, geometry), page);
            for mark in page {
                self.canvas.add(mark, &mut self.fonts);
            }
            self.canvas.copy_turned(rotation, geometry.format, on_panel, out);
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

/// A part of a page, as pixels.
struct Canvas {
    area: Rect,
    pixels: Vec<Colour>,
}

impl Canvas {
    /// Takes another part of a page: black, unless the page's ground covers it anyway.
    fn begin(&mut self, area: Rect, page: &[Mark]) {
        self.area = area;
        self.pixels.resize(area.pixels(), 0);
        let is_ground = |mark: &Mark| matches!(mark.kind, Kind::Fill { radius: 0, .. }) && mark.area.common(area) == Some(area);
        if !page.first().is_some_and(is_ground) {
            self.pixels.fill(0);
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
    fn row(&mut self, x: i32, y: i32, w: i32) -> &mut [Colour] {
        let start = ((y - self.area.y) * self.area.w + (x - self.area.x)) as usize;
        &mut self.pixels[start..start + w as usize]
    }

    fn fill(&mut self, area: Rect, part: Rect, colour: Colour, radius: i32) {
        for y in part.y..part.y + part.h {
            // How far into a rounded corner this row lies, and with it how many pixels of each end are not plain.
            let depth = (radius - (y - area.y)).max(radius - (area.y + area.h - 1 - y)).max(0);
            let inset = if depth > 0 { radius } else { 0 };
            if let Some(plain) = Rect::new(area.x + inset, y, area.w - 2 * inset, 1).common(part) {
                flood(self.row(plain.x, y, plain.w), colour);
            }
            for i in 0..inset {
                let (across, down) = ((radius - i) as f32 - 0.5, depth as f32 - 0.5);
                let coverage = ((radius as f32 - length(across, down) + 0.5).clamp(0.0, 1.0) * 255.0) as u32;
                for x in [area.x + i, area.x + area.w - 1 - i] {
                    if (part.x..part.x + part.w).contains(&x) {
                        let pixel = &mut self.row(x, y, 1)[0];
                        *pixel = blended(*pixel, colour, coverage);
                    }
                }
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one kind of mark, taken apart")]
    fn text(&mut self, area: Rect, part: Rect, fonts: &mut Fonts, style: Style, text: &str, x: i32, colour: Colour) {
        let baseline = area.y + style.baseline();
        fonts.letters(style, text, |pen, raster| {
            let Some(height) = raster.coverage.len().checked_div(raster.width) else { return };
            let letter = Rect::new(x + pen + raster.left, baseline + raster.top, raster.width as i32, height as i32);
            let Some(seen) = letter.common(part) else { return };
            for y in seen.y..seen.y + seen.h {
                let from = (y - letter.y) as usize * raster.width + (seen.x - letter.x) as usize;
                let coverage = &raster.coverage[from..from + seen.w as usize];
                for (pixel, &coverage) in self.row(seen.x, y, seen.w).iter_mut().zip(coverage) {
                    // Most of a letter is all or nothing.
                    match coverage {
                        0 => {}
                        255 => *pixel = colour,
                        _ => *pixel = blended(*pixel, colour, u32::from(coverage)),
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
            flood(self.row(start, y, end - start), disc);
            for x in (around.start..start).chain(end..around.end) {
                let pixel = &mut self.row(x, y, 1)[0];
                *pixel = blended(*pixel, disc, coverage(length(centre(x - area.x) - 0.5, v - 0.5) - RADIUS));
            }
            let reach = THICKNESS + 1.0 / size;
            let near = |(a, b): &&(Point, Point)| (a.1.min(b.1) - reach..=a.1.max(b.1) + reach).contains(&v);
            let strokes = sign.strokes().iter().filter(near);
            let extent = strokes.map(|(a, b)| (a.0.min(b.0) - reach, a.0.max(b.0) + reach)).reduce(|p, q| (p.0.min(q.0), p.1.max(q.1)));
            for x in extent.map_or(0..0, |(from, to)| columns(from, to)) {
                let at = (centre(x - area.x), v);
                let distance = sign.strokes().iter().map(|&(a, b)| distance_squared(at, a, b)).fold(f32::MAX, f32::min).sqrt();
                let pixel = &mut self.row(x, y, 1)[0];
                *pixel = blended(*pixel, stroke, coverage(distance - THICKNESS));
            }
        }
    }

    fn qr(&mut self, area: Rect, part: Rect, code: &Code) {
        const WHITE: Colour = 0xff_ffff;
        const BLACK: Colour = 0;
        for y in part.y..part.y + part.h {
            flood(self.row(part.x, y, part.w), WHITE);
        }
        let module = code.module_px() as i32;
        let quiet = QUIET_ZONE as i32 * module;
        for (row, dark) in code.rows().enumerate() {
            let Some(band) = Rect::new(area.x, area.y + quiet + row as i32 * module, area.w, module).common(part) else { continue };
            for y in band.y..band.y + band.h {
                for (column, _) in dark.iter().enumerate().filter(|(_, dark)| **dark) {
                    let square = Rect::new(area.x + quiet + column as i32 * module, y, module, 1);
                    if let Some(seen) = square.common(band) {
                        self.row(seen.x, y, seen.w).fill(BLACK);
                    }
                }
            }
        }
    }

    /// Copies all pixels into `out`, turned and in the panel's format.
    fn copy_turned(&self, rotation: Rotation, format: PixelFormat, on_panel: Rect, out: &mut [u8]) {
        let (w, h) = (self.area.w as isize, self.area.h as isize);
        // Of the panel's first pixel here, of one step right and of one step down: where in `self.pixels`.
        let (first, right, down) = match rotation {
            Rotation::None => (0, 1, w),
            Rotation::Quarter => ((h - 1) * w, -w, 1),
            Rotation::Half => (h * w - 1, -1, -w),
            Rotation::ThreeQuarters => (w - 1, w, -1),
        };
        let bytes = on_panel.w as usize * format.bytes();
        // The last row, as it is here and as it went out: most rows of a picture are like the one above.
        let mut last: (&[Colour], &[u8]) = (&[], &[]);
        for (y, out) in out.chunks_exact_mut(bytes).enumerate() {
            let start = first + y as isize * down;
            if right == 1 {
                let row = &self.pixels[start as usize..start as usize + on_panel.w as usize];
                if row == last.0 {
                    out.copy_from_slice(last.1);
                } else {
                    encode(format, row, out);
                }
                last = (row, out);
            } else {
                let row: Vec<Colour> = (0..on_panel.w as isize).map(|x| self.pixels[(start + x * right) as usize]).collect();
                encode(format, &row, out);
            }
        }
    }
}

/// Fills a row: doubled copies of its beginning, which the C library does sixteen pixels at a time.
fn flood(row: &mut [Colour], colour: Colour) {
    let mut done = row.len().min(8);
    row[..done].fill(colour);
    while done < row.len() {
        let more = done.min(row.len() - done);
        row.copy_within(..more, done);
        done += more;
    }
}

/// A row in the panel's format. Blocks of a fixed size are what the compiler makes vector instructions of.
fn encode(format: PixelFormat, row: &[Colour], out: &mut [u8]) {
    const BLOCK: usize = 16;
    match format {
        PixelFormat::Rgb565 => {
            let (blocks, rest) = row.as_chunks::<BLOCK>();
            let (outs, rest_out) = out.as_chunks_mut::<{ 2 * BLOCK }>();
            for (block, out) in blocks.iter().zip(outs) {
                let packed = block.map(packed);
                out.as_chunks_mut::<2>().0.iter_mut().zip(packed).for_each(|(out, packed)| *out = packed.to_le_bytes());
            }
            for (colour, out) in rest.iter().zip(rest_out.as_chunks_mut::<2>().0) {
                *out = packed(*colour).to_le_bytes();
            }
        }
        PixelFormat::Xrgb8888 => {
            for (colour, out) in row.iter().zip(out.as_chunks_mut::<4>().0) {
                *out = colour.to_le_bytes();
            }
        }
    }
}

/// RGB565.
#[inline(always)]
fn packed(colour: Colour) -> u16 {
    (((colour >> 8) & 0xf800) | ((colour >> 5) & 0x07e0) | ((colour >> 3) & 0x001f)) as u16
}

/// `coverage` of 255 is all `above`.
fn blended(below: Colour, above: Colour, coverage: u32) -> Colour {
    match coverage {
        0 => below,
        255 => above,
        _ => {
            let mix = |shift: u32| {
                let (below, above) = (below >> shift & 0xff, above >> shift & 0xff);
                ((below * (255 - coverage) + above * coverage + 127) / 255) << shift
            };
            mix(16) | mix(8) | mix(0)
        }
    }
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
            let mut out = [0; 2];
            encode(PixelFormat::Rgb565, &[colour], &mut out);
            assert_eq!(out, packed.to_le_bytes(), "{colour:06x}");
        }
        assert_eq!(blended(0x00_ff10, 0xff_0010, 128), 0x80_7f10);
    }

    #[test]
    fn a_sign_is_what_its_distances_say_whole_and_in_parts() {
        let (size, ground, disc, stroke) = (47, 0x10_2030, 0xff_0000, 0x00_ff00);
        let area = Rect::new(3, 2, size, size);
        for sign in [Sign::Check, Sign::Cross, Sign::Exclamation, Sign::Clock] {
            for part in [Rect::new(0, 0, 60, 60), Rect::new(20, 9, 11, 30), Rect::new(0, 40, 60, 20)] {
                let mut canvas = Canvas { area: part, pixels: vec![ground; part.pixels()] };
                canvas.sign(area, area.common(part).expect("some"), sign, disc, stroke);
                for (i, pixel) in (0..).zip(&canvas.pixels) {
                    let (x, y) = (part.x + i % part.w - area.x, part.y + i / part.w - area.y);
                    let at = ((x as f32 + 0.5) / size as f32, (y as f32 + 0.5) / size as f32);
                    let over = |below, above, distance: f32| {
                        blended(below, above, ((0.5 - distance * size as f32).clamp(0.0, 1.0) * 255.0) as u32)
                    };
                    let below = over(ground, disc, length(at.0 - 0.5, at.1 - 0.5) - 0.49);
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
