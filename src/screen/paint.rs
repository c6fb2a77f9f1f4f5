//! Pixels: the parts of a page, drawn into any part of it.
//!
//! A page is a list of [`Mark`]s. Each mark knows its own area. So two pages can be compared without a pixel, and any
//! rectangle can be drawn alone: a countdown costs its few rows. Of a new page only the rows are drawn that differ from
//! the old page. Most rows are like the row above, and the marks say so; each kind of row is drawn once. They are drawn
//! in bands that stay in the cache. A canvas of the panel's size would lie in memory all day.

mod canvas;
mod sign;

use super::fonts::{Fonts, Style};
use super::geometry::{Geometry, PixelFormat, Rect, Rotation};
use super::logo::Logo;
use super::qr::Code;
use canvas::Canvas;
use std::ops::Range;
use std::sync::Arc;

/// The number of rows drawn at a time: with a panel 480 pixels wide, 30 KiB.
const BAND: i32 = 16;
/// Drawn rows are handed on when they have this many bytes, unless a QR code comes or goes.
const HANDFUL: usize = 48 * 1024;
/// This many bytes are kept for the next picture, enough for one with a QR code on a panel of 480×800. Otherwise the system
/// would give and take them page by page in every sale.
const KEPT: usize = 400 * 1024;

/// `0x00RRGGBB`.
pub(super) type Colour = u32;

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Mark {
    /// No part of it lies outside.
    pub(super) area: Rect,
    pub(super) kind: MarkKind,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum MarkKind {
    /// One colour, with corners rounded by so many pixels.
    Fill { colour: Colour, radius: i32 },
    /// One line of text. `x` is where it begins; this need not be where its area begins.
    Text { text: Box<str>, style: Style, colour: Colour, x: i32 },
    /// A disc with a sign.
    Sign { sign: Sign, disc: Colour, stroke: Colour },
    /// A QR code with its quiet zone, black on white.
    Qr(Arc<Code>),
    /// A picture, as large as its area, over the marks below it.
    Picture(Arc<Logo>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sign {
    Check,
    Cross,
    Exclamation,
    Clock,
}

/// The parts in which two pages of the same size differ; `None` if that is nearly everything.
pub(super) fn changes(old: &[Mark], new: &[Mark]) -> Option<Vec<Rect>> {
    let differ = |(old, new): (&Mark, &Mark)| (old != new).then(|| old.area.around(new.area));
    (old.len() == new.len()).then(|| old.iter().zip(new).filter_map(differ).collect())
}

pub(super) fn qr_changes(old: &[Mark], new: &[Mark]) -> bool {
    let code = |page: &[Mark]| page.iter().position(|mark| matches!(mark.kind, MarkKind::Qr(_)));
    match (code(old), code(new)) {
        (None, None) => false,
        (Some(a), Some(b)) => old[a] != new[b],
        _ => true,
    }
}

/// The painter, with its memory, which it uses again for every picture.
pub(super) struct Brush {
    fonts: Fonts,
    /// For a panel with 16 bits a pixel, and for one with 32.
    narrow: Canvas<2>,
    wide: Canvas<4>,
    /// Rows in the panel's format, each kind once.
    bytes: Vec<u8>,
    /// For each row of the panel, from the first one in `bytes` on: which row of `bytes` it is.
    which: Vec<usize>,
}

/// Two pages on one panel.
pub(super) struct Change<'a> {
    pub(super) geometry: Geometry,
    pub(super) rotation: Rotation,
    /// The page on the panel; empty if that is not known.
    pub(super) old: &'a [Mark],
    pub(super) new: &'a [Mark],
    /// Everything is handed over in one go, even without a QR code.
    pub(super) in_one: bool,
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

    /// Hands over, from top to bottom, the rows of the panel in which the pages differ: the number of the first row, and
    /// the bytes of it and of the rows below. A QR code comes and goes in one go with all other changes. So it never
    /// stands beside a part of another code or beside another amount.
    pub(super) fn rows<E>(&mut self, change: &Change<'_>, mut put: impl FnMut(i32, &[&[u8]]) -> Result<(), E>) -> Result<(), E> {
        let Change { geometry, rotation, new, .. } = *change;
        let (width, row) = (geometry.width as i32, geometry.width as usize * geometry.format.bytes());
        let mut differing = change.differing_rows();
        // Nobody knows what an earlier run left on the panel. It may be a QR code.
        let at_once = change.in_one || change.old.is_empty() || qr_changes(change.old, new);
        if let (true, Some(first), Some(last)) = (at_once, differing.first(), differing.last()) {
            differing = std::iter::once(first.start..last.end).collect();
        }
        let kinds = change.kinds_of_rows();
        // If everything must go out at once, its memory is taken in one piece and need not grow.
        let own = if at_once { differing.iter().map(|dirty| 1 + count(&kinds[dirty.start as usize..dirty.end as usize])).sum() } else { 0 };
        self.bytes.reserve_exact((own * row).max(HANDFUL + BAND as usize * row));
        for dirty in differing {
            let (mut first, mut y) = (dirty.start, dirty.start);
            while y < dirty.end {
                let mut end = y + 1;
                if y == first || kinds[y as usize] {
                    // The next rows that lie beside one another and are each of their own kind.
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

    fn rows_of(&self, mark: &Mark) -> Range<i32> {
        let area = self.rotation.to_panel(mark.area, self.geometry);
        area.y.max(0)..(area.y + area.h).min(self.height())
    }

    /// The rows that do not have the same marks, in the same order, on both pages.
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

    /// For each row of the panel: may it differ from the row above on the new page?
    fn kinds_of_rows(&self) -> Vec<bool> {
        let mut own = vec![false; self.geometry.height as usize + 1];
        let mut all = |rows: Range<i32>| own[rows.start as usize..=rows.end as usize].fill(true);
        for mark in self.new {
            let rows = self.rows_of(mark);
            // The edges of a mark's inside, where the panel's edge does not cut it.
            let (top, end) = (rows.start, rows.end);
            if rows.is_empty() {
                continue;
            }
            match &mark.kind {
                // Each of its rows, and the first row below it.
                MarkKind::Text { .. } | MarkKind::Sign { .. } | MarkKind::Picture(_) => all(rows),
                MarkKind::Fill { radius, .. } => {
                    all(top..(top + radius).min(end));
                    all((end - radius).max(top)..end);
                }
                MarkKind::Qr(code) => {
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
    pub(super) fn page_size(self, panel: Geometry) -> (i32, i32) {
        match self {
            Self::None | Self::Half => (panel.width as i32, panel.height as i32),
            Self::Quarter | Self::ThreeQuarters => (panel.height as i32, panel.width as i32),
        }
    }

    fn to_page(self, r: Rect, panel: Geometry) -> Rect {
        let (w, h) = (panel.width as i32, panel.height as i32);
        match self {
            Self::None => r,
            Self::Quarter => Rect::new(r.y, w - r.x - r.w, r.h, r.w),
            Self::Half => Rect::new(w - r.x - r.w, h - r.y - r.h, r.w, r.h),
            Self::ThreeQuarters => Rect::new(h - r.y - r.h, r.x, r.h, r.w),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    const PANEL: Geometry = Geometry { width: 5, height: 3, format: PixelFormat::Xrgb8888 };

    #[test]
    fn a_page_is_turned_clockwise() {
        let mark = |x, y, colour| Mark { area: Rect::new(x, y, 1, 1), kind: MarkKind::Fill { colour, radius: 0 } };
        // The place of the page's first corner, and of the corner to the right of it.
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
    fn rounded_corners_let_the_ground_through_and_the_middle_does_not() {
        let page = [(0x11_1111, 0), (0xff_ffff, 6)]
            .map(|(colour, radius)| Mark { area: Rect::new(0, 0, 20, 20), kind: MarkKind::Fill { colour, radius } });
        let panel = Geometry { width: 20, height: 20, format: PixelFormat::Xrgb8888 };
        let out = Brush::new().draw(&page, panel, Rotation::None, Rect::new(0, 0, 20, 20));
        let at = |x: usize, y: usize| out[(y * 20 + x) * 4];
        for (x, y) in [(0, 0), (19, 0), (0, 19), (19, 19)] {
            assert_eq!((at(x, y), at(10, y), at(x, 10), at(10, 10)), (0x11, 0xff, 0xff, 0xff));
        }
    }
}
