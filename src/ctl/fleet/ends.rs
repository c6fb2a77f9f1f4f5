//! How the machines of a round ended, counted.

use qris_core::wire::command::{Response, Stage};
use serde_json::{Value, json};

#[derive(Default)]
pub(super) struct Ends {
    pub(super) done: usize,
    failed: usize,
    rejected: usize,
    timed_out: usize,
    /// Nothing was sent to them: they did nothing.
    pub(super) not_asked: usize,
    /// Nobody knows what they did.
    pub(super) no_answer: usize,
}

impl Ends {
    /// `is_good`: it is also what was wanted.
    pub(super) fn count(&mut self, end: &Response, is_good: bool) {
        *match end.state {
            _ if is_good => &mut self.done,
            Stage::Rejected => &mut self.rejected,
            Stage::TimedOut => &mut self.timed_out,
            Stage::Failed | Stage::Done | Stage::Accepted | Stage::Running | Stage::Other(_) => &mut self.failed,
        } += 1;
    }

    pub(super) fn all(&self) -> usize {
        self.numbers().iter().map(|(_, number)| number).sum()
    }

    pub(super) fn bad(&self) -> usize {
        self.all() - self.done
    }

    /// The last line for people. An end that no machine had is left out.
    pub(super) fn words(&self) -> String {
        let told = self.numbers().into_iter().filter(|(_, number)| *number > 0);
        told.map(|(name, number)| format!("{number} {}", name.replace('_', " "))).collect::<Vec<_>>().join(", ")
    }

    /// The last line for scripts. Each number is there.
    pub(super) fn as_json(&self) -> Value {
        let numbers: serde_json::Map<_, _> = self.numbers().into_iter().map(|(name, number)| (name.to_owned(), number.into())).collect();
        json!({ "machines": self.all(), "ends": numbers })
    }

    fn numbers(&self) -> [(&'static str, usize); 6] {
        let Self { done, failed, rejected, timed_out, not_asked, no_answer } = *self;
        [
            ("done", done),
            ("failed", failed),
            ("rejected", rejected),
            ("timed_out", timed_out),
            ("not_asked", not_asked),
            ("gave_no_answer", no_answer),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_core::wire::command::{Code, Problem};

    #[test]
    fn the_ends_are_counted_by_their_kind_and_none_is_left_out() {
        let mut ends = Ends { not_asked: 2, no_answer: 1, ..Ends::default() };
        assert_eq!(ends.words(), "2 not asked, 1 gave no answer");
        let done = Response::done(None, Value::Null);
        (0..12).for_each(|_| ends.count(&done, true));
        ends.count(&done, false);
        for state in [Stage::Failed, Stage::Rejected, Stage::TimedOut] {
            ends.count(&Response::ended(None, state, Problem::new(Code::Busy, "")), false);
        }
        assert_eq!(ends.words(), "12 done, 2 failed, 1 rejected, 1 timed out, 2 not asked, 1 gave no answer");
        assert_eq!((ends.all(), ends.bad()), (19, 7));
        let numbers = json!({ "done": 12, "failed": 2, "rejected": 1, "timed_out": 1, "not_asked": 2, "gave_no_answer": 1 });
        assert_eq!(ends.as_json(), json!({ "machines": 19, "ends": numbers }));
        assert_eq!(Ends::default().as_json()["ends"]["failed"], 0, "a script finds each number");
    }
}
