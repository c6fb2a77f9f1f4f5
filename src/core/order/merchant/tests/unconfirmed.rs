//! A payment that nobody confirms: it is listed after five minutes, and a person's end of it bars every receipt.

use super::*;

fn at(ms: i64) -> Wall {
    T0 + Span::millis(ms)
}

fn then(order: &Order, ms: i64, event: Event) -> Result<Order, Refused> {
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let mut order = apply(order.clone(), event, Told::trusted(at(ms)), &with)?;
    while duty(&order, Told::trusted(at(ms))) == Duty::Apply(Event::Unconfirmed) {
        order = apply(order, Event::Unconfirmed, Told::trusted(at(ms)), &with)?;
    }
    Ok(order)
}

fn after(order: &Order, ms: i64, event: Event) -> Order {
    then(order, ms, event).expect("granted")
}

fn charged() -> (i64, Event) {
    (0, Event::Charged(charge(5000)))
}

fn unclear() -> Event {
    Event::StatusUnclear("an answer about another order".into())
}

fn is_listed(order: &Order) -> bool {
    order.attention().contains(&Attention::Unconfirmed)
}

const FIVE: i64 = 300_000;

#[test]
fn a_settlement_that_get_status_does_not_confirm_is_listed_whatever_it_says() {
    type Row = (&'static str, Vec<(i64, Event)>, Event, bool);
    let told = || (1000, Event::Notified(Said::Settled));
    let cancelled = || [(500, Event::CancelRequested), (600, Event::CancelDone(report(Said::Cancelled)))];
    let table: Vec<Row> = vec![
        ("pending for ever", vec![charged(), told()], status(Said::Pending), true),
        ("expired", vec![charged(), told()], status(Said::Expired), true),
        ("denied", vec![charged(), told()], status(Said::Denied), true),
        ("no answer", vec![charged(), told()], Event::StatusUnanswered, true),
        ("an answer that means nothing", vec![charged(), told()], unclear(), true),
        ("no such transaction", vec![charged(), told()], Event::StatusUnknown, true),
        ("an unknown word", vec![charged(), told()], status(Said::Other), true),
        ("a word that may mean money", vec![charged(), told()], status(Said::Suspect), true),
        ("cancelled", [vec![charged()], cancelled().into(), vec![told()]].concat(), status(Said::Cancelled), true),
        ("cancelled, and unknown", [vec![charged()], cancelled().into(), vec![told()]].concat(), Event::StatusUnknown, true),
        ("confirmed", vec![charged(), told()], status(Said::Settled), false),
        ("told by the machine only", vec![charged(), (1000, Event::PaymentReported)], status(Said::Pending), false),
        ("never told", vec![charged()], status(Said::Pending), false),
    ];
    for (what, life, answer, wanted) in table {
        let order = live(&life);
        let early = after(&order, 1000 + FIVE - 1, answer.clone());
        assert!(!is_listed(&early), "{what}: too early");
        let late = after(&early, 1000 + FIVE, answer.clone());
        assert_eq!(is_listed(&late), wanted, "{what}: {:?}", late.attention());
        if !wanted {
            continue;
        }
        assert!(late.needs_attention(), "{what}: the list finds it");
        assert!(next_deadline(&late).is_some(), "{what}: it is asked about all the same");
        // When the gateway is sure at last, it is taken from the list, and is a sale like any other.
        let sure = after(&late, 2_000 + FIVE, status(Said::Settled));
        assert_eq!((is_listed(&sure), word(&sure).as_str()), (false, "settled"), "{what}");
    }
}

/// The gateway's answers to questions about an order that it never confirms.
type Answers = fn(Call) -> Event;

/// The time at which an order is listed, if each call takes so long. Something happens only at its own deadlines, as for a backend that
/// hears nothing else.
fn listed_at(mut order: Order, answers: Answers, call_takes: i64) -> i64 {
    let mut now = at(1000);
    while !is_listed(&order) {
        now = next_deadline(&order).expect("it is not listed yet").max(now);
        assert!(now < at(10_000_000), "never: {order:?}");
        let event = match duty(&order, Told::trusted(now)) {
            Duty::Apply(event) => event,
            Duty::Call(call) => {
                now = now + Span::millis(call_takes);
                answers(call)
            }
            Duty::Wait => panic!("nothing to do at its deadline: {order:?}"),
        };
        order = after(&order, (now - T0).0, event);
    }
    (now - T0).0
}

/// A person reads the list, and its customer may stand at the machine. No pace of questions may hold it back.
#[test]
fn whatever_its_state_it_is_listed_within_330_s() {
    let counter = |events: &[(i64, Event)]| {
        let order = Order { sale: order().sale.paid_by(Payment::Indomaret), ..order() };
        events.iter().fold(order, |order, (ms, event)| after(&order, *ms, event.clone()))
    };
    let (told, cancel) = ((1000, Event::Notified(Said::Settled)), (500, Event::CancelRequested));
    let closed = (600, Event::CancelDone(report(Said::Cancelled)));
    let states = [
        ("charging", live(std::slice::from_ref(&told))),
        ("pending", live(&[charged(), told.clone()])),
        ("cancelling", live(&[charged(), cancel.clone(), told.clone()])),
        ("told, then cancelled", live(&[charged(), told.clone(), (1100, Event::CancelRequested)])),
        ("cancelled without a charge", live(&[(0, Event::Restarted), told.clone()])),
        ("closed", live(&[charged(), cancel, closed, told])),
        ("held, then pending again", counter(&[charged(), (700, status(Said::Settled)), (1000, status(Said::Pending))])),
    ];
    let answers: [(&str, Answers); 4] = [
        ("no word", |call| match call {
            Call::Charge => Event::NotCharged(NoCharge::Unsure("cut".into())),
            Call::Cancel => Event::CancelUnanswered,
            Call::GetStatus => Event::StatusUnanswered,
            Call::Refund => panic!("nobody asked for it"),
        }),
        ("pending", |call| match call {
            Call::Charge => Event::Charged(charge(5000)),
            Call::Cancel => Event::CancelUnanswered,
            Call::GetStatus => status(Said::Pending),
            Call::Refund => panic!("nobody asked for it"),
        }),
        ("refused, and pending", |call| match call {
            Call::Charge => Event::Charged(charge(5000)),
            Call::Cancel => Event::CancelRefused,
            Call::GetStatus => status(Said::Pending),
            Call::Refund => panic!("nobody asked for it"),
        }),
        ("not understood", |call| match call {
            Call::Charge => Event::NotCharged(NoCharge::Unsure("cut".into())),
            Call::Cancel => Event::CancelRefused,
            Call::GetStatus => unclear(),
            Call::Refund => panic!("nobody asked for it"),
        }),
    ];
    for (state, order) in &states {
        for (what, answers) in &answers {
            for call_takes in [0, 3_000, 15_000] {
                let listed = listed_at(order.clone(), *answers, call_takes);
                assert!((1000 + FIVE..=1000 + 330_000).contains(&listed), "{state}, {what}, {call_takes} ms a call: {listed}");
            }
        }
    }
}

/// The answer of get-status is not understood, and nobody told that it is paid.
#[test]
fn an_answer_that_is_not_understood_is_listed_within_330_s_too() {
    let unclear_at = |order: &Order| after(order, 1000, unclear());
    let pending = live(&[charged()]);
    let cancelling = live(&[charged(), (500, Event::CancelRequested), (600, Event::CancelRefused)]);
    let closed = live(&[charged(), (500, Event::CancelRequested), (600, Event::CancelDone(report(Said::Cancelled)))]);
    for (state, order) in [("pending", pending), ("cancelling", cancelling), ("closed", closed)] {
        for call_takes in [0, 3_000, 15_000] {
            let answers: Answers = |call| if call == Call::Cancel { Event::CancelRefused } else { unclear() };
            let listed = listed_at(unclear_at(&order), answers, call_takes);
            assert!((1000 + FIVE..=1000 + 330_000).contains(&listed), "{state}, {call_takes} ms a call: {listed}");
        }
    }
}

#[test]
fn what_is_told_is_asked_about_until_it_is_confirmed() {
    let cancelled = live(&[
        charged(),
        (500, Event::CancelRequested),
        (600, Event::CancelDone(report(Said::Cancelled))),
        (1000, Event::Notified(Said::Settled)),
    ]);
    let mut order = cancelled;
    let mut asked = 0;
    while let Some(due) = next_deadline(&order).filter(|due| *due < at(24 * 3_600_000)) {
        let event = match duty(&order, Told::trusted(due)) {
            Duty::Call(Call::GetStatus) => {
                asked += 1;
                status(Said::Cancelled)
            }
            Duty::Apply(Event::Unconfirmed) => Event::Unconfirmed,
            other => panic!("{other:?}"),
        };
        order = after(&order, (due - T0).0, event);
    }
    assert!((80..200).contains(&asked), "for a day, and ever more seldom: {asked}");
}

#[test]
fn an_order_whose_get_status_is_not_understood_is_listed() {
    let pending = live(&[charged()]);
    let cancelling = live(&[charged(), (500, Event::CancelRequested), (600, Event::CancelRefused)]);
    let held = {
        let order = Order { sale: order().sale.paid_by(Payment::Indomaret), ..pending.clone() };
        after(&order, 700, status(Said::Settled))
    };
    let alien = || {
        let transaction_id = TransactionId::new("t2").expect("an id");
        Event::Status(StatusReport { order_id: OrderId::new("A1KHIMID").ok(), transaction_id, ..report(Said::Other) })
    };
    let closed = live(&[charged(), (500, Event::CancelRequested), (600, Event::CancelDone(report(Said::Cancelled)))]);
    let lost = live(&[(0, Event::Restarted), (600, Event::CancelUnknown)]);
    let states =
        [("pending", pending.clone()), ("cancelling", cancelling), ("held", held), ("closed", closed.clone()), ("never charged", lost)];
    for (what, order) in states {
        for answer in [unclear(), alien()] {
            let order = after(&order, 1000, answer.clone());
            let order = after(&order, 1000 + FIVE - 1, answer.clone());
            assert!(!is_listed(&order), "{what}: too early");
            let listed = after(&order, 1000 + FIVE, answer.clone());
            assert!(is_listed(&listed), "{what}: {answer:?}");
            assert!(next_deadline(&listed).is_some_and(|next| next < at(1000 + 3 * FIVE)), "{what}: it is asked about all the same");
            // What was settled and is pending is as doubtful as before.
            let word = if what == "held" { Said::Settled } else { Said::Pending };
            let understood = after(&listed, 1001 + FIVE, status(word));
            assert!(!is_listed(&understood), "{what}: the next answer is understood");
            if what == "held" {
                continue;
            }
            // A person's end of it ends the questions, too, once the last look has come, but for one now and then.
            let seen = after(&listed, 2000 + FIVE, Event::SeenBy("Sari".into()));
            let looked = after(&seen, QR_EXPIRY.0 + 2 * LAST_CHECK.0, answer.clone());
            let now_and_then = looked.polling.at.is_none_or(|next| next >= at(QR_EXPIRY.0 + 6 * 3_600_000));
            assert!(looked.attention().is_empty() && now_and_then, "{what}: {answer:?}: {looked:?}");
        }
    }
    // However often it was asked about before, what has ended is asked about again within these minutes.
    let often = Order { polling: Polling { tries: 30, ..closed.polling }, ..closed.clone() };
    assert!(next_deadline(&after(&often, 1000, unclear())).is_some_and(|next| next < at(60_000)));
    // The gateway knows no such charge any more: it had ended it, and so that is understood.
    let doubt = after(&closed, 1000, unclear());
    let unknown = after(&doubt, 2000, Event::StatusUnknown);
    assert!(!is_listed(&after(&unknown, 1000 + FIVE, unclear())));
    // An answer among silence is one, and no five minutes.
    let outage = [(1000, unclear()), (150_000, Event::StatusUnanswered), (1000 + FIVE, Event::StatusUnanswered)];
    let outage = outage.into_iter().fold(pending.clone(), |order, (ms, event)| after(&order, ms, event));
    assert!(!is_listed(&outage));
    // One answer that is not understood is no five minutes, however long ago it was.
    let seldom = [(1000, unclear()), (1_801_000, status(Said::Pending)), (3_601_000, unclear())];
    let seldom = seldom.into_iter().fold(pending.clone(), |order, (ms, event)| after(&order, ms, event));
    assert!(!is_listed(&seldom));
    // No answer at all is a trouble of the gateway, which has an alert of its own.
    let silent = [1000, 1000 + FIVE, 1000 + 2 * FIVE].into_iter().fold(pending, |order, ms| after(&order, ms, Event::StatusUnanswered));
    assert!(!is_listed(&silent));
    // A charge that is given up after a day stays on the list.
    let gone = live(&[charged(), (500, Event::CancelRequested), (600, Event::CancelRefused), (1000, unclear()), (90_000_000, unclear())]);
    assert_eq!((word(&gone).as_str(), is_listed(&gone)), ("failure", true));
}

#[test]
fn a_qr_whose_life_is_over_is_ended_whatever_is_answered() {
    let short = Charge { expires_at: at(30_000), ..charge(5000) };
    for answer in [status(Said::Other), status(Said::Pending), unclear(), Event::StatusUnanswered, Event::StatusUnknown] {
        let order = live(&[(0, Event::Charged(short.clone())), (31_000, answer.clone())]);
        assert_eq!(order.ends_at(), Some(at(30_000)), "the machine takes it off the screen");
        assert_eq!(duty(&order, Told::trusted(at(90_000))), Duty::Apply(Event::TimedOut), "{answer:?}");
    }
}

#[test]
fn a_persons_end_bars_every_receipt() {
    let told = |life: Vec<(i64, Event)>| {
        live(&[life, vec![(1000, Event::Notified(Said::Settled)), (1000 + FIVE, status(Said::Pending))]].concat())
    };
    let states = [
        ("pending", told(vec![charged()])),
        ("cancelling", told(vec![charged(), (500, Event::CancelRequested)])),
        ("closed", told(vec![charged(), (500, Event::CancelRequested), (600, Event::CancelDone(report(Said::Cancelled)))])),
    ];
    let later = 2_000 + FIVE;
    for (what, order) in states {
        let order = after(&order, 1_500 + FIVE, status(Said::Expired));
        assert!(is_listed(&order), "{what}: {order:?}");
        let seen = after(&order, later, Event::SeenBy("Sari".into()));
        assert_eq!((seen.attention(), seen.is_open(), seen.ended_by().map(|end| &*end.by)), (vec![], false, Some("Sari")), "{what}");
        // The money is owed then, and no receipt opens the relay, whatever comes in between, and in which order.
        for before in
            [vec![], vec![status(Said::Pending)], vec![status(Said::Pending), Event::CancelRefused], vec![Event::Charged(charge(5000))]]
        {
            let order = before.into_iter().fold(seen.clone(), |order, event| after(&order, later, event));
            let paid = after(&order, later + 1000, status(Said::Settled));
            assert!(paid.receipt().is_none() && paid.is_refund_due() && paid.is_proven(), "{what}: {paid:?}");
            assert_eq!((word(&paid).as_str(), paid.attention()), ("ended", vec![Attention::RefundDue]), "{what}");
        }
        // A genuine notification after that is worth another look of a person.
        let again = after(&seen, later, Event::Notified(Said::Settled));
        assert!(is_listed(&after(&again, later + FIVE, status(Said::Pending))), "{what}");
        // The money given back by hand ends it, too.
        let by_hand = Event::SettledByHand { note: "cash".into(), by: Some("Sari".into()), no_report: false, goods_and_money: false };
        let cash = after(&order, later, by_hand);
        assert_eq!((cash.attention(), cash.is_open()), (vec![], false), "{what}");
        let paid = after(&cash, later + 1000, status(Said::Settled));
        assert!(paid.receipt().is_none() && !paid.is_refund_due(), "{what}: {paid:?}");
    }
    // Before the five minutes are over nobody ends it.
    let early = live(&[charged(), (1000, Event::Notified(Said::Settled))]);
    assert_eq!(then(&early, 2_000, Event::SeenBy("Sari".into())), Err(Refused::NothingToSee));
    let by_hand = Event::SettledByHand { note: "cash".into(), by: None, no_report: true, goods_and_money: false };
    assert_eq!(then(&early, 2_000, by_hand), Err(Refused::NotPaid));
}

#[test]
fn what_a_person_ended_is_asked_about_again_only_when_the_gateway_tells_that_it_is_paid() {
    let listed = after(&live(&[charged(), (1000, Event::Notified(Said::Settled))]), 1000 + FIVE, status(Said::Pending));
    let ended = after(&listed, 1000 + FIVE + 1, Event::SeenBy("Sari".into()));
    let late = QR_EXPIRY.0 + 2 * LAST_CHECK.0;
    let quiet = after(&ended, late, Event::StatusUnanswered);
    assert!(quiet.is_over() && quiet.polling.at.is_some_and(|next| next >= at(late + 6 * 3_600_000)), "{:?}", quiet.polling);
    // A person may have erred, and the notification may be lost. It is found for a week.
    let week = 7 * 24 * 3_600_000;
    let paid = after(&quiet, late + week - FIVE, status(Said::Settled));
    assert!(paid.receipt().is_none() && paid.is_refund_due(), "{paid:?}");
    assert_eq!(after(&quiet, late + week, Event::StatusUnanswered).polling.at, None);
    let told = after(&quiet, late + 1000, Event::Notified(Said::Settled));
    // Get-status is behind for longer than the first quick questions.
    assert!(after(&told, late + 60_000, status(Said::Expired)).polling.at.is_some());
}

#[test]
fn a_word_that_may_mean_money_is_listed_as_both_and_seen_ends_it() {
    for word in [Said::Suspect, Said::Other] {
        let order = live(&[charged(), (1000, status(word)), (1000 + FIVE - 1, status(word))]);
        assert_eq!(order.attention(), [Attention::Suspect]);
        let order = after(&order, 1000 + FIVE, status(word));
        assert_eq!(order.attention(), [Attention::Suspect, Attention::Unconfirmed], "{word:?}");
        let seen = after(&order, 2000 + FIVE, Event::SeenBy("Sari".into()));
        assert_eq!((seen.attention(), seen.ended_by().map(|end| &*end.by), seen.is_over()), (vec![], Some("Sari"), true), "{word:?}");
        let paid = after(&seen, 3000 + FIVE, status(Said::Settled));
        assert!(paid.receipt().is_none() && paid.is_refund_due(), "{word:?}: {paid:?}");
    }
}

/// An order that has ended may be paid late. A word that may mean money does not say that it was not.
#[test]
fn a_word_that_may_mean_money_lists_what_has_ended_too_and_a_person_ends_it() {
    let day = 24 * 3_600_000;
    let by_cancel = live(&[charged(), (500, Event::CancelRequested), (600, Event::CancelDone(report(Said::Cancelled)))]);
    let by_look = live(&[charged(), (600, status(Said::Expired))]);
    let lost = live(&[(0, Event::Restarted), (600, Event::CancelUnknown)]);
    let gone = live(&[charged(), (500, Event::CancelRequested), (600, Event::CancelRefused), (day + 1000, Event::StatusUnanswered)]);
    let rows = [("cancelled", 1000, by_cancel), ("expired", 1000, by_look), ("never charged", 1000, lost), ("given up", 2 * day, gone)];
    for (what, begin, closed) in rows {
        assert!(matches!(closed.state, State::Closed(_)), "{what}");
        for word in [Said::Suspect, Said::Other] {
            // Its own questions find that, at the pace of any answer that is not understood.
            let mut order = after(&closed, begin, status(word));
            let mut asked = 0;
            while let Some(next) = next_deadline(&order).filter(|next| *next <= at(begin + FIVE + 60_000)) {
                assert!(!is_listed(&order) || next > at(begin + FIVE), "{what}: too early");
                order = after(&order, (next - T0).0, status(word));
                asked += 1;
            }
            assert!((10..40).contains(&asked), "{what}, {word:?}: {asked}");
            assert_eq!(order.attention(), [Attention::Suspect, Attention::Unconfirmed], "{what}, {word:?}");
            assert!(!order.is_over() && order.is_unconfirmed(), "{what}: its machine hears it");
            // Somebody paid it after all: it is a sale like any other until a person ends it.
            let paid = after(&order, begin + 2 * FIVE, status(Said::Settled));
            assert_eq!((super::word(&paid).as_str(), paid.attention()), ("settled", vec![]), "{what}");
            let understood = after(&order, begin + 2 * FIVE, status(Said::Expired));
            assert_eq!(understood.attention(), [], "{what}");
            let seen = after(&order, begin + 2 * FIVE, Event::SeenBy("Sari".into()));
            assert_eq!((seen.attention(), seen.ended_by().map(|end| &*end.by), seen.is_over()), (vec![], Some("Sari"), true), "{what}");
            let paid = after(&seen, begin + 3 * FIVE, status(Said::Settled));
            assert!(paid.receipt().is_none() && paid.is_refund_due(), "{what}, {word:?}: {paid:?}");
            // It is not asked about for ever.
            let quiet = after(&seen, begin + 2 * QR_EXPIRY.0, status(word));
            let now_and_then = quiet.polling.at.is_none_or(|next| next >= at(begin + 6 * 3_600_000));
            assert!(quiet.attention().is_empty() && now_and_then, "{what}: {quiet:?}");
        }
    }
}

/// Nobody looks at it: it is asked about ever more seldom.
#[test]
fn a_suspect_word_about_what_has_ended_makes_few_questions() {
    let mut order = live(&[charged(), (600, status(Said::Expired)), (1000, status(Said::Suspect))]);
    let mut asked = 0;
    while let Some(due) = next_deadline(&order).filter(|due| *due < at(24 * 3_600_000)) {
        assert_eq!(duty(&order, Told::trusted(due)), Duty::Call(Call::GetStatus));
        order = after(&order, (due - T0).0, status(Said::Suspect));
        asked += 1;
    }
    assert!((80..200).contains(&asked), "for a day: {asked}");
}

#[test]
fn an_answer_that_is_not_understood_lists_nothing_that_is_paid() {
    let settled = live(&[charged(), (500, status(Said::Settled))]);
    let refunded = after(&settled, 700, status(Said::Refunded));
    for order in [settled.clone(), refunded.clone()] {
        let order = after(&order, 1000, Event::Notified(Said::ChargedBack));
        let order = [1000, 151_000, 1000 + FIVE].into_iter().fold(order, |order, ms| after(&order, ms, unclear()));
        assert_eq!(order.attention(), vec![], "{:?}", order.state);
        assert!(next_deadline(&order).is_some(), "it is asked about until the answer is understood");
    }
    // These questions end with those about a bank's word.
    let week = 7 * 24 * 3_600_000;
    for order in [settled, refunded] {
        let told = after(&order, 1000, Event::Notified(Said::ChargedBack));
        assert!(after(&told, week, unclear()).polling.at.is_some());
        assert_eq!(after(&told, 1000 + week, unclear()).polling.at, None);
    }
}
