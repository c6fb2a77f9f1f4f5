//! When an order is over for good, and when its machine's question makes a question to the gateway.

use super::*;

fn asked(order: Order, ms: i64) -> Order {
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    apply(order, Event::StatusRequested, Told::trusted(T0 + Span::millis(ms)), &with).expect("a fact")
}

fn calls(order: &Order, ms: i64) -> bool {
    duty(order, Told::trusted(T0 + Span::millis(ms))) == Duty::Call(Call::GetStatus)
}

#[test]
fn an_order_is_over_once_the_gateway_was_asked_after_its_end() {
    use Event::{CancelDone, CancelRequested, Charged};
    let charged = || (100, Charged(charge(5000)));
    let cancelled = || vec![charged(), (1_000, CancelRequested), (1_100, CancelDone(report(Said::Cancelled)))];
    let after = |more: Vec<(i64, Event)>| live(&cancelled().into_iter().chain(more).collect::<Vec<_>>());
    let end = QR_EXPIRY.0 + 2 * LAST_CHECK.0;
    let table = [
        ("can be paid", live(&[charged()]), false),
        ("is cancelled", after(vec![]), false),
        ("was looked at a moment after its end", after(vec![(60_000, status(Said::Cancelled))]), false),
        ("was looked at minutes after it", after(vec![(1_100 + 2 * CHECK_AFTER_END.0, status(Said::Cancelled))]), true),
        (
            "was given up, and nobody says that it ended",
            live(&[charged(), (1_000, CancelRequested), (2_000, Event::CancelRefused), (90_000_000, Event::StatusUnanswered)]),
            false,
        ),
        ("was looked at after it", after(vec![(end, status(Said::Cancelled))]), true),
        ("could not be looked at", after(vec![(end, Event::StatusUnanswered)]), false),
        ("may be money", after(vec![(end, status(Said::Suspect))]), false),
        (
            "may be money, and a person saw it too early to end it",
            after(vec![(end, status(Said::Suspect)), (end + 1, Event::SeenBy("Sari".into()))]),
            false,
        ),
        (
            "may be money, and a person ended it",
            after(vec![
                (end, status(Said::Suspect)),
                (end + 300_000, status(Said::Suspect)),
                (end + 300_001, Event::SeenBy("Sari".into())),
            ]),
            true,
        ),
        (
            "may be money, and the customer got cash",
            after(vec![
                (end, status(Said::Suspect)),
                (end + 1, Event::SettledByHand { note: "cash".into(), by: None, no_report: false, goods_and_money: false }),
                (end + 60_000, status(Said::Suspect)),
            ]),
            true,
        ),
        (
            "could not be understood, and a person saw it",
            after(vec![
                (end, Event::StatusUnclear("an alien".into())),
                (end + 300_000, Event::StatusUnclear("an alien".into())),
                (end + 300_001, Event::SeenBy("Sari".into())),
            ]),
            true,
        ),
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
    let order = apply(order, status(Said::Pending), Told::trusted(T0 + Span::millis(10_100)), &with).expect("a fact");
    let again = asked(order.clone(), 20_000);
    assert!(again == order && !calls(&again, 20_000), "not sooner");
    assert!(calls(&asked(order.clone(), 20_100), 20_100));
    // The clock was set back.
    assert!(calls(&asked(order, 5_000), 5_000));
    let closed = live(&[(100, Event::Charged(charge(5000))), (1_000, status(Said::Expired))]);
    assert!(calls(&asked(closed, 20_000), 20_000), "it ended, and a payment may have been under way");
    let over = live(&[(100, Event::Charged(charge(5000))), (QR_EXPIRY.0 + 2 * LAST_CHECK.0, status(Said::Expired))]);
    for known in [over, super::order(), live(&[(100, Event::Charged(charge(5000))), (500, status(Said::Settled))])] {
        assert_eq!(asked(known.clone(), 2_000_000), known);
    }
}

/// A machine keeps what is not over, and a payment code lives for days.
#[test]
fn what_the_gateway_has_ended_is_looked_at_once_more_minutes_later() {
    let day = Charge { expires_at: T0 + COUNTER_EXPIRY, ..charge(5000) };
    let charged = || (0, Event::Charged(day.clone()));
    let by_cancel = live(&[charged(), (1_000, Event::CancelRequested), (2_000, Event::CancelDone(report(Said::Cancelled)))]);
    let by_look = live(&[charged(), (1_000, Event::CancelRequested), (1_500, Event::CancelRefused), (2_000, status(Said::Denied))]);
    let expired = live(&[charged(), (2_000, status(Said::Expired))]);
    for (what, order) in [("cancel", by_cancel), ("deny", by_look), ("expire", expired)] {
        let look = next_deadline(&order).expect("once more");
        let after = (look - T0).0 - 2_000;
        assert!((CHECK_AFTER_END.0..CHECK_AFTER_END.0 * 11 / 10).contains(&after), "{what}: {after} ms");
        // Its machine asks in between. That puts the last look off by nothing.
        let asked = asked(order.clone(), 60_000);
        let rules = rules();
        let with = Context { rules: &rules, paid_already: false };
        let asked = apply(asked, status(Said::Cancelled), Told::trusted(T0 + Span::millis(60_100)), &with).expect("a fact");
        assert_eq!((next_deadline(&asked), asked.is_over()), (Some(look), false), "{what}");
        // A payment may cross the end. Get-status tells of it by then.
        let paid = apply(asked.clone(), status(Said::Settled), Told::trusted(look), &with).expect("a fact");
        assert_eq!(word(&paid), "settled", "{what}");
        let over = apply(asked, status(Said::Cancelled), Told::trusted(look), &with).expect("a fact");
        assert_eq!((next_deadline(&over), over.is_over()), (None, true), "{what}");
        // It can be paid all the same: it is ended again, and the time begins anew.
        let found = apply(over, status(Said::Pending), Told::trusted(T0 + Span::secs(900)), &with).expect("a fact");
        let again = apply(found, Event::CancelDone(report(Said::Cancelled)), Told::trusted(T0 + Span::secs(901)), &with).expect("a fact");
        assert!(next_deadline(&again).is_some_and(|look| look >= T0 + Span::secs(901) + CHECK_AFTER_END), "{what}");
    }
    // Nobody says that it has ended: it can be paid until its own end.
    let given_up = live(&[charged(), (1_000, Event::CancelRequested), (CANCEL_GIVE_UP.0, Event::CancelUnanswered)]);
    let told = Charge { expires_at: T0 + Span::secs(7 * 86_400), ..charge(5000) };
    let State::Closed(closed) = given_up.state.clone() else { panic!("{given_up:?}") };
    let given_up = Order { state: State::Closed(Closed { charge: Some(told), ..closed }), ..given_up };
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let unknown = apply(given_up, Event::StatusUnknown, Told::trusted(T0 + Span::secs(2 * 86_400)), &with).expect("a fact");
    assert!(next_deadline(&unknown).is_some_and(|look| look > T0 + Span::secs(7 * 86_400)), "{:?}", unknown.polling);
}
