//! The items for sale and the lines for them are compared as soon as they are said: by flags, or in the dialogue where they
//! are typed. A fault is told in the words in which the entry was said.

use super::specs::{Item, LineSpec};
use super::text::{fill, texts};
use crate::hardware::GpioChip;
use qris_relay::config::LINES_MAX;
use qris_relay::pin::CONSUMER;

/// All items that no other line has.
const ANY: &str = "*";

pub(super) fn add_item(items: &mut Vec<Item>, new: Item) -> Result<(), String> {
    if let Some(other) = items.iter().find(|item| item.id == new.id) {
        return Err(fill(texts().item_there, &[&new.id, other]));
    }
    items.push(new);
    Ok(())
}

/// `sold`: the items for sale, where they are known.
pub(super) fn add_line(sold: &[String], lines: &mut Vec<LineSpec>, new: LineSpec) -> Result<(), String> {
    let is_sold = |id: &&String| *id == ANY || sold.is_empty() || sold.contains(id);
    if let Some(unsold) = new.items.iter().find(|id| !is_sold(id)) {
        return Err(fill(texts().line_unsold, &[unsold, &sold.join(", ")]));
    }
    for line in &*lines {
        if let Some(item) = new.items.iter().find(|item| line.items.contains(item)) {
            let what = if item == ANY { texts().line_any } else { item };
            return Err(fill(texts().line_served, &[&what, line]));
        }
        if new.offset.is_some() && (&line.chip, line.offset) == (&new.chip, new.offset) {
            return Err(fill(texts().line_pin, &[line]));
        }
        if line.name() == new.name() {
            return Err(fill(texts().line_name, &[&format!("{:?}", line.name()), line]));
        }
    }
    if lines.len() >= LINES_MAX {
        return Err(fill(texts().line_many, &[&LINES_MAX]));
    }
    lines.push(new);
    Ok(())
}

pub(super) fn unserved<'a>(sold: &'a [String], served: &[String]) -> Vec<&'a str> {
    let is_served = |id: &&String| served.iter().any(|served| served == ANY || served == *id);
    sold.iter().filter(|id| !is_served(id)).map(String::as_str).collect()
}

/// Why a pin of this computer cannot be a line: it is not there, or somebody else uses it. A pin that cannot be looked at is
/// not judged here.
pub(super) fn pin_objection(chip: &GpioChip, offset: u32) -> Option<String> {
    let Some(line) = chip.lines.iter().find(|line| line.offset == offset) else {
        return Some(fill(texts().pin_missing, &[&chip.device.display(), &chip.lines.len(), &offset]));
    };
    let other = line.holder.as_ref().filter(|holder| *holder != CONSUMER)?;
    Some(fill(texts().pin_held, &[&offset, &chip.device.display(), &format!("{other:?}")]))
}

#[cfg(test)]
mod tests {
    use super::super::specs;
    use super::*;
    use crate::hardware::GpioLine;

    #[test]
    fn what_does_not_fit_is_told_and_leaves_what_does() {
        let mut items = Vec::new();
        for (text, told) in [("A1:5000:Teh", None), ("A1:6000:Kopi", Some("A1 is there already: A1:5000:Teh")), ("A2:5000", None)] {
            let added = add_item(&mut items, specs::item(text).expect("an item"));
            assert_eq!(added.err().as_deref(), told, "{text}");
        }
        assert_eq!(items.len(), 2);
        let sold: Vec<_> = items.iter().map(|item| item.id.to_string()).collect();
        let mut lines = Vec::new();
        for (text, told) in [
            ("A1=/dev/gpiochip0:17", None),
            ("Z9=/dev/gpiochip0:18", Some("Z9, which is not sold. Sold: A1, A2")),
            ("A2=/dev/gpiochip0:17", Some("that pin is in use already: A1=/dev/gpiochip0:17")),
            ("A1=/dev/gpiochip0:18", Some("A1 has a line already: A1=/dev/gpiochip0:17")),
            ("A2=/dev/gpiochip1:17:low", None),
            ("*=sim:/tmp/a", None),
            ("*=sim:/tmp/b", Some("* (every item that no other line has) has a line already")),
        ] {
            let unserved = unserved(&sold, &served(&lines)).len();
            assert_eq!(unserved, 2_usize.saturating_sub(lines.len()), "{text}");
            let added = add_line(&sold, &mut lines, specs::line(text).expect("a line"));
            match (added, told) {
                (Ok(()), None) => {}
                (Err(why), Some(told)) => assert!(why.contains(told), "{why}"),
                (added, told) => panic!("{text}: {added:?}, not {told:?}"),
            }
        }
        assert_eq!(lines.len(), 3);
        // Nobody knows the items yet, so no line is judged by them. And several lines may share one file.
        let mut unknown = Vec::new();
        for text in ["Z9=sim:/tmp/a", "Z8=sim:/tmp/a"] {
            assert_eq!(add_line(&[], &mut unknown, specs::line(text).expect("a line")), Ok(()));
        }
    }

    fn served(lines: &[LineSpec]) -> Vec<String> {
        lines.iter().flat_map(|line| line.items.clone()).collect()
    }

    #[test]
    fn a_pin_that_is_not_there_or_not_free_is_no_line() {
        let line = |offset, holder: Option<&str>| GpioLine { offset, name: String::new(), holder: holder.map(str::to_owned) };
        let lines = vec![line(0, None), line(1, Some("qris-relayd")), line(2, Some("spi0 CS0"))];
        let chip = GpioChip { device: "/dev/gpiochip0".into(), label: "pl061".into(), lines };
        for (offset, told) in [(0, None), (1, None), (2, Some("held by \"spi0 CS0\"")), (3, Some("has 3 lines, from 0: there is no 3"))] {
            let why = pin_objection(&chip, offset);
            assert_eq!(why.is_some(), told.is_some(), "{offset}");
            assert!(why.is_none_or(|why| why.contains(told.unwrap_or_default())), "{offset}");
        }
    }
}
