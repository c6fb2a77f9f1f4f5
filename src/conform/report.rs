//! One line a check, and the count at the end.

use std::fmt;
use std::future::Future;
use std::time::Duration;
use tokio::time::timeout;

/// Why a check did not end well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The expected value and the one that came.
    Different(String),
    /// Why the check could not run.
    NotRun(String),
}

pub type Checked = Result<(), Stop>;

/// A difference, in words.
pub fn different(expected: impl fmt::Display, came: impl fmt::Display) -> Stop {
    Stop::Different(format!("expected {expected}; came {came}"))
}

/// Goes on only if the value is the expected one.
pub fn same<T: PartialEq + fmt::Debug>(what: &str, expected: &T, came: &T) -> Checked {
    if expected == came { Ok(()) } else { Err(different(format_args!("{what} {expected:?}"), format_args!("{came:?}"))) }
}

/// Goes on only if a condition holds.
pub fn holds(holds: bool, expected: impl fmt::Display, came: impl fmt::Display) -> Checked {
    if holds { Ok(()) } else { Err(different(expected, came)) }
}

/// Prints the results and counts them.
#[derive(Debug, Default)]
pub struct Conformance {
    only: Option<String>,
    good: usize,
    different: usize,
    not_run: usize,
}

impl Conformance {
    /// Runs only the checks whose names have these words, if there are any.
    pub fn of(only: Option<String>) -> Self {
        Self { only, ..Self::default() }
    }

    /// Runs a check, no longer than `within`, and tells its result.
    pub async fn check(&mut self, name: &str, within: Duration, check: impl Future<Output = Checked>) {
        if self.only.as_deref().is_some_and(|words| !name.contains(words)) {
            return;
        }
        let checked = timeout(within, check).await;
        self.tell(name, checked.unwrap_or_else(|_| Err(different(format_args!("an end within {} s", within.as_secs()), "none"))));
    }

    pub fn tell(&mut self, name: &str, checked: Checked) {
        match checked {
            Ok(()) => {
                self.good += 1;
                println!("ok: {name}");
            }
            Err(Stop::Different(why)) => {
                self.different += 1;
                println!("DIFFERENCE: {name}: {why}");
            }
            Err(Stop::NotRun(why)) => {
                self.not_run += 1;
                println!("skipped: {name}: {why}");
            }
        }
    }

    /// Prints the last line, and answers whether there was no difference.
    pub fn end(&self) -> bool {
        let checks = self.good + self.different + self.not_run;
        println!("{checks} checks: {} ok, {} different, {} skipped", self.good, self.different, self.not_run);
        self.different == 0
    }
}
