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
        let order = events.into_iter().fold(due, |order, event| apply(order, event, Told::trusted(at(3000)), &with).expect("granted"));
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
                let seen = apply(
                    order.clone(),
                    Event::SeenBy("Ani".into()),
                    Told::trusted(at(from + 2 * DAY)),
                    &Context { rules: &rules, paid_already: false },
                );
                seen.unwrap_or_else(|_| order.clone()).attention()
            };
            // Where the words contradict each other, a person decides.
            let left = if life.order.has_conflict() { vec![Attention::RefundFailed, Attention::Conflict] } else { vec![] };
            assert_eq!(seen(&life.order), left, "{event:?}, {answer:?}: {:#?}", life.order);
            // Nobody tells: a person ends it by name.
            let silence = lives(answered, from + 100, from + 2 * DAY, &|_| Event::StatusUnanswered).order;
            let by_hand = Event::SettledByHand { note: "looked".into(), by: Some("Ani".into()), no_report: true, goods_and_money: false };
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

/// A person ends it when its QR is long over, and errs. Get-status confirms the payment an hour later.
#[test]
fn a_payment_that_a_person_ended_by_mistake_is_found_at_whatever_age() {
    for cancel in cancels() {
        for (says, unclear) in
            answers().into_iter().filter(|(says, _)| says == "Pending" || says == "404" || says == "what nobody understands")
        {
            let answer = |call| if call == Call::Cancel { cancel.clone() } else { unclear.clone() };
            for minutes in [12, 17, 120, 1500] {
                let shown = live(&[(0, Event::Charged(charge(5000))), (500, Event::Notified(Said::Settled))]);
                let listed = lives(shown, 500, minutes * 60_000, &answer).order;
                assert_eq!(listed.attention(), [Attention::Unconfirmed], "{says} {cancel:?} {minutes}");
                let seen = then(listed, minutes * 60_000, Event::SeenBy("Ani".into()));
                let later = lives(seen, minutes * 60_000, minutes * 60_000 + 3_600_000, &answer).order;
                let paid = |call| if call == Call::Cancel { Event::CancelRefused } else { status(Said::Settled) };
                let found = lives(later, minutes * 60_000 + 3_600_000, 3 * DAY, &paid).order;
                assert!(word(&found) == "ended" && found.is_refund_due(), "{says} {cancel:?} after {minutes} minutes: {found:#?}");
            }
        }
    }
}

/// The gateway has made the refund, and says so in a notification. Get-status is minutes behind.
#[test]
fn no_second_refund_is_asked_for_while_news_of_the_first_waits_for_get_status() {
    let lost = [Event::RefundAnswered(RefundAnswer::Unsure("cut".into())), Event::Abandoned];
    for (first, second) in lost
        .iter()
        .flat_map(|first| [RefundAnswer::KeyUsed("406".into()), RefundAnswer::Refused("412".into())].map(|second| (first, second)))
    {
        for (told_s, behind_s) in [(5, 60), (5, 240), (40, 120), (40, 280)] {
            let order = then(refund_under_way(), 3500, first.clone());
            let refuse = |call| if call == Call::Refund { Event::RefundAnswered(second.clone()) } else { status(Said::Settled) };
            let order = lives(order, 3500, told_s * 1000, &refuse).order;
            let order = then(order, told_s * 1000, Event::Notified(Said::Refunded));
            let life = lives(order, told_s * 1000, behind_s * 1000, &refuse);
            let what = format!("{first:?}, {second:?}, told after {told_s} s, {behind_s} s behind");
            assert_eq!((life.order.refund_key().as_str(), life.order.attention()), ("o1", vec![]), "{what}");
            let end = lives(life.order, behind_s * 1000, DAY, &|call| {
                if call == Call::Refund { panic!("{what}") } else { status(Said::Refunded) }
            });
            assert_eq!((word(&end.order).as_str(), end.order.attention()), ("refunded", vec![]), "{what}");
        }
    }
}

/// The process that made the call is gone. Its call counts among ours: a key that was used is waited for as long as after any other.
#[test]
fn a_refund_that_was_cut_off_with_its_process_is_waited_for() {
    let cut = then(refund_under_way(), 16_000, Event::Abandoned);
    let used = |call| if call == Call::Refund { Event::RefundAnswered(RefundAnswer::KeyUsed("406".into())) } else { status(Said::Settled) };
    assert_eq!(lives(cut, 16_000, 290_000, &used).order.refund_key(), "o1");
}

/// A person has seen one late fact. Another one is told all the same.
#[test]
fn each_late_fact_is_told_also_after_another_was_seen() {
    let contradicted = |outcome| Event::Contradicted { told: DeliveryReport::proven(outcome), refund_on_its_way: false };
    let seen = |order: Order, ms| {
        assert_eq!(order.attention(), [Attention::LateFact]);
        let seen = then(order, ms, Event::SeenBy("Ani".into()));
        assert_eq!(seen.attention(), []);
        seen
    };
    // The refund was granted, and nobody heard of it. A person pays in cash; then the machine tells another outcome.
    let silent =
        |call| if call == Call::Refund { Event::RefundAnswered(RefundAnswer::Unsure("cut".into())) } else { Event::StatusUnanswered };
    let unsure = lives(refund_under_way(), 3000, 600_000, &silent).order;
    let cash = then(
        unsure,
        600_000,
        Event::SettledByHand { note: "cash".into(), by: Some("Ani".into()), no_report: false, goods_and_money: false },
    );
    let goods = seen(then(cash, 660_000, contradicted(Delivery::Dispensed)), 700_000);
    let twice = lives(then(goods, 800_000, Event::Notified(Said::Refunded)), 800_000, DAY, &|_| status(Said::Refunded)).order;
    assert_eq!(twice.attention(), [Attention::LateFact], "the money went back twice");
    // The refund was made, the machine tells another outcome, and then the bank refuses the refund.
    for outcome in [Delivery::Dispensed, Delivery::Uncertain, Delivery::Undelivered] {
        let done = then(refund_under_way(), 3500, Event::RefundAnswered(approved()));
        let done = lives(done, 3500, 3_600_000, &|_| status(Said::Refunded)).order;
        let told = seen(then(done, 3_600_000, contradicted(outcome)), 3_700_000);
        let again = then(told, 4_000_000, Event::Notified(Said::Settled));
        let refused = lives(again, 4_000_000, DAY, &|_| status(Said::Settled)).order;
        assert_eq!(refused.attention(), [Attention::LateFact], "{outcome:?}: the customer has no money");
        // That was seen, too, and the machine tells a third one.
        let settled = seen(refused, DAY);
        let third = then(settled, DAY + 1000, contradicted(Delivery::Dispensed)).attention();
        assert_eq!(third.is_empty(), outcome != Delivery::Undelivered, "{outcome:?}: the goods are told once");
    }
}

/// Its last answer was good. Then nobody understands what get-status says of it, hours later.
#[test]
fn a_payment_code_that_is_not_understood_is_listed_within_minutes_at_any_age() {
    let mut sold = order();
    sold.sale = sold.sale.paid_by(Payment::Alfamart);
    let charge = Charge { expires_at: T0 + COUNTER_EXPIRY, ..charge(5000) };
    let pending = lives(then(sold, 0, Event::Charged(charge)), 0, 4 * 3_600_000, &|_| status(Said::Pending)).order;
    let first = (next_deadline(&pending).expect("a question") - T0).0;
    let unclear = lives(pending, 4 * 3_600_000, first + 360_000, &|_| Event::StatusUnclear("an alien".into())).order;
    assert_eq!(unclear.attention(), [Attention::Unconfirmed]);
}

/// A day without an answer, and then the gateway does not know a charge that was shown, and could be paid to its end.
#[test]
fn a_charge_that_could_be_paid_is_not_dropped_for_one_404() {
    let silent = |call| if call == Call::Cancel { Event::CancelUnanswered } else { Event::StatusUnanswered };
    let given_up = lives(live(&[(0, Event::Charged(charge(5000)))]), 500, DAY + 7_200_000, &silent).order;
    assert_eq!(word(&given_up), "failure");
    let unknown = lives(given_up, DAY + 7_200_000, DAY + 10_800_000, &|_| Event::StatusUnknown).order;
    assert_eq!(unknown.attention(), [Attention::Unconfirmed]);
}

/// The gateway had said that it ended, then that it is paid, and now that it can be paid. What it said first counts no more.
#[test]
fn what_was_held_and_can_be_paid_again_is_cancelled_when_a_person_ends_it() {
    let sold = Order { sale: order().sale.paid_by(Payment::Indomaret), ..order() };
    let charged = then(sold, 0, Event::Charged(Charge { expires_at: T0 + COUNTER_EXPIRY, ..charge(5000) }));
    let said = [(1000, Said::Expired), (2000, Said::Settled), (3000, Said::Pending)];
    let pending = said.into_iter().fold(charged, |order, (ms, said)| then(order, ms, status(said)));
    let unclear = || Event::StatusUnclear("an alien".into());
    let listed = then(then(pending, 4000, unclear()), 304_000, unclear());
    assert_eq!(listed.attention(), [Attention::Unconfirmed]);
    let ended = then(listed, 305_000, Event::SeenBy("Ani".into()));
    assert_eq!(word(&then(ended, 306_000, unclear())), "cancelling");
}

/// News says that the money went back. An answer that says nothing of it is no answer to that.
#[test]
fn news_of_money_is_not_forgotten_for_an_answer_that_says_nothing() {
    let given = || then(due(), 3000, Event::Given { by: "Budi".into(), goods_and_money: false, from_slot: false });
    let cash = || then(due(), 3000, Event::SettledByHand { note: "cash".into(), by: None, no_report: false, goods_and_money: false });
    for nothing in [Event::StatusUnknown, status(Said::Other), status(Said::Suspect), status(Said::Pending)] {
        for decided in [given(), cash()] {
            let told = then(decided, 10_000, Event::Notified(Said::Refunded));
            let silent = lives(told, 10_000, 1_500_000, &|_| nothing.clone()).order;
            let found = lives(silent, 1_500_000, DAY, &|_| status(Said::Refunded)).order;
            assert_eq!(found.attention(), [Attention::LateFact], "after the decision: {nothing:?}");
        }
    }
    // The news came before the decision, and get-status is behind.
    let told = then(due(), 2500, Event::Notified(Said::Refunded));
    let behind = |_| status(Said::Settled);
    let given =
        then(lives(told, 2500, 3000, &behind).order, 3000, Event::Given { by: "Budi".into(), goods_and_money: false, from_slot: false });
    let late = lives(given, 3000, 1_500_000, &behind).order;
    assert_eq!(lives(late, 1_500_000, DAY, &|_| status(Said::Refunded)).order.attention(), [Attention::LateFact]);
}

/// The gateway is told to end it, and says nothing. Somebody says that it is paid, or get-status is not understood.
#[test]
fn an_order_that_is_cancelled_is_listed_within_minutes_too() {
    for (minutes, begins) in [(5, true), (10, true), (9, false)] {
        let silent = |call| if call == Call::Cancel { Event::CancelUnanswered } else { Event::StatusUnanswered };
        let unclear = |call| if call == Call::Cancel { Event::CancelUnanswered } else { Event::StatusUnclear("an alien".into()) };
        let cancelled = then(live(&[(0, Event::Charged(charge(5000)))]), 60_000, Event::CancelRequested);
        let from = minutes * 60_000 - 20_000;
        let tired = lives(cancelled, 60_000, from, &silent).order;
        let told = if begins { then(tired, from, Event::Notified(Said::Settled)) } else { tired };
        let first = if begins { from } else { (next_deadline(&told).expect("a question") - T0).0 + 300_000 };
        let listed = lives(told, from, first + 400_000, &unclear).order;
        assert_eq!(listed.attention(), [Attention::Unconfirmed], "from minute {minutes}, told: {begins}");
    }
}
