//! The gateway gives one answer for ever. It is not asked without a pause, and where only a person can end the order, it is listed and
//! somebody can.

use super::lives::*;
use super::*;

#[test]
fn no_order_is_asked_about_without_a_pause() {
    let begun: [(&str, Vec<(i64, Event)>); 6] = [
        ("it can be paid", vec![(0, Event::Charged(charge(5000)))]),
        ("a notification says paid", vec![(0, Event::Charged(charge(5000))), (500, Event::Notified(Said::Settled))]),
        ("it is cancelled", vec![(0, Event::Charged(charge(5000))), (500, Event::CancelRequested)]),
        ("its charge is not known", vec![(0, Event::Restarted)]),
        ("it is paid", vec![(0, Event::Charged(charge(5000))), (500, status(Said::Settled))]),
        ("it has ended", vec![(0, Event::Charged(charge(5000))), (500, status(Said::Expired)), (600, Event::Notified(Said::Settled))]),
    ];
    for (began, events) in begun {
        for (says, event) in answers() {
            for cancel in cancels() {
                let what = format!("{began}; get-status says {says}; cancel says {cancel:?}");
                let answer = |call| match call {
                    Call::GetStatus => event.clone(),
                    Call::Cancel => cancel.clone(),
                    Call::Charge => Event::NotCharged(NoCharge::Unsure("cut".into())),
                    Call::Refund => panic!("{what}: a refund"),
                };
                has_pauses(&what, &lives(live(&events), 1000, 3 * DAY, &answer));
            }
        }
    }
}

#[test]
fn a_refund_whose_end_nobody_tells_is_listed_and_a_person_ends_it() {
    let asked = refund_under_way();
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let by_hand =
        |by: Option<&str>| Event::SettledByHand { note: "cash".into(), by: by.map(Into::into), no_report: false, goods_and_money: false };
    let given = || Event::Given { by: "Budi".into(), goods_and_money: false, from_slot: false };
    let mut unsure = 0;
    for (says, event) in answers() {
        for refund in refunds() {
            let what = format!("get-status says {says}; the refund says {refund:?}");
            let answer = |call| match call {
                Call::GetStatus => event.clone(),
                Call::Refund => Event::RefundAnswered(refund.clone()),
                Call::Charge | Call::Cancel => panic!("{what}: {call:?}"),
            };
            let life = lives(asked.clone(), 3000, 3 * DAY, &answer);
            has_pauses(&what, &life);
            let order = life.order;
            assert!(!matches!(order.repayment(), Some(Repayment::Requested { .. })), "{what}: nobody is told");
            if !matches!(order.repayment(), Some(Repayment::Refused { unsure: true, .. })) {
                continue;
            }
            unsure += 1;
            assert_eq!(order.attention(), [Attention::RefundFailed], "{what}");
            let then = |event| apply(order.clone(), event, Told::trusted(at(3 * DAY)), &with);
            assert_eq!(then(by_hand(None)), Err(Refused::RefundUnsure), "{what}: a decision without a name");
            for decision in [by_hand(Some("Ani")), given()] {
                let settled = then(decision.clone()).unwrap_or_else(|why| panic!("{what}, {decision:?}: {why}"));
                assert_eq!(settled.attention(), [], "{what}");
                // It is looked at now and then. If it was made all the same, the customer has the money twice.
                let same = lives(settled, 3 * DAY, 6 * DAY, &answer);
                has_pauses(&what, &same);
                let late = lives(same.order, 6 * DAY, 8 * DAY, &|_| status(Said::Refunded)).order;
                assert_eq!(late.attention(), [Attention::LateFact], "{what}");
            }
        }
    }
    assert!(unsure > 20, "{unsure}");
}

#[test]
fn a_payment_is_found_while_only_the_cancel_has_no_answer() {
    let cancelled = live(&[(0, Event::Charged(charge(5000))), (500, Event::CancelRequested)]);
    let answer = |call| match call {
        Call::GetStatus => status(Said::Settled),
        Call::Charge | Call::Cancel | Call::Refund => Event::CancelUnanswered,
    };
    let order = lives(cancelled, 500, 60_000, &answer).order;
    assert_eq!(word(&order), "settled");
}

/// Who stands at the counter does not wait for half a day.
#[test]
fn a_person_decides_by_name_after_some_questions_that_do_not_tell() {
    let asked = refund_under_way();
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let answer = |call| match call {
        Call::Refund => Event::RefundAnswered(RefundAnswer::Unsure("cut".into())),
        Call::GetStatus | Call::Charge | Call::Cancel => status(Said::Pending),
    };
    let by_hand =
        |by: Option<&str>| Event::SettledByHand { note: "cash".into(), by: by.map(Into::into), no_report: false, goods_and_money: false };
    let decide = |ms: i64, event| apply(lives(asked.clone(), 3000, ms, &answer).order, event, Told::trusted(at(ms)), &with);
    for early in [by_hand(Some("Ani")), by_hand(None), Event::Given { by: "Budi".into(), goods_and_money: false, from_slot: false }] {
        assert_eq!(decide(60_000, early), Err(Refused::RefundUnderWay));
    }
    assert_eq!(decide(300_000, by_hand(None)), Err(Refused::RefundUnderWay));
    assert_eq!(decide(300_000, Event::RefundRequested(RefundWish::of_a_person(Some("Ani".into())))), Err(Refused::RefundUnderWay));
    for decision in [by_hand(Some("Ani")), Event::Given { by: "Budi".into(), goods_and_money: false, from_slot: false }] {
        let settled = decide(300_000, decision).expect("by name");
        // The answer to the call was on its way.
        let late = apply(settled, Event::RefundAnswered(approved()), Told::trusted(at(301_000)), &with).expect("a fact");
        assert_eq!(late.attention(), [Attention::LateFact]);
    }
}

#[test]
fn a_settlement_that_was_told_is_listed_whatever_becomes_of_the_cancel() {
    let begun: [(&str, Vec<(i64, Event)>); 4] = [
        ("it can be paid", vec![(0, Event::Charged(charge(5000)))]),
        ("it is cancelled", vec![(0, Event::Charged(charge(5000))), (500, Event::CancelRequested)]),
        ("its charge is not known", vec![(0, Event::Restarted)]),
        ("it has ended", vec![(0, Event::Charged(charge(5000))), (500, status(Said::Expired)), (3_600_000, Event::StatusUnanswered)]),
    ];
    for (began, mut events) in begun {
        let from = events.last().map_or(0, |(ms, _)| *ms) + 100;
        events.push((from, Event::Notified(Said::Settled)));
        for (says, event) in answers() {
            for cancel in cancels() {
                let what = format!("{began}; get-status says {says}; cancel says {cancel:?}");
                let answer = |call| match call {
                    Call::Cancel => cancel.clone(),
                    Call::GetStatus | Call::Charge | Call::Refund => event.clone(),
                };
                let life = lives(live(&events), from, from + 660_000, &answer);
                let is_paid = life.order.settlement().is_some();
                assert!(is_paid || life.order.attention().contains(&Attention::Unconfirmed), "{what}: {:#?}", life.order);
            }
        }
    }
}

/// Whether an order that a person ended on the third day is asked about, and cancelled, every six hours at most, and not after a week.
fn is_seldom(life: &Lived) -> bool {
    life.calls.len() < 60 && life.calls.iter().all(|(_, ms)| *ms < 10 * DAY + DAY / 2) && life.order.polling.at.is_none()
}

#[test]
fn a_charge_that_stays_pending_whatever_is_done_is_listed_after_a_day_and_seldom_asked_about() {
    for charged in [true, false] {
        for cancel in cancels().into_iter().skip(1) {
            let what = format!("charge known: {charged}; cancel says {cancel:?}");
            let begun = if charged {
                live(&[(0, Event::Charged(charge(5000))), (500, Event::CancelRequested)])
            } else {
                live(&[(0, Event::Restarted)])
            };
            let answer = |call| if call == Call::Cancel { cancel.clone() } else { status(Said::Pending) };
            let day = lives(begun, 500, DAY + 7_200_000, &answer);
            assert_eq!(day.order.attention(), [Attention::Unconfirmed], "{what}");
            let next = lives(day.order.clone(), DAY + 7_200_000, 3 * DAY, &answer);
            assert!(next.calls.len() < 200, "{what}: {} calls", next.calls.len());
            let rules = rules();
            let with = Context { rules: &rules, paid_already: false };
            let seen = apply(next.order, Event::SeenBy("Ani".into()), Told::trusted(at(3 * DAY)), &with).expect("granted");
            let last = lives(seen, 3 * DAY, 12 * DAY, &answer);
            assert!(is_seldom(&last) && last.order.attention().is_empty(), "{what}: {:?}", last.calls);
        }
    }
}

#[test]
fn a_settlement_that_is_told_after_a_persons_end_is_listed_again() {
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let listed_at = DAY + 7_200_000;
    for begun in [live(&[(0, Event::Charged(charge(5000))), (500, Event::CancelRequested)]), live(&[(0, Event::Restarted)])] {
        for cancel in cancels().into_iter().skip(1) {
            let answer = |call| if call == Call::Cancel { cancel.clone() } else { status(Said::Pending) };
            let listed = lives(begun.clone(), 500, listed_at, &answer).order;
            let seen = apply(listed, Event::SeenBy("Ani".into()), Told::trusted(at(listed_at)), &with).expect("granted");
            let quiet = lives(seen, listed_at, listed_at + 3_600_000, &answer).order;
            let reported_at = listed_at + 3_600_000;
            let told = apply(quiet, Event::Notified(Said::Settled), Told::trusted(at(reported_at)), &with).expect("a fact");
            let later = lives(told.clone(), reported_at, reported_at + 660_000, &answer).order;
            assert_eq!(later.attention(), [Attention::Unconfirmed], "{cancel:?}: {later:#?}");
            let paid = lives(told, reported_at, reported_at + 660_000, &|call| {
                if call == Call::Cancel { Event::CancelRefused } else { status(Said::Settled) }
            });
            assert_eq!((word(&paid.order).as_str(), paid.order.receipt()), ("ended", None), "{cancel:?}");
        }
    }
}

/// It may be paid for hours. Whoever has paid waits for the goods.
#[test]
fn a_payment_code_is_asked_about_soon_after_it_is_told_as_paid() {
    let hours = 7 * 3_600_000;
    let sold = Order { sale: order().sale.paid_by(Payment::Alfamart), ..order() };
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let code = Charge { expires_at: T0 + COUNTER_EXPIRY, ..charge(5000) };
    let pending = apply(sold, Event::Charged(code), Told::trusted(T0), &with).expect("a fact");
    let pending = lives(pending, 0, hours, &|_| status(Said::Pending)).order;
    let told = apply(pending, Event::Notified(Said::Settled), Told::trusted(at(hours)), &with).expect("a fact");
    let behind = lives(told, hours, hours + 6000, &|_| status(Said::Pending)).order;
    assert_eq!(word(&lives(behind.clone(), hours + 6000, hours + 30_000, &|_| status(Said::Settled)).order), "settled");
    assert_eq!(lives(behind, hours + 6000, hours + 660_000, &|_| status(Said::Pending)).order.attention(), [Attention::Unconfirmed]);
}

/// Nobody cancels it: the gateway should end it.
#[test]
fn a_payment_code_that_never_ends_is_listed_and_a_person_ends_it() {
    let sold = Order { sale: order().sale.paid_by(Payment::Alfamart), ..order() };
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let code = Charge { expires_at: T0 + COUNTER_EXPIRY, ..charge(5000) };
    let pending = apply(sold, Event::Charged(code), Told::trusted(T0), &with).expect("a fact");
    let answer = |call| if call == Call::Cancel { Event::CancelRefused } else { status(Said::Pending) };
    assert_eq!(lives(pending.clone(), 0, 2 * DAY, &answer).order.attention(), []);
    let listed = lives(pending, 0, 2 * DAY + 7_200_000, &answer).order;
    assert_eq!(listed.attention(), [Attention::Unconfirmed]);
    let seen = apply(listed, Event::SeenBy("Ani".into()), Told::trusted(at(3 * DAY)), &with).expect("granted");
    let last = lives(seen, 3 * DAY, 12 * DAY, &answer);
    assert!(is_seldom(&last) && last.order.attention().is_empty(), "{:?}", last.calls);
}

#[test]
fn an_order_that_was_held_and_is_called_pending_is_listed() {
    for (charged, wanted) in [(Event::Charged(charge(5000)), "pending"), (Event::Restarted, "held")] {
        let rules = rules();
        let with = Context { rules: &rules, paid_already: false };
        let sold = Order { sale: order().sale.paid_by(Payment::Indomaret), ..order() };
        let held = [charged, Event::Notified(Said::Settled), status(Said::Settled)].into_iter();
        let held = held.fold(sold, |order, event| apply(order, event, Told::trusted(at(500)), &with).expect("a fact"));
        assert_eq!(word(&held), "held");
        let order = lives(held, 500, 1_500_000, &|_| status(Said::Pending)).order;
        assert_eq!((word(&order).as_str(), order.attention()), (wanted, vec![Attention::Unconfirmed]));
    }
}

#[test]
fn what_a_person_settled_is_over_whatever_the_gateway_calls_it() {
    let begun = [(0, Event::Charged(charge(5000))), (500, status(Said::Suspect)), (1000, Event::CancelRequested)];
    let settled = (2000, Event::SettledByHand { note: "cash".into(), by: Some("Ani".into()), no_report: false, goods_and_money: false });
    let order = live(&[&begun[..], &[(1500, Event::CancelDone(report(Said::Cancelled))), settled]].concat());
    for cancel in cancels().into_iter().skip(1) {
        let life = lives(order.clone(), 2000, 3 * DAY, &|call| if call == Call::Cancel { cancel.clone() } else { status(Said::Pending) });
        let late = life.calls.iter().filter(|(_, ms)| *ms > DAY + 7_200_000).count();
        assert_eq!((late, life.order.is_over(), life.order.attention()), (0, true, vec![]), "{cancel:?}");
    }
}

/// Get-status is behind and says that nothing went back. The call is refused, because the refund was made. A person pays in cash.
#[test]
fn a_refund_that_get_status_tells_late_is_found_after_a_decision() {
    let asked = refund_under_way();
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let lost = apply(asked, Event::RefundAnswered(RefundAnswer::Unsure("cut".into())), Told::trusted(at(3010)), &with).expect("a fact");
    let behind =
        |call| if call == Call::Refund { Event::RefundAnswered(RefundAnswer::Refused("414".into())) } else { status(Said::Settled) };
    let failed = lives(lost, 3010, 120_000, &behind).order;
    assert!(matches!(failed.repayment(), Some(Repayment::Refused { unsure: false, .. })), "{:?}", failed.repayment());
    for decision in [
        Event::SettledByHand { note: "cash".into(), by: None, no_report: false, goods_and_money: false },
        Event::Given { by: "Budi".into(), goods_and_money: false, from_slot: false },
    ] {
        let decided = apply(failed.clone(), decision, Told::trusted(at(120_000)), &with).expect("granted");
        let still = lives(decided, 120_000, 400_000, &behind).order;
        assert_eq!(lives(still, 400_000, 2 * DAY, &|_| status(Said::Refunded)).order.attention(), [Attention::LateFact]);
    }
}

#[test]
fn a_person_decides_by_name_whatever_keeps_a_refund_under_way() {
    let asked = refund_under_way();
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let cut = apply(asked.clone(), Event::Abandoned, Told::trusted(at(3500)), &with).expect("a fact");
    for begun in [asked, cut] {
        for (says, event) in answers() {
            for refund in refunds() {
                let answer = |call| if call == Call::Refund { Event::RefundAnswered(refund.clone()) } else { event.clone() };
                let order = lives(begun.clone(), 3500, 600_000, &answer).order;
                let by_hand =
                    Event::SettledByHand { note: "cash".into(), by: Some("Ani".into()), no_report: false, goods_and_money: false };
                let decided = apply(order.clone(), by_hand, Told::trusted(at(600_000)), &with);
                let is_over = !order.is_refund_due() || order.is_decided();
                assert!(is_over || decided.is_ok(), "get-status says {says}; the refund says {refund:?}: {decided:?}");
            }
        }
    }
}
