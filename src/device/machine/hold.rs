//! Somebody looks after the machine: an upgrade, a restart, a person. Nothing is sold meanwhile. RAUC holds it beside any of these:
//! whoever lets go, an installation goes on.

use crate::words::RAUC;
use qris_core::order::reason::Reason;
use qris_core::order::request::Refusal;
use qris_core::order::time::{Boot, Span};

/// Who holds the machine. It is not stored: whoever wants it for longer asks again.
#[derive(Debug, Default)]
pub(super) struct Hold {
    held: Option<Held>,
    rauc: Installing,
}

/// RAUC's hold. It ends when RAUC is seen to install nothing.
#[derive(Debug, Default)]
struct Installing {
    /// It ends by itself then; `None`: RAUC holds nothing.
    until: Option<Boot>,
    /// Somebody waits until RAUC installs nothing.
    is_watched: bool,
    /// RAUC has asked once more since then.
    is_again: bool,
}

#[derive(Debug)]
struct Held {
    who: Box<str>,
    /// It ends by itself then. Nobody can forget a machine.
    until: Boot,
}

impl Hold {
    /// Takes the machine for this time from now on, or for another time if this one has it already. `None`: somebody else has it.
    /// Else answers whether that is news.
    pub(super) fn take(&mut self, who: &str, time: Span, now: Boot) -> Option<bool> {
        let is_new = match &self.held {
            None if self.rauc.until.is_some() => return None,
            None => true,
            Some(held) if *held.who == *who => false,
            Some(_) => return None,
        };
        self.held = Some(Held { who: who.into(), until: now + time });
        Some(is_new)
    }

    /// RAUC has it for this time from now on, whoever else has it. Answers whether that is news.
    pub(super) fn take_for_rauc(&mut self, time: Span, now: Boot) -> bool {
        self.rauc.until.replace(now + time).is_none()
    }

    /// Whether somebody is to wait from now on until RAUC installs nothing.
    pub(super) fn watch_rauc(&mut self) -> bool {
        self.rauc.is_again = self.rauc.is_watched;
        !std::mem::replace(&mut self.rauc.is_watched, true)
    }

    pub(super) const fn is_rauc_watched(&self) -> bool {
        self.rauc.is_watched
    }

    /// RAUC was seen to install nothing. `None`: it has asked once more since, and is to be watched anew. Else answers whether it gives
    /// the machine back.
    pub(super) fn rauc_is_idle(&mut self) -> Option<bool> {
        self.rauc.is_watched = std::mem::take(&mut self.rauc.is_again);
        (!self.rauc.is_watched).then(|| self.rauc.until.take().is_some())
    }

    /// Gives it back. `false`: this one does not have it. RAUC never gives it back in this way: somebody could forget that it installs.
    pub(super) fn release(&mut self, who: &str) -> bool {
        self.held.take_if(|held| *held.who == *who).is_some()
    }

    /// One whose time is over.
    pub(super) fn end(&mut self, now: Boot) -> Option<Box<str>> {
        let is_over = |until: &mut Boot| now >= *until;
        let other = self.held.take_if(|held| is_over(&mut held.until)).map(|held| held.who);
        other.or_else(|| self.rauc.until.take_if(is_over).map(|_| RAUC.into()))
    }

    /// The one who holds it; RAUC, if nobody else does.
    pub(super) fn holder(&self) -> Option<&str> {
        self.held.as_ref().map(|held| &*held.who).or(self.rauc.until.map(|_| RAUC))
    }

    pub(super) fn is_held_by(&self, who: &str) -> bool {
        self.held.as_ref().is_some_and(|held| *held.who == *who)
    }

    pub(super) fn is_held(&self) -> bool {
        self.holder().is_some()
    }

    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.holder().map(|who| Refusal::new(Reason::Updating, format!("{who} holds the machine: it sells again in a moment")))
    }

    pub(super) fn deadline(&self) -> Option<Boot> {
        [self.held.as_ref().map(|held| held.until), self.rauc.until].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Span = Span::secs(600);

    /// What may happen while RAUC installs.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Step {
        /// RAUC's handler asks, or RAUC is seen to install.
        RaucAsks,
        /// RAUC is seen to come further.
        GoesOn,
        /// RAUC is seen to be idle.
        Idle,
        /// Somebody else asks, gives back, or gives back in RAUC's name.
        AptAsks,
        AptEnds,
        InItsName,
        /// The longest time of a hold goes by.
        TimeGoesBy,
    }

    const STEPS: [Step; 7] = [Step::RaucAsks, Step::GoesOn, Step::Idle, Step::AptAsks, Step::AptEnds, Step::InItsName, Step::TimeGoesBy];

    /// The machine's part, and RAUC as it truly is.
    #[derive(Default)]
    struct World {
        hold: Hold,
        now: i64,
        watchers: u32,
        /// RAUC installs, and its last word is no older than the longest time of a hold.
        is_installing: bool,
    }

    impl World {
        fn step(&mut self, step: Step) {
            let now = Boot(self.now);
            match step {
                Step::RaucAsks => {
                    self.is_installing = true;
                    self.hold.take_for_rauc(LONG, now);
                    self.watchers += u32::from(self.hold.watch_rauc());
                }
                Step::GoesOn if self.watchers > 0 && self.hold.is_rauc_watched() => {
                    self.is_installing = true;
                    self.hold.take_for_rauc(LONG, now);
                }
                // Nobody looks, so nobody says it.
                Step::Idle if self.watchers > 0 => match self.hold.rauc_is_idle() {
                    // It is looked at once more. RAUC has begun anew perhaps.
                    None => {}
                    Some(_) => (self.watchers, self.is_installing) = (0, false),
                },
                Step::AptAsks => drop(self.hold.take("apt", LONG, now)),
                Step::AptEnds => drop(self.hold.release("apt")),
                Step::InItsName => drop(self.hold.release(RAUC)),
                Step::TimeGoesBy => {
                    self.now += LONG.0;
                    let now = Boot(self.now);
                    while self.hold.end(now).is_some() {}
                    assert_eq!(self.hold.deadline(), None);
                    // Nobody has heard of it for so long. Whoever waits for it still does.
                    self.is_installing = false;
                }
                Step::GoesOn | Step::Idle => {}
            }
        }
    }

    #[test]
    fn in_every_order_nothing_is_sold_while_rauc_installs_and_nothing_stays_locked() {
        let depth = 6;
        let count = STEPS.len().pow(depth);
        for number in 0..count {
            let mut world = World::default();
            let steps: Vec<Step> = (0..depth).map(|at| STEPS[number / STEPS.len().pow(at) % STEPS.len()]).collect();
            for step in &steps {
                world.step(*step);
                assert!(world.hold.refusal().is_some() || !world.is_installing, "{steps:?}: sold while RAUC installs");
                assert!(world.watchers <= 1, "{steps:?}: two wait for RAUC");
                assert_eq!(world.hold.is_rauc_watched(), world.watchers == 1, "{steps:?}");
                assert_eq!(world.hold.deadline().is_some(), world.hold.holder().is_some(), "{steps:?}: a hold without an end");
            }
            // Everybody is done. RAUC may have to be seen twice.
            for step in [Step::AptEnds, Step::Idle, Step::Idle] {
                world.step(step);
            }
            assert_eq!(world.hold.holder(), None, "{steps:?}: it stays locked");
        }
    }

    #[test]
    fn rauc_waits_for_nobody_and_others_wait_for_rauc() {
        let mut hold = Hold::default();
        assert_eq!(hold.take("apt", LONG, Boot(0)), Some(true));
        assert!(hold.take_for_rauc(LONG, Boot(0)) && !hold.take_for_rauc(LONG, Boot(1_000)));
        assert_eq!((hold.take("apt", LONG, Boot(2_000)), hold.take("night", LONG, Boot(2_000))), (Some(false), None));
        assert_eq!(hold.holder(), Some("apt"));
        assert!(hold.release("apt"));
        assert_eq!(hold.take("apt", LONG, Boot(3_000)), None);
        assert_eq!(hold.holder(), Some(RAUC));
        assert_eq!(hold.deadline(), Some(Boot(601_000)));
        assert_eq!(hold.end(Boot(600_999)), None);
        assert_eq!(hold.end(Boot(601_000)).as_deref(), Some(RAUC));
        assert_eq!(hold.holder(), None);
    }
}
