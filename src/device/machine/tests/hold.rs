//! Somebody looks after the machine.

use super::rig::*;
use qris_core::order::machine::RelayCall;
use qris_core::order::reason::Reason;

const TEN_MINUTES: Span = Span::secs(600);

impl Rig {
    pub(super) fn asks(&mut self, request: Request) -> Option<Reason> {
        let effects = self.on(Input::Requested(request, ON_BOARD));
        let replies = effects.iter().filter_map(|effect| if let Effect::Reply(_, reply) = effect { Some(*reply) } else { None });
        let replies: Vec<_> = replies.collect();
        assert_eq!(replies.len(), 1, "each question gets one reply");
        assert_eq!(replies[0].state, None);
        replies[0].reason
    }

    pub(super) fn holds(&mut self, who: &str) -> Option<Reason> {
        self.asks(Request::Hold(who.into(), TEN_MINUTES))
    }
}

#[test]
fn nothing_is_sold_while_it_is_held_and_it_ends_by_itself() {
    let mut rig = Rig::new();
    assert_eq!(rig.holds("apt"), None);
    assert_eq!(rig.scene, "Idle { trouble: Some(Updating), not_sold: {} }");
    rig.vend(1);
    assert_eq!(rig.announced(), ["refused(updating)"]);
    assert_eq!(rig.holds("a person"), Some(Reason::Updating), "one at a time");
    rig.asks(Request::Release("a person".into()));
    rig.after(1_000);
    rig.vend(2);
    assert_eq!(rig.announced(), ["refused(updating)"], "only its holder gives it back");
    assert_eq!(rig.holds("apt"), None, "for another ten minutes");
    rig.after(599_000);
    rig.vend(3);
    assert_eq!(rig.announced(), ["refused(updating)"]);
    rig.after(1_000);
    assert_eq!(rig.scene, "Idle { trouble: None, not_sold: {} }");
    rig.requested(4);
}

#[test]
fn a_customer_who_is_there_is_served_to_the_end_and_the_next_one_is_not() {
    let mut rig = Rig::new();
    rig.dispensing(1);
    assert_eq!(rig.holds("shutdown"), Some(Reason::Busy));
    rig.delivered(1);
    rig.announced();
    assert_eq!(rig.holds("shutdown"), None);
    rig.vend(2);
    assert_eq!(rig.announced(), ["refused(updating)"]);
    rig.asks(Request::Release("shutdown".into()));
    rig.after(1_000);
    rig.requested(3);
}

/// A code from a store is refused then, too.
#[test]
fn a_payment_that_comes_late_is_refunded_while_somebody_holds_the_machine() {
    let ended_unpaid = || {
        let mut rig = Rig::new();
        rig.offered(1);
        rig.after(120_000);
        rig.answer(1, gone());
        rig.announced();
        rig
    };
    let mut rig = ended_unpaid();
    rig.after(15_000);
    assert_eq!(rig.holds("apt"), None, "no customer is there");
    rig.pay(&receipt_of(1));
    assert_eq!(rig.announced(), ["refund_due(late)"]);
    assert_eq!(rig.relay(1), Some(RelayCall::Close(ticket(1))));
    // It sells again.
    let mut rig = ended_unpaid();
    rig.after(15_000);
    assert_eq!(rig.holds("apt"), None);
    rig.asks(Request::Release("apt".into()));
    rig.pay(&receipt_of(1));
    assert_eq!(rig.announced(), ["paid", "dispensing"]);
    // The QR has gone, and its cancel still holds the machine: the customer is there.
    let mut rig = ended_unpaid();
    assert_eq!(rig.holds("apt"), Some(Reason::Busy));
    rig.pay(&receipt_of(1));
    assert_eq!(rig.announced(), ["paid", "dispensing"]);
}

#[test]
fn a_shutdown_waits_for_the_customer_also_if_somebody_else_holds_the_machine_already() {
    let mut rig = Rig::new();
    rig.dispensing(1);
    assert_eq!(rig.holds("apt"), Some(Reason::Busy));
    assert_eq!(rig.holds("shutdown"), Some(Reason::Busy), "a customer is there");
    rig.delivered(1);
    assert_eq!(rig.holds("shutdown"), Some(Reason::Updating), "nobody is there");
}
