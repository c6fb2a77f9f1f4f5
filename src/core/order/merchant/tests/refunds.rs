//! Refunds at the gateway: a new key after a refusal, the end of the gateway's time, and what the bank says later.

use super::*;

const DAY: i64 = 24 * 3_600_000;

fn at(ms: i64) -> Wall {
    T0 + Span::millis(ms)
}

fn then(order: &Order, ms: i64, event: Event) -> Result<Order, Refused> {
    let rules = rules();
    let with = Context { rules: &rules, paid_already: false };
    let mut order = apply(order.clone(), event, Told::trusted(at(ms)), &with)?;
    while let Duty::Apply(event) = duty(&order, Told::trusted(at(ms))) {
        order = apply(order, event, Told::trusted(at(ms)), &with).expect("a fact");
    }
    Ok(order)
}

fn after(order: &Order, ms: i64, event: Event) -> Order {
    then(order, ms, event).expect("granted")
}

fn all(order: &Order, ms: i64, events: Vec<Event>) -> Order {
    let turn = |(order, ms): (Order, i64), event: Event| {
        let ms = (due_at(&order, &event, at(ms)) - T0).0;
        (after(&order, ms, event), ms)
    };
    events.into_iter().fold((order.clone(), ms), turn).0
}

/// Paid at the beginning, and not delivered. The gateway refunds it for so many days.
fn due(days: Option<i64>) -> Order {
    let within = days.map(|days| Span::millis(days * DAY));
    let settled = Event::Status(StatusReport { refund_within: within, ..report(Said::Settled) });
    live(&[(0, Event::Charged(charge(5000))), (1000, settled), (2000, told(Delivery::Failed))])
}

fn wish() -> Event {
    Event::RefundRequested(RefundWish::of_a_person(Some("Ani".into())))
}

fn answered(answer: RefundAnswer) -> Event {
    Event::RefundAnswered(answer)
}

fn refused() -> Event {
    answered(RefundAnswer::Refused("414".into()))
}

fn key_used() -> Event {
    answered(RefundAnswer::KeyUsed("406".into()))
}

fn unsure() -> Event {
    answered(RefundAnswer::Unsure("cut".into()))
}

fn is_asked(order: &Order) -> bool {
    matches!(order.repayment(), Some(Repayment::Requested { .. }))
}

#[test]
fn a_new_key_follows_a_refusal_that_get_status_has_confirmed_and_nothing_else() {
    let asked = all(&due(None), 3000, vec![wish()]);
    let table: Vec<(&str, Vec<Event>, &str)> = vec![
        ("asked", vec![], "o1"),
        ("refused, and nobody looked yet", vec![refused()], "o1"),
        ("refused, and the look is not answered", vec![refused(), Event::StatusUnanswered], "o1"),
        ("refused, and nothing went back", vec![refused(), status(Said::Settled)], "o1-r2"),
        ("not sent", vec![answered(RefundAnswer::Passing("no way".into()))], "o1"),
        ("lost, and nothing went back", vec![unsure(), status(Said::Settled)], "o1"),
        ("lost, refused, and looked at once", vec![unsure(), refused(), status(Said::Settled)], "o1"),
        ("lost, refused, and looked at twice", vec![unsure(), refused(), status(Said::Settled), status(Said::Settled)], "o1-r2"),
        ("used before, and looked at once", vec![key_used(), status(Said::Settled)], "o1"),
        ("used before, and looked at twice", vec![key_used(), status(Said::Settled), status(Said::Settled)], "o1-r2"),
    ];
    for (what, events, key) in table {
        assert_eq!(all(&asked, 3000, events).refund_key(), key, "{what}");
    }
    // A person asks again, and the money goes back.
    let again = all(&asked, 3000, vec![refused(), status(Said::Settled), wish()]);
    assert_eq!((duty(&again, Told::trusted(at(3000))), again.refund_key().as_str()), (Duty::Call(Call::Refund), "o1-r2"));
    let done = all(&again, 4000, vec![answered(approved())]);
    assert_eq!((word(&done).as_str(), done.attention()), ("refunded", vec![]));
    // A key that was used up is followed by another one without a person.
    let used = all(&asked, 3000, vec![key_used(), status(Said::Settled), status(Said::Settled)]);
    let next = next_deadline(&used).expect("the next call");
    assert_eq!((is_asked(&used), duty(&used, Told::trusted(next))), (true, Duty::Call(Call::Refund)));
    let made = all(&asked, 3000, vec![key_used(), status(Said::Refunded)]);
    assert_eq!((word(&made).as_str(), made.refund_key().as_str()), ("refunded", "o1"), "an earlier call had made it");
    // It ends. After that the money goes back by hand only.
    let mut order = asked;
    for used in 1..=REFUND_KEYS_MAX {
        assert!(is_asked(&order), "{used}");
        order = all(&order, 3000, vec![key_used(), status(Said::Settled), status(Said::Settled)]);
    }
    assert_eq!((is_asked(&order), order.attention()), (false, vec![Attention::RefundFailed]));
    assert_eq!(then(&order, 4000, wish()), Err(Refused::OnlyByHand));
    // Another outcome stops it, whatever the last refusal was.
    let told = DeliveryReport::proven(Delivery::Dispensed);
    let stopped = all(&due(None), 3000, vec![wish(), key_used(), Event::Contradicted { told, refund_on_its_way: false }]);
    assert!(!is_asked(&all(&stopped, 4000, vec![status(Said::Settled), status(Said::Settled)])));
}

#[test]
fn people_hear_of_the_end_of_the_time_and_then_nobody_asks_any_more() {
    use Attention::{OnlyByHand, RefundDue, RefundLastDay, RefundSoon};
    let mut order = due(Some(7));
    let until = at(0) + Span::millis(7 * DAY);
    assert_eq!((order.repay_by(), order.attention()), (Some(until), vec![RefundDue]));
    for (ms, kinds) in
        [(4 * DAY, vec![RefundDue, RefundSoon]), (6 * DAY, vec![RefundDue, RefundLastDay]), (7 * DAY, vec![RefundDue, OnlyByHand])]
    {
        let next = next_deadline(&order).expect("it comes");
        assert_eq!(next, at(ms));
        order = after(&order, ms - 1, Event::Abandoned);
        assert!(!order.attention().contains(&kinds[1]), "{kinds:?} comes too early");
        order = after(&order, ms, Event::Abandoned);
        assert_eq!(order.attention(), kinds);
    }
    assert_eq!((next_deadline(&order), order.is_refund_due()), (None, true));
    assert_eq!(then(&order, 7 * DAY, wish()), Err(Refused::OnlyByHand));
    let by_hand = Event::SettledByHand { note: "cash".into(), by: None, no_report: false, goods_and_money: false };
    assert!(after(&order, 7 * DAY, by_hand).attention().is_empty());
    // While no program ran, nobody wrote it.
    for (ms, kinds) in [(0, vec![RefundDue]), (5 * DAY, vec![RefundDue, RefundSoon]), (8 * DAY, vec![RefundDue, OnlyByHand])] {
        assert_eq!(due(Some(7)).as_of(Told::trusted(at(ms))).attention(), kinds);
    }
    assert!(
        !due(Some(7)).may_refund_by_itself(Told::trusted(until))
            && due(Some(7)).may_refund_by_itself(Told::trusted(until - Span::millis(1)))
    );
    // A payment without such a time can be refunded for ever.
    assert_eq!((due(None).repay_by(), next_deadline(&due(None))), (None, None));
    // What was delivered, or settled, is no debt.
    let settled = Event::Status(StatusReport { refund_within: Some(Span::millis(7 * DAY)), ..report(Said::Settled) });
    let paid = |outcome| live(&[(0, Event::Charged(charge(5000))), (1000, settled.clone()), (2000, told(outcome))]);
    assert_eq!(next_deadline(&paid(Delivery::Dispensed)), None);
    // The money of what nobody knows may have to go back.
    assert_eq!(paid(Delivery::Uncertain).repay_by(), Some(until));
}

#[test]
fn a_refund_that_is_on_its_way_at_the_end_is_looked_at() {
    let asked = after(&due(Some(7)), 7 * DAY - 1, wish());
    let over = after(&asked, 7 * DAY, Event::Abandoned);
    assert_eq!(duty(&over, Told::trusted(at(7 * DAY))), Duty::Call(Call::GetStatus), "no other call for a refund");
    assert_eq!(word(&after(&over, 7 * DAY, answered(approved()))), "refunded");
    assert_eq!(word(&after(&over, 7 * DAY, status(Said::Refunded))), "refunded");
    let not_made = all(&over, 7 * DAY + 1, vec![status(Said::Settled), status(Said::Settled)]);
    assert!(matches!(not_made.repayment(), Some(Repayment::Refused { unsure: false, .. })), "{not_made:?}");
    assert_eq!(not_made.attention(), [Attention::RefundFailed, Attention::OnlyByHand]);
    // An earlier call may have made it: that is looked at, also after the end.
    let mut lost = after(&due(Some(7)), 7 * DAY - 2, wish());
    for round in 0..100 {
        lost = after(&lost, 7 * DAY - 1, unsure());
        assert!(round < 99 || !is_asked(&lost));
    }
    let looked = after(&lost, 8 * DAY, wish());
    assert_eq!(duty(&looked, Told::trusted(at(8 * DAY))), Duty::Call(Call::GetStatus));
    let not_made = all(&looked, 8 * DAY, vec![status(Said::Settled), status(Said::Settled)]);
    assert!(!is_asked(&not_made) && then(&not_made, 8 * DAY, wish()) == Err(Refused::OnlyByHand), "{not_made:?}");
}

#[test]
fn what_the_bank_says_later_is_heard() {
    let said = |at_bank| Event::Status(StatusReport { refund_at_bank: at_bank, ..report(Said::Refunded) });
    let bank = |order: &Order| match order.repayment() {
        Some(Repayment::Done { bank, .. }) => *bank,
        other => panic!("{other:?}"),
    };
    let approved = all(&due(None), 3000, vec![wish(), answered(approved())]);
    assert_eq!((bank(&approved), next_deadline(&approved)), (None, Some(at(3000) + CHECK_AGAIN)));
    let asked = after(&approved, 63_000, said(Some(AtBank::Requested)));
    assert_eq!(bank(&asked), Some(AtBank::Requested));
    let next = next_deadline(&asked).expect("it is asked again");
    assert!(next > at(63_000 + 3_600_000), "a bank takes its time");
    let noted = after(&asked, 100_000, Event::Notified(Said::Refunded));
    assert_eq!(duty(&noted, Told::trusted(at(100_000))), Duty::Call(Call::GetStatus), "the second notification is news");
    let confirmed = after(&noted, 116_000, said(Some(AtBank::Confirmed)));
    assert_eq!((bank(&confirmed), next_deadline(&confirmed)), (Some(AtBank::Confirmed), None));
    assert_eq!(bank(&after(&confirmed, 117_000, said(None))), Some(AtBank::Confirmed), "it stays so");
    // It is not looked at for ever.
    let mut order = asked;
    let mut looks = 0;
    while let Some(next) = next_deadline(&order) {
        order = after(&order, (next - T0).0, said(Some(AtBank::Requested)));
        looks += 1;
    }
    assert!((20..40).contains(&looks), "{looks}");
}

#[test]
fn a_settlement_that_comes_back_after_a_refund_is_listed_after_a_second_look() {
    let refunded = all(&due(None), 3000, vec![wish(), answered(approved())]);
    let refunded = after(&refunded, 63_000, status(Said::Refunded));
    assert_eq!(next_deadline(&refunded), None);
    let noted = after(&refunded, 90_000, Event::Notified(Said::Settled));
    assert_eq!(duty(&noted, Told::trusted(at(90_000))), Duty::Call(Call::GetStatus));
    let first = after(&noted, 106_000, status(Said::Settled));
    assert!(first.attention().is_empty(), "get-status may be behind");
    let next = next_deadline(&first).expect("it asks once more");
    let second = after(&first, (next - T0).0, status(Said::Settled));
    assert_eq!((second.attention(), next_deadline(&second)), (vec![Attention::LateFact], None));
    assert!(second.receipt().is_some_and(|_| !second.is_open()), "it opens nothing any more");
    let behind = after(&first, (next - T0).0, status(Said::Refunded));
    assert_eq!(behind.attention(), vec![]);
    assert!(matches!(behind.repayment(), Some(Repayment::Done { settled_again_at: None, .. })));
    // The bank refused the whole, and somebody gave a part back at the gateway.
    let part = after(&refunded, 106_000, status(Said::PartlyRefunded));
    let next = next_deadline(&part).expect("it asks once more");
    assert!(after(&part, (next - T0).0, status(Said::PartlyRefunded)).attention().contains(&Attention::LateFact));
    // What a person gave back is no refund of the gateway.
    let cash = after(&due(None), 3000, Event::SettledByHand { note: "cash".into(), by: None, no_report: false, goods_and_money: false });
    assert_eq!(after(&cash, 4000, Event::Notified(Said::Settled)), cash);
}

#[test]
fn a_refund_of_less_than_was_paid_is_a_refund_of_a_part() {
    let part = |said| Event::Status(StatusReport { refund_amount: Some(rp(3000)), ..report(said) });
    let partly = Some(TakenBack::Partly { amount: Some(rp(3000)) });
    let dispensed = live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled)), (2000, told(Delivery::Dispensed))]);
    let order = after(&dispensed, 3000, part(Said::Refunded));
    assert_eq!((word(&order).as_str(), &order.taken_back, order.attention()), ("settled", &partly, vec![Attention::PartialRefund]));
    let all_of_it = Event::Status(StatusReport { refund_amount: Some(rp(5000)), ..report(Said::Refunded) });
    assert_eq!(word(&after(&order, 4000, all_of_it)), "refunded");
    // Ours was lost, and a part went back. Nobody asks for the whole once more: the rest is for a person.
    for said in [Said::Refunded, Said::PartlyRefunded] {
        for answers in [vec![unsure()], vec![key_used()], vec![unsure(), key_used()]] {
            let asked = all(&due(None), 3000, vec![wish()]);
            let order = all(&asked, 3000, [answers, vec![part(said), part(said)]].concat());
            assert_eq!((word(&order).as_str(), &order.taken_back), ("settled", &partly), "{said:?}");
            let Some(Repayment::Refused { unsure: false, why, .. }) = order.repayment() else {
                panic!("{said:?}: {:?}", order.repayment())
            };
            assert!(&**why == "only a part of it went back" && order.is_refund_due(), "{said:?}: {why}");
            assert_eq!(order.attention(), [Attention::RefundFailed, Attention::PartialRefund], "{said:?}");
        }
    }
}

/// Somebody sent a part back in the dashboard. The rest is owed, and that is what is asked for.
#[test]
fn the_rest_of_a_payment_is_asked_for_after_a_part_went_back() {
    let part = |back: Option<u64>| Event::Status(StatusReport { refund_amount: back.map(rp), ..report(Said::PartlyRefunded) });
    for (back, rest) in [(Some(3000), Some(rp(2000))), (Some(1), Some(rp(4999))), (None, None)] {
        let order = all(&due(None), 3000, vec![part(back)]);
        assert_eq!((order.is_refund_due(), order.to_refund()), (true, rest), "{back:?}");
        let asked = all(&order, 4000, vec![wish()]);
        assert_eq!((duty(&asked, Told::trusted(at(4000))), asked.to_refund()), (Duty::Call(Call::Refund), rest), "{back:?}");
        // Get-status may say the same part again meanwhile: that is no news.
        let looked = all(&asked, 5000, vec![unsure(), part(back)]);
        assert!(is_asked(&looked) && looked.refund_key() == "o1", "{back:?}: {:?}", looked.repayment());
        let made = StatusReport { refund_amount: rest, ..report(Said::Refunded) };
        let done = all(&asked, 5000, vec![answered(RefundAnswer::Approved(Box::new(made)))]);
        // If nobody knows the rest, get-status tells the end.
        let whole = Event::Status(StatusReport { refund_amount: Some(rp(5000)), ..report(Said::Refunded) });
        let done = if rest.is_none() { all(&done, 6000, vec![whole]) } else { done };
        assert_eq!((word(&done).as_str(), done.attention()), ("refunded", vec![]), "{back:?}");
    }
    // Another part meanwhile: the rest is another one, and a person decides.
    let asked = all(&due(None), 3000, vec![part(Some(1000)), wish()]);
    let more = all(&asked, 5000, vec![unsure(), part(Some(2500))]);
    assert!(matches!(more.repayment(), Some(Repayment::Refused { unsure: false, .. })), "{:?}", more.repayment());
    assert_eq!(more.to_refund(), Some(rp(2500)));
}

/// The books do not know of the part yet. The gateway refuses the whole, get-status says why, and nobody waits longer for that.
#[test]
fn a_refusal_for_a_part_that_is_gone_is_known_at_once() {
    let part = || Event::Status(StatusReport { refund_amount: Some(rp(3000)), ..report(Said::PartlyRefunded) });
    for noted in [vec![], vec![Event::Notified(Said::PartlyRefunded)]] {
        let asked = all(&due(None), 3000, vec![wish()]);
        let mut order = after(&asked, 3100, refused());
        for event in noted.clone() {
            order = after(&order, 3200, event);
        }
        let order = after(&order, 3300 + if noted.is_empty() { 0 } else { CALL_LIFE.0 }, part());
        assert!(matches!(order.repayment(), Some(Repayment::Refused { unsure: false, .. })), "{noted:?}: {:?}", order.repayment());
        assert_eq!(order.to_refund(), Some(rp(2000)));
        assert!(is_asked(&all(&order, 20_000, vec![wish()])));
    }
}

/// A question of before the wish brings the part, and nobody has asked for the refund yet.
#[test]
fn a_part_that_is_gone_before_the_refund_is_asked_for_leaves_the_rest_to_a_person() {
    let part = Event::Status(StatusReport { refund_amount: Some(rp(3000)), ..report(Said::PartlyRefunded) });
    let order = all(&due(None), 3000, vec![wish(), part]);
    assert!(matches!(order.repayment(), Some(Repayment::Refused { unsure: false, .. })), "{:?}", order.repayment());
    assert_eq!(order.to_refund(), Some(rp(2000)));
    assert!(is_asked(&all(&order, 20_000, vec![wish()])));
}

/// Where the gateway gives back whole payments only, the rest goes by hand.
#[test]
fn the_rest_goes_by_hand_where_the_gateway_takes_no_part() {
    let settled = Event::Status(StatusReport { refunds_parts: false, ..report(Said::Settled) });
    let part = Event::Status(StatusReport { refund_amount: Some(rp(3000)), ..report(Said::PartlyRefunded) });
    let whole = live(&[(0, Event::Charged(charge(5000))), (1000, settled), (2000, told(Delivery::Failed))]);
    assert!(is_asked(&after(&whole, 3000, wish())), "all of it goes");
    let order = all(&whole, 3000, vec![part]);
    assert_eq!(then(&order, 4000, wish()), Err(Refused::OnlyByHand));
    let cash = after(&order, 4000, Event::SettledByHand { note: "cash".into(), by: None, no_report: false, goods_and_money: false });
    assert!(!cash.is_refund_due());
}

#[test]
fn a_refunds_answer_counts_only_with_the_sum_that_was_asked_for() {
    type Change = fn(&mut StatusReport);
    let table: [(&str, Change, bool); 10] = [
        ("all of it", |_| {}, true),
        ("no currency, as in the documents", |r| r.currency = None, true),
        ("no metadata, as in the documents", |r| r.metadata = [None, None, None], true),
        ("another name", |r| r.order_id = None, true),
        ("less went back", |r| r.refund_amount = Some(rp(4999)), false),
        ("it does not say what went back", |r| r.refund_amount = None, false),
        ("another sum", |r| (r.gross_amount, r.refund_amount) = (Some(rp(4999)), Some(rp(4999))), false),
        ("dollars", |r| r.currency = Some("USD".into()), false),
        ("another transaction", |r| r.transaction_id = TransactionId::new("t2").expect("an id"), false),
        ("another word", |r| r.said = Said::Settled, false),
    ];
    let asked = all(&due(None), 3000, vec![wish()]);
    for (what, change, is_made) in table {
        let mut told = StatusReport { refund_amount: Some(rp(5000)), ..report(Said::Refunded) };
        change(&mut told);
        let order = after(&asked, 3000, answered(RefundAnswer::Approved(Box::new(told))));
        if is_made {
            assert_eq!(word(&order), "refunded", "{what}");
            continue;
        }
        let is_unsure = matches!(order.repayment(), Some(Repayment::Requested { unsure: true, get_status: true, .. }));
        assert!(is_unsure && word(&order) == "settled", "{what}: {:?}", order.repayment());
        let next = next_deadline(&order).expect("the look");
        assert_eq!(duty(&order, Told::trusted(next)), Duty::Call(Call::GetStatus), "{what}: get-status decides");
        assert_eq!(word(&after(&order, 20_000, status(Said::Refunded))), "refunded", "{what}");
        let again = after(&order, 20_000, status(Said::Settled));
        assert_eq!((is_asked(&again), again.refund_key().as_str()), (true, "o1"), "{what}: the same key");
    }
    // The sum that was asked for is the one that was paid, with its fee, or that of a mismatch.
    for sum in [5100, 4999] {
        let of = |said| StatusReport { gross_amount: Some(rp(sum)), ..report(said) };
        let paid = Event::Status(of(Said::Settled));
        let paid = live(&[(0, Event::Charged(charge(5000))), (1000, paid.clone()), (11_000, paid), (12_000, told(Delivery::Failed))]);
        let asked = all(&paid, 13_000, vec![wish()]);
        for (back, is_made) in [(sum, true), (5000, false)] {
            let told = StatusReport { refund_amount: Some(rp(back)), ..of(Said::Refunded) };
            let order = after(&asked, 13_000, answered(RefundAnswer::Approved(Box::new(told))));
            assert_eq!(word(&order) == "refunded", is_made, "{back} of {sum}: {:?}", order.repayment());
        }
    }
}
