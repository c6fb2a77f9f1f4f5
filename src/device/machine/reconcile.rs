//! Compares the backend's open orders and the relay's promises with the stored orders: at start, at every connect, and
//! whenever somebody says that there is more.

use super::outbox::Outbox;
use super::rights::Rights;
use super::slot::Slot;
use crate::words::{CallId, Effect, Identity};
use qris_core::order::ids::{RequestId, Ticket};
use qris_core::order::late_sign::LateNews;
use qris_core::order::proof::RelayKey;
use qris_core::order::time::{Boot, Span};
use std::collections::VecDeque;

/// Hints of strangers lead to at most one question in this time.
const STRANGERS_EVERY: Span = Span::secs(300);
/// … and hints about an order of ours, whose customer may stand there.
const OURS_EVERY: Span = Span::secs(5);
/// The most tickets that are closed at once. Each costs a commit of the relay, which has customers to serve.
const CLOSE_BATCH: usize = 50;
/// The time until the remaining tickets are looked at again, or the tickets during a `Prepare`.
const CLOSE_AGAIN: Span = Span::secs(5);
/// Tickets are compared when this many may be open. The relay holds 1,000.
const TICKETS_MANY: usize = 900;
/// So many late signs wait for the backend.
const LATE_SIGNS_MAX: usize = 8;

/// The one question for all open orders.
#[derive(Debug, Default)]
pub(super) struct Reconciliation {
    wanted: bool,
    slot: Slot<()>,
    strangers: Hints,
    ours: Hints,
    /// The requests that were looked for when the present question was asked. The answer may not know later ones.
    requested: Vec<RequestId>,
    /// The tickets that the relay had open before the question was asked.
    suspects: Vec<Ticket>,
    /// Those of them that were known when the present question was asked.
    asked_about: Vec<Ticket>,
    /// How many tickets may be open: those of the last list, and one for each `Prepare` since.
    open_tickets: usize,
    reading: bool,
    has_answered: bool,
    /// The relay's key that the last question showed. A new machine's code is used up by that.
    shown_key: Option<RelayKey>,
    /// What the relay's sensor saw after a signed end, and the backend does not know yet. It is news: a restart loses it.
    late_signs: VecDeque<LateNews>,
    /// The one of them that the present question tells.
    asked_late: Option<LateNews>,
}

#[derive(Debug, Default)]
struct Hints {
    /// The next one is followed from then on.
    after: Boot,
    /// One came too early. It is followed then.
    waits: bool,
}

impl Hints {
    /// Whether it is followed now.
    fn take(&mut self, every: Span, now: Boot) -> bool {
        self.waits = now < self.after;
        if !self.waits {
            self.after = now + every;
        }
        !self.waits
    }

    fn deadline(&self) -> Option<Boot> {
        self.waits.then_some(self.after)
    }
}

impl Reconciliation {
    pub(super) fn ask_open(&mut self) {
        self.wanted = true;
    }

    /// Anybody may say this: there is an order that we do not have.
    pub(super) fn hint_open(&mut self, now: Boot) {
        self.wanted |= self.strangers.take(STRANGERS_EVERY, now);
    }

    /// The same of an order that came to nothing here: its customer may want another try.
    pub(super) fn hint_ours(&mut self, now: Boot) {
        self.wanted |= self.ours.take(OURS_EVERY, now);
    }

    /// The backend is told with the question. Of too many the oldest is lost.
    pub(super) fn late_sign(&mut self, news: LateNews) {
        if self.late_signs.len() >= LATE_SIGNS_MAX {
            self.late_signs.pop_front();
        }
        self.late_signs.push_back(news);
        self.wanted = true;
    }

    pub(super) fn nudge(&mut self) {
        self.slot.nudge();
    }

    /// The relay has these tickets open. Those without an order must be closed, if somebody looks for them. `is_new`: the
    /// relay has a new owner.
    pub(super) fn take_tickets(&mut self, tickets: Vec<Ticket>, is_new: bool) {
        if is_new || self.reading {
            self.reading = false;
            self.open_tickets = tickets.len();
            self.wanted |= !tickets.is_empty();
            self.suspects = tickets;
        }
    }

    pub(super) fn has_answered(&self) -> bool {
        self.has_answered
    }

    pub(super) fn running(&self) -> Option<CallId> {
        self.slot.running().map(|(id, ())| *id)
    }

    pub(super) fn prepared(&mut self) {
        self.open_tickets += 1;
    }

    pub(super) fn deadline(&self) -> Option<Boot> {
        let ask = self.slot.free_at().filter(|_| self.wanted);
        [ask, self.strangers.deadline(), self.ours.deadline()].into_iter().flatten().min()
    }

    /// The relay may have tickets open that belong to no order. They are closed when it has told which tickets it has.
    pub(super) fn read_tickets(&mut self, out: &mut Outbox) {
        self.reading = true;
        out.push(Effect::ReadRelay);
    }

    /// Asks for all open orders, when it is time. `lookers`: the requests that wait for that. `key`: the relay's. `taken_over`: another
    /// computer takes the machine's place at the broker. `topics`: which of its topics get through there.
    pub(super) fn ask(
        &mut self,
        lookers: Vec<RequestId>,
        key: Option<&RelayKey>,
        newest_event: impl FnOnce() -> Option<Box<str>>,
        (taken_over, topics): (bool, &Rights),
        out: &mut Outbox,
        now: Boot,
    ) {
        if self.strangers.waits {
            self.hint_open(now);
        }
        if self.ours.waits {
            self.hint_ours(now);
        }
        let looked = self.reading || !self.suspects.is_empty() || !self.asked_about.is_empty();
        if self.open_tickets >= TICKETS_MANY && !looked {
            self.read_tickets(out);
        }
        self.wanted |= !lookers.is_empty() || (key.is_some() && key != self.shown_key.as_ref());
        if self.wanted && self.slot.is_free(now) {
            self.wanted = false;
            let call = self.slot.begin((), (), out);
            self.asked_about = std::mem::take(&mut self.suspects);
            self.requested = lookers;
            self.shown_key = key.cloned();
            self.asked_late = self.late_signs.front().cloned();
            let (late_sign, topics) = (self.asked_late.clone(), topics.told());
            out.push(Effect::AskOpen(
                call,
                Identity { relay_key: key.cloned(), newest_event: newest_event(), taken_over, late_sign, topics },
            ));
        }
    }

    /// There is no list. `least`: it is not asked for before this time has passed. `patiently`: nobody waits for it.
    pub(super) fn unanswered(&mut self, least: Span, patiently: bool, now: Boot) {
        self.suspects.append(&mut self.asked_about);
        self.wanted = true;
        if patiently {
            self.slot.again_in_background(least, now);
        } else {
            self.slot.again_if_paid(least, now);
        }
    }

    /// The list came: the requests that it had to tell about.
    pub(super) fn take_requested(&mut self) -> Vec<RequestId> {
        std::mem::take(&mut self.requested)
    }

    /// The list was taken in. `looks`: requests still wait for one.
    pub(super) fn answered(&mut self, looks: bool, now: Boot) {
        self.has_answered = true;
        if self.asked_late.is_some() && self.asked_late.as_ref() == self.late_signs.front() {
            self.late_signs.pop_front();
        }
        self.wanted |= !self.late_signs.is_empty();
        if self.wanted || looks {
            self.slot.again(Span::ZERO, now);
        } else {
            self.slot.done();
        }
    }

    /// Closes the tickets that belong to no order. Tickets that were given since the question are not among them.
    /// `preparing`: a `Prepare` is under way, and its ticket may be one of these. `held`: as many tickets have orders.
    pub(super) fn close_orphans(
        &mut self,
        is_carried: impl Fn(&Ticket) -> bool,
        preparing: bool,
        held: usize,
        out: &mut Outbox,
        now: Boot,
    ) {
        let mut left = std::mem::take(&mut self.asked_about);
        if !preparing {
            left.retain(|ticket| !is_carried(ticket));
            let rest = left.split_off(left.len().min(CLOSE_BATCH));
            left.into_iter().for_each(|ticket| out.push(Effect::CloseTicket(ticket)));
            self.open_tickets = held;
            if rest.is_empty() {
                return;
            }
            left = rest;
        }
        self.suspects.extend(left);
        self.wanted |= !self.suspects.is_empty();
        self.slot.pause(CLOSE_AGAIN, now);
    }
}
