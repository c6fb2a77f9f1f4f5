//! Payments over the counter: no cancel by time, a settlement that may be taken back, a time to collect.

use super::*;
use crate::order::state::Status;

fn counter(payment: Payment) -> Order {
    Order { sale: order().sale.paid_by(payment), ..order() }
}

fn code(store: &str) -> Charge {
    Charge {
        qr_payload: None,
        payment_code: Some("8127740588870520".into()),
        store: Some(store.into()),
        expires_at: T0 + COUNTER_EXPIRY,
        ..charge(5000)
    }
}

/// Lives through events, and through the steps that time brings in between.
fn lives(payment: Payment, events: &[(i64, Event)]) -> Order {
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let mut order = apply(counter(payment), Event::Charged(code(payment.as_str())), Told::trusted(T0), &with).expect("a fact");
    for (ms, event) in events {
        let now = T0 + Span::millis(*ms);
        while let Duty::Apply(event) = duty(&order, Told::trusted(now)) {
            order = apply(order, event, Told::trusted(now), &with).expect("a fact");
        }
        order = apply(order, event.clone(), Told::trusted(now), &with).expect("granted");
    }
    order
}

fn at(ms: i64) -> Wall {
    T0 + Span::millis(ms)
}

#[test]
fn a_code_waits_for_its_customer_and_nobody_cancels_it_but_the_machine() {
    let order = lives(Payment::Alfamart, &[]);
    assert_eq!(order.ends_at(), Some(T0 + COUNTER_EXPIRY));
    let mut asked = Vec::new();
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let mut order = order;
    while let Some(due) = next_deadline(&order).filter(|due| *due < T0 + COUNTER_EXPIRY) {
        assert_eq!(duty(&order, Told::trusted(due)), Duty::Call(Call::GetStatus), "never a cancel");
        asked.push(due);
        order = apply(order, status(Said::Pending), Told::trusted(due), &with).expect("a fact");
    }
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] >= ASK_SPACING));
    assert!(asked.len() < 150 && asked.len() > 60, "{} questions in a day", asked.len());
    let expired = lives(Payment::Alfamart, &[(86_400_000, status(Said::Expired))]);
    assert_eq!(word(&expired), "expire");
    let cancelled = lives(Payment::Alfamart, &[(1000, Event::CancelRequested), (2000, Event::CancelDone(report(Said::Cancelled)))]);
    assert_eq!(word(&cancelled), "cancel");
}

#[test]
fn what_was_paid_can_be_collected_for_so_long() {
    let paid = lives(Payment::Alfamart, &[(7_200_000, status(Said::Settled))]);
    let until = at(7_200_000) + Span::secs(72 * 3600);
    assert_eq!((word(&paid).as_str(), paid.ends_at()), ("settled", Some(until)), "an Alfamart's settlement is one at once");
    assert_eq!(next_deadline(&paid), Some(until + REPORT_WITHIN), "then its machine tells that nobody came");
    let told = lives(Payment::Alfamart, &[(7_200_000, status(Said::Settled)), (7_300_000, told(Delivery::Dispensed))]);
    assert_eq!((told.ends_at(), next_deadline(&told)), (None, None));
}

#[test]
fn a_late_notification_of_a_settlement_that_the_counter_took_back_is_no_doubt() {
    let late = |ms| (ms, Event::Notified(Said::Settled));
    let denied = |ms| (ms, status(Said::Denied));
    let sure = lives(Payment::Indomaret, &[denied(1000), late(2000), denied(3000), denied(400_000), denied(800_000)]);
    assert_eq!((word(&sure).as_str(), sure.attention()), ("deny", vec![]));
    // A QR has no counter that takes anything back.
    let doubt = lives(Payment::Gopay, &[denied(1000), late(2000), denied(3000), denied(400_000)]);
    assert_eq!(doubt.attention(), [Attention::Unconfirmed]);
}

#[test]
fn an_indomarets_settlement_is_one_only_after_its_window() {
    let settled = |ms| (ms, status(Said::Settled));
    type Row = (&'static str, Vec<(i64, Event)>, &'static str);
    let table: Vec<Row> = vec![
        ("paid", vec![settled(1000)], "held"),
        ("paid, and asked too early", vec![settled(1000), settled(2000), settled(300_999)], "held"),
        ("paid, and still after the window", vec![settled(1000), settled(301_000)], "settled"),
        ("taken back in the window", vec![settled(1000), (100_000, status(Said::Denied))], "deny"),
        ("taken back, found at its end", vec![settled(1000), (301_000, status(Said::Denied))], "deny"),
        ("expired, says the end: no settlement", vec![settled(1000), (301_000, status(Said::Expired))], "expire"),
        ("pending, says the end: not paid", vec![settled(1000), (301_000, status(Said::Pending))], "pending"),
        ("and paid again: another window", vec![settled(1000), (301_000, status(Said::Pending)), settled(400_000)], "held"),
        ("nobody answers at the end", vec![settled(1000), (301_000, Event::StatusUnanswered)], "held"),
        ("the notification of the settlement alone", vec![(1000, Event::Notified(Said::Settled))], "pending"),
        ("taken back after the window", vec![settled(1000), settled(301_000), (400_000, status(Said::Denied))], "void"),
        ("cancelled by the machine while held", vec![settled(1000), (2000, Event::CancelRequested)], "held"),
    ];
    for (what, events, wanted) in table {
        let order = lives(Payment::Indomaret, &events);
        assert_eq!(word(&order), wanted, "{what}");
        assert_eq!(order.receipt().is_some(), ["settled", "void"].contains(&wanted), "{what}");
    }
    let held = lives(Payment::Indomaret, &[settled(1000)]);
    assert_eq!((next_deadline(&held), held.is_open(), held.is_refund_due()), (Some(at(301_000)), true, false));
    assert_eq!(duty(&held, Told::trusted(at(301_000))), Duty::Call(Call::GetStatus));
    // A settlement that the counter takes back is looked at without delay.
    let news = lives(Payment::Indomaret, &[settled(1000), (60_000, Event::Notified(Said::Denied))]);
    assert_eq!(duty(&news, Told::trusted(at(60_000))), Duty::Call(Call::GetStatus));
    let gone = lives(Payment::Indomaret, &[settled(1000), settled(301_000), (400_000, status(Said::Denied))]);
    assert_eq!((gone.attention(), gone.is_refund_due()), (vec![Attention::Reversed], false));
    assert_eq!((gone.status(), gone.is_open(), next_deadline(&gone)), (Status::Deny, false, None), "nothing is handed out for it");
    let told = lives(
        Payment::Indomaret,
        &[settled(1000), settled(301_000), (302_000, told(Delivery::Dispensed)), (400_000, status(Said::Denied))],
    );
    assert_eq!((word(&told).as_str(), told.attention()), ("settled", vec![Attention::Reversed]), "handed out before");
    let asked = lives(Payment::Indomaret, &[settled(1000), settled(301_000), (400_000, Event::Notified(Said::Denied))]);
    assert_eq!(duty(&asked, Told::trusted(at(400_000))), Duty::Call(Call::GetStatus));
    // The same if a part of it went back before.
    let part = [settled(1000), settled(301_000), (310_000, status(Said::PartlyRefunded)), (400_000, Event::Notified(Said::Denied))];
    let rest = lives(Payment::Indomaret, &part);
    assert_eq!(duty(&rest, Told::trusted(at(400_000))), Duty::Call(Call::GetStatus));
    let gone = lives(Payment::Indomaret, &[&part[..], &[(401_000, status(Said::Denied))]].concat());
    assert!(gone.attention().contains(&Attention::Reversed), "{:?}", gone.attention());
}

#[test]
fn what_the_counter_took_back_is_offered_to_no_machine_again() {
    let wish = || Event::RefundRequested(RefundWish { no_report: true, ..RefundWish::of_a_person(Some("Ani".into())) });
    let by_hand = || Event::SettledByHand { note: "cash".into(), by: Some("Ani".into()), no_report: true, goods_and_money: false };
    type Seen = Result<(&'static str, Status, Money), Refused>;
    let table: Vec<(&str, Event, Seen)> = vec![
        ("denied again", status(Said::Denied), Ok(("void", Status::Deny, Money::TakenBack))),
        ("a stale settlement", status(Said::Settled), Ok(("void", Status::Deny, Money::TakenBack))),
        ("a stale word", status(Said::Pending), Ok(("void", Status::Deny, Money::TakenBack))),
        ("another end", status(Said::Expired), Ok(("void", Status::Deny, Money::TakenBack))),
        ("a word nobody knows", status(Said::Other), Ok(("void", Status::Deny, Money::TakenBack))),
        ("a part goes back besides", status(Said::PartlyRefunded), Ok(("void", Status::Deny, Money::TakenBack))),
        ("a bank takes it besides", status(Said::ChargedBack), Ok(("void", Status::Deny, Money::TakenBack))),
        ("all of it goes back", status(Said::Refunded), Ok(("refunded", Status::Refund, Money::Refunded))),
        ("time passes", Event::Unreported, Ok(("void", Status::Deny, Money::TakenBack))),
        ("the machine cancels it", Event::CancelRequested, Ok(("void", Status::Deny, Money::TakenBack))),
        // The machine had the receipt before. So it was sold, as where it had told that before.
        ("it was handed out", told(Delivery::Dispensed), Ok(("settled", Status::Settlement, Money::TakenBack))),
        ("nothing came", told(Delivery::Failed), Ok(("settled", Status::Settlement, Money::TakenBack))),
        ("nobody knows", told(Delivery::Uncertain), Ok(("settled", Status::Settlement, Money::TakenBack))),
        ("a refund", wish(), Err(Refused::TakenBack)),
        ("a refund by hand", by_hand(), Err(Refused::TakenBack)),
        ("a gift", Event::Given { by: "Budi".into(), goods_and_money: false, from_slot: false }, Err(Refused::TakenBack)),
    ];
    let void = lives(Payment::Alfamart, &[(1000, status(Said::Settled)), (400_000, status(Said::Denied))]);
    for (what, event, wanted) in table {
        let now = at(500_000) + NO_REPORT_AFTER;
        let after = with_rules(|with| apply(void.clone(), event, Told::trusted(now), with));
        let seen = after.as_ref().map(|order| (word(order), order.status(), order.money())).map_err(|refused| *refused);
        assert_eq!(seen, wanted.map(|(word, status, money)| (word.to_owned(), status, money)), "{what}");
        let Ok(order) = after else { continue };
        assert_eq!((order.is_open(), order.is_refund_due(), order.repay_by()), (false, false, None), "{what}");
    }
    // Whichever of the two comes first, it is the same.
    for outcome in [Delivery::Dispensed, Delivery::Failed, Delivery::Undelivered, Delivery::Uncertain] {
        let (paid, gone) = ((1000, status(Said::Settled)), (400_000, status(Said::Denied)));
        let lived = |ms| {
            lives(
                Payment::Alfamart,
                &if ms < gone.0 {
                    [paid.clone(), (ms, told(outcome)), gone.clone()]
                } else {
                    [paid.clone(), gone.clone(), (ms, told(outcome))]
                },
            )
        };
        let seen = |order: Order| (word(&order), order.status(), order.money(), order.attention(), order.receipt().cloned());
        assert_eq!(seen(lived(300_000)), seen(lived(500_000)), "{outcome}");
    }
}

#[test]
fn a_person_hears_that_a_counter_took_back_what_was_given_back_by_hand() {
    let by_hand = Event::SettledByHand { note: "cash".into(), by: None, no_report: false, goods_and_money: false };
    let given_back = vec![(0, status(Said::Settled)), (1000, told(Delivery::Undelivered)), (2000, by_hand)];
    let given_back: Vec<_> = given_back.into_iter().map(|(ms, event)| (310_000 + ms, event)).collect();
    let first = [(1000, status(Said::Settled))];
    let noted = [(400_000, Event::Notified(Said::Denied))];
    let asked = lives(Payment::Indomaret, &[&first[..], &given_back, &noted].concat());
    assert_eq!(duty(&asked, Told::trusted(at(400_000))), Duty::Call(Call::GetStatus));
    let denied = [(401_000, status(Said::Denied))];
    let gone = lives(Payment::Indomaret, &[&first[..], &given_back, &noted, &denied].concat());
    assert_eq!((gone.attention(), next_deadline(&gone)), (vec![Attention::Reversed], None), "the money is gone twice");
}

#[test]
fn a_lost_charge_of_an_indomaret_is_replaced_and_never_repeated() {
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let lost = Event::NotCharged(NoCharge::Unsure("cut".into()));
    let indomaret = apply(counter(Payment::Indomaret), lost.clone(), Told::trusted(T0), &with).expect("a fact");
    assert_eq!((word(&indomaret).as_str(), duty(&indomaret, Told::trusted(T0))), ("cancelling", Duty::Call(Call::Cancel)));
    let dead = apply(indomaret, Event::CancelDone(report(Said::Cancelled)), Told::trusted(T0), &with).expect("a fact");
    assert!(wants_another(&dead, Told::trusted(T0)));
    let alfamart = apply(counter(Payment::Alfamart), lost, Told::trusted(T0), &with).expect("a fact");
    assert_eq!(word(&alfamart), "charging", "its key is kept");
}

#[test]
fn what_was_not_reported_is_refunded_an_hour_after_the_last_moment_to_collect_it() {
    let order = lives(Payment::Alfamart, &[(1000, status(Said::Settled))]);
    let State::Settled(Settled { collect_by: Some(collect_by), .. }) = order.state else { panic!("it waits: {order:?}") };
    let listed = with_rules(|with| apply(order, Event::Unreported, Told::trusted(collect_by + REPORT_WITHIN), with)).expect("a fact");
    let by_hand = |at: Wall| {
        let event = Event::SettledByHand { note: "cash".into(), by: Some("Ani".into()), no_report: true, goods_and_money: false };
        with_rules(|with| apply(listed.clone(), event, Told::trusted(at), with)).map(|order| word(&order))
    };
    assert_eq!(by_hand(collect_by + NO_REPORT_AFTER - Span::millis(1)), Err(Refused::TooEarly));
    assert_eq!(by_hand(collect_by + NO_REPORT_AFTER), Ok("refunded".into()));
}

fn with_rules<T>(run: impl FnOnce(&Context<'_>) -> T) -> T {
    let rules = rules();
    run(&Context { rules: &rules, paid_already: false })
}
