//! The page with the QR code: how many words stand around it, and where.

use super::blocks::{Block, StyledText};
use super::{Layout, MODULE_PX_BESIDE, MODULE_PX_WANTED, ScreenPage, Words, made};
use crate::fonts::{Style, Weight};
use crate::geometry::Rect;
use crate::message::Message;
use crate::picture::Scene;
use crate::qr::Code;
use qris_core::order::qris;
use qris_core::order::time::Span;
use std::sync::Arc;

/// On a wide page, words have at least this many hundredths of its width.
const COLUMN_PERCENT: i32 = 30;
/// A phone can read modules of so many pixels from a small page.
const MODULE_PX_READABLE: u32 = 2;

struct Plan {
    qr: Rect,
    header: Option<Rect>,
    stacks: Vec<(Rect, Vec<Block>)>,
}

impl Layout {
    /// The page of a payment. A page that is too small for the QRIS code has the code of the customer's page instead.
    pub(super) fn pay(&mut self, page: &mut ScreenPage<'_>, scene: &Scene, left: Span) {
        let Scene::Pay { payload, page: address, .. } = scene else { return };
        let small = page.is_small();
        let address = address.as_deref();
        let shown = address.filter(|_| small).unwrap_or(payload);
        page.by_page = small && address.is_some();
        let beside = self.beside(address.filter(|_| page.settings.page_beside && !small), page);
        let beside_it = if page.is_wide() { self.wide(page, shown, scene, left, beside.clone()) } else { None };
        let found = beside_it.or_else(|| self.tall(page, shown, scene, left, beside));
        match found {
            Some((plan, code)) if !small || code.module_px() >= MODULE_PX_READABLE => page.put_pay(plan, code),
            _ => {
                let message = Message::too_small(page.theme, page.texts, &page.name(scene.goods()));
                self.message(page, &message);
            }
        }
    }

    /// Words above and below the code. It gives up the header and the steps, then all but one line above and below, and whom the
    /// customer pays last, until the code is large enough. The words on an order whose second try waits go only where the
    /// code could not be read otherwise.
    fn tall(
        &mut self,
        page: &ScreenPage<'_>,
        shown: &str,
        scene: &Scene,
        left: Span,
        beside: Option<Arc<Code>>,
    ) -> Option<(Plan, Arc<Code>)> {
        let (mut found, small) = (None, page.is_small());
        let usual = [Words::Page, Words::All, Words::Few, Words::One, Words::Sum];
        let with_payee = usual.map(|words| (words, true));
        let without = usual.into_iter().chain([Words::Least, Words::Bare]).map(|words| (words, false));
        for (words, payee) in with_payee.into_iter().chain(without) {
            let payee = page.payee(scene).filter(|_| payee);
            let second = beside.clone().filter(|_| words == Words::Page);
            let told = match words {
                Words::Page => second.is_some(),
                // The few words name the apps that the steps are for.
                Words::Few => !page.by_page,
                Words::Least => page.by_page,
                Words::Bare => small && px_of(found.as_ref()) < MODULE_PX_READABLE,
                Words::All | Words::One | Words::Sum => true,
            };
            if !told {
                continue;
            }
            let plan = page.plan_tall(scene, left, words, second, payee.as_deref());
            if !plan.stacks.iter().all(|(area, _)| area.y >= page.banner && area.y + area.h <= page.h - page.banner_below) {
                continue;
            }
            let room = plan.qr.w.min(plan.qr.h);
            // If the code could be larger by a third with fewer words, the words go.
            if words == Words::All && room < page.w && !page.by_page {
                let fewer = page.plan_tall(scene, left, Words::Few, None, payee.as_deref()).qr;
                if room * 4 < fewer.w.min(fewer.h) * 3 {
                    continue;
                }
            }
            let code = made(&mut self.code, shown, room);
            let least = if words == Words::Page { MODULE_PX_BESIDE } else { MODULE_PX_WANTED };
            let px = code.as_ref().map_or(0, |code| code.module_px());
            // No words are given up if the code does not grow by that.
            if px > px_of(found.as_ref()) {
                found = code.map(|code| (plan, code));
            }
            if px >= least {
                break;
            }
        }
        found
    }

    /// Words beside the code, which has the whole height; `None` if the amount has no room there.
    fn wide(
        &mut self,
        page: &ScreenPage<'_>,
        shown: &str,
        scene: &Scene,
        left: Span,
        beside: Option<Arc<Code>>,
    ) -> Option<(Plan, Arc<Code>)> {
        let body = page.body(false);
        let code = made(&mut self.code, shown, body.h.min(page.w - page.w * COLUMN_PERCENT / 100))?;
        let side = code.side_px() as i32;
        let edge = (body.h - side) / 2;
        // The code is as far from the left edge as from the others, if there is room for that.
        let inset = edge.min(page.px(24)).min((page.w * (100 - COLUMN_PERCENT) / 100 - side).max(0) / 2);
        let qr = Rect::new(inset, body.y, side, body.h);
        let column = Rect { x: side + 2 * inset, w: page.w - side - 2 * inset, ..body };
        // The code of the customer's page is worth more than the steps, which most people know.
        let tried = [
            (Words::Page, true),
            (Words::Page, false),
            (Words::All, true),
            (Words::Few, true),
            (Words::Few, false),
            (Words::One, false),
            (Words::Sum, false),
        ];
        let payee = page.payee(scene);
        let with_or_without = [payee.as_deref(), None].into_iter().flat_map(|payee| tried.map(|(words, steps)| (words, steps, payee)));
        for (words, steps, payee) in with_or_without.chain([(Words::Bare, false, None)]) {
            let second = beside.clone().filter(|_| words == Words::Page);
            if words == Words::Page && second.is_none() {
                continue;
            }
            let header = (words == Words::All).then(|| Rect { h: page.header_height(true), ..column });
            let top = header.map_or(0, |header| header.h);
            let room = Rect { y: column.y + top, h: column.h - top, ..column };
            let margin = page.px(20).min(column.w / 14);
            let mut blocks = page.column_blocks(scene, left, (words, steps), second, room.w - 2 * margin)?;
            blocks.extend(payee.into_iter().flat_map(|payee| page.payee_lines(payee, room.w - 2 * margin)));
            let height = page.height(&blocks);
            if height <= room.h || words == Words::Bare {
                let y = room.y + ((room.h - height) / 2).max(0);
                let stack = Rect::new(room.x + margin, y, room.w - 2 * margin, height.min(room.h));
                return Some((Plan { qr, header, stacks: vec![(stack, blocks)] }, code));
            }
        }
        None
    }
}

/// The pixels of a module, 0 if there is no code yet.
fn px_of(found: Option<&(Plan, Arc<Code>)>) -> u32 {
    found.map_or(0, |(_, code)| code.module_px())
}

impl ScreenPage<'_> {
    /// The line that says whom the customer pays, as the QR says it. The code of the customer's page is no QRIS code.
    fn payee(&self, scene: &Scene) -> Option<String> {
        let Scene::Pay { payload, .. } = scene else { return None };
        qris::payee(payload).filter(|_| !self.by_page).map(|payee| self.texts.paid_to(&payee))
    }

    /// The line in a style in which it has room, or in two lines.
    fn payee_lines(&self, payee: &str, room: i32) -> impl Iterator<Item = Block> + use<> {
        self.lines(payee, self.fitted(self.style(Weight::Regular, 20), payee, room), self.theme.muted, room, 2)
    }

    fn plan_tall(&self, scene: &Scene, left: Span, words: Words, second: Option<Arc<Code>>, payee: Option<&str>) -> Plan {
        let Scene::Pay { amount, fee, .. } = scene else {
            return Plan { qr: self.body(false), header: None, stacks: Vec::new() };
        };
        let all = matches!(words, Words::Page | Words::All);
        let body = self.body(all);
        let margin = self.px(16);
        let column = self.w - 2 * margin;
        let item = self.name(scene.goods());
        let (amount, fee) = (amount.to_string(), fee.map(|fee| self.texts.with_fee(fee)));
        let small = self.style(Weight::Bold, 20);
        let (mut head, mut foot) = (Vec::new(), Vec::new());
        foot.extend(payee.into_iter().flat_map(|payee| self.payee_lines(payee, column)));
        let anew = self.anew(scene, words, column);
        match words {
            Words::Page | Words::All => {
                head.extend(self.lines(&item, self.style(Weight::Regular, 26), self.theme.muted, column, 1));
                let style = self.fitted(self.style(Weight::Bold, 62), &amount, column);
                head.push(Block::Line { text: amount, style, colour: self.theme.text });
                if let Some(fee) = fee {
                    head.extend(self.lines(&fee, self.style(Weight::Regular, 20), self.theme.muted, column, 1));
                }
                head.extend(anew);
                if let Some(code) = second {
                    foot.extend([self.page_beside(code, self.texts.page, (20, self.theme.muted), column), Block::Gap(self.px(6))]);
                }
                foot.extend([Block::Steps(self.style(Weight::Bold, 24)), Block::Gap(self.px(6)), self.countdown(left)]);
            }
            Words::Few => {
                let pay_with = (self.texts.pay_with.to_owned(), small, self.theme.accent);
                head.push(self.amount_beside((amount, self.style(Weight::Bold, 40), self.theme.text), pay_with, column));
                let style = self.style(Weight::Regular, 22);
                let said = fee.map_or(item.clone(), |fee| self.item_and_fee(&item, fee, style, column));
                head.extend(self.lines(&said, style, self.theme.muted, column, 1));
                head.extend(anew);
                foot.push(self.steps_and_time(left, column));
            }
            Words::One => {
                head.push(self.amount_and_time(amount, left, column));
                let pay_with = (self.texts.pay_with.to_owned(), small, self.theme.accent);
                let style = self.style(Weight::Regular, 22);
                // There is one line, and this is the most important one.
                let is_all = !anew.is_empty() && fee.is_none();
                foot.extend(anew);
                if !is_all {
                    foot.extend(self.last_line(item, fee, (style, pay_with), column));
                }
            }
            Words::Sum | Words::Least | Words::Bare => {
                head.push(self.amount_and_time(amount, left, column));
                foot.extend(anew);
                if let Some(fee) = fee.filter(|_| words == Words::Sum || words == Words::Bare && !self.by_page) {
                    let style = self.fitted(self.style(Weight::Regular, 22), &fee, column);
                    foot.extend(self.lines(&fee, style, self.theme.muted, column, 2));
                }
            }
        }
        let gap = if all { self.px(10) } else { self.px(2) };
        let (above, below) = (self.height(&head), self.height(&foot));
        let head_area = Rect::new(margin, body.y + gap, column, above);
        let foot_area = Rect::new(margin, body.y + body.h - below - gap, column, below);
        let qr = Rect::new(0, head_area.y + above, self.w, (foot_area.y - head_area.y - above).max(1));
        let header = all.then(|| Rect::new(0, self.banner, self.w, self.header_height(true)));
        Plan { qr, header, stacks: vec![(head_area, head), (foot_area, foot)] }
    }

    /// What stands below the code where there is room for one line: the fee before the item, and how to pay.
    fn last_line(&self, item: String, fee: Option<String>, (style, pay_with): (Style, StyledText), room: i32) -> Vec<Block> {
        match fee {
            Some(fee) if self.by_page => {
                let mut lines: Vec<_> = self.lines(&fee, self.fitted(style, &fee, room), self.theme.muted, room, 2).collect();
                lines.push(self.sides((self.texts.small_page.to_owned(), style, self.theme.muted), pay_with, room));
                lines
            }
            Some(fee) => self.fee_and_pay_with(fee, style, pay_with, room),
            None => {
                let said = if self.by_page { self.texts.small_page.to_owned() } else { item };
                vec![self.sides((said, style, self.theme.muted), pay_with, room)]
            }
        }
    }

    /// The words that this is a purchase, where another order's second try waits for its end. They are never cut: half of them
    /// would say that its money is gone.
    fn anew(&self, scene: &Scene, words: Words, room: i32) -> Vec<Block> {
        let Scene::Pay { before: Some(order), .. } = scene else { return Vec::new() };
        let (is_short, weight) = match words {
            Words::Page | Words::All => (false, Weight::Bold),
            // Regular letters are narrower.
            Words::Few | Words::One | Words::Sum | Words::Least => (true, Weight::Regular),
            Words::Bare => return Vec::new(),
        };
        self.whole(&self.texts.anew(order, is_short), self.style(weight, 20), self.theme.accent, room)
    }

    /// The item's name, shortened to the room that the fee leaves in the line. The fee stays whole: half a sum is another sum.
    fn item_and_fee(&self, item: &str, fee: String, style: Style, room: i32) -> String {
        let with_fee = format!(", {fee}");
        let left = room - self.fonts.width(style, &with_fee);
        if left < self.fonts.width(style, "Www…") { fee } else { format!("{}{with_fee}", self.fonts.shortened(style, item, left)) }
    }

    /// The fee has a line for itself, or two, if the apps beside it would cut it off.
    fn fee_and_pay_with(&self, fee: String, style: Style, pay_with: StyledText, room: i32) -> Vec<Block> {
        let least = |style: Style| Style { px: self.letter_px_min, ..style };
        let both = self.fonts.width(least(style), &fee) + self.px(16) + self.fonts.width(least(pay_with.1), &pay_with.0);
        if both <= room && self.fonts.width(least(pay_with.1), &pay_with.0) <= room / 2 {
            return vec![self.sides((fee, style, self.theme.muted), pay_with, room)];
        }
        self.lines(&fee, self.fitted(style, &fee, room), self.theme.muted, room, 2).collect()
    }

    fn column_blocks(
        &self,
        scene: &Scene,
        left: Span,
        (words, steps): (Words, bool),
        second: Option<Arc<Code>>,
        room: i32,
    ) -> Option<Vec<Block>> {
        let Scene::Pay { amount, fee, .. } = scene else { return None };
        let (item, amount) = (self.name(scene.goods()), amount.to_string());
        let all = matches!(words, Words::Page | Words::All);
        let mut blocks = Vec::new();
        let is_sum = matches!(words, Words::Sum | Words::Least | Words::Bare);
        if !is_sum {
            let pay_with = self.fitted(self.style(Weight::Bold, 28), self.texts.pay_with, room);
            blocks.extend(self.lines(self.texts.pay_with, pay_with, self.theme.accent, room, 2));
            blocks.push(Block::Gap(self.px(if all { 12 } else { 4 })));
        }
        let named = match words {
            Words::Page | Words::All => true,
            Words::Few => !self.by_page,
            Words::One | Words::Sum | Words::Least | Words::Bare => false,
        };
        if named {
            blocks.extend(self.lines(&item, self.style(Weight::Regular, 26), self.theme.muted, room, if all { 3 } else { 2 }));
        }
        let style = self.fitted_whole(self.style(Weight::Bold, 62), &amount, room);
        if self.fonts.width(style, &amount) > room {
            return None;
        }
        blocks.push(Block::Line { text: amount, style, colour: self.theme.text });
        if let Some(fee) = fee {
            blocks.extend(self.whole(&self.texts.with_fee(*fee), self.style(Weight::Regular, 20), self.theme.muted, room));
        }
        let small_page = || {
            let lines = self.lines(self.texts.small_page, self.style(Weight::Regular, 22), self.theme.text, room, 2).collect::<Vec<_>>();
            let cut = lines.iter().any(|line| matches!(line, Block::Line { text, .. } if text.ends_with('…')));
            if cut { Vec::new() } else { lines }
        };
        blocks.extend(self.anew(scene, words, room));
        if is_sum {
            blocks.extend([Block::Gap(self.px(6)), self.countdown(left)]);
            // This comes only if there is room left for it.
            blocks.extend(if self.by_page { small_page() } else { Vec::new() });
            return Some(blocks);
        }
        if self.by_page {
            blocks.push(Block::Gap(self.px(8)));
            blocks.extend(small_page());
        } else if steps {
            let steps = self.steps_block(self.style(Weight::Bold, 24), room, words == Words::All);
            blocks.extend([Block::Gap(self.px(if all { 20 } else { 8 })), steps]);
        }
        if let Some(code) = second {
            blocks.extend([Block::Gap(self.px(16)), self.page_beside(code, self.texts.page, (20, self.theme.muted), room)]);
        }
        blocks.extend([Block::Gap(self.px(if all { 16 } else { 6 })), self.countdown(left)]);
        Some(blocks)
    }

    fn put_pay(&mut self, plan: Plan, code: Arc<Code>) {
        self.header(self.theme.ground, false);
        if let Some(header) = plan.header {
            self.header_in(header, header.w == self.w);
        }
        let side = code.side_px() as i32;
        let (x, y) = (plan.qr.x + (plan.qr.w - side) / 2, plan.qr.y + (plan.qr.h - side) / 2);
        let border = ((plan.qr.w.min(plan.qr.h) - side) / 2).clamp(0, self.px(10));
        self.fill(Rect::new(x - border, y - border, side + 2 * border, side + 2 * border), self.theme.card, border);
        self.code(code, x, y);
        for (area, blocks) in plan.stacks {
            self.stack(area, blocks);
        }
    }
}
