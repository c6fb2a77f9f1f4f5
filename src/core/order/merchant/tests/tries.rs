//! Another try at what came to nothing, or the money: one of the two.

use super::*;
use crate::order::promise::Promise;
use crate::order::proof::RelayKey;
use crate::order::tries::{Try, TryNumber, TwoDigits};

fn relay() -> RelayKey {
    RelayKey::of(&SigningKey::from_seed([3; 32]))
}

fn second() -> TryNumber {
    TryNumber::FIRST.next().expect("2")
}

fn offering() -> Rules {
    Rules { second_tries: 1, ..rules() }
}

fn with<T>(run: impl FnOnce(&Context<'_>) -> T) -> T {
    run(&Context { rules: &offering(), paid_already: false })
}

/// Why it is not granted.
#[derive(Debug, PartialEq, Eq)]
enum No {
    Refused(Refused),
    Try(NoTry),
}

/// Applies events to an order, each so many milliseconds after the start, as far as they are granted.
fn then(mut order: Order, events: Vec<(i64, Event)>) -> Result<Order, No> {
    for (ms, event) in events {
        let now = T0 + Span::millis(ms);
        if let Event::TryAgain { promise, key } = &event {
            let may = order.may_try_again(promise, key.as_ref(), Told::trusted(now));
            let asked = with(|with| apply(order.clone(), event.clone(), Told::trusted(now), with)).expect("never refused");
            assert!(may.is_ok() || asked == order, "what is not granted changes nothing");
            may.map_err(No::Try)?;
        }
        order = with(|with| apply(order, event, Told::trusted(now), with)).map_err(No::Refused)?;
        while let Duty::Apply(event) = duty(&order, Told::trusted(now)) {
            order = with(|with| apply(order, event, Told::trusted(now), with)).expect("a fact");
        }
    }
    Ok(order)
}

/// Paid, and its machine told this.
fn ended(report: DeliveryReport) -> Order {
    let order = Order { sale: Sale { relay_key: Some(relay()), ..order().sale }, ..order() };
    let paid = vec![(0, Event::Charged(charge(5000))), (1000, status(Said::Settled)), (2000, Event::Delivered(report))];
    then(order, paid).expect("facts")
}

fn nothing_came() -> Order {
    ended(DeliveryReport::proven(Delivery::Undelivered))
}

fn ticket(n: u8) -> Ticket {
    Ticket::from_random([n; 16])
}

fn promise(of: &Order) -> Promise {
    let again = crate::order::ledger::Again { order: of.id.clone(), number: second(), after: of.goods().ticket };
    Promise::of(of.sale.device.clone(), ticket(20), again, of.sale.purchase.item.clone(), of.sale.purchase.amount)
}

fn asks(promise: Promise) -> Event {
    Event::TryAgain { promise: Box::new(promise), key: Some(relay()) }
}

/// At its second try, which has its receipt.
fn at_second() -> Order {
    at_second_of(nothing_came())
}

fn at_second_of(order: Order) -> Order {
    let asked = asks(promise(&order));
    then(order, vec![(3000, asked)]).expect("granted")
}

/// The same, as it is after a payment over the counter: it could be collected for three days.
fn to_collect() -> Order {
    let mut order = nothing_came();
    let State::Settled(settled) = &mut order.state else { panic!("settled: {order:?}") };
    settled.collect_by = Some(T0 + Span::secs(3 * 24 * 3600));
    order
}

/// A person wanted the money to go back, and the gateway did not do it.
fn refund_refused(unsure: bool) -> Order {
    let refused = Repayment::Refused { why: "not for payments on site".into(), at: T0 + Span::millis(2500), unsure };
    Order { repaying: Repaying { step: Some(refused), ..Repaying::default() }, ..nothing_came() }
}

fn of_second(outcome: Delivery) -> DeliveryReport {
    DeliveryReport { nth_try: second(), ..DeliveryReport::proven(outcome) }
}

fn refund() -> Event {
    Event::RefundRequested(RefundWish::of_a_person(Some("Ani".into())))
}

#[test]
fn a_second_try_has_a_receipt_of_its_own_and_its_end_is_the_orders() {
    let first = nothing_came();
    assert_eq!(first.try_again_until(Told::trusted(T0 + Span::millis(2000))), Some(T0 + Span::millis(2000) + Span::secs(24 * 3600)));
    let order = at_second();
    let claims = order.receipt().expect("signed").claims();
    assert_eq!(claims.nth, Try::Again { number: second(), after: first.goods().ticket });
    assert_eq!((&claims.ticket, claims.amount, claims.gross_amount), (&ticket(20), rp(5000), rp(5000)));
    assert_eq!(claims.transaction_id, first.receipt().expect("signed").claims().transaction_id);
    assert!(order.is_open() && order.outcome().is_none() && !order.is_refund_due());
    // The same question again has the same receipt.
    let again = then(order.clone(), vec![(60_000, asks(promise(&first)))]).expect("known");
    assert_eq!(again, order);
    for (outcome, owed) in
        [(Delivery::Dispensed, false), (Delivery::Undelivered, true), (Delivery::Failed, true), (Delivery::Uncertain, false)]
    {
        let ended = then(order.clone(), vec![(4000, Event::Delivered(of_second(outcome)))]).expect("a fact");
        assert_eq!((ended.outcome(), ended.is_refund_due()), (Some(outcome), owed));
        assert_eq!(ended.tries.until, None, "there is one second try");
        assert_eq!(then(ended, vec![(5000, refund())]).is_ok(), owed, "{outcome}");
    }
}

#[test]
fn only_what_certainly_did_not_come_is_tried_again() {
    let of = |outcome, driven| {
        let Proof::Signed { kid, number, .. } = DeliveryReport::proven(outcome).proof else { panic!("it is proven") };
        DeliveryReport { proof: Proof::Signed { kid, number, driven }, ..DeliveryReport::proven(outcome) }
    };
    let unproven = |outcome| DeliveryReport { proof: Proof::Missing(NoProof::None), ..DeliveryReport::proven(outcome) };
    let then_told = |event| then(nothing_came(), vec![(2500, event)]).expect("a fact");
    let dispensed = Event::Contradicted { told: DeliveryReport::proven(Delivery::Dispensed), refund_on_its_way: false };
    let table = [
        ("closed", nothing_came(), None),
        ("a sensor saw it", ended(of(Delivery::Failed, true)), None),
        ("the hardware was not there", ended(of(Delivery::Failed, false)), Some(NoTry::NotProven)),
        ("dispensed", ended(of(Delivery::Dispensed, true)), Some(NoTry::Came)),
        ("uncertain", ended(of(Delivery::Uncertain, true)), Some(NoTry::Uncertain)),
        ("closed, says the machine alone", ended(unproven(Delivery::Undelivered)), Some(NoTry::NotProven)),
        ("failed, says the machine alone", ended(unproven(Delivery::Failed)), Some(NoTry::NotProven)),
        ("two words", then_told(dispensed), Some(NoTry::Doubtful)),
        ("a part went back", then_told(status(Said::PartlyRefunded)), Some(NoTry::Repaid)),
        ("the bank took it", then_told(status(Said::ChargedBack)), Some(NoTry::Repaid)),
        ("all went back", then_told(status(Said::Refunded)), Some(NoTry::Repaid)),
        ("a refund is asked for", then_told(refund()), Some(NoTry::Repaid)),
        (
            "given back by hand",
            then_told(Event::SettledByHand { note: "cash".into(), by: None, no_report: false, goods_and_money: false }),
            Some(NoTry::Repaid),
        ),
        ("handed over", then_told(Event::Given { by: "Budi".into(), goods_and_money: false, from_slot: false }), Some(NoTry::Repaid)),
        ("the gateway refuses a refund", refund_refused(false), None),
        ("the books had lost it", Order { rebuilt: true, ..nothing_came() }, Some(NoTry::Doubtful)),
        ("the customer wants the money", then_told(Event::TryOfferEnds), Some(NoTry::NotOffered)),
        (
            "it is the second one",
            then(at_second(), vec![(4000, Event::Delivered(of_second(Delivery::Undelivered)))]).expect("a fact"),
            Some(NoTry::NotOffered),
        ),
        ("the second one is open", at_second(), Some(NoTry::NotTold)),
        ("nobody has paid", live(&[(0, Event::Charged(charge(5000)))]), Some(NoTry::NotPaid)),
    ];
    for (name, order, why_not) in table {
        let now = T0 + Span::millis(5000);
        assert_eq!(order.try_again_until(Told::trusted(now)).is_some(), why_not.is_none(), "{name}");
        // A person prolongs an offer that is over, and asks once more. Nothing else is a person's to change.
        let by_a_person = order.may_want_try(Some("Sari"), Told::trusted(now), &offering());
        assert_eq!(by_a_person.err(), why_not.filter(|why| *why != NoTry::NotOffered), "{name}");
        assert_eq!(order.may_want_try(None, Told::trusted(now), &offering()).err(), why_not, "{name}");
        let next = Promise {
            ticket: ticket(30),
            nth: Try::Again { number: order.number_of_try().next().expect("few"), after: order.goods().ticket },
            ..promise(&order)
        };
        if why_not == Some(NoTry::NotPaid) {
            assert_eq!(order.may_try_again(&next, Some(&relay()), Told::trusted(now)).err(), why_not);
            continue;
        }
        let fresh = then(order, vec![(5000, status(Said::Settled))]).expect("a fact");
        let asked = then(fresh, vec![(5000, asks(next))]);
        assert_eq!(asked.err(), why_not.map(No::Try), "{name}");
    }
    assert_eq!(
        refund_refused(true).may_want_try(None, Told::trusted(T0 + Span::millis(5000)), &offering()),
        Err(NoTry::Repaid),
        "it may have gone back"
    );
    let came = then(at_second_of(refund_refused(false)), vec![(4000, Event::Delivered(of_second(Delivery::Dispensed)))]).expect("a fact");
    assert!(came.repayment().is_none() && !came.is_refund_due(), "the goods came in its place");
    let off = live(&[(0, Event::Charged(charge(5000))), (1000, status(Said::Settled)), (2000, told(Delivery::Undelivered))]);
    assert_eq!(off.tries.until, None, "the merchant offers none");
}

#[test]
fn a_promise_is_for_the_next_try_at_this_order_and_the_gateway_was_just_asked() {
    let order = nothing_came();
    let good = || promise(&order);
    let stranger = RelayKey::of(&SigningKey::from_seed([4; 32]));
    let ask = |promise: Promise, key: Option<RelayKey>| Event::TryAgain { promise: Box::new(promise), key };
    let table = [
        ("good", ask(good(), Some(relay())), Ok(())),
        ("a cheaper one", ask(Promise { item: ItemId::new("B2").expect("an id"), amount: rp(3000), ..good() }, Some(relay())), Ok(())),
        ("a dearer one", ask(Promise { amount: rp(5001), ..good() }, Some(relay())), Err(NoTry::TooDear)),
        ("another key now", ask(good(), Some(stranger)), Err(NoTry::OtherKey)),
        ("no key now", ask(good(), None), Err(NoTry::OtherKey)),
        (
            "of another machine",
            ask(Promise { device: DeviceId::new("vm-002").expect("an id"), ..good() }, Some(relay())),
            Err(NoTry::OtherPromise),
        ),
        (
            "of another order",
            ask(Promise { order_id: OrderId::new("o2").expect("an id"), ..good() }, Some(relay())),
            Err(NoTry::OtherPromise),
        ),
        ("a first one", ask(Promise { nth: Try::First, ..good() }, Some(relay())), Err(NoTry::OtherPromise)),
        (
            "after another ticket",
            ask(Promise { nth: Try::Again { number: second(), after: ticket(9) }, ..good() }, Some(relay())),
            Err(NoTry::OtherPromise),
        ),
        (
            "a third one",
            ask(Promise { nth: Try::Again { number: second().next().expect("3"), after: order.goods().ticket }, ..good() }, Some(relay())),
            Err(NoTry::OtherPromise),
        ),
    ];
    for (name, event, want) in table {
        let asked = then(order.clone(), vec![(3000, event)]);
        assert_eq!(asked.map(drop), want.map_err(No::Try), "{name}");
    }
    // The gateway's word of the payment is a second old, and good for half a minute.
    for (said, told_at, asked_at, want) in [
        (None, 0, 31_000, Ok(())),
        (None, 0, 31_001, Err(NoTry::NotAsked)),
        (Some(status(Said::Settled)), 60_000, 90_000, Ok(())),
        (Some(status(Said::Settled)), 60_000, 90_001, Err(NoTry::NotAsked)),
        (Some(Event::StatusUnanswered), 20_000, 25_000, Ok(())),
        (Some(status(Said::Pending)), 20_000, 25_000, Err(NoTry::NotAsked)),
        (Some(Event::Notified(Said::Refunded)), 20_000, 25_000, Err(NoTry::NotAsked)),
    ] {
        let before = said.clone().map(|event| (told_at, event)).into_iter().collect();
        let asked = then(order.clone(), before).and_then(|order| then(order, vec![(asked_at, asks(good()))]));
        assert_eq!(asked.map(drop), want.map_err(No::Try), "{said:?}");
    }
}

#[test]
fn an_open_try_bars_every_other_end() {
    let hour = NO_REPORT_AFTER.0;
    let by_hand = |no_report| Event::SettledByHand { note: "cash".into(), by: Some("Ani".into()), no_report, goods_and_money: false };
    let no_report = || Event::RefundRequested(RefundWish { no_report: true, ..RefundWish::of_a_person(Some("Ani".into())) });
    let table = [
        (4000, refund(), Err(Refused::NotReported)),
        (4000, no_report(), Err(Refused::TooEarly)),
        (4000, by_hand(true), Err(Refused::TooEarly)),
        (4000, Event::Given { by: "Budi".into(), goods_and_money: false, from_slot: false }, Err(Refused::TooEarly)),
        // An hour after the newest receipt, which was signed three seconds after the start.
        (2999 + hour, no_report(), Err(Refused::TooEarly)),
        (3000 + hour, no_report(), Ok(())),
        (3000 + hour, by_hand(true), Ok(())),
        (3000 + hour, Event::Given { by: "Budi".into(), goods_and_money: false, from_slot: false }, Ok(())),
    ];
    for (order, (at, event, want)) in
        [at_second(), at_second_of(to_collect())].iter().flat_map(|order| table.clone().map(|row| (order, row)))
    {
        let listed = then(order.clone(), vec![(3000 + REPORT_WITHIN.0, Event::Unreported)]).expect("a fact");
        let now = T0 + Span::millis(at);
        let order = if now.0 - T0.0 > REPORT_WITHIN.0 { listed } else { order.clone() };
        assert_eq!(with(|with| apply(order, event.clone(), Told::trusted(now), with)).map(drop), want, "{event:?} at {at}");
    }
    assert!(!at_second().may_refund_by_itself(Told::trusted(T0 + Span::millis(4000))));
    // Nothing goes back by itself while another try is offered.
    let offered = nothing_came();
    assert!(!offered.may_refund_by_itself(Told::trusted(T0 + Span::millis(4000))));
    let declined = then(offered.clone(), vec![(4000, Event::TryOfferEnds)]).expect("a wish");
    assert!(declined.may_refund_by_itself(Told::trusted(T0 + Span::millis(4000))));
    let over = T0 + Span::millis(2000) + Span::secs(24 * 3600);
    assert_eq!((next_deadline(&offered), duty(&offered, Told::trusted(over))), (Some(over), Duty::Apply(Event::TryOfferEnds)));
}

/// In the gateway's dashboard anybody of the merchant's may give it back. The machine has the receipt all the same.
#[test]
fn a_refund_in_the_dashboard_during_a_try_is_listed() {
    let back = then(at_second(), vec![(4000, status(Said::Refunded))]).expect("a fact");
    assert_eq!((back.attention(), back.money()), (vec![Attention::LateFact], Money::Refunded));
    let came = then(back, vec![(5000, Event::Delivered(of_second(Delivery::Dispensed)))]).expect("a fact");
    assert_eq!((came.attention(), came.money()), (vec![Attention::LateFact], Money::Refunded));
    // A try lasts two seconds, and a notification as long: the goods may be told first.
    for outcome in [Delivery::Dispensed, Delivery::Uncertain] {
        let told = then(at_second(), vec![(4000, Event::Delivered(of_second(outcome))), (7000, status(Said::Refunded))]).expect("facts");
        assert_eq!((told.attention(), told.money()), (vec![Attention::LateFact], Money::Refunded), "{outcome}");
    }
    // Of a try that has ended nothing more comes.
    let offered = then(nothing_came(), vec![(4000, status(Said::Refunded))]).expect("a fact");
    assert_eq!(offered.attention(), []);
    let ended =
        then(at_second(), vec![(4000, Event::Delivered(of_second(Delivery::Failed))), (7000, status(Said::Refunded))]).expect("facts");
    assert_eq!(ended.attention(), []);
    // Ours is no news, whoever has seen that nothing came.
    let wish = RefundWish { no_proof: true, ..RefundWish::of_a_person(Some("Ani".into())) };
    let events = vec![
        (4000, Event::Delivered(of_second(Delivery::Uncertain))),
        (5000, Event::RefundRequested(wish)),
        (6000, status(Said::Refunded)),
    ];
    assert_eq!(then(at_second(), events).expect("granted").attention(), []);
}

/// The notification of a refund in the dashboard may be lost.
#[test]
fn after_a_later_try_the_gateway_is_asked_once_more() {
    for outcome in [Delivery::Dispensed, Delivery::Uncertain, Delivery::Failed] {
        let told = then(at_second(), vec![(4000, Event::Delivered(of_second(outcome)))]).expect("a fact");
        let at = next_deadline(&told).expect("a question");
        assert_eq!(duty(&told, Told::trusted(at)), Duty::Call(Call::GetStatus), "{outcome}");
        assert!((at - T0).0 <= 4000 + 70_000, "{outcome}: {at:?}");
        let ms = (at - T0).0;
        let asked = then(told.clone(), vec![(ms, status(Said::Settled))]).expect("a fact");
        assert_eq!(asked.polling.at, None, "{outcome}: once");
        let silent = then(told, vec![(ms, Event::StatusUnanswered)]).expect("a fact");
        assert!(silent.polling.at.is_some(), "{outcome}: until it is answered");
    }
    let first = ended(DeliveryReport::proven(Delivery::Dispensed));
    assert_eq!(first.polling.at, None, "the goods of a first try are nobody's news");
}

/// Another try may have begun after the copy was made.
#[test]
fn what_a_copy_of_the_books_does_not_know_is_for_a_person() {
    let copied = nothing_came().of_a_copy(Told::trusted(T0));
    assert!(!copied.is_proven() && !copied.may_refund_by_itself(Told::trusted(T0 + Span::secs(86_400))));
    assert_eq!(then(copied.clone(), vec![(3000, refund())]), Err(No::Refused(Refused::NoProof)));
    let asked = asks(promise(&copied));
    assert_eq!(then(copied, vec![(3000, asked)]), Err(No::Try(NoTry::Doubtful)));
    let came = ended(DeliveryReport::proven(Delivery::Dispensed));
    assert_eq!(came.clone().of_a_copy(Told::trusted(T0)), came);
}

#[test]
fn a_word_about_an_earlier_try_changes_nothing() {
    let first = |outcome| DeliveryReport::proven(outcome);
    for order in [at_second(), then(at_second(), vec![(4000, Event::Delivered(of_second(Delivery::Dispensed)))]).expect("a fact")] {
        // A hostile machine sends the genuine word of the first try once more.
        let again = then(order.clone(), vec![(5000, Event::Delivered(first(Delivery::Undelivered)))]).expect("known");
        assert_eq!(again, order);
        for outcome in [Delivery::Dispensed, Delivery::Failed, Delivery::Uncertain] {
            assert_eq!(then(order.clone(), vec![(5000, Event::Delivered(first(outcome)))]), Err(No::Refused(Refused::OutcomeStands)));
            let told = Event::Contradicted { told: first(outcome), refund_on_its_way: false };
            assert_eq!(then(order.clone(), vec![(5000, told)]).as_ref(), Ok(&order));
        }
        assert!(!order.is_proven());
    }
}

#[test]
fn books_that_do_not_know_of_a_try_prove_nothing() {
    // Restored from yesterday: the machine tells of a second try.
    for outcome in [Delivery::Dispensed, Delivery::Failed, Delivery::Uncertain] {
        let told = of_second(outcome);
        assert_eq!(then(nothing_came(), vec![(5000, Event::Delivered(told.clone()))]), Err(No::Refused(Refused::OutcomeStands)));
        let order = then(nothing_came(), vec![(5000, Event::Contradicted { told, refund_on_its_way: false })]).expect("a fact");
        assert!(order.has_conflict() && order.try_again_until(Told::trusted(T0 + Span::millis(6000))).is_none());
        assert!(!order.may_refund_by_itself(Told::trusted(T0 + Span::secs(48 * 3600))), "{outcome}");
    }
    // It asked for one, and had no answer. Nothing came of that either.
    let told = Event::Delivered(of_second(Delivery::Undelivered));
    assert_eq!(then(nothing_came(), vec![(5000, told)]), Ok(nothing_came()));
    let paid = vec![(0, Event::Charged(charge(5000))), (1000, status(Said::Settled))];
    let order = then(order(), paid).and_then(|order| then(order, vec![(5000, Event::Delivered(of_second(Delivery::Undelivered)))]));
    assert!(order.expect("a fact").has_conflict());
}

#[test]
fn its_customer_wants_it_while_it_is_offered() {
    let wants = |by: Option<&str>| Event::TryWanted { by: by.map(Into::into), drawn: TwoDigits::of(7) };
    let at = |milliseconds: i64| T0 + Span::millis(milliseconds);
    let order = then(nothing_came(), vec![(5000, wants(None))]).expect("a wish");
    assert_eq!(order.try_wanted_until(Told::trusted(at(5000))), Some(at(605_000)));
    assert_eq!((next_deadline(&order), order.try_wanted_until(Told::trusted(at(605_000)))), (Some(at(605_000)), None));
    assert_eq!(duty(&order, Told::trusted(at(605_000))), Duty::Apply(Event::TryWishEnds));
    let ended = then(order.clone(), vec![(605_000, Event::TryWishEnds)]).expect("a fact");
    assert_eq!((ended.tries.wanted_until, ended.try_again_until(Told::trusted(at(605_000)))), (None, order.tries.until));
    // A customer who wants the money has no other try, and one who got it wants none.
    for what in [refund(), Event::Given { by: "Sari".into(), goods_and_money: false, from_slot: false }, status(Said::Refunded)] {
        let order = then(order.clone(), vec![(6000, what)]).expect("granted");
        assert!(!order.is_open() && order.tries.wanted_until.is_none());
        assert_eq!(
            (order.try_wanted_until(Told::trusted(at(6000))), order.may_want_try(None, Told::trusted(at(6000)), &offering())),
            (None, Err(NoTry::Repaid))
        );
    }
    let asked = asks(promise(&order));
    let begun = then(order, vec![(7000, asked)]).expect("a receipt");
    assert_eq!((begun.number_of_try().get(), begun.tries.wanted_until), (2, None));
}

#[test]
fn a_person_prolongs_what_is_proven_and_nothing_else() {
    let hours = |hours: i64| Span::secs(hours * 3600);
    let wants = Event::TryWanted { by: Some("Sari".into()), drawn: TwoDigits::of(7) };
    let over = then(nothing_came(), vec![(86_400_000, Event::TryOfferEnds)]).expect("a fact");
    let later = T0 + hours(30);
    assert_eq!(over.may_want_try(None, Told::trusted(later), &offering()), Err(NoTry::NotOffered));
    assert_eq!(over.may_want_try(Some("Sari"), Told::trusted(later), &rules()), Err(NoTry::Off), "0 turns it off for everybody");
    let order = then(over, vec![(30 * 3_600_000, wants.clone())]).expect("prolonged");
    assert_eq!(
        (order.try_again_until(Told::trusted(later)), order.try_wanted_until(Told::trusted(later))),
        (Some(later + hours(24)), Some(later + Span::secs(600)))
    );
    // The number of the rules is used up, and it is proven once more that nothing came.
    let twice = then(at_second(), vec![(5000, Event::Delivered(of_second(Delivery::Undelivered)))]).expect("a fact");
    assert_eq!(twice.try_again_until(Told::trusted(T0 + Span::millis(6000))), None);
    assert!(then(twice, vec![(6000, wants.clone())]).expect("prolonged").try_again_until(Told::trusted(T0 + Span::millis(7000))).is_some());
    for outcome in [Delivery::Dispensed, Delivery::Uncertain] {
        let order = then(ended(DeliveryReport::proven(outcome)), vec![(6000, wants.clone())]).expect("nothing changes");
        assert_eq!((order.tries.until, order.tries.wanted_until), (None, None), "{outcome}");
    }
}

#[test]
fn the_offer_leaves_time_for_a_refund() {
    let hours = |hours: i64| Span::secs(hours * 3600);
    for (refund_within, offered) in
        [(None, Some(hours(24))), (Some(hours(24 * 7)), Some(hours(24))), (Some(hours(60)), Some(hours(12))), (Some(hours(48)), None)]
    {
        let settled = Event::Status(StatusReport { refund_within, ..report(Said::Settled) });
        let order = Order { sale: Sale { relay_key: Some(relay()), ..order().sale }, ..order() };
        let events = vec![(0, Event::Charged(charge(5000))), (0, settled), (0, told(Delivery::Undelivered))];
        let order = then(order, events).expect("facts");
        assert_eq!(order.tries.until, offered.map(|span| T0 + span), "{refund_within:?}");
    }
}

fn wants(by: Option<&str>, drawn: u8) -> Event {
    Event::TryWanted { by: by.map(Into::into), drawn: TwoDigits::of(drawn) }
}

fn tells(by: Option<&str>, number: u8) -> Event {
    Event::NumberTold { number: TwoDigits::of(number), by: by.map(Into::into) }
}

fn shown(order: &Order, ms: i64) -> Option<String> {
    order.number_shown(Told::trusted(T0 + Span::millis(ms))).map(String::from)
}

#[test]
fn who_tells_the_number_has_twenty_seconds_for_one_press() {
    let order = then(nothing_came(), vec![(5000, wants(None, 7))]).expect("a wish");
    assert_eq!((shown(&order, 5000).as_deref(), order.number_told_until(Told::trusted(T0 + Span::millis(5000)))), (Some("07"), None));
    assert!(format!("{order:?}").contains("number: **"), "no log shows it");
    for by in [None, Some("Sari")] {
        let told = then(order.clone(), vec![(9000, tells(by, 7))]).expect("told");
        let until = T0 + Span::millis(29_000);
        assert_eq!((shown(&told, 9000), told.number_told_until(Told::trusted(T0 + Span::millis(9000)))), (Some("07".into()), Some(until)));
        assert_eq!((next_deadline(&told), told.number_told_until(Told::trusted(until))), (Some(until), None));
        let asked = asks(promise(&told));
        // The press comes to the backend a moment after it.
        for (ms, is_told) in [(10_000, true), (28_999, true), (38_999, true), (39_000, false)] {
            let fresh = then(told.clone(), vec![(ms, status(Said::Settled))]).expect("a fact");
            let begun = then(fresh, vec![(ms, asked.clone())]).expect("granted");
            assert_eq!((begun.tries.with_number, begun.is_surely_its_customers()), (is_told, is_told), "{ms}");
            assert_eq!(begun.tries.shown, None);
        }
    }
    let asked = asks(promise(&order));
    let untold = then(order, vec![(6000, tells(None, 8)), (7000, asked)]).expect("granted");
    assert!(!untold.is_surely_its_customers() && untold.tries.wrong.len() == 1);
    assert!(nothing_came().is_surely_its_customers(), "a first try has no number");
}

#[test]
fn three_wrong_numbers_end_a_showing_and_nine_a_day_the_asking() {
    let mut order = nothing_came();
    for round in 0..3_i64 {
        let at = 100_000 * (round + 1);
        order = then(order, vec![(at, wants(None, 7)), (at, tells(None, 8)), (at, tells(None, 9))]).expect("wrong");
        // Who asks again while it is shown sees the same number, and has no more guesses.
        order = then(order, vec![(at + 59_000, wants(None, 40))]).expect("the same showing");
        assert_eq!(
            (shown(&order, at + 59_000).as_deref(), order.number_stands(Told::trusted(T0 + Span::millis(at + 59_000)))),
            (Some("07"), Some(NumberStands::Asked { wrong: 2 }))
        );
        order = then(order, vec![(at + 59_500, tells(None, 40))]).expect("wrong");
        assert_eq!(
            (shown(&order, at + 59_500), order.number_stands(Told::trusted(T0))),
            (None, Some(NumberStands::Ended)),
            "round {round}"
        );
        assert_eq!(then(order.clone(), vec![(at + 59_600, tells(None, 7))]), Ok(order.clone()), "its showing is over");
    }
    let (now, ms) = (Told::trusted(T0 + Span::millis(400_000)), 400_000);
    assert_eq!(order.may_want_try(None, now, &offering()), Err(NoTry::TooManyWrong));
    assert_eq!(then(order.clone(), vec![(ms, wants(None, 7))]), Ok(order.clone()), "nothing is shown");
    // The money and the desk go on.
    assert!(order.may_refund_on_a_wish(now));
    let offered = then(order.clone(), vec![(ms, wants(Some("Sari"), 12))]).expect("a wish");
    assert_eq!(offered.may_tell_number(None, now), Err(NoTry::TooManyWrong));
    assert_eq!(offered.may_tell_number(Some("Sari"), now), Ok(()));
    let told = then(offered, vec![(ms, tells(None, 12)), (ms, tells(Some("Sari"), 13)), (ms + 1, tells(Some("Sari"), 12))]).expect("told");
    assert_eq!((told.tries.wrong.len(), told.number_told_until(now).is_some()), (9, true), "a list of nine at most");
    let later = Told::trusted(T0 + Span::millis(100_000) + Span::secs(24 * 3600));
    assert_ne!(order.may_want_try(None, later, &offering()), Err(NoTry::TooManyWrong), "a day later");
}

/// Its second try gave the goods: `with` its number or without, of this item.
fn came(with: bool, item: &str) -> Order {
    let order = then(nothing_came(), vec![(2500, wants(None, 7)), (2600, tells(None, if with { 7 } else { 8 }))]).expect("told");
    let asked = asks(Promise { item: ItemId::new(item).expect("an id"), ..promise(&order) });
    then(order, vec![(3000, asked), (4000, Event::Delivered(of_second(Delivery::Dispensed)))]).expect("granted")
}

#[test]
fn goods_and_money_are_a_persons_by_name_where_the_try_was_not_surely_its_customers() {
    let item = nothing_came().goods().item.to_string();
    let wish = |said, by: Option<&str>| {
        Event::RefundRequested(RefundWish { goods_and_money: said, ..RefundWish::of_a_person(by.map(Into::into)) })
    };
    let by_hand = |said, by: Option<&str>| Event::SettledByHand {
        note: "cash".into(),
        by: by.map(Into::into),
        no_report: false,
        goods_and_money: said,
    };
    let given = |said| Event::Given { by: "Ani".into(), goods_and_money: said, from_slot: false };
    let ani = Some("Ani");
    let first = || ended(DeliveryReport::proven(Delivery::Dispensed));
    for (name, order, may) in [
        ("with its number, the same goods", came(true, &item), false),
        ("a first try", first(), false),
        ("without its number", came(false, &item), true),
        ("with its number, other goods", came(true, "B2"), true),
        ("at the machine at once", then(at_second(), vec![(4000, Event::Delivered(of_second(Delivery::Dispensed)))]).expect("told"), true),
    ] {
        let refused = |event| then(order.clone(), vec![(9000, event)]).err();
        let no = Some(No::Refused(if may { Refused::GoodsAndMoney } else { Refused::Delivered }));
        for event in [wish(false, ani), by_hand(false, ani), given(false), wish(true, None), by_hand(true, None)] {
            assert_eq!(refused(event.clone()), no, "{name}: {event:?}");
        }
        for event in [wish(true, ani), by_hand(true, ani), given(true)] {
            assert_eq!(refused(event.clone()), (!may).then_some(No::Refused(Refused::Delivered)), "{name}: {event:?}");
        }
        assert!(
            !order.may_refund_by_itself(Told::trusted(T0 + Span::millis(9000)))
                && !order.may_refund_on_a_wish(Told::trusted(T0 + Span::millis(9000))),
            "{name}"
        );
    }
    for event in [wish(true, ani), by_hand(true, ani), given(true)] {
        let mut order = then(came(false, &item), vec![(9000, event.clone())]).expect("granted");
        if matches!(event, Event::RefundRequested(_)) {
            assert!(order.is_refund_due() && order.attention().is_empty(), "it is asked for");
            order = then(order, vec![(9500, status(Said::Refunded))]).expect("a fact");
        }
        assert_eq!((order.attention(), order.is_refund_due()), (vec![Attention::GoodsAndMoney], false), "{event:?}");
        for again in [wish(true, ani), by_hand(true, ani), given(true)] {
            assert!(then(order.clone(), vec![(9900, again)]).is_err(), "once: {event:?}");
        }
        let seen = then(order, vec![(9900, Event::SeenBy("Ani".into()))]).expect("seen");
        assert!(seen.attention().is_empty() && seen.is_goods_and_money(), "it stays so");
    }
}

/// It was paid after its QR was gone, and nobody was there any more. The rule is that of any try.
#[test]
fn goods_and_money_of_what_was_paid_too_late_are_a_persons_by_name_too() {
    let order = Order { sale: Sale { relay_key: Some(relay()), ..order().sale }, ..order() };
    let late = vec![
        (0, Event::Charged(charge(5000))),
        (500, Event::CancelRequested),
        (600, Event::CancelDone(report(Said::Cancelled))),
        (600_000, status(Said::Settled)),
        (601_000, Event::Delivered(DeliveryReport::proven(Delivery::Undelivered))),
    ];
    let late = then(order, late).expect("facts");
    let asked = asks(promise(&late));
    let came = then(late, vec![(602_000, asked), (603_000, Event::Delivered(of_second(Delivery::Dispensed)))]).expect("granted");
    assert_eq!(then(came.clone(), vec![(604_000, refund())]), Err(No::Refused(Refused::GoodsAndMoney)));
    assert!(!came.may_refund_by_itself(Told::trusted(T0 + Span::millis(604_000))));
    let given = || Event::Given { by: "Ani".into(), goods_and_money: true, from_slot: false };
    let besides = then(came, vec![(604_000, given())]).expect("by name");
    assert_eq!((besides.attention(), besides.is_refund_due()), (vec![Attention::GoodsAndMoney], false));
    assert!(then(besides, vec![(605_000, given())]).is_err(), "once");
}

/// The clock of the merchant's computer is wrong. The number counts by the boot clock, and not at all where nobody knows the time.
#[test]
fn a_number_that_was_told_counts_by_the_boot_clock_while_no_time_is_trusted() {
    let told = vec![(5000, wants(None, 7)), (9000, tells(None, 7)), (10_000, status(Said::Settled))];
    let order = then(nothing_came(), told).expect("told");
    let at = |ms| T0 + Span::millis(ms);
    for (now, is_told) in [
        (Told::counted(at(11_000)), true),
        (Told::counted(at(38_999)), true),
        (Told::counted(at(39_000)), false),
        (Told::unknown(at(11_000)), false),
    ] {
        let happens = |order, event| with(|with| apply(order, event, now, with));
        let begun = happens(order.clone(), asks(promise(&order))).expect("a fact");
        let came = happens(begun, Event::Delivered(of_second(Delivery::Dispensed))).expect("a fact");
        assert_eq!((came.outcome(), came.tries.with_number), (Some(Delivery::Dispensed), is_told), "{now:?}");
        let besides = happens(came, Event::Given { by: "Ani".into(), goods_and_money: true, from_slot: false });
        assert_eq!(besides.err(), is_told.then_some(Refused::Delivered), "{now:?}");
    }
}

#[test]
fn a_refund_besides_the_goods_ends_as_any_other() {
    let item = nothing_came().goods().item.to_string();
    let wish = || RefundWish { goods_and_money: true, ..RefundWish::of_a_person(Some("Ani".into())) };
    let asked = || then(came(false, &item), vec![(9000, Event::RefundRequested(wish()))]).expect("granted");
    let unsure = Event::RefundAnswered(RefundAnswer::Refused("412".into()));
    let refused = then(asked(), vec![(9100, unsure), (9200, status(Said::Settled))]).expect("facts");
    assert_eq!((refused.attention(), refused.is_goods_and_money()), (vec![Attention::RefundFailed], false), "a person hears of it");
    // What came of the try is in doubt: that is another matter.
    let told = Event::Contradicted { told: of_second(Delivery::Uncertain), refund_on_its_way: false };
    let doubtful = then(asked(), vec![(9100, told)]).expect("a fact");
    assert!(!doubtful.repaying.goods_and_money && doubtful.attention().contains(&Attention::Conflict));
    // Books that came back may have paid it since.
    let copied = asked().of_a_copy(Told::trusted(T0 + Span::millis(9500)));
    assert!(copied.rebuilt && copied.attention().contains(&Attention::RefundFailed));
    let taken = then(came(false, &item), vec![(9000, status(Said::ChargedBack))]).expect("a fact");
    assert_eq!(then(taken, vec![(9100, Event::RefundRequested(wish()))]), Err(No::Refused(Refused::TakenBack)));
}
