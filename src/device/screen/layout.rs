//! What stands where: a [`Picture`] laid out on a page of any size from 240×240 pixels.
//!
//! Everything is measured in the pixels of a 480×800 page and scaled from there. Where space runs short, words give way
//! to the QR code, never the other way round.

use super::Settings;
use super::fonts::{Fonts, Style, Weight};
use super::message::{Message, colours};
use super::paint::{Colour, Kind, Mark, Rect, Sign};
use super::picture::{Picture, Scene};
use super::qr::Code;
use super::text::{Texts, countdown, texts};
use crate::order::time::{Boot, Span};
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
            Scene::PayAtStore { until, .. } if *until > now => {
                *self = Self::default();
                page.pay_at_store(&picture.scene, *until - now);
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
        let address = if let Scene::Pay { page: Some(address), .. } = scene { Some(address) } else { None };
        let beside = address.and_then(|address| made(&mut self.page, address, page.px(PAGE_CODE)));
        let beside = beside.filter(|code| code.module_px() >= MODULE_PX_WANTED);
        for words in [Words::Page, Words::All, Words::Few, Words::One] {
            let second = beside.clone().filter(|_| words == Words::Page);
            if words == Words::Page && second.is_none() {
                continue;
            }
            let plan = page.plan_pay(scene, left, words, second);
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

/// Something as wide as its column, stacked with others.
enum Block {
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
            let style = self.style(Weight::Regular, 20);
            let room = column - code.side_px() as i32 - self.px(PAGE_GAP);
            foot.extend([Block::Page(code, self.fonts.balanced(style, self.texts.page, room, 4), style), Block::Gap(self.px(6))]);
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

    fn countdown(&self, left: Span) -> Block {
        Block::Countdown {
            label: self.texts.time_left,
            left: countdown(left),
            style: self.style(Weight::Bold, 30),
            colour: if left < HURRY { colours::STOP } else { colours::INK },
        }
    }

    /// A code to take along, as large as the page allows.
    fn pay_at_store(&mut self, scene: &Scene, left: Span) {
        let body = self.header(colours::GROUND, true);
        self.shrunk(body, self.px(20), |page, room| page.store_blocks(scene, left, room));
    }

    fn store_blocks(&self, scene: &Scene, left: Span, room: i32) -> Vec<Block> {
        let Scene::PayAtStore { code, store, item, amount, fee, within, .. } = scene else { return Vec::new() };
        let mut blocks: Vec<Block> = self.lines(item, self.style(Weight::Regular, 26), colours::MUTED, room, 2).collect();
        let style = self.fitted(self.style(Weight::Bold, 58), &amount.to_string(), room);
        blocks.push(Block::Line { text: amount.to_string(), style, colour: colours::INK });
        if let Some(fee) = fee {
            blocks.extend(self.lines(&self.texts.with_fee(*fee), self.style(Weight::Regular, 20), colours::MUTED, room, 2));
        }
        let style = self.style(Weight::Bold, 58);
        let lines = self.in_groups(code, style, room - 2 * self.px(16));
        blocks.extend([Block::Gap(self.px(18)), Block::Card { label: self.texts.payment_code, lines, style }, Block::Gap(self.px(18))]);
        blocks.extend(self.lines(&self.texts.pay_at_store(store, *within), self.style(Weight::Bold, 32), colours::ACCENT, room, 2));
        blocks.push(Block::Gap(self.px(8)));
        blocks.extend(self.lines(self.texts.photograph, self.style(Weight::Regular, 24), colours::INK, room, 4));
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
        self.shrunk(body, self.px(28), |page, room| page.message_blocks(&message, room));
    }

    /// Puts blocks in the middle, made smaller until all of them fit.
    fn shrunk(&mut self, body: Rect, margin: i32, blocks_in: impl Fn(&Self, i32) -> Vec<Block>) {
        let scale = self.scale;
        let column = Rect::new(margin, body.y, self.w - 2 * margin, body.h);
        let mut blocks = blocks_in(self, column.w);
        for _ in 0..16 {
            if self.height(&blocks) <= column.h {
                break;
            }
            self.scale *= 0.92;
            blocks = blocks_in(self, column.w);
        }
        let height = self.height(&blocks).min(column.h);
        self.stack(Rect { y: column.y + (column.h - height) / 2, h: height, ..column }, blocks);
        self.scale = scale;
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

    fn lines(&self, text: &str, style: Style, colour: Colour, room: i32, lines_max: usize) -> impl Iterator<Item = Block> + use<> {
        self.fonts.balanced(style, text, room, lines_max).into_iter().map(move |text| Block::Line { text, style, colour })
    }

    /// An order number in even pieces that fit: somebody will type it, so nothing of it may be left out.
    fn in_pieces(&self, text: &str, style: Style, room: i32) -> Vec<String> {
        let characters: Vec<char> = text.chars().collect();
        let piece =
            |pieces: usize| characters.chunks(characters.len().div_ceil(pieces).max(1)).map(|piece| piece.iter().collect()).collect();
        let fits = |lines: &Vec<String>| lines.iter().all(|line| self.fonts.width(style, line) <= room);
        (1..=characters.len()).map(piece).find(fits).unwrap_or_default()
    }

    /// A payment code in groups of four, as people read numbers to each other, on as few lines as they fit.
    fn in_groups(&self, code: &str, style: Style, room: i32) -> Vec<String> {
        let characters: Vec<char> = code.chars().collect();
        let groups: Vec<String> = characters.chunks(4).map(|group| group.iter().collect()).collect();
        let lines = |lines: usize| groups.chunks(groups.len().div_ceil(lines).max(1)).map(|line| line.join(" ")).collect::<Vec<String>>();
        let fits = |lines: &Vec<String>| lines.iter().all(|line| self.fonts.width(style, line) <= room);
        (1..=groups.len()).map(lines).find(fits).unwrap_or(groups.clone())
    }

    fn height(&self, blocks: &[Block]) -> i32 {
        blocks.iter().map(|block| self.block_height(block)).sum()
    }

    fn block_height(&self, block: &Block) -> i32 {
        match block {
            Block::Gap(px) | Block::Sign(_, _, px) => *px,
            Block::Line { style, .. } | Block::Countdown { style, .. } => style.line(),
            Block::Steps(style) => style.line() + self.px(10),
            Block::Page(code, ..) => code.side_px() as i32,
            Block::Card { lines, style, .. } => self.style(Weight::Regular, 18).line() + style.line() * lines.len() as i32 + self.px(28),
        }
    }

    fn stack(&mut self, area: Rect, blocks: Vec<Block>) {
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
                    self.marks.push(Mark { area: Rect { w: side, h: side, ..place }, kind: Kind::Qr(code) });
                    let (x, gap) = (place.x + side + self.px(PAGE_GAP), side - style.line() * lines.len() as i32);
                    for (line, text) in (0..).zip(&lines) {
                        let y = place.y + gap.max(0) / 2 + line * style.line();
                        self.text(Rect::new(x, y, place.x + place.w - x, style.line()), text, style, colours::MUTED, Align::Left);
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
    fn steps(&mut self, place: Rect, style: Style) {
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
