//! A word comes after somebody has decided: from the machine, from get-status, or from a notification.

use super::lives::*;
use super::*;

/// The machine told both, and the refund was on its way.
#[test]
fn a_refund_that_comes_after_another_outcome_is_told() {
    for on_its_way in [true, false] {
        let due = due();
        let told = DeliveryReport::proven(Delivery::Dispensed);
        let events = [
            Event::RefundRequested(RefundWish::of_a_person(None)),
            Event::Contradicted { told, refund_on_its_way: on_its_way },
            Event::RefundAnswered(approved()),
        ];
        let rules = rules();
        let with = Context { rules: &rules, paid_already: false };
        let order = events.into_iter().fold(due, |order, event| apply(order, event, at(3000), &with).expect("granted"));
        assert_eq!((word(&order).as_str(), order.attention()), ("refunded", vec![Attention::LateFact]), "on its way: {on_its_way}");
    }
}

/// The machine told both, and nobody knew whether the refund was made.
#[test]
fn a_refund_that_get_status_tells_after_another_outcome_is_told() {
    for first in [
        Event::RefundAnswered(RefundAnswer::Unsure("cut".into())),
        Event::RefundAnswered(RefundAnswer::KeyUsed("406".into())),
        Event::Abandoned,
    ] {
        let unsure = then(refund_under_way(), 3100, first.clone());
        let told = DeliveryReport::proven(Delivery::Dispensed);
        let both = then(unsure, 4000, Event::Contradicted { told, refund_on_its_way: false });
        let order = lives(both, 4000, DAY, &|_| status(Said::Refunded)).order;
        assert_eq!((word(&order).as_str(), order.attention()), ("refunded", vec![Attention::LateFact]), "{first:?}");
    }
}

/// A person who knows both words has decided. That is no news.
#[test]
fn a_refund_that_a_person_asked_for_after_two_outcomes_is_the_end_of_it() {
    let due = due();
    let told = DeliveryReport::proven(Delivery::Dispensed);
    let both = then(due, 3000, Event::Contradicted { told, refund_on_its_way: false });
    assert!(both.attention().contains(&Attention::Conflict));
    let wish = RefundWish { no_proof: true, ..RefundWish::of_a_person(Some("Ani".into())) };
    let asked = then(both, 4000, Event::RefundRequested(wish));
    for answer in [approved(), RefundAnswer::Unsure("cut".into())] {
        let answered = then(asked.clone(), 4100, Event::RefundAnswered(answer.clone()));
        let order = lives(answered, 4100, DAY, &|_| status(Said::Refunded)).order;
        assert_eq!((word(&order).as_str(), order.attention()), ("refunded", vec![]), "{answer:?}");
    }
}

/// The goods came, after all. So no other call gives the money back, and nobody is owed anything.
#[test]
fn no_refund_is_asked_for_once_the_machine_told_that_it_handed_out() {
    let paid = live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled))]);
    let silent = lives(paid, 1000, DAY, &|call| panic!("{call:?}")).order;
    let wish = RefundWish { no_report: true, ..RefundWish::of_a_person(None) };
    let silent = then(silent, DAY, Event::RefundRequested(wish));
    let dispensed = || DeliveryReport::proven(Delivery::Dispensed);
    let contradicted = Event::Contradicted { told: dispensed(), refund_on_its_way: true };
    for (begun, from, event) in [(silent, DAY, Event::Delivered(dispensed())), (refund_under_way(), 3500, contradicted)] {
        for answer in refunds().into_iter().skip(1) {
            let told = then(begun.clone(), from, event.clone());
            let answered = then(told, from + 100, Event::RefundAnswered(answer.clone()));
            let life = lives(answered.clone(), from + 100, from + DAY, &|_| status(Said::Settled));
            assert!(life.calls.iter().all(|(call, _)| *call == Call::GetStatus), "{event:?}, {answer:?}: {:?}", life.calls);
            let seen = |order: &Order| {
                let rules = rules();
                let seen =
                    apply(order.clone(), Event::SeenBy("Ani".into()), at(from + 2 * DAY), &Context { rules: &rules, paid_already: false });
                seen.unwrap_or_else(|_| order.clone()).attention()
            };
            // Where the words contradict each other, a person decides.
            let left = if life.order.has_conflict() { vec![Attention::RefundFailed, Attention::Conflict] } else { vec![] };
            assert_eq!(seen(&life.order), left, "{event:?}, {answer:?}: {:#?}", life.order);
            // Nobody tells: a person ends it by name.
            let silence = lives(answered, from + 100, from + 2 * DAY, &|_| Event::StatusUnanswered).order;
            let by_hand = Event::SettledByHand { note: "looked".into(), by: Some("Ani".into()), no_report: true };
            assert_eq!(seen(&then(silence, from + 2 * DAY, by_hand)), [], "{event:?}, {answer:?}");
        }
    }
}

/// Get-status is minutes behind the notification.
#[test]
fn what_a_notification_says_of_money_is_asked_about_for_some_minutes() {
    let refunded = lives(refund_under_way(), 3000, 600_000, &|call| match call {
        Call::Refund => Event::RefundAnswered(approved()),
        Call::GetStatus | Call::Charge | Call::Cancel => status(Said::Refunded),
    });
    let paid = live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled))]);
    let rows = [
        (refunded.order, 600_000, Said::Settled, Said::Refunded, vec![Attention::LateFact]),
        (paid.clone(), 600_000, Said::ChargedBack, Said::Settled, vec![Attention::Chargeback]),
        (paid, 600_000, Said::PartlyRefunded, Said::Settled, vec![Attention::PartialRefund]),
    ];
    for (order, from, news, before, listed) in rows {
        let noted = then(order, from, Event::Notified(news));
        let behind = lives(noted, from, from + 300_000, &|_| status(before));
        has_pauses(&format!("{news:?}"), &behind);
        let order = lives(behind.order, from + 300_000, from + DAY, &|_| status(news)).order;
        let state = match order.state {
            State::Settled(settled) => State::Settled(Settled { unreported_at: None, ..settled }),
            other => other,
        };
        let order = Order { state, ..order };
        assert_eq!(order.attention(), listed, "{news:?}");
    }
}

/// The cancel is given up after a day. One answer was not understood, and since then the gateway knows nothing of the charge.
#[test]
fn a_charge_that_was_doubtful_and_is_unknown_since_is_listed() {
    let cancelled = live(&[(0, Event::Charged(charge(5000))), (500, Event::CancelRequested)]);
    let given_up = then(cancelled, DAY, Event::CancelUnanswered);
    assert!(matches!(given_up.state, State::Closed(_)));
    let unclear = then(given_up, DAY + 60_000, Event::StatusUnclear("an alien".into()));
    let unknown = lives(unclear, DAY + 60_000, 2 * DAY, &|_| Event::StatusUnknown);
    assert_eq!(unknown.order.attention(), [Attention::Unconfirmed], "{:#?}", unknown.order);
    let seen = then(unknown.order, 2 * DAY, Event::SeenBy("Ani".into()));
    assert_eq!(seen.attention(), []);
}

/// Nobody is to pay it any more, and get-status does not tell whether somebody can.
#[test]
fn what_a_person_ends_is_cancelled_also_where_get_status_is_not_understood() {
    for payment in [Payment::Gopay, Payment::Alfamart] {
        let sold = Order { sale: order().sale.paid_by(payment), ..order() };
        let pending = then(sold, 0, Event::Charged(Charge { expires_at: T0 + COUNTER_EXPIRY, ..charge(5000) }));
        let pending = Order {
            state: match pending.state {
                State::Pending(pending) => State::Pending(Pending { cancel_at: None, ..pending }),
                other => other,
            },
            ..pending
        };
        let unclear = |call| if call == Call::Cancel { Event::CancelRefused } else { Event::StatusUnclear("an alien".into()) };
        let listed = lives(pending, 0, 700_000, &unclear).order;
        assert_eq!(listed.attention(), [Attention::Unconfirmed], "{payment:?}");
        let seen = then(listed, 700_000, Event::SeenBy("Ani".into()));
        let life = lives(seen, 700_000, 760_000, &unclear);
        assert!(life.calls.iter().any(|(call, _)| *call == Call::Cancel), "{payment:?}: {:?}", life.calls);
        assert!(life.order.attention().is_empty(), "{payment:?}");
        // That holds it open for some minutes, and no longer.
        let later = lives(life.order, 760_000, 1_400_000, &unclear).order;
        assert!(later.is_over() && later.polling.at.is_some() && later.attention().is_empty(), "{payment:?}: {later:#?}");
    }
}

/// The first call was cut, and made the refund. Get-status tells that minutes later.
#[test]
fn a_used_key_has_no_other_one_before_get_status_had_its_time() {
    let cut = then(refund_under_way(), 3100, Event::RefundAnswered(RefundAnswer::Unsure("cut".into())));
    let answer =
        |call| if call == Call::Refund { Event::RefundAnswered(RefundAnswer::KeyUsed("406".into())) } else { status(Said::Settled) };
    let behind = lives(cut, 3100, 240_000, &answer).order;
    assert_eq!(behind.refund_key(), behind.id.to_string());
    assert_eq!(word(&lives(behind, 240_000, DAY, &|_| status(Said::Refunded)).order), "refunded");
}
