//! The layout: a [`Picture`] on a page of any size.
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
use super::geometry::Rect;
use super::logo::Logo;
use super::message::Message;
use super::paint::{Colour, Mark, MarkKind};
use super::picture::{Goods, Picture, Scene, TryStep};
use super::qr::Code;
use super::settings::Settings;
use super::text::Words as Texts;
use super::theme::{BLACK, TEST, Theme};
use qris_core::order::time::{Boot, Span};
use qris_core::text::Language;
use std::borrow::Cow;
use std::sync::Arc;

/// Below this many seconds the countdown turns red.
const HURRY: Span = Span::secs(20);
/// Letters are at least this large, in pixels, unless the most important thing has no room otherwise.
const LETTER_PX_MIN: u32 = 12;
/// The same on a page of 480×800. On a panel of 5 inches a line of such letters is 4 mm high, and a capital 2.5 mm.
const LETTER_MIN: i32 = 25;
/// A QR code with smaller modules, in pixels, takes the room of the words around it.
const MODULE_PX_WANTED: u32 = 3;
/// The first code's modules have this many pixels before a second code gets any room.
const MODULE_PX_BESIDE: u32 = 4;
/// The gap between a second code and its words, on a page of 480×800.
const PAGE_GAP: i32 = 14;
/// The room of a second code, on a page of 480×800.
const PAGE_CODE: i32 = 132;
/// A page with a shorter side, in pixels, has no room for a QRIS code with the words that it needs.
const SIDE_FOR_QRIS: i32 = 240;
/// A lower page, in pixels, has only one TEST banner, at its top.
const HEIGHT_FOR_BANNERS: i32 = 160;
/// A page with a shorter side, in pixels, has room for the code of the customer's page only with smaller letters.
const SIDE_FOR_LETTERS: i32 = 128;
const LETTER_PX_THERE: u32 = 10;
/// Letters are this small, in pixels, only to show a text whole that must not be cut: a sum, or a number that somebody
/// types in or dials.
const LETTER_PX_WHOLE: u32 = 9;

/// Lays pages out. It keeps the last QR code, since making one costs more than all the rest of a countdown's tick. It also
/// keeps the logo in the size of this panel.
#[derive(Default)]
pub(super) struct Layout {
    code: Made,
    /// The smaller code beside the QRIS code.
    page: Made,
    logo: Option<((i32, i32), Arc<Logo>)>,
}

/// A code, with the text and the room that it was made for.
type Made = Option<(Box<str>, i32, Option<Arc<Code>>)>;

impl Layout {
    /// The page of a picture. After the picture's deadline it has no QR code any more, even if nobody took the picture down.
    pub(super) fn page(&mut self, picture: &Picture, settings: &Settings, fonts: &Fonts, size: (i32, i32), now: Boot) -> Vec<Mark> {
        let language = settings.languages.at(now);
        let mut page = ScreenPage::new(settings, fonts, size, language, picture.sandbox);
        page.logo = self.logo(settings, page.logo_room());
        match &picture.scene {
            Scene::Pay { until, .. } if *until > now => self.pay(&mut page, &picture.scene, *until - now),
            Scene::PayAtStore { until, page: address, .. } if *until > now => {
                self.code = None;
                let beside = self.beside(address.as_deref().filter(|_| settings.page_beside), &page);
                page.pay_at_store(&picture.scene, beside.as_ref());
            }
            other => {
                self.code = None;
                match other {
                    Scene::Idle { trouble: None, not_sold } if page.shelf(None, not_sold) => {}
                    Scene::Offline { missing, not_sold } if page.shelf(Some(*missing), not_sold) => {}
                    Scene::Filling { slots, pressed, is_refused, by_switch }
                        if page.filling(slots, pressed.as_ref(), *is_refused, *by_switch) => {}
                    Scene::TestCard => page.test_card(),
                    other => {
                        let mut message = Message::of(other, &settings.theme, page.texts, &page.name(other.goods()));
                        if matches!(other, Scene::Idle { trouble: None, .. }) && !settings.greeting.is_empty() {
                            message.lines.insert(0, settings.greeting.clone());
                        }
                        if let Scene::TryAgain { goods, step: TryStep::Pressed { item, .. }, .. } = other
                            && item != goods
                        {
                            message.lines.insert(1, format!("{} {}", page.texts.try_get, page.name(Some(item))));
                        }
                        self.message(&mut page, &message);
                    }
                }
            }
        }
        // The test card shows every edge of the panel, and sells nothing.
        if picture.scene != Scene::TestCard {
            page.banners();
        }
        page.marks
    }

    /// The logo, as large as this header allows. It is scaled once.
    fn logo(&mut self, settings: &Settings, room: (i32, i32)) -> Option<Arc<Logo>> {
        let logo = settings.logo.as_ref()?;
        if self.logo.as_ref().is_none_or(|(known, _)| *known != room) {
            let side = |side: i32| u32::try_from(side).unwrap_or(1).max(1);
            self.logo = Some((room, Arc::new(logo.within(side(room.0), side(room.1)))));
        }
        self.logo.as_ref().map(|(_, logo)| Arc::clone(logo))
    }

    /// The code of the customer's page, if the page has room for a readable one.
    fn beside(&mut self, address: Option<&str>, page: &ScreenPage<'_>) -> Option<Arc<Code>> {
        self.second(address?, page.px(PAGE_CODE), MODULE_PX_WANTED)
    }

    /// A second code in this room, if its modules have at least `least` pixels.
    fn second(&mut self, address: &str, room: i32, least: u32) -> Option<Arc<Code>> {
        made(&mut self.page, address, room).filter(|code| code.module_px() >= least)
    }
}

/// The code of a text in this room. The last code is not made again.
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

/// How many words stand beside a code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    /// All words, and the code of the customer's page.
    Page,
    All,
    Few,
    One,
    /// The sum with its fee, and the time left.
    Sum,
    /// The same, where the code leads to a page that tells the fee.
    Least,
    /// The same, without the words on an order whose second try waits.
    Bare,
}

struct ScreenPage<'a> {
    settings: &'a Settings,
    theme: &'a Theme,
    language: Language,
    texts: &'static Texts,
    fonts: &'a Fonts,
    logo: Option<Arc<Logo>>,
    marks: Vec<Mark>,
    w: i32,
    h: i32,
    /// So many pixels here are one pixel of a 480×800 page.
    scale: f32,
    /// The height of the TEST banner at the top, and of the one at the bottom.
    banner: i32,
    banner_below: i32,
    /// Customers pay by the code of the customer's page.
    by_page: bool,
    /// No letters are smaller than this, in pixels.
    letter_px_min: u32,
}

impl<'a> ScreenPage<'a> {
    fn new(settings: &'a Settings, fonts: &'a Fonts, (w, h): (i32, i32), language: Language, sandbox: bool) -> Self {
        // A very long page does not get a larger scale.
        let scale = ((w * h) as f32 / (480.0 * 800.0)).sqrt().min(w.min(h) as f32 / 460.0);
        let (theme, texts) = (&settings.theme, Texts::of(language));
        let letter_px_min = match w.min(h) {
            ..SIDE_FOR_LETTERS => LETTER_PX_THERE,
            _ => LETTER_PX_MIN.max((LETTER_MIN as f32 * scale).round() as u32),
        };
        let (logo, marks, banner, banner_below, by_page) = (None, Vec::new(), 0, 0, false);
        let mut page =
            Self { settings, theme, language, texts, fonts, logo, marks, w, h, scale, banner, banner_below, by_page, letter_px_min };
        // On the smallest panels the banner is only as high as its letters: the code needs the rest for three pixels a module.
        let around = if w.min(h) <= SIDE_FOR_QRIS { 0 } else { page.px(8) };
        page.banner = if sandbox { page.style(Weight::Bold, 20).line() + around } else { 0 };
        page.banner_below = if h < HEIGHT_FOR_BANNERS { 0 } else { page.banner };
        page
    }

    /// Whether the page is too small for a QRIS code.
    fn is_small(&self) -> bool {
        self.w.min(self.h) < SIDE_FOR_QRIS
    }

    /// Whether the page is so wide that words stand beside a code and not above and below it.
    fn is_wide(&self) -> bool {
        self.w * 10 > self.h * 11
    }

    fn name(&self, goods: Option<&Goods>) -> String {
        let Some(goods) = goods else { return String::new() };
        let item = self.settings.items.iter().find(|item| item.id == goods.item);
        let name = item.map_or(goods.item.as_str(), |item| item.name(self.language));
        match goods.description.as_deref().map(str::trim) {
            // A request that brings the price may say what it is for, but not that the goods are something else.
            Some(description) if description.starts_with(name) => description.into(),
            Some(description) if !description.is_empty() => format!("{name} – {description}"),
            _ => name.into(),
        }
    }

    /// The TEST banners come last: they lie over everything.
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

    /// Half of a warning does not warn. If the words do not fit, shorter ones are tried, and at last one word, several times.
    fn banner_words(&self, room: i32) -> (Cow<'static, str>, Style) {
        let usual = self.style(Weight::Bold, 20);
        for words in [self.texts.test, self.texts.test_short] {
            let style = self.fitted(usual, words, room);
            if self.fonts.width(style, words) <= room {
                return (words.into(), style);
            }
        }
        let word = self.texts.test_word;
        let style = self.fitted(usual, word, room);
        let times = |times: usize| vec![word; times].join(" · ");
        let fitting = (2..).map(times).take_while(|words| self.fonts.width(style, words) <= room).last();
        (fitting.map_or(word.into(), Cow::Owned), style)
    }

    /// The ground and, if there is one, the header across the page. Returns the area that is left.
    fn header(&mut self, ground: Colour, shown: bool) -> Rect {
        self.fill(Rect::new(0, 0, self.w, self.h), ground, 0);
        if shown {
            self.header_in(Rect::new(0, self.banner, self.w, self.header_height(true)), true);
        }
        self.body(shown)
    }

    /// The logo and the machine's name. The ways to pay stand there too, if there is room for them and no other place has them.
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
                self.marks.push(Mark { area, kind: MarkKind::Picture(logo) });
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
            Some(MarkKind::Fill { colour, .. }) => *colour,
            _ => self.theme.ground,
        }
    }

    /// The pixels here for this many on a page of 480×800, at least one.
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

    /// The style, made as small as a whole sum needs.
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
            self.marks.push(Mark { area, kind: MarkKind::Fill { colour, radius: radius.min(area.w / 2).min(area.h / 2) } });
        }
    }

    fn code(&mut self, code: Arc<Code>, x: i32, y: i32) {
        let side = code.side_px() as i32;
        self.marks.push(Mark { area: Rect::new(x, y, side, side), kind: MarkKind::Qr(code) });
    }

    /// One line in the middle of the area's height, shortened to its width. If the area is too low for letters, nothing
    /// is drawn.
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
        self.marks.push(Mark { area, kind: MarkKind::Text { text: text.into(), style, colour, x } });
    }
}

#[derive(Clone, Copy)]
enum Align {
    Left,
    Centre,
    Right,
}
