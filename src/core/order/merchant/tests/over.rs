//! When an order is over for good, and when its machine's question makes a question to the gateway.

use super::*;

fn asked(order: Order, ms: i64) -> Order {
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    apply(order, Event::AskedAbout, T0 + Span::millis(ms), &with).expect("a fact")
}

fn calls(order: &Order, ms: i64) -> bool {
    duty(order, T0 + Span::millis(ms)) == Duty::Call(Call::GetStatus)
}

#[test]
fn an_order_is_over_once_the_gateway_was_asked_after_its_end() {
    use Event::{CancelAsked, CancelDone, Charged};
    let charged = || (100, Charged(charge(5000)));
    let cancelled = || vec![charged(), (1_000, CancelAsked), (1_100, CancelDone(report(Said::Cancelled)))];
    let after = |more: Vec<(i64, Event)>| live(&cancelled().into_iter().chain(more).collect::<Vec<_>>());
    let end = QR_EXPIRY.0 + 2 * LAST_LOOK.0;
    let table = [
        ("can be paid", live(&[charged()]), false),
        ("is cancelled", after(vec![]), false),
        ("was looked at before its own end", after(vec![(60_000, status(Said::Cancelled))]), false),
        ("was looked at after it", after(vec![(end, status(Said::Cancelled))]), true),
        ("could not be looked at", after(vec![(end, Event::StatusUnanswered)]), false),
        ("may be money", after(vec![(end, status(Said::Suspect))]), false),
        ("may be money, and a person saw it", after(vec![(end, status(Said::Suspect)), (end + 1, Event::SeenBy("Sari".into()))]), true),
        ("there is news of it", after(vec![(end, status(Said::Cancelled)), (end + 60_000, Event::Notified(Said::Settled))]), false),
        ("is paid", live(&[charged(), (500, status(Said::Settled))]), true),
        ("was never made", live(&[(0, Event::NotCharged(NoCharge::NotMade { again: false, why: "900".into() }))]), true),
    ];
    for (what, order, over) in table {
        assert_eq!(order.is_over(), over, "{what}: {:?}", order.state);
    }
}

#[test]
fn a_machine_that_asks_makes_one_question_in_ten_seconds_while_it_may_be_paid() {
    let pending = live(&[(100, Event::Charged(charge(5000)))]);
    assert_eq!(asked(pending.clone(), 9_000), pending, "it was charged just now");
    let order = asked(pending.clone(), 10_000);
    assert!(calls(&order, 10_000) && !calls(&pending, 10_000));
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let order = apply(order, status(Said::Pending), T0 + Span::millis(10_100), &with).expect("a fact");
    let again = asked(order.clone(), 20_000);
    assert!(again == order && !calls(&again, 20_000), "not sooner");
    assert!(calls(&asked(order.clone(), 20_100), 20_100));
    // The clock was set back.
    assert!(calls(&asked(order, 5_000), 5_000));
    let closed = live(&[(100, Event::Charged(charge(5000))), (1_000, status(Said::Expired))]);
    assert!(calls(&asked(closed, 20_000), 20_000), "it ended, and a payment may have been under way");
    let over = live(&[(100, Event::Charged(charge(5000))), (QR_EXPIRY.0 + 2 * LAST_LOOK.0, status(Said::Expired))]);
    for known in [over, super::order(), live(&[(100, Event::Charged(charge(5000))), (500, status(Said::Settled))])] {
        assert_eq!(asked(known.clone(), 2_000_000), known);
    }
}
