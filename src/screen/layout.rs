//! What stands where: a [`Picture`] laid out on a page of any size.
//!
//! Everything is measured in the pixels of a 480×800 page and scaled from there. Where space runs short, words give way
//! to the QR code, never the other way round.

mod blocks;
mod card;
mod message;
mod pay;
mod shelf;
mod store;

use super::fonts::{Fonts, Style, Weight};
use super::logo::Logo;
use super::message::Message;
use super::paint::{Colour, Kind, Mark, Rect};
use super::picture::{Goods, Picture, Scene};
use super::qr::Code;
use super::text::{TEST_WORD, Texts, texts};
use super::theme::{BLACK, TEST, Theme};
use super::{Language, Settings};
use qris_core::order::time::{Boot, Span};
use std::borrow::Cow;
use std::sync::Arc;

/// Below this many seconds the countdown turns red.
const HURRY: Span = Span::secs(20);
/// Letters are not smaller, in pixels, unless what matters most has no room otherwise.
const LETTER_PX_MIN: u32 = 12;
/// A QR code with smaller modules, in pixels, takes the room of the words around it.
const MODULE_PX_WANTED: u32 = 3;
/// A second code takes none of the room with which the first one's modules have so many pixels.
const MODULE_PX_BESIDE: u32 = 4;
/// Between a second code and its words, on a page of 480×800.
const PAGE_GAP: i32 = 14;
/// The room of a second code, on such a page.
const PAGE_CODE: i32 = 132;
/// A page with a shorter side has no room for a QRIS code and what must stand beside it, in pixels.
const SIDE_FOR_QRIS: i32 = 240;
/// A lower page has one TEST banner, at its top, in pixels.
const HEIGHT_FOR_BANNERS: i32 = 160;
/// A page with a shorter side has room for a code of the customer's page only if letters are smaller, in pixels.
const SIDE_FOR_LETTERS: i32 = 128;
const LETTER_PX_THERE: u32 = 10;
/// Letters are so small, in pixels, only where half of a sum, or of what somebody types in or dials, would be left.
const LETTER_PX_WHOLE: u32 = 9;

/// Lays pages out; keeps the last QR code, since making one costs more than everything else of a countdown's tick, and the
/// logo in the size of this panel.
#[derive(Default)]
pub(super) struct Layout {
    code: Made,
    /// The smaller code beside it.
    page: Made,
    logo: Option<((i32, i32), Arc<Logo>)>,
}

/// A code with what it was made of.
type Made = Option<(Box<str>, i32, Option<Arc<Code>>)>;

impl Layout {
    /// The page of a picture. What is past its deadline has no QR code any more, whoever forgot to take it down.
    pub(super) fn page(&mut self, picture: &Picture, settings: &Settings, fonts: &Fonts, size: (i32, i32), now: Boot) -> Vec<Mark> {
        let language = settings.languages.at(now);
        let mut page = Page::new(settings, fonts, size, language, picture.sandbox);
        page.logo = self.logo(settings, page.logo_room());
        match &picture.scene {
            Scene::Pay { until, .. } if *until > now => self.pay(&mut page, &picture.scene, *until - now),
            Scene::PayAtStore { until, page: address, .. } if *until > now => {
                self.code = None;
                let beside = self.beside(address.as_deref().filter(|_| settings.page_beside), &page);
                page.pay_at_store(&picture.scene, *until - now, beside.as_ref());
            }
            other => {
                self.code = None;
                match other {
                    Scene::Idle { trouble: None } if page.shelf(None) => {}
                    Scene::Offline { reason } if page.shelf(Some(reason)) => {}
                    Scene::TestCard => page.test_card(),
                    other => {
                        let message = Message::of(other, &settings.theme, page.texts, &page.name(other.goods()));
                        self.message(&mut page, &message);
                    }
                }
            }
        }
        // The card shows every edge of the panel, and sells nothing.
        if picture.scene != Scene::TestCard {
            page.banners();
        }
        page.marks
    }

    /// The logo as large as this header has room for; scaled once.
    fn logo(&mut self, settings: &Settings, room: (i32, i32)) -> Option<Arc<Logo>> {
        let logo = settings.logo.as_ref()?;
        if self.logo.as_ref().is_none_or(|(known, _)| *known != room) {
            let side = |side: i32| u32::try_from(side).unwrap_or(1).max(1);
            self.logo = Some((room, Arc::new(logo.within(side(room.0), side(room.1)))));
        }
        self.logo.as_ref().map(|(_, logo)| Arc::clone(logo))
    }

    /// The code of the customer's page, if the page has room for one that can be read.
    fn beside(&mut self, address: Option<&str>, page: &Page<'_>) -> Option<Arc<Code>> {
        self.second(address?, page.px(PAGE_CODE), MODULE_PX_WANTED)
    }

    /// A second code in this room, if its modules have so many pixels.
    fn second(&mut self, address: &str, room: i32, least: u32) -> Option<Arc<Code>> {
        made(&mut self.page, address, room).filter(|code| code.module_px() >= least)
    }
}

/// The code of a text in this room; the one that was made last is not made again.
fn made(last: &mut Made, text: &str, room: i32) -> Option<Arc<Code>> {
    match last {
        Some((known, at, code)) if &**known == text && *at == room => code.clone(),
        _ => {
            let code = Code::new(text, u32::try_from(room).unwrap_or(0)).map(Arc::new);
            *last = Some((text.into(), room, code.clone()));
            code
        }
    }
}

/// How much is said beside a code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    /// All of them, and the code of the customer's page.
    Page,
    All,
    Few,
    One,
    /// What is to be paid, with the fee, and for how long.
    Sum,
    /// The same where the code leads to a page that tells the fee.
    Least,
}

struct Page<'a> {
    settings: &'a Settings,
    theme: &'a Theme,
    language: Language,
    texts: &'static Texts,
    fonts: &'a Fonts,
    logo: Option<Arc<Logo>>,
    marks: Vec<Mark>,
    w: i32,
    h: i32,
    /// Pixels here for a pixel of a 480×800 page.
    scale: f32,
    /// Height of the TEST banner at the top, and of the one at the bottom.
    banner: i32,
    banner_below: i32,
    /// The code that is paid is the one of the customer's page.
    by_page: bool,
    /// Letters are never smaller, in pixels.
    letter_px_min: u32,
}

impl<'a> Page<'a> {
    fn new(settings: &'a Settings, fonts: &'a Fonts, (w, h): (i32, i32), language: Language, sandbox: bool) -> Self {
        // A page that is very long is no larger for it.
        let scale = ((w * h) as f32 / (480.0 * 800.0)).sqrt().min(w.min(h) as f32 / 460.0);
        let (theme, texts) = (&settings.theme, texts(language));
        let letter_px_min = if w.min(h) < SIDE_FOR_LETTERS { LETTER_PX_THERE } else { LETTER_PX_MIN };
        let (logo, marks, banner, banner_below, by_page) = (None, Vec::new(), 0, 0, false);
        let mut page =
            Self { settings, theme, language, texts, fonts, logo, marks, w, h, scale, banner, banner_below, by_page, letter_px_min };
        // On the smallest panels it is no higher than its letters: three pixels a module need the rest.
        let around = if w.min(h) <= SIDE_FOR_QRIS { 0 } else { page.px(8) };
        page.banner = if sandbox { page.style(Weight::Bold, 20).line() + around } else { 0 };
        page.banner_below = if h < HEIGHT_FOR_BANNERS { 0 } else { page.banner };
        page
    }

    /// Whether the page has no room for a QRIS code.
    fn is_small(&self) -> bool {
        self.w.min(self.h) < SIDE_FOR_QRIS
    }

    /// Whether the page is so wide that words stand beside a code rather than above and below it.
    fn is_wide(&self) -> bool {
        self.w * 10 > self.h * 11
    }

    /// What goods are called here.
    fn name(&self, goods: Option<&Goods>) -> String {
        let Some(goods) = goods else { return String::new() };
        let item = self.settings.items.iter().find(|item| item.id == goods.item);
        let name = item.map_or(goods.item.as_str(), |item| item.name(self.language));
        match goods.description.as_deref().map(str::trim) {
            // Whoever names the price may say what for, but not that it is something else.
            Some(description) if description.starts_with(name) => description.into(),
            Some(description) if !description.is_empty() => format!("{name} – {description}"),
            _ => name.into(),
        }
    }

    /// The TEST banners, or their absence, come last: they lie over everything.
    fn banners(&mut self) {
        for (y, height) in [(0, self.banner), (self.h - self.banner_below, self.banner_below)] {
            if height > 0 {
                let area = Rect::new(0, y, self.w, height);
                self.fill(area, TEST, 0);
                let (words, style) = self.banner_words(self.w - self.px(16));
                self.text(area, &words, style, BLACK, Align::Centre);
            }
        }
    }

    /// Half of a warning is none: what does not fit is said shorter, and at last in one word, several times.
    fn banner_words(&self, room: i32) -> (Cow<'static, str>, Style) {
        let usual = self.style(Weight::Bold, 20);
        for words in [self.texts.test, self.texts.test_short] {
            let style = self.fitted(usual, words, room);
            if self.fonts.width(style, words) <= room {
                return (words.into(), style);
            }
        }
        let style = self.fitted(usual, TEST_WORD, room);
        let times = |times: usize| vec![TEST_WORD; times].join(" · ");
        let fitting = (2..).map(times).take_while(|words| self.fonts.width(style, words) <= room).last();
        (fitting.map_or(TEST_WORD.into(), Cow::Owned), style)
    }

    /// The ground and, if there is one, the header across the page. Returns what is left for the rest.
    fn header(&mut self, ground: Colour, shown: bool) -> Rect {
        self.fill(Rect::new(0, 0, self.w, self.h), ground, 0);
        if shown {
            self.header_in(Rect::new(0, self.banner, self.w, self.header_height(true)), true);
        }
        self.body(shown)
    }

    /// The logo, the machine's name, and, if they leave room for it and it does not stand elsewhere, with what it can be paid.
    fn header_in(&mut self, area: Rect, pay_with: bool) {
        self.fill(area, self.theme.header, 0);
        let margin = self.px(20).min(area.w / 16);
        let mut inner = Rect::new(area.x + margin, area.y, area.w - 2 * margin, area.h);
        let name = self.style(Weight::Bold, 26);
        if let Some(logo) = self.logo.clone() {
            let (w, h) = logo.size();
            let (w, h) = (w as i32, h as i32);
            if w * 2 <= inner.w {
                let area = Rect::new(inner.x, inner.y + (inner.h - h) / 2, w, h);
                self.marks.push(Mark { area, kind: Kind::Picture(logo) });
                let taken = w + margin * 3 / 4;
                inner = Rect { x: inner.x + taken, w: inner.w - taken, ..inner };
            }
        }
        let style = self.style(Weight::Bold, 20);
        let taken = self.fonts.width(style, self.texts.pay_with) + margin;
        let wanted = self.fonts.width(name, &self.settings.name).min(self.px(120));
        if pay_with && taken + wanted <= inner.w {
            self.text(inner, self.texts.pay_with, style, self.theme.header_accent, Align::Right);
            inner.w -= taken;
        }
        let name = self.fitted_down_to(name, &self.settings.name, inner.w, self.style(Weight::Bold, 18).px);
        self.text(inner, &self.settings.name, name, self.theme.header_text, Align::Left);
    }

    /// The most that a logo may take of a header.
    fn logo_room(&self) -> (i32, i32) {
        let column = if self.is_wide() { self.w * 3 / 10 } else { self.w };
        (column * 2 / 5, self.header_height(true) - self.px(14))
    }

    fn header_height(&self, shown: bool) -> i32 {
        if shown { self.style(Weight::Bold, 26).line() + self.px(24) } else { 0 }
    }

    fn body(&self, header: bool) -> Rect {
        let top = self.banner + self.header_height(header);
        Rect::new(0, top, self.w, (self.h - top - self.banner_below).max(1))
    }

    /// The colour below everything.
    fn ground(&self) -> Colour {
        match self.marks.first().map(|mark| &mark.kind) {
            Some(Kind::Fill { colour, .. }) => *colour,
            _ => self.theme.ground,
        }
    }

    /// Pixels here for so many on a page of 480×800, at least one.
    fn px(&self, px: i32) -> i32 {
        ((px as f32 * self.scale).round() as i32).max(1)
    }

    fn style(&self, weight: Weight, px: i32) -> Style {
        Style { weight, px: (self.px(px) as u32).max(self.letter_px_min) }
    }

    /// The style, made smaller until the text fits.
    fn fitted(&self, style: Style, text: &str, room: i32) -> Style {
        self.fitted_down_to(style, text, room, self.letter_px_min)
    }

    /// The style, made as small as a sum needs to be read whole.
    fn fitted_whole(&self, style: Style, text: &str, room: i32) -> Style {
        let mut style = self.fitted(style, text, room);
        while style.px > LETTER_PX_WHOLE && self.fonts.width(style, text) > room {
            style.px -= 1;
        }
        style
    }

    fn fitted_down_to(&self, mut style: Style, text: &str, room: i32, least: u32) -> Style {
        while style.px > least.max(self.letter_px_min) && self.fonts.width(style, text) > room {
            style.px -= 1;
        }
        style
    }

    fn fill(&mut self, area: Rect, colour: Colour, radius: i32) {
        if area.w > 0 && area.h > 0 {
            self.marks.push(Mark { area, kind: Kind::Fill { colour, radius: radius.min(area.w / 2).min(area.h / 2) } });
        }
    }

    fn code(&mut self, code: Arc<Code>, x: i32, y: i32) {
        let side = code.side_px() as i32;
        self.marks.push(Mark { area: Rect::new(x, y, side, side), kind: Kind::Qr(code) });
    }

    /// One line in the middle of the area's height, shortened to its width; nothing where the area is too low for letters.
    fn text(&mut self, area: Rect, text: &str, style: Style, colour: Colour, align: Align) {
        let text: Cow<'_, str> = self.fonts.shortened(style, text, area.w);
        if text.is_empty() || self.fonts.width(style, &text) > area.w {
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
