//! The gateway gives one answer for ever. It is not asked without a pause, and where only a person can end the order, it is listed and
//! somebody can.

use super::*;

const DAY: i64 = 24 * 3_600_000;
const SAID: [Said; 11] = [
    Said::Pending,
    Said::Settled,
    Said::Suspect,
    Said::Expired,
    Said::Cancelled,
    Said::Denied,
    Said::Failed,
    Said::Refunded,
    Said::PartlyRefunded,
    Said::ChargedBack,
    Said::Other,
];

fn at(ms: i64) -> Wall {
    T0 + Span::millis(ms)
}

/// Every answer to a get-status, with its name.
fn answers() -> Vec<(String, Event)> {
    let said = SAID.into_iter().map(|said| (format!("{said:?}"), status(said)));
    let others = [
        ("404", Event::StatusUnknown),
        ("nothing", Event::StatusUnanswered),
        ("what nobody understands", Event::StatusUnclear("an alien".into())),
        ("another sum", Event::Status(StatusReport { gross_amount: Some(rp(1)), ..report(Said::Settled) })),
        ("no sum", Event::Status(StatusReport { gross_amount: None, ..report(Said::Settled) })),
        ("a refund of no sum", Event::Status(StatusReport { gross_amount: None, ..report(Said::Refunded) })),
        ("pending of nobody", Event::Status(StatusReport { metadata: [None, None, None], ..report(Said::Pending) })),
    ];
    said.chain(others.map(|(what, event)| (what.to_owned(), event))).collect()
}

/// Every answer to a cancel.
fn cancels() -> [Event; 4] {
    [Event::CancelDone(report(Said::Cancelled)), Event::CancelRefused, Event::CancelUnknown, Event::CancelUnanswered]
}

/// Every answer to a call for a refund.
fn refunds() -> [RefundAnswer; 6] {
    let another = StatusReport { refund_amount: Some(rp(1)), ..report(Said::Refunded) };
    [
        approved(),
        RefundAnswer::Approved(Box::new(another)),
        RefundAnswer::Unsure("cut".into()),
        RefundAnswer::Passing("no route".into()),
        RefundAnswer::KeyUsed("406".into()),
        RefundAnswer::Refused("414".into()),
    ]
}

/// An order, and the times of the calls about it.
struct Life {
    order: Order,
    calls: Vec<(Call, i64)>,
}

/// Lives for so long. Each call has its answer 10 ms later.
fn lives(mut order: Order, from: i64, to: i64, answer: &dyn Fn(Call) -> Event) -> Life {
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let (mut now, mut calls) = (from, Vec::new());
    while now < to && calls.len() < 5000 {
        let event = match duty(&order, at(now)) {
            Duty::Apply(event) => event,
            Duty::Call(call) => {
                calls.push((call, now));
                now += 10;
                answer(call)
            }
            Duty::Rest => match next_deadline(&order) {
                Some(next) => {
                    assert!(next > at(now), "{order:#?}");
                    now = (next - T0).0;
                    continue;
                }
                None => break,
            },
        };
        order = apply(order, event, at(now), &with).expect("a fact");
    }
    Life { order, calls }
}

/// No more calls than the pauses allow, at any time.
fn has_pauses(what: &str, life: &Life) {
    let most = |within: i64| {
        let times: Vec<i64> = life.calls.iter().map(|(_, at)| *at).collect();
        let until = |from: i64| times.partition_point(|at| *at < from + within);
        times.iter().enumerate().map(|(n, from)| until(*from) - n).max().unwrap_or(0)
    };
    for (within, allowed) in [(1000, 8), (60_000, 30), (3_600_000, 160), (DAY, 700)] {
        assert!(most(within) <= allowed, "{what}: {} calls in {within} ms: {:?}", most(within), &life.calls[..life.calls.len().min(30)]);
    }
}

#[test]
fn no_order_is_asked_about_without_a_pause() {
    let begun: [(&str, Vec<(i64, Event)>); 6] = [
        ("it can be paid", vec![(0, Event::Charged(charge(5000)))]),
        ("a notification says paid", vec![(0, Event::Charged(charge(5000))), (500, Event::Notified(Said::Settled))]),
        ("it is cancelled", vec![(0, Event::Charged(charge(5000))), (500, Event::CancelAsked)]),
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
    let due = live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled)), (2000, told(Delivery::Failed))]);
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let asked = apply(due, Event::RefundAsked(RefundWish::of_a_person(None)), at(3000), &with).expect("granted");
    let by_hand = |by: Option<&str>| Event::SettledByHand { note: "cash".into(), by: by.map(Into::into), no_report: false };
    let given = || Event::Given { by: "Budi".into() };
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
            let Life { order, .. } = life;
            assert!(!matches!(order.repayment, Some(Repayment::Asked { .. })), "{what}: nobody is told");
            if !matches!(order.repayment, Some(Repayment::Refused { unsure: true, .. })) {
                continue;
            }
            unsure += 1;
            assert_eq!(order.attention(), [Attention::RefundFailed], "{what}");
            let then = |event| apply(order.clone(), event, at(3 * DAY), &with);
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
    let cancelled = live(&[(0, Event::Charged(charge(5000))), (500, Event::CancelAsked)]);
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
    let due = live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled)), (2000, told(Delivery::Failed))]);
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let asked = apply(due, Event::RefundAsked(RefundWish::of_a_person(None)), at(3000), &with).expect("granted");
    let answer = |call| match call {
        Call::Refund => Event::RefundAnswered(RefundAnswer::Unsure("cut".into())),
        Call::GetStatus | Call::Charge | Call::Cancel => status(Said::Pending),
    };
    let by_hand = |by: Option<&str>| Event::SettledByHand { note: "cash".into(), by: by.map(Into::into), no_report: false };
    let decide = |ms: i64, event| apply(lives(asked.clone(), 3000, ms, &answer).order, event, at(ms), &with);
    for early in [by_hand(Some("Ani")), by_hand(None), Event::Given { by: "Budi".into() }] {
        assert_eq!(decide(60_000, early), Err(Refused::RefundUnderWay));
    }
    assert_eq!(decide(300_000, by_hand(None)), Err(Refused::RefundUnderWay));
    assert_eq!(decide(300_000, Event::RefundAsked(RefundWish::of_a_person(Some("Ani".into())))), Err(Refused::RefundUnderWay));
    for decision in [by_hand(Some("Ani")), Event::Given { by: "Budi".into() }] {
        let settled = decide(300_000, decision).expect("by name");
        // The answer to the call was on its way.
        let late = apply(settled, Event::RefundAnswered(approved()), at(301_000), &with).expect("a fact");
        assert_eq!(late.attention(), [Attention::LateFact]);
    }
}

#[test]
fn a_settlement_that_was_told_is_listed_whatever_becomes_of_the_cancel() {
    let begun: [(&str, Vec<(i64, Event)>); 4] = [
        ("it can be paid", vec![(0, Event::Charged(charge(5000)))]),
        ("it is cancelled", vec![(0, Event::Charged(charge(5000))), (500, Event::CancelAsked)]),
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

#[test]
fn a_charge_that_stays_pending_whatever_is_done_is_listed_after_a_day_and_seldom_asked_about() {
    for charged in [true, false] {
        for cancel in cancels().into_iter().skip(1) {
            let what = format!("charge known: {charged}; cancel says {cancel:?}");
            let begun = if charged {
                live(&[(0, Event::Charged(charge(5000))), (500, Event::CancelAsked)])
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
            let seen = apply(next.order, Event::SeenBy("Ani".into()), at(3 * DAY), &with).expect("granted");
            let last = lives(seen, 3 * DAY, 9 * DAY, &answer);
            assert!(last.calls.len() < 5 && last.order.attention().is_empty(), "{what}: {:?}", last.calls);
        }
    }
}
