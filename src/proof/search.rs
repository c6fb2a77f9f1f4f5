//! The search. A play is performed, and at each place where something may go wrong it does, once for each place.
//! Then it does at each two places, and so on. Each performance runs the whole product in virtual time, as the simulation does.

use crate::world::{self, Counts, Kind, NoDirectory, Play};
use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// A performance: the play, and the places at which something goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Case {
    pub play: Play,
    /// The numbers of the places, in order. The first place of a performance is 0.
    pub wrong: Vec<usize>,
}

#[derive(Debug)]
pub struct Performed {
    /// The rule that does not hold, if there is one.
    pub failure: Option<String>,
    /// All places that were passed: what may go wrong there.
    pub places: Vec<Kind>,
    pub counts: Counts,
    /// All events, one in each line.
    pub trace: String,
}

impl Case {
    /// A play without a disturbance.
    #[must_use]
    pub const fn calm(play: Play) -> Self {
        Self { play, wrong: Vec::new() }
    }

    /// Reads the name of a performance, such as `sale:17,42`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let (play, places) = name.split_once(':')?;
        let play = Play::ALL.into_iter().find(|known| known.name() == play)?;
        let wrong = places.split(',').filter(|place| !place.is_empty()).map(|place| place.parse().ok()).collect::<Option<_>>()?;
        Some(Self { play, wrong })
    }

    pub fn perform(&self, place: &Path) -> Result<Performed, NoDirectory> {
        let (report, places) = world::perform(self.play, &self.wrong, place)?;
        Ok(Performed { failure: report.failure, places, counts: report.counts, trace: report.trace })
    }

    /// The same with one more that goes wrong, once at each place after the last.
    pub fn with_one_more(&self, performed: &Performed) -> impl Iterator<Item = Self> {
        let first = self.wrong.last().map_or(0, |last| last + 1);
        (first..performed.places.len()).map(|place| Self { play: self.play, wrong: self.wrong.iter().copied().chain([place]).collect() })
    }

    #[must_use]
    pub fn describe(&self, performed: &Performed) -> String {
        let what: Vec<&str> = self.wrong.iter().filter_map(|at| performed.places.get(*at)).map(|kind| kind.name()).collect();
        what.join("; ")
    }
}

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let places: Vec<String> = self.wrong.iter().map(ToString::to_string).collect();
        write!(f, "{}:{}", self.play.name(), places.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Performs it, and everything in which one more thing goes wrong, down to `depth` of them; with `kind`, one of them is of
    /// that kind.
    fn below(case: &Case, depth: usize, kind: &str, place: &Path, counts: &mut Counts) -> usize {
        let performed = case.perform(place).expect("a directory");
        if let Some(why) = &performed.failure {
            panic!("{case}: {why} ({})\n{}", case.describe(&performed), performed.trace);
        }
        counts.add(&performed.counts);
        if case.wrong.len() == depth {
            return 1;
        }
        let has_kind = |case: &Case| case.wrong.iter().any(|at| performed.places[*at].name().contains(kind));
        let is_wanted = |next: &Case| next.wrong.len() < depth || has_kind(next);
        1 + case.with_one_more(&performed).filter(is_wanted).map(|next| below(&next, depth, kind, place, counts)).sum::<usize>()
    }

    /// `QRIS_SEARCH`, such as `sale` or `sale jams`, asks for another play, or for each two places with one of that kind.
    #[test]
    fn whatever_goes_wrong_in_a_sale_the_promise_holds() {
        let place = tempfile::tempdir().expect("a directory");
        let wanted = std::env::var("QRIS_SEARCH").unwrap_or_default();
        let (play, kind) = wanted.split_once(' ').unwrap_or((&wanted, ""));
        let play = Play::ALL.into_iter().find(|known| known.name() == play).unwrap_or(Play::Sale);
        let mut counts = Counts::default();
        let performances = below(&Case::calm(play), if kind.is_empty() { 1 } else { 2 }, kind, place.path(), &mut counts);
        println!("{performances} performances");
        assert!(performances > 100, "{performances}");
        if wanted.is_empty() {
            for kind in [Kind::Sales, Kind::RefundsDue, Kind::Uncertain, Kind::Mismatches, Kind::Unpaid, Kind::Refunded, Kind::Late] {
                assert!(counts.of(kind) > 0, "the search never saw {}", kind.name());
            }
        }
    }

    #[test]
    fn a_performance_is_repeated_by_its_name() {
        let place = tempfile::tempdir().expect("a directory");
        let case = Case::named("sale:20,60").expect("a name");
        assert_eq!(case.to_string(), "sale:20,60");
        let [first, second] = [0, 1].map(|_| case.perform(place.path()).expect("a directory"));
        assert_eq!(first.trace, second.trace);
        assert!(first.trace.matches("IT GOES WRONG").count() == 2, "{}", first.trace);
        assert!(Case::named("sale").is_none() && Case::named("nothing:1").is_none() && Case::named("sale:x").is_none());
    }
}
