//! Idle: the items that customers can buy.

use super::{Align, Page};
use crate::fonts::{Style, Weight};
use crate::geometry::Rect;
use crate::picture::Missing;
use crate::settings::Item;
use qris_core::order::ids::ItemId;

impl Page<'_> {
    /// The items with their prices, and "ready", or what is missing, so that a sale is doubtful. `false`: there is
    /// nothing to list or no room for a list, and nothing is drawn. What is sold out has that word in the place of its price.
    pub(super) fn shelf(&mut self, offline: Option<Missing>, sold_out: &[ItemId]) -> bool {
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
            Some(missing) => (self.theme.warn(), format!("{} ({})", self.texts.offline, missing.as_str())),
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
            let greeting = Some(&*self.settings.greeting).filter(|greeting| offline.is_none() && !greeting.is_empty());
            let (words, room) = (greeting.unwrap_or(self.texts.choose), Rect::new(margin, y, column, title.line()));
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

        let area = Rect::new(margin, top, column, foot - top);
        let plan = self.plan(area, name, sold_out);
        // If not everything fits, the last place says how many items are missing.
        let room = (plan.rows * plan.columns) as usize;
        let shown = if items.len() > room { room.saturating_sub(1) } else { items.len() };
        for (i, item) in (0..).zip(items.iter().take(shown).map(Some).chain((shown < items.len()).then_some(None))) {
            let x = area.x + (i / plan.rows) * (plan.width + self.px(GAP));
            let row = Rect::new(x, top + (i % plan.rows) * plan.row, plan.width, plan.row);
            let Some(item) = item else {
                let more = format!("+ {} {}", items.len() - shown, self.texts.more_items);
                self.text(row, &more, plan.style, self.theme.muted, Align::Centre);
                continue;
            };
            // A line, and not a card: nobody should take it for a button.
            self.fill(Rect::new(row.x, row.y + row.h - self.px(2).max(1), row.w, self.px(2).max(1)), self.theme.card, 0);
            let is_there = !sold_out.contains(&item.id);
            let (accent, text) = if is_there { (self.theme.accent, self.theme.text) } else { (self.theme.muted, self.theme.muted) };
            let price = self.price(item, sold_out);
            self.text(row, &price, self.price_style(plan.style, &price, row.w), accent, Align::Right);
            if plan.slot > 0 {
                self.text(row, item.id.as_str(), plan.style, accent, Align::Left);
            }
            let words = self.room_for_name(&plan, item, sold_out);
            let lines = self.name_lines(&plan, item, sold_out);
            let first = row.y + (row.h - plan.style.line() * lines.len() as i32) / 2;
            for (line, line_text) in (0..).zip(&lines) {
                let place = Rect::new(row.x + plan.slot, first + line * plan.style.line(), words, plan.style.line());
                self.text(place, line_text, plan.style, text, Align::Left);
            }
        }
        true
    }

    /// The largest letters with which every name is whole; of two ways, the one with fewer columns. Letters that are much too small help
    /// nobody: then names are cut, or items are left out.
    fn plan(&self, area: Rect, usual: Style, sold_out: &[ItemId]) -> Plan {
        let items = &self.settings.items;
        let most = if self.w * 4 > self.h * 5 { 2 } else { 1 };
        let with = |columns: i32, style: Style| {
            let width = (area.w - self.px(GAP) * (columns - 1)) / columns;
            let wanted = (items.len() as i32 + columns - 1) / columns;
            let least = style.line() + self.px(6);
            let row = (area.h / wanted).clamp(least, usual.line() * 3).min(area.h);
            let rows = (area.h / row).clamp(1, wanted);
            let slots = items.iter().map(|item| item.id.as_str());
            let widest = slots.clone().map(|slot| self.fonts.width(style, slot)).max().unwrap_or(0);
            let plan = Plan { columns, rows, row, width, slot: widest + style.px as i32 * 2 / 3, style };
            let has_room = |item: &Item| self.room_for_name(&plan, item, sold_out) >= style.px as i32 * 4;
            let has_slots = slots.clone().all(|slot| slot.len() <= SLOT_MAX) && items.iter().all(has_room);
            if has_slots { plan } else { Plan { slot: 0, ..plan } }
        };
        let has_all = |plan: &Plan| (plan.rows * plan.columns) as usize >= items.len();
        let is_whole = |item: &Item, plan: &Plan| !self.name_lines(plan, item, sold_out).iter().any(|line| line.ends_with('…'));
        let sizes = self.letter_px_min.max(usual.px * 3 / 5)..=usual.px;
        let plans = || sizes.clone().rev().flat_map(|px| (1..=most).map(move |columns| with(columns, Style { px, ..usual })));
        let whole = plans().find(|plan| has_all(plan) && items.iter().all(|item| is_whole(item, plan)));
        whole.or_else(|| plans().find(has_all)).unwrap_or_else(|| with(most, usual))
    }

    fn price_style(&self, style: Style, price: &str, width: i32) -> Style {
        self.fitted(style, price, width / 2)
    }

    /// The price, or that it is sold out.
    fn price(&self, item: &Item, sold_out: &[ItemId]) -> String {
        if sold_out.contains(&item.id) {
            return self.texts.sold_out.into();
        }
        item.price.map_or_else(String::new, |price| price.to_string())
    }

    fn room_for_name(&self, plan: &Plan, item: &Item, sold_out: &[ItemId]) -> i32 {
        let price = self.price(item, sold_out);
        plan.width - plan.slot - self.fonts.width(self.price_style(plan.style, &price, plan.width), &price) - self.px(GAP)
    }

    fn name_lines(&self, plan: &Plan, item: &Item, sold_out: &[ItemId]) -> Vec<String> {
        let most = ((plan.row / plan.style.line()) as usize).clamp(1, 2);
        self.fonts.balanced(plan.style, item.name(self.language), self.room_for_name(plan, item, sold_out), most)
    }
}

/// The room between two columns, and between name and price, on a page of 480×800.
const GAP: i32 = 16;
/// A slot's name with more letters is for machines, and not for customers.
const SLOT_MAX: usize = 4;

/// How the items stand.
struct Plan {
    columns: i32,
    rows: i32,
    /// The height of a row.
    row: i32,
    /// The width of a column.
    width: i32,
    /// The width of the slots' names, with the room after them; 0: they are not shown.
    slot: i32,
    style: Style,
}
