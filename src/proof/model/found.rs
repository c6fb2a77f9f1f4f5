//! The results of a search, and the words for people.

use super::properties::Broken;
use super::scenarios::Scenario;
use std::collections::BTreeSet;

/// The results of a search.
#[derive(Debug)]
pub struct Found {
    /// Different worlds, whatever is left of their budgets.
    pub worlds: usize,
    /// Worlds from which the search walked on. A world does not count if it is equal to another one with
    /// more left of the budget.
    pub entries: usize,
    /// The same by the number of deviations: crashes, faults, cancels, late payments and similar events.
    pub levels: Vec<usize>,
    /// Steps between them.
    pub steps: usize,
    /// The outcomes at the ends, each once.
    pub ends: BTreeSet<String>,
    /// The kinds of ends that were seen.
    pub counts: Counts,
    /// The greatest memory of worlds and tables, about.
    pub bytes: usize,
    /// How many worlds of a search with another budget were looked for among these.
    pub among: usize,
    /// This belongs to that other search, which failed itself.
    pub narrower: bool,
    /// How the search ended.
    pub verdict: Verdict,
}

impl Found {
    /// One line for people.
    #[must_use]
    pub fn told(&self, scenario: &Scenario) -> String {
        let verdict = match &self.verdict {
            Verdict::Holds => "holds".to_owned(),
            Verdict::Unfinished { fewer } => format!("NOT FINISHED; all with fewer than {fewer} deviations hold"),
            Verdict::Broken { what, .. } => format!("BROKEN: {what:?}"),
        };
        let among = if self.among == 0 { String::new() } else { format!(" {} worlds of such a search by number among them,", self.among) };
        let narrower = if self.narrower { " (the narrower search, which is to be among it)" } else { "" };
        let levels: Vec<String> = self.levels.iter().map(ToString::to_string).collect();
        format!(
            "{}{narrower}: {} worlds ({} with what is left to happen; by deviations: {}), {} steps,{among} {} kinds of end, {} MB: {verdict}",
            scenario.name,
            self.worlds,
            self.entries,
            levels.join(" + "),
            self.steps,
            self.ends.len(),
            self.bytes >> 20,
        )
    }
}

/// How a search ended.
#[derive(Debug)]
pub enum Verdict {
    /// Every world was looked at, and every property holds in each.
    Holds,
    /// There were too many worlds. Those that were looked at are well.
    Unfinished {
        /// All worlds with fewer deviations than that were looked at.
        fewer: usize,
    },
    /// A property does not hold.
    Broken {
        /// The property.
        what: Broken,
        /// A way there with the fewest deviations, and as short as those allow. Each line is a step.
        trace: Vec<String>,
    },
}

/// Kinds of ends that were seen. That each of them happens shows that the search is not empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Worlds in which nothing more happens by itself.
    pub ends: usize,
    /// With an item handed out and told.
    pub sales: usize,
    /// With a settlement after the end of its charge, and a delivery all the same.
    pub late_sales: usize,
    /// With money that is to go back.
    pub refunds_due: usize,
    /// With an outcome that nobody knows.
    pub uncertain: usize,
    /// With an item that did not come.
    pub failed: usize,
    /// With a settlement that does not match its charge.
    pub mismatches: usize,
    /// With two settlements of one request.
    pub paid_twice: usize,
    /// With a second order_id behind a request.
    pub second_attempts: usize,
    /// With nothing paid.
    pub unpaid: usize,
    /// With two reports that do not agree, left to a person.
    pub conflicts: usize,
    /// With money that went back.
    pub refunded: usize,
}

impl Counts {
    /// Adds the ends of another search.
    pub const fn add(&mut self, other: &Self) {
        self.ends += other.ends;
        self.sales += other.sales;
        self.late_sales += other.late_sales;
        self.refunds_due += other.refunds_due;
        self.uncertain += other.uncertain;
        self.failed += other.failed;
        self.mismatches += other.mismatches;
        self.paid_twice += other.paid_twice;
        self.second_attempts += other.second_attempts;
        self.unpaid += other.unpaid;
        self.conflicts += other.conflicts;
        self.refunded += other.refunded;
    }

    /// The ends that must have been seen, or the search is empty.
    #[must_use]
    pub const fn all(&self) -> [(&'static str, usize); 9] {
        [
            ("a sale", self.sales),
            ("a late settlement that is delivered", self.late_sales),
            ("money that is to go back", self.refunds_due),
            ("money that went back", self.refunded),
            ("an outcome that nobody knows", self.uncertain),
            ("an item that did not come", self.failed),
            ("a mismatch", self.mismatches),
            ("a second order_id", self.second_attempts),
            ("nothing paid", self.unpaid),
        ]
    }
}
