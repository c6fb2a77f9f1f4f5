//! Letters. They are measured, shortened, wrapped and turned into coverage. Each raster is made once.
//!
//! `bold.ttf` and `regular.ttf` are subsets of DejaVu Sans; `FONT-LICENSE` says how they were made.

use ab_glyph::{Font as _, FontRef, GlyphId, PxScale};
use std::borrow::Cow;

/// The most rasters that are kept: a few hundred kilobytes. The texts of one machine need far fewer.
const RASTERS_MAX: usize = 768;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// A font at a size: the height of its em square in pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Style {
    pub(super) weight: Weight,
    pub(super) px: u32,
}

impl Style {
    /// The height of a line. No letter reaches outside of it.
    pub(super) fn line(self) -> i32 {
        (self.px as f32 * 1.2).ceil() as i32
    }

    /// From the top of a line to the foot of its letters.
    pub(super) fn baseline(self) -> i32 {
        (self.px as f32 * 0.95).round() as i32
    }
}

/// One letter's coverage, 0 to 255, and its place from the pen on the baseline.
pub(super) struct Raster {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) width: usize,
    pub(super) coverage: Box<[u8]>,
}

pub(super) struct Fonts {
    bold: Face,
    regular: Face,
    /// By style, of which a page has a handful; within a style by glyph.
    rasters: Vec<(Style, Vec<Option<Raster>>)>,
    rastered: usize,
}

/// A font. The values that every letter needs are looked up once.
struct Face {
    font: FontRef<'static>,
    ascii: [Letter; 128],
}

/// The glyph of a letter, and how far it moves the pen, in ems.
#[derive(Clone, Copy)]
struct Letter {
    glyph: GlyphId,
    advance: f32,
}

impl Face {
    fn new(bytes: &'static [u8]) -> Self {
        let font = FontRef::try_from_slice(bytes).expect("the embedded font is sound");
        let ascii = std::array::from_fn(|code| look_up(&font, char::from(code as u8)));
        Self { font, ascii }
    }

    fn letter(&self, c: char) -> Letter {
        self.ascii.get(c as usize).copied().unwrap_or_else(|| look_up(&self.font, c))
    }
}

impl Fonts {
    pub(super) fn new() -> Self {
        let (bold, regular) = (Face::new(include_bytes!("bold.ttf")), Face::new(include_bytes!("regular.ttf")));
        Self { bold, regular, rasters: Vec::new(), rastered: 0 }
    }

    /// Width of the text in pixels, rounded up.
    pub(super) fn width(&self, style: Style, text: &str) -> i32 {
        text.chars().map(|c| self.advance(style, c)).sum::<f32>().ceil() as i32
    }

    /// The text if it fits into `room` pixels, else its beginning with an ellipsis.
    pub(super) fn shortened<'a>(&self, style: Style, text: &'a str, room: i32) -> Cow<'a, str> {
        if self.width(style, text) <= room {
            return text.into();
        }
        let room = room as f32 - self.advance(style, '…') - 1.0;
        let mut used = 0.0;
        let fits = |&(_, c): &(usize, char)| {
            used += self.advance(style, c);
            used <= room
        };
        let end = text.char_indices().take_while(fits).last().map_or(0, |(at, c)| at + c.len_utf8());
        format!("{}…", text[..end].trim_end()).into()
    }

    /// The text in lines of at most `room` pixels, broken at spaces. If it does not fit into `lines_max`, its end is shortened.
    pub(super) fn wrapped(&self, style: Style, text: &str, room: i32, lines_max: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            let full = lines.len() >= lines_max;
            match lines.last_mut() {
                Some(line) if full || self.width(style, line) + self.width(style, " ") + self.width(style, word) <= room => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.into()),
            }
        }
        for line in &mut lines {
            if let Cow::Owned(short) = self.shortened(style, line, room) {
                *line = short;
            }
        }
        lines
    }

    /// The text in as few lines as with [`Fonts::wrapped`], as even in length as they can be.
    pub(super) fn balanced(&self, style: Style, text: &str, room: i32, lines_max: usize) -> Vec<String> {
        let lines = self.wrapped(style, text, room, lines_max);
        if lines.len() < 2 || lines.iter().any(|line| line.ends_with('…')) {
            return lines;
        }
        let even = |room: &i32| {
            let narrower = self.wrapped(style, text, *room, lines.len() + 1);
            (narrower.len() == lines.len() && !narrower.iter().any(|line| line.ends_with('…'))).then_some(narrower)
        };
        let step = (room / 16).max(1);
        (1..8).map(|n| room - n * step).map_while(|room| even(&room)).last().unwrap_or(lines)
    }

    /// Each letter's pen position, in whole pixels from the start of the text, with its raster.
    pub(super) fn letters(&mut self, style: Style, text: &str, mut each: impl FnMut(i32, &Raster)) {
        if self.rastered >= RASTERS_MAX {
            (self.rasters, self.rastered) = (Vec::new(), 0);
        }
        let known = self.rasters.iter().position(|(known, _)| *known == style);
        let at = known.unwrap_or_else(|| {
            self.rasters.push((style, Vec::new()));
            self.rasters.len() - 1
        });
        let mut rasters = std::mem::take(&mut self.rasters[at].1);
        let mut pen = 0.0_f32;
        for c in text.chars() {
            let Letter { glyph, advance } = self.face(style.weight).letter(c);
            let place = usize::from(glyph.0);
            if place >= rasters.len() {
                rasters.resize_with(place + 1, || None);
            }
            let raster = rasters[place].get_or_insert_with(|| {
                self.rastered += 1;
                raster(&self.face(style.weight).font, style.px, glyph)
            });
            each(pen.round() as i32, raster);
            pen += advance * style.px as f32;
        }
        self.rasters[at].1 = rasters;
    }

    fn advance(&self, style: Style, c: char) -> f32 {
        self.face(style.weight).letter(c).advance * style.px as f32
    }

    fn face(&self, weight: Weight) -> &Face {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }
}

/// A letter that the subset lacks shows as a question mark and does not vanish.
fn look_up(font: &FontRef<'static>, c: char) -> Letter {
    let c = if c.is_whitespace() { ' ' } else { c };
    let glyph = match font.glyph_id(c) {
        GlyphId(0) => font.glyph_id('?'),
        glyph => glyph,
    };
    Letter { glyph, advance: font.h_advance_unscaled(glyph) / units_per_em(font) }
}

/// The first letter that the fonts lack: a question mark would stand in its place.
#[must_use]
pub fn unknown_letter(text: &str) -> Option<char> {
    let fonts = [include_bytes!("bold.ttf").as_slice(), include_bytes!("regular.ttf")];
    let fonts = fonts.map(|bytes| FontRef::try_from_slice(bytes).expect("the embedded font is sound"));
    let known = |c: char| c.is_whitespace() || fonts.iter().all(|font| font.glyph_id(c) != GlyphId(0));
    text.chars().find(|c| !known(*c))
}

fn units_per_em(font: &FontRef<'static>) -> f32 {
    font.units_per_em().expect("the embedded font names its em")
}

fn raster(font: &FontRef<'static>, px: u32, glyph: GlyphId) -> Raster {
    // ab_glyph scales by the height of the line, not by the em square.
    let scale = PxScale::from(px as f32 * font.height_unscaled() / units_per_em(font));
    let Some(outline) = font.outline_glyph(glyph.with_scale(scale)) else {
        return Raster { left: 0, top: 0, width: 0, coverage: Box::default() };
    };
    let bounds = outline.px_bounds();
    let (width, height) = (bounds.width() as usize, bounds.height() as usize);
    let mut coverage = vec![0; width * height].into_boxed_slice();
    outline.draw(|x, y, c| coverage[y as usize * width + x as usize] = (c.clamp(0.0, 1.0) * 255.0).round() as u8);
    Raster { left: bounds.min.x as i32, top: bounds.min.y as i32, width, coverage }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style { weight: Weight::Bold, px: 30 };

    #[test]
    fn shortened_and_wrapped_texts_keep_to_their_room() {
        let fonts = Fonts::new();
        for text in ["Teh", "Teh botol dingin 350 ml rasa melati", "Wwwwwwwwwwwwwwwwwwwwwwwww", "日本 ☕ <b>", "", "…"] {
            for room in [60, 200, 444] {
                assert!(fonts.width(STYLE, &fonts.shortened(STYLE, text, room)) <= room, "{text:?} in {room}");
                let lines = fonts.wrapped(STYLE, text, room, 2);
                assert!(lines.len() <= 2 && lines.iter().all(|line| fonts.width(STYLE, line) <= room), "{lines:?} in {room}");
            }
        }
        assert_eq!(fonts.shortened(STYLE, "Teh", 200), "Teh");
        assert!(fonts.shortened(STYLE, "Teh botol dingin 350 ml", 200).ends_with('…'));
        assert_eq!(fonts.wrapped(STYLE, "Teh botol dingin", 200, 2), ["Teh botol", "dingin"]);
    }

    #[test]
    fn letters_stay_within_their_line_and_unknown_ones_are_seen() {
        let mut fonts = Fonts::new();
        for weight in [Weight::Regular, Weight::Bold] {
            let style = Style { weight, px: 64 };
            fonts.letters(style, "ÅÉgjpqy|_(Q,Ç", |_, raster| {
                let height = raster.coverage.len().checked_div(raster.width).unwrap_or(0) as i32;
                assert!(style.baseline() + raster.top >= 0 && style.baseline() + raster.top + height <= style.line());
            });
            fonts.letters(style, "日", |_, raster| assert!(!raster.coverage.is_empty()));
        }
        assert_eq!(unknown_letter("Es krim “Café” – 100 %, Rp5.000 …"), None);
        assert_eq!(unknown_letter("Teh 日本"), Some('日'));
    }
}
