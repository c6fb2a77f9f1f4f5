//! A machine whose bounds are reached: it says so, loses nothing, and sells again when there is room.

use super::rig::*;
use crate::machine::orders::{MOST, Most};
use qris_core::wire::orders::{OrderResource, Status};

impl Rig {
    fn that_keeps(most: Most) -> Self {
        assert_eq!((MOST.unfinished, MOST.kept), (1_000, 10_000), "as the guide says");
        let mut rig = Self::unlimited();
        rig.machine.orders.most = most;
        rig
    }

    fn refuses(&mut self, n: u8) {
        self.announced();
        let (_, effects) = self.vend(n);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Prepare(..))), "{effects:?}");
        assert_eq!(self.announced(), ["refused(backend)"]);
        let refused = self.events.last().expect("an event");
        assert_eq!(refused.detail.as_deref(), Some("too many orders are unfinished"));
    }

    fn keeps(&self) -> Vec<String> {
        self.machine.orders.ids().iter().map(ToString::to_string).collect()
    }
}

#[test]
fn with_too_many_outcomes_untold_nothing_is_sold_until_one_is_told() {
    let mut rig = Rig::that_keeps(Most { unfinished: 3, kept: 10 });
    for n in 1..=3 {
        rig.dispensing(n);
        rig.delivered(n);
        rig.answer(n, gone());
        rig.after(20_000);
    }
    rig.refuses(4);
    assert_eq!(rig.keeps(), ["r-1", "r-2", "r-3"]);
    // Also those wait on that were told nothing about for long.
    rig.after(3_600_000);
    rig.answer(2, order(settled(2, 9)));
    assert_eq!(rig.keeps(), ["r-1", "r-3"]);
    rig.offered(5);
    rig.refuses(6);
    rig.pay(&receipt_of(5));
    rig.delivered(5);
    for n in [1, 3, 5] {
        rig.answer(n, order(settled(n, 9)));
    }
    assert!(rig.keeps().is_empty(), "each was told");
}

#[test]
fn with_too_many_charges_that_last_nothing_is_sold_until_the_gateway_has_ended_one() {
    let mut rig = Rig::that_keeps(Most { unfinished: 3, kept: 5 });
    let ended = |n, rev, over| order(OrderResource { rev, over, ..resource(n, Status::Cancel) });
    for n in 1..=5 {
        rig.offered(n);
        rig.message(Topic::VendCancel, &format!(r#"{{"request_id":"r-{n}"}}"#));
        rig.answer(n, ended(n, 2, false));
        rig.after(20_000);
        for kept in 1..=n {
            if rig.backend(kept).is_some() {
                rig.answer(kept, ended(kept, 2, false));
            }
        }
    }
    rig.refuses(6);
    assert_eq!(rig.keeps().len(), 5);
    // Money that comes for one of them is not lost.
    rig.pay(&receipt_of(1));
    assert_eq!(rig.announced(), ["paid", "dispensing"]);
    rig.delivered(1);
    rig.answer(1, order(settled(1, 9)));
    assert_eq!(rig.keeps().len(), 4);
    rig.after(20_000);
    rig.offered(7);
    rig.refuses(8);
    rig.message(Topic::VendCancel, r#"{"request_id":"r-7"}"#);
    rig.answer(7, ended(7, 2, true));
    // Its ticket is closed when its grace is over.
    rig.after(150_000);
    for n in [2, 3, 4, 5, 7] {
        rig.closed(n);
    }
    assert_eq!(rig.keeps(), ["r-2", "r-3", "r-4", "r-5"]);
    rig.offered(9);
}
