//! How far a round has come, for a person at a terminal: the last line, which makes room for each result.

use crate::print;
use qris_host::Failure;
use std::io::{self, IsTerminal as _, Write as _};

/// A round of a few machines is over before anybody wonders.
const FEW: usize = 3;
/// Columns of the bar.
const WIDTH: usize = 30;

#[derive(Default)]
pub(super) struct Progress {
    all: usize,
    ended: usize,
    is_seen: bool,
}

impl Progress {
    /// So many machines. Nothing is drawn where nobody sees it.
    pub(super) fn of(all: usize) -> Self {
        let progress = Self { all, ended: 0, is_seen: all > FEW && io::stderr().is_terminal() };
        progress.draw();
        progress
    }

    /// One more has its end, in these lines.
    pub(super) fn past(&mut self, lines: &[String]) -> Result<(), Failure> {
        self.ended += 1;
        if self.is_seen {
            drop(write!(io::stderr(), "\r\x1b[K"));
        }
        lines.iter().try_for_each(|line| print::line(line))?;
        self.draw();
        Ok(())
    }

    fn draw(&self) {
        if self.is_seen && self.ended < self.all {
            // If nobody reads it, nobody misses it.
            drop(write!(io::stderr(), "{}", self.bar()));
        }
    }

    fn bar(&self) -> String {
        let full = WIDTH * self.ended / self.all.max(1);
        format!("[{}{}] {} of {} machines", "#".repeat(full), " ".repeat(WIDTH - full), self.ended, self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_grows_with_the_ends() {
        let bar = |ended| Progress { all: 200, ended, is_seen: true }.bar();
        assert_eq!(bar(0), format!("[{}] 0 of 200 machines", " ".repeat(30)));
        assert_eq!(bar(100), format!("[{}{}] 100 of 200 machines", "#".repeat(15), " ".repeat(15)));
        assert_eq!(bar(199).matches('#').count(), 29);
        assert!(!Progress::of(200).is_seen, "a test has no terminal");
    }
}
