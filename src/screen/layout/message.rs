//! A page that says one thing.

use super::blocks::Block;
use super::{Align, LETTER_PX_WHOLE, Layout, MODULE_PX_WANTED, PAGE_GAP, ScreenPage};
use crate::fonts::{Style, Weight};
use crate::geometry::Rect;
use crate::message::Message;
use crate::paint::Colour;
use crate::qr::Code;
use std::sync::Arc;

/// The margin left and right of it, on a page of 480×800.
const MARGIN: i32 = 28;
/// The margin above and below it.
const EDGE: i32 = 8;
/// The room of the code of the customer's page, on a page of 480×800.
const CODE: i32 = 200;
/// The side of a sign, and the size of the number in its place, on a page of 480×800.
const SIGN: i32 = 128;
/// A message that does not fit is made smaller by this factor, `SCALE_STEPS` times at most.
const SCALE_STEP: f32 = 0.92;
const SCALE_STEPS: i32 = 16;

/// The parts that are left out so that the rest can be read. Each step also leaves out the parts of all steps before it.
/// Money, the order's number and the contact are never left out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
enum Sparing {
    Nothing,
    Sign,
    Labels,
    Words,
    /// The use of the code; the contact stands in its place.
    Caption,
    /// Nothing more is left out, but letters are smaller than they should be.
    Size,
    /// A headline, if the rest explains it.
    Headline,
}

impl Sparing {
    fn margin(self) -> i32 {
        if self < Self::Size { MARGIN } else { EDGE }
    }
}

const WITH_CODE: [Sparing; 5] = [Sparing::Nothing, Sparing::Sign, Sparing::Labels, Sparing::Words, Sparing::Caption];
const WITHOUT: [Sparing; 6] = [Sparing::Nothing, Sparing::Sign, Sparing::Labels, Sparing::Words, Sparing::Size, Sparing::Headline];

impl Layout {
    /// Draws a message, and shrinks it until all of it fits.
    pub(super) fn message(&mut self, page: &mut ScreenPage<'_>, message: &Message) {
        if let Some(address) = message.page.as_deref() {
            let least = if page.is_small() { MODULE_PX_WANTED - 1 } else { MODULE_PX_WANTED };
            let body = page.body(true);
            // On a small page a readable code takes half of the width.
            let (wide, tall) = ((body.h * 7 / 10).min(page.w * 42 / 100), page.px(CODE).max(page.w * 54 / 100));
            if let Some(code) = self.second(address, if page.is_wide() { wide } else { tall }, least)
                && if page.is_wide() { page.message_beside(message, &code) } else { page.message_alone(message, Some(&code)) }
            {
                return;
            }
        }
        page.message_alone(message, None);
    }
}

impl ScreenPage<'_> {
    /// Words on the left, the code and its use on the right. `false`: the words do not fit, and nothing is drawn.
    fn message_beside(&mut self, message: &Message, code: &Arc<Code>) -> bool {
        let body = self.body(true);
        let side = code.side_px() as i32;
        let margin = self.px(MARGIN / 2);
        let words = Rect { w: body.w - side - margin, ..body };
        // No words stand below the code.
        let tried = WITH_CODE.into_iter().filter(|sparing| *sparing < Sparing::Caption);
        let Some((sparing, scale)) = self.sparing(words, message, None, tried) else { return false };
        self.header(message.ground, true);
        self.scaled(scale, words, MARGIN, |page, room| page.message_blocks(message, room, None, sparing));
        let style = self.style(Weight::Regular, 20);
        let lines = ((body.h - side - self.px(8)) / style.line()).clamp(0, 4).unsigned_abs();
        let caption = if lines > 0 { self.status_words(style, side, lines as usize) } else { Vec::new() };
        let height = side + self.px(8) + style.line() * caption.len() as i32;
        let (x, y) = (body.x + body.w - side - margin, body.y + (body.h - height).max(0) / 2);
        self.code(code.clone(), x, y);
        for (line, text) in (0..).zip(&caption) {
            let place = Rect::new(x, y + side + self.px(8) + line * style.line(), side, style.line());
            self.text(place, text, style, message.muted, Align::Centre);
        }
        true
    }

    /// The message on all of the page; if that is too little, without the header. `false`: there is a code without room,
    /// and nothing is drawn.
    fn message_alone(&mut self, message: &Message, code: Option<&Arc<Code>>) -> bool {
        let whole = self.body(true);
        let header = self.scale_for(whole, MARGIN, |page, room| page.message_blocks(message, room, code, Sparing::Sign)).0;
        let body = self.body(header);
        let tried: &[Sparing] = if code.is_some() { &WITH_CODE } else { &WITHOUT };
        let (sparing, scale) = match self.sparing(body, message, code, tried.iter().copied()) {
            Some(found) => found,
            None if code.is_some() => return false,
            // The most important parts come first.
            None => (Sparing::Headline, self.scale * SCALE_STEP.powi(SCALE_STEPS)),
        };
        self.header(message.ground, header);
        let usual = self.letter_px_min;
        self.letter_px_min = self.letter_px_for(sparing);
        self.scaled(scale, body, sparing.margin(), |page, room| page.message_blocks(message, room, code, sparing));
        self.letter_px_min = usual;
        true
    }

    /// The first step with which the rest fits, and its scale.
    fn sparing(
        &mut self,
        body: Rect,
        message: &Message,
        code: Option<&Arc<Code>>,
        mut tried: impl Iterator<Item = Sparing>,
    ) -> Option<(Sparing, f32)> {
        let usual = self.letter_px_min;
        let found = tried.find_map(|sparing| {
            self.letter_px_min = self.letter_px_for(sparing);
            let (fits, scale) = self.scale_for(body, sparing.margin(), |page, room| page.message_blocks(message, room, code, sparing));
            fits.then_some((sparing, scale))
        });
        self.letter_px_min = usual;
        found
    }

    fn letter_px_for(&self, sparing: Sparing) -> u32 {
        if sparing >= Sparing::Size { LETTER_PX_WHOLE } else { self.letter_px_min }
    }

    fn message_blocks(&self, message: &Message, room: i32, code: Option<&Arc<Code>>, sparing: Sparing) -> Vec<Block> {
        let mut blocks = self.sign_or_number(message, room, sparing);
        if sparing < Sparing::Headline || message.loud {
            blocks.extend(self.whole(&message.headline, self.style(Weight::Bold, 40), message.ink, room));
        }
        if let Some(amount) = &message.amount {
            let style = self.fitted(self.style(Weight::Bold, 58), amount, room);
            blocks.extend([Block::Gap(self.px(6)), Block::Line { text: amount.clone(), style, colour: message.ink }]);
        }
        for line in message.lines.iter().filter(|_| sparing < Sparing::Words) {
            let (style, lines) = (self.style(Weight::Regular, 26), if sparing < Sparing::Labels { 4 } else { 2 });
            blocks.push(Block::Gap(self.px(10)));
            blocks.extend(self.lines(line, style, message.muted, room, lines));
        }
        if let Some(code) = &message.code {
            blocks.push(Block::Gap(self.px(10)));
            let code = format!("{}: {code}", self.texts.code);
            blocks.extend(self.lines(&code, self.style(Weight::Bold, 22), message.muted, room, 1));
        }
        if let Some(order) = &message.order {
            // Regular letters are narrower.
            let style = self.style(if sparing < Sparing::Size { Weight::Bold } else { Weight::Regular }, 26);
            let card = sparing < Sparing::Labels;
            let room = if card { room - 2 * self.px(16) } else { room };
            let lines = match order.as_slice() {
                [whole] => self.in_pieces(whole, style, room),
                groups => self.in_groups(groups, style, room),
            };
            blocks.push(Block::Gap(self.px(if sparing < Sparing::Sign { 24 } else { 6 })));
            if card {
                blocks.push(Block::Card { label: self.texts.order_number, lines, style });
            } else {
                blocks.extend(lines.into_iter().map(|text| Block::Line { text, style, colour: message.ink }));
            }
        }
        let contact = Some(&*self.settings.contact).filter(|contact| message.contact && !contact.is_empty());
        let style = self.style(Weight::Bold, 28);
        if let Some(contact) = contact.filter(|_| code.is_none() || sparing < Sparing::Caption) {
            blocks.push(Block::Gap(self.px(if sparing < Sparing::Sign { 24 } else { 6 })));
            if sparing < Sparing::Labels {
                blocks.extend(self.lines(self.texts.contact, self.style(Weight::Regular, 20), message.muted, room, 1));
            }
            blocks.extend(self.whole(contact, style, message.ink, room));
        }
        if let Some(code) = code {
            blocks.push(Block::Gap(self.px(if sparing < Sparing::Caption { 20 } else { 6 })));
            match contact.filter(|_| sparing >= Sparing::Caption) {
                Some(contact) => blocks.push(self.whole_beside(code.clone(), contact, style, message.ink, room)),
                None => blocks.extend(self.status_blocks(code.clone(), message.muted, room, sparing)),
            }
        }
        blocks
    }

    /// A number that somebody types in stands there on every page.
    fn sign_or_number(&self, message: &Message, room: i32, sparing: Sparing) -> Vec<Block> {
        if let Some(number) = &message.number {
            let usual = self.style(Weight::Bold, SIGN);
            let style = self.fitted(Style { px: usual.px.max(2 * self.letter_px_min), ..usual }, number, room);
            return vec![Block::Line { text: number.clone(), style, colour: message.ink }];
        }
        if sparing >= Sparing::Sign {
            return Vec::new();
        }
        let size = self.px(if message.loud { 180 } else { SIGN });
        vec![Block::Sign(message.sign, message.disc, size), Block::Gap(self.px(24))]
    }

    /// The code of the order's page, with its use below it. Where all of the page is needed, it stands beside it.
    fn status_blocks(&self, code: Arc<Code>, colour: Colour, room: i32, sparing: Sparing) -> Vec<Block> {
        let style = self.style(Weight::Regular, 22);
        let side = code.side_px() as i32;
        if sparing < Sparing::Labels {
            let below = self.status_words(style, room, 2).into_iter().map(|text| Block::Line { text, style, colour });
            return [Block::Page(code, Vec::new(), style, colour)].into_iter().chain(below).collect();
        }
        let lines = self.status_words(style, room - side - self.px(PAGE_GAP), (side / style.line()).max(1) as usize);
        vec![Block::Page(code, lines, style, colour)]
    }

    /// The use of the code of the order's page. It is said in few words if all of them have no room, and not at all
    /// if even those would be cut off.
    fn status_words(&self, style: Style, room: i32, lines_max: usize) -> Vec<String> {
        let uncut = |lines: &Vec<String>| lines.iter().all(|line| !line.ends_with('…') && self.fonts.width(style, line) <= room);
        let words = [self.texts.status_page, self.texts.status_page_short];
        words.into_iter().map(|text| self.fonts.balanced(style, text, room, lines_max)).find(uncut).unwrap_or_default()
    }

    /// The scale with which blocks fit into a part of the page, not above the page's own scale; and whether they fit.
    pub(super) fn scale_for(&mut self, body: Rect, margin: i32, blocks_in: impl Fn(&Self, i32) -> Vec<Block>) -> (bool, f32) {
        let scale = self.scale;
        let (room, height) = (body.w - 2 * self.px(margin), body.h - 2 * self.px(EDGE));
        let mut fits = false;
        let mut fitting = scale;
        for _ in 0..SCALE_STEPS {
            fitting = self.scale;
            fits = self.height(&blocks_in(self, room)) <= height;
            if fits {
                break;
            }
            self.scale *= SCALE_STEP;
        }
        self.scale = scale;
        (fits, fitting)
    }

    /// Puts blocks of this scale in the middle of a part of the page.
    pub(super) fn scaled(&mut self, scale: f32, body: Rect, margin: i32, blocks_in: impl Fn(&Self, i32) -> Vec<Block>) {
        let own = self.scale;
        let margin = self.px(margin);
        let column = Rect { x: body.x + margin, w: body.w - 2 * margin, ..body };
        self.scale = scale;
        let blocks = blocks_in(self, column.w);
        let height = self.height(&blocks).min(column.h);
        self.stack(Rect { y: column.y + (column.h - height) / 2, h: height, ..column }, blocks);
        self.scale = own;
    }
}
