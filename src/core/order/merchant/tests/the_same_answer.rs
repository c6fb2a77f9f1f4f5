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
            Duty::Wait => match next_deadline(&order) {
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
    let due = live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled)), (2000, told(Delivery::Failed))]);
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let asked = apply(due, Event::RefundRequested(RefundWish::of_a_person(None)), at(3000), &with).expect("granted");
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
            assert!(!matches!(order.repayment, Some(Repayment::Requested { .. })), "{what}: nobody is told");
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
    let due = live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled)), (2000, told(Delivery::Failed))]);
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let asked = apply(due, Event::RefundRequested(RefundWish::of_a_person(None)), at(3000), &with).expect("granted");
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
    assert_eq!(decide(300_000, Event::RefundRequested(RefundWish::of_a_person(Some("Ani".into())))), Err(Refused::RefundUnderWay));
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
            let seen = apply(next.order, Event::SeenBy("Ani".into()), at(3 * DAY), &with).expect("granted");
            let last = lives(seen, 3 * DAY, 9 * DAY, &answer);
            assert!(last.calls.len() < 5 && last.order.attention().is_empty(), "{what}: {:?}", last.calls);
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
            let seen = apply(listed, Event::SeenBy("Ani".into()), at(listed_at), &with).expect("granted");
            let quiet = lives(seen, listed_at, listed_at + 3_600_000, &answer).order;
            let reported_at = listed_at + 3_600_000;
            let told = apply(quiet, Event::Notified(Said::Settled), at(reported_at), &with).expect("a fact");
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
    let pending = apply(sold, Event::Charged(code), T0, &with).expect("a fact");
    let pending = lives(pending, 0, hours, &|_| status(Said::Pending)).order;
    let told = apply(pending, Event::Notified(Said::Settled), at(hours), &with).expect("a fact");
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
    let pending = apply(sold, Event::Charged(code), T0, &with).expect("a fact");
    let answer = |call| if call == Call::Cancel { Event::CancelRefused } else { status(Said::Pending) };
    assert_eq!(lives(pending.clone(), 0, 2 * DAY, &answer).order.attention(), []);
    let listed = lives(pending, 0, 2 * DAY + 7_200_000, &answer).order;
    assert_eq!(listed.attention(), [Attention::Unconfirmed]);
    let seen = apply(listed, Event::SeenBy("Ani".into()), at(3 * DAY), &with).expect("granted");
    let last = lives(seen, 3 * DAY, 9 * DAY, &answer);
    assert!(last.calls.len() < 5 && last.order.attention().is_empty(), "{:?}", last.calls);
}

#[test]
fn an_order_that_was_held_and_is_called_pending_is_listed() {
    for (charged, wanted) in [(Event::Charged(charge(5000)), "pending"), (Event::Restarted, "held")] {
        let rules = rules();
        let with = Context { rules: &rules, paid_already: false };
        let sold = Order { sale: order().sale.paid_by(Payment::Indomaret), ..order() };
        let held = [charged, Event::Notified(Said::Settled), status(Said::Settled)].into_iter();
        let held = held.fold(sold, |order, event| apply(order, event, at(500), &with).expect("a fact"));
        assert_eq!(word(&held), "held");
        let order = lives(held, 500, 1_500_000, &|_| status(Said::Pending)).order;
        assert_eq!((word(&order).as_str(), order.attention()), (wanted, vec![Attention::Unconfirmed]));
    }
}

#[test]
fn what_a_person_settled_is_over_whatever_the_gateway_calls_it() {
    let begun = [(0, Event::Charged(charge(5000))), (500, status(Said::Suspect)), (1000, Event::CancelRequested)];
    let settled = (2000, Event::SettledByHand { note: "cash".into(), by: Some("Ani".into()), no_report: false });
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
    let due = live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled)), (2000, told(Delivery::Failed))]);
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let asked = apply(due, Event::RefundRequested(RefundWish::of_a_person(None)), at(3000), &with).expect("granted");
    let lost = apply(asked, Event::RefundAnswered(RefundAnswer::Unsure("cut".into())), at(3010), &with).expect("a fact");
    let behind =
        |call| if call == Call::Refund { Event::RefundAnswered(RefundAnswer::Refused("414".into())) } else { status(Said::Settled) };
    let failed = lives(lost, 3010, 60_000, &behind).order;
    assert!(matches!(failed.repayment, Some(Repayment::Refused { unsure: false, .. })), "{:?}", failed.repayment);
    for decision in [Event::SettledByHand { note: "cash".into(), by: None, no_report: false }, Event::Given { by: "Budi".into() }] {
        let decided = apply(failed.clone(), decision, at(60_000), &with).expect("granted");
        let still = lives(decided, 60_000, 400_000, &behind).order;
        assert_eq!(lives(still, 400_000, 2 * DAY, &|_| status(Said::Refunded)).order.attention(), [Attention::LateFact]);
    }
}

#[test]
fn a_person_decides_by_name_whatever_keeps_a_refund_under_way() {
    let due = live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled)), (2000, told(Delivery::Failed))]);
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let asked = apply(due, Event::RefundRequested(RefundWish::of_a_person(None)), at(3000), &with).expect("granted");
    let cut = apply(asked.clone(), Event::Abandoned, at(3500), &with).expect("a fact");
    for begun in [asked, cut] {
        for (says, event) in answers() {
            for refund in refunds() {
                let answer = |call| if call == Call::Refund { Event::RefundAnswered(refund.clone()) } else { event.clone() };
                let order = lives(begun.clone(), 3500, 600_000, &answer).order;
                let by_hand = Event::SettledByHand { note: "cash".into(), by: Some("Ani".into()), no_report: false };
                let decided = apply(order.clone(), by_hand, at(600_000), &with);
                let is_over = !order.is_refund_due() || order.is_decided();
                assert!(is_over || decided.is_ok(), "get-status says {says}; the refund says {refund:?}: {decided:?}");
            }
        }
    }
}

/// The machine told both, and the refund was on its way.
#[test]
fn a_refund_that_comes_after_another_outcome_is_told() {
    for on_its_way in [true, false] {
        let due = live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled)), (2000, told(Delivery::Failed))]);
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

/// A paid order that was not delivered, and whose refund a person has asked for.
fn refund_under_way() -> Order {
    let due = live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled)), (2000, told(Delivery::Failed))]);
    then(due, 3000, Event::RefundRequested(RefundWish::of_a_person(None)))
}

fn then(order: Order, ms: i64, event: Event) -> Order {
    let rules = rules();
    apply(order, event, at(ms), &Context { rules: &rules, paid_already: false }).expect("granted")
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
            let left = if life.order.conflict { vec![Attention::RefundFailed, Attention::Conflict] } else { vec![] };
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
        let order = Order { unreported_at: None, ..order };
        assert_eq!(order.attention(), listed, "{news:?}");
    }
}

/// The cancel is given up after a day. One answer was not understood, and since then the gateway knows nothing of the charge.
#[test]
fn a_charge_that_was_doubtful_and_is_unknown_since_is_listed() {
    let cancelled = live(&[(0, Event::Charged(charge(5000))), (500, Event::CancelRequested)]);
    let given_up = then(cancelled, DAY, Event::CancelUnanswered);
    assert!(matches!(given_up.state, State::Closed { .. }));
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
                State::Pending { charge, .. } => State::Pending { charge, cancel_at: None },
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
