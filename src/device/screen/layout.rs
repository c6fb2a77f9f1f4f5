//! What stands where: a [`Picture`] laid out on a page of any size from 240×240 pixels.
//!
//! Everything is measured in the pixels of a 480×800 page and scaled from there. Where space runs short, words give way
//! to the QR code, never the other way round.

mod blocks;

use super::Settings;
use super::fonts::{Fonts, Style, Weight};
use super::message::{Message, colours};
use super::paint::{Colour, Kind, Mark, Rect, Sign};
use super::picture::{Picture, Scene};
use super::qr::Code;
use super::text::{Texts, texts};
use crate::order::time::{Boot, Span};
use blocks::Block;
use std::rc::Rc;

/// Below this many seconds the countdown turns red.
const HURRY: Span = Span::secs(20);
/// Letters are never smaller, in pixels.
const LETTER_PX_MIN: u32 = 12;
/// A QR code with smaller modules, in pixels, takes the room of the words around it.
const MODULE_PX_WANTED: u32 = 3;
/// A second code takes none of the room with which the first one's modules have so many pixels.
const MODULE_PX_BESIDE: u32 = 4;
/// Between the second code and its words, on a page of 480×800.
const PAGE_GAP: i32 = 14;
/// The room of the second code, on such a page.
const PAGE_CODE: i32 = 132;

/// Left and right of a message and of a payment code, on a page of 480×800.
const MESSAGE_MARGIN: i32 = 28;
const STORE_MARGIN: i32 = 20;

/// Lays pages out; keeps the last QR code, since making one costs more than everything else of a countdown's tick.
#[derive(Default)]
pub(super) struct Layout {
    code: Made,
    /// The smaller code beside it.
    page: Made,
}

/// A code with what it was made of.
type Made = Option<(Box<str>, i32, Option<Rc<Code>>)>;

impl Layout {
    /// The page of a picture. What is past its deadline has no QR code any more, whoever forgot to take it down.
    pub(super) fn page(&mut self, picture: &Picture, settings: &Settings, fonts: &Fonts, size: (i32, i32), now: Boot) -> Vec<Mark> {
        let mut page = Page::new(settings, fonts, size, picture.sandbox);
        match &picture.scene {
            Scene::Pay { payload, item, until, .. } if *until > now => {
                if !self.pay(&mut page, payload, &picture.scene, *until - now) {
                    page.message(Message::too_small(page.texts, item));
                }
            }
            Scene::PayAtStore { until, page: address, .. } if *until > now => {
                self.code = None;
                let beside = self.beside(address.as_deref(), &page);
                page.pay_at_store(&picture.scene, *until - now, beside.as_ref());
            }
            other => {
                *self = Self::default();
                match other {
                    Scene::Idle { trouble: None } => page.shelf(),
                    other => page.message(Message::of(other, page.texts)),
                }
            }
        }
        page.banners();
        page.marks
    }

    /// Gives up the header and the steps, then all but amount and countdown, until the QR code is large enough.
    fn pay(&mut self, page: &mut Page<'_>, payload: &str, scene: &Scene, left: Span) -> bool {
        let mut found = None;
        let address = if let Scene::Pay { page: Some(address), .. } = scene { Some(&**address) } else { None };
        let beside = self.beside(address, page);
        for words in [Words::Page, Words::All, Words::Few, Words::One] {
            let second = beside.clone().filter(|_| words == Words::Page);
            if words == Words::Page && second.is_none() {
                continue;
            }
            let plan = page.plan_pay(scene, left, words, second);
            if words == Words::Page && !page.holds(&plan) {
                continue;
            }
            let code = made(&mut self.code, payload, plan.qr.w.min(plan.qr.h));
            let least = if words == Words::Page { MODULE_PX_BESIDE } else { MODULE_PX_WANTED };
            let enough = code.as_ref().is_some_and(|code| code.module_px() >= least);
            found = code.map(|code| (plan, code));
            if enough {
                break;
            }
        }
        let Some((plan, code)) = found else { return false };
        page.put_pay(plan, code);
        true
    }
}

impl Layout {
    /// The code of the customer's page, if the page has room for one that can be read.
    fn beside(&mut self, address: Option<&str>, page: &Page<'_>) -> Option<Rc<Code>> {
        made(&mut self.page, address?, page.px(PAGE_CODE)).filter(|code| code.module_px() >= MODULE_PX_WANTED)
    }
}

/// The code of a text in this room; the one that was made last is not made again.
fn made(last: &mut Made, text: &str, room: i32) -> Option<Rc<Code>> {
    match last {
        Some((known, at, code)) if &**known == text && *at == room => code.clone(),
        _ => {
            let code = Code::new(text, u32::try_from(room).unwrap_or(0)).map(Rc::new);
            *last = Some((text.into(), room, code.clone()));
            code
        }
    }
}

/// How much is said beside a QR code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    /// All of them, and the code of the customer's page.
    Page,
    All,
    Few,
    One,
}

/// Where the parts of a payment go.
struct PayPlan {
    /// The room for the QR code.
    qr: Rect,
    header: bool,
    stacks: Vec<(Rect, Vec<Block>)>,
}

struct Page<'a> {
    settings: &'a Settings,
    texts: &'static Texts,
    fonts: &'a Fonts,
    marks: Vec<Mark>,
    w: i32,
    h: i32,
    /// Pixels here for a pixel of a 480×800 page.
    scale: f32,
    /// Height of each TEST banner, at the top and at the bottom.
    banner: i32,
}

impl<'a> Page<'a> {
    fn new(settings: &'a Settings, fonts: &'a Fonts, (w, h): (i32, i32), sandbox: bool) -> Self {
        let scale = ((w * h) as f32 / (480.0 * 800.0)).sqrt();
        let mut page = Self { settings, texts: texts(settings.language), fonts, marks: Vec::new(), w, h, scale, banner: 0 };
        page.banner = if sandbox { page.style(Weight::Bold, 20).line() + page.px(8) } else { 0 };
        page
    }

    /// The TEST banners, or their absence, come last: they lie over everything.
    fn banners(&mut self) {
        if self.banner > 0 {
            for y in [0, self.h - self.banner] {
                let area = Rect::new(0, y, self.w, self.banner);
                self.fill(area, colours::TEST, 0);
                let style = self.fitted(self.style(Weight::Bold, 20), self.texts.test, self.w - self.px(16));
                self.text(area, self.texts.test, style, colours::INK, Align::Centre);
            }
        }
    }

    /// The machine's name, and with what it can be paid. Returns what is left for the rest.
    fn header(&mut self, ground: Colour, shown: bool) -> Rect {
        self.fill(Rect::new(0, 0, self.w, self.h), ground, 0);
        let top = self.banner;
        let height = self.header_height(shown);
        if shown {
            self.fill(Rect::new(0, top, self.w, height), colours::HEADER, 0);
            let margin = self.px(20);
            let style = self.style(Weight::Bold, 20);
            let pay_with = self.fonts.width(style, self.texts.pay_with);
            let inner = Rect::new(margin, top, self.w - 2 * margin, height);
            self.text(inner, self.texts.pay_with, style, colours::ON_HEADER, Align::Right);
            let name = Rect { w: inner.w - pay_with - margin, ..inner };
            self.text(name, &self.settings.name, self.style(Weight::Bold, 26), colours::WHITE, Align::Left);
        }
        self.body(shown)
    }

    fn header_height(&self, shown: bool) -> i32 {
        if shown { self.style(Weight::Bold, 26).line() + self.px(24) } else { 0 }
    }

    fn body(&self, header: bool) -> Rect {
        let top = self.banner + self.header_height(header);
        Rect::new(0, top, self.w, self.h - top - self.banner)
    }

    fn plan_pay(&self, scene: &Scene, left: Span, words: Words, second: Option<Rc<Code>>) -> PayPlan {
        let Scene::Pay { item, amount, fee, .. } = scene else {
            return PayPlan { qr: self.body(false), header: false, stacks: Vec::new() };
        };
        let all = matches!(words, Words::Page | Words::All);
        let body = self.body(all);
        let margin = self.px(16);
        let beside = self.w * 4 > self.h * 5;
        let column = if beside { self.w - body.h.min(self.w * 3 / 5) - margin } else { self.w - 2 * margin };
        let amount_style = self.fitted(self.style(Weight::Bold, if words == Words::One { 44 } else { 62 }), &amount.to_string(), column);
        let mut head = Vec::new();
        if words != Words::One {
            head.extend(self.lines(item, self.style(Weight::Regular, 26), colours::MUTED, column, if beside { 2 } else { 1 }));
        }
        head.push(Block::Line { text: amount.to_string(), style: amount_style, colour: colours::INK });
        if let Some(fee) = fee {
            head.extend(self.lines(&self.texts.with_fee(*fee), self.style(Weight::Regular, 20), colours::MUTED, column, 2));
        }
        let mut foot = Vec::new();
        if let Some(code) = second {
            foot.extend([self.page_beside(code, self.texts.page, 20, column), Block::Gap(self.px(6))]);
        }
        if all {
            foot.extend([Block::Steps(self.style(Weight::Bold, 24)), Block::Gap(self.px(6))]);
        }
        foot.push(self.countdown(left));
        if beside {
            head.push(Block::Gap(self.px(24)));
            head.append(&mut foot);
            let qr = Rect { w: self.w - column - margin, ..body };
            let right = Rect::new(qr.w, body.y, column, body.h);
            let height = self.height(&head);
            let stack = Rect { y: right.y + ((right.h - height) / 2).max(0), h: height, ..right };
            return PayPlan { qr, header: all, stacks: vec![(stack, head)] };
        }
        let gap = if all { self.px(10) } else { self.px(2) };
        let (above, below) = (self.height(&head), self.height(&foot));
        let head_area = Rect::new(margin, body.y + gap, column, above);
        let foot_area = Rect::new(margin, body.y + body.h - below - gap, column, below);
        let qr = Rect::new(0, head_area.y + above, self.w, foot_area.y - head_area.y - above);
        PayPlan { qr, header: all, stacks: vec![(head_area, head), (foot_area, foot)] }
    }

    /// Whether none of the words stand outside.
    fn holds(&self, plan: &PayPlan) -> bool {
        let body = self.body(plan.header);
        plan.stacks.iter().all(|(area, _)| area.y >= body.y && area.y + area.h <= body.y + body.h)
    }

    fn put_pay(&mut self, plan: PayPlan, code: Rc<Code>) {
        self.header(colours::GROUND, plan.header);
        let side = code.side_px() as i32;
        let area = Rect::new(plan.qr.x + (plan.qr.w - side) / 2, plan.qr.y + (plan.qr.h - side) / 2, side, side);
        let border = ((plan.qr.w.min(plan.qr.h) - side) / 2).clamp(0, self.px(10));
        let card = Rect::new(area.x - border, area.y - border, side + 2 * border, side + 2 * border);
        self.fill(card, colours::CARD, border);
        self.marks.push(Mark { area, kind: Kind::Qr(code) });
        for (area, blocks) in plan.stacks {
            self.stack(area, blocks);
        }
    }

    /// A code to take along, as large as the page allows; on a small one with fewer words around it.
    fn pay_at_store(&mut self, scene: &Scene, left: Span, beside: Option<&Rc<Code>>) {
        for words in [Words::Page, Words::All, Words::Few, Words::One] {
            if words == Words::Page && beside.is_none() {
                continue;
            }
            let second = beside.filter(|_| words == Words::Page);
            let header = matches!(words, Words::Page | Words::All);
            let body = self.body(header);
            let (fits, scale) = self.scale_for(body, STORE_MARGIN, |page, room| page.store_blocks(scene, left, room, words, second));
            // The second code does not shrink, so that words which do are not made too small beside it.
            let fits = fits && (words != Words::Page || scale > 0.7 * self.scale);
            if fits || words == Words::One {
                self.header(colours::GROUND, header);
                return self.scaled(scale, body, STORE_MARGIN, |page, room| page.store_blocks(scene, left, room, words, second));
            }
        }
    }

    fn store_blocks(&self, scene: &Scene, left: Span, room: i32, words: Words, second: Option<&Rc<Code>>) -> Vec<Block> {
        let Scene::PayAtStore { code, store, item, amount, fee, within, .. } = scene else { return Vec::new() };
        let mut blocks = Vec::new();
        let all = matches!(words, Words::Page | Words::All);
        if all {
            blocks.extend(self.lines(item, self.style(Weight::Regular, 26), colours::MUTED, room, 2));
        }
        let style = self.fitted(self.style(Weight::Bold, 58), &amount.to_string(), room);
        blocks.push(Block::Line { text: amount.to_string(), style, colour: colours::INK });
        if let Some(fee) = fee.filter(|_| all) {
            blocks.extend(self.lines(&self.texts.with_fee(fee), self.style(Weight::Regular, 20), colours::MUTED, room, 2));
        }
        let style = self.style(Weight::Bold, 58);
        let lines = self.in_groups(code, style, room - 2 * self.px(16));
        blocks.extend([Block::Gap(self.px(18)), Block::Card { label: self.texts.payment_code, lines, style }, Block::Gap(self.px(18))]);
        blocks.extend(self.lines(&self.texts.pay_at_store(store, *within), self.style(Weight::Bold, 32), colours::ACCENT, room, 2));
        if let Some(code) = second {
            blocks.extend([Block::Gap(self.px(8)), self.page_beside(code.clone(), self.texts.take_along, 22, room)]);
        } else if words != Words::One {
            blocks.push(Block::Gap(self.px(8)));
            blocks.extend(self.lines(self.texts.photograph, self.style(Weight::Regular, 24), colours::INK, room, 4));
        }
        blocks.extend([Block::Gap(self.px(18)), self.countdown(left)]);
        blocks
    }

    /// Idle: what can be bought.
    fn shelf(&mut self) {
        let body = self.header(colours::GROUND, true);
        let margin = self.px(20);
        let column = self.w - 2 * margin;
        let ready = self.style(Weight::Bold, 20);
        let title = self.style(Weight::Bold, 36);
        let mut y = body.y + margin;
        let items = &self.settings.items;
        if items.is_empty() {
            let choose = self.texts.choose_on_machine;
            return self.message(Message::new(Sign::Check, colours::GOOD, self.texts.ready).line(choose).line(self.texts.pay_with_more));
        }
        let dot = ready.line() / 2;
        self.fill(Rect::new(margin, y + ready.line() / 4, dot, dot), colours::GOOD, dot / 2);
        let beside = Rect::new(margin + dot + self.px(10), y, column - dot - self.px(10), ready.line());
        self.text(beside, self.texts.ready, ready, colours::GOOD, Align::Left);
        y += ready.line() + self.px(2);
        self.text(Rect::new(margin, y, column, title.line()), self.texts.choose, title, colours::INK, Align::Left);
        y += title.line() + self.px(14);

        let small = self.style(Weight::Regular, 20);
        let foot = body.y + body.h - small.line() - self.px(12);
        self.text(Rect::new(margin, foot, column, small.line()), self.texts.pay_with_more, small, colours::MUTED, Align::Centre);

        let name = self.style(Weight::Bold, 24);
        let gap = self.px(10);
        let columns = if self.w * 4 > self.h * 5 { 2 } else { 1 };
        // Rows are as tall as they can be within reason: tall enough for names in two lines if there are few.
        let least = name.line() + self.px(24);
        let wanted = (items.len() as i32 + columns - 1) / columns;
        let row = ((foot - y) / wanted - gap).clamp(least, name.line() * 3);
        let rows = ((foot - y) / (row + gap)).clamp(1, wanted);
        let room = (rows * columns) as usize;
        // Where not everything fits, the last place says how much is missing.
        let shown = if items.len() > room { room.saturating_sub(1) } else { items.len() };
        let width = (column - gap * (columns - 1)) / columns;
        for (i, item) in (0..).zip(items.iter().take(shown).map(Some).chain((shown < items.len()).then_some(None))) {
            let area = Rect::new(margin + (i / rows) * (width + gap), y + (i % rows) * (row + gap), width, row);
            let inner = Rect::new(area.x + self.px(18), area.y, area.w - 2 * self.px(18), area.h);
            let Some((item, price)) = item else {
                let more = format!("+ {} {}", items.len() - shown, self.texts.more_items);
                self.text(inner, &more, name, colours::MUTED, Align::Centre);
                continue;
            };
            self.fill(area, colours::CARD, self.px(12));
            let price = price.map_or_else(String::new, |price| price.to_string());
            let price_width = self.fonts.width(name, &price);
            self.text(inner, &price, name, colours::ACCENT, Align::Right);
            let lines = self.fonts.balanced(name, item, inner.w - price_width - gap, ((row / name.line()) as usize).clamp(1, 2));
            let top = inner.y + (inner.h - name.line() * lines.len() as i32) / 2;
            for (line, text) in (0..).zip(&lines) {
                let place = Rect::new(inner.x, top + line * name.line(), inner.w - price_width - gap, name.line());
                self.text(place, text, name, colours::INK, Align::Left);
            }
        }
    }

    /// A page that says one thing; shrunk until all of it fits.
    fn message(&mut self, message: Message) {
        let body = self.header(message.ground, true);
        let (_, scale) = self.scale_for(body, MESSAGE_MARGIN, |page, room| page.message_blocks(&message, room));
        self.scaled(scale, body, MESSAGE_MARGIN, |page, room| page.message_blocks(&message, room));
    }

    /// The scale with which blocks fit into a part of the page, not above the page's own; and whether they do.
    fn scale_for(&mut self, body: Rect, margin: i32, blocks_in: impl Fn(&Self, i32) -> Vec<Block>) -> (bool, f32) {
        let scale = self.scale;
        let room = self.w - 2 * self.px(margin);
        let mut fits = false;
        let mut fitting = scale;
        for _ in 0..16 {
            fitting = self.scale;
            fits = self.height(&blocks_in(self, room)) <= body.h;
            if fits {
                break;
            }
            self.scale *= 0.92;
        }
        self.scale = scale;
        (fits, fitting)
    }

    /// Puts blocks of this scale in the middle of a part of the page.
    fn scaled(&mut self, scale: f32, body: Rect, margin: i32, blocks_in: impl Fn(&Self, i32) -> Vec<Block>) {
        let own = self.scale;
        let margin = self.px(margin);
        let column = Rect::new(margin, body.y, self.w - 2 * margin, body.h);
        self.scale = scale;
        let blocks = blocks_in(self, column.w);
        let height = self.height(&blocks).min(column.h);
        self.stack(Rect { y: column.y + (column.h - height) / 2, h: height, ..column }, blocks);
        self.scale = own;
    }

    fn message_blocks(&self, message: &Message, room: i32) -> Vec<Block> {
        let loud = message.ground != colours::GROUND;
        let muted = if loud { colours::WHITE } else { colours::MUTED };
        let disc = if loud { colours::WHITE } else { message.colour };
        let mut blocks = vec![Block::Sign(message.sign, disc, self.px(if loud { 180 } else { 128 })), Block::Gap(self.px(24))];
        blocks.extend(self.lines(&message.headline, self.style(Weight::Bold, 40), message.ink, room, 2));
        if let Some(amount) = &message.amount {
            let style = self.fitted(self.style(Weight::Bold, 58), amount, room);
            blocks.extend([Block::Gap(self.px(6)), Block::Line { text: amount.clone(), style, colour: message.ink }]);
        }
        for line in &message.lines {
            blocks.push(Block::Gap(self.px(10)));
            blocks.extend(self.lines(line, self.style(Weight::Regular, 26), muted, room, 4));
        }
        if let Some(order) = &message.order {
            let style = self.style(Weight::Bold, 26);
            let lines = self.in_pieces(order, style, room - 2 * self.px(16));
            blocks.extend([Block::Gap(self.px(24)), Block::Card { label: self.texts.order_number, lines, style }]);
        }
        if message.contact && !self.settings.contact.is_empty() {
            let style = self.style(Weight::Bold, 28);
            blocks.push(Block::Gap(self.px(24)));
            blocks.extend(self.lines(self.texts.contact, self.style(Weight::Regular, 20), muted, room, 1));
            blocks.extend(self.lines(&self.settings.contact, style, message.ink, room, 2));
        }
        blocks
    }

    /// The colour below everything.
    fn ground(&self) -> Colour {
        match self.marks.first().map(|mark| &mark.kind) {
            Some(Kind::Fill { colour, .. }) => *colour,
            _ => colours::GROUND,
        }
    }

    /// Pixels here for so many on a page of 480×800, at least one.
    fn px(&self, px: i32) -> i32 {
        ((px as f32 * self.scale).round() as i32).max(1)
    }

    fn style(&self, weight: Weight, px: i32) -> Style {
        Style { weight, px: (self.px(px) as u32).max(LETTER_PX_MIN) }
    }

    /// The style, made smaller until the text fits.
    fn fitted(&self, mut style: Style, text: &str, room: i32) -> Style {
        while style.px > LETTER_PX_MIN && self.fonts.width(style, text) > room {
            style.px -= 1;
        }
        style
    }

    fn fill(&mut self, area: Rect, colour: Colour, radius: i32) {
        if area.w > 0 && area.h > 0 {
            self.marks.push(Mark { area, kind: Kind::Fill { colour, radius: radius.min(area.w / 2).min(area.h / 2) } });
        }
    }

    /// One line in the middle of the area's height, shortened to its width.
    fn text(&mut self, area: Rect, text: &str, style: Style, colour: Colour, align: Align) {
        let text = self.fonts.shortened(style, text, area.w);
        if text.is_empty() {
            return;
        }
        let width = self.fonts.width(style, &text);
        let x = match align {
            Align::Left => area.x,
            Align::Centre => area.x + (area.w - width) / 2,
            Align::Right => area.x + area.w - width,
        };
        let area = Rect::new(x, area.y + (area.h - style.line()) / 2, width.max(1), style.line());
        self.marks.push(Mark { area, kind: Kind::Text { text: text.into(), style, colour, x } });
    }
}

#[derive(Clone, Copy)]
enum Align {
    Left,
    Centre,
    Right,
}
