//! The number of an offer that is made later. The machine shows two digits, and who tells them stands in front of it: on the order's page, or
//! to the person who made the offer. Then the next press counts, whoever presses. A wrong number is counted before it is answered, so
//! nobody guesses for long. The money has nothing to do with it.

use super::*;
use crate::order::tries::{CONFIRMED_FOR, OFFERED_FOR, TwoDigits};
use serde::{Deserialize, Serialize};

/// So many wrong numbers end a showing.
pub const WRONG_IN_A_SHOWING: u32 = 3;
/// After so many wrong numbers in [`A_DAY`] the order's page asks for none any more.
pub const WRONG_IN_A_DAY: usize = 9;
const A_DAY: Span = Span::secs(24 * 3600);
/// The press comes to the backend after the relay has promised the try, and a machine without a broker hears late that it counts. A request
/// for a receipt that comes so long after the number was told is still of that press.
const PRESS_ON_ITS_WAY: Span = Span::secs(30);

/// The number that a machine shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ShownNumber {
    /// It was drawn for this showing. Nobody but the machine is told.
    pub number: TwoDigits,
    /// When it was drawn.
    pub since: Wall,
    /// How many wrong ones were told.
    pub wrong: u32,
    /// When it was told; `None`: not yet.
    pub told_at: Option<Wall>,
}

/// How the number stands. The number itself is nobody's to know here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum NumberStands {
    /// The machine shows it, or will in a moment. So many wrong ones were told.
    Asked {
        /// Less than [`WRONG_IN_A_SHOWING`].
        wrong: u32,
    },
    /// It was told, and the next press counts.
    Told,
    /// Wrong ones have ended its showing.
    Ended,
}

impl ShownNumber {
    /// Whether the present press is that of who told it.
    fn is_told(&self, now: Told) -> bool {
        // What nobody knows the time of is not surely that.
        self.told_at.and_then(|at| now.until(at + PRESS_ON_ITS_WAY)).is_some_and(|left| left > Span::ZERO)
    }

    /// Whether who asks again sees it once more. By a time that is not trusted its showing is not over.
    fn stands(&self, now: Told) -> bool {
        let is_over = now.is_trusted() && !(self.since..self.since + OFFERED_FOR).contains(&now.wall);
        self.told_at.is_none() && self.wrong < WRONG_IN_A_SHOWING && !is_over
    }
}

impl Order {
    /// The number that its machine shows, or has shown until it was told: without it two presses would begin the try. `None`: it shows none.
    #[must_use]
    pub fn number_shown(&self, now: Told) -> Option<TwoDigits> {
        self.try_wanted_until(now)?;
        self.tries.shown.as_ref().map(|shown| shown.number)
    }

    /// The time until which the next press begins the try: its number was told.
    #[must_use]
    pub fn number_told_until(&self, now: Told) -> Option<Wall> {
        let until = self.try_wanted_until(now)?;
        self.tries.shown.as_ref()?.told_at.map(|_| until)
    }

    /// How its number stands, for people; `None`: there is none.
    #[must_use]
    pub fn number_stands(&self, now: Told) -> Option<NumberStands> {
        let shown = self.tries.shown.as_ref()?;
        if shown.wrong >= WRONG_IN_A_SHOWING {
            return Some(NumberStands::Ended);
        }
        self.try_wanted_until(now)?;
        Some(if shown.told_at.is_some() { NumberStands::Told } else { NumberStands::Asked { wrong: shown.wrong } })
    }

    /// Whether somebody may tell the number now: its customer on the page, or a person.
    pub fn may_tell_number(&self, by: Option<&str>, now: Told) -> Result<(), NoTry> {
        if by.is_none() && self.has_guessed_too_often(now) {
            return Err(NoTry::TooManyWrong);
        }
        match self.number_stands(now) {
            Some(NumberStands::Asked { .. }) => Ok(()),
            Some(NumberStands::Told | NumberStands::Ended) | None => Err(NoTry::NoNumber),
        }
    }

    /// Whether the order's page asks for no number any more.
    #[must_use]
    pub fn has_guessed_too_often(&self, now: Told) -> bool {
        // A time in the future is one from before the clock was set back.
        self.tries.wrong.iter().filter(|at| !now.is_over(**at + A_DAY)).count() >= WRONG_IN_A_DAY
    }

    /// `drawn`: the number of another showing. A showing that stands keeps its own: who asks twice sees one number.
    pub(super) fn show_number(&mut self, drawn: TwoDigits, now: Told) {
        if !self.tries.shown.as_ref().is_some_and(|shown| shown.stands(now)) {
            self.tries.shown = Some(ShownNumber { number: drawn, since: now.wall, wrong: 0, told_at: None });
        }
    }

    /// Somebody tells a number. It counts as a wrong one until it is the right one.
    pub(super) fn number_told(&mut self, number: TwoDigits, by: Option<&str>, now: Told) {
        if self.may_tell_number(by, now).is_err() {
            return;
        }
        let Tries { shown, wrong, wanted_until, .. } = &mut self.tries;
        let Some(shown) = shown else { return };
        if shown.number == number {
            shown.told_at = Some(now.wall);
            *wanted_until = Some(now + CONFIRMED_FOR);
            return;
        }
        shown.wrong += 1;
        wrong.retain(|at| !now.is_over(*at + A_DAY));
        if wrong.len() >= WRONG_IN_A_DAY {
            wrong.remove(0);
        }
        wrong.push(now.wall);
        if shown.wrong >= WRONG_IN_A_SHOWING {
            *wanted_until = None;
        }
    }

    /// Whether a try that begins now is surely the customer's: its number was told.
    pub(super) fn begins_with_its_number(&self, now: Told) -> bool {
        self.tries.shown.as_ref().is_some_and(|shown| shown.is_told(now))
    }
}
