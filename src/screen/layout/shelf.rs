//! Lists of items: those that customers can buy while the machine is idle, and those that somebody fills.

use super::{Align, ScreenPage};
use crate::fonts::{Style, Weight};
use crate::geometry::Rect;
use crate::paint::Colour;
use crate::picture::{Content, Level, Missing};
use qris_core::order::ids::ItemId;
use qris_core::order::stock::NotSold;
use std::borrow::Cow;
use std::collections::BTreeMap;

impl ScreenPage<'_> {
    /// The items with their prices, and "ready", or what is missing, so that a sale is doubtful. `false`: there is nothing to list or no
    /// room for a list, and nothing is drawn. An item that is not sold has a word in the place of its price.
    pub(super) fn shelf(&mut self, offline: Option<Missing>, not_sold: &BTreeMap<ItemId, NotSold>) -> bool {
        let settings = self.settings;
        let texts = self.texts;
        let rows = settings.items.iter().map(|item| {
            let price = || item.price.map_or_else(String::new, |price| price.to_string());
            let (accent, text, right) = match not_sold.get(&item.id) {
                None => (self.theme.accent, self.theme.text, price()),
                Some(why) => (self.theme.muted, self.theme.muted, texts.no_price(*why).into()),
            };
            Row { slot: item.id.as_str(), name: item.name(self.language), right, accent, colour: accent, text, is_marked: false }
        });
        let rows: Vec<_> = rows.collect();
        let greeting = Some(&*settings.greeting).filter(|greeting| offline.is_none() && !greeting.is_empty());
        self.list(&match offline {
            None => List {
                state: (self.theme.good(), [texts.ready.into(), texts.ready.into()]),
                title: greeting.unwrap_or(texts.choose),
                foot: [texts.pay_with_more, texts.pay_with],
                is_by_slot: false,
                rows,
            },
            Some(missing) => List {
                // A person who repairs the machine also finds the code in its status.
                state: (self.theme.warn(), [format!("{} ({})", texts.offline, missing.as_str()).into(), texts.offline.into()]),
                title: texts.choose,
                // Half of a warning does not warn. Its subject stands at the top.
                foot: [texts.offline_more, ""],
                is_by_slot: false,
                rows,
            },
        })
    }

    /// The contents of the slots, for the person who fills them. `false`: there is no room for a list, and nothing is drawn.
    pub(super) fn filling(&mut self, slots: &[Content], pressed: Option<&ItemId>, is_refused: bool, by_switch: bool) -> bool {
        let (settings, texts, theme) = (self.settings, self.texts, self.theme);
        let rows = slots.iter().map(|slot| {
            let item = settings.items.iter().find(|item| item.id == slot.item);
            let (text, colour) = match slot.level {
                Level::Good(_) => (theme.text, theme.text),
                Level::Unknown | Level::Low(_) => (theme.text, theme.warn()),
                Level::Empty | Level::Suspect(_) | Level::Blocked(_) | Level::NotSold(_) => (theme.text, theme.stop()),
                Level::Filling(_) | Level::Counting(_) => (theme.accent, theme.accent),
            };
            let name = item.map_or(slot.item.as_str(), |item| item.name(self.language));
            let (slot_name, right, is_marked) = (slot.item.as_str(), texts.content(slot, !self.is_small()), pressed == Some(&slot.item));
            Row { slot: slot_name, name, right, accent: theme.accent, colour, text, is_marked }
        });
        // A low page has no title, so the first line says it.
        let (colour, state) = if is_refused { (theme.stop(), texts.not_changed) } else { (theme.accent, texts.filling) };
        self.list(&List {
            state: (colour, [state.into(), state.into()]),
            title: if slots.iter().any(|slot| matches!(slot.level, Level::Blocked(_))) { texts.blocked_how } else { texts.filling_how },
            foot: [if by_switch { texts.filling_switch } else { texts.filling_button }, ""],
            is_by_slot: true,
            rows: rows.collect(),
        })
    }

    fn list(&mut self, list: &List<'_>) -> bool {
        let body = self.body(true);
        let margin = self.px(20);
        let column = self.w - 2 * margin;
        let state_style = self.style(Weight::Bold, 20);
        let small = self.style(Weight::Regular, 20);
        let name = self.style(Weight::Bold, 24);
        // On a low page the rows are worth more than a title.
        let title = Some(self.style(Weight::Bold, 36)).filter(|_| self.h >= 200);
        let least = name.line() + self.px(24);
        let top = body.y + margin + state_style.line() + self.px(2) + title.map_or(0, |title| title.line() + self.px(14));
        let foot = body.y + body.h - small.line() - self.px(12);
        if list.rows.is_empty() || foot - top < least || column < name.px as i32 * 6 {
            return false;
        }
        self.header(self.theme.ground, true);

        let mut y = body.y + margin;
        let (colour, [state, shorter]) = &list.state;
        let dot = state_style.line() / 2;
        let cut = self.fonts.width(state_style, state) > column - dot - self.px(10);
        let state = if cut { shorter } else { state };
        self.fill(Rect::new(margin, y + state_style.line() / 4, dot, dot), *colour, dot / 2);
        let beside = Rect::new(margin + dot + self.px(10), y, column - dot - self.px(10), state_style.line());
        self.text(beside, state, state_style, *colour, Align::Left);
        y += state_style.line() + self.px(2);
        if let Some(title) = title {
            let room = Rect::new(margin, y, column, title.line());
            self.text(room, list.title, self.fitted(title, list.title, column), self.theme.text, Align::Left);
        }
        let [words, shorter] = list.foot;
        let small = self.fitted(small, words, column);
        let words = if self.fonts.width(small, words) <= column { words } else { shorter };
        self.text(Rect::new(margin, foot, column, small.line()), words, small, self.theme.muted, Align::Centre);

        let area = Rect::new(margin, top, column, foot - top);
        let plan = self.plan(area, name, list);
        // If not everything fits, the last place says how many items are missing. The one that somebody looks at is not among them.
        let room = (plan.rows * plan.columns) as usize;
        let shown = if list.rows.len() > room { room.saturating_sub(1) } else { list.rows.len() };
        let mut rows: Vec<_> = list.rows.iter().take(shown).map(Some).collect();
        if let (Some(marked), Some(last)) = (list.rows.iter().skip(shown).find(|row| row.is_marked), rows.last_mut()) {
            *last = Some(marked);
        }
        rows.extend((shown < list.rows.len()).then_some(None));
        for (i, row) in (0..).zip(rows) {
            let x = area.x + (i / plan.rows) * (plan.width + self.px(GAP));
            let place = Rect::new(x, top + (i % plan.rows) * plan.row, plan.width, plan.row);
            let Some(row) = row else {
                let more = format!("+ {} {}", list.rows.len() - shown, self.texts.more_items);
                self.text(place, &more, plan.style, self.theme.muted, Align::Centre);
                continue;
            };
            // A line, and not a card: nobody should take it for a button.
            let (line, thick) = if row.is_marked { (row.accent, self.px(5)) } else { (self.theme.card, self.px(2).max(1)) };
            self.fill(Rect::new(place.x, place.y + place.h - thick, place.w, thick), line, 0);
            self.text(place, &row.right, self.right_style(plan.style, &row.right, place.w), row.colour, Align::Right);
            if plan.slot > 0 {
                self.text(place, row.slot, plan.style, row.accent, Align::Left);
            }
            let words = self.room_for_name(&plan, row);
            let lines = self.name_lines(&plan, row);
            let first = place.y + (place.h - plan.style.line() * lines.len() as i32) / 2;
            for (line, line_text) in (0..).zip(&lines) {
                let place = Rect::new(place.x + plan.slot, first + line * plan.style.line(), words, plan.style.line());
                self.text(place, line_text, plan.style, row.text, Align::Left);
            }
        }
        true
    }

    /// The largest letters with which every name is whole; of two ways, the one with fewer columns. Letters that are much too small help
    /// nobody: then names are cut, or items are left out.
    fn plan(&self, area: Rect, usual: Style, List { rows, is_by_slot, .. }: &List<'_>) -> Plan {
        let most = if self.w * 4 > self.h * 5 { 2 } else { 1 };
        let with = |columns: i32, style: Style| {
            let width = (area.w - self.px(GAP) * (columns - 1)) / columns;
            let wanted = (rows.len() as i32 + columns - 1) / columns;
            let least = style.line() + self.px(6);
            let row = (area.h / wanted).clamp(least, usual.line() * 3).min(area.h);
            let count = (area.h / row).clamp(1, wanted);
            let widest = rows.iter().map(|row| self.fonts.width(style, row.slot)).max().unwrap_or(0);
            let plan = Plan { columns, rows: count, row, width, slot: widest + style.px as i32 * 2 / 3, style };
            let least = if *is_by_slot { 0 } else { style.px as i32 * 4 };
            let has_room = |row: &Row<'_>| self.room_for_name(&plan, row) >= least;
            let has_slots = rows.iter().all(|row| row.slot.len() <= SLOT_MAX && has_room(row));
            if has_slots { plan } else { Plan { slot: 0, ..plan } }
        };
        let has_all = |plan: &Plan| (plan.rows * plan.columns) as usize >= rows.len();
        let is_whole = |row: &Row<'_>, plan: &Plan| !self.name_lines(plan, row).iter().any(|line| line.ends_with('…'));
        let sizes = self.letter_px_min.max(usual.px * 3 / 5)..=usual.px;
        let plans = || sizes.clone().rev().flat_map(|px| (1..=most).map(move |columns| with(columns, Style { px, ..usual })));
        let whole = plans().find(|plan| has_all(plan) && rows.iter().all(|row| is_whole(row, plan)));
        whole.or_else(|| plans().find(has_all)).unwrap_or_else(|| with(most, usual))
    }

    fn right_style(&self, style: Style, right: &str, width: i32) -> Style {
        self.fitted(style, right, width / 2)
    }

    fn room_for_name(&self, plan: &Plan, row: &Row<'_>) -> i32 {
        let right = self.fonts.width(self.right_style(plan.style, &row.right, plan.width), &row.right);
        plan.width - plan.slot - right - self.px(GAP)
    }

    fn name_lines(&self, plan: &Plan, row: &Row<'_>) -> Vec<String> {
        let most = ((plan.row / plan.style.line()) as usize).clamp(1, 2);
        self.fonts.balanced(plan.style, row.name, self.room_for_name(plan, row), most)
    }
}

/// A list of items, with words above and below it. Of two texts the second is shorter, for where the first has no room.
struct List<'a> {
    /// How the machine is, behind a dot.
    state: (Colour, [Cow<'a, str>; 2]),
    title: &'a str,
    foot: [&'a str; 2],
    /// A slot's name is worth more than that of its goods: two slots may hold the same.
    is_by_slot: bool,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    slot: &'a str,
    name: &'a str,
    /// Its price, or what is in its slot.
    right: String,
    colour: Colour,
    /// The colour of the name, and that of the slot.
    text: Colour,
    accent: Colour,
    is_marked: bool,
}

/// The room between two columns, and between name and price, on a page of 480×800.
const GAP: i32 = 16;
/// A slot's name with more letters is for machines, and not for customers.
const SLOT_MAX: usize = 4;

struct Plan {
    columns: i32,
    rows: i32,
    row: i32,
    width: i32,
    /// The width of the slots' names, with the room after them; 0: they are not shown.
    slot: i32,
    style: Style,
}
