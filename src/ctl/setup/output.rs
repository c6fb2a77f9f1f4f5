//! The messages of a set-up: in words, or as one JSON object a line.

use super::compose::Composed;
use super::present::Present;
use super::text::{fill, texts};
use crate::print;
use crate::site::Site;
use qris_core::order::ids::ItemId;
use qris_core::order::request::{Price, PriceList};
use qris_host::Failure;
use qris_host::setup::write::Change;

pub(super) struct Output {
    pub(super) json: bool,
}

impl Output {
    pub(super) fn files(&self, composed: &Composed, site: &Site, with_difference: bool) -> Result<(), Failure> {
        for file in &composed.files {
            let change = match file.change(site) {
                Change::New => texts().file_new,
                Change::Changed | Change::Access => texts().file_changed,
                Change::Same if self.json => "same",
                Change::Same => texts().as_it_is,
            };
            if self.json {
                print::line(&serde_json::json!({ "file": file.path(), "change": change }).to_string())?;
                continue;
            }
            print::line(&file.words(change))?;
            if with_difference {
                file.difference(site).iter().try_for_each(|line| print::line(&format!("          {}", print::plain(line))))?;
            }
        }
        for path in &composed.obsolete {
            match self.json {
                true => print::line(&serde_json::json!({ "file": path, "change": "removed" }).to_string())?,
                false => print::line(&format!("{:<25}  {}", texts().file_removed, print::plain(&path.display().to_string())))?,
            }
        }
        Ok(())
    }

    /// Shows what is sold from now on, and what is no longer sold. A person sees here that a price lacks a zero.
    pub(super) fn goods(&self, present: &Present, sold: &PriceList) -> Result<(), Failure> {
        for (item, price) in sold.items() {
            let price = match price {
                Price::Fixed(price) => price.to_string(),
                Price::FromRequest { min, max, .. } => format!("{min}–{max}"),
            };
            self.remark(&fill(texts().sells, &[item, &price]))?;
        }
        let before = present.item_tables();
        let before = before.iter().filter_map(|item| ItemId::new(item.get("id")?.as_str()?).ok());
        before.filter(|item| sold.of(item).is_none()).try_for_each(|item| self.remark(&fill(texts().sells_no_more, &[&item])))
    }

    pub(super) fn remark(&self, text: &str) -> Result<(), Failure> {
        if self.json { print::line(&serde_json::json!({ "said": text }).to_string()) } else { print::line(&print::plain(text)) }
    }
}
