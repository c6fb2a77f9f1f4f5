//! The machine's place at the broker: whether another computer takes it. A broker has one connection for each client id. So two with the
//! same one throw each other out, again and again.

use qris_core::order::time::{Boot, Span};

pub(super) const WORDS: &str = "another computer has this machine's client id, and takes its place at the broker again and again";
/// So often is again and again. Once may be a network that breaks, or a broker that starts anew.
const TIMES: u32 = 3;
/// This long after the last time the place is the machine's own.
const QUIET: Span = Span::secs(600);

#[derive(Debug, Default)]
pub(super) struct BrokerPlace {
    /// How often, with less than [`QUIET`] from one to the next.
    times: u32,
    last: Option<Boot>,
}

impl BrokerPlace {
    /// The broker has thrown the machine out.
    pub(super) fn lost(&mut self, now: Boot) {
        self.look(now);
        (self.times, self.last) = (self.times.saturating_add(1), Some(now));
    }

    /// The broker could not be reached. So nobody has taken the place: the broker or the network was away before, too.
    pub(super) fn nobody_there(&mut self) {
        if !self.is_taken() {
            *self = Self::default();
        }
    }

    /// Whether another computer takes it now.
    pub(super) fn look(&mut self, now: Boot) -> bool {
        if self.deadline().is_some_and(|over| now >= over) {
            *self = Self::default();
        }
        self.is_taken()
    }

    /// The same, when it was looked at last.
    pub(super) const fn is_taken(&self) -> bool {
        self.times >= TIMES
    }

    pub(super) fn deadline(&self) -> Option<Boot> {
        self.last.map(|last| last + QUIET)
    }
}
