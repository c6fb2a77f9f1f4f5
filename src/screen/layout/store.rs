//! The page with a payment code for a store.

use super::blocks::Block;
use super::{ScreenPage, Words};
use crate::fonts::Weight;
use crate::picture::Scene;
use crate::qr::Code;
use std::sync::Arc;

/// The margin left and right of it, on a page of 480×800.
const MARGIN: i32 = 20;

impl ScreenPage<'_> {
    /// A code to take along, as large as the page allows. On a small page it has fewer words around it. The time until the page goes is
    /// not told: the customer would take it for the time to pay.
    pub(super) fn pay_at_store(&mut self, scene: &Scene, beside: Option<&Arc<Code>>) {
        for words in [Words::Page, Words::All, Words::Few, Words::One] {
            if words == Words::Page && beside.is_none() {
                continue;
            }
            let second = beside.filter(|_| words == Words::Page);
            let header = matches!(words, Words::Page | Words::All);
            let body = self.body(header);
            let (fits, scale) = self.scale_for(body, MARGIN, |page, room| page.store_blocks(scene, room, words, second));
            // The second code does not shrink. So the words beside it, which do, must not become too small.
            let fits = fits && (words != Words::Page || scale > 0.7 * self.scale);
            if fits || words == Words::One {
                self.header(self.theme.ground, header);
                return self.scaled(scale, body, MARGIN, |page, room| page.store_blocks(scene, room, words, second));
            }
        }
    }

    fn store_blocks(&self, scene: &Scene, room: i32, words: Words, second: Option<&Arc<Code>>) -> Vec<Block> {
        let Scene::PayAtStore { code, store, amount, fee, within, collect, .. } = scene else { return Vec::new() };
        let mut blocks = Vec::new();
        let all = matches!(words, Words::Page | Words::All);
        if all {
            blocks.extend(self.lines(&self.name(scene.goods()), self.style(Weight::Regular, 26), self.theme.muted, room, 2));
        }
        let style = self.fitted(self.style(Weight::Bold, 58), &amount.to_string(), room);
        blocks.push(Block::Line { text: amount.to_string(), style, colour: self.theme.text });
        if let Some(fee) = fee {
            blocks.extend(self.lines(&self.texts.with_fee(*fee), self.style(Weight::Regular, 20), self.theme.muted, room, 2));
        }
        let style = self.style(Weight::Bold, 58);
        let digits: Vec<char> = code.chars().collect();
        let groups: Vec<String> = digits.chunks(4).map(|group| group.iter().collect()).collect();
        let lines = self.in_groups(&groups, style, room - 2 * self.px(16));
        let gap = self.px(if words == Words::One { 6 } else { 18 });
        blocks.extend([Block::Gap(gap), Block::Card { label: self.texts.payment_code, lines, style }, Block::Gap(gap)]);
        blocks.extend(self.whole(&self.texts.pay_at_store(store, *within), self.style(Weight::Bold, 32), self.theme.accent, room));
        if let Some(code) = second {
            blocks.extend([
                Block::Gap(self.px(8)),
                self.page_beside(code.clone(), &self.texts.take_along(*collect), (22, self.theme.muted), room),
            ]);
        } else if words != Words::One {
            blocks.push(Block::Gap(self.px(8)));
            blocks.extend(self.lines(&self.texts.photograph(*collect), self.style(Weight::Regular, 24), self.theme.text, room, 4));
        }
        blocks
    }
}
