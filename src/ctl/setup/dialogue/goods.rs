//! The questions about the goods: what is sold, and which line hands it out. Does that line move the right thing, the right way round?

use super::Dialogue;
use crate::chips;
use crate::setup::answers::Answers;
use crate::setup::goods::{add_item, add_line, pin_objection, unserved};
use crate::setup::specs::{self, LineSpec};
use crate::setup::text::{fill, texts};
use crate::site::Site;
use crate::{hardware, idle_level, print};
use qris_host::Failure;
use std::fmt::Display;

/// With this sign in front, an entry is taken away.
const AWAY: char = '-';

/// What a person saw after a pulse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::setup) enum Seen {
    /// The right thing, the right way round.
    Right,
    /// It is on at rest, and its level must be turned over.
    Inverted,
    /// Nothing moved, or something else.
    Wrong,
}

impl Dialogue<'_> {
    pub(super) fn items(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        print::line(texts().items)?;
        show(&answers.items)?;
        loop {
            let items = &mut answers.items;
            let take = |text: &str| {
                let mut taken = items.clone();
                match text.strip_prefix(AWAY) {
                    Some(id) => take_away(&mut taken, id, |item| item.id.as_str() == id)?,
                    None => add_item(&mut taken, specs::item(text)?)?,
                }
                Ok(taken)
            };
            match self.asker.line_or_none(texts().item, take)? {
                Some(taken) => *items = taken,
                // Items that are there already stay.
                None if items.is_empty() && self.present.items().is_empty() => print::line(texts().one_needed)?,
                None => return Ok(()),
            }
        }
    }

    pub(in crate::setup) fn lines(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        hardware::chip_words(self.site).iter().try_for_each(|line| print::line(&print::plain(line)))?;
        print::line(texts().lines)?;
        print::line(texts().lines_more)?;
        show(&answers.lines)?;
        if answers.lines.is_empty() && !self.present.lines().is_empty() {
            print::line(texts().lines_stay)?;
        }
        let sold = answers.sold(self.present);
        let here = self.is_here.then_some(self.site);
        print::line(&print::plain(&fill(texts().sold, &[&sold.join(", ")])))?;
        loop {
            let lines = &mut answers.lines;
            let take = |text: &str| {
                let mut taken = lines.clone();
                match text.strip_prefix(AWAY) {
                    Some(item) => take_away(&mut taken, item, |line| line.items.iter().any(|other| other == item))?,
                    None => add_line(&sold, &mut taken, fitting(here, specs::line(text)?)?)?,
                }
                Ok(taken)
            };
            match self.asker.line_or_none(texts().line, take)? {
                Some(taken) => {
                    let is_new = taken.len() > lines.len();
                    *lines = taken;
                    if let Some(why) = lines.last().filter(|_| is_new).and_then(|new| driven_at_rest(here, new)) {
                        print::line(&format!("  {}", print::plain(&why)))?;
                    }
                }
                None if lines.is_empty() && !self.present.lines().is_empty() => return Ok(()),
                None => {
                    let served: Vec<_> = lines.iter().flat_map(|line| line.items.clone()).collect();
                    match unserved(&sold, &served).join(", ").as_str() {
                        "" if lines.is_empty() => print::line(texts().one_needed)?,
                        "" => return Ok(()),
                        unserved => print::line(&print::plain(&fill(texts().unserved, &[&unserved])))?,
                    }
                }
            }
        }
    }

    pub(in crate::setup) fn seen(&mut self) -> Result<Seen, Failure> {
        if !self.asker.yes(texts().moved, true)? {
            // A relay that is on at rest moves at the end of the pulse, or not at all.
            let is_on = self.asker.yes(texts().is_on, false)?;
            return Ok(if is_on && self.turn_over()? { Seen::Inverted } else { Seen::Wrong });
        }
        let is_right = self.asker.yes(texts().in_between, true)?;
        Ok(if !is_right && self.turn_over()? { Seen::Inverted } else { Seen::Right })
    }

    fn turn_over(&mut self) -> Result<bool, Failure> {
        self.asker.yes(texts().turn_over, true)
    }
}

fn show(so_far: &[impl Display]) -> Result<(), Failure> {
    so_far.iter().try_for_each(|one| print::line(&print::plain(&format!("  {one}"))))
}

fn take_away<T>(from: &mut Vec<T>, name: &str, is_it: impl Fn(&T) -> bool) -> Result<(), String> {
    let at = from.iter().position(is_it).ok_or_else(|| fill(texts().away, &[&name]))?;
    from.remove(at);
    Ok(())
}

/// A line that can be used. `here`: its computer, if the program runs on that one.
fn fitting(here: Option<&Site>, line: LineSpec) -> Result<LineSpec, String> {
    let (Some(site), Some(offset)) = (here, line.offset) else { return Ok(line) };
    let path = chips::device(site, &line.chip)?.ok_or_else(|| fill(texts().chip_not_there, &[&line.chip]))?;
    // The checks judge a line that cannot be looked at now.
    let why = hardware::chip(&path).ok().and_then(|chip| pin_objection(&chip, offset));
    why.map_or(Ok(line), Err)
}

/// The effect of a resistor on it before the service runs.
fn driven_at_rest(here: Option<&Site>, line: &LineSpec) -> Option<String> {
    let chip = hardware::chip(&chips::device(here?, &line.chip).ok()??).ok()?;
    let (said, to_do) = idle_level::objection(&chip.label, line.offset?, line.active_low)?;
    Some(fill(texts().pin_not_idle, &[&said, line.items.first()?, &to_do]))
}
