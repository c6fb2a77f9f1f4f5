//! The blocks of a column: lines of text, cards, signs, a countdown.

use super::{Align, HURRY, PAGE_GAP, ScreenPage};
use crate::fonts::{Style, Weight};
use crate::geometry::Rect;
use crate::paint::{Colour, Mark, MarkKind, Sign};
use crate::qr::Code;
use crate::text::countdown;
use crate::theme::{BLACK, WHITE, clearer};
use qris_core::order::time::Span;
use std::sync::Arc;

/// A thing as wide as its column, stacked with others.
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
    /// How to pay in three words, side by side.
    Steps(Style),
    /// The same words, one below the other.
    StepList(Style),
    /// One text at each side of a line.
    Sides(StyledText, StyledText),
    /// A second code with its words beside it.
    Page(Arc<Code>, Vec<String>, Style, Colour),
    /// The label, the time left, and its colour. It is a mark of its own, so that a tick redraws no more.
    Countdown {
        label: &'static str,
        left: String,
        style: Style,
        colour: Colour,
    },
}

pub(super) type StyledText = (String, Style, Colour);

impl ScreenPage<'_> {
    pub(super) fn countdown(&self, left: Span) -> Block {
        Block::Countdown {
            label: self.texts.time_left,
            left: countdown(left),
            style: self.style(Weight::Bold, 30),
            colour: self.hurry(left),
        }
    }

    fn hurry(&self, left: Span) -> Colour {
        if left < HURRY { self.theme.stop() } else { self.theme.text }
    }

    pub(super) fn amount_and_time(&self, amount: String, left: Span, room: i32) -> Block {
        let time = (countdown(left), self.style(Weight::Bold, 32), self.hurry(left));
        self.amount_beside((amount, self.style(Weight::Bold, 44), self.theme.text), time, room)
    }

    /// The amount and another text in one line. If the sum would be cut off, it has the line for itself.
    pub(super) fn amount_beside(&self, amount: StyledText, right: StyledText, room: i32) -> Block {
        if self.beside_fits(&amount, &right, room) {
            return self.sides(amount, right, room);
        }
        Block::Line { style: self.fitted_whole(amount.1, &amount.0, room), text: amount.0, colour: amount.2 }
    }

    fn beside_fits(&self, left: &StyledText, right: &StyledText, room: i32) -> bool {
        let least = |text: &StyledText| self.fonts.width(Style { px: self.letter_px_min, ..text.1 }, &text.0);
        least(right) <= room / 2 && least(left) + self.px(16) + least(right) <= room
    }

    /// How to pay in three words, and the time left, in one line. Words that would be cut off are left out.
    pub(super) fn steps_and_time(&self, left: Span, room: i32) -> Block {
        let time = (countdown(left), self.style(Weight::Bold, 28), self.hurry(left));
        let steps = |open| {
            let steps = [open, self.texts.step_scan, self.texts.step_pay].join(" · ");
            (steps, self.style(Weight::Bold, 22), self.theme.accent)
        };
        let steps = [self.texts.step_open, self.texts.step_open_small].map(steps);
        match steps.into_iter().find(|steps| self.beside_fits(steps, &time, room)) {
            Some(steps) => self.sides(steps, time, room),
            None => self.countdown(left),
        }
    }

    /// Two texts in one line. The left one is as large as the right one allows.
    pub(super) fn sides(&self, left: StyledText, right: StyledText, room: i32) -> Block {
        // A text that would be cut off has the line for itself.
        let both = self.fonts.width(Style { px: self.letter_px_min, ..left.1 }, &left.0)
            + self.fonts.width(Style { px: self.letter_px_min, ..right.1 }, &right.0);
        if self.by_page && both > room && left.0 == self.texts.small_page {
            return Block::Line { style: self.fitted(left.1, &left.0, room), text: left.0, colour: left.2 };
        }
        let right = (right.0.clone(), self.fitted(right.1, &right.0, room / 2), right.2);
        let taken = self.fonts.width(right.1, &right.0) + self.px(16);
        let style = self.fitted(left.1, &left.0, room - taken);
        Block::Sides((left.0, style, left.2), right)
    }

    /// The steps in a column. They stand below one another if `height` allows it or there is no room side by side. If
    /// they would be cut off, they are left out.
    pub(super) fn steps_block(&self, style: Style, room: i32, height: bool) -> Block {
        let words = [self.texts.step_open, self.texts.step_scan, self.texts.step_pay];
        let widths = words.map(|word| self.fonts.width(style, word));
        let list = *widths.iter().max().unwrap_or(&0) <= room;
        let row = widths.iter().sum::<i32>() + style.px as i32 * 8 <= room;
        match (row, list) {
            (true, _) => Block::Steps(style),
            (false, true) if height || style.px <= self.letter_px_min => Block::StepList(style),
            _ => Block::Steps(style),
        }
    }

    fn step_disc(&self, style: Style) -> i32 {
        style.line() + self.px(4)
    }

    /// The whole text in any room: its lines are broken at spaces, and within a word that is too long for a line. For
    /// texts that somebody types in or must not misread.
    pub(super) fn whole(&self, text: &str, style: Style, colour: Colour, room: i32) -> Vec<Block> {
        let (style, lines) = self.whole_lines(text, style, room);
        lines.into_iter().map(|text| Block::Line { text, style, colour }).collect()
    }

    fn whole_lines(&self, text: &str, style: Style, room: i32) -> (Style, Vec<String>) {
        let longest = text.split_whitespace().max_by_key(|word| self.fonts.width(style, word)).unwrap_or_default();
        let style = self.fitted(style, longest, room);
        let fits = self.fonts.width(style, longest) <= room;
        let lines = if fits {
            self.fonts.balanced(style, text, room, text.len())
        } else {
            text.split_whitespace().flat_map(|word| self.in_pieces(word, style, room)).collect()
        };
        (style, lines)
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

    /// An order number in even pieces that fit. Somebody types it in, so no part of it may be left out.
    pub(super) fn in_pieces(&self, text: &str, style: Style, room: i32) -> Vec<String> {
        let characters: Vec<char> = text.chars().collect();
        let piece =
            |pieces: usize| characters.chunks(characters.len().div_ceil(pieces).max(1)).map(|piece| piece.iter().collect()).collect();
        let fits = |lines: &Vec<String>| lines.iter().all(|line| self.fonts.width(style, line) <= room);
        (1..=characters.len()).map(piece).find(fits).unwrap_or_default()
    }

    pub(super) fn page_beside(&self, code: Arc<Code>, text: &str, (px, colour): (i32, Colour), room: i32) -> Block {
        let style = self.style(Weight::Regular, px);
        let room = room - code.side_px() as i32 - self.px(PAGE_GAP);
        let lines = (code.side_px() as i32 / style.line()).max(1) as usize;
        Block::Page(code, self.fonts.balanced(style, text, room, lines), style, colour)
    }

    /// The code of the customer's page, with the whole text beside it.
    pub(super) fn whole_beside(&self, code: Arc<Code>, text: &str, style: Style, colour: Colour, room: i32) -> Block {
        let (style, lines) = self.whole_lines(text, style, room - code.side_px() as i32 - self.px(PAGE_GAP));
        Block::Page(code, lines, style, colour)
    }

    /// A code or number in its groups, as people read them to each other, on as few lines as possible.
    pub(super) fn in_groups(&self, groups: &[String], style: Style, room: i32) -> Vec<String> {
        let lines = |lines: usize| groups.chunks(groups.len().div_ceil(lines).max(1)).map(|line| line.join(" ")).collect::<Vec<String>>();
        let fits = |lines: &Vec<String>| lines.iter().all(|line| self.fonts.width(style, line) <= room);
        (1..=groups.len()).map(lines).find(fits).unwrap_or(groups.into())
    }

    pub(super) fn height(&self, blocks: &[Block]) -> i32 {
        blocks.iter().map(|block| self.block_height(block)).sum()
    }

    pub(super) fn block_height(&self, block: &Block) -> i32 {
        match block {
            Block::Gap(px) | Block::Sign(_, _, px) => *px,
            Block::Line { style, .. } | Block::Countdown { style, .. } => style.line(),
            Block::Sides(left, right) => left.1.line().max(right.1.line()),
            Block::Steps(style) => style.line() + self.px(10),
            Block::StepList(style) => 3 * (style.line() + self.px(6)),
            Block::Page(code, lines, style, _) => (code.side_px() as i32).max(style.line() * lines.len() as i32),
            Block::Card { lines, style, .. } => self.style(Weight::Regular, 18).line() + style.line() * lines.len() as i32 + self.px(28),
        }
    }

    /// From the top of the area downwards. A block that would leave the area at its foot is left out.
    pub(super) fn stack(&mut self, area: Rect, blocks: Vec<Block>) {
        let mut y = area.y;
        for block in blocks {
            let place = Rect { y, h: self.block_height(&block), ..area };
            if y + place.h > area.y + area.h {
                continue;
            }
            y += place.h;
            match block {
                Block::Gap(_) => {}
                Block::Sign(sign, disc, size) => {
                    let area = Rect::new(place.x + (place.w - size) / 2, place.y, size, size);
                    // The stroke is white or black on colour, whichever is clearer, or the colour of the page on white.
                    let stroke = if disc == WHITE { self.ground() } else { clearer(WHITE, BLACK, disc) };
                    self.marks.push(Mark { area, kind: MarkKind::Sign { sign, disc, stroke } });
                }
                Block::Line { text, style, colour } => self.text(place, &text, style, colour, Align::Centre),
                Block::Steps(style) => self.steps(place, style),
                Block::StepList(style) => self.step_list(place, style),
                Block::Sides((left, left_style, left_colour), (right, right_style, right_colour)) => {
                    let taken = self.fonts.width(right_style, &right);
                    let left_room = Rect { w: place.w - taken - self.px(8), ..place };
                    // Two letters and dots say nothing.
                    let told = self.fonts.shortened(left_style, &left, left_room.w).chars().count();
                    let left = if told < left.chars().count().min(6) { String::new() } else { left };
                    self.text(left_room, &left, left_style, left_colour, Align::Left);
                    self.text(Rect { x: place.x + place.w - taken, w: taken, ..place }, &right, right_style, right_colour, Align::Right);
                }
                Block::Page(code, lines, style, colour) => {
                    let side = code.side_px() as i32;
                    let before = place.w - side;
                    self.code(code, place.x + if lines.is_empty() { before / 2 } else { before }, place.y);
                    let (w, gap) = (before - self.px(PAGE_GAP), side - style.line() * lines.len() as i32);
                    for (line, text) in (0..).zip(&lines) {
                        let y = place.y + gap.max(0) / 2 + line * style.line();
                        self.text(Rect::new(place.x, y, w, style.line()), text, style, colour, Align::Right);
                    }
                }
                Block::Countdown { label, left, style, colour } => {
                    let label_style = self.style(Weight::Regular, 22);
                    let digits = self.fonts.width(style, "88:88");
                    let label_width = self.fonts.width(label_style, label);
                    let gap = self.px(12);
                    // The digits explain themselves if the label has no room.
                    let before = if label_width + gap + digits <= place.w { label_width + gap } else { 0 };
                    let x = place.x + (place.w - digits - before).max(0) / 2;
                    if before > 0 {
                        self.text(Rect { x, w: label_width, ..place }, label, label_style, self.theme.muted, Align::Left);
                    }
                    self.text(Rect { x: x + before, w: digits, ..place }, &left, style, colour, Align::Left);
                }
                Block::Card { label, lines, style } => {
                    self.fill(place, self.theme.card, self.px(14));
                    let label_style = self.style(Weight::Regular, 18);
                    let upper = Rect { y: place.y + self.px(12), h: label_style.line(), ..place };
                    self.text(upper, label, label_style, self.theme.muted, Align::Centre);
                    for (line, text) in (0..).zip(&lines) {
                        let place = Rect { y: upper.y + upper.h + line * style.line(), h: style.line(), ..place };
                        self.text(place, text, style, self.theme.text, Align::Centre);
                    }
                }
            }
        }
    }

    /// How to pay in three words. They have numbers if there is room for numbers. Without room for the words they are left out.
    pub(super) fn steps(&mut self, place: Rect, style: Style) {
        let words = [self.texts.step_open, self.texts.step_scan, self.texts.step_pay];
        let least = self.letter_px_min;
        let number = |style: Style| Style { px: (style.px * 3 / 4).max(least), ..style };
        let disc = |style: Style| number(style).line() + style.px as i32 / 4;
        let widths = |style: Style, before: i32| words.map(|word| before + self.fonts.width(style, word));
        let before = |style: Style| disc(style) + style.px as i32 / 3;
        let total = |style: Style, before: i32| widths(style, before).iter().sum::<i32>() + 2 * style.px as i32;
        let mut style = style;
        while style.px > least && total(style, before(style)) > place.w {
            style.px -= 1;
        }
        let before = before(style);
        if total(style, before) > place.w {
            let line = words.join(" · ");
            if self.fonts.width(style, &line) <= place.w {
                self.text(place, &line, style, self.theme.text, Align::Centre);
            }
            return;
        }
        let mut x = place.x + (place.w - total(style, before)) / 2;
        for ((word, width), n) in words.into_iter().zip(widths(style, before)).zip(["1", "2", "3"]) {
            let disc = disc(style);
            let circle = Rect::new(x, place.y + (place.h - disc) / 2, disc, disc);
            self.fill(circle, self.theme.accent, disc / 2);
            self.text(circle, n, number(style), clearer(WHITE, BLACK, self.theme.accent), Align::Centre);
            self.text(Rect { x: x + before, w: width - before, ..place }, word, style, self.theme.text, Align::Left);
            x += width + style.px as i32;
        }
    }

    /// The same words, one step a line. They have numbers if there is room for numbers.
    fn step_list(&mut self, place: Rect, style: Style) {
        let row = place.h / 3;
        let disc = self.step_disc(style).min(row);
        let number = Style { px: (style.px * 3 / 4).max(self.letter_px_min), ..style };
        let words = [self.texts.step_open, self.texts.step_scan, self.texts.step_pay];
        let widest = words.iter().map(|word| self.fonts.width(style, word)).max().unwrap_or(0);
        let before = disc + style.px as i32 / 2;
        let before = if before + widest <= place.w { before } else { 0 };
        let x = place.x + (place.w - before - widest).max(0) / 2;
        for ((line, word), n) in (0..).zip(words).zip(["1", "2", "3"]) {
            let y = place.y + line * row;
            if before > 0 {
                let circle = Rect::new(x, y + (row - disc) / 2, disc, disc);
                self.fill(circle, self.theme.accent, disc / 2);
                self.text(circle, n, number, clearer(WHITE, BLACK, self.theme.accent), Align::Centre);
            }
            let beside = Rect::new(x + before, y, place.x + place.w - x - before, row);
            self.text(beside, word, style, self.theme.text, Align::Left);
        }
    }
}
