//! What a column is stacked of: lines of text, cards, signs, a countdown.

use super::{Align, HURRY, LETTER_PX_MIN, PAGE_GAP, Page};
use crate::device::screen::fonts::{Style, Weight};
use crate::device::screen::message::colours;
use crate::device::screen::paint::{Colour, Kind, Mark, Rect, Sign};
use crate::device::screen::qr::Code;
use crate::device::screen::text::countdown;
use crate::order::time::Span;
use std::rc::Rc;

/// Something as wide as its column, stacked with others.
pub(super) enum Block {
    Gap(i32),
    Sign(Sign, Colour, i32),
    Line {
        text: String,
        style: Style,
        colour: Colour,
    },
    /// A label over a value, on a white card.
    Card {
        label: &'static str,
        lines: Vec<String>,
        style: Style,
    },
    Steps(Style),
    /// A second code with the words beside it.
    Page(Rc<Code>, Vec<String>, Style),
    /// The label, what is left, and its colour. Its own mark, so that a tick redraws no more.
    Countdown {
        label: &'static str,
        left: String,
        style: Style,
        colour: Colour,
    },
}

impl Page<'_> {
    pub(super) fn countdown(&self, left: Span) -> Block {
        Block::Countdown {
            label: self.texts.time_left,
            left: countdown(left),
            style: self.style(Weight::Bold, 30),
            colour: if left < HURRY { colours::STOP } else { colours::INK },
        }
    }

    pub(super) fn lines(
        &self,
        text: &str,
        style: Style,
        colour: Colour,
        room: i32,
        lines_max: usize,
    ) -> impl Iterator<Item = Block> + use<> {
        self.fonts.balanced(style, text, room, lines_max).into_iter().map(move |text| Block::Line { text, style, colour })
    }

    /// An order number in even pieces that fit: somebody will type it, so nothing of it may be left out.
    pub(super) fn in_pieces(&self, text: &str, style: Style, room: i32) -> Vec<String> {
        let characters: Vec<char> = text.chars().collect();
        let piece =
            |pieces: usize| characters.chunks(characters.len().div_ceil(pieces).max(1)).map(|piece| piece.iter().collect()).collect();
        let fits = |lines: &Vec<String>| lines.iter().all(|line| self.fonts.width(style, line) <= room);
        (1..=characters.len()).map(piece).find(fits).unwrap_or_default()
    }

    /// The customer's page as a code, and what it is good for.
    pub(super) fn page_beside(&self, code: Rc<Code>, text: &str, px: i32, room: i32) -> Block {
        let style = self.style(Weight::Regular, px);
        let room = room - code.side_px() as i32 - self.px(PAGE_GAP);
        let lines = (code.side_px() as i32 / style.line()).max(1) as usize;
        Block::Page(code, self.fonts.balanced(style, text, room, lines), style)
    }

    /// A payment code in groups of four, as people read numbers to each other, on as few lines as they fit.
    pub(super) fn in_groups(&self, code: &str, style: Style, room: i32) -> Vec<String> {
        let characters: Vec<char> = code.chars().collect();
        let groups: Vec<String> = characters.chunks(4).map(|group| group.iter().collect()).collect();
        let lines = |lines: usize| groups.chunks(groups.len().div_ceil(lines).max(1)).map(|line| line.join(" ")).collect::<Vec<String>>();
        let fits = |lines: &Vec<String>| lines.iter().all(|line| self.fonts.width(style, line) <= room);
        (1..=groups.len()).map(lines).find(fits).unwrap_or(groups.clone())
    }

    pub(super) fn height(&self, blocks: &[Block]) -> i32 {
        blocks.iter().map(|block| self.block_height(block)).sum()
    }

    pub(super) fn block_height(&self, block: &Block) -> i32 {
        match block {
            Block::Gap(px) | Block::Sign(_, _, px) => *px,
            Block::Line { style, .. } | Block::Countdown { style, .. } => style.line(),
            Block::Steps(style) => style.line() + self.px(10),
            Block::Page(code, ..) => code.side_px() as i32,
            Block::Card { lines, style, .. } => self.style(Weight::Regular, 18).line() + style.line() * lines.len() as i32 + self.px(28),
        }
    }

    pub(super) fn stack(&mut self, area: Rect, blocks: Vec<Block>) {
        let mut y = area.y;
        for block in blocks {
            let place = Rect { y, h: self.block_height(&block), ..area };
            y += place.h;
            match block {
                Block::Gap(_) => {}
                Block::Sign(sign, disc, size) => {
                    let area = Rect::new(place.x + (place.w - size) / 2, place.y, size, size);
                    // White on colour, or the colour of the page on white.
                    let stroke = if disc == colours::WHITE { self.ground() } else { colours::WHITE };
                    self.marks.push(Mark { area, kind: Kind::Sign { sign, disc, stroke } });
                }
                Block::Line { text, style, colour } => self.text(place, &text, style, colour, Align::Centre),
                Block::Steps(style) => self.steps(place, style),
                Block::Page(code, lines, style) => {
                    let side = code.side_px() as i32;
                    let area = Rect::new(place.x + place.w - side, place.y, side, side);
                    self.marks.push(Mark { area, kind: Kind::Qr(code) });
                    let (w, gap) = (place.w - side - self.px(PAGE_GAP), side - style.line() * lines.len() as i32);
                    for (line, text) in (0..).zip(&lines) {
                        let y = place.y + gap.max(0) / 2 + line * style.line();
                        self.text(Rect::new(place.x, y, w, style.line()), text, style, colours::MUTED, Align::Right);
                    }
                }
                Block::Countdown { label, left, style, colour } => {
                    let label_style = self.style(Weight::Regular, 22);
                    let digits = self.fonts.width(style, "88:88");
                    let label_width = self.fonts.width(label_style, label);
                    let gap = self.px(12);
                    // The digits explain themselves where there is no room to.
                    let before = if label_width + gap + digits <= place.w { label_width + gap } else { 0 };
                    let x = place.x + (place.w - digits - before).max(0) / 2;
                    if before > 0 {
                        self.text(Rect { x, w: label_width, ..place }, label, label_style, colours::MUTED, Align::Left);
                    }
                    self.text(Rect { x: x + before, w: digits, ..place }, &left, style, colour, Align::Left);
                }
                Block::Card { label, lines, style } => {
                    self.fill(place, colours::CARD, self.px(14));
                    let label_style = self.style(Weight::Regular, 18);
                    let upper = Rect { y: place.y + self.px(12), h: label_style.line(), ..place };
                    self.text(upper, label, label_style, colours::MUTED, Align::Centre);
                    for (line, text) in (0..).zip(&lines) {
                        let place = Rect { y: upper.y + upper.h + line * style.line(), h: style.line(), ..place };
                        self.text(place, text, style, colours::INK, Align::Centre);
                    }
                }
            }
        }
    }

    /// How to pay in three words, numbered where there is room for numbers, and left out where there is none for words.
    pub(super) fn steps(&mut self, place: Rect, style: Style) {
        let words = [self.texts.step_open, self.texts.step_scan, self.texts.step_pay];
        let number = |style: Style| Style { px: (style.px * 3 / 4).max(LETTER_PX_MIN), ..style };
        let disc = |style: Style| number(style).line() + style.px as i32 / 4;
        let widths = |style: Style, before: i32| words.map(|word| before + self.fonts.width(style, word));
        let before = |style: Style| disc(style) + style.px as i32 / 3;
        let total = |style: Style, before: i32| widths(style, before).iter().sum::<i32>() + 2 * style.px as i32;
        let mut style = style;
        while style.px > LETTER_PX_MIN && total(style, before(style)) > place.w {
            style.px -= 1;
        }
        let numbered = total(style, before(style)) <= place.w;
        let before = if numbered { before(style) } else { 0 };
        if total(style, before) > place.w {
            return;
        }
        let mut x = place.x + (place.w - total(style, before)) / 2;
        for ((word, width), n) in words.into_iter().zip(widths(style, before)).zip(["1", "2", "3"]) {
            if numbered {
                let disc = disc(style);
                let circle = Rect::new(x, place.y + (place.h - disc) / 2, disc, disc);
                self.fill(circle, colours::ACCENT, disc / 2);
                self.text(circle, n, number(style), colours::WHITE, Align::Centre);
            }
            self.text(Rect { x: x + before, w: width - before, ..place }, word, style, colours::INK, Align::Left);
            x += width + style.px as i32;
        }
    }
}
