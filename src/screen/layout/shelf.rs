//! Idle: the items that customers can buy.

use super::{Align, Page};
use crate::fonts::Weight;
use crate::geometry::Rect;

impl Page<'_> {
    /// The items with their prices, and "ready", or the reason code that makes a sale doubtful. `false`: there is
    /// nothing to list or no room for a list, and nothing is drawn.
    pub(super) fn shelf(&mut self, offline: Option<&str>) -> bool {
        let items = &self.settings.items;
        let body = self.body(true);
        let margin = self.px(20);
        let column = self.w - 2 * margin;
        let ready = self.style(Weight::Bold, 20);
        let small = self.style(Weight::Regular, 20);
        let name = self.style(Weight::Bold, 24);
        // On a low page the rows are worth more than a title.
        let title = Some(self.style(Weight::Bold, 36)).filter(|_| self.h >= 200);
        let least = name.line() + self.px(24);
        let top = body.y + margin + ready.line() + self.px(2) + title.map_or(0, |title| title.line() + self.px(14));
        let foot = body.y + body.h - small.line() - self.px(12);
        if items.is_empty() || foot - top < least || column < name.px as i32 * 6 {
            return false;
        }
        self.header(self.theme.ground, true);

        let mut y = body.y + margin;
        let (colour, state) = match offline {
            None => (self.theme.good(), self.texts.ready.to_owned()),
            Some(code) => (self.theme.warn(), format!("{} ({code})", self.texts.offline)),
        };
        let dot = ready.line() / 2;
        // A person who repairs the machine also finds the code in its status.
        let cut = self.fonts.width(ready, &state) > column - dot - self.px(10);
        let state = if cut && offline.is_some() { self.texts.offline.to_owned() } else { state };
        self.fill(Rect::new(margin, y + ready.line() / 4, dot, dot), colour, dot / 2);
        let beside = Rect::new(margin + dot + self.px(10), y, column - dot - self.px(10), ready.line());
        self.text(beside, &state, ready, colour, Align::Left);
        y += ready.line() + self.px(2);
        if let Some(title) = title {
            let (words, room) = (self.texts.choose, Rect::new(margin, y, column, title.line()));
            self.text(room, words, self.fitted(title, words, column), self.theme.text, Align::Left);
        }
        let words = if offline.is_some() { self.texts.offline_more } else { self.texts.pay_with_more };
        let small = self.fitted(small, words, column);
        let words = match self.fonts.width(small, words) <= column {
            true => words,
            // Half of a warning does not warn. Its subject stands at the top.
            false if offline.is_some() => "",
            false => self.texts.pay_with,
        };
        self.text(Rect::new(margin, foot, column, small.line()), words, small, self.theme.muted, Align::Centre);

        let gap = self.px(10);
        // Long names need long rows. So there is a second column only if one column cannot hold all items.
        let in_one = (foot - top) / (least + gap) >= items.len() as i32;
        let columns = if self.w * 4 > self.h * 5 && !in_one { 2 } else { 1 };
        // Rows are as tall as reason allows: with few items, tall enough for names in two lines.
        let wanted = (items.len() as i32 + columns - 1) / columns;
        let row = ((foot - top) / wanted - gap).clamp(least, name.line() * 3).min(foot - top);
        let rows = ((foot - top) / (row + gap)).clamp(1, wanted);
        let room = (rows * columns) as usize;
        // If not everything fits, the last place says how many items are missing.
        let shown = if items.len() > room { room.saturating_sub(1) } else { items.len() };
        let width = (column - gap * (columns - 1)) / columns;
        for (i, item) in (0..).zip(items.iter().take(shown).map(Some).chain((shown < items.len()).then_some(None))) {
            let area = Rect::new(margin + (i / rows) * (width + gap), top + (i % rows) * (row + gap), width, row);
            let inner = Rect::new(area.x + self.px(18), area.y, area.w - 2 * self.px(18), area.h);
            let Some(item) = item else {
                let more = format!("+ {} {}", items.len() - shown, self.texts.more_items);
                self.text(inner, &more, name, self.theme.muted, Align::Centre);
                continue;
            };
            self.fill(area, self.theme.card, self.px(12));
            let price = item.price.map_or_else(String::new, |price| price.to_string());
            let price_style = self.fitted(name, &price, inner.w / 2);
            let price_width = self.fonts.width(price_style, &price);
            self.text(inner, &price, price_style, self.theme.accent, Align::Right);
            let words = inner.w - price_width - gap;
            let lines = self.fonts.balanced(name, item.name(self.language), words, ((row / name.line()) as usize).clamp(1, 2));
            let first = inner.y + (inner.h - name.line() * lines.len() as i32) / 2;
            for (line, text) in (0..).zip(&lines) {
                let place = Rect::new(inner.x, first + line * name.line(), words, name.line());
                self.text(place, text, name, self.theme.text, Align::Left);
            }
        }
        true
    }
}
