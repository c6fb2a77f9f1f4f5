//! The test card. A person who wires a panel sees on it in a minute whether size, edges, colours and codes are right.

use super::{Align, ScreenPage};
use crate::fonts::Weight;
use crate::geometry::Rect;
use crate::paint::Colour;
use crate::qr::Code;
use crate::theme::WHITE;
use std::sync::Arc;

/// The steps of each gradient: all that RGB565 has for red and blue.
const STEPS: i32 = 32;
const BLACK: Colour = 0;
/// The text that a phone reads in the card's code.
const ADDRESS: &str = "https://qrisd.invalid/screen-test";

impl ScreenPage<'_> {
    /// Its parts: a frame of one pixel at the very edge, the page's size, and an arrow that points up. Bars of pure colour
    /// have their names. Then follow gradients without a jump, and a code.
    pub(super) fn test_card(&mut self) {
        let (w, h) = (self.w, self.h);
        self.fill(Rect::new(0, 0, w, h), BLACK, 0);
        // The frame, and another one within it. A person sees if one of them is cut off.
        for (inset, colour) in [(0, WHITE), (1, BLACK), (2, WHITE), (3, BLACK)] {
            self.fill(Rect::new(inset, inset, w - 2 * inset, h - 2 * inset), colour, 0);
        }
        let inner = Rect::new(6, 6, w - 12, h - 12);
        let title = self.style(Weight::Bold, 24);
        let size = format!("{w} × {h}");
        self.text(Rect { h: title.line(), ..inner }, self.texts.up, title, WHITE, Align::Centre);
        self.arrow(Rect::new(inner.x, inner.y, title.line(), title.line()));
        self.text(Rect { y: inner.y + title.line(), h: title.line(), ..inner }, &size, title, WHITE, Align::Centre);
        let top = inner.y + 2 * title.line() + self.px(6);
        let below = inner.y + inner.h - top;
        // Codes want a square, colours want width.
        let code = Code::new(ADDRESS, (below.min(inner.w) * 11 / 20).unsigned_abs()).map(Arc::new);
        let side = code.as_ref().map_or(0, |code| code.side_px() as i32);
        let wide = self.is_wide();
        let bars = if wide {
            Rect::new(inner.x, top, inner.w - side - self.px(8), below)
        } else {
            Rect::new(inner.x, top, inner.w, below - side - self.px(8))
        };
        if let Some(code) = code {
            let x = if wide { inner.x + inner.w - side } else { inner.x + (inner.w - side) / 2 };
            let y = if wide { top + (below - side) / 2 } else { inner.y + inner.h - side };
            self.code(code, x, y);
        }
        self.bars(bars);
    }

    fn arrow(&mut self, area: Rect) {
        for row in 0..area.h {
            let width = area.w * row / area.h;
            self.fill(Rect::new(area.x + (area.w - width) / 2, area.y + row, width, 1), WHITE, 0);
        }
    }

    fn bars(&mut self, area: Rect) {
        let label = self.style(Weight::Bold, 18);
        let channels: [(&str, Colour); 4] =
            [(self.texts.red, 0xff_0000), (self.texts.green, 0x00_ff00), (self.texts.blue, 0x00_00ff), (self.texts.white, WHITE)];
        let row = (area.h / 4).max(0);
        let widest = channels.iter().map(|(name, _)| self.fonts.width(label, name)).max().unwrap_or(0);
        for ((i, (name, colour)), y) in (0..).zip(channels).zip((area.y..).step_by(row.max(1) as usize)) {
            let named = Rect::new(area.x, y, widest, row);
            if row >= label.line() {
                self.text(named, name, label, WHITE, Align::Left);
            }
            let bar = Rect::new(area.x + widest + self.px(8), y, area.w - widest - self.px(8), row - self.px(4));
            let half = bar.h / 2;
            self.fill(Rect { h: half, ..bar }, colour, 0);
            for step in 0..STEPS {
                let (from, to) = (bar.w * step / STEPS, bar.w * (step + 1) / STEPS);
                let value = (step * 255 / (STEPS - 1)).unsigned_abs();
                let mask = channels[i].1;
                self.fill(Rect::new(bar.x + from, bar.y + half, to - from, bar.h - half), (value * 0x01_0101) & mask, 0);
            }
        }
    }
}
